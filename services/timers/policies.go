package timers

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// choose gives the policy that holds for an interaction as it is.
func (p *Policies) choose(tenant string, it *conversationv1.Interaction) *policy {
	if p != nil {
		for _, candidate := range p.of[tenant] {
			if candidate.fits(it) {
				return candidate
			}
		}
	}
	return &policy{Policy: Policy{Name: defaultPolicy}}
}

// has tells whether a tenant has policies.
func (p *Policies) has(tenant string) bool { return p != nil && len(p.of[tenant]) > 0 }

// policy gives the one that holds for an interaction as it is: what the configuration says, and where that has no targets, those of the
// queue.
func (w *Worker) policy(ctx context.Context, tenant string, it *conversationv1.Interaction) (*policy, error) {
	p := w.cfg.Policies.choose(tenant, it)
	if w.cfg.Targets == nil || p.promises() {
		return p, nil
	}
	of, err := w.cfg.Targets.Of(ctx, tenant, it.GetProvider(), it.GetQueue(), moment(it.GetStartedAt()))
	if err != nil || of == nil {
		return p, err
	}
	return p.with(of), nil
}

func (p *policy) promises() bool {
	return p.FirstResponse > 0 || p.NextResponse > 0 || p.Resolution > 0
}

// with is a policy that has no targets with those of a queue, under a name that tells of both.
func (p *policy) with(of *QueueTargets) *policy {
	both := *p
	both.Name = "queue:" + of.Queue
	if p.Name != defaultPolicy {
		both.Name = p.Name + "/" + both.Name
	}
	for len(both.Name) > maxName {
		_, last := utf8.DecodeLastRuneInString(both.Name)
		both.Name = both.Name[:len(both.Name)-last]
	}
	both.FirstResponse, both.NextResponse, both.Resolution, both.calendar = of.FirstResponse, of.NextResponse, of.Resolution, of.Hours
	return &both
}

func (p *policy) fits(it *conversationv1.Interaction) bool {
	return anyOf(p.Inboxes, it.GetInbox()) && anyOf(p.Queues, it.GetQueue()) && anyOf(p.channels, it.GetChannel()) && anyOf(p.Priorities, it.GetPriority())
}

func anyOf[T comparable](list []T, value T) bool {
	return len(list) == 0 || slices.Contains(list, value)
}

// missing is what a policy says of an interaction, as of an event of it, and no event has told yet; nil where everything was told.
func (p *policy) missing(it *conversationv1.Interaction, at time.Time) *eventv1.InteractionPolicySet {
	w, clocks := p.windows(it.GetChannel()), p.clocks(it, at)
	if len(clocks) == 0 && (it.GetPolicy() == p.Name || it.GetPolicy() == "" && w == windows{}) {
		return nil
	}
	set := &eventv1.InteractionPolicySet{Policy: p.Name, IdleTimeout: durationpb.New(w.idle), ReopenWindow: durationpb.New(w.reopen), Clocks: clocks}
	if w.wrapup > 0 {
		set.WrapupTimeout = durationpb.New(w.wrapup)
	}
	return set
}

// clocks are those that should count and do not, or of which another policy holds now.
func (p *policy) clocks(it *conversationv1.Interaction, at time.Time) []*eventv1.SlaClock {
	var clocks []*eventv1.SlaClock
	for _, t := range p.targets() {
		since := begin(t.metric, it, at)
		if since.IsZero() || t.target == 0 {
			continue
		}
		due, ok := p.calendar.Add(since, t.target)
		if known := clockOf(it, t.metric, since); !ok || known != nil &&
			(it.GetPolicy() == p.Name || known.GetState() != conversationv1.SlaState_SLA_STATE_ACTIVE || known.GetDueAt().AsTime().Equal(due)) {
			continue
		}
		clocks = append(clocks, &eventv1.SlaClock{
			Metric: t.metric, Target: durationpb.New(t.target), Since: timestamppb.New(since), DueAt: timestamppb.New(due),
		})
	}
	return clocks
}

// clockOf is the clock of a metric that an interaction has since a moment; nil where there is none, or none that was not cancelled.
func clockOf(it *conversationv1.Interaction, metric eventv1.SlaMetric, since time.Time) *conversationv1.Sla {
	for _, sla := range slices.Backward(it.GetSlas()) {
		if sla.GetMetric() != metric || !sla.GetSince().AsTime().Equal(since) {
			continue
		}
		if sla.GetState() == conversationv1.SlaState_SLA_STATE_CANCELLED {
			return nil
		}
		return sla
	}
	return nil
}

// begin is the moment since when a metric counts, as of an event; zero where it does not.
func begin(metric eventv1.SlaMetric, it *conversationv1.Interaction, at time.Time) time.Time {
	goesOn := it.GetState() != conversationv1.InteractionState_INTERACTION_STATE_ENDED
	switch metric {
	case eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE:
		if goesOn {
			return firstResponseSince(it, at)
		}
	case eventv1.SlaMetric_SLA_METRIC_NEXT_RESPONSE:
		if goesOn && it.GetFirstResponseAt() != nil {
			return waitsSince(it)
		}
	case eventv1.SlaMetric_SLA_METRIC_RESOLUTION:
		return later(countedFrom(it), moment(it.GetReopenedAt()))
	case eventv1.SlaMetric_SLA_METRIC_UNSPECIFIED:
	}
	return time.Time{}
}

// firstResponseSince is the latest of the begin, the bot's hand-over and the reopening. While the bot is at it nobody waits for a person, and
// neither does a customer whom the company called or wrote to: until there is something to reply to. A reply from behind the event is one
// that came before the event was looked at: it is measured all the same.
func firstResponseSince(it *conversationv1.Interaction, at time.Time) time.Time {
	bot, replied := it.GetBot(), moment(it.GetFirstResponseAt())
	if !replied.IsZero() && replied.Before(at) || bot.GetStartedAt() != nil && bot.GetHandedOffAt() == nil && bot.GetEndedAt() == nil {
		return time.Time{}
	}
	since := later(countedFrom(it), moment(bot.GetHandedOffAt()))
	if replied.IsZero() {
		since = later(since, moment(it.GetReopenedAt()))
	}
	if it.GetDirection() != eventv1.Direction_DIRECTION_OUTBOUND {
		return since
	}
	if it.GetWaitingSince() == nil {
		return time.Time{}
	}
	return later(since, moment(it.GetWaitingSince()))
}

// countedFrom is the begin; of imported history that goes on, when that became live.
func countedFrom(it *conversationv1.Interaction) time.Time {
	return later(moment(it.GetStartedAt()), moment(it.GetLiveSince()))
}

// waitsSince is since when the customer waits for a reply, as far as that counts; zero where nobody waits.
func waitsSince(it *conversationv1.Interaction) time.Time {
	if it.GetWaitingSince() == nil {
		return time.Time{}
	}
	return later(moment(it.GetWaitingSince()), moment(it.GetLiveSince()))
}

// moment is a time, zero where there is none.
func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
