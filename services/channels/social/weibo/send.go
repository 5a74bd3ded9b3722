package weibo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	// window is how long a user can be answered after having written
	// (https://open.weibo.com/wiki/Send_Customer_Service_Message: "you can reply user in 48 hours with no limits").
	window = 48 * time.Hour
	// maxMessage and maxComment are how long a message and a comment may be, in Chinese characters: two others count as one.
	maxMessage = 300
	maxComment = 140
	// pause is when to come again after too many calls: the limits are by the hour.
	pause = 10 * time.Minute
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
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender {
	return &Sender{c, account, httpsend.Client(c.cfg.Client.Transport)}
}

// Idempotent implements channel.Sender: the API knows no key of ours.
func (s *Sender) Idempotent() bool { return false }

// Send implements channel.Sender. In a user's thread it sends a private message, within 48 hours of the user's last one; Weibo
// also lets a company answer who has followed it or used its menu, which is not known here. In a comment chain it replies to
// Message.in_reply_to, or else to the comment that began the chain; in a post's thread it comments on the post.
// (https://open.weibo.com/wiki/Send_Customer_Service_Message, https://open.weibo.com/wiki/2/comments/reply,
// https://open.weibo.com/wiki/2/comments/create.) Weibo gives a private message no id, and does not tell of it by the webhook; a comment
// comes again by comments/timeline, as the event that Sent.Echo is.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	if !ok {
		return channel.Sent{}, fmt.Errorf("social/weibo: %w: the inbox %q of tenant %q is not configured", channel.ErrRetry, s.key.Inbox, s.key.Tenant)
	}
	switch {
	case a.AccessToken == "":
		return channel.Sent{}, refused(CodeNoToken, "the account has no access token")
	case out.Message.GetTemplate() != "":
		return channel.Sent{}, refused(CodeNoTemplate, "Weibo knows no templates")
	case len(out.Attachments) > 0:
		return channel.Sent{}, refused(CodeFiles, "files cannot be sent by this inbox")
	case !utf8.ValidString(out.Message.GetText()):
		return channel.Sent{}, refused(CodeNoText, "the text is no UTF-8")
	}
	if chain, public := strings.CutPrefix(out.Thread, postThread("")); public {
		return s.comment(ctx, a, chain, out)
	}
	if !isNumber(out.Thread) {
		return channel.Sent{}, refused(CodeNoThread, "the thread is neither of a user nor of a post")
	}
	return s.message(ctx, a, out)
}

// message sends a private message.
func (s *Sender) message(ctx context.Context, a *account, out channel.Outgoing) (channel.Sent, error) {
	kind, said := "text", map[string]string{"text": out.Message.GetText()}
	at := out.Message.GetLocation()
	switch {
	case out.Message.GetText() == "" && at != nil:
		kind, said = "position", map[string]string{
			"longitude": strconv.FormatFloat(at.GetLongitude(), 'f', -1, 64), "latitude": strconv.FormatFloat(at.GetLatitude(), 'f', -1, 64),
		}
	case out.Message.GetText() == "":
		return channel.Sent{}, refused(CodeNoText, "there is nothing to say")
	case weight(out.Message.GetText()) > 2*maxMessage:
		return channel.Sent{}, refused(CodeTooLong, fmt.Sprintf("a message has at most %d Chinese characters, or twice as many others", maxMessage))
	}
	if err := out.Within(window, s.channel.now(), "wait for the customer to write again, or answer in public"); err != nil {
		return channel.Sent{}, err
	}
	data, err := json.Marshal(said)
	if err != nil {
		return channel.Sent{}, fmt.Errorf("social/weibo: send: %w: %w", channel.ErrRetry, err)
	}
	raw, err := s.post(ctx, a.MessagesURL+"/2/messages/reply.json", url.Values{
		"access_token": {a.AccessToken}, "type": {kind}, "data": {string(data)}, "receiver_id": {out.Thread}, "save_sender_box": {"1"},
	})
	if err != nil {
		return channel.Sent{}, err
	}
	var answer struct {
		Result *bool `json:"result"`
	}
	switch err := json.Unmarshal(raw, &answer); {
	case err != nil:
		return channel.Sent{}, fmt.Errorf("social/weibo: send: %w: read the answer: %w", channel.ErrUnknown, err)
	case answer.Result != nil && !*answer.Result:
		return channel.Sent{}, refused("result", "Weibo has not sent it, and says no reason")
	}
	return channel.Sent{}, nil
}

// comment answers a comment, or a post.
func (s *Sender) comment(ctx context.Context, a *account, chain string, out channel.Outgoing) (channel.Sent, error) {
	post, root, _ := strings.Cut(chain, "/")
	answered := out.Message.GetInReplyTo()
	if answered == "" || answered == post {
		answered = root
	}
	switch {
	case !isNumber(post), answered != "" && !isNumber(answered):
		return channel.Sent{}, refused(CodeNoThread, "the thread or what is answered is no post and no comment of Weibo's")
	case out.Message.GetText() == "":
		return channel.Sent{}, refused(CodeNoText, "there is nothing to say")
	case weight(out.Message.GetText()) > 2*maxComment:
		return channel.Sent{}, refused(CodeTooLong, fmt.Sprintf("a comment has at most %d Chinese characters, or twice as many others", maxComment))
	}
	call, form := "create", url.Values{"access_token": {a.AccessToken}, "id": {post}, "comment": {out.Message.GetText()}}
	if answered != "" {
		call = "reply"
		form.Set("cid", answered)
	}
	raw, err := s.post(ctx, a.APIURL+"/2/comments/"+call+".json", form)
	if err != nil {
		return channel.Sent{}, err
	}
	var c comment
	if err := json.Unmarshal(raw, &c); err != nil {
		return channel.Sent{}, fmt.Errorf("social/weibo: send: %w: read the answer: %w", channel.ErrUnknown, err)
	}
	if !isNumber(c.id()) {
		return channel.Sent{}, fmt.Errorf("social/weibo: send: %w: the answer names no comment", channel.ErrUnknown)
	}
	sent := channel.Sent{NativeID: c.id()}
	if at := created(c.CreatedAt); at != nil {
		sent.At = at.AsTime()
	}
	if a.Posts {
		sent.Echo = a.echo(&c)
	}
	return sent, nil
}

// echo is message.sent of a comment of the account's, as it is when it is read; nil where the answer does not hold all of it.
func (a *account) echo(c *comment) *eventv1.Submission {
	submissions, err := a.commented(c)
	if err != nil || submissions[0].GetType() != event.TypeMessageSent {
		return nil
	}
	return submissions[0]
}

// post makes a call that sends something, and gives an answer that is no failure.
func (s *Sender) post(ctx context.Context, address string, form url.Values) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("social/weibo: send: %w: %w", channel.ErrRetry, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.GetBody = nil // so that the transport sends nothing twice
	answer, err := httpsend.Do(s.send, r)
	if err != nil {
		return nil, fmt.Errorf("social/weibo: send: %w", err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if f := failureOf(answer.StatusCode, raw); f != nil {
		return nil, f.verdict(answer, s.channel.now())
	}
	if err != nil {
		return nil, fmt.Errorf("social/weibo: send: %w: read the answer: %w", channel.ErrUnknown, err)
	}
	return raw, nil
}

// verdict tells what a failure means for what was to be sent.
func (f *failure) verdict(answer *http.Response, now time.Time) error {
	switch {
	case f.isPassing():
		if answer.Header.Get("Retry-After") == "" && (isLimit(f) || f.code == codeTooMany) {
			answer.Header.Set("Retry-After", strconv.Itoa(int(pause.Seconds())))
		}
		return fmt.Errorf("social/weibo: send: %w: %w", httpsend.Later(answer, now), f)
	case f.isOpen():
		return fmt.Errorf("social/weibo: send: %w: %w", channel.ErrUnknown, f)
	case f.code == "":
		return refused(strconv.Itoa(f.status), "the API answered "+http.StatusText(f.status))
	}
	return refused(f.code, f.reason)
}

func refused(code, reason string) error { return &channel.RefusedError{Code: code, Reason: reason} }

// weight is how long a text is as Weibo counts, in halves of a Chinese character.
func weight(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0x7f {
			n++
		}
	}
	return n
}
