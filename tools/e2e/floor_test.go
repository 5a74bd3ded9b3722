package e2e_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// company is the directory of the stories.
const company = `
valid_from: 2020-01-01
queues:
  - {id: support, name: Support, ids: [{provider: asterisk, id: q-support}, {provider: chatapp, id: help}], teams: [first-line], service_level: {within: 20s, goal: 0.8}}
  - {id: claims, name: Claims, teams: [claims], service_level: {within: 20s, goal: 0.8}}
teams:
  - {id: first-line, name: First line, supervisors: [sam], queue: support}
  - {id: claims, name: Claims, queue: claims}
  - {id: leads, name: Leads}
agents:
  - id: lena
    name: Lena Fuchs
    ids: [lena@example.com, {provider: asterisk, id: "201"}, {provider: chatapp, id: u-lena}]
    teams: [first-line]
    capacity: {voice: 1, web_chat: 3}
  - id: omar
    name: Omar Haddad
    ids: [{provider: asterisk, id: "202"}, {provider: chatapp, id: u-omar}]
    teams: [first-line]
  - {id: carla, name: Carla Rossi, ids: [{provider: chatapp, id: u-carla}], teams: [claims]}
  - {id: sam, name: Sam Vos, ids: [{provider: asterisk, id: "299"}, {provider: chatapp, id: u-sam}], teams: [leads]}
`

// floor is a contact centre at work: desktops, switches and supervisors' tools, by the public API.
type floor struct {
	*desk
	site      *skeintest.Site
	srv       *skeintest.Process
	directory directoryv1.DirectoryServiceClient
	agents    agentv1.AgentServiceClient
	board     boardv1.BoardServiceClient
	alerts    boardv1.AlertServiceClient
	staffing  staffingv1.StaffingServiceClient
}

// open has the company come to a server that was just started, which may know the company already.
func open(s *skeintest.Site, srv *skeintest.Process) *floor {
	s.T.Helper()
	conn, err := rpc.Dial(s.GRPC, "", nil)
	must(s.T, err)
	s.T.Cleanup(func() { _ = conn.Close() })
	f := &floor{
		newDesk(s), s, srv, directoryv1.NewDirectoryServiceClient(conn), agentv1.NewAgentServiceClient(conn), boardv1.NewBoardServiceClient(conn),
		boardv1.NewAlertServiceClient(conn), staffingv1.NewStaffingServiceClient(conn),
	}
	f.describe(company)
	return f
}

// describe imports a directory.
func (f *floor) describe(file string) (said string) {
	f.t.Helper()
	return f.site.Run("directory", "import", configured(f.t, file), "--server", f.site.GRPC)
}

// says is what a command prints, with single blanks.
func (f *floor) says(command ...string) string {
	f.t.Helper()
	return regexp.MustCompile(` {2,}`).ReplaceAllString(f.site.Run(append(command, "--server", f.site.GRPC)...), " ")
}

// until waits until something reads as it should.
func (f *floor) until(want string, read func() string) {
	f.t.Helper()
	const patience = 2 * time.Minute
	late, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for got := read(); got != want; got = read() {
		select {
		case <-tick.C:
		case <-late:
			f.t.Fatalf("it reads\n  %s\nand should\n  %s\n%s", got, want, f.srv.Out())
		}
	}
}

// is fails where something does not read as it should.
func (f *floor) is(want, got string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("it reads\n  %s\nand should\n  %s", got, want)
	}
}

// contact is what a customer wants, as the connector tells that has the customer.
type contact struct {
	channel                         eventv1.Channel
	provider, thread, queue, worker string // as the connector calls them
	visit                           string // its name for the wait; it need not have one
}

// call201 is a call for the agent with that extension.
func call201(thread string) contact {
	return contact{channel: eventv1.Channel_CHANNEL_VOICE, provider: "asterisk", thread: thread, queue: "q-support", worker: "201"}
}

func chatOf(worker, thread string) contact {
	return contact{channel: eventv1.Channel_CHANNEL_WEB_CHAT, provider: "chatapp", thread: thread, queue: "help", worker: worker}
}

func (c contact) customer() *eventv1.Address { return visitor("of " + c.thread) }

// told is an event of the contact.
func (c contact) told(typ string, at time.Time) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, OccurredAt: timestamppb.New(at), Channel: c.channel, Provider: c.provider, Inbox: "front", Thread: c.thread, NativeId: rand.Text(), Queue: c.queue, Visit: c.visit,
		Parties: []*eventv1.SubmittedParty{{Address: c.customer(), Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER}},
	}
	if strings.HasPrefix(typ, "assignment.") || strings.HasPrefix(typ, "wrapup.") {
		s.Actor, s.Assignment = agent(c.worker), c.thread+" with "+c.worker
	}
	return s
}

// now publishes events of a contact that happen at this moment, and gives where the last one stands.
func (f *floor) now(c contact, types ...string) *eventv1.Position {
	f.t.Helper()
	var all []*eventv1.Submission
	for _, typ := range types {
		all = append(all, c.told(typ, time.Now()))
	}
	acks := f.publish(all...)
	return acks[len(acks)-1].GetPosition()
}

// presence is what a connector tells of an agent.
func presence(provider, worker, presence string, at time.Time) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeAgentPresenceChanged, OccurredAt: timestamppb.New(at), Provider: provider, Inbox: "front", Thread: worker, NativeId: rand.Text(), Actor: agent(worker),
		Content: &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: &eventv1.AgentPresenceChanged{Presence: presence}}},
	}
}

// signIn has an agent be available by a desktop that is alive.
func (f *floor) signIn(id string) {
	f.t.Helper()
	f.be(id, "Available")
	got(f.desk, f.agents.Heartbeat, &agentv1.HeartbeatRequest{AgentId: id})
}

func (f *floor) be(id, presence string) {
	f.t.Helper()
	got(f.desk, f.agents.SetPresence, &agentv1.SetPresenceRequest{AgentId: id, Presence: presence, RequestId: rand.Text()})
}

// state is the present state of an agent with what was published.
func (f *floor) state(id string, after ...*eventv1.Position) *agentv1.AgentState {
	f.t.Helper()
	return got(f.desk, f.agents.Get, &agentv1.GetRequest{AgentId: id, MinPositions: after}).GetState()
}

// at is the state at a past moment.
func (f *floor) at(id string, at time.Time, after ...*eventv1.Position) *agentv1.AgentState {
	f.t.Helper()
	return got(f.desk, f.agents.At, &agentv1.AtRequest{AgentId: id, At: timestamppb.New(at), MinPositions: after}).GetState()
}

// doing is what a state says: presence, routing status, and what is in hand.
func doing(s *agentv1.AgentState) string {
	return does(s.GetPresence().GetPresence(), s.GetPresence().GetVanished(), s.GetRoutingStatus(), s.GetContacts())
}

func doingOf(r *boardv1.AgentRow) string {
	if r == nil {
		return "no row"
	}
	return does(r.GetPresence(), r.GetVanished(), r.GetRoutingStatus(), r.GetContacts())
}

func does(presence string, vanished bool, status eventv1.RoutingStatus, contacts []*agentv1.Contact) string {
	if vanished {
		presence += " (vanished)"
	}
	parts := []string{cmp.Or(presence, "nothing") + ", " + word(status, "ROUTING_STATUS")}
	for _, c := range contacts {
		part := word(c.GetState(), "CONTACT_STATE") + " " + word(c.GetChannel(), "CHANNEL") + " from " + cmp.Or(c.GetQueue(), "none")
		for _, s := range c.GetSupervisors() {
			part += " with " + s.GetAgentId() + " by " + word(s.GetMode(), "SUPERVISOR_MODE")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

// room is what room for work a state says.
func room(s *agentv1.AgentState) string {
	var parts []string
	for _, channel := range slices.Sorted(maps.Keys(s.GetCapacity())) {
		r := s.GetCapacity()[channel]
		parts = append(parts, fmt.Sprintf("%s %d+%d of %d", channel, r.GetUsed(), r.GetAvailable(), r.GetMaximum()))
	}
	return strings.Join(parts, ", ")
}

// waits is what a row of a queue says.
func waits(q *boardv1.QueueRow) string {
	if q == nil {
		return "no row"
	}
	c := q.GetCounts()
	return fmt.Sprintf("%s: %d wait, %d offered, %d in contact, %d in wrap-up, %d of %d available; %d entered, %d answered, %d abandoned, %d handled", q.GetName(),
		q.GetWaiting(), q.GetOffered(), q.GetInContact(), q.GetAfterCallWork(), q.GetAvailableAgents(), q.GetSignedInAgents(),
		c.GetEntered(), c.GetAnswered(), c.GetAbandoned(), c.GetHandled())
}

// has is what a row of a team says.
func has(r *boardv1.TeamRow) string {
	parts := []string{fmt.Sprint(r.GetAgents(), " agents")}
	for _, of := range []map[string]int32{r.GetPresenceTypes(), r.GetRoutingStatuses()} {
		for _, what := range slices.Sorted(maps.Keys(of)) {
			parts = append(parts, fmt.Sprint(of[what], " ", what))
		}
	}
	return strings.Join(append(parts, fmt.Sprint(r.GetInContact(), " in contact")), ", ")
}

// wallboard is the board as a watch of it has told it so far.
type wallboard struct {
	f     *floor
	leave context.CancelFunc

	mu     sync.Mutex
	queues map[string]*boardv1.QueueRow
	teams  map[string]*boardv1.TeamRow
	agents map[string]*boardv1.AgentRow
	cursor string
	resets int
	whole  bool
	rows   []string // that were told, one behind the other
	err    error
}

// watch shows the board, and counts from a moment on.
func (f *floor) watch(since time.Time, cursor string) *wallboard {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	f.t.Cleanup(cancel)
	stream, err := f.board.Watch(ctx, &boardv1.WatchRequest{Since: timestamppb.New(since), MaxPerSecond: 50, Cursor: cursor})
	must(f.t, err)
	w := &wallboard{f: f, leave: cancel}
	w.clear()
	go func() {
		for {
			m, err := stream.Recv()
			w.take(m, err)
			if err != nil {
				return
			}
		}
	}()
	f.until("true", func() string { w.mu.Lock(); defer w.mu.Unlock(); return fmt.Sprint(w.whole) })
	return w
}

func (w *wallboard) clear() {
	w.queues, w.teams, w.agents = map[string]*boardv1.QueueRow{}, map[string]*boardv1.TeamRow{}, map[string]*boardv1.AgentRow{}
}

func (w *wallboard) take(m *boardv1.WatchResponse, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = err; err != nil {
		return
	}
	if m.GetReset_() {
		w.resets++
		w.clear()
	}
	for _, r := range m.GetRemoved().GetAgents() {
		delete(w.agents, r.GetAgentId())
	}
	for _, r := range m.GetRemoved().GetQueues() {
		delete(w.queues, r.GetQueue())
	}
	for _, r := range m.GetRows().GetQueues() {
		w.queues[r.GetQueue()], w.rows = r, append(w.rows, r.GetQueue())
	}
	for _, r := range m.GetRows().GetTeams() {
		w.teams[r.GetTeam()], w.rows = r, append(w.rows, r.GetTeam())
	}
	for _, r := range m.GetRows().GetAgents() {
		w.agents[r.GetAgentId()], w.rows = r, append(w.rows, r.GetAgentId())
	}
	w.whole = w.whole || m.GetComplete()
	w.cursor = cmp.Or(m.GetCursor(), w.cursor)
}

// shows waits until the row of a queue, a team or an agent reads as it should.
func (w *wallboard) shows(id, want string) {
	w.f.t.Helper()
	w.f.until(want, func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.err != nil {
			return rpc.Explain(w.err)
		}
		if q := w.queues[id]; q != nil {
			return waits(q)
		}
		if t := w.teams[id]; t != nil {
			return has(t)
		}
		return doingOf(w.agents[id])
	})
}

// last is where the watch stands when it is left.
func (w *wallboard) last() (cursor string) {
	w.leave()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cursor
}

// fetch gets an answer as JSON over HTTP.
func (f *floor) fetch(method, path, body string, answer proto.Message) {
	f.t.Helper()
	code, said := request(f.site, method, path, body, nil)
	if code != http.StatusOK {
		f.t.Fatalf("%s answers %d %s", path, code, said)
	}
	must(f.t, protojson.Unmarshal([]byte(said), answer))
}

func (f *floor) shows(want *regexp.Regexp, said string) {
	f.t.Helper()
	if !want.MatchString(said) {
		f.t.Errorf("%s is missing in\n%s", want, said)
	}
}

func TestASupervisorSeesWhoWaitsAndWhoWorks(t *testing.T) {
	s := newSite(t)
	f := open(s, s.Up())
	if said := f.describe(company); !strings.Contains(said, "0 added, 0 changed, 0 removed, 9 the same.") {
		t.Errorf("imported again, it says %s", said)
	}
	began := time.Now().Truncate(time.Second)
	ago := func(d time.Duration) time.Time { return began.Add(-d) }
	since := ago(time.Hour)

	// Omar has been there for forty minutes, and has had a call: it waited 15 s, lasted 3 minutes, and took another one afterwards.
	before := call201("before")
	before.worker = "202"
	f.publish(
		presence("asterisk", "202", "Available", ago(40*time.Minute)),
		before.told(event.TypeQueueEntered, ago(600*time.Second)),
		before.told(event.TypeAssignmentOffered, ago(590*time.Second)),
		before.told(event.TypeAssignmentConnected, ago(585*time.Second)),
		before.told(event.TypeAssignmentEnded, ago(405*time.Second)),
		before.told(event.TypeWrapupStarted, ago(405*time.Second)),
		before.told(event.TypeWrapupEnded, ago(345*time.Second)),
		before.told(event.TypeInteractionEnded, ago(345*time.Second)),
	)
	w := f.watch(since, "")
	w.shows("support", "Support: 0 wait, 0 offered, 0 in contact, 0 in wrap-up, 1 of 1 available; 1 entered, 1 answered, 0 abandoned, 1 handled")
	w.shows("lena", "nothing, off_queue")
	f.signIn("lena")
	w.shows("lena", "Available, idle")
	w.shows("omar", "Available, idle")
	w.shows("first-line", "2 agents, 2 ROUTABLE, 2 IDLE, 0 in contact")

	// A call waits, rings and is answered.
	call := call201("call")
	f.publish(call.told(event.TypeQueueEntered, time.Now().Add(-90*time.Second)))
	w.shows("support", "Support: 1 wait, 0 offered, 0 in contact, 0 in wrap-up, 2 of 2 available; 2 entered, 1 answered, 0 abandoned, 1 handled")
	f.shows(regexp.MustCompile(`(?m)^Support \(support\) 1 (1:[3-5]\d|2:\d\d) – – – 2 2 2 1 – 100 % 0:15 4:00`), f.says("board", "--since", since.Format(time.RFC3339)))
	f.now(call, event.TypeAssignmentOffered)
	w.shows("support", "Support: 1 wait, 1 offered, 0 in contact, 0 in wrap-up, 2 of 2 available; 2 entered, 1 answered, 0 abandoned, 1 handled")
	w.shows("lena", "Available, idle; incoming voice from support")
	f.now(call, event.TypeAssignmentAccepted, event.TypeAssignmentConnected)
	w.shows("support", "Support: 0 wait, 0 offered, 1 in contact, 0 in wrap-up, 1 of 2 available; 2 entered, 2 answered, 0 abandoned, 1 handled")

	// Two chats beside it. She says that she can take four.
	one, two := chatOf("u-lena", "one"), chatOf("u-lena", "two")
	f.now(one, event.TypeQueueEntered, event.TypeAssignmentOffered, event.TypeAssignmentAccepted, event.TypeAssignmentConnected)
	end := f.now(two, event.TypeQueueEntered, event.TypeAssignmentOffered, event.TypeAssignmentConnected)
	const threeInHand = "Available, interacting; connected voice from support; connected web_chat from support; connected web_chat from support"
	w.shows("lena", threeInHand)
	w.shows("first-line", "2 agents, 2 ROUTABLE, 1 IDLE, 1 INTERACTING, 3 in contact")
	f.is("voice 1+0 of 1, web_chat 2+1 of 3", room(f.state("lena", end)))
	more := got(f.desk, f.agents.SetCapacity, &agentv1.SetCapacityRequest{AgentId: "lena", Maximum: map[string]int32{"web_chat": 4}, RequestId: "four"})
	f.is("voice 1+0 of 1, web_chat 2+2 of 4", room(more.GetState()))
	f.now(call, event.TypeAssignmentHeld)
	w.shows("lena", strings.Replace(threeInHand, "connected voice", "connected_onhold voice", 1))
	f.now(call, event.TypeAssignmentUnheld)
	w.shows("lena", threeInHand)

	said := f.says("agent", "lena@example.com")
	for _, want := range []string{
		`^Lena Fuchs \(lena\)\n`, `teams first-line\n`, `presence Available ROUTABLE for `, `routing status INTERACTING for `, `in hand CONNECTED voice from support .* \S{36}\n`,
		`in hand CONNECTED web_chat from support `, `room voice: 0 of 1 free\n`, `room web_chat: 2 of 4 free\n`,
	} {
		f.shows(regexp.MustCompile(want), said)
	}
	rest, rows := &agentv1.GetResponse{}, &boardv1.GetResponse{}
	f.fetch(http.MethodGet, "/v1/agents/lena", "", rest)
	f.is(threeInHand, doing(rest.GetState()))
	f.fetch(http.MethodPost, "/v1/board", `{"filter":{"teams":["first-line"],"withoutQueues":true}}`, rows)
	if r := rows.GetRows(); len(r.GetQueues()) != 0 || len(r.GetTeams()) != 1 || len(r.GetAgents()) != 2 {
		t.Errorf("a part of the board is %v", r)
	}
	f.is(threeInHand, doingOf(rows.GetRows().GetAgents()[0]))

	// The wallboard is away while a chat comes and Omar has a break. It goes on behind what it had.
	cursor := w.last()
	three := chatOf("u-lena", "three")
	f.now(three, event.TypeQueueEntered)
	f.be("omar", "Break")
	w = f.watch(since, cursor)
	const three5 = "Support: 1 wait, 0 offered, 3 in contact, 0 in wrap-up, 0 of 2 available; 5 entered, 4 answered, 0 abandoned, 1 handled"
	w.shows("support", three5)
	w.shows("omar", "Break, off_queue")
	w.shows("first-line", "2 agents, 1 CUSTOM, 1 ROUTABLE, 1 INTERACTING, 1 OFF_QUEUE, 3 in contact")
	w.mu.Lock()
	if w.resets != 0 || slices.Contains(w.rows, "sam") || slices.Contains(w.rows, "claims") {
		t.Errorf("behind its cursor the watch told %v, with %d resets", w.rows, w.resets)
	}
	w.mu.Unlock()

	// After-call work, and the server is killed: the board is what it was, told anew.
	f.now(call, event.TypeAssignmentEnded, event.TypeWrapupStarted, event.TypeInteractionEnded)
	const afterwards = "Support: 1 wait, 0 offered, 2 in contact, 1 in wrap-up, 0 of 2 available; 5 entered, 4 answered, 0 abandoned, 1 handled"
	w.shows("support", afterwards)
	w.shows("lena", "Available, interacting; ended voice from support; connected web_chat from support; connected web_chat from support")
	cursor = w.last()
	f.srv.Kill()
	f = open(s, s.Up())
	w = f.watch(since, cursor)
	w.shows("support", afterwards)
	w.shows("omar", "Break, off_queue")
	w.shows("lena", "Available, interacting; ended voice from support; connected web_chat from support; connected web_chat from support")
	w.mu.Lock()
	if w.resets != 1 || len(w.agents) != 4 || len(w.queues) != 2 || len(w.teams) != 3 {
		t.Errorf("behind a kill the watch told %v, with %d resets", w.rows, w.resets)
	}
	w.mu.Unlock()
	f.now(call, event.TypeWrapupEnded)
	f.now(one, event.TypeAssignmentEnded, event.TypeInteractionEnded)
	f.now(three, event.TypeQueueLeft, event.TypeInteractionEnded) // nobody says how it left
	w.shows("support", "Support: 0 wait, 0 offered, 1 in contact, 0 in wrap-up, 0 of 2 available; 5 entered, 4 answered, 0 abandoned, 3 handled")
	w.shows("lena", "Available, interacting; connected web_chat from support")

	// What Omar's hour was like, and at a moment of it.
	day := got(f.desk, f.agents.Intervals, &agentv1.IntervalsRequest{AgentId: "omar", From: timestamppb.New(ago(40 * time.Minute)), Until: timestamppb.New(began)})
	var told []string
	for _, i := range day.GetIntervals() {
		line := fmt.Sprint(i.GetUntil().AsTime().Sub(i.GetFrom().AsTime()), " ", i.GetPresence(), ", ", word(i.GetRoutingStatus(), "ROUTING_STATUS"))
		for _, c := range i.GetContacts() {
			line += ", " + word(c.GetState(), "CONTACT_STATE")
		}
		told = append(told, line)
	}
	f.is("30m10s Available, idle; 5s Available, idle, incoming; 3m0s Available, interacting, connected; 1m0s Available, interacting, ended; 5m45s Available, idle", strings.Join(told, "; "))
	if o := day.GetTotals().GetOccupancy(); o != 0.1 || !proto.Equal(day.GetTotals().GetOnContact(), durationpb.New(4*time.Minute)) {
		t.Errorf("in all %v", day.GetTotals())
	}
	from := ago(40 * time.Minute).Format(time.RFC3339)
	said = f.says("agent", "omar", "--day", from)
	f.shows(regexp.MustCompile(`(?m)^\S+ \S+ 3:00 Available INTERACTING CONNECTED voice$`), said)
	f.shows(regexp.MustCompile(`(?m)^on contact 4:00, occupancy 10 %$`), said)
	f.shows(regexp.MustCompile(`in hand CONNECTED voice from support 1:25 `), f.says("agent", "omar", "--at", ago(500*time.Second).Format(time.RFC3339)))
	f.shows(regexp.MustCompile(`(?m)^\S+ \S+ voice support 3:00 1:00 `+f.customerOf("of before").GetId()+` \S{36}$`), f.says("agent", "omar", "--contacts"))
	contacts := &agentv1.ContactsResponse{}
	f.fetch(http.MethodGet, "/v1/agents/lena/contacts?page_size=2", "", contacts)
	if c := contacts.GetContacts(); len(c) != 2 || c[0].GetCustomerId() != f.customerOf("of two").GetId() || contacts.GetNextPageToken() == "" {
		t.Errorf("the latest contacts are %v", contacts)
	}
	quit(t, f.srv)
}
