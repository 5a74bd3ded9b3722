// Package lease lets one of several processes on one store do what one at a time is enough for. It saves work and decides nothing: clocks
// may differ, and a process may stop for a while and go on. So whatever is done under a lease is guarded by compare-and-set as well; two
// at once fence each other out, which costs time and nothing else.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// For is how long the others wait for a holder that says nothing.
	For = 20 * time.Second
	// renewEvery is how often a holder says that it lives.
	renewEvery = 5 * time.Second
)

// ErrLost means that another process holds the lease by now.
var ErrLost = errors.New("lease: another process holds it")

// Lease is one process's view of a lease. Not for concurrent use.
type Lease struct {
	store kv.Store
	ns    kv.Namespace
	key   []byte
	owner string
	now   func() time.Time
}

// New prepares a lease that stands under a key of a namespace.
func New(store kv.Store, ns kv.Namespace, key string, now func() time.Time) *Lease {
	return &Lease{store: store, ns: ns, key: []byte(key), owner: rand.Text(), now: now}
}

// Alone is for a process that owns the store: nobody else can hold the lease, and what a process before it has left does not count.
func (l *Lease) Alone() *Lease {
	l.owner = "owner-of-the-store"
	return l
}

// Take takes or renews the lease, and tells whether it is this one's.
func (l *Lease) Take(ctx context.Context) (mine bool, err error) {
	held, err := l.read(ctx)
	if err != nil {
		return false, err
	}
	owner, until, _ := strings.Cut(string(held), " ")
	if ms, err := strconv.ParseInt(until, 10, 64); err == nil && owner != l.owner && l.now().Before(time.UnixMilli(ms)) {
		return false, nil
	}
	b := &kv.Batch{}
	b.Require(l.key, held)
	b.Set(l.key, fmt.Appendf(nil, "%s %d", l.owner, l.now().Add(For).UnixMilli()))
	err = l.store.Apply(ctx, l.ns, b)
	if errors.Is(err, kv.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Drop gives the lease back, if it is this one's.
func (l *Lease) Drop(ctx context.Context) error {
	held, err := l.read(ctx)
	if err != nil || !strings.HasPrefix(string(held), l.owner+" ") {
		return err
	}
	b := &kv.Batch{}
	b.Require(l.key, held)
	b.Delete(l.key)
	if err := l.store.Apply(ctx, l.ns, b); !errors.Is(err, kv.ErrConflict) {
		return err
	}
	return nil
}

func (l *Lease) read(ctx context.Context) ([]byte, error) {
	snap, err := l.store.Snapshot(ctx, l.ns)
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	held, _, err := snap.Get(ctx, l.key)
	return held, err
}

// Hold runs work while the lease, which was taken, is held, and renews it meanwhile. The context of the work ends with the lease; Hold then
// returns ErrLost.
func (l *Lease) Hold(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for deadline := l.now().Add(For); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			began := l.now()
			switch mine, err := l.Take(ctx); {
			case mine:
				deadline = began.Add(For)
			case err == nil || l.now().After(deadline): // a store that is away may come back in time
				cancel(ErrLost)
				return
			}
		}
	}()
	err := work(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, ErrLost) {
		err = cause
	}
	cancel(nil)
	<-renewed
	return err
}
