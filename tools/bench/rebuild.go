package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/timeline"
)

func measureRebuild(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Rebuild: a new generation while the old one serves",
		Text: fmt.Sprintf(`How fast a log of %s events becomes a second timeline in the same store, until it serves, while the first one is live and
answers one reader after another. Ceiling: the bare loop of the fold without synchronising with the disk. The state hash covers
every key and value that the fold has written.`, count(b.Events)),
		Columns: []string{"log", "contender", "events", "of ceiling", "reads meanwhile p50", "p99", "state"},
	}
	_, err := b.onMain(ctx, func(log *broker) (err error) {
		if err := b.fillNew(ctx, log, b.Events); err != nil {
			return err
		}
		bare, err := b.bareLoop(ctx, log, pebble.NoSync)
		if err != nil {
			return err
		}
		ceiling := rateOf(b.Events, bare.took)
		t.row(log.name, "ceiling: bare loop without sync", ceiling.String(), ceiling.of(ceiling), none, none, none)
		l, err := openLog(ctx, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		store, _, remove, err := onPebble().open(ctx, b)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
		if err := foldAll(ctx, l, store, 1); err != nil {
			return err
		}
		took, reads, err := b.rebuild(ctx, l, store)
		if err != nil {
			return err
		}
		state, err := compareGenerations(ctx, store)
		if err != nil {
			return err
		}
		r := rateOf(b.Events, took)
		t.row(log.name, "**Skein on "+onPebble().name+"**", r.String(), r.of(ceiling), show(reads.at(0.5)), show(reads.at(0.99)), state)
		return nil
	})
	return t, err
}

// rebuild builds the second generation while the first one serves a reader.
func (b *bench) rebuild(ctx context.Context, l eventlog.Log, store kv.Store) (took time.Duration, reads delays, err error) {
	cfg := timelines().config(l, store, &projection.Progress{})
	manager, err := projection.NewManager(ctx, cfg, 0)
	if err != nil {
		return 0, nil, err
	}
	mctx, stop := context.WithCancel(ctx)
	defer stop()
	managed := make(chan error, 1)
	go func() { managed <- manager.Run(mctx) }()
	err = b.withReader(ctx, store, timeline.Links{}, func(r *reader) error {
		rctx, enough := context.WithCancel(ctx)
		defer enough()
		type read struct {
			all delays
			err error
		}
		ended := make(chan read, 1)
		go func() {
			all, err := r.calmly(rctx)
			ended <- read{all, err}
		}()
		began := time.Now()
		err := manager.Rebuild(ctx, nil)
		took = time.Since(began)
		enough()
		meanwhile := <-ended
		reads = meanwhile.all.sort()
		return errors.Join(err, meanwhile.err)
	})
	stop()
	return took, reads, errors.Join(err, <-managed)
}

// calmly reads until ctx ends, as one person does who thinks in between, not as one who takes a core.
func (r *reader) calmly(ctx context.Context) (all delays, err error) {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		if err := r.list(ctx, i); err != nil {
			if ctx.Err() != nil {
				break
			}
			return all, err
		}
		all = append(all, time.Since(began))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return all, nil
}

// compareGenerations tells whether the first two are the same: what the fold has written, and how far it was applied. The
// note by which the old one takes nothing more is not a part of that.
func compareGenerations(ctx context.Context, store kv.Store) (string, error) {
	var hashes []kv.Digest
	var applied []projection.Vector
	for generation := range uint32(2) {
		ns := namespace()
		ns.Generation += generation
		snap, err := store.Snapshot(ctx, ns)
		if err != nil {
			return "", err
		}
		h, err := kv.Hash(ctx, folds{snap})
		if err == nil {
			var v projection.Vector
			v, err = projection.Applied(ctx, snap, foldTopic, partitions)
			hashes, applied = append(hashes, h), append(applied, v)
		}
		snap.Close()
		if err != nil {
			return "", err
		}
	}
	if hashes[0] != hashes[1] || !maps.Equal(applied[0], applied[1]) {
		return "", fmt.Errorf("the generations differ: %s at %v, rebuilt %s at %v", hashes[0], applied[0], hashes[1], applied[1])
	}
	return fmt.Sprintf("equal: %s keys, %x…", count(int(hashes[0].Keys)), hashes[0].SHA256[:4]), nil
}

// folds shows of a generation what its fold has written: all but the keys that begin with a zero.
type folds struct{ kv.Reader }

// Scan implements kv.Reader.
func (f folds) Scan(ctx context.Context, r kv.Range) (kv.Iterator, error) {
	if len(r.Start) == 0 {
		r.Start = []byte{1}
	}
	return f.Reader.Scan(ctx, r)
}
