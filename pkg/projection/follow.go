package projection

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// pollFollowed is how often a follower looks where nobody tells it that something was applied: in another process.
	pollFollowed = 20 * time.Millisecond
	// afterFailure is how long it leaves a store alone that it could not read.
	afterFailure = 500 * time.Millisecond
)

// Follower sees what is applied to a slice, by this process or another one, once for all in this process who wait for it.
type Follower struct {
	Store      kv.Store
	Slice      string
	Topic      string
	Partitions int
	// Progress wakes it; may be nil. Who waits for positions is told through it of what other processes have applied.
	Progress *Progress
	// Logger may be nil.
	Logger *slog.Logger

	serving  kv.Namespace
	followed Vector
}

// Pass is what was applied since the pass before.
type Pass struct {
	kv.Snapshot
	Namespace kv.Namespace
	// From and Until are the next offsets of each partition before and now. Partitions of which nothing was applied are missing.
	From, Until Vector
	// Reset says that this is the first pass, or that another generation serves than before, or one that holds less: From is Until, and
	// what was known before does not count.
	Reset bool
}

// Run calls pass for whatever is applied, one call at a time, until ctx ends, and then returns nil. A pass that fails comes again, with
// what was applied since.
func (f *Follower) Run(ctx context.Context, pass func(context.Context, Pass) error) error {
	Poll(ctx, f.Logger, f.Slice, func(ctx context.Context) error { return f.Once(ctx, pass) }, f.Progress, nil)
	return nil
}

// Poll calls look whenever a progress tells of something, and else every few milliseconds, for what other processes apply, until ctx ends. What
// fails it tries again, after a while; what names it in the log. Logger and both progresses may be nil.
func Poll(ctx context.Context, logger *slog.Logger, what string, look func(context.Context) error, progress, also *Progress) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		pause, changed, changedToo := pollFollowed, progress.Changed(), also.Changed()
		if err := look(ctx); err != nil && ctx.Err() == nil {
			pause, changed, changedToo = afterFailure, nil, nil
			if logger != nil {
				logger.ErrorContext(ctx, "cannot follow a read model, trying again", "slice", what, "in", pause, "error", err)
			}
		}
		tick.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-changedToo:
		case <-tick.C:
		}
	}
}

// Once calls pass if anything was applied since the last time. It must not be called while Run runs.
func (f *Follower) Once(ctx context.Context, pass func(context.Context, Pass) error) error {
	ctx = kv.Job(ctx)
	ns, err := Serving(ctx, f.Store, f.Slice)
	if err != nil {
		return err
	}
	snap, err := f.Store.Snapshot(ctx, ns)
	if err != nil {
		return fmt.Errorf("projection: follow %s: %w", f.Slice, err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	applied, err := Applied(ctx, snap, f.Topic, f.Partitions)
	if err != nil {
		return err
	}
	p := Pass{Snapshot: snap, Namespace: ns, From: f.followed, Until: applied}
	if p.Reset = f.followed == nil || ns != f.serving || less(applied, f.followed); p.Reset {
		p.From = applied
	} else if maps.Equal(applied, f.followed) {
		return nil
	}
	if err := pass(ctx, p); err != nil {
		return err
	}
	f.serving, f.followed = ns, applied
	f.Progress.Notify()
	return nil
}

// less tells whether a read model holds less than was seen: it was dropped and is being built again.
func less(applied, seen Vector) bool {
	for p, next := range seen {
		if applied[p] < next {
			return true
		}
	}
	return false
}
