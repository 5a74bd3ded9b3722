package search

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
)

const (
	// chunk is how many records of a partition are read at once.
	chunk = 256
	// What a batch holds at most: of rows, while events come as they happen and while the index catches up, and in bytes.
	maxLive, maxBehind, maxBytes = 1000, 8000, 16 << 20
	// lingerBehind is how long a batch may be filled while the index catches up.
	lingerBehind = 2 * time.Second
	// maxUnwritten is how long it may take until it is written how far the log was read, where there was nothing to index.
	maxUnwritten = 5 * time.Second
	// lagEvery is how often it is measured how far the index is behind, and tellEvery how often that is told while it is far.
	lagEvery, tellEvery = time.Second, 10 * time.Second
	// far is how many records that is.
	far = 10_000
)

// call is something to be done between two records.
type call struct {
	do   func(*fold) error
	done chan error
}

// read is what was read of a partition; full where there was more.
type read struct {
	items []item
	full  bool
}

// follow indexes from where the table ends until ctx ends, or something fails.
func (s *Service) follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	reads := make(chan read)
	for p := range s.applied {
		group.Go(func() error { return s.read(ctx, int32(p), reads) })
	}
	group.Go(func() error { return s.write(ctx, reads) })
	return group.Wait()
}

// read reads a partition. It waits out a log that is away.
func (s *Service) read(ctx context.Context, partition int32, reads chan<- read) error {
	next := s.applied[partition].Load()
	pause := newPause(s.cfg.Retry)
	for {
		err := s.readFrom(ctx, partition, &next, reads, pause)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, eventlog.ErrOffsetOutOfRange):
			return fmt.Errorf("%w: %w", errUnfit, err)
		case !errors.Is(err, eventlog.ErrUnavailable):
			return fmt.Errorf("search: read %s/%d: %w", topic, partition, err)
		}
		s.cfg.Logger.WarnContext(ctx, "the log cannot be read for search, trying again", "partition", partition, "error", err)
		pause.sleep(ctx)
	}
}

func (s *Service) readFrom(ctx context.Context, partition int32, next *int64, reads chan<- read, pause *pause) error {
	if *next == 0 { // nothing is indexed; the log may begin later
		first, _, err := s.cfg.Log.Bounds(ctx, topic, partition)
		if err != nil {
			return err
		}
		*next = first
	}
	reader, err := s.cfg.Log.Open(ctx, topic, partition, *next)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Read(ctx, chunk)
		if err != nil {
			return err
		}
		pause.reset()
		out := read{items: make([]item, len(records)), full: len(records) == chunk}
		for i, r := range records {
			if out.items[i], err = s.understand(ctx, r); err != nil {
				return err
			}
		}
		select {
		case reads <- out:
			*next = records[len(records)-1].Offset + 1
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// understand reads what there is to index of a record. Of a content that is lost it takes what the log has.
func (s *Service) understand(ctx context.Context, r eventlog.Record) (item, error) {
	in := understand(r, len(s.applied))
	if in.event == nil || !speaks(in.event.GetType()) {
		return in, nil
	}
	content, err := event.DecodeContent(in.event)
	if err != nil { // sealed, or nobody's
		return in, nil //nolint:nilerr // there is nothing to find
	}
	pause := newPause(s.cfg.Retry)
	for {
		whole, err := event.Whole(ctx, content, s.cfg.Blobs)
		if err == nil {
			content = whole
			break
		}
		if ctx.Err() != nil {
			return in, ctx.Err()
		}
		if blob.Lost(err) {
			s.cfg.Logger.WarnContext(ctx, "only the beginning of a content can be found", "event", in.event.GetId(), "error", err)
			break
		}
		s.cfg.Logger.WarnContext(ctx, "a content cannot be read for search, trying again", "event", in.event.GetId(), "error", err)
		pause.sleep(ctx)
	}
	in.read(content)
	return in, nil
}

// write indexes what is read, in batches.
func (s *Service) write(ctx context.Context, reads <-chan read) error {
	f := &fold{table: s.table, keyring: s.cfg.Keyring, openers: map[key]event.ID{}} // only Run replaces the table
	due := time.NewTimer(0)
	defer due.Stop()
	written := time.Now() // when the last batch was
	for {
		select {
		case in := <-reads:
			limit, linger := maxLive, s.cfg.Flush-time.Since(written)
			if in.full {
				limit, linger = maxBehind, lingerBehind-time.Since(written)
			}
			for _, i := range in.items {
				if err := f.apply(ctx, i); err != nil {
					return err
				}
				if len(f.table.pending) >= limit || f.table.size >= maxBytes {
					if err := s.flush(f.table, &written); err != nil {
						return err
					}
				}
			}
			due.Reset(linger)
		case <-due.C:
			if len(f.table.pending) == 0 && time.Since(written) < maxUnwritten {
				s.publish(f.table)
			} else if err := s.flush(f.table, &written); err != nil {
				return err
			}
		case c := <-s.calls:
			err := c.do(f)
			if err == nil {
				err = s.flush(f.table, &written)
			}
			c.done <- err
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flush writes a batch.
func (s *Service) flush(t *table, written *time.Time) error {
	places, rows, began := t.places, len(t.pending), time.Now()
	if len(places) > 0 || rows > 0 {
		if err := t.write(); err != nil {
			return err
		}
		s.cfg.Metrics.wrote(rows, time.Since(began))
	}
	*written = time.Now()
	s.tell(places)
	return nil
}

// publish tells that what was read is indexed, where there was nothing in it to write.
func (s *Service) publish(t *table) { s.tell(t.places) }

func (s *Service) tell(places map[int32]place) {
	for p, at := range places {
		s.applied[p].Store(at.offset + 1)
	}
	s.progress.Notify()
}

// watch measures how far the index is behind the log, and tells of it while that is far.
func (s *Service) watch(ctx context.Context) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	var (
		told   time.Time
		before int64
	)
	for {
		lag, err := s.lag(ctx)
		if err == nil {
			s.cfg.Metrics.stands(s.documents(), lag)
			if lag >= far && time.Since(told) >= tellEvery {
				attrs := []any{"records_behind", lag}
				if !told.IsZero() {
					attrs = append(attrs, "records_per_second", int64(float64(before-lag)/time.Since(told).Seconds()))
				}
				s.cfg.Logger.InfoContext(ctx, "the search index catches up with the log", attrs...)
				told, before = time.Now(), lag
			} else if lag < far && !told.IsZero() {
				s.cfg.Logger.InfoContext(ctx, "the search index has caught up with the log")
				told = time.Time{}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lag is how many records of the log are not indexed yet.
func (s *Service) lag(ctx context.Context) (lag int64, err error) {
	for p := range s.applied {
		first, next, err := s.cfg.Log.Bounds(ctx, topic, int32(p))
		if err != nil {
			return 0, err
		}
		lag += max(next-max(s.applied[p].Load(), first), 0)
	}
	return lag, nil
}

// documents is how many the index holds: each event of which something can be found, and one for each thread.
func (s *Service) documents() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.table == nil {
		return 0
	}
	n, err := s.table.DocCount()
	if err != nil {
		return 0
	}
	return n
}
