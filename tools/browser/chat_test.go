// Package browser_test shows that the web chat's page works in a real browser against the real program.
package browser_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// The programs are found and built once for all tests.
var chromium, binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && chromium == "" {
			chromium = path
		}
	}
	if chromium == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "skein-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = skeintest.Build(filepath.Join("..", ".."), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts a server; without a browser the test is skipped.
func start(t *testing.T) (*skeintest.Site, *skeintest.Process) {
	t.Helper()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	site := skeintest.NewSite(t, binary)
	server := site.Up()
	return site, server
}

// answer says something as an agent in a tab's thread.
func answer(t *testing.T, site *skeintest.Site, in session, text string, change ...func(*eventv1.Submission)) {
	t.Helper()
	conn, err := rpc.Dial(site.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &eventv1.Submission{
		Type: event.TypeMessageSent, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_OUTBOUND,
		Provider: "desktop", Inbox: "web", Thread: in.Thread, NativeId: text,
		Parties: []*eventv1.SubmittedParty{
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "mei@skein.example"},
				Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_COMPANY, DisplayName: "Mei",
			},
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: in.Visitor},
				Role:    eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_CUSTOMER,
			},
		},
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "mei"},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: text}}},
	}
	for _, f := range change {
		f(s)
	}
	_, err = ingestv1.NewIngestServiceClient(conn).Publish(t.Context(), &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{s}})
	if err != nil {
		t.Fatal(err)
	}
}

// timeline are the texts that the visitor's timeline holds, once they are so many: the page shows as sent what is in the log, and the timeline follows.
func timeline(t *testing.T, site *skeintest.Site, in session, count int) (texts []string) {
	t.Helper()
	conn, err := rpc.Dial(site.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for deadline := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
		page, err := timelinev1.NewTimelineServiceClient(conn).List(t.Context(), &timelinev1.ListRequest{
			Addresses: []*eventv1.Address{{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: in.Visitor}},
			Order:     timelinev1.Order_ORDER_OLDEST_FIRST, PageSize: 500,
		})
		if err != nil {
			t.Fatal(err)
		}
		texts = texts[:0]
		for _, e := range page.GetEntries() {
			if text := e.GetContent().GetMessageReceived().GetText() + e.GetContent().GetMessageSent().GetText(); text != "" {
				texts = append(texts, text)
			}
		}
		if len(texts) >= count || time.Now().After(deadline) {
			return texts
		}
	}
}

func TestAVisitorChatsReloadsAndSeesTheConversationAgain(t *testing.T) {
	site, _ := start(t)
	tab := newBrowser(t, site, "en-US")
	tab.open()
	tab.wait("connected", `$("#state").dataset.state === "online"`)
	tab.write("Hello, is the kettle back in stock?")
	tab.see(bubble{"visitor sent", "Hello, is the kettle back in stock?", "sent"})
	answer(t, site, tab.session(), "It is! 您好！ Shall I keep one for you?")
	tab.see(
		bubble{"visitor sent", "Hello, is the kettle back in stock?", "sent"},
		bubble{"company", "It is! 您好！ Shall I keep one for you?", "Mei"},
	)
	tab.write("Yes, please. <b>Thank you</b>")
	want := []bubble{
		{"visitor sent", "Hello, is the kettle back in stock?", "sent"},
		{"company", "It is! 您好！ Shall I keep one for you?", "Mei"},
		{"visitor sent", "Yes, please. <b>Thank you</b>", "sent"},
	}
	tab.see(want...)
	visitor := tab.session().Visitor
	tab.open()
	tab.see(want...)
	if again := tab.session().Visitor; again != visitor {
		t.Errorf("after the reload the visitor is %s instead of %s", again, visitor)
	}
	tab.screenshot("chat")
	if got := timeline(t, site, tab.session(), 3); !slices.Equal(got, []string{want[0].Text, want[1].Text, want[2].Text}) {
		t.Errorf("the timeline holds %q", got)
	}
}

func TestWhatIsWrittenOfflineIsSentWhenTheServerIsBack(t *testing.T) {
	site, server := start(t)
	tab := newBrowser(t, site, "en-US")
	tab.open()
	tab.write("one")
	tab.see(bubble{"visitor sent", "one", "sent"})
	server.Kill()
	tab.wait("offline", `$("#state").dataset.state === "offline"`)
	tab.write("two")
	tab.write("three")
	tab.see(
		bubble{"visitor sent", "one", "sent"},
		bubble{"visitor waiting", "two", "not sent, will retry"},
		bubble{"visitor waiting", "three", "not sent, will retry"},
	)
	tab.screenshot("offline")
	site.Up()
	want := []bubble{{"visitor sent", "one", "sent"}, {"visitor sent", "two", "sent"}, {"visitor sent", "three", "sent"}}
	tab.see(want...)
	tab.open()
	tab.see(want...)
	if got := timeline(t, site, tab.session(), 3); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("the timeline holds %q", got)
	}
}

func TestWhatIsNotSentSurvivesThePageThatWasClosed(t *testing.T) {
	site, server := start(t)
	tab := newBrowser(t, site, "en-US")
	tab.open()
	tab.write("one")
	tab.see(bubble{"visitor sent", "one", "sent"})
	in := tab.session()
	server.Kill()
	tab.wait("offline", `$("#state").dataset.state === "offline"`)
	tab.write("two")
	tab.see(bubble{"visitor sent", "one", "sent"}, bubble{"visitor waiting", "two", "not sent, will retry"})
	tab.goTo("about:blank")
	site.Up()
	tab.open()
	tab.see(bubble{"visitor sent", "one", "sent"}, bubble{"visitor sent", "two", "sent"})
	if got := timeline(t, site, in, 2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the timeline holds %q", got)
	}
}

func TestABrowserThatGoesOfflineComesBackByItself(t *testing.T) {
	site, _ := start(t)
	tab := newBrowser(t, site, "en-US")
	tab.open()
	tab.write("one")
	tab.see(bubble{"visitor sent", "one", "sent"})
	tab.offline(true)
	tab.wait("offline", `$("#state").dataset.state === "offline"`)
	tab.write("two")
	tab.see(bubble{"visitor sent", "one", "sent"}, bubble{"visitor waiting", "two", "not sent, will retry"})
	answer(t, site, tab.session(), "Are you there?")
	tab.offline(false)
	tab.wait("everything is there", `$$("ol > li").length === 3 && !$("li.waiting, li.sending")`)
	if got := timeline(t, site, tab.session(), 3); len(got) != 3 {
		t.Errorf("the timeline holds %q", got)
	}
}

func TestTwoTabsAreOneVisitorAndShowOneConversation(t *testing.T) {
	site, _ := start(t)
	one := newBrowser(t, site, "en-US")
	one.open()
	one.write("from the first")
	one.see(bubble{"visitor sent", "from the first", "sent"})
	two := one.another()
	two.open()
	two.see(bubble{"visitor sent", "from the first", "sent"})
	two.write("from the second")
	want := []bubble{{"visitor sent", "from the first", "sent"}, {"visitor sent", "from the second", "sent"}}
	one.see(want...)
	two.see(want...)
	answer(t, site, one.session(), "to both")
	want = append(want, bubble{"company", "to both", "Mei"})
	one.see(want...)
	two.see(want...)
	if one.session() != two.session() {
		t.Errorf("the tabs are %+v and %+v", one.session(), two.session())
	}
}

func TestAChineseBrowserIsSpokenToInChinese(t *testing.T) {
	site, _ := start(t)
	tab := newBrowser(t, site, "zh-CN")
	tab.open()
	tab.wait("connected", `$("#state").textContent === "已连接" && document.documentElement.lang === "zh-CN"`)
	tab.write("包裹显示已签收，但我没有收到。")
	tab.see(bubble{"visitor sent", "包裹显示已签收，但我没有收到。", "已发送"})
	answer(t, site, tab.session(), "您好，我马上为您查询。")
	tab.see(bubble{"visitor sent", "包裹显示已签收，但我没有收到。", "已发送"}, bubble{"company", "您好，我马上为您查询。", "Mei"})
	tab.screenshot("chinese")
}

func TestManyMessagesAtOnceAreAllSentInTheirOrder(t *testing.T) {
	site, _ := start(t)
	tab := newBrowser(t, site, "en-US")
	tab.open()
	var want []string
	for i := range 40 { // more than a visitor may send at once
		want = append(want, fmt.Sprint("message ", i))
		tab.write(want[i])
	}
	tab.wait("all are sent", `$$("li.sent").length === 40 && $$("ol > li").length === 40`)
	if got := timeline(t, site, tab.session(), len(want)); !slices.Equal(got, want) {
		t.Errorf("the timeline holds %s", strings.Join(got, ", "))
	}
}
