package browser_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// desk is where an agent works: it hears what visitors do, and signals what the agent does.
type desk struct {
	*shop
	client channelv1.ChannelServiceClient

	mu    sync.Mutex
	heard []*channelv1.VisitorSignal
}

func openDesk(s *shop) *desk {
	s.T.Helper()
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = conn.Close() })
	d := &desk{shop: s, client: channelv1.NewChannelServiceClient(conn)}
	stream, err := d.client.Signals(s.T.Context(), &channelv1.SignalsRequest{Inbox: "web"})
	if err == nil {
		_, err = stream.Recv() // it has begun
	}
	if err != nil {
		s.T.Fatal(err)
	}
	go func() {
		for {
			got, err := stream.Recv()
			if err != nil {
				return // the test is over
			}
			d.mu.Lock()
			d.heard = append(d.heard, got.GetSignal())
			d.mu.Unlock()
		}
	}()
	return d
}

// hears waits for a visitor's signal while the visitor does something again and again, and gives its thread.
func (d *desk) hears(does livev1.Activity, again func()) (thread string) {
	d.T.Helper()
	d.server.WaitFor(does.String(), func() bool {
		again()
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, s := range d.heard {
			if s.GetActivity() == does {
				thread, d.heard = s.GetThreadId(), nil
				return true
			}
		}
		return false
	})
	return thread
}

// signal tells the visitor of a thread what an agent or bot does.
func (d *desk) signal(thread, name string, kind eventv1.ActorKind, does livev1.Activity) {
	d.T.Helper()
	_, err := d.client.Signal(d.T.Context(), &channelv1.SignalRequest{
		ThreadId: thread, Actor: &eventv1.SubmittedActor{Kind: kind, Id: strings.Trim(name, "</b>")}, Author: name, Activity: does,
	})
	if err != nil {
		d.T.Fatal(err)
	}
}

func TestVisitorsAndAgentsSeeEachOtherType(t *testing.T) {
	const typing, stopped = livev1.Activity_ACTIVITY_TYPING, livev1.Activity_ACTIVITY_STOPPED
	s := openShop(t)
	d := openDesk(s)
	tab := newBrowser(t, s.Site, "en-US")
	tab.screen(1000, 720, "light")
	tab.visit(s, "")
	tab.chat()
	tab.do(chromedp.SendKeys(part("#text"), "Is"))
	thread := d.hears(typing, func() {})
	evaluate[bool](tab, `((text) => { text.value = ""; text.dispatchEvent(new Event("input")); return true; })(document.querySelector("skein-chat").shadowRoot.querySelector("#text"))`)
	if got := d.hears(stopped, func() {}); got != thread {
		t.Errorf("stopped in %s, typed in %s", got, thread)
	}
	tab.write("Is the blue kettle back in stock?")
	tab.see(bubble{"visitor sent", "Is the blue kettle back in stock?", "sent"})
	in := tab.session()
	if got := s.told(in, event.TypeMessageReceived, 1)[0].GetEvent().GetThreadId(); got != thread {
		t.Errorf("typed in %s, wrote in %s", thread, got)
	}

	other := tab.another() // a second tab, which hears of it by the first, and types through it
	other.goTo(s.url + "/?page=zh&tag=data-open")
	other.wait("the conversation", `$$("ol > li.visitor").length === 1`)
	d.hears(typing, func() { other.enter("好") })

	d.signal(thread, "Mei", eventv1.ActorKind_ACTOR_KIND_AGENT, typing)
	tab.wait("the agent types", `$("#typing").textContent === "Mei is typing" && $("#typing .dots i")`)
	other.wait("the agent types in the other tab", `$("#typing").textContent === "Mei正在输入"`)
	tab.wait("nothing moves", `getComputedStyle($("#typing .dots i")).animationName === "none"`) // as the visitor has asked for
	tab.accessible()
	tab.screenshot("typing")
	other.screenshot("typing in Chinese")
	answer(t, s.Site, in, "It is!")
	tab.wait("the answer ends it", `$$("ol > li.company").length === 1 && $("#typing").textContent === ""`)
	other.wait("the answer ends it in the other tab", `$$("ol > li.company").length === 1 && $("#typing").textContent === ""`)

	d.signal(thread, "<b>Kettle</b>", eventv1.ActorKind_ACTOR_KIND_BOT, typing)
	d.signal(thread, "Jo", eventv1.ActorKind_ACTOR_KIND_AGENT, typing)
	tab.wait("both type", `$("#typing").textContent === "<b>Kettle</b> and Jo are typing"`)
	tab.screenshot("both are typing")
	d.signal(thread, "<b>Kettle</b>", eventv1.ActorKind_ACTOR_KIND_BOT, typing) // lest it has faded by now
	d.signal(thread, "Jo", eventv1.ActorKind_ACTOR_KIND_AGENT, stopped)
	tab.wait("one has stopped", `$("#typing").textContent === "<b>Kettle</b> is typing"`)
	tab.wait("the other one fades", `$("#typing").textContent === ""`)
	if got := timeline(t, s.Site, in, 2); len(got) != 2 {
		t.Errorf("the timeline holds %q", got)
	}
}
