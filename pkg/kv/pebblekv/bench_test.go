package pebblekv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// The benchmarks run each job on Pebble alone, with the same settings and the same keys, and through this package:
//
//	go test ./kv/pebblekv -run '^$' -bench . -count 6

// benchNamespace is where the keys stand; prefix is what that adds to them.
func benchNamespace() (ns kv.Namespace, prefix string) {
	return kv.Namespace{Slice: "timeline", Generation: 1}, "\x08timeline\x00\x00\x00\x01"
}

// benchKey is the i-th key in a random order: an endpoint, of which there are i/50, and a time.
func benchKey(buf []byte, i uint64) []byte {
	buf = binary.BigEndian.AppendUint64(buf, (i/50)*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(buf, i)
}

const (
	benchEvents = 1000 // per batch
	benchPerKey = 3    // keys per event
	benchStored = 1_000_000
)

func BenchmarkApply(b *testing.B) {
	value := make([]byte, 30)
	b.Run("pebble", func(b *testing.B) {
		db := openPebble(b)
		_, prefix := benchNamespace()
		key := []byte(prefix)
		b.ResetTimer()
		for n := range uint64(b.N) {
			batch := db.NewBatch()
			for i := range uint64(benchEvents * benchPerKey) {
				key = benchKey(key[:len(prefix)], (n*benchEvents*benchPerKey+i)*7919)
				if err := batch.Set(key, value, nil); err != nil {
					b.Fatal(err)
				}
			}
			if err := batch.Commit(pebble.Sync); err != nil {
				b.Fatal(err)
			}
			if err := batch.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for _, store := range engines(b) {
		b.Run(store.name, func(b *testing.B) {
			ns, _ := benchNamespace()
			keys := make([]byte, 0, benchEvents*benchPerKey*16)
			var batch kv.Batch
			b.ResetTimer()
			for n := range uint64(b.N) {
				batch.Reset()
				keys = keys[:0]
				for i := range uint64(benchEvents * benchPerKey) {
					start := len(keys)
					keys = benchKey(keys, (n*benchEvents*benchPerKey+i)*7919)
					batch.Set(keys[start:], value)
				}
				if err := store.Apply(context.Background(), ns, &batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	db := openPebble(b)
	_, prefix := benchNamespace()
	fill(b, func(keys [][]byte, value []byte) error {
		batch := db.NewBatch()
		for _, k := range keys {
			if err := batch.Set(append([]byte(prefix), k...), value, nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.NoSync)
	})
	if err := db.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
		b.Fatal(err)
	}
	raw := db.NewSnapshot()
	b.Cleanup(func() { _ = raw.Close() })

	for _, store := range engines(b) {
		ns, _ := benchNamespace()
		fill(b, func(keys [][]byte, value []byte) error {
			var batch kv.Batch
			for _, k := range keys {
				batch.Set(k, value)
			}
			return store.Apply(context.Background(), ns, &batch)
		})
		if err := store.settle(); err != nil {
			b.Fatal(err)
		}
		snap, err := store.Snapshot(context.Background(), ns)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = snap.Close() })
		for _, job := range []string{"hit", "miss"} {
			b.Run(job+"/"+store.name, func(b *testing.B) {
				key := make([]byte, 0, 16)
				for b.Loop() {
					key = lookupKey(key[:0], job)
					_, found, err := snap.Get(context.Background(), key)
					if err != nil || found != (job == "hit") {
						b.Fatal(found, err)
					}
				}
			})
		}
		b.Run("last50/"+store.name, func(b *testing.B) {
			key := make([]byte, 0, 16)
			for b.Loop() {
				key = benchKey(key[:0], rand.Uint64N(benchStored))
				within := kv.Prefix(key[:8])
				within.Reverse = true
				it, err := snap.Scan(context.Background(), within)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for n < 50 && it.Next() {
					n += min(1, len(it.Key()), len(it.Value()))
				}
				if err := it.Close(); err != nil || n != 50 {
					b.Fatal(n, err)
				}
			}
		})
	}
	for _, job := range []string{"hit", "miss"} {
		b.Run(job+"/pebble-get", func(b *testing.B) {
			key := []byte(prefix)
			for b.Loop() {
				key = lookupKey(key[:len(prefix)], job)
				value, closer, err := raw.Get(key)
				if (err == nil) != (job == "hit") {
					b.Fatal(err)
				}
				if err == nil {
					_ = append([]byte(nil), value...)
					_ = closer.Close()
				}
			}
		})
		b.Run(job+"/pebble-seek", func(b *testing.B) {
			it, err := raw.NewIter(&pebble.IterOptions{UseL6Filters: true})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = it.Close() }()
			key := []byte(prefix)
			for b.Loop() {
				key = lookupKey(key[:len(prefix)], job)
				found := it.SeekPrefixGE(key)
				if found != (job == "hit") {
					b.Fatal(it.Error())
				}
				if found {
					_ = append([]byte(nil), it.Value()...)
				}
			}
		})
	}
	b.Run("last50/pebble", func(b *testing.B) {
		for b.Loop() {
			lower := benchKey([]byte(prefix), rand.Uint64N(benchStored))
			lower = lower[:len(lower)-8]
			it, err := raw.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: kv.Prefix(lower).End})
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for more := it.Last(); more && n < 50; more = it.Prev() {
				n += min(1, len(it.Key()), len(it.Value()))
			}
			if err := it.Close(); err != nil || n != 50 {
				b.Fatal(n, err)
			}
		}
	})
}

// lookupKey is a key that is there, or one that is not.
func lookupKey(buf []byte, job string) []byte {
	i := rand.Uint64N(benchStored)
	if job == "miss" {
		i += benchStored
	}
	return benchKey(buf, i)
}

// BenchmarkFence applies small batches of eight writers at a time, each with a fence of its own: what matters is that
// they share the syncs of the disk.
func BenchmarkFence(b *testing.B) {
	ns, prefix := benchNamespace()
	run := func(b *testing.B, apply func(fence, before, after []byte) error) {
		b.Helper()
		const writers = 8
		var writing sync.WaitGroup
		b.ResetTimer()
		for w := range writers {
			writing.Go(func() {
				fence := fmt.Appendf([]byte(prefix), "fence%d", w)
				var before []byte
				for n := range b.N/writers + 1 {
					after := strconv.AppendInt(nil, int64(n), 10)
					if err := apply(fence, before, after); err != nil {
						b.Error(err)
						return
					}
					before = after
				}
			})
		}
		writing.Wait()
	}
	b.Run("pebble", func(b *testing.B) {
		db := openPebble(b)
		run(b, func(fence, before, after []byte) error {
			held, closer, err := db.Get(fence)
			if (err == nil) != (before != nil) || !bytes.Equal(held, before) {
				return fmt.Errorf("the fence holds %q: %w", held, err)
			}
			if err == nil {
				_ = closer.Close()
			}
			return db.Set(fence, after, pebble.Sync)
		})
	})
	for _, store := range engines(b) {
		b.Run(store.name, func(b *testing.B) {
			if err := store.Drop(context.Background(), ns); err != nil {
				b.Fatal(err)
			}
			run(b, func(fence, before, after []byte) error {
				var batch kv.Batch
				batch.Require(fence, before)
				batch.Set(fence, after)
				return store.Apply(context.Background(), ns, &batch)
			})
		})
	}
}

// fill writes benchStored keys with values of 350 bytes.
func fill(b *testing.B, write func(keys [][]byte, value []byte) error) {
	b.Helper()
	source := rand.NewChaCha8([32]byte{})
	value := make([]byte, 350)
	_, _ = source.Read(value[:100]) // it never fails
	const batch = 1000
	for first := uint64(0); first < benchStored; first += batch {
		keys := make([][]byte, batch)
		for i := range keys {
			keys[i] = benchKey(nil, first+uint64(i))
		}
		_, _ = source.Read(value[:100])
		if err := write(keys, value); err != nil {
			b.Fatal(err)
		}
	}
}

func openPebble(b *testing.B) *pebble.DB {
	b.Helper()
	db, err := pebble.Open(b.TempDir(), pebblekv.Tuned())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// engine is a store under test.
type engine struct {
	name string
	kv.Store
	settle func() error // makes reads cost what they will cost in the long run
}

func engines(b *testing.B) []engine {
	b.Helper()
	onDisk, err := pebblekv.Open(b.TempDir(), pebblekv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	all := []engine{
		{"pebblekv", onDisk, func() error { return pebblekv.Compact(onDisk) }},
		{"memkv", memkv.New(), func() error { return nil }},
	}
	b.Cleanup(func() {
		for _, e := range all {
			_ = e.Close()
		}
	})
	return all
}
