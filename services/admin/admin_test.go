package admin_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/projection"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	"github.com/skein-cx/skein/services/admin"
)

// tables are some of which the second generation is being built.
type tables struct{}

func (tables) Rebuild(context.Context, func(projection.Status)) error { return nil }

func (tables) Status(context.Context) (projection.Status, error) {
	return projection.Status{Generations: projection.Generations{Serving: 1, Building: 2}, Done: 3, Total: 10}, nil
}

func TestTheConfigurationAndTheProcessAreToldToOperatorsOnly(t *testing.T) {
	t.Parallel()
	config := []*adminv1.Setting{{Key: "grpc.addr", Value: "127.0.0.1:7070", Help: "address to listen on", Default: true}}
	process := &adminv1.GetProcessResponse{Version: "v1", Roles: []string{"admin"}}
	s := admin.NewServer(admin.Config{Settings: config, Process: process, Tables: map[string]admin.Tables{"clickhouse-facts": tables{}}})

	desk := auth.With(t.Context(), auth.Identity{Tenant: "acme", Name: "desk", Directory: true})
	if _, err := s.GetConfig(desk, &adminv1.GetConfigRequest{}); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("the configuration: %v", err)
	}
	if _, err := s.GetProcess(desk, &adminv1.GetProcessRequest{}); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("the process: %v", err)
	}

	operator := auth.With(t.Context(), auth.Identity{Tenant: "acme", Name: "operator", Admin: true})
	got, err := s.GetConfig(operator, &adminv1.GetConfigRequest{})
	if err != nil || len(got.GetSettings()) != 1 || !proto.Equal(got.GetSettings()[0], config[0]) {
		t.Errorf("the configuration: %v, %v", got, err)
	}
	if got, err := s.GetProcess(operator, &adminv1.GetProcessRequest{}); err != nil || !proto.Equal(got, process) {
		t.Errorf("the process: %v, %v", got, err)
	}
	list, err := s.ListSlices(operator, &adminv1.ListSlicesRequest{})
	want := &adminv1.Tables{Name: "clickhouse-facts", Serving: 1, Building: 2, Done: 3, Total: 10}
	if err != nil || len(list.GetTables()) != 1 || !proto.Equal(list.GetTables()[0], want) {
		t.Errorf("the tables: %v, %v", list, err)
	}
}
