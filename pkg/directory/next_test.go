package directory_test

import (
	"testing"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestTheNextMomentIsTheFirstAtWhichAnyEntrySaysSomethingElse(t *testing.T) {
	stated := &eventv1.DirectoryUpdated{}
	book := directory.NewBook(map[string]map[string][]directory.Version{
		directory.Queue: {"sales": {{From: 10, Stated: stated}, {From: 40, Stated: stated}}},
		directory.Team:  {"blue": {{From: 20, Stated: stated}}},
	})
	for after, want := range map[int64]int64{0: 10, 9: 10, 10: 20, 20: 40, 39: 40} {
		if next, found := book.Next(after); !found || next != want {
			t.Errorf("behind %d comes %d (%v), want %d", after, next, found, want)
		}
	}
	if next, found := book.Next(40); found {
		t.Errorf("behind the last comes %d", next)
	}
	var none *directory.Book
	if _, found := none.Next(0); found {
		t.Error("an empty book has a next moment")
	}
}
