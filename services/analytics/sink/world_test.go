package sink_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/sink"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// world is a log, a store and a ClickHouse in memory.
type world struct {
	t     testing.TB
	log   *memlog.Log
	store kv.Store
	shelf *shelf
}

var topics = map[string]int{
	event.TopicInteractions: 3, event.TopicAgents: 2, event.TopicLinks: 1, event.TopicDirectory: 1, event.TopicAlerts: 1,
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), shelf: newShelf(t)}
	for topic, n := range topics {
		if err := w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: n}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// name makes the same UUID of the same word.
func name(word string) string {
	h := sha256.Sum256([]byte(word))
	return uuid.UUID(h[:16]).String()
}

// happened is an event of a thread.
func happened(thread, native, typ string, body func(*eventv1.Content)) *eventv1.Event {
	content := &eventv1.Content{NativeId: native, Parties: []*eventv1.PartyDetail{{Address: "+4930123456", DisplayName: "Ada"}}}
	if body != nil {
		body(content)
	}
	raw, err := proto.Marshal(content)
	if err != nil {
		panic(err)
	}
	return &eventv1.Event{
		Id: name(thread + "/" + native), Tenant: "acme", Type: typ, ThreadId: name(thread), OccurredAt: timestamppb.New(epoch),
		ReceivedAt: timestamppb.New(epoch.Add(time.Second)), Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Provider: "chat", Inbox: "site",
		Actor:   &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "ann"},
		Content: raw, Digest: []byte(native), SchemaVersion: 1,
	}
}

// publish appends an event to its topic.
func (w *world) publish(e *eventv1.Event) eventlog.Position {
	w.t.Helper()
	raw, err := event.Encode(e)
	if err != nil {
		w.t.Fatal(err)
	}
	topic, ok := event.TopicOf(e.GetType())
	if !ok {
		topic = event.TopicInteractions
	}
	key := e.GetTenant()
	switch topic {
	case event.TopicInteractions:
		key = e.GetThreadId()
	case event.TopicAgents:
		key = e.GetActor().GetId()
	}
	return w.append(topic, key, raw)
}

func (w *world) append(topic, key string, value []byte) eventlog.Position {
	w.t.Helper()
	at, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: topic, Key: []byte(key), Value: value}})
	if err != nil {
		w.t.Fatal(err)
	}
	return at[0]
}

func (w *world) config() sink.Config {
	return sink.Config{
		Log: w.log, Store: w.store, Warehouse: w.shelf, MaxRows: 7, MaxAge: 5 * time.Millisecond, LookEvery: 5 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
}

// start runs a sink; stop ends it and gives what Run returned.
func (w *world) start(cfg sink.Config) (s *sink.Sink, stop func() error) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	running := sink.New(cfg)
	done := make(chan error, 1)
	go func() { done <- running.Run(ctx) }()
	return running, func() error {
		cancel()
		return <-done
	}
}

// until waits for something.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !cond(); pass(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("timed out: %s", what)
		}
	}
}

// pass lets time pass, most often that of a synctest bubble, which costs none.
func pass(d time.Duration) { <-time.After(d) }

// contained tells whether progress says that ClickHouse has the whole log.
func (w *world) contained() bool { return w.has(w.shelf) }

func (w *world) has(house sink.Warehouse) bool {
	next, _, err := house.Contained(context.Background(), "")
	if err != nil {
		return false
	}
	for topic, n := range topics {
		for p := range int32(n) {
			if _, end, err := w.log.Bounds(context.Background(), topic, p); err != nil || next[sink.Partition{Topic: topic, Partition: p}] < end {
				return false
			}
		}
	}
	return true
}

// run runs a sink until everything is contained.
func (w *world) run(cfg sink.Config) {
	w.t.Helper()
	_, stop := w.start(cfg)
	w.until("everything is contained", w.contained)
	if err := stop(); err != nil {
		w.t.Fatal(err)
	}
}

// check holds the tables against the log: each event once, the one that came first.
func (w *world) check() {
	w.t.Helper()
	w.shelf.compare(w.expected())
}

// expected are the positions of the events that count.
func (w *world) expected() map[string]bool {
	w.t.Helper()
	ctx := context.Background()
	want := map[string]bool{}
	for topic, n := range topics {
		seen := map[string]bool{}
		for p := range int32(n) {
			_, end, err := w.log.Bounds(ctx, topic, p)
			if err != nil {
				w.t.Fatal(err)
			}
			for offset := range end {
				r, err := eventlog.ReadAt(ctx, w.log, eventlog.Position{Topic: topic, Partition: p, Offset: offset})
				if err != nil {
					w.t.Fatal(err)
				}
				e, err := event.Decode(r.Value)
				if err != nil {
					continue
				}
				if id := e.GetTenant() + e.GetThreadId() + e.GetId(); !seen[id] {
					seen[id], want[r.String()] = true, true
				}
			}
		}
	}
	return want
}

func (s *shelf) compare(want map[string]bool) {
	s.t.Helper()
	got := map[string]bool{}
	for _, r := range s.rows("events") {
		at := fmt.Sprintf("%s/%d/%d", r["topic"], r["partition"], r["offset"])
		if got[at] {
			s.t.Errorf("%s is there twice", at)
		}
		if got[at] = true; !want[at] {
			s.t.Errorf("%s is there, though it does not count", at)
		}
	}
	for at := range want {
		if !got[at] {
			s.t.Errorf("%s is missing", at)
		}
	}
}
