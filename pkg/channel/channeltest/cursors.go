package channeltest

import (
	"context"
	"fmt"
	"sync"

	"github.com/skein-cx/skein/pkg/channel"
)

// Cursors are channel.Cursors in memory. The zero value is ready. They are safe for concurrent use.
type Cursors struct {
	mu      sync.Mutex
	at      map[string]string
	failure error
}

var _ channel.Cursors = (*Cursors)(nil)

// Fail makes every call fail with an error, until it is called with nil.
func (c *Cursors) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// Cursor implements channel.Cursors.
func (c *Cursors) Cursor(_ context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[name], c.failure
}

// MoveCursor implements channel.Cursors.
func (c *Cursors) MoveCursor(_ context.Context, name, was, is string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return c.failure
	}
	if c.at[name] != was {
		return fmt.Errorf("channeltest: move %s: %w", name, channel.ErrCursorMoved)
	}
	if c.at == nil {
		c.at = map[string]string{}
	}
	c.at[name] = is
	return nil
}

func (c *Cursors) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = nil
}
