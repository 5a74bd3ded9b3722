package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

// DefaultMaxBatch is how many records a batch holds at most, unless Config says otherwise.
const DefaultMaxBatch = 2000

// Config says what a Runner folds, and where to.
type Config struct {
	Log       eventlog.Log
	Store     kv.Store
	Namespace kv.Namespace
	Topic     string
	Fold      Fold

	// Groups shares the partitions with other processes on the same store; nil means that this one owns all of them. A Runner
	// owns all of them in any case.
	Groups eventlog.Groups
	// Group is the name of the consumer group, where there are Groups.
	Group string

	// MaxBatch is the greatest number of records in a batch; 0 means DefaultMaxBatch. The result does not depend on it.
	MaxBatch int
	// DeadLetters gets what cannot be folded. Nil drops it: only the serving generation publishes.
	DeadLetters DeadLetters
	// Progress is told of each applied batch; may be nil.
	Progress *Progress
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Now stamps dead letters; nil means time.Now. Folds never see it.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.MaxBatch <= 0 {
		c.MaxBatch = DefaultMaxBatch
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Runner folds all partitions of a topic into one namespace. Its methods must not be called at the same time.
type Runner struct {
	cfg        Config
	partitions []*partition
}

// NewRunner prepares a runner over every partition that the topic has.
func NewRunner(ctx context.Context, cfg Config) (*Runner, error) {
	n, err := cfg.Log.Partitions(ctx, cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("projection: %s: %w", cfg.Namespace.Slice, err)
	}
	r := &Runner{cfg: cfg.withDefaults()}
	for i := range n {
		r.partitions = append(r.partitions, &partition{cfg: &r.cfg, number: int32(i)})
	}
	return r, nil
}

// RunOnce applies at most one batch of each partition, without waiting for records that are not there yet, and returns
// the number of records.
func (r *Runner) RunOnce(ctx context.Context) (int, error) {
	total := 0
	for _, p := range r.partitions {
		n, err := p.step(ctx, false, unlimited)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// RunToEnd applies everything that the log holds by now, and what is appended meanwhile, until it finds nothing more.
func (r *Runner) RunToEnd(ctx context.Context) error {
	for {
		n, err := r.RunOnce(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
}

// Run folds until ctx ends and then returns nil. It waits out a log or a store that is unavailable; every other error ends
// it.
func (r *Runner) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, p := range r.partitions {
		g.Go(func() error { return p.run(gctx, eventlog.Claim{Partition: p.number}) })
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Close lets go of the log's readers.
func (r *Runner) Close() {
	for _, p := range r.partitions {
		p.close()
	}
}

// errGivenUp means that the group could not be told how far the fold is: the claim may be lost.
var errGivenUp = errors.New("projection: the claim of the partition may be lost")

// run folds until ctx ends, which gives its error, or it cannot go on. It waits out a log or a store that is unavailable: a
// batch of which it is not known whether it was written is not written again, for the next step reads the offset.
func (p *partition) run(ctx context.Context, claim eventlog.Claim) error {
	defer p.close()
	p.folded.Store(claim.Next)
	ctx, giveUp := context.WithCancelCause(ctx)
	var telling sync.WaitGroup
	defer telling.Wait()
	defer giveUp(nil)
	if claim.Commit != nil {
		telling.Go(func() { p.tellGroup(ctx, claim, giveUp) })
	}
	for {
		err := p.cfg.outlast(ctx, func() error { _, err := p.step(ctx, true, unlimited); return err })
		if errors.Is(context.Cause(ctx), errGivenUp) {
			return errGivenUp
		}
		if err != nil {
			return err
		}
	}
}

// tellGroup tells the group again and again how far the fold is, where that is further than it knows.
func (p *partition) tellGroup(ctx context.Context, claim eventlog.Claim, giveUp context.CancelCauseFunc) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for told := claim.Next; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next := p.folded.Load()
		if next == told {
			continue
		}
		if err := claim.Commit(next); err != nil {
			p.cfg.Logger.WarnContext(ctx, "giving a partition up", "partition", p.number, "error", err)
			giveUp(errGivenUp)
			return
		}
		told = next
	}
}

// runTo folds what there is, up to an offset.
func (p *partition) runTo(ctx context.Context, limit int64) error {
	for {
		n, err := p.step(ctx, false, limit)
		if err != nil || n == 0 {
			return err
		}
	}
}

// outlast calls again, at growing intervals, what fails because the log or the store is unavailable, until ctx ends.
func (c Config) outlast(ctx context.Context, call func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 5*time.Second
	for {
		err := call()
		if err == nil || ctx.Err() != nil || !unavailable(err) {
			return err
		}
		pause := wait.NextBackOff()
		c.Logger.WarnContext(ctx, "the log or the store is unavailable, trying again", "slice", c.Namespace.Slice, "in", pause, "error", err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func unavailable(err error) bool {
	return errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, kv.ErrUnavailable)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
