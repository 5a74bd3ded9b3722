// Package eventload streams numbered events into a Skein that crashes, breaks and moves meanwhile, and then proves that each
// of them stands in the timelines once.
package eventload

import (
	"fmt"
	"strconv"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Load is a number of events, the same at every call: event n belongs to customer n modulo Customers, in one thread each.
type Load struct {
	// Name tells one load from another in the same log.
	Name string
	// Events and Customers are how many there are.
	Events, Customers int
}

// Address is a customer's.
func (l Load) Address(customer int) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprintf("%s-%d", l.Name, customer)}
}

// submission is event n.
func (l Load) submission(n int) *eventv1.Submission {
	customer := n % l.Customers
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "eventload", Inbox: "web", Thread: fmt.Sprintf("%s-%d", l.Name, customer), NativeId: strconv.Itoa(n),
		Parties: []*eventv1.SubmittedParty{
			{Address: l.Address(customer), Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER},
			{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "web@acme.example"}, Side: eventv1.Side_SIDE_COMPANY},
		},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Text: fmt.Sprintf("Line %d of a chat, about as long as people write them when they ask for something.", n),
		}}},
	}
}
