package mailload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"
)

// Sender sends mails over several connections. A mail that was not acknowledged is sent again, so it goes on through
// restarts of the server.
type Sender struct {
	// Addr is the SMTP listener's address, To the recipient.
	Addr, To string
	// Connections at once.
	Connections int
	// Patience is how long a mail is tried again while the server is away; 0 gives up at once.
	Patience time.Duration
	// Progress is told now and then how many were sent; may be nil.
	Progress func(sent, all int)

	sent, refused, again atomic.Int64
}

// Sent is what became of the mails.
type Sent struct {
	Mails, Accepted, Refused, Retries int64
	Took                              time.Duration
}

func (s Sent) String() string {
	return fmt.Sprintf("mails %d, accepted %d, refused %d, tried again %d, %.1f s", s.Mails, s.Accepted, s.Refused, s.Retries, s.Took.Seconds())
}

const (
	envelopeFrom = "mailload@localhost"
	progressTick = 2 * time.Second
	pause        = 100 * time.Millisecond
)

// Send returns when every mail was accepted or refused for good.
func (s *Sender) Send(ctx context.Context, mails [][]byte) (Sent, error) {
	began := time.Now()
	queue := make(chan []byte)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		tick := time.NewTicker(progressTick)
		defer tick.Stop()
		for _, m := range mails {
			for sent := false; !sent; {
				select {
				case queue <- m:
					sent = true
				case <-tick.C:
					if s.Progress != nil {
						s.Progress(int(s.sent.Load()), len(mails))
					}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range s.Connections {
		g.Go(func() error { return s.work(ctx, queue) })
	}
	err := g.Wait()
	return Sent{int64(len(mails)), s.sent.Load(), s.refused.Load(), s.again.Load(), time.Since(began)}, err
}

func (s *Sender) work(ctx context.Context, queue <-chan []byte) error {
	var c *smtp.Client
	defer func() {
		if c != nil {
			_ = c.Quit() // every mail was acknowledged
		}
	}()
	for m := range queue {
		for deadline := time.Now().Add(s.Patience); ; {
			var err error
			if c == nil {
				c, err = smtp.Dial(s.Addr)
			}
			if err == nil {
				err = c.SendMail(envelopeFrom, []string{s.To}, bytes.NewReader(m))
			}
			if err == nil {
				s.sent.Add(1)
				break
			}
			var answer *smtp.SMTPError
			if errors.As(err, &answer) && answer.Code >= 500 {
				s.refused.Add(1)
				_ = c.Reset() // the next mail tells whether the connection is good
				break
			}
			if c != nil {
				_ = c.Close() // it is broken anyway
				c = nil
			}
			if time.Now().After(deadline) {
				return err
			}
			s.again.Add(1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	return nil
}

// Accepted is how many mails were accepted so far. It may be called while Send runs.
func (s *Sender) Accepted() int { return int(s.sent.Load()) }
