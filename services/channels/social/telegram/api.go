package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/event"
)

// answer is what the Bot API answers (https://core.telegram.org/bots/api#making-requests).
type answer struct {
	status      int
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	ErrorCode   int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  struct {
		RetryAfter      int   `json:"retry_after"` // seconds
		MigrateToChatID int64 `json:"migrate_to_chat_id"`
	} `json:"parameters"`
	later error // for a status of 429
}

// call calls a method with JSON. Its error is one of httpsend.Do, or wraps channel.ErrUnknown where the answer cannot be read.
func (c *Channel) call(ctx context.Context, a *account, method string, parameters any, most int64) (*answer, error) {
	body, err := json.Marshal(parameters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return c.post(ctx, a, method, "application/json", bytes.NewReader(body), most)
}

// post calls a method with a body of its own.
func (c *Channel) post(ctx context.Context, a *account, method, contentType string, body io.Reader, most int64) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.api+method, body)
	if err != nil {
		return nil, fmt.Errorf("%s: the address cannot be used", method) // err holds the token
	}
	request.Header.Set("Content-Type", contentType)
	request.GetBody = nil // it goes out once
	resp, err := httpsend.Do(c.cfg.Client, request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, most))
	said := &answer{status: resp.StatusCode}
	if err == nil {
		err = json.Unmarshal(raw, said)
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		if said.Parameters.RetryAfter > 0 {
			resp.Header.Set("Retry-After", strconv.Itoa(said.Parameters.RetryAfter))
		}
		said.later = httpsend.Later(resp, c.now())
		return said, nil
	}
	if err != nil {
		var broken *json.SyntaxError
		if errors.As(err, &broken) && resp.StatusCode/100 == 4 {
			return said, nil // a proxy's refusal
		}
		return nil, fmt.Errorf("%s: %w: the API answered %s, which cannot be read", method, channel.ErrUnknown, resp.Status)
	}
	return said, nil
}

// refusal is what the API says why it did not do something, with what it knows better.
func (s *answer) refusal() (code, reason string) {
	code = strconv.Itoa(s.status)
	reason = s.Description
	if reason == "" {
		reason = "the API answered " + code
	}
	if s.Parameters.MigrateToChatID != 0 {
		reason += ": the group goes on as " + number(s.Parameters.MigrateToChatID)
	}
	return code, event.Clip(reason, 1000)
}
