package conversation

import (
	"bytes"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/conversation/story"
)

// DefaultMemory is how many bytes the fold of interactions remembers of each partition, unless it is told otherwise.
const DefaultMemory = 8 << 20

// threadBytes is about what a thread takes, beside its events and facts.
const threadBytes = 768

// threadName tells a thread from all others.
type threadName struct {
	tenant string
	id     event.ID
}

// thread is what is known of a thread without asking the store.
type thread struct {
	head   head
	last   *filed // the interaction that began last; nil where none has
	events projection.Seen
	tail   tail
}

// tail is the facts of a thread from a state of it on.
type tail struct {
	known bool
	base  checkpoint // the zero one is before all facts
	facts []encodedFact
}

// encodedFact is a fact as its row holds it.
type encodedFact struct {
	at    story.Moment
	value []byte
}

// checkpoint is the state of a thread behind the fact of a moment.
type checkpoint struct {
	at    story.Moment
	value []byte
}

// memory is what the owner of a partition knows of its threads.
type memory struct {
	*projection.Memory[threadName, thread]
}

func newMemory(size int) memory {
	return memory{projection.NewMemory[threadName](size, func(t *thread) int {
		size := threadBytes + projection.SeenBytes*t.events.Len() + len(t.tail.base.value)
		for _, f := range t.tail.facts {
			size += story.MomentSize + len(f.value)
		}
		return size
	})}
}

// insert notes a fact in the tail of a thread.
func (m memory) insert(t *thread, at story.Moment, value []byte) {
	if m.Off() || !t.tail.known {
		return
	}
	n := len(t.tail.facts)
	for n > 0 && at.Before(t.tail.facts[n-1].at) {
		n--
	}
	t.tail.facts = slices.Insert(t.tail.facts, n, encodedFact{at, bytes.Clone(value)})
	m.Grow(story.MomentSize + len(value))
}
