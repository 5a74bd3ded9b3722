package sink_test

import (
	"fmt"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func text(text string) func(*eventv1.Content) {
	return func(c *eventv1.Content) {
		c.Body = &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}
	}
}

// story publishes so many messages in several threads, some of them twice, and an event of every other topic.
func (w *world) story(from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		e := happened(fmt.Sprintf("thread %d", i%4), fmt.Sprint(i), event.TypeMessageReceived, text("hello"))
		w.publish(e)
		if i%5 == 0 {
			w.publish(e)
			e.Digest = []byte("another")
			w.publish(e)
		}
		if i%7 == 0 {
			w.append(event.TopicInteractions, "nonsense", []byte("nonsense"))
		}
	}
	for _, typ := range []string{event.TypeAgentHeartbeat, event.TypeEndpointLinked, event.TypeDirectoryUpdated, event.TypeAlertRaised} {
		w.publish(happened("other", fmt.Sprint(typ, from), typ, nil))
	}
}

func TestEveryEventIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	w.story(0, 40)
	w.run(w.config())
	w.check()
	w.story(30, 60) // some came before, in another batch and another life
	w.run(w.config())
	w.check()
	if got := len(w.shelf.rows("messages")); got != 60 {
		t.Errorf("%d messages instead of 60", got)
	}
}
