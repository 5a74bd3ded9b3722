package timers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// board holds armed timers in memory. What was fired is armed until it is folded.
type board struct {
	mu           sync.Mutex
	armed        []Timer // in order of when they are due
	interactions map[event.ID]*conversationv1.Interaction
	failure      error
}

func (b *board) Due(_ context.Context, by time.Time, yield func(Timer) bool) (next time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.armed {
		if t.DueAt.After(by) {
			return t.DueAt, b.failure
		}
		if !yield(t) {
			return t.DueAt, b.failure
		}
	}
	return time.Time{}, b.failure
}

func (b *board) Find(_ context.Context, _ string, id event.ID) (*conversationv1.Interaction, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.interactions[id], b.failure
}

// arm arms a timer of an interaction with a thread of its own.
func (b *board) arm(tenant, thread string, due time.Time) Timer {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := byte(len(b.interactions) + 1)
	t := Timer{Tenant: tenant, Interaction: event.ID{1, n}, Name: "snooze", DueAt: due, ArmedBy: event.ID{2, n}}
	b.interactions[t.Interaction] = &conversationv1.Interaction{Inbox: "web", NativeThread: thread, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Provider: "webchat"}
	b.armed = append(b.armed, t)
	slices.SortStableFunc(b.armed, func(x, y Timer) int { return x.DueAt.Compare(y.DueAt) })
	return t
}

// fold takes out what was fired.
func (b *board) fold(events []channeltest.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range events {
		b.armed = slices.DeleteFunc(b.armed, func(t Timer) bool { return t.ArmedBy.String() == e.Content.GetTimerFired().GetArmedBy() })
	}
}

// wire is a host that counts what is handed in, and takes nothing of some tenants.
type wire struct {
	*channeltest.Host
	handed int
	down   map[string]bool
}

func (w *wire) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if w.down[tenant] {
		return nil, fmt.Errorf("too much of tenant %q: %w", tenant, channel.ErrRetry)
	}
	w.handed += len(submissions)
	return w.Host.Submit(ctx, tenant, submissions...)
}

type fixture struct {
	*Service
	*board
	*wire
	registry *prometheus.Registry
	logged   *strings.Builder
	now      time.Time
}

func newFixture(change func(*Config)) *fixture {
	f := &fixture{
		board: &board{interactions: map[event.ID]*conversationv1.Interaction{}}, wire: &wire{Host: channeltest.NewHost(), down: map[string]bool{}},
		registry: prometheus.NewRegistry(), logged: &strings.Builder{}, now: channeltest.ReceivedAt,
	}
	cfg := Config{
		Armed: f.board, Host: f.wire, Metrics: NewMetrics(f.registry), Logger: slog.New(slog.NewTextHandler(f.logged, nil)),
		Now: func() time.Time { return f.now },
	}
	if change != nil {
		change(&cfg)
	}
	f.Service = New(cfg)
	return f
}

// ago is a moment before the fixtures' present.
func ago(d time.Duration) time.Time { return channeltest.ReceivedAt.Add(-d) }

func TestADueTimerIsFiredInItsThreadAsOfWhenItWasDue(t *testing.T) {
	f := newFixture(nil)
	timer := f.arm("acme", "t", ago(time.Hour))
	pending := f.arm("acme", "u", ago(-time.Minute))
	next, err := f.fire(t.Context())
	must(t, err)
	if !next.Equal(pending.DueAt) {
		t.Errorf("the next one is due at %v", next)
	}
	events := f.Events()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e, fired := events[0].Event, events[0].Content.GetTimerFired()
	if e.GetType() != event.TypeTimerFired || !e.GetOccurredAt().AsTime().Equal(timer.DueAt) || e.GetCausationId() != timer.ArmedBy.String() || e.GetProvider() != "skein" ||
		e.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || e.GetInbox() != "web" || events[0].Content.GetNativeThread() != "t" {
		t.Errorf("fired as %v", e)
	}
	if fired.GetTimer() != "snooze" || !fired.GetDueAt().AsTime().Equal(timer.DueAt) || fired.GetArmedBy() != timer.ArmedBy.String() ||
		fired.GetInteractionId() != timer.Interaction.String() {
		t.Errorf("fired: %v", fired)
	}
	if n := testutil.ToFloat64(f.cfg.Metrics.fired.WithLabelValues("snooze")); n != 1 {
		t.Errorf("%v timers are counted", n)
	}
}

func TestATimerIsNotPublishedAgainWhileTheFoldCatchesUp(t *testing.T) {
	f := newFixture(nil)
	f.arm("acme", "t", ago(time.Hour))
	for range 3 {
		_, err := f.fire(t.Context())
		must(t, err)
	}
	if f.handed != 1 {
		t.Errorf("published %d times", f.handed)
	}
	f.fold(f.Events())
	_, err := f.fire(t.Context())
	must(t, err)
	if f.handed != 1 || len(f.published) != 0 {
		t.Errorf("published %d times, %d are remembered", f.handed, len(f.published))
	}
}

func TestAnotherProcessPublishesTheSameEvent(t *testing.T) {
	f := newFixture(nil)
	f.arm("acme", "t", ago(time.Hour))
	other := New(f.cfg)
	for _, s := range []*Service{f.Service, other} {
		_, err := s.fire(t.Context())
		must(t, err)
	}
	if f.handed != 2 || len(f.Events()) != 1 || len(f.Conflicts()) != 0 {
		t.Errorf("%d published, %d events, %d conflicts", f.handed, len(f.Events()), len(f.Conflicts()))
	}
}

// An event that comes late gives an interaction another id. Then what was fired by the old one may not be found.
func TestATimerOfAnInteractionThatGetsAnotherIdFiresByThat(t *testing.T) {
	f := newFixture(nil)
	timer := f.arm("acme", "t", ago(time.Hour))
	_, err := f.fire(t.Context())
	must(t, err)
	renamed := event.ID{1, 99}
	f.interactions[renamed] = f.interactions[timer.Interaction]
	f.armed[0].Interaction = renamed
	for range 2 {
		_, err = f.fire(t.Context())
		must(t, err)
	}
	events := f.Events()
	if len(events) != 2 || len(f.Conflicts()) != 0 || events[1].Content.GetTimerFired().GetInteractionId() != renamed.String() {
		t.Errorf("%v, %d conflicts", events, len(f.Conflicts()))
	}
}

func TestAllThatIsDueFiresInOrderBatchByBatch(t *testing.T) {
	f := newFixture(func(cfg *Config) { cfg.Batch = 3 })
	for i := range 10 {
		f.arm("acme", fmt.Sprint(i), ago(time.Duration(i*7%10+1)*time.Minute))
	}
	_, err := f.fire(t.Context())
	must(t, err)
	events := f.Events()
	if len(events) != 10 {
		t.Fatalf("%d events", len(events))
	}
	if !slices.IsSortedFunc(events, func(a, b channeltest.Event) int {
		return a.Event.GetOccurredAt().AsTime().Compare(b.Event.GetOccurredAt().AsTime())
	}) {
		t.Error("they are not in order")
	}
}

func TestOnlySoManyArePublishedAheadOfTheFold(t *testing.T) {
	f := newFixture(func(cfg *Config) { cfg.Batch, cfg.Unfolded = 3, 4 })
	for i := range 10 {
		f.arm("acme", fmt.Sprint(i), ago(time.Duration(i+1)*time.Minute))
	}
	for _, want := range []int{4, 4} {
		_, err := f.fire(t.Context())
		must(t, err)
		if f.handed != want {
			t.Fatalf("%d published, not %d", f.handed, want)
		}
	}
	for range 3 {
		f.fold(f.Events())
		_, err := f.fire(t.Context())
		must(t, err)
	}
	if f.handed != 10 {
		t.Errorf("%d published", f.handed)
	}
}

// The fold may know better than to take a firing for what it arms; what it shows all the same must not fill the room for what it waits for.
func TestATimerThatStaysArmedAllTheSameKeepsNoOtherOut(t *testing.T) {
	f := newFixture(func(cfg *Config) { cfg.Unfolded = 1 })
	f.arm("acme", "t", ago(time.Hour))
	f.arm("acme", "u", ago(time.Minute))
	for range 3 {
		_, err := f.fire(t.Context())
		must(t, err)
		f.now = f.now.Add(patience + time.Second)
	}
	if f.handed != 2 || strings.Count(f.logged.String(), "still armed") != 2 {
		t.Errorf("%d published: %s", f.handed, f.logged)
	}
}

func TestATenantForWhichNothingCanBePublishedHoldsNoOtherUp(t *testing.T) {
	f := newFixture(func(cfg *Config) { cfg.Batch = 2 })
	for i := range 5 {
		f.arm("globex", fmt.Sprint(i), ago(time.Hour))
	}
	f.arm("acme", "t", ago(time.Minute))
	f.down["globex"] = true
	if _, err := f.fire(t.Context()); !errors.Is(err, channel.ErrRetry) || !strings.Contains(err.Error(), "globex") {
		t.Errorf("got %v", err)
	}
	if events := f.Events(); len(events) != 1 || events[0].Tenant != "acme" {
		t.Fatalf("%v", events)
	}
	f.down["globex"] = false
	_, err := f.fire(t.Context())
	must(t, err)
	if n := len(f.Events()); n != 6 {
		t.Errorf("%d events", n)
	}
}

func TestWhatCannotBeAnEventKeepsNothingElseOutAndIsToldOnce(t *testing.T) {
	f := newFixture(nil)
	f.arm("acme", "", ago(time.Hour))
	wrong := f.arm("acme", "wrong", ago(time.Minute))
	f.interactions[wrong.Interaction].Inbox = ""
	f.arm("acme", "t", ago(time.Second))
	for range 3 {
		_, err := f.fire(t.Context())
		must(t, err)
	}
	if events := f.Events(); len(events) != 1 || events[0].Content.GetNativeThread() != "t" {
		t.Fatalf("%v", events)
	}
	if n := strings.Count(f.logged.String(), "cannot be fired"); n != 2 {
		t.Errorf("told %d times: %s", n, f.logged)
	}
}

func TestTimersFireAgainWhenTheStoreAndTheLogAreBack(t *testing.T) {
	f := newFixture(func(cfg *Config) { cfg.Every, cfg.Now = time.Millisecond, nil })
	f.Fail(channel.ErrRetry)
	f.failure = errors.New("the store is unavailable")
	f.arm("acme", "t", ago(time.Hour))
	stop := f.run(t)
	f.mu.Lock()
	f.failure = nil
	f.mu.Unlock()
	f.Fail(nil)
	_, err := f.WaitEvents(t.Context(), 1)
	must(t, err)
	stop()
}

// run runs the service and gives what stops it.
func (f *fixture) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); must(t, <-ended) })
	t.Cleanup(stop)
	return stop
}

func TestTheNextTimerIsWaitedFor(t *testing.T) {
	begun := time.Now()
	f := newFixture(func(cfg *Config) {
		cfg.Every = time.Hour
		cfg.Now = func() time.Time { return ago(0).Add(time.Since(begun)) }
	})
	f.arm("acme", "t", ago(-10*time.Millisecond))
	f.run(t)
	_, err := f.WaitEvents(t.Context(), 1)
	must(t, err)
}
