package timeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Server answers skein.timeline.v1.TimelineService.
type Server struct {
	timelinev1.UnimplementedTimelineServiceServer
	store    kv.Store
	keyring  *event.Keyring
	progress *projection.Progress
}

// NewServer answers from a store; progress, which may be nil, tells of what is applied in this process.
func NewServer(store kv.Store, keyring *event.Keyring, progress *projection.Progress) *Server {
	return &Server{store: store, keyring: keyring, progress: progress}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { timelinev1.RegisterTimelineServiceServer(r, s) }

// List reads one page of a timeline.
func (s *Server) List(ctx context.Context, req *timelinev1.ListRequest) (*timelinev1.ListResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.query(caller.Tenant, req)
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, req.GetMinPositions()); err != nil {
		return nil, err
	}
	p, err := list(ctx, s.store, q)
	switch {
	case errors.Is(err, errBadToken), errors.Is(err, ErrForeignToken):
		return nil, rpc.InvalidField("page_token", err)
	case errors.Is(err, ErrExpiredToken):
		return nil, rpc.OutOfRange(err)
	case err != nil:
		return nil, err
	}
	resp := &timelinev1.ListResponse{NextPageToken: p.next, Entries: make([]*timelinev1.Entry, 0, len(p.rows))}
	for _, row := range p.rows {
		resp.Entries = append(resp.Entries, &timelinev1.Entry{
			Event:    row.Event,
			Content:  row.Content,
			Position: &eventv1.Position{Topic: event.TopicInteractions, Partition: row.Partition, Offset: row.Offset},
		})
	}
	return resp, nil
}

func (s *Server) wait(ctx context.Context, positions []*eventv1.Position) error {
	if len(positions) == 0 {
		return nil
	}
	ns, err := projection.Serving(ctx, s.store, Slice)
	if err != nil {
		return err
	}
	want := make([]eventlog.Position, 0, len(positions))
	for _, p := range positions {
		want = append(want, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	}
	return projection.Wait(ctx, s.store, ns, event.TopicInteractions, want, s.progress)
}

// query turns a request into a Query: clear addresses become endpoint ids under every version of the tenant's key.
func (s *Server) query(tenant string, req *timelinev1.ListRequest) (Query, error) {
	var violations []event.Violation
	wrong := func(field string, err error) {
		violations = append(violations, event.Violation{Field: field, Reason: err.Error()})
	}
	digest, err := queryDigest(tenant, req)
	if err != nil {
		return Query{}, fmt.Errorf("timeline: list: %w", err)
	}
	q := Query{
		Tenant:      tenant,
		NewestFirst: req.GetOrder() != timelinev1.Order_ORDER_OLDEST_FIRST,
		Channels:    req.GetChannels(),
		Types:       req.GetTypes(),
		PageSize:    int(req.GetPageSize()),
		OmitContent: req.GetOmitContent(),
		Topic:       event.TopicInteractions,
		Token:       req.GetPageToken(),
		digest:      digest,
	}
	if q.PageSize == 0 {
		q.PageSize = DefaultPageSize
	}
	for i, a := range req.GetAddresses() {
		endpoint, err := event.Normalise(a)
		if err != nil {
			wrong(fmt.Sprintf("addresses[%d]", i), err)
			continue
		}
		for _, ids := range s.keyring.TenantAll(tenant) {
			q.Endpoints = append(q.Endpoints, ids.Endpoint(endpoint))
		}
	}
	ids := func(field string, texts []string, into *[]event.ID) {
		for i, text := range texts {
			id, err := event.ParseID(text)
			if err != nil {
				wrong(fmt.Sprintf("%s[%d]", field, i), err)
				continue
			}
			*into = append(*into, id)
		}
	}
	ids("endpoint_ids", req.GetEndpointIds(), &q.Endpoints)
	ids("thread_ids", req.GetThreadIds(), &q.Threads)
	q.Endpoints, q.Threads = unique(q.Endpoints), unique(q.Threads)
	times := func(field string, t *timestamppb.Timestamp) time.Time {
		if t == nil {
			return time.Time{}
		}
		at := t.AsTime()
		if err := t.CheckValid(); err != nil {
			wrong(field, err)
		} else if at.Year() > maxYear || at.Year() < minYear {
			wrong(field, fmt.Errorf("must lie between the years %d and %d", minYear, maxYear))
		}
		return at
	}
	q.From, q.Until = times("from", req.GetFrom()), times("until", req.GetUntil())
	if !q.From.IsZero() && !q.Until.IsZero() && !q.From.Before(q.Until) {
		wrong("until", errors.New("must be later than from"))
	}
	if len(violations) > 0 {
		return Query{}, rpc.Invalid(violations...)
	}
	return q, nil
}

func unique(ids []event.ID) []event.ID {
	slices.SortFunc(ids, func(a, b event.ID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}
