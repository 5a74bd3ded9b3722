// Package kv is the contract of the ordered key-value store that holds the read models.
//
// Keys live in a namespace, one per slice of the read model and generation, so that a generation can be read, compared
// and dropped as a whole. A batch is applied atomically and may require what some keys hold; projections build their
// fence on that. Engines stand in sub-packages and pass the suite in kvtest; none of their types or errors comes
// through here. The package knows nothing of events.
package kv

import (
	"context"
	"errors"
)

var (
	// ErrConflict is returned by Store.Apply where a required key holds something else. Nothing was written.
	ErrConflict = errors.New("kv: a required key holds another value")
	// ErrClosed is returned by every call on a store or snapshot that was closed.
	ErrClosed = errors.New("kv: closed")
	// ErrLocked is returned on opening a store that another process has open.
	ErrLocked = errors.New("kv: the store is in use by another process")
)

// Namespace holds the keys of one generation of one slice.
type Namespace struct {
	// Slice is the name of the read model: lower-case letters, digits and "-"; 1 to 63 bytes.
	Slice string
	// Generation counts rebuilds.
	Generation uint32
}

// Range is the keys from Start (included) to End (excluded), in byte order. A nil Start or End is open.
type Range struct {
	Start, End []byte
	// Reverse scans from the highest key down.
	Reverse bool
}

// Prefix is the range of all keys that begin with prefix.
func Prefix(prefix []byte) Range {
	return Range{Start: prefix, End: prefixEnd(prefix)}
}

// prefixEnd is the lowest key above every key with the prefix; nil where there is none.
func prefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

// Reader reads the keys of one namespace.
type Reader interface {
	// Get returns a copy of the key's value that the caller may keep.
	Get(ctx context.Context, key []byte) (value []byte, found bool, err error)
	// Scan iterates over a range. The caller closes the iterator.
	Scan(ctx context.Context, r Range) (Iterator, error)
}

// Iterator walks over a range. It starts before the first key. Not for concurrent use.
type Iterator interface {
	// Next moves on and reports whether there is a key. It returns false at the end and on an error.
	Next() bool
	// Key and Value are valid until the next call of Next or Close; copy what is kept.
	Key() []byte
	Value() []byte
	// Err is what ended the iteration, nil at its natural end.
	Err() error
	Close() error
}

// Snapshot is a Reader of one moment: it sees every batch applied before it was taken, whole, and none after. It is
// safe for concurrent use, holds resources until it is closed, and must be closed before its store.
type Snapshot interface {
	Reader
	Close() error
}

// Store is an engine. It is safe for concurrent use.
type Store interface {
	// Snapshot pins the namespace as it is now. A namespace never written is empty.
	Snapshot(ctx context.Context, ns Namespace) (Snapshot, error)
	// Apply writes the batch atomically and durably, or returns an error and writes nothing. ErrConflict means that a
	// requirement failed. Two batches that require the same key are applied one after the other.
	Apply(ctx context.Context, ns Namespace, b *Batch) error
	// Drop removes a namespace with all its keys; dropping what does not exist is fine.
	Drop(ctx context.Context, ns Namespace) error
	// Namespaces lists those that hold keys, by slice and generation.
	Namespaces(ctx context.Context) ([]Namespace, error)
	Close() error
}
