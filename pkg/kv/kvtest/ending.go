package kvtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

func ending() []spec {
	return []spec{
		{"an ended context ends every call, and nothing is written", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a")
			snap := s.snapshot()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			var b kv.Batch
			b.Set([]byte("b"), []byte("2"))
			wantError(t, "apply", store.Apply(ctx, s.ns, &b), context.Canceled)
			wantError(t, "drop", store.Drop(ctx, s.ns), context.Canceled)
			_, err := store.Snapshot(ctx, s.ns)
			wantError(t, "snapshot", err, context.Canceled)
			_, err = store.Namespaces(ctx)
			wantError(t, "namespaces", err, context.Canceled)
			_, _, err = snap.Get(ctx, []byte("a"))
			wantError(t, "get", err, context.Canceled)
			_, err = snap.GetMany(ctx, [][]byte{[]byte("a")})
			wantError(t, "get many", err, context.Canceled)
			_, err = snap.Scan(ctx, kv.Range{})
			wantError(t, "scan", err, context.Canceled)
			_, err = kv.Hash(ctx, snap)
			wantError(t, "hash", err, context.Canceled)
			s.holds(bracketed("a")...)
		}},
		{"a scan ends soon after its context", func(t *testing.T, store kv.Store) {
			const keys = 5000
			s := spaceOf(t, store)
			s.apply(func(b *kv.Batch) {
				for i := range keys {
					b.Set(fmt.Appendf(nil, "%05d", i), nil)
				}
			})
			for _, reverse := range []bool{false, true} {
				ctx, cancel := context.WithCancel(context.Background())
				t.Cleanup(cancel)
				it, err := s.snapshot().Scan(ctx, kv.Range{Reverse: reverse})
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for it.Next() {
					if n++; n == 10 {
						cancel()
					}
				}
				wantError(t, "scan", it.Err(), context.Canceled)
				if n > keys/2 {
					t.Errorf("the scan went on for %d keys after its context had ended", n-10)
				}
				closeReader(t, it)
			}
		}},
		{"a call whose context ends leaves its snapshot to the others", func(t *testing.T, store kv.Store) {
			const readers, rounds = 4, 50
			s := spaceOf(t, store)
			var want []pair
			for i := range 500 {
				want = append(want, pair{fmt.Sprintf("%03d", i), fmt.Sprint(i)})
			}
			s.set(want...)
			snap := s.snapshot()
			var reading sync.WaitGroup
			for range readers {
				reading.Go(func() {
					for range rounds {
						ctx, cancel := context.WithCancel(context.Background())
						go cancel()
						if _, _, err := snap.Get(ctx, []byte("001")); err != nil && !errors.Is(err, context.Canceled) {
							t.Errorf("a call whose context ends: %v", err)
						}
						if _, err := kv.Hash(ctx, snap); err != nil && !errors.Is(err, context.Canceled) {
							t.Errorf("a scan whose context ends: %v", err)
						}
						if value, _, err := snap.Get(context.Background(), []byte("001")); err != nil || string(value) != "1" {
							t.Errorf("another call: %q, %v", value, err)
						}
					}
				})
			}
			reading.Wait()
			sees(t, snap, kv.Range{}, want...)
		}},
		{"after Close every call says that the store is closed", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a")
			snap := s.snapshot()
			for range 2 {
				closeReader(t, store)
				wantError(t, "apply", store.Apply(context.Background(), s.ns, &kv.Batch{}), kv.ErrClosed)
				wantError(t, "drop", store.Drop(context.Background(), s.ns), kv.ErrClosed)
				_, err := store.Snapshot(context.Background(), s.ns)
				wantError(t, "snapshot", err, kv.ErrClosed)
				_, err = store.Namespaces(context.Background())
				wantError(t, "namespaces", err, kv.ErrClosed)
				closedReader(t, snap)
			}
			closeReader(t, snap)
		}},
		{"a scan that is under way at Close can be read to its end", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "c")
			snap := s.snapshot()
			it, err := snap.Scan(context.Background(), kv.Range{})
			if err != nil {
				t.Fatal(err)
			}
			closed := make(chan error, 1)
			go func() { closed <- store.Close() }()
			for _, want := range bracketed("a", "b", "c") {
				if !it.Next() || string(it.Key()) != want.key || string(it.Value()) != want.value {
					t.Errorf("got %q %q, error %v; want %q", it.Key(), it.Value(), it.Err(), want)
				}
			}
			closeReader(t, it)
			if err := <-closed; err != nil {
				t.Error(err)
			}
			closedReader(t, snap)
		}},
		{"closing under load ends every call with success or ErrClosed", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b")
			snap := s.snapshot()
			calls := []func() error{
				func() error { return s.try(func(b *kv.Batch) { b.Set([]byte("c"), nil) }) },
				func() error { return s.try(func(b *kv.Batch) { b.Require([]byte("a"), []byte("<a>")) }) },
				func() error { return store.Drop(context.Background(), kv.Namespace{Slice: "other"}) },
				func() error { _, _, err := snap.Get(context.Background(), []byte("a")); return err },
				func() error { _, err := snap.GetMany(context.Background(), [][]byte{[]byte("a")}); return err },
				func() error { _, err := kv.Hash(context.Background(), snap); return err },
				func() error { _, err := store.Namespaces(context.Background()); return err },
				func() error {
					snap, err := store.Snapshot(context.Background(), s.ns)
					if err == nil {
						err = snap.Close()
					}
					return err
				},
			}
			var busy, calling sync.WaitGroup
			busy.Add(len(calls))
			for i, call := range calls {
				calling.Go(func() {
					for n := 0; ; n++ {
						err := call()
						if n == 3 || (err != nil && n < 3) {
							busy.Done()
						}
						if err != nil {
							if !errors.Is(err, kv.ErrClosed) {
								t.Errorf("call %d: %v", i, err)
							}
							return
						}
					}
				})
			}
			busy.Wait()
			closeReader(t, store)
			calling.Wait()
		}},
	}
}
