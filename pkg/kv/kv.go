// Package kv is the contract of the ordered key-value store that holds the read models.
//
// Keys live in a namespace, one per slice of the read model and generation, so that a generation can be read, compared
// and dropped as a whole. A batch is applied atomically and may require what some keys hold; projections build their
// fence on that. Engines stand in sub-packages and pass the suite in kvtest; none of their types or errors comes
// through here. The package knows nothing of events.
//
// A key is any bytes, from none to MaxKey of them; a value is any bytes, too. Keys are ordered byte by byte.
package kv

import (
	"context"
	"errors"
)

const (
	// MaxKey is the length of the longest key, in bytes; what every engine can index.
	MaxKey = 2048
	// MaxBatch is the size of the largest batch, in bytes of keys and values.
	MaxBatch = 1 << 30
)

var (
	// ErrConflict is returned by Store.Apply where a required key holds something else. Nothing was written.
	ErrConflict = errors.New("kv: a required key holds another value")
	// ErrClosed is returned by every call but Close on a store or snapshot that was closed.
	ErrClosed = errors.New("kv: closed")
	// ErrLocked is returned on opening a store that is open already, here or in another process.
	ErrLocked = errors.New("kv: the store is in use by another process")
	// ErrFull is returned where the disk is full.
	ErrFull = errors.New("kv: the disk is full")
	// ErrUnavailable is returned where the store does not answer for now, such as while its server restarts. The same call
	// may succeed later; on a snapshot, only after another one was taken. A batch whose Apply failed with it was written
	// whole or not at all.
	ErrUnavailable = errors.New("kv: the store is unavailable")
	// ErrInvalid is returned where a namespace's name or the size of a key or batch is not allowed. It is for good.
	ErrInvalid = errors.New("kv: invalid argument")
)

// Range is the keys from Start (included) to End (excluded). An empty Start or End is open. Where End is not above Start
// there are no keys.
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

// Reader reads the keys of one namespace. A context that has ended gives its error.
type Reader interface {
	// Get returns a copy of the key's value that the caller may keep: never nil where the key is found, always nil where
	// it is not, so that it can be handed to Batch.Require as it is.
	Get(ctx context.Context, key []byte) (value []byte, found bool, err error)
	// GetMany returns what Get returns for each of the keys, in their order. A key may be there more than once. Engines on
	// another machine answer all in one round trip.
	GetMany(ctx context.Context, keys [][]byte) (values [][]byte, err error)
	// Scan iterates over a range. The caller closes the iterator, and does so before the reader is closed. The iteration
	// ends with an error soon after ctx has ended.
	Scan(ctx context.Context, r Range) (Iterator, error)
}

// Distant reports whether every call of a reader is a round trip to another process, so that GetMany saves more than it
// costs. Such readers say so by a method Distant() bool; a reader of this process's memory or disk need not have it.
func Distant(r Reader) bool {
	d, ok := r.(interface{ Distant() bool })
	return ok && d.Distant()
}

// Iterator walks over a range. It starts before the first key. Not for concurrent use.
type Iterator interface {
	// Next moves on and reports whether there is a key. It returns false at the end and on an error.
	Next() bool
	// Key and Value are valid until the next call of Next or Close; copy what is kept, and do not change it.
	Key() []byte
	Value() []byte
	// Err is what ended the iteration, nil at its natural end.
	Err() error
	// Close frees what the iterator holds. A second call does nothing.
	Close() error
}

// Snapshot is a Reader of one moment: it sees batches whole or not at all, among them every batch whose Apply had
// returned when it was taken. It is safe for concurrent use, holds resources until it is closed, and must be closed
// before its store; where that was forgotten, its calls return ErrClosed.
type Snapshot interface {
	Reader
	// Close frees what the snapshot holds. A second call does nothing.
	Close() error
}

// Store is an engine. It is safe for concurrent use.
type Store interface {
	// Snapshot pins the namespace as it is now. A namespace never written is empty.
	Snapshot(ctx context.Context, ns Namespace) (Snapshot, error)
	// Apply writes the batch atomically, and durably once it has returned. ErrConflict means that a requirement failed.
	// With ErrConflict, ErrInvalid, ErrClosed or the context's error nothing was written; after any other error the batch
	// was written whole or not at all, and only reading tells. A context is not looked at any more once writing has begun.
	//
	// Batches that require the same key, and Drop, are applied one after the other, the rest at the same time. So a key
	// that is required somewhere is written only by batches that require it: other writes may slip in between. And batches
	// that write the same keys require one in common where some of them delete: else one may win one key, and one another.
	Apply(ctx context.Context, ns Namespace, b *Batch) error
	// Drop removes a namespace with all its keys; dropping what does not exist is fine.
	Drop(ctx context.Context, ns Namespace) error
	// Namespaces lists those that hold keys, by slice and generation.
	Namespaces(ctx context.Context) ([]Namespace, error)
	// Close waits for the calls under way, then closes. An iterator that is open can be read on until it is closed; an
	// engine may wait for that. A second call does nothing.
	Close() error
}
