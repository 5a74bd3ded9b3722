package sink

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// buildSuffix makes the name of the database in which tables are rebuilt.
const buildSuffix = "_build"

// ClickHouse is the Warehouse of a sink. It is safe for concurrent use.
type ClickHouse struct {
	*schema.Shadow
	warehouse *warehouse.Warehouse
}

// NewClickHouse is over a database that schema.Migrate has made with this config. The logger may be nil.
func NewClickHouse(w *warehouse.Warehouse, cfg schema.Config, log *slog.Logger) *ClickHouse {
	return &ClickHouse{Shadow: schema.NewShadow(w, cfg, buildSuffix, log), warehouse: w}
}

// Ready implements Warehouse.
func (c *ClickHouse) Ready(rows warehouse.Rows) { c.warehouse.Ready(rows) }

// Contained implements Warehouse.
func (c *ClickHouse) Contained(ctx context.Context, database string) (next map[Partition]int64, written time.Time, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("analytics: read progress: %w", c.Mend(ctx, database, warehouse.Classify(err)))
		}
	}()
	rows, err := c.warehouse.Query(ctx, "SELECT topic, partition, next_offset, written_at FROM "+in(database, tableProgress)+" FINAL WHERE stream = $1", stream)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer func() { _ = rows.Close() }() // nothing is written
	next = map[Partition]int64{}
	for rows.Next() {
		var p Partition
		var offset int64
		var at time.Time
		if err := rows.Scan(&p.Topic, &p.Partition, &offset, &at); err != nil {
			return nil, time.Time{}, err
		}
		next[p] = offset
		if at.After(written) {
			written = at
		}
	}
	return next, written, rows.Err()
}

// Built implements Warehouse.
func (c *ClickHouse) Built(ctx context.Context) (map[string]string, error) {
	return c.Shadow.Built(ctx, tableEvents, tableMessages, tableSurveys, tableRejected)
}
