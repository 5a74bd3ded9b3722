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

// shaky is a store that is away every now and then: every seventh snapshot is not to be had, and of every three batches one is
// not written and one is, and nobody hears of it.
type shaky struct {
	kv.Store
	mu                 sync.Mutex
	applies, snapshots int
	unheardOf          map[string]int // by slice
}

var errAway = fmt.Errorf("shaky: %w", kv.ErrUnavailable)

func newShaky(store kv.Store) *shaky {
	return &shaky{Store: store, unheardOf: map[string]int{}}
}

func (s *shaky) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	s.mu.Lock()
	s.applies++
	turn := s.applies % 3
	s.mu.Unlock()
	if turn == 1 {
		return errAway
	}
	if err := s.Store.Apply(ctx, ns, b); err != nil || turn == 2 {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unheardOf[ns.Slice]++
	return errAway
}

func (s *shaky) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	s.mu.Lock()
	s.snapshots++
	turn := s.snapshots % 7
	s.mu.Unlock()
	if turn == 0 {
		return nil, errAway
	}
	return s.Store.Snapshot(ctx, ns)
}

func TestRunWaitsOutAStoreThatIsAwayAndAppliesEachRecordOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 2)
	away := newShaky(f.store)
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
	if away.unheardOf[namespace.Slice] == 0 {
		t.Error("every answer came: the test shows nothing")
	}
}

func TestARebuildWaitsOutAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1)
	for i := range 12 {
		f.append(t, fmt.Sprint("k", i%5), fmt.Sprint(i))
	}
	// With several numbers of batches before, each step of the rebuild loses its answer once.
	pointers := 0
	for before := range 3 {
		away := newShaky(memkv.New())
		away.applies = before
		m, stop := f.managed(t, time.Hour, func(c *projection.Config) { c.Store, c.MaxBatch = away, 6 })
		if err := m.Rebuild(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if g := m.Status().Generations; g != (projection.Generations{Serving: 2}) {
			t.Errorf("generations: %+v", g)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		all, err := away.Namespaces(t.Context())
		if err != nil || len(all) != 3 { // both generations, and the pointers
			t.Errorf("the store holds %v, %v", all, err)
		}
		straight := memkv.New()
		if err := f.runner(t, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.store = away.Store
		if got, want := f.generation(t, 2), f.hash(t, straight); got != want {
			t.Errorf("the new generation is %v, a fold from the start is %v", got, want)
		}
		pointers += away.unheardOf["serving"]
	}
	if pointers == 0 {
		t.Error("every answer about generations came: the test shows nothing")
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
