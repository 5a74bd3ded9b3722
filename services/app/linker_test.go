package app_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/social/meta"
	"github.com/skein-cx/skein/services/channels/social/meta/whatsapp"
	"github.com/skein-cx/skein/services/linker"
)

// realMails are the mails of the SpamAssassin public corpus by their folder and file, and the archive that they stand in.
func realMails(t *testing.T) (archive string, mails map[string][]byte) {
	t.Helper()
	archive = filepath.Join("..", "..", "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz")
	f, err := os.Open(archive)
	if errors.Is(err, os.ErrNotExist) && !required("data") {
		t.Skip("skipped: the mails of ../shared/data/spamassassin-public-corpus are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unpacked, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	mails = map[string][]byte{}
	for r := tar.NewReader(unpacked); ; {
		entry, err := r.Next()
		if errors.Is(err, io.EOF) {
			return archive, mails
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(entry.Name, "/data/") || path.Ext(entry.Name) != ".txt" || strings.Contains(entry.Name, "file_list") {
			continue
		}
		name := path.Join(path.Base(path.Dir(entry.Name)), path.Base(entry.Name))
		if mails[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func required(what string) bool {
	return slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(w string) bool { return w == "all" || w == what })
}

// groups joins names.
type groups map[string]string

func (g groups) of(name string) string {
	for g[name] != "" && g[name] != name {
		name = g[name]
	}
	return name
}

func (g groups) join(a, b string) {
	if a, b = g.of(a), g.of(b); a != b {
		g[a] = b
	}
}

// nowhere is a read model without interactions: links of mails need none.
type nowhere struct{}

func (nowhere) At(context.Context, string, event.ID, int64, eventlog.Position) (event.ID, bool, error) {
	return event.ID{}, false, nil
}

// What the links of mails join are the components of the graph of references, as tools/mailgraph.py finds them by rules of its own:
// whether all mails came into one inbox, or each into one of three, where a thread ends at its inbox.
func TestLinksOfRealMailsAreTheComponentsOfTheirReferences(t *testing.T) {
	archive, mails := realMails(t)
	if len(mails) != 6046 {
		t.Fatalf("%d mails, want 6046", len(mails))
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		if required("python3") {
			t.Fatal(err)
		}
		t.Skip("skipped: python3 is not here (SKEIN_REQUIRE=python3 makes this a failure)")
	}
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("..", "..", "tools", "mailgraph.py"), archive).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(out)), "\n")
	for name, inboxes := range map[string][]string{"one inbox": {"inbox"}, "three inboxes": {"support", "sales", "service"}} {
		t.Run(name, func(t *testing.T) {
			got, threads, links := linkMails(t, mails, inboxes)
			t.Logf("%d mails in %d threads, %d links, %d components", len(mails), threads, links, len(got))
			if len(got) < len(inboxes) || threads <= len(want) {
				t.Errorf("nothing was to be joined: %d threads, %d components", threads, len(want))
			}
			for _, c := range got {
				if !slices.Contains(want, c) {
					t.Errorf("joined, and should not be, or not all: %s", c)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d components, want %d", len(got), len(want))
			}
		})
	}
}

// linkMails takes mails in, has them linked, and gives what the links join: the names of mails.
func linkMails(t *testing.T, mails map[string][]byte, inboxes []string) (components []string, threads, links int) {
	t.Helper()
	l := link(t)
	joined, thread := groups{}, map[string]string{}
	names := make([]string, 0, len(mails))
	for name := range mails { // in any order
		in := email.Inbox{Tenant: linkedTenant, ID: inboxes[len(names)%len(inboxes)]}
		m := email.Parse(mails[name])
		if !strings.Contains(m.MessageID, "@") {
			in.ID = inboxes[0] // what has no id is known by its thread only
		}
		if reason, err := m.Deliver(t.Context(), l.host, in); err != nil || reason != "" {
			t.Fatalf("%s: %v %s", name, err, reason)
		}
		thread[name] = l.keyring.Tenant(linkedTenant).Thread(in.ID, m.ThreadIn(in)).String()
		names = append(names, name)
	}
	for _, content := range l.asked() {
		members := content.GetConversationLinked().GetMembers()
		joined.join(members[0], members[1])
		links++
	}
	members, each := map[string][]string{}, map[string]bool{}
	slices.Sort(names)
	for _, name := range names {
		root := joined.of(thread[name])
		members[root] = append(members[root], name)
		each[thread[name]] = true
	}
	for _, m := range members {
		components = append(components, strings.Join(m, " "))
	}
	slices.Sort(components)
	return components, len(each), links
}

// Whoever writes by WhatsApp is there by the number, by the user who is named after it, and by Meta's ids of the person: one person.
func TestTheNamesOfAUserOfWhatsAppAreOnePersons(t *testing.T) {
	l, mux := link(t), http.NewServeMux()
	const secret = "s3cret"
	desk, err := whatsapp.New(whatsapp.Config{Mux: mux, Accounts: []whatsapp.Account{{
		Tenant: linkedTenant, Inbox: "desk", PhoneNumberID: "111222333", BusinessAccountID: "100200300", AppSecret: secret, VerifyToken: "v3rify", AccessToken: "t0ken",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := desk.Open(t.Context(), l.host); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join("..", "channels", "social", "meta", "whatsapp", "testdata", "kettle.synthetic.json"))
	if err != nil {
		t.Fatal(err)
	}
	var story []struct{ Body json.RawMessage }
	if err := json.Unmarshal(raw, &story); err != nil {
		t.Fatal(err)
	}
	body := []byte(story[0].Body)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/channels/whatsapp/"+linkedTenant+"/desk", bytes.NewReader(body))
	r.Header.Set(meta.SignatureHeader, meta.Sign(secret, body))
	recorder := httptest.NewRecorder()
	if mux.ServeHTTP(recorder, r); recorder.Code != http.StatusOK {
		t.Fatalf("answered %d: %s", recorder.Code, recorder.Body)
	}
	customers, linked := map[string]bool{}, map[string]bool{}
	for _, content := range l.asked() {
		customers[content.GetEndpointLinked().GetCustomerId()] = true
		for _, p := range content.GetParties() {
			linked[p.GetAddress()] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(linked)), []string{"+4930901820", "4930901820", "DE.1001", "DE.ENT.9001"}; len(customers) != 1 || !slices.Equal(got, want) {
		t.Errorf("linked %v to %d customers, want %v to one", got, len(customers), want)
	}
}

// linking is a linker at work.
type linking struct {
	t       *testing.T
	log     eventlog.Log
	store   kv.Store
	keyring *event.Keyring
	host    *intake.Intake
}

const (
	linkedTenant     = "corpus"
	linkedPartitions = 4
)

// link starts a linker on a log of its own.
func link(t *testing.T) *linking {
	t.Helper()
	l := &linking{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New()}
	fatal := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	fatal(l.log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: linkedPartitions},
		eventlog.Topic{Name: event.TopicLinks, Partitions: 1}, eventlog.Topic{Name: event.TopicDead, Partitions: 1}))
	var err error
	l.keyring, err = event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	fatal(err)
	compiler, err := event.NewCompiler(l.keyring)
	fatal(err)
	blobs, err := blob.Open(t.Context(), "mem://")
	fatal(err)
	l.host = intake.New(intake.Config{Compiler: compiler, Keyring: l.keyring, Log: l.log, Blobs: blobs})
	service, err := linker.New(linker.Config{Log: l.log, Store: l.store, Host: l.host, Keyring: l.keyring, Blobs: blobs, Interactions: nowhere{}})
	fatal(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// asked waits until everything has been looked at, and gives the links asked for.
func (l *linking) asked() (all []*eventv1.Content) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	fatal := func(err error) {
		if err != nil {
			l.t.Fatal(err)
		}
	}
	for p := range int32(linkedPartitions) {
		_, end, err := l.log.Bounds(ctx, event.TopicInteractions, p)
		fatal(err)
		for next := int64(-1); next < end && end > 0; runtime.Gosched() {
			next, _, err = pubsub.Places{Store: l.store, Namespace: linker.Namespace}.Load(ctx, event.TopicInteractions, p)
			fatal(err)
		}
	}
	_, end, err := l.log.Bounds(ctx, event.TopicLinks, 0)
	fatal(err)
	reader, err := l.log.Open(ctx, event.TopicLinks, 0, 0)
	fatal(err)
	defer reader.Close()
	for len(all) < int(end) {
		records, err := reader.Read(ctx, 1000)
		fatal(err)
		for _, r := range records {
			e, err := event.Decode(r.Value)
			fatal(err)
			content, err := event.DecodeContent(e)
			fatal(err)
			all = append(all, content)
		}
	}
	return all
}
