package timers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/pubsub"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Namespace is where it stands how far the log was looked at for policies. It is no read model, but can be lost: then the log is gone
// through again, and what was told already is not told again.
var Namespace = kv.Namespace{Slice: "policies"} //nolint:gochecknoglobals // a constant

// group is the consumer group of all processes that set policies.
const group = "skein.policies"

// Interactions is the read model of interactions, the generation that serves, as far as policies need it. It is safe for concurrent use.
type Interactions interface {
	// Await returns once a record was applied. It waits out a store that is unavailable. Where that takes long, its context ends and it is
	// called again, since another generation may serve by then.
	Await(ctx context.Context, at eventlog.Position) error
	// Find gives an interaction by any id that it ever had; nil where there is none.
	Find(ctx context.Context, tenant string, id event.ID) (*conversationv1.Interaction, error)
	// At gives the interaction of a thread to which an event of a moment belongs; nil where there is none.
	At(ctx context.Context, tenant string, thread event.ID, at time.Time) (*conversationv1.Interaction, error)
}

// WorkerConfig is what a Worker works with. Log, Store, Interactions and Host must be set.
type WorkerConfig struct {
	Log          eventlog.Log
	Store        kv.Store
	Interactions Interactions
	Host         channel.Host
	// Policies may be nil: then the defaults hold.
	Policies *Policies
	// Targets are what queues promise where policies do not. With them, tenants that have neither policies nor a queue with targets get no
	// policies at all. May be nil: then every tenant gets policies, be they the defaults.
	Targets Targets
	// Groups shares the partitions among processes. Without it this process takes all of them in.
	Groups eventlog.Groups
	// Metrics may be nil.
	Metrics *Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Worker follows the log and sets the policies of interactions: where an event began something for which a window or a target holds, it
// publishes interaction.policy_set in the event's thread. It is safe for concurrent use.
type Worker struct {
	cfg    WorkerConfig
	places pubsub.Places
	// backlog is the log as it was when this process began. What of it is old is not looked at before all of it is in the read model:
	// what was settled long ago gets no policy on the way.
	backlog *pubsub.Backlog

	mu      sync.Mutex
	applied map[int32]int64      // offset of each partition up to which the read model is known to have come
	told    map[threadKey]record // what was published, until the read model is known to have it
	mute    map[threadKey]bool   // threads of which it was logged that nothing can be published in them
}

type threadKey struct{ tenant, thread string }

type record struct {
	partition int32
	offset    int64
}

// turn is how long one generation of the read model is waited for before it is asked again which one serves.
const turn = 5 * time.Second

// maxMute bounds how many threads are remembered, of which it was logged that nothing can be published in them.
const maxMute = 10_000

// NewWorker looks where the log ends. Run sets policies.
func NewWorker(ctx context.Context, cfg WorkerConfig) (*Worker, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Worker{
		cfg: cfg, places: pubsub.Places{Store: cfg.Store, Namespace: Namespace},
		applied: map[int32]int64{}, told: map[threadKey]record{}, mute: map[threadKey]bool{},
	}
	var err error
	if w.backlog, err = pubsub.NewBacklog(ctx, cfg.Log, event.TopicInteractions, w.places); err != nil {
		return nil, fmt.Errorf("timers: %w", err)
	}
	return w, nil
}

// Run sets policies until ctx ends, and then returns nil. What fails is tried again.
func (w *Worker) Run(ctx context.Context) error {
	cfg := pubsub.Config{Log: w.cfg.Log, Offsets: w.places, Want: wanted, LastPause: 5 * time.Second, Logger: w.cfg.Logger}
	if w.cfg.Groups != nil {
		cfg.Group, cfg.Groups = group, w.cfg.Groups
	}
	for ctx.Err() == nil {
		if err := pubsub.Handle(ctx, cfg, "policies", event.TopicInteractions, w.take); err != nil && ctx.Err() == nil {
			w.cfg.Logger.WarnContext(ctx, "no policies are set, trying again", "error", err)
			sleep(ctx, time.Second)
		}
	}
	return nil
}

// wanted tells whether a record may begin something for which there can be a policy. What is no event is in the dead letters already: a
// read model met it.
func wanted(r eventlog.Record) bool {
	parts, err := event.Split(r.Value)
	return err == nil && begins[parts.Type]
}

// begins are the events that open or reopen an interaction, hand it over, or change what policies go by.
var begins = map[string]bool{ //nolint:gochecknoglobals // read only
	event.TypeInteractionStarted: true, event.TypeInteractionReopened: true, event.TypeInteractionStatusChanged: true,
	event.TypeInteractionAttributesUpdated: true,
	event.TypeCallDialed:                   true, event.TypeCallAnswered: true, event.TypeCallFailed: true, event.TypeVoicemailLeft: true,
	event.TypeBotStarted: true, event.TypeBotHandedOff: true, event.TypeBotEnded: true, event.TypeFormSubmitted: true,
	event.TypeQueueEntered: true, event.TypeTransferCompleted: true, event.TypeCallbackRequested: true,
	event.TypeAssignmentOffered: true, event.TypeAssignmentAccepted: true, event.TypeAssignmentConnected: true,
	event.TypeMessageReceived: true, event.TypeMessageSendRequested: true, event.TypeMessageSent: true,
}

// take sets the policy of the interaction of an event, where that is missing.
func (w *Worker) take(ctx context.Context, r eventlog.Record) error {
	e, err := event.Decode(r.Value)
	if err != nil || e.GetBackfill() {
		return nil //nolint:nilerr // it is in the dead letters
	}
	if idle, err := w.idle(ctx, e.GetTenant()); idle || err != nil {
		return err
	}
	key := threadKey{e.GetTenant(), e.GetThreadId()}
	if err := w.await(ctx, r.Position, key); err != nil {
		return err
	}
	it, err := w.interaction(ctx, e)
	if err != nil {
		return fmt.Errorf("timers: the interaction of %s: %w", e.GetId(), err)
	}
	if it == nil || it.GetBackfill() || settled(it) {
		return nil
	}
	p, err := w.policy(ctx, e.GetTenant(), it)
	if err != nil {
		return err
	}
	set := p.missing(it, e.GetOccurredAt().AsTime())
	if set == nil {
		return nil
	}
	if it.GetNativeThread() == "" {
		w.silent(ctx, key, errors.New("the contents of its interaction are sealed"))
		return nil
	}
	acks, err := w.cfg.Host.Submit(ctx, e.GetTenant(), policySet(e, it, set))
	if _, invalid := errors.AsType[*event.InvalidError](err); invalid {
		w.silent(ctx, key, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("timers: set the policy of %s: %w", it.GetId(), err)
	}
	w.cfg.Metrics.policySet(e.GetTenant(), set.GetPolicy())
	w.tell(key, acks[0].Position)
	return nil
}

// idle tells whether there is nothing to do for a tenant.
func (w *Worker) idle(ctx context.Context, tenant string) (bool, error) {
	if w.cfg.Targets == nil || w.cfg.Policies.has(tenant) {
		return false, nil
	}
	promised, err := w.cfg.Targets.Any(ctx, tenant)
	return !promised, err
}

// interaction gives the interaction that an event belongs to, nil where there is none.
func (w *Worker) interaction(ctx context.Context, e *eventv1.Event) (*conversationv1.Interaction, error) {
	if id, err := event.ParseID(e.GetInteractionId()); err == nil {
		return w.cfg.Interactions.Find(ctx, e.GetTenant(), id)
	}
	thread, err := event.ParseID(e.GetThreadId())
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // Decode has seen to that; it has none
	}
	return w.cfg.Interactions.At(ctx, e.GetTenant(), thread, e.GetOccurredAt().AsTime())
}

// settled tells whether an interaction's matter is settled or nobody's any more.
func settled(it *conversationv1.Interaction) bool {
	return it.GetStatus() == conversationv1.WorkStatus_WORK_STATUS_RESOLVED || it.GetStatus() == conversationv1.WorkStatus_WORK_STATUS_CLOSED
}

// policySet is the event of a policy. It has occurred with what caused it, but not before what its clocks count from; and none of them is
// due before it: a target that was missed by then, because another policy holds now, is missed from then on.
func policySet(e *eventv1.Event, it *conversationv1.Interaction, set *eventv1.InteractionPolicySet) *eventv1.Submission {
	at := e.GetOccurredAt().AsTime()
	for _, clock := range set.GetClocks() {
		at = later(at, clock.GetSince().AsTime())
	}
	for _, clock := range set.GetClocks() {
		clock.DueAt = timestamppb.New(later(at, clock.GetDueAt().AsTime()))
	}
	set.InteractionId = it.GetId()
	s := inThread(it)
	s.Type, s.OccurredAt, s.CausationId, s.NativeId = event.TypeInteractionPolicySet, timestamppb.New(at), e.GetId(), "policy:"+e.GetId()
	s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionPolicySet{InteractionPolicySet: set}}
	return s
}

// await returns once the read model has applied an event, everything that the log held when this process began, and what was published
// in the event's thread.
func (w *Worker) await(ctx context.Context, at eventlog.Position, key threadKey) error {
	w.mu.Lock()
	at.Offset = max(at.Offset, w.backlog.End(at.Partition)-1)
	if told, ok := w.told[key]; ok {
		at.Offset = max(at.Offset, told.offset)
	}
	known := w.applied[at.Partition] > at.Offset
	w.mu.Unlock()
	for !known {
		asked, cancel := context.WithTimeout(ctx, turn)
		err := w.cfg.Interactions.Await(asked, at)
		known = err == nil
		again := ctx.Err() == nil && asked.Err() != nil
		cancel()
		if err != nil && !again {
			return fmt.Errorf("timers: wait for the read model: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applied[at.Partition] = max(w.applied[at.Partition], at.Offset+1)
	for key, told := range w.told { // few: what was published behind the event
		if told.partition == at.Partition && told.offset <= at.Offset {
			delete(w.told, key)
		}
	}
	return nil
}

// tell notes that something was published in a thread, so that its next event is looked at when the read model has that.
func (w *Worker) tell(key threadKey, at eventlog.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[key] = record{at.Partition, at.Offset}
}

// silent logs once that nothing can be published in a thread.
func (w *Worker) silent(ctx context.Context, key threadKey, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute[key] {
		return
	}
	if len(w.mute) >= maxMute {
		clear(w.mute)
	}
	w.mute[key] = true
	w.cfg.Logger.ErrorContext(ctx, "no policy can be set", "tenant", key.tenant, "thread", key.thread, "error", err)
}
