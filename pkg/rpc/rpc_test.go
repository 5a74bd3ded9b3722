package rpc_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/rpc"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// service answers as it is told.
type service struct {
	timelinev1.UnimplementedTimelineServiceServer
	answer func(context.Context) error
}

// Watch says that it has begun, and lasts until its context ends.
func (s *service) Watch(_ *timelinev1.WatchRequest, stream grpc.ServerStreamingServer[timelinev1.WatchResponse]) error {
	if err := stream.Send(&timelinev1.WatchResponse{Cursor: "begun"}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func (s *service) List(ctx context.Context, _ *timelinev1.ListRequest) (*timelinev1.ListResponse, error) {
	return &timelinev1.ListResponse{}, s.answer(ctx)
}

// start starts a server with the token "secret" of tenant acme; stop ends it.
func start(t *testing.T, answer func(context.Context) error, token string) (client timelinev1.TimelineServiceClient, stop func()) {
	t.Helper()
	hash := sha256.Sum256([]byte("secret"))
	authenticator, err := auth.New([]auth.Token{{SHA256: hex.EncodeToString(hash[:]), Identity: auth.Identity{Tenant: "acme"}}}, auth.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	timelinev1.RegisterTimelineServiceServer(server, &service{answer: answer})
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	conn, err := rpc.Dial(port.Addr().String(), token, nil)
	if err != nil {
		t.Fatal(err)
	}
	return timelinev1.NewTimelineServiceClient(conn), func() {
		t.Helper()
		server.Stop(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
		_ = conn.Close() // the server is gone
	}
}

// serve starts a server and makes one call.
func serve(t *testing.T, answer func(context.Context) error, token string, req *timelinev1.ListRequest) error {
	t.Helper()
	client, stop := start(t, answer, token)
	defer stop()
	_, err := client.List(t.Context(), req)
	return err
}

func valid() *timelinev1.ListRequest {
	return &timelinev1.ListRequest{ThreadIds: []string{"01adc27b-2a23-8c90-8bba-5a675b88a53f"}}
}

type limited struct{}

func (limited) Error() string             { return "slow down" }
func (limited) RetryAfter() time.Duration { return 3 * time.Second }

func TestEachErrorBecomesTheStatusThatSaysWhatTheCallerCanDo(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code codes.Code
	}{
		"wrong field":         {&event.InvalidError{Violations: []event.Violation{{Field: "a.b", Reason: "is missing"}}}, codes.InvalidArgument},
		"wrong token":         {rpc.InvalidField("page_token", errors.New("of another query")), codes.InvalidArgument},
		"too old":             {rpc.OutOfRange(errors.New("list again")), codes.OutOfRange},
		"rate":                {fmt.Errorf("intake: %w", limited{}), codes.ResourceExhausted},
		"log away":            {fmt.Errorf("append: %w", eventlog.ErrUnavailable), codes.Unavailable},
		"store away":          {fmt.Errorf("list: %w: secret cause", kv.ErrUnavailable), codes.Unavailable},
		"try again":           {fmt.Errorf("disk: %w", channel.ErrRetry), codes.Unavailable},
		"too large":           {fmt.Errorf("append: %w", eventlog.ErrTooLarge), codes.InvalidArgument},
		"deadline":            {fmt.Errorf("wait: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		"nobody knows":        {errors.New("secret cause"), codes.Internal},
		"a status of its own": {status.Error(codes.NotFound, "gone"), codes.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			err := serve(t, func(context.Context) error { return c.err }, "secret", valid())
			if status.Code(err) != c.code {
				t.Errorf("got %v, want %v", err, c.code)
			}
			if strings.Contains(rpc.Explain(err), "secret cause") {
				t.Error("the cause of an internal error went out")
			}
		})
	}
}

func TestWrongFieldsAndWaitsReachTheCaller(t *testing.T) {
	invalid := &event.InvalidError{Violations: []event.Violation{{Field: "submissions[2].inbox", Reason: "is missing"}}}
	err := serve(t, func(context.Context) error { return invalid }, "secret", valid())
	if rpc.Violations(err)["submissions[2].inbox"] != "is missing" || !strings.Contains(rpc.Explain(err), "submissions[2].inbox: is missing") {
		t.Errorf("got %v", rpc.Explain(err))
	}
	whole := &event.InvalidError{Violations: []event.Violation{{Reason: "there is nothing to send"}}}
	if said := rpc.Explain(serve(t, func(context.Context) error { return whole }, "secret", valid())); said != "InvalidArgument:\n  there is nothing to send" {
		t.Errorf("what is wrong with the whole is said as %q", said)
	}
	if _, again := rpc.RetryAfter(err); again {
		t.Error("a wrong field is said to be worth another try")
	}
	err = serve(t, func(context.Context) error { return limited{} }, "secret", valid())
	if wait, again := rpc.RetryAfter(err); !again || wait != 3*time.Second {
		t.Errorf("wait %v, again %v", wait, again)
	}
	err = serve(t, func(context.Context) error { return kv.ErrUnavailable }, "secret", valid())
	if wait, again := rpc.RetryAfter(err); !again || wait <= 0 {
		t.Errorf("the store is away: wait %v, again %v", wait, again)
	}
}

func TestRequestsAreValidatedBeforeTheServiceSeesThem(t *testing.T) {
	answer := func(context.Context) error { t.Error("the service was called"); return nil }
	err := serve(t, answer, "secret", &timelinev1.ListRequest{ThreadIds: []string{"no uuid"}, PageSize: -1})
	wrong := rpc.Violations(err)
	if status.Code(err) != codes.InvalidArgument || wrong["thread_ids[0]"] == "" || wrong["page_size"] == "" {
		t.Errorf("got %v", rpc.Explain(err))
	}
}

func TestACallNeedsAKnownToken(t *testing.T) {
	for _, token := range []string{"", "wrong"} {
		err := serve(t, func(context.Context) error { t.Error("the service was called"); return nil }, token, valid())
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("token %q: %v", token, err)
		}
	}
	var tenant string
	err := serve(t, func(ctx context.Context) error {
		id, err := auth.From(ctx)
		tenant = id.Tenant
		return err
	}, "secret", valid())
	if err != nil || tenant != "acme" {
		t.Errorf("tenant %q, %v", tenant, err)
	}
}

func TestAPanicEndsItsCallOnly(t *testing.T) {
	err := serve(t, func(context.Context) error { panic("a bug") }, "secret", valid())
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "a bug") {
		t.Errorf("got %v", err)
	}
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	err := serve(t, func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		return nil
	}, "secret", valid())
	if err != nil {
		t.Error(err)
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	client, stop := start(t, nil, "secret")
	stream, err := client.Watch(t.Context(), &timelinev1.WatchRequest{ThreadIds: valid().GetThreadIds()})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetCursor() != "begun" {
		t.Fatalf("%v, %v", m, err)
	}
	stop()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}
