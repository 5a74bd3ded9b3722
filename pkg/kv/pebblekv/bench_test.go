package pebblekv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// The benchmarks do each job in turn on Pebble alone, with the same settings and the same keys, and through this package,
// so that whatever else the machine does meets both. They show the median of each, and what this package adds:
//
//	go test ./kv/pebblekv -run '^$' -bench .

const (
	benchEvents = 1000 // per batch
	benchPerKey = 3    // keys per event
	benchStored = 1_000_000
	benchPrefix = "\x08timeline\x00\x00\x00\x01" // what the namespace adds to a key
)

func benchNamespace() kv.Namespace { return kv.Namespace{Slice: "timeline", Generation: 1} }

// benchKey appends the i-th key: an endpoint, of which there is one for 50 keys, in random order, and a time.
func benchKey(buf []byte, i uint64) []byte {
	buf = binary.BigEndian.AppendUint64(buf, (i/50)*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(buf, i)
}

// compare runs both jobs in turns of so many calls.
func compare(b *testing.B, calls int, raw, ours func() error) {
	b.Helper()
	jobs := []func() error{raw, ours}
	took := make([][]time.Duration, len(jobs))
	for turn := 0; b.Loop(); turn++ {
		for i := range jobs {
			j := (i + turn) % len(jobs)
			began := time.Now()
			for range calls {
				if err := jobs[j](); err != nil {
					b.Fatal(err)
				}
			}
			took[j] = append(took[j], time.Since(began))
		}
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2]) / float64(calls)
	}
	alone, here := median(took[0]), median(took[1])
	b.ReportMetric(0, "ns/op") // of both together: says nothing
	b.ReportMetric(alone, "pebble-ns")
	b.ReportMetric(here, "pebblekv-ns")
	b.ReportMetric((here/alone-1)*100, "%-more")
}

func BenchmarkApply(b *testing.B) {
	db, store := openPebble(b), openStore(b)
	value := make([]byte, 30)
	var batch kv.Batch
	keys := make([]byte, 0, benchEvents*benchPerKey*16)
	var nRaw, nOurs uint64
	compare(b, 1, func() error {
		raw := db.NewBatch()
		key := []byte(benchPrefix)
		for range benchEvents * benchPerKey {
			nRaw++
			key = benchKey(key[:len(benchPrefix)], nRaw*7919)
			if err := raw.Set(key, value, nil); err != nil {
				return err
			}
		}
		return errors.Join(raw.Commit(pebble.Sync), raw.Close())
	}, func() error {
		batch.Reset()
		keys = keys[:0]
		for range benchEvents * benchPerKey {
			nOurs++
			start := len(keys)
			keys = benchKey(keys, nOurs*7919)
			batch.Set(keys[start:], value)
		}
		return store.Apply(context.Background(), benchNamespace(), &batch)
	})
}

// BenchmarkFence applies small batches of eight writers at a time, each with a fence of its own: what matters is that
// they share the syncs of the disk.
func BenchmarkFence(b *testing.B) {
	db, store := openPebble(b), openStore(b)
	const writers, rounds = 8, 20
	run := func(apply func(fence, before, after []byte) error) func() error {
		held := make([][]byte, writers)
		return func() error {
			failed := make([]error, writers)
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for range rounds {
						after := strconv.AppendUint(nil, rand.Uint64(), 10)
						if err := apply(fmt.Appendf([]byte(benchPrefix), "fence%d", w), held[w], after); err != nil {
							failed[w] = err
							return
						}
						held[w] = after
					}
				})
			}
			writing.Wait()
			return errors.Join(failed...)
		}
	}
	compare(b, 1, run(func(fence, before, after []byte) error {
		held, closer, err := db.Get(fence)
		if !bytes.Equal(held, before) {
			return fmt.Errorf("the fence holds %q: %w", held, err)
		}
		if err == nil {
			_ = closer.Close()
		}
		return db.Set(fence, after, pebble.Sync)
	}), run(func(fence, before, after []byte) error {
		var batch kv.Batch
		batch.Require(fence, before)
		batch.Set(fence, after)
		return store.Apply(context.Background(), benchNamespace(), &batch)
	}))
}

func BenchmarkRead(b *testing.B) {
	db, store := openPebble(b), openStore(b)
	fill(b, func(keys [][]byte, value []byte) error {
		raw := db.NewBatch()
		var batch kv.Batch
		for _, k := range keys {
			if err := raw.Set(append([]byte(benchPrefix), k...), value, nil); err != nil {
				return err
			}
			batch.Set(k, value)
		}
		return errors.Join(raw.Commit(pebble.NoSync), store.Apply(context.Background(), benchNamespace(), &batch))
	})
	if err := errors.Join(db.Compact(context.Background(), []byte{0}, []byte{0xff}, false), pebblekv.Compact(store)); err != nil {
		b.Fatal(err)
	}
	raw := db.NewSnapshot()
	defer func() { _ = raw.Close() }()
	snap, err := store.Snapshot(context.Background(), benchNamespace())
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Close()

	var found bool
	get := func(key []byte) (err error) {
		_, found, err = snap.Get(context.Background(), key[len(benchPrefix):])
		return err
	}
	for name, from := range map[string]uint64{"hit": 0, "miss": benchStored} {
		key := []byte(benchPrefix)
		next := func() []byte {
			key = benchKey(key[:len(benchPrefix)], from+rand.Uint64N(benchStored))
			return key
		}
		check := func(found bool) error {
			if found != (name == "hit") {
				return fmt.Errorf("%q: found %v", key, found)
			}
			return nil
		}
		b.Run(name+"/get", func(b *testing.B) {
			compare(b, 100, func() error {
				value, closer, err := raw.Get(next())
				if err == nil {
					_ = bytes.Clone(value)
					_ = closer.Close()
				}
				return check(err == nil)
			}, func() error { return errors.Join(get(next()), check(found)) })
		})
		b.Run(name+"/seek", func(b *testing.B) {
			it, err := raw.NewIter(&pebble.IterOptions{UseL6Filters: true})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = it.Close() }()
			compare(b, 100, func() error {
				found := it.SeekPrefixGE(next())
				if found {
					_ = bytes.Clone(it.Value())
				}
				return check(found)
			}, func() error { return errors.Join(get(next()), check(found)) })
		})
	}
	b.Run("last50", func(b *testing.B) {
		prefix := func() []byte {
			key := benchKey([]byte(benchPrefix), rand.Uint64N(benchStored))
			return key[:len(key)-8]
		}
		compare(b, 20, func() error {
			within := kv.Prefix(prefix())
			it, err := raw.NewIter(&pebble.IterOptions{LowerBound: within.Start, UpperBound: within.End})
			if err != nil {
				return err
			}
			n := 0
			for more := it.Last(); more && n < 50; more = it.Prev() {
				n += min(1, len(it.Key()), len(it.Value()))
			}
			return errors.Join(it.Close(), fifty(n))
		}, func() error {
			within := kv.Prefix(prefix()[len(benchPrefix):])
			within.Reverse = true
			it, err := snap.Scan(context.Background(), within)
			if err != nil {
				return err
			}
			n := 0
			for n < 50 && it.Next() {
				n += min(1, len(it.Key()), len(it.Value()))
			}
			return errors.Join(it.Close(), fifty(n))
		})
	})
}

func fifty(n int) error {
	if n != 50 {
		return fmt.Errorf("%d keys instead of 50", n)
	}
	return nil
}

// fill writes benchStored keys with values of 350 bytes.
func fill(b *testing.B, write func(keys [][]byte, value []byte) error) {
	b.Helper()
	source := rand.NewChaCha8([32]byte{})
	value := make([]byte, 350)
	const batch = 1000
	for first := uint64(0); first < benchStored; first += batch {
		keys := make([][]byte, batch)
		for i := range keys {
			keys[i] = benchKey(nil, first+uint64(i))
		}
		_, _ = source.Read(value[:100]) // it never fails
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

func openStore(b *testing.B) *pebblekv.Store {
	b.Helper()
	store, err := pebblekv.Open(b.TempDir(), pebblekv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store
}
