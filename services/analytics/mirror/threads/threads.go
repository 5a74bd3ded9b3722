// Package threads tells the mirror of interactions: what the tables interaction_facts, visit_facts, assignment_facts and sla_facts hold of
// the threads. An entity is a thread of a tenant.
package threads

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// Name is that of the source.
const Name = "threads"

const (
	// page is about how many threads one News names.
	page = 4096
	// pollEvery is how often it looks for what another process has applied.
	pollEvery = 100 * time.Millisecond
	// waitAtMost is how long Next waits.
	waitAtMost = time.Second
	// keepFor is how long a view is kept from its last use: it costs the store room.
	keepFor = 2 * time.Second
)

// ErrForgotten means that a view cannot tell any more, or not yet, what has changed behind some offsets.
var ErrForgotten = errors.New("threads: what has changed since is not known any more")

// Thread is a thread of a tenant.
type Thread struct {
	Tenant string
	ID     event.ID
}

// Model is the read model of interactions. It is safe for concurrent use.
type Model interface {
	// View gives it as it is now.
	View(ctx context.Context) (View, error)
	// Changed gives a channel that is closed when something is applied next by this process; nil where nobody tells.
	Changed() <-chan struct{}
}

// View is the read model at one moment. It is used by one goroutine at a time.
type View interface {
	// Generation is that of the read model.
	Generation() uint32
	// Applied are the next offsets of the topic of interactions that are contained.
	Applied(ctx context.Context) (projection.Vector, error)
	// Since gives the threads in which anything changed behind some offsets, each once, about as many as most, and up to which offsets these
	// are all; or ErrForgotten.
	Since(ctx context.Context, from projection.Vector, most int) ([]Thread, projection.Vector, error)
	// Threads gives the threads behind one, the zero one being before all: fewer than most are the last ones.
	Threads(ctx context.Context, behind Thread, most int) ([]Thread, error)
	// Thread gives the interactions of a thread in order of their begin.
	Thread(ctx context.Context, tenant string, thread event.ID) ([]*conversationv1.Interaction, error)
	// Close lets go of it.
	Close() error
}

// Customers tells whose endpoints were.
type Customers interface {
	// OwnerThen is the customer whose an endpoint was at a moment, by the links that had been received until then; the endpoint itself where
	// it was linked to none.
	OwnerThen(ctx context.Context, tenant string, endpoint event.ID, moment time.Time) (event.ID, error)
}

// Config is what a source needs.
type Config struct {
	Model     Model
	Customers Customers
}

// Source implements mirror.Source.
type Source struct {
	cfg    Config
	tables tables

	mu    sync.Mutex
	view  View // nil for none
	timer *time.Timer
}

// New makes a source.
func New(cfg Config) *Source {
	return &Source{cfg: cfg, tables: newTables()}
}

// Name implements mirror.Source.
func (s *Source) Name() string { return Name }

// Tables implements mirror.Source.
func (s *Source) Tables() []*mirror.Table {
	return []*mirror.Table{s.tables.interactions, s.tables.visits, s.tables.assignments, s.tables.slas}
}

// with does something with a view: one that was opened before, unless another one is asked for. A view that failed is not used again.
func (s *Source) with(ctx context.Context, fresh bool, do func(View) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view != nil && fresh {
		s.drop()
	}
	if s.view == nil {
		view, err := s.cfg.Model.View(ctx)
		if err != nil {
			return err
		}
		s.view = view
	}
	err := do(s.view)
	if err != nil {
		s.drop()
		return err
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(keepFor, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.drop()
		})
	}
	s.timer.Reset(keepFor)
	return nil
}

func (s *Source) drop() {
	if s.view != nil {
		_ = s.view.Close() // nothing is written through it
		s.view = nil
	}
}

// Next implements mirror.Source.
func (s *Source) Next(ctx context.Context, at []byte) (mirror.News, error) {
	c, err := decodeCursor(at)
	if err != nil {
		c = cursor{} // another program wrote it
	}
	over := time.NewTimer(waitAtMost)
	defer over.Stop()
	for last := false; ; {
		changed := s.cfg.Model.Changed()
		var news mirror.News
		var some bool
		err := s.with(ctx, true, func(v View) error {
			var err error
			news, some, err = s.look(ctx, v, c)
			return err
		})
		if err != nil {
			return mirror.News{}, fmt.Errorf("threads: %w", err)
		}
		if some || last {
			return news, nil
		}
		poll := time.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-over.C:
			last = true
		case <-changed:
		case <-poll.C:
		}
		if poll.Stop(); err != nil {
			return mirror.News{}, err
		}
	}
}

// look tells what is new behind a cursor; some is whether there are entities, or a scan goes on.
func (s *Source) look(ctx context.Context, v View, c cursor) (news mirror.News, some bool, err error) {
	if !c.scanning && c.generation == v.Generation() {
		changed, until, err := v.Since(ctx, c.at, page)
		if err == nil {
			news = mirror.News{Entities: names(changed), Cursor: cursor{generation: c.generation, at: until}.encode()}
			s.contains(&news, until)
			return news, len(changed) > 0, nil
		}
		if !errors.Is(err, ErrForgotten) {
			return mirror.News{}, false, err
		}
		c = cursor{}
	}
	if !c.scanning || c.generation != v.Generation() {
		applied, err := v.Applied(ctx)
		if err != nil {
			return mirror.News{}, false, err
		}
		news.Reset = true
		c = cursor{generation: v.Generation(), at: applied, scanning: true}
	}
	all, err := v.Threads(ctx, c.behind, page)
	if err != nil {
		return mirror.News{}, false, err
	}
	news.Entities = names(all)
	if len(all) < page {
		news.Done = true
		news.Cursor = cursor{generation: c.generation, at: c.at}.encode()
		s.contains(&news, c.at)
		return news, true, nil
	}
	c.behind = all[len(all)-1]
	news.Cursor = c.encode()
	return news, true, nil
}

func (s *Source) contains(news *mirror.News, at projection.Vector) {
	news.At = map[string]projection.Vector{event.TopicInteractions: at}
}

// Rows implements mirror.Source.
func (s *Source) Rows(ctx context.Context, entity string) ([]mirror.Row, error) {
	t, err := threadOf(entity)
	if err != nil {
		return nil, err
	}
	var all []*conversationv1.Interaction
	err = s.with(ctx, false, func(v View) error {
		all, err = v.Thread(ctx, t.Tenant, t.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("threads: %w", err)
	}
	var rows []mirror.Row
	for _, i := range all {
		f := newFacts(t, i)
		if owner := f.endpoint; owner != (event.ID{}) && s.cfg.Customers != nil {
			if f.customer, err = s.cfg.Customers.OwnerThen(ctx, t.Tenant, owner, i.GetStartedAt().AsTime()); err != nil {
				return nil, fmt.Errorf("threads: %w", err)
			}
		}
		rows = s.tables.rows(rows, f)
	}
	return rows, nil
}

// names are the entities of threads: tenant/thread.
func names(all []Thread) []string {
	out := make([]string, len(all))
	for n, t := range all {
		out[n] = t.Tenant + "/" + t.ID.String()
	}
	return out
}

func threadOf(entity string) (Thread, error) {
	n := strings.LastIndexByte(entity, '/')
	id, err := event.ParseID(entity[n+1:])
	if n < 0 || err != nil {
		return Thread{}, fmt.Errorf("threads: %q is no thread: tenant/thread is needed", entity)
	}
	return Thread{Tenant: entity[:n], ID: id}, nil
}

// cursor is how far the model was read.
type cursor struct {
	generation uint32
	at         projection.Vector
	// scanning says that a scan is on its way, which began there and is behind a thread.
	scanning bool
	behind   Thread
}

const cursorForm = 1

func (c cursor) encode() []byte {
	b := binary.AppendUvarint([]byte{cursorForm}, uint64(c.generation))
	b = binary.AppendUvarint(b, uint64(len(c.at)))
	for _, p := range slices.Sorted(maps.Keys(c.at)) {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(p)), uint64(c.at[p]))
	}
	if c.scanning {
		b = append(b, c.behind.ID[:]...)
		b = append(b, c.behind.Tenant...)
	}
	return b
}

var errCursor = errors.New("threads: the cursor cannot be read")

func decodeCursor(b []byte) (c cursor, err error) {
	if len(b) == 0 || b[0] != cursorForm {
		return c, errCursor
	}
	b = b[1:]
	number := func(most uint64) uint64 {
		u, n := binary.Uvarint(b)
		if n <= 0 || u > most {
			err, b = errCursor, nil
			return 0
		}
		b = b[n:]
		return u
	}
	c.generation = uint32(number(1<<32 - 1))
	c.at = projection.Vector{}
	for n := number(1 << 31); n > 0 && err == nil; n-- {
		p := int32(number(1<<31 - 1))
		c.at[p] = int64(number(1<<63 - 1))
	}
	if err == nil && len(b) > 0 {
		if len(b) < len(c.behind.ID) {
			return cursor{}, errCursor
		}
		c.scanning = true
		copy(c.behind.ID[:], b)
		c.behind.Tenant = string(b[len(c.behind.ID):])
	}
	if err != nil {
		return cursor{}, err
	}
	return c, nil
}
