package e2e_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

var update = flag.Bool("update", false, "write what the story and the queries of the guide give to their transcripts")

// desk is an internal team's program: the public API, and nothing else.
type desk struct {
	t             *testing.T
	ingest        ingestv1.IngestServiceClient
	timeline      timelinev1.TimelineServiceClient
	customers     customerv1.CustomerServiceClient
	conversations conversationv1.ConversationServiceClient
	vcons         vconv1.VconServiceClient
}

func newDesk(s *skeintest.Site) *desk {
	s.T.Helper()
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = conn.Close() })
	return &desk{
		s.T, ingestv1.NewIngestServiceClient(conn), timelinev1.NewTimelineServiceClient(conn), customerv1.NewCustomerServiceClient(conn),
		conversationv1.NewConversationServiceClient(conn), vconv1.NewVconServiceClient(conn),
	}
}

// got makes a call that must be answered.
func got[Req, Resp any](d *desk, call func(context.Context, Req, ...grpc.CallOption) (Resp, error), req Req) Resp {
	d.t.Helper()
	resp, err := call(d.t.Context(), req)
	if err != nil {
		d.t.Fatalf("%T: %v", req, rpc.Explain(err))
	}
	return resp
}

// publish publishes, and gives where it stands.
func (d *desk) publish(submissions ...*eventv1.Submission) []*ingestv1.Acknowledgement {
	d.t.Helper()
	return got(d, d.ingest.Publish, &ingestv1.PublishRequest{Submissions: submissions}).GetAcknowledgements()
}

// play publishes a chapter of the story, and gives the id of its first event and where it all stands.
func (d *desk) play(chapter, token string) (id string, at []*eventv1.Position) {
	d.t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "story", chapter))
	if err != nil {
		d.t.Fatal(err)
	}
	var all []*eventv1.Submission
	for line := range bytes.Lines(raw) {
		s := &eventv1.Submission{}
		if err := protojson.Unmarshal(line, s); err != nil {
			d.t.Fatalf("%s: %v", chapter, err)
		}
		if s.GetCorrelationId() != "" {
			s.CorrelationId = token
		}
		all = append(all, s)
	}
	acks := d.publish(all...)
	for _, a := range acks {
		at = append(at, a.GetPosition())
	}
	return acks[0].GetEventId(), at
}

// filed waits until the timeline of a conversation tells of something: it is read by itself, and may be behind all else.
func (d *desk) filed(id string, after ...*eventv1.Position) {
	d.t.Helper()
	got(d, d.timeline.List, &timelinev1.ListRequest{ConversationId: id, PageSize: 1, OmitContent: true, MinPositions: after})
}

// conversation gives a conversation once something is applied, to its timeline as well.
func (d *desk) conversation(id string, after ...*eventv1.Position) *conversationv1.Conversation {
	d.t.Helper()
	c := got(d, d.conversations.Get, &conversationv1.GetRequest{ConversationId: id, MinPositions: after}).GetConversation()
	if len(after) > 0 {
		d.filed(id, after...)
	}
	return c
}

// resolve gives the customer behind an address.
func (d *desk) resolve(address string) *customerv1.Customer {
	d.t.Helper()
	at, err := event.ParseAddress(address)
	if err != nil {
		d.t.Fatal(err)
	}
	return got(d, d.customers.Resolve, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{at}}).GetCustomers()[0]
}

const storySettings = `
linking:
  - {tenant: default, topics: [{rule: same-reason, by: contact_reason, window: 168h}]}
policies:
  - {tenant: default, name: chats, channels: [web_chat], first_response: 2m}
`

// tellStory has a customer come by four channels, and gives the conversation that it all is.
func tellStory(t *testing.T, s *skeintest.Site, srv *skeintest.Process) (*desk, *conversationv1.Conversation) {
	t.Helper()
	d := newDesk(s)
	var told []*eventv1.Position
	play := func(chapter, token string) (id string) {
		id, at := d.play(chapter, token)
		told = append(told, at...)
		return id
	}
	chat := play("1-chat.jsonl", "")
	if c := d.conversation(chat, told...); c.GetId() != chat || len(c.GetInteractions()) != 1 {
		t.Fatalf("the chat is %v", c)
	}
	srv.WaitFor("under a policy", func() bool { return kept(d.conversation(chat).GetInteractions()[0]) != nil })
	play("2-transfer.jsonl", "")
	play("3-identity.jsonl", "")
	srv.WaitFor("one customer of all that she is reached by", func() bool { return len(d.resolve("mei.lin@example.com").GetEndpoints()) == 5 })

	token := got(d, d.conversations.Token, &conversationv1.TokenRequest{ConversationId: chat}).GetToken()
	mail := play("4-mail.jsonl", token)
	call := play("5-call.jsonl", "")
	srv.WaitFor("joined by the token and the contact reason", func() bool { return len(d.conversation(chat).GetInteractions()) == 3 })
	if id := d.conversation(mail).GetId(); id != chat {
		t.Errorf("the mail is in conversation %s, not %s", id, chat)
	}

	whatsApp := play("6-whatsapp.jsonl", "")
	if c := d.conversation(whatsApp, told...); len(c.GetInteractions()) != 1 || c.GetId() != whatsApp {
		t.Errorf("nobody has joined it yet: %v", c)
	}
	linked := got(d, d.conversations.Link, &conversationv1.LinkRequest{
		Members: []string{whatsApp, call}, RequestId: "one matter", Reason: "it is about the same kettle", Actor: agent("carla"),
	})
	if c := linked.GetConversation(); c.GetId() != chat || c.GetStatus() != conversationv1.WorkStatus_WORK_STATUS_RESOLVED {
		t.Errorf("linked, it is %v", c)
	}
	play("7-reopened.jsonl", "")
	if c := d.conversation(chat, told...); c.GetStatus() != conversationv1.WorkStatus_WORK_STATUS_OPEN || c.GetInteractions()[3].GetReopened() != 1 {
		t.Errorf("she wrote again, and it is %v", c)
	}
	play("8-resolved.jsonl", "")
	whole := d.conversation(chat, told...)
	return d, whole
}

func agent(id string) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: id}
}

// kept is the target that was kept or missed last: one that a policy set before the bot handed over is cancelled, if it came that early.
func kept(i *conversationv1.Interaction) *conversationv1.Sla {
	for _, sla := range slices.Backward(i.GetSlas()) {
		if sla.GetState() == conversationv1.SlaState_SLA_STATE_HIT || sla.GetState() == conversationv1.SlaState_SLA_STATE_MISSED {
			return sla
		}
	}
	return nil
}

// transcript writes what the API tells in words. Ids differ from site to site, and are written as names in the order in which they come.
type transcript struct {
	strings.Builder
	names map[string]string
}

func (w *transcript) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// sorted writes what stands in the order of ids.
func (w *transcript) sorted(lines []string) {
	slices.Sort(lines)
	w.line("%s", strings.Join(lines, "\n"))
}

// name is that of an id.
func (w *transcript) name(kind, id string) string {
	if id == "" {
		return "-"
	}
	if w.names[id] == "" {
		n := 1
		for _, name := range w.names {
			if strings.HasPrefix(name, kind+" ") {
				n++
			}
		}
		w.names[id] = fmt.Sprintf("%s %d", kind, n)
	}
	return w.names[id]
}

func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Format("01-02 15:04:05")
}

func span(d *durationpb.Duration) string {
	if d == nil {
		return "-"
	}
	return d.AsDuration().String()
}

// word is the name of an enum's value.
func word(value fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(value.String(), prefix+"_"))
}

func (w *transcript) conversation(c *conversationv1.Conversation) {
	for _, i := range c.GetInteractions() {
		w.name("interaction", i.GetId())
		w.names[i.GetThreadId()] = "thread of " + w.names[i.GetId()]
	}
	channels := make([]string, 0, len(c.GetChannels()))
	for _, ch := range c.GetChannels() {
		channels = append(channels, word(ch, "CHANNEL"))
	}
	w.line("conversation: %s, %s, about %q, by %s", w.name("interaction", c.GetId()), word(c.GetStatus(), "WORK_STATUS"), c.GetSubject(), strings.Join(channels, ", "))
	w.line("  from %s to %s", moment(c.GetStartedAt()), moment(c.GetLastActivityAt()))
	for _, id := range c.GetCustomerIds() {
		w.line("  %s", w.name("customer", id))
	}
	var links []string
	for _, l := range c.GetLinks() {
		members := make([]string, 0, len(l.GetMembers()))
		for _, m := range l.GetMembers() {
			members = append(members, w.name("member", m))
		}
		slices.Sort(members)
		links = append(links, fmt.Sprintf("  link: %s: rule %q, reason %q, by %q", strings.Join(members, " and "), l.GetRule(), l.GetReason(), l.GetActor().GetId()))
	}
	w.sorted(links)
	for _, i := range c.GetInteractions() {
		w.interaction(i)
	}
}

func (w *transcript) interaction(i *conversationv1.Interaction) {
	w.line("\n%s: %s in %q, %s, %s, %s", w.name("interaction", i.GetId()), word(i.GetChannel(), "CHANNEL"), i.GetInbox(), word(i.GetDirection(), "DIRECTION"),
		word(i.GetState(), "INTERACTION_STATE"), word(i.GetStatus(), "WORK_STATUS"))
	w.line("  started %s, ended %s by %s, resolved %s %q by %q", moment(i.GetStartedAt()), moment(i.GetEndedAt()), word(i.GetEndReason(), "END_REASON"),
		moment(i.GetResolvedAt()), i.GetResolution(), i.GetResolvedBy().GetId())
	w.line("  reopened %d times, last %s, may be until %s", i.GetReopened(), moment(i.GetReopenedAt()), moment(i.GetReopenUntil()))
	w.line("  messages %d in, %d out; first response %s after %s; waiting since %s", i.GetMessagesIn(), i.GetMessagesOut(), moment(i.GetFirstResponseAt()),
		span(i.GetFirstResponseTime()), moment(i.GetWaitingSince()))
	w.line("  about %q, %v, disposition %q, complaint %t; agent %q, queue %q", i.GetSubject(), i.GetContactReason(), i.GetDisposition(), i.GetComplaint(),
		i.GetAgent(), i.GetQueue())
	if b := i.GetBot(); b != nil {
		w.line("  bot %s: from %s, handed off %s, ended %s, contained %t", b.GetBot(), moment(b.GetStartedAt()), moment(b.GetHandedOffAt()), moment(b.GetEndedAt()), b.GetContained())
	}
	for _, v := range i.GetVisits() {
		w.line("  visit %s: from %s to %s, %s by %q, target %s, skills %v", v.GetQueue(), moment(v.GetEnteredAt()), moment(v.GetLeftAt()), word(v.GetOutcome(), "QUEUE_OUTCOME"),
			v.GetAgent(), span(v.GetSlaTarget()), v.GetSkills())
	}
	for _, a := range i.GetAssignments() {
		w.line("  assignment %s: offered %s, accepted %s, connected %s, %d holds of %s, ended %s by %s, wrap-up %s to %s %q", a.GetAgent(), moment(a.GetOfferedAt()),
			moment(a.GetAcceptedAt()), moment(a.GetConnectedAt()), a.GetHolds(), span(a.GetHoldTime()), moment(a.GetEndedAt()), word(a.GetEndReason(), "END_REASON"),
			moment(a.GetWrapupStartedAt()), moment(a.GetWrapupEndedAt()), a.GetDisposition())
	}
	if sla := kept(i); sla != nil {
		w.line("  target of policy %s, %s: %s since %s, due %s, done %s, %s", i.GetPolicy(), word(sla.GetMetric(), "SLA_METRIC"), span(sla.GetTarget()), moment(sla.GetSince()), moment(sla.GetDueAt()),
			moment(sla.GetDoneAt()), word(sla.GetState(), "SLA_STATE"))
	}
	for _, p := range i.GetParticipants() {
		w.line("  participant %s %s %s %q", word(p.GetSide(), "SIDE"), word(p.GetRole(), "PARTY_ROLE"), word(p.GetKind(), "ENDPOINT_KIND"), p.GetActor().GetId())
	}
}

func (w *transcript) customer(c *customerv1.Customer) {
	w.line("\n%s", w.name("customer", c.GetId()))
	var endpoints []string
	for _, e := range c.GetEndpoints() {
		linked := "names it"
		if e.GetLinkedBy() != "" {
			linked = "linked"
		}
		endpoints = append(endpoints, fmt.Sprintf("  %s %s%s, %q, %s, seen %s to %s", word(e.GetKind(), "ENDPOINT_KIND"), strings.TrimPrefix(e.GetNamespace()+":", ":"), e.GetValue(), e.GetDisplayName(), linked,
			moment(e.GetFirstSeen()), moment(e.GetLastSeen())))
	}
	w.sorted(endpoints)
}

// said is what a message says.
func said(c *eventv1.Content) string {
	if m := c.GetMessageReceived(); m != nil {
		return m.GetText()
	}
	return c.GetMessageSent().GetText()
}

func (w *transcript) timeline(entries []*timelinev1.Entry) {
	for _, e := range entries {
		switch e.GetEvent().GetType() {
		case event.TypeInteractionPolicySet, event.TypeTimerFired: // how many there are depends on when the policies looked
			continue
		}
		w.line("%s %-15s %-24s %-8s %s", moment(e.GetEvent().GetOccurredAt()), word(e.GetEvent().GetChannel(), "CHANNEL"), e.GetEvent().GetType(),
			e.GetEvent().GetActor().GetId(), said(e.GetContent()))
	}
}

func TestACustomerComesByFourChannelsAboutOneMatter(t *testing.T) {
	s := newSite(t)
	srv := s.Up("-c", configured(t, storySettings))
	d, c := tellStory(t, s, srv)
	customer := d.resolve("+4930901820")
	if len(c.GetCustomerIds()) != 1 || c.GetCustomerIds()[0] != customer.GetId() || len(c.GetInteractions()) != 4 || len(c.GetChannels()) != 4 {
		t.Fatalf("it is not one conversation of one customer by four channels: %v", c)
	}
	oldest := timelinev1.Order_ORDER_OLDEST_FIRST
	w := &transcript{names: map[string]string{}}
	w.conversation(c)
	w.customer(customer)
	w.line("\nthe conversation's timeline")
	w.timeline(got(d, d.timeline.List, &timelinev1.ListRequest{ConversationId: c.GetId(), Order: oldest, PageSize: 1000}).GetEntries())
	w.line("\nthe customer's timeline, what she said")
	w.timeline(got(d, d.timeline.List, &timelinev1.ListRequest{CustomerId: customer.GetId(), Order: oldest, PageSize: 1000, Types: []string{"message.received"}}).GetEntries())

	golden := filepath.Join("testdata", "story", "transcript.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(w.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	reads := strings.Split(w.String(), "\n")
	for n, line := range strings.Split(string(want), "\n") {
		if n >= len(reads) || reads[n] != line {
			t.Fatalf("line %d should read\n%s\nin\n%s", n+1, line, w)
		}
	}
	quit(t, srv)
}

// chatIn publishes a customer's message that has just come in, and gives the id of the interaction.
func (d *desk) chatIn(thread, visitor string) (id string) {
	d.t.Helper()
	acks := d.publish(message(thread, "1", visitor))
	return d.conversation(acks[0].GetEventId(), acks[0].GetPosition()).GetId()
}

func message(thread, id, visitor string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND, Provider: "example", Inbox: "web",
		Thread: thread, NativeId: id, Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: id}}},
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: visitor},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
	}
}

// A conversation is worked on by commands, which answer with what it is by then, and a second time with what they have done.
func TestAgentsWorkOnAConversationByCommands(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	d := newDesk(s)
	id := d.chatIn("live", "v-live")
	command := func(request, by string) *conversationv1.Command {
		return &conversationv1.Command{ConversationId: id, RequestId: request, Actor: agent(by)}
	}
	var events []string
	var at []*eventv1.Position
	step := func(what string, holds func(*conversationv1.Interaction) bool, do func() *conversationv1.CommandResponse) {
		t.Helper()
		first := do()
		if i := first.GetConversation().GetInteractions()[0]; !holds(i) {
			t.Errorf("%s: it is %v", what, i)
		}
		if again := do(); !slices.Equal(again.GetEventIds(), first.GetEventIds()) || len(again.GetEventIds()) == 0 || !slices.Equal(offsets(again), offsets(first)) {
			t.Errorf("%s, asked again: %v at %v, not %v at %v", what, again.GetEventIds(), offsets(again), first.GetEventIds(), offsets(first))
		}
		events, at = append(events, first.GetEventIds()...), append(at, first.GetPositions()...)
	}
	is := func(status conversationv1.WorkStatus, agent string) func(*conversationv1.Interaction) bool {
		return func(i *conversationv1.Interaction) bool { return i.GetStatus() == status && i.GetAgent() == agent }
	}
	open, snoozed, resolved := conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_SNOOZED, conversationv1.WorkStatus_WORK_STATUS_RESOLVED
	step("assign", is(open, "ben"), func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Assign, &conversationv1.AssignRequest{Command: command("1", "lead"), Agent: "ben"})
	})
	step("transfer", func(i *conversationv1.Interaction) bool {
		return i.GetAgent() == "" && i.GetQueue() == "claims" && i.GetNotes() == 1 && i.GetAssignments()[0].GetEndedAt() != nil && i.GetVisits()[0].GetLeftAt() == nil
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Transfer, &conversationv1.TransferRequest{Command: command("2", "ben"), Queue: "claims", Note: "she has a photo"})
	})
	step("assign to another", func(i *conversationv1.Interaction) bool {
		return i.GetAgent() == "carla" && len(i.GetAssignments()) == 2
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Assign, &conversationv1.AssignRequest{Command: command("3", "carla"), Agent: "carla"})
	})
	step("note", func(i *conversationv1.Interaction) bool { return i.GetNotes() == 2 }, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Note, &conversationv1.NoteRequest{Command: command("4", "carla"), Text: "asked the warehouse"})
	})
	until := timestamppb.New(time.Now().Add(time.Hour))
	step("snooze", func(i *conversationv1.Interaction) bool {
		return is(snoozed, "carla")(i) && i.GetSnoozedUntil().AsTime().Equal(until.AsTime())
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.SetStatus, &conversationv1.SetStatusRequest{
			Command: command("5", "carla"), Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, SnoozedUntil: until,
		})
	})
	step("update", func(i *conversationv1.Interaction) bool {
		return slices.Equal(i.GetTags(), []string{"kettle"}) && i.GetPriority() == 2 && i.GetAttributes()["order"] == "20881"
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Update, &conversationv1.UpdateRequest{Command: command("6", "carla"), Update: &eventv1.AttributesUpdated{
			TagsAdded: []string{"kettle"}, Priority: 2, Attributes: map[string]string{"order": "20881"},
		}})
	})
	step("categorize", func(i *conversationv1.Interaction) bool {
		return slices.Equal(i.GetContactReason(), []string{"order", "damaged"}) && i.GetComplaint()
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Categorize, &conversationv1.CategorizeRequest{Command: command("7", "carla"), Category: &eventv1.InteractionCategorized{
			ContactReason: []string{"order", "damaged"}, Complaint: true,
		}})
	})
	step("resolve", func(i *conversationv1.Interaction) bool {
		return is(resolved, "")(i) && i.GetResolution() == "replaced" && i.GetResolvedBy().GetId() == "carla"
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Resolve, &conversationv1.ResolveRequest{Command: command("8", "carla"), Resolution: "replaced"})
	})
	step("reopen", func(i *conversationv1.Interaction) bool {
		return is(open, "")(i) && i.GetReopened() == 1 && i.GetResolvedAt() == nil
	}, func() *conversationv1.CommandResponse {
		return got(d, d.conversations.Reopen, &conversationv1.ReopenRequest{Command: command("9", "ben"), Reason: "the lid again"})
	})
	d.filed(id, at...)
	listed := map[string]int{}
	for _, e := range got(d, d.timeline.List, &timelinev1.ListRequest{ConversationId: id, PageSize: 1000}).GetEntries() {
		listed[e.GetEvent().GetId()]++
	}
	for _, e := range events {
		if listed[e] != 1 {
			t.Errorf("event %s stands %d times in the timeline", e, listed[e])
		}
	}
	quit(t, srv)
}

func offsets(r *conversationv1.CommandResponse) (all []int64) {
	for _, p := range r.GetPositions() {
		all = append(all, p.GetOffset())
	}
	return all
}
