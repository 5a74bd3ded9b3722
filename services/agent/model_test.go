package agent_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/directory"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// raw is an event of the log about an agent, as the model knows it.
type raw struct {
	id, connector string
	at, received  int64
	partition     int32
	offset        int64
	content       *eventv1.Content
	timeout       int64
}

// model is what the rules say, written down as plainly as can be: whatever is asked is made of all events anew. Moments are nanoseconds.
type model struct {
	book   *directory.Book
	events []raw
	shares []state.Share
}

const (
	none     = math.MaxInt64 // of a moment: it never was
	forever  = none - 1
	lookback = 48 * 3600e9
	pOffline = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
)

// here is what the model knows of an agent at a connector at a moment.
type here struct {
	name           string
	typ            eventv1.PresenceType
	last           *raw // the presence that holds; nil for none
	since, offline int64
	vanished       bool
	status         *raw
}

func nanos(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return none
	}
	return t.AsTime().UnixNano()
}

func compareRaw(a, b raw) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.received, b.received), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

// own are the agent's events up to t, in order; alive the stretches that heartbeats promised while the id was the agent's, by connector.
func (m *model) own(agent string, t int64) (own []raw, alive map[string][]directory.Span) {
	alive = map[string][]directory.Span{}
	for _, e := range m.events {
		if e.at > t {
			continue
		}
		if m.book.Owner(directory.Agent, e.connector, e.id, e.at) == agent {
			own = append(own, e)
		}
		for _, s := range m.book.Spans(directory.Agent, e.connector, e.id, agent) {
			if from, until := max(e.at, s.From), min(e.at+e.timeout, s.Until); from < until && from <= t {
				alive[e.connector] = append(alive[e.connector], directory.Span{From: from, Until: until})
			}
		}
	}
	slices.SortFunc(own, compareRaw)
	return own, alive
}

func (m *model) connectors(agent string, t, clock int64) (all []here) {
	own, alive := m.own(agent, t)
	first := map[string]int64{}
	see := func(connector string, at int64) {
		if f, known := first[connector]; !known || at < f {
			first[connector] = at
		}
	}
	for _, e := range own {
		see(e.connector, e.at)
	}
	for connector, spans := range alive {
		for _, s := range spans {
			see(connector, s.From)
		}
	}
	for name := range first {
		h := here{name: name, typ: pOffline, since: none, offline: -1}
		heard := int64(-1)
		for i, e := range own {
			p := e.content.GetAgentPresenceChanged()
			if p != nil && (e.connector == name || p.GetEverywhere() && first[name] <= e.at) {
				if h.last, h.typ, h.since = &own[i], p.GetType(), e.at; h.typ == pOffline {
					h.offline = int64(i)
				}
			}
			if e.connector == name {
				heard = e.at
				if e.content.GetAgentRoutingStatusChanged() != nil {
					h.status = &own[i]
				}
			}
		}
		if h.status != nil && h.offline >= 0 && compareRaw(*h.status, own[h.offline]) < 0 {
			h.status = nil
		}
		deadline := int64(-1)
		for _, s := range alive[name] {
			heard, deadline = max(heard, s.From), max(deadline, s.Until)
		}
		if deadline >= 0 && heard < deadline && deadline <= min(t, clock) && h.typ != pOffline {
			h.typ, h.since, h.vanished = pOffline, deadline, true
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b here) int { return strings.Compare(a.name, b.name) })
	return all
}

func presence(all []here) (best *here) {
	for i := range all {
		h := &all[i]
		switch {
		case h.last == nil:
		case best == nil,
			best.typ == pOffline && (h.typ != pOffline || h.since > best.since || h.since == best.since && compareRaw(*best.last, *h.last) < 0),
			best.typ != pOffline && h.typ != pOffline && compareRaw(*best.last, *h.last) < 0:
			best = h
		}
	}
	return best
}

func within(listed []*conversationv1.Stretch, t int64) bool {
	return slices.ContainsFunc(listed, func(s *conversationv1.Stretch) bool { return nanos(s.GetFrom()) <= t && t < nanos(s.GetUntil()) })
}

func (m *model) mine(agent string) (mine []state.Share) {
	for _, s := range m.shares {
		if begin, ok := s.Begin(); ok && m.book.Owner(directory.Agent, s.GetProvider(), s.Assignment.GetAgent(), begin) == agent {
			mine = append(mine, s)
		}
	}
	return mine
}

// contact is the state of a share at t, and for those that have one, since when.
func (m *model) contact(agent string, s state.Share, t, clock int64) (agentv1.ContactState, int64) {
	a := s.Assignment
	begin, _ := s.Begin()
	own, _ := m.own(agent, t)
	chosen := func(after int64) bool {
		return slices.ContainsFunc(own, func(e raw) bool { return e.content.GetAgentPresenceChanged() != nil && e.at > after })
	}
	unless := func(c agentv1.ContactState, since int64) (agentv1.ContactState, int64) {
		for _, o := range m.mine(agent) {
			for _, at := range []int64{nanos(o.GetOfferedAt()), nanos(o.GetAcceptedAt()), nanos(o.GetConnectedAt())} {
				if o.Assignment != a && since < at && at <= t {
					return 0, 0
				}
			}
		}
		if chosen(since) || since < min(t, clock)-lookback {
			return 0, 0
		}
		return c, since
	}
	switch started, ended := nanos(a.GetWrapupStartedAt()), nanos(a.GetWrapupEndedAt()); {
	case t < begin:
		return 0, 0
	case nanos(a.GetDeclinedAt()) <= t && a.GetDeclineReason() == eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT:
		return unless(agentv1.ContactState_CONTACT_STATE_MISSED, nanos(a.GetDeclinedAt()))
	case nanos(a.GetDeclinedAt()) <= t && a.GetDeclineReason() == eventv1.DeclineReason_DECLINE_REASON_REJECTED:
		return unless(agentv1.ContactState_CONTACT_STATE_REJECTED, nanos(a.GetDeclinedAt()))
	case nanos(a.GetDeclinedAt()) <= t:
		return 0, 0
	case nanos(a.GetEndedAt()) <= t && nanos(a.GetConnectedAt()) > t && a.GetEndReason() == eventv1.EndReason_END_REASON_ERROR:
		return unless(agentv1.ContactState_CONTACT_STATE_ERROR, nanos(a.GetEndedAt()))
	case nanos(a.GetEndedAt()) <= t && (started > t || ended <= t || ended == none && chosen(started)):
		return 0, 0
	case nanos(a.GetEndedAt()) <= t:
		return agentv1.ContactState_CONTACT_STATE_ENDED, started
	case nanos(a.GetConnectedAt()) <= t && within(a.GetPaused(), t):
		return agentv1.ContactState_CONTACT_STATE_PAUSED, none
	case nanos(a.GetConnectedAt()) <= t && within(a.GetHeld(), t):
		return agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, none
	case nanos(a.GetConnectedAt()) <= t:
		return agentv1.ContactState_CONTACT_STATE_CONNECTED, none
	case nanos(a.GetAcceptedAt()) <= t:
		return agentv1.ContactState_CONTACT_STATE_CONNECTING, none
	case a.GetOrigin() == eventv1.Origin_ORIGIN_CALLBACK:
		return agentv1.ContactState_CONTACT_STATE_PENDING, none
	}
	return agentv1.ContactState_CONTACT_STATE_INCOMING, none
}

func (m *model) queue(s state.Share) string {
	begin, _ := s.Begin()
	return m.book.Owner(directory.Queue, s.GetProvider(), s.Assignment.GetQueue(), begin)
}

func (m *model) derived(agent string, t, clock int64) eventv1.RoutingStatus {
	with, without, missed := false, false, false
	for _, s := range m.mine(agent) {
		switch c, _ := m.contact(agent, s, t, clock); c {
		case agentv1.ContactState_CONTACT_STATE_CONNECTING, agentv1.ContactState_CONTACT_STATE_CONNECTED,
			agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_ENDED:
			with, without = with || m.queue(s) != "", without || m.queue(s) == ""
		case agentv1.ContactState_CONTACT_STATE_MISSED:
			missed = true
		default:
		}
	}
	p := presence(m.connectors(agent, t, clock))
	switch {
	case with:
		return eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING
	case without:
		return eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING
	case p == nil || p.typ != eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE:
		return eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	case missed:
		return eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING
	}
	return eventv1.RoutingStatus_ROUTING_STATUS_IDLE
}

// moments are all at which anything may change.
func (m *model) moments() (all []int64) {
	for _, e := range m.events {
		all = append(all, e.at, e.at+e.timeout)
		for _, agent := range []string{"mei", "bo", e.id} {
			for _, s := range m.book.Spans(directory.Agent, e.connector, e.id, agent) {
				all = append(all, s.From, s.Until)
			}
		}
	}
	for _, s := range m.shares {
		a := s.Assignment
		for _, at := range []*timestamppb.Timestamp{
			a.GetOfferedAt(), a.GetDeclinedAt(), a.GetAcceptedAt(), a.GetConnectedAt(), a.GetEndedAt(), a.GetWrapupStartedAt(), a.GetWrapupEndedAt(),
		} {
			all = append(all, nanos(at))
		}
		for _, s := range slices.Concat(a.GetHeld(), a.GetPaused()) {
			all = append(all, nanos(s.GetFrom()), nanos(s.GetUntil()))
		}
		for _, at := range []int64{nanos(a.GetDeclinedAt()), nanos(a.GetEndedAt())} { // nothing of these shows longer
			if at != none {
				all = append(all, at+lookback+1)
			}
		}
	}
	all = slices.DeleteFunc(all, func(at int64) bool { return at < 0 || at == none })
	slices.Sort(all)
	return slices.Compact(all)
}

// back is the first moment from one on such that something is the same from there to another.
func (m *model) back(from, until int64, same func(at int64) bool) int64 {
	moments := slices.DeleteFunc(m.moments(), func(at int64) bool { return at <= from || at > until })
	since := until
	for _, at := range slices.Backward(append([]int64{from}, moments...)) {
		if !same(at) {
			break
		}
		since = at
	}
	return since
}

// at says all of a state that is compared, in words: of events up to t, with a clock that shows so much.
func (m *model) at(agent string, t, clock int64) string {
	var b strings.Builder
	all := m.connectors(agent, t, clock)
	p := presence(all)
	for _, h := range append([]here{{typ: pOffline}}, all...) {
		if h.name == "" && p != nil {
			h = *p
		}
		fmt.Fprintf(&b, "%s %v %t", h.name, h.typ, h.vanished)
		if h.last != nil {
			fmt.Fprintf(&b, " %s %s since %d", h.last.content.GetAgentPresenceChanged().GetPresence(), h.last.content.GetAgentPresenceChanged().GetReason(), h.since)
		}
		b.WriteString("\n")
	}
	var reported *here
	for i, h := range all {
		if h.typ != pOffline && h.status != nil && (reported == nil || compareRaw(*reported.status, *h.status) < 0) {
			reported = &all[i]
		}
	}
	if reported != nil {
		fmt.Fprintf(&b, "reported %v since %d\n", reported.status.content.GetAgentRoutingStatusChanged().GetStatus(), reported.status.at)
	} else {
		status, from := m.derived(agent, t, clock), max(clock-lookback, 0)
		if p != nil {
			from = max(from, p.since)
		}
		since := m.back(from, t, func(at int64) bool { return m.derived(agent, at, clock) == status })
		if p == nil && since == from {
			since = none
		}
		fmt.Fprintf(&b, "derived %v since %d\n", status, since)
	}
	mine := m.mine(agent)
	slices.SortFunc(mine, func(a, b state.Share) int {
		x, _ := a.Begin()
		y, _ := b.Begin()
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a.Assignment.GetId(), b.Assignment.GetId()))
	})
	for _, s := range mine {
		c, since := m.contact(agent, s, t, clock)
		if c == 0 {
			continue
		}
		if since == none {
			begin, _ := s.Begin()
			since = m.back(begin, t, func(at int64) bool { was, _ := m.contact(agent, s, at, clock); return was == c })
		}
		fmt.Fprintf(&b, "%s %v %q since %d\n", s.Assignment.GetId(), c, m.queue(s), since)
	}
	return b.String()
}

// said is a state in the model's words.
func said(s *agentv1.AgentState) string {
	var b strings.Builder
	for _, p := range append([]*agentv1.Presence{s.GetPresence()}, s.GetConnectors()...) {
		fmt.Fprintf(&b, "%s %v %t", p.GetConnector(), p.GetType(), p.GetVanished())
		if p.GetSince() != nil {
			fmt.Fprintf(&b, " %s %s since %d", p.GetPresence(), p.GetReason(), nanos(p.GetSince()))
		}
		b.WriteString("\n")
	}
	how := "derived"
	if s.GetRoutingStatusReported() {
		how = "reported"
	}
	fmt.Fprintf(&b, "%s %v since %d\n", how, s.GetRoutingStatus(), nanos(s.GetRoutingStatusSince()))
	for _, c := range s.GetContacts() {
		fmt.Fprintf(&b, "%s %v %q since %d\n", c.GetAssignmentId(), c.GetState(), c.GetQueue(), nanos(c.GetSince()))
	}
	return b.String()
}
