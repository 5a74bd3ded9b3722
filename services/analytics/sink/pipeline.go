package sink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/kv"
)

// pipeline moves the log into the tables of one generation. While one batch is sent, the next one is read, freed of duplicates, recorded
// and encoded.
type pipeline struct {
	cfg      *Config
	ns       kv.Namespace
	database string // of the tables; empty for the connection's own
	serving  bool   // its tables are the ones that are read
	sources  []*source
	tables   *tables
	memory   *memory
	life     string                  // of the state, which never changes
	report   func([]PartitionStatus) // of what was sent; may be nil

	mu     sync.Mutex // guards the state, which two goroutines write
	state  state
	raw    []byte
	sent   uint64 // number of the last batch that ClickHouse has
	behind []PartitionStatus

	told    time.Time // when progress was written last
	written int64     // what was written then, in microseconds
}

func newPipeline(cfg *Config, generation uint32, sources []*source) *pipeline {
	return &pipeline{
		cfg: cfg, ns: kv.Namespace{Slice: slice, Generation: generation}, sources: sources, tables: newTables(), memory: newMemory(cfg.MemoryBytes),
	}
}

func (p *pipeline) source(topic string, partition int32) *source {
	for _, s := range p.sources {
		if s.topic == topic && s.partition == partition {
			return s
		}
	}
	return nil
}

// load reads the state.
func (p *pipeline) load(ctx context.Context) (err error) {
	if p.state, p.raw, err = loadState(ctx, p.cfg.Store, p.ns); err != nil {
		return err
	}
	if p.raw == nil {
		p.state.Life = rand.Text()
	}
	p.life = p.state.Life
	positions := make([]position, len(p.sources))
	for i, s := range p.sources {
		first, _, err := p.cfg.Log.Bounds(ctx, s.topic, s.partition)
		if err != nil {
			return fmt.Errorf("analytics: read %s/%d: %w", s.topic, s.partition, err)
		}
		positions[i] = position{Topic: s.topic, Partition: s.partition, Next: first}
	}
	for _, at := range p.state.Positions {
		s := p.source(at.Topic, at.Partition)
		if s == nil {
			return fmt.Errorf("%w: there is no %s/%d any more", ErrLogMismatch, at.Topic, at.Partition)
		}
		positions[s.number] = at
	}
	p.state.Positions = positions
	p.sent = p.state.Batch
	p.behind = make([]PartitionStatus, len(positions))
	for i, at := range positions {
		p.behind[i] = PartitionStatus{Topic: at.Topic, Partition: at.Partition, Next: at.Next, End: at.Next, told: at.Next, received: at.Received}
	}
	for _, of := range p.state.Pending { // their records lie behind what was sent
		p.sent = min(p.sent, of.Batch-1)
		for _, at := range of.Ranges {
			s := p.source(at.Topic, at.Partition)
			if s == nil {
				return fmt.Errorf("%w: there is no %s/%d any more", ErrLogMismatch, at.Topic, at.Partition)
			}
			behind := &p.behind[s.number]
			behind.Next, behind.received = min(behind.Next, at.First), 0
			behind.told = behind.Next
		}
	}
	return nil
}

// open reads the state, makes sure that the log and ClickHouse are those that it is about, and sends what may not have arrived.
func (p *pipeline) open(ctx context.Context) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	for i, at := range p.state.Positions {
		if at.Checksum == 0 { // nothing was read
			continue
		}
		if err := p.sources[i].verify(ctx, p.cfg.Log, at); err != nil {
			return err
		}
	}
	if err := p.check(ctx); err != nil {
		return err
	}
	for _, of := range p.state.Pending {
		b, err := p.restore(ctx, of)
		if err != nil {
			return err
		}
		p.cfg.Logger.InfoContext(ctx, "sending again what may not have reached ClickHouse", "batch", b.number, "events", len(b.events))
		if err := p.send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// write writes the state as change leaves it, along with other keys. It fails with errFenced where somebody else has written it.
func (p *pipeline) write(ctx context.Context, b *kv.Batch, change func(*state)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.state
	next.Pending = nil
	for _, of := range p.state.Pending {
		if of.Batch > p.sent {
			next.Pending = append(next.Pending, of)
		}
	}
	change(&next)
	raw, err := next.encode()
	if err != nil {
		return fmt.Errorf("analytics: record a batch: %w", err)
	}
	b.Require(stateKey(), p.raw)
	b.Set(stateKey(), raw)
	err = p.cfg.Store.Apply(ctx, p.ns, b)
	if errors.Is(err, kv.ErrConflict) {
		return errFenced
	}
	if err != nil {
		return fmt.Errorf("analytics: record a batch: %w", err)
	}
	p.state, p.raw = next, raw
	return nil
}

// run moves events until ctx ends, or everything before a goal has arrived; nil goes on for ever. It begins with what the store holds,
// so that it can be called again after an error.
func (p *pipeline) run(ctx context.Context, goal []int64) error {
	p.memory = newMemory(p.cfg.MemoryBytes)
	if err := p.open(ctx); err != nil {
		return err
	}
	outer := ctx
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	chunks := make(chan *chunk)
	batches := make(chan *batch)
	for i, s := range p.sources {
		next := p.state.Positions[i].Next
		g.Go(func() error {
			return s.read(ctx, p.cfg.Log, next, min(maxChunk, p.cfg.MaxRows), chunks)
		})
	}
	g.Go(func() error {
		if err := p.sender(ctx, batches); err != nil {
			return err // before the others end: theirs would be taken for the cause
		}
		stop() // the goal is reached
		return context.Canceled
	})
	g.Go(func() error { return p.prepare(ctx, chunks, batches, goal) })
	err := g.Wait()
	if outer.Err() == nil && errors.Is(err, context.Canceled) && goal != nil && p.reached(goal) && p.settled() {
		return p.rest(outer)
	}
	return err
}

// reached tells whether everything before a goal is in a batch.
func (p *pipeline) reached(goal []int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.state.Positions {
		if at.Next < goal[i] {
			return false
		}
	}
	return true
}

// settled tells whether all batches have arrived.
func (p *pipeline) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent == p.state.Batch
}

// prepare makes batches of chunks, records them and hands them over. Where it closes the channel, the goal is reached.
func (p *pipeline) prepare(ctx context.Context, chunks <-chan *chunk, batches chan<- *batch, goal []int64) error {
	writes := &kv.Batch{}
	for goal == nil || !p.reached(goal) {
		b, err := p.gather(ctx, chunks, goal)
		if err != nil {
			return err
		}
		b.order()
		writes.Reset()
		duplicates, err := p.dedupe(ctx, b, writes)
		if err != nil {
			return err
		}
		err = p.write(ctx, writes, func(s *state) {
			s.Batch++
			b.number = s.Batch
			s.Positions = advance(s.Positions, b)
			s.Pending = append(s.Pending, pending{Batch: b.number, Ranges: b.ranges()})
		})
		if err != nil {
			return err
		}
		p.cfg.Metrics.prepared(b, duplicates)
		b.inserts = p.tables.inserts(p.database, b)
		for _, rows := range b.inserts {
			p.cfg.Warehouse.Ready(rows)
		}
		select {
		case batches <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	close(batches)
	return nil
}

// advance gives the positions behind a batch.
func advance(positions []position, b *batch) []position {
	next := append([]position(nil), positions...)
	for _, c := range b.chunks {
		at := &next[c.source.number]
		at.Next, at.Checksum = c.span.Next, c.last.Checksum()
		if c.received != 0 {
			at.Received = c.received
		}
	}
	return next
}

// gather collects chunks until a batch is full, or old enough, or the goal is reached. While nothing comes and all is sent, it notes that.
func (p *pipeline) gather(ctx context.Context, chunks <-chan *chunk, goal []int64) (*batch, error) {
	b := &batch{}
	missing := p.missing(goal)
	timer := time.NewTimer(p.cfg.MaxAge)
	defer timer.Stop()
	for b.records+min(maxChunk, p.cfg.MaxRows) <= p.cfg.MaxRows && b.bytes < p.cfg.MaxBytes {
		select {
		case c := <-chunks:
			if b.records == 0 {
				b.began = time.Now()
				timer.Reset(p.cfg.MaxAge)
			}
			b.add(c)
			if goal != nil {
				if delete(missing, c.source.number); c.span.Next < goal[c.source.number] {
					missing[c.source.number] = true
				}
				if len(missing) == 0 {
					return b, nil
				}
			}
		case <-timer.C:
			if b.records > 0 {
				return b, nil
			}
			if err := p.rest(ctx); err != nil {
				return nil, err
			}
			timer.Reset(p.cfg.MaxAge)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return b, nil
}

// missing are the partitions of which a goal is not reached.
func (p *pipeline) missing(goal []int64) map[int]bool {
	missing := map[int]bool{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range goal {
		if p.state.Positions[i].Next < goal[i] {
			missing[i] = true
		}
	}
	return missing
}

// rest notes that everything was sent, once.
func (p *pipeline) rest(ctx context.Context) error {
	p.mu.Lock()
	idle := len(p.state.Pending) > 0 && p.sent == p.state.Batch
	p.mu.Unlock()
	if !idle {
		return nil
	}
	return p.write(ctx, &kv.Batch{}, func(*state) {})
}
