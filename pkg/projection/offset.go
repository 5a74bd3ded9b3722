package projection

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

// reserved is the first byte of the keys that this package keeps in a fold's namespace. A fold's own keys begin with a
// higher byte.
const reserved = 0x00

// offsetRow is how far a partition was applied: the offset of the record to apply next, and the checksum of the one
// that was applied last. A sealed one takes no further record: another generation is about to serve.
type offsetRow struct {
	next     int64 // nothing where nothing was applied before the partition was sealed
	checksum uint64
	sealed   bool
}

// nothing is the next offset of a row that is there only because its partition was sealed.
const nothing = -1

const (
	offsetRowSize = 16
	sealMark      = 's' // behind the row
)

func (o offsetRow) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, offsetRowSize+1), uint64(o.next))
	b = binary.BigEndian.AppendUint64(b, o.checksum)
	if o.sealed {
		b = append(b, sealMark)
	}
	return b
}

func decodeOffsetRow(b []byte) (offsetRow, error) {
	sealed := len(b) == offsetRowSize+1 && b[offsetRowSize] == sealMark
	if len(b) != offsetRowSize && !sealed {
		return offsetRow{}, fmt.Errorf("projection: offset row of %d bytes instead of %d: the store is damaged", len(b), offsetRowSize)
	}
	return offsetRow{next: int64(binary.BigEndian.Uint64(b)), checksum: binary.BigEndian.Uint64(b[8:]), sealed: sealed}, nil
}

func offsetKey(topic string, partition int32) []byte {
	b := append(append(make([]byte, 0, len(topic)+6), reserved), topic...)
	return binary.BigEndian.AppendUint32(append(b, 0), uint32(partition))
}

// Vector is how far each partition of a topic was applied: the next offset, by partition. Partitions of which nothing
// was applied are missing.
type Vector map[int32]int64

// Includes reports whether the record at a partition's offset was applied.
func (v Vector) Includes(partition int32, offset int64) bool { return offset < v[partition] }

// Applied reads from one moment of a namespace how far the partitions of a topic were applied.
func Applied(ctx context.Context, r kv.Reader, topic string, partitions int) (Vector, error) {
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	return appliedOf(ctx, r, topic, all)
}

// appliedOf asks for each row by its key: rows are written over and over, and a scan would go through every version that
// the engine has not cleared away.
func appliedOf(ctx context.Context, r kv.Reader, topic string, partitions []int32) (Vector, error) {
	keys := make([][]byte, len(partitions))
	for i, p := range partitions {
		keys[i] = offsetKey(topic, p)
	}
	rows, err := r.GetMany(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("projection: read the applied offsets: %w", err)
	}
	v := make(Vector, len(partitions))
	for i, raw := range rows {
		if raw == nil {
			continue
		}
		row, err := decodeOffsetRow(raw)
		if err != nil {
			return nil, err
		}
		if row.next != nothing {
			v[partitions[i]] = row.next
		}
	}
	return v, nil
}

// Wait looks again after pollApplied, and then ever less often, where nobody tells it that something was applied: it may
// have been in another process.
const (
	pollApplied = 10 * time.Millisecond
	pollAtLeast = 500 * time.Millisecond
)

// Wait returns once all positions were applied to the namespace, or when ctx ends. Positions of other topics count as
// applied: this read model does not hold them. Progress, which may be nil, wakes it earlier. It waits out a store that is
// unavailable.
func Wait(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, positions []eventlog.Position, progress *Progress) error {
	for poll := pollApplied; ; poll = min(2*poll, pollAtLeast) {
		woken := progress.Changed()
		done, err := allApplied(ctx, store, ns, topic, positions)
		if done || err != nil && !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		timer := time.NewTimer(poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("projection: wait until %v is applied: %w", positions, ctx.Err())
		case <-woken:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// rewait is after how long Await looks whether another generation serves by now.
const rewait = time.Second

// Await is Wait for the generation of a slice that serves, whichever that is meanwhile.
func Await(ctx context.Context, store kv.Store, slice, topic string, positions []eventlog.Position, progress *Progress) error {
	for len(positions) > 0 {
		ns, err := Serving(ctx, store, slice)
		if err != nil {
			return err
		}
		some, cancel := context.WithTimeout(ctx, rewait)
		err = Wait(some, store, ns, topic, positions, progress)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}

func allApplied(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, positions []eventlog.Position) (bool, error) {
	awaited := make(Vector)
	for _, p := range positions {
		if p.Topic == topic {
			awaited[p.Partition] = max(awaited[p.Partition], p.Offset)
		}
	}
	snap, err := store.Snapshot(ctx, ns)
	if err != nil {
		return false, fmt.Errorf("projection: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	v, err := appliedOf(ctx, snap, topic, slices.Collect(maps.Keys(awaited)))
	if err != nil {
		return false, err
	}
	for partition, offset := range awaited {
		if !v.Includes(partition, offset) {
			return false, nil
		}
	}
	return true, nil
}
