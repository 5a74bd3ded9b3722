// Package memkv is the store in memory: for tests, demonstrations and read models that are built anew at every start.
// Snapshots share what has not changed since. It never writes to disk.
package memkv

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/skein-cx/skein/pkg/kv"
)

// Store is a kv.Store in memory.
type Store struct {
	closed *atomic.Bool // shared with the snapshots
	mu     sync.Mutex
	trees  map[kv.Namespace]*tree
}

// tree is copied on write: a copy shares all nodes until one side changes them.
type tree = btree.BTreeG[entry]

type entry struct{ key, value []byte }

func newTree() *tree {
	less := func(a, b entry) bool { return bytes.Compare(a.key, b.key) < 0 }
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// New returns an empty store.
func New() *Store {
	return &Store{closed: new(atomic.Bool), trees: map[kv.Namespace]*tree{}}
}

// check returns why a call cannot be served.
func (s *Store) check(ctx context.Context) error {
	if s.closed.Load() {
		return kv.ErrClosed
	}
	return ctx.Err()
}

// Snapshot implements kv.Store.
func (s *Store) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := ns.Validate(); err != nil {
		return nil, err
	}
	pinned := newTree()
	if t := s.trees[ns]; t != nil {
		pinned = t.Copy()
	}
	return &snapshot{storeClosed: s.closed, tree: pinned}, nil
}

// Apply implements kv.Store.
func (s *Store) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := ns.Validate(); err != nil {
		return err
	}
	if err := b.Validate(); err != nil {
		return err
	}
	t := s.trees[ns]
	if t == nil {
		t = newTree()
	}
	for _, r := range b.Requirements() {
		if e, found := t.Get(entry{key: r.Key}); found != (r.Value != nil) || !bytes.Equal(e.value, r.Value) {
			return kv.ErrConflict
		}
	}
	for _, op := range b.Ops() {
		switch op.Kind {
		case kv.OpSet:
			t.Set(clone(op.Key, op.Value))
		case kv.OpDelete:
			t.Delete(entry{key: op.Key})
		case kv.OpDeleteRange:
			deleteRange(t, op.Key, op.End)
		}
	}
	if t.Len() == 0 {
		delete(s.trees, ns)
	} else {
		s.trees[ns] = t
	}
	return nil
}

// clone copies a key and its value into one allocation; neither is nil.
func clone(key, value []byte) entry {
	both := make([]byte, 0, len(key)+len(value))
	both = append(append(both, key...), value...)
	return entry{key: both[:len(key):len(key)], value: both[len(key):]}
}

func deleteRange(t *tree, start, end []byte) {
	last, some := t.Max()
	if !some {
		return
	}
	options := &btree.DeleteRangeOptions{NoReturn: true}
	if len(end) == 0 {
		end, options.MaxInclusive = last.key, true
	}
	if bytes.Compare(start, end) <= 0 {
		t.DeleteRange(entry{key: start}, entry{key: end}, options)
	}
}

// Drop implements kv.Store.
func (s *Store) Drop(ctx context.Context, ns kv.Namespace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := ns.Validate(); err != nil {
		return err
	}
	delete(s.trees, ns)
	return nil
}

// Namespaces implements kv.Store.
func (s *Store) Namespaces(ctx context.Context) ([]kv.Namespace, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(s.trees), kv.Namespace.Compare), nil
}

// Close implements kv.Store. What the store held is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	s.trees = nil
	return nil
}
