package alerts_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/alerts"
)

// crowded is a rule that is soon true.
func crowded() alerts.Rule { return alerts.Rule{Name: "crowded", Kind: "waiting", Above: "2"} }

func waiting(queue string, n int32) *boardv1.QueueRow {
	return &boardv1.QueueRow{Queue: queue, Name: "Sales", Waiting: n}
}

func TestAnAlertIsRaisedAndCleared(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	registry := prometheus.NewRegistry()
	w.watch(t, func(cfg *alerts.Config) { cfg.Metrics = alerts.NewMetrics(registry) }, crowded())
	w.show(waiting("sales", 3))
	w.until(t, "the alert", func() bool { return w.active(t) == "crowded sales" })
	w.show(waiting("sales", 2))
	w.until(t, "its end", func() bool { return w.active(t) == "" && len(w.events(t)) == 2 })

	events := w.events(t)
	up, down := events[0], events[1]
	content, err := event.DecodeContent(up)
	must(t, err)
	raised := content.GetAlertRaised()
	if raised.GetKind() != eventv1.AlertKind_ALERT_KIND_WAITING || raised.GetValue() != 3 || raised.GetThreshold() != 2 || raised.GetText() != "Queue Sales (sales): 3 contacts wait; 2 are allowed." {
		t.Errorf("raised: %v", raised)
	}
	if content, err = event.DecodeContent(down); err != nil {
		t.Fatal(err)
	}
	if cleared := content.GetAlertCleared(); cleared.GetRaisedEventId() != up.GetId() || cleared.GetValue() != 2 || !cleared.GetSince().AsTime().Equal(raised.GetSince().AsTime()) {
		t.Errorf("cleared: %v", cleared)
	}
	if up.GetProvider() != "skein" || up.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || down.GetCausationId() != up.GetId() || up.GetQueue() != "sales" {
		t.Errorf("%v", up)
	}
	w.until(t, "the count", func() bool { n, err := testutil.GatherAndCount(registry); return err == nil && n == 2 })
	if len(w.letters) != 0 {
		t.Errorf("%v", w.letters)
	}
}

func TestTheClockAloneRaisesAnAlert(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	w.watch(t, nil, alerts.Rule{Name: "long", Kind: "oldest_waiting", Above: "50ms", For: 50 * time.Millisecond})
	came := time.Now()
	w.show(&boardv1.QueueRow{Queue: "sales", Waiting: 1, OldestEnteredAt: timestamppb.New(came)})
	w.until(t, "the alert", func() bool { return w.active(t) == "long sales" })
	if e := w.events(t)[0]; !e.GetOccurredAt().AsTime().Equal(came.Add(100 * time.Millisecond)) {
		t.Errorf("it has occurred at %v, and the contact came at %v", e.GetOccurredAt().AsTime(), came)
	}
}

func TestTwoWorkersAtOnceGiveOneEventEach(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	for range 2 {
		w.watch(t, nil, crowded())
	}
	const times = 5
	for n := range times {
		w.show(waiting("sales", int32(3+n)))
		w.show(waiting("support", int32(4+n)))
		w.until(t, "both alerts", func() bool { return w.active(t) == "crowded sales, crowded support" })
		w.show(waiting("sales", 0))
		w.show(waiting("support", 0))
		w.until(t, "their ends", func() bool { return w.active(t) == "" })
	}
	up := map[string]int{}
	for _, told := range w.told(t) {
		up[told]++
	}
	for _, what := range []string{"raised sales", "raised support", "cleared sales", "cleared support"} {
		if up[what] != times {
			t.Errorf("%s: %d times", what, up[what])
		}
	}
	if len(w.letters) != 0 {
		t.Errorf("what two tell of one alert is no conflict: %v", w.letters)
	}
}

func TestAfterARestartNothingIsToldAgainAndWhatIsOverIsCleared(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	stop := w.watch(t, nil, crowded(), alerts.Rule{Name: "quiet", Kind: "waiting", Above: "1", Queues: []string{"support"}})
	w.show(waiting("sales", 3))
	w.show(waiting("support", 2))
	w.until(t, "both alerts", func() bool { return w.active(t) == "crowded sales, quiet support" })
	stop()
	stop = w.watch(t, nil, crowded()) // the other rule is no more
	w.until(t, "the end of the other", func() bool { return w.active(t) == "crowded sales" })
	stop()
	w.show(waiting("sales", 0))
	w.watch(t, nil, crowded())
	w.until(t, "the end of the first", func() bool { return w.active(t) == "" })
	if n := len(w.events(t)); n != 4 {
		t.Errorf("%d events: %v", n, w.told(t))
	}
}

func TestWithoutAnyRuleWhatIsRaisedIsCleared(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	stop := w.watch(t, nil, crowded())
	w.show(waiting("sales", 3))
	w.until(t, "the alert", func() bool { return w.active(t) == "crowded sales" })
	stop()
	w.watch(t, func(cfg *alerts.Config) { cfg.Rules = nil })
	w.until(t, "its end", func() bool { return w.active(t) == "" })
}

func TestAKillBetweenPublishAndNoteTellsNothingTwice(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	wire := &line{Host: w.host}
	wire.fail(errCut, true) // all is durable, and nobody learns of it
	stop := w.watch(t, func(cfg *alerts.Config) { cfg.Host, cfg.Retry = wire, time.Hour }, crowded())
	w.show(waiting("sales", 3))
	w.until(t, "the alert", func() bool { return w.active(t) == "crowded sales" })
	stop()
	wire.fail(nil, false)
	called := wire.calls()
	w.watch(t, func(cfg *alerts.Config) { cfg.Host = wire }, crowded())
	w.show(waiting("support", 3))
	w.until(t, "another alert", func() bool { return w.active(t) == "crowded sales, crowded support" })
	if n := len(w.events(t)); n != 2 || wire.calls() != called+1 {
		t.Errorf("%d events, published %d times: %v", n, wire.calls()-called, w.told(t))
	}
}

func TestTheWorkerGoesOnWhenTheLogAndTheBoardAreBack(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	wire := &line{Host: w.host}
	wire.fail(errCut, false)
	w.breaks(errCut)
	w.watch(t, func(cfg *alerts.Config) { cfg.Host = wire }, crowded())
	w.show(waiting("sales", 3))
	w.breaks(nil)
	w.until(t, "a try", func() bool { return wire.calls() > 1 })
	wire.fail(nil, false)
	w.until(t, "the alert", func() bool { return w.active(t) == "crowded sales" })
}

func TestOneThatCanBeNoEventKeepsNoOtherOut(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	logged := &strings.Builder{}
	w.show(waiting(strings.Repeat("q", 129), 3))
	w.show(waiting("sales", 3))
	stop := w.watch(t, func(cfg *alerts.Config) { cfg.Logger = slog.New(slog.NewTextHandler(logged, nil)) }, crowded())
	w.until(t, "the alert", func() bool { return w.active(t) == "crowded sales" })
	stop()
	if n := strings.Count(logged.String(), "an alert cannot be published"); n != 1 {
		t.Errorf("it is told %d times: %s", n, logged)
	}
}

func TestActiveListsWhatIsRaisedTheLatestFirst(t *testing.T) {
	w := newWorld(t)
	run(t, w.runner(t, w.store, 0).Run)
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant, Name: "supervisor"})
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	alerts.NewServer(w.alerts).Register(server)
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
	client := boardv1.NewAlertServiceClient(conn)

	var last eventlog.Position
	for _, of := range []string{tenant, "globex", tenant} {
		last = w.raise(t, of, last.Offset, time.Now().Add(-time.Hour))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := client.Active(ctx, &boardv1.ActiveRequest{MinPositions: []*eventv1.Position{{Topic: last.Topic, Partition: last.Partition, Offset: last.Offset}}})
	must(t, err)
	if all := resp.GetAlerts(); len(all) != 2 || !all[0].GetRaisedAt().AsTime().After(all[1].GetRaisedAt().AsTime()) || all[0].GetRaised().GetRule() != "by hand" {
		t.Errorf("%v", all)
	}
}

// raise publishes an alert by hand.
func (w *world) raise(t *testing.T, of string, n int64, at time.Time) eventlog.Position {
	t.Helper()
	acks, err := w.host.Submit(t.Context(), of, &eventv1.Submission{
		Type: event.TypeAlertRaised, Provider: "test", Inbox: "test", Thread: "alerts", NativeId: time.Now().String(), OccurredAt: timestamppb.New(at.Add(time.Duration(n) * time.Minute)),
		Content: &eventv1.Content{Body: &eventv1.Content_AlertRaised{AlertRaised: &eventv1.AlertRaised{Rule: "by hand"}}},
	})
	must(t, err)
	return acks[0].Position
}
