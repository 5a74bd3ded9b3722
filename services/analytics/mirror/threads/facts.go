package threads

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// facts are what is derived of an interaction. Every duration is the difference of two moments in whole milliseconds, as the tables hold
// them, so that durations add up.
type facts struct {
	thread    Thread
	i         *conversationv1.Interaction
	id        event.ID
	endpoint  event.ID
	endpoints [][16]byte
	customer  event.ID
	started   int64
	// resolution and firstResponse are nil where there is none, or it was not measured.
	resolution, firstResponse *int64
	connected, transfers      int
	firstAgent                string
}

func newFacts(thread Thread, i *conversationv1.Interaction) *facts {
	f := &facts{thread: thread, i: i, id: idOf(i.GetId()), started: millis(i.GetStartedAt())}
	for _, p := range i.GetParticipants() {
		id := idOf(p.GetEndpointId())
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || id.IsZero() || slices.Contains(f.endpoints, [16]byte(id)) {
			continue
		}
		if f.endpoints = append(f.endpoints, id); len(f.endpoints) == 1 {
			f.endpoint = id
		}
	}
	f.customer = f.endpoint
	if at := i.GetResolvedAt(); at != nil {
		f.resolution = f.between(later(i.GetStartedAt(), i.GetReopenedAt()), at)
	}
	if at := i.GetFirstResponseAt(); at != nil {
		f.firstResponse = f.between(timestamppb.New(at.AsTime().Add(-i.GetFirstResponseTime().AsDuration())), at)
	}
	f.people()
	f.moves()
	return f
}

// between is the time from one moment to another; nil for imported history.
func (f *facts) between(from, until *timestamppb.Timestamp) *int64 {
	if f.history(from) {
		return nil
	}
	ms := max(millis(until)-millis(from), 0)
	return &ms
}

// history tells whether what began at a moment is imported history, of which times are not measured.
func (f *facts) history(at *timestamppb.Timestamp) bool {
	return f.i.GetBackfill() || f.i.GetLiveSince() != nil && at.AsTime().Before(f.i.GetLiveSince().AsTime())
}

func (f *facts) lastActivity() int64 {
	if at := f.i.GetLastActivityAt(); at != nil {
		return millis(at)
	}
	return f.started
}

// people counts the assignments in which an agent could talk with the customer. A consultation is between colleagues.
func (f *facts) people() {
	var first *timestamppb.Timestamp
	for _, a := range f.i.GetAssignments() {
		at := a.GetConnectedAt()
		if at == nil || a.GetOrigin() == eventv1.Origin_ORIGIN_CONSULT {
			continue
		}
		f.connected++
		if first == nil || at.AsTime().Before(first.AsTime()) {
			first, f.firstAgent = at, a.GetAgent()
		}
	}
}

// moves counts transfers: the visits behind the first that an overflow or a transfer began, be it out of the visit before or by the agent who
// had answered it; and the assignments behind the first that came about by a transfer or an escalation, but for those that such a
// visit led to. So each transfer counts once.
func (f *facts) moves() {
	handedOver := map[string]bool{} // visits whose agent handed over
	for _, a := range f.i.GetAssignments() {
		if a.GetEndReason() == eventv1.EndReason_END_REASON_TRANSFER && a.GetVisitId() != "" {
			handedOver[a.GetVisitId()] = true
		}
	}
	counted := map[string]bool{}
	visits := f.i.GetVisits()
	for n := 1; n < len(visits); n++ {
		switch before := visits[n-1]; before.GetOutcome() {
		case eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
		case eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED:
			if !handedOver[before.GetId()] {
				continue
			}
		default:
			continue
		}
		counted[visits[n].GetId()] = true
		f.transfers++
	}
	for n, a := range f.i.GetAssignments() {
		moved := a.GetOrigin() == eventv1.Origin_ORIGIN_TRANSFER || a.GetOrigin() == eventv1.Origin_ORIGIN_ESCALATION
		if n > 0 && moved && !counted[a.GetVisitId()] {
			f.transfers++
		}
	}
}

// times are what is measured of an assignment, in milliseconds.
type times struct {
	talk, hold, pause, wrapup int64
	handled                   bool
}

// measure gives them. Talk, hold and pause are parts of the time from connection to end, and together all of it; what is laid aside while on
// hold is laid aside. Of one that was never connected nothing but after-call work is measured.
func measure(a *conversationv1.Assignment) (t times) {
	if a.GetEndedAt() == nil {
		return t
	}
	end := millis(a.GetEndedAt())
	from := end
	if a.GetConnectedAt() != nil {
		from = min(millis(a.GetConnectedAt()), end)
	}
	if whole(a.GetPaused(), a.GetPauseTime().AsDuration()) && whole(a.GetHeld(), a.GetHoldTime().AsDuration()) {
		t.pause, t.hold = overlay(stretches(a.GetPaused()), stretches(a.GetHeld()), from, end)
	} else { // there were more stretches than are kept
		t.pause = min(a.GetPauseTime().AsDuration().Milliseconds(), end-from)
		t.hold = min(a.GetHoldTime().AsDuration().Milliseconds(), end-from-t.pause)
	}
	t.talk = end - from - t.pause - t.hold
	if a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() != nil {
		t.wrapup = max(millis(a.GetWrapupEndedAt())-millis(a.GetWrapupStartedAt()), 0)
	}
	t.handled = a.GetConnectedAt() != nil && (a.GetWrapupStartedAt() == nil || a.GetWrapupEndedAt() != nil)
	return t
}

// whole tells whether stretches are all of a time.
func whole(all []*conversationv1.Stretch, total time.Duration) bool {
	var sum time.Duration
	for _, s := range all {
		if s.GetUntil() != nil {
			sum += s.GetUntil().AsTime().Sub(s.GetFrom().AsTime())
		}
	}
	return sum == total
}

// overlay measures pauses, and holds without what of them is paused, within a time. Stretches of one kind do not overlap.
func overlay(paused, held [][2]int64, from, end int64) (pause, hold int64) {
	within := func(s [2]int64, from, end int64) int64 { return max(min(s[1], end)-max(s[0], from), 0) }
	for _, p := range paused {
		pause += within(p, from, end)
	}
	for _, h := range held {
		hold += within(h, from, end)
		for _, p := range paused {
			hold -= within(p, max(h[0], from), min(h[1], end))
		}
	}
	return pause, hold
}

// stretches are those that are over, in milliseconds.
func stretches(all []*conversationv1.Stretch) [][2]int64 {
	var out [][2]int64
	for _, s := range all {
		if s.GetUntil() != nil {
			out = append(out, [2]int64{millis(s.GetFrom()), millis(s.GetUntil())})
		}
	}
	return out
}

// begin is the first moment of an assignment: of offer, acceptance and connection; of one of which none was told, the first that was, or the
// begin of the interaction.
func begin(a *conversationv1.Assignment, otherwise *timestamppb.Timestamp) *timestamppb.Timestamp {
	for _, all := range [][]*timestamppb.Timestamp{
		{a.GetOfferedAt(), a.GetAcceptedAt(), a.GetConnectedAt()},
		{a.GetDeclinedAt(), a.GetEndedAt(), a.GetWrapupStartedAt(), a.GetWrapupEndedAt()},
	} {
		var first *timestamppb.Timestamp
		for _, at := range all {
			if at != nil && (first == nil || at.AsTime().Before(first.AsTime())) {
				first = at
			}
		}
		if first != nil {
			return first
		}
	}
	return otherwise
}

// later is the later of two moments, of which the second may be missing.
func later(a, b *timestamppb.Timestamp) *timestamppb.Timestamp {
	if b != nil && b.AsTime().After(a.AsTime()) {
		return b
	}
	return a
}

// millis is a moment in whole milliseconds since 1970, rounded down.
func millis(at *timestamppb.Timestamp) int64 {
	return at.GetSeconds()*1000 + int64(at.GetNanos())/int64(time.Millisecond)
}

func moment(v *mirror.Values, at *timestamppb.Timestamp) {
	if at == nil {
		v.Null()
		return
	}
	v.Millis(millis(at))
}

func span(v *mirror.Values, ms *int64) {
	if ms == nil {
		v.Null()
		return
	}
	v.Int64(*ms)
}
