package directory_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Whoever claims an id when: an entry has it in the spans that are said, and at no other moment.
func TestAnIDIsAnEntrysInItsSpansOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := map[string][]directory.Version{}
		for _, agent := range []string{"a", "b", "101"} {
			for from := range int64(6) {
				if rapid.Bool().Draw(t, "no version") {
					continue
				}
				stated := &eventv1.DirectoryUpdated{Removed: rapid.IntRange(0, 3).Draw(t, "removed at 0") == 0}
				if !stated.GetRemoved() {
					ids := rapid.SliceOfN(rapid.SampledFrom([]*eventv1.NativeId{
						{Provider: "asterisk", Id: "101"}, {Provider: "other", Id: "101"}, {Id: "101"}, {Id: "102"},
					}), 0, 2).Draw(t, "ids")
					stated.Entry = &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{Ids: ids}}
				}
				entries[agent] = append(entries[agent], directory.Version{From: from * 10, Stated: stated})
			}
		}
		book := directory.NewBook(map[string]map[string][]directory.Version{directory.Agent: entries})
		for _, owner := range []string{"a", "b", "101"} {
			spans := book.Spans(directory.Agent, "asterisk", "101", owner)
			for at := int64(-5); at < 70; at += 5 {
				has := false
				for _, s := range spans {
					has = has || s.From <= at && at < s.Until
				}
				if want := book.Owner(directory.Agent, "asterisk", "101", at) == owner; has != want {
					t.Fatalf("%s at %d: %t, spans %v", owner, at, has, spans)
				}
			}
		}
	})
}
