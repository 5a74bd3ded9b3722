package kvtest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/kv"
)

func model() []spec {
	return []spec{{"any sequence of calls leaves what a sorted map would hold", func(t *testing.T, store kv.Store) {
		generation := uint32(0)
		rapid.Check(t, func(t *rapid.T) {
			generation += 2 // nobody else writes to the one in between
			m := &machine{store: store, ns: kv.Namespace{Slice: "model", Generation: generation}, now: contents{}}
			defer m.closeAll(t)
			t.Repeat(map[string]func(*rapid.T){
				"apply": m.apply,
				"drop":  m.drop,
				"pin":   m.pin,
				"unpin": m.unpin,
				"read":  m.read,
			})
			m.pin(t)
			for _, p := range m.pinned {
				p.compare(t, kv.Range{})
				p.compare(t, kv.Range{Reverse: true})
			}
		})
	}}}
}

// contents is the model of a namespace.
type contents map[string]string

// within gives what a scan must yield.
func (c contents) within(r kv.Range) []pair {
	var pairs []pair
	for _, k := range slices.Sorted(maps.Keys(c)) {
		if k >= string(r.Start) && (len(r.End) == 0 || k < string(r.End)) {
			pairs = append(pairs, pair{k, c[k]})
		}
	}
	if r.Reverse {
		slices.Reverse(pairs)
	}
	return pairs
}

// machine does to a store and to the model the same.
type machine struct {
	store  kv.Store
	ns     kv.Namespace
	now    contents
	pinned []pinned
}

// pinned is a snapshot and what it must see.
type pinned struct {
	snap kv.Snapshot
	want contents
}

// anyKey draws from few keys, so that they meet.
func anyKey(t *rapid.T, label string) []byte {
	return rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 'a', 'b', 0xff}), 0, 3).Draw(t, label)
}

func (m *machine) apply(t *rapid.T) {
	var b kv.Batch
	after := maps.Clone(m.now)
	conflict := false
	for range rapid.IntRange(0, 2).Draw(t, "requirements") {
		key := anyKey(t, "required")
		held, found := m.now[string(key)]
		switch kind := rapid.SampledFrom([]string{"as it is", "as it is", "as it is", "missing", "other"}).Draw(t, "how"); {
		case kind == "as it is" && found:
			b.Require(key, append([]byte{}, held...))
		case kind == "as it is", kind == "missing":
			b.Require(key, nil)
			conflict = conflict || found
		default:
			b.Require(key, []byte(held+"?"))
			conflict = true
		}
	}
	for range rapid.IntRange(0, 12).Draw(t, "writes") {
		key := anyKey(t, "key")
		switch rapid.SampledFrom([]string{"set", "set", "set", "set", "delete", "delete range"}).Draw(t, "write") {
		case "set":
			value := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
			b.Set(key, value)
			after[string(key)] = string(value)
		case "delete":
			b.Delete(key)
			delete(after, string(key))
		case "delete range":
			end := anyKey(t, "end")
			b.DeleteRange(key, end)
			for _, p := range after.within(kv.Range{Start: key, End: end}) {
				delete(after, p.key)
			}
		}
	}
	err := m.store.Apply(context.Background(), m.ns, &b)
	switch {
	case conflict && !errors.Is(err, kv.ErrConflict):
		t.Fatalf("apply: %v; want a conflict", err)
	case conflict:
	case err != nil:
		t.Fatalf("apply: %v", err)
	default:
		m.now = after
	}
}

func (m *machine) drop(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "drop at 0") > 0 {
		t.Skip()
	}
	if err := m.store.Drop(context.Background(), m.ns); err != nil {
		t.Fatal(err)
	}
	m.now = contents{}
}

func (m *machine) pin(t *rapid.T) {
	snap, err := m.store.Snapshot(context.Background(), m.ns)
	if err != nil {
		t.Fatal(err)
	}
	m.pinned = append(m.pinned, pinned{snap, maps.Clone(m.now)})
}

func (m *machine) unpin(t *rapid.T) {
	if len(m.pinned) == 0 {
		t.Skip()
	}
	i := rapid.IntRange(0, len(m.pinned)-1).Draw(t, "snapshot")
	if err := m.pinned[i].snap.Close(); err != nil {
		t.Fatal(err)
	}
	m.pinned = slices.Delete(m.pinned, i, i+1)
}

func (m *machine) read(t *rapid.T) {
	if len(m.pinned) == 0 {
		t.Skip()
	}
	p := m.pinned[rapid.IntRange(0, len(m.pinned)-1).Draw(t, "snapshot")]
	key := anyKey(t, "key")
	value, found, err := p.snap.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if want, wanted := p.want[string(key)]; found != wanted || string(value) != want {
		t.Fatalf("get %q: %q, %v; want %q, %v", key, value, found, want, wanted)
	}
	keys := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []byte { return anyKey(t, "one of many") }), 0, 6).Draw(t, "keys")
	values, err := p.snap.GetMany(context.Background(), keys)
	if err != nil || len(values) != len(keys) {
		t.Fatalf("get %q: %q, %v", keys, values, err)
	}
	for i, k := range keys {
		if want, wanted := p.want[string(k)]; (values[i] != nil) != wanted || string(values[i]) != want {
			t.Fatalf("get %q: the value of %q is %q, nil %v; want %q, %v", keys, k, values[i], values[i] == nil, want, wanted)
		}
	}
	p.compare(t, kv.Range{Start: anyKey(t, "start"), End: anyKey(t, "end"), Reverse: rapid.Bool().Draw(t, "reverse")})
}

func (p pinned) compare(t *rapid.T, r kv.Range) {
	it, err := p.snap.Scan(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = it.Close() }()
	for _, want := range p.want.within(r) {
		if !it.Next() {
			t.Fatalf("scan %s: ended before %q, error %v", show(r), want, it.Err())
		}
		if !bytes.Equal(it.Key(), []byte(want.key)) || !bytes.Equal(it.Value(), []byte(want.value)) {
			t.Fatalf("scan %s: got %q %q; want %q", show(r), it.Key(), it.Value(), want)
		}
	}
	if it.Next() || it.Err() != nil {
		t.Fatalf("scan %s: went on to %q, error %v", show(r), it.Key(), it.Err())
	}
}

func (m *machine) closeAll(t *rapid.T) {
	for _, p := range m.pinned {
		if err := p.snap.Close(); err != nil {
			t.Error(err)
		}
	}
}
