package official_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat/official"
)

// now is when everything of these tests happens.
var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// weChat is WeChat's API as the documents describe it
// (https://developers.weixin.qq.com/doc/service/api/).
type weChat struct {
	*httptest.Server

	mu    sync.Mutex
	token int      // of the last one that was given out
	calls []string // path and body of each call, but for tokens
	// answers in the place of the usual ones, by path.
	answers map[string]http.HandlerFunc
}

func newWeChat(tb testing.TB) *weChat {
	tb.Helper()
	w := &weChat{answers: map[string]http.HandlerFunc{}}
	w.Server = httptest.NewServer(w)
	tb.Cleanup(w.Close)
	return w
}

func (w *weChat) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := w.answers[r.URL.Path]
	if r.URL.Path == "/cgi-bin/stable_token" {
		if answer != nil {
			answer(rw, r)
			return
		}
		w.giveToken(rw, r)
		return
	}
	if r.URL.Query().Get("access_token") != fmt.Sprintf("token-%d", w.token) {
		say(rw, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken rid: 6"}`)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		body = []byte(r.URL.Query().Get("type"))
	}
	w.calls = append(w.calls, r.URL.Path+" "+strings.TrimSpace(string(body)))
	switch {
	case answer != nil:
		answer(rw, r)
	case r.URL.Path == "/cgi-bin/message/custom/send", r.URL.Path == "/cgi-bin/message/subscribe/send":
		say(rw, `{"errcode":0,"errmsg":"ok"}`)
	case r.URL.Path == "/cgi-bin/message/template/send":
		say(rw, `{"errcode":0,"errmsg":"ok","msgid":2768406231987585028}`)
	case r.URL.Path == "/cgi-bin/media/upload":
		w.upload(rw, r)
	default:
		say(rw, `{"errcode":40066,"errmsg":"invalid url"}`)
	}
}

func (w *weChat) giveToken(rw http.ResponseWriter, r *http.Request) {
	var by struct {
		Grant  string `json:"grant_type"`
		AppID  string `json:"appid"`
		Secret string
	}
	if err := json.NewDecoder(r.Body).Decode(&by); err != nil || by.Grant != "client_credential" || by.AppID != appID && by.AppID != miniID || by.Secret != secret {
		say(rw, `{"errcode":40125,"errmsg":"invalid appsecret rid: 6"}`)
		return
	}
	w.token++
	say(rw, fmt.Sprintf(`{"access_token":"token-%d","expires_in":7200}`, w.token))
}

func (w *weChat) upload(rw http.ResponseWriter, r *http.Request) {
	f, header, err := r.FormFile("media")
	if err != nil {
		say(rw, `{"errcode":41005,"errmsg":"media data missing"}`)
		return
	}
	raw, err := io.ReadAll(f)
	kind := r.URL.Query().Get("type")
	if err != nil || string(raw) != "the bytes" || !strings.Contains(header.Filename, ".") {
		say(rw, `{"errcode":40004,"errmsg":"invalid media type"}`)
		return
	}
	say(rw, `{"type":"`+kind+`","media_id":"uploaded-`+kind+`","created_at":1772442000}`)
}

func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { say(w, text) }
}

// answered sets what a path is answered.
func (w *weChat) answered(path string, answer http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[path] = answer
}

func (w *weChat) called() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

// channel gives one whose accounts speak to this API.
func (w *weChat) channel(tb testing.TB) *official.Channel {
	tb.Helper()
	all := accounts()
	for i := range all {
		all[i].APIURL = w.URL
	}
	c := newChannel(tb, official.Config{Accounts: all, Files: httpfetch.Client(true)})
	c.SetNow(func() time.Time { return now })
	return c
}

func outgoing(m *eventv1.Message, files ...channel.OutgoingFile) channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "service", Thread: "oLumen_customer-1", RequestID: "8d8ac610-566d-4ef0-9c22-186b2a5ed793", Message: m, Attachments: files,
		LastReceived: now.Add(-time.Hour), Attempt: 1,
	}
}

func file(mediaType, data string) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Name: "灯.mp4", Blob: &eventv1.Blob{MediaType: mediaType}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(data)), nil },
	}
}

func send(t *testing.T, w *weChat, inbox string, out channel.Outgoing) (channel.Sent, error) {
	t.Helper()
	s := w.channel(t).NewSender(official.Key{Tenant: "lumen", Inbox: inbox})
	if s.Idempotent() {
		t.Error("WeChat takes messages once only")
	}
	return s.Send(t.Context(), out)
}

func TestAMessageGoesOut(t *testing.T) {
	template := &eventv1.Message{Text: "for our own eyes", Template: "ngqIpbwh8bUf", TemplateParameters: map[string]string{"thing1": "灯 <1>", "time2": "18:00"}, TemplateLanguage: "zh_CN"}
	late := outgoing(template)
	late.LastReceived = time.Time{}
	for name, tc := range map[string]struct {
		inbox string
		out   channel.Outgoing
		calls []string
		id    string
	}{
		"a text": {
			"service", outgoing(&eventv1.Message{Text: "It is <on> its way & 😀\nsoon\u2028\x01 \xff"}),
			[]string{`/cgi-bin/message/custom/send {"msgtype":"text","text":{"content":"It is <on> its way & 😀\nsoon\n �"},"touser":"oLumen_customer-1"}`},
			"",
		},
		"a picture": {
			"safe", outgoing(nil, file("image/png", "the bytes")),
			[]string{"/cgi-bin/media/upload image", `/cgi-bin/message/custom/send {"image":{"media_id":"uploaded-image"},"msgtype":"image","touser":"oLumen_customer-1"}`},
			"",
		},
		"voice": {
			"service", outgoing(&eventv1.Message{}, file("audio/amr", "the bytes")),
			[]string{"/cgi-bin/media/upload voice", `/cgi-bin/message/custom/send {"msgtype":"voice","touser":"oLumen_customer-1","voice":{"media_id":"uploaded-voice"}}`},
			"",
		},
		"a video": {
			"service", outgoing(&eventv1.Message{}, file("video/mp4; codecs=avc1", "the bytes")),
			[]string{"/cgi-bin/media/upload video", `/cgi-bin/message/custom/send {"msgtype":"video","touser":"oLumen_customer-1","video":{"media_id":"uploaded-video","title":"灯.mp4"}}`},
			"",
		},
		"a template, at any time": {
			"service", late,
			[]string{`/cgi-bin/message/template/send {"client_msg_id":"8d8ac610566d4ef09c22186b2a5ed793","data":{"thing1":{"value":"灯 <1>"},"time2":{"value":"18:00"}},"template_id":"ngqIpbwh8bUf","touser":"oLumen_customer-1"}`},
			"2768406231987585028",
		},
		"a subscription message of a mini-program": {
			"mini", late,
			[]string{`/cgi-bin/message/subscribe/send {"data":{"thing1":{"value":"灯 <1>"},"time2":{"value":"18:00"}},"lang":"zh_CN","template_id":"ngqIpbwh8bUf","touser":"oLumen_customer-1"}`},
			"",
		},
		"a picture of a mini-program": {
			"mini", outgoing(nil, file("image/jpeg", "the bytes")),
			[]string{"/cgi-bin/media/upload image", `/cgi-bin/message/custom/send {"image":{"media_id":"uploaded-image"},"msgtype":"image","touser":"oLumen_customer-1"}`},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeChat(t)
			sent, err := send(t, w, tc.inbox, tc.out)
			if err != nil || sent.NativeID != tc.id || sent.Echo != nil {
				t.Errorf("%+v, %v", sent, err)
			}
			if got := strings.Join(w.called(), "\n"); got != strings.Join(tc.calls, "\n") {
				t.Errorf("called\n%s", got)
			}
		})
	}
}

func TestWhatCannotBeSentIsRefusedBefore(t *testing.T) {
	change := func(out channel.Outgoing, how func(o *channel.Outgoing)) channel.Outgoing { how(&out); return out }
	text := &eventv1.Message{Text: "hello"}
	picture := file("image/png", "the bytes")
	for name, tc := range map[string]struct {
		inbox string
		out   channel.Outgoing
		code  string
	}{
		"an inbox that is not there":       {"gone", outgoing(text), "no_inbox"},
		"no secret":                        {"safe-mini", outgoing(text), "no_secret"},
		"no thread":                        {"service", change(outgoing(text), func(o *channel.Outgoing) { o.Thread = "" }), "no_recipient"},
		"a thread of the account":          {"service", change(outgoing(text), func(o *channel.Outgoing) { o.Thread = "masssendjobfinish/1/MASSSENDJOBFINISH/2" }), "no_recipient"},
		"nothing":                          {"service", outgoing(&eventv1.Message{}), "no_text"},
		"nothing at all":                   {"service", outgoing(nil), "no_text"},
		"a place":                          {"service", outgoing(&eventv1.Message{Text: "here", Location: &eventv1.Location{}}), "no_location"},
		"a text with a file":               {"service", outgoing(text, picture), "one_at_a_time"},
		"two files":                        {"service", outgoing(nil, picture, picture), "one_at_a_time"},
		"a template with a file":           {"service", outgoing(&eventv1.Message{Template: "t"}, picture), "no_files"},
		"a document":                       {"service", outgoing(nil, file("application/pdf", "the bytes")), "file_type"},
		"voice of a mini-program":          {"mini", outgoing(nil, file("audio/amr", "the bytes")), "file_type"},
		"voice that is too large":          {"service", outgoing(nil, file("audio/mpeg", strings.Repeat("x", 2<<20+1))), "too_large"},
		"too late":                         {"service", change(outgoing(text), func(o *channel.Outgoing) { o.LastReceived = now.Add(-49 * time.Hour) }), channel.CodeWindowClosed},
		"too late for a file":              {"service", change(outgoing(nil, picture), func(o *channel.Outgoing) { o.LastReceived = now.Add(-49 * time.Hour) }), channel.CodeWindowClosed},
		"a customer who has never written": {"service", change(outgoing(text), func(o *channel.Outgoing) { o.LastReceived = time.Time{} }), channel.CodeWindowClosed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeChat(t)
			_, err := send(t, w, tc.inbox, tc.out)
			refused, ok := errors.AsType[*channel.RefusedError](err)
			if !ok || refused.Code != tc.code || refused.Reason == "" || len(w.called()) > 0 {
				t.Errorf("%v, called %v", err, w.called())
			}
		})
	}
	unreadable := errors.New("the blob is gone")
	broken := channel.OutgoingFile{Attachment: picture.Attachment, Open: func(context.Context) (io.ReadCloser, error) { return nil, unreadable }}
	w := newWeChat(t)
	if _, err := send(t, w, "service", outgoing(nil, broken)); !errors.Is(err, unreadable) || len(w.called()) > 0 {
		t.Errorf("%v", err)
	}
}

func TestWhatWeChatAnswers(t *testing.T) {
	const (
		refused = "refused"
		retry   = "retry"
		unknown = "unknown"
	)
	for _, tc := range []struct {
		answer, is, code, word string
		after                  time.Duration
	}{
		{`{"errcode":45015,"errmsg":"response out of time limit or subscription is canceled rid: 6"}`, refused, channel.CodeWindowClosed, "template", 0},
		{`{"errcode":45047,"errmsg":"out of response count limit rid: 6"}`, refused, "45047", "before writing again", 0},
		{`{"errcode":43004,"errmsg":"require subscribe rid: 6"}`, refused, "43004", "does not follow", 0},
		{`{"errcode":40003,"errmsg":"invalid openid rid: 6"}`, refused, "40003", "not known", 0},
		{`{"errcode":48001,"errmsg":"api unauthorized rid: 6"}`, refused, "48001", "may not use", 0},
		{`{"errcode":50001,"errmsg":"user unauthorized rid: 6"}`, refused, "50001", "may not use", 0},
		{`{"errcode":50002,"errmsg":"user limited rid: 6"}`, refused, "50002", "restricted", 0},
		{`{"errcode":43101,"errmsg":"user refuse to accept the msg rid: 6"}`, refused, "43101", "does not accept", 0},
		{`{"errcode":43019,"errmsg":"require remove blacklist rid: 6"}`, refused, "43019", "blacklist", 0},
		{`{"errcode":45002,"errmsg":"content size out of limit rid: 6"}`, refused, "45002", "too long", 0},
		{`{"errcode":47003,"errmsg":"argument invalid! data.thing1.value invalid rid: 6"}`, refused, "47003", "thing1", 0},
		{`{"errcode":61234,"errmsg":"what nobody knows yet"}`, refused, "61234", "nobody knows", 0},
		{`{"errcode":-1,"errmsg":"system error rid: 6"}`, retry, "", "", 0},
		{`{"errcode":45009,"errmsg":"reach max api daily quota limit rid: 6"}`, retry, "", "", time.Hour},
		{`{"errcode":45011,"errmsg":"api minute-quota reach limit  must slower  retry next minute rid: 6"}`, retry, "", "", time.Minute},
		{`{"errcode":42001,"errmsg":"access_token expired rid: 6"}`, retry, "", "", 0},
		{`<html>502</html>`, unknown, "", "", 0},
		{``, unknown, "", "", 0},
	} {
		w := newWeChat(t)
		w.answered("/cgi-bin/message/custom/send", answer(tc.answer))
		_, err := send(t, w, "service", outgoing(&eventv1.Message{Text: "hello"}))
		said, isRefused := errors.AsType[*channel.RefusedError](err)
		later, hasTime := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err)
		switch {
		case isRefused != (tc.is == refused), errors.Is(err, channel.ErrRetry) != (tc.is == retry), errors.Is(err, channel.ErrUnknown) != (tc.is == unknown):
			t.Errorf("%s: %v", tc.answer, err)
		case isRefused && (said.Code != tc.code || !strings.Contains(said.Reason, tc.word)):
			t.Errorf("%s: %v", tc.answer, err)
		case hasTime != (tc.after > 0) || hasTime && later.RetryAfter() != tc.after:
			t.Errorf("%s: %v", tc.answer, err)
		}
	}
}

func TestATokenThatSomebodyElseRenewedIsAskedForAgain(t *testing.T) {
	w := newWeChat(t)
	s := w.channel(t).NewSender(official.Key{Tenant: "lumen", Inbox: "service"})
	for range 3 {
		if _, err := s.Send(t.Context(), outgoing(&eventv1.Message{Text: "hello"})); err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		w.token++
		w.mu.Unlock()
	}
	if n := len(w.called()); n != 3 {
		t.Errorf("%d messages went out", n)
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	for text, code := range map[string]string{
		`{"errcode":40125,"errmsg":"invalid appsecret rid: 6"}`:                               "40125",
		`{"errcode":40001,"errmsg":"invalid credential rid: 6"}`:                              "40001",
		`{"errcode":40013,"errmsg":"invalid appid rid: 6"}`:                                   "40013",
		`{"errcode":40164,"errmsg":"invalid ip 192.0.2.1 ipv6 ::1, not in whitelist rid: 6"}`: "40164",
		`{"errcode":-1,"errmsg":"system error"}`:                                              "",
		`nothing`:                                                                             "",
	} {
		w := newWeChat(t)
		w.answered("/cgi-bin/stable_token", answer(text))
		_, err := send(t, w, "service", outgoing(&eventv1.Message{Text: "hello"}))
		refused, ok := errors.AsType[*channel.RefusedError](err)
		if ok != (code != "") || ok && refused.Code != code || !ok && !errors.Is(err, channel.ErrRetry) || len(w.called()) > 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAFileThatWasNotUploadedWasNotSent(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		code   string
	}{
		"refused":     {answer(`{"errcode":40004,"errmsg":"invalid media type"}`), "40004"},
		"busy":        {answer(`{"errcode":-1,"errmsg":"system error"}`), ""},
		"no JSON":     {answer(`<html>`), ""},
		"no media_id": {answer(`{"type":"image"}`), ""},
		"broken off":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
	} {
		w := newWeChat(t)
		w.answered("/cgi-bin/media/upload", tc.answer)
		_, err := send(t, w, "service", outgoing(nil, file("image/gif", "the bytes")))
		refused, ok := errors.AsType[*channel.RefusedError](err)
		if ok != (tc.code != "") || ok && refused.Code != tc.code || !ok && (!errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown)) || len(w.called()) != 1 {
			t.Errorf("%s: %v, called %v", name, err, w.called())
		}
	}
}
