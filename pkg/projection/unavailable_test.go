package projection_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
)

// shaky is a store that is away every now and then. Of a batch that is lost to that, it may be that it was written and nobody
// hears of it.
type shaky struct {
	kv.Store
	apply    func(n int) (before, after bool) // whether the n-th batch fails, before or after it is written
	snapshot func(n int) bool

	mu                 sync.Mutex
	applies, snapshots int
	unheard            int
}

var errAway = fmt.Errorf("shaky: %w", kv.ErrUnavailable)

func (s *shaky) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	s.mu.Lock()
	s.applies++
	before, after := s.apply(s.applies)
	s.mu.Unlock()
	if before {
		return errAway
	}
	if err := s.Store.Apply(ctx, ns, b); err != nil || !after {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unheard++
	return errAway
}

func (s *shaky) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	s.mu.Lock()
	s.snapshots++
	fails := s.snapshot(s.snapshots)
	s.mu.Unlock()
	if fails {
		return nil, errAway
	}
	return s.Store.Snapshot(ctx, ns)
}

func TestRunWaitsOutAStoreThatIsAwayAndAppliesEachRecordOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2)
	away := &shaky{
		Store:    f.store,
		apply:    func(n int) (before, after bool) { return n%3 == 1, n%3 == 0 },
		snapshot: func(n int) bool { return n%7 == 0 },
	}
	progress := &projection.Progress{}
	r := f.runner(t, func(c *projection.Config) { c.Store, c.Progress, c.MaxBatch = away, progress, 2 })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for i := range 8 {
		positions, err := eventlog.AppendAll(t.Context(), f.log, []eventlog.Message{
			{Topic: topic, Key: fmt.Append(nil, i%3), Value: []byte("x")}, {Topic: topic, Key: fmt.Append(nil, i%3), Value: []byte("long value")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := projection.Wait(t.Context(), away, namespace, topic, positions, progress); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	straight := memkv.New()
	if err := f.runner(t, func(c *projection.Config) { c.Store = straight }).RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := f.hash(t, f.store), f.hash(t, straight); got != want || got.Keys == 0 {
		t.Errorf("got %v, want %v", got, want)
	}
	if away.unheard == 0 {
		t.Error("every answer came: the test shows nothing")
	}
}

// Whichever call of a rebuild fails because the store is away, the rebuild goes on, and there is one.
func TestARebuildWaitsOutAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	never := func(int) bool { return false }
	fine := func(int) (before, after bool) { return false, false }
	for n := 1; n <= 12; n++ {
		for name, away := range map[string]*shaky{
			"unheard batch":   {apply: func(i int) (before, after bool) { return false, i == n }, snapshot: never},
			"unwritten batch": {apply: func(i int) (before, after bool) { return i == n, false }, snapshot: never},
			"snapshot":        {apply: fine, snapshot: func(i int) bool { return i == 2*n || i == 2*n+1 }},
		} {
			if name != "unheard batch" && n%3 != 1 {
				continue // fewer will do where nothing has happened
			}
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, 2)
				for i := range 12 {
					f.append(t, fmt.Sprint("k", i%5), fmt.Sprint(i))
				}
				away.Store = f.store
				m, stop := f.managed(t, time.Hour, func(c *projection.Config) { c.Store, c.MaxBatch = away, 6 })
				if err := m.Rebuild(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				ns, err := projection.Serving(t.Context(), f.store, namespace.Slice)
				if err != nil || ns.Generation != 2 {
					t.Errorf("serving %v, %v", ns, err)
				}
				all, err := f.store.Namespaces(t.Context())
				if err != nil || len(all) != 3 { // both generations, and the pointers
					t.Errorf("the store holds %v, %v", all, err)
				}
				straight := memkv.New()
				if err := f.runner(t, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got, want := f.generation(t, 2), f.hash(t, straight); got != want {
					t.Errorf("the new generation is %v, a fold from the start is %v", got, want)
				}
			})
		}
	}
}

func TestWaitEndsWithItsContextWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	store := gone{memkv.New()}
	err := projection.Wait(ctx, store, namespace, topic, []eventlog.Position{{Topic: topic, Offset: 7}}, nil)
	if ctx.Err() == nil || err == nil {
		t.Errorf("ended before its time: %v", err)
	}
}

// gone is a store that never answers.
type gone struct{ kv.Store }

func (gone) Snapshot(context.Context, kv.Namespace) (kv.Snapshot, error) { return nil, errAway }
