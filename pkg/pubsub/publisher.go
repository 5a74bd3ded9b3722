package pubsub

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// Publisher is a Watermill Publisher on the log. It is safe for concurrent use.
type Publisher struct {
	log eventlog.Appender

	mu     sync.RWMutex // held for reading by each call of Publish
	closed bool
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher publishes to a log, which it does not close.
func NewPublisher(log eventlog.Appender) *Publisher { return &Publisher{log: log} }

// Publish implements message.Publisher. It returns when all messages are durable. On an error some of them may be. The
// first message's context bounds the call. PositionOf tells where a message stands then.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	if len(messages) == 0 {
		return nil
	}
	appended := make([]eventlog.Message, len(messages))
	for i, m := range messages {
		appended[i] = ToMessage(topic, m)
	}
	positions, err := eventlog.AppendAll(messages[0].Context(), p.log, appended)
	if err != nil {
		return fmt.Errorf("pubsub: publish %d messages to %q: %w", len(messages), topic, err)
	}
	for i, m := range messages {
		m.SetContext(context.WithValue(m.Context(), positionKey{}, positions[i]))
	}
	return nil
}

type positionKey struct{}

// PositionOf is where a message was published, by the context that Publish has given it. It is false for a message that
// was not published.
func PositionOf(ctx context.Context) (eventlog.Position, bool) {
	p, ok := ctx.Value(positionKey{}).(eventlog.Position)
	return p, ok
}

// Close implements message.Publisher. It waits for calls of Publish, which end when the log has answered or given up.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}
