package outbound

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Server answers skein.channel.v1.ChannelService.
type Server struct {
	channelv1.UnimplementedChannelServiceServer
	service *Service
	threads Threads
	keyring *event.Keyring
	live    *live.Hub
}

// NewServer sends through a service, looks threads up, and signals through a hub.
func NewServer(s *Service, threads Threads, keyring *event.Keyring, hub *live.Hub) *Server {
	return &Server{service: s, threads: threads, keyring: keyring, live: hub}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { channelv1.RegisterChannelServiceServer(r, s) }

// Send asks to send a message.
func (s *Server) Send(ctx context.Context, req *channelv1.SendRequest) (*channelv1.SendResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	if positions := req.GetMinPositions(); len(positions) > 0 {
		want := make([]eventlog.Position, 0, len(positions))
		for _, p := range positions {
			want = append(want, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
		}
		if err := s.threads.Wait(ctx, want...); err != nil {
			return nil, err
		}
	}
	m := req.GetMessage()
	ask := Ask{
		Tenant: caller.Tenant, RequestID: req.GetRequestId(), Attachments: m.GetAttachments(), Actor: req.GetActor(), Author: req.GetAuthor(),
		CausationID: req.GetCausationId(), CorrelationID: req.GetCorrelationId(),
		Message: &eventv1.Message{
			Subject: m.GetSubject(), Text: m.GetText(), Html: m.GetHtml(), InReplyTo: m.GetInReplyTo(), Template: m.GetTemplate(),
			TemplateParameters: m.GetTemplateParameters(), TemplateLanguage: m.GetTemplateLanguage(),
		},
	}
	if ask.Actor == nil {
		ask.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
	}
	var ack channel.Acknowledgement
	field := "thread_id"
	if req.GetThreadId() != "" {
		if ask.Thread, err = event.ParseID(req.GetThreadId()); err != nil {
			return nil, rpc.InvalidField(field, err)
		}
		ack, err = s.service.Send(ctx, s.threads, ask)
	} else {
		field = "thread"
		for _, ids := range s.keyring.TenantAll(caller.Tenant) { // under the key that it was begun with
			ask.Thread = ids.Thread(req.GetInbox(), req.GetThread())
			if ack, err = s.service.Send(ctx, s.threads, ask); !errors.Is(err, ErrUnknownThread) {
				break
			}
		}
	}
	if err != nil {
		return nil, refusal(err, field)
	}
	return &channelv1.SendResponse{EventId: ack.EventID, ThreadId: ack.ThreadID, Position: position(ack.Position)}, nil
}

// refusal tells the caller what is wrong with the request.
func refusal(err error, thread string) error {
	var wrong *event.InvalidError
	switch {
	case errors.Is(err, ErrUnknownThread), errors.Is(err, ErrUnknownRequest):
		return rpc.NotFound(err)
	case errors.Is(err, ErrCannotSend), errors.Is(err, ErrUnreachable):
		return rpc.InvalidField(thread, err)
	case errors.Is(err, ErrRequestIDUsed):
		return rpc.InvalidField("request_id", err)
	case errors.Is(err, ErrNotRemote):
		return rpc.InvalidField("inbox", err)
	case errors.Is(err, ErrBadCursor):
		return rpc.InvalidField("cursor", err)
	case errors.Is(err, ErrSettled):
		return rpc.InvalidField("outcome", err)
	case errors.Is(err, ErrStopping):
		return rpc.Unavailable(err)
	case errors.As(err, &wrong):
		violations := make([]event.Violation, 0, len(wrong.Violations))
		for _, v := range wrong.Violations { // its fields are the submission's
			v.Field = strings.Replace(strings.TrimPrefix(v.Field, "submissions[0]."), "content.attachments", "message.attachments", 1)
			violations = append(violations, v)
		}
		return rpc.Invalid(violations...)
	}
	return err
}

// Requests gives a connector what it is to send.
func (s *Server) Requests(req *channelv1.RequestsRequest, stream grpc.ServerStreamingServer[channelv1.RequestsResponse]) error {
	caller, err := auth.From(stream.Context())
	if err != nil {
		return err
	}
	err = s.service.Hand(stream.Context(), caller.Tenant, req.GetInbox(), req.GetCursor(), func(h Handed) error {
		resp := &channelv1.RequestsResponse{Cursor: h.Cursor}
		if h.Event != nil {
			resp.Request = &channelv1.OutboundRequest{Event: h.Event, Content: h.Content, To: h.To, HandedBefore: h.Before}
		}
		return stream.Send(resp)
	})
	return refusal(err, "")
}

// Report tells what became of a request.
func (s *Server) Report(ctx context.Context, req *channelv1.ReportRequest) (*channelv1.ReportResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	id, err := event.ParseID(req.GetEventId())
	if err != nil {
		return nil, rpc.InvalidField("event_id", err)
	}
	var r Report
	switch o := req.GetOutcome().(type) {
	case *channelv1.ReportRequest_Sent:
		r = Report{Sent: true, Native: o.Sent.GetNativeId(), At: o.Sent.GetAt()}
	case *channelv1.ReportRequest_Failed:
		r = Report{Failed: true, Code: o.Failed.GetCode(), Reason: o.Failed.GetReason()}
	case *channelv1.ReportRequest_Unknown:
		r = Report{Unknown: true, Reason: o.Unknown.GetReason()}
	case *channelv1.ReportRequest_Delivered:
		r = Report{Delivered: true, Native: o.Delivered.GetNativeId(), At: o.Delivered.GetAt()}
	}
	ack, err := s.service.Report(ctx, caller.Tenant, id, r)
	if err != nil {
		return nil, refusal(err, "")
	}
	return &channelv1.ReportResponse{EventId: ack.EventID, Position: position(ack.Position)}, nil
}

// defaultLimit is how many requests are listed unless stated.
const defaultLimit = 100

// ListRequests tells of the requests that have no outcome, or a bad one.
func (s *Server) ListRequests(ctx context.Context, req *channelv1.ListRequestsRequest) (*channelv1.ListRequestsResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	wanted := map[channelv1.RequestState]bool{}
	for _, state := range req.GetStates() {
		wanted[state] = true
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = defaultLimit
	}
	resp := &channelv1.ListRequestsResponse{}
	for _, space := range []byte{spacePending, spaceFailed} {
		err := s.service.state.list(ctx, space, caller.Tenant, req.GetInbox(), space == spaceFailed, func(l listed) bool {
			status := s.status(caller.Tenant, l)
			if len(wanted) > 0 && !wanted[status.GetState()] {
				return true
			}
			if resp.More = len(resp.GetRequests()) == limit; !resp.GetMore() {
				resp.Requests = append(resp.Requests, status)
			}
			return !resp.GetMore()
		})
		if err != nil {
			return nil, err
		}
		if resp.GetMore() {
			break
		}
	}
	return resp, nil
}

func (s *Server) status(tenant string, l listed) *channelv1.RequestStatus {
	out := &channelv1.RequestStatus{
		EventId: l.id.String(), ThreadId: l.Thread, Inbox: l.Inbox, Attempts: int32(min(l.Attempts, 1<<30)), Code: l.Code, Reason: l.Reason,
		Position:    &eventv1.Position{Topic: event.TopicInteractions, Partition: l.Partition, Offset: l.Offset},
		RequestedAt: timestamppb.New(l.Requested), State: channelv1.RequestState_REQUEST_STATE_PENDING,
	}
	if !l.Next.IsZero() {
		out.NextAttemptAt = timestamppb.New(l.Next)
	}
	w := s.service.workers[inboxKey{tenant, l.Inbox}]
	switch {
	case l.State == stateUnknown:
		out.State = channelv1.RequestState_REQUEST_STATE_UNKNOWN
	case l.State == stateFailed:
		out.State = channelv1.RequestState_REQUEST_STATE_FAILED
	case l.State == stateSending, l.State == stateDecided, w != nil && w.Remote && l.Maybe:
		out.State = channelv1.RequestState_REQUEST_STATE_SENDING
	}
	return out
}

func position(p eventlog.Position) *eventv1.Position {
	return &eventv1.Position{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
}
