package conversation

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

// Shares yields the assignments of an agent, by the connector's own id, that overlap a time, each once and with its interaction, until yield
// returns false: those that begin before until and are not over before from. A zero from or until is an open end. One begins with the
// earliest of offer, acceptance and connection; one of which none of these was told is not among them. It is over when it was declined, or
// ended with its after-call work, if there is any; one that is over at from is among them, since what came of it may show from then on.
// They come in no order of time: the short ones first, what goes on last. Of an id, the first 255 bytes count.
func (v *View) Shares(
	ctx context.Context, tenant, agent string, from, until time.Time, yield func(*conversationv1.Interaction, *conversationv1.Assignment) bool,
) error {
	first, end := int64(math.MinInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		first = nanosOf(from)
	}
	if !until.IsZero() {
		end = nanosOf(until)
	}
	read := shareReader{v: v, tenant: tenant, from: first, yield: yield}
	prefix := appendNamed(nil, tenant, subShare, agent)
	for class := range byte(story.MaxClass + 1) {
		earliest := int64(math.MinInt64)
		if longest := int64(1) << class; longest <= math.MaxInt64/int64(time.Second) && first > math.MinInt64+longest*int64(time.Second) {
			earliest = first - longest*int64(time.Second)
		}
		if err := read.scan(ctx, prefix, class, earliest, end); err != nil {
			return wrap("read the assignments of an agent", err)
		}
	}
	err := read.scan(ctx, prefix, story.InHand, math.MinInt64, end)
	if err == nil {
		err = read.flush(ctx)
	}
	return wrap("read the assignments of an agent", err)
}

// SharesInHand yields the assignments of an agent that go on, those in after-call work among them, like Shares.
func (v *View) SharesInHand(ctx context.Context, tenant, agent string, yield func(*conversationv1.Interaction, *conversationv1.Assignment) bool) error {
	read := shareReader{v: v, tenant: tenant, from: math.MinInt64, yield: yield}
	err := read.scan(ctx, appendNamed(nil, tenant, subShare, agent), story.InHand, math.MinInt64, math.MaxInt64)
	if err == nil {
		err = read.flush(ctx)
	}
	return wrap("read what an agent has in hand", err)
}

// nanosOf is a time in nanoseconds since 1970, the nearest where they cannot tell it.
func nanosOf(t time.Time) int64 {
	switch {
	case t.Year() > maxYear:
		return math.MaxInt64
	case t.Year() < 1678:
		return math.MinInt64
	}
	return t.UnixNano()
}

// shareReader reads assignments that keys name, many at a time.
type shareReader struct {
	v       *View
	tenant  string
	from    int64
	yield   func(*conversationv1.Interaction, *conversationv1.Assignment) bool
	spots   []spot
	ids     []event.ID
	stopped bool
}

// scan reads those of a class that begin from one time to before another; the last time has no end.
func (r *shareReader) scan(ctx context.Context, prefix []byte, class byte, from, until int64) error {
	if r.stopped {
		return nil
	}
	of := append(slices.Clone(prefix), class)
	keys := kv.Prefix(of)
	keys.Start = appendTime(slices.Clone(of), from)
	if until != math.MaxInt64 {
		keys.End = appendTime(slices.Clone(of), until)
	}
	return r.v.scan(ctx, keys, func(key, _ []byte) (bool, error) {
		if len(key) != len(prefix)+classSize+partSize {
			return false, errDamaged
		}
		thread, start, id, err := decodePart(key)
		if err != nil {
			return false, err
		}
		r.spots, r.ids = append(r.spots, spot{thread, start}), append(r.ids, id)
		if len(r.spots) < readTogether {
			return true, nil
		}
		err = r.flush(ctx)
		return !r.stopped, err
	})
}

// flush reads what was found.
func (r *shareReader) flush(ctx context.Context) error {
	if r.stopped {
		return nil
	}
	n := 0
	err := r.v.read(ctx, r.tenant, r.spots, func(t *stored, i *story.Interaction) (bool, error) {
		id := r.ids[n]
		n++
		at := slices.IndexFunc(i.Shares, func(s story.Share) bool { return s.ID == id })
		if at < 0 {
			return false, errDamaged
		}
		if over := i.Shares[at].Over(); over != 0 && over < r.from {
			return true, nil
		}
		out := t.proto(i)
		r.stopped = !r.yield(out, out.GetAssignments()[at])
		return !r.stopped, nil
	})
	r.spots, r.ids = r.spots[:0], r.ids[:0]
	return err
}

// AgentsSeen yields the ids, by connectors, of all agents who have or had an assignment, each once, until yield returns false: of each the
// first 255 bytes. It costs a seek an agent.
func (v *View) AgentsSeen(ctx context.Context, tenant string, yield func(agent string) bool) error {
	return wrap("read which agents there are", v.names(ctx, appendTenant(nil, tenant, subShare), yield))
}

// Began is when the first assignment of an agent began, by the connector's own id, in nanoseconds since 1970; false where there is none.
func (v *View) Began(ctx context.Context, tenant, agent string) (first int64, found bool, err error) {
	prefix := appendNamed(nil, tenant, subShare, agent)
	r := kv.Prefix(prefix)
	for more := true; more && err == nil; { // of each class the first
		more = false
		err = v.scan(ctx, r, func(key, _ []byte) (bool, error) {
			if len(key) != len(prefix)+classSize+partSize {
				return false, errDamaged
			}
			if begin := decodeTime(key[len(prefix)+1:]); !found || begin < first {
				first, found = begin, true
			}
			more, r.Start = key[len(prefix)] != story.InHand, kv.Prefix(slices.Clone(key[:len(prefix)+1])).End
			return false, nil
		})
	}
	return first, found, wrap("read when an agent began", err)
}

// Tenants are those of whom anything is known.
func (v *View) Tenants(ctx context.Context) ([]string, error) {
	return projection.Tenants(ctx, v.snap, spaceTenant)
}

// ChangeWindow is how many records of a partition back Changes tells of, at least.
const ChangeWindow = changeWindow

// Queues yields the names, by connectors, of all queues that were ever waited in, like AgentsSeen.
func (v *View) Queues(ctx context.Context, tenant string, yield func(queue string) bool) error {
	return wrap("read which queues there are", v.names(ctx, appendTenant(nil, tenant, subVisit), yield))
}

// names yields the distinct names behind a prefix.
func (v *View) names(ctx context.Context, prefix []byte, yield func(string) bool) error {
	r := kv.Prefix(prefix)
	for {
		name, found := "", false
		err := v.scan(ctx, r, func(key, _ []byte) (bool, error) {
			of, end, err := decodeNamed(key, len(prefix))
			if err == nil {
				name, found, r.Start = of, true, kv.Prefix(slices.Clone(key[:end])).End
			}
			return false, err
		})
		if err != nil || !found || !yield(name) {
			return err
		}
	}
}

// Visit is one wait in one queue, as far as it is counted.
type Visit struct {
	ID     event.ID
	Thread event.ID
	// Queue is the connector's name of it.
	Queue string
	// Provider and Channel are those of the interaction; Backfill says that it is imported history.
	Provider string
	Channel  eventv1.Channel
	Backfill bool
	Entered  time.Time
	// Left is when it ended; zero while it goes on.
	Left time.Time
	// Outcome is how it ended.
	Outcome eventv1.QueueOutcome
	// SLATarget was in force; 0 where none was told.
	SLATarget time.Duration
	// Agent answered, by the connector's id.
	Agent string
	// HandleTime is that of the assignments that come from it, are over and were connected: talk, hold and after-call work, without what was
	// laid aside. Handled is how many those are.
	HandleTime time.Duration
	Handled    int
}

// Visits yields the waits in a queue, by the connector's own name, that were entered from a time to before another, in order of that, until
// yield returns false. A zero time is an open end. Of a name, the first 255 bytes count. It reads nothing but the rows that it yields.
func (v *View) Visits(ctx context.Context, tenant, queue string, from, until time.Time, yield func(Visit) bool) error {
	prefix := appendNamed(nil, tenant, subVisit, queue)
	r := kv.Prefix(prefix)
	if !from.IsZero() {
		r.Start = appendTime(slices.Clone(prefix), nanosOf(from))
	}
	if !until.IsZero() {
		r.End = appendTime(slices.Clone(prefix), nanosOf(until))
	}
	var brief story.VisitBrief
	err := v.scan(ctx, r, func(key, value []byte) (bool, error) {
		if len(key) != len(prefix)+8+partSize {
			return false, errDamaged
		}
		entered := decodeTime(key[len(prefix):])
		thread, _, id, err := decodePart(key)
		if err != nil {
			return false, err
		}
		if err := brief.Decode(value, entered); err != nil {
			return false, err
		}
		out := Visit{
			ID: id, Thread: thread, Queue: queue, Provider: brief.Provider, Channel: brief.Channel, Backfill: brief.Backfill,
			Entered: time.Unix(0, entered).UTC(), Outcome: brief.Outcome, SLATarget: brief.SLATarget, Agent: brief.Agent,
			HandleTime: brief.HandleTime, Handled: int(brief.Handled),
		}
		if brief.Left != 0 {
			out.Left = time.Unix(0, brief.Left).UTC()
		}
		return yield(out), nil
	})
	return wrap("read the visits of a queue", err)
}
