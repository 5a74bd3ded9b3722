package timeline

import (
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
)

// DefaultMemory is how many bytes a fold remembers of each partition, unless it is told otherwise: some fifteen thousand
// threads of a few events.
const DefaultMemory = 4 << 20

// threadBytes is about what a thread takes, beside its events.
const threadBytes = 192

// threadName tells a thread from all others.
type threadName struct {
	tenant string
	id     event.ID
}

// thread is what is known of a thread without asking the store.
type thread struct {
	opened bool
	opener event.ID // where it is opened
	events projection.Seen
}

// memory is what the owner of a partition knows of its threads.
type memory = projection.Memory[threadName, thread]

func newMemory(size int) *memory {
	return projection.NewMemory[threadName](size, func(t *thread) int { return threadBytes + projection.SeenBytes*t.events.Len() })
}
