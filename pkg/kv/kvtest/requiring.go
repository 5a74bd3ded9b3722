package kvtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

func requiring() []spec {
	return []spec{
		{"a batch is applied only where its required keys hold what it says", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.set(pair{"held", "value"}, pair{"empty", ""})
			for _, c := range []struct {
				key   string
				value []byte
				want  error
			}{
				{"held", []byte("value"), nil},
				{"held", []byte("valu"), kv.ErrConflict},
				{"held", []byte("value\x00"), kv.ErrConflict},
				{"held", []byte{}, kv.ErrConflict},
				{"held", nil, kv.ErrConflict},
				{"empty", []byte{}, nil},
				{"empty", nil, kv.ErrConflict},
				{"empty", []byte("value"), kv.ErrConflict},
				{"missing", nil, nil},
				{"missing", []byte{}, kv.ErrConflict},
				{"missing", []byte("value"), kv.ErrConflict},
			} {
				err := s.try(func(b *kv.Batch) {
					b.Require([]byte(c.key), c.value)
					b.Set([]byte("written"), []byte("yes"))
				})
				if !errors.Is(err, c.want) {
					t.Errorf("%s required to hold %q: %v; want %v", c.key, c.value, err, c.want)
				}
				if c.want == nil {
					gets(t, s.snapshot(), "written", "yes")
				} else {
					misses(t, s.snapshot(), "written")
				}
				s.apply(func(b *kv.Batch) { b.Delete([]byte("written")) })
			}
		}},
		{"all requirements must hold, and nothing is written else", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b")
			wantError(t, "apply", s.try(func(b *kv.Batch) {
				b.Require([]byte("a"), []byte("<a>"))
				b.Require([]byte("b"), []byte("other"))
				b.Set([]byte("a"), []byte("changed"))
				b.DeleteRange([]byte("b"), nil)
			}), kv.ErrConflict)
			s.holds(bracketed("a", "b")...)
		}},
		{"a batch's own writes do not count for its requirements", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			fence := func(before, after []byte) error {
				return s.try(func(b *kv.Batch) {
					b.Set([]byte("fence"), after)
					b.Require([]byte("fence"), before)
				})
			}
			wantError(t, "apply", fence([]byte("1"), []byte("1")), kv.ErrConflict)
			if err := fence(nil, []byte("1")); err != nil {
				t.Fatal(err)
			}
			if err := fence([]byte("1"), []byte("2")); err != nil {
				t.Fatal(err)
			}
			s.holds(pair{"fence", "2"})
		}},
		{"what Get returned can be required as it is", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.set(pair{"empty", ""}, pair{"held", "value"})
			for _, key := range []string{"empty", "held", "missing"} {
				value, _, err := s.snapshot().Get(context.Background(), []byte(key))
				if err != nil {
					t.Fatal(err)
				}
				s.apply(func(b *kv.Batch) { b.Require([]byte(key), value) })
			}
		}},
		{"one key may be required twice", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.apply(func(b *kv.Batch) {
				b.Require([]byte("a"), nil)
				b.Require([]byte("a"), nil)
			})
			wantError(t, "apply", s.try(func(b *kv.Batch) {
				b.Require([]byte("a"), nil)
				b.Require([]byte("a"), []byte("value"))
			}), kv.ErrConflict)
		}},
		{"a dropped namespace holds no required key", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.set(pair{"fence", "1"})
			if err := store.Drop(context.Background(), s.ns); err != nil {
				t.Fatal(err)
			}
			wantError(t, "apply", s.try(func(b *kv.Batch) { b.Require([]byte("fence"), []byte("1")) }), kv.ErrConflict)
		}},
		{"of batches that race for one required key exactly one wins", func(t *testing.T, store kv.Store) {
			const racers, races = 16, 10
			s := spaceOf(t, store)
			for race := range races {
				outcomes := make([]error, racers)
				start := make(chan struct{})
				var racing sync.WaitGroup
				for i := range racers {
					racing.Go(func() {
						<-start
						outcomes[i] = s.try(func(b *kv.Batch) {
							b.Require(fmt.Appendf(nil, "race%d", race), nil)
							b.Set(fmt.Appendf(nil, "race%d", race), fmt.Append(nil, i))
							b.Set(fmt.Appendf(nil, "won%d/%d", race, i), nil)
						})
					})
				}
				close(start)
				racing.Wait()
				winner := -1
				for i, err := range outcomes {
					switch {
					case err == nil && winner < 0:
						winner = i
					case err == nil:
						t.Fatalf("race %d: %d and %d won", race, winner, i)
					case !errors.Is(err, kv.ErrConflict):
						t.Fatal(err)
					}
				}
				if winner < 0 {
					t.Fatalf("race %d: nobody won", race)
				}
				gets(t, s.snapshot(), fmt.Sprintf("race%d", race), fmt.Sprint(winner))
				sees(t, s.snapshot(), kv.Prefix(fmt.Appendf(nil, "won%d/", race)), pair{fmt.Sprintf("won%d/%d", race, winner), ""})
			}
		}},
		{"a counter that many increment by compare-and-set loses nothing", func(t *testing.T, store kv.Store) {
			const workers, increments = 8, 25
			s := spaceOf(t, store)
			increment := func() error {
				snap, err := store.Snapshot(context.Background(), s.ns)
				if err != nil {
					return err
				}
				defer closeReader(t, snap)
				before, found, err := snap.Get(context.Background(), []byte("counter"))
				if err != nil {
					return err
				}
				n := uint64(0)
				if found {
					n = binary.BigEndian.Uint64(before)
				}
				return s.try(func(b *kv.Batch) {
					b.Require([]byte("counter"), before)
					b.Set([]byte("counter"), binary.BigEndian.AppendUint64(nil, n+1))
				})
			}
			var working sync.WaitGroup
			for range workers {
				working.Go(func() {
					for done := 0; done < increments; {
						switch err := increment(); {
						case err == nil:
							done++
						case !errors.Is(err, kv.ErrConflict):
							t.Error(err)
							return
						}
					}
				})
			}
			working.Wait()
			gets(t, s.snapshot(), "counter", string(binary.BigEndian.AppendUint64(nil, workers*increments)))
		}},
		{"batches that require several keys in any order neither block nor overtake one another", func(t *testing.T, store kv.Store) {
			const workers, keys, moves = 6, 12, 30
			s := spaceOf(t, store)
			name := func(i int) []byte { return fmt.Appendf(nil, "account%d", i%keys) }
			s.apply(func(b *kv.Batch) {
				for i := range keys {
					b.Set(name(i), []byte{100})
				}
			})
			// A move takes one from an account and gives it to another; the sum stays.
			move := func(from, to []byte) error {
				snap, err := store.Snapshot(context.Background(), s.ns)
				if err != nil {
					return err
				}
				defer closeReader(t, snap)
				a, _, errA := snap.Get(context.Background(), from)
				z, _, errZ := snap.Get(context.Background(), to)
				if err := errors.Join(errA, errZ); err != nil {
					return err
				}
				return s.try(func(b *kv.Batch) {
					b.Require(from, a)
					b.Require(to, z)
					b.Set(from, []byte{a[0] - 1})
					b.Set(to, []byte{z[0] + 1})
				})
			}
			var working sync.WaitGroup
			for w := range workers {
				working.Go(func() {
					for i := range moves {
						err := move(name(w*5+i), name(w*5+i+1+(w+i)%(keys-1)))
						if err != nil && !errors.Is(err, kv.ErrConflict) {
							t.Error(err)
						}
					}
				})
			}
			working.Wait()
			sum := 0
			for _, p := range scan(t, s.snapshot(), kv.Range{}) {
				sum += int(p.value[0])
			}
			if sum != keys*100 {
				t.Fatalf("the accounts hold %d; want %d", sum, keys*100)
			}
		}},
	}
}
