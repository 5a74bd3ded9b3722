package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
)

// sharedStore reports whether several processes can open the store at once.
func (c *Config) sharedStore() bool { return c.Store.DSN != "" }

// openEngine opens the store that the configuration names; the collector tells its metrics.
func openEngine(ctx context.Context, cfg Config, logger *slog.Logger, onFatal func(error)) (kv.Store, prometheus.Collector, error) {
	if cfg.sharedStore() {
		store, err := pgkv.Open(ctx, cfg.Store.DSN, pgkv.Options{Logger: logger})
		if err != nil {
			return nil, nil, fmt.Errorf("the store in %s (store.dsn): %w", pgkv.Describe(cfg.Store.DSN), err)
		}
		return store, poolCollector{store}, nil
	}
	store, err := pebblekv.Open(cfg.storeDir(), pebblekv.Options{CacheBytes: cfg.Store.CacheBytes, Logger: logger, OnFatal: onFatal})
	if err != nil {
		return nil, nil, err
	}
	return store, storeCollector{store}, nil
}

func (a *App) openStore(ctx context.Context) error {
	store, metrics, err := openEngine(ctx, a.cfg, a.logger, func(err error) {
		a.fail(fmt.Errorf("the store in %s cannot be written: free disk space or repair the disk, then start again: %w", a.cfg.storeDir(), err))
	})
	if err != nil {
		return err
	}
	a.store = store
	a.registry.MustRegister(metrics)
	return checkStore(ctx, store, a.keyring.Fingerprint())
}

func (a *App) closeStore(context.Context) error { return a.store.Close() }
