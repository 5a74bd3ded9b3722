package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/a-h/templ"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// streamType is what a stream of news is: https://html.spec.whatwg.org/multipage/server-sent-events.html.
const streamType = "text/event-stream"

// breath is how often a stream without news shows that it is alive; the page's script waits three times as long.
const breath = 15 * time.Second

// reading is how long a browser may take for one message. Behind it waits no more than what the network holds.
const reading = 20 * time.Second

// opening is how long a stream may fail before it counts as open: until then its error is an answer like any other.
const opening = 300 * time.Millisecond

// longest is how long a stream goes on at most: whoever opens the next one is asked for the session again.
const longest = time.Hour

// News is one message of a stream: parts that take the places of those with the same id, or are put where they say (see console.js).
type News struct {
	// Cursor is where to go on behind it; empty keeps the one before.
	Cursor string
	// Parts of the page; none only moves the cursor on.
	Parts []templ.Component
	// Again says that the page must be loaded anew.
	Again bool
}

// Stream answers with news as they come, until the person goes, the server stops or follow returns. The page's script connects again and states the
// cursor of the last message. follow calls send from one goroutine, ends with send's error, and has ended when Stream returns.
func (c *Call) Stream(follow func(ctx context.Context, cursor string, send func(News) error) error) error {
	ctx, cancel := context.WithCancel(c.ctx)
	news := make(chan News)
	ended := make(chan error, 1)
	cursor := c.R.FormValue("cursor")
	go func() {
		ended <- survived(func() error {
			return follow(ctx, cursor, func(n News) error {
				select {
				case news <- n:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}()
	err, over := c.pass(ctx, news, ended)
	cancel()
	if !over {
		<-ended //nolint:errcheck // it ends because of that
	}
	return err
}

// survived is what follow ends with; that it panics ends its stream only.
func survived(follow func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("it panicked: %v\n%s", cause, debug.Stack())
		}
	}()
	return follow()
}

// pass hands on what follow sends, and tells whether follow has ended.
func (c *Call) pass(ctx context.Context, news <-chan News, ended <-chan error) (err error, over bool) {
	c.site.metrics.streams.Inc()
	defer c.site.metrics.streams.Dec()
	out := &stream{w: c.W, control: http.NewResponseController(c.W), reading: c.site.reading}
	alive := time.NewTimer(opening)
	defer alive.Stop()
	enough := time.NewTimer(longest)
	defer enough.Stop()
	for err == nil {
		select {
		case n := <-news:
			err = out.send(ctx, n)
			alive.Reset(breath)
		case <-alive.C:
			alive.Reset(breath)
			err = out.write("event: alive\ndata:\n\n")
		case err := <-ended:
			return c.over(out, err), true
		case <-ctx.Done():
			return nil, false
		case <-enough.C:
			return nil, false
		case <-c.site.over:
			if !out.begun {
				return errOver, false
			}
			return nil, false
		}
	}
	return nil, false // the person is gone, or reads too slowly
}

var errOver = status.Error(codes.Unavailable, "the server stops")

// over ends a stream. What failed before anything was sent is an answer like any other; a page that lies too far back is loaded anew.
func (c *Call) over(out *stream, err error) error {
	switch code := status.Code(err); {
	case code == codes.OutOfRange:
		return c.drawn(out.send(c.ctx, News{Again: true}))
	case err != nil && !out.begun:
		return err
	case err == nil || errors.Is(err, context.Canceled) || code == codes.Unavailable || code == codes.Canceled:
		return nil // it connects again
	}
	c.site.logger.WarnContext(c.ctx, "a stream of the console ended", "path", c.R.URL.Path, "err", err)
	return nil
}

type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	reading time.Duration
	begun   bool
}

func (s *stream) send(ctx context.Context, n News) error {
	var b bytes.Buffer
	if n.Cursor != "" {
		fmt.Fprintf(&b, "id: %s\n", n.Cursor)
	}
	if n.Again {
		b.WriteString("event: again\ndata:\n\n")
		return s.write(b.String())
	}
	var html bytes.Buffer
	if err := templ.Join(n.Parts...).Render(ctx, &html); err != nil {
		return err
	}
	if html.Len() == 0 {
		b.WriteString("event: checkpoint\n")
	}
	for line := range bytes.Lines(html.Bytes()) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	if html.Len() == 0 {
		b.WriteString("data:\n")
	}
	b.WriteByte('\n')
	return s.write(b.String())
}

func (s *stream) write(text string) error {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", streamType)
		s.w.Header().Set("X-Accel-Buffering", "no") // a proxy before this must not wait for more
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(s.reading)); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	return s.control.SetWriteDeadline(time.Time{})
}
