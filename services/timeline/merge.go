package timeline

import (
	"bytes"
	"context"
	"errors"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
)

// A source is what a list is merged from: the rows of one endpoint or one thread.
type source struct {
	prefix []byte
	thread bool
}

func endpointSource(tenant string, id event.ID) source {
	return source{prefix: timelinePrefix(tenant, id)}
}

func threadSource(tenant string, id event.ID) source {
	return source{prefix: threadPrefix(tenant, id), thread: true}
}

// window is the part of each source that is read: moments from low (included) to high (excluded), nil where open.
type window struct {
	low, high []byte
	reverse   bool
}

func (w window) of(s source) kv.Range {
	r := kv.Prefix(s.prefix)
	if w.low != nil {
		r.Start = append(bytes.Clone(s.prefix), w.low...)
	}
	if w.high != nil {
		r.End = append(bytes.Clone(s.prefix), w.high...)
	}
	r.Reverse = w.reverse
	return r
}

// merger walks over several sources in order of moment. A moment that several sources hold comes once. Close it.
type merger struct {
	reverse bool
	heads   []*head
	at      []*head // those that hold the moment that came last
}

// head is where the merger stands in one source.
type head struct {
	source
	it     kv.Iterator
	moment []byte
}

func merge(ctx context.Context, r kv.Reader, sources []source, w window) (*merger, error) {
	m := &merger{reverse: w.reverse}
	for _, s := range sources {
		it, err := r.Scan(ctx, w.of(s))
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		h := &head{source: s, it: it}
		m.heads = append(m.heads, h)
		if err := h.next(); err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	return m, nil
}

// next moves on in the source; moment is nil at its end.
func (h *head) next() error {
	if !h.it.Next() {
		h.moment = nil
		return h.it.Err()
	}
	key := h.it.Key()
	if len(key) != len(h.prefix)+momentSize {
		return errDamaged
	}
	h.moment = key[len(h.prefix):]
	return nil
}

// next gives the sources that hold the next moment; none at the end. They stay where they are until the next call, so
// that their rows can be read.
func (m *merger) next() ([]*head, error) {
	for _, h := range m.at {
		if err := h.next(); err != nil {
			return nil, err
		}
	}
	m.at = m.at[:0]
	for _, h := range m.heads {
		if h.moment == nil {
			continue
		}
		order := -1
		if len(m.at) > 0 {
			order = bytes.Compare(h.moment, m.at[0].moment)
			if m.reverse {
				order = -order
			}
		}
		switch {
		case order < 0:
			m.at = append(m.at[:0], h)
		case order == 0:
			m.at = append(m.at, h)
		}
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
