package asterisk

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The states of a channel that matter: up means that it was answered.
const stateUp = "6"

func (r *reading) newChannel() {
	l := r.leg("")
	if l.root && !isInternal(l.channel) {
		r.started(l)
	}
}

// started tells that a call began with its first channel.
func (r *reading) started(l leg) {
	s := r.tell(event.TypeInteractionStarted, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}},
	})
	if s.GetOccurredAt() == nil {
		if seconds, _, ok := madeAt(l.id); ok {
			s.OccurredAt = timestamppb.New(time.Unix(seconds, 0)) // the id says when the channel was made
		}
	}
	s.Actor = r.actor(l)
	s.Parties = append(s.Parties, r.legParty(l, eventv1.PartyRole_PARTY_ROLE_INITIATOR, l.side()))
	called, known := r.get("Exten"), dialable(r.get("Exten"))
	side := eventv1.Side_SIDE_COMPANY
	switch {
	case !l.company:
		s.Direction, s.Origin = eventv1.Direction_DIRECTION_INBOUND, eventv1.Origin_ORIGIN_INBOUND
	case known && r.sw.numbers.own(called):
		s.Direction, s.Origin = eventv1.Direction_DIRECTION_INTERNAL, eventv1.Origin_ORIGIN_INTERNAL
	case known:
		s.Direction, s.Origin = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_OUTBOUND
		side = eventv1.Side_SIDE_CUSTOMER
	}
	if known {
		s.Parties = append(s.Parties, r.party(called, "", eventv1.PartyRole_PARTY_ROLE_RECIPIENT, side))
	}
}

// newState tells that a call's first channel is up: the dialplan, an agent or, in a call that the switch began, the one who
// was called has answered. The other channels are told of by DialEnd.
func (r *reading) newState() {
	l := r.leg("")
	if r.need("ChannelState") != stateUp || !l.root || isInternal(l.channel) {
		return
	}
	s := r.tell(event.TypeCallAnswered, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{}},
	})
	s.Actor = systemActor()
}

func (r *reading) hangup() {
	l := r.leg("")
	r.need("Cause")
	if !l.root { // perhaps the first one of a call that an older one has taken up
		r.join(l.id, l.thread)
		return
	}
	if isInternal(l.channel) {
		return
	}
	cause := r.get("Cause")
	s := r.tell(event.TypeInteractionEnded, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
			Reason: endReason(cause), ProviderReason: strings.TrimSpace(cause + " " + r.get("Cause-txt")),
		}},
	})
	s.Actor = systemActor()
	s.Parties = append(s.Parties, r.legParty(l, eventv1.PartyRole_PARTY_ROLE_INITIATOR, l.side()))
}

// endReason reads a cause of ITU-T Q.850. A normal end does not say whose it was.
func endReason(cause string) eventv1.EndReason {
	switch cause {
	case "0", "16", "17", "18", "19", "21", "23", "26", "31", "127":
		return eventv1.EndReason_END_REASON_UNSPECIFIED
	}
	if n, err := strconv.Atoi(cause); err != nil || n < 0 {
		return eventv1.EndReason_END_REASON_UNSPECIFIED
	}
	return eventv1.EndReason_END_REASON_ERROR
}

// dialed adds who dials and who is dialled. A call that the switch began by itself has no calling channel.
func (r *reading) dialed(s *eventv1.Submission, caller *leg, called leg) {
	s.Actor = systemActor()
	calledSide := eventv1.Side_SIDE_COMPANY
	if caller != nil {
		s.Parties = append(s.Parties, r.legParty(*caller, eventv1.PartyRole_PARTY_ROLE_INITIATOR, caller.side()))
		s.Direction = eventv1.Direction_DIRECTION_INBOUND
	}
	switch {
	case called.company && (caller == nil || caller.company):
		s.Direction = eventv1.Direction_DIRECTION_INTERNAL
	case caller == nil:
		s.Direction, calledSide = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Side_SIDE_UNSPECIFIED
	case caller.company:
		s.Direction, calledSide = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Side_SIDE_CUSTOMER
	}
	s.Parties = append(s.Parties, r.legParty(called, eventv1.PartyRole_PARTY_ROLE_RECIPIENT, calledSide))
}

// dialing reads the channels of DialBegin and DialEnd.
func (r *reading) dialing() (thread string, caller *leg, called leg) {
	called = r.leg("Dest")
	if r.get("Uniqueid") == "" {
		return called.thread, nil, called
	}
	l := r.leg("")
	r.join(l.thread, called.thread)
	if older(called.thread, l.thread) {
		return called.thread, &l, called
	}
	return l.thread, &l, called
}

func (r *reading) dialBegin() {
	thread, caller, called := r.dialing()
	s := r.tell(event.TypeCallDialed, thread, called.id, &eventv1.Content{
		Body: &eventv1.Content_CallDialed{CallDialed: &eventv1.CallDialed{Dialed: r.get("DialString")}},
	})
	r.dialed(s, caller, called)
}

func (r *reading) dialEnd() {
	thread, caller, called := r.dialing()
	status := r.need("DialStatus")
	status, _, _ = strings.Cut(status, ":")
	var s *eventv1.Submission
	switch failure := dialFailure(status); {
	case status == "ANSWER":
		s = r.tell(event.TypeCallAnswered, thread, called.id, &eventv1.Content{
			Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{}},
		})
	case failure != 0:
		s = r.tell(event.TypeCallFailed, thread, called.id, &eventv1.Content{
			Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{Failure: failure, ProviderReason: status}},
		})
	default: // CONTINUE, GOTO: the caller went on
		return
	}
	r.dialed(s, caller, called)
}

func dialFailure(status string) eventv1.CallFailure {
	switch status {
	case "BUSY":
		return eventv1.CallFailure_CALL_FAILURE_BUSY
	case "NOANSWER":
		return eventv1.CallFailure_CALL_FAILURE_NO_ANSWER
	case "CANCEL", "ABORT":
		return eventv1.CallFailure_CALL_FAILURE_CANCELED
	case "CONGESTION":
		return eventv1.CallFailure_CALL_FAILURE_CONGESTION
	case "CHANUNAVAIL":
		return eventv1.CallFailure_CALL_FAILURE_ERROR
	}
	return 0
}

// dial is what AMI 1.x tells in place of DialBegin. Its end names the calling channel only, so it says nothing of the leg.
func (r *reading) dial() {
	if !strings.EqualFold(r.need("SubEvent"), "Begin") {
		return
	}
	caller := r.leg("")
	called := leg{id: r.need("DestUniqueid"), channel: r.get("Destination"), number: r.get("ConnectedLineNum"), name: r.get("ConnectedLineName")}
	_, agent := r.sw.agents[device(called.channel)]
	called.company = agent || r.sw.numbers.own(called.number)
	r.join(caller.id, called.id)
	s := r.tell(event.TypeCallDialed, caller.thread, called.id, &eventv1.Content{
		Body: &eventv1.Content_CallDialed{CallDialed: &eventv1.CallDialed{Dialed: r.get("Dialstring")}},
	})
	r.dialed(s, &caller, called)
}

// bridge is what AMI 1.x tells when two channels are connected.
func (r *reading) bridge() {
	if strings.EqualFold(r.get("Bridgestate"), "Link") {
		r.join(r.need("Uniqueid1"), r.need("Uniqueid2"))
	}
}

func (r *reading) localBridge() {
	one, two := cmp.Or(r.get("LocalOneLinkedid"), r.get("Uniqueid1")), cmp.Or(r.get("LocalTwoLinkedid"), r.get("Uniqueid2"))
	if one == "" || two == "" {
		r.missing = append(r.missing, "LocalOneLinkedid or LocalTwoLinkedid")
	}
	r.join(one, two)
}

func (r *reading) pickup() {
	r.merge(r.need("Linkedid"), r.need("TargetLinkedid"))
}

func (r *reading) unpark() {
	r.merge(r.need("ParkeeLinkedid"), r.need("RetrieverLinkedid"))
}

// bridgeEnter tells of the third and every further one in a bridge, and joins the threads of those who were in calls of
// their own: a bridge gives all the oldest Linkedid. Conferences tell of themselves; in a holding bridge nobody meets.
func (r *reading) bridgeEnter() {
	l := r.leg("")
	r.join(l.id, l.thread)
	if r.meeting() >= 3 {
		r.joined(l, l.thread, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, 0)
	}
}

func (r *reading) bridgeLeave() {
	if l := r.leg(""); r.meeting() >= 2 { // who are left
		r.left(l, l.thread, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)
	}
}

// meeting is how many are in a bridge; none where it is no meeting.
func (r *reading) meeting() int {
	if r.get("BridgeCreator") == "ConfBridge" || r.get("BridgeTechnology") == "holding_bridge" || isInternal(r.get("Channel")) {
		return 0
	}
	n, err := strconv.Atoi(r.get("BridgeNumChannels"))
	if err != nil {
		return 0
	}
	return n
}

func (r *reading) conferenceJoin() {
	l := r.leg("")
	r.need("Conference")
	r.joined(l, l.thread, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, 0)
}

func (r *reading) conferenceLeave() {
	l := r.leg("")
	r.need("Conference")
	r.left(l, l.thread, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)
}

// spyStart tells of a supervisor in the thread of the call that is listened to. The supervisor's own call stays one by itself,
// since it may go through many calls. Whether ChanSpy whispers or barges is not told: its options are none of the event's.
func (r *reading) spyStart() {
	spyer, spyee := r.leg("Spyer"), r.leg("Spyee")
	r.joined(spyer, spyee.thread, eventv1.PartyRole_PARTY_ROLE_SUPERVISOR, eventv1.SupervisorMode_SUPERVISOR_MODE_MONITOR)
}

func (r *reading) spyStop() {
	spyer, spyee := r.leg("Spyer"), r.leg("Spyee")
	r.left(spyer, spyee.thread, eventv1.PartyRole_PARTY_ROLE_SUPERVISOR)
}

func (r *reading) joined(l leg, thread string, role eventv1.PartyRole, mode eventv1.SupervisorMode) {
	s := r.tell(event.TypePartyJoined, thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{SupervisorMode: mode}},
	})
	r.participant(s, l, role)
}

func (r *reading) left(l leg, thread string, role eventv1.PartyRole) {
	s := r.tell(event.TypePartyLeft, thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{}},
	})
	r.participant(s, l, role)
}

func (r *reading) participant(s *eventv1.Submission, l leg, role eventv1.PartyRole) {
	if role == eventv1.PartyRole_PARTY_ROLE_SUPERVISOR {
		l.company = true
	}
	s.Parties = append(s.Parties, r.legParty(l, role, l.side()))
	switch l.side() {
	case eventv1.Side_SIDE_UNSPECIFIED: // nobody knows
	default:
		s.Actor = r.actor(l)
	}
}

// recordingMute tells of silence in a recording, as while a card number is said. That only one of its directions is muted
// pauses it too.
func (r *reading) recordingMute() {
	l := r.leg("")
	if r.need("State") == "1" {
		s := r.tell(event.TypeRecordingPaused, l.thread, l.id, &eventv1.Content{
			Body: &eventv1.Content_RecordingPaused{RecordingPaused: &eventv1.RecordingPaused{Recording: l.id}},
		})
		s.Actor = systemActor()
		return
	}
	s := r.tell(event.TypeRecordingResumed, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_RecordingResumed{RecordingResumed: &eventv1.RecordingResumed{Recording: l.id}},
	})
	s.Actor = systemActor()
}

// recordingStop tells that a recording lies on the switch, under the id of its channel.
func (r *reading) recordingStop() {
	l := r.leg("")
	s := r.tell(event.TypeRecordingAvailable, l.thread, l.id, &eventv1.Content{
		Body: &eventv1.Content_RecordingAvailable{RecordingAvailable: &eventv1.RecordingAvailable{Recording: l.id}},
	})
	s.Actor = systemActor()
}

// varSet understands the two variables by which applications tell how they ended: VMSTATUS of VoiceMail and QUEUESTATUS of
// Queue.
func (r *reading) varSet() {
	switch strings.ToUpper(r.get("Variable")) {
	case "VMSTATUS":
		l := r.leg("")
		if r.get("Value") != "SUCCESS" {
			return
		}
		s := r.tell(event.TypeVoicemailLeft, l.thread, l.id, &eventv1.Content{
			Body: &eventv1.Content_VoicemailLeft{VoicemailLeft: &eventv1.VoicemailLeft{}},
		})
		s.Actor = r.actor(l)
		s.Parties = append(s.Parties, r.legParty(l, eventv1.PartyRole_PARTY_ROLE_INITIATOR, l.side()))
	case "QUEUESTATUS":
		l := r.leg("")
		if r.get("Value") == "" { // as a queue begins
			return
		}
		s := r.tell(event.TypeInteractionAttributesUpdated, l.thread, l.id, &eventv1.Content{
			Body: &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{
				Attributes: map[string]string{"asterisk.queue_status": r.get("Value")},
			}},
		})
		s.Actor = systemActor()
	}
}
