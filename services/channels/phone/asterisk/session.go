package asterisk

import (
	"context"
	"crypto/md5" //nolint:gosec // the challenge of AMI is made with it
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	// overlap is how long before the answer to a ping everything was certainly told: what happens while it is answered comes
	// behind it.
	overlap = time.Second
	// maxBatch is how many blocks are handed in at once.
	maxBatch = 256
	// The questions of a session, by the begin of their action ids.
	idLogin    = "skein-login"
	idPing     = "skein-ping"
	idBegin    = "skein-begin"
	idChannels = "skein-channels"
	idQueues   = "skein-queues"
	idSettled  = "skein-settled"
)

// session is a connection that is logged in.
type session struct {
	*line
	conn    net.Conn
	blocks  *reader
	gap     gap
	pending []item
	upTo    time.Time // the latest time among what is pending
	joined  joins
}

// connect connects to the switch, logs in, and takes what it tells until the connection breaks or ctx ends. It calls
// connected once it is logged in.
func (l *line) connect(ctx, work context.Context, connected func()) error {
	conn, err := l.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()                                          //nolint:errcheck // nothing is lost by it
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends whatever waits
	s := &session{line: l, conn: conn}
	s.blocks = newReader(patient{conn, 3 * l.cfg.KeepAlive})
	if err := s.login(); err != nil {
		return err
	}
	connected()
	l.report(nil)
	l.log.Info("connected to the switch")
	alive, stop := context.WithCancel(ctx)
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		s.ping(alive)
	}()
	defer func() {
		stop()
		_ = conn.Close() // a ping may be stuck in it
		<-pinged
	}()
	return s.take(ctx, work)
}

func (l *line) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var (
		conn net.Conn
		err  error
	)
	if dialer := (&net.Dialer{}); l.TLS {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: l.TLSConfig}).DialContext(ctx, "tcp", l.Addr)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", l.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("asterisk: connect: %w", err)
	}
	return conn, nil
}

// patient waits for a connection's next bytes for so long, and no longer.
type patient struct {
	net.Conn
	patience time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(p.patience)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// ask sends an action. Keys and values are ours or were checked to be of one line.
func (s *session) ask(action, id string, fields ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Action: %s\r\nActionID: %s\r\n", action, id)
	for i := 0; i+1 < len(fields); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", fields[i], fields[i+1])
	}
	b.WriteString("\r\n")
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("asterisk: %s: %w", action, err)
	}
	if _, err := s.conn.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("asterisk: %s: %w", action, err)
	}
	return nil
}

// answer reads up to the response to an action. Events before it cannot be: nothing is told before the login.
func (s *session) answer(id string) (*block, error) {
	for {
		b, err := s.blocks.next()
		if err != nil {
			return nil, fmt.Errorf("asterisk: log in: %w", err)
		}
		if b.get("Response") != "" && (b.get("ActionID") == id || b.get("ActionID") == "") {
			return b, nil
		}
	}
}

// login reads the greeting and logs in. The switch's words of a refusal go into the error, ours do not.
func (s *session) login() error {
	greeting, _, err := s.blocks.line()
	if err != nil {
		return fmt.Errorf("asterisk: read the greeting: %w", err)
	}
	if !strings.Contains(string(greeting), "Call Manager/") {
		return errors.New("asterisk: what answers is no manager interface of Asterisk")
	}
	proof := []string{"Secret", s.Secret}
	if s.AuthType == MD5 {
		if err := s.ask("Challenge", idLogin+"-challenge", "AuthType", "MD5"); err != nil {
			return err
		}
		b, err := s.answer(idLogin + "-challenge")
		if err != nil {
			return err
		}
		challenge := b.get("Challenge")
		if challenge == "" {
			return fmt.Errorf("asterisk: the switch gives no challenge: %s", b.get("Message"))
		}
		sum := md5.Sum([]byte(challenge + s.Secret)) //nolint:gosec // as AMI wants it
		proof = []string{"AuthType", "MD5", "Key", hex.EncodeToString(sum[:])}
	}
	if err := s.ask("Login", idLogin, append([]string{"Username", s.Username, "Events", "on"}, proof...)...); err != nil {
		return err
	}
	b, err := s.answer(idLogin)
	if err != nil {
		return err
	}
	if b.get("Response") != "Success" {
		return fmt.Errorf("asterisk: the switch refuses the login: %s", b.get("Message"))
	}
	return nil
}

// ping asks the switch for its time, again and again; a switch that does not answer is left by whoever reads.
func (s *session) ping(ctx context.Context) {
	tick := time.NewTicker(s.cfg.KeepAlive)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := s.ask("Ping", idPing+strconv.Itoa(n)); err != nil {
			_ = s.conn.Close() // ends the reading
			return
		}
	}
}

// take reads blocks and hands them in. It reads on only when what it has read is durable: what is too much then waits in
// the switch, which drops us when that is too much for it.
func (s *session) take(ctx, work context.Context) error {
	s.gap.begin(s.line)
	if err := s.ask("Ping", idBegin); err != nil {
		return err
	}
	for {
		b, err := s.blocks.next()
		if err != nil {
			if err := s.flush(ctx, work); err != nil {
				return err
			}
			return fmt.Errorf("asterisk: read: %w", err)
		}
		pong, err := s.accept(b)
		if err != nil {
			return err
		}
		if len(s.pending) < maxBatch && s.blocks.ready() && !pong {
			continue
		}
		if err := s.flush(ctx, work); err != nil {
			return err
		}
		if pong {
			s.save(work)
		}
	}
}

// flush hands in what is pending.
func (s *session) flush(ctx, work context.Context) error {
	if err := s.deliver(ctx, work, s.pending); err != nil {
		return fmt.Errorf("asterisk: hand in: %w", err)
	}
	s.pending = s.pending[:0]
	if s.upTo.After(s.last) {
		s.last = s.upTo
	}
	return nil
}

// accept takes a block in; pong tells that it is the switch's time.
func (s *session) accept(b *block) (pong bool, err error) {
	id := b.get("ActionID")
	switch {
	case b.get("Response") != "" && strings.HasPrefix(id, "skein-"):
		pong = strings.HasPrefix(id, idPing) || id == idBegin || id == idSettled
		if !pong {
			return false, nil // a list follows, or there is none
		}
		at := b.time()
		if at.IsZero() {
			at = s.cfg.Now()
		}
		s.upTo = later(s.upTo, at.Add(-overlap))
		switch id {
		case idBegin:
			return true, s.began(b, at)
		case idSettled:
			s.settled(b)
		}
		return true, nil
	case strings.HasPrefix(id, idChannels), strings.HasPrefix(id, idQueues):
		return false, s.listed(b)
	case b.get("Event") == "":
		return false, nil
	}
	it := s.item(b)
	it.submissions = slices.DeleteFunc(it.submissions, s.joined.again)
	s.took(it.submissions)
	if strings.EqualFold(b.get("Event"), "Hangup") {
		delete(s.open, b.get("Uniqueid")) // the first channel of a call that an older one has taken up
	}
	s.pending = append(s.pending, it)
	if len(it.submissions) == 0 {
		return false, nil // its time may be anybody's: of a UserEvent
	}
	at := b.time()
	s.upTo = later(s.upTo, at)
	if at.IsZero() && !s.warned {
		s.warned = true
		s.log.Warn("the switch states no times: set timestampevents=yes in its manager.conf")
	}
	return false, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
