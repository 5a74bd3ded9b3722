package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/lease"
)

const (
	// resumeEvery is how often a manager looks for a rebuild that nobody goes on with, and resumeAfter when it tries again
	// what has failed here.
	resumeEvery = time.Second
	resumeAfter = time.Minute
	// unsealWithin is how long a rebuild that failed tries to let the old generation go on.
	unsealWithin = 5 * time.Second
)

// rebuilds builds new generations: those that this process is asked for, and those that another one, or an earlier one,
// has left behind.
func (m *Manager) rebuilds(ctx context.Context) error {
	l := m.lease()
	tick := time.NewTicker(resumeEvery)
	defer tick.Stop()
	var resume time.Time
	for {
		g, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
		if err == nil && (g.Serving < m.wants() || g.Building != 0 && time.Now().After(resume)) {
			var mine bool
			if mine, err = l.Take(ctx); mine { // else another process is at it
				err = l.Hold(ctx, m.rebuild)
				if dropErr := l.Drop(context.WithoutCancel(ctx)); dropErr != nil && ctx.Err() == nil {
					m.cfg.Logger.WarnContext(ctx, "the lease of a rebuild was not given back: it ends by itself", "error", dropErr)
				}
			}
			if err != nil && ctx.Err() == nil && !errors.Is(err, lease.ErrLost) && !unavailable(err) {
				resume = time.Now().Add(resumeAfter)
				m.cfg.Logger.ErrorContext(ctx, "a rebuild failed, trying again later", "slice", m.cfg.Namespace.Slice, "in", resumeAfter, "error", err)
				m.failed(err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.requests:
		case <-tick.C:
		}
	}
}

// lease keeps two processes from building one generation at the same time.
func (m *Manager) lease() *lease.Lease {
	l := lease.New(m.cfg.Store, pointers(), m.cfg.Namespace.Slice+"/builder", m.cfg.Now)
	if m.cfg.Groups == nil {
		return l.Alone()
	}
	return l
}

// rebuild goes on with a generation, or begins one where that was asked for, and makes it the one that serves. Each step waits out
// a log or a store that is unavailable.
func (m *Manager) rebuild(ctx context.Context) error {
	var g Generations
	var builder *Runner
	err := m.cfg.outlast(ctx, func() (err error) {
		if g, err = m.begin(ctx); err != nil || g.Building == 0 {
			return err
		}
		cfg := m.cfg
		cfg.Namespace = m.namespace(g.Building)
		cfg.DeadLetters, cfg.Progress, cfg.Metrics = nil, nil, nil // they are about what serves
		builder, err = NewRunner(ctx, cfg)
		return err
	})
	if err != nil || g.Building == 0 { // another process has finished it just now
		return err
	}
	defer builder.Close()
	ends := make([]int64, len(builder.partitions))
	for i := range ends {
		ends[i] = unlimited
	}
	if err := builder.runTo(ctx, ends); err != nil {
		return err
	}
	if err := m.switchOver(ctx, g, builder); err != nil {
		return err
	}
	m.cfg.Logger.InfoContext(ctx, "a rebuilt generation serves", "slice", m.cfg.Namespace.Slice, "generation", g.Building)
	m.serves(Generations{Serving: g.Building}, 0, 0)
	m.cfg.Progress.Notify()
	return nil
}

// begin finds the generation to build, or begins a new one where that was asked for. Its number was never used, so that nobody who is late can
// mean another one by it.
func (m *Manager) begin(ctx context.Context) (Generations, error) {
	for {
		g, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
		if err != nil || g.Building != 0 || g.Serving >= m.wants() {
			return g, err
		}
		all, err := m.cfg.Store.Namespaces(ctx)
		if err != nil {
			return g, fmt.Errorf("projection: begin to build %s: %w", m.cfg.Namespace.Slice, err)
		}
		g.Building = g.Serving + 1
		for _, ns := range all {
			if ns.Slice == m.cfg.Namespace.Slice {
				g.Building = max(g.Building, ns.Generation+1)
			}
		}
		if err := begin(ctx, m.cfg.Store, m.cfg.Namespace.Slice, g); !errors.Is(err, kv.ErrConflict) {
			return g, err
		}
	}
}

// runTo folds all partitions at the same time, each until it has seen its end, or an offset.
func (r *Runner) runTo(ctx context.Context, ends []int64) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range r.partitions {
		g.Go(func() error {
			return r.cfg.outlast(ctx, func() error { return p.runTo(ctx, ends[i]) })
		})
	}
	return g.Wait()
}

// switchOver makes a generation that has caught up serve. The old one must first have folded what the builder has, so that each
// dead letter was published by the generation that served. Then the old one is sealed, partition by partition, the builder
// folds up to the seals, and the pointer moves: no read sees less than before.
func (m *Manager) switchOver(ctx context.Context, g Generations, builder *Runner) (err error) {
	var built Vector
	err = m.cfg.outlast(ctx, func() (err error) { built, _, err = m.applied(ctx, g.Building); return err })
	if err != nil {
		return err
	}
	for p, next := range built {
		if err := m.cfg.outlast(ctx, func() error { return m.awaitServing(ctx, g.Serving, p, next) }); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.unsealAll(ctx, g.Serving, builder))
		}
	}()
	ends := make([]int64, len(builder.partitions))
	for i, p := range builder.partitions {
		err := m.cfg.outlast(ctx, func() (err error) {
			ends[i], err = seal(ctx, m.cfg.Store, m.namespace(g.Serving), m.cfg.Topic, p.number)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := builder.runTo(ctx, ends); err != nil {
		return err
	}
	return m.cfg.outlast(ctx, func() error {
		now, err := generations(ctx, m.cfg.Store, m.cfg.Namespace.Slice)
		if err != nil || now.Serving == g.Building { // where an answer got lost, it has moved
			return err
		}
		return flip(ctx, m.cfg.Store, m.cfg.Namespace.Slice, g)
	})
}

// awaitServing waits until the serving generation has folded a partition up to an offset, or was sealed before that by a
// rebuild that was cut off.
func (m *Manager) awaitServing(ctx context.Context, serving uint32, partition int32, next int64) error {
	for {
		_, row, err := readRow(ctx, m.cfg.Store, m.namespace(serving), offsetKey(m.cfg.Topic, partition))
		if err != nil {
			return fmt.Errorf("projection: how far is generation %d: %w", serving, err)
		}
		if row.next >= next {
			return nil
		}
		if row.sealed {
			if err := unseal(ctx, m.cfg.Store, m.namespace(serving), m.cfg.Topic, partition); err != nil {
				return err
			}
		}
		if err := sleep(ctx, pollApplied); err != nil {
			return err
		}
	}
}

// unsealAll lets the old generation go on after a switch that failed, even where ctx has ended. Who has lost the lease leaves it to the next
// one: the seals may be that one's.
func (m *Manager) unsealAll(ctx context.Context, serving uint32, builder *Runner) error {
	if errors.Is(context.Cause(ctx), lease.ErrLost) {
		return nil
	}
	if status, err := generations(context.WithoutCancel(ctx), m.cfg.Store, m.cfg.Namespace.Slice); err == nil && status.Serving != serving {
		return nil // it does not serve any more
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsealWithin)
	defer cancel()
	var errs []error
	for _, p := range builder.partitions {
		errs = append(errs, unseal(ctx, m.cfg.Store, m.namespace(serving), m.cfg.Topic, p.number))
	}
	return errors.Join(errs...)
}
