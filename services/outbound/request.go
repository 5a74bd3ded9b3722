package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// typeSettled tells that a request was sent, where message.sent is the provider's echo and cannot tell which request it was. Its
// causation is the request.
const typeSettled = "ext.skein.sent"

// request is an event message.send_requested, read from the log.
type request struct {
	event    *eventv1.Event
	content  *eventv1.Content
	position eventlog.Position
}

// load reads a request. The store says where it stands, the log what it is. Where its content is lost, the beginning has to do.
func (s *Service) load(ctx context.Context, id event.ID, r *row) (*request, error) {
	record, err := eventlog.ReadAt(ctx, s.cfg.Log, eventlog.Position{Topic: event.TopicInteractions, Partition: r.Partition, Offset: r.Offset})
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	e, err := event.Decode(record.Value)
	if err != nil || e.GetId() != id.String() {
		return nil, fmt.Errorf("the record %s is no longer the request %s: the topic was made anew, or the store is another log's", record.Position, id)
	}
	content, err := event.DecodeContent(e)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	whole, err := event.Whole(ctx, content, s.cfg.Blobs)
	switch {
	case blob.Lost(err): // for good, so that what waits behind it need not wait for it
		s.cfg.Logger.ErrorContext(ctx, "the content of a request to send is lost", "request", id, "error", err)
	case err != nil:
		return nil, fmt.Errorf("read the request: %w", err)
	default:
		content = whole
	}
	return &request{event: e, content: content, position: record.Position}, nil
}

// lost tells whether there is only the beginning of what is to be sent.
func (q *request) lost() bool { return q.content.GetSpilled() != nil }

// parties are those of the request, as they were handed in.
func (q *request) parties() []*eventv1.SubmittedParty {
	return event.SubmittedParties(q.event, q.content)
}

// recipients are the addresses of customers that can be reached.
func recipients(parties []*eventv1.SubmittedParty) []*eventv1.Address {
	var to []*eventv1.Address
	for _, p := range parties {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER && reachable(p.GetAddress()) {
			to = append(to, p.GetAddress())
		}
	}
	return to
}

// reachable tells whether a message can go to an address: a login or CRM id only names somebody.
func reachable(a *eventv1.Address) bool {
	return a.GetValue() != "" && a.GetKind() != eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
}

func (q *request) actor() *eventv1.SubmittedActor {
	if a := q.event.GetActor(); a != nil {
		return &eventv1.SubmittedActor{Kind: a.GetKind(), Id: a.GetId()}
	}
	return nil
}

// outgoing is what the channel gets.
func (q *request) outgoing(attempt int, blobs Blobs) channel.Outgoing {
	out := channel.Outgoing{
		Tenant: q.event.GetTenant(), Inbox: q.event.GetInbox(), Thread: q.content.GetNativeThread(), RequestID: q.event.GetId(),
		Parties: q.parties(), Actor: q.actor(), Message: q.content.GetMessageSendRequested(),
		RequestedAt: q.event.GetReceivedAt().AsTime(), Attempt: attempt,
	}
	out.To = recipients(out.Parties)
	for _, a := range q.content.GetAttachments() {
		out.Attachments = append(out.Attachments, channel.OutgoingFile{Attachment: a, Open: func(ctx context.Context) (io.ReadCloser, error) {
			if a.GetBlob() == nil {
				return nil, &channel.RefusedError{Code: codeFileGone, Reason: fmt.Sprintf("the attachment %q names no file in the blob store", a.GetName())}
			}
			data, err := blobs.Get(ctx, a.GetBlob())
			switch {
			case blob.Lost(err):
				return nil, &channel.RefusedError{Code: codeFileGone, Reason: fmt.Sprintf("the attachment %q is lost from the blob store", a.GetName())}
			case err != nil:
				return nil, fmt.Errorf("%w: the attachment %q: %w", channel.ErrRetry, a.GetName(), err)
			}
			return io.NopCloser(bytes.NewReader(data)), nil
		}})
	}
	return out
}

// Ordinals of message.failed, of which one request can have one each.
const (
	ordinalFailed  = 0
	ordinalUnknown = 1
	ordinalExpired = 2
)

// submission is an event about the request, of its own id where it has none of the provider's.
func (q *request) submission(typ, native string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Channel: q.event.GetChannel(), Direction: eventv1.Direction_DIRECTION_OUTBOUND, Provider: q.event.GetProvider(),
		Inbox: q.event.GetInbox(), Thread: q.content.GetNativeThread(), NativeId: native, Parties: q.parties(), Queue: q.event.GetQueue(),
		CausationId: q.event.GetId(), CorrelationId: q.event.GetCorrelationId(),
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, Content: &eventv1.Content{},
	}
}

// sent is message.sent, made of the request.
func (q *request) sent(native string, at time.Time) *eventv1.Submission {
	s := q.submission(event.TypeMessageSent, event.Clip(native, maxNative))
	s.Language = q.event.GetLanguage()
	if actor := q.actor(); actor != nil {
		s.Actor = actor
	}
	s.Content.Attachments = q.content.GetAttachments()
	said := q.content.GetMessageSendRequested()
	if said == nil {
		said = &eventv1.Message{}
	}
	s.Content.Body = &eventv1.Content_MessageSent{MessageSent: said}
	if !at.IsZero() {
		s.OccurredAt = timestamppb.New(at)
	}
	return s
}

// settled tells that the request was sent, beside the echo that says what.
func (q *request) settled() *eventv1.Submission {
	return q.submission(typeSettled, q.event.GetId())
}

func (q *request) delivered(native string, at *timestamppb.Timestamp) *eventv1.Submission {
	s := q.submission(event.TypeMessageDelivered, native)
	s.OccurredAt = at
	s.Content.Body = &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: native}}
	return s
}

// failed is message.failed. Its id depends on the request and on what it tells only.
func (q *request) failed(o outcome) *eventv1.Submission {
	s := q.submission(event.TypeMessageFailed, q.event.GetId())
	s.Ordinal = ordinalFailed
	switch {
	case o.state == stateUnknown:
		s.Ordinal = ordinalUnknown
	case o.code == codeExpired:
		s.Ordinal = ordinalExpired
	}
	s.Content.Body = &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{
		Code: o.code, Reason: o.reason, Unknown: o.state == stateUnknown,
	}}
	return s
}

// What a provider says may be long, and no text.
const (
	maxNative = 1024
	maxCode   = 128
	maxReason = 1024
)

// encode keeps submissions until they are in the log.
func encode(submissions []*eventv1.Submission) ([]byte, error) {
	return proto.Marshal(&ingestv1.PublishRequest{Submissions: submissions})
}

func decode(raw []byte) ([]*eventv1.Submission, error) {
	p := &ingestv1.PublishRequest{}
	if err := proto.Unmarshal(raw, p); err != nil {
		return nil, fmt.Errorf("an outcome cannot be read: the store is damaged: %w", err)
	}
	return p.GetSubmissions(), nil
}
