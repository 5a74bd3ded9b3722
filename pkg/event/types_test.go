package event_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestEachTypeHasABodyOfItsNameAndEachBodyAType(t *testing.T) {
	bodies := (&eventv1.Content{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	unclaimed := map[string]bool{}
	for i := range bodies.Len() {
		unclaimed[string(bodies.Get(i).Name())] = true
	}
	for _, typ := range event.Types() {
		if want := strings.ReplaceAll(typ.Name, ".", "_"); typ.Body != want || !unclaimed[want] {
			t.Errorf("%s has the body %s", typ.Name, typ.Body)
		}
		delete(unclaimed, typ.Body)
		if typ.Group == "" || typ.Description == "" {
			t.Errorf("%s is not described", typ.Name)
		}
		if topic, ok := event.TopicOf(typ.Name); !ok || topic != typ.Topic {
			t.Errorf("%s is of %s, but in %s", typ.Name, typ.Topic, topic)
		}
	}
	delete(unclaimed, "extension")
	if len(unclaimed) > 0 {
		t.Errorf("bodies without a type: %v", unclaimed)
	}
}

func TestTheTopicFollowsFromTheType(t *testing.T) {
	for typ, want := range map[string]string{
		event.TypeMessageReceived:       event.TopicInteractions,
		event.TypeAgentHeartbeat:        event.TopicAgents,
		event.TypeThreadJoined:          event.TopicLinks,
		event.TypeInteractionAttributed: event.TopicLinks,
		event.TypeDirectoryUpdated:      event.TopicDirectory,
		"ext.acme.voice_of_customer":    event.TopicInteractions,
		"ext.acme.a.b-2":                event.TopicInteractions,
	} {
		if got, ok := event.TopicOf(typ); !ok || got != want {
			t.Errorf("%s is in %q, want %q", typ, got, want)
		}
	}
	for _, typ := range []string{"", "message", "message.invented", "ext", "ext.", "ext.acme", "ext.acme.", "ext..x", "ext.acme.X", "ext.acme._x", "ext.acme.x y", "next.acme.x"} {
		if topic, ok := event.TopicOf(typ); ok {
			t.Errorf("%q is in %q", typ, topic)
		}
	}
}
