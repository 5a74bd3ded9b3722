package directory_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/directory"
)

const (
	partitions = 2
	tenant     = "acme"
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = 20 * time.Second
)

var (
	namespace = kv.Namespace{Slice: directory.Slice, Generation: 1}
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

// world is a log and a store.
type world struct {
	t         rapid.TB
	log       *memlog.Log
	store     kv.Store
	keyring   *event.Keyring
	compiler  *event.Compiler
	progress  *projection.Progress
	directory *directory.Directory
	intake    *intake.Intake
	letters   []*eventv1.DeadLetter

	mu    sync.Mutex
	clock time.Time
	only  int // how many of the next submissions get through; all where it is negative

	asked chan struct{} // gets a token whenever somebody asks for the end of the log, where there is room
}

func newWorld(t rapid.TB) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), progress: &projection.Progress{}, clock: epoch, only: -1, asked: make(chan struct{}, 1)}
	var err error
	w.keyring, err = made()
	must(t, err)
	w.compiler, err = compiler()
	must(t, err)
	must(t, w.log.EnsureTopics(context.Background(), eventlog.Topic{Name: event.TopicDirectory, Partitions: partitions}))
	w.directory = directory.NewDirectory(w.store, partitions, w.progress, nil)
	blobs, err := blob.Open(context.Background(), "mem://")
	must(t, err)
	w.intake = intake.New(intake.Config{Compiler: w.compiler, Keyring: w.keyring, Log: w.log, Blobs: blobs, Now: w.now})
	return w
}

// now is another moment each time.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(time.Second)
	return w.clock
}

// Publish keeps dead letters.
func (w *world) Publish(_ context.Context, letters ...*eventv1.DeadLetter) error {
	w.letters = append(w.letters, letters...)
	return nil
}

// Submit lets through as many events as the test says.
func (w *world) Submit(ctx context.Context, tenant string, all ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	w.mu.Lock()
	only := w.only
	w.mu.Unlock()
	if only < 0 || only >= len(all) {
		return w.intake.Submit(ctx, tenant, all...)
	}
	if _, err := w.intake.Submit(ctx, tenant, all[:only]...); err != nil {
		return nil, err
	}
	return nil, channel.ErrRetry
}

// Bounds is the log's, and tells the test that it was called.
func (w *world) Bounds(ctx context.Context, topic string, partition int32) (first, next int64, err error) {
	first, next, err = w.log.Bounds(ctx, topic, partition)
	select {
	case w.asked <- struct{}{}:
	default:
	}
	return first, next, err
}

// submission is an event of the directory topic as a connector hands it in.
func submission(id string, e *eventv1.DirectoryUpdated) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeDirectoryUpdated, Provider: "hr", Inbox: "hr", Thread: "people", NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_DirectoryUpdated{DirectoryUpdated: e}},
	}
}

// append publishes a submission for a tenant, a second after the one before.
func (w *world) append(tenant string, s *eventv1.Submission) *eventv1.Event {
	w.t.Helper()
	c, err := w.compiler.Compile(tenant, s, w.now())
	must(w.t, err)
	w.appendEvent(c.Event)
	return c.Event
}

func (w *world) appendEvent(e *eventv1.Event) {
	w.t.Helper()
	value, err := event.Encode(e)
	must(w.t, err)
	w.appendRaw(e.GetTenant(), value)
}

func (w *world) appendRaw(key string, value []byte) {
	w.t.Helper()
	_, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: event.TopicDirectory, Key: []byte(key), Value: value}})
	must(w.t, err)
}

func (w *world) runner(store kv.Store, ns kv.Namespace, batch int) *projection.Runner {
	w.t.Helper()
	r, err := projection.NewRunner(context.Background(), projection.Config{
		Log: w.log, Store: store, Namespace: ns, Topic: event.TopicDirectory, Fold: directory.NewFold(partitions), MaxBatch: batch, DeadLetters: w,
		Progress: w.progress,
	})
	must(w.t, err)
	return r
}

// fold folds what there is.
func (w *world) fold(store kv.Store, batch int) {
	w.t.Helper()
	r := w.runner(store, namespace, batch)
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

// startFold folds in the background.
func (w *world) startFold(t *testing.T) {
	t.Helper()
	w.run(t, w.runner(w.store, namespace, 0).Run)
}

// serve serves over gRPC, to somebody with these rights.
func (w *world) serve(t *testing.T, who auth.Identity) directoryv1.DirectoryServiceClient {
	t.Helper()
	authenticator, err := auth.New(nil, who)
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	directory.NewServer(directory.Config{Directory: w.directory, Keyring: w.keyring, Host: w, Log: w, Now: w.now}).Register(server)
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
	return directoryv1.NewDirectoryServiceClient(conn)
}

func keeper() auth.Identity { return auth.Identity{Tenant: tenant, Name: "team lead", Directory: true} }

// patient is the context of a call that has some time.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// wrong are the fields that are wrong and why, one to a line; else the word of the error.
func wrong(err error) string {
	var all []string
	violations := rpc.Violations(err)
	for _, field := range slices.Sorted(maps.Keys(violations)) {
		all = append(all, field+": "+violations[field])
	}
	if len(all) == 0 && err != nil {
		return status.Code(err).String()
	}
	return strings.Join(all, "\n")
}

// Entries as tests have them.

func at(hour int) *timestamppb.Timestamp {
	return timestamppb.New(epoch.Add(time.Duration(hour) * time.Hour))
}

func from(hour int, e *eventv1.DirectoryUpdated) *eventv1.DirectoryUpdated {
	e.ValidFrom = at(hour)
	return e
}

func agent(id, name string, teams ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Id: id, Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{Name: name, Teams: teams}}}
}

func team(id string, supervisors ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Id: id, Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Supervisors: supervisors}}}
}

func queue(id, hours string, teams ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Id: id, Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{
		Hours: hours, Teams: teams, ServiceLevel: &eventv1.ServiceLevel{Within: durationpb.New(20 * time.Second), Goal: 0.8},
	}}}
}

func hours(id string, open ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Id: id, Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{TimeZone: "Europe/Berlin", Open: open}}}
}

func setting(id, value string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Kind: "setting", Id: id, Attributes: map[string]string{"value": value}}
}

func gone(kind, id string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Kind: kind, Id: id, Removed: true}
}
