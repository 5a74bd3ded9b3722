package kvtest

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

// neighbours are namespaces whose names and generations a careless layout would mix up, in order.
func neighbours() []kv.Namespace {
	return []kv.Namespace{
		{Slice: "a", Generation: 0},
		{Slice: "a", Generation: 1},
		{Slice: "a", Generation: 256},
		{Slice: "a", Generation: math.MaxUint32},
		{Slice: "a-", Generation: 1},
		{Slice: "a1", Generation: 1},
		{Slice: "aa", Generation: 0},
		{Slice: "aa", Generation: 1},
		{Slice: "b", Generation: 1},
		{Slice: strings.Repeat("z", 62), Generation: 1},
		{Slice: strings.Repeat("z", 63), Generation: math.MaxUint32},
	}
}

func namespaces() []spec {
	return []spec{
		{"namespaces do not see one another", func(t *testing.T, store kv.Store) {
			for _, ns := range neighbours() {
				s := space{t, store, ns}
				s.set(pair{"", ns.String()}, pair{"\x00", ns.String()}, pair{"key", ns.String()}, pair{"\xff\xff", ns.String()})
			}
			for _, ns := range neighbours() {
				s := space{t, store, ns}
				want := []pair{{"", ns.String()}, {"\x00", ns.String()}, {"key", ns.String()}, {"\xff\xff", ns.String()}}
				s.holds(want...)
				slices.Reverse(want)
				sees(t, s.snapshot(), kv.Range{Reverse: true}, want...)
			}
		}},
		{"range deletes and requirements stay in their namespace", func(t *testing.T, store kv.Store) {
			for i, ns := range neighbours() {
				s := space{t, store, ns}
				s.apply(func(b *kv.Batch) {
					b.Require([]byte("key"), nil)
					b.Set([]byte("key"), []byte(ns.String()))
				})
				if i%2 == 1 {
					s.apply(func(b *kv.Batch) { b.DeleteRange(nil, nil) })
				}
			}
			for i, ns := range neighbours() {
				if s := (space{t, store, ns}); i%2 == 1 {
					s.holds()
				} else {
					s.holds(pair{"key", ns.String()})
				}
			}
		}},
		{"dropping a namespace removes its keys and no others", func(t *testing.T, store kv.Store) {
			all := neighbours()
			for _, ns := range all {
				space{t, store, ns}.setKeys("", "key", "\xff")
			}
			for i, ns := range all {
				if err := store.Drop(context.Background(), ns); err != nil {
					t.Fatal(err)
				}
				space{t, store, ns}.holds()
				lists(t, store, all[i+1:]...)
				for _, rest := range all[i+1:] {
					space{t, store, rest}.holds(bracketed("", "key", "\xff")...)
				}
			}
		}},
		{"dropping what does not exist is fine", func(t *testing.T, store kv.Store) {
			if err := store.Drop(context.Background(), kv.Namespace{Slice: "none"}); err != nil {
				t.Fatal(err)
			}
			lists(t, store)
		}},
		{"a dropped namespace can be used again", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b")
			if err := store.Drop(context.Background(), s.ns); err != nil {
				t.Fatal(err)
			}
			s.setKeys("b")
			s.holds(bracketed("b")...)
		}},
		{"the list of namespaces has those that hold keys, in order", func(t *testing.T, store kv.Store) {
			all := neighbours()
			for _, ns := range slices.Backward(all) {
				space{t, store, ns}.setKeys("a", "b")
			}
			lists(t, store, all...)
			space{t, store, all[2]}.apply(func(b *kv.Batch) {
				b.Delete([]byte("a"))
				b.DeleteRange([]byte("b"), nil)
			})
			space{t, store, kv.Namespace{Slice: "unwritten"}}.holds()
			lists(t, store, slices.Delete(all, 2, 3)...)
		}},
		{"a slice name that is not allowed is refused", func(t *testing.T, store kv.Store) {
			for _, name := range []string{"", "A", "a b", "a_b", "a/b", "ä", "a\x00", strings.Repeat("a", 64)} {
				ns := kv.Namespace{Slice: name}
				_, err := store.Snapshot(context.Background(), ns)
				wantError(t, "snapshot of "+name, err, kv.ErrInvalid)
				wantError(t, "apply to "+name, store.Apply(context.Background(), ns, &kv.Batch{}), kv.ErrInvalid)
				wantError(t, "drop "+name, store.Drop(context.Background(), ns), kv.ErrInvalid)
			}
			lists(t, store)
		}},
	}
}

func lists(t *testing.T, store kv.Store, want ...kv.Namespace) {
	t.Helper()
	got, err := store.Namespaces(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the store lists %v; want %v", got, want)
	}
}
