package agent_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/agent/state"
)

const (
	partitions = 2
	tenant     = "acme"
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = 20 * time.Second
)

var (
	namespace = kv.Namespace{Slice: agent.Slice, Generation: 1}
	epoch     = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made is the same for every world: to make it takes its time.
var made = sync.OnceValues(func() (*event.Keyring, error) { return event.NewKeyring(bytes.NewReader(make([]byte, 1<<10))) })

var compiler = sync.OnceValues(func() (*event.Compiler, error) {
	keyring, err := made()
	if err != nil {
		return nil, err
	}
	return event.NewCompiler(keyring)
})

// world is a log, a store, a directory and work.
type world struct {
	t        rapid.TB
	log      *memlog.Log
	store    kv.Store
	progress *projection.Progress
	agents   *agent.Agents
	letters  []*eventv1.DeadLetter

	mu      sync.Mutex
	now     time.Time
	book    *directory.Book
	books   chan struct{}
	shares  []state.Share
	news    []agent.WorkNews
	working chan struct{}
}

func newWorld(t rapid.TB) *world {
	t.Helper()
	w := &world{
		t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), progress: &projection.Progress{}, now: epoch,
		books: make(chan struct{}), working: make(chan struct{}),
	}
	must(t, w.log.EnsureTopics(context.Background(), eventlog.Topic{Name: event.TopicAgents, Partitions: partitions}))
	w.agents = w.reads(w.store)
	return w
}

func (w *world) reads(store kv.Store) *agent.Agents {
	x := agent.NewAgents(store, partitions, w.progress, w, w)
	x.SetNow(w.clock)
	return x
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) setClock(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

// Book is the one that the test has stated.
func (w *world) Book(context.Context, string) (*directory.Book, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.book, nil
}

// Changed tells of another book.
func (w *world) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.books
}

func (w *world) setBook(b *directory.Book) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.book = b
	close(w.books)
	w.books = make(chan struct{})
}

// Shares are those that the test has stated: all of the agent that have begun.
func (w *world) Shares(_ context.Context, of, id string, _, until time.Time, yield func(*conversationv1.Interaction, *conversationv1.Assignment) bool) error {
	w.mu.Lock()
	shares := w.shares
	w.mu.Unlock()
	for _, s := range shares {
		if begin, _ := s.Begin(); of == tenant && s.Assignment.GetAgent() == id && begin < until.UnixNano() && !yield(s.Interaction, s.Assignment) {
			break
		}
	}
	return nil
}

// Await does not wait: what the test states is there.
func (w *world) Await(context.Context, ...eventlog.Position) error { return nil }

// Publish keeps dead letters.
func (w *world) Publish(_ context.Context, letters ...*eventv1.DeadLetter) error {
	w.letters = append(w.letters, letters...)
	return nil
}

func (w *world) append(e *eventv1.Event) eventlog.Position {
	w.t.Helper()
	value, err := event.Encode(e)
	must(w.t, err)
	return w.appendRaw(e.GetActor().GetId(), value)
}

func (w *world) appendRaw(key string, value []byte) eventlog.Position {
	w.t.Helper()
	at, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: event.TopicAgents, Key: []byte(key), Value: value}})
	must(w.t, err)
	return at[0]
}

func (w *world) runner(store kv.Store, batch int) *projection.Runner {
	w.t.Helper()
	r, err := projection.NewRunner(context.Background(), projection.Config{
		Log: w.log, Store: store, Namespace: namespace, Topic: event.TopicAgents, Fold: agent.NewFold(partitions), MaxBatch: batch, DeadLetters: w,
		Progress: w.progress,
	})
	must(w.t, err)
	return r
}

// fold folds what there is.
func (w *world) fold(store kv.Store, batch int) {
	w.t.Helper()
	r := w.runner(store, batch)
	defer r.Close()
	must(w.t, r.RunToEnd(context.Background()))
}

func (w *world) hash(store kv.Store) kv.Digest {
	w.t.Helper()
	snap, err := store.Snapshot(context.Background(), namespace)
	must(w.t, err)
	defer snap.Close()
	d, err := kv.Hash(context.Background(), snap)
	must(w.t, err)
	return d
}

// run runs something until the test ends.
func (w *world) run(t *testing.T, work func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// patient is the context of a call that has some time.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func at(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }

func stamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

func presenceOf(text string, typ eventv1.PresenceType) *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: &eventv1.AgentPresenceChanged{Presence: text, Type: typ}}}
}

func routingOf(status eventv1.RoutingStatus) *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_AgentRoutingStatusChanged{AgentRoutingStatusChanged: &eventv1.AgentRoutingStatusChanged{Status: status}}}
}

func heartbeatOf(timeout time.Duration) *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_AgentHeartbeat{AgentHeartbeat: &eventv1.AgentHeartbeat{Timeout: durationpb.New(timeout)}}}
}

func capacityOf(next string, channels map[string]int32) *eventv1.Content {
	b := &eventv1.AgentCapacityChanged{NextPresence: next, Channels: map[string]*eventv1.Capacity{}}
	for name, n := range channels {
		b.Channels[name] = &eventv1.Capacity{Maximum: n}
	}
	return &eventv1.Content{Body: &eventv1.Content_AgentCapacityChanged{AgentCapacityChanged: b}}
}

var types = map[string]string{
	"*eventv1.Content_AgentPresenceChanged":      event.TypeAgentPresenceChanged,
	"*eventv1.Content_AgentRoutingStatusChanged": event.TypeAgentRoutingStatusChanged,
	"*eventv1.Content_AgentHeartbeat":            event.TypeAgentHeartbeat,
	"*eventv1.Content_AgentCapacityChanged":      event.TypeAgentCapacityChanged,
}
