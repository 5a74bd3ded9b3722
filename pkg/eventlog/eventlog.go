// Package eventlog is the contract of the log: topics of partitions of records, appended durably, kept for ever and read
// from any offset. Engines stand in sub-packages and pass the suite in logtest. The package knows nothing of what the
// records mean.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

var (
	// ErrUnavailable means that the log does not answer for now; the same call may succeed later. An append that failed
	// with it may have happened.
	ErrUnavailable = errors.New("eventlog: the log is unavailable")
	// ErrTooLarge means that the log will never take a message of this size.
	ErrTooLarge = errors.New("eventlog: message too large")
	// ErrOffsetOutOfRange means that a reader stands before the first or behind the last record that the partition has.
	ErrOffsetOutOfRange = errors.New("eventlog: offset out of range")
	// ErrUnknownTopic means that the topic or partition does not exist.
	ErrUnknownTopic = errors.New("eventlog: unknown topic or partition")
	// ErrTopicMismatch means that a topic exists with settings under which Skein would lose or misplace events.
	ErrTopicMismatch = errors.New("eventlog: the topic exists with other settings")
	// ErrClosed is returned by every call after Close but Close itself.
	ErrClosed = errors.New("eventlog: closed")
	// ErrLocked is returned on opening an embedded log whose directory another process has open.
	ErrLocked = errors.New("eventlog: the log's directory is in use by another process")
)

// Position is where a record stands. Offsets of one partition ascend, perhaps with gaps.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// String is topic/partition/offset.
func (p Position) String() string { return fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset) }

// ParsePosition reads what String writes.
func ParsePosition(text string) (Position, error) {
	rest, offset := cutLast(text)
	topic, partition := cutLast(rest)
	p, err := strconv.ParseUint(partition, 10, 31)
	if err == nil && topic != "" {
		var o uint64
		if o, err = strconv.ParseUint(offset, 10, 63); err == nil {
			return Position{Topic: topic, Partition: int32(p), Offset: int64(o)}, nil
		}
	}
	return Position{}, fmt.Errorf("eventlog: %q is no position: topic/partition/offset is needed", text)
}

func cutLast(text string) (before, after string) {
	i := strings.LastIndexByte(text, '/')
	if i < 0 {
		return "", text
	}
	return text[:i], text[i+1:]
}

// Header is a name and value beside a record.
type Header struct {
	Key   string
	Value []byte
}

// Message is what is appended. Its key decides the partition: Partition(key, n).
type Message struct {
	Topic   string
	Key     []byte
	Value   []byte
	Headers []Header
}

// Record is what was appended. An empty key or value and none are not told apart.
type Record struct {
	Position
	Key     []byte
	Value   []byte
	Headers []Header
	// Time is when the producer appended it, in milliseconds' precision.
	Time time.Time
}

// Checksum tells the record from another one that stands at the same offset of another log.
func (r Record) Checksum() uint64 {
	h := xxhash.New()
	_, _ = h.Write(r.Key) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(r.Value)
	return h.Sum64()
}

// Topic says how a topic must be.
type Topic struct {
	Name string
	// Partitions is at least 1.
	Partitions int
	// Retention is how long records are kept; zero means for ever.
	Retention time.Duration
}

// Description is how a topic is set up, for those who operate it.
type Description struct {
	// Topic is its name.
	Topic string
	// Replicas is how many copies there are of each partition.
	Replicas int
	// Lagging are the partitions of which fewer copies than that are in sync.
	Lagging []int32
	// Retention is how long records are kept; zero means for ever.
	Retention time.Duration
	// Settings are those on which the log depends, under the engine's names for them.
	Settings map[string]string
}

// Appender appends messages. It is safe for concurrent use.
type Appender interface {
	// Append hands a message over and returns; done is called once, when the message is durable on all in-sync replicas
	// or has failed, perhaps before Append returns and from any goroutine: it must not block. Append itself blocks while
	// too many bytes are under way, and returns an error, without calling done, where it could not hand over: the
	// context ended, the log is closed or does not answer, the topic is unknown, the message is too large. Messages of
	// one key that were handed over one after the other keep their order as long as none fails. A message may be stored
	// twice where an acknowledgement got lost. The message's bytes may be changed once Append has returned.
	Append(ctx context.Context, m Message, done func(Position, error)) error
}

// Log is an engine. It is safe for concurrent use.
type Log interface {
	Appender
	// EnsureTopics creates the topics that are missing and checks the others. ErrTopicMismatch says what is wrong and what
	// to do. More partitions than asked for is a mismatch, too: keys would move. A longer retention than asked
	// for is fine.
	EnsureTopics(ctx context.Context, topics ...Topic) error
	// Partitions is the number of partitions of a topic.
	Partitions(ctx context.Context, topic string) (int, error)
	// Describe tells how a topic is set up.
	Describe(ctx context.Context, topic string) (Description, error)
	// Bounds gives the first offset that a partition holds and the one that its next record will get; equal where it is
	// empty.
	Bounds(ctx context.Context, topic string, partition int32) (first, next int64, err error)
	// Open starts reading a partition at an offset. An offset outside Bounds gives ErrOffsetOutOfRange here or from the
	// first Read; the offset of the next record is inside.
	Open(ctx context.Context, topic string, partition int32, offset int64) (Reader, error)
	// Close flushes what was handed over, waits until each done has returned, and closes. Readers must be closed before.
	// A second call does nothing.
	Close() error
}

// Reader reads one partition in order. Not for concurrent use.
type Reader interface {
	// Read waits for at least one record, then returns what is at hand, limit at most. The records are the caller's.
	// It returns the context's error when that ends first; reading can go on afterwards. After another error, close the
	// reader and open a new one.
	Read(ctx context.Context, limit int) ([]Record, error)
	// Close ends reading. A second call does nothing.
	Close() error
}

// ReadAt reads the record at a position, or the next one where the log has none there.
func ReadAt(ctx context.Context, log Log, at Position) (Record, error) {
	r, err := log.Open(ctx, at.Topic, at.Partition, at.Offset)
	if err != nil {
		return Record{}, err
	}
	defer func() { _ = r.Close() }() // nothing is written
	records, err := r.Read(ctx, 1)
	if err != nil {
		return Record{}, err
	}
	return records[0], nil
}

// AppendAll appends messages and waits for all of them. Positions are in the order of the messages. On an error some may
// have been appended; the error is the first that was seen.
func AppendAll(ctx context.Context, a Appender, messages []Message) ([]Position, error) {
	type outcome struct {
		index int
		pos   Position
		err   error
	}
	outcomes := make(chan outcome, len(messages)) // so that done never blocks, even after this call has returned
	positions := make([]Position, len(messages))
	handed := 0
	var first error
	for i, m := range messages {
		if err := a.Append(ctx, m, func(p Position, err error) { outcomes <- outcome{i, p, err} }); err != nil {
			first = err
			break
		}
		handed++
	}
	for range handed {
		select {
		case o := <-outcomes:
			positions[o.index] = o.pos
			if o.err != nil && first == nil {
				first = o.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if first != nil {
		return nil, first
	}
	return positions, nil
}
