package channel

import (
	"context"
	"errors"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ErrStaleCursor means that a thread cannot be followed from a cursor any more: follow it from its beginning.
var ErrStaleCursor = errors.New("channel: the cursor is too old: follow from the beginning")

// Thread names a thread as its adapter does.
type Thread struct {
	Tenant, Inbox, Thread string
}

// Filed is an event of a thread, as the log has it, the adapter's own ones included. Without an event it is a mark, which
// tells that everything up to its cursor was yielded.
type Filed struct {
	// Event is nil in a mark.
	Event *eventv1.Event
	// Content is nil where it is sealed.
	Content *eventv1.Content
	// Cursor goes on behind this event, on any process. Empty within the history of a thread, but for its last event.
	Cursor string
}

// Follower lets a channel that also sends see what happens in its threads: an agent's or a bot's message that somebody
// published. It is safe for concurrent use.
type Follower interface {
	// Follow calls yield for each event of the thread: from an empty cursor, for those that there are, oldest first, and
	// then for each as it is filed; from a cursor, for each that was filed behind it. It returns when ctx ends, with
	// yield's error, with ErrStaleCursor, or with ErrRetry where another try may go on. It may yield a mark whenever all was
	// yielded, best behind the history, so that the end of a history shows, even of an empty one.
	Follow(ctx context.Context, thread Thread, cursor string, yield func(Filed) error) error
}
