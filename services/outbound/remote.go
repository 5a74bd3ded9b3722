package outbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var (
	// ErrNotRemote means that an inbox is not served by a connector.
	ErrNotRemote = errors.New("outbound: the inbox is not configured for a connector")
	// ErrBadCursor means that a text is no cursor of this inbox.
	ErrBadCursor = errors.New("outbound: not a cursor of this inbox")
	// ErrStopping means that this process is about to end.
	ErrStopping = errors.New("outbound: this process is stopping: go on from the last cursor")
	// ErrUnknownRequest means that no such request was taken in.
	ErrUnknownRequest = errors.New("outbound: no such request is known")
	// ErrSettled means that another outcome was reported before.
	ErrSettled = errors.New("outbound: another outcome of this request is known already")
)

// cursor is where a connector goes on in each partition.
type cursor map[int32]int64

const cursorVersion = 1

func cursorHead(inbox inboxKey) []byte {
	sum := sha256.Sum256(names(cursorVersion, inbox.tenant, inbox.id))
	return append([]byte{cursorVersion}, sum[:8]...)
}

func (c cursor) encode(inbox inboxKey) string {
	b := cursorHead(inbox)
	for _, p := range slices.Sorted(maps.Keys(c)) {
		b = binary.AppendUvarint(b, uint64(p))
		b = binary.AppendUvarint(b, uint64(c[p]))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(text string, inbox inboxKey) (cursor, error) {
	c := cursor{}
	if text == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	head := cursorHead(inbox)
	if err != nil || len(b) < len(head) || !bytes.Equal(b[:len(head)], head) {
		return nil, ErrBadCursor
	}
	for b = b[len(head):]; len(b) > 0; {
		p, n := binary.Uvarint(b)
		if n <= 0 || p > 1<<31-1 {
			return nil, ErrBadCursor
		}
		next, m := binary.Uvarint(b[n:])
		if m <= 0 || next > 1<<63-1 {
			return nil, ErrBadCursor
		}
		c[int32(p)], b = int64(next), b[n+m:]
	}
	return c, nil
}

// Handed is a request that a connector is to send. Without an event it only tells the cursor.
type Handed struct {
	Event   *eventv1.Event
	Content *eventv1.Content
	To      []*eventv1.Address
	// Before says that it was handed out before.
	Before bool
	Cursor string
}

// Hand gives a connector what it is to send for an inbox, from a cursor on, until ctx ends or yield fails. Each request is noted
// as handed out before yield gets it.
func (s *Service) Hand(ctx context.Context, tenant, inbox, from string, yield func(Handed) error) error {
	key := inboxKey{tenant, inbox}
	w := s.workers[key]
	if w == nil || !w.Remote {
		return ErrNotRemote
	}
	at, err := decodeCursor(from, key)
	if err != nil {
		return err
	}
	if err := yield(Handed{Cursor: at.encode(key)}); err != nil {
		return err
	}
	tick := time.NewTicker(s.cfg.Recheck)
	defer tick.Stop()
	for {
		changed := s.change()
		if err := s.handAll(ctx, w, at, yield); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping:
			return ErrStopping
		case <-changed:
		case <-tick.C:
		}
	}
}

// handPage is how many requests are read at once.
const handPage = 256

// handAll hands out what there is.
func (s *Service) handAll(ctx context.Context, w *worker, at cursor, yield func(Handed) error) error {
	for {
		var page []listed
		err := s.state.list(ctx, spacePending, w.Tenant, w.ID, false, func(l listed) bool {
			if l.Offset >= at[l.Partition] && l.State == stateWaiting {
				page = append(page, l)
			}
			return len(page) < handPage
		})
		if err != nil {
			return fmt.Errorf("outbound: read what is to be sent: %w", err)
		}
		behind := map[int32]bool{}
		for _, l := range page {
			caught, err := s.backlog.Done(ctx, l.Partition)
			if err != nil {
				return fmt.Errorf("outbound: %w", err)
			}
			if behind[l.Partition] = behind[l.Partition] || !caught; behind[l.Partition] {
				continue
			}
			h, err := s.handOne(ctx, w, l)
			if err != nil {
				return err
			}
			at[l.Partition] = l.Offset + 1
			if h == nil {
				continue
			}
			h.Cursor = at.encode(w.key())
			if err := yield(*h); err != nil {
				return err
			}
		}
		if len(page) < handPage || len(behind) > 0 && !slices.Contains(slices.Collect(maps.Values(behind)), false) {
			return nil
		}
	}
}

// handOne notes that a request is handed out; nil where it has an outcome by now, is too old, or is lost.
func (s *Service) handOne(ctx context.Context, w *worker, l listed) (*Handed, error) {
	q, err := s.load(ctx, l.id, l.row)
	if errors.Is(err, event.ErrSealed) {
		return nil, nil //nolint:nilnil // there is nothing to hand out
	}
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	if q.lost() {
		if s.maybe(l.row) { // whoever has it may still report
			return nil, nil //nolint:nilnil // there is nothing to hand out
		}
		if err := w.unreadable(ctx, l.id, l.row, q); err != nil {
			return nil, fmt.Errorf("outbound: %w", err)
		}
		return nil, nil //nolint:nilnil // there is nothing to hand out
	}
	for r := l.row; r != nil && r.State == stateWaiting && s.cfg.Now().Before(r.Requested.Add(s.cfg.MaxAge)); {
		before := s.maybe(r)
		r.Maybe = true
		r.Attempts++
		err := s.state.put(ctx, w.Tenant, l.id, r)
		if err == nil {
			e := q.event
			e.Content = nil
			return &Handed{Event: e, Content: q.content, To: recipients(q.parties()), Before: before}, nil
		}
		if !errors.Is(err, kv.ErrConflict) {
			return nil, fmt.Errorf("outbound: note that a request is handed out: %w", err)
		}
		if r, err = s.state.row(ctx, w.Tenant, l.id); err != nil {
			return nil, fmt.Errorf("outbound: %w", err)
		}
	}
	return nil, nil //nolint:nilnil // there is nothing to hand out
}

// Report is what a connector tells of a request: one of them.
type Report struct {
	// Sent, Failed and Unknown are outcomes. Native is the provider's id of what was sent.
	Sent, Failed, Unknown bool
	Native, Code, Reason  string
	Delivered             bool
	At                    *timestamppb.Timestamp
}

func (r *Report) outcome() outcome {
	o := outcome{state: stateSent, native: r.Native}
	if r.Failed {
		o = outcome{state: stateFailed, code: r.Code, reason: r.Reason}
		if o.code == codeExpired {
			o.code = "provider_expired" // ours says that nothing was reported in time
		}
	} else if r.Unknown {
		o = outcome{state: stateUnknown, code: r.Code, reason: r.Reason}
	}
	return o
}

// Report tells what became of a request that was handed out, and returns when that is durable.
func (s *Service) Report(ctx context.Context, tenant string, id event.ID, report Report) (channel.Acknowledgement, error) {
	for {
		r, err := s.state.row(ctx, tenant, id)
		if err != nil {
			return channel.Acknowledgement{}, fmt.Errorf("outbound: %w", err)
		}
		if r == nil {
			return channel.Acknowledgement{}, ErrUnknownRequest
		}
		w := s.workers[inboxKey{tenant, r.Inbox}]
		if w == nil || !w.Remote {
			return channel.Acknowledgement{}, ErrNotRemote
		}
		q, err := s.load(ctx, id, r)
		if err != nil {
			return channel.Acknowledgement{}, fmt.Errorf("outbound: %w", err)
		}
		if report.Delivered {
			return first(s.cfg.Host.Submit(ctx, tenant, q.delivered(report.Native, report.At)))
		}
		ack, err := s.reported(ctx, w, id, r, q, report)
		if !errors.Is(err, kv.ErrConflict) {
			return ack, err
		}
	}
}

func first(acks []channel.Acknowledgement, err error) (channel.Acknowledgement, error) {
	if err != nil || len(acks) == 0 {
		return channel.Acknowledgement{}, err
	}
	return acks[0], nil
}

// reported notes and tells an outcome. It returns kv.ErrConflict where the request stands otherwise by now.
func (s *Service) reported(ctx context.Context, w *worker, id event.ID, r *row, q *request, report Report) (channel.Acknowledgement, error) {
	o := report.outcome()
	switch {
	case r.State == stateDecided && r.Becomes == o.state: // reported already, and perhaps not told
		submissions, err := decode(r.Outcome)
		if err != nil {
			return channel.Acknowledgement{}, fmt.Errorf("outbound: %w", err)
		}
		return s.tellReport(ctx, w, id, submissions, outcome{r.Becomes, r.Code, r.Reason, r.Native})
	case r.State == stateDecided:
		return channel.Acknowledgement{}, fmt.Errorf("%w: another outcome is being told", channel.ErrRetry)
	case r.State == o.state && (o.state != stateFailed || r.Code != codeExpired): // once more
		if o.state == stateSent && r.Native != "" && r.Native != o.native {
			return channel.Acknowledgement{}, ErrSettled
		}
		if o.state != stateSent {
			o.code, o.reason = r.Code, r.Reason
		}
	case !r.open(o):
		return channel.Acknowledgement{}, ErrSettled
	}
	told := q.failed(o)
	if o.state == stateSent {
		told = q.sent(o.native, time.Time{})
		told.OccurredAt = report.At
	}
	if r.terminal() { // the request is no longer pending; what the log says is noted when it comes by
		return s.tellReport(ctx, w, id, []*eventv1.Submission{told}, o)
	}
	raw, err := encode([]*eventv1.Submission{told})
	if err != nil {
		return channel.Acknowledgement{}, fmt.Errorf("outbound: %w", err)
	}
	r.decided(o, raw, s.owner, s.cfg.Now().Add(claimMargin))
	if err := s.state.put(ctx, w.Tenant, id, r); err != nil {
		return channel.Acknowledgement{}, fmt.Errorf("outbound: note a report: %w", err)
	}
	return s.tellReport(ctx, w, id, []*eventv1.Submission{told}, o)
}

func (s *Service) tellReport(ctx context.Context, w *worker, id event.ID, submissions []*eventv1.Submission, o outcome) (channel.Acknowledgement, error) {
	ack, err := first(s.cfg.Host.Submit(ctx, w.Tenant, submissions...))
	if err != nil {
		return channel.Acknowledgement{}, err
	}
	if err := s.state.settle(ctx, w.Tenant, id, o); err != nil { // it is noted when it comes by in the log
		s.cfg.Logger.WarnContext(ctx, "a report cannot be noted, although it is told", "request", id, "error", err)
	} else {
		s.cfg.Metrics.settled(w.key(), o.state)
	}
	s.tell(w.key())
	return ack, nil
}
