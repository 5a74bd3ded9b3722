package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/agent"
)

func measureBoard(ctx context.Context, b *bench) ([]*Table, error) {
	var tables []*Table
	done := func(t *Table, err error) error {
		if err == nil {
			b.say("  %s: %v", t.Title, t.Rows)
			tables = append(tables, t)
		}
		return err
	}
	f := b.newFloor()
	roles := []string{"ingest", "projector", "timeline", "conversations", "agents"}
	name, err := b.withSiteOf(ctx, roles, func(log *broker, s *site) error {
		if err := f.fill(ctx, b, s); err != nil {
			return err
		}
		if err := done(b.floorWatches(ctx, log, s, f)); err != nil {
			return err
		}
		return done(b.floorReads(ctx, s, f))
	})
	if err != nil {
		return nil, fmt.Errorf("the board on %s: %w", name, err)
	}
	return tables, done(b.foldsOfAgents(ctx))
}

func (b *bench) floorWatches(ctx context.Context, log *broker, s *site, f *floor) (*Table, error) {
	t := &Table{
		Title: "Board: acknowledged to delivered",
		Text: fmt.Sprintf(`One process takes events in, folds them and shows the board of a tenant with %s queues and %s agents in %s teams, all signed in; %s contacts wait
and as many are in hand at the begin. At a steady pace, half of the events change an agent's presence, and half take contacts from queue.entered over
assignment.offered, connected and ended to wrapup.started and ended. Half of the watches see everything, the other half one team and one of its
queues; a watch alone sees everything. The delay is from an event's acknowledgement until a row shows the event's moment: of an agent's presence,
routing status or contact, or of the contact that waits longest in a queue where nobody waited; %d watches of each kind look at what they get, the rest counts it. Not
seen is what a later event of the same row overtook, or what did not come within %s. Messages and bytes are those of a watch for each event that happened,
whether it concerns the watch or not. CPU time is that of the process for an event, and what it has more than the row with fewer watches for each
of the watches that came to it. Ceiling: AgentService.Watch of the same events, but for those that only queues show: each state is a message of its own, and nothing
waits for its turn; the board tells something %d times a second at most. Both are kept in memory in every run.`,
			count(f.queues), count(f.agents), count(f.teams), count(f.share(3)*f.teams), readers, belated, watchEvery),
		Columns: []string{
			"log", "watched by", "watches", "see", "pace", "p50", "p90", "p99", "max", "p50 of ceiling", "not seen", "messages per event", "bytes per event",
			"CPU per event", "more per watch and event",
		},
	}
	idle, err := s.idle(ctx, b)
	if err != nil {
		return nil, err
	}
	base, err := f.watch(ctx, b, s, boardWatch(), 0, false)
	if err != nil {
		return nil, err
	}
	t.row(log.name, none, "0", none, rateOf(base.events, b.Each).String(), none, none, none, none, none, none, none, none, micros(base.cpu), none)
	t.Notes = append(t.Notes, fmt.Sprintf("While nothing happens, the process takes %.1f %% of a processor.", 100*idle))
	sizes := []int{1, max(2, b.Watchers/10), max(3, b.Watchers)}
	ceilings := map[string]time.Duration{}
	for _, kind := range []watching{agentWatch(), boardWatch()} {
		before, fewer := base, 0
		for i, n := range sizes {
			b.say("  %d watches: %s ...", n, kind.name)
			r, err := f.watch(ctx, b, s, kind, n, kind.queues && i == len(sizes)-1)
			if err != nil {
				return nil, fmt.Errorf("%d watches: %w", n, err)
			}
			if !r.kept || r.delays[0].at(0.99) > time.Second {
				b.say("  %s is not sustained: give a lower -board-rate", rate(b.BoardRate))
			}
			more := micros((r.cpu - before.cpu) / time.Duration(n-fewer))
			before, fewer = r, n
			for half, see := range []string{"everything", "a team and a queue"} {
				d := r.delays[half]
				if n == 1 && half == 1 {
					continue
				}
				cpu, of := none, none
				if half == 0 {
					cpu = micros(r.cpu)
				} else {
					more = none
				}
				if key := fmt.Sprint(n, see); kind.queues {
					of = times(d.at(0.5), ceilings[key])
				} else {
					ceilings[key] = d.at(0.5)
				}
				t.row(log.name, kind.name, count(n), see, rateOf(r.events, b.Each).String(), show(d.at(0.5)), show(d.at(0.9)), show(d.at(0.99)), show(d.at(1)),
					of, fmt.Sprintf("%d of %s", r.missing[half], count(r.missing[half]+len(d))), fmt.Sprintf("%.2f", r.messages[half]),
					fmt.Sprintf("%.0f", r.bytes[half]), cpu, more)
			}
			if r.profile != nil {
				t.profile(fmt.Sprintf("the server with %s watches of the board", count(n)), r.profile)
			}
			if i == 0 {
				t.Notes = append(t.Notes, fmt.Sprintf("Until %s of everything had told how it is: %s, %s bytes.", kind.name, show(r.whole), count(int(r.wholeBytes))))
			}
		}
	}
	return t, nil
}

// idle is how much of a processor the server takes while nothing happens.
func (s *site) idle(ctx context.Context, b *bench) (share float64, err error) {
	before, err := s.used(ctx)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(b.Each):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := s.used(ctx)
	return after.since(before).cpuSeconds / b.Each.Seconds(), err
}

func (b *bench) floorReads(ctx context.Context, s *site, f *floor) (*Table, error) {
	t := &Table{
		Title: "Agents, board and forecast: reads",
		Text: fmt.Sprintf(`Calls of the same process, right behind: the board of everything, and of one team and one queue; of an agent who has been there for %s, with %d breaks and %d
contacts since, and %s contacts before: the present state, that of an hour ago, the intervals of a day, and the last 50 contacts; and the forecast of the next day by half hours
from %d days of history, %s visits. Answers are kept as the bytes that came. Ceiling: an empty call of the same server.`,
			shift, dayBreaks, dayContacts, count(f.visits/f.teams), forecastDays, count(f.visits)),
		Columns: []string{"callers", "call", "p50", "p99", "per second", "bytes", "p50 of ceiling"},
	}
	w := &work{conns: s.conns}
	calls, err := f.reads(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, callers := range []int{1, 16} {
		ceiling, perSecond, err := b.repeat(ctx, callers, w.empty)
		if err != nil {
			return nil, err
		}
		t.row(fmt.Sprint(callers), "ceiling: an empty call", show(ceiling.at(0.5)), show(ceiling.at(0.99)), perSecond.String(), none, times(1, 1))
		for _, c := range calls {
			d, perSecond, err := b.repeat(ctx, callers, func(ctx context.Context, i int) error { return c.ask(ctx, w.conn(i), c.request(i), &frame{}) })
			if err != nil {
				return nil, err
			}
			t.row(fmt.Sprint(callers), "**"+c.name+"**", show(d.at(0.5)), show(d.at(0.99)), perSecond.String(), count(c.bytes), times(d.at(0.5), ceiling.at(0.5)))
		}
	}
	for _, c := range calls {
		if !c.profiled {
			continue
		}
		p, err := s.profiledWhile(ctx, b, func(ctx context.Context) error {
			_, _, err := b.repeat(ctx, 4, func(ctx context.Context, i int) error { return c.ask(ctx, w.conn(i), c.request(i), &frame{}) })
			return err
		})
		if err != nil {
			return nil, err
		}
		t.profile(fmt.Sprintf("the server under %s by 4 callers", c.name), p)
	}
	return t, nil
}

// call is a read.
type call struct {
	name, method string
	request      func(i int) proto.Message
	profiled     bool
	bytes        int // of an answer
}

func (c *call) ask(ctx context.Context, conn *grpc.ClientConn, request proto.Message, answer *frame) error {
	encoded, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	if err := conn.Invoke(ctx, c.method, &frame{encoded}, answer, grpc.ForceCodec(frames{})); err != nil {
		return fmt.Errorf("%s: %s", c.name, rpc.Explain(err))
	}
	return nil
}

// reads are the calls to measure. Each is made once, to see that it gives what it ought to.
func (f *floor) reads(ctx context.Context, s *site) ([]*call, error) {
	now := time.Now()
	ago := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }
	who := func(i int) string { return agentID(i % f.teams) }
	board := func(m *boardv1.GetResponse, queues, agents int) error {
		if q, a := len(m.GetRows().GetQueues()), len(m.GetRows().GetAgents()); q != queues || a != agents {
			return fmt.Errorf("a board of %d queues and %d agents, not of %d and %d", q, a, queues, agents)
		}
		return nil
	}
	state := func(a *agentv1.AgentState) error {
		if a.GetPresence().GetSince() == nil {
			return errors.New("an agent of whom nothing is known")
		}
		return nil
	}
	var calls []*call
	for _, c := range []struct {
		call
		check func(encoded []byte) error
	}{
		{
			call{"BoardService.Get, everything", boardv1.BoardService_Get_FullMethodName, func(int) proto.Message { return &boardv1.GetRequest{} }, true, 0},
			answered(func(m *boardv1.GetResponse) error { return board(m, f.queues, f.agents) }),
		},
		{
			call{"BoardService.Get, a team and a queue", boardv1.BoardService_Get_FullMethodName, func(i int) proto.Message {
				return &boardv1.GetRequest{Filter: &boardv1.BoardFilter{Teams: []string{teamID(i % f.teams)}, Queues: []string{queueID(i % f.queues)}}}
			}, false, 0},
			answered(func(m *boardv1.GetResponse) error { return board(m, 1, f.seats) }),
		},
		{
			call{"AgentService.Get", agentv1.AgentService_Get_FullMethodName, func(i int) proto.Message { return &agentv1.GetRequest{AgentId: who(i)} }, true, 0},
			answered(func(m *agentv1.GetResponse) error { return state(m.GetState()) }),
		},
		{
			call{"AgentService.At, an hour ago", agentv1.AgentService_At_FullMethodName, func(i int) proto.Message {
				return &agentv1.AtRequest{AgentId: who(i), At: ago(time.Hour)}
			}, false, 0},
			answered(func(m *agentv1.AtResponse) error { return state(m.GetState()) }),
		},
		{
			call{"AgentService.Intervals, a day", agentv1.AgentService_Intervals_FullMethodName, func(i int) proto.Message {
				return &agentv1.IntervalsRequest{AgentId: who(i), From: ago(24 * time.Hour), Until: ago(0)}
			}, false, 0},
			answered(func(m *agentv1.IntervalsResponse) error {
				if n := len(m.GetIntervals()); n < dayContacts+dayBreaks {
					return fmt.Errorf("a day of %d intervals", n)
				}
				return nil
			}),
		},
		{
			call{"AgentService.Contacts, the last 50", agentv1.AgentService_Contacts_FullMethodName, func(i int) proto.Message {
				return &agentv1.ContactsRequest{AgentId: who(i)}
			}, true, 0},
			answered(func(m *agentv1.ContactsResponse) error {
				if n := len(m.GetContacts()); n != pageSize {
					return fmt.Errorf("a page of %d contacts", n)
				}
				return nil
			}),
		},
		{
			call{"StaffingService.Forecast", staffingv1.StaffingService_Forecast_FullMethodName, func(int) proto.Message {
				return &staffingv1.ForecastRequest{Queue: queueID(0), From: ago(0), Until: ago(-24 * time.Hour)}
			}, true, 0},
			answered(func(m *staffingv1.ForecastResponse) error {
				if n := len(m.GetIntervals()); n < 48 || m.GetWeeks() != forecastDays/7 {
					return fmt.Errorf("a forecast of %d intervals from %d weeks", n, m.GetWeeks())
				}
				return nil
			}),
		},
	} {
		var answer frame
		if err := c.ask(ctx, s.conns[0], c.request(0), &answer); err != nil {
			return nil, err
		}
		if err := c.check(answer.encoded); err != nil {
			return nil, fmt.Errorf("%s gives %w", c.name, err)
		}
		one := c.call
		one.bytes = len(answer.encoded)
		calls = append(calls, &one)
	}
	return calls, nil
}

// answered decodes what it checks.
func answered[T any, M interface {
	*T
	proto.Message
}](check func(M) error) func(encoded []byte) error {
	return func(encoded []byte) error {
		m := M(new(T))
		if err := proto.Unmarshal(encoded, m); err != nil {
			return err
		}
		return check(m)
	}
}

func (b *bench) foldsOfAgents(ctx context.Context) (*Table, error) {
	t := &Table{
		Title: "Agents: their fold beside the timeline's",
		Text: fmt.Sprintf(`How fast %s events of %s agents become the read model of their statements, and as many of customers the timeline, each alone in a store, as in the
job that measures the fold. Of ten events of an agent, five are heartbeats, three change the presence, one the routing status and one the capacity. The contenders
take turns (%d each, the median counts).`, count(b.Events), count(b.Agents), b.Turns),
		Columns: []string{"log", "read model", "events", "of the timeline's", "allocations per event", "store bytes per event"},
	}
	name, err := b.onMain(ctx, func(log *broker) error {
		if err := b.fillNew(ctx, log, b.Events); err != nil {
			return err
		}
		if err := b.fillAgents(ctx, log); err != nil {
			return err
		}
		agents := slice{agent.Slice, event.TopicAgents, agent.NewFold(partitions)}
		contenders := []struct {
			name  string
			model slice
		}{{"timeline", timelines()}, {"**agents**", agents}}
		rates, last := make([][]rate, len(contenders)), make([]folded, len(contenders))
		for turn := range b.Turns {
			for i, c := range contenders {
				f, err := b.fold(ctx, log, onPebble(), c.model)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				r := rateOf(f.events, f.took)
				b.say("  turn %d: %s: %s", turn+1, c.name, r)
				rates[i], last[i] = append(rates[i], r), f
			}
		}
		for i, c := range contenders {
			t.row(log.name, c.name, median(rates[i]).String(), median(rates[i]).of(median(rates[0])),
				last[i].perEvent(float64(last[i].allocations)), last[i].perEvent(float64(last[i].disk)))
		}
		p, err := profiled(func() error {
			_, err := b.fold(ctx, log, onPebble(), agents)
			return err
		})
		if err == nil {
			t.profile("the fold of agents", p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fold of agents on %s: %w", name, err)
	}
	return t, nil
}

// fillAgents fills a log with events of agents.
func (b *bench) fillAgents(ctx context.Context, log *broker) error {
	b.say("  filling a log with %s events of agents ...", count(b.Events))
	l, err := openLog(ctx, log, event.TopicAgents)
	if err != nil {
		return err
	}
	const chunk = 10_000
	for from := 0; from < b.Events && err == nil; from += chunk {
		var messages []eventlog.Message
		for n := from; n < min(from+chunk, b.Events) && err == nil; n++ {
			var m eventlog.Message
			m, err = b.events.compile(event.TopicAgents, b.statement(n))
			messages = append(messages, m)
		}
		if err == nil {
			_, err = eventlog.AppendAll(ctx, l, messages)
		}
	}
	return errors.Join(err, l.Close())
}

// statement is event n of the agents, who have theirs in turn, one in half a minute.
func (b *bench) statement(n int) *eventv1.Submission {
	who, nth := agentID(n%b.Agents), n/b.Agents
	at := b.events.began.Add(30 * time.Second / time.Duration(b.Agents) * time.Duration(n))
	f := &floor{}
	s := f.available(who, at)
	switch nth % 10 {
	case 0, 6:
	case 3:
		s = f.pause(who, at)
	case 5:
		s.Type, s.Content = event.TypeAgentRoutingStatusChanged, &eventv1.Content{Body: &eventv1.Content_AgentRoutingStatusChanged{
			AgentRoutingStatusChanged: &eventv1.AgentRoutingStatusChanged{Status: eventv1.RoutingStatus(1 + nth/10%3)},
		}}
	case 8:
		s.Type, s.Content = event.TypeAgentCapacityChanged, &eventv1.Content{Body: &eventv1.Content_AgentCapacityChanged{
			AgentCapacityChanged: &eventv1.AgentCapacityChanged{Channels: map[string]*eventv1.Capacity{"voice": {Maximum: 1, Available: int32(nth / 10 % 2)}}},
		}}
	default:
		s.Type, s.Content = event.TypeAgentHeartbeat, &eventv1.Content{Body: &eventv1.Content_AgentHeartbeat{
			AgentHeartbeat: &eventv1.AgentHeartbeat{Timeout: durationpb.New(90 * time.Second)},
		}}
	}
	return s
}
