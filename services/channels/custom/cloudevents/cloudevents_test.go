package cloudevents_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/custom/cloudevents"
)

const (
	secret        = "of the order system, 2026"              //nolint:gosec // of the tests alone
	signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // of the tests alone
	oldSecret     = "of the order system, 2025"              //nolint:gosec // of the tests alone
	path          = "/channels/cloudevents/lumen/orders"
	url           = "https://skein.example" + path
)

// open gives the endpoints of a new channel.
func open(tb testing.TB, host channel.Host) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := cloudevents.New(cloudevents.Config{Mux: mux, Inboxes: []cloudevents.Inbox{
		{
			Tenant: "lumen", Inbox: "orders", Secrets: []string{oldSecret, secret}, SigningSecrets: []string{signingSecret}, Provider: "shop", TypePrefix: "com.lumen.", Region: "DE",
			Origins: []string{"events.lumen.example"}, Rate: 120,
		},
		{Tenant: "lumen", Inbox: "twin", Secrets: []string{secret}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// post delivers a body, with headers as name and value.
func post(tb testing.TB, h http.Handler, contentType, body string, headers ...string) (status int, answer string) {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Add(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const (
	structured = "application/cloudevents+json"
	batch      = "application/cloudevents-batch+json; charset=UTF-8"
)

// story reads the requests of testdata/*.json: synthetic, composed after the examples of the specification.
func story(tb testing.TB, name string) string {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func TestThePathOfAnOrderIsToldInTheTimeline(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	if status, answer := post(t, h, batch, story(t, "orders.synthetic.json")); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	if status, answer := post(t, h, structured, story(t, "message.synthetic.json")); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	channeltest.Golden(t, "testdata/orders.transcript", transcript(host.Events()))
}

// transcript shows the data of extensions in clear.
func transcript(events []channeltest.Event) string {
	text := channeltest.Transcript(events)
	for _, e := range events {
		if data := e.Content.GetExtension().GetData(); len(data) > 0 {
			text = strings.Replace(text, `"data":"`+base64.StdEncoding.EncodeToString(data)+`"`, "\n    "+string(data)+"\n    ", 1)
		}
	}
	return text
}

func TestTheChannelPassesTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler { t.Helper(); return open(t, host) },
		Story: []channeltest.Delivery{
			{Name: "a message", URL: url, ContentType: structured, Body: story(t, "message.synthetic.json")},
			{Name: "an order's way", URL: url, ContentType: batch, Body: story(t, "orders.synthetic.json")},
		},
		Sign:   func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+secret) },
		Unsign: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret+"x") },
		Told:   true, BodyUnsigned: true,
	})
}

func TestEachSecretOpensItsInboxAndNoOther(t *testing.T) {
	h := open(t, channeltest.NewHost())
	for _, c := range []struct {
		path, authorization string
		want                int
	}{
		{path, "Bearer " + secret, 200},
		{path, "bearer  " + oldSecret, 200},
		{"/channels/cloudevents/lumen/twin", "Bearer " + secret, 200},
		{"/channels/cloudevents/lumen/twin", "Bearer " + oldSecret, 401},
		{path, "Bearer ", 401},
		{path, "", 401},
		{path, secret, 401},
		{path, "Basic " + secret, 401},
		{"/channels/cloudevents/lumen/other", "Bearer " + secret, 404},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, strings.NewReader(story(t, "message.synthetic.json")))
		r.Header.Set("Content-Type", structured)
		r.Header.Set("Authorization", c.authorization)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %q: %d %s", c.path, c.authorization, w.Code, w.Body)
		}
	}
}

func TestAnotherSkeinSignsWhatItHandsOut(t *testing.T) {
	w, err := standardwebhooks.NewWebhook(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	body := story(t, "message.synthetic.json")
	now := time.Now()
	signature, err := w.Sign("m-1_crm", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, channeltest.NewHost())
	for body, want := range map[string]int{body: http.StatusOK, body + " ": http.StatusUnauthorized} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", structured)
		r.Header.Set("Webhook-Id", "m-1_crm")
		r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
		r.Header.Set("Webhook-Signature", signature)
		answer := httptest.NewRecorder()
		if h.ServeHTTP(answer, r); answer.Code != want {
			t.Errorf("%d, want %d: %s", answer.Code, want, answer.Body)
		}
	}
}

func TestAnEventIsTheSameInEveryMode(t *testing.T) {
	told := map[string][]string{}
	const data = `{"order": "17", "total": 1.50, "note": "<b> & co"}`
	for mode, send := range map[string]func(h http.Handler) (int, string){
		"structured": func(h http.Handler) (int, string) {
			return post(t, h, structured, `{"data":`+data+`,"id":"1","source":"https://shop.example/de","type":"com.lumen.order.created","specversion":"1.0","time":"2026-03-02T10:00:00.5+01:00",
				"subject":"order 17 für Anna","skeinemail":"anna@example.com","priority":3,"gift":true,"dataschema":null,"traceparent":"00-1","datacontenttype":"application/json"}`)
		},
		"binary": func(h http.Handler) (int, string) {
			return post(t, h, "application/json", data, "ce-specversion", "1.0", "ce-id", "1", "ce-source", "https://shop.example/de", "ce-type", "com.lumen.order.created",
				"ce-time", "2026-03-02T09:00:00.5Z", "ce-subject", "order%2017%20f%C3%BCr%20Anna", "ce-skeinemail", "anna@example.com", "ce-priority", "3", "ce-gift", "true", "ce-traceparent", "00-2")
		},
		"batch": func(h http.Handler) (int, string) {
			return post(t, h, batch, `[{"specversion":"1.0","id":"1","source":"https://shop.example/de","type":"com.lumen.order.created","time":"2026-03-02T09:00:00.5Z",
				"subject":"order 17 f\u00fcr Anna","skeinemail":"anna@example.com","priority":3,"gift":true,"datacontenttype":"application/json","data":`+data+`}]`)
		},
	} {
		host := channeltest.NewHost()
		if status, answer := send(open(t, host)); status != http.StatusOK {
			t.Fatal(mode, status, answer)
		}
		told[mode] = channeltest.Fingerprint(t, host)
		if kept := string(host.Events()[0].Content.GetExtension().GetData()); !strings.Contains(kept, `"note":"<b> & co"`) {
			t.Errorf("%s: kept %s", mode, kept)
		}
	}
	if a, b, c := fmt.Sprint(told["structured"]), fmt.Sprint(told["binary"]), fmt.Sprint(told["batch"]); a != b || b != c || len(told["batch"]) != 1 {
		t.Error(told)
	}
}

// problem is what a client reads.
type problem struct {
	Status int
	Errors []struct {
		Event             int
		ID, Field, Reason string
	}
}

func TestWhatIsWrongIsToldByEventAndField(t *testing.T) {
	const good = `{"specversion":"1.0","id":"1","source":"/shop","type":"a.b"}`
	event := func(change ...string) string {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(good), &fields); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(change); i += 2 {
			if fields[change[i]] = json.RawMessage(change[i+1]); change[i+1] == "" {
				delete(fields, change[i])
			}
		}
		raw, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	binary := []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/shop", "ce-type", "a.b"}
	for name, c := range map[string]struct {
		contentType, body string
		headers           []string
		want              []string // event, id, field
	}{
		"no id":                       {structured, event("id", ""), nil, []string{"0  id"}},
		"no id, no source":            {structured, event("id", `""`, "source", "null"), nil, []string{"0  id", "0  source"}},
		"an id that is a number":      {structured, event("id", "17"), nil, []string{"0  id"}},
		"another version":             {structured, event("specversion", `"0.3"`), nil, []string{"0 1 specversion"}},
		"no time":                     {structured, event("time", `"yesterday"`), nil, []string{"0 1 time"}},
		"a source with a blank":       {structured, event("source", `"%"`), nil, []string{"0 1 source"}},
		"a wrong media type":          {structured, event("datacontenttype", `"/"`), nil, []string{"0 1 datacontenttype"}},
		"no base64":                   {structured, event("data_base64", `"%"`), nil, []string{"0 1 data_base64"}},
		"base64 that is a number":     {structured, event("data_base64", `1`), nil, []string{"0 1 data_base64"}},
		"two data":                    {structured, event("data_base64", `""`, "data", "1"), nil, []string{"0 1 data_base64"}},
		"an attribute that is a list": {structured, event("skeinemail", `["a@example.com"]`), nil, []string{"0 1 skeinemail"}},
		"a large number":              {structured, event("sequence", `4294967296`), nil, []string{"0 1 sequence"}},
		"a name with a dash":          {structured, event("x-y", `"1"`), nil, []string{"0 1 x-y"}},
		"a wrong word":                {structured, event("skeinchannel", `"fax"`), nil, []string{"0 1 skeinchannel"}},
		"no phone number":             {structured, event("skeinphone", `"call me"`), nil, []string{"0 1 data.parties[0].address.value"}},
		"text data that is no text":   {structured, event("datacontenttype", `"text/plain"`, "data", "{}"), nil, []string{"0 1 "}},
		"no submission":               {structured, event("type", `"message.received"`), nil, []string{"0 1 data"}},
		"an unknown field":            {structured, event("type", `"message.received"`, "data", `{"txt":1}`), nil, []string{"0 1 data"}},
		"another type inside":         {structured, event("type", `"message.received"`, "data", `{"type":"note.added"}`), nil, []string{"0 1 data.type"}},
		"another inbox inside":        {structured, event("type", `"message.received"`, "data", `{"inbox":"twin"}`), nil, []string{"0 1 data.inbox"}},
		"a submission by halves":      {structured, event("type", `"message.received"`, "data", `{}`), nil, []string{"0 1 data.content.message_received", "0 1 data.thread"}},
		"a submission of no type":     {structured, event("type", `"skein.event.v1.Submission"`, "data", `{"thread":"1"}`), nil, []string{"0 1 data.type"}},
		"a submission as YAML":        {structured, event("type", `"note.added"`, "datacontenttype", `"application/yaml"`, "data", `"a: b"`), nil, []string{"0 1 data"}},
		"an event of a batch":         {batch, "[" + good + `, 17, {"id":"x"}]`, nil, []string{"1  ", "2 x specversion", "2 x source", "2 x type"}},
		"a batch that is none":        {batch, good, nil, []string{"0  "}},
		"an event that is a batch":    {structured, "[" + good + "]", nil, []string{"0  "}},
		"XML":                         {"application/cloudevents+xml", "<event/>", nil, []string{"0  Content-Type"}},
		"no CloudEvent":               {"application/json", "{}", nil, []string{"0  Content-Type"}},
		"another charset":             {structured + "; charset=utf-16", good, nil, []string{"0  Content-Type"}},
		"binary: no id":               {"text/plain", "x", []string{"ce-specversion", "1.0", "ce-source", "/s", "ce-type", "a"}, []string{"0  id"}},
		"binary: two ids":             {"text/plain", "x", append([]string{"ce-id", "2"}, binary...), []string{"0  id"}},
		"binary: a wrong name":        {"text/plain", "x", append([]string{"ce-x-y", "2"}, binary...), []string{"0  ce-x-y"}},
		"binary: no name":             {"text/plain", "x", append([]string{"ce-", "2"}, binary...), []string{"0  ce-"}},
		"binary: wrong UTF-8":         {"text/plain", "x", append([]string{"ce-subject", "%ff"}, binary...), []string{"0  subject"}},
		"binary: no JSON":             {"application/json", "{", binary, []string{"0  data"}},
		"wrong UTF-8":                 {structured, strings.Replace(good, "a.b", "a.\xff", 1), nil, []string{"0  "}},
		"a subject of 10 kB":          {structured, event("subject", `"`+strings.Repeat("x", 10_000)+`"`), nil, []string{"0 1 subject"}},
		"a type of 10 kB":             {structured, event("type", `"`+strings.Repeat("x", 10_000)+`"`), nil, []string{"0 1 type"}},
		"too deep":                    {structured, event("data", strings.Repeat("[", 100)+strings.Repeat("]", 100)) + strings.Repeat("[", 10_001), nil, []string{"0  "}},
	} {
		t.Run(name, func(t *testing.T) {
			host := channeltest.NewHost()
			status, answer := post(t, open(t, host), c.contentType, c.body, c.headers...)
			var p problem
			if err := json.Unmarshal([]byte(answer), &p); err != nil || status != http.StatusBadRequest || p.Status != status {
				t.Fatal(status, answer)
			}
			var got []string
			for _, e := range p.Errors {
				got = append(got, fmt.Sprintf("%d %s %s", e.Event, e.ID, e.Field))
				if e.Reason == "" {
					t.Errorf("%s has no reason", e.Field)
				}
			}
			if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
				t.Errorf("got %s, want %s: %s", strings.Join(got, ", "), strings.Join(c.want, ", "), answer)
			}
			if len(host.Events())+len(host.Rejections()) > 0 {
				t.Error("something was kept")
			}
		})
	}
}

func TestASenderAsksWhetherItMaySend(t *testing.T) {
	h := open(t, channeltest.NewHost())
	for _, c := range []struct {
		method, origin string
		status         int
		allowed, rate  string
	}{
		{http.MethodOptions, "events.lumen.example", 200, "events.lumen.example", "120"},
		{http.MethodGet, "events.lumen.example", 200, "events.lumen.example", "120"},
		{http.MethodOptions, "elsewhere.example", 403, "", ""},
		{http.MethodOptions, "", 204, "", ""},
		{http.MethodGet, "", 405, "", ""},
		{http.MethodPut, "", 405, "", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, path, http.NoBody)
		if c.origin != "" {
			r.Header.Set("Webhook-Request-Origin", c.origin)
			r.Header.Set("Webhook-Request-Rate", "1000")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Webhook-Allowed-Origin") != c.allowed || w.Header().Get("Webhook-Allowed-Rate") != c.rate {
			t.Errorf("%s %s: %d %v", c.method, c.origin, w.Code, w.Header())
		}
	}
}

func TestEveryMistakeInTheConfigurationNamesItsField(t *testing.T) {
	for field, change := range map[string]func(*cloudevents.Inbox){
		"":                   func(in *cloudevents.Inbox) { in.Tenant = "a/b" },
		"secrets":            func(in *cloudevents.Inbox) { in.Secrets = nil },
		"secrets[1]":         func(in *cloudevents.Inbox) { in.Secrets = []string{secret, "short"} },
		"signing_secrets[0]": func(in *cloudevents.Inbox) { in.SigningSecrets = []string{"whsec_%%%%%%%%%%%%"} },
		"provider":           func(in *cloudevents.Inbox) { in.Provider = "Shop.de" },
		"region":             func(in *cloudevents.Inbox) { in.Region = "de" },
		"rate":               func(in *cloudevents.Inbox) { in.Rate = -1 },
	} {
		in := cloudevents.Inbox{Tenant: "lumen", Inbox: "orders", Secrets: []string{secret}}
		if problems := in.Verify(); len(problems) > 0 {
			t.Fatal(problems)
		}
		change(&in)
		problems := in.Verify()
		if len(problems) != 1 || problems[0].Field != field || problems[0].Reason == "" {
			t.Errorf("%q: %v", field, problems)
		}
		if _, err := cloudevents.New(cloudevents.Config{Mux: http.NewServeMux(), Inboxes: []cloudevents.Inbox{in}}); err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", field, err)
		}
	}
	twice := cloudevents.Inbox{Tenant: "lumen", Inbox: "orders", Secrets: []string{secret}}
	if _, err := cloudevents.New(cloudevents.Config{Inboxes: []cloudevents.Inbox{twice, twice}}); err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), "mux") {
		t.Error(err)
	}
}

func TestRequestsUnderWayAreFinishedAndNoneIsTakenAfterwards(t *testing.T) {
	mux := http.NewServeMux()
	c, err := cloudevents.New(cloudevents.Config{Mux: mux, Inboxes: []cloudevents.Inbox{{Tenant: "lumen", Inbox: "orders", Secrets: []string{secret}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), channeltest.NewHost()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(t, mux, structured, "{}"); status != http.StatusServiceUnavailable {
		t.Error(status)
	}
}
