package agent

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
)

// Did gives what an agent did from one moment (included) to another (excluded), as far as it is known now; how it is now it remains until
// the end. Next is when that may be another though nothing happens; zero where it stays. There is nothing where that time is yet to come.
//
// The id is that of an agent by the directory, or one of which the directory knows nothing, as it is: whose it is now, is not looked up.
func (x *Agents) Did(ctx context.Context, tenant, id string, from, until, now time.Time) (all []*agentv1.Interval, next time.Time, err error) {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return nil, next, err
	}
	defer v.close()
	first, end, present := nanosOf(from), nanosOf(until), nanosOf(now)
	if present < first {
		return nil, next, nil
	}
	h, err := v.between(ctx, id, first, end-1)
	if err != nil {
		return nil, next, wrap(err, "read what %q did", id)
	}
	told := min(end, present+1)
	if all, _ = h.Intervals(first, told); len(all) > 0 {
		all[len(all)-1].Until = timestamppb.New(time.Unix(0, end))
	}
	if at, ok := h.Next(present); ok && at < end {
		next = time.Unix(0, at).UTC()
	}
	return all, next, nil
}

// Statements are all that connectors stated, at one moment. Close it.
type Statements struct {
	snap       kv.Snapshot
	generation uint32
	applied    projection.Vector
}

// Statements gives what is applied by now.
func (x *Agents) Statements(ctx context.Context) (*Statements, error) {
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("agent: read the statements: %w", err)
	}
	s := &Statements{snap: snap, generation: ns.Generation}
	if s.applied, err = projection.Applied(ctx, snap, event.TopicAgents, x.partitions); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Close lets go of it.
func (s *Statements) Close() error { return s.snap.Close() }

// Generation is that of the read model.
func (s *Statements) Generation() uint32 { return s.generation }

// Applied is how far the topic of agents is contained.
func (s *Statements) Applied() projection.Vector { return s.applied }

// Tenants are those of whose agents anything was stated.
func (s *Statements) Tenants(ctx context.Context) ([]string, error) {
	return projection.Tenants(ctx, s.snap, spaceTenant)
}

// IDs yields the ids under which anything was stated, until yield fails.
func (s *Statements) IDs(ctx context.Context, tenant string, yield func(id string) error) error {
	prefix := tenantPrefix(tenant, subHead)
	it, err := s.snap.Scan(ctx, kv.Prefix(prefix))
	if err != nil {
		return fmt.Errorf("agent: read who is known: %w", err)
	}
	defer it.Close()
	for it.Next() {
		if len(it.Key()) < len(prefix)+1 {
			return errDamaged
		}
		if err := yield(string(it.Key()[len(prefix)+1:])); err != nil {
			return err
		}
	}
	return it.Err()
}

// Since is when the first thing happened that is stated under an id, in nanoseconds since 1970; false where nothing is.
func (s *Statements) Since(ctx context.Context, tenant, id string) (nanos int64, known bool, err error) {
	value, found, err := s.snap.Get(ctx, agentKey(tenant, subHead, id))
	if err != nil || !found {
		return 0, false, err
	}
	h, err := decodeHead(value)
	nanos = endOfTime
	for _, k := range h {
		nanos = min(nanos, k.first)
	}
	return nanos, len(h) > 0, err
}

// ChangeWindow is how many records of a partition back Changes tells of, at least.
const ChangeWindow = changeWindow

// Changes yields what the records of a partition from one offset to before another have changed, until yield fails.
func (s *Statements) Changes(ctx context.Context, partition int32, from, until int64, yield func(Changed) error) error {
	if err := changes(ctx, s.snap, partition, from, until, yield); err != nil {
		return fmt.Errorf("agent: read changes: %w", err)
	}
	return nil
}
