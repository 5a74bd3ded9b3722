package official

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// The calls by which messages go out
// (https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage,
// https://developers.weixin.qq.com/doc/service/api/notify/template/api_sendtemplatemessage,
// https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-message-management/subscribe-message/api_sendmessage,
// https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia).
const (
	customerPath     = "/cgi-bin/message/custom/send"
	templatePath     = "/cgi-bin/message/template/send"
	subscriptionPath = "/cgi-bin/message/subscribe/send"
	uploadPath       = "/cgi-bin/media/upload"
)

// window is how long after the customer's last message one may be answered, with five messages at most.
const window = 48 * time.Hour

// insteadOfAnswer is what can be done when the window is closed.
const insteadOfAnswer = "send a template message, or wait until the customer writes again"

const codeNoSecret = "no_secret"

// upload says what may be uploaded of one media type.
type upload struct {
	kind, suffix string
	most         int64
}

// uploadOf says how a file is sent. WeChat takes voice of up to 60 seconds.
func uploadOf(mediaType string) (upload, bool) {
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	switch strings.TrimSpace(mediaType) {
	case "image/jpeg", "image/jpg":
		return upload{"image", ".jpg", 10 << 20}, true
	case "image/png":
		return upload{"image", ".png", 10 << 20}, true
	case "image/gif":
		return upload{"image", ".gif", 10 << 20}, true
	case "audio/amr":
		return upload{"voice", ".amr", 2 << 20}, true
	case "audio/mpeg", "audio/mp3":
		return upload{"voice", ".mp3", 2 << 20}, true
	case "video/mp4":
		return upload{"video", ".mp4", 10 << 20}, true
	}
	return upload{}, false
}

// Sender is the channel.Sender of an inbox. It needs no open Channel.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// Idempotent implements channel.Sender: only templates are taken once for each request, and only for ten minutes.
func (s *Sender) Idempotent() bool { return false }

// Send implements channel.Sender: a text, or one file (a picture, voice or a video), as a customer service message within 48 hours after
// the customer last wrote; or a template, at any time. WeChat gives an id to templates only. It tells nothing of what it has sent but
// what becomes of templates.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	if !ok {
		return channel.Sent{}, &channel.RefusedError{Code: "no_inbox", Reason: fmt.Sprintf("the inbox %q of tenant %q is not configured", s.key.Inbox, s.key.Tenant)}
	}
	m := out.Message
	var refusal *channel.RefusedError
	refuse := func(code, reason string) { refusal = &channel.RefusedError{Code: code, Reason: reason} }
	switch template, text := m.GetTemplate() != "", m.GetText() != ""; {
	case a.api == nil:
		refuse(codeNoSecret, "the inbox has no AppSecret, by which messages are sent")
	case out.Thread == "" || strings.Trim(out.Thread, idLetters) != "":
		refuse("no_recipient", "the thread is none of a customer's")
	case template && len(out.Attachments) > 0:
		refuse("no_files", "a template takes no files")
	case template:
	case m.GetLocation() != nil:
		refuse("no_location", "places cannot be sent by WeChat")
	case len(out.Attachments) > 1, text && len(out.Attachments) > 0:
		refuse("one_at_a_time", "a message of WeChat is a text or one file: send them one after the other")
	case !text && len(out.Attachments) == 0:
		refuse("no_text", "the message has no text")
	}
	if refusal != nil {
		return channel.Sent{}, refusal
	}
	if m.GetTemplate() != "" {
		return a.sendTemplate(ctx, out)
	}
	if err := out.Within(window, s.channel.now(), insteadOfAnswer); err != nil {
		return channel.Sent{}, err
	}
	body := map[string]any{"touser": out.Thread, "msgtype": "text", "text": map[string]string{"content": plain(m.GetText())}}
	if len(out.Attachments) == 1 {
		kind, mediaID, err := a.upload(ctx, out.Attachments[0])
		if err != nil {
			return channel.Sent{}, err
		}
		content := map[string]string{"media_id": mediaID}
		if kind == "video" {
			content["title"] = plain(out.Attachments[0].GetName())
		}
		body = map[string]any{"touser": out.Thread, "msgtype": kind, kind: content}
	}
	return a.send(ctx, customerPath, body)
}

func (a *account) sendTemplate(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	data := map[string]any{}
	for name, value := range out.Message.GetTemplateParameters() {
		data[name] = map[string]string{"value": plain(value)}
	}
	body := map[string]any{"touser": out.Thread, "template_id": out.Message.GetTemplate(), "data": data}
	if a.MiniProgram {
		if language := out.Message.GetTemplateLanguage(); language != "" {
			body["lang"] = language
		}
		return a.send(ctx, subscriptionPath, body)
	}
	if id := strings.ReplaceAll(out.RequestID, "-", ""); id != "" {
		body["client_msg_id"] = id // taken once in ten minutes
	}
	return a.send(ctx, templatePath, body)
}

func (a *account) send(ctx context.Context, path string, body any) (channel.Sent, error) {
	var answer struct {
		ID json.Number `json:"msgid"`
	}
	if err := a.api.Post(ctx, path, nil, body, &answer); err != nil {
		return channel.Sent{}, verdict(err)
	}
	if answer.ID == "0" {
		answer.ID = ""
	}
	return channel.Sent{NativeID: answer.ID.String()}, nil
}

// upload hands a file to WeChat, which keeps it for three days.
func (a *account) upload(ctx context.Context, f channel.OutgoingFile) (kind, mediaID string, err error) {
	mediaType := f.GetBlob().GetMediaType()
	if mediaType == "" {
		mediaType = f.GetMediaType()
	}
	how, ok := uploadOf(mediaType)
	switch {
	case !ok:
		return "", "", &channel.RefusedError{Code: "file_type", Reason: "WeChat takes pictures as JPEG, PNG or GIF, voice as AMR or MP3, videos as MP4"}
	case a.MiniProgram && how.kind != "image":
		return "", "", &channel.RefusedError{Code: "file_type", Reason: "mini-programs can send pictures only, as JPEG, PNG or GIF"}
	}
	body, err := f.Open(ctx)
	if err != nil {
		return "", "", err // as it is
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, how.most+1))
	switch {
	case err != nil:
		return "", "", fmt.Errorf("wechat/official: read a file: %w: %w", channel.ErrRetry, err)
	case int64(len(data)) > how.most:
		return "", "", &channel.RefusedError{Code: "too_large", Reason: fmt.Sprintf("WeChat takes %s files of at most %d MB", how.kind, how.most>>20)}
	}
	var answer struct {
		ID string `json:"media_id"`
	}
	err = a.api.Upload(ctx, uploadPath, url.Values{"type": {how.kind}}, "file"+how.suffix, mediaType, data, &answer)
	if err != nil {
		return "", "", verdict(wechat.Harmless(err))
	}
	if answer.ID == "" {
		return "", "", fmt.Errorf("wechat/official: upload: %w: the API answers without a media_id", channel.ErrRetry)
	}
	return how.kind, answer.ID, nil
}

// verdict makes a Sender's error of one of the API's.
func verdict(err error) error {
	said, ok := errors.AsType[*wechat.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("wechat/official: send: %w", err)
	case said.Temporary() && !(said.Token && said.Code == wechat.CodeBadToken):
		return fmt.Errorf("wechat/official: send: %w", said.Later())
	case said.Code == codeWindow:
		return &channel.RefusedError{Code: channel.CodeWindowClosed, Reason: inWords(said)}
	}
	return &channel.RefusedError{Code: strconv.Itoa(said.Code), Reason: inWords(said)}
}

// codeWindow is answered where the customer wrote too long ago, or follows the account no more.
const codeWindow = 45015

// inWords says why a message was refused
// (https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html).
func inWords(said *wechat.Error) string {
	switch said.Code {
	case wechat.CodeBadToken, 40125:
		return "the AppSecret of the inbox is wrong"
	case 40013:
		return "the app id of the inbox is wrong"
	case 40164, 61004:
		return "this server's address is not among those that the account allows: " + said.Message
	case 40003, 40031:
		return "the customer is not known to the account, or follows it no more"
	case 40037, 41028:
		return "there is no such template in the account"
	case 43004:
		return "the customer does not follow the account"
	case 43019:
		return "the customer is on the account's blacklist"
	case 43101, 48002:
		return "the customer does not accept such messages"
	case 45002:
		return "the text is too long"
	case codeWindow:
		return "the customer wrote more than 48 hours ago, or follows the account no more: " + insteadOfAnswer
	case 45047:
		return "the customer can be sent no more messages before writing again: " + insteadOfAnswer
	case 47003, 47034:
		return "what is to stand in the template's places does not fit it: " + said.Message
	case 48001, 50001:
		return "the account may not use this function of WeChat"
	case 48004, 50002, 48006, 48008:
		return "the account's use of this function is restricted at present: " + said.Message
	case 87014, 40249:
		return "WeChat does not allow the content"
	}
	return said.Message
}

// plain leaves out of a text what JSON could write as \uXXXX only, which the API refuses (40033).
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\u2028', r == '\u2029':
			return '\n'
		case r < ' ', r == 0x7f:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
