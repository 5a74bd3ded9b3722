package pgkv_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
)

// The benchmarks run on a server of their own that waits for the disk:
//
//	go test ./kv/pgkv -run '^$' -bench .

func benchStore(b *testing.B) *pgkv.Store {
	b.Helper()
	store := open(b, pgtest.New(b, pgtest.Options{Settings: []string{"shared_buffers=512MB", "max_wal_size=4GB"}}).DSN(), newSchema())
	b.Cleanup(func() { _ = store.Close() })
	return store
}

func benchNamespace() kv.Namespace { return kv.Namespace{Slice: "timeline", Generation: 1} }

// benchKey is the i-th key: an endpoint, of which there is one for 50 keys, in random order, and a time.
func benchKey(i uint64) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 16), (i/50)*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(key, i)
}

// BenchmarkApply writes batches of 1000 events with three keys each.
func BenchmarkApply(b *testing.B) {
	store := benchStore(b)
	const keys = 3000
	for _, size := range []int{30, 350} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			value := make([]byte, size)
			var batch kv.Batch
			n := uint64(size) << 40
			for b.Loop() {
				batch.Reset()
				for range keys {
					n++
					batch.Set(benchKey(n*7919), value)
				}
				if err := store.Apply(context.Background(), benchNamespace(), &batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*keys/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

// BenchmarkFence applies small batches of eight writers at a time, each with a fence of its own.
func BenchmarkFence(b *testing.B) {
	store := benchStore(b)
	const writers, rounds = 8, 20
	held := make([][]byte, writers)
	n := 0
	for b.Loop() {
		n++
		failed := make([]error, writers)
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for r := range rounds {
					after := strconv.AppendInt(nil, int64(n*rounds+r), 10)
					batch := &kv.Batch{}
					batch.Require(fmt.Append(nil, w), held[w])
					batch.Set(fmt.Append(nil, w), after)
					if err := store.Apply(context.Background(), benchNamespace(), batch); err != nil {
						failed[w] = err
						return
					}
					held[w] = after
				}
			})
		}
		writing.Wait()
		if err := errors.Join(failed...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*writers*rounds/b.Elapsed().Seconds(), "applies/s")
}

func BenchmarkRead(b *testing.B) {
	const stored, many = 200_000, 2000
	store := benchStore(b)
	value := make([]byte, 350)
	for first := uint64(0); first < stored; first += 10_000 {
		batch := &kv.Batch{}
		for i := range uint64(10_000) {
			batch.Set(benchKey(first+i), value)
		}
		if err := store.Apply(context.Background(), benchNamespace(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			snap, err := store.Snapshot(context.Background(), benchNamespace())
			if err != nil {
				b.Fatal(err)
			}
			snap.Close()
		}
	})
	snap, err := store.Snapshot(context.Background(), benchNamespace())
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Close()
	n := uint64(0)
	next := func() []byte { n++; return benchKey((n * 7919) % stored) }
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if _, found, err := snap.Get(context.Background(), next()); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	for name, from := range map[string]uint64{"hit": 0, "miss": stored} {
		b.Run("many/"+name, func(b *testing.B) {
			for b.Loop() {
				keys := make([][]byte, many)
				for i := range keys {
					n++
					keys[i] = benchKey(from + (n*7919)%stored)
				}
				values, err := snap.GetMany(context.Background(), keys)
				if err != nil || (values[7] != nil) != (name == "hit") {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*many/b.Elapsed().Seconds(), "keys/s")
		})
	}
	b.Run("last50", func(b *testing.B) {
		for b.Loop() {
			within := kv.Prefix(next()[:8])
			within.Reverse = true
			it, err := snap.Scan(context.Background(), within)
			if err != nil {
				b.Fatal(err)
			}
			rows := 0
			for it.Next() {
				rows++
			}
			if err := errors.Join(it.Err(), it.Close()); err != nil || rows != 50 {
				b.Fatal(rows, err)
			}
		}
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			if d, err := kv.Hash(context.Background(), snap); err != nil || d.Keys != stored {
				b.Fatal(d, err)
			}
		}
		b.ReportMetric(float64(b.N)*stored/b.Elapsed().Seconds(), "keys/s")
	})
}
