package webhooks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"
)

func TestAMessageThatWaitsForItsTurnEndsWithItsContext(t *testing.T) {
	w := &worker{pace: rate.NewLimiter(rate.Every(time.Hour), 1)}
	called := 0
	handle := w.throttle(func(*message.Message) ([]*message.Message, error) {
		called++
		return nil, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	m := message.NewMessageWithContext(ctx, "id", nil)
	if _, err := handle(m); err != nil {
		t.Errorf("the first one: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := handle(m)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || called != 1 {
		t.Errorf("the second one: %v, %d calls", err, called)
	}
}
