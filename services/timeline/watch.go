package timeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// checkpointEvery is how often a watch that has nothing to tell moves the cursor on, so that it does not grow too old.
const checkpointEvery = 10 * time.Second

// pageLength is how many entries a watch reads at a time of what it has missed.
const pageLength = 256

// watch is one caller's watch.
type watch struct {
	hub *Hub
	Selection
	cursor cursor
	// fresh: the caller brought no cursor, and begins with what is filed from now on.
	fresh bool
	// send tells what was filed, or nothing, and where to go on behind it.
	send func(r *row, cursor string) error
	// tell tells that something else belongs to the customer or conversation; nil where the watch is of neither.
	tell func(c *timelinev1.ScopeChanged, cursor string) error

	followed scope.Scope     // what belongs to the customer or conversation, as the selection takes it
	changed  <-chan struct{} // closed when something else may
	unwatch  func()          // ends the waiting for that
}

// errReset ends a watch whose read model was built anew.
var errReset = errors.New("timeline: the read model was built anew: list again")

// errFull ends the reading of a page.
var errFull = errors.New("timeline: the page is full")

// run sends what is filed until ctx ends. Each turn joins the hub, reads for itself what was followed before it joined,
// and then takes what the hub hands out, until the hub sends it away because it is too slow or everything has changed, or until
// something else belongs to whom it is about.
func (w *watch) run(ctx context.Context) error {
	if !w.about.none() {
		if err := w.begin(ctx); err != nil {
			return err
		}
		defer func() { w.unwatch() }()
	}
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

// begin takes what belonged to the subject where the cursor stands, and then what belongs to it now.
func (w *watch) begin(ctx context.Context) error {
	s, err := w.scope(ctx, scope.At{Version: w.cursor.scope})
	if err != nil {
		return err
	}
	w.follow(s)
	w.unwatch = func() {}
	if _, err := w.settle(ctx); err != nil {
		w.unwatch()
		return err
	}
	return nil
}

// settle takes what belongs to the subject now, and reports whether that is something else than before, which it tells the caller.
func (w *watch) settle(ctx context.Context) (other bool, err error) {
	for {
		w.unwatch()
		w.changed, w.unwatch = w.about.source.Changed(w.followed, w.Tenant)
		now, err := w.scope(ctx, scope.At{})
		if err != nil {
			return other, err
		}
		news := w.follow(now)
		if news == nil {
			return other, nil // and this is what is waited for
		}
		other = true
		if w.fresh {
			continue // the caller has not been told of anything yet
		}
		if err := w.tell(news, w.cursor.encode()); err != nil {
			return other, err
		}
	}
}

// follow makes a scope the one that is followed. It returns how that differs from the one before, nil where it does not.
func (w *watch) follow(s scope.Scope) *timelinev1.ScopeChanged {
	before, id := w.Selection, w.followed.ID
	w.followed, w.cursor.scope = s, s.Version
	w.take(s)
	news := &timelinev1.ScopeChanged{Id: s.ID.String()}
	news.EndpointsAdded, news.ThreadsAdded = w.gainedOver(&before)
	news.EndpointsRemoved, news.ThreadsRemoved = before.gainedOver(&w.Selection)
	if s.ID == id && len(news.GetEndpointsAdded())+len(news.GetThreadsAdded())+len(news.GetEndpointsRemoved())+len(news.GetThreadsRemoved()) == 0 {
		return nil
	}
	return news
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

// backfill sends what lies between the cursor and what was followed when the watcher joined. Nothing is read while the caller takes a page.
func (w *watch) backfill(ctx context.Context, joined *watcher) error {
	for p, next := range w.cursor.next {
		if (place{offset: joined.from[p]}).before(next) {
			return ErrExpiredCursor // it has seen more than there is
		}
	}
	for {
		page, reached, err := w.page(ctx, joined)
		if err != nil || len(reached) == 0 {
			return err
		}
		for _, f := range page {
			if err := w.entry(f); err != nil {
				return err
			}
		}
		maps.Copy(w.cursor.next, reached)
	}
}

// page reads what the caller is told next, and how far that is, by partition: empty when there is nothing left to read.
func (w *watch) page(ctx context.Context, joined *watcher) (page []filing, reached places, err error) {
	reached = places{}
	for p, until := range joined.from {
		if w.cursor.next[p].offset < until {
			reached[p] = place{offset: until}
		}
	}
	if len(reached) == 0 {
		return nil, nil, nil
	}
	slice := w.hub.slice
	snap, err := slice.Store.Snapshot(ctx, joined.ns)
	if err != nil {
		return nil, nil, fmt.Errorf("timeline: watch: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	applied, err := projection.Applied(ctx, snap, slice.Topic, slice.Partitions)
	if err != nil {
		return nil, nil, fmt.Errorf("timeline: watch: %w", err)
	}
	for p, end := range reached {
		switch from := w.cursor.next[p]; {
		case applied[p] < end.offset:
			return nil, nil, errReset // the generation was dropped meanwhile
		case from.offset < applied[p]-changeWindow:
			return nil, nil, ErrExpiredCursor
		case len(page) == pageLength:
			delete(reached, p) // the next page
			continue
		default:
			err = eachChange(ctx, snap, p, from, end.offset, func(at place, c change) error {
				if !w.selects(at, c) {
					return nil
				}
				r, err := load(ctx, snap, c)
				if err != nil || !w.matches(r) {
					return err
				}
				page = append(page, filing{partition: p, at: at, row: r})
				if len(page) == pageLength {
					reached[p] = place{offset: at.offset, n: at.n + 1}
					return errFull
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, errFull) {
			return nil, nil, err
		}
	}
	return page, reached, nil
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
		case <-w.changed:
			w.advance(joined)
			if other, err := w.settle(ctx); err != nil || other {
				return false, err
			}
		case <-tick.C:
			if w.advance(joined) {
				if err := w.checkpoint(); err != nil {
					return true, err
				}
			}
		}
	}
}

// advance moves the cursor on to what was followed, if the caller was told of everything that was.
func (w *watch) advance(joined *watcher) bool {
	followed, ok := w.hub.position(joined)
	if ok {
		w.cursor.next = placesOf(followed)
	}
	return ok
}

func (w *watch) entry(f filing) error {
	w.cursor.next[f.partition] = place{offset: f.at.offset, n: f.at.n + 1}
	return w.send(f.row, w.cursor.encode())
}

func (w *watch) checkpoint() error { return w.send(nil, w.cursor.encode()) }
