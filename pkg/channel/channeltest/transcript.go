package channeltest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// Transcript tells events as a story, one a line: when, what, in which thread, under which native id, who, with whom, and what
// is in it.
func Transcript(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		s := e.Submission
		if s.GetOccurredAt() != nil {
			fmt.Fprintf(&b, "%s  ", s.GetOccurredAt().AsTime().Format(time.RFC3339Nano))
		}
		fmt.Fprintf(&b, "%s  %s %s", s.GetType(), s.GetThread(), s.GetNativeId())
		if s.GetOrdinal() != 0 {
			fmt.Fprintf(&b, "#%d", s.GetOrdinal())
		}
		fmt.Fprintf(&b, "  %s", lower(s.GetDirection().String(), "DIRECTION_"))
		if s.GetOrigin() != 0 {
			fmt.Fprintf(&b, "/%s", lower(s.GetOrigin().String(), "ORIGIN_"))
		}
		if a := s.GetActor(); a != nil {
			fmt.Fprintf(&b, " by %s %s", lower(a.GetKind().String(), "ACTOR_KIND_"), a.GetId())
		}
		for _, f := range []struct{ name, value string }{
			{"interaction", s.GetInteraction()}, {"queue", s.GetQueue()}, {"visit", s.GetVisit()}, {"assignment", s.GetAssignment()},
		} {
			if f.value != "" {
				fmt.Fprintf(&b, " %s=%s", f.name, f.value)
			}
		}
		for _, p := range s.GetParties() {
			fmt.Fprintf(&b, "\n    %s %s: %s %s", lower(p.GetSide().String(), "SIDE_"), lower(p.GetRole().String(), "PARTY_ROLE_"),
				p.GetAddress().GetValue(), p.GetDisplayName())
		}
		if body := bodyOf(s.GetContent()); body != "" {
			fmt.Fprintf(&b, "\n    %s", body)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func lower(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func bodyOf(c *eventv1.Content) string {
	if c == nil {
		return ""
	}
	text, err := protojson.Marshal(c)
	if err != nil {
		return err.Error()
	}
	var compact bytes.Buffer // protojson puts spaces where it likes
	if err := json.Compact(&compact, text); err != nil {
		return err.Error()
	}
	return compact.String()
}

// Golden compares a text with the one in a file, which -update writes.
func Golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: write it with go test -update", err)
	}
	if string(want) != got {
		t.Errorf("%s is not what came. Got:\n%s", file, got)
	}
}
