package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/cenkalti/backoff/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/time/rate"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/pubsub"
)

// worker delivers to one endpoint.
type worker struct {
	Endpoint
	cfg    *Config
	state  *state
	signer *standardwebhooks.Webhook
	client *http.Client
	pace   *rate.Limiter
	logger *slog.Logger
	on     chan struct{} // holds a token when the endpoint may have been switched on

	mu   sync.Mutex
	stop context.CancelFunc // ends the deliveries under way
}

func newWorker(cfg *Config, e Endpoint) (*worker, error) {
	s, err := signer(e.Secret)
	if err != nil {
		return nil, err
	}
	if e.PerSecond == 0 {
		e.PerSecond = 100
	}
	cfg.Metrics.endpoint(e.ID)
	return &worker{
		Endpoint: e, cfg: cfg, state: &state{store: cfg.Store, endpoint: e.ID}, signer: s, client: newClient(cfg),
		pace:   rate.NewLimiter(rate.Limit(e.PerSecond), 1),
		logger: cfg.Logger.With("endpoint", e.ID, "tenant", e.Tenant), on: make(chan struct{}, 1), stop: func() {},
	}, nil
}

// group is the name of the consumer group of all processes that deliver to the endpoint.
func (w *worker) group() string { return "skein.webhooks." + w.ID }

// place gives the endpoint its place in each partition where it has none yet.
func (w *worker) place(ctx context.Context) error {
	for _, topic := range w.topics() {
		n, err := w.cfg.Log.Partitions(ctx, topic)
		if err != nil {
			return err
		}
		var missing []int32
		for p := range int32(n) {
			_, found, err := w.state.Load(ctx, topic, p)
			if err != nil {
				return err
			}
			if !found {
				missing = append(missing, p)
			}
		}
		if len(missing) == 0 {
			continue
		}
		committed, err := w.cfg.Groups.Committed(ctx, w.group(), topic, n)
		if err != nil {
			return err
		}
		for _, p := range missing {
			first, next, err := w.cfg.Log.Bounds(ctx, topic, p)
			if err != nil {
				return err
			}
			if at, ok := committed[p]; ok && at >= first && at <= next {
				next = at
			} else if w.FromStart {
				next = first
			}
			if err := w.state.place(ctx, topic, p, next); err != nil {
				return err
			}
		}
	}
	return nil
}

// status tells how the endpoint is.
func (w *worker) status(ctx context.Context) (Status, error) {
	status, err := w.state.status(ctx, w.topics())
	if err != nil {
		return Status{}, fmt.Errorf("webhooks: status of %q: %w", w.ID, err)
	}
	status.ID, status.Tenant, status.URL = w.ID, w.Tenant, w.URL
	for i, place := range status.Places {
		_, end, err := w.cfg.Log.Bounds(ctx, place.Next.Topic, place.Next.Partition)
		if err != nil {
			return Status{}, fmt.Errorf("webhooks: status of %q: %w", w.ID, err)
		}
		status.Places[i].Lag = max(end-place.Next.Offset, 0)
	}
	return status, nil
}

// run delivers until ctx ends, while the endpoint is on.
func (w *worker) run(ctx context.Context) {
	for w.wait(ctx) {
		delivering, stop := context.WithCancel(ctx)
		w.mu.Lock()
		w.stop = stop
		w.mu.Unlock()
		err := w.deliverAll(delivering)
		if delivering.Err() == nil {
			w.logger.WarnContext(ctx, "webhook deliveries stopped, trying again", "error", err)
			w.pause(ctx)
		}
		stop()
	}
	w.client.CloseIdleConnections()
}

// wait waits while the endpoint is off. It returns false when ctx has ended.
func (w *worker) wait(ctx context.Context) bool {
	for ctx.Err() == nil {
		off, err := w.state.off(ctx)
		if err != nil {
			w.logger.WarnContext(ctx, "a webhook's state cannot be read, trying again", "error", err)
		} else {
			w.cfg.Metrics.off(w.ID, off != nil)
			if off == nil {
				return true
			}
		}
		w.pause(ctx)
	}
	return false
}

// pause waits until the endpoint may have been switched on.
func (w *worker) pause(ctx context.Context) {
	timer := time.NewTimer(w.cfg.Recheck)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.on:
	case <-timer.C:
	}
}

func (w *worker) wake() {
	select {
	case w.on <- struct{}{}:
	default:
	}
}

// switchOff stops deliveries here and, at their next attempt, in other processes.
func (w *worker) switchOff(ctx context.Context, reason string) error {
	changed, err := w.state.switchOff(ctx, Off{At: w.cfg.Now().UTC(), Reason: reason})
	if err != nil {
		return err
	}
	if changed {
		w.logger.ErrorContext(ctx, "a webhook was switched off; it keeps its place until it is switched on again", "reason", reason)
	}
	w.cfg.Metrics.off(w.ID, true)
	w.halt()
	return nil
}

func (w *worker) halt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
}

// deliverAll runs Watermill's router until ctx ends.
func (w *worker) deliverAll(ctx context.Context) error {
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLoggerWithLevelMapping(w.logger, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelWarn, // a rejected message comes again
	}))
	if err != nil {
		return err
	}
	subscriber, err := pubsub.NewSubscriber(pubsub.Config{
		Log: w.cfg.Log, Group: w.group(), Groups: w.cfg.Groups, Offsets: w.state, Want: w.wanted, Logger: w.logger,
	})
	if err != nil {
		return err
	}
	poison, err := middleware.PoisonQueueWithFilter(undertaker{w}, event.TopicDead, unsendable)
	if err != nil {
		return err
	}
	router.AddMiddleware(
		middleware.Recoverer,
		middleware.CorrelationID,
		poison,
		middleware.Retry{
			MaxRetries: math.MaxInt32, InitialInterval: w.cfg.FirstRetry, MaxInterval: w.cfg.LastRetry, Multiplier: 2, RandomizationFactor: 0.2,
		}.Middleware,
		w.throttle,
		w.account,
	)
	for _, topic := range w.topics() {
		router.AddConsumerHandler(w.ID+" "+topic, topic, subscriber, w.deliver)
	}
	return errors.Join(router.Run(ctx), subscriber.Close())
}

// wanted tells whether the endpoint gets a record. What is no event is in the dead letters already: the read model met it.
func (w *worker) wanted(r eventlog.Record) bool {
	e, err := event.Decode(r.Value)
	return err == nil && e.GetTenant() == w.Tenant && wants(w.Types, e.GetType()) && (w.Backfill || !e.GetBackfill())
}

// deliver makes one attempt.
func (w *worker) deliver(m *message.Message) error {
	e, err := event.Decode(m.Payload)
	if err != nil {
		return &unsendableError{err}
	}
	middleware.SetCorrelationID(e.GetCorrelationId(), m)
	body, err := render(e, w.IncludeContent)
	if err != nil {
		return &unsendableError{err}
	}
	return w.post(m.Context(), e.GetId()+"_"+w.ID, body)
}

// throttle is a middleware that keeps to the endpoint's rate. Watermill's own waits even where the message's time has ended.
func (w *worker) throttle(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		if err := w.pace.Wait(m.Context()); err != nil {
			return nil, permanent(err)
		}
		return next(m)
	}
}

var errOff = errors.New("the endpoint is switched off")

// account is a middleware inside the one that tries again: it counts what came of an attempt, tells it which errors are for
// good, and switches the endpoint off.
func (w *worker) account(next message.HandlerFunc) message.HandlerFunc {
	next = middleware.Recoverer(next)
	return func(m *message.Message) ([]*message.Message, error) {
		return nil, w.attempt(m, next)
	}
}

func (w *worker) attempt(m *message.Message, next message.HandlerFunc) error {
	ctx := m.Context()
	off, err := w.state.off(ctx)
	if err != nil {
		return fmt.Errorf("webhooks: read the state: %w", err)
	}
	if off != nil { // another process did it
		w.halt()
		return permanent(errOff)
	}
	_, err = next(m)
	r, _ := pubsub.RecordOf(ctx)
	var (
		answer   *answerError
		panicked middleware.RecoveredPanicError
	)
	switch {
	case err == nil:
		w.cfg.Metrics.attempted(w.ID, outcomeDelivered)
		w.cfg.Metrics.delivered(w.ID, w.cfg.Now().Sub(r.Time))
		if err := w.state.succeeded(ctx, r.Position); err != nil { // an old failure is told from a new one by its offset
			w.logger.WarnContext(ctx, "a webhook's state cannot be written", "record", r.Position, "error", err)
		}
		return nil
	case ctx.Err() != nil: // this process ends, or the partition goes to another one
		return permanent(ctx.Err())
	case errors.As(err, &panicked):
		w.logger.ErrorContext(ctx, "a webhook delivery panicked", "record", r.Position, "panic", panicked.V, "stack", panicked.Stacktrace)
		err = &unsendableError{fmt.Errorf("panic: %v", panicked.V)}
		fallthrough
	case unsendable(err):
		w.cfg.Metrics.attempted(w.ID, outcomeDead)
		return permanent(err)
	case errors.As(err, &answer) && answer.status == http.StatusGone:
		w.cfg.Metrics.attempted(w.ID, outcomeGone)
		return w.giveUp(ctx, "it answered 410 Gone")
	}
	w.cfg.Metrics.attempted(w.ID, outcomeFailed)
	return w.failed(ctx, r.Position, err)
}

// failed notes a failure that may pass, until it has lasted too long.
func (w *worker) failed(ctx context.Context, p eventlog.Position, cause error) error {
	gap := 2 * (w.cfg.LastRetry + w.cfg.Timeout) // longer than between any two attempts: nobody tried meanwhile
	f, err := w.state.failed(ctx, p, w.cfg.Now().UTC(), cause, gap)
	if err != nil {
		return fmt.Errorf("webhooks: note a failure: %w", err)
	}
	if lasted := f.Last.Sub(f.Since); lasted >= w.cfg.GiveUp {
		return w.giveUp(ctx, fmt.Sprintf("%s failed for %s, %d times, the last time because %s", p, lasted.Round(time.Second), f.Attempts, f.Error))
	}
	level := slog.LevelDebug
	if f.Attempts == 1 {
		level = slog.LevelWarn
	}
	w.logger.Log(ctx, level, "a webhook delivery failed, trying again", "record", p, "attempts", f.Attempts, "error", cause)
	return cause
}

func (w *worker) giveUp(ctx context.Context, reason string) error {
	if err := w.switchOff(ctx, reason); err != nil {
		return fmt.Errorf("webhooks: switch off: %w", err)
	}
	return permanent(errOff)
}

// permanent tells the middleware that tries again not to.
func permanent(err error) error { return backoff.Permanent(err) }
