package files

import (
	"cmp"
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

// The codes of what was not fetched, beside those of channels.
const (
	codeExpired     = "expired"
	codeNotStored   = "not_stored"
	codeContentLost = "content_lost"
)

const (
	maxReason = 1024
	maxCode   = 128
)

// worker fetches the files of one inbox, several at a time.
type worker struct {
	Inbox
	service *Service
	cfg     *Config
	state   *state
	logger  *slog.Logger
	woken   chan struct{} // holds a token when there may be something to do
	slots   chan struct{}
}

func newWorker(s *Service, in Inbox) *worker {
	return &worker{
		Inbox: in, service: s, cfg: &s.cfg, state: s.state, logger: s.cfg.Logger.With("tenant", in.Tenant, "inbox", in.ID),
		woken: make(chan struct{}, 1), slots: make(chan struct{}, s.cfg.Concurrency),
	}
}

func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// run works until ctx ends, and then waits for what is under way, whose contexts have ended.
func (w *worker) run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for ctx.Err() == nil {
		wait, err := w.round(ctx, func(k fileKey, r *row) {
			under.Go(func() {
				defer func() { <-w.slots; w.wake() }()
				if err := w.attempt(ctx, k, r); err != nil && ctx.Err() == nil {
					w.logger.WarnContext(ctx, "what became of a file cannot be told, trying again", "event", k.event, "error", err)
				}
			})
		})
		if err != nil && ctx.Err() == nil {
			w.logger.WarnContext(ctx, "what is to be fetched cannot be read, trying again", "error", err)
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
func (w *worker) round(ctx context.Context, begin func(fileKey, *row)) (wait time.Duration, err error) {
	now := w.cfg.Now()
	due, next, err := w.state.due(ctx, w.Tenant, w.ID, now, cap(w.slots))
	wait = w.cfg.Recheck
	if err != nil {
		return wait, err
	}
	if len(due) == 0 && !next.IsZero() {
		wait = max(min(wait, next.Sub(now)), time.Millisecond)
	}
	for _, k := range due {
		r, err := w.state.row(ctx, k)
		if err != nil {
			return wait, err
		}
		if r == nil || r.Done || r.Due.After(now) {
			continue // another process was quicker
		}
		if done, err := w.service.backlog.Done(ctx, r.Partition); err != nil || !done {
			return wait, err // what became of it may stand in the log
		}
		select {
		case w.slots <- struct{}{}:
		default: // who ends wakes us
			return wait, nil
		}
		r.Due = now.Add(w.cfg.Claim)
		r.Attempts++
		if err := w.state.put(ctx, k, r); err != nil {
			<-w.slots
			if errors.Is(err, kv.ErrConflict) {
				continue
			}
			return wait, err
		}
		begin(k, r)
	}
	return wait, nil
}

// attempt fetches a file and tells what became of it, or when to try again.
func (w *worker) attempt(ctx context.Context, k fileKey, r *row) error {
	e, content, err := w.read(ctx, k, r)
	if err != nil {
		return err // its claim ends
	}
	var file *eventv1.Attachment
	if int(k.index) < len(content.GetAttachments()) {
		file = content.GetAttachments()[k.index]
	}
	outcome := w.outcome(k, e, content)
	let := w.hold(ctx, k, r)
	stored, err := w.fetch(ctx, content.GetNativeThread(), file)
	let()
	refused, final := errors.AsType[*channel.RefusedError](err)
	switch {
	case err == nil:
		w.cfg.Metrics.attempted(w.Inbox, "stored")
		outcome.Type = event.TypeAttachmentStored
		outcome.Content.Attachments = []*eventv1.Attachment{stored}
		outcome.Content.Body = &eventv1.Content_AttachmentStored{AttachmentStored: &eventv1.AttachmentStored{EventId: k.event.String(), Index: k.index}}
	case ctx.Err() != nil:
		return w.giveBack(ctx, k, r)
	case !final && w.cfg.Now().Before(r.Since.Add(w.cfg.MaxAge)):
		w.cfg.Metrics.attempted(w.Inbox, "retry")
		r.Due, r.Reason = w.cfg.Now().Add(w.pause(r.Attempts, err)), event.Clip(err.Error(), maxReason)
		if err := w.state.put(ctx, k, r); !errors.Is(err, kv.ErrConflict) {
			return err
		}
		return nil
	default:
		w.cfg.Metrics.attempted(w.Inbox, "failed")
		if !final {
			refused = &channel.RefusedError{Code: codeExpired, Reason: "it could not be fetched in time; lately: " + err.Error()}
		}
		fail(outcome, k, refused)
	}
	_, err = w.cfg.Host.Submit(ctx, w.Tenant, outcome)
	if wrong, invalid := errors.AsType[*event.InvalidError](err); invalid && stored != nil { // nor will it be right another time
		w.logger.ErrorContext(ctx, "what a channel tells of a file that it has fetched is no event", "event", k.event, "error", err)
		outcome = w.outcome(k, e, content)
		fail(outcome, k, &channel.RefusedError{Code: codeNotStored, Reason: wrong.Error()})
		_, err = w.cfg.Host.Submit(ctx, w.Tenant, outcome)
	}
	if err != nil {
		return err // its claim ends
	}
	return w.state.settle(ctx, k)
}

// fail makes an outcome tell that a file cannot be had.
func fail(outcome *eventv1.Submission, k fileKey, why *channel.RefusedError) {
	outcome.Type = event.TypeAttachmentFailed
	outcome.Content.Body = &eventv1.Content_AttachmentFailed{AttachmentFailed: &eventv1.AttachmentFailed{
		EventId: k.event.String(), Index: k.index, Code: event.Clip(why.Code, maxCode), Reason: event.Clip(why.Reason, maxReason),
	}}
}

// hold renews the claim of a file until it is let go, so that what a process was at when it was killed is soon begun anew.
func (w *worker) hold(ctx context.Context, k fileKey, r *row) (let func()) {
	ctx, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		for {
			if sleep(ctx, w.cfg.Claim/3); ctx.Err() != nil {
				return
			}
			r.Due = w.cfg.Now().Add(w.cfg.Claim)
			if err := w.state.put(ctx, k, r); err != nil && ctx.Err() == nil {
				if errors.Is(err, kv.ErrConflict) {
					return // another process has it, or it is settled
				}
				w.logger.WarnContext(ctx, "a claim cannot be renewed", "event", k.event, "error", err)
			}
		}
	})
	return func() { cancel(); renewing.Wait() }
}

// giveBack ends the claim of a file that this process does not fetch because it stops. What fails ends with the claim.
func (w *worker) giveBack(ctx context.Context, k fileKey, r *row) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	r.Due = w.cfg.Now()
	if err := w.state.put(ctx, k, r); !errors.Is(err, kv.ErrConflict) {
		return err
	}
	return nil
}

// read reads the message of a file. Where its content is lost, the file may be one that only that named.
func (w *worker) read(ctx context.Context, k fileKey, r *row) (*eventv1.Event, *eventv1.Content, error) {
	record, err := eventlog.ReadAt(ctx, w.cfg.Log, eventlog.Position{Topic: event.TopicInteractions, Partition: r.Partition, Offset: r.Offset})
	if err != nil {
		return nil, nil, fmt.Errorf("read the message: %w", err)
	}
	e, content, err := w.service.read(ctx, record)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the message: %w", err)
	case e.GetId() != k.event.String() || int(k.index) >= len(content.GetAttachments()) && content.GetSpilled() == nil:
		return nil, nil, fmt.Errorf("the record %s is no longer the message %s: the topic was made anew, or the store is another log's", record.Position, k.event)
	}
	return e, content, nil
}

// fetch gets a file into the blob store; it is nil where nothing names it any more. A panic of the channel's is an error like others.
func (w *worker) fetch(ctx context.Context, thread string, file *eventv1.Attachment) (stored *eventv1.Attachment, err error) {
	if file == nil {
		return nil, &channel.RefusedError{Code: codeContentLost, Reason: "where the file lies is lost with the content of its message"}
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			w.logger.ErrorContext(ctx, "a fetcher panicked", "panic", p, "stack", string(debug.Stack()))
			err = errors.New("the channel failed")
		}
	}()
	fetched, err := w.Fetcher.Fetch(ctx, channel.RemoteFile{
		Tenant: w.Tenant, Inbox: w.ID, Thread: thread, Source: file.GetSource(), MediaType: file.GetMediaType(), Name: file.GetName(),
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = fetched.Body.Close() }() // nothing is written
	blob, err := w.cfg.Host.PutBlob(ctx, channel.BlobInfo{
		Tenant: w.Tenant, Inbox: w.ID, Thread: thread, MediaType: cmp.Or(file.GetMediaType(), fetched.MediaType),
	}, fetched.Body)
	if _, refused := errors.AsType[*channel.RefusedError](err); err != nil && !refused && !errors.Is(err, channel.ErrRetry) && ctx.Err() == nil {
		return nil, &channel.RefusedError{Code: codeNotStored, Reason: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	stored = proto.CloneOf(file)
	stored.Blob, stored.Source, stored.MediaType = blob, "", ""
	stored.Name = cmp.Or(stored.GetName(), fetched.Name)
	return stored, nil
}

// outcome is an event about a file, in the thread of its message.
func (w *worker) outcome(k fileKey, e *eventv1.Event, content *eventv1.Content) *eventv1.Submission {
	return &eventv1.Submission{
		Channel: e.GetChannel(), Direction: e.GetDirection(), Provider: e.GetProvider(), Inbox: e.GetInbox(),
		Thread: content.GetNativeThread(), NativeId: k.event.String(), Ordinal: uint32(k.index),
		Parties: event.SubmittedParties(e, content), CausationId: e.GetId(), CorrelationId: e.GetCorrelationId(), Backfill: e.GetBackfill(),
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, Content: &eventv1.Content{},
	}
}

// pause is how long to wait after so many attempts, unless the provider has said.
func (w *worker) pause(attempts int, err error) time.Duration {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return max(later.RetryAfter(), w.cfg.FirstRetry)
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
