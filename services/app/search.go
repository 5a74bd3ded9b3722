package app

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/services/search"
)

// openSearch opens the index of this process.
func (a *App) openSearch(ctx context.Context) error {
	var err error
	a.search, err = search.New(ctx, search.Config{
		Log: a.log, Dir: a.cfg.searchDir(), Keyring: a.keyring, Blobs: a.blobs, Customers: a.links.customers,
		Metrics: search.NewMetrics(a.registry), Logger: a.logger,
	})
	if err != nil {
		return fmt.Errorf("%w: %s (search.dir); each process keeps an index of its own", err, a.cfg.searchDir())
	}
	search.NewServer(a.search).Register(a.grpc)
	return nil
}

func (a *App) runSearch(ctx context.Context) error { return a.search.Run(ctx) }
