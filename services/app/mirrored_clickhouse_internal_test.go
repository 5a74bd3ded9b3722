package app

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// text shows a value of a column, whichever way it came.
func shownValue(v any) string {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid(), r.Kind() == reflect.Pointer && r.IsNil():
		return "nothing"
	case r.Kind() == reflect.Pointer:
		return shownValue(r.Elem().Interface())
	}
	if at, ok := v.(time.Time); ok {
		return at.UTC().Format(time.RFC3339Nano)
	}
	if r.Kind() == reflect.Slice {
		var all []string
		for n := range r.Len() {
			all = append(all, shownValue(r.Index(n).Interface()))
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return fmt.Sprint(v)
}

// held are the rows of a table as ClickHouse has them, each as a line.
func held(t *testing.T, w *warehouse.Warehouse, table *mirror.Table) (all []string) {
	t.Helper()
	rows, err := w.Query(t.Context(), "SELECT "+strings.Join(table.Columns, ", ")+" FROM "+table.Name+" FINAL")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var into []any
		for _, c := range rows.ColumnTypes() {
			into = append(into, reflect.New(c.ScanType()).Interface())
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var values []string
		for n, v := range into {
			values = append(values, table.Columns[n]+"="+shownValue(reflect.ValueOf(v).Elem().Interface()))
		}
		all = append(all, strings.Join(values, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// wanted are the rows that the threads have, by table, as held has them.
func (m *folded) wanted(threads ...string) map[string][]string {
	all := map[string][]string{}
	for _, thread := range threads {
		for table, rows := range m.rows(thread) {
			columns := m.source.Tables()[slices.IndexFunc(m.source.Tables(), func(t *mirror.Table) bool { return t.Name == table })].Columns
			for _, row := range rows {
				var values []string
				for _, c := range columns {
					values = append(values, c+"="+shownValue(row[c]))
				}
				all[table] = append(all[table], strings.Join(values, " "))
			}
		}
	}
	for _, rows := range all {
		slices.Sort(rows)
	}
	return all
}

// mirroring is a mirror at work.
type mirroring struct {
	*folded
	tb      testing.TB
	server  *chdbtest.Server
	w       *warehouse.Warehouse
	mirrors *mirror.Mirror
}

// startMirroring starts one over a real engine. It ends with the test.
func startMirroring(tb testing.TB, interval time.Duration) *mirroring {
	tb.Helper()
	m := &mirroring{folded: newFolded(tb), tb: tb, server: chdbtest.Start(tb)}
	var err error
	m.w, err = warehouse.Open(m.server.URL() + "mirrored")
	m.must(err)
	tb.Cleanup(func() { _ = m.w.Close() })
	m.must(schema.Migrate(tb.Context(), m.w, schema.Config{}, slog.New(slog.DiscardHandler)))
	tables, err := mirror.NewClickHouse(m.w, schema.Config{}, nil)
	m.must(err)
	m.mirrors, err = mirror.New(mirror.Config{
		Store: m.store, Warehouse: tables, Sources: func() []mirror.Source { return []mirror.Source{m.threads()} }, Alone: true, Interval: interval, ReportEvery: interval,
	})
	m.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = m.mirrors.Run(ctx) // it returns nil
	}()
	tb.Cleanup(func() {
		cancel()
		<-over
	})
	return m
}

// catchesUp waits until all that was folded is in ClickHouse.
func (m *mirroring) catchesUp() {
	m.tb.Helper()
	m.until(func() bool {
		view, err := m.read.View(m.tb.Context())
		m.must(err)
		applied, err := view.Applied(m.tb.Context())
		_ = view.Close()
		m.must(err)
		s := m.mirrors.Status()[0]
		if at := s.At[event.TopicInteractions]; at != nil && fmt.Sprint(at) == fmt.Sprint(applied) && s.Pending == 0 && !s.Scanning {
			return true
		}
		return false
	})
}

// until waits for a condition.
func (m *mirroring) until(holds func() bool) {
	m.tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			m.tb.Fatalf("it does not come to it: %+v", m.mirrors.Status())
		}
	}
}

func TestClickHouseHoldsWhatTheInteractionsSay(t *testing.T) {
	m := startMirroring(t, 50*time.Millisecond)
	w := m.w
	equal := func() {
		t.Helper()
		m.catchesUp()
		want := m.wanted("one", "two", "three")
		for _, table := range m.source.Tables() {
			if got := held(t, w, table); !slices.Equal(got, want[table.Name]) {
				t.Errorf("%s holds\n%s\nnot\n%s", table.Name, strings.Join(got, "\n"), strings.Join(want[table.Name], "\n"))
			}
		}
		var started int64
		if err := w.QueryRow(t.Context(), "SELECT sum(started) FROM interaction_quarters").Scan(&started); err != nil {
			t.Fatal(err)
		}
		if started != int64(len(want["interaction_facts"])) {
			t.Errorf("the rollup counts %d of %d interactions", started, len(want["interaction_facts"]))
		}
	}
	stream := rapid.Custom(func(rt *rapid.T) int {
		m.happens(anyStream(rt, m.folded, 40)...)
		return 0
	})
	for seed := range 6 {
		stream.Example(seed)
		if seed == 3 {
			m.server.Kill9()
			m.server.Restart()
		}
		equal()
	}
	if err := m.mirrors.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	m.until(func() bool { return m.mirrors.Status()[0].Generation == 2 })
	equal()
	stream.Example(9)
	equal()
}

// BenchmarkMirror folds the events of calls and mirrors them meanwhile: how many events a second, and how many rows each makes. Each call
// is told in two halves, as a live one is.
func BenchmarkMirror(b *testing.B) {
	m := startMirroring(b, time.Second)
	m.catchesUp()
	calls := 0
	for b.Loop() {
		var first, second []*eventv1.Event
		const several = 2000
		for n := range several {
			thread, agent := fmt.Sprint("call", calls+n), by(fmt.Sprint("agent", n%100))
			first = append(first,
				m.on(thread, event.TypeInteractionStarted, n),
				m.on(thread, event.TypeQueueEntered, n, queued("sales")),
				m.on(thread, event.TypeAssignmentOffered, n+1000, agent, share(thread)),
				m.on(thread, event.TypeAssignmentConnected, n+2000, agent, share(thread)),
				m.on(thread, event.TypeAssignmentHeld, n+3000, agent, share(thread)),
			)
			second = append(second,
				m.on(thread, event.TypeAssignmentUnheld, n+4000, agent, share(thread)),
				m.on(thread, event.TypeAssignmentEnded, n+5000, agent, share(thread)),
				m.on(thread, event.TypeInteractionEnded, n+5000),
				m.on(thread, event.TypeWrapupStarted, n+5000, agent, share(thread)),
				m.on(thread, event.TypeWrapupEnded, n+9000, agent, share(thread)),
			)
		}
		calls += several
		m.happens(first...)
		m.happens(second...)
	}
	m.catchesUp()
	events := float64(calls * 10)
	var rows uint64
	for _, table := range m.source.Tables() {
		var n uint64
		m.must(m.w.QueryRow(b.Context(), "SELECT count() FROM "+table.Name).Scan(&n))
		rows += n
	}
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(rows)/events, "rows/event")
}
