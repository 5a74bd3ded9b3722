package email_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
)

// Whatever the bytes are, they give one event of the mail that Skein's own rules accept, and perhaps some of what it reports,
// twice the same, whatever server put its lines before it.
func FuzzParse(f *testing.F) {
	mails, err := filepath.Glob(filepath.Join("testdata", "mails", "*.eml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range mails {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, seed := range []string{
		"", "\n", ":\n", " \n", "From ", ">From x\n\n", "Content-Type: multipart/digest; boundary=\"\"\n\n--\n--",
		"Content-Type: text/html\n\n<blockquote type=cite><pre>x<br", "To: (((<\"\n\n", "Date: :::: + - 1 1 1\n\n",
		"Content-Type: a/b; x*0*=gb2312''%zz; x*1=\"\\\n\n", "Subject: =?utf-7?b?====?= =??Q??=\n\n",
	} {
		f.Add([]byte(seed))
	}
	in, host, n := support(f), channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := email.Parse(raw)
		checkUTF8(t, m)
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		in.ID = strconv.Itoa(n) // so that mails of different executions never meet
		before := len(host.Events())
		traced := raw
		if sent := m.Raw; len(sent) > 0 && sent[0] != ' ' && sent[0] != '\t' { // else it goes on with the server's line
			traced = slices.Concat([]byte("Return-Path: <>\r\nReceived: from a by b\r\n"), sent)
		}
		for _, raw := range [][]byte{raw, traced} {
			if reason, err := email.Parse(raw).Deliver(t.Context(), host, in); err != nil || reason != "" {
				t.Fatal(err, reason)
			}
		}
		messages := 0
		for _, e := range host.Events()[before:] {
			if e.Content.GetMessageReceived() != nil || e.Content.GetMessageSent() != nil {
				messages++
			}
		}
		if messages != 1 || len(host.Conflicts()) != 0 {
			t.Fatalf("%d messages more, %d conflicts", messages, len(host.Conflicts()))
		}
	})
}
