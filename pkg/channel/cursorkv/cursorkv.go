// Package cursorkv keeps the cursors of channels that pull in the store. It looks into none of them.
package cursorkv

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/kv"
)

// Namespace is where the cursors are kept, each under its name. It is no read model: the log does not tell them again.
var Namespace = kv.Namespace{Slice: "cursors"} //nolint:gochecknoglobals // a constant

// Cursors are channel.Cursors in a store. They are safe for concurrent use, in several processes where the store is.
type Cursors struct {
	store kv.Store
}

var _ channel.Cursors = (*Cursors)(nil)

// New keeps cursors in a store, which it does not close.
func New(store kv.Store) *Cursors { return &Cursors{store: store} }

// Cursor implements channel.Cursors.
func (c *Cursors) Cursor(ctx context.Context, name string) (string, error) {
	snap, err := c.store.Snapshot(ctx, Namespace)
	if err != nil {
		return "", fmt.Errorf("cursorkv: read %q: %w", name, retryable(ctx, err))
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	value, _, err := snap.Get(ctx, []byte(name))
	if err != nil {
		return "", fmt.Errorf("cursorkv: read %q: %w", name, retryable(ctx, err))
	}
	return string(value), nil
}

// MoveCursor implements channel.Cursors. After ErrRetry the cursor may have moved nevertheless: read it again.
func (c *Cursors) MoveCursor(ctx context.Context, name, was, is string) error {
	var b kv.Batch
	b.Require([]byte(name), present(was))
	if is == "" {
		b.Delete([]byte(name))
	} else {
		b.Set([]byte(name), []byte(is))
	}
	err := c.store.Apply(ctx, Namespace, &b)
	if errors.Is(err, kv.ErrConflict) {
		err = channel.ErrCursorMoved
	} else if err != nil {
		err = retryable(ctx, err)
	}
	if err != nil {
		return fmt.Errorf("cursorkv: move %q: %w", name, err)
	}
	return nil
}

// present is what the store holds of a cursor: an empty one is not there.
func present(cursor string) []byte {
	if cursor == "" {
		return nil
	}
	return []byte(cursor)
}

// retryable marks errors after which another try may help.
func retryable(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, kv.ErrInvalid) || errors.Is(err, kv.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", channel.ErrRetry, err)
}
