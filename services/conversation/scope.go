package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Config says where conversations are read.
type Config struct {
	// Store holds the slice LinksSlice, Partitions is how many the topic of links has, and Progress, which may be nil, tells of what is
	// applied to it.
	Store      kv.Store
	Partitions int
	Progress   *projection.Progress
	// Interactions reads the slice of interactions.
	Interactions *Interactions
	// Customers tells whose endpoints are. Nil: each endpoint is a customer of its own.
	Customers scope.Customers
	// CustomerScopes knows the present id of a customer who is asked for by an earlier one; may be nil.
	CustomerScopes scope.Source
	// Logger may be nil.
	Logger *slog.Logger
}

// Conversations reads what is linked. It is safe for concurrent use. Run makes it follow changes.
type Conversations struct {
	cfg Config
	hub *hub
}

var (
	_ scope.Source       = (*Conversations)(nil)
	_ scope.Interactions = (*Conversations)(nil)
)

// NewConversations reads the links and the interactions.
func NewConversations(cfg Config) *Conversations {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Conversations{cfg: cfg}
	c.hub = newHub(c)
	return c
}

// Run follows what is applied until ctx ends, for Changed and for watches.
func (c *Conversations) Run(ctx context.Context) error { return c.hub.run(ctx) }

// reading is both slices at one moment each. Close it.
type reading struct {
	*Conversations
	links     kv.Snapshot
	namespace kv.Namespace // of the links
	view      *View
}

func (c *Conversations) read(ctx context.Context) (*reading, error) {
	ns, err := projection.Serving(ctx, c.cfg.Store, LinksSlice)
	if err != nil {
		return nil, err
	}
	return c.readAt(ctx, ns)
}

// readAt reads a generation of the links.
func (c *Conversations) readAt(ctx context.Context, ns kv.Namespace) (*reading, error) {
	view, err := c.cfg.Interactions.View(ctx)
	if err != nil {
		return nil, err
	}
	links, err := c.cfg.Store.Snapshot(ctx, ns)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("conversation: read links: %w", err), view.Close())
	}
	return &reading{Conversations: c, links: links, namespace: ns, view: view}, nil
}

// close lets go of it. Nothing is written through a snapshot.
func (r *reading) close() {
	_ = r.links.Close()
	_ = r.view.Close()
}

func (r *reading) walk(tenant string, at asOf) *walk { return newWalk(r.links, r.view, tenant, at) }

// matter gives the conversation of an id; ErrUnknown where it names no interaction.
func (w *walk) named(ctx context.Context, id event.ID) (*part, *matter, error) {
	p, err := w.find(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, scope.ErrUnknown
	}
	m, err := w.matter(ctx, p)
	return p, m, err
}

// partition is where the links of a tenant stand.
func (c *Conversations) partition(tenant string) int32 {
	return eventlog.Partition([]byte(tenant), c.cfg.Partitions)
}

// A version is a generation of the links and how far their partition of the tenant was applied.
func version(generation uint32, next int64) string {
	return strconv.FormatUint(uint64(generation), 10) + "." + strconv.FormatInt(next, 10)
}

func parseVersion(text string) (generation uint32, next int64, ok bool) {
	before, after, _ := strings.Cut(text, ".")
	g, err := strconv.ParseUint(before, 10, 32)
	n, err2 := strconv.ParseUint(after, 10, 63)
	return uint32(g), int64(n), err == nil && err2 == nil
}

// state reads the links as they are asked for.
func (c *Conversations) state(ctx context.Context, tenant string, at scope.At) (*reading, asOf, string, error) {
	state := present
	ns, err := projection.Serving(ctx, c.cfg.Store, LinksSlice)
	if err != nil {
		return nil, state, "", err
	}
	pinned := int64(0)
	if at.Version != "" {
		generation, next, ok := parseVersion(at.Version)
		if !ok {
			return nil, state, "", scope.ErrExpired
		}
		ns.Generation, pinned = generation, next // the one before a switch stays for a while
	}
	r, err := c.readAt(ctx, ns)
	if err != nil {
		return nil, state, "", err
	}
	applied, err := projection.Applied(ctx, r.links, event.TopicLinks, c.cfg.Partitions)
	if err != nil {
		r.close()
		return nil, state, "", err
	}
	next := applied[c.partition(tenant)]
	if at.Version != "" {
		if next < pinned {
			r.close()
			return nil, state, "", scope.ErrExpired
		}
		next, state.before = pinned, pinned
	}
	if !at.Time.IsZero() {
		state.by = at.Time.UnixNano()
	}
	return r, state, version(ns.Generation, next), nil
}

// Scope implements scope.Source. Links are those of the state that is asked for; where interactions begin and end is as it is known now.
func (c *Conversations) Scope(ctx context.Context, tenant string, id event.ID, at scope.At) (scope.Scope, error) {
	r, state, version, err := c.state(ctx, tenant, at)
	if err != nil {
		return scope.Scope{}, err
	}
	defer r.close()
	_, m, err := r.walk(tenant, state).named(ctx, id)
	if err != nil {
		return scope.Scope{}, err
	}
	spans, err := m.spans(ctx, r.view, tenant)
	return scope.Scope{ID: m.id(), Threads: spans, Version: version}, err
}

// spans are the parts of threads that belong to it: threads of which everything does, and else the stretches of its interactions.
func (m *matter) spans(ctx context.Context, view *View, tenant string) ([]scope.Span, error) {
	var spans []scope.Span
	for thread := range m.whole {
		spans = append(spans, scope.Span{ID: thread, Range: scope.Ever})
	}
	for _, p := range m.parts {
		if _, whole := m.whole[p.thread]; whole {
			continue
		}
		s, found, err := view.Stretch(ctx, tenant, p.id)
		if err != nil {
			return nil, err
		}
		if found && !s.Empty() {
			spans = append(spans, s)
		}
	}
	return joinSpans(spans), nil
}

// joinSpans puts spans in order, and makes one of those that meet.
func joinSpans(spans []scope.Span) []scope.Span {
	slices.SortFunc(spans, func(a, b scope.Span) int {
		return cmp.Or(slices.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.From, b.From), cmp.Compare(a.Until, b.Until))
	})
	var all []scope.Span
	for _, s := range spans {
		if n := len(all) - 1; n >= 0 && all[n].ID == s.ID && s.From <= all[n].Until {
			all[n].Until = max(all[n].Until, s.Until)
			continue
		}
		all = append(all, s)
	}
	return all
}

// Changed implements scope.Source.
func (c *Conversations) Changed(s scope.Scope, tenant string) (changed <-chan struct{}, done func()) {
	ids := []event.ID{s.ID}
	for _, t := range s.Threads {
		ids = append(ids, t.ID)
	}
	a := c.hub.await(tenant, ids)
	return a.changed, func() { c.hub.forget(a) }
}

// Stretch implements scope.Interactions.
func (c *Conversations) Stretch(ctx context.Context, tenant string, interaction event.ID) (scope.Span, error) {
	view, err := c.cfg.Interactions.View(ctx)
	if err != nil {
		return scope.Span{}, err
	}
	s, found, err := view.Stretch(ctx, tenant, interaction)
	if err == nil && !found {
		err = scope.ErrUnknown
	}
	return s, errors.Join(err, view.Close())
}

// Children are the threads that are read under a thread, those under its children too.
func (c *Conversations) Children(ctx context.Context, tenant string, thread event.ID) ([]event.ID, error) {
	ns, err := projection.Serving(ctx, c.cfg.Store, LinksSlice)
	if err != nil {
		return nil, err
	}
	links, err := c.cfg.Store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("conversation: read links: %w", err)
	}
	all, err := newWalk(links, nil, tenant, present).joined(ctx, thread, roleParent)
	if err := errors.Join(err, links.Close()); err != nil {
		return nil, err
	}
	return all[1:], nil
}

// opener is the customer party who comes first in an interaction; nil where nobody is known.
func opener(i *conversationv1.Interaction) *conversationv1.Participant {
	for _, p := range i.GetParticipants() {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER && p.GetEndpointId() != "" {
			return p
		}
	}
	return nil
}

// customer is whose the endpoint of a participant was when the interaction began.
func (c *Conversations) customer(ctx context.Context, tenant string, i *conversationv1.Interaction, p *conversationv1.Participant) (string, error) {
	if p == nil {
		return "", nil
	}
	endpoint, err := event.ParseID(p.GetEndpointId())
	if err != nil {
		return "", fmt.Errorf("conversation: read a participant: %w", err)
	}
	return c.owner(ctx, tenant, endpoint, i.GetStartedAt().AsTime().UnixNano())
}

// owner is whose an endpoint was at a moment.
func (c *Conversations) owner(ctx context.Context, tenant string, endpoint event.ID, at int64) (string, error) {
	if c.cfg.Customers == nil {
		return event.CustomerOf(endpoint).String(), nil
	}
	id, err := c.cfg.Customers.Owner(ctx, tenant, endpoint, at)
	if err != nil {
		return "", fmt.Errorf("conversation: find the customer of an endpoint: %w", err)
	}
	return id.String(), nil
}
