package timeline

import (
	"bytes"
	"container/heap"
	"context"
	"errors"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
)

// A source is what a list is merged from: rows of one endpoint or one thread, from one moment to another.
type source struct {
	of     event.ID
	thread bool
	prefix []byte
	rows   kv.Range
}

// merger walks over several sources in order of moment. A moment that several sources hold comes once. Close it.
type merger struct {
	heads []*head
	ahead ahead
	at    []*head // those that hold the moment that came last
}

// head is where the merger stands in one source.
type head struct {
	source
	it     kv.Iterator
	moment []byte
}

// ahead is a heap of those heads that have a moment to give.
type ahead struct {
	heads   []*head
	reverse bool
}

func (a *ahead) Len() int { return len(a.heads) }

func (a *ahead) Less(i, j int) bool {
	order := bytes.Compare(a.heads[i].moment, a.heads[j].moment)
	return order < 0 && !a.reverse || order > 0 && a.reverse
}

func (a *ahead) Swap(i, j int) { a.heads[i], a.heads[j] = a.heads[j], a.heads[i] }

func (a *ahead) Push(h any) { a.heads = append(a.heads, h.(*head)) } //nolint:forcetypeassert // nothing else is pushed

func (a *ahead) Pop() any {
	last := len(a.heads) - 1
	h := a.heads[last]
	a.heads = a.heads[:last]
	return h
}

func merge(ctx context.Context, r kv.Reader, sources []source, reverse bool) (*merger, error) {
	m := &merger{ahead: ahead{reverse: reverse}, heads: make([]*head, 0, len(sources))}
	for _, s := range sources {
		s.rows.Reverse = reverse
		it, err := r.Scan(ctx, s.rows)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		h := &head{source: s, it: it}
		m.heads = append(m.heads, h)
		if err := m.advance(h); err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	return m, nil
}

// advance moves on in a source; at its end it falls behind.
func (m *merger) advance(h *head) error {
	if !h.it.Next() {
		return h.it.Err()
	}
	key := h.it.Key()
	if len(key) != len(h.prefix)+momentSize {
		return errDamaged
	}
	h.moment = key[len(h.prefix):]
	heap.Push(&m.ahead, h)
	return nil
}

// next gives the sources that hold the next moment; none at the end. They stay where they are until the next call, so
// that their rows can be read.
func (m *merger) next() ([]*head, error) {
	for _, h := range m.at {
		if err := m.advance(h); err != nil {
			return nil, err
		}
	}
	m.at = m.at[:0]
	for first := true; len(m.ahead.heads) > 0 && (first || bytes.Equal(m.ahead.heads[0].moment, m.at[0].moment)); first = false {
		h, _ := heap.Pop(&m.ahead).(*head)
		m.at = append(m.at, h)
	}
	return m.at, nil
}

func (m *merger) close() error {
	var err error
	for _, h := range m.heads {
		err = errors.Join(err, h.it.Close())
	}
	return err
}
