package kf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

const (
	// pageSize is how many items are asked for at once; the most that WeChat gives.
	pageSize = 1000
	// maxAnswer is how large an answer with so many may be.
	maxAnswer = 64 << 20
	// patience is how long a call may take.
	patience = time.Minute
	// atOnce is how many events are submitted at once.
	atOnce = 500
)

// codeMsgToken is the errcode for a callback's token that is not valid any more.
const codeMsgToken = 95007

// pulls keeps an account pulled until ctx ends: when it is woken, and every PollInterval. One goroutine does it, so that an account is pulled once at a time.
func (c *Channel) pulls(ctx context.Context, a *account) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = c.cfg.Backoff.First, c.cfg.Backoff.Most
	for {
		moved, err := c.pull(ctx, a)
		if ctx.Err() != nil {
			return
		}
		if moved || err == nil {
			wait.Reset()
		}
		pause, wakeup := c.cfg.PollInterval, a.wakeup
		if err != nil {
			err = fmt.Errorf("social/wechat/kf: %w", inWords(err))
			pause, wakeup = wait.NextBackOff(), nil // a callback does not mend it; it stays until then
			var later interface{ RetryAfter() time.Duration }
			if errors.As(err, &later) {
				pause = max(pause, min(later.RetryAfter(), c.cfg.Backoff.Most))
			}
			a.log.Warn("the account cannot be pulled: another try follows", "error", err, "after", pause)
		}
		a.report(err)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wakeup:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// report sets the status; one that goes on keeps its time.
func (a *account) report(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (a.status.Err == nil) != (err == nil) || errors.Is(a.status.Err, errNotYet) {
		a.status.Since = time.Now()
	}
	a.status.Err = err
}

// cursor names an account's cursor.
func (a *account) cursor() string {
	return Provider + "/" + a.Tenant + "/" + a.Inbox + "/" + a.OpenKfID
}

// page is what sync_msg answers.
type page struct {
	NextCursor string            `json:"next_cursor"`
	HasMore    int               `json:"has_more"`
	Items      []json.RawMessage `json:"msg_list"`
}

// pull takes all that there is, page by page. The cursor moves behind each page that was submitted. It tells whether it moved.
func (c *Channel) pull(ctx context.Context, a *account) (moved bool, err error) {
	select { // what wakes from here on is news
	case <-a.wakeup:
	default:
	}
	cursor, err := c.cfg.Cursors.Cursor(ctx, a.cursor())
	if err != nil {
		return false, fmt.Errorf("read the cursor: %w", err)
	}
	for {
		p, err := c.page(ctx, a, cursor)
		if err != nil {
			return moved, fmt.Errorf("pull: %w", err)
		}
		if err := c.deliver(ctx, a, p.Items); err != nil {
			return moved, fmt.Errorf("submit: %w", err)
		}
		if p.NextCursor == "" || p.NextCursor == cursor {
			if p.HasMore != 0 {
				return moved, errors.New("pull: there is said to be more, and no cursor leads there")
			}
			return moved, nil
		}
		if err := c.cfg.Cursors.MoveCursor(ctx, a.cursor(), cursor, p.NextCursor); err != nil {
			return moved, fmt.Errorf("move the cursor: %w", err)
		}
		cursor, moved = p.NextCursor, true
		if p.HasMore == 0 { // an empty page does not mean that there is no more
			return moved, nil
		}
	}
}

// page asks for a page (https://developer.work.weixin.qq.com/document/path/94670), without the callback's token where that is refused.
func (c *Channel) page(ctx context.Context, a *account, cursor string) (page, error) {
	token := c.pullToken(a)
	for {
		ask := map[string]any{"cursor": cursor, "limit": pageSize, "voice_format": 0, "open_kfid": a.OpenKfID}
		if token != "" {
			ask["token"] = token
		}
		var p page
		calling, cancel := context.WithTimeout(ctx, patience)
		err := a.api.Post(calling, "/cgi-bin/kf/sync_msg", nil, ask, &p)
		cancel()
		if refused, ok := errors.AsType[*wechat.Error](err); ok && refused.Code == codeMsgToken && token != "" {
			a.dropToken(token)
			token = ""
			continue
		}
		return p, err
	}
}

// deliver submits what items tell, and rejects those that are not understood, each by itself.
func (c *Channel) deliver(ctx context.Context, a *account, items []json.RawMessage) error {
	var batch []*eventv1.Submission
	var from []json.RawMessage // the item of each
	flush := func() error {
		err := c.submit(ctx, a, batch, from)
		batch, from = batch[:0], from[:0]
		return err
	}
	for _, raw := range items {
		submissions, err := a.readItem(raw)
		if err != nil {
			if err := c.reject(ctx, a, raw, err); err != nil {
				return err
			}
			continue
		}
		for _, s := range submissions {
			batch, from = append(batch, s), append(from, raw)
		}
		if len(batch) >= atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// submit hands events in. Where one is not acceptable, they are handed in one by one, so that only its item is rejected.
func (c *Channel) submit(ctx context.Context, a *account, batch []*eventv1.Submission, from []json.RawMessage) error {
	if len(batch) == 0 {
		return nil
	}
	_, err := c.host.Submit(ctx, a.Tenant, batch...)
	invalid, ok := errors.AsType[*event.InvalidError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return err
	case len(batch) == 1:
		return c.reject(ctx, a, from[0], invalid)
	}
	for i := range batch {
		if err := c.submit(ctx, a, batch[i:i+1], from[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Channel) reject(ctx context.Context, a *account, raw []byte, why error) error {
	a.log.Warn("an item was not understood, and is kept", "error", why)
	return c.host.Reject(ctx, channel.Rejection{Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Reason: why.Error(), Raw: raw})
}
