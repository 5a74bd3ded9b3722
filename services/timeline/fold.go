package timeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

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
}

// NewFold makes the fold for a topic with so many partitions.
func NewFold(partitions int) *Fold { return &Fold{partitions: partitions} }

// Apply files one record.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	in, err := f.read(r)
	if err != nil {
		return err
	}
	return in.apply(ctx, tx)
}

// Prefetch tells which keys are read for each record, whatever they hold: those that may decide what comes of it.
func (f *Fold) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in, err := f.read(r)
	if err != nil {
		return nil, func(context.Context, *projection.Tx) error { return err }
	}
	tenant := in.event.GetTenant()
	return [][]byte{seenKey(tenant, in.thread, in.id), openerKey(tenant, in.thread)}, in.apply
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

func (in *incoming) apply(ctx context.Context, tx *projection.Tx) error {
	fresh, err := in.first(ctx, tx)
	if err != nil {
		return err
	}
	if fresh {
		if err := in.file(ctx, tx); err != nil {
			return err
		}
	}
	if r := in.record; r.Offset%trimEvery == 0 && r.Offset > changeWindow {
		tx.Trim(changeKey(r.Partition, 0, 0), changeKey(r.Partition, r.Offset-changeWindow, 0))
	}
	return nil
}

func (f *Fold) read(r eventlog.Record) (*incoming, error) {
	e, err := event.Decode(r.Value)
	var broken *event.InvalidError
	switch {
	case errors.As(err, &broken):
		return nil, &projection.DeadError{Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Detail: err.Error()}
	case err != nil:
		return nil, &projection.DeadError{Reason: eventv1.DeadReason_DEAD_REASON_UNDECODABLE, Detail: err.Error()}
	}
	invalid := func(format string, args ...any) error {
		return &projection.DeadError{
			Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Detail: fmt.Sprintf(format, args...), Tenant: e.GetTenant(),
		}
	}
	in := &incoming{record: r, event: e, moment: moment{
		occurred:  e.GetOccurredAt().AsTime().UnixNano(),
		received:  e.GetReceivedAt().AsTime().UnixNano(),
		partition: r.Partition,
		offset:    r.Offset,
	}}
	if len(e.GetTenant()) > maxTenant {
		return nil, invalid("tenant: longer than %d bytes", maxTenant)
	}
	if y := e.GetOccurredAt().AsTime().Year(); y > maxYear {
		return nil, invalid("occurred_at: year %d", y)
	}
	if y := e.GetReceivedAt().AsTime().Year(); y > maxYear {
		return nil, invalid("received_at: year %d", y)
	}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return nil, invalid("id: %v", err)
	}
	if in.thread, err = event.ParseID(e.GetThreadId()); err != nil {
		return nil, invalid("thread_id: %v", err)
	}
	// One writer per key rests on these two.
	if string(r.Key) != e.GetThreadId() {
		return nil, invalid("the record's key is %q instead of its thread's id", r.Key)
	}
	if want := eventlog.Partition(r.Key, f.partitions); want != r.Partition {
		return nil, invalid("the record stands in partition %d, and its key belongs to %d: its producer must partition by murmur2", r.Partition, want)
	}
	for i, p := range e.GetParties() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || p.GetEndpointId() == "" {
			continue
		}
		id, err := event.ParseID(p.GetEndpointId())
		if err != nil {
			return nil, invalid("parties[%d].endpoint_id: %v", i, err)
		}
		in.addEndpoint(id)
	}
	return in, nil
}

func (in *incoming) addEndpoint(id event.ID) {
	if !slices.Contains(in.endpoints, id) {
		in.endpoints = append(in.endpoints, id)
	}
}

// first reports whether the event was not seen before. The first in the log keeps an id; another event under it is dead.
func (in *incoming) first(ctx context.Context, tx *projection.Tx) (bool, error) {
	key := seenKey(in.event.GetTenant(), in.thread, in.id)
	seen, found, err := tx.Get(ctx, key)
	if err != nil {
		return false, err
	}
	if !found {
		tx.Set(key, seenValue(in.record.Offset, in.event.GetDigest()))
		return true, nil
	}
	offset, digest, err := decodeSeenValue(seen)
	if err != nil {
		return false, err
	}
	if bytes.Equal(digest, in.event.GetDigest()) {
		return false, nil
	}
	winner := eventlog.Position{Topic: in.record.Topic, Partition: in.record.Partition, Offset: offset}
	return false, &projection.DeadError{
		Reason: eventv1.DeadReason_DEAD_REASON_CONFLICT,
		Detail: fmt.Sprintf("event %s stands at %s with other content", in.event.GetId(), winner),
		Tenant: in.event.GetTenant(), Winner: &winner,
	}
}

func (in *incoming) file(ctx context.Context, tx *projection.Tx) error {
	tenant := in.event.GetTenant()
	opener, found, err := tx.Get(ctx, openerKey(tenant, in.thread))
	if err != nil {
		return err
	}
	known := len(opener) == len(event.ID{})
	switch {
	case len(in.endpoints) == 0 && known:
		in.addEndpoint(event.ID(opener))
	case len(in.endpoints) == 0: // it waits in its thread
		if !found {
			tx.Set(openerKey(tenant, in.thread), nil)
		}
		tx.Set(threadKey(tenant, in.thread, in.moment), waitingValue(in.record.Value))
		tx.SetUnread(changeKey(in.record.Partition, in.record.Offset, 0),
			change{tenant: tenant, thread: in.thread, moment: in.moment}.encode())
		return nil
	case !known:
		if err := in.open(ctx, tx, found); err != nil {
			return err
		}
	}
	tx.Set(threadKey(tenant, in.thread, in.moment), filedValue(in.endpoints[0]))
	row := timelineValue(in.record.Offset, in.record.Value)
	for _, endpoint := range in.endpoints {
		tx.SetUnread(timelineKey(tenant, endpoint, in.moment), row)
	}
	tx.SetUnread(changeKey(in.record.Partition, in.record.Offset, 0),
		change{tenant: tenant, thread: in.thread, moment: in.moment, endpoints: in.endpoints}.encode())
	return nil
}

// open makes the first customer that the event names the one who opened the thread, and files what waited for that.
func (in *incoming) open(ctx context.Context, tx *projection.Tx, waiting bool) error {
	tenant, opener := in.event.GetTenant(), in.endpoints[0]
	tx.Set(openerKey(tenant, in.thread), append([]byte(nil), opener[:]...))
	if !waiting {
		return nil
	}
	type row struct {
		moment moment
		record []byte
	}
	var rows []row
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
		rows = append(rows, row{m, append([]byte(nil), value[1:]...)})
		return true
	})
	if err != nil {
		return err
	}
	if damaged != nil {
		return damaged
	}
	for i, w := range rows {
		tx.Set(threadKey(tenant, in.thread, w.moment), filedValue(opener))
		tx.SetUnread(timelineKey(tenant, opener, w.moment), timelineValue(in.record.Offset, w.record))
		tx.SetUnread(changeKey(in.record.Partition, in.record.Offset, 1+i),
			change{tenant: tenant, thread: in.thread, moment: w.moment, endpoints: []event.ID{opener}}.encode())
	}
	return nil
}
