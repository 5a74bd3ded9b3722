package deadletters

import (
	"context"
	"errors"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// readLimit is how many records are read at once: each may hold 256 KiB.
const readLimit = 64

// record reads the record at a position, where there is one.
func (s *Service) record(ctx context.Context, at eventlog.Position) (r eventlog.Record, found bool, err error) {
	n, err := s.cfg.Log.Partitions(ctx, at.Topic)
	if errors.Is(err, eventlog.ErrUnknownTopic) || err == nil && (at.Partition < 0 || int(at.Partition) >= n) {
		return eventlog.Record{}, false, nil
	}
	if err != nil {
		return eventlog.Record{}, false, err
	}
	first, next, err := s.cfg.Log.Bounds(ctx, at.Topic, at.Partition)
	if err != nil || at.Offset < first || at.Offset >= next {
		return eventlog.Record{}, false, err
	}
	err = s.each(ctx, at, at.Offset+1, func(found eventlog.Record) { r = found })
	return r, r.Position == at && err == nil, err
}

// each reads the records from a position to an offset (excluded) that the partition has reached.
func (s *Service) each(ctx context.Context, from eventlog.Position, end int64, fn func(eventlog.Record)) error {
	if from.Offset >= end {
		return nil
	}
	reader, err := s.cfg.Log.Open(ctx, from.Topic, from.Partition, from.Offset)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Read(ctx, readLimit)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Offset < end {
				fn(r)
			}
			if r.Offset >= end-1 {
				return nil
			}
		}
	}
}

// backward reads a partition from an offset (excluded) down to its first record.
type backward struct {
	*Service
	topic      string
	partition  int32
	first, end int64
	read       []eventlog.Record // the newest last; those at and above end
}

// peek gives the newest record that was not yet taken; nil where there is none.
func (b *backward) peek(ctx context.Context) (*eventlog.Record, error) {
	for len(b.read) == 0 {
		if b.end <= b.first {
			return nil, nil //nolint:nilnil // the end is no error
		}
		from := max(b.first, b.end-readLimit)
		err := b.each(ctx, eventlog.Position{Topic: b.topic, Partition: b.partition, Offset: from}, b.end, func(r eventlog.Record) {
			b.read = append(b.read, r)
		})
		if err != nil {
			return nil, err
		}
		b.end = from
	}
	return &b.read[len(b.read)-1], nil
}

// take takes the record that peek gave.
func (b *backward) take() { b.read = b.read[:len(b.read)-1] }

// next is the offset (excluded) from which another one would go on.
func (b *backward) next() int64 {
	if n := len(b.read); n > 0 {
		return b.read[n-1].Offset + 1
	}
	return b.end
}
