package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"
)

// sender sends mails over several connections.
type sender struct {
	addr, to    string
	connections int
	patience    time.Duration

	sent, refused, again atomic.Int64
}

const (
	envelopeFrom = "mailload@localhost"
	progressTick = 2 * time.Second
	pause        = 100 * time.Millisecond
)

func (s *sender) send(ctx context.Context, mails [][]byte) error {
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
					fmt.Fprintf(os.Stderr, "%d of %d mails sent\n", s.sent.Load(), len(mails))
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range s.connections {
		g.Go(func() error { return s.work(ctx, queue) })
	}
	err := g.Wait()
	fmt.Printf("mails %d, accepted %d, refused %d, tried again %d, %.1f s\n",
		len(mails), s.sent.Load(), s.refused.Load(), s.again.Load(), time.Since(began).Seconds())
	return err
}

func (s *sender) work(ctx context.Context, queue <-chan []byte) error {
	var c *smtp.Client
	defer func() {
		if c != nil {
			_ = c.Quit() // every mail was acknowledged
		}
	}()
	for m := range queue {
		for deadline := time.Now().Add(s.patience); ; {
			var err error
			if c == nil {
				c, err = smtp.Dial(s.addr)
			}
			if err == nil {
				err = c.SendMail(envelopeFrom, []string{s.to}, bytes.NewReader(m))
			}
			if err == nil {
				s.sent.Add(1)
				break
			}
			var answer *smtp.SMTPError
			if errors.As(err, &answer) && answer.Code >= 500 {
				s.refused.Add(1)
				fmt.Fprintf(os.Stderr, "refused: %v\n", err)
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
