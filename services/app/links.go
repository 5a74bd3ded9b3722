package app

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/customer"
	"github.com/skein-cx/skein/services/linker"
	"github.com/skein-cx/skein/services/timeline"
	"github.com/skein-cx/skein/services/vcon"
)

// links are the read models that say what belongs together, as this process reads them.
type links struct {
	interactions  interactions
	customers     *customer.Customers
	conversations *conversation.Conversations
	threads       *timeline.Threads
}

func (a *App) openLinks(ctx context.Context) error {
	partitions, err := a.log.Partitions(ctx, event.TopicInteractions)
	if err != nil {
		return err
	}
	ofLinks, err := a.log.Partitions(ctx, event.TopicLinks)
	if err != nil {
		return err
	}
	l := &links{threads: timeline.NewThreads(a.store, partitions, a.slices.progress(timeline.Slice))}
	progress := a.slices.progress(conversation.Slice)
	l.interactions = interactions{a.store, progress, conversation.NewInteractions(a.store, partitions, progress)}
	l.customers = customer.NewCustomers(a.store, ofLinks, a.slices.progress(customer.Slice), l.interactions, a.logger)
	l.conversations = conversation.NewConversations(conversation.Config{
		Store: a.store, Partitions: ofLinks, Progress: a.slices.progress(conversation.LinksSlice),
		Interactions: l.interactions.read, Customers: l.customers, CustomerScopes: l.customers, Logger: a.logger,
	})
	a.links = l
	return nil
}

func (a *App) followLinks(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.links.customers.Run(ctx) })
	g.Go(func() error { return a.links.conversations.Run(ctx) })
	return g.Wait()
}

// await returns once links are known that stand at some positions.
func (l *links) await(ctx context.Context, positions ...eventlog.Position) error {
	if err := l.customers.Wait(ctx, positions...); err != nil {
		return err
	}
	return l.conversations.Await(ctx, positions...)
}

// ofTimeline are the links by which timelines are read.
func (l *links) ofTimeline() timeline.Links {
	return timeline.Links{Customers: l.customers, Conversations: l.conversations, Joins: l.conversations, Await: l.await}
}

func (a *App) registerCustomers(context.Context) error {
	compiler, err := event.NewCompiler(a.keyring)
	if err != nil {
		return err
	}
	customer.NewServer(customer.Config{
		Customers: a.links.customers, Keyring: a.keyring, Compiler: compiler, Host: a.intake,
		Endpoints: timeline.NewEndpoints(a.store), Interactions: a.links.interactions, Parties: a.links.interactions,
	}).Register(a.grpc)
	return nil
}

func (a *App) registerConversations(context.Context) error {
	tokens, err := continuation.New(a.keyring)
	if err != nil {
		return err
	}
	conversation.NewServer(conversation.ServerConfig{
		Conversations: a.links.conversations, Submitter: a.intake, Keyring: a.keyring, Tokens: tokens, Books: a.books,
	}).Register(a.grpc)
	signer, err := a.cfg.VCon.signer()
	if err != nil {
		return err
	}
	reader, err := a.cfg.VCon.reader()
	if err != nil {
		return err
	}
	vcon.NewServer(vcon.Config{
		Conversations: a.links, Blobs: a.blobs, Host: a.intake, Keyring: a.keyring, Signer: signer, Reader: reader, BlobURL: a.cfg.VCon.blobURL(),
	}).Register(a.grpc)
	return nil
}

// Get implements vcon.Conversations.
func (l *links) Get(ctx context.Context, tenant, id string) (*conversationv1.Conversation, error) {
	parsed, err := event.ParseID(id)
	if err != nil {
		return nil, err
	}
	return l.conversations.Read(ctx, tenant, parsed)
}

// Events implements vcon.Conversations.
func (l *links) Events(ctx context.Context, tenant string, id event.ID, yield func(channel.Filed) error) error {
	return l.threads.Scope(ctx, tenant, l.conversations, id, scope.Ever, yield)
}

func (a *App) openLinker(context.Context) error {
	groups, err := a.groups()
	if err != nil {
		return err
	}
	cfg := linker.Config{
		Log: a.log, Store: a.store, Host: a.intake, Keyring: a.keyring, Blobs: a.blobs, Groups: groups,
		Interactions: linked{a.links.interactions}, Contacts: contacts{a.links}, Customers: a.links.customers,
		Tenants: map[string]linker.Settings{}, Metrics: linker.NewMetrics(a.registry), Logger: a.logger,
	}
	for _, l := range a.cfg.Linking {
		cfg.Tenants[l.Tenant] = linker.Settings{Topics: l.Topics, Identity: l.Identity}
	}
	a.linker, err = linker.New(cfg)
	return err
}

func (a *App) runLinker(ctx context.Context) error { return a.linker.Run(ctx) }

// contacts are the interactions of customers, as rules by topic ask for them.
type contacts struct{ *links }

// Contact implements linker.Contacts.
func (c contacts) Contact(ctx context.Context, tenant string, id event.ID, at eventlog.Position) (*conversationv1.Interaction, bool, error) {
	if err := c.interactions.Await(ctx, at); err != nil {
		return nil, false, err
	}
	it, err := c.interactions.Find(ctx, tenant, id)
	return it, it != nil, err
}

// Began implements linker.Contacts.
func (c contacts) Began(ctx context.Context, tenant string, id event.ID, within scope.Range) ([]*conversationv1.Interaction, error) {
	threads := map[string]bool{}
	err := c.threads.Scope(ctx, tenant, c.customers, id, within, func(f channel.Filed) error {
		threads[f.Event.GetThreadId()] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	var began []*conversationv1.Interaction
	for text := range threads {
		thread, err := event.ParseID(text)
		if err != nil {
			return nil, err
		}
		all, err := viewed(ctx, c.interactions.read, func(v *conversation.View) ([]*conversationv1.Interaction, error) {
			return v.Thread(ctx, tenant, thread)
		})
		if err != nil {
			return nil, fmt.Errorf("interactions of thread %s: %w", thread, err)
		}
		for _, it := range all {
			if within.Contains(it.GetStartedAt().AsTime().UnixNano()) {
				began = append(began, it)
			}
		}
	}
	return began, nil
}

// Parties implements customer.Parties.
func (m interactions) Parties(ctx context.Context, tenant string, id event.ID) ([]event.ID, error) {
	it, err := m.Find(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if it == nil {
		return nil, scope.ErrUnknown
	}
	var parties []event.ID
	for _, p := range it.GetParticipants() {
		if endpoint, err := event.ParseID(p.GetEndpointId()); err == nil && p.GetSide() == eventv1.Side_SIDE_CUSTOMER {
			parties = append(parties, endpoint)
		}
	}
	return parties, nil
}
