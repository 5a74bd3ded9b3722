package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
)

// topics are those of events. Their order is that of the rows of a batch, and their places stand in the store: new ones come behind.
func topics() []string {
	return []string{event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory, event.TopicAlerts}
}

func topicNumber(topic string) int { return slices.Index(topics(), topic) }

// maxChunk is how many records are read and decoded at once.
const maxChunk = 1000

// source is a partition.
type source struct {
	topic     string
	partition int32
	number    int // among all partitions
	decoder   *decoder
}

// chunk is what was read of a partition at once.
type chunk struct {
	source   *source
	span     span
	rows     []row
	last     eventlog.Record
	received int64 // of the last event, in microseconds; 0 without any
	bytes    int
	broken   int // records that are no events
}

// sources are all partitions of all topics, in order.
func sources(ctx context.Context, log eventlog.Log) ([]*source, error) {
	kinds := kinds()
	var all []*source
	for _, topic := range topics() {
		n, err := log.Partitions(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("analytics: the partitions of %s: %w", topic, err)
		}
		d := newDecoder(topic, n, kinds)
		for p := range int32(n) {
			all = append(all, &source{topic: topic, partition: p, number: len(all), decoder: d})
		}
	}
	return all, nil
}

// decode makes a chunk of records behind an offset.
func (s *source) decode(records []eventlog.Record, first int64, in interner) *chunk {
	c := &chunk{source: s, rows: make([]row, 0, len(records)), last: records[len(records)-1]}
	c.span = span{Topic: s.topic, Partition: s.partition, First: first, Next: c.last.Offset + 1}
	for _, r := range records {
		c.bytes += len(r.Value)
		n := len(c.rows)
		if c.rows = c.rows[:n+1]; !s.decoder.decode(r, &c.rows[n], in) {
			c.rows = c.rows[:n]
			c.broken++
			continue
		}
		c.received = c.rows[n].received
	}
	return c
}

// read hands chunks over, from an offset on, until ctx ends.
func (s *source) read(ctx context.Context, log eventlog.Log, next int64, limit int, chunks chan<- *chunk) error {
	reader, err := log.Open(ctx, s.topic, s.partition, next)
	if err != nil {
		return fmt.Errorf("analytics: read %s/%d: %w", s.topic, s.partition, err)
	}
	defer func() { _ = reader.Close() }() // nothing is written through a reader
	in := interner{}
	for {
		records, err := reader.Read(ctx, limit)
		if err != nil {
			return fmt.Errorf("analytics: read %s/%d: %w", s.topic, s.partition, err)
		}
		c := s.decode(records, next, in)
		select {
		case chunks <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
		next = c.span.Next
	}
}

// again reads a stretch once more.
func (s *source) again(ctx context.Context, log eventlog.Log, at span) ([]*chunk, error) {
	reader, err := log.Open(ctx, s.topic, s.partition, at.First)
	if err != nil {
		return nil, s.lost(err)
	}
	defer func() { _ = reader.Close() }() // nothing is written through a reader
	var chunks []*chunk
	in := interner{}
	for next := at.First; next < at.Next; {
		records, err := reader.Read(ctx, maxChunk)
		if err != nil {
			return nil, s.lost(err)
		}
		records = slices.DeleteFunc(records, func(r eventlog.Record) bool { return r.Offset >= at.Next })
		if len(records) == 0 {
			break
		}
		c := s.decode(records, next, in)
		chunks, next = append(chunks, c), c.span.Next
	}
	return chunks, nil
}

func (s *source) lost(err error) error {
	if errors.Is(err, eventlog.ErrOffsetOutOfRange) {
		return fmt.Errorf("%w: %s/%d does not hold what was read from it: %w", ErrLogMismatch, s.topic, s.partition, err)
	}
	return fmt.Errorf("analytics: read %s/%d: %w", s.topic, s.partition, err)
}

// verify makes sure that the log holds the record that was read last.
func (s *source) verify(ctx context.Context, log eventlog.Log, p position) error {
	first, end, err := log.Bounds(ctx, s.topic, s.partition)
	if err != nil {
		return fmt.Errorf("analytics: read %s/%d: %w", s.topic, s.partition, err)
	}
	last := p.Next - 1
	if last < first || p.Next > end {
		return fmt.Errorf("%w: %s/%d holds the offsets %d to %d, and %d was read last", ErrLogMismatch, s.topic, s.partition, first, end-1, last)
	}
	r, err := eventlog.ReadAt(ctx, log, eventlog.Position{Topic: s.topic, Partition: s.partition, Offset: last})
	if err != nil {
		return fmt.Errorf("analytics: read %s/%d: %w", s.topic, s.partition, err)
	}
	if r.Offset != last || r.Checksum() != p.Checksum {
		return fmt.Errorf("%w: %s is another record than the one that was read", ErrLogMismatch, r.Position)
	}
	return nil
}

// batch is rows that are written together, and what they were made from.
type batch struct {
	number   uint64
	chunks   []*chunk
	events   []*row
	messages []*row
	surveys  []*row
	inserts  []*insertion[*row] // of its rows, in the order of the tables
	records  int
	bytes    int
	refused  []piece
	began    time.Time
}

func (b *batch) add(c *chunk) {
	b.chunks = append(b.chunks, c)
	b.records += len(c.rows) + c.broken
	b.bytes += c.bytes
}

// order makes the order of the rows depend on the log only.
func (b *batch) order() {
	slices.SortStableFunc(b.chunks, func(x, y *chunk) int { return cmp.Compare(x.source.number, y.source.number) })
}

// ranges are the stretches that it holds, one for each partition.
func (b *batch) ranges() []span {
	var all []span
	for i, c := range b.chunks {
		if i > 0 && b.chunks[i-1].source == c.source {
			all[len(all)-1].Next = c.span.Next
			continue
		}
		all = append(all, c.span)
	}
	return all
}

// keep takes a row in.
func (b *batch) keep(r *row) {
	b.events = append(b.events, r)
	if r.message != nil {
		b.messages = append(b.messages, r)
	}
	if r.survey != nil {
		b.surveys = append(b.surveys, r)
	}
}
