package meta

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
)

// maxReason is how much of what the API says goes into a reason, in bytes.
const maxReason = 1024

// Error is what the Graph API said. It wraps a *channel.RefusedError, channel.ErrRetry (with the time after which to come again,
// where it is known) or channel.ErrUnknown, by the documented meaning of its code.
type Error struct {
	// Status of the answer.
	Status int
	// Code and Subcode are Meta's; 0 where the answer has none.
	Code, Subcode int
	// Type such as "OAuthException".
	Type string
	// Message, and Details where there are any, are Meta's words, without the token.
	Message, Details string
	// Trace is Meta's id of the request, for its support.
	Trace string

	kind error
}

// Error says all but the kind of error, which errors.Is and errors.As find.
func (e *Error) Error() string {
	text := fmt.Sprintf("meta: the API answered %d", e.Status)
	if e.Code != 0 {
		text += fmt.Sprintf(", code %d", e.Code)
	}
	if e.Subcode != 0 {
		text += fmt.Sprintf("/%d", e.Subcode)
	}
	if reason := e.reason(); reason != "" {
		text += ": " + reason
	}
	if e.Trace != "" {
		text += " (fbtrace_id " + e.Trace + ")"
	}
	return text
}

// Unwrap gives the kind of error.
func (e *Error) Unwrap() error { return e.kind }

func (e *Error) reason() string {
	switch {
	case e.Details == "" || strings.Contains(e.Message, e.Details):
		return e.Message
	case e.Message == "":
		return e.Details
	}
	return e.Message + ": " + e.Details
}

// Problem is Meta's own form of an error, as it stands in an answer or in a webhook: {"message", "type", "code", "error_subcode", "fbtrace_id",
// "error_data": {"details"}}, with the title that webhooks have.
type Problem struct {
	Message      string          `json:"message"`
	Title        string          `json:"title"`
	Type         string          `json:"type"`
	Code         int             `json:"code"`
	Subcode      int             `json:"error_subcode"`
	IsTransient  bool            `json:"is_transient"`
	UserTitle    string          `json:"error_user_title"`
	UserMessage  string          `json:"error_user_msg"`
	Trace        string          `json:"fbtrace_id"`
	Data         json.RawMessage `json:"error_data"`
	PlainDetails string          `json:"details"`
}

// Details are those of error_data, which is an object, or sometimes a text.
func (p Problem) Details() string {
	var data struct {
		Details string `json:"details"`
	}
	if json.Unmarshal(p.Data, &data) == nil && data.Details != "" {
		return data.Details
	}
	var text string
	if json.Unmarshal(p.Data, &text) == nil && text != "" {
		return text
	}
	return p.PlainDetails
}

// failure makes an error of an answer.
func failure(answer *http.Response, raw []byte, access Access) error {
	var said struct {
		Error Problem `json:"error"`
	}
	_ = json.Unmarshal(raw, &said) // what is no error of Meta's has no code
	f := said.Error
	details := f.Details()
	if details == "" && f.UserMessage != "" {
		details = f.UserMessage
	}
	e := &Error{
		Status: answer.StatusCode, Code: f.Code, Subcode: f.Subcode, Type: clean(f.Type, access), Trace: clean(f.Trace, access),
		Message: clean(f.Message, access), Details: clean(details, access),
	}
	status := answer.StatusCode
	switch {
	case limited(f.Code), f.IsTransient, status == http.StatusTooManyRequests, f.Code == 0 && status == http.StatusServiceUnavailable:
		e.kind = later(answer)
	case f.Code != 0 && f.Code != unspecific, status/100 == 4:
		code := strconv.Itoa(f.Code)
		if f.Code == 0 {
			code = strconv.Itoa(status)
		}
		reason := e.reason()
		if reason == "" {
			reason = "the provider answered " + strconv.Itoa(status)
		}
		e.kind = &channel.RefusedError{Code: code, Reason: reason}
	default:
		e.kind = channel.ErrUnknown
	}
	return e
}

// unspecific is a code that comes with every other failure: without is_transient it says nothing.
const unspecific = -1

// limited tells the codes of what Meta did not do now, and asks to be asked for again.
func limited(code int) bool {
	switch code {
	case 1, 2, // unknown error, service down: "wait and retry"
		4, 17, 32, 341, 613, // calls of the app, a user, a page
		1200,                                                                        // Messenger: temporary send message failure
		80000, 80001, 80002, 80003, 80004, 80005, 80006, 80007, 80008, 80009, 80014, // a business's limits, by use case
		130429, 131048, 131056, 131064, // messages of the account; spam; to one customer; by template classification
		131000, 131016, 131057, 133004: // unknown error, service unavailable, maintenance, server unavailable
		return true
	}
	return false
}

// canBeMended tells the codes of what somebody at the company can put right: a token that is renewed, a permission that is granted.
func (e *Error) canBeMended() bool {
	switch {
	case e.Code == 3, e.Code == 10, e.Code == 102, e.Code == 190, e.Code >= 200 && e.Code <= 299, e.Code == 131005:
		return true
	}
	return e.Code == 0 && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// later is channel.ErrRetry, with the time that the API itself names: Retry-After, or the minutes of X-Business-Use-Case-Usage
// (https://developers.facebook.com/docs/graph-api/overview/rate-limiting).
func later(answer *http.Response) error {
	if answer.Header.Get("Retry-After") == "" {
		if minutes := regained(answer.Header.Get("X-Business-Use-Case-Usage")); minutes > 0 {
			answer.Header.Set("Retry-After", strconv.Itoa(minutes*60))
		}
	}
	return httpsend.Later(answer, time.Now())
}

// regained gives the longest of the estimated times to regain access, in minutes, a day at most.
func regained(header string) int {
	var usage map[string][]struct {
		Minutes int `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(header), &usage) != nil {
		return 0
	}
	longest := 0
	for _, uses := range usage {
		for _, u := range uses {
			longest = max(longest, u.Minutes)
		}
	}
	return min(longest, 24*60)
}

// clean makes Meta's words fit for an event, and takes what is secret out of them: some name the token that was wrong.
func clean(text string, access Access) string {
	for _, secret := range []string{access.Token, access.AppSecret} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "...")
		}
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}
