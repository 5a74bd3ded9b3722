package staffing_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/staffing"
)

const tenant = "acme"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a centre with a queue "sales", which the switch calls "q1", in Berlin.
type world struct {
	staffingv1.StaffingServiceClient
	zone    *time.Location
	now     time.Time
	visits  map[string][]staffing.Visit // by the name that events carry
	read    []time.Time                 // first and last moment of each reading
	have    int
	entries map[string]map[string][]directory.Version
}

func newWorld(t *testing.T) *world {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	w := &world{zone: zone, visits: map[string][]staffing.Visit{}, have: 9, entries: map[string]map[string][]directory.Version{}}
	w.now = w.at("2026-09-14 10:10")
	w.put(directory.Hours, "office", &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{TimeZone: "Europe/Berlin", Open: []string{"mon-fri 09:00-17:00"}}}})
	w.put(directory.Queue, "sales", &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{
		Hours: "office", Ids: []*eventv1.NativeId{{Provider: "asterisk", Id: "q1"}},
		ServiceLevel: &eventv1.ServiceLevel{Within: durationpb.New(30 * time.Second), Goal: 0.9},
	}}})
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant, Name: "workforce"})
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	staffing.NewServer(staffing.Config{Books: w, Visits: w, Agents: w, Hours: hours, Now: func() time.Time { return w.now }}).Register(server)
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
	w.StaffingServiceClient = staffingv1.NewStaffingServiceClient(conn)
	return w
}

// hours are office hours, whatever they say.
func hours(*eventv1.DirectoryHours) (func(from, until time.Time) bool, error) {
	zone, err := time.LoadLocation("Europe/Berlin")
	return func(from, until time.Time) bool {
		first, last := from.In(zone), until.In(zone).Add(-1)
		return first.Weekday()%6 != 0 && last.Hour() >= 9 && first.Hour() < 17
	}, err
}

// at is a moment in Berlin.
func (w *world) at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", text, w.zone)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (w *world) put(kind, id string, stated *eventv1.DirectoryUpdated) {
	if w.entries[kind] == nil {
		w.entries[kind] = map[string][]directory.Version{}
	}
	w.entries[kind][id] = append(w.entries[kind][id], directory.Version{From: w.at("2026-01-01 00:00").UnixNano(), Stated: stated})
}

func (w *world) Book(context.Context, string) (*directory.Book, error) {
	return directory.NewBook(w.entries), nil
}

func (w *world) Changed() <-chan struct{} { return nil }

func (w *world) SignedIn(context.Context, string, string) (int, error) { return w.have, nil }

func (w *world) Visits(_ context.Context, of, queue string, from, until time.Time, yield func(staffing.Visit) bool) error {
	if of != tenant {
		return nil
	}
	w.read = append(w.read, from, until)
	for _, v := range w.visits[queue] {
		if !v.Entered.Before(from) && v.Entered.Before(until) && !yield(v) {
			return nil
		}
	}
	return nil
}

// answered adds so many visits at a moment, which wait for 10 s and are handled in 3 min.
func (w *world) answered(at time.Time, n int) {
	for range n {
		w.visits["q1"] = append(w.visits["q1"], staffing.Visit{
			Provider: "asterisk", Entered: at, Left: at.Add(10 * time.Second), Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED, Handled: 1, HandleTime: 3 * time.Minute,
		})
	}
}

// abandoned adds so many that give up after 20 s.
func (w *world) abandoned(at time.Time, n int) {
	for range n {
		w.visits["q1"] = append(w.visits["q1"], staffing.Visit{
			Provider: "asterisk", Entered: at, Left: at.Add(20 * time.Second), Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED,
		})
	}
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// fields are the fields that a call says are wrong, and why.
func fields(t *testing.T, err error) map[string]string {
	t.Helper()
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("it is %v", err)
	}
	wrong := map[string]string{}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				wrong[v.GetField()] = v.GetDescription()
			}
		}
	}
	return wrong
}
