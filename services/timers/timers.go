// Package timers is the clock and the tenants' policies, as events. What is expected of an interaction (targets, business hours, when it
// ends by idleness) is decided here from settings, and told by interaction.policy_set; that a moment has come is told by timer.fired.
// Folds read neither settings nor a clock: they decide from these events what has become of an interaction.
//
// Everything may happen twice and in several processes: the events' ids derive from what they are about, so that one of each counts.
package timers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// provider is the name under which this package publishes.
const provider = "skein"

// Timer is something that the clock has to do for an interaction.
type Timer struct {
	Tenant      string
	Interaction event.ID
	// Name is snooze, idle, wrapup, sla.first_response, sla.next_response or sla.resolution.
	Name    string
	DueAt   time.Time
	ArmedBy event.ID
}

// Armed is the read model of interactions, the generation that serves, as far as timers need it. It is safe for concurrent use.
type Armed interface {
	// Due yields the timers that are due by a moment, the longest due first, of all tenants, until yield returns false. Next is when the first
	// of the others is due, zero where there is none.
	Due(ctx context.Context, by time.Time, yield func(Timer) bool) (next time.Time, err error)
	// Find gives an interaction by any id that it ever had; nil where there is none.
	Find(ctx context.Context, tenant string, id event.ID) (*conversationv1.Interaction, error)
}

// Config is what a Service works with. Armed and Host must be set.
type Config struct {
	Armed Armed
	Host  channel.Host
	// Every is after how long at most it is looked for timers. 1 s unless set.
	Every time.Duration
	// Batch is how many timers are published at once. 256 unless set.
	Batch int
	// Unfolded is how many timers may be published that the read model still shows as due. 8192 unless set.
	Unfolded int
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Batch == 0 {
		c.Batch = 256
	}
	if c.Unfolded == 0 {
		c.Unfolded = 8192
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Service fires timers: by wall clock it publishes timer.fired for each that is due, in its interaction's thread.
//
// The event has occurred when the timer was due, however late it is published. So it stands in its thread where it would stand had the
// clock been looked at in time: what somebody did behind that moment does not undo a breach, and what was done before it, but told
// late, does. The fold decides, whenever it learns of either. It also knows by itself what was due before something happened; an
// event of a timer shows it where nothing happens.
//
// Timers of one tenant are published in the order in which they are due. One Service runs at a time; any number of processes may have one.
type Service struct {
	cfg Config
	// published are timers that stand in the log while the read model still shows them as due, and since when they do; mute are ones that
	// cannot be published, or are shown as due for so long that nobody waits for it to change. Both forget what is not due any more.
	published, mute map[timerKey]time.Time
}

// patience is how long the read model may show a timer as due that has fired.
const patience = 10 * time.Minute

// timerKey is what makes one timer.
type timerKey struct {
	tenant               string
	interaction, armedBy event.ID
	name                 string
	due                  int64
}

func keyOf(t Timer) timerKey {
	return timerKey{t.Tenant, t.Interaction, t.ArmedBy, t.Name, t.DueAt.UnixNano()}
}

// New makes a service. Run runs it.
func New(cfg Config) *Service {
	return &Service{cfg: cfg.withDefaults(), published: map[timerKey]time.Time{}, mute: map[timerKey]time.Time{}}
}

// Run fires timers until ctx ends, and then returns nil. What fails is tried again.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		next, err := s.fire(ctx)
		wait := s.cfg.Every
		switch {
		case err != nil && ctx.Err() == nil:
			s.cfg.Logger.WarnContext(ctx, "timers are not fired, trying again", "error", err)
		case !next.IsZero():
			wait = max(min(wait, next.Sub(s.cfg.Now())), time.Millisecond)
		}
		sleep(ctx, wait)
	}
	return nil
}

// fire publishes everything that is due, and says when the next timer is. A tenant for which nothing can be published holds no other up.
func (s *Service) fire(ctx context.Context) (next time.Time, err error) {
	failed := map[string]error{}
	for ctx.Err() == nil {
		due, more, next, err := s.due(ctx, failed)
		if err != nil {
			return time.Time{}, err
		}
		for _, batch := range byTenant(due) {
			if err := s.publish(ctx, batch); err != nil {
				failed[batch[0].Tenant] = err
			}
		}
		if !more {
			var errs []error
			for tenant, err := range failed {
				errs = append(errs, fmt.Errorf("tenant %q: %w", tenant, err))
			}
			return next, errors.Join(errs...)
		}
	}
	return time.Time{}, ctx.Err()
}

// due gives timers to publish, a batch at most, whether there are more, and else when the next one is due.
func (s *Service) due(ctx context.Context, failed map[string]error) (due []Timer, more bool, next time.Time, err error) {
	most := min(s.cfg.Batch, s.cfg.Unfolded-len(s.published))
	now, known, ignored, full := s.cfg.Now(), map[timerKey]bool{}, 0, false
	var last time.Time
	next, err = s.cfg.Armed.Due(ctx, now, func(t Timer) bool {
		last = t.DueAt
		key := keyOf(t)
		at, published := s.published[key]
		_, mute := s.mute[key]
		switch {
		case published || mute:
			known[key] = true
			if published && now.Sub(at) > patience {
				delete(s.published, key)
				s.mute[key] = at
				ignored++
			}
		case failed[t.Tenant] != nil:
		case most <= 0:
			full = true // the rest is looked at for what is known
		case len(due) == most:
			more = true
			return false
		default:
			due = append(due, t)
		}
		return true
	})
	if err != nil {
		return nil, false, next, fmt.Errorf("timers: what is due: %w", err)
	}
	if ignored > 0 {
		s.cfg.Logger.WarnContext(ctx, "timers have fired and are still armed: the read model is behind, or knows better", "timers", ignored)
	}
	for _, keys := range []map[timerKey]time.Time{s.published, s.mute} {
		for key := range keys {
			if !known[key] && (!more || key.due < last.UnixNano()) {
				delete(keys, key)
			}
		}
	}
	return due, more || full && len(s.published) < s.cfg.Unfolded, next, nil
}

// byTenant divides timers by their tenants, and keeps the order of each.
func byTenant(due []Timer) [][]Timer {
	var batches [][]Timer
	of := map[string]int{}
	for _, t := range due {
		n, ok := of[t.Tenant]
		if !ok {
			n = len(batches)
			of[t.Tenant] = n
			batches = append(batches, nil)
		}
		batches[n] = append(batches[n], t)
	}
	return batches
}

// publish publishes timers of one tenant.
func (s *Service) publish(ctx context.Context, due []Timer) error {
	timers := make([]Timer, 0, len(due))
	submissions := make([]*eventv1.Submission, 0, len(due))
	for _, t := range due {
		it, err := s.cfg.Armed.Find(ctx, t.Tenant, t.Interaction)
		switch {
		case err != nil:
			return fmt.Errorf("timers: read the interaction %s: %w", t.Interaction, err)
		case it == nil: // the read model has changed: it does not show the timer any more
		case it.GetNativeThread() == "":
			s.mute[keyOf(t)] = s.cfg.Now()
			s.cfg.Logger.ErrorContext(ctx, "a timer cannot be fired: the contents of its interaction are sealed", "tenant", t.Tenant, "interaction", t.Interaction, "timer", t.Name)
		default:
			timers, submissions = append(timers, t), append(submissions, fired(t, it))
		}
	}
	if len(timers) == 0 {
		return nil
	}
	_, err := s.cfg.Host.Submit(ctx, due[0].Tenant, submissions...)
	if _, invalid := errors.AsType[*event.InvalidError](err); invalid && len(timers) > 1 {
		for i := range timers { // one keeps no other out
			if err := s.publish(ctx, timers[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	} else if invalid {
		s.mute[keyOf(timers[0])] = s.cfg.Now()
		s.cfg.Logger.ErrorContext(ctx, "a timer cannot be fired", "tenant", timers[0].Tenant, "interaction", timers[0].Interaction, "timer", timers[0].Name, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("timers: publish %d timers: %w", len(timers), err)
	}
	now := s.cfg.Now()
	for _, t := range timers {
		s.published[keyOf(t)] = now
		s.cfg.Metrics.timerFired(t.Name, now.Sub(t.DueAt))
	}
	return nil
}

// fired is the event of a timer. It depends on nothing but the timer and the thread.
func fired(t Timer, it *conversationv1.Interaction) *eventv1.Submission {
	s := inThread(it)
	s.Type, s.OccurredAt, s.CausationId = event.TypeTimerFired, timestamppb.New(t.DueAt), t.ArmedBy.String()
	s.NativeId = fmt.Sprintf("timer:%s:%s:%s:%d", t.Interaction, t.ArmedBy, t.Name, t.DueAt.UnixNano())
	s.Content = &eventv1.Content{Body: &eventv1.Content_TimerFired{TimerFired: &eventv1.TimerFired{
		Timer: t.Name, DueAt: timestamppb.New(t.DueAt), ArmedBy: t.ArmedBy.String(), InteractionId: t.Interaction.String(),
	}}}
	return s
}

// inThread is an event of this package's in the thread of an interaction.
func inThread(it *conversationv1.Interaction) *eventv1.Submission {
	return &eventv1.Submission{
		Channel: it.GetChannel(), Provider: provider, Inbox: it.GetInbox(), Thread: it.GetNativeThread(),
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM},
	}
}

// sleep waits; it returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
