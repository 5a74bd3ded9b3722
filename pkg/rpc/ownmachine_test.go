package rpc_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// web serves REST, and beside it a handler that needs to know who calls, as a process of all roles does.
func web(t *testing.T, tokens ...auth.Token) http.Handler {
	t.Helper()
	authenticator, err := auth.New(tokens, auth.Identity{Tenant: "acme", Name: "local"})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	timelinev1.RegisterTimelineServiceServer(server, &service{answer: func(context.Context) error { return nil }})
	rest, err := server.REST(t.Context(), authv1.RegisterAuthServiceHandler, timelinev1.RegisterTimelineServiceHandler)
	if err != nil {
		t.Fatal(err)
	}
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	t.Cleanup(func() {
		server.Stop(t.Context())
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it may be over before it began
			t.Error(err)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/v1/", rest)
	mux.Handle("/v1/blobs", rpc.Authenticated(authenticator, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := auth.From(r.Context())
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, id.Tenant)
	})))
	return mux
}

// secret is the token "secret" of tenant acme.
func secret() auth.Token {
	hash := sha256.Sum256([]byte("secret"))
	return auth.Token{SHA256: hex.EncodeToString(hash[:]), Identity: auth.Identity{Tenant: "acme"}}
}

// ask makes a request as a program of this machine does, unless change makes it another.
func ask(handler http.Handler, path string, change func(*http.Request)) (code int, body string) {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:7080"+path, http.NoBody)
	r.RemoteAddr = "127.0.0.1:40000"
	change(r)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestWithoutTokensOnlyProgramsOfThisMachineCallByHTTP(t *testing.T) {
	open := web(t)
	guarded := web(t, secret())
	for _, c := range []struct {
		who    string
		change func(*http.Request)
		near   bool
	}{
		{"curl", func(*http.Request) {}, true},
		{"curl by name", func(r *http.Request) { r.Host = "localhost:7080" }, true},
		{"curl by IPv6", func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:7080", "[::1]:40000" }, true},
		{"a page of this server", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:7080") }, true},
		{"a name that was turned to this address", func(r *http.Request) { r.Host = "evil.example" }, false},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.7:40000" }, false},
		{"a tunnel that tells its name", func(r *http.Request) { r.Host = "abc.tunnel.example" }, false},
		{"a tunnel that tells for whom it asks", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.7") }, false},
		{"a proxy", func(r *http.Request) { r.Header.Set("Forwarded", "for=192.0.2.7") }, false},
		{"a page of another site", func(r *http.Request) {
			r.Method = http.MethodPost
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, false},
	} {
		for _, path := range []string{"/v1/whoami", "/v1/blobs"} {
			code, body := ask(open, path, c.change)
			if c.near && (code != http.StatusOK || !strings.Contains(body, "acme")) || !c.near && (code != http.StatusForbidden || !strings.Contains(body, "auth.tokens")) {
				t.Errorf("%s asks for %s: %d %s", c.who, path, code, body)
			}
			if code, body := ask(guarded, path, c.change); code == http.StatusForbidden {
				t.Errorf("%s asks for %s, where a token is needed: %d %s", c.who, path, code, body)
			}
			code, body = ask(guarded, path, func(r *http.Request) {
				c.change(r)
				r.Method = http.MethodGet
				r.Header.Set("Authorization", "Bearer secret")
			})
			if code != http.StatusOK || !strings.Contains(body, "acme") {
				t.Errorf("%s asks for %s with its token: %d %s", c.who, path, code, body)
			}
		}
	}
}
