package supervision

import (
	"context"
	"slices"
	"time"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// state is what an agent does, in one word: presence, routing status and contacts in hand taken together.
type state string

// The states, in the order in which a supervisor looks at them.
const (
	vanished      state = "vanished"
	notResponding state = "not-responding"
	onHold        state = "hold"
	ringing       state = "ringing"
	onContact     state = "contact"
	otherCall     state = "other"
	wrapUp        state = "wrap-up"
	available     state = "available"
	away          state = "away"
	offline       state = "offline"
)

func everyState() []state {
	return []state{vanished, notResponding, onHold, ringing, onContact, otherCall, wrapUp, available, away, offline}
}

// stateOf is the state of an agent with contacts in hand that are so far.
func stateOf(presence eventv1.PresenceType, lost bool, routing eventv1.RoutingStatus, contacts []agentv1.ContactState) state {
	has := func(s agentv1.ContactState) bool { return slices.Contains(contacts, s) }
	signedOut := presence == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	switch {
	case lost:
		return vanished
	case routing == eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING:
		return notResponding
	case has(agentv1.ContactState_CONTACT_STATE_CONNECTED), has(agentv1.ContactState_CONTACT_STATE_CONNECTING):
		if routing == eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING {
			return otherCall
		}
		return onContact
	case has(agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD):
		return onHold
	case signedOut:
		return offline // after-call work that nobody ended does not keep anybody here
	case has(agentv1.ContactState_CONTACT_STATE_ENDED):
		return wrapUp
	case has(agentv1.ContactState_CONTACT_STATE_INCOMING), has(agentv1.ContactState_CONTACT_STATE_PENDING):
		return ringing
	case routing == eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING:
		return onContact
	case routing == eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING:
		return otherCall
	case routing == eventv1.RoutingStatus_ROUTING_STATUS_IDLE:
		return available
	}
	return away
}

// rowState is the state of an agent on the board, and since when.
func rowState(a *boardv1.AgentRow) (state, time.Time) {
	states := make([]agentv1.ContactState, len(a.GetContacts()))
	for i, c := range a.GetContacts() {
		states[i] = c.GetState()
	}
	s := stateOf(a.GetPresenceType(), a.GetVanished(), a.GetRoutingStatus(), states)
	since := a.GetRoutingStatusSince()
	switch s {
	case vanished, away, offline:
		since = a.GetPresenceSince()
	case onContact, otherCall, onHold, wrapUp, ringing:
		for i, c := range a.GetContacts() {
			if started := c.GetSince(); begins(s, states[i]) && started != nil {
				return s, started.AsTime() // the one that began first stands first
			}
		}
	case available, notResponding:
	}
	if since == nil {
		return s, time.Time{}
	}
	return s, since.AsTime()
}

// begins tells whether a contact that is so far is why an agent's state is so.
func begins(s state, c agentv1.ContactState) bool {
	switch s {
	case onContact, otherCall:
		return c == agentv1.ContactState_CONTACT_STATE_CONNECTED || c == agentv1.ContactState_CONTACT_STATE_CONNECTING
	case onHold:
		return c == agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD
	case wrapUp:
		return c == agentv1.ContactState_CONTACT_STATE_ENDED
	case ringing:
		return c == agentv1.ContactState_CONTACT_STATE_INCOMING || c == agentv1.ContactState_CONTACT_STATE_PENDING
	case vanished, notResponding, available, away, offline:
	}
	return false
}

// needsPerson tells whether somebody should look after an agent in a state.
func (s state) needsPerson() bool { return s == vanished || s == notResponding }

func (s state) name(ctx context.Context) string {
	switch s {
	case vanished:
		return lang.T(ctx, "Connection lost")
	case notResponding:
		return lang.T(ctx, "Does not respond")
	case onHold:
		return lang.T(ctx, "On hold")
	case ringing:
		return lang.T(ctx, "Rings")
	case onContact:
		return lang.T(ctx, "On contact")
	case otherCall:
		return lang.T(ctx, "On another call")
	case wrapUp:
		return lang.T(ctx, "After-call work")
	case available:
		return lang.T(ctx, "Available")
	case away:
		return lang.T(ctx, "Away")
	case offline:
		return lang.T(ctx, "Signed out")
	}
	return string(s)
}

// presenceName is a presence in words: those that every connector knows in the person's language, others as they are.
func presenceName(ctx context.Context, presence string) string {
	switch presence {
	case "Available":
		return lang.T(ctx, "Available")
	case "On queue":
		return lang.T(ctx, "On queue")
	case "Busy":
		return lang.T(ctx, "Busy")
	case "Away":
		return lang.T(ctx, "Away")
	case "Break":
		return lang.T(ctx, "Break")
	case "Meal":
		return lang.T(ctx, "Meal")
	case "Meeting":
		return lang.T(ctx, "Meeting")
	case "Training":
		return lang.T(ctx, "Training")
	case "Out of office":
		return lang.T(ctx, "Out of office")
	case "Offline":
		return lang.T(ctx, "Signed out")
	}
	return presence
}

// presences are those that the API knows the type of, but signing out, which is done otherwise.
func presences() []string {
	return []string{"Available", "On queue", "Busy", "Away", "Break", "Meal", "Meeting", "Training", "Out of office"}
}

// stateText is a state with what the agent chose to be, where that says more.
func stateText(ctx context.Context, s state, presence, reason string) string {
	text := s.name(ctx)
	if s == away && presence != "" {
		text = presenceName(ctx, presence)
	}
	if reason != "" && (s == away || s == offline) {
		text += " · " + reason
	}
	return text
}

func contactStateName(ctx context.Context, s agentv1.ContactState) string {
	switch s {
	case agentv1.ContactState_CONTACT_STATE_INCOMING:
		return lang.T(ctx, "Rings")
	case agentv1.ContactState_CONTACT_STATE_PENDING:
		return lang.T(ctx, "Call-back to be made")
	case agentv1.ContactState_CONTACT_STATE_CONNECTING:
		return lang.T(ctx, "Connecting")
	case agentv1.ContactState_CONTACT_STATE_CONNECTED:
		return lang.T(ctx, "Connected")
	case agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD:
		return lang.T(ctx, "On hold")
	case agentv1.ContactState_CONTACT_STATE_PAUSED:
		return lang.T(ctx, "Laid aside")
	case agentv1.ContactState_CONTACT_STATE_MISSED:
		return lang.T(ctx, "Missed")
	case agentv1.ContactState_CONTACT_STATE_REJECTED:
		return lang.T(ctx, "Declined")
	case agentv1.ContactState_CONTACT_STATE_ERROR:
		return lang.T(ctx, "Failed")
	case agentv1.ContactState_CONTACT_STATE_ENDED:
		return lang.T(ctx, "After-call work")
	case agentv1.ContactState_CONTACT_STATE_UNSPECIFIED:
	}
	return lang.T(ctx, "Unknown")
}

// stateFilter is which agents a page shows.
type stateFilter string

// The filters. Without one, those who are signed in.
const (
	signedIn   stateFilter = ""
	everybody  stateFilter = "all"
	inTrouble  stateFilter = "attention"
	ready      stateFilter = "available"
	busy       stateFilter = "busy"
	wrappingUp stateFilter = "wrap-up"
	notThere   stateFilter = "away"
	signedOut  stateFilter = "offline"
)

func stateFilters() []stateFilter {
	return []stateFilter{signedIn, inTrouble, ready, busy, wrappingUp, notThere, signedOut, everybody}
}

// lets tells whether a filter lets an agent in.
func (f stateFilter) lets(s state, alarmed bool) bool {
	switch f {
	case everybody:
		return true
	case inTrouble:
		return alarmed || s.needsPerson()
	case ready:
		return s == available
	case busy:
		return s == onContact || s == onHold || s == otherCall || s == ringing
	case wrappingUp:
		return s == wrapUp
	case notThere:
		return s == away
	case signedOut:
		return s == offline
	case signedIn:
	}
	return s != offline
}

func (f stateFilter) name(ctx context.Context) string {
	switch f {
	case everybody:
		return lang.T(ctx, "Everybody")
	case inTrouble:
		return lang.T(ctx, "Needs attention")
	case ready:
		return lang.T(ctx, "Available")
	case busy:
		return lang.T(ctx, "Busy")
	case wrappingUp:
		return lang.T(ctx, "After-call work")
	case notThere:
		return lang.T(ctx, "Away")
	case signedOut:
		return lang.T(ctx, "Signed out")
	case signedIn:
	}
	return lang.T(ctx, "Signed in")
}
