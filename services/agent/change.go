package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// connector and inbox under which the server states things, unless it is told another connector.
const (
	ownConnector = "skein"
	inbox        = "skein"
)

// DefaultTimeout is within which time the next heartbeat is promised where nothing is said.
const DefaultTimeout = 90 * time.Second

// command is a request that states something of an agent.
type command struct {
	*Server
	caller    auth.Identity
	agent     string
	connector string
	native    string
	// behind is a moment behind which the statement holds, though the clock shows an earlier one; 0 for none.
	behind int64
}

// command finds out who calls, and whom an id means.
func (s *Server) command(ctx context.Context, id, connector, request string) (*command, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	c := &command{Server: s, caller: caller, connector: connector, native: request}
	if c.connector == "" {
		c.connector = ownConnector
	}
	c.agent, err = s.Agents.Resolve(ctx, caller.Tenant, id)
	return c, err
}

// SetPresence states what an agent chose to be.
func (s *Server) SetPresence(ctx context.Context, req *agentv1.SetPresenceRequest) (*agentv1.CommandResponse, error) {
	c, err := s.command(ctx, req.GetAgentId(), req.GetConnector(), req.GetRequestId())
	if err != nil {
		return nil, err
	}
	typ := req.GetType()
	if typ == eventv1.PresenceType_PRESENCE_TYPE_UNSPECIFIED {
		typ = state.TypeOf(req.GetPresence())
	}
	return c.publish(ctx, event.TypeAgentPresenceChanged, &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{
		AgentPresenceChanged: &eventv1.AgentPresenceChanged{
			Presence: req.GetPresence(), Type: typ, Reason: req.GetReason(), ChangedBy: req.GetChangedBy(),
		},
	}})
}

// SetCapacity states how much an agent can take at once.
func (s *Server) SetCapacity(ctx context.Context, req *agentv1.SetCapacityRequest) (*agentv1.CommandResponse, error) {
	b := &eventv1.AgentCapacityChanged{Channels: map[string]*eventv1.Capacity{}}
	var wrong []event.Violation
	for name, maximum := range req.GetMaximum() {
		if !state.IsChannel(name) {
			wrong = append(wrong, event.Violation{Field: fmt.Sprintf("maximum[%q]", name), Reason: "is no channel's name in lower case, such as voice or web_chat"})
		}
		b.Channels[name] = &eventv1.Capacity{Maximum: maximum}
	}
	if len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	c, err := s.command(ctx, req.GetAgentId(), "", req.GetRequestId())
	if err != nil {
		return nil, err
	}
	return c.publish(ctx, event.TypeAgentCapacityChanged, &eventv1.Content{Body: &eventv1.Content_AgentCapacityChanged{AgentCapacityChanged: b}})
}

// SignOut signs an agent out at every connector.
func (s *Server) SignOut(ctx context.Context, req *agentv1.SignOutRequest) (*agentv1.CommandResponse, error) {
	c, err := s.command(ctx, req.GetAgentId(), "", req.GetRequestId())
	if err != nil {
		return nil, err
	}
	if c.behind, err = s.Agents.lastChosen(ctx, c.caller.Tenant, c.agent); err != nil {
		return nil, ofRead(err)
	}
	by := req.GetActor().GetId()
	if by == "" {
		by = c.caller.Name
	}
	return c.publish(ctx, event.TypeAgentPresenceChanged, &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{
		AgentPresenceChanged: &eventv1.AgentPresenceChanged{
			Presence: "Offline", Type: eventv1.PresenceType_PRESENCE_TYPE_OFFLINE, Reason: req.GetReason(), Everywhere: true, ChangedBy: event.Clip(by, maxAgent),
		},
	}})
}

// Heartbeat says that the agent's desktop is alive. It is not waited until that shows.
func (s *Server) Heartbeat(ctx context.Context, req *agentv1.HeartbeatRequest) (*agentv1.HeartbeatResponse, error) {
	c, err := s.command(ctx, req.GetAgentId(), req.GetConnector(), rand.Text())
	if err != nil {
		return nil, err
	}
	timeout := DefaultTimeout
	if req.GetTimeout() != nil {
		timeout = req.GetTimeout().AsDuration()
	}
	now := s.Agents.now()
	sub := c.submission(event.TypeAgentHeartbeat, &eventv1.Content{Body: &eventv1.Content_AgentHeartbeat{
		AgentHeartbeat: &eventv1.AgentHeartbeat{Timeout: durationpb.New(timeout)},
	}})
	sub.OccurredAt = timestamppb.New(now)
	if _, err := s.Host.Submit(ctx, c.caller.Tenant, sub); err != nil {
		return nil, asRequested(err)
	}
	return &agentv1.HeartbeatResponse{AliveUntil: timestamppb.New(now.Add(timeout))}, nil
}

// submission is the event that states something.
func (c *command) submission(typ string, content *eventv1.Content) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Provider: c.connector, Inbox: inbox, Thread: "agent/" + c.agent, NativeId: c.native, Content: content,
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: c.agent},
	}
}

var errRequestID = errors.New("agent: another request has it: choose a new one for each")

// publish publishes a statement, unless the same request has, waits until it is applied, and answers with the state.
func (c *command) publish(ctx context.Context, typ string, content *eventv1.Content) (*agentv1.CommandResponse, error) {
	sub := c.submission(typ, content)
	compiled, err := c.Compiler.Compile(c.caller.Tenant, sub, time.Now())
	if err != nil {
		return nil, asRequested(err)
	}
	id, err := event.ParseID(compiled.Event.GetId())
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	same := [][]byte{compiled.Event.GetDigest()}
	if now := c.Agents.now(); c.behind >= now.UnixNano() {
		// A digest holds the time that is stated. What was stated last may be this very request.
		for _, at := range []int64{c.behind, c.behind + int64(time.Millisecond)} {
			sub.OccurredAt = timestamppb.New(time.Unix(0, at))
			if compiled, err = c.Compiler.Compile(c.caller.Tenant, sub, time.Now()); err != nil {
				return nil, asRequested(err)
			}
			same = append(same, compiled.Event.GetDigest())
		}
	}
	resp, err := c.answer(ctx, id, same)
	if resp != nil || err != nil {
		return resp, err // it was made before
	}
	acks, err := c.Host.Submit(ctx, c.caller.Tenant, sub)
	if err != nil {
		return nil, asRequested(err)
	}
	if err := c.Agents.Wait(ctx, acks[0].Position); err != nil {
		return nil, err
	}
	resp, err = c.answer(ctx, id, same)
	if resp == nil && err == nil {
		err = fmt.Errorf("agent: event %s was not applied: look among the dead letters", id)
	}
	return resp, err
}

// answer gives the state with an event that has one of some digests; nil where that is not applied.
func (c *command) answer(ctx context.Context, id event.ID, same [][]byte) (*agentv1.CommandResponse, error) {
	v, err := c.Agents.view(ctx, c.caller.Tenant)
	if err != nil {
		return nil, err
	}
	defer v.close()
	value, found, err := v.snap.Get(ctx, eventKey(c.caller.Tenant, c.agent, id))
	if err != nil || !found {
		return nil, err
	}
	was, err := decodeSeen(value)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(same, func(digest []byte) bool { return bytes.Equal(was.digest, digest) }) {
		return nil, rpc.InvalidField("request_id", errRequestID)
	}
	out, err := c.Agents.Present(ctx, c.caller.Tenant, c.agent)
	if err != nil {
		return nil, ofRead(err)
	}
	at := eventlog.Position{Topic: event.TopicAgents, Partition: v.partition(c.agent), Offset: was.offset}
	return &agentv1.CommandResponse{
		EventId: id.String(), State: out, Position: &eventv1.Position{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset},
	}, nil
}

// lastChosen is when a presence was stated last, at any connector; ErrUnknown where nothing is known of an agent.
func (x *Agents) lastChosen(ctx context.Context, tenant, agent string) (last int64, err error) {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return 0, err
	}
	defer v.close()
	h, err := v.facts(ctx, agent, endOfTime, endOfTime)
	if err != nil {
		return 0, err
	}
	for i := range h.Connectors {
		last = max(last, h.Connectors[i].Standing.ChosenAt.Occurred)
	}
	return last, v.known(ctx, h)
}

// asRequested names fields as the request does: what a submission has beside them is the server's.
func asRequested(err error) error {
	var invalid *event.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	violations := make([]event.Violation, len(invalid.Violations))
	for i, v := range invalid.Violations {
		if _, field, found := strings.Cut(v.Field, "]."); found && strings.HasPrefix(v.Field, "submissions[") {
			v.Field = field
		}
		switch field := v.Field; {
		case strings.HasPrefix(field, "actor"):
			v.Field = "agent_id"
		case field == "native_id":
			v.Field = "request_id"
		case field == "provider":
			v.Field = "connector"
		case strings.Contains(field, "agent_presence_changed."):
			v.Field = field[strings.LastIndexByte(field, '.')+1:]
		}
		violations[i] = v
	}
	return rpc.Invalid(violations...)
}
