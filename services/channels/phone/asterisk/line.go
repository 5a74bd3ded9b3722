package asterisk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// line is a switch, and what is known of it from one connection to the next.
type line struct {
	Switch
	cfg     *Config
	numbers numbers
	agents  map[string]string
	log     *slog.Logger
	metrics lineMetrics
	host    channel.Host

	// These are the goroutine's own.
	last   time.Time       // until when everything was taken in, by the switch's clock; zero where that is not known
	first  time.Time       // when it was logged in to first, by our own clock
	cursor string          // the cursor as it was read or moved last
	open   map[string]bool // first channels of calls that are under way
	warned bool            // that the switch states no times

	mu     sync.Mutex
	status channel.Status
}

// maxOpen is how many calls are remembered.
const maxOpen = 100_000

// item is a block and what became of it.
type item struct {
	block       *block
	submissions []*eventv1.Submission
	reason      error // why it must be rejected
}

// item reads a block.
func (l *line) item(b *block) item {
	it := item{block: b}
	it.submissions, it.reason = l.read(b)
	return it
}

func (l *line) rejection(it item) channel.Rejection {
	return channel.Rejection{Tenant: l.Tenant, Provider: Provider, Inbox: l.Inbox, Reason: it.reason.Error(), Raw: it.block.raw}
}

// name of the line's cursor.
func (l *line) name() string { return "asterisk/" + l.Tenant + "/" + l.Inbox + "/" + l.Addr }

func (l *line) now() channel.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// report sets the status; nil where the switch is connected.
func (l *line) report(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if (err == nil) != (l.status.Err == nil) {
		l.status.Since = l.cfg.Now()
	}
	l.status.Err = err
	if l.metrics.connected != nil {
		l.metrics.connected.Set(map[bool]float64{true: 1}[err == nil])
	}
}

// run keeps a connection to the switch until ctx ends.
func (l *line) run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(l.cfg.StopTimeout, cancel) })()
	l.load(ctx)
	pauses := l.cfg.Backoff()
	for ctx.Err() == nil {
		err := l.connect(ctx, work, pauses.Reset)
		if ctx.Err() != nil {
			break
		}
		l.report(err)
		l.log.Warn("the switch is away", "error", err)
		l.save(work)
		pause := time.NewTimer(max(pauses.NextBackOff(), 0))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	l.save(work)
}

// load reads until when the switch was told. It tries until it knows.
func (l *line) load(ctx context.Context) {
	if l.cfg.Cursors == nil {
		return
	}
	cursor, err := backoff.Retry(ctx, func() (string, error) {
		return l.cfg.Cursors.Cursor(ctx, l.name())
	}, backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		l.report(err)
		l.log.Warn("cannot read until when the switch was told", "error", err)
	}))
	if err != nil {
		return // ctx has ended
	}
	l.cursor = cursor
	if at, err := time.Parse(time.RFC3339Nano, cursor); err == nil {
		l.last = at
	}
}

// save keeps until when the switch was told. Where another process has told further, that stands. It may fail: the next gap
// is then told longer than it was.
func (l *line) save(ctx context.Context) {
	if l.cfg.Cursors == nil || l.last.IsZero() {
		return
	}
	for range 3 {
		if at, err := time.Parse(time.RFC3339Nano, l.cursor); err == nil && !l.last.After(at) {
			return
		}
		is := l.last.UTC().Format(time.RFC3339Nano)
		err := l.cfg.Cursors.MoveCursor(ctx, l.name(), l.cursor, is)
		if err == nil {
			l.cursor = is
			return
		}
		if !errors.Is(err, channel.ErrCursorMoved) {
			l.log.Debug("cannot keep until when the switch was told", "error", err)
			return
		}
		if l.cursor, err = l.cfg.Cursors.Cursor(ctx, l.name()); err != nil {
			return
		}
	}
}

// deliver hands in what items tell, in their order, and returns when all is durable. It tries until that is so or ctx ends.
func (l *line) deliver(ctx, work context.Context, items []item) error {
	var all []*eventv1.Submission
	for _, it := range items {
		all = append(all, it.submissions...)
	}
	err := l.submit(ctx, work, all)
	if err == nil {
		return l.reject(ctx, work, items)
	}
	if stopped(ctx, err) {
		return err
	}
	for i := range items { // one of them is wrong
		it := &items[i]
		err := l.submit(ctx, work, it.submissions)
		if stopped(ctx, err) {
			return err
		}
		it.reason = errors.Join(it.reason, err)
	}
	return l.reject(ctx, work, items)
}

// stopped tells whether a submission failed because there is no time left, and not because it is wrong.
func stopped(ctx context.Context, err error) bool {
	_, wrong := errors.AsType[*event.InvalidError](err)
	return err != nil && ctx.Err() != nil && !wrong
}

func (l *line) submit(ctx, work context.Context, submissions []*eventv1.Submission) error {
	if len(submissions) == 0 {
		return nil
	}
	return l.insist(ctx, func() error {
		_, err := l.host.Submit(work, l.Tenant, submissions...)
		return err
	})
}

func (l *line) reject(ctx, work context.Context, items []item) error {
	for _, it := range items {
		switch {
		case it.reason != nil:
			l.log.Warn("an event was not understood", "error", it.reason)
			l.metrics.rejected.Inc()
			if err := l.insist(ctx, func() error { return mayHelp(l.host.Reject(work, l.rejection(it))) }); err != nil {
				return err
			}
		case len(it.submissions) > 0:
			l.metrics.told.Inc()
		default:
			l.metrics.ignored.Inc()
		}
	}
	return nil
}

// mayHelp takes every failure for one that another try may mend: what cannot even be rejected must not be lost.
func mayHelp(err error) error {
	if err == nil || errors.Is(err, channel.ErrRetry) {
		return err
	}
	return fmt.Errorf("%w: %w", channel.ErrRetry, err)
}

// insist calls until it succeeds, fails for good, or ctx ends.
func (l *line) insist(ctx context.Context, call func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := call()
		if err != nil && !errors.Is(err, channel.ErrRetry) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 20 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second,
	}))
	return err
}

// took remembers which calls are under way.
func (l *line) took(submissions []*eventv1.Submission) {
	for _, s := range submissions {
		switch s.GetType() {
		case event.TypeInteractionStarted:
			if len(l.open) < maxOpen {
				l.open[s.GetThread()] = true
			}
		case event.TypeInteractionEnded:
			delete(l.open, s.GetThread())
		}
	}
}

// joins remembers the joined threads that a session has told lately: most are told by several events in a row, and once is
// enough. What it forgets is told again, which does no harm.
type joins struct{ young, old map[string]bool }

// maxJoins is when it begins to forget.
const maxJoins = 4096

// again tells whether a submission joins threads that were joined already.
func (j *joins) again(s *eventv1.Submission) bool {
	if s.GetType() != event.TypeThreadJoined {
		return false
	}
	key := s.GetThread() + " " + s.GetNativeId()
	if j.young[key] || j.old[key] {
		return true
	}
	if j.young == nil || len(j.young) >= maxJoins {
		j.young, j.old = map[string]bool{}, j.young
	}
	j.young[key] = true
	return false
}
