// Package linker follows the log and asks for links by rule: mails of one exchange that fell into several threads, contacts that a
// token or a provider's word joins, contacts of one customer about one topic, addresses and identifiers that are one person's.
//
// It decides nothing. What it publishes are requests, which the folds of the links topic decide in the order of the log. Everything may
// happen twice: the id of a request derives from its rule and from what it joins, and its content does, too.
package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/pubsub"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Namespace holds what was asked for and which thread each message id was seen in; LinksNamespace holds how far the links topic was
// read. Neither is a read model, and both can be lost: everything is found in the log again.
var (
	Namespace      = kv.Namespace{Slice: "linker"}       //nolint:gochecknoglobals // a constant
	LinksNamespace = kv.Namespace{Slice: "linker-links"} //nolint:gochecknoglobals // a constant
)

// group is the consumer group of all processes that link; that of the links topic has a name of its own.
const group = "skein.linker"

// recallLimit is how many records are read at once.
const recallLimit = 1024

// Interactions tells to which interaction an event belongs. It is safe for concurrent use.
type Interactions interface {
	// At is the interaction of a thread to which an event of a moment (nanoseconds since 1970) belongs. It waits until the read model has
	// applied the event's record.
	At(ctx context.Context, tenant string, thread event.ID, nanos int64, position eventlog.Position) (id event.ID, found bool, err error)
}

// Contacts reads interactions for rules by topic. It is safe for concurrent use.
type Contacts interface {
	// Contact is an interaction by any of its ids, with what the record at a position has made of it.
	Contact(ctx context.Context, tenant string, interaction event.ID, position eventlog.Position) (*conversationv1.Interaction, bool, error)
	// Began are the interactions of a customer that began in a stretch of time.
	Began(ctx context.Context, tenant string, customer event.ID, within scope.Range) ([]*conversationv1.Interaction, error)
}

// Config is what a Service works with. Log, Store, Host, Keyring, Blobs and Interactions must be set.
type Config struct {
	Log   eventlog.Log
	Store kv.Store
	// Host takes in what is asked for.
	Host channel.Host
	// Keyring is the one that Host makes ids with.
	Keyring *event.Keyring
	// Blobs holds contents that are too large for the log.
	Blobs        event.Blobs
	Interactions Interactions
	// Contacts and Customers are needed for rules by topic only.
	Contacts  Contacts
	Customers scope.Customers
	// Groups shares the partitions among processes. Without it this process takes all of them in.
	Groups eventlog.Groups
	// Tenants have settings of their own; all others have Default.
	Tenants map[string]Settings
	Default Settings
	// Recheck is how long to rest after the log could not be read. 1 s unless set.
	Recheck time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Settings are a tenant's.
type Settings struct {
	// Topics are rules by topic; none unless set.
	Topics []Topic `koanf:"topics" help:"link interactions of one customer about one topic"`
	// Identity says which addresses and identifiers are taken for one person's.
	Identity Policy `koanf:"identity"`
}

// Verify tells what is wrong with settings.
func (s Settings) Verify() error {
	if _, err := compileTopics(s.Topics); err != nil {
		return err
	}
	if _, err := compilePolicy(s.Identity); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// Service asks for links. It is safe for concurrent use.
type Service struct {
	cfg     Config
	memory  *memory
	rules   []rule
	follows map[string]kv.Namespace // where it stands how far a topic was read
}

// rule finds links.
type rule interface {
	// wants tells by the envelope whether an event may give links.
	wants(e *eventv1.Event) bool
	// find gives what to ask for. After an error the record comes again.
	find(ctx context.Context, r *record) ([]request, error)
}

// record is an event, its content (of a large one the head) and where it stands.
type record struct {
	*eventv1.Event
	content  *eventv1.Content
	position eventlog.Position
}

func (r *record) thread() event.ID {
	id, _ := event.ParseID(r.GetThreadId()) // Decode has seen to that
	return id
}

// happened tells whether an event is something that took place with a customer, and not itself about links.
func happened(e *eventv1.Event) bool {
	topic, _ := event.TopicOf(e.GetType())
	return topic == event.TopicInteractions
}

func (r *record) nanos() int64 { return r.GetOccurredAt().AsTime().UnixNano() }

// New checks the settings. Run links.
func New(cfg Config) (*Service, error) {
	if cfg.Recheck == 0 {
		cfg.Recheck = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tokens, err := continuation.New(cfg.Keyring)
	if err != nil {
		return nil, fmt.Errorf("linker: %w", err)
	}
	s := &Service{cfg: cfg, memory: &memory{cfg.Store}, follows: map[string]kv.Namespace{event.TopicInteractions: Namespace, event.TopicLinks: LinksNamespace}}
	topics, policies := &topics{contacts: cfg.Contacts, customers: cfg.Customers, interactions: cfg.Interactions, of: map[string][]topic{}}, &policies{of: map[string]*policy{}, metrics: cfg.Metrics}
	for tenant, settings := range cfg.Tenants {
		if topics.of[tenant], err = compileTopics(settings.Topics); err != nil {
			return nil, fmt.Errorf("linker: tenant %q: %w", tenant, err)
		}
		if policies.of[tenant], err = compilePolicy(settings.Identity); err != nil {
			return nil, fmt.Errorf("linker: tenant %q: identity: %w", tenant, err)
		}
	}
	if topics.others, err = compileTopics(cfg.Default.Topics); err != nil {
		return nil, fmt.Errorf("linker: %w", err)
	}
	if policies.others, err = compilePolicy(cfg.Default.Identity); err != nil {
		return nil, fmt.Errorf("linker: identity: %w", err)
	}
	if topics.any() && (cfg.Contacts == nil || cfg.Customers == nil) {
		return nil, errors.New("linker: topics need Contacts and Customers")
	}
	s.rules = []rule{
		&references{memory: s.memory, blobs: cfg.Blobs},
		&tokenHolders{tokens: tokens, interactions: cfg.Interactions},
		&continued{keyring: cfg.Keyring, interactions: cfg.Interactions},
		topics,
		&identifiers{policies},
		&assertions{policies},
	}
	return s, nil
}

// Run links until ctx ends, and then returns nil.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := s.recall(ctx)
		if err == nil {
			break
		}
		s.cfg.Logger.WarnContext(ctx, "what was asked for cannot be read, trying again", "error", err)
		sleep(ctx, s.cfg.Recheck)
	}
	var parts sync.WaitGroup
	for topic, ns := range s.follows {
		parts.Go(func() { s.follow(ctx, topic, ns) })
	}
	parts.Wait()
	return nil
}

// recall reads from the log what was asked for before, where the store does not know: so that nothing is asked for anew, under whatever
// settings, and what was undone stays so.
func (s *Service) recall(ctx context.Context) error {
	if known, err := s.memory.complete(ctx); known || err != nil {
		return err
	}
	partitions, err := s.cfg.Log.Partitions(ctx, event.TopicLinks)
	if err != nil {
		return err
	}
	for p := range int32(partitions) {
		if err := s.recallPartition(ctx, p); err != nil {
			return err
		}
	}
	return s.memory.completed(ctx)
}

func (s *Service) recallPartition(ctx context.Context, p int32) error {
	next, end, err := s.cfg.Log.Bounds(ctx, event.TopicLinks, p)
	if err != nil {
		return err
	}
	reader, err := s.cfg.Log.Open(ctx, event.TopicLinks, p, next)
	if err != nil {
		return err
	}
	defer reader.Close()
	for next < end {
		records, err := reader.Read(ctx, recallLimit)
		if err != nil {
			return err
		}
		own := map[string][]request{} // by tenant
		for _, r := range records {
			next = r.Offset + 1
			if e, err := event.Decode(r.Value); err == nil && e.GetProvider() == provider && e.GetInbox() == inbox {
				if content, err := event.DecodeContent(e); err == nil {
					own[e.GetTenant()] = append(own[e.GetTenant()], request{rule: content.GetNativeThread(), pair: content.GetNativeId()})
				}
			}
		}
		for tenant, requests := range own {
			if err := s.memory.asked(ctx, tenant, requests); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) follow(ctx context.Context, topic string, ns kv.Namespace) {
	cfg := pubsub.Config{
		Log: s.cfg.Log, Offsets: pubsub.Places{Store: s.cfg.Store, Namespace: ns}, Want: s.wanted, LastPause: 5 * time.Second, Logger: s.cfg.Logger,
	}
	if s.cfg.Groups != nil {
		cfg.Groups, cfg.Group = s.cfg.Groups, group
		if topic != event.TopicInteractions {
			cfg.Group += ".links"
		}
	}
	for ctx.Err() == nil {
		if err := pubsub.Handle(ctx, cfg, "linker", topic, s.take); err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "events are not looked at for links, trying again", "topic", topic, "error", err)
			sleep(ctx, s.cfg.Recheck)
		}
	}
}

// wanted tells whether a record may give links. What is no event is in the dead letters already, or will be: a read model meets it.
func (s *Service) wanted(r eventlog.Record) bool {
	e, err := event.Decode(r.Value)
	if err != nil || e.GetSeal() != "" {
		return false
	}
	for _, rule := range s.rules {
		if rule.wants(e) {
			return true
		}
	}
	return false
}

// take asks for the links that a record gives.
func (s *Service) take(ctx context.Context, raw eventlog.Record) error {
	e, err := event.Decode(raw.Value)
	if err != nil {
		return nil //nolint:nilerr // wanted has seen to that
	}
	r := &record{Event: e, position: raw.Position}
	if r.content, err = event.DecodeContent(e); err != nil {
		return nil //nolint:nilerr // a read model tells of it
	}
	var all []request
	for _, rule := range s.rules {
		if !rule.wants(e) {
			continue
		}
		found, err := rule.find(ctx, r)
		switch {
		case blob.Lost(err): // for good, so that the rest need not wait for it
			s.cfg.Logger.WarnContext(ctx, "an event's content is lost: it is not looked at for links", "event", e.GetId())
		case err != nil:
			return fmt.Errorf("linker: look for links of %s: %w", e.GetId(), err)
		}
		all = append(all, found...)
	}
	return s.ask(ctx, r, all)
}

// ask publishes those requests that were not published yet.
func (s *Service) ask(ctx context.Context, r *record, all []request) error {
	fresh, err := s.memory.unasked(ctx, r.GetTenant(), all)
	if err != nil || len(fresh) == 0 {
		return err
	}
	for _, q := range fresh {
		_, err := s.cfg.Host.Submit(ctx, r.GetTenant(), q.submission(r))
		switch {
		case err == nil:
			s.cfg.Metrics.asked(r.GetTenant(), q.rule)
		case errors.Is(err, channel.ErrRetry), ctx.Err() != nil:
			return fmt.Errorf("linker: ask for a link by %q: %w", q.rule, err)
		default: // nor will it be right another time
			s.cfg.Logger.ErrorContext(ctx, "a link cannot be asked for", "rule", q.rule, "event", r.GetId(), "error", err)
		}
	}
	if err := s.memory.asked(ctx, r.GetTenant(), fresh); err != nil {
		return fmt.Errorf("linker: note what was asked for: %w", err)
	}
	return nil
}

// sleep waits; it returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
