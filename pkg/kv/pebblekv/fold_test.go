package pebblekv_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/projection"
)

// counting counts the records of each key and keeps the last one: folded twice, or not at all, a record would show.
type counting struct{}

func (counting) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	count := append([]byte{1}, r.Key...)
	old, _, err := tx.Get(ctx, count)
	if err != nil {
		return err
	}
	n := uint64(1)
	if len(old) == 8 {
		n += binary.BigEndian.Uint64(old)
	}
	tx.Set(count, binary.BigEndian.AppendUint64(nil, n))
	tx.Set(append([]byte{2}, r.Key...), r.Value)
	return nil
}

// After each step of a fold the power is lost, and what was not synced with it, more or less; the fold goes on with what
// the disk holds. At last the store is what it would have been without.
func TestAFoldGoesOnAfterPowerLossAtEveryStep(t *testing.T) {
	t.Parallel()
	const topic, partitions, records = "numbers", 3, 400
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	log := memlog.New(memlog.Config{}).Open()
	if err := log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	for i := range records {
		m := eventlog.Message{Topic: topic, Key: fmt.Append(nil, i%11), Value: fmt.Append(nil, i)}
		if _, err := eventlog.AppendAll(t.Context(), log, []eventlog.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	ns := kv.Namespace{Slice: "counts", Generation: 1}
	runner := func(store kv.Store) *projection.Runner {
		t.Helper()
		r, err := projection.NewRunner(t.Context(), projection.Config{
			Log: log, Store: store, Namespace: ns, Topic: topic, Fold: counting{}, MaxBatch: 1 + random.IntN(20),
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	hash := func(store kv.Store) kv.Digest {
		t.Helper()
		snap, err := store.Snapshot(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = snap.Close() }()
		d, err := kv.Hash(t.Context(), snap)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	straight := memkv.New()
	if err := runner(straight).RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}

	disk := vfs.NewCrashableMem()
	for crashes := 0; ; crashes++ {
		store, err := pebblekv.OpenFS("store", pebblekv.Options{}, disk)
		if err != nil {
			t.Fatal(err)
		}
		r := runner(store)
		n, err := r.RunOnce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		lost := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: rand.New(rand.NewPCG(seed, random.Uint64()))})
		if n == 0 {
			if got, want := hash(store), hash(straight); got != want {
				t.Errorf("after %d crashes %s; want %s", crashes, got, want)
			}
			t.Logf("%d crashes", crashes)
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		disk = lost
	}
}
