package live_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/live"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// process is a hub that runs.
type process struct {
	*live.Hub
	registry *prometheus.Registry
	stop     func()
}

func start(t *testing.T, log live.Log) process {
	t.Helper()
	registry := prometheus.NewRegistry()
	hub, err := live.NewHub(live.Config{Log: log, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	var stopped bool
	stop := func() {
		if cancel(); !stopped {
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
		stopped = true
	}
	t.Cleanup(stop)
	return process{hub, registry, stop}
}

// outcomes are how many signals had an outcome.
func (p process) outcomes(t *testing.T, outcome string) int {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == outcome {
			return int(m.GetCounter().GetValue())
		}
	}
	t.Fatalf("no outcome %s", outcome)
	return 0
}

// store is a log in memory that has the topic.
func store(t *testing.T) *memlog.Store {
	t.Helper()
	s := memlog.New(memlog.Config{})
	topic := eventlog.Topic{Name: live.Topic, Partitions: live.Partitions, Retention: live.Retention}
	if err := s.Open().EnsureTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	return s
}

func thread(n byte) event.ID {
	var id event.ID
	id[0] = n
	return id
}

// typing is what an agent signals in a thread.
func typing(tenant string, in event.ID, agent string, change ...func(*livev1.Signal)) *livev1.Signal {
	s := &livev1.Signal{
		Tenant: tenant, ThreadId: in.String(), ActorKind: eventv1.ActorKind_ACTOR_KIND_AGENT, ActorId: agent, Author: strings.ToUpper(agent),
		Activity: livev1.Activity_ACTIVITY_TYPING,
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func follow(t *testing.T, p process, sel live.Selection) *live.Follower {
	t.Helper()
	f, err := p.Follow(sel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// next waits for a signal, and wants an actor.
func next(t *testing.T, f *live.Follower, actor string) *livev1.Signal {
	t.Helper()
	select {
	case s, ok := <-f.Signals():
		if !ok || s.GetActorId() != actor {
			t.Fatalf("instead of %s: %v", actor, s)
		}
		return s
	case <-time.After(time.Minute):
		t.Fatalf("no signal of %s", actor)
		return nil
	}
}

func TestASignalReachesFollowersOfEveryProcessAndOnlyThoseOfItsThread(t *testing.T) {
	s := store(t)
	a, b := start(t, s.Open()), start(t, s.Open())
	here, there := follow(t, a, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}}), follow(t, b, live.Selection{Tenant: "acme", Threads: []event.ID{thread(2), thread(1)}})
	foreign := follow(t, b, live.Selection{Tenant: "other", Threads: []event.ID{thread(1)}})
	neighbour := follow(t, b, live.Selection{Tenant: "acme", Threads: []event.ID{thread(3)}})
	a.Publish(typing("acme", thread(1), "mei"))
	for _, f := range []*live.Follower{here, there} {
		got := next(t, f, "mei")
		if got.GetAuthor() != "MEI" || got.GetThreadId() != thread(1).String() || time.Since(got.GetAt().AsTime()) > time.Hour {
			t.Errorf("%v", got)
		}
	}
	a.Publish(typing("acme", thread(3), "jo"))
	a.Publish(typing("other", thread(1), "eve"))
	next(t, neighbour, "jo") // and not mei, who came before
	next(t, foreign, "eve")
}

func TestAnInboxIsFollowedWithAllItsThreads(t *testing.T) {
	p := start(t, store(t).Open())
	f, foreign := follow(t, p, live.Selection{Tenant: "acme", Inbox: "web"}), follow(t, p, live.Selection{Tenant: "other", Inbox: "web"})
	in := func(inbox string) func(*livev1.Signal) { return func(s *livev1.Signal) { s.Inbox = inbox } }
	p.Publish(typing("acme", thread(1), "a", in("web")))
	p.Publish(typing("acme", thread(2), "b", in("app")))
	p.Publish(typing("acme", thread(3), "c"))
	p.Publish(typing("acme", thread(4), "d", in("web")))
	p.Publish(typing("other", thread(1), "e", in("web")))
	next(t, f, "a")
	next(t, f, "d")
	next(t, foreign, "e")
}

func TestWhoFollowsHearsNothingOfThePast(t *testing.T) {
	s := store(t)
	before := start(t, s.Open())
	watcher := follow(t, before, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}})
	before.Publish(typing("acme", thread(1), "past"))
	next(t, watcher, "past")
	after := start(t, s.Open())
	f, late := follow(t, after, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}}), follow(t, before, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}})
	before.Publish(typing("acme", thread(1), "now"))
	next(t, f, "now")
	next(t, late, "now")
}

func TestAVisitorIsFollowedByTheNamesOfTheChannelUnderEveryKey(t *testing.T) {
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, store(t).Open())
	v := live.NewVisitors(p.Hub, keyring)
	here := channel.Thread{Tenant: "acme", Inbox: "web", Thread: "t1"}
	f, err := v.Follow(here)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	desk := follow(t, p, live.Selection{Tenant: "acme", Inbox: "web"})
	v.Typing(here, true)
	v.Typing(here, false)
	got := []*livev1.Signal{next(t, desk, ""), next(t, desk, "")}
	id := keyring.Tenant("acme").Thread("web", "t1")
	if got[0].GetActivity() != livev1.Activity_ACTIVITY_TYPING || got[1].GetActivity() != livev1.Activity_ACTIVITY_STOPPED || got[0].GetThreadId() != id.String() ||
		got[0].GetActorKind() != eventv1.ActorKind_ACTOR_KIND_CUSTOMER || got[0].GetAuthor() != "" {
		t.Errorf("%v", got)
	}
	p.Publish(typing("acme", id, "mei"))
	next(t, f, "")
	next(t, f, "")
	next(t, f, "mei")
}

// faulty is a log that fails when it is told to.
type faulty struct {
	live.Log
	fail chan error // what the next Read returns
	hold chan struct{}
}

func (l faulty) Open(ctx context.Context, topic string, partition int32, offset int64) (eventlog.Reader, error) {
	r, err := l.Log.Open(ctx, topic, partition, offset)
	if err != nil {
		return nil, err
	}
	return faultyReader{r, l}, nil
}

func (l faulty) Append(ctx context.Context, m eventlog.Message, done func(eventlog.Position, error)) error {
	select {
	case <-l.hold:
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.Log.Append(ctx, m, done)
}

type faultyReader struct {
	eventlog.Reader
	log faulty
}

func (r faultyReader) Read(ctx context.Context, limit int) ([]eventlog.Record, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-r.log.fail:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	records, err := r.Reader.Read(ctx, limit)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return records, err
}

func TestAfterAFailureItGoesOnAtTheEnd(t *testing.T) {
	log := faulty{store(t).Open(), make(chan error), make(chan struct{})}
	close(log.hold)
	p := start(t, log)
	f := follow(t, p, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}})
	p.Publish(typing("acme", thread(1), "before"))
	next(t, f, "before")
	log.fail <- eventlog.ErrUnavailable
	log.fail <- eventlog.ErrOffsetOutOfRange // of the next reader, which stands there
	// What is published meanwhile may be lost, so somebody signals until somebody hears it.
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		if s := <-f.Signals(); s.GetTenant() != "acme" {
			t.Errorf("%v", s)
		}
	}()
	for n := byte('a'); ; n++ {
		p.Publish(typing("acme", thread(1), string(n)))
		select {
		case <-heard:
			return
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("nothing is heard any more")
		}
	}
}

func TestPublishNeverWaitsForTheLog(t *testing.T) {
	log := faulty{store(t).Open(), make(chan error), make(chan struct{})} // which takes nothing
	p := start(t, log)
	for n := range 3000 {
		p.Publish(typing("acme", event.ID{byte(n), byte(n >> 8)}, "mei"))
	}
	if n := p.outcomes(t, "dropped"); n < 1000 || n > 2000 {
		t.Errorf("%d were dropped", n)
	}
	p.stop() // though the log does not answer
}

func TestAFollowerThatIsTooSlowMissesSignalsAndHoldsUpNobody(t *testing.T) {
	p := start(t, store(t).Open())
	slow, quick := follow(t, p, live.Selection{Tenant: "acme", Inbox: "web"}), follow(t, p, live.Selection{Tenant: "acme", Inbox: "web"})
	for n := range 200 {
		p.Publish(typing("acme", event.ID{byte(n), 1}, "mei", func(s *livev1.Signal) { s.Inbox = "web" }))
		next(t, quick, "mei")
	}
	p.stop() // the quick one may be served before the slow one's miss is counted
	if n := p.outcomes(t, "missed"); n != 200-len(slow.Signals()) || n < 100 {
		t.Errorf("%d were missed", n)
	}
}

func TestWhatIsNoSignalIsPassedOver(t *testing.T) {
	log := store(t).Open()
	p := start(t, log)
	f := follow(t, p, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}})
	if _, err := eventlog.AppendAll(t.Context(), log, []eventlog.Message{{Topic: live.Topic, Value: []byte("\xff\xff")}}); err != nil {
		t.Fatal(err)
	}
	p.Publish(typing("acme", thread(1), "mei"))
	next(t, f, "mei")
	if n := p.outcomes(t, "unreadable"); n != 1 {
		t.Errorf("%d were unreadable", n)
	}
}

func TestAtTheEndFollowersAreLetGo(t *testing.T) {
	p := start(t, store(t).Open())
	f := follow(t, p, live.Selection{Tenant: "acme", Inbox: "web"})
	p.stop()
	if s, ok := <-f.Signals(); ok {
		t.Errorf("%v", s)
	}
	f.Close()
	if _, err := p.Follow(live.Selection{Tenant: "acme", Inbox: "web"}); !errors.Is(err, live.ErrStopping) {
		t.Errorf("%v", err)
	}
	p.Publish(typing("acme", thread(1), "mei")) // nobody hears it
}

func TestARecordHoldsNeitherContentNorAnAddress(t *testing.T) {
	log := store(t).Open()
	p := start(t, log)
	f := follow(t, p, live.Selection{Tenant: "acme", Threads: []event.ID{thread(1)}})
	p.Publish(typing("acme", thread(1), "mei"))
	next(t, f, "mei")
	r, err := eventlog.ReadAt(t.Context(), log, eventlog.Position{Topic: live.Topic})
	if err != nil {
		t.Fatal(err)
	}
	got := &livev1.Signal{}
	if err := proto.Unmarshal(r.Value, got); err != nil {
		t.Fatal(err)
	}
	want := typing("acme", thread(1), "mei", func(s *livev1.Signal) { s.At = got.GetAt() })
	if !proto.Equal(got, want) || string(r.Key) != thread(1).String() || len(r.Headers) != 0 {
		t.Errorf("%s %v %v", r.Key, got, r.Headers)
	}
}

func TestAHubRegistersItsMetricsOnce(t *testing.T) {
	p := start(t, store(t).Open())
	if _, err := live.NewHub(live.Config{Registerer: p.registry}); err == nil {
		t.Error("twice")
	}
	if problems, err := testutil.GatherAndLint(p.registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
