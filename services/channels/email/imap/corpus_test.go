package imap_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/ulikunitz/xz"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/mailtest"
	"github.com/skein-cx/skein/services/channels/email"
)

// corpus gives the mails of the SpamAssassin public corpus, as they lie there.
func corpus(tb testing.TB) [][]byte {
	tb.Helper()
	root, err := filepath.Abs(".")
	for err == nil && root != filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.work")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	f, err := os.Open(filepath.Join(root, "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz"))
	if errors.Is(err, os.ErrNotExist) && !slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
		tb.Skip("skipped: the mails of ../shared/data/spamassassin-public-corpus are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	unpacked, err := xz.NewReader(bufio.NewReader(f)) // it reads byte by byte
	if err != nil {
		tb.Fatal(err)
	}
	var mails [][]byte
	for archive := tar.NewReader(unpacked); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return mails
		}
		if err != nil {
			tb.Fatal(err)
		}
		folder, file := filepath.Split(entry.Name)
		if entry.Typeflag != tar.TypeReg || filepath.Ext(file) != ".txt" || filepath.Base(filepath.Dir(filepath.Clean(folder))) != "data" {
			continue
		}
		raw, err := io.ReadAll(archive)
		if err != nil {
			tb.Fatal(err)
		}
		if bytes.HasPrefix(raw, []byte("From ")) { // a mailbox file's line, which no transport carries
			_, raw, _ = bytes.Cut(raw, []byte{'\n'})
		}
		mails = append(mails, raw)
	}
}

// hostile mails, which a server takes all the same.
func hostile() [][]byte {
	nested := &strings.Builder{}
	nested.WriteString("From: jo@example.com\r\n")
	for i := range 200 {
		nested.WriteString("Content-Type: multipart/mixed; boundary=\"b" + strings.Repeat("x", i%50) + "\"\r\n\r\n--b" + strings.Repeat("x", i%50) + "\r\n")
	}
	return [][]byte{
		[]byte("\r\nJust text.\r\n"), []byte("Just text, without headers.\r\n"), []byte("To: help@lumen.example\r\nSubject: x\r\n\r\ny"),
		[]byte(nested.String() + "\r\nat the bottom"), []byte("From: jo@example.com\r\n\r\n" + strings.Repeat("x", 1<<20) + "\r\n\r\n\r\n"),
		[]byte("From: jo@example.com\r\nSubject: " + strings.Repeat("y", 2<<20) + "\r\n\r\nz\r\n"), []byte("From: jo@example.com\r\nSubject: a\xff\xfe\r\n\r\n\xc3\x28\xff\r\n"),
		[]byte(strings.Repeat(".\r\n", 10_000)), []byte("\xff\xff\xff: \x80\r\n\x80\x81\r\n\r\nx\r\n"), []byte("From: jo@example.com\n\nbare\nlines\n..\n.\n\n\n"),
		[]byte("From: jo@example.com\r\nContent-Type: text/html\r\n\r\n<p>no line end"), []byte("Received: by a\r\nno field\r\n\r\nbody\r\n"),
		[]byte("From: jo@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x; name=a\r\n\r\nfile without an end\r\n\r\n\r\n"),
	}
}

// lmtpSide takes mails in as the listener does, and hands them in.
type lmtpSide struct {
	tb   testing.TB
	host *channeltest.Host
	in   email.Inbox
}

func (l *lmtpSide) NewSession(*smtp.Conn) (smtp.Session, error) { return &lmtpSession{l}, nil }

type lmtpSession struct{ *lmtpSide }

func (*lmtpSession) Reset()                               {}
func (*lmtpSession) Logout() error                        { return nil }
func (*lmtpSession) Mail(string, *smtp.MailOptions) error { return nil }
func (*lmtpSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *lmtpSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, err = email.Parse(raw).Deliver(s.tb.Context(), s.host, s.in)
	return err
}

func (s *lmtpSession) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	err := s.Data(r)
	status.SetStatus(user+"@lumen.example", err)
	return err
}

// Real mails by IMAP from a mailbox that LMTP filled, and by LMTP: one event each, with one digest, and each twice the same.
func TestRealMailsByTwoWaysAreOneEventEach(t *testing.T) {
	mails := corpus(t)
	if len(mails) != 6046 {
		t.Fatalf("%d mails, want 6046", len(mails))
	}
	if raceEnabled {
		var sample [][]byte
		for i := 0; i < len(mails); i += 6 {
			sample = append(sample, mails[i])
		}
		mails = sample[:1000]
	}
	mails = append(mails, hostile()...)
	d := mailtest.StartDovecot(t)
	host := channeltest.NewHost()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(&lmtpSide{t, host, inbox(t)})
	server.LMTP, server.MaxLineLength = true, 0
	go server.Serve(socket) //nolint:errcheck // it is closed
	defer server.Close()

	var senders sync.WaitGroup
	for _, addr := range []string{d.LMTP, socket.Addr().String()} {
		senders.Go(func() {
			raw, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			c := smtp.NewClientLMTP(raw)
			defer c.Close()
			for i, m := range mails {
				if err := c.SendMail("jo@example.com", []string{user + "@lumen.example"}, bytes.NewReader(m)); err != nil {
					t.Errorf("mail %d: %v", i, err)
					return
				}
			}
		})
	}
	cursors := &channeltest.Cursors{}
	cfg := config(t, d.IMAP)
	cfg.Cursors = cursors
	stop := run(t, puller(t, cfg), host)
	senders.Wait()
	await(t, host, len(mails))
	until(t, "last mail of the mailbox", func() bool {
		at, err := cursors.Cursor(t.Context(), "email.imap/lumen/support/"+d.IMAP+"/"+user+"/INBOX")
		return err == nil && strings.HasSuffix(at, ":"+strconv.Itoa(len(mails)))
	})
	stop()
	if n, m := len(host.Events()), len(mails); n != m || len(host.Conflicts()) > 0 || len(host.Rejections()) > 0 {
		t.Errorf("%d events of %d mails, %d conflicts, %d rejections", n, m, len(host.Conflicts()), len(host.Rejections()))
		for _, e := range host.Conflicts()[:min(3, len(host.Conflicts()))] {
			t.Logf("conflict: %.1500v", e.Submission)
		}
	}
	t.Logf("%d mails by each way", len(mails))
}
