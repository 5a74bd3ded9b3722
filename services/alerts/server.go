package alerts

import (
	"context"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/eventlog"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
)

// Server answers skein.board.v1.AlertService.
type Server struct {
	boardv1.UnimplementedAlertServiceServer
	alerts *Alerts
}

// NewServer makes a server.
func NewServer(alerts *Alerts) *Server { return &Server{alerts: alerts} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { boardv1.RegisterAlertServiceServer(r, s) }

// Active reads what is raised.
func (s *Server) Active(ctx context.Context, req *boardv1.ActiveRequest) (*boardv1.ActiveResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	want := make([]eventlog.Position, 0, len(req.GetMinPositions()))
	for _, p := range req.GetMinPositions() {
		want = append(want, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	}
	if err := s.alerts.Wait(ctx, want...); err != nil {
		return nil, err
	}
	active, err := s.alerts.Active(ctx, caller.Tenant)
	if err != nil {
		return nil, err
	}
	return &boardv1.ActiveResponse{Alerts: active}, nil
}
