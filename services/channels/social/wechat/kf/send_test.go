package kf_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat/kf"
)

const (
	request = "0190b6f1-a1b2-c3d4-e5f6-0718293a4b5c"
	msgID   = "0190b6f1a1b2c3d4e5f60718293a4b5c"
)

func (a *api) channel(tb testing.TB) *kf.Channel {
	tb.Helper()
	c, err := kf.New(a.patient(http.NewServeMux(), &channeltest.Cursors{}))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (a *api) sender(tb testing.TB) *kf.Sender {
	tb.Helper()
	return a.channel(tb).NewSender(kf.Key{Tenant: "lumen", Inbox: "shop"})
}

func file(name, mediaType string, data []byte) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Name: name, Blob: &eventv1.Blob{MediaType: mediaType, Size: int64(len(data))}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

func message(m *eventv1.Message, files ...channel.OutgoingFile) channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "shop", Thread: customer, RequestID: request, Message: m, Attachments: files,
		LastReceived: time.Now().Add(-time.Hour),
	}
}

func TestAMessageIsSentUnderAnIDOfOurs(t *testing.T) {
	picture := file("kettle.png", "image/png", []byte("picture"))
	for name, c := range map[string]struct {
		out  channel.Outgoing
		want string
	}{
		"a text":    {message(&eventv1.Message{Text: "您好 <b>"}), `"msgtype":"text","open_kfid":"` + openKfID + `","text":{"content":"您好 <b>"},"touser":"` + customer + `"`},
		"a place":   {message(&eventv1.Message{Location: &eventv1.Location{Latitude: 23.1, Longitude: 113.3, Label: "门店"}}), `"location":{"address":"","latitude":23.1,"longitude":113.3,"name":"门店"}`},
		"a picture": {message(&eventv1.Message{}, picture), `"image":{"media_id":"1G6nrLmr5EC3MMb"}`},
		"a voice":   {message(&eventv1.Message{}, file("a.amr", "", []byte("#!AMR..."))), `"voice":{"media_id":"1G6nrLmr5EC3MMb"}`},
		"a file":    {message(&eventv1.Message{}, file("a.pdf", "application/pdf", []byte("%PDF-1.7"))), `"file":{"media_id":"1G6nrLmr5EC3MMb"}`},
		"a link": {
			message(&eventv1.Message{Template: "link", TemplateParameters: map[string]string{"title": "说明书", "url": "https://lumen.example", "other": "x"}}, picture),
			`"link":{"thumb_media_id":"1G6nrLmr5EC3MMb","title":"说明书","url":"https://lumen.example"}`,
		},
		"a menu": {
			message(&eventv1.Message{Template: "msgmenu", TemplateParameters: map[string]string{"head_content": "满意吗?", "click.102": "不满意", "click.101": "满意"}}),
			`"msgmenu":{"head_content":"满意吗?","list":[{"click":{"content":"满意","id":"101"},"type":"click"},{"click":{"content":"不满意","id":"102"},"type":"click"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.set("/cgi-bin/media/upload", `{"errcode":0,"errmsg":"","type":"image","media_id":"1G6nrLmr5EC3MMb","created_at":"1380000000"}`)
			a.set("/cgi-bin/kf/send_msg", `{"errcode":0,"errmsg":"ok","msgid":"`+msgID+`"}`)
			sent, err := a.sender(t).Send(t.Context(), c.out)
			if err != nil || sent.NativeID != msgID || sent.Echo != nil {
				t.Fatal(sent, err)
			}
			calls := a.calls()
			if last := calls[len(calls)-1]; !strings.HasPrefix(last, "/cgi-bin/kf/send_msg ") || !strings.Contains(last, c.want) || !strings.Contains(last, `"msgid":"`+msgID+`"`) {
				t.Errorf("asked %s", last)
			}
		})
	}
}

// What cannot be sent is refused before anything goes out.
func TestWhatCannotBeSentIsRefused(t *testing.T) {
	hi := func() channel.Outgoing { return message(&eventv1.Message{Text: "hi"}) }
	for name, c := range map[string]struct {
		change func(out *channel.Outgoing)
		code   string
	}{
		"nothing":     {func(out *channel.Outgoing) { out.Message = &eventv1.Message{} }, "no_content"},
		"a long text": {func(out *channel.Outgoing) { out.Message.Text = strings.Repeat("很", 683) }, "too_long"},
		"a text with a file": {func(out *channel.Outgoing) {
			out.Attachments = []channel.OutgoingFile{file("a", "", []byte("1234567"))}
		}, "one_at_a_time"},
		"a text with a place":    {func(out *channel.Outgoing) { out.Message.Location = &eventv1.Location{} }, "one_at_a_time"},
		"a template of none":     {func(out *channel.Outgoing) { out.Message.Template = "welcome" }, "no_template"},
		"a link without":         {func(out *channel.Outgoing) { out.Message.Template = "link" }, "no_card"},
		"a menu without":         {func(out *channel.Outgoing) { out.Message.Template = "msgmenu" }, "no_menu"},
		"to an agent":            {func(out *channel.Outgoing) { out.Thread = "agent/zhangsan" }, "no_message_thread"},
		"after two days":         {func(out *channel.Outgoing) { out.LastReceived = time.Now().Add(-49 * time.Hour) }, channel.CodeWindowClosed},
		"before they ever wrote": {func(out *channel.Outgoing) { out.LastReceived = time.Time{} }, channel.CodeWindowClosed},
	} {
		t.Run(name, func(t *testing.T) {
			a, out := newAPI(t), hi()
			c.change(&out)
			_, err := a.sender(t).Send(t.Context(), out)
			if !isRefused(err, c.code) || len(a.calls()) > 0 {
				t.Error(err, a.calls())
			}
		})
	}
}

func TestWhatTheAPISaysIsTold(t *testing.T) {
	for answer, want := range map[string]string{
		`{"errcode":95001,"errmsg":"send msg count limit"}`:             "95001: more than 5 messages",
		`{"errcode":95002,"errmsg":"send msg time limit"}`:              "95002: more than 48 hours",
		`{"errcode":95018,"errmsg":"send msg session status invalid"}`:  "95018: the state of the session",
		`{"errcode":95016,"errmsg":"not allow"}`:                        "95016: the session cannot go",
		`{"errcode":60020,"errmsg":"not allow to access from your ip"}`: "60020: calls from this address",
		`{"errcode":40058,"errmsg":"msgid exceed max length"}`:          "40058: msgid exceed max length",
		`{"errcode":-1,"errmsg":"system error"}`:                        "later",
		`{"errcode":45009,"errmsg":"api freq out of limit"}`:            "later",
		`<html>`: "unknown",
	} {
		a := newAPI(t)
		a.set("/cgi-bin/kf/send_msg", answer)
		_, err := a.sender(t).Send(t.Context(), message(&eventv1.Message{Text: "hi"}))
		refused, isRefusal := errors.AsType[*channel.RefusedError](err)
		switch {
		case want == "later" && errors.Is(err, channel.ErrRetry) && !errors.Is(err, channel.ErrUnknown):
		case want == "unknown" && errors.Is(err, channel.ErrUnknown):
		case isRefusal && strings.HasPrefix(refused.Code+": "+refused.Reason, want):
		default:
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
	}
	a := newAPI(t)
	a.set("/cgi-bin/media/upload", `{"errcode":40006,"errmsg":"invalid media size"}`)
	if _, err := a.sender(t).Send(t.Context(), message(&eventv1.Message{}, file("a.png", "image/png", []byte("picture")))); !isRefused(err, "40006") {
		t.Error(err)
	}
	if a.sender(t).Idempotent() {
		t.Error("WeChat does not document that an id is sent once only")
	}
	if _, err := a.channel(t).NewSender(kf.Key{Tenant: "lumen", Inbox: "gone"}).Send(t.Context(), message(&eventv1.Message{Text: "hi"})); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

func isRefused(err error, code string) bool {
	refused, ok := errors.AsType[*channel.RefusedError](err)
	return ok && refused.Code == code
}

func TestAFileIsFetched(t *testing.T) {
	a := newAPI(t)
	c := a.channel(t)
	remote := channel.RemoteFile{Tenant: "lumen", Inbox: "shop", Thread: customer, Source: "2iSLeVyqzk4eX0IB5kTi9L"}
	a.set("/cgi-bin/media/get", "#!AMR sound")
	f, err := c.Fetch(t.Context(), remote)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f.Body)
	_ = f.Body.Close()
	if err != nil || string(data) != "#!AMR sound" {
		t.Errorf("%q, %v", data, err)
	}
	a.set("/cgi-bin/media/get", `{"errcode":40007,"errmsg":"invalid media_id"}`)
	if _, err := c.Fetch(t.Context(), remote); !isRefused(err, "40007") {
		t.Error(err)
	}
	a.set("/cgi-bin/media/get", `{"errcode":-1,"errmsg":"system error"}`)
	if _, err := c.Fetch(t.Context(), remote); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	remote.Inbox = "gone"
	if _, err := c.Fetch(t.Context(), remote); err == nil {
		t.Error("fetched for an inbox that is not there")
	}
}
