package chat

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
)

// settle is how long a poll that has something to tell waits for more.
const settle = 50 * time.Millisecond

// post answers POST messages: success means that the log has what the frame says. One without a type is a message.
func (c *Channel) post(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
	who, p := c.authenticate(wd, r)
	if p != nil {
		return p
	}
	raw, p := readBody(w, r)
	if p != nil {
		return p
	}
	in, p := decodeFrame(raw, frameMessage)
	if p != nil {
		return p
	}
	if in.told == nil {
		return badFrame("a frame of this type tells nothing that is stored; there are " + strings.Join(frameTypes(), ", "))
	}
	if p := in.check(wd, who); p != nil {
		return p
	}
	if p := c.visitors.allow(who); p != nil {
		p.ID = in.ID
		return p
	}
	done := c.submit(r.Context(), wd, who, in)[0]
	if done.problem == nil {
		writeJSON(w, http.StatusOK, done.ack)
	}
	return done.problem
}

// poll answers GET events: what there is, or what comes within the time of a poll. The answer is written as it grows, since
// a history may be long.
func (c *Channel) poll(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
	who, p := c.authenticate(wd, r)
	if p != nil {
		return p
	}
	if p := c.visitors.allow(who); p != nil {
		return p
	}
	_, leave, p := c.visitors.connect(who)
	if p != nil {
		return p
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-c.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer := pollAnswer{w: w, timeout: c.limits.Write, cursor: r.URL.Query().Get("cursor")}
	enough := time.AfterFunc(c.limits.Poll, cancel)
	defer enough.Stop()
	err := c.cfg.Follower.Follow(ctx, who.thread(), answer.cursor, func(filed channel.Filed) error {
		if f, ok := visible(filed, wd, who); ok {
			c.metrics.events.Inc()
			if err := answer.add(f); err != nil {
				return err
			}
		}
		if filed.Cursor != "" {
			if answer.cursor = filed.Cursor; answer.events > 0 {
				enough.Reset(settle)
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, channel.ErrStaleCursor) && answer.events == 0:
		c.metrics.resets.Inc()
		return newProblem(http.StatusGone, "stale_cursor", "this cursor is too old, or none: ask without one for the whole history")
	case ctx.Err() == nil && answer.events == 0:
		c.log.Warn("a thread cannot be read now", "error", err)
		return unavailable("the thread cannot be read now: try again after retry_after seconds", retryAfter)
	}
	answer.end()
	return nil
}

// pollAnswer writes {"events":[...],"cursor":"..."}.
type pollAnswer struct {
	w       http.ResponseWriter
	timeout time.Duration
	cursor  string
	events  int
}

func (a *pollAnswer) add(f eventFrame) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(a.timeout)) // every server of net/http can
	if a.events++; a.events == 1 {
		a.begin()
	} else {
		body = append([]byte{','}, body...)
	}
	_, err = a.w.Write(body)
	return err
}

func (a *pollAnswer) begin() {
	a.w.Header().Set("Content-Type", "application/json")
	a.w.Header().Set("Cache-Control", "no-store")
	_, _ = a.w.Write([]byte(`{"events":[`)) // what follows tells whether the caller is there
}

func (a *pollAnswer) end() {
	if a.events == 0 {
		a.begin()
	}
	cursor, err := json.Marshal(a.cursor)
	if err == nil { // a string always can
		_, _ = a.w.Write(append(append([]byte(`],"cursor":`), cursor...), "}\n"...)) // the caller may be gone
	}
}
