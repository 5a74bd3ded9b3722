package memkv

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/skein-cx/skein/pkg/kv"
)

// snapshot is a copy of a tree, which nobody changes.
type snapshot struct {
	storeClosed *atomic.Bool
	closed      atomic.Bool
	tree        *tree
}

func (s *snapshot) check(ctx context.Context) error {
	if s.storeClosed.Load() || s.closed.Load() {
		return kv.ErrClosed
	}
	return ctx.Err()
}

func (s *snapshot) Get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	if err := s.check(ctx); err != nil {
		return nil, false, err
	}
	e, found := s.tree.Get(entry{key: key})
	return bytes.Clone(e.value), found, nil
}

func (s *snapshot) GetMany(ctx context.Context, keys [][]byte) (values [][]byte, err error) {
	values = make([][]byte, len(keys))
	for i, key := range keys {
		if values[i], _, err = s.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return values, s.check(ctx)
}

func (s *snapshot) Scan(ctx context.Context, r kv.Range) (kv.Iterator, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return &iterator{ctx: ctx, r: r, walk: s.tree.Iter()}, nil
}

func (s *snapshot) Close() error {
	s.closed.Store(true)
	return nil
}

type iterator struct {
	ctx     context.Context
	err     error
	r       kv.Range
	walk    btree.IterG[entry]
	started bool
	ended   bool
}

func (i *iterator) Next() bool {
	if i.ended {
		return false
	}
	if i.err = i.ctx.Err(); i.err != nil || !i.move() || !i.inside() {
		i.ended = true
	}
	return !i.ended
}

// move goes to the next entry in the order of the range.
func (i *iterator) move() bool {
	first := !i.started
	i.started = true
	switch {
	case !first && i.r.Reverse:
		return i.walk.Prev()
	case !first:
		return i.walk.Next()
	case !i.r.Reverse:
		return i.walk.Seek(entry{key: i.r.Start})
	case len(i.r.End) > 0 && i.walk.Seek(entry{key: i.r.End}):
		return i.walk.Prev()
	default:
		return i.walk.Last()
	}
}

// inside checks the far end of the range; the near end is where the walk began.
func (i *iterator) inside() bool {
	key := i.walk.Item().key
	if i.r.Reverse {
		return bytes.Compare(key, i.r.Start) >= 0
	}
	return len(i.r.End) == 0 || bytes.Compare(key, i.r.End) < 0
}

func (i *iterator) Key() []byte   { return i.walk.Item().key }
func (i *iterator) Value() []byte { return i.walk.Item().value }
func (i *iterator) Err() error    { return i.err }

func (i *iterator) Close() error {
	i.ended = true
	return nil
}
