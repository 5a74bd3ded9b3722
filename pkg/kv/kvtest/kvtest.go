// Package kvtest is the suite that every engine of pkg/kv passes. It knows the contract only and looks into no engine.
package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

// Run runs the suite. Each test calls open for a store that is empty, and closes it.
func Run(t *testing.T, open func(t *testing.T) kv.Store) {
	t.Helper()
	for _, group := range [][]spec{writing(), scanning(), namespaces(), snapshots(), requiring(), ending(), large(), model()} {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) {
				store := open(t)
				t.Cleanup(func() {
					if err := store.Close(); err != nil {
						t.Errorf("close the store: %v", err)
					}
				})
				s.test(t, store)
			})
		}
	}
}

// spec is one test and the behaviour that it shows.
type spec struct {
	name string
	test func(t *testing.T, store kv.Store)
}

// pair is a key and its value.
type pair struct{ key, value string }

// space is a namespace under test. Its methods fail the test on errors.
type space struct {
	t     testing.TB
	store kv.Store
	ns    kv.Namespace
}

func spaceOf(t testing.TB, store kv.Store) space {
	t.Helper()
	return space{t: t, store: store, ns: kv.Namespace{Slice: "timeline", Generation: 1}}
}

// apply fills a batch by build and applies it.
func (s space) apply(build func(b *kv.Batch)) {
	s.t.Helper()
	if err := s.try(build); err != nil {
		s.t.Fatalf("apply a batch: %v", err)
	}
}

// try is apply where an error is expected.
func (s space) try(build func(b *kv.Batch)) error {
	var b kv.Batch
	build(&b)
	return s.store.Apply(context.Background(), s.ns, &b)
}

// set writes keys with a value each.
func (s space) set(pairs ...pair) {
	s.t.Helper()
	s.apply(func(b *kv.Batch) {
		for _, p := range pairs {
			b.Set([]byte(p.key), []byte(p.value))
		}
	})
}

// setKeys writes keys whose values are the keys in brackets.
func (s space) setKeys(keys ...string) {
	s.t.Helper()
	s.set(bracketed(keys...)...)
}

// bracketed is what setKeys writes.
func bracketed(keys ...string) []pair {
	pairs := make([]pair, 0, len(keys))
	for _, k := range keys {
		pairs = append(pairs, pair{k, "<" + k + ">"})
	}
	return pairs
}

// snapshot pins the namespace until the test ends.
func (s space) snapshot() kv.Snapshot {
	s.t.Helper()
	snap, err := s.store.Snapshot(context.Background(), s.ns)
	if err != nil {
		s.t.Fatalf("take a snapshot: %v", err)
	}
	s.t.Cleanup(func() { closeReader(s.t, snap) })
	return snap
}

// holds compares all that the namespace holds now.
func (s space) holds(want ...pair) {
	s.t.Helper()
	snap, err := s.store.Snapshot(context.Background(), s.ns)
	if err != nil {
		s.t.Fatalf("take a snapshot: %v", err)
	}
	defer closeReader(s.t, snap) // now: it may hold a connection
	sees(s.t, snap, kv.Range{}, want...)
	for _, p := range want {
		gets(s.t, snap, p.key, p.value)
	}
	getsMany(s.t, snap, want)
}

// gets expects a key to be found with a value.
func gets(t testing.TB, r kv.Reader, key, want string) {
	t.Helper()
	value, found, err := r.Get(context.Background(), []byte(key))
	switch {
	case err != nil:
		t.Fatalf("get %q: %v", key, err)
	case !found:
		t.Fatalf("%q is missing; want %q", key, want)
	case value == nil:
		t.Fatalf("%q was found with a nil value", key)
	case string(value) != want:
		t.Fatalf("%q holds %q; want %q", key, value, want)
	}
}

// getsMany expects keys to be found, among others that are missing.
func getsMany(t testing.TB, r kv.Reader, want []pair) {
	t.Helper()
	var keys [][]byte
	for _, p := range want {
		keys = append(keys, []byte(p.key), []byte(p.key+"\x00missing"))
	}
	values, err := r.GetMany(context.Background(), keys)
	if err != nil || len(values) != len(keys) {
		t.Fatalf("get %d keys at once: %d values, error %v", len(keys), len(values), err)
	}
	for i, p := range want {
		value, other := values[2*i], values[2*i+1]
		if value == nil || string(value) != p.value || other != nil {
			t.Fatalf("get %d keys at once: %q holds %q, nil %v; want %q; %q holds %q",
				len(keys), p.key, value, value == nil, p.value, keys[2*i+1], other)
		}
	}
}

// misses expects a key to be missing.
func misses(t testing.TB, r kv.Reader, key string) {
	t.Helper()
	value, found, err := r.Get(context.Background(), []byte(key))
	if err != nil || found || value != nil {
		t.Fatalf("get %q: value %q, found %v, error %v; want nothing", key, value, found, err)
	}
}

// sees compares a scan with what it must yield.
func sees(t testing.TB, r kv.Reader, within kv.Range, want ...pair) {
	t.Helper()
	if got := scan(t, r, within); !slices.Equal(got, want) {
		t.Fatalf("scan %s: got %d keys, %.1000q; want %d, %.1000q", show(within), len(got), got, len(want), want)
	}
}

// scan reads a range.
func scan(t testing.TB, r kv.Reader, within kv.Range) []pair {
	t.Helper()
	pairs, err := tryScan(r, within)
	if err != nil {
		t.Fatalf("scan %s: %v", show(within), err)
	}
	return pairs
}

// tryScan is scan for goroutines, which must not end the test.
func tryScan(r kv.Reader, within kv.Range) (pairs []pair, err error) {
	it, err := r.Scan(context.Background(), within)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.Next() {
		pairs = append(pairs, pair{string(it.Key()), string(it.Value())})
	}
	return pairs, it.Err()
}

func show(r kv.Range) string {
	direction := "up"
	if r.Reverse {
		direction = "down"
	}
	return fmt.Sprintf("[%q, %q) %s", r.Start, r.End, direction)
}

func closeReader(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
