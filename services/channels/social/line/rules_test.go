package line_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/line"
)

const (
	mio = `"source":{"type":"user","userId":"U206d25c2ea6bd87c17655609a1c37cb8"},"timestamp":1772442000000,"mode":"active"`
	hi  = `{"type":"message","webhookEventId":"01A","deliveryContext":{"isRedelivery":false},` + mio + `,"message":{"type":"text","id":"1","text":"hi"}}`
)

func body(events ...string) string {
	return `{"destination":"U00000000000000000000000000000b07","events":[` + strings.Join(events, ",") + `]}`
}

// told delivers bodies and gives the events.
func told(t *testing.T, bodies ...string) []channeltest.Event {
	t.Helper()
	host := channeltest.NewHost()
	h := open(t, host)
	for _, b := range bodies {
		if code := deliver(t, h, address, b); code != http.StatusOK {
			t.Fatalf("%s: answered %d", b, code)
		}
	}
	for _, r := range host.Rejections() {
		t.Fatalf("rejected: %s", r.Reason)
	}
	if n := len(host.Conflicts()); n > 0 {
		t.Fatalf("%d conflicts", n)
	}
	return host.Events()
}

func TestARedeliveryChangesNothing(t *testing.T) {
	for _, event := range []string{hi, `{"type":"follow","webhookEventId":"01B","deliveryContext":{"isRedelivery":false},"replyToken":"a",` + mio + `}`} {
		again := strings.NewReplacer("false", "true", `"replyToken":"a"`, `"replyToken":"b"`).Replace(event)
		events := told(t, body(event), body(again))
		if len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
		if data := string(events[0].Content.GetExtension().GetData()); strings.Contains(data, "deliveryContext") || strings.Contains(data, "replyToken") {
			t.Error(data)
		}
	}
}

func TestTheVerifyButtonIsAnswered(t *testing.T) {
	if events := told(t, body()); len(events) != 0 {
		t.Errorf("%d events", len(events))
	}
}

// What is not understood does not cost the others, is kept by itself, and is taken in when it is redriven.
func TestOneOddEventDoesNotCostTheOthers(t *testing.T) {
	const odd = `{"type":"message","webhookEventId":"01C",` + mio + `,"message":{"type":"text","text":"no id"}}`
	host := channeltest.NewHost()
	h := open(t, host)
	if code := deliver(t, h, address, body(hi, odd, strings.NewReplacer("01A", "01D", `"id":"1"`, `"id":"2"`).Replace(hi))); code != http.StatusOK {
		t.Fatal(code)
	}
	kept := host.Rejections()
	if len(host.Events()) != 2 || len(kept) != 1 || string(kept[0].Raw) != odd || !strings.Contains(kept[0].Reason, "id is missing") {
		t.Fatalf("%d events, kept %v", len(host.Events()), kept)
	}
	c, err := line.New(config(http.NewServeMux()))
	if err != nil {
		t.Fatal(err)
	}
	mended := channeltest.NewHost()
	r := channel.Rejection{Tenant: "lumen", Inbox: "shop", Provider: "line", Raw: []byte(strings.Replace(odd, `"text":"no id"`, `"id":"9","text":"an id"`, 1))}
	if err := c.Redrive(t.Context(), mended, r); err != nil || len(mended.Events()) != 1 {
		t.Errorf("%v, %d events", err, len(mended.Events()))
	}
	mended.Fail(channel.ErrRetry)
	if err := c.Redrive(t.Context(), mended, r); err == nil {
		t.Error("redriven while the log was away")
	}
	r.Inbox = "gone"
	if err := c.Redrive(t.Context(), mended, r); err == nil {
		t.Error("redriven to nowhere")
	}
}

// While the log is away, nothing is kept for good of a delivery that comes again.
func TestNothingIsKeptWhileTheLogIsAway(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	host.Fail(channel.ErrRetry)
	if code := deliver(t, h, address, body(hi, `{"type":"x"}`)); code != http.StatusServiceUnavailable {
		t.Error(code)
	}
	host.Fail(nil)
	if len(host.Events())+len(host.Rejections()) != 0 {
		t.Error(host.Events(), host.Rejections())
	}
}

func TestADeliveryForAnotherBotIsKept(t *testing.T) {
	const checked = "https://skein.example/channels/line/lumen/checked"
	for destination, events := range map[string]int{"U00000000000000000000000000000b07": 1, "U00000000000000000000000000000b08": 0} {
		host := channeltest.NewHost()
		code := deliver(t, open(t, host), checked, strings.Replace(body(hi), "U00000000000000000000000000000b07", destination, 1))
		if code != http.StatusOK || len(host.Events()) != events || len(host.Rejections()) != 1-events {
			t.Errorf("%s: %d, %d events, kept %v", destination, code, len(host.Events()), host.Rejections())
		}
	}
}

func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	event := func(kind, more string) string {
		return body(`{"type":"` + kind + `","webhookEventId":"01A",` + mio + more + `}`)
	}
	for _, c := range [][2]string{
		{`{}`, "has no events"},
		{`null`, "has no events"},
		{`[]`, "no delivery"},
		{`{"events":7}`, "no list"},
		{`{"events":null}`, "no list"},
		{body(`7`), "another type"},
		{body(`{}`), "has no type"},
		{body(`{"type":"message"}`), "id is missing"},
		{body(`{"type":"x","webhookEventId":"1","timestamp":"now"}`), "timestamp is of another type"},
		{body(`{"type":"x","webhookEventId":"1","timestamp":1e300}`), "timestamp is of another type"},
		{body(`{"type":"x","webhookEventId":"` + strings.Repeat("x", 10_000) + `"}`), "too long"},
		{body(`{"type":"x","webhookEventId":"1","source":{"type":"moon"}}`), "is not known"},
		{body(`{"type":"x","webhookEventId":"1","source":{}}`), "source cannot be read"},
		{body(`{"type":"x","webhookEventId":"1","source":{"type":"user"}}`), "id of its source"},
		{body(`{"type":"x","webhookEventId":"1","source":{"type":"user","userId":"` + strings.Repeat("x", 10_000) + `"}}`), "id of its source"},
		{event("message", ``), "message"},
		{event("message", `,"message":{"id":"1"}`), "cannot be read"},
		{event("message", `,"message":{"id":"1","type":"text","text":7}`), "cannot be read"},
		{event("message", `,"message":{"id":"1","type":"image","contentProvider":{"type":"external"}}`), "address of a file"},
		{event("unsend", ``), "which message"},
		{event("postback", ``), "no data"},
		{event("memberJoined", ``), "no members"},
		{event("memberLeft", `,"left":{"members":[{"type":"user"}]}`), "member's id"},
		{`{"events":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, "depth"},
	} {
		in, reason := c[0], c[1]
		host := channeltest.NewHost()
		if code := deliver(t, open(t, host), address, in); code != http.StatusOK {
			t.Errorf("%.80s: answered %d", in, code)
		}
		kept := host.Rejections()
		if len(kept) != 1 || !strings.Contains(kept[0].Reason, reason) || string(kept[0].Raw) != in || len(host.Events()) > 0 {
			t.Errorf("%.120s: kept %.300v, %d events", in, kept, len(host.Events()))
		}
	}
}

func TestAConfigurationIsChecked(t *testing.T) {
	for name, change := range map[string]func(*line.Config){
		"path":                 func(c *line.Config) { c.Accounts[0].Inbox = "a/b" },
		"a number":             func(c *line.Config) { c.Accounts[0].ChannelID = "x" },
		"secret is missing":    func(c *line.Config) { c.Accounts[0].ChannelSecret = "" },
		"has spaces":           func(c *line.Config) { c.Accounts[0].AccessToken = "a b" },
		"U and 32 hexadecimal": func(c *line.Config) { c.Accounts[0].BotUserID = "b07" },
		"URLs of the API":      func(c *line.Config) { c.Accounts[0].DataURL = "data" },
		"stands twice":         func(c *line.Config) { c.Accounts = append(c.Accounts, c.Accounts[0]) },
		"a mux":                func(c *line.Config) { c.Mux = nil },
	} {
		cfg := config(http.NewServeMux())
		change(&cfg)
		if _, err := line.New(cfg); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
