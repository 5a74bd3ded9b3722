package timers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/hours"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Targets are what a tenant promises for the contacts of its queues, beside what policies say. It is safe for concurrent use.
type Targets interface {
	// Any tells whether the tenant promises, or has ever promised, or is going to promise, something for some queue.
	Any(ctx context.Context, tenant string) (bool, error)
	// Of gives what holds in a queue at a moment, by what a provider's events call the queue; nil where nothing is promised.
	Of(ctx context.Context, tenant, provider, queue string, at time.Time) (*QueueTargets, error)
}

// QueueTargets are what is promised for the contacts of a queue; 0 for what is not.
type QueueTargets struct {
	// Queue is its id in the directory.
	Queue                                   string
	FirstResponse, NextResponse, Resolution time.Duration
	// Hours in which they count; nil for always.
	Hours *hours.Calendar
}

// FromDirectory gives the targets that queues have in the directory.
func FromDirectory(books directory.Books) Targets {
	return &promised{books: books, tenants: map[string]*promises{}}
}

// promised reads targets in books, and remembers what it takes time to read.
type promised struct {
	books directory.Books

	mu      sync.Mutex
	tenants map[string]*promises
}

// promises are what a book says.
type promises struct {
	book      *directory.Book
	any       bool
	calendars map[*eventv1.DirectoryHours]*hours.Calendar
}

func (p *promised) Any(ctx context.Context, tenant string) (bool, error) {
	book, err := p.books.Book(ctx, tenant)
	if err != nil {
		return false, fmt.Errorf("timers: the directory of %s: %w", tenant, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of(tenant, book).any, nil
}

func (p *promised) Of(ctx context.Context, tenant, provider, queue string, at time.Time) (*QueueTargets, error) {
	if queue == "" {
		return nil, nil //nolint:nilnil // nothing is promised
	}
	book, err := p.books.Book(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("timers: the directory of %s: %w", tenant, err)
	}
	nanos := at.UnixNano()
	id := book.Owner(directory.Queue, provider, queue, nanos)
	q := book.At(directory.Queue, id, nanos).GetQueue()
	if !promising(q) {
		return nil, nil //nolint:nilnil // nothing is promised
	}
	of := q.GetTargets()
	targets := &QueueTargets{
		Queue: id, FirstResponse: max(of.GetFirstResponse().AsDuration(), 0), NextResponse: max(of.GetNextResponse().AsDuration(), 0),
		Resolution: max(of.GetResolution().AsDuration(), 0),
	}
	if h := book.At(directory.Hours, q.GetHours(), nanos).GetHours(); h != nil && of.GetInBusinessHours() {
		p.mu.Lock()
		defer p.mu.Unlock()
		targets.Hours = p.of(tenant, book).calendar(h)
	}
	return targets, nil
}

// promising tells whether a queue has targets.
func promising(q *eventv1.DirectoryQueue) bool {
	t := q.GetTargets()
	return max(t.GetFirstResponse().AsDuration(), t.GetNextResponse().AsDuration(), t.GetResolution().AsDuration()) > 0
}

// of gives what is known of a book. It wants the lock.
func (p *promised) of(tenant string, book *directory.Book) *promises {
	known := p.tenants[tenant]
	if known == nil || known.book != book {
		known = &promises{book: book, calendars: map[*eventv1.DirectoryHours]*hours.Calendar{}}
		for _, id := range book.IDs(directory.Queue) {
			known.any = known.any || slices.ContainsFunc(book.Versions(directory.Queue, id), func(v directory.Version) bool { return promising(v.Stated.GetQueue()) })
		}
		p.tenants[tenant] = known
	}
	return known
}

// calendar reads hours. Those that cannot be read, which only a connector can state, count as always open.
func (k *promises) calendar(h *eventv1.DirectoryHours) *hours.Calendar {
	c, known := k.calendars[h]
	if !known {
		if read, err := hours.New(h.GetTimeZone(), h.GetOpen(), h.GetExcept()); err == nil {
			c = read
		}
		k.calendars[h] = c
	}
	return c
}
