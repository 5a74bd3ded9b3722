package app

import (
	"context"

	"github.com/skein-cx/skein/pkg/deadletter"
	"github.com/skein-cx/skein/services/webhooks"
)

// openWebhooks gives new endpoints their place. It serves the service where there are none, too, so that a list is empty
// and no error.
func (a *App) openWebhooks(ctx context.Context) error {
	groups, err := a.groups()
	if err != nil {
		return err
	}
	a.webhooks, err = webhooks.New(ctx, webhooks.Config{
		Log: a.log, Groups: groups, Store: a.store, DeadLetters: deadletter.NewPublisher(a.log),
		Endpoints: a.cfg.Webhooks.endpoints(), AllowPrivate: a.cfg.Webhooks.AllowPrivate,
		Metrics: webhooks.NewMetrics(a.registry), Logger: a.logger,
	})
	if err != nil {
		return err
	}
	webhooks.NewServer(a.webhooks).Register(a.grpc)
	return nil
}

func (a *App) runWebhooks(ctx context.Context) error { return a.webhooks.Run(ctx) }
