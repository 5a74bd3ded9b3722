package mirror

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/projection"
)

// reporter writes how far the log is contained, and has dictionaries loaded anew. It is safe for concurrent use.
type reporter struct {
	cfg   *Config
	of    int // sources
	owner string

	mu      sync.Mutex
	tables  map[string]bool // that changed
	sources map[string]contained
	fresh   bool // sources say something new
	failed  bool // the last attempt
}

// contained is what the tables of a source contain.
type contained struct {
	at    map[string]projection.Vector
	until time.Time
}

func newReporter(cfg *Config, sources int) *reporter {
	return &reporter{cfg: cfg, of: sources, owner: rand.Text(), tables: map[string]bool{}, sources: map[string]contained{}}
}

// changed notes that tables changed.
func (r *reporter) changed(tables ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tables {
		r.tables[t] = true
	}
}

// contains notes how far a source is mirrored.
func (r *reporter) contains(source string, at map[string]projection.Vector, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources[source], r.fresh = contained{at, until}, true
}

// told gives what sources contain.
func (r *reporter) told() map[string]contained {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.sources)
}

// covers tells whether it contains what another one does.
func (c contained) covers(o contained) bool {
	for topic, vector := range o.at {
		if !reached(c.at[topic], vector) {
			return false
		}
	}
	return true
}

// run reports while ctx lasts.
func (r *reporter) run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.ReportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := r.reload(ctx)
		if err == nil {
			err = r.write(ctx)
		}
		if err != nil && ctx.Err() == nil && !r.failed {
			r.cfg.Logger.WarnContext(ctx, "cannot tell ClickHouse how far it is, trying again", "error", err)
		}
		r.failed = err != nil
	}
}

// reload has the dictionaries loaded anew whose tables changed.
func (r *reporter) reload(ctx context.Context) error {
	r.mu.Lock()
	tables := slices.Sorted(maps.Keys(r.tables))
	clear(r.tables)
	r.mu.Unlock()
	if len(tables) == 0 {
		return nil
	}
	err := r.cfg.Warehouse.Reload(ctx, tables...)
	if err != nil {
		r.changed(tables...)
		return fmt.Errorf("mirror: load dictionaries anew: %w", err)
	}
	return nil
}

// write writes the progress: the least of what the sources tell. Until each has told something, nothing is known.
func (r *reporter) write(ctx context.Context) error {
	now := time.Now().UTC()
	r.mu.Lock()
	rows, fresh := r.least(now), r.fresh
	r.fresh = false
	r.mu.Unlock()
	if !fresh || len(rows) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, insertWithin)
	defer cancel()
	err := r.cfg.Warehouse.Insert(ctx, fmt.Sprintf("mirror/progress/%s/%d", r.owner, now.UnixNano()), rows)
	if err != nil {
		r.mu.Lock()
		r.fresh = true
		r.mu.Unlock()
	}
	return err
}

func (r *reporter) least(now time.Time) progressRows {
	if len(r.sources) < r.of {
		return nil
	}
	type place struct {
		topic     string
		partition int32
	}
	least := map[place]progressRow{}
	for _, source := range slices.Sorted(maps.Keys(r.sources)) {
		s := r.sources[source]
		for topic, vector := range s.at {
			for partition, next := range vector {
				row, there := least[place{topic, partition}]
				if !there {
					row = progressRow{topic: topic, partition: partition, next: next, until: s.until, written: now}
				}
				row.next = min(row.next, next)
				if s.until.Before(row.until) {
					row.until = s.until
				}
				least[place{topic, partition}] = row
			}
		}
	}
	var rows progressRows
	for _, row := range least {
		if !row.until.IsZero() {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, progressRow.compare)
	return rows
}
