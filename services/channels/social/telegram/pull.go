package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

const (
	pollTime   = 25 * time.Second // that Telegram may wait for an update
	pollGrace  = 20 * time.Second // for an answer beyond that
	pollLimit  = 100              // updates in an answer
	maxUpdates = 64 << 20         // bytes of an answer
	leastPause = time.Second      // between answers that bring nothing
	// keeps is how long Telegram keeps an update that nobody took.
	keeps = 24 * time.Hour
)

// pull asks for updates until ctx ends.
func (c *Channel) pull(ctx context.Context, a *account) {
	wait := c.cfg.Backoff()
	for ctx.Err() == nil {
		began := c.now()
		n, err := c.round(ctx, a)
		if ctx.Err() != nil {
			return
		}
		a.report(err, c.now())
		var pause time.Duration
		switch {
		case err != nil:
			pause = max(wait.NextBackOff(), 0)
			if later, ok := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](err); ok {
				pause = max(pause, later.RetryAfter())
			}
			c.log.WarnContext(ctx, "updates cannot be pulled: another try follows", "inbox", a.Inbox, "error", err, "after", pause)
		case n == 0:
			wait.Reset()
			pause = leastPause - c.now().Sub(began) // it should have waited by itself
		default:
			wait.Reset()
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// report sets the status; one that goes on keeps its time.
func (a *account) report(err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (a.status.Err == nil) != (err == nil) || errors.Is(a.status.Err, errNotYet) {
		a.status.Since = now
	}
	a.status.Err = err
}

// round asks for updates once, hands them in, and moves the cursor behind them. To ask with an offset is what tells Telegram that
// everything before it is taken (https://core.telegram.org/bots/api#getupdates).
func (c *Channel) round(ctx context.Context, a *account) (n int, err error) {
	name := Provider + "/" + a.Tenant + "/" + a.Inbox + "/" + a.bot
	stored, err := c.cfg.Cursors.Cursor(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("social/telegram: read the cursor: %w", err)
	}
	updates, err := c.updates(ctx, a, offset(stored, c.now()))
	if err != nil {
		return 0, fmt.Errorf("social/telegram: %w", err)
	}
	next := int64(0)
	for _, raw := range updates {
		outcome, handedIn := webhook.Deliver(ctx, c.host, a.endpoint(), raw)
		if outcome == retried {
			err = fmt.Errorf("social/telegram: hand in an update: %w", handedIn)
			break
		}
		if handedIn != nil {
			c.log.WarnContext(ctx, "an update was not understood, and is kept", "inbox", a.Inbox, "error", handedIn)
		}
		var of struct {
			ID int64 `json:"update_id"`
		}
		if json.Unmarshal(raw, &of) == nil {
			next = max(next, of.ID+1)
		}
	}
	switch {
	case next > 0:
		if moved := c.cfg.Cursors.MoveCursor(ctx, name, stored, cursor(next, c.now())); moved != nil {
			err = errors.Join(err, fmt.Errorf("social/telegram: move the cursor: %w", moved))
		}
	case len(updates) > 0 && err == nil:
		err = errors.New("social/telegram: none of the updates says its id")
	}
	return len(updates), err
}

func (c *Channel) updates(ctx context.Context, a *account, offset int64) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTime+pollGrace)
	defer cancel()
	said, err := c.call(ctx, a, "getUpdates", struct {
		Offset         int64    `json:"offset,omitempty"`
		Limit          int      `json:"limit"`
		Timeout        int      `json:"timeout"`
		AllowedUpdates []string `json:"allowed_updates,omitempty"`
	}{offset, pollLimit, int(pollTime / time.Second), a.AllowedUpdates}, maxUpdates)
	switch {
	case err != nil:
		return nil, err
	case said.later != nil:
		return nil, said.later
	case !said.OK && said.status == http.StatusConflict:
		_, reason := said.refusal()
		return nil, fmt.Errorf("getUpdates: %s (an account is pulled by one process, while no webhook is set)", reason)
	case !said.OK:
		_, reason := said.refusal()
		return nil, fmt.Errorf("getUpdates: %s", reason)
	}
	var updates []json.RawMessage
	if err := json.Unmarshal(said.Result, &updates); err != nil {
		return nil, errors.New("getUpdates: the result is no list of updates")
	}
	return updates, nil
}

// cursor is where to go on, and when that was known.
func cursor(next int64, now time.Time) string {
	return strconv.FormatInt(next, 10) + "@" + strconv.FormatInt(now.Unix(), 10)
}

// offset is where to go on by a cursor; 0 where it says nothing any more. After a week without updates Telegram begins to
// count somewhere else, perhaps lower, and takes an offset that is higher for a receipt of what nobody has seen. But everything
// that an old cursor could tell to be taken is gone by then.
func offset(cursor string, now time.Time) int64 {
	next, since, _ := strings.Cut(cursor, "@")
	n, err := strconv.ParseInt(next, 10, 64)
	seconds, errSince := strconv.ParseInt(since, 10, 64)
	if err != nil || errSince != nil || n <= 0 || now.Sub(time.Unix(seconds, 0)) > keeps {
		return 0
	}
	return n
}
