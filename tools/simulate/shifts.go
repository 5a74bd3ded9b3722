package simulate

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	routable = eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE
	custom   = eventv1.PresenceType_PRESENCE_TYPE_CUSTOM
	offline  = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
)

// Statement is what a connector tells of an agent. Which fields are set depends on the type.
type Statement struct {
	At         int64
	Connector  string
	Type       string // of the event
	Presence   string
	Meaning    eventv1.PresenceType
	Reason     string
	Everywhere bool
	ChangedBy  string
	Status     eventv1.RoutingStatus
	Maximum    map[string]int32
	Timeout    time.Duration
}

// working is how an agent does at the moment.
type working struct {
	signedIn  bool
	presence  Statement // what the agent wants to be
	pending   *Statement
	turn      int // of presences
	active    []*Assignment
	queues    []*Queue
	chats     int
	idleSince int64
	blocked   int64 // offers nothing until then
	missed    bool
	silent    bool // the desk has crashed
	reported  eventv1.RoutingStatus
	stated    map[int64]bool
}

// say has a connector tell something of an agent. No two statements of an agent are of one moment.
func (s *sim) say(a *Agent, st Statement) {
	st.At = s.now + int64(s.Disorder.Clocks[st.Connector])
	for a.stated[st.At] {
		st.At += int64(time.Millisecond)
	}
	if a.stated == nil {
		a.stated = map[int64]bool{}
	}
	a.stated[st.At] = true
	a.Statements = append(a.Statements, &st)
	s.events = append(s.events, happening{
		at: st.At, typ: st.Type, agent: a, actor: a.raw(st.Connector, st.At), provider: st.Connector, content: st.content(), number: len(s.events),
	})
}

func (st *Statement) content() *eventv1.Content {
	switch st.Type {
	case event.TypeAgentPresenceChanged:
		return &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: &eventv1.AgentPresenceChanged{
			Presence: st.Presence, Type: st.Meaning, Reason: st.Reason, Everywhere: st.Everywhere, ChangedBy: st.ChangedBy,
		}}}
	case event.TypeAgentRoutingStatusChanged:
		return &eventv1.Content{Body: &eventv1.Content_AgentRoutingStatusChanged{
			AgentRoutingStatusChanged: &eventv1.AgentRoutingStatusChanged{Status: st.Status},
		}}
	case event.TypeAgentCapacityChanged:
		room := map[string]*eventv1.Capacity{}
		for _, channel := range slices.Sorted(maps.Keys(st.Maximum)) {
			room[channel] = &eventv1.Capacity{Maximum: st.Maximum[channel]}
		}
		return &eventv1.Content{Body: &eventv1.Content_AgentCapacityChanged{AgentCapacityChanged: &eventv1.AgentCapacityChanged{Channels: room}}}
	}
	return &eventv1.Content{Body: &eventv1.Content_AgentHeartbeat{AgentHeartbeat: &eventv1.AgentHeartbeat{Timeout: durationpb.New(st.Timeout)}}}
}

func presence(text string, meaning eventv1.PresenceType, reason string) Statement {
	return Statement{Type: event.TypeAgentPresenceChanged, Presence: text, Meaning: meaning, Reason: reason}
}

// be has an agent choose a presence, at the telephone and a little later at the desk. Now and then one of the two is forgotten.
func (s *sim) be(a *Agent, p Statement) {
	a.turn++
	a.presence, a.pending, a.missed = p, nil, false
	a.signedIn = p.Meaning != offline
	both := a.telephone != "" && a.desk
	forgets := both && s.chance(0.05)
	if a.telephone != "" {
		p.Connector = a.telephone
		s.say(a, p)
	}
	if !a.signedIn {
		a.reported = 0
	}
	if a.desk && !a.silent && !forgets {
		p.Connector = Desk
		turn := a.turn
		later := time.Duration(0)
		if both {
			later = s.between(100*time.Millisecond, 2*time.Second)
		}
		s.in(later, func() {
			if a.turn == turn && !a.silent {
				s.say(a, p)
			}
		})
	}
	s.report(a)
	s.free(a)
}

// wants has an agent choose a presence as soon as nothing is in hand; now and then at once.
func (s *sim) wants(a *Agent, p Statement) {
	if !a.signedIn {
		return
	}
	if len(a.active) == 0 || p.Meaning != offline && s.chance(0.1) {
		s.be(a, p)
		return
	}
	a.pending = &p
	s.free(a)
}

// report has a switch that does so tell the routing status.
func (s *sim) report(a *Agent) {
	if !a.reports || !a.signedIn {
		return
	}
	status := eventv1.RoutingStatus_ROUTING_STATUS_IDLE
	if a.presence.Meaning != routable {
		status = eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	}
	if a.missed {
		status = eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING
	}
	for _, share := range a.active {
		switch {
		case share.Contact.Channel != eventv1.Channel_CHANNEL_VOICE, share.Accepted == 0 && share.Connected == 0:
		case share.Queue == nil:
			status = eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING
		default:
			status = eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING
		}
	}
	if status != a.reported {
		a.reported = status
		s.say(a, Statement{Connector: a.telephone, Type: event.TypeAgentRoutingStatusChanged, Status: status})
	}
}

// part is a share of the day's length.
func (s *sim) part(share float64) time.Duration {
	return time.Duration(float64(s.Length) * share).Truncate(time.Millisecond)
}

// anywhere is a time between two shares of the day.
func (s *sim) anywhere(from, to float64) time.Duration { return s.between(s.part(from), s.part(to)) }

// shifts plans everybody's day.
func (s *sim) shifts() {
	var early []*Agent // who leave their extension to others
	for _, a := range s.Agents {
		for _, q := range s.Queues {
			if a.handles(q) {
				a.queues = append(a.queues, q)
			}
		}
		from := s.anywhere(0, 0.18)
		until := from + s.anywhere(0.74, 0.8)
		switch {
		case a.Leads:
		case a.Number%10 == 4:
			from, until = s.anywhere(0, 0.05), s.anywhere(0.38, 0.42)
			if a.telephone == PBX {
				early = append(early, a)
			}
		case a.Number%10 == 5:
			from, until = s.anywhere(0.52, 0.56), s.anywhere(0.9, 0.97)
			if a.telephone == PBX && len(early) > 0 {
				before := early[0]
				early = early[1:]
				at := s.now + int64(s.part(0.48))
				a.ext, a.extFrom, before.extUntil = before.ext, at, at
			}
		}
		a.begin, a.until = s.now+int64(from), s.now+int64(until)
		s.shift(a)
	}
	s.callOut()
	for at := s.part(0.15); at < s.part(0.95); at += s.anywhere(0.03, 0.06) {
		s.in(at, s.forceOut)
	}
}

// shift plans an agent's day.
func (s *sim) shift(a *Agent) {
	available := presence("Available", routable, "")
	if a.telephone == PBX {
		available = presence("On queue", routable, "")
	}
	if a.Leads {
		available = presence("Busy", custom, "supervising")
	}
	length := time.Duration(a.until - a.begin)
	s.on(a.begin, func() { s.be(a, available) })
	pause := func(share float64, text, reason string, takes time.Duration) {
		s.on(a.begin+int64(float64(length)*(share+0.1*s.random.Float64()))/1e6*1e6, func() {
			s.wants(a, presence(text, custom, reason))
			s.back(a, available, takes)
		})
	}
	pause(0.2, "Break", "", s.part(1./40))
	pause(0.45, "Meal", "", s.part(1./20))
	pause(0.7, "Break", "smoke", s.part(1./40))
	if s.chance(0.2) {
		pause(0.58, "Training", "new product", s.part(1./20))
	}
	s.on(a.until, func() { s.wants(a, presence("Offline", offline, "")) })
	if a.beats {
		s.on(a.begin+int64(3*time.Second), func() { s.beat(a) })
		if s.chance(0.25) {
			s.on(a.begin+int64(s.anywhere(0.1, 0.5)), func() { s.vanish(a, available) })
		}
	}
	if a.desk && s.chance(0.15) {
		s.on(a.begin+int64(s.anywhere(0.05, 0.4)), func() {
			a.chats = 2
			s.say(a, Statement{Connector: Desk, Type: event.TypeAgentCapacityChanged, Maximum: map[string]int32{"web_chat": 2, "email": 3}})
		})
		s.on(a.begin+int64(s.anywhere(0.5, 0.7)), func() {
			a.chats = 3
			s.say(a, Statement{Connector: Desk, Type: event.TypeAgentCapacityChanged, Maximum: map[string]int32{"web_chat": 4}})
		})
	}
}

// back has an agent come back from what was begun, or is to begin, a moment ago.
func (s *sim) back(a *Agent, to Statement, after time.Duration) {
	if !a.signedIn {
		return
	}
	turn := a.turn
	s.in(after, func() {
		switch {
		case !a.signedIn || a.turn != turn && a.pending == nil && a.presence.Meaning == routable:
		case a.pending != nil: // has not even begun
			s.back(a, to, after)
		default:
			s.be(a, to)
		}
	})
}

// handBack has mails that are not done go back to their queue.
func (s *sim) handBack(a *Agent) {
	for _, share := range slices.Clone(a.active) {
		if share.Contact.Channel == eventv1.Channel_CHANNEL_EMAIL && share.Connected != 0 && share.Ended == 0 {
			s.toQueue(share, share.Queue)
		}
	}
}

// beat has the desk say that it lives.
func (s *sim) beat(a *Agent) {
	if !a.signedIn || a.silent {
		return
	}
	every := s.part(1. / 600)
	s.say(a, Statement{Connector: Desk, Type: event.TypeAgentHeartbeat, Timeout: every * 5 / 2})
	turn := a.turn
	s.in(every, func() {
		if a.signedIn || a.turn == turn {
			s.beat(a)
		}
	})
}

// vanish has the desk crash, when nothing is in hand. Most come back.
func (s *sim) vanish(a *Agent, available Statement) {
	switch {
	case !a.signedIn:
		return
	case len(a.active) > 0:
		s.in(20*time.Second, func() { s.vanish(a, available) })
		return
	}
	a.silent = true
	if s.chance(0.3) {
		return
	}
	s.in(s.anywhere(0.01, 0.1), func() {
		a.silent = false
		if !a.signedIn {
			return
		}
		s.beat(a)
		if s.chance(0.5) {
			s.be(a, available)
		}
	})
}

// forceOut has a supervisor sign somebody out, everywhere. What is in hand stays in hand.
func (s *sim) forceOut() {
	var in []*Agent
	for _, a := range s.Agents {
		if a.signedIn && !a.Leads && !a.silent {
			in = append(in, a)
		}
	}
	if len(in) == 0 {
		return
	}
	a := in[s.random.IntN(len(in))]
	before := a.presence
	a.turn++
	a.presence, a.pending, a.signedIn, a.reported = presence("Offline", offline, ""), nil, false, 0
	out := presence("Offline", offline, "forgot to sign out")
	out.Connector, out.Everywhere, out.ChangedBy = Control, true, a.Team.Supervisor.ID
	s.say(a, out)
	s.in(s.anywhere(0.005, 0.03), func() {
		if s.now < a.until && !a.signedIn {
			s.be(a, before)
			if a.beats {
				s.beat(a)
			}
		}
	})
}
