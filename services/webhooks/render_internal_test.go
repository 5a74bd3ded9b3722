package webhooks

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Whatever the log holds, an event is rendered or refused.
func FuzzRender(f *testing.F) {
	seed, err := event.Encode(&eventv1.Event{
		Id: "334b6b31-12a2-5bfc-bf4f-870c0954b343", Tenant: "acme", Type: event.TypeMessageReceived, OccurredAt: &timestamppb.Timestamp{},
		ReceivedAt: &timestamppb.Timestamp{}, ThreadId: "334b6b31-12a2-5bfc-bf4f-870c0954b343", Content: []byte("\x22\x01a"),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, true)
	f.Fuzz(func(t *testing.T, value []byte, includeContent bool) {
		e, err := event.Decode(value)
		if err != nil {
			return
		}
		before := proto.CloneOf(e)
		body, err := render(e, includeContent)
		if (err == nil) != (len(body) > 0) {
			t.Errorf("rendered %q, %v", body, err)
		}
		if !proto.Equal(e, before) {
			t.Error("rendering changed the event")
		}
	})
}
