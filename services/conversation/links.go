package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
)

// MaxInteractions is how many interactions a conversation has at most.
const MaxInteractions = 10_000

// ErrTooLarge means that links make one conversation of more than MaxInteractions.
var ErrTooLarge = fmt.Errorf("conversation: links join more than %d interactions: undo some of them", MaxInteractions)

// asOf is a state of the links: what was decided before an offset and by a moment.
type asOf struct{ before, by int64 }

// present is the state of now.
var present = asOf{math.MaxInt64, math.MaxInt64} //nolint:gochecknoglobals // a constant

func (at asOf) sees(s stamp) bool { return s.offset >= 0 && s.offset < at.before && s.clock <= at.by }

// inForce tells whether a decision joins anything.
func (d *decision) inForce(at asOf) bool {
	return d.outcome == outcomeDone && d.kind != kindUndo && at.sees(d.made) && !at.sees(d.undone)
}

// decisionOf reads what was decided about an event; nil where it is none of the slice's.
func decisionOf(ctx context.Context, links kv.Reader, tenant string, id event.ID) (*decision, error) {
	raw, found, err := links.Get(ctx, linksKey(tenant, linksEvent, id))
	if err != nil || !found {
		return nil, err
	}
	return decodeDecision(raw)
}

// eachLinkChange reads what the records of a partition from one offset to before another have joined or parted.
func eachLinkChange(ctx context.Context, links kv.Reader, partition int32, from, until int64, yield func(linkChange)) error {
	it, err := links.Scan(ctx, kv.Range{Start: linksChangeKey(partition, from), End: linksChangeKey(partition, until)})
	if err != nil {
		return fmt.Errorf("conversation: read changes of links: %w", err)
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	for it.Next() {
		c, err := decodeLinkChange(it.Value())
		if err != nil {
			return err
		}
		yield(c)
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("conversation: read changes of links: %w", err)
	}
	return nil
}

// part is an interaction as a part of conversations.
type part struct {
	*conversationv1.Interaction
	id, thread event.ID
	started    int64
}

func partOf(i *conversationv1.Interaction) (*part, error) {
	p := &part{Interaction: i, started: i.GetStartedAt().AsTime().UnixNano()}
	var err, err2 error
	p.id, err = event.ParseID(i.GetId())
	p.thread, err2 = event.ParseID(i.GetThreadId())
	return p, errors.Join(err, err2)
}

// before orders interactions by their begin.
func (p *part) compare(o *part) int {
	return cmp.Or(cmp.Compare(p.started, o.started), slices.Compare(p.id[:], o.id[:]))
}

// settled tells whether nothing is to be done about it.
func (p *part) settled() bool { return settled(p.Interaction) }

func settled(i *conversationv1.Interaction) bool { return isSettled(i.GetStatus()) }

func isSettled(s conversationv1.WorkStatus) bool {
	return s == conversationv1.WorkStatus_WORK_STATUS_RESOLVED || s == conversationv1.WorkStatus_WORK_STATUS_CLOSED
}

// matter is a conversation: what links in force make one.
type matter struct {
	parts   []*part     // in order of their begin
	holding []*decision // links that hold it together, in order of the log
	// whole are the threads of which everything belongs to it: those that links name, with those that are joined to them, and joined ones of which no
	// interaction is known. An interaction that a link names and nobody knows is among them, as it may be a thread.
	whole map[event.ID]struct{}
	// touched are the ids of all interactions and threads that decide about it.
	touched map[event.ID]struct{}
}

// id is that of its first interaction.
func (m *matter) id() event.ID { return m.parts[0].id }

// walk follows links, of one tenant at one state of them. What it has read it keeps. Not for concurrent use.
type walk struct {
	links  kv.Reader
	view   *View
	tenant string
	at     asOf

	edges     map[event.ID]edges
	decisions map[event.ID]*decision
	threads   map[event.ID][]*part // in order of their begin
	found     map[event.ID]*part   // by any id; nil where there is none
	matters   map[event.ID]*matter // by interaction
}

func newWalk(links kv.Reader, view *View, tenant string, at asOf) *walk {
	return &walk{
		links: links, view: view, tenant: tenant, at: at,
		edges: map[event.ID]edges{}, decisions: map[event.ID]*decision{}, threads: map[event.ID][]*part{}, found: map[event.ID]*part{},
		matters: map[event.ID]*matter{},
	}
}

// find gives the interaction of an id; nil where there is none.
func (w *walk) find(ctx context.Context, id event.ID) (*part, error) {
	if p, known := w.found[id]; known {
		return p, nil
	}
	i, found, err := w.view.Find(ctx, w.tenant, id)
	if err != nil {
		return nil, err
	}
	if !found {
		w.found[id] = nil
		return nil, nil //nolint:nilnil // there is none
	}
	p, err := w.part(i)
	w.found[id] = p
	return p, err
}

// part gives the one of an interaction that was read.
func (w *walk) part(i *conversationv1.Interaction) (*part, error) {
	p, err := partOf(i)
	if err != nil {
		return nil, fmt.Errorf("conversation: read an interaction: %w", err)
	}
	if known := w.found[p.id]; known != nil {
		return known, nil
	}
	w.found[p.id] = p
	return p, nil
}

// thread gives the interactions of a thread.
func (w *walk) thread(ctx context.Context, id event.ID) ([]*part, error) {
	if parts, known := w.threads[id]; known {
		return parts, nil
	}
	all, err := w.view.Thread(ctx, w.tenant, id)
	if err != nil {
		return nil, err
	}
	parts := make([]*part, len(all))
	for n, i := range all {
		if parts[n], err = w.part(i); err != nil {
			return nil, err
		}
	}
	w.threads[id] = parts
	return parts, nil
}

// load reads at once what was ever linked with some ids.
func (w *walk) load(ctx context.Context, ids ...event.ID) error {
	var missing []event.ID
	var keys [][]byte
	for _, id := range ids {
		if _, known := w.edges[id]; !known {
			missing, keys = append(missing, id), append(keys, linksKey(w.tenant, linksEdges, id))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := w.links.GetMany(ctx, keys)
	if err != nil {
		return fmt.Errorf("conversation: read links: %w", err)
	}
	for n, id := range missing {
		if w.edges[id], err = decodeEdges(rows[n]); err != nil {
			return err
		}
		if err := w.decide(ctx, w.edges[id]); err != nil {
			return err
		}
	}
	return nil
}

// decide reads at once what was decided about the events of some edges.
func (w *walk) decide(ctx context.Context, all edges) error {
	var missing []event.ID
	var keys [][]byte
	for _, e := range all {
		if w.decisions[e.event] == nil {
			missing, keys = append(missing, e.event), append(keys, linksKey(w.tenant, linksEvent, e.event))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := w.links.GetMany(ctx, keys)
	if err != nil {
		return fmt.Errorf("conversation: read links: %w", err)
	}
	for n, id := range missing {
		if w.decisions[id], err = decodeDecision(rows[n]); err != nil {
			return err
		}
	}
	return nil
}

// inForce gives the decisions in force in which an id plays a part.
func (w *walk) inForce(ctx context.Context, id event.ID, role edgeRole) ([]*decision, error) {
	if err := w.load(ctx, id); err != nil {
		return nil, err
	}
	var all []*decision
	for _, e := range w.edges[id] {
		if d := w.decisions[e.event]; e.role == role && d.inForce(w.at) {
			all = append(all, d)
		}
	}
	return all, nil
}

// Where the members of a join stand.
const (
	joinChild = iota
	joinParent
)

// joined are a thread and those that are joined under it, with role roleParent, or those that it is joined under, with roleChild.
func (w *walk) joined(ctx context.Context, thread event.ID, role edgeRole) ([]event.ID, error) {
	other := joinChild
	if role == roleChild {
		other = joinParent
	}
	all := []event.ID{thread}
	for n := 0; n < len(all); n++ {
		joins, err := w.inForce(ctx, all[n], role)
		if err != nil {
			return nil, err
		}
		for _, d := range joins {
			if id := d.members[other]; !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
		if len(all) > MaxInteractions {
			return nil, ErrTooLarge
		}
	}
	return all, nil
}

// host is the interaction of a thread in whose stretch a moment lies; nil where the thread has none.
func (w *walk) host(ctx context.Context, thread event.ID, nanos int64) (*part, error) {
	parts, err := w.thread(ctx, thread)
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	n := 0
	for n+1 < len(parts) && parts[n+1].started <= nanos {
		n++
	}
	return parts[n], nil
}

// matter gives the conversation of an interaction.
func (w *walk) matter(ctx context.Context, p *part) (*matter, error) {
	if m := w.matters[p.id]; m != nil {
		return m, nil
	}
	g := &growth{walk: w, matter: &matter{whole: map[event.ID]struct{}{}, touched: map[event.ID]struct{}{}}, has: map[event.ID]bool{}}
	g.add(p)
	for n := 0; n < len(g.parts); n++ { //nolint:intrange // they grow
		if len(g.parts) > MaxInteractions {
			return nil, ErrTooLarge
		}
		if err := g.expand(ctx, g.parts[n]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.parts, (*part).compare)
	slices.SortFunc(g.holding, func(a, b *decision) int { return cmp.Compare(a.made.offset, b.made.offset) })
	for _, p := range g.parts {
		w.matters[p.id] = g.matter
	}
	return g.matter, nil
}

// growth is a conversation that is being walked.
type growth struct {
	*walk
	*matter
	has map[event.ID]bool // interactions and links
}

func (g *growth) add(parts ...*part) {
	for _, p := range parts {
		if !g.has[p.id] {
			g.has[p.id] = true
			g.parts = append(g.parts, p)
			g.touched[p.id], g.touched[p.thread] = struct{}{}, struct{}{}
		}
	}
}

// holds notes a link that holds it together, and tells whether it is new.
func (g *growth) holds(d *decision) bool {
	id, err := event.ParseID(d.link.GetEventId())
	if err != nil || g.has[id] {
		return false
	}
	g.has[id] = true
	g.holding = append(g.holding, d)
	return true
}

// expand adds what an interaction is joined with: by links that name it, its thread or one that this is joined under, and by joins of its
// thread.
func (g *growth) expand(ctx context.Context, p *part) error {
	if err := g.load(ctx, p.id, p.thread); err != nil {
		return err
	}
	above, err := g.joined(ctx, p.thread, roleChild)
	if err != nil {
		return err
	}
	for _, id := range append(above, p.id) {
		g.touched[id] = struct{}{}
		if err := g.addLinked(ctx, id); err != nil {
			return err
		}
	}
	if err := g.addNear(ctx, p); err != nil {
		return err
	}
	if err := g.addHosts(ctx, p); err != nil {
		return err
	}
	return g.addGuests(ctx, p)
}

// addLinked adds what is linked with an id.
func (g *growth) addLinked(ctx context.Context, id event.ID) error {
	links, err := g.inForce(ctx, id, roleMember)
	if err != nil {
		return err
	}
	for _, d := range links {
		if err := g.addMembers(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (g *growth) addMembers(ctx context.Context, d *decision) error {
	if !g.holds(d) {
		return nil
	}
	for _, member := range d.members {
		if err := g.addNamed(ctx, member); err != nil {
			return err
		}
	}
	return nil
}

// addNear adds what is linked with an interaction under an earlier id of it.
func (g *growth) addNear(ctx context.Context, p *part) error {
	links, err := g.inForce(ctx, p.thread, roleNear)
	if err != nil {
		return err
	}
	for _, d := range links {
		for _, member := range d.members {
			named, err := g.find(ctx, member)
			if err != nil {
				return err
			}
			if named == p {
				if err := g.addMembers(ctx, d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addNamed adds what a link names: an interaction, or all of a thread and of those that are joined under it.
func (g *growth) addNamed(ctx context.Context, id event.ID) error {
	p, err := g.find(ctx, id)
	switch {
	case err != nil:
		return err
	case p != nil:
		g.touched[id] = struct{}{}
		g.add(p)
		return nil
	}
	threads, err := g.joined(ctx, id, roleParent)
	if err != nil {
		return err
	}
	for _, thread := range threads {
		g.whole[thread], g.touched[thread] = struct{}{}, struct{}{}
		parts, err := g.thread(ctx, thread)
		if err != nil {
			return err
		}
		g.add(parts...)
	}
	return nil
}

// addHosts adds the interactions of other threads in whose stretches one of a joined thread began.
func (g *growth) addHosts(ctx context.Context, p *part) error {
	joins, err := g.inForce(ctx, p.thread, roleChild)
	if err != nil {
		return err
	}
	for _, d := range joins {
		g.touched[d.members[joinParent]] = struct{}{}
		host, err := g.host(ctx, d.members[joinParent], p.started)
		if err != nil {
			return err
		}
		if host != nil {
			g.holds(d)
			g.add(host)
		}
	}
	return nil
}

// addGuests adds the interactions of joined threads that began in the stretch of one.
func (g *growth) addGuests(ctx context.Context, p *part) error {
	joins, err := g.inForce(ctx, p.thread, roleParent)
	if err != nil {
		return err
	}
	for _, d := range joins {
		child := d.members[joinChild]
		g.touched[child] = struct{}{}
		guests, err := g.thread(ctx, child)
		if err != nil {
			return err
		}
		for _, guest := range guests {
			host, err := g.host(ctx, p.thread, guest.started)
			if err != nil {
				return err
			}
			if host == p {
				g.holds(d)
				g.add(guest)
			}
		}
		if len(guests) > 0 {
			continue
		}
		if last, err := g.host(ctx, p.thread, math.MaxInt64); err != nil {
			return err
		} else if last == p {
			g.holds(d)
			g.whole[child] = struct{}{}
		}
	}
	return nil
}
