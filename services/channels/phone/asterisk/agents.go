package asterisk

import (
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// agent is an agent's id: the first of some names that is configured, else the first one as it is.
func (l *line) agent(names ...string) string {
	for _, name := range names {
		if id := l.agents[strings.TrimSuffix(name, "/n")]; id != "" {
			return id
		}
	}
	for _, name := range names {
		if name != "" {
			return asID(strings.TrimSuffix(name, "/n"))
		}
	}
	return ""
}

// asID replaces what an id must not hold.
func asID(name string) string {
	return upTo(strings.Map(func(c rune) rune {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.ContainsRune("._:/@+-", c):
			return c
		}
		return '_'
	}, name), 128)
}

// member is the agent that a queue's member is. Its interface is what it is reached by; its location is the name of that in
// older events, and in lists.
func (r *reading) member() string {
	id := r.sw.agent(r.get("Interface"), r.get("Location"), r.get("MemberName"), r.get("Name"), r.get("StateInterface"))
	if id == "" {
		r.missing = append(r.missing, "Interface")
	}
	return id
}

// about adds an event of an agent.
func (r *reading) about(agent, typ string, content *eventv1.Content) {
	id := agent
	if system := r.get("SystemName"); system != "" {
		id = system + "/" + id // several switches may share an inbox
	}
	if queue := r.get("Queue"); queue != "" {
		id += "/" + queue
	}
	s := r.tell(typ, "agent/"+agent, id, content)
	s.Channel, s.Queue, s.Actor = eventv1.Channel_CHANNEL_VOICE, upTo(r.get("Queue"), 128), agentActor(agent)
}

func (r *reading) presence(agent, presence string, typ eventv1.PresenceType, reason string) {
	r.about(agent, event.TypeAgentPresenceChanged, &eventv1.Content{
		Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: &eventv1.AgentPresenceChanged{
			Presence: presence, Type: typ, Reason: reason,
		}},
	})
}

func (r *reading) routing(agent string, status eventv1.RoutingStatus) {
	r.about(agent, event.TypeAgentRoutingStatusChanged, &eventv1.Content{
		Body: &eventv1.Content_AgentRoutingStatusChanged{AgentRoutingStatusChanged: &eventv1.AgentRoutingStatusChanged{Status: status}},
	})
}

// agentLogin is of an agent of the agent pool, whose member name in queues is Agent/ and its id.
func (r *reading) agentLogin() {
	id := r.need("Agent")
	r.presence(r.sw.agent("Agent/"+id, id), "Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE, "")
}

func (r *reading) agentLogoff() {
	id := r.need("Agent")
	r.presence(r.sw.agent("Agent/"+id, id), "Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE, "")
}

func (r *reading) memberAdded() {
	r.need("Queue")
	agent := r.member()
	r.pause(agent)
	if status := r.routingStatus(); status != 0 {
		r.routing(agent, status)
	}
}

// memberRemoved takes an agent for off queue. That it may still be in another queue, this event does not tell; the next
// status of the member does.
func (r *reading) memberRemoved() {
	r.need("Queue")
	r.routing(r.member(), eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE)
}

func (r *reading) memberPause() {
	r.need("Queue")
	r.need("Paused")
	r.pause(r.member())
}

// pause tells a presence: on queue, or what the reason of the pause says.
func (r *reading) pause(agent string) {
	if r.get("Paused") != "1" {
		r.presence(agent, "On queue", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE, "")
		return
	}
	reason, presence := r.get("PausedReason"), "Away"
	if reason == "" {
		reason = r.get("Reason")
	}
	for _, standard := range []string{"Busy", "Away", "Break", "Meal", "Meeting", "Training", "Out of office"} {
		if strings.EqualFold(standard, reason) {
			presence, reason = standard, ""
			break
		}
	}
	r.presence(agent, presence, eventv1.PresenceType_PRESENCE_TYPE_CUSTOM, reason)
}

func (r *reading) memberStatus() {
	r.need("Queue")
	r.need("Status")
	agent := r.member()
	if status := r.routingStatus(); status != 0 {
		r.routing(agent, status)
	}
}

// routingStatus reads a member's device state (AST_DEVICE_*); none where it says nothing new: unknown, or ringing, which the
// offer tells.
func (r *reading) routingStatus() eventv1.RoutingStatus {
	switch r.get("Status") {
	case "1": // not in use
		if r.get("Paused") == "1" {
			return eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
		}
		return eventv1.RoutingStatus_ROUTING_STATUS_IDLE
	case "2", "3", "7", "8": // in use, busy, ringing in use, on hold
		if r.get("InCall") == "0" {
			return eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING
		}
		return eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING
	case "4", "5": // invalid, unavailable
		return eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	}
	return 0
}
