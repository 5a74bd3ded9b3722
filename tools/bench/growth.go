package bench

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

func measureGrowth(ctx context.Context, b *bench) (*Table, error) {
	if b.Growth == 0 {
		return nil, fmt.Errorf("%w: ask for it by a number of events", errLeftOut)
	}
	t := &Table{
		Title: "Growth",
		Text: fmt.Sprintf(`One store that grows to %s events: how fast those were folded that came since the row above, what a read of the last %d over %d endpoints
costs then, by one caller, and what the store takes on the disk. Customers stay the same, so that their timelines grow as well.`,
			count(b.Growth), pageSize, perCustomer),
		Columns: []string{"events", "folded since", "read p50", "p99", "store bytes per event"},
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
			if err := b.events.fill(ctx, l, foldTopic, filled, to); err != nil {
				return err
			}
			f, err := timed(func() error { return foldAll(ctx, l, store, 1) })
			if err != nil {
				return err
			}
			size, err := disk()
			if err != nil {
				return err
			}
			var reads delays
			err = b.withReader(ctx, store, func(r *reader) error {
				reads, _, err = b.repeat(ctx, 1, r.list)
				return err
			})
			if err != nil {
				return err
			}
			t.row(count(to), rateOf(to-filled, f.took).String(), show(reads.at(0.5)), show(reads.at(0.99)), fmt.Sprintf("%.0f", float64(size)/float64(to)))
			filled = to
		}
		return nil
	})
	return t, err
}
