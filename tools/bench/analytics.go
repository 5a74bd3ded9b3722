package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/sink"
)

// measureSink measures how fast the log comes into ClickHouse, and what it takes there.
func measureSink(ctx context.Context, b *bench) ([]*Table, error) {
	if _, err := hasClickHouse(ctx); err != nil {
		return nil, err
	}
	sinks, storage := b.sinkTable(), b.storageTable()
	for _, of := range []struct {
		name string
		fill filler
		peer bool
	}{{"contacts", newContacts(b.events, b.Rows), true}, {"messages", b.events, false}} {
		err := b.withAnalytics(ctx, of.fill, func(log *broker, l *kafkalog.Log, c *clickHouse) error {
			if err := b.sinks(ctx, sinks, log, l, c, of.name, of.peer); err != nil {
				return err
			}
			return b.storage(ctx, storage, c, of.name)
		})
		if err != nil {
			return nil, err
		}
	}
	return []*Table{sinks, storage}, nil
}

// measureAnalytics measures what the facts cost, how fresh the tables are, and what is asked of them.
func measureAnalytics(ctx context.Context, b *bench) ([]*Table, error) {
	if _, err := hasClickHouse(ctx); err != nil {
		return nil, err
	}
	var facts, reports *Table
	storage := b.storageTable()
	storage.Title += ", with the facts"
	err := b.withAnalytics(ctx, newContacts(b.events, b.Rows), func(log *broker, l *kafkalog.Log, c *clickHouse) error {
		return b.withFacts(ctx, log, l, c, func(s *site, t *Table) error {
			facts = t
			if err := b.storage(ctx, storage, c, "contacts"); err != nil {
				return err
			}
			var err error
			reports, err = b.reports(ctx, log, c, s)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	fresh, err := b.freshness(ctx)
	return []*Table{facts, storage, fresh, reports}, err
}

// withAnalytics has a filled log, and an empty ClickHouse beside it.
func (b *bench) withAnalytics(ctx context.Context, f filler, run func(*broker, *kafkalog.Log, *clickHouse) error) error {
	return b.withBroker(ctx, b.engines()[0], func(log *broker) error {
		l, err := b.fillAnalytics(ctx, log, f)
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }() // it is only read
		return b.withClickHouse(ctx, func(c *clickHouse) error { return run(log, l, c) })
	})
}

// analyticsTopics are those that a sink reads.
func analyticsTopics() []string {
	return []string{event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory, event.TopicAlerts}
}

// fillAnalytics fills a new log.
func (b *bench) fillAnalytics(ctx context.Context, log *broker, f filler) (*kafkalog.Log, error) {
	b.say("  filling a log with %s events ...", count(b.Rows))
	l, err := openLog(ctx, log, analyticsTopics()...)
	if err != nil {
		return nil, err
	}
	if err := fillWith(ctx, l, f, 0, b.Rows); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (b *bench) sinkTable() *Table {
	return &Table{
		Title: "Analytics: log to ClickHouse",
		Text: fmt.Sprintf(`How fast a log of %s events stands in ClickHouse, once each, with what the materialised views roll up of them: the sink in this process with a
store on Pebble, the embedded engine in another, the embedded log in a third, all on the same machine. Of the contacts, one event in eleven or so is a message and stands
in messages, too; of the messages, each. Ceiling: the same batches as Native blocks that were encoded before, with ch-go's columns of the tables' own types, read
from files and posted one after the other to the same endpoint, with the same settings, into the same tables. Peer: Bento %s reads the same log in a
consumer group, decodes the envelope by its protobuf processor, and inserts by sql_insert what a mapping makes of it, into events alone and without what
stands in the content, without looking for duplicates and at least once; it has up to %s from its first rows on. CPU is for an event: of the process that
writes, and of the engine, with those merges that it does meanwhile: a contender that is through earlier leaves more of them undone, and
its tables are emptied before they come. A sink's time includes that until its first batch is prepared, in which the engine waits. The contenders take turns (%d each, the median counts).`, count(b.Rows), bentoVersion, bentoShare*b.Each, b.Turns),
		Columns: []string{"log of", "contender", "events", "of ceiling", "CPU of the writer", "CPU of the engine", "allocations per event"},
	}
}

// sunk is what one turn gave.
type sunk struct {
	folded
	full        full
	own, engine time.Duration
}

// cells are those of a row behind the contender's name.
func (s sunk) cells(r, ceiling rate) []string {
	per := func(d time.Duration) string {
		if d == 0 {
			return none
		}
		return micros(d / time.Duration(max(1, s.events)))
	}
	return []string{r.String(), r.of(ceiling), per(s.own), per(s.engine), s.perEvent(float64(s.allocations))}
}

// sinks measures the contenders on a filled log, and leaves in ClickHouse what the last turn of the sink wrote.
func (b *bench) sinks(ctx context.Context, t *Table, log *broker, l *kafkalog.Log, c *clickHouse, of string, peer bool) (err error) {
	p, err := b.newPress(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b.say("  encoding blocks ...")
	if _, err := b.sink(ctx, l, p); err != nil {
		return fmt.Errorf("encode blocks: %w", err)
	}
	contenders := []struct {
		name string
		run  func(turn int) (full, error)
	}{
		{"ceiling: encoded blocks", func(turn int) (full, error) { return p.send(ctx, turn) }},
		{"**Skein's sink**", func(int) (full, error) { return b.sink(ctx, l, sink.NewClickHouse(c.Warehouse, schema.Config{}, nil)) }},
	}
	rates, last := make([][]rate, len(contenders)), make([]sunk, len(contenders))
	for turn := range b.Turns {
		for i, contender := range contenders {
			if err := c.empty(ctx); err != nil {
				return err
			}
			s, err := b.sunk(c, func() (full, error) { return contender.run(turn) })
			if err == nil {
				err = c.holds(ctx, b.Rows)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", contender.name, err)
			}
			r := s.full.rate()
			b.say("  %s, turn %d: %s: %s", of, turn+1, contender.name, r)
			rates[i], last[i] = append(rates[i], r), s
		}
	}
	for i, contender := range contenders {
		t.row(append([]string{of, contender.name}, last[i].cells(median(rates[i]), median(rates[0]))...)...)
	}
	if peer {
		if err := b.bentoRow(ctx, t, log, c, of, median(rates[0])); err != nil {
			return err
		}
	}
	if err := c.empty(ctx); err != nil {
		return err
	}
	profile, err := profiled(func() error {
		_, err := b.sink(ctx, l, sink.NewClickHouse(c.Warehouse, schema.Config{}, nil))
		return err
	})
	if err == nil {
		t.profile("the sink of "+of, profile)
	}
	return err
}

// bentoRow measures the peer, where it can be built.
func (b *bench) bentoRow(ctx context.Context, t *Table, log *broker, c *clickHouse, of string, ceiling rate) error {
	program, err := b.bento(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		b.say("  without Bento: %v", err)
		t.Notes = append(t.Notes, "Bento could not be built here, and is left out.")
		return nil
	}
	if err := c.empty(ctx); err != nil {
		return err
	}
	s, err := b.bentoSink(ctx, program, log, c, b.Rows)
	if err != nil {
		return err
	}
	r := rateOf(s.events, s.took)
	b.say("  %s: Bento: %s", of, r)
	t.row(append([]string{of, "peer: Bento, events alone"}, s.cells(r, ceiling)...)...)
	return nil
}

// holds makes sure that events has so many rows.
func (c *clickHouse) holds(ctx context.Context, n int) error {
	var there uint64
	if err := c.ask(ctx, "SELECT count() FROM events", &there); err != nil {
		return err
	}
	if int(there) != n {
		return fmt.Errorf("events has %d rows, not %d", there, n)
	}
	return nil
}

// full is how many events were written while batches were full, and how long that took: what is left at the end waits for more.
type full struct {
	events int
	took   time.Duration
}

func (f full) rate() rate { return rateOf(f.events, f.took) }

// sunk measures a turn.
func (b *bench) sunk(c *clickHouse, run func() (full, error)) (s sunk, err error) {
	own, engine := cpuOf(os.Getpid()), cpuOf(c.PID())
	s.folded, err = timed(func() (err error) {
		s.full, err = run()
		return err
	})
	s.own, s.engine = cpuOf(os.Getpid())-own, cpuOf(c.PID())-engine
	s.events = b.Rows
	return s, err
}

// sink moves the whole log to a warehouse.
func (b *bench) sink(ctx context.Context, l *kafkalog.Log, house sink.Warehouse) (f full, err error) {
	store, _, remove, err := openPebble(ctx, b)
	if err != nil {
		return full{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s := sink.New(sink.Config{Log: l, Store: store, Warehouse: house})
	began := time.Now()
	sctx, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(sctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n := 0
		for _, p := range s.Status().Partitions {
			n += int(p.Next)
		}
		if n > f.events && (f.events == 0 || n <= b.Rows-sink.DefaultMaxRows/2) {
			f = full{n, time.Since(began)}
		}
		if n >= b.Rows {
			stop()
			return f, <-ran
		}
		select {
		case <-tick.C:
		case err := <-ran:
			return full{}, errors.Join(err, errors.New("the sink ended early"))
		}
	}
}

func (b *bench) storageTable() *Table {
	return &Table{
		Title: "Analytics: what rows take on the disk",
		Text: `Bytes of the tables' columns, as ClickHouse compresses them and before that, and of all their files with marks and indexes, right after they were filled: before all
merges. The uncompressed size is that of the columns in memory. Tables with less than a hundredth of the rows are left out.`,
		Columns: []string{"log of", "table", "rows", "compressed per row", "uncompressed per row", "on disk per row"},
	}
}

func (b *bench) storage(ctx context.Context, t *Table, c *clickHouse, of string) error {
	rows, err := c.Query(ctx, `SELECT table, sum(rows), sum(data_compressed_bytes), sum(data_uncompressed_bytes), sum(bytes_on_disk)
		FROM system.parts WHERE database = currentDatabase() AND active GROUP BY table ORDER BY sum(bytes_on_disk) DESC, table`)
	if err != nil {
		return fmt.Errorf("what tables take: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read
	for rows.Next() {
		var table string
		var n, compressed, uncompressed, onDisk uint64
		if err := rows.Scan(&table, &n, &compressed, &uncompressed, &onDisk); err != nil {
			return err
		}
		if n < uint64(b.Rows)/100 {
			continue
		}
		per := func(v uint64) string { return fmt.Sprintf("%.1f", float64(v)/float64(n)) }
		t.row(of, table, count(int(n)), per(compressed), per(uncompressed), per(onDisk))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return c.largest(ctx, t, of)
}

// largest notes which columns of events take the most.
func (c *clickHouse) largest(ctx context.Context, t *Table, of string) error {
	rows, err := c.Query(ctx, `SELECT column, sum(column_data_compressed_bytes) / sum(rows) AS per
		FROM system.parts_columns WHERE database = currentDatabase() AND active AND table = 'events' AND part_type = 'Wide' GROUP BY column ORDER BY per DESC LIMIT 8`)
	if err != nil {
		return fmt.Errorf("what columns take: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read
	var all []string
	for rows.Next() {
		var name string
		var per float64
		if err := rows.Scan(&name, &per); err != nil {
			return err
		}
		all = append(all, fmt.Sprintf("%#q %.1f", name, per))
	}
	if len(all) == 0 { // of small parts they are not told
		return rows.Err()
	}
	t.Notes = append(t.Notes, fmt.Sprintf("Columns of events that take the most, of %s, in compressed bytes per row: %s.", of, strings.Join(all, ", ")))
	return rows.Err()
}

// modelRoles are those of a process that keeps the read models, factRoles of one that mirrors them, too.
func modelRoles() []string {
	return []string{"projector", "timeline", "customers", "conversations", "agents"}
}

func factRoles() []string { return append(modelRoles(), "analytics", "reports") }

// withFacts has the program fill everything from a log, and runs something with it when that is done.
func (b *bench) withFacts(ctx context.Context, log *broker, l *kafkalog.Log, c *clickHouse, run func(*site, *Table) error) (err error) {
	t := &Table{
		Title: "Analytics: log to all tables, facts too",
		Text: fmt.Sprintf(`The program with the roles %s begins with an empty store and an empty engine: it folds the same log of contacts into its read models, mirrors
interactions, visits, assignments and agents from there, and sinks the events, all at the same time. Measured from its start until progress says of each
stream that it contains the whole log. The first row is the same program without analytics, until it has folded everything: what the read models alone take.
CPU is for an event, and all of it up to then.`,
			strings.Join(factRoles(), ", ")),
		Columns: []string{"until", "after", "events", "CPU of skein", "CPU of the engine", "memory of skein", "memory of the engine"},
	}
	ends, err := lastPositions(ctx, l, foldTopic)
	if err != nil {
		return err
	}
	row := func(what string, took time.Duration, s *server, engine time.Duration, memory string) {
		per := func(d time.Duration) string { return micros(d / time.Duration(b.Rows)) }
		b.say("  %s after %s", what, took.Round(time.Millisecond))
		of := none
		if engine > 0 {
			of = per(engine)
		}
		t.row(what, fmt.Sprintf("%.1f s", took.Seconds()), rateOf(b.Rows, took).String(), per(cpuOf(s.cmd.Process.Pid)), of, residentOf(s.cmd.Process.Pid), memory)
	}
	b.say("  from the log to the read models ...")
	s, began := &server{dir: b.newDir()}, time.Now()
	if err := b.launchSkein(ctx, s, log, modelRoles()); err != nil {
		return err
	}
	folded, err := s.allFolded(ctx, b.Rows)
	if err == nil {
		row("read models alone", folded.Sub(began), s, 0, none)
	}
	if err := errors.Join(err, s.close(ctx)); err != nil {
		return err
	}

	b.say("  from the log to all tables ...")
	s, began = &server{dir: b.newDir()}, time.Now()
	engine := cpuOf(c.PID())
	if err := b.launchSkein(ctx, s, log, factRoles(), "SKEIN_ANALYTICS_CLICKHOUSE="+c.dsn()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	for _, stream := range []string{"events", "facts"} {
		if err := s.until(ctx, func() (bool, error) { return c.contains(ctx, stream, ends) }); err != nil {
			return fmt.Errorf("until %s are there: %w", stream, err)
		}
		row("**"+stream+"**", time.Since(began), s, cpuOf(c.PID())-engine, residentOf(c.PID()))
	}
	conns, hangUp, err := dial(s.grpc)
	if err != nil {
		return err
	}
	defer hangUp()
	return run(&site{s, conns}, t)
}

// until looks again and again until something is so.
func (s *server) until(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := so(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return fmt.Errorf("skein ended: %s", s.out.text())
		}
	}
}

// restful is how long nothing may be folded until it counts as all.
const restful = 3 * time.Second

// allFolded waits until all read models have folded what the log holds, and tells when that was.
func (s *server) allFolded(ctx context.Context, atLeast int) (time.Time, error) {
	var total float64
	last := time.Now()
	err := s.until(ctx, func() (bool, error) {
		n, err := s.folded(ctx)
		if n > total {
			total, last = n, time.Now()
		}
		return total >= float64(atLeast) && time.Since(last) > restful, err
	})
	return last, err
}

// contains tells whether progress says that a stream contains all positions.
func (c *clickHouse) contains(ctx context.Context, stream string, ends []eventlog.Position) (bool, error) {
	rows, err := c.Query(ctx, "SELECT partition, next_offset FROM progress FINAL WHERE stream = $1 AND topic = $2", stream, foldTopic)
	if err != nil {
		return false, fmt.Errorf("read progress: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read
	next := map[int32]int64{}
	for rows.Next() {
		var partition int32
		var offset int64
		if err := rows.Scan(&partition, &offset); err != nil {
			return false, err
		}
		next[partition] = offset
	}
	for _, end := range ends {
		if next[end.Partition] <= end.Offset {
			return false, rows.Err()
		}
	}
	return true, rows.Err()
}

// residentOf is what a process has in memory.
func residentOf(pid int) string {
	var kilobytes int
	if _, err := fmt.Sscan(field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"), &kilobytes); err != nil {
		return none
	}
	return fmt.Sprintf("%d MB", kilobytes*1024/1_000_000)
}
