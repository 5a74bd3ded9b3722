package line

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/event"
)

const (
	maxText   = 5000 // units of UTF-16 (https://developers.line.biz/en/docs/messaging-api/text-character-count/)
	maxAnswer = 1 << 20
	tokenTime = 20 * time.Second
	// keyLasts is how long LINE knows a retry key.
	keyLasts = 24 * time.Hour
)

// Sender is the channel.Sender of an inbox. It needs no open Channel. A user who has added the account as a friend can be written to
// at any time; whether the account was blocked since, LINE does not say.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// Idempotent implements channel.Sender: the request's id is LINE's retry key
// (https://developers.line.biz/en/docs/messaging-api/retrying-api-request/).
func (s *Sender) Idempotent() bool { return true }

func refused(code, reason string) error { return &channel.RefusedError{Code: code, Reason: reason} }

// Send implements channel.Sender: it pushes a text (https://developers.line.biz/en/reference/messaging-api/#send-push-message).
// LINE tells of no message that went out, so there is no echo.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	c := s.channel
	a, err := c.account(s.key)
	if err != nil {
		return channel.Sent{}, refused("not_configured", err.Error())
	}
	if err := check(out, c.now()); err != nil {
		return channel.Sent{}, err
	}
	body, err := json.Marshal(&messaging_api.PushMessageRequest{
		To: out.Thread, Messages: []messaging_api.MessageInterface{&messaging_api.TextMessage{Text: out.Message.GetText()}},
	})
	if err != nil {
		return channel.Sent{}, refused("bad_text", "the text cannot be written as JSON")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.APIURL+"/v2/bot/message/push", bytes.NewReader(body))
	if err != nil {
		return channel.Sent{}, refused("bad_address", "the API's address cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Line-Retry-Key", out.RequestID)
	if err := a.authorise(request); err != nil {
		return channel.Sent{}, wrapSend(err)
	}
	answer, err := httpsend.Do(c.cfg.Client, request)
	if err != nil {
		return channel.Sent{}, wrapSend(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return sent(answer, raw, err, c.now())
}

func wrapSend(err error) error {
	if r, ok := err.(*channel.RefusedError); ok { //nolint:errorlint // one of ours is handed on as it is
		return r
	}
	return fmt.Errorf("social/line: send: %w", err)
}

// check refuses what LINE would not take, or what would go out without a part of it.
func check(out channel.Outgoing, now time.Time) error {
	text := len(utf16.Encode([]rune(out.Message.GetText())))
	switch _, err := uuid.Parse(out.RequestID); {
	case !isID(out.Thread, "UCR"):
		return refused("no_message_thread", "the thread is none of a user, a group or a room")
	case len(out.Attachments) > 0:
		return refused("no_files", "LINE takes no files, only addresses from which everybody can get them")
	case out.Message.GetTemplate() != "":
		return refused("no_templates", "templates cannot be sent by this inbox")
	case out.Message.GetLocation() != nil:
		return refused("no_location", "places cannot be sent by this inbox")
	case strings.TrimSpace(out.Message.GetText()) == "":
		return refused("no_text", "a message needs a text")
	case text > maxText:
		return refused("text_too_long", fmt.Sprintf("the text has %d characters, as LINE counts them, and LINE takes %d", text, maxText))
	case err != nil || len(out.RequestID) != 36:
		return refused("no_request_id", "the request has no UUID, by which LINE would know it again")
	case out.Attempt > 1 && !out.RequestedAt.IsZero() && now.Sub(out.RequestedAt) > keyLasts-time.Hour:
		return refused("too_late", "whether an earlier attempt succeeded, LINE knows for 24 hours only")
	}
	return nil
}

// sent reads what the API answered (https://developers.line.biz/en/reference/messaging-api/#error-responses).
func sent(answer *http.Response, raw []byte, readErr error, now time.Time) (channel.Sent, error) {
	var said messaging_api.ErrorResponse // has all that the other answers have
	if readErr == nil {
		readErr = json.Unmarshal(raw, &said)
	}
	switch status := answer.StatusCode; {
	case (status/100 == 2 || status == http.StatusConflict) && readErr == nil && len(said.SentMessages) > 0 && said.SentMessages[0].Id != "":
		return channel.Sent{NativeID: said.SentMessages[0].Id}, nil // 409: an earlier attempt was taken
	case status == http.StatusConflict && answer.Header.Get("X-Line-Accepted-Request-Id") != "":
		return channel.Sent{NativeID: "request/" + answer.Header.Get("X-Line-Accepted-Request-Id")}, nil
	case status/100 == 2, status == http.StatusConflict:
		return channel.Sent{}, wrapSend(fmt.Errorf("%w: the answer %d names no message", channel.ErrUnknown, status))
	case status == http.StatusTooManyRequests && strings.Contains(said.Message, "monthly limit"):
		return channel.Sent{}, refused("monthly_limit", said.Message)
	case status == http.StatusTooManyRequests:
		return channel.Sent{}, wrapSend(httpsend.Later(answer, now))
	case status/100 == 4:
		return channel.Sent{}, refused(strconv.Itoa(status), reason(status, said))
	}
	return channel.Sent{}, wrapSend(fmt.Errorf("%w: the API answered %d", channel.ErrUnknown, answer.StatusCode))
}

// reason is why LINE did not take a message, in its words.
func reason(status int, said messaging_api.ErrorResponse) string {
	if said.Message == "" {
		return "the API answered " + strconv.Itoa(status)
	}
	parts := []string{said.Message}
	for _, d := range said.Details {
		parts = append(parts, strings.Trim(d.Property+": "+d.Message, ": "))
	}
	return event.Clip(strings.Join(parts, "; "), 1000)
}
