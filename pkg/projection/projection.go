// Package projection folds partitions of the log into a read model in a kv.Store, exactly once in effect.
//
// A fold is pure: what it writes depends on its record and on keys that only its partition writes. Each batch of
// records is applied in one atomic write together with the offset that follows it, and that write fails unless the
// stored offset is the one that the batch began at: so two owners of a partition, a crash at any point or a record
// delivered twice never change a key twice. The package knows no service and no event type.
package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var (
	// ErrFenced means that somebody else moved the partition's offset: this owner is stale. Nothing was written.
	ErrFenced = errors.New("projection: another owner has moved the partition's offset")
	// ErrLogMismatch means that the log does not hold the record that was applied last: the topic was recreated, or the
	// log or the store restored from a backup.
	ErrLogMismatch = errors.New("projection: the log is not the one that this read model was built from")
)

// Fold turns records into writes. One Fold serves all partitions of a topic, each from its own goroutine.
type Fold interface {
	// Apply folds one record. It reads and writes through tx only. A *DeadError, returned before anything was written,
	// sends the record to the dead letters and lets the partition go on; every other error stops the partition.
	Apply(ctx context.Context, tx *Tx, r eventlog.Record) error
}

// Remembering is a Fold that need not read again what it knows.
type Remembering interface {
	Fold
	// Begin gives the Fold of one partition for as long as one owner holds that: it folds all records from the one at which
	// it begins, in order, and whatever it has written was applied. Else, where a batch failed or may have, or another owner
	// has moved the offset, or the partition is given up, it is dropped with all that it remembers. So what it has read and
	// written stands in the store as it left it. It serves one goroutine. It may be a Prefetcher.
	Begin() Fold
}

// Prefetcher is a Fold that tells beforehand what it is going to read. Where a store is a round trip away, the keys of a whole
// batch are then read at once. What comes of a record is the same without.
type Prefetcher interface {
	Fold
	// Prefetch understands a record and returns the keys that folding it reads, as far as the record alone tells them, and
	// the rest of Apply, which then finds them in tx. So a record is decoded once.
	Prefetch(r eventlog.Record) (reads [][]byte, apply func(ctx context.Context, tx *Tx) error)
}

// DeadError says that a record cannot be folded, now or later.
type DeadError struct {
	Reason eventv1.DeadReason
	// Detail says what is wrong, for a person.
	Detail string
	// Tenant where it is known.
	Tenant string
	// Winner is where the event stands that has the id already, for a conflict.
	Winner *eventlog.Position
}

// Error is the detail.
func (e *DeadError) Error() string { return fmt.Sprintf("projection: %s: %s", e.Reason, e.Detail) }

// DeadLetters keeps what could not be folded.
type DeadLetters interface {
	// Publish returns when all letters are durable. Letters of one source and slice may be published more than once.
	Publish(ctx context.Context, letters ...*eventv1.DeadLetter) error
}
