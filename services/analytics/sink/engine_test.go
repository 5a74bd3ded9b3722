package sink_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// engine is a real ClickHouse with all tables.
type engine struct {
	*chdbtest.Server
	*sink.ClickHouse
	t testing.TB
	w *warehouse.Warehouse
}

func newEngine(t testing.TB) *engine {
	t.Helper()
	e := &engine{Server: chdbtest.Start(t), t: t}
	var err error
	if e.w, err = warehouse.Open(e.DSN()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.w.Close() })
	quiet := slog.New(slog.DiscardHandler)
	if err := schema.Migrate(t.Context(), e.w, schema.Config{}, quiet); err != nil {
		t.Fatal(err)
	}
	e.ClickHouse = sink.NewClickHouse(e.w, schema.Config{}, quiet)
	return e
}

// number is the answer to a query.
func (e *engine) number(sql string) uint64 {
	e.t.Helper()
	var n uint64
	if err := e.w.QueryRow(context.Background(), "SELECT toUInt64("+sql+")").Scan(&n); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// run runs a sink until the engine contains the whole log.
func (e *engine) run(w *world, cfg sink.Config, during func(*sink.Sink)) {
	e.t.Helper()
	s, stop := w.start(cfg)
	if during != nil {
		during(s)
	}
	w.until("everything is contained", func() bool { return w.has(e) })
	if err := stop(); err != nil {
		e.t.Fatal(err)
	}
}

// check holds the tables and the rollups against the log.
func (e *engine) check(w *world) {
	e.t.Helper()
	want := w.expected()
	rows, err := e.w.Query(context.Background(), "SELECT topic, partition, offset, count() FROM events GROUP BY ALL")
	if err != nil {
		e.t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var topic string
		var partition int32
		var offset int64
		var count uint64
		if err := rows.Scan(&topic, &partition, &offset, &count); err != nil {
			e.t.Fatal(err)
		}
		at := fmt.Sprintf("%s/%d/%d", topic, partition, offset)
		if n++; count != 1 || !want[at] {
			e.t.Errorf("%s is there %d times", at, count)
		}
	}
	if rows.Err() != nil || n != len(want) {
		e.t.Errorf("%d events instead of %d, %v", n, len(want), rows.Err())
	}
	for _, q := range []string{"(SELECT sum(events) FROM event_hours)", "(SELECT uniqExact(event_id, thread) FROM events)"} {
		if got := e.number(q); got != uint64(len(want)) {
			e.t.Errorf("%s is %d instead of %d", q, got, len(want))
		}
	}
	if a, b := e.number("(SELECT sum(messages) FROM message_quarters)"), e.number("(SELECT count() FROM messages)"); a != b {
		e.t.Errorf("message_quarters have %d messages, and messages %d", a, b)
	}
}

func TestARealEngineHoldsEveryEventOnce(t *testing.T) {
	e, w := newEngine(t), newWorld(t)
	cfg := w.config()
	cfg.Warehouse, cfg.MaxRows = e, 50
	w.story(0, 200)
	e.run(w, cfg, nil)
	e.check(w)

	w.story(150, 400)
	e.run(w, cfg, func(s *sink.Sink) {
		if err := s.Rebuild(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	})
	e.check(w)
	w.story(390, 500)
	e.run(w, cfg, nil) // into the new tables
	e.check(w)
	if n := e.number("(SELECT count() FROM system.databases WHERE name = 'skein_build')"); n != 0 {
		t.Error("the database of the rebuild is still there")
	}
	var until time.Time
	if err := e.w.QueryRow(t.Context(), "SELECT complete_until FROM complete_up_to WHERE stream = 'events'").Scan(&until); err != nil {
		t.Fatal(err)
	}
	if behind := time.Since(until); behind > time.Minute {
		t.Errorf("it is complete up to %s only", until)
	}
}

func TestAnEngineThatIsKilledUnderLoadHoldsEveryEventOnce(t *testing.T) {
	e, w := newEngine(t), newWorld(t)
	cfg := w.config()
	cfg.Warehouse, cfg.MaxRows = e, 20
	w.story(0, 100)
	e.run(w, cfg, func(*sink.Sink) {
		for i := range 3 {
			w.story(100+i*150, 250+i*150)
			w.until("it takes some", func() bool { return e.number("(SELECT count() FROM events)") > uint64(100+100*i) })
			e.Kill9()
			e.Restart()
		}
	})
	e.check(w)
	if n := e.number("(SELECT countIf(type = '" + event.TypeMessageReceived + "') FROM events)"); n != 550 {
		t.Errorf("%d messages instead of 550", n)
	}
}

// copied is a store with the same rows.
func copied(t *testing.T, store kv.Store) kv.Store {
	t.Helper()
	other := memkv.New()
	namespaces, err := store.Namespaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces {
		snap, err := store.Snapshot(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		it, err := snap.Scan(t.Context(), kv.Range{})
		if err != nil {
			t.Fatal(err)
		}
		b := &kv.Batch{}
		for it.Next() {
			b.Set(it.Key(), it.Value())
		}
		if err := errors.Join(it.Err(), it.Close(), snap.Close(), other.Apply(t.Context(), ns, b)); err != nil {
			t.Fatal(err)
		}
	}
	return other
}

func TestAStoreAndAnEngineThatDisagreeAreMendedWithoutAPerson(t *testing.T) {
	e, w := newEngine(t), newWorld(t)
	cfg := w.config()
	cfg.Warehouse, cfg.MaxRows = e, 50
	mends := func(what string, from int) {
		t.Helper()
		cfg.Store = w.store
		w.story(from, from+40)
		began := uint32(0)
		e.run(w, cfg, func(s *sink.Sink) {
			w.until(what+": it rebuilds", func() bool {
				if began == 0 && s.Status().Err != nil {
					began = s.Status().Serving
				}
				return began != 0 && s.Status().Serving > began
			})
		})
		e.check(w)
	}
	// replaced puts a directory in place of the engine's.
	replaced := func(with string) {
		t.Helper()
		e.Kill9()
		if err := os.RemoveAll(e.Dir); err != nil {
			t.Fatal(err)
		}
		if with != "" {
			if err := os.CopyFS(e.Dir, os.DirFS(with)); err != nil {
				t.Fatal(err)
			}
		}
		e.Restart()
		if err := schema.Migrate(t.Context(), e.w, schema.Config{}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	w.story(0, 100)
	e.run(w, cfg, nil)
	e.check(w)

	oldStore := copied(t, w.store)
	e.Kill9()
	oldEngine := t.TempDir()
	if err := os.CopyFS(oldEngine, os.DirFS(e.Dir)); err != nil {
		t.Fatal(err)
	}
	e.Restart()
	w.story(100, 150)
	e.run(w, cfg, nil)

	w.store = memkv.New()
	mends("the store was dropped", 200)
	replaced("")
	mends("ClickHouse was removed", 300)
	w.store = oldStore
	mends("an old store was restored", 400)
	replaced(oldEngine)
	mends("an old ClickHouse was restored", 500)
}

func TestAnEngineThatIsReplacedUnderARunningSinkIsFilledAgain(t *testing.T) {
	e, w := newEngine(t), newWorld(t)
	cfg := w.config()
	cfg.Warehouse, cfg.MaxRows = e, 50
	w.story(0, 100)
	e.run(w, cfg, func(s *sink.Sink) {
		w.until("everything is contained", func() bool { return w.has(e) })
		e.Kill9()
		if err := os.RemoveAll(e.Dir); err != nil {
			t.Fatal(err)
		}
		w.story(100, 150)
		e.Restart()
		w.until("it rebuilds", func() bool { return s.Status().Serving == 2 })
	})
	e.check(w)
}

func TestWhatTheDriverCompressesArrivesToo(t *testing.T) {
	e, w := newEngine(t), newWorld(t)
	compressing, err := warehouse.Open(e.DSN() + "?compress=lz4")
	if err != nil {
		t.Fatal(err)
	}
	defer compressing.Close()
	cfg := w.config()
	cfg.Warehouse = sink.NewClickHouse(compressing, schema.Config{}, nil)
	w.story(0, 100)
	e.run(w, cfg, nil)
	e.check(w)
}
