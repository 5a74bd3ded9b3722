package mapped_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
)

const (
	secret = "s3cret"
	path   = "/channels/mapped/lumen/shop"
)

// noon is when every test takes place.
var noon = time.Date(2026, 2, 27, 12, 0, 0, 0, time.UTC)

// shop is a product that signs a time and the body, and delivers several events at once.
func shop() mapped.Mapping {
	return mapped.Mapping{
		Provider:  "shop",
		Verify:    mapped.Verify{HMAC: mapped.HMAC{Header: "X-Shop-Signature", Part: "v1", TimestampPart: "t", Signed: "{timestamp}.{body}", Secrets: []string{"old", secret}}},
		Handshake: mapped.Handshake{When: `body.?type == optional.of("ping")`, Answer: `{"pong": body.nonce}`, Get: mapped.GetHandshake{Answer: `query["challenge"]`, Token: "token", Secrets: []string{"t0ken"}}},
		Split:     "body.events",
		Unmatched: "keep",
		Events: []mapped.Event{
			{
				When: `item.kind == "message"`, Type: "message.received", Thread: "item.chat", NativeID: "item.id", OccurredAt: "item.at",
				Channel: "web_chat", Direction: "inbound", Actor: "customer", Language: "item.?lang", Text: "item.text",
				Parties: []mapped.Party{{Visitor: "item.visitor", Name: "item.?name", Role: "sender"}, {Email: "item.?email", Role: "sender"}},
			},
			{When: `item.kind == "order"`, Type: `"ext.shop.order_" + item.state`, Thread: "item.chat", NativeID: "item.id"},
		},
	}
}

// open gives the endpoints of a new channel with one inbox.
func open(tb testing.TB, host channel.Host, m mapped.Mapping) (http.Handler, *mapped.Channel) {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := mapped.New(mapped.Config{Mux: mux, Inboxes: []mapped.Inbox{{Tenant: "lumen", Inbox: "shop", Mapping: m}}, Now: func() time.Time { return noon }})
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux, c
}

func sign(r *http.Request, body []byte) {
	at := strconv.FormatInt(noon.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "." + string(body)))
	r.Header.Set("X-Shop-Signature", "t="+at+", v0=00, v1=00, v1="+hex.EncodeToString(mac.Sum(nil)))
}

func post(tb testing.TB, h http.Handler, body string, headers ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, strings.NewReader(body))
	sign(r, []byte(body))
	for i := range len(headers) / 2 {
		r.Header.Set(headers[2*i], headers[2*i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	first = `{"events": [
		{"kind": "message", "id": 9007199254740993, "chat": "c-1", "at": "2026-02-27T11:58:00Z", "text": "Is anybody there? 有人吗？", "visitor": "v-7", "name": "Anna", "email": "anna@example.com", "lang": "en"},
		{"kind": "order", "id": "o-1", "chat": "c-1", "state": "created", "total": 59.90}]}`
	second = `{"events": [{"kind": "message", "id": 9007199254740994, "chat": "c-1", "at": "2026-02-27T11:59:00.5Z", "text": "Hello?", "visitor": "v-7", "email": null}]}`
)

func TestAProductsWebhooksAreAStory(t *testing.T) {
	host := channeltest.NewHost()
	h, _ := open(t, host, shop())
	for _, body := range []string{first, second} {
		if w := post(t, h, body); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
	}
	if len(host.Rejections()) > 0 {
		t.Fatal(host.Rejections())
	}
	if data := string(host.Events()[1].Content.GetExtension().GetData()); data != `{"kind": "order", "id": "o-1", "chat": "c-1", "state": "created", "total": 59.90}` {
		t.Errorf("an item is carried as it came, and not as %s", data)
	}
	channeltest.Golden(t, "testdata/shop.transcript", channeltest.Transcript(host.Events()))
}

func TestTheChannelPassesTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler {
			t.Helper()
			h, _ := open(t, host, shop())
			return h
		},
		Story: []channeltest.Delivery{
			{Name: "a message and an order", URL: "https://skein.example" + path, ContentType: "application/json", Body: first},
			{Name: "another message", URL: "https://skein.example" + path, ContentType: "application/json", Body: second},
		},
		Sign:   sign,
		Unsign: func(r *http.Request) { r.Header.Del("X-Shop-Signature") },
	})
}

// The kit holds for a mapping that reads headers and the query, too.
func TestTheChannelPassesTheKitWithHeaders(t *testing.T) {
	m := shop()
	m.Events[0].Queue, m.Events[0].Correlation = `headers[?"x-shop-queue"]`, `query[?"shop"]`
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler {
			t.Helper()
			h, _ := open(t, host, m)
			return h
		},
		Story: []channeltest.Delivery{{Name: "a message and an order", URL: "https://skein.example" + path + "?shop=de", ContentType: "application/json", Body: first}},
		Sign: func(r *http.Request, body []byte) {
			sign(r, body)
			r.Header.Set("X-Shop-Queue", "sales")
		},
		Unsign: func(r *http.Request) { r.Header.Set("X-Shop-Signature", "t=1") },
	})
}

func TestAQuestionIsAnsweredAndTellsNothing(t *testing.T) {
	host := channeltest.NewHost()
	h, _ := open(t, host, shop())
	if w := post(t, h, `{"type":"ping","nonce":"<17>"}`); w.Code != http.StatusOK || w.Body.String() != `{"pong":"<17>"}` || w.Header().Get("Content-Type") != "application/json" {
		t.Error(w.Code, w.Body, w.Header())
	}
	if w := post(t, h, `{"type":"ping","nonce":"17"}`, "X-Shop-Signature", "t=1,v1=00"); w.Code != http.StatusUnauthorized {
		t.Error("a question that nobody signed is answered:", w.Code, w.Body)
	}
	for _, c := range [][2]string{
		{"token=t0ken&challenge=%3Cb%3E17", "200 <b>17"},
		{"token=wrong&challenge=17", "403 the token is missing or wrong\n"},
		{"challenge=17", "403 the token is missing or wrong\n"},
		{"token=t0ken", "400 this is no question that is known here\n"},
	} {
		query, want := c[0], c[1]
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?"+query, http.NoBody))
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %q, %v", query, got, w.Header())
		}
	}
	if len(host.Events())+len(host.Rejections()) > 0 {
		t.Error(host.Events(), host.Rejections())
	}
}

func TestAnItemThatIsNotUnderstoodCostsNoOther(t *testing.T) {
	host := channeltest.NewHost()
	h, c := open(t, host, shop())
	body := `{"events": [
		{"kind": "message", "id": 1, "chat": "c-1", "at": "2026-02-27T11:58:00Z", "text": "one", "visitor": "v"},
		{"kind": "message", "id": 2, "chat": "c-1", "at": "yesterday", "text": "two", "visitor": "v"},
		{"kind": "message", "chat": "c-1"},
		{"kind": "parcel"},
		17,
		{"kind": "order", "id": "` + strings.Repeat("x", 10_000) + `", "chat": "c-1", "state": "sent"},
		{"kind": "order", "id": "o-2", "chat": "c-1", "state": "sent"}]}`
	if w := post(t, h, body); w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	if len(host.Events()) != 2 || len(host.Rejections()) != 1 || string(host.Rejections()[0].Raw) != body {
		t.Fatal(channeltest.Transcript(host.Events()), len(host.Rejections()))
	}
	want := `custom/mapped: item 1: events[0].occurred_at: it gives "yesterday" and must give a timestamp, or a text as RFC 3339; ` +
		`item 2: events[0].native_id: column 5: no such key: id; item 3: no event's when is true of it; item 4: events[0].when: column 5: no such key: kind; ` +
		`item 4: events[1].when: column 5: no such key: kind; and 1 more`
	if got := host.Rejections()[0].Reason; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	mended := channeltest.NewHost() // the good ones are the same events when it is taken in again
	for range 2 {
		if err := c.Redrive(t.Context(), mended, host.Rejections()[0]); err != nil {
			t.Fatal(err)
		}
	}
	if len(mended.Conflicts()) > 0 || fmt.Sprint(channeltest.Fingerprint(t, mended)) != fmt.Sprint(channeltest.Fingerprint(t, host)) {
		t.Error(channeltest.Transcript(mended.Events()))
	}
}

// What is kept holds what the mapping reads of headers and query, and nothing else of them.
func TestWhatIsKeptCanBeTakenInAgain(t *testing.T) {
	broken := shop()
	broken.Split, broken.Unmatched = "", ""
	broken.Events = []mapped.Event{{When: `headers["x-topic"] == "order"`, Type: "ext.shop.order", Thread: "body.order", NativeID: `query["delivery"]`}}
	host := channeltest.NewHost()
	h, _ := open(t, host, broken)
	body := `{ "number": 17 }`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path+"?delivery=d-1&token=t0ken", strings.NewReader(body))
	sign(r, []byte(body))
	r.Header.Set("X-Topic", "order")
	r.Header.Set("Cookie", "session=1")
	r.Header.Set("Authorization", "Bearer x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(host.Rejections()) != 1 {
		t.Fatal(w.Code, w.Body, host.Rejections())
	}
	kept := host.Rejections()[0]
	if want := `{"skein":"mapped/1","headers":{"x-topic":"order"},"query":{"delivery":"d-1"},"body":{ "number": 17 }}`; string(kept.Raw) != want || kept.Provider != mapped.Provider {
		t.Errorf("kept %s of %s", kept.Raw, kept.Provider)
	}
	broken.Events[0].Thread = "body.number" // mended
	_, c := open(t, channeltest.NewHost(), broken)
	if err := c.Redrive(t.Context(), host, kept); err != nil {
		t.Fatal(err)
	}
	if len(host.Events()) != 1 || len(host.Rejections()) != 1 || string(host.Events()[0].Content.GetExtension().GetData()) != body {
		t.Error(channeltest.Transcript(host.Events()), host.Rejections())
	}
	kept.Inbox = "gone"
	if err := c.Redrive(t.Context(), host, kept); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Error(err)
	}
}

func TestAFormIsReadAndKept(t *testing.T) {
	m := shop()
	m.Format, m.Split, m.Unmatched = "form", "", "keep"
	m.Events = []mapped.Event{{
		When: `headers["x-topic"] == "survey"`, Type: "survey.answered", Thread: "body.survey", NativeID: "body.id",
		Content: map[string]any{"survey_answered": map[string]any{"survey": "body.survey", "metric": "nps", "score": `int(parse_json(body.answers).score)`, "scale_max": 10, "comment": "body.comment"}},
	}}
	host := channeltest.NewHost()
	h, c := open(t, host, m)
	body := "survey=after+call&id=s-1&comment=Gut%21&answers=%7B%22score%22%3A9%7D&comment=twice"
	if w := post(t, h, body, "X-Topic", "survey"); w.Code != http.StatusOK || len(host.Events()) != 1 {
		t.Fatal(w.Code, host.Rejections())
	}
	if a := host.Events()[0].Content.GetSurveyAnswered(); a.GetScore() != 9 || a.GetScaleMax() != 10 || a.GetComment() != "Gut!" || a.GetMetric().String() != "SURVEY_METRIC_NPS" {
		t.Error(a)
	}
	if w := post(t, h, body, "X-Topic", "other"); w.Code != http.StatusOK || len(host.Rejections()) != 1 {
		t.Fatal(w.Code, host.Rejections())
	}
	if kept := host.Rejections()[0]; string(kept.Raw) != `{"skein":"mapped/1","headers":{"x-topic":"other"},"form":"survey=after+call\u0026id=s-1\u0026comment=Gut%21\u0026answers=%7B%22score%22%3A9%7D\u0026comment=twice"}` {
		t.Errorf("%s", kept.Raw)
	} else if err := c.Redrive(t.Context(), host, kept); err != nil || len(host.Rejections()) != 2 {
		t.Error(err)
	}
	if w := post(t, h, "a=%zz", "X-Topic", "survey"); w.Code != http.StatusOK || string(host.Rejections()[2].Raw) != "a=%zz" {
		t.Error(w.Code, host.Rejections())
	}
}

func TestWhatNothingMatchesGivesNothing(t *testing.T) {
	m := shop()
	m.Unmatched = ""
	host := channeltest.NewHost()
	h, _ := open(t, host, m)
	if w := post(t, h, `{"events":[{"kind":"parcel"}]}`); w.Code != http.StatusOK || len(host.Events())+len(host.Rejections()) > 0 {
		t.Error(w.Code, host.Events(), host.Rejections())
	}
}

func TestDeliveriesUnderWayAreFinishedAndNoneIsTakenAfterwards(t *testing.T) {
	h, c := open(t, channeltest.NewHost(), shop())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if w := post(t, h, first); w.Code != http.StatusServiceUnavailable {
		t.Error(w.Code)
	}
}
