package sink

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// stream is the name under which the sink says how far it is.
	stream = "events"
	// inFlight is how long an event may be on its way into the log after it was received: of the end of a partition that was seen at a moment,
	// this much is not certain yet.
	inFlight = time.Second
	// repeatProgress is after how many looks progress is written though no record came: time goes on, too.
	repeatProgress = 5
	// parallelLooks is how many partitions are looked at together.
	parallelLooks = 8
)

// PartitionStatus is how far a partition is contained in ClickHouse.
type PartitionStatus struct {
	Topic     string
	Partition int32
	// Next is the offset behind the last record that is contained; End the one behind the last of the log, when it was looked at.
	Next, End int64
	// CompleteUntil is the moment before which everything that was received is contained.
	CompleteUntil time.Time

	told     int64 // the Next that ClickHouse knows of
	received int64 // when the last event was, in microseconds
	seen     time.Time
}

// Partition names a partition of the log.
type Partition struct {
	Topic     string
	Partition int32
}

// progressRow is a row of progress.
type progressRow struct {
	PartitionStatus
	written int64
}

// look is where the partitions ended at a moment.
type look struct {
	at   time.Time
	ends []int64
}

// look looks at the ends of the partitions, again and again.
func (p *pipeline) look(ctx context.Context, looks chan<- look) {
	tick := time.NewTicker(p.cfg.LookEvery)
	defer tick.Stop()
	for told := false; ; {
		l := look{at: p.cfg.Now(), ends: make([]int64, len(p.sources))}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(parallelLooks)
		for i, s := range p.sources {
			g.Go(func() (err error) {
				_, l.ends[i], err = p.cfg.Log.Bounds(gctx, s.topic, s.partition)
				return err
			})
		}
		err := g.Wait()
		if err == nil {
			select {
			case looks <- l:
			case <-ctx.Done():
				return
			}
		} else if ctx.Err() == nil && !told {
			p.cfg.Logger.WarnContext(ctx, "cannot see where the log ends, trying again", "error", err)
		}
		told = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// seenEnds takes a look in, and tells of it where something changed, or from time to time.
func (p *pipeline) seenEnds(ctx context.Context, l look) error {
	p.mu.Lock()
	for i := range p.behind {
		p.behind[i].End, p.behind[i].seen = l.ends[i], l.at
	}
	p.mu.Unlock()
	if l.at.Sub(p.told) < repeatProgress*p.cfg.LookEvery && !p.told.IsZero() && !l.at.Before(p.told) {
		p.publish()
		return nil
	}
	return p.tell(ctx)
}

// publish makes the status what is known.
func (p *pipeline) publish() []PartitionStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.cfg.Now()
	for i := range p.behind {
		at := &p.behind[i]
		until := min(at.received, now.UnixMicro())
		if !at.seen.IsZero() && at.Next >= at.End {
			until = max(until, at.seen.Add(-inFlight).UnixMicro())
		}
		at.CompleteUntil = time.UnixMicro(until).UTC()
	}
	rows := append([]PartitionStatus(nil), p.behind...)
	if p.report != nil {
		p.report(rows)
	}
	return rows
}

// tell writes how far the partitions are contained.
func (p *pipeline) tell(ctx context.Context) error {
	behind := p.publish()
	now := p.cfg.Now()
	p.mu.Lock()
	p.written = max(now.UnixMicro(), p.written+1) // of two rows the later one counts, whatever the clocks say
	written := p.written
	p.mu.Unlock()
	rows := make([]progressRow, len(behind))
	for i, at := range behind {
		rows[i] = progressRow{PartitionStatus: at, written: written}
	}
	if err := p.until(ctx, tableProgress+"/"+rand.Text(), p.tables.progress.of(p.database, rows), nil); err != nil {
		return err
	}
	p.mu.Lock()
	for i, at := range behind {
		p.behind[i].told = at.Next
	}
	p.mu.Unlock()
	p.told = now
	return nil
}

// ErrWarehouseMismatch means that ClickHouse does not hold what the sink sent: it or the store was dropped or restored from a backup. The sink
// then makes the tables anew.
var ErrWarehouseMismatch = errors.New("analytics: ClickHouse does not hold what was sent to it")

// check compares what ClickHouse says that it contains with what was sent, once it answers.
func (p *pipeline) check(ctx context.Context) error {
	return p.cfg.persist(ctx, tableProgress, func() error { return p.compare(ctx) }, func(err error) bool {
		return errors.Is(err, ErrWarehouseMismatch) || errors.Is(err, errFenced) || errors.Is(err, kv.ErrUnavailable)
	})
}

// compare compares what the database of its tables says that it contains with what was sent.
func (p *pipeline) compare(ctx context.Context) error {
	contained, written, err := p.cfg.Warehouse.Contained(ctx, p.database)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = max(p.written, written.UnixMicro())
	if p.sent > 0 && len(contained) == 0 {
		return fmt.Errorf("%w: it contains nothing, and %d batches were sent: it was dropped", ErrWarehouseMismatch, p.sent)
	}
	for i, s := range p.sources {
		next, ok := contained[Partition{s.topic, s.partition}]
		sent, recorded := p.behind[i].told, p.state.Positions[i].Next
		switch {
		case ok && next > recorded:
			if _, raw, err := loadState(ctx, p.cfg.Store, p.ns); err != nil || !bytes.Equal(raw, p.raw) {
				return cmp.Or(err, errFenced)
			}
			return fmt.Errorf("%w: it contains %s/%d up to %d, and the store knows only of %d: the store was dropped or restored",
				ErrWarehouseMismatch, s.topic, s.partition, next, recorded)
		case p.sent > 0 && next < sent && p.state.Positions[i].Checksum != 0 && (ok || sent == recorded):
			return fmt.Errorf("%w: it contains %s/%d up to %d, and %d was sent: it was dropped or restored",
				ErrWarehouseMismatch, s.topic, s.partition, next, sent)
		}
	}
	return nil
}
