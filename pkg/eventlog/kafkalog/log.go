// Package kafkalog is the log on a Kafka cluster, or on anything that speaks Kafka's protocol.
//
// It appends with acks=all, several messages in a request and one request at a time to each partition, so that the order
// within a partition holds when requests are repeated. It reads partitions from the offsets it is given; it never uses a
// consumer group, a committed offset or a reset policy, and never skips a record. It creates topics, and never changes or
// deletes one.
package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/semaphore"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// Log is an eventlog.Log on a Kafka cluster.
type Log struct {
	cfg      Config
	dial     func(topics ...string) *kafka.Client
	client   atomic.Pointer[kafka.Client]
	inFlight *semaphore.Weighted
	asking   *semaphore.Weighted

	closing context.Context // ends when Close begins: nobody waits for room any more
	close   context.CancelFunc

	mu     sync.RWMutex
	closed bool
	topics map[string][]*partition

	writers sync.WaitGroup
	life    context.Context // of readers and connections; ends when Close ends
	stop    context.CancelFunc
}

var _ eventlog.Log = (*Log)(nil)

// Open connects to a cluster. ErrUnavailable names the brokers that did not answer.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, inFlight: semaphore.NewWeighted(cfg.MaxInFlightBytes), asking: semaphore.NewWeighted(askAtOnce), topics: make(map[string][]*partition)}
	l.closing, l.close = context.WithCancel(context.WithoutCancel(ctx))
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.life, l.stop = life, stop
	if l.dial, err = cfg.dialer(life); err != nil {
		return nil, err
	}
	l.client.Store(l.dial())
	err = l.retry(ctx, fmt.Sprintf("connect to %v", cfg.Brokers), time.Now().Add(cfg.Patience), func(ctx context.Context, client *kafka.Client) error {
		_, err := client.Metadata(ctx, &kafka.MetadataRequest{})
		return err
	})
	if err != nil {
		_ = l.Close() // nothing was handed over yet
		return nil, err
	}
	return l, nil
}

// Close implements eventlog.Log. While the cluster does not answer, it takes as long as appends are tried again: their
// Timeout since they were handed over.
func (l *Log) Close() error {
	l.close()
	l.mu.Lock()
	l.closed = true
	for _, partitions := range l.topics {
		for _, p := range partitions {
			p.close()
		}
	}
	l.mu.Unlock()
	l.writers.Wait()
	l.stop()
	release(l.client.Load())
	return nil
}

// Partitions implements eventlog.Log.
func (l *Log) Partitions(ctx context.Context, topic string) (int, error) {
	partitions, err := l.partitions(ctx, topic)
	return len(partitions), err
}

// Bounds implements eventlog.Log.
func (l *Log) Bounds(ctx context.Context, topic string, partition int32) (first, next int64, err error) {
	if _, err := l.partition(ctx, topic, partition); err != nil {
		return 0, 0, err
	}
	what := fmt.Sprintf("bounds of %s/%d", topic, partition)
	if err := l.asking.Acquire(ctx, 1); err != nil {
		return 0, 0, fmt.Errorf("kafkalog: %s: %w", what, err)
	}
	defer l.asking.Release(1)
	return l.bounds(ctx, l.soon(), what, topic, partition)
}

// bounds asks the partition's leader.
func (l *Log) bounds(ctx context.Context, deadline time.Time, what, topic string, partition int32) (first, next int64, err error) {
	err = l.retry(ctx, what, deadline, func(ctx context.Context, client *kafka.Client) error {
		res, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
			topic: {kafka.FirstOffsetOf(int(partition)), kafka.LastOffsetOf(int(partition))},
		}})
		if err != nil {
			return err
		}
		offsets := res.Topics[topic]
		if len(offsets) != 1 {
			return kafka.UnknownTopicOrPartition
		}
		first, next = offsets[0].FirstOffset, offsets[0].LastOffset
		return offsets[0].Error
	})
	return first, next, err
}

// partitions are those of a topic. Their number is asked for once, since it never changes.
func (l *Log) partitions(ctx context.Context, topic string) ([]*partition, error) {
	l.mu.RLock()
	partitions, closed := l.topics[topic], l.closed
	l.mu.RUnlock()
	switch {
	case closed:
		return nil, fmt.Errorf("kafkalog: topic %q: %w", topic, eventlog.ErrClosed)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("kafkalog: topic %q: %w", topic, ctx.Err())
	case partitions != nil:
		return partitions, nil
	}
	found, err := l.describe(ctx, l.soon(), topic)
	if err != nil {
		return nil, err
	}
	if found[topic] == 0 {
		return nil, fmt.Errorf("kafkalog: topic %q: %w", topic, eventlog.ErrUnknownTopic)
	}
	return l.learn(topic, found[topic])
}

func (l *Log) partition(ctx context.Context, topic string, number int32) (*partition, error) {
	partitions, err := l.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	if number < 0 || int(number) >= len(partitions) {
		return nil, fmt.Errorf("kafkalog: topic %q, partition %d of %d: %w", topic, number, len(partitions), eventlog.ErrUnknownTopic)
	}
	return partitions[number], nil
}

// learn remembers how many partitions a topic has.
func (l *Log) learn(topic string, n int) ([]*partition, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("kafkalog: topic %q: %w", topic, eventlog.ErrClosed)
	}
	if _, known := l.topics[topic]; !known {
		partitions := make([]*partition, n)
		for i := range partitions {
			partitions[i] = newPartition(l, topic, int32(i))
		}
		l.topics[topic] = partitions
	}
	return l.topics[topic], nil
}

// describe counts the partitions of topics that exist. It asks the cluster, not the pool, which may know of a topic
// seconds after its creation only.
func (l *Log) describe(ctx context.Context, deadline time.Time, topics ...string) (map[string]int, error) {
	found := make(map[string]int)
	err := l.retry(ctx, fmt.Sprintf("describe %v", topics), deadline, func(ctx context.Context, _ *kafka.Client) error {
		client := l.dial(topics...)
		defer release(client)
		res, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
		if err != nil {
			return err
		}
		clear(found)
		for _, t := range res.Topics {
			switch {
			case len(t.Partitions) > 0:
				found[t.Name] = len(t.Partitions)
			case t.Error != nil && !errors.Is(t.Error, kafka.UnknownTopicOrPartition):
				return t.Error
			}
		}
		return nil
	})
	return found, err
}

func (l *Log) soon() time.Time { return time.Now().Add(min(askTimeout, l.cfg.Timeout)) }
