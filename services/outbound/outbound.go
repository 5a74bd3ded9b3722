// Package outbound sends what somebody asks to send: message.send_requested goes out through the channel of its thread, and what
// becomes of it is an event, too. Each attempt is noted in the store before its first byte goes out, so that nothing is sent twice
// silently: what may have been sent is told as unknown and left alone, unless the provider takes each request once only.
//
// Requests are taken out of the log into a pending set in the store, and each inbox is worked off by itself: a provider that
// hangs holds up nobody else's messages. Messages of a thread keep their order.
package outbound

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Namespace is where requests and attempts are noted. It is no read model: that something may have been sent, the log does not tell.
var Namespace = kv.Namespace{Slice: "outbound"} //nolint:gochecknoglobals // a constant

// group is the consumer group of all processes that take requests in.
const group = "skein.outbound"

// Groups shares partitions among processes, and keeps how far they have come.
type Groups interface {
	eventlog.Groups
	// Committed tells how far a group has come in each of its topic's partitions, where it has.
	Committed(ctx context.Context, group, topic string, partitions int) (map[int32]int64, error)
}

// Blobs holds attachments, and contents that are too large for the log.
type Blobs interface {
	// Get reads a whole blob and checks its hash.
	Get(ctx context.Context, ref *eventv1.Blob) ([]byte, error)
}

// Submitter takes events in; channel.Host describes it.
type Submitter interface {
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error)
}

// Patient is what a sender also is whose provider may take longer to answer than others do: giving it up early would make what was sent unknown.
type Patient interface {
	// AttemptTime is how long one attempt may take.
	AttemptTime() time.Duration
}

// Inbox is one of the company's accounts. Requests of inboxes that are not named are somebody else's.
type Inbox struct {
	Tenant, ID string
	// Sender sends its messages. Without one, and where it is not Remote, requests fail as "cannot_send".
	Sender channel.Sender
	// Remote leaves its messages to a connector, which takes and reports them over gRPC.
	Remote bool
}

// Config is what a Service works with. Log, Store, Host and Blobs must be set.
type Config struct {
	Log   eventlog.Log
	Store kv.Store
	Host  Submitter
	Blobs Blobs
	// Groups shares the partitions among processes. Without it this process takes all of them in.
	Groups Groups
	// Threads tells senders when a customer last wrote. May be nil: then they do not know.
	Threads Threads
	// Inboxes are those that can send, and those of which requests are to be refused.
	Inboxes []Inbox
	// MaxAge is how old a request may become until it fails. 1 h unless set.
	MaxAge time.Duration
	// Timeout is how long one attempt may take, unless its sender is Patient and says more. 30 s unless set.
	Timeout time.Duration
	// FirstRetry and LastRetry are how long to wait after the first attempt that was certainly not sent, and at most, while the
	// pause doubles, a little more or less each time. 1 s and 5 min unless set.
	FirstRetry, LastRetry time.Duration
	// Concurrency is how many threads of one inbox are worked on at a time. 8 unless set.
	Concurrency int
	// Recheck is how often to look for what other processes have done. 1 s unless set.
	Recheck time.Duration
	// Drain is how long attempts under way may go on after Run's context has ended. 10 s unless set; negative for not at all.
	Drain time.Duration
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
		{&c.MaxAge, time.Hour},
		{&c.Timeout, 30 * time.Second},
		{&c.FirstRetry, time.Second},
		{&c.LastRetry, 5 * time.Minute},
		{&c.Recheck, time.Second},
		{&c.Drain, 10 * time.Second},
	} {
		if *d.set == 0 {
			*d.set = d.unit
		}
	}
	if c.Concurrency == 0 {
		c.Concurrency = 8
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// claimMargin is how much longer than its time an attempt has, before another process takes it for interrupted: to note its
// outcome, and for clocks that differ.
const claimMargin = 30 * time.Second

type inboxKey struct{ tenant, id string }

// Service sends. Its methods are safe for concurrent use.
type Service struct {
	cfg     Config
	state   *state
	owner   string // names this process in claims
	workers map[inboxKey]*worker

	begins   map[int32]beginning // of each partition
	backlog  *pubsub.Backlog     // the log as it was when this process began
	stopping chan struct{}       // closed when Run ends
	stop     func()              // closes it

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when something came in
}

// New checks the inboxes, and notes where each partition of the log begins for this store, where it is new. Run sends.
func New(ctx context.Context, cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	stopping := make(chan struct{})
	s := &Service{
		cfg: cfg, state: &state{pubsub.Places{Store: cfg.Store, Namespace: Namespace}, cfg.Store}, owner: rand.Text(), workers: make(map[inboxKey]*worker, len(cfg.Inboxes)),
		changed: make(chan struct{}), begins: map[int32]beginning{},
		stopping: stopping, stop: sync.OnceFunc(func() { close(stopping) }),
	}
	for _, in := range cfg.Inboxes {
		key := inboxKey{in.Tenant, in.ID}
		if _, again := s.workers[key]; again {
			return nil, fmt.Errorf("outbound: the inbox %q of tenant %q stands twice", in.ID, in.Tenant)
		}
		if in.Remote && in.Sender != nil {
			return nil, fmt.Errorf("outbound: the inbox %q of tenant %q has a sender and is a connector's, too", in.ID, in.Tenant)
		}
		s.workers[key] = newWorker(s, in)
	}
	if err := s.place(ctx); err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	return s, nil
}

// place notes where each partition begins, and where it ends now: what the log holds already is looked through for outcomes before
// anything is sent. If the store is new, or behind, and the group has been further, the store was lost or put back from a backup,
// and with it what was attempted: requests of before that have no outcome may have been sent.
func (s *Service) place(ctx context.Context) error {
	n, err := s.cfg.Log.Partitions(ctx, event.TopicInteractions)
	if err != nil {
		return err
	}
	if s.backlog, err = pubsub.NewBacklog(ctx, s.cfg.Log, event.TopicInteractions, s.state); err != nil {
		return err
	}
	var committed map[int32]int64
	if s.cfg.Groups != nil {
		if committed, err = s.cfg.Groups.Committed(ctx, group, event.TopicInteractions, n); err != nil {
			return err
		}
	}
	for p := range int32(n) {
		b, err := s.state.beginning(ctx, p)
		if err != nil {
			return err
		}
		next, _, err := s.state.Load(ctx, event.TopicInteractions, p)
		if err != nil {
			return err
		}
		end := s.backlog.End(p)
		behind := committed[p] > max(next, 0) // a place is in the store before the group commits it
		if b == nil || behind {
			if b, err = s.state.begin(ctx, p, b, &beginning{End: end, Lost: behind || len(committed) > 0}); err != nil {
				return err
			}
		}
		s.begins[p] = *b
	}
	return nil
}

// maybe tells whether a request may have been sent.
func (s *Service) maybe(r *row) bool {
	b := s.begins[r.Partition]
	return r.Maybe || b.Lost && r.Offset < b.End
}

// Run sends until ctx ends, and then returns nil.
func (s *Service) Run(ctx context.Context) error {
	defer s.stop()
	var parts sync.WaitGroup
	for _, w := range s.workers {
		parts.Go(func() { w.run(ctx) })
	}
	for ctx.Err() == nil {
		if err := s.takeAll(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "requests to send are not taken in, trying again", "error", err)
			sleep(ctx, s.cfg.Recheck)
		}
	}
	parts.Wait()
	return nil
}

// takeAll takes in what the log holds and what comes, until ctx ends.
func (s *Service) takeAll(ctx context.Context) error {
	cfg := pubsub.Config{Log: s.cfg.Log, Offsets: s.state, Want: s.wanted, LastPause: 5 * time.Second, Logger: s.cfg.Logger}
	if s.cfg.Groups != nil {
		cfg.Group, cfg.Groups = group, s.cfg.Groups
	}
	return pubsub.Handle(ctx, cfg, "outbound", event.TopicInteractions, s.take)
}

// wanted tells whether a record is a request, an outcome or a receipt. What is no event is in the dead letters already: the read model met it.
func (s *Service) wanted(r eventlog.Record) bool {
	e, err := event.Decode(r.Value)
	if err != nil || e.GetBackfill() {
		return false
	}
	if _, ours := s.workers[inboxKey{e.GetTenant(), e.GetInbox()}]; !ours {
		return false
	}
	return e.GetType() == event.TypeMessageSendRequested || isOutcome(e) || isReceipt(e)
}

// isOutcome tells whether an event may tell what became of a request.
func isOutcome(e *eventv1.Event) bool {
	switch e.GetType() {
	case event.TypeMessageSent, event.TypeMessageFailed, typeSettled:
		return e.GetCausationId() != ""
	}
	return false
}

// isReceipt tells whether an event shows that a request was sent, without telling it.
func isReceipt(e *eventv1.Event) bool {
	switch e.GetType() {
	case event.TypeMessageDelivered, event.TypeMessageRead:
		return e.GetCausationId() != ""
	}
	return false
}

// take notes a request, or what became of one.
func (s *Service) take(ctx context.Context, r eventlog.Record) error {
	e, err := event.Decode(r.Value)
	if err != nil {
		return nil //nolint:nilerr // wanted has seen to that
	}
	if isOutcome(e) {
		return s.learn(ctx, e)
	}
	if isReceipt(e) {
		return s.conclude(ctx, e)
	}
	id, err := event.ParseID(e.GetId())
	if err != nil {
		return nil //nolint:nilerr // Decode has seen to that
	}
	added, err := s.state.add(ctx, e.GetTenant(), id, &row{
		Inbox: e.GetInbox(), Thread: e.GetThreadId(), Partition: r.Partition, Offset: r.Offset,
		Requested: e.GetReceivedAt().AsTime(), State: stateWaiting,
	})
	if err != nil {
		return fmt.Errorf("outbound: note the request %s: %w", e.GetId(), err)
	}
	if added {
		s.tell(inboxKey{e.GetTenant(), e.GetInbox()})
	}
	return nil
}

// learn notes an outcome that stands in the log, whoever wrote it.
func (s *Service) learn(ctx context.Context, e *eventv1.Event) error {
	id, err := event.ParseID(e.GetCausationId())
	if err != nil {
		return nil //nolint:nilerr // Decode has seen to that
	}
	o := outcome{state: stateSent}
	content, err := event.DecodeContent(e)
	if err != nil {
		content = &eventv1.Content{} // that there is an outcome is enough
	}
	switch f := content.GetMessageFailed(); {
	case e.GetType() == event.TypeMessageSent:
		o.native = content.GetNativeId()
	case e.GetType() == event.TypeMessageFailed && f.GetUnknown():
		o = outcome{state: stateUnknown, code: f.GetCode(), reason: f.GetReason()}
	case e.GetType() == event.TypeMessageFailed:
		o = outcome{state: stateFailed, code: f.GetCode(), reason: f.GetReason()}
	}
	if err := s.state.settle(ctx, e.GetTenant(), id, o); err != nil {
		return fmt.Errorf("outbound: note what became of %s: %w", e.GetCausationId(), err)
	}
	s.tell(inboxKey{e.GetTenant(), e.GetInbox()})
	return nil
}

// conclude tells of a request that it was sent, where the provider's answer was lost, or is slower than what the provider tells of the message. It
// is the event that the answer would have given. A connector reports for itself.
func (s *Service) conclude(ctx context.Context, e *eventv1.Event) error {
	id, err := event.ParseID(e.GetCausationId())
	if err != nil {
		return nil //nolint:nilerr // Decode has seen to that
	}
	content, err := event.DecodeContent(e)
	if err != nil {
		return nil //nolint:nilerr // sealed: it does not say which message it is
	}
	native := content.GetMessageDelivered().GetMessage()
	if e.GetType() == event.TypeMessageRead {
		native = content.GetMessageRead().GetMessage()
	}
	w := s.workers[inboxKey{e.GetTenant(), e.GetInbox()}]
	if native == "" || w.Sender == nil {
		return nil
	}
	r, err := s.state.row(ctx, e.GetTenant(), id)
	if err != nil {
		return fmt.Errorf("outbound: look for the request %s: %w", id, err)
	}
	if r == nil || r.State == stateSent || r.State == stateFailed || r.State == stateDecided && r.Becomes == stateSent {
		return nil // it is nobody's, or told
	}
	q, err := s.load(ctx, id, r)
	if errors.Is(err, event.ErrSealed) {
		return nil // no event can tell of it
	}
	if err != nil {
		return fmt.Errorf("outbound: %w", err)
	}
	if _, err := s.cfg.Host.Submit(ctx, e.GetTenant(), q.sent(native, time.Time{})); err != nil {
		if _, wrong := errors.AsType[*event.InvalidError](err); wrong {
			s.cfg.Logger.ErrorContext(ctx, "that a message was sent is no event", "request", id, "error", err)
			return nil
		}
		return fmt.Errorf("outbound: tell that %s was sent: %w", id, err)
	}
	if err := s.state.settle(ctx, e.GetTenant(), id, outcome{state: stateSent, native: event.Clip(native, maxNative)}); err != nil {
		return fmt.Errorf("outbound: note that %s was sent: %w", id, err)
	}
	s.tell(inboxKey{e.GetTenant(), e.GetInbox()})
	return nil
}

// tell wakes who waits for something new in an inbox.
func (s *Service) tell(inbox inboxKey) {
	if w := s.workers[inbox]; w != nil {
		w.wake()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Service) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// sleep waits; it returns false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
