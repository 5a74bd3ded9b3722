package board_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/board"
)

// The floor of the benchmarks: 10,000 agents in 100 teams, each of which takes from 10 of 1,000 queues.
const (
	benchAgents = 10_000
	benchTeams  = 100
	benchQueues = 1_000
)

// handed are feeds that the benchmark itself drives, so that what is measured is the board.
type handed struct {
	*world
	agentsYield chan func(board.AgentNews) error
	workYield   chan func(board.WorkNews) error
}

func (h *handed) Follow(ctx context.Context, _ string, yield func(board.AgentNews) error) error {
	h.agentsYield <- yield
	<-ctx.Done()
	return ctx.Err()
}

func (h *handed) FollowWork(ctx context.Context, _ string, yield func(board.WorkNews) error) error {
	h.workYield <- yield
	<-ctx.Done()
	return ctx.Err()
}

func (h *handed) Queues(_ context.Context, _ string, yield func(string) bool) error {
	for n := range benchQueues {
		yield(fmt.Sprint("queue-", n))
	}
	return nil
}

// Visits are 100 of each queue: 100,000 in all.
func (h *handed) Visits(_ context.Context, _, queue string, _, _ time.Time, yield func(board.Visit) bool) error {
	var of int
	_, err := fmt.Sscanf(queue, "queue-%d", &of)
	for n := range 100 {
		entered := time.Now().Add(-time.Duration(n) * 20 * time.Minute).UnixNano()
		id := idOf(1<<20 + 100*of + n)
		yield(board.Visit{
			ID: id, Thread: id, Interaction: id, Provider: "asterisk", Entered: entered, Left: entered + 1e9,
			Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED,
		})
	}
	return err
}

func benchState(n int, s eventv1.RoutingStatus) *agentv1.AgentState {
	now := stamp(time.Now())
	return &agentv1.AgentState{
		AgentId: fmt.Sprint("agent-", n), RoutingStatus: s, RoutingStatusSince: now,
		Presence: &agentv1.Presence{Presence: "Available", Type: eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE, Since: now},
		Contacts: []*agentv1.Contact{{
			AssignmentId: idOf(n).String(), InteractionId: idOf(n).String(), ThreadId: idOf(n).String(), Queue: fmt.Sprint("queue-", n%benchQueues),
			State: agentv1.ContactState_CONTACT_STATE_CONNECTED, Since: now, OfferedAt: now,
		}},
	}
}

func benchThread(n int, left bool) board.ThreadWork {
	now := time.Now()
	v := &conversationv1.QueueVisit{Id: idOf(n).String(), Queue: fmt.Sprint("queue-", n%benchQueues), EnteredAt: stamp(now.Add(-time.Minute))}
	if left {
		v.LeftAt, v.Outcome = stamp(now), eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED
	}
	return board.ThreadWork{Thread: idOf(n), Interactions: []*conversationv1.Interaction{{
		Id: idOf(n).String(), Provider: "asterisk", Visits: []*conversationv1.QueueVisit{v},
	}}}
}

// onFloor calls do with a server whose board is read, and what feeds it.
func onFloor(b *testing.B, do func(s *board.Server, agents func(board.AgentNews) error, work func(board.WorkNews) error)) {
	b.Helper()
	h := &handed{newWorld(), make(chan func(board.AgentNews) error, 1), make(chan func(board.WorkNews) error, 1)}
	entries := map[string]map[string][]directory.Version{directory.Agent: {}, directory.Queue: {}, directory.Team: {}}
	put := func(e *eventv1.DirectoryUpdated) { entries[e.GetKind()][e.GetId()] = []directory.Version{{Stated: e}} }
	for n := range benchAgents {
		put(theAgent(fmt.Sprint("agent-", n), fmt.Sprint("team-", n%benchTeams)))
	}
	for n := range benchQueues {
		put(theQueue(fmt.Sprint("queue-", n), func(q *eventv1.DirectoryQueue) { q.Teams = []string{fmt.Sprint("team-", n%benchTeams)} }))
	}
	for n := range benchTeams {
		put(&eventv1.DirectoryUpdated{Kind: directory.Team, Id: fmt.Sprint("team-", n), Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{}}})
	}
	h.book = directory.NewBook(entries)
	h.running(b, func(s *board.Server) {
		go func() { _, _ = s.Get(caller(), &boardv1.GetRequest{}) }()
		agents, work := <-h.agentsYield, <-h.workYield
		n := board.AgentNews{Reset: true, Complete: true}
		for i := range benchAgents {
			n.States = append(n.States, benchState(i, eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING))
		}
		if agents(n) != nil || work(board.WorkNews{Reset: true, Complete: true, At: projection.Vector{}}) != nil {
			b.Error("the board is not fed")
		}
		begun := time.Now()
		for {
			if _, err := s.Get(caller(), &boardv1.GetRequest{}); err == nil {
				break
			}
		}
		b.Logf("read within %s", time.Since(begun))
		b.ReportAllocs()
		b.ResetTimer()
		do(s, agents, work)
		b.StopTimer()
	}, func(c *board.Config) { c.Agents, c.Work = h, h })
}

func BenchmarkAnAgentsState(b *testing.B) {
	onFloor(b, func(_ *board.Server, agents func(board.AgentNews) error, _ func(board.WorkNews) error) {
		states := [2]eventv1.RoutingStatus{eventv1.RoutingStatus_ROUTING_STATUS_IDLE, eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING}
		for n := range b.N {
			if err := agents(board.AgentNews{States: []*agentv1.AgentState{benchState(n%benchAgents, states[n/benchAgents%2])}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAWaitThatBeginsAndEnds(b *testing.B) {
	onFloor(b, func(_ *board.Server, _ func(board.AgentNews) error, work func(board.WorkNews) error) {
		for n := range b.N {
			if err := work(board.WorkNews{Threads: []board.ThreadWork{benchThread(n/2, n%2 == 1)}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAThreadThatChangesNothing(b *testing.B) {
	onFloor(b, func(_ *board.Server, _ func(board.AgentNews) error, work func(board.WorkNews) error) {
		t := benchThread(1, false)
		for range b.N {
			if err := work(board.WorkNews{Threads: []board.ThreadWork{t}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	onFloor(b, func(s *board.Server, _ func(board.AgentNews) error, _ func(board.WorkNews) error) {
		for range b.N {
			if _, err := s.Get(caller(), &boardv1.GetRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// counting is a watcher's end that decodes nothing.
type counting struct {
	discard
	messages, complete *atomic.Int64
}

func (c *counting) Send(m *boardv1.WatchResponse) error {
	err := c.discard.Send(m)
	if c.messages.Add(1); m.GetComplete() {
		c.complete.Add(1)
	}
	return err
}

// BenchmarkWatchers is what a change of 10 queues and an agent costs with so many who watch all of the board, until all have it.
func BenchmarkWatchers(b *testing.B) {
	for _, watchers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(watchers), func(b *testing.B) {
			onFloor(b, func(s *board.Server, agents func(board.AgentNews) error, _ func(board.WorkNews) error) {
				ctx, cancel := context.WithCancel(caller())
				defer cancel()
				var messages, complete atomic.Int64
				ended := make(chan error, watchers)
				for range watchers {
					go func() {
						ended <- s.Watch(&boardv1.WatchRequest{MaxPerSecond: 50}, &counting{discard{ctx: ctx}, &messages, &complete})
					}()
				}
				for complete.Load() < int64(watchers) {
					<-time.After(time.Millisecond)
				}
				b.ResetTimer()
				for n := range b.N {
					before := messages.Load()
					states := [2]eventv1.RoutingStatus{eventv1.RoutingStatus_ROUTING_STATUS_IDLE, eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING}
					if err := agents(board.AgentNews{States: []*agentv1.AgentState{benchState(n%benchAgents, states[n/benchAgents%2])}}); err != nil {
						b.Fatal(err)
					}
					for messages.Load() < before+int64(watchers) {
						<-time.After(time.Millisecond)
					}
				}
				b.StopTimer()
				cancel()
				for range watchers {
					if err := <-ended; !errors.Is(err, context.Canceled) {
						b.Error(err)
					}
				}
			})
		})
	}
}
