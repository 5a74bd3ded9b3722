package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
)

// Linger is how long a tenant's floor is kept that nobody follows.
const Linger = 5 * time.Minute

// ErrStopping means that the floor is not kept any more: the process ends.
var ErrStopping = errors.New("agent: the server is stopping")

// Floor keeps the present states of all agents of a tenant in memory, from when they are first asked for until nobody has asked for a while.
// It is safe for concurrent use. Run must be running.
type Floor struct {
	agents *Agents
	logger *slog.Logger
	linger time.Duration

	mu      sync.Mutex
	rooms   map[string]*room
	waiting []*room       // to be kept
	wake    chan struct{} // that there are some
	stopped chan struct{}
}

// NewFloor keeps the states that agents reads. The logger may be nil.
func NewFloor(agents *Agents, logger *slog.Logger) *Floor {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Floor{
		agents: agents, logger: logger, linger: Linger, rooms: map[string]*room{}, wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// News is what a follower is told: at first all states, then those that changed. They are shared: read only.
type News struct {
	// Reset says that what was told before does not count: all states follow.
	Reset bool
	// Complete says that all states have been told.
	Complete bool
	// States are in order of the agents' ids at first, then of their changes: of each the latest only.
	States []*agentv1.AgentState
	// Gone are agents of whom nothing is known any more.
	Gone []string
	// Agents and Work are how far skein.agents.v1 and skein.interactions.v1 are contained in what was told so far.
	Agents, Work projection.Vector
}

// Follow tells the present states of a tenant's agents and then whatever changes, until ctx ends or yield fails. Who is slow is told the latest
// state of each agent only. Where just Agents or Work has moved on, there are no states. That a connector is alive for longer is no news.
func (f *Floor) Follow(ctx context.Context, tenant string, yield func(News) error) error {
	r, err := f.enter(ctx, tenant)
	if err != nil {
		return err
	}
	defer f.leave(r)
	var seen uint64
	for first := true; ; first = false {
		s := r.since(seen)
		n := News{Reset: first, Complete: first, Agents: s.agents, Work: s.work}
		for _, row := range s.rows {
			switch {
			case !row.gone:
				n.States = append(n.States, row.state)
			case !first:
				n.Gone = append(n.Gone, row.agent)
			}
		}
		if first {
			slices.SortFunc(n.States, compareStates)
		}
		seen = s.version
		if err := yield(n); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.stopped:
			return ErrStopping
		case <-s.progress:
		}
	}
}

func compareStates(a, b *agentv1.AgentState) int {
	return strings.Compare(a.GetAgentId(), b.GetAgentId())
}

// Run keeps floors until ctx ends, and then returns nil.
func (f *Floor) Run(ctx context.Context) error {
	var rooms sync.WaitGroup
	defer rooms.Wait()
	defer close(f.stopped)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rooms.Go(func() {
		x := f.agents
		follower := projection.Follower{
			Store: x.store, Slice: Slice, Topic: event.TopicAgents, Partitions: x.partitions, Progress: x.progress, Logger: f.logger,
		}
		_ = follower.Run(ctx, f.pass) // it returns nil
	})
	for {
		f.mu.Lock()
		waiting := f.waiting
		f.waiting = nil
		f.mu.Unlock()
		for _, r := range waiting {
			rooms.Go(func() { r.run(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
	}
}

// enter gives a tenant's floor once it is loaded. Leave it.
func (f *Floor) enter(ctx context.Context, tenant string) (*room, error) {
	f.mu.Lock()
	r := f.rooms[tenant]
	if r == nil {
		r = newRoom(f, tenant)
		f.rooms[tenant] = r
		f.waiting = append(f.waiting, r)
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	r.users++
	f.mu.Unlock()
	select {
	case <-r.loaded:
		return r, nil
	case <-f.stopped:
		f.leave(r)
		return nil, ErrStopping
	case <-ctx.Done():
		f.leave(r)
		return nil, fmt.Errorf("agent: load the floor: %w", ctx.Err())
	}
}

func (f *Floor) leave(r *room) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.users--
	r.left = time.Now()
}

// forget drops a floor that nobody has followed for a while.
func (f *Floor) forget(r *room) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.users > 0 || time.Since(r.left) < f.linger {
		return false
	}
	delete(f.rooms, r.tenant)
	return true
}

// pass tells floors whose agents' statements changed.
func (f *Floor) pass(ctx context.Context, p projection.Pass) error {
	f.mu.Lock()
	rooms := maps.Clone(f.rooms)
	f.mu.Unlock()
	if len(rooms) == 0 {
		return nil
	}
	all := p.Reset
	changed := map[string]map[string]struct{}{}
	for partition, until := range p.Until {
		if all = all || until-p.From[partition] > changeWindow; all {
			break
		}
		if until == p.From[partition] {
			continue
		}
		if err := changes(ctx, p, partition, p.From[partition], until, func(c Changed) error {
			if changed[c.Tenant] == nil {
				changed[c.Tenant] = map[string]struct{}{}
			}
			changed[c.Tenant][c.ID] = struct{}{}
			return nil
		}); err != nil {
			return fmt.Errorf("agent: read changes: %w", err)
		}
	}
	for tenant, r := range rooms {
		r.changed(changed[tenant], all, p.Until)
	}
	return nil
}

func changes(ctx context.Context, r kv.Reader, partition int32, from, until int64, yield func(Changed) error) error {
	it, err := r.Scan(ctx, kv.Range{Start: changeKey(partition, from), End: changeKey(partition, until)})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		c, err := decodeChanged(it.Value())
		if err == nil {
			err = yield(c)
		}
		if err != nil {
			return err
		}
	}
	return it.Err()
}
