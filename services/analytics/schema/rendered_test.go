package schema_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/skein-cx/skein/services/analytics/schema"
)

var update = flag.Bool("update", false, "write the golden files")

var targets = map[string]schema.Config{
	"plain":      {},
	"replicated": {Cluster: "main", Replicated: true},
	"sharded":    {Cluster: "{cluster}", Replicated: true, Sharded: true},
}

// There is no cluster here: what is made for one is only parsed.
func TestTheEngineParsesWhatIsMadeForAnyTarget(t *testing.T) {
	t.Parallel()
	h := &house{Warehouse: newWorld(t).open("system"), t: t}
	for name, cfg := range targets {
		files, err := schema.Statements(clickhouse.Auth{Database: "skein"}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, file := range slices.Sorted(maps.Keys(files)) {
			text.WriteString("-- " + file + "\n\n")
			for _, statement := range files[file] {
				text.WriteString(statement + ";\n\n")
				parses(h, statement)
			}
		}
		golden(t, name+".sql", text.String())
		statements, err := schema.Access("skein", cfg, []string{"acme", "b-2"})
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(strings.TrimSpace(statements), ";\n") {
			parses(h, statement)
		}
		golden(t, name+"_access.sql", statements)
	}
}

// parses fails unless the engine knows the statement's form, and reads what it writes of it the same way.
func parses(h *house, statement string) {
	h.t.Helper()
	once := h.lines("SELECT formatQuery(?)", statement)
	if again := h.lines("SELECT formatQuery(?)", once[0]); !equal(once, again) {
		h.t.Errorf("%s\nis read as %s\nand then as %s", statement, once, again)
	}
}

func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is made; if that is right, run the test with -update", path)
	}
}

func TestATenantThatCouldBreakOutOfItsNameIsRefused(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"", "a b", "x`", strings.Repeat("a", 65)} {
		if _, err := schema.Access("skein", schema.Config{}, []string{tenant}); err == nil || !strings.Contains(err.Error(), "schema: tenant ") {
			t.Error(tenant, err)
		}
	}
}

// dictionary: docs/tables.md is made of it.
func dictionary(h *house) {
	text, err := schema.Dictionary(h.t.Context(), h.Warehouse)
	if err != nil {
		h.t.Fatal(err)
	}
	golden(h.t, "../../../../docs/tables.md", `# Tables: the data dictionary

<!-- Generated from the comments in services/analytics/schema/migrations by go test ./services/analytics/schema -update. Do not edit. -->

Every view and table in ClickHouse with the meaning of its columns. Which to use for what, and queries to begin with: [analytics](analytics.md).

`+text+"\n")
	for _, want := range []string{
		"## Views\n\n### agent_states\n\n", "\n## Tables\n", "\n## Views with parameters\n", "\n## Dictionaries\n", "\n### visit_intervals\n", "| wait_ms | Int64 | Wait of the answered ones",
	} {
		if !strings.Contains(text, want) {
			h.t.Errorf("it lacks %q", want)
		}
	}
	text, dictionaries, _ := strings.Cut(text, "\n## Dictionaries\n") // whose columns have no comments
	if !strings.Contains(dictionaries, "### dict_entries") {
		h.t.Error(dictionaries)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "|") && strings.HasSuffix(line, "|  |") {
			h.t.Errorf("a column means nothing: %s", line)
		}
	}
	for _, not := range []string{"_mv", "schema_versions"} {
		if strings.Contains(text, "### "+not) {
			h.t.Errorf("it has %s", not)
		}
	}
}

func TestDictionariesReadInTheNameOfTheUserWhoMigrates(t *testing.T) {
	t.Parallel()
	h := &house{Warehouse: newWorld(t).open("system"), t: t}
	files, err := schema.Statements(clickhouse.Auth{Database: "skein", Username: "skein", Password: `it's a \ "secret"`}, schema.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range files["00004_dictionaries.sql"] {
		parses(h, statement)
		if !strings.Contains(statement, `USER 'skein' PASSWORD 'it\'s a \\ "secret"'`) {
			t.Error(statement)
		}
	}
}
