package conversation

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

const (
	// recentWork is for how long before the latest event of its thread an interaction without activity is still told.
	recentWork = 72 * time.Hour
	// recentRows is how many interactions of a thread are looked at for that, the last ones.
	recentRows = 64
	// maxPending is how many threads may wait for one who follows before that has to begin again.
	maxPending = 8192
	// snapshotBatch is how many threads of a snapshot are told at once.
	snapshotBatch = 256
)

// WorkNews is what is new of a tenant's work. What it holds is shared: do not change it.
type WorkNews struct {
	// Reset says that a snapshot begins: what was known before does not count any more.
	Reset bool
	// Complete says that a snapshot is complete, with this message. What comes behind it is what changes.
	Complete bool
	// Threads are threads as they are now, each in place of what was told of it before.
	Threads []ThreadWork
	// At are the next offsets of the topic of interactions that are contained in what was told. Nil before a snapshot is complete.
	At projection.Vector
}

// ThreadWork is a thread with its interactions in order of their begin: those that are not settled, those of which an assignment goes on,
// such as its after-call work, and of the last 64 those with activity in the 72 hours before what was then the latest event. There are
// none where the thread has none any more.
type ThreadWork struct {
	Thread       event.ID
	Interactions []*conversationv1.Interaction
}

// FollowWork tells of a tenant's work: first a snapshot, the threads in which something is not settled or an assignment goes on, in batches;
// then each thread that changes, as it is now, and how far the log is contained, also where nothing of the tenant changed. Each thread that
// changes is read once for all who follow in this process, as long as Run runs. What changes several times while yield works is told once.
// Who lets too much of it pile up gets a Reset with another snapshot, and so does everybody when another generation serves.
//
// It returns nil when ctx ends, yield's own error as it is, ErrStopping when Run has ended, and else what kept it from reading.
func (c *Conversations) FollowWork(ctx context.Context, tenant string, yield func(WorkNews) error) error {
	f := follower{Conversations: c, tenant: tenant, yield: yield}
	if err := f.run(ctx); f.refused == nil && ctx.Err() == nil {
		return fmt.Errorf("conversation: follow work: %w", err)
	}
	return f.refused
}

// follower is one call of FollowWork.
type follower struct {
	*Conversations
	tenant  string
	yield   func(WorkNews) error
	refused error // what yield returned
}

func (f *follower) tell(n WorkNews) error {
	f.refused = f.yield(n)
	return f.refused
}

func (f *follower) run(ctx context.Context) error {
	for {
		p, view, err := f.hub.joinWork(ctx, f.tenant)
		if err != nil {
			return err
		}
		err = f.snapshot(ctx, view)
		_ = view.Close() // nothing is written through it
		if err == nil {
			err = f.live(ctx, p)
		}
		f.hub.leaveWork(p)
		if err != nil {
			return err
		}
	}
}

// snapshot tells what there is.
func (f *follower) snapshot(ctx context.Context, view *View) error {
	at, err := projection.Applied(ctx, view.snap, event.TopicInteractions, view.partitions)
	if err != nil {
		return err
	}
	busy, err := view.busy(ctx, f.tenant)
	if err != nil {
		return err
	}
	n := WorkNews{Reset: true}
	for _, thread := range busy {
		t, err := view.threadWork(ctx, f.tenant, thread)
		if err != nil {
			return err
		}
		if n.Threads = append(n.Threads, t); len(n.Threads) == snapshotBatch {
			if err := f.tell(n); err != nil {
				return err
			}
			n = WorkNews{}
		}
	}
	n.Complete, n.At = true, at
	return f.tell(n)
}

// live tells what changes, until too much has piled up or everything has changed.
func (f *follower) live(ctx context.Context, p *pending) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.more:
		}
		n, left := f.hub.takeWork(p)
		switch {
		case left && f.hub.isStopped():
			return ErrStopping
		case left:
			return nil
		case n.At == nil:
			continue
		}
		if err := f.tell(n); err != nil {
			return err
		}
	}
}

// pending is what waits for one who follows work: each thread as it was last, in the order in which they changed. The hub's lock guards it.
type pending struct {
	tenant  string
	more    chan struct{} // holds one where something waits
	threads []ThreadWork
	places  map[event.ID]int // of threads
	at      projection.Vector
	left    bool // it has to begin again
}

// wake makes it look.
func (p *pending) wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// add notes threads; false where that is too much.
func (p *pending) add(threads []ThreadWork, most int) bool {
	for _, t := range threads {
		if n, waits := p.places[t.Thread]; waits {
			p.threads[n] = t
			continue
		}
		p.places[t.Thread] = len(p.threads)
		p.threads = append(p.threads, t)
	}
	return len(p.threads) <= most
}

// joinWork makes one who follows the work of a tenant from now on, and a view of how it is now. Close the view.
func (h *hub) joinWork(ctx context.Context, tenant string) (*pending, *View, error) {
	h.pass.Lock() // no pass lies between the view and what is told behind it
	defer h.pass.Unlock()
	for {
		if err := h.catchUp(ctx); err != nil {
			return nil, nil, err
		}
		view, err := h.cfg.Interactions.View(ctx)
		if err != nil {
			return nil, nil, err
		}
		h.mu.Lock()
		switch {
		case h.stopped:
			err = ErrStopping
		case view.Namespace.Generation == h.followed.work.generation:
			p := &pending{tenant: tenant, more: make(chan struct{}, 1), places: map[event.ID]int{}}
			if h.workers[tenant] == nil {
				h.workers[tenant] = map[*pending]struct{}{}
			}
			h.workers[tenant][p] = struct{}{}
			h.mu.Unlock()
			return p, view, nil
		}
		h.mu.Unlock()
		_ = view.Close() // another generation serves since
		if err != nil {
			return nil, nil, err
		}
	}
}

// takeWork gives what waits. Left tells that no more will come.
func (h *hub) takeWork(p *pending) (n WorkNews, left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = WorkNews{Threads: p.threads, At: p.at}
	p.threads, p.at = nil, nil
	clear(p.places)
	return n, p.left
}

// leaveWork ends the following of work; a second call does nothing.
func (h *hub) leaveWork(p *pending) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropWork(p)
}

func (h *hub) dropWork(p *pending) {
	delete(h.workers[p.tenant], p)
	if len(h.workers[p.tenant]) == 0 {
		delete(h.workers, p.tenant)
	}
	p.left, p.threads, p.places = true, nil, map[event.ID]int{}
	p.wake()
}

// followsWork tells whether anybody follows the work of a tenant. Nobody joins during a pass.
func (h *hub) followsWork(tenant string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.workers[tenant]) > 0
}

// readWork reads the threads that changed of tenants whose work somebody follows. Of a tenant of which more have changed than may wait it
// reads none, and gives nil.
func (h *hub) readWork(ctx context.Context, view *View, changed changes) (map[string][]ThreadWork, error) {
	all := map[string][]ThreadWork{}
	for tenant, c := range changed {
		if !h.followsWork(tenant) {
			continue
		}
		all[tenant] = nil
		if len(c.threads) > h.maxPending {
			continue
		}
		for thread := range c.threads {
			t, err := view.threadWork(ctx, tenant, thread)
			if err != nil {
				return nil, err
			}
			all[tenant] = append(all[tenant], t)
		}
	}
	return all, nil
}

// handOutWork tells all who follow work what has changed, and how far it was followed.
func (h *hub) handOutWork(changed map[string][]ThreadWork, at projection.Vector) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for tenant, all := range h.workers {
		threads, some := changed[tenant]
		for p := range all {
			if tooMany := some && threads == nil; tooMany || !p.add(threads, h.maxPending) {
				h.dropWork(p)
				continue
			}
			p.at = at
			p.wake()
		}
	}
}

// busy are the threads in which something is not settled or an assignment goes on.
func (v *View) busy(ctx context.Context, tenant string) ([]event.ID, error) {
	var threads []event.ID
	for _, sub := range []byte{subWork, subUnfinished} {
		prefix := appendTenant(nil, tenant, sub)
		err := v.spots(ctx, kv.Prefix(prefix), len(prefix), func(s spot, _ []byte) (bool, error) {
			threads = append(threads, s.thread)
			return true, nil
		})
		if err != nil {
			return nil, wrap("read what goes on", err)
		}
	}
	slices.SortFunc(threads, compareIDs)
	return slices.Compact(threads), nil
}

// threadWork reads what ThreadWork holds of a thread.
func (v *View) threadWork(ctx context.Context, tenant string, thread event.ID) (ThreadWork, error) {
	out := ThreadWork{Thread: thread}
	t, err := v.stored(ctx, tenant, thread)
	if t == nil || err != nil {
		return out, wrap("read the work of a thread", err)
	}
	prefix := appendThread(nil, tenant, subRow, thread)
	r := kv.Prefix(prefix)
	r.Reverse = true
	looked, earliest := 0, story.Moment{}
	err = v.scan(ctx, r, func(_, row []byte) (bool, error) {
		i, err := story.DecodeInteraction(row)
		if err != nil {
			return false, err
		}
		if i.SettledAt() == 0 || i.Unfinished() || i.LastActivity >= t.head.at.Occurred-int64(recentWork) {
			out.Interactions = append(out.Interactions, t.proto(i))
		}
		looked++
		earliest = i.Start
		return looked < recentRows, nil
	})
	if err == nil && looked == recentRows {
		err = v.earlierWork(ctx, t, earliest, &out)
	}
	slices.Reverse(out.Interactions)
	return out, wrap("read the work of a thread", err)
}

// earlierWork adds what goes on of the interactions that began before a moment, the last first.
func (v *View) earlierWork(ctx context.Context, t *stored, before story.Moment, out *ThreadWork) error {
	var spots []spot
	for _, sub := range []byte{subWork, subUnfinished} {
		prefix := appendThread(nil, t.tenant, sub, t.thread)
		r := kv.Range{Start: prefix, End: before.Append(bytes.Clone(prefix))}
		err := v.spots(ctx, r, len(prefix)-idSize, func(s spot, _ []byte) (bool, error) {
			spots = append(spots, s)
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(spots, func(a, b spot) int { return b.start.Compare(a.start) })
	whole, err := v.whole(ctx, t.tenant, spots)
	out.Interactions = append(out.Interactions, whole...)
	return err
}
