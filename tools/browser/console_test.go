package browser_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// consoleTab is a tab with a page of the console in it.
type consoleTab struct{ tab }

// sitDown starts the demonstration and opens the console beside it, as an agent does.
func sitDown(t *testing.T, language string) (consoleTab, *skeintest.Process) {
	t.Helper()
	return sitDownAt(t, skeintest.NewSite(t, binary), language)
}

// sitDownAt does so at a site that is described already.
func sitDownAt(t *testing.T, site *skeintest.Site, language string, flags ...chromedp.ExecAllocatorOption) (consoleTab, *skeintest.Process) {
	t.Helper()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	server := site.Up("--demo")
	server.WaitFor("the end of the story", func() bool { return strings.Contains(server.Out(), "Ctrl-C stops; the data") })
	return consoleTab{newBrowser(t, site, language, append([]chromedp.ExecAllocatorOption{chromedp.WindowSize(1400, 900)}, flags...)...)}, server
}

// visit opens a page of the console, named by its path behind /console/, and waits until its script has begun.
func (d consoleTab) visit(path string) {
	d.t.Helper()
	d.goTo("http://" + d.site.HTTP + "/console/" + path)
	d.until("the page", ready+` && document.documentElement.dataset.zone !== undefined`)
}

// visitUntil opens a page anew until an expression holds: one without a stream shows what there was when it was asked for.
func (d consoleTab) visitUntil(path, what, expression string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		d.visit(path)
		if holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](within(expression))); err == nil && holds {
			return
		}
	}
	d.screenshot("failed")
	d.t.Fatalf("opened %s for %s in vain", path, what)
}

// customer opens the page of whoever has an address.
func (d consoleTab) customer(address string) {
	d.t.Helper()
	d.visit("customers?q=" + url.QueryEscape(address))
}

// until waits until an expression holds, in which $ and $$ find elements by a selector, and text(selector) is what stands in all of them.
func (d consoleTab) until(what, expression string) {
	d.t.Helper()
	d.wait(what, within(expression))
}

// within is an expression that is evaluated in the page.
func within(expression string) string {
	return `(() => { const $ = (s) => document.querySelector(s), $$ = (s) => [...document.querySelectorAll(s)],
		text = (s) => $$(s).map((e) => e.innerText).join("\n"); return ` + expression + `; })()`
}

// shows waits until a text stands in one of the elements that a selector names.
func (d consoleTab) shows(selector, text string) {
	d.t.Helper()
	d.until(selector+" with "+text, `text(`+strconv.Quote(selector)+`).includes(`+quoted(text)+`)`)
}

// ready is true of a page whose scripts have run: before that, nothing hears a click or a key.
const ready = `document.readyState === "complete"`

// hit clicks on the first element that a selector names, once the page hears it and nothing covers the element, such as the backdrop of a dialog.
func (d consoleTab) hit(selector string) {
	d.t.Helper()
	d.until(selector+", in reach", ready+` && ((e) => { e.scrollIntoViewIfNeeded(); const r = e.getClientRects()[0];
		return e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)); })($(`+strconv.Quote(selector)+`))`)
	d.do(chromedp.Click(selector))
}

// fill writes into a field, in the place of what stands in it.
func (d consoleTab) fill(selector, text string) {
	d.t.Helper()
	d.until(selector, `($(`+strconv.Quote(selector)+`).focus(), $(`+strconv.Quote(selector)+`).select?.(), document.activeElement === $(`+strconv.Quote(selector)+`))`)
	d.enter(text)
}

// looksGood checks a page in light and dark, and on a phone.
func (d consoleTab) looksGood(name string) {
	d.t.Helper()
	d.until("nothing that moves", `document.getAnimations().length === 0`)
	for _, scheme := range []string{"light", "dark"} {
		d.screen(1400, 900, scheme)
		d.accessible()
		d.screenshot(name + " " + scheme)
	}
	d.screen(390, 844, "light")
	d.accessible()
	d.screenshot(name + " phone")
	if wide := evaluate[int](d.tab, `document.documentElement.scrollWidth`); wide > 390 {
		d.t.Errorf("%s is %d wide on a phone", name, wide)
	}
	d.screen(1400, 900, "light")
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(raw)
}

func TestTheConsoleBeginsWithTheDemonstrationsCustomer(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	d.visit("")
	d.shows("h1", "Anna Weber")
	d.shows(".timeline", "Does your shop here descale kettles, too?")
	d.accessible()
	d.screenshot("customer")
}
