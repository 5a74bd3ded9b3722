package customer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
)

// waiter is one who waits until a scope changes.
type waiter struct{ changed chan struct{} }

// Changed implements scope.Source. Run must be running. Where the scope that is read again has another id, wait for that one, too.
func (x *Customers) Changed(s scope.Scope, tenant string) (changed <-chan struct{}, done func()) {
	w := &waiter{changed: make(chan struct{})}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.waiting[tenant] == nil {
		x.waiting[tenant] = map[event.ID]map[*waiter]struct{}{}
	}
	if x.waiting[tenant][s.ID] == nil {
		x.waiting[tenant][s.ID] = map[*waiter]struct{}{}
	}
	x.waiting[tenant][s.ID][w] = struct{}{}
	return w.changed, sync.OnceFunc(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.waiting[tenant][s.ID], w)
		x.tidy(tenant, s.ID)
	})
}

// tidy forgets a customer for whom nobody waits. It wants the lock.
func (x *Customers) tidy(tenant string, id event.ID) {
	if len(x.waiting[tenant][id]) == 0 {
		delete(x.waiting[tenant], id)
	}
	if len(x.waiting[tenant]) == 0 {
		delete(x.waiting, tenant)
	}
}

// Run tells those who wait of what is applied, by this process or another one, until ctx ends, and then returns nil.
func (x *Customers) Run(ctx context.Context) error {
	f := projection.Follower{
		Store: x.store, Slice: Slice, Topic: event.TopicLinks, Partitions: x.partitions, Progress: x.progress, Logger: x.logger,
	}
	return f.Run(ctx, x.pass)
}

// errBehind means that changes were dropped before they were followed.
var errBehind = errors.New("customer: too far behind")

func (x *Customers) pass(ctx context.Context, p projection.Pass) error {
	x.mu.Lock()
	idle := len(x.waiting) == 0
	x.mu.Unlock()
	if idle {
		return nil
	}
	err := errBehind
	if !p.Reset {
		err = x.follow(ctx, p)
	}
	if errors.Is(err, errBehind) {
		x.mu.Lock()
		defer x.mu.Unlock()
		for tenant := range x.waiting {
			x.wakeAll(tenant)
		}
		return nil
	}
	return err
}

// follow wakes those who wait for what was changed.
func (x *Customers) follow(ctx context.Context, p projection.Pass) error {
	for partition, until := range p.Until {
		from := p.From[partition]
		if until-from > changeWindow {
			return errBehind
		}
		if err := x.changes(ctx, p, partition, from, until); err != nil {
			return fmt.Errorf("customer: read changes: %w", err)
		}
	}
	return nil
}

func (x *Customers) changes(ctx context.Context, r kv.Reader, partition int32, from, until int64) error {
	it, err := r.Scan(ctx, kv.Range{Start: changeKey(partition, from), End: changeKey(partition, until)})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		tenant, customers, _, err := decodeChanged(it.Value())
		if err != nil {
			return err
		}
		x.mu.Lock()
		if len(customers) == 0 {
			x.wakeAll(tenant)
		}
		for _, id := range customers {
			x.wake(tenant, id)
		}
		x.mu.Unlock()
	}
	return it.Err()
}

// wakeAll wakes all of a tenant. It wants the lock, like wake.
func (x *Customers) wakeAll(tenant string) {
	for id := range x.waiting[tenant] {
		x.wake(tenant, id)
	}
}

func (x *Customers) wake(tenant string, id event.ID) {
	for w := range x.waiting[tenant][id] {
		close(w.changed)
	}
	if x.waiting[tenant] != nil {
		delete(x.waiting[tenant], id)
		x.tidy(tenant, id)
	}
}
