package x_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 5849 has it
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/x"
)

var lamps = x.Key{Tenant: "lumen", Inbox: "lamps"}

// signedByOAuth checks a request's OAuth 1.0a signature as RFC 5849, section 3.4, has it.
func signedByOAuth(r *http.Request) bool {
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "OAuth "), ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[key], _ = url.QueryUnescape(strings.Trim(value, `"`))
	}
	var parameters []string
	for key, value := range fields {
		if key != "oauth_signature" {
			parameters = append(parameters, percent(key)+"="+percent(value))
		}
	}
	slices.Sort(parameters)
	base := r.Method + "&" + percent("http://"+r.Host+r.URL.Path) + "&" + percent(strings.Join(parameters, "&"))
	mac := hmac.New(sha1.New, []byte(percent(consumerSecret)+"&"+percent(accessSecret)))
	mac.Write([]byte(base))
	return fields["oauth_consumer_key"] == "ckey" && fields["oauth_token"] == "1000000001-token" && fields["oauth_signature_method"] == "HMAC-SHA1" &&
		fields["oauth_signature"] == base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// api is a fake of X's: it answers as the documents have it, and counts.
type api struct {
	*httptest.Server
	asked atomic.Int64
}

func newAPI(t *testing.T, answer http.HandlerFunc) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func channelAt(t *testing.T, api string, change func(*x.Account)) *x.Channel {
	t.Helper()
	cfg := config(http.NewServeMux(), api)
	if change != nil {
		change(&cfg.Accounts[0])
	}
	c, err := x.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func outgoing(thread, text string) channel.Outgoing {
	return channel.Outgoing{Tenant: "lumen", Inbox: "lamps", Thread: thread, Message: &eventv1.Message{Text: text}, Attempt: 1}
}

func TestADirectMessageIsSent(t *testing.T) {
	var body string
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if body = string(raw); !signedByOAuth(r) || r.Method != http.MethodPost || r.URL.Path != "/2/dm_conversations/with/501/messages" || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"data":{"dm_conversation_id":"501-1000000001","dm_event_id":"954491830116155396"}}`)
	})
	sent, err := channelAt(t, server.URL+"/", nil).NewSender(lamps).Send(t.Context(), outgoing("501", `At "ten", & on time`))
	if err != nil || sent.NativeID != "954491830116155396" || sent.At.UnixMilli() != 1516403560557 || sent.Echo != nil {
		t.Fatalf("%+v, %v", sent, err)
	}
	if want := `{"text":"At \"ten\", \u0026 on time"}`; body != want {
		t.Errorf("said %s", body)
	}
}

// Whatever comes first, the answer of the API or the webhook, the message is told once.
func TestTheEchoIsTheSameEvent(t *testing.T) {
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		if r.URL.Path == "/2/tweets" {
			_, _ = io.WriteString(w, `{"data":{"id":"2028397397406646274","text":"@mia_k It left & is on its way https://t.co/abcdefghij","edit_history_tweet_ids":["2028397397406646274"]}}`)
			return
		}
		_, _ = io.WriteString(w, `{"data":{"dm_conversation_id":"501-1000000001","dm_event_id":"2028410743652356008"}}`)
	})
	for name, c := range map[string]struct {
		out     channel.Outgoing
		webhook string
	}{
		"a direct message": {
			outgoing("501", "It left & is on its way: https://lumen.example/track/17 "),
			`{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"2028410743652356008","created_timestamp":"1772448782000","message_create":{"target":{"recipient_id":"501"},"sender_id":"1000000001","source_app_id":"13090192",
				"message_data":{"text":"It left &amp; is on its way: https://t.co/abcdefghij","entities":{"urls":[{"url":"https://t.co/abcdefghij","expanded_url":"https://lumen.example/track/17"}]}}}}],"users":{"501":{"id":"501","name":"Mia"}}}`,
		},
		"a reply": {
			func() channel.Outgoing {
				o := outgoing("post/2028394880824246273", "It left & is on its way https://lumen.example/track/17")
				o.Message.InReplyTo = "2028394880824246273"
				o.To = []*eventv1.Address{
					{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "5"},
					{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "x/1000000001", Value: "501"},
				}
				return o
			}(),
			`{"for_user_id":"1000000001","tweet_create_events":[{"created_at":"Mon Mar 02 09:10:00 +0000 2026","id_str":"2028397397406646274","text":"@mia_k It left &amp; is on its way https://t.co/abcdefghij","display_text_range":[7,58],"lang":"en",
				"in_reply_to_status_id_str":"2028394880824246273","in_reply_to_user_id_str":"501","user":{"id_str":"1000000001","name":"Lumen"},"entities":{"urls":[{"url":"https://t.co/abcdefghij","expanded_url":"https://lumen.example/track/17"}]}}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			cfg := config(mux, server.URL)
			cfg.Accounts[0].AppID = "" // so that the webhook tells of it, too
			ch, err := x.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			host := channeltest.NewHost()
			if err := ch.Open(t.Context(), host); err != nil {
				t.Fatal(err)
			}
			sent, err := ch.NewSender(lamps).Send(t.Context(), c.out)
			if err != nil || sent.Echo == nil {
				t.Fatalf("%+v, %v", sent, err)
			}
			if _, err := host.Submit(t.Context(), "lumen", sent.Echo); err != nil {
				t.Fatal(err)
			}
			if answer := post(mux, webhookURL, c.webhook, sign); answer.Code != http.StatusOK {
				t.Fatal(answer.Code)
			}
			channeltest.Fingerprint(t, host) // no conflicts
			var told int
			for _, e := range host.Events() {
				if e.Event.GetType() == "message.sent" {
					told++
				}
			}
			if told != 1 {
				t.Errorf("told %d times: %v", told, lines(host))
			}
		})
	}
}

func TestAReplyAnswersAPost(t *testing.T) {
	var body string
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body = string(raw)
		if !signedByOAuth(r) || r.URL.Path != "/2/tweets" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"data":{"id":"12","text":"Hello"}}`)
	})
	s := channelAt(t, server.URL, nil).NewSender(lamps)
	for answered, want := range map[string]string{"": "900", "901": "901"} {
		out := outgoing("post/900", "Hello")
		out.Message.InReplyTo = answered
		sent, err := s.Send(t.Context(), out)
		if err != nil || sent.NativeID != "12" || !sent.At.IsZero() || sent.Echo.GetThread() != "post/"+want {
			t.Fatalf("%+v, %v", sent, err)
		}
		if body != `{"text":"Hello","reply":{"in_reply_to_tweet_id":"`+want+`"}}` {
			t.Errorf("said %s", body)
		}
	}
}

func TestAPictureIsUploadedFirst(t *testing.T) {
	picture := "\x89PNG and so on"
	var message string
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if !signedByOAuth(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/2/media/upload" {
			_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
			form, err := multipart.NewReader(r.Body, params["boundary"]).ReadForm(1 << 20)
			if err != nil || form.Value["media_category"][0] != "dm_image" || form.Value["media_type"][0] != "image/png" || form.File["media"][0].Size != int64(len(picture)) {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			_, _ = io.WriteString(w, `{"data":{"id":"1146654567674912769","media_key":"3_1146654567674912769","expires_after_secs":86400}}`)
			return
		}
		raw, _ := io.ReadAll(r.Body)
		message = string(raw)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"data":{"dm_event_id":"954491830116155396"}}`)
	})
	out := outgoing("501", "")
	out.Attachments = []channel.OutgoingFile{file("image/png", picture)}
	if sent, err := channelAt(t, server.URL, nil).NewSender(lamps).Send(t.Context(), out); err != nil || sent.Echo != nil {
		t.Fatalf("%+v, %v", sent, err)
	}
	if message != `{"attachments":[{"media_id":"1146654567674912769"}]}` {
		t.Errorf("said %s", message)
	}
}

func file(kind, data string) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Blob: &eventv1.Blob{MediaType: kind, Size: int64(len(data))}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(data)), nil },
	}
}

// As long as only the file went wrong, the message was certainly not sent.
func TestAFileThatFailsLeavesNothingUnknown(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"down":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"gibberish": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{") },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
		},
	} {
		server := newAPI(t, answer)
		out := outgoing("501", "See")
		out.Attachments = []channel.OutgoingFile{file("image/png", "png")}
		if _, err := channelAt(t, server.URL, nil).NewSender(lamps).Send(t.Context(), out); !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatCannotBeSentIsRefusedBefore(t *testing.T) {
	server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for name, c := range map[string]struct {
		code   string
		change func(*channel.Outgoing)
		setup  func(*x.Account)
	}{
		"the account's thread":  {code: x.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread = "account" }},
		"an empty conversation": {code: x.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread = "post/" }},
		"an answer to a mail":   {code: x.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread, o.Message.InReplyTo = "post/1", "<a@b>" }},
		"nothing":               {code: x.CodeNoText, change: func(o *channel.Outgoing) { o.Message.Text = "" }},
		"half a character":      {code: x.CodeNoText, change: func(o *channel.Outgoing) { o.Message.Text = "\xff" }},
		"a book":                {code: x.CodeTooLong, change: func(o *channel.Outgoing) { o.Message.Text = strings.Repeat("灯", 10_001) }},
		"a template":            {code: x.CodeNoTemplate, change: func(o *channel.Outgoing) { o.Message.Template = "hello" }},
		"two files": {code: x.CodeFiles, change: func(o *channel.Outgoing) {
			o.Attachments = []channel.OutgoingFile{file("image/png", ""), file("image/png", "")}
		}},
		"a document": {code: x.CodeFiles, change: func(o *channel.Outgoing) { o.Attachments = []channel.OutgoingFile{file("application/pdf", "")} }},
		"a large picture": {code: x.CodeFiles, change: func(o *channel.Outgoing) {
			o.Attachments = []channel.OutgoingFile{file("image/png", strings.Repeat("x", 5<<20+1))}
		}},
		"a picture in public": {code: x.CodeFiles, change: func(o *channel.Outgoing) {
			o.Thread, o.Attachments = "post/1", []channel.OutgoingFile{file("image/png", "")}
		}},
		"a picture of no known app":  {code: x.CodeFiles, change: func(o *channel.Outgoing) { o.Attachments = []channel.OutgoingFile{file("image/png", "")} }, setup: func(a *x.Account) { a.AppID = "" }},
		"an account without a token": {code: x.CodeNoToken, setup: func(a *x.Account) { a.AccessToken, a.AccessSecret = "", "" }},
	} {
		out := outgoing("501", "Hello")
		if c.change != nil {
			c.change(&out)
		}
		_, err := channelAt(t, server.URL, c.setup).NewSender(lamps).Send(t.Context(), out)
		if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := server.asked.Load(); n > 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestAnErrorTellsWhetherToSendAgain(t *testing.T) {
	later := fmt.Sprint(time.Now().Add(10 * time.Minute).Unix())
	for name, c := range map[string]struct {
		status  int
		headers []string
		body    string
		retry   bool
		code    string // refused for good
		wait    bool
	}{
		"who takes no direct messages":           {status: 403, body: `{"detail":"You do not have permission to DM one or more participants.","type":"about:blank","title":"Forbidden","status":403}`, code: "349"},
		"who takes none, in the older form":      {status: 403, body: `{"errors":[{"code":349,"message":"You cannot send messages to this user."}]}`, code: "349"},
		"the same again":                         {status: 403, body: `{"detail":"You are not allowed to create a Tweet with duplicate content.","type":"about:blank","title":"Forbidden","status":403}`, code: "187"},
		"another reason":                         {status: 403, body: `{"detail":"Forbidden","type":"about:blank","title":"Forbidden","status":403}`, code: "403"},
		"an app that may not":                    {status: 403, body: `{"reason":"client-not-enrolled","title":"Client Forbidden","type":"https://api.x.com/2/problems/client-forbidden"}`, code: "client-not-enrolled"},
		"a wrong token":                          {status: 401, body: `{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}`, code: "401"},
		"a body that X does not like":            {status: 400, body: `{"errors":[{"message":"text is too long"}],"title":"Invalid Request","type":"https://api.x.com/2/problems/invalid-request"}`, code: "invalid-request"},
		"no credits":                             {status: 402, body: `{"title":"CreditsDepleted","type":"https://api.x.com/2/problems/credits"}`, code: "credits"},
		"too many in a quarter of an hour":       {status: 429, headers: []string{"x-rate-limit-reset", later}, body: `{"title":"Too Many Requests","type":"about:blank"}`, retry: true, wait: true},
		"too many in a day":                      {status: 429, headers: []string{"x-rate-limit-reset", "1", "x-user-limit-24hour-remaining", "0", "x-user-limit-24hour-reset", later}, body: `{}`, retry: true, wait: true},
		"too many, and nothing else is said":     {status: 429, retry: true},
		"all of a month":                         {status: 429, body: `{"title":"UsageCapExceeded","detail":"Usage cap exceeded: Monthly product cap","type":"https://api.x.com/2/problems/usage-capped"}`, code: "usage-capped"},
		"an API that has too much to do":         {status: 503, body: `<html>`, retry: true},
		"an API that failed":                     {status: 500, body: `{}`},
		"a proxy that does not know what became": {status: 504, body: `<html>`},
		"an answer that cannot be read":          {status: 201, body: `{"data":`},
		"an answer without id":                   {status: 201, body: `{"data":{}}`},
		"an answer that leads elsewhere":         {status: 307, headers: []string{"Location", "/elsewhere"}},
		"a refusal that is not X's language":     {status: 403, body: `no`, code: "403"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, thread := range []string{"501", "post/900"} {
				server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
					for i := 0; i < len(c.headers); i += 2 {
						w.Header().Set(c.headers[i], c.headers[i+1])
					}
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
				})
				_, err := channelAt(t, server.URL, nil).NewSender(lamps).Send(t.Context(), outgoing(thread, "Hello"))
				e, isRefused := errors.AsType[*channel.RefusedError](err)
				var wait interface{ RetryAfter() time.Duration }
				switch {
				case errors.Is(err, channel.ErrRetry) != c.retry, isRefused != (c.code != ""), errors.Is(err, channel.ErrUnknown) != (!c.retry && c.code == ""):
					t.Errorf("%v", err)
				case isRefused && (e.Code != c.code || e.Reason == ""):
					t.Errorf("%+v", e)
				case errors.As(err, &wait) != c.wait, c.wait && (wait.RetryAfter() < 9*time.Minute || wait.RetryAfter() > 11*time.Minute):
					t.Errorf("when to come again: %v", err)
				case strings.Contains(err.Error(), accessSecret), strings.Contains(err.Error(), consumerSecret):
					t.Errorf("%v tells too much", err)
				}
				if server.asked.Load() != 1 {
					t.Errorf("sent %d times", server.asked.Load())
				}
			}
		})
	}
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + socket.Addr().String()
	_ = socket.Close()
	_, err = channelAt(t, address, nil).NewSender(lamps).Send(t.Context(), outgoing("501", "Hello"))
	if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) {
		t.Error(err)
	}
	if _, err := channelAt(t, address, nil).NewSender(x.Key{Tenant: "lumen", Inbox: "gone"}).Send(t.Context(), outgoing("501", "Hello")); err == nil {
		t.Error("sent from nowhere")
	}
}

// A connection that breaks after the request went out leaves it open whether the message was taken.
func TestAConnectionThatBreaksLeavesItUnknown(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	requests := make(chan string, 8)
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				requests <- r.Method
			}
			_ = c.Close()
		}
	}()
	_, err = channelAt(t, "http://"+socket.Addr().String(), nil).NewSender(lamps).Send(t.Context(), outgoing("501", "Hello"))
	if !errors.Is(err, channel.ErrUnknown) || errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	if <-requests; len(requests) > 0 {
		t.Error("sent twice")
	}
}

type failing struct{}

func (failing) Token() (*oauth2.Token, error) { return nil, errors.New("no token today") }

func TestTokensOfOAuth2AreUsedWhereThereAreThese(t *testing.T) {
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer user-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"dm_event_id": "9"}})
	})
	by := func(tokens oauth2.TokenSource) error {
		_, err := channelAt(t, server.URL, func(a *x.Account) { a.AccessToken, a.AccessSecret, a.Tokens = "", "", tokens }).
			NewSender(lamps).Send(t.Context(), outgoing("501", "Hello"))
		return err
	}
	if err := by(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "user-token"})); err != nil {
		t.Error(err)
	}
	if err := by(failing{}); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	if channelAt(t, server.URL, nil).NewSender(lamps).Idempotent() {
		t.Error("X knows no key of ours")
	}
}
