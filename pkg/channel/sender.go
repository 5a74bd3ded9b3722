package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ErrUnknown is what a Sender's error wraps where the provider may or may not have the message: the connection broke after the
// request had begun to go out, or the answer says nothing. Nothing that is unknown is sent again silently.
var ErrUnknown = errors.New("channel: it is not known whether the message was sent")

// RefusedError is a Sender's error where the message was not sent, and trying again would not help.
type RefusedError struct {
	// Code is the provider's, such as "21610" or "5.1.1"; or a word for what the channel itself found, such as "no_recipient".
	Code string
	// Reason is for a person, best in the provider's words. It goes into an event; nothing secret belongs into it.
	Reason string
}

// Error is the reason with its code.
func (e *RefusedError) Error() string { return "channel: refused: " + e.Reason + " (" + e.Code + ")" }

// Outgoing is a message to be sent.
type Outgoing struct {
	// Tenant, Inbox and Thread say where it goes out; Thread is the provider's id, as the adapter itself made it.
	Tenant, Inbox, Thread string
	// RequestID is the id of the event that asked for it, a UUID. It is the key for a provider that takes each key once only:
	// another attempt of one request has the same one.
	RequestID string
	// To are the customer's addresses, those that the request names, the first first. Empty where the thread says it all.
	To []*eventv1.Address
	// Parties are all parties of the request, and Actor who asked for it, so that the provider's echo can be told in full.
	Parties []*eventv1.SubmittedParty
	// Actor may be nil.
	Actor *eventv1.SubmittedActor
	// Message is what to say.
	Message *eventv1.Message
	// Attachments are files to send along.
	Attachments []OutgoingFile
	// RequestedAt is when Skein took the request in.
	RequestedAt time.Time
	// LastReceived is when the customer last wrote in the thread, as far as it is known; zero where that is not known. Some
	// providers let a company answer for so long only.
	LastReceived time.Time
	// Attempt counts from 1. Further ones come where the first was certainly not sent, or to an Idempotent sender.
	Attempt int
}

// Within refuses a message that would go out later after the customer's last one than a provider allows, before it is
// sent: as window_closed, with what may be done instead. A message of a thread in which the customer never wrote is refused as well.
func (o Outgoing) Within(window time.Duration, now time.Time, instead string) error {
	switch ago := now.Sub(o.LastReceived); {
	case o.LastReceived.IsZero():
		return &RefusedError{Code: CodeWindowClosed, Reason: fmt.Sprintf("the customer has not written in this thread, and can be answered for %s only: %s", hours(window), instead)}
	case ago > window:
		return &RefusedError{Code: CodeWindowClosed, Reason: fmt.Sprintf("the customer last wrote %s ago, and can be answered for %s only: %s", hours(ago), hours(window), instead)}
	}
	return nil
}

// CodeWindowClosed is the code of a message that the provider does not allow any more.
const CodeWindowClosed = "window_closed"

func hours(d time.Duration) string { return fmt.Sprintf("%.0f hours", d.Hours()) }

// OutgoingFile is a file that is sent along.
type OutgoingFile struct {
	// Attachment is its reference and name, as the request has it.
	*eventv1.Attachment
	// Open gives its bytes, whole and checked. Open all files before the first byte goes to the provider: the error is
	// then one that a Sender can hand on as it is.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Sent is a message that the provider has accepted.
type Sent struct {
	// NativeID is the provider's id of the message, under which its statuses and its echo come.
	NativeID string
	// At is when it was sent, as the provider says; zero where it says nothing. A channel whose message.delivered and message.read have the request
	// as their causation_id gives neither At nor Echo: such a receipt alone makes the same message.sent where the provider's answer is lost.
	At time.Time
	// Echo is message.sent exactly as the channel makes it when the provider tells of the message on its own (a copy in the
	// folder of sent mails, an echo by webhook), so that both are one event. Nil where no such thing comes: Skein then makes
	// message.sent of the request. Where the echo carries the request's id, give it that as its causation_id.
	Echo *eventv1.Submission
}

// Sender is what a channel also is that can send. It is safe for concurrent use; messages of one thread come one after the other.
type Sender interface {
	// Send hands one message to the provider, once, and returns when the provider has accepted it. It gives up when ctx ends.
	// It tries nothing again by itself. Its errors are told apart: a *RefusedError is for good; ErrRetry means that it was
	// certainly not sent (an error that has a method RetryAfter() time.Duration says when to come again); ErrUnknown and every
	// other error, a panic among them, mean that it may have been sent.
	Send(ctx context.Context, out Outgoing) (Sent, error)
	// Idempotent reports whether the provider sends a message once only, however often it is asked with the same RequestID:
	// what is unknown may then be tried again.
	Idempotent() bool
}
