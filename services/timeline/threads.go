package timeline

import (
	"context"
	"errors"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
)

// Threads reads what is filed of threads, for who answers in them. It is safe for concurrent use.
type Threads struct {
	store      kv.Store
	partitions int
	progress   *projection.Progress
}

// NewThreads reads from a store that is folded from a topic with so many partitions; progress, which may be nil, tells of what is
// applied in this process.
func NewThreads(store kv.Store, partitions int, progress *projection.Progress) *Threads {
	return &Threads{store: store, partitions: partitions, progress: progress}
}

// threadPage is how many events of a thread are read at once: mostly the newest few are enough.
const threadPage = 20

// Newest calls yield for the events of a thread, newest first, until it returns false.
func (t *Threads) Newest(ctx context.Context, tenant string, thread event.ID, yield func(channel.Filed) bool) error {
	q := Query{Selection: Selection{Tenant: tenant, Threads: always(thread)}, NewestFirst: true, PageSize: threadPage}
	err := t.each(ctx, q, func(f channel.Filed) error {
		if !yield(f) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough ends a reading.
var errEnough = errors.New("timeline: that is enough")

// Scope calls yield for the events of what belongs to a customer or a conversation, oldest first, as far as they happened within a
// stretch of time, until it fails.
func (t *Threads) Scope(ctx context.Context, tenant string, source scope.Source, id event.ID, within scope.Range, yield func(channel.Filed) error) error {
	q := Query{Selection: Selection{Tenant: tenant, about: subject{source: source, id: id}}, PageSize: MaxPageSize}
	if within.From != scope.Ever.From {
		q.From = time.Unix(0, within.From)
	}
	if within.Until != scope.Ever.Until {
		q.Until = time.Unix(0, within.Until)
	}
	return t.each(ctx, q, yield)
}

// each calls yield for what a query finds, page by page, until it fails.
func (t *Threads) each(ctx context.Context, q Query, yield func(channel.Filed) error) error {
	q.Topic, q.Partitions = event.TopicInteractions, t.partitions
	for {
		p, err := list(ctx, t.store, q)
		if err != nil {
			return err
		}
		for _, r := range p.rows {
			e, err := r.entry()
			if err != nil {
				return err
			}
			if err := yield(channel.Filed{Event: e.GetEvent(), Content: e.GetContent()}); err != nil {
				return err
			}
		}
		if q.Token = p.next; q.Token == "" {
			return nil
		}
		q.PageSize = MaxPageSize
	}
}

// Wait waits until records are applied.
func (t *Threads) Wait(ctx context.Context, positions ...eventlog.Position) error {
	return projection.Await(ctx, t.store, Slice, event.TopicInteractions, positions, t.progress)
}
