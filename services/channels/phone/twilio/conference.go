package twilio

import (
	"fmt"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// participant is who takes part in a conference, as far as its webhook tells.
type participant struct {
	sid, label, id string
	role           eventv1.PartyRole
	side           eventv1.Side
	mode           eventv1.SupervisorMode
	agent          bool
}

// participant reads who a status callback is about.
func (r *reading) participant() (participant, error) {
	sid, err := r.sid("CallSid", "CA")
	if err != nil {
		return participant{}, err
	}
	p := participant{sid: sid, label: r.get("ParticipantLabel"), role: eventv1.PartyRole_PARTY_ROLE_PARTICIPANT}
	kind, id, _ := strings.Cut(p.label, ":")
	p.id = actorID(id)
	supervisor := false
	switch {
	case isSID(p.label, "WK"):
		p.id, p.agent = p.label, true
	case strings.EqualFold(kind, "customer"):
		p.side = eventv1.Side_SIDE_CUSTOMER
	case strings.EqualFold(kind, "agent"):
		p.agent = true
	case strings.EqualFold(kind, "supervisor"):
		supervisor = true
	case strings.EqualFold(kind, "transfer"):
		p.role = eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET
	case p.label == "":
		supervisor = r.is("Coaching") || r.is("Muted") && r.get("StatusCallbackEvent") == "participant-join"
	}
	switch {
	case p.agent:
		p.side = eventv1.Side_SIDE_COMPANY
	case supervisor:
		p.side, p.role, p.mode = eventv1.Side_SIDE_COMPANY, eventv1.PartyRole_PARTY_ROLE_SUPERVISOR, eventv1.SupervisorMode_SUPERVISOR_MODE_BARGE
		if r.is("Coaching") {
			p.mode = eventv1.SupervisorMode_SUPERVISOR_MODE_WHISPER
		} else if r.is("Muted") {
			p.mode = eventv1.SupervisorMode_SUPERVISOR_MODE_MONITOR
		}
	}
	return p, nil
}

func (p participant) actor() *eventv1.SubmittedActor {
	switch p.side {
	case eventv1.Side_SIDE_COMPANY:
		return agent(p.id)
	case eventv1.Side_SIDE_CUSTOMER:
		return actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
	default:
		return nil
	}
}

// conference reads a status callback of a conference
// (https://www.twilio.com/docs/voice/twiml/conference#attributes-status-callback).
func (r *reading) conference() ([]*eventv1.Submission, error) {
	conference, err := r.sid("ConferenceSid", "CF")
	if err != nil {
		return nil, err
	}
	name, what := r.get("FriendlyName"), r.get("StatusCallbackEvent")
	root := ""
	if isSID(name, "CA") || isSID(name, "WT") {
		root = name
	}
	switch what {
	case "conference-start", "conference-end":
		if root != "" {
			return []*eventv1.Submission{joined(conference, root)}, nil
		}
		return nil, nil
	case "announcement-end", "announcement-fail", "participant-speech-start", "participant-speech-stop":
		return nil, nil
	case "":
		if r.get("EventName") == "conference-record-end" { // its recording's own callback tells more
			return nil, nil
		}
	}
	p, err := r.participant()
	if err != nil {
		return nil, err
	}
	c := conferenceEvent{
		reading: r, participant: p, conference: conference, root: root, thread: p.sid,
		native: conference + "/" + r.get("SequenceNumber") + "/" + what,
	}
	if isSID(name, "CA") {
		c.thread = name
	}
	if !r.has("SequenceNumber") {
		c.native = conference + "/" + p.sid + "/" + what + "/" + r.get("Timestamp")
	}
	return c.read(what)
}

// conferenceEvent is what happens with a participant of a conference.
type conferenceEvent struct {
	*reading
	participant
	conference, root, thread, native string
	all                              []*eventv1.Submission
}

func (c *conferenceEvent) read(what string) ([]*eventv1.Submission, error) {
	switch what {
	case "participant-join":
		c.join()
		c.joinThreads()
	case "participant-leave":
		if c.get("ReasonParticipantLeft") != "participant_add_failed" { // such a one never came; its call's status tells why
			c.leave()
		}
	case "participant-hold":
		c.hold(event.TypeAssignmentHeld)
	case "participant-unhold":
		c.hold(event.TypeAssignmentUnheld)
	case "participant-modify", "participant-mute", "participant-unmute":
		if c.mode != eventv1.SupervisorMode_SUPERVISOR_MODE_UNSPECIFIED {
			c.join()
		}
	default:
		return nil, fmt.Errorf("%q is no event of a conference", what)
	}
	return c.all, nil
}

func (c *conferenceEvent) add(typ string, content *eventv1.Content) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_VOICE, Thread: c.thread, NativeId: c.native,
		OccurredAt: c.at("Timestamp"), Actor: c.actor(), Content: content,
	}
	c.all = append(c.all, s)
	return s
}

func (c *conferenceEvent) parties() []*eventv1.SubmittedParty {
	_, name, _ := strings.Cut(c.label, ":")
	if isSID(name, "WK") { // it is the actor's id
		name = ""
	}
	return []*eventv1.SubmittedParty{{Role: c.role, Side: c.side, DisplayName: name}}
}

// join tells that someone came in, or, of a supervisor, that the way of taking part is another one now.
func (c *conferenceEvent) join() {
	c.add(event.TypePartyJoined, &eventv1.Content{Body: &eventv1.Content_PartyJoined{
		PartyJoined: &eventv1.PartyJoined{SupervisorMode: c.mode},
	}}).Parties = c.parties()
	if c.agent && !c.TaskRouter {
		c.add(event.TypeAssignmentConnected, nil).Assignment = c.sid
	}
}

// joinThreads puts a participant's call and the conference where they belong, as far as they are not known to.
func (c *conferenceEvent) joinThreads() {
	isCustomer := c.side == eventv1.Side_SIDE_CUSTOMER
	isOther := c.side == eventv1.Side_SIDE_COMPANY || c.role == eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET
	switch {
	case c.root != "":
		c.all = append(c.all, joined(c.conference, c.root))
		if c.root != c.sid && (isOther || c.thread == c.root) {
			c.all = append(c.all, joined(c.sid, c.root))
		}
	case isCustomer:
		c.all = append(c.all, joined(c.conference, c.sid))
	case isOther:
		c.all = append(c.all, joined(c.sid, c.conference))
	}
}

func (c *conferenceEvent) leave() {
	reason := eventv1.EndReason_END_REASON_UNSPECIFIED
	switch c.get("ReasonParticipantLeft") {
	case "participant_hung_up":
		switch c.side {
		case eventv1.Side_SIDE_CUSTOMER:
			reason = eventv1.EndReason_END_REASON_CUSTOMER
		case eventv1.Side_SIDE_COMPANY:
			reason = eventv1.EndReason_END_REASON_AGENT
		default:
		}
	case "participant_updated_via_api":
		reason = eventv1.EndReason_END_REASON_TRANSFER
	case "moderator_ended_conference", "conference_ended_via_api":
		reason = eventv1.EndReason_END_REASON_SYSTEM
	}
	c.add(event.TypePartyLeft, &eventv1.Content{Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{Reason: reason}}}).Parties = c.parties()
	if c.agent && !c.TaskRouter {
		c.add(event.TypeAssignmentEnded, &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{
			AssignmentEnded: &eventv1.AssignmentEnded{Reason: reason},
		}}).Assignment = c.sid
	}
}

// hold tells that the customer waits, or no longer. Which assignment it is, the webhook does not say: the one in that thread.
// Someone of the company who is put on hold is not told of.
func (c *conferenceEvent) hold(typ string) {
	if c.side != eventv1.Side_SIDE_COMPANY && c.role != eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET {
		c.add(typ, nil).Actor = agent("")
	}
}
