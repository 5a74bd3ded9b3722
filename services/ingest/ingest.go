// Package ingest is the gRPC service through which connectors hand events in.
package ingest

import (
	"context"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/intake"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// Server answers skein.ingest.v1.IngestService.
type Server struct {
	ingestv1.UnimplementedIngestServiceServer
	intake *intake.Intake
}

// NewServer hands on to an intake.
func NewServer(in *intake.Intake) *Server { return &Server{intake: in} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { ingestv1.RegisterIngestServiceServer(r, s) }

// Publish appends events for the caller's tenant.
func (s *Server) Publish(ctx context.Context, req *ingestv1.PublishRequest) (*ingestv1.PublishResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	acks, err := s.intake.Submit(ctx, caller.Tenant, req.GetSubmissions()...)
	if err != nil {
		return nil, err
	}
	resp := &ingestv1.PublishResponse{Acknowledgements: make([]*ingestv1.Acknowledgement, len(acks))}
	block := make([]acknowledged, len(acks))
	for i, a := range acks {
		resp.Acknowledgements[i] = block[i].fill(a)
	}
	return resp, nil
}

// acknowledged is an acknowledgement and its position in one piece of memory.
type acknowledged struct {
	ack ingestv1.Acknowledgement
	at  eventv1.Position
}

func (b *acknowledged) fill(a channel.Acknowledgement) *ingestv1.Acknowledgement {
	b.ack.EventId, b.ack.ThreadId, b.ack.Position = a.EventID, a.ThreadID, &b.at
	b.at.Topic, b.at.Partition, b.at.Offset = a.Position.Topic, a.Position.Partition, a.Position.Offset
	return &b.ack
}
