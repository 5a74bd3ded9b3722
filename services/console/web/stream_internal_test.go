package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
)

// studio is a site with pages of a test's own.
type studio struct {
	*Site
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	log    bytes.Buffer
}

func (s *studio) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *studio) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func newStudio(t *testing.T, pages map[string]func(*Call) error) *studio {
	t.Helper()
	authenticator, err := auth.New(nil, auth.Identity{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	api, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := api.Local()
	if err != nil {
		t.Fatal(err)
	}
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = api.Serve(port) }()
	t.Cleanup(api.Server.Stop)
	s := &studio{t: t}
	s.Site, err = NewSite(Config{
		API: conn, Asset: func(name string) string { return name }, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.NewTextHandler(s, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, answer := range pages {
		mux.Handle("GET "+Prefix+path, s.Handle(answer))
	}
	guarded, err := s.Guard(mux)
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(guarded)
	t.Cleanup(s.server.Close)
	return s
}

// reply is an answer that is closed with the test.
type reply struct {
	StatusCode int
	Header     http.Header
	Body       io.ReadCloser
}

// follow opens a stream as the page's script does.
func (s *studio) follow(path string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+Prefix+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", streamType)
	answer, err := s.server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = answer.Body.Close() })
	return reply{answer.StatusCode, answer.Header, answer.Body}
}

// open is how many streams are open once there are that many.
func (s *studio) open(n float64) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for testutil.ToFloat64(s.metrics.streams) != n {
		select {
		case <-tick.C:
		case <-s.t.Context().Done():
			s.t.Fatalf("%v streams are open", testutil.ToFloat64(s.metrics.streams))
		}
	}
}

// waits sends what it is given, and then nothing until the stream ends.
func waits(news ...News) func(context.Context, string, func(News) error) error {
	return func(ctx context.Context, _ string, send func(News) error) error {
		for _, n := range news {
			if err := send(n); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestAStreamSendsPartsWithWhereToGoOn(t *testing.T) {
	t.Parallel()
	s := newStudio(t, map[string]func(*Call) error{"news": func(c *Call) error {
		return c.Stream(func(_ context.Context, cursor string, send func(News) error) error {
			if cursor != "c0" {
				return Bad("the cursor is " + cursor)
			}
			for _, n := range []News{
				{Cursor: "c1", Parts: []templ.Component{templ.Raw("<p>one\r\ntwo</p>"), templ.Raw("<p>three</p>")}}, {Cursor: "c2"}, {Cursor: "c3", Again: true},
			} {
				if err := send(n); err != nil {
					return err
				}
			}
			return nil
		})
	}})
	answer := s.follow("news?cursor=c0")
	sent, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := "id: c1\ndata: <p>one\ndata: two</p><p>three</p>\n\n" + "id: c2\nevent: checkpoint\ndata:\n\n" + "id: c3\nevent: again\ndata:\n\n"
	if string(sent) != want || answer.Header.Get("Content-Type") != streamType || answer.Header.Get("Content-Encoding") != "" || answer.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%q, %v", sent, answer.Header)
	}
	s.open(0)
}

func TestAStreamThatFailsAtOnceIsAnErrorAndOneThatFellTooFarBehindHasThePageLoadedAnew(t *testing.T) {
	t.Parallel()
	failing := func(err error) func(*Call) error {
		return func(c *Call) error {
			return c.Stream(func(context.Context, string, func(News) error) error { return err })
		}
	}
	s := newStudio(t, map[string]func(*Call) error{
		"forbidden": failing(status.Error(codes.PermissionDenied, "not yours")), "away": failing(status.Error(codes.Unavailable, "away")),
		"old": failing(status.Error(codes.OutOfRange, "too old")), "bad": failing(errors.New("broken")), "over": failing(status.Error(codes.Unauthenticated, "who?")),
		"late": func(c *Call) error {
			return c.Stream(func(_ context.Context, _ string, send func(News) error) error {
				return errors.Join(send(News{Cursor: "c1"}), errors.New("broken later"))
			})
		},
	})
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"forbidden": {http.StatusForbidden, "Your token does not allow this: not yours\n"},
		"away":      {http.StatusServiceUnavailable, "The server cannot answer this at the moment. Try again shortly. (away)\n"},
		"old":       {http.StatusOK, "event: again\ndata:\n\n"},
		"bad":       {http.StatusInternalServerError, "Something went wrong here. It was noted in the server's log.\n"},
		"over":      {http.StatusUnauthorized, "Your session is over. Sign in again: what you wrote is kept.\n"},
		"late":      {http.StatusOK, "id: c1\nevent: checkpoint\ndata:\n\n"},
	} {
		answer := s.follow(path)
		if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != want.code || string(body) != want.body {
			t.Errorf("%s: %d %q, %v", path, answer.StatusCode, body, err)
		}
	}
	if log := s.logged(); !strings.Contains(log, "broken later") {
		t.Errorf("the log says %q", log)
	}
}

func TestThatAPagePanicsIsAnErrorOfThatPageOnly(t *testing.T) {
	t.Parallel()
	s := newStudio(t, map[string]func(*Call) error{
		"page": func(*Call) error { panic("the page slipped") },
		"half": func(c *Call) error {
			_, _ = c.W.Write(bytes.Repeat([]byte("half a page "), 1000))
			panic("half of it slipped")
		},
		"stream": func(c *Call) error {
			return c.Stream(func(context.Context, string, func(News) error) error { panic("the stream slipped") })
		},
	})
	for _, path := range []string{"page", "stream"} {
		answer := s.follow(path)
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), "It was noted in the server's log.") {
			t.Errorf("%s: %d %q %v", path, answer.StatusCode, body, err)
		}
		if !strings.Contains(s.logged(), "the "+path+" slipped") {
			t.Errorf("the log does not say what happened to the %s: %s", path, s.logged())
		}
	}
	if _, err := io.ReadAll(s.follow("half").Body); err == nil {
		t.Error("half a page passes for a whole one")
	}
}

func TestAServerStopsAtOnceThoughStreamsAreOpen(t *testing.T) {
	t.Parallel()
	s := newStudio(t, map[string]func(*Call) error{"news": func(c *Call) error { return c.Stream(waits(News{Cursor: "c1"})) }})
	var open []reply
	for range 3 {
		open = append(open, s.follow("news"))
	}
	s.open(3)
	s.Close()
	if err := s.server.Config.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, answer := range open {
		if sent, err := io.ReadAll(answer.Body); err != nil || !strings.HasPrefix(string(sent), "id: c1\n") {
			t.Errorf("the stream ends with %q, %v", sent, err)
		}
	}
	s.open(0)
}

func TestAStoppingServerOpensNoStreams(t *testing.T) {
	t.Parallel()
	s := newStudio(t, map[string]func(*Call) error{"news": func(c *Call) error { return c.Stream(waits()) }})
	s.Close()
	if answer := s.follow("news"); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("it answers %d", answer.StatusCode)
	}
}

func TestAStreamEndsWithThePersonWhoLeavesOrReadsNothing(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	much := News{Parts: []templ.Component{templ.Raw(strings.Repeat("much to read ", 10000))}}
	s := newStudio(t, map[string]func(*Call) error{
		"quiet": func(c *Call) error {
			return c.Stream(func(ctx context.Context, cursor string, send func(News) error) error {
				err := waits(News{Cursor: "c1"})(ctx, cursor, send)
				ended <- err
				return err
			})
		},
		"much": func(c *Call) error {
			return c.Stream(func(_ context.Context, _ string, send func(News) error) error {
				for {
					if err := send(much); err != nil {
						ended <- err
						return err
					}
				}
			})
		},
	})
	s.reading = time.Second
	answer := s.follow("quiet")
	if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || line != "id: c1\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream of who left ends with %v", err)
	}
	s.follow("much") // and never read
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream of who reads nothing ends with %v", err)
	}
	s.open(0)
}
