package alerts

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var epoch = time.Date(2026, 9, 14, 8, 0, 0, 0, time.UTC)

// at is so many seconds after the epoch.
func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

func stamp(seconds int) *timestamppb.Timestamp { return timestamppb.New(at(seconds)) }

const settle = 5 * time.Second

func rulesOf(t rapid.TB, rules ...Rule) []*rule {
	t.Helper()
	for i := range rules {
		rules[i].Tenant, rules[i].Name = "acme", rules[i].Kind
	}
	made, err := NewRules(Settings{Alerts: rules})
	if err != nil {
		t.Fatal(err)
	}
	return made.of["acme"]
}

// ledger is a read model of what was published, at once.
type ledger struct {
	standing
	next int64
	over map[string]bool
	told []string
}

func newLedger() *ledger {
	return &ledger{standing: standing{last: map[subject]ended{}}, over: map[string]bool{}}
}

func (l *ledger) applied() projection.Vector { return projection.Vector{0: l.next} }

// publish takes a task as the log and the fold would, and tells which event it is.
func (l *ledger) publish(t task) (string, eventlog.Position) {
	position := eventlog.Position{Offset: l.next}
	l.next++
	if t.raised != nil {
		id := fmt.Sprintf("%x", t.hash(t.last))[:8]
		if !l.over[id] && !slices.ContainsFunc(l.active, func(a *boardv1.Alert) bool { return a.GetEventId() == id }) {
			l.active = append(l.active, &boardv1.Alert{EventId: id, RaisedAt: timestamppb.New(t.at), Raised: t.raised})
			l.told = append(l.told, fmt.Sprintf("%v raised %s %s%s %v", t.at.Sub(epoch).Seconds(), t.rule, t.queue, t.agent, math.Round(t.raised.GetValue()*100)/100))
		}
		return id, position
	}
	id, before := "c"+t.cleared.GetRaisedEventId(), len(l.active)
	l.active = slices.DeleteFunc(l.active, func(a *boardv1.Alert) bool { return a.GetEventId() == t.cleared.GetRaisedEventId() })
	if len(l.active) < before {
		l.over[t.cleared.GetRaisedEventId()] = true
		l.last[t.subject] = ended{id, t.at}
		l.told = append(l.told, fmt.Sprintf("%v cleared %s %s%s %v", t.at.Sub(epoch).Seconds(), t.rule, t.queue, t.agent, math.Round(t.cleared.GetValue()*100)/100))
	}
	return id, position
}

// stage is an engine whose tasks are done at once.
type stage struct {
	*engine
	*ledger
	now time.Time
}

func newStage(t rapid.TB, rules ...Rule) *stage {
	t.Helper()
	s := &stage{ledger: newLedger(), now: epoch}
	s.engine = newEngine(rulesOf(t, rules...), settle)
	s.load(&s.standing, s.ledger.applied(), s.now)
	s.take(BoardNews{Reset: true, Complete: true}, s.now)
	return s
}

// until does what is due up to a moment.
func (s *stage) until(seconds int) {
	for {
		tasks, next := s.tasks(s.now)
		for _, t := range tasks {
			id, position := s.publish(t)
			s.done(t, id, position, s.now)
		}
		if len(tasks) > 0 {
			s.load(&s.standing, s.ledger.applied(), s.now)
			continue
		}
		if next.IsZero() || next.After(at(seconds)) {
			s.now = at(seconds)
			return
		}
		s.now = next
	}
}

// queue shows a queue's row at a moment.
func (s *stage) queue(seconds int, q *boardv1.QueueRow) {
	s.until(seconds)
	q.Queue = "sales"
	s.take(BoardNews{Rows: &boardv1.Rows{Queues: []*boardv1.QueueRow{q}}}, s.now)
}

func (s *stage) agent(seconds int, a *boardv1.AgentRow) {
	s.until(seconds)
	a.AgentId, a.Teams = "anna", []string{"red"}
	s.take(BoardNews{Rows: &boardv1.Rows{Agents: []*boardv1.AgentRow{a}}}, s.now)
}

func (s *stage) expect(t *testing.T, want ...string) {
	t.Helper()
	if strings.Join(s.told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nnot\n%s", strings.Join(s.told, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheContactThatWaitsLongestIsTimedByTheClockAlone(t *testing.T) {
	s := newStage(t, Rule{Kind: "oldest_waiting", Above: "60s", For: 10 * time.Second})
	s.queue(0, &boardv1.QueueRow{Waiting: 1, OldestEnteredAt: stamp(-5)})
	s.until(64)
	s.expect(t)
	s.until(65)
	s.expect(t, "65 raised oldest_waiting sales 70")
	s.queue(70, &boardv1.QueueRow{Waiting: 1, OldestEnteredAt: stamp(5)}) // the next one waits for 65 s
	s.queue(80, &boardv1.QueueRow{})
	s.until(200)
	s.expect(t, "65 raised oldest_waiting sales 70", "90 cleared oldest_waiting sales 0")
}

func TestWhatPassesSoonerThanForIsNotTold(t *testing.T) {
	s := newStage(t, Rule{Kind: "waiting", Above: "5", For: 30 * time.Second})
	s.queue(0, &boardv1.QueueRow{Waiting: 6})
	s.queue(29, &boardv1.QueueRow{Waiting: 5})
	s.queue(40, &boardv1.QueueRow{Waiting: 7})
	s.queue(60, &boardv1.QueueRow{Waiting: 9})
	s.queue(75, &boardv1.QueueRow{Waiting: 1})
	s.queue(104, &boardv1.QueueRow{Waiting: 8}) // the pause was shorter, too
	s.queue(110, &boardv1.QueueRow{Waiting: 2})
	s.until(500)
	s.expect(t, "70 raised waiting sales 9", "140 cleared waiting sales 2")
}

func TestAnAlertIsNotRaisedAgainBeforeTheOneBeforeHasSettled(t *testing.T) {
	s := newStage(t, Rule{Kind: "waiting", Above: "0"})
	s.queue(0, &boardv1.QueueRow{Waiting: 1})
	s.queue(1, &boardv1.QueueRow{})
	s.queue(2, &boardv1.QueueRow{Waiting: 1})
	s.until(100)
	s.expect(t, "0 raised waiting sales 1", "1 cleared waiting sales 0", "6 raised waiting sales 1")
}

func TestEachKindLooksAtItsOwn(t *testing.T) {
	idle := eventv1.RoutingStatus_ROUTING_STATUS_IDLE
	s := newStage(t,
		Rule{Kind: "service_level", Below: "0.8"}, Rule{Kind: "nobody_available", Above: "20s"}, Rule{Kind: "not_responding"},
		Rule{Kind: "vanished", Above: "60s", Teams: []string{"red"}}, Rule{Kind: "state_too_long", Above: "100s", States: []string{"CONNECTED_ONHOLD", "IDLE", "presence:Meal"}},
	)
	s.queue(0, &boardv1.QueueRow{Waiting: 1, AvailableAgents: 1, Counts: &boardv1.QueueCounts{ServiceLevel: new(0.8)}})
	s.queue(10, &boardv1.QueueRow{Waiting: 1, Counts: &boardv1.QueueCounts{ServiceLevel: new(0.75)}})
	s.queue(40, &boardv1.QueueRow{Counts: &boardv1.QueueCounts{}})
	s.agent(50, &boardv1.AgentRow{RoutingStatus: eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING, RoutingStatusSince: stamp(49)})
	s.agent(60, &boardv1.AgentRow{RoutingStatus: idle, RoutingStatusSince: stamp(60), Presence: "Meal", PresenceSince: stamp(20)})
	s.agent(130, &boardv1.AgentRow{RoutingStatus: idle, RoutingStatusSince: stamp(60), Vanished: true, PresenceSince: stamp(110)})
	s.agent(180, &boardv1.AgentRow{Contacts: []*agentv1.Contact{
		{State: agentv1.ContactState_CONTACT_STATE_CONNECTED, Since: stamp(0)}, {State: agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, Since: stamp(150)},
	}})
	s.until(260)
	s.expect(t,
		"10 raised service_level sales 0.75", "30 raised nobody_available sales 20", "40 cleared service_level sales 0", "40 cleared nobody_available sales 0",
		"49 raised not_responding anna 0", "60 cleared not_responding anna 0", "120 raised state_too_long anna 100", "130 cleared state_too_long anna 70",
		"160 raised state_too_long anna 100", "170 raised vanished anna 60", "180 cleared vanished anna 0", "180 cleared state_too_long anna 30", "250 raised state_too_long anna 100",
	)
}

func TestWhoIsOfNoTeamAndNoQueueOfTheRuleIsLeftAlone(t *testing.T) {
	s := newStage(t, Rule{Kind: "waiting", Above: "0", Queues: []string{"support"}}, Rule{Kind: "vanished", Teams: []string{"blue"}})
	s.queue(0, &boardv1.QueueRow{Waiting: 1})
	s.agent(0, &boardv1.AgentRow{Vanished: true, PresenceSince: stamp(0)})
	s.until(100)
	s.expect(t)
	if len(s.items) != 0 {
		t.Errorf("%d items are kept", len(s.items))
	}
}

func TestWhatTheBoardDoesNotShowAnyMoreIsOver(t *testing.T) {
	s := newStage(t, Rule{Kind: "waiting", Above: "0"})
	s.queue(0, &boardv1.QueueRow{Waiting: 1})
	s.until(1)
	s.take(BoardNews{Removed: &boardv1.Rows{Queues: []*boardv1.QueueRow{{Queue: "sales"}}}}, s.now)
	s.queue(20, &boardv1.QueueRow{Waiting: 1})
	s.until(30)
	s.lost() // nobody tells of it: nothing is concluded
	s.until(90)
	s.take(BoardNews{Reset: true, Rows: &boardv1.Rows{}}, s.now)
	s.until(95)
	s.take(BoardNews{Complete: true}, s.now)
	s.until(200)
	s.expect(t, "0 raised waiting sales 1", "1 cleared waiting sales 0", "20 raised waiting sales 1", "95 cleared waiting sales 0")
}

func TestAnAlertWithoutARuleIsClearedAtOnce(t *testing.T) {
	s := newStage(t, Rule{Kind: "waiting", Above: "0"})
	s.queue(0, &boardv1.QueueRow{Waiting: 1})
	s.until(1)
	other := &stage{ledger: s.ledger, now: s.now, engine: newEngine(nil, settle)}
	other.load(&s.standing, s.ledger.applied(), s.now)
	other.until(2)
	other.expect(t, "0 raised waiting sales 1", "1 cleared waiting sales 0")
	if len(other.items) != 0 {
		t.Errorf("%d items are kept", len(other.items))
	}
}

// world is what really happens, for the model and the engine: how many wait in each of two queues, and since when the first does.
type happening struct {
	waiting [2]int
	oldest  [2]int
}

func (h happening) rows() *boardv1.Rows {
	rows := &boardv1.Rows{}
	for q := range h.waiting {
		row := &boardv1.QueueRow{Queue: fmt.Sprint(q), Waiting: int32(h.waiting[q]), AvailableAgents: int32(h.waiting[q] % 2)}
		if h.waiting[q] > 0 {
			row.OldestEnteredAt = stamp(h.oldest[q])
		}
		rows.Queues = append(rows.Queues, row)
	}
	return rows
}

// plain is one rule on one queue, looked at once a second, without deadlines.
type plain struct {
	wrong, right int // since when it is too much, and since when it is not
	begin        int // since when it is too much by what happened last
	was          bool
	raised       bool
	cleared      int
}

// tick tells what is to be told at a second: 1 raised, -1 cleared. Begin is since when it is too much, if it is.
func (p *plain) tick(now, begin, hold, settle int) int {
	if p.begin <= now && !p.was { // until something happened at this very moment
		p.was, p.wrong = true, p.begin
	}
	is := begin <= now
	p.begin = begin
	switch {
	case is && !p.was:
		p.wrong = begin
	case is:
		p.wrong = min(p.wrong, begin)
	case !is && p.was:
		p.right = now
	}
	p.was = is
	switch {
	case !p.raised && is && now >= p.wrong+hold && now >= p.cleared+settle:
		p.raised = true
		return 1
	case p.raised && !is && now >= p.right+hold:
		p.raised, p.cleared = false, now
		return -1
	}
	return 0
}

func TestWhateverHappensAlertsAreThoseOfAPlainModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hold := rapid.IntRange(0, 12).Draw(t, "for")
		above := rapid.IntRange(1, 15).Draw(t, "above")
		s := newStage(t,
			Rule{Kind: "waiting", Above: "2", For: time.Duration(hold) * time.Second},
			Rule{Kind: "oldest_waiting", Above: fmt.Sprintf("%ds", above), For: time.Duration(hold) * time.Second},
		)
		const never = math.MaxInt32
		models := map[string]*plain{}
		for q := range 2 {
			for _, kind := range []string{"waiting", "oldest_waiting"} {
				models[kind+fmt.Sprint(q)] = &plain{begin: never, cleared: -1000}
			}
		}
		var want []string
		h, since := happening{}, [2]int{never, never}
		for now := range rapid.IntRange(20, 120).Draw(t, "seconds") {
			if rapid.IntRange(0, 4).Draw(t, "happens") == 0 {
				q := rapid.IntRange(0, 1).Draw(t, "queue")
				h.waiting[q] = rapid.IntRange(0, 4).Draw(t, "waiting")
				h.oldest[q] = now - rapid.IntRange(0, 20).Draw(t, "age")
				switch {
				case h.waiting[q] <= 2:
					since[q] = never
				case since[q] == never:
					since[q] = now
				}
			}
			s.until(now - 1)
			s.now = at(now)
			s.take(BoardNews{Rows: h.rows()}, s.now)
			for q := range 2 {
				begins := map[string]int{"waiting": since[q], "oldest_waiting": never}
				if h.waiting[q] > 0 {
					begins["oldest_waiting"] = h.oldest[q] + above
				}
				for kind, begin := range begins {
					switch models[kind+fmt.Sprint(q)].tick(now, begin, hold, int(settle/time.Second)) {
					case 1:
						want = append(want, fmt.Sprintf("%d raised %s %d", now, kind, q))
					case -1:
						want = append(want, fmt.Sprintf("%d cleared %s %d", now, kind, q))
					}
				}
			}
			before := len(s.told)
			s.until(now)
			// What the rows date is told as of when it was due, and the model says when it was seen.
			for n := before; n < len(s.told); n++ {
				_, rest, _ := strings.Cut(s.told[n], " ")
				s.told[n] = fmt.Sprintf("%d %s", now, rest[:strings.LastIndex(rest, " ")])
			}
			slices.Sort(want)
			got := slices.Sorted(slices.Values(s.told))
			if !slices.Equal(got, want) {
				t.Fatalf("at %d: told\n%s\nnot\n%s", now, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if rapid.IntRange(0, 9).Draw(t, "loses the board") == 0 {
				s.lost()
				s.take(BoardNews{Reset: true, Rows: h.rows(), Complete: true}, s.now)
			}
		}
	})
}

// Two processes see the board and the read model with different delays, their clocks differ, and each of them begins anew now and then. In
// the end they agree with what is so, and nothing was ever told twice: each alert is cleared before it is raised again.
func TestHoweverManyProcessesWatchOneAlertIsRaised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := []Rule{{Kind: "waiting", Above: "2", For: time.Duration(rapid.IntRange(0, 6).Draw(t, "for")) * time.Second}, {Kind: "oldest_waiting", Above: "7s"}, {Kind: "nobody_available"}}
		l := newLedger()
		type process struct {
			*engine
			skew int
		}
		begin := func(h happening, now int) *process {
			p := &process{newEngine(rulesOf(t, rules...), settle), rapid.IntRange(-2, 2).Draw(t, "skew")}
			p.load(&l.standing, l.applied(), at(now+p.skew))
			p.take(BoardNews{Reset: true, Complete: true, Rows: h.rows()}, at(now+p.skew))
			return p
		}
		h := happening{}
		processes := []*process{begin(h, 0), begin(h, 0)}
		act := func(n, now int) {
			p := processes[n]
			tasks, _ := p.tasks(at(now + p.skew))
			for _, task := range tasks {
				id, position := l.publish(task)
				switch rapid.IntRange(0, 9).Draw(t, "fate") {
				case 0: // it dies between publishing and noting
					processes[n] = begin(h, now)
					return
				default:
					p.done(task, id, position, at(now+p.skew))
				}
			}
		}
		seconds := rapid.IntRange(10, 60).Draw(t, "seconds")
		for now := range seconds {
			q := rapid.IntRange(0, 1).Draw(t, "queue")
			h.waiting[q], h.oldest[q] = rapid.IntRange(0, 4).Draw(t, "waiting"), now-rapid.IntRange(0, 9).Draw(t, "age")
			for n := range processes {
				p := processes[n]
				if rapid.Bool().Draw(t, "sees the board") {
					p.take(BoardNews{Rows: h.rows()}, at(now+p.skew))
				}
				if rapid.Bool().Draw(t, "sees the read model") {
					p.load(&l.standing, l.applied(), at(now+p.skew))
				}
				if rapid.Bool().Draw(t, "acts") {
					act(n, now)
				}
			}
		}
		for now := seconds; now < seconds+60; now++ { // all is quiet, and all is told
			for n := range processes {
				p := processes[n]
				p.take(BoardNews{Rows: h.rows()}, at(now+p.skew))
				p.load(&l.standing, l.applied(), at(now+p.skew))
				act(n, now)
			}
		}
		raised := map[string]bool{}
		for _, told := range l.told {
			word := strings.Fields(told)
			key := word[2] + word[3]
			if up := word[1] == "raised"; up == raised[key] {
				t.Fatalf("%s twice:\n%s", told, strings.Join(l.told, "\n"))
			}
			raised[key] = !raised[key]
		}
		for q := range 2 {
			so := map[string]bool{"waiting": h.waiting[q] > 2, "oldest_waiting": h.waiting[q] > 0, "nobody_available": h.waiting[q] > 0 && h.waiting[q]%2 == 0}
			for kind, so := range so {
				if key := kind + fmt.Sprint(q); raised[key] != so {
					t.Fatalf("%s is raised: %v, and so: %v\n%s", key, raised[key], so, strings.Join(l.told, "\n"))
				}
			}
		}
	})
}
