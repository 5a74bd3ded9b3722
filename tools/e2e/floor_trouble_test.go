package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
)

// by tells what is known at each connector.
func by(s *agentv1.AgentState) string {
	var parts []string
	for _, c := range s.GetConnectors() {
		part := c.GetConnector() + " " + c.GetPresence()
		if c.GetChangedBy() != "" {
			part += " by " + c.GetChangedBy()
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func TestAnAgentIsWhereTheConnectorsSayInWhateverOrderAndByWhateverClock(t *testing.T) {
	s := newSite(t)
	f := open(s, s.Up())
	began := time.Now()
	ago := func(minutes int) time.Time { return began.Add(-time.Duration(minutes) * time.Minute) }
	publish := func(all ...*eventv1.Submission) *eventv1.Position {
		acks := f.publish(all...)
		return acks[len(acks)-1].GetPosition()
	}

	// At two connectors: she signs out at one, and stays at the other.
	publish(presence("asterisk", "201", "Available", ago(10)))
	publish(presence("chatapp", "u-lena", "Available", ago(9)))
	end := publish(presence("chatapp", "u-lena", "Offline", ago(5)))
	lena := f.state("lena", end)
	f.is("Available, idle", doing(lena))
	f.is("asterisk Available, chatapp Offline", by(lena))

	// Told out of order, also behind what is in hand.
	publish(presence("asterisk", "202", "Break", ago(5)))
	end = publish(presence("asterisk", "202", "Available", ago(10)))
	f.is("Break, off_queue", doing(f.state("omar", end)))
	f.is("Available, idle", doing(f.at("omar", ago(7))))
	f.is("nothing, off_queue", doing(f.at("omar", ago(11))))
	end = publish(presence("asterisk", "202", "Meal", ago(6)))
	f.is("Break, off_queue", doing(f.state("omar", end)))
	f.is("Meal, off_queue", doing(f.at("omar", began.Add(-5*time.Minute-30*time.Second))))

	// A switch whose clock is four minutes ahead: at present it counts, in the past it is where it says.
	w := f.watch(ago(60), "")
	ahead := func() time.Time { return time.Now().Add(4 * time.Minute) }
	call := call201("ahead")
	publish(call.told(event.TypeQueueEntered, ahead()))
	w.shows("support", "Support: 1 wait, 0 offered, 0 in contact, 0 in wrap-up, 1 of 2 available; 1 entered, 0 answered, 0 abandoned, 0 handled")
	end = publish(call.told(event.TypeAssignmentOffered, ahead()), call.told(event.TypeAssignmentConnected, ahead()))
	f.is("Available, interacting; connected voice from support", doing(f.state("lena", end)))
	f.is("Available, idle", doing(f.at("lena", time.Now(), end)))
	w.shows("lena", "Available, interacting; connected voice from support")
	w.shows("support", "Support: 0 wait, 0 offered, 1 in contact, 0 in wrap-up, 0 of 2 available; 1 entered, 1 answered, 0 abandoned, 0 handled")
	end = publish(presence("asterisk", "202", "Available", ahead()))
	f.is("Available, idle", doing(f.state("omar", end)))
	f.is("Break, off_queue", doing(f.at("omar", time.Now(), end)))

	// Somebody else signs her out everywhere. What is in hand stays.
	out := got(f.desk, f.agents.SignOut, &agentv1.SignOutRequest{AgentId: "lena@example.com", Reason: "went home", RequestId: "out", Actor: agent("sam")})
	f.is("asterisk Offline by sam, chatapp Offline by sam, skein Offline by sam", by(out.GetState()))
	w.shows("lena", "Offline, interacting; connected voice from support")
	again := got(f.desk, f.agents.SignOut, &agentv1.SignOutRequest{AgentId: "lena@example.com", Reason: "went home", RequestId: "out", Actor: agent("sam")})
	f.is(out.GetEventId(), again.GetEventId())
	publish(call.told(event.TypeInteractionEnded, ahead()))
	w.shows("lena", "Offline, off_queue")
	f.be("lena", "Available")
	w.shows("lena", "Available, idle")

	// Nothing is heard of a desktop for as long as it had promised: whoever watches is told, though nothing happens.
	f.be("carla", "Available")
	got(f.desk, f.agents.Heartbeat, &agentv1.HeartbeatRequest{AgentId: "carla", Timeout: durationpb.New(300 * time.Millisecond)})
	w.shows("carla", "Available (vanished), off_queue")
	w.shows("claims", "Claims: 0 wait, 0 offered, 0 in contact, 0 in wrap-up, 0 of 0 available; 0 entered, 0 answered, 0 abandoned, 0 handled")
	got(f.desk, f.agents.Heartbeat, &agentv1.HeartbeatRequest{AgentId: "carla"})
	w.shows("carla", "Available, idle")
	quit(t, f.srv)
}

func TestAContactThatEndsTwiceOrNeverAndADirectoryThatChangesMeanwhile(t *testing.T) {
	s := newSite(t)
	f := open(s, s.Up())
	began := time.Now().Truncate(time.Microsecond)
	ago := func(d time.Duration) time.Time { return began.Add(-d) }
	w := f.watch(ago(time.Hour), "")
	f.signIn("lena")
	f.signIn("omar")

	// An assignment that ends twice: the first end counts, whichever comes first.
	twice := call201("twice")
	f.publish(twice.told(event.TypeAssignmentConnected, ago(5*time.Minute)))
	f.publish(twice.told(event.TypeAssignmentEnded, ago(time.Minute)))
	f.publish(twice.told(event.TypeAssignmentEnded, ago(2*time.Minute)))
	ended := f.publish(twice.told(event.TypeInteractionEnded, ago(0)))[0].GetPosition()
	contacts := got(f.desk, f.agents.Contacts, &agentv1.ContactsRequest{AgentId: "lena", MinPositions: []*eventv1.Position{ended}}).GetContacts()
	if len(contacts) != 1 || !contacts[0].GetAssignment().GetEndedAt().AsTime().Equal(ago(2*time.Minute)) {
		t.Errorf("ended twice: %v", contacts)
	}
	// One that never ends is over with its interaction.
	never := chatOf("u-lena", "never")
	f.is("Available, interacting; connected web_chat from support", doing(f.state("lena", f.now(never, event.TypeQueueEntered, event.TypeAssignmentConnected))))
	f.is("Available, idle", doing(f.state("lena", f.now(never, event.TypeInteractionEnded))))

	// The queue is renamed while somebody waits; then the switch calls it something else, too.
	waiting := call201("waiting")
	waiting.visit = "of waiting"
	f.now(waiting, event.TypeQueueEntered)
	w.shows("support", "Support: 1 wait, 0 offered, 0 in contact, 0 in wrap-up, 2 of 2 available; 2 entered, 1 answered, 0 abandoned, 1 handled")
	const renamed = `{id: support, name: Customer care, teams: [first-line], ids: [{provider: chatapp, id: help}, {provider: asterisk, id: q-care}`
	f.describe("queues:\n  - " + renamed + ", {provider: asterisk, id: q-support}]}\n")
	w.shows("support", "Customer care: 1 wait, 0 offered, 0 in contact, 0 in wrap-up, 2 of 2 available; 2 entered, 1 answered, 0 abandoned, 1 handled")
	later := call201("later")
	later.queue = "q-care"
	f.now(later, event.TypeQueueEntered)
	w.shows("support", "Customer care: 2 wait, 0 offered, 0 in contact, 0 in wrap-up, 2 of 2 available; 3 entered, 1 answered, 0 abandoned, 1 handled")
	f.describe("queues:\n  - " + renamed + "]}\n") // what it was called is nobody's now; who came by then stays
	waiting.queue = "q-care"
	f.now(waiting, event.TypeAssignmentOffered, event.TypeAssignmentConnected)
	w.shows("lena", "Available, interacting; connected voice from support")
	w.shows("support", "Customer care: 1 wait, 0 offered, 1 in contact, 0 in wrap-up, 1 of 2 available; 3 entered, 2 answered, 0 abandoned, 1 handled")
	f.now(waiting, event.TypeAssignmentEnded, event.TypeInteractionEnded)
	f.now(later, event.TypeInteractionEnded)
	w.shows("support", "Customer care: 0 wait, 0 offered, 0 in contact, 0 in wrap-up, 2 of 2 available; 3 entered, 2 answered, 1 abandoned, 2 handled")

	// An agent is removed while in contact: it stays in hand, and afterwards there is no row any more.
	last := chatOf("u-omar", "last")
	f.now(last, event.TypeQueueEntered, event.TypeAssignmentConnected)
	w.shows("omar", "Available, interacting; connected web_chat from support")
	if said := f.describe("agents:\n  - {id: omar, removed: true}\n"); !strings.Contains(said, "1 removed") {
		t.Errorf("the import says %s", said)
	}
	w.shows("first-line", "1 agents, 1 ROUTABLE, 1 IDLE, 0 in contact")
	w.shows("omar", "Available, interacting; connected web_chat from support")
	if omar := f.state("omar"); !omar.GetRemoved() || len(omar.GetContacts()) != 1 {
		t.Errorf("removed, it is %v", omar)
	}
	f.now(last, event.TypeAssignmentEnded, event.TypeInteractionEnded)
	w.shows("omar", "no row")
	if c := got(f.desk, f.agents.Contacts, &agentv1.ContactsRequest{AgentId: "omar"}).GetContacts(); len(c) != 1 {
		t.Errorf("what the removed agent did: %v", c)
	}
	quit(t, f.srv)
}

func TestWhatNobodyKnowsOrCannotBeIsNamed(t *testing.T) {
	s := newSite(t)
	f := open(s, s.Up())
	ctx, now := t.Context(), timestamppb.Now()
	chat := f.chatIn("named", "v-named")
	for what, err := range map[string]error{
		"get":       errorOf(f.agents.Get(ctx, &agentv1.GetRequest{AgentId: "nobody"})),
		"at":        errorOf(f.agents.At(ctx, &agentv1.AtRequest{AgentId: "nobody", At: now})),
		"intervals": errorOf(f.agents.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: "nobody", From: now})),
		"contacts":  errorOf(f.agents.Contacts(ctx, &agentv1.ContactsRequest{AgentId: "nobody"})),
		"sign out":  errorOf(f.agents.SignOut(ctx, &agentv1.SignOutRequest{AgentId: "nobody", RequestId: "1"})),
		"directory": errorOf(f.directory.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "nobody"})),
		"forecast":  errorOf(f.staffing.Forecast(ctx, &staffingv1.ForecastRequest{Queue: "nobody's"})),
	} {
		if status.Code(err) != codes.NotFound {
			t.Errorf("%s of nobody: %v", what, err)
		}
	}
	const long = 32 * 24 * time.Hour
	put := func(entry *eventv1.DirectoryUpdated) error {
		return errorOf(f.directory.Put(ctx, &directoryv1.PutRequest{RequestId: rand.Text(), Entries: []*eventv1.DirectoryUpdated{entry}}))
	}
	for field, err := range map[string]error{
		"agent_id":          errorOf(f.agents.Get(ctx, &agentv1.GetRequest{})),
		"at":                errorOf(f.agents.At(ctx, &agentv1.AtRequest{AgentId: "lena"})),
		"from":              errorOf(f.agents.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: "lena"})),
		"until":             errorOf(f.agents.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: "lena", From: now, Until: now})),
		"customer_id":       errorOf(f.agents.Contacts(ctx, &agentv1.ContactsRequest{AgentId: "lena", CustomerId: "x"})),
		"page_token":        errorOf(f.agents.Contacts(ctx, &agentv1.ContactsRequest{AgentId: "lena", PageToken: "x"})),
		"presence":          errorOf(f.agents.SetPresence(ctx, &agentv1.SetPresenceRequest{AgentId: "lena", RequestId: "2"})),
		"request_id":        errorOf(f.agents.SetPresence(ctx, &agentv1.SetPresenceRequest{AgentId: "lena", Presence: "Available"})),
		`maximum["pigeon"]`: errorOf(f.agents.SetCapacity(ctx, &agentv1.SetCapacityRequest{AgentId: "lena", Maximum: map[string]int32{"pigeon": 1}, RequestId: "3"})),
		"timeout":           errorOf(f.agents.Heartbeat(ctx, &agentv1.HeartbeatRequest{AgentId: "lena", Timeout: durationpb.New(-time.Second)})),
		"since":             errorOf(f.board.Get(ctx, &boardv1.GetRequest{Since: timestamppb.New(now.AsTime().Add(-long))})),
		"interval":          errorOf(f.staffing.Forecast(ctx, &staffingv1.ForecastRequest{Queue: "support", Interval: durationpb.New(7 * time.Minute)})),
		"load":              errorOf(f.staffing.Staff(ctx, &staffingv1.StaffRequest{})),
		"kind":              errorOf(f.directory.Get(ctx, &directoryv1.GetRequest{Kind: "robot", Id: "x"})),
		"entries[0].agent.teams[0]": put(&eventv1.DirectoryUpdated{
			Id: "new", Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{Teams: []string{"no team"}}},
		}),
		"entries[0].queue.service_level.goal": put(&eventv1.DirectoryUpdated{
			Id: "new", Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{ServiceLevel: &eventv1.ServiceLevel{Goal: 80}}},
		}),
		"team": errorOf(f.conversations.Transfer(ctx, &conversationv1.TransferRequest{
			Command: &conversationv1.Command{ConversationId: chat, RequestId: "4"}, Team: "nobody's",
		})),
	} {
		if status.Code(err) != codes.InvalidArgument || rpc.Violations(err)[field] == "" {
			t.Errorf("a wrong %s: %v, %v", field, err, rpc.Violations(err))
		}
	}
	for field, req := range map[string]*boardv1.WatchRequest{
		"max_per_second": {MaxPerSecond: 1000},
		"cursor":         {Cursor: "x"},
	} {
		stream, err := f.board.Watch(ctx, req)
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.InvalidArgument || rpc.Violations(err)[field] == "" {
			t.Errorf("a wrong %s of a watch: %v, %v", field, err, rpc.Violations(err))
		}
	}
	for path, want := range map[string]int{
		"/v1/agents/nobody":         http.StatusNotFound,
		"/v1/agents/lena/intervals": http.StatusBadRequest,
		"/v1/agents/lena":           http.StatusOK,
	} {
		if code, answer := request(s, http.MethodGet, path, "", nil); code != want {
			t.Errorf("%s: %d %s", path, code, answer)
		}
	}
	wrong := s.Start("directory", "import", configured(t, strings.Replace(company, "teams: [leads]", "teams: [nobodys]", 1)), "--server", s.GRPC)
	if err := wrong.End(); err == nil || !strings.Contains(wrong.Out(), `skein.yaml:21: agents[3].teams[0]: there is no team "nobodys"`) {
		t.Errorf("an import with a team that there is not says %v, %s", err, wrong.Out())
	}
	nobody := s.Start("agent", "nobody", "--server", s.GRPC)
	if err := nobody.End(); err == nil || !strings.Contains(nobody.Out(), `"nobody": nothing is known of this agent`) {
		t.Errorf("of nobody: %v, %s", err, nobody.Out())
	}
	late := &agentv1.IntervalsRequest{AgentId: "lena", From: timestamppb.New(now.AsTime().Add(-long))}
	if err := errorOf(f.agents.Intervals(ctx, late)); rpc.Violations(err)["from"] == "" {
		t.Errorf("more than 31 days: %v", err)
	}
	quit(t, f.srv)
}

func errorOf[A any](answer A, err error) error {
	if err == nil {
		return fmt.Errorf("no error, but %v", answer)
	}
	return err
}
