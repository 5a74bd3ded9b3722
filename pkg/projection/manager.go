package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// DefaultRetire is how long the generation before a switch stays: as long as page tokens live.
const DefaultRetire = 15 * time.Minute

// followEvery is how often a manager looks at what others do: which generation serves, which one is being built.
const followEvery = 200 * time.Millisecond

// sweepAgain is how long after a failure old generations are dropped again.
const sweepAgain = time.Minute

// ErrStopped means that the manager ended before the rebuild did; the next start, or another process, goes on with it.
var ErrStopped = errors.New("projection: stopped before the rebuild was done: the next start goes on with it")

// Manager keeps one slice up to date: it folds the partitions that it owns into the serving generation, builds a new
// generation beside it when it is asked to, switches when that has caught up, and drops the old one later. Where several
// processes share the store, each has a manager: they share the partitions, one builds, and all see the switch.
type Manager struct {
	cfg    Config // its Namespace names the slice only
	retire time.Duration

	requests chan struct{} // tells that wanted has changed
	mu       sync.Mutex
	status   Status
	wanted   uint32        // the generation that was asked for: that one, or a later one, shall serve
	changed  chan struct{} // closed and replaced at each change of status
	ended    bool
}

// Status is where a slice stands.
type Status struct {
	Generations
	// Done and Total count records of a rebuild.
	Done, Total int64
	// Err is why the last rebuild failed.
	Err error
}

// NewManager prepares a manager of the slice that cfg.Namespace names. Retire is how long an old generation stays; 0 means
// DefaultRetire.
func NewManager(ctx context.Context, cfg Config, retire time.Duration) (*Manager, error) {
	if retire == 0 {
		retire = DefaultRetire
	}
	m := &Manager{cfg: cfg.withDefaults(), retire: retire, requests: make(chan struct{}, 1), changed: make(chan struct{})}
	g, err := generations(ctx, cfg.Store, cfg.Namespace.Slice)
	if err != nil {
		return nil, err
	}
	m.status.Generations = g
	return m, nil
}

// Status tells where the slice stands.
func (m *Manager) Status() Status {
	s, _ := m.watch()
	return s
}

// watch gives the status, and a channel that is closed when it changes.
func (m *Manager) watch() (Status, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, m.changed
}

// tell wakes who watches. It wants the lock.
func (m *Manager) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Rebuild asks for a new generation, or joins the rebuild that is under way, and returns when it serves. report is told of
// the progress; may be nil. The end of ctx ends the waiting, not the rebuild. Run must be running.
func (m *Manager) Rebuild(ctx context.Context, report func(Status)) error {
	if err := m.look(ctx); err != nil { // another process may have switched just now
		return err
	}
	m.mu.Lock()
	before := m.status.Serving
	m.status.Err, m.wanted = nil, before+1
	m.mu.Unlock()
	select {
	case m.requests <- struct{}{}:
	default: // it is about to look
	}
	for {
		m.mu.Lock()
		status, changed, ended := m.status, m.changed, m.ended
		m.mu.Unlock()
		if report != nil {
			report(status)
		}
		switch {
		case status.Serving != before:
			return nil
		case status.Err != nil:
			return status.Err
		case ended:
			return ErrStopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run keeps the slice up to date until ctx ends and then returns nil. A rebuild that was cut off goes on.
func (m *Manager) Run(ctx context.Context) error {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ended = true
		m.tell()
	}()
	g, gctx := errgroup.WithContext(ctx)
	for _, work := range []func(context.Context) error{m.follow, m.fold, m.rebuilds, m.sweeps} {
		g.Go(func() error { return work(gctx) })
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// serves notes what the store says, unless that is older than what is known. It reports whether another generation serves than before.
func (m *Manager) serves(g Generations, done, total int64) (other bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.status
	if g.Serving < s.Serving || g == s.Generations && done == s.Done && total == s.Total {
		return false
	}
	other = g.Serving != s.Serving
	s.Generations, s.Done, s.Total = g, done, total
	m.tell()
	return other
}

// wants is the generation that was asked for, 0 where none was.
func (m *Manager) wants() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted
}

// failed tells those who have asked for a generation that they do not get it.
func (m *Manager) failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Err, m.wanted = err, 0
	m.tell()
}

// follow learns what other processes have done.
func (m *Manager) follow(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for told := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := m.look(ctx)
		if err != nil && ctx.Err() == nil && !told {
			m.cfg.Logger.WarnContext(ctx, "cannot see which generation serves, trying again", "slice", m.cfg.Namespace.Slice, "error", err)
		}
		told = err != nil
	}
}

func (m *Manager) look(ctx context.Context) error {
	g, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
	if err != nil {
		return err
	}
	var done, total int64
	if g.Building != 0 {
		if done, total, err = m.measure(ctx, g.Building); err != nil {
			return err
		}
	}
	if m.serves(g, done, total) {
		m.cfg.Progress.Notify()
	}
	return nil
}

// measure tells how far a generation is.
func (m *Manager) measure(ctx context.Context, generation uint32) (done, total int64, err error) {
	applied, partitions, err := m.applied(ctx, generation)
	if err != nil {
		return 0, 0, err
	}
	for p := range int32(partitions) {
		first, next, err := m.cfg.Log.Bounds(ctx, m.cfg.Topic, p)
		if err != nil {
			return 0, 0, fmt.Errorf("projection: measure a rebuild: %w", err)
		}
		total += next - first
		done += max(applied[p]-first, 0)
	}
	return done, total, nil
}

func (m *Manager) applied(ctx context.Context, generation uint32) (v Vector, partitions int, err error) {
	if partitions, err = m.cfg.Log.Partitions(ctx, m.cfg.Topic); err != nil {
		return nil, 0, fmt.Errorf("projection: how far is generation %d: %w", generation, err)
	}
	snap, err := m.cfg.Store.Snapshot(ctx, m.namespace(generation))
	if err != nil {
		return nil, 0, fmt.Errorf("projection: how far is generation %d: %w", generation, err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	v, err = Applied(ctx, snap, m.cfg.Topic, partitions)
	return v, partitions, err
}

// sweeps drops old generations once their time is over, and looks again and again: who was away for as long as that may have written to one
// that had been dropped.
func (m *Manager) sweeps(ctx context.Context) error {
	timer := time.NewTimer(m.retire)
	defer timer.Stop()
	for serving := m.Status().Serving; ; {
		status, changed := m.watch()
		if status.Serving != serving {
			serving = status.Serving
			timer.Reset(m.retire)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-timer.C:
			timer.Reset(m.retire)
			dropped, err := sweep(ctx, m.cfg.Store, m.cfg.Namespace.Slice, serving)
			if err != nil && ctx.Err() == nil {
				m.cfg.Logger.ErrorContext(ctx, "cannot drop an old generation, trying again", "in", sweepAgain, "error", err)
				timer.Reset(sweepAgain)
			}
			for _, ns := range dropped {
				m.cfg.Logger.InfoContext(ctx, "dropped an old generation", "slice", ns.Slice, "generation", ns.Generation)
			}
		}
	}
}
