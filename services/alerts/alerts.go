// Package alerts watches the live board for what needs a supervisor, by rules, and tells it as events: alert.raised when something has been
// so for a while, alert.cleared when it is over. What is raised is a read model of these events.
//
// Any number of processes may watch one board: an alert's id derives from its rule, what it is about, and the alert of these that was over
// last, so that whoever notices first tells it, and the others tell the same.
package alerts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
)

// Slice is the name of this read model.
const Slice = "alerts"

// Alerts reads what is raised. It is safe for concurrent use.
type Alerts struct {
	store      kv.Store
	partitions int
	progress   *projection.Progress
}

// NewAlerts reads from a store into which the topic of alerts is folded, which has so many partitions. Progress tells of what is applied in
// this process, and may be nil.
func NewAlerts(store kv.Store, partitions int, progress *projection.Progress) *Alerts {
	return &Alerts{store: store, partitions: partitions, progress: progress}
}

// Active are the alerts of a tenant that are raised, the latest first.
func (a *Alerts) Active(ctx context.Context, tenant string) ([]*boardv1.Alert, error) {
	ns, err := projection.Serving(ctx, a.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := a.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("alerts: read: %w", err)
	}
	defer snap.Close()
	var active []*boardv1.Alert
	err = scan(ctx, snap, prefix(spaceActive, tenant), func(_ string, value []byte) error {
		alert, err := decodeAlert(value)
		active = append(active, alert)
		return err
	})
	slices.SortFunc(active, func(x, y *boardv1.Alert) int {
		return cmp.Or(y.GetRaisedAt().AsTime().Compare(x.GetRaisedAt().AsTime()), strings.Compare(x.GetEventId(), y.GetEventId()))
	})
	return active, err
}

// Wait returns once positions were applied, or when ctx ends.
func (a *Alerts) Wait(ctx context.Context, positions ...eventlog.Position) error {
	return projection.Await(ctx, a.store, Slice, event.TopicAlerts, positions, a.progress)
}

// standing is what the read model says of a tenant.
type standing struct {
	active []*boardv1.Alert
	last   map[subject]ended
}

// standings reads those of all tenants.
func standings(ctx context.Context, r kv.Reader) (map[string]*standing, error) {
	all := map[string]*standing{}
	of := func(tenant string) *standing {
		if all[tenant] == nil {
			all[tenant] = &standing{last: map[subject]ended{}}
		}
		return all[tenant]
	}
	err := scan(ctx, r, []byte{spaceActive}, func(tenant string, value []byte) error {
		alert, err := decodeAlert(value)
		of(tenant).active = append(of(tenant).active, alert)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, scan(ctx, r, []byte{spaceLast}, func(tenant string, value []byte) error {
		s, e, err := decodeLast(value)
		of(tenant).last[s] = e
		return err
	})
}
