package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// endpoint takes everything for what it is, and tells how long a delivery may be worked on after it was read.
func endpoint(read func(context.Context)) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: "acme", Provider: "pager", Inbox: "oncall",
		Authentic: func(*http.Request, []byte) error { return nil },
		Read: func(ctx context.Context, _ channel.Host, _ []byte) ([]*eventv1.Submission, error) {
			read(ctx)
			return nil, nil
		},
	}
}

// exchange sends bytes to a server of the handler and nothing more, and gives the status of the answer and when the connection was closed.
func exchange(t *testing.T, handler http.Handler, request string) (code int, after time.Duration) {
	t.Helper()
	near, far := net.Pipe()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	listener := &single{conn: far, closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	began := time.Now()
	go func() { _, _ = io.WriteString(near, request) }()
	answer, err := http.ReadResponse(bufio.NewReader(near), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	_, _ = io.Copy(io.Discard, near)
	after = time.Since(began)
	_ = server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	return answer.StatusCode, after
}

// single is a listener with one connection.
type single struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *single) Close() error   { close(l.closed); return nil }
func (l *single) Addr() net.Addr { return &net.TCPAddr{} }

func TestABodyThatDoesNotComeHoldsNobodyForLong(t *testing.T) {
	for name, head := range map[string]string{"a delivery": "POST", "another method": "PUT"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := webhook.Handler(channeltest.NewHost(), endpoint(func(context.Context) { t.Error("half a body was read") }), nil, nil)
				code, after := exchange(t, handler, head+" / HTTP/1.1\r\nHost: skein.example\r\nContent-Length: 1000\r\n\r\nhalf a body")
				if code/100 != 4 || after > time.Minute {
					t.Errorf("answered %d and closed after %v", code, after)
				}
			})
		})
	}
}

func TestADeliveryThatCameMayBeWorkedOnForLongerThanItMayTakeToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := endpoint(func(ctx context.Context) {
			select {
			case <-ctx.Done():
				t.Errorf("the work was cut: %v", context.Cause(ctx))
			case <-time.After(2 * time.Minute):
			}
		})
		slow.Timeout = time.Hour
		code, _ := exchange(t, webhook.Handler(channeltest.NewHost(), slow, nil, nil),
			"POST / HTTP/1.1\r\nHost: skein.example\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"+strings.Repeat("x", 5))
		if code != http.StatusOK {
			t.Errorf("answered %d", code)
		}
	})
}
