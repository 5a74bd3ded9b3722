package imap_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/mailtest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// failing never takes one mail.
type failing struct {
	channel.Host
	nativeID string
}

func (f failing) Submit(ctx context.Context, tenant string, s ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if s[0].GetNativeId() == f.nativeID {
		return nil, errors.New("never")
	}
	return f.Host.Submit(ctx, tenant, s...)
}

// proxy passes bytes on to a server, until it cuts.
type proxy struct {
	socket   net.Listener
	upstream string
	// limit is how many bytes of the server's a connection passes on; it is asked for each. Less than 0: all.
	limit func() int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cuts  atomic.Int64
}

func startProxy(tb testing.TB, upstream string, limit func() int64) *proxy {
	tb.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{socket: socket, upstream: upstream, limit: limit, conns: map[net.Conn]struct{}{}}
	go p.serve()
	tb.Cleanup(func() {
		_ = socket.Close()
		p.cut()
	})
	return p
}

func (p *proxy) addr() string { return p.socket.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.socket.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		limit := p.limit()
		p.mu.Unlock()
		go p.pass(server, client, -1)
		go p.pass(client, server, limit)
	}
}

func (p *proxy) pass(to, from net.Conn, limit int64) {
	if limit < 0 {
		_, _ = io.Copy(to, from)
	} else if n, _ := io.CopyN(to, from, limit); n == limit {
		p.cuts.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range []net.Conn{to, from} {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// cut cuts all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Whatever byte the connection ends at, no mail is lost, doubled or taken in half.
func TestAConnectionMayEndAtAnyByte(t *testing.T) {
	d := mailtest.StartDovecot(t)
	const mails = 10
	for i := range mails {
		deliver(t, d.LMTP, mail(i))
	}
	whole := channeltest.NewHost()
	run(t, puller(t, config(t, d.IMAP)), whole)
	await(t, whole, mails)
	want := channeltest.Fingerprint(t, whole)

	host := channeltest.NewHost()
	at := int64(0)
	step := int64(23)
	if testing.Short() {
		step = 211
	}
	p := startProxy(t, d.IMAP, func() int64 { at += step; return at })
	stop := run(t, puller(t, config(t, p.addr())), host)
	await(t, host, mails)
	stop()
	got := channeltest.Fingerprint(t, host)
	if len(got) != len(want) || len(host.Conflicts()) > 0 || len(host.Rejections()) > 0 {
		t.Fatalf("%d events, %d conflicts, %d rejections", len(got), len(host.Conflicts()), len(host.Rejections()))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
	t.Logf("%d cuts, %d bytes apart", p.cuts.Load(), step)
	if p.cuts.Load() < 10 {
		t.Error("the connection was hardly cut")
	}
}

func TestAServerThatIsKilledLosesNothing(t *testing.T) {
	d := mailtest.StartDovecot(t)
	host := channeltest.NewHost()
	run(t, puller(t, config(t, d.IMAP)), host)
	const mails = 60
	for i := range mails {
		deliver(t, d.LMTP, mail(i))
		if i%20 == 10 {
			d.Restart(t)
		}
	}
	await(t, host, mails)
	if len(host.Events()) != mails || len(host.Conflicts()) > 0 || len(host.Rejections()) > 0 {
		t.Errorf("%d events, %d conflicts, %d rejections", len(host.Events()), len(host.Conflicts()), len(host.Rejections()))
	}
}
