package conversation_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

func command(id, request string) *conversationv1.Command {
	return &conversationv1.Command{ConversationId: id, RequestId: request}
}

// begun is a chat that a customer has begun.
func begun(t *testing.T, w *world, thread string) string {
	t.Helper()
	positions := w.publishAll(message(thread, "hello", 1, thread+"@x.org"))
	id := w.messageID(thread, "hello").String()
	w.get(id, positions...)
	return id
}

// answered checks a command's answer, and gives the interaction of the conversation that was active last.
func answered(t *testing.T, resp *conversationv1.CommandResponse, err error) *conversationv1.Interaction {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.GetEventIds()) == 0 || len(resp.GetEventIds()) != len(resp.GetPositions()) {
		t.Fatalf("%d events stand at %d positions", len(resp.GetEventIds()), len(resp.GetPositions()))
	}
	all := resp.GetConversation().GetInteractions()
	return all[len(all)-1]
}

func TestAResolutionCanBeTakenBackForAsLongAsThePolicySays(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	id := begun(t, w, "a")
	policy := submission("a", "policy", event.TypeInteractionPolicySet, 2)
	policy.Content = &eventv1.Content{Body: &eventv1.Content_InteractionPolicySet{
		InteractionPolicySet: &eventv1.InteractionPolicySet{Policy: "chat", ReopenWindow: durationpb.New(time.Hour)},
	}}
	positions := w.publishAll(policy)
	w.get(id, positions...)
	resp, err := w.server.Resolve(caller(), &conversationv1.ResolveRequest{Command: command(id, "1")})
	i := answered(t, resp, err)
	expect(t, "window", i.GetReopenUntil().AsTime().Sub(i.GetResolvedAt().AsTime()), time.Hour)
}

func TestCommandsDoWhatTheySay(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) kv.Store{
		"memory": func(*testing.T) kv.Store { return memory() },
		"pebble": func(t *testing.T) kv.Store {
			t.Helper()
			store, err := pebblekv.Open(t.TempDir(), pebblekv.Options{NoSync: true, CacheBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
			return store
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, open(t))
			w.live(t)
			id, s, ctx := begun(t, w, "a"), w.server, caller()

			resp, err := s.Transfer(ctx, &conversationv1.TransferRequest{Command: command(id, "1"), Queue: "billing", Note: "about the bill"})
			i := answered(t, resp, err)
			expect(t, "queue, notes", fmt.Sprint(i.GetQueue(), i.GetNotes(), i.GetVisits()[0].GetLeftAt()), "billing1 <nil>")

			resp, err = s.Assign(ctx, &conversationv1.AssignRequest{Command: command(id, "2"), Agent: "ann"})
			i = answered(t, resp, err)
			expect(t, "agent", i.GetAgent(), "ann")
			expect(t, "the wait", i.GetVisits()[0].GetOutcome(), eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED)

			resp, err = s.Assign(ctx, &conversationv1.AssignRequest{Command: command(id, "3"), Agent: "bob"})
			i = answered(t, resp, err)
			expect(t, "agent", i.GetAgent(), "bob")
			expect(t, "ann's share", i.GetAssignments()[0].GetEndReason(), eventv1.EndReason_END_REASON_TRANSFER)

			resp, err = s.Transfer(ctx, &conversationv1.TransferRequest{Command: command(id, "4"), Agent: "cem"})
			i = answered(t, resp, err)
			expect(t, "agent", i.GetAgent(), "")
			expect(t, "offered to", i.GetAssignments()[2].GetAgent(), "cem")
			if i.GetAssignments()[2].GetOfferedAt() == nil || i.GetAssignments()[1].GetEndedAt() == nil {
				t.Errorf("not handed over: %v", i.GetAssignments())
			}

			until := timestamppb.New(w.now().Add(time.Hour))
			resp, err = s.SetStatus(ctx, &conversationv1.SetStatusRequest{
				Command: command(id, "5"), Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, SnoozedUntil: until,
			})
			i = answered(t, resp, err)
			expect(t, "status", i.GetStatus(), conversationv1.WorkStatus_WORK_STATUS_SNOOZED)
			expect(t, "until", i.GetSnoozedUntil(), until)

			resp, err = s.Categorize(ctx, &conversationv1.CategorizeRequest{
				Command: command(id, "6"), Category: &eventv1.InteractionCategorized{ContactReason: []string{"bill", "wrong"}, Disposition: "refund"},
			})
			i = answered(t, resp, err)
			expect(t, "category", fmt.Sprint(i.GetContactReason(), i.GetDisposition()), "[bill wrong]refund")

			resp, err = s.Update(ctx, &conversationv1.UpdateRequest{
				Command: command(id, "7"), Update: &eventv1.AttributesUpdated{TagsAdded: []string{"vip"}, Priority: 2},
			})
			i = answered(t, resp, err)
			expect(t, "tags, priority", fmt.Sprint(i.GetTags(), resp.GetConversation().GetPriority()), "[vip] 2")

			resp, err = s.Resolve(ctx, &conversationv1.ResolveRequest{Command: command(id, "8"), Resolution: "paid back"})
			i = answered(t, resp, err)
			expect(t, "status", resp.GetConversation().GetStatus(), conversationv1.WorkStatus_WORK_STATUS_RESOLVED)
			expect(t, "window", i.GetReopenUntil().AsTime().Sub(i.GetResolvedAt().AsTime()), conversation.DefaultReopenWindow)

			resp, err = s.Note(ctx, &conversationv1.NoteRequest{
				Command: &conversationv1.Command{
					ConversationId: id, RequestId: "9", Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "dee"},
				}, Text: "called back",
			})
			expect(t, "notes", answered(t, resp, err).GetNotes(), 2)

			resp, err = s.Reopen(ctx, &conversationv1.ReopenRequest{Command: command(id, "10"), Reason: "not paid"})
			i = answered(t, resp, err)
			expect(t, "status, reopened", fmt.Sprint(i.GetStatus(), i.GetReopened()), "WORK_STATUS_OPEN 1")
			expect(t, "one interaction", len(resp.GetConversation().GetInteractions()), 1)
		})
	}
}

func TestACommandThatIsGivenAgainHasDoneTheSame(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	id, s, ctx := begun(t, w, "a"), w.server, caller()
	other := begun(t, w, "b")
	if _, err := s.Link(ctx, &conversationv1.LinkRequest{Members: []string{id, other}, RequestId: "link"}); err != nil {
		t.Fatal(err)
	}
	commands := []func() (*conversationv1.CommandResponse, error){
		func() (*conversationv1.CommandResponse, error) {
			return s.Assign(ctx, &conversationv1.AssignRequest{Command: command(id, "1"), Agent: "ann"})
		},
		func() (*conversationv1.CommandResponse, error) {
			return s.Transfer(ctx, &conversationv1.TransferRequest{Command: command(id, "2"), Agent: "bob", Note: "yours"})
		},
		func() (*conversationv1.CommandResponse, error) {
			return s.Assign(ctx, &conversationv1.AssignRequest{Command: command(id, "3"), Agent: "bob"})
		},
		func() (*conversationv1.CommandResponse, error) {
			return s.Transfer(ctx, &conversationv1.TransferRequest{Command: command(id, "4"), Queue: "q"})
		},
		func() (*conversationv1.CommandResponse, error) {
			return s.SetStatus(ctx, &conversationv1.SetStatusRequest{
				Command: command(id, "5"), Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED,
				SnoozedUntil: timestamppb.New(epoch.Add(24*time.Hour + 10*time.Minute)),
			})
		},
		func() (*conversationv1.CommandResponse, error) {
			return s.Resolve(ctx, &conversationv1.ResolveRequest{Command: command(id, "6")})
		},
		func() (*conversationv1.CommandResponse, error) { // now that one is settled: about the one that was active last
			return s.Note(ctx, &conversationv1.NoteRequest{Command: command(id, "7"), Text: "done"})
		},
		func() (*conversationv1.CommandResponse, error) {
			return s.Reopen(ctx, &conversationv1.ReopenRequest{Command: command(id, "8")})
		},
	}
	var first []*conversationv1.CommandResponse
	for n, do := range commands {
		resp, err := do()
		if err != nil {
			t.Fatalf("command %d: %v", n, err)
		}
		first = append(first, resp)
		for m, again := range commands[:n+1] {
			got, err := again()
			if err != nil {
				t.Fatalf("command %d after %d: %v", m, n, err)
			}
			expect(t, fmt.Sprintf("events of command %d after %d", m, n), got.GetEventIds(), first[m].GetEventIds())
			expect(t, fmt.Sprintf("positions of command %d after %d", m, n), got.GetPositions(), first[m].GetPositions())
			if !proto.Equal(got.GetConversation(), resp.GetConversation()) {
				t.Errorf("command %d given again after %d changed the conversation", m, n)
			}
		}
	}
}

// flaky is a log that loses the end of a submission now and then.
type flaky struct {
	conversation.Submitter
	keep int
}

var errLost = fmt.Errorf("lost on the way: %w", channel.ErrRetry)

func (f *flaky) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if f.keep < 0 || f.keep >= len(submissions) {
		return f.Submitter.Submit(ctx, tenant, submissions...)
	}
	if f.keep > 0 {
		if _, err := f.Submitter.Submit(ctx, tenant, submissions[:f.keep]...); err != nil {
			return nil, err
		}
	}
	return nil, errLost
}

func TestACommandThatWasCutOffIsCompletedWhenItIsGivenAgain(t *testing.T) {
	for keep := range 5 {
		w := newWorld(t, memory())
		lossy := &flaky{w.intake, -1}
		w.server = conversation.NewServer(conversation.ServerConfig{
			Conversations: w.conversations, Submitter: lossy, Keyring: w.keyring, Tokens: w.tokens, Now: w.now,
		})
		w.live(t)
		id, ctx := begun(t, w, "a"), caller()
		if _, err := w.server.Assign(ctx, &conversationv1.AssignRequest{Command: command(id, "1"), Agent: "ann"}); err != nil {
			t.Fatal(err)
		}
		assign := &conversationv1.AssignRequest{Command: command(id, "2"), Agent: "bob"}
		transfer := &conversationv1.TransferRequest{Command: command(id, "3"), Queue: "q", Note: "n"}
		lossy.keep = keep
		if _, err := w.server.Assign(ctx, assign); err != nil && !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		lossy.keep = -1
		resp, err := w.server.Assign(ctx, assign)
		i := answered(t, resp, err)
		expect(t, "agent", i.GetAgent(), "bob")
		if i.GetAssignments()[0].GetEndedAt() == nil || i.GetAssignments()[1].GetConnectedAt() == nil {
			t.Errorf("%d kept: %v", keep, i.GetAssignments())
		}
		lossy.keep = keep
		if _, err := w.server.Transfer(ctx, transfer); err != nil && !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		lossy.keep = -1
		resp, err = w.server.Transfer(ctx, transfer)
		i = answered(t, resp, err)
		expect(t, fmt.Sprint(keep, " kept: agent, queue, notes, waits"), fmt.Sprint(i.GetAgent(), i.GetQueue(), i.GetNotes(), len(i.GetVisits())), "q1 1")
	}
}

func TestOfSeveralWhoAssignAtOnceOneHasIt(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	id, ctx := begun(t, w, "a"), caller()
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			_, err := w.server.Assign(ctx, &conversationv1.AssignRequest{Command: command(id, fmt.Sprint(n)), Agent: fmt.Sprint("agent", n)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	i := w.get(id).GetInteractions()[0]
	var open []string
	for _, a := range i.GetAssignments() {
		if a.GetEndedAt() == nil {
			open = append(open, a.GetAgent())
		}
	}
	expect(t, "who have it", open, []string{i.GetAgent()})
	expect(t, "assignments", len(i.GetAssignments()), 8)
}

func TestWhatCannotBeDoneIsRefused(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	s, ctx := w.server, caller()
	open, done := begun(t, w, "open"), begun(t, w, "done")
	if _, err := s.Assign(ctx, &conversationv1.AssignRequest{Command: command(open, "1"), Agent: "ann"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve(ctx, &conversationv1.ResolveRequest{Command: command(done, "1")}); err != nil {
		t.Fatal(err)
	}
	// A thread with two interactions, and one of which nothing can be read.
	w.publish(resolved("old", "1", 1))
	positions := w.publishAll(message("old", "2", 2, ""), resolved("old", "3", 3), message("old", "4", 5, ""))
	old := w.messageID("old", "2").String()
	w.get(old, positions...)
	link, err := s.Link(ctx, &conversationv1.LinkRequest{Members: []string{open, done}, RequestId: "link"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Unlink(ctx, &conversationv1.UnlinkRequest{EventId: link.GetEventId(), RequestId: "unlink"}); err != nil {
		t.Fatal(err)
	}
	past := timestamppb.New(epoch)
	unknown := hashed("nobody").String()
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"resolve what is resolved": {func() error {
			_, err := s.Resolve(ctx, &conversationv1.ResolveRequest{Command: command(done, "2")})
			return err
		}, "it is resolved already"},
		"assign what is resolved": {func() error {
			_, err := s.Assign(ctx, &conversationv1.AssignRequest{Command: command(done, "2"), Agent: "ann"})
			return err
		}, "it is resolved already"},
		"put off what is resolved": {func() error {
			_, err := s.SetStatus(ctx, &conversationv1.SetStatusRequest{Command: command(done, "2"), Status: eventv1.InteractionStatus_INTERACTION_STATUS_PENDING})
			return err
		}, "it is resolved already"},
		"reopen what is open": {func() error {
			_, err := s.Reopen(ctx, &conversationv1.ReopenRequest{Command: command(open, "2")})
			return err
		}, "neither resolved nor closed"},
		"assign to who has it": {func() error {
			_, err := s.Assign(ctx, &conversationv1.AssignRequest{Command: command(open, "2"), Agent: "ann"})
			return err
		}, "has it already"},
		"transfer to who has it": {func() error {
			_, err := s.Transfer(ctx, &conversationv1.TransferRequest{Command: command(open, "2"), Agent: "ann"})
			return err
		}, "has it already"},
		"an agent of no name": {func() error {
			_, err := s.Assign(ctx, &conversationv1.AssignRequest{Command: command(open, "2"), Agent: "Ann Lee"})
			return err
		}, "must be letters, digits"},
		"an actor of no name": {func() error {
			c := command(open, "2")
			c.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "Ann Lee"}
			_, err := s.Note(ctx, &conversationv1.NoteRequest{Command: c, Text: "x"})
			return err
		}, "actor.id must be letters"},
		"snooze into the past": {func() error {
			_, err := s.SetStatus(ctx, &conversationv1.SetStatusRequest{
				Command: command(open, "2"), Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, SnoozedUntil: past,
			})
			return err
		}, "must be in the future"},
		"snooze for ever": {func() error {
			_, err := s.SetStatus(ctx, &conversationv1.SetStatusRequest{
				Command: command(open, "2"), Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED,
			})
			return err
		}, "must be in the future"},
		"a note on a former interaction": {func() error {
			c := command(old, "2")
			c.Exact = true
			_, err := s.Note(ctx, &conversationv1.NoteRequest{Command: c, Text: "x"})
			return err
		}, "a later interaction of its thread has begun"},
		"an unknown conversation": {func() error {
			_, err := s.Note(ctx, &conversationv1.NoteRequest{Command: command(unknown, "2"), Text: "x"})
			return err
		}, "no interaction of this id"},
		"no id": {func() error {
			_, err := s.Get(ctx, &conversationv1.GetRequest{ConversationId: "x"})
			return err
		}, "an id is a UUID"},
		"link what is unknown": {func() error {
			_, err := s.Link(ctx, &conversationv1.LinkRequest{Members: []string{open, unknown}, RequestId: "2"})
			return err
		}, "members[1]"},
		"undo twice": {func() error {
			_, err := s.Unlink(ctx, &conversationv1.UnlinkRequest{EventId: link.GetEventId(), RequestId: "2"})
			return err
		}, "undone already"},
		"undo what is no link": {func() error {
			_, err := s.Unlink(ctx, &conversationv1.UnlinkRequest{EventId: open, RequestId: "3"})
			return err
		}, "no link of this event"},
		"undo another link by the same request": {func() error {
			_, err := s.Unlink(ctx, &conversationv1.UnlinkRequest{EventId: open, RequestId: "unlink"})
			return err
		}, "used for another link"},
		"a token for the past": {func() error {
			_, err := s.Token(ctx, &conversationv1.TokenRequest{ConversationId: open, ValidUntil: past})
			return err
		}, "must be in the future"},
		"a token for a year": {func() error {
			_, err := s.Token(ctx, &conversationv1.TokenRequest{ConversationId: open, ValidUntil: timestamppb.New(epoch.AddDate(1, 0, 0))})
			return err
		}, "90 days"},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	if _, err := s.Unlink(ctx, &conversationv1.UnlinkRequest{EventId: link.GetEventId(), RequestId: "unlink"}); err != nil {
		t.Errorf("the same request again: %v", err)
	}
}

func TestWhatIsSealedTakesNoCommand(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	compiler, err := event.NewCompiler(w.keyring)
	if err != nil {
		t.Fatal(err)
	}
	c, err := compiler.Compile(tenant, message("a", "1", 1, ""), w.now())
	if err != nil {
		t.Fatal(err)
	}
	c.Event.Seal = "key"
	p := w.append(c.Event)
	id := c.Event.GetId()
	w.get(id, p)
	_, err = w.server.Note(caller(), &conversationv1.NoteRequest{Command: command(id, "1"), Text: "x"})
	if err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Error(err)
	}
}

func TestATokenNamesTheConversation(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	a, b := begun(t, w, "a"), begun(t, w, "b")
	resp, err := w.server.Link(caller(), &conversationv1.LinkRequest{Members: []string{b, a}, RequestId: "1", Reason: "same bill"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "reason", resp.GetConversation().GetLinks()[0].GetReason(), "same bill")
	again, err := w.server.Link(caller(), &conversationv1.LinkRequest{Members: []string{b, a}, RequestId: "1", Reason: "same bill"})
	if err != nil || !proto.Equal(again, resp) {
		t.Errorf("the same request again gives %v; want %v: %v", again, resp, err)
	}
	token, err := w.server.Token(caller(), &conversationv1.TokenRequest{ConversationId: b})
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.tokens.Read(tenant, token.GetToken(), w.now())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "conversation", id.String(), resp.GetConversation().GetId())
}

func TestAConversationShowsWhatItsInteractionsHaveInCommon(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	ctx := caller()
	positions := w.publishAll(message("a", "1", 1, "one@x.org"), message("b", "2", 2, "two@x.org"), message("b", "3", 3, "one@x.org"))
	a := w.messageID("a", "1").String()
	b := w.messageID("b", "2").String()
	w.get(a, positions...)
	resp, err := w.server.Link(ctx, &conversationv1.LinkRequest{Members: []string{a, w.thread("b").String()}, RequestId: "1"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "interactions", idsOf(resp.GetConversation()), []string{a, b})
	one, err := w.server.Update(ctx, &conversationv1.UpdateRequest{
		Command: command(a, "1"), Update: &eventv1.AttributesUpdated{TagsAdded: []string{"z", "m"}, Priority: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "priority", one.GetConversation().GetPriority(), 3)
	if _, err := w.server.Assign(ctx, &conversationv1.AssignRequest{Command: command(b, "2"), Agent: "ann"}); err != nil {
		t.Fatal(err)
	}
	two, err := w.server.Update(ctx, &conversationv1.UpdateRequest{
		Command: command(b, "3"), Update: &eventv1.AttributesUpdated{TagsAdded: []string{"m", "a"}, Priority: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := two.GetConversation()
	expect(t, "tags", c.GetTags(), []string{"a", "m", "z"})
	expect(t, "priority, agent", fmt.Sprint(c.GetPriority(), c.GetAgent()), "1ann")
	expect(t, "customers", len(c.GetCustomerIds()), 2)
	expect(t, "last activity", c.GetLastActivityAt(), c.GetInteractions()[1].GetLastActivityAt())
	done, err := w.server.Resolve(ctx, &conversationv1.ResolveRequest{Command: command(b, "4")})
	if err != nil {
		t.Fatal(err)
	}
	c = done.GetConversation()
	expect(t, "status, priority, agent", fmt.Sprint(c.GetStatus(), c.GetPriority(), c.GetAgent()), "WORK_STATUS_OPEN 3")
}

// work is a few interactions of all kinds.
func (w *world) work(t rapid.TB, n int) {
	t.Helper()
	for i := range n {
		thread := fmt.Sprint("t", i)
		w.publish(message(thread, "1", i%7, fmt.Sprint(i%3, "@x.org")))
		if i%4 == 0 {
			s := submission(thread, "2", event.TypeQueueEntered, i%7)
			s.Queue, s.Content = fmt.Sprint("q", i%8), &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}}
			w.publish(s)
		}
		if i%5 == 0 {
			s := submission(thread, "3", event.TypeAssignmentAccepted, i%7+1)
			s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("agent", i%2)}
			w.publish(s)
		}
		if i%6 == 0 {
			s := submission(thread, "4", event.TypeInteractionAttributesUpdated, i%7+1)
			s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionAttributesUpdated{
				InteractionAttributesUpdated: &eventv1.AttributesUpdated{Priority: int32(1 + i%3), TagsAdded: []string{fmt.Sprint("tag", i%2)}},
			}}
			w.publish(s)
		}
		if i%9 == 0 {
			w.publish(resolved(thread, "5", i%7+2))
		}
	}
}

func TestAListGivesEveryMatchOnceInOrder(t *testing.T) {
	w := newWorld(t, memory())
	w.work(t, 320) // more than are read together
	w.fold(1000)
	customer := event.CustomerOf(w.keyring.Tenant(tenant).Endpoint(event.Endpoint{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "1@x.org"})).String()
	settledToo := []conversationv1.WorkStatus{
		conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_RESOLVED,
	}
	all := w.listed(t, &conversationv1.ListRequest{Filter: &conversationv1.Filter{Statuses: settledToo}, PageSize: 500})
	expect(t, "all", len(all), 320)
	for name, c := range map[string]struct {
		filter *conversationv1.Filter
		fits   func(*conversationv1.Work) bool
	}{
		"none":     {nil, func(w *conversationv1.Work) bool { return w.GetInteraction().GetResolvedAt() == nil }},
		"settled":  {&conversationv1.Filter{Statuses: settledToo[1:]}, func(w *conversationv1.Work) bool { return w.GetInteraction().GetResolvedAt() != nil }},
		"queues":   {&conversationv1.Filter{Statuses: settledToo, Queues: []string{"q0", "q4", "q0"}}, func(w *conversationv1.Work) bool { return w.GetInteraction().GetQueue() != "" }},
		"no queue": {&conversationv1.Filter{Statuses: settledToo, Queues: []string{"q0", ""}}, func(w *conversationv1.Work) bool { return w.GetInteraction().GetQueue() != "q4" }},
		"agent":    {&conversationv1.Filter{Agents: []string{"agent1"}}, func(w *conversationv1.Work) bool { return w.GetInteraction().GetAgent() == "agent1" }},
		"unassigned": {&conversationv1.Filter{Statuses: settledToo, Unassigned: true}, func(w *conversationv1.Work) bool {
			return w.GetInteraction().GetAgent() == ""
		}},
		"tag": {&conversationv1.Filter{Statuses: settledToo, Tags: []string{"tag0", "x"}}, func(w *conversationv1.Work) bool {
			return slices.Contains(w.GetInteraction().GetTags(), "tag0")
		}},
		"inbox":    {&conversationv1.Filter{Inboxes: []string{"mail"}}, func(*conversationv1.Work) bool { return false }},
		"breached": {&conversationv1.Filter{Breached: true}, func(*conversationv1.Work) bool { return false }},
		"customer": {&conversationv1.Filter{Statuses: settledToo, CustomerId: customer}, func(w *conversationv1.Work) bool { return w.GetCustomerId() == customer }},
		"started": {&conversationv1.Filter{Statuses: settledToo, StartedBefore: at(3)}, func(w *conversationv1.Work) bool {
			return w.GetInteraction().GetStartedAt().AsTime().Before(at(3).AsTime())
		}},
	} {
		var want []string
		for _, one := range all {
			if c.fits(one) {
				want = append(want, one.GetInteraction().GetId())
			}
		}
		for order := range conversationv1.WorkOrder_name {
			got := w.listed(t, &conversationv1.ListRequest{Filter: c.filter, Order: conversationv1.WorkOrder(order), PageSize: 7})
			var ids []string
			for _, one := range got {
				ids = append(ids, one.GetInteraction().GetId())
			}
			slices.Sort(ids)
			slices.Sort(want)
			expect(t, name, ids, want)
			if !slices.IsSortedFunc(got, func(a, b *conversationv1.Work) int { return inOrder(a, b, conversationv1.WorkOrder(order)) }) {
				t.Errorf("%s is not in order %d", name, order)
			}
		}
	}
}

func inOrder(a, b *conversationv1.Work, order conversationv1.WorkOrder) int {
	x, y := a.GetInteraction(), b.GetInteraction()
	switch order {
	case conversationv1.WorkOrder_WORK_ORDER_OLDEST:
		return x.GetStartedAt().AsTime().Compare(y.GetStartedAt().AsTime())
	case conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY:
		return y.GetLastActivityAt().AsTime().Compare(x.GetLastActivityAt().AsTime())
	case conversationv1.WorkOrder_WORK_ORDER_WAITING:
		if x.GetWaitingSince() == nil || y.GetWaitingSince() == nil {
			return cmp.Compare(boolOf(x.GetWaitingSince() == nil), boolOf(y.GetWaitingSince() == nil))
		}
		return x.GetWaitingSince().AsTime().Compare(y.GetWaitingSince().AsTime())
	case conversationv1.WorkOrder_WORK_ORDER_UNSPECIFIED: // nothing is due here
		if x.GetPriority() == 0 || y.GetPriority() == 0 {
			return cmp.Compare(boolOf(x.GetPriority() == 0), boolOf(y.GetPriority() == 0))
		}
		return cmp.Compare(x.GetPriority(), y.GetPriority())
	case conversationv1.WorkOrder_WORK_ORDER_DUE:
	}
	return 0
}

func boolOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// listed reads all pages.
func (w *world) listed(t rapid.TB, req *conversationv1.ListRequest) (all []*conversationv1.Work) {
	t.Helper()
	req = proto.CloneOf(req)
	for {
		resp, err := w.server.List(caller(), req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, resp.GetWork()...)
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			return all
		}
	}
}

func TestAPageTokenIsOfOneListOnly(t *testing.T) {
	w := newWorld(t, memory())
	w.work(t, 10)
	w.fold(1000)
	resp, err := w.server.List(caller(), &conversationv1.ListRequest{PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*conversationv1.ListRequest{
		"another filter": {Filter: &conversationv1.Filter{Unassigned: true}, PageToken: resp.GetNextPageToken()},
		"another order":  {Order: conversationv1.WorkOrder_WORK_ORDER_OLDEST, PageToken: resp.GetNextPageToken()},
		"a cut one":      {PageToken: resp.GetNextPageToken()[1:]},
		"a cursor":       {PageToken: resp.GetWatchCursor()},
		"a word":         {PageToken: "next"},
		"no status":      {Filter: &conversationv1.Filter{Statuses: []conversationv1.WorkStatus{0}}},
	} {
		if _, err := w.server.List(caller(), req); err == nil || !strings.Contains(err.Error(), "token") && !strings.Contains(err.Error(), "stated") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAConversationThatIsTooLargeIsRefusedAndItsInteractionsAreListedAllTheSame(t *testing.T) {
	w := newWorld(t, memory())
	var all []*eventv1.Submission
	for n := range conversation.MaxInteractions {
		all = append(all, message("big", fmt.Sprint(n), n/20, ""), resolved("big", fmt.Sprint(n), n/20))
	}
	w.publish(all...)
	w.publish(message("small", "1", 1, ""))
	w.fold(5000)
	small := w.messageID("small", "1").String()
	_, err := w.server.Link(caller(), &conversationv1.LinkRequest{Members: []string{w.thread("big").String(), small}, RequestId: "1"})
	if !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("a link of too much: %v", err)
	}
	w.publish(linked("2", w.thread("big").String(), small)) // by others
	w.fold(5000)
	if _, err := w.server.Get(caller(), &conversationv1.GetRequest{ConversationId: small}); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("a conversation of too much: %v", err)
	}
	work := w.listed(t, &conversationv1.ListRequest{})
	expect(t, "work", len(work), 1)
	expect(t, "conversation", work[0].GetConversationId(), small)
}
