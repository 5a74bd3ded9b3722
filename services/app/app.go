// Package app puts Skein together: it reads the configuration, knows which parts a process is made of, and is the only
// place that names concrete engines. It holds no logic of any part.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/lifecycle"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/services/admin"
	"github.com/skein-cx/skein/services/alerts"
	"github.com/skein-cx/skein/services/analytics/warehouse"
	"github.com/skein-cx/skein/services/channels/web/chat"
	"github.com/skein-cx/skein/services/directory"
	"github.com/skein-cx/skein/services/files"
	"github.com/skein-cx/skein/services/linker"
	"github.com/skein-cx/skein/services/outbound"
	"github.com/skein-cx/skein/services/search"
	"github.com/skein-cx/skein/services/timeline"
	"github.com/skein-cx/skein/services/timers"
	"github.com/skein-cx/skein/services/webhooks"
)

// App is one process of Skein.
type App struct {
	cfg      Config
	roles    []string
	started  time.Time
	logger   *slog.Logger
	registry *prometheus.Registry
	broken   chan error // a part that cannot go on, outside of its Run

	keyring    *event.Keyring
	room       *room
	broker     *embedded.Broker
	log        *kafkalog.Log
	store      kv.Store
	blobs      *blob.Store
	intake     *intake.Intake
	slices     readModels
	hub        *timeline.Hub
	live       *live.Hub
	auth       *auth.Authenticator
	grpc       *rpc.Server
	grpcPort   net.Listener
	http       *http.Server
	httpPort   net.Listener
	mux        *http.ServeMux
	endpoints  endpoints                   // of channels, on the mux
	channels   map[string][]admin.Channel  // by role
	redrivers  map[string]channel.Redriver // by provider
	trial      channel.Host                // in the place of intake, where nothing is published
	deliveries *webhook.Metrics            // once registered
	chat       *chat.Channel
	webhooks   *webhooks.Service
	outbound   *outbound.Service
	files      *files.Service
	links      *links
	search     *search.Service
	timers     *timers.Service
	policies   *timers.Worker
	linker     *linker.Service
	books      *directory.Directory
	floor      *floor
	alerts     *alerts.Worker
	warehouse  *warehouse.Warehouse
	analytics  *analytics
	console    *served
	socials    map[string]*social // by the name of their inboxes' channel
}

// New makes a process of the roles. The configuration must be free of problems.
func New(cfg Config, roles []string, logger *slog.Logger) (*App, error) {
	if problems := cfg.Verify(roles); len(problems) > 0 {
		return nil, &ConfigError{Problems: problems}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &App{
		cfg: cfg, roles: roles, started: time.Now(), logger: logger, registry: registry, broken: make(chan error, 1),
		slices: newReadModels(), channels: map[string][]admin.Channel{}, redrivers: map[string]channel.Redriver{},
	}, nil
}

// ConfigError is a configuration that cannot work.
type ConfigError struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *ConfigError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, "the configuration cannot work:")
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// Run starts the process and serves until ctx ends. ready is called once every part has started.
func (a *App) Run(ctx context.Context, ready func()) error {
	parts, err := lifecycle.Resolve(a.graph(), a.roles...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-a.broken:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	err = lifecycle.Run(ctx, parts, lifecycle.Options{Logger: a.logger, StopTimeout: a.cfg.Stop, Ready: func() {
		if a.grpc != nil {
			a.grpc.Ready()
		}
		if ready != nil {
			ready()
		}
	}})
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// fail ends the process because of an error that no caller gets.
func (a *App) fail(err error) {
	select {
	case a.broken <- err:
	default: // it is ending already
	}
}

// GRPCAddr is where the gRPC server listens, once the process is ready.
func (a *App) GRPCAddr() string { return a.grpcPort.Addr().String() }

// HTTPAddr is where the HTTP server listens, once the process is ready.
func (a *App) HTTPAddr() string { return a.httpPort.Addr().String() }

// KafkaAddrs is where the log is.
func (a *App) KafkaAddrs() []string {
	if a.cfg.embeddedLog() {
		return []string{a.broker.Addr()}
	}
	return a.cfg.Log.Kafka
}

// NewLogger makes the logger that the configuration asks for.
func NewLogger(cfg LoggingConfig, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return nil, fmt.Errorf("config: logging.level: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return slog.New(slog.NewTextHandler(w, options)), nil
}

// Topics are the topics of the log, as Skein creates and expects them.
func Topics(partitions int) []eventlog.Topic {
	return []eventlog.Topic{
		{Name: event.TopicInteractions, Partitions: partitions},
		{Name: event.TopicAgents, Partitions: partitions},
		{Name: event.TopicLinks, Partitions: partitions},
		{Name: event.TopicDirectory, Partitions: partitions},
		{Name: event.TopicAlerts, Partitions: partitions},
		{Name: event.TopicDead, Partitions: partitions, Retention: deadRetention},
		{Name: live.Topic, Partitions: live.Partitions, Retention: live.Retention}, // which is not part of the log of truth
	}
}

// Address is where the process listens.
type Address struct{ What, Addr string }

// Addresses are where the process listens, once it is ready. Channels tell of theirs themselves.
func (a *App) Addresses() []Address {
	var list []Address
	if a.broker != nil {
		list = append(list, Address{"kafka", a.broker.Addr()})
	}
	if a.grpcPort != nil {
		list = append(list, Address{"grpc", a.GRPCAddr()})
	}
	if a.httpPort != nil {
		list = append(list, Address{"http", a.HTTPAddr()})
	}
	if a.console != nil {
		list = append(list, Address{"console", "http://" + a.HTTPAddr() + "/"})
	}
	return list
}
