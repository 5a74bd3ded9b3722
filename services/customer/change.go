package customer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider, inbox and thread under which the server publishes changes.
const (
	provider = "skein"
	inbox    = "skein"
	thread   = "links"
)

// Link links an endpoint to a customer.
func (s *Server) Link(ctx context.Context, req *customerv1.LinkRequest) (*customerv1.ChangeResponse, error) {
	c, err := s.begin(ctx, req.GetChange())
	if err != nil {
		return nil, err
	}
	endpoint, address, err := c.target(ctx, "endpoint", req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	to, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	if _, err := rangeOf(req.GetValidity().GetFrom(), req.GetValidity().GetUntil()); err != nil {
		field, reason, _ := strings.Cut(err.Error(), ": ")
		return nil, rpc.InvalidField("validity."+field, errors.New(reason))
	}
	kind, namespace := address.GetKind(), address.GetNamespace()
	if address == nil {
		if kind, namespace, err = c.kind(ctx, endpoint); err != nil {
			return nil, err
		}
	}
	return c.publish(ctx, event.TypeEndpointLinked, &eventv1.Content{Body: &eventv1.Content_EndpointLinked{EndpointLinked: &eventv1.EndpointLinked{
		EndpointId: endpoint.String(), CustomerId: to.String(), ValidFrom: req.GetValidity().GetFrom(), ValidUntil: req.GetValidity().GetUntil(),
		Reason: req.GetChange().GetReason(), Kind: kind, Namespace: namespace,
	}}}, address)
}

// Merge makes one customer of two.
func (s *Server) Merge(ctx context.Context, req *customerv1.MergeRequest) (*customerv1.ChangeResponse, error) {
	c, err := s.begin(ctx, req.GetChange())
	if err != nil {
		return nil, err
	}
	into, err := parseID("into", req.GetInto())
	if err != nil {
		return nil, err
	}
	merged, err := parseID("merged", req.GetMerged())
	if err != nil {
		return nil, err
	}
	return c.publish(ctx, event.TypeCustomerMerged, &eventv1.Content{Body: &eventv1.Content_CustomerMerged{CustomerMerged: &eventv1.CustomerMerged{
		Into: into.String(), Merged: merged.String(), Reason: req.GetChange().GetReason(),
	}}})
}

// Split gives endpoints of a customer to another one.
func (s *Server) Split(ctx context.Context, req *customerv1.SplitRequest) (*customerv1.ChangeResponse, error) {
	c, err := s.begin(ctx, req.GetChange())
	if err != nil {
		return nil, err
	}
	from, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	body := &eventv1.CustomerSplit{CustomerId: from.String(), Reason: req.GetChange().GetReason()}
	var addresses []*eventv1.Address
	for i, target := range req.GetEndpoints() {
		endpoint, address, err := c.target(ctx, fmt.Sprintf("endpoints[%d]", i), target)
		if err != nil {
			return nil, err
		}
		body.EndpointIds = append(body.GetEndpointIds(), endpoint.String())
		if address != nil {
			addresses = append(addresses, address)
		}
	}
	if req.GetTo() != "" {
		to, err := parseID("to", req.GetTo())
		if err != nil {
			return nil, err
		}
		body.To = to.String()
	}
	return c.publish(ctx, event.TypeCustomerSplit, &eventv1.Content{Body: &eventv1.Content_CustomerSplit{CustomerSplit: body}}, addresses...)
}

// Undo takes an earlier change back.
func (s *Server) Undo(ctx context.Context, req *customerv1.UndoRequest) (*customerv1.ChangeResponse, error) {
	c, err := s.begin(ctx, req.GetChange())
	if err != nil {
		return nil, err
	}
	undone, err := parseID("event_id", req.GetEventId())
	if err != nil {
		return nil, err
	}
	return c.publish(ctx, event.TypeLinkUndone, c.undo(undone))
}

// Attribute says whose an interaction is.
func (s *Server) Attribute(ctx context.Context, req *customerv1.AttributeRequest) (*customerv1.ChangeResponse, error) {
	c, err := s.begin(ctx, req.GetChange())
	if err != nil {
		return nil, err
	}
	interaction, err := parseID("interaction_id", req.GetInteractionId())
	if err != nil {
		return nil, err
	}
	to, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	span, err := s.cfg.Interactions.Stretch(ctx, c.caller.Tenant, interaction)
	if errors.Is(err, scope.ErrUnknown) {
		return nil, rpc.NotFound(fmt.Errorf("customer: there is no interaction %s", interaction))
	}
	if err != nil {
		return nil, err
	}
	body := &eventv1.InteractionAttributed{
		InteractionId: interaction.String(), CustomerId: to.String(), Reason: req.GetChange().GetReason(), ThreadId: span.ID.String(),
	}
	if s.cfg.Parties != nil {
		parties, err := s.cfg.Parties.Parties(ctx, c.caller.Tenant, interaction)
		if err != nil && !errors.Is(err, scope.ErrUnknown) {
			return nil, err
		}
		if len(parties) == 1 {
			body.EndpointId = parties[0].String()
		}
	}
	return c.publish(ctx, event.TypeInteractionAttributed, &eventv1.Content{Body: &eventv1.Content_InteractionAttributed{InteractionAttributed: body}})
}

// Unlink undoes the links by which a customer has an endpoint.
func (s *Server) Unlink(ctx context.Context, req *customerv1.UnlinkRequest) (*customerv1.ChangeResponse, error) {
	c, err := s.begin(ctx, req.GetChange())
	if err != nil {
		return nil, err
	}
	endpoint, _, err := c.target(ctx, "endpoint", req.GetEndpoint())
	if err != nil {
		return nil, err
	}
	of, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	links, err := c.unlinked(ctx, endpoint, of)
	if err != nil {
		return nil, err
	}
	submissions := make([]*eventv1.Submission, len(links))
	for i, l := range links {
		submissions[i] = c.submission(event.TypeLinkUndone, c.undo(l))
		if i > 0 {
			submissions[i].Discriminator = l[:]
		}
	}
	return c.submit(ctx, submissions, of)
}

// call is one changing call.
type call struct {
	*Server
	caller auth.Identity
	change *customerv1.Change
	native string // id of the request
}

func (s *Server) begin(ctx context.Context, change *customerv1.Change) (*call, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	c := &call{Server: s, caller: caller, change: change, native: change.GetRequestId()}
	if c.native == "" {
		c.native = rand.Text()
	}
	return c, nil
}

func parseID(field, text string) (event.ID, error) {
	id, err := event.ParseID(text)
	if err == nil && id.IsZero() {
		err = errors.New("must not be zero")
	}
	if err != nil {
		return id, rpc.InvalidField(field, err)
	}
	return id, nil
}

// target reads which endpoint is meant, and its normalised address where one is stated.
func (c *call) target(ctx context.Context, field string, t *customerv1.Target) (event.ID, *eventv1.Address, error) {
	if t.GetAddress() == nil {
		endpoint, err := parseID(field+".endpoint_id", t.GetEndpointId())
		if err == nil && endpoint.IsCustomer() {
			err = rpc.InvalidField(field+".endpoint_id", errors.New("is the id of a customer, not of an endpoint"))
		}
		return endpoint, nil, err
	}
	a, err := event.Normalise(t.GetAddress())
	if err != nil {
		return event.ID{}, nil, rpc.Invalid(addressViolation(field+".address", err))
	}
	v, err := c.view(ctx, c.caller.Tenant, scope.At{}, nil)
	if err != nil {
		return event.ID{}, nil, err
	}
	defer v.close()
	endpoint, err := c.find(ctx, v, a)
	return endpoint, a.Address(), err
}

// kind tells what is known of an endpoint of which only the id is stated.
func (c *call) kind(ctx context.Context, endpoint event.ID) (eventv1.EndpointKind, string, error) {
	v, err := c.view(ctx, c.caller.Tenant, scope.At{}, nil)
	if err != nil {
		return 0, "", err
	}
	defer v.close()
	e, err := v.walk.endpoint(ctx, endpoint)
	if err != nil || e.kind != eventv1.EndpointKind_ENDPOINT_KIND_UNSPECIFIED {
		return e.kind, e.namespace, err
	}
	seen, _, err := c.cfg.Endpoints.Seen(ctx, c.caller.Tenant, endpoint)
	return seen.Kind, seen.Namespace, err
}

func (c *call) undo(of event.ID) *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: of.String(), Reason: c.change.GetReason()}}}
}

// submission is the event that asks for the change. Addresses that the caller has stated stand in it, so that the log tells them.
func (c *call) submission(typ string, content *eventv1.Content, addresses ...*eventv1.Address) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, Provider: provider, Inbox: inbox, Thread: thread, NativeId: c.native, Content: content, Actor: c.change.GetActor(),
	}
	for _, a := range addresses {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{Address: a, Side: eventv1.Side_SIDE_CUSTOMER})
	}
	if s.GetActor() == nil {
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: c.caller.ActorID()}
	}
	return s
}

func (c *call) publish(ctx context.Context, typ string, content *eventv1.Content, addresses ...*eventv1.Address) (*customerv1.ChangeResponse, error) {
	return c.submit(ctx, []*eventv1.Submission{c.submission(typ, content, addresses...)}, event.ID{})
}

var errRequestID = errors.New("customer: another change has it: choose a new one for each change")

// submit publishes events, waits until they are decided, and tells what came of the first, or of the first that was decided against. The
// answer shows one customer, or the one that the event names.
func (c *call) submit(ctx context.Context, submissions []*eventv1.Submission, show event.ID) (*customerv1.ChangeResponse, error) {
	ids, digests, err := c.compile(submissions)
	if err != nil {
		return nil, err
	}
	if err := c.unused(ctx, submissions[0].GetType()); err != nil {
		return nil, err
	}
	resp, err := c.answer(ctx, ids, digests, show)
	if resp != nil || err != nil {
		return resp, err // it was decided before
	}
	acks, err := c.cfg.Host.Submit(ctx, c.caller.Tenant, submissions...)
	if err != nil {
		return nil, asRequested(err)
	}
	positions := make([]eventlog.Position, len(acks))
	for i, a := range acks {
		positions[i] = a.Position
	}
	if err := c.cfg.Customers.Wait(ctx, positions...); err != nil {
		return nil, err
	}
	resp, err = c.answer(ctx, ids, digests, show)
	if resp == nil && err == nil {
		err = fmt.Errorf("customer: event %s was not decided: look among the dead letters", ids[0])
	}
	return resp, err
}

// compile tells beforehand which ids the events will have, and what tells them from others under those.
func (c *call) compile(submissions []*eventv1.Submission) (ids []event.ID, digests [][]byte, err error) {
	for _, s := range submissions {
		compiled, err := c.cfg.Compiler.Compile(c.caller.Tenant, s, time.Now())
		if err != nil {
			return nil, nil, asRequested(err)
		}
		id, err := event.ParseID(compiled.Event.GetId())
		if err != nil {
			return nil, nil, fmt.Errorf("customer: %w", err)
		}
		ids, digests = append(ids, id), append(digests, compiled.Event.GetDigest())
	}
	return ids, digests, nil
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
		switch {
		case strings.HasPrefix(v.Field, "actor"):
			v.Field = "change." + v.Field
		case v.Field == "native_id":
			v.Field = "change.request_id"
		case strings.HasSuffix(v.Field, ".reason"):
			v.Field = "change.reason"
		}
		violations[i] = v
	}
	return rpc.Invalid(violations...)
}

// unused refuses a request's id that a change of another type has.
func (c *call) unused(ctx context.Context, typ string) error {
	if c.change.GetRequestId() == "" {
		return nil
	}
	made := c.cfg.Keyring.Tenant(c.caller.Tenant)
	v, err := c.view(ctx, c.caller.Tenant, scope.At{}, nil)
	if err != nil {
		return err
	}
	defer v.close()
	var keys [][]byte
	for _, other := range []string{
		event.TypeEndpointLinked, event.TypeCustomerMerged, event.TypeCustomerSplit, event.TypeInteractionAttributed, event.TypeLinkUndone,
	} {
		if other != typ {
			keys = append(keys, prefix(c.caller.Tenant, subEvent, made.Event(made.Thread(inbox, thread), c.native, other, 0, nil)))
		}
	}
	values, err := v.snap.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	for _, value := range values {
		if value != nil {
			return rpc.InvalidField("change.request_id", errRequestID)
		}
	}
	return nil
}

// answer tells what was decided about events; nil where nothing was yet about one of them.
func (c *call) answer(ctx context.Context, ids []event.ID, digests [][]byte, show event.ID) (*customerv1.ChangeResponse, error) {
	v, err := c.view(ctx, c.caller.Tenant, scope.At{}, nil)
	if err != nil {
		return nil, err
	}
	defer v.close()
	all := make([]*decided, len(ids))
	for i, id := range ids {
		if all[i], err = v.walk.decidedOn(ctx, id); err != nil || all[i] == nil {
			return nil, err
		}
		if !bytes.Equal(all[i].digest, digests[i]) {
			return nil, rpc.InvalidField("change.request_id", errRequestID)
		}
	}
	for _, o := range all {
		if refusal := o.entry.GetRefusal(); refusal != customerv1.Refusal_REFUSAL_UNSPECIFIED {
			return nil, rpc.Refused(strings.TrimPrefix(refusal.String(), "REFUSAL_"), errors.New("customer: "+o.entry.GetDetail()))
		}
	}
	if show.IsZero() {
		if show, err = event.ParseID(all[0].entry.GetCustomerIds()[0]); err != nil {
			return nil, errDamaged
		}
	}
	shown, err := c.customer(ctx, v, show, nil)
	if err != nil {
		return nil, err
	}
	return &customerv1.ChangeResponse{EventId: all[0].entry.GetEventId(), Customer: shown, Position: v.position(all[0])}, nil
}

// unlinked gives the events of the links by which a customer has an endpoint, in the order of the log. Of a request that is made again
// it gives those that it gave before, the first of them first.
func (c *call) unlinked(ctx context.Context, endpoint, of event.ID) ([]event.ID, error) {
	v, err := c.view(ctx, c.caller.Tenant, scope.At{}, nil)
	if err != nil {
		return nil, err
	}
	defer v.close()
	made := c.cfg.Keyring.Tenant(c.caller.Tenant)
	request := func(discriminator []byte) event.ID {
		return made.Event(made.Thread(inbox, thread), c.native, event.TypeLinkUndone, 0, discriminator)
	}
	again, err := v.walk.decidedOn(ctx, request(nil))
	if err != nil {
		return nil, err
	}
	_, customer, err := v.walk.resolve(ctx, of)
	if err != nil {
		return nil, err
	}
	e, err := v.walk.endpoint(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	var links []event.ID
	known := false
	for _, l := range e.links {
		if again != nil {
			if again.entry.GetUndoes() == l.event.String() {
				links, known = append([]event.ID{l.event}, links...), true
				continue
			}
			other, err := v.walk.decidedOn(ctx, request(l.event[:]))
			if err != nil {
				return nil, err
			}
			if other == nil && l.made.offset > again.offset {
				continue // it was made since
			}
			if other != nil {
				links = append(links, l.event)
				continue
			}
		}
		root, err := v.walk.root(ctx, l.node)
		if err != nil {
			return nil, err
		}
		if l.in(now) && !l.split && root == customer.root {
			links = append(links, l.event)
		}
	}
	switch {
	case again != nil && !known:
		return nil, rpc.InvalidField("change.request_id", errRequestID)
	case len(links) == 0:
		return nil, rpc.Refused("NOT_LINKED", fmt.Errorf("customer: endpoint %s %s", endpoint, v.whyHeld(customer, endpoint)))
	}
	return links, nil
}

// whyHeld says by what a customer has an endpoint, where it is no link.
func (v *view) whyHeld(c *customer, endpoint event.ID) string {
	h := c.holding(endpoint)
	if h == nil {
		return fmt.Sprintf("is not customer %s's", c.root)
	}
	last := h.pieces[len(h.pieces)-1]
	if last.link != nil {
		return fmt.Sprintf("is customer %s's by a split: undo event %s", c.root, last.link.event)
	}
	if m := v.walk.nodes[last.node].above(v.walk.at); m != nil {
		return fmt.Sprintf("is customer %s's by a merge: undo event %s", c.root, m.event)
	}
	return fmt.Sprintf("is the one that customer %s is named after", c.root)
}
