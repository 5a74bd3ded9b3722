package timeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/timeline"
)

// pulled is a store whose cable is pulled now and then: before a batch was written, or after that and before anybody heard.
type pulled struct {
	kv.Store
	when func() (before, after bool)
}

var errPulled = errors.New("the cable was pulled")

func (s pulled) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	before, after := s.when()
	if before {
		return errPulled
	}
	if err := s.Store.Apply(ctx, ns, b); err != nil || !after {
		return err
	}
	return errPulled
}

// somewhat publishes some events: resends, conflicts, garbage, and some that wait for their customer.
func somewhat(rt *rapid.T, w *world) (positions []*eventv1.Position, texts []string) {
	for range rapid.IntRange(1, 40).Draw(rt, "records") {
		thread := rapid.SampledFrom([]string{"t1", "t2", "t3", "t4"}).Draw(rt, "thread")
		if rapid.IntRange(0, 9).Draw(rt, "garbage at 0") == 0 {
			w.appendRaw(thread, []byte("no event"))
			continue
		}
		id, text := rapid.IntRange(0, 9).Draw(rt, "id"), rapid.SampledFrom([]string{"one thing", "one thing", "another"}).Draw(rt, "text")
		var owners []string
		if rapid.Bool().Draw(rt, "names a customer") {
			owners = []string{fmt.Sprintf("%d@x.org", id%3)}
		}
		text = fmt.Sprint(thread, " ", id, " ", text, owners)
		positions = append(positions, w.append(w.record(message(thread, fmt.Sprint(id), text, id, owners...))))
		texts = append(texts, text)
	}
	return positions, texts
}

// forgetful is a fold that remembers nothing, or next to nothing, or a thread or two, or all.
func forgetful(rt *rapid.T) *timeline.Fold {
	return timeline.NewFold(partitions).WithMemory(rapid.SampledFrom([]int{0, 1, 800, timeline.DefaultMemory}).Draw(rt, "memory"))
}

// Whatever the batches, the restarts, the cables that are pulled and the order in which partitions come, whatever the engine and
// whatever the fold remembers: the store is the same to the byte, and so are the dead letters.
func TestEveryWayToFoldALogGivesTheSameStoreOnEveryEngine(t *testing.T) {
	server := pgtest.Shared{Options: pgtest.Options{Fast: true}}
	t.Cleanup(server.Close)
	n := 0
	engines := map[string]func(t *testing.T) kv.Store{
		"memory": func(*testing.T) kv.Store { return memkv.New() },
		"pebble": func(t *testing.T) kv.Store {
			t.Helper()
			n++
			store, err := pebblekv.Open(fmt.Sprint(t.TempDir(), "/", n), pebblekv.Options{NoSync: true, CacheBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			return store
		},
		"postgresql": func(t *testing.T) kv.Store {
			t.Helper()
			n++
			store, err := pgkv.Open(t.Context(), server.Need(t).DSN(), pgkv.Options{Schema: fmt.Sprint("laws", n)})
			if err != nil {
				t.Fatal(err)
			}
			return store
		},
	}
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			checks := 0
			rapid.Check(t, func(rt *rapid.T) {
				if checks++; name != "memory" && checks > 15 {
					return // opening takes long
				}
				w := newWorld(rt)
				somewhat(rt, w)
				w.foldBy(timeline.NewFold(partitions).WithMemory(0), w.store, 1000)
				want, letters := w.hash(w.store), w.dead()

				store := open(t)
				defer func() {
					if err := store.Close(); err != nil {
						rt.Error(err)
					}
				}()
				w.letters = nil
				for done := false; !done; {
					done = w.step(rt, pulled{store, func() (bool, bool) {
						dice := rapid.IntRange(0, 9).Draw(rt, "cable")
						return dice == 0, dice == 1
					}})
				}
				if got := w.hash(store); got != want {
					rt.Errorf("%s; want %s", got, want)
				}
				if got := slices.Compact(w.dead()); !slices.Equal(got, letters) { // a batch that comes again tells its letters again
					rt.Errorf("letters %q; want %q", got, letters)
				}
			})
		})
	}
}

// step is the life of one process: it folds a few batches of some size, until it ends or its cable is pulled. It reports
// whether there is nothing left.
func (w *world) step(rt *rapid.T, store kv.Store) (done bool) {
	r, err := projection.NewRunner(context.Background(), projection.Config{
		Log: w.log, Store: store, Namespace: namespace, Topic: event.TopicInteractions,
		Fold: forgetful(rt), MaxBatch: rapid.IntRange(1, 9).Draw(rt, "batch"), DeadLetters: w,
	})
	if err != nil {
		rt.Fatal(err)
	}
	defer r.Close()
	for range rapid.IntRange(1, 4).Draw(rt, "batches until it ends") {
		n, err := r.RunOnce(context.Background()) // which goes on after a failure, too
		if err != nil && !errors.Is(err, errPulled) {
			rt.Fatal(err)
		}
		if err == nil && n == 0 {
			return true
		}
	}
	return false
}

// A thread that outgrows what is remembered of it is filed like any other.
func TestALongThreadIsFiledTheSameWhateverIsRemembered(t *testing.T) {
	const events = 1500
	w := newWorld(t)
	for i := range events {
		w.publish(message("t", fmt.Sprint(i), "text", i))
		if i%3 == 0 { // sent again, or in conflict
			w.publish(message("t", fmt.Sprint(i/2), []string{"text", "other"}[i%2], i/2))
		}
	}
	w.publish(message("t", "late", "text", events, "anna@example.com"))
	w.foldBy(timeline.NewFold(partitions).WithMemory(0), w.store, 400)
	want, letters := w.hash(w.store), w.dead()
	w.letters = nil
	store := memkv.New()
	w.fold(store, 400)
	if got := w.hash(store); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got := w.dead(); len(letters) == 0 || !slices.Equal(got, letters) {
		t.Errorf("letters %q; want %q", got, letters)
	}
}

// A read that names a position is answered with the event that stands there, or not at all.
func TestMinPositionIsNeverAnsweredTooEarly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		positions, texts := somewhat(rt, w)
		if len(positions) == 0 {
			return
		}
		answered, refused := 0, 0
		ask := func(i int) {
			ctx, cancel := context.WithTimeout(caller(), time.Millisecond)
			defer cancel()
			req := w.thread(strings.Fields(texts[i])[0])
			req.MinPositions, req.PageSize = []*eventv1.Position{positions[i]}, 100
			resp, err := w.list(ctx, req)
			if err != nil {
				refused++
				if ctx.Err() == nil {
					rt.Fatal(err)
				}
				return
			}
			answered++
			if !slices.ContainsFunc(resp.GetEntries(), func(e *timelinev1.Entry) bool { // it, or the one that has its id
				return e.GetContent().GetNativeId() == strings.Fields(texts[i])[1]
			}) {
				rt.Fatalf("the answer at %v does not hold %q", positions[i], texts[i])
			}
		}
		for done := false; !done; {
			ask(rapid.IntRange(0, len(positions)-1).Draw(rt, "which"))
			done = w.step(rt, w.store)
		}
		for i := range positions {
			ctx, cancel := context.WithTimeout(caller(), time.Minute)
			req := w.thread(strings.Fields(texts[i])[0])
			req.MinPositions = []*eventv1.Position{positions[i]}
			if _, err := w.server.List(ctx, req); err != nil {
				rt.Fatalf("all is folded, and %v is not answered: %v", positions[i], err)
			}
			cancel()
		}
	})
}
