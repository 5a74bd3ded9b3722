package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/agent/state"
)

// Matter says that each interaction is a conversation, with the customer whom its subject names.
func (w *world) Matter(_ context.Context, _ string, i *conversationv1.Interaction) (conversation, customer string, err error) {
	return i.GetId(), i.GetSubject(), nil
}

// Customer is the one of that id.
func (w *world) Customer(_ context.Context, _ string, id event.ID) (string, error) {
	return id.String(), nil
}

// desk is a client of the service.
type desk struct {
	agentv1.AgentServiceClient
	*world
	t *testing.T
}

// serve folds in the background and serves over gRPC, by the clock on the wall.
func serve(t *testing.T) desk {
	t.Helper()
	w := newWorld(t)
	w.agents.SetNow(time.Now)
	return w.serve(t)
}

func (w *world) serve(t *testing.T) desk {
	t.Helper()
	keyring, err := made()
	must(t, err)
	c, err := compiler()
	must(t, err)
	blobs, err := blob.Open(t.Context(), "mem://")
	must(t, err)
	t.Cleanup(func() { _ = blobs.Close() })
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant, Name: "board"})
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	agent.NewServer(agent.Config{
		Agents: w.agents, Floor: w.keeps(t), Compiler: c, Matters: w,
		Host: intake.New(intake.Config{Compiler: c, Keyring: keyring, Log: w.log, Blobs: blobs}),
	}).Register(server)
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	conn, err := rpc.Dial(port.Addr().String(), "", nil)
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return desk{agentv1.NewAgentServiceClient(conn), w, t}
}

// refused is the field that is wrong, or the code; empty where a call succeeded.
func refused(err error) string {
	for field := range rpc.Violations(err) {
		return field
	}
	if err != nil {
		return status.Code(err).String()
	}
	return ""
}

func (d desk) presence(who, presence, request string) *agentv1.CommandResponse {
	d.t.Helper()
	resp, err := d.SetPresence(patient(d.t), &agentv1.SetPresenceRequest{AgentId: who, Presence: presence, RequestId: request})
	must(d.t, err)
	return resp
}

func TestACommandAnswersWithTheStateAndHasOneEffect(t *testing.T) {
	d := serve(t)
	first := d.presence("mei", "Available", "r1")
	if p := first.GetState().GetPresence(); p.GetPresence() != "Available" || p.GetType() != eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE || p.GetConnector() != "skein" ||
		first.GetState().GetRoutingStatus() != eventv1.RoutingStatus_ROUTING_STATUS_IDLE {
		t.Errorf("%v", first)
	}
	d.presence("mei", "Meal", "r2")
	again := d.presence("mei", "Available", "r1")
	if again.GetEventId() != first.GetEventId() || !proto.Equal(again.GetPosition(), first.GetPosition()) || again.GetState().GetPresence().GetPresence() != "Meal" {
		t.Errorf("%v", again)
	}
	_, err := d.SetPresence(patient(t), &agentv1.SetPresenceRequest{AgentId: "mei", Presence: "Meeting", RequestId: "r1"})
	if refused(err) != "request_id" {
		t.Errorf("another command by the same request: %v", err)
	}
	room, err := d.SetCapacity(patient(t), &agentv1.SetCapacityRequest{AgentId: "mei", Maximum: map[string]int32{"web_chat": 3}, RequestId: "r3"})
	must(t, err)
	if c := room.GetState().GetCapacity()["web_chat"]; c.GetMaximum() != 3 || c.GetAvailable() != 3 {
		t.Errorf("%v", room)
	}
	got, err := d.Get(patient(t), &agentv1.GetRequest{AgentId: "mei", MinPositions: []*eventv1.Position{room.GetPosition()}})
	must(t, err)
	if got.GetState().GetCapacity()["web_chat"].GetMaximum() != 3 || len(got.GetState().GetPositions()) != 1 {
		t.Errorf("%v", got)
	}
}

func TestAHeartbeatPromisesAndASignOutHoldsAtEveryConnector(t *testing.T) {
	d := serve(t)
	d.presence("mei", "Available", "r1")
	_, err := d.SetPresence(patient(t), &agentv1.SetPresenceRequest{AgentId: "mei", Presence: "On queue", RequestId: "r2", Connector: "asterisk"})
	must(t, err)
	before := time.Now()
	alive, err := d.Heartbeat(patient(t), &agentv1.HeartbeatRequest{AgentId: "mei"})
	must(t, err)
	if promised := alive.GetAliveUntil().AsTime().Sub(before); promised < agent.DefaultTimeout || promised > agent.DefaultTimeout+patience {
		t.Errorf("%v", promised)
	}
	own := d.presence("mei", "Offline", "r3")
	if p := own.GetState().GetPresence(); p.GetConnector() != "asterisk" || p.GetType() != eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE {
		t.Errorf("signed out at one of two: %v", p)
	}
	out, err := d.SignOut(patient(t), &agentv1.SignOutRequest{AgentId: "mei", Reason: "went home", RequestId: "r4"})
	must(t, err)
	for _, p := range append(out.GetState().GetConnectors(), out.GetState().GetPresence()) {
		if p.GetType() != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE || p.GetChangedBy() != "board" || p.GetReason() != "went home" {
			t.Errorf("%v", p)
		}
	}
	if len(out.GetState().GetConnectors()) != 2 {
		t.Errorf("%v", out)
	}
}

func TestASignOutHoldsThoughAConnectorsClockIsAhead(t *testing.T) {
	d := serve(t)
	ahead := time.Now().Add(4 * time.Minute)
	d.append(eventOf("1", "mei", "asterisk", ahead, time.Now(), presenceOf("Meeting", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM)))
	before := d.presence("mei", "Available", "r1").GetState() // so that the statement is applied
	if p := before.GetPresence(); p.GetPresence() != "Meeting" {
		t.Fatalf("%v", p)
	}
	req := &agentv1.SignOutRequest{AgentId: "mei", RequestId: "r2"}
	first, err := d.SignOut(patient(t), req)
	must(t, err)
	again, err := d.SignOut(patient(t), req)
	must(t, err)
	for _, resp := range []*agentv1.CommandResponse{first, again} {
		if p := resp.GetState().GetPresence(); p.GetType() != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE || resp.GetEventId() != first.GetEventId() {
			t.Errorf("%v", resp)
		}
	}
	if _, err := d.SignOut(patient(t), &agentv1.SignOutRequest{AgentId: "mei", RequestId: "r1"}); refused(err) != "request_id" {
		t.Errorf("the id of another request: %v", err)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	d := serve(t)
	ctx := patient(t)
	now, long := stamp(time.Now()), stamp(time.Now().AddDate(0, -2, 0))
	errOf := func(_ any, err error) error { return err }
	for what, x := range map[string]struct {
		err  error
		want string
	}{
		"an unknown agent":       {errOf(d.Get(ctx, &agentv1.GetRequest{AgentId: "nobody"})), "NotFound"},
		"of the past":            {errOf(d.At(ctx, &agentv1.AtRequest{AgentId: "nobody", At: now})), "NotFound"},
		"intervals":              {errOf(d.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: "nobody", From: stamp(at(0)), Until: stamp(at(1))})), "NotFound"},
		"contacts":               {errOf(d.Contacts(ctx, &agentv1.ContactsRequest{AgentId: "nobody"})), "NotFound"},
		"sign out":               {errOf(d.SignOut(ctx, &agentv1.SignOutRequest{AgentId: "nobody", RequestId: "r"})), "NotFound"},
		"an agent's id":          {errOf(d.SetPresence(ctx, &agentv1.SetPresenceRequest{AgentId: "m e i", Presence: "Meal", RequestId: "r"})), "agent_id"},
		"a connector":            {errOf(d.SetPresence(ctx, &agentv1.SetPresenceRequest{AgentId: "mei", Presence: "Meal", RequestId: "r", Connector: "A B"})), "connector"},
		"a channel":              {errOf(d.SetCapacity(ctx, &agentv1.SetCapacityRequest{AgentId: "mei", Maximum: map[string]int32{"fax": 1}, RequestId: "r"})), `maximum["fax"]`},
		"too long a stretch":     {errOf(d.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: "mei", From: long})), "from"},
		"a stretch without time": {errOf(d.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: "mei", From: now, Until: now})), "until"},
		"a page token":           {errOf(d.List(ctx, &agentv1.ListRequest{PageToken: "x"})), "page_token"},
	} {
		if got := refused(x.err); got != x.want {
			t.Errorf("%s: %q instead of %q: %v", what, got, x.want, x.err)
		}
	}
}

func bookOf(agents map[string]*eventv1.DirectoryAgent, queues map[string]*eventv1.DirectoryQueue) *directory.Book {
	entries := map[string]map[string][]directory.Version{directory.Agent: {}, directory.Queue: {}}
	for id, a := range agents {
		entries[directory.Agent][id] = []directory.Version{{Stated: &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Agent{Agent: a}}}}
	}
	for id, q := range queues {
		entries[directory.Queue][id] = []directory.Version{{Stated: &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Queue{Queue: q}}}}
	}
	return directory.NewBook(entries)
}

func TestAnAgentIsFoundByAnyIDOfAConnector(t *testing.T) {
	d := serve(t)
	d.setBook(bookOf(map[string]*eventv1.DirectoryAgent{"mei": {
		Name: "Mei Lin", Teams: []string{"north"}, Ids: []*eventv1.NativeId{{Provider: "asterisk", Id: "101"}},
		Capacity: map[string]*eventv1.ChannelCapacity{"voice": {Maximum: 1}, "web_chat": {Maximum: 4, Weight: 2}},
	}}, nil))
	d.append(eventOf("1", "101", "asterisk", time.Now(), time.Now(), presenceOf("Available", 1)))
	pos := d.append(eventOf("2", "101", "genesys", time.Now(), time.Now(), presenceOf("Meal", 2)))
	got, err := d.Get(patient(t), &agentv1.GetRequest{AgentId: "101", MinPositions: []*eventv1.Position{{Topic: pos.Topic, Partition: pos.Partition, Offset: pos.Offset}}})
	must(t, err)
	s := got.GetState()
	if s.GetAgentId() != "mei" || s.GetName() != "Mei Lin" || len(s.GetConnectors()) != 1 || s.GetPresence().GetPresence() != "Available" ||
		s.GetCapacity()["web_chat"].GetMaximum() != 4 {
		t.Errorf("%v", s)
	}
}

// next is the next news of a watch.
func next(t *testing.T, w grpc.ServerStreamingClient[agentv1.WatchResponse]) *agentv1.WatchResponse {
	t.Helper()
	n, err := w.Recv()
	must(t, err)
	return n
}

func TestAWatchTellsWhoFitsAndWhoDoesNotAnyMore(t *testing.T) {
	d := serve(t)
	d.presence("mei", "Available", "m1")
	d.presence("bo", "Meal", "b1")
	req := &agentv1.WatchRequest{Filter: &agentv1.AgentFilter{PresenceTypes: []eventv1.PresenceType{eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE}}}
	ctx, cancel := context.WithCancel(patient(t))
	defer cancel()
	w, err := d.Watch(ctx, req)
	must(t, err)
	if n := next(t, w); n.GetState().GetAgentId() != "mei" {
		t.Fatalf("%v", n)
	}
	if n := next(t, w); !n.GetComplete() {
		t.Fatalf("%v", n)
	}
	d.presence("bo", "Available", "b2")
	if n := next(t, w); n.GetState().GetAgentId() != "bo" {
		t.Fatalf("%v", n)
	}
	d.presence("mei", "Meal", "m2")
	last := next(t, w)
	if last.GetGone() != "mei" {
		t.Fatalf("%v", last)
	}
	cancel()
	if _, err := w.Recv(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	// Behind the cursor nothing is lost.
	d.presence("bo", "Meal", "b3")
	d.presence("mei", "On queue", "m3")
	req.Cursor = last.GetCursor()
	again, err := d.Watch(patient(t), req)
	must(t, err)
	var gone, chose string
	complete := false
	for range 3 { // what the floor learns a moment later comes behind complete
		n := next(t, again)
		gone, chose, complete = gone+n.GetGone(), chose+n.GetState().GetPresence().GetPresence(), complete || n.GetComplete()
	}
	if gone != "bo" || chose != "On queue" || !complete {
		t.Fatal(gone, chose, complete)
	}
	// Elsewhere all is told again.
	elsewhere := d.serve(t)
	other, err := elsewhere.Watch(patient(t), req)
	must(t, err)
	if n := next(t, other); !n.GetReset_() {
		t.Fatalf("%v", n)
	}
	if n := next(t, other); n.GetState().GetAgentId() != "mei" {
		t.Fatalf("%v", n)
	}
	foreign, err := d.Watch(patient(t), &agentv1.WatchRequest{Cursor: last.GetCursor()})
	must(t, err)
	if _, err := foreign.Recv(); refused(err) != "cursor" {
		t.Errorf("%v", err)
	}
}

func TestAWatchOfAQueueTellsWhenItsTeamsChange(t *testing.T) {
	d := serve(t)
	agents := map[string]*eventv1.DirectoryAgent{"mei": {Teams: []string{"north"}}, "bo": {Teams: []string{"south"}}}
	d.setBook(bookOf(agents, map[string]*eventv1.DirectoryQueue{"sales": {Teams: []string{"north"}}}))
	w, err := d.Watch(patient(t), &agentv1.WatchRequest{Filter: &agentv1.AgentFilter{Queues: []string{"sales"}}})
	must(t, err)
	if n := next(t, w); n.GetState().GetAgentId() != "mei" {
		t.Fatalf("%v", n)
	}
	if n := next(t, w); !n.GetComplete() {
		t.Fatalf("%v", n)
	}
	d.setBook(bookOf(agents, map[string]*eventv1.DirectoryQueue{"sales": {Teams: []string{"south"}}}))
	told := map[string]bool{}
	for range 2 {
		n := next(t, w)
		told[n.GetState().GetAgentId()+" "+n.GetGone()] = true
	}
	if !told["bo "] || !told[" mei"] {
		t.Errorf("%v", told)
	}
}

func TestAListIsInOrderOfTheIDsPageByPage(t *testing.T) {
	d := serve(t)
	var last *agentv1.CommandResponse
	for n := range 7 {
		last = d.presence(fmt.Sprint("agent", n), "Available", "r")
	}
	var all []string
	req := &agentv1.ListRequest{PageSize: 3, MinPositions: []*eventv1.Position{last.GetPosition()}}
	for pages := 1; ; pages++ {
		resp, err := d.List(patient(t), req)
		must(t, err)
		for _, s := range resp.GetStates() {
			all = append(all, s.GetAgentId())
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if want := "[agent0 agent1 agent2 agent3 agent4 agent5 agent6]"; fmt.Sprint(all) != want {
		t.Errorf("%v", all)
	}
	resp, err := d.List(patient(t), &agentv1.ListRequest{Filter: &agentv1.AgentFilter{AgentIds: []string{"agent3", "nobody"}}})
	must(t, err)
	if len(resp.GetStates()) != 1 {
		t.Errorf("%v", resp)
	}
}

func TestContactsAreTheLatestFirstAndOfACustomerOnly(t *testing.T) {
	d := serve(t)
	anna, bob := hashed("anna").String(), hashed("bob").String()
	for n := range 9 {
		s := share(n, &conversationv1.Assignment{Id: hashed(fmt.Sprint("share", n)).String(), Agent: "mei", OfferedAt: stamp(at(-n * 3000)), EndedAt: stamp(at(-n*3000 + 60))})
		s.Subject = anna
		if n%3 == 0 {
			s.Subject = bob
		}
		d.put(s)
	}
	read := func(req *agentv1.ContactsRequest) (got []int) {
		req.AgentId = "mei"
		for {
			resp, err := d.Contacts(patient(t), req)
			must(t, err)
			for _, c := range resp.GetContacts() {
				got = append(got, int(epoch.Sub(c.GetAssignment().GetOfferedAt().AsTime())/(3000*time.Minute)))
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return got
			}
		}
	}
	for _, x := range []struct {
		req  *agentv1.ContactsRequest
		want string
	}{
		{&agentv1.ContactsRequest{}, "[0 1 2 3 4 5 6 7 8]"},
		{&agentv1.ContactsRequest{PageSize: 2}, "[0 1 2 3 4 5 6 7 8]"},
		{&agentv1.ContactsRequest{CustomerId: bob, PageSize: 1}, "[0 3 6]"},
		{&agentv1.ContactsRequest{From: stamp(at(-3*3000 + 30)), Until: stamp(at(-3000))}, "[2 3]"},
	} {
		if got := fmt.Sprint(read(x.req)); got != x.want {
			t.Errorf("%v: %s instead of %s", x.req, got, x.want)
		}
	}
}

func TestOccupancyCountsEachMomentOnce(t *testing.T) {
	d := serve(t)
	d.append(eventOf("1", "mei", "desk", at(0), at(0), presenceOf("Available", 1)))
	pos := d.append(eventOf("2", "mei", "desk", at(100), at(100), presenceOf("Offline", 3)))
	for n, a := range []*conversationv1.Assignment{
		{ConnectedAt: stamp(at(10)), EndedAt: stamp(at(30)), WrapupStartedAt: stamp(at(30)), WrapupEndedAt: stamp(at(40)), Queue: "sales"},
		{ConnectedAt: stamp(at(20)), EndedAt: stamp(at(50)), Queue: "sales"}, // at the same time as the first
		{ConnectedAt: stamp(at(95)), Queue: "sales"},                         // and never ends: nobody works who is signed out
	} {
		a.Id, a.Agent = hashed(fmt.Sprint("share", n)).String(), "mei"
		d.put(share(n, a))
	}
	resp, err := d.Intervals(patient(t), &agentv1.IntervalsRequest{
		AgentId: "mei", From: stamp(at(0)), Until: stamp(at(120)), MinPositions: []*eventv1.Position{{Topic: pos.Topic, Partition: pos.Partition, Offset: pos.Offset}},
	})
	must(t, err)
	totals := resp.GetTotals()
	if totals.GetOnContact().AsDuration() != 45*time.Minute || totals.GetRoutingStatus()["IDLE"].AsDuration() != 55*time.Minute ||
		totals.GetOccupancy() != 0.45 || totals.GetPresence()["Offline"].AsDuration() != 20*time.Minute ||
		!proto.Equal(totals.GetPresenceType()["ROUTABLE"], durationpb.New(100*time.Minute)) {
		t.Errorf("%v", totals)
	}
}

func TestCapacityIsWeighted(t *testing.T) {
	w := newWorld(t)
	w.setBook(bookOf(map[string]*eventv1.DirectoryAgent{"mei": {Capacity: map[string]*eventv1.ChannelCapacity{"web_chat": {Maximum: 4, Weight: 2}, "voice": {Maximum: 1}}}}, nil))
	w.append(eventOf("1", "mei", "desk", at(0), at(0), capacityOf("", map[string]int32{"voice": 2, "fax": 9, "email": -1})))
	w.append(eventOf("2", "mei", "other", at(-1), at(2), capacityOf("", map[string]int32{"voice": 7, "sms": 3})))
	w.fold(w.store, 0)
	for n, c := range []eventv1.Channel{1, 2, 2, 2, 9} {
		s := share(n, &conversationv1.Assignment{Id: hashed(fmt.Sprint("share", n)).String(), Agent: "mei", ConnectedAt: stamp(at(1))})
		s.Channel = c
		if n == 3 {
			s.Paused = []*conversationv1.Stretch{{From: stamp(at(2))}}
		}
		w.put(s)
	}
	w.setClock(at(5))
	s, err := w.agents.Present(t.Context(), tenant, "mei")
	must(t, err)
	for channel, want := range map[string]*agentv1.ChannelRoom{
		"voice": {Maximum: 2, Used: 1, Available: 1}, "web_chat": {Maximum: 4, Used: 4}, "sms": {Maximum: 3, Available: 3}, "task": {Maximum: 1, Used: 1},
	} {
		if got := s.GetCapacity()[channel]; !proto.Equal(got, want) {
			t.Errorf("%s: %v instead of %v", channel, got, want)
		}
	}
	if len(s.GetCapacity()) != 4 {
		t.Errorf("%v", s.GetCapacity())
	}
}

func TestWhatNobodyUnderstandsIsASignOfLifeOnly(t *testing.T) {
	for what, c := range map[string]*eventv1.Content{
		"a presence without text and type": presenceOf("", 0),
		"a presence of an unknown type":    presenceOf("", 77),
		"a status that is not stated":      routingOf(0),
		"a status that is not known":       routingOf(77),
		"a capacity of nothing":            capacityOf("", map[string]int32{"fax": 1, "voice": -1}),
		"another body":                     {Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{}}},
		"a sealed content":                 nil,
	} {
		for _, typ := range types {
			e := &eventv1.Event{Type: typ}
			if s := state.Read(e, state.Moment{}, c); s.Kind != state.Sign {
				t.Errorf("%s as %s: %v", what, typ, s)
			}
		}
	}
	s := state.Read(&eventv1.Event{Type: event.TypeAgentPresenceChanged}, state.Moment{}, presenceOf("on queue", 77))
	if s.Kind != state.Presence || s.Type != eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE {
		t.Errorf("a presence whose type only its text tells: %v", s)
	}
}

func TestWhatIsNoEventOfAnAgentIsADeadLetter(t *testing.T) {
	w := newWorld(t)
	good := func(change func(e *eventv1.Event)) *eventv1.Event {
		e := eventOf("good", "mei", "desk", at(0), at(0), presenceOf("Available", 1))
		change(e)
		return e
	}
	w.append(good(func(*eventv1.Event) {}))
	w.append(good(func(*eventv1.Event) {}))                                 // again: nothing
	w.append(good(func(e *eventv1.Event) { e.Digest = []byte("another") })) // a conflict
	w.appendRaw("mei", []byte("no event"))
	for _, e := range []*eventv1.Event{
		good(func(e *eventv1.Event) { e.Actor = nil }), good(func(e *eventv1.Event) { e.Content = []byte("no content") }),
		good(func(e *eventv1.Event) { e.OccurredAt.Seconds = 1 << 35 }), good(func(e *eventv1.Event) { e.Provider = string(make([]byte, 99)) }),
	} {
		w.append(e)
	}
	w.fold(w.store, 0)
	if len(w.letters) != 6 || w.letters[0].GetReason() != eventv1.DeadReason_DEAD_REASON_CONFLICT && w.letters[5].GetReason() != eventv1.DeadReason_DEAD_REASON_CONFLICT {
		t.Errorf("%d letters: %v", len(w.letters), w.letters)
	}
	s, err := w.agents.Present(t.Context(), tenant, "mei")
	must(t, err)
	if s.GetPresence().GetPresence() != "Available" {
		t.Errorf("%v", s)
	}
}
