package browser_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/demo"
)

// Two of the story's customers.
const (
	annasMail = "anna.weber@example.com"
	linasMail = "li.na@example.cn"
)

// part is a part of a test, with the same tab.
func (d consoleTab) part(name string, test func(consoleTab)) {
	d.t.Helper()
	outer := d.t
	outer.Run(name, func(t *testing.T) {
		inner := consoleTab{d.tab}
		inner.t = t
		test(inner)
	})
	if outer.Failed() {
		outer.FailNow() // the parts behind go on from where it ended
	}
}

// fits waits until nothing of the page stands beside the window.
func (d consoleTab) fits() {
	d.t.Helper()
	d.until("no horizontal scrolling", `document.documentElement.scrollWidth <= document.documentElement.clientWidth`)
}

func (d consoleTab) dial() *grpc.ClientConn {
	d.t.Helper()
	conn, err := rpc.Dial(d.site.GRPC, "", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (d consoleTab) publish(all ...*eventv1.Submission) {
	d.t.Helper()
	if _, err := ingestv1.NewIngestServiceClient(d.dial()).Publish(d.t.Context(), &ingestv1.PublishRequest{Submissions: all}); err != nil {
		d.t.Fatal(rpc.Explain(err))
	}
}

// said is a line that a visitor says in a chat.
func said(visitor, id, text string, at time.Time) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, OccurredAt: timestamppb.New(at), Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "desktop", Inbox: "web", Thread: visitor + "-thread", NativeId: id,
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: visitor}, Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}},
	}
}

// idOf is the id of whoever has an address.
func (d consoleTab) idOf(address string) string {
	d.t.Helper()
	a, err := event.ParseAddress(address)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := customerv1.NewCustomerServiceClient(d.dial()).Resolve(d.t.Context(), &customerv1.ResolveRequest{Addresses: []*eventv1.Address{a}})
	if err != nil {
		d.t.Fatal(err)
	}
	return answer.GetCustomers()[0].GetId()
}

// checked is a page that must be accessible, by day and by night, and on a phone.
func (d consoleTab) checked(name string) {
	d.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		d.screen(1400, 900, scheme)
		d.accessible()
		d.screenshot(name + " " + scheme)
	}
	d.screen(390, 844, "light")
	d.fits()
	d.screenshot(name + " phone")
	d.screen(1400, 900, "light")
}

func TestConsoleCustomers(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	anna, lina := d.idOf(annasMail), d.idOf(linasMail)
	atAnna := `location.pathname === "/console/customers/` + anna + `"`

	d.part("each is heard of once at the beginning", func(d consoleTab) {
		d.visit("customers")
		d.until("two customers", `$$(".rows strong").map((e) => e.innerText).sort().join() === "Anna Weber,李娜"`)
		d.checked("beginning")
	})
	d.part("is found by whatever names her", func(d consoleTab) {
		work, err := conversationv1.NewConversationServiceClient(d.dial()).List(d.t.Context(), &conversationv1.ListRequest{Filter: &conversationv1.Filter{CustomerId: anna}})
		if err != nil || len(work.GetWork()) == 0 {
			t.Fatal(work, err)
		}
		for _, query := range []string{
			"+49 30 901820", "0049 30 901820", "4930901820", annasMail, "visitor:anna-weber", "social:wechat/" + demo.WeChatApp + ":oAnna0000000000000000000000", "id:crm:1042",
			anna, work.GetWork()[0].GetConversationId(), work.GetWork()[0].GetInteraction().GetId(),
		} {
			d.customer(query)
			d.until("Anna by "+query, atAnna+` && text("h1") === "Anna Weber"`)
		}
		d.until("the conversation that was named is open", `$(".matter[open] .entry")`)
	})
	d.part("is found by what was said, which is shown in its place", func(d consoleTab) {
		d.customer("citric")
		d.shows("mark", "citric")
		d.checked("found")
		d.hit(".rows .row-link")
		d.until("the event", atAnna+` && new URLSearchParams(location.search).has("at") && text(".entry:target").includes("citric acid")`)
		d.checked("around")
		d.hit(".newer button")
		d.shows(".timeline", "You even know about the handle")
		d.customer("nobodyeversaidthis")
		d.shows("main", "Nothing was found")
	})
	d.part("what happened reads naturally, by the names of people", func(d consoleTab) {
		d.customer(annasMail)
		for _, line := range []string{"Anna Weber calls", "Waits in the queue Kettles", "Tom is on the line", "Tom hands over to Mia", "Mia is on the line", "Handed over to Mia"} {
			d.shows(".timeline", line)
		}
		d.until("no ids or addresses", `!/WK0000|oAnna|\+4930/.test(text(".timeline .entry:not(.minor)"))`)
		d.until("the call in its order", `((all) => all.indexOf("Ended") < all.indexOf("Handed over") && all.indexOf("Waits in") < all.indexOf("Anna Weber calls"))(text(".timeline"))`)
		d.until("one heading of the call", `$$(".run").filter((r) => r.offsetParent && r.innerText.includes("Telephone")).length === 1 && text(".run").includes("16:00 · Kettles")`)
		d.checked("timeline")
	})
	d.part("conversations open to what happened in them", func(d consoleTab) {
		d.hit(`.tabs a[href*="conversations"]`)
		d.shows(".matters", "Kettle leaks at the handle")
		d.hit(`.matters li:nth-child(3) summary`)
		d.until("the call", `((all) => all.indexOf("Anna Weber calls") >= 0 && all.indexOf("Anna Weber calls") < all.indexOf("Ended"))(text(".matter[open]"))`)
		d.until("a link to the work on it", `$(".matter[open] a[href^='/console/work/']")`)
		d.checked("conversations")
	})
	d.part("what comes in shows up without a reload, once, in order of time", func(d consoleTab) {
		d.customer(annasMail)
		d.until("the page is followed", `window.stays = true`)
		now := time.Now().Truncate(time.Hour).Add(-10 * time.Minute) // not at midnight, wherever one is
		d.publish(said("anna-weber", "live-2", "the second", now), said("anna-weber", "live-1", "the first", now.Add(-time.Minute)))
		d.publish(said("anna-weber", "live-2", "the second", now))
		d.publish(said("anna-weber", "live-3", "the third", now.Add(time.Second)))
		d.until("three, the newest first", `$$(".bubble").slice(0, 3).map((b) => b.innerText.trim()).join() === "the third,the second,the first" && window.stays`)
		d.until("once", `$$(".bubble").filter((b) => b.innerText.includes("the second")).length === 1`)
		d.until("under one heading", `$$(".entry").slice(0, 3).map((e) => e.classList.contains("begins")).join() === "true,false,false"`)
	})
	d.part("a merge is previewed, made and taken back", func(d consoleTab) {
		d.customer(annasMail)
		d.hit(`.changes a[href$="/merge"]`)
		for wrong, why := range map[string]string{"kettle": "This is no identifier", annasMail: "This is the same customer already"} {
			d.fill("#other", wrong)
			d.hit(".finder button")
			d.shows("#other-wrong", why)
		}
		d.fill("#other", linasMail)
		d.hit(".finder button")
		d.until("the preview", `["li-na", "anna-weber", "1042", "2087", "2 interactions"].every((s) => text(".compared").includes(s)) && text(".differs").includes("gold") && text(".differs").includes("basic")`)
		d.checked("merge")
		d.hit(".confirmation .primary")
		d.shows(".confirmation .wrong", "Reason: it is missing")
		d.fill("#reason", "They share <b>one</b> household")
		d.hit(".confirmation .primary")
		d.until("both on one page", atAnna+` && text(".endpoints").includes("`+linasMail+`") && text(".timeline").includes("发票")`)
		d.screenshot("merged")
		d.hit(`.stage-head .tabs a:last-child`)
		d.until("the history", `text(".history").includes("into Anna Weber") && text(".history .reason").includes("They share <b>one</b> household")`)
		d.checked("history")
		d.hit(".history li:first-child > .button")
		d.until("it asks", `$("dialog[open]")`)
		d.accessible()
		d.screenshot("undo")
		d.hit("dialog[open] .primary")
		d.until("taken back", `text(".history").includes("Taken back") && !text(".endpoints").includes("`+linasMail+`")`)
		d.visit("customers/" + lina)
		d.shows("h1", "李娜")
	})
	d.part("a split is previewed, made and taken back", func(d consoleTab) {
		d.visit("customers/" + anna)
		d.hit(`.changes a[href$="/split"]`)
		d.until("choices", `$$(".choice").length === 5 && ($$(".choice").find((c) => c.innerText.includes("oAnna")).click(), true)`)
		d.hit(".finder button")
		d.until("the preview", `((cells) => cells[0].innerText.includes("anna-weber") && !cells[0].innerText.includes("oAnna") && cells[1].innerText.includes("oAnna"))($$(".compared tbody tr:first-child td"))`)
		d.checked("split")
		d.fill("#reason", "Another Anna")
		d.hit(".confirmation .primary")
		d.until("she has lost it", atAnna+` && $(".timeline .entry") && !text(".endpoints").includes("oAnna") && !text(".timeline").includes("Shanghai")`)
		d.hit(".banner .button[data-opens]")
		d.hit("dialog[open] .primary")
		d.until("she has it again", `text(".endpoints").includes("oAnna")`)
	})
	d.part("an address is linked for a time, and unlinked; what is wrong is named", func(d consoleTab) {
		d.visit("customers/" + anna + "/link")
		d.fill("#reason", "From the contract")
		d.fill("#address", "next door")
		d.hit(".confirmation .primary")
		d.shows(".confirmation .wrong", "Address: write a telephone number")
		d.fill("#address", "+49 30 901833")
		d.until("a time that ends before it begins", `($("#from").value = "2026-03-02T10:00", $("#until").value = "2026-03-01T10:00", true)`)
		d.hit(".confirmation .primary")
		d.shows(".confirmation .wrong", "Until: it must be later than the begin")
		d.until("a time", `($("#until").value = "2026-04-01T10:00", true)`)
		d.checked("link")
		d.hit(".confirmation .primary")
		d.until("linked", `text(".endpoints").includes("+4930901833") && text(".endpoints").includes("2 Mar 2026 – 1 Apr 2026")`)
		d.until("unlink", `($$(".endpoints li").find((e) => e.innerText.includes("901833")).querySelector(".unlink").click(), true)`)
		d.shows("h1", "Unlink an address")
		d.fill("#reason", "It was the neighbour's")
		d.checked("unlink")
		d.hit(".confirmation .primary")
		d.until("unlinked", `$(".timeline") && !text(".endpoints").includes("901833")`)
	})
	d.part("an interaction is attributed to somebody else, and back", func(d consoleTab) {
		d.visit("customers/" + anna + "?view=conversations")
		d.hit(`.matters li:last-child summary`)
		d.until("what happened in it", `$(".matter[open] .entry") && ($(".matter[open] .actions a[href*=attribute]").click(), true)`)
		d.fill("#other", linasMail)
		d.hit(".finder button")
		d.shows(".change", "李娜")
		d.checked("attribute")
		d.fill("#reason", "She wrote from his computer")
		d.hit(".confirmation .primary")
		d.until("it is not hers any more", atAnna+` && $(".timeline") && !text(".timeline").includes("Kettle leaks")`)
		d.visit("customers/" + lina)
		d.shows(".timeline", "Kettle leaks at the handle")
		d.visit("customers/" + anna + "?view=history")
		d.hit(".history li:first-child > .button")
		d.hit("dialog[open] .primary")
		d.until("taken back", `text(".history li:first-child").includes("Took a change back") && !$("dialog[open]")`)
		d.visit("customers/" + anna)
		d.shows(".timeline", "Kettle leaks at the handle")
	})
	d.part("what rules asked for in vain is listed", func(d consoleTab) {
		d.visit("customers")
		d.hit(`.head a[href$="conflicts"]`)
		d.shows("h1", "Conflicts")
		d.checked("conflicts")
	})
	d.part("a past moment is shown as it was known then", func(d consoleTab) {
		d.visit("customers/" + anna)
		past := evaluate[string](d.tab, `((d) => { d.setMinutes(d.getMinutes() - d.getTimezoneOffset() - 120); return d.toISOString().slice(0, 19); })(new Date())`)
		d.hit(".as-of summary")
		d.until("the moment", `($("#as-of").value = "`+past+`", true)`)
		d.screenshot("as of")
		d.hit(".as-of .primary")
		d.until("nothing was known", `$(".banner") && !text(".stage").includes("Kettle") && !$("[data-stream]")`)
		d.hit(`.tabs a[href*="conversations"]`)
		d.until("the tab keeps it", `$(".banner") && new URLSearchParams(location.search).get("as_of") === "`+past+`"`)
		d.hit(".banner a")
		d.until("now", `!$(".banner") && $(".matters")`)
	})
	d.part("attachments", func(d consoleTab) {
		d.visit("customers/" + anna)
		d.until("the drawing is a file to keep, and no picture", `$$(".file").find((f) => f.innerText.includes("kettle.svg")) && !$(".picture")`)
		d.until("asked for", `(fetch($$(".file").find((f) => f.innerText.includes("kettle.svg")).href).then((r) => window.svg = r.headers.get("content-disposition") + " " + r.headers.get("content-type")), true)`)
		d.until("it is kept", `window.svg?.startsWith("attachment") && window.svg.endsWith("application/octet-stream")`)
	})
}

func TestConsoleCustomersInChinese(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "zh-CN")
	anna := d.idOf(annasMail)
	for _, page := range []struct{ path, shows string }{
		{"customers", "查找"},
		{"customers/" + anna, "Anna Weber 来电"},
		{"customers/" + anna + "?view=conversations", "按会话"},
		{"customers/" + anna + "?view=history", "规则 identity.asserted"},
		{"customers/" + anna + "/merge?with=" + linasMail, "被并入"},
		{"customers/" + anna + "/split", "要拆出的联系方式"},
		{"customers/" + anna + "/link", "关联联系方式"},
		{"customers/conflicts", "没有冲突"},
	} {
		d.visit(page.path)
		d.shows("main", page.shows)
		d.accessible()
		d.screen(390, 844, "light")
		d.fits()
		d.screen(1400, 900, "light")
		d.screenshot("zh " + strings.NewReplacer("/", " ", "?", " ", anna, "").Replace(page.path))
	}
	d.visit("customers/" + anna + "/merge?with=" + linasMail)
	d.hit(".confirmation .primary")
	d.shows(".confirmation .wrong", "原因：请填写")
}

// hostile is text that would run as a script wherever it was not shown as text, with a mark that turns the direction and a sign beyond the basic plane.
const hostile = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'>` + "\u202e evil \U0001F600"

func TestConsoleShowsHostileTextAsText(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(dot(t))
	}))
	t.Cleanup(elsewhere.Close)
	chat := said("mallory", "hostile", hostile, time.Now())
	chat.Parties[0].DisplayName = hostile
	called := said("mallory", "recorded", "", time.Now())
	called.Content.Attachments = []*eventv1.Attachment{{Blob: d.upload(wave()), Name: "call.wav"}}
	d.publish(chat, called)
	d.mail("mallory@example.com", mixed(t, elsewhere.URL))

	d.visitUntil("customers?q=visitor:mallory", "the text", `text(".bubble").includes(`+quoted(hostile)+`) && text("h1").includes("onerror")`)
	d.until("a player", `$("audio[controls]")`)
	d.until("it plays", `($("audio").load(), $("audio").onloadedmetadata = () => window.length = $("audio").duration, $("audio").play().catch(() => {}), window.length > 0.9)`)
	d.accessible()
	d.screenshot("hostile chat")
	d.visit("customers")
	d.shows(".rows", "onerror")
	d.customer("hacked")
	d.shows("main", "hacked")
	d.visitUntil("customers?q=mallory@example.com", "the mail", `text(".letter").includes("onerror")`)
	d.until("ran nothing", `window.hacked === undefined`)
	d.hit(".written summary")
	d.until("the mail as it was written", `$(".written iframe")?.contentDocument?.body?.innerText.includes("Dear shop")`)
	d.until("without scripts, forms and frames", `((m) => !m.querySelector("script, form, iframe, object, [onerror], [onload], a[href^='javascript']"))($(".written iframe").contentDocument)`)
	d.until("its own picture is there", `((i) => i?.naturalWidth > 0)($(".written iframe").contentDocument.querySelector("img[alt=own]"))`)
	if n := asked.Load(); n != 0 {
		t.Errorf("%d pictures were fetched from elsewhere, and nobody asked for them", n)
	}
	d.screenshot("hostile mail")
	d.until("they are asked for", `($(".written iframe").contentDocument.querySelector(".pictures a").click(), true)`)
	d.until("the picture from elsewhere", `((i) => i?.naturalWidth > 0)($(".written iframe").contentDocument?.querySelector("img[alt=remote]"))`)
	d.until("ran nothing", `window.hacked === undefined && $(".written iframe").contentWindow.hacked === undefined`)
	if asked.Load() == 0 {
		t.Error("the picture came from nowhere")
	}
	d.screen(390, 844, "light")
	d.fits()
	d.screenshot("hostile mail phone")
}

// dot is a small picture.
func dot(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wave is a second of silence.
func wave() []byte {
	const rate = 8000
	header := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x40\x1f\x00\x00")
	size := len(header) - 8 + rate
	header[4], header[5] = byte(size&0xff), byte(size>>8)
	return append(header, bytes.Repeat([]byte{0x80}, rate)...)
}

// upload keeps a file in a thread of the chat.
func (d consoleTab) upload(data []byte) *eventv1.Blob {
	d.t.Helper()
	answer, err := http.Post("http://"+d.site.HTTP+"/v1/blobs?inbox=web&thread=mallory-thread", "audio/wav", bytes.NewReader(data))
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(answer.Body); err != nil {
		d.t.Fatal(err)
	}
	kept := &blobv1.UploadResponse{}
	if err := protojson.Unmarshal(raw.Bytes(), kept); err != nil || answer.StatusCode != http.StatusCreated {
		d.t.Fatal(answer.Status, raw.String(), err)
	}
	return kept.GetBlob()
}

func (d consoleTab) mail(from, raw string) {
	d.t.Helper()
	if err := smtp.SendMail(d.site.SMTP, nil, from, []string{demo.Inbox}, []byte(raw)); err != nil {
		d.t.Fatal(err)
	}
}

// mixed is a mail in HTML that tries what mails try.
func mixed(t *testing.T, elsewhere string) string {
	t.Helper()
	html := `<html><head><script>window.hacked=1;parent.hacked=1</script><style>body{color:red}</style></head><body onload="parent.hacked=1"><p>Dear shop,</p>` +
		`<img alt=own src="cid:pic@example"><img alt=remote src="` + elsewhere + `/pixel.png"><img src=x onerror="parent.hacked=1">` +
		`<a href="javascript:parent.hacked=1">here</a><form action="` + elsewhere + `"><input name=pw><button>go</button></form><iframe src="` + elsewhere + `"></iframe>` +
		`<svg onload="parent.hacked=1"></svg><object data="` + elsewhere + `"></object><meta http-equiv=refresh content="0;url=` + elsewhere + `"></body></html>`
	return strings.ReplaceAll("From: \"<script>window.hacked=1</script>\" <mallory@example.com>\nTo: "+demo.Inbox+"\nSubject: <img src=x onerror=window.hacked=1>\nMessage-ID: <hostile@example.com>\n"+
		"Date: "+time.Now().UTC().Format(time.RFC1123Z)+"\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n"+
		"--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(html))+"\n"+
		"--b\nContent-Type: image/png\nContent-ID: <pic@example>\nContent-Disposition: inline; filename=own.png\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString(dot(t))+"\n--b--\n",
		"\n", "\r\n")
}

func TestConsoleGoesOnAfterALostConnection(t *testing.T) {
	t.Parallel()
	d, server := sitDown(t, "en-US")
	d.customer("visitor:anna-weber")
	d.publish(said("anna-weber", "before", "before the loss", time.Now()))
	d.shows(".timeline", "before the loss")
	d.until("the page stays", `window.stays = true`)
	server.Kill()
	d.until("it is told", `!$("#lost").hidden`)
	d.screenshot("lost")
	d.site.Up("--demo")
	d.publish(said("anna-weber", "after", "after the loss", time.Now()))
	d.shows(".timeline", "after the loss")
	d.until("nothing is lost or repeated", `$("#lost").hidden && window.stays && ["before the loss", "after the loss"].every((s) => $$(".bubble").filter((b) => b.innerText.includes(s)).length === 1)`)
}

func TestConsolePagesALongTimeline(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	const events, batch = 100_000, 5000
	var last *eventv1.Position
	client, begin := ingestv1.NewIngestServiceClient(d.dial()), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := 0; from < events; from += batch {
		all := make([]*eventv1.Submission, batch)
		for i := range all {
			n := from + i
			all[i] = said("marathon", "line-"+strconv.Itoa(n), "line "+strconv.Itoa(n), begin.Add(time.Duration(n)*time.Minute))
			all[i].Backfill = true
		}
		answer, err := client.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: all})
		if err != nil {
			t.Fatal(rpc.Explain(err))
		}
		last = answer.GetAcknowledgements()[batch-1].GetPosition()
	}
	id := d.idOf("visitor:marathon")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := timelinev1.NewTimelineServiceClient(d.dial()).List(ctx, &timelinev1.ListRequest{
		CustomerId: id, PageSize: 1, OmitContent: true, MinPositions: []*eventv1.Position{last},
	})
	if err != nil {
		t.Fatal(rpc.Explain(err))
	}
	d.visit("customers/" + id)
	d.shows(".timeline", fmt.Sprintf("line %d", events-1))
	size := evaluate[int](d.tab, `performance.getEntriesByType("navigation")[0].decodedBodySize`)
	t.Logf("the page has %d bytes, and came in %s ms", size, evaluate[string](d.tab, `String(Math.round(performance.getEntriesByType("navigation")[0].responseEnd))`))
	if size > 200_000 {
		t.Errorf("the page has %d bytes", size)
	}
	d.until("a page of it", `$$(".entry").length <= 100`)
	d.until("its end is asked for", `(window.scrollTo(0, document.body.scrollHeight), $$(".entry").length > 100)`)
	at := begin.Add(70 * time.Minute).Format(time.RFC3339)
	d.visit("customers/" + id + "?at=" + url.QueryEscape(at))
	d.until("the begin", `text(".timeline").includes("line 70\n") || text(".timeline").includes("line 70")`)
	d.hit(".newer button")
	d.until("later ones on request", `text(".timeline").includes("line 85")`)
	d.screenshot("long")
}
