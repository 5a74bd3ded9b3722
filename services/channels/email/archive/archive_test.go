package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-mbox"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/archive"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mail(n int, body string) []byte {
	return fmt.Appendf(nil, "From: Anna <anna@example.com>\r\nTo: support@acme.example\r\nDate: Thu, %d Jan 2026 10:00:00 +0000\r\n"+
		"Message-ID: <m%d@example.com>\r\nSubject: Kettle\r\n\r\n%s\r\n", n+1, n, body)
}

func inbox(t *testing.T) email.Inbox {
	t.Helper()
	own := &email.Routes[struct{}]{}
	must(t, own.Add("support@acme.example", struct{}{}))
	return email.Inbox{Tenant: "acme", ID: "support", Own: own}
}

func run(t *testing.T, path string, host *channeltest.Host, o history.Options) (history.Progress, []string) {
	t.Helper()
	source, err := archive.Open(archive.Config{Path: path, Inbox: inbox(t), MaxMessageBytes: 2000})
	must(t, err)
	var faults []string
	o.Fault = func(f history.Fault) { faults = append(faults, f.Name+": "+f.Err.Error()) }
	got, err := history.Import(t.Context(), host, source, o)
	must(t, err)
	return got, faults
}

// texts are what the events of a host say.
func texts(t *testing.T, host *channeltest.Host) []string {
	t.Helper()
	var all []string
	for _, e := range host.Events() {
		if !e.Event.GetBackfill() {
			t.Errorf("%v is no history", e.Event)
		}
		all = append(all, strings.TrimSpace(e.Content.GetMessageReceived().GetText()))
	}
	slices.Sort(all)
	return all
}

func TestAnMboxFileAndAFolderOfTheSameMailsGiveTheSameEvents(t *testing.T) {
	dir := t.TempDir()
	var box bytes.Buffer
	w := mbox.NewWriter(&box)
	folder := filepath.Join(dir, "mails")
	bodies := []string{"one", "two\r\n\r\nFrom here on it is quoted", "three"}
	for i, body := range bodies {
		raw := mail(i, body)
		to, err := w.CreateMessage("anna@example.com", channeltest.ReceivedAt)
		must(t, err)
		_, err = to.Write(raw)
		must(t, err)
		sub := filepath.Join(folder, fmt.Sprint("box", i%2), "cur")
		must(t, os.MkdirAll(sub, 0o750))
		if i == 2 {
			raw = append([]byte("From anna@example.com Thu Jan  1 10:00:00 2026\n"), raw...) // some programs leave it there
		}
		must(t, os.WriteFile(filepath.Join(sub, fmt.Sprint(i, ":2,S")), raw, 0o600))
	}
	must(t, w.Close())
	must(t, os.WriteFile(filepath.Join(folder, ".index"), []byte("no mail"), 0o600))
	file := filepath.Join(dir, "mails.mbox")
	must(t, os.WriteFile(file, box.Bytes(), 0o600))

	host := channeltest.NewHost()
	got, faults := run(t, file, host, history.Options{})
	if got.Events != 3 || len(faults) > 0 || got.Done != got.Size {
		t.Errorf("%+v %v", got, faults)
	}
	want := texts(t, host)
	if len(want) != 3 || want[2] != "two\n\nFrom here on it is quoted" {
		t.Errorf("%q", want)
	}
	if got, faults = run(t, folder, host, history.Options{}); got.Events != 3 || got.Size != 3 || len(faults) > 0 {
		t.Errorf("%+v %v", got, faults)
	}
	if again := texts(t, host); !slices.Equal(again, want) || len(host.Conflicts()) > 0 {
		t.Errorf("%q, %d conflicts", again, len(host.Conflicts()))
	}
}

func TestAMailThatIsTooLargeIsToldAndTheOthersAreTaken(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a.eml"), mail(0, "one"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "b.eml"), mail(1, strings.Repeat("large ", 1000)), 0o600))
	host := channeltest.NewHost()
	got, faults := run(t, dir, host, history.Options{})
	if got.Events != 1 || !slices.Equal(faults, []string{"b.eml: it is larger than 2000 bytes"}) {
		t.Errorf("%+v %v", got, faults)
	}
}

// A folder is gone through in one order, and goes on behind any of its paths.
func TestAFolderGoesOnBehindEachOfItsPaths(t *testing.T) {
	dir := t.TempDir()
	paths := []string{"a/1", "a/b/1", "a.b/1", "a0", "b/1", "b/10", "b/2", "c"}
	for i, p := range paths {
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o750))
		must(t, os.WriteFile(filepath.Join(dir, p), mail(i, p), 0o600))
	}
	source, err := archive.Open(archive.Config{Path: dir, Inbox: inbox(t)})
	must(t, err)
	order := func(cursor string) (all []string) {
		must(t, source.Items(t.Context(), cursor, func(item history.Item) error {
			all = append(all, item.Cursor)
			return nil
		}))
		return all
	}
	all := order("")
	if len(all) != len(paths) {
		t.Fatal(all)
	}
	for i, at := range all {
		if rest := order(at); !slices.Equal(rest, all[i+1:]) {
			t.Errorf("behind %s come %v", at, rest)
		}
	}
}

func TestAnMboxFileGoesOnBehindEachOfItsMails(t *testing.T) {
	var box bytes.Buffer
	w := mbox.NewWriter(&box)
	for i := range 10 {
		to, err := w.CreateMessage("anna@example.com", channeltest.ReceivedAt)
		must(t, err)
		_, err = to.Write(mail(i, fmt.Sprint("number ", i)))
		must(t, err)
	}
	must(t, w.Close())
	file := filepath.Join(t.TempDir(), "archive")
	must(t, os.WriteFile(file, box.Bytes(), 0o600))
	var cursors channeltest.Cursors
	must(t, cursors.MoveCursor(t.Context(), "mails", "", "0 7"))
	host := channeltest.NewHost()
	run(t, file, host, history.Options{Cursors: &cursors, Name: "mails"})
	if got := texts(t, host); !slices.Equal(got, []string{"number 7", "number 8", "number 9"}) {
		t.Errorf("%q", got)
	}
}
