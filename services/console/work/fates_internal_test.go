package work

import (
	"strings"
	"testing"

	"github.com/a-h/templ"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/web"
)

// outgoingEntry is an event about a message of the company's in a chat.
func outgoingEntry(id, causation string, c *eventv1.Content) *timelinev1.Entry {
	return &timelinev1.Entry{
		Event: &eventv1.Event{
			Id: id, CausationId: causation, OccurredAt: timestamppb.Now(), ReceivedAt: timestamppb.Now(), Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE,
			Direction: eventv1.Direction_DIRECTION_OUTBOUND, Actor: &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "tom"},
		},
		Content: c,
	}
}

func TestWhatBecameOfAMessageStaysThoughTheRequestIsHeardOfLate(t *testing.T) {
	t.Parallel()
	request := outgoingEntry("request", "", &eventv1.Content{Body: &eventv1.Content_MessageSendRequested{MessageSendRequested: &eventv1.Message{Text: "Has it arrived?"}}})
	failed := outgoingEntry("failed", "request", &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{Reason: "too late"}}})
	sent := outgoingEntry("sent", "request", &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "Has it arrived?"}}})
	last := func(entries ...*timelinev1.Entry) string {
		t.Helper()
		var html strings.Builder
		told := &teller{}
		for _, e := range entries {
			html.Reset()
			err := told.tell(e, web.News{}, func(n web.News) error { return templ.Join(n.Parts...).Render(t.Context(), &html) })
			if err != nil {
				t.Fatal(err)
			}
		}
		return html.String()
	}
	if html := last(request); !strings.Contains(html, "Is being sent") || !strings.Contains(html, "Has it arrived?") {
		t.Errorf("a message that was asked for is %s", html)
	}
	if html := last(request, failed, request); !strings.Contains(html, "Not sent") || strings.Contains(html, "Is being sent") {
		t.Errorf("a message that was not sent is %s", html)
	}
	if html := last(request, sent, request); html != "" {
		t.Errorf("a request that became a message is shown again: %s", html)
	}
}
