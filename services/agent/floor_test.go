package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/agent/state"
)

// tell tells those who follow work.
func (w *world) tell(n agent.WorkNews) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news = append(w.news, n)
	close(w.working)
	w.working = make(chan struct{})
}

// opens begins to tell of work: of all there is.
func (w *world) opens() {
	w.mu.Lock()
	n := agent.WorkNews{Reset: true, Complete: true, At: projection.Vector{}}
	for _, s := range w.shares {
		n.Threads = append(n.Threads, agent.ThreadWork{Thread: w.thread(s), Interactions: []*conversationv1.Interaction{s.Interaction}})
	}
	w.mu.Unlock()
	w.tell(n)
}

func (w *world) thread(s state.Share) event.ID {
	id, err := event.ParseID(s.GetThreadId())
	must(w.t, err)
	return id
}

// put makes a share what it is from now on, and tells of it.
func (w *world) put(s state.Share) {
	w.mu.Lock()
	w.shares = append(slices.DeleteFunc(slices.Clone(w.shares), func(o state.Share) bool { return o.GetThreadId() == s.GetThreadId() }), s)
	w.mu.Unlock()
	w.tell(agent.WorkNews{
		Threads: []agent.ThreadWork{{Thread: w.thread(s), Interactions: []*conversationv1.Interaction{s.Interaction}}}, At: projection.Vector{0: int64(len(w.news))},
	})
}

// wake makes the floor look at the clock.
func (w *world) wake() {
	b, _ := w.Book(context.Background(), tenant)
	w.setBook(b)
}

// follower is who follows the floor.
type follower struct {
	t      rapid.TB
	news   chan agent.News
	states map[string]*agentv1.AgentState
	last   agent.News
	// patience ends it.
	patience time.Duration
}

func (w *world) follow(t rapid.TB, f *agent.Floor) (*follower, func()) {
	x := &follower{t: t, news: make(chan agent.News), states: map[string]*agentv1.AgentState{}, patience: patience}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- f.Follow(ctx, tenant, func(n agent.News) error {
			select {
			case x.news <- n:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return x, func() { // ends it
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// until takes news until something is so.
func (x *follower) until(what string, so func() bool) {
	x.t.Helper()
	timeout := time.After(x.patience)
	for !so() {
		select {
		case n := <-x.news:
			if n.Reset {
				clear(x.states)
			}
			for _, s := range n.States {
				x.states[s.GetAgentId()] = s
			}
			for _, id := range n.Gone {
				delete(x.states, id)
			}
			x.last = n
		case <-timeout:
			x.t.Fatalf("never: %s; shown:\n%s", what, shown(x.states, time.Time{}))
		}
	}
}

// shown is what the states say at a moment, but for since when it is so what has been for long.
func shown(states map[string]*agentv1.AgentState, now time.Time) string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(states)) {
		s := states[id]
		text := said(s)
		if since := s.GetRoutingStatusSince(); since == nil || now.Sub(since.AsTime()) >= lookback {
			text = strings.Replace(text, fmt.Sprint(s.GetRoutingStatus(), " since ", nanos(since)), s.GetRoutingStatus().String()+" for long", 1)
		}
		fmt.Fprintf(&b, "%s %q %v %t\n%s", id, s.GetName(), s.GetTeams(), s.GetRemoved(), text)
	}
	return b.String()
}

// read is what is read of everybody one by one, as far as the floor shows them.
func (w *world) read() string {
	all := map[string]*agentv1.AgentState{}
	book, _ := w.Book(context.Background(), tenant)
	for _, id := range rawIDs {
		s, err := w.agents.PresentOf(context.Background(), tenant, id)
		if errors.Is(err, agent.ErrUnknown) {
			continue
		}
		must(w.t, err)
		if len(s.GetConnectors())+len(s.GetContacts()) > 0 || book.At("agent", s.GetAgentId(), w.clock().UnixNano()) != nil {
			all[s.GetAgentId()] = s
		}
	}
	return shown(all, w.clock())
}

// Whatever happens, in whatever order: the floor shows of everybody what is read of each.
func TestTheFloorShowsWhatIsReadOfEach(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		p.setClock(at(rapid.IntRange(0, span).Draw(rt, "now")))
		floor := agent.NewFloor(p.agents, nil)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 2)
		go func() { ended <- floor.Run(ctx) }()
		r := p.runner(p.store, 0)
		go func() { ended <- r.Run(ctx) }()
		defer r.Close()
		defer func() {
			cancel()
			for range 2 {
				must(rt, <-ended)
			}
		}()
		p.opens()
		x, stop := p.follow(rt, floor)
		defer stop()
		for n := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"event", "event", "event", "share", "share", "clock", "book", "work anew"}).Draw(rt, "step") {
			case "event":
				if len(p.events) > 0 {
					pos := p.append(p.events[0])
					p.events = p.events[1:]
					x.until("the event is contained", func() bool { return x.last.Agents.Includes(pos.Partition, pos.Offset) })
				}
			case "share":
				p.put(drawShare(rt, n%4))
			case "clock":
				p.setClock(p.clock().Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "minutes")) * time.Minute))
				p.wake()
			case "book":
				p.setBook(drawBook(rt))
			case "work anew":
				p.opens()
			}
			want := p.read()
			x.until("it shows\n"+want, func() bool { return shown(x.states, p.clock()) == want })
		}
	})
}

func agentsOf(states map[string]*agentv1.AgentState) []string {
	return slices.Sorted(maps.Keys(states))
}

// keeps runs a floor and a fold until the test ends.
func (w *world) keeps(t *testing.T) *agent.Floor {
	t.Helper()
	floor := agent.NewFloor(w.agents, nil)
	r := w.runner(w.store, 0)
	t.Cleanup(r.Close)
	w.run(t, floor.Run)
	w.run(t, r.Run)
	w.opens()
	return floor
}

func TestWhoIsSlowIsToldTheLatestStateOnly(t *testing.T) {
	w := newWorld(t)
	floor := w.keeps(t)
	slow, stopSlow := w.follow(t, floor)
	defer stopSlow()
	quick, stop := w.follow(t, floor)
	defer stop()
	slow.until("all is told", func() bool { return slow.last.Complete })
	for n := range 50 {
		typ := eventv1.PresenceType(1 + n%3)
		w.append(eventOf(fmt.Sprint(n), "mei", "desk", at(n), at(n), presenceOf(fmt.Sprint(n), typ)))
		quick.until("the presence", func() bool { return quick.states["mei"].GetPresence().GetPresence() == fmt.Sprint(n) })
	}
	told := 0
	slow.until("the last presence", func() bool { told++; return slow.states["mei"].GetPresence().GetPresence() == "49" })
	if told > 4 {
		t.Errorf("it was told %d times", told)
	}
}

func TestAConnectorThatFallsSilentIsSeenByTheClock(t *testing.T) {
	w := newWorld(t)
	w.agents.SetNow(time.Now)
	floor := w.keeps(t)
	x, stop := w.follow(t, floor)
	defer stop()
	now := time.Now()
	w.append(eventOf("1", "mei", "desk", now, now, presenceOf("Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE)))
	w.append(eventOf("2", "mei", "desk", now, now, heartbeatOf(300*time.Millisecond)))
	x.until("it has vanished", func() bool { return x.states["mei"].GetPresence().GetVanished() })
	s := x.states["mei"]
	if s.GetPresence().GetType() != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE || s.GetPresence().GetPresence() != "Available" ||
		!s.GetPresence().GetSince().AsTime().Equal(now.Add(300*time.Millisecond)) {
		t.Errorf("%v", s)
	}
	later := time.Now()
	w.append(eventOf("3", "mei", "desk", later, later, heartbeatOf(time.Hour)))
	x.until("it is back", func() bool { return !x.states["mei"].GetPresence().GetVanished() })
}

func TestOnlyThoseWhoAreConcernedAreTold(t *testing.T) {
	w := newWorld(t)
	for n := range 50 {
		w.append(eventOf(fmt.Sprint("first", n), fmt.Sprint("agent", n), "desk", at(0), at(0), presenceOf("Available", 1)))
	}
	w.fold(w.store, 0)
	floor := w.keeps(t)
	x, stop := w.follow(t, floor)
	defer stop()
	x.until("all are told", func() bool { return x.last.Complete })
	if len(agentsOf(x.states)) != 50 {
		t.Fatalf("%v", agentsOf(x.states))
	}
	for range 20 {
		who := fmt.Sprint("agent", rand.IntN(50))
		n := rand.Int()
		pos := w.append(eventOf(fmt.Sprint(n), who, "desk", at(1), at(1), presenceOf(fmt.Sprint(n), 2)))
		var told []string
		x.until("it is contained", func() bool {
			for _, s := range x.last.States {
				if !x.last.Reset {
					told = append(told, s.GetAgentId())
				}
			}
			return x.last.Agents.Includes(pos.Partition, pos.Offset)
		})
		if slices.ContainsFunc(told, func(id string) bool { return id != who }) && len(slices.Compact(told)) > 2 {
			t.Errorf("%v were told of %s", told, who)
		}
	}
}
