package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

// command is what is done to an interaction.
type command struct {
	*conversationv1.Command
	// types are those of its events, the one first that stands for it: where that is known, the command was given before, and what stands
	// in its way now does not matter.
	types []string
	// events are those that it takes, or why it cannot be.
	events func(*target) ([]*eventv1.Submission, error)
	// finish gives further events, once those are applied: what was cut off, and what others have done meanwhile. Again tells that the
	// command was given before. It may be nil.
	finish func(t *target, again bool) []*eventv1.Submission
}

// target is the interaction that a command is about.
type target struct {
	*conversationv1.Interaction
	req *conversationv1.Command
	ids *event.IDs
}

// event is one of the command's, by who does it.
func (t *target) event(typ string, actor *eventv1.SubmittedActor, content *eventv1.Content) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Channel: t.GetChannel(), Provider: provider, Inbox: t.GetInbox(), Thread: t.GetNativeThread(), NativeId: t.req.GetRequestId(),
		Actor: actorOf(actor), Content: content,
	}
}

// own is one that the caller does.
func (t *target) own(typ string, content *eventv1.Content) *eventv1.Submission {
	return t.event(typ, t.req.GetActor(), content)
}

func agentActor(agent string) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agent}
}

// handOver is the provider's id of the event that hands an assignment over: whoever does it, and however many at once, it is one event.
func handOver(a *conversationv1.Assignment) string { return "handed over " + a.GetId() }

// handedOver ends an agent's assignment, because another one or a queue has it now.
func (t *target) handedOver(a *conversationv1.Assignment) *eventv1.Submission {
	s := t.event(event.TypeAssignmentEnded, agentActor(a.GetAgent()), &eventv1.Content{
		Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{Reason: eventv1.EndReason_END_REASON_TRANSFER}},
	})
	s.NativeId = handOver(a)
	return s
}

// taken are the assignments of agents who have it.
func (t *target) taken() []*conversationv1.Assignment {
	var all []*conversationv1.Assignment
	for _, a := range t.GetAssignments() {
		if a.GetEndedAt() == nil && a.GetDeclinedAt() == nil && takenAt(a) != 0 && a.GetAgent() != "" && a.GetOrigin() != eventv1.Origin_ORIGIN_CONSULT {
			all = append(all, a)
		}
	}
	return all
}

// takenAt is when an agent took it; 0 for not yet.
func takenAt(a *conversationv1.Assignment) int64 {
	switch {
	case a.GetAcceptedAt() != nil:
		return a.GetAcceptedAt().AsTime().UnixNano()
	case a.GetConnectedAt() != nil:
		return a.GetConnectedAt().AsTime().UnixNano()
	}
	return 0
}

// Why a command is refused.
var (
	errResolved   = rpc.Refused("ALREADY_RESOLVED", errors.New("conversation: it is resolved already"))
	errEnded      = rpc.Refused("ENDED", errors.New("conversation: it is over: reopen it first"))
	errNotSettled = rpc.Refused("NOT_SETTLED", errors.New("conversation: it is neither resolved nor closed"))
	errAssigned   = rpc.Refused("ALREADY_ASSIGNED", errors.New("conversation: the agent has it already"))
	errSealed     = rpc.Refused("SEALED", errors.New("conversation: the provider's id of the thread cannot be read"))
	errOldKey     = rpc.Refused("OLD_KEY", errors.New("conversation: its thread goes by an earlier key, and takes no new events"))
	errSuperseded = rpc.Refused("SUPERSEDED", errors.New("conversation: a later interaction of its thread has begun: name that instead"))
)

// unended refuses what needs an interaction that goes on.
func (t *target) unended() error {
	switch {
	case t.GetStatus() == conversationv1.WorkStatus_WORK_STATUS_RESOLVED:
		return errResolved
	case t.GetState() == conversationv1.InteractionState_INTERACTION_STATE_ENDED:
		return errEnded
	}
	return nil
}

// do carries a command out.
func (s *Server) do(ctx context.Context, c command) (*conversationv1.CommandResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	id, err := parseID("command.conversation_id", c.GetConversationId())
	if err != nil {
		return nil, err
	}
	t, done, err := s.target(ctx, caller.Tenant, id, c)
	if err != nil {
		return nil, err
	}
	resp := &conversationv1.CommandResponse{}
	again := done != nil
	if !again {
		submissions, err := c.events(t)
		if err != nil {
			return nil, err
		}
		if done, err = s.submit(ctx, caller.Tenant, submissions); err != nil {
			return nil, err
		}
	}
	if c.finish != nil {
		if done, err = s.finish(ctx, caller.Tenant, t, c, done, again); err != nil {
			return nil, err
		}
	}
	for _, ack := range done {
		resp.EventIds = append(resp.EventIds, ack.EventID)
		resp.Positions = append(resp.Positions, &eventv1.Position{
			Topic: ack.Position.Topic, Partition: ack.Position.Partition, Offset: ack.Position.Offset,
		})
	}
	resp.Conversation, err = s.Read(ctx, caller.Tenant, id)
	return resp, err
}

// submit publishes events and waits until they are applied.
func (s *Server) submit(ctx context.Context, tenant string, submissions []*eventv1.Submission) ([]channel.Acknowledgement, error) {
	acks, err := s.cfg.Submitter.Submit(ctx, tenant, submissions...)
	if err != nil {
		return nil, ofSubmit(err)
	}
	positions := make([]eventlog.Position, len(acks))
	for n, ack := range acks {
		positions[n] = ack.Position
	}
	return acks, s.Await(ctx, positions...)
}

// ofSubmit names the fields of a command in place of those of its events.
func ofSubmit(err error) error {
	var invalid *event.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	violations := slices.Clone(invalid.Violations)
	for n := range violations {
		if _, field, ok := strings.Cut(violations[n].Field, "]."); ok {
			violations[n].Field = field
		}
	}
	return rpc.Invalid(violations...)
}

// finish publishes what else is to be done now that the events of a command are applied.
func (s *Server) finish(
	ctx context.Context, tenant string, t *target, c command, done []channel.Acknowledgement, again bool,
) ([]channel.Acknowledgement, error) {
	r, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	i, found, err := r.view.Find(ctx, tenant, id(t.GetId()))
	r.close()
	if err != nil || !found {
		return done, err
	}
	more := c.finish(&target{i, t.req, t.ids}, again)
	if len(more) == 0 {
		return done, nil
	}
	acks, err := s.submit(ctx, tenant, more)
	for n, ack := range acks {
		if more[n].GetNativeId() == t.req.GetRequestId() {
			done = append(done, ack)
		}
	}
	return done, err
}

// target finds the interaction that a command is about, or the events that the command has given already.
func (s *Server) target(ctx context.Context, tenant string, id event.ID, c command) (*target, []channel.Acknowledgement, error) {
	r, err := s.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	named, m, err := r.walk(tenant, present).named(ctx, id)
	if err != nil {
		return nil, nil, ofRead(err)
	}
	ids := s.cfg.Keyring.Tenant(tenant)
	for _, p := range m.parts {
		if done, err := given(ctx, r.view, tenant, p, ids, c); err != nil || len(done) > 0 {
			return &target{p.Interaction, c.Command, ids}, done, err
		}
	}
	p := named
	if named.settled() && !c.GetExact() {
		p = m.latest(true)
	}
	if p.GetNativeThread() == "" {
		return nil, nil, errSealed
	}
	if ids.Thread(p.GetInbox(), p.GetNativeThread()) != p.thread {
		return nil, nil, errOldKey
	}
	last, found, err := r.view.At(ctx, tenant, p.thread, math.MaxInt64)
	if err != nil {
		return nil, nil, err
	}
	if !found || last.GetId() != p.GetId() {
		return nil, nil, errSuperseded
	}
	return &target{p.Interaction, c.Command, ids}, nil, nil
}

// given are the events of a command that the thread of an interaction holds already; none unless the one is there that stands for it. They
// are looked for among all facts of the thread, which is rare.
func given(ctx context.Context, view *View, tenant string, p *part, ids *event.IDs, c command) ([]channel.Acknowledgement, error) {
	known := func(native, typ string) event.ID { return ids.Event(p.thread, native, typ, 0, nil) }
	standsForIt := known(c.GetRequestId(), c.types[0])
	_, found, err := view.snap.Get(ctx, appendPair(nil, tenant, subSeen, p.thread, standsForIt))
	if err != nil || !found {
		return nil, wrap("look for an earlier command", err)
	}
	own, others := map[event.ID]struct{}{}, map[event.ID]struct{}{}
	for _, typ := range c.types {
		own[known(c.GetRequestId(), typ)] = struct{}{}
	}
	for _, a := range p.GetAssignments() {
		others[known(handOver(a), event.TypeAssignmentEnded)] = struct{}{}
	}
	var facts []story.Fact
	var received int64
	err = view.facts(ctx, tenant, p.thread, func(f *story.Fact) {
		_, mine := own[f.ID]
		_, handsOver := others[f.ID]
		if mine || handsOver {
			facts = append(facts, *f)
		}
		if f.ID == standsForIt {
			received = f.Received
		}
	})
	slices.SortFunc(facts, func(a, b story.Fact) int { return cmp.Compare(a.Offset, b.Offset) })
	var done []channel.Acknowledgement
	for _, f := range facts {
		if _, mine := own[f.ID]; !mine && f.Received != received {
			continue // another command's
		}
		done = append(done, channel.Acknowledgement{
			EventID: f.ID.String(), ThreadID: p.GetThreadId(),
			Position: eventlog.Position{Topic: event.TopicInteractions, Partition: p.GetPosition().GetPartition(), Offset: f.Offset},
		})
	}
	return done, wrap("read an earlier command", err)
}

// checkName checks what is going to be the id of an agent in an event.
func checkName(field, name string) error {
	wrong := strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/@+-", r))
	})
	if wrong >= 0 {
		return rpc.InvalidField(field, errors.New("must be letters, digits and any of . _ : / @ + -"))
	}
	return nil
}

// Assign gives an interaction to an agent, who is connected by that unless it is a call. Of several agents who take it at once, the last one
// has it.
func (s *Server) Assign(ctx context.Context, req *conversationv1.AssignRequest) (*conversationv1.CommandResponse, error) {
	if err := checkName("agent", req.GetAgent()); err != nil {
		return nil, err
	}
	return s.do(ctx, command{
		Command: req.GetCommand(), types: []string{event.TypeAssignmentAccepted, event.TypeAssignmentConnected},
		events: func(t *target) ([]*eventv1.Submission, error) {
			switch err := t.unended(); {
			case err != nil:
				return nil, err
			case t.GetAgent() == req.GetAgent():
				return nil, errAssigned
			}
			events := []*eventv1.Submission{t.assigned(event.TypeAssignmentAccepted, req.GetAgent())}
			if t.isText() {
				events = append(events, t.assigned(event.TypeAssignmentConnected, req.GetAgent()))
			}
			for _, a := range t.taken() {
				events = append(events, t.handedOver(a))
			}
			return events, nil
		},
		finish: func(t *target, again bool) []*eventv1.Submission { return t.settleShares(req.GetAgent(), again) },
	})
}

// settleShares completes an assignment once it is applied: of it and of what others have assigned meanwhile, the last one stays. Of any
// two, the one that is applied last sees both, and ends the one that is earlier by its time.
func (t *target) settleShares(agent string, again bool) (events []*eventv1.Submission) {
	own := t.ids.Assignment(id(t.GetThreadId()), t.req.GetRequestId()).String()
	n := slices.IndexFunc(t.GetAssignments(), func(a *conversationv1.Assignment) bool { return a.GetId() == own })
	if n < 0 {
		return nil
	}
	mine := t.GetAssignments()[n]
	if t.isText() && mine.GetConnectedAt() == nil && mine.GetEndedAt() == nil {
		events = append(events, t.assigned(event.TypeAssignmentConnected, agent))
	}
	lost, open := false, false
	for _, a := range t.taken() {
		switch {
		case a == mine:
			open = true
		case a.GetAgent() == agent:
		case takenAt(a) < takenAt(mine) || takenAt(a) == takenAt(mine) && slices.Index(t.GetAssignments(), a) < n:
			events = append(events, t.handedOver(a))
		default:
			lost = true
		}
	}
	if lost && open && !again { // later, who is beside the agent is so by somebody's will
		events = append(events, t.handedOver(mine))
	}
	return events
}

// teamQueue is the queue that the directory names for a team.
func (s *Server) teamQueue(ctx context.Context, tenant, team string) (string, error) {
	if s.cfg.Books == nil {
		return "", rpc.InvalidField("team", errors.New("there is no directory"))
	}
	book, err := s.cfg.Books.Book(ctx, tenant)
	if err != nil {
		return "", fmt.Errorf("conversation: look a team up: %w", err)
	}
	entry := book.At(directory.Team, team, s.cfg.Now().UnixNano())
	switch {
	case entry == nil:
		return "", rpc.InvalidField("team", errors.New("the directory has no such team"))
	case entry.GetTeam().GetQueue() == "":
		return "", rpc.InvalidField("team", errors.New("the directory names no queue for it"))
	}
	return entry.GetTeam().GetQueue(), nil
}

// Transfer hands an interaction to an agent, who is offered it, or into a queue.
func (s *Server) Transfer(ctx context.Context, req *conversationv1.TransferRequest) (*conversationv1.CommandResponse, error) {
	if err := checkName("agent", req.GetAgent()); err != nil {
		return nil, err
	}
	queue := req.GetQueue()
	if req.GetTeam() != "" {
		caller, err := auth.From(ctx)
		if err != nil {
			return nil, err
		}
		if queue, err = s.teamQueue(ctx, caller.Tenant, req.GetTeam()); err != nil {
			return nil, err
		}
	}
	last := event.TypeAssignmentOffered
	kind, to := eventv1.TransferKind_TRANSFER_KIND_BLIND, req.GetAgent()
	if queue != "" {
		last, kind, to = event.TypeQueueEntered, eventv1.TransferKind_TRANSFER_KIND_QUEUE, queue
	}
	types := []string{last, event.TypeTransferStarted, event.TypeTransferCompleted, event.TypeNoteAdded}
	return s.do(ctx, command{
		Command: req.GetCommand(), types: types,
		events: func(t *target) ([]*eventv1.Submission, error) {
			switch err := t.unended(); {
			case err != nil:
				return nil, err
			case req.GetAgent() != "" && t.GetAgent() == req.GetAgent():
				return nil, errAssigned
			}
			events := []*eventv1.Submission{
				t.own(event.TypeTransferStarted, &eventv1.Content{
					Body: &eventv1.Content_TransferStarted{TransferStarted: &eventv1.TransferStarted{Kind: kind, Target: to}},
				}),
				t.own(event.TypeTransferCompleted, &eventv1.Content{
					Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Kind: kind, Target: to}},
				}),
			}
			for _, a := range t.taken() {
				events = append(events, t.handedOver(a))
			}
			if req.GetNote() != "" {
				events = append(events, t.note(req.GetNote()))
			}
			// The event that stands for the command comes last: where it is there, all are.
			if queue != "" {
				entered := t.own(last, nil)
				entered.Queue, entered.Visit, entered.Origin = to, t.req.GetRequestId(), eventv1.Origin_ORIGIN_TRANSFER
				return append(events, entered), nil
			}
			offered := t.assigned(last, to)
			offered.Origin = eventv1.Origin_ORIGIN_TRANSFER
			return append(events, offered), nil
		},
	})
}

// assigned is an event of the assignment that a command makes.
func (t *target) assigned(typ, agent string) *eventv1.Submission {
	s := t.event(typ, agentActor(agent), nil)
	s.Assignment = t.req.GetRequestId()
	return s
}

// isText tells whether who takes it can talk to the customer at once. For a call, the switch says when.
func (t *target) isText() bool {
	return t.GetChannel() != eventv1.Channel_CHANNEL_VOICE && t.GetChannel() != eventv1.Channel_CHANNEL_VIDEO
}

func (t *target) note(text string) *eventv1.Submission {
	return t.own(event.TypeNoteAdded, &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: text}}})
}

// one is a command of one event, unless it is refused.
func (s *Server) one(
	ctx context.Context, c *conversationv1.Command, typ string, refuse func(*target) error, content func(*target) *eventv1.Content,
) (*conversationv1.CommandResponse, error) {
	return s.do(ctx, command{Command: c, types: []string{typ}, events: func(t *target) ([]*eventv1.Submission, error) {
		if err := refuse(t); err != nil {
			return nil, err
		}
		return []*eventv1.Submission{t.own(typ, content(t))}, nil
	}})
}

func unrefused(*target) error { return nil }

// unresolved refuses what is resolved already.
func unresolved(t *target) error {
	if t.GetStatus() == conversationv1.WorkStatus_WORK_STATUS_RESOLVED {
		return errResolved
	}
	return nil
}

// SetStatus makes an interaction open or pending, or puts it off.
func (s *Server) SetStatus(ctx context.Context, req *conversationv1.SetStatusRequest) (*conversationv1.CommandResponse, error) {
	body := &eventv1.InteractionStatusChanged{Status: req.GetStatus()}
	refuse := unresolved
	if req.GetStatus() == eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED {
		body.SnoozedUntil = req.GetSnoozedUntil()
		refuse = func(t *target) error {
			if until := req.GetSnoozedUntil(); until == nil || until.CheckValid() != nil || !until.AsTime().After(s.cfg.Now()) {
				return rpc.InvalidField("snoozed_until", errors.New("must be in the future"))
			}
			return unresolved(t)
		}
	}
	return s.one(ctx, req.GetCommand(), event.TypeInteractionStatusChanged, refuse, func(*target) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_InteractionStatusChanged{InteractionStatusChanged: body}}
	})
}

// Resolve says that the matter of an interaction is settled.
func (s *Server) Resolve(ctx context.Context, req *conversationv1.ResolveRequest) (*conversationv1.CommandResponse, error) {
	return s.one(ctx, req.GetCommand(), event.TypeInteractionResolved, unresolved, func(t *target) *eventv1.Content {
		window := DefaultReopenWindow
		if t.GetPolicy() != "" {
			window = t.GetReopenWindow().AsDuration()
		}
		return &eventv1.Content{Body: &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{
			Resolution: req.GetResolution(), ReopenWindow: durationpb.New(window),
		}}}
	})
}

// Reopen says that it is not settled after all.
func (s *Server) Reopen(ctx context.Context, req *conversationv1.ReopenRequest) (*conversationv1.CommandResponse, error) {
	refuse := func(t *target) error {
		if !settled(t.Interaction) {
			return errNotSettled
		}
		return nil
	}
	return s.one(ctx, req.GetCommand(), event.TypeInteractionReopened, refuse, func(*target) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_InteractionReopened{InteractionReopened: &eventv1.InteractionReopened{Reason: req.GetReason()}}}
	})
}

// Categorize says what an interaction was about.
func (s *Server) Categorize(ctx context.Context, req *conversationv1.CategorizeRequest) (*conversationv1.CommandResponse, error) {
	return s.one(ctx, req.GetCommand(), event.TypeInteractionCategorized, unrefused, func(*target) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_InteractionCategorized{InteractionCategorized: req.GetCategory()}}
	})
}

// Update changes tags, priority and attributes.
func (s *Server) Update(ctx context.Context, req *conversationv1.UpdateRequest) (*conversationv1.CommandResponse, error) {
	return s.one(ctx, req.GetCommand(), event.TypeInteractionAttributesUpdated, unrefused, func(*target) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: req.GetUpdate()}}
	})
}

// Note adds a remark for colleagues.
func (s *Server) Note(ctx context.Context, req *conversationv1.NoteRequest) (*conversationv1.CommandResponse, error) {
	return s.do(ctx, command{Command: req.GetCommand(), types: []string{event.TypeNoteAdded}, events: func(t *target) ([]*eventv1.Submission, error) {
		return []*eventv1.Submission{t.note(req.GetText())}, nil
	}})
}
