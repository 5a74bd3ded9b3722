package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
)

// DefaultRetire is how long the generation before a switch stays: as long as page tokens live.
const DefaultRetire = 15 * time.Minute

// sweepAgain is how long after a failure old generations are dropped again.
const sweepAgain = time.Minute

// ErrStopped means that the manager ended before the rebuild did; the next start goes on with it.
var ErrStopped = errors.New("projection: stopped before the rebuild was done: the next start goes on with it")

// Manager keeps one slice up to date: it runs the fold into the serving generation, builds a new generation beside it when
// it is asked to, switches when that has caught up, and drops the old one later.
type Manager struct {
	cfg    Config // its Namespace names the slice only
	retire time.Duration

	requests chan struct{}
	mu       sync.Mutex
	status   Status
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
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

func (m *Manager) update(change func(*Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.status)
	close(m.changed)
	m.changed = make(chan struct{})
}

// Rebuild asks for a new generation, or joins the rebuild that is under way, and returns when it serves. report is told of
// the progress; may be nil. The end of ctx ends the waiting, not the rebuild. Run must be running.
func (m *Manager) Rebuild(ctx context.Context, report func(Status)) error {
	m.mu.Lock()
	before := m.status.Serving
	m.status.Err = nil
	m.mu.Unlock()
	select {
	case m.requests <- struct{}{}:
	default: // somebody else has asked already
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

// Run keeps the slice up to date until ctx ends and then returns nil. A rebuild that an earlier process began goes on.
func (m *Manager) Run(ctx context.Context) error {
	defer func() {
		m.mu.Lock()
		m.ended = true
		m.mu.Unlock()
		m.update(func(*Status) {})
	}()
	sweeping := time.NewTimer(m.retire)
	defer sweeping.Stop()
	for ctx.Err() == nil {
		if err := m.serve(ctx, sweeping); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// refresh takes over what the store says: a switch may have happened without its answer having come.
func (m *Manager) refresh(ctx context.Context) (Generations, error) {
	g, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
	if err == nil && g != m.Status().Generations {
		m.update(func(s *Status) { s.Generations = g })
	}
	return g, err
}

// serve runs the serving generation until ctx ends or another one serves.
func (m *Manager) serve(ctx context.Context, sweeping *time.Timer) error {
	var g Generations
	var serving *Runner
	err := m.cfg.outlast(ctx, func() (err error) {
		if g, err = m.refresh(ctx); err == nil {
			serving, err = m.runner(ctx, g.Serving, m.cfg.DeadLetters)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer serving.Close()
	fctx, pause := context.WithCancel(ctx)
	folding := make(chan error, 1)
	go func() { folding <- serving.Run(fctx) }()
	stop := func() error { pause(); return <-folding }

	var built chan error
	bctx, abandon := context.WithCancel(ctx)
	defer abandon()
	build := func() {
		built = make(chan error, 1)
		go func() { built <- m.build(bctx) }()
	}
	if g.Building != 0 {
		build()
	}
	for {
		select {
		case err := <-folding:
			pause()
			if built != nil {
				abandon()
				<-built //nolint:errcheck // why it was cut off is known
			}
			return err
		case <-m.requests:
			if built == nil {
				build()
			}
		case err := <-built:
			built = nil
			if err != nil {
				m.failed(ctx, err)
				continue
			}
			if err := stop(); err != nil || ctx.Err() != nil {
				return err
			}
			if err := m.switchOver(ctx, serving); err != nil {
				if ctx.Err() != nil {
					return nil // it was asked to end; the next start goes on
				}
				m.failed(ctx, err)
				return nil // and serve the same generation again
			}
			sweeping.Reset(m.retire)
			return nil
		case <-sweeping.C:
			dropped, err := sweep(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
			if err != nil && ctx.Err() == nil {
				m.cfg.Logger.ErrorContext(ctx, "cannot drop an old generation, trying again", "in", sweepAgain, "error", err)
				sweeping.Reset(sweepAgain)
			}
			for _, ns := range dropped {
				m.cfg.Logger.InfoContext(ctx, "dropped an old generation", "slice", ns.Slice, "generation", ns.Generation)
			}
		}
	}
}

func (m *Manager) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	m.cfg.Logger.ErrorContext(ctx, "a rebuild failed", "slice", m.cfg.Namespace.Slice, "error", err)
	m.update(func(s *Status) { s.Err = err })
}

func (m *Manager) runner(ctx context.Context, generation uint32, letters DeadLetters) (*Runner, error) {
	cfg := m.cfg
	cfg.Namespace.Generation, cfg.DeadLetters = generation, letters
	if generation != m.Status().Serving {
		cfg.Progress, cfg.Metrics = nil, nil // they are about what serves
	}
	return NewRunner(ctx, cfg)
}

// build folds the log into the generation that is being built, until it has caught up.
func (m *Manager) build(ctx context.Context) error {
	var builder *Runner
	var generation uint32
	err := m.cfg.outlast(ctx, func() (err error) {
		if generation, err = m.begin(ctx); err == nil {
			builder, err = m.runner(ctx, generation, nil)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer builder.Close()
	for {
		n := 0
		err := m.cfg.outlast(ctx, func() error {
			done, total, err := m.measure(ctx, generation)
			if err != nil {
				return err
			}
			m.update(func(s *Status) { s.Building, s.Done, s.Total = generation, done, total })
			n, err = builder.RunOnce(ctx)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// begin gives the generation to build: the one that was begun already, or the next.
func (m *Manager) begin(ctx context.Context) (uint32, error) {
	g, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
	if err != nil || g.Building != 0 {
		return g.Building, err
	}
	next := g.Serving + 1
	if err := m.cfg.Store.Drop(ctx, kv.Namespace{Slice: m.cfg.Namespace.Slice, Generation: next}); err != nil {
		return 0, fmt.Errorf("projection: clear %s/%d: %w", m.cfg.Namespace.Slice, next, err)
	}
	return next, begin(ctx, m.cfg.Store, m.cfg.Namespace.Slice, next)
}

func (m *Manager) measure(ctx context.Context, generation uint32) (done, total int64, err error) {
	snap, err := m.cfg.Store.Snapshot(ctx, kv.Namespace{Slice: m.cfg.Namespace.Slice, Generation: generation})
	if err != nil {
		return 0, 0, fmt.Errorf("projection: measure a rebuild: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	applied, err := Applied(ctx, snap, m.cfg.Topic)
	if err != nil {
		return 0, 0, err
	}
	partitions, err := m.cfg.Log.Partitions(ctx, m.cfg.Topic)
	if err != nil {
		return 0, 0, fmt.Errorf("projection: measure a rebuild: %w", err)
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

// switchOver makes the new generation serve. The old fold stands still. It first folds what the builder may have folded
// already, so that no dead letter is missed; then the new generation folds the rest, with dead letters, so that no read
// sees less than before.
func (m *Manager) switchOver(ctx context.Context, serving *Runner) error {
	toEnd := func(r *Runner) error {
		return m.cfg.outlast(ctx, func() error { return r.RunToEnd(ctx) })
	}
	if err := toEnd(serving); err != nil {
		return err
	}
	g := m.Status().Generations
	var last *Runner
	err := m.cfg.outlast(ctx, func() (err error) {
		last, err = m.runner(ctx, g.Building, m.cfg.DeadLetters)
		return err
	})
	if err != nil {
		return err
	}
	defer last.Close()
	if err := toEnd(last); err != nil {
		return err
	}
	err = m.cfg.outlast(ctx, func() error {
		// Where an answer was lost, it may have switched.
		if now, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice); err != nil || now.Serving == g.Building {
			return err
		}
		return flip(ctx, m.cfg.Store, m.cfg.Namespace.Slice, g)
	})
	if err != nil {
		return err
	}
	m.cfg.Logger.InfoContext(ctx, "a rebuilt generation serves", "slice", m.cfg.Namespace.Slice, "generation", g.Building)
	m.update(func(s *Status) { s.Generations = Generations{Serving: g.Building} })
	m.cfg.Progress.notify()
	return nil
}
