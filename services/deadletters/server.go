package deadletters

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// defaultPage is how many letters a page has where nobody says.
const defaultPage = 100

// Server answers skein.admin.v1.DeadLetterService.
type Server struct {
	adminv1.UnimplementedDeadLetterServiceServer
	service *Service
}

// NewServer serves a service.
func NewServer(s *Service) *Server { return &Server{service: s} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { adminv1.RegisterDeadLetterServiceServer(r, s) }

// ListDeadLetters gives a page of letters.
func (s *Server) ListDeadLetters(ctx context.Context, req *adminv1.ListDeadLettersRequest) (*adminv1.ListDeadLettersResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	page, err := s.service.List(ctx, Query{
		Tenant: req.GetTenant(), Reasons: req.GetReasons(), Slice: req.GetSlice(), Topic: req.GetTopic(), Provider: req.GetProvider(), Open: req.GetOpen(),
	}, size, req.GetPageToken())
	if errors.Is(err, ErrBadToken) {
		return nil, rpc.InvalidField("page_token", err)
	}
	if err != nil {
		return nil, err
	}
	resp := &adminv1.ListDeadLettersResponse{NextPageToken: page.Next}
	for _, l := range page.Letters {
		l.Raw = nil
		resp.Letters = append(resp.Letters, entry(l))
	}
	return resp, nil
}

// GetDeadLetter tells all that is known of a letter.
func (s *Server) GetDeadLetter(ctx context.Context, req *adminv1.GetDeadLetterRequest) (*adminv1.GetDeadLetterResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	d, err := s.service.Show(ctx, fromProto(req.GetPosition()))
	if errors.Is(err, ErrNotFound) {
		return nil, rpc.NotFound(err)
	}
	if err != nil {
		return nil, err
	}
	resp := &adminv1.GetDeadLetterResponse{Entry: entry(d.Letter), Event: d.Event, RedriveOf: toProto(d.RedriveOf)}
	resp.Entry.Letter.Raw = d.Whole
	if d.Event != nil {
		if content, err := event.DecodeContent(d.Event); err == nil {
			resp.Content = content
		}
		d.Event.Content = nil
	}
	return resp, nil
}

// RedriveDeadLetters takes letters in again.
func (s *Server) RedriveDeadLetters(req *adminv1.RedriveDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.RedriveDeadLettersResponse]) error {
	ctx := stream.Context()
	if err := auth.RequireAdmin(ctx); err != nil {
		return err
	}
	letters := make([]eventlog.Position, len(req.GetPositions()))
	for i, p := range req.GetPositions() {
		letters[i] = fromProto(p)
	}
	return s.service.Redrive(ctx, req.GetForce(), letters, func(o Outcome) error {
		resp := &adminv1.RedriveDeadLettersResponse{Position: toProto(&o.Letter), Results: allToProto(o.As)}
		if o.Err != nil {
			resp.Problem = o.Err.Error()
		}
		if err := stream.Send(resp); err != nil {
			return fmt.Errorf("deadletters: report on %s: %w", o.Letter, err)
		}
		return nil
	})
}

func entry(l Letter) *adminv1.DeadLetterEntry {
	e := &adminv1.DeadLetterEntry{Position: toProto(&l.Position), Letter: proto.CloneOf(l.DeadLetter)}
	for _, r := range l.Redrives {
		e.Redrives = append(e.Redrives, &adminv1.Redrive{At: timestamppb.New(r.At), Results: allToProto(r.As), Again: toProto(r.Again)})
	}
	return e
}

func fromProto(p *eventv1.Position) eventlog.Position {
	return eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()}
}

func toProto(p *eventlog.Position) *eventv1.Position {
	if p == nil {
		return nil
	}
	return &eventv1.Position{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
}

func allToProto(list []eventlog.Position) []*eventv1.Position {
	out := make([]*eventv1.Position, len(list))
	for i := range list {
		out[i] = toProto(&list[i])
	}
	return out
}
