package customer_test

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/customer"
)

const (
	partitions = 2
	tenant     = "acme"
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = 20 * time.Second
)

var (
	namespace = kv.Namespace{Slice: customer.Slice, Generation: 1}
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
	customers *customer.Customers
	letters   []*eventv1.DeadLetter
	clock     time.Time

	seen      map[event.ID]scope.Seen
	stretches map[event.ID]scope.Span
	parties   map[event.ID][]event.ID
}

func newWorld(t rapid.TB) *world {
	t.Helper()
	w := &world{
		t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), progress: &projection.Progress{}, clock: epoch,
		seen: map[event.ID]scope.Seen{}, stretches: map[event.ID]scope.Span{}, parties: map[event.ID][]event.ID{},
	}
	var err error
	w.keyring, err = made()
	must(t, err)
	w.compiler, err = compiler()
	must(t, err)
	must(t, w.log.EnsureTopics(context.Background(), eventlog.Topic{Name: event.TopicLinks, Partitions: partitions}))
	w.customers = w.reads(w.store)
	return w
}

func (w *world) reads(store kv.Store) *customer.Customers {
	return customer.NewCustomers(store, partitions, w.progress, w, nil)
}

// Publish keeps dead letters.
func (w *world) Publish(_ context.Context, letters ...*eventv1.DeadLetter) error {
	w.letters = append(w.letters, letters...)
	return nil
}

// Stretch is one of those that the test says.
func (w *world) Stretch(_ context.Context, _ string, interaction event.ID) (scope.Span, error) {
	span, found := w.stretches[interaction]
	if !found {
		return scope.Span{}, scope.ErrUnknown
	}
	return span, nil
}

// Seen is what the test says.
func (w *world) Seen(_ context.Context, _ string, endpoint event.ID) (scope.Seen, bool, error) {
	seen, found := w.seen[endpoint]
	return seen, found, nil
}

// Parties are those that the test says.
func (w *world) Parties(_ context.Context, _ string, interaction event.ID) ([]event.ID, error) {
	return w.parties[interaction], nil
}

func mail(address string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address}
}

func phone(number string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: number}
}

// endpoint is the id of an address.
func (w *world) endpoint(a *eventv1.Address) event.ID {
	w.t.Helper()
	e, err := event.Normalise(a)
	must(w.t, err)
	return w.keyring.Tenant(tenant).Endpoint(e)
}

// named is the customer that a mail address names.
func (w *world) named(address string) string {
	return event.CustomerOf(w.endpoint(mail(address))).String()
}

// submission is an event of the links topic about customers.
func submission(typ, id string, content *eventv1.Content, customers ...*eventv1.Address) *eventv1.Submission {
	s := &eventv1.Submission{Type: typ, Provider: "test", Inbox: "test", Thread: "links", NativeId: id, Content: content}
	for _, a := range customers {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{Address: a, Side: eventv1.Side_SIDE_CUSTOMER})
	}
	return s
}

// append publishes a submission, a second after the one before.
func (w *world) append(s *eventv1.Submission) *eventv1.Event {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	c, err := w.compiler.Compile(tenant, s, w.clock)
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
	_, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: event.TopicLinks, Key: []byte(key), Value: value}})
	must(w.t, err)
}

func (w *world) runner(store kv.Store, ns kv.Namespace, batch int) *projection.Runner {
	w.t.Helper()
	r, err := projection.NewRunner(context.Background(), projection.Config{
		Log: w.log, Store: store, Namespace: ns, Topic: event.TopicLinks, Fold: customer.NewFold(partitions), MaxBatch: batch, DeadLetters: w,
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

func (w *world) hash(store kv.Store, ns kv.Namespace) kv.Digest {
	w.t.Helper()
	snap, err := store.Snapshot(context.Background(), ns)
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

// serve folds in the background and serves over gRPC.
func (w *world) serve(t *testing.T) customerv1.CustomerServiceClient {
	t.Helper()
	w.run(t, w.runner(w.store, namespace, 0).Run)
	blobs, err := blob.Open(t.Context(), "mem://")
	must(t, err)
	t.Cleanup(func() { _ = blobs.Close() })
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant, Name: "agent desktop"})
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	customer.NewServer(customer.Config{
		Customers: w.customers, Keyring: w.keyring, Compiler: w.compiler, Endpoints: w, Interactions: w, Parties: w,
		Host: intake.New(intake.Config{Compiler: w.compiler, Keyring: w.keyring, Log: w.log, Blobs: blobs}),
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
	return customerv1.NewCustomerServiceClient(conn)
}

// patient is the context of a call that has some time.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// refusal is the word that a call was refused with, or the field that is wrong; empty where it succeeded.
func refusal(t *testing.T, err error) string {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	for field := range rpc.Violations(err) {
		return field
	}
	if err != nil {
		return status.Code(err).String()
	}
	return ""
}

func sorted(s scope.Scope) scope.Scope {
	spans := func(a, b scope.Span) int { return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.From, b.From)) }
	slices.SortFunc(s.Endpoints, spans)
	slices.SortFunc(s.Threads, spans)
	slices.SortFunc(s.Without, func(a, b scope.Exception) int {
		return cmp.Or(bytes.Compare(a.Thread[:], b.Thread[:]), bytes.Compare(a.Endpoint[:], b.Endpoint[:]))
	})
	s.Version = ""
	return s
}

func asOf(t time.Time) *customerv1.AsOf { return &customerv1.AsOf{Time: timestamppb.New(t)} }
