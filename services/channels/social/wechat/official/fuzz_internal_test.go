package official

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
)

// FuzzRead reads whatever comes: it gives an error, or events that differ from one another, twice the same, and each is accepted or refused
// for good by Skein's own rules.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.story"))
	if err != nil || len(files) == 0 {
		f.Fatal(err, "no stories")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range strings.Split(string(raw), "\n== ")[1:] {
			_, body, _ := strings.Cut(section, "\n")
			f.Add([]byte(strings.TrimSpace(body)))
		}
	}
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body []byte) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		a := &account{Account: Account{Tenant: "lumen", Inbox: strconv.Itoa(n), AppID: "wx1"}} // so that deliveries of different executions never meet
		body = withoutEncrypted(body)
		submissions, err := a.read(body)
		again, errAgain := a.read(bytes.Clone(body))
		if (err == nil) != (errAgain == nil) || len(submissions) != len(again) {
			t.Fatalf("%v and %v", err, errAgain)
		}
		if err == nil && len(submissions) == 0 {
			t.Fatal("no error and no event")
		}
		ids := map[string]bool{}
		for i, s := range submissions {
			if !proto.Equal(s, again[i]) {
				t.Fatalf("%v and %v", s, again[i])
			}
			id := s.GetThread() + "\x00" + s.GetType() + "\x00" + s.GetNativeId()
			if ids[id] {
				t.Fatalf("two events are one: %v", submissions)
			}
			ids[id] = true
		}
		var invalid *event.InvalidError
		for range 2 {
			if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil && !errors.As(err, &invalid) {
				t.Fatal(err)
			}
		}
		if len(host.Conflicts()) > 0 {
			t.Fatal(host.Conflicts())
		}
	})
}

// FuzzWithoutEncrypted leaves nothing out but what is encrypted, and what it leaves is read as the whole was.
func FuzzWithoutEncrypted(f *testing.F) {
	for _, body := range []string{
		"<xml><MsgType>text</MsgType><Encrypt><![CDATA[abc]]></Encrypt></xml>", "<xml><Encrypt>abc</Encrypt></xml>", `{"MsgType":"text","Encrypt":"abc"}`,
		"<xml><a><Encrypt/></a><MsgType/><Encrypt/><Encrypt/></xml>", "<xml><Encrypt><Encrypt></Encrypt></Encrypt><MsgType/></xml>",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rest := withoutEncrypted(bytes.Clone(body))
		whole, _, err := parse(body)
		if err != nil {
			return
		}
		n, _, err := parse(rest)
		if err != nil {
			t.Fatalf("%q became %q: %v", body, rest, err)
		}
		for _, name := range []string{"MsgType", "FromUserName", "Content", "Event"} {
			if whole.get(name) != n.get(name) {
				t.Errorf("%s: %q became %q", name, body, rest)
			}
		}
	})
}
