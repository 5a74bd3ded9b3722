package freeswitch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

// What is submitted at once, at most, and how much of a frame is kept that is rejected.
const (
	batchEvents = 256
	batchBytes  = 1 << 20
	maxKept     = 1 << 20
)

// subscription is what the channel wants to hear of. HEARTBEAT shows that nothing happened.
const subscription = "event plain HEARTBEAT CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_HOLD CHANNEL_UNHOLD" +
	" CHANNEL_HANGUP_COMPLETE MEDIA_BUG_START MEDIA_BUG_STOP RECORD_STOP%s" +
	" CUSTOM callcenter::info conference::maintenance vm::maintenance"

var (
	errAuth = errors.New("freeswitch: the switch refuses the password")
	errRude = errors.New("freeswitch: the switch refuses this address (apply-inbound-acl)")
	errGone = errors.New("freeswitch: the switch ended the connection")
)

// session is one connection.
type session struct {
	*source
	work    context.Context //nolint:containedctx // that of one connection
	conn    net.Conn
	reader  *esl.Reader
	replies []func(esl.Frame) error // what to do with the answers to come, in their order
	batch   []item
	bytes   int

	before, since time.Time       // the switch's clock before and after it was asked for events
	older         map[string]bool // calls that were under way before the connection
	suspects      []string        // those of them that the switch does not know any more
	listed        time.Time       // the switch's clock after it had said so
}

// item is what a frame gave.
type item struct {
	subs []*eventv1.Submission
	raw  []byte
	// reason says why it is rejected; empty where it is not.
	reason string
	at     time.Time
	after  func() // once it is durable
}

// follow connects and reads until the connection ends.
func (s *source) follow(ctx, work context.Context) error {
	s.readCursor(ctx)
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("freeswitch: connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // it is over
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	n := &session{source: s, work: work, conn: conn, reader: esl.NewReader(conn, s.channel.cfg.MaxFrame), older: maps.Clone(s.live)}
	err = n.read()
	if submitted := n.flush(); err == nil || submitted != nil {
		err = submitted
	}
	return err
}

func (s *source) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.channel.cfg.ReadTimeout)
	defer cancel()
	if !s.sw.TLS {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.sw.Addr)
	}
	return (&tls.Dialer{Config: s.channel.cfg.TLSConfig}).DialContext(ctx, "tcp", s.sw.Addr)
}

// read takes frame after frame. What was read is submitted before anything is waited for.
func (n *session) read() error {
	for {
		if !n.reader.Ready() || len(n.batch) >= batchEvents || n.bytes >= batchBytes {
			if err := n.flush(); err != nil {
				return err
			}
		}
		if err := n.conn.SetReadDeadline(time.Now().Add(n.channel.cfg.ReadTimeout)); err != nil {
			return fmt.Errorf("freeswitch: %w", err)
		}
		frame, err := n.reader.Next()
		switch {
		case errors.Is(err, esl.ErrFrame):
			n.add(item{reason: err.Error()})
			return fmt.Errorf("freeswitch: %w", err)
		case errors.Is(err, io.EOF):
			return errGone
		case err != nil:
			return fmt.Errorf("freeswitch: read: %w", err)
		}
		if err := n.take(frame); err != nil {
			return err
		}
	}
}

func (n *session) add(i item) {
	n.batch = append(n.batch, i)
	n.bytes += len(i.raw)
}

func (n *session) take(f esl.Frame) error {
	switch f.Type() {
	case esl.EventPlain:
		n.event(f.Body)
	case esl.AuthRequest:
		return n.send("auth "+n.sw.Password, n.authenticated)
	case esl.CommandReply, esl.APIResponse:
		if len(n.replies) == 0 {
			return fmt.Errorf("%w: an answer that nobody asked for", esl.ErrFrame)
		}
		reply := n.replies[0]
		n.replies = n.replies[1:]
		return reply(f)
	case esl.RudeRejection:
		return errRude
	case esl.DisconnectNotice:
		if f.Header.Get("Content-Disposition") != "linger" { // then more follows until the stream ends
			return errGone
		}
	default:
		n.add(item{raw: kept(f.Body), reason: fmt.Sprintf("a frame of the unknown type %.100q", f.Type())})
	}
	return nil
}

func kept(raw []byte) []byte { return bytes.Clone(raw[:min(len(raw), maxKept)]) }

// send sends a command and says what to do with its answer.
func (n *session) send(command string, reply func(esl.Frame) error) error {
	n.replies = append(n.replies, reply)
	err := n.conn.SetWriteDeadline(time.Now().Add(n.channel.cfg.ReadTimeout))
	if err == nil {
		_, err = io.WriteString(n.conn, command+"\n\n")
	}
	if err != nil {
		return fmt.Errorf("freeswitch: write: %w", err)
	}
	return nil
}

// authenticated asks for the time, for events, and for the time again: what happens from then on is told.
func (n *session) authenticated(f esl.Frame) error {
	if !strings.HasPrefix(f.Header.Get("Reply-Text"), "+OK") {
		return errAuth
	}
	return errors.Join(
		n.send("api strmicroepoch", n.clock(&n.before)),
		n.send(n.subscription(), func(f esl.Frame) error {
			if text := f.Header.Get("Reply-Text"); !strings.HasPrefix(text, "+OK") {
				return fmt.Errorf("freeswitch: the switch refuses to send events: %.100q", text)
			}
			return nil
		}),
		n.send("api strmicroepoch", func(f esl.Frame) error {
			if err := n.clock(&n.since)(f); err != nil {
				return err
			}
			n.channel.metrics.connections.WithLabelValues(n.sw.Addr).Inc()
			n.report(nil)
			return n.reconcile()
		}),
	)
}

func (n *session) subscription() string {
	dialplan := ""
	if n.sw.Dialplan {
		dialplan = " CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE"
	}
	return fmt.Sprintf(subscription, dialplan)
}

func (*session) clock(at *time.Time) func(esl.Frame) error {
	return func(f esl.Frame) error {
		stated, ok := micros(string(f.Body))
		if !ok {
			return fmt.Errorf("freeswitch: the switch does not tell its time but %.100q", f.Body)
		}
		*at = stated
		return nil
	}
}

func (n *session) event(body []byte) {
	n.channel.metrics.events.WithLabelValues(n.sw.Addr).Inc()
	e, err := esl.ParseEvent(body)
	var subs []*eventv1.Submission
	if err == nil {
		subs, err = n.book.submissions(e)
	}
	i := item{subs: n.stamp(subs)}
	i.at, _ = micros(e.Get("Event-Date-Timestamp"))
	if err != nil {
		i.reason = err.Error()
	} else {
		n.remember(e)
	}
	if err != nil || len(subs) > 0 {
		i.raw = kept(body)
	}
	if e.Get("Event-Name") == "HEARTBEAT" {
		i.after = func() { n.keepCursor(n.work) }
	}
	n.add(i)
	n.settle(i.at)
}

// stamp puts the inbox into submissions.
func (s *source) stamp(subs []*eventv1.Submission) []*eventv1.Submission {
	for _, sub := range subs {
		sub.Inbox = s.sw.Inbox
	}
	return subs
}

// flush makes everything that was read durable.
func (n *session) flush() error {
	batch := n.batch
	n.batch, n.bytes = nil, 0
	var all []*eventv1.Submission
	for _, i := range batch {
		all = append(all, i.subs...)
	}
	alone := n.submit(all) // one bad event must not take the others along
	for _, i := range batch {
		reason := i.reason
		if alone != nil && n.work.Err() == nil {
			if err := n.submit(i.subs); err != nil {
				reason = err.Error()
			}
		}
		if reason != "" {
			if err := n.reject(i.raw, reason); err != nil {
				return err
			}
		}
		if n.work.Err() != nil {
			return fmt.Errorf("freeswitch: submit: %w", n.work.Err())
		}
		if !i.at.IsZero() {
			n.last = i.at
		}
		if i.after != nil {
			i.after()
		}
	}
	return nil
}

// submit returns nil, or the error that another try would not help.
func (n *session) submit(subs []*eventv1.Submission) error {
	if len(subs) == 0 {
		return nil
	}
	return n.persist(func() error {
		_, err := n.channel.host.Submit(n.work, n.sw.Tenant, subs...)
		return err
	})
}

func (n *session) reject(raw []byte, reason string) error {
	n.channel.metrics.dead.WithLabelValues(n.sw.Addr).Inc()
	err := n.persist(func() error {
		return n.channel.host.Reject(n.work, channel.Rejection{
			Tenant: n.sw.Tenant, Provider: Provider, Inbox: n.sw.Inbox, Reason: reason, Raw: raw,
		})
	})
	if err != nil {
		return fmt.Errorf("freeswitch: reject: %w", err)
	}
	return nil
}

// persist tries for as long as another try may help.
func (n *session) persist(try func() error) error {
	_, err := backoff.Retry(n.work, func() (struct{}, error) {
		err := try()
		if err != nil && !errors.Is(err, channel.ErrRetry) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(n.channel.cfg.Backoff()), backoff.WithMaxElapsedTime(0))
	return err
}

func (s *source) readCursor(ctx context.Context) {
	if s.cursorRead || s.channel.cfg.Cursors == nil {
		return
	}
	stored, err := s.channel.cfg.Cursors.Cursor(ctx, s.cursorName())
	if err != nil {
		s.log.Warn("the last moment before the restart is not known yet", "error", err)
		return
	}
	s.cursor, s.cursorRead = stored, true
	if at, ok := micros(stored); ok && s.last.IsZero() && s.gapFrom.IsZero() {
		s.gapFrom = at
	}
}

func (s *source) cursorName() string { return name + "/" + s.name }

// keepCursor stores the last moment that is complete: none after a gap that was not told. That it fails costs no more than a
// longer gap after a restart.
func (s *source) keepCursor(ctx context.Context) {
	at := s.last
	if !s.gapFrom.IsZero() && s.gapFrom.Before(at) {
		at = s.gapFrom
	}
	if s.channel.cfg.Cursors == nil || !s.cursorRead || at.IsZero() {
		return
	}
	is := strconv.FormatInt(at.UnixMicro(), 10)
	err := s.channel.cfg.Cursors.MoveCursor(ctx, s.cursorName(), s.cursor, is)
	switch {
	case err == nil:
		s.cursor = is
	case errors.Is(err, channel.ErrCursorMoved):
		if s.cursor, err = s.channel.cfg.Cursors.Cursor(ctx, s.cursorName()); err == nil {
			return // another process listens, too
		}
		fallthrough
	default:
		s.log.Debug("the last moment was not kept", "error", err)
	}
}
