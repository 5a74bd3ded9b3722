package timeline_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/timeline"
)

// far is a store each of whose reads is a round trip, or so it says.
type far struct {
	kv.Store
	trips *atomic.Int64
}

func (s far) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	snap, err := s.Store.Snapshot(ctx, ns)
	return farSnapshot{snap, s.trips}, err
}

type farSnapshot struct {
	kv.Snapshot
	trips *atomic.Int64
}

func (s farSnapshot) Distant() bool { return true }

func (s farSnapshot) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	s.trips.Add(1)
	return s.Snapshot.Get(ctx, key)
}

func (s farSnapshot) GetMany(ctx context.Context, keys [][]byte) ([][]byte, error) {
	s.trips.Add(1)
	return s.Snapshot.GetMany(ctx, keys)
}

func TestReadingAheadChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		for range rapid.IntRange(1, 40).Draw(rt, "records") {
			thread := rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(rt, "thread")
			if rapid.IntRange(0, 9).Draw(rt, "undecodable at 0") == 0 {
				w.appendRaw(thread, []byte("no event"))
				continue
			}
			// An id says one thing or another: the second is in conflict. Some wait for who comes later.
			id, text := rapid.IntRange(0, 9).Draw(rt, "id"), rapid.SampledFrom([]string{"one thing", "another"}).Draw(rt, "text")
			var owners []string
			if rapid.Bool().Draw(rt, "names a customer") {
				owners = []string{fmt.Sprintf("%d@x.org", id%3)}
			}
			w.publish(message(thread, fmt.Sprint(id), text, id, owners...))
		}
		w.foldBy(timeline.NewFold(partitions).WithMemory(0), w.store, 1000)
		letters := w.dead()
		ahead := far{memkv.New(), &atomic.Int64{}}
		w.letters = nil
		w.foldBy(forgetful(rt), ahead, rapid.IntRange(1, 9).Draw(rt, "batch"))
		if got := w.dead(); !slices.Equal(got, letters) {
			rt.Errorf("the letters %q; want %q", got, letters)
		}
		if got, want := w.hash(ahead), w.hash(w.store); got != want {
			rt.Errorf("got %s; want %s", got, want)
		}
	})
}

// dead are the dead letters so far.
func (w *world) dead() (letters []string) {
	for _, l := range w.letters {
		letters = append(letters, fmt.Sprintf("%d/%d %s: %s", l.GetSource().GetPartition(), l.GetSource().GetOffset(), l.GetReason(), l.GetDetail()))
	}
	slices.Sort(letters)
	return letters
}

func TestABatchIsReadInOneTrip(t *testing.T) {
	w := newWorld(t)
	for i := range 300 {
		w.publish(message("t", fmt.Sprint(i), "text", i, "anna@example.com"))
	}
	ahead := far{memkv.New(), &atomic.Int64{}}
	w.fold(ahead, 1000)
	// Each partition's offset, on opening, and one batch.
	if n := ahead.trips.Load(); n > partitions+1 {
		t.Errorf("%d trips", n)
	}
}

func TestALiveThreadTakesNoTripAtAll(t *testing.T) {
	const batch = 10
	w := newWorld(t)
	for i := range 30 * batch {
		w.publish(message("t", fmt.Sprint(i), "text", i, "anna@example.com"))
	}
	ahead := far{memkv.New(), &atomic.Int64{}}
	w.fold(ahead, batch)
	// Each partition's offset, on opening, and the first batch.
	if n := ahead.trips.Load(); n > partitions+1 {
		t.Errorf("%d trips", n)
	}
}

// BenchmarkFold folds one partition of 20,000 events of 2,000 threads, half of which were seen before, with reading ahead
// and without:
//
//	go test ./timeline -run '^$' -bench Fold
func BenchmarkFold(b *testing.B) {
	const events, threads = 20_000, 2000
	w := newWorld(b)
	for range 2 {
		for i := range events / 2 {
			w.publish(message(fmt.Sprint("t", i%threads), fmt.Sprint(i), "How can we help? My parcel has not arrived yet.", i, fmt.Sprintf("%d@x.org", i%threads)))
		}
	}
	stores := map[string]func(b *testing.B) kv.Store{
		"pebble": func(b *testing.B) kv.Store {
			b.Helper()
			store, err := pebblekv.Open(b.TempDir(), pebblekv.Options{})
			if err != nil {
				b.Fatal(err)
			}
			return store
		},
		"postgres": func(b *testing.B) kv.Store {
			b.Helper()
			store, err := pgkv.Open(b.Context(), pgtest.New(b, pgtest.Options{}).DSN(), pgkv.Options{})
			if err != nil {
				b.Fatal(err)
			}
			return store
		},
	}
	for _, name := range []string{"pebble", "postgres"} {
		for _, ahead := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/ahead=%v", name, ahead), func(b *testing.B) {
				store := stores[name](b)
				defer store.Close()
				generation := uint32(0)
				for b.Loop() {
					generation++
					benchFold(b, w, store, generation, ahead)
				}
				b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func benchFold(b *testing.B, w *world, store kv.Store, generation uint32, ahead bool) {
	b.Helper()
	fold := timeline.NewFold(partitions)
	cfg := projection.Config{
		Log: w.log, Store: far{store, &atomic.Int64{}}, Namespace: kv.Namespace{Slice: timeline.Slice, Generation: generation},
		Topic: event.TopicInteractions, Fold: fold,
	}
	if !ahead {
		cfg.Fold = plain{fold}
	}
	r, err := projection.NewRunner(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	if err := r.RunToEnd(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// plain is a fold that tells nothing beforehand.
type plain struct{ fold projection.Fold }

func (p plain) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	return p.fold.Apply(ctx, tx, r)
}
