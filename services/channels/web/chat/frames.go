package chat

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// ack tells that the log has what a frame said.
type ack struct {
	Type     string   `json:"type"` // ack
	ID       string   `json:"id"`
	Event    string   `json:"event"`
	Position position `json:"position"`
}

type position struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

func positionOf(p eventlog.Position) position { return position{p.Topic, p.Partition, p.Offset} }

// mark is a frame of type ready, reset or pong.
type mark struct {
	Type   string `json:"type"`
	Cursor string `json:"cursor,omitempty"`
}

// typingFrame tells a visitor that an agent or bot begins to type, or is not typing any more.
type typingFrame struct {
	Type string `json:"type"` // typing
	typist
	On bool `json:"on"`
}

// eventFrame shows a visitor what happened in the thread.
type eventFrame struct {
	Type     string      `json:"type"` // event
	Event    string      `json:"event"`
	Cursor   string      `json:"cursor,omitempty"`
	Name     string      `json:"name"`
	From     string      `json:"from"`
	Author   string      `json:"author,omitempty"`
	At       string      `json:"at"`
	ID       string      `json:"id"`
	Refers   string      `json:"refers,omitempty"`
	Text     string      `json:"text,omitempty"`
	Reaction *string     `json:"reaction,omitempty"`
	Survey   string      `json:"survey,omitempty"`
	Files    []shownFile `json:"files,omitempty"`
}

// shownFile is a file as a visitor sees it.
type shownFile struct {
	// File opens it under files/. Empty where it cannot be had here.
	File      string `json:"file,omitempty"`
	Name      string `json:"name"`
	MediaType string `json:"media_type,omitempty"`
	Size      int64  `json:"size,omitempty"`
}

// problem is what went wrong, for a program (code, field) and a person (message); as a frame or the body of an answer.
type problem struct {
	Type       string  `json:"type"` // error
	ID         string  `json:"id,omitempty"`
	Code       string  `json:"code"`
	Message    string  `json:"message"`
	Field      string  `json:"field,omitempty"`
	RetryAfter seconds `json:"retry_after,omitempty"`

	status int
}

// seconds is a duration as JSON shows it.
type seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, math.Ceil(time.Duration(s).Seconds()*1000)/1000, 'f', -1, 64), nil
}

func newProblem(status int, code, message string) *problem {
	return &problem{Type: "error", Code: code, Message: message, status: status}
}

func unauthorized(message string) *problem {
	return newProblem(http.StatusUnauthorized, "unauthorized", message)
}

func badFrame(message string) *problem {
	return newProblem(http.StatusBadRequest, "bad_frame", message)
}

func tooLarge(message string) *problem {
	return newProblem(http.StatusRequestEntityTooLarge, "too_large", message)
}

// invalid is a frame's problem with one of its fields.
func invalid(field, message string) *problem {
	p := newProblem(http.StatusBadRequest, "invalid", message)
	p.Field = field
	return p
}

func limited(after time.Duration) *problem {
	p := newProblem(http.StatusTooManyRequests, "rate_limited", "too fast: send it again after retry_after seconds")
	p.RetryAfter = seconds(after)
	return p
}

func unavailable(message string, after time.Duration) *problem {
	p := newProblem(http.StatusServiceUnavailable, "unavailable", message)
	p.RetryAfter = seconds(after)
	return p
}

// write answers a request with it.
func (p *problem) write(w http.ResponseWriter) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatFloat(math.Ceil(time.Duration(p.RetryAfter).Seconds()), 'f', 0, 64))
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, p.status, p)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // nothing here holds what JSON cannot
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller may be gone
}
