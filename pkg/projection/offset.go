package projection

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

// reserved is the first byte of the keys that this package keeps in a fold's namespace. A fold's own keys begin with a
// higher byte.
const reserved = 0x00

// offsetRow is how far a partition was applied: the offset of the record to apply next, and the checksum of the one
// that was applied last.
type offsetRow struct {
	next     int64
	checksum uint64
}

func (o offsetRow) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(o.next))
	return binary.BigEndian.AppendUint64(b, o.checksum)
}

func decodeOffsetRow(b []byte) (offsetRow, error) {
	if len(b) != 16 {
		return offsetRow{}, fmt.Errorf("projection: offset row of %d bytes instead of 16: the store is damaged", len(b))
	}
	return offsetRow{next: int64(binary.BigEndian.Uint64(b)), checksum: binary.BigEndian.Uint64(b[8:])}, nil
}

func offsetPrefix(topic string) []byte {
	return append(append([]byte{reserved}, topic...), 0)
}

func offsetKey(topic string, partition int32) []byte {
	return binary.BigEndian.AppendUint32(offsetPrefix(topic), uint32(partition))
}

// checksum tells one record from another that stands at the same offset of another log.
func checksum(r eventlog.Record) uint64 {
	h := xxhash.New()
	_, _ = h.Write(r.Key) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(r.Value)
	return h.Sum64()
}

// Vector is how far each partition of a topic was applied: the next offset, by partition. Partitions of which nothing
// was applied are missing.
type Vector map[int32]int64

// Includes reports whether the record at a partition's offset was applied.
func (v Vector) Includes(partition int32, offset int64) bool { return offset < v[partition] }

// Applied reads from one moment of a namespace how far a topic was applied.
func Applied(ctx context.Context, r kv.Reader, topic string) (Vector, error) {
	prefix := offsetPrefix(topic)
	it, err := r.Scan(ctx, kv.Prefix(prefix))
	if err != nil {
		return nil, fmt.Errorf("projection: read the applied offsets: %w", err)
	}
	defer it.Close()
	v := Vector{}
	for it.Next() {
		row, err := decodeOffsetRow(it.Value())
		if err != nil {
			return nil, err
		}
		v[int32(binary.BigEndian.Uint32(it.Key()[len(prefix):]))] = row.next
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("projection: read the applied offsets: %w", err)
	}
	return v, nil
}

// pollApplied is how often Wait looks where nobody tells it that something was applied: in another process. While the store
// does not answer, it looks less and less often.
const (
	pollApplied    = 10 * time.Millisecond
	maxPollApplied = time.Second
)

// Wait returns once all positions were applied to the namespace, or when ctx ends. Positions of other topics count as
// applied: this read model does not hold them. Progress, which may be nil, wakes it earlier. It waits out a store that is
// unavailable.
func Wait(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, positions []eventlog.Position, progress *Progress) error {
	pause := pollApplied
	for {
		woken := progress.Changed()
		done, err := allApplied(ctx, store, ns, topic, positions)
		switch {
		case errors.Is(err, kv.ErrUnavailable):
			pause = min(2*pause, maxPollApplied)
		case err != nil || done:
			return err
		default:
			pause = pollApplied
		}
		timer := time.NewTimer(pause)
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

func allApplied(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, positions []eventlog.Position) (bool, error) {
	snap, err := store.Snapshot(ctx, ns)
	if err != nil {
		return false, fmt.Errorf("projection: %w", err)
	}
	defer snap.Close()
	v, err := Applied(ctx, snap, topic)
	if err != nil {
		return false, err
	}
	for _, p := range positions {
		if p.Topic == topic && !v.Includes(p.Partition, p.Offset) {
			return false, nil
		}
	}
	return true, nil
}
