package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/services/analytics/generations"
	"github.com/skein-cx/skein/services/analytics/schema"
)

// askEvery is how often it is looked whether a rebuild is asked for, and who asked looks how far it is.
const askEvery = 500 * time.Millisecond

// Rebuilding is how far a rebuild is.
type Rebuilding struct {
	// Serving is the generation of the tables that are read, Building the one that is being built.
	Serving, Building uint32
	// Done and Total count entities: those that were sent, and those that the tables hold which serve.
	Done, Total int64
}

// Rebuild asks for new tables, filled from a scan over all sources, or joins the rebuild that is under way, and returns once they serve.
// Meanwhile the old ones serve and are kept equal. A rebuild that was cut off goes on. The end of ctx ends the waiting, not the rebuild. Some
// process must run the mirror. report, which may be nil, is told how far it is.
func (m *Mirror) Rebuild(ctx context.Context, report func(Rebuilding)) error {
	target, err := m.ask(ctx)
	if err != nil {
		return err
	}
	for {
		n, _, err := generations.Load(ctx, m.cfg.Store, slice)
		switch {
		case err != nil && !errors.Is(err, kv.ErrUnavailable):
			return err
		case err == nil && n.Serving >= target:
			return nil
		case err == nil && report != nil && n.Building != 0:
			if r, err := m.rebuilding(ctx, n); err == nil {
				report(r)
			}
		}
		wait(ctx, askEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// ask asks for a rebuild, or joins the one that is under way, and gives its generation.
func (m *Mirror) ask(ctx context.Context) (uint32, error) {
	generation, err := generations.Ask(ctx, m.cfg.Store, slice)
	select {
	case m.wake <- struct{}{}:
	default: // it is awake
	}
	return generation, err
}

// asked waits until a rebuild is asked for, and gives the generation to build; 0 where ctx ends.
func (m *Mirror) asked(ctx context.Context) (uint32, error) {
	for ctx.Err() == nil {
		n, _, err := generations.Load(ctx, m.cfg.Store, slice)
		if err == nil && n.Building != 0 {
			return n.Building, nil
		}
		if err != nil && !errors.Is(err, kv.ErrUnavailable) && ctx.Err() == nil {
			return 0, err
		}
		timer := time.NewTimer(askEvery)
		select {
		case <-ctx.Done():
		case <-m.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return 0, nil
}

// Rebuilding tells which generation of the tables serves, and how far the one is that is being built, if any.
func (m *Mirror) Rebuilding(ctx context.Context) (Rebuilding, error) {
	n, _, err := generations.Load(ctx, m.cfg.Store, slice)
	if err != nil || n.Building == 0 {
		return Rebuilding{Serving: n.Serving}, err
	}
	return m.rebuilding(ctx, n)
}

// rebuilding measures a generation that is being built by the one that serves.
func (m *Mirror) rebuilding(ctx context.Context, n generations.Note) (Rebuilding, error) {
	r := Rebuilding{Serving: n.Serving, Building: n.Building}
	done, err := m.states(ctx, n.Building)
	if err != nil {
		return r, err
	}
	total, err := m.states(ctx, n.Serving)
	for _, s := range done {
		r.Done += int64(s.held)
	}
	for _, s := range total {
		r.Total += int64(s.held)
	}
	r.Total = max(r.Total, r.Done)
	return r, err
}

// states reads the states of a generation, by source.
func (m *Mirror) states(ctx context.Context, generation uint32) (map[string]state, error) {
	snap, err := m.cfg.Store.Snapshot(ctx, namespace(generation))
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	states := map[string]state{}
	err = eachKey(ctx, snap, kv.Prefix([]byte{spaceState}), func(key, value []byte) (bool, error) {
		s, err := decodeState(value)
		states[string(key[1:])] = s
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("mirror: the states of generation %d: %w", generation, err)
	}
	return states, nil
}

// build fills the tables of a generation in a database of their own. Once they have been filled, stop stops what serves and tells what that
// contains; build catches up with that, so that nothing is missing that was there, and gives errBuilt. What was built of it before may be
// lost, too: then another generation is begun. What fails it tries again.
func (m *Mirror) build(ctx context.Context, generation uint32, stop func() map[string]contained) error {
	stopped := false
	stopping := func() map[string]contained {
		stopped = true
		return stop()
	}
	for pause := newPause(); ; {
		err := m.fill(ctx, generation, stopping)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case errors.Is(err, ErrWarehouseMismatch):
			return cmp.Or(m.anew(ctx, generation, err), errBuilt)
		case err == nil:
			return errBuilt
		case stopped:
			return err
		}
		in := pause.NextBackOff()
		m.cfg.Logger.WarnContext(ctx, "cannot rebuild the tables of facts, trying again", "in", in, "error", err)
		wait(ctx, in)
	}
}

// anew begins a rebuild again, of which a part was lost.
func (m *Mirror) anew(ctx context.Context, generation uint32, why error) error {
	m.cfg.Logger.WarnContext(ctx, "a rebuild of the tables of facts begins again: the store or ClickHouse was dropped or restored", "found", why)
	return generations.Again(ctx, m.cfg.Store, slice, generation)
}

// fill is an attempt to build.
func (m *Mirror) fill(ctx context.Context, generation uint32, stop func() map[string]contained) error {
	states, err := m.states(ctx, generation)
	if err != nil {
		return err
	}
	if len(states) == 0 { // nothing was recorded, so nothing there counts
		if err := m.cfg.Warehouse.Discard(ctx); err != nil {
			return err
		}
	}
	database, err := m.cfg.Warehouse.Build(ctx)
	if err != nil {
		return err
	}
	workers, report := m.newWorkers(generation, builds)
	for _, w := range workers {
		w.database = database
	}
	once := func(string) bool { return true }
	if err := m.follow(ctx, states, workers, once); err != nil || ctx.Err() != nil {
		return err
	}
	goal := stop()
	if err := m.follow(ctx, states, workers, func(source string) bool { return report.told()[source].covers(goal[source]) }); err != nil || ctx.Err() != nil {
		return err
	}
	for _, w := range workers { // from now on nobody writes them as what is being built
		if err := m.become(ctx, generation, w.name, serves); err != nil {
			return err
		}
	}
	built, err := m.cfg.Warehouse.Built(ctx, append([]string{tableBatches}, m.tables...)...)
	if err != nil {
		return gone(err)
	}
	return generations.Built(ctx, m.cfg.Store, slice, generation, built)
}

// follow lets the workers of what is built work until each has done enough. Those of sources that are done already it leaves.
func (m *Mirror) follow(ctx context.Context, states map[string]state, workers []*worker, enough func(source string) bool) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range workers {
		if states[w.name].role != builds {
			continue
		}
		w.enough = func() bool { return enough(w.name) }
		group.Go(func() error { return w.run(ctx) })
	}
	return group.Wait()
}

// become gives a generation of a source another role. Whoever writes it in the former one is fenced out. It only goes on to a later role.
func (m *Mirror) become(ctx context.Context, generation uint32, source string, next role) error {
	for {
		err := m.changeRole(ctx, generation, source, next)
		if !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

func (m *Mirror) changeRole(ctx context.Context, generation uint32, source string, next role) error {
	snap, err := m.cfg.Store.Snapshot(ctx, namespace(generation))
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	raw, found, err := snap.Get(ctx, stateKey(source))
	_ = snap.Close() // nothing is written through a snapshot
	if err != nil || !found {
		return err
	}
	s, err := decodeState(raw)
	if err != nil || s.role >= next {
		return err
	}
	if next == serves && s.pending {
		return fmt.Errorf("mirror: another process builds %s, too", source)
	}
	s.role = next
	b := &kv.Batch{}
	b.Require(stateKey(source), raw)
	b.Set(stateKey(source), s.encode())
	return m.cfg.Store.Apply(ctx, namespace(generation), b)
}

// gone tells of tables that are not where they were built that ClickHouse is not the same.
func gone(err error) error {
	if errors.Is(err, schema.ErrGone) {
		return fmt.Errorf("%w: %w", ErrWarehouseMismatch, err)
	}
	return err
}

// finish puts the tables that were built in place of the serving ones, as often as it is called.
func (m *Mirror) finish(ctx context.Context, n generations.Note) error {
	states, err := m.states(ctx, n.Serving)
	if err != nil {
		return err
	}
	for source := range states {
		if err := m.become(ctx, n.Serving, source, retired); err != nil {
			return err
		}
	}
	if err := gone(m.cfg.Warehouse.Switch(ctx, n.Built)); errors.Is(err, ErrWarehouseMismatch) {
		return m.anew(ctx, n.Building, err)
	} else if err != nil {
		return err
	}
	if err := m.cfg.Warehouse.Reload(ctx, m.tables...); err != nil {
		return err
	}
	if err := m.cfg.Warehouse.Discard(ctx); err != nil {
		return err
	}
	if err := generations.Serve(ctx, m.cfg.Store, slice, n.Building); err != nil {
		return err
	}
	m.cfg.Logger.InfoContext(ctx, "rebuilt tables of facts serve", "generation", n.Building)
	return nil
}

// sweep drops what is known of generations that do not serve any more.
func (m *Mirror) sweep(ctx context.Context, n generations.Note) error {
	namespaces, err := m.cfg.Store.Namespaces(ctx)
	if err != nil {
		return fmt.Errorf("mirror: find old generations: %w", err)
	}
	for _, ns := range namespaces {
		if ns.Slice != slice || ns.Generation == 0 || ns.Generation >= n.Serving {
			continue
		}
		if err := m.cfg.Store.Drop(ctx, ns); err != nil {
			return fmt.Errorf("mirror: drop an old generation: %w", err)
		}
	}
	return nil
}
