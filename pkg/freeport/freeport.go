// Package freeport finds ports for servers that tests and tools start on this machine.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// ErrNone means that no port was found.
var ErrNone = errors.New("freeport: no free port from 20000 to 31999")

// Addr is an address of 127.0.0.1 at which nobody listens, kept for a test.
func Addr(tb testing.TB) string {
	tb.Helper()
	port, release, err := Reserve(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(release)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// Reserve finds a port of 127.0.0.1 that nobody listens on, below those that outgoing connections take: one of those could claim a
// port while its server is down. A UDP socket of the same number keeps it until it is released, or this process ends: nobody else
// finds it here meanwhile, whatever process he runs in.
func Reserve(ctx context.Context) (port int, release func(), err error) {
	const tries = 1000
	for range tries {
		port := 20_000 + rand.IntN(12_000) //nolint:gosec // a port is no secret
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		kept, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", addr)
		if err != nil {
			continue
		}
		if l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr); err == nil {
			_ = l.Close() // nobody has connected
			return port, func() { _ = kept.Close() }, nil
		}
		_ = kept.Close() // somebody listens there
	}
	return 0, nil, ErrNone
}
