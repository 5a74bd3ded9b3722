package app_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/pubsub"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/linker"
)

const corpusTenant = "corpus"

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
	log, store := memlog.New(memlog.Config{}).Open(), memkv.New()
	const partitions = 4
	err := log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: partitions},
		eventlog.Topic{Name: event.TopicLinks, Partitions: 1}, eventlog.Topic{Name: event.TopicDead, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blobs.Close() }()
	host := intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: log, Blobs: blobs})
	service, err := linker.New(linker.Config{Log: log, Store: store, Host: host, Keyring: keyring, Blobs: blobs, Interactions: nowhere{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()

	joined, thread := groups{}, map[string]string{}
	names := make([]string, 0, len(mails))
	for name := range mails { // in any order
		in := email.Inbox{Tenant: corpusTenant, ID: inboxes[len(names)%len(inboxes)]}
		m := email.Parse(mails[name])
		if !strings.Contains(m.MessageID, "@") {
			in.ID = inboxes[0] // what has no id is known by its thread only
		}
		if reason, err := m.Deliver(ctx, host, in); err != nil || reason != "" {
			t.Fatalf("%s: %v %s", name, err, reason)
		}
		thread[name] = keyring.Tenant(corpusTenant).Thread(in.ID, m.ThreadIn(in)).String()
		names = append(names, name)
	}
	for p := range int32(partitions) {
		_, end, err := log.Bounds(ctx, event.TopicInteractions, p)
		if err != nil {
			t.Fatal(err)
		}
		for next := int64(-1); next < end; runtime.Gosched() {
			if next, _, err = (pubsub.Places{Store: store, Namespace: linker.Namespace}).Load(ctx, event.TopicInteractions, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, end, err := log.Bounds(ctx, event.TopicLinks, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := log.Open(ctx, event.TopicLinks, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for links < int(end) {
		records, err := reader.Read(ctx, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			e, err := event.Decode(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			content, err := event.DecodeContent(e)
			if err != nil {
				t.Fatal(err)
			}
			members := content.GetConversationLinked().GetMembers()
			joined.join(members[0], members[1])
			links++
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
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
