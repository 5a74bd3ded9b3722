package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/services/analytics/generations"
	"github.com/skein-cx/skein/services/analytics/schema"
)

// askEvery is how often a sink looks whether a rebuild is asked for, and who asked how far it is.
const askEvery = 500 * time.Millisecond

// Rebuilding is how far a rebuild is.
type Rebuilding struct {
	// Serving is the generation of the tables that are read, Building the one that is being built.
	Serving, Building uint32
	// Done and Total count records.
	Done, Total int64
}

// Rebuild asks for new tables, filled from the begin of the log, or joins the rebuild that is under way, and returns once they serve. Meanwhile the
// old ones serve and are filled. A rebuild that was cut off goes on. The end of ctx ends the waiting, not the rebuild. Some process must
// run the sink. report, which may be nil, is told how far it is.
func (s *Sink) Rebuild(ctx context.Context, report func(Rebuilding)) error {
	target, err := generations.Ask(ctx, s.cfg.Store, slice)
	if err != nil {
		return err
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
	for {
		g, _, err := generations.Load(ctx, s.cfg.Store, slice)
		if err != nil && !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		if err == nil && g.Serving >= target {
			return nil
		}
		if err == nil && report != nil && g.Building != 0 {
			if r, err := s.rebuilding(ctx, g); err == nil {
				report(r)
			}
		}
		if err := sleep(ctx, askEvery); err != nil {
			return err
		}
	}
}

// Rebuilding tells which generation of the tables serves, and how far the one is that is being built, if any.
func (s *Sink) Rebuilding(ctx context.Context) (Rebuilding, error) {
	g, _, err := generations.Load(ctx, s.cfg.Store, slice)
	if err != nil || g.Building == 0 {
		return Rebuilding{Serving: g.Serving}, err
	}
	return s.rebuilding(ctx, g)
}

// rebuilding measures a generation that is being built.
func (s *Sink) rebuilding(ctx context.Context, n generations.Note) (Rebuilding, error) {
	r := Rebuilding{Serving: n.Serving, Building: n.Building}
	all, err := sources(ctx, s.cfg.Log)
	if err != nil {
		return r, err
	}
	st, _, err := loadState(ctx, s.cfg.Store, kv.Namespace{Slice: slice, Generation: n.Building})
	if err != nil {
		return r, err
	}
	next := map[Partition]int64{}
	for _, at := range st.Positions {
		next[Partition{at.Topic, at.Partition}] = at.Next
	}
	for _, src := range all {
		first, end, err := s.cfg.Log.Bounds(ctx, src.topic, src.partition)
		if err != nil {
			return r, err
		}
		r.Total += end - first
		r.Done += max(next[Partition{src.topic, src.partition}]-first, 0)
	}
	return r, nil
}

// asked waits until a rebuild is asked for, and gives the generation to build.
func (s *Sink) asked(ctx context.Context) (uint32, error) {
	for {
		g, _, err := generations.Load(ctx, s.cfg.Store, slice)
		if err != nil {
			return 0, err
		}
		if g.Building != 0 {
			return g.Building, nil
		}
		timer := time.NewTimer(askEvery)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// build fills the tables of a generation in a database of their own, and gives errBuilt once they hold what the serving ones hold and those
// have stopped. That database has every view of the serving one, so rollups are filled there in the same way, once.
// What was built of it before may be lost, too: then another generation is begun, from the begin.
func (s *Sink) build(ctx context.Context, generation uint32, all []*source, stop func()) error {
	err := s.fill(ctx, generation, all, stop)
	if !errors.Is(err, ErrWarehouseMismatch) {
		return err
	}
	return cmp.Or(s.anew(ctx, generation, err), errBuilt)
}

// anew begins a rebuild again, of which a part was lost.
func (s *Sink) anew(ctx context.Context, generation uint32, why error) error {
	s.cfg.Logger.WarnContext(ctx, "a rebuild of the tables of events begins again: the store or ClickHouse was dropped or restored", "found", why)
	return generations.Again(ctx, s.cfg.Store, slice, generation)
}

// fill is an attempt to build.
func (s *Sink) fill(ctx context.Context, generation uint32, all []*source, stop func()) error {
	p := newPipeline(&s.cfg, generation, all)
	if err := p.load(ctx); err != nil {
		return err
	}
	err := s.cfg.persist(ctx, "rebuild", func() (err error) {
		if p.raw == nil { // nothing was recorded, so nothing there counts
			if err := s.cfg.Warehouse.Discard(ctx); err != nil {
				return err
			}
		}
		p.database, err = s.cfg.Warehouse.Build(ctx)
		return err
	}, nil)
	if err != nil {
		return err
	}
	for {
		goal, behind, err := s.ends(ctx, p)
		if err != nil {
			return err
		}
		if behind <= int64(s.cfg.MaxRows) {
			break
		}
		if err := p.run(ctx, goal); err != nil {
			return err
		}
	}
	stop()
	goal, err := s.held(ctx, p)
	if err != nil {
		return err
	}
	if err := p.run(ctx, goal); err != nil {
		return err
	}
	var built map[string]string
	err = s.cfg.persist(ctx, "rebuild", func() (err error) { built, err = s.cfg.Warehouse.Built(ctx); return gone(err) }, mismatch)
	if err != nil {
		return err
	}
	if err := generations.Built(ctx, s.cfg.Store, slice, generation, built); err != nil {
		return err
	}
	return errBuilt
}

// ends are where the log ends now, and how much of it is not in a generation.
func (s *Sink) ends(ctx context.Context, p *pipeline) (ends []int64, behind int64, err error) {
	if err := p.load(ctx); err != nil {
		return nil, 0, err
	}
	for i, src := range p.sources {
		_, end, err := s.cfg.Log.Bounds(ctx, src.topic, src.partition)
		if err != nil {
			return nil, 0, fmt.Errorf("analytics: read %s/%d: %w", src.topic, src.partition, err)
		}
		ends = append(ends, end)
		behind += max(end-p.state.Positions[i].Next, 0)
	}
	return ends, behind, nil
}

// held are the positions up to which the serving generation holds the log, and those that the built one has already.
func (s *Sink) held(ctx context.Context, p *pipeline) ([]int64, error) {
	n, _, err := generations.Load(ctx, s.cfg.Store, slice)
	if err != nil {
		return nil, err
	}
	old := newPipeline(&s.cfg, n.Serving, p.sources)
	for _, q := range []*pipeline{old, p} {
		if err := q.load(ctx); err != nil {
			return nil, err
		}
	}
	goal := make([]int64, len(p.sources))
	for i := range goal {
		goal[i] = max(old.state.Positions[i].Next, p.state.Positions[i].Next)
	}
	return goal, nil
}

// gone tells of tables that are not where they were built that ClickHouse is not the same.
func gone(err error) error {
	if errors.Is(err, schema.ErrGone) {
		return fmt.Errorf("%w: %w", ErrWarehouseMismatch, err)
	}
	return err
}

func mismatch(err error) bool { return errors.Is(err, ErrWarehouseMismatch) }

// finish puts the tables that were built in place of the serving ones, as often as it is called.
func (s *Sink) finish(ctx context.Context, g generations.Note, all []*source) error {
	err := s.cfg.persist(ctx, "rebuild", func() error { return gone(s.cfg.Warehouse.Switch(ctx, g.Built)) }, mismatch)
	if mismatch(err) {
		return s.anew(ctx, g.Building, err)
	}
	if err != nil {
		return err
	}
	p := newPipeline(&s.cfg, g.Building, all)
	if err := p.load(ctx); err != nil {
		return err
	}
	p.serving = true
	err = s.cfg.persist(ctx, tableProgress, func() error {
		_, written, err := s.cfg.Warehouse.Contained(ctx, "")
		p.written = written.UnixMicro()
		return err
	}, nil)
	if err != nil {
		return err
	}
	if err := p.tell(ctx); err != nil {
		return err
	}
	err = s.cfg.persist(ctx, "rebuild", func() error { return s.cfg.Warehouse.Discard(ctx) }, nil)
	if err != nil {
		return err
	}
	if err := generations.Serve(ctx, s.cfg.Store, slice, g.Building); err != nil {
		return err
	}
	s.update(func(st *Status) { st.Err = nil })
	s.cfg.Logger.InfoContext(ctx, "rebuilt tables serve", "generation", g.Building)
	return nil
}
