package kvtest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
)

// Counted is a store that counts the snapshots that are open.
type Counted struct {
	kv.Store
	open atomic.Int64
}

// Snapshot implements kv.Store.
func (c *Counted) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	snap, err := c.Store.Snapshot(ctx, ns)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &counted{Snapshot: snap, open: &c.open}, nil
}

// AwaitNone waits until no snapshot is open, such as while a caller does not take what it is told.
func (c *Counted) AwaitNone(t testing.TB) {
	t.Helper()
	limit := time.After(time.Minute)
	for c.open.Load() > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-limit:
			t.Fatalf("%d snapshots are held", c.open.Load())
		}
	}
}

type counted struct {
	kv.Snapshot
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *counted) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.Snapshot.Close()
}
