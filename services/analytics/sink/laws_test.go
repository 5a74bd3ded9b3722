package sink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// TestTheTablesSayWhatAModelSays draws logs with duplicates, conflicts, nonsense and late events, and cuts them into batches and lives.
func TestTheTablesSayWhatAModelSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type sum struct {
			count int
			value float64
		}
		w, model, seen := newWorld(t), map[string]*sum{}, map[string]bool{}
		for range rapid.IntRange(1, 3).Draw(rt, "lives") {
			for range rapid.IntRange(0, 40).Draw(rt, "records") {
				thread := fmt.Sprint("thread ", rapid.IntRange(0, 3).Draw(rt, "thread"))
				native := fmt.Sprint(rapid.IntRange(0, 30).Draw(rt, "native"))
				hour := rapid.IntRange(-50, 50).Draw(rt, "hour")
				e := happened(thread, native, event.TypeInsightInferred, func(c *eventv1.Content) {
					c.Body = &eventv1.Content_InsightInferred{InsightInferred: &eventv1.InsightInferred{Kind: "sentiment", Score: float64(hour)}}
				})
				e.Tenant = rapid.SampledFrom([]string{"acme", "other"}).Draw(rt, "tenant")
				e.OccurredAt = timestamppb.New(epoch.Add(time.Duration(hour) * time.Hour))
				switch rapid.IntRange(0, 9).Draw(rt, "kind") {
				case 0:
					w.append(event.TopicInteractions, thread, []byte("nonsense"))
					continue
				case 1: // where it does not belong
					raw, err := event.Encode(e)
					if err != nil {
						rt.Fatal(err)
					}
					w.append(event.TopicInteractions, "elsewhere", raw)
					continue
				}
				w.publish(e)
				id := e.GetTenant() + e.GetThreadId() + e.GetId()
				if seen[id] {
					continue
				}
				seen[id] = true
				at := e.GetTenant() + e.GetOccurredAt().AsTime().Format(time.RFC3339)
				if model[at] == nil {
					model[at] = &sum{}
				}
				model[at].count++
				model[at].value += float64(hour)
			}
			cfg := w.config()
			cfg.Logger = nil
			cfg.MaxRows, cfg.MemoryBytes = rapid.IntRange(1, 60).Draw(rt, "rows"), rapid.SampledFrom([]int{1, 1000, 1 << 20}).Draw(rt, "memory")
			w.run(cfg)
		}
		got, rows := map[string]*sum{}, w.shelf.rows("events")
		for _, r := range rows {
			at := is[string](r, "tenant") + is[time.Time](r, "occurred_at").UTC().Format(time.RFC3339)
			if got[at] == nil {
				got[at] = &sum{}
			}
			got[at].count++
			got[at].value += *is[*float64](r, "value")
		}
		if len(rows) != len(seen) || len(got) != len(model) {
			rt.Fatalf("%d events in %d hours instead of %d in %d", len(rows), len(got), len(seen), len(model))
		}
		for at, want := range model {
			if got[at] == nil || *got[at] != *want {
				rt.Fatalf("%s: %+v instead of %+v", at, got[at], want)
			}
		}
	})
}

func TestTwoSinksAtOnceWriteEachEventOnce(t *testing.T) {
	for name, shared := range map[string]bool{"in turns": true, "though each believes that it is alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.story(0, 50)
				cfg := w.config()
				cfg.Shared = shared
				_, stopOne := w.start(cfg)
				_, stopTwo := w.start(cfg)
				w.until("everything is contained", w.contained)
				w.story(50, 120)
				w.until("everything is contained", w.contained)
				if err := stopOne(); err != nil {
					t.Error(err)
				}
				w.story(120, 150)
				w.until("the other one goes on", w.contained)
				if err := stopTwo(); err != nil {
					t.Error(err)
				}
				w.check()
			})
		})
	}
}

func TestARowThatIsRefusedForGoodIsPutAsideAndTheRestGoesIn(t *testing.T) {
	for crash := range 12 { // it dies after so many refusals
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			refusals := 0
			died := make(chan struct{})
			w.shelf.refuse = func(table string, r record) bool {
				if table != "events" || said(r["event_id"]) != name("thread 2/6") && said(r["event_id"]) != name("thread 3/11") {
					return false
				}
				if refusals++; refusals == crash {
					close(died)
				}
				return true
			}
			w.story(0, 30)
			cfg := w.config()
			cfg.MaxRows, cfg.Logger = 20, nil
			registry := prometheus.NewRegistry()
			cfg.Metrics = sink.NewMetrics(registry)
			if crash > 0 {
				_, stop := w.start(cfg)
				w.until("it dies", func() bool { return closed(died) || w.contained() })
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			}
			w.run(cfg)
			w.story(30, 40)
			w.run(cfg)
			rejected := w.shelf.rows("rejected_events")
			want := w.expected()
			for _, r := range rejected {
				at := fmt.Sprintf("%s/%d/%d", r["topic"], r["partition"], r["offset"])
				if !want[at] || r["table"] != "events" || r["reason"] == "" {
					t.Errorf("put aside: %v", r)
				}
				delete(want, at)
			}
			if len(rejected) != 2 {
				t.Errorf("%d rows are put aside", len(rejected))
			}
			w.shelf.compare(want)
			if crash == 0 {
				const name = "skein_analytics_sink_rejected_total"
				counted := "# HELP " + name + " Rows that ClickHouse refused for good; rejected_events says which.\n# TYPE " + name + " counter\n" +
					name + "{table=\"events\"} 2\n" + name + "{table=\"messages\"} 0\n" + name + "{table=\"surveys\"} 0\n"
				if err := testutil.GatherAndCompare(registry, strings.NewReader(counted), name); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestATableThatRefusesEverythingStopsNothingForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		broken := true
		w.shelf.refuse = func(table string, _ record) bool { return table == "events" && broken }
		for i := range 400 {
			w.publish(happened("thread", fmt.Sprint(i), event.TypeMessageReceived, text("hello")))
		}
		cfg := w.config()
		cfg.MaxRows, cfg.Logger = 400, nil
		_, stop := w.start(cfg)
		w.until("it waits", func() bool { return len(w.shelf.rows("rejected_events")) == 100 })
		pass(time.Minute)
		if n := len(w.shelf.rows("rejected_events")); n != 100 {
			t.Errorf("%d rows are put aside", n)
		}
		w.shelf.mu.Lock()
		broken = false
		w.shelf.mu.Unlock()
		w.until("it goes on", w.contained)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(w.shelf.rows("events")); n != 300 {
			t.Errorf("%d events", n)
		}
	})
}

func TestALogThatIsNotTheSameIsRefused(t *testing.T) {
	w := newWorld(t)
	w.story(0, 20)
	w.run(w.config())
	w.log = memlog.New(memlog.Config{}).Open()
	for topic, n := range topics {
		if err := w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: n}); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]int{"it is shorter": 19, "it holds something else": 100} {
		w.story(from, from+1)
		if name == "it holds something else" {
			w.story(200, 260)
		}
		if err := sink.New(w.config()).Run(t.Context()); !errors.Is(err, sink.ErrLogMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClickHouseThatLostOrGainedEventsIsRebuiltWithoutAPerson(t *testing.T) {
	for what, spoil := range map[string]func(w *world){
		"the store was dropped":    func(w *world) { w.store = memkv.New() },
		"ClickHouse was dropped":   func(w *world) { w.shelf = newShelf(w.t) },
		"ClickHouse was set back":  func(w *world) { w.shelf.next[sink.Partition{Topic: event.TopicInteractions}]-- },
		"the store was set back":   func(w *world) { w.shelf.next[sink.Partition{Topic: event.TopicInteractions}]++ },
		"both were dropped":        func(w *world) { w.store, w.shelf = memkv.New(), newShelf(w.t) },
		"nothing happened to them": func(*world) {},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.story(0, 20)
				_, stop := w.start(w.config())
				w.until("everything is contained", w.contained)
				pass(time.Second) // until nothing is pending
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				spoil(w)
				w.story(20, 30)
				cfg := w.config()
				cfg.Logger = nil
				var s *sink.Sink
				s, stop = w.start(cfg)
				serving := uint32(2)
				if strings.HasPrefix(what, "both") || strings.HasPrefix(what, "nothing") {
					serving = 1
				}
				w.until("it goes on", func() bool { return s.Status().Serving == serving && s.Status().Err == nil && w.contained() })
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.check()
			})
		})
	}
}

func TestAClickHouseThatIsReplacedUnderARunningSinkIsRebuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		house := &replaceable{shelf: w.shelf}
		cfg := w.config()
		cfg.Warehouse, cfg.Logger = house, nil
		s, stop := w.start(cfg)
		for n := range 30 { // whoever finds it out, and whatever the others do meanwhile
			w.story(n*20, n*20+20)
			w.until("everything is contained", func() bool { return w.has(house) })
			house.replace(nil)
			w.story(n*20+15, n*20+22)
			pass(20 * time.Millisecond)
			w.shelf = newShelf(t)
			house.replace(w.shelf)
			w.until("it rebuilds", func() bool { return s.Status().Serving == uint32(n+2) && w.contained() })
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.check()
	})
}

// replaceable is a ClickHouse that may be away, and another one when it comes back.
type replaceable struct {
	mu    sync.Mutex
	shelf *shelf
}

func (r *replaceable) replace(with *shelf) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shelf = with
}

// is gives the one that is there, or one that fails at everything.
func (r *replaceable) is() sink.Warehouse {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shelf == nil {
		return away{}
	}
	return r.shelf
}

func (r *replaceable) Ready(warehouse.Rows) {}

func (r *replaceable) Insert(ctx context.Context, token string, rows warehouse.Rows) error {
	return r.is().Insert(ctx, token, rows)
}

func (r *replaceable) Contained(ctx context.Context, database string) (map[sink.Partition]int64, time.Time, error) {
	return r.is().Contained(ctx, database)
}

func (r *replaceable) Build(ctx context.Context) (string, error) { return r.is().Build(ctx) }

func (r *replaceable) Built(ctx context.Context) (map[string]string, error) { return r.is().Built(ctx) }

func (r *replaceable) Discard(ctx context.Context) error { return r.is().Discard(ctx) }

func (r *replaceable) Switch(ctx context.Context, built map[string]string) error {
	return r.is().Switch(ctx, built)
}

// away is a ClickHouse that does not answer.
type away struct{ sink.Warehouse }

func (away) Insert(context.Context, string, warehouse.Rows) error { return warehouse.ErrUnavailable }

func (away) Contained(context.Context, string) (map[sink.Partition]int64, time.Time, error) {
	return nil, time.Time{}, warehouse.ErrUnavailable
}

func TestARebuildOfWhichAPartWasLostBeginsAgain(t *testing.T) {
	for what, spoil := range map[string]func(s *shelf){
		"its database was dropped": func(s *shelf) { _ = s.Discard(t.Context()) },
		"its database was set back": func(s *shelf) {
			for p := range s.building.next { // which of them had come to something is left to chance
				s.building.next[p] = 0
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.story(0, 30)
				w.run(w.config())
				cfg := w.config()
				cfg.Logger = nil
				house := &stalling{Warehouse: w.shelf, after: 4, stalled: make(chan struct{})}
				cfg.Warehouse = house
				s, stop := w.start(cfg)
				asked, leave := context.WithCancel(t.Context())
				go func() { _ = s.Rebuild(asked, nil) }()
				<-house.stalled
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				leave()
				spoil(w.shelf)
				w.story(25, 40)
				cfg.Warehouse = w.shelf
				s, stop = w.start(cfg)
				w.until("another generation serves", func() bool { return s.Status().Serving == 3 && w.contained() })
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.check()
			})
		})
	}
}

// stalling takes so many inserts into the database of a rebuild, and then no more.
type stalling struct {
	sink.Warehouse
	after   int
	stalled chan struct{}
}

func (h *stalling) Insert(ctx context.Context, token string, rows warehouse.Rows) error {
	if rows.Table() == buildings+".events" {
		if h.after--; h.after <= 0 {
			if h.after == 0 {
				close(h.stalled)
			}
			return errHouse
		}
	}
	return h.Warehouse.Insert(ctx, token, rows)
}

func TestProgressGoesOnWhileNothingHappensAndHoldsBackWhileSomethingIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var shift atomic.Int64 // of the clock
		cfg := w.config()
		cfg.LookEvery = time.Second
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
		s, stop := w.start(cfg)
		pass(time.Minute)
		if until := s.Status().CompleteUntil(); time.Since(until) > 3*time.Second || time.Since(until) < 0 {
			t.Errorf("it is complete up to %s at %s", until, time.Now())
		}
		if n := len(w.shelf.rows("progress")); n > 8*20 {
			t.Errorf("%d rows of progress in an idle minute", n)
		}
		w.shelf.mu.Lock()
		w.shelf.refuse = func(table string, _ record) bool { return table == "messages" }
		w.shelf.mu.Unlock()
		received := time.Now()
		e := happened("thread", "late", event.TypeMessageReceived, text("hello"))
		e.ReceivedAt = timestamppb.New(received)
		w.publish(e)
		pass(time.Hour)
		w.until("it is put aside", func() bool { return len(w.shelf.rows("rejected_events")) == 1 })

		shift.Store(int64(24 * time.Hour)) // it jumps ahead, and back
		w.publish(happened("thread", "2", event.TypeNoteAdded, nil))
		w.until("it is contained", w.contained)
		shift.Store(int64(-24 * time.Hour))
		w.publish(happened("thread", "3", event.TypeNoteAdded, nil))
		w.until("it is contained", w.contained)
		pass(time.Minute)
		if until := s.Status().CompleteUntil(); until.After(cfg.Now()) {
			t.Errorf("it is complete up to %s at %s", until, cfg.Now())
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.check()
	})
}
