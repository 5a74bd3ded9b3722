package listener_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/listener"
)

const mail = "From: Jo <jo@example.com>\r\nTo: help@acme.example\r\nSubject: Lamp\r\nDate: Tue, 3 Mar 2026 09:00:00 +0100\r\n" +
	"Message-ID: <1@example.com>\r\n\r\nIt does not shine.\r\n"

func config(protocol listener.Protocol) listener.Config {
	return listener.Config{
		Protocol: protocol, Addr: "127.0.0.1:0", MaxMessageBytes: 16 << 20,
		Inboxes: []listener.Inbox{
			{Tenant: "acme", ID: "help", Addresses: []string{"help@acme.example"}},
			{Tenant: "acme", ID: "rest", Addresses: []string{"*@acme.example"}},
			{Tenant: "other", ID: "desk", Addresses: []string{"desk@other.example"}},
		},
	}
}

// running is a listener that runs.
type running struct {
	addr string
	host *channeltest.Host
	stop func() error // and wait
}

func start(t *testing.T, cfg listener.Config, wrap func(channel.Host) channel.Host) running {
	t.Helper()
	host := channeltest.NewHost()
	l, err := listener.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var used channel.Host = host
	if wrap != nil {
		used = wrap(host)
	}
	if err := l.Open(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return running{l.Addr().String(), host, stop}
}

// session is a client that says what it likes.
type session struct {
	t *testing.T
	*textproto.Conn
}

func dial(t *testing.T, addr, hello string) session {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := session{t, textproto.NewConn(raw)}
	t.Cleanup(func() { _ = s.Close() })
	s.expect(220)
	s.say(hello, 250)
	return s
}

func (s session) say(line string, code int) string {
	s.t.Helper()
	if err := s.PrintfLine("%s", line); err != nil {
		s.t.Fatal(err)
	}
	return s.expect(code)
}

func (s session) expect(code int) string {
	s.t.Helper()
	_, answer, err := s.ReadResponse(code)
	if err != nil {
		s.t.Fatalf("want %d: %v", code, err)
	}
	return answer
}

// data sends a mail as it is, with CRLF at line ends and dots doubled.
func (s session) data(mail string) {
	s.t.Helper()
	s.say("DATA", 354)
	w := s.DotWriter()
	if _, err := io.WriteString(w, mail); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s session) envelope(recipients ...string) {
	s.t.Helper()
	s.say("MAIL FROM:<bounces@example.com>", 250)
	for _, r := range recipients {
		s.say("RCPT TO:<"+r+">", 250)
	}
}

func TestAMailBecomesAnEventOfItsInbox(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	c, err := smtp.Dial(l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("jo@example.com", []string{"help@acme.example"}, strings.NewReader(mail)); err != nil {
		t.Fatal(err)
	}
	events := l.host.Events()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Tenant != "acme" || e.Event.GetInbox() != "help" || e.Event.GetType() != "message.received" {
		t.Errorf("tenant %s, inbox %s, type %s", e.Tenant, e.Event.GetInbox(), e.Event.GetType())
	}
	if text := e.Content.GetMessageReceived().GetText(); text != "It does not shine." {
		t.Errorf("text %q", text)
	}
	if raw, ok := l.host.Blob(e.Content.GetOriginal()); !ok || string(raw) != mail {
		t.Errorf("the original is %q", raw)
	}
}

func TestSuccessIsAnsweredOnlyAfterTheLogHasTheEvent(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	s := dial(t, l.addr, "EHLO me")
	l.host.Fail(channel.ErrRetry)
	s.envelope("help@acme.example")
	s.data(mail)
	if answer := s.expect(451); !strings.HasPrefix(answer, "4.3.0 ") {
		t.Errorf("answer %q", answer)
	}
	l.host.Fail(nil)
	for range 2 { // again, and once more because the client missed the answer
		s.envelope("help@acme.example")
		s.data(mail)
		s.expect(250)
	}
	if n := len(l.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestAnUnknownRecipientIsRefusedAndTheOthersAreServed(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	s := dial(t, l.addr, "EHLO me")
	s.say("MAIL FROM:<>", 250)
	if answer := s.say("RCPT TO:<somebody@elsewhere.example>", 550); !strings.HasPrefix(answer, "5.1.1 ") {
		t.Errorf("answer %q", answer)
	}
	s.say("RCPT TO:<help@acme.example>", 250)
	s.data(mail)
	s.expect(250)
	if n := len(l.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestRecipientsChooseTheInbox(t *testing.T) {
	for recipient, inbox := range map[string]string{
		"help@acme.example":           "help",
		"HELP@Acme.Example":           "help",
		"help+lamps@acme.example":     "help",
		"someone@acme.example":        "rest",
		"someone+lamps@acme.example":  "rest",
		`"quoted local"@acme.example`: "rest",
	} {
		t.Run(recipient, func(t *testing.T) {
			l := start(t, config(listener.SMTP), nil)
			s := dial(t, l.addr, "EHLO me")
			s.envelope(recipient)
			s.data(mail)
			s.expect(250)
			if got := l.host.Events()[0].Event.GetInbox(); got != inbox {
				t.Errorf("inbox %s, want %s", got, inbox)
			}
		})
	}
}

func TestOneMailToSeveralInboxesIsOneEventInEach(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	s := dial(t, l.addr, "EHLO me")
	s.envelope("help@acme.example", "help+again@acme.example", "any@acme.example", "desk@other.example", "more@acme.example")
	s.data(mail)
	s.expect(250)
	got := map[string]int{}
	for _, e := range l.host.Events() {
		got[e.Tenant+"/"+e.Event.GetInbox()]++
	}
	if len(got) != 3 || got["acme/help"] != 1 || got["acme/rest"] != 1 || got["other/desk"] != 1 {
		t.Errorf("events by inbox: %v", got)
	}
}

// failing fails for one inbox.
type failing struct {
	channel.Host
	inbox string
	err   error
}

func (f failing) Submit(ctx context.Context, tenant string, s ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if s[0].GetInbox() == f.inbox {
		return nil, f.err
	}
	return f.Host.Submit(ctx, tenant, s...)
}

func TestOverLMTPEachRecipientHasAnAnswer(t *testing.T) {
	l := start(t, config(listener.LMTP), func(h channel.Host) channel.Host { return failing{h, "rest", channel.ErrRetry} })
	s := dial(t, l.addr, "LHLO me")
	s.envelope("help@acme.example", "any@acme.example", "desk@other.example", "help@acme.example")
	s.data(mail)
	for _, code := range []int{250, 451, 250, 250} {
		s.expect(code)
	}
	if n := len(l.host.Events()); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestOverSMTPOneInboxThatFailsMakesTheClientTryAgain(t *testing.T) {
	l := start(t, config(listener.SMTP), func(h channel.Host) channel.Host { return failing{h, "rest", channel.ErrRetry} })
	s := dial(t, l.addr, "EHLO me")
	s.envelope("help@acme.example", "any@acme.example")
	s.data(mail)
	s.expect(451)
}

func TestAMailThatTheHostWillNeverTakeIsKeptAmongTheDeadLetters(t *testing.T) {
	l := start(t, config(listener.SMTP), func(h channel.Host) channel.Host { return failing{h, "help", errors.New("never")} })
	s := dial(t, l.addr, "EHLO me")
	s.envelope("help@acme.example")
	s.data(mail)
	s.expect(250)
	rejected := l.host.Rejections()
	if len(rejected) != 1 || string(rejected[0].Raw) != mail || rejected[0].Tenant != "acme" || !strings.Contains(rejected[0].Reason, "never") {
		t.Errorf("rejections: %+v", rejected)
	}
}

func TestAMailInChunksIsTakenLikeAnother(t *testing.T) {
	for _, protocol := range []listener.Protocol{listener.SMTP, listener.LMTP} {
		t.Run(string(protocol), func(t *testing.T) {
			l := start(t, config(protocol), nil)
			hello := map[listener.Protocol]string{listener.SMTP: "EHLO me", listener.LMTP: "LHLO me"}[protocol]
			s := dial(t, l.addr, hello)
			body := strings.Repeat("A line of some length, to fill the mail.\r\n", 50_000)
			for range 2 {
				s.envelope("help@acme.example")
				fmt.Fprintf(s.W, "BDAT %d\r\n%s", len(mail), mail)
				s.W.Flush()
				s.expect(250)
				fmt.Fprintf(s.W, "BDAT %d LAST\r\n%s", len(body), body)
				s.W.Flush()
				s.expect(250)
			}
			events := l.host.Events()
			if len(events) != 1 {
				t.Fatalf("%d events", len(events))
			}
			if got := events[0].Content.GetOriginal().GetSize(); got != int64(len(mail)+len(body)) {
				t.Errorf("the original has %d bytes", got)
			}
		})
	}
}

func TestAMailThatComesByTwoWaysIsOneEvent(t *testing.T) {
	host := channeltest.NewHost()
	use := func(channel.Host) channel.Host { return host }
	a, b := start(t, config(listener.SMTP), use), start(t, config(listener.LMTP), use)
	s := dial(t, a.addr, "EHLO me")
	s.envelope("help@acme.example")
	s.data(mail)
	s.expect(250)
	s = dial(t, b.addr, "LHLO me")
	s.envelope("help@acme.example")
	s.data("Received: from a by b\r\n" + mail + "\r\n\r\n")
	s.expect(250)
	if n := len(host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestAMailWith312RecipientsIsTaken(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	s := dial(t, l.addr, "EHLO me")
	var recipients, to []string
	for i := range 312 {
		recipients = append(recipients, fmt.Sprintf("r%d@acme.example", i))
		to = append(to, fmt.Sprintf("Customer %d <c%d@example.com>", i, i))
	}
	s.envelope(recipients...)
	s.data("From: jo@example.com\r\nTo: " + strings.Join(to, ",\r\n ") + "\r\n\r\nHello all\r\n")
	s.expect(250)
	if n := len(l.host.Events()[0].Submission.GetParties()); n != 313 {
		t.Errorf("%d parties", n)
	}
}

func TestTooManyRecipientsAreAskedToComeLater(t *testing.T) {
	cfg := config(listener.SMTP)
	cfg.MaxRecipients = 2
	s := dial(t, start(t, cfg, nil).addr, "EHLO me")
	s.envelope("a@acme.example", "b@acme.example")
	s.say("RCPT TO:<c@acme.example>", 452)
}

// The hostile mails: each is taken, and is one event.
func TestHostileMailsAreTaken(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	s := dial(t, l.addr, "EHLO me")
	nested := &strings.Builder{}
	nested.WriteString("From: jo@example.com\r\n")
	for i := range 1000 {
		fmt.Fprintf(nested, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n", i, i)
	}
	nested.WriteString("\r\nat the bottom\r\n")
	hostile := map[string]string{
		"without headers":             "\r\nJust text.\r\n",
		"without anything":            "",
		"without sender":              "To: help@acme.example\r\nSubject: x\r\n\r\ny\r\n",
		"with 1,000 nested parts":     nested.String(),
		"with a line of 10 MB":        "From: jo@example.com\r\n\r\n" + strings.Repeat("x", 10<<20) + "\r\n",
		"with a header of 10 MB":      "From: jo@example.com\r\nSubject: " + strings.Repeat("y", 10<<20) + "\r\n\r\nz\r\n",
		"with NUL and invalid UTF-8":  "From: jo@example.com\r\nSubject: a\x00\xff\xfe\r\n\r\n\x00\xc3\x28\xff\r\n",
		"with nothing but dots":       strings.Repeat(".\r\n", 100_000),
		"with 8-bit junk for headers": "\xff\xff\xff: \x80\r\n\x80\x81\r\n\r\nx\r\n",
	}
	for name, raw := range hostile {
		before := len(l.host.Events())
		s.envelope("help@acme.example")
		s.data(raw)
		s.expect(250)
		if n := len(l.host.Events()) - before; n != 1 {
			t.Errorf("a mail %s gave %d events", name, n)
		}
	}
	if rejected := l.host.Rejections(); len(rejected) > 0 {
		t.Errorf("rejected: %s", rejected[0].Reason)
	}
}

func TestAMailThatIsTooLongIsRefusedAndTheConnectionLives(t *testing.T) {
	for _, protocol := range []listener.Protocol{listener.SMTP, listener.LMTP} {
		t.Run(string(protocol), func(t *testing.T) {
			cfg := config(protocol)
			cfg.MaxMessageBytes = 1 << 20
			l := start(t, cfg, nil)
			hello := map[listener.Protocol]string{listener.SMTP: "EHLO me", listener.LMTP: "LHLO me"}[protocol]
			s := dial(t, l.addr, hello)
			s.say(fmt.Sprintf("MAIL FROM:<jo@example.com> SIZE=%d", 2<<20), 552)
			s.envelope("help@acme.example")
			s.data(mail + strings.Repeat("long\r\n", 1<<20))
			if answer := s.expect(552); !strings.Contains(answer, "1048576 bytes") {
				t.Errorf("answer %q", answer)
			}
			s.envelope("help@acme.example")
			s.data(mail)
			s.expect(250)
		})
	}
}

func TestMailsBeyondTheMemoryAreAskedToComeLater(t *testing.T) {
	cfg := config(listener.SMTP)
	cfg.MaxMessageBytes, cfg.MaxMemory = 1<<20, 1<<20+1
	held := slow{once: &sync.Once{}, begun: make(chan struct{}), goOn: make(chan struct{})}
	l := start(t, cfg, func(h channel.Host) channel.Host { held.Host = h; return held })
	first, second := dial(t, l.addr, "EHLO me"), dial(t, l.addr, "EHLO me")
	first.envelope("help@acme.example")
	first.data(mail + strings.Repeat("a long mail\r\n", 70_000))
	<-held.begun // it holds all the room
	second.envelope("help@acme.example")
	second.data(mail)
	if answer := second.expect(452); !strings.HasPrefix(answer, "4.3.1 ") {
		t.Errorf("answer %q", answer)
	}
	close(held.goOn)
	first.expect(250)
	second.envelope("help@acme.example")
	second.data("From: jo@example.com\r\n\r\n")
	second.expect(250)
}

func TestACommandWithoutEndIsCutOff(t *testing.T) {
	l := start(t, config(listener.SMTP), nil)
	s := dial(t, l.addr, "EHLO me")
	_, _ = io.Copy(s.W, io.LimitReader(endless{}, 8<<20)) // fails as soon as the server hangs up
	_ = s.W.Flush()
	for {
		if _, err := s.ReadLine(); err != nil {
			break // hung up
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestAPortInUseSaysWhatToDo(t *testing.T) {
	taken := start(t, config(listener.SMTP), nil)
	cfg := config(listener.LMTP)
	cfg.Addr = taken.addr
	l, err := listener.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Open(t.Context(), taken.host)
	if err == nil || !strings.Contains(err.Error(), taken.addr) || !strings.Contains(err.Error(), "set another address for the lmtp listener") {
		t.Errorf("error %v", err)
	}
}

func TestAWrongConfigurationIsNamedWhole(t *testing.T) {
	_, err := listener.New(listener.Config{
		Protocol: "imap", Addr: "nowhere", CertFile: "cert.pem", MaxMessageBytes: 10, MaxMemory: 5,
		Inboxes: []listener.Inbox{
			{Tenant: "acme", ID: "a", Addresses: []string{"help@acme.example"}},
			{Tenant: "acme", ID: "b", Addresses: []string{"Help@acme.example", "no address"}},
			{ID: "c"},
		},
	})
	for _, want := range []string{`"imap"`, "host:port", "both a certificate and its key", "longest mail", "twice", `"no address"`, `inbox "c"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %s: %v", want, err)
		}
	}
}

// slow lets a test hold a mail under way.
type slow struct {
	channel.Host
	once        *sync.Once
	begun, goOn chan struct{}
}

func (s slow) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	s.once.Do(func() { close(s.begun) })
	select {
	case <-s.goOn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Host.Submit(ctx, tenant, submissions...)
}

func TestStoppingFinishesTheMailUnderWayAndSendsIdleClientsAway(t *testing.T) {
	held := slow{once: &sync.Once{}, begun: make(chan struct{}), goOn: make(chan struct{})}
	cfg := config(listener.SMTP)
	cfg.StopTimeout = time.Minute
	l := start(t, cfg, func(h channel.Host) channel.Host { held.Host = h; return held })
	idle, busy := dial(t, l.addr, "EHLO idle"), dial(t, l.addr, "EHLO busy")
	busy.envelope("help@acme.example")
	busy.data(mail)
	<-held.begun
	stopped := make(chan error, 1)
	go func() { stopped <- l.stop() }()
	idle.expect(421)
	close(held.goOn)
	busy.expect(250)
	busy.expect(421)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := len(l.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestStoppingDoesNotWaitForEver(t *testing.T) {
	held := slow{once: &sync.Once{}, begun: make(chan struct{}), goOn: make(chan struct{})}
	cfg := config(listener.SMTP)
	cfg.StopTimeout = time.Millisecond
	l := start(t, cfg, func(h channel.Host) channel.Host { held.Host = h; return held })
	s := dial(t, l.addr, "EHLO me")
	s.envelope("help@acme.example")
	s.data(mail)
	<-held.begun
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	if code, answer, err := s.ReadResponse(0); err == nil && code == 250 {
		t.Errorf("a mail that was not stored was answered with %d %s", code, answer)
	}
	if n := len(l.host.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestMetricsTellWhatBecameOfTheMails(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := config(listener.SMTP)
	cfg.Registerer = registry
	l := start(t, cfg, nil)
	cfg.Protocol = listener.LMTP
	if _, err := listener.New(cfg); err != nil {
		t.Fatalf("a second protocol on the same registry: %v", err)
	}
	s := dial(t, l.addr, "EHLO me")
	s.say("MAIL FROM:<>", 250)
	s.say("RCPT TO:<nobody@nowhere.example>", 550)
	s.say("RCPT TO:<help@acme.example>", 250)
	s.data("no header\r\n")
	s.expect(250)
	l.host.Fail(channel.ErrRetry)
	s.envelope("help@acme.example")
	s.data(mail)
	s.expect(451)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"skein_email_defective_mails_total smtp":    1,
		"skein_email_defective_mails_total lmtp":    0,
		"skein_email_unknown_recipients_total smtp": 1,
		"skein_email_dead_letters_total smtp":       0,
		"skein_email_received_bytes_total smtp":     float64(len("no header\r\n") + len(mail)),
		"skein_email_mail_seconds accepted smtp":    1,
		"skein_email_mail_seconds retried smtp":     1,
		"skein_email_mail_seconds rejected smtp":    0,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v, want %v (there: %v)", name, value, want, there)
		}
	}
}

func TestSTARTTLSIsOfferedWithACertificate(t *testing.T) {
	cfg := config(listener.SMTP)
	cfg.CertFile, cfg.KeyFile = certificate(t)
	l := start(t, cfg, nil)
	c, err := smtp.DialStartTLS(l.addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("jo@example.com", []string{"help@acme.example"}, strings.NewReader(mail+strings.Repeat("long\r\n", 1<<19))); err != nil {
		t.Fatal(err)
	}
	if n := len(l.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestWhoSentAMailAndWhatItAnswersIsKnown(t *testing.T) {
	ids, err := email.NewMessageIDs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := ids.Make("acme", "help", "0@example.com", "request 1", "acme.example")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(listener.LMTP)
	cfg.MessageIDs, cfg.Inboxes[0].Trusted = ids, []string{"mx.acme.example"}
	l := start(t, cfg, nil)
	s := dial(t, l.addr, "LHLO me")
	s.envelope("help@acme.example")
	s.data("Authentication-Results: mx.acme.example; dmarc=fail header.from=acme.example\r\nFrom: help@acme.example\r\nIn-Reply-To: <" + sent + ">\r\n\r\nPay here\r\n")
	s.expect(250)
	e := l.host.Events()[0]
	if e.Event.GetType() != "message.received" || e.Submission.GetThread() != "0@example.com" || e.Content.GetAuthentication().GetServer() != "mx.acme.example" {
		t.Errorf("%s in %s, by %v", e.Event.GetType(), e.Submission.GetThread(), e.Content.GetAuthentication())
	}
}
