package linker

import (
	"bytes"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// inbox and provider stand in the events that the linker publishes; the inbox is part of their ids.
const (
	inbox    = "linker"
	provider = "skein"
)

// request asks for a link. All of it derives from the rule and from what it joins, so that the same request is the same event, whichever
// event gave rise to it.
type request struct {
	rule string
	// pair names what is joined, and with the rule the request.
	pair    string
	kind    string // type of the event
	content *eventv1.Content
	parties []*eventv1.SubmittedParty
}

// submission is the request as an event. It names no cause: another event may give rise to the same request.
func (q *request) submission(r *record) *eventv1.Submission {
	return &eventv1.Submission{
		Type: q.kind, Direction: eventv1.Direction_DIRECTION_INTERNAL, Provider: provider, Inbox: inbox, Thread: q.rule, NativeId: q.pair,
		Parties: q.parties, Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: inbox},
		Backfill: r.GetBackfill(), Content: q.content,
	}
}

// conversation asks that two interactions or threads are about one matter.
func conversation(rule, reason string, a, b event.ID) request {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return request{
		rule: rule, pair: pair(a, b), kind: event.TypeConversationLinked,
		content: &eventv1.Content{Body: &eventv1.Content_ConversationLinked{ConversationLinked: &eventv1.ConversationLinked{
			Members: []string{a.String(), b.String()}, Reason: reason, Automatic: true, Rule: rule,
		}}},
	}
}

// endpoint asks that an endpoint belongs to the customer of another one, the anchor.
func endpoint(rule, reason string, e, anchor named, limit uint32) request {
	return request{
		rule: rule, pair: pair(e.id, anchor.id), kind: event.TypeEndpointLinked,
		content: &eventv1.Content{Body: &eventv1.Content_EndpointLinked{EndpointLinked: &eventv1.EndpointLinked{
			EndpointId: e.id.String(), CustomerId: event.CustomerOf(anchor.id).String(), Kind: e.kind, Namespace: e.namespace,
			Reason: reason, Automatic: true, Rule: rule, Limit: limit,
		}}},
		parties: []*eventv1.SubmittedParty{e.party(), anchor.party()},
	}
}

func pair(a, b event.ID) string { return a.String() + "/" + b.String() }

// named is an endpoint with its normalised address.
type named struct {
	id               event.ID
	kind             eventv1.EndpointKind
	value, namespace string
}

func (n named) party() *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: n.kind, Value: n.value, Namespace: n.namespace}, Side: eventv1.Side_SIDE_CUSTOMER,
	}
}
