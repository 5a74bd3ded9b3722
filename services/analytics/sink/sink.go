// Package sink writes every event of the log into ClickHouse, exactly once.
//
// It reads all partitions of all topics of events, drops events that it has seen, and makes batches. Of each batch it records, in one atomic
// write, which records it holds and which events were seen with it; then it inserts the rows under a token of the batch. After a crash the
// batches that may not have arrived are made again from the same records, and sent under the same tokens. So what ClickHouse holds is a
// function of the log, however often anything on the way fails.
package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/lease"
	"github.com/skein-cx/skein/services/analytics/generations"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// What a Config says unless it says otherwise.
const (
	DefaultMaxRows   = 50_000
	DefaultMaxBytes  = 64 << 20
	DefaultMaxAge    = time.Second
	DefaultLookEvery = time.Second
	DefaultMemory    = 32 << 20
)

// ErrLogMismatch means that the log does not hold what was read from it: the topic was recreated, or the log or the store restored from a
// backup.
var ErrLogMismatch = errors.New("analytics: the log is not the one that ClickHouse was filled from")

// Warehouse is ClickHouse, as far as the sink needs it. Errors that wrap warehouse.ErrUnavailable may pass.
type Warehouse interface {
	// Ready does of an Insert of rows what needs no ClickHouse, so that it waits for less. Another Insert may go on meanwhile.
	Ready(rows warehouse.Rows)
	// Insert writes rows, once for each token.
	Insert(ctx context.Context, token string, rows warehouse.Rows) error
	// Contained tells the next offsets that progress has of the stream of events, and the latest moment at which it says to have been written,
	// in a database; the empty one is that which serves.
	Contained(ctx context.Context, database string) (next map[Partition]int64, written time.Time, err error)
	// Build makes the database in which tables are rebuilt, with all its tables, or brings it up to date, and gives its name.
	Build(ctx context.Context) (database string, err error)
	// Built names the tables that were filled there, each with an id that it keeps wherever it stands. It fails with schema.ErrGone where one is
	// missing.
	Built(ctx context.Context) (map[string]string, error)
	// Switch puts the tables with these ids in place of the serving ones. Those that are there already it leaves.
	// It fails with schema.ErrGone where one is in neither place.
	Switch(ctx context.Context, built map[string]string) error
	// Discard drops what Build has made.
	Discard(ctx context.Context) error
}

// Config says what a sink reads and where it writes to.
type Config struct {
	Log       eventlog.Log
	Store     kv.Store
	Warehouse Warehouse
	// Shared says that other processes have the same store: they take turns.
	Shared bool

	// MaxRows and MaxBytes bound a batch: records, and what they take in the log. Two batches are in memory at a time, as rows and encoded.
	MaxRows, MaxBytes int
	// MaxAge is how long the first record of a batch waits for others.
	MaxAge time.Duration
	// LookEvery is how often it looks where the log ends.
	LookEvery time.Duration
	// MemoryBytes is about how much is remembered of the threads of late, so that the store need not be asked.
	MemoryBytes int

	Metrics *Metrics     // may be nil
	Logger  *slog.Logger // may be nil
	// Now is the clock of progress; nil means time.Now. No row of an event depends on it.
	Now func() time.Time
}

func (c *Config) withDefaults() {
	for _, d := range []struct {
		value    *int
		standard int
	}{{&c.MaxRows, DefaultMaxRows}, {&c.MaxBytes, DefaultMaxBytes}, {&c.MemoryBytes, DefaultMemory}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if c.MaxAge <= 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.LookEvery <= 0 {
		c.LookEvery = DefaultLookEvery
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Sink is one process's share of the sink: whichever holds the lease writes.
type Sink struct {
	cfg  Config
	wake chan struct{}

	mu     sync.Mutex
	status Status
}

// Status is where the sink stands, as this process knows.
type Status struct {
	// Active says that this process writes.
	Active bool
	// Serving is the generation of the tables that are read.
	Serving uint32
	// Partitions are how far each partition is contained; of an active sink only.
	Partitions []PartitionStatus
	// Err is why it rebuilds without having been asked, and does not go on until the new tables serve.
	Err error
}

// CompleteUntil is the moment before which everything that was received is contained; zero where that is not known.
func (s Status) CompleteUntil() time.Time {
	var until time.Time
	for i, p := range s.Partitions {
		if i == 0 || p.CompleteUntil.Before(until) {
			until = p.CompleteUntil
		}
	}
	return until
}

// New prepares a sink. The tables must be there.
func New(cfg Config) *Sink {
	cfg.withDefaults()
	return &Sink{cfg: cfg, wake: make(chan struct{}, 1)}
}

// Status tells where it stands.
func (s *Sink) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Sink) update(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

const (
	// takeEvery is how often a process that waits asks for the lease, and restAfter how long one rests that could not go on.
	takeEvery = time.Second
	restAfter = 200 * time.Millisecond
)

// Run writes until ctx ends and then returns nil. It waits out a log, a store or a ClickHouse that is unavailable, and other processes;
// ErrLogMismatch and a damaged store end it.
func (s *Sink) Run(ctx context.Context) error {
	l := lease.New(s.cfg.Store, generations.Namespace(slice), keyLease, s.cfg.Now)
	if !s.cfg.Shared {
		l.Alone()
	}
	for ctx.Err() == nil {
		mine, err := l.Take(ctx)
		pause := takeEvery
		if mine {
			s.update(func(st *Status) { st.Active = true })
			err = l.Hold(ctx, s.active)
			s.update(func(st *Status) { st.Active, st.Partitions, st.Err = false, nil, nil })
			if dropErr := l.Drop(context.WithoutCancel(ctx)); dropErr != nil {
				s.cfg.Logger.WarnContext(ctx, "the lease of the sink was not given back: it ends by itself", "error", dropErr)
			}
			pause = restAfter
		}
		switch {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, errFenced), errors.Is(err, lease.ErrLost):
			s.cfg.Logger.InfoContext(ctx, "another process writes events into ClickHouse")
			pause = takeEvery
		case errors.Is(err, kv.ErrUnavailable), errors.Is(err, eventlog.ErrUnavailable):
			s.cfg.Logger.WarnContext(ctx, "the log or the store is unavailable, trying again", "error", err)
		default:
			return err
		}
		_ = sleep(ctx, pause) // the loop looks at ctx
	}
	return nil
}

// active serves, and builds where that is asked for, until ctx ends or it cannot go on.
func (s *Sink) active(ctx context.Context) error {
	for ctx.Err() == nil {
		g, _, err := generations.Load(ctx, s.cfg.Store, slice)
		if err != nil {
			return err
		}
		s.update(func(st *Status) { st.Serving = g.Serving })
		all, err := sources(ctx, s.cfg.Log)
		if err != nil {
			return err
		}
		if g.Built != nil {
			if err := s.finish(ctx, g, all); err != nil {
				return err
			}
			continue
		}
		if err := s.sweep(ctx, g); err != nil {
			return err
		}
		if err := s.work(ctx, g, all); err != nil && !errors.Is(err, errBuilt) {
			return err
		}
	}
	return ctx.Err()
}

// errBuilt means that a new generation can serve.
var errBuilt = errors.New("analytics: a new generation of the tables is ready")

// work serves one generation, and builds the next one beside it once that is asked for.
func (s *Sink) work(ctx context.Context, g generations.Note, all []*source) error {
	group, ctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan struct{})
	group.Go(func() error {
		defer close(stopped)
		p := newPipeline(&s.cfg, g.Serving, all)
		p.serving = true
		p.report = func(partitions []PartitionStatus) {
			s.cfg.Metrics.behind(partitions)
			s.update(func(st *Status) { st.Partitions = partitions })
		}
		err := p.run(serving, nil)
		switch {
		case ctx.Err() == nil && serving.Err() != nil:
			return nil // the next generation serves soon
		case mismatch(err):
			s.cfg.Logger.WarnContext(ctx, "the tables of events are rebuilt from the log: the store or ClickHouse was dropped or restored", "found", err)
			s.update(func(st *Status) { st.Err = err })
			if _, err := generations.Ask(ctx, s.cfg.Store, slice); err != nil {
				return err
			}
			select {
			case s.wake <- struct{}{}:
			default: // it is awake
			}
			<-serving.Done()
			return nil
		}
		return err
	})
	group.Go(func() error {
		building, err := s.asked(ctx)
		if err != nil {
			return err
		}
		return s.build(ctx, building, all, func() { stop(); <-stopped })
	})
	return group.Wait()
}

// sweep drops what is known of generations that do not serve any more.
func (s *Sink) sweep(ctx context.Context, g generations.Note) error {
	namespaces, err := s.cfg.Store.Namespaces(ctx)
	if err != nil {
		return fmt.Errorf("analytics: find old generations: %w", err)
	}
	for _, ns := range namespaces {
		if ns.Slice != slice || ns.Generation == 0 || ns.Generation >= g.Serving {
			continue
		}
		if err := s.cfg.Store.Drop(ctx, ns); err != nil {
			return fmt.Errorf("analytics: drop an old generation: %w", err)
		}
	}
	return nil
}
