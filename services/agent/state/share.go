package state

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/directory"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Share is an agent's part of an interaction, of which only its own facts are read: not its other parts.
type Share struct {
	*conversationv1.Interaction
	*conversationv1.Assignment
}

// Begin is when the agent was first asked, or took it; false where that never happened: it is no contact then.
func (s Share) Begin() (at int64, ok bool) {
	a := s.Assignment
	at = min(nanos(a.GetOfferedAt()), nanos(a.GetAcceptedAt()), nanos(a.GetConnectedAt()))
	return at, at < never
}

// Owner is the agent whose share it is.
func (s Share) Owner(book *directory.Book) string {
	begin, _ := s.Begin()
	return book.Owner(directory.Agent, s.GetProvider(), s.Assignment.GetAgent(), begin)
}

// Queue is the one that it came from, by the directory.
func (s Share) Queue(book *directory.Book) string {
	begin, _ := s.Begin()
	return book.Owner(directory.Queue, s.GetProvider(), s.Assignment.GetQueue(), begin)
}

// Settled gives when its own facts changed it last; false while it goes on. What was missed, refused or failed, and after-call work of which
// no end is known, may show for longer.
func (s Share) Settled() (at int64, ok bool) {
	w := newSpan(s, nil)
	if _, begun := s.Begin(); !begun {
		return 0, true
	}
	c := w.at(endOfTime)
	return w.bounds[len(w.bounds)-1], c.state == 0 || c.fleeting || c.untilPresence
}

func nanos(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return never
	}
	return t.GetSeconds()*1e9 + int64(t.GetNanos())
}

// span is a Share with its moments at hand.
type span struct {
	Share
	queue                                  string // the owner of its queue's name
	begin                                  int64
	offered, declined, accepted, connected int64
	ended, wrapupStarted, wrapupEnded      int64
	held, paused                           []Stretch
	bounds                                 []int64 // where its state may change, in order
}

// contact is how it is with a share at a moment; a state that is not stated for not at all.
type contact struct {
	state agentv1.ContactState
	since int64 // never: when the state began
	// fleeting: it shows until something else happens to the agent, behind since.
	fleeting bool
	// untilPresence: it lasts until the agent chooses a presence, behind since.
	untilPresence bool
}

func newSpan(s Share, book *directory.Book) *span {
	a := s.Assignment
	w := &span{
		Share: s, offered: nanos(a.GetOfferedAt()), declined: nanos(a.GetDeclinedAt()), accepted: nanos(a.GetAcceptedAt()),
		connected: nanos(a.GetConnectedAt()), ended: nanos(a.GetEndedAt()), wrapupStarted: nanos(a.GetWrapupStartedAt()),
		wrapupEnded: nanos(a.GetWrapupEndedAt()),
		held:        stretches(a.GetHeld(), a.GetHeldSince()), paused: stretches(a.GetPaused(), a.GetPausedSince()),
	}
	w.begin, _ = s.Begin()
	w.queue = s.Queue(book)
	w.bounds = append(w.bounds, w.offered, w.declined, w.accepted, w.connected, w.ended, w.wrapupStarted, w.wrapupEnded)
	for _, of := range [][]Stretch{w.held, w.paused} {
		for _, s := range of {
			w.bounds = append(w.bounds, s.From, s.Until)
		}
	}
	w.bounds = slices.DeleteFunc(w.bounds, func(at int64) bool { return at == never })
	slices.Sort(w.bounds)
	w.bounds = slices.Compact(w.bounds)
	return w
}

// stretches are those that are listed, and the one that goes on.
func stretches(listed []*conversationv1.Stretch, since *timestamppb.Timestamp) []Stretch {
	var all []Stretch
	for _, s := range listed {
		all = append(all, Stretch{nanos(s.GetFrom()), nanos(s.GetUntil())})
	}
	if from := nanos(since); from < never && !slices.ContainsFunc(all, func(s Stretch) bool { return s.From == from }) {
		all = append(all, Stretch{from, never})
	}
	return all
}

func inside(stretches []Stretch, at int64) bool {
	return slices.ContainsFunc(stretches, func(s Stretch) bool { return s.From <= at && at < s.Until })
}

// at is how it is at a moment by the share's own facts.
func (w *span) at(t int64) contact {
	switch a := w.Assignment; {
	case t < w.begin:
		return contact{}
	case w.declined <= t:
		if a.GetDeclineReason() == eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT {
			return contact{state: agentv1.ContactState_CONTACT_STATE_MISSED, since: w.declined, fleeting: true}
		}
		if a.GetDeclineReason() == eventv1.DeclineReason_DECLINE_REASON_REJECTED {
			return contact{state: agentv1.ContactState_CONTACT_STATE_REJECTED, since: w.declined, fleeting: true}
		}
		return contact{}
	case w.ended <= t:
		if w.connected > t && a.GetEndReason() == eventv1.EndReason_END_REASON_ERROR {
			return contact{state: agentv1.ContactState_CONTACT_STATE_ERROR, since: w.ended, fleeting: true}
		}
		if w.wrapupStarted <= t && t < w.wrapupEnded {
			return contact{state: agentv1.ContactState_CONTACT_STATE_ENDED, since: w.wrapupStarted, untilPresence: w.wrapupEnded == never}
		}
		return contact{}
	case w.connected <= t && inside(w.paused, t):
		return contact{state: agentv1.ContactState_CONTACT_STATE_PAUSED, since: never}
	case w.connected <= t && inside(w.held, t):
		return contact{state: agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, since: never}
	case w.connected <= t:
		return contact{state: agentv1.ContactState_CONTACT_STATE_CONNECTED, since: never}
	case w.accepted <= t:
		return contact{state: agentv1.ContactState_CONTACT_STATE_CONNECTING, since: never}
	case a.GetOrigin() == eventv1.Origin_ORIGIN_CALLBACK:
		return contact{state: agentv1.ContactState_CONTACT_STATE_PENDING, since: never}
	}
	return contact{state: agentv1.ContactState_CONTACT_STATE_INCOMING, since: never}
}

// began is when the state of a moment began.
func (w *span) began(t int64) int64 {
	c := w.at(t)
	if c.since < never {
		return c.since
	}
	n, _ := slices.BinarySearch(w.bounds, t+1)
	for n--; n > 0 && w.at(w.bounds[n-1]).state == c.state; {
		n--
	}
	return max(w.bounds[n], w.begin)
}

// proto is the contact as an answer.
func (w *span) proto(t int64, c contact, book *directory.Book, weight int32) *agentv1.Contact {
	out := &agentv1.Contact{
		AssignmentId: w.Assignment.GetId(), InteractionId: w.Interaction.GetId(), ThreadId: w.GetThreadId(), Channel: w.GetChannel(),
		Provider: w.GetProvider(), Inbox: w.GetInbox(), Queue: w.queue, Origin: w.Assignment.GetOrigin(), Direction: w.GetDirection(),
		State: c.state, Since: stamp(w.began(t)), OfferedAt: stamp(w.begin), Weight: weight,
	}
	if w.connected <= t {
		out.ConnectedAt = stamp(w.connected)
	}
	for _, p := range w.GetParticipants() {
		joined := nanos(p.GetJoinedAt())
		if p.GetRole() != eventv1.PartyRole_PARTY_ROLE_SUPERVISOR || joined > t || nanos(p.GetLeftAt()) <= t {
			continue
		}
		out.Supervisors = append(out.Supervisors, &agentv1.Supervision{
			AgentId: book.Owner(directory.Agent, w.GetProvider(), p.GetActor().GetId(), joined), Mode: p.GetSupervisorMode(), Since: stamp(joined),
		})
	}
	return out
}

func stamp(at int64) *timestamppb.Timestamp {
	s, n := at/1e9, at%1e9
	if n < 0 {
		s, n = s-1, n+1e9
	}
	return &timestamppb.Timestamp{Seconds: s, Nanos: int32(n)}
}

func compareSpans(a, b *span) int {
	return cmp.Or(cmp.Compare(a.begin, b.begin), strings.Compare(a.Assignment.GetId(), b.Assignment.GetId()))
}
