package weibo_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/weibo"
)

// now is when everything is sent.
var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// endpoint is one of Weibo's that answers, and remembers what it was asked.
type endpoint struct {
	*httptest.Server
	asked atomic.Int64
	path  string
	form  url.Values
}

func newEndpoint(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.asked.Add(1)
		_ = r.ParseForm()
		e.path, e.form = r.Method+" "+r.URL.Path, r.PostForm
		answer(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func saying(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answer(status, body)(w) }
}

func senderAt(t *testing.T, api string, change func(*weibo.Account)) *weibo.Sender {
	t.Helper()
	cfg := posts(api, &channeltest.Cursors{})
	if change != nil {
		change(&cfg.Accounts[0])
	}
	c := made(t, cfg)
	weibo.At(c, now)
	return c.NewSender(lamps)
}

func outgoing(thread, text string) channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "lamps", Thread: thread, Message: &eventv1.Message{Text: text}, LastReceived: now.Add(-time.Hour), Attempt: 1,
	}
}

func TestAMessageIsSent(t *testing.T) {
	e := newEndpoint(t, saying(http.StatusOK, `{"result":true,"receiver_id":"2489518277","type":"text","data":"%7B%22text%22%3A%22%22%7D"}`))
	s := senderAt(t, e.URL, nil)
	sent, err := s.Send(t.Context(), outgoing("2489518277", `下周二到 & "更早"`))
	if err != nil || sent.NativeID != "" || sent.Echo != nil { // Weibo gives it no id
		t.Fatalf("%+v, %v", sent, err)
	}
	want := url.Values{"access_token": {accessToken}, "type": {"text"}, "data": {`{"text":"下周二到 \u0026 \"更早\""}`}, "receiver_id": {"2489518277"}, "save_sender_box": {"1"}}
	if e.path != "POST /2/messages/reply.json" || e.form.Encode() != want.Encode() {
		t.Errorf("%s %v", e.path, e.form)
	}
	place := outgoing("2489518277", "")
	place.Message.Location = &eventv1.Location{Latitude: 39.982525, Longitude: 116.308586}
	if _, err := s.Send(t.Context(), place); err != nil || e.form.Get("type") != "position" || e.form.Get("data") != `{"latitude":"39.982525","longitude":"116.308586"}` {
		t.Error(err, e.form)
	}
	if s.Idempotent() {
		t.Error("Weibo knows no key of ours")
	}
}

const reply = `{"created_at":"Mon Mar 02 20:00:00 +0800 2026","id":5140100000000009,"idstr":"5140100000000009","rootid":5140100000000001,"rootidstr":"5140100000000001","text":"回复@小美:下周二","user":{"id":1902538057,"idstr":"1902538057","screen_name":"卢门灯具"},
	"status":{"id":5140090000000001,"idstr":"5140090000000001","user":{"id":1902538057}},"reply_comment":{"id":5140100000000001,"idstr":"5140100000000001","user":{"id":2489518277,"idstr":"2489518277"}}}`

func TestACommentIsAnswered(t *testing.T) {
	e := newEndpoint(t, saying(http.StatusOK, reply))
	for name, c := range map[string]struct {
		thread, inReplyTo string
		path, cid         string
	}{
		"a chain":                      {"post/5140090000000001/5140100000000001", "", "POST /2/comments/reply.json", "5140100000000001"},
		"a comment further down":       {"post/5140090000000001/5140100000000001", "5140100000000003", "POST /2/comments/reply.json", "5140100000000003"},
		"the post above the chain":     {"post/5140090000000001/5140100000000001", "5140090000000001", "POST /2/comments/reply.json", "5140100000000001"},
		"a post":                       {"post/5140090000000001", "", "POST /2/comments/create.json", ""},
		"a post, named":                {"post/5140090000000001", "5140090000000001", "POST /2/comments/create.json", ""},
		"a comment in a post's thread": {"post/5140090000000001", "5140100000000001", "POST /2/comments/reply.json", "5140100000000001"},
	} {
		out := outgoing(c.thread, "下周二")
		out.Message.InReplyTo, out.LastReceived = c.inReplyTo, time.Time{} // in public there is no window
		sent, err := senderAt(t, e.URL, nil).Send(t.Context(), out)
		if err != nil || sent.NativeID != "5140100000000009" || !sent.At.Equal(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)) {
			t.Fatalf("%s: %+v, %v", name, sent, err)
		}
		if e.path != c.path || e.form.Get("cid") != c.cid || e.form.Get("id") != "5140090000000001" || e.form.Get("comment") != "下周二" || e.form.Get("access_token") != accessToken {
			t.Errorf("%s: %s %v", name, e.path, e.form)
		}
	}
	sent, err := senderAt(t, e.URL, func(a *weibo.Account) { a.Posts = false }).Send(t.Context(), outgoing("post/5140090000000001/5140100000000001", "下周二"))
	if err != nil || sent.Echo != nil {
		t.Errorf("comments are not read, so none comes again: %+v, %v", sent, err)
	}
}

// Whatever comes first, the answer of the API or the list, the comment is told once.
func TestTheEchoOfACommentIsTheSameEvent(t *testing.T) {
	e := newEndpoint(t, saying(http.StatusOK, reply))
	sent, err := senderAt(t, e.URL, nil).Send(t.Context(), outgoing("post/5140090000000001/5140100000000001", "下周二"))
	if err != nil || sent.Echo == nil {
		t.Fatalf("%+v, %v", sent, err)
	}
	host := channeltest.NewHost()
	if _, err := host.Submit(t.Context(), "lumen", sent.Echo); err != nil {
		t.Fatal(err)
	}
	c := made(t, posts("", &channeltest.Cursors{}))
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "lamps", Raw: []byte(`{"comments":[` + reply + `]}`)}); err != nil {
		t.Fatal(err)
	}
	if told := channeltest.Fingerprint(t, host); len(told) != 1 {
		t.Error(told)
	}
}

func TestWhatCannotBeSentIsRefusedBefore(t *testing.T) {
	e := newEndpoint(t, saying(http.StatusTeapot, ""))
	for name, c := range map[string]struct {
		code   string
		change func(*channel.Outgoing)
		setup  func(*weibo.Account)
	}{
		"a list's thread":               {code: weibo.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread = "list/comments/timeline" }},
		"a comment of an unknown post":  {code: weibo.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread = "comment/5140000000000002" }},
		"an empty post":                 {code: weibo.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread = "post/" }},
		"a chain that is none":          {code: weibo.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread = "post/1/x" }},
		"an answer to a mail":           {code: weibo.CodeNoThread, change: func(o *channel.Outgoing) { o.Thread, o.Message.InReplyTo = "post/1", "<a@b>" }},
		"nothing":                       {code: weibo.CodeNoText, change: func(o *channel.Outgoing) { o.Message.Text = "" }},
		"nothing in public":             {code: weibo.CodeNoText, change: func(o *channel.Outgoing) { o.Thread, o.Message.Text = "post/1", "" }},
		"half a character":              {code: weibo.CodeNoText, change: func(o *channel.Outgoing) { o.Message.Text = "\xff" }},
		"a book":                        {code: weibo.CodeTooLong, change: func(o *channel.Outgoing) { o.Message.Text = strings.Repeat("灯", 301) }},
		"a book in English":             {code: weibo.CodeTooLong, change: func(o *channel.Outgoing) { o.Message.Text = strings.Repeat("x", 601) }},
		"a long comment":                {code: weibo.CodeTooLong, change: func(o *channel.Outgoing) { o.Thread, o.Message.Text = "post/1", strings.Repeat("灯", 141) }},
		"a template":                    {code: weibo.CodeNoTemplate, change: func(o *channel.Outgoing) { o.Message.Template = "hello" }},
		"a file":                        {code: weibo.CodeFiles, change: func(o *channel.Outgoing) { o.Attachments = []channel.OutgoingFile{{}} }},
		"after two days":                {code: channel.CodeWindowClosed, change: func(o *channel.Outgoing) { o.LastReceived = now.Add(-49 * time.Hour) }},
		"who never wrote":               {code: channel.CodeWindowClosed, change: func(o *channel.Outgoing) { o.LastReceived = time.Time{} }},
		"by an account without a token": {code: weibo.CodeNoToken, setup: func(a *weibo.Account) { a.AccessToken, a.Posts = "", false }},
	} {
		out := outgoing("2489518277", "Hello")
		if c.change != nil {
			c.change(&out)
		}
		_, err := senderAt(t, e.URL, c.setup).Send(t.Context(), out)
		if r, ok := errors.AsType[*channel.RefusedError](err); !ok || r.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := e.asked.Load(); n > 0 {
		t.Errorf("asked %d times", n)
	}
	if _, err := senderAt(t, e.URL, nil).Send(t.Context(), outgoing("2489518277", strings.Repeat("灯", 300))); err == nil || e.asked.Load() != 1 {
		t.Error("the longest message was not tried", err)
	}
	gone := made(t, posts(e.URL, &channeltest.Cursors{})).NewSender(weibo.Key{Tenant: "lumen", Inbox: "gone"})
	if _, err := gone.Send(t.Context(), outgoing("2489518277", "Hello")); err == nil {
		t.Error("sent from nowhere")
	}
}

func TestAnErrorTellsWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		retry  bool
		code   string // refused for good
		wait   bool
	}{
		"who does not follow":                    {status: 400, body: `{"error":"not your follower","error_code":20301,"request":"/2/messages/reply.json"}`, code: "20301"},
		"a comment that is gone":                 {status: 400, body: `{"error":"target weibo comment does not exist!","error_code":20201,"request":"/2/comments/reply.json"}`, code: "20201"},
		"an author who lets friends comment":     {status: 400, body: `{"error":"limit","error_code":"20206","request":"/2/comments/reply.json"}`, code: "20206"},
		"the same again":                         {status: 400, body: `{"error":"repeat content!","error_code":20019,"request":"/2/comments/reply.json"}`, code: "20019"},
		"a token that has ended":                 {status: 403, body: `{"error":"expired_token","error_code":21327,"request":"/2/messages/reply.json"}`, code: "21327"},
		"an app that may not":                    {status: 403, body: `{"error":"Insufficient app permissions!","error_code":10014,"request":"/2/messages/reply.json"}`, code: "10014"},
		"too many calls":                         {status: 403, body: `{"error":"User requests out of rate limit!","error_code":10023,"request":"/2/messages/reply.json"}`, retry: true, wait: true},
		"too many messages":                      {status: 400, body: `{"error":"out of limit","error_code":20016,"request":"/2/comments/reply.json"}`, retry: true, wait: true},
		"a service that rests":                   {status: 503, body: `{"error":"Service unavailable","error_code":10002,"request":"/2/messages/reply.json"}`, retry: true},
		"a proxy that rests":                     {status: 503, body: `<html>`, retry: true},
		"a failure inside":                       {status: 500, body: `{"error":"system error!","error_code":10001,"request":"/2/messages/reply.json"}`},
		"a failure inside, with status 200":      {status: 200, body: `{"error":"Remote service error","error_code":10003,"request":"/2/messages/reply.json"}`},
		"a comment that is there without an id":  {status: 200, body: `{"error":"Update success, while server slow now, please wait 1-2 minutes!","error_code":20032,"request":"/2/comments/reply.json"}`},
		"a proxy that does not know what became": {status: 504, body: `<html>`},
		"an answer that cannot be read":          {status: 200, body: `{"result":`},
		"a refusal that is not Weibo's language": {status: 404, body: `no`, code: "404"},
		"an answer that leads elsewhere":         {status: 302, body: ``},
	} {
		t.Run(name, func(t *testing.T) {
			for _, thread := range []string{"2489518277", "post/5140090000000001/5140100000000001"} {
				e := newEndpoint(t, saying(c.status, c.body))
				_, err := senderAt(t, e.URL, nil).Send(t.Context(), outgoing(thread, "Hello"))
				r, isRefused := errors.AsType[*channel.RefusedError](err)
				var wait interface{ RetryAfter() time.Duration }
				switch {
				case errors.Is(err, channel.ErrRetry) != c.retry, isRefused != (c.code != ""), errors.Is(err, channel.ErrUnknown) != (!c.retry && c.code == ""):
					t.Errorf("%v", err)
				case isRefused && (r.Code != c.code || r.Reason == ""):
					t.Errorf("%+v", r)
				case errors.As(err, &wait) != c.wait, c.wait && wait.RetryAfter() != 10*time.Minute:
					t.Errorf("when to come again: %v", err)
				case strings.Contains(err.Error(), accessToken):
					t.Errorf("%v tells too much", err)
				}
				if e.asked.Load() != 1 {
					t.Errorf("sent %d times", e.asked.Load())
				}
			}
		})
	}
	for body, thread := range map[string]string{`{"result":false}`: "2489518277", `{}`: "post/1/2"} {
		_, err := senderAt(t, newEndpoint(t, saying(200, body)).URL, nil).Send(t.Context(), outgoing(thread, "Hello"))
		if _, isRefused := errors.AsType[*channel.RefusedError](err); err == nil || isRefused != (thread == "2489518277") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + socket.Addr().String()
	_ = socket.Close()
	if _, err = senderAt(t, address, nil).Send(t.Context(), outgoing("2489518277", "Hello")); !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) {
		t.Error(err)
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
	_, err = senderAt(t, "http://"+socket.Addr().String(), nil).Send(t.Context(), outgoing("2489518277", "Hello"))
	if !errors.Is(err, channel.ErrUnknown) || errors.Is(err, channel.ErrRetry) || strings.Contains(err.Error(), accessToken) {
		t.Error(err)
	}
	if <-requests; len(requests) > 0 {
		t.Error("sent twice")
	}
}
