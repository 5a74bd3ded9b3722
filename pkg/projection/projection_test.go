package projection_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const topic = "numbers"

var namespace = kv.Namespace{Slice: "sums", Generation: 1}

// sums keeps a sum and a list for each key: the sum depends on reading what was written in the same batch, the list on
// scanning it. A value "bad" is dead; "worse" is dead after a write, which no fold may do; "stop" fails.
type sums struct{}

func (sums) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	sum := append([]byte{1}, r.Key...)
	switch string(r.Value) {
	case "bad":
		return &projection.DeadError{Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Detail: "no number", Tenant: "t"}
	case "worse":
		tx.Set(sum, []byte("half"))
		return &projection.DeadError{Detail: "too late"}
	case "stop":
		return errors.New("out of order")
	case "reserved":
		tx.Set([]byte{0, 'x'}, nil)
		return nil
	}
	old, _, err := tx.Get(ctx, sum)
	if err != nil {
		return err
	}
	total := uint64(len(r.Value))
	if len(old) == 8 {
		total += binary.BigEndian.Uint64(old)
	}
	tx.Set(sum, binary.BigEndian.AppendUint64(nil, total))
	prefix := append([]byte{2}, r.Key...)
	n := 0
	if err := tx.Scan(ctx, kv.Prefix(prefix), func(_, _ []byte) bool { n++; return true }); err != nil {
		return err
	}
	tx.Set(fmt.Appendf(prefix, "/%06d", n), r.Value)
	return nil
}

// letters collects dead letters.
type letters struct {
	mu  sync.Mutex
	all []*eventv1.DeadLetter
	err error
}

func (l *letters) Publish(_ context.Context, published ...*eventv1.DeadLetter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, published...)
	return l.err
}

type fixture struct {
	log     *memlog.Log
	store   kv.Store
	letters *letters
}

func newFixture(t rapid.TB, partitions int) *fixture {
	t.Helper()
	f := &fixture{log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), letters: &letters{}}
	if err := f.log.EnsureTopics(context.Background(), eventlog.Topic{Name: topic, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) append(t rapid.TB, key, value string) {
	t.Helper()
	if _, err := eventlog.AppendAll(context.Background(), f.log, []eventlog.Message{{Topic: topic, Key: []byte(key), Value: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) runner(t rapid.TB, change func(*projection.Config)) *projection.Runner {
	t.Helper()
	cfg := projection.Config{Log: f.log, Store: f.store, Namespace: namespace, Topic: topic, Fold: sums{}, DeadLetters: f.letters}
	if change != nil {
		change(&cfg)
	}
	r, err := projection.NewRunner(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *fixture) hash(t rapid.TB, store kv.Store) kv.Digest {
	t.Helper()
	snap, err := store.Snapshot(context.Background(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// flaky fails some of the writes and some of the reads, before or after they happened.
type flaky struct {
	kv.Store
	fail func() (before, after bool)
}

var errFlaky = errors.New("the cable was pulled")

func (s flaky) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	before, after := s.fail()
	if before {
		return errFlaky
	}
	if err := s.Store.Apply(ctx, ns, b); err != nil {
		return err
	}
	if after {
		return errFlaky
	}
	return nil
}

func TestAnyBatchSizeRestartAndFailureGiveTheSameStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(rt, 3)
		n := rapid.IntRange(0, 60).Draw(rt, "records")
		for range n {
			f.append(rt, rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key"),
				rapid.SampledFrom([]string{"", "x", "bad", "long value"}).Draw(rt, "value"))
		}
		straight := memkv.New()
		if err := f.runner(rt, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(context.Background()); err != nil {
			rt.Fatal(err)
		}
		f.store = flaky{f.store, func() (bool, bool) {
			fate := rapid.IntRange(0, 5).Draw(rt, "fate")
			return fate == 0, fate == 1
		}}
		for done := false; !done; {
			r := f.runner(rt, func(c *projection.Config) { c.MaxBatch = rapid.IntRange(1, 7).Draw(rt, "batch") })
			for range rapid.IntRange(1, 4).Draw(rt, "steps until restart") {
				m, err := r.RunOnce(context.Background())
				if err != nil && !errors.Is(err, errFlaky) {
					rt.Fatal(err)
				}
				done = err == nil && m == 0
			}
			r.Close()
		}
		if got, want := f.hash(rt, f.store), f.hash(rt, straight); got != want {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestAStaleOwnerWritesNothing(t *testing.T) {
	f := newFixture(t, 1)
	f.append(t, "a", "1")
	stale, fresh := f.runner(t, nil), f.runner(t, nil)
	if err := stale.RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.append(t, "a", "22")
	if err := fresh.RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.hash(t, f.store)
	f.append(t, "a", "333")
	if _, err := stale.RunOnce(t.Context()); !errors.Is(err, projection.ErrFenced) {
		t.Fatalf("the stale owner got %v", err)
	}
	if f.hash(t, f.store) != before {
		t.Error("the stale owner wrote")
	}
	if err := stale.RunToEnd(t.Context()); err != nil {
		t.Errorf("after it was fenced, an owner begins with what the store holds: %v", err)
	}
}

// counts has the number of records of each key, and remembers it: what it should not remember any more would show.
type counts struct{ remembered map[string]uint64 }

func (counts) Begin() projection.Fold { return counts{map[string]uint64{}} }

func (c counts) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	key := append([]byte{1}, r.Key...)
	n, known := c.remembered[string(key)]
	if !known {
		old, found, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		if found {
			n = binary.BigEndian.Uint64(old)
		}
	}
	n++
	if c.remembered != nil {
		c.remembered[string(key)] = n
	}
	tx.Set(key, binary.BigEndian.AppendUint64(nil, n))
	return nil
}

// Two owners take turns as they like, neither knows of the other, and their writes fail before or after they happened: each
// remembers no more than what the store holds.
func TestAnOwnerForgetsWhereItsBatchFailedOrAnotherOneWasFaster(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(rt, 2)
		for range rapid.IntRange(1, 60).Draw(rt, "records") {
			f.append(rt, rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key"), "x")
		}
		straight := memkv.New()
		forgetful := func(c *projection.Config) { c.Store, c.Fold = straight, struct{ projection.Fold }{counts{}} }
		if err := f.runner(rt, forgetful).RunToEnd(context.Background()); err != nil {
			rt.Fatal(err)
		}
		store := flaky{f.store, func() (bool, bool) {
			fate := rapid.IntRange(0, 5).Draw(rt, "fate")
			return fate == 0, fate == 1
		}}
		var owners []*projection.Runner
		for range 2 {
			owners = append(owners, f.runner(rt, func(c *projection.Config) {
				c.Store, c.Fold, c.MaxBatch = store, counts{}, rapid.IntRange(1, 7).Draw(rt, "batch")
			}))
		}
		for done := false; !done; {
			n, err := owners[rapid.IntRange(0, 1).Draw(rt, "owner")].RunOnce(context.Background())
			if err != nil && !errors.Is(err, errFlaky) && !errors.Is(err, projection.ErrFenced) {
				rt.Fatal(err)
			}
			done = err == nil && n == 0
		}
		if got, want := f.hash(rt, f.store), f.hash(rt, straight); got != want {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestAnotherLogIsRefused(t *testing.T) {
	for name, refill := range map[string]func(*fixture){
		"other records": func(f *fixture) { f.append(t, "a", "other"); f.append(t, "a", "other") },
		"fewer records": func(f *fixture) { f.append(t, "a", "1") },
		"none":          func(*fixture) {},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 1)
			f.append(t, "a", "1")
			f.append(t, "a", "2")
			if err := f.runner(t, nil).RunToEnd(t.Context()); err != nil {
				t.Fatal(err)
			}
			recreated := newFixture(t, 1)
			recreated.store = f.store
			refill(recreated)
			before := f.hash(t, f.store)
			if err := recreated.runner(t, nil).RunToEnd(t.Context()); !errors.Is(err, projection.ErrLogMismatch) {
				t.Errorf("got %v", err)
			}
			if f.hash(t, f.store) != before {
				t.Error("something was written")
			}
		})
	}
}

func TestADeadRecordIsKeptWithItsReasonAndTheOthersGoOn(t *testing.T) {
	f := newFixture(t, 1)
	f.append(t, "a", "1")
	f.append(t, "a", "bad")
	f.append(t, "a", "22")
	if err := f.runner(t, nil).RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.letters.all) != 1 {
		t.Fatalf("%d letters", len(f.letters.all))
	}
	l := f.letters.all[0]
	if l.GetDetail() != "no number" || l.GetTenant() != "t" || string(l.GetRaw()) != "bad" || l.GetRawSize() != 3 ||
		l.GetSlice() != "sums" || l.GetSource().GetOffset() != 1 || l.GetSource().GetTopic() != topic || !l.GetAt().IsValid() {
		t.Errorf("letter: %v", l)
	}
	snap, err := f.store.Snapshot(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if v, _, err := snap.Get(t.Context(), []byte("\x01a")); err != nil || !bytes.Equal(v, []byte{0, 0, 0, 0, 0, 0, 0, 3}) {
		t.Errorf("sum is %v, %v", v, err)
	}
}

func TestNothingIsAppliedUntilTheDeadLettersAreDurable(t *testing.T) {
	f := newFixture(t, 1)
	f.append(t, "a", "1")
	f.append(t, "a", "bad")
	f.letters.err = errors.New("log away")
	if err := f.runner(t, nil).RunToEnd(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if d := f.hash(t, f.store); d.Keys != 0 {
		t.Errorf("%d keys were written", d.Keys)
	}
	f.letters.err = nil
	if err := f.runner(t, nil).RunToEnd(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFoldThatBreaksItsContractStopsThePartition(t *testing.T) {
	for value, want := range map[string]string{"worse": "too late", "stop": "numbers/0/1: out of order", "reserved": "reserved"} {
		t.Run(value, func(t *testing.T) {
			f := newFixture(t, 1)
			f.append(t, "a", "1")
			f.append(t, "a", value)
			err := f.runner(t, nil).RunToEnd(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
			if d := f.hash(t, f.store); d.Keys != 0 {
				t.Errorf("%d keys were written", d.Keys)
			}
		})
	}
}

// marks keeps keys without values, and for each whether it saw the one that it wrote.
type marks struct{}

func (marks) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	key := append([]byte{1}, r.Value...)
	tx.Set(key, nil)
	_, found, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	n := 0
	if err := tx.Scan(ctx, kv.Prefix(key), func(_, value []byte) bool { n++; return value != nil }); err != nil {
		return err
	}
	if !found || n != 1 {
		return fmt.Errorf("written, and then found %v and %d times", found, n)
	}
	return nil
}

func TestAKeyWithoutAValueIsThereInTheBatchThatWritesIt(t *testing.T) {
	f := newFixture(t, 1)
	for n := range 3 {
		f.append(t, "a", fmt.Sprint(n))
	}
	if err := f.runner(t, func(c *projection.Config) { c.Fold = marks{} }).RunToEnd(t.Context()); err != nil {
		t.Error(err)
	}
}

// away is a log that does not answer at first.
type away struct {
	eventlog.Log
	mu    sync.Mutex
	times int
}

func (a *away) Bounds(ctx context.Context, topic string, partition int32) (int64, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.times--; a.times >= 0 {
		return 0, 0, fmt.Errorf("bounds: %w", eventlog.ErrUnavailable)
	}
	return a.Log.Bounds(ctx, topic, partition)
}

func TestRunWaitsOutALogThatIsAwayAndFollowsIt(t *testing.T) {
	f := newFixture(t, 2)
	progress := &projection.Progress{}
	r := f.runner(t, func(c *projection.Config) { c.Log, c.Progress = &away{Log: f.log, times: 3}, progress })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for i := range 20 {
		positions, err := eventlog.AppendAll(t.Context(), f.log, []eventlog.Message{{Topic: topic, Key: fmt.Append(nil, i), Value: []byte("x")}})
		if err != nil {
			t.Fatal(err)
		}
		if err := projection.Wait(t.Context(), f.store, namespace, topic, positions, progress); err != nil {
			t.Fatal(err)
		}
		snap, err := f.store.Snapshot(t.Context(), namespace)
		if err != nil {
			t.Fatal(err)
		}
		if _, found, err := snap.Get(t.Context(), fmt.Appendf([]byte{1}, "%d", i)); err != nil || !found {
			t.Fatalf("Wait returned before %v was there: %v", positions, err)
		}
		snap.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.Close()
}

func TestWaitEndsWithItsContext(t *testing.T) {
	f := newFixture(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := projection.Wait(ctx, f.store, namespace, topic, []eventlog.Position{{Topic: topic, Offset: 7}}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := projection.Wait(t.Context(), f.store, namespace, topic, []eventlog.Position{{Topic: "other", Offset: 7}}, nil); err != nil {
		t.Errorf("a position of a topic that the read model does not hold: %v", err)
	}
}

func TestServingIsTheFirstGenerationUntilSomethingSwitches(t *testing.T) {
	ns, err := projection.Serving(t.Context(), memkv.New(), "sums")
	if err != nil || ns != namespace {
		t.Errorf("got %v, %v", ns, err)
	}
}
