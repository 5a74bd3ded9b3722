// Package memlog is the log in memory: every promise of the contract but durability. It is for tests and demonstrations,
// keeps all records until its Store is gone, and applies no retention.
package memlog

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// Config bounds a store. The zero value is fine.
type Config struct {
	// MaxMessageBytes is the greatest message: key, value and headers together. 1 MiB unless set.
	MaxMessageBytes int
}

// Store holds the topics. Logs are opened on it; what one appends, all read.
type Store struct {
	maxMessage int

	mu     sync.RWMutex
	topics map[string]*topic
}

// topic is immutable but for its partitions' records.
type topic struct {
	retention  time.Duration
	partitions []*partition
}

type partition struct {
	mu      sync.Mutex
	records []eventlog.Record
	grown   chan struct{} // closed and replaced by each append
}

// New makes an empty store.
func New(cfg Config) *Store {
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 1 << 20
	}
	return &Store{maxMessage: cfg.MaxMessageBytes, topics: make(map[string]*topic)}
}

// Open gives a log over the store's records. Closing it leaves the store and other logs as they are.
func (s *Store) Open() *Log {
	return &Log{store: s, closed: make(chan struct{})}
}

func (s *Store) topic(name string) (*topic, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.topics[name]
	if !ok {
		return nil, fmt.Errorf("memlog: topic %q: %w", name, eventlog.ErrUnknownTopic)
	}
	return t, nil
}

func (s *Store) partition(name string, number int32) (*partition, error) {
	t, err := s.topic(name)
	if err != nil {
		return nil, err
	}
	if number < 0 || int(number) >= len(t.partitions) {
		return nil, fmt.Errorf("memlog: topic %q, partition %d of %d: %w", name, number, len(t.partitions), eventlog.ErrUnknownTopic)
	}
	return t.partitions[number], nil
}

// ensure creates a topic or checks the one that is there.
func (s *Store) ensure(want eventlog.Topic) error {
	if want.Partitions < 1 {
		return fmt.Errorf("memlog: topic %q with %d partitions: at least 1 is needed", want.Name, want.Partitions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.topics[want.Name]
	if !ok {
		t = &topic{retention: want.Retention}
		for range want.Partitions {
			t.partitions = append(t.partitions, &partition{grown: make(chan struct{})})
		}
		s.topics[want.Name] = t
		return nil
	}
	if found := len(t.partitions); found != want.Partitions {
		return fmt.Errorf("memlog: %w: %q has %d partitions, %d are wanted: take the number that it has, or another topic",
			eventlog.ErrTopicMismatch, want.Name, found, want.Partitions)
	}
	if t.retention > 0 && (want.Retention == 0 || t.retention < want.Retention) {
		return fmt.Errorf("memlog: %w: %q keeps records for %s, %s is wanted (0s is for ever): take another topic",
			eventlog.ErrTopicMismatch, want.Name, t.retention, want.Retention)
	}
	return nil
}

// Log is an eventlog.Log over a Store.
type Log struct {
	store  *Store
	closed chan struct{}

	mu        sync.Mutex
	appending sync.WaitGroup // grows under mu while closed is open
}

var _ eventlog.Log = (*Log)(nil)

// Append implements eventlog.Appender. It calls done before it returns.
func (l *Log) Append(ctx context.Context, m eventlog.Message, done func(eventlog.Position, error)) error {
	if err := l.begin(ctx); err != nil {
		return fmt.Errorf("memlog: append: %w", err)
	}
	defer l.appending.Done()
	size := len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if size > l.store.maxMessage {
		return fmt.Errorf("memlog: append to %q: %w: %d bytes, %d are allowed", m.Topic, eventlog.ErrTooLarge, size, l.store.maxMessage)
	}
	t, err := l.store.topic(m.Topic)
	if err != nil {
		return err
	}
	number := eventlog.Partition(m.Key, len(t.partitions))
	r := eventlog.Record{
		Position: eventlog.Position{Topic: m.Topic, Partition: number},
		Key:      bytes.Clone(m.Key),
		Value:    bytes.Clone(m.Value),
		Headers:  cloneHeaders(m.Headers),
		Time:     time.Now().UTC().Truncate(time.Millisecond),
	}
	done(t.partitions[number].append(r), nil)
	return nil
}

func (p *partition) append(r eventlog.Record) eventlog.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Offset = int64(len(p.records))
	p.records = append(p.records, r)
	close(p.grown)
	p.grown = make(chan struct{})
	return r.Position
}

// EnsureTopics implements eventlog.Log.
func (l *Log) EnsureTopics(ctx context.Context, topics ...eventlog.Topic) error {
	if err := l.usable(ctx); err != nil {
		return fmt.Errorf("memlog: ensure topics: %w", err)
	}
	for _, want := range topics {
		if err := l.store.ensure(want); err != nil {
			return err
		}
	}
	return nil
}

// Partitions implements eventlog.Log.
func (l *Log) Partitions(ctx context.Context, topic string) (int, error) {
	if err := l.usable(ctx); err != nil {
		return 0, fmt.Errorf("memlog: partitions of %q: %w", topic, err)
	}
	t, err := l.store.topic(topic)
	if err != nil {
		return 0, err
	}
	return len(t.partitions), nil
}

// Describe implements eventlog.Log.
func (l *Log) Describe(ctx context.Context, topic string) (eventlog.Description, error) {
	if err := l.usable(ctx); err != nil {
		return eventlog.Description{}, fmt.Errorf("memlog: describe %q: %w", topic, err)
	}
	t, err := l.store.topic(topic)
	if err != nil {
		return eventlog.Description{}, err
	}
	return eventlog.Description{Topic: topic, Replicas: 1, Retention: t.retention}, nil
}

// Bounds implements eventlog.Log.
func (l *Log) Bounds(ctx context.Context, topic string, partition int32) (first, next int64, err error) {
	if err := l.usable(ctx); err != nil {
		return 0, 0, fmt.Errorf("memlog: bounds of %s/%d: %w", topic, partition, err)
	}
	p, err := l.store.partition(topic, partition)
	if err != nil {
		return 0, 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return 0, int64(len(p.records)), nil
}

// Open implements eventlog.Log.
func (l *Log) Open(ctx context.Context, topic string, partition int32, offset int64) (eventlog.Reader, error) {
	_, next, err := l.Bounds(ctx, topic, partition)
	if err != nil {
		return nil, err
	}
	if offset < 0 || offset > next {
		return nil, fmt.Errorf("memlog: open %s/%d at %d: %w: it holds 0 to %d", topic, partition, offset, eventlog.ErrOffsetOutOfRange, next-1)
	}
	p, err := l.store.partition(topic, partition)
	if err != nil {
		return nil, err
	}
	return &reader{log: l, partition: p, next: offset, closed: make(chan struct{})}, nil
}

// Close implements eventlog.Log. Reads that wait end with ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.usable(context.Background()) == nil {
		close(l.closed)
	}
	l.mu.Unlock()
	l.appending.Wait()
	return nil
}

func (l *Log) begin(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.usable(ctx)
	if err == nil {
		l.appending.Add(1)
	}
	return err
}

func (l *Log) usable(ctx context.Context) error {
	select {
	case <-l.closed:
		return eventlog.ErrClosed
	default:
		return ctx.Err()
	}
}

func cloneHeaders(headers []eventlog.Header) []eventlog.Header {
	var c []eventlog.Header
	for _, h := range headers {
		c = append(c, eventlog.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	return c
}
