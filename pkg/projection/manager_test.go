package projection_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
)

// managed runs a manager until the function that it returns is called.
func (f *fixture) managed(t rapid.TB, retire time.Duration, change func(*projection.Config)) (*projection.Manager, func() error) {
	t.Helper()
	cfg := projection.Config{
		Log: f.log, Store: f.store, Namespace: kv.Namespace{Slice: namespace.Slice}, Topic: topic, Fold: sums{}, DeadLetters: f.letters, MaxBatch: 3,
	}
	if change != nil {
		change(&cfg)
	}
	m, err := projection.NewManager(context.Background(), cfg, retire)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() error { cancel(); return <-ended }
}

func (f *fixture) generation(t rapid.TB, generation uint32) kv.Digest {
	t.Helper()
	snap, err := f.store.Snapshot(context.Background(), kv.Namespace{Slice: namespace.Slice, Generation: generation})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dropped waits until nothing is left of a generation.
func (f *fixture) dropped(t rapid.TB, generation uint32) {
	t.Helper()
	for f.generation(t, generation).Keys > 0 {
		<-time.After(time.Millisecond) // nobody tells of it
	}
}

func TestARebuildSwitchesToTheSameStateWhileTheOldOneServes(t *testing.T) {
	f := newFixture(t, 2)
	for i := range 50 {
		f.append(t, fmt.Sprint("k", i%7), fmt.Sprint(i))
	}
	f.append(t, "k1", "bad")
	m, stop := f.managed(t, time.Hour, nil)
	var positions []eventlog.Position
	var reports atomic.Int64
	err := m.Rebuild(t.Context(), func(s projection.Status) {
		reports.Add(1)
		if s.Building == 2 && s.Done > 0 && len(positions) == 0 { // while it builds, more comes
			p, err := eventlog.AppendAll(t.Context(), f.log, []eventlog.Message{{Topic: topic, Key: []byte("late"), Value: []byte("x")}})
			if err != nil {
				t.Error(err)
			}
			positions = p
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := projection.Serving(t.Context(), f.store, namespace.Slice)
	if err != nil || ns.Generation != 2 || m.Status().Serving != 2 || m.Status().Building != 0 {
		t.Fatalf("serving %v, %v; %+v", ns, err, m.Status())
	}
	if reports.Load() < 2 {
		t.Errorf("%d reports", reports.Load())
	}
	f.append(t, "k2", "after the switch")
	n, err := f.log.Partitions(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(n) {
		_, next, err := f.log.Bounds(t.Context(), topic, p)
		if err != nil {
			t.Fatal(err)
		}
		if next > 0 {
			if err := projection.Wait(t.Context(), f.store, ns, topic, []eventlog.Position{{Topic: topic, Partition: p, Offset: next - 1}}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	straight := memkv.New()
	if err := f.runner(t, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := f.generation(t, 2), f.hash(t, straight); got != want {
		t.Errorf("the new generation is %v, a fold from the start is %v", got, want)
	}
	if f.generation(t, 1).Keys == 0 {
		t.Error("the old generation is gone before its time")
	}
	sources := map[string]int{}
	for _, l := range f.letters.all {
		sources[l.GetSource().String()]++
	}
	if len(sources) != 1 {
		t.Errorf("dead letters of %v", sources)
	}
}

func TestTheOldGenerationIsDroppedAfterItsTime(t *testing.T) {
	f := newFixture(t, 1)
	f.append(t, "a", "1")
	m, stop := f.managed(t, time.Millisecond, nil)
	if err := m.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	f.dropped(t, 1)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if f.generation(t, 2).Keys == 0 {
		t.Error("the serving generation was dropped")
	}
}

// stalling holds the first look at the first generation until it is let go.
type stalling struct {
	kv.Store
	looked          *atomic.Bool
	stalled, resume chan struct{}
}

func (s stalling) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	if ns.Generation == 1 && s.looked.CompareAndSwap(false, true) {
		close(s.stalled)
		<-s.resume
	}
	return s.Store.Snapshot(ctx, ns)
}

func TestAnOwnerWhoWasAwayUntilItsGenerationWasDroppedGoesOnInTheOneThatServes(t *testing.T) {
	f := newFixture(t, 1)
	store := stalling{f.store, new(atomic.Bool), make(chan struct{}), make(chan struct{})}
	m, stop := f.managed(t, time.Millisecond, func(c *projection.Config) { c.Store = store })
	<-store.stalled // the owner, which is about to begin
	if err := m.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	f.dropped(t, 1)
	f.append(t, "a", "1")
	close(store.resume)
	ns := kv.Namespace{Slice: namespace.Slice, Generation: 2}
	if err := projection.Wait(t.Context(), f.store, ns, topic, []eventlog.Position{{Topic: topic}}, nil); err != nil {
		t.Fatal(err)
	}
	f.dropped(t, 1) // with what the owner may have begun anew
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// lateBuilder holds who looks for the number of a new generation until it is let go, and tells that it found another one to serve.
type lateBuilder struct {
	kv.Store
	looked                   *atomic.Bool
	stalled, resume, refused chan struct{}
}

func (s lateBuilder) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	err := s.Store.Apply(ctx, ns, b)
	if ns.Slice == "serving" && errors.Is(err, kv.ErrConflict) {
		close(s.refused)
	}
	return err
}

func (s lateBuilder) Namespaces(ctx context.Context) ([]kv.Namespace, error) {
	if s.looked.CompareAndSwap(false, true) {
		close(s.stalled)
		<-s.resume
	}
	return s.Store.Namespaces(ctx)
}

func TestABuilderWhoWasAwayWhileAnotherSwitchedTouchesNothing(t *testing.T) {
	f := newFixture(t, 1)
	store := lateBuilder{f.store, new(atomic.Bool), make(chan struct{}), make(chan struct{}), make(chan struct{})}
	m, stop := f.managed(t, time.Hour, func(c *projection.Config) { c.Store = store })
	ended := make(chan error, 1)
	go func() { ended <- m.Rebuild(t.Context(), nil) }()
	<-store.stalled
	put := func(ns kv.Namespace, key string, value []byte) {
		b := &kv.Batch{}
		b.Set([]byte(key), value)
		if err := f.store.Apply(t.Context(), ns, b); err != nil {
			t.Fatal(err)
		}
	}
	built := kv.Namespace{Slice: namespace.Slice, Generation: 2}
	put(built, "what it holds", []byte("x"))
	put(kv.Namespace{Slice: "serving"}, namespace.Slice, []byte{0, 0, 0, 2})
	if err := <-ended; err != nil { // it has what it wants
		t.Fatal(err)
	}
	before := f.generation(t, 2)
	close(store.resume)
	<-store.refused
	if err := stop(); err != nil {
		t.Error(err)
	}
	if f.generation(t, 2) != before || m.Status().Generations != (projection.Generations{Serving: 2}) {
		t.Errorf("generation 2 is %v and was %v; %+v", f.generation(t, 2), before, m.Status())
	}
	if all, err := f.store.Namespaces(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("there are %v, %v", all, err)
	}
}

func TestARebuildThatWasCutOffGoesOnAtTheNextStart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(rt, 2)
		for i := range rapid.IntRange(1, 40).Draw(rt, "records") {
			f.append(rt, fmt.Sprint("k", i%5), fmt.Sprint(i))
		}
		inner := f.store
		for starts := 0; ; starts++ {
			var writes atomic.Int64
			writes.Store(int64(rapid.IntRange(1, 12).Draw(rt, "writes until the cut")))
			f.store = flaky{inner, func() (bool, bool) { return writes.Add(-1) < 0 && starts < 10, false }}
			m, stop := f.managed(rt, time.Hour, nil)
			err := m.Rebuild(context.Background(), nil)
			if stopErr := stop(); stopErr != nil && !errors.Is(stopErr, errFlaky) {
				rt.Fatal(stopErr)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, errFlaky) && !errors.Is(err, projection.ErrStopped) {
				rt.Fatal(err)
			}
		}
		f.store = inner
		ns, err := projection.Serving(context.Background(), f.store, namespace.Slice)
		if err != nil || ns.Generation < 2 {
			rt.Fatalf("serving %v, %v", ns, err)
		}
		straight := memkv.New()
		if err := f.runner(rt, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if got, want := f.generation(rt, ns.Generation), f.hash(rt, straight); got != want {
			rt.Errorf("generation %d is %v, a fold from the start is %v", ns.Generation, got, want)
		}
	})
}
