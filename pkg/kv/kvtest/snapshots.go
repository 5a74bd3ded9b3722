package kvtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

func snapshots() []spec {
	return []spec{
		{"a snapshot does not see what comes after it", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "c", "d")
			before := s.snapshot()
			s.apply(func(b *kv.Batch) {
				b.Set([]byte("a"), []byte("changed"))
				b.Delete([]byte("b"))
				b.DeleteRange([]byte("c"), []byte("d"))
				b.Set([]byte("e"), []byte("new"))
			})
			after := s.snapshot()
			if err := store.Drop(context.Background(), s.ns); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				sees(t, before, kv.Range{}, bracketed("a", "b", "c", "d")...)
				gets(t, before, "b", "<b>")
				misses(t, before, "e")
				sees(t, after, kv.Range{}, pair{"a", "changed"}, pair{"d", "<d>"}, pair{"e", "new"})
				gets(t, after, "a", "changed")
				misses(t, after, "c")
			}
			s.holds()
		}},
		{"a scan goes on in its snapshot while others write", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "c")
			it, err := s.snapshot().Scan(context.Background(), kv.Range{})
			if err != nil {
				t.Fatal(err)
			}
			defer closeReader(t, it)
			for _, want := range bracketed("a", "b", "c") {
				if !it.Next() || string(it.Key()) != want.key || string(it.Value()) != want.value {
					t.Fatalf("got %q %q, error %v; want %q", it.Key(), it.Value(), it.Err(), want)
				}
				s.apply(func(b *kv.Batch) { b.DeleteRange(nil, nil) })
				s.setKeys("bb")
			}
			if it.Next() {
				t.Fatalf("%q after the end", it.Key())
			}
		}},
		{"jobs that take one snapshot after another while they hold the first all come to their end", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a")
			var all sync.WaitGroup
			for range 60 {
				all.Go(func() {
					ctx := kv.Job(context.Background())
					var held []kv.Snapshot
					for range kv.Deepest {
						snap, err := store.Snapshot(ctx, s.ns)
						if err != nil {
							t.Error(err)
							break
						}
						held = append(held, snap)
						if _, found, err := snap.Get(ctx, []byte("a")); err != nil || !found {
							t.Errorf("found %t, %v", found, err)
						}
					}
					for _, snap := range held {
						closeReader(t, snap)
					}
				})
			}
			all.Wait()
		}},
		{"many goroutines read one snapshot", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			var want []pair
			for i := range 200 {
				want = append(want, pair{fmt.Sprintf("%03d", i), fmt.Sprint(i)})
			}
			s.set(want...)
			snap := s.snapshot()
			var readers sync.WaitGroup
			for range 8 {
				readers.Go(func() {
					for _, p := range want {
						value, found, err := snap.Get(context.Background(), []byte(p.key))
						_, foundOther, errOther := snap.Get(context.Background(), []byte(p.key+"?"))
						if string(value) != p.value || !found || foundOther || err != nil || errOther != nil {
							t.Errorf("get %q: %q, %v, %v, %v, %v", p.key, value, found, foundOther, err, errOther)
						}
					}
					if got, err := tryScan(snap, kv.Range{}); err != nil || len(got) != len(want) {
						t.Errorf("scanned %d keys; want %d; error %v", len(got), len(want), err)
					}
				})
			}
			readers.Wait()
		}},
		{"a snapshot sees each batch whole or not at all", func(t *testing.T, store kv.Store) {
			const writers, rounds, keys = 4, 40, 25
			ns := spaceOf(t, store).ns
			// Each writer gives all of its keys the number of the round, and moves one key along.
			write := func(writer, round int) error {
				var b kv.Batch
				for k := range keys {
					b.Set(fmt.Appendf(nil, "w%d/key%02d", writer, k), fmt.Append(nil, round))
				}
				b.DeleteRange(fmt.Appendf(nil, "w%d/moving", writer), fmt.Appendf(nil, "w%d/movinh", writer))
				b.Set(fmt.Appendf(nil, "w%d/moving%d", writer, round), fmt.Append(nil, round))
				return store.Apply(context.Background(), ns, &b)
			}
			check := func() error {
				snap, err := store.Snapshot(context.Background(), ns)
				if err != nil {
					return err
				}
				defer closeReader(t, snap)
				for writer := range writers {
					got, err := tryScan(snap, kv.Prefix(fmt.Appendf(nil, "w%d/", writer)))
					if err != nil {
						return err
					}
					if len(got) == 0 {
						continue
					}
					if len(got) != keys+1 {
						return fmt.Errorf("writer %d: %d keys; want %d", writer, len(got), keys+1)
					}
					for _, p := range got {
						if p.value != got[0].value {
							return fmt.Errorf("writer %d: rounds %s and %s in one snapshot", writer, got[0].value, p.value)
						}
					}
				}
				return nil
			}
			done := make(chan struct{})
			var writing, reading sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for r := range rounds {
						if err := write(w, r); err != nil {
							t.Errorf("writer %d, round %d: %v", w, r, err)
						}
					}
				})
			}
			for range 2 {
				reading.Go(func() {
					for {
						if err := check(); err != nil {
							t.Error(err)
						}
						select {
						case <-done:
							return
						default:
						}
					}
				})
			}
			writing.Wait()
			close(done)
			reading.Wait()
			if err := check(); err != nil {
				t.Error(err)
			}
		}},
		{"a closed snapshot says so", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a")
			snap := s.snapshot()
			gets(t, snap, "a", "<a>")
			closeReader(t, snap)
			closeReader(t, snap)
			closedReader(t, snap)
			s.holds(bracketed("a")...)
		}},
	}
}

// closedReader expects a reader to refuse.
func closedReader(t *testing.T, r kv.Reader) {
	t.Helper()
	_, _, err := r.Get(context.Background(), []byte("a"))
	wantError(t, "get", err, kv.ErrClosed)
	_, err = r.GetMany(context.Background(), [][]byte{[]byte("a")})
	wantError(t, "get many", err, kv.ErrClosed)
	_, err = r.Scan(context.Background(), kv.Range{})
	wantError(t, "scan", err, kv.ErrClosed)
}

func wantError(t *testing.T, doing string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: got the error %v; want %v", doing, got, want)
	}
}
