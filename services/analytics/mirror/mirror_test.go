package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// passes lets time pass on the clock of a bubble, and waits until nobody does anything more.
func passes(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// process is a mirror at work.
type process struct {
	*mirror.Mirror
	stop context.CancelFunc
	over chan struct{}
}

func start(t require.TestingT, cfg mirror.Config) *process {
	m, err := mirror.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{Mirror: m, stop: cancel, over: make(chan struct{})}
	go func() {
		defer close(p.over)
		_ = m.Run(ctx) // it returns nil
	}()
	return p
}

func (p *process) end() {
	p.stop()
	<-p.over
}

// world is one model, its tables and its mirror.
type world struct {
	t       require.TestingT
	m       *model
	b       *bank
	s       *store
	witness *witness
	cfg     mirror.Config
	p       *process

	registry *prometheus.Registry
}

// change changes what others read meanwhile.
func (w *world) change(how func()) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	how()
}

func newWorld(t require.TestingT) *world {
	w := &world{t: t, m: newModel("things"), b: newBank(), s: &store{Store: memkv.New()}}
	w.witness = &witness{m: w.m, seen: map[string]int{}}
	w.b.look = func() {
		if w.witness == nil {
			return
		}
		if err := w.witness.look(w.b); err != nil {
			w.b.faults = append(w.b.faults, err.Error())
		}
	}
	w.registry = prometheus.NewRegistry()
	w.cfg = mirror.Config{
		Store: w.s, Warehouse: w.b, Sources: func() []mirror.Source { return []mirror.Source{w.m.source()} }, Rows: 8, Metrics: mirror.NewMetrics(w.registry),
		Until: func(string, projection.Vector) time.Time { return time.Now() },
	}
	return w
}

func (w *world) start() { w.p = start(w.t, w.cfg) }

// settles waits until all is sent, and compares.
func (w *world) settles() {
	passes(3 * time.Minute)
	synctest.Wait()
	w.equal()
}

func (w *world) equal() {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	byEntity, all := w.m.everything()
	held, err := w.b.collapsed()
	require.NoError(w.t, err)
	require.Empty(w.t, w.b.faults)
	require.Equal(w.t, byEntity, held)
	require.Equal(w.t, all, w.b.replaced())
}

func TestTheTablesEqualTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := range 20 {
			w.m.set(fmt.Sprintf("e%02d", n), "k", "v")
		}
		w.start()
		w.settles()
		w.m.set("e03", "k", "w")
		w.m.set("e03", "other", "x")
		w.m.set("e04", "k", "")
		w.settles()
		w.m.lose("e05")
		w.m.set("e06", "k", "again")
		w.settles()
		w.p.end()
	})
}

func TestWhatChangesTenTimesWithinASecondGoesOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.settles()
		before := len(w.b.tables["facts"])
		for n := range 10 {
			w.m.set("e", "k", fmt.Sprint("v", n))
			passes(90 * time.Millisecond)
		}
		passes(3 * time.Second)
		require.Len(t, w.b.tables["facts"][before:], 1)
		w.p.end()
	})
}

func TestABatchHasItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.m.page = 1000
		for n := range 500 {
			w.m.set(fmt.Sprintf("e%03d", n), "k", "v")
		}
		w.start()
		w.settles()
		require.LessOrEqual(t, w.b.largest, 8)
		w.p.end()
	})
}

// Every call of the store and of the warehouse fails once, in each way; then the process is another one.
func TestACrashAtAnyCallLosesAndDoublesNothing(t *testing.T) {
	for _, at := range []when{before, after} {
		for crashing := 1; ; crashing++ {
			reached := false
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				calls, crashed := 0, make(chan struct{})
				var mu sync.Mutex
				armed := true
				fault := func() (when, error) {
					mu.Lock()
					defer mu.Unlock()
					if calls++; calls != crashing || !armed {
						return never, nil
					}
					reached = true
					close(crashed)
					return at, errCrash
				}
				w.s.fault = fault
				w.b.fault = func(table string) (when, error) {
					if table == "progress" {
						return never, nil
					}
					return fault()
				}
				w.start()
				go func() {
					<-crashed
					w.p.stop()
				}()
				for n := range 6 {
					w.m.set(fmt.Sprint("e", n%4), "k", fmt.Sprint("v", n))
					w.m.set(fmt.Sprint("e", n%3), fmt.Sprint("k", n), "v")
					if n == 3 {
						w.m.lose("e1")
					}
					passes(5 * time.Second)
				}
				mu.Lock()
				armed = false
				died := reached
				mu.Unlock()
				if !died {
					close(crashed)
				}
				<-w.p.over
				w.start()
				w.settles()
				w.p.end()
			})
			if t.Failed() {
				t.Fatalf("a crash at call %d, %d", crashing, at)
			}
			if !reached {
				require.Greater(t, crashing, 15)
				break
			}
		}
	}
}

// check checks a property on a clock that goes on when everybody waits.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) {
		var failed any
		synctest.Test(t, func(*testing.T) {
			defer func() { failed = recover() }()
			property(r)
		})
		if failed != nil {
			panic(failed)
		}
	})
}

func TestAfterAnyInterleavingTheTablesEqualTheSourceAndWereNeverWrong(t *testing.T) {
	check(t, func(r *rapid.T) {
		w := newWorld(r)
		w.m.page = rapid.IntRange(1, 5).Draw(r, "page")
		w.cfg.Rows = rapid.IntRange(1, 12).Draw(r, "rows")
		var faults sync.Mutex
		ofStore, ofBank := never, never
		take := func(f *when) (when, error) {
			faults.Lock()
			defer faults.Unlock()
			at := *f
			*f = never
			if at == never {
				return never, nil
			}
			return at, warehouse.ErrUnavailable
		}
		w.s.fault = func() (when, error) { return take(&ofStore) }
		w.b.fault = func(string) (when, error) { return take(&ofBank) }
		w.start()
		entity := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			switch rapid.IntRange(0, 11).Draw(r, "what") {
			default:
				key := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(r, "key")
				w.m.set(entity.Draw(r, "entity"), key, rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(r, "value"))
			case 6:
				w.m.trim()
			case 7:
				w.m.lose(entity.Draw(r, "lost"))
			case 8:
				w.p.end()
				w.start()
			case 9:
				faults.Lock()
				ofStore = when(rapid.IntRange(1, 2).Draw(r, "store"))
				faults.Unlock()
			case 10:
				faults.Lock()
				ofBank = when(rapid.IntRange(1, 2).Draw(r, "bank"))
				faults.Unlock()
			case 11:
				passes(time.Duration(rapid.IntRange(1, 5000).Draw(r, "ms")) * time.Millisecond)
			}
		}
		w.settles()
		w.p.end()
	})
}

func TestTwoProcessesAtOnceDoNoHarm(t *testing.T) {
	check(t, func(r *rapid.T) {
		w := newWorld(r)
		w.start()
		w.settles() // the tables are begun by one of them
		w.p.end()
		w.cfg.Alone = true // each believes so
		w.start()
		other := w.cfg
		second := start(r, other)
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			entity := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(r, "entity")
			w.m.set(entity, rapid.SampledFrom([]string{"1", "2"}).Draw(r, "key"), rapid.SampledFrom([]string{"", "x", "y"}).Draw(r, "value"))
			passes(time.Duration(rapid.IntRange(1, 3000).Draw(r, "ms")) * time.Millisecond)
		}
		w.settles()
		w.p.end()
		second.end()
	})
}

func TestOneProcessMirrorsAtATimeAndAnotherOneTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.settles()
		second := start(t, w.cfg)
		w.m.set("a", "k", "v")
		w.settles()
		require.Zero(t, second.Status()[0].Generation, "it waits for its turn")
		w.p.end()
		w.m.set("a", "k", "w")
		w.settles()
		require.NotZero(t, second.Status()[0].Generation)
		second.end()
	})
}

func TestWhatIsRefusedForGoodIsPutAsideAndTheRestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Rows = 1000
		w.witness = nil
		w.start()
		for n := range 9 {
			w.m.set(fmt.Sprint("e", n), "k", "v")
		}
		w.settles()
		w.change(func() { w.b.poison = map[string]bool{"e3|k|bad": true} })
		for n := range 9 {
			w.m.set(fmt.Sprint("e", n), "k", map[int]string{3: "bad", 5: "broken"}[n]+"")
			w.m.set(fmt.Sprint("e", n), "more", "v")
		}
		for n := range 9 {
			if n != 3 && n != 5 {
				w.m.set(fmt.Sprint("e", n), "k", "w")
			}
		}
		passes(time.Minute)
		synctest.Wait()
		held, err := w.b.collapsed()
		require.NoError(t, err)
		require.Empty(t, w.b.faults)
		require.Equal(t, []string{"e3|k|v"}, held["e3"], "as it was sent last")
		require.Equal(t, []string{"e5|k|v"}, held["e5"])
		require.Equal(t, []string{"e4|k|w", "e4|more|v"}, held["e4"])
		require.Equal(t, 2, w.p.Status()[0].Aside)

		w.change(func() { w.b.poison = nil })
		w.m.set("e5", "k", "good")
		w.p.end()
		w.start() // what was put aside is tried again
		w.settles()
		require.Zero(t, w.p.Status()[0].Aside)
		w.p.end()
	})
}

func TestAnEntityThatCannotBeReadHoldsNothingUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(func() { w.m.failing["e1"] = true })
		for n := range 3 {
			w.m.set(fmt.Sprint("e", n), "k", "v")
		}
		w.start()
		passes(2 * time.Minute)
		held, err := w.b.collapsed()
		require.NoError(t, err)
		require.Equal(t, []string{"e0", "e2"}, slices.Sorted(maps.Keys(held)))
		w.change(func() { w.m.failing = map[string]bool{} })
		w.m.set("e1", "k", "w")
		w.settles()
		w.p.end()
	})
}

func TestWhileClickHouseIsAwayOneBatchWaitsAndNothingPilesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.settles()
		w.change(func() { w.b.fault = func(string) (when, error) { return before, warehouse.ErrUnavailable } })
		w.m.set("a", "k", "v")
		passes(time.Minute)
		asked := w.m.asked
		for n := range 100 {
			w.m.set(fmt.Sprint("e", n), "k", "v")
			passes(time.Second)
		}
		require.Equal(t, asked, w.m.asked, "the source waits")
		require.Equal(t, 2, w.p.Status()[0].Pending, "one in each table")
		require.Contains(t, w.p.Status()[0].Problem, "unavailable")
		w.change(func() { w.b.fault = nil })
		w.settles()
		require.Empty(t, w.p.Status()[0].Problem)
		gathered, err := w.registry.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, f := range gathered {
			for _, m := range f.GetMetric() {
				values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		require.InDelta(t, 202, values["skein_mirror_rows_total"], 0, "101 entities in two tables")
		require.InDelta(t, 101, values["skein_mirror_entities_total"], 0)
		require.Zero(t, values["skein_mirror_pending_rows"])
		require.Positive(t, values["skein_mirror_retries_total"])
		require.InDelta(t, time.Now().Unix(), values["skein_mirror_complete_until_timestamp_seconds"], 10)
		w.p.end()
	})
}

// rebuilds waits until a generation serves.
func (w *world) rebuilds(generation uint32) {
	for range 600 {
		if w.p.Status()[0].Generation == generation {
			return
		}
		passes(time.Second)
	}
	require.Fail(w.t, "no new tables", "%+v", w.p.Status())
}

func TestARebuildFillsNewTablesWhileTheOldOnesAreKeptEqual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := range 200 {
			w.m.set(fmt.Sprintf("e%03d", n), "k", "v")
		}
		w.start()
		w.settles()
		slow, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		w.change(func() {
			w.b.fault = func(table string) (when, error) {
				if table == "site.facts" {
					once.Do(func() { close(slow) })
					select {
					case <-release:
					default:
						return before, warehouse.ErrUnavailable
					}
				}
				return never, nil
			}
		})
		var told []mirror.Rebuilding
		done := make(chan error, 1)
		go func() { done <- w.p.Rebuild(t.Context(), func(r mirror.Rebuilding) { told = append(told, r) }) }()
		<-slow
		w.m.set("e003", "k", "w")
		w.m.set("new", "k", "v")
		passes(5 * time.Second)
		w.equal() // while it is built
		joined, leave := context.WithTimeout(t.Context(), time.Second)
		require.ErrorIs(t, w.p.Rebuild(joined, nil), context.DeadlineExceeded, "it joins the one that is under way")
		leave()
		close(release)
		require.NoError(t, <-done)
		require.Equal(t, mirror.Rebuilding{Serving: 1, Building: 2, Total: 200}, mirror.Rebuilding{Serving: told[0].Serving, Building: told[0].Building, Total: told[0].Total})
		w.settles()
		require.EqualValues(t, 2, w.p.Status()[0].Generation)
		w.m.set("e004", "k", "w")
		w.settles()
		require.False(t, w.b.site, "the old tables are dropped")
		w.p.end()
	})
}

func TestWhatSomebodyDeletedARebuildBringsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.witness = nil
		for n := range 9 {
			w.m.set(fmt.Sprint("e", n), "k", "v")
		}
		w.start()
		w.settles()
		w.change(func() {
			w.b.tables["facts"] = w.b.tables["facts"][2:]
			w.b.tables["entries"] = nil
		})
		require.NoError(t, w.p.Rebuild(t.Context(), nil))
		w.settles()
		w.p.end()
	})
}

// Every call of a rebuild fails once, in each way, and the process is another one then.
func TestARebuildThatDiesAtAnyCallIsFinished(t *testing.T) {
	for _, at := range []when{before, after} {
		for crashing := 1; ; crashing++ {
			reached := false
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for n := range 20 {
					w.m.set(fmt.Sprintf("e%02d", n), "k", "v")
				}
				w.start()
				w.settles()
				var mu sync.Mutex
				calls, armed, crashed := 0, true, make(chan struct{})
				fault := func() (when, error) {
					mu.Lock()
					defer mu.Unlock()
					if calls++; calls != crashing || !armed {
						return never, nil
					}
					reached = true
					close(crashed)
					return at, errCrash
				}
				w.change(func() {
					w.s.fault = fault
					w.b.fault = func(table string) (when, error) {
						if table == "progress" {
							return never, nil
						}
						return fault()
					}
				})
				asked, leave := context.WithCancel(t.Context())
				over, dying := make(chan struct{}), w.p
				go func() {
					defer close(over)
					_ = dying.Rebuild(asked, nil) // where it fails, it is asked for again
				}()
				go func() {
					select {
					case <-crashed:
						dying.stop()
						leave()
					case <-over:
					}
				}()
				w.m.set("e03", "k", "w")
				<-over
				mu.Lock()
				armed = false
				mu.Unlock()
				leave()
				w.p.end()
				w.start()
				w.m.set("e05", "k", "w")
				require.NoError(t, w.p.Rebuild(t.Context(), nil))
				w.settles()
				w.p.end()
			})
			if t.Failed() {
				t.Fatalf("a crash at call %d, %d", crashing, at)
			}
			if !reached {
				require.Greater(t, crashing, 15)
				break
			}
		}
	}
}

// copied is a store with the same rows.
func copied(t require.TestingT, from kv.Store) kv.Store {
	ctx, to := context.Background(), memkv.New()
	namespaces, err := from.Namespaces(ctx)
	require.NoError(t, err)
	for _, ns := range namespaces {
		snap, err := from.Snapshot(ctx, ns)
		require.NoError(t, err)
		it, err := snap.Scan(ctx, kv.Range{})
		require.NoError(t, err)
		b := &kv.Batch{}
		for it.Next() {
			b.Set(it.Key(), it.Value())
		}
		require.NoError(t, errors.Join(it.Err(), it.Close(), snap.Close(), to.Apply(ctx, ns, b)))
	}
	return to
}

func (b *bank) copied() map[string][][]any {
	out := map[string][][]any{}
	for name, rows := range b.tables {
		out[name] = slices.Clone(rows)
	}
	return out
}

func TestAStoreAndAClickHouseThatDisagreeAreMendedWithoutAPerson(t *testing.T) {
	for what, spoil := range map[string]func(w *world, store kv.Store, tables map[string][][]any){
		"the store was dropped":          func(w *world, _ kv.Store, _ map[string][][]any) { w.s.Store = memkv.New() },
		"ClickHouse was removed":         func(w *world, _ kv.Store, _ map[string][][]any) { w.b.tables = map[string][][]any{} },
		"an old store was restored":      func(w *world, store kv.Store, _ map[string][][]any) { w.s.Store = store },
		"an old ClickHouse was restored": func(w *world, _ kv.Store, tables map[string][][]any) { w.b.tables = tables },
		"an old store beside no ClickHouse": func(w *world, store kv.Store, _ map[string][][]any) {
			w.s.Store, w.b.tables = store, map[string][][]any{}
		},
	} {
		for _, running := range []bool{false, true} {
			if running && strings.Contains(what, "store") { // which is not replaced under a process
				continue
			}
			t.Run(fmt.Sprintf("%s, running: %v", what, running), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.witness = nil
					for n := range 20 {
						w.m.set(fmt.Sprintf("e%02d", n), "k", "v")
					}
					w.start()
					w.settles()
					store, tables := copied(t, w.s.Store), w.b.copied()
					w.m.set("e01", "k", "w")
					w.m.set("e02", "k", "")
					w.settles()
					if !running {
						w.p.end()
						spoil(w, store, tables)
						w.start()
					} else {
						w.change(func() {
							spoil(w, store, tables)
							failed := false // it was away
							w.b.fault = func(string) (when, error) {
								if failed {
									return never, nil
								}
								failed = true
								return before, warehouse.ErrUnavailable
							}
						})
						w.m.set("e03", "k", "w")
					}
					w.rebuilds(2)
					w.m.set("e04", "k", "w")
					w.settles()
					w.p.end()
				})
			})
		}
	}
}

func TestARebuildOfWhichAPartWasLostBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := range 60 {
			w.m.set(fmt.Sprintf("e%02d", n), "k", "v")
		}
		w.start()
		w.settles()
		calls := 0
		stalled := make(chan struct{})
		w.change(func() {
			w.b.fault = func(table string) (when, error) {
				if table != "site.facts" {
					return never, nil
				}
				if calls++; calls == 4 {
					close(stalled)
				}
				if calls >= 4 {
					return before, warehouse.ErrUnavailable
				}
				return never, nil
			}
		})
		asked, leave := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = w.p.Rebuild(asked, nil)
		}()
		<-stalled
		w.p.end()
		leave()
		<-over
		w.change(func() { w.b.fault = nil })
		require.NoError(t, w.b.Discard(t.Context()))
		w.start()
		w.rebuilds(3)
		w.settles()
		w.p.end()
	})
}

func TestProgressIsTheLeastOfWhatTheSourcesTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.witness = nil
		second := newModel("others")
		w.cfg.Sources = func() []mirror.Source { return []mirror.Source{w.m.source(), second.source()} }
		w.start()
		for range 7 {
			w.m.set("a", "k", time.Now().String())
			passes(time.Second)
		}
		second.set("b", "k", "v")
		passes(20 * time.Second)
		rows := w.b.tables["progress"]
		require.NotEmpty(t, rows)
		last := rows[len(rows)-1]
		require.Equal(t, []any{"facts", "log", int32(0), int64(1)}, last[:4])
		at, ok := last[4].(time.Time)
		require.True(t, ok)
		require.Less(t, time.Since(at), 10*time.Second)
		require.Less(t, w.b.reloads, 15)
		require.Positive(t, w.b.reloads)
		w.p.end()
	})
}
