package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/pkg/projection"
)

// processesShare is how much of the other jobs' events this one folds: a database takes its time.
const processesShare = 0.2

// measureProcesses compares one process that folds with two that share the partitions over one database.
func measureProcesses(ctx context.Context, b *bench) (*Table, error) {
	if !b.PostgreSQL || !b.Kafka {
		return nil, fmt.Errorf("%w: it needs PostgreSQL and Apache Kafka", errLeftOut)
	}
	t := &Table{
		Title: "Processes: one, and two that share the partitions",
		Text: `How fast a burst of events on Apache Kafka becomes the timeline in PostgreSQL, by one projector process and by two in a consumer group. All of it,
the broker and the database too, shares the processors of one machine: two processes show that the work divides, not that it grows.`,
		Columns: []string{"processes", "events", "events a second", "share of the processes"},
	}
	for n := 1; n <= 2; n++ {
		if _, err := b.onMain(ctx, func(log *broker) error { return b.foldByProcesses(ctx, t, log, n) }); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (b *bench) foldByProcesses(ctx context.Context, t *Table, log *broker, n int) (err error) {
	database, err := pgtest.Start(pgtest.Options{}) //nolint:contextcheck // it takes no context
	if err != nil {
		return err
	}
	defer database.Close()
	l, err := openLog(ctx, log, foldTopic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	shared := b.newDir() // for the keyring that all must have
	var servers []*server
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	for range n {
		s := &server{dir: shared}
		if err := b.launchSkein(ctx, s, log, []string{"projector"}, "SKEIN_STORE_DSN="+database.DSN()); err != nil {
			return err
		}
		servers = append(servers, s)
	}
	store, err := pgkv.Open(ctx, database.DSN(), pgkv.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }() //nolint:contextcheck // it takes no context

	sent, before := 0, make([]float64, n)
	for joined := false; !joined; { // until each has a share
		if err := b.events.fill(ctx, l, sent, sent+1000); err != nil {
			return err
		}
		sent += 1000
		if err := allFolded(ctx, l, store); err != nil {
			return err
		}
		joined = true
		for i, s := range servers {
			if before[i], err = s.folded(ctx); err != nil {
				return err
			}
			joined = joined && before[i] > 0
		}
	}
	events := int(processesShare * float64(b.Events))
	began := time.Now()
	if err := errors.Join(b.events.fill(ctx, l, sent, sent+events), allFolded(ctx, l, store)); err != nil {
		return err
	}
	rate := rateOf(events, time.Since(began))
	var shares []string
	for i, s := range servers {
		after, err := s.folded(ctx)
		if err != nil {
			return err
		}
		shares = append(shares, fmt.Sprintf("%.0f %%", 100*(after-before[i])/float64(events)))
	}
	t.row(fmt.Sprint(n), count(events), rate.String(), strings.Join(shares, ", "))
	return nil
}

// allFolded waits until everything that the log holds by now is in the timeline.
func allFolded(ctx context.Context, l eventlog.Log, store kv.Store) error {
	ends, err := lastPositions(ctx, l, foldTopic)
	if err != nil {
		return err
	}
	return projection.Wait(ctx, store, namespace(), foldTopic, ends, nil)
}

// folded is how many records a process has folded.
func (s *server) folded(ctx context.Context) (total float64, err error) {
	text, err := s.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, "skein_projection_records_total{") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metrics: %w", err)
		}
		total += n
	}
	return total, nil
}
