package timeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// checkpointEvery is how often a watch that has nothing to tell moves the cursor on, so that it does not grow too old.
const checkpointEvery = 10 * time.Second

// watch is one caller's watch.
type watch struct {
	hub *Hub
	Selection
	cursor cursor
	// fresh: the caller brought no cursor, and begins with what is filed from now on.
	fresh bool
	// send tells what was filed, or nothing, and where to go on behind it.
	send func(r *row, cursor string) error
}

// errReset ends a watch whose read model was built anew.
var errReset = errors.New("timeline: the read model was built anew: list again")

// run sends what is filed until ctx ends. Each turn joins the hub, reads for itself what was followed before it joined,
// and then takes what the hub hands out, until the hub sends it away because it is too slow or everything has changed.
func (w *watch) run(ctx context.Context) error {
	for {
		joined, err := w.hub.join(ctx, w.Selection)
		if err != nil {
			return err
		}
		ended, err := w.turn(ctx, joined)
		w.hub.leave(joined)
		if err != nil || ended {
			return err
		}
	}
}

func (w *watch) turn(ctx context.Context, joined *watcher) (ended bool, err error) {
	if w.fresh {
		w.cursor.generation, w.cursor.next, w.fresh = joined.ns.Generation, placesOf(joined.from), false
		if err := w.checkpoint(); err != nil {
			return true, err
		}
	}
	if w.cursor.generation != joined.ns.Generation {
		return true, errReset
	}
	if err := w.backfill(ctx, joined); err != nil {
		return true, err
	}
	return w.live(ctx, joined)
}

// backfill sends what lies between the cursor and what was followed when the watcher joined.
func (w *watch) backfill(ctx context.Context, joined *watcher) error {
	snap, err := w.hub.store.Snapshot(ctx, joined.ns)
	if err != nil {
		return fmt.Errorf("timeline: watch: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	for p, next := range w.cursor.next {
		if (place{offset: joined.from[p]}).before(next) {
			return ErrExpiredCursor // it has seen more than there is
		}
	}
	for p, until := range joined.from {
		if w.cursor.next[p].offset < until-changeWindow {
			return ErrExpiredCursor
		}
		err := eachChange(ctx, snap, p, w.cursor.next[p], until, func(at place, c change) error {
			if c.tenant != w.Tenant {
				return nil
			}
			if !w.hasAny(c.endpoints) && !slices.Contains(w.Threads, c.thread) {
				return nil
			}
			r, err := load(ctx, snap, c)
			if err != nil || !w.selects(r, at, c) {
				return err
			}
			return w.entry(filing{partition: p, at: at, row: r})
		})
		if err != nil {
			return err
		}
		w.cursor.next[p] = place{offset: until}
	}
	return nil
}

// live sends what the hub hands out, and reports whether the watch has ended.
func (w *watch) live(ctx context.Context, joined *watcher) (ended bool, err error) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case f, waits := <-joined.queue:
			if !waits {
				return false, nil
			}
			if err := w.entry(f); err != nil {
				return true, err
			}
		case <-tick.C:
			if followed, ok := w.hub.position(joined); ok {
				w.cursor.next = placesOf(followed)
				if err := w.checkpoint(); err != nil {
					return true, err
				}
			}
		}
	}
}

func (w *watch) entry(f filing) error {
	w.cursor.next[f.partition] = place{offset: f.at.offset, n: f.at.n + 1}
	return w.send(f.row, w.cursor.encode())
}

func (w *watch) checkpoint() error { return w.send(nil, w.cursor.encode()) }
