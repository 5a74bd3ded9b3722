package pebblekv

import (
	"context"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/skein-cx/skein/pkg/kv"
)

// snapshot keeps the iterators of its lookups for the next ones: unlike Pebble's own Get, an iterator can be told to
// use the filters of the lowest level, where most keys are, which makes a miss ten times as fast.
type snapshot struct {
	store  *Store
	space  space
	pinned *pebble.Snapshot

	mu     sync.Mutex
	idle   []*lookup
	closed bool
}

// lookup finds single keys.
type lookup struct {
	it  *pebble.Iterator
	key []byte
}

// find returns a copy of the key's value, nil where there is none.
func (l *lookup) find(sp space, key []byte) ([]byte, error) {
	l.key = sp.key(l.key[:0], key)
	if !l.it.SeekPrefixGE(l.key) {
		return nil, nil // what the iterator's error is, giveBack asks
	}
	stored, err := l.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(stored)), stored...), nil
}

// borrow gives a lookup that nobody else uses.
func (s *snapshot) borrow() (*lookup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, kv.ErrClosed
	}
	if last := len(s.idle) - 1; last >= 0 {
		l := s.idle[last]
		s.idle = s.idle[:last]
		return l, nil
	}
	it, err := s.pinned.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, engineError("get", err)
	}
	return &lookup{it: it}, nil
}

// giveBack takes a lookup for the next call. One that failed, or that comes after Close, is done with.
func (s *snapshot) giveBack(l *lookup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && l.it.Error() == nil {
		s.idle = append(s.idle, l)
		return nil
	}
	return l.it.Close()
}

func (s *snapshot) Get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	if err := s.store.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.store.leave()
	l, err := s.borrow()
	if err != nil {
		return nil, false, err
	}
	value, err = l.find(s.space, key)
	if err = errors.Join(err, s.giveBack(l)); err != nil {
		return nil, false, engineError("get", err)
	}
	return value, value != nil, nil
}

// GetMany looks the keys up one by one: there is no round trip to spare, and sorting them first gained nothing.
func (s *snapshot) GetMany(ctx context.Context, keys [][]byte) (values [][]byte, err error) {
	if err := s.store.enter(ctx); err != nil {
		return nil, err
	}
	defer s.store.leave()
	l, err := s.borrow()
	if err != nil {
		return nil, err
	}
	values = make([][]byte, len(keys))
	for i := 0; i < len(keys) && err == nil; i++ {
		if i%ctxInterval == 0 && ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), s.giveBack(l))
		}
		values[i], err = l.find(s.space, keys[i])
	}
	if err = errors.Join(err, s.giveBack(l)); err != nil {
		return nil, engineError("get", err)
	}
	return values, nil
}

func (s *snapshot) Scan(ctx context.Context, r kv.Range) (kv.Iterator, error) {
	if err := s.store.enter(ctx); err != nil {
		return nil, err
	}
	it, err := s.scan(ctx, r)
	if err != nil {
		s.store.leave()
		return nil, err
	}
	return it, nil
}

// scan makes an iterator, which ends the call when it is closed.
func (s *snapshot) scan(ctx context.Context, r kv.Range) (*iterator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, kv.ErrClosed
	}
	lower, upper, none := s.space.bounds(r.Start, r.End)
	if none {
		upper = lower
	}
	it, err := s.pinned.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, engineError("scan", err)
	}
	return &iterator{ctx: ctx, it: it, reverse: r.Reverse, skip: len(s.space.prefix), store: s.store}, nil
}

func (s *snapshot) Close() error {
	switch err := s.store.enter(context.Background()); {
	case errors.Is(err, kv.ErrClosed):
		return nil // the store's Close has released it, or is about to
	case err != nil:
		return err
	}
	defer s.store.leave()
	return s.release()
}

func (s *snapshot) release() error {
	s.store.mu.Lock()
	delete(s.store.snapshots, s)
	s.store.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, l := range s.idle {
		errs = append(errs, l.it.Close())
	}
	s.idle = nil
	if err := errors.Join(append(errs, s.pinned.Close())...); err != nil {
		return engineError("close a snapshot", err)
	}
	return nil
}
