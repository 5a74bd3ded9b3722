// Package rpc is the gRPC edge: a server with everything that every service needs (who calls, validation, errors as
// status codes, metrics, logs, recovery, health, reflection), so that services hold none of it.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/kv"
	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
)

const (
	// maxRequest is the greatest request, in bytes. Larger ones get RESOURCE_EXHAUSTED from grpc itself.
	maxRequest = 16 << 20
	// defaultDeadline is for calls that bring none.
	defaultDeadline = 30 * time.Second
)

// Config is what a server is made of.
type Config struct {
	Authenticator *auth.Authenticator
	Registerer    prometheus.Registerer
	Logger        *slog.Logger
	// Decoder may decode some requests in the place of Protobuf; nil leaves all to it.
	Decoder Decoder
	// Version of the program, for whoever asks.
	Version string
}

// Server is a gRPC server and the health that it tells.
type Server struct {
	*grpc.Server
	Health *health.Server
	edge   *edge
	local  []net.Listener // by which this process calls itself
}

// NewServer makes a server. Register services on it, then call Ready.
func NewServer(cfg Config) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("rpc: build the validator: %w", err)
	}
	e := &edge{auth: cfg.Authenticator, validator: validator, logger: cfg.Logger, stopping: make(chan struct{})}
	metrics := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		grpcprom.WithHistogramBuckets(prometheus.ExponentialBuckets(0.0005, 2, 16))))
	cfg.Registerer.MustRegister(metrics)
	recoverer := recovery.WithRecoveryHandlerContext(e.recovered)
	s := &Server{
		Server: grpc.NewServer(
			grpc.MaxRecvMsgSize(maxRequest),
			grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(grpcproto.Name), cfg.Decoder}),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
			grpc.ChainUnaryInterceptor(metrics.UnaryServerInterceptor(), e.unary, recovery.UnaryServerInterceptor(recoverer)),
			grpc.ChainStreamInterceptor(metrics.StreamServerInterceptor(), e.stream, recovery.StreamServerInterceptor(recoverer)),
		),
		Health: health.NewServer(),
		edge:   e,
	}
	s.Health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(s.Server, s.Health)
	authv1.RegisterAuthServiceServer(s.Server, whoami{open: cfg.Authenticator.Open(), version: cfg.Version})
	reflection.Register(s.Server)
	return s, nil
}

// Ready makes the health of the server and of every service on it SERVING.
func (s *Server) Ready() {
	s.Health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	for name := range s.GetServiceInfo() {
		s.Health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
}

// Stop says NOT_SERVING, ends streams with UNAVAILABLE, lets running calls end until ctx does, and then cuts them. It is
// called once.
func (s *Server) Stop(ctx context.Context) {
	s.Health.Shutdown()
	close(s.edge.stopping)
	done := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.Server.Stop()
		<-done
	}
}

var errStopping = errors.New("rpc: this process is stopping: connect again")

// edge is what every call passes.
type edge struct {
	auth      *auth.Authenticator
	validator protovalidate.Validator
	logger    *slog.Logger
	stopping  chan struct{} // closed when streams shall end
}

// open are the services that need no token: they tell no tenant's data.
func open(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.") || strings.HasPrefix(method, "/grpc.reflection.")
}

func (e *edge) identify(ctx context.Context, method string) (context.Context, error) {
	if open(method) {
		return ctx, nil
	}
	id, err := e.auth.Authenticate(lastToken(metadata.ValueFromIncomingContext(ctx, "authorization")))
	if err != nil {
		return ctx, err
	}
	return auth.With(ctx, id), nil
}

func (e *edge) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	ctx, err := e.identify(ctx, info.FullMethod)
	if err == nil {
		err = e.validate(req)
	}
	if err != nil {
		return nil, toStatus(ctx, e.logger, err)
	}
	resp, err := handler(kv.Job(ctx), req)
	return resp, toStatus(ctx, e.logger, err)
}

func (e *edge) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := e.identify(ss.Context(), info.FullMethod)
	if err != nil {
		return toStatus(ctx, e.logger, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-e.stopping:
			cancel(Unavailable(errStopping))
		case <-ctx.Done():
		}
	}()
	err = handler(srv, &validatedStream{ServerStream: ss, ctx: kv.Job(ctx), edge: e})
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStopping) {
		err = cause
	}
	return toStatus(ctx, e.logger, err)
}

func (e *edge) validate(req any) error {
	if m, ok := req.(proto.Message); ok {
		return e.validator.Validate(m)
	}
	return nil
}

func (e *edge) recovered(ctx context.Context, p any) error {
	e.logger.ErrorContext(ctx, "a call panicked", "panic", p, "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "an internal error; its cause is in the server's log")
}

// validatedStream validates what comes in, and carries who calls.
type validatedStream struct {
	grpc.ServerStream
	ctx  context.Context
	edge *edge
}

func (s *validatedStream) Context() context.Context { return s.ctx }

func (s *validatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.edge.validate(m)
}
