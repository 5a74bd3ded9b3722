package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

// Records that no connector of ours wrote, and an id that comes twice: an operator lists them, looks at them, and takes
// them in again. Everything else goes on meanwhile.
func TestAnOperatorLooksAtDeadLettersAndRedrivesThem(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	if out := s.Run("dead", "list", "--server", s.GRPC); !strings.Contains(out, "No dead letters.") {
		t.Errorf("an empty list says:\n%s", out)
	}

	log, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: []string{s.Kafka}})
	if err != nil {
		t.Fatal(err)
	}
	garbage := []byte("\x1b[31mno event\xff")
	if _, err := eventlog.AppendAll(t.Context(), log, []eventlog.Message{{Topic: event.TopicInteractions, Key: []byte("k"), Value: garbage}}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "events.jsonl")
	for _, text := range []string{"first", "second"} { // one id, other content
		line := fmt.Sprintf(`{"type":"note.added","provider":"test","inbox":"desk","thread":"t","nativeId":"1","occurredAt":"2026-03-02T08:00:00Z",`+
			`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna@example.com"},"side":"SIDE_CUSTOMER"}],"content":{"noteAdded":{"text":%q}}}`, text)
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Run("publish", file, "--server", s.GRPC)
	}
	dead := func(args ...string) string {
		return s.Run(append(append([]string{"dead"}, args...), "--server", s.GRPC)...)
	}
	list := func(args ...string) (letters [][]string) {
		for line := range strings.Lines(dead(append([]string{"list"}, args...)...)) {
			if fields := strings.Fields(line); strings.Contains(fields[0], "/") {
				letters = append(letters, fields)
			}
		}
		return letters
	}
	srv.WaitFor("holding both letters", func() bool { return len(list()) == 2 })

	broken := list("--reason", "undecodable")[0][0]
	if out := dead("show", broken); !strings.Contains(out, "00000000  1b 5b 33 31 6d 6e 6f 20") || strings.Contains(out, "\x1b") {
		t.Errorf("garbage is shown as:\n%q", out)
	}
	if out := dead("show", broken, "--raw"); out != string(garbage) {
		t.Errorf("raw: %q", out)
	}
	conflict := list("--reason", "conflict", "--slice", "timeline", "--tenant", "default")[0][0]
	if out := dead("show", conflict); !strings.Contains(out, "winner") || !strings.Contains(out, `"note.added"`) || !strings.Contains(out, `second`) {
		t.Errorf("a conflict is shown as:\n%s", out)
	}

	// Both are still what they were: the garbage becomes a new letter, the conflict is not even tried.
	refusing := s.Start("dead", "redrive", "--all", "--server", s.GRPC)
	if err := refusing.End(); err == nil {
		t.Error("a redrive in vain succeeds")
	}
	if out := refusing.Out(); !strings.Contains(out, conflict+"  not redriven: its event has the id of an earlier event") || !strings.Contains(out, "1 of 2 letters redriven.") {
		t.Errorf("redrive says:\n%s", out)
	}
	srv.WaitFor("holding the new letter", func() bool { return len(list("--all")) == 3 })
	if out := dead("show", broken); !strings.Contains(out, "the software is not mended yet") {
		t.Errorf("a letter redriven in vain is shown as:\n%s", out)
	}
	if open := list(); len(open) != 2 {
		t.Errorf("open: %v", open)
	}
	if out := dead("redrive", conflict, "--force"); !strings.Contains(out, "1 of 1 letters redriven.") {
		t.Errorf("redrive --force says:\n%s", out)
	}

	timeline := s.Run("timeline", "anna@example.com", "--json", "--server", s.GRPC)
	if strings.Count(timeline, "\n") != 1 || !strings.Contains(timeline, `"first"`) {
		t.Errorf("the timeline holds:\n%s", timeline)
	}
	for args, want := range map[string]string{
		"show 0/999": "no such letter", "show gibberish": "is no dead letter", "redrive": "name letters", "redrive 1/1 --all": "name letters",
		"list --reason odd": "there are: undecodable, invalid, conflict, rejected",
	} {
		p := s.Start(append(append([]string{"dead"}, strings.Fields(args)...), "--server", s.GRPC)...)
		if err := p.End(); err == nil || !strings.Contains(p.Out(), want) {
			t.Errorf("dead %s says:\n%s", args, p.Out())
		}
	}
}
