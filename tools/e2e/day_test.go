package e2e_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/simulate"
)

// aDay is a smaller one. The long run: SKEIN_CONTACTS=60000 SKEIN_AGENTS=500 SKEIN_QUEUES=20 go test ./tools/e2e -run SimulatedDay -v -timeout 1h
func aDay(t *testing.T, disorder simulate.Disorder) *simulate.Day {
	t.Helper()
	c := simulate.Config{
		Name: "day", Seed: uint64(setting(t, "SKEIN_SEED", 1)), Length: 10 * time.Hour, Agents: setting(t, "SKEIN_AGENTS", 60),
		Queues: setting(t, "SKEIN_QUEUES", 6), Contacts: setting(t, "SKEIN_CONTACTS", 2000), Disorder: disorder,
	}
	c.Start = c.Ending(time.Now())
	day, err := simulate.Simulate(c)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

// dayAt plays a day to a site.
func dayAt(s *skeintest.Site, day *simulate.Day) *simulate.Checker {
	s.T.Helper()
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = conn.Close() })
	c := &simulate.Checker{Player: &simulate.Player{Day: day, Conn: conn, Patience: time.Minute}}
	must(s.T, c.Describe(s.T.Context()))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(rpc.Explain(err))
	}
}

// none fails where the server tells anything otherwise than it was.
func none(t *testing.T, c *simulate.Checker, srv *skeintest.Process) {
	t.Helper()
	var said strings.Builder
	c.Report(&said, 20)
	t.Log(said.String())
	if len(c.Differences()) > 0 {
		t.Fatalf("%d differences\n%s", len(c.Differences()), srv.Out())
	}
}

// reports compares those of a day.
func reports(t *testing.T, c *simulate.Checker) {
	t.Helper()
	must(t, c.Reports(t.Context(), setting(t, "SKEIN_REPORTS", 8), 3))
}

func TestASimulatedDayIsToldAsItWasAtEveryMoment(t *testing.T) {
	t.Parallel()
	s := newSite(t).WithAnalytics()
	srv := s.Up()
	day := aDay(t, simulate.Disorder{})
	c := dayAt(s, day)
	watch := watchAgents(t, c.Conn)
	for _, moment := range day.Moments(setting(t, "SKEIN_CHECKS", 40), 1) {
		must(t, c.Play(t.Context(), c.Until(moment)))
		must(t, c.Board(t.Context(), moment))
		watch.agrees(t, c, moment)
	}
	must(t, c.Play(t.Context(), len(day.Deliveries())))
	must(t, c.Board(t.Context(), simulate.Everything))
	must(t, c.All(t.Context(), day.Moments(100, 2), 2))
	reports(t, c)
	none(t, c, srv)
	quit(t, srv)
}

func TestASimulatedDayIsToldAsItWasThoughEventsComeLateAndTwiceAndTheServerIsKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t).WithAnalytics()
	srv := s.Up()
	day := aDay(t, simulate.Disorderly())
	c := dayAt(s, day)
	all := len(day.Deliveries())
	must(t, c.Play(t.Context(), all/4))
	played := make(chan error, 1)
	go func() { played <- c.Play(t.Context(), all) }()
	srv.WaitFor("in the middle of the day", func() bool { return c.Acknowledged() > all/2 })
	srv.Kill()
	srv = s.Up()
	must(t, <-played)
	compare := func() {
		t.Helper()
		must(t, c.Board(t.Context(), simulate.Everything))
		must(t, c.All(t.Context(), day.Moments(100, 2), 2))
		reports(t, c)
		none(t, c, srv)
	}
	compare()
	for _, slice := range []string{"directory", "interactions", "agents"} {
		if out := s.Run("rebuild", slice, "--server", s.GRPC); !strings.Contains(out, "Generation 2 of "+slice+" serves.") {
			t.Errorf("rebuild says:\n%s", out)
		}
	}
	compare()
	quit(t, srv)
}

// agentWatch holds what AgentService.Watch has told last of each agent.
type agentWatch struct {
	mu     sync.Mutex
	states map[string]*agentv1.AgentState
	err    error
}

func watchAgents(t *testing.T, conn *grpc.ClientConn) *agentWatch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := agentv1.NewAgentServiceClient(conn).Watch(ctx, &agentv1.WatchRequest{})
	must(t, err)
	w := &agentWatch{states: map[string]*agentv1.AgentState{}}
	go func() {
		for {
			m, err := stream.Recv()
			w.mu.Lock()
			switch {
			case err != nil:
				w.err = err
			case m.GetReset_():
				clear(w.states)
			case m.GetGone() != "":
				delete(w.states, m.GetGone())
			case m.GetState() != nil:
				w.states[m.GetState().GetAgentId()] = m.GetState()
			}
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return w
}

// agrees waits until what was told last of every agent is the present state of who has seen the day up to a moment, and compares it with
// the state at that moment. Deadlines of heartbeats have passed at present, and had not by then.
func (w *agentWatch) agrees(t *testing.T, c *simulate.Checker, moment int64) {
	t.Helper()
	const patience = 2 * time.Minute
	service := agentv1.NewAgentServiceClient(c.Conn)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for _, a := range c.Day.Agents {
		present := func() (*agentv1.AgentState, simulate.State) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.err != nil {
				t.Fatalf("the watch ended: %s", rpc.Explain(w.err))
			}
			return w.states[a.ID], c.Day.Present(a, moment, time.Now().UnixNano())
		}
		for state, truth := present(); !c.Same(state, truth, moment); state, truth = present() {
			select {
			case <-tick.C:
				continue
			case <-late:
				c.State(state, truth, "watch at "+time.Unix(0, moment).UTC().Format(time.TimeOnly), moment)
				return
			}
		}
	}
	for n := range 5 {
		a := c.Day.Agents[(int(moment/1e6)+n*7)%len(c.Day.Agents)]
		answer, err := service.At(t.Context(), &agentv1.AtRequest{AgentId: a.ID, At: timestamppb.New(time.Unix(0, moment)), MinPositions: c.Positions()})
		must(t, err)
		c.State(answer.GetState(), c.Day.StateBy(a, moment, moment), "at the moment, at "+time.Unix(0, moment).UTC().Format(time.TimeOnly), moment)
	}
}
