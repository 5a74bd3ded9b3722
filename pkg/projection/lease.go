package projection

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
	// leaseFor is how long the others wait for a builder that says nothing. Clocks may differ by less than that: two
	// builders at once fence each other out, which costs time and nothing else.
	leaseFor = 20 * time.Second
	// renewEvery is how often a builder says that it lives.
	renewEvery = 5 * time.Second
)

var errLeaseLost = errors.New("projection: another process goes on with the rebuild")

// lease keeps two processes from building one generation at the same time.
type lease struct {
	store kv.Store
	key   []byte
	owner string
	now   func() time.Time
}

func newLease(store kv.Store, slice string, now func() time.Time) *lease {
	return &lease{store: store, key: []byte(slice + "/builder"), owner: rand.Text(), now: now}
}

// take takes or renews the lease, and tells whether it is this one's.
func (l *lease) take(ctx context.Context) (mine bool, err error) {
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
	b.Set(l.key, fmt.Appendf(nil, "%s %d", l.owner, l.now().Add(leaseFor).UnixMilli()))
	err = l.store.Apply(ctx, pointers(), b)
	if errors.Is(err, kv.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// drop gives the lease back, if it is this one's.
func (l *lease) drop(ctx context.Context) error {
	held, err := l.read(ctx)
	if err != nil || !strings.HasPrefix(string(held), l.owner+" ") {
		return err
	}
	b := &kv.Batch{}
	b.Require(l.key, held)
	b.Delete(l.key)
	if err := l.store.Apply(ctx, pointers(), b); !errors.Is(err, kv.ErrConflict) {
		return err
	}
	return nil
}

func (l *lease) read(ctx context.Context) ([]byte, error) {
	snap, err := l.store.Snapshot(ctx, pointers())
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	held, _, err := snap.Get(ctx, l.key)
	return held, err
}

// hold runs work while the lease is held, and renews it meanwhile. The context of the work ends with the lease.
func (l *lease) hold(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for deadline := l.now().Add(leaseFor); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			began := l.now()
			switch mine, err := l.take(ctx); {
			case mine:
				deadline = began.Add(leaseFor)
			case err == nil || l.now().After(deadline): // a store that is away may come back in time
				cancel(errLeaseLost)
				return
			}
		}
	}()
	err := work(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, errLeaseLost) {
		err = cause
	}
	cancel(nil)
	<-renewed
	return err
}
