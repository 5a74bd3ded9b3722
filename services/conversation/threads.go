package conversation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

// ErrForgotten means that not all changes behind a place are known any more, or that it is ahead of what was applied: only looking at all
// threads tells what there is.
var ErrForgotten = errors.New("conversation: what has changed since is not known any more")

// Applied are the next offsets of the topic of interactions that are contained.
func (v *View) Applied(ctx context.Context) (projection.Vector, error) {
	return projection.Applied(ctx, v.snap, event.TopicInteractions, v.partitions)
}

// Since gives the threads in which anything changed behind some offsets, each once, of all tenants, and up to which offsets these are all.
// Most is about how many it gives. ErrForgotten where from is too old for that, or ahead.
func (v *View) Since(ctx context.Context, from projection.Vector, most int) ([]Change, projection.Vector, error) {
	applied, err := v.Applied(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !canGoOn(from, applied, changeWindow-trimEvery) {
		return nil, nil, ErrForgotten
	}
	var changed []Change
	seen := map[Change]bool{}
	until := make(projection.Vector, len(applied))
	for partition, end := range applied {
		until[partition] = end
		if len(seen) >= most {
			if until[partition] = from[partition]; until[partition] == 0 {
				delete(until, partition)
			}
			continue
		}
		err := v.Changes(ctx, partition, from[partition], end, func(offset int64, c Change) error {
			if len(seen) >= most {
				until[partition] = offset
				return errEnough
			}
			if !seen[c] {
				seen[c] = true
				changed = append(changed, c)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, nil, err
		}
	}
	return changed, until, nil
}

var errEnough = errors.New("conversation: enough")

// Threads gives the threads of all tenants behind one, the zero one being before all, as many as most: fewer than that are the last ones.
func (v *View) Threads(ctx context.Context, behind Change, most int) ([]Change, error) {
	var all []Change
	start := []byte{spaceTenant}
	if behind != (Change{}) {
		start = append(appendThread(nil, behind.Tenant, subHead, behind.Thread), 0)
	}
	for len(all) < most {
		tenant, found, err := v.tenantFrom(ctx, start)
		if err != nil || !found {
			return all, wrap("read the threads", err)
		}
		heads := kv.Prefix(appendTenant(nil, tenant, subHead))
		if slices.Compare(start, heads.Start) > 0 {
			heads.Start = start
		}
		prefix := len(appendTenant(nil, tenant, subHead))
		err = v.scan(ctx, heads, func(key, _ []byte) (bool, error) {
			if len(key) != prefix+idSize {
				return false, errDamaged
			}
			all = append(all, Change{Tenant: tenant, Thread: event.ID(key[prefix:])})
			return len(all) < most, nil
		})
		if err != nil {
			return nil, wrap("read the threads", err)
		}
		whole := appendTenant(nil, tenant, 0)
		start = kv.Prefix(whole[:len(whole)-1]).End
	}
	return all, nil
}

// tenantFrom finds the tenant of the first key from start on.
func (v *View) tenantFrom(ctx context.Context, start []byte) (tenant string, found bool, err error) {
	err = v.scan(ctx, kv.Range{Start: start, End: []byte{spaceTenant + 1}}, func(key, _ []byte) (bool, error) {
		if len(key) < 2 || len(key) < 2+int(key[1]) {
			return false, errDamaged
		}
		tenant, found = string(key[2:2+key[1]]), true
		return false, nil
	})
	if err != nil {
		return "", false, fmt.Errorf("find a tenant: %w", err)
	}
	return tenant, found, nil
}

// Changed gives a channel that is closed when something is applied next by this process; nil where nobody tells.
func (x *Interactions) Changed() <-chan struct{} { return x.progress.Changed() }
