package event

import (
	"slices"
	"strings"
)

// Type is a registered type of event.
type Type struct {
	Name        string
	Topic       string // topic of the log that holds it
	Group       string // heading under which the documentation lists it
	Description string // what it tells
	Body        string // field of Content.body that its content may hold
}

// byName finds a registered type.
var byName = func() map[string]*Type { //nolint:gochecknoglobals // read only
	m := make(map[string]*Type, len(registered))
	for i := range registered {
		m[registered[i].Name] = &registered[i]
	}
	return m
}()

// Types lists the registered types in the order of the registry.
func Types() []Type { return slices.Clone(registered) }

// TopicOf is the topic that holds events of a type. It is false for a type that is neither registered nor foreign.
func TopicOf(typ string) (topic string, ok bool) {
	if t := byName[typ]; t != nil {
		return t.Topic, true
	}
	if isForeign(typ) {
		return TopicInteractions, true
	}
	return "", false
}

// isForeign tells whether a type has the form ext.<provider>.<name>, where the name may have further dots.
func isForeign(typ string) bool {
	rest, ok := strings.CutPrefix(typ, "ext.")
	if !ok {
		return false
	}
	provider, name, ok := strings.Cut(rest, ".")
	return ok && isTypeWord(provider) && !slices.ContainsFunc(strings.Split(name, "."), func(w string) bool { return !isTypeWord(w) })
}

// isTypeWord tells whether s begins with a lower-case letter or digit and goes on with those, "_" and "-".
func isTypeWord(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return s != ""
}

// bodyOf is the field of Content.body that belongs to a type; "" for a type that is neither registered nor foreign.
func bodyOf(typ string) string {
	if t := byName[typ]; t != nil {
		return t.Body
	}
	if isForeign(typ) {
		return "extension"
	}
	return ""
}
