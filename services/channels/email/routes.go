package email

import (
	"fmt"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Routes finds what belongs to a mail address. A pattern is an address, or "*@domain" for every address of a domain.
// Addresses match whatever their case; "jo+orders@example.com" is found under its own pattern, else under
// "jo@example.com" (RFC 5233), else under the domain's. The zero value is empty; add everything before the first Find.
type Routes[T any] struct {
	exact, domains map[string]T
}

// Add puts a value under a pattern. The error says what is wrong with the pattern; one that is there already is an error.
func (r *Routes[T]) Add(pattern string, value T) error {
	if r.exact == nil {
		r.exact, r.domains = map[string]T{}, map[string]T{}
	}
	domain, wildcard := strings.CutPrefix(pattern, "*@")
	if !wildcard {
		domain = ""
	}
	key, ok := normalise(pattern)
	if wildcard {
		key, ok = normalise("any@" + domain)
		key = strings.TrimPrefix(key, "any@")
	}
	if !ok {
		return fmt.Errorf("email: %q is neither a mail address nor of the form *@domain", pattern)
	}
	in := r.exact
	if wildcard {
		in = r.domains
	}
	if _, taken := in[key]; taken {
		return fmt.Errorf("email: %q is there twice", pattern)
	}
	in[key] = value
	return nil
}

// Find gives what belongs to an address.
func (r *Routes[T]) Find(address string) (value T, ok bool) {
	if r == nil || r.exact == nil {
		return value, false
	}
	key, valid := normalise(address)
	if !valid {
		return value, false
	}
	if value, ok = r.exact[key]; ok {
		return value, true
	}
	at := strings.LastIndexByte(key, '@')
	if base, _, tagged := strings.Cut(key[:at], "+"); tagged && base != "" {
		if value, ok = r.exact[base+key[at:]]; ok {
			return value, true
		}
	}
	value, ok = r.domains[key[at+1:]]
	return value, ok
}

// normalise is the form under which Skein knows an address; false where it can know none.
func normalise(address string) (string, bool) {
	e, err := event.Normalise(&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address})
	return e.Value, err == nil && strings.Contains(e.Value, "@")
}
