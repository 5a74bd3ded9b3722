package freeport_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/skein-cx/skein/pkg/freeport"
)

func TestAPortIsFreeForItsServerAndForNobodyElseUntilItIsReleased(t *testing.T) {
	port, release, err := freeport.Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	server, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := net.ListenPacket("udp", addr); err == nil {
		t.Error("the port is not kept:", again.Close())
	}
	release()
	again, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal("the port is kept for ever:", err)
	}
	_ = again.Close()
}
