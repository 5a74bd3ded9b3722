package channel

import (
	"context"
	"errors"
)

// ErrCursorMoved means that somebody else has moved a cursor since it was read: another process pulls from the same source.
var ErrCursorMoved = errors.New("channel: another process has moved the cursor")

// Cursors keep how far a channel that pulls has come in its source, over restarts and processes. Move a cursor only after
// everything before it was submitted without an error: what is pulled again meanwhile is stored once. They may be lost with the
// store; a channel then pulls everything again. They are safe for concurrent use.
type Cursors interface {
	// Cursor reads a cursor; empty where there is none. The name is the channel's own: of its tenant, inbox and source.
	Cursor(ctx context.Context, name string) (string, error)
	// MoveCursor sets a cursor that was read as was. ErrCursorMoved means that it is another one by now: read it again, and
	// let some time pass. ErrRetry means that another try may help.
	MoveCursor(ctx context.Context, name, was, is string) error
}
