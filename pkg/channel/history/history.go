// Package history takes in what happened before Skein was there: an archive of mails, an export of another product, a table. It
// reads an archive in its order, hands several items in at a time, and keeps how far it has come, so that an import that was
// interrupted goes on. Everything that an archive gives is marked as backfill by its Source, and is the same event however
// often it is imported.
package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Source is an archive.
type Source interface {
	// Items calls yield for each item behind a cursor, and for all from an empty one, always in the same order, until
	// yield fails. What is wrong with a single item is the item's to tell, by its Deliver.
	Items(ctx context.Context, cursor string, yield func(Item) error) error
	// Size is how large the archive is, in the unit of Item.Size; 0 where that is not known.
	Size() int64
}

// Item is something of an archive: a mail, some lines of a file.
type Item struct {
	// Cursor goes on behind the item.
	Cursor string
	// Size is how much of the archive's Size it is.
	Size int64
	// Deliver hands the item in. Faults are what is wrong with it, or with parts of it, for good; they are told, and the import
	// goes on. An error that is channel.ErrRetry is tried again; every other one ends the import.
	Deliver func(ctx context.Context, host channel.Host) (faults []Fault, err error)
}

// Fault is something that could not be taken in.
type Fault struct {
	// Name says where it is, such as "line 17", or the name of a file.
	Name string
	Err  error
}

// Progress is how far an import has come.
type Progress struct {
	// Done and Size are of the whole archive, those parts among them that were imported before; Size is 0 where it is not known.
	Done, Size int64
	// Events were taken in, and Faults told, by this run.
	Events, Faults int64
}

// Options say how to import. The zero value imports everything, each time.
type Options struct {
	// Cursors keep how far the import has come, under Name. May be nil.
	Cursors channel.Cursors
	Name    string
	// Workers is how many items are under way at a time; 16 unless set.
	Workers int
	// Fault is told what is wrong. It is called by one goroutine at a time. May be nil.
	Fault func(Fault)
	// Progress is told how far the import has come, some times a second at most, and at its end. May be nil.
	Progress func(Progress)
	// FirstRetry and LastRetry are how long to wait where the host asks for another try; 500 ms and 30 s unless set.
	FirstRetry, LastRetry time.Duration
}

// checkpoint is how often progress is told and kept.
const checkpoint = 250 * time.Millisecond

// Import takes an archive in. It returns when everything is durable, and forgets then how far it had come. An error says
// why it ended before; what was taken in is kept, and another call goes on from there.
func Import(ctx context.Context, host channel.Host, source Source, o Options) (Progress, error) {
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.FirstRetry == 0 {
		o.FirstRetry = 500 * time.Millisecond
	}
	if o.LastRetry == 0 {
		o.LastRetry = 30 * time.Second
	}
	r := &run{Options: o, counting: &counting{Host: host}, progress: Progress{Size: source.Size()}}
	if err := r.load(ctx); err != nil {
		return r.progress, fmt.Errorf("history: where the import stands: %w", err)
	}
	err := r.all(ctx, source)
	if keepErr := r.keep(context.WithoutCancel(ctx), err == nil); err == nil {
		err = keepErr
	}
	if err != nil {
		return r.told(), fmt.Errorf("history: %w", err)
	}
	return r.told(), nil
}

// run is one import.
type run struct {
	Options
	counting *counting

	mu       sync.Mutex
	progress Progress
	window   []*pending // what is under way or done, in the archive's order; those at its head are under way
	cursor   string     // behind everything before the window
	kept     string     // what Cursors hold
	last     time.Time  // when that was
	faults   sync.Mutex
}

// pending is an item that was begun.
type pending struct {
	cursor string
	size   int64
	done   bool
}

// The kept cursor has the size of what is done before it, so that progress is right after an interruption.

func (r *run) load(ctx context.Context) error {
	if r.Cursors == nil {
		return nil
	}
	kept, err := r.Cursors.Cursor(ctx, r.Name)
	if err != nil || kept == "" {
		return err
	}
	size, cursor, ok := cut(kept)
	if !ok {
		return fmt.Errorf("%q is no cursor of an import", kept)
	}
	r.kept, r.cursor, r.progress.Done = kept, cursor, size
	return nil
}

func cut(kept string) (size int64, cursor string, ok bool) {
	for i := range len(kept) {
		if kept[i] == ' ' {
			size, err := strconv.ParseInt(kept[:i], 10, 64)
			return size, kept[i+1:], err == nil
		}
	}
	return 0, "", false
}

// all delivers everything behind the cursor.
func (r *run) all(ctx context.Context, source Source) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Workers)
	err := source.Items(gctx, r.cursor, func(item Item) error {
		p := &pending{cursor: item.Cursor, size: item.Size}
		r.mu.Lock()
		r.window = append(r.window, p)
		r.mu.Unlock()
		g.Go(func() error {
			if err := r.deliver(gctx, item); err != nil {
				return err
			}
			return r.finish(gctx, p)
		})
		return gctx.Err()
	})
	if workErr := g.Wait(); workErr != nil {
		return workErr // the reading ended because of it
	}
	return err
}

// deliver hands an item in, as often as it takes.
func (r *run) deliver(ctx context.Context, item Item) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = r.FirstRetry, r.LastRetry
	faults, err := backoff.Retry(ctx, func() ([]Fault, error) {
		faults, err := item.Deliver(ctx, r.counting)
		if err != nil && !errors.Is(err, channel.ErrRetry) {
			err = backoff.Permanent(err)
		}
		return faults, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return err
	}
	r.faults.Lock()
	defer r.faults.Unlock()
	for _, f := range faults {
		if r.Fault != nil {
			r.Fault(f)
		}
	}
	r.mu.Lock()
	r.progress.Faults += int64(len(faults))
	r.mu.Unlock()
	return nil
}

// finish notes that an item is done, and moves the cursor behind all that are done without a gap.
func (r *run) finish(ctx context.Context, p *pending) error {
	r.mu.Lock()
	p.done = true
	for len(r.window) > 0 && r.window[0].done {
		r.cursor = r.window[0].cursor
		r.progress.Done += r.window[0].size
		r.window = r.window[1:]
	}
	due := time.Since(r.last) > checkpoint
	if due {
		r.last = time.Now()
	}
	r.mu.Unlock()
	if !due {
		return nil
	}
	return r.keep(ctx, false)
}

// keep writes down how far the import has come, and tells it.
func (r *run) keep(ctx context.Context, complete bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Progress != nil {
		r.Progress(r.toldLocked())
	}
	is := strconv.FormatInt(r.progress.Done, 10) + " " + r.cursor
	if r.cursor == "" || complete {
		is = ""
	}
	if r.Cursors == nil || is == r.kept {
		return nil
	}
	err := r.Cursors.MoveCursor(ctx, r.Name, r.kept, is)
	switch {
	case errors.Is(err, channel.ErrRetry):
		return nil // the next one will do
	case err != nil:
		return fmt.Errorf("keep how far the import has come: %w", err)
	}
	r.kept = is
	return nil
}

func (r *run) told() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.toldLocked()
}

func (r *run) toldLocked() Progress {
	p := r.progress
	p.Events = r.counting.events.Load()
	return p
}

// Named is a submission and where it stands in its archive.
type Named struct {
	Name       string
	Submission *eventv1.Submission
}

// Submit hands in what a part of an archive holds. Where one of the submissions is wrong, each is handed in by itself, so that the others are
// taken and the wrong ones told.
func Submit(ctx context.Context, host channel.Host, tenant string, all []Named) (faults []Fault, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	submissions := make([]*eventv1.Submission, len(all))
	for i, n := range all {
		submissions[i] = n.Submission
	}
	_, err = host.Submit(ctx, tenant, submissions...)
	_, wrong := errors.AsType[*event.InvalidError](err)
	switch {
	case err == nil:
		return nil, nil
	case len(all) == 1 && (wrong || !errors.Is(err, channel.ErrRetry) && ctx.Err() == nil):
		return []Fault{{all[0].Name, err}}, nil
	case len(all) == 1 || errors.Is(err, channel.ErrRetry) || ctx.Err() != nil:
		return nil, err
	}
	for i := range all {
		f, err := Submit(ctx, host, tenant, all[i:i+1])
		if err != nil {
			return nil, err
		}
		faults = append(faults, f...)
	}
	return faults, nil
}
