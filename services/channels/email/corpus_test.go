package email_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-message"
	"github.com/ulikunitz/xz"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
)

// realMail is a mail of the SpamAssassin public corpus, and how it is read.
type realMail struct {
	name string
	raw  []byte
	*email.Mail
}

// corpus gives the mails in the order of their names. Without the data the test is skipped, unless the environment says
// that it must be there.
func corpus(tb testing.TB) []realMail {
	tb.Helper()
	mails, err := readCorpus()
	if errors.Is(err, os.ErrNotExist) && !slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
		tb.Skip("skipped: the mails of ../shared/data/spamassassin-public-corpus are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		tb.Fatal(err)
	}
	return mails
}

var readCorpus = sync.OnceValues(func() ([]realMail, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	for !exists(filepath.Join(root, "go.work")) && root != filepath.Dir(root) {
		root = filepath.Dir(root)
	}
	f, err := os.Open(filepath.Join(root, "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unpacked, err := xz.NewReader(bufio.NewReader(f)) // it reads byte by byte
	if err != nil {
		return nil, err
	}
	var mails []realMail
	for archive := tar.NewReader(unpacked); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		folder, file := filepath.Split(entry.Name)
		if entry.Typeflag != tar.TypeReg || filepath.Ext(file) != ".txt" || filepath.Base(filepath.Dir(filepath.Clean(folder))) != "data" {
			continue
		}
		raw, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		mails = append(mails, realMail{filepath.Base(folder) + "/" + file, raw, email.Parse(raw)})
	}
	slices.SortFunc(mails, func(a, b realMail) int { return strings.Compare(a.name, b.name) })
	return mails, nil
})

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Every mail becomes one event that Skein's own rules accept, in clean UTF-8, and the same one when it comes again.
func TestEveryRealMailIsOneEvent(t *testing.T) {
	mails := corpus(t)
	if len(mails) != 6046 {
		t.Fatalf("%d mails, want 6046", len(mails))
	}
	host, in := channeltest.NewHost(), email.Inbox{Tenant: "corpus", ID: "inbox"}
	var figures struct {
		defective, noSender, alone, autoReplies, bulk, bounces, quoted, attachments int
	}
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	threads := map[string]bool{}
	defects := map[string]int{}
	deliver := func(m realMail) {
		if reason, err := m.Deliver(t.Context(), host, in); err != nil || reason != "" {
			t.Fatalf("%s: %v %s", m.name, err, reason)
		}
	}
	for i, m := range mails {
		checkUTF8(t, m.Mail)
		deliver(m)
		if i%10 == 0 { // comes again
			deliver(realMail{m.name, m.raw, email.Parse(m.raw)})
		}
	}
	for _, e := range host.Events() {
		m := e.Content.GetMessageReceived()
		threads[e.Event.GetThreadId()] = true
		count(&figures.defective, len(m.GetDefects()) > 0)
		count(&figures.noSender, slices.Contains(m.GetDefects(), "no usable sender"))
		count(&figures.alone, len(e.Event.GetParties()) == 0)
		count(&figures.autoReplies, m.GetAutoReply())
		count(&figures.bulk, m.GetBulk())
		count(&figures.bounces, m.GetBounce() != nil)
		count(&figures.quoted, m.GetQuotedText() != "")
		figures.attachments += len(e.Content.GetAttachments())
		for _, d := range m.GetDefects() {
			what, _, _ := strings.Cut(d, ":")
			defects[what]++
		}
	}
	t.Logf("mails %d, threads %d, figures %+v", len(host.Events()), len(threads), figures)
	names := slices.SortedFunc(maps.Keys(defects), func(a, b string) int { return defects[b] - defects[a] })
	for _, name := range names[:min(10, len(names))] {
		t.Logf("%5d %s", defects[name], name)
	}
	if n := len(host.Events()); n != len(mails) || len(host.Conflicts()) != 0 || len(host.Rejections()) != 0 {
		t.Errorf("%d events of %d mails, %d conflicts, %d rejections", n, len(mails), len(host.Conflicts()), len(host.Rejections()))
	}
}

// Where the standard library can read an address list or a date with its zone as a number, this package reads the same.
func TestRealHeadersAreReadAsTheStandardLibraryReadsThem(t *testing.T) {
	lists, dates := 0, 0
	for _, m := range corpus(t) {
		std, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			continue
		}
		for name, list := range map[string][]email.Address{"From": m.From, "To": m.To, "Cc": m.Cc} {
			want, err := std.Header.AddressList(name)
			if err != nil || len(std.Header[name]) != 1 {
				continue
			}
			lists++
			if len(list) != len(want) {
				t.Errorf("%s: %d addresses in %s, want %d", m.name, len(list), name, len(want))
				continue
			}
			for i := range want {
				if strings.ReplaceAll(list[i].Mailbox, `"`, "") != want[i].Address { // which has lost its quotes
					t.Errorf("%s: %s has %q, want %q", m.name, name, list[i].Mailbox, want[i].Address)
				}
			}
		}
		want, err := std.Header.Date()
		if stated := std.Header.Get("Date"); err != nil || !strings.ContainsAny(stated, "+-") {
			continue
		}
		dates++
		if !m.Date.Equal(want) {
			t.Errorf("%s: %q is %v, want %v", m.name, std.Header.Get("Date"), m.Date, want)
		}
	}
	t.Logf("%d address lists and %d dates are read alike", lists, dates)
}

// Where go-message can read a mail to its end, this package finds the same attachments, byte for byte.
func TestRealPartsAreReadAsGoMessageReadsThem(t *testing.T) {
	compared, refused := 0, 0
	for _, m := range corpus(t) {
		want, ok := leaves(wire(m.Raw))
		if !ok {
			refused++
			continue
		}
		compared++
		for _, a := range m.Attachments {
			if !slices.ContainsFunc(want, func(leaf []byte) bool { return bytes.Equal(leaf, a.Data) }) {
				t.Errorf("%s: an attachment %q of %d bytes is none of the parts", m.name, a.Name, len(a.Data))
			}
		}
	}
	t.Logf("%d mails compared; go-message refuses %d", compared, refused)
}

// wire gives a mail the line ends that it has on the wire.
func wire(raw []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// Whatever servers put before a mail, whether its lines end as on the wire or as in a file, and how it ends: it is one event, with
// one digest.
func TestEveryRealMailIsOneEventWhateverCarriesIt(t *testing.T) {
	mails := corpus(t)
	host, in := channeltest.NewHost(), email.Inbox{Tenant: "corpus", ID: "inbox"}
	trace := []byte("Return-Path: <jo@example.com>\r\nDelivered-To: help@lumen.example\r\nReceived: from a.example (a.example [192.0.2.1])\r\n" +
		"\tby mx.lumen.example (Postfix) with ESMTP id 1\r\n\tfor <help@lumen.example>; Mon, 2 Mar 2026 09:15:07 +0100\r\n" +
		"Authentication-Results: mx.lumen.example; spf=fail smtp.mailfrom=example.com\r\n")
	count := 0
	for i, m := range mails {
		if raceEnabled && i%10 != 0 { // it takes ten times as long
			continue
		}
		count++
		sent := m.Raw
		for _, raw := range [][]byte{
			sent, wire(sent), slices.Concat(trace, wire(sent)), slices.Concat(trace, bytes.TrimRight(wire(sent), "\r\n")),
			slices.Concat(sent, []byte("\n\n")), slices.Concat([]byte("From jo@example.com Mon Mar  2 09:15:07 2026\n"), sent),
		} {
			if reason, err := email.Parse(raw).Deliver(t.Context(), host, in); err != nil || reason != "" {
				t.Fatalf("%s: %v %s", m.name, err, reason)
			}
		}
		if n := len(host.Conflicts()); n > 0 {
			t.Fatalf("%s: another way makes it say something else", m.name)
		}
	}
	if n := len(host.Events()); n != count {
		t.Errorf("%d events of %d mails", n, count)
	}
}

// leaves are the parts of a mail, with their transfer encodings undone.
func leaves(raw []byte) (parts [][]byte, ok bool) {
	e, err := message.Read(bytes.NewReader(raw)) // it decodes no charset, because none is registered
	if err != nil && !message.IsUnknownCharset(err) {
		return nil, false
	}
	err = e.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) {
			return err
		}
		if part.MultipartReader() != nil {
			return nil
		}
		body, err := io.ReadAll(part.Body)
		parts = append(parts, body)
		return err
	})
	return parts, err == nil
}

func BenchmarkParse(b *testing.B) {
	mails := corpus(b)
	size := 0
	for _, m := range mails {
		size += len(m.raw)
	}
	b.SetBytes(int64(size / len(mails)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		email.Parse(mails[i%len(mails)].raw)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
