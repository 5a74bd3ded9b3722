package kvtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

func scanning() []spec {
	return []spec{
		{"a scan yields the keys between any two bounds, both ways", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			keys := []string{"", "\x00", "b", "b\x00", "d", "\xff", "\xff\xff"}
			s.setKeys(keys...)
			snap := s.snapshot()
			bounds := []string{"", "\x00", "\x00\x00", "a", "b", "b\x00", "c", "d", "e", "\xff", "\xff\xff", "\xff\xff\xff"}
			for _, start := range bounds {
				for _, end := range bounds {
					var want []string
					for _, k := range keys {
						if k >= start && (end == "" || k < end) {
							want = append(want, k)
						}
					}
					sees(t, snap, kv.Range{Start: []byte(start), End: []byte(end)}, bracketed(want...)...)
					slices.Reverse(want)
					sees(t, snap, kv.Range{Start: []byte(start), End: []byte(end), Reverse: true}, bracketed(want...)...)
				}
			}
			sees(t, snap, kv.Range{}, bracketed(keys...)...)
		}},
		{"a scan of a prefix yields the keys that begin with it", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "a\xff", "a\xff\xff", "b", "\xff", "\xff\xfe", "\xff\xff", "\xff\xff\x00")
			snap := s.snapshot()
			sees(t, snap, kv.Prefix([]byte("a")), bracketed("a", "a\xff", "a\xff\xff")...)
			sees(t, snap, kv.Prefix([]byte("a\xff")), bracketed("a\xff", "a\xff\xff")...)
			sees(t, snap, kv.Prefix([]byte("\xff\xff")), bracketed("\xff\xff", "\xff\xff\x00")...)
			sees(t, snap, kv.Prefix([]byte("c")))
		}},
		{"a reverse scan of a prefix begins with its last key", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.apply(func(b *kv.Batch) {
				for customer := range 5 {
					for i := range 100 {
						b.Set(fmt.Appendf(nil, "customer%d/%03d", customer, i), fmt.Appendf(nil, "event %d", i))
					}
				}
			})
			last := kv.Prefix([]byte("customer3/"))
			last.Reverse = true
			it, err := s.snapshot().Scan(context.Background(), last)
			if err != nil {
				t.Fatal(err)
			}
			defer closeReader(t, it)
			for i := 99; i >= 50; i-- {
				if !it.Next() {
					t.Fatalf("the scan ended before event %d: %v", i, it.Err())
				}
				if want := fmt.Sprintf("customer3/%03d", i); string(it.Key()) != want {
					t.Fatalf("got %q; want %q", it.Key(), want)
				}
			}
		}},
		{"a scan of many keys with values of all sizes yields each once", func(t *testing.T, store kv.Store) {
			const keys = 3000
			s := spaceOf(t, store)
			var want []pair
			for i := range keys {
				size := i % 50
				if i%500 == 499 {
					size = 300 << 10
				}
				want = append(want, pair{fmt.Sprintf("%04d", i), strings.Repeat(fmt.Sprint(i%10), size)})
			}
			s.set(want...)
			snap := s.snapshot()
			sees(t, snap, kv.Range{}, want...)
			sees(t, snap, kv.Range{Start: []byte("0400"), End: []byte("2600")}, want[400:2600]...)
			slices.Reverse(want)
			sees(t, snap, kv.Range{Reverse: true}, want...)
		}},
		{"a scan that has ended stays ended", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b")
			for _, reverse := range []bool{false, true} {
				it, err := s.snapshot().Scan(context.Background(), kv.Range{Reverse: reverse})
				if err != nil {
					t.Fatal(err)
				}
				for it.Next() {
				}
				if it.Next() || it.Err() != nil {
					t.Fatalf("Next went on after the end, error %v", it.Err())
				}
				closeReader(t, it)
				closeReader(t, it)
				if it.Next() {
					t.Fatal("Next went on after Close")
				}
			}
		}},
		{"a scan of nothing ends at once", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			sees(t, s.snapshot(), kv.Range{})
			sees(t, s.snapshot(), kv.Range{Reverse: true})
			s.setKeys("a")
			sees(t, s.snapshot(), kv.Range{Start: []byte("b")})
			sees(t, s.snapshot(), kv.Range{End: []byte("a"), Reverse: true})
		}},
		{"equal contents have equal digests, other contents others", func(t *testing.T, store kv.Store) {
			digest := func(generation uint32, pairs ...pair) kv.Digest {
				s := space{t: t, store: store, ns: kv.Namespace{Slice: "timeline", Generation: generation}}
				for _, p := range pairs {
					s.set(p)
				}
				d, err := kv.Hash(context.Background(), s.snapshot())
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			ab := digest(1, pair{"a", "1"}, pair{"b", "2"})
			if ba := digest(2, pair{"b", "2"}, pair{"a", "0"}, pair{"a", "1"}); ab != ba {
				t.Fatalf("the same contents gave %s and %s", ab, ba)
			}
			if ab.Keys != 2 || ab.Bytes != 4 {
				t.Fatalf("counted %d keys and %d bytes; want 2 and 4", ab.Keys, ab.Bytes)
			}
			seen := map[[32]byte]int{ab.SHA256: 0}
			for i, other := range []kv.Digest{
				digest(3),
				digest(4, pair{"a", "2"}, pair{"b", "1"}),
				digest(5, pair{"a", "1b"}, pair{"", "2"}),
				digest(6, pair{"a1", ""}, pair{"b", "2"}),
				digest(7, pair{"a", "1"}),
			} {
				if before, twice := seen[other.SHA256]; twice {
					t.Fatalf("contents %d and %d have one digest", before, i+1)
				}
				seen[other.SHA256] = i + 1
			}
		}},
	}
}
