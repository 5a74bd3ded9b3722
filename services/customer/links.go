package customer

import (
	"context"
	"fmt"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
)

// ChangeWindow is how many records of a partition back Links.Changes tells of, at least.
const ChangeWindow = changeWindow

// Links are the links of all tenants as they stand at one moment, for those who keep a copy of them. Close it. Not for concurrent use.
type Links struct {
	snap       kv.Snapshot
	generation uint32
	applied    projection.Vector
	walks      map[string]*walk
}

// Links gives what is applied by now.
func (x *Customers) Links(ctx context.Context) (*Links, error) {
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("customer: read the links: %w", err)
	}
	l := &Links{snap: snap, generation: ns.Generation, walks: map[string]*walk{}}
	if l.applied, err = projection.Applied(ctx, snap, event.TopicLinks, x.partitions); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Close lets go of it.
func (l *Links) Close() error { return l.snap.Close() }

// Generation is that of the read model.
func (l *Links) Generation() uint32 { return l.generation }

// Applied is how far the topic of links is contained.
func (l *Links) Applied() projection.Vector { return l.applied }

// Tenants are those of whose customers anything was decided.
func (l *Links) Tenants(ctx context.Context) ([]string, error) {
	return projection.Tenants(ctx, l.snap, spaceTenant)
}

func (l *Links) walk(tenant string) *walk {
	if l.walks[tenant] == nil {
		l.walks[tenant] = newWalk(l.snap, tenant, now)
	}
	return l.walks[tenant]
}

// Change is what an event has changed.
type Change struct {
	Tenant string
	// Customers are those who gained or lost anything, by their ids before and after.
	Customers []event.ID
	// Interaction that was attributed, or is not any more; zero for none.
	Interaction event.ID
}

// Changes yields what the records of a partition from one offset to before another have changed, until yield fails.
func (l *Links) Changes(ctx context.Context, partition int32, from, until int64, yield func(Change) error) error {
	it, err := l.snap.Scan(ctx, kv.Range{Start: changeKey(partition, from), End: changeKey(partition, until)})
	if err != nil {
		return fmt.Errorf("customer: read changes: %w", err)
	}
	defer it.Close()
	for it.Next() {
		var c Change
		c.Tenant, c.Customers, c.Interaction, err = decodeChanged(it.Value())
		if err == nil {
			err = yield(c)
		}
		if err != nil {
			return err
		}
	}
	return it.Err()
}

// Members gives the endpoints that were ever a customer's, or of one who is a part of it, and the interactions that were ever attributed to it:
// whatever may be another's once the customer is.
func (l *Links) Members(ctx context.Context, tenant string, id event.ID) (endpoints, interactions []event.ID, err error) {
	w := l.walk(tenant)
	c, err := w.customer(ctx, event.CustomerOf(id))
	if err != nil {
		return nil, nil, wrapLinks(err)
	}
	aliases, err := w.aliases(ctx, c)
	if err != nil {
		return nil, nil, wrapLinks(err)
	}
	for _, n := range append(slices.Clone(c.nodes), aliases...) {
		endpoints = append(append(endpoints, event.EndpointOf(n)), w.nodes[n].linked...)
		if !w.nodes[n].attributed {
			continue
		}
		some, err := l.ids(ctx, kv.Prefix(prefix(tenant, subAttributed, n)), 0)
		if err != nil {
			return nil, nil, err
		}
		interactions = append(interactions, some...)
	}
	slices.SortFunc(endpoints, compare)
	return slices.Compact(endpoints), interactions, nil
}

func wrapLinks(err error) error { return fmt.Errorf("customer: read the links: %w", err) }

// ids are those at the end of the keys of a range, so many at most; 0 for all.
func (l *Links) ids(ctx context.Context, r kv.Range, most int) (all []event.ID, err error) {
	it, err := l.snap.Scan(ctx, r)
	if err != nil {
		return nil, wrapLinks(err)
	}
	defer it.Close()
	for (most == 0 || len(all) < most) && it.Next() {
		key := it.Key()
		if len(key) < len(event.ID{}) {
			return nil, errDamaged
		}
		all = append(all, event.ID(key[len(key)-len(event.ID{}):]))
	}
	return all, it.Err()
}

// Endpoints gives those of which anything is known behind one, in order, so many at most; the zero one is before all.
func (l *Links) Endpoints(ctx context.Context, tenant string, behind event.ID, most int) ([]event.ID, error) {
	known, err := l.behind(ctx, tenant, subEndpoint, behind, most)
	if err != nil {
		return nil, err
	}
	nodes, err := l.behind(ctx, tenant, subNode, event.CustomerOf(behind), most)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if id := event.EndpointOf(n); compare(id, behind) > 0 {
			known = append(known, id)
		}
	}
	slices.SortFunc(known, compare)
	known = slices.Compact(known)
	return known[:min(len(known), most)], nil
}

// Interactions gives those that were ever attributed, behind one, like Endpoints.
func (l *Links) Interactions(ctx context.Context, tenant string, behind event.ID, most int) ([]event.ID, error) {
	return l.behind(ctx, tenant, subInteraction, behind, most)
}

func (l *Links) behind(ctx context.Context, tenant string, sub byte, behind event.ID, most int) ([]event.ID, error) {
	r := kv.Prefix(prefix(tenant, sub))
	if !behind.IsZero() {
		r.Start = append(prefix(tenant, sub, behind), 0)
	}
	return l.ids(ctx, r, most)
}

// Owners gives whose an endpoint is, and when. While it is nobody's but the customer's that it names, who has nothing else, it is left out.
func (l *Links) Owners(ctx context.Context, tenant string, endpoint event.ID) ([]scope.Span, error) {
	w := l.walk(tenant)
	pieces, err := w.pieces(ctx, endpoint)
	if err != nil {
		return nil, wrapLinks(err)
	}
	var spans []scope.Span
	for _, p := range pieces {
		root, err := w.root(ctx, p.node)
		if err != nil {
			return nil, wrapLinks(err)
		}
		if root == event.CustomerOf(endpoint) {
			c, err := w.customer(ctx, root)
			if err != nil {
				return nil, wrapLinks(err)
			}
			if len(c.nodes) == 1 && len(c.holdings) == 1 {
				continue
			}
		}
		if n := len(spans) - 1; n >= 0 && spans[n].ID == root && spans[n].Until == p.From {
			spans[n].Until = p.Until
			continue
		}
		spans = append(spans, scope.Span{ID: root, Range: p.Range})
	}
	return spans, nil
}

// Attributed gives the customer to whom an interaction is attributed, and the endpoint from which it is taken, zero for whichever has it; false
// where it is attributed to nobody.
func (l *Links) Attributed(ctx context.Context, tenant string, interaction event.ID) (to, endpoint event.ID, attributed bool, err error) {
	w := l.walk(tenant)
	all, err := w.attributions(ctx, interaction)
	if err != nil {
		return to, endpoint, false, wrapLinks(err)
	}
	a := inForce(all[0], now)
	if a == nil {
		return to, endpoint, false, nil
	}
	_, c, err := w.resolve(ctx, a.node)
	if err != nil {
		return to, endpoint, false, wrapLinks(err)
	}
	return c.root, a.endpoint, true, nil
}
