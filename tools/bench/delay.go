package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

func measureDelay(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Delay: produced to readable",
		Text: `Events at a steady pace appended to the log while the fold is live: the time from when an event was due to its acknowledgement,
and to the first look at the store that finds it applied. A pace that is not kept, or with which a hundredth waits for more than a
second, is halved until it is.`,
		Columns: []string{"log", "pace", "acknowledged p50", "p99", "readable p50", "p99", "p99.9", "max"},
	}
	for _, e := range b.engines() {
		err := b.withBroker(ctx, e, func(log *broker) error {
			var acknowledged delays
			readable, perSecond, err := b.halving(ctx, func(perSecond int) (kept bool, d delays, err error) {
				kept, acknowledged, d, err = b.pacedFold(ctx, log, perSecond)
				return kept, d, err
			})
			if err == nil {
				t.row(e.name, rate(perSecond).String(), show(acknowledged.at(0.5)), show(acknowledged.at(0.99)),
					show(readable.at(0.5)), show(readable.at(0.99)), show(readable.at(0.999)), show(readable.at(1)))
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("on %s: %w", e.name, err)
		}
	}
	return t, nil
}

// pacedFold appends while the fold runs.
func (b *bench) pacedFold(ctx context.Context, log *broker, perSecond int) (kept bool, acknowledged, readable delays, err error) {
	l, err := openLog(ctx, log, foldTopic)
	if err != nil {
		return false, nil, nil, err
	}
	defer func() { err = errors.Join(err, l.Close(), dropTopics(ctx, log, foldTopic)) }()
	store, _, remove, err := onPebble().open(ctx, b)
	if err != nil {
		return false, nil, nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	var progress projection.Progress
	runner, err := projection.NewRunner(ctx, timelines().config(l, store, &progress))
	if err != nil {
		return false, nil, nil, err
	}
	defer runner.Close()
	rctx, stop := context.WithCancel(ctx)
	defer stop()
	ran, looked := make(chan error, 1), make(chan error, 1)
	go func() { ran <- runner.Run(rctx) }()
	seen := &sightings{}
	go func() { looked <- seen.watch(rctx, store, &progress) }()

	kept, err = b.pacedAppend(ctx, l, perSecond, seen)
	if err == nil {
		err = seen.await(ctx)
	}
	stop()
	err = errors.Join(err, <-ran, <-looked)
	return kept, seen.acknowledged.sort(), seen.readable.sort(), err
}

// pacedAppend appends at a pace, and waits for the acknowledgements.
func (b *bench) pacedAppend(ctx context.Context, l *kafkalog.Log, perSecond int, seen *sightings) (kept bool, err error) {
	messages := make([]eventlog.Message, int(float64(perSecond)*b.Each.Seconds())+perSecond)
	for i := range messages {
		if messages[i], err = b.events.message(foldTopic, i); err != nil {
			return false, err
		}
	}
	var all sync.WaitGroup
	kept, err = pace(ctx, perSecond, b.Each, func(from, to int, at time.Time) error {
		for ; from < to; from++ {
			all.Add(1)
			err := l.Append(ctx, messages[from], func(p eventlog.Position, err error) {
				seen.appended(p, at, err)
				all.Done()
			})
			if err != nil {
				all.Done()
				return err
			}
		}
		return nil
	})
	all.Wait()
	return kept, errors.Join(err, seen.err())
}

// sightings notes when events became readable.
type sightings struct {
	mu                     sync.Mutex
	applied                projection.Vector
	waiting                [partitions][]sighting // in the order of their offsets
	acknowledged, readable delays
	failed                 error
	empty                  chan struct{} // closed when nothing waits any more, once somebody waits for that
}

type sighting struct {
	offset int64
	due    time.Time
}

func (s *sightings) appended(p eventlog.Position, due time.Time, err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = errors.Join(s.failed, err)
		return
	}
	s.acknowledged = append(s.acknowledged, now.Sub(due))
	if s.applied.Includes(p.Partition, p.Offset) { // it was seen before its acknowledgement came
		s.readable = append(s.readable, now.Sub(due))
		return
	}
	s.waiting[p.Partition] = append(s.waiting[p.Partition], sighting{p.Offset, due})
}

func (s *sightings) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// watch looks at the store whenever something was applied.
func (s *sightings) watch(ctx context.Context, store kv.Store, progress *projection.Progress) error {
	for {
		changed := progress.Changed()
		if err := s.look(ctx, store); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was asked to end
			}
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *sightings) look(ctx context.Context, store kv.Store) error {
	snap, err := store.Snapshot(ctx, namespace())
	if err != nil {
		return err
	}
	defer snap.Close()
	applied, err := projection.Applied(ctx, snap, foldTopic, partitions)
	if err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = applied
	left := 0
	for p := range s.waiting {
		n := 0
		for n < len(s.waiting[p]) && applied.Includes(int32(p), s.waiting[p][n].offset) {
			s.readable = append(s.readable, now.Sub(s.waiting[p][n].due))
			n++
		}
		s.waiting[p] = slices.Delete(s.waiting[p], 0, n)
		left += len(s.waiting[p])
	}
	if left == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	return nil
}

// await waits until everything is readable.
func (s *sightings) await(ctx context.Context) error {
	s.mu.Lock()
	left := 0
	for _, w := range s.waiting {
		left += len(w)
	}
	if left == 0 {
		s.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	s.empty = empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("%d events were not readable in time", left)
	}
}
