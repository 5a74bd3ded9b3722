package browser_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	tabs "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// command has the browser do something that needs a call of its protocol.
func command[P, R any](d consoleTab, call cdp.Command[P, R], params P) {
	d.t.Helper()
	d.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, call, params)
		return v, err
	})
}

// beside opens a further tab in the window of the last one, which it hides.
func (d consoleTab) beside() consoleTab {
	d.t.Helper()
	d.ctx, d.close = chromedp.NewContext(d.browser, chromedp.WithNewWindow(false))
	d.t.Cleanup(d.close)
	if err := chromedp.Do(d.ctx, chromedp.Navigate("about:blank")); err != nil {
		d.t.Fatal(err)
	}
	go d.complaints()
	d.front()
	return d
}

// front puts the tab before the others of its window.
func (d consoleTab) front() {
	d.t.Helper()
	command(d, tabs.BringToFront, cdp.Empty{})
}

// metrics are the samples of the server whose names begin with a prefix.
func metrics(t *testing.T, site *skeintest.Site, prefix string) map[string]string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+site.HTTP+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && strings.HasPrefix(name, prefix) {
			samples[name] = value
		}
	}
	return samples
}

// say publishes a message of Anna Weber's.
func say(t *testing.T, site *skeintest.Site, id, text string, flags ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "message.json")
	event := fmt.Sprintf(`{"type":"message.received","channel":"CHANNEL_WEB_CHAT","direction":"DIRECTION_INBOUND","provider":"test","inbox":"web","thread":"frame","native_id":%q,`+
		`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna.weber@example.com"},"role":"PARTY_ROLE_SENDER","side":"SIDE_CUSTOMER"}],`+
		`"content":{"message_received":{"text":%q}}}`, id, text)
	if err := os.WriteFile(path, []byte(event+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	site.Run(append([]string{"publish", path, "--server", site.GRPC}, flags...)...)
}

func TestTheFrameOfTheConsole(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	d.visit("customers")
	for _, scheme := range []string{"light", "dark"} {
		d.screen(1400, 900, scheme)
		d.visit("nowhere/at/all")
		d.shows("h1", "There is nothing here")
		d.accessible()
		d.screenshot("nothing " + scheme)
		d.visit("customers")
		d.hit(".account summary")
		d.shows(".panel", "Appearance")
		d.accessible()
		d.screenshot("settings " + scheme)
		d.hit(`[data-opens="#keys"]`)
		d.until("the keys", `$("#keys").open`)
		d.accessible()
		d.screenshot("keys " + scheme)
	}
	d.screen(390, 844, "light")
	for _, path := range []string{"customers", "nowhere"} {
		d.visit(path)
		d.until("no more than a phone's width", `document.documentElement.scrollWidth <= 390`)
		d.accessible()
		d.screenshot("phone " + path)
	}
	d.hit(".account summary")
	d.screenshot("phone settings")
	command(d, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	d.screen(1400, 900, "light")
	d.visit("customers")
	command(d, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	d.hit(".account summary")
	d.screenshot("forced colours")
	command(d, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-contrast", Value: "more"}}})
	d.accessible()
	d.screenshot("more contrast")
	d.screen(700, 450, "light") // 1400 × 900 at 200 %
	d.visit("customers")
	d.until("nothing sticks out at 200 %", `document.documentElement.scrollWidth <= 700`)
	d.screenshot("zoomed")
}

func TestTheConsoleHoldsAStreamForEachTabThatIsSeen(t *testing.T) {
	t.Parallel()
	d, server := sitDown(t, "en-US")
	open := func(n string) {
		t.Helper()
		server.WaitFor(n+" open streams", func() bool { return metrics(t, d.site, "skein_console_streams")["skein_console_streams"] == n })
	}
	var all []consoleTab
	for range 4 {
		next := d.beside()
		next.customer("anna.weber@example.com")
		next.shows("h1", "Anna Weber")
		all = append(all, next)
	}
	open("1")
	say(t, d.site, "m1", "While nobody looked")
	all[3].shows(".timeline", "While nobody looked")
	for _, hidden := range all[:3] {
		if !evaluate[bool](hidden.tab, `document.hidden && !document.querySelector(".timeline").innerText.includes("While nobody looked")`) {
			t.Error("a tab that nobody sees is told")
		}
	}
	all[0].front()
	all[0].shows(".timeline", "While nobody looked")
	open("1")
	inAWindowOfItsOwn := consoleTab{d.another()}
	inAWindowOfItsOwn.customer("anna.weber@example.com")
	inAWindowOfItsOwn.shows("h1", "Anna Weber")
	open("2")
	all[0].close()
	all[1].front()
	all[1].shows(".timeline", "While nobody looked")
	open("2")
}

func TestWhatHappensWhileTheConnectionIsLostIsShownWhenItIsBack(t *testing.T) {
	t.Parallel()
	d, server := sitDown(t, "en-US")
	d.customer("anna.weber@example.com")
	d.shows(".timeline", "Does your shop here descale kettles, too?")
	d.until("a page that is not loaded anew", `(window.same = true)`)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	d.until("to be told", `!$("#lost").hidden && text("#lost").includes("The connection is lost.")`)
	d.screenshot("lost")
	server = d.site.Up()
	say(t, d.site, "m1", "Are you back?")
	d.shows(".timeline", "Are you back?")
	d.until("the same page, connected", `window.same && $("#lost").hidden`)
	say(t, d.site, "m2", "Good.")
	d.shows(".timeline", "Good.")
	d.until("each once", `$$(".timeline .bubble").filter((b) => b.innerText.includes("Are you back?")).length === 1`)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}

func TestABrowserThatKeepsNoCookiesGetsThePageOnce(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	command(d, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Shanghai"})
	command(d, emulation.SetDocumentCookieDisabled, emulation.SetDocumentCookieDisabledParams{Disabled: true})
	d.visit("customers")
	d.until("the script", `$(".rail") && document.readyState === "complete" && document.documentElement.dataset.zone === "UTC"`)
	const pages = `skein_console_requests_total{code="200",page="customers"}`
	if n := metrics(t, d.site, "skein_console_requests")[pages]; n != "1" {
		t.Errorf("the page was asked for %s times", n)
	}
	command(d, emulation.SetDocumentCookieDisabled, emulation.SetDocumentCookieDisabledParams{})
	d.visit("customers")
	d.until("the page in the zone of the browser", `document.documentElement.dataset.zone === "Asia/Shanghai"`)
	if n := metrics(t, d.site, "skein_console_requests")[pages]; n != "3" {
		t.Errorf("the page was asked for %s times instead of 3", n)
	}
}

func TestASessionThatEndsIsToldAndGoesOnAfterSigningIn(t *testing.T) {
	t.Parallel()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	site := skeintest.NewSite(t, binary)
	sum := sha256.Sum256([]byte("desk"))
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte("auth: {tokens: [{name: Mei, tenant: default, sha256: "+hex.EncodeToString(sum[:])+"}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := site.Up("-c", config)
	d := consoleTab{newBrowser(t, site, "en-US", chromedp.WindowSize(1400, 900))}
	for _, scheme := range []string{"dark", "light"} {
		d.screen(1400, 900, scheme)
		d.visit("customers")
		d.shows("h1", "Sign in")
		d.accessible()
		d.screenshot("sign in " + scheme)
	}
	d.fill("#token", "wrong")
	d.keys("Enter")
	d.shows(".wrong", "The server does not know this token.")
	d.accessible()
	d.screenshot("wrong token")
	d.fill("#token", "desk")
	d.keys("Enter")
	d.shows("h1", "Customers")
	d.shows(".who", "Mei")

	say(t, site, "m1", "Hello?", "--token", "desk")
	d.visitUntil("customers?q=anna.weber@example.com", "the message", `text(".timeline").includes("Hello?")`)
	d.until("a page that is not loaded anew", `(window.same = true)`)
	d.until("the answer to signing out", `fetch("/console/sign-out", { method: "POST" }).then(() => { window.out = true; }), true`)
	d.until("nobody to be signed in", `window.out`)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	site.Up("-c", config)
	d.until("to be told", `$("#session-over").open && $("#lost").hidden`)
	d.accessible()
	d.screenshot("session over")
	other := consoleTab{d.another()}
	other.visit("sign-in")
	other.fill("#token", "desk")
	other.keys("Enter")
	other.shows("h1", "Customers")
	say(t, site, "m2", "Still there?", "--token", "desk")
	d.shows(".timeline", "Still there?")
	d.until("the same page", `window.same && !$("#session-over").open`)
}
