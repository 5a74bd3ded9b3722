package twilio

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
)

// maxAnswer is how much of an answer of the API is read.
const maxAnswer = 1 << 20

// StatusURL is where Twilio is to tell the statuses of what SendMessage sends; empty for an account that is not there.
func (c *Channel) StatusURL(account Key) string {
	a, ok := c.accounts[account]
	if !ok {
		return ""
	}
	return strings.TrimSuffix(a.BaseURLs[0], "/") + a.path(KindStatus)
}

// SendMessage sends a short message, with files that Twilio gets from their URLs, and returns Twilio's id of it. From is a
// number, a sender name, or a messaging service's sid (MG...); statusCallback is StatusURL unless given. It sends once: an
// error is a *channel.RefusedError with Twilio's code (https://www.twilio.com/docs/api/errors), channel.ErrRetry where Twilio
// did not take it but may another time, or channel.ErrUnknown
// (https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource).
func (c *Channel) SendMessage(ctx context.Context, account Key, to, from, body string, mediaURLs []string, statusCallback string) (string, error) {
	form := url.Values{"StatusCallback": {cmp.Or(statusCallback, c.StatusURL(account))}, "MediaUrl": mediaURLs}
	if body != "" {
		form.Set("Body", body)
	}
	return c.create(ctx, account, to, from, form)
}

// create creates a message of what a form says beside from whom to whom.
func (c *Channel) create(ctx context.Context, account Key, to, from string, form url.Values) (string, error) {
	a, ok := c.accounts[account]
	if !ok {
		return "", fmt.Errorf("phone/twilio: the inbox %q of tenant %q is not configured", account.Inbox, account.Tenant)
	}
	form.Set("To", to)
	if isSID(from, "MG") {
		form.Set("MessagingServiceSid", from)
	} else {
		form.Set("From", from)
	}
	var out atomic.Bool // something of the request may have gone out
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { out.Store(true) }})
	request, err := http.NewRequestWithContext(traced, http.MethodPost, a.APIURL+"/2010-04-01/Accounts/"+a.AccountSID+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("phone/twilio: send: %w", err)
	}
	request.SetBasicAuth(a.AccountSID, a.AuthToken)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.cfg.Client.Do(request)
	switch {
	case err != nil && out.Load():
		return "", fmt.Errorf("phone/twilio: send: %w: %w", channel.ErrUnknown, bare(err))
	case err != nil:
		return "", fmt.Errorf("phone/twilio: send: %w: %w", channel.ErrRetry, bare(err))
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return sent(answer.StatusCode, raw, err)
}

// sent reads what Twilio answered.
func sent(status int, raw []byte, err error) (string, error) {
	var said struct {
		SID     string `json:"sid"`
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	switch {
	case status/100 == 2 && err == nil && said.SID != "":
		return said.SID, nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status/100 == 5 && err == nil && said.Code != 0:
		// Twilio itself says that it did not work
		return "", fmt.Errorf("phone/twilio: send: the API answered %d, code %d: %w", status, said.Code, channel.ErrRetry)
	case status/100 == 4:
		return "", &channel.RefusedError{Code: strconv.Itoa(cmp.Or(said.Code, status)), Reason: said.Message}
	}
	return "", fmt.Errorf("phone/twilio: send: %w: the API answered %d", channel.ErrUnknown, status)
}

// Sender is the channel.Sender of an inbox's short messages. It needs no open Channel.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// whatsappPrefix begins the addresses of messages that Twilio takes to WhatsApp.
const whatsappPrefix = "whatsapp:"

// whatsappWindow is how long after the customer's last message a company may write freely on WhatsApp
// (https://www.twilio.com/docs/whatsapp/key-concepts#the-24-hour-window).
const whatsappWindow = 24 * time.Hour

// Send implements channel.Sender. A thread of short messages is the customer's number and the company's; what belongs to a call
// is refused, and so are files, which Twilio would have to fetch from somewhere. On WhatsApp the customer must have written within
// 24 hours, unless a template is sent: the sid of a content template (HX...), with its variables by their numbers
// (https://www.twilio.com/docs/content/send-templates-created-with-the-content-template-builder).
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	to, from, ok := strings.Cut(out.Thread, "/")
	switch {
	case !ok || to == "" || from == "":
		return channel.Sent{}, &channel.RefusedError{Code: "no_message_thread", Reason: "the thread is none of short messages"}
	case len(out.Attachments) > 0:
		return channel.Sent{}, &channel.RefusedError{Code: "no_files", Reason: "files cannot be sent by this inbox"}
	case out.Message.GetTemplate() != "":
		return s.template(ctx, out, to, from)
	case out.Message.GetText() == "":
		return channel.Sent{}, &channel.RefusedError{Code: "no_text", Reason: "a short message needs a text"}
	}
	if strings.HasPrefix(to, whatsappPrefix) {
		if err := out.Within(whatsappWindow, time.Now(), "send a template"); err != nil {
			return channel.Sent{}, err
		}
	}
	sid, err := s.channel.SendMessage(ctx, s.key, to, from, out.Message.GetText(), nil, "")
	return channel.Sent{NativeID: sid}, err
}

// template sends a content template.
func (s *Sender) template(ctx context.Context, out channel.Outgoing, to, from string) (channel.Sent, error) {
	m := out.Message
	switch {
	case !isSID(m.GetTemplate(), "HX"):
		return channel.Sent{}, &channel.RefusedError{Code: "no_template", Reason: "a template is named by its sid: HX and 32 hexadecimal digits"}
	case m.GetText() != "":
		return channel.Sent{}, &channel.RefusedError{Code: "template_and_text", Reason: "a message is a template or a text"}
	}
	form := url.Values{"ContentSid": {m.GetTemplate()}, "StatusCallback": {s.channel.StatusURL(s.key)}}
	if len(m.GetTemplateParameters()) > 0 {
		variables, err := json.Marshal(m.GetTemplateParameters())
		if err != nil {
			return channel.Sent{}, &channel.RefusedError{Code: "template_parameters", Reason: err.Error()}
		}
		form.Set("ContentVariables", string(variables))
	}
	sid, err := s.channel.create(ctx, s.key, to, from, form)
	return channel.Sent{NativeID: sid}, err
}

// Idempotent implements channel.Sender: the API knows no key of ours.
func (s *Sender) Idempotent() bool { return false }
