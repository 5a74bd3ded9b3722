package browser_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestTheWidgetWorksOnAPageOfAnotherSiteWithAStrictPolicy(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.screen(1000, 720, "light")
	tab.visit(s, "")
	if n := s.sockets(); n != "0" {
		t.Errorf("%s sockets of a visitor who has not chatted", n)
	}
	tab.screenshot("button")
	tab.chat()
	tab.screenshot("welcome")
	tab.write("Hello, is the blue kettle back in stock? https://shop.example/kettles?colour=blue&size=2.")
	tab.see(bubble{"visitor sent", "Hello, is the blue kettle back in stock? https://shop.example/kettles?colour=blue&size=2.", "sent"})
	in := tab.session()
	answer(t, s.Site, in, "It is! 您好！ Shall I keep one for you?")
	tab.wait("read", `$$("ol > li").length === 2`)
	if read := s.told(in, event.TypeMessageRead, 1); read[0].GetContent().GetMessageRead().GetMessage() != "It is! 您好！ Shall I keep one for you?" {
		t.Errorf("read: %v", read)
	}
	change := func(f func(*eventv1.Submission)) { answer(t, s.Site, in, "", f) }
	mine := s.told(in, event.TypeMessageReceived, 1)[0].GetContent().GetNativeId()
	change(func(sub *eventv1.Submission) {
		sub.Type, sub.NativeId = event.TypeMessageRead, mine+"/read"
		sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: mine}}}
	})
	change(func(sub *eventv1.Submission) {
		sub.Type, sub.NativeId = event.TypeMessageReacted, mine+"/reacted"
		sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageReacted{MessageReacted: &eventv1.MessageReacted{Message: mine, Reaction: "👍"}}}
	})
	change(func(sub *eventv1.Submission) {
		sub.Type, sub.NativeId = event.TypeMessageEdited, "edit"
		sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{
			Message: "It is! 您好！ Shall I keep one for you?", Edited: &eventv1.Message{Text: "It is! 您好！ Shall I keep a blue one for you?"},
		}}}
	})
	answer(t, s.Site, in, "<img src=x onerror=alert(1)>", func(sub *eventv1.Submission) {
		sub.Parties[0].DisplayName = "<b>Mei</b>"
		sub.Actor.Kind = eventv1.ActorKind_ACTOR_KIND_BOT
	})
	change(func(sub *eventv1.Submission) {
		sub.Type, sub.NativeId = event.TypeMessageDeleted, "delete"
		sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: "<img src=x onerror=alert(1)>"}}}
	})
	tab.see(
		bubble{"visitor read", "Hello, is the blue kettle back in stock? https://shop.example/kettles?colour=blue&size=2.", "read👍"},
		bubble{"company edited", "It is! 您好！ Shall I keep a blue one for you?", "edited"},
		bubble{"company bot deleted", "This message was taken back.", "<b>Mei</b>"},
	)
	tab.wait("a link", `$("li a").href === "https://shop.example/kettles?colour=blue&size=2" && $("li a").rel === "noopener noreferrer nofollow"`)
	tab.screenshot("light")

	tab.click("#close")
	answer(t, s.Site, in, "Are you still there?")
	tab.wait("an unread message", `$("#badge").textContent === "1" && $("#launcher").ariaLabel === "Open chat, 1 unread message" && $(".unseen").textContent === "New message from Mei"`)
	s.told(in, event.TypeMessageDelivered, 1)
	tab.screenshot("unread")
	tab.visit(s, "")
	tab.wait("it is unread after a reload", `$("#badge").textContent === "1" && !$("#badge").hidden`)
	tab.chat()
	tab.wait("nothing is unread", `$("#badge").hidden`)
	s.told(in, event.TypeMessageRead, 4) // three of the visitor's, and the company's
	tab.visit(s, "")
	tab.wait("nothing is unread after a reload", `$$("ol > li:not(.greeting)").length === 4 && $("#badge").hidden`)
	if n := len(s.told(in, event.TypeMessageDelivered, 1)); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

func TestTheSiteTellsOfPagesFormsStepsSurveysAndSessions(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.visit(s, "")
	tab.skein(`"page"`)
	tab.skein(`"form", "callback", {name: "Anna <b>", phone: "+49 30 901820"}`)
	tab.skein(`"step", "faq", "descale-a-kettle", "white spots"`)
	tab.skein(`"survey", {survey: "visit", metric: "nps", score: 9, comment: "好"}`)
	tab.skein(`"session", "started", "cobrowse", "cb-1"`)
	tab.skein(`"session", "ended", "cobrowse", "cb-1"`)
	tab.wait("a session", `Object.keys(localStorage).some((name) => name.endsWith(":session"))`)
	in := tab.session()
	if got := s.told(in, event.TypePageViewed, 1)[0].GetContent().GetPageViewed(); got.GetUrl() != s.url+"/?" && got.GetUrl() != s.url+"/" || got.GetTitle() != "Kettles" {
		t.Errorf("page %v", got)
	}
	if got := s.told(in, event.TypeFormSubmitted, 1)[0].GetContent().GetFormSubmitted(); got.GetForm() != "callback" || got.GetFields()["name"] != "Anna <b>" {
		t.Errorf("form %v", got)
	}
	if got := s.told(in, event.TypeFlowStepEntered, 1)[0].GetContent().GetFlowStepEntered(); got.GetStep() != "descale-a-kettle" {
		t.Errorf("step %v", got)
	}
	if got := s.told(in, event.TypeSurveyAnswered, 1)[0].GetContent().GetSurveyAnswered(); got.GetScore() != 9 || got.GetScaleMax() != 10 {
		t.Errorf("survey %v", got)
	}
	if got := s.told(in, event.TypeInteractionStarted, 1)[0]; got.GetEvent().GetChannel() != eventv1.Channel_CHANNEL_VIDEO || got.GetContent().GetInteractionStarted().GetContinues() != in.Thread {
		t.Errorf("session %v", got)
	}
	s.told(in, event.TypeInteractionEnded, 1)
	tab.wait("nothing waits", `!Object.keys(localStorage).some((name) => name.includes(":unsent:"))`)
}

func TestAVisitorIsAskedBeforeTheChatAndAfterIt(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.screen(1000, 720, "light")
	tab.visit(s, "")
	tab.skein(`"prechat", {form: "contact", fields: [{name: "name", label: "Your name"}, {name: "email", label: "Your mail address", type: "email", required: true}]}`)
	tab.chat()
	tab.accessible()
	tab.screenshot("form")
	tab.do(chromedp.SendKeys(part("#field-0"), "Anna"), chromedp.SendKeys(part("#field-1"), "anna@example.com"))
	tab.click("#prechat button")
	in := tab.session()
	if got := s.told(in, event.TypeFormSubmitted, 1)[0].GetContent().GetFormSubmitted(); got.GetFields()["email"] != "anna@example.com" || got.GetFields()["name"] != "Anna" {
		t.Errorf("form %v", got)
	}
	tab.write("Hello")
	tab.see(bubble{"visitor sent", "Hello", "sent"})
	answer(t, s.Site, in, "", func(sub *eventv1.Submission) {
		sub.Type, sub.NativeId = event.TypeSurveySent, "survey"
		sub.Content = &eventv1.Content{Body: &eventv1.Content_SurveySent{SurveySent: &eventv1.SurveySent{Survey: "after-chat"}}}
	})
	tab.wait("the question", `$(".survey button")`)
	tab.accessible()
	tab.screenshot("survey")
	tab.click(".scores button:nth-of-type(4)")
	tab.wait("thanks", `$(".survey p").textContent === "Thank you!" && !$(".survey button")`)
	if got := s.told(in, event.TypeSurveyAnswered, 1)[0].GetContent().GetSurveyAnswered(); got.GetSurvey() != "after-chat" || got.GetScore() != 4 || got.GetMetric() != eventv1.SurveyMetric_SURVEY_METRIC_CSAT {
		t.Errorf("answered %v", got)
	}
	tab.visit(s, "")
	tab.chat()
	tab.wait("it is not asked again", `$(".survey p").textContent === "Thank you!" && !$(".survey button") && !$("#prechat")`)
}

func TestASiteSaysWhoTheVisitorIsAndForgetsAtLogout(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.visit(s, "")
	tab.chat()
	tab.write("who am I?")
	tab.see(bubble{"visitor sent", "who am I?", "sent"})
	unknown := tab.session().Visitor
	tab.skein(`"token", "` + sign("anna", time.Now().Add(time.Hour)) + `"`)
	tab.wait("her own conversation", `$$("ol > li:not(.greeting)").length === 0 && $("#state").dataset.state === "online"`)
	tab.write("I am Anna")
	tab.see(bubble{"visitor sent", "I am Anna", "sent"})
	anna := tab.session()
	if anna.Visitor != "anna" || anna.Thread != "t-anna" {
		t.Errorf("she is %+v", anna)
	}
	parties := s.told(anna, event.TypeMessageReceived, 1)[0].GetContent().GetParties()
	if len(parties) != 2 || parties[1].GetAddress() != "4711" || parties[1].GetNamespace() != "login" {
		t.Errorf("parties %v", parties)
	}
	other := tab.another()
	other.goTo(s.url + "/?tag=data-open")
	other.see(bubble{"visitor sent", "I am Anna", "sent"})
	tab.skein(`"forget"`)
	tab.wait("nothing is left", `$$("ol > li:not(.greeting)").length === 0 && Object.keys(localStorage).length === 0`)
	other.wait("nothing is left in the other tab", `$$("ol > li:not(.greeting)").length === 0`)
	s.server.WaitFor("no socket", func() bool { return s.sockets() == "0" })
	tab.write("somebody else")
	tab.see(bubble{"visitor sent", "somebody else", "sent"})
	if got := tab.session().Visitor; got == "anna" || got == unknown {
		t.Errorf("after the logout the visitor is %s", got)
	}
	evaluate[bool](tab, `addEventListener("skein:token", () => window.skein("token", "`+sign("anna", time.Now().Add(time.Hour))+`")), true`)
	tab.skein(`"token", "` + sign("anna", time.Now().Add(-time.Hour)) + `"`) // the site is asked for another one
	tab.see(bubble{"visitor sent", "I am Anna", "sent"})
}

func TestFilesGoUpWithAPreviewAndComeDown(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.screen(1000, 720, "light")
	tab.visit(s, "")
	tab.chat()
	photo, photoBytes := picture(t, "kettle <b>.png")
	note := filepath.Join(t.TempDir(), "发票.txt")
	large := filepath.Join(t.TempDir(), "large.bin")
	for path, data := range map[string][]byte{note: []byte("Invoice 4711"), large: make([]byte, 1_000_001)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tab.do(chromedp.SetUploadFiles(part("#file"), []string{photo, note, large}))
	tab.wait("two are there, one is too large", `$$("#uploads .done").length === 2 && $("#uploads .failed .size").textContent === "too large: 977 kB at most" && $("#uploads canvas").width > 1`)
	tab.accessible()
	tab.screenshot("uploads")
	tab.write("Here they are.")
	tab.see(bubble{"visitor sent", "Here they are.", "sent"})
	tab.wait("the picture is drawn", `$("li .file.shown canvas").width === 320 && $$("li .file").length === 2 && $$("#uploads li").length === 0`)
	in := tab.session()
	received := s.told(in, event.TypeMessageReceived, 1)[0].GetContent()
	attached := received.GetAttachments()
	if len(attached) != 2 || attached[0].GetName() != "kettle <b>.png" || attached[0].GetBlob().GetMediaType() != "image/png" ||
		attached[0].GetBlob().GetSize() != int64(len(photoBytes)) || attached[1].GetName() != "发票.txt" || attached[1].GetBlob().GetMediaType() != "text/plain" {
		t.Errorf("attached %v", attached)
	}
	answer(t, s.Site, in, "And the invoice, signed.", func(sub *eventv1.Submission) {
		sub.Content.Attachments = []*eventv1.Attachment{{Name: "signed.txt", Blob: attached[1].GetBlob()}, {Name: "photo.png", Blob: attached[0].GetBlob()}}
	})
	tab.wait("the files", `$$(".company .file").length === 2 && $(".company .file.shown")`)
	tab.accessible()
	tab.screenshot("files")
	dir := t.TempDir()
	if _, err := chromedp.CallBrowser(tab.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir}); err != nil {
		t.Fatal(err)
	}
	tab.click(".company .file")
	s.server.WaitFor("downloaded", func() bool {
		got, err := os.ReadFile(filepath.Join(dir, "signed.txt"))
		return err == nil && bytes.Equal(got, []byte("Invoice 4711"))
	})
	tab.visit(s, "")
	tab.chat()
	tab.wait("the files after a reload", `$$(".file").length === 4 && $$(".file.shown").length === 2`)
}

func TestALongHistoryOfPicturesIsDrawnAsItComesIntoView(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.screen(1000, 720, "light")
	tab.visit(s, "")
	tab.chat()
	photo, _ := picture(t, "kettle.png")
	tab.do(chromedp.SetUploadFiles(part("#file"), []string{photo}))
	tab.wait("it is there", `$("#uploads .done")`)
	tab.write("one")
	tab.wait("it is drawn", `$(".file.shown")`)
	in := tab.session()
	attached := s.told(in, event.TypeMessageReceived, 1)[0].GetContent().GetAttachments()
	for i := range 30 {
		answer(t, s.Site, in, fmt.Sprint("picture ", i), func(sub *eventv1.Submission) { sub.Content.Attachments = attached })
	}
	tab.visit(s, "")
	tab.chat()
	tab.wait("the last are drawn and in view, and most of the others not", `$$(".file").length === 31 && $$(".file")[30].matches(".shown") && $$(".file")[29].matches(".shown") &&
		$$(".file:not(.shown)").length > 10 && $("#log").scrollHeight - $("#log").scrollTop - $("#log").clientHeight < 5`)
	evaluate[bool](tab, `document.querySelector("skein-chat").shadowRoot.querySelectorAll(".file")[15].scrollIntoView(), true`)
	tab.wait("what came into view is drawn", `$$(".file")[15].matches(".shown")`)
	answer(t, s.Site, in, "one more")
	tab.wait("the visitor stays there", `$$("ol > li:not(.greeting)").length === 32 && $("#log").scrollHeight - $("#log").scrollTop - $("#log").clientHeight > 500`)
}

func TestFiftyTabsAreOneVisitorWithOneSocket(t *testing.T) {
	s := openShop(t)
	first := newBrowser(t, s.Site, "en-US")
	first.visit(s, "")
	first.chat()
	first.write("from the first")
	first.see(bubble{"visitor sent", "from the first", "sent"})
	tabs := []tab{first}
	for range 49 {
		next := first.another()
		next.goTo(s.url + "/?tag=data-open")
		tabs = append(tabs, next)
	}
	want := []bubble{{"visitor sent", "from the first", "sent"}}
	for _, tab := range tabs {
		tab.see(want...)
		tab.wait("online", `$("#state").dataset.state === "online"`)
	}
	if n := s.sockets(); n != "1" {
		t.Errorf("%s sockets", n)
	}
	tabs[33].write("from another")
	want = append(want, bubble{"visitor sent", "from another", "sent"})
	tabs[33].see(want...) // before the answer, which goes another way
	answer(t, s.Site, first.session(), "to all")
	want = append(want, bubble{"company", "to all", "Mei"})
	for _, tab := range tabs {
		tab.see(want...)
	}
	first.close() // the one that speaks for all
	tabs[20].write("and now?")
	want = append(want, bubble{"visitor sent", "and now?", "sent"})
	for _, tab := range tabs[1:] {
		tab.see(want...)
	}
	s.server.WaitFor("one socket", func() bool { return s.sockets() == "1" })
	if got := timeline(t, s.Site, tabs[1].session(), 4); len(got) != 4 {
		t.Errorf("the timeline holds %q", got)
	}
}

func TestWithoutWebLocksEachTabSpeaksForItself(t *testing.T) {
	s := openShop(t)
	one := newBrowser(t, s.Site, "en-US", chromedp.Flag("host-resolver-rules", "MAP shop.test 127.0.0.1"))
	one.goTo(s.insecure() + "/")
	one.wait("no locks", `!navigator.locks && $("#launcher")`)
	one.chat()
	one.write("one")
	one.see(bubble{"visitor sent", "one", "sent"})
	two := one.another()
	two.goTo(s.insecure() + "/?tag=data-open")
	two.see(bubble{"visitor sent", "one", "sent"})
	two.write("two")
	one.see(bubble{"visitor sent", "one", "sent"}, bubble{"visitor sent", "two", "sent"})
	if n := s.sockets(); n != "2" {
		t.Errorf("%s sockets", n)
	}
}

func TestWhatAnyTabWroteOfflineIsSentOnceInItsOrder(t *testing.T) {
	s := openShop(t)
	one := newBrowser(t, s.Site, "en-US")
	one.visit(s, "")
	one.chat()
	two := one.another()
	two.goTo(s.url + "/?tag=data-open")
	two.wait("online", `$("#state").dataset.state === "online"`)
	one.offline(true)
	two.offline(true)
	one.wait("offline", `$("#state").dataset.state === "offline"`)
	two.wait("offline", `$("#state").dataset.state === "offline"`)
	var want []string
	for i := range 4 {
		text := fmt.Sprint("message ", i)
		want = append(want, text)
		[]tab{one, two}[i%2].write(text)
	}
	unsent := make([]bubble, 0, 4)
	sent := make([]bubble, 0, 4)
	for _, text := range want {
		unsent = append(unsent, bubble{"visitor waiting", text, "not sent, will retry"})
		sent = append(sent, bubble{"visitor sent", text, "sent"})
	}
	one.see(unsent...)
	two.see(unsent...)
	one.screenshot("offline")
	one.close() // what it wrote stays
	two.offline(false)
	two.see(sent...)
	three := two.another()
	three.goTo(s.url + "/?tag=data-open")
	three.see(sent...)
	if got := timeline(t, s.Site, two.session(), len(want)); strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("the timeline holds %q", got)
	}
}

func TestTheWidgetIsUsedByKeyboardAlone(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.visit(s, "")
	focus := func(what string) {
		t.Helper()
		tab.wait("focus on "+what, deepFocus+` === "`+what+`"`)
	}
	for evaluate[string](tab, deepFocus) != "launcher" {
		tab.press("Tab", false)
	}
	tab.screenshot("focus")
	tab.press("Enter", false)
	focus("text")
	tab.wait("online", `$("#state").dataset.state === "online"`)
	tab.enter("Hello")
	tab.press("Enter", false)
	tab.see(bubble{"visitor sent", "Hello", "sent"})
	for _, stop := range []string{"send", "close", "log", "attach", "text", "send"} { // round and round
		tab.press("Tab", false)
		focus(stop)
	}
	for _, stop := range []string{"text", "attach", "log", "close", "send"} {
		tab.press("Tab", true)
		focus(stop)
	}
	tab.press("Escape", false)
	focus("launcher")
	tab.wait("closed", `$("#panel").hidden && $("#launcher").ariaExpanded === "false"`)
}

func TestTheWidgetFitsPhonesAndZoomAndSpeaksChineseAndDark(t *testing.T) {
	s := openShop(t)
	tab := newBrowser(t, s.Site, "en-US")
	tab.screen(390, 844, "light")
	tab.visit(s, "page=zh-Hans")
	tab.chat()
	tab.write("包裹显示已签收，但我没有收到。订单号：https://shop.example/orders/20260301-4711-very-long-number-that-does-not-break")
	tab.wait("sent", `$("li.sent")`)
	in := tab.session()
	answer(t, s.Site, in, "您好，我马上为您查询。")
	answer(t, s.Site, in, "Donaudampfschifffahrtsgesellschaftskapitänsmützenverkäuferin", func(sub *eventv1.Submission) { sub.Actor.Kind = eventv1.ActorKind_ACTOR_KIND_BOT })
	tab.wait("all", `$$("ol > li:not(.greeting)").length === 3 && $("#state").textContent === "已连接" && $("#send").ariaLabel === "发送"`)
	for name, size := range map[string][2]int64{"phone": {390, 844}, "narrow": {320, 568}, "zoomed": {500, 360}, "low": {640, 320}} { // 1000x720 at 200 %
		for _, scheme := range []string{"light", "dark"} {
			tab.screen(size[0], size[1], scheme)
			tab.wait("it fits", `(() => {
				const fits = [$("#panel"), $("#log"), $("#form")].every((e) => e.scrollWidth <= e.clientWidth);
				const inside = ["#close", "#text", "#send", "#attach"].every((s) => { const r = $(s).getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && r.top >= 0 && r.bottom <= innerHeight; });
				return fits && inside && $("#log").clientHeight >= 80 && document.documentElement.scrollWidth <= innerWidth;
			})()`)
			tab.accessible()
			tab.screenshot(name + "-" + scheme)
		}
	}
	tab.visit(s, "page=zh&tag=data-lang%3Den+data-theme%3Ddark+data-open")
	tab.screen(1000, 720, "light")
	tab.wait("English, since the site says so", `$("#state").textContent === "Connected"`)
	tab.screenshot("dark")
	tab.accessible()
}

func TestThePageOfSkeinsOwnIsAccessible(t *testing.T) {
	site, _ := start(t)
	tab := newBrowser(t, site, "en-US")
	for _, scheme := range []string{"light", "dark"} {
		tab.screen(1000, 720, scheme)
		tab.open()
		tab.wait("connected", `$("#state").dataset.state === "online"`)
		tab.write("Hello in " + scheme)
		tab.wait("sent", `$("li.sent")`)
		answer(t, site, tab.session(), "Good "+scheme)
		tab.wait("answered", `$("li.company")`)
		tab.accessible()
		tab.screenshot("page-" + scheme)
	}
}
