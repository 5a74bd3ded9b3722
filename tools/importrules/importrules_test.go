package importrules_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/tools/importrules"
)

func TestWorkspaceKeepsTheImportRules(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := importrules.Load(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(importrules.Check(importrules.Rules(), files), importrules.CheckNames(files)...) {
		t.Error(v)
	}

	// That nothing was found counts only if everything was read.
	modules := map[string]int{}
	imports := 0
	for _, f := range files {
		module, _, _ := strings.Cut(f.Path, "/")
		modules[module]++
		imports += len(f.Imports)
	}
	for _, m := range []string{"proto", "pkg", "services", "tools"} {
		if modules[m] == 0 {
			t.Errorf("no file of the module %s was read", m)
		}
	}
	this := slices.IndexFunc(files, func(f importrules.File) bool { return f.Path == "tools/importrules/importrules_test.go" })
	if this < 0 || !files[this].Test || !slices.Contains(files[this].Imports, "github.com/skein-cx/skein/tools/importrules") {
		t.Error("this file was not read, or not as it is")
	}
	t.Logf("read %d files with %d imports", len(files), imports)
}

func TestEachRuleForbidsWhatItSays(t *testing.T) {
	t.Parallel()
	const own = "github.com/skein-cx/skein/"
	cases := []struct {
		importer, imported string
		rule               string // that is broken; none where the import is fine
		inTests            string // the same in a test file
	}{
		{"proto/skein/event/v1", own + "pkg/kv", "contract", "contract"},
		{"proto/skein/event/v1", own + "services/timeline", "contract", "contract"},
		{"proto/skein/timeline/v1", own + "proto/skein/event/v1", "", ""},
		{"proto/skein/timeline/v1", "google.golang.org/grpc/codes", "", ""},

		{"pkg/projection", own + "pkg/kv", "", ""},
		{"pkg/projection", own + "proto/skein/event/v1", "", ""},
		{"pkg/projection", own + "services/timeline", "libraries", "libraries"},
		{"pkg/projection", own + "tools/mailload", "libraries", "libraries"},

		{"services/app", own + "services/timeline", "", ""},
		{"services/cmd/skein", own + "services/app", "", ""},
		{"services/cmd/skein", own + "services/demo", "", ""},
		{"services/timeline", own + "services/app", "wiring", "wiring"},
		{"tools/mailload", own + "services/app/roles", "wiring", "wiring"},
		{"services/app", own + "services/cmd/skein", "commands", "commands"},
		{"services/timeline", own + "tools/mailload", "tools", "tools"},

		{"services/timeline", own + "services/ingest", "slices", "slices"},
		{"services/timeline/fold", own + "services/ingest/limits", "slices", "slices"},
		{"services/timeline/fold", own + "services/timeline", "", ""},
		{"services/timeline", own + "services/timeline/fold", "", ""},
		{"services/timeline", own + "services/channels/email", "slices", "slices"},
		{"services/channels/email", own + "services/timeline", "slices", "slices"},
		{"services/channels/email", own + "services/channels/phone", "slices", "slices"},
		{"services/channels/email/listener", own + "services/channels/email", "", ""},
		{"services/channels/email/listener", own + "services/channels/phone", "slices", "slices"},
		{"services/channels/email", own + "services/channels/email/listener", "slices", "slices"},
		{"services/channels/social/wechat", own + "services/channels/social", "", ""},
		{"services/channels/social/wechat", own + "services/channels/social/weibo", "slices", "slices"},
		{"services/channels/social/wechat", own + "services/channels/social/wechat/crypt", "", ""},

		{"services/app", own + "pkg/kv/pebblekv", "", ""},
		{"services/cmd/skein", own + "pkg/eventlog/kafkalog", "", ""},
		{"services/timeline", own + "pkg/kv/pebblekv", "choice of engines", ""},
		{"services/timeline", own + "pkg/kv/memkv", "choice of engines", ""},
		{"services/timeline", own + "pkg/kv/pgkv", "choice of engines", ""},
		{"services/timeline", own + "pkg/kv", "", ""},
		{"pkg/projection", own + "pkg/eventlog/embedded", "choice of engines", ""},
		{"pkg/projection", own + "pkg/eventlog/memlog", "choice of engines", ""},
		{"tools/mailload", own + "pkg/eventlog/kafkalog", "", ""},
		{"pkg/pubsub", own + "pkg/eventlog/kafkagroup", "choice of engines", ""},

		{"pkg/kv/pebblekv", own + "pkg/kv", "", ""},
		{"pkg/kv/pebblekv", own + "pkg/kv/memkv", "engines", ""},
		{"pkg/kv/pgkv", own + "pkg/kv/pebblekv", "engines", ""},
		{"pkg/eventlog/embedded", own + "pkg/eventlog/kafkalog", "engines", ""},
		{"pkg/eventlog/kafkagroup", own + "pkg/eventlog/kafkalog", "engines", ""},
		{"pkg/eventlog/kafkalog/internal/wire", own + "pkg/eventlog/kafkalog", "", ""},

		{"services/timeline", own + "pkg/kv/kvtest", "test packages", ""},
		{"tools/mailload", own + "pkg/channel/channeltest", "test packages", ""},
		{"tools/bench", own + "pkg/kv/pgkv/pgtest", "", ""},
		{"pkg/eventlog/logtest", own + "pkg/kv/kvtest", "", ""},
		{"pkg/eventlog", "net/http/httptest", "", ""},

		{"services/timeline", "google.golang.org/grpc/status", "status codes", ""},
		{"pkg/event", "google.golang.org/grpc/codes", "status codes", ""},
		{"pkg/rpc", "google.golang.org/grpc/status", "", ""},
		{"services/timeline", "google.golang.org/grpc", "", ""},

		{"pkg/kv/pebblekv", "github.com/cockroachdb/pebble/v2/vfs", "", ""},
		{"pkg/kv", "github.com/cockroachdb/pebble/v2", "Pebble", "Pebble"},
		{"pkg/kv/pgkv", "github.com/jackc/pgx/v5/pgxpool", "", ""},
		{"pkg/kv/pgkv/pgtest", "github.com/jackc/pgx/v5", "", ""},
		{"services/app", "github.com/jackc/pgx/v5/pgconn", "PostgreSQL", "PostgreSQL"},
		{"services/analytics/schema", "github.com/pressly/goose/v3/database", "", ""},
		{"services/analytics/warehouse", "github.com/pressly/goose/v3", "goose", "goose"},
		{"tools/mailload", "github.com/cockroachdb/pebble/v2/vfs", "Pebble", "Pebble"},
		{"tools/bench", "github.com/cockroachdb/pebble/v2", "", ""},
		{"tools/bench", "github.com/segmentio/kafka-go/protocol", "", ""},
		{"pkg/eventlog/kafkalog", "github.com/segmentio/kafka-go", "", ""},
		{"pkg/eventlog/kafkagroup", "github.com/segmentio/kafka-go", "", ""},
		{"pkg/projection", "github.com/segmentio/kafka-go", "kafka-go", "kafka-go"},
		{"services/app", "github.com/segmentio/kafka-go/sasl", "kafka-go", "kafka-go"},
		{"pkg/eventlog/embedded", "github.com/twmb/franz-go/pkg/kfake", "", ""},
		{"services/app", "github.com/twmb/franz-go/pkg/kfake", "embedded broker", ""},
	}
	broken := map[string]bool{}
	for _, c := range cases {
		for _, test := range []bool{false, true} {
			want := c.rule
			f := importrules.File{Path: c.importer + "/file.go", Package: own + c.importer, Imports: []string{"context", c.imported}, Test: test}
			if test {
				want, f.Path = c.inTests, c.importer+"/file_test.go"
			}
			var got []string
			for _, v := range importrules.Check(importrules.Rules(), []importrules.File{f}) {
				got = append(got, v.Rule)
				broken[v.Rule] = true
				for _, part := range []string{f.Path, c.imported, v.Rule, v.Because} {
					if part == "" || !strings.Contains(v.String(), part) {
						t.Errorf("%q does not name %q", v, part)
					}
				}
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("%s imports %s: broke %q; want %q", f.Path, c.imported, got, want)
			}
		}
	}
	for _, r := range importrules.Rules() {
		if !broken[r.Name] {
			t.Errorf("no case breaks the rule %q", r.Name)
		}
	}
}

func TestPackageNamesThatSayNothingAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pkg, name string
		banned    bool
	}{
		{"pkg/utils", "utils", true},
		{"pkg/kv/common", "common", true},
		{"pkg/kv/shared", "util", true},
		{"services/timeline/misc", "timeline", true},
		{"pkg/helpers", "helpers_test", true},
		{"pkg/kv", "kv", false},
		{"pkg/database", "database", false},
		{"services/cmd/skein", "main", false},
	} {
		f := importrules.File{Path: c.pkg + "/file.go", Package: "github.com/skein-cx/skein/" + c.pkg, Name: c.name}
		if got := importrules.CheckNames([]importrules.File{f}); (len(got) > 0) != c.banned {
			t.Errorf("package %s in %s: %v", c.name, c.pkg, got)
		}
	}
}
