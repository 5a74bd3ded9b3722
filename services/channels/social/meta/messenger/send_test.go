package messenger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
	"github.com/skein-cx/skein/services/channels/social/meta/messenger"
)

const requestID = "0193d0a4-7e5c-7abc-8def-0123456789ab"

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// graph is a fake of the Graph API over HTTP: it answers as Meta's pages say, and notes what it was asked.
type graph struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // method, path, query but for the proof, and body
	fail  http.HandlerFunc
}

func newGraph(tb testing.TB) *graph {
	tb.Helper()
	g := &graph{}
	g.Server = httptest.NewServer(g)
	tb.Cleanup(g.Close)
	return g
}

func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/"+meta.DefaultVersion+"/")
	if !ok { // a file
		if r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = io.WriteString(w, "the file "+r.URL.Path[1:]) //nolint:gosec // no page
		return
	}
	line := r.Method + " " + path
	if r.Header.Get("Authorization") != "Bearer "+accessToken {
		line += " WITHOUT TOKEN"
	}
	if fields := r.URL.Query().Get("fields"); fields != "" {
		line += "?fields=" + fields
	}
	if r.URL.Query().Get("appsecret_proof") == "" {
		line += " (no proof)"
	}
	if err := r.ParseMultipartForm(1 << 20); err == nil {
		for _, field := range []string{"message", "platform"} {
			if v := r.FormValue(field); v != "" {
				line += " " + field + "=" + v
			}
		}
		file, head, err := r.FormFile("filedata")
		if err == nil {
			data, _ := io.ReadAll(file)
			line += fmt.Sprintf(" filedata=%s %s %s", head.Filename, head.Header.Get("Content-Type"), data)
		}
	} else if body, _ := io.ReadAll(r.Body); len(body) > 0 {
		line += " " + string(body)
	}
	g.mu.Lock()
	g.asked = append(g.asked, line)
	fail := g.fail
	g.mu.Unlock()
	if fail != nil {
		fail(w, r)
		return
	}
	switch {
	case strings.HasSuffix(path, "/messages"):
		_, _ = io.WriteString(w, `{"recipient_id":"6100000000000001","message_id":"m_sent"}`)
	case strings.HasSuffix(path, "/message_attachments"):
		_, _ = io.WriteString(w, `{"attachment_id":"1857777774821032"}`)
	case strings.HasSuffix(path, "/comments"), strings.HasSuffix(path, "/replies"):
		_, _ = io.WriteString(w, `{"id":"700_900"}`)
	case path == "m_sent":
		_, _ = io.WriteString(w, `{"attachments":{"data":[{"id":"1","mime_type":"image/jpeg","name":"a.jpg","image_data":{"url":"`+g.URL+`/a.jpg"}},{"video_data":{"url":"`+g.URL+`/b.mp4"}},{"file_url":"`+g.URL+`/c.pdf"},{}]},"id":"m_sent"}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"Unsupported get request.","type":"GraphMethodException","code":100,"error_subcode":33}}`)
	}
}

func (g *graph) requests() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.asked, "\n")
}

// sender is a channel that speaks to a fake, at a time that stands still.
func sender(tb testing.TB, product messenger.Product, g *graph, change func(*messenger.Account)) (*messenger.Channel, *messenger.Sender) {
	tb.Helper()
	cfg := config(product)
	cfg.GraphURL, cfg.Files = g.URL, httpfetch.Client(true)
	if change != nil {
		change(&cfg.Accounts[0])
	}
	c, err := messenger.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	messenger.SetNow(tb, c, now)
	s := c.NewSender(messenger.Key{Tenant: "lumen", Inbox: "social"})
	return c, s
}

// outgoing is a message in a thread, an hour after the customer wrote.
func outgoing(thread, text string, files ...channel.OutgoingFile) channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "social", Thread: thread, RequestID: requestID, Message: &eventv1.Message{Text: text}, Attachments: files,
		LastReceived: now.Add(-time.Hour), Attempt: 1,
	}
}

func file(name, mediaType, data string) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Name: name, Blob: &eventv1.Blob{Size: int64(len(data)), MediaType: mediaType}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(data)), nil },
	}
}

// What goes out, for each kind of thread.
func TestAMessageIsSent(t *testing.T) {
	const customer = "6100000000000001"
	for name, c := range map[string]struct {
		product messenger.Product
		account func(*messenger.Account)
		out     channel.Outgoing
		want    string
	}{
		"a text": {
			messenger.Facebook, nil, outgoing(customer, " We send a new one. "),
			`POST ` + page + `/messages {"recipient":{"id":"` + customer + `"},"messaging_type":"RESPONSE","message":{"text":"We send a new one.","metadata":"skein:` + requestID + `"}}`,
		},
		"a file": {
			messenger.Facebook, nil, outgoing(customer, "", file("bill/1.pdf", "application/pdf", "%PDF")),
			`POST ` + page + `/message_attachments message={"attachment":{"type":"file","payload":{"is_reusable":true}}} filedata=1.pdf application/pdf %PDF
POST ` + page + `/messages {"recipient":{"id":"` + customer + `"},"messaging_type":"RESPONSE","message":{"attachment":{"type":"file","payload":{"attachment_id":"1857777774821032"}},"metadata":"skein:` + requestID + `"}}`,
		},
		"an answer to a chain": {
			messenger.Facebook, nil, outgoing(page+"_700/700_801", "800 lumens."), `POST 700_801/comments {"message":"800 lumens."}`,
		},
		"a comment on a post": {
			messenger.Facebook, nil, outgoing(page+"_700", "Sold out."), `POST ` + page + `_700/comments {"message":"Sold out."}`,
		},
		"a text on Instagram, by the page": {
			messenger.Instagram, nil, outgoing("6200000000000001", "We do."), `POST ` + page + `/messages {"recipient":{"id":"6200000000000001"},"message":{"text":"We do."}}`,
		},
		"a text on Instagram, by the account": {
			messenger.Instagram, func(a *messenger.Account) { a.PageID = "" }, outgoing("6200000000000001", "We do."),
			`POST ` + instagram + `/messages (no proof) {"recipient":{"id":"6200000000000001"},"message":{"text":"We do."}}`,
		},
		"a picture on Instagram": {
			messenger.Instagram, nil, outgoing("6200000000000001", "", file("", "image/jpeg; q=1", "JPEG")),
			`POST ` + page + `/message_attachments message={"attachment":{"type":"image","payload":{"is_reusable":true}}} platform=instagram filedata=file image/jpeg JPEG
POST ` + page + `/messages {"recipient":{"id":"6200000000000001"},"message":{"attachment":{"type":"image","payload":{"attachment_id":"1857777774821032"}}}}`,
		},
		"an answer to a chain on Instagram": {
			messenger.Instagram, nil, outgoing("18100000000000001/17900000000000001", "49 €"), `POST 17900000000000001/replies {"message":"49 €"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraph(t)
			_, s := sender(t, c.product, g, c.account)
			sent, err := s.Send(t.Context(), c.out)
			if err != nil {
				t.Fatal(err)
			}
			if got := g.requests(); got != c.want {
				t.Errorf("asked\n%s\nwant\n%s", got, c.want)
			}
			if sent.NativeID == "" || sent.NativeID != sent.Echo.GetNativeId() {
				t.Errorf("%+v", sent)
			}
		})
	}
}

// Whatever is sent is told by the webhook as well, and is one event with what Send gave.
func TestTheEchoIsTheEventThatTheWebhookGives(t *testing.T) {
	for name, c := range map[string]struct {
		product messenger.Product
		out     channel.Outgoing
		body    string
	}{
		"a text":                            {messenger.Facebook, outgoing("6100000000000001", "We send a new one."), `{"object":"page","entry":[{"id":"` + page + `","time":1772442000300,"messaging":[{"sender":{"id":"` + page + `"},"recipient":{"id":"6100000000000001"},"timestamp":1772442000200,"message":{"mid":"m_sent","is_echo":true,"app_id":17,"metadata":"skein:` + requestID + `","text":"We send a new one."}}]}]}`},
		"a file":                            {messenger.Facebook, outgoing("6100000000000001", "", file("1.pdf", "application/pdf", "%PDF")), `{"object":"page","entry":[{"id":"` + page + `","time":1772442000300,"messaging":[{"sender":{"id":"` + page + `"},"recipient":{"id":"6100000000000001"},"timestamp":1772442000200,"message":{"mid":"m_sent","is_echo":true,"app_id":17,"metadata":"skein:` + requestID + `","attachments":[{"type":"file","payload":{"url":"https://cdn.fbsbx.com/1.pdf?oh=x"}}]}}]}]}`},
		"an answer in a chain":              {messenger.Facebook, outgoing(page+"_700/700_801", "800 lumens."), `{"object":"page","entry":[{"id":"` + page + `","time":1772442000,"changes":[{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"700_900","post_id":"` + page + `_700","parent_id":"700_801","created_time":1772442000,"from":{"id":"` + page + `","name":"Lumen"},"message":"800 lumens."}}]}]}`},
		"a comment on a post":               {messenger.Facebook, outgoing(page+"_700", "Sold out."), `{"object":"page","entry":[{"id":"` + page + `","time":1772442000,"changes":[{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"700_900","post_id":"` + page + `_700","parent_id":"` + page + `_700","created_time":1772442000,"from":{"id":"` + page + `","name":"Lumen"},"message":"Sold out."}}]}]}`},
		"a text on Instagram":               {messenger.Instagram, outgoing("6200000000000001", "We do."), `{"object":"instagram","entry":[{"id":"` + instagram + `","time":1772442000300,"messaging":[{"sender":{"id":"` + instagram + `"},"recipient":{"id":"6200000000000001"},"timestamp":1772442000200,"message":{"mid":"m_sent","is_echo":true,"text":"We do."}}]}]}`},
		"a picture on Instagram":            {messenger.Instagram, outgoing("6200000000000001", "", file("a.jpg", "image/jpeg", "JPEG")), `{"object":"instagram","entry":[{"id":"` + instagram + `","time":1772442000300,"messaging":[{"sender":{"id":"` + instagram + `"},"recipient":{"id":"6200000000000001"},"timestamp":1772442000200,"message":{"mid":"m_sent","is_echo":true,"attachments":[{"type":"image","payload":{"url":"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1"}}]}}]}]}`},
		"an answer in a chain on Instagram": {messenger.Instagram, outgoing("18100000000000001/17900000000000001", "49 €"), `{"object":"instagram","entry":[{"id":"` + instagram + `","time":1772442000,"changes":[{"field":"comments","value":{"id":"700_900","parent_id":"17900000000000001","from":{"id":"` + instagram + `","username":"lumen"},"text":"49 €","media":{"id":"18100000000000001"}}}]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := sender(t, c.product, newGraph(t), nil)
			sent, err := s.Send(t.Context(), c.out)
			if err != nil {
				t.Fatal(err)
			}
			host := taken(t, c.product, delivery(c.product, name, c.body))
			if len(host.Events()) != 1 {
				t.Fatal(host.Rejections())
			}
			if got := host.Events()[0].Submission; !proto.Equal(got, sent.Echo) {
				t.Errorf("the webhook gives\n%v\nSend gave\n%v", got, sent.Echo)
			}
			if direct := c.product == messenger.Facebook && !strings.Contains(c.out.Thread, "_"); direct != (sent.Echo.GetCausationId() == requestID) {
				t.Error("the request is not named where it is known, or named where it is not")
			}
			if _, err := host.Submit(t.Context(), "lumen", sent.Echo); err != nil || len(host.Events()) != 1 || len(host.Conflicts()) != 0 {
				t.Error(err, host.Conflicts())
			}
		})
	}
}

// Nothing goes out that Meta would not take.
func TestWhatCannotBeSentIsRefusedBeforehand(t *testing.T) {
	const customer = "6100000000000001"
	late := outgoing(customer, "hi")
	late.LastReceived = now.Add(-25 * time.Hour)
	never := outgoing(customer, "hi")
	never.LastReceived = time.Time{}
	template := outgoing(customer, "hi")
	template.Message.Template = "hello"
	large := file("a.jpg", "image/png", "x")
	large.Blob.Size = 9 << 20
	huge := file("a.mp4", "video/mp4", "x")
	huge.Blob.Size = 26 << 20
	for name, c := range map[string]struct {
		product messenger.Product
		account func(*messenger.Account)
		out     channel.Outgoing
		code    string
	}{
		"a day later":                     {messenger.Facebook, nil, late, channel.CodeWindowClosed},
		"to somebody who never wrote":     {messenger.Instagram, nil, never, channel.CodeWindowClosed},
		"a template":                      {messenger.Facebook, nil, template, messenger.CodeNoTemplates},
		"nothing":                         {messenger.Facebook, nil, outgoing(customer, " \n"), messenger.CodeNoText},
		"a text and a file":               {messenger.Facebook, nil, outgoing(customer, "hi", file("a", "image/png", "x")), messenger.CodeOneThing},
		"two files":                       {messenger.Facebook, nil, outgoing(customer, "", file("a", "image/png", "x"), file("a", "image/png", "x")), messenger.CodeOneThing},
		"a text of 2001 characters":       {messenger.Facebook, nil, outgoing(customer, strings.Repeat("ü", 2001)), messenger.CodeTooLong},
		"a text of 1001 bytes":            {messenger.Instagram, nil, outgoing(customer, strings.Repeat("x", 1001)), messenger.CodeTooLong},
		"an image of 9 MB":                {messenger.Facebook, nil, outgoing(customer, "", large), messenger.CodeTooLarge},
		"a video of 26 MB":                {messenger.Instagram, nil, outgoing(customer, "", huge), messenger.CodeTooLarge},
		"a file that Instagram lacks":     {messenger.Instagram, nil, outgoing(customer, "", file("a.zip", "application/zip", "PK")), messenger.CodeFileType},
		"a file without a page":           {messenger.Instagram, func(a *messenger.Account) { a.PageID = "" }, outgoing(customer, "", file("a", "image/png", "x")), messenger.CodeNoFiles},
		"a file in a chain":               {messenger.Facebook, nil, outgoing("1_70/70_8", "", file("a", "image/png", "x")), messenger.CodeNoFiles},
		"to nobody":                       {messenger.Facebook, nil, outgoing("user_ref/cart-17", "hi"), messenger.CodeNoRecipient},
		"in a thread that is none":        {messenger.Facebook, nil, outgoing("visitor", "hi"), messenger.CodeNoRecipient},
		"in a chain that is none":         {messenger.Facebook, nil, outgoing("1_70/../me", "hi"), messenger.CodeNoRecipient},
		"a mention in others' post":       {messenger.Instagram, nil, outgoing("18100000000000010/18100000000000010", "hi"), messenger.CodeNoRecipient},
		"from an inbox without token":     {messenger.Facebook, func(a *messenger.Account) { a.AccessToken = "" }, outgoing(customer, "hi"), messenger.CodeNoToken},
		"from an inbox that is not there": {messenger.Facebook, func(a *messenger.Account) { a.Inbox = "other" }, outgoing(customer, "hi"), messenger.CodeNoInbox},
	} {
		g := newGraph(t)
		_, s := sender(t, c.product, g, c.account)
		_, err := s.Send(t.Context(), c.out)
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != c.code || refused.Reason == "" {
			t.Errorf("%s: %v", name, err)
		}
		if asked := g.requests(); asked != "" {
			t.Errorf("%s: asked %s", name, asked)
		}
	}
}

// A person may answer for seven days, where the app is allowed to say so; a bot never.
func TestAPersonMayAnswerLonger(t *testing.T) {
	for _, c := range []struct {
		product messenger.Product
		allowed bool
		actor   eventv1.ActorKind
		after   time.Duration
		want    string // in the request; empty where it is refused
	}{
		{messenger.Facebook, true, eventv1.ActorKind_ACTOR_KIND_AGENT, 23 * time.Hour, `"messaging_type":"RESPONSE"`},
		{messenger.Facebook, true, eventv1.ActorKind_ACTOR_KIND_AGENT, 6 * 24 * time.Hour, `"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT"`},
		{messenger.Instagram, true, eventv1.ActorKind_ACTOR_KIND_AGENT, 6 * 24 * time.Hour, `"messaging_type":"MESSAGE_TAG","tag":"HUMAN_AGENT"`},
		{messenger.Facebook, true, eventv1.ActorKind_ACTOR_KIND_AGENT, 8 * 24 * time.Hour, ""},
		{messenger.Facebook, true, eventv1.ActorKind_ACTOR_KIND_BOT, 6 * 24 * time.Hour, ""},
		{messenger.Facebook, false, eventv1.ActorKind_ACTOR_KIND_AGENT, 6 * 24 * time.Hour, ""},
	} {
		g := newGraph(t)
		_, s := sender(t, c.product, g, func(a *messenger.Account) { a.HumanAgent = c.allowed })
		out := outgoing("6100000000000001", "hi")
		out.LastReceived, out.Actor = now.Add(-c.after), &eventv1.SubmittedActor{Kind: c.actor, Id: "ada"}
		_, err := s.Send(t.Context(), out)
		refused, ok := errors.AsType[*channel.RefusedError](err)
		switch {
		case c.want == "" && (!ok || refused.Code != channel.CodeWindowClosed || g.requests() != ""):
			t.Errorf("%+v: %v, %s", c, err, g.requests())
		case c.want != "" && (err != nil || !strings.Contains(g.requests(), c.want)):
			t.Errorf("%+v: %v, %s", c, err, g.requests())
		}
	}
}

// Meta's answers (https://developers.facebook.com/docs/messenger-platform/error-codes) tell whether to try again.
func TestAnErrorTellsWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		code   string // refused for good
		retry  bool
	}{
		"outside the window":               {http.StatusBadRequest, `{"error":{"message":"(#10) This message is sent outside of allowed window.","type":"OAuthException","code":10,"error_subcode":2018278}}`, "10", false},
		"nobody there":                     {http.StatusBadRequest, `{"error":{"message":"(#100) No matching user found","type":"OAuthException","code":100,"error_subcode":2018001}}`, "100", false},
		"a token that ended":               {http.StatusUnauthorized, `{"error":{"message":"Error validating access token ` + accessToken + `","type":"OAuthException","code":190}}`, "190", false},
		"too many":                         {http.StatusBadRequest, `{"error":{"message":"(#613) Calls to this API have exceeded the rate limit","code":613}}`, "", true},
		"a temporary failure":              {http.StatusInternalServerError, `{"error":{"message":"Temporary send message failure.","code":1200}}`, "", true},
		"an API that is down":              {http.StatusServiceUnavailable, `<html>`, "", true},
		"a proxy that does not know":       {http.StatusGatewayTimeout, `<html>`, "", false},
		"an answer that cannot be read":    {http.StatusOK, `{"message_id":`, "", false},
		"an answer without an id":          {http.StatusOK, `{}`, "", false},
		"an answer that leads to somebody": {http.StatusTemporaryRedirect, ``, "", false},
	} {
		for _, thread := range []string{"6100000000000001", "1_70/70_8"} {
			t.Run(name+" "+thread, func(t *testing.T) {
				g := newGraph(t)
				g.fail = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
				}
				_, s := sender(t, messenger.Facebook, g, nil)
				_, err := s.Send(t.Context(), outgoing(thread, "hi"))
				refused, isRefused := errors.AsType[*channel.RefusedError](err)
				switch {
				case err == nil, errors.Is(err, channel.ErrRetry) != c.retry, isRefused != (c.code != ""), isRefused && refused.Code != c.code,
					errors.Is(err, channel.ErrUnknown) != (!c.retry && c.code == ""):
					t.Errorf("%v", err)
				case strings.Contains(err.Error(), accessToken), isRefused && strings.Contains(refused.Reason, accessToken):
					t.Errorf("%v tells too much", err)
				}
				if n := strings.Count(g.requests(), "\n") + 1; n != 1 {
					t.Errorf("asked %d times", n)
				}
			})
		}
	}
}

// An upload is no message yet: what is not known of it can be done again.
func TestAFailedUploadSendsNothing(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"a proxy that does not know": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) },
		"an answer without an id":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) },
	} {
		g := newGraph(t)
		g.fail = fail
		_, s := sender(t, messenger.Facebook, g, nil)
		_, err := s.Send(t.Context(), outgoing("6100000000000001", "", file("a.png", "image/png", "x")))
		if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) || strings.Contains(g.requests(), "/messages ") {
			t.Errorf("%s: %v, %s", name, err, g.requests())
		}
	}
	broken := file("a.png", "image/png", "x")
	broken.Open = func(context.Context) (io.ReadCloser, error) {
		return nil, fmt.Errorf("the blob: %w", channel.ErrRetry)
	}
	g := newGraph(t)
	_, s := sender(t, messenger.Facebook, g, nil)
	if _, err := s.Send(t.Context(), outgoing("6100000000000001", "", broken)); !errors.Is(err, channel.ErrRetry) || g.requests() != "" {
		t.Error(err, g.requests())
	}
	if s.Idempotent() {
		t.Error("Meta knows no key")
	}
}

func TestAFileIsFetched(t *testing.T) {
	g := newGraph(t)
	c, _ := sender(t, messenger.Facebook, g, nil)
	for source, want := range map[string]string{
		g.URL + "/v/lamp.jpg": "the file v/lamp.jpg", "m_sent/0": "the file a.jpg", "m_sent/1": "the file b.mp4", "m_sent/2": "the file c.pdf",
	} {
		f, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "social", Source: source})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		data, err := io.ReadAll(f.Body)
		_ = f.Body.Close()
		if string(data) != want || err != nil || f.MediaType != "image/jpeg" {
			t.Errorf("%s: %s %s %v", source, data, f.MediaType, err)
		}
	}
	if got := g.requests(); !strings.Contains(got, "GET m_sent?fields=attachments") {
		t.Error(got)
	}
}

func TestAFileThatCannotBeHad(t *testing.T) {
	g := newGraph(t)
	c, _ := sender(t, messenger.Facebook, g, nil)
	for source, code := range map[string]string{
		"m_sent/3": "no_file", "m_sent/4": "no_file", "m_gone/0": "100", "../me/0": "invalid", "./0": "invalid", "ftp://x/0": "invalid", "": "invalid", "m_sent": "invalid",
	} {
		_, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "social", Source: source})
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != code {
			t.Errorf("%s: %v", source, err)
		}
	}
	g.fail = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":190,"message":"ended"}}`)
	}
	_, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "social", Source: "m_sent/0"})
	if _, refused := errors.AsType[*channel.RefusedError](err); refused || !errors.Is(err, channel.ErrRetry) {
		t.Errorf("a token that somebody will renew: %v", err)
	}
	if _, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "gone", Inbox: "social", Source: "m_sent/0"}); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

// The addresses of files are in what others send, so those of the company's own network are never asked.
func TestAFileIsFetchedFromThePublicInternetOnly(t *testing.T) {
	g := newGraph(t)
	cfg := config(messenger.Instagram)
	c, err := messenger.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "social", Source: g.URL + "/secret"})
	if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != httpfetch.CodeNotPublic {
		t.Error(err)
	}
}
