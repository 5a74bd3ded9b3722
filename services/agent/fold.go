package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// Changes older than changeWindow records of their partition are dropped, every trimEvery records, and the ids of heartbeats with the epoch
// before the last one: pure functions of the offset, so that every replay drops the same.
const (
	changeWindow = 1 << 20
	trimEvery    = 1 << 12
	epochSize    = 1 << 17
)

// maxTimeout is how far a heartbeat can promise.
const maxTimeout = int64(dayNanos)

// Fold keeps what connectors state of agents. What it writes does not depend on the order in which events come.
type Fold struct{ partitions int }

var _ projection.Prefetcher = (*Fold)(nil)

// NewFold makes the fold for a topic with so many partitions.
func NewFold(partitions int) *Fold { return &Fold{partitions: partitions} }

// Apply folds one record.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	in, err := f.read(r)
	if err != nil {
		return err
	}
	return in.apply(ctx, tx)
}

// Prefetch tells which keys folding a record begins with.
func (f *Fold) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in, err := f.read(r)
	if err != nil {
		return nil, func(context.Context, *projection.Tx) error { return err }
	}
	return in.reads(), in.apply
}

func trim(tx *projection.Tx, r eventlog.Record) {
	if r.Offset%trimEvery != 0 {
		return
	}
	if r.Offset > changeWindow {
		tx.Trim(changeKey(r.Partition, 0), changeKey(r.Partition, r.Offset-changeWindow))
	}
	if epoch := r.Offset / epochSize; epoch > 1 {
		tx.Trim(epochKey(r.Partition, 0), epochKey(r.Partition, epoch-1))
	}
}

// incoming is one record, understood.
type incoming struct {
	record    eventlog.Record
	tenant    string
	agent     string
	id        event.ID
	digest    []byte
	heartbeat bool
	timeout   int64
	statement state.Statement
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
	agent := e.GetActor().GetId()
	switch {
	case len(e.GetTenant()) > maxTenant:
		return invalid("tenant: longer than %d bytes", maxTenant)
	case agent == "":
		return invalid("actor.id: is missing: an agent's event needs the agent's id")
	case len(agent) > maxAgent:
		return invalid("actor.id: longer than %d bytes", maxAgent)
	case len(e.GetProvider()) > maxName:
		return invalid("provider: longer than %d bytes", maxName)
	case e.GetOccurredAt().AsTime().Year() > maxYear:
		return invalid("occurred_at: year %d", e.GetOccurredAt().AsTime().Year())
	case e.GetReceivedAt().AsTime().Year() > maxYear:
		return invalid("received_at: year %d", e.GetReceivedAt().AsTime().Year())
	case string(r.Key) != agent: // one writer per key rests on these two
		return invalid("the record's key is %q instead of its actor's id", r.Key)
	}
	if want := eventlog.Partition(r.Key, f.partitions); want != r.Partition {
		return invalid("the record stands in partition %d, and its key belongs to %d: its producer must partition by murmur2", r.Partition, want)
	}
	in := &incoming{record: r, tenant: e.GetTenant(), agent: agent, digest: e.GetDigest()}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return invalid("id: %v", err)
	}
	content, err := event.DecodeContent(e)
	if err != nil && !errors.Is(err, event.ErrSealed) {
		return invalid("content: %v", err)
	}
	in.statement = state.Read(e, state.Moment{
		Occurred: e.GetOccurredAt().AsTime().UnixNano(), Received: e.GetReceivedAt().AsTime().UnixNano(), Partition: r.Partition, Offset: r.Offset,
	}, content)
	if in.heartbeat = e.GetType() == event.TypeAgentHeartbeat; in.heartbeat {
		in.timeout = timeoutOf(content.GetAgentHeartbeat())
	}
	return in, nil
}

// timeoutOf is how far a heartbeat promises, in nanoseconds. One that is negative or no duration promises nothing.
func timeoutOf(h *eventv1.AgentHeartbeat) int64 {
	if !h.GetTimeout().IsValid() {
		return 0
	}
	return min(max(int64(h.GetTimeout().AsDuration()), 0), maxTimeout)
}

func (in *incoming) epoch() int64 { return in.record.Offset / epochSize }

// seenKeys are where the event stands if it was seen before; it is noted at the first one.
func (in *incoming) seenKeys() [][]byte {
	if !in.heartbeat {
		return [][]byte{eventKey(in.tenant, in.agent, in.id)}
	}
	keys := [][]byte{seenKey(in.record.Partition, in.epoch(), in.tenant, in.agent, in.id)}
	if in.epoch() > 0 {
		keys = append(keys, seenKey(in.record.Partition, in.epoch()-1, in.tenant, in.agent, in.id))
	}
	return keys
}

// series are those to which the statement belongs.
func (in *incoming) series() []string {
	if in.statement.Everywhere {
		return []string{in.statement.Connector, everywhere + in.statement.Connector}
	}
	return []string{in.statement.Connector}
}

// days yields what the heartbeat adds to each day.
func (in *incoming) days(yield func(day int64, s state.Stretch) error) error {
	from := in.statement.Occurred
	until := from + min(in.timeout, math.MaxInt64-from)
	if in.timeout == 0 {
		return yield(from/dayNanos, state.Stretch{From: from % dayNanos, Until: from % dayNanos})
	}
	for day := from / dayNanos; day*dayNanos < until; day++ {
		begin := day * dayNanos
		if err := yield(day, state.Stretch{From: max(from, begin) - begin, Until: min(until-begin, dayNanos)}); err != nil {
			return err
		}
	}
	return nil
}

func (in *incoming) reads() [][]byte {
	keys := append(in.seenKeys(), agentKey(in.tenant, subHead, in.agent))
	if in.heartbeat {
		_ = in.days(func(day int64, _ state.Stretch) error { // which never fails
			keys = append(keys, beatsKey(in.tenant, in.agent, in.statement.Connector, day))
			return nil
		})
		return keys
	}
	for _, series := range in.series() {
		keys = append(keys, seriesKey(in.tenant, subLatest, in.agent, series))
	}
	return keys
}

func (in *incoming) apply(ctx context.Context, tx *projection.Tx) error {
	if err := in.fold(ctx, tx); err != nil {
		return err // perhaps for a dead letter: nothing is written beside that
	}
	trim(tx, in.record)
	return nil
}

func (in *incoming) fold(ctx context.Context, tx *projection.Tx) error {
	keys := in.seenKeys()
	for _, key := range keys {
		value, found, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		if found {
			return in.compare(value)
		}
	}
	tx.Set(keys[0], seen{in.record.Offset, in.digest}.encode())
	changed, err := in.see(ctx, tx)
	if err != nil {
		return err
	}
	if in.heartbeat {
		alive, err := in.beat(ctx, tx)
		if err != nil {
			return err
		}
		changed = changed || alive
	} else {
		for _, series := range in.series() {
			if err := in.state(ctx, tx, series); err != nil {
				return err
			}
		}
		changed = true
	}
	if changed {
		tx.SetUnread(changeKey(in.record.Partition, in.record.Offset), Changed{Tenant: in.tenant, ID: in.agent, Since: in.statement.Occurred}.encode())
	}
	return nil
}

// compare tells whether the event is the one that has its id.
func (in *incoming) compare(value []byte) error {
	first, err := decodeSeen(value)
	if err != nil || bytes.Equal(first.digest, in.digest) {
		return err
	}
	winner := eventlog.Position{Topic: in.record.Topic, Partition: in.record.Partition, Offset: first.offset}
	return &projection.DeadError{
		Reason: eventv1.DeadReason_DEAD_REASON_CONFLICT, Detail: fmt.Sprintf("event %s stands at %s with other content", in.id, winner),
		Tenant: in.tenant, Winner: &winner,
	}
}

// see notes since when anything is known of the connector.
func (in *incoming) see(ctx context.Context, tx *projection.Tx) (changed bool, err error) {
	key := agentKey(in.tenant, subHead, in.agent)
	value, found, err := tx.Get(ctx, key)
	if err != nil {
		return false, err
	}
	var h head
	if found {
		if h, err = decodeHead(value); err != nil {
			return false, err
		}
	}
	if h, changed = h.see(in.statement.Connector, in.statement.Occurred); changed {
		tx.Set(key, h.encode())
	}
	return changed, nil
}

// beat notes that the connector is alive.
func (in *incoming) beat(ctx context.Context, tx *projection.Tx) (changed bool, err error) {
	err = in.days(func(day int64, s state.Stretch) error {
		key := beatsKey(in.tenant, in.agent, in.statement.Connector, day)
		value, found, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		var b beats
		if found {
			if b, err = decodeBeats(value); err != nil {
				return err
			}
		}
		if in.timeout == 0 {
			b.sign(s.From)
		} else {
			b.promise(s)
		}
		if row := b.encode(); !bytes.Equal(row, value) {
			tx.Set(key, row)
			changed = true
		}
		return nil
	})
	return changed, err
}

// state puts the statement into a series.
func (in *incoming) state(ctx context.Context, tx *projection.Tx, series string) error {
	latest := seriesKey(in.tenant, subLatest, in.agent, series)
	value, found, err := tx.Get(ctx, latest)
	if err != nil {
		return err
	}
	var last state.Standing
	if found {
		if last, err = decodeStanding(value); err != nil {
			return err
		}
	}
	rows := []stated{{Statement: in.statement}}
	if found && in.statement.Compare(withPartition(last.Last, in.record.Partition)) < 0 {
		if last, rows, err = in.late(ctx, tx, series); err != nil {
			return err
		}
	}
	for i := range rows {
		last.Apply(&rows[i].Statement)
		rows[i].behind = last
		tx.Set(statementKey(in.tenant, in.agent, series, rows[i].Moment), rows[i].encode())
	}
	tx.Set(latest, appendStanding(nil, &last))
	return nil
}

// withPartition completes a moment: rows do not hold what their keys tell.
func withPartition(m state.Moment, partition int32) state.Moment {
	m.Partition = partition
	return m
}

// late gives what the statements before one come to that comes late, and itself and those behind it.
func (in *incoming) late(ctx context.Context, tx *projection.Tx, series string) (before state.Standing, rows []stated, err error) {
	prefix := seriesKey(in.tenant, subStatement, in.agent, series)
	var broken error
	err = tx.Scan(ctx, kv.Prefix(prefix), func(key, value []byte) bool {
		var s stated
		if len(key) != len(prefix)+momentSize {
			broken = errDamaged
			return false
		}
		if s, broken = decodeStated(key, value, in.statement.Connector); broken != nil {
			return false
		}
		s.Partition = in.record.Partition
		if s.Compare(in.statement.Moment) < 0 {
			before = s.behind
			return false
		}
		rows = append(rows, s)
		return true
	})
	if err := errors.Join(err, broken); err != nil {
		return before, nil, err
	}
	rows = append(rows, stated{Statement: in.statement})
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return before, rows, nil
}
