package whatsapp_test

import (
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
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
	"github.com/skein-cx/skein/services/channels/social/meta/whatsapp"
)

const requestID = "0192f0c1-2b3c-8d4e-9f50-617283940a1b"

var desk = whatsapp.Key{Tenant: "lumen", Inbox: "desk"}

// graph is the Graph API: it takes messages and files as its documents say, and keeps what it was asked.
type graph struct {
	*httptest.Server
	mu       sync.Mutex
	messages []string
	uploads  []string
	status   int // of the answer to a message, 200 unless set
	answer   string
}

func newGraph(t *testing.T) *graph {
	t.Helper()
	g := &graph{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+accessToken {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"message":"Invalid OAuth access token.","type":"OAuthException","code":190,"fbtrace_id":"T"}}`)
			return
		}
		switch r.Method + " " + r.URL.Path {
		case "POST /" + meta.DefaultVersion + "/111222333/messages":
			body, _ := io.ReadAll(r.Body)
			g.messages = append(g.messages, string(body))
			if g.status != 0 {
				w.WriteHeader(g.status)
				_, _ = io.WriteString(w, g.answer)
				return
			}
			_, _ = io.WriteString(w, `{"messaging_product":"whatsapp","contacts":[{"input":"4930901820","wa_id":"4930901820"}],"messages":[{"id":"wamid.sent","message_status":"accepted"}]}`)
		case "POST /" + meta.DefaultVersion + "/111222333/media":
			file, header, err := r.FormFile("file")
			if err != nil || r.FormValue("messaging_product") != "whatsapp" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			body, _ := io.ReadAll(file)
			g.uploads = append(g.uploads, fmt.Sprintf("%s: type %s, part %s: %s", header.Filename, r.FormValue("type"), header.Header.Get("Content-Type"), body))
			_, _ = io.WriteString(w, `{"id":"8001"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *graph) sender(t *testing.T) *whatsapp.Sender {
	t.Helper()
	cfg := config(http.NewServeMux())
	cfg.APIURL = g.URL
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c.NewSender(desk)
}

// answer is what an agent writes to somebody who has just written.
func answer(m *eventv1.Message, files ...channel.OutgoingFile) channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "desk", Thread: "4930901820", RequestID: requestID, Message: m, Attachments: files,
		LastReceived: time.Now().Add(-time.Hour), Attempt: 1,
	}
}

// file is one of so many bytes, as the request has it.
func file(name, mediaType, body string) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Name: name, Blob: &eventv1.Blob{MediaType: mediaType, Size: int64(len(body))}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil },
	}
}

func TestWhatIsSent(t *testing.T) {
	const head = `"messaging_product":"whatsapp","recipient_type":"individual","to":"4930901820",`
	const tracker = `"biz_opaque_callback_data":"skein:` + requestID + `",`
	hidden := answer(&eventv1.Message{Text: "Hi"})
	hidden.Thread, hidden.RequestID = "DE.1001", ""
	late := answer(&eventv1.Message{
		Text: "Your appointment", Template: "appointment", TemplateLanguage: "de", TemplateParameters: map[string]string{"1": "Anna", "2": "Monday"},
	})
	late.LastReceived = time.Time{}
	for name, c := range map[string]struct {
		out    channel.Outgoing
		want   string
		upload string
	}{
		"a text": {
			answer(&eventv1.Message{Text: "See https://lumen.example", Html: "<b>no</b>"}),
			`{` + head + `"type":"text",` + tracker + `"text":{"preview_url":false,"body":"See https://lumen.example"}}`, "",
		},
		"an answer": {
			answer(&eventv1.Message{Text: "Yes", InReplyTo: "wamid.1"}),
			`{` + head + `"type":"text","context":{"message_id":"wamid.1"},` + tracker + `"text":{"preview_url":false,"body":"Yes"}}`, "",
		},
		"to somebody whose number is hidden": {
			hidden,
			`{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"DE.1001","type":"text","text":{"preview_url":false,"body":"Hi"}}`, "",
		},
		"a template, to whom nobody ever wrote": {
			late,
			`{` + head + `"type":"template",` + tracker + `"template":{"name":"appointment","language":{"code":"de"},"components":[{"type":"body","parameters":[{"type":"text","text":"Anna"},{"type":"text","text":"Monday"}]}]}}`, "",
		},
		"a template without parameters": {
			answer(&eventv1.Message{Template: "hello", TemplateLanguage: "en_US"}),
			`{` + head + `"type":"template",` + tracker + `"template":{"name":"hello","language":{"code":"en_US"}}}`, "",
		},
		"a template with names, and a picture above": {
			answer(&eventv1.Message{Template: "hello", TemplateLanguage: "en_US", TemplateParameters: map[string]string{"who": "Ben", "day": "Monday"}}, file("a.png", "image/png", "P")),
			`{` + head + `"type":"template",` + tracker + `"template":{"name":"hello","language":{"code":"en_US"},"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"8001"}}]},` +
				`{"type":"body","parameters":[{"type":"text","parameter_name":"day","text":"Monday"},{"type":"text","parameter_name":"who","text":"Ben"}]}]}}`,
			"a.png: type image/png, part image/png: P",
		},
		"a picture with a text below": {
			answer(&eventv1.Message{Text: "Look"}, file("kettle.jpg", "image/jpeg", "JPEG")),
			`{` + head + `"type":"image",` + tracker + `"image":{"id":"8001","caption":"Look"}}`, "kettle.jpg: type image/jpeg, part image/jpeg: JPEG",
		},
		"a document with its name": {
			answer(&eventv1.Message{}, file("bill.pdf", "application/pdf", "PDF")),
			`{` + head + `"type":"document",` + tracker + `"document":{"id":"8001","filename":"bill.pdf"}}`, "bill.pdf: type application/pdf, part application/pdf: PDF",
		},
		"a voice message": {
			answer(&eventv1.Message{}, file("", "audio/ogg; codecs=opus", "OGG")),
			`{` + head + `"type":"audio",` + tracker + `"audio":{"id":"8001"}}`, "audio: type audio/ogg, part audio/ogg: OGG",
		},
		"a film": {
			answer(&eventv1.Message{}, file("a.mp4", "video/mp4", "MP4")),
			`{` + head + `"type":"video",` + tracker + `"video":{"id":"8001"}}`, "a.mp4: type video/mp4, part video/mp4: MP4",
		},
		"a sticker": {
			answer(&eventv1.Message{}, file("a.webp", "image/webp", "WEBP")),
			`{` + head + `"type":"sticker",` + tracker + `"sticker":{"id":"8001"}}`, "a.webp: type image/webp, part image/webp: WEBP",
		},
	} {
		g := newGraph(t)
		sent, err := g.sender(t).Send(t.Context(), c.out)
		if err != nil || sent.NativeID != "wamid.sent" || sent.Echo != nil {
			t.Errorf("%s: %+v, %v", name, sent, err)
			continue
		}
		if len(g.messages) != 1 || g.messages[0] != c.want || !json.Valid([]byte(g.messages[0])) {
			t.Errorf("%s: sent\n%s\nwant\n%s", name, strings.Join(g.messages, "\n"), c.want)
		}
		if got := strings.Join(g.uploads, "\n"); got != c.upload {
			t.Errorf("%s: uploaded %q", name, got)
		}
	}
	if newGraph(t).sender(t).Idempotent() {
		t.Error("the API takes a key of ours")
	}
}

func TestWhatWhatsAppWouldNotTakeIsRefusedBeforeAnythingGoesOut(t *testing.T) {
	g := newGraph(t)
	s := g.sender(t)
	large := file("a.jpg", "image/jpeg", "x")
	large.Blob.Size = 5<<20 + 1
	late, never, call, group, plus := answer(&eventv1.Message{Text: "x"}), answer(&eventv1.Message{Text: "x"}), answer(&eventv1.Message{Text: "x"}), answer(&eventv1.Message{Text: "x"}), answer(&eventv1.Message{Text: "x"})
	late.LastReceived, never.LastReceived, call.Thread, group.Thread, plus.Thread = time.Now().Add(-25*time.Hour), time.Time{}, "wacid.1", "account/1", "+4930901820"
	for name, c := range map[string]struct {
		code string
		out  channel.Outgoing
	}{
		"too late":                         {channel.CodeWindowClosed, late},
		"who never wrote":                  {channel.CodeWindowClosed, never},
		"a call":                           {"no_message_thread", call},
		"the account":                      {"no_message_thread", group},
		"a number that is no thread":       {"no_message_thread", plus},
		"nothing":                          {"no_text", answer(&eventv1.Message{})},
		"a long text":                      {"too_long", answer(&eventv1.Message{Text: strings.Repeat("茶", 4097)})},
		"a long text below a picture":      {"too_long", answer(&eventv1.Message{Text: strings.Repeat("茶", 1025)}, file("a.png", "image/png", "x"))},
		"a text below a sound":             {"no_caption", answer(&eventv1.Message{Text: "x"}, file("a.mp3", "audio/mpeg", "x"))},
		"a program":                        {"file_type", answer(&eventv1.Message{}, file("a.exe", "application/x-msdownload", "x"))},
		"a large picture":                  {"file_too_large", answer(&eventv1.Message{}, large)},
		"two files":                        {"too_many_files", answer(&eventv1.Message{}, large, large)},
		"a place":                          {"no_location", answer(&eventv1.Message{Text: "x", Location: &eventv1.Location{}})},
		"a template in no language":        {"no_template_language", answer(&eventv1.Message{Template: "x"})},
		"a sound above a template":         {"file_type", answer(&eventv1.Message{Template: "x", TemplateLanguage: "de"}, file("a.mp3", "audio/mpeg", "x"))},
		"parameters with a gap":            {"template_parameters", answer(&eventv1.Message{Template: "x", TemplateLanguage: "de", TemplateParameters: map[string]string{"1": "a", "3": "b"}})},
		"parameters from 0":                {"template_parameters", answer(&eventv1.Message{Template: "x", TemplateLanguage: "de", TemplateParameters: map[string]string{"0": "a"}})},
		"parameters of both kinds":         {"template_parameters", answer(&eventv1.Message{Template: "x", TemplateLanguage: "de", TemplateParameters: map[string]string{"1": "a", "who": "b"}})},
		"parameters that have no name":     {"template_parameters", answer(&eventv1.Message{Template: "x", TemplateLanguage: "de", TemplateParameters: map[string]string{"": "b"}})},
		"a file of which nothing is known": {"file_type", answer(&eventv1.Message{}, channel.OutgoingFile{Attachment: &eventv1.Attachment{}})},
	} {
		_, err := s.Send(t.Context(), c.out)
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != c.code || refused.Reason == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(g.messages)+len(g.uploads) > 0 {
		t.Errorf("something went out: %v %v", g.messages, g.uploads)
	}
	cfg := config(http.NewServeMux())
	cfg.Accounts[0].AccessToken = ""
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for key, code := range map[whatsapp.Key]string{desk: "no_access_token", {Tenant: "lumen", Inbox: "gone"}: "no_account"} {
		_, err := c.NewSender(key).Send(t.Context(), answer(&eventv1.Message{Text: "x"}))
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != code {
			t.Errorf("%v: %v", key, err)
		}
	}
}

// The answers are those of https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes.
func TestWhatTheAPIAnswersTellsWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		body    string
		refused string
		kind    error
	}{
		"outside of the window":  {400, `{"error":{"message":"(#131047) Re-engagement message","code":131047}}`, "131047", nil},
		"the same, of old":       {400, `{"error":{"message":"(#470) Message failed to send because more than 24 hours have passed","code":470}}`, "470", nil},
		"undeliverable":          {400, `{"error":{"message":"(#131026) Message undeliverable","code":131026}}`, "131026", nil},
		"no such template":       {404, `{"error":{"message":"(#132001) Template name does not exist","code":132001}}`, "132001", nil},
		"healthy engagement":     {400, `{"error":{"message":"(#131049)","code":131049}}`, "131049", nil},
		"too many, to one":       {400, `{"error":{"message":"(#131056) pair rate limit","code":131056}}`, "", channel.ErrRetry},
		"something went wrong":   {500, `{"error":{"message":"(#131000) Something went wrong","code":131000}}`, "", channel.ErrRetry},
		"in maintenance":         {500, `{"error":{"message":"(#131057)","code":131057}}`, "", channel.ErrRetry},
		"a gateway's":            {504, ``, "", channel.ErrUnknown},
		"taken without an id":    {200, `{"messages":[]}`, "", channel.ErrUnknown},
		"taken, in no known way": {200, `ok`, "", channel.ErrUnknown},
	} {
		g := newGraph(t)
		g.status, g.answer = c.status, c.body
		_, err := g.sender(t).Send(t.Context(), answer(&eventv1.Message{Text: "x"}))
		refused, ok := errors.AsType[*channel.RefusedError](err)
		if err == nil || ok != (c.refused != "") || ok && refused.Code != c.refused || c.kind != nil && !errors.Is(err, c.kind) || strings.Contains(err.Error(), accessToken) {
			t.Errorf("%s: %v", name, err)
		}
		if len(g.messages) != 1 {
			t.Errorf("%s: sent %d times", name, len(g.messages))
		}
	}
}

func TestAFileThatCannotBeReadIsNotSent(t *testing.T) {
	g, gone := newGraph(t), errors.New("the blob is gone")
	f := file("a.png", "image/png", "x")
	f.Open = func(context.Context) (io.ReadCloser, error) { return nil, gone }
	if _, err := g.sender(t).Send(t.Context(), answer(&eventv1.Message{}, f)); !errors.Is(err, gone) || len(g.messages)+len(g.uploads) > 0 {
		t.Errorf("%v", err)
	}
}

func TestAFileIsFetchedByItsID(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+accessToken:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/"+meta.DefaultVersion+"/5001":
			_, _ = fmt.Fprintf(w, `{"messaging_product":"whatsapp","url":"%s/whatsapp_business/attachments/?mid=5001","mime_type":"image/jpeg","sha256":"x","file_size":4,"id":"5001"}`, server.URL)
		case r.URL.Path == "/whatsapp_business/attachments/":
			w.Header().Set("Content-Type", "image/jpeg")
			_, _ = io.WriteString(w, "JPEG")
		default:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"Unsupported get request.","type":"GraphMethodException","code":100,"error_subcode":33}}`)
		}
	}))
	defer server.Close()
	cfg := config(http.NewServeMux())
	cfg.APIURL, cfg.Accounts[1].AccessToken = server.URL, ""
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ask := channel.RemoteFile{Tenant: "lumen", Inbox: "desk", Thread: "4930901820", Source: "5001"}
	f, err := c.Fetch(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Body.Close()
	if body, err := io.ReadAll(f.Body); err != nil || string(body) != "JPEG" || f.MediaType != "image/jpeg" {
		t.Errorf("%q, %v, %+v", body, err, f)
	}
	for name, bad := range map[string]struct {
		f     channel.RemoteFile
		retry bool
	}{
		"gone":                    {channel.RemoteFile{Tenant: "lumen", Inbox: "desk", Source: "5002"}, false},
		"no id":                   {channel.RemoteFile{Tenant: "lumen", Inbox: "desk", Source: "https://example.com/x"}, false},
		"an inbox that is gone":   {channel.RemoteFile{Tenant: "lumen", Inbox: "gone", Source: "5001"}, false},
		"an inbox without token":  {channel.RemoteFile{Tenant: "lumen", Inbox: "shop", Source: "5001"}, true},
		"a token that has no use": {channel.RemoteFile{Tenant: "lumen", Inbox: "elsewhere", Source: "5001"}, true},
	} {
		if name == "a token that has no use" {
			cfg.Accounts[2].AccessToken = "other"
			if c, err = whatsapp.New(cfg); err != nil {
				t.Fatal(err)
			}
		}
		_, err := c.Fetch(t.Context(), bad.f)
		if _, refused := errors.AsType[*channel.RefusedError](err); refused == bad.retry || bad.retry && !errors.Is(err, channel.ErrRetry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
