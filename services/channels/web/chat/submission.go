package chat

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// provider names this channel in events.
	provider = "webchat"
	// retryAfter is when to send again, where nobody knows better.
	retryAfter = 2 * time.Second
)

// submission is the event of a frame that was checked.
func (in *incoming) submission(w *widget, who Claims) *eventv1.Submission {
	s := &eventv1.Submission{
		Channel: who.Platform.channel(), Provider: provider, Inbox: w.ID,
		Direction: eventv1.Direction_DIRECTION_INBOUND, Origin: eventv1.Origin_ORIGIN_INBOUND,
		Thread: who.Thread, NativeId: in.ID,
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: who.Visitor},
			Role:    eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
	}
	if who.Customer != "" {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: w.Logins, Value: who.Customer},
			Role:    eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER,
		})
	}
	if at, err := time.Parse(time.RFC3339, in.At); err == nil {
		s.OccurredAt = timestamppb.New(at)
	}
	in.told.fill(s, who)
	return s
}

// outcome is what became of a frame: one of them.
type outcome struct {
	ack     *ack
	problem *problem
}

// submit hands frames in that were checked, in their order, and tells what became of each.
func (c *Channel) submit(ctx context.Context, w *widget, who Claims, frames ...incoming) []outcome {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.limits.Submit)
	defer cancel()
	outcomes := make([]outcome, len(frames))
	submissions := make([]*eventv1.Submission, len(frames))
	for i := range frames {
		submissions[i] = frames[i].submission(w, who)
	}
	acks, err := c.host.Submit(ctx, who.Tenant, submissions...)
	var wrong *event.InvalidError
	if len(frames) > 1 && errors.As(err, &wrong) { // one of them; the others are fine
		for i, f := range frames {
			outcomes[i] = c.submit(ctx, w, who, f)[0]
		}
		return outcomes
	}
	for i, f := range frames {
		if err == nil {
			outcomes[i].ack = &ack{Type: "ack", ID: f.ID, Event: acks[i].EventID, Position: positionOf(acks[i].Position)}
		} else {
			outcomes[i].problem = c.refusal(ctx, err)
			outcomes[i].problem.ID = f.ID
		}
		c.metrics.message(outcomes[i], begin)
	}
	return outcomes
}

// refusal tells a client why something was not taken.
func (c *Channel) refusal(ctx context.Context, err error) *problem {
	var wrong *event.InvalidError
	var later interface{ RetryAfter() time.Duration }
	after := retryAfter
	switch {
	case errors.As(err, &later):
		after = later.RetryAfter()
	case errors.Is(err, channel.ErrRetry), ctx.Err() != nil:
		c.log.Warn("what a client sent cannot be stored now: it will send it again", "error", err)
	case errors.As(err, &wrong):
		return invalid("", wrong.Error())
	default:
		c.log.Error("what a client sent cannot be stored", "error", err)
		return invalid("", "it cannot be stored: shorten it, or ask the operator")
	}
	return unavailable("it cannot be stored now: send it again after retry_after seconds", after)
}
