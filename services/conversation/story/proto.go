package story

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Proto is the message that an interaction is read as. Its thread, that one's native id and the position are for who knows them.
func (i *Interaction) Proto() *conversationv1.Interaction {
	out := &conversationv1.Interaction{
		Id: i.ID().String(), Channel: i.Channel, Provider: i.Provider, Inbox: i.Inbox, Origin: i.origin(), Direction: i.Direction,
		Language: i.Language, Backfill: i.Backfill, LiveSince: stamp(i.LiveSince), CorrelationId: i.Correlation, Continues: text(i.Continues),
		State: conversationv1.InteractionState_INTERACTION_STATE_ACTIVE, Status: conversationv1.WorkStatus(i.Status()),
		StartedAt: stamp(i.StartedAt), EndedAt: stamp(i.EndedAt), EndReason: i.EndReason, ResolvedAt: stamp(i.ResolvedAt),
		Resolution: i.Resolution, ResolvedBy: i.ResolvedBy.proto(), Reopened: i.Reopened, ReopenedAt: stamp(i.ReopenedAt),
		ReopenUntil: stamp(i.ReopenUntil), LastActivityAt: stamp(i.LastActivity), CustomerSpokeAt: stamp(i.CustomerSpoke),
		AgentSpokeAt: stamp(i.AgentSpoke), WaitingSince: stamp(i.WaitingSince), FirstResponseAt: stamp(i.FirstResponse),
		MessagesIn: i.MessagesIn, MessagesOut: i.MessagesOut, Notes: i.Notes, Subject: i.Subject, Tags: i.Tags, Priority: i.Priority,
		ContactReason: i.Reasons, Disposition: i.Disposition, Complaint: i.Complaint,
		Queue: i.Queue, Agent: i.Agent(), Policy: i.Policy, IdleTimeout: span(i.IdleTimeout), ReopenWindow: span(i.ReopenWindow),
	}
	if i.EndedAt != 0 {
		out.State = conversationv1.InteractionState_INTERACTION_STATE_ENDED
	}
	if i.Status() == Snoozed {
		out.SnoozedUntil = stamp(i.SnoozedUntil)
	}
	if i.FirstResponse != 0 {
		out.FirstResponseTime = durationpb.New(time.Duration(i.FirstResponse - i.responseFrom()))
	}
	if len(i.Attributes) > 0 {
		out.Attributes = make(map[string]string, len(i.Attributes))
		for _, a := range i.Attributes {
			out.Attributes[a.Name] = a.Value
		}
	}
	for n := range i.Participants {
		p := &i.Participants[n]
		out.Participants = append(out.Participants, &conversationv1.Participant{
			EndpointId: text(p.Endpoint), Kind: p.Kind, Role: p.Role, Side: p.Side, Actor: p.Actor.proto(), JoinedAt: stamp(p.Joined),
			LeftAt: stamp(p.Left), SupervisorMode: p.Mode,
		})
	}
	for n := range i.Visits {
		out.Visits = append(out.Visits, i.Visits[n].proto())
	}
	for n := range i.Shares {
		out.Assignments = append(out.Assignments, i.Shares[n].proto())
	}
	if b := i.Bot; b.Started != 0 {
		out.Bot = &conversationv1.BotShare{
			Bot: b.Name, StartedAt: stamp(b.Started), HandedOffAt: stamp(b.HandedOff), EndedAt: stamp(b.Ended), Contained: b.Contained,
		}
	}
	for _, s := range i.SLAs {
		out.Slas = append(out.Slas, &conversationv1.Sla{
			Metric: s.Metric, State: conversationv1.SlaState(s.State), Target: span(s.Target), Since: stamp(s.Since), DueAt: stamp(s.Due),
			DoneAt: stamp(s.Done), ArmedBy: text(s.ArmedBy),
		})
	}
	return out
}

// origin is the one that was stated, else what the direction tells.
func (i *Interaction) origin() eventv1.Origin {
	if i.Origin != eventv1.Origin_ORIGIN_UNSPECIFIED {
		return i.Origin
	}
	switch i.Direction {
	case eventv1.Direction_DIRECTION_INBOUND:
		return eventv1.Origin_ORIGIN_INBOUND
	case eventv1.Direction_DIRECTION_OUTBOUND:
		return eventv1.Origin_ORIGIN_OUTBOUND
	case eventv1.Direction_DIRECTION_INTERNAL:
		return eventv1.Origin_ORIGIN_INTERNAL
	case eventv1.Direction_DIRECTION_UNSPECIFIED:
	}
	return eventv1.Origin_ORIGIN_UNSPECIFIED
}

func (v *Visit) proto() *conversationv1.QueueVisit {
	return &conversationv1.QueueVisit{
		Id: v.ID.String(), Queue: v.Queue, EnteredAt: stamp(v.Entered), LeftAt: stamp(v.Left), Outcome: v.Outcome, Target: v.Target,
		SlaTarget: span(v.SLATarget), Priority: v.Priority, Skills: v.Skills, Agent: v.Agent,
	}
}

func (s *Share) proto() *conversationv1.Assignment {
	return &conversationv1.Assignment{
		Id: s.ID.String(), Agent: s.Agent, VisitId: text(s.Visit), Queue: s.Queue, Origin: s.Origin, OfferedAt: stamp(s.Offered),
		DeclinedAt: stamp(s.Declined), DeclineReason: s.Decline, AcceptedAt: stamp(s.Accepted), ConnectedAt: stamp(s.Connected),
		HoldTime: span(s.HoldTime), Holds: s.Holds, HeldSince: stamp(s.HeldSince), PauseTime: span(s.PauseTime),
		PausedSince: stamp(s.PausedSince), EndedAt: stamp(s.Ended), EndReason: s.Reason, WrapupStartedAt: stamp(s.WrapupStarted),
		WrapupEndedAt: stamp(s.WrapupEnded), Disposition: s.Disposition, WrapupInferred: s.WrapupInferred,
		Held: stretches(s.Held, s.HeldSince), Paused: stretches(s.Paused, s.PausedSince),
	}
}

// stretches are those that are over and, where it is not 0, one that goes on: the last so many.
func stretches(over []Stretch, since int64) (out []*conversationv1.Stretch) {
	if since != 0 && len(over) == maxStretches {
		over = over[1:]
	}
	for _, s := range over {
		out = append(out, &conversationv1.Stretch{From: stamp(s.From), Until: stamp(s.Until)})
	}
	if since != 0 {
		out = append(out, &conversationv1.Stretch{From: stamp(since)})
	}
	return out
}

func (a Actor) proto() *eventv1.Actor {
	if a == (Actor{}) {
		return nil
	}
	return &eventv1.Actor{Kind: a.Kind, Id: a.ID}
}

func text(id event.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func stamp(nanos int64) *timestamppb.Timestamp {
	if nanos == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, nanos))
}

func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
