package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

// Handle gives a topic's records, those that cfg.Want wants, to a function until ctx ends: on Watermill's router, a record at a time of
// each partition, again while the function fails or panics. Name is the handler's, for logs.
func Handle(ctx context.Context, cfg Config, name, topic string, handle func(context.Context, eventlog.Record) error) error {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLoggerWithLevelMapping(logger, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelWarn, // a rejected message comes again
	}))
	if err != nil {
		return fmt.Errorf("pubsub: handle %q: %w", topic, err)
	}
	subscriber, err := NewSubscriber(cfg)
	if err != nil {
		return err
	}
	router.AddMiddleware(middleware.Recoverer)
	router.AddConsumerHandler(name, topic, subscriber, func(m *message.Message) error { //nolint:contextcheck // the message has it
		r, ok := RecordOf(m.Context())
		if !ok {
			return fmt.Errorf("pubsub: the message %q comes from no record", m.UUID)
		}
		return handle(kv.Job(m.Context()), r)
	})
	return errors.Join(router.Run(ctx), subscriber.Close())
}

// Backlog is what a topic held at one moment, such as when a process began. Until it is handled, what became of something that
// was handled may stand in the log unseen. It is safe for concurrent use.
type Backlog struct {
	offsets Offsets
	topic   string
	ends    map[int32]int64

	mu   sync.Mutex
	done map[int32]bool
}

// NewBacklog is what the topic holds now, for who keeps how far it has come in offsets.
func NewBacklog(ctx context.Context, log eventlog.Log, topic string, offsets Offsets) (*Backlog, error) {
	b := &Backlog{offsets: offsets, topic: topic, ends: map[int32]int64{}, done: map[int32]bool{}}
	n, err := log.Partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("pubsub: %w", err)
	}
	for p := range int32(n) {
		if _, b.ends[p], err = log.Bounds(ctx, topic, p); err != nil {
			return nil, fmt.Errorf("pubsub: %w", err)
		}
	}
	return b, nil
}

// End is the offset behind what a partition held.
func (b *Backlog) End(partition int32) int64 { return b.ends[partition] }

// Done tells whether everything that a partition held was handled.
func (b *Backlog) Done(ctx context.Context, partition int32) (bool, error) {
	b.mu.Lock()
	done := b.done[partition]
	b.mu.Unlock()
	if end := b.ends[partition]; done || end == 0 {
		return true, nil
	} else if next, _, err := b.offsets.Load(ctx, b.topic, partition); err != nil || next < end {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done[partition] = true
	return true, nil
}
