package customer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Changes older than changeWindow records of their partition are dropped, every trimEvery records: a pure function of
// the offset, so that every replay drops the same.
const (
	changeWindow = 1 << 16
	trimEvery    = 1 << 12
)

// MaxEndpoints is how many endpoints one customer may have. Automation that goes wrong makes one customer of half the country.
const MaxEndpoints = 1000

// What keys can hold: a tenant's length is one byte, a time is nanoseconds in 64 bits.
const (
	maxTenant = 63
	minYear   = 1970
	maxYear   = 2261
)

// Fold decides about changes of customers, in the order of the log.
type Fold struct{ partitions int }

var _ projection.Prefetcher = (*Fold)(nil)

// NewFold makes the fold for a topic with so many partitions.
func NewFold(partitions int) *Fold { return &Fold{partitions: partitions} }

// Apply decides about one record.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	in, err := f.read(r)
	if err != nil {
		return err
	}
	return in.apply(ctx, tx)
}

// Prefetch tells which keys deciding about a record begins with: those of whatever it names.
func (f *Fold) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in, err := f.read(r)
	if err != nil {
		return nil, func(context.Context, *projection.Tx) error { return err }
	}
	return in.reads(), in.apply
}

// incoming is one record, understood.
type incoming struct {
	record  eventlog.Record
	event   *eventv1.Event
	id      event.ID
	content *eventv1.Content // empty where nothing in it matters here
	sealed  bool
}

func (in *incoming) apply(ctx context.Context, tx *projection.Tx) error {
	seen, found, err := tx.Get(ctx, in.key())
	if err != nil {
		return err
	}
	if found {
		return in.compare(seen)
	}
	return decide(ctx, tx, in)
}

func (in *incoming) key() []byte { return prefix(in.event.GetTenant(), subEvent, in.id) }

// reads are the keys of what the record names.
func (in *incoming) reads() [][]byte {
	tenant, c := in.event.GetTenant(), in.content
	keys := [][]byte{in.key(), prefix(tenant, subTenant)}
	for _, text := range slices.Concat(
		[]string{c.GetEndpointLinked().GetEndpointId(), c.GetEndpointLinked().GetCustomerId(), c.GetCustomerMerged().GetInto(), c.GetCustomerMerged().GetMerged()},
		[]string{c.GetCustomerSplit().GetCustomerId(), c.GetCustomerSplit().GetTo()}, c.GetCustomerSplit().GetEndpointIds(),
		[]string{c.GetInteractionAttributed().GetCustomerId(), c.GetInteractionAttributed().GetEndpointId(), c.GetSubjectErased().GetCustomerId()},
	) {
		if id, err := event.ParseID(text); err == nil {
			keys = append(keys, prefix(tenant, subNode, event.CustomerOf(id)), prefix(tenant, subEndpoint, event.EndpointOf(id)))
		}
	}
	for _, id := range in.parties() {
		keys = append(keys, prefix(tenant, subEndpoint, id))
	}
	if id, err := event.ParseID(c.GetInteractionAttributed().GetInteractionId()); err == nil {
		keys = append(keys, prefix(tenant, subInteraction, id))
	}
	if id, err := event.ParseID(c.GetLinkUndone().GetEventId()); err == nil {
		keys = append(keys, prefix(tenant, subEvent, id))
	}
	return keys
}

// matters tells of which types the content matters. The others are another slice's, or nobody's yet.
func matters(typ string) bool {
	switch typ {
	case event.TypeEndpointLinked, event.TypeCustomerMerged, event.TypeCustomerSplit, event.TypeInteractionAttributed, event.TypeLinkUndone,
		event.TypeSubjectErased, event.TypeConsentChanged, event.TypeCustomerAttributesUpdated, event.TypeCustomerFactRecorded:
		return true
	}
	return false
}

// read understands a record.
func (f *Fold) read(r eventlog.Record) (*incoming, error) {
	e, err := projection.Decode(r)
	if err != nil {
		return nil, err
	}
	invalid := func(format string, args ...any) (*incoming, error) {
		return nil, projection.Invalid(e.GetTenant(), format, args...)
	}
	if len(e.GetTenant()) > maxTenant {
		return invalid("tenant: longer than %d bytes", maxTenant)
	}
	if y := e.GetOccurredAt().AsTime().Year(); y > maxYear {
		return invalid("occurred_at: year %d", y)
	}
	if y := e.GetReceivedAt().AsTime().Year(); y > maxYear {
		return invalid("received_at: year %d", y)
	}
	// One writer per key rests on these two.
	if string(r.Key) != e.GetTenant() {
		return invalid("the record's key is %q instead of its tenant", r.Key)
	}
	if want := eventlog.Partition(r.Key, f.partitions); want != r.Partition {
		return invalid("the record stands in partition %d, and its key belongs to %d: its producer must partition by murmur2", r.Partition, want)
	}
	in := &incoming{record: r, event: e, content: &eventv1.Content{}}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return invalid("id: %v", err)
	}
	if !matters(e.GetType()) {
		return in, nil
	}
	content, err := event.DecodeContent(e)
	switch {
	case errors.Is(err, event.ErrSealed):
		in.sealed = true
	case err != nil:
		return invalid("content: %v", err)
	default:
		in.content = content
	}
	return in, nil
}

// compare tells whether the event is the one that has its id.
func (in *incoming) compare(seen []byte) error {
	first, err := decodeDecided(seen)
	if err != nil {
		return err
	}
	if bytes.Equal(first.digest, in.event.GetDigest()) {
		return nil
	}
	winner := eventlog.Position{Topic: in.record.Topic, Partition: in.record.Partition, Offset: first.offset}
	return &projection.DeadError{
		Reason: eventv1.DeadReason_DEAD_REASON_CONFLICT,
		Detail: fmt.Sprintf("event %s stands at %s with other content", in.event.GetId(), winner),
		Tenant: in.event.GetTenant(), Winner: &winner,
	}
}

// decision is what becomes of one event.
type decision struct {
	*walk
	tx    *projection.Tx
	in    *incoming
	stamp stamp
	row   tenantRow
	entry *customerv1.HistoryEntry

	named    map[event.ID]bool // nodes that the event names or touches
	affected map[event.ID]bool // customers that those are a part of, before and after
	hidden   bool              // in no history: it says what was so anyway
	done     bool              // scopes may have changed
	everyone bool              // those of all customers

	interaction event.ID // that was attributed
}

// refused says why an event was decided against; nil where it was not.
type refused struct {
	refusal customerv1.Refusal
	detail  string
}

func refuse(refusal customerv1.Refusal, format string, args ...any) (*refused, error) {
	return &refused{refusal, fmt.Sprintf(format, args...)}, nil
}

// decide decides about an event that was not seen before, and writes what comes of it.
func decide(ctx context.Context, tx *projection.Tx, in *incoming) error {
	d := &decision{
		walk: newWalk(written{tx}, in.event.GetTenant(), now), tx: tx, in: in, entry: &customerv1.HistoryEntry{},
		named: map[event.ID]bool{}, affected: map[event.ID]bool{},
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	no, err := d.apply(ctx)
	if err != nil {
		return err
	}
	if no != nil {
		d.entry.Refusal, d.entry.Detail, d.done = no.refusal, no.detail, false
	}
	return d.finish(ctx)
}

// begin moves the tenant's clock.
func (d *decision) begin(ctx context.Context) error {
	values, err := d.rows.GetMany(ctx, [][]byte{prefix(d.tenant, subTenant)})
	if err != nil {
		return err
	}
	if d.row, err = decodeTenant(values[0]); err != nil {
		return err
	}
	d.row.clock = max(d.row.clock, d.in.event.GetReceivedAt().AsTime().UnixNano())
	d.stamp = stamp{offset: d.in.record.Offset, clock: d.row.clock}
	return nil
}

func (d *decision) apply(ctx context.Context) (*refused, error) {
	if !matters(d.in.event.GetType()) {
		return nil, nil
	}
	if err := d.tell(ctx); err != nil {
		return nil, err
	}
	content := d.in.content
	switch d.in.event.GetType() {
	case event.TypeConsentChanged:
		return nil, d.consent(ctx, content.GetConsentChanged())
	case event.TypeCustomerAttributesUpdated:
		return nil, d.attributes(ctx, content.GetCustomerAttributesUpdated())
	case event.TypeCustomerFactRecorded:
		return nil, d.fact(ctx, content.GetCustomerFactRecorded())
	}
	d.done = true
	switch d.in.event.GetType() {
	case event.TypeEndpointLinked:
		d.is(customerv1.ChangeKind_CHANGE_KIND_LINK, content.GetEndpointLinked().GetReason())
		return d.sealed(d.link(ctx, content.GetEndpointLinked()))
	case event.TypeCustomerMerged:
		d.is(customerv1.ChangeKind_CHANGE_KIND_MERGE, content.GetCustomerMerged().GetReason())
		return d.sealed(d.merge(ctx, content.GetCustomerMerged()))
	case event.TypeCustomerSplit:
		d.is(customerv1.ChangeKind_CHANGE_KIND_SPLIT, content.GetCustomerSplit().GetReason())
		return d.sealed(d.split(ctx, content.GetCustomerSplit()))
	case event.TypeInteractionAttributed:
		d.is(customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION, content.GetInteractionAttributed().GetReason())
		return d.sealed(d.attribute(ctx, content.GetInteractionAttributed()))
	case event.TypeLinkUndone:
		d.is(customerv1.ChangeKind_CHANGE_KIND_UNDO, content.GetLinkUndone().GetReason())
		return d.sealed(d.undo(ctx, content.GetLinkUndone()))
	default:
		d.is(customerv1.ChangeKind_CHANGE_KIND_ERASURE, content.GetSubjectErased().GetRequest())
		return d.sealed(d.erase(ctx, content.GetSubjectErased()))
	}
}

func (d *decision) is(kind customerv1.ChangeKind, reason string) {
	d.entry.Kind, d.entry.Reason = kind, reason
}

// sealed explains why a field is missing that nobody can read.
func (d *decision) sealed(no *refused, err error) (*refused, error) {
	if no != nil && d.in.sealed {
		no.detail = "the content is sealed"
	}
	return no, err
}

// tell keeps what the event tells of the endpoints of its customer parties.
func (d *decision) tell(ctx context.Context) error {
	for i, p := range d.in.event.GetParties() {
		id, err := event.ParseID(p.GetEndpointId())
		if err != nil || p.GetSide() != eventv1.Side_SIDE_CUSTOMER {
			continue
		}
		told := endpoint{kind: p.GetKind()}
		if i < len(d.in.content.GetParties()) {
			detail := d.in.content.GetParties()[i]
			told.namespace, told.address, told.name = detail.GetNamespace(), detail.GetAddress(), detail.GetDisplayName()
		}
		if err := d.know(ctx, id, told); err != nil {
			return err
		}
	}
	return nil
}

// know adds to what is known of an endpoint.
func (d *decision) know(ctx context.Context, id event.ID, told endpoint) error {
	e, err := d.endpoint(ctx, id)
	if err != nil || told.kind == eventv1.EndpointKind_ENDPOINT_KIND_UNSPECIFIED {
		return err
	}
	if told.address == "" {
		told.address = e.address
	}
	if told.name == "" {
		told.name = e.name
	}
	if e.kind != told.kind || e.namespace != told.namespace || e.address != told.address || e.name != told.name {
		e.kind, e.namespace, e.address, e.name = told.kind, told.namespace, told.address, told.name
		d.saveEndpoint(id)
	}
	return nil
}

func (d *decision) saveEndpoint(id event.ID) {
	d.tx.Set(prefix(d.tenant, subEndpoint, id), d.endpoints[id].encode())
}

func (d *decision) saveNode(id event.ID) {
	d.tx.Set(prefix(d.tenant, subNode, id), d.nodes[id].encode())
}

// name notes nodes that the event is about.
func (d *decision) name(nodes ...event.ID) {
	for _, id := range nodes {
		d.named[id] = true
	}
}

// note notes the customers that the nodes which were named are a part of: before the change is written, and after.
func (d *decision) note(ctx context.Context) error {
	for id := range d.named {
		root, err := d.root(ctx, id)
		if err != nil {
			return err
		}
		_, c, err := d.resolve(ctx, id)
		if err != nil {
			return err
		}
		d.affected[root], d.affected[c.root] = true, true
	}
	return nil
}

// finish writes what was decided.
func (d *decision) finish(ctx context.Context) error {
	if err := d.note(ctx); err != nil {
		return err
	}
	in := d.in
	automatic := in.content.GetEndpointLinked().GetAutomatic()
	if d.entry.GetKind() != customerv1.ChangeKind_CHANGE_KIND_UNSPECIFIED {
		d.entry.EventId, d.entry.At, d.entry.Actor = in.id.String(), in.event.GetReceivedAt(), in.event.GetActor()
	}
	if err := d.save(in.key(), decided{in.record.Offset, in.event.GetDigest(), d.entry}); err != nil {
		return err
	}
	if !d.hidden {
		maps.Copy(d.named, d.affected)
		for id := range d.named {
			d.tx.SetUnread(historyKey(d.tenant, id, in.record.Offset), in.id[:])
		}
		if automatic && d.entry.GetRefusal() != customerv1.Refusal_REFUSAL_UNSPECIFIED {
			d.tx.SetUnread(conflictKey(d.tenant, in.record.Offset), in.id[:])
		}
	}
	if d.done {
		var customers []event.ID
		if !d.everyone {
			customers = slices.SortedFunc(maps.Keys(d.affected), compare)
		}
		d.tx.SetUnread(changeKey(in.record.Partition, in.record.Offset), encodeChanged(d.tenant, customers, d.interaction))
	}
	d.tx.Set(prefix(d.tenant, subTenant), d.row.encode())
	if r := in.record; r.Offset%trimEvery == 0 && r.Offset > changeWindow {
		d.tx.Trim(changeKey(r.Partition, 0), changeKey(r.Partition, r.Offset-changeWindow))
	}
	return nil
}

func (d *decision) save(key []byte, o decided) error {
	value, err := o.encode()
	if err != nil {
		return err
	}
	d.tx.Set(key, value)
	return nil
}

// decidedOn gives what was decided about an event; nil where it was never seen.
func (w *walk) decidedOn(ctx context.Context, id event.ID) (*decided, error) {
	values, err := w.rows.GetMany(ctx, [][]byte{prefix(w.tenant, subEvent, id)})
	if err != nil || values[0] == nil {
		return nil, err
	}
	return decodeDecided(values[0])
}

// undone copies what an undo shows of what it takes back.
func undone(to, from *customerv1.HistoryEntry) {
	to.Undoes, to.CustomerIds, to.EndpointIds = from.GetEventId(), from.GetCustomerIds(), from.GetEndpointIds()
	to.InteractionId = from.GetInteractionId()
	if from.GetValidity() != nil {
		to.Validity = proto.CloneOf(from.GetValidity())
	}
}
