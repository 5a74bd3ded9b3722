package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// maxHeads is how many threads of an inbox are looked at in one round.
const maxHeads = 1024

// worker sends the messages of one inbox: of each thread the first that has no outcome, several threads at a time.
type worker struct {
	Inbox
	service *Service
	cfg     *Config
	state   *state
	timeout time.Duration // of one attempt
	logger  *slog.Logger
	woken   chan struct{} // holds a token when there may be something to do
	slots   chan struct{}

	mu   sync.Mutex
	busy map[string]bool      // threads that are worked on
	rest map[string]time.Time // threads that failed here, and until when they are left alone
}

func newWorker(s *Service, in Inbox) *worker {
	timeout := s.cfg.Timeout
	if patient, ok := in.Sender.(Patient); ok {
		timeout = max(timeout, patient.AttemptTime())
	}
	return &worker{
		Inbox: in, service: s, cfg: &s.cfg, state: s.state, timeout: timeout, logger: s.cfg.Logger.With("tenant", in.Tenant, "inbox", in.ID),
		woken: make(chan struct{}, 1), slots: make(chan struct{}, s.cfg.Concurrency),
		busy: map[string]bool{}, rest: map[string]time.Time{},
	}
}

func (w *worker) key() inboxKey { return inboxKey{w.Tenant, w.ID} }

func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// run works until ctx ends, and then waits for what is under way.
func (w *worker) run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var under sync.WaitGroup
	defer func() {
		timer := time.AfterFunc(max(w.cfg.Drain, 0), cancel)
		defer timer.Stop()
		under.Wait()
	}()
	for ctx.Err() == nil {
		wait, err := w.round(ctx, func(l listed) {
			under.Go(func() { w.work(work, l) })
		})
		if err != nil && ctx.Err() == nil {
			w.logger.WarnContext(ctx, "what is to be sent cannot be read, trying again", "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round begins what is due, and says when to look again.
func (w *worker) round(ctx context.Context, begin func(listed)) (wait time.Duration, err error) {
	var heads []listed
	seen := map[string]bool{}
	err = w.state.list(ctx, spacePending, w.Tenant, w.ID, false, func(l listed) bool {
		if !seen[l.Thread] || w.Sender == nil { // nothing of a connector's waits for another
			seen[l.Thread] = true
			heads = append(heads, l)
		}
		return len(heads) < maxHeads
	})
	wait = w.cfg.Recheck
	if err != nil {
		return wait, err
	}
	w.cfg.Metrics.waiting(w.key(), len(heads))
	now := w.cfg.Now()
	for _, l := range heads {
		caught, err := w.service.backlog.Done(ctx, l.Partition)
		if err != nil {
			return wait, err
		}
		if !caught {
			continue
		}
		do := w.next(l.row, now)
		if do.at.After(now) {
			wait = min(wait, do.at.Sub(now))
			continue
		}
		if !w.claim(l.Thread, now) {
			continue
		}
		select {
		case w.slots <- struct{}{}:
			begin(l)
		default: // who ends wakes us
			w.release(l.Thread)
			return wait, nil
		}
	}
	return wait, nil
}

// claim takes a thread for this process, if nobody here is at it.
func (w *worker) claim(thread string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[thread] || now.Before(w.rest[thread]) {
		return false
	}
	delete(w.rest, thread)
	w.busy[thread] = true
	return true
}

func (w *worker) release(thread string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, thread)
}

// leave leaves a thread alone for a while.
func (w *worker) leave(thread string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest[thread] = w.cfg.Now().Add(w.cfg.Recheck)
}

// doing is what is to be done with a request, and when.
type doing struct {
	at     time.Time
	send   bool
	submit bool
	decide outcome
}

// next decides what is to be done with a request that nobody in this process is at.
func (w *worker) next(r *row, now time.Time) doing {
	expiry := r.Requested.Add(w.cfg.MaxAge)
	expired := !now.Before(expiry)
	idempotent := w.Sender != nil && w.Sender.Idempotent()
	maybe := w.service.maybe(r)
	switch {
	case r.State == stateDecided && r.Owner != w.service.owner && now.Before(r.Until):
		return doing{at: r.Until} // who has decided tells it
	case r.State == stateDecided:
		return doing{submit: true}
	case r.State == stateSending && r.Owner == w.service.owner:
		// This process has noted an attempt and not made it: it was not told that the note was written.
	case r.State == stateSending && now.Before(r.Until):
		return doing{at: r.Until}
	case r.State == stateSending && !idempotent:
		return doing{decide: outcome{state: stateUnknown, code: "interrupted", reason: "the process ended while it was sending: the message may or may not have been sent"}}
	case r.State == stateSending:
		maybe = true
	}
	switch {
	case expired && maybe:
		return doing{decide: outcome{state: stateUnknown, code: codeExpired, reason: lastly("it may have been sent, and nothing told of it in time", r)}}
	case expired:
		return doing{decide: outcome{state: stateFailed, code: codeExpired, reason: lastly("it could not be sent in time", r)}}
	case w.Remote:
		return doing{at: expiry}
	case w.Sender == nil:
		return doing{decide: outcome{state: stateFailed, code: "cannot_send", reason: "this inbox is not set up for sending"}}
	case maybe && !idempotent:
		return doing{decide: outcome{state: stateUnknown, code: "lost", reason: "what was noted about attempts is lost: the message may or may not have been sent"}}
	case now.Before(r.Next):
		return doing{at: earlier(r.Next, expiry)}
	}
	return doing{send: true}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// lastly adds what the last attempt said.
func lastly(reason string, r *row) string {
	if r.Reason == "" {
		return reason
	}
	return event.Clip(reason+"; lately: "+r.Reason, maxReason)
}

// work does what is due with a request.
func (w *worker) work(ctx context.Context, l listed) {
	defer func() {
		w.release(l.Thread)
		<-w.slots
		w.wake()
	}()
	if err := w.step(ctx, l.id); err != nil {
		w.leave(l.Thread)
		if ctx.Err() == nil {
			w.logger.WarnContext(ctx, "a message cannot be sent now, trying again", "request", l.id, "error", err)
		}
	}
}

func (w *worker) step(ctx context.Context, id event.ID) error {
	r, err := w.state.row(ctx, w.Tenant, id)
	if err != nil || r == nil || r.terminal() {
		return err
	}
	do := w.next(r, w.cfg.Now())
	if do.at.After(w.cfg.Now()) {
		return nil // somebody else was quicker
	}
	if do.submit {
		submissions, err := decode(r.Outcome)
		if err != nil {
			return err
		}
		return w.finish(ctx, id, submissions, nil, outcome{r.Becomes, r.Code, r.Reason, r.Native})
	}
	q, err := w.service.load(ctx, id, r)
	if errors.Is(err, event.ErrSealed) {
		w.logger.ErrorContext(ctx, "a request to send is sealed: it is not sent, and no event can tell of it", "request", id)
		w.cfg.Metrics.settled(w.key(), "lost")
		return w.state.settle(ctx, w.Tenant, id, outcome{state: stateFailed, code: "sealed", reason: "its content is sealed"})
	}
	if err != nil {
		return err
	}
	if do.send && q.lost() {
		return w.unreadable(ctx, id, r, q)
	}
	if !do.send {
		return w.decide(ctx, id, r, []*eventv1.Submission{q.failed(do.decide)}, nil, do.decide, false)
	}
	return w.attempt(ctx, id, r, q)
}

// unreadable decides about a request whose content is lost.
func (w *worker) unreadable(ctx context.Context, id event.ID, r *row, q *request) error {
	o := outcome{state: stateFailed, code: codeContentLost, reason: "what was to be sent is lost from the blob store"}
	if w.service.maybe(r) || r.State == stateSending && r.Owner != w.service.owner {
		o.state, o.reason = stateUnknown, "it may have been sent; what it said is lost from the blob store"
	}
	return w.decide(ctx, id, r, []*eventv1.Submission{q.failed(o)}, nil, o, false)
}

// attempt makes one attempt: it is noted before the first byte goes out.
func (w *worker) attempt(ctx context.Context, id event.ID, r *row, q *request) error {
	if r.State == stateSending && r.Owner != w.service.owner {
		r.Maybe = true // its process was interrupted; the sender is idempotent
	}
	r.State, r.Owner, r.Until = stateSending, w.service.owner, w.cfg.Now().Add(w.timeout+claimMargin)
	r.Next = time.Time{}
	r.Attempts++
	switch err := w.state.put(ctx, w.Tenant, id, r); {
	case errors.Is(err, kv.ErrConflict): // another process was quicker
		return nil
	case err != nil: // it may be noted; then it is ours still
		return fmt.Errorf("note the attempt: %w", err)
	}
	sent, err := w.send(ctx, q, r.Attempts)
	ctx, cancel := lasting(ctx)
	defer cancel()
	var refused *channel.RefusedError
	switch {
	case err == nil:
		w.cfg.Metrics.attempted(w.key(), "sent")
		return w.accepted(ctx, id, r, q, sent)
	case errors.As(err, &refused):
		w.cfg.Metrics.attempted(w.key(), "refused")
		o := outcome{state: stateFailed, code: event.Clip(refused.Code, maxCode), reason: event.Clip(refused.Reason, maxReason)}
		return w.decide(ctx, id, r, []*eventv1.Submission{q.failed(o)}, nil, o, true)
	case errors.Is(err, channel.ErrRetry) && !errors.Is(err, channel.ErrUnknown):
		w.cfg.Metrics.attempted(w.key(), "retry")
	default:
		w.cfg.Metrics.attempted(w.key(), "unknown")
		w.logger.WarnContext(ctx, "a message may or may not have been sent", "request", id, "error", err)
		if !w.Sender.Idempotent() {
			o := outcome{state: stateUnknown, reason: event.Clip(err.Error(), maxReason)}
			return w.decide(ctx, id, r, []*eventv1.Submission{q.failed(o)}, nil, o, false)
		}
		r.Maybe = true
	}
	r.State, r.Owner, r.Until, r.Reason = stateWaiting, "", time.Time{}, event.Clip(err.Error(), maxReason)
	r.Next = w.cfg.Now().Add(w.pause(r.Attempts, err))
	return w.persist(ctx, func() error {
		err := w.state.put(ctx, w.Tenant, id, r)
		if errors.Is(err, kv.ErrConflict) {
			return nil // somebody has taken it for interrupted, or the write before was written after all
		}
		return err
	})
}

// lasting is a context for what came of an attempt. It does not end while this process works: else the attempt would be taken for
// one that was not made. Where the process stops, it lasts a little longer.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(lastWords, cancel)
	})
	return longer, func() { stop(); cancel() }
}

// lastWords is how long an outcome may take to be told when its process stops. What is not told then is unknown.
const lastWords = 5 * time.Second

// send calls the channel. A panic tells nothing.
func (w *worker) send(ctx context.Context, q *request, attempt int) (sent channel.Sent, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			w.logger.ErrorContext(ctx, "a sender panicked", "request", q.event.GetId(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: the channel failed", channel.ErrUnknown)
		}
	}()
	out := q.outgoing(attempt, w.cfg.Blobs)
	if out.LastReceived, err = w.service.lastReceived(ctx, q); err != nil {
		return channel.Sent{}, fmt.Errorf("%w: look for the customer's last message: %w", channel.ErrRetry, err)
	}
	return w.Sender.Send(ctx, out)
}

// pause is how long to wait after so many attempts, unless the provider has said.
func (w *worker) pause(attempts int, err error) time.Duration {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return max(later.RetryAfter(), w.cfg.FirstRetry) // it may say 0, or a time that is over
	}
	d := w.cfg.FirstRetry
	for range attempts - 1 {
		if d *= 2; d >= w.cfg.LastRetry {
			d = w.cfg.LastRetry
			break
		}
	}
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // it spreads attempts
}

// accepted tells that a message was sent.
func (w *worker) accepted(ctx context.Context, id event.ID, r *row, q *request, sent channel.Sent) error {
	native := sent.NativeID
	if native == "" && sent.Echo != nil {
		native = sent.Echo.GetNativeId()
	}
	if native == "" {
		native = q.event.GetId()
	}
	o := outcome{state: stateSent, native: event.Clip(native, maxNative)}
	own := []*eventv1.Submission{q.sent(native, sent.At)}
	if sent.Echo == nil {
		return w.decide(ctx, id, r, own, nil, o, true)
	}
	submissions := []*eventv1.Submission{proto.CloneOf(sent.Echo)}
	if sent.Echo.GetCausationId() != q.event.GetId() {
		submissions = append(submissions, q.settled())
	}
	return w.decide(ctx, id, r, submissions, own, o, true)
}

// decide notes an outcome, so that it is told even where the process ends now, and tells it. Where the store does not answer, the
// log is told all the same. A fact is told even where another process has decided meanwhile that nothing is known.
func (w *worker) decide(
	ctx context.Context, id event.ID, r *row, submissions, otherwise []*eventv1.Submission, o outcome, fact bool,
) error {
	raw, err := encode(submissions)
	if err != nil {
		w.logger.ErrorContext(ctx, "an outcome is no event", "request", id, "error", err)
		submissions, otherwise = otherwise, nil
	} else {
		r.decided(o, raw, w.service.owner, w.cfg.Now().Add(claimMargin))
		switch err := w.state.put(ctx, w.Tenant, id, r); {
		case errors.Is(err, kv.ErrConflict) && !fact:
			return nil // somebody else has decided
		case err != nil:
			w.logger.WarnContext(ctx, "an outcome cannot be noted before it is told", "request", id, "error", err)
		}
	}
	return w.finish(ctx, id, submissions, otherwise, o)
}

// finish tells an outcome and notes that it is told.
func (w *worker) finish(ctx context.Context, id event.ID, submissions, otherwise []*eventv1.Submission, o outcome) error {
	err := w.persist(ctx, func() error {
		_, err := w.cfg.Host.Submit(ctx, w.Tenant, submissions...)
		var wrong *event.InvalidError
		if !errors.As(err, &wrong) && !errors.Is(err, eventlog.ErrTooLarge) {
			return err
		}
		w.logger.ErrorContext(ctx, "what a channel tells of a message that it has sent is no event", "request", id, "error", err)
		if otherwise == nil {
			w.cfg.Metrics.settled(w.key(), "lost")
			return nil
		}
		submissions, otherwise = otherwise, nil
		_, err = w.cfg.Host.Submit(ctx, w.Tenant, submissions...)
		return err
	})
	if err != nil {
		return fmt.Errorf("tell what became of it: %w", err)
	}
	err = w.persist(ctx, func() error { return w.state.settle(ctx, w.Tenant, id, o) })
	if err != nil {
		return fmt.Errorf("note that it is told: %w", err)
	}
	w.cfg.Metrics.settled(w.key(), o.state)
	w.service.tell(w.key())
	return nil
}

// persist tries until it works, or ctx ends.
func (w *worker) persist(ctx context.Context, try func() error) error {
	pause := w.cfg.FirstRetry
	for {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !sleep(ctx, pause) {
			return err
		}
		pause = min(2*pause, claimMargin/8)
	}
}
