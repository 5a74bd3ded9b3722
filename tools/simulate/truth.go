package simulate

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Everything is the horizon of who has seen the whole day.
const Everything = math.MaxInt64

// lookBack is how far back a routing status is followed.
const lookBack = int64(48 * time.Hour)

// State is what an agent does at a moment. Times are nanoseconds since 1970; 0 is none.
type State struct {
	Agent        *Agent
	Presence     Presence
	Connectors   []Presence // in order of their names
	Routing      eventv1.RoutingStatus
	RoutingSince int64
	Reported     bool
	Contacts     []InHand // by begin
	Room         map[string]Room
}

// Presence is chosen at a connector.
type Presence struct {
	Connector, Text   string
	Type              eventv1.PresenceType
	Reason, ChangedBy string
	Since             int64
	Vanished          bool
	// Several connectors have it in common: which one is named does not matter.
	Shared bool
}

// InHand is an assignment in an agent's hand.
type InHand struct {
	*Assignment
	State       agentv1.ContactState
	Since       int64
	Supervisors []*Supervision
	Weight      int32
}

// Room is room for work on a channel.
type Room struct{ Maximum, Used, Available int32 }

// indexed is what is known of an agent, to be looked up.
type indexed struct {
	connectors []*connector // in order of their names
	capacity   []*Statement
	moments    []int64 // at which something changes, but deadlines
	spoken     []int64 // statements of presence
}

type connector struct {
	name     string
	all      []int64 // moments of its events
	presence []*Statement
	routing  []*Statement
	beats    []*Statement
}

// index puts what is known of an agent in order.
func (a *Agent) index() {
	slices.SortFunc(a.Statements, func(x, y *Statement) int { return cmp.Compare(x.At, y.At) })
	slices.SortFunc(a.Assignments, func(x, y *Assignment) int {
		return cmp.Or(cmp.Compare(x.Begin(), y.Begin()), cmp.Compare(x.Number, y.Number))
	})
	known := map[string]*connector{}
	for _, st := range a.Statements {
		c := known[st.Connector]
		if c == nil {
			c = &connector{name: st.Connector}
			known[st.Connector] = c
		}
		at := []*connector{c}
		if st.Everywhere {
			at = slices.Collect(maps.Values(known))
		}
		for _, c := range at {
			c.all = append(c.all, st.At)
			switch st.Type {
			case event.TypeAgentPresenceChanged:
				c.presence = append(c.presence, st)
			case event.TypeAgentRoutingStatusChanged:
				c.routing = append(c.routing, st)
			case event.TypeAgentHeartbeat:
				c.beats = append(c.beats, st)
			}
		}
		switch st.Type {
		case event.TypeAgentPresenceChanged:
			a.spoken = append(a.spoken, st.At)
		case event.TypeAgentCapacityChanged:
			a.capacity = append(a.capacity, st)
		}
		a.moments = append(a.moments, st.At)
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		a.connectors = append(a.connectors, known[name])
	}
	type begun struct {
		at    int64
		share *Assignment
	}
	var things []begun // what lets a missed offer go
	for _, st := range a.spoken {
		things = append(things, begun{at: st})
	}
	for _, share := range a.Assignments {
		for _, at := range []int64{share.Offered, share.Accepted, share.Connected} {
			if at != 0 {
				things = append(things, begun{at, share})
			}
		}
		a.moments = append(a.moments, share.moments()...)
	}
	slices.SortFunc(things, func(x, y begun) int { return cmp.Compare(x.at, y.at) })
	slices.Sort(a.moments)
	a.moments = slices.Compact(a.moments)
	if len(a.moments) > 0 && a.moments[0] == 0 {
		a.moments = a.moments[1:]
	}
	for _, share := range a.Assignments {
		after := max(share.Declined, share.Ended)
		for n := sort.Search(len(things), func(n int) bool { return things[n].at > after }); n < len(things) && after != 0; n++ {
			if things[n].share != share {
				share.nextAnything = things[n].at
				break
			}
		}
		if n := sort.Search(len(a.spoken), func(n int) bool { return a.spoken[n] > share.WrapupStarted }); n < len(a.spoken) && share.WrapupStarted != 0 {
			share.nextStatement = a.spoken[n]
		}
		share.over = share.gone()
	}
}

func (a *Assignment) moments() []int64 {
	all := []int64{a.Offered, a.Declined, a.Accepted, a.Connected, a.Ended, a.WrapupStarted, a.WrapupEnded}
	for _, stretches := range [][]Stretch{a.Held, a.Paused} {
		for _, st := range stretches {
			all = append(all, st.From, st.Until)
		}
	}
	return all
}

// gone is from when on it is in nobody's hand for certain; 0 for never.
func (a *Assignment) gone() int64 {
	switch {
	case a.Declined != 0 && a.Decline == eventv1.DeclineReason_DECLINE_REASON_CANCELLED:
		return a.Declined
	case a.Declined != 0, a.failed():
		return a.nextAnything
	case a.Ended == 0:
		return 0
	case a.WrapupStarted == 0:
		return a.Ended
	case a.WrapupEnded != 0:
		return a.WrapupEnded
	}
	return a.nextStatement
}

func (a *Assignment) failed() bool {
	return a.Ended != 0 && a.Connected == 0 && a.Reason == eventv1.EndReason_END_REASON_ERROR
}

// upTo gives the last of those that are in order and not later than a moment; nil for none.
func upTo(all []*Statement, at int64) *Statement {
	if n := sort.Search(len(all), func(n int) bool { return all[n].At > at }); n > 0 {
		return all[n-1]
	}
	return nil
}

// at is the presence at a connector, of what is known up to a horizon; false where nothing is known of the connector.
func (c *connector) at(at, known int64) (Presence, bool) {
	limit := min(at, known)
	last := sort.Search(len(c.all), func(n int) bool { return c.all[n] > limit }) - 1
	if last < 0 {
		return Presence{}, false
	}
	p := Presence{Connector: c.name, Type: offline}
	if st := upTo(c.presence, limit); st != nil {
		p.Text, p.Type, p.Reason, p.ChangedBy, p.Since = st.Presence, st.Meaning, st.Reason, st.ChangedBy, st.At
	}
	if deadline := c.deadline(limit); deadline != 0 && c.all[last] < deadline && deadline <= at && p.Type != offline {
		p.Type, p.Vanished, p.Since = offline, true, deadline
	}
	return p, true
}

// deadline is until when it has promised to say something, by a moment; 0 for never.
func (c *connector) deadline(by int64) int64 {
	if beat := upTo(c.beats, by); beat != nil {
		return beat.At + int64(beat.Timeout) // all timeouts of a day are the same
	}
	return 0
}

// presence is what counts of the connectors' presences.
func chosen(all []Presence) Presence {
	best := Presence{Type: offline}
	for _, p := range all {
		switch in, before := p.Type != offline, best.Type != offline; {
		case in && !before, in == before && p.Since > best.Since:
			best = p
		case in == before && p.Since == best.Since && p.Since != 0:
			best.Shared = true
		}
	}
	return best
}

// stateOf is how far an agent is with an assignment, and since when; 0 where it is in nobody's hand.
func (a *Assignment) stateOf(at, known int64) (agentv1.ContactState, int64) {
	limit := min(at, known)
	has := func(t int64) bool { return t != 0 && t <= limit }
	none := agentv1.ContactState_CONTACT_STATE_UNSPECIFIED
	switch {
	case !has(a.Begin()), has(a.over):
		return none, 0
	case has(a.Declined):
		switch {
		case has(a.nextAnything):
		case a.Decline == eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT:
			return agentv1.ContactState_CONTACT_STATE_MISSED, a.Declined
		case a.Decline == eventv1.DeclineReason_DECLINE_REASON_REJECTED:
			return agentv1.ContactState_CONTACT_STATE_REJECTED, a.Declined
		}
		return none, 0
	case has(a.Ended):
		switch {
		case a.failed():
			if has(a.nextAnything) {
				return none, 0
			}
			return agentv1.ContactState_CONTACT_STATE_ERROR, a.Ended
		case !has(a.WrapupStarted), has(a.WrapupEnded), (a.WrapupEnded == 0 || a.WrapupEnded > known) && has(a.nextStatement):
			return none, 0
		}
		return agentv1.ContactState_CONTACT_STATE_ENDED, a.WrapupStarted
	case has(a.Connected):
		since := a.Connected
		for _, st := range a.Paused {
			if has(st.From) && !has(st.Until) {
				return agentv1.ContactState_CONTACT_STATE_PAUSED, st.From
			}
			if has(st.Until) {
				since = max(since, st.Until)
			}
		}
		for _, st := range a.Held {
			if has(st.From) && !has(st.Until) {
				return agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, st.From
			}
			if has(st.Until) {
				since = max(since, st.Until)
			}
		}
		return agentv1.ContactState_CONTACT_STATE_CONNECTED, since
	case has(a.Accepted):
		return agentv1.ContactState_CONTACT_STATE_CONNECTING, a.Accepted
	case a.Origin == eventv1.Origin_ORIGIN_CALLBACK:
		return agentv1.ContactState_CONTACT_STATE_PENDING, a.Offered
	}
	return agentv1.ContactState_CONTACT_STATE_INCOMING, a.Offered
}

// derived is the routing status that follows from presence and contacts.
func (a *Agent) derived(at, known int64) eventv1.RoutingStatus {
	var interacting, communicating, missed bool
	limit := min(at, known)
	for _, share := range a.Assignments {
		if share.Begin() > limit {
			break
		}
		if share.over != 0 && share.over <= limit {
			continue
		}
		switch state, _ := share.stateOf(at, known); state {
		case agentv1.ContactState_CONTACT_STATE_CONNECTING, agentv1.ContactState_CONTACT_STATE_CONNECTED,
			agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_ENDED:
			interacting = interacting || share.Queue != nil
			communicating = communicating || share.Queue == nil
		case agentv1.ContactState_CONTACT_STATE_MISSED:
			missed = true
		default:
		}
	}
	switch {
	case interacting:
		return eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING
	case communicating:
		return eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING
	case chosen(a.presences(at, known)).Type != routable:
		return eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	case missed:
		return eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING
	}
	return eventv1.RoutingStatus_ROUTING_STATUS_IDLE
}

func (a *Agent) presences(at, known int64) (all []Presence) {
	for _, c := range a.connectors {
		if p, ok := c.at(at, known); ok {
			all = append(all, p)
		}
	}
	return all
}

// changes are the moments up to one at which something may change, of what is known.
func (a *Agent) changes(from, to, known int64) []int64 {
	lo := sort.Search(len(a.moments), func(n int) bool { return a.moments[n] >= from })
	hi := sort.Search(len(a.moments), func(n int) bool { return a.moments[n] > min(to, known) })
	all := slices.Clone(a.moments[min(lo, hi):hi])
	for _, c := range a.connectors {
		for n, beat := range c.beats {
			if beat.At > known {
				break
			}
			deadline := beat.At + int64(beat.Timeout)
			if n+1 < len(c.beats) && c.beats[n+1].At <= known && c.beats[n+1].At < deadline {
				continue // kept
			}
			if deadline >= from && deadline <= to {
				all = append(all, deadline)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// StateAt is an agent's state at a moment, for who has seen the whole day.
func (d *Day) StateAt(a *Agent, at int64) State { return a.state(at, Everything) }

// StateBy is an agent's state at a moment, for who has seen the day up to another.
func (d *Day) StateBy(a *Agent, at, known int64) State { return a.state(at, known) }

// Present is an agent's present state, for who has seen the day up to a moment and whose clock shows a later one: deadlines go by that.
func (d *Day) Present(a *Agent, known, clock int64) State { return a.state(clock, known) }

func (a *Agent) state(at, known int64) State {
	s := a.what(at, known)
	s.route(at, known)
	s.room(min(at, known))
	return s
}

// what is the state without the routing status and room.
func (a *Agent) what(at, known int64) State {
	s := State{Agent: a, Connectors: a.presences(at, known), Room: map[string]Room{}}
	s.Presence = chosen(s.Connectors)
	limit := min(at, known)
	for _, share := range a.Assignments {
		state, since := share.stateOf(at, known)
		if state == agentv1.ContactState_CONTACT_STATE_UNSPECIFIED {
			continue
		}
		h := InHand{Assignment: share, State: state, Since: since, Weight: max(1, a.Capacity[channelName(share.Contact.Channel)].Weight)}
		for _, sup := range share.Contact.Supervisions {
			if sup.Stretch == share.Stretch && sup.From <= limit && (sup.Until == 0 || sup.Until > limit) {
				h.Supervisors = append(h.Supervisors, sup)
			}
		}
		s.Contacts = append(s.Contacts, h)
	}
	return s
}

// report finds a routing status that is reported.
func (s *State) report(at, known int64) bool {
	limit := min(at, known)
	for _, c := range s.Agent.connectors {
		if !slices.ContainsFunc(s.Connectors, func(p Presence) bool { return p.Connector == c.name && p.Type != offline }) {
			continue
		}
		st := upTo(c.routing, limit)
		if st == nil {
			continue
		}
		out := int64(0)
		for _, p := range c.presence {
			if p.At <= limit && p.Meaning == offline {
				out = p.At
			}
		}
		if st.At > out && st.At > s.RoutingSince {
			s.Reported, s.Routing, s.RoutingSince = true, st.Status, st.At
		}
	}
	return s.Reported
}

// route finds the routing status, and since when.
func (s *State) route(at, known int64) {
	if s.report(at, known) {
		return
	}
	s.Routing = s.Agent.derived(at, known)
	from := max(s.Presence.Since, at-lookBack)
	changes := s.Agent.changes(from, at, known)
	for n, change := range slices.Backward(changes) {
		if s.Agent.derived(change, known) != s.Routing {
			s.RoutingSince = changes[n+1]
			return
		}
	}
	if len(changes) > 0 || s.Presence.Since != 0 {
		s.RoutingSince = from
		if len(changes) > 0 && changes[0] > from && s.Agent.derived(from, known) != s.Routing {
			s.RoutingSince = changes[0]
		}
	}
}

func channelName(c eventv1.Channel) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CHANNEL_"))
}

// room finds the room for work.
func (s *State) room(limit int64) {
	for channel, slots := range s.Agent.Capacity {
		s.Room[channel] = Room{Maximum: slots.Maximum}
	}
	for _, st := range s.Agent.capacity {
		if st.At <= limit {
			for channel, most := range st.Maximum {
				s.Room[channel] = Room{Maximum: most}
			}
		}
	}
	for _, h := range s.Contacts {
		channel := channelName(h.Contact.Channel)
		room, ok := s.Room[channel]
		if !ok {
			room.Maximum = 1
		}
		switch h.State {
		case agentv1.ContactState_CONTACT_STATE_PAUSED, agentv1.ContactState_CONTACT_STATE_MISSED, agentv1.ContactState_CONTACT_STATE_REJECTED,
			agentv1.ContactState_CONTACT_STATE_ERROR:
		default:
			room.Used += h.Weight
		}
		s.Room[channel] = room
	}
	for channel, room := range s.Room {
		room.Available = max(0, room.Maximum-room.Used)
		s.Room[channel] = room
	}
}

// Interval is a stretch in which presence, routing status and contacts stayed as they were.
type Interval struct {
	From, Until int64
	State       State
}

// Intervals are what an agent did from a moment to another, without a gap.
func (d *Day) Intervals(a *Agent, from, until int64) (all []Interval) {
	moments := append([]int64{from}, a.changes(from+1, until-1, Everything)...)
	for n, at := range moments {
		to := until
		if n+1 < len(moments) {
			to = moments[n+1]
		}
		next := Interval{at, to, a.what(at, Everything)}
		if !next.State.report(at, Everything) {
			next.State.Routing = a.derived(at, Everything)
		}
		if len(all) > 0 && all[len(all)-1].State.same(&next.State) {
			all[len(all)-1].Until = to
			continue
		}
		all = append(all, next)
	}
	return all
}

// same tells whether two states are the same, whatever the moments since when.
func (s *State) same(o *State) bool {
	p, q := s.Presence, o.Presence
	return p.Text == q.Text && p.Type == q.Type && p.Reason == q.Reason && p.Vanished == q.Vanished && s.Routing == o.Routing &&
		slices.EqualFunc(s.Contacts, o.Contacts, func(x, y InHand) bool { return x.Assignment == y.Assignment && x.State == y.State })
}

// Totals are how long it was so.
type Totals struct {
	Type, Presence, Routing map[string]time.Duration
	OnContact               time.Duration
}

// Occupancy is the time on contact ÷ (time on contact + idle).
func (t Totals) Occupancy() float64 {
	idle := t.Routing["IDLE"]
	if t.OnContact+idle == 0 {
		return 0
	}
	return float64(t.OnContact) / float64(t.OnContact+idle)
}

// TotalsOf adds intervals up.
func TotalsOf(all []Interval) Totals {
	t := Totals{Type: map[string]time.Duration{}, Presence: map[string]time.Duration{}, Routing: map[string]time.Duration{}}
	for _, i := range all {
		takes := time.Duration(i.Until - i.From)
		p := i.State.Presence
		t.Type[strings.TrimPrefix(p.Type.String(), "PRESENCE_TYPE_")] += takes
		presence := p.Text
		if p.Vanished {
			presence = "Offline"
		}
		t.Presence[presence] += takes
		t.Routing[strings.TrimPrefix(i.State.Routing.String(), "ROUTING_STATUS_")] += takes
		if p.Type != offline && slices.ContainsFunc(i.State.Contacts, func(h InHand) bool {
			return h.State == agentv1.ContactState_CONTACT_STATE_CONNECTED || h.State == agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD ||
				h.State == agentv1.ContactState_CONTACT_STATE_ENDED
		}) {
			t.OnContact += takes
		}
	}
	return t
}
