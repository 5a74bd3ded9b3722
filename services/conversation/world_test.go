package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

const (
	tenant     = "acme"
	partitions = 3
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// zeros is randomness that gives every test the same keyring, so that ids are the same at every run.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// world is a log, a store that is folded from it, and a server over both.
type world struct {
	t             rapid.TB
	keyring       *event.Keyring
	log           *memlog.Log
	store         kv.Store
	intake        *intake.Intake
	interactions  *conversation.Interactions
	conversations *conversation.Conversations
	tokens        *continuation.Tokens
	server        *conversation.Server
	progress      [2]*projection.Progress
	managers      []*projection.Manager

	mu    sync.Mutex
	clock time.Time
}

// now is a clock that goes on by a second whenever it is read.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(time.Second)
	return w.clock
}

func newWorld(t rapid.TB, store kv.Store) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}).Open(), store: store, clock: epoch.Add(24 * time.Hour)}
	w.progress = [2]*projection.Progress{{}, {}}
	var err error
	if w.keyring, err = event.NewKeyring(zeros{}); err != nil {
		t.Fatal(err)
	}
	compiler, err := event.NewCompiler(w.keyring)
	if err != nil {
		t.Fatal(err)
	}
	if w.tokens, err = continuation.New(w.keyring); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{event.TopicInteractions, event.TopicLinks, event.TopicDead} {
		if err := w.log.EnsureTopics(context.Background(), eventlog.Topic{Name: topic, Partitions: partitions}); err != nil {
			t.Fatal(err)
		}
	}
	w.intake = intake.New(intake.Config{Compiler: compiler, Keyring: w.keyring, Log: w.log, Now: w.now})
	w.serve()
	return w
}

// serve puts a new server over the store.
func (w *world) serve() {
	w.interactions = conversation.NewInteractions(w.store, partitions, w.progress[0])
	w.conversations = conversation.NewConversations(conversation.Config{
		Store: w.store, Partitions: partitions, Progress: w.progress[1], Interactions: w.interactions,
	})
	w.server = conversation.NewServer(conversation.ServerConfig{
		Conversations: w.conversations, Submitter: w.intake, Keyring: w.keyring, Tokens: w.tokens, Now: w.now,
	})
}

func (w *world) configs() []projection.Config {
	return []projection.Config{
		{
			Log: w.log, Store: w.store, Namespace: kv.Namespace{Slice: conversation.Slice, Generation: 1}, Topic: event.TopicInteractions,
			Fold: conversation.NewFold(partitions, w.keyring), Progress: w.progress[0],
		},
		{
			Log: w.log, Store: w.store, Namespace: kv.Namespace{Slice: conversation.LinksSlice, Generation: 1}, Topic: event.TopicLinks,
			Fold: conversation.NewLinksFold(partitions, w.keyring), Progress: w.progress[1],
		},
	}
}

// fold applies everything that there is.
func (w *world) fold(maxBatch int) {
	w.t.Helper()
	for _, cfg := range w.configs() {
		cfg.MaxBatch = maxBatch
		r, err := projection.NewRunner(context.Background(), cfg)
		if err != nil {
			w.t.Fatal(err)
		}
		err = r.RunToEnd(context.Background())
		r.Close()
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// live folds and follows until the test ends.
func (w *world) live(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	run := func(name string, f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for _, cfg := range w.configs() {
		cfg.Namespace.Generation, cfg.Logger = 0, slog.New(slog.DiscardHandler)
		m, err := projection.NewManager(ctx, cfg, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.managers = append(w.managers, m)
		run(cfg.Namespace.Slice, m.Run)
	}
	run("conversations", w.conversations.Run)
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func (w *world) publish(submissions ...*eventv1.Submission) []channel.Acknowledgement {
	w.t.Helper()
	acks, err := w.intake.Submit(context.Background(), tenant, submissions...)
	if err != nil {
		w.t.Fatal(err)
	}
	return acks
}

// publishAll publishes and returns where it stands, for reads that wait for it.
func (w *world) publishAll(submissions ...*eventv1.Submission) (positions []*eventv1.Position) {
	w.t.Helper()
	for _, ack := range w.publish(submissions...) {
		positions = append(positions, &eventv1.Position{Topic: ack.Position.Topic, Partition: ack.Position.Partition, Offset: ack.Position.Offset})
	}
	return positions
}

func (w *world) thread(native string) event.ID {
	return w.keyring.Tenant(tenant).Thread("chat", native)
}

// messageID is the id of a message of a thread.
func (w *world) messageID(native, id string) event.ID {
	return w.keyring.Tenant(tenant).Event(w.thread(native), id, event.TypeMessageReceived, 0, nil)
}

func at(minute int) *timestamppb.Timestamp {
	return timestamppb.New(epoch.Add(time.Duration(minute) * time.Minute))
}

func submission(thread, id, typ string, minute int) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, OccurredAt: at(minute), Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Provider: "test", Inbox: "chat",
		Thread: thread, NativeId: id,
	}
}

// message is what a customer wrote in a thread at a minute; the first one begins an interaction.
func message(thread, id string, minute int, customer string) *eventv1.Submission {
	s := submission(thread, id, event.TypeMessageReceived, minute)
	s.Direction = eventv1.Direction_DIRECTION_INBOUND
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: id}}}
	if customer != "" {
		s.Parties = []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: customer}, Side: eventv1.Side_SIDE_CUSTOMER,
		}}
	}
	return s
}

// resolved ends an interaction, so that the next message begins another one.
func resolved(thread, id string, minute int) *eventv1.Submission {
	s := submission(thread, id, event.TypeInteractionResolved, minute)
	s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{}}}
	return s
}

func linked(id string, members ...string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeConversationLinked, Provider: "skein", Inbox: "skein", Thread: "links", NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_ConversationLinked{ConversationLinked: &eventv1.ConversationLinked{Members: members, Reason: id}}},
	}
}

func undone(id, target string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeLinkUndone, Provider: "skein", Inbox: "skein", Thread: "links", NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: target}}},
	}
}

func joined(id, child, parent string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeThreadJoined, Provider: "test", Inbox: "chat", Thread: child, NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}},
	}
}

func caller() context.Context {
	return auth.With(context.Background(), auth.Identity{Tenant: tenant})
}

func (w *world) get(id string, positions ...*eventv1.Position) *conversationv1.Conversation {
	w.t.Helper()
	resp, err := w.server.Get(caller(), &conversationv1.GetRequest{ConversationId: id, MinPositions: positions})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.GetConversation()
}

func idsOf(c *conversationv1.Conversation) (ids []string) {
	for _, i := range c.GetInteractions() {
		ids = append(ids, i.GetId())
	}
	return ids
}

func expect[T any](t rapid.TB, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s; want %s", what, g, w)
	}
}

func memory() kv.Store { return memkv.New() }

func (w *world) append(e *eventv1.Event) *eventv1.Position {
	w.t.Helper()
	value, err := event.Encode(e)
	if err != nil {
		w.t.Fatal(err)
	}
	at, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{
		{Topic: event.TopicInteractions, Key: []byte(e.GetThreadId()), Value: value},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &eventv1.Position{Topic: at[0].Topic, Partition: at[0].Partition, Offset: at[0].Offset}
}
