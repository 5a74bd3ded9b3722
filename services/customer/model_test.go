package customer_test

import (
	"math"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// model is what the slice has to be equal to: the list of what was done, looked through from its begin for each question.
type model struct {
	endpoints []event.ID // all that there are
	times     []int64    // at which links may begin or end
	stretches map[event.ID]scope.Span
	done      []*op
	kinds     map[event.ID]eventv1.EndpointKind
}

// op is a change that was asked for, and what it does once it is done.
type op struct {
	id        event.ID
	kind      customerv1.ChangeKind
	offset    int
	undoneAt  int // offset; math.MaxInt where it is in force
	named     []event.ID
	endpoints []event.ID
	scope.Range
	automatic   bool
	limit       int
	endpoint    eventv1.EndpointKind
	interaction event.ID
	undoes      event.ID

	nodes  []event.ID // to which it gives; of a merge the upper and the lower; of an erasure all that are erased
	refuse customerv1.Refusal
}

// at gives what is in force at a version.
func (m *model) at(version int, kinds ...customerv1.ChangeKind) []*op {
	var all []*op
	for _, o := range m.done {
		if o.offset < version && version <= o.undoneAt && slices.Contains(kinds, o.kind) {
			all = append(all, o)
		}
	}
	return all
}

func (m *model) root(version int, n event.ID) event.ID {
	for _, o := range m.at(version, customerv1.ChangeKind_CHANGE_KIND_MERGE) {
		if o.nodes[1] == n {
			return m.root(version, o.nodes[0])
		}
	}
	return n
}

// holder is the node whose an endpoint is at a time, and whether by a link.
func (m *model) holder(version int, e event.ID, t int64) (n event.ID, linked bool) {
	n = event.CustomerOf(e)
	for _, o := range m.at(version, customerv1.ChangeKind_CHANGE_KIND_LINK, customerv1.ChangeKind_CHANGE_KIND_SPLIT) {
		if slices.Contains(o.endpoints, e) && (o.Contains(t) || t == math.MaxInt64 && o.Until == t) {
			n, linked = o.nodes[0], true
		}
	}
	return n, linked
}

func (m *model) owner(version int, e event.ID, t int64) event.ID {
	n, _ := m.holder(version, e, t)
	return m.root(version, n)
}

// moments are such that nothing changes between them.
func (m *model) moments() []int64 { return append([]int64{math.MinInt64}, m.times...) }

// spans are when an endpoint is a customer's.
func (m *model) spans(version int, e, customer event.ID) (spans []scope.Span) {
	moments := append(m.moments(), math.MaxInt64)
	for i, t := range moments[:len(moments)-1] {
		if m.owner(version, e, t) != customer {
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].Until == t {
			spans[n-1].Until = moments[i+1]
			continue
		}
		spans = append(spans, scope.Span{ID: e, Range: scope.Range{From: t, Until: moments[i+1]}})
	}
	return spans
}

// held are the endpoints of a customer, at any time or at present only.
func (m *model) held(version int, customer event.ID, present bool) (held []event.ID) {
	for _, e := range m.endpoints {
		if spans := m.spans(version, e, customer); len(spans) > 0 && (!present || m.owner(version, e, math.MaxInt64) == customer) {
			held = append(held, e)
		}
	}
	return held
}

// node is the one that an id means, and resolve its customer.
func (m *model) node(version int, id event.ID) event.ID {
	n := event.CustomerOf(id)
	if r := m.root(version, n); len(m.held(version, r, false)) == 0 {
		n, _ = m.holder(version, event.EndpointOf(r), math.MaxInt64)
	}
	return n
}

func (m *model) resolve(version int, id event.ID) event.ID {
	return m.root(version, m.node(version, id))
}

func (m *model) erased(customer event.ID) bool {
	return slices.ContainsFunc(m.at(math.MaxInt, customerv1.ChangeKind_CHANGE_KIND_ERASURE), func(o *op) bool { return slices.Contains(o.nodes, customer) })
}

func (m *model) scope(version int, id event.ID) scope.Scope {
	s := scope.Scope{ID: m.resolve(version, id)}
	for _, e := range m.endpoints {
		s.Endpoints = append(s.Endpoints, m.spans(version, e, s.ID)...)
	}
	latest := map[event.ID]*op{}
	for _, o := range m.at(version, customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION) {
		latest[o.interaction] = o
	}
	for interaction, o := range latest {
		span := m.stretches[interaction]
		switch {
		case m.resolve(version, o.nodes[0]) == s.ID:
			s.Threads = append(s.Threads, span)
		case len(o.endpoints) == 0:
			s.Without = append(s.Without, scope.Exception{Thread: span.ID, Range: span.Range})
		case len(m.spans(version, o.endpoints[0], s.ID)) > 0:
			s.Without = append(s.Without, scope.Exception{Thread: span.ID, Endpoint: o.endpoints[0], Range: span.Range})
		}
	}
	return s
}

// decide does what is asked for, or says why not.
func (m *model) decide(o *op) {
	if o.kind == customerv1.ChangeKind_CHANGE_KIND_LINK && o.refuse == 0 && o.endpoint != 0 {
		m.kinds[o.endpoints[0]] = o.endpoint
	}
	if o.refuse == 0 {
		o.refuse = m.decision(o)
	}
	if o.refuse == 0 {
		o.undoneAt = math.MaxInt
		m.done = append(m.done, o)
	}
}

func (m *model) decision(o *op) customerv1.Refusal {
	const now = math.MaxInt
	switch o.kind {
	case customerv1.ChangeKind_CHANGE_KIND_LINK:
		o.nodes = []event.ID{m.goal(o.named[0], o.endpoints)}
		return m.link(o, o.endpoints[0], m.root(now, o.nodes[0]), m.along(o))
	case customerv1.ChangeKind_CHANGE_KIND_MERGE:
		o.nodes = []event.ID{m.resolve(now, o.named[0]), m.resolve(now, o.named[1])}
		switch {
		case o.nodes[0] == o.nodes[1]:
			return customerv1.Refusal_REFUSAL_SAME_CUSTOMER
		case m.erased(o.nodes[0]) || m.erased(o.nodes[1]):
			return customerv1.Refusal_REFUSAL_ERASED
		}
	case customerv1.ChangeKind_CHANGE_KIND_SPLIT:
		from := m.resolve(now, o.named[0])
		o.nodes = []event.ID{m.goal(o.named[1], o.endpoints)}
		if m.erased(from) {
			return customerv1.Refusal_REFUSAL_ERASED
		}
		for _, e := range o.endpoints {
			if m.owner(now, e, math.MaxInt64) != from {
				return customerv1.Refusal_REFUSAL_NOT_LINKED
			}
		}
		switch to := m.root(now, o.nodes[0]); {
		case to == from:
			return customerv1.Refusal_REFUSAL_SAME_CUSTOMER
		case m.erased(to):
			return customerv1.Refusal_REFUSAL_ERASED
		}
	case customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION:
		o.nodes = []event.ID{m.node(now, o.named[0])}
		if m.erased(m.root(now, o.nodes[0])) {
			return customerv1.Refusal_REFUSAL_ERASED
		}
	case customerv1.ChangeKind_CHANGE_KIND_ERASURE:
		for _, e := range m.endpoints {
			if m.resolve(now, e) == m.resolve(now, o.named[0]) {
				o.nodes = append(o.nodes, event.CustomerOf(e))
			}
		}
	case customerv1.ChangeKind_CHANGE_KIND_UNDO:
		i := slices.IndexFunc(m.done, func(d *op) bool { return d.id == o.undoes })
		switch {
		case i < 0 || m.done[i].kind == customerv1.ChangeKind_CHANGE_KIND_UNDO || m.done[i].kind == customerv1.ChangeKind_CHANGE_KIND_ERASURE:
			return customerv1.Refusal_REFUSAL_UNKNOWN_EVENT
		case m.done[i].undoneAt != math.MaxInt:
			return customerv1.Refusal_REFUSAL_ALREADY_UNDONE
		}
		m.done[i].undoneAt = o.offset
	default: // nothing else is asked for
	}
	return 0
}

// goal is the node that something goes to.
func (m *model) goal(id event.ID, endpoints []event.ID) event.ID {
	if slices.Contains(endpoints, event.EndpointOf(id)) {
		return event.CustomerOf(id)
	}
	return m.node(math.MaxInt, id)
}

// along are the endpoints of the customer who goes along with the one that names it.
func (m *model) along(o *op) []event.ID {
	e := o.endpoints[0]
	own, n := event.CustomerOf(e), len(m.held(math.MaxInt, event.CustomerOf(e), false))
	if !o.automatic || o.Range != scope.Ever || n < 2 || m.root(math.MaxInt, own) != own {
		return nil
	}
	for _, t := range m.moments() {
		if _, linked := m.holder(math.MaxInt, e, t); linked {
			return nil
		}
	}
	return m.held(math.MaxInt, own, true)
}

func (m *model) link(o *op, e, to event.ID, along []event.ID) customerv1.Refusal {
	const now = math.MaxInt
	if m.erased(to) {
		return customerv1.Refusal_REFUSAL_ERASED
	}
	same, linked, taken := true, false, false
	for _, t := range m.moments() {
		if !o.Contains(t) {
			continue
		}
		n, byLink := m.holder(now, e, t)
		linked = linked || byLink
		if r := m.root(now, n); r != to {
			same = false
			taken = taken || byLink || r != n
		}
	}
	switch {
	case same && o.automatic, !linked && o.nodes[0] == event.CustomerOf(e):
		return customerv1.Refusal_REFUSAL_SAME_CUSTOMER
	case taken && o.automatic:
		return customerv1.Refusal_REFUSAL_CONFLICT
	}
	n := 1
	for _, other := range append(along, m.held(now, to, true)...) {
		if other != e && m.kinds[other] == m.kinds[e] {
			n++
		}
	}
	switch {
	case o.limit > 0 && n > o.limit:
		return customerv1.Refusal_REFUSAL_TOO_MANY_ENDPOINTS
	case along != nil && m.erased(event.CustomerOf(e)):
		return customerv1.Refusal_REFUSAL_ERASED
	case along != nil:
		o.kind, o.nodes = customerv1.ChangeKind_CHANGE_KIND_MERGE, []event.ID{to, event.CustomerOf(e)}
	}
	return 0
}
