package directory

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Changes older than changeWindow records of their partition are dropped, every trimEvery records: a pure function of
// the offset, so that every replay drops the same.
const (
	changeWindow = 1 << 11
	trimEvery    = 1 << 8
)

// What keys can hold: a tenant's length is one byte.
const (
	maxTenant = 63
	maxDigest = 255
)

// Fold keeps what is stated of entries.
type Fold struct{ partitions int }

var _ projection.Prefetcher = (*Fold)(nil)

// NewFold makes the fold for a topic with so many partitions.
func NewFold(partitions int) *Fold { return &Fold{partitions: partitions} }

// Apply folds one record. An event whose id was seen before changes nothing.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	in, err := f.read(r)
	if err != nil || in == nil {
		return err
	}
	return in.apply(ctx, tx)
}

// Prefetch tells which key folding a record reads: that of its event.
func (f *Fold) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in, err := f.read(r)
	if err != nil || in == nil {
		return nil, func(context.Context, *projection.Tx) error { return err }
	}
	return [][]byte{in.key}, in.apply
}

// incoming is a record that states an entry, understood.
type incoming struct {
	record eventlog.Record
	event  *eventv1.Event
	key    []byte
	id     event.ID
	stated *eventv1.DirectoryUpdated // in its usual form
	from   int64
}

// read understands a record; nil where it states nothing.
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
	if len(e.GetDigest()) > maxDigest {
		return invalid("digest: longer than %d bytes", maxDigest)
	}
	// One writer per key rests on these two.
	if string(r.Key) != e.GetTenant() {
		return invalid("the record's key is %q instead of its tenant", r.Key)
	}
	if want := eventlog.Partition(r.Key, f.partitions); want != r.Partition {
		return invalid("the record stands in partition %d, and its key belongs to %d: its producer must partition by murmur2", r.Partition, want)
	}
	if e.GetType() != event.TypeDirectoryUpdated {
		return nil, nil //nolint:nilnil // it states no entry
	}
	in := &incoming{record: r, event: e}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return invalid("id: %v", err)
	}
	content, err := event.DecodeContent(e)
	switch {
	case err != nil:
		return invalid("content: %v", err)
	case content.GetSpilled() != nil:
		return invalid("content: the entry is larger than %d bytes", event.MaxContent)
	}
	var wrong event.Violation
	if in.stated, wrong = usual(content.GetDirectoryUpdated(), e.GetOccurredAt()); wrong.Reason != "" {
		return invalid("content.directory_updated.%s: %s", wrong.Field, wrong.Reason)
	}
	in.from = in.stated.GetValidFrom().AsTime().UnixNano()
	in.key = eventKey(e.GetTenant(), in.id)
	return in, nil
}

func (in *incoming) apply(ctx context.Context, tx *projection.Tx) error {
	tenant, r := in.event.GetTenant(), in.record
	before, found, err := tx.Get(ctx, in.key)
	if err != nil {
		return err
	}
	if found {
		return in.compare(before)
	}
	value, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&directoryv1.Entry{
		Stated: in.stated, Actor: in.event.GetActor(), StatedAt: in.event.GetReceivedAt(), EventId: in.id.String(),
	})
	if err != nil {
		return fmt.Errorf("directory: encode an entry: %w", err)
	}
	tx.Set(in.key, seen{in.from, r.Offset, in.event.GetDigest(), in.event.GetCorrelationId()}.encode())
	tx.SetUnread(statementKey(tenant, in.stated.GetKind(), in.stated.GetId(), in.from, r.Offset), value)
	tx.SetUnread(changeKey(r.Partition, r.Offset), change{tenant, in.stated.GetKind(), in.stated.GetId()}.encode())
	if r.Offset%trimEvery == 0 && r.Offset > changeWindow {
		tx.Trim(changeKey(r.Partition, 0), changeKey(r.Partition, r.Offset-changeWindow))
	}
	return nil
}

// compare tells whether the event is the one that has its id.
func (in *incoming) compare(before []byte) error {
	first, err := decodeSeen(before)
	if err != nil || bytes.Equal(first.digest, in.event.GetDigest()) {
		return err
	}
	winner := eventlog.Position{Topic: in.record.Topic, Partition: in.record.Partition, Offset: first.offset}
	return &projection.DeadError{
		Reason: eventv1.DeadReason_DEAD_REASON_CONFLICT,
		Detail: fmt.Sprintf("event %s stands at %s with other content", in.event.GetId(), winner),
		Tenant: in.event.GetTenant(), Winner: &winner,
	}
}
