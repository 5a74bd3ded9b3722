package archive_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/history"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/custom/archive"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) archive.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return archive.Config{Path: path, Tenant: "acme", Inbox: "old"}
}

// run imports, and gives what is wrong.
func run(t *testing.T, source history.Source, host *channeltest.Host) (history.Progress, []string) {
	t.Helper()
	var faults []string
	got, err := history.Import(t.Context(), host, source, history.Options{Workers: 1, Fault: func(f history.Fault) { faults = append(faults, f.Name+": "+f.Err.Error()) }})
	must(t, err)
	for _, e := range host.Events() {
		if !e.Event.GetBackfill() {
			t.Errorf("%v is no history", e.Event)
		}
	}
	if got.Done != got.Size {
		t.Errorf("%d of %d are done", got.Done, got.Size)
	}
	return got, faults
}

const tickets = `Ticket;Created At;E-Mail;Name;Sender Type;Body;Language
17;2024-03-01 09:15:00;anna@example.com;Anna;customer;"The kettle
leaks; what now?";en
17;2024-03-01 09:30:00;anna@example.com;Anna;agent;We send another one.;en
18;2024-03-02 10:00:00;+49 30 901820;王梅;customer;水壶漏水;zh-CN
18;2024-03-02 10:00:00;+49 30 901820;王梅;customer;水壶漏水;zh-CN
19;soon;x-77;;customer;When?;
;2024-03-02 10:00:00;x-77;;customer;Where?;
20;2024-03-02 11:00:00;x-77;;robot;Who?;
21;1709377200;x-77;;customer;Short
`

func TestATableIsTakenInRowByRow(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	source, err := archive.OpenTable(archive.Table{Config: write(t, "tickets.csv", "\ufeff"+tickets), Zone: berlin, Channel: "web chat"})
	must(t, err)
	host := channeltest.NewHost()
	got, faults := run(t, source, host)
	channeltest.Golden(t, filepath.Join("testdata", "tickets.txt"), channeltest.Transcript(host.Events()))
	want := []string{
		`line 7: the time "soon" is written in no usual way: say how`, "line 8: the thread is missing",
		`line 9: the direction "robot" is neither inbound nor outbound`,
	}
	if !slices.Equal(faults, want) || got.Events != 5 {
		t.Errorf("%+v %q", got, faults)
	}
}

func TestATableWithoutWhatIsNeededIsRefusedWithItsColumns(t *testing.T) {
	for name, c := range map[string]struct {
		table   string
		columns map[string]string
		want    string
	}{
		"no thread":      {"Name,Text\nAnna,Hello\n", nil, "name it as the field thread; there are: Name, Text"},
		"no such column": {"Ticket,Text\n1,Hello\n", map[string]string{"text": "Body"}, `there is no column "Body" for text; there are: Ticket, Text`},
		"no such field":  {"Ticket,Text\n1,Hello\n", map[string]string{"txt": "Text"}, `"txt" is no field; there are: agent, channel`},
		"empty":          {"", nil, "the table is empty"},
	} {
		_, err := archive.OpenTable(archive.Table{Config: write(t, "t.csv", c.table), Columns: c.columns})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := archive.OpenTable(archive.Table{Config: write(t, "t.csv", tickets), Channel: "telegraph"}); err == nil || !strings.Contains(err.Error(), "web_chat") {
		t.Error(err)
	}
}

func TestLinesAreSubmissions(t *testing.T) {
	const good = `{"type":"message.received","channel":"CHANNEL_SMS","provider":"old","thread":"t","nativeId":"1","occurredAt":"2024-03-01T09:15:00Z","content":{"messageReceived":{"text":"Hello"}}}`
	source, err := archive.OpenLines(write(t, "a.jsonl", good+"\n\n{\"typ\":1}\n"+strings.Replace(good, `"t"`, `""`, 1)+"\n"+strings.Replace(good, `"1"`, `"2"`, 1)))
	must(t, err)
	host := channeltest.NewHost()
	got, faults := run(t, source, host)
	if len(host.Events()) != 2 || got.Faults != 2 || !strings.HasPrefix(faults[0], "line 3: it is no submission") || !strings.HasPrefix(faults[1], "line 4: ") || host.Events()[0].Event.GetInbox() != "old" {
		t.Errorf("%+v %q, %d events", got, faults, len(host.Events()))
	}
}

// The file is composed from Chatwoot's API reference (https://developers.chatwoot.com/api-reference): it is synthetic.
func TestChatwootsConversationsReadAsAStory(t *testing.T) {
	source, err := archive.OpenChatwoot(archive.Config{Path: filepath.Join("testdata", "chatwoot-synthetic.json"), Tenant: "acme", Inbox: "old"})
	must(t, err)
	host := channeltest.NewHost()
	_, faults := run(t, source, host)
	channeltest.Golden(t, filepath.Join("testdata", "chatwoot.txt"), channeltest.Transcript(host.Events()))
	if want := []string{"conversation 43, message 9: 7 is no type of a message", "conversation 4: its id is missing"}; !slices.Equal(faults, want) {
		t.Errorf("%q", faults)
	}
}

// However conversations are packed, they are the same.
func TestChatwootsPagesListsAndLinesAreTheSame(t *testing.T) {
	const a, b = `{"id":1,"created_at":1709284500,"messages":[]}`, `{"id":2,"created_at":"2024-03-01T09:15:00Z","messages":[{"id":5,"message_type":"incoming","content":"Hello","created_at":1709284500}]}`
	var want []string
	for _, text := range []string{a + "\n" + b, "[" + a + "," + b + "]", `{"payload":[` + a + "," + b + "]}", `{"data":{"meta":{},"payload":[` + a + "]}}" + `{"data":{"payload":[` + b + "]}}"} {
		source, err := archive.OpenChatwoot(write(t, "c.json", text))
		must(t, err)
		host := channeltest.NewHost()
		if _, faults := run(t, source, host); len(faults) > 0 {
			t.Errorf("%s: %v", text, faults)
		}
		got := channeltest.Fingerprint(t, host)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) || len(got) != 3 {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(tickets)
	f.Add("thread\ttext\n1\t\"a\tb\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		fuzz(t, text, func(c archive.Config) (history.Source, error) { return archive.OpenTable(archive.Table{Config: c}) })
	})
}

func FuzzChatwoot(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "chatwoot-synthetic.json"))
	must(f, err)
	f.Add(string(raw))
	f.Add(`{"payload":[{"id":1,"messages":[{"id":2,"message_type":0}]}]}`)
	f.Fuzz(func(t *testing.T, text string) { fuzz(t, text, archive.OpenChatwoot) })
}

// Whatever an archive holds, what is taken of it is history of its inbox, and the rest is told.
func fuzz(t *testing.T, text string, open func(archive.Config) (history.Source, error)) {
	t.Helper()
	source, err := open(write(t, "archive", text))
	if err != nil {
		return
	}
	_, _ = history.Import(t.Context(), looking{t}, source, history.Options{Workers: 1}) // that it cannot be read is fine
}

// looking is a host that keeps nothing: to make a real one takes too long for a fuzzer.
type looking struct{ t *testing.T }

func (l looking) Submit(_ context.Context, tenant string, all ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	for _, s := range all {
		if !s.GetBackfill() || s.GetInbox() != "old" || tenant != "acme" || s.GetType() == "" {
			l.t.Errorf("%v", s)
		}
	}
	return make([]channel.Acknowledgement, len(all)), nil
}

func (looking) PutBlob(context.Context, channel.BlobInfo, io.Reader) (*eventv1.Blob, error) {
	return nil, errors.New("an archive holds no files")
}

func (looking) Reject(context.Context, channel.Rejection) error { return nil }
