package schema

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// retain sets what the configuration says about how long rows are kept, where the tables say something else.
func (t *target) retain(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	for _, table := range slices.Sorted(maps.Keys(retained)) {
		name := t.local(table)
		is, err := retention(ctx, db, name)
		if err != nil {
			return err
		}
		want := ttl(retained[table], t.ttl[table])
		if is == want {
			continue
		}
		change := "REMOVE TTL"
		if want != "" {
			change = "MODIFY TTL " + want
		}
		if _, err := db.ExecContext(ctx, "ALTER TABLE "+name+t.onCluster()+" "+change); err != nil {
			if now, e := retention(ctx, db, name); e == nil && now == want {
				continue // another process did it meanwhile
			}
			return fmt.Errorf("schema: set the retention of %s: %w", name, err)
		}
		log.InfoContext(ctx, "changed the retention in ClickHouse", "table", table, "was", is, "is", want)
	}
	return nil
}

// retention is how long a table keeps its rows, as ClickHouse spells it.
func retention(ctx context.Context, db *sql.DB, table string) (string, error) {
	var engine string
	err := db.QueryRowContext(ctx, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?", table).Scan(&engine)
	if err != nil {
		return "", fmt.Errorf("schema: look at the retention of %s: %w", table, err)
	}
	return ttlOf(engine), nil
}

// ttl spells when rows are deleted the way ClickHouse repeats it; empty for never.
func ttl(column string, expiries []expiry) string {
	var out []string
	for _, e := range expiries {
		s := fmt.Sprintf("toDateTime(%s) + toIntervalSecond(%d)", column, e.after/time.Second)
		switch {
		case e.tenant != "":
			s += " WHERE tenant = " + quote(e.tenant)
		case len(e.but) > 0:
			tenants := make([]string, len(e.but))
			for i, tenant := range e.but {
				tenants[i] = quote(tenant)
			}
			s += " WHERE tenant NOT IN (" + strings.Join(tenants, ", ") + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// ttlOf is the TTL in a table's engine clause.
func ttlOf(engine string) string {
	_, rest, _ := strings.Cut(engine, " TTL ")
	if end := strings.LastIndex(rest, " SETTINGS "); end >= 0 {
		rest = rest[:end]
	}
	return rest
}
