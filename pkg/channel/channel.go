// Package channel is the contract between Skein and a channel adapter: what takes a provider's calls, mails or messages
// and hands them in as events. An adapter derives everything from the payload and looks nothing up.
package channel

import (
	"context"
	"errors"
	"io"

	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ErrRetry is what Host's methods wrap where the same call may succeed later: the log or the disk does not answer, or too
// much is under way. Tell the provider to try again. Every other error is for good: the payload itself is wrong.
var ErrRetry = errors.New("channel: try again later")

// Channel takes events from one kind of source. Skein calls Open once, then Run once.
type Channel interface {
	// Name is provider and transport, such as "email.smtp"; it labels metrics and logs.
	Name() string
	// Open claims what the channel needs, such as a port, so that a misconfiguration shows at start. It returns at once.
	Open(ctx context.Context, host Host) error
	// Run serves until ctx ends, then finishes what was begun and returns nil.
	Run(ctx context.Context) error
}

// Acknowledgement tells that an event is durable.
type Acknowledgement struct {
	EventID, ThreadID string
	Position          eventlog.Position
}

// Rejection is a payload that could not be understood.
type Rejection struct {
	Tenant, Provider, Inbox string
	// Reason says what is wrong, for a person.
	Reason string
	// Raw is the payload as it came.
	Raw []byte
}

// BlobInfo says what a blob is and where it belongs. Inbox and Thread are those of the submission that will refer to it.
type BlobInfo struct {
	Tenant, Inbox, Thread string
	// MediaType as stated; empty where it is not known.
	MediaType string
}

// Host is what Skein gives an adapter. It is safe for concurrent use. Acknowledge a payload to its provider only after
// its events were submitted (or the payload was rejected) without an error.
type Host interface {
	// Submit appends events to the log and returns when all are durable. An *event.InvalidError names the wrong fields,
	// and nothing was published; ErrRetry asks for another try. The same submission may be handed in any number of times.
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]Acknowledgement, error)
	// PutBlob stores bytes under the hash of their content and returns the reference to put into an event. Storing the
	// same bytes in the same thread again is cheap and gives the same reference.
	PutBlob(ctx context.Context, info BlobInfo, r io.Reader) (*eventv1.Blob, error)
	// Reject keeps a payload that was authentic but could not be understood among the dead letters.
	Reject(ctx context.Context, r Rejection) error
}
