package simulate_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/tools/simulate"
)

// oracle serves a day from its truth: what a Skein without a fault would tell.
type oracle struct {
	ingestv1.UnimplementedIngestServiceServer
	boardv1.UnimplementedBoardServiceServer
	agentv1.UnimplementedAgentServiceServer
	day *simulate.Day

	mu    sync.Mutex
	known int64
	taken int64
	told  map[string]string // events, by thread and time
	lie   func(*boardv1.Rows)

	reports *reports
}

func (o *oracle) Stream(stream grpc.BidiStreamingServer[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		answer := &ingestv1.StreamResponse{}
		o.mu.Lock()
		for _, item := range m.GetItems() {
			s := item.GetSubmission()
			o.taken++
			id := "event " + s.GetThread() + "/" + s.GetNativeId()
			key := s.GetThread() + s.GetOccurredAt().AsTime().String()
			if _, ok := o.told[key]; !ok {
				o.told[key] = id
			}
			answer.Results = append(answer.Results, &ingestv1.StreamResult{Id: item.GetId(), Outcome: &ingestv1.StreamResult_Acknowledgement{
				Acknowledgement: &ingestv1.Acknowledgement{
					EventId: id, ThreadId: "thread " + s.GetThread(), Position: &eventv1.Position{Topic: "all", Offset: o.taken},
				},
			}})
		}
		o.mu.Unlock()
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func stamp(nanos int64) *timestamppb.Timestamp {
	if nanos == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, nanos))
}

func presence(p simulate.Presence) *agentv1.Presence {
	return &agentv1.Presence{
		Connector: p.Connector, Presence: p.Text, Type: p.Type, Reason: p.Reason, Since: stamp(p.Since), ChangedBy: p.ChangedBy, Vanished: p.Vanished,
	}
}

func inHand(h simulate.InHand, known int64) *agentv1.Contact {
	c := &agentv1.Contact{
		AssignmentId: share(h.Assignment), ThreadId: "thread " + h.Contact.Thread, Channel: h.Contact.Channel, Provider: h.Contact.Provider, Inbox: h.Contact.Inbox,
		Origin: h.Origin, Direction: h.Contact.Direction, State: h.State, Since: stamp(h.Since), OfferedAt: stamp(h.Begin()), Weight: h.Weight,
	}
	if h.Connected <= known {
		c.ConnectedAt = stamp(h.Connected)
	}
	if h.Queue != nil {
		c.Queue = h.Queue.ID
	}
	for _, s := range h.Supervisors {
		c.Supervisors = append(c.Supervisors, &agentv1.Supervision{AgentId: s.Agent.ID, Mode: s.Mode, Since: stamp(s.From)})
	}
	return c
}

func share(a *simulate.Assignment) string { return "share " + time.Duration(a.Number).String() }

func (o *oracle) Get(context.Context, *boardv1.GetRequest) (*boardv1.GetResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.day.Board(o.known, time.Now().UnixNano())
	rows := &boardv1.Rows{}
	for _, q := range b.Queues {
		c := q.Counts
		row := &boardv1.QueueRow{
			Queue: q.Queue.ID, Name: q.Queue.Name, Waiting: int32(q.Waiting), Offered: int32(q.Offered), InContact: int32(q.InContact),
			AfterCallWork: int32(q.AfterCallWork), AvailableAgents: int32(q.Available), SignedInAgents: int32(q.SignedIn), Counts: &boardv1.QueueCounts{
				Since: timestamppb.New(o.day.Since()), Entered: int32(c.Entered), Answered: int32(c.Answered), AnsweredWithin: int32(c.AnsweredWithin),
				Abandoned: int32(c.Abandoned), ShortAbandoned: int32(c.ShortAbandoned), FlowedOut: int32(c.FlowedOut), Deflected: int32(c.Deflected),
				LongestWait: durationpb.New(c.Longest), Handled: int32(c.Handled),
				AverageSpeedOfAnswer: durationpb.New(c.Waited / time.Duration(max(1, c.Answered))),
				AverageHandleTime:    durationpb.New(c.Handle / time.Duration(max(1, c.Handled))),
			},
		}
		if level, ok := c.ServiceLevel(); ok {
			row.Counts.ServiceLevel = &level
		}
		if v := q.Oldest; v != nil {
			row.OldestEnteredAt = stamp(v.Entered)
			row.OldestInteractionId = o.told[v.Contact.Thread+time.Unix(0, v.Contact.Began[v.Stretch]).UTC().String()]
		}
		rows.Queues = append(rows.Queues, row)
	}
	for _, t := range b.Teams {
		row := &boardv1.TeamRow{
			Team: t.Team.ID, Name: t.Team.Name, Agents: int32(t.Agents), InContact: int32(t.InContact), PresenceTypes: map[string]int32{}, RoutingStatuses: map[string]int32{},
		}
		for typ, n := range t.Types {
			row.PresenceTypes[typ] = int32(n)
		}
		for status, n := range t.Routing {
			row.RoutingStatuses[status] = int32(n)
		}
		rows.Teams = append(rows.Teams, row)
	}
	for _, s := range b.Agents {
		row := &boardv1.AgentRow{
			AgentId: s.Agent.ID, Name: s.Agent.Name, Teams: []string{s.Agent.Team.ID}, Presence: s.Presence.Text, PresenceType: s.Presence.Type,
			PresenceSince: stamp(s.Presence.Since), Reason: s.Presence.Reason, Vanished: s.Presence.Vanished, RoutingStatus: s.Routing,
			RoutingStatusSince: stamp(s.RoutingSince),
		}
		for _, h := range s.Contacts {
			row.Contacts = append(row.Contacts, inHand(h, o.known))
		}
		rows.Agents = append(rows.Agents, row)
	}
	if o.lie != nil {
		o.lie(rows)
	}
	return &boardv1.GetResponse{Rows: rows}, nil
}

func (o *oracle) At(_ context.Context, req *agentv1.AtRequest) (*agentv1.AtResponse, error) {
	moment := req.GetAt().AsTime().UnixNano()
	s := o.day.StateAt(o.day.Agent(req.GetAgentId()), moment)
	state := &agentv1.AgentState{
		AgentId: s.Agent.ID, Name: s.Agent.Name, Teams: []string{s.Agent.Team.ID}, Presence: presence(s.Presence), RoutingStatus: s.Routing,
		RoutingStatusSince: stamp(s.RoutingSince), RoutingStatusReported: s.Reported, Capacity: map[string]*agentv1.ChannelRoom{},
	}
	for _, c := range s.Connectors {
		state.Connectors = append(state.Connectors, presence(c))
	}
	for _, h := range s.Contacts {
		state.Contacts = append(state.Contacts, inHand(h, moment))
	}
	for channel, r := range s.Room {
		state.Capacity[channel] = &agentv1.ChannelRoom{Maximum: r.Maximum, Used: r.Used, Available: r.Available}
	}
	return &agentv1.AtResponse{State: state}, nil
}

func (o *oracle) Intervals(_ context.Context, req *agentv1.IntervalsRequest) (*agentv1.IntervalsResponse, error) {
	all := o.day.Intervals(o.day.Agent(req.GetAgentId()), req.GetFrom().AsTime().UnixNano(), req.GetUntil().AsTime().UnixNano())
	t := simulate.TotalsOf(all)
	answer := &agentv1.IntervalsResponse{Totals: &agentv1.Totals{
		PresenceType: map[string]*durationpb.Duration{}, Presence: map[string]*durationpb.Duration{}, RoutingStatus: map[string]*durationpb.Duration{},
		OnContact: durationpb.New(t.OnContact), Occupancy: t.Occupancy(),
	}}
	for k, d := range t.Type {
		answer.Totals.PresenceType[k] = durationpb.New(d)
	}
	for k, d := range t.Presence {
		answer.Totals.Presence[k] = durationpb.New(d)
	}
	for k, d := range t.Routing {
		answer.Totals.RoutingStatus[k] = durationpb.New(d)
	}
	for _, i := range all {
		p := i.State.Presence
		interval := &agentv1.Interval{
			From: stamp(i.From), Until: stamp(i.Until), Presence: p.Text, PresenceType: p.Type, Reason: p.Reason, Vanished: p.Vanished, RoutingStatus: i.State.Routing,
		}
		for _, h := range i.State.Contacts {
			c := inHand(h, i.From)
			interval.Contacts = append(interval.Contacts, &agentv1.IntervalContact{AssignmentId: c.GetAssignmentId(), State: c.GetState(), Queue: c.GetQueue(), Channel: c.GetChannel()})
		}
		answer.Intervals = append(answer.Intervals, interval)
	}
	return answer, nil
}

func stretches(all []simulate.Stretch) (told []*conversationv1.Stretch, sum time.Duration, since *timestamppb.Timestamp) {
	for _, s := range all {
		told = append(told, &conversationv1.Stretch{From: stamp(s.From), Until: stamp(s.Until)})
		if s.Until == 0 {
			since = stamp(s.From)
			continue
		}
		sum += time.Duration(s.Until - s.From)
	}
	return told, sum, since
}

func (o *oracle) Contacts(_ context.Context, req *agentv1.ContactsRequest) (*agentv1.ContactsResponse, error) {
	answer := &agentv1.ContactsResponse{}
	all := o.day.Agent(req.GetAgentId()).Assignments
	for n := range all {
		a := all[len(all)-1-n]
		out := &conversationv1.Assignment{
			Id: share(a), Agent: a.Raw, Origin: a.Origin, OfferedAt: stamp(a.Offered), DeclinedAt: stamp(a.Declined), DeclineReason: a.Decline,
			AcceptedAt: stamp(a.Accepted), ConnectedAt: stamp(a.Connected), EndedAt: stamp(a.Ended), EndReason: a.Reason, WrapupStartedAt: stamp(a.WrapupStarted),
			WrapupEndedAt: stamp(a.WrapupEnded), Disposition: a.Disposition, Holds: int32(len(a.Held)),
		}
		if a.Queue != nil {
			out.Queue = a.Queue.Raw
		}
		if a.Visit != nil {
			out.VisitId = "visit"
		}
		var sum time.Duration
		out.Held, sum, out.HeldSince = stretches(a.Held)
		out.HoldTime = durationpb.New(sum)
		out.Paused, sum, out.PausedSince = stretches(a.Paused)
		out.PauseTime = durationpb.New(sum)
		answer.Contacts = append(answer.Contacts, &agentv1.HandledContact{
			Assignment: out, ThreadId: "thread " + a.Contact.Thread, Channel: a.Contact.Channel, Direction: a.Contact.Direction, Inbox: a.Contact.Inbox,
		})
	}
	return answer, nil
}

// serve has an oracle answer, and gives who compares.
func serve(t *testing.T, day *simulate.Day) (*oracle, *simulate.Checker) {
	t.Helper()
	o := &oracle{day: day, told: map[string]string{}}
	o.reports = &reports{oracle: o}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	ingestv1.RegisterIngestServiceServer(server, o)
	boardv1.RegisterBoardServiceServer(server, boards{o})
	agentv1.RegisterAgentServiceServer(server, agents{o})
	analyticsv1.RegisterAnalyticsServiceServer(server, o.reports)
	go func() { _ = server.Serve(listener) }() // until it is stopped
	t.Cleanup(server.Stop)
	conn, err := rpc.Dial(listener.Addr().String(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return o, &simulate.Checker{Player: &simulate.Player{Day: day, Conn: conn}}
}

// boards and agents are the oracle's two services that have methods of one name.
type boards struct{ *oracle }

func (b boards) Watch(*boardv1.WatchRequest, grpc.ServerStreamingServer[boardv1.WatchResponse]) error {
	return errors.New("nothing is watched")
}

type agents struct{ *oracle }

func (a agents) Get(context.Context, *agentv1.GetRequest) (*agentv1.GetResponse, error) {
	return nil, errors.New("it is not asked for")
}

func (a agents) Watch(*agentv1.WatchRequest, grpc.ServerStreamingServer[agentv1.WatchResponse]) error {
	return errors.New("nothing is watched")
}

func TestACheckerFindsNothingWrongWithTheTruthAndEveryLie(t *testing.T) {
	today := small(9)
	today.Start = today.Ending(time.Now()) // states are followed for 48 hours
	day := simulated(t, today)
	o, c := serve(t, day)
	for _, moment := range day.Moments(15, 9) {
		if err := c.Play(t.Context(), c.Until(moment)); err != nil {
			t.Fatal(err)
		}
		o.mu.Lock()
		o.known = moment
		o.mu.Unlock()
		if err := c.Board(t.Context(), moment); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Play(t.Context(), len(day.Deliveries())); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{c.States(t.Context(), day.Moments(100, 3), 3), c.Contacts(t.Context()), c.Days(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	c.Report(&said, 10)
	if len(c.Differences()) > 0 {
		t.Fatalf("the truth differs from itself:\n%s", said.String())
	}
	o.mu.Lock()
	o.lie = func(rows *boardv1.Rows) {
		rows.Queues[1].Waiting++
		rows.Agents[7].RoutingStatusSince = nil
		rows.Teams = rows.Teams[1:]
	}
	o.known = simulate.Everything
	o.mu.Unlock()
	if err := c.Board(t.Context(), simulate.Everything); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, d := range c.Differences() {
		found[d.Of+" "+d.Field] = true
	}
	for _, lie := range []string{"queue d-q01 waiting", "agent d-a007 routing_status_since", "team d-t00 agents"} {
		if !found[lie] {
			t.Errorf("%s was not found among %v", lie, c.Differences())
		}
	}
}
