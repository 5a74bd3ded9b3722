package sender_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/mailtest"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/sender"
)

// sink takes mails in by LMTP.
type sink chan []byte

func (s sink) NewSession(*smtp.Conn) (smtp.Session, error) { return sinkSession{s}, nil }

type sinkSession struct{ sink }

func (sinkSession) Reset()                               {}
func (sinkSession) Logout() error                        { return nil }
func (sinkSession) Mail(string, *smtp.MailOptions) error { return nil }
func (sinkSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s sinkSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err == nil {
		s.sink <- raw
	}
	return err
}

// An answer that goes out through a real Postfix and comes back, as a blind copy or in the folder of sent mails, is the event that it was when it
// was sent, in its thread; so is an answer to it without References.
func TestAnAnswerGoesOutAndComesBackAsOneEvent(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came := make(sink, 1)
	server := smtp.NewServer(came)
	server.LMTP = true
	go server.Serve(socket) //nolint:errcheck // it is closed
	defer server.Close()
	p := mailtest.StartPostfix(t, socket.Addr().String())

	own := &email.Routes[struct{}]{}
	if err := own.Add("*@lumen.example", struct{}{}); err != nil {
		t.Fatal(err)
	}
	ids, err := email.NewMessageIDs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	in := email.Inbox{Tenant: "lumen", ID: "support", Own: own, MessageIDs: ids}
	o := &email.Outgoing{
		From: email.Address{Name: "客服", Mailbox: "help@lumen.example"}, To: []email.Address{{Mailbox: "jo@example.com"}}, Subject: "Re: 灯",
		Date: time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC), Text: "It will.\n.\n", HTML: "<p>It will.</p>",
		Files: []email.File{{Name: "说明.pdf", MediaType: "application/pdf", Data: bytes.NewReader(bytes.Repeat([]byte{0, '\r', '\n', 0xff}, 50_000))}},
	}
	if o.MessageID, err = ids.Make("lumen", "support", "1@example.com", "request 1", "lumen.example"); err != nil {
		t.Fatal(err)
	}
	var composed bytes.Buffer
	if err := email.Compose(&composed, o); err != nil {
		t.Fatal(err)
	}
	s, err := sender.New(sender.Config{Addr: p.SMTP, TLS: sender.None})
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.Send(t.Context(), sender.Envelope{From: "help@lumen.example", To: []string{"jo@example.com"}}, bytes.NewReader(composed.Bytes()))
	if err != nil || result.Outcome != sender.Accepted {
		t.Fatal(result, err)
	}
	host := channeltest.NewHost()
	back := <-came
	answer := []byte("From: jo@example.com\r\nMessage-ID: <2@example.com>\r\nIn-Reply-To: <" + o.MessageID + ">\r\n\r\nThanks\r\n")
	for _, raw := range [][]byte{composed.Bytes(), back, answer} {
		if reason, err := email.Parse(raw).Deliver(t.Context(), host, in); err != nil || reason != "" {
			t.Fatal(err, reason)
		}
	}
	events := host.Events()
	if len(events) != 2 || len(host.Conflicts()) > 0 || bytes.Equal(back, composed.Bytes()) {
		t.Fatalf("%d events, %d conflicts", len(events), len(host.Conflicts()))
	}
	for _, e := range events {
		if e.Submission.GetThread() != "1@example.com" {
			t.Errorf("an event in the thread %q", e.Submission.GetThread())
		}
	}
}
