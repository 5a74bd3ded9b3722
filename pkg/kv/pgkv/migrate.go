package pgkv

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewer means that a newer version of this software has changed the database.
var ErrNewer = errors.New("pgkv: the database was set up by a newer version")

// migrate brings the schema up to date. Of processes that start at once, one does it while the others wait.
func migrate(ctx context.Context, cfg *pgx.ConnConfig, schema string, log *slog.Logger) error {
	cfg = cfg.Copy()
	cfg.RuntimeParams["lock_timeout"] = "0" // a migration may take its time
	db := stdlib.OpenDB(*cfg)
	defer func() { _ = db.Close() }() // what was done is committed
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("pgkv: find the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true), goose.WithSlog(log))
	if err != nil {
		return fmt.Errorf("pgkv: find the migrations: %w", err)
	}
	if done, err := upToDate(ctx, db, provider, schema); done || err != nil {
		return err
	}
	var applied []*goose.MigrationResult
	err = locked(ctx, db, schema, func() error {
		if err := makeSchema(ctx, db, schema); err != nil {
			return err
		}
		applied, err = provider.Up(ctx)
		return err
	})
	if err != nil {
		return callError(ctx, "bring the schema "+schema+" up to date", err)
	}
	for _, m := range applied {
		log.InfoContext(ctx, "migrated the database", "schema", schema, "migration", m.Source.Path, "took", m.Duration)
	}
	return nil
}

// upToDate looks without a lock, as most starts need no more.
func upToDate(ctx context.Context, db *sql.DB, provider *goose.Provider, schema string) (bool, error) {
	var fresh bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NULL", schema+"."+goose.DefaultTablename).Scan(&fresh); err != nil {
		return false, callError(ctx, "connect", err)
	}
	if fresh {
		return false, nil
	}
	have, know, err := provider.GetVersions(ctx)
	if err != nil {
		return false, callError(ctx, "look at the version of the schema "+schema, err)
	}
	if have > know {
		return false, fmt.Errorf("%w: the schema %s has version %d and this program knows %d: run the newer program", ErrNewer, schema, have, know)
	}
	return have == know, nil
}

// locked keeps other processes from doing the same. Goose could do that by itself, but only once it has made its table.
func locked(ctx context.Context, db *sql.DB, schema string, do func() error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // which gives the lock back at the latest
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", schemaLock(schema)); err != nil {
		return err
	}
	err = do()
	_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", schemaLock(schema))
	return errors.Join(err, unlockErr)
}

// makeSchema makes the schema where it is missing: who may not make schemas may use one that was made for them.
func makeSchema(ctx context.Context, db *sql.DB, schema string) error {
	var missing bool
	if err := db.QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NULL", schema).Scan(&missing); err != nil || !missing {
		return err
	}
	_, err := db.ExecContext(ctx, "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize())
	return err
}
