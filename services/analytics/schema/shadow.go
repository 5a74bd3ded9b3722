package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// ErrGone means that tables that were rebuilt are not there any more: ClickHouse was restored from a backup meanwhile.
var ErrGone = errors.New("analytics: the tables that were rebuilt are gone")

// Shadow is a database in which tables are rebuilt while those that serve go on. It has the whole schema, the materialised views too: so
// what is rolled up there is rolled up by the same views, from the rows that stand there, once. Then each of the filled tables and of the
// rollups over them changes places with the one that serves. Views and dictionaries stay where they are: they go by names.
// It is safe for concurrent use.
type Shadow struct {
	warehouse *warehouse.Warehouse
	config    Config
	database  string
	log       *slog.Logger
}

// NewShadow is beside a database that Migrate has made with this config. The suffix makes its name: two rebuilds at once have one each.
func NewShadow(w *warehouse.Warehouse, cfg Config, suffix string, log *slog.Logger) *Shadow {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Shadow{warehouse: w, config: cfg, database: w.Database() + suffix, log: log}
}

// Insert writes rows as the warehouse does, and mends as Mend does.
func (s *Shadow) Insert(ctx context.Context, token string, rows warehouse.Rows) error {
	database, _, named := strings.Cut(rows.Table(), ".")
	if !named {
		database = ""
	}
	return s.Mend(ctx, database, s.warehouse.Insert(ctx, token, rows))
}

// Mend looks at the error of a statement. Where it is that a table is missing in a database, because ClickHouse was emptied, it makes the whole
// schema anew there and gives warehouse.ErrUnavailable. The empty database is that which serves.
func (s *Shadow) Mend(ctx context.Context, database string, err error) error {
	if e := new(clickhouse.Exception); !errors.As(err, &e) || e.Code != unknownTable && e.Code != unknownDatabase {
		return err
	}
	s.log.WarnContext(ctx, "ClickHouse has lost its tables: they are made anew", "error", err)
	if database == s.database {
		_, made := s.Build(ctx)
		err = errors.Join(err, made)
	} else {
		err = errors.Join(err, Migrate(ctx, s.warehouse, s.config, s.log))
	}
	return fmt.Errorf("%w: %w", warehouse.ErrUnavailable, err)
}

// Codes of ClickHouse.
const unknownTable, unknownDatabase = 60, 81

// Build makes the database with all its tables, or brings it up to date, and gives its name.
func (s *Shadow) Build(ctx context.Context) (database string, err error) {
	w, err := s.warehouse.In(s.database)
	if err != nil {
		return "", err
	}
	defer func() { _ = w.Close() }() // what was done is done
	if err := Migrate(ctx, w, s.config, s.log); err != nil {
		return "", fmt.Errorf("analytics: make the tables to rebuild: %w", warehouse.Classify(err))
	}
	return s.database, nil
}

// Discard drops what Build has made.
func (s *Shadow) Discard(ctx context.Context) error {
	if err := s.warehouse.Exec(ctx, "DROP DATABASE IF EXISTS "+identifier(s.database)+s.onCluster()+" SYNC"); err != nil {
		return fmt.Errorf("analytics: drop the database of a rebuild: %w", warehouse.Classify(err))
	}
	return nil
}

func (s *Shadow) onCluster() string { return (&target{Config: s.config}).onCluster() }

// Built gives the tables there that were to be filled, and the rollups over them, each with an id that it keeps wherever it stands.
func (s *Shadow) Built(ctx context.Context, tables ...string) (map[string]string, error) {
	ids, err := s.ids(ctx, s.database)
	if err != nil {
		return nil, fmt.Errorf("analytics: find the tables that were rebuilt: %w", err)
	}
	names := slices.Clone(tables)
	for n, name := range names {
		if _, shared := ids[name+"_local"]; shared { // which holds the rows
			names[n] += "_local"
		}
	}
	rollups, err := s.rollups(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("analytics: find the rollups: %w", warehouse.Classify(err))
	}
	built := map[string]string{}
	for _, name := range append(names, rollups...) {
		if ids[name] == "" {
			return nil, fmt.Errorf("analytics: there is no %s in %s: %w", name, s.database, ErrGone)
		}
		built[name] = ids[name]
	}
	return built, nil
}

// into finds the table that a materialised view fills.
var into = regexp.MustCompile("(?s)^CREATE MATERIALIZED VIEW \\S+ (?:UUID \\S+ )?TO (?:[^ .(]+\\.)?`?([A-Za-z0-9_]+)`?")

// rollups are the tables that views fill from some tables.
func (s *Shadow) rollups(ctx context.Context, from []string) (names []string, err error) {
	rows, err := s.warehouse.Query(ctx, `SELECT create_table_query FROM system.tables WHERE database = $1 AND engine = 'MaterializedView' AND name IN
		(SELECT arrayJoin(dependencies_table) FROM system.tables WHERE database = $1 AND name IN $2)`, s.database, from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // nothing is written
	for rows.Next() {
		var made string
		if err := rows.Scan(&made); err != nil {
			return nil, err
		}
		target := into.FindStringSubmatch(made)
		if target == nil {
			return nil, fmt.Errorf("a view has no table that it fills: %s", made)
		}
		if !slices.Contains(names, target[1]) {
			names = append(names, target[1])
		}
	}
	return names, rows.Err()
}

// ids are those of the tables of a database.
func (s *Shadow) ids(ctx context.Context, database string) (map[string]string, error) {
	rows, err := s.warehouse.Query(ctx, "SELECT name, toString(uuid) FROM system.tables WHERE database = $1", database)
	if err != nil {
		return nil, warehouse.Classify(err)
	}
	defer func() { _ = rows.Close() }() // nothing is written
	ids := map[string]string{}
	for rows.Next() {
		var name, id string
		if err := rows.Scan(&name, &id); err != nil {
			return nil, warehouse.Classify(err)
		}
		ids[name] = id
	}
	if err := rows.Err(); err != nil {
		return nil, warehouse.Classify(err)
	}
	return ids, nil
}

// Switch puts the tables with these ids in place of the serving ones. Those that are there already it leaves. It fails with ErrGone where
// one is in neither place.
func (s *Shadow) Switch(ctx context.Context, built map[string]string) error {
	serving, err := s.ids(ctx, s.warehouse.Database())
	if err != nil {
		return fmt.Errorf("analytics: find the tables that serve: %w", err)
	}
	waiting, err := s.ids(ctx, s.database)
	if err != nil {
		return fmt.Errorf("analytics: find the tables that were rebuilt: %w", err)
	}
	for name, id := range built {
		if serving[name] != id && waiting[name] != id {
			return fmt.Errorf("%w: %s", ErrGone, name)
		}
	}
	for name, id := range built {
		if serving[name] == id {
			continue
		}
		err := s.warehouse.Exec(ctx, fmt.Sprintf("EXCHANGE TABLES %s.%s AND %s.%s%s",
			identifier(s.warehouse.Database()), identifier(name), identifier(s.database), identifier(name), s.onCluster()))
		if err != nil {
			return fmt.Errorf("analytics: put the rebuilt %s in its place: %w", name, warehouse.Classify(err))
		}
	}
	return nil
}
