package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

// Directory gives the books of all tenants. The book of a tenant is read when it is asked for first, and again whenever something is
// applied to it. It is safe for concurrent use.
type Directory struct {
	store      kv.Store
	partitions int
	progress   *projection.Progress
	logger     *slog.Logger

	follow   sync.Mutex // one at a time follows, or reads a book for the first time: so no book is older than what was followed
	follower projection.Follower

	mu      sync.Mutex
	books   map[string]held
	changed chan struct{}
}

// held is the book of a tenant that was asked for, and what it is made of.
type held struct {
	book    *directory.Book
	entries entries
}

// entries are the versions of each entry, by kind and id.
type entries map[string]map[string][]directory.Version

var _ directory.Books = (*Directory)(nil)

// NewDirectory reads from a store into which the directory topic is folded, which has so many partitions. Progress tells of what is applied
// in this process. It and the logger may be nil.
func NewDirectory(store kv.Store, partitions int, progress *projection.Progress, logger *slog.Logger) *Directory {
	return &Directory{
		store: store, partitions: partitions, progress: progress, logger: logger,
		follower: projection.Follower{
			Store: store, Slice: Slice, Topic: event.TopicDirectory, Partitions: partitions, Progress: progress, Logger: logger,
		},
		books: map[string]held{}, changed: make(chan struct{}),
	}
}

// partition is where everything of a tenant stands.
func (x *Directory) partition(tenant string) int32 {
	return eventlog.Partition([]byte(tenant), x.partitions)
}

// Book implements directory.Books. While Run runs, it is at most as old as what was applied is behind the log; Wait brings it further.
func (x *Directory) Book(ctx context.Context, tenant string) (*directory.Book, error) {
	if b := x.known(tenant); b != nil {
		return b, nil
	}
	x.follow.Lock()
	defer x.follow.Unlock()
	if b := x.known(tenant); b != nil {
		return b, nil
	}
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("directory: read the directory: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	all := entries{}
	if err := all.read(ctx, snap, tenant, kv.Prefix(kindKey(tenant, ""))); err != nil {
		return nil, err
	}
	return x.keep(tenant, all), nil
}

func (x *Directory) known(tenant string) *directory.Book {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.books[tenant].book
}

func (x *Directory) keep(tenant string, all entries) *directory.Book {
	b := directory.NewBook(all)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.books[tenant] = held{b, all}
	return b
}

// Changed implements directory.Books. Run must be running.
func (x *Directory) Changed() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.changed
}

// Tenants are those who have a directory.
func (x *Directory) Tenants(ctx context.Context) ([]string, error) {
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("directory: read the directory: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	return projection.Tenants(ctx, snap, spaceTenant)
}

// Followed brings the books that were asked for up to what is applied, and tells how far that is.
func (x *Directory) Followed(ctx context.Context) (projection.Vector, error) {
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("directory: read the directory: %w", err)
	}
	applied, err := projection.Applied(ctx, snap, event.TopicDirectory, x.partitions)
	if err := errors.Join(err, snap.Close()); err != nil {
		return nil, err
	}
	return applied, x.look(ctx)
}

// Run makes new books of what is applied, by this process or another one, until ctx ends, and then returns nil.
func (x *Directory) Run(ctx context.Context) error {
	projection.Poll(ctx, x.logger, Slice, x.look, x.progress, nil)
	return nil
}

// Wait returns once positions were applied and are in the books, or when ctx ends.
func (x *Directory) Wait(ctx context.Context, positions ...eventlog.Position) error {
	if len(positions) == 0 {
		return nil
	}
	if err := projection.Await(ctx, x.store, Slice, event.TopicDirectory, positions, x.progress); err != nil {
		return err
	}
	return x.look(ctx)
}

func (x *Directory) look(ctx context.Context) error {
	x.follow.Lock()
	defer x.follow.Unlock()
	return x.follower.Once(ctx, x.pass)
}

// maxApart is how many entries are read one by one. Of more, the whole book is read.
const maxApart = 256

// pass makes new books where something was applied.
func (x *Directory) pass(ctx context.Context, p projection.Pass) error {
	reset, of := p.Reset, map[string]map[change]struct{}{}
	for partition, until := range p.Until {
		from := p.From[partition]
		if reset = reset || until-from > changeWindow; reset {
			break
		}
		if err := changes(ctx, p, partition, from, until, of); err != nil {
			return fmt.Errorf("directory: read changes: %w", err)
		}
	}
	another := false
	for tenant, h := range x.held() {
		changed := of[tenant]
		if !reset && len(changed) == 0 {
			continue
		}
		all, err := h.entries.after(ctx, p, tenant, changed, reset || len(changed) > maxApart)
		if err != nil {
			return err
		}
		x.keep(tenant, all)
		another = true
	}
	if another {
		x.mu.Lock()
		defer x.mu.Unlock()
		close(x.changed)
		x.changed = make(chan struct{})
	}
	return nil
}

// held are the books that were asked for.
func (x *Directory) held() map[string]held {
	x.mu.Lock()
	defer x.mu.Unlock()
	return maps.Clone(x.books)
}

// changes adds the entries of which something was stated, by tenant.
func changes(ctx context.Context, r kv.Reader, partition int32, from, until int64, of map[string]map[change]struct{}) error {
	it, err := r.Scan(ctx, kv.Range{Start: changeKey(partition, from), End: changeKey(partition, until)})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		c, err := decodeChange(it.Value())
		if err != nil {
			return err
		}
		if of[c.tenant] == nil {
			of[c.tenant] = map[change]struct{}{}
		}
		of[c.tenant][c] = struct{}{}
	}
	return it.Err()
}

// after gives a tenant's entries as they are after some of them have changed, or all of them read anew. The old ones stay as they are: a
// book has them.
func (e entries) after(ctx context.Context, r kv.Reader, tenant string, changed map[change]struct{}, whole bool) (entries, error) {
	all := entries{}
	if whole {
		return all, all.read(ctx, r, tenant, kv.Prefix(kindKey(tenant, "")))
	}
	for kind, of := range e {
		all[kind] = maps.Clone(of)
	}
	for c := range changed {
		delete(all[c.kind], c.id)
		if err := all.read(ctx, r, tenant, kv.Prefix(entryKey(tenant, c.kind, c.id))); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// read adds the statements of a range of a tenant's.
func (e entries) read(ctx context.Context, r kv.Reader, tenant string, within kv.Range) error {
	err := statements(ctx, r, tenant, within, func(s statement) bool {
		if e[s.kind] == nil {
			e[s.kind] = map[string][]directory.Version{}
		}
		e[s.kind][s.id] = append(e[s.kind][s.id], directory.Version{From: s.from, Stated: s.entry.GetStated()})
		return true
	})
	if err != nil {
		return fmt.Errorf("directory: read the book of %s: %w", tenant, err)
	}
	return nil
}

// statements yields those of a range of a tenant's, by kind, id, moment and position in the log, until yield returns false.
func statements(ctx context.Context, r kv.Reader, tenant string, within kv.Range, yield func(statement) bool) error {
	it, err := r.Scan(ctx, within)
	if err != nil {
		return err
	}
	defer it.Close()
	skip := len(kindKey(tenant, ""))
	for it.Next() {
		s, err := parseStatement(it.Key()[skip:], it.Value())
		if err != nil {
			return err
		}
		if !yield(s) {
			return nil
		}
	}
	return it.Err()
}
