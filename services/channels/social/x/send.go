package x

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// maxAnswer is how much of an answer of the API is read.
	maxAnswer = 1 << 20
	// maxDirect is how long a direct message may be, in characters.
	maxDirect = 10_000
	// maxPicture is how large a picture may be (https://docs.x.com/x-api/media/upload-media).
	maxPicture = 5 << 20
)

// The codes of what is refused before anything goes out.
const (
	CodeNoThread   = "no_thread"
	CodeNoText     = "no_text"
	CodeTooLong    = "too_long"
	CodeFiles      = "files"
	CodeNoTemplate = "no_template"
)

// Sender is the channel.Sender of an inbox. It needs no open Channel.
type Sender struct {
	channel *Channel
	key     Key
	send    *http.Client
	now     func() time.Time
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender {
	return &Sender{channel: c, key: account, send: httpsend.Client(c.cfg.Client.Transport), now: time.Now}
}

// Idempotent implements channel.Sender: the API knows no key of ours.
func (s *Sender) Idempotent() bool { return false }

// Send implements channel.Sender. In the thread of a user it sends a direct message, with at most one picture, which needs
// Account.AppID; in that of a conversation it replies to Message.in_reply_to, or else to the post that the thread is named by. X allows
// replies by the API to those only who have mentioned the account, and direct messages to those who take them; it knows no time after
// which nothing may be sent. (https://docs.x.com/x-api/direct-messages/manage/integrate, https://docs.x.com/x-api/posts/create-post.)
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	if !ok {
		return channel.Sent{}, fmt.Errorf("social/x: %w: the inbox %q of tenant %q is not configured", channel.ErrRetry, s.key.Inbox, s.key.Tenant)
	}
	root, public := strings.CutPrefix(out.Thread, postThread(""))
	text := out.Message.GetText()
	switch {
	case !isNumber(root):
		return channel.Sent{}, refused(CodeNoThread, "the thread is neither of a user nor of a conversation")
	case a.AccessToken == "" && a.Tokens == nil:
		return channel.Sent{}, refused(CodeNoToken, "the account has no access token")
	case out.Message.GetTemplate() != "":
		return channel.Sent{}, refused(CodeNoTemplate, "X knows no templates")
	case text == "" && len(out.Attachments) == 0, text == "" && public:
		return channel.Sent{}, refused(CodeNoText, "there is nothing to say")
	case !utf8.ValidString(text):
		return channel.Sent{}, refused(CodeNoText, "the text is no UTF-8")
	case public:
		return s.reply(ctx, a, root, out)
	}
	return s.direct(ctx, a, root, out)
}

// direct sends a direct message to a user.
func (s *Sender) direct(ctx context.Context, a *account, to string, out channel.Outgoing) (channel.Sent, error) {
	switch text := out.Message.GetText(); {
	case utf8.RuneCountInString(text) > maxDirect:
		return channel.Sent{}, refused(CodeTooLong, fmt.Sprintf("a direct message has at most %d characters", maxDirect))
	case len(out.Attachments) > 1:
		return channel.Sent{}, refused(CodeFiles, "a direct message has at most one file")
	case len(out.Attachments) > 0 && a.AppID == "":
		return channel.Sent{}, refused(CodeFiles, "files can be sent only where the id of the app is configured: else the message would be told twice")
	}
	type file struct {
		MediaID string `json:"media_id"`
	}
	message := struct {
		Text        string `json:"text,omitempty"`
		Attachments []file `json:"attachments,omitempty"`
	}{Text: out.Message.GetText()}
	for _, f := range out.Attachments {
		id, err := s.upload(ctx, a, f)
		if err != nil {
			return channel.Sent{}, err
		}
		message.Attachments = append(message.Attachments, file{id})
	}
	var said struct {
		Data struct {
			ID text `json:"dm_event_id"`
		} `json:"data"`
	}
	if err := s.post(ctx, a, "/2/dm_conversations/with/"+to+"/messages", message, &said); err != nil {
		return channel.Sent{}, err
	}
	id := string(said.Data.ID)
	if !isNumber(id) {
		return channel.Sent{}, fmt.Errorf("social/x: send: %w: the answer names no message", channel.ErrUnknown)
	}
	sent := channel.Sent{NativeID: id, At: at(id)}
	if a.AppID == "" {
		sent.Echo = a.sentDirect(id, to, &eventv1.Message{Text: strings.TrimSpace(out.Message.GetText())})
	}
	return sent, nil
}

// reply posts an answer to a post.
func (s *Sender) reply(ctx context.Context, a *account, root string, out channel.Outgoing) (channel.Sent, error) {
	answered := cmp.Or(out.Message.GetInReplyTo(), root)
	switch {
	case !isNumber(answered):
		return channel.Sent{}, refused(CodeNoThread, "the message answers no post of X's")
	case len(out.Attachments) > 0:
		return channel.Sent{}, refused(CodeFiles, "files can be sent in direct messages only")
	}
	type reply struct {
		To string `json:"in_reply_to_tweet_id"`
	}
	post := struct {
		Text  string `json:"text"`
		Reply reply  `json:"reply"`
	}{out.Message.GetText(), reply{answered}}
	var said struct {
		Data struct {
			ID text `json:"id"`
		} `json:"data"`
	}
	if err := s.post(ctx, a, "/2/tweets", post, &said); err != nil {
		return channel.Sent{}, err
	}
	id := string(said.Data.ID)
	if !isNumber(id) {
		return channel.Sent{}, fmt.Errorf("social/x: send: %w: the answer names no post", channel.ErrUnknown)
	}
	to := ""
	for _, address := range out.To {
		if v := address.GetValue(); to == "" && isNumber(v) && !a.company[v] && address.GetNamespace() == Provider+"/"+a.UserID {
			to = v
		}
	}
	m := &eventv1.Message{Text: strings.TrimSpace(out.Message.GetText()), InReplyTo: answered}
	return channel.Sent{NativeID: id, At: at(id), Echo: a.sentPost(id, a.UserID, answered, to, m)}, nil
}

// at is when an id was made; zero where it does not tell.
func at(id string) time.Time {
	if t := timeOf(id); t != nil {
		return t.AsTime()
	}
	return time.Time{}
}

// post makes a call that sends something, and reads its answer.
func (s *Sender) post(ctx context.Context, a *account, path string, body, said any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("social/x: send: %w: %w", channel.ErrRetry, err)
	}
	answer, err := s.call(ctx, a, path, "application/json", raw)
	if err != nil {
		return fmt.Errorf("social/x: send: %w", err)
	}
	defer answer.Body.Close()
	raw, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 != 2 {
		return verdict(answer, raw, s.now())
	}
	if err == nil {
		err = json.Unmarshal(raw, said)
	}
	if err != nil {
		return fmt.Errorf("social/x: send: %w: read the answer: %w", channel.ErrUnknown, err)
	}
	return nil
}

func (s *Sender) call(ctx context.Context, a *account, path, mediaType string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", channel.ErrRetry, err)
	}
	r.Header.Set("Content-Type", mediaType)
	if err := a.authorize(ctx, r); err != nil {
		return nil, err
	}
	r.GetBody = nil // so that the transport sends nothing twice
	return httpsend.Do(s.send, r)
}

// upload brings a picture to X. Where that fails, the message was certainly not sent.
func (s *Sender) upload(ctx context.Context, a *account, f channel.OutgoingFile) (string, error) {
	kind := f.GetBlob().GetMediaType()
	switch kind {
	case "image/jpeg", "image/png", "image/webp":
	default:
		return "", refused(CodeFiles, "only pictures (JPEG, PNG, WebP) can be sent")
	}
	if f.GetBlob().GetSize() > maxPicture {
		return "", refused(CodeFiles, "a picture has at most 5 MB")
	}
	picture, err := f.Open(ctx)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(picture, maxPicture+1))
	_ = picture.Close()
	switch {
	case err != nil:
		return "", fmt.Errorf("social/x: read a file: %w: %w", channel.ErrRetry, err)
	case len(data) > maxPicture:
		return "", refused(CodeFiles, "a picture has at most 5 MB")
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="media"; filename="picture"`}, "Content-Type": {kind}})
	if err == nil {
		_, err = part.Write(data)
	}
	err = errors.Join(err, w.WriteField("media_category", "dm_image"), w.WriteField("media_type", kind), w.Close())
	if err != nil {
		return "", fmt.Errorf("social/x: upload: %w: %w", channel.ErrRetry, err)
	}
	answer, err := s.call(ctx, a, "/2/media/upload", w.FormDataContentType(), form.Bytes())
	if err != nil {
		return "", unsent(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 != 2 {
		return "", unsent(verdict(answer, raw, s.now()))
	}
	var said struct {
		Data struct {
			ID text `json:"id"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	if id := string(said.Data.ID); err == nil && isNumber(id) {
		return id, nil
	}
	return "", fmt.Errorf("social/x: upload: %w: the answer names no file", channel.ErrRetry)
}

// unsent is an error before the message: what is unknown of a file is no matter.
func unsent(err error) error {
	if errors.Is(err, channel.ErrUnknown) {
		return fmt.Errorf("social/x: upload: %w: %s", channel.ErrRetry, err.Error())
	}
	return err
}

func refused(code, reason string) error { return &channel.RefusedError{Code: code, Reason: reason} }

// problem is how the API says what is wrong (RFC 9457, and its own older form); see
// https://docs.x.com/x-api/fundamentals/response-codes-and-errors.
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Type   string `json:"type"`
	Reason string `json:"reason"`
	Errors []struct {
		Message string `json:"message"`
		Code    text   `json:"code"`
	} `json:"errors"`
}

// The codes of API 1.1 for what version 2 says in words only.
const (
	codeDuplicate = "187"
	codeNoDirect  = "349"
)

// verdict tells what an answer that is no success means.
func verdict(answer *http.Response, raw []byte, now time.Time) error {
	var p problem
	_ = json.Unmarshal(raw, &p) // what is none says nothing
	code, reason := p.said(answer.StatusCode)
	switch status := answer.StatusCode; {
	case status == http.StatusTooManyRequests && code == "usage-capped":
		return refused(code, reason) // until the next month, or more is paid
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if at := reset(answer.Header); at > 0 && answer.Header.Get("Retry-After") == "" {
			answer.Header.Set("Retry-After", strconv.FormatInt(max(at-now.Unix(), 1), 10))
		}
		return fmt.Errorf("social/x: %w", httpsend.Later(answer, now))
	case status/100 == 4:
		return refused(code, reason)
	}
	return fmt.Errorf("social/x: %w: the API answered %d", channel.ErrUnknown, answer.StatusCode)
}

func (p *problem) said(status int) (code, reason string) {
	code, reason = strconv.Itoa(status), cmp.Or(p.Detail, p.Title, http.StatusText(status))
	if i := strings.LastIndex(p.Type, "/"); i >= 0 && i+1 < len(p.Type) {
		code = p.Type[i+1:]
	}
	if p.Reason != "" {
		code = p.Reason
	}
	if len(p.Errors) > 0 {
		reason = cmp.Or(p.Detail, p.Errors[0].Message, reason)
		if c := string(p.Errors[0].Code); isNumber(c) {
			code = c
		}
	}
	switch low := strings.ToLower(reason); {
	case strings.Contains(low, "duplicate content"):
		code = codeDuplicate
	case strings.Contains(low, "permission to dm"), strings.Contains(low, "cannot send messages to this user"):
		code = codeNoDirect
	}
	return event.Clip(strings.ToValidUTF8(code, "?"), 64), event.Clip(strings.ToValidUTF8(reason, "?"), 1000)
}

// reset is when the limit that was reached ends, in seconds of Unix time; 0 where it is not said
// (https://docs.x.com/x-api/fundamentals/rate-limits).
func reset(h http.Header) int64 {
	for _, limit := range []string{"x-user-limit-24hour", "x-app-limit-24hour", "x-rate-limit"} {
		if h.Get(limit+"-remaining") != "0" && limit != "x-rate-limit" {
			continue
		}
		if at, err := strconv.ParseInt(h.Get(limit+"-reset"), 10, 64); err == nil && at > 0 {
			return at
		}
	}
	return 0
}
