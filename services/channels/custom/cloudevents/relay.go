package cloudevents

import (
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// relaySource begins the sources of Skein's own events: /skein/<tenant>/<inbox>.
	relaySource = "/skein/"
	// relayProvider marks what came in from another Skein. It must not come in a second time.
	relayProvider = "skein"
	skeinPrefix   = "skein."
)

// relayed makes an event that another Skein has handed out one of this one's.
func (in *Inbox) relayed(e parsed) (*eventv1.Submission, []event.Violation) {
	a := &attributes{values: e.Extensions()}
	typ := strings.TrimPrefix(e.Type(), skeinPrefix)
	if a.text("provider") == relayProvider || ofThere(typ) {
		return nil, nil
	}
	s := &eventv1.Submission{
		Type: typ, OccurredAt: occurredAt(e), Provider: relayProvider, Discriminator: e.discriminator(),
		Channel:       eventv1.Channel(a.word("channel", eventv1.Channel(0).Descriptor())),
		Direction:     eventv1.Direction(a.word("direction", eventv1.Direction(0).Descriptor())),
		Origin:        eventv1.Origin(a.word("origin", eventv1.Origin(0).Descriptor())),
		Actor:         relayedActor(a),
		Queue:         a.text("queue"),
		Interaction:   a.text("interactionid"),
		Visit:         a.text("visitid"),
		Assignment:    a.text("assignmentid"),
		Language:      a.text("language"),
		CorrelationId: a.text("correlationid"),
		Backfill:      a.text("backfill") == "true",
	}
	if _, known := event.TopicOf(typ); len(e.Data()) == 0 || !known {
		s.Type, s.Thread, s.NativeId = foreignType(relayProvider, typ), e.Source()+"/"+e.Subject(), e.ID()
		data, err := whole(e)
		if err != nil {
			a.fail("data", err.Error())
		}
		s.Content = extension(data)
		return s, a.wrong
	}
	content := &eventv1.Content{}
	if reason := decode(e, content); reason != "" {
		a.fail("data", reason)
		return nil, a.wrong
	}
	if content.GetNativeThread() == "" {
		a.fail("data.nativeThread", "is missing")
	}
	if content.GetNativeId() == "" {
		a.fail("data.nativeId", "is missing")
	}
	s.Thread, s.NativeId = e.Source()+"/"+content.GetNativeThread(), content.GetNativeId()
	s.Parties = relayedParties(a, content.GetParties())
	s.Content = here(content, e.Source())
	return s, a.wrong
}

// ofThere tells whether a type has a meaning in the other Skein only.
func ofThere(typ string) bool {
	switch typ {
	case event.TypeThreadJoined, event.TypeConsentChanged, event.TypeIdentityAsserted, event.TypeCustomerAttributesUpdated, event.TypeCustomerFactRecorded:
		return false
	case event.TypeInteractionPolicySet, event.TypeMessageSendRequested, event.TypeTimerFired, event.TypeAttachmentStored, event.TypeAttachmentFailed:
		return true
	}
	topic, _ := event.TopicOf(typ)
	return topic == event.TopicLinks || topic == event.TopicDirectory || topic == event.TopicAlerts
}

// relayedActor is who acted. A customer's id means nothing here; the first customer party acts.
func relayedActor(a *attributes) *eventv1.SubmittedActor {
	if a.text("actorkind") == "" || a.text("actorkind") == "unspecified" {
		return nil
	}
	actor := &eventv1.SubmittedActor{Kind: eventv1.ActorKind(a.word("actorkind", eventv1.ActorKind(0).Descriptor())), Id: a.text("actorid")}
	if actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_CUSTOMER {
		actor.Id = ""
	}
	return actor
}

// relayedParties puts the parties together again: kind, role and side stand in an attribute, addresses in the content.
func relayedParties(a *attributes, details []*eventv1.PartyDetail) []*eventv1.SubmittedParty {
	text := a.text("parties")
	if text == "" {
		return nil
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		a.fail("parties", "is no list as JSON")
		return nil
	}
	var parties []*eventv1.SubmittedParty
	for i, p := range list {
		words := &attributes{values: p}
		word := func(name string, d protoreflect.EnumDescriptor) protoreflect.EnumNumber {
			if _, ok := p[name].(string); !ok {
				return 0
			}
			return words.word(name, d)
		}
		party := &eventv1.SubmittedParty{
			Role: eventv1.PartyRole(word("role", eventv1.PartyRole(0).Descriptor())),
			Side: eventv1.Side(word("side", eventv1.Side(0).Descriptor())),
		}
		kind := eventv1.EndpointKind(word("kind", eventv1.EndpointKind(0).Descriptor()))
		if i < len(details) {
			party.DisplayName = details[i].GetDisplayName()
			if details[i].GetAddress() != "" && kind != 0 {
				party.Address = event.Endpoint{Kind: kind, Namespace: details[i].GetNamespace(), Value: details[i].GetAddress()}.Address()
			}
		}
		if len(words.wrong) > 0 {
			a.fail("parties", words.wrong[0].Field+" "+words.wrong[0].Reason)
		}
		parties = append(parties, party)
	}
	return parties
}

// here makes a content one of this Skein: without what it fills in itself, and without files, which lie over there.
func here(c *eventv1.Content, source string) *eventv1.Content {
	c.Parties, c.NativeThread, c.NativeId, c.StatedAt, c.Original, c.Spilled = nil, "", "", nil, nil, nil
	for _, f := range c.GetAttachments() {
		if f.GetMediaType() == "" {
			f.MediaType = f.GetBlob().GetMediaType()
		}
		f.Blob, f.Source = nil, ""
	}
	if joined := c.GetThreadJoined(); joined.GetParentThread() != "" {
		joined.ParentThread = source + "/" + joined.GetParentThread()
	}
	return c
}
