package demo

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Colleague is an agent or a bot of the company's.
type Colleague struct {
	Kind eventv1.ActorKind
	// ID is the one in the company's directory, and Name what the visitor sees.
	ID, Name string
}

// answer publishes what a colleague says in a chat, as an agent desktop or a bot does, and waits until the log has pushed it
// to the visitor.
func (p *Player) answer(ctx context.Context, s Scene) error {
	socket, err := p.socket(ctx, s.Line.Visit)
	if err != nil {
		return err
	}
	if err := p.publish(ctx, s.Submission()); err != nil {
		return err
	}
	return socket.hear(ctx, "event", s.ID)
}

// Submission is the answer as it is published.
func (s Scene) Submission() *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageSent, OccurredAt: timestamppb.New(s.At),
		Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_OUTBOUND, Provider: "demo",
		Inbox: Widget, Thread: s.Line.Thread, NativeId: s.ID,
		Parties: []*eventv1.SubmittedParty{
			{Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_COMPANY, DisplayName: s.Line.By.Name},
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: s.Line.Visitor},
				Role:    eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_CUSTOMER,
			},
		},
		Actor:   &eventv1.SubmittedActor{Kind: s.Line.By.Kind, Id: s.Line.By.ID},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: s.Line.Text}}},
	}
}
