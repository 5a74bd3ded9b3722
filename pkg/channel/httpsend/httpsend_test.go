package httpsend_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
)

func post(ctx context.Context, t *testing.T, url string) (status int, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("Body=Hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpsend.Do(httpsend.Client(&http.Transport{DisableKeepAlives: true}), r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestAnAnswerIsHandedOnAndARedirectNotFollowed(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	status, err := post(t.Context(), t, server.URL)
	if err != nil || status != http.StatusTemporaryRedirect || calls != 1 {
		t.Errorf("answer %d, error %v, %d calls", status, err, calls)
	}
}

func TestWhatDidNotConnectWasCertainlyNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = post(t.Context(), t, "http://"+addr+"/secret")
	if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsCutOffMayHaveBeenSent(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"at once":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"in the answer":  func(w http.ResponseWriter, _ *http.Request) { hijack(w, "HTTP/1.1 20") },
		"with gibberish": func(w http.ResponseWriter, _ *http.Request) { hijack(w, "220 ready\r\n") },
		"without a byte": func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handle)
			defer server.Close()
			if _, err := post(t.Context(), t, server.URL); !errors.Is(err, channel.ErrUnknown) || errors.Is(err, channel.ErrRetry) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func hijack(w http.ResponseWriter, say string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_, _ = conn.Write([]byte(say))
		_ = conn.Close()
	}
}

func TestWhatHangsMayHaveBeenSent(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices only then that the caller has gone
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := post(ctx, t, server.URL); !errors.Is(err, channel.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

func TestAProviderSaysWhenToComeAgain(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"7": 7 * time.Second, "Sun, 01 Mar 2026 12:01:00 GMT": time.Minute, "Sun, 01 Mar 2020 12:01:00 GMT": 0,
		"99999999999": 24 * time.Hour, "": -1, "soon": -1, "-3": -1,
	} {
		err := httpsend.Later(&http.Response{Status: "429 Too Many Requests", Header: http.Header{"Retry-After": {text}}}, now)
		got := time.Duration(-1)
		var later interface{ RetryAfter() time.Duration }
		if errors.As(err, &later) {
			got = later.RetryAfter()
		}
		if got != want || !errors.Is(err, channel.ErrRetry) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
