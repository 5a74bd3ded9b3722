package story

import (
	"slices"

	"github.com/skein-cx/skein/pkg/event"
)

// Whole derives all interactions of a thread from all its facts, which it sorts, in order of their begin.
func Whole(facts []Fact) []*Interaction {
	slices.SortFunc(facts, func(a, b Fact) int { return a.Compare(b.Moment) })
	var (
		t   Thread
		all []*Interaction
		m   = memory{}
	)
	for n := range facts {
		left := t.Last
		i, err := t.Apply(&facts[n], m)
		switch {
		case err != nil:
			return nil // a memory has no errors
		case t.Last != left:
			all = append(all, t.Last)
			m.note(left)
		case i != t.Last:
			m.note(i)
		}
	}
	return all
}

// memory is the former interactions of a thread by their names; the first of a name has it.
type memory map[event.ID]*Interaction

func (m memory) Named(name event.ID) (*Interaction, error) { return m[name], nil }

func (m memory) note(i *Interaction) {
	if i == nil {
		return
	}
	for _, name := range i.Names() {
		if m[name] == nil {
			m[name] = i
		}
	}
}
