package story

import (
	"slices"

	"github.com/skein-cx/skein/pkg/event"
)

// Whole derives all interactions of a thread from all its facts, which it sorts, in order of their begin.
func Whole(facts []Fact) []*Interaction {
	slices.SortFunc(facts, func(a, b Fact) int { return a.Compare(b.Moment) })
	var t Thread
	all := &formers{facts: facts}
	for n := range facts {
		if _, err := t.Apply(&facts[n], all); err != nil {
			return nil // there are none
		}
		if t.Last != nil && (len(all.begun) == 0 || all.begun[len(all.begun)-1] != t.Last) {
			all.begun = append(all.begun, t.Last)
		}
	}
	return all.begun
}

// formers are all interactions of a thread, and the last one.
type formers struct {
	begun []*Interaction
	facts []Fact
}

// Named gives the last former one that bears a name.
func (f *formers) Named(name event.ID) (*Interaction, error) {
	return f.last(func(i *Interaction) bool { return i.Bears(name) }), nil
}

// At gives the last former one that began by a moment.
func (f *formers) At(m Moment) (*Interaction, error) {
	return f.last(func(i *Interaction) bool { return !m.Before(i.Start) }), nil
}

func (f *formers) last(is func(*Interaction) bool) *Interaction {
	for n := len(f.begun) - 2; n >= 0; n-- {
		if is(f.begun[n]) {
			return f.begun[n]
		}
	}
	return nil
}

// Moment gives where a fact stands.
func (f *formers) Moment(id event.ID) (Moment, error) {
	if n := slices.IndexFunc(f.facts, func(o Fact) bool { return o.ID == id }); n >= 0 {
		return f.facts[n].Moment, nil
	}
	return Moment{}, nil
}
