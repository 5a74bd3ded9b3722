package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// fencePause is how long an owner rests after another one was faster: soon one of them learns that it is none.
	fencePause = 200 * time.Millisecond
	// commitEvery is how often the group is told how far the fold is, for dashboards of the cluster: the store knows.
	commitEvery = time.Second
)

// namespace is a generation's.
func (m *Manager) namespace(generation uint32) kv.Namespace {
	return kv.Namespace{Slice: m.cfg.Namespace.Slice, Generation: generation}
}

// fold folds the partitions that this process owns until ctx ends, or one cannot go on.
func (m *Manager) fold(ctx context.Context) error {
	n, err := m.cfg.Log.Partitions(ctx, m.cfg.Topic)
	if err != nil {
		return fmt.Errorf("projection: %s: %w", m.cfg.Namespace.Slice, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	if m.cfg.Groups == nil {
		for p := range int32(n) {
			g.Go(func() error { return m.own(ctx, eventlog.Claim{Partition: p}) })
		}
		return g.Wait()
	}
	failed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error {
		return m.cfg.Groups.Join(ctx, m.cfg.Group, m.cfg.Topic, func(ctx context.Context, c eventlog.Claim) {
			m.cfg.Logger.InfoContext(ctx, "took over a partition", "slice", m.cfg.Namespace.Slice, "partition", c.Partition)
			if err := m.own(ctx, c); err != nil && ctx.Err() == nil {
				select {
				case failed <- err:
				default: // one is enough
				}
				stop()
			}
		})
	})
	err = g.Wait()
	select {
	case err = <-failed:
	default:
	}
	return err
}

// whileServing ends when another generation serves, as far as this process knows. Who folds must not go on in the old one: the seals that
// fence it off go when it is dropped, and it would be begun anew.
func (m *Manager) whileServing(ctx context.Context, generation uint32) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for {
			status, changed := m.watch()
			if status.Serving != generation {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// own folds a partition into whatever generation serves, until ctx ends or it cannot go on.
func (m *Manager) own(ctx context.Context, claim eventlog.Claim) error {
	for ctx.Err() == nil {
		status, changed := m.watch()
		cfg := m.cfg
		cfg.Namespace = m.namespace(status.Serving)
		p := &partition{cfg: &cfg, number: claim.Partition}
		serving, stop := m.whileServing(ctx, status.Serving)
		err := p.run(serving, claim)
		over := serving.Err() != nil
		stop()
		switch {
		case over: // another generation serves, or ctx has ended
		case errors.Is(err, errSealed): // until another generation serves, or this one goes on
			select {
			case <-changed:
			case <-time.After(followEvery):
			case <-ctx.Done():
			}
		case errors.Is(err, ErrFenced) && m.cfg.Groups != nil:
			m.cfg.Logger.WarnContext(ctx, "another process folds the partition, too: looking again", "partition", claim.Partition)
			if err := sleep(ctx, fencePause); err != nil {
				return err
			}
		case errors.Is(err, ErrFenced): // by a seal; by nobody else, since this process owns the store
		case errors.Is(err, errGivenUp):
			return nil // the group hands it out again
		default:
			return err
		}
	}
	return ctx.Err()
}
