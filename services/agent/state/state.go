package state

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/directory"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Lookback is how far a derived routing status is followed back, and for how long what was missed, refused or failed shows at most.
const Lookback int64 = 48 * 60 * 60 * 1e9

// Connector is what is known of an agent at a connector.
type Connector struct {
	Name string
	// First is when anything of it was known first.
	First int64
	// Standing is what was stated there before the History's statements.
	Standing Standing
	// Alive is when it had promised to say something, and had: in order, and none touches another. Whatever was promised ends when it was
	// heard of no more for as long as it said.
	Alive []Stretch
	// Signs are moments at which it was heard of without a promise, in order.
	Signs []int64
}

// History is what is known of an agent. It is not changed by what is asked of it, and safe for concurrent use then.
type History struct {
	// Agent is the id in the directory, or the one that events carry.
	Agent string
	Book  *directory.Book
	// Connectors are in order of their names.
	Connectors []Connector
	// Statements are those behind the connectors' Standing, in order.
	Statements []Statement
	// Shares are those that overlap what is asked for.
	Shares []Share
}

// At gives the state at a moment. The History's statements and shares must begin at Window or before.
func (h *History) At(t int64) *agentv1.AgentState { return h.state(t, t) }

// Present gives the state as everything makes it that is known, whatever its time; only deadlines of heartbeats use the clock. Like At, but
// for Window the end of time counts.
func (h *History) Present(now int64) *agentv1.AgentState { return h.state(now, endOfTime) }

// Window is from when on statements and shares are needed to tell the state at a moment.
func (h *History) Window(t int64) int64 { return h.window(t, t) }

// PresentWindow is Window of the present state.
func (h *History) PresentWindow(now int64) int64 { return h.window(now, endOfTime) }

func (h *History) window(at, until int64) int64 {
	s := newSweep(h, at)
	s.advance(until)
	return s.window(at)
}

// Deadline is when the present state changes next though nothing happens: when a connector has fallen silent. False where it does not.
func (h *History) Deadline(now int64) (at int64, ok bool) {
	at = never
	for i := range h.Connectors {
		if alive := h.Connectors[i].Alive; len(alive) > 0 && alive[len(alive)-1].Until > now {
			at = min(at, alive[len(alive)-1].Until)
		}
	}
	return at, at < never
}

func (h *History) state(at, until int64) *agentv1.AgentState {
	s := newSweep(h, at)
	s.advance(until)
	entry := h.Book.At(directory.Agent, h.Agent, at)
	out := &agentv1.AgentState{
		AgentId: h.Agent, Name: entry.GetAgent().GetName(), Teams: entry.GetAgent().GetTeams(),
		Removed: h.Book.Removed(directory.Agent, h.Agent, at), At: stamp(at), Capacity: map[string]*agentv1.ChannelRoom{},
	}
	p := s.presence()
	out.Presence = s.show(p, until == endOfTime)
	for i := range s.connectors {
		if c := &s.connectors[i]; c.First <= until {
			out.Connectors = append(out.Connectors, s.show(s.at(c), until == endOfTime))
		}
	}
	in := s.contacts()
	for _, c := range in {
		weight := max(1, entry.GetAgent().GetCapacity()[ChannelName(c.GetChannel())].GetWeight())
		out.Contacts = append(out.Contacts, c.proto(s.now, c.contact, h.Book, weight))
	}
	s.capacity(out, entry.GetAgent())

	if reported := s.reported(); reported != nil {
		out.RoutingStatus, out.RoutingStatusReported = reported.standing.Status, true
		out.RoutingStatusSince = stamp(reported.standing.StatusAt.Occurred)
		return out
	}
	out.RoutingStatus = s.derived(p, in)
	if since, ok := h.derivedSince(s.unbroken(at), at, until); ok || p.connector != nil {
		out.RoutingStatusSince = stamp(since)
	}
	return out
}

// derivedSince is since when the derived status is what it is at the end; false where it has been so all the time.
func (h *History) derivedSince(from, at, until int64) (since int64, changed bool) {
	s := newSweep(h, at)
	var before eventv1.RoutingStatus
	since = from
	s.each(from, until, func(at int64) {
		status := s.derived(s.presence(), s.contacts())
		if at > from && status != before {
			since, changed = at, true
		}
		before = status
	})
	return since, changed
}

// sweep goes through a history, forward.
type sweep struct {
	*History
	clock      int64 // deadlines behind it have not come
	now        int64
	connectors []followed
	told       int     // statements so far
	chosen     int64   // when a presence was chosen last
	spans      []*span // in order of their begin
	begun      int     // of spans
	active     []*span // those that are or may become contacts, in order
	acts       []act   // in order
	acted      int
	last       act   // of those so far
	before     int64 // the last of another span
	found      []shown
}

// followed is a connector as it is at a moment.
type followed struct {
	*Connector
	standing     Standing
	alive, signs int // so far
}

// act is that an agent was offered a share, took it or was connected.
type act struct {
	at   int64
	span *span
}

// shown is a contact of a moment.
type shown struct {
	*span
	contact
}

func newSweep(h *History, clock int64) *sweep {
	s := &sweep{History: h, clock: clock, now: math.MinInt64, chosen: math.MinInt64, last: act{at: math.MinInt64}, before: math.MinInt64}
	s.connectors = make([]followed, len(h.Connectors))
	for i := range h.Connectors {
		c := &s.connectors[i]
		c.Connector, c.standing = &h.Connectors[i], h.Connectors[i].Standing
		c.standing.Rooms = slices.Clone(c.standing.Rooms)
		if c.standing.Type != 0 {
			s.chosen = max(s.chosen, c.standing.ChosenAt.Occurred)
		}
	}
	for _, share := range h.Shares {
		if _, ok := share.Begin(); ok {
			s.spans = append(s.spans, newSpan(share, h.Book))
		}
	}
	slices.SortFunc(s.spans, compareSpans)
	for _, w := range s.spans {
		for _, at := range []int64{w.offered, w.accepted, w.connected} {
			if at < never {
				s.acts = append(s.acts, act{at, w})
			}
		}
	}
	slices.SortStableFunc(s.acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	return s
}

// Next is the first moment behind another one, up to which the present state is told, at which it may be another by what is known. False
// where there is none.
func (h *History) Next(now int64) (at int64, ok bool) {
	at = never
	newSweep(h, now).stops(func(stop int64) {
		if stop > now {
			at = min(at, stop)
		}
	})
	return at, at < never
}

// each goes from a moment to another, both included, and stops wherever anything may have changed, at the first moment in any case.
func (s *sweep) each(from, until int64, yield func(at int64)) {
	var stops []int64
	s.stops(func(at int64) {
		if from < at && at <= until {
			stops = append(stops, at)
		}
	})
	slices.Sort(stops)
	s.advance(from)
	yield(from)
	for _, at := range slices.Compact(stops) {
		s.advance(at)
		yield(at)
	}
}

// stops yields the moments at which anything may change, in no order.
func (s *sweep) stops(stop func(at int64)) {
	for i := range s.Statements {
		stop(s.Statements[i].Occurred)
	}
	for i := range s.connectors {
		for _, alive := range s.connectors[i].Alive {
			stop(alive.From)
			stop(alive.Until)
		}
		for _, at := range s.connectors[i].Signs {
			stop(at)
		}
	}
	for _, w := range s.spans {
		for _, at := range w.bounds {
			stop(at)
			if c := w.at(at); c.fleeting {
				stop(c.since + Lookback + 1)
			}
		}
	}
}

// advance goes on to a moment: what happened then has happened.
func (s *sweep) advance(now int64) {
	s.now = now
	for ; s.told < len(s.Statements) && s.Statements[s.told].Occurred <= now; s.told++ {
		s.tell(&s.Statements[s.told])
	}
	for i := range s.connectors {
		c := &s.connectors[i]
		for c.alive < len(c.Alive) && c.Alive[c.alive].From <= now {
			c.alive++
		}
		for c.signs < len(c.Signs) && c.Signs[c.signs] <= now {
			c.signs++
		}
	}
	for ; s.begun < len(s.spans) && s.spans[s.begun].begin <= now; s.begun++ {
		s.active = append(s.active, s.spans[s.begun])
	}
	for ; s.acted < len(s.acts) && s.acts[s.acted].at <= now; s.acted++ {
		a := s.acts[s.acted]
		if s.last.span != nil && s.last.span != a.span {
			s.before = s.last.at
		}
		s.last = a
	}
}

func (s *sweep) tell(st *Statement) {
	if st.Kind == Presence {
		s.chosen = max(s.chosen, st.Occurred)
	}
	for i := range s.connectors {
		switch c := &s.connectors[i]; {
		case c.Name == st.Connector:
			c.standing.Apply(st)
		case st.Kind == Presence && st.Everywhere && c.First <= st.Occurred:
			c.standing.choose(st.Chosen, st.Moment)
		}
	}
}

// placed is how an agent is at a connector at a moment.
type placed struct {
	connector *followed // nil where nothing is known of any
	typ       eventv1.PresenceType
	since     int64
	vanished  bool
}

func (p placed) known() bool { return p.connector != nil && p.connector.standing.Type != 0 }

func (s *sweep) at(c *followed) placed {
	p := placed{connector: c, typ: c.standing.Type, since: c.standing.ChosenAt.Occurred}
	if p.typ == 0 {
		p.typ = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	}
	if p.typ == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE || c.alive == 0 {
		return p
	}
	deadline := c.Alive[c.alive-1].Until
	if deadline > s.now || deadline > s.clock || c.standing.Last.Occurred >= deadline || c.signs > 0 && c.Signs[c.signs-1] >= deadline {
		return p
	}
	p.typ, p.since, p.vanished = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE, deadline, true
	return p
}

// presence is the agent's.
func (s *sweep) presence() placed {
	best := placed{typ: eventv1.PresenceType_PRESENCE_TYPE_OFFLINE}
	for i := range s.connectors {
		p := s.at(&s.connectors[i])
		if !p.known() {
			continue
		}
		if best.connector == nil || comparePlaced(best, p) < 0 {
			best = p
		}
	}
	return best
}

// comparePlaced puts what counts more behind: who is there, then who is there, or has gone, since later.
func comparePlaced(a, b placed) int {
	here := func(p placed) int {
		if p.typ == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE {
			return 0
		}
		return 1
	}
	order := a.connector.standing.ChosenAt.Compare(b.connector.standing.ChosenAt)
	if here(a) == 0 && here(b) == 0 {
		return cmp.Or(cmp.Compare(a.since, b.since), order)
	}
	return cmp.Or(cmp.Compare(here(a), here(b)), order)
}

// reported is the connector whose routing status counts; nil for none.
func (s *sweep) reported() *followed {
	var best *followed
	for i := range s.connectors {
		c := &s.connectors[i]
		if c.standing.Status == 0 || s.at(c).typ == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE || c.standing.StatusAt.Compare(c.standing.Offline) <= 0 {
			continue
		}
		if best == nil || best.standing.StatusAt.Compare(c.standing.StatusAt) < 0 {
			best = c
		}
	}
	return best
}

// contacts are those of the moment. They are valid until the next call.
func (s *sweep) contacts() []shown {
	s.found = s.found[:0]
	s.active = slices.DeleteFunc(s.active, func(w *span) bool {
		c := w.at(s.now)
		if c.fleeting && (s.chosen > c.since || s.otherThan(w) > c.since || c.since < lookback(min(s.now, s.clock))) || c.untilPresence && s.chosen > c.since {
			c.state = 0
		}
		if c.state == 0 {
			return w.bounds[len(w.bounds)-1] <= s.now
		}
		s.found = append(s.found, shown{w, c})
		return false
	})
	return s.found
}

// otherThan is when the agent was asked for, took or was connected with another share last.
func (s *sweep) otherThan(w *span) int64 {
	if s.last.span == w {
		return s.before
	}
	return s.last.at
}

// derived is the routing status where no connector reports it.
func (s *sweep) derived(p placed, in []shown) eventv1.RoutingStatus {
	interacting, communicating, missed := false, false, false
	for _, c := range in {
		switch c.state {
		case agentv1.ContactState_CONTACT_STATE_CONNECTING, agentv1.ContactState_CONTACT_STATE_CONNECTED,
			agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_ENDED:
			interacting, communicating = interacting || c.queue != "", communicating || c.queue == ""
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
	case p.typ != eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE:
		return eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	case missed:
		return eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING
	}
	return eventv1.RoutingStatus_ROUTING_STATUS_IDLE
}

// routing is the routing status, reported or derived.
func (s *sweep) routing(p placed, in []shown) eventv1.RoutingStatus {
	if reported := s.reported(); reported != nil {
		return reported.standing.Status
	}
	return s.derived(p, in)
}

// window is from when on the past matters for the state at a moment.
func (s *sweep) window(at int64) int64 {
	from := lookback(at)
	if p := s.presence(); p.connector != nil {
		// What was missed shows until something else happens or a presence is chosen. That a connector falls silent is neither.
		from = max(from, min(p.since, s.chosen))
	}
	return from
}

// unbroken is from when on the derived status is looked at, to tell since when it is what it is.
func (s *sweep) unbroken(at int64) int64 {
	from := lookback(at)
	if p := s.presence(); p.connector != nil {
		from = max(from, p.since)
	}
	return from
}

func lookback(at int64) int64 { return max(at, math.MinInt64+Lookback) - Lookback }

// show is a presence as an answer. When the connector promised to say something is told of the present only: of the past that would be hindsight.
func (s *sweep) show(p placed, present bool) *agentv1.Presence {
	out := &agentv1.Presence{Type: p.typ, Vanished: p.vanished}
	if p.connector == nil {
		return out
	}
	st := &p.connector.standing
	out.Connector, out.Presence, out.Reason, out.ChangedBy = p.connector.Name, st.Presence, st.Reason, st.ChangedBy
	if p.known() {
		out.Since = stamp(p.since)
	}
	if st.NextAt.Compare(st.ChosenAt) > 0 {
		out.NextPresence = st.Next
	}
	if present && p.connector.alive > 0 {
		out.AliveUntil = stamp(p.connector.Alive[p.connector.alive-1].Until)
	}
	return out
}

// capacity fills in the room for work.
func (s *sweep) capacity(out *agentv1.AgentState, entry *eventv1.DirectoryAgent) {
	var stated Standing
	for i := range s.connectors {
		for _, r := range s.connectors[i].standing.Rooms {
			stated.room(r)
		}
	}
	room := func(name string) *agentv1.ChannelRoom {
		if out.GetCapacity()[name] == nil {
			out.Capacity[name] = &agentv1.ChannelRoom{}
		}
		return out.GetCapacity()[name]
	}
	for name, c := range entry.GetCapacity() {
		room(name).Maximum = c.GetMaximum()
	}
	for _, r := range stated.Rooms {
		room(r.Channel).Maximum = r.Maximum
	}
	for _, c := range out.GetContacts() {
		name := ChannelName(c.GetChannel())
		if name == "" {
			continue
		}
		if out.GetCapacity()[name] == nil {
			room(name).Maximum = 1
		}
		if takesRoom(c.GetState()) {
			room(name).Used += c.GetWeight()
		}
	}
	for _, r := range out.GetCapacity() {
		r.Available = max(0, r.GetMaximum()-r.GetUsed())
	}
}

func takesRoom(s agentv1.ContactState) bool {
	switch s {
	case agentv1.ContactState_CONTACT_STATE_PAUSED, agentv1.ContactState_CONTACT_STATE_MISSED, agentv1.ContactState_CONTACT_STATE_REJECTED,
		agentv1.ContactState_CONTACT_STATE_ERROR:
		return false
	default:
		return true
	}
}

// Sort puts a history's parts in order.
func (h *History) Sort() {
	slices.SortFunc(h.Statements, func(a, b Statement) int { return a.Compare(b.Moment) })
	slices.SortFunc(h.Connectors, func(a, b Connector) int { return strings.Compare(a.Name, b.Name) })
	for i := range h.Connectors {
		slices.Sort(h.Connectors[i].Signs)
	}
}
