package httpfetch_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

func get(t *testing.T, client *http.Client, url string, most int64) (*channel.FetchedFile, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Token", "secret")
	return httpfetch.Do(client, r, most)
}

func TestAFileComesWithItsTypeAndName(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png; charset=binary")
		w.Header().Set("Content-Disposition", `attachment; filename="kettle.png"`)
		_, _ = io.WriteString(w, "picture")
	}))
	defer server.Close()
	f, err := get(t, httpfetch.Client(true), server.URL, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Body.Close()
	body, err := io.ReadAll(f.Body)
	if err != nil || string(body) != "picture" || f.MediaType != "image/png" || f.Name != "kettle.png" {
		t.Errorf("%q, %v, %+v", body, err, f)
	}
}

func TestANameThatIsNoUTF8IsMadeValid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", "attachment; filename=\"K\xfcche.png\"")
	}))
	defer server.Close()
	f, err := get(t, httpfetch.Client(true), server.URL, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Body.Close()
	if f.Name != "K\uFFFDche.png" {
		t.Errorf("it is called %q", f.Name)
	}
}

func TestNothingIsFetchedFromThisMachinesOwnNetwork(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		_, err := get(t, httpfetch.Client(false), "http://"+host+port+"/latest/meta-data", 100)
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != httpfetch.CodeNotPublic {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestWhatIsTooLargeIsRefusedWhereverThatShows(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"at once": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "8")
			_, _ = io.WriteString(w, "12345678")
		},
		"in the middle": func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "12345678")
		},
	} {
		server := httptest.NewServer(handle)
		f, err := get(t, httpfetch.Client(true), server.URL, 7)
		if err == nil {
			_, err = io.ReadAll(f.Body)
			_ = f.Body.Close()
		}
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != httpfetch.CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	for status, again := range map[int]bool{
		http.StatusNotFound: false, http.StatusGone: false, http.StatusBadRequest: false,
		http.StatusTooManyRequests: true, http.StatusServiceUnavailable: true, http.StatusUnauthorized: true, http.StatusForbidden: true,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		}))
		_, err := get(t, httpfetch.Client(true), server.URL+"/secret", 7)
		var later interface{ RetryAfter() time.Duration }
		if errors.As(err, &later) && later.RetryAfter() != 7*time.Second {
			t.Errorf("%d: come again after %v", status, later.RetryAfter())
		}
		if errors.Is(err, channel.ErrRetry) != again || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
	}
}

func TestABodyThatBreaksOffIsWorthAnotherTry(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	}))
	defer server.Close()
	f, err := get(t, httpfetch.Client(true), server.URL, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Body.Close()
	if _, err := io.ReadAll(f.Body); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

func TestARedirectElsewhereGetsNoCredentials(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != "" {
			t.Error("it was told the token")
		}
		_, _ = io.WriteString(w, "picture")
	}))
	defer elsewhere.Close()
	at := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	server := httptest.NewServer(http.RedirectHandler(at, http.StatusFound))
	defer server.Close()
	f, err := get(t, httpfetch.Client(true), server.URL, 100)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Body.Close()
}

func TestAnAddressThatIsNoneOrInsideIsRefused(t *testing.T) {
	for source, code := range map[string]string{
		"media-1": "no_address", "file:///etc/passwd": "no_address", "https://user:secret@files.example/": "no_address", "ftp://files.example/a": "no_address",
		"http://files.example/": "no_address", "https://127.0.0.1:1/": httpfetch.CodeNotPublic, "https://169.254.169.254/latest": httpfetch.CodeNotPublic,
	} {
		_, err := httpfetch.NewPublic().Fetch(t.Context(), channel.RemoteFile{Source: source})
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != code {
			t.Errorf("%s: %v", source, err)
		}
	}
}
