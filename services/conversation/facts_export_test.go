package conversation

import (
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/services/conversation/story"
)

// FactOf is what the fold reads of a record.
func (f *Fold) FactOf(r eventlog.Record) (story.Fact, bool) {
	in := &incoming{}
	ok := f.read(r, in)
	return in.fact, ok
}
