package app

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/deadletter"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/alerts"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/customer"
	"github.com/skein-cx/skein/services/directory"
	"github.com/skein-cx/skein/services/timeline"
)

// readModel is a slice that is folded from a topic of the log.
type readModel struct {
	name, topic string
	fold        func(a *App, partitions int) projection.Fold
	progress    *projection.Progress // of what is applied, here or elsewhere
	manager     *projection.Manager  // where this process folds
}

// readModels are all of them.
type readModels []*readModel

func newReadModels() readModels {
	models := readModels{
		{name: timeline.Slice, topic: event.TopicInteractions, fold: func(_ *App, partitions int) projection.Fold { return timeline.NewFold(partitions) }},
		{name: conversation.Slice, topic: event.TopicInteractions, fold: func(a *App, partitions int) projection.Fold {
			return conversation.NewFold(partitions, a.keyring)
		}},
		{name: customer.Slice, topic: event.TopicLinks, fold: func(_ *App, partitions int) projection.Fold { return customer.NewFold(partitions) }},
		{name: conversation.LinksSlice, topic: event.TopicLinks, fold: func(a *App, partitions int) projection.Fold {
			return conversation.NewLinksFold(partitions, a.keyring)
		}},
		{name: directory.Slice, topic: event.TopicDirectory, fold: func(_ *App, partitions int) projection.Fold { return directory.NewFold(partitions) }},
		{name: agent.Slice, topic: event.TopicAgents, fold: func(_ *App, partitions int) projection.Fold { return agent.NewFold(partitions) }},
		{name: alerts.Slice, topic: event.TopicAlerts, fold: func(_ *App, partitions int) projection.Fold { return alerts.NewFold(partitions) }},
	}
	for _, m := range models {
		m.progress = &projection.Progress{}
	}
	return models
}

// progress tells of what is applied to a slice.
func (models readModels) progress(slice string) *projection.Progress {
	for _, m := range models {
		if m.name == slice {
			return m.progress
		}
	}
	return nil
}

// has tells whether a slice is folded from the log.
func (models readModels) has(slice string) bool { return models.progress(slice) != nil }

func (a *App) openProjector(ctx context.Context) error {
	metrics, letters := projection.NewMetrics(a.registry), deadletter.NewPublisher(a.log)
	for _, m := range a.slices {
		partitions, err := a.log.Partitions(ctx, m.topic)
		if err != nil {
			return fmt.Errorf("read model %s: %w", m.name, err)
		}
		cfg := projection.Config{
			Log: a.log, Store: a.store, Namespace: kv.Namespace{Slice: m.name}, Topic: m.topic, Fold: m.fold(a, partitions),
			DeadLetters: letters, Progress: m.progress, Metrics: metrics, Logger: a.logger,
		}
		if err := a.shareProjection(&cfg); err != nil {
			return err
		}
		if m.manager, err = projection.NewManager(ctx, cfg, 0); err != nil {
			return err
		}
	}
	return nil
}

// shareProjection divides the partitions among the processes that fold into the same store.
func (a *App) shareProjection(cfg *projection.Config) error {
	if !a.cfg.sharedStore() || a.cfg.embeddedLog() {
		return nil // there is no other process
	}
	groups, err := a.groups()
	if err != nil {
		return err
	}
	cfg.Groups, cfg.Group = groups, "skein.projector."+cfg.Namespace.Slice
	return nil
}

func (a *App) project(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range a.slices {
		g.Go(func() error { return m.manager.Run(ctx) })
	}
	return g.Wait()
}
