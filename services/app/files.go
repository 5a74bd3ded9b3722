package app

import (
	"context"

	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/services/files"
)

// openFiles says which inboxes' files are fetched: those of social channels by the provider, those that a connector or an import names by
// public addresses.
func (a *App) openFiles(ctx context.Context) error {
	groups, err := a.groups()
	if err != nil {
		return err
	}
	all, err := a.connectSocial()
	if err != nil {
		return err
	}
	public := httpfetch.NewPublic()
	inboxes := make([]files.Inbox, 0, len(a.cfg.Inboxes))
	for _, in := range a.cfg.Inboxes {
		one := files.Inbox{Tenant: in.Tenant, ID: in.ID, Fetcher: public}
		if s := all[in.Channel]; s != nil {
			one.Fetcher = s.fetcher
		}
		inboxes = append(inboxes, one)
	}
	a.files, err = files.New(ctx, files.Config{
		Log: a.log, Groups: groups, Store: a.store, Host: a.intake, Blobs: a.blobs, Inboxes: inboxes,
		Metrics: files.NewMetrics(a.registry), Logger: a.logger,
	})
	return err
}

func (a *App) runFiles(ctx context.Context) error { return a.files.Run(ctx) }
