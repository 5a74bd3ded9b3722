package browser_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// shop is a site of the company's, on an origin of its own, that has the widget on its pages. Its policy allows the widget nothing
// that it does not need.
type shop struct {
	*skeintest.Site
	server *skeintest.Process
	url    string

	mu       sync.Mutex
	breaches []string // of its policy
}

// strict is the policy, for Skein's address.
const strict = "default-src 'none'; script-src http://%[1]s; connect-src http://%[1]s ws://%[1]s; style-src 'self'; require-trusted-types-for 'script'; report-uri /breach"

// page is one of the shop. Its query is what stands in the widget's tag.
const page = `<!doctype html><html lang="%s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kettles</title><link rel="stylesheet" href="shop.css"><script src="http://%s/chat/v1/web/widget.js" async %s></script></head>
<body><main><h1>Kettles</h1><p>Blue, red, and <a href="#steel">steel</a>.</p><p><button>Buy</button></p></main></body></html>`

// css of the shop's, which must not reach into the widget.
const css = `html { font-size: 62.5%; } * { letter-spacing: 1px; } body { margin: 0; font: 1.6rem/1.5 serif; background: #fdf6ec; color: #222; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem; } button { background: #ffd900; border: 3px dashed; } p { margin: 3rem 0; }
@media (prefers-color-scheme: dark) { body { background: #1a1510; color: #eee; } a { color: #9cf; } }`

// openShop opens the shop and starts Skein for it; without a browser the test is skipped.
func openShop(t *testing.T) *shop {
	t.Helper()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	s := &shop{Site: skeintest.NewSite(t, binary)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		lang := "en"
		if l := r.URL.Query().Get("page"); l != "" {
			lang = l
		}
		w.Header().Set("Content-Security-Policy", fmt.Sprintf(strict, s.HTTP))
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, page, lang, s.HTTP, r.URL.Query().Get("tag")) //nolint:gosec // the test itself asks for it
	})
	mux.HandleFunc("GET /shop.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, css)
	})
	mux.HandleFunc("POST /breach", func(_ http.ResponseWriter, r *http.Request) {
		report, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.breaches = append(s.breaches, string(report))
	})
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		web.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range s.breaches {
			if !strings.Contains(b, "favicon.ico") {
				t.Errorf("the shop's policy was broken: %s", b)
			}
		}
	})
	s.url = web.URL
	config := filepath.Join(t.TempDir(), "skein.yaml")
	text := `inboxes: [{id: web, tenant: default, channel: web_chat, name: "Skein Home", origins: ["` + s.url + `", "` + s.insecure() + `"], max_file_bytes: 1000000, secret: "` + siteSecret + `"}]`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.server = s.Up("-c", config)
	return s
}

// siteSecret lets the shop sign tokens of its own.
const siteSecret = "the shop's own secret, 32 bytes at least" //nolint:gosec // for tests

// sign makes a token for a customer who is logged in: a JWT (RFC 7519), as any library makes it.
func sign(visitor string, expires time.Time) string {
	claims := fmt.Sprintf(`{"tenant":"default","widget":"web","visitor":%q,"thread":"t-%s","customer":"4711","exp":%d}`, visitor, visitor, expires.Unix())
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(siteSecret))
	_, _ = mac.Write([]byte(signed)) // a hash takes everything
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// insecure is the shop on an origin to which a browser gives no Web Locks.
func (s *shop) insecure() string { return strings.Replace(s.url, "127.0.0.1", "shop.test", 1) }

// visit opens the shop in a tab.
func (b tab) visit(s *shop, query string) {
	b.t.Helper()
	b.goTo(s.url + "/?" + query)
	b.wait("the button", `$("#launcher")`)
}

// chat opens the panel by a click.
func (b tab) chat() {
	b.t.Helper()
	b.click("#launcher")
	b.wait("connected", `$("#state").dataset.state === "online"`)
}

// skein calls the site's function.
func (b tab) skein(arguments string) {
	b.t.Helper()
	b.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.skein(`+arguments+`), true`))
		return chromedp.Void{}, err
	})
}

// screen is a size, a colour scheme and a zoom.
func (b tab) screen(width, height int64, scheme string) {
	b.t.Helper()
	b.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		size := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1}
		if _, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
			return v, err
		}
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return v, err
	})
}

// told waits until the visitor's timeline, or that of the session of the visitor's, holds n events of a type, and gives them.
func (s *shop) told(in session, typ string, n int) (events []*timelinev1.Entry) {
	s.T.Helper()
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	s.server.WaitFor(fmt.Sprintf("telling of %d %s", n, typ), func() bool {
		list, err := timelinev1.NewTimelineServiceClient(conn).List(s.T.Context(), &timelinev1.ListRequest{
			Addresses: []*eventv1.Address{{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: in.Visitor}},
			Order:     timelinev1.Order_ORDER_OLDEST_FIRST, PageSize: 500,
		})
		if err != nil {
			s.T.Fatal(err)
		}
		events = nil
		for _, e := range list.GetEntries() {
			if e.GetEvent().GetType() == typ {
				events = append(events, e)
			}
		}
		return len(events) >= n
	})
	if len(events) != n {
		s.T.Errorf("%d events of %s, instead of %d", len(events), typ, n)
	}
	return events
}

// sockets counts the WebSockets that Skein has open.
func (s *shop) sockets() string {
	s.T.Helper()
	request, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, "http://"+s.HTTP+"/metrics", http.NoBody)
	if err != nil {
		s.T.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(body), "\nskein_chat_connections ")
	count, _, _ := strings.Cut(rest, "\n")
	return count
}

// picture is a PNG, written to a file.
func picture(t *testing.T, name string) (path string, data []byte) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 320, 200))
	for x := range 320 {
		for y := range 200 {
			img.Set(x, y, color.RGBA{uint8(40 + x/3), uint8(90 + y/2), uint8(200 - x/4), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, b.Bytes()
}
