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
	rows   kv.Range // none where it ends before it starts
}

// merger walks over several sources in order of moment. A moment that several sources hold comes from each of them. Close it.
type merger struct {
	heads []head // never moved: others point into it
	ahead ahead
	given bool // the first of those ahead came last
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

// Push is never called: sources only leave.
func (a *ahead) Push(any) {}

func (a *ahead) Pop() any {
	last := len(a.heads) - 1
	h := a.heads[last]
	a.heads = a.heads[:last]
	return h
}

func merge(ctx context.Context, r kv.Reader, sources []source, reverse bool) (*merger, error) {
	m := &merger{heads: make([]head, 0, len(sources)), ahead: ahead{heads: make([]*head, 0, len(sources)), reverse: reverse}}
	for _, s := range sources {
		if bytes.Compare(s.rows.Start, s.rows.End) >= 0 {
			continue
		}
		it, err := r.Scan(ctx, s.rows)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.heads = append(m.heads, head{source: s, it: it})
		h := &m.heads[len(m.heads)-1]
		found, err := h.next()
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		if found {
			m.ahead.heads = append(m.ahead.heads, h)
		}
	}
	heap.Init(&m.ahead)
	return m, nil
}

// next moves on in the source, and reports whether there is a row.
func (h *head) next() (bool, error) {
	if !h.it.Next() {
		return false, h.it.Err()
	}
	key := h.it.Key()
	if len(key) < momentSize {
		return false, errDamaged
	}
	h.moment = key[len(key)-momentSize:]
	return true, nil
}

// next gives the source that holds the next row; nil at the end. It stays there until the next call, so that its row can be read.
func (m *merger) next() (*head, error) {
	if m.given {
		more, err := m.ahead.heads[0].next()
		switch {
		case err != nil:
			return nil, err
		case more:
			heap.Fix(&m.ahead, 0)
		default:
			heap.Pop(&m.ahead)
		}
	}
	if m.given = len(m.ahead.heads) > 0; !m.given {
		return nil, nil //nolint:nilnil // the end
	}
	return m.ahead.heads[0], nil
}

func (m *merger) close() error {
	var err error
	for i := range m.heads {
		err = errors.Join(err, m.heads[i].it.Close())
	}
	return err
}
