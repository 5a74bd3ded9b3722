package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// Host publishes what is commanded. An intake does.
type Host interface {
	// Submit appends events to the log and returns when all are durable.
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error)
}

// Config is what a Server works with.
type Config struct {
	Agents   *Agents
	Floor    *Floor
	Compiler *event.Compiler
	Host     Host
	Matters  Matters
}

// Server answers skein.agent.v1.AgentService.
type Server struct {
	agentv1.UnimplementedAgentServiceServer
	Config
	watches chan struct{}
}

// maxWatches of one process.
const maxWatches = 20_000

// NewServer makes a server.
func NewServer(cfg Config) *Server {
	return &Server{Config: cfg, watches: make(chan struct{}, maxWatches)}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { agentv1.RegisterAgentServiceServer(r, s) }

// begin finds out who calls, and waits for positions.
func (s *Server) begin(ctx context.Context, positions []*eventv1.Position) (auth.Identity, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return caller, err
	}
	return caller, s.Agents.Wait(ctx, positionsOf(positions)...)
}

func positionsOf(positions []*eventv1.Position) []eventlog.Position {
	all := make([]eventlog.Position, 0, len(positions))
	for _, p := range positions {
		all = append(all, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	}
	return all
}

// ofRead says what a caller can do about an error.
func ofRead(err error) error {
	switch {
	case errors.Is(err, ErrUnknown):
		return rpc.NotFound(err)
	case errors.Is(err, ErrStopping):
		return rpc.Unavailable(err)
	}
	return err
}

// Get reads the present state of an agent.
func (s *Server) Get(ctx context.Context, req *agentv1.GetRequest) (*agentv1.GetResponse, error) {
	caller, err := s.begin(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	out, err := s.Agents.Present(ctx, caller.Tenant, req.GetAgentId())
	if err != nil {
		return nil, ofRead(err)
	}
	return &agentv1.GetResponse{State: out}, nil
}

// At reads the state of an agent at a past moment.
func (s *Server) At(ctx context.Context, req *agentv1.AtRequest) (*agentv1.AtResponse, error) {
	if err := req.GetAt().CheckValid(); err != nil {
		return nil, rpc.InvalidField("at", err)
	}
	caller, err := s.begin(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	out, err := s.Agents.At(ctx, caller.Tenant, req.GetAgentId(), req.GetAt().AsTime())
	if err != nil {
		return nil, ofRead(err)
	}
	return &agentv1.AtResponse{State: out}, nil
}

// maxIntervals is how long a stretch can be of which intervals are asked for.
const maxIntervals = 31 * 24 * time.Hour

// Intervals reads what an agent did in a stretch of time. What is not over is told until now.
func (s *Server) Intervals(ctx context.Context, req *agentv1.IntervalsRequest) (*agentv1.IntervalsResponse, error) {
	if err := req.GetFrom().CheckValid(); err != nil {
		return nil, rpc.InvalidField("from", err)
	}
	from, until := req.GetFrom().AsTime(), s.Agents.now()
	if req.GetUntil() != nil {
		if err := req.GetUntil().CheckValid(); err != nil {
			return nil, rpc.InvalidField("until", err)
		}
		if !req.GetUntil().AsTime().After(from) {
			return nil, rpc.InvalidField("until", errors.New("must be later than from"))
		}
		if req.GetUntil().AsTime().Before(until) {
			until = req.GetUntil().AsTime()
		}
	}
	if until.Sub(from) > maxIntervals {
		return nil, rpc.InvalidField("from", errors.New("is more than 31 days before until"))
	}
	caller, err := s.begin(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	all, totals, err := s.Agents.Intervals(ctx, caller.Tenant, req.GetAgentId(), from, until)
	if err != nil {
		return nil, ofRead(err)
	}
	return &agentv1.IntervalsResponse{Intervals: all, Totals: totals}, nil
}

// queryDigest tells one list or watch from another, whatever its page.
func queryDigest(tenant, call string, query proto.Message) ([8]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(query)
	if err != nil {
		return [8]byte{}, fmt.Errorf("agent: digest a query: %w", err)
	}
	sum := sha256.Sum256(append(fmt.Append(nil, tenant, "\x00", call, "\x00"), b...))
	return [8]byte(sum[:]), nil
}

var (
	errBadToken      = errors.New("agent: not a page token")
	errForeignToken  = errors.New("agent: the page token belongs to another query")
	errBadCursor     = errors.New("agent: not a cursor")
	errForeignCursor = errors.New("agent: the cursor belongs to a watch of something else")
)

// pageToken says where a list goes on: behind a moment and a text.
type pageToken struct {
	query [8]byte
	at    int64
	id    string
}

const tokenVersion = 1

func (t pageToken) encode() string {
	b := append([]byte{tokenVersion}, t.query[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.at))
	return base64.RawURLEncoding.EncodeToString(append(b, t.id...))
}

func decodePageToken(text string, query [8]byte) (pageToken, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+8+8 || b[0] != tokenVersion {
		return pageToken{}, errBadToken
	}
	t := pageToken{query: [8]byte(b[1:]), at: int64(binary.BigEndian.Uint64(b[9:])), id: string(b[17:])}
	if t.query != query {
		return pageToken{}, errForeignToken
	}
	return t, nil
}

// defaultAgents and defaultContacts are on a page where nothing is asked for.
const (
	defaultAgents   = 100
	defaultContacts = 50
)

// List reads the present states of agents.
func (s *Server) List(ctx context.Context, req *agentv1.ListRequest) (*agentv1.ListResponse, error) {
	caller, err := s.begin(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	query, err := queryDigest(caller.Tenant, "list", req.GetFilter())
	if err != nil {
		return nil, err
	}
	after := pageToken{query: query}
	if req.GetPageToken() != "" {
		if after, err = decodePageToken(req.GetPageToken(), query); err != nil {
			return nil, rpc.InvalidField("page_token", err)
		}
	}
	all, book, err := s.Floor.states(ctx, caller.Tenant, positionsOf(req.GetMinPositions()))
	if err != nil {
		return nil, ofRead(err)
	}
	f := newFilter(req.GetFilter(), book, s.Agents.now().UnixNano())
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultAgents
	}
	resp := &agentv1.ListResponse{}
	for _, a := range all {
		if a.GetAgentId() <= after.id || !f.fits(a) {
			continue
		}
		if len(resp.GetStates()) == size {
			resp.NextPageToken = pageToken{query: query, id: resp.GetStates()[size-1].GetAgentId()}.encode()
			break
		}
		resp.States = append(resp.States, a)
	}
	return resp, nil
}

// filter narrows agents.
type filter struct {
	asked  *agentv1.AgentFilter
	agents map[string]struct{}
	teams  []string // of the queues
}

// newFilter reads a filter as the directory says it now.
func newFilter(f *agentv1.AgentFilter, book *index, now int64) *filter {
	out := &filter{asked: f}
	if len(f.GetAgentIds()) > 0 {
		out.agents = make(map[string]struct{}, len(f.GetAgentIds()))
		for _, id := range f.GetAgentIds() {
			out.agents[book.resolve(id, now)] = struct{}{}
		}
	}
	for _, queue := range f.GetQueues() {
		out.teams = append(out.teams, book.At(directory.Queue, queue, now).GetQueue().GetTeams()...)
	}
	return out
}

func (f *filter) equal(o *filter) bool {
	return slices.Equal(f.teams, o.teams) && maps.Equal(f.agents, o.agents)
}

func (f *filter) fits(s *agentv1.AgentState) bool {
	if _, is := f.agents[s.GetAgentId()]; f.agents != nil && !is {
		return false
	}
	of := func(teams []string) bool {
		return slices.ContainsFunc(s.GetTeams(), func(t string) bool { return slices.Contains(teams, t) })
	}
	a := f.asked
	return (len(a.GetTeams()) == 0 || of(a.GetTeams())) && (len(a.GetQueues()) == 0 || of(f.teams)) &&
		(len(a.GetPresenceTypes()) == 0 || slices.Contains(a.GetPresenceTypes(), s.GetPresence().GetType())) &&
		(len(a.GetRoutingStatuses()) == 0 || slices.Contains(a.GetRoutingStatuses(), s.GetRoutingStatus()))
}

// cursor says where a watch goes on: in the list of one floor's agents, behind a version.
type cursor struct {
	query   [8]byte
	epoch   uint64
	version uint64
}

const cursorVersion = 1

func (c cursor) encode() string {
	b := append([]byte{cursorVersion}, c.query[:]...)
	b = binary.BigEndian.AppendUint64(b, c.epoch)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, c.version))
}

func decodeCursor(text string, query [8]byte) (cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 1+3*8 || b[0] != cursorVersion {
		return cursor{}, errBadCursor
	}
	c := cursor{query: [8]byte(b[1:]), epoch: binary.BigEndian.Uint64(b[9:]), version: binary.BigEndian.Uint64(b[17:])}
	if c.query != query {
		return cursor{}, errForeignCursor
	}
	return c, nil
}

// Watch tells the present states of agents, and then each one that changes.
func (s *Server) Watch(req *agentv1.WatchRequest, stream grpc.ServerStreamingServer[agentv1.WatchResponse]) error {
	ctx := stream.Context()
	caller, err := auth.From(ctx)
	if err != nil {
		return err
	}
	w := &watch{asked: req.GetFilter(), now: func() int64 { return s.Agents.now().UnixNano() }, send: stream.Send, fresh: req.GetCursor() == "", told: map[string]bool{}}
	if w.cursor.query, err = queryDigest(caller.Tenant, "watch", req.GetFilter()); err != nil {
		return err
	}
	if !w.fresh {
		if w.cursor, err = decodeCursor(req.GetCursor(), w.cursor.query); err != nil {
			return rpc.InvalidField("cursor", err)
		}
	}
	select {
	case s.watches <- struct{}{}:
		defer func() { <-s.watches }()
	default:
		return rpc.Exhausted(errors.New("agent: too many watches on this server"), time.Minute)
	}
	return ofRead(s.Floor.watch(ctx, caller.Tenant, w))
}

// watch is one caller's watch.
type watch struct {
	asked  *agentv1.AgentFilter
	now    func() int64
	send   func(*agentv1.WatchResponse) error
	cursor cursor
	fresh  bool
	// told is whether the caller knows an agent as one that fits. Of those who are missing that is not known where the caller goes on.
	told    map[string]bool
	resumed bool
}

// watch tells a caller what changes until ctx ends.
func (f *Floor) watch(ctx context.Context, tenant string, w *watch) error {
	r, err := f.enter(ctx, tenant)
	if err != nil {
		return err
	}
	defer f.leave(r)
	switch {
	case w.fresh:
		w.cursor.epoch = r.epoch
	case r.remembers(w.cursor.epoch, w.cursor.version):
		w.resumed = true
	default:
		w.cursor.epoch, w.cursor.version = r.epoch, 0
		if err := w.tell(&agentv1.WatchResponse{News: &agentv1.WatchResponse_Reset_{Reset_: true}}); err != nil {
			return err
		}
	}
	var fits *filter
	var book *index
	for first := true; ; first = false {
		n := r.since(w.cursor.version)
		if n.book != book {
			before := fits
			book, fits = n.book, newFilter(w.asked, n.book, w.now())
			if before != nil && !before.equal(fits) {
				if err := w.turn(fits, r.since(0), w.cursor.version); err != nil {
					return err
				}
			}
		}
		for _, x := range n.rows {
			w.cursor.version = x.version
			if err := w.row(fits, x); err != nil {
				return err
			}
		}
		w.cursor.version = n.version
		if first {
			if err := w.tell(&agentv1.WatchResponse{News: &agentv1.WatchResponse_Complete{Complete: true}}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.stopped:
			return ErrStopping
		case <-n.news:
		}
	}
}

func (w *watch) tell(r *agentv1.WatchResponse) error {
	r.Cursor = w.cursor.encode()
	return w.send(r)
}

// turn tells of agents who have not changed since a version, and fit by the directory as it is now, or do not any more.
func (w *watch) turn(fits *filter, n told, version uint64) error {
	for _, x := range n.rows {
		if x.version > version || x.gone {
			continue
		}
		if is, known := w.told[x.agent]; known && is == fits.fits(x.state) {
			continue
		}
		if err := w.row(fits, x); err != nil {
			return err
		}
	}
	return nil
}

// row tells what is new of an agent, if that is any of the caller's business.
func (w *watch) row(fits *filter, x *row) error {
	if !x.gone && fits.fits(x.state) {
		w.told[x.agent] = true
		return w.tell(&agentv1.WatchResponse{News: &agentv1.WatchResponse_State{State: x.state}})
	}
	is, known := w.told[x.agent]
	if known && !is || !known && !w.resumed {
		return nil
	}
	w.told[x.agent] = false
	return w.tell(&agentv1.WatchResponse{News: &agentv1.WatchResponse_Gone{Gone: x.agent}})
}

// states gives all present states, in order of the agents' ids, once they contain some positions, and the directory by which they are.
func (f *Floor) states(ctx context.Context, tenant string, positions []eventlog.Position) ([]*agentv1.AgentState, *index, error) {
	r, err := f.enter(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	defer f.leave(r)
	for {
		t := r.since(0)
		if !slices.ContainsFunc(positions, func(p eventlog.Position) bool {
			return p.Topic == event.TopicAgents && !t.agents.Includes(p.Partition, p.Offset) ||
				p.Topic == event.TopicInteractions && !t.work.Includes(p.Partition, p.Offset)
		}) {
			var all []*agentv1.AgentState
			for _, x := range t.rows {
				if !x.gone {
					all = append(all, x.state)
				}
			}
			slices.SortFunc(all, compareStates)
			return all, t.book, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("agent: wait until %v is contained: %w", positions, ctx.Err())
		case <-f.stopped:
			return nil, nil, ErrStopping
		case <-t.progress:
		}
	}
}

// Contacts reads what an agent had in hand in a stretch of time.
func (s *Server) Contacts(ctx context.Context, req *agentv1.ContactsRequest) (*agentv1.ContactsResponse, error) {
	if req.GetFrom() != nil {
		if err := req.GetFrom().CheckValid(); err != nil {
			return nil, rpc.InvalidField("from", err)
		}
	}
	if req.GetUntil() != nil {
		if err := req.GetUntil().CheckValid(); err != nil {
			return nil, rpc.InvalidField("until", err)
		}
	}
	caller, err := s.begin(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	query, err := queryDigest(caller.Tenant, "contacts", &agentv1.ContactsRequest{
		AgentId: req.GetAgentId(), From: req.GetFrom(), Until: req.GetUntil(), CustomerId: req.GetCustomerId(),
	})
	if err != nil {
		return nil, err
	}
	before := pageToken{query: query, at: endOfTime}
	if req.GetUntil() != nil {
		before.at = nanosOf(req.GetUntil().AsTime())
	}
	if req.GetPageToken() != "" {
		if before, err = decodePageToken(req.GetPageToken(), query); err != nil {
			return nil, rpc.InvalidField("page_token", err)
		}
	}
	from := int64(0)
	if req.GetFrom() != nil {
		from = nanosOf(req.GetFrom().AsTime())
	}
	customer := ""
	if req.GetCustomerId() != "" {
		id, err := event.ParseID(req.GetCustomerId())
		if err != nil {
			return nil, rpc.InvalidField("customer_id", err)
		}
		if customer, err = s.Matters.Customer(ctx, caller.Tenant, id); err != nil {
			return nil, fmt.Errorf("agent: find the customer: %w", err)
		}
	}
	book, err := s.Agents.books.Book(ctx, caller.Tenant)
	if err != nil {
		return nil, fmt.Errorf("agent: read the directory: %w", err)
	}
	resp := &agentv1.ContactsResponse{}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultContacts
	}
	looked := 0
	err = s.Agents.contacts(ctx, caller.Tenant, req.GetAgentId(), from, before, func(at int64, h state.Share) (bool, error) {
		if len(resp.GetContacts()) == size || looked == maxLooked {
			resp.NextPageToken = before.encode()
			return false, nil
		}
		looked++
		before.at, before.id = at, h.Assignment.GetId()
		conversation, of, err := s.Matters.Matter(ctx, caller.Tenant, h.Interaction)
		if err != nil {
			return false, fmt.Errorf("agent: find the conversation of a contact: %w", err)
		}
		if customer == "" || of == customer {
			resp.Contacts = append(resp.Contacts, handled(h, book, conversation, of))
		}
		return true, nil
	})
	if err != nil {
		return nil, ofRead(err)
	}
	return resp, nil
}

// maxLooked is at how many contacts one page looks, whether they fit or not.
const maxLooked = 2000

func handled(h state.Share, book *directory.Book, conversation, customer string) *agentv1.HandledContact {
	return &agentv1.HandledContact{
		Assignment: h.Assignment, InteractionId: h.Interaction.GetId(), ThreadId: h.GetThreadId(), ConversationId: conversation, CustomerId: customer,
		Channel: h.GetChannel(), Direction: h.GetDirection(), Inbox: h.GetInbox(), Subject: h.GetSubject(), Queue: h.Queue(book),
	}
}

// firstLook is how far back it is looked at first.
const firstLook = dayNanos

// contacts yields the shares of the agent whom an id means now that overlap the moments from one to before a place, the latest begun first.
func (x *Agents) contacts(ctx context.Context, tenant, id string, from int64, before pageToken, yield func(int64, state.Share) (bool, error)) error {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return err
	}
	defer v.close()
	agent := v.book.resolve(id, x.now().UnixNano())
	h, err := v.facts(ctx, agent, endOfTime, endOfTime)
	if err == nil {
		err = v.known(ctx, h)
	}
	if err != nil {
		return wrap(err, "read the contacts of %q", agent)
	}
	until := before.at
	if before.id != "" {
		until++ // others may begin at that moment
	}
	for look := int64(firstLook); until > from; look *= 2 {
		since := max(from, min(until, x.now().UnixNano())-look)
		if since == from || look > endOfTime/4 {
			since = from
		}
		shares, err := v.begun(ctx, agent, since, until, since == from)
		if err != nil {
			return err
		}
		for _, s := range shares {
			at, _ := s.Begin()
			if before.id != "" && (at > before.at || at == before.at && s.Assignment.GetId() >= before.id) {
				continue
			}
			if more, err := yield(at, s); err != nil || !more {
				return err
			}
		}
		until = since
	}
	return nil
}

// begun gives the shares of an agent that began from one moment to before another, the latest first; or overlap it.
func (v *view) begun(ctx context.Context, agent string, from, until int64, overlapping bool) ([]state.Share, error) {
	h := &state.History{Agent: agent, Book: v.book.Book}
	if err := v.addShares(ctx, h, from, until-1); err != nil {
		return nil, err
	}
	shares := slices.DeleteFunc(h.Shares, func(s state.Share) bool {
		at, ok := s.Begin()
		if end, settled := s.Settled(); settled && end < from {
			return true
		}
		return !ok || at >= until || at < from && !overlapping
	})
	slices.SortFunc(shares, func(a, b state.Share) int {
		x, _ := a.Begin()
		y, _ := b.Begin()
		return cmp.Or(cmp.Compare(y, x), strings.Compare(b.Assignment.GetId(), a.Assignment.GetId()))
	})
	return shares, nil
}
