package projection_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/pkg/projection"
)

// telling is sums that tells beforehand what it reads, and counts what it folds.
type telling struct {
	sums
	folded *atomic.Int64
}

func (f telling) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	return [][]byte{append([]byte{1}, r.Key...)}, func(ctx context.Context, tx *projection.Tx) error {
		f.folded.Add(1)
		return f.Apply(ctx, tx, r)
	}
}

func TestAFoldIntoADatabaseThatIsKilledAppliesEachRecordOnce(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t, pgtest.Options{})
	store, err := pgkv.Open(t.Context(), database.DSN(), pgkv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const records, kills = 3000, 4
	f := newFixture(t, 3)
	f.store = store
	folded := &atomic.Int64{}
	r := f.runner(t, func(c *projection.Config) { c.MaxBatch, c.Fold = 7, telling{folded: folded} })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	last := map[int32]eventlog.Position{}
	for kill := range kills + 1 {
		if kill > 0 {
			database.Kill()
			if err := database.Up(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range records / (kills + 1) {
			positions, err := eventlog.AppendAll(t.Context(), f.log, []eventlog.Message{{Topic: topic, Key: fmt.Appendf(nil, "%02d", i%50), Value: fmt.Append(nil, i)}})
			if err != nil {
				t.Fatal(err)
			}
			last[positions[0].Partition] = positions[0]
		}
		// The next kill comes in the middle of this: some of it is folded.
		before := folded.Load()
		for folded.Load() < before+records/(kills+1)/2 {
			select {
			case err := <-ended:
				t.Fatalf("the fold has ended: %v", err)
			default:
			}
			if err := projection.Wait(t.Context(), store, namespace, topic, []eventlog.Position{{Topic: topic, Partition: last[0].Partition, Offset: 0}}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, position := range last {
		if err := projection.Wait(t.Context(), store, namespace, topic, []eventlog.Position{position}, nil); err != nil {
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
	if got, want := f.hash(t, store), f.hash(t, straight); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	t.Logf("%d records, folded %d times", records, folded.Load())
}
