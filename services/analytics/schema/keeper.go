package schema

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// Keeper keeps dictionaries as new as the tables that they read. It is safe for concurrent use.
type Keeper struct {
	warehouse *warehouse.Warehouse
	target    *target
}

// NewKeeper is over a database that Migrate has made with this config.
func NewKeeper(w *warehouse.Warehouse, cfg Config) (*Keeper, error) {
	t, err := newTarget(w.Options(), cfg)
	if err != nil {
		return nil, err
	}
	return &Keeper{warehouse: w, target: t}, nil
}

// Reload loads the dictionaries anew that read any of the tables.
func (k *Keeper) Reload(ctx context.Context, tables ...string) error {
	for _, table := range tables {
		for _, d := range Dictionaries(table) {
			name := identifier(k.target.database) + "." + identifier(d)
			if err := k.warehouse.Exec(ctx, "SYSTEM RELOAD DICTIONARY "+name+k.target.onCluster()); err != nil {
				return fmt.Errorf("schema: load %s anew: %w", d, err)
			}
		}
	}
	return nil
}
