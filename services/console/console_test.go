package console_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/html"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/services/console"
)

const token = "the-token-of-mei"

// desk is a console and a browser before it.
type desk struct {
	t        *testing.T
	url      string
	browser  *http.Client
	registry *prometheus.Registry
	logged   *diary
}

// sit opens a console over an API that knows some tokens; without any, it is open. None of the API's services is there but the one that tells who
// somebody is.
func sit(t *testing.T, tokens ...string) *desk {
	t.Helper()
	d := &desk{t: t, registry: prometheus.NewRegistry(), logged: &diary{}}
	logger := slog.New(slog.NewTextHandler(d.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var known []auth.Token
	for _, text := range tokens {
		sum := sha256.Sum256([]byte(text))
		known = append(known, auth.Token{SHA256: hex.EncodeToString(sum[:]), Identity: auth.Identity{Tenant: "acme", Name: "mei"}})
	}
	authenticator, err := auth.New(known, auth.Identity{Tenant: "acme", Name: "local", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	api, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: d.registry, Logger: logger, Version: "v1"})
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
	pages, err := console.New(console.Config{API: conn, Secret: bytes.Repeat([]byte("s"), 64), Registerer: d.registry, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(pages.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.url = server.URL
	d.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d
}

// page is an answer, read to its end.
type page struct {
	*http.Response
	body string
}

// ask asks for a page; change may change the request.
func (d *desk) ask(method, path string, form url.Values, change ...func(*http.Request)) page {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range change {
		f(r)
	}
	answer, err := d.browser.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return page{answer, string(body)}
}

func (d *desk) get(path string, change ...func(*http.Request)) page {
	d.t.Helper()
	return d.ask(http.MethodGet, path, nil, change...)
}

func (d *desk) signIn(token, next string, change ...func(*http.Request)) page {
	d.t.Helper()
	return d.ask(http.MethodPost, "/console/sign-in", url.Values{"token": {token}, "next": {next}}, change...)
}

func (p page) goesTo(t *testing.T, location string) {
	t.Helper()
	if p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != location {
		t.Errorf("%s answers %d to %q instead of leading to %q", p.Request.URL.Path, p.StatusCode, p.Header.Get("Location"), location)
	}
}

func (p page) says(t *testing.T, code int, text string) {
	t.Helper()
	if p.StatusCode != code || !strings.Contains(p.body, text) {
		t.Errorf("%s answers %d instead of %d with %q: %s", p.Request.URL.Path, p.StatusCode, code, text, p.body)
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// diary is a log that is read while it is written.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.String()
}

func TestWhoIsNotKnownSignsInWithATokenAndComesBackToWhereTheyWantedToGo(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	d.get("/").goesTo(t, "/console/")
	d.get("/console/work?queue=sales").goesTo(t, "/console/sign-in?next=%2Fconsole%2Fwork%3Fqueue%3Dsales")
	d.get("/console/sign-in?next=%2Fconsole%2Fwork%3Fqueue%3Dsales").says(t, http.StatusOK, `name="next" value="/console/work?queue=sales"`)

	wrong := d.signIn("not-a-token", "/console/work")
	wrong.says(t, http.StatusUnauthorized, "The server does not know this token.")
	if len(wrong.Cookies()) != 0 || strings.Contains(wrong.body, "not-a-token") {
		t.Errorf("a wrong token gets cookies %v, or comes back: %s", wrong.Cookies(), wrong.body)
	}
	d.signIn("", "/console/work").says(t, http.StatusUnauthorized, "The server does not know this token.")

	d.signIn(" "+token+"\n", "/console/nowhere?q=1").goesTo(t, "/console/nowhere?q=1")
	d.get("/console/nowhere").says(t, http.StatusNotFound, "There is no such thing: /console/nowhere")
	d.get("/console/session").says(t, http.StatusNoContent, "")
	d.ask(http.MethodPost, "/console/sign-out", url.Values{}).goesTo(t, "/console/sign-in")
	d.get("/console/nowhere").goesTo(t, "/console/sign-in?next=%2Fconsole%2Fnowhere")
	d.get("/console/session", header("HX-Request", "true")).says(t, http.StatusUnauthorized, "Your session is over")

	for _, secret := range []string{token, "not-a-token"} {
		if strings.Contains(d.logged.String(), secret) {
			t.Errorf("the log tells a token: %s", d.logged)
		}
	}
}

func TestASessionIsACookieThatNoScriptReadsNoOtherSiteSendsAndNobodyCanRead(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	for _, c := range []struct {
		scheme string
		secure bool
	}{{"", false}, {"https", true}, {"http", false}} {
		cookies := d.signIn(token, "", header("X-Forwarded-Proto", c.scheme)).Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%d cookies", len(cookies))
		}
		s := cookies[0]
		if s.Name != "skein_session" || !s.HttpOnly || s.Secure != c.secure || s.SameSite != http.SameSiteLaxMode || s.Path != "/console/" ||
			s.MaxAge != 12*60*60 || s.Domain != "" || strings.Contains(s.Value, token) {
			t.Errorf("%q: %v", c.scheme, s)
		}
	}
	u, err := url.Parse(d.url + "/console/")
	if err != nil {
		t.Fatal(err)
	}
	for _, forged := range []string{"", token, "MTc2NDM0NTYwMHxhbHRlcmVkfA==", sit(t, token).signIn(token, "").Cookies()[0].Value[1:]} {
		d.browser.Jar.SetCookies(u, []*http.Cookie{{Name: "skein_session", Value: forged, Path: "/console/", HttpOnly: true, SameSite: http.SameSiteLaxMode}}) //nolint:gosec // by plain HTTP
		d.get("/console/nowhere").goesTo(t, "/console/sign-in?next=%2Fconsole%2Fnowhere")
	}
}

func TestSigningInLeadsToPagesOfTheConsoleOnly(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	for _, next := range []string{
		"", "/", "/v1/customers", "https://evil.example/console/", "//evil.example/console/", `/\evil.example/console/`, `\\evil.example`, "/console/../v1/x",
		"/console/%2e%2e/v1/x", "/console/..//evil.example/", "javascript:alert(1)", "console/work", "/consolewhatever", "/console/sign-in?next=/", "/console/\nwork",
	} {
		d.signIn(token, next).goesTo(t, "/console/")
	}
	for _, next := range []string{"/console/", "/console/work/a%2Fb?q=%20x", "/console/customers?q=..%2F.."} {
		d.signIn(token, next).goesTo(t, next)
	}
}

func TestNothingIsDoneThatAnotherSiteAsksFor(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	d.signIn(token, "")
	choose := func(change ...func(*http.Request)) page {
		return d.ask(http.MethodPost, "/console/settings", url.Values{"theme": {"dark"}, "next": {"/console/work"}}, change...)
	}
	for name, change := range map[string]func(*http.Request){
		"cross-site": header("Sec-Fetch-Site", "cross-site"), "same-site": header("Sec-Fetch-Site", "same-site"), "foreign": header("Origin", "https://evil.example"),
		"null": header("Origin", "null"),
	} {
		answer := choose(change)
		answer.says(t, http.StatusForbidden, "This came from another site")
		if len(answer.Cookies()) != 0 {
			t.Errorf("%s: it was done: %v", name, answer.Cookies())
		}
	}
	for _, change := range []func(*http.Request){
		header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Site", "none"), header("Origin", d.url), func(*http.Request) {},
	} {
		choose(change).goesTo(t, "/console/work")
	}
	if n := testutil.CollectAndCount(d.registry, "skein_console_requests_total"); n == 0 {
		t.Error("what was refused is not counted")
	}
}

func TestEveryAnswerForbidsWhatNoPageNeeds(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	known := sit(t, token)
	known.signIn(token, "")
	answers := []page{
		d.get("/"), d.get("/console/"), d.get("/console/sign-in"), d.get("/console/customers"), d.get("/console/assets/none.css"), d.get("/console/assets/"),
		d.get("/console/customers", header("HX-Request", "true")), d.get("/console/customers", header("Accept", "text/event-stream")),
		d.signIn("wrong", ""), d.signIn(token, ""), d.ask(http.MethodDelete, "/console/sign-in", nil), d.ask(http.MethodPost, "/console/settings", nil, header("Origin", "null")),
		known.get("/console/customers"), known.get("/console/nowhere"), known.get("/console/customers/x/stream", header("Accept", "text/event-stream")),
		known.get("/console/session"), known.get(asset(t, known, "console.css")),
	}
	for _, p := range answers {
		policy := p.Header.Get("Content-Security-Policy")
		for _, directive := range []string{
			"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
		} {
			if !slices.Contains(strings.Split(policy, "; "), directive) {
				t.Errorf("%s %s (%d): the policy lacks %s: %q", p.Request.Method, p.Request.URL.Path, p.StatusCode, directive, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || p.Header.Get("X-Content-Type-Options") != "nosniff" || p.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s %s (%d): %v", p.Request.Method, p.Request.URL.Path, p.StatusCode, p.Header)
		}
		immutable := p.Header.Get("Cache-Control") == "public, max-age=31536000, immutable"
		if isAsset := p.StatusCode == http.StatusOK && strings.HasPrefix(p.Request.URL.Path, "/console/assets/"); isAsset != immutable || !immutable && p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s (%d) is cached: %q", p.Request.URL.Path, p.StatusCode, p.Header.Get("Cache-Control"))
		}
	}
}

// asset is the address of a file, as a page names it.
func asset(t *testing.T, d *desk, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(d.get("/console/sign-in").body, `"/console/assets/`)
	if !found {
		t.Fatal("the page has no files")
	}
	hash, _, _ := strings.Cut(rest, "/")
	return "/console/assets/" + hash + "/" + name
}

func TestNoPageHoldsAScriptOrAStyle(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	texts := []string{d.get("/console/sign-in").body, d.signIn("wrong", "").body}
	d.signIn(token, "")
	for _, path := range []string{"/console/nowhere", "/console/customers", "/console/customers?q=%3Cscript%3Ealert(1)%3C/script%3E", "/console/customers/%22onload=x"} {
		texts = append(texts, d.get(path).body)
	}
	for _, text := range texts {
		root, err := html.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			script := n.Data == "script" && (n.FirstChild != nil || !slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "src" }))
			if script || n.Data == "style" {
				t.Errorf("a page holds a <%s>: %s", n.Data, text)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") || strings.Contains(a.Val, "javascript:") {
					t.Errorf("a page holds %s=%q", a.Key, a.Val)
				}
			}
		}
	}
}

func TestWithoutTokensOnlyTheOwnMachineIsAnsweredUnderItsOwnName(t *testing.T) {
	t.Parallel()
	d := sit(t)
	port := d.url[strings.LastIndexByte(d.url, ':'):]
	for host, there := range map[string]bool{
		"localhost" + port: true, "127.0.0.1" + port: true, "127.8.8.8": true, "[::1]" + port: true, "LOCALHOST": true,
		"evil.example" + port: false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "192.168.1.7" + port: false, "[::ffff:192.168.1.7]": false, "0.0.0.0": false,
	} {
		named := func(r *http.Request) { r.Host = host }
		for _, path := range []string{"/console/nowhere", "/console/customers"} {
			p := d.get(path, named)
			if there != (p.StatusCode != http.StatusForbidden) {
				t.Errorf("%s at %s: %d", path, host, p.StatusCode)
			}
			if !there {
				p.says(t, http.StatusForbidden, "You asked for "+host+": configure auth.tokens.")
			}
		}
		if p := d.get("/console/customers/x/stream", named, header("Accept", "text/event-stream")); !there && p.StatusCode != http.StatusForbidden {
			t.Errorf("a stream at %s: %d", host, p.StatusCode)
		}
	}
	withTokens := sit(t, token)
	withTokens.get("/console/nowhere", func(r *http.Request) { r.Host = "skein.example" }).goesTo(t, "/console/sign-in?next=%2Fconsole%2Fnowhere")
}

func TestPagesAndFilesAreCompressedAndFilesKept(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	packed := header("Accept-Encoding", "gzip")
	for _, path := range []string{"/console/sign-in", asset(t, d, "console.css"), asset(t, d, "vendor/htmx.min.js")} {
		p := d.get(path, packed)
		if p.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(p.Header.Get("Vary"), "Accept-Encoding") {
			t.Fatalf("%s: %v", path, p.Header)
		}
		reader, err := gzip.NewReader(strings.NewReader(p.body))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if plain := d.get(path, header("Accept-Encoding", "identity")); plain.body != string(whole) || plain.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is not the same compressed", path)
		}
	}
	css := d.get(asset(t, d, "console.css"), packed)
	if again := d.get(asset(t, d, "console.css"), packed, header("If-None-Match", css.Header.Get("ETag"))); again.StatusCode != http.StatusNotModified {
		t.Errorf("a file that is there is sent again: %d for %q", again.StatusCode, css.Header.Get("ETag"))
	}
}

func TestRequestsAreCountedByPageAndCode(t *testing.T) {
	t.Parallel()
	d := sit(t, token)
	d.signIn(token, "")
	for _, path := range []string{"/console/customers/a", "/console/customers/b", "/console/nowhere/1", "/console/nowhere/2", "/console/assets/x/y.css"} {
		d.get(path)
	}
	want := `
# HELP skein_console_requests_total Requests that the console answered, by page and code.
# TYPE skein_console_requests_total counter
skein_console_requests_total{code="303",page="sign-in"} 1
skein_console_requests_total{code="404",page="assets/"} 1
skein_console_requests_total{code="404",page="other"} 2
skein_console_requests_total{code="501",page="customers/{customer}"} 2
`
	if err := testutil.GatherAndCompare(d.registry, strings.NewReader(want), "skein_console_requests_total"); err != nil {
		t.Error(err)
	}
}
