package story

import (
	"slices"
	"strings"
	"time"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// nothing is the body of a fact that has none.
var nothing = &Body{} //nolint:gochecknoglobals // read only

// apply makes of an interaction what a fact of it tells. A fact from before its begin counts as at the begin.
func (i *Interaction) apply(f *Fact) {
	at := max(f.Occurred, i.StartedAt)
	body := f.Body
	if body == nil {
		body = nothing
	}
	i.describe(f)
	i.meet(f, body, at)
	lives := i.Backfill && f.Kind.acts() && !f.Backfill
	if lives {
		i.live(at)
	}
	if f.Kind.acts() {
		i.LastActivity, i.ActiveBy = at, f.ID
	}
	switch f.Kind {
	case Silent, Called, VoicemailLeft, FlowStep, FormSubmitted, TransferTried, CallbackRequested, CallbackTold, MessageChanged,
		SurveyAnswered, SendRequested, PartyJoined, PartyLeft, TimerFired, kinds:
	case Started:
		if i.Continues.IsZero() {
			i.Continues = body.Continues
		}
	case Ended:
		i.end(at, body)
	case StatusChanged:
		i.setStatus(f, body, at)
	case Resolved:
		i.resolve(f, body, at)
	case Reopened:
		i.reopened(at)
	case Categorized:
		i.categorize(body)
	case AttributesUpdated:
		i.update(body)
	case PolicySet:
		i.setPolicy(f, body, at)
	case NoteAdded:
		i.Notes++
	case BotStarted, BotHandedOff, BotEnded:
		i.bot(f, body, at)
	case QueueEntered:
		i.enterQueue(f, body, at)
	case QueueLeft:
		i.leaveQueue(f, body, at)
	case Offered, Declined, Accepted, Connected, Held, Unheld, Paused, Resumed, ShareEnded, WrapupStarted, WrapupEnded:
		i.share(f, body, at)
	case TransferCompleted:
		i.transfer(f, body, at)
	case Received:
		i.receive(f, at)
	case Sent:
		i.sent(f, at)
	}
	i.settle()
	if f.Kind == PolicySet || lives {
		i.elapse(f) // what is over already: what a policy finds missed, the after-call work of a history
	}
}

// live is that history goes on: from here on the clock counts, and nothing that counted in it.
func (i *Interaction) live(at int64) {
	i.Backfill, i.LiveSince = false, at
	if i.SnoozedUntil != 0 {
		i.SnoozedUntil = max(i.SnoozedUntil, at)
	}
	for n := range i.SLAs {
		if s := &i.SLAs[n]; s.State == SLAActive {
			s.State = SLACancelled
		}
	}
}

// describe takes what stands in the envelope, as stated first.
func (i *Interaction) describe(f *Fact) {
	first(&i.Channel, f.Channel)
	first(&i.Provider, f.Provider)
	first(&i.Inbox, f.Inbox)
	first(&i.Language, f.Language)
	first(&i.Correlation, f.Correlation)
	first(&i.Subject, f.Subject)
	first(&i.Queue, f.Queue)
	switch f.Kind {
	case Started, Called, Received, Sent, SendRequested, BotStarted, FormSubmitted, CallbackRequested, VoicemailLeft:
		first(&i.Origin, f.Origin)
		first(&i.Direction, f.Direction)
	default: // an assignment has an origin of its own
	}
}

// first sets what was not stated yet.
func first[T comparable](to *T, stated T) {
	var none T
	if *to == none {
		*to = stated
	}
}

// meet notes who takes part.
func (i *Interaction) meet(f *Fact, body *Body, at int64) {
	came := -1
	for _, p := range f.Parties {
		n := slices.IndexFunc(i.Participants, func(o Participant) bool {
			if p.Endpoint.IsZero() {
				return o.Endpoint.IsZero() && o.Actor == Actor{} && o.Role == p.Role && o.Side == p.Side
			}
			return o.Endpoint == p.Endpoint
		})
		if n < 0 {
			if n = i.join(Participant{Party: p, Joined: at}); n < 0 {
				continue
			}
		}
		if f.Kind == PartyJoined || f.Kind == PartyLeft {
			i.Participants[n].come(f.Kind, body, at)
			if p.Side == eventv1.Side_SIDE_COMPANY {
				came = n
			}
		}
	}
	switch f.Actor.Kind {
	case eventv1.ActorKind_ACTOR_KIND_AGENT, eventv1.ActorKind_ACTOR_KIND_BOT:
	default:
		return
	}
	if f.Actor.ID == "" {
		return
	}
	n := slices.IndexFunc(i.Participants, func(o Participant) bool { return o.Actor == f.Actor })
	switch {
	case n < 0 && came >= 0 && i.Participants[came].Actor == Actor{}:
		i.Participants[came].Actor = f.Actor
		return
	case n < 0:
		if n = i.join(Participant{Party: Party{Side: eventv1.Side_SIDE_COMPANY}, Actor: f.Actor, Joined: at}); n < 0 {
			return
		}
	}
	if (f.Kind == PartyJoined || f.Kind == PartyLeft) && len(f.Parties) == 0 {
		i.Participants[n].come(f.Kind, body, at)
	}
}

func (i *Interaction) join(p Participant) int {
	if len(i.Participants) == maxParticipants {
		return -1
	}
	i.Participants = append(i.Participants, p)
	return len(i.Participants) - 1
}

func (p *Participant) come(kind Kind, body *Body, at int64) {
	if kind == PartyLeft {
		p.Left = at
		return
	}
	p.Left = 0
	if body.Mode != eventv1.SupervisorMode_SUPERVISOR_MODE_UNSPECIFIED {
		p.Mode, p.Role = body.Mode, eventv1.PartyRole_PARTY_ROLE_SUPERVISOR
	}
}

// end ends the media. What is told of an end that was told before changes nothing, but the reason where none was given.
func (i *Interaction) end(at int64, body *Body) {
	if i.EndedAt == 0 {
		i.EndedAt, i.ReopenUntil = at, max(i.ReopenUntil, reopenUntil(at, body.Window))
		i.closeParts(at, body.Reason)
	}
	first(&i.EndReason, body.Reason)
}

func reopenUntil(at int64, window time.Duration) int64 {
	if window <= 0 {
		return 0
	}
	return later(at, window)
}

// closeParts ends what goes on inside of an interaction that is over.
func (i *Interaction) closeParts(at int64, reason eventv1.EndReason) {
	for n := range i.Visits {
		if v := &i.Visits[n]; v.Left == 0 {
			v.Left, v.Outcome, v.Inferred = at, eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED, true
		}
	}
	for n := range i.Shares {
		switch s := &i.Shares[n]; {
		case !s.open():
		case s.Accepted == 0 && s.Connected == 0 && s.Offered != 0:
			s.Declined, s.Decline, s.Inferred = at, eventv1.DeclineReason_DECLINE_REASON_CANCELLED, true
		default:
			s.end(at, reason)
			s.Inferred = true
		}
	}
	if i.Bot.Started != 0 && i.Bot.Ended == 0 {
		if i.Bot.Ended = i.Bot.HandedOff; i.Bot.Ended == 0 {
			i.Bot.Ended = at
		}
	}
}

// setStatus states one explicitly. What was resolved is so no more.
func (i *Interaction) setStatus(f *Fact, body *Body, at int64) {
	if body.Status < eventv1.InteractionStatus_INTERACTION_STATUS_OPEN || body.Status > eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED {
		return
	}
	if i.ResolvedAt != 0 {
		i.reopen(at)
	}
	i.Stated, i.SnoozedUntil, i.SnoozedBy = body.Status, 0, f.ID
	if body.Status == eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED && body.Until != 0 {
		i.SnoozedUntil = max(body.Until, at)
	}
}

// wake makes it open by something that happens, and not by somebody's word.
func (i *Interaction) wake() {
	i.Stated, i.SnoozedUntil = eventv1.InteractionStatus_INTERACTION_STATUS_UNSPECIFIED, 0
}

// resolve settles it. A thread of messages ends by that. Resolving again changes nothing but what was left open.
func (i *Interaction) resolve(f *Fact, body *Body, at int64) {
	if i.ResolvedAt != 0 {
		first(&i.Resolution, body.Text)
		return
	}
	i.ResolvedAt, i.Resolution, i.ResolvedBy = at, body.Text, f.Actor
	i.ReopenUntil = reopenUntil(at, body.Window)
	i.wake()
	if i.EndedAt == 0 && !i.isCall() {
		i.EndedAt = at
		i.closeParts(at, eventv1.EndReason_END_REASON_UNSPECIFIED)
	}
	for n := range i.SLAs {
		if s := &i.SLAs[n]; s.Metric == eventv1.SlaMetric_SLA_METRIC_RESOLUTION {
			s.done(at)
		}
	}
}

// reopened says that it is not settled after all.
func (i *Interaction) reopened(at int64) {
	if i.EndedAt != 0 || i.ResolvedAt != 0 {
		i.reopen(at)
	}
	i.wake()
	if i.EndedAt != 0 { // a call, which does not go on
		i.Stated = eventv1.InteractionStatus_INTERACTION_STATUS_OPEN
	}
}

// reopen makes what is over go on.
func (i *Interaction) reopen(at int64) {
	i.Reopened++
	i.ReopenedAt = at
	i.ResolvedAt, i.Resolution, i.ResolvedBy, i.ReopenUntil = 0, "", Actor{}, 0
	i.wake()
	if !i.isCall() {
		i.EndedAt, i.EndReason = 0, eventv1.EndReason_END_REASON_UNSPECIFIED
	}
}

func (i *Interaction) categorize(body *Body) {
	if len(body.Added) > 0 {
		i.Reasons = body.Added
	}
	if body.Text != "" {
		i.Disposition = body.Text
	}
	i.Complaint = i.Complaint || body.Flag
}

func (i *Interaction) update(body *Body) {
	for _, tag := range body.Removed {
		if n, found := slices.BinarySearch(i.Tags, tag); found {
			i.Tags = slices.Delete(i.Tags, n, n+1)
		}
	}
	for _, tag := range body.Added {
		if n, found := slices.BinarySearch(i.Tags, tag); !found && len(i.Tags) < maxTags {
			i.Tags = slices.Insert(i.Tags, n, tag)
		}
	}
	if body.Priority != 0 {
		i.Priority = body.Priority
	}
	for _, a := range body.Set {
		n, found := slices.BinarySearchFunc(i.Attributes, a.Name, func(o Attribute, name string) int { return strings.Compare(o.Name, name) })
		switch {
		case found && a.Value == "":
			i.Attributes = slices.Delete(i.Attributes, n, n+1)
		case found:
			i.Attributes[n] = a
		case a.Value != "" && len(i.Attributes) < maxAttributes:
			i.Attributes = slices.Insert(i.Attributes, n, a)
		}
	}
}

// bot notes what bots do. Of one moment, an end that was told before its begin is its end.
func (i *Interaction) bot(f *Fact, body *Body, at int64) {
	b := &i.Bot
	began := b.Started == 0
	if began {
		b.Started = at
	}
	switch f.Kind {
	case BotStarted:
		if !(b.Ended == at && b.Started == at) {
			b.Ended, b.Contained = 0, false
		}
		if name := body.Text; name != "" {
			b.Name = name
		} else if f.Actor.Kind == eventv1.ActorKind_ACTOR_KIND_BOT {
			b.Name = f.Actor.ID
		}
	case BotHandedOff:
		b.Contained = false
		if b.HandedOff == 0 {
			b.HandedOff = at
			if i.FirstResponse < at {
				i.FirstResponse = 0
			}
		}
	default:
		b.Ended, b.Contained = at, body.Flag
	}
}

// receive is that the customer wrote. What a machine wrote for them is counted, and that is all.
func (i *Interaction) receive(f *Fact, at int64) {
	i.MessagesIn++
	if f.Machine {
		return
	}
	i.CustomerSpoke = at
	first(&i.WaitingSince, at)
	if i.ResolvedAt == 0 && i.EndedAt == 0 {
		i.wake()
	}
}

// sent is that the company wrote.
func (i *Interaction) sent(f *Fact, at int64) {
	i.MessagesOut++
	if !f.Actor.isPerson() {
		return
	}
	i.AgentSpoke, i.WaitingSince = at, 0
	if i.Direction != eventv1.Direction_DIRECTION_OUTBOUND || i.CustomerSpoke != 0 {
		i.reply(at)
	}
}

// reply is that a person answers.
func (i *Interaction) reply(at int64) {
	i.Bot.Contained = false
	if i.FirstResponse == 0 && at >= i.responseFrom() {
		i.FirstResponse = at
	}
	if len(i.Replies) == maxReplies {
		i.Replies = slices.Delete(i.Replies, 0, 1)
	}
	i.Replies = append(i.Replies, at)
	for n := range i.SLAs {
		if s := &i.SLAs[n]; s.Metric != eventv1.SlaMetric_SLA_METRIC_RESOLUTION {
			s.done(at)
		}
	}
}

// setPolicy begins clocks, and closes at once those for which all is done by now.
func (i *Interaction) setPolicy(f *Fact, body *Body, at int64) {
	i.Policy, i.PolicySetAt, i.IdleTimeout, i.ReopenWindow = body.Text, at, max(body.Time, 0), body.Window
	i.WrapupTimeout = max(body.Wrapup, 0)
	for _, k := range body.Clocks {
		for n := range i.SLAs {
			if s := &i.SLAs[n]; s.Metric == k.Metric && s.State == SLAActive {
				s.State = SLACancelled
			}
		}
		s := SLA{Clock: k, State: SLAActive, ArmedBy: f.ID}
		if k.Metric == eventv1.SlaMetric_SLA_METRIC_RESOLUTION {
			if i.ResolvedAt != 0 {
				s.done(i.ResolvedAt)
			}
		} else {
			for _, replied := range i.Replies {
				s.done(replied)
			}
		}
		i.SLAs = append(roomFor(i.SLAs, maxSLAs, func(s SLA) bool { return s.State != SLAActive }), s)
	}
}

// done is that what the target asks for is done.
func (s *SLA) done(at int64) {
	if s.Done != 0 || at < s.Since || s.State == SLACancelled {
		return
	}
	s.Done = at
	if s.State == SLAActive {
		s.State = SLAHit
		if s.Due != 0 && at > s.Due {
			s.State = SLAMissed
		}
	}
}

// roomFor makes room for one more: the oldest that is over goes, else the oldest.
func roomFor[T any](all []T, most int, over func(T) bool) []T {
	if len(all) < most {
		return all
	}
	n := max(slices.IndexFunc(all, over), 0)
	return slices.Delete(all, n, n+1)
}

// elapse is that a fact happens: what is due before it takes effect, each as of when it is due. It reports whether anything did.
func (i *Interaction) elapse(f *Fact) (changed bool) {
	if i.Backfill {
		return false
	}
	for {
		var next Timer
		i.eachTimer(func(t Timer) {
			if t.dueBy(f) && (next.Name == 0 || t.Due < next.Due) {
				next = t
			}
		})
		if next.Name == 0 {
			return changed
		}
		i.fire(next)
		changed = true
	}
}

// replay is that an imported history tells that its clock did what was armed in it, and by the event that it names. It reports whether it
// did.
func (i *Interaction) replay(f *Fact) (changed bool) {
	if !i.Backfill || !f.Backfill || f.Body == nil {
		return false
	}
	var armed Timer
	i.eachTimer(func(t Timer) {
		if t.dueBy(f) && t.Name.String() == f.Body.Text && t.ArmedBy == f.Body.ArmedBy {
			armed = t
		}
	})
	if armed.Name == 0 {
		return false
	}
	i.fire(armed)
	return true
}

// fire does what is due.
func (i *Interaction) fire(t Timer) {
	switch t.Name {
	case TimerSnooze:
		i.Stated, i.SnoozedUntil = eventv1.InteractionStatus_INTERACTION_STATUS_OPEN, 0
	case TimerIdle:
		i.end(max(t.Due, i.StartedAt), &Body{Reason: eventv1.EndReason_END_REASON_IDLE, Window: i.ReopenWindow})
	case TimerWrapup:
		for n := range i.Shares {
			if s := &i.Shares[n]; s.wrapup(i.WrapupTimeout) == t {
				s.WrapupEnded, s.WrapupInferred = t.Due, true
			}
		}
	default:
		for n := range i.SLAs {
			if s := &i.SLAs[n]; s.timer() == t {
				s.State = SLAMissed
			}
		}
	}
	i.settle()
}

// settle ends what nobody waits for any more.
func (i *Interaction) settle() {
	over := i.EndedAt != 0 || i.ResolvedAt != 0
	if !over {
		return
	}
	closed := i.SettledAt() != 0
	if closed {
		i.WaitingSince = 0
	}
	for n := range i.SLAs {
		if s := &i.SLAs[n]; s.State == SLAActive && (closed || s.Metric != eventv1.SlaMetric_SLA_METRIC_RESOLUTION) {
			s.State = SLACancelled
		}
	}
}
