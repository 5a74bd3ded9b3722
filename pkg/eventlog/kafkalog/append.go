package kafkalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// Append implements eventlog.Appender.
func (l *Log) Append(ctx context.Context, m eventlog.Message, done func(eventlog.Position, error)) error {
	size := sizeOf(m)
	if whole := batchOverhead + size; whole > l.cfg.MaxMessageBytes {
		return fmt.Errorf("kafkalog: append to %q: %w: %d bytes with framing, %d are allowed",
			m.Topic, eventlog.ErrTooLarge, whole, l.cfg.MaxMessageBytes)
	}
	partitions, err := l.partitions(ctx, m.Topic)
	if err != nil {
		return err
	}
	if err := l.acquire(ctx, int64(size)); err != nil {
		return fmt.Errorf("kafkalog: append to %q: %w", m.Topic, err)
	}
	if !partitions[eventlog.Partition(m.Key, len(partitions))].add(m, size, done) {
		l.inFlight.Release(int64(size))
		return fmt.Errorf("kafkalog: append to %q: %w", m.Topic, eventlog.ErrClosed)
	}
	return nil
}

// acquire waits for room in flight.
func (l *Log) acquire(ctx context.Context, size int64) error {
	if l.inFlight.TryAcquire(size) {
		return nil
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.closing, cancel)() //nolint:contextcheck // whichever ends first
	if err := l.inFlight.Acquire(waiting, size); err != nil {
		if ctx.Err() == nil {
			return eventlog.ErrClosed
		}
		return ctx.Err()
	}
	return nil
}

// partition collects messages into batches, and sends one batch after the other. The driver's Writer does so, too, but it
// counts its tries instead of the time, so that Close may wait for minutes, makes room for the greatest number of messages
// in each batch, and takes several times as long for a message (see the benchmarks).
type partition struct {
	log    *Log
	topic  string
	number int32
	wake   chan struct{} // holds a token when the writer has something new to look at

	mu      sync.Mutex
	closed  bool
	writing bool     // the writer runs
	open    *batch   // takes messages
	full    []*batch // wait to be sent, oldest first
	spare   *batch   // empty, or nil
}

func newPartition(l *Log, topic string, number int32) *partition {
	return &partition{log: l, topic: topic, number: number, wake: make(chan struct{}, 1), open: new(batch)}
}

// add hands a message over. It returns false when the log is closed.
func (p *partition) add(m eventlog.Message, size int, done func(eventlog.Position, error)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if !p.writing {
		p.writing = true
		p.log.writers.Add(1) // before Close waits: it closes all partitions first
		go p.write()
	}
	if !p.open.fits(size, p.log.cfg.MaxMessageBytes) {
		p.full = append(p.full, p.start())
	}
	p.open.add(m, size, done)
	if len(p.open.done) == 1 {
		p.signal()
	}
	return true
}

func (p *partition) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.signal()
}

func (p *partition) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// write sends batches until the partition is closed and empty.
func (p *partition) write() {
	defer p.log.writers.Done()
	for {
		b, wait := p.next()
		switch {
		case b != nil:
			p.send(b)
		case wait < 0:
			return
		case wait == 0:
			<-p.wake
		default:
			select {
			case <-p.wake:
			case <-time.After(wait):
			}
		}
	}
}

// start makes an empty batch the open one and returns the one that was.
func (p *partition) start() *batch {
	b := p.open
	p.open, p.spare = p.spare, nil
	if p.open == nil {
		p.open = new(batch)
	}
	return b
}

// next takes the batch that is due. Without one it says how long to wait: 0 until woken, negative for the end.
func (p *partition) next() (*batch, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.full) > 0 {
		b := p.full[0]
		p.full[0] = nil
		p.full = p.full[1:]
		return b, 0
	}
	if len(p.open.done) == 0 {
		if p.closed {
			return nil, -1
		}
		return nil, 0
	}
	if wait := p.log.cfg.BatchTimeout - time.Since(p.open.begun); wait > 0 && !p.closed {
		return nil, wait
	}
	return p.start(), 0
}

// send appends a batch to the log and tells the outcome of each of its messages.
func (p *partition) send(b *batch) {
	base, err := p.produce(b)
	for i, done := range b.done {
		if err != nil {
			done(eventlog.Position{}, err)
		} else {
			done(eventlog.Position{Topic: p.topic, Partition: p.number, Offset: base + int64(i)}, nil)
		}
	}
	p.log.inFlight.Release(b.size)
	if err != nil || b.sent > 1 {
		return // a request that was given up may still be reading it
	}
	b.reset()
	p.mu.Lock()
	p.spare = b
	p.mu.Unlock()
}

func (p *partition) produce(b *batch) (base int64, err error) {
	encoded := b.seal()
	what := fmt.Sprintf("append %d messages to %s/%d", len(b.done), p.topic, p.number)
	err = p.log.retry(p.log.life, what, b.begun.Add(p.log.cfg.Timeout), func(ctx context.Context, client *kafka.Client) error {
		b.sent++
		res, err := client.RawProduce(ctx, &kafka.RawProduceRequest{
			Topic: p.topic, Partition: int(p.number), RequiredAcks: kafka.RequireAll,
			RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(encoded)},
		})
		if err != nil {
			return err
		}
		base = res.BaseOffset
		return res.Error
	})
	if errors.Is(err, eventlog.ErrTooLarge) && len(b.done) > 1 {
		// Not a message but the batch is too large: the topic's limit was lowered since it was checked.
		err = fmt.Errorf("%w: the topic %q takes less than %d bytes at once: raise its max.message.bytes",
			eventlog.ErrUnavailable, p.topic, p.log.cfg.MaxMessageBytes)
	}
	return base, err
}
