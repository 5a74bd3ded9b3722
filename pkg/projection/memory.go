package projection

import (
	"encoding/binary"
	"slices"
)

// Memory is what the owner of a partition remembers without asking the store: of each name that was asked for lately a value. It forgets in
// halves: what was not asked for since the younger half began goes when that is full. Not for concurrent use.
type Memory[K comparable, V any] struct {
	limit          int // of each half, in bytes
	size           int // of the younger half
	weigh          func(*V) int
	younger, older map[K]*V
}

// NewMemory remembers about so many bytes; 0 for nothing. Weigh tells about how many a value takes.
func NewMemory[K comparable, V any](size int, weigh func(*V) int) *Memory[K, V] {
	return &Memory[K, V]{limit: size / 2, weigh: weigh, younger: map[K]*V{}, older: map[K]*V{}}
}

// Get gives what is remembered of a name; nil for nothing.
func (m *Memory[K, V]) Get(name K) *V {
	if v, found := m.younger[name]; found {
		return v
	}
	v, found := m.older[name]
	if found {
		delete(m.older, name)
		m.Keep(name, v)
	}
	return v
}

// Keep remembers a name that it did not know.
func (m *Memory[K, V]) Keep(name K, v *V) {
	if m.Off() {
		return
	}
	m.younger[name] = v
	m.Grow(m.weigh(v))
}

// Grow tells that a value that was asked for has grown by so many bytes.
func (m *Memory[K, V]) Grow(by int) {
	if m.size += by; m.size > m.limit {
		m.younger, m.older, m.size = m.older, m.younger, 0
		clear(m.younger)
	}
}

// Off tells that nothing is remembered.
func (m *Memory[K, V]) Off() bool { return m.limit == 0 }

// maxSeen is how many ids are remembered. Of more, the store is asked.
const maxSeen = 1024

// SeenBytes is about what each remembered id takes.
const SeenBytes = 16

// Seen remembers which ids of something were seen since it began, such as those of a thread's events. The zero value knows nothing.
type Seen struct {
	whole bool // it began under our eyes: ids are all of them
	ids   []uint64
}

// NewSeen is of something that begins now, or that was there before.
func NewSeen(begins bool) Seen { return Seen{whole: begins} }

// Whole tells that all ids are known.
func (s *Seen) Whole() bool { return s.whole }

// Len is how many ids are known.
func (s *Seen) Len() int { return len(s.ids) }

// Lacks reports that an id was not seen. Where it says no, only the store knows.
func (s *Seen) Lacks(id [16]byte) bool { return s.whole && !slices.Contains(s.ids, short(id)) }

// Add notes an id, and reports whether it takes room.
func (s *Seen) Add(id [16]byte) (grown bool) {
	switch {
	case !s.whole:
		return false
	case len(s.ids) == maxSeen:
		s.whole, s.ids = false, nil
		return false
	}
	s.ids = append(s.ids, short(id))
	return true
}

// short is a part of an id that two hardly share. Where they do, the store is asked.
func short(id [16]byte) uint64 { return binary.BigEndian.Uint64(id[8:]) }
