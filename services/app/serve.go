package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof" // what it puts into the default mux is served nowhere
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/pubsub"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/admin"
	"github.com/skein-cx/skein/services/blobs"
	"github.com/skein-cx/skein/services/deadletters"
	"github.com/skein-cx/skein/services/ingest"
	"github.com/skein-cx/skein/services/timeline"
)

// listen claims a port; setting is the key that a person would change.
func listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process: stop that one, or set %s to another address", addr, setting)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", addr, setting, err)
	}
	return l, nil
}

func (a *App) listenGRPC(ctx context.Context) error {
	var err error
	if a.auth, err = auth.New(a.cfg.tokens(), auth.Identity{Tenant: a.cfg.Tenant, Name: "local", Admin: true}); err != nil {
		return err
	}
	if a.grpcPort, err = listen(ctx, "grpc.addr", a.cfg.GRPC.Addr); err != nil {
		return err
	}
	a.grpc, err = rpc.NewServer(rpc.Config{Authenticator: a.auth, Registerer: a.registry, Logger: a.logger, Decoder: ingest.Decode, Version: a.cfg.Version})
	if err != nil {
		return errors.Join(err, a.grpcPort.Close())
	}
	rest, err := a.grpc.REST(ctx, authv1.RegisterAuthServiceHandler, ingestv1.RegisterIngestServiceHandler, timelinev1.RegisterTimelineServiceHandler,
		customerv1.RegisterCustomerServiceHandler, conversationv1.RegisterConversationServiceHandler,
		searchv1.RegisterSearchServiceHandler, channelv1.RegisterChannelServiceHandler, directoryv1.RegisterDirectoryServiceHandler,
		agentv1.RegisterAgentServiceHandler, boardv1.RegisterBoardServiceHandler, boardv1.RegisterAlertServiceHandler,
		staffingv1.RegisterStaffingServiceHandler, analyticsv1.RegisterAnalyticsServiceHandler)
	if err != nil {
		return errors.Join(err, a.grpcPort.Close())
	}
	a.mux.Handle("/v1/", rest)
	return nil
}

func (a *App) serveGRPC(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- a.grpc.Serve(a.grpcPort) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (a *App) stopGRPC(ctx context.Context) error {
	a.grpc.Stop(ctx)
	if err := a.grpcPort.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the gRPC port: %w", err)
	}
	return nil
}

func (a *App) registerIngest(context.Context) error {
	ingest.NewServer(a.intake).Register(a.grpc)
	return nil
}

// openBlobService serves files to those who may see them.
func (a *App) openBlobService(context.Context) error {
	service := blobs.New(blobs.Config{Store: a.blobs, Host: a.intake})
	blobs.NewServer(service).Register(a.grpc)
	service.Mount(a.mux, func(h http.Handler) http.Handler { return rpc.Authenticated(a.auth, h) })
	return nil
}

func (a *App) registerTimeline(ctx context.Context) error {
	partitions, err := a.log.Partitions(ctx, event.TopicInteractions)
	if err != nil {
		return err
	}
	a.hub = timeline.NewHub(a.store, event.TopicInteractions, partitions, a.slices.progress(timeline.Slice), a.logger)
	timeline.NewServer(a.store, a.keyring, a.slices.progress(timeline.Slice), a.hub, a.links.ofTimeline()).Register(a.grpc)
	return nil
}

func (a *App) followTimeline(ctx context.Context) error { return a.hub.Run(ctx) }

func (a *App) openLive(ctx context.Context) error {
	hub, err := live.NewHub(live.Config{Log: a.log, Registerer: a.registry, Logger: a.logger})
	if err != nil {
		return err
	}
	a.live = hub
	return hub.Open(ctx)
}

func (a *App) runLive(ctx context.Context) error { return a.live.Run(ctx) }

func (a *App) registerAdmin(context.Context) error {
	var topics []string
	for _, t := range Topics(a.cfg.Log.Partitions) {
		topics = append(topics, t.Name)
	}
	operated := make(map[string]admin.Slice, len(a.slices))
	for _, s := range a.slices {
		operated[s.name] = admin.Slice{Topic: s.topic, Manager: s.manager}
	}
	admin.NewServer(admin.Config{
		Log: a.log, Store: a.store, Topics: topics, Channels: a.openChannels, Slices: operated, Tables: a.analytics.tables(),
		Settings: a.cfg.inForce(), Process: a.process(),
	}).Register(a.grpc)
	letters := deadletters.New(deadletters.Config{
		Log: a.log, Publisher: pubsub.NewPublisher(a.log), Host: a.intake, Blobs: a.blobs, Redrivers: a.redrivers,
	})
	deadletters.NewServer(letters).Register(a.grpc)
	return nil
}

func (a *App) listenHTTP(ctx context.Context) error {
	var err error
	if a.httpPort, err = listen(ctx, "http.addr", a.cfg.HTTP.Addr); err != nil {
		return err
	}
	a.mux = http.NewServeMux()
	a.endpoints.mux = a.mux
	a.mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("alive\n")) })
	a.mux.HandleFunc("GET /readyz", a.readyz)
	if a.cfg.Debug.Profiles {
		a.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		a.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	a.http = &http.Server{Handler: a.mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	return nil
}

// readyz answers 200 while the process takes work, and says why where it does not.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) {
	if a.room != nil {
		if err := a.room.check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	if a.grpc != nil {
		answer, err := a.grpc.Health.Check(r.Context(), &healthv1.HealthCheckRequest{})
		if err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = w.Write([]byte("ready\n")) // the caller may be gone
}

func (a *App) serveHTTP(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- a.http.Serve(a.httpPort) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (a *App) stopHTTP(ctx context.Context) error {
	if err := a.http.Shutdown(ctx); err != nil {
		return err
	}
	if err := a.httpPort.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the HTTP port: %w", err)
	}
	return nil
}
