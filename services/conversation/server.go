package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Submitter publishes events; every channel.Host does.
type Submitter interface {
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error)
}

// DefaultReopenWindow is how long after its resolution a message still reopens an interaction for which no policy was set.
const DefaultReopenWindow = 72 * time.Hour

// How long a continuation token is valid: by default, and at most.
const (
	defaultValidity = 24 * time.Hour
	maxValidity     = 90 * 24 * time.Hour
)

// ServerConfig is what a Server works with.
type ServerConfig struct {
	// Conversations must be running for watches.
	Conversations *Conversations
	Submitter     Submitter
	Keyring       *event.Keyring
	Tokens        *continuation.Tokens
	// Books say which queue is a team's; may be nil.
	Books directory.Books
	// Now is nil for time.Now.
	Now func() time.Time
}

// Server answers skein.conversation.v1.ConversationService.
type Server struct {
	conversationv1.UnimplementedConversationServiceServer
	*Conversations
	cfg ServerConfig
}

// NewServer answers what is asked about conversations, and publishes what is done about them.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{Conversations: cfg.Conversations, cfg: cfg}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	conversationv1.RegisterConversationServiceServer(r, s)
}

// Get reads a conversation.
func (s *Server) Get(ctx context.Context, req *conversationv1.GetRequest) (*conversationv1.GetResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, req.GetMinPositions()); err != nil {
		return nil, err
	}
	id, err := parseID("conversation_id", req.GetConversationId())
	if err != nil {
		return nil, err
	}
	c, err := s.Read(ctx, caller.Tenant, id)
	if err != nil {
		return nil, err
	}
	return &conversationv1.GetResponse{Conversation: c}, nil
}

// List reads a page of work.
func (s *Server) List(ctx context.Context, req *conversationv1.ListRequest) (*conversationv1.ListResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.wait(ctx, req.GetMinPositions()); err != nil {
		return nil, err
	}
	return s.list(ctx, caller.Tenant, req)
}

// Watch sends what changes until the caller has enough.
func (s *Server) Watch(req *conversationv1.WatchRequest, stream grpc.ServerStreamingServer[conversationv1.WatchResponse]) error {
	ctx := stream.Context()
	caller, err := auth.From(ctx)
	if err != nil {
		return err
	}
	if req.GetConversationId() != "" && req.GetFilter() != nil {
		return rpc.InvalidField("filter", errors.New("must not be given where a conversation is named"))
	}
	cursor := watchCursor{}
	if cursor.query, err = watchDigest(caller.Tenant, req.GetConversationId(), req.GetFilter()); err != nil {
		return err
	}
	fresh := req.GetCursor() == ""
	if !fresh {
		before, err := decodeCursor(req.GetCursor())
		if err == nil && before.query != cursor.query {
			err = ErrForeignCursor
		}
		if err != nil {
			return rpc.InvalidField("cursor", err)
		}
		cursor = before
	}
	if err := s.hub.admit(); err != nil {
		return ofWatch(err)
	}
	defer s.hub.dismiss()
	if req.GetConversationId() != "" {
		id, err := parseID("conversation_id", req.GetConversationId())
		if err != nil {
			return err
		}
		w := &matterWatch{Conversations: s.Conversations, tenant: caller.Tenant, id: id, cursor: cursor, fresh: fresh, send: stream.Send}
		err = w.run(ctx)
		return s.ended(err, stream)
	}
	f, err := s.filter(ctx, caller.Tenant, req.GetFilter())
	if err != nil {
		return err
	}
	w := &workWatch{filter: f, hub: s.hub, cursor: cursor, fresh: fresh, send: stream.Send}
	return s.ended(w.run(ctx), stream)
}

// ended says why a watch has.
func (s *Server) ended(err error, stream grpc.ServerStreamingServer[conversationv1.WatchResponse]) error {
	if errors.Is(err, errReset) {
		return stream.Send(&conversationv1.WatchResponse{News: &conversationv1.WatchResponse_Reset_{Reset_: true}})
	}
	return ofWatch(err)
}

func ofWatch(err error) error {
	switch {
	case errors.Is(err, ErrExpiredCursor):
		return rpc.OutOfRange(err)
	case errors.Is(err, ErrStopping):
		return rpc.Unavailable(err)
	case errors.Is(err, ErrTooManyWatches):
		return rpc.Exhausted(err, time.Minute)
	}
	return ofRead(err)
}

// ofRead says what a caller can do about an error of a walk.
func ofRead(err error) error {
	switch {
	case errors.Is(err, scope.ErrUnknown):
		return rpc.NotFound(errors.New("conversation: there is no interaction of this id"))
	case errors.Is(err, ErrTooLarge):
		return rpc.Refused("TOO_LARGE", err)
	}
	return err
}

func parseID(field, text string) (event.ID, error) {
	id, err := event.ParseID(text)
	if err != nil {
		return id, rpc.InvalidField(field, err)
	}
	return id, nil
}

// wait returns once both slices hold what stands at some positions.
func (s *Server) wait(ctx context.Context, positions []*eventv1.Position) error {
	want := make([]eventlog.Position, 0, len(positions))
	for _, p := range positions {
		want = append(want, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	}
	return s.Await(ctx, want...)
}

// Await returns once the read models hold what stands at some positions, or when ctx ends.
func (c *Conversations) Await(ctx context.Context, positions ...eventlog.Position) error {
	has := func(topic string) bool {
		return slices.ContainsFunc(positions, func(p eventlog.Position) bool { return p.Topic == topic })
	}
	if x := c.cfg.Interactions; has(event.TopicInteractions) {
		if err := projection.Await(ctx, x.store, Slice, event.TopicInteractions, positions, x.progress); err != nil {
			return err
		}
	}
	if c := c.cfg; has(event.TopicLinks) {
		return projection.Await(ctx, c.Store, LinksSlice, event.TopicLinks, positions, c.Progress)
	}
	return nil
}

// Read gives a conversation by the id of any of its interactions.
func (c *Conversations) Read(ctx context.Context, tenant string, id event.ID) (*conversationv1.Conversation, error) {
	r, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	_, m, err := r.walk(tenant, present).named(ctx, id)
	if err != nil {
		return nil, ofRead(err)
	}
	return r.conversation(ctx, tenant, m)
}

// Matter gives the ids of the conversation of an interaction and of its customer, as they are now; an empty customer where none took part.
func (c *Conversations) Matter(ctx context.Context, tenant string, i *conversationv1.Interaction) (conversation, customer string, err error) {
	r, err := c.read(ctx)
	if err != nil {
		return "", "", err
	}
	defer r.close()
	w := r.walk(tenant, present)
	p, err := w.part(i)
	if err != nil {
		return "", "", err
	}
	id, err := w.conversation(ctx, p)
	if err != nil {
		return "", "", fmt.Errorf("conversation: find an interaction's: %w", err)
	}
	customer, err = c.customer(ctx, tenant, i, opener(i))
	return id.String(), customer, err
}

// conversation is a matter as an answer.
func (c *Conversations) conversation(ctx context.Context, tenant string, m *matter) (*conversationv1.Conversation, error) {
	out := &conversationv1.Conversation{Id: m.id().String(), StartedAt: m.parts[0].GetStartedAt(), Status: m.status()}
	for _, p := range m.parts {
		out.Interactions = append(out.Interactions, p.Interaction)
		if at := p.GetLastActivityAt(); out.GetLastActivityAt() == nil || at.AsTime().After(out.GetLastActivityAt().AsTime()) {
			out.LastActivityAt = at
		}
		if !slices.Contains(out.GetChannels(), p.GetChannel()) {
			out.Channels = append(out.Channels, p.GetChannel())
		}
		for _, tag := range p.GetTags() {
			if n, found := slices.BinarySearch(out.GetTags(), tag); !found {
				out.Tags = slices.Insert(out.GetTags(), n, tag)
			}
		}
		if n := p.GetPriority(); n != 0 && !p.settled() && (out.GetPriority() == 0 || n < out.GetPriority()) {
			out.Priority = n
		}
		out.Subject = cmp.Or(out.GetSubject(), p.GetSubject())
		if err := c.addCustomers(ctx, tenant, out, p.Interaction); err != nil {
			return nil, err
		}
	}
	if p := m.latest(false); p != nil {
		out.Agent, out.Queue = p.GetAgent(), p.GetQueue()
	}
	out.Sla = m.sla()
	for _, d := range m.holding {
		out.Links = append(out.Links, d.link)
	}
	return out, nil
}

func (c *Conversations) addCustomers(ctx context.Context, tenant string, out *conversationv1.Conversation, i *conversationv1.Interaction) error {
	for _, p := range i.GetParticipants() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || p.GetEndpointId() == "" {
			continue
		}
		id, err := c.customer(ctx, tenant, i, p)
		if err != nil {
			return err
		}
		if !slices.Contains(out.GetCustomerIds(), id) {
			out.CustomerIds = append(out.CustomerIds, id)
		}
	}
	return nil
}

// status is open where any interaction is, else pending, snoozed, then what the last one is.
func (m *matter) status() conversationv1.WorkStatus {
	for _, s := range []conversationv1.WorkStatus{
		conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_PENDING, conversationv1.WorkStatus_WORK_STATUS_SNOOZED,
	} {
		if slices.ContainsFunc(m.parts, func(p *part) bool { return p.GetStatus() == s }) {
			return s
		}
	}
	return m.parts[len(m.parts)-1].GetStatus()
}

// latest is the interaction that was active last: of all, or of those that are not settled; nil where there is none.
func (m *matter) latest(all bool) *part {
	var latest *part
	for _, p := range m.parts {
		if (all || !p.settled()) && (latest == nil || !p.GetLastActivityAt().AsTime().Before(latest.GetLastActivityAt().AsTime())) {
			latest = p
		}
	}
	return latest
}

// sla is the target that is active and due next, else the first that is missed of what is not settled.
func (m *matter) sla() *conversationv1.Sla {
	for _, state := range []conversationv1.SlaState{conversationv1.SlaState_SLA_STATE_ACTIVE, conversationv1.SlaState_SLA_STATE_MISSED} {
		var first *conversationv1.Sla
		for _, p := range m.parts {
			if p.settled() {
				continue
			}
			for _, s := range p.GetSlas() {
				if s.GetState() == state && (first == nil || s.GetDueAt().AsTime().Before(first.GetDueAt().AsTime())) {
					first = s
				}
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}

// matterDigest tells one state of a conversation from another, whatever else happened in its threads.
func matterDigest(c *conversationv1.Conversation) (uint64, error) {
	bare := proto.CloneOf(c)
	for _, i := range bare.GetInteractions() {
		i.Position = nil
	}
	return digest(bare, nil)
}

// Where links that are made here stand.
const (
	provider   = "skein"
	linkInbox  = "skein"
	linkThread = "links"
)

// linkEvent is the id of the event that a request about links gives.
func (s *Server) linkEvent(tenant, request, typ string) event.ID {
	ids := s.cfg.Keyring.Tenant(tenant)
	return ids.Event(ids.Thread(linkInbox, linkThread), request, typ, 0, nil)
}

func linkSubmission(typ, request string, actor *eventv1.SubmittedActor, content *eventv1.Content) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Provider: provider, Inbox: linkInbox, Thread: linkThread, NativeId: request, Actor: actorOf(actor), Content: content,
	}
}

// actorOf is who does it: the system, where nobody is named.
func actorOf(a *eventv1.SubmittedActor) *eventv1.SubmittedActor {
	if a == nil {
		return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
	}
	return a
}

// decide publishes an event about links unless that was done before, and gives what was decided about it.
func (s *Server) decide(ctx context.Context, tenant string, id event.ID, submission func() (*eventv1.Submission, error)) (*decision, error) {
	d, err := s.decided(ctx, tenant, id)
	if d != nil || err != nil {
		return d, err
	}
	out, err := submission()
	if err != nil {
		return nil, err
	}
	acks, err := s.cfg.Submitter.Submit(ctx, tenant, out)
	if err != nil {
		return nil, ofSubmit(err)
	}
	if err := s.Await(ctx, acks[0].Position); err != nil {
		return nil, err
	}
	d, err = s.decided(ctx, tenant, id)
	if err == nil && d == nil {
		err = fmt.Errorf("conversation: event %s was applied, and nothing was decided about it", id)
	}
	return d, err
}

func (s *Server) decided(ctx context.Context, tenant string, id event.ID) (*decision, error) {
	r, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return decisionOf(ctx, r.links, tenant, id)
}

func (s *Server) linkPosition(tenant string, d *decision) *eventv1.Position {
	return &eventv1.Position{Topic: event.TopicLinks, Partition: s.partition(tenant), Offset: d.made.offset}
}

// Link joins conversations.
func (s *Server) Link(ctx context.Context, req *conversationv1.LinkRequest) (*conversationv1.LinkResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	id := s.linkEvent(caller.Tenant, req.GetRequestId(), event.TypeConversationLinked)
	var first event.ID
	d, err := s.decide(ctx, caller.Tenant, id, func() (*eventv1.Submission, error) {
		body, err := s.linked(ctx, caller.Tenant, req)
		if err != nil {
			return nil, err
		}
		return linkSubmission(event.TypeConversationLinked, req.GetRequestId(), req.GetActor(), &eventv1.Content{
			Body: &eventv1.Content_ConversationLinked{ConversationLinked: body},
		}), nil
	})
	if err != nil {
		return nil, err
	}
	if d.outcome != outcomeDone {
		return nil, rpc.InvalidField("members", errors.New("are not what a link can join"))
	}
	r, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	w := r.walk(caller.Tenant, present)
	resp := &conversationv1.LinkResponse{EventId: id.String(), Position: s.linkPosition(caller.Tenant, d)}
	for _, first = range d.members {
		parts, err := w.meant(ctx, first)
		if err != nil {
			return nil, ofRead(err)
		}
		if len(parts) == 0 {
			continue
		}
		m, err := w.matter(ctx, parts[0])
		if err != nil {
			return nil, ofRead(err)
		}
		resp.Conversation, err = s.conversation(ctx, caller.Tenant, m)
		return resp, err
	}
	return resp, nil
}

// meant are the interactions that a member of a link means.
func (w *walk) meant(ctx context.Context, id event.ID) ([]*part, error) {
	p, err := w.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if p != nil {
		return []*part{p}, nil
	}
	threads, err := w.joined(ctx, id, roleParent)
	if err != nil {
		return nil, err
	}
	var all []*part
	for _, thread := range threads {
		parts, err := w.thread(ctx, thread)
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	return all, nil
}

// linked checks what is to be joined.
func (s *Server) linked(ctx context.Context, tenant string, req *conversationv1.LinkRequest) (*eventv1.ConversationLinked, error) {
	r, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	w := r.walk(tenant, present)
	body := &eventv1.ConversationLinked{Reason: req.GetReason()}
	all := map[event.ID]struct{}{}
	for n, text := range req.GetMembers() {
		id, err := parseID(fmt.Sprintf("members[%d]", n), text)
		if err != nil {
			return nil, err
		}
		parts, err := w.meant(ctx, id)
		if err != nil {
			return nil, ofRead(err)
		}
		if len(parts) == 0 {
			return nil, rpc.NotFound(fmt.Errorf("conversation: members[%d]: there is no interaction of this id, and none in a thread of it", n))
		}
		body.Members = append(body.Members, id.String())
		if thread := parts[0].GetThreadId(); w.found[id] != nil && !slices.Contains(body.GetThreadIds(), thread) {
			body.ThreadIds = append(body.ThreadIds, thread)
		}
		for _, p := range parts {
			m, err := w.matter(ctx, p)
			if err != nil {
				return nil, ofRead(err)
			}
			for _, other := range m.parts {
				all[other.id] = struct{}{}
			}
		}
	}
	if len(all) > MaxInteractions {
		return nil, ofRead(ErrTooLarge)
	}
	return body, nil
}

// Unlink undoes a link.
func (s *Server) Unlink(ctx context.Context, req *conversationv1.UnlinkRequest) (*conversationv1.UnlinkResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	link, err := parseID("event_id", req.GetEventId())
	if err != nil {
		return nil, err
	}
	id := s.linkEvent(caller.Tenant, req.GetRequestId(), event.TypeLinkUndone)
	d, err := s.decide(ctx, caller.Tenant, id, func() (*eventv1.Submission, error) {
		if err := s.undoable(ctx, caller.Tenant, link); err != nil {
			return nil, err
		}
		return linkSubmission(event.TypeLinkUndone, req.GetRequestId(), req.GetActor(), &eventv1.Content{
			Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: link.String(), Reason: req.GetReason()}},
		}), nil
	})
	if err != nil {
		return nil, err
	}
	if !slices.Contains(d.members, link) {
		return nil, rpc.InvalidField("request_id", errors.New("was used for another link"))
	}
	if err := refusal(d.outcome); err != nil {
		return nil, err
	}
	return &conversationv1.UnlinkResponse{EventId: id.String(), Position: s.linkPosition(caller.Tenant, d)}, nil
}

// undoable checks before an event is published that it is a link of conversations: others are undone by the same event.
func (s *Server) undoable(ctx context.Context, tenant string, link event.ID) error {
	d, err := s.decided(ctx, tenant, link)
	switch {
	case err != nil:
		return err
	case d == nil || d.kind == kindUndo || d.outcome != outcomeDone:
		return refusal(outcomeUnknownEvent)
	case d.undone.offset != never:
		return refusal(outcomeAlreadyUndone)
	}
	return nil
}

func refusal(o outcome) error {
	switch o {
	case outcomeDone:
		return nil
	case outcomeUnknownEvent:
		return rpc.Refused("UNKNOWN_EVENT", errors.New("conversation: there is no link of this event"))
	case outcomeAlreadyUndone:
		return rpc.Refused("ALREADY_UNDONE", errors.New("conversation: the link is undone already"))
	case outcomeMalformed:
	}
	return rpc.Refused("MALFORMED", errors.New("conversation: the event says nothing that can be done"))
}

// Token makes a continuation token.
func (s *Server) Token(ctx context.Context, req *conversationv1.TokenRequest) (*conversationv1.TokenResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	id, err := parseID("conversation_id", req.GetConversationId())
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	until := now.Add(defaultValidity)
	if t := req.GetValidUntil(); t != nil {
		switch until = t.AsTime(); {
		case t.CheckValid() != nil || !until.After(now):
			return nil, rpc.InvalidField("valid_until", errors.New("must be in the future"))
		case until.After(now.Add(maxValidity)):
			return nil, rpc.InvalidField("valid_until", errors.New("must be 90 days from now at most"))
		}
	}
	c, err := s.Read(ctx, caller.Tenant, id)
	if err != nil {
		return nil, err
	}
	if id, err = event.ParseID(c.GetId()); err != nil {
		return nil, fmt.Errorf("conversation: token: %w", err)
	}
	until = until.Truncate(time.Second)
	return &conversationv1.TokenResponse{Token: s.cfg.Tokens.Issue(caller.Tenant, id, until), ValidUntil: timestamppb.New(until)}, nil
}
