package freeswitch

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

// submissions says what an event of the switch means. What is of no interest gives none; an error says what is missing in one
// that would have been.
func (b *book) submissions(e esl.Event) ([]*eventv1.Submission, error) {
	o, err := occurrenceOf(e)
	if err != nil {
		return nil, err
	}
	name := o.Get("Event-Name")
	if name == "CUSTOM" {
		switch o.Get("Event-Subclass") {
		case "callcenter::info":
			return b.callcenter(o)
		case "conference::maintenance":
			return b.conference(o)
		case "vm::maintenance":
			return b.voicemail(o)
		}
		return nil, nil
	}
	read := map[string]func(occurrence) []*eventv1.Submission{
		"CHANNEL_CREATE": b.created, "CHANNEL_ANSWER": b.answered, "CHANNEL_HANGUP_COMPLETE": b.hungUp,
		"CHANNEL_BRIDGE": b.bridged,
		"CHANNEL_HOLD":   b.held, "CHANNEL_UNHOLD": b.held,
		"CHANNEL_EXECUTE": b.executed, "CHANNEL_EXECUTE_COMPLETE": b.executed,
		"MEDIA_BUG_START": b.overheard, "MEDIA_BUG_STOP": b.overheard, "RECORD_STOP": b.recorded,
	}[name]
	switch {
	case read == nil:
		return nil, nil
	case o.leg() == "":
		return nil, errors.New("the event has no Unique-ID")
	}
	return read(o), nil
}

// created: the first leg begins the interaction, each further one rings.
func (b *book) created(o occurrence) []*eventv1.Submission {
	s := b.sides(o)
	var all []*eventv1.Submission
	if o.first() {
		started := o.submission(event.TypeInteractionStarted, o.call(), s.direction)
		started.Parties = b.parties(s)
		started.Origin = map[eventv1.Direction]eventv1.Origin{
			inbound: eventv1.Origin_ORIGIN_INBOUND, outbound: eventv1.Origin_ORIGIN_OUTBOUND, internal: eventv1.Origin_ORIGIN_INTERNAL,
		}[s.direction]
		switch {
		case s.callerSide == customer:
			started.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
		case s.callersAgent != "":
			started.Actor = agent(s.callersAgent)
		default:
			started.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
		}
		all = append(all, started)
	}
	if !o.first() || o.alone() {
		dialed := o.submission(event.TypeCallDialed, o.call(), s.direction)
		dialed.Parties = b.callee(s)
		dialed.Content = &eventv1.Content{Body: &eventv1.Content_CallDialed{CallDialed: &eventv1.CallDialed{Dialed: s.callee}}}
		b.assign(dialed, o)
		all = append(all, dialed)
	}
	return all
}

// callee is the party that a leg rings at.
func (b *book) callee(s sides) []*eventv1.SubmittedParty { return b.parties(s)[1:] }

// assign says which visit and assignment an agent's leg of mod_callcenter is of.
func (b *book) assign(s *eventv1.Submission, o occurrence) {
	name, member := o.Get("variable_cc_agent"), o.Get("variable_cc_member_uuid")
	if o.Get("variable_cc_side") != "agent" || name == "" || member == "" {
		return
	}
	s.Queue, s.Visit, s.Assignment = o.Get("variable_cc_queue"), member, assignment(member, name)
}

// answered: a leg that the switch made was picked up. That the dialplan answers the caller is no pick-up: nobody did.
func (b *book) answered(o occurrence) []*eventv1.Submission {
	if o.first() && !o.alone() {
		return nil
	}
	s := b.sides(o)
	by := eventv1.AnsweredBy_ANSWERED_BY_UNSPECIFIED
	if o.Get("variable_cc_side") == "agent" || b.agent(s.callee, o.Get("variable_dialed_user")) != "" {
		by = eventv1.AnsweredBy_ANSWERED_BY_PERSON
	}
	switch o.Get("variable_amd_result") { // mod_amd
	case "HUMAN":
		by = eventv1.AnsweredBy_ANSWERED_BY_PERSON
	case "MACHINE":
		by = eventv1.AnsweredBy_ANSWERED_BY_MACHINE
	}
	a := o.submission(event.TypeCallAnswered, o.call(), s.direction)
	a.Parties = b.callee(s)
	a.Content = &eventv1.Content{Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{AnsweredBy: by}}}
	b.assign(a, o)
	return []*eventv1.Submission{a}
}

// hungUp: the first leg ends the interaction; a leg that the switch made and nobody answered has failed.
func (b *book) hungUp(o occurrence) []*eventv1.Submission {
	s := b.sides(o)
	all := b.transferred(o)
	if !o.first() {
		all = append(all, o.joined()...) // what a further leg was connected with last, perhaps in another call
	}
	if (!o.first() || o.alone()) && !o.happened("Caller-Channel-Answered-Time") {
		failed := o.submission(event.TypeCallFailed, o.call(), s.direction)
		failed.Parties = b.callee(s)
		cause := o.Get("Hangup-Cause")
		detail := o.First("variable_proto_specific_hangup_cause", "variable_sip_term_status")
		if detail != "" {
			detail = " (" + detail + ")"
		}
		failed.Content = &eventv1.Content{Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{
			Failure: failureOf(cause), ProviderReason: cause + detail,
		}}}
		b.assign(failed, o)
		all = append(all, failed)
	}
	if o.first() {
		ended := o.submission(event.TypeInteractionEnded, o.call(), s.direction)
		ended.Content = &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
			Reason: endedBy(o, s), ProviderReason: o.Get("Hangup-Cause"),
		}}}
		all = append(all, ended)
	}
	return all
}

// endedBy says who ended a call, from its first leg: the one at the leg, the one that it was connected with, or the switch.
func endedBy(o occurrence, s sides) eventv1.EndReason {
	if reason := endReasonOf(o.Get("Hangup-Cause")); reason != eventv1.EndReason_END_REASON_UNSPECIFIED {
		return reason
	}
	here, there := eventv1.EndReason_END_REASON_AGENT, eventv1.EndReason_END_REASON_AGENT
	if o.alone() && s.calleeSide == customer || !o.alone() && s.callerSide == customer {
		here = eventv1.EndReason_END_REASON_CUSTOMER
	} else if s.callerSide == customer || s.calleeSide == customer {
		there = eventv1.EndReason_END_REASON_CUSTOMER
	}
	switch o.Get("variable_sip_hangup_disposition") {
	case "recv_bye", "recv_cancel", "recv_refuse":
		return here
	case "send_bye", "send_cancel", "send_refuse":
		if o.happened("Caller-Channel-Bridged-Time") || o.First("variable_bridge_uuid", "variable_last_bridge_to", "variable_cc_agent_uuid") != "" {
			return there
		}
		return eventv1.EndReason_END_REASON_SYSTEM
	}
	return eventv1.EndReason_END_REASON_UNSPECIFIED
}

// endReasonOf is what a hang-up cause says by itself; unspecified where it is the normal one.
func endReasonOf(cause string) eventv1.EndReason {
	switch cause {
	case "", "NONE", "NORMAL_CLEARING", "NORMAL_UNSPECIFIED", "ORIGINATOR_CANCEL", "CALL_REJECTED", "USER_BUSY", "NO_ANSWER",
		"NO_USER_RESPONSE", "SUCCESS", "LOSE_RACE", "PICKED_OFF":
		return eventv1.EndReason_END_REASON_UNSPECIFIED
	case "BLIND_TRANSFER", "ATTENDED_TRANSFER", "REDIRECTION_TO_NEW_DESTINATION":
		return eventv1.EndReason_END_REASON_TRANSFER
	case "ALLOTTED_TIMEOUT", "PROGRESS_TIMEOUT", "MANAGER_REQUEST", "SYSTEM_SHUTDOWN", "USER_CHALLENGE":
		return eventv1.EndReason_END_REASON_SYSTEM
	}
	return eventv1.EndReason_END_REASON_ERROR
}

func failureOf(cause string) eventv1.CallFailure {
	switch cause {
	case "USER_BUSY":
		return eventv1.CallFailure_CALL_FAILURE_BUSY
	case "NO_ANSWER", "NO_USER_RESPONSE", "ALLOTTED_TIMEOUT", "PROGRESS_TIMEOUT":
		return eventv1.CallFailure_CALL_FAILURE_NO_ANSWER
	case "CALL_REJECTED":
		return eventv1.CallFailure_CALL_FAILURE_REJECTED
	case "ORIGINATOR_CANCEL", "LOSE_RACE", "PICKED_OFF", "NORMAL_CLEARING":
		return eventv1.CallFailure_CALL_FAILURE_CANCELED
	case "NORMAL_CIRCUIT_CONGESTION", "SWITCH_CONGESTION":
		return eventv1.CallFailure_CALL_FAILURE_CONGESTION
	case "":
		return eventv1.CallFailure_CALL_FAILURE_UNSPECIFIED
	}
	return eventv1.CallFailure_CALL_FAILURE_ERROR
}

func (b *book) bridged(o occurrence) []*eventv1.Submission {
	return append(b.transferred(o), o.joined()...)
}

// joined tells that two calls are one from now on.
func (o occurrence) joined() []*eventv1.Submission {
	child, parent, ok := o.join()
	if !ok {
		return nil
	}
	return []*eventv1.Submission{joined(o, child, parent)}
}

func joined(o occurrence, child, parent string) *eventv1.Submission {
	s := o.submission(event.TypeThreadJoined, child, eventv1.Direction_DIRECTION_UNSPECIFIED)
	s.Content = &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}}
	return s
}

// held: the channel of a hold is the telephone on which somebody pressed it. A customer who does so puts nobody of interest on
// hold. Outside of mod_callcenter the agent's leg is the assignment.
func (b *book) held(o occurrence) []*eventv1.Submission {
	s := b.sides(o)
	side, number := s.callerSide, s.caller
	if o.Get("Call-Direction") == "outbound" {
		side, number = s.calleeSide, s.callee
	}
	if side == customer {
		return nil
	}
	typ, content := event.TypeAssignmentHeld, &eventv1.Content{Body: &eventv1.Content_AssignmentHeld{AssignmentHeld: &eventv1.AssignmentHeld{}}}
	if o.Get("Event-Name") == "CHANNEL_UNHOLD" {
		typ, content = event.TypeAssignmentUnheld, &eventv1.Content{Body: &eventv1.Content_AssignmentUnheld{AssignmentUnheld: &eventv1.AssignmentUnheld{}}}
	}
	h := o.submission(typ, o.call(), s.direction)
	h.Content = content
	h.Assignment = o.leg()
	id := b.agent(number, o.Get("variable_dialed_user"), o.Get("Caller-Username"))
	if b.assign(h, o); h.GetVisit() != "" {
		id = b.agentOf(o.Get("variable_cc_agent"))
	}
	if id != "" {
		h.Actor = agent(id)
	}
	return []*eventv1.Submission{h}
}

// overheard: somebody listens in on the channel by eavesdrop or userspy. The event does not say who.
func (b *book) overheard(o occurrence) []*eventv1.Submission {
	if o.Get("Media-Bug-Function") != "eavesdrop" {
		return nil
	}
	s := o.submission(event.TypePartyJoined, o.call(), b.sides(o).direction)
	s.Content = &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{
		SupervisorMode: eventv1.SupervisorMode_SUPERVISOR_MODE_MONITOR,
	}}}
	if o.Get("Event-Name") == "MEDIA_BUG_STOP" {
		s.Type = event.TypePartyLeft
		s.Content = &eventv1.Content{Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{}}}
	}
	s.Parties = []*eventv1.SubmittedParty{{Role: eventv1.PartyRole_PARTY_ROLE_SUPERVISOR, Side: company}}
	return []*eventv1.Submission{s}
}

// recorded: the recording is on the switch's disk, under the path that is its id. The sound is not fetched.
func (b *book) recorded(o occurrence) []*eventv1.Submission {
	path := o.Get("Record-File-Path")
	if path == "" {
		return nil
	}
	r := &eventv1.RecordingAvailable{Recording: path}
	if ms, err := strconv.ParseInt(o.Get("variable_record_ms"), 10, 64); err == nil && ms > 0 && ms < 1<<40 {
		r.Duration = durationpb.New(time.Duration(ms) * time.Millisecond)
	} else if s := wholeSeconds(o.Get("variable_record_seconds")); s != nil {
		r.Duration = s
	}
	s := o.submission(event.TypeRecordingAvailable, o.call(), b.sides(o).direction)
	s.Content = &eventv1.Content{Body: &eventv1.Content_RecordingAvailable{RecordingAvailable: r}}
	return []*eventv1.Submission{s}
}

func wholeSeconds(stated string) *durationpb.Duration {
	n, err := strconv.ParseUint(stated, 10, 30)
	if err != nil || n == 0 {
		return nil
	}
	return durationpb.New(time.Duration(n) * time.Second)
}

// conference: who comes in and goes. The conference has an id of its own, under which the calls in it are joined.
func (b *book) conference(o occurrence) ([]*eventv1.Submission, error) {
	action := o.Get("Action")
	if action != "add-member" && action != "del-member" {
		return nil, nil
	}
	if o.leg() == "" {
		return nil, errors.New("the event of a conference has no Unique-ID")
	}
	sides := b.sides(o)
	number, name, side := sides.caller, sides.callerName, sides.callerSide
	if o.Get("Call-Direction") == "outbound" {
		number, name, side = sides.callee, sides.calleeName, sides.calleeSide
	}
	s := o.submission(event.TypePartyJoined, o.call(), sides.direction)
	s.Parties = []*eventv1.SubmittedParty{b.party(number, name, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, side)}
	if action == "del-member" {
		s.Type = event.TypePartyLeft
		s.Content = &eventv1.Content{Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{}}}
		return []*eventv1.Submission{s}, nil
	}
	s.Content = &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{}}}
	all := []*eventv1.Submission{s}
	if conference := o.Get("Conference-Unique-ID"); conference != "" && conference != o.call() {
		all = append(all, joined(o, o.call(), conference))
	}
	return all, nil
}

// voicemail: mod_voicemail's event need not hold the channel; the message's own id is the thread then.
func (b *book) voicemail(o occurrence) ([]*eventv1.Submission, error) {
	if o.Get("VM-Action") != "leave-message" {
		return nil, nil
	}
	thread := o.First("VM-UUID")
	if o.leg() != "" {
		thread = o.call()
	}
	if thread == "" {
		return nil, errors.New("the event of a voicemail has neither Unique-ID nor VM-UUID")
	}
	s := o.submission(event.TypeVoicemailLeft, thread, inbound)
	number := o.Get("VM-Caller-ID-Number")
	side := customer
	if b.isOwn(number) {
		side, s.Direction = company, internal
	}
	mailbox := o.Get("VM-User")
	if domain := o.Get("VM-Domain"); domain != "" {
		mailbox += "@" + domain
	}
	s.Parties = []*eventv1.SubmittedParty{
		b.party(number, o.Get("VM-Caller-ID-Name"), eventv1.PartyRole_PARTY_ROLE_INITIATOR, side),
		b.party(o.Get("VM-User"), mailbox, eventv1.PartyRole_PARTY_ROLE_RECIPIENT, company),
	}
	s.Content = &eventv1.Content{Body: &eventv1.Content_VoicemailLeft{VoicemailLeft: &eventv1.VoicemailLeft{
		Duration: wholeSeconds(o.Get("VM-Message-Len")),
	}}}
	return []*eventv1.Submission{s}, nil
}

func agent(id string) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: id}
}

// assignment is the native id of an agent's share in a visit. The switch gives none: an offer is named by the member and the agent.
func assignment(member, agent string) string { return cmp.Or(member, "-") + "/" + agent }
