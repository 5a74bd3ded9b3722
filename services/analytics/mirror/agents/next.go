package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

const (
	// waits is how long Next waits for a change, unless it is told otherwise, and looks how often it looks. Who is alive says so all the time: what comes together is computed
	// once.
	waits = time.Second
	looks = 200 * time.Millisecond
	// together is about how many days of agents are named at once.
	together = 2048
	// enough is of how many agents days wait when no more changes are read.
	enough = 16384
)

// memory is what a Source knows beside the cursor that it handed out last. With another one it is worth nothing.
type memory struct {
	last  []byte
	due   map[who]int64    // when the present day changes though nothing happens, in nanoseconds since 1970
	books map[string]*book // by tenant, as far as changes of it were followed
}

func (m *memory) forget() { *m = memory{due: map[who]int64{}, books: map[string]*book{}} }

// expect notes when the present day of an agent changes though nothing happens.
func (m *memory) expect(w who, next time.Time) {
	if next.IsZero() {
		delete(m.due, w)
		return
	}
	if m.due == nil {
		m.forget()
	}
	m.due[w] = next.UnixNano()
}

// Next implements mirror.Source.
func (s *Source) Next(ctx context.Context, raw []byte) (mirror.News, error) {
	until := time.Now().Add(s.cfg.Wait)
	c := decodeCursor(raw)
	fresh := s.last == nil || !bytes.Equal(raw, s.last)
	if fresh {
		s.forget()
	}
	s.last = nil // what fails leaves the memory behind the cursor
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return mirror.News{}, ctx.Err()
		case <-pause.C:
		}
		n, next, err := s.look(ctx, c, fresh)
		if err != nil {
			return n, err
		}
		c, fresh = next, false
		if len(n.Entities) > 0 || n.Reset || n.Done || !time.Now().Before(until) {
			if n.Cursor, err = c.encode(); err != nil {
				return n, err
			}
			s.last = n.Cursor
			return n, nil
		}
		pause.Reset(min(looks, time.Until(until)))
	}
}

// reading is what is known at one moment.
type reading struct {
	statements, work View
	now              time.Time
	today            int64
}

func (s *Source) read(ctx context.Context) (*reading, error) {
	r := &reading{now: s.cfg.Now()}
	r.today = dayOf(r.now)
	var err error
	if r.statements, err = s.cfg.Statements.View(ctx); err != nil {
		return nil, fmt.Errorf("agents: read what is stated: %w", err)
	}
	if r.work, err = s.cfg.Work.View(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("agents: read the work: %w", err), r.statements.Close())
	}
	return r, nil
}

// close lets go of it. Nothing is written through it.
func (r *reading) close() {
	_ = r.statements.Close()
	_ = r.work.Close()
}

func (r *reading) views() [2]View { return [2]View{r.statements, r.work} }

// look tells what has changed behind a cursor; a fresh one is not the last that was handed out.
func (s *Source) look(ctx context.Context, c *cursor, fresh bool) (n mirror.News, next *cursor, err error) {
	r, err := s.read(ctx)
	if err != nil {
		return n, nil, err
	}
	defer r.close()
	switch {
	case c == nil, !c.Statements.precedes(r.statements), !c.Work.precedes(r.work):
		s.forget()
		c = &cursor{
			Statements: placeOf(r.statements), Work: placeOf(r.work), Books: map[string]uint64{}, Looked: r.now.UnixNano(), Sweep: &sweep{Scan: true, From: epochDay},
		}
		if err := s.renamed(ctx, r, c, func(who, int64) {}); err != nil {
			return n, nil, err
		}
		n.Reset = true
	default:
		next := *c
		c = &next
		c.Books, c.Pending = maps.Clone(c.Books), slices.Clone(c.Pending)
	}
	looked := dayOf(time.Unix(0, c.Looked))
	switch {
	case c.Sweep != nil && fresh && !n.Reset:
		again := *c.Sweep
		again.Again = true
		c.Sweep = &again
	case c.Sweep == nil && (fresh || looked < r.today):
		c.Sweep = &sweep{From: looked}
		c.Looked = max(c.Looked, r.now.UnixNano())
	}
	if c.Sweep != nil {
		err := s.sweep(ctx, r, c, &n)
		return n, c, err
	}
	if err := s.gather(ctx, r, c); err != nil {
		return n, nil, err
	}
	n.Entities = c.take(r.today)
	if len(c.Pending) == 0 {
		s.contains(&n, r, c)
	}
	return n, c, nil
}

// contains says how far everything is contained.
func (s *Source) contains(n *mirror.News, r *reading, c *cursor) {
	n.At = map[string]projection.Vector{r.statements.Topic(): c.Statements.Next, r.work.Topic(): c.Work.Next}
}

func placeOf(v View) place { return place{v.Generation(), v.Applied()} }

// precedes tells whether all changes from it on are known to a view.
func (p place) precedes(v View) bool {
	applied := v.Applied()
	for partition, next := range p.Next {
		if next > applied[partition] {
			return false
		}
	}
	for partition, next := range applied {
		if next-p.Next[partition] > v.Window() {
			return false
		}
	}
	return p.Generation == v.Generation()
}

// tenants are all of whose agents anything is known, in order.
func (r *reading) tenants(ctx context.Context) ([]string, error) {
	var all []string
	for _, v := range r.views() {
		some, err := v.Tenants(ctx)
		if err != nil {
			return nil, fmt.Errorf("agents: find the tenants: %w", err)
		}
		all = append(all, some...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// agents are all of a tenant of whom anything may be known, in order.
func (s *Source) agents(ctx context.Context, r *reading, tenant string) ([]string, error) {
	b, err := s.book(ctx, tenant)
	if err != nil {
		return nil, err
	}
	all := map[string]struct{}{}
	for _, agent := range b.IDs(directory.Agent) {
		all[agent] = struct{}{}
	}
	for _, v := range r.views() {
		err := v.IDs(ctx, tenant, func(id string) error {
			for _, agent := range b.concerned(id) {
				all[agent] = struct{}{}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("agents: find the agents: %w", err)
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// since is the day of the first thing that may be known of an agent, by any of some directories; false where nothing is.
func (s *Source) since(ctx context.Context, r *reading, w who, books ...*book) (day int64, known bool, err error) {
	var ids []string
	for _, b := range books {
		ids = append(ids, b.ids(w.Agent)...)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		for _, v := range r.views() {
			nanos, is, err := v.Since(ctx, w.Tenant, id)
			if err != nil {
				return 0, false, fmt.Errorf("agents: read since when %q is known: %w", w.Agent, err)
			}
			if of := dayOf(time.Unix(0, nanos)); is && (!known || of < day) {
				day, known = of, true
			}
		}
	}
	return day, known, nil
}

// sweep names the next agents' days.
func (s *Source) sweep(ctx context.Context, r *reading, c *cursor, n *mirror.News) error {
	sw := *c.Sweep
	tenants, err := r.tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		if sw.Begun && tenant < sw.After.Tenant {
			continue
		}
		agents, err := s.agents(ctx, r, tenant)
		if err != nil {
			return err
		}
		for _, agent := range agents {
			w := who{tenant, agent}
			if sw.Begun && w.compare(sw.After) <= 0 {
				continue
			}
			from := sw.From
			if from == epochDay {
				b, err := s.book(ctx, tenant)
				if err != nil {
					return err
				}
				day, known, err := s.since(ctx, r, w, b)
				if err != nil {
					return err
				}
				if from = day; !known {
					from = r.today + 1
				}
			}
			for ; from <= r.today; from++ {
				n.Entities = append(n.Entities, entity(w, from))
			}
			sw.Begun, sw.After = true, w
			if len(n.Entities) >= together {
				c.Sweep = &sw
				return nil
			}
		}
	}
	n.Done, c.Sweep = sw.Scan, nil
	if sw.Again {
		c.Sweep = &sweep{From: dayOf(time.Unix(0, c.Looked))}
	}
	return nil
}

// gather notes which days are to be named.
func (s *Source) gather(ctx context.Context, r *reading, c *cursor) error {
	if len(c.Pending) >= enough {
		return nil
	}
	from := map[who]int64{}
	for _, d := range c.Pending {
		from[d.who] = d.From
	}
	note := func(w who, day int64) {
		if before, noted := from[w]; !noted || day < before {
			from[w] = day
		}
	}
	if err := s.renamed(ctx, r, c, note); err != nil {
		return err
	}
	for n, p := range []*place{&c.Statements, &c.Work} {
		if err := s.changes(ctx, r.views()[n], p, note); err != nil {
			return err
		}
	}
	now := r.now.UnixNano()
	for w, at := range s.due {
		if at <= now {
			note(w, r.today)
			delete(s.due, w)
		}
	}
	c.Looked = max(c.Looked, now)
	c.Pending = c.Pending[:0]
	for w, day := range from {
		c.Pending = append(c.Pending, days{w, day})
	}
	slices.SortFunc(c.Pending, func(a, b days) int { return a.compare(b.who) })
	return nil
}

// changes notes whom changes of a read model concern.
func (s *Source) changes(ctx context.Context, v View, p *place, note func(who, int64)) error {
	applied := v.Applied()
	for partition, until := range applied {
		if p.Next[partition] == until {
			continue
		}
		err := v.Changes(ctx, partition, p.Next[partition], until, func(ch Change) error {
			b, err := s.book(ctx, ch.Tenant)
			if err != nil {
				return err
			}
			for _, agent := range b.concerned(ch.ID) {
				note(who{ch.Tenant, agent}, dayOf(time.Unix(0, ch.Since)))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("agents: read changes: %w", err)
		}
	}
	p.Next = applied
	return nil
}

// renamed notes who has other events than before, because the directory says so.
func (s *Source) renamed(ctx context.Context, r *reading, c *cursor, note func(who, int64)) error {
	tenants, err := r.tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		b, err := s.book(ctx, tenant)
		if err != nil {
			return err
		}
		before := s.books[tenant]
		if before == b {
			continue
		}
		sum, known := c.Books[tenant]
		if before == nil && known && sum != b.sum() {
			if err := s.rename(ctx, r, tenant, note); err != nil {
				return err
			}
		}
		for _, agent := range b.others(before) {
			w := who{tenant, agent}
			day, known, err := s.since(ctx, r, w, b, before)
			if err != nil {
				return err
			}
			if known {
				note(w, day)
			}
		}
		s.books[tenant], c.Books[tenant] = b, b.sum()
	}
	return nil
}

// rename notes all agents of a tenant, from the first day on of which anything is known: somebody's ids are others than before, and it is not
// known whose.
func (s *Source) rename(ctx context.Context, r *reading, tenant string, note func(who, int64)) error {
	first := r.today
	for _, v := range r.views() {
		err := v.IDs(ctx, tenant, func(id string) error {
			nanos, known, err := v.Since(ctx, tenant, id)
			if known {
				first = min(first, dayOf(time.Unix(0, nanos)))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("agents: find the agents: %w", err)
		}
	}
	agents, err := s.agents(ctx, r, tenant)
	for _, agent := range agents {
		note(who{tenant, agent}, first)
	}
	return err
}

// take gives the next days to be named.
func (c *cursor) take(today int64) []string {
	var named []string
	for len(c.Pending) > 0 && len(named) < together {
		d := &c.Pending[0]
		for ; d.From <= today && len(named) < together; d.From++ {
			named = append(named, entity(d.who, d.From))
		}
		if d.From > today {
			c.Pending = c.Pending[1:]
		}
	}
	return named
}
