package customer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	malformed       = customerv1.Refusal_REFUSAL_MALFORMED
	erased          = customerv1.Refusal_REFUSAL_ERASED
	sameCustomer    = customerv1.Refusal_REFUSAL_SAME_CUSTOMER
	conflict        = customerv1.Refusal_REFUSAL_CONFLICT
	tooMany         = customerv1.Refusal_REFUSAL_TOO_MANY_ENDPOINTS
	notLinked       = customerv1.Refusal_REFUSAL_NOT_LINKED
	unknownEvent    = customerv1.Refusal_REFUSAL_UNKNOWN_EVENT
	alreadyUndone   = customerv1.Refusal_REFUSAL_ALREADY_UNDONE
	linkChange      = customerv1.ChangeKind_CHANGE_KIND_LINK
	mergeChange     = customerv1.ChangeKind_CHANGE_KIND_MERGE
	splitChange     = customerv1.ChangeKind_CHANGE_KIND_SPLIT
	undoChange      = customerv1.ChangeKind_CHANGE_KIND_UNDO
	attributeChange = customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION
)

// endpointID reads the id of an endpoint.
func endpointID(field, text string) (event.ID, *refused) {
	id, no := anyID(field, text)
	if no == nil && id.IsCustomer() {
		no = &refused{malformed, fmt.Sprintf("%s: %s is the id of a customer, not of an endpoint", field, text)}
	}
	return id, no
}

// anyID reads an id.
func anyID(field, text string) (event.ID, *refused) {
	id, err := event.ParseID(text)
	switch {
	case text == "":
		return id, &refused{malformed, field + ": is missing"}
	case err != nil, id.IsZero():
		return id, &refused{malformed, fmt.Sprintf("%s: %q is no id", field, text)}
	}
	return id, nil
}

// rangeOf reads when a link holds.
func rangeOf(from, until *timestamppb.Timestamp) (scope.Range, error) {
	r := scope.Ever
	for _, side := range []struct {
		name   string
		stated *timestamppb.Timestamp
		nanos  *int64
	}{{"from", from, &r.From}, {"until", until, &r.Until}} {
		if side.stated == nil {
			continue
		}
		at := side.stated.AsTime()
		if side.stated.CheckValid() != nil || at.Year() < minYear || at.Year() > maxYear {
			return r, fmt.Errorf("%s: must lie between the years %d and %d", side.name, minYear, maxYear)
		}
		*side.nanos = at.UnixNano()
	}
	if r.Empty() {
		return r, fmt.Errorf("until: must be later than from")
	}
	return r, nil
}

// validity shows a range.
func validity(r scope.Range) *customerv1.Validity {
	v := &customerv1.Validity{}
	if r.From != scope.Ever.From {
		v.From = timestamppb.New(time.Unix(0, r.From))
	}
	if r.Until != scope.Ever.Until {
		v.Until = timestamppb.New(time.Unix(0, r.Until))
	}
	return v
}

// target gives the customer that something goes to, and the node by which. What goes to the customer that one of the endpoints names
// themselves goes to that one, even if it has nothing any more.
func (d *decision) target(ctx context.Context, id event.ID, endpoints ...event.ID) (event.ID, *customer, error) {
	named := event.CustomerOf(id)
	if !slices.Contains(endpoints, event.EndpointOf(named)) {
		return d.resolve(ctx, id)
	}
	root, err := d.root(ctx, named)
	if err != nil {
		return named, nil, err
	}
	c, err := d.customer(ctx, root)
	return named, c, err
}

// erased refuses a customer who is erased.
func (d *decision) erased(c *customer) *refused {
	if d.at.sees(d.nodes[c.root].erased) {
		return &refused{erased, fmt.Sprintf("customer %s is erased", c.root)}
	}
	return nil
}

// crowded refuses to give endpoints to a customer who would have too many.
func crowded(c *customer, endpoints ...event.ID) *refused {
	n := len(c.holdings)
	for _, id := range endpoints {
		if c.holding(id) == nil {
			n++
		}
	}
	if n > MaxEndpoints {
		return &refused{tooMany, fmt.Sprintf("customer %s would have %d endpoints; %d are allowed", c.root, n, MaxEndpoints)}
	}
	return nil
}

// nameOwners names the nodes that have an endpoint, and the one that it names.
func (d *decision) nameOwners(ctx context.Context, id event.ID) ([]piece, error) {
	pieces, err := d.pieces(ctx, id)
	d.name(event.CustomerOf(id))
	for _, p := range pieces {
		d.name(p.node)
	}
	return pieces, err
}

// give links an endpoint to a node.
func (d *decision) give(ctx context.Context, id, to event.ID, r scope.Range, split bool) error {
	e, err := d.endpoint(ctx, id)
	if err != nil {
		return err
	}
	e.links = append(e.links, link{change: d.change(), node: to, Range: r, split: split})
	d.saveEndpoint(id)
	n, err := d.node(ctx, to)
	if err != nil {
		return err
	}
	if id != event.EndpointOf(to) && !slices.Contains(n.linked, id) {
		n.linked = append(n.linked, id)
		d.saveNode(to)
	}
	return nil
}

func (d *decision) change() change {
	return change{event: d.in.id, made: d.stamp, undone: stamp{offset: never}}
}

func (d *decision) link(ctx context.Context, b *eventv1.EndpointLinked) (*refused, error) {
	d.entry.Rule = b.GetRule()
	id, no := endpointID("endpoint_id", b.GetEndpointId())
	if no != nil {
		return no, nil
	}
	named, no := anyID("customer_id", b.GetCustomerId())
	if no != nil {
		return no, nil
	}
	d.entry.EndpointIds, d.entry.CustomerIds = []string{id.String()}, []string{event.CustomerOf(named).String()}
	d.name(event.CustomerOf(named))
	pieces, err := d.nameOwners(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := rangeOf(b.GetValidFrom(), b.GetValidUntil())
	if err != nil {
		return refuse(malformed, "valid_%v", err)
	}
	d.entry.Validity = validity(r)
	if err := d.know(ctx, id, endpoint{kind: b.GetKind(), namespace: b.GetNamespace()}); err != nil {
		return nil, err
	}
	to, target, err := d.target(ctx, named, id)
	if err != nil {
		return nil, err
	}
	d.name(to)
	d.entry.CustomerIds = []string{to.String()}
	if no := d.erased(target); no != nil {
		return no, nil
	}
	if no, err := d.contested(ctx, b, id, to, target, r, pieces); no != nil || err != nil {
		return no, err
	}
	along, err := d.along(ctx, b, id, r, pieces)
	if err != nil {
		return nil, err
	}
	if no := d.limited(target, id, along, int(b.GetLimit())); no != nil {
		return no, nil
	}
	if along != nil {
		d.entry.Kind, d.entry.Validity = mergeChange, nil
		return d.join(ctx, target, along)
	}
	if no := crowded(target, id); no != nil {
		return no, nil
	}
	if err := d.note(ctx); err != nil {
		return nil, err
	}
	return nil, d.give(ctx, id, to, r, false)
}

// along is the customer who goes along where a rule links the endpoint that names it: one that has more than that endpoint. Else what
// was linked to a login would stay behind once the login is linked to a record. It is nil where the endpoint goes alone.
func (d *decision) along(ctx context.Context, b *eventv1.EndpointLinked, id event.ID, r scope.Range, pieces []piece) (*customer, error) {
	if !b.GetAutomatic() || r != scope.Ever || len(pieces) != 1 || pieces[0].link != nil {
		return nil, nil
	}
	own := event.CustomerOf(id)
	if root, err := d.root(ctx, own); err != nil || root != own {
		return nil, err
	}
	c, err := d.customer(ctx, own)
	if err != nil || len(c.holdings) < 2 {
		return nil, err
	}
	return c, nil
}

// contested refuses a link that changes nothing, or that takes an endpoint from somebody without a person's word.
func (d *decision) contested(ctx context.Context, b *eventv1.EndpointLinked, id, to event.ID, target *customer, r scope.Range, pieces []piece) (*refused, error) {
	same, linked := true, false
	var taken *refused
	for _, p := range pieces {
		if p.Intersect(r).Empty() {
			continue
		}
		root, err := d.root(ctx, p.node)
		if err != nil {
			return nil, err
		}
		linked = linked || p.link != nil
		if root == target.root {
			continue
		}
		same = false
		switch {
		case p.link != nil:
			taken = &refused{conflict, fmt.Sprintf("endpoint %s is customer %s's by event %s", id, root, p.link.event)}
		case root != p.node:
			taken = &refused{conflict, fmt.Sprintf("endpoint %s is customer %s's by event %s", id, root, d.nodes[p.node].above(d.at).event)}
		}
	}
	if same && b.GetAutomatic() || !linked && to == event.CustomerOf(id) {
		d.hidden = b.GetAutomatic()
		return refuse(sameCustomer, "endpoint %s is customer %s's already", id, target.root)
	}
	if b.GetAutomatic() {
		return taken, nil
	}
	return nil, nil
}

// limited refuses an endpoint of whose kind and name space a customer has enough, with those of who goes along.
func (d *decision) limited(c *customer, id event.ID, along *customer, limit int) *refused {
	if limit == 0 {
		return nil
	}
	n, added, holdings := 1, d.endpoints[id], c.holdings
	if along != nil {
		holdings = append(slices.Clone(holdings), along.holdings...) // each is present with one of them at most
	}
	for _, h := range holdings {
		if e := d.endpoints[h.endpoint]; h.endpoint != id && h.present() && e.kind == added.kind && e.namespace == added.namespace {
			n++
		}
	}
	if n > limit {
		return &refused{tooMany, fmt.Sprintf("customer %s would have %d endpoints of this kind and name space; %d are allowed", c.root, n, limit)}
	}
	return nil
}

func (d *decision) merge(ctx context.Context, b *eventv1.CustomerMerged) (*refused, error) {
	into, no := anyID("into", b.GetInto())
	if no != nil {
		return no, nil
	}
	merged, no := anyID("merged", b.GetMerged())
	if no != nil {
		return no, nil
	}
	d.name(event.CustomerOf(into), event.CustomerOf(merged))
	_, above, err := d.resolve(ctx, into)
	if err != nil {
		return nil, err
	}
	_, below, err := d.resolve(ctx, merged)
	if err != nil {
		return nil, err
	}
	d.entry.CustomerIds = []string{above.root.String(), below.root.String()}
	if above.root == below.root {
		d.entry.CustomerIds = d.entry.GetCustomerIds()[:1]
		return refuse(sameCustomer, "both are customer %s already", above.root)
	}
	return d.join(ctx, above, below)
}

// join merges one customer into another.
func (d *decision) join(ctx context.Context, above, below *customer) (*refused, error) {
	d.entry.CustomerIds = []string{above.root.String(), below.root.String()}
	for _, c := range []*customer{above, below} {
		if no := d.erased(c); no != nil {
			return no, nil
		}
	}
	added := make([]event.ID, 0, len(below.holdings))
	for _, h := range below.holdings {
		added = append(added, h.endpoint)
	}
	if no := crowded(above, added...); no != nil {
		return no, nil
	}
	if err := d.note(ctx); err != nil {
		return nil, err
	}
	upper, lower := d.nodes[above.root], d.nodes[below.root]
	lower.out = append(lower.out, merge{d.change(), above.root})
	upper.below = append(upper.below, merge{d.change(), below.root})
	d.saveNode(above.root)
	d.saveNode(below.root)
	return nil, nil
}

func (d *decision) split(ctx context.Context, b *eventv1.CustomerSplit) (*refused, error) {
	named, no := anyID("customer_id", b.GetCustomerId())
	if no != nil {
		return no, nil
	}
	d.name(event.CustomerOf(named))
	var leaving []event.ID
	for i, text := range b.GetEndpointIds() {
		id, no := endpointID(fmt.Sprintf("endpoint_ids[%d]", i), text)
		if no != nil {
			return no, nil
		}
		if !slices.Contains(leaving, id) {
			leaving = append(leaving, id)
			d.entry.EndpointIds = append(d.entry.GetEndpointIds(), id.String())
		}
	}
	switch {
	case len(leaving) == 0:
		return refuse(malformed, "endpoint_ids: is missing")
	case len(leaving) > MaxEndpoints:
		return refuse(malformed, "endpoint_ids: more than %d", MaxEndpoints)
	}
	goal := leaving[0]
	if b.GetTo() != "" {
		if goal, no = anyID("to", b.GetTo()); no != nil {
			return no, nil
		}
	}
	_, from, err := d.resolve(ctx, named)
	if err != nil {
		return nil, err
	}
	to, target, err := d.target(ctx, goal, leaving...)
	if err != nil {
		return nil, err
	}
	d.name(event.CustomerOf(goal), to)
	d.entry.CustomerIds = []string{to.String(), from.root.String()}
	if no := d.erased(from); no != nil {
		return no, nil
	}
	for _, id := range leaving {
		if h := from.holding(id); h == nil || !h.present() {
			return refuse(notLinked, "endpoint %s is not customer %s's", id, from.root)
		}
	}
	if target.root == from.root {
		if m := d.nodes[to].above(d.at); m != nil {
			return refuse(sameCustomer, "customer %s is a part of the one that is split by event %s: undo that, or name another customer", to, m.event)
		}
		return refuse(sameCustomer, "customer %s is the one that is split: split off the others, or name another customer", to)
	}
	if no := d.erased(target); no != nil {
		return no, nil
	}
	if no := crowded(target, leaving...); no != nil {
		return no, nil
	}
	for _, id := range leaving {
		if _, err := d.nameOwners(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := d.note(ctx); err != nil {
		return nil, err
	}
	for _, id := range leaving {
		if err := d.give(ctx, id, to, scope.Ever, true); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (d *decision) attribute(ctx context.Context, b *eventv1.InteractionAttributed) (*refused, error) {
	interaction, no := anyID("interaction_id", b.GetInteractionId())
	if no != nil {
		return no, nil
	}
	named, no := anyID("customer_id", b.GetCustomerId())
	if no != nil {
		return no, nil
	}
	var from event.ID
	if b.GetEndpointId() != "" {
		if from, no = endpointID("endpoint_id", b.GetEndpointId()); no != nil {
			return no, nil
		}
		d.entry.EndpointIds = []string{from.String()}
		if _, err := d.nameOwners(ctx, from); err != nil {
			return nil, err
		}
	}
	to, target, err := d.resolve(ctx, named)
	if err != nil {
		return nil, err
	}
	d.name(event.CustomerOf(named), to)
	d.entry.InteractionId, d.entry.CustomerIds = interaction.String(), []string{to.String()}
	if no := d.erased(target); no != nil {
		return no, nil
	}
	all, err := d.nameAttributed(ctx, interaction)
	if err != nil {
		return nil, err
	}
	if err := d.note(ctx); err != nil {
		return nil, err
	}
	d.everyone = d.everyone || from.IsZero()
	d.saveAttributions(interaction, append(all, attribution{change: d.change(), node: to, endpoint: from}))
	d.nodes[to].attributed = true
	d.saveNode(to)
	d.tx.SetUnread(prefix(d.tenant, subAttributed, to, interaction), nil)
	d.tx.SetUnread(prefix(d.tenant, subTaken, from, interaction), nil)
	if from.IsZero() {
		d.row.taken = true
		return nil, nil
	}
	d.endpoints[from].taken = true
	d.saveEndpoint(from)
	return nil, nil
}

// nameAttributed gives the attributions of an interaction. Whoever gained or lost it by one that is in force may do so again.
func (d *decision) nameAttributed(ctx context.Context, interaction event.ID) ([]attribution, error) {
	all, err := d.attributions(ctx, interaction)
	if err != nil {
		return nil, err
	}
	for _, a := range all[0] {
		if !a.in(d.at) {
			continue
		}
		d.name(a.node)
		if a.endpoint.IsZero() {
			d.everyone = true
		} else if _, err := d.nameOwners(ctx, a.endpoint); err != nil {
			return nil, err
		}
	}
	return all[0], nil
}

func (d *decision) saveAttributions(interaction event.ID, all []attribution) {
	d.interaction = interaction
	d.tx.Set(prefix(d.tenant, subInteraction, interaction), encodeAttributions(all))
}

func (d *decision) undo(ctx context.Context, b *eventv1.LinkUndone) (*refused, error) {
	id, no := anyID("event_id", b.GetEventId())
	if no != nil {
		return no, nil
	}
	d.entry.Undoes = id.String()
	was, err := d.decidedOn(ctx, id)
	if err != nil {
		return nil, err
	}
	if was == nil || was.entry.GetKind() == customerv1.ChangeKind_CHANGE_KIND_UNSPECIFIED {
		return refuse(unknownEvent, "there is no event %s that changes customers", id)
	}
	undone(d.entry, was.entry)
	for _, text := range was.entry.GetCustomerIds() {
		if node, err := event.ParseID(text); err == nil {
			d.name(node)
		}
	}
	switch kind := was.entry.GetKind(); {
	case kind == undoChange:
		return refuse(unknownEvent, "event %s is an undo, which stays: do again what it took back", id)
	case kind != linkChange && kind != mergeChange && kind != splitChange && kind != attributeChange:
		return refuse(unknownEvent, "event %s is no link, merge, split or attribution", id)
	case was.entry.GetRefusal() != customerv1.Refusal_REFUSAL_UNSPECIFIED:
		return refuse(unknownEvent, "event %s was decided against: %s", id, was.entry.GetDetail())
	case was.entry.GetUndoneBy() != "":
		return refuse(alreadyUndone, "event %s is undone by event %s", id, was.entry.GetUndoneBy())
	}
	if err := d.takeBack(ctx, id, was.entry); err != nil {
		return nil, err
	}
	was.entry.UndoneBy = d.in.id.String()
	return nil, d.save(prefix(d.tenant, subEvent, id), *was)
}

// takeBack marks what an event has made.
func (d *decision) takeBack(ctx context.Context, id event.ID, was *customerv1.HistoryEntry) error {
	var endpoints []event.ID
	for _, text := range was.GetEndpointIds() {
		endpoint, err := event.ParseID(text)
		if err != nil {
			return errDamaged
		}
		endpoints = append(endpoints, endpoint)
		if _, err := d.nameOwners(ctx, endpoint); err != nil {
			return err
		}
		for _, l := range d.endpoints[endpoint].links { // one of them has it afterwards
			if l.in(d.at) {
				d.name(l.node)
			}
		}
	}
	var interaction event.ID
	var attributions []attribution
	if was.GetKind() == attributeChange {
		var err error
		if interaction, err = event.ParseID(was.GetInteractionId()); err != nil {
			return errDamaged
		}
		if attributions, err = d.nameAttributed(ctx, interaction); err != nil {
			return err
		}
	}
	if err := d.note(ctx); err != nil {
		return err
	}
	switch was.GetKind() {
	case mergeChange:
		for node := range d.named {
			n, err := d.node(ctx, node)
			if err != nil {
				return err
			}
			if mark(n.out, id, d.stamp)+mark(n.below, id, d.stamp) > 0 {
				d.saveNode(node)
			}
		}
	case attributeChange:
		for i := range attributions {
			if attributions[i].event == id {
				attributions[i].undone = d.stamp
			}
		}
		d.saveAttributions(interaction, attributions)
	default:
		for _, endpoint := range endpoints {
			links := d.endpoints[endpoint].links
			for i := range links {
				if links[i].event == id {
					links[i].undone = d.stamp
				}
			}
			d.saveEndpoint(endpoint)
		}
	}
	return nil
}

// mark marks what an event has made as undone, and counts it.
func mark(merges []merge, id event.ID, by stamp) (n int) {
	for i := range merges {
		if merges[i].event == id {
			merges[i].undone = by
			n++
		}
	}
	return n
}

func (d *decision) erase(ctx context.Context, b *eventv1.SubjectErased) (*refused, error) {
	named, no := anyID("customer_id", b.GetCustomerId())
	if no != nil {
		return no, nil
	}
	_, c, err := d.resolve(ctx, named)
	if err != nil {
		return nil, err
	}
	d.name(event.CustomerOf(named))
	d.entry.CustomerIds = []string{c.root.String()}
	aliases, err := d.aliases(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, id := range append(slices.Clone(c.nodes), aliases...) {
		if n := d.nodes[id]; n.erased.offset == never {
			n.erased = d.stamp
			d.saveNode(id)
		}
	}
	return nil, nil
}
