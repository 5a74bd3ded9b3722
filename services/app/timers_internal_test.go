package app

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/timers"
)

// These tests run the clock, the policies and the fold of interactions together, each as a process of its own over one log and one
// store, and by a clock that the test sets.

// nine is when the tests begin: a Monday.
var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// clocked is a world with a clock that stands until the test moves it.
type clocked struct {
	t        *testing.T
	log      eventlog.Log
	store    kv.Store
	keyring  *event.Keyring
	host     *intake.Intake
	model    timed
	policies *timers.Policies
	clock    atomic.Int64
	sent     int
}

func newClocked(t *testing.T, policies ...timers.Policy) *clocked {
	t.Helper()
	for i := range policies {
		policies[i].Tenant = "acme"
	}
	w := &clocked{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New()}
	w.at(0)
	for _, topic := range []string{event.TopicInteractions, event.TopicDead} {
		w.must(w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: 1}))
	}
	var err error
	w.keyring, err = event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	w.must(err)
	compiler, err := event.NewCompiler(w.keyring)
	w.must(err)
	w.host = intake.New(intake.Config{Compiler: compiler, Keyring: w.keyring, Log: w.log, Now: w.now})
	progress := &projection.Progress{}
	w.model = timed{interactions{w.store, progress, conversation.NewInteractions(w.store, 1, progress)}}
	w.policies, err = timers.NewPolicies(timers.Settings{Policies: policies})
	w.must(err)
	return w
}

func (w *clocked) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *clocked) now() time.Time { return time.Unix(0, w.clock.Load()) }

// at sets the clock.
func (w *clocked) at(sinceNine time.Duration) { w.clock.Store(nine.Add(sinceNine).UnixNano()) }

// process runs until it is stopped, or the test ends.
func (w *clocked) process(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *clocked) startFold() (stop func()) {
	r, err := projection.NewRunner(w.t.Context(), projection.Config{
		Log: w.log, Store: w.store, Namespace: kv.Namespace{Slice: conversation.Slice, Generation: 1}, Topic: event.TopicInteractions,
		Fold: conversation.NewFold(1, w.keyring), Progress: w.model.progress,
	})
	w.must(err)
	return w.process(func(ctx context.Context) error { defer r.Close(); return r.Run(ctx) })
}

func (w *clocked) startPolicies() (stop func()) {
	p, err := timers.NewWorker(w.t.Context(), timers.WorkerConfig{Log: w.log, Store: w.store, Interactions: w.model, Host: w.host, Policies: w.policies})
	w.must(err)
	return w.process(p.Run)
}

func (w *clocked) startTimers() (stop func()) {
	return w.process(timers.New(timers.Config{Armed: w.model, Host: w.host, Every: time.Millisecond, Now: w.now}).Run)
}

func (w *clocked) startAll() (stop func()) {
	stops := []func(){w.startFold(), w.startPolicies(), w.startTimers()}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// says hands in what somebody does in a thread, as of a time since nine, and gives the thread's id.
func (w *clocked) says(thread string, sinceNine time.Duration, s *eventv1.Submission) event.ID {
	w.t.Helper()
	w.sent++
	s.OccurredAt, s.Provider, s.Inbox, s.Thread, s.NativeId = timestamppb.New(nine.Add(sinceNine)), "webchat", "web", thread, fmt.Sprint(w.sent)
	if s.GetChannel() == 0 {
		s.Channel = eventv1.Channel_CHANNEL_WEB_CHAT
	}
	s.Parties = []*eventv1.SubmittedParty{{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: "v" + thread},
		Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
	}}
	acks, err := w.host.Submit(w.t.Context(), "acme", s)
	w.must(err)
	id, err := event.ParseID(acks[0].ThreadID)
	w.must(err)
	return id
}

func customerWrites() *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Direction: eventv1.Direction_DIRECTION_INBOUND, Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello?"}}},
	}
}

func byAgent(s *eventv1.Submission) *eventv1.Submission {
	s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "ada"}
	return s
}

func agentWrites() *eventv1.Submission {
	return byAgent(&eventv1.Submission{
		Type: event.TypeMessageSent, Direction: eventv1.Direction_DIRECTION_OUTBOUND,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "Hello."}}},
	})
}

func agentResolves() *eventv1.Submission {
	return byAgent(&eventv1.Submission{
		Type: event.TypeInteractionResolved, Content: &eventv1.Content{Body: &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{
			ReopenWindow: durationpb.New(24 * time.Hour),
		}}},
	})
}

func agentSnoozes(until time.Time) *eventv1.Submission {
	return byAgent(&eventv1.Submission{
		Type: event.TypeInteractionStatusChanged,
		Content: &eventv1.Content{Body: &eventv1.Content_InteractionStatusChanged{InteractionStatusChanged: &eventv1.InteractionStatusChanged{
			Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, SnoozedUntil: timestamppb.New(until),
		}}},
	})
}

func becomes(priority int32) *eventv1.Submission {
	return byAgent(&eventv1.Submission{
		Type:    event.TypeInteractionAttributesUpdated,
		Content: &eventv1.Content{Body: &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{Priority: priority}}},
	})
}

// until waits until the interactions of a thread are as the test wants them, and gives them.
func (w *clocked) until(thread event.ID, what string, as func([]*conversationv1.Interaction) bool) []*conversationv1.Interaction {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	for {
		changed := w.model.progress.Changed()
		all, err := viewed(ctx, w.model.read, func(v *conversation.View) ([]*conversationv1.Interaction, error) {
			return v.Thread(ctx, "acme", thread)
		})
		w.must(err)
		if as(all) {
			return all
		}
		select {
		case <-changed:
		case <-ctx.Done():
			w.t.Fatalf("%s: there are %v", what, all)
		}
	}
}

// one waits until a thread has a single interaction that is as the test wants it.
func (w *clocked) one(thread event.ID, what string, as func(*conversationv1.Interaction) bool) *conversationv1.Interaction {
	w.t.Helper()
	return w.until(thread, what, func(all []*conversationv1.Interaction) bool { return len(all) == 1 && as(all[0]) })[0]
}

func hasPolicy(it *conversationv1.Interaction) bool { return it.GetPolicy() != "" }

const (
	firstResponse = eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE
	nextResponse  = eventv1.SlaMetric_SLA_METRIC_NEXT_RESPONSE
	resolution    = eventv1.SlaMetric_SLA_METRIC_RESOLUTION

	active = conversationv1.SlaState_SLA_STATE_ACTIVE
	hit    = conversationv1.SlaState_SLA_STATE_HIT
	missed = conversationv1.SlaState_SLA_STATE_MISSED
)

// targetIs tells whether what an interaction's last target of a metric has come to is so.
func targetIs(metric eventv1.SlaMetric, state conversationv1.SlaState) func(*conversationv1.Interaction) bool {
	return func(it *conversationv1.Interaction) bool { return lastTarget(it, metric).GetState() == state }
}

func lastTarget(it *conversationv1.Interaction, metric eventv1.SlaMetric) (last *conversationv1.Sla) {
	for _, sla := range it.GetSlas() {
		if sla.GetMetric() == metric {
			last = sla
		}
	}
	return last
}

func isOver(it *conversationv1.Interaction) bool {
	return it.GetStatus() == conversationv1.WorkStatus_WORK_STATUS_CLOSED && it.GetState() == conversationv1.InteractionState_INTERACTION_STATE_ENDED
}

// fired are the timers that stand in the log, in its order, resends included.
func (w *clocked) fired() []*eventv1.Event {
	w.t.Helper()
	_, end, err := w.log.Bounds(w.t.Context(), event.TopicInteractions, 0)
	w.must(err)
	return w.readFired(func(next int64, _ int) bool { return next >= end })
}

// awaitFired waits until so many stand there.
func (w *clocked) awaitFired(n int) []*eventv1.Event {
	w.t.Helper()
	return w.readFired(func(_ int64, found int) bool { return found >= n })
}

func (w *clocked) readFired(enough func(next int64, found int) bool) (events []*eventv1.Event) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	reader, err := w.log.Open(ctx, event.TopicInteractions, 0, 0)
	w.must(err)
	defer reader.Close()
	for next := int64(0); !enough(next, len(events)); {
		records, err := reader.Read(ctx, 1)
		w.must(err)
		next = records[0].Offset + 1
		e, err := event.Decode(records[0].Value)
		w.must(err)
		if e.GetType() == event.TypeTimerFired {
			events = append(events, e)
		}
	}
	return events
}

func TestATargetThatNobodyKeepsIsMissedWhenItIsDue(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute})
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	it := w.one(thread, "a target", targetIs(firstResponse, active))
	if sla := lastTarget(it, firstResponse); it.GetPolicy() != "chat" || !sla.GetSince().AsTime().Equal(nine) || !sla.GetDueAt().AsTime().Equal(nine.Add(5*time.Minute)) ||
		sla.GetTarget().AsDuration() != 5*time.Minute {
		t.Errorf("it counts as %v", sla)
	}
	w.at(5 * time.Minute)
	w.one(thread, "a breach", targetIs(firstResponse, missed))
	w.at(7 * time.Minute)
	w.says("t", 7*time.Minute, agentWrites())
	w.one(thread, "a late reply", func(it *conversationv1.Interaction) bool {
		sla := lastTarget(it, firstResponse)
		return sla.GetState() == missed && sla.GetDoneAt().AsTime().Equal(nine.Add(7*time.Minute)) && it.GetWaitingSince() == nil
	})
}

func TestAReplyJustInTimeKeepsItsTarget(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, Resolution: 8 * time.Minute})
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "targets", targetIs(firstResponse, active))
	w.at(5*time.Minute - time.Nanosecond)
	w.says("t", 5*time.Minute-time.Nanosecond, agentWrites())
	w.one(thread, "a reply", targetIs(firstResponse, hit))
	w.at(8 * time.Minute)
	it := w.one(thread, "the other target", targetIs(resolution, missed))
	if !targetIs(firstResponse, hit)(it) {
		t.Errorf("the target is %v", lastTarget(it, firstResponse))
	}
}

func TestEachLaterQuestionHasATargetOfItsOwn(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, NextResponse: 10 * time.Minute, IdleTimeout: -1})
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a target", targetIs(firstResponse, active))
	w.at(time.Minute)
	w.says("t", time.Minute, agentWrites())
	w.one(thread, "a reply", targetIs(firstResponse, hit))
	for i, keeps := range []bool{true, false} {
		asked := time.Duration(i+1) * time.Hour
		w.at(asked)
		w.says("t", asked, customerWrites())
		it := w.one(thread, "a question", targetIs(nextResponse, active))
		if due := lastTarget(it, nextResponse).GetDueAt().AsTime(); !due.Equal(nine.Add(asked + 10*time.Minute)) {
			t.Errorf("due at %v", due)
		}
		if keeps {
			w.at(asked + time.Minute)
			w.says("t", asked+time.Minute, agentWrites())
			w.one(thread, "an answer", targetIs(nextResponse, hit))
		} else {
			w.at(asked + 10*time.Minute)
			w.one(thread, "a breach", targetIs(nextResponse, missed))
		}
	}
}

func TestASnoozedInteractionComesBack(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", IdleTimeout: -1})
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a policy", hasPolicy)
	w.at(time.Minute)
	w.says("t", time.Minute, agentSnoozes(nine.Add(time.Hour)))
	status := func(s conversationv1.WorkStatus) func(*conversationv1.Interaction) bool {
		return func(it *conversationv1.Interaction) bool { return it.GetStatus() == s }
	}
	w.one(thread, "a snooze", status(conversationv1.WorkStatus_WORK_STATUS_SNOOZED))
	w.at(time.Hour)
	w.one(thread, "its end", status(conversationv1.WorkStatus_WORK_STATUS_OPEN))
}

func TestAMessageReopensWithinTheWindowAndOpensAnotherOneAfterIt(t *testing.T) {
	w := newClocked(t)
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a policy", hasPolicy)
	w.at(30 * time.Minute)
	over := w.one(thread, "the end by idleness", isOver)
	if !over.GetEndedAt().AsTime().Equal(nine.Add(30*time.Minute)) || !over.GetReopenUntil().AsTime().Equal(nine.Add(24*time.Hour+30*time.Minute)) {
		t.Errorf("over as %v", over)
	}
	w.at(24 * time.Hour)
	w.says("t", 24*time.Hour, customerWrites())
	w.one(thread, "the reopening", func(it *conversationv1.Interaction) bool { return it.GetReopened() == 1 && !isOver(it) })
	w.at(25 * time.Hour)
	w.one(thread, "the second end", isOver)
	w.at(50 * time.Hour)
	w.says("t", 50*time.Hour, customerWrites())
	all := w.until(thread, "another interaction with a policy", func(all []*conversationv1.Interaction) bool { return len(all) == 2 && hasPolicy(all[1]) })
	if all[0].GetId() != over.GetId() || all[1].GetId() == over.GetId() || !isOver(all[0]) {
		t.Errorf("%v", all)
	}
	w.at(51 * time.Hour)
	w.until(thread, "its end", func(all []*conversationv1.Interaction) bool { return len(all) == 2 && isOver(all[1]) })
}

func TestAResolutionCountsAnewFromAReopening(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "mail", Resolution: time.Hour, IdleTimeout: -1})
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a target", targetIs(resolution, active))
	w.at(10 * time.Minute)
	w.says("t", 10*time.Minute, agentResolves())
	w.one(thread, "the resolution", targetIs(resolution, hit))
	w.at(2 * time.Hour)
	w.says("t", 2*time.Hour, customerWrites())
	it := w.one(thread, "the reopening", targetIs(resolution, active))
	if due := lastTarget(it, resolution).GetDueAt().AsTime(); !due.Equal(nine.Add(3 * time.Hour)) {
		t.Errorf("due at %v", due)
	}
	w.at(3 * time.Hour)
	w.one(thread, "a breach", targetIs(resolution, missed))
}

func TestABotsHandOverBeginsTheFirstResponse(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, Resolution: time.Hour, IdleTimeout: -1})
	w.startAll()
	bot := &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_BOT, Id: "faq"}
	thread := w.says("t", 0, &eventv1.Submission{Type: event.TypeBotStarted, Actor: bot, Content: &eventv1.Content{Body: &eventv1.Content_BotStarted{BotStarted: &eventv1.BotStarted{}}}})
	it := w.one(thread, "a target", targetIs(resolution, active))
	if lastTarget(it, firstResponse) != nil {
		t.Errorf("while the bot is at it, a person's reply is waited for: %v", it.GetSlas())
	}
	w.at(30 * time.Minute)
	w.says("t", 30*time.Minute, &eventv1.Submission{Type: event.TypeBotHandedOff, Actor: bot, Content: &eventv1.Content{Body: &eventv1.Content_BotHandedOff{BotHandedOff: &eventv1.BotHandedOff{}}}})
	it = w.one(thread, "another target", targetIs(firstResponse, active))
	if due := lastTarget(it, firstResponse).GetDueAt().AsTime(); !due.Equal(nine.Add(35 * time.Minute)) {
		t.Errorf("due at %v", due)
	}
	w.at(35 * time.Minute)
	w.one(thread, "a breach", targetIs(firstResponse, missed))
}

func TestAPriorityBringsAnotherPolicyAndAnotherDueTime(t *testing.T) {
	w := newClocked(t,
		timers.Policy{Name: "urgent", Priorities: []int32{1}, FirstResponse: 10 * time.Minute},
		timers.Policy{Name: "usual", FirstResponse: time.Hour, IdleTimeout: -1},
	)
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a target", targetIs(firstResponse, active))
	w.at(time.Minute)
	w.says("t", time.Minute, becomes(1))
	w.one(thread, "the other policy", func(it *conversationv1.Interaction) bool {
		return it.GetPolicy() == "urgent" && it.GetIdleTimeout().AsDuration() == 30*time.Minute && lastTarget(it, firstResponse).GetDueAt().AsTime().Equal(nine.Add(10*time.Minute))
	})
	w.at(10 * time.Minute)
	it := w.one(thread, "a breach", targetIs(firstResponse, missed))
	for _, sla := range it.GetSlas() {
		if sla.GetState() == active {
			t.Errorf("the first target still counts: %v", it.GetSlas())
		}
	}
}

func TestATargetThatAnotherPolicyFindsMissedIsMissedFromThenOn(t *testing.T) {
	w := newClocked(t,
		timers.Policy{Name: "urgent", Priorities: []int32{1}, FirstResponse: 10 * time.Minute},
		timers.Policy{Name: "usual", FirstResponse: time.Hour, IdleTimeout: -1},
	)
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a target", targetIs(firstResponse, active))
	w.at(25 * time.Minute)
	w.says("t", 25*time.Minute, becomes(1))
	it := w.one(thread, "a breach", targetIs(firstResponse, missed))
	if due := lastTarget(it, firstResponse).GetDueAt().AsTime(); !due.Equal(nine.Add(25 * time.Minute)) {
		t.Errorf("due at %v", due)
	}
}

func TestWhatWasRestartedGoesOnWhereItWas(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, IdleTimeout: -1})
	stop := w.startAll()
	before := w.says("before", 0, customerWrites())
	w.one(before, "a target", targetIs(firstResponse, active))
	stop()
	w.at(4 * time.Minute)
	during := w.says("during", 4*time.Minute, customerWrites())
	w.at(6 * time.Minute)
	w.startAll()
	it := w.one(before, "a breach", targetIs(firstResponse, missed))
	if !lastTarget(it, firstResponse).GetDueAt().AsTime().Equal(nine.Add(5 * time.Minute)) {
		t.Errorf("missed as %v", it.GetSlas())
	}
	w.one(during, "a target", targetIs(firstResponse, active))
	w.at(9 * time.Minute)
	w.one(during, "a breach", targetIs(firstResponse, missed))
}

func TestAReplyThatCameBeforeThePolicyIsMeasured(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, IdleTimeout: -1})
	w.startFold()
	w.at(time.Hour)
	in, out := w.says("in time", 0, customerWrites()), w.says("too late", 0, customerWrites())
	w.says("in time", 3*time.Minute, agentWrites())
	w.says("too late", 6*time.Minute, agentWrites())
	w.startPolicies()
	w.startTimers()
	w.one(in, "a target kept", targetIs(firstResponse, hit))
	w.one(out, "a target missed", targetIs(firstResponse, missed))
}

func TestOfTwoProcessesThatFireATimerOneCounts(t *testing.T) {
	w := newClocked(t)
	fold, policies := w.startFold(), w.startPolicies()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a policy", hasPolicy)
	policies()
	fold()
	w.at(30 * time.Minute)
	w.startTimers()
	w.startTimers()
	if fired := w.awaitFired(2); fired[0].GetId() != fired[1].GetId() || !bytes.Equal(fired[0].GetDigest(), fired[1].GetDigest()) {
		t.Errorf("they fire two: %v", fired)
	}
	w.startFold()
	it := w.one(thread, "its end", isOver)
	if !it.GetEndedAt().AsTime().Equal(nine.Add(30 * time.Minute)) {
		t.Errorf("over as %v", it)
	}
}

func TestWhatIsToldLateCountsAsOfWhenItHappened(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, IdleTimeout: -1})
	w.startAll()
	in, out := w.says("in time", 0, customerWrites()), w.says("too late", 0, customerWrites())
	for _, thread := range []event.ID{in, out} {
		w.one(thread, "a target", targetIs(firstResponse, active))
	}
	w.at(20 * time.Minute)
	for _, thread := range []event.ID{in, out} {
		w.one(thread, "a breach", targetIs(firstResponse, missed))
	}
	w.says("in time", 4*time.Minute, agentWrites())
	w.says("too late", 6*time.Minute, agentWrites())
	w.one(in, "no breach after all", targetIs(firstResponse, hit))
	w.one(out, "a breach all the same", func(it *conversationv1.Interaction) bool {
		return targetIs(firstResponse, missed)(it) && lastTarget(it, firstResponse).GetDoneAt() != nil
	})
}

func TestWhatIsToldLateUndoesAnEndByIdleness(t *testing.T) {
	w := newClocked(t)
	w.startAll()
	thread := w.says("t", 0, customerWrites())
	w.one(thread, "a policy", hasPolicy)
	w.at(40 * time.Minute)
	w.one(thread, "the end by idleness", isOver)
	w.says("t", 20*time.Minute, agentWrites())
	w.one(thread, "it goes on", func(it *conversationv1.Interaction) bool { return !isOver(it) })
	w.at(50 * time.Minute)
	w.one(thread, "the end by idleness", func(it *conversationv1.Interaction) bool {
		return isOver(it) && it.GetEndedAt().AsTime().Equal(nine.Add(50*time.Minute))
	})
}

func TestImportedHistoryArmsNothing(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute})
	w.startAll()
	imported := customerWrites()
	imported.Backfill = true
	old := w.says("old", -time.Hour, imported)
	live := w.says("live", 0, customerWrites())
	w.one(live, "a target", targetIs(firstResponse, active)) // so the one before was looked at, too
	it := w.one(old, "the history", func(*conversationv1.Interaction) bool { return true })
	if hasPolicy(it) || len(it.GetSlas()) > 0 || it.GetIdleTimeout() != nil {
		t.Errorf("it has %v", it)
	}
	w.at(time.Hour)
	w.one(live, "its end", isOver)
	for _, e := range w.fired() {
		if e.GetThreadId() == old.String() {
			t.Errorf("a timer fired for it: %v", e)
		}
	}
}

// What was due before a message has taken effect before it, whether or not anybody has looked at the clock.
func TestAMessageBehindTheIdleTimeReopensWhileNoTimerFires(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute})
	w.startFold()
	w.startPolicies()
	in, out := w.says("in the window", 0, customerWrites()), w.says("behind it", 0, customerWrites())
	for _, thread := range []event.ID{in, out} {
		w.one(thread, "a target", targetIs(firstResponse, active))
	}
	w.at(30 * time.Hour)
	w.says("in the window", 20*time.Hour, customerWrites())
	w.says("behind it", 25*time.Hour, customerWrites())
	first := func(it *conversationv1.Interaction) bool { return it.GetSlas()[0].GetState() == missed }
	w.one(in, "the reopening", func(it *conversationv1.Interaction) bool {
		return it.GetReopened() == 1 && first(it) && it.GetWaitingSince().AsTime().Equal(nine.Add(20*time.Hour)) && targetIs(firstResponse, active)(it)
	})
	w.until(out, "another interaction", func(all []*conversationv1.Interaction) bool {
		return len(all) == 2 && isOver(all[0]) && first(all[0]) && all[0].GetEndedAt().AsTime().Equal(nine.Add(30*time.Minute)) && hasPolicy(all[1])
	})
	if fired := w.fired(); len(fired) > 0 {
		t.Errorf("fired: %v", fired)
	}
	w.startTimers()
	over := nine.Add(20*time.Hour + 30*time.Minute)
	w.one(in, "the second end", func(it *conversationv1.Interaction) bool { return isOver(it) && it.GetEndedAt().AsTime().Equal(over) })
}

// Some providers tell of several interactions of a thread at a time, by their names.
func TestEachOfSeveralInteractionsOfAThreadHasItsPolicyAndItsTimers(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "urgent", Priorities: []int32{1}, FirstResponse: time.Minute, IdleTimeout: time.Hour},
		timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, Resolution: time.Hour})
	w.startAll()
	named := func(name string, s *eventv1.Submission) *eventv1.Submission { s.Interaction = name; return s }
	thread := w.says("t", 0, named("p", customerWrites()))
	w.says("t", time.Minute, named("q", customerWrites()))
	w.until(thread, "targets of both", func(all []*conversationv1.Interaction) bool {
		return len(all) == 2 && targetIs(firstResponse, active)(all[0]) && targetIs(firstResponse, active)(all[1])
	})
	w.says("t", 2*time.Minute, named("p", becomes(1)))
	w.until(thread, "another policy of the first", func(all []*conversationv1.Interaction) bool {
		return len(all) == 2 && all[0].GetPolicy() == "urgent" && all[1].GetPolicy() == "chat" && lastTarget(all[0], firstResponse).GetDueAt().AsTime().Equal(nine.Add(2*time.Minute))
	})
	w.at(2 * time.Minute)
	w.until(thread, "a breach of the first", func(all []*conversationv1.Interaction) bool {
		return targetIs(firstResponse, missed)(all[0]) && targetIs(firstResponse, active)(all[1])
	})
	w.at(31 * time.Minute)
	w.until(thread, "the end of the second", func(all []*conversationv1.Interaction) bool {
		return !isOver(all[0]) && isOver(all[1]) && all[1].GetEndedAt().AsTime().Equal(nine.Add(31*time.Minute))
	})
	w.at(62 * time.Minute)
	w.until(thread, "the end of the first", func(all []*conversationv1.Interaction) bool {
		return isOver(all[0]) && targetIs(resolution, missed)(all[0]) && all[0].GetEndedAt().AsTime().Equal(nine.Add(62*time.Minute))
	})
}

func TestHistoryThatGoesOnCountsFromThen(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, Resolution: time.Hour})
	w.startAll()
	imported := customerWrites()
	imported.Backfill = true
	thread := w.says("t", -1000*time.Hour, imported)
	w.says("t", 0, customerWrites())
	it := w.one(thread, "targets", targetIs(firstResponse, active))
	for metric, due := range map[eventv1.SlaMetric]time.Duration{firstResponse: 5 * time.Minute, resolution: time.Hour} {
		if sla := lastTarget(it, metric); !sla.GetSince().AsTime().Equal(nine) || !sla.GetDueAt().AsTime().Equal(nine.Add(due)) {
			t.Errorf("it counts as %v", sla)
		}
	}
	if it.GetBackfill() || !it.GetLiveSince().AsTime().Equal(nine) || !it.GetStartedAt().AsTime().Equal(nine.Add(-1000*time.Hour)) {
		t.Errorf("it is %v", it)
	}
	w.at(30 * time.Minute)
	w.one(thread, "its end", isOver)
}

// What is gone through for the first time was settled long ago for the most part; it is measured as it ended.
func TestAnOldLogIsSeenAsItEnded(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, IdleTimeout: -1})
	w.at(1000 * time.Hour)
	settled, open := w.says("settled", 0, customerWrites()), w.says("open", 0, customerWrites())
	w.says("settled", time.Hour, agentResolves())
	w.startAll()
	w.one(open, "a breach", targetIs(firstResponse, missed))
	if it := w.one(settled, "the resolution", func(*conversationv1.Interaction) bool { return true }); hasPolicy(it) || len(it.GetSlas()) > 0 {
		t.Errorf("it has %v", it)
	}
}

func TestAllThatIsDueAfterALongStopFiresInOrder(t *testing.T) {
	w := newClocked(t, timers.Policy{Name: "chat", FirstResponse: 5 * time.Minute, NextResponse: time.Hour, Resolution: 20 * time.Minute})
	fold, policies := w.startFold(), w.startPolicies()
	const threads = 40
	var ids []event.ID
	for i := range threads {
		ids = append(ids, w.says(fmt.Sprint(i), -time.Duration(i*17%threads)*time.Second, customerWrites()))
	}
	for _, id := range ids {
		w.one(id, "targets", targetIs(resolution, active))
	}
	policies()
	fold()
	w.at(1000 * time.Hour)
	w.startAll()
	for _, id := range ids {
		it := w.one(id, "its end", isOver)
		if !targetIs(firstResponse, missed)(it) || !targetIs(resolution, missed)(it) {
			t.Errorf("targets %v", it.GetSlas())
		}
	}
	due := time.Time{}
	for _, e := range w.fired() {
		if at := e.GetOccurredAt().AsTime(); at.Before(due) {
			t.Errorf("%v fires behind %v", at, due)
		} else {
			due = at
		}
	}
}
