package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/lease"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/generations"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

const (
	// DefaultRows is about how many rows are sent at once, unless it is told otherwise.
	DefaultRows = 20_000
	// DefaultInterval is how long changes are collected before they are sent, unless it is told otherwise.
	DefaultInterval = time.Second
	// DefaultReportEvery is how often, at most, progress is written and dictionaries are loaded anew, unless it is told otherwise.
	DefaultReportEvery = 3 * time.Second
	// insertWithin is how long an insert may take.
	insertWithin = 2 * time.Minute
	// longestPause is between two attempts.
	longestPause = 30 * time.Second
	// lookEvery is how often it looks whether it is its turn.
	lookEvery = 2 * time.Second
	// slice is where the mirror keeps what it knows.
	slice = "mirror"
	// stream is how the progress of all that the mirror keeps is named.
	stream = "facts"
)

// Warehouse is ClickHouse, as far as the mirror needs it. It is safe for concurrent use.
type Warehouse interface {
	// Insert writes rows, as warehouse.Warehouse does: once for each token, warehouse.ErrUnavailable where a repetition may help.
	Insert(ctx context.Context, token string, rows warehouse.Rows) error
	// Marks are the last batches of a source that the tables of a database say to hold, by the life in which they were sent. The empty database
	// is the one that serves.
	Marks(ctx context.Context, database, source string) (batches map[string]uint64, err error)
	// Reload loads the dictionaries anew that are read from any of the tables; there may be none.
	Reload(ctx context.Context, tables ...string) error
	// Build makes the database in which tables are rebuilt, with all its tables, or brings it up to date, and gives its name.
	Build(ctx context.Context) (database string, err error)
	// Built gives tables there, and the rollups over them, each with an id that it keeps wherever it stands. It fails with schema.ErrGone where
	// one is missing.
	Built(ctx context.Context, tables ...string) (map[string]string, error)
	// Switch puts the tables with these ids in place of the serving ones. Those that are there already it leaves. It fails with schema.ErrGone
	// where one is in neither place.
	Switch(ctx context.Context, built map[string]string) error
	// Discard drops what Build has made.
	Discard(ctx context.Context) error
}

// Config is what a mirror needs.
type Config struct {
	// Store remembers what was sent.
	Store kv.Store
	// Warehouse takes the rows.
	Warehouse Warehouse
	// Sources makes sources, which are mirrored side by side. Each has a name and tables of its own. While tables are rebuilt it is called
	// again: those that serve are kept equal meanwhile.
	Sources func() []Source
	// Alone says that no other process has the store open. Of several, one mirrors at a time.
	Alone bool
	// Until tells up to which moment of receipt everything is contained once the log was applied up to some offsets, as a Horizon does; zero where
	// that is not known. Where it is nil, nothing is known, and no progress is written.
	Until func(topic string, applied projection.Vector) time.Time
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Rows, Interval and ReportEvery are as the defaults, where they are zero.
	Rows                  int
	Interval, ReportEvery time.Duration
}

// Mirror keeps tables equal to sources. It is safe for concurrent use.
type Mirror struct {
	cfg    Config
	wake   chan struct{}
	tables []string

	mu      sync.Mutex
	workers []*worker // those of the tables that serve
}

// New makes a mirror; Run lets it work.
func New(cfg Config) (*Mirror, error) {
	if cfg.Rows <= 0 {
		cfg.Rows = DefaultRows
	}
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.ReportEvery <= 0 {
		cfg.ReportEvery = DefaultReportEvery
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{cfg: cfg, wake: make(chan struct{}, 1)}
	sources, tables := map[string]bool{}, map[string]bool{}
	m.workers, _ = m.newWorkers(0, serves)
	for _, w := range m.workers {
		if err := (kv.Namespace{Slice: w.name}).Validate(); err != nil || sources[w.name] {
			return nil, fmt.Errorf("mirror: the name %q of a source is not allowed, or there twice", w.name)
		}
		sources[w.name] = true
		for _, t := range w.tableNames {
			if t == "" || strings.ContainsAny(t, "/.") || tables[t] {
				return nil, fmt.Errorf("mirror: the table name %q of the source %s is not allowed, or there twice", t, w.name)
			}
			tables[t] = true
			m.tables = append(m.tables, t)
		}
		cfg.Metrics.follows(w.name)
	}
	return m, nil
}

// newWorkers makes workers of a generation.
func (m *Mirror) newWorkers(generation uint32, as role) ([]*worker, *reporter) {
	sources, cfg := m.cfg.Sources(), m.cfg
	if as == builds {
		cfg.Metrics = nil // they tell of what serves
	}
	report := newReporter(&cfg, len(sources))
	workers := make([]*worker, 0, len(sources))
	for _, s := range sources {
		w := &worker{
			cfg: &cfg, generation: generation, role: as, source: s, name: s.Name(), tables: map[string]*Table{}, tries: map[string]int{}, report: report,
		}
		for _, t := range s.Tables() {
			w.tables[t.Name] = t
			w.tableNames = append(w.tableNames, t.Name)
		}
		workers = append(workers, w)
	}
	return workers, report
}

// until is the moment of receipt up to which everything is contained in what was applied; zero where that is not known.
func (c *Config) until(at map[string]projection.Vector) (all time.Time) {
	if c.Until == nil {
		return all
	}
	for topic, applied := range at {
		until := c.Until(topic, applied)
		if until.IsZero() {
			return until
		}
		if all.IsZero() || until.Before(all) {
			all = until
		}
	}
	return all
}

// Run mirrors until ctx ends, and then returns nil. What fails it tries again: nothing piles up meanwhile, the sources wait.
func (m *Mirror) Run(ctx context.Context) error {
	turn := lease.New(m.cfg.Store, generations.Namespace(slice), leaseKey, time.Now)
	if m.cfg.Alone {
		turn = turn.Alone()
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookEvery)
		defer cancel()
		_ = turn.Drop(ctx) // it runs out in any case
	}()
	for ctx.Err() == nil {
		mine, err := turn.Take(ctx)
		if mine {
			err = turn.Hold(ctx, m.work)
		}
		if err != nil && ctx.Err() == nil {
			m.cfg.Logger.WarnContext(ctx, "does not mirror the read models, tries again", "error", err)
		}
		wait(ctx, lookEvery)
	}
	return nil
}

// work mirrors while ctx lasts.
func (m *Mirror) work(ctx context.Context) error {
	for ctx.Err() == nil {
		n, _, err := generations.Load(ctx, m.cfg.Store, slice)
		if err != nil {
			return err
		}
		if n.Built != nil {
			if err := m.finish(ctx, n); err != nil {
				return err
			}
			continue
		}
		if err := m.sweep(ctx, n); err != nil {
			return err
		}
		if err := m.mirror(ctx, n); err != nil && !errors.Is(err, errBuilt) {
			return err
		}
	}
	return nil
}

// errBuilt means that a new generation can serve, or that another one is to be begun.
var errBuilt = errors.New("mirror: a new generation of the tables is ready")

// mirror keeps the tables of the generation that serves equal, and builds the next one beside it once that is asked for.
func (m *Mirror) mirror(ctx context.Context, n generations.Note) error {
	group, ctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	workers, report := m.newWorkers(n.Serving, serves)
	m.mu.Lock()
	m.workers = workers
	m.mu.Unlock()
	stopped := make(chan struct{})
	group.Go(func() error {
		defer close(stopped)
		err := m.serve(serving, workers, report)
		switch {
		case errors.Is(err, errMoved):
			return m.moved(serving, n)
		case !errors.Is(err, ErrWarehouseMismatch):
			return err
		}
		m.cfg.Logger.WarnContext(ctx, "the tables of facts are rebuilt from the read models: the store or ClickHouse was dropped or restored", "found", err)
		for _, w := range workers {
			w.told.set(func(s *Status) { s.Problem = err.Error() })
		}
		if _, err := m.ask(ctx); err != nil {
			return err
		}
		<-serving.Done()
		return nil
	})
	group.Go(func() error {
		generation, err := m.asked(ctx)
		if err != nil || generation == 0 {
			return err
		}
		return m.build(ctx, generation, func() map[string]contained {
			stop()
			<-stopped
			return report.told()
		})
	})
	return group.Wait()
}

// moved is called where the generation that serves is not written any more. Either another one serves, or the one that was to serve is built again.
func (m *Mirror) moved(serving context.Context, was generations.Note) error {
	n, _, err := generations.Load(serving, m.cfg.Store, slice)
	switch {
	case err != nil:
		return err
	case n.Serving != was.Serving || n.Built != nil:
		return errBuilt
	}
	<-serving.Done()
	return nil
}

// serve lets workers work while ctx lasts, or until one cannot go on.
func (m *Mirror) serve(ctx context.Context, workers []*worker, report *reporter) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range workers {
		group.Go(func() error { return w.run(ctx) })
	}
	group.Go(func() error { return report.run(ctx) })
	return group.Wait()
}

// Status is how a source stands, as this process sees it.
type Status struct {
	Source string
	// Generation counts how often its tables were begun anew; 0 before this process has looked.
	Generation uint32
	// Batch is the number of the last one of the generation.
	Batch uint64
	// Pending are the rows that are recorded and not yet known to have been written.
	Pending int
	// Scanning says that a scan over everything is on its way.
	Scanning bool
	// Aside are the entities that were put aside.
	Aside int
	// At is what its tables contain, and Until the moment of receipt up to which that is everything; zero where that is not known.
	At    map[string]projection.Vector
	Until time.Time
	// Problem is what it is tried again for; empty where all is well.
	Problem string
}

// Status tells how the sources stand.
func (m *Mirror) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Status, len(m.workers))
	for n, w := range m.workers {
		all[n] = w.status()
	}
	return all
}

// newPause gives the times between attempts: longer and longer.
func newPause() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 200*time.Millisecond, longestPause
	b.Reset()
	return b
}

// wait returns after a while, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// told keeps what a worker tells of itself. It is safe for concurrent use.
type told struct {
	mu sync.Mutex
	Status
}

func (t *told) set(change func(*Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.Status)
}

func (t *told) get() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Status
}
