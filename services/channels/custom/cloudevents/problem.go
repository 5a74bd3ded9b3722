package cloudevents

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
)

// origin is the event that something was made of.
type origin struct {
	index int // in its request
	id    string
}

// mistake is one thing that is wrong with an event, as its sender is told.
type mistake struct {
	// Event is its place in the request, from 0.
	Event int `json:"event"`
	// ID is the event's own, where it could be read.
	ID string `json:"id,omitempty"`
	// Field is an attribute, or a path in the data.
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// invalidError tells everything that is wrong with a request.
type invalidError struct{ list []mistake }

func (e *invalidError) Error() string {
	const most = 3
	var b strings.Builder
	b.WriteString("custom/cloudevents: ")
	for i, w := range e.list {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.list)-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "event %d: %s", w.Event, strings.TrimSpace(w.Field+" "+w.Reason))
	}
	return b.String()
}

func (e *invalidError) of(o origin, violations []event.Violation) {
	for _, v := range violations {
		e.list = append(e.list, mistake{Event: o.index, ID: o.id, Field: v.Field, Reason: v.Reason})
	}
}

// request is what is wrong with a request as a whole.
func request(field, reason string) error {
	return &invalidError{[]mistake{{Field: field, Reason: reason}}}
}

// submitted finds out which events the fields of wrong submissions belong to: the host names submissions[i].field.
func submitted(e *event.InvalidError, of []origin) error {
	var all invalidError
	for _, v := range e.Violations {
		field, i := v.Field, 0
		if rest, ok := strings.CutPrefix(field, "submissions["); ok {
			number, path, _ := strings.Cut(rest, "]")
			if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(of) {
				i, field = n, strings.TrimPrefix(path, ".")
			}
		}
		if field != "" {
			field = "data." + field
		}
		all.of(of[i], []event.Violation{{Field: field, Reason: v.Reason}})
	}
	return &all
}

// problem is a problem details object (RFC 9457) of the type about:blank.
type problem struct {
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Detail string    `json:"detail"`
	Errors []mistake `json:"errors,omitempty"`
}

// refuse answers what was not understood.
func refuse(w http.ResponseWriter, err error) {
	p := problem{
		Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest,
		Detail: "Nothing of the request was published.",
	}
	if invalid, ok := errors.AsType[*invalidError](err); ok {
		p.Errors = invalid.list
	}
	body, err := json.Marshal(p)
	if err != nil { // it holds texts and numbers only
		http.Error(w, p.Detail, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // whoever is gone will ask again
}
