package listener_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/mailtest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/listener"
)

// A mail that swaks sends through Postfix is an event, and the same one where it comes without Postfix; what the listener cannot store
// now Postfix brings again.
func TestMailsComeThroughARealPostfix(t *testing.T) {
	swaks, err := exec.LookPath("swaks")
	if err != nil && mailtest.Required() {
		t.Fatal("swaks is not here: make mailservers installs it")
	}
	l := start(t, config(listener.LMTP), func(h channel.Host) channel.Host { return &failingOnce{Host: h, inbox: "rest"} })
	p := mailtest.StartPostfix(t, l.addr)
	if err != nil {
		t.Skip("skipped: swaks is not here (make mailservers installs it; SKEIN_REQUIRE=mailservers makes this a failure)")
	}
	host, port, err := net.SplitHostPort(p.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	send := func(to, message string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, swaks, "--server", host, "--port", port, "--helo", "client.example", "--from", "jo@example.com", "--to", to, "--data", "-")
		command.Stdin = strings.NewReader(message)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("swaks: %v\n%s", err, out)
		}
	}
	await := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.host.WaitEvents(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	const dots = "\r\n.\r\n..two\r\nFrom here\r\n"
	send("help@acme.example", mail+dots)
	await(1)
	original, ok := l.host.Blob(l.host.Events()[0].Content.GetOriginal())
	if !ok || !bytes.Contains(original, []byte("(Postfix)")) {
		t.Errorf("it did not come through Postfix: %s", original)
	}
	own := &email.Routes[struct{}]{}
	if err := own.Add("*@acme.example", struct{}{}); err != nil {
		t.Fatal(err)
	}
	if _, err := email.Parse([]byte(mail+dots)).Deliver(t.Context(), l.host, email.Inbox{Tenant: "acme", ID: "help", Own: own}); err != nil {
		t.Fatal(err)
	}
	if len(l.host.Events()) != 1 || len(l.host.Conflicts()) > 0 {
		t.Errorf("%d events, %d conflicts", len(l.host.Events()), len(l.host.Conflicts()))
	}

	send("any@acme.example", strings.Replace(mail, "<1@", "<2@", 1))
	await(2)
}

// failingOnce fails the first time for one inbox, as a log that is away for a moment.
type failingOnce struct {
	channel.Host
	inbox  string
	failed atomic.Bool
}

func (f *failingOnce) Submit(ctx context.Context, tenant string, s ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if s[0].GetInbox() == f.inbox && !f.failed.Swap(true) {
		return nil, fmt.Errorf("no broker: %w", channel.ErrRetry)
	}
	return f.Host.Submit(ctx, tenant, s...)
}
