package timeline

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
)

func decodeChange(b []byte) (change, error) {
	if len(b) < 1 || len(b) < 1+int(b[0])+16+momentSize || (len(b)-1-int(b[0])-16-momentSize)%16 != 0 {
		return change{}, errDamaged
	}
	c := change{tenant: string(b[1 : 1+b[0]])}
	b = b[1+b[0]:]
	c.thread = event.ID(b[:16])
	m, err := decodeMoment(b[16 : 16+momentSize])
	if err != nil {
		return change{}, err
	}
	c.moment = m
	for b = b[16+momentSize:]; len(b) > 0; b = b[16:] {
		c.endpoints = append(c.endpoints, event.ID(b[:16]))
	}
	return c, nil
}

// own reports whether the change is the event's own, and not the later filing of an event that waited.
func (c change) own(at place) bool { return c.moment.offset == at.offset }

// record gives the record that was filed.
func (c change) record(ctx context.Context, snap kv.Reader) ([]byte, error) {
	if len(c.endpoints) > 0 {
		return timelineRecord(ctx, snap, c.tenant, c.endpoints[0], c.moment)
	}
	row, found, err := snap.Get(ctx, threadKey(c.tenant, c.thread, c.moment))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errDamaged
	}
	return threadRecord(ctx, snap, c.tenant, row, c.moment)
}

// eachChange reads the changes of a partition from a place on, up to an offset that is not included.
func eachChange(ctx context.Context, snap kv.Reader, partition int32, from place, until int64, yield func(place, change) error) error {
	it, err := snap.Scan(ctx, kv.Range{
		Start: changeKey(partition, from.offset, int(from.n)), End: changeKey(partition, until, 0),
	})
	if err != nil {
		return fmt.Errorf("timeline: read changes: %w", err)
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	for it.Next() {
		key := it.Key()
		if len(key) != 1+4+8+4 {
			return errDamaged
		}
		c, err := decodeChange(it.Value())
		if err != nil {
			return err
		}
		at := place{offset: int64(binary.BigEndian.Uint64(key[5:])), n: binary.BigEndian.Uint32(key[13:])}
		if err := yield(at, c); err != nil {
			return err
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("timeline: read changes: %w", err)
	}
	return nil
}
