// Package search finds what was said, in messages, mails, notes, transcripts, forms and posts, in English, Chinese and other languages.
// Each process that searches follows the log by itself and holds an index of all of it, in a directory; nothing else is needed, and nothing
// is lost with the directory: it is built anew from the log.
package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
)

// topic is what is indexed.
const topic = event.TopicInteractions

// Config is what a Service works with. Log, Dir, Keyring and Blobs must be set.
type Config struct {
	Log eventlog.Log
	// Dir holds the index; one process at a time may have it.
	Dir     string
	Keyring *event.Keyring
	// Blobs holds contents that are too large for the log.
	Blobs event.Blobs
	// Customers tells what belongs to customers. Without it, nobody can search by customer.
	Customers scope.Source
	// Flush is how long what was written lately may wait for what comes soon after, to be indexed with it. 50 ms unless set.
	Flush time.Duration
	// Retry is how long to wait before what has failed is tried again, at first; later it is up to 50 times as long. 100 ms unless set.
	Retry time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Flush == 0 {
		c.Flush = 50 * time.Millisecond
	}
	if c.Retry == 0 {
		c.Retry = 100 * time.Millisecond
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Service indexes the log and searches the index. It is safe for concurrent use.
type Service struct {
	cfg      Config
	applied  []atomic.Int64 // of each partition, the next offset to be indexed
	progress projection.Progress
	calls    chan call

	mu    sync.RWMutex // held for reading while the table is in use, for writing while it is put in another one's place
	table *table       // nil while there is none
}

// New opens the index, or makes one, so that what is indexed already can be searched. Run indexes what is new, and closes it.
func New(ctx context.Context, cfg Config) (*Service, error) {
	n, err := cfg.Log.Partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	s := &Service{cfg: cfg.withDefaults(), applied: make([]atomic.Int64, n), calls: make(chan call)}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens the index. One that is of no use is dropped, and begun anew.
func (s *Service) open(ctx context.Context) error {
	t, err := openTable(s.cfg.Dir)
	if err == nil {
		if err = s.check(ctx, t); err != nil {
			_ = t.close() // nothing is pending
		}
	}
	if errors.Is(err, errUnfit) {
		s.cfg.Logger.WarnContext(ctx, "the search index is dropped and built anew from the log", "dir", s.cfg.Dir, "why", err)
		if err = dropTable(s.cfg.Dir); err == nil {
			t, err = openTable(s.cfg.Dir)
		}
		for p := range s.applied {
			s.applied[p].Store(0)
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.table = t
	s.mu.Unlock()
	s.progress.Notify()
	return nil
}

// close lets go of the index, once nobody searches it any more.
func (s *Service) close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil {
		return
	}
	if err := s.table.close(); err != nil {
		s.cfg.Logger.WarnContext(ctx, "the search index does not close well", "error", err)
	}
	s.table = nil
}

// check reads the record of each partition that was indexed last once more.
func (s *Service) check(ctx context.Context, t *table) error {
	for p := range s.applied {
		at, found, err := t.place(int32(p))
		if err != nil {
			return err
		}
		s.applied[p].Store(0)
		if !found {
			continue
		}
		first, next, err := s.cfg.Log.Bounds(ctx, topic, int32(p))
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		if at.offset < first || at.offset >= next {
			return fmt.Errorf("%w: %s/%d holds the offsets %d to %d, and %d was indexed last", errUnfit, topic, p, first, next-1, at.offset)
		}
		r, err := eventlog.ReadAt(ctx, s.cfg.Log, eventlog.Position{Topic: topic, Partition: int32(p), Offset: at.offset})
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		if placeOf(r) != at {
			return fmt.Errorf("%w: %s is another record than the one that was indexed", errUnfit, r.Position)
		}
		s.applied[p].Store(at.offset + 1)
	}
	return nil
}

// Run indexes until ctx ends, and then closes the index and returns nil.
func (s *Service) Run(ctx context.Context) error {
	defer s.close(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { s.watch(ctx) })
	for pause := newPause(s.cfg.Retry); ; {
		err := s.follow(ctx)
		for ctx.Err() == nil && err != nil {
			s.cfg.Logger.WarnContext(ctx, "the log is not indexed for search, trying again", "error", err)
			pause.sleep(ctx)
			s.close(ctx)
			if errors.Is(err, errUnfit) {
				if err = dropTable(s.cfg.Dir); err != nil {
					continue
				}
			}
			err = s.open(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// Forget takes everything out of this process's index that names an endpoint of a tenant, and gives how much that was. Run must be running.
// Whoever erases a person tells each process that searches, and the log: an index that is built anew holds what the log holds.
func (s *Service) Forget(ctx context.Context, tenant string, endpoint event.ID) (int, error) {
	n := 0
	c := call{done: make(chan error, 1), do: func(f *fold) (err error) {
		n, err = f.forget(ctx, tenant, endpoint)
		return err
	}}
	select {
	case s.calls <- c:
	case <-ctx.Done():
		return 0, fmt.Errorf("search: forget: %w", ctx.Err())
	}
	if err := <-c.done; err != nil {
		return 0, fmt.Errorf("search: forget: %w", err)
	}
	return n, nil
}

// wait returns once all positions are indexed, or when ctx ends. Those of other topics are nothing to wait for.
func (s *Service) wait(ctx context.Context, positions []eventlog.Position) error {
	for {
		changed := s.progress.Changed()
		if !slices.ContainsFunc(positions, s.missing) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("search: wait until %v is indexed: %w", positions, ctx.Err())
		case <-changed:
		}
	}
}

func (s *Service) missing(p eventlog.Position) bool {
	if p.Topic != topic {
		return false
	}
	return int(p.Partition) >= len(s.applied) || p.Partition < 0 || s.applied[p.Partition].Load() <= p.Offset
}

// pause is how long to wait after a failure, ever longer.
type pause struct{ first, next time.Duration }

func newPause(first time.Duration) *pause { return &pause{first, first} }

const maxPauses = 50 // as long as the first one, at most

func (p *pause) sleep(ctx context.Context) {
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	p.next = min(2*p.next, maxPauses*p.first)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (p *pause) reset() { p.next = p.first }
