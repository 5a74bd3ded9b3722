package browser_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/freeport"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// operator is somebody who looks at the pages of the operation.
type operator struct{ consoleTab }

// hostileBytes is a record that no connector wrote, and that would like to be a script.
const hostileBytes = `{"name": "<script>document.title='taken'</script>", "note": "<img src=x onerror=alert(1)> \u202egnp.exe"}`

// secrets of the configuration, which no page may show.
func operatorSecrets() []string {
	return []string{"hunter2-imap", "hunter2-cloudevents-long-enough", "whsec_aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMg==", tokenHash("operator")}
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// plant starts a server with tokens, a mailbox that cannot be reached, and webhooks of which one cannot be delivered to.
func plant(t *testing.T, language string) (*skeintest.Site, operator) {
	t.Helper()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	site := skeintest.NewSite(t, binary)
	config := filepath.Join(t.TempDir(), "skein.yaml")
	secret := operatorSecrets()
	if err := os.WriteFile(config, []byte(`auth:
  tokens:
    - {name: desk, tenant: default, sha256: `+tokenHash("desk")+`}
    - {name: operator, tenant: default, sha256: `+tokenHash("operator")+`, admin: true}
inboxes:
  - {id: support, tenant: default, channel: email, addresses: [support@skein.example], imap: {addr: "`+freeport.Addr(t)+`", username: support, password: `+secret[0]+`, tls: none}}
  - {id: orders, tenant: default, channel: cloudevents, cloudevents: {secrets: [`+secret[1]+`]}}
webhooks:
  allow_private: true
  endpoints:
    - {id: crm, tenant: default, url: "http://`+freeport.Addr(t)+`/hook?key=hunter2", secret: "`+secret[2]+`", types: ["*"]}
    - {id: search, tenant: default, url: "http://`+freeport.Addr(t)+`/hook", secret: "`+secret[2]+`", types: [note.added]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	site.Up("-c", config)
	return site, operator{consoleTab{newBrowser(t, site, language, chromedp.WindowSize(1400, 900))}}
}

// signIn signs in by a token.
func (o operator) signIn(token string) {
	o.t.Helper()
	o.visit("operation")
	o.fill("#token", token)
	o.hit(".sign-in .primary")
	o.until("the operation", `$("nav.rail")`)
}

// beholds looks at a page in every way: by axe, in the dark, and on a phone.
func (o operator) beholds(name string) {
	o.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		o.emulate(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			return err
		})
		o.accessible()
		o.screenshot(name + " " + scheme)
	}
	o.emulate(func(ctx context.Context) error {
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true})
		return err
	})
	o.until("a page that fits on a phone", `innerWidth === 390 && document.documentElement.scrollWidth <= 390`)
	o.accessible()
	o.screenshot(name + " phone")
	o.emulate(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
		return err
	})
}

func (o operator) emulate(what func(context.Context) error) {
	o.t.Helper()
	o.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) { return v, what(ctx) })
}

// record appends a record to the log that is no event.
func record(t *testing.T, site *skeintest.Site, values ...string) {
	t.Helper()
	log, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: []string{site.Kafka}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	var messages []eventlog.Message
	for _, v := range values {
		messages = append(messages, eventlog.Message{Topic: event.TopicInteractions, Key: []byte("k"), Value: []byte(v)})
	}
	if _, err := eventlog.AppendAll(t.Context(), log, messages); err != nil {
		t.Fatal(err)
	}
}

// note publishes a note; another text under the same id is in conflict.
func note(t *testing.T, site *skeintest.Site, id, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := fmt.Sprintf(`{"type":"note.added","provider":"test","inbox":"desk","thread":"t","nativeId":%q,"occurredAt":"2026-03-02T08:00:00Z",`+
		`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna@example.com"},"side":"SIDE_CUSTOMER"}],"content":{"noteAdded":{"text":%q}}}`, id, text)
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	site.Run("publish", file, "--server", site.GRPC, "--token", "operator")
}

func TestConsoleOperation(t *testing.T) {
	t.Parallel()
	site, o := plant(t, "en-US")
	o.signIn("operator")

	// The channel whose server is away is told at once; what comes in appears without loading anything again.
	o.shows("#verdict", "email.imap of default/support does not work")
	o.shows(".lags", "Caught up")
	o.hit("details.lag summary")
	o.until("the partitions of the first read model", `$("details.lag").open && text("details.lag table").includes("Next offset")`)
	note(t, site, "1", "first")
	note(t, site, "1", "second")
	record(t, site, "\x1b[31mno event\xff")
	o.shows("#verdict", "2 dead letters wait")
	record(t, site, hostileBytes)
	o.shows("#verdict", "3 dead letters wait")
	o.until("the open row, still open", `$("details.lag").open`)
	o.shows("#verdict", "The webhook crm cannot be delivered to")
	o.until("the records", `text("#topics").includes("skein.interactions.v1") && text("#topics").includes("for ever") && text("#topics").includes("retention.ms")`)
	o.beholds("overview")

	t.Run("dead letters", func(*testing.T) { o.redrives() })
	t.Run("channels", func(*testing.T) {
		o.visit("operation/channels")
		o.shows("#channels", "/channels/cloudevents/default/orders")
		o.shows("#channels", "1 of 1 do not work")
		o.until("the address of a webhook, without its key", `text("#webhooks").includes("/hook") && !document.documentElement.outerHTML.includes("hunter2")`)
		o.hit("#channels [data-copies]")
		o.until("the path, marked to be copied", `getSelection().toString().includes("/channels/cloudevents/default/orders")`)
		o.beholds("channels")
		o.hit(`#webhooks .card:nth-child(2) [data-opens]`)
		o.hit("dialog[open] .danger")
		o.shows("#webhooks", "Switch on")
		o.screenshot("webhook off")
		o.hit(`#webhooks button[name="to"]`)
		o.until("it on again", `!text("#webhooks").includes("Switch on")`)
	})
	t.Run("configuration", func(t *testing.T) {
		o.visit("operation/configuration")
		o.shows(".settings", "auth.tokens")
		o.shows(".settings", "2 configured")
		o.until("engines and roles", `text("main").includes("embedded") && text("main").includes("projector")`)
		page := evaluate[string](o.tab, `document.documentElement.outerHTML`)
		for _, secret := range append(operatorSecrets(), "hunter2") {
			if strings.Contains(page, secret) {
				t.Errorf("the page tells %s", secret)
			}
		}
		o.beholds("configuration")
		o.hit(`.settings-find [name="changed"]`)
		o.until("what was set only", `text(".settings").includes("grpc.addr") && !text(".settings").includes("stop_timeout")`)
	})
	t.Run("rebuild", func(*testing.T) {
		o.visit("operation/rebuild")
		o.shows(".builds", "timeline")
		o.beholds("rebuild")
		o.hit(`.builds li:has(#progress-timeline) > .build button`)
		o.until("what it does, before it is done", `$("dialog[open]")?.innerText.includes("Nothing stops and nothing is lost")`)
		o.screenshot("rebuild asked")
		o.hit("dialog[open] .primary")
		o.shows("#progress-timeline", "generation 2 serves now")
		o.screenshot("rebuild done")
		o.visit("operation/rebuild")
		o.shows("#progress-timeline", "generation 2 serves")
	})
	t.Run("rights", func(t *testing.T) {
		another := operator{consoleTab{newBrowser(t, site, "en-US", chromedp.WindowSize(1400, 900))}}
		another.signIn("desk")
		another.shows("main", "These pages need the admin right")
		another.shows("main", "Your token, desk, does not have it")
		another.beholds("no right")
		for path, refused := range map[string]string{
			"operation/stream": "", "operation/dead-letters/0/0/raw": "", "operation/rebuild": "slice=timeline", "operation/dead-letters/redrive": "letter=0%2F0",
			"operation/webhooks": "id=crm&to=off",
		} {
			method := http.MethodGet
			if refused != "" {
				method = http.MethodPost
			}
			answer := evaluate[string](another.tab, `(() => { const x = new XMLHttpRequest(); x.open("`+method+`", "/console/`+path+`", false);
				x.setRequestHeader("HX-Request", "true"); x.setRequestHeader("Content-Type", "application/x-www-form-urlencoded"); x.send("`+refused+`");
				return x.status + " " + x.responseText; })()`)
			if !strings.HasPrefix(answer, "403 Your token does not allow this: ") || !strings.Contains(answer, "admin right") {
				t.Errorf("%s answers %s", path, answer)
			}
		}
	})
}

// opensThreeLetters opens the list of the open letters once there are three, as one that was redriven in vain is another one a moment later.
func (o operator) opensThreeLetters() {
	o.t.Helper()
	o.visitUntil("operation/dead-letters", "three open letters", `$$(".letter-row").length === 3`)
}

// redrives looks at dead letters, and takes them in again.
func (o operator) redrives() {
	o.t.Helper()
	o.opensThreeLetters()
	o.beholds("letters")
	o.do(chromedp.SetValue(`[name="reason"]`, "conflict"))
	o.until("the letters of a reason", `($("[name=reason]").dispatchEvent(new Event("change", {bubbles: true})), true)`)
	o.until("the conflict", `$$(".letter-row").length === 1 && text(".letter-row").includes("In conflict")`)

	// The bytes of a stranger are text, and nothing else.
	o.visit("operation/dead-letters?reason=undecodable&topic=" + event.TopicInteractions)
	o.until("the garbage", `$$(".letter-row").length === 2`)
	o.visit("operation/dead-letters?reason=undecodable&topic=" + event.TopicAgents)
	o.shows("main", "No letter matches")
	o.visit("operation/dead-letters?reason=undecodable")
	o.hit(".letter-row .row-link")
	o.until("the script as text", `$("#raw-text").textContent.includes("<script>document.title='taken'</script>") && document.title !== "taken" && !$(".raw img, .raw script")`)
	o.until("what it is as JSON, and as bytes", `$("#raw-json").textContent.includes('"note": "<img') && $("#raw-hex").textContent.startsWith("00000000  7b 22 6e")`)
	raw := evaluate[string](o.tab,
		`(() => { const x = new XMLHttpRequest(); x.open("GET", document.querySelector("a[download]").href, false); x.send(); return x.getResponseHeader("Content-Disposition") + " " + x.responseText; })()`)
	if !strings.HasPrefix(raw, "attachment;") || !strings.HasSuffix(raw, hostileBytes) {
		o.t.Errorf("the download is %q", raw)
	}
	o.beholds("letter")
	o.hit("form.actions .primary")
	o.shows(".outcome", "Redriven: 1 of 1")

	// It is still none; the letter says so, and so does the new one.
	o.until("the letter", `$(".outcomes a")`)
	letter := strings.TrimPrefix(evaluate[string](o.tab, `document.querySelector(".outcomes a").pathname`), "/console/")
	o.visitUntil(letter, "what came of it", `text("main").includes("It was still not understood:")`)
	o.opensThreeLetters()
	o.hit(`.letter-row input[type="checkbox"]`)
	o.hit(".letters-bar .primary")
	o.shows(".outcome", "Redriven: 1 of 1")

	// All that match: the conflict is refused, each of the others becomes a letter again.
	o.opensThreeLetters()
	o.hit(`[data-opens="#redrive-every"]`)
	o.screenshot("redrive all")
	o.hit("#redrive-every .primary")
	o.shows(".outcome", "Redriven: 2 of 3")
	o.shows(".outcomes", "its event has the id of an earlier event")
	o.beholds("redriven")
	o.visit("operation/dead-letters?state=all")
	o.until("what was redriven, too", `text(".letter-row").includes("redriven")`)
}

// Tables of ClickHouse are rebuilt from the same page; leaving it ends nothing.
func TestConsoleOperationRebuildsClickHouse(t *testing.T) {
	t.Parallel()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	site := skeintest.NewSite(t, binary).WithAnalytics()
	site.Up()
	o := operator{consoleTab{newBrowser(t, site, "en-US", chromedp.WindowSize(1400, 900))}}
	o.visit("operation")
	o.until("everything complete up to this moment", `text("#clickhouse").includes("complete until then") && text("#verdict").includes("Everything is caught up")`)
	o.beholds("caught up")
	o.visit("operation/rebuild")
	o.hit(`.builds li:has(#progress-clickhouse-events) > .build button`)
	o.hit("dialog[open] .primary")
	o.until("the page that tells of it", `location.search.includes("clickhouse-events")`)
	o.visit("operation")
	o.visit("operation/rebuild")
	o.shows("#progress-clickhouse-events", "generation 2 serves")
}

func TestConsoleOperationInChinese(t *testing.T) {
	t.Parallel()
	site, o := plant(t, "zh-CN")
	o.signIn("operator")
	record(t, site, hostileBytes)
	o.shows("#verdict", "1 个死信待处理")
	o.shows(".lags", "已追平")
	o.beholds("zh overview")
	for path, title := range map[string]string{"rebuild": "重建", "dead-letters": "死信", "channels": "渠道", "configuration": "配置"} {
		o.visit("operation/" + path)
		o.shows("h1", title)
		o.beholds("zh " + path)
	}
	o.visit("operation/dead-letters")
	o.hit(".letter-row .row-link")
	o.shows("main", "原始内容")
	o.beholds("zh letter")
}
