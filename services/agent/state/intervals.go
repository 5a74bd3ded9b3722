package state

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Intervals gives the states from a moment (included) to another (excluded), one behind the other without a gap, and how long each took. The
// History's statements and shares must begin at the first moment or before.
func (h *History) Intervals(from, until int64) ([]*agentv1.Interval, *agentv1.Totals) {
	t := newTally()
	if from >= until {
		return nil, t.totals()
	}
	var all []*agentv1.Interval
	s := newSweep(h, until-1)
	s.each(from, until-1, func(at int64) {
		i := s.interval()
		if n := len(all); n > 0 {
			if same(all[n-1], i) {
				return
			}
			all[n-1].Until = stamp(at)
			t.add(all[n-1])
		}
		i.From = stamp(at)
		all = append(all, i)
	})
	last := all[len(all)-1]
	last.Until = stamp(until)
	t.add(last)
	return all, t.totals()
}

// interval is how it is at the sweep's moment.
func (s *sweep) interval() *agentv1.Interval {
	p, in := s.presence(), s.contacts()
	i := &agentv1.Interval{PresenceType: p.typ, Vanished: p.vanished, RoutingStatus: s.routing(p, in)}
	if p.connector != nil {
		i.Presence, i.Reason = p.connector.standing.Presence, p.connector.standing.Reason
	}
	for _, c := range in {
		i.Contacts = append(i.Contacts, &agentv1.IntervalContact{
			AssignmentId: c.Assignment.GetId(), State: c.state, Queue: c.queue, Channel: c.GetChannel(),
		})
	}
	return i
}

// same tells whether intervals differ by their times only.
func same(a, b *agentv1.Interval) bool {
	return a.GetPresence() == b.GetPresence() && a.GetPresenceType() == b.GetPresenceType() && a.GetReason() == b.GetReason() &&
		a.GetVanished() == b.GetVanished() && a.GetRoutingStatus() == b.GetRoutingStatus() &&
		slices.EqualFunc(a.GetContacts(), b.GetContacts(), func(a, b *agentv1.IntervalContact) bool {
			return a.GetAssignmentId() == b.GetAssignmentId() && a.GetState() == b.GetState()
		})
}

// tally adds up how long it was so.
type tally struct {
	typ, presence, routing map[string]time.Duration
	onContact              time.Duration
}

func newTally() *tally {
	return &tally{typ: map[string]time.Duration{}, presence: map[string]time.Duration{}, routing: map[string]time.Duration{}}
}

// offline is what silence counts as, whatever presence was chosen before.
const offline = "Offline"

func (t *tally) add(i *agentv1.Interval) {
	d := i.GetUntil().AsTime().Sub(i.GetFrom().AsTime())
	t.typ[typeName(i.GetPresenceType())] += d
	switch {
	case i.GetVanished():
		t.presence[offline] += d
	case i.GetPresence() != "":
		t.presence[i.GetPresence()] += d
	}
	t.routing[routingName(i.GetRoutingStatus())] += d
	if i.GetPresenceType() != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE && slices.ContainsFunc(i.GetContacts(), onContact) {
		t.onContact += d
	}
}

func onContact(c *agentv1.IntervalContact) bool {
	switch c.GetState() {
	case agentv1.ContactState_CONTACT_STATE_CONNECTED, agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_ENDED:
		return true
	default:
		return false
	}
}

func typeName(t eventv1.PresenceType) string { return strings.TrimPrefix(t.String(), "PRESENCE_TYPE_") }

func routingName(s eventv1.RoutingStatus) string {
	return strings.TrimPrefix(s.String(), "ROUTING_STATUS_")
}

func (t *tally) totals() *agentv1.Totals {
	durations := func(of map[string]time.Duration) map[string]*durationpb.Duration {
		out := make(map[string]*durationpb.Duration, len(of))
		for name, d := range of {
			out[name] = durationpb.New(d)
		}
		return out
	}
	out := &agentv1.Totals{
		PresenceType: durations(t.typ), Presence: durations(t.presence), RoutingStatus: durations(t.routing), OnContact: durationpb.New(t.onContact),
	}
	if all := t.onContact + t.routing[routingName(eventv1.RoutingStatus_ROUTING_STATUS_IDLE)]; all > 0 {
		out.Occupancy = float64(t.onContact) / float64(all)
	}
	return out
}
