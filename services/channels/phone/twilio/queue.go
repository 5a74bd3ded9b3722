package twilio

import (
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// queue reads what <Enqueue> and <Queue> ask for
// (https://www.twilio.com/docs/voice/twiml/enqueue, https://www.twilio.com/docs/voice/twiml/queue). These requests have no
// time of their own, and the time in the queue that they state is not used: what they tell happened when they came.
func (r *reading) queue() ([]*eventv1.Submission, error) {
	l, err := r.leg()
	if err != nil {
		return nil, err
	}
	var all []*eventv1.Submission
	if r.has("DequeingCallSid") {
		taker, err := r.sid("DequeingCallSid", "CA")
		if err != nil {
			return nil, err
		}
		if taker != l.root {
			all = append(all, joined(taker, l.root))
		}
	}
	queue := r.get("QueueSid")
	result := r.get("QueueResult")
	switch {
	case queue == "" && result == "":
		return nil, errors.New("it names no queue")
	case result == "" && !isSID(queue, "QU"):
		return nil, errors.New("QueueSid is no sid that begins with QU")
	}
	if r.TaskRouter {
		return all, nil
	}
	visit := queue + "/" + l.root
	native := l.sid + "/" + queue + "/"
	add := func(typ, what string, who *eventv1.SubmittedActor, content *eventv1.Content) *eventv1.Submission {
		s := l.submission(typ, native+what, who, content)
		s.Queue, s.Visit = queue, visit
		if queue == "" {
			s.Visit = ""
		}
		all = append(all, s)
		return s
	}
	system := actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, "")
	left := func(who *eventv1.SubmittedActor, outcome eventv1.QueueOutcome) {
		add(event.TypeQueueLeft, "left", who, &eventv1.Content{Body: &eventv1.Content_QueueLeft{QueueLeft: &eventv1.QueueLeft{Outcome: outcome}}})
	}
	switch result {
	case "":
		if r.has("DequeingCallSid") { // an agent takes the call; which one, only the agent's own leg tells
			add(event.TypeAssignmentConnected, "connected", agent(""), nil).Assignment = visit
			break
		}
		// The place in the queue changes with each request, so it is left out.
		add(event.TypeQueueEntered, "entered", l.whoCalls(), &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}})
	case "bridged", "redirected-from-bridged": // told when the bridge ends
		reason := eventv1.EndReason_END_REASON_UNSPECIFIED
		if result != "bridged" {
			reason = eventv1.EndReason_END_REASON_TRANSFER
		}
		add(event.TypeAssignmentEnded, "ended", agent(""), &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{
			AssignmentEnded: &eventv1.AssignmentEnded{Reason: reason},
		}}).Assignment = visit
	case "bridging-in-process":
	case "hangup":
		left(l.whoCalls(), eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED)
	case "leave", "queue-full":
		left(system, eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED)
	case "redirected":
		left(system, eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED)
	case "error", "system-error", "system-shutdown":
		left(system, eventv1.QueueOutcome_QUEUE_OUTCOME_UNSPECIFIED)
	default:
		return nil, fmt.Errorf("%q is no result of a queue", result)
	}
	return all, nil
}
