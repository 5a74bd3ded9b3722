package timeline

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Changes older than changeWindow records of their partition are dropped, every trimEvery records: a pure function of
// the offset, so that every replay drops the same.
const (
	changeWindow = 1 << 20
	trimEvery    = 1 << 12
)

// What keys can hold: a tenant's length is one byte, a time is nanoseconds in 64 bits.
const (
	maxTenant = 63
	minYear   = 1970
	maxYear   = 2261
)

// Fold files events.
type Fold struct {
	partitions int
	memory     int
}

// NewFold makes the fold for a topic with so many partitions.
func NewFold(partitions int) *Fold { return &Fold{partitions: partitions, memory: DefaultMemory} }

// WithMemory gives a fold that remembers about so many bytes of each partition; 0 for nothing. What it writes is the same.
func (f *Fold) WithMemory(size int) *Fold { return &Fold{partitions: f.partitions, memory: size} }

// Apply files one record, remembering nothing.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	return f.WithMemory(0).Begin().Apply(ctx, tx, r)
}

// Begin gives the fold of one partition, which remembers the threads of late: a new event of one that began meanwhile is filed
// without a look into the store.
func (f *Fold) Begin() projection.Fold {
	return &owned{fold: f, memory: newMemory(f.memory)}
}

// owned is the fold of one partition.
type owned struct {
	fold       *Fold
	memory     *memory
	in         incoming // the record that Apply is about
	key, value []byte   // of what is written next
}

// Apply files one record.
func (o *owned) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	if err := o.fold.read(r, &o.in); err != nil {
		return err
	}
	if o.in.aside() {
		return nil
	}
	return o.apply(ctx, tx, &o.in)
}

// Prefetch tells which keys are read for each record, whatever they hold: those that may decide what comes of it. What is
// remembered need not be read.
func (o *owned) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in := &incoming{}
	if err := o.fold.read(r, in); err != nil {
		return nil, func(context.Context, *projection.Tx) error { return err }
	}
	if in.aside() {
		return nil, func(context.Context, *projection.Tx) error { return nil }
	}
	t := o.memory.Get(in.name())
	if t == nil {
		reads = append(reads, appendOpenerKey(nil, in.event.GetTenant(), in.thread))
	}
	if t == nil || !t.events.Lacks(in.id) {
		reads = append(reads, appendSeenKey(nil, in.event.GetTenant(), in.thread, in.id))
	}
	return reads, func(ctx context.Context, tx *projection.Tx) error { return o.apply(ctx, tx, in) }
}

func (o *owned) apply(ctx context.Context, tx *projection.Tx, in *incoming) error {
	t, err := o.thread(ctx, tx, in)
	if err != nil {
		return err
	}
	fresh, err := o.first(ctx, tx, in, t)
	if err != nil {
		return err
	}
	if fresh {
		if err := o.file(ctx, tx, in, t); err != nil {
			return err
		}
	}
	if r := in.record; r.Offset%trimEvery == 0 && r.Offset > changeWindow {
		tx.Trim(changeKey(r.Partition, 0, 0), changeKey(r.Partition, r.Offset-changeWindow, 0))
	}
	return nil
}

// thread remembers the thread of a record, or asks who opened it. One that nobody has opened has no events.
func (o *owned) thread(ctx context.Context, tx *projection.Tx, in *incoming) (*thread, error) {
	name := in.name()
	if t := o.memory.Get(name); t != nil {
		return t, nil
	}
	o.key = appendOpenerKey(o.key[:0], name.tenant, name.id)
	opener, found, err := tx.Get(ctx, o.key)
	if err != nil {
		return nil, err
	}
	t := &thread{events: projection.NewSeen(!found), opened: len(opener) == len(event.ID{})}
	if t.opened {
		t.opener = event.ID(opener)
	}
	o.memory.Keep(name, t)
	return t, nil
}

// incoming is one record, understood.
type incoming struct {
	record    eventlog.Record
	event     *eventv1.Event
	id        event.ID
	thread    event.ID
	moment    moment
	endpoints []event.ID // of the customers that it names
}

func (in *incoming) name() threadName { return threadName{in.event.GetTenant(), in.thread} }

// read understands a record.
func (f *Fold) read(r eventlog.Record, in *incoming) error {
	e, err := projection.Decode(r)
	if err != nil {
		return err
	}
	invalid := func(format string, args ...any) error {
		return projection.Invalid(e.GetTenant(), format, args...)
	}
	*in = incoming{record: r, event: e, endpoints: in.endpoints[:0], moment: moment{
		occurred:  e.GetOccurredAt().AsTime().UnixNano(),
		received:  e.GetReceivedAt().AsTime().UnixNano(),
		partition: r.Partition,
		offset:    r.Offset,
	}}
	if len(e.GetTenant()) > maxTenant {
		return invalid("tenant: longer than %d bytes", maxTenant)
	}
	if y := e.GetOccurredAt().AsTime().Year(); y > maxYear {
		return invalid("occurred_at: year %d", y)
	}
	if y := e.GetReceivedAt().AsTime().Year(); y > maxYear {
		return invalid("received_at: year %d", y)
	}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return invalid("id: %v", err)
	}
	if in.thread, err = event.ParseID(e.GetThreadId()); err != nil {
		return invalid("thread_id: %v", err)
	}
	// One writer per key rests on these three.
	if strings.ToLower(e.GetThreadId()) != e.GetThreadId() {
		return invalid("thread_id: %s is not in lower case", e.GetThreadId())
	}
	if string(r.Key) != e.GetThreadId() {
		return invalid("the record's key is %q instead of its thread's id", r.Key)
	}
	if want := eventlog.Partition(r.Key, f.partitions); want != r.Partition {
		return invalid("the record stands in partition %d, and its key belongs to %d: its producer must partition by murmur2", r.Partition, want)
	}
	for i, p := range e.GetParties() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || p.GetEndpointId() == "" {
			continue
		}
		id, err := event.ParseID(p.GetEndpointId())
		if err != nil {
			return invalid("parties[%d].endpoint_id: %v", i, err)
		}
		in.addEndpoint(id)
	}
	return nil
}

// aside tells what stands in the log beside what happens with a customer: which targets and windows hold. It is for those who keep them.
func (in *incoming) aside() bool { return in.event.GetType() == event.TypeInteractionPolicySet }

func (in *incoming) addEndpoint(id event.ID) {
	if !slices.Contains(in.endpoints, id) {
		in.endpoints = append(in.endpoints, id)
	}
}

// first reports whether the event was not seen before. The first in the log keeps an id; another event under it is dead.
func (o *owned) first(ctx context.Context, tx *projection.Tx, in *incoming, t *thread) (bool, error) {
	o.key = appendSeenKey(o.key[:0], in.event.GetTenant(), in.thread, in.id)
	if !t.events.Lacks(in.id) {
		seen, found, err := tx.Get(ctx, o.key)
		if err != nil {
			return false, err
		}
		if found {
			return false, in.compare(seen)
		}
	}
	o.value = appendSeenValue(o.value[:0], in.record.Offset, in.event.GetDigest())
	tx.Set(o.key, o.value)
	if t.events.Add(in.id) {
		o.memory.Grow(projection.SeenBytes)
	}
	return true, nil
}

// compare tells whether the event is the one that has its id.
func (in *incoming) compare(seen []byte) error {
	offset, digest, err := decodeSeenValue(seen)
	if err != nil {
		return err
	}
	if bytes.Equal(digest, in.event.GetDigest()) {
		return nil
	}
	winner := eventlog.Position{Topic: in.record.Topic, Partition: in.record.Partition, Offset: offset}
	return &projection.DeadError{
		Reason: eventv1.DeadReason_DEAD_REASON_CONFLICT,
		Detail: fmt.Sprintf("event %s stands at %s with other content", in.event.GetId(), winner),
		Tenant: in.event.GetTenant(), Winner: &winner,
	}
}

func (o *owned) file(ctx context.Context, tx *projection.Tx, in *incoming, t *thread) error {
	switch {
	case len(in.endpoints) == 0 && t.opened:
		in.addEndpoint(t.opener)
	case len(in.endpoints) == 0:
		o.wait(tx, in)
		return nil
	case !t.opened:
		if err := o.open(ctx, tx, in, t); err != nil {
			return err
		}
	}
	tenant := in.event.GetTenant()
	o.setFiled(tx, tenant, in.thread, in.moment, in.endpoints[0])
	o.value = appendTimelineValue(o.value[:0], in.record.Offset, in.record.Value)
	for _, endpoint := range in.endpoints {
		o.key = appendTimelineKey(o.key[:0], tenant, endpoint, in.moment)
		tx.SetUnread(o.key, o.value)
	}
	o.setChange(tx, in, 0, in.moment, in.endpoints)
	return nil
}

// wait keeps a record in its thread until a customer opens that.
func (o *owned) wait(tx *projection.Tx, in *incoming) {
	tenant := in.event.GetTenant()
	o.key = appendOpenerKey(o.key[:0], tenant, in.thread)
	tx.Set(o.key, nil)
	o.key = appendThreadKey(o.key[:0], tenant, in.thread, in.moment)
	o.value = appendWaitingValue(o.value[:0], in.record.Value)
	tx.Set(o.key, o.value)
	o.setChange(tx, in, 0, in.moment, nil)
}

// open makes the first customer that the event names the one who opened the thread, and files what waited for that.
func (o *owned) open(ctx context.Context, tx *projection.Tx, in *incoming, t *thread) error {
	tenant, opener := in.event.GetTenant(), in.endpoints[0]
	type row struct {
		moment moment
		record []byte
	}
	var rows []row
	if !t.events.Whole() || t.events.Len() > 1 { // there are events before this one
		var damaged error
		prefix := threadPrefix(tenant, in.thread)
		err := tx.Scan(ctx, kv.Prefix(prefix), func(key, value []byte) bool {
			if len(value) == 0 || value[0] != tagWaiting {
				return true
			}
			m, err := decodeMoment(key[len(prefix):])
			if err != nil {
				damaged = err
				return false
			}
			rows = append(rows, row{m, bytes.Clone(value[1:])})
			return true
		})
		if err := cmp.Or(err, damaged); err != nil {
			return err
		}
	}
	o.key = appendOpenerKey(o.key[:0], tenant, in.thread)
	tx.Set(o.key, opener[:])
	t.opened, t.opener = true, opener
	for i, w := range rows {
		o.setFiled(tx, tenant, in.thread, w.moment, opener)
		o.key = appendTimelineKey(o.key[:0], tenant, opener, w.moment)
		o.value = appendTimelineValue(o.value[:0], in.record.Offset, w.record)
		tx.SetUnread(o.key, o.value)
		o.setChange(tx, in, 1+i, w.moment, []event.ID{opener})
	}
	return nil
}

// setFiled notes in a thread where a record is filed. Nothing looks for it any more: who opened the thread is known.
func (o *owned) setFiled(tx *projection.Tx, tenant string, thread event.ID, m moment, endpoint event.ID) {
	o.key = appendThreadKey(o.key[:0], tenant, thread, m)
	o.value = appendFiledValue(o.value[:0], endpoint)
	tx.SetUnread(o.key, o.value)
}

// setChange notes the n-th filing that a record has caused.
func (o *owned) setChange(tx *projection.Tx, in *incoming, n int, m moment, endpoints []event.ID) {
	o.key = appendChangeKey(o.key[:0], in.record.Partition, in.record.Offset, n)
	o.value = change{tenant: in.event.GetTenant(), thread: in.thread, moment: m, endpoints: endpoints}.append(o.value[:0])
	tx.SetUnread(o.key, o.value)
}
