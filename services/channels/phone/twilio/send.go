package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/skein-cx/skein/pkg/channel"
)

// maxAnswer is how much of an answer of the API is read.
const maxAnswer = 1 << 20

// ErrUnknown is what SendMessage wraps where nobody knows whether the message was taken: the connection broke after the
// request had gone out, or the answer cannot be read. Sent again, it may arrive twice.
var ErrUnknown = errors.New("phone/twilio: it is not known whether the message was taken")

// RefusedError tells that Twilio does not take a message, and will not take it another time.
type RefusedError struct {
	// Status is the answer's of HTTP, Code Twilio's own (https://www.twilio.com/docs/api/errors); 0 where there is none.
	Status, Code int
	// Message is what Twilio says. It may hold the number.
	Message string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("phone/twilio: the message was refused (HTTP %d, code %d)", e.Status, e.Code)
}

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
// error is a *RefusedError, channel.ErrRetry where Twilio did not take it but may another time, or ErrUnknown
// (https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource).
func (c *Channel) SendMessage(ctx context.Context, account Key, to, from, body string, mediaURLs []string, statusCallback string) (string, error) {
	a, ok := c.accounts[account]
	if !ok {
		return "", fmt.Errorf("phone/twilio: the inbox %q of tenant %q is not configured", account.Inbox, account.Tenant)
	}
	if statusCallback == "" {
		statusCallback = c.StatusURL(account)
	}
	form := url.Values{"To": {to}, "StatusCallback": {statusCallback}}
	if isSID(from, "MG") {
		form.Set("MessagingServiceSid", from)
	} else {
		form.Set("From", from)
	}
	if body != "" {
		form.Set("Body", body)
	}
	form["MediaUrl"] = mediaURLs

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
		return "", fmt.Errorf("%w: %w", ErrUnknown, bare(err))
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
		return "", &RefusedError{Status: status, Code: said.Code, Message: said.Message}
	}
	return "", fmt.Errorf("%w: the API answered %d", ErrUnknown, status)
}
