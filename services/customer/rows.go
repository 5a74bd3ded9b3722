package customer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var errDamaged = errors.New("customer: a row cannot be read: the store is damaged")

// never is the offset of what has not happened.
const never = -1

// stamp is when something was decided: its offset, and the tenant's clock in nanoseconds since 1970. The clock of a tenant is the latest
// time of receipt so far, so what was decided by a moment is what was decided before an offset.
type stamp struct{ offset, clock int64 }

// asOf is a state of the past: what was decided before an offset and by a moment.
type asOf struct{ before, by int64 }

// now is the present state.
var now = asOf{math.MaxInt64, math.MaxInt64} //nolint:gochecknoglobals // a constant

func (at asOf) sees(s stamp) bool { return s.offset >= 0 && s.offset < at.before && s.clock <= at.by }

// change is what an event has made, until another one took it back.
type change struct {
	event        event.ID
	made, undone stamp
}

// in tells whether it is in force.
func (c change) in(at asOf) bool { return at.sees(c.made) && !at.sees(c.undone) }

// link gives an endpoint to a node.
type link struct {
	change
	node event.ID
	scope.Range
	split bool
}

// merge hangs a node under another.
type merge struct {
	change
	other event.ID // the node above, or the one below
}

// attribution gives an interaction to a node.
type attribution struct {
	change
	node, endpoint event.ID
}

// node is a customer that an endpoint names, or a part of one.
type node struct {
	linked     []event.ID // endpoints that were ever linked to it
	out, below []merge
	erased     stamp
	attributed bool // interactions were attributed to it once
}

// endpoint is what is known of one.
type endpoint struct {
	kind                     eventv1.EndpointKind
	namespace, address, name string
	taken                    bool // interactions were taken from it once
	links                    []link
}

// tenantRow is what is kept of a tenant as such.
type tenantRow struct {
	clock int64
	taken bool // interactions were attributed of which no endpoint is known
}

func (s stamp) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	return binary.BigEndian.AppendUint64(b, uint64(s.clock))
}

func (c change) append(b []byte) []byte {
	return c.undone.append(c.made.append(append(b, c.event[:]...)))
}

func (n *node) encode() []byte {
	b := n.erased.append(appendBool(nil, n.attributed))
	b = binary.AppendUvarint(b, uint64(len(n.linked)))
	for _, id := range n.linked {
		b = append(b, id[:]...)
	}
	for _, merges := range [][]merge{n.out, n.below} {
		b = binary.AppendUvarint(b, uint64(len(merges)))
		for _, m := range merges {
			b = append(m.append(b), m.other[:]...)
		}
	}
	return b
}

func decodeNode(b []byte) (*node, error) {
	if b == nil {
		return &node{erased: stamp{offset: never}}, nil
	}
	d := decoder{b: b}
	n := &node{attributed: d.bool(), erased: d.stamp()}
	n.linked = list(&d, d.id)
	read := func() merge { return merge{change: d.change(), other: d.id()} }
	n.out, n.below = list(&d, read), list(&d, read)
	return n, d.err()
}

func (e *endpoint) encode() []byte {
	b := appendBool(nil, e.taken)
	b = binary.AppendUvarint(b, uint64(e.kind)) // the numbers of an enum, none negative
	for _, text := range []string{e.namespace, e.address, e.name} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	b = binary.AppendUvarint(b, uint64(len(e.links)))
	for _, l := range e.links {
		b = append(l.append(b), l.node[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(l.From))
		b = binary.BigEndian.AppendUint64(b, uint64(l.Until))
		b = appendBool(b, l.split)
	}
	return b
}

func decodeEndpoint(b []byte) (*endpoint, error) {
	if b == nil {
		return &endpoint{}, nil
	}
	d := decoder{b: b}
	e := &endpoint{taken: d.bool(), kind: eventv1.EndpointKind(d.count()), namespace: d.text(), address: d.text(), name: d.text()}
	e.links = list(&d, func() link {
		return link{change: d.change(), node: d.id(), Range: scope.Range{From: d.int(), Until: d.int()}, split: d.bool()}
	})
	return e, d.err()
}

func encodeAttributions(all []attribution) []byte {
	b := binary.AppendUvarint(nil, uint64(len(all)))
	for _, a := range all {
		b = append(append(a.append(b), a.node[:]...), a.endpoint[:]...)
	}
	return b
}

func decodeAttributions(b []byte) ([]attribution, error) {
	if b == nil {
		return nil, nil
	}
	d := decoder{b: b}
	all := list(&d, func() attribution { return attribution{change: d.change(), node: d.id(), endpoint: d.id()} })
	return all, d.err()
}

func (t tenantRow) encode() []byte {
	return binary.BigEndian.AppendUint64(appendBool(nil, t.taken), uint64(t.clock))
}

func decodeTenant(b []byte) (tenantRow, error) {
	if b == nil {
		return tenantRow{}, nil
	}
	d := decoder{b: b}
	t := tenantRow{taken: d.bool(), clock: d.int()}
	return t, d.err()
}

// decided is what came of an event. Its entry has no kind where the event changes nothing about customers.
type decided struct {
	offset int64
	digest []byte
	entry  *customerv1.HistoryEntry
}

func (o decided) encode() ([]byte, error) {
	b := binary.BigEndian.AppendUint64(nil, uint64(o.offset))
	b = append(binary.AppendUvarint(b, uint64(len(o.digest))), o.digest...)
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, o.entry)
	if err != nil {
		return nil, fmt.Errorf("customer: encode what was decided: %w", err)
	}
	return b, nil
}

func decodeDecided(b []byte) (*decided, error) {
	d := decoder{b: b}
	o := &decided{offset: d.int(), digest: []byte(d.text()), entry: &customerv1.HistoryEntry{}}
	if d.bad || proto.Unmarshal(d.b, o.entry) != nil {
		return nil, errDamaged
	}
	return o, nil
}

// encodeChanged makes a change row: whose customers' scopes are to be read again, without any those of all customers of the tenant; and the
// interaction that was attributed, zero for none.
func encodeChanged(tenant string, customers []event.ID, interaction event.ID) []byte {
	b := append(binary.AppendUvarint(nil, uint64(len(tenant))), tenant...)
	b = binary.AppendUvarint(b, uint64(len(customers)))
	for _, id := range customers {
		b = append(b, id[:]...)
	}
	if !interaction.IsZero() {
		b = append(b, interaction[:]...)
	}
	return b
}

func decodeChanged(b []byte) (tenant string, customers []event.ID, interaction event.ID, err error) {
	d := decoder{b: b}
	tenant, customers = d.text(), list(&d, d.id)
	if len(d.b) > 0 {
		interaction = d.id()
	}
	return tenant, customers, interaction, d.err()
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// decoder takes a row apart. What is missing is zero and makes it bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) err() error {
	if d.bad || len(d.b) > 0 {
		return errDamaged
	}
	return nil
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) count() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) bool() bool { b := d.take(1); return len(b) == 1 && b[0] == 1 }

func (d *decoder) id() (id event.ID) { copy(id[:], d.take(uint64(len(id)))); return id }

func (d *decoder) text() string { return string(d.take(d.count())) }

func (d *decoder) stamp() stamp { return stamp{offset: d.int(), clock: d.int()} }

func (d *decoder) change() change {
	return change{event: d.id(), made: d.stamp(), undone: d.stamp()}
}

func list[T any](d *decoder, read func() T) []T {
	var all []T
	for n := d.count(); n > 0 && !d.bad; n-- {
		all = append(all, read())
	}
	return all
}
