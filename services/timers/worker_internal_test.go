package timers

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// shelf is a read model of one interaction, in which nothing is folded unless the test does it.
type shelf struct {
	it      *conversationv1.Interaction
	named   map[event.ID]*conversationv1.Interaction
	awaited []int64
}

func (s *shelf) Await(_ context.Context, at eventlog.Position) error {
	s.awaited = append(s.awaited, at.Offset)
	return nil
}

func (s *shelf) Find(_ context.Context, _ string, id event.ID) (*conversationv1.Interaction, error) {
	return s.named[id], nil
}

func (s *shelf) At(context.Context, string, event.ID, time.Time) (*conversationv1.Interaction, error) {
	return s.it, nil
}

type workbench struct {
	*Worker
	*shelf
	t      *testing.T
	host   *channeltest.Host
	logged *strings.Builder
}

func newWorkbench(t *testing.T) *workbench {
	t.Helper()
	w := &workbench{t: t, shelf: &shelf{named: map[event.ID]*conversationv1.Interaction{}}, host: channeltest.NewHost(), logged: &strings.Builder{}}
	log := memlog.New(memlog.Config{}).Open()
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: 1}))
	var err error
	w.Worker, err = NewWorker(t.Context(), WorkerConfig{
		Log: log, Store: memkv.New(), Interactions: w.shelf, Host: w.host, Logger: slog.New(slog.NewTextHandler(w.logged, nil)),
		Policies: policiesOf(t, Policy{Name: "chat", FirstResponse: time.Minute}),
	})
	must(t, err)
	w.it = &conversationv1.Interaction{
		Id: "i", Inbox: "web", NativeThread: "t", Channel: eventv1.Channel_CHANNEL_WEB_CHAT, StartedAt: timestamppb.New(ago(time.Hour)),
	}
	return w
}

// message is a record of a customer's message, and its event's id.
func (w *workbench) message(offset int64, change func(*eventv1.Submission)) (eventlog.Record, string) {
	w.t.Helper()
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Provider: "webchat", Inbox: "web", Thread: "t", NativeId: "m", Channel: eventv1.Channel_CHANNEL_WEB_CHAT, OccurredAt: timestamppb.New(ago(time.Hour)),
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello?"}}},
	}
	if change != nil {
		change(s)
	}
	scratch := channeltest.NewHost()
	_, err := scratch.Submit(w.t.Context(), "acme", s)
	must(w.t, err)
	e := scratch.Events()[0].Event
	value, err := event.AppendEncoded(nil, e)
	must(w.t, err)
	r := eventlog.Record{Position: eventlog.Position{Topic: event.TopicInteractions, Offset: offset}}
	r.Value = value
	return r, e.GetId()
}

func TestAPolicyIsSetInTheThreadOfItsInteraction(t *testing.T) {
	w := newWorkbench(t)
	r, cause := w.message(0, nil)
	for range 2 { // as after a crash
		must(t, w.take(t.Context(), r))
	}
	events := w.host.Events()
	if len(events) != 1 || len(w.host.Conflicts()) != 0 {
		t.Fatalf("%d events, %d conflicts", len(events), len(w.host.Conflicts()))
	}
	e, set := events[0].Event, events[0].Content.GetInteractionPolicySet()
	if e.GetType() != event.TypeInteractionPolicySet || e.GetCausationId() != cause || e.GetProvider() != "skein" || e.GetInbox() != "web" ||
		events[0].Content.GetNativeThread() != "t" || !e.GetOccurredAt().AsTime().Equal(ago(time.Hour)) || e.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM {
		t.Errorf("set by %v", e)
	}
	if set.GetPolicy() != "chat" || set.GetIdleTimeout().AsDuration() != 30*time.Minute || set.GetReopenWindow().AsDuration() != 24*time.Hour || len(set.GetClocks()) != 1 || set.GetInteractionId() != "i" {
		t.Errorf("set: %v", set)
	}
	if own, err := event.AppendEncoded(nil, e); err != nil || wanted(eventlog.Record{Value: own}) {
		t.Errorf("it reacts to its own events: %v", err)
	}
}

func TestAnEventIsLookedAtWhenThePolicyBeforeItIsInTheReadModel(t *testing.T) {
	w := newWorkbench(t)
	r, _ := w.message(0, nil)
	must(t, w.take(t.Context(), r))
	w.tell(threadKey{"acme", w.host.Events()[0].Event.GetThreadId()}, eventlog.Position{Topic: event.TopicInteractions, Offset: 7})
	r, _ = w.message(1, func(s *eventv1.Submission) { s.NativeId = "n" })
	must(t, w.take(t.Context(), r))
	r, _ = w.message(8, func(s *eventv1.Submission) { s.NativeId = "o" })
	must(t, w.take(t.Context(), r))
	if len(w.awaited) != 3 || w.awaited[0] != 0 || w.awaited[1] != 7 || w.awaited[2] != 8 {
		t.Errorf("waited for %v", w.awaited)
	}
}

func TestNothingIsSetForWhatIsSettledOrHistory(t *testing.T) {
	w := newWorkbench(t)
	r, _ := w.message(0, nil)
	for _, status := range []conversationv1.WorkStatus{conversationv1.WorkStatus_WORK_STATUS_RESOLVED, conversationv1.WorkStatus_WORK_STATUS_CLOSED} {
		w.it.Status = status
		must(t, w.take(t.Context(), r))
	}
	w.it.Status, w.it.Backfill = conversationv1.WorkStatus_WORK_STATUS_OPEN, true
	must(t, w.take(t.Context(), r))
	w.it.Backfill = false
	history, _ := w.message(0, func(s *eventv1.Submission) { s.Backfill = true })
	must(t, w.take(t.Context(), history))
	w.it = nil
	must(t, w.take(t.Context(), r))
	if events := w.host.Events(); len(events) != 0 {
		t.Errorf("%v", events)
	}
}

func TestTheProvidersWordForAnInteractionCounts(t *testing.T) {
	w := newWorkbench(t)
	r, _ := w.message(0, func(s *eventv1.Submission) { s.Interaction = "other" })
	e, err := event.Decode(r.Value)
	must(t, err)
	id, err := event.ParseID(e.GetInteractionId())
	must(t, err)
	w.named[id] = &conversationv1.Interaction{Id: "other", Inbox: "web", NativeThread: "t", Channel: eventv1.Channel_CHANNEL_VOICE, StartedAt: timestamppb.New(ago(time.Minute))}
	must(t, w.take(t.Context(), r))
	if events := w.host.Events(); len(events) != 1 || events[0].Event.GetChannel() != eventv1.Channel_CHANNEL_VOICE ||
		events[0].Content.GetInteractionPolicySet().GetInteractionId() != "other" {
		t.Errorf("%v", events)
	}
}

func TestWhereNothingCanBePublishedItIsToldOnce(t *testing.T) {
	w := newWorkbench(t)
	w.it.NativeThread = ""
	r, _ := w.message(0, nil)
	for range 2 {
		must(t, w.take(t.Context(), r))
	}
	if n := strings.Count(w.logged.String(), "no policy can be set"); n != 1 {
		t.Errorf("told %d times", n)
	}
	w.it.NativeThread = "t"
	w.host.Fail(channel.ErrRetry)
	if err := w.take(t.Context(), r); !errors.Is(err, channel.ErrRetry) {
		t.Errorf("got %v", err)
	}
}
