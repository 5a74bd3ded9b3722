package app

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/services/timers"
)

// openTimers opens what the clock and the policies do for interactions.
func (a *App) openTimers(ctx context.Context) error {
	policies, err := timers.NewPolicies(a.cfg.timers())
	if err != nil {
		return err
	}
	groups, err := a.groups()
	if err != nil {
		return err
	}
	model, metrics := timed{a.links.interactions}, timers.NewMetrics(a.registry)
	a.timers = timers.New(timers.Config{Armed: model, Host: a.intake, Metrics: metrics, Logger: a.logger})
	a.policies, err = timers.NewWorker(ctx, timers.WorkerConfig{
		Log: a.log, Store: a.store, Interactions: model, Host: a.intake, Policies: policies, Targets: timers.FromDirectory(a.books), Groups: groups, Metrics: metrics, Logger: a.logger,
	})
	return err
}

func (a *App) runTimers(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.timers.Run(ctx) })
	g.Go(func() error { return a.policies.Run(ctx) })
	return g.Wait()
}
