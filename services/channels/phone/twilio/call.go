package twilio

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The statuses of a call (https://www.twilio.com/docs/voice/api/call-resource#call-status-values).
const (
	queued     = "queued"
	initiated  = "initiated"
	ringing    = "ringing"
	inProgress = "in-progress"
	completed  = "completed"
	busy       = "busy"
	failed     = "failed"
	noAnswer   = "no-answer"
	canceled   = "canceled"
)

// leg is a call as its webhooks show it.
type leg struct {
	sid, parent, root string
	from, to          string
	direction         eventv1.Direction
	origin            eventv1.Origin
	parties           []*eventv1.SubmittedParty
	fromSide, toSide  eventv1.Side
}

// leg reads what all webhooks of a call hold
// (https://www.twilio.com/docs/voice/twiml#request-parameters).
func (r *reading) leg() (leg, error) {
	sid, err := r.sid("CallSid", "CA")
	if err != nil {
		return leg{}, err
	}
	l := leg{sid: sid, root: sid, from: r.get("From"), to: r.get("To")}
	if r.has("ParentCallSid") {
		if l.parent, err = r.sid("ParentCallSid", "CA"); err != nil {
			return leg{}, err
		}
		l.root = l.parent
	}
	const (
		customer = eventv1.Side_SIDE_CUSTOMER
		company  = eventv1.Side_SIDE_COMPANY
	)
	l.fromSide, l.toSide = r.side(l.from), r.side(l.to)
	toRole := eventv1.PartyRole_PARTY_ROLE_RECIPIENT
	inbound := r.get("Direction") == "inbound"
	switch {
	case l.parent == "" && inbound && l.fromSide != company && l.to != "":
		if l.from == "" {
			l.fromSide = customer // withheld
		}
		l.toSide = company // whatever number of ours it is
	case l.parent == "" && !inbound && l.from != "":
		l.fromSide = company
	case l.parent != "" && l.fromSide == customer && l.toSide == customer: // a third party, or an agent's unknown telephone
		l.toSide, toRole = eventv1.Side_SIDE_UNSPECIFIED, eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET
		l.direction, l.origin = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_TRANSFER
	}
	switch {
	case l.direction != 0:
	case l.fromSide == customer:
		l.direction, l.origin = eventv1.Direction_DIRECTION_INBOUND, eventv1.Origin_ORIGIN_INBOUND
	case l.toSide == customer, l.fromSide == company && l.to == "":
		l.direction, l.origin = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_OUTBOUND
	default:
		l.direction, l.origin = eventv1.Direction_DIRECTION_INTERNAL, eventv1.Origin_ORIGIN_INTERNAL
	}
	if l.from != "" || l.fromSide == customer {
		from := party(l.from, eventv1.PartyRole_PARTY_ROLE_INITIATOR, l.fromSide)
		if name := r.get("CallerName"); name != "" && l.fromSide == customer {
			from.DisplayName = name
		}
		l.parties = append(l.parties, from)
	}
	if l.to != "" {
		l.parties = append(l.parties, party(l.to, toRole, l.toSide))
	}
	return l, nil
}

// withCustomer tells whether a customer may take part: all but calls among the company's own people.
func (l leg) withCustomer() bool { return l.direction != eventv1.Direction_DIRECTION_INTERNAL }

// whoAnswers is the one who was called.
func (l leg) whoAnswers() *eventv1.SubmittedActor {
	switch l.toSide {
	case eventv1.Side_SIDE_CUSTOMER:
		return actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
	case eventv1.Side_SIDE_COMPANY:
		if id := agentOf(l.to); id != "" {
			return agent(id)
		}
	default:
	}
	return nil
}

// whoCalls is the one who called.
func (l leg) whoCalls() *eventv1.SubmittedActor {
	if l.fromSide == eventv1.Side_SIDE_CUSTOMER {
		return actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
	}
	if id := agentOf(l.from); id != "" {
		return agent(id)
	}
	return nil
}

func (l leg) submission(typ, nativeID string, who *eventv1.SubmittedActor, content *eventv1.Content) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_VOICE, Direction: l.direction, Origin: l.origin, Thread: l.root, NativeId: nativeID,
		Parties: l.parties, Actor: who, Content: content,
	}
}

// call reads a status of a call
// (https://www.twilio.com/docs/voice/api/call-resource#statuscallback, https://www.twilio.com/docs/voice/twiml/number).
func (r *reading) call() ([]*eventv1.Submission, error) {
	l, err := r.leg()
	if err != nil {
		return nil, err
	}
	status := r.get("CallStatus")
	switch {
	case status == "" && r.has("AnsweredBy"):
		return []*eventv1.Submission{r.machineDetected(l)}, nil
	case !isStatus(status):
		return nil, fmt.Errorf("%q is no status of a call", status)
	case !r.has("CallbackSource") && !r.has("Timestamp") && !r.has("SequenceNumber"):
		return r.asksForTwiML(l)
	}
	at := r.at("Timestamp")
	var all []*eventv1.Submission
	add := func(typ string, who *eventv1.SubmittedActor, content *eventv1.Content) *eventv1.Submission {
		s := l.submission(typ, l.sid+"/"+status, who, content)
		s.OccurredAt = at
		all = append(all, s)
		return s
	}
	sequence := r.get("SequenceNumber")
	isRoot, isFinal := l.parent == "" && l.withCustomer(), false
	var assignment []*eventv1.Submission
	switch status {
	case queued, initiated:
	case ringing:
		if r.get("Direction") != "inbound" {
			add(event.TypeCallDialed, actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, ""), &eventv1.Content{Body: &eventv1.Content_CallDialed{CallDialed: &eventv1.CallDialed{Dialed: l.to}}})
		}
		assignment = r.legAssignment(l, event.TypeAssignmentOffered, nil)
	case inProgress:
		add(event.TypeCallAnswered, l.whoAnswers(), &eventv1.Content{Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{AnsweredBy: answeredBy(r.get("AnsweredBy"))}}})
		assignment = r.legAssignment(l, event.TypeAssignmentConnected, nil)
	case completed:
		isFinal = true
		assignment = r.legAssignment(l, event.TypeAssignmentEnded, nil)
	case busy, failed, noAnswer, canceled:
		isFinal = true
		failure, reason := r.failure(status)
		who := l.whoAnswers()
		if status == canceled || status == failed {
			who = actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, "")
		}
		if status == canceled && l.parent == "" && l.fromSide == eventv1.Side_SIDE_CUSTOMER {
			who = l.whoCalls()
		}
		add(event.TypeCallFailed, who, &eventv1.Content{Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{Failure: failure, ProviderReason: reason}}})
		assignment = r.legAssignment(l, event.TypeAssignmentDeclined, &eventv1.Content{Body: &eventv1.Content_AssignmentDeclined{
			AssignmentDeclined: &eventv1.AssignmentDeclined{Reason: declined(failure), Detail: reason},
		}})
	}
	for _, s := range assignment {
		s.NativeId, s.OccurredAt = l.sid+"/"+status, at
		all = append(all, s)
	}
	if isRoot && (sequence == "0" || sequence == "" && isFinal) {
		s := add(event.TypeInteractionStarted, l.whoCalls(), &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}}})
		if isFinal { // a number's own callback tells of nothing but the end, and how long it was
			s.OccurredAt = earlier(at, r.seconds("CallDuration").AsDuration())
		}
	}
	if isRoot && isFinal {
		add(event.TypeInteractionEnded, nil, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
			Reason: endReason(status, l), ProviderReason: status,
		}}})
	}
	if l.parent != "" && (sequence == "0" || sequence == "" || isFinal) {
		all = append(all, joined(l.sid, l.parent))
	}
	return all, nil
}

func isStatus(s string) bool {
	switch s {
	case queued, initiated, ringing, inProgress, completed, busy, failed, noAnswer, canceled:
		return true
	}
	return false
}

// asksForTwiML reads a request for what to do with a call, such as the action of <Record> or <Dial>. What happened, status
// callbacks tell; here only another leg may be named.
func (r *reading) asksForTwiML(l leg) ([]*eventv1.Submission, error) {
	if l.parent != "" {
		return []*eventv1.Submission{joined(l.sid, l.parent)}, nil
	}
	if dialled := r.get("DialCallSid"); isSID(dialled, "CA") && dialled != l.sid {
		return []*eventv1.Submission{joined(dialled, l.sid)}, nil
	}
	return nil, nil
}

// legAssignment makes an event of an agent's share: the leg of a known person of the company in a customer's call.
func (r *reading) legAssignment(l leg, typ string, content *eventv1.Content) []*eventv1.Submission {
	if r.TaskRouter || l.parent == "" || l.toSide != eventv1.Side_SIDE_COMPANY || l.fromSide != eventv1.Side_SIDE_CUSTOMER {
		return nil
	}
	s := l.submission(typ, "", agent(agentOf(l.to)), content)
	s.Assignment = l.sid
	return []*eventv1.Submission{s}
}

// machineDetected tells what asynchronous detection found, after the call was answered
// (https://www.twilio.com/docs/voice/answering-machine-detection#asyncamdstatuscallback).
func (r *reading) machineDetected(l leg) *eventv1.Submission {
	s := l.submission(event.TypeInsightInferred, l.sid+"/answered_by", actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, ""), &eventv1.Content{
		Body: &eventv1.Content_InsightInferred{InsightInferred: &eventv1.InsightInferred{
			Kind: "answered_by", Value: strings.ToLower(strings.TrimPrefix(answeredBy(r.get("AnsweredBy")).String(), "ANSWERED_BY_")),
			Source: "twilio answering machine detection",
		}},
	})
	s.Direction, s.Origin, s.Parties = eventv1.Direction_DIRECTION_UNSPECIFIED, eventv1.Origin_ORIGIN_UNSPECIFIED, nil
	return s
}

func answeredBy(s string) eventv1.AnsweredBy {
	switch {
	case s == "human":
		return eventv1.AnsweredBy_ANSWERED_BY_PERSON
	case strings.HasPrefix(s, "machine"):
		return eventv1.AnsweredBy_ANSWERED_BY_MACHINE
	case s == "fax":
		return eventv1.AnsweredBy_ANSWERED_BY_FAX
	}
	return eventv1.AnsweredBy_ANSWERED_BY_UNSPECIFIED
}

// failure is why a call was not picked up, with the SIP response where Twilio tells it.
func (r *reading) failure(status string) (eventv1.CallFailure, string) {
	code := r.get("SipResponseCode")
	reason := status
	if code != "" {
		reason = "SIP " + code
	}
	switch {
	case code == "603" || code == "607": // RFC 3261, section 21.6.2; RFC 8197
		return eventv1.CallFailure_CALL_FAILURE_REJECTED, reason
	case status == busy:
		return eventv1.CallFailure_CALL_FAILURE_BUSY, reason
	case status == noAnswer:
		return eventv1.CallFailure_CALL_FAILURE_NO_ANSWER, reason
	case status == canceled:
		return eventv1.CallFailure_CALL_FAILURE_CANCELED, reason
	case code == "503": // RFC 3261, section 21.5.4
		return eventv1.CallFailure_CALL_FAILURE_CONGESTION, reason
	}
	return eventv1.CallFailure_CALL_FAILURE_ERROR, reason
}

func declined(f eventv1.CallFailure) eventv1.DeclineReason {
	switch f {
	case eventv1.CallFailure_CALL_FAILURE_NO_ANSWER:
		return eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT
	case eventv1.CallFailure_CALL_FAILURE_BUSY, eventv1.CallFailure_CALL_FAILURE_REJECTED:
		return eventv1.DeclineReason_DECLINE_REASON_REJECTED
	case eventv1.CallFailure_CALL_FAILURE_CANCELED:
		return eventv1.DeclineReason_DECLINE_REASON_CANCELLED
	default:
		return eventv1.DeclineReason_DECLINE_REASON_UNSPECIFIED
	}
}

// endReason is why an interaction ended. Who hung up, Twilio does not say.
func endReason(status string, l leg) eventv1.EndReason {
	switch status {
	case failed:
		return eventv1.EndReason_END_REASON_ERROR
	case busy, noAnswer:
		return eventv1.EndReason_END_REASON_SYSTEM
	case canceled:
		if l.fromSide == eventv1.Side_SIDE_CUSTOMER {
			return eventv1.EndReason_END_REASON_CUSTOMER
		}
		return eventv1.EndReason_END_REASON_AGENT
	}
	return eventv1.EndReason_END_REASON_UNSPECIFIED
}

// earlier is a time before another one; nil where that is not known.
func earlier(at *timestamppb.Timestamp, by time.Duration) *timestamppb.Timestamp {
	if at == nil {
		return nil
	}
	if at = timestamppb.New(at.AsTime().Add(-by)); !at.IsValid() {
		return nil
	}
	return at
}
