package email_test

import (
	"bytes"
	"io"
	"net/mail"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
)

func outgoing() *email.Outgoing {
	return &email.Outgoing{
		From: email.Address{Name: "Lumen 客服", Mailbox: "help@lumen.example"}, To: []email.Address{{Name: `Jo "J" Doe`, Mailbox: "jo@example.com"}},
		Cc:      []email.Address{{Mailbox: "bo@example.com"}},
		Subject: "Re: Lampe – 灯不亮", Date: time.Date(2026, 3, 3, 9, 0, 0, 0, time.FixedZone("", 3600)), MessageID: "sk1.x.y.z@lumen.example",
		InReplyTo: "1@example.com", References: []string{"0@example.com", "1@example.com"},
		Text: "Hello Jo,\n\nit will: see below.\n.\nFrom here on\n", HTML: "<p>Hello Jo, <img src=\"cid:logo@lumen.example\"></p>",
		Files: []email.File{
			{Name: "logo.png", MediaType: "image/png", ContentID: "logo@lumen.example", Data: strings.NewReader("\x89PNG")},
			{Name: "说明书.pdf", MediaType: "application/pdf", Data: strings.NewReader(strings.Repeat("%PDF\x00\xff", 100))},
		},
	}
}

func compose(t *testing.T, o *email.Outgoing) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := email.Compose(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAComposedMailIsReadAsItWasMeant(t *testing.T) {
	raw, o := compose(t, outgoing()), outgoing()
	if again := compose(t, outgoing()); !bytes.Equal(raw, again) {
		t.Error("the same mail gives other bytes")
	}
	channeltest.Golden(t, filepath.Join("testdata", "composed.eml"), string(raw))
	m := email.Parse(raw)
	if len(m.Defects) > 0 || m.MessageID != o.MessageID || m.InReplyTo != o.InReplyTo || !slices.Equal(m.References, o.References) || m.Subject != o.Subject ||
		!m.Date.Equal(o.Date) || m.From[0] != o.From || m.To[0].Mailbox != "jo@example.com" || m.Cc[0] != o.Cc[0] {
		t.Errorf("read as %+v", m)
	}
	if m.Text+m.Quoted != strings.TrimSpace(o.Text) || strings.TrimSpace(m.HTML) != o.HTML || len(m.Attachments) != 2 {
		t.Fatalf("text %q, quoted %q, HTML %q, %d attachments", m.Text, m.Quoted, m.HTML, len(m.Attachments))
	}
	for i, want := range outgoing().Files {
		data, err := io.ReadAll(want.Data)
		got := m.Attachments[i]
		if err != nil || got.Name != want.Name || got.MediaType != want.MediaType || got.ContentID != want.ContentID || got.Inline != (i == 0) || !bytes.Equal(got.Data, data) {
			t.Errorf("attachment %+v, want %+v", got, want)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") || strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("a line that a mail may not have: %q", line)
		}
	}
	if std, err := mail.ReadMessage(bytes.NewReader(raw)); err != nil || std.Header.Get("Bcc") != "" {
		t.Errorf("the standard library: %v", err)
	}
}

func TestComposedMailsHaveNoMorePartsThanTheyNeed(t *testing.T) {
	for want, change := range map[string]func(*email.Outgoing){
		"text/plain":            func(o *email.Outgoing) { o.HTML, o.Files = "", nil },
		"text/html":             func(o *email.Outgoing) { o.Text, o.Files = "", nil },
		"multipart/alternative": func(o *email.Outgoing) { o.Files = nil },
		"multipart/mixed":       func(o *email.Outgoing) { o.HTML = "" },
	} {
		o := outgoing()
		change(o)
		m, err := mail.ReadMessage(bytes.NewReader(compose(t, o)))
		if err != nil || !strings.HasPrefix(m.Header.Get("Content-Type"), want) {
			t.Errorf("%v: %q, want %s", err, m.Header.Get("Content-Type"), want)
		}
	}
}

func TestNoFieldBringsInAnother(t *testing.T) {
	for name, change := range map[string]func(*email.Outgoing){
		"sender":     func(o *email.Outgoing) { o.From.Mailbox = "a@b.example>\r\nBcc: x@y.example" },
		"recipient":  func(o *email.Outgoing) { o.To[0].Mailbox = "a@b.example\nBcc: x@y.example" },
		"Message-ID": func(o *email.Outgoing) { o.MessageID = "a@b>\r\nBcc: x@y.example" },
		"no date":    func(o *email.Outgoing) { o.Date = time.Time{} },
	} {
		o := outgoing()
		change(o)
		if err := email.Compose(io.Discard, o); err == nil {
			t.Errorf("a mail with a bad %s is written", name)
		}
	}
	o := outgoing()
	const bad = "x\r\nBcc: evil@example.com\r\n\r\nbody"
	o.Subject, o.From.Name, o.To[0].Name, o.InReplyTo, o.References = bad, bad, bad, bad, []string{bad, "1@example.com"}
	o.Files[0].Name, o.Files[0].MediaType, o.Files[0].ContentID = bad, bad, bad
	m := email.Parse(compose(t, o))
	if len(m.Bcc) > 0 || m.InReplyTo != "" || !slices.Equal(m.References, []string{"1@example.com"}) || !strings.Contains(m.Subject, "Bcc:") {
		t.Errorf("read as %+v", m)
	}
}

func TestReferencesOfAnAnswer(t *testing.T) {
	many := &email.Mail{MessageID: "last@a"}
	for i := range 50 {
		many.References = append(many.References, string(rune('a'+i%26))+"@a")
	}
	got := email.ReferencesTo(many)
	if len(got) != 20 || got[0] != many.References[0] || got[19] != "last@a" || len(many.References) != 50 {
		t.Errorf("%d: %v", len(got), got)
	}
	if got := email.ReferencesTo(&email.Mail{MessageID: "2@a", InReplyTo: "1@a"}); !slices.Equal(got, []string{"1@a", "2@a"}) {
		t.Errorf("%v", got)
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("Subject", "Jo", "jo@example.com", "text", "<p>html", "name", "text/plain", "1@a")
	f.Add("\r\nBcc: x@y", "=?utf-8?q?x?=", `"a b"@c.example`, "\x00\xff\n.\n", "", "说\r\n.pdf", "a/b; x=\"", "<>")
	f.Fuzz(func(t *testing.T, subject, name, mailbox, text, html, file, mediaType, id string) {
		o := &email.Outgoing{
			From: email.Address{Name: name, Mailbox: "help@lumen.example"}, To: []email.Address{{Name: name, Mailbox: mailbox}}, Subject: subject,
			Date: time.Unix(1e9, 0).UTC(), MessageID: "1@lumen.example", InReplyTo: id, References: []string{id}, Text: text, HTML: html,
			Files: []email.File{{Name: file, MediaType: mediaType, ContentID: id, Data: strings.NewReader(text)}},
		}
		var b bytes.Buffer
		if err := email.Compose(&b, o); err != nil {
			return
		}
		m := email.Parse(b.Bytes())
		if len(m.Bcc)+len(m.Cc) > 0 || m.MessageID != "1@lumen.example" || len(m.From) != 1 || m.From[0].Mailbox != "help@lumen.example" || len(m.To) != 1 || len(m.Attachments) != 1 {
			t.Errorf("%q is read as %+v", b.Bytes(), m)
		}
		if string(m.Attachments[0].Data) != text {
			t.Errorf("the file is %q, want %q", m.Attachments[0].Data, text)
		}
	})
}
