// Package esltest is a FreeSWITCH's event socket over real TCP, for tests: it lets in or refuses, tells stories, breaks off in
// the middle of a frame, and answers the few commands that a listener sends.
package esltest

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long anything may take.
const Patience = time.Minute

// Switch is one. It is safe for concurrent use.
type Switch struct {
	socket net.Listener

	mu          sync.Mutex
	password    string
	rude        bool
	answers     map[string]string // by command
	rows        []map[string]string
	now         time.Time
	conns       map[*conn]bool // true once it is subscribed
	commands    []string
	changed     chan struct{} // closed at the next change
	connections int
}

type conn struct {
	net.Conn
	writing sync.Mutex
}

// New starts a switch. It ends with the test.
func New(t testing.TB, password string) *Switch {
	t.Helper()
	return NewTLS(t, password, nil)
}

// NewTLS starts a switch behind TLS; without a configuration there is none.
func NewTLS(t testing.TB, password string, cfg *tls.Config) *Switch {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cfg != nil {
		socket = tls.NewListener(socket, cfg)
	}
	s := &Switch{
		socket: socket, password: password, answers: map[string]string{}, conns: map[*conn]bool{}, changed: make(chan struct{}),
		now: time.Date(2026, 2, 2, 9, 0, 0, 0, time.UTC),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.accept()
	}()
	t.Cleanup(func() {
		socket.Close()
		<-ended
		s.hangUp()
	})
	return s
}

// Addr is where it listens.
func (s *Switch) Addr() string { return s.socket.Addr().String() }

// SetPassword changes the password for the connections to come.
func (s *Switch) SetPassword(password string) { s.change(func() { s.password = password }) }

// SetRude makes the switch refuse every address, or none.
func (s *Switch) SetRude(rude bool) { s.change(func() { s.rude = rude }) }

// SetClock sets what the switch takes the time to be. Each event that is told sets it, too.
func (s *Switch) SetClock(now time.Time) { s.change(func() { s.now = now }) }

// Answer sets what an api command is answered with. "show channels as json" follows from what happened unless it is set.
func (s *Switch) Answer(command, body string) { s.change(func() { s.answers["api "+command] = body }) }

// Connections is how many there were.
func (s *Switch) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Commands are those that it was given, on all connections.
func (s *Switch) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

func (s *Switch) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Await waits until something is so.
func (s *Switch) Await(t testing.TB, what string, is func() bool) {
	t.Helper()
	late := time.After(Patience)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("esltest: no %s", what)
		}
	}
}

// Subscribed tells how many listen.
func (s *Switch) Subscribed() int { return len(s.listeners()) }

func (s *Switch) listeners() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*conn
	for c, subscribed := range s.conns {
		if subscribed {
			all = append(all, c)
		}
	}
	return all
}

// Happen lets events happen that nobody is told of.
func (s *Switch) Happen(events ...Event) {
	s.change(func() {
		for _, e := range events {
			s.happened(e)
		}
	})
}

// Tell waits until somebody listens and tells events to all who do.
func (s *Switch) Tell(t testing.TB, events ...Event) {
	t.Helper()
	s.Await(t, "listener", func() bool { return s.Subscribed() > 0 })
	s.Happen(events...)
	for _, c := range s.listeners() {
		for _, e := range events {
			c.send(e.Frame())
		}
	}
}

// Send sends bytes to all who listen, and gives how many the first one did not take within a moment: its reader has stopped.
func (s *Switch) Send(t testing.TB, raw string, moment time.Duration) (rest string) {
	t.Helper()
	s.Await(t, "listener", func() bool { return s.Subscribed() > 0 })
	for _, c := range s.listeners() {
		rest = c.sendWithin(raw, moment)
	}
	return rest
}

// Cut ends all connections within a frame.
func (s *Switch) Cut(t testing.TB) {
	t.Helper()
	for _, c := range s.listeners() {
		c.send("Content-Length: 900\nContent-Type: text/event-plain\n\nEvent-Name: CHANNEL_CREATE\nUniq")
	}
	s.hangUp()
}

// Goodbye says that the connections are over. With linger it goes on telling until they are closed.
func (s *Switch) Goodbye(linger bool) {
	for _, c := range s.listeners() {
		disposition := "disconnect"
		if linger {
			disposition = "linger"
		}
		c.send(fmt.Sprintf("Content-Type: text/disconnect-notice\nContent-Disposition: %s\nContent-Length: %d\n\n%s", disposition, len(goodbye), goodbye))
	}
	if !linger {
		s.hangUp()
	}
}

const goodbye = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"

func (s *Switch) hangUp() {
	s.change(func() {
		for c := range s.conns {
			c.Close()
			delete(s.conns, c)
		}
	})
}

func (s *Switch) accept() {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		raw, err := s.socket.Accept()
		if err != nil {
			return
		}
		c := &conn{Conn: raw}
		s.change(func() { s.conns[c] = false; s.connections++ })
		serving.Go(func() {
			s.serve(c)
			c.Close()
			s.change(func() { delete(s.conns, c) })
		})
	}
}

func (s *Switch) serve(c *conn) {
	s.mu.Lock()
	rude, password := s.rude, s.password
	s.mu.Unlock()
	if rude {
		const no = "Access Denied, go away.\n"
		c.send(fmt.Sprintf("Content-Type: text/rude-rejection\nContent-Length: %d\n\n%s", len(no), no))
		return
	}
	c.send("Content-Type: auth/request\n\n")
	for r, in := bufio.NewReader(c), false; ; {
		command, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command = strings.TrimSpace(command)
		switch {
		case command == "":
			continue
		case strings.HasPrefix(command, "auth "):
			if command != "auth "+password {
				c.send("Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")
				c.send(fmt.Sprintf("Content-Type: text/disconnect-notice\nContent-Length: %d\n\n%s", len(goodbye), goodbye))
				return
			}
			in = true
			c.send("Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
			continue
		case !in:
			c.send("Content-Type: command/reply\nReply-Text: -ERR command not found\n\n")
		case strings.HasPrefix(command, "event plain "):
			c.send("Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n")
		case strings.HasPrefix(command, "api "):
			body := s.api(command)
			c.send(fmt.Sprintf("Content-Type: api/response\nContent-Length: %d\n\n%s", len(body), body))
		}
		s.change(func() {
			s.commands = append(s.commands, command)
			if s.conns[c] || strings.HasPrefix(command, "event plain ") {
				s.conns[c] = true
			}
		})
	}
}

func (s *Switch) api(command string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if body, ok := s.answers[command]; ok {
		return body
	}
	switch command {
	case "api strmicroepoch":
		return strconv.FormatInt(s.now.UnixMicro(), 10)
	case "api show channels as json":
		list := map[string]any{"row_count": len(s.rows)}
		if len(s.rows) > 0 {
			list["rows"] = s.rows
		}
		body, err := json.Marshal(list)
		if err != nil {
			return err.Error()
		}
		return string(body) + "\n"
	}
	return "-ERR " + strings.Fields(command)[1] + " Command not found!\n"
}

// happened keeps the list of channels and the clock.
func (s *Switch) happened(e Event) {
	if e.At.After(s.now) {
		s.now = e.At
	}
	leg := e.Header("Unique-ID")
	switch e.Header("Event-Name") {
	case "CHANNEL_CREATE":
		s.rows = append(s.rows, map[string]string{
			"uuid": leg, "direction": e.Header("Call-Direction"), "created_epoch": strconv.FormatInt(e.At.Unix(), 10),
			"call_uuid": e.Header("Channel-Call-UUID"), "cid_num": e.Header("Caller-Caller-ID-Number"), "cid_name": e.Header("Caller-Caller-ID-Name"),
			"dest": e.Header("Caller-Destination-Number"),
		})
	case "CHANNEL_HANGUP_COMPLETE":
		s.rows = slices.DeleteFunc(s.rows, func(r map[string]string) bool { return r["uuid"] == leg })
	}
}

func (c *conn) send(raw string) { c.sendWithin(raw, Patience) }

func (c *conn) sendWithin(raw string, moment time.Duration) (rest string) {
	c.writing.Lock()
	defer c.writing.Unlock()
	var err error
	for err == nil && raw != "" {
		var n int
		if err = c.SetWriteDeadline(time.Now().Add(moment)); err == nil {
			n, err = c.Write([]byte(raw[:min(len(raw), 64<<10)]))
		}
		raw = raw[n:]
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return "" // the other side has gone
	}
	return raw
}

// Event is one of a story.
type Event struct {
	At      time.Time
	headers [][2]string
}

// Header gives a header.
func (e Event) Header(name string) string {
	for _, h := range e.headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// Body is the event as the body of a frame.
func (e Event) Body() string {
	var b strings.Builder
	for _, h := range e.headers {
		fmt.Fprintf(&b, "%s: %s\n", h[0], strings.ReplaceAll(url.QueryEscape(h[1]), "+", "%20"))
	}
	return b.String() + "\n"
}

// Frame is the event as it is sent.
func (e Event) Frame() string {
	body := e.Body()
	return fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-plain\n\n%s", len(body), body)
}

// Story reads a file of events. A line "== 2026-02-02T10:00:00.000001Z CHANNEL_CREATE" begins an event, "== <time> CUSTOM
// callcenter::info" one with a subclass; its headers follow, "Name: value", not encoded. A line "@name Header: value" gives each
// later event that has a line "@name" that header. "#" begins a comment. Each event has its number in the file as
// Event-Sequence, in the core's run that "core: <uuid>" names.
func Story(t testing.TB, file string) []Event {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var events []Event
	core, shared := "", map[string][][2]string{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		name, value, isHeader := strings.Cut(line, ": ")
		switch fields := strings.Fields(line); {
		case line == "", line[0] == '#':
		case name == "core":
			core = value
		case fields[0] == "==" && len(fields) >= 3:
			at, err := time.Parse(time.RFC3339Nano, fields[1])
			if err != nil {
				t.Fatalf("%s:%d: %v", file, i+1, err)
			}
			e := Event{at, [][2]string{
				{"Event-Name", fields[2]},
				{"Core-UUID", core},
				{"Event-Date-Timestamp", strconv.FormatInt(at.UnixMicro(), 10)},
				{"Event-Sequence", strconv.Itoa(100 + len(events))},
			}}
			if len(fields) == 4 {
				e.headers = append(e.headers, [2]string{"Event-Subclass", fields[3]})
			}
			events = append(events, e)
		case line[0] == '@' && isHeader:
			who, header, _ := strings.Cut(name, " ")
			shared[who] = append(shared[who], [2]string{header, value})
		case line[0] == '@' && len(shared[line]) > 0 && len(events) > 0:
			last := &events[len(events)-1]
			last.headers = append(last.headers, shared[line]...)
		case isHeader && len(events) > 0:
			last := &events[len(events)-1]
			last.headers = append([][2]string{{name, value}}, last.headers...) // before those that are shared
		default:
			t.Fatalf("%s:%d: %q is no line of a story", file, i+1, line)
		}
	}
	if core == "" || len(events) == 0 {
		t.Fatalf("%s tells nothing", file)
	}
	return events
}

// Make makes an event without a story.
func Make(at time.Time, core string, sequence int, name string, headers ...string) Event {
	e := Event{at, [][2]string{
		{"Event-Name", name},
		{"Core-UUID", core},
		{"Event-Date-Timestamp", strconv.FormatInt(at.UnixMicro(), 10)},
		{"Event-Sequence", strconv.Itoa(sequence)},
	}}
	for i := 0; i+1 < len(headers); i += 2 {
		e.headers = append(e.headers, [2]string{headers[i], headers[i+1]})
	}
	return e
}
