package event

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Violation is one thing that is wrong with a submission or an event.
type Violation struct {
	// Field is its path from the submission or event, such as parties[0].address.value; empty for the whole.
	Field string
	// Reason completes the sentence that the field begins: "is not valid UTF-8".
	Reason string
}

// InvalidError tells everything that is wrong with a submission, or with an event. Handing the same in again fails again.
type InvalidError struct {
	Violations []Violation // one for each field, at least one
}

// Error lists the first few violations.
func (e *InvalidError) Error() string {
	const most = 5
	var b strings.Builder
	b.WriteString("event: invalid")
	for i, v := range e.Violations {
		switch i {
		case 0:
			b.WriteString(": ")
		case most:
			fmt.Fprintf(&b, "; and %d more", len(e.Violations)-most)
			return b.String()
		default:
			b.WriteString("; ")
		}
		if v.Field != "" {
			b.WriteString(v.Field + " ")
		}
		b.WriteString(v.Reason)
	}
	return b.String()
}

// violations collects what is wrong, the first reason for each field.
type violations struct {
	list []Violation
	seen map[string]bool
}

func (v *violations) add(field, reason string) {
	if v.seen[field] {
		return
	}
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	v.seen[field] = true
	v.list = append(v.list, Violation{field, reason})
}

// err is nil where nothing is wrong.
func (v *violations) err() error {
	if len(v.list) == 0 {
		return nil
	}
	return &InvalidError{v.list}
}

func (v *violations) text(field, s string) {
	if !utf8.ValidString(s) {
		v.add(field, "is not valid UTF-8")
	}
}

// values checks what protobuf lets a program put together but cannot carry, or what no reader could show: wrong UTF-8,
// and times and durations outside their range.
func (v *violations) values(path string, m protoreflect.Message) {
	switch known := m.Interface().(type) {
	case *timestamppb.Timestamp:
		if m.IsValid() && !known.IsValid() {
			v.add(path, "is no valid time")
		}
		return
	case *durationpb.Duration:
		if m.IsValid() && !known.IsValid() {
			v.add(path, "is no valid duration")
		}
		return
	}
	if path != "" {
		path += "."
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := path + string(field.Name())
		switch {
		case field.IsMap():
			value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				entry := fmt.Sprintf("%s[%q]", name, key.String())
				v.text(entry, key.String())
				v.value(entry, field.MapValue(), value)
				return true
			})
		case field.IsList():
			for i := range value.List().Len() {
				v.value(fmt.Sprintf("%s[%d]", name, i), field, value.List().Get(i))
			}
		default:
			v.value(name, field, value)
		}
		return true
	})
}

func (v *violations) value(path string, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch {
	case field.Message() != nil:
		v.values(path, value.Message())
	case field.Kind() == protoreflect.StringKind:
		v.text(path, value.String())
	}
}
