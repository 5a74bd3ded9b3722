package alerts

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider, inbox and thread under which alerts are published.
const (
	provider = "skein"
	inbox    = "skein"
	thread   = "alerts"
)

// BoardNews is a piece of news of a board. Only queues and agents are looked at.
type BoardNews struct {
	// Reset says that what was told before does not count: the board follows as a whole, until one that is Complete.
	Reset, Complete bool
	// Rows are as they are now, Removed are no more; of those only ids are read.
	Rows, Removed *boardv1.Rows
}

// Board is the live board. It is safe for concurrent use.
type Board interface {
	// Follow yields a tenant's board as it is, the first news with Reset, and then what changes, until ctx ends or yield fails. Counts are
	// those since midnight of each queue.
	Follow(ctx context.Context, tenant string, yield func(BoardNews) error) error
}

// Host publishes alerts. An intake does.
type Host interface {
	// Submit appends events to the log and returns when all are durable.
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error)
}

// Config is what a Worker works with. Alerts, Board, Host and Log must be set.
type Config struct {
	// Rules may be nil: then what is raised is cleared.
	Rules  *Rules
	Alerts *Alerts
	Board  Board
	Host   Host
	Log    eventlog.Log
	// Settle is how long this process believes others: that an alert is over which it would raise again, or is raised for what it cannot see.
	// 5 s unless set.
	Settle time.Duration
	// Retry is how long to wait after a failure. 1 s unless set.
	Retry time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Worker raises and clears alerts. Any number of processes may run one.
type Worker struct {
	cfg Config

	mu    sync.Mutex
	desks map[string]*desk
}

// desk is where one tenant's alerts are decided upon.
type desk struct {
	tenant string
	wake   chan struct{}

	mu     sync.Mutex
	engine *engine
}

// NewWorker makes a worker. Run runs it.
func NewWorker(cfg Config) *Worker {
	cfg.Settle, cfg.Retry = cmp.Or(cfg.Settle, 5*time.Second), cmp.Or(cfg.Retry, time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rules == nil {
		cfg.Rules = &Rules{}
	}
	return &Worker{cfg: cfg, desks: map[string]*desk{}}
}

// Run raises and clears alerts until ctx ends, and then returns nil. What fails is tried again.
func (w *Worker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.await(ctx)
		if err == nil {
			break
		}
		w.failed(ctx, "the alerts that are raised cannot be read, trying again", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, tenant := range slices.Sorted(maps.Keys(w.cfg.Rules.of)) {
		d := w.open(ctx, g, tenant)
		g.Go(func() error {
			w.follow(ctx, d)
			return nil
		})
	}
	follower := &projection.Follower{
		Store: w.cfg.Alerts.store, Slice: Slice, Topic: event.TopicAlerts, Partitions: w.cfg.Alerts.partitions, Progress: w.cfg.Alerts.progress, Logger: w.cfg.Logger,
	}
	g.Go(func() error {
		return follower.Run(ctx, func(ctx context.Context, p projection.Pass) error { return w.load(ctx, g, p) })
	})
	return g.Wait()
}

// await returns once the read model has what the log holds by now, so that nothing is told twice.
func (w *Worker) await(ctx context.Context) error {
	var ends []eventlog.Position
	for p := range int32(w.cfg.Alerts.partitions) {
		first, next, err := w.cfg.Log.Bounds(ctx, event.TopicAlerts, p)
		if err != nil {
			return fmt.Errorf("alerts: find the end of the log: %w", err)
		}
		if next > first {
			ends = append(ends, eventlog.Position{Topic: event.TopicAlerts, Partition: p, Offset: next - 1})
		}
	}
	return w.cfg.Alerts.Wait(ctx, ends...)
}

func (w *Worker) failed(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	w.cfg.Logger.WarnContext(ctx, what, "in", w.cfg.Retry, "error", err)
	pause(ctx, w.cfg.Retry, nil)
}

// pause waits; it returns early when ctx ends or something wakes it.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// open gives a tenant's desk, at which somebody works from then on.
func (w *Worker) open(ctx context.Context, g *errgroup.Group, tenant string) *desk {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.desks[tenant]
	if d == nil {
		d = &desk{tenant: tenant, wake: make(chan struct{}, 1), engine: newEngine(w.cfg.Rules.of[tenant], w.cfg.Settle)}
		w.desks[tenant] = d
		g.Go(func() error {
			w.work(ctx, d)
			return nil
		})
	}
	return d
}

// change changes what is known at a desk.
func (d *desk) change(change func(*engine)) {
	d.mu.Lock()
	change(d.engine)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// follow follows a tenant's board.
func (w *Worker) follow(ctx context.Context, d *desk) {
	for ctx.Err() == nil {
		err := w.cfg.Board.Follow(ctx, d.tenant, func(n BoardNews) error {
			d.change(func(e *engine) { e.take(n, w.cfg.Now()) })
			return ctx.Err()
		})
		d.change((*engine).lost)
		w.failed(ctx, "a board cannot be followed for alerts, trying again", err)
	}
}

// load takes over what is raised, of all tenants: also of those that have no rules any more.
func (w *Worker) load(ctx context.Context, g *errgroup.Group, p projection.Pass) error {
	all, err := standings(ctx, p)
	if err != nil {
		return err
	}
	for tenant, is := range all {
		if len(is.active) > 0 {
			w.open(ctx, g, tenant)
		}
	}
	w.mu.Lock()
	desks := slices.Collect(maps.Values(w.desks))
	w.mu.Unlock()
	for _, d := range desks {
		d.change(func(e *engine) { e.load(all[d.tenant], p.Until, w.cfg.Now()) })
	}
	return nil
}

// idle is after how long a desk looks at the clock where it has no deadline.
const idle = time.Minute

// work tells what is to be told at a desk.
func (w *Worker) work(ctx context.Context, d *desk) {
	for ctx.Err() == nil {
		d.mu.Lock()
		now := w.cfg.Now()
		tasks, next := d.engine.tasks(now)
		d.mu.Unlock()
		if len(tasks) > 0 {
			if err := w.publish(ctx, d, tasks); err != nil {
				w.failed(ctx, "alerts cannot be published, trying again", err)
			}
			continue
		}
		wait := idle
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(now), time.Millisecond))
		}
		pause(ctx, wait, d.wake)
	}
}

// publish publishes tasks of one tenant. One that can be no event keeps no other out.
func (w *Worker) publish(ctx context.Context, d *desk, tasks []task) error {
	submissions := make([]*eventv1.Submission, len(tasks))
	for n, t := range tasks {
		submissions[n] = t.submission()
	}
	acks, err := w.cfg.Host.Submit(ctx, d.tenant, submissions...)
	if _, invalid := errors.AsType[*event.InvalidError](err); invalid && len(tasks) > 1 {
		for n := range tasks {
			if err := w.publish(ctx, d, tasks[n:n+1]); err != nil {
				return err
			}
		}
		return nil
	} else if invalid {
		w.cfg.Logger.ErrorContext(ctx, "an alert cannot be published", "tenant", d.tenant, "rule", tasks[0].rule, "queue", tasks[0].queue, "agent", tasks[0].agent, "error", err)
		d.change(func(e *engine) { e.silence(tasks[0], w.cfg.Now()) })
		return nil
	}
	if err != nil {
		return fmt.Errorf("alerts: publish %d alerts of tenant %q: %w", len(tasks), d.tenant, err)
	}
	d.change(func(e *engine) {
		for n, t := range tasks {
			e.done(t, acks[n].EventID, acks[n].Position, w.cfg.Now())
		}
	})
	for _, t := range tasks {
		w.cfg.Metrics.told(t)
	}
	return nil
}

// submission is the event of a task.
func (t task) submission() *eventv1.Submission {
	s := &eventv1.Submission{
		Provider: provider, Inbox: inbox, Thread: thread, OccurredAt: timestamppb.New(t.at), Queue: t.queue,
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM},
	}
	if t.raised != nil {
		s.Type, s.NativeId = event.TypeAlertRaised, "raised:"+hex.EncodeToString(t.hash(t.last))
		s.Content = &eventv1.Content{Body: &eventv1.Content_AlertRaised{AlertRaised: t.raised}}
		return s
	}
	s.Type, s.NativeId, s.CausationId = event.TypeAlertCleared, "cleared:"+t.cleared.GetRaisedEventId(), t.cleared.GetRaisedEventId()
	s.Content = &eventv1.Content{Body: &eventv1.Content_AlertCleared{AlertCleared: t.cleared}}
	return s
}

// Metrics counts what is published; a nil Metrics counts nothing.
type Metrics struct{ alerts *prometheus.CounterVec }

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_alerts_published_total",
		Help: "Alerts that this process has published, by type of the event and kind of the rule. Of several processes that publish one, the first counts.",
	}, []string{"type", "kind"})}
	r.MustRegister(m.alerts)
	return m
}

func (m *Metrics) told(t task) {
	if m == nil {
		return
	}
	typ := event.TypeAlertCleared
	if t.raised != nil {
		typ = event.TypeAlertRaised
	}
	m.alerts.WithLabelValues(typ, t.kind.String()).Inc()
}
