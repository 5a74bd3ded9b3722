package board

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// afterFailure is how long a stream is left alone that has ended.
	afterFailure = 500 * time.Millisecond
	// booksAtMost is how often the directory is taken over, where it keeps changing.
	booksAtMost = 100 * time.Millisecond
	// turnAtLeast is how often it is looked what is due.
	turnAtLeast = time.Minute
	// ahead is how far the clock of a connector may be.
	ahead = 24 * time.Hour
)

// board is the board of a tenant while it is kept.
type board struct {
	*state
	tenant string
	epoch  uint64
	cfg    *Config
	cancel context.CancelFunc

	users   int         // who look at it
	expires *time.Timer // while nobody does
}

// run feeds it until ctx ends.
func (b *board) run(ctx context.Context) {
	ctx = kv.Job(ctx)
	var g sync.WaitGroup
	load := make(chan int, 1)
	g.Go(func() {
		b.keep(ctx, "agents", func(ctx context.Context) error {
			return b.cfg.Agents.Follow(ctx, b.tenant, func(n AgentNews) error {
				b.change(func() { b.takeAgents(n) })
				return ctx.Err()
			})
		})
	})
	g.Go(func() {
		b.keep(ctx, "work", func(ctx context.Context) error {
			return b.cfg.Work.FollowWork(ctx, b.tenant, func(n WorkNews) error {
				round := 0
				b.change(func() { round = b.takeWork(n) })
				if round > 0 {
					select { // only the last one counts
					case <-load:
					default:
					}
					load <- round
				}
				return ctx.Err()
			})
		})
	})
	g.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case round := <-load:
				b.load(ctx, round, load)
			}
		}
	})
	g.Go(func() { b.keep(ctx, "directory", b.followBooks) })
	g.Wait()
}

// keep calls follow until ctx ends, again where it fails.
func (b *board) keep(ctx context.Context, what string, follow func(context.Context) error) {
	for {
		err := follow(ctx)
		if ctx.Err() != nil {
			return
		}
		b.cfg.Logger.WarnContext(ctx, "a board cannot be fed, trying again", slog.String("tenant", b.tenant), slog.String("from", what),
			slog.Duration("in", afterFailure), slog.Any("error", err))
		if !pause(ctx, afterFailure) {
			return
		}
	}
}

// pause waits, and reports false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// followBooks takes over the directory when it is another one, when the clock reaches what it says, and does what is due.
func (b *board) followBooks(ctx context.Context) error {
	for {
		changed := b.cfg.Books.Changed()
		book, err := b.cfg.Books.Book(ctx, b.tenant)
		if err != nil {
			return err
		}
		now := time.Now()
		b.change(func() { b.takeBook(book, now) })
		due := now.Truncate(turnAtLeast).Add(turnAtLeast) // quarters of an hour begin with one of these
		if next, ok := book.Next(now.UnixNano()); ok && next < due.UnixNano() {
			due = time.Unix(0, next)
		}
		if !pause(ctx, booksAtMost) {
			return ctx.Err()
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// load reads what is stored, for a round, until it has or another round begins.
func (b *board) load(ctx context.Context, round int, next <-chan int) {
	for {
		stored, err := b.stored(ctx)
		if err == nil {
			b.change(func() { b.loaded(round, stored) })
			return
		}
		if ctx.Err() != nil || len(next) > 0 {
			return
		}
		b.cfg.Logger.WarnContext(ctx, "the visits of a board cannot be read, trying again", slog.String("tenant", b.tenant),
			slog.Duration("in", afterFailure), slog.Any("error", err))
		if !pause(ctx, afterFailure) {
			return
		}
	}
}

// stored are the visits that are counted, by their threads.
func (b *board) stored(ctx context.Context) (map[event.ID][]wait, error) {
	var queues []string
	err := b.cfg.Work.Queues(ctx, b.tenant, func(queue string) bool {
		queues = append(queues, queue)
		return true
	})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	from, until := quarterStart(oldest(now.UnixNano())), now.Add(ahead)
	stored := map[event.ID][]wait{}
	for _, queue := range queues {
		var visits []Visit
		err := b.cfg.Work.Visits(ctx, b.tenant, queue, from, until, func(v Visit) bool {
			visits = append(visits, v)
			return true
		})
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		for _, v := range visits {
			if _, told := b.told[v.Thread]; !told {
				stored[v.Thread] = append(stored[v.Thread], wait{
					id: v.ID, thread: v.Thread, interaction: v.Interaction, source: b.source(v.Provider, queue), entered: v.Entered, left: v.Left,
					outcome: v.Outcome, target: v.SLATarget, handled: v.Handled, handleTime: v.HandleTime, backfill: v.Backfill,
				})
			}
		}
		b.mu.Unlock()
	}
	return stored, nil
}
