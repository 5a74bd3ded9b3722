package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/services/directory"
)

const directoryExamples = "../../../docs/examples/directory"

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serveDirectory serves an empty directory until the test ends, and gives where.
func serveDirectory(t *testing.T) (address string) {
	t.Helper()
	log, store, progress := memlog.New(memlog.Config{}).Open(), memkv.New(), &projection.Progress{}
	check(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicDirectory, Partitions: 1}))
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	check(t, err)
	compiler, err := event.NewCompiler(keyring)
	check(t, err)
	fold, err := projection.NewRunner(t.Context(), projection.Config{
		Log: log, Store: store, Namespace: kv.Namespace{Slice: directory.Slice, Generation: 1}, Topic: event.TopicDirectory, Fold: directory.NewFold(1), Progress: progress,
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	folded := make(chan error, 1)
	go func() { folded <- fold.Run(ctx) }()
	authenticator, err := auth.New(nil, auth.Identity{Tenant: "acme", Name: "local", Admin: true})
	check(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	directory.NewServer(directory.Config{
		Directory: directory.NewDirectory(store, 1, progress, nil), Keyring: keyring, Log: log, Host: intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: log}),
	}).Register(server)
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	t.Cleanup(func() {
		server.Stop(context.Background())
		cancel()
		for _, ended := range []chan error{served, folded} {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return port.Addr().String()
}

func TestADirectoryIsImportedShownAndExported(t *testing.T) {
	t.Setenv("SKEIN_SERVER", serveDirectory(t))
	run := func(in string, args ...string) string {
		t.Helper()
		out, complaints, err := command(t, in, append([]string{"directory"}, args...)...)
		if err != nil || complaints != "" {
			t.Fatal(args, err, complaints)
		}
		return out
	}
	expect := func(out string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("no %q in\n%s", w, out)
			}
		}
	}
	company := filepath.Join(directoryExamples, "company.yaml")
	expect(run("", "import", company, "--valid-from", "2026-03-01T00:00:00Z", "--dry-run"), "added  agent    anna.weiss  Anna Weiß\n", "12 added, 0 changed, 0 removed, 0 the same.\nNothing was written.\n")
	expect(run("", "import", company, "--valid-from", "2026-03-01T00:00:00Z"), "12 added, 0 changed, 0 removed, 0 the same.\n")
	expect(run("", "import", company), "0 added, 0 changed, 0 removed, 12 the same.\n")
	expect(run("", "import", filepath.Join(directoryExamples, "monday.yaml")), "changed  agent    tom.berg    Tom Berg\n", "removed  setting  wallboard   \n", "0 added, 2 changed, 1 removed, 0 the same.\n")

	expect(run("", "list", "--kind", "agent", "--at", "2026-03-02"), "KIND   ID          NAME", "agent  tom.berg    Tom Berg   2026-03-01T00:00:00Z  2026-03-08T23:00:00Z\n", "李娜")
	expect(run("", "list", "--json", "--at", "2026-03-02T00:00:00Z"), `"wallboard"`)
	expect(run("", "show", "agent", "tom.berg", "--at", "2026-03-02"), "# since 2026-03-01T00:00:00Z until 2026-03-08T23:00:00Z, stated by local at 2", "agents:\n  - id: tom.berg\n    name: Tom Berg\n    ids:\n      - provider: asterisk\n        id: \"202\"\n")
	if out := run("", "show", "agent", "tom.berg", "--history"); strings.Count(out, "# since") != 2 || strings.Index(out, `"201"`) > strings.Index(out, `"202"`) {
		t.Errorf("the history is\n%s", out)
	}

	exported := run("", "export")
	expect(run(exported, "import", "-"), "0 added, 0 changed, 0 removed, 11 the same.\n")
	expect(run(run("", "export", "--moments", "--at", "2026-03-02"), "import", "-"), " 12 the same.\n")
	pruned := "agents:\n- id: anna.weiss\n  name: Anna\n"
	expect(run(pruned, "import", "-", "--prune", "--dry-run"), "changed  agent  anna.weiss  Anna\n", "removed  agent  li.na ", "0 added, 1 changed, 2 removed, 0 the same.")
	expect(run("agents: []\n", "import", "-", "--prune"), "0 added, 0 changed, 3 removed, 0 the same.")
	expect(run("", "import", "-"), "There is nothing to import.\n")
}

func TestWhatIsWrongWithADirectoryIsToldByFileAndLine(t *testing.T) {
	t.Setenv("SKEIN_SERVER", serveDirectory(t))
	file := filepath.Join(t.TempDir(), "people.yaml")
	for text, want := range map[string]string{
		"agents:\n- id: anna\n  team: sales\n":                                              file + ":3: agents[0].team: is not known here",
		"valid_from: 2026-03-01\nagents:\n- id: bob\n- id: anna\n  teams:\n  - sales\n":     file + `:6: agents[1].teams[0]: there is no team "sales" at 2026-03-01T00:00:00Z`,
		"agents:\n- id: bob\n- id: anna\n  skills:\n    german: 11\n":                       file + ":5: agents[1].skills.german: must be greater than or equal to 0 and less than or equal to 10",
		"queues:\n- id: q\n  service_level:\n    within: 20s\n    goal: 80\n  teams: [q]\n": file + ":5: queues[0].service_level.goal: must be greater than or equal to 0 and less than or equal to 1",
	} {
		check(t, os.WriteFile(file, []byte(text), 0o600))
		if _, _, err := command(t, "", "directory", "import", file); err == nil || err.Error() != want {
			t.Errorf("got\n%v\nwant\n%s", err, want)
		}
	}
	for _, args := range [][]string{{"import", "missing.yaml"}, {"import", file, "--valid-from", "monday"}, {"show", "agent", "nobody"}, {"list", "--kind", "office"}, {"export", "--at", "x"}} {
		if _, _, err := command(t, "", append([]string{"directory"}, args...)...); err == nil {
			t.Errorf("%v is fine", args)
		}
	}
}
