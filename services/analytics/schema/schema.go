// Package schema is what stands in ClickHouse: tables, dictionaries, views and rollups, with a comment on every column.
//
// The files in migrations are templates: the same files make the tables of one server, of a replicated one and of a cluster of shards.
// ClickHouse has no transactions, so every statement in them can be run again: a migration that fails half-way is repeated whole.
//
// Facts are signed tables (…_facts), read through views that show each thing once and look up what may change later: the directory's agents
// and queues, customers, conversations. Rollups (…_quarters) hold the connectors' words and sums by quarter of an hour; views with parameters
// (…_intervals) make intervals of any step and time zone of them.
//
// What is made for one server runs in tests. What is made for clusters, and access control, is only parsed there: the embedded engine has
// neither.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// ErrNewer means that a newer version of this software has changed the database.
var ErrNewer = errors.New("schema: the database was set up by a newer version")

// Migrate brings the database of a warehouse up to date: it makes the database, its tables and what is derived from them, and sets the
// retention. Processes may do it at once, as each statement may be run again. It never takes anything away but by retention.
func Migrate(ctx context.Context, w *warehouse.Warehouse, cfg Config, log *slog.Logger) error {
	t, err := newTarget(w.Options(), cfg)
	if err != nil {
		return err
	}
	if err := makeDatabase(ctx, t, w.Options()); err != nil {
		return fmt.Errorf("schema: make the database %s: %w", t.database, err)
	}
	options := w.Options()
	db := clickhouse.OpenDB(&options)
	defer func() { _ = db.Close() }() // what was done is done
	if err := migrate(ctx, db, t, log); err != nil {
		return err
	}
	return t.retain(ctx, db, log)
}

// makeDatabase makes the database where it is missing: who may not make databases may use one that was made for them.
func makeDatabase(ctx context.Context, t *target, options clickhouse.Options) error {
	options.Auth.Database = "system" // which exists in any case
	db := clickhouse.OpenDB(&options)
	defer func() { _ = db.Close() }()
	var there uint64
	if err := db.QueryRowContext(ctx, "SELECT count() FROM system.databases WHERE name = ?", t.database).Scan(&there); err != nil || there > 0 {
		return err
	}
	_, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+identifier(t.database)+t.onCluster())
	return err
}

func migrate(ctx context.Context, db *sql.DB, t *target, log *slog.Logger) error {
	store, err := database.NewStoreFromQuerier(versionTable, versions{t})
	if err != nil {
		return fmt.Errorf("schema: find the migrations: %w", err)
	}
	files, err := t.files()
	if err != nil {
		return fmt.Errorf("schema: find the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectCustom, db, files,
		goose.WithStore(store), goose.WithDisableGlobalRegistry(true), goose.WithIsolateDDL(true), goose.WithSlog(log))
	if err != nil {
		return fmt.Errorf("schema: find the migrations: %w", err)
	}
	have, know, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("schema: look at the version of the database %s: %w", t.database, err)
	}
	if have > know {
		return fmt.Errorf("%w: the database %s has version %d and this program knows %d: run the newer program", ErrNewer, t.database, have, know)
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("schema: bring the database %s up to date: %w", t.database, err)
	}
	for _, m := range applied {
		log.InfoContext(ctx, "migrated ClickHouse", "database", t.database, "migration", m.Source.Path, "took", m.Duration)
	}
	return nil
}
