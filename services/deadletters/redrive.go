package deadletters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Why a letter was not redriven.
var (
	// ErrRedriven means that it was redriven before. Force does it again, which changes nothing where it worked.
	ErrRedriven = errors.New("it was redriven before; force does it again")
	// ErrConflict means that its event has the id of another one, which came first and counts. Appended again it would be in
	// conflict again: mend the source, so that it gives the event an id of its own. Force appends it nevertheless.
	ErrConflict = errors.New("its event has the id of an earlier event with other content, and would be in conflict again: " +
		"mend what gives the ids, or force it")
	// ErrNoSource means that the record that the letter is about is not in the log any more.
	ErrNoSource = errors.New("the log does not hold the record that it is about")
	// ErrNoRedriver means that no adapter of this process takes its provider's payloads in again.
	ErrNoRedriver = errors.New("this process has no adapter that takes payloads of its provider in again: ask one that runs the channel's role")
	// ErrCut means that only the beginning of the payload was kept.
	ErrCut = errors.New("the payload is not complete any more: have the provider send it again")
	// ErrRejected means that the adapter rejects the payload still.
	ErrRejected = errors.New("the adapter rejects it still")
	// ErrNoReason means that the record is no dead letter, or one of a kind that this version does not know.
	ErrNoReason = errors.New("it gives no reason that this version knows")
)

const (
	// perSecond is how many letters are redriven a second.
	perSecond = 500
	// slack is by how much the clocks of those who append may differ.
	slack = time.Minute
)

// Outcome is what became of one letter.
type Outcome struct {
	Letter eventlog.Position
	// As is where the records stand that it gave.
	As []eventlog.Position
	// Err is why it was not redriven; nil where it was.
	Err error
}

// Redrive takes letters in again, one after the other, and reports each. A record of the log is appended to its topic
// again, with the same key, bytes and headers: where the first one counts already, or somebody redrives it twice, the
// dedupe by the event's id drops it. What a channel has rejected goes through its adapter again. Force overrides
// ErrRedriven and ErrConflict. The error is that of ctx, of report, or of reading what was redriven before.
func (s *Service) Redrive(ctx context.Context, force bool, letters []eventlog.Position, report func(Outcome) error) error {
	redrives, err := s.redrives(ctx)
	if err != nil {
		return err
	}
	done := make(map[eventlog.Position]bool, len(letters))
	for _, at := range letters {
		if err := ctx.Err(); err != nil {
			return err
		}
		outcome := Outcome{Letter: at}
		if (len(redrives(at)) > 0 || done[at]) && !force {
			outcome.Err = ErrRedriven
		} else {
			outcome.As, outcome.Err = s.redrive(ctx, at, force)
			done[at] = outcome.Err == nil
		}
		if err := report(outcome); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) redrive(ctx context.Context, at eventlog.Position, force bool) (as []eventlog.Position, err error) {
	letter, err := s.letter(ctx, at)
	switch {
	case err != nil:
		return nil, err
	case letter.GetReason() == eventv1.DeadReason_DEAD_REASON_CONFLICT && !force:
		return nil, ErrConflict
	}
	handle := func(m *message.Message) (_ []*message.Message, err error) { //nolint:contextcheck // the message's, which is ctx
		as, err = s.takeIn(m.Context(), letter)
		if err != nil && !errors.Is(err, channel.ErrRetry) {
			err = backoff.Permanent(err)
		}
		return nil, err
	}
	for _, wrap := range s.wraps {
		handle = wrap(handle)
	}
	m := message.NewMessageWithContext(ctx, at.String(), letter.GetRaw())
	middleware.SetCorrelationID("redrive of "+at.String(), m)
	if _, err := handle(m); err != nil {
		return nil, err
	}
	return as, s.note(ctx, letter, as)
}

// middlewares are Watermill's, the innermost first. There is no router around them, for there is nothing to subscribe to: an
// operator names the letters and waits for the outcome. What is still not understood comes back as a new letter, so the
// dead letters are their own poison queue.
func middlewares() []message.HandlerMiddleware {
	return []message.HandlerMiddleware{
		middleware.Recoverer,
		middleware.NewThrottle(perSecond, time.Second).Middleware,
		middleware.Retry{
			MaxRetries: 5, InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second, Multiplier: 2, RandomizationFactor: 0.2,
		}.Middleware,
		middleware.CorrelationID,
	}
}

// takeIn makes one attempt and tells where the records stand that it gave.
func (s *Service) takeIn(ctx context.Context, letter Letter) ([]eventlog.Position, error) {
	switch letter.GetReason() {
	case eventv1.DeadReason_DEAD_REASON_UNDECODABLE, eventv1.DeadReason_DEAD_REASON_INVALID, eventv1.DeadReason_DEAD_REASON_CONFLICT:
		return s.appendAgain(ctx, letter)
	case eventv1.DeadReason_DEAD_REASON_REJECTED:
		return s.resubmit(ctx, letter)
	default:
		return nil, ErrNoReason
	}
}

// appendAgain appends the record that a letter is about to its topic once more.
func (s *Service) appendAgain(ctx context.Context, letter Letter) ([]eventlog.Position, error) {
	source, err := s.source(ctx, letter)
	if err != nil {
		return nil, err
	}
	m := pubsub.FromRecord(source)
	m.SetContext(ctx)
	m.Metadata.Set(headerOf, letter.Position.String())
	if err := s.cfg.Publisher.Publish(source.Topic, m); err != nil {
		return nil, fmt.Errorf("append %s again: %w", source.Position, err)
	}
	at, _ := pubsub.PositionOf(m.Context()) //nolint:contextcheck // the message's own
	return []eventlog.Position{at}, nil
}

// source reads the record that a letter is about. ErrNoSource where the letter came from a channel, or the log holds the
// record no more, or another one in its place.
func (s *Service) source(ctx context.Context, letter Letter) (eventlog.Record, error) {
	if letter.GetSource() == nil {
		return eventlog.Record{}, ErrNoSource
	}
	at := fromProto(letter.GetSource())
	r, found, err := s.record(ctx, at)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("deadletters: read %s: %w", at, err)
	}
	if !found || int64(len(r.Value)) != letter.GetRawSize() || !bytes.HasPrefix(r.Value, letter.GetRaw()) {
		return eventlog.Record{}, fmt.Errorf("%w: %s", ErrNoSource, at)
	}
	return r, nil
}

// resubmit hands a rejected payload to its adapter.
func (s *Service) resubmit(ctx context.Context, letter Letter) ([]eventlog.Position, error) {
	adapter, ok := s.cfg.Redrivers[letter.GetProvider()]
	if !ok {
		return nil, fmt.Errorf("%w (%s)", ErrNoRedriver, letter.GetProvider())
	}
	raw, err := s.payload(ctx, letter)
	if err != nil {
		return nil, err
	}
	h := &host{Host: s.cfg.Host}
	err = adapter.Redrive(ctx, h, channel.Rejection{
		Tenant: letter.GetTenant(), Provider: letter.GetProvider(), Inbox: letter.GetInbox(), Reason: letter.GetDetail(), Raw: raw,
	})
	return h.as, err
}

// payload is the whole payload of a letter that came from a channel.
func (s *Service) payload(ctx context.Context, letter Letter) ([]byte, error) {
	if int64(len(letter.GetRaw())) == letter.GetRawSize() {
		return letter.GetRaw(), nil
	}
	if letter.GetRawBlob() == nil {
		return nil, fmt.Errorf("%w: it has %d of %d bytes", ErrCut, len(letter.GetRaw()), letter.GetRawSize())
	}
	raw, err := s.cfg.Blobs.Get(ctx, letter.GetRawBlob())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCut, err)
	}
	return raw, nil
}

// host is what an adapter hands a redriven payload to. It notes where the events stand; another rejection is an error
// instead of one more letter.
type host struct {
	channel.Host
	as []eventlog.Position
}

// Submit implements channel.Host.
func (h *host) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	acks, err := h.Host.Submit(ctx, tenant, submissions...)
	for _, a := range acks {
		h.as = append(h.as, a.Position)
	}
	return acks, err
}

// Reject implements channel.Host.
func (h *host) Reject(_ context.Context, r channel.Rejection) error {
	return fmt.Errorf("%w: %s", ErrRejected, r.Reason)
}
