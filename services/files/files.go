// Package files fetches the files of messages from the providers that keep them. A message comes with the names of its files
// only; this worker follows the log, asks the channel of each for them (channel.Fetcher), puts them into the blob store and tells
// so by attachment.stored, or by attachment.failed where a file cannot be had. So no webhook waits for its own files,
// and what a provider cannot give now is asked for again.
//
// Everything may happen twice: bytes are stored under their hash, and the event of an attachment has one id.
package files

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Namespace is where it stands which files are to be fetched. It is no read model, but can be lost: then everything is found in the log again.
var Namespace = kv.Namespace{Slice: "files"} //nolint:gochecknoglobals // a constant

// group is the consumer group of all processes that fetch.
const group = "skein.files"

// Inbox is one of the company's accounts whose provider keeps files.
type Inbox struct {
	Tenant, ID string
	Fetcher    channel.Fetcher
}

// Config is what a Service works with. Log, Store, Host and Blobs must be set.
type Config struct {
	Log   eventlog.Log
	Store kv.Store
	Host  channel.Host
	// Blobs holds contents that are too large for the log.
	Blobs event.Blobs
	// Groups shares the partitions among processes. Without it this process takes all of them in.
	Groups eventlog.Groups
	// Inboxes whose files are fetched; those of others are left where they are.
	Inboxes []Inbox
	// MaxAge is how long a file is asked for in vain until it counts as lost. 3 days unless set: providers keep files for as long, or longer.
	MaxAge time.Duration
	// Timeout is how long one attempt may take. 2 min unless set.
	Timeout time.Duration
	// Claim is how long a file counts as under way without word of the process that is at it: then another one begins. 5 s unless set.
	Claim time.Duration
	// FirstRetry and LastRetry are how long to wait after the first attempt that failed, and at most, while the pause doubles.
	// 1 s and 15 min unless set.
	FirstRetry, LastRetry time.Duration
	// Concurrency is how many files of one inbox are fetched at a time. 4 unless set.
	Concurrency int
	// Recheck is how often to look for what other processes have left. 1 s unless set.
	Recheck time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		set  *time.Duration
		unit time.Duration
	}{
		{&c.MaxAge, 72 * time.Hour},
		{&c.Timeout, 2 * time.Minute},
		{&c.Claim, 5 * time.Second},
		{&c.FirstRetry, time.Second},
		{&c.LastRetry, 15 * time.Minute},
		{&c.Recheck, time.Second},
	} {
		if *d.set == 0 {
			*d.set = d.unit
		}
	}
	if c.Concurrency == 0 {
		c.Concurrency = 4
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

type inboxKey struct{ tenant, id string }

// Service fetches. It is safe for concurrent use.
type Service struct {
	cfg     Config
	state   *state
	workers map[inboxKey]*worker
	backlog *pubsub.Backlog // the log as it was when this process began
}

// New checks the inboxes. Run fetches.
func New(ctx context.Context, cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, state: &state{pubsub.Places{Store: cfg.Store, Namespace: Namespace}, cfg.Store}, workers: make(map[inboxKey]*worker, len(cfg.Inboxes))}
	for _, in := range cfg.Inboxes {
		key := inboxKey{in.Tenant, in.ID}
		if _, again := s.workers[key]; again {
			return nil, fmt.Errorf("files: the inbox %q of tenant %q stands twice", in.ID, in.Tenant)
		}
		s.workers[key] = newWorker(s, in)
	}
	var err error
	if s.backlog, err = pubsub.NewBacklog(ctx, cfg.Log, event.TopicInteractions, s.state); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return s, nil
}

// Run fetches until ctx ends, and then returns nil. What is under way then is begun anew by the next process, at once.
func (s *Service) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	for _, w := range s.workers {
		parts.Go(func() { w.run(ctx) })
	}
	cfg := pubsub.Config{Log: s.cfg.Log, Offsets: s.state, Want: s.wanted, LastPause: 5 * time.Second, Logger: s.cfg.Logger}
	if s.cfg.Groups != nil {
		cfg.Group, cfg.Groups = group, s.cfg.Groups
	}
	for ctx.Err() == nil {
		if err := pubsub.Handle(ctx, cfg, "files", event.TopicInteractions, s.take); err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "files to fetch are not taken in, trying again", "error", err)
			sleep(ctx, s.cfg.Recheck)
		}
	}
	parts.Wait()
	return nil
}

// wanted tells whether a record may name files to fetch, or tells of one. What is no event is in the dead letters already: the read model
// met it.
func (s *Service) wanted(r eventlog.Record) bool {
	e, err := event.Decode(r.Value)
	if err != nil || s.workers[inboxKey{e.GetTenant(), e.GetInbox()}] == nil {
		return false
	}
	if isOutcome(e) {
		return true
	}
	content, err := event.DecodeContent(e)
	return err == nil && (content.GetSpilled() != nil || len(kept(content)) > 0)
}

func isOutcome(e *eventv1.Event) bool {
	return e.GetType() == event.TypeAttachmentStored || e.GetType() == event.TypeAttachmentFailed
}

// kept are the attachments, by their index, that the provider keeps.
func kept(content *eventv1.Content) map[int]*eventv1.Attachment {
	var files map[int]*eventv1.Attachment
	for i, a := range content.GetAttachments() {
		if a.GetBlob() == nil && a.GetSource() != "" {
			if files == nil {
				files = map[int]*eventv1.Attachment{}
			}
			files[i] = a
		}
	}
	return files
}

// take notes the files of a message, or what became of one.
func (s *Service) take(ctx context.Context, r eventlog.Record) error {
	e, content, err := s.read(ctx, r)
	switch {
	case err != nil && errors.Is(err, errUnreadable):
		return nil // wanted has seen to that
	case err != nil:
		return fmt.Errorf("files: %w", err)
	}
	if isOutcome(e) {
		told, index := content.GetAttachmentStored().GetEventId(), content.GetAttachmentStored().GetIndex()
		if failed := content.GetAttachmentFailed(); failed != nil {
			told, index = failed.GetEventId(), failed.GetIndex()
		}
		id, err := event.ParseID(told)
		if err != nil {
			return nil //nolint:nilerr // somebody's own; it settles nothing
		}
		if err := s.state.settle(ctx, fileKey{id, index}); err != nil {
			return fmt.Errorf("files: note what became of %s: %w", told, err)
		}
		return nil
	}
	id, err := event.ParseID(e.GetId())
	if err != nil {
		return nil //nolint:nilerr // Decode has seen to that
	}
	for i := range kept(content) {
		row := &row{
			Tenant: e.GetTenant(), Inbox: e.GetInbox(), Partition: r.Partition, Offset: r.Offset,
			Since: e.GetReceivedAt().AsTime(), Due: e.GetReceivedAt().AsTime(),
		}
		if err := s.state.add(ctx, fileKey{id, int32(i)}, row); err != nil {
			return fmt.Errorf("files: note a file of %s: %w", e.GetId(), err)
		}
	}
	s.workers[inboxKey{e.GetTenant(), e.GetInbox()}].wake()
	return nil
}

// errUnreadable means that a record is no event, or that its content is sealed.
var errUnreadable = errors.New("it cannot be read")

// read reads an event with all of its content. Where that is lost it gives what the log has: the beginning, which still says that it is spilled.
func (s *Service) read(ctx context.Context, r eventlog.Record) (*eventv1.Event, *eventv1.Content, error) {
	e, err := event.Decode(r.Value)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	content, err := event.DecodeContent(e)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	whole, err := event.Whole(ctx, content, s.cfg.Blobs)
	if blob.Lost(err) { // for good, so that the rest need not wait for it
		s.cfg.Logger.WarnContext(ctx, "only the files that the beginning of a content names can be fetched", "event", e.GetId(), "error", err)
		return e, content, nil
	}
	return e, whole, err
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
