// Package amitest is a switch for tests: the manager interface of Asterisk over real TCP, which tells what a test gives it
// and misbehaves as a test wants. Its clock stands still, but for a minute at each login.
package amitest

import (
	"bufio"
	"context"
	"crypto/md5" //nolint:gosec // the challenge of AMI is made with it
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what a Switch is like.
type Options struct {
	// Username and Secret of the only account.
	Username, Secret string
	// TLS, where it is given.
	TLS *tls.Config
	// Version in the greeting; 7.0.3 unless set.
	Version string
	// WriteTimeout is how long a listener may take until it is dropped; 10 s unless set. Asterisk waits for 0.1 s.
	WriteTimeout time.Duration
	// LF ends lines without CR.
	LF bool
}

// patience is how long anything may take.
const patience = time.Minute

// Switch is an Asterisk that listens on a port of this machine.
type Switch struct {
	options Options
	socket  net.Listener

	mu       sync.Mutex
	conns    map[*conn]bool // and whether it is logged in
	changed  chan struct{}  // closed at the next change
	channels string
	queues   string
	now      time.Time
	logins   int
	refused  int
	pings    int
	lists    int
	mute     bool
	running  sync.WaitGroup
}

// conn is a connection of somebody who listens.
type conn struct {
	net.Conn
	writing sync.Mutex
}

// New starts a switch, which ends with the test.
func New(t *testing.T, o Options) *Switch {
	t.Helper()
	if o.Version == "" {
		o.Version = "7.0.3"
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.TLS != nil {
		socket = tls.NewListener(socket, o.TLS)
	}
	s := &Switch{
		options: o, socket: socket, conns: map[*conn]bool{}, changed: make(chan struct{}),
		now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	}
	s.running.Go(s.accept)
	t.Cleanup(func() {
		_ = socket.Close()
		s.drop()
		s.running.Wait()
	})
	return s
}

// Addr is where it listens.
func (s *Switch) Addr() string { return s.socket.Addr().String() }

func (s *Switch) accept() {
	for {
		socket, err := s.socket.Accept()
		if err != nil {
			return
		}
		c := &conn{Conn: socket}
		s.change(func() { s.conns[c] = false })
		s.running.Go(func() {
			s.serve(c)
			_ = c.Close()
			s.change(func() { delete(s.conns, c) })
		})
	}
}

// change changes the state and wakes those who wait for it.
func (s *Switch) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until a condition on the state holds, which is asked under the lock.
func (s *Switch) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		s.mu.Lock()
		ok, changed := holds(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("amitest: waited for %s", what)
		}
	}
}

// AwaitLogins waits until somebody has logged in for the n-th time.
func (s *Switch) AwaitLogins(t *testing.T, n int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d logins", n), func() bool { return s.logins >= n })
}

// AwaitRefusals waits until n logins were refused.
func (s *Switch) AwaitRefusals(t *testing.T, n int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d refusals", n), func() bool { return s.refused >= n })
}

// AwaitPings waits until n pings were answered.
func (s *Switch) AwaitPings(t *testing.T, n int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d pings", n), func() bool { return s.pings >= n })
}

// AwaitLists waits until n lists were answered; the first is asked for by who has just logged in.
func (s *Switch) AwaitLists(t *testing.T, n int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d lists", n), func() bool { return s.lists >= n })
}

// Listeners waits until exactly n are logged in.
func (s *Switch) Listeners(t *testing.T, n int) {
	t.Helper()
	s.await(t, fmt.Sprintf("%d listeners", n), func() bool { return len(s.listening()) == n })
}

// listening are the connections that are logged in; under the lock.
func (s *Switch) listening() []*conn {
	var all []*conn
	for c, in := range s.conns {
		if in {
			all = append(all, c)
		}
	}
	return all
}

// serve answers what one connection asks.
func (s *Switch) serve(c *conn) {
	if s.write(c, "Asterisk Call Manager/"+s.options.Version+"\r\n") != nil {
		return
	}
	const challenge = "145769581"
	for in := textproto.NewReader(bufio.NewReader(c)); ; {
		action, err := in.ReadMIMEHeader()
		if err != nil {
			return
		}
		s.mu.Lock()
		mute := s.mute
		s.mu.Unlock()
		if mute {
			continue
		}
		id := action.Get("Actionid")
		switch strings.ToLower(action.Get("Action")) {
		case "challenge":
			err = s.write(c, respond(id, "Success", "Challenge: "+challenge))
		case "login":
			key := md5.Sum([]byte(challenge + s.options.Secret)) //nolint:gosec // as AMI wants it
			known := action.Get("Username") == s.options.Username
			plain := action.Get("Authtype") == "" && action.Get("Secret") == s.options.Secret
			hashed := strings.EqualFold(action.Get("Authtype"), "MD5") && action.Get("Key") == hex.EncodeToString(key[:])
			if !known || !plain && !hashed {
				_ = s.write(c, respond(id, "Error", "Message: Authentication failed"))
				s.change(func() { s.refused++ })
				return
			}
			err = s.write(c, respond(id, "Success", "Message: Authentication accepted")+"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n")
			s.change(func() { s.conns[c], s.logins, s.now = true, s.logins+1, s.now.Add(time.Minute) })
		case "ping":
			s.mu.Lock()
			now := s.now
			s.mu.Unlock()
			err = s.write(c, respond(id, "Success", "Ping: Pong", fmt.Sprintf("Timestamp: %d.%06d", now.Unix(), now.Nanosecond()/1000)))
			s.change(func() { s.pings++ })
		case "coreshowchannels":
			err = s.list(c, id, &s.channels, "Event: CoreShowChannelsComplete\nEventList: Complete")
		case "queuestatus":
			err = s.list(c, id, &s.queues, "Event: QueueStatusComplete\nEventList: Complete")
		default:
			err = s.write(c, respond(id, "Error", "Message: Invalid/unknown command"))
		}
		if err != nil {
			return
		}
	}
}

func respond(id, response string, lines ...string) string {
	return "Response: " + response + "\r\nActionID: " + id + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// list answers with the blocks of a list.
func (s *Switch) list(c *conn, id string, of *string, complete string) error {
	s.mu.Lock()
	blocks := *of
	s.mu.Unlock()
	var all strings.Builder
	all.WriteString(respond(id, "Success", "EventList: start", "Message: A list will follow"))
	for b := range strings.SplitSeq(strings.TrimSpace(blocks), "\n\n") {
		if b = strings.TrimSpace(b); b != "" {
			all.WriteString(wire(b) + "\r\nActionID: " + id + "\r\n\r\n")
		}
	}
	err := s.write(c, all.String()+wire(complete)+"\r\nActionID: "+id+"\r\n\r\n")
	s.change(func() { s.lists++ })
	return err
}

func wire(lines string) string { return strings.ReplaceAll(lines, "\n", "\r\n") }

// write drops a connection that does not take it in time.
func (s *Switch) write(c *conn, text string) error {
	if s.options.LF {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.SetWriteDeadline(time.Now().Add(s.options.WriteTimeout))
	if err == nil {
		_, err = io.WriteString(c, text)
	}
	if err != nil {
		_ = c.Close() // which ends its reading
		return fmt.Errorf("amitest: tell: %w", err)
	}
	return nil
}

// Stand sets what CoreShowChannels and QueueStatus answer: blocks, with an empty line between them.
func (s *Switch) Stand(channels, queues string) {
	s.change(func() { s.channels, s.queues = channels, queues })
}

// Mute makes it take actions and answer none; the connections stand.
func (s *Switch) Mute(mute bool) { s.change(func() { s.mute = mute }) }

// Play tells a transcript to all who listen, and waits until there is somebody. Of a recording it leaves out what the other
// side had said (blocks that begin with Action) and the greeting; lines that begin with # are remarks.
func (s *Switch) Play(t *testing.T, transcript string) {
	t.Helper()
	s.await(t, "a listener", func() bool { return len(s.listening()) > 0 })
	if err := s.Send(events(transcript)); err != nil {
		t.Fatal(err)
	}
}

// Send tells bytes as they are to all who listen. The error says that one was dropped.
func (s *Switch) Send(text string) error {
	s.mu.Lock()
	listening := s.listening()
	s.mu.Unlock()
	var errs []error
	for _, c := range listening {
		errs = append(errs, s.write(c, text))
	}
	return errors.Join(errs...)
}

// events makes of a transcript what the switch said.
func events(transcript string) string {
	var all strings.Builder
	var block []string
	flush := func() {
		if len(block) > 0 && !strings.HasPrefix(strings.ToLower(block[0]), "action:") {
			all.WriteString(strings.Join(block, "\r\n") + "\r\n\r\n")
		}
		block = nil
	}
	command := false
	for line := range strings.SplitSeq(transcript, "\n") {
		line = strings.TrimSuffix(line, "\r")
		switch {
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, "Asterisk Call Manager/"):
			continue
		case strings.TrimSpace(line) == "" && !command:
			flush()
			continue
		}
		command = command && line != "--END COMMAND--" || line == "Response: Follows"
		block = append(block, line)
	}
	flush()
	return all.String()
}

// Cut cuts the connections in the middle of a line.
func (s *Switch) Cut() {
	_ = s.Send("Event: Hangup\r\nChannel: PJSIP/trunk-00") // who is dropped by this is cut as well
	s.drop()
}

// drop ends the connections that there are; none of them counts as a listener any more.
func (s *Switch) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
		s.conns[c] = false
	}
}
