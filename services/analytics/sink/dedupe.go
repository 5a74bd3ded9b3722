package sink

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

// threadName tells a thread from all others.
type threadName struct {
	tenant string
	thread uuid.UUID
}

func (r *row) threadName() threadName { return threadName{r.tenant, r.thread} }

// threadBytes is about what a remembered thread takes, beside its events.
const threadBytes = 160

// memory is what is known of threads without asking the store.
type memory = projection.Memory[threadName, projection.Seen]

func newMemory(size int) *memory {
	return projection.NewMemory[threadName](size, func(s *projection.Seen) int { return threadBytes + projection.SeenBytes*s.Len() })
}

// dedupe keeps those rows of a batch whose events were not seen before, and notes in writes that they were. It returns how many it left out.
func (p *pipeline) dedupe(ctx context.Context, b *batch, writes *kv.Batch) (duplicates int, err error) {
	snap, err := p.cfg.Store.Snapshot(ctx, p.ns)
	if err != nil {
		return 0, fmt.Errorf("analytics: find duplicates: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	d := deduper{memory: p.memory, writes: writes, again: make([]bool, b.records)}
	d.has = func(key []byte) (bool, error) {
		_, found, err := snap.Get(ctx, key)
		return found, err
	}
	if kv.Distant(snap) { // it is asked once for all
		values, err := p.seen(ctx, snap, b, true)
		if err != nil {
			return 0, err
		}
		d.has = func(key []byte) (bool, error) { return values[string(key)] != nil, nil }
	}
	for rest := sorted(b); len(rest) > 0; {
		thread := leading(rest, func(p placed) threadName { return p.row.threadName() })
		if err := d.thread(thread); err != nil {
			return 0, fmt.Errorf("analytics: find duplicates: %w", err)
		}
		rest = rest[len(thread):]
	}
	n := 0
	for _, c := range b.chunks {
		for i := range c.rows {
			if d.again[n] {
				duplicates++
			} else {
				b.keep(&c.rows[i])
			}
			n++
		}
	}
	return duplicates, nil
}

// placed is a row and its place in a batch.
type placed struct {
	begin uint64 // of the thread: it tells most threads apart
	place int
	row   *row
}

// sorted puts the rows of a thread together, those of an event in the order of the batch. Of one tenant it is the order of their keys, in which
// a store is asked and written at less cost.
func sorted(b *batch) []placed {
	all := make([]placed, 0, b.records)
	for _, c := range b.chunks {
		for i := range c.rows {
			r := &c.rows[i]
			all = append(all, placed{binary.BigEndian.Uint64(r.thread[:]), len(all), r})
		}
	}
	slices.SortFunc(all, func(x, y placed) int { return cmp.Compare(x.begin, y.begin) }) // first without a look at the rows
	for rest := all; len(rest) > 0; {
		alike := leading(rest, func(p placed) uint64 { return p.begin })
		slices.SortFunc(alike, func(x, y placed) int {
			return cmp.Or(
				strings.Compare(x.row.tenant, y.row.tenant), bytes.Compare(x.row.thread[:], y.row.thread[:]),
				bytes.Compare(x.row.id[:], y.row.id[:]), cmp.Compare(x.place, y.place),
			)
		})
		rest = rest[len(alike):]
	}
	return all
}

// leading are the first ones, as far as they have the same name.
func leading[N comparable](all []placed, name func(placed) N) []placed {
	n := 1
	for n < len(all) && name(all[n]) == name(all[0]) {
		n++
	}
	return all[:n]
}

// deduper finds the events of one batch that were seen before, in that batch or in the store.
type deduper struct {
	memory *memory
	writes *kv.Batch
	has    func(key []byte) (bool, error)
	again  []bool // by place
	room   []byte // of keys and values
}

// thread finds and notes the events of one thread that come for the first time.
func (d *deduper) thread(all []placed) error {
	known, err := d.known(all[0].row)
	if err != nil {
		return err
	}
	for i, at := range all {
		r := at.row
		if i > 0 && r.id == all[i-1].row.id {
			d.again[at.place] = true
			continue
		}
		if cap(d.room)-len(d.room) < maxKey+maxValue {
			d.room = make([]byte, 0, 64<<10)
		}
		from := len(d.room)
		d.room = appendSeenKey(d.room, r)
		key := d.room[from:len(d.room):len(d.room)]
		if !known.Lacks(event.ID(r.id)) {
			if d.again[at.place], err = d.has(key); err != nil {
				return err
			}
			if d.again[at.place] {
				d.room = d.room[:from]
				continue
			}
		}
		if known.Add(event.ID(r.id)) {
			d.memory.Grow(projection.SeenBytes)
		}
		from = len(d.room)
		d.room = appendSeenValue(d.room, r)
		d.writes.Set(key, d.room[from:len(d.room):len(d.room)])
	}
	return nil
}

// known is what is known of a row's thread. One that the store does not know begins with this batch.
func (d *deduper) known(r *row) (*projection.Seen, error) {
	if known := d.memory.Get(r.threadName()); known != nil {
		return known, nil
	}
	key := appendThreadKey(make([]byte, 0, maxKey), r.tenant, r.thread)
	found, err := d.has(key)
	if err != nil {
		return nil, err
	}
	if !found {
		d.writes.Set(key, nil)
	}
	known := projection.NewSeen(!found)
	d.memory.Keep(r.threadName(), &known)
	return &known, nil
}

// seen reads the keys of all events of a batch, and of their threads.
func (p *pipeline) seen(ctx context.Context, snap kv.Snapshot, b *batch, threads bool) (map[string][]byte, error) {
	found := make(map[string][]byte, b.records)
	var keys [][]byte
	ask := func(key []byte) {
		if _, twice := found[string(key)]; !twice {
			found[string(key)] = nil
			keys = append(keys, key)
		}
	}
	for _, c := range b.chunks {
		for i := range c.rows {
			r := &c.rows[i]
			if ask(appendSeenKey(nil, r)); threads {
				ask(appendThreadKey(nil, r.tenant, r.thread))
			}
		}
	}
	values, err := snap.GetMany(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("analytics: find duplicates: %w", err)
	}
	for i, v := range values {
		found[string(keys[i])] = v
	}
	return found, nil
}

// restore makes a pending batch again, of the rows that count.
func (p *pipeline) restore(ctx context.Context, of pending) (*batch, error) {
	b := &batch{number: of.Batch, refused: of.Refused}
	for _, at := range of.Ranges {
		s := p.source(at.Topic, at.Partition)
		if s == nil {
			return nil, fmt.Errorf("%w: there is no %s/%d any more", ErrLogMismatch, at.Topic, at.Partition)
		}
		chunks, err := s.again(ctx, p.cfg.Log, at)
		if err != nil {
			return nil, err
		}
		for _, c := range chunks {
			b.add(c)
		}
	}
	b.order()
	snap, err := p.cfg.Store.Snapshot(ctx, p.ns)
	if err != nil {
		return nil, fmt.Errorf("analytics: restore a batch: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	values, err := p.seen(ctx, snap, b, false)
	if err != nil {
		return nil, err
	}
	var key []byte
	for _, c := range b.chunks {
		for i := range c.rows {
			r := &c.rows[i]
			if key = appendSeenKey(key[:0], r); r.is(values[string(key)]) {
				b.keep(r)
			}
		}
	}
	b.inserts = p.tables.inserts(p.database, b)
	return b, nil
}
