package story

import (
	"slices"

	"github.com/skein-cx/skein/pkg/event"
)

// Whole derives all interactions of a thread from all its facts, which it sorts, in order of their begin.
func Whole(facts []Fact) []*Interaction {
	slices.SortFunc(facts, func(a, b Fact) int { return a.Compare(b.Moment) })
	var t Thread
	all := &formers{}
	for n := range facts {
		if _, err := t.Apply(&facts[n], all); err != nil {
			return nil // there are none
		}
		if t.Last != nil && (len(*all) == 0 || (*all)[len(*all)-1] != t.Last) {
			*all = append(*all, t.Last)
		}
	}
	return *all
}

// formers are all interactions of a thread, and the last one.
type formers []*Interaction

func (f *formers) Named(name event.ID) (*Interaction, error) {
	for n := len(*f) - 2; n >= 0; n-- {
		if i := (*f)[n]; i.Bears(name) {
			return i, nil
		}
	}
	return nil, nil
}
