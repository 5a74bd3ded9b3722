// Package view draws what the console shows: the frame of every page, and the parts that pages share, above all an event on a timeline. It asks
// nobody anything: all that it shows is handed to it.
package view

import (
	"context"
	_ "embed"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/skein-cx/skein/services/console/lang"
)

// Prefix begins the path of every page.
const Prefix = "/console/"

// Page is what the frame of a page shows.
type Page struct {
	// Title of the page, in the language of the person.
	Title string
	// Section of the console that it is in.
	Section Section
	// Bare leaves the navigation out.
	Bare bool
	// Charts has the script for charts loaded.
	Charts bool

	// The rest is filled in for every page alike.
	User  User
	Path  string // of the page, to come back to
	Theme string // light, dark, or empty for that of the system
	Asset func(name string) string
}

// User is whom the page is for.
type User struct {
	// Name of the token, and the tenant that it speaks for.
	Name, Tenant string
	// Admin may see the page of the operation and act there; Directory may change the directory.
	Admin, Directory bool
	// Open means that nobody needs a token here.
	Open bool
	// Agent is the id of the agent that the person acts as; empty where none was chosen.
	Agent string
	// Version of the server.
	Version string
}

// Section is a part of the console.
type Section string

// The sections, in the order of the navigation.
const (
	Customers   Section = "customers"
	Work        Section = "work"
	Supervision Section = "supervision"
	Analytics   Section = "analytics"
	Operation   Section = "operation"
)

func sections() []Section { return []Section{Customers, Work, Supervision, Analytics, Operation} }

// Path is where a section begins.
func (s Section) Path() string { return Prefix + string(s) }

func (s Section) title(ctx context.Context) string {
	switch s {
	case Customers:
		return lang.T(ctx, "Customers")
	case Work:
		return lang.T(ctx, "Work")
	case Supervision:
		return lang.T(ctx, "Supervision")
	case Analytics:
		return lang.T(ctx, "Analytics")
	case Operation:
		return lang.T(ctx, "Operation")
	}
	return string(s)
}

// At is an address of the console: its parts are escaped, so that an id may hold anything.
func At(section Section, parts ...string) string {
	path := []string{section.Path()}
	for _, p := range parts {
		path = append(path, url.PathEscape(p))
	}
	return strings.Join(path, "/")
}

// With adds parameters to an address, name and value by turns; empty values are left out.
func With(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// sprite holds the icons; it stands in every page, so that a part that comes later finds them.
//
//go:embed icons.svg
var sprite string

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// safe marks an address that was built here.
func safe(path string) templ.SafeURL { return templ.SafeURL(path) }
