package imap_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	imap4 "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-smtp"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/mailtest"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/imap"
)

const user = "help"

func inbox(tb testing.TB) email.Inbox {
	tb.Helper()
	own := &email.Routes[struct{}]{}
	if err := own.Add("help@lumen.example", struct{}{}); err != nil {
		tb.Fatal(err)
	}
	return email.Inbox{Tenant: "lumen", ID: "support", Own: own}
}

func account(tb testing.TB, addr string) imap.Account {
	tb.Helper()
	return imap.Account{Inbox: inbox(tb), Addr: addr, TLS: imap.None, Username: user, Password: mailtest.Password}
}

func config(tb testing.TB, addr string) imap.Config {
	tb.Helper()
	return imap.Config{
		Accounts: []imap.Account{account(tb, addr)}, Cursors: &channeltest.Cursors{}, PollInterval: 50 * time.Millisecond,
		Backoff: imap.Backoff{First: time.Millisecond, Most: 20 * time.Millisecond},
	}
}

func puller(tb testing.TB, cfg imap.Config) *imap.Puller {
	tb.Helper()
	p, err := imap.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// run lets a puller run until the test or stop ends it.
func run(tb testing.TB, p *imap.Puller, host channel.Host) (stop func()) {
	tb.Helper()
	if err := p.Open(context.Background(), host); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// await waits for so many events, and gives them.
func await(tb testing.TB, host *channeltest.Host, n int) []channeltest.Event {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	events, err := host.WaitEvents(ctx, n)
	if err != nil {
		tb.Fatal(err)
	}
	return events
}

// until waits for a condition.
func until(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	deadline := time.After(3 * time.Minute)
	for !is() {
		select {
		case <-deadline:
			tb.Fatalf("there is no %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func login(tb testing.TB, addr string) *imapclient.Client {
	tb.Helper()
	c, err := imapclient.DialInsecure(addr, nil)
	if err == nil {
		err = c.Login(user, mailtest.Password).Wait()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// put appends mails to a folder over IMAP.
func put(tb testing.TB, c *imapclient.Client, folder string, mails ...string) {
	tb.Helper()
	for _, m := range mails {
		cmd := c.Append(folder, int64(len(m)), nil)
		if _, err := cmd.Write([]byte(m)); err != nil {
			tb.Fatal(err)
		}
		if err := cmd.Close(); err != nil {
			tb.Fatal(err)
		}
		if _, err := cmd.Wait(); err != nil {
			tb.Fatal(err)
		}
	}
}

// deliver sends mails over LMTP, as a mail server does.
func deliver(tb testing.TB, addr string, mails ...string) {
	tb.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	c := smtp.NewClientLMTP(raw)
	defer c.Close()
	for _, m := range mails {
		if err := c.SendMail("jo@example.com", []string{user + "@lumen.example"}, strings.NewReader(m)); err != nil {
			tb.Fatal(err)
		}
	}
}

func mail(i int) string {
	return fmt.Sprintf("From: Jo <jo@example.com>\r\nTo: help@lumen.example\r\nSubject: Lamp %d\r\nDate: Tue, 3 Mar 2026 09:00:00 +0100\r\n"+
		"Message-ID: <%d@example.com>\r\n\r\nLamp %d does not shine.\r\n", i, i, i)
}

// source is a mailbox at Dovecot, behind a proxy that cuts connections.
type source struct {
	d   *mailtest.Dovecot
	p   *proxy
	cfg imap.Config
	tb  testing.TB
}

func (s *source) Channel() channel.Channel { return puller(s.tb, s.cfg) }

func (s *source) Tell(t *testing.T, i int) {
	t.Helper()
	if i%2 == 0 {
		deliver(t, s.d.LMTP, mail(i))
		return
	}
	put(t, login(t, s.d.IMAP), "INBOX", mail(i))
}

func (s *source) Cut(t *testing.T) {
	t.Helper()
	s.p.cut()
}

func TestTheKit(t *testing.T) {
	channeltest.TestSource(t, channeltest.Source{
		Story: 6, Events: 6, Repeats: true,
		New: func(t *testing.T, _ channel.Host, cursors channel.Cursors) channeltest.SourceUnderTest {
			t.Helper()
			d := mailtest.StartDovecot(t)
			p := startProxy(t, d.IMAP, func() int64 { return -1 })
			cfg := config(t, p.addr())
			cfg.Cursors = cursors
			return &source{d, p, cfg, t}
		},
	})
}

func TestANewMailComesAtOnceByIdle(t *testing.T) {
	d := mailtest.StartDovecot(t)
	cfg := config(t, d.IMAP)
	cfg.PollInterval = time.Hour
	host, p := channeltest.NewHost(), puller(t, cfg)
	run(t, p, host)
	until(t, "connection", func() bool { return p.Statuses()[0].Err == nil })
	for i := range 3 {
		deliver(t, d.LMTP, mail(i))
		await(t, host, i+1)
	}
	if s := p.Statuses(); len(s) != 1 || s[0].Tenant != "lumen" || s[0].Inbox != "support" || s[0].Err != nil || strings.Contains(s[0].Source, mailtest.Password) {
		t.Errorf("status %+v", s)
	}
}

// IDLE begins anew before the server hangs up; between two of them nothing is missed.
func TestIdleBeginsAnew(t *testing.T) {
	d := mailtest.StartDovecot(t)
	cfg := config(t, d.IMAP)
	cfg.PollInterval, cfg.IdleTime = time.Hour, time.Millisecond
	host := channeltest.NewHost()
	run(t, puller(t, cfg), host)
	for i := range 30 {
		deliver(t, d.LMTP, mail(i))
	}
	await(t, host, 30)
}

func TestMailsOfAllFoldersCome(t *testing.T) {
	d := mailtest.StartDovecot(t)
	c := login(t, d.IMAP)
	for _, folder := range []string{"Orders/2025", "Orders/2026", "Old"} {
		if err := c.Create(folder, nil).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, c, "INBOX", mail(1))
	put(t, c, "Orders/2025", mail(2))
	put(t, c, "Orders/2026", mail(3))
	put(t, c, "Old", mail(4))
	put(t, c, "Junk", mail(5))
	put(t, c, "Sent", strings.Replace(mail(6), "Jo <jo@example.com>", "private@elsewhere.example", 1))
	for name, tt := range map[string]struct {
		folders []imap.Folder
		want    string
	}{
		"the inbox, where none is named": {nil, "1"},
		"some":                           {[]imap.Folder{{Name: "INBOX"}, {Name: "Orders/%"}}, "1 2 3"},
		"all but spam":                   {[]imap.Folder{{Name: "*"}}, "1 2 3 4 sent"},
		"those that are there":           {[]imap.Folder{{Name: "Nowhere"}, {Name: "Old"}}, "4"},
		"one as sent":                    {[]imap.Folder{{Name: "Old", Sent: true}}, "sent"},
		"from a UID on":                  {[]imap.Folder{{Name: "INBOX", FromUID: 2}, {Name: "Old"}}, "4"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, d.IMAP)
			cfg.Accounts[0].Folders = tt.folders
			host, p := channeltest.NewHost(), puller(t, cfg)
			stop := run(t, p, host)
			await(t, host, len(strings.Fields(tt.want)))
			since := p.Statuses()[0]
			until(t, "whole pass", func() bool { s := p.Statuses()[0]; return s.Err == nil || strings.Contains(s.Err.Error(), "Nowhere") })
			stop()
			var got []string
			for _, want := range []string{"1", "2", "3", "4", "5", "sent"} {
				for _, e := range host.Events() {
					is := strings.TrimSuffix(e.Submission.GetNativeId(), "@example.com")
					if e.Content.GetMessageSent() != nil {
						is = "sent"
					}
					if is == want {
						got = append(got, is)
					}
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s (%v)", got, tt.want, since)
			}
		})
	}
}

func TestMailsFromADayOnCome(t *testing.T) {
	d := mailtest.StartDovecot(t)
	c := login(t, d.IMAP)
	for i, day := range []int{1, 2, 3} {
		m := mail(i)
		cmd := c.Append("INBOX", int64(len(m)), &imap4.AppendOptions{Time: time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC)})
		if _, err := cmd.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config(t, d.IMAP)
	cfg.Accounts[0].Since = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	host, p := channeltest.NewHost(), puller(t, cfg)
	stop := run(t, p, host)
	await(t, host, 2)
	until(t, "whole pass", func() bool { return p.Statuses()[0].Err == nil })
	stop()
	if n := len(host.Events()); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestNothingChangesInTheMailbox(t *testing.T) {
	d := mailtest.StartDovecot(t)
	deliver(t, d.LMTP, mail(1), mail(2))
	host, p := channeltest.NewHost(), puller(t, config(t, d.IMAP))
	stop := run(t, p, host)
	await(t, host, 2)
	stop()
	c := login(t, d.IMAP)
	if _, err := c.Select("INBOX", &imap4.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
	all, err := c.Fetch(imap4.SeqSetNum(1, 2), &imap4.FetchOptions{Flags: true}).Collect()
	if err != nil || len(all) != 2 {
		t.Fatal(err, len(all))
	}
	for _, m := range all {
		for _, f := range m.Flags {
			if f != "\\Recent" {
				t.Errorf("a mail has the flag %s", f)
			}
		}
	}
}

func TestAFolderThatWasMadeAnewIsReadFromItsBeginning(t *testing.T) {
	d := mailtest.StartDovecot(t)
	c := login(t, d.IMAP)
	fill := func(mails ...string) {
		if err := c.Create("Orders", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		put(t, c, "Orders", mails...)
	}
	fill(mail(1), mail(2), mail(3))
	cfg := config(t, d.IMAP)
	cfg.Accounts[0].Folders = []imap.Folder{{Name: "Orders"}}
	host := channeltest.NewHost()
	stop := run(t, puller(t, cfg), host)
	await(t, host, 3)
	stop()
	if err := c.Delete("Orders").Wait(); err != nil {
		t.Fatal(err)
	}
	fill(mail(4), mail(2))
	run(t, puller(t, cfg), host)
	await(t, host, 4)
	if len(host.Conflicts()) > 0 {
		t.Error("what came again says something else")
	}
}

func TestAMailThatTheHostWillNeverTakeIsKeptAndPassedOver(t *testing.T) {
	d := mailtest.StartDovecot(t)
	deliver(t, d.LMTP, mail(1), mail(2), mail(3))
	host := channeltest.NewHost()
	run(t, puller(t, config(t, d.IMAP)), failing{host, "2@example.com"})
	await(t, host, 2)
	until(t, "rejection", func() bool { return len(host.Rejections()) == 1 })
	r := host.Rejections()[0]
	if r.Tenant != "lumen" || r.Inbox != "support" || r.Provider != email.Provider || !bytes.Contains(r.Raw, []byte("Lamp 2 does not shine.")) {
		t.Errorf("rejection %+v", r)
	}
	deliver(t, d.LMTP, mail(4))
	await(t, host, 3)
}

func TestAMailThatIsTooLongIsKeptInPartAndPassedOver(t *testing.T) {
	d := mailtest.StartDovecot(t)
	long := mail(1) + strings.Repeat("A line of some length, to fill the mail.\r\n", 60_000)
	deliver(t, d.LMTP, long, mail(2))
	cfg := config(t, d.IMAP)
	cfg.MaxMessageBytes = 2 << 20
	host := channeltest.NewHost()
	run(t, puller(t, cfg), host)
	await(t, host, 1)
	until(t, "rejection", func() bool { return len(host.Rejections()) == 1 })
	if r := host.Rejections()[0]; len(r.Raw) != 1<<20 || !strings.Contains(r.Reason, "longer than") {
		t.Errorf("%d bytes were kept: %s", len(r.Raw), r.Reason)
	}
}

func TestAMailOf25MBComes(t *testing.T) {
	d := mailtest.StartDovecot(t)
	long := mail(1) + strings.Repeat("A line of some length, to fill the mail.\r\n", (25<<20)/42)
	deliver(t, d.LMTP, mail(0), long, mail(2))
	host := channeltest.NewHost()
	run(t, puller(t, config(t, d.IMAP)), host)
	largest := int64(0)
	for _, e := range await(t, host, 3) {
		largest = max(largest, e.Content.GetOriginal().GetSize())
	}
	if largest < 25<<20-100 {
		t.Errorf("the original has %d bytes", largest)
	}
}

func TestProtectedConnections(t *testing.T) {
	d := mailtest.StartDovecot(t, "disable_plaintext_auth = yes")
	deliver(t, d.LMTP, mail(1))
	for name, change := range map[string]func(*imap.Account){
		"implicit": func(a *imap.Account) { a.TLS, a.Addr, a.CAFile = imap.Implicit, d.IMAPS, d.CAFile },
		"starttls": func(a *imap.Account) { a.TLS, a.Addr, a.CAFile = imap.StartTLS, d.IMAP, d.CAFile },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, d.IMAP)
			change(&cfg.Accounts[0])
			host := channeltest.NewHost()
			run(t, puller(t, cfg), host)
			await(t, host, 1)
			cfg.Accounts[0].CAFile = ""
			p := puller(t, cfg)
			run(t, p, channeltest.NewHost())
			until(t, "refusal of a certificate of unknown authority", func() bool {
				err := p.Statuses()[0].Err
				return err != nil && strings.Contains(err.Error(), "unknown authority")
			})
		})
	}
}

func TestAWrongPasswordShowsInTheStatus(t *testing.T) {
	d := mailtest.StartDovecot(t, "auth_failure_delay = 0")
	cfg := config(t, d.IMAP)
	cfg.Accounts[0].Password = "wrong password"
	p := puller(t, cfg)
	run(t, p, channeltest.NewHost())
	until(t, "failure", func() bool { err := p.Statuses()[0].Err; return err != nil && strings.Contains(err.Error(), "log in") })
	if err := p.Statuses()[0].Err.Error(); strings.Contains(err, "wrong password") {
		t.Errorf("the status holds the password: %s", err)
	}
}

func TestTwoProcessesMayReadOneMailbox(t *testing.T) {
	d := mailtest.StartDovecot(t)
	host, cfg := channeltest.NewHost(), config(t, d.IMAP)
	run(t, puller(t, cfg), host)
	run(t, puller(t, cfg), host)
	for i := range 20 {
		deliver(t, d.LMTP, mail(i))
	}
	await(t, host, 20)
	if len(host.Conflicts()) > 0 || len(host.Events()) != 20 {
		t.Errorf("%d events, %d conflicts", len(host.Events()), len(host.Conflicts()))
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for want, change := range map[string]func(*imap.Config){
		"needs cursors":    func(c *imap.Config) { c.Cursors = nil },
		"host:port":        func(c *imap.Config) { c.Accounts[0].Addr = "mail.example" },
		"without TLS":      func(c *imap.Config) { c.Accounts[0].Addr = "mail.example:143" },
		"unknown TLS mode": func(c *imap.Config) { c.Accounts[0].TLS = "perhaps" },
		"user name":        func(c *imap.Config) { c.Accounts[0].Username = "" },
		"either a password": func(c *imap.Config) {
			c.Accounts[0].OAuth = new(email.OAuth)
		},
		"token endpoint":      func(c *imap.Config) { c.Accounts[0].Password, c.Accounts[0].OAuth = "", &email.OAuth{} },
		"authorities":         func(c *imap.Config) { c.Accounts[0].TLS, c.Accounts[0].CAFile = imap.Implicit, "/nowhere" },
		"tenant and an inbox": func(c *imap.Config) { c.Accounts[0].Inbox.ID = "" },
		"is no folder":        func(c *imap.Config) { c.Accounts[0].Folders = []imap.Folder{{Name: "a\r\nb"}} },
		"is there twice":      func(c *imap.Config) { c.Accounts = append(c.Accounts, c.Accounts[0]) },
		"before 29 minutes":   func(c *imap.Config) { c.IdleTime = time.Hour },
		"must have room":      func(c *imap.Config) { c.MaxMemory = 1 },
	} {
		cfg := config(t, "127.0.0.1:143")
		change(&cfg)
		if _, err := imap.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestARedrivenMailIsTheEventThatItWouldHaveBeen(t *testing.T) {
	p, host := puller(t, config(t, "127.0.0.1:143")), channeltest.NewHost()
	r := channel.Rejection{Tenant: "lumen", Provider: email.Provider, Inbox: "support", Raw: []byte(mail(1))}
	for range 2 {
		if err := p.Redrive(t.Context(), host, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
	r.Inbox = "gone"
	if err := p.Redrive(t.Context(), host, r); err == nil {
		t.Error("an inbox that is not configured is taken")
	}
}
