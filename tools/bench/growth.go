package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/services/timeline"
)

func measureGrowth(ctx context.Context, b *bench) (*Table, error) {
	if b.Growth == 0 {
		return nil, fmt.Errorf("%w: ask for it by a number of events", errLeftOut)
	}
	t := &Table{
		Title: "Growth",
		Text: fmt.Sprintf(`One store that grows to %s events: how fast those were folded that came since the row above, what a read of the last %d over %d endpoints
costs right then, while the store still compacts what came, and once it is quiet, by one caller; and what the store takes on the disk then.
Customers stay the same, so that their timelines grow as well.`,
			count(b.Growth), pageSize, perCustomer),
		Columns: []string{"events", "folded since", "read p50", "p99", "quiet p50", "p99", "store bytes per event"},
	}
	const chunk = open * perThread // what is appended must begin with new threads
	step := max(b.Growth/10/chunk, 1) * chunk
	events, err := newEvents(step)
	if err != nil {
		return nil, err
	}
	before := b.events
	b.events = events
	defer func() { b.events = before }()
	err = b.withTimeline(ctx, 0, func(l eventlog.Log, store kv.Store, disk func() (int64, error)) error {
		filled := 0
		for _, to := range []int{step, 2 * step, 5 * step, 10 * step} {
			b.say("  growing to %s events ...", count(to))
			if err := b.events.fill(ctx, l, filled, to); err != nil {
				return err
			}
			f, err := timed(func() error { return foldAll(ctx, l, store, 1) })
			if err != nil {
				return err
			}
			reads, err := b.readsOf(ctx, store)
			if err != nil {
				return err
			}
			size, err := settled(ctx, disk)
			if err != nil {
				return err
			}
			later, err := b.readsOf(ctx, store)
			if err != nil {
				return err
			}
			t.row(count(to), rateOf(to-filled, f.took).String(), show(reads.at(0.5)), show(reads.at(0.99)), show(later.at(0.5)), show(later.at(0.99)),
				fmt.Sprintf("%.0f", float64(size)/float64(to)))
			filled = to
		}
		return nil
	})
	return t, err
}

// readsOf measures reads of a store by one caller.
func (b *bench) readsOf(ctx context.Context, store kv.Store) (reads delays, err error) {
	err = b.withReader(ctx, store, timeline.Links{}, func(r *reader) error {
		reads, _, err = b.repeat(ctx, 1, r.list)
		return err
	})
	return reads, err
}

const (
	// quietFor is how long a store's files must stay as large as they are until it counts as quiet, and quietWithin how long that is
	// waited for.
	quietFor    = 5 * time.Second
	quietWithin = 2 * time.Minute
)

// settled waits until a store has compacted what it wants to, and gives its size.
func settled(ctx context.Context, disk func() (int64, error)) (int64, error) {
	size, err := disk()
	for began := time.Now(); err == nil && time.Since(began) < quietWithin; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(quietFor):
		}
		before := size
		if size, err = disk(); size == before {
			break
		}
	}
	return size, err
}
