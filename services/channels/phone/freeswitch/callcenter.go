package freeswitch

import (
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// callcenter reads the events of mod_callcenter
// (https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_callcenter_1049389).
func (b *book) callcenter(o occurrence) ([]*eventv1.Submission, error) {
	switch action := o.Get("CC-Action"); action {
	case "member-queue-start", "member-queue-resume", "member-queue-end", "agent-offering", "bridge-agent-start", "bridge-agent-end", "bridge-agent-fail":
		if o.Get("CC-Member-UUID") == "" || o.Get("CC-Member-Session-UUID") == "" || o.Get("CC-Queue") == "" {
			return nil, fmt.Errorf("%s without queue, member or session", action)
		}
		return b.visit(o, action)
	case "agent-status-change", "agent-state-change":
		if o.Get("CC-Agent") == "" {
			return nil, fmt.Errorf("%s without an agent", action)
		}
		return b.agentChanged(o, action), nil
	}
	return nil, nil // members-count, and what only answers a question (agent-status-get)
}

func (b *book) visit(o occurrence, action string) ([]*eventv1.Submission, error) {
	session, member, name := o.Get("CC-Member-Session-UUID"), o.Get("CC-Member-UUID"), o.Get("CC-Agent")
	s := o.submission("", session, inbound)
	s.Queue, s.Visit = o.Get("CC-Queue"), member
	switch action {
	case "member-queue-start", "member-queue-resume":
		s.Type = event.TypeQueueEntered
		number := o.Get("CC-Member-CID-Number")
		if o.Get("Caller-Privacy-Hide-Number") == "true" {
			number = ""
		}
		s.Parties = b.member(number, o.Get("CC-Member-CID-Name"))
		s.Content = &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}}
		return []*eventv1.Submission{s}, nil
	case "member-queue-end":
		outcome, target := leftBy(o)
		if outcome == eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED {
			return nil, nil // bridge-agent-start has said so
		}
		s.Type = event.TypeQueueLeft
		s.Content = &eventv1.Content{Body: &eventv1.Content_QueueLeft{QueueLeft: &eventv1.QueueLeft{Outcome: outcome, Target: target}}}
		return []*eventv1.Submission{s}, nil
	}
	if name == "" {
		return nil, errors.New(action + " without an agent")
	}
	s.Assignment, s.Actor = assignment(member, name), agent(b.agentOf(name))
	all := []*eventv1.Submission{s}
	switch action {
	case "agent-offering":
		s.Type = event.TypeAssignmentOffered
		s.Content = &eventv1.Content{Body: &eventv1.Content_AssignmentOffered{AssignmentOffered: &eventv1.AssignmentOffered{}}}
	case "bridge-agent-start":
		s.Type = event.TypeAssignmentConnected
		s.Content = &eventv1.Content{Body: &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}}}
		if leg := o.Get("CC-Agent-UUID"); leg != "" && leg != session && !o.standby() { // made as a call of its own
			all = append(all, joined(o, leg, session))
		}
	case "bridge-agent-end":
		s.Type = event.TypeAssignmentEnded
		s.Content = &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{Reason: talkEndedBy(o)}}}
	case "bridge-agent-fail":
		cause := o.Get("CC-Hangup-Cause")
		s.Type = event.TypeAssignmentDeclined
		s.Content = &eventv1.Content{Body: &eventv1.Content_AssignmentDeclined{AssignmentDeclined: &eventv1.AssignmentDeclined{
			Reason: declinedBy(cause), Detail: cause,
		}}}
	}
	return all, nil
}

// member is the one who waits.
func (b *book) member(number, name string) []*eventv1.SubmittedParty {
	side := customer
	if b.isOwn(number) {
		side = company
	}
	return []*eventv1.SubmittedParty{b.party(number, name, eventv1.PartyRole_PARTY_ROLE_INITIATOR, side)}
}

// leftBy says how a visit ended. BREAK_OUT is what the module says of everything that took the caller out: to hang up, or to be
// transferred, which the channel's data then tell.
func leftBy(o occurrence) (outcome eventv1.QueueOutcome, target string) {
	if o.Get("CC-Cause") != "Cancel" {
		return eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED, ""
	}
	switch o.Get("CC-Cancel-Reason") {
	case "TIMEOUT", "NO_AGENT_TIMEOUT", "EXIT_WITH_KEY", "DROPPED":
		return eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, ""
	case "BREAK_OUT":
		history := transfersOf(o)
		if len(history) > 0 && o.Get("Answer-State") != "hangup" && o.Get("Channel-Call-State") != "HANGUP" {
			return eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED, history[len(history)-1].target
		}
		return eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED, ""
	case "NONE": // the caller hung up while an agent picked up, who was connected all the same
		return eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED, ""
	}
	return eventv1.QueueOutcome_QUEUE_OUTCOME_UNSPECIFIED, ""
}

// talkEndedBy reads the agent's channel, which the event holds.
func talkEndedBy(o occurrence) eventv1.EndReason {
	if reason := endReasonOf(o.Get("Hangup-Cause")); reason != eventv1.EndReason_END_REASON_UNSPECIFIED {
		return reason
	}
	switch o.Get("variable_sip_hangup_disposition") {
	case "recv_bye":
		return eventv1.EndReason_END_REASON_AGENT
	case "send_bye":
		return eventv1.EndReason_END_REASON_CUSTOMER
	}
	return eventv1.EndReason_END_REASON_UNSPECIFIED
}

func declinedBy(cause string) eventv1.DeclineReason {
	switch cause {
	case "CALL_REJECTED", "USER_BUSY":
		return eventv1.DeclineReason_DECLINE_REASON_REJECTED
	case "NO_ANSWER", "NO_USER_RESPONSE", "ALLOTTED_TIMEOUT", "PROGRESS_TIMEOUT":
		return eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT
	case "ORIGINATOR_CANCEL", "LOSE_RACE", "PICKED_OFF":
		return eventv1.DeclineReason_DECLINE_REASON_CANCELLED
	}
	return eventv1.DeclineReason_DECLINE_REASON_UNSPECIFIED
}

// agentChanged: the status is what the agent chose, the state what the module made of it. Receiving and Reserved stand between
// two states that count and give no event.
func (b *book) agentChanged(o occurrence, action string) []*eventv1.Submission {
	name := o.Get("CC-Agent")
	s := o.submission("", "agent/"+name, internal)
	s.Actor = agent(b.agentOf(name))
	if action == "agent-state-change" {
		status, ok := map[string]eventv1.RoutingStatus{
			"Idle":            eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE,
			"Waiting":         eventv1.RoutingStatus_ROUTING_STATUS_IDLE,
			"In a queue call": eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING,
		}[o.Get("CC-Agent-State")]
		if !ok {
			return nil
		}
		s.Type = event.TypeAgentRoutingStatusChanged
		s.Content = &eventv1.Content{Body: &eventv1.Content_AgentRoutingStatusChanged{AgentRoutingStatusChanged: &eventv1.AgentRoutingStatusChanged{Status: status}}}
		return []*eventv1.Submission{s}
	}
	p := &eventv1.AgentPresenceChanged{}
	switch status := o.Get("CC-Agent-Status"); status {
	case "Available":
		p.Presence, p.Type = "Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE
	case "Available (On Demand)":
		p.Presence, p.Type, p.Reason = "Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE, status
	case "On Break":
		p.Presence, p.Type = "Break", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM
	case "Logged Out":
		p.Presence, p.Type = "Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	default:
		p.Presence = status
	}
	s.Type = event.TypeAgentPresenceChanged
	s.Content = &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: p}}
	return []*eventv1.Submission{s}
}
