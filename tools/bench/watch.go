package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/tools/watchload"
)

func measureWatch(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Watch: acknowledged to delivered",
		Text: fmt.Sprintf(`%s watches of %s customers on one process, which also takes the events in and folds them; the time from an event's
acknowledgement to its delivery, as one client sees both. Nothing may be missing, and nothing may come twice.`,
			count(b.Watchers), count(b.Watchers)),
		Columns: []string{"log", "watches", "pace", "events", "p50", "p90", "p99", "max", "missing", "doubled"},
	}
	name, err := b.onMain(ctx, func(log *broker) error {
		s, err := b.startSkein(ctx, log, "ingest", "projector", "timeline")
		if err != nil {
			return err
		}
		r, err := watchload.Run(ctx, watchload.Config{Addr: s.grpc, Watchers: b.Watchers, Rate: b.WatchRate, For: b.Each})
		if err := errors.Join(err, s.close(ctx)); err != nil {
			return err
		}
		t.row(log.name, count(b.Watchers), rateOf(r.Sent, r.Took).String(), count(r.Acknowledged),
			show(r.Delay(0.5)), show(r.Delay(0.9)), show(r.Delay(0.99)), show(r.Delay(1)), fmt.Sprint(r.Missing), fmt.Sprint(r.Doubled))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("on %s: %w", name, err)
	}
	return t, nil
}
