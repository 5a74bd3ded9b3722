package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/services/ingest"
)

// slowLog acknowledges when it is told to, in any order.
type slowLog struct {
	*memlog.Log
	mu      sync.Mutex
	changed sync.Cond
	waiting []func()
	hold    bool
}

func (l *slowLog) Append(ctx context.Context, m eventlog.Message, done func(eventlog.Position, error)) error {
	return l.Log.Append(ctx, m, func(p eventlog.Position, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.hold {
			l.waiting = append(l.waiting, func() { done(p, err) })
			l.changed.Broadcast()
			return
		}
		done(p, err)
	})
}

// holds waits until so many wait for their acknowledgement, and returns how many do.
func (l *slowLog) holds(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) < n {
		l.changed.Wait()
	}
	return len(l.waiting)
}

// release acknowledges all, shuffled.
func (l *slowLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = false
	rand.Shuffle(len(l.waiting), func(i, j int) { l.waiting[i], l.waiting[j] = l.waiting[j], l.waiting[i] })
	for _, done := range l.waiting {
		done()
	}
	l.waiting = nil
}

func serve(t *testing.T, limits intake.Limits) (ingestv1.IngestServiceClient, *slowLog) {
	t.Helper()
	log := &slowLog{Log: memlog.New(memlog.Config{}).Open()}
	log.changed.L = &log.mu
	if err := log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1024)))
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	authenticator, err := auth.New(nil, auth.Identity{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ingest.NewServer(intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: log, Blobs: blobs, Limits: limits})).Register(server)
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	conn, err := rpc.Dial(port.Addr().String(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close() // every call has ended
		server.Stop(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ingestv1.NewIngestServiceClient(conn), log
}

func note(i uint64) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeNoteAdded, Provider: "test", Inbox: "desk", Thread: fmt.Sprint("t", i%10), NativeId: fmt.Sprint(i),
		Content: &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: "x"}}},
	}
}

func send(t *testing.T, stream interface {
	Send(*ingestv1.StreamRequest) error
}, items ...*ingestv1.StreamItem,
) {
	t.Helper()
	if err := stream.Send(&ingestv1.StreamRequest{Items: items}); err != nil {
		t.Fatal(err)
	}
}

func TestPublishNamesWrongFieldsByTheIndexOfTheSubmission(t *testing.T) {
	client, _ := serve(t, intake.Limits{})
	wrong := note(2)
	wrong.Inbox = ""
	_, err := client.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{note(1), wrong, nil}})
	if v := rpc.Violations(err); v["submissions[1].inbox"] == "" {
		t.Errorf("got %v", rpc.Explain(err))
	}
	resp, err := client.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{note(1), note(2)}})
	if err != nil || len(resp.GetAcknowledgements()) != 2 {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestAStreamAnswersEachEventByItselfWhenItIsDurable(t *testing.T) {
	client, log := serve(t, intake.Limits{})
	log.hold = true
	stream, err := client.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wrong := note(100)
	wrong.Provider = "NO"
	send(t, stream, &ingestv1.StreamItem{Id: 100, Submission: wrong}, &ingestv1.StreamItem{Id: 101})
	for i := range uint64(50) {
		send(t, stream, &ingestv1.StreamItem{Id: i, Submission: note(i)})
	}
	answers := map[uint64]*ingestv1.StreamResult{}
	receive := func(n int) {
		t.Helper()
		for len(answers) < n {
			resp, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range resp.GetResults() {
				if answers[r.GetId()] != nil {
					t.Errorf("%d was answered twice", r.GetId())
				}
				answers[r.GetId()] = r
			}
		}
	}
	receive(2)
	for _, id := range []uint64{100, 101} {
		if v := answers[id].GetRefusal().GetViolations(); len(v) == 0 || answers[id].GetRefusal().GetRetryAfter() != nil {
			t.Errorf("%d: %v", id, answers[id])
		}
	}
	if f := answers[100].GetRefusal().GetViolations()[0].GetField(); f != "provider" {
		t.Errorf("field %q", f)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	log.release()
	receive(52)
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	seen := map[string]bool{}
	for i := range uint64(50) {
		ack := answers[i].GetAcknowledgement()
		at := ack.GetPosition().String()
		if ack.GetEventId() == "" || seen[at] {
			t.Errorf("%d: %v", i, answers[i])
		}
		seen[at] = true
	}
}

func TestAStreamTakesNoMoreThanItsWindow(t *testing.T) {
	client, log := serve(t, intake.Limits{})
	log.hold = true
	stream, err := client.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const all, window = 12_000, 10_000
	sent := make(chan error, 1)
	go func() {
		for i := range uint64(all) {
			if err := stream.Send(&ingestv1.StreamRequest{Items: []*ingestv1.StreamItem{{Id: i, Submission: note(i)}}}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	if n := log.holds(window); n != window {
		t.Errorf("%d are under way", n)
	}
	log.release()
	answered := 0
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		answered += len(resp.GetResults())
	}
	if err := <-sent; err != nil || answered != all {
		t.Errorf("%d of %d answered, %v", answered, all, err)
	}
}

func TestAStreamThatIsTooFastIsSlowedDownAndNotRefused(t *testing.T) {
	client, _ := serve(t, intake.Limits{EventsPerSecond: 500, Burst: 1})
	stream, err := client.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(20) {
		send(t, stream, &ingestv1.StreamItem{Id: i, Submission: note(i)})
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	answered := 0
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range resp.GetResults() {
			answered++
			if r.GetAcknowledgement() == nil {
				t.Errorf("refused: %v", r)
			}
		}
	}
	if answered != 20 {
		t.Errorf("%d of 20 answered", answered)
	}
}

func TestAStreamThatBreaksIsSentAgainWithoutADouble(t *testing.T) {
	client, log := serve(t, intake.Limits{})
	log.hold = true
	ctx, cut := context.WithCancel(t.Context())
	broken, err := client.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send(t, broken, &ingestv1.StreamItem{Id: 1, Submission: note(1)})
	log.holds(1)
	cut()
	if _, err := broken.Recv(); err == nil {
		t.Fatal("the stream goes on")
	}
	log.release()
	resp, err := client.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{note(1)}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{note(1)}})
	if err != nil || resp.GetAcknowledgements()[0].GetEventId() != second.GetAcknowledgements()[0].GetEventId() {
		t.Errorf("the same event has two ids: %v and %v, %v", resp, second, err)
	}
}
