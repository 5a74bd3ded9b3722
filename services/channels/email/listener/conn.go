package listener

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// maxCommand is how many bytes a client may send without an answer, outside a mail: more than any command and what
// clients send ahead. go-smtp has one limit for the lines of commands and mails, and holds a command in memory until
// its line ends.
const maxCommand = 256 << 10

// past is a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// acceptor gives the server conns.
type acceptor struct {
	net.Listener
	l *Listener
}

// Accept implements net.Listener.
func (a *acceptor) Accept() (net.Conn, error) {
	accepted, err := a.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // the server looks at its type
	}
	c := &conn{Conn: accepted, l: a.l}
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.l.conns[c] = struct{}{}
	a.l.sessions.Add(1)
	return c, nil
}

// conn is a client's connection. It limits commands, and ends the wait for one when the listener shall stop.
type conn struct {
	net.Conn
	l          *Listener
	unanswered atomic.Int64 // bytes since the last answer
	inMail     atomic.Bool  // a mail is under way
	unlimited  atomic.Bool  // what comes is kept by the session or thrown away, not held as a command
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.unanswered.Add(int64(n)) > maxCommand && !c.unlimited.Load() {
		return 0, smtp.ErrTooLongLine
	}
	return n, err //nolint:wrapcheck // the server looks at its type
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	c.unanswered.Store(0)
	return c.Conn.Write(b) //nolint:wrapcheck // the server looks at its type
}

// SetReadDeadline implements net.Conn. The server calls it before it waits for a command.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.stopping && !c.inMail.Load() {
		t = past()
	}
	return c.Conn.SetReadDeadline(t) //nolint:wrapcheck // the server looks at its type
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.l.mu.Lock()
	if _, open := c.l.conns[c]; open {
		delete(c.l.conns, c)
		c.l.sessions.Done()
	}
	c.l.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // the server looks at its type
}

// stop ends the waits for a next command: the server answers with 421 and hangs up.
func (l *Listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	for c := range l.conns {
		if !c.inMail.Load() {
			_ = c.Conn.SetReadDeadline(past()) // fails only where the connection is gone
		}
	}
}

func (l *Listener) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.Close() // fails only where the connection is gone
	}
}
