package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// contextLost is the code of the browser's answer where the page that was asked is gone.
const contextLost = -32000

// patience is how long the page may take for anything.
const patience = 3 * time.Minute

// tab is a tab of a browser, with the chat in it.
type tab struct {
	t    *testing.T
	site *skeintest.Site
	ctx  context.Context //nolint:containedctx // that is how chromedp names a tab
	// browser is the first tab, which stays empty: the browser lives as long as it does.
	browser context.Context //nolint:containedctx // that is how chromedp names a browser
	// close closes the tab.
	close func()
}

// bubble is a message as the page shows it, and a part of what stands below it.
type bubble struct{ Class, Text, Below string }

// session is what the page knows of its visitor.
type session struct{ Visitor, Thread string }

// newBrowser starts a browser of its own with one tab.
func newBrowser(t *testing.T, site *skeintest.Site, language string, flags ...chromedp.ExecAllocatorOption) tab {
	t.Helper()
	all := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(420, 720),
		chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(all, flags...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return tab{t: t, site: site, browser: ctx}.another()
}

// another opens a further tab.
func (b tab) another() tab {
	b.t.Helper()
	b.ctx, b.close = chromedp.NewContext(b.browser)
	b.t.Cleanup(b.close)
	if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil {
		b.t.Fatal(err)
	}
	go b.complaints()
	return b
}

// complaints are what the page should never have: scripts that fail.
func (b tab) complaints() {
	for e, err := range chromedp.Events(b.ctx, runtime.ExceptionThrown) {
		if err != nil {
			return // the tab is closed
		}
		b.t.Errorf("the page failed: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	}
}

func (b tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open opens the chat, again where it is open already.
func (b tab) open() {
	b.t.Helper()
	b.goTo("http://" + b.site.HTTP + "/chat/v1/web/")
}

func (b tab) goTo(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// write types a message and presses Enter.
func (b tab) write(text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(part("#text"), text))
	b.press("Enter", false)
}

// enter types where the focus is.
func (b tab) enter(text string) {
	b.t.Helper()
	b.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return v, err
	})
}

// accessible checks the page by axe, in a test of its own, which alone is skipped where there is no axe.
func (b tab) accessible() {
	b.t.Helper()
	b.t.Run("accessible", func(t *testing.T) {
		axe := string(module(t, "axe-core/axe.min.js"))
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](axe+"; true")); err != nil {
			t.Fatal(err)
		}
		violations, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run().then(({violations: all}) => all.map((v) => v.id + ": " + v.help + "\n" +
			v.nodes.map((n) => "  " + n.html + " " + n.failureSummary).join("\n")).join("\n"))`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		if violations != "" {
			b.screenshot("not accessible") // among those of the whole test
			t.Errorf("not accessible: %s", violations)
		}
	})
}

// part is an element of the widget's.
func part(selector string) chromedp.JSPath {
	return chromedp.JSPath(`document.querySelector("skein-chat").shadowRoot.querySelector(` + strconv.Quote(selector) + `)`)
}

// click clicks on an element of the widget's.
func (b tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(part(selector)))
}

// keyCodes of the keys that tests press (UI Events, legacy key attributes).
func keyCode(key string) int64 { return map[string]int64{"Tab": 9, "Enter": 13, "Escape": 27}[key] }

// press presses a key, as a keyboard does: the character of an Enter comes only where the page has not handled the key.
func (b tab) press(key string, shift bool) {
	b.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Key: key, Code: key, WindowsVirtualKeyCode: keyCode(key), NativeVirtualKeyCode: keyCode(key)}
	if key == "Enter" {
		down.Type, down.Text = input.DispatchKeyEventTypeKeyDown, "\r"
	}
	if shift {
		down.Modifiers = 8 // the bit of Shift
	}
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	b.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		for _, params := range []input.DispatchKeyEventParams{down, up} {
			if _, err = chromedp.Call(ctx, input.DispatchKeyEvent, params); err != nil {
				return v, err
			}
		}
		return v, nil
	})
}

// deepFocus is the id of the element that has the focus, inside the widget too.
const deepFocus = `(document.activeElement?.shadowRoot?.activeElement ?? document.activeElement)?.id ?? ""`

// evaluate gives the value of an expression.
func evaluate[T any](b tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// wait waits until an expression is true, in which $ and $$ find elements of the widget's.
func (b tab) wait(what, expression string) {
	b.t.Helper()
	expression = `((root) => { const $ = (s) => root?.querySelector(s), $$ = (s) => [...root?.querySelectorAll(s) ?? []];
		try { return Boolean(` + expression + `); } catch { return false; } })(document.querySelector("skein-chat")?.shadowRoot)`
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	poll := func() error {
		_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0)))
		return err
	}
	err := poll()
	for lost := (*cdproto.Error)(nil); errors.As(err, &lost) && lost.Code == contextLost && ctx.Err() == nil; {
		err = poll() // a page that was opened just now took the place of the one before
	}
	if err != nil {
		b.screenshot("failed")
		b.t.Fatalf("waited for %s: %v; the page shows %q", what, err, evaluate[string](b, `document.body.innerText + (document.querySelector("skein-chat")?.shadowRoot.querySelector(".root").innerText ?? "")`))
	}
}

// see waits until the page shows exactly these bubbles.
func (b tab) see(want ...bubble) {
	b.t.Helper()
	list, err := json.Marshal(want)
	if err != nil {
		b.t.Fatal(err)
	}
	b.wait(string(list), `((want) => {
		const items = $$("ol > li:not(.greeting)");
		return items.length === want.length && want.every((w, i) => items[i].className === w.Class &&
			items[i].querySelector("p").textContent === w.Text && items[i].querySelector("small").textContent.includes(w.Below));
	})(`+string(list)+`)`)
}

// session reads what the page keeps.
func (b tab) session() (in session) {
	b.t.Helper()
	kept := evaluate[string](b, `localStorage.getItem(Object.keys(localStorage).find((name) => name.endsWith(":session")))`)
	if err := json.Unmarshal([]byte(kept), &in); err != nil || in.Visitor == "" {
		b.t.Fatalf("the page keeps %q: %v", kept, err)
	}
	return in
}

// offline takes the network from the browser, or gives it back.
func (b tab) offline(offline bool) {
	b.t.Helper()
	b.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		state := network.OverrideNetworkStateParams{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}
		if _, err = chromedp.Call(ctx, network.OverrideNetworkState, state); err != nil {
			return v, err
		}
		_, err = chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}},
		})
		return v, err
	})
}

// screenshot keeps a picture of the tab; go test -artifacts keeps it longer than the test.
func (b tab) screenshot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Error(err)
		return
	}
	path := filepath.Join(b.t.ArtifactDir(), strings.ReplaceAll(name, " ", "-")+".png")
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		b.t.Error(err)
	}
}
