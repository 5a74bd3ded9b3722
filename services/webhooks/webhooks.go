// Package webhooks hands events to the endpoints of tenants over HTTPS: each as a CloudEvent 1.0 in JSON, signed by the
// Standard Webhooks scheme, at least once, those of a thread in order. An endpoint that fails for a day is switched off and
// keeps its place; the others never notice. It never changes an event, and follows no redirect, and reaches no address
// that is not public.
package webhooks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Namespace is where the state of the endpoints is kept. It is no read model: it cannot be built again from the log.
var Namespace = kv.Namespace{Slice: "webhooks"} //nolint:gochecknoglobals // a constant

// ErrUnknownEndpoint means that no endpoint of this name is configured.
var ErrUnknownEndpoint = errors.New("webhooks: unknown endpoint")

// Groups shares partitions among processes, and keeps how far they have come.
type Groups interface {
	eventlog.Groups
	// Committed tells how far a group has come in each of its topic's partitions, where it has.
	Committed(ctx context.Context, group, topic string, partitions int) (map[int32]int64, error)
}

// DeadLetters keeps what can never be sent.
type DeadLetters interface {
	// Publish returns when all letters are durable.
	Publish(ctx context.Context, letters ...*eventv1.DeadLetter) error
}

// Config is what a Service works with. Log, Groups, Store and DeadLetters must be set.
type Config struct {
	Log         eventlog.Log
	Groups      Groups
	Store       kv.Store
	DeadLetters DeadLetters
	Endpoints   []Endpoint
	// AllowPrivate lets endpoints be reached by plain HTTP and at addresses that are not public. It is for tests.
	AllowPrivate bool
	// RootCAs are the authorities that endpoints' certificates are checked against; nil for the system's.
	RootCAs *x509.CertPool
	// Timeout is how long an endpoint may take to answer. 15 s unless set.
	Timeout time.Duration
	// FirstRetry and LastRetry are how long to wait after the first failure and at most, while the pause doubles, a little
	// more or less each time. 1 s and 5 min unless set.
	FirstRetry, LastRetry time.Duration
	// GiveUp is how long an event may fail until its endpoint is switched off. 24 h unless set.
	GiveUp time.Duration
	// Recheck is how often an endpoint that is off looks whether another process has switched it on. 10 s unless set.
	Recheck time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		set  *time.Duration
		unit time.Duration
	}{
		{&c.Timeout, 15 * time.Second},
		{&c.FirstRetry, time.Second},
		{&c.LastRetry, 5 * time.Minute},
		{&c.GiveUp, 24 * time.Hour},
		{&c.Recheck, 10 * time.Second},
	} {
		if *d.set == 0 {
			*d.set = d.unit
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Service delivers to all endpoints. Its methods are safe for concurrent use.
type Service struct {
	cfg       Config
	endpoints map[string]*worker
}

// New checks the endpoints and gives those that are new their place in the log: behind what it holds now, or before all of
// it where they ask for that. One of which only the store knows nothing any more goes on where its group has committed.
// What is appended after New has returned is delivered. Run delivers.
func New(ctx context.Context, cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	if problems := Verify(cfg.Endpoints, cfg.AllowPrivate); len(problems) > 0 {
		return nil, fmt.Errorf("webhooks: endpoint %d, %s", problems[0].Endpoint, problems[0])
	}
	s := &Service{cfg: cfg, endpoints: make(map[string]*worker, len(cfg.Endpoints))}
	for _, e := range cfg.Endpoints {
		w, err := newWorker(&s.cfg, e)
		if err == nil {
			err = w.place(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("webhooks: endpoint %q: %w", e.ID, err)
		}
		s.endpoints[e.ID] = w
	}
	return s, nil
}

// Run delivers until ctx ends, and then returns nil.
func (s *Service) Run(ctx context.Context) error {
	done := make(chan struct{})
	for _, w := range s.endpoints {
		go func() {
			w.run(ctx)
			done <- struct{}{}
		}()
	}
	for range s.endpoints {
		<-done
	}
	<-ctx.Done()
	return nil
}

// Status tells how the configured endpoints are, in the order of the configuration.
func (s *Service) Status(ctx context.Context) ([]Status, error) {
	list := make([]Status, 0, len(s.cfg.Endpoints))
	for _, e := range s.cfg.Endpoints {
		status, err := s.endpoints[e.ID].status(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, status)
	}
	return list, nil
}

// StatusOf tells how an endpoint is.
func (s *Service) StatusOf(ctx context.Context, id string) (Status, error) {
	w, ok := s.endpoints[id]
	if !ok {
		return Status{}, fmt.Errorf("%w %q", ErrUnknownEndpoint, id)
	}
	return w.status(ctx)
}

// SwitchOn lets an endpoint go on where it stopped, and gives it a whole GiveUp again. One that is on is left as it is.
func (s *Service) SwitchOn(ctx context.Context, id string) error {
	w, ok := s.endpoints[id]
	if !ok {
		return fmt.Errorf("%w %q", ErrUnknownEndpoint, id)
	}
	if err := w.state.switchOn(ctx); err != nil {
		return fmt.Errorf("webhooks: switch on %q: %w", id, err)
	}
	w.wake()
	return nil
}

// SwitchOff stops deliveries to an endpoint, which keeps its place. One that is off keeps its reason, too.
func (s *Service) SwitchOff(ctx context.Context, id, reason string) error {
	w, ok := s.endpoints[id]
	if !ok {
		return fmt.Errorf("%w %q", ErrUnknownEndpoint, id)
	}
	if err := w.switchOff(ctx, reason); err != nil {
		return fmt.Errorf("webhooks: switch off %q: %w", id, err)
	}
	return nil
}
