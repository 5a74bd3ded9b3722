package simulate

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Contact is a thread of a customer.
type Contact struct {
	Number                  int
	Channel                 eventv1.Channel
	Provider, Inbox, Thread string
	Direction               eventv1.Direction
	// Began is when its interactions did.
	Began        []int64
	Interactions []*Interaction
	Supervisions []*Supervision

	maker    maker
	customer *eventv1.Address
	queue    *Queue // the last one
	visit    *Visit // goes on
	share    *Assignment
	last     int64 // time of the last event
	taken    bool  // an agent has accepted
	origin   eventv1.Origin
}

// Visit is one wait in one queue. Times are nanoseconds since 1970; 0 is none.
type Visit struct {
	Number        int
	Contact       *Contact
	Stretch       int // interaction of the contact
	Queue         *Queue
	Entered, Left int64
	Outcome       eventv1.QueueOutcome
	To            string // where it went, by the provider's word
	Target        time.Duration
	Assignments   []*Assignment
	name          string
	origin        eventv1.Origin
}

// Stretch is a part of an assignment; Until is 0 while it goes on.
type Stretch struct{ From, Until int64 }

// Assignment is one agent's share. Times are nanoseconds since 1970; 0 is none.
type Assignment struct {
	Number                                        int
	Contact                                       *Contact
	Stretch                                       int
	Agent                                         *Agent
	Raw                                           string // what the provider calls the agent
	Visit                                         *Visit
	Queue                                         *Queue
	Origin                                        eventv1.Origin
	Offered, Declined, Accepted, Connected, Ended int64
	Decline                                       eventv1.DeclineReason
	Reason                                        eventv1.EndReason
	Held, Paused                                  []Stretch
	WrapupStarted, WrapupEnded                    int64
	Disposition                                   string
	name                                          string
	finish, left                                  int64 // of a mail: when it is done; what was left when it was laid aside
	turn                                          int
	nextStatement, nextAnything, over             int64 // see index
}

// Supervision is a supervisor who takes part.
type Supervision struct {
	Agent       *Agent
	Mode        eventv1.SupervisorMode
	From, Until int64
	Stretch     int
	party       *eventv1.SubmittedParty
}

// Begin is when an agent was first asked, or took it.
func (a *Assignment) Begin() int64 {
	for _, t := range []int64{a.Offered, a.Accepted, a.Connected} {
		if t != 0 {
			return t
		}
	}
	return 0
}

// Handle is the handle time: talk, hold and after-call work, without pauses. False where it is not over, or never was connected.
func (a *Assignment) Handle() (time.Duration, bool) { return a.handled(Everything) }

// handled is the handle time for who has seen the day up to a moment.
func (a *Assignment) handled(known int64) (time.Duration, bool) {
	has := func(t int64) bool { return t != 0 && t <= known }
	if !has(a.Connected) || !has(a.Ended) || has(a.WrapupStarted) && !has(a.WrapupEnded) {
		return 0, false
	}
	d := a.Ended - a.Connected
	if has(a.WrapupStarted) {
		d += a.WrapupEnded - a.WrapupStarted
	}
	for _, p := range a.Paused {
		d -= p.Until - p.From
	}
	return time.Duration(d), true
}

// tell has a provider tell of a contact, behind everything that it has told.
func (s *sim) tell(c *Contact, h happening) int64 {
	c.last = max(s.now+int64(s.Disorder.Clocks[c.Provider]), c.last+int64(time.Millisecond))
	return s.tellAlso(c, h)
}

// tellAlso has it tell of the moment of which it has told last.
func (s *sim) tellAlso(c *Contact, h happening) int64 {
	h.at, h.contact, h.provider, h.stretch, h.number = c.last, c, c.Provider, c.stretch(), len(s.events)
	if h.share != nil {
		h.stretch = h.share.Stretch
	}
	if h.opens {
		h.stretch = len(c.Began)
		c.Began = append(c.Began, h.at)
	}
	c.note(h)
	s.events = append(s.events, h)
	return h.at
}

// stretch is the number of its last interaction.
func (c *Contact) stretch() int { return len(c.Began) - 1 }

// of fills in what an event of a share holds.
func (a *Assignment) of(typ string, content *eventv1.Content) happening {
	h := happening{typ: typ, share: a, agent: a.Agent, actor: a.Raw, origin: a.Origin, content: content}
	if a.Contact.maker.namesAssignments {
		h.assignment = a.name
	}
	if a.Queue != nil {
		h.queue = a.Queue.Raw
	}
	if a.Contact.maker.namesVisits && a.Visit != nil {
		h.visit = a.Visit.name
	}
	return h
}

// arrivals plans who reaches out and when: most in the late morning and in the afternoon.
func (s *sim) arrivals() {
	weight := map[eventv1.Channel]float64{
		eventv1.Channel_CHANNEL_VOICE: 50, eventv1.Channel_CHANNEL_WEB_CHAT: 25, eventv1.Channel_CHANNEL_EMAIL: 15,
		eventv1.Channel_CHANNEL_SOCIAL_MESSAGE: 10,
	}
	count := map[eventv1.Channel]float64{}
	for _, q := range s.Queues {
		count[q.Channel]++
	}
	sum := 0.0
	shares := make([]float64, len(s.Queues))
	for n, q := range s.Queues {
		sum += weight[q.Channel] / count[q.Channel]
		shares[n] = sum
	}
	curve := func(x float64) float64 {
		peak := func(at, wide float64) float64 { return math.Exp(-(x - at) * (x - at) / (2 * wide * wide)) }
		return 0.2 + peak(0.3, 0.1) + 0.75*peak(0.68, 0.11)
	}
	for range s.Config.Contacts {
		x := s.random.Float64()
		for s.random.Float64()*1.2 > curve(x) {
			x = s.random.Float64()
		}
		r := s.random.Float64() * sum
		q := s.Queues[slices.IndexFunc(shares, func(upTo float64) bool { return r <= upTo })]
		s.in(s.part(x), func() { s.arrive(s.contact(q.Channel, q.Provider, q.Inbox, q), q) })
	}
}

// contact begins one.
func (s *sim) contact(channel eventv1.Channel, provider, inbox string, q *Queue) *Contact {
	n := len(s.Contacts)
	c := &Contact{
		Number: n, Channel: channel, Provider: provider, Inbox: inbox, Thread: fmt.Sprintf("%s-c%d", s.Name, n),
		Direction: eventv1.Direction_DIRECTION_INBOUND, maker: makerOf(provider), queue: q,
	}
	switch channel {
	case eventv1.Channel_CHANNEL_VOICE:
		c.customer = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: fmt.Sprintf("+4930%03d%06d", s.area(), n)}
	case eventv1.Channel_CHANNEL_EMAIL:
		c.customer = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: fmt.Sprintf("%s-c%d@example.com", s.Name, n)}
	case eventv1.Channel_CHANNEL_SOCIAL_MESSAGE:
		c.customer = &eventv1.Address{
			Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat/" + s.Name, Value: fmt.Sprintf("open-%d", n),
		}
	default:
		c.customer = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprintf("%s-v%d", s.Name, n)}
	}
	s.Contacts = append(s.Contacts, c)
	return c
}

// area is the begin of the day's telephone numbers, so that days of different names have other customers.
func (s *sim) area() uint32 {
	const areas = 900
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(s.Name)) // it never fails
	return 100 + hash.Sum32()%areas
}

func (s *sim) arrive(c *Contact, q *Queue) {
	if c.Channel == eventv1.Channel_CHANNEL_VOICE {
		s.tell(c, happening{typ: event.TypeInteractionStarted, direction: c.Direction, opens: true})
		s.in(s.between(2*time.Second, 15*time.Second), func() {
			if s.chance(0.01) { // the menu is too much
				s.tell(c, ended(eventv1.EndReason_END_REASON_CUSTOMER, 0))
				return
			}
			s.tell(c, happening{typ: event.TypeFlowStepEntered})
			s.enter(c, q, 0)
		})
		return
	}
	s.write(c, true)
	if c.Channel != eventv1.Channel_CHANNEL_WEB_CHAT || s.chance(0.4) {
		s.in(s.between(200*time.Millisecond, 2*time.Second), func() { s.enter(c, q, 0) })
		return
	}
	s.tell(c, happening{typ: event.TypeBotStarted, bot: true})
	s.in(s.between(5*time.Second, 40*time.Second), func() {
		if s.chance(0.2) {
			s.tell(c, happening{typ: event.TypeBotEnded, bot: true, content: &eventv1.Content{Body: &eventv1.Content_BotEnded{
				BotEnded: &eventv1.BotEnded{Contained: true, Reason: eventv1.EndReason_END_REASON_BOT},
			}}})
			s.tell(c, ended(eventv1.EndReason_END_REASON_BOT, 0))
			return
		}
		s.tell(c, happening{typ: event.TypeBotHandedOff, bot: true})
		s.tell(c, happening{typ: event.TypeBotEnded, bot: true})
		s.enter(c, q, 0)
	})
}

func ended(reason eventv1.EndReason, window time.Duration) happening {
	body := &eventv1.InteractionEnded{Reason: reason}
	if window > 0 {
		body.ReopenWindow = durationpb.New(window)
	}
	return happening{typ: event.TypeInteractionEnded, content: &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: body}}}
}

// write has the customer write.
func (s *sim) write(c *Contact, opens bool) {
	s.tell(c, happening{
		typ: event.TypeMessageReceived, direction: eventv1.Direction_DIRECTION_INBOUND, opens: opens,
		content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Where is my order?"}}},
	})
}

// answer has the agent write.
func (s *sim) answer(share *Assignment) {
	s.tell(share.Contact, happening{
		typ: event.TypeMessageSent, direction: eventv1.Direction_DIRECTION_OUTBOUND, agent: share.Agent, actor: share.Raw,
		content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "It is on its way."}}},
	})
}

// enter puts a contact into a queue.
func (s *sim) enter(c *Contact, q *Queue, origin eventv1.Origin) {
	v := &Visit{Number: len(s.Visits), Contact: c, Stretch: c.stretch(), Queue: q, Target: q.Target, origin: origin}
	v.name = fmt.Sprintf("v%d", v.Number)
	s.Visits = append(s.Visits, v)
	c.visit, c.queue, c.taken = v, q, false
	h := happening{typ: event.TypeQueueEntered, queue: q.Raw}
	if c.maker.namesVisits {
		h.visit = v.name
	}
	if v.Target > 0 {
		h.content = &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{
			SlaTarget: durationpb.New(v.Target), Skills: q.Skills,
		}}}
	}
	v.Entered = s.tell(c, h)
	if q.patience > 0 {
		patience := s.patience(q.patience)
		if s.chance(0.02) {
			patience = s.between(500*time.Millisecond, 4*time.Second)
		}
		s.in(patience, func() { s.lose(c, v) })
	}
	if s.chance(0.25) {
		s.in(s.between(40*time.Second, 150*time.Second), func() { s.overflow(c, v) })
	}
	s.dispatch(c)
}

// waits tells whether a visit goes on and nobody has accepted.
func (c *Contact) waits(v *Visit) bool { return c.visit == v && v.Left == 0 && !c.taken }

// left notes that a wait is over otherwise than by an answer, and tells so unless what is told next implies it.
func (s *sim) left(v *Visit, outcome eventv1.QueueOutcome, to string) {
	c := v.Contact
	s.unqueue(c)
	h := happening{typ: event.TypeQueueLeft, queue: v.Queue.Raw, content: &eventv1.Content{Body: &eventv1.Content_QueueLeft{
		QueueLeft: &eventv1.QueueLeft{Outcome: outcome, Target: to},
	}}}
	if c.maker.namesVisits {
		h.visit = v.name
	}
	v.Left, v.Outcome, v.To, c.visit = s.tell(c, h), outcome, to, nil
}

// withdraw takes an offer back.
func (s *sim) withdraw(share *Assignment) {
	s.decline(share, eventv1.DeclineReason_DECLINE_REASON_CANCELLED)
}

// lose is that the customer's patience ends.
func (s *sim) lose(c *Contact, v *Visit) {
	if !c.waits(v) {
		return
	}
	if c.Channel == eventv1.Channel_CHANNEL_VOICE && c.share == nil && s.chance(0.25) {
		if s.chance(0.5) {
			s.left(v, eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL, "")
			s.in(10*time.Second, func() {
				s.tell(c, happening{typ: event.TypeVoicemailLeft})
				s.tell(c, ended(eventv1.EndReason_END_REASON_CUSTOMER, 0))
			})
			return
		}
		s.left(v, eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK, "")
		s.tell(c, happening{typ: event.TypeCallbackRequested})
		s.tell(c, ended(eventv1.EndReason_END_REASON_SYSTEM, 0))
		s.in(s.anywhere(0.005, 0.03), func() { s.callBack(c) })
		return
	}
	share := c.share
	if c.maker.terse { // the end of the call says it all
		at := s.tell(c, ended(eventv1.EndReason_END_REASON_CUSTOMER, 0))
		s.unqueue(c)
		v.Left, v.Outcome, c.visit = at, eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED, nil
		if share != nil {
			share.Declined, share.Decline, c.share = at, eventv1.DeclineReason_DECLINE_REASON_CANCELLED, nil
			s.done(share)
		}
		return
	}
	if share != nil {
		s.withdraw(share)
	}
	s.left(v, eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED, "")
	if c.maker.namesInteractions || c.Channel == eventv1.Channel_CHANNEL_VOICE {
		s.tell(c, ended(eventv1.EndReason_END_REASON_CUSTOMER, 0))
	}
}

// overflow sends who waits too long elsewhere: by a rule, or by a person.
func (s *sim) overflow(c *Contact, v *Visit) {
	to := s.another(v.Queue)
	if !c.waits(v) || c.share != nil || to == nil || c.Channel == eventv1.Channel_CHANNEL_EMAIL && s.chance(0.8) {
		return
	}
	outcome := eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED
	if s.chance(0.3) {
		outcome = eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED
	}
	s.left(v, outcome, to.Raw)
	s.enter(c, to, 0)
}

// another is a queue of the same kind; nil where there is none.
func (s *sim) another(q *Queue) *Queue {
	for n := 1; n < len(s.Queues); n++ {
		o := s.Queues[(q.Number+n)%len(s.Queues)]
		if o.Channel == q.Channel && o.Provider == q.Provider {
			return o
		}
	}
	return nil
}

// callBack has the company call a customer back, under a new call.
func (s *sim) callBack(before *Contact) {
	c := s.contact(before.Channel, before.Provider, before.Inbox, before.queue)
	c.customer, c.Direction, c.origin = before.customer, eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_CALLBACK
	s.tell(c, happening{
		typ: event.TypeInteractionStarted, direction: c.Direction, origin: c.origin, opens: true,
		content: &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Continues: before.Thread}}},
	})
	s.offerBack(c)
}

// offerBack offers a call back to who has time.
func (s *sim) offerBack(c *Contact) {
	if a := s.longestIdle(c.queue); a != nil {
		s.offer(c, a, nil, c.queue, eventv1.Origin_ORIGIN_CALLBACK)
		return
	}
	s.in(s.between(10*time.Second, 40*time.Second), func() { s.offerBack(c) })
}

// callOut plans calls of agents to customers.
func (s *sim) callOut() {
	var speak []*Agent
	for _, a := range s.Agents {
		if a.telephone != "" && !a.Leads {
			speak = append(speak, a)
		}
	}
	if len(speak) == 0 {
		return
	}
	for range s.Config.Contacts/25 + 1 {
		a := speak[s.random.IntN(len(speak))]
		s.in(s.anywhere(0.05, 0.97), func() { s.dial(a) })
	}
}

// dial has an agent call a customer, if there is nothing else to do.
func (s *sim) dial(a *Agent) {
	if !a.signedIn || len(a.active) > 0 || a.pending != nil {
		return
	}
	c := s.contact(eventv1.Channel_CHANNEL_VOICE, a.telephone, s.Name+"-voice", nil)
	c.Direction, c.origin = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_OUTBOUND
	s.tell(c, happening{
		typ: event.TypeCallDialed, direction: c.Direction, origin: c.origin, opens: true, agent: a, actor: a.raw(a.telephone, s.now),
	})
	share := s.share(c, a, nil, nil, c.origin)
	share.Accepted = s.tell(c, share.of(event.TypeAssignmentAccepted, nil))
	c.taken, c.share = true, share
	s.report(a)
	s.ring(share)
}

// ring is that a customer's telephone rings.
func (s *sim) ring(share *Assignment) {
	c := share.Contact
	s.in(s.between(3*time.Second, 20*time.Second), func() {
		if s.chance(0.8) {
			s.tell(c, happening{typ: event.TypeCallAnswered})
			s.connect(share)
			return
		}
		s.tell(c, happening{typ: event.TypeCallFailed})
		share.Ended = s.tell(c, share.of(event.TypeAssignmentEnded, reason(eventv1.EndReason_END_REASON_ERROR)))
		share.Reason, c.share = eventv1.EndReason_END_REASON_ERROR, nil
		s.tell(c, ended(eventv1.EndReason_END_REASON_ERROR, 0))
		s.done(share)
	})
}

func reason(r eventv1.EndReason) *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{Reason: r}}}
}
