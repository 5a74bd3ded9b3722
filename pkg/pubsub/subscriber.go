package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// Config is what a Subscriber works with. Only Log must be set.
type Config struct {
	Log eventlog.Log
	// Group is the name of the consumer group: its subscribers share a topic's messages. Without one, each subscription
	// gets all messages, from the first one on, each time.
	Group string
	// Groups is how the members of Group find one another. It is needed where Group is set.
	Groups eventlog.Groups
	// Offsets, where set, says where to begin and is told how far deliveries have come, with or without a group. The
	// group's own offsets then serve lag dashboards only.
	Offsets Offsets
	// Want, where set, says which records are delivered; the others count as done. It saves a message of which the handler
	// would only say that it does not care. It is called from several goroutines.
	Want func(eventlog.Record) bool
	// FirstPause is how long a message waits after it was rejected until it comes again, and LastPause how long at most,
	// while it is rejected again and again and the pause doubles. 100 ms and 30 s unless set.
	FirstPause, LastPause time.Duration
	// Drain is how long a message that is under way when its partition is given up, its subscription ends or the
	// Subscriber is closed may still be acknowledged before its context ends, and as long again before it is left to
	// itself, so that it comes again. 2 s unless set; negative for not at all.
	Drain time.Duration
	// CloseTimeout bounds Close. 30 s unless set.
	CloseTimeout time.Duration
	// Partitions is how many partitions SubscribeInitialize gives a topic that is missing. 8 unless set.
	Partitions int
	// Logger is told of what is tried again. Nothing is logged unless it is set.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil {
		return c, errors.New("pubsub: a subscriber needs a log")
	}
	if c.Group != "" && c.Groups == nil {
		return c, fmt.Errorf("pubsub: the group %q needs Groups", c.Group)
	}
	if c.FirstPause == 0 {
		c.FirstPause = 100 * time.Millisecond
	}
	if c.LastPause == 0 {
		c.LastPause = 30 * time.Second
	}
	if c.Drain == 0 {
		c.Drain = 2 * time.Second
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = 30 * time.Second
	}
	if c.Partitions == 0 {
		c.Partitions = 8
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Group != "" {
		c.Logger = c.Logger.With("group", c.Group)
	}
	return c, nil
}

// Subscriber is a Watermill Subscriber on the log. It is safe for concurrent use.
type Subscriber struct {
	cfg     Config
	closing context.Context
	end     context.CancelFunc

	mu            sync.Mutex
	subscriptions sync.WaitGroup // is added to under mu, while closing has not ended
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

// NewSubscriber subscribes to topics of a log, which it does not close; the log must be closed after it.
func NewSubscriber(cfg Config) (*Subscriber, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Subscriber{cfg: cfg}
	s.closing, s.end = context.WithCancel(context.Background())
	return s, nil
}

// SubscribeInitialize implements message.SubscribeInitializer: it creates a topic that is missing, to be kept for ever.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	_, err := s.cfg.Log.Partitions(s.closing, topic)
	if errors.Is(err, eventlog.ErrUnknownTopic) {
		err = s.cfg.Log.EnsureTopics(s.closing, eventlog.Topic{Name: topic, Partitions: s.cfg.Partitions})
	}
	if err != nil {
		return fmt.Errorf("pubsub: initialise %q: %w", topic, err)
	}
	return nil
}

// Subscribe implements message.Subscriber. The topic must exist. The log's failures are waited out. RecordOf gives the
// record of a message.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	n, err := s.cfg.Log.Partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("pubsub: subscribe to %q: %w", topic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil {
		return nil, ErrClosed
	}
	sub := &subscription{
		Config: s.cfg, topic: topic, partitions: n, values: context.WithoutCancel(ctx), out: make(chan *message.Message),
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel) //nolint:contextcheck // the second of two contexts
	s.subscriptions.Go(func() {
		defer close(sub.out)
		defer stop()
		defer cancel()
		sub.run(ctx)
	})
	return sub.out, nil
}

// Close implements message.Subscriber. It waits until messages under way have ended and groups were left.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.subscriptions.Wait()
		close(ended)
	}()
	timeout := time.NewTimer(s.cfg.CloseTimeout)
	defer timeout.Stop()
	select {
	case <-ended:
		return nil
	case <-timeout.C:
		return fmt.Errorf("pubsub: close: subscriptions have not ended within %s", s.cfg.CloseTimeout)
	}
}

// subscription is one call of Subscribe.
type subscription struct {
	Config
	topic      string
	partitions int
	values     context.Context // of the messages; never ends
	out        chan *message.Message
}

// run delivers until ctx ends.
func (s *subscription) run(ctx context.Context) {
	if s.Group != "" {
		if err := s.Groups.Join(ctx, s.Group, s.topic, s.own); err != nil {
			s.Logger.ErrorContext(ctx, "the subscription ended", "topic", s.topic, "error", err)
		}
		return
	}
	var owners sync.WaitGroup
	for i := range s.partitions {
		owners.Go(func() {
			for ctx.Err() == nil {
				s.own(ctx, eventlog.Claim{Partition: int32(i), Next: -1})
			}
		})
	}
	owners.Wait()
}
