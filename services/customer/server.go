package customer

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Host publishes changes. An intake does.
type Host interface {
	// Submit appends events to the log and returns when all are durable.
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error)
}

// Parties tells whose events an interaction is made of.
type Parties interface {
	// Parties are the customers' endpoints under which an interaction is filed. scope.ErrUnknown where there is no such interaction.
	Parties(ctx context.Context, tenant string, interaction event.ID) ([]event.ID, error)
}

// Config is what a Server works with.
type Config struct {
	Customers *Customers
	Keyring   *event.Keyring
	Compiler  *event.Compiler
	Host      Host
	// Endpoints tells what events show of endpoints.
	Endpoints scope.Endpoints
	// Interactions tells which there are.
	Interactions scope.Interactions
	// Parties may be nil. Then an interaction that is attributed is taken from every endpoint under which it is filed, which makes every
	// customer of the tenant look at it.
	Parties Parties
}

// Server answers skein.customer.v1.CustomerService.
type Server struct {
	customerv1.UnimplementedCustomerServiceServer
	cfg Config
}

// NewServer makes a server.
func NewServer(cfg Config) *Server { return &Server{cfg: cfg} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { customerv1.RegisterCustomerServiceServer(r, s) }

// Resolve finds the customers of addresses.
func (s *Server) Resolve(ctx context.Context, req *customerv1.ResolveRequest) (*customerv1.ResolveResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	addresses := make([]event.Endpoint, len(req.GetAddresses()))
	var wrong []event.Violation
	for i, a := range req.GetAddresses() {
		if addresses[i], err = event.Normalise(a); err != nil {
			wrong = append(wrong, addressViolation(fmt.Sprintf("addresses[%d]", i), err))
		}
	}
	at, invalid := pastMoment(req.GetAsOf())
	if wrong = append(wrong, invalid...); len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	v, err := s.view(ctx, caller.Tenant, at, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	defer v.close()
	ids, stated := make([]event.ID, len(addresses)), map[event.ID]event.Endpoint{}
	for i, a := range addresses {
		if ids[i], err = s.find(ctx, v, a); err != nil {
			return nil, err
		}
		for _, made := range s.cfg.Keyring.TenantAll(caller.Tenant) {
			stated[made.Endpoint(a)] = a
		}
	}
	resp := &customerv1.ResolveResponse{}
	for _, id := range ids {
		c, err := s.customer(ctx, v, id, stated)
		if err != nil {
			return nil, err
		}
		resp.Customers = append(resp.Customers, c)
	}
	return resp, nil
}

// Get gives a customer.
func (s *Server) Get(ctx context.Context, req *customerv1.GetRequest) (*customerv1.GetResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	id, err := event.ParseID(req.GetCustomerId())
	if err != nil {
		return nil, rpc.InvalidField("customer_id", err)
	}
	at, invalid := pastMoment(req.GetAsOf())
	if len(invalid) > 0 {
		return nil, rpc.Invalid(invalid...)
	}
	v, err := s.view(ctx, caller.Tenant, at, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	defer v.close()
	if err := s.exists(ctx, v, id); err != nil {
		return nil, err
	}
	c, err := s.customer(ctx, v, id, nil)
	if err != nil {
		return nil, err
	}
	return &customerv1.GetResponse{Customer: c}, nil
}

// History gives what was changed about a customer.
func (s *Server) History(ctx context.Context, req *customerv1.HistoryRequest) (*customerv1.HistoryResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	id, err := event.ParseID(req.GetCustomerId())
	if err != nil {
		return nil, rpc.InvalidField("customer_id", err)
	}
	entries, next, err := s.cfg.Customers.page(ctx, caller.Tenant, req.GetPageToken(), queryDigest(caller.Tenant, "history", id), int(req.GetPageSize()),
		func(v *view) ([][]byte, error) {
			if err := s.exists(ctx, v, id); err != nil {
				return nil, err
			}
			return v.histories(ctx, id)
		})
	if err != nil {
		return nil, pageError(err)
	}
	return &customerv1.HistoryResponse{Entries: entries, NextPageToken: next}, nil
}

// Conflicts gives what rules asked for and was decided against.
func (s *Server) Conflicts(ctx context.Context, req *customerv1.ConflictsRequest) (*customerv1.ConflictsResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	entries, next, err := s.cfg.Customers.page(ctx, caller.Tenant, req.GetPageToken(), queryDigest(caller.Tenant, "conflicts", event.ID{}), int(req.GetPageSize()),
		func(*view) ([][]byte, error) { return [][]byte{prefix(caller.Tenant, subConflicts)}, nil })
	if err != nil {
		return nil, pageError(err)
	}
	return &customerv1.ConflictsResponse{Entries: entries, NextPageToken: next}, nil
}

func pageError(err error) error {
	switch {
	case errors.Is(err, errBadToken), errors.Is(err, errForeignToken):
		return rpc.InvalidField("page_token", err)
	case errors.Is(err, errExpiredToken):
		return rpc.OutOfRange(err)
	}
	return err
}

// pastMoment reads a past moment.
func pastMoment(of *customerv1.AsOf) (scope.At, []event.Violation) {
	if of.GetTime() == nil {
		return scope.At{}, nil
	}
	if err := of.GetTime().CheckValid(); err != nil {
		return scope.At{}, []event.Violation{{Field: "as_of.time", Reason: err.Error()}}
	}
	return scope.At{Time: of.GetTime().AsTime()}, nil
}

// addressViolation says what is wrong with an address.
func addressViolation(field string, err error) event.Violation {
	if wrong, ok := errors.AsType[*event.AddressError](err); ok {
		return event.Violation{Field: field + "." + wrong.Field, Reason: wrong.Reason}
	}
	return event.Violation{Field: field, Reason: "is withheld or empty"}
}

// view waits for positions and reads what is there then.
func (s *Server) view(ctx context.Context, tenant string, at scope.At, positions []*eventv1.Position) (*view, error) {
	want := make([]eventlog.Position, 0, len(positions))
	for _, p := range positions {
		want = append(want, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	}
	if err := s.cfg.Customers.Wait(ctx, want...); err != nil {
		return nil, err
	}
	return s.cfg.Customers.view(ctx, tenant, at)
}

// find gives the id of an address: made by the key under which it is known, else by the current one.
func (s *Server) find(ctx context.Context, v *view, a event.Endpoint) (event.ID, error) {
	all := s.cfg.Keyring.TenantAll(v.walk.tenant)
	if len(all) > 1 {
		for _, made := range all {
			id := made.Endpoint(a)
			known, err := s.known(ctx, v, id)
			if known || err != nil {
				return id, err
			}
		}
	}
	return all[0].Endpoint(a), nil
}

// known tells whether links or events know of an endpoint or of the customer that it names.
func (s *Server) known(ctx context.Context, v *view, endpoint event.ID) (bool, error) {
	values, err := v.snap.GetMany(ctx, [][]byte{
		prefix(v.walk.tenant, subEndpoint, endpoint), prefix(v.walk.tenant, subNode, event.CustomerOf(endpoint)),
	})
	if err != nil || values[0] != nil || values[1] != nil {
		return err == nil, err
	}
	_, seen, err := s.cfg.Endpoints.Seen(ctx, v.walk.tenant, endpoint)
	return seen, err
}

// exists refuses an id that is none of a customer's.
func (s *Server) exists(ctx context.Context, v *view, id event.ID) error {
	known, err := s.known(ctx, v, event.EndpointOf(id))
	if err == nil && !known {
		err = rpc.NotFound(fmt.Errorf("customer: there is no customer %s", id))
	}
	return err
}

// customer shows the customer that an id means; stated are addresses that the caller has stated.
func (s *Server) customer(ctx context.Context, v *view, id event.ID, stated map[event.ID]event.Endpoint) (*customerv1.Customer, error) {
	c, err := v.named(ctx, id)
	if err != nil {
		return nil, err
	}
	aliases, err := v.walk.aliases(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &customerv1.Customer{Id: c.root.String(), Erased: v.walk.at.sees(v.walk.nodes[c.root].erased)}
	for _, n := range c.nodes {
		out.Ids = append(out.Ids, n.String())
	}
	for _, n := range aliases {
		out.Ids = append(out.Ids, n.String())
	}
	for _, h := range c.holdings {
		e, err := s.endpoint(ctx, v, h, stated)
		if err != nil {
			return nil, err
		}
		out.Endpoints = append(out.Endpoints, e)
	}
	interactions, err := v.attributed(ctx, c, aliases)
	if err != nil {
		return nil, err
	}
	for _, id := range interactions {
		out.AttributedInteractions = append(out.AttributedInteractions, id.String())
	}
	return out, v.state(ctx, c, out)
}

// endpoint shows an endpoint of a customer.
func (s *Server) endpoint(ctx context.Context, v *view, h holding, stated map[event.ID]event.Endpoint) (*customerv1.Endpoint, error) {
	seen, found, err := s.cfg.Endpoints.Seen(ctx, v.walk.tenant, h.endpoint)
	if err != nil {
		return nil, err
	}
	told, address := v.walk.endpoints[h.endpoint], stated[h.endpoint]
	out := &customerv1.Endpoint{
		Id: h.endpoint.String(), Kind: cmp.Or(address.Kind, told.kind, seen.Kind), Value: cmp.Or(address.Value, told.address, seen.Address),
		Namespace: cmp.Or(address.Namespace, told.namespace, seen.Namespace), DisplayName: cmp.Or(seen.DisplayName, told.name),
	}
	if found {
		out.FirstSeen, out.LastSeen = timestamppb.New(seen.First), timestamppb.New(seen.Last)
	}
	for _, r := range h.ranges() {
		out.Validity = append(out.Validity, validity(r))
	}
	if l := h.pieces[len(h.pieces)-1].link; l != nil {
		out.LinkedBy = l.event.String()
	}
	return out, nil
}
