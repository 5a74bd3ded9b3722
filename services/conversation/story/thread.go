// Package story is what the events of one thread make of it: its interactions, with their waits, assignments, targets and timers. It is
// pure: the same facts give the same interactions, in whatever order they came, because they are applied in order of their moments.
// docs/interactions.md has the rules in words.
package story

import (
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Thread is the state of a thread behind its facts so far.
type Thread struct {
	// Last is the interaction that began last; nil where none has.
	Last *Interaction
	// Waiting are facts that belong to an interaction that has not begun.
	Waiting []Fact
}

// maxWaiting is how many facts wait at most. Those that come later are of no interaction.
const maxWaiting = 64

// Formers gives the former interactions of a thread, those before the last; nil where there is none. What is given is changed by what is
// told of it.
type Formers interface {
	// Named gives the one that bears a name; of several, the one that began last.
	Named(name event.ID) (*Interaction, error)
	// At gives the last one that began by a moment.
	At(m Moment) (*Interaction, error)
	// Moment gives where a fact stands; zero where there is none.
	Moment(id event.ID) (Moment, error)
}

// Apply tells a thread the next fact in order. It gives the interaction that the fact belongs to and may have changed: the last one, which
// may have begun by it, a former one, or none.
func (t *Thread) Apply(f *Fact, formers Formers) (*Interaction, error) {
	if f.Kind == Silent || f.Kind == TimerFired && t.Last == nil {
		return nil, nil
	}
	if t.Last != nil {
		t.Last.elapse(f)
	}
	i, err := t.named(f, formers)
	switch {
	case err != nil:
		return nil, err
	case f.Kind == TimerFired:
		return t.tick(i, f), nil
	case i != nil:
		i.elapse(f)
		i.tell(f, true)
		return i, nil
	case t.Last == nil || !f.Interaction.IsZero() && !t.adopts(f):
		if f.Kind.opens() {
			return t.begin(f), nil
		}
		if len(t.Waiting) < maxWaiting {
			t.Waiting = append(t.Waiting, *f)
		}
		return nil, nil
	case f.opens() && t.Last.isOver(f):
		return t.begin(f), nil
	}
	if !f.Interaction.IsZero() {
		t.Last.Name = f.Interaction
	}
	t.Last.tell(f, false)
	return t.Last, nil
}

// tick is that it is so late for an interaction, else for the last one. It gives the one that this changes, or the last one.
func (t *Thread) tick(i *Interaction, f *Fact) *Interaction {
	if i == nil {
		i = t.Last
	}
	if i.elapse(f) || i.replay(f) || i == t.Last {
		return i
	}
	return nil
}

// named is the interaction that a fact is said to be about, or that it names: by its id, else by its visit or assignment.
func (t *Thread) named(f *Fact, formers Formers) (*Interaction, error) {
	if t.Last == nil {
		return nil, nil
	}
	if f.Body != nil && !f.Body.About.IsZero() {
		if i, err := t.about(f, formers); i != nil || err != nil {
			return i, err
		}
	}
	if !f.Interaction.IsZero() {
		if t.Last.Name == f.Interaction {
			return t.Last, nil
		}
		return formers.Named(f.Interaction)
	}
	for _, name := range []event.ID{f.Assignment, f.Visit} {
		if name.IsZero() {
			continue
		}
		if t.Last.Bears(name) {
			return nil, nil // the last one, as if it were not named
		}
		i, err := formers.Named(name)
		if err != nil {
			return nil, err
		}
		if i != nil && (!f.Kind.opens() || i.goesOn(name, f)) { // else the provider gives the id once more
			return i, nil
		}
	}
	return nil, nil
}

// about is the interaction of an id that it has or ever had: by its name, else by the event that opened it or would have, had none come
// late.
func (t *Thread) about(f *Fact, formers Formers) (*Interaction, error) {
	id := f.Body.About
	if t.Last.Name == id || t.Last.Opener == id {
		return t.Last, nil
	}
	if i, err := formers.Named(id); i != nil || err != nil {
		return i, err
	}
	m, err := formers.Moment(id)
	switch {
	case err != nil || m.IsZero() || !m.Before(f.Moment):
		return nil, err
	case !m.Before(t.Last.Start):
		return t.Last, nil
	}
	return formers.At(m)
}

// goesOn tells whether the visit or assignment of a name does when a fact happens.
func (i *Interaction) goesOn(name event.ID, f *Fact) bool {
	if !i.Backfill && i.idle().dueBy(f) {
		return false
	}
	v, s := i.visitNamed(name), i.shareNamed(name)
	return v >= 0 && i.Visits[v].Left == 0 || s >= 0 && i.Shares[s].open()
}

// adopts tells whether the last interaction gets the name that a fact has and no interaction yet.
func (t *Thread) adopts(f *Fact) bool {
	return t.Last.Name.IsZero() && !(f.opens() && t.Last.isOver(f))
}

// opens tells whether a fact begins an interaction where none is open. What a machine writes to an interaction that is over is a part
// of that.
func (f *Fact) opens() bool { return f.Kind.opens() && !(f.Machine && f.Kind == Received) }

// isOver tells whether a fact that opens comes too late for it.
func (i *Interaction) isOver(f *Fact) bool {
	return (i.EndedAt != 0 || i.ResolvedAt != 0) && !i.isCall() && f.Occurred >= i.ReopenUntil
}

// begin begins an interaction, and tells it what waited for it.
func (t *Thread) begin(f *Fact) *Interaction {
	first := t.Last == nil
	i := &Interaction{
		Start: f.Moment, Opener: f.ID, Name: f.Interaction, StartedAt: max(f.Occurred, 1), Direction: f.Direction, Backfill: f.Backfill,
	}
	if named := slices.IndexFunc(t.Waiting, func(w Fact) bool { return !w.Interaction.IsZero() }); first && i.Name.IsZero() && named >= 0 {
		i.Name = t.Waiting[named].Interaction
	}
	i.describe(f)
	t.Last = i
	var waiting []Fact
	for _, w := range t.Waiting {
		if w.Interaction.IsZero() || w.Interaction == i.Name {
			i.tell(&w, false)
		} else {
			waiting = append(waiting, w)
		}
	}
	t.Waiting = waiting
	i.apply(f)
	i.elapse(f)
	return i
}

// tell tells an interaction that has begun a fact of it, which may reopen it: as the interaction's own, by its name, at any time.
func (i *Interaction) tell(f *Fact, named bool) {
	over := (i.EndedAt != 0 || i.ResolvedAt != 0) && !i.isCall()
	if over && f.revives() && (f.Occurred < i.ReopenUntil || named && !f.Interaction.IsZero()) {
		i.reopen(max(f.Occurred, i.StartedAt))
	}
	i.apply(f)
}

// revives tells whether a fact that opens reopens what is over. What a bot or the system sends does not, such as a survey.
func (f *Fact) revives() bool {
	switch {
	case !f.opens():
		return false
	case f.Kind == Sent || f.Kind == SendRequested:
		return f.Actor.Kind != eventv1.ActorKind_ACTOR_KIND_BOT && f.Actor.Kind != eventv1.ActorKind_ACTOR_KIND_SYSTEM
	}
	return true
}

// Encode appends the state of a thread: what waits, and the last interaction.
func (t *Thread) Encode(b []byte) []byte {
	c := &coder{b: b}
	t.code(c)
	return c.b
}

// DecodeThread reads what Encode wrote.
func DecodeThread(b []byte) (*Thread, error) {
	t := &Thread{}
	return t, decode(b, t.code)
}

func (t *Thread) code(c *coder) {
	list(c, &t.Waiting, codeWaiting)
	there := t.Last != nil
	if c.bool(&there); there {
		if t.Last == nil {
			t.Last = &Interaction{}
		}
		t.Last.code(c)
	}
}

// EncodeWaiting appends facts with their moments.
func EncodeWaiting(b []byte, facts []Fact) []byte {
	c := &coder{b: b}
	list(c, &facts, codeWaiting)
	return c.b
}

// DecodeWaiting reads what EncodeWaiting wrote.
func DecodeWaiting(b []byte) (facts []Fact, err error) {
	err = decode(b, func(c *coder) { list(c, &facts, codeWaiting) })
	return facts, err
}

func codeWaiting(c *coder, f *Fact) {
	c.moment(&f.Moment)
	c.base = f.Occurred
	f.code(c)
}
