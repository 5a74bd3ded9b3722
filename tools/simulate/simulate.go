// Package simulate plays a day of a contact centre: agents with shifts, breaks and two connectors, queues, and customers who call, chat,
// write mails and messages. A day is the entries of the directory, the events that the connectors would hand in, and the truth: what the
// agents' states, the board and the figures are, from what the simulation itself knows and not from the events. The same seed gives the
// same day, byte for byte.
//
// The rules of agents' states are implemented here once more, on purpose: the service is checked against them.
package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Config is what a day is made of.
type Config struct {
	// Name is the begin of every id of the day: agents, queues, threads. Days of different names do not meet in one log.
	Name string
	// Seed decides everything that is left to chance.
	Seed uint64
	// Start is when the first agents sign in, to the millisecond.
	Start time.Time
	// Length of the day.
	Length time.Duration
	// Agents, Queues and Contacts are how many there are; of contacts, those of customers who reach out. Calls back and calls of agents
	// come on top.
	Agents, Queues, Contacts int
	// Disorder is how events are delivered otherwise than in order.
	Disorder Disorder
}

// Disorder is what connectors do to those who read events. The zero value is none.
type Disorder struct {
	// Late is the share of events that are delivered late, by up to LateBy; so callbacks overtake one another.
	Late   float64
	LateBy time.Duration
	// Twice is the share of events that are delivered a second time, a while later.
	Twice float64
	// Clocks are how far clocks of connectors are ahead, by provider. The truth is by the times that they state.
	Clocks map[string]time.Duration
}

// Disorderly is a lot of it.
func Disorderly() Disorder {
	return Disorder{
		Late: 0.2, LateBy: 10 * time.Minute, Twice: 0.05,
		Clocks: map[string]time.Duration{Desk: -150 * time.Second, Mailroom: 95 * time.Second},
	}
}

// End is when the day ends: no event is stated to be later.
func (c Config) End() time.Time {
	ahead := time.Duration(0)
	for _, d := range c.Disorder.Clocks {
		ahead = max(ahead, d)
	}
	return c.Start.Add(c.Length + ahead)
}

// Ending gives the begin of a day of a length that ends about a minute before a moment.
func (c Config) Ending(now time.Time) time.Time {
	return now.Add(-time.Minute - c.End().Sub(c.Start)).UTC().Truncate(time.Second)
}

// Since is from when on everything of the day counts: a quarter of an hour that is over when it begins.
func (c Config) Since() time.Time {
	behind := time.Duration(0)
	for _, d := range c.Disorder.Clocks {
		behind = max(behind, -d)
	}
	return c.Start.Add(-behind).Truncate(15 * time.Minute)
}

func (c Config) check() error {
	switch {
	case c.Name == "":
		return errors.New("simulate: a day needs a name")
	case c.Agents < 4:
		return fmt.Errorf("simulate: %d agents are fewer than 4", c.Agents)
	case c.Queues < 1 || c.Contacts < 0:
		return fmt.Errorf("simulate: %d queues and %d contacts are too few", c.Queues, c.Contacts)
	case c.Length < 10*time.Minute:
		return fmt.Errorf("simulate: %v is shorter than ten minutes", c.Length)
	case c.Start.Nanosecond()%int(time.Millisecond) != 0:
		return fmt.Errorf("simulate: the begin %v is not a whole millisecond", c.Start)
	}
	return nil
}

// Day is a day that was simulated. It does not change, and is safe for concurrent use.
type Day struct {
	Config
	Teams       []*Team
	Queues      []*Queue
	Agents      []*Agent
	Contacts    []*Contact
	Visits      []*Visit
	Assignments []*Assignment

	events     []happening // in the order of the times that are stated
	deliveries []Delivery
	byName     map[string]int // agents
	contacts   []ofContact
}

// Delivery is an event that is handed in.
type Delivery struct {
	// At is when, in nanoseconds since 1970. Without disorder, it is the time that the event states.
	At int64
	// Event is its number in the order of time. One that is delivered twice has the same number.
	Event int
}

// Deliveries are what is handed in, in order.
func (d *Day) Deliveries() []Delivery { return d.deliveries }

// Events is how many events there are.
func (d *Day) Events() int { return len(d.events) }

// Agent finds an agent by the id in the directory; nil where there is none.
func (d *Day) Agent(id string) *Agent {
	if n, ok := d.byName[id]; ok {
		return d.Agents[n]
	}
	return nil
}

// Simulate makes a day.
func Simulate(c Config) (*Day, error) {
	c.Start = c.Start.UTC()
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &sim{
		Day:    &Day{Config: c, byName: map[string]int{}},
		random: rand.New(rand.NewPCG(c.Seed, 0x5eed)), //nolint:gosec // random, not secret
		now:    c.Start.UnixNano(), over: c.Start.Add(c.Length).UnixNano(),
	}
	s.people()
	s.shifts()
	s.arrivals()
	s.supervise()
	for s.next() {
	}
	s.finish()
	return s.Day, nil
}

// sim is a day that is going on.
type sim struct {
	*Day
	random    *rand.Rand
	now, over int64 // over is when the day is
	agenda    agenda
	scale     float64 // how long handling takes, so that the agents have enough to do and not too much
	waiting   [][]*Contact
	running   []*Assignment // connected calls, for supervisors
}

// finish puts what happened in order, and delivers it.
func (s *sim) finish() {
	slices.SortStableFunc(s.events, func(a, b happening) int { return cmp.Compare(a.at, b.at) })
	random := rand.New(rand.NewPCG(s.Seed, 0xd150)) //nolint:gosec // random, not secret
	for n := range s.events {
		at := s.events[n].at
		if random.Float64() < s.Disorder.Late {
			at += random.Int64N(int64(s.Disorder.LateBy) + 1)
		}
		s.deliveries = append(s.deliveries, Delivery{at, n})
		if random.Float64() < s.Disorder.Twice {
			s.deliveries = append(s.deliveries, Delivery{at + random.Int64N(int64(5*time.Minute)), n})
		}
	}
	slices.SortStableFunc(s.deliveries, func(a, b Delivery) int { return cmp.Compare(a.At, b.At) })
	s.indexContacts()
	for _, a := range s.Agents {
		s.byName[a.ID] = a.Number
		a.index()
	}
}

// happening is what happened, as a connector tells it.
type happening struct {
	at         int64
	typ        string
	contact    *Contact // nil for an agent's own
	agent      *Agent   // who acted
	actor      string   // under this id
	bot        bool
	queue      string
	visit      string // ids that the provider gives
	assignment string
	share      *Assignment // that it is about
	origin     eventv1.Origin
	direction  eventv1.Direction
	stretch    int // of the contact
	provider   string
	content    *eventv1.Content
	party      *eventv1.SubmittedParty
	number     int  // in its thread
	opens      bool // the stretch of the contact
}

// Submission is an event as its connector hands it in.
func (d *Day) Submission(n int) *eventv1.Submission {
	h := &d.events[n]
	s := &eventv1.Submission{
		Type: h.typ, OccurredAt: stamp(h.at), Provider: h.provider, NativeId: fmt.Sprintf("%d", h.number), Queue: h.queue, Visit: h.visit,
		Assignment: h.assignment, Origin: h.origin, Direction: h.direction, Content: h.content,
	}
	switch {
	case h.agent != nil:
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: h.actor}
	case h.bot:
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_BOT, Id: d.Name + "-bot"}
	}
	c := h.contact
	if c == nil {
		s.Inbox, s.Thread = d.Name+"-presence", h.actor
		return s
	}
	s.Channel, s.Inbox, s.Thread = c.Channel, c.Inbox, c.Thread
	if c.maker.namesInteractions {
		s.Interaction = fmt.Sprintf("%s.%d", c.Thread, h.stretch)
	}
	role := eventv1.PartyRole_PARTY_ROLE_INITIATOR
	switch h.typ {
	case event.TypeMessageReceived:
		role = eventv1.PartyRole_PARTY_ROLE_SENDER
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	case event.TypeMessageSent:
		role = eventv1.PartyRole_PARTY_ROLE_TO
	}
	switch {
	case h.party != nil:
		s.Parties = []*eventv1.SubmittedParty{h.party}
	case c.maker.namesCustomer || h.opens || h.direction != eventv1.Direction_DIRECTION_UNSPECIFIED:
		s.Parties = []*eventv1.SubmittedParty{{Address: c.customer, Role: role, Side: eventv1.Side_SIDE_CUSTOMER}}
	}
	return s
}
