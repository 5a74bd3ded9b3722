package projection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// maxRaw is how much of an unusable record a dead letter carries.
	maxRaw = 256 << 10
	// maxBatchBytes ends a batch: one that has grown this large takes no further record.
	maxBatchBytes = 16 << 20
	// yieldEvery is after how many records a partition that catches up lets go of the processor, some two milliseconds: readers
	// would else wait for the ends of time slices.
	yieldEvery = 256
)

// errSealed means that the partition takes no further record in this generation: another one is about to serve.
var errSealed = errors.New("projection: the partition is sealed in this generation")

// partition folds one partition. It is used by one goroutine at a time, but for what it has folded.
type partition struct {
	cfg    *Config
	number int32
	folded atomic.Int64 // next, for who tells the group of it

	opened bool
	row    []byte // the offset row as it stands in the store; nil where there is none
	next   int64
	end    int64 // of what the log was seen to hold
	reader eventlog.Reader
	fold   Fold // with what it remembers
	tx     Tx   // of the batch that is being folded
}

// open reads the stored offset and makes sure that the log still holds the record before it.
func (p *partition) open(ctx context.Context) error {
	if p.opened {
		return nil
	}
	row, found, err := p.storedRow(ctx)
	if err != nil {
		return err
	}
	first, end, err := p.cfg.Log.Bounds(ctx, p.cfg.Topic, p.number)
	if err != nil {
		return err
	}
	if row.sealed {
		return errSealed
	}
	p.next, p.end, p.row = first, end, nil
	if found {
		if err := p.verify(ctx, row, first, end); err != nil {
			return err
		}
		p.next, p.row = row.next, row.encode()
	}
	if p.reader, err = p.cfg.Log.Open(ctx, p.cfg.Topic, p.number, p.next); err != nil {
		return err
	}
	p.folded.Store(p.next)
	p.fold = p.cfg.Fold
	if r, ok := p.fold.(Remembering); ok {
		p.fold = r.Begin()
	}
	p.opened = true
	p.cfg.Metrics.opened(p, end)
	return nil
}

func (p *partition) storedRow(ctx context.Context) (row offsetRow, found bool, err error) {
	snap, err := p.cfg.Store.Snapshot(ctx, p.cfg.Namespace)
	if err != nil {
		return offsetRow{}, false, err
	}
	defer snap.Close()
	raw, found, err := snap.Get(ctx, offsetKey(p.cfg.Topic, p.number))
	if err != nil || !found {
		return offsetRow{}, false, err
	}
	row, err = decodeOffsetRow(raw)
	return row, true, err
}

// verify reads the record that was applied last once more.
func (p *partition) verify(ctx context.Context, row offsetRow, first, end int64) error {
	mismatch := func(what string) error {
		return fmt.Errorf("%w: %s; restore the log, or drop the read model %q and let it be built again from this log",
			ErrLogMismatch, what, p.cfg.Namespace.Slice)
	}
	last := row.next - 1
	if last < first || row.next > end {
		return mismatch(fmt.Sprintf("%s/%d holds the offsets %d to %d, and %d was applied last", p.cfg.Topic, p.number, first, end-1, last))
	}
	r, err := eventlog.ReadAt(ctx, p.cfg.Log, eventlog.Position{Topic: p.cfg.Topic, Partition: p.number, Offset: last})
	if err != nil {
		return err
	}
	if r.Offset != last || r.Checksum() != row.checksum {
		return mismatch(fmt.Sprintf("%s is another record than the one that was applied", r.Position))
	}
	return nil
}

// close lets go of everything, so that the next step begins with what the store holds.
func (p *partition) close() {
	if p.reader != nil {
		_ = p.reader.Close() // nothing is written through a reader
		p.reader = nil
	}
	p.fold = nil
	p.opened = false
}

// unlimited lets a step take whatever the partition holds.
const unlimited = math.MaxInt64

// step applies one batch of records before the offset limit and returns its length. Without wait it returns 0 at the end of the
// partition, or at the limit.
func (p *partition) step(ctx context.Context, wait bool, limit int64) (n int, err error) {
	defer func() {
		if err != nil {
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
				err = fmt.Errorf("projection: fold %s/%d into %s: %w", p.cfg.Topic, p.number, p.cfg.Namespace.Slice, err)
			}
			p.close()
		}
	}()
	if err := p.open(ctx); err != nil {
		return 0, err
	}
	if !wait {
		if p.next >= p.end {
			if _, p.end, err = p.cfg.Log.Bounds(ctx, p.cfg.Topic, p.number); err != nil {
				return 0, err
			}
		}
		if p.next >= min(p.end, limit) {
			return 0, nil
		}
	}
	records, err := p.reader.Read(ctx, p.cfg.MaxBatch)
	if err != nil {
		return 0, err
	}
	if records[len(records)-1].Offset >= limit {
		defer p.close() // its reader has gone too far
		records = slices.DeleteFunc(records, func(r eventlog.Record) bool { return r.Offset >= limit })
	}
	for n < len(records) {
		folded, err := p.apply(ctx, records[n:])
		if err != nil {
			return n, err
		}
		n += folded
	}
	return n, nil
}

// apply folds the first of the records, as many as fit into a batch, and writes them; it returns how many.
func (p *partition) apply(ctx context.Context, records []eventlog.Record) (int, error) {
	began := time.Now()
	snap, err := p.cfg.Store.Snapshot(ctx, p.cfg.Namespace)
	if err != nil {
		return 0, err
	}
	defer snap.Close()
	tx := &p.tx
	tx.begin(snap)
	defer tx.end()
	ahead, err := p.readAhead(ctx, tx, records)
	if err != nil {
		return 0, err
	}
	if ahead != nil {
		records = records[:len(ahead)]
	}
	var letters []*eventv1.DeadLetter
	n := 0
	for n < len(records) && tx.batch.Size() < maxBatchBytes {
		if n%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
		}
		written := tx.batch.Len()
		if ahead != nil {
			err = ahead[n](ctx, tx)
		} else {
			err = p.fold.Apply(ctx, tx, records[n])
		}
		dead, err := tx.outcome(written, err)
		if err != nil {
			return 0, fmt.Errorf("record %s: %w", records[n].Position, err)
		}
		if dead != nil {
			letters = append(letters, p.letter(records[n], dead))
		}
		n++
	}
	if len(letters) > 0 && p.cfg.DeadLetters != nil {
		if err := p.cfg.DeadLetters.Publish(ctx, letters...); err != nil {
			return 0, err
		}
	}
	last := records[n-1]
	if err := p.write(ctx, &tx.batch, last); err != nil {
		return 0, err
	}
	p.cfg.Progress.Notify()
	p.cfg.Metrics.applied(p, n, len(letters), last.Time, time.Since(began))
	return n, nil
}

// folding is what is left to do of a record that was read ahead.
type folding func(ctx context.Context, tx *Tx) error

// readAhead reads what the records need at once, where the store is far: of as many of the first as may fit into a batch. Else it
// gives nil.
func (p *partition) readAhead(ctx context.Context, tx *Tx, records []eventlog.Record) ([]folding, error) {
	fold, ok := p.fold.(Prefetcher)
	if !ok || !kv.Distant(tx.base) {
		return nil, nil
	}
	folds := make([]folding, 0, len(records))
	var reads [][]byte
	size := 0
	for _, r := range records {
		if size += len(r.Value); size >= maxBatchBytes && len(folds) > 0 {
			break
		}
		keys, apply := fold.Prefetch(r)
		folds, reads = append(folds, apply), append(reads, keys...)
	}
	if len(reads) == 0 {
		return folds, nil
	}
	return folds, tx.prefetch(ctx, reads)
}

// write writes the batch and the offset behind it, unless somebody else has moved the offset.
func (p *partition) write(ctx context.Context, b *kv.Batch, last eventlog.Record) error {
	key := offsetKey(p.cfg.Topic, p.number)
	row := offsetRow{next: last.Offset + 1, checksum: last.Checksum()}.encode()
	b.Require(key, p.row)
	b.Set(key, row)
	err := p.cfg.Store.Apply(ctx, p.cfg.Namespace, b)
	if errors.Is(err, kv.ErrConflict) {
		return ErrFenced
	}
	if err != nil {
		return err
	}
	p.row, p.next = row, last.Offset+1
	p.folded.Store(p.next)
	return nil
}

func (p *partition) letter(r eventlog.Record, dead *DeadError) *eventv1.DeadLetter {
	letter := &eventv1.DeadLetter{
		Reason:  dead.Reason,
		Detail:  dead.Detail,
		Tenant:  dead.Tenant,
		Source:  position(r.Position),
		Slice:   p.cfg.Namespace.Slice,
		At:      timestamppb.New(p.cfg.Now()),
		Raw:     r.Value[:min(len(r.Value), maxRaw)],
		RawSize: int64(len(r.Value)),
	}
	if dead.Winner != nil {
		letter.Winner = position(*dead.Winner)
	}
	return letter
}

func position(p eventlog.Position) *eventv1.Position {
	return &eventv1.Position{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
}
