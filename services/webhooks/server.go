package webhooks

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Server answers skein.admin.v1.WebhookService.
type Server struct {
	adminv1.UnimplementedWebhookServiceServer
	service *Service
}

// NewServer operates a service.
func NewServer(s *Service) *Server { return &Server{service: s} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { adminv1.RegisterWebhookServiceServer(r, s) }

// ListWebhooks tells how the endpoints are.
func (s *Server) ListWebhooks(ctx context.Context, _ *adminv1.ListWebhooksRequest) (*adminv1.ListWebhooksResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	list, err := s.service.Status(ctx)
	if err != nil {
		return nil, err
	}
	resp := &adminv1.ListWebhooksResponse{}
	for _, status := range list {
		resp.Webhooks = append(resp.Webhooks, webhook(status))
	}
	return resp, nil
}

// EnableWebhook switches an endpoint on.
func (s *Server) EnableWebhook(ctx context.Context, req *adminv1.EnableWebhookRequest) (*adminv1.EnableWebhookResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	if err := s.service.SwitchOn(ctx, req.GetId()); err != nil {
		return nil, known(err)
	}
	status, err := s.service.StatusOf(ctx, req.GetId())
	if err != nil {
		return nil, known(err)
	}
	return &adminv1.EnableWebhookResponse{Webhook: webhook(status)}, nil
}

// DisableWebhook switches an endpoint off.
func (s *Server) DisableWebhook(ctx context.Context, req *adminv1.DisableWebhookRequest) (*adminv1.DisableWebhookResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	reason := req.GetReason()
	if reason == "" {
		caller, err := auth.From(ctx)
		if err != nil {
			return nil, err
		}
		reason = "switched off by " + caller.Name
	}
	if err := s.service.SwitchOff(ctx, req.GetId(), reason); err != nil {
		return nil, known(err)
	}
	status, err := s.service.StatusOf(ctx, req.GetId())
	if err != nil {
		return nil, known(err)
	}
	return &adminv1.DisableWebhookResponse{Webhook: webhook(status)}, nil
}

// known tells the caller where it was the id that is wrong.
func known(err error) error {
	if errors.Is(err, ErrUnknownEndpoint) {
		return rpc.NotFound(err)
	}
	return err
}

func webhook(s Status) *adminv1.Webhook {
	out := &adminv1.Webhook{Id: s.ID, Tenant: s.Tenant, Url: s.URL}
	if s.Off != nil {
		out.Off = &adminv1.WebhookOff{At: timestamppb.New(s.Off.At), Reason: s.Off.Reason}
	}
	for _, f := range s.Failing {
		out.Failing = append(out.Failing, &adminv1.WebhookFailure{
			Position: position(f.Position), Since: timestamppb.New(f.Since), Last: timestamppb.New(f.Last),
			Attempts: uint64(f.Attempts), Error: f.Error,
		})
	}
	for _, p := range s.Places {
		out.Partitions = append(out.Partitions, &adminv1.WebhookPartition{Next: position(p.Next), LagEvents: p.Lag})
	}
	return out
}

func position(p eventlog.Position) *eventv1.Position {
	return &eventv1.Position{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
}
