package customer

import (
	"bytes"
	"context"
	"math"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
)

// rows is where a walk reads: a snapshot of the store, or what a batch has written so far.
type rows interface {
	GetMany(ctx context.Context, keys [][]byte) (values [][]byte, err error)
}

// written reads what a batch has written so far.
type written struct{ *projection.Tx }

// GetMany implements rows.
func (w written) GetMany(ctx context.Context, keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if values[i], _, err = w.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// walk follows links and merges of one tenant at one state of them. The fold that decides and the queries that answer walk the same way.
// What it has read it keeps. Not for concurrent use.
type walk struct {
	rows      rows
	tenant    string
	at        asOf
	nodes     map[event.ID]*node
	endpoints map[event.ID]*endpoint
}

func newWalk(r rows, tenant string, at asOf) *walk {
	return &walk{rows: r, tenant: tenant, at: at, nodes: map[event.ID]*node{}, endpoints: map[event.ID]*endpoint{}}
}

// piece is a stretch of time in which an endpoint is a node's, by a link or, without one, because it names the node.
type piece struct {
	scope.Range
	node event.ID
	link *link
}

// open tells whether it lasts for ever: whose the last piece of an endpoint is, has it at present.
func (p piece) open() bool { return p.Until == math.MaxInt64 }

// holding is when an endpoint is a customer's.
type holding struct {
	endpoint event.ID
	pieces   []piece // in order of time
}

// present tells whether the customer has it at the open end of time.
func (h holding) present() bool { return h.pieces[len(h.pieces)-1].open() }

// ranges are the stretches of the pieces, those that meet made one.
func (h holding) ranges() []scope.Range {
	var all []scope.Range
	for _, p := range h.pieces {
		if n := len(all); n > 0 && all[n-1].Until == p.From {
			all[n-1].Until = p.Until
			continue
		}
		all = append(all, p.Range)
	}
	return all
}

// customer is a tree of nodes and what is theirs.
type customer struct {
	root     event.ID
	nodes    []event.ID // the root first, the rest in order of their ids
	holdings []holding  // in order of their endpoints
	has      map[event.ID]bool
}

// holding gives when an endpoint is the customer's; nil where it never is.
func (c *customer) holding(endpoint event.ID) *holding {
	i, found := slices.BinarySearchFunc(c.holdings, endpoint, func(h holding, id event.ID) int { return compare(h.endpoint, id) })
	if !found {
		return nil
	}
	return &c.holdings[i]
}

func compare(a, b event.ID) int { return bytes.Compare(a[:], b[:]) }

func (w *walk) node(ctx context.Context, id event.ID) (*node, error) {
	err := w.loadNodes(ctx, id)
	return w.nodes[id], err
}

func (w *walk) endpoint(ctx context.Context, id event.ID) (*endpoint, error) {
	err := w.loadEndpoints(ctx, id)
	return w.endpoints[id], err
}

func (w *walk) loadNodes(ctx context.Context, ids ...event.ID) error {
	return load(ctx, w, w.nodes, subNode, ids, decodeNode)
}

func (w *walk) loadEndpoints(ctx context.Context, ids ...event.ID) error {
	return load(ctx, w, w.endpoints, subEndpoint, ids, decodeEndpoint)
}

// load reads at once what is not known yet.
func load[T any](ctx context.Context, w *walk, known map[event.ID]*T, sub byte, ids []event.ID, decode func([]byte) (*T, error)) error {
	var missing []event.ID
	var keys [][]byte
	for _, id := range ids {
		if known[id] == nil {
			missing, keys = append(missing, id), append(keys, prefix(w.tenant, sub, id))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	values, err := w.rows.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	for i, id := range missing {
		if known[id], err = decode(values[i]); err != nil {
			return err
		}
	}
	return nil
}

// root follows the merges in force.
func (w *walk) root(ctx context.Context, id event.ID) (event.ID, error) {
	for {
		n, err := w.node(ctx, id)
		if err != nil {
			return event.ID{}, err
		}
		m := n.above(w.at)
		if m == nil {
			return id, nil
		}
		id = m.other
	}
}

// above is the merge in force by which a node hangs under another; nil where it is a root. Only roots are merged, so there is one at most.
func (n *node) above(at asOf) *merge {
	for i := len(n.out) - 1; i >= 0; i-- {
		if n.out[i].in(at) {
			return &n.out[i]
		}
	}
	return nil
}

// pieces tells whose an endpoint is, for all of time: at each moment the node's of the latest link in force that covers it.
func (w *walk) pieces(ctx context.Context, id event.ID) ([]piece, error) {
	e, err := w.endpoint(ctx, id)
	if err != nil {
		return nil, err
	}
	var pieces []piece
	left := []scope.Range{scope.Ever}
	for i := len(e.links) - 1; i >= 0 && len(left) > 0; i-- {
		l := &e.links[i]
		if !l.in(w.at) {
			continue
		}
		var rest []scope.Range
		for _, r := range left {
			covered := r.Intersect(l.Range)
			if covered.Empty() {
				rest = append(rest, r)
				continue
			}
			pieces = append(pieces, piece{covered, l.node, l})
			for _, side := range []scope.Range{{From: r.From, Until: covered.From}, {From: covered.Until, Until: r.Until}} {
				if !side.Empty() {
					rest = append(rest, side)
				}
			}
		}
		left = rest
	}
	for _, r := range left {
		pieces = append(pieces, piece{Range: r, node: event.CustomerOf(id)})
	}
	slices.SortFunc(pieces, func(a, b piece) int {
		if a.From < b.From {
			return -1
		}
		return 1 // no two begin at once
	})
	return pieces, nil
}

// customer gives what hangs under a root.
func (w *walk) customer(ctx context.Context, root event.ID) (*customer, error) {
	c := &customer{root: root, nodes: []event.ID{root}, has: map[event.ID]bool{root: true}}
	for read := 0; read < len(c.nodes); {
		level := c.nodes[read:]
		if err := w.loadNodes(ctx, level...); err != nil {
			return nil, err
		}
		read = len(c.nodes)
		for _, id := range level {
			for _, m := range w.nodes[id].below {
				if m.in(w.at) && !c.has[m.other] {
					c.has[m.other] = true
					c.nodes = append(c.nodes, m.other)
				}
			}
		}
	}
	slices.SortFunc(c.nodes[1:], compare)
	var endpoints []event.ID
	for _, id := range c.nodes {
		endpoints = append(append(endpoints, event.EndpointOf(id)), w.nodes[id].linked...)
	}
	slices.SortFunc(endpoints, compare)
	endpoints = slices.Compact(endpoints)
	if err := w.loadEndpoints(ctx, endpoints...); err != nil {
		return nil, err
	}
	for _, id := range endpoints {
		pieces, err := w.pieces(ctx, id)
		if err != nil {
			return nil, err
		}
		if pieces = slices.DeleteFunc(pieces, func(p piece) bool { return !c.has[p.node] }); len(pieces) > 0 {
			c.holdings = append(c.holdings, holding{id, pieces})
		}
	}
	return c, nil
}

// resolve gives the customer that an id means, and the node by which: the one that it names, or where its customer has nothing any more,
// the one that has the endpoint of that name.
func (w *walk) resolve(ctx context.Context, id event.ID) (event.ID, *customer, error) {
	named := event.CustomerOf(id)
	root, err := w.root(ctx, named)
	if err != nil {
		return named, nil, err
	}
	c, err := w.customer(ctx, root)
	if err != nil || len(c.holdings) > 0 {
		return named, c, err
	}
	pieces, err := w.pieces(ctx, event.EndpointOf(root))
	if err != nil {
		return named, nil, err
	}
	named = pieces[len(pieces)-1].node
	if root, err = w.root(ctx, named); err != nil {
		return named, nil, err
	}
	c, err = w.customer(ctx, root)
	return named, c, err
}

// aliases are the nodes beside its own that mean a customer: those of customers who have nothing any more, and whose endpoint it has.
func (w *walk) aliases(ctx context.Context, c *customer) ([]event.ID, error) {
	var named []event.ID
	for _, h := range c.holdings {
		if n := event.CustomerOf(h.endpoint); h.present() && !c.has[n] {
			named = append(named, n)
		}
	}
	if err := w.loadNodes(ctx, named...); err != nil {
		return nil, err
	}
	var aliases []event.ID
	for _, n := range named {
		if w.nodes[n].above(w.at) != nil {
			continue
		}
		other, err := w.customer(ctx, n)
		if err != nil {
			return nil, err
		}
		if len(other.holdings) == 0 {
			aliases = append(aliases, other.nodes...)
		}
	}
	slices.SortFunc(aliases, compare)
	return aliases, nil
}

// owner is the customer, by its present id, whose an endpoint is at a moment.
func (w *walk) owner(ctx context.Context, id event.ID, at int64) (event.ID, error) {
	pieces, err := w.pieces(ctx, id)
	if err != nil {
		return event.ID{}, err
	}
	for _, p := range pieces {
		if p.Contains(at) {
			return w.root(ctx, p.node)
		}
	}
	return w.root(ctx, pieces[len(pieces)-1].node) // the last nanosecond of all
}

// attributions gives those of interactions, in their order: all that there ever were, in the order of the log.
func (w *walk) attributions(ctx context.Context, interactions ...event.ID) ([][]attribution, error) {
	keys := make([][]byte, len(interactions))
	for i, id := range interactions {
		keys[i] = prefix(w.tenant, subInteraction, id)
	}
	values, err := w.rows.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	all := make([][]attribution, len(values))
	for i, value := range values {
		if all[i], err = decodeAttributions(value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// inForce gives the latest that is in force; nil where none is.
func inForce(all []attribution, at asOf) *attribution {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].in(at) {
			return &all[i]
		}
	}
	return nil
}
