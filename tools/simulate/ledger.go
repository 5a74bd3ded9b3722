package simulate

import (
	"slices"
	"strings"
	"time"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Ledger is what the metrics of contact centres count of a day, by their published definitions: each thing with the moment at which it counts,
// or the stretch of time.
type Ledger struct {
	accounts map[string]*account
	day      *Day
	params   Parameters
}

// Parameters are those of the definitions. The zero value is what they say by themselves.
type Parameters struct {
	// Within is how soon a visit is to be answered; 0 for the target in force: the visit's own, else its queue's, else 20 s.
	Within time.Duration
	// ShortAbandon is up to when an abandoned wait is a short one; 5 s where it is 0.
	ShortAbandon time.Duration
	// CountShort, WithoutFlowOuts and WithoutDeflections say what counts as queued for the service level.
	CountShort, WithoutFlowOuts, WithoutDeflections bool
	// OfQueued divides the abandoned by those that did not leave for a callback.
	OfQueued bool
	// RepeatWithin is how soon another contact repeats one; 7 days where it is 0.
	RepeatWithin time.Duration
}

// way is how what counts adds up.
type way int

const (
	sums     way = iota
	highest      // the greatest counts
	distinct     // each of a name counts once
	standing     // how many there are at the end of an interval
)

// account is a metric.
type account struct {
	way                    way
	numerator, denominator []entry
	// split is the numerator by real time; nil where it is the same.
	split []entry
	// ratio says that something is divided.
	ratio bool
}

// entry is what counts. It has a moment, or where until is not 0 a stretch, which counts by the pieces into which it is cut.
type entry struct {
	at, until int64
	// ended is when its interaction did; 0 while it goes on. A stretch that is by the wall clock has none.
	ended int64
	adds  float64
	name  string // of which there may be several
	traits
	thing Thing
}

// traits are the values of dimensions.
type traits map[string]string

// Thing is what counts, and when (nanoseconds since 1970).
type Thing struct {
	Contact *Contact
	Stretch int
	// Queue and Agent are ids of the directory; empty for none.
	Queue, Agent string
	At           int64
}

// The dimensions that the day knows.
const (
	byChannel      = "channel"
	byProvider     = "provider"
	byInbox        = "inbox"
	byDirection    = "direction"
	byQueue        = "queue"
	byAgent        = "agent"
	byTeam         = "team"
	byPresence     = "presence"
	byPresenceType = "presence_type"
)

// Ledger counts the day.
func (d *Day) Ledger(p Parameters) *Ledger {
	if p.ShortAbandon == 0 {
		p.ShortAbandon = 5 * time.Second
	}
	if p.RepeatWithin == 0 {
		p.RepeatWithin = 7 * 24 * time.Hour
	}
	l := &Ledger{accounts: map[string]*account{}, day: d, params: p}
	for _, name := range countedMetrics() {
		l.accounts[name] = &account{}
	}
	for _, name := range dividedMetrics() {
		l.accounts[name] = &account{ratio: true}
	}
	l.accounts["longest_wait"].way = highest
	l.accounts["customers"].way = distinct
	l.accounts["backlog"].way = standing
	for _, c := range d.Contacts {
		for _, i := range c.Interactions {
			l.interaction(i)
		}
	}
	l.repeats()
	for _, v := range d.Visits {
		l.visit(v)
	}
	for _, a := range d.Assignments {
		l.assignment(a)
	}
	for _, a := range d.Agents {
		l.agent(a)
	}
	return l
}

// countedMetrics and dividedMetrics are those that the day has a truth for.
func countedMetrics() []string {
	return []string{
		"interactions", "messages_in", "messages_out", "customers", "backlog", "complaints", "offered", "answered", "abandoned", "short_abandoned",
		"longest_wait", "handled", "handle_time", "talk_time", "hold_time", "acw_time", "agent_offers", "declined", "not_answered", "on_contact_time", "idle_time",
		"signed_in_time", "available_time", "break_time", "resolved", "reopened", "transfers", "repeat_contacts", "surveys_sent", "surveys_answered",
	}
}

func dividedMetrics() []string {
	return []string{
		"complaint_rate", "abandon_rate", "service_level", "asa", "average_abandon_time", "aht", "average_talk_time", "average_hold_time",
		"average_acw_time", "average_holds", "decline_rate", "not_answered_rate", "occupancy", "utilisation", "first_response_time", "resolution_time",
		"reopened_rate", "transfer_rate", "fcr", "repeat_rate", "containment", "response_rate", "csat", "csat_score", "nps", "ces",
	}
}

// part is one half of a metric.
type part int

const (
	over  part = iota // numerator
	under             // denominator
	split             // numerator by real time
)

// put has something count.
func (l *Ledger) put(e entry, of part, metrics ...string) {
	for _, name := range metrics {
		a := l.accounts[name]
		switch of {
		case over:
			a.numerator = append(a.numerator, e)
		case under:
			a.denominator = append(a.denominator, e)
		default:
			a.split = append(a.split, e)
		}
	}
}

// as is an entry with another moment and value.
func (e entry) as(at int64, adds float64) entry {
	e.at, e.adds = at, adds
	return e
}

func seconds64(nanos int64) float64 { return time.Duration(nanos).Seconds() }

// of are the traits that everything of a contact has.
func (l *Ledger) of(c *Contact, stretch int, queue *Queue, a *Agent) (traits, Thing) {
	t := traits{
		byChannel: channelName(c.Channel), byProvider: c.Provider, byInbox: c.Inbox, byDirection: strings.ToLower(word(c.Direction)), byQueue: queueID(queue), byAgent: "", byTeam: "",
	}
	if a != nil {
		t[byAgent], t[byTeam] = a.ID, a.Team.ID
	}
	return t, Thing{Contact: c, Stretch: stretch, Queue: t[byQueue], Agent: t[byAgent]}
}

// interaction counts what is about whole interactions.
func (l *Ledger) interaction(i *Interaction) {
	e := entry{at: i.Began, ended: i.Ended, adds: 1, name: i.Contact.customer.GetValue()}
	e.traits, e.thing = l.of(i.Contact, i.Stretch, l.day.queueOf(i), nil)
	delete(e.traits, byAgent) // who has one that is not over is told by the states
	delete(e.traits, byTeam)
	l.put(e, over, "interactions", "customers")
	l.put(e, under, "complaint_rate")
	open := e
	if open.until = i.Over(); open.until == 0 {
		open.until = Everything
	}
	l.put(open, over, "backlog")
	for _, at := range i.Received {
		l.put(e.as(at, 1), over, "messages_in")
	}
	for _, at := range i.Sent {
		l.put(e.as(at, 1), over, "messages_out")
	}
	if first := l.day.firstResponse(i); first != 0 {
		l.put(e.as(first, seconds64(first-max(i.Began, i.HandedOff))), over, "first_response_time")
		l.put(e.as(first, 1), under, "first_response_time")
	}
	if i.Resolved != 0 {
		l.put(e.as(i.Resolved, 1), over, "resolved")
		l.put(e.as(i.Resolved, seconds64(i.Resolved-max(i.Began, i.Reopened))), over, "resolution_time")
		l.put(e.as(i.Resolved, 1), under, "resolution_time")
	}
	if i.Reopenings > 0 {
		l.put(e.as(i.Reopened, 1), over, "reopened")
	}
	if settled := i.everResolved(); settled != 0 {
		l.put(e.as(settled, 1), under, "reopened_rate")
		if i.Reopenings > 0 {
			l.put(e.as(settled, 1), over, "reopened_rate")
		}
	}
	l.transfers(i, e)
	if i.BotStarted != 0 {
		l.put(e.as(i.BotStarted, 1), under, "containment")
	}
	if i.Contained {
		l.put(e.as(i.BotEnded, 1), over, "containment")
	}
}

// transfers counts how often an interaction went elsewhere: visits behind the first that came about by a transfer or an overflow, and
// assignments that came about by a transfer without such a visit.
func (l *Ledger) transfers(i *Interaction, e entry) {
	moves, connected := 0, false
	moved := map[*Visit]bool{}
	visits := l.day.visitsOf(i)
	for n, v := range visits {
		if n == 0 {
			continue
		}
		switch before := visits[n-1].Outcome; {
		case v.origin == eventv1.Origin_ORIGIN_TRANSFER, before == eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, before == eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
			moved[v] = true
			moves++
		}
	}
	for n, a := range l.day.sharesOf(i) {
		if n > 0 && a.Origin == eventv1.Origin_ORIGIN_TRANSFER && (a.Visit == nil || !moved[a.Visit]) {
			moves++
		}
		connected = connected || a.Connected != 0 && a.Origin != eventv1.Origin_ORIGIN_CONSULT
	}
	if moves > 0 {
		l.put(e.as(i.Began, float64(moves)), over, "transfers")
	}
	if connected {
		l.put(e, under, "transfer_rate")
	}
	if connected && moves > 0 {
		l.put(e, over, "transfer_rate")
	}
}

// everResolved is when an interaction was resolved last, or reopened where it is open again; 0 where it never was.
func (i *Interaction) everResolved() int64 {
	if i.Resolved != 0 {
		return i.Resolved
	}
	return i.Reopened
}

// repeats counts contacts that repeat another one: inbound interactions of one customer. None of the day has a reason.
func (l *Ledger) repeats() {
	customers := map[string][]*Interaction{}
	for _, c := range l.day.Contacts {
		for _, i := range c.Interactions {
			if c.Direction == eventv1.Direction_DIRECTION_INBOUND {
				customers[c.customer.GetValue()] = append(customers[c.customer.GetValue()], i)
			}
		}
	}
	for _, all := range customers {
		slices.SortFunc(all, func(a, b *Interaction) int { return int(a.Began - b.Began) })
		for n, i := range all {
			repeats := func(n int) bool { // contact n repeats the one before it
				return n > 0 && n < len(all) && time.Duration(all[n].Began-all[n-1].Began) <= l.params.RepeatWithin
			}
			e := entry{at: i.Began, ended: i.Ended, adds: 1}
			e.traits, e.thing = l.of(i.Contact, i.Stretch, l.day.queueOf(i), nil)
			delete(e.traits, byAgent)
			delete(e.traits, byTeam)
			l.put(e, under, "repeat_rate")
			if repeats(n) {
				l.put(e, over, "repeat_contacts", "repeat_rate")
				continue
			}
			l.put(e, under, "fcr")
			if i.Resolved != 0 && i.Reopenings == 0 && !repeats(n+1) {
				l.put(e, over, "fcr")
			}
		}
	}
}

// within is the target of a visit.
func (l *Ledger) within(v *Visit) time.Duration {
	switch {
	case l.params.Within > 0:
		return l.params.Within
	case v.Target > 0:
		return v.Target
	case v.Queue.Within > 0:
		return v.Queue.Within
	}
	return 20 * time.Second
}

// visit counts a wait.
func (l *Ledger) visit(v *Visit) {
	i := v.Contact.Interactions[v.Stretch]
	var by *Agent
	if v.Outcome == eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED {
		by = v.Assignments[len(v.Assignments)-1].Agent // nobody is asked any more
	}
	e := entry{at: v.Entered, ended: i.Ended, adds: 1}
	e.traits, e.thing = l.of(v.Contact, v.Stretch, v.Queue, by)
	l.put(e, over, "offered")
	if !l.params.OfQueued || v.Outcome != eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK {
		l.put(e, under, "abandon_rate")
	}
	if v.Left == 0 {
		return
	}
	waited := time.Duration(v.Left - v.Entered)
	e = e.as(v.Left, 1)
	wait := e.as(v.Left, waited.Seconds())
	l.put(wait, over, "longest_wait")
	queued, answered := true, false
	switch v.Outcome {
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED:
		answered = true
		l.put(e, over, "answered")
		l.put(wait, over, "asa")
		l.put(e, under, "asa")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED:
		l.put(e, over, "abandoned", "abandon_rate")
		l.put(wait, over, "average_abandon_time")
		l.put(e, under, "average_abandon_time")
		if waited <= l.params.ShortAbandon {
			l.put(e, over, "short_abandoned")
			queued = l.params.CountShort
		}
	case eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
		queued = !l.params.WithoutFlowOuts
	case eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL, eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK:
		queued = !l.params.WithoutDeflections
	default:
	}
	if queued {
		l.put(e, under, "service_level")
	}
	if answered && waited <= l.within(v) {
		l.put(e, over, "service_level")
	}
}

// assignment counts an agent's share.
func (l *Ledger) assignment(a *Assignment) {
	e := entry{ended: a.Contact.Interactions[a.Stretch].Ended, adds: 1}
	e.traits, e.thing = l.of(a.Contact, a.Stretch, a.Queue, a.Agent)
	if a.Offered != 0 {
		l.put(e.as(a.Offered, 1), over, "agent_offers")
		l.put(e.as(a.Offered, 1), under, "decline_rate", "not_answered_rate")
	}
	if a.Declined != 0 {
		l.put(e.as(a.Declined, 1), over, "declined", "decline_rate")
		if a.Decline == eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT {
			l.put(e.as(a.Declined, 1), over, "not_answered", "not_answered_rate")
		}
	}
	if _, done := a.Handle(); !done {
		return
	}
	at := max(a.Ended, a.WrapupEnded)
	talk, hold, wrapup := []Stretch{{a.Connected, a.Ended}}, a.Held, []Stretch(nil)
	if a.WrapupStarted != 0 {
		wrapup = []Stretch{{a.WrapupStarted, a.WrapupEnded}}
	}
	for _, away := range [][]Stretch{a.Held, a.Paused} {
		for _, out := range away {
			talk = without(talk, out)
		}
	}
	l.put(e.as(at, 1), over, "handled")
	l.put(e.as(at, 1), under, "aht", "average_talk_time", "average_hold_time", "average_acw_time", "average_holds")
	l.put(e.as(at, float64(len(a.Held))), over, "average_holds")
	for _, of := range []struct {
		stretches []Stretch
		metrics   []string
	}{
		{talk, []string{"talk_time", "average_talk_time"}}, {hold, []string{"hold_time", "average_hold_time"}}, {wrapup, []string{"acw_time", "average_acw_time"}},
	} {
		metrics := append([]string{"handle_time", "aht"}, of.metrics...)
		for _, s := range of.stretches {
			l.put(e.as(at, seconds64(s.Until-s.From)), over, metrics...)
			piece := e.as(s.From, 1)
			piece.until = s.Until
			l.put(piece, split, metrics...)
		}
	}
}

// without takes a stretch out of others.
func without(all []Stretch, out Stretch) (left []Stretch) {
	for _, s := range all {
		if before := (Stretch{s.From, min(s.Until, out.From)}); before.From < before.Until {
			left = append(left, before)
		}
		if after := (Stretch{max(s.From, out.Until), s.Until}); after.From < after.Until {
			left = append(left, after)
		}
	}
	return left
}

// agent counts how long an agent did what, by the wall clock.
func (l *Ledger) agent(a *Agent) {
	for _, i := range l.day.Intervals(a, l.day.Since().UnixNano(), l.day.End().UnixNano()) {
		presence := i.State.Presence
		e := entry{at: i.From, until: i.Until, adds: 1, traits: traits{
			byAgent: a.ID, byTeam: a.Team.ID, byPresence: presence.Text, byPresenceType: strings.ToLower(strings.TrimPrefix(presence.Type.String(), "PRESENCE_TYPE_")),
		}}
		busy := presence.Type != offline && slices.ContainsFunc(i.State.Contacts, func(h InHand) bool {
			return h.State == agentv1.ContactState_CONTACT_STATE_CONNECTED || h.State == agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD ||
				h.State == agentv1.ContactState_CONTACT_STATE_ENDED
		})
		signedIn := presence.Type == routable || presence.Type == custom
		switch {
		case busy:
			l.put(e, over, "on_contact_time", "occupancy")
			l.put(e, under, "occupancy")
		case i.State.Routing == eventv1.RoutingStatus_ROUTING_STATUS_IDLE:
			l.put(e, over, "idle_time")
			l.put(e, under, "occupancy")
		}
		if signedIn {
			l.put(e, over, "signed_in_time")
			l.put(e, under, "utilisation")
		}
		if signedIn && busy {
			l.put(e, over, "utilisation")
		}
		switch presence.Type {
		case routable:
			l.put(e, over, "available_time")
		case custom:
			l.put(e, over, "break_time")
		default:
		}
	}
}
