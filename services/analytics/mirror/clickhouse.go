package mirror

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

const (
	// buildSuffix makes the name of the database in which tables are rebuilt. The sink has one of its own.
	buildSuffix = "_build_facts"
	// tableBatches is where marks stand. It is rebuilt with the tables that it is about.
	tableBatches = "mirrored_batches"
)

// ClickHouse is the Warehouse of a mirror. It is safe for concurrent use.
type ClickHouse struct {
	*schema.Shadow
	*schema.Keeper
	warehouse *warehouse.Warehouse
}

// NewClickHouse is over a database that schema.Migrate has made with this config. The logger may be nil.
func NewClickHouse(w *warehouse.Warehouse, cfg schema.Config, log *slog.Logger) (*ClickHouse, error) {
	keeper, err := schema.NewKeeper(w, cfg)
	if err != nil {
		return nil, err
	}
	return &ClickHouse{Shadow: schema.NewShadow(w, cfg, buildSuffix, log), Keeper: keeper, warehouse: w}, nil
}

// Marks implements Warehouse.
func (c *ClickHouse) Marks(ctx context.Context, database, source string) (batches map[string]uint64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("mirror: read which batches ClickHouse holds: %w", c.Mend(ctx, database, warehouse.Classify(err)))
		}
	}()
	rows, err := c.warehouse.Query(ctx, "SELECT life, max(batch) FROM "+in(database, tableBatches)+" WHERE source = $1 GROUP BY life", source)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // nothing is written
	batches = map[string]uint64{}
	for rows.Next() {
		var life string
		var batch uint64
		if err := rows.Scan(&life, &batch); err != nil {
			return nil, err
		}
		batches[life] = batch
	}
	return batches, rows.Err()
}

// in names a table of a database; the empty one is the connection's own.
func in(database, table string) string {
	if database == "" {
		return table
	}
	return database + "." + table
}

// mark is a row of the table of batches.
type mark struct {
	database, source, life string
	batch                  uint64
}

// Table implements warehouse.Rows.
func (m mark) Table() string { return in(m.database, tableBatches) }

// Columns implements warehouse.Rows.
func (m mark) Columns() []string { return []string{"source", "life", "batch"} }

// Len implements warehouse.Rows.
func (m mark) Len() int { return 1 }

// Append implements warehouse.Rows.
func (m mark) Append(b driver.Batch) error { return b.Append(m.source, m.life, m.batch) }
