package board_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/board"
)

// check checks a property, each time on a clock of its own that goes on when everybody waits.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) {
		var failed any
		synctest.Test(t, func(*testing.T) {
			defer func() { failed = recover() }()
			property(r)
		})
		switch fmt.Sprintf("%T", failed) { // rapid tells failures apart by where they come from
		case "<nil>":
		case "rapid.invalidData":
			panic(failed)
		default:
			panic(failed)
		}
	})
}

func oneOf[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

func some[T any](t *rapid.T, label string, of ...T) (all []T) {
	for _, x := range of {
		if rapid.Bool().Draw(t, label) {
			all = append(all, x)
		}
	}
	return all
}

func between(t *rapid.T, label string, from, to int) int {
	return rapid.IntRange(from, to).Draw(t, label)
}

func ago(t *rapid.T, label string, most time.Duration) time.Time {
	return time.Now().Add(-time.Duration(between(t, label, -300, int(most/time.Second))) * time.Second)
}

// anyWork makes a thread something else.
func (w *world) anyWork(t *rapid.T) {
	n := between(t, "thread", 0, 7)
	i := &conversationv1.Interaction{
		Id: idOf(1000 + 10*n + between(t, "interaction", 0, 1)).String(), Provider: oneOf(t, "provider", "asterisk", "twilio"),
		State: conversationv1.InteractionState_INTERACTION_STATE_ENDED, Backfill: between(t, "backfill", 0, 9) == 0,
	}
	if between(t, "live", 0, 9) == 0 {
		i.LiveSince = stamp(ago(t, "live since", 50*time.Hour))
	}
	for m := range between(t, "visits", 0, 3) {
		v := &conversationv1.QueueVisit{
			Id: idOf(10*n + m).String(), Queue: oneOf(t, "queue", "sales", "600", "601", "nobody's"), EnteredAt: stamp(ago(t, "entered", 50*time.Hour)),
		}
		if between(t, "target", 0, 3) == 0 {
			v.SlaTarget = durationpb.New(time.Minute)
		}
		if between(t, "waits", 0, 2) > 0 {
			v.LeftAt = stamp(v.GetEnteredAt().AsTime().Add(time.Duration(between(t, "wait", 0, 100)) * time.Second))
			v.Outcome = eventv1.QueueOutcome(between(t, "outcome", 0, 6))
		} else {
			i.State = conversationv1.InteractionState_INTERACTION_STATE_ACTIVE
		}
		i.Visits = append(i.Visits, v)
		for range between(t, "assignments", 0, 2) {
			at := v.GetEnteredAt().AsTime()
			a := &conversationv1.Assignment{VisitId: v.GetId(), OfferedAt: stamp(at)}
			switch between(t, "assignment", 0, 4) {
			case 0:
			case 1:
				a.DeclinedAt = stamp(at.Add(time.Second))
			case 2:
				a.ConnectedAt = stamp(at.Add(time.Second))
			default:
				a.ConnectedAt, a.EndedAt = stamp(at.Add(time.Second)), stamp(at.Add(time.Minute))
				a.PauseTime = durationpb.New(time.Duration(between(t, "pause", 0, 30)) * time.Second)
				if rapid.Bool().Draw(t, "wrap-up") {
					a.WrapupStartedAt = a.GetEndedAt()
					if rapid.Bool().Draw(t, "wrapped up") {
						a.WrapupEndedAt = stamp(at.Add(2 * time.Minute))
					}
				}
			}
			if a.GetEndedAt() == nil && a.GetDeclinedAt() == nil || a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() == nil {
				i.State = conversationv1.InteractionState_INTERACTION_STATE_ACTIVE
			}
			i.Assignments = append(i.Assignments, a)
		}
	}
	w.set(idOf(5000+n), i)
}

func (w *world) anyState(t *rapid.T) {
	id := fmt.Sprint("agent-", between(t, "agent", 0, 5))
	if between(t, "gone", 0, 5) == 0 {
		w.state(id, nil)
		return
	}
	s := &agentv1.AgentState{
		RoutingStatus: eventv1.RoutingStatus(between(t, "status", 0, 5)), RoutingStatusSince: stamp(time.Now()),
		Presence: &agentv1.Presence{Type: eventv1.PresenceType(between(t, "presence", 0, 3)), Presence: "Meal", Since: stamp(time.Now())},
	}
	for n := range between(t, "contacts", 0, 2) {
		s.Contacts = append(s.Contacts, &agentv1.Contact{
			AssignmentId: idOf(n).String(), Queue: oneOf(t, "queue", "", "sales", "support", "unheard-of"),
			State: oneOf(t, "state", agentv1.ContactState_CONTACT_STATE_CONNECTED, agentv1.ContactState_CONTACT_STATE_PAUSED,
				agentv1.ContactState_CONTACT_STATE_ENDED, agentv1.ContactState_CONTACT_STATE_MISSED, agentv1.ContactState_CONTACT_STATE_INCOMING),
		})
	}
	w.state(id, s)
}

func (w *world) anyEntry(t *rapid.T) {
	e := &eventv1.DirectoryUpdated{Kind: oneOf(t, "kind", directory.Agent, directory.Queue, directory.Queue, directory.Team, directory.Hours)}
	switch e.Kind {
	case directory.Agent:
		e.Id = fmt.Sprint("agent-", between(t, "agent", 0, 5))
		e.Entry = &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
			Name: oneOf(t, "name", "Ann", "Bo"), Teams: some(t, "team", "blue", "red", "none"), Skills: map[string]int32{oneOf(t, "skill", "zh", "de"): 0},
		}}
	case directory.Queue:
		e.Id = oneOf(t, "queue", "sales", "support")
		q := &eventv1.DirectoryQueue{
			Name: oneOf(t, "name", "A", "B"), Teams: some(t, "team", "blue", "red"), Skills: some(t, "skill", "zh"), Hours: oneOf(t, "hours", "", "office"),
			ServiceLevel: &eventv1.ServiceLevel{
				Within:       durationpb.New(time.Duration(between(t, "within", 0, 60)) * time.Second),
				ShortAbandon: durationpb.New(time.Duration(between(t, "short", 0, 20)) * time.Second),
			},
		}
		for _, id := range some(t, "native", "600", "601") {
			q.Ids = append(q.Ids, &eventv1.NativeId{Provider: oneOf(t, "provider", "", "asterisk"), Id: id})
		}
		e.Entry = &eventv1.DirectoryUpdated_Queue{Queue: q}
	case directory.Team:
		e.Id = oneOf(t, "team", "blue", "red")
		e.Entry = &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Name: oneOf(t, "name", "Blue", "Red")}}
	default:
		e.Id = "office"
		e.Entry = &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{TimeZone: oneOf(t, "zone", "Asia/Shanghai", "America/New_York", "")}}
	}
	if between(t, "removed", 0, 4) == 0 {
		e.Removed, e.Entry = true, nil
	}
	w.put(ago(t, "valid from", 2*time.Hour), e)
}

// step lets something happen.
func (w *world) step(t *rapid.T) {
	switch between(t, "step", 0, 14) {
	case 0:
		w.anew(rapid.Bool().Draw(t, "cut"))
	case 1:
		chunk := between(t, "chunk", 1, 5)
		w.mu.Lock()
		w.chunk = chunk
		w.mu.Unlock()
	case 2:
		<-time.After(time.Duration(between(t, "minutes", 1, 100)) * time.Minute)
	case 3, 4:
		w.anyEntry(t)
	case 5, 6, 7:
		w.anyState(t)
	case 8:
		<-time.After(time.Duration(between(t, "milliseconds", 1, 1500)) * time.Millisecond)
	default:
		w.anyWork(t)
	}
}

// settled waits until everything is applied that happened.
func settled() {
	<-time.After(6 * time.Minute) // what ended is followed again, and all that the directory says holds
	synctest.Wait()
}

func differ(t *rapid.T, what string, got, want map[string]proto.Message) {
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if want[k] == nil {
			t.Errorf("%s has %s, which is not there: %s", what, k, prototext.Format(got[k]))
		} else if !proto.Equal(got[k], want[k]) {
			t.Errorf("%s has %s as\n%s\nwant\n%s", what, k, prototext.Format(got[k]), prototext.Format(want[k]))
		}
	}
	for k := range want {
		if got[k] == nil {
			t.Errorf("%s lacks %s: %s", what, k, prototext.Format(want[k]))
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func TestTheRowsAreWhatThePlainModelCounts(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		w := newWorld()
		for range between(t, "before", 0, 15) {
			w.step(t)
		}
		w.running(t, func(s *board.Server) {
			get(t, s, &boardv1.GetRequest{})
			for range between(t, "steps", 0, 40) {
				w.step(t)
			}
			settled()
			now := time.Now()
			for _, since := range []time.Time{{}, now.Add(-3 * time.Hour).Truncate(15 * time.Minute)} {
				req := &boardv1.GetRequest{}
				if !since.IsZero() {
					req.Since = stamp(since)
				}
				rows := get(t, s, req)
				w.mu.Lock()
				want := w.rows(now, since)
				w.mu.Unlock()
				differ(t, fmt.Sprint("since ", since, " the board"), keyed(rows), keyed(want))
				if !proto.Equal(rows, want) {
					t.Fatal("the rows are not in order")
				}
			}
		}, func(c *board.Config) { c.Linger = time.Hour * 1000 })
	})
}

func TestWhatAClientIsToldIsTheBoardWhateverItsPaceFilterAndInterruptions(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		w := newWorld()
		w.running(t, func(s *board.Server) {
			begun := time.Now()
			var clients []*client
			for range between(t, "clients", 1, 3) {
				req := &boardv1.WatchRequest{MaxPerSecond: oneOf(t, "rate", 0, 0.5, 7, 50), Filter: &boardv1.BoardFilter{
					Queues: some(t, "queue", "sales", "601"), Teams: some(t, "team", "blue"), AgentIds: some(t, "agent", "agent-1", "agent-2", "agent-3"),
					WithoutQueues: between(t, "without", 0, 9) == 0, WithoutTeams: between(t, "without", 0, 9) == 0, WithoutAgents: between(t, "without", 0, 9) == 0,
				}}
				if between(t, "since", 0, 3) == 0 {
					req.Since = stamp(begun.Add(-time.Hour))
				}
				clients = append(clients, watching(t, s, req))
			}
			for range between(t, "steps", 0, 40) {
				w.step(t)
				c := clients[between(t, "client", 0, len(clients)-1)]
				if between(t, "interrupted", 0, 5) == 0 {
					_ = c.disconnect()
					if between(t, "long", 0, 3) == 0 {
						<-time.After(30 * time.Minute)
					}
					c.connect(between(t, "cut", 0, 3))
				}
				if time.Since(begun) > 40*time.Hour {
					break
				}
			}
			for _, c := range clients {
				_ = c.disconnect()
				c.connect(0)
			}
			settled()
			for _, c := range clients {
				if !c.complete {
					t.Error("a client never got the whole board")
				}
				differ(t, "a client", c.knows(), keyed(get(t, s, &boardv1.GetRequest{Filter: c.req.GetFilter(), Since: c.req.GetSince()})))
				_ = c.disconnect()
			}
		})
	})
}
