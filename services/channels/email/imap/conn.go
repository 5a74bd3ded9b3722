package imap

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// conn is a connection that is closed where the server owes an answer and sends nothing for too long.
type conn struct {
	net.Conn
	most  time.Duration
	timer *time.Timer

	mu      sync.Mutex
	waiting int  // for how many answers
	failed  bool // a read or write failed, or it was closed
}

func newConn(raw net.Conn, most time.Duration) *conn {
	c := &conn{Conn: raw, most: most}
	c.timer = time.AfterFunc(most, func() { _ = c.Close() })
	c.timer.Stop()
	return c
}

// busy says that the server owes an answer, until done is called. Calling done again does nothing.
func (c *conn) busy() (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting++; c.waiting == 1 {
		c.timer.Reset(c.most)
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting--; c.waiting == 0 {
			c.timer.Stop()
		}
	})
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = c.failed || err != nil
	if c.waiting > 0 && n > 0 {
		c.timer.Reset(c.most)
	}
	return n, err //nolint:wrapcheck // the client looks at it
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.mu.Lock()
		c.failed = true
		c.mu.Unlock()
	}
	return n, err //nolint:wrapcheck // the client looks at it
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.timer.Stop()
	return c.Conn.Close() //nolint:wrapcheck // the client looks at it
}

// broken tells whether the connection, and not what the server said, is at fault.
func (c *conn) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func protect(ctx context.Context, c net.Conn, cfg *tls.Config) (net.Conn, error) {
	protected := tls.Client(c, cfg)
	if err := protected.HandshakeContext(ctx); err != nil {
		return nil, err //nolint:wrapcheck // the caller says what it was
	}
	return protected, nil
}
