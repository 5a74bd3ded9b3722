package timeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Server answers skein.timeline.v1.TimelineService.
type Server struct {
	timelinev1.UnimplementedTimelineServiceServer
	store    kv.Store
	keyring  *event.Keyring
	progress *projection.Progress
	hub      *Hub
	links    Links
}

// Links know what belongs together. Where one is nil, this process does not serve what needs it.
type Links struct {
	Customers, Conversations scope.Source
	// Joins may be nil: then no thread was ever joined to another.
	Joins Joins
	// Await returns once links are known that stand at some positions; nil where there are none to wait for.
	Await func(ctx context.Context, positions ...eventlog.Position) error
}

// Joins knows which threads were joined. It is safe for concurrent use.
type Joins interface {
	// Children are the threads that are read under a thread, those under its children too. A watch asks when it begins.
	Children(ctx context.Context, tenant string, thread event.ID) ([]event.ID, error)
}

// NewServer answers from a store; progress, which may be nil, tells of what is applied in this process. The hub must be
// running for watches.
func NewServer(store kv.Store, keyring *event.Keyring, progress *projection.Progress, hub *Hub, links Links) *Server {
	return &Server{store: store, keyring: keyring, progress: progress, hub: hub, links: links}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { timelinev1.RegisterTimelineServiceServer(r, s) }

// List reads one page of a timeline.
func (s *Server) List(ctx context.Context, req *timelinev1.ListRequest) (*timelinev1.ListResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.query(ctx, caller.Tenant, req)
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
		return nil, ofScope(err)
	}
	resp := &timelinev1.ListResponse{NextPageToken: p.next}
	if !p.about.IsZero() {
		resp.Id = p.about.String()
	}
	listed(resp, p.rows, req.GetOmitContent())
	if req.GetAsOf() != nil {
		return resp, nil // no watch completes what was known at a past moment
	}
	watch := cursor{generation: p.generation, scope: p.scope, next: placesOf(p.pinned)}
	watch.query, err = watchDigest(caller.Tenant, &timelinev1.WatchRequest{
		Addresses: req.GetAddresses(), EndpointIds: req.GetEndpointIds(), ThreadIds: req.GetThreadIds(),
		Channels: req.GetChannels(), Types: req.GetTypes(), CustomerId: req.GetCustomerId(), ConversationId: req.GetConversationId(),
		CustomerAddress: req.GetCustomerAddress(),
	})
	if err != nil {
		return nil, fmt.Errorf("timeline: list: %w", err)
	}
	resp.WatchCursor = watch.encode()
	return resp, nil
}

// ofScope gives the errors of a scope.Source their kind.
func ofScope(err error) error {
	switch {
	case errors.Is(err, scope.ErrUnknown):
		return rpc.NotFound(err)
	case errors.Is(err, scope.ErrExpired):
		return rpc.OutOfRange(err)
	}
	return err
}

// Watch sends what is filed until the caller has enough.
func (s *Server) Watch(req *timelinev1.WatchRequest, stream grpc.ServerStreamingServer[timelinev1.WatchResponse]) error {
	caller, err := auth.From(stream.Context())
	if err != nil {
		return err
	}
	check := &checker{}
	sel, err := s.selection(stream.Context(), caller.Tenant, req, check)
	if err != nil {
		return err
	}
	w := &watch{hub: s.hub, fresh: req.GetCursor() == "", Selection: sel}
	w.send = func(r *row, cursor string) error {
		resp := &timelinev1.WatchResponse{Cursor: cursor}
		if r != nil {
			watched(resp, appendEntry(nil, r, req.GetOmitContent()))
		}
		return stream.Send(resp)
	}
	w.tell = func(c *timelinev1.ScopeChanged, cursor string) error {
		return stream.Send(&timelinev1.WatchResponse{News: &timelinev1.WatchResponse_ScopeChanged{ScopeChanged: c}, Cursor: cursor})
	}
	digest, err := watchDigest(caller.Tenant, req)
	if err != nil {
		return fmt.Errorf("timeline: watch: %w", err)
	}
	w.cursor.query = digest
	if !w.fresh {
		if w.cursor, err = decodeCursor(req.GetCursor()); err == nil && w.cursor.query != digest {
			err = ErrForeignCursor
		}
		if err != nil {
			check.wrong("cursor", err)
		}
	}
	if err := check.err(); err != nil {
		return err
	}
	err = w.run(stream.Context())
	switch {
	case errors.Is(err, errReset):
		return stream.Send(&timelinev1.WatchResponse{News: &timelinev1.WatchResponse_Reset_{Reset_: &timelinev1.Reset{}}})
	case errors.Is(err, ErrExpiredCursor):
		return rpc.OutOfRange(err)
	case errors.Is(err, ErrStopping):
		return rpc.Unavailable(err)
	case errors.Is(err, ErrTooManyWatchers):
		return rpc.Exhausted(err, time.Minute)
	}
	return ofScope(err)
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
	if err := projection.Wait(ctx, s.store, ns, event.TopicInteractions, want, s.progress); err != nil || s.links.Await == nil {
		return err
	}
	return s.links.Await(ctx, want...)
}

// checker collects everything that is wrong with a request.
type checker struct{ violations []event.Violation }

func (c *checker) wrong(field string, err error) {
	c.violations = append(c.violations, event.Violation{Field: field, Reason: err.Error()})
}

func (c *checker) err() error {
	if len(c.violations) == 0 {
		return nil
	}
	return rpc.Invalid(c.violations...)
}

func (c *checker) ids(field string, texts []string) []event.ID {
	ids := make([]event.ID, 0, len(texts))
	for i, text := range texts {
		id, err := event.ParseID(text)
		if err != nil {
			c.wrong(fmt.Sprintf("%s[%d]", field, i), err)
			continue
		}
		ids = append(ids, id)
	}
	return ids
}

var errNotServed = errors.New("not served by this process")

func (c *checker) subject(field, text string, source scope.Source) subject {
	if source == nil {
		c.wrong(field, errNotServed)
		return subject{}
	}
	id, err := event.ParseID(text)
	if err != nil {
		c.wrong(field, err)
	}
	return subject{source: source, id: id}
}

// customer is the one behind an address.
func (c *checker) customer(field string, ids *event.IDs, a *eventv1.Address, source scope.Source) subject {
	endpoint, err := event.Normalise(a)
	if err != nil {
		c.wrong(field, err)
		return subject{}
	}
	return c.subject(field, ids.Endpoint(endpoint).String(), source)
}

func (c *checker) time(field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	at := t.AsTime()
	if err := t.CheckValid(); err != nil {
		c.wrong(field, err)
	} else if at.Year() > maxYear || at.Year() < minYear {
		c.wrong(field, fmt.Errorf("must lie between the years %d and %d", minYear, maxYear))
	}
	return at
}

// selecting is what a list and a watch have in common.
type selecting interface {
	GetAddresses() []*eventv1.Address
	GetEndpointIds() []string
	GetThreadIds() []string
	GetChannels() []eventv1.Channel
	GetTypes() []string
	GetCustomerId() string
	GetCustomerAddress() *eventv1.Address
	GetConversationId() string
}

// selection reads it: clear addresses become endpoint ids under every version of the tenant's key, and threads come with those that
// were joined to them.
func (s *Server) selection(ctx context.Context, tenant string, req selecting, check *checker) (Selection, error) {
	sel := Selection{Tenant: tenant, Channels: req.GetChannels(), Types: req.GetTypes()}
	switch {
	case req.GetCustomerId() != "":
		sel.about = check.subject("customer_id", req.GetCustomerId(), s.links.Customers)
		return sel, nil
	case req.GetCustomerAddress() != nil:
		sel.about = check.customer("customer_address", s.keyring.Tenant(tenant), req.GetCustomerAddress(), s.links.Customers)
		return sel, nil
	case req.GetConversationId() != "":
		sel.about = check.subject("conversation_id", req.GetConversationId(), s.links.Conversations)
		return sel, nil
	}
	endpoints := check.ids("endpoint_ids", req.GetEndpointIds())
	for i, a := range req.GetAddresses() {
		endpoint, err := event.Normalise(a)
		if err != nil {
			check.wrong(fmt.Sprintf("addresses[%d]", i), err)
			continue
		}
		for _, ids := range s.keyring.TenantAll(tenant) {
			endpoints = append(endpoints, ids.Endpoint(endpoint))
		}
	}
	threads := check.ids("thread_ids", req.GetThreadIds())
	if s.links.Joins != nil {
		for _, thread := range threads {
			children, err := s.links.Joins.Children(ctx, tenant, thread)
			if err != nil {
				return Selection{}, fmt.Errorf("timeline: the threads joined to %s: %w", thread, err)
			}
			threads = append(threads, children...)
		}
	}
	sel.Endpoints, sel.Threads = always(endpoints...), always(threads...)
	return sel, nil
}

func (s *Server) query(ctx context.Context, tenant string, req *timelinev1.ListRequest) (Query, error) {
	check := &checker{}
	sel, err := s.selection(ctx, tenant, req, check)
	if err != nil {
		return Query{}, err
	}
	q := Query{
		Selection:   sel,
		NewestFirst: req.GetOrder() != timelinev1.Order_ORDER_OLDEST_FIRST,
		From:        check.time("from", req.GetFrom()),
		Until:       check.time("until", req.GetUntil()),
		AsOf:        check.time("as_of", req.GetAsOf()),
		PageSize:    int(req.GetPageSize()),
		Topic:       s.hub.slice.Topic,
		Partitions:  s.hub.slice.Partitions,
		Token:       req.GetPageToken(),
	}
	if q.PageSize == 0 {
		q.PageSize = DefaultPageSize
	}
	if !q.From.IsZero() && !q.Until.IsZero() && !q.From.Before(q.Until) {
		check.wrong("until", errors.New("must be later than from"))
	}
	if err := check.err(); err != nil {
		return Query{}, err
	}
	if q.digest, err = listDigest(tenant, req); err != nil {
		return Query{}, fmt.Errorf("timeline: list: %w", err)
	}
	return q, nil
}
