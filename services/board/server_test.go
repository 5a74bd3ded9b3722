package board_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/board"
)

// inBubble runs a test on a clock of its own, which begins at midnight of UTC and goes on when everybody waits.
func inBubble(t *testing.T, do func(w *world, s *board.Server), more ...func(*board.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.running(t, func(s *board.Server) { do(w, s) }, more...)
	})
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func theQueue(id string, change func(*eventv1.DirectoryQueue)) *eventv1.DirectoryUpdated {
	q := &eventv1.DirectoryQueue{Name: "Sales", Teams: []string{"blue"}}
	change(q)
	return &eventv1.DirectoryUpdated{Kind: directory.Queue, Id: id, Entry: &eventv1.DirectoryUpdated_Queue{Queue: q}}
}

func theAgent(id string, teams ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Kind: directory.Agent, Id: id, Entry: &eventv1.DirectoryUpdated_Agent{
		Agent: &eventv1.DirectoryAgent{Name: "Ann", Teams: teams},
	}}
}

func same(*eventv1.DirectoryQueue) {}

// waits makes a thread wait in a queue since a moment; left ends it.
func (w *world) waits(n int, queue string, since time.Time, left ...time.Time) {
	v := &conversationv1.QueueVisit{Id: idOf(n).String(), Queue: queue, EnteredAt: stamp(since)}
	i := &conversationv1.Interaction{
		Id: idOf(100 + n).String(), Provider: "asterisk", State: conversationv1.InteractionState_INTERACTION_STATE_ACTIVE,
		Visits: []*conversationv1.QueueVisit{v},
	}
	if len(left) > 0 {
		v.LeftAt, v.Outcome = stamp(left[0]), eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED
		i.State = conversationv1.InteractionState_INTERACTION_STATE_ENDED
	}
	w.set(idOf(500+n), i)
}

func idle(contacts ...*agentv1.Contact) *agentv1.AgentState {
	return &agentv1.AgentState{
		Presence:      &agentv1.Presence{Presence: "Available", Type: eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE},
		RoutingStatus: eventv1.RoutingStatus_ROUTING_STATUS_IDLE, Contacts: contacts,
	}
}

func (c *client) queue(id string) *boardv1.QueueRow {
	q, _ := c.knows()["queue "+id].(*boardv1.QueueRow)
	return q
}

func TestCountsBeginAnewAtMidnightOfTheQueuesTimeZone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		begun := time.Now() // 08:00 in Shanghai
		w.put(begun, &eventv1.DirectoryUpdated{Kind: directory.Hours, Id: "office", Entry: &eventv1.DirectoryUpdated_Hours{
			Hours: &eventv1.DirectoryHours{TimeZone: "Asia/Shanghai"},
		}})
		w.put(begun, theQueue("sales", func(q *eventv1.DirectoryQueue) { q.Hours = "office" }))
		w.put(begun, theQueue("support", same))
		since := watching(t, s, &boardv1.WatchRequest{Since: stamp(begun.Add(-8 * time.Hour))})
		c := watching(t, s, &boardv1.WatchRequest{})
		for n, queue := range []string{"sales", "support"} {
			w.waits(n, queue, begun, begun.Add(time.Second))
		}
		pass(2 * time.Second)
		for _, queue := range []string{"sales", "support"} {
			if n := c.queue(queue).GetCounts().GetEntered(); n != 1 {
				t.Errorf("%d entered %s, want 1", n, queue)
			}
		}
		pass(16 * time.Hour)
		if got := c.queue("sales").GetCounts(); got.GetEntered() != 0 || !got.GetSince().AsTime().Equal(begun.Add(16*time.Hour)) {
			t.Errorf("behind midnight of Shanghai: %v", got)
		}
		if got := c.queue("support").GetCounts(); got.GetEntered() != 1 || !got.GetSince().AsTime().Equal(begun) {
			t.Errorf("in UTC the day goes on: %v", got)
		}
		if got := since.queue("sales").GetCounts(); got.GetEntered() != 1 {
			t.Errorf("what counts since a moment begins anew: %v", got)
		}
		if err := errors.Join(c.disconnect(), since.disconnect()); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestAQueueThatIsRenamedKeepsWhoWaitsAndOneThatIsRemovedIsThereUntilNobodyDoes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		begun := time.Now()
		w.put(begun.Add(-time.Hour), theQueue("sales", func(q *eventv1.DirectoryQueue) { q.Ids = []*eventv1.NativeId{{Id: "600"}} }))
		c := watching(t, s, &boardv1.WatchRequest{})
		w.waits(1, "600", begun)
		pass(time.Second)
		if q := c.queue("sales"); q.GetWaiting() != 1 || q.GetOldestInteractionId() != idOf(101).String() {
			t.Fatalf("sales: %v", q)
		}
		w.put(time.Now(), theQueue("sales", func(q *eventv1.DirectoryQueue) { q.Name = "Sales and more" }))
		w.waits(2, "sales", time.Now())
		pass(2 * time.Second)
		if q := c.queue("sales"); q.GetWaiting() != 2 || q.GetName() != "Sales and more" {
			t.Errorf("renamed: %v", q)
		}
		w.put(time.Now(), &eventv1.DirectoryUpdated{Kind: directory.Queue, Id: "sales", Removed: true})
		pass(2 * time.Second)
		if q := c.queue("sales"); q.GetWaiting() != 2 || q.GetName() != "Sales and more" {
			t.Errorf("removed while somebody waits: %v", q)
		}
		w.waits(1, "600", begun, time.Now())
		w.waits(2, "sales", begun, time.Now())
		pass(2 * time.Second)
		if q := c.queue("sales"); q != nil {
			t.Errorf("nobody waits in it, and it is there: %v", q)
		}
		_ = c.disconnect()
	})
}

func TestAnAgentWhoIsRemovedWhileInContactIsThereUntilThatIsOver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		w.put(time.Now(), theAgent("ann", "blue"))
		w.put(time.Now(), theQueue("sales", same))
		w.state("ann", idle(&agentv1.Contact{Queue: "sales", State: agentv1.ContactState_CONTACT_STATE_CONNECTED}))
		c := watching(t, s, &boardv1.WatchRequest{})
		pass(time.Second)
		if q := c.queue("sales"); q.GetAvailableAgents() != 1 || q.GetSignedInAgents() != 1 || q.GetInContact() != 1 {
			t.Errorf("sales: %v", q)
		}
		w.put(time.Now(), &eventv1.DirectoryUpdated{Kind: directory.Agent, Id: "ann", Removed: true})
		pass(2 * time.Second)
		if q := c.queue("sales"); q.GetAvailableAgents() != 0 || q.GetInContact() != 1 || c.knows()["agent ann"] == nil {
			t.Errorf("removed while in contact: %v", q)
		}
		w.state("ann", idle())
		pass(2 * time.Second)
		if q := c.queue("sales"); q.GetInContact() != 0 || c.knows()["agent ann"] != nil {
			t.Errorf("the contact is over: %v", q)
		}
		_ = c.disconnect()
	})
}

func TestWhoLeavesATeamLeavesTheWatchOfTheTeam(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		w.put(time.Now(), theAgent("ann", "blue"))
		w.put(time.Now(), theAgent("bo", "red"))
		c := watching(t, s, &boardv1.WatchRequest{Filter: &boardv1.BoardFilter{Teams: []string{"blue"}, WithoutQueues: true}})
		pass(time.Second)
		if got := c.knows(); len(got) != 1 || got["agent ann"] == nil {
			t.Errorf("in blue: %v", got)
		}
		w.put(time.Now(), theAgent("ann", "red"))
		pass(2 * time.Second)
		if got := c.knows(); len(got) != 0 || c.resets != 1 {
			t.Errorf("Ann has left it: %v, told anew %d times", got, c.resets)
		}
		_ = c.disconnect()
	})
}

func TestACursorGoesOnWithoutLossOnTheSameProcessAndBeginsAnewElsewhere(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		for n := range 3 {
			w.put(time.Now(), theAgent(fmt.Sprint("agent-", n)))
		}
		c := watching(t, s, &boardv1.WatchRequest{})
		pass(time.Second)
		_ = c.disconnect()
		w.put(time.Now(), &eventv1.DirectoryUpdated{Kind: directory.Agent, Id: "agent-1", Removed: true})
		w.state("agent-2", idle())
		pass(time.Minute)
		c.connect(0)
		pass(time.Second)
		if got := c.knows(); c.resets != 1 || len(got) != 2 || !c.complete {
			t.Errorf("told anew %d times, and knows %v", c.resets, got)
		}
		_ = c.disconnect()
		w.put(time.Now(), &eventv1.DirectoryUpdated{Kind: directory.Agent, Id: "agent-2", Removed: true})
		other := watching(t, s, &boardv1.WatchRequest{}) // keeps the board
		pass(30 * time.Minute)
		c.connect(0)
		pass(time.Second)
		if c.resets != 2 {
			t.Errorf("a removal that is forgotten: told anew %d times, want 2", c.resets)
		}
		_ = c.disconnect()
		w.running(t, func(elsewhere *board.Server) {
			c.server = elsewhere
			c.connect(0)
			pass(time.Second)
			if c.resets != 3 || len(c.knows()) != len(other.knows()) {
				t.Errorf("on another process: told anew %d times, and knows %v", c.resets, c.knows())
			}
			_ = c.disconnect()
		})
		_ = other.disconnect()
	})
}

func TestABoardThatNobodyLooksAtIsDroppedAndMadeAgain(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	boards := func(t *testing.T, want int) {
		t.Helper()
		expected := fmt.Sprintf("# HELP skein_board_boards Boards that are kept in memory, one for each tenant who looks at one or did so a few minutes ago.\n"+
			"# TYPE skein_board_boards gauge\nskein_board_boards %d\n", want)
		if err := testutil.GatherAndCompare(r, strings.NewReader(expected), "skein_board_boards"); err != nil {
			t.Error(err)
		}
	}
	inBubble(t, func(w *world, s *board.Server) {
		boards(t, 0)
		get(t, s, &boardv1.GetRequest{})
		boards(t, 1)
		pass(time.Minute)
		c := watching(t, s, &boardv1.WatchRequest{})
		pass(time.Hour)
		boards(t, 1)
		_ = c.disconnect()
		pass(time.Hour)
		boards(t, 0)
		w.mu.Lock()
		n := w.visiting
		w.mu.Unlock()
		get(t, s, &boardv1.GetRequest{})
		if boards(t, 1); w.visiting != n+1 {
			t.Errorf("it was read %d times", w.visiting)
		}
	}, func(c *board.Config) { c.Registerer = r })
}

func TestAWatchTellsAtMostSoOftenAndAtOnceWhenItHasNotForLong(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		c := watching(t, s, &boardv1.WatchRequest{MaxPerSecond: 5})
		pass(time.Minute)
		begun := time.Now()
		for n := range 500 {
			w.waits(n, "sales", time.Now())
			pass(10 * time.Millisecond)
		}
		pass(time.Second)
		_ = c.disconnect()
		if n := len(c.sentAt); n < 25 || n > 28 { // the begin, 5 s of news, and the end
			t.Errorf("told %d times", n)
		}
		if first := c.sentAt[1].Sub(begun); first != 0 {
			t.Errorf("the first news came after %s", first)
		}
		for n := 2; n < len(c.sentAt); n++ {
			if d := c.sentAt[n].Sub(c.sentAt[n-1]); d < 200*time.Millisecond {
				t.Errorf("told again after %s", d)
			}
		}
	})
}

func TestALargeBoardComesInMessagesOfBoundedSize(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		for n := range 5000 {
			w.states[fmt.Sprintf("agent-%04d", n)] = &agentv1.AgentState{AgentId: fmt.Sprintf("agent-%04d", n), Presence: &agentv1.Presence{
				Reason: strings.Repeat("x", 200),
			}}
		}
		c := watching(t, s, &boardv1.WatchRequest{})
		pass(time.Second)
		if len(c.knows()) != 5000 || c.largest > 200<<10 || !c.complete || c.resets != 1 {
			t.Errorf("%d rows in %d messages of at most %d bytes", len(c.knows()), c.messages, c.largest)
		}
		_ = c.disconnect()
	})
}

func TestGetWaitsUntilBothStreamsContainAPosition(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		get(t, s, &boardv1.GetRequest{})
		at := &eventv1.Position{Topic: event.TopicInteractions, Partition: 1, Offset: 0}
		done := make(chan error, 1)
		go func() {
			_, err := s.Get(caller(), &boardv1.GetRequest{MinPositions: []*eventv1.Position{at}})
			done <- err
		}()
		pass(time.Minute)
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		w.waits(1, "sales", time.Now())
		if err := <-done; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(caller(), time.Second)
		defer cancel()
		_, err := s.Get(ctx, &boardv1.GetRequest{MinPositions: []*eventv1.Position{{Topic: event.TopicAgents, Partition: 0, Offset: 7}}})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "skein.agents.v1/0/7") {
			t.Errorf("what never comes: %v", err)
		}
	})
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	w, now := newWorld(), time.Now()
	w.running(t, func(s *board.Server) {
		client := overGRPC(t, s)
		field := func(err error, want string) {
			t.Helper()
			if reason, named := rpc.Violations(err)[want]; !named || reason == "" {
				t.Errorf("got %v, want an error of %s", err, want)
			}
		}
		for _, c := range []struct {
			field string
			req   *boardv1.GetRequest
		}{
			{"since", &boardv1.GetRequest{Since: stamp(now.Add(-49 * time.Hour))}},
			{"since", &boardv1.GetRequest{Since: stamp(now.Add(time.Hour))}},
			{"since", &boardv1.GetRequest{Since: &timestamppb.Timestamp{Nanos: -1}}},
			{"min_positions[0].topic", &boardv1.GetRequest{MinPositions: []*eventv1.Position{{Topic: event.TopicLinks}}}},
			{"min_positions[1].partition", &boardv1.GetRequest{MinPositions: []*eventv1.Position{
				{Topic: event.TopicAgents}, {Topic: event.TopicInteractions, Partition: partitions},
			}}},
		} {
			_, err := client.Get(t.Context(), c.req)
			field(err, c.field)
		}
		answer, err := client.Get(t.Context(), &boardv1.GetRequest{Filter: &boardv1.BoardFilter{Queues: []string{"nobody's"}}})
		if err != nil || len(answer.GetRows().GetQueues()) > 0 {
			t.Errorf("a queue that nobody knows: %v, %v", answer, err)
		}
		watch := func(req *boardv1.WatchRequest) (string, error) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := client.Watch(ctx, req)
			if err != nil {
				return "", err
			}
			m, err := stream.Recv()
			return m.GetCursor(), err
		}
		cursor, err := watch(&boardv1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			field string
			req   *boardv1.WatchRequest
		}{
			{"since", &boardv1.WatchRequest{Since: stamp(now.Add(time.Hour))}},
			{"cursor", &boardv1.WatchRequest{Cursor: "x"}},
			{"cursor", &boardv1.WatchRequest{Cursor: cursor, Filter: &boardv1.BoardFilter{WithoutAgents: true}}},
			{"max_per_second", &boardv1.WatchRequest{MaxPerSecond: 51}},
		} {
			_, err := watch(c.req)
			field(err, c.field)
		}
	})
}

// overGRPC is a client of a server.
func overGRPC(t *testing.T, s *board.Server) boardv1.BoardServiceClient {
	t.Helper()
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(server)
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	conn, err := rpc.Dial(port.Addr().String(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return boardv1.NewBoardServiceClient(conn)
}

// discard takes what is sent and does nothing about it.
type discard struct {
	grpc.ServerStream
	ctx  context.Context
	sent int
}

func (d *discard) Context() context.Context {
	if d.ctx == nil {
		return caller()
	}
	return d.ctx
}

func (d *discard) Send(m *boardv1.WatchResponse) error {
	b, err := proto.Marshal(m)
	d.sent += len(b)
	return err
}

func TestAProcessTakesSoManyWatchesAndEndsThemWhenItStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := w.server(t, func(c *board.Config) { c.MaxWatches = 1 })
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		c := watching(t, s, &boardv1.WatchRequest{})
		pass(time.Second)
		if err := s.Watch(&boardv1.WatchRequest{}, &discard{}); !errors.Is(err, board.ErrTooManyWatches) {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		if err := <-c.ended; !errors.Is(err, board.ErrStopping) || !strings.Contains(err.Error(), "stopping: go on from the cursor elsewhere") {
			t.Errorf("the watch ended with %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := s.Get(caller(), &boardv1.GetRequest{}); !errors.Is(err, board.ErrStopping) {
			t.Errorf("behind the end: %v", err)
		}
	})
}

func TestABoardThatCannotBeReadYetIsUnavailableAndThenIs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		w.fails = 20
		w.waits(1, "sales", time.Now())
		if _, err := s.Get(caller(), &boardv1.GetRequest{}); !errors.Is(err, board.ErrReading) {
			t.Errorf("while visits cannot be read: %v", err)
		}
		pass(time.Minute)
		if rows := get(t, s, &boardv1.GetRequest{}); rows.GetQueues()[0].GetWaiting() != 1 {
			t.Errorf("and then: %v", rows)
		}
	})
}

func TestWhatIsToldWhileVisitsAreLoadedCounts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(w *world, s *board.Server) {
		w.hold = make(chan struct{})
		begun := time.Now()
		w.waits(1, "sales", begun.Add(-time.Minute), begun)
		w.waits(2, "sales", begun.Add(-time.Minute), begun)
		c := watching(t, s, &boardv1.WatchRequest{Since: stamp(begun.Add(-time.Hour))})
		pass(time.Second)
		w.waits(2, "support", begun.Add(-time.Minute), begun)
		pass(time.Second)
		close(w.hold)
		pass(time.Second)
		if sales, support := c.queue("sales"), c.queue("support"); sales.GetCounts().GetAnswered() != 1 || support.GetCounts().GetAnswered() != 1 {
			t.Errorf("sales: %v, support: %v", sales, support)
		}
		_ = c.disconnect()
	})
}

func TestTheFieldsThatAreWrittenByHandAreThoseOfTheProto(t *testing.T) {
	t.Parallel()
	fields := (&boardv1.Rows{}).ProtoReflect().Descriptor().Fields()
	for n, name := range map[protoreflect.FieldNumber]protoreflect.Name{1: "queues", 2: "teams", 3: "agents"} {
		if f := fields.ByNumber(n); f == nil || f.Name() != name || f.Message().Fields().ByNumber(1).Kind() != protoreflect.StringKind {
			t.Errorf("field %d of Rows is %v, want %s, whose field 1 is an id", n, f, name)
		}
	}
}
