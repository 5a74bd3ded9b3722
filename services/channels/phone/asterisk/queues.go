package asterisk

import (
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// visit is the id of a wait: no event tells more than who waits where, so a caller who comes back into the same queue, with
// the same call, continues the same visit.
func visit(caller, queue string) string { return caller + "/" + queue }

// inQueue adds queue, visit and the caller, who is a customer unless the number is an own one.
func (r *reading) inQueue(s *eventv1.Submission, caller leg) {
	queue := r.get("Queue")
	s.Queue, s.Visit = upTo(queue, 128), visit(caller.id, queue)
	side := eventv1.Side_SIDE_CUSTOMER
	if caller.company {
		side = eventv1.Side_SIDE_COMPANY
	}
	s.Parties = append(s.Parties, r.legParty(caller, eventv1.PartyRole_PARTY_ROLE_INITIATOR, side))
}

func (r *reading) queueJoin() {
	l := r.leg("")
	r.need("Queue")
	place, err := strconv.ParseInt(r.get("Position"), 10, 32)
	if err != nil || place < 0 {
		place = 0
	}
	s := r.tell(event.TypeQueueEntered, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{Place: int32(place)}},
	})
	s.Actor = systemActor()
	r.inQueue(s, l)
}

// queueAbandon alone ends a visit without an answer. QueueCallerLeave follows it, but also every answer, and does not say
// which; so it tells nothing, in whatever order the two come.
func (r *reading) queueAbandon() {
	l := r.leg("")
	r.need("Queue")
	s := r.tell(event.TypeQueueLeft, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_QueueLeft{QueueLeft: &eventv1.QueueLeft{Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED}},
	})
	s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	if l.company {
		s.Actor = r.actor(l)
	}
	r.inQueue(s, l)
}

// assigned tells of an agent's share. The agent's leg is its id: it is a new one for each offer.
func (r *reading) assigned(typ string, content *eventv1.Content) {
	caller, agent := r.leg(""), r.need("DestUniqueid")
	r.need("Queue")
	s := r.tell(typ, caller.thread, agent, content)
	s.Assignment, s.Actor = agent, agentActor(r.member())
	r.inQueue(s, caller)
}

func (r *reading) agentCalled() {
	r.assigned(event.TypeAssignmentOffered, &eventv1.Content{
		Body: &eventv1.Content_AssignmentOffered{AssignmentOffered: &eventv1.AssignmentOffered{}},
	})
}

func (r *reading) agentNoAnswer() { r.declined(eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT) }

// agentDump tells that the agent hung up while the announcement was played, before the caller could be heard.
func (r *reading) agentDump() { r.declined(eventv1.DeclineReason_DECLINE_REASON_REJECTED) }

func (r *reading) declined(why eventv1.DeclineReason) {
	r.assigned(event.TypeAssignmentDeclined, &eventv1.Content{
		Body: &eventv1.Content_AssignmentDeclined{AssignmentDeclined: &eventv1.AssignmentDeclined{Reason: why}},
	})
}

func (r *reading) agentConnect() {
	r.assigned(event.TypeAssignmentConnected, &eventv1.Content{
		Body: &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}},
	})
}

func (r *reading) agentComplete() {
	reason := eventv1.EndReason_END_REASON_UNSPECIFIED
	switch strings.ToLower(r.need("Reason")) {
	case "caller":
		reason = eventv1.EndReason_END_REASON_CUSTOMER
	case "agent":
		reason = eventv1.EndReason_END_REASON_AGENT
	case "transfer":
		reason = eventv1.EndReason_END_REASON_TRANSFER
	}
	r.assigned(event.TypeAssignmentEnded, &eventv1.Content{
		Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{Reason: reason}},
	})
}

// hold tells that an agent lets the other one wait, or no more. Who holds is the channel of the block. A customer who holds
// is of no interest.
func (r *reading) hold(typ string) {
	l := r.leg("")
	if l.root && !l.company {
		return
	}
	content := &eventv1.Content{Body: &eventv1.Content_AssignmentHeld{AssignmentHeld: &eventv1.AssignmentHeld{}}}
	if typ == event.TypeAssignmentUnheld {
		content = &eventv1.Content{Body: &eventv1.Content_AssignmentUnheld{AssignmentUnheld: &eventv1.AssignmentUnheld{}}}
	}
	s := r.tell(typ, l.thread, l.id, content)
	s.Assignment, s.Actor = l.id, r.actor(l)
}
