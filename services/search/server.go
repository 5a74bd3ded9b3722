package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/blevesearch/bleve/v2"
	blevesearch "github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
)

const (
	defaultPageSize = 20
	// maxDepth is how many hits of one search can be paged through.
	maxDepth = 10_000
	minYear  = 1970
)

var (
	errTooDeep  = fmt.Errorf("search: a search gives its first %d hits only: narrow it", maxDepth)
	errNotHere  = errors.New("is not served by this process")
	errNoIndex  = errors.New("search: the index is being opened")
	errNoLinks  = errors.New("search: the links have changed since the first page: search again")
	errStranger = errors.New("search: the index gave the event of another tenant")
)

// Server answers skein.search.v1.SearchService.
type Server struct {
	searchv1.UnimplementedSearchServiceServer
	service *Service
}

// NewServer answers from the index of a service.
func NewServer(s *Service) *Server { return &Server{service: s} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { searchv1.RegisterSearchServiceServer(r, s) }

// Search gives one page of what was found.
func (s *Server) Search(ctx context.Context, req *searchv1.SearchRequest) (*searchv1.SearchResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	a := ask{tenant: caller.Tenant, SearchRequest: req, size: int(req.GetPageSize()), customers: s.service.cfg.Customers}
	if a.size == 0 {
		a.size = defaultPageSize
	}
	if err := a.read(ctx); err != nil {
		return nil, err
	}
	if err := s.service.wait(ctx, positions(req.GetMinPositions())); err != nil {
		return nil, err
	}
	return s.service.search(ctx, &a)
}

func positions(in []*eventv1.Position) []eventlog.Position {
	out := make([]eventlog.Position, len(in))
	for i, p := range in {
		out[i] = eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()}
	}
	return out
}

// ask is a request, understood.
type ask struct {
	*searchv1.SearchRequest
	tenant    string
	customers scope.Source

	words  words
	filter []query.Query
	when   scope.Range
	size   int
	token  pageToken
}

// read understands the request.
func (a *ask) read(ctx context.Context) error {
	var wrong []event.Violation
	no := func(field string, err error) {
		wrong = append(wrong, event.Violation{Field: field, Reason: err.Error()})
	}
	var err error
	if a.words, err = parse(a.GetQuery()); err != nil {
		no("query", err)
	}
	a.filter = []query.Query{term(fieldTenant, a.tenant)}
	for _, f := range []struct {
		name, field string
		texts       []string
	}{{"endpoint_ids", fieldEndpoint, a.GetEndpointIds()}, {"thread_ids", fieldThread, a.GetThreadIds()}} {
		ids := make([]event.ID, len(f.texts))
		for i, text := range f.texts {
			if ids[i], err = event.ParseID(text); err != nil {
				no(fmt.Sprintf("%s[%d]", f.name, i), err)
			}
		}
		if len(ids) > 0 {
			a.filter = append(a.filter, terms(f.field, ids, idTerm))
		}
	}
	if len(a.GetChannels()) > 0 {
		a.filter = append(a.filter, terms(fieldChannel, a.GetChannels(), channelTerm))
	}
	a.when = scope.Ever
	for _, t := range []struct {
		name string
		in   *timestamppb.Timestamp
		out  *int64
	}{{"from", a.GetFrom(), &a.when.From}, {"until", a.GetUntil(), &a.when.Until}} {
		if t.in == nil {
			continue
		}
		at := t.in.AsTime()
		if err := t.in.CheckValid(); err != nil {
			no(t.name, err)
		} else if at.Year() < minYear || at.Year() > maxYear {
			no(t.name, fmt.Errorf("must lie between the years %d and %d", minYear, maxYear))
		} else {
			*t.out = at.UnixNano()
		}
	}
	if a.GetFrom() != nil && a.GetUntil() != nil && a.when.Empty() {
		no("until", errors.New("must be later than from"))
	}
	if a.GetCustomerId() != "" && a.customers == nil {
		no("customer_id", errNotHere)
	}
	digest, err := queryDigest(a.tenant, a.SearchRequest)
	if err != nil {
		return err
	}
	if a.GetPageToken() != "" {
		if a.token, err = decodePageToken(a.GetPageToken()); err == nil && a.token.query != digest {
			err = ErrForeignToken
		}
		if err != nil {
			no("page_token", err)
		}
	}
	a.token.query = digest
	switch {
	case len(wrong) > 0:
		return rpc.Invalid(wrong...)
	case int(a.token.seen)+a.size > maxDepth:
		return rpc.OutOfRange(errTooDeep)
	}
	return a.readCustomer(ctx)
}

// readCustomer keeps to what a customer's endpoints have.
func (a *ask) readCustomer(ctx context.Context) error {
	if a.GetCustomerId() == "" {
		return nil
	}
	id, err := event.ParseID(a.GetCustomerId())
	if err != nil {
		return rpc.InvalidField("customer_id", err)
	}
	own, err := a.customers.Scope(ctx, a.tenant, id, scope.At{Version: a.token.links})
	switch {
	case errors.Is(err, scope.ErrUnknown):
		return rpc.NotFound(err)
	case errors.Is(err, scope.ErrExpired):
		return rpc.OutOfRange(errNoLinks)
	case err != nil:
		return fmt.Errorf("search: %w", err)
	}
	a.token.links = own.Version
	a.filter = append(a.filter, belonging(own))
	return nil
}

// order is the order of the hits; no two stand at one place in it.
func (a *ask) order() blevesearch.SortOrder {
	newest := &blevesearch.SortField{Field: fieldMoment, Type: blevesearch.SortFieldAsString, Desc: true}
	if a.GetOrder() == searchv1.SearchOrder_SEARCH_ORDER_NEWEST_FIRST {
		return blevesearch.SortOrder{newest}
	}
	return blevesearch.SortOrder{&blevesearch.SortScore{Desc: true}, newest}
}

func (s *Service) search(ctx context.Context, a *ask) (*searchv1.SearchResponse, error) {
	began := time.Now()
	in := bleve.NewSearchRequestOptions(during{a.words.query(a.filter), a.when}, a.size, 0, false)
	in.SortByCustom(a.order())
	in.Fields = []string{fieldRow}
	if a.GetPageToken() != "" {
		in.SetSearchAfter(a.token.after(a.GetOrder()))
	}
	found, err := s.find(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &searchv1.SearchResponse{Total: int64(min(found.Total, math.MaxInt64))}
	for _, match := range found.Hits {
		hit, r, err := hitOf(a.tenant, match)
		if err != nil {
			return nil, err
		}
		hit.Fragments = fragments(r.text, a.words.want)
		out.Hits = append(out.Hits, hit)
		a.token.score, a.token.moment = match.Score, [momentSize]byte(r.moment())
	}
	a.token.seen += uint32(len(found.Hits))
	if len(found.Hits) == a.size && found.Total > uint64(a.token.seen) {
		out.NextPageToken = a.token.encode()
	}
	s.cfg.Metrics.searched(time.Since(began))
	return out, nil
}

// find searches the index.
func (s *Service) find(ctx context.Context, in *bleve.SearchRequest) (*bleve.SearchResult, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.table == nil {
		return nil, rpc.Unavailable(errNoIndex)
	}
	found, err := s.table.SearchInContext(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

// hitOf makes a hit of what the index found.
func hitOf(tenant string, match *blevesearch.DocumentMatch) (*searchv1.Hit, *row, error) {
	k, err := parseKey(match.ID)
	if err != nil {
		return nil, nil, err
	}
	if k.tenant != tenant {
		return nil, nil, errStranger
	}
	raw, _ := match.Fields[fieldRow].(string)
	r, err := decodeRow(raw)
	if err != nil {
		return nil, nil, err
	}
	hit := &searchv1.Hit{
		EventId: k.id.String(), Type: r.typ, ThreadId: r.thread.String(), OccurredAt: timestamppb.New(time.Unix(0, r.occurred)),
		Channel: r.channel, Direction: r.direction, Score: match.Score,
		Position: &eventv1.Position{Topic: topic, Partition: r.partition, Offset: r.offset},
	}
	for _, e := range r.endpoints {
		hit.EndpointIds = append(hit.EndpointIds, e.String())
	}
	return hit, r, nil
}
