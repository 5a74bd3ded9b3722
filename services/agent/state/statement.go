// Package state says what an agent does at a moment. It is a pure function of what connectors stated of the agent, of when they were heard
// of, of the agent's shares of interactions and of the tenant's directory: no clock, no store.
//
// All moments are nanoseconds since 1970.
package state

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Moment is where a statement stands in the order of what happened: by when it happened, when it was received, and its position in the log.
type Moment struct {
	Occurred, Received int64
	Partition          int32
	Offset             int64
}

// Compare orders moments.
func (m Moment) Compare(o Moment) int {
	return cmp.Or(cmp.Compare(m.Occurred, o.Occurred), cmp.Compare(m.Received, o.Received), cmp.Compare(m.Partition, o.Partition),
		cmp.Compare(m.Offset, o.Offset))
}

// Kind is what a statement is about.
type Kind uint8

// The kinds of statements.
const (
	// Sign says nothing but that the connector is there.
	Sign Kind = iota
	Presence
	Routing
	Capacity
)

// Statement is what a connector stated of an agent, other than that the agent's desktop is alive.
type Statement struct {
	Moment
	// Connector is the provider of the event.
	Connector string
	Kind      Kind
	// Chosen and Everywhere are of a presence.
	Chosen
	Everywhere bool
	// Status is of a routing status.
	Status eventv1.RoutingStatus
	// Maximum is of a capacity: slots by channel.
	Maximum map[string]int32
	// Next is of a capacity: the presence that comes next.
	Next string
}

// Chosen is a presence.
type Chosen struct {
	Presence  string
	Type      eventv1.PresenceType
	Reason    string
	ChangedBy string
}

// Read understands an event about an agent that is no heartbeat. Whatever it says that nobody can understand it does not say:
//   - A presence without a type that is known has the one that TypeOf gives; one without a text as well says nothing.
//   - A routing status that is not stated or not known says nothing.
//   - Of a capacity, channels that there are not and negative numbers are left out.
//
// What says nothing is a Sign, as are sealed contents (a nil content) and types that are not known.
func Read(e *eventv1.Event, at Moment, content *eventv1.Content) Statement {
	s := Statement{Moment: at, Connector: e.GetProvider()}
	switch e.GetType() {
	case event.TypeAgentPresenceChanged:
		b := content.GetAgentPresenceChanged()
		typ := b.GetType()
		if _, known := eventv1.PresenceType_name[int32(typ)]; !known {
			typ = eventv1.PresenceType_PRESENCE_TYPE_UNSPECIFIED
		}
		if typ == eventv1.PresenceType_PRESENCE_TYPE_UNSPECIFIED && b.GetPresence() != "" {
			typ = TypeOf(b.GetPresence())
		}
		if typ != eventv1.PresenceType_PRESENCE_TYPE_UNSPECIFIED {
			s.Kind, s.Everywhere = Presence, b.GetEverywhere()
			s.Chosen = Chosen{Presence: b.GetPresence(), Type: typ, Reason: b.GetReason(), ChangedBy: b.GetChangedBy()}
		}
	case event.TypeAgentRoutingStatusChanged:
		status := content.GetAgentRoutingStatusChanged().GetStatus()
		if _, known := eventv1.RoutingStatus_name[int32(status)]; known && status != eventv1.RoutingStatus_ROUTING_STATUS_UNSPECIFIED {
			s.Kind, s.Status = Routing, status
		}
	case event.TypeAgentCapacityChanged:
		b := content.GetAgentCapacityChanged()
		for name, c := range b.GetChannels() {
			if name = strings.ToLower(name); IsChannel(name) && c.GetMaximum() >= 0 {
				if s.Maximum == nil {
					s.Maximum = map[string]int32{}
				}
				s.Maximum[name] = c.GetMaximum()
			}
		}
		if s.Next = b.GetNextPresence(); s.Next != "" || s.Maximum != nil {
			s.Kind = Capacity
		}
	}
	return s
}

// TypeOf is what a presence means of which only the text is stated.
func TypeOf(presence string) eventv1.PresenceType {
	switch {
	case strings.EqualFold(presence, "Available"), strings.EqualFold(presence, "On queue"):
		return eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE
	case strings.EqualFold(presence, "Offline"):
		return eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	}
	return eventv1.PresenceType_PRESENCE_TYPE_CUSTOM
}

const channelPrefix = "CHANNEL_"

// ChannelName is the name of a channel in lower case, such as web_chat; empty for none.
func ChannelName(c eventv1.Channel) string {
	name, known := eventv1.Channel_name[int32(c)]
	if !known || c == eventv1.Channel_CHANNEL_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(name, channelPrefix))
}

// IsChannel tells whether a name in lower case is that of a channel.
func IsChannel(name string) bool {
	n, known := eventv1.Channel_value[channelPrefix+strings.ToUpper(name)]
	return known && n != 0 && name == strings.ToLower(name)
}

// Standing is what the statements of a connector come to. The zero value is of none.
type Standing struct {
	// Last is that of the last statement of any kind.
	Last Moment
	// Chosen is the presence that was stated last, at ChosenAt; none where its type is not stated.
	Chosen
	ChosenAt Moment
	// Offline is that of the last presence of the type OFFLINE.
	Offline Moment
	// Status is the routing status that was stated last, at StatusAt; none where it is not stated.
	Status   eventv1.RoutingStatus
	StatusAt Moment
	// Next is the presence that comes next, as stated last at NextAt; empty for none.
	Next   string
	NextAt Moment
	// Rooms are the slots of channels, as stated last, in order of their names.
	Rooms []Room
}

// Room is what was stated of a channel's capacity.
type Room struct {
	Channel string
	Maximum int32
	At      Moment
}

// Apply adds a statement, which comes behind all others.
func (s *Standing) Apply(st *Statement) {
	s.Last = st.Moment
	switch st.Kind {
	case Sign:
	case Presence:
		s.choose(st.Chosen, st.Moment)
	case Routing:
		s.Status, s.StatusAt = st.Status, st.Moment
	case Capacity:
		s.Next, s.NextAt = st.Next, st.Moment
		for name, maximum := range st.Maximum {
			s.room(Room{name, maximum, st.Moment})
		}
	}
}

func (s *Standing) choose(c Chosen, at Moment) {
	s.Chosen, s.ChosenAt = c, at
	if c.Type == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE {
		s.Offline = at
	}
}

func (s *Standing) room(r Room) {
	n, found := slices.BinarySearchFunc(s.Rooms, r.Channel, func(r Room, name string) int { return strings.Compare(r.Channel, name) })
	if !found {
		s.Rooms = slices.Insert(s.Rooms, n, r)
	} else if s.Rooms[n].At.Compare(r.At) <= 0 {
		s.Rooms[n] = r
	}
}

// Merge adds what other statements of the connector come to, such as those under another of the agent's ids. Rooms are not shared.
func (s *Standing) Merge(o *Standing) {
	later := func(a, b Moment) bool { return a.Compare(b) < 0 }
	if later(s.Last, o.Last) {
		s.Last = o.Last
	}
	if o.Type != 0 && (s.Type == 0 || later(s.ChosenAt, o.ChosenAt)) {
		s.Chosen, s.ChosenAt = o.Chosen, o.ChosenAt
	}
	if later(s.Offline, o.Offline) {
		s.Offline = o.Offline
	}
	if o.Status != 0 && (s.Status == 0 || later(s.StatusAt, o.StatusAt)) {
		s.Status, s.StatusAt = o.Status, o.StatusAt
	}
	if later(s.NextAt, o.NextAt) {
		s.Next, s.NextAt = o.Next, o.NextAt
	}
	for _, r := range o.Rooms {
		s.room(r)
	}
}

// Since leaves out what was stated before a moment: it is another agent's.
func (s *Standing) Since(from int64) {
	if s.Last.Occurred < from {
		*s = Standing{}
		return
	}
	if s.ChosenAt.Occurred < from {
		s.Chosen, s.ChosenAt = Chosen{}, Moment{}
	}
	if s.Offline.Occurred < from {
		s.Offline = Moment{}
	}
	if s.StatusAt.Occurred < from {
		s.Status, s.StatusAt = 0, Moment{}
	}
	if s.NextAt.Occurred < from {
		s.Next, s.NextAt = "", Moment{}
	}
	s.Rooms = slices.DeleteFunc(s.Rooms, func(r Room) bool { return r.At.Occurred < from })
}

// Stretch is the moments from From (included) to Until (excluded).
type Stretch struct{ From, Until int64 }

// Union adds stretches to others: both are in order and do not touch one another, and so is what comes of it.
func Union(a, b []Stretch) []Stretch {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Stretch) int { return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.Until, y.Until)) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && s.From <= out[n-1].Until {
			out[n-1].Until = max(out[n-1].Until, s.Until)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// Within gives the parts of stretches that lie in another.
func Within(stretches []Stretch, in Stretch) []Stretch {
	var out []Stretch
	for _, s := range stretches {
		if s.From, s.Until = max(s.From, in.From), min(s.Until, in.Until); s.From < s.Until {
			out = append(out, s)
		}
	}
	return out
}

// never is the moment of what did not happen; the end of time comes before it.
const (
	never     = math.MaxInt64
	endOfTime = never - 1
)

// Everywhere adds the presence that other statements come to, which hold at every connector of which anything was known by then: of this one
// since a moment. Of those statements only the presence and the last sign-out count.
func (s *Standing) Everywhere(all *Standing, first int64) {
	if all.Type != 0 && first <= all.ChosenAt.Occurred && (s.Type == 0 || s.ChosenAt.Compare(all.ChosenAt) < 0) {
		s.Chosen, s.ChosenAt = all.Chosen, all.ChosenAt
	}
	if first <= all.Offline.Occurred && s.Offline.Compare(all.Offline) < 0 {
		s.Offline = all.Offline
	}
}

// Stand says in which partition the statements stand.
func (s *Standing) Stand(partition int32) {
	for _, m := range []*Moment{&s.Last, &s.ChosenAt, &s.Offline, &s.StatusAt, &s.NextAt} {
		if *m != (Moment{}) {
			m.Partition = partition
		}
	}
	for i := range s.Rooms {
		s.Rooms[i].At.Partition = partition
	}
}
