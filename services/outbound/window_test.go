package outbound_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/outbound"
)

// A provider's window counts from the customer's last message in the thread, whatever else has happened there since.
func TestASenderKnowsWhenTheCustomerLastWrote(t *testing.T) {
	for name, c := range map[string]struct {
		wrote []time.Duration // how long ago
		code  string
	}{
		"long ago, and an hour ago": {[]time.Duration{90 * time.Hour, time.Hour}, ""},
		"two days ago":              {[]time.Duration{48 * time.Hour}, channel.CodeWindowClosed},
		"never":                     {nil, channel.CodeWindowClosed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, ago := range c.wrote {
				w.submit(&eventv1.Submission{
					Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_SMS, Provider: "pager", Inbox: desk, Thread: "t", NativeId: string(rune('a' + i)),
					OccurredAt: timestamppb.New(w.clock.now().Add(-ago)),
					Content:    &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello"}}},
				})
			}
			cfg := w.config(outbound.Inbox{Tenant: tenant, ID: desk, Sender: senderFunc(func(_ context.Context, out channel.Outgoing) (channel.Sent, error) {
				return channel.Sent{NativeID: "P1"}, out.Within(24*time.Hour, w.clock.now(), "send a template")
			})})
			cfg.Threads = threads{w}
			w.start(cfg)
			got := w.outcome(w.ask("t", "1", "Still there?"))
			if code := got.content.GetMessageFailed().GetCode(); code != c.code || (code == "") != (got.GetType() == event.TypeMessageSent) {
				t.Errorf("%s %v", got.GetType(), got.content)
			}
		})
	}
}
