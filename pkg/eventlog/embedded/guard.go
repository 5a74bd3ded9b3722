package embedded

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is the greatest request, as in Kafka (socket.request.max.bytes).
const maxRequest = 100 << 20

// guardedListener keeps from the broker what is not Kafka's protocol: it would allocate whatever length the first four
// bytes give, and panic on a request that it does not know.
type guardedListener struct{ net.Listener }

func (l *guardedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: c}, nil
}

// guardedConn looks at the head of each request before it passes it on. It is read by one goroutine at a time.
type guardedConn struct {
	net.Conn
	head [6]byte // length and key of a request
	read []byte  // what of head is not yet passed on
	left int     // bytes of the request behind head
}

func (c *guardedConn) Read(p []byte) (int, error) {
	if len(c.read) == 0 && c.left == 0 {
		if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
			return 0, err
		}
		length, key := binary.BigEndian.Uint32(c.head[:]), int16(binary.BigEndian.Uint16(c.head[4:])) // a signed field
		if length < 10 || length > maxRequest || kmsg.RequestForKey(key) == nil {
			return 0, fmt.Errorf("embedded: %s sent no request of Kafka's protocol", c.RemoteAddr())
		}
		c.read, c.left = c.head[:], int(length)-2
	}
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
