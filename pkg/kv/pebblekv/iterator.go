package pebblekv

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// ctxInterval is how many keys a scan goes between two looks at its context.
const ctxInterval = 128

type iterator struct {
	ctx     context.Context
	it      *pebble.Iterator // nil after Close
	reverse bool
	skip    int // length of the namespace's prefix
	n       int // keys so far
	ended   bool
	err     error
	store   *Store
}

func (i *iterator) Next() bool {
	if i.ended {
		return false
	}
	if i.n%ctxInterval == 0 {
		i.err = i.ctx.Err()
	}
	if i.err != nil || !i.move() {
		i.ended = true
		if err := i.it.Error(); err != nil && i.err == nil {
			i.err = engineError("scan", err)
		}
		return false
	}
	i.n++
	return true
}

func (i *iterator) move() bool {
	switch {
	case i.n == 0 && i.reverse:
		return i.it.Last()
	case i.n == 0:
		return i.it.First()
	case i.reverse:
		return i.it.Prev()
	default:
		return i.it.Next()
	}
}

func (i *iterator) Key() []byte {
	if i.ended {
		return nil
	}
	return i.it.Key()[i.skip:]
}

func (i *iterator) Value() []byte {
	if i.ended {
		return nil
	}
	value, err := i.it.ValueAndErr()
	if err != nil {
		i.err = engineError("scan", err) // ends the iteration at the next step
	}
	return value
}

func (i *iterator) Err() error { return i.err }

func (i *iterator) Close() error {
	i.ended = true
	if i.it == nil {
		return nil
	}
	it := i.it
	i.it = nil
	defer i.store.leave()
	if err := i.store.failure.err(); err != nil {
		return err // Pebble's locks may be held for ever
	}
	err := it.Close()
	if err != nil && i.err == nil {
		return engineError("scan", err)
	}
	return nil
}
