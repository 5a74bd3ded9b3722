package board

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// agent is an agent of the directory, or one whom events name.
type agent struct {
	row
	entry   *eventv1.DirectoryAgent // nil where the directory has none at present
	name    string
	removed bool // the directory had one
	state   *agentv1.AgentState
	told    bool // since all are told anew
	made    *boardv1.AgentRow

	counts standing
	queues []*queue  // those that the agent takes from, in order
	teams  []*team   // in order
	parted []parting // the last ones
}

// standing is how an agent counts.
type standing struct {
	presence eventv1.PresenceType
	status   eventv1.RoutingStatus
	contacts []share
	inHand   int // connected
}

// share is what an agent has in hand of a queue.
type share struct {
	queue *queue
	load
}

// maxParted is how many partings of an agent are remembered.
const maxParted = 16

// parting is when an agent left a team.
type parting struct {
	team    string
	version uint64
}

func newAgent(id string) *agent {
	a := &agent{counts: standing{presence: eventv1.PresenceType_PRESENCE_TYPE_OFFLINE, status: eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE}}
	a.row = row{kind: agentKind, id: id, body: a}
	return a
}

// shows: an agent whom the directory has removed is there as long as there is something in hand.
func (a *agent) shows() bool {
	if a.entry != nil || a.state == nil {
		return a.entry != nil
	}
	return !a.removed || slices.ContainsFunc(a.state.GetContacts(), inHand)
}

func inHand(c *agentv1.Contact) bool {
	switch c.GetState() {
	case agentv1.ContactState_CONTACT_STATE_MISSED, agentv1.ContactState_CONTACT_STATE_REJECTED, agentv1.ContactState_CONTACT_STATE_ERROR:
		return false
	default:
		return true
	}
}

func (a *agent) idle() bool { return a.entry == nil && a.state == nil }

func (a *agent) message() proto.Message { return a.made }

// make makes the row anew, and reports whether it is another one.
func (a *agent) make() bool {
	p := a.state.GetPresence()
	m := &boardv1.AgentRow{
		AgentId: a.id, Name: a.name, Teams: a.entry.GetTeams(), Presence: p.GetPresence(), PresenceType: a.counts.presence,
		PresenceSince: p.GetSince(), Reason: p.GetReason(), Vanished: p.GetVanished(), RoutingStatus: a.counts.status,
		RoutingStatusSince: a.state.GetRoutingStatusSince(), Contacts: a.state.GetContacts(),
	}
	if a.shown == a.shows() && proto.Equal(a.made, m) {
		return false
	}
	a.made = m
	return true
}

// partedSince reports whether the agent left one of some teams behind a version.
func (a *agent) partedSince(teams map[string]struct{}, version uint64) bool {
	return slices.ContainsFunc(a.parted, func(p parting) bool {
		_, asked := teams[p.team]
		return asked && p.version > version
	})
}

// team is a team of the directory, or one that agents name.
type team struct {
	row
	entry    *eventv1.DirectoryTeam // nil where the directory has none at present
	agents   int
	presence map[eventv1.PresenceType]int
	status   map[eventv1.RoutingStatus]int
	inHand   int
}

func newTeam(id string) *team {
	t := &team{presence: map[eventv1.PresenceType]int{}, status: map[eventv1.RoutingStatus]int{}}
	t.row = row{kind: teamKind, id: id, body: t}
	return t
}

func (t *team) shows() bool { return t.entry != nil }

func (t *team) idle() bool { return t.entry == nil && t.agents == 0 }

// count counts an agent, n times: once, or -1 times.
func (t *team) count(s *standing, n int) {
	t.agents += n
	t.presence[s.presence] += n
	t.status[s.status] += n
	t.inHand += n * s.inHand
}

func (t *team) message() proto.Message {
	m := &boardv1.TeamRow{
		Team: t.id, Name: t.entry.GetName(), Agents: int32(t.agents), InContact: int32(t.inHand),
		PresenceTypes: map[string]int32{}, RoutingStatuses: map[string]int32{},
	}
	for p, n := range t.presence {
		if n > 0 {
			m.PresenceTypes[strings.TrimPrefix(p.String(), "PRESENCE_TYPE_")] = int32(n)
		}
	}
	for s, n := range t.status {
		if n > 0 {
			m.RoutingStatuses[strings.TrimPrefix(s.String(), "ROUTING_STATUS_")] = int32(n)
		}
	}
	return m
}
