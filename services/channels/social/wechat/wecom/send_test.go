package wecom_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat/wecom"
)

func file(name, mediaType string, data []byte) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Name: name, Blob: &eventv1.Blob{MediaType: mediaType, Size: int64(len(data))}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

func text(text string) channel.Outgoing {
	return channel.Outgoing{Tenant: "lumen", Inbox: "desk", Thread: "lisi", Message: &eventv1.Message{Text: text}}
}

func TestATextGoesToTheMember(t *testing.T) {
	a := newAPI(t, map[string]string{"/cgi-bin/message/send": `{"errcode":0,"errmsg":"ok","invaliduser":"","msgid":"x17","response_code":""}`})
	sent, err := a.channel(t).NewSender(wecom.Key{Tenant: "lumen", Inbox: "desk"}).Send(t.Context(), text("马上来 <b>"))
	if err != nil || sent.NativeID != "x17" || sent.Echo != nil {
		t.Fatal(sent, err)
	}
	if want := `POST /cgi-bin/message/send? {"agentid":1,"msgtype":"text","text":{"content":"马上来 <b>"},"touser":"lisi"}`; strings.TrimSpace(a.asked[0]) != want {
		t.Errorf("asked %s", a.asked[0])
	}
}

func TestAFileIsUploadedFirst(t *testing.T) {
	for name, want := range map[string]struct {
		file channel.OutgoingFile
		kind string
	}{
		"a picture":            {file("a.png", "image/png", []byte("picture")), "image"},
		"a voice":              {file("a.amr", "audio/amr", []byte("#!AMR...")), "voice"},
		"a video":              {file("a.mp4", "video/mp4", []byte("frames")), "video"},
		"a document":           {file("../a\".pdf", "application/pdf", []byte("%PDF-1.7")), "file"},
		"a picture of 11 MiB":  {file("a.png", "image/png", make([]byte, 11<<20)), "file"},
		"one without any name": {file("", "image/jpeg", []byte("picture")), "image"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, map[string]string{
				"/cgi-bin/media/upload": `{"errcode":0,"errmsg":"","type":"image","media_id":"1G6nrLmr5EC3MMb","created_at":"1380000000"}`,
				"/cgi-bin/message/send": `{"errcode":0,"errmsg":"ok","msgid":"x17"}`,
			})
			out := text("")
			out.Attachments = []channel.OutgoingFile{want.file}
			if _, err := a.channel(t).NewSender(wecom.Key{Tenant: "lumen", Inbox: "desk"}).Send(t.Context(), out); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(a.asked[0], "POST /cgi-bin/media/upload?type="+want.kind+" ") || !strings.Contains(a.asked[0], `name="media"`) || strings.Contains(a.asked[0], "../") {
				t.Errorf("asked %.300s", a.asked[0])
			}
			if !strings.Contains(a.asked[1], `"msgtype":"`+want.kind+`"`) || !strings.Contains(a.asked[1], `"`+want.kind+`":{"media_id":"1G6nrLmr5EC3MMb"}`) || strings.Contains(a.asked[1], `"text"`) {
				t.Errorf("asked %s", a.asked[1])
			}
		})
	}
}

// What cannot be sent is refused before anything goes out.
func TestWhatCannotBeSentIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(out *channel.Outgoing)
		code   string
	}{
		"nothing":     {func(out *channel.Outgoing) { out.Message.Text = "" }, "no_content"},
		"a long text": {func(out *channel.Outgoing) { out.Message.Text = strings.Repeat("很", 683) }, "too_long"},
		"a place":     {func(out *channel.Outgoing) { out.Message.Location = &eventv1.Location{} }, "no_places"},
		"a template":  {func(out *channel.Outgoing) { out.Message.Template = "x" }, "no_templates"},
		"a text with a file": {func(out *channel.Outgoing) {
			out.Attachments = []channel.OutgoingFile{file("a", "", []byte("1234567"))}
		}, "one_at_a_time"},
		"a huge file": {func(out *channel.Outgoing) {
			out.Message.Text, out.Attachments = "", []channel.OutgoingFile{file("a", "", make([]byte, 21<<20))}
		}, "too_large"},
		"a tiny file": {func(out *channel.Outgoing) {
			out.Message.Text, out.Attachments = "", []channel.OutgoingFile{file("a", "", []byte("12345"))}
		}, "too_small"},
		"to everybody": {func(out *channel.Outgoing) { out.Thread = "@all" }, "no_member"},
		"to several":   {func(out *channel.Outgoing) { out.Thread = "lisi|zhangsan" }, "no_member"},
		"to a meeting": {func(out *channel.Outgoing) { out.Thread = "MeetingId/17" }, "no_member"},
		"to an external one": {func(out *channel.Outgoing) {
			out.Parties = []*eventv1.SubmittedParty{{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Value: "lisi"}}}
		}, "no_member"},
		"to a thread of none": {func(out *channel.Outgoing) { out.Thread = "" }, "no_member"},
	} {
		t.Run(name, func(t *testing.T) {
			a, out := newAPI(t, nil), text("hi")
			c.change(&out)
			_, err := a.channel(t).NewSender(wecom.Key{Tenant: "lumen", Inbox: "desk"}).Send(t.Context(), out)
			if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != c.code || len(a.asked) > 0 {
				t.Error(err, len(a.asked))
			}
		})
	}
}

func TestWhatTheAPISaysIsTold(t *testing.T) {
	for answer, want := range map[string]string{
		`{"errcode":81013,"errmsg":"user & party & tag all invalid"}`:                                  "81013: there is no such member",
		`{"errcode":60020,"errmsg":"not allow to access from your ip, hint: [1], from ip: 192.0.2.7"}`: "60020: calls from this address are not allowed",
		`{"errcode":301002,"errmsg":"not allow operate another agent with this accesstoken"}`:          "301002: the secret belongs to another application",
		`{"errcode":40008,"errmsg":"invalid message type"}`:                                            "40008: invalid message type",
		`{"errcode":0,"errmsg":"ok","invaliduser":"zhangsan|LISI","msgid":"x17"}`:                      "invaliduser: there is no such member",
		`{"errcode":0,"errmsg":"ok","unlicenseduser":"lisi","msgid":"x17"}`:                            "unlicenseduser: the member has no licence",
		`{"errcode":-1,"errmsg":"system error"}`:                                                       "later",
		`{"errcode":6000,"errmsg":"data version conflict"}`:                                            "later",
		`{"errcode":45009,"errmsg":"reach max api daily quota limit"}`:                                 "later",
		`{"errcode":42001,"errmsg":"access_token expired"}`:                                            "later",
		`<html>`: "unknown",
		``:       "unknown",
	} {
		a := newAPI(t, map[string]string{"/cgi-bin/message/send": answer})
		_, err := a.channel(t).NewSender(wecom.Key{Tenant: "lumen", Inbox: "desk"}).Send(t.Context(), text("hi"))
		refused, isRefused := errors.AsType[*channel.RefusedError](err)
		switch {
		case want == "later" && errors.Is(err, channel.ErrRetry) && !errors.Is(err, channel.ErrUnknown):
		case want == "unknown" && errors.Is(err, channel.ErrUnknown):
		case isRefused && strings.HasPrefix(refused.Code+": "+refused.Reason, want):
		default:
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
		if strings.Contains(err.Error(), "accesstoken000001") || strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

func TestAnAPIThatIsAwayWasNotReached(t *testing.T) {
	a := newAPI(t, nil)
	c := a.channel(t)
	a.Close()
	sender := c.NewSender(wecom.Key{Tenant: "lumen", Inbox: "desk"})
	if _, err := sender.Send(t.Context(), text("hi")); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	if _, err := c.NewSender(wecom.Key{Tenant: "lumen", Inbox: "gone"}).Send(t.Context(), text("hi")); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	if sender.Idempotent() {
		t.Error("WeCom documents no key")
	}
}

func TestAFileIsFetched(t *testing.T) {
	a := newAPI(t, map[string]string{"/cgi-bin/media/get": "\xff\xd8\xff picture"})
	c := a.channel(t)
	remote := channel.RemoteFile{Tenant: "lumen", Inbox: "desk", Thread: "lisi", Source: "1G6nrLmr5EC3MMb"}
	f, err := c.Fetch(t.Context(), remote)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f.Body)
	_ = f.Body.Close()
	if err != nil || string(data) != "\xff\xd8\xff picture" || a.asked[0] != "GET /cgi-bin/media/get?media_id=1G6nrLmr5EC3MMb " {
		t.Error(string(data), err, a.asked)
	}
	a.answers["/cgi-bin/media/get"] = `{"errcode":40007,"errmsg":"invalid media_id"}`
	if _, err := c.Fetch(t.Context(), remote); !isRefused(err, "40007") {
		t.Error(err)
	}
	a.answers["/cgi-bin/media/get"] = `{"errcode":60020,"errmsg":"not allow to access from your ip"}`
	if _, err := c.Fetch(t.Context(), remote); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	remote.Inbox = "gone"
	if _, err := c.Fetch(t.Context(), remote); err == nil {
		t.Error("fetched for an inbox that is not there")
	}
}

func isRefused(err error, code string) bool {
	refused, ok := errors.AsType[*channel.RefusedError](err)
	return ok && refused.Code == code
}
