package email_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
)

// Whatever the bytes are, they give one event that Skein's own rules accept, twice the same.
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
		for range 2 {
			if reason, err := email.Parse(raw).Deliver(t.Context(), host, in); err != nil || reason != "" {
				t.Fatal(err, reason)
			}
		}
		if more := len(host.Events()) - before; more != 1 || len(host.Conflicts()) != 0 {
			t.Fatalf("%d events more, %d conflicts", more, len(host.Conflicts()))
		}
	})
}
