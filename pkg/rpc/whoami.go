package rpc

import (
	"context"

	"github.com/skein-cx/skein/pkg/auth"
	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
)

// whoami tells callers who they are.
type whoami struct {
	authv1.UnimplementedAuthServiceServer
	open    bool
	version string
}

func (w whoami) Whoami(ctx context.Context, _ *authv1.WhoamiRequest) (*authv1.WhoamiResponse, error) {
	id, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	return &authv1.WhoamiResponse{
		Tenant: id.Tenant, Name: id.Name, Admin: id.Admin, Directory: id.Directory || id.Admin, Open: w.open, Version: w.version,
	}, nil
}
