package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/timeline"
)

// foldTopic is the filled log, as reads know it.
const foldTopic = event.TopicInteractions

// storeEngine is a kind of store.
type storeEngine struct {
	name string
	// share of the log that is folded: a slow engine gets less to do.
	share float64
	// open makes an empty store; disk tells what it takes, 0 where that is not known; remove ends it.
	open func(ctx context.Context, b *bench) (store kv.Store, disk func() (int64, error), remove func() error, err error)
}

// onPebble is the store that one process has.
func onPebble() storeEngine { return storeEngine{"Pebble", 1, openPebble} }

// stores are those that the fold is measured on.
func (b *bench) stores() []storeEngine {
	all := []storeEngine{onPebble()}
	if b.PostgreSQL {
		all = append(all, storeEngine{"PostgreSQL", 0.2, openPostgreSQL})
	}
	return all
}

func openPebble(_ context.Context, b *bench) (store kv.Store, disk func() (int64, error), remove func() error, err error) {
	dir := b.newDir()
	s, err := pebblekv.Open(dir, pebblekv.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	disk = func() (int64, error) { return diskBytes(dir) }
	return s, disk, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

// HasPostgreSQL tells whether this machine can run a PostgreSQL server.
func HasPostgreSQL() bool {
	server, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		return false
	}
	server.Close()
	return true
}

// openPostgreSQL starts a server of its own, with the settings that it comes with.
func openPostgreSQL(ctx context.Context, _ *bench) (store kv.Store, disk func() (int64, error), remove func() error, err error) {
	server, err := pgtest.Start(pgtest.Options{}) //nolint:contextcheck // it takes no context
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := pgkv.Open(ctx, server.DSN(), pgkv.Options{})
	if err != nil {
		server.Close()
		return nil, nil, nil, err
	}
	disk = func() (int64, error) { return 0, nil }
	return s, disk, func() error { //nolint:contextcheck // nor does this
		defer server.Close()
		return s.Close()
	}, nil
}

func measureFold(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Fold: log to queryable timeline",
		Text: fmt.Sprintf(`How fast a log of %s events becomes a timeline, deduplicated, with its watchers' changes and the place in the log in the same
atomic write, synchronised with the disk at each batch. Ceiling: a bare loop for each partition that reads by kafka-go's
connection to the leader, decodes the Protobuf envelope and writes the same keys to Pebble with the same settings, synchronised
every %s events, which are sorted; it looks nothing up and checks nothing. Peer: a goka processor whose group table keeps the last event of each thread,
one key an event, in LevelDB and in a changelog topic. The contenders take turns (%d each, the median counts).`,
			count(b.Events), count(projection.DefaultMaxBatch), b.Turns),
		Columns: []string{"log", "contender", "events", "of ceiling", "allocations per event", "store bytes per event", "log bytes per event"},
	}
	for _, e := range b.engines() {
		err := b.withBroker(ctx, e, func(log *broker) error { return b.foldOn(ctx, t, log) })
		if err != nil {
			return nil, fmt.Errorf("on %s: %w", e.name, err)
		}
	}
	return t, nil
}

func (b *bench) foldOn(ctx context.Context, t *Table, log *broker) error {
	if err := b.fillNew(ctx, log, b.Events); err != nil {
		return err
	}
	onDisk, err := diskBytes(log.dataDir)
	if err != nil {
		return err
	}
	contenders := []struct {
		name string
		run  func() (folded, error)
	}{{"ceiling: bare loop", func() (folded, error) { return b.bareLoop(ctx, log, pebble.Sync) }}}
	for _, s := range b.stores() {
		contenders = append(contenders, struct {
			name string
			run  func() (folded, error)
		}{"**Skein on " + s.name + "**", func() (folded, error) { return b.fold(ctx, log, s, timelines()) }})
	}
	contenders = append(contenders, struct {
		name string
		run  func() (folded, error)
	}{"peer: goka", func() (folded, error) { return b.gokaTable(ctx, log) }})
	rates := make([][]rate, len(contenders))
	last := make([]folded, len(contenders))
	for turn := range b.Turns {
		for i, c := range contenders {
			f, err := c.run()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			r := rateOf(f.events, f.took)
			b.say("  %s, turn %d: %s: %s", log.name, turn+1, c.name, r)
			rates[i], last[i] = append(rates[i], r), f
		}
	}
	for i, c := range contenders {
		r := median(rates[i])
		t.row(log.name, c.name, r.String(), r.of(median(rates[0])), last[i].perEvent(float64(last[i].allocations)),
			last[i].perEvent(float64(last[i].disk)), fmt.Sprintf("%.0f", float64(onDisk)/float64(b.Events)))
	}
	p, err := profiled(func() error {
		_, err := b.fold(ctx, log, onPebble(), timelines())
		return err
	})
	if err != nil {
		return err
	}
	t.profile("the fold on Pebble from "+log.name, p)
	return nil
}

// folded is what one turn gave.
type folded struct {
	events      int
	took        time.Duration
	allocations uint64
	disk        int64 // 0 where it is not known
}

func (f folded) perEvent(v float64) string {
	switch {
	case v == 0:
		return none
	case v/float64(f.events) < 100:
		return fmt.Sprintf("%.1f", v/float64(f.events))
	}
	return fmt.Sprintf("%.0f", v/float64(f.events))
}

// timed counts time and allocations of this process.
func timed(run func() error) (f folded, err error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	err = run()
	f.took = time.Since(began)
	runtime.ReadMemStats(&after)
	f.allocations = after.Mallocs - before.Mallocs
	return f, err
}

// fillNew creates the topic that is folded and appends events to it.
func (b *bench) fillNew(ctx context.Context, log *broker, n int) error {
	b.say("  filling a log with %s events ...", count(n))
	l, err := openLog(ctx, log, foldTopic)
	if err != nil {
		return err
	}
	return errors.Join(b.events.fill(ctx, l, 0, n), l.Close())
}

// fold folds the whole log into read models of a new store, all at the same time.
func (b *bench) fold(ctx context.Context, log *broker, s storeEngine, models ...slice) (f folded, err error) {
	l, err := openLog(ctx, log)
	if err != nil {
		return folded{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	store, disk, remove, err := s.open(ctx, b)
	if err != nil {
		return folded{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	f, err = timed(func() error {
		g, gctx := errgroup.WithContext(ctx)
		for _, m := range models {
			g.Go(func() error { return foldSlice(gctx, l, store, m, s.share) })
		}
		return g.Wait()
	})
	if err == nil {
		f.events = int(s.share * float64(b.Events))
		f.disk, err = disk()
	}
	return f, err
}

// namespace is where the timeline is folded into.
func namespace() kv.Namespace { return timelines().namespace() }

// slice is a read model that is folded from a topic.
type slice struct {
	name, topic string
	fold        projection.Fold
}

// timelines is the read model of timelines.
func timelines() slice { return slice{timeline.Slice, foldTopic, timeline.NewFold(partitions)} }

func (s slice) namespace() kv.Namespace { return kv.Namespace{Slice: s.name, Generation: 1} }

func (s slice) config(l eventlog.Log, store kv.Store, progress *projection.Progress) projection.Config {
	return projection.Config{Log: l, Store: store, Namespace: s.namespace(), Topic: s.topic, Fold: s.fold, Progress: progress}
}

// foldAll folds a share of what the log holds by now into the timeline.
func foldAll(ctx context.Context, l eventlog.Log, store kv.Store, share float64) error {
	return foldSlice(ctx, l, store, timelines(), share)
}

// foldSlice folds a share of what the log holds by now.
func foldSlice(ctx context.Context, l eventlog.Log, store kv.Store, s slice, share float64) error {
	var progress projection.Progress
	runner, err := projection.NewRunner(ctx, s.config(l, store, &progress))
	if err != nil {
		return err
	}
	defer runner.Close()
	ends, err := lastPositions(ctx, l, s.topic)
	if err != nil {
		return err
	}
	for i := range ends {
		ends[i].Offset = int64(share * float64(ends[i].Offset))
	}
	rctx, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() {
		ran <- runner.Run(rctx)
		stop() // the waiting below is in vain then
	}()
	err = projection.Wait(rctx, store, s.namespace(), s.topic, ends, &progress)
	stop()
	if failed := <-ran; failed != nil {
		return failed
	}
	return err
}

// lastPositions are those of the last record of each partition of a topic.
func lastPositions(ctx context.Context, l eventlog.Log, topic string) ([]eventlog.Position, error) {
	var ends []eventlog.Position
	for p := range int32(partitions) {
		first, next, err := l.Bounds(ctx, topic, p)
		if err != nil {
			return nil, err
		}
		if next > first {
			ends = append(ends, eventlog.Position{Topic: topic, Partition: p, Offset: next - 1})
		}
	}
	return ends, nil
}

// bareLoop is the least that a fold can cost.
func (b *bench) bareLoop(ctx context.Context, log *broker, write *pebble.WriteOptions) (f folded, err error) {
	l, err := openLog(ctx, log)
	if err != nil {
		return folded{}, err
	}
	ends, err := lastPositions(ctx, l, foldTopic)
	if err := errors.Join(err, l.Close()); err != nil {
		return folded{}, err
	}
	dir := b.newDir()
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return folded{}, err
	}
	db, err := pebble.Open(dir, pebbleOptions())
	if err != nil {
		return folded{}, err
	}
	defer func() { err = errors.Join(err, db.Close(), os.RemoveAll(dir)) }()
	f, err = timed(func() error {
		g, gctx := errgroup.WithContext(ctx)
		for _, end := range ends {
			g.Go(func() error { return bareLoop1(gctx, log, db, write, end) })
		}
		return g.Wait()
	})
	if err == nil {
		f.events = b.Events
		f.disk, err = diskBytes(dir)
	}
	return f, err
}

// pebbleOptions are those of Skein's store.
func pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}, CacheSize: 384 << 20,
		MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4, L0CompactionThreshold: 2, L0StopWritesThreshold: 20,
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 2 },
	}
	o.Levels[0].BlockSize, o.Levels[0].IndexBlockSize = 16<<10, 64<<10
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	o.TargetFileSizes[0] = 2 << 20
	for i := 1; i < len(o.TargetFileSizes); i++ {
		o.TargetFileSizes[i] = min(2*o.TargetFileSizes[i-1], 32<<20)
	}
	return o
}

// quiet hears nothing. What is fatal to Pebble shows as the failure of the call.
type quiet struct{}

// Infof implements pebble.Logger.
func (quiet) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (quiet) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (quiet) Fatalf(string, ...any) {}

// bareLoop1 folds a partition up to a position.
func bareLoop1(ctx context.Context, log *broker, db *pebble.DB, write *pebble.WriteOptions, end eventlog.Position) (err error) {
	conn, err := kafka.DialLeader(ctx, "tcp", log.addr, end.Topic, int(end.Partition))
	if err != nil {
		return fmt.Errorf("dial the leader: %w", err)
	}
	defer conn.Close() //nolint:errcheck // nothing is written
	batch := &bareBatch{}
	n := 0
	flush := func() error {
		batch.set(bareKey(nil, 'o', nil, end.Partition, 0), binary.BigEndian.AppendUint64(nil, uint64(n)))
		return batch.commit(db, write)
	}
	e := &eventv1.Event{}
	var key, value []byte
	for last := int64(-1); last < end.Offset; {
		records := conn.ReadBatch(1, 1<<20)
		for last < end.Offset {
			m, err := records.ReadMessage()
			if err != nil {
				break // the end of the answer, or what Close tells
			}
			proto.Reset(e)
			if err := proto.Unmarshal(m.Value, e); err != nil {
				return fmt.Errorf("decode: %w", err)
			}
			if key, value, err = bareWrite(batch, e, m, key, value); err != nil {
				return err
			}
			last = m.Offset
			if n++; n%projection.DefaultMaxBatch == 0 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := records.Close(); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return flush()
}

// bareBatch collects keys, to write them in ascending order, which is faster.
type bareBatch struct {
	bytes []byte
	sets  []bareSet
}

// bareSet is where a key begins in the bytes, where its value begins, and where that ends.
type bareSet struct{ key, value, end int }

func (b *bareBatch) set(key, value []byte) {
	begin := len(b.bytes)
	b.bytes = append(append(b.bytes, key...), value...)
	b.sets = append(b.sets, bareSet{begin, begin + len(key), len(b.bytes)})
}

func (b *bareBatch) commit(db *pebble.DB, write *pebble.WriteOptions) error {
	key := func(s bareSet) []byte { return b.bytes[s.key:s.value] }
	slices.SortFunc(b.sets, func(x, y bareSet) int { return bytes.Compare(key(x), key(y)) })
	batch := db.NewBatchWithSize(len(b.bytes) + 8*len(b.sets))
	for _, s := range b.sets {
		if err := batch.Set(key(s), b.bytes[s.value:s.end], nil); err != nil {
			return err
		}
	}
	b.bytes, b.sets = b.bytes[:0], b.sets[:0]
	return errors.Join(batch.Commit(write), batch.Close())
}

// bareWrite writes the four keys that a fold writes of an event.
func bareWrite(batch *bareBatch, e *eventv1.Event, m kafka.Message, key, value []byte) (reusedKey, reusedValue []byte, err error) {
	thread, err := event.ParseID(e.GetThreadId())
	if err != nil {
		return nil, nil, err
	}
	id, err := event.ParseID(e.GetId())
	if err != nil {
		return nil, nil, err
	}
	var endpoint event.ID
	for _, p := range e.GetParties() {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER {
			if endpoint, err = event.ParseID(p.GetEndpointId()); err != nil {
				return nil, nil, err
			}
		}
	}
	key = append(bareKey(key, 's', &thread, -1, 0), id[:]...)
	value = append(binary.BigEndian.AppendUint64(value[:0], uint64(m.Offset)), e.GetDigest()...)
	batch.set(key, value)
	key = bareMoment(bareKey(key, 'h', &thread, -1, 0), e, m)
	value = append(append(value[:0], 0), endpoint[:]...)
	batch.set(key, value)
	key = bareMoment(bareKey(key, 't', &endpoint, -1, 0), e, m)
	value = append(binary.AppendUvarint(value[:0], uint64(m.Offset)), m.Value...)
	batch.set(key, value)
	key = bareKey(key, 'c', nil, int32(m.Partition), m.Offset)
	value = bareMoment(append(append(append(value[:0], 7), tenant...), thread[:]...), e, m)
	value = append(value, endpoint[:]...)
	batch.set(key, value)
	return key, value, err
}

// bareKey is a key as long as the fold's.
func bareKey(b []byte, space byte, id *event.ID, partition int32, offset int64) []byte {
	b = append(append(b[:0], 8), "timeline"...)
	b = binary.BigEndian.AppendUint32(b, 1)
	if id == nil {
		b = binary.BigEndian.AppendUint32(append(b, space), uint32(partition))
		return binary.BigEndian.AppendUint64(b, uint64(offset))
	}
	b = append(append(b, 1, byte(len(tenant))), tenant...)
	return append(append(b, space), id[:]...)
}

func bareMoment(b []byte, e *eventv1.Event, m kafka.Message) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.GetOccurredAt().AsTime().UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.GetReceivedAt().AsTime().UnixNano()))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(m.Offset))
}
