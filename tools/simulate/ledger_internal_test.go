package simulate

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	inQuarters   = analyticsv1.Step_STEP_QUARTER
	inHalfHours  = analyticsv1.Step_STEP_HALF_HOUR
	byDisconnect = analyticsv1.Attribution_ATTRIBUTION_DISCONNECT
	byRealTime   = analyticsv1.Attribution_ATTRIBUTION_REAL_TIME
)

// byHand is a day that is written down. Times are seconds from its begin, at five in the morning.
type byHand struct {
	*Day
	queue *Queue
	agent *Agent
}

func written() *byHand {
	d := &byHand{Day: &Day{Config: Config{Name: "d", Start: time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC), Length: 10 * time.Hour}, byName: map[string]int{}}}
	team := &Team{ID: "d-t00"}
	d.queue, d.agent = &Queue{ID: "d-q00", Channel: eventv1.Channel_CHANNEL_VOICE}, &Agent{ID: "d-a000", Team: team}
	d.Queues, d.Agents, d.Teams = []*Queue{d.queue}, []*Agent{d.agent}, []*Team{team}
	return d
}

func (d *byHand) at(seconds int64) int64 {
	if seconds < 0 {
		return 0
	}
	return d.Start.UnixNano() + seconds*int64(time.Second)
}

// call is one that begins and, unless that is negative, ends.
func (d *byHand) call(began, ended int64) *Contact {
	c := &Contact{
		Number: len(d.Contacts), Channel: eventv1.Channel_CHANNEL_VOICE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		customer: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "+493012345"}, Began: []int64{d.at(began)},
	}
	c.Interactions = []*Interaction{{Contact: c, Began: d.at(began), Ended: d.at(ended)}}
	d.Contacts = append(d.Contacts, c)
	return c
}

// wait is a visit of a call of its own.
func (d *byHand) wait(entered, left int64, outcome eventv1.QueueOutcome, target time.Duration) {
	v := &Visit{Contact: d.call(entered, left), Queue: d.queue, Entered: d.at(entered), Left: d.at(left), Outcome: outcome, Target: target}
	if outcome == eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED {
		v.Assignments = []*Assignment{{Contact: v.Contact, Agent: d.agent, Queue: d.queue, Visit: v, Connected: v.Left}}
	}
	d.Visits = append(d.Visits, v)
}

func (d *byHand) handle(a Assignment) {
	a.Contact, a.Agent, a.Queue = d.call(0, 10_000), d.agent, d.queue
	d.Assignments = append(d.Assignments, &a)
}

func (d *byHand) ask(p Parameters, metric string, more ...func(*Question)) map[Cell]Number {
	d.indexContacts()
	q := Question{From: d.Start, Until: d.End(), Zone: time.UTC}
	for _, m := range more {
		m(&q)
	}
	return d.Ledger(p).Report(metric, q)
}

func (d *byHand) is(t *testing.T, p Parameters, metric string, numerator, denominator float64) {
	t.Helper()
	if got := d.ask(p, metric)[Whole]; math.Abs(got.Numerator-numerator) > 1e-9 || got.Denominator != denominator {
		t.Errorf("%s with %+v is %v of %v, and %v of %v by hand", metric, p, got.Numerator, got.Denominator, numerator, denominator)
	}
}

const (
	answered    = eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED
	abandoned   = eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED
	overflowed  = eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED
	transferred = eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED
	voicemail   = eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL
	callback    = eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK
)

func TestQueueingIsAsByHand(t *testing.T) {
	d := written()
	d.wait(0, 10, answered, 0)
	d.wait(100, 120, answered, 0)
	d.wait(200, 230, answered, 45*time.Second)
	d.wait(300, 303, abandoned, 0)
	d.wait(400, 405, abandoned, 0)
	d.wait(500, 540, abandoned, 0)
	d.wait(600, 660, overflowed, 0)
	d.wait(700, 760, transferred, 0)
	d.wait(800, 880, voicemail, 0)
	d.wait(900, 990, callback, 0)
	d.wait(1000, -1, 0, 0)
	usual := Parameters{}
	d.is(t, usual, "offered", 11, 1)
	d.is(t, usual, "answered", 3, 1)
	d.is(t, usual, "abandoned", 3, 1)
	d.is(t, usual, "short_abandoned", 2, 1)
	d.is(t, Parameters{ShortAbandon: 4 * time.Second}, "short_abandoned", 1, 1)
	d.is(t, usual, "abandon_rate", 3, 11)
	d.is(t, Parameters{OfQueued: true}, "abandon_rate", 3, 10)
	d.is(t, usual, "asa", 60, 3)
	d.is(t, usual, "average_abandon_time", 48, 3)
	d.is(t, usual, "longest_wait", 90, 1)
	d.is(t, usual, "service_level", 3, 8)
	d.is(t, Parameters{Within: 20 * time.Second}, "service_level", 2, 8)
	d.is(t, Parameters{Within: 19 * time.Second}, "service_level", 1, 8)
	d.is(t, Parameters{CountShort: true}, "service_level", 3, 10)
	d.is(t, Parameters{WithoutFlowOuts: true}, "service_level", 3, 6)
	d.is(t, Parameters{WithoutDeflections: true}, "service_level", 3, 6)
	d.is(t, Parameters{CountShort: true, WithoutFlowOuts: true, WithoutDeflections: true}, "service_level", 3, 6)
	d.is(t, usual, "interactions", 11, 1)
	d.is(t, usual, "customers", 1, 1)
	d.is(t, usual, "backlog", 1, 1)
	d.queue.Within = 10 * time.Second
	d.is(t, usual, "service_level", 2, 8)
}

func TestHandlingIsAsByHand(t *testing.T) {
	d := written()
	d.handle(Assignment{})
	a := &Assignment{
		Offered: 1, Connected: 100, Held: []Stretch{{110, 120}, {125, 130}}, Paused: []Stretch{{150, 180}}, Ended: 200, WrapupStarted: 201, WrapupEnded: 231,
	}
	for _, s := range []*int64{
		&a.Offered, &a.Connected, &a.Held[0].From, &a.Held[0].Until, &a.Held[1].From, &a.Held[1].Until, &a.Paused[0].From, &a.Paused[0].Until, &a.Ended,
		&a.WrapupStarted, &a.WrapupEnded,
	} {
		*s = d.at(*s)
	}
	d.handle(*a)
	goesOn := *a // its after-call work does
	goesOn.WrapupEnded = 0
	d.handle(goesOn)
	d.is(t, Parameters{}, "agent_offers", 2, 1)
	d.is(t, Parameters{}, "handled", 1, 1)
	d.is(t, Parameters{}, "aht", 100, 1)
	d.is(t, Parameters{}, "handle_time", 100, 1)
	d.is(t, Parameters{}, "talk_time", 55, 1)
	d.is(t, Parameters{}, "hold_time", 15, 1)
	d.is(t, Parameters{}, "acw_time", 30, 1)
	d.is(t, Parameters{}, "average_holds", 2, 1)
}

func TestHandlingFrom0523To0615Gives7And30And15MinutesToItsHalfHours(t *testing.T) {
	d := written()
	d.handle(Assignment{Connected: d.at(23 * 60), Ended: d.at(75 * 60)})
	halves := func(attribution analyticsv1.Attribution) (minutes [4]float64) {
		of := d.ask(Parameters{}, "handle_time", func(q *Question) { q.Step, q.Attribution = inHalfHours, attribution })
		for n := range minutes {
			minutes[n] = of[Cell{"", n}].Numerator / 60
		}
		return minutes
	}
	if got := halves(byRealTime); got != [4]float64{7, 30, 15, 0} {
		t.Errorf("by real time, its half hours get %v", got)
	}
	if got := halves(0); got != [4]float64{0, 0, 52, 0} {
		t.Errorf("by occurrence, its half hours get %v", got)
	}
	if got := halves(byDisconnect); got != [4]float64{} { // the call ends at 7:46
		t.Errorf("by disconnect, its half hours get %v", got)
	}
}

func TestTimesOfAgentsAreAsByHand(t *testing.T) {
	d := written()
	says := func(at int64, text string, typ eventv1.PresenceType) {
		d.agent.Statements = append(d.agent.Statements, &Statement{At: d.at(at), Connector: PBX, Type: event.TypeAgentPresenceChanged, Presence: text, Meaning: typ})
	}
	says(0, "Available", routable)
	says(3000, "Break", custom)
	says(3600, "Offline", offline)
	// Two calls at once from 700 to 800.
	d.handle(Assignment{Connected: d.at(600), Ended: d.at(700), WrapupStarted: d.at(700), WrapupEnded: d.at(800)})
	d.handle(Assignment{Connected: d.at(700), Ended: d.at(1000)})
	d.agent.Assignments = d.Assignments
	d.agent.index()
	d.is(t, Parameters{}, "signed_in_time", 3600, 1)
	d.is(t, Parameters{}, "available_time", 3000, 1)
	d.is(t, Parameters{}, "break_time", 600, 1)
	d.is(t, Parameters{}, "on_contact_time", 400, 1)
	d.is(t, Parameters{}, "idle_time", 2600, 1)
	d.is(t, Parameters{}, "occupancy", 400, 3000)
	d.is(t, Parameters{}, "utilisation", 400, 3600)
}

func TestInteractionsAreAsByHand(t *testing.T) {
	d := written()
	mail := d.call(0, -1)
	mail.Channel = eventv1.Channel_CHANNEL_EMAIL
	i := mail.Interactions[0]
	tells := func(at int64, typ string) { mail.note(happening{at: d.at(at), typ: typ}) }
	tells(10, event.TypeMessageReceived)
	tells(20, event.TypeBotStarted)
	tells(50, event.TypeBotHandedOff)
	tells(50, event.TypeBotEnded)
	tells(110, event.TypeMessageSent)
	tells(120, event.TypeInteractionResolved)
	d.is(t, Parameters{}, "first_response_time", 60, 1)
	d.is(t, Parameters{}, "resolution_time", 120, 1)
	d.is(t, Parameters{}, "backlog", 0, 1)
	d.is(t, Parameters{}, "fcr", 1, 1)
	d.is(t, Parameters{}, "containment", 0, 1)
	tells(200, event.TypeMessageReceived) // it is reopened
	d.is(t, Parameters{}, "backlog", 1, 1)
	d.is(t, Parameters{}, "resolved", 0, 1)
	d.is(t, Parameters{}, "reopened_rate", 1, 1)
	tells(300, event.TypeMessageSent)
	tells(310, event.TypeInteractionResolved)
	d.is(t, Parameters{}, "resolution_time", 110, 1)
	d.is(t, Parameters{}, "first_response_time", 60, 1)
	d.is(t, Parameters{}, "messages_in", 2, 1)
	d.is(t, Parameters{}, "messages_out", 2, 1)
	d.is(t, Parameters{}, "fcr", 0, 1)
	if i.Reopenings != 1 || i.Ended != d.at(310) {
		t.Errorf("%+v", i)
	}
	d.call(1000, 1100) // the same customer
	d.is(t, Parameters{}, "repeat_rate", 1, 2)
	d.is(t, Parameters{RepeatWithin: 999 * time.Second}, "repeat_rate", 0, 2)
	d.is(t, Parameters{RepeatWithin: 1000 * time.Second}, "repeat_contacts", 1, 1)
}

func TestATransferCountsOnce(t *testing.T) {
	d := written()
	d.handle(Assignment{Connected: d.at(10), Ended: d.at(20), Reason: eventv1.EndReason_END_REASON_TRANSFER})
	first := d.Assignments[0]
	call := first.Contact
	visit := func(origin eventv1.Origin, outcome eventv1.QueueOutcome) *Visit {
		v := &Visit{Contact: call, Queue: d.queue, Entered: d.at(int64(len(d.Visits))), Left: d.at(60), Outcome: outcome, origin: origin}
		d.Visits = append(d.Visits, v)
		return v
	}
	take := func(v *Visit, origin eventv1.Origin) {
		a := &Assignment{Contact: call, Agent: d.agent, Queue: d.queue, Visit: v, Origin: origin, Connected: d.at(60)}
		d.Assignments = append(d.Assignments, a)
		if v != nil {
			v.Assignments = append(v.Assignments, a)
		}
	}
	first.Visit = visit(0, answered)
	first.Visit.Assignments = []*Assignment{first}
	d.is(t, Parameters{}, "transfers", 0, 1)
	d.is(t, Parameters{}, "transfer_rate", 0, 1)
	d.is(t, Parameters{}, "first_response_time", 10, 1)                                   // who calls is answered
	take(visit(eventv1.Origin_ORIGIN_TRANSFER, answered), eventv1.Origin_ORIGIN_TRANSFER) // to a queue
	d.is(t, Parameters{}, "transfers", 1, 1)
	take(nil, eventv1.Origin_ORIGIN_TRANSFER) // to an agent
	d.is(t, Parameters{}, "transfers", 2, 1)
	take(nil, eventv1.Origin_ORIGIN_CONSULT)
	d.is(t, Parameters{}, "transfers", 2, 1)
	visit(0, overflowed)
	take(visit(0, answered), 0)
	d.is(t, Parameters{}, "transfers", 3, 1)
	d.is(t, Parameters{}, "transfer_rate", 1, 1)
}

func TestBacklogIsWhatIsOpenAtTheEndOfEachInterval(t *testing.T) {
	d := written()
	d.call(10, 1000)
	d.call(20, -1)
	d.call(2000, 2100)
	of := d.ask(Parameters{}, "backlog", func(q *Question) { q.Step = inQuarters })
	for n, want := range []float64{2, 1, 1, 1} {
		if got := of[Cell{"", n}].Numerator; got != want {
			t.Errorf("at the end of quarter %d, %v are open, and %v by hand", n, got, want)
		}
	}
}

func TestIntervalsBeginByTheClockOfTheZone(t *testing.T) {
	q := Question{From: time.Date(2026, 3, 2, 7, 15, 0, 0, time.UTC), Until: time.Date(2026, 3, 2, 9, 10, 0, 0, time.UTC), Step: analyticsv1.Step_STEP_HOUR}
	for zone, want := range map[string][]string{
		"UTC": {"07:15", "08:00", "09:00"}, "Europe/Berlin": {"07:15", "08:00", "09:00"}, "Asia/Kolkata": {"07:15", "07:30", "08:30"},
		"Asia/Kathmandu": {"07:15", "08:15"},
	} {
		var err error
		if q.Zone, err = time.LoadLocation(zone); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, begin := range q.Intervals() {
			got = append(got, begin.UTC().Format("15:04"))
		}
		if len(got) != len(want) && zone != "Asia/Kathmandu" {
			t.Errorf("%s: %v", zone, got)
		}
		for n := range want {
			if got[n] != want[n] {
				t.Errorf("%s: %v", zone, got)
			}
		}
	}
}

// anyLedger draws a day and what it counts.
func anyLedger(t *rapid.T) (*Day, *Ledger) {
	c := Config{
		Name: "d", Seed: rapid.Uint64().Draw(t, "seed"), Start: time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC), Length: 3 * time.Hour,
		Agents: rapid.IntRange(4, 40).Draw(t, "agents"), Queues: rapid.IntRange(1, 8).Draw(t, "queues"), Contacts: rapid.IntRange(0, 150).Draw(t, "contacts"),
	}
	if rapid.Bool().Draw(t, "disorder") {
		c.Disorder = Disorderly()
	}
	d, err := Simulate(c)
	if err != nil {
		t.Fatal(err)
	}
	l := d.Ledger(Parameters{})
	return d, l
}

func TestQuartersAndGroupsSumToTheDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, l := anyLedger(t)
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "Asia/Kolkata"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		q := Question{
			From: d.Since(), Until: d.End(), Zone: zone, Step: analyticsv1.Step(rapid.IntRange(1, 4).Draw(t, "step")),
			Attribution: analyticsv1.Attribution(rapid.IntRange(1, 3).Draw(t, "attribution")),
		}
		dimension := rapid.SampledFrom([]string{"", byQueue, byAgent, byTeam, byChannel, byInbox}).Draw(t, "dimension")
		for _, metric := range l.Metrics() {
			if l.accounts[metric].way != sums {
				continue
			}
			q.GroupBy = nil
			if l.Known(metric, dimension) {
				q.GroupBy = []string{dimension}
			}
			all := l.Report(metric, q)
			var sum Number
			for cell, n := range all {
				if cell != Whole {
					sum.Numerator += n.Numerator
					sum.Denominator += n.Denominator
				}
			}
			if !l.accounts[metric].ratio {
				sum.Denominator = 1
			}
			if w := all[Whole]; math.Abs(w.Numerator-sum.Numerator) > 1e-6 || math.Abs(w.Denominator-sum.Denominator) > 1e-6 {
				t.Errorf("%s by %q: the cells sum to %v, and the whole is %v", metric, dimension, sum, w)
			}
		}
	})
}

func TestRealTimeMovesTimeBetweenIntervalsAndLosesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, l := anyLedger(t)
		q := Question{From: d.Since(), Until: d.End(), Zone: time.UTC}
		for _, metric := range []string{"handle_time", "talk_time", "hold_time", "acw_time"} {
			q.Attribution = 0
			whole := l.Report(metric, q)[Whole]
			q.Attribution = byRealTime
			if split := l.Report(metric, q)[Whole]; math.Abs(split.Numerator-whole.Numerator) > 1e-6 {
				t.Errorf("%s: %v is split into %v", metric, whole.Numerator, split.Numerator)
			}
		}
	})
}

// The board's figures and the totals of agents' days are computed by other code.
func TestTheLedgerAgreesWithTheBoardAndTheTotalsOfAgents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, l := anyLedger(t)
		q := Question{From: d.Since(), Until: d.End().Add(time.Nanosecond), Zone: time.UTC, GroupBy: []string{byQueue}}
		for _, row := range d.Board(Everything, d.End().UnixNano()).Queues {
			c, cell := row.Counts, Cell{row.Queue.ID + "\x00", 0}
			for metric, want := range map[string]float64{
				"offered": float64(c.Entered), "answered": float64(c.Answered), "abandoned": float64(c.Abandoned), "asa": c.Waited.Seconds(),
				"service_level": float64(c.AnsweredWithin),
			} {
				if got := l.Report(metric, q)[cell]; math.Abs(got.Numerator-want) > 1e-6 {
					t.Errorf("%s of %s is %v, and %v on the board", metric, row.Queue.ID, got, want)
				}
			}
		}
		q.GroupBy = []string{byAgent}
		for _, a := range d.Agents {
			totals := TotalsOf(d.Intervals(a, d.Since().UnixNano(), d.End().UnixNano()))
			cell := Cell{a.ID + "\x00", 0}
			for metric, want := range map[string]time.Duration{
				"on_contact_time": totals.OnContact, "available_time": totals.Type["ROUTABLE"], "break_time": totals.Type["CUSTOM"],
				"signed_in_time": totals.Type["ROUTABLE"] + totals.Type["CUSTOM"],
			} {
				if got := l.Report(metric, q)[cell].Numerator; math.Abs(got-want.Seconds()) > 1e-6 {
					t.Errorf("%s of %s is %v, and %v in all", metric, a.ID, got, want.Seconds())
				}
			}
		}
	})
}
