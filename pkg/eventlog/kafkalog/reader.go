package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/skein-cx/skein/pkg/eventlog"
)

const (
	// fetchBytes bounds an answer, but for a single batch that is larger. A reader holds three of them at most.
	fetchBytes = 1 << 20
	// fetchWait is how long the broker holds a request while there is nothing to read.
	fetchWait = 500 * time.Millisecond
)

var errNoProgress = errors.New("the broker has records but gives none")

// Open implements eventlog.Log.
func (l *Log) Open(ctx context.Context, topic string, partition int32, offset int64) (eventlog.Reader, error) {
	first, next, err := l.Bounds(ctx, topic, partition)
	if err != nil {
		return nil, err
	}
	if offset < first || offset > next {
		return nil, fmt.Errorf("kafkalog: open %s/%d at %d: %w: it holds %d to %d",
			topic, partition, offset, eventlog.ErrOffsetOutOfRange, first, next-1)
	}
	fetching, cancel := context.WithCancel(l.life)
	r := &reader{
		log: l, topic: topic, partition: partition, next: offset, fetched: make(chan []eventlog.Record, 1), cancel: cancel,
	}
	go r.run(fetching) //nolint:contextcheck // a reader outlives the call that opened it
	return r, nil
}

// reader has a goroutine that is one answer ahead of Read. What it fetched waits for the next Read, so that a Read that is
// cancelled takes nothing with it.
type reader struct {
	log       *Log
	topic     string
	partition int32
	next      int64 // this and usual are used by the goroutine only
	usual     int   // how many records the last answer gave

	fetched chan []eventlog.Record // closed at the end
	failed  error                  // why it was closed, set before
	cancel  context.CancelFunc
	once    sync.Once

	rest []eventlog.Record // fetched and not yet read
}

// Read implements eventlog.Reader.
func (r *reader) Read(ctx context.Context, limit int) ([]eventlog.Record, error) {
	limit = max(limit, 1)
	if len(r.rest) == 0 {
		select {
		case records, ok := <-r.fetched:
			if !ok {
				return nil, r.failed
			}
			r.rest = records
		case <-ctx.Done():
			return nil, fmt.Errorf("kafkalog: read %s/%d: %w", r.topic, r.partition, ctx.Err())
		}
	}
	records := r.take(limit)
	for len(records) < limit {
		select {
		case more, ok := <-r.fetched:
			if !ok {
				return records, nil // the next call tells why
			}
			r.rest = more
			records = append(records, r.take(limit-len(records))...)
		default:
			return records, nil
		}
	}
	return records, nil
}

func (r *reader) take(limit int) []eventlog.Record {
	n := min(limit, len(r.rest))
	records := r.rest[:n:n]
	r.rest = r.rest[n:]
	return records
}

// Close implements eventlog.Reader.
func (r *reader) Close() error {
	r.once.Do(func() {
		r.cancel()
		for range r.fetched { // until the goroutine has ended
		}
		r.rest = nil
	})
	return nil
}

// run fetches until it fails for good or the reader is closed.
func (r *reader) run(ctx context.Context) {
	defer close(r.fetched)
	for {
		records, err := r.fetch(ctx)
		if ctx.Err() != nil {
			err = fmt.Errorf("kafkalog: read %s/%d: %w", r.topic, r.partition, eventlog.ErrClosed)
		}
		if err != nil {
			r.failed = err
			return
		}
		select {
		case r.fetched <- records:
		case <-ctx.Done():
		}
	}
}

// fetch waits for records.
func (r *reader) fetch(ctx context.Context) (records []eventlog.Record, err error) {
	what := fmt.Sprintf("read %s/%d from %d", r.topic, r.partition, r.next)
	for len(records) == 0 && err == nil {
		deadline := time.Now().Add(r.log.cfg.Timeout)
		err = r.log.retry(ctx, what, deadline, func(ctx context.Context, client *kafka.Client) error {
			res, err := client.Fetch(ctx, &kafka.FetchRequest{
				Topic: r.topic, Partition: int(r.partition), Offset: r.next, MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait,
			})
			if err != nil {
				return err
			}
			if res.Error != nil {
				return res.Error
			}
			found, next, err := r.decode(res.Records)
			if err != nil {
				return err
			}
			if next == r.next && res.HighWatermark > next {
				return errNoProgress
			}
			records, r.next, r.usual = found, next, len(found)
			return nil
		})
	}
	return records, err
}

// decode takes the records of an answer from the next offset on, and says which offset is next then. An answer begins
// with a whole batch, which may begin before that offset.
func (r *reader) decode(answer kafka.RecordReader) (records []eventlog.Record, next int64, err error) {
	next, records = r.next, make([]eventlog.Record, 0, r.usual)
	batches := []protocol.RecordReader{answer}
	if stream, ok := answer.(*protocol.RecordStream); ok {
		batches = stream.Records
	}
	for _, b := range batches {
		_, control := b.(*protocol.ControlBatch) // the end of somebody's transaction: it takes an offset and is no record
		for {
			found, err := b.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, next, fmt.Errorf("decode a record: %w", err)
			}
			if found.Offset < next {
				discard(found)
				continue
			}
			if control {
				discard(found)
			} else {
				record, err := r.record(found)
				if err != nil {
					return nil, next, fmt.Errorf("decode the record at %d: %w", found.Offset, err)
				}
				records = append(records, record)
			}
			next = found.Offset + 1
		}
	}
	return records, next, nil
}

// record copies a record out of the driver's pages.
func (r *reader) record(found *kafka.Record) (eventlog.Record, error) {
	defer discard(found)
	key, value := lenOf(found.Key), lenOf(found.Value)
	buf := make([]byte, key+value)
	for _, part := range []struct {
		from protocol.Bytes
		to   []byte
	}{{found.Key, buf[:key]}, {found.Value, buf[key:]}} {
		if len(part.to) > 0 {
			if _, err := io.ReadFull(part.from, part.to); err != nil {
				return eventlog.Record{}, err
			}
		}
	}
	record := eventlog.Record{
		Position: eventlog.Position{Topic: r.topic, Partition: r.partition, Offset: found.Offset},
		Key:      buf[:key:key],
		Value:    buf[key:],
		Time:     found.Time.UTC(),
	}
	for _, h := range found.Headers {
		record.Headers = append(record.Headers, eventlog.Header(h))
	}
	return record, nil
}

func lenOf(b protocol.Bytes) int {
	if b == nil {
		return 0
	}
	return b.Len()
}

// discard gives the pages of a record back to the driver.
func discard(found *kafka.Record) {
	for _, b := range []protocol.Bytes{found.Key, found.Value} {
		if b != nil {
			_ = b.Close() // counts down only
		}
	}
}
