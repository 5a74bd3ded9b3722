package alerts

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The spaces of the slice. Every key is written from the partition that holds its tenant.
//
//	active, tenant, raised event   → the alert
//	over, tenant, raised event     → nothing: it was cleared, and is not raised again
//	last, tenant, subject          → which alert of a subject was cleared last
const (
	spaceActive = 0x01
	spaceOver   = 0x02
	spaceLast   = 0x03
)

// maxTenant is what a key can hold: the length is one byte.
const maxTenant = 63

// prefix is that of the keys of a tenant's space.
func prefix(space byte, tenant string) []byte {
	b := make([]byte, 0, 2+len(tenant)+len(event.ID{}))
	return append(append(b, space, byte(len(tenant))), tenant...)
}

func alertKey(space byte, tenant string, id event.ID) []byte {
	return append(prefix(space, tenant), id[:]...)
}

func lastKey(tenant string, s subject) []byte {
	return append(prefix(spaceLast, tenant), s.hash()[:len(event.ID{})]...)
}

// subject is what an alert is about.
type subject struct {
	rule         string
	kind         eventv1.AlertKind
	queue, agent string
}

// hash tells subjects apart, whatever stands in them.
func (s subject) hash(more ...string) []byte {
	h := sha256.New()
	var size []byte
	for _, part := range append([]string{s.kind.String(), s.rule, s.queue, s.agent}, more...) {
		size = binary.AppendUvarint(size[:0], uint64(len(part)))
		_, _ = h.Write(size) // a hash never fails
		_, _ = h.Write([]byte(part))
	}
	return h.Sum(nil)
}

func subjectOf(a *eventv1.AlertRaised) subject {
	return subject{rule: a.GetRule(), kind: a.GetKind(), queue: a.GetQueue(), agent: a.GetAgent()}
}

// ended is the alert of a subject that was cleared last: the event that did it, and when.
type ended struct {
	id string
	at time.Time
}

func encodeAlert(a *boardv1.Alert) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(a)
}

func decodeAlert(value []byte) (*boardv1.Alert, error) {
	a := &boardv1.Alert{}
	if err := proto.Unmarshal(value, a); err != nil {
		return nil, fmt.Errorf("alerts: an alert is damaged: %w", err)
	}
	return a, nil
}

// A row of the last alert is one of an alert: the event that cleared it, when, and what it was about.
func encodeLast(s subject, id string, at *timestamppb.Timestamp) ([]byte, error) {
	return encodeAlert(&boardv1.Alert{EventId: id, RaisedAt: at, Raised: &eventv1.AlertRaised{Rule: s.rule, Kind: s.kind, Queue: s.queue, Agent: s.agent}})
}

func decodeLast(value []byte) (subject, ended, error) {
	a, err := decodeAlert(value)
	return subjectOf(a.GetRaised()), ended{a.GetEventId(), a.GetRaisedAt().AsTime()}, err
}

// scan yields the rows that begin with something, and their tenants. Values are lent.
func scan(ctx context.Context, r kv.Reader, start []byte, yield func(tenant string, value []byte) error) error {
	it, err := r.Scan(ctx, kv.Prefix(start))
	if err != nil {
		return fmt.Errorf("alerts: read: %w", err)
	}
	defer it.Close()
	for it.Next() {
		key := it.Key()
		if len(key) < 2 || len(key) < 2+int(key[1]) {
			return errors.New("alerts: a key is damaged")
		}
		if err := yield(string(key[2:2+int(key[1])]), it.Value()); err != nil {
			return err
		}
	}
	return it.Err()
}

// Fold keeps which alerts are raised: those that were, and not cleared, in whatever order that is told. Of several events of one id the
// first counts: processes that notice the same thing may say it a moment apart.
type Fold struct{ partitions int }

var _ projection.Fold = (*Fold)(nil)

// NewFold makes the fold for a topic with so many partitions.
func NewFold(partitions int) *Fold { return &Fold{partitions: partitions} }

// Apply folds one record.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	e, err := projection.Decode(r)
	if err != nil {
		return err
	}
	invalid := func(format string, args ...any) error {
		return projection.Invalid(e.GetTenant(), format, args...)
	}
	// One writer per key rests on these.
	switch want := eventlog.Partition(r.Key, f.partitions); {
	case len(e.GetTenant()) > maxTenant:
		return invalid("tenant: longer than %d bytes", maxTenant)
	case string(r.Key) != e.GetTenant():
		return invalid("the record's key is %q instead of its tenant", r.Key)
	case want != r.Partition:
		return invalid("the record stands in partition %d, and its key belongs to %d: its producer must partition by murmur2", r.Partition, want)
	}
	if e.GetType() != event.TypeAlertRaised && e.GetType() != event.TypeAlertCleared {
		return nil
	}
	content, err := event.DecodeContent(e)
	if err != nil && !errors.Is(err, event.ErrSealed) {
		return invalid("content: %v", err)
	}
	if e.GetType() == event.TypeAlertRaised {
		id, err := event.ParseID(e.GetId())
		if err != nil {
			return invalid("id: %v", err)
		}
		return raise(ctx, tx, e, id, content.GetAlertRaised())
	}
	cleared := content.GetAlertCleared()
	id, err := event.ParseID(cleared.GetRaisedEventId())
	if err != nil {
		return invalid("content.alert_cleared.raised_event_id: %v", err)
	}
	return clearAlert(ctx, tx, e, id, cleared)
}

func raise(ctx context.Context, tx *projection.Tx, e *eventv1.Event, id event.ID, raised *eventv1.AlertRaised) error {
	for _, space := range []byte{spaceOver, spaceActive} {
		if _, found, err := tx.Get(ctx, alertKey(space, e.GetTenant(), id)); found || err != nil {
			return err
		}
	}
	value, err := encodeAlert(&boardv1.Alert{EventId: id.String(), RaisedAt: e.GetOccurredAt(), Raised: raised})
	if err != nil {
		return err
	}
	tx.Set(alertKey(spaceActive, e.GetTenant(), id), value)
	return nil
}

func clearAlert(ctx context.Context, tx *projection.Tx, e *eventv1.Event, id event.ID, cleared *eventv1.AlertCleared) error {
	over := alertKey(spaceOver, e.GetTenant(), id)
	if _, found, err := tx.Get(ctx, over); found || err != nil {
		return err
	}
	s := subject{rule: cleared.GetRule(), kind: cleared.GetKind(), queue: cleared.GetQueue(), agent: cleared.GetAgent()}
	value, err := encodeLast(s, e.GetId(), e.GetOccurredAt())
	if err != nil {
		return err
	}
	tx.Set(over, nil)
	tx.Delete(alertKey(spaceActive, e.GetTenant(), id))
	tx.Set(lastKey(e.GetTenant(), s), value)
	return nil
}
