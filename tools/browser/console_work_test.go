package browser_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// workConfig is that of a centre whose chats have targets, and whose WhatsApp number could send: Meta's window has long been closed when the story is over.
const workConfig = `
inboxes:
  - {id: support, tenant: default, channel: email, addresses: [support@skein.example]}
  - {id: web, tenant: default, channel: web_chat, name: Skein Home}
  - {id: whatsapp, tenant: default, channel: whatsapp, whatsapp: {phone_number_id: "106540352242922", business_account_id: "102290129340398",
     app_secret: secret, verify_token: verify, access_token: token}}
policies:
  - {tenant: default, name: chat, channels: [web_chat], first_response: 2m, resolution: 8h}
`

// workplace starts a server with a configuration, and a browser.
func workplace(t *testing.T, language, config string, flags ...string) (consoleTab, *skeintest.Process) {
	t.Helper()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	site := skeintest.NewSite(t, binary)
	path := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	server := site.Up(append(flags, "--config", path)...)
	return consoleTab{newBrowser(t, site, language, chromedp.WindowSize(1400, 900))}, server
}

// atWork starts the demonstration of such a centre, and opens the list of work as Tom.
func atWork(t *testing.T, language string) (consoleTab, *skeintest.Process) {
	t.Helper()
	d, server := workplace(t, language, workConfig, "--demo")
	server.WaitFor("the end of the story", func() bool { return strings.Contains(server.Out(), "Ctrl-C stops; the data") })
	d.visit("work")
	d.actAs("tom")
	return d, server
}

// actAs chooses an agent in the settings.
func (d consoleTab) actAs(agent string) {
	d.t.Helper()
	d.do(chromedp.Click(".account > summary"))
	d.fill("#acting", agent)
	d.do(chromedp.Click("[data-setting=agent] button"))
	d.shows(".account .who", agent)
}

// visitor opens the web chat in another tab and writes there.
func (d consoleTab) visitor(text string) tab {
	d.t.Helper()
	v := d.another()
	v.open()
	v.wait("connected", `$("#state").dataset.state === "online"`)
	v.write(text)
	v.wait("sent", `$$("ol > li.visitor.sent").length > 0`)
	return v
}

// keys presses one key after the other, as a keyboard does: characters, Enter, or ctrl+Enter.
func (d consoleTab) keys(keys ...string) {
	d.t.Helper()
	d.until("the page's script", ready)
	for _, key := range keys {
		var modifiers int64
		if rest, ok := strings.CutPrefix(key, "ctrl+"); ok {
			key, modifiers = rest, 2
		}
		down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Code: key, Text: key, Modifiers: modifiers}
		switch key {
		case "Enter":
			down.Text, down.WindowsVirtualKeyCode, down.NativeVirtualKeyCode = "\r", 13, 13
		case "Escape":
			down.Text, down.WindowsVirtualKeyCode, down.NativeVirtualKeyCode = "", 27, 27
		default:
			down.WindowsVirtualKeyCode = int64(strings.ToUpper(key)[0])
		}
		up := down
		up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
		d.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
			for _, params := range []input.DispatchKeyEventParams{down, up} {
				if _, err = chromedp.Call(ctx, input.DispatchKeyEvent, params); err != nil {
					return v, err
				}
			}
			return v, nil
		})
	}
}

// focused waits until the keyboard is in an element.
func (d consoleTab) focused(selector string) {
	d.t.Helper()
	d.until("the keyboard in "+selector, `document.activeElement?.matches(`+strconv.Quote(selector)+`)`)
}

// closed waits until no dialog is open.
func (d consoleTab) closed() {
	d.t.Helper()
	d.until("no dialog, and no keyboard in one", `!$("dialog[open]") && !document.activeElement?.closest("dialog")`)
}

// remember marks the page, so that stays can tell whether it was loaded anew.
func (d consoleTab) remember() {
	d.t.Helper()
	evaluate[bool](d.tab, `window.staysThere = true`)
}

// stays fails where the page was loaded anew.
func (d consoleTab) stays() {
	d.t.Helper()
	if !evaluate[bool](d.tab, `window.staysThere === true`) {
		d.t.Error("the page was loaded anew")
	}
}

// row is the row of work in which a text stands.
func row(text string) string {
	return `$$("#work > li").find((r) => r.innerText.includes(` + quoted(text) + `))`
}

// conversations is the API, for what somebody else does.
func conversations(t *testing.T, site *skeintest.Site) conversationv1.ConversationServiceClient {
	t.Helper()
	conn, err := rpc.Dial(site.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conversationv1.NewConversationServiceClient(conn)
}

// mias is a command of Mia's, about the conversation that the tab shows.
func (d consoleTab) mias(request string) *conversationv1.Command {
	d.t.Helper()
	return &conversationv1.Command{
		ConversationId: evaluate[string](d.tab, `location.pathname.split("/").pop()`), RequestId: request,
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "mia"},
	}
}

func TestConsoleWork(t *testing.T) {
	t.Parallel()
	d, server := atWork(t, "en-US")
	t.Run("filters and orders stand in the address", func(t *testing.T) {
		d := d.in(t)
		d.visit("work?status=settled&order=latest")
		d.shows(".work", "Anna Weber")
		d.until("the view", `$(".views [aria-current]").innerText.includes("Settled")`)
		latest := evaluate[[]string](d.tab, `[...document.querySelectorAll(".work time[datetime]")].map((e) => e.dateTime)`)
		for i := 1; i < len(latest); i++ {
			if latest[i] > latest[i-1] {
				t.Errorf("%s stands below %s", latest[i], latest[i-1])
			}
		}
		evaluate[bool](d.tab, `((s) => { s.value = "voice"; return s.dispatchEvent(new Event("change", {bubbles: true})); })(document.querySelector("[name=channel]"))`)
		d.until("the call only", `location.search.includes("channel=voice") && $$(".work > li").length === 1 && text(".work").includes("Kettles")`)
		d.visit("work?queue=kettles&status=settled") // which Twilio calls by another name
		d.until("the call by its queue", `$$(".work > li").length === 1`)
		d.visit("work?agent=lin&status=settled&order=oldest")
		d.shows("h1", "Chosen work")
		for _, wrong := range []string{"status=lost", "order=any", "channel=pigeon", "due=soon", "customer=nobody"} {
			d.visit("work?" + wrong)
			d.shows(".empty", "This did not work")
		}
		d.visit("work?tag=none-has-this")
		d.shows(".if-none", "No work matches this")
		d.looksGood("none")
	})
	var chat tab
	t.Run("work comes, changes and goes while one looks", func(t *testing.T) {
		chat = d.visitor("Good morning")
		d := d.in(t)
		d.visit("work")
		d.remember()
		chat.t = t
		chat.write("My kettle hums. <b>Is that</b> normal?")
		d.until("the row", row("My kettle hums. <b>Is that</b> normal?"))
		d.until("its target, which counts down", `/^[01]:/.test(`+row("My kettle hums")+`.querySelector(".until:not(.late)").innerText)`)
		chat.write("It hums a melody")
		d.until("the last words", row("It hums a melody"))
		d.until("the counts", `text(".views").includes("Unassigned")`)
		d.stays()
		d.looksGood("list")
	})
	t.Run("no row jumps away from the keyboard", func(t *testing.T) {
		d := d.in(t)
		d.visit("work")
		d.keys("j")
		d.focused("#work .row-link")
		before := evaluate[int](d.tab, `document.querySelectorAll("#work > li").length`)
		api := conversations(t, d.site)
		id := evaluate[string](d.tab, row2("It hums a melody")+`.querySelector("a").pathname.split("/").pop()`)
		_, err := api.Update(t.Context(), &conversationv1.UpdateRequest{
			Command: &conversationv1.Command{ConversationId: id, RequestId: "tag"}, Update: &eventv1.AttributesUpdated{TagsAdded: []string{"noise"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		d.until("the tag, in its place", row("noise"))
		_, err = api.Resolve(t.Context(), &conversationv1.ResolveRequest{Command: &conversationv1.Command{ConversationId: id, RequestId: "gone"}})
		if err != nil {
			t.Fatal(err)
		}
		d.shows("#work-held", "1 change: show it")
		d.until("every row", fmt.Sprintf(`$$("#work > li").length === %d`, before))
		d.hit("#work-held")
		d.until("the row gone", fmt.Sprintf(`$$("#work > li").length === %d`, before-1))
		if _, err := api.Reopen(t.Context(), &conversationv1.ReopenRequest{Command: &conversationv1.Command{ConversationId: id, RequestId: "again"}}); err != nil {
			t.Fatal(err)
		}
		d.until("the row again", row("noise"))
	})
	t.Run("a conversation is settled by the keyboard alone", func(t *testing.T) {
		chat.t = t
		d.in(t).wholeLife(chat)
	})
	t.Run("what the API refuses is said, and why", func(t *testing.T) { d.in(t).refusals() })
	t.Run("a request that comes twice counts once", func(t *testing.T) { d.in(t).twice() })
	t.Run("conversations are linked and unlinked, and handed on by a token", func(t *testing.T) { d.in(t).links() })
	t.Run("a tab that nobody sees holds no stream", func(t *testing.T) { d.in(t).tabs(server) })
}

// in makes a tab fail a part of a test.
func (d consoleTab) in(t *testing.T) consoleTab {
	t.Helper()
	d.t = t
	return d
}

// row2 is row, outside of until.
func row2(text string) string {
	return `[...document.querySelectorAll("#work > li")].find((r) => r.innerText.includes(` + quoted(text) + `))`
}

// opens goes on to the work in whose row a text stands, by script: live rows move away from under a mouse.
func (d consoleTab) opens(text string) {
	d.t.Helper()
	d.until("the row", row(text))
	evaluate[bool](d.tab, `(`+row2(text)+`.querySelector(".row-link").click(), true)`)
}

func (d consoleTab) wholeLife(chat tab) {
	d.t.Helper()
	d.visit("work?channel=web_chat")
	d.until("the row", row("It hums a melody"))
	evaluate[bool](d.tab, `(`+row2("It hums a melody")+`.previousElementSibling?.querySelector(".row-link").focus(), true)`)
	d.keys("j", "Enter")
	d.shows(".timeline", "It hums a melody")
	d.remember()
	d.keys("a")
	d.until("Tom has it", `text("#talk-head").includes("Tom") && !$("[form=take]")`)
	d.keys("n")
	d.focused("#note textarea")
	d.enter("A melody? Perhaps the whistle. 😀 \u202eשלום")
	d.keys("ctrl+Enter")
	d.shows(".remark", "Perhaps the whistle.")
	d.until("an empty field", `$("#note textarea").value === ""`)
	d.keys("Escape", "r")
	d.focused("#reply textarea[name=text]")
	d.enter("It is the whistle: take it off. <i>Tom</i>")
	d.keys("ctrl+Enter")
	chat.wait("the reply", `$$("ol > li.company").some((e) => e.textContent.includes("It is the whistle: take it off. <i>Tom</i>") && e.textContent.includes("Tom"))`)
	d.until("it was read", `$$(".entry.ours.is-bubble").some((e) => e.innerText.includes("take it off") && e.querySelector(".fate").innerText === "Read") &&
		$$(".entry.is-bubble").filter((e) => e.innerText.includes("take it off")).length === 1`)
	evaluate[bool](d.tab, `((field) => { const files = new DataTransfer(); files.items.add(new File(["hold, lift, turn"], "哨子 <1>.txt", {type: "text/plain"}));
		field.files = files.files; return true; })(document.querySelector("#reply [type=file]"))`)
	d.enter("How to take it off")
	d.keys("ctrl+Enter")
	chat.wait("the file", `$$("ol > li.company").some((e) => e.textContent.includes("哨子 <1>.txt"))`)
	d.until("the file on the timeline", `text(".entry.ours .files").includes("哨子 <1>.txt") && $("#reply [type=file]").files.length === 0`)
	d.looksGood("conversation")
	d.keys("Escape", "#")
	d.focused("#tags")
	d.enter("whistle, 哨子")
	d.keys("Enter")
	d.until("the tags", `text(".matter .tag").includes("whistle") && text(".matter .tag").includes("哨子")`)
	d.closed()
	d.keys("c")
	d.focused("#reason")
	d.enter("Kettles › Noise")
	d.keys("Enter")
	d.shows(".matter", "Kettles › Noise")
	d.closed()
	d.keys("s")
	d.until("the choices", `$("#snooze[open]")`)
	d.accessible()
	d.keys("Enter")
	d.shows("#talk-head .chip", "Put off")
	d.closed()
	chat.write("Now it is quiet!")
	d.shows(".timeline", "Now it is quiet!")
	d.shows("#talk-head .chip", "Open")
	d.keys("t")
	d.focused("#transfer-to")
	d.screenshot("transfer")
	evaluate[bool](d.tab, `(document.querySelector("#transfer-note").focus(), true)`)
	d.enter("Was it the whistle?")
	d.keys("ctrl+Enter")
	d.until("it waits in the queue", `text("#talk-head").includes("Kettles") && text("#talk-head").includes("Unassigned") && text(".shares").includes("waits")`)
	d.closed()
	d.keys("d")
	d.focused("#assign-to")
	evaluate[bool](d.tab, `(document.querySelector("#assign-to").value = "mia", true)`)
	d.hit("#assign .primary")
	d.until("Mia has it", `text("#talk-head").includes("Mia")`)
	d.closed()
	d.keys("a")
	d.until("Tom has it again", `text("#talk-head").includes("Tom")`)
	d.keys("e")
	d.focused("#resolution")
	d.enter("The whistle")
	d.keys("Enter")
	d.until("it is settled", `text("#talk-head .chip").includes("Resolved") && text(".matter").includes("The whistle")`)
	d.closed()
	d.keys("o")
	d.focused("#reopen-reason")
	d.keys("Enter")
	d.shows("#talk-head .chip", "Open")
	d.closed()
	d.stays()
	d.keys("?")
	d.until("the keys", `$("#keys[open]") && text("#keys").includes("Previous and next conversation of the list")`)
	d.accessible()
	d.keys("Escape")
	d.closed()
	d.keys("e")
	d.focused("#resolution")
	d.keys("Enter")
	d.shows("#talk-head .chip", "Resolved")

	// Along the list that one came from.
	d.visit("work?status=settled&order=latest")
	d.keys("j", "Enter")
	d.until("the first conversation", `$("#talk-head") && $("[data-step='1']").href`)
	first := evaluate[string](d.tab, `location.pathname`)
	d.keys("]")
	d.until("the next one", `$("#talk-head") && location.pathname !== `+quoted(first))
	d.keys("[")
	d.until("the first one again", `$("#talk-head") && location.pathname === `+quoted(first))
}

func (d consoleTab) refusals() {
	d.t.Helper()
	api := conversations(d.t, d.site)

	// Another agent is faster.
	chat := d.visitor("Where is my parcel?")
	d.visit("work?channel=web_chat")
	d.opens("Where is my parcel?")
	d.shows(".timeline", "Where is my parcel?")
	d.keys("e")
	d.focused("#resolution")
	if _, err := api.Resolve(d.t.Context(), &conversationv1.ResolveRequest{Command: d.mias("faster")}); err != nil {
		d.t.Fatal(err)
	}
	d.shows("#talk-head .chip", "Resolved")
	d.keys("Enter")
	d.shows("#resolve .wrong", "it is resolved already")
	d.keys("Escape")
	chat.close()

	// A mailbox that cannot send.
	d.talkOf(eventv1.Channel_CHANNEL_EMAIL, "Kettle leaks at the handle")
	d.shows("#talk-head", "Kettle leaks at the handle")
	d.keys("r")
	d.focused("#reply [name=subject]")
	d.fill("#reply textarea[name=text]", "Does it stay dry?")
	d.keys("ctrl+Enter")
	d.until("the reason", `text("#reply .wrong") !== "" && $("#reply textarea[name=text]").value === "Does it stay dry?"`)
	d.screenshot("refused")

	// A window that is closed.
	d.talkOf(eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, "spare lid")
	d.shows(".timeline", "spare lid")
	d.fill("#reply textarea[name=text]", "Has the lid arrived?")
	d.keys("ctrl+Enter")
	d.until("it was not sent, with its text and the reason", `$$(".entry.is-bubble").some((e) => e.innerText.includes("Has the lid arrived?") &&
		e.querySelector(".fate.bad")?.innerText === "Not sent") && text("#window").includes("24 hours")`)
	d.screenshot("window")
	d.visit(strings.TrimPrefix(evaluate[string](d.tab, `location.pathname`), "/console/"))
	d.shows("#window", "24 hours")
	d.until("the template", `$("details.template[open]")`)

	// Nobody in particular.
	d.actAs("")
	d.shows(".banner", "Choose which agent you act as")
	d.fill("#reply textarea[name=text]", "Hello?")
	d.keys("ctrl+Enter")
	d.shows("#reply .wrong", "Choose first which agent you act as")
	d.do(chromedp.Click(".banner button"))
	d.until("somebody", `!$(".banner #act-as")`)
	d.visit("work")
	d.actAs("tom")
}

func (d consoleTab) twice() {
	d.t.Helper()
	d.visitor("Twice, please").close()
	d.visit("work?channel=web_chat")
	d.opens("Twice, please")
	d.shows(".timeline", "Twice, please")
	for range 2 {
		answer := evaluate[int](d.tab, `((call) => { call.open("POST", location.pathname + "/note", false); call.setRequestHeader("HX-Request", "true");
			call.send(new URLSearchParams({request: "the same", text: "Noted once"})); return call.status; })(new XMLHttpRequest())`)
		if answer != http.StatusNoContent {
			d.t.Errorf("the answer is %d", answer)
		}
	}
	d.keys("n")
	d.focused("#note textarea")
	d.enter("Clicked twice")
	evaluate[bool](d.tab, `((b) => { for (let i = 0; i < 2; i++) b.click(); return true; })(document.querySelector("#note button.primary"))`)
	d.shows(".remark", "Clicked twice")
	d.until("an empty field", `$("#note textarea").value === ""`)
	d.enter("The last one")
	d.keys("ctrl+Enter")
	d.shows(".remark", "The last one")
	if n := evaluate[string](d.tab, `[...document.querySelectorAll(".remark")].map((e) => e.innerText).join("|")`); !strings.HasSuffix(n, "|Noted once|Clicked twice|The last one") || strings.Count(n, "Noted once") != 1 {
		d.t.Errorf("the notes are %s", n)
	}
	evaluate[bool](d.tab, `(document.querySelector("#note textarea").blur(), true)`)
}

// talkOf opens the conversation on a channel in which words were said, once there is one.
func (d consoleTab) talkOf(channel eventv1.Channel, words string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	for {
		answer, err := conversations(d.t, d.site).List(ctx, &conversationv1.ListRequest{Filter: &conversationv1.Filter{
			Channels: []eventv1.Channel{channel}, Statuses: []conversationv1.WorkStatus{
				conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_RESOLVED, conversationv1.WorkStatus_WORK_STATUS_CLOSED,
			},
		}})
		if err != nil {
			d.t.Fatalf("look for a conversation on %s in which was said %q: %v", channel, words, err)
		}
		for _, w := range answer.GetWork() {
			d.visit("work/" + w.GetConversationId())
			if evaluate[bool](d.tab, `document.body.innerText.includes(`+quoted(words)+`)`) {
				return
			}
		}
	}
}

func (d consoleTab) links() {
	d.t.Helper()
	d.talkOf(eventv1.Channel_CHANNEL_VOICE, "Kettles")
	d.shows("#talk-head", "Telephone")
	d.until("the waits and shares of the call", `text(".shares").includes("Kettles") && text(".shares").includes("Tom") && text(".shares").includes("Mia")`)
	d.shows("#reply", "Nothing was written here")
	d.hit("[data-opens='#link']")
	d.accessible()
	d.screenshot("link")
	evaluate[bool](d.tab, `((s) => { s.value = [...s.options].find((o) => o.text.includes("Kettle leaks")).value; return true; })(document.querySelector("#link-known"))`)
	d.fill("#link-reason", "the same kettle")
	d.keys("Enter")
	d.until("both", `$$(".stretch").length === 2 && text(".links").includes("the same kettle") && text(".timeline").includes("It arrived and it does not leak.")`)
	d.looksGood("linked")
	d.hit("[data-opens='#token']")
	d.hit("#token .primary")
	d.until("a token", `$("#token .answer input")?.value.length > 20`)
	d.keys("Escape")
	d.closed()
	evaluate[bool](d.tab, `([...document.querySelectorAll(".links li")].find((l) => l.innerText.includes("the same kettle")).querySelector("[form=unlink]").click(), true)`)
	d.until("one again", `$$(".stretch").length === 1`)
}

// openStreams are how many watches of a conversation's timeline the server serves.
func openStreams(t *testing.T, site *skeintest.Site) int {
	t.Helper()
	answer, err := http.Get("http://" + site.HTTP + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	open := 0
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if !strings.Contains(name, `grpc_method="Watch"`) || !strings.Contains(name, "skein.timeline.v1") {
			continue
		}
		n, err := strconv.Atoi(value)
		switch {
		case err != nil:
		case strings.HasPrefix(name, "grpc_server_started_total"):
			open += n
		case strings.HasPrefix(name, "grpc_server_handled_total"):
			open -= n
		}
	}
	return open
}

// hide tells a page that nobody sees it, or that somebody does, as the browser does when another tab is chosen.
func (d consoleTab) hide(hidden bool) {
	d.t.Helper()
	evaluate[bool](d.tab, fmt.Sprintf(`(Object.defineProperty(document, "hidden", {configurable: true, value: %t}), document.dispatchEvent(new Event("visibilitychange")))`, hidden))
}

func (d consoleTab) tabs(server *skeintest.Process) {
	d.t.Helper()
	path := strings.TrimPrefix(evaluate[string](d.tab, `location.pathname`), "/console/")
	d.visit("customers")
	server.WaitFor("without streams", func() bool { return openStreams(d.t, d.site) == 0 })
	const many = 50
	var all []consoleTab
	for range many {
		other := consoleTab{d.another()}
		other.visit(path)
		server.WaitFor("a stream of the tab in front", func() bool { return openStreams(d.t, d.site) == 1 })
		other.hide(true)
		all = append(all, other)
	}
	server.WaitFor("without streams again", func() bool { return openStreams(d.t, d.site) == 0 })
	last := all[many-1]
	api := conversations(d.t, d.site)
	if _, err := api.Note(d.t.Context(), &conversationv1.NoteRequest{Command: last.mias("unseen"), Text: "Written while nobody looked"}); err != nil {
		d.t.Fatal(err)
	}
	last.hide(false)
	last.shows(".remark", "Written while nobody looked")
	for _, other := range all {
		other.close()
	}
}

func TestConsoleWorkInChinese(t *testing.T) {
	t.Parallel()
	d, _ := atWork(t, "zh-CN")
	d.visit("work?status=settled&order=latest")
	d.shows(".views", "未分配")
	d.shows(".work", "Anna Weber")
	d.looksGood("list")
	d.opens("Anna Weber")
	d.shows("#talk-head", "重新打开")
	d.shows(".composer", "备注")
	d.keys("n")
	d.focused("#note textarea")
	d.enter("请转告小林：客户已到店 🫖")
	d.keys("ctrl+Enter")
	d.shows(".remark", "请转告小林：客户已到店 🫖")
	d.keys("Escape")
	d.looksGood("conversation")
	d.keys("?")
	d.shows("#keys", "在会话中")
}

func TestConsoleWorkKeepsAReplyWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	d, _ := workplace(t, "en-US", `
auth: {tokens: [{name: desk, tenant: default, sha256: 47311a80aeba627d0afc46b2c0e90e5c77649f9a5d909a5f25085c106d837fa7}]}
inboxes: [{id: web, tenant: default, channel: web_chat, name: Skein Home}]
`)
	chat := d.visitor("Is anybody there?")
	d.visit("work")
	signIn := func(d consoleTab) {
		t.Helper()
		d.fill("#token", "desk token")
		d.keys("Enter")
		d.until("the session", `!$("#token") && $(".account")`)
	}
	signIn(d)
	d.actAs("tom")
	d.opens("Is anybody there?")
	d.shows(".timeline", "Is anybody there?")
	d.keys("r")
	d.focused("#reply textarea[name=text]")
	d.enter("Yes, I am. And this text takes long to write …")
	d.do(func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, network.DeleteCookies, network.DeleteCookiesParams{Name: "skein_session", URL: "http://" + d.site.HTTP + "/console/"})
		return v, err
	})
	d.keys("ctrl+Enter")
	d.until("it says so, and the text stays", `$("#session-over[open]") && $("#reply textarea[name=text]").value.startsWith("Yes, I am.")`)
	d.accessible()
	d.screenshot("session over")
	other := consoleTab{d.another()}
	other.visit("sign-in")
	signIn(other)
	d.keys("Escape")
	d.fill("#reply textarea[name=text]", "Yes, I am. And this text takes long to write. Done!")
	d.keys("ctrl+Enter")
	chat.wait("the reply", `$$("ol > li.company").length === 1 && $("ol > li.company").textContent.includes("Done!")`)
	d.until("it was sent", `["Sent", "Read"].includes($(".entry.ours .fate")?.innerText)`)
}
