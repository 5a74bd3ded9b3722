package importrules

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// modulePath is what the packages of the workspace have in common.
const modulePath = "github.com/skein-cx/skein/"

// File is a Go file and what it imports.
type File struct {
	// Path of the file, from the root of the workspace.
	Path string
	// Package is the import path, Name what its package clause says.
	Package, Name string
	// Test tells a test file.
	Test bool
	// Imports are the paths as written.
	Imports []string
}

// Violation is what breaks a rule.
type Violation struct {
	File, Does, Rule, Because string
}

// String says all of it.
func (v Violation) String() string {
	return fmt.Sprintf("%s %s, against the rule %q: %s", v.File, v.Does, v.Rule, v.Because)
}

// Check returns what breaks the rules, in the order of the files.
func Check(rules []Rule, files []File) []Violation {
	var all []Violation
	for _, f := range files {
		for _, imported := range f.Imports {
			for _, r := range rules {
				if r.forbids(f, strings.TrimPrefix(imported, modulePath)) {
					all = append(all, Violation{File: f.Path, Does: "imports " + imported, Rule: r.Name, Because: r.Because})
				}
			}
		}
	}
	return all
}

// CheckNames returns the files whose package has a banned name.
func CheckNames(files []File) []Violation {
	banned, because := BannedNames()
	var all []Violation
	for _, f := range files {
		name := strings.TrimSuffix(f.Name, "_test")
		for _, n := range []string{name, path.Base(f.Package)} {
			if slices.Contains(banned, n) {
				all = append(all, Violation{File: f.Path, Does: "is in the package " + n, Rule: "names", Because: because})
				break
			}
		}
	}
	return all
}

func (r Rule) forbids(f File, imported string) bool {
	importer := strings.TrimPrefix(f.Package, modulePath)
	switch {
	case f.Test && !r.Tests, !matchAny(r.Who, importer), matchAny(r.Except, importer), matchAny(r.But, imported):
		return false
	case matchAny(r.MustNot, imported):
		return true
	}
	from, to := unit(r.Apart, importer), unit(r.Apart, imported)
	return from != "" && to != "" && from != to && !strings.HasPrefix(from, to+"/")
}

// unit is the beginning of a package's path that makes it part of a unit; empty where it is part of none.
func unit(units []string, pkg string) string {
	elements := strings.Split(pkg, "/")
	for n := len(elements); n > 0; n-- {
		if prefix := strings.Join(elements[:n], "/"); matchAny(units, prefix) {
			return prefix
		}
	}
	return ""
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return match(strings.Split(p, "/"), strings.Split(pkg, "/"))
	})
}

func match(pattern, elements []string) bool {
	switch {
	case len(pattern) == 0:
		return len(elements) == 0
	case pattern[0] == "...":
		return match(pattern[1:], elements) || (len(elements) > 0 && match(pattern, elements[1:]))
	case len(elements) == 0:
		return false
	}
	same, err := path.Match(pattern[0], elements[0])
	return err == nil && same && match(pattern[1:], elements[1:])
}
