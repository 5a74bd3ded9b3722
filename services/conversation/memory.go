package conversation

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/conversation/story"
)

// DefaultMemory is how many bytes the fold of interactions remembers of each partition, unless it is told otherwise.
const DefaultMemory = 8 << 20

const (
	// threadBytes is about what a thread takes beside its last interaction, idBytes what each of its events takes.
	threadBytes = 512
	idBytes     = 16
	// maxRemembered is how many events of a thread are remembered. Of a longer one the store is asked.
	maxRemembered = 1024
)

// threadName tells a thread from all others.
type threadName struct {
	tenant string
	id     event.ID
}

// thread is what is known of a thread without asking the store.
type thread struct {
	head head
	last *filed // the interaction that began last; nil where none has
	// whole says that the thread began under our eyes: ids are those of all its events.
	whole bool
	ids   []uint64
	tail  tail
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

// lacks reports that an event is none of the thread's. Where it says no, only the store knows.
func (t *thread) lacks(id event.ID) bool { return t.whole && !slices.Contains(t.ids, short(id)) }

// short is a part of an id that two events hardly share. Where they do, the store is asked.
func short(id event.ID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

// memory is what the owner of a partition knows of its threads, of those that had events lately. It forgets in halves: what was
// not asked for since the younger half began goes when that is full.
type memory struct {
	limit          int // of each half, in bytes
	size           int // of the younger half
	younger, older map[threadName]*thread
}

func newMemory(size int) *memory {
	return &memory{limit: size / 2, younger: map[threadName]*thread{}, older: map[threadName]*thread{}}
}

// thread gives what is known of a thread; nil for nothing.
func (m *memory) thread(name threadName) *thread {
	if t, found := m.younger[name]; found {
		return t
	}
	t, found := m.older[name]
	if found {
		delete(m.older, name)
		m.keep(name, t)
	}
	return t
}

// keep remembers a thread that it did not know.
func (m *memory) keep(name threadName, t *thread) {
	if m.limit == 0 {
		return
	}
	m.younger[name] = t
	size := threadBytes + idBytes*len(t.ids) + len(t.tail.base.value)
	for _, f := range t.tail.facts {
		size += story.MomentSize + len(f.value)
	}
	m.grow(size)
}

// add notes an event of a thread.
func (m *memory) add(t *thread, id event.ID) {
	switch {
	case !t.whole:
	case len(t.ids) == maxRemembered:
		t.whole, t.ids = false, nil
	default:
		t.ids = append(t.ids, short(id))
		m.grow(idBytes)
	}
}

// insert notes a fact in the tail of a thread.
func (m *memory) insert(t *thread, at story.Moment, value []byte) {
	if m.limit == 0 || !t.tail.known {
		return
	}
	n := len(t.tail.facts)
	for n > 0 && at.Before(t.tail.facts[n-1].at) {
		n--
	}
	t.tail.facts = slices.Insert(t.tail.facts, n, encodedFact{at, bytes.Clone(value)})
	m.grow(story.MomentSize + len(value))
}

func (m *memory) grow(by int) {
	if m.size += by; m.size > m.limit {
		m.younger, m.older, m.size = m.older, m.younger, 0
		clear(m.younger)
	}
}
