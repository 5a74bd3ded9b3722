package chat

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// provider names this channel in events.
	provider = "webchat"
	// maxText is how many characters a message may have.
	maxText = 10_000
	// retryAfter is when to send again, where nobody knows better.
	retryAfter = 2 * time.Second
)

// check tells what is wrong with a message, for good.
func (m *message) check() *problem {
	if !isID(m.ID) {
		return invalid("", "id", "1 to 64 letters, digits, \"_\" and \"-\" are needed: make a random one for each message, and keep it when you send again")
	}
	if strings.TrimSpace(m.Text) == "" {
		return invalid(m.ID, "text", "there is no text")
	}
	if utf8.RuneCountInString(m.Text) > maxText {
		return invalid(m.ID, "text", "longer than 10,000 characters: send it in parts")
	}
	if at, err := time.Parse(time.RFC3339, m.At); m.At != "" && (err != nil || timestamppb.New(at).CheckValid() != nil) {
		return invalid(m.ID, "at", "not a time as in RFC 3339, such as 2026-03-01T12:00:00.5Z: send one, or leave it out")
	}
	return nil
}

// submission is the event of a message that was checked.
func (m *message) submission(w *widget, who Claims) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Provider: provider, Inbox: w.ID,
		Direction: eventv1.Direction_DIRECTION_INBOUND, Origin: eventv1.Origin_ORIGIN_INBOUND,
		Thread: who.Thread, NativeId: m.ID,
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: who.Visitor},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: m.Text}}},
	}
	if who.Customer != "" {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: w.Logins, Value: who.Customer},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		})
	}
	if at, err := time.Parse(time.RFC3339, m.At); err == nil {
		s.OccurredAt = timestamppb.New(at)
	}
	return s
}

// outcome is what became of a message: one of them.
type outcome struct {
	ack     *ack
	problem *problem
}

// submit hands messages in, in their order, and tells what became of each.
func (c *Channel) submit(ctx context.Context, w *widget, who Claims, messages ...message) []outcome {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.limits.Submit)
	defer cancel()
	outcomes := make([]outcome, len(messages))
	submissions := make([]*eventv1.Submission, len(messages))
	for i := range messages {
		submissions[i] = messages[i].submission(w, who)
	}
	acks, err := c.host.Submit(ctx, who.Tenant, submissions...)
	var wrong *event.InvalidError
	if len(messages) > 1 && errors.As(err, &wrong) { // one of them; the others are fine
		for i, m := range messages {
			outcomes[i] = c.submit(ctx, w, who, m)[0]
		}
		return outcomes
	}
	for i, m := range messages {
		if err == nil {
			outcomes[i].ack = &ack{Type: "ack", ID: m.ID, Event: acks[i].EventID, Position: positionOf(acks[i].Position)}
		} else {
			outcomes[i].problem = c.refusal(ctx, m.ID, err)
		}
		c.metrics.message(outcomes[i], begin)
	}
	return outcomes
}

// refusal tells a client why a message was not taken.
func (c *Channel) refusal(ctx context.Context, id string, err error) *problem {
	var wrong *event.InvalidError
	var later interface{ RetryAfter() time.Duration }
	after := retryAfter
	switch {
	case errors.As(err, &later):
		after = later.RetryAfter()
	case errors.Is(err, channel.ErrRetry), ctx.Err() != nil:
		c.log.Warn("a message cannot be stored now: its client will send it again", "error", err)
	case errors.As(err, &wrong):
		return invalid(id, "", wrong.Error())
	default:
		c.log.Error("a message cannot be stored", "error", err)
		return invalid(id, "", "the message cannot be stored: shorten it, or ask the operator")
	}
	p := unavailable("the message cannot be stored now: send it again after retry_after seconds", after)
	p.ID = id
	return p
}
