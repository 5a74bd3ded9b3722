package pgkv

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// userTimeout makes a connection end when what was sent is not received for half a minute; without, it takes a quarter of
// an hour.
func userTimeout(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000)
	})
	if err != nil {
		return err
	}
	return failed
}
