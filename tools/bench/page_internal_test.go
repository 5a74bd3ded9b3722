package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAPageKeepsWhatPeopleWroteAndTheTablesOfJobsThatDidNotRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	run := func(job, title, cell string) string {
		t.Helper()
		r := &Report{Config: Config{Events: 100, Turns: 2, Each: time.Second}, began: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), load: "0.1"}
		r.Tables = []*Table{{Title: title, Text: "How.", Columns: []string{"what"}, Rows: [][]string{{cell}}, job: job}}
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	page := run("fold", "Fold", "first")
	if err := os.WriteFile(path, []byte(strings.Replace(page, notesBegin, notesBegin+"\n\nBy a person.\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run("ingest", "Ingest", "second")
	page = run("fold", "Fold", "third")
	for _, want := range []string{"By a person.", "| second |", "| third |", "*Run on 2026-03-02 08:00 UTC: 2 turns, 1s for each measurement by time; load before it 0.1.*"} {
		if strings.Count(page, want) == 0 {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "| first |") {
		t.Error("the page shows what was measured anew")
	}
	if ingest, fold := strings.Index(page, "## Ingest"), strings.Index(page, "## Fold"); ingest > fold {
		t.Error("the jobs stand in another order than they run")
	}
}
