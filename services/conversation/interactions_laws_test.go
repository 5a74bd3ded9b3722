package conversation_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/conversation/story"
)

const (
	lawPartitions = 2
	lawTenant     = "acme"
)

var (
	lawNamespace = kv.Namespace{Slice: conversation.Slice, Generation: 1}
	lawEpoch     = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

// hashed is an id like those that Skein makes. Every fourth ends so that there is a checkpoint behind its event.
func hashed(name string) event.ID {
	sum := sha256.Sum256([]byte(name))
	id := event.ID(sum[:16])
	id[0] = 1
	if id[14]%4 == 0 {
		id[15] = 0
	}
	return id
}

// journal is a log of events.
type journal struct {
	t   rapid.TB
	log *memlog.Log
}

func newJournal(t rapid.TB) *journal {
	t.Helper()
	j := &journal{t: t, log: memlog.New(memlog.Config{}).Open()}
	if err := j.log.EnsureTopics(context.Background(), eventlog.Topic{Name: event.TopicInteractions, Partitions: lawPartitions}); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *journal) append(events ...*eventv1.Event) {
	j.t.Helper()
	for _, e := range events {
		value, err := event.Encode(e)
		if err != nil {
			j.t.Fatal(err)
		}
		if _, err := eventlog.AppendAll(context.Background(), j.log, []eventlog.Message{
			{Topic: event.TopicInteractions, Key: []byte(e.GetThreadId()), Value: value},
		}); err != nil {
			j.t.Fatal(err)
		}
	}
}

// fold folds the journal as one process does, until the end or until it has done some batches. It reports whether nothing is left.
func (j *journal) fold(store kv.Store, fold *conversation.Fold, maxBatch, batches int) (done bool) {
	j.t.Helper()
	r, err := projection.NewRunner(context.Background(), projection.Config{
		Log: j.log, Store: store, Namespace: lawNamespace, Topic: event.TopicInteractions, Fold: fold, MaxBatch: maxBatch,
	})
	if err != nil {
		j.t.Fatal(err)
	}
	defer r.Close()
	for range batches {
		n, err := r.RunOnce(context.Background())
		if err != nil && !errors.Is(err, errCable) {
			j.t.Fatal(err)
		}
		if err == nil && n == 0 {
			return true
		}
	}
	return false
}

const allBatches = 1 << 30

// facts are those of a thread, as the fold reads them.
func (j *journal) facts(thread event.ID) (facts []story.Fact) {
	j.t.Helper()
	fold := conversation.NewFold(lawPartitions, nil)
	key := []byte(thread.String())
	partition := eventlog.Partition(key, lawPartitions)
	first, end, err := j.log.Bounds(context.Background(), event.TopicInteractions, partition)
	if err != nil {
		j.t.Fatal(err)
	}
	seen := map[event.ID]bool{}
	for at := first; at < end; at++ {
		r, err := eventlog.ReadAt(context.Background(), j.log, eventlog.Position{Topic: event.TopicInteractions, Partition: partition, Offset: at})
		if err != nil {
			j.t.Fatal(err)
		}
		if f, ok := fold.FactOf(r); ok && bytes.Equal(r.Key, key) && !seen[f.ID] {
			seen[f.ID] = true
			facts = append(facts, f)
		}
	}
	return facts
}

func viewOf(t rapid.TB, store kv.Store) *conversation.View {
	t.Helper()
	v, err := conversation.NewInteractions(store, lawPartitions, nil).View(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// shown is interactions as text, without where they stand in the log.
func shown(all ...*conversationv1.Interaction) string {
	var b strings.Builder
	for _, i := range all {
		i = proto.CloneOf(i)
		i.Position, i.ThreadId, i.NativeThread = nil, "", ""
		b.WriteString(protojson.MarshalOptions{Multiline: true}.Format(i) + "\n")
	}
	return strings.ReplaceAll(b.String(), ":  ", ": ") // protojson is not stable on purpose
}

// anyEvents are events of a few threads that fit together more or less.
func anyEvents(rt *rapid.T, n int) (events []*eventv1.Event) {
	var types []string
	for _, typ := range event.Types() {
		if typ.Topic == event.TopicInteractions {
			types = append(types, typ.Name)
		}
	}
	common := []string{
		event.TypeMessageReceived, event.TypeMessageReceived, event.TypeMessageSent, event.TypeInteractionEnded, event.TypeInteractionResolved,
		event.TypeTimerFired, event.TypeInteractionPolicySet, event.TypeQueueEntered, event.TypeAssignmentConnected, event.TypeAssignmentHeld,
		event.TypeWrapupStarted, event.TypeAssignmentEnded,
	}
	types = append(types, slices.Repeat(common, 5)...)
	some := func(label string, names ...string) string { return rapid.SampledFrom(names).Draw(rt, label) }
	id := func(thread, label string, names ...string) string {
		if name := some(label, names...); name != "" {
			return hashed(thread + name).String()
		}
		return ""
	}
	channels := map[string]eventv1.Channel{
		"chat": eventv1.Channel_CHANNEL_WEB_CHAT, "mail": eventv1.Channel_CHANNEL_EMAIL, "call": eventv1.Channel_CHANNEL_VOICE,
	}
	for n := range n {
		thread := some("thread", "chat", "chat", "mail", "call")
		second := rapid.IntRange(0, 15).Draw(rt, "second")
		e := &eventv1.Event{
			Id: hashed(fmt.Sprint("event", n)).String(), Tenant: lawTenant, Type: some("type", types...),
			OccurredAt: timestamppb.New(lawEpoch.Add(time.Duration(second) * time.Second)), ReceivedAt: timestamppb.New(lawEpoch.Add(time.Minute + time.Duration(n)*time.Millisecond)),
			ThreadId: hashed(thread).String(), Channel: channels[thread], Provider: "test", Inbox: "web",
			Direction:     eventv1.Direction(rapid.IntRange(0, 3).Draw(rt, "direction")),
			Actor:         &eventv1.Actor{Kind: eventv1.ActorKind(rapid.IntRange(0, 4).Draw(rt, "actor")), Id: some("agent", "anna", "bob", "")},
			InteractionId: id(thread, "interaction", "", "", "", "p", "q"), VisitId: id(thread, "visit", "", "", "v", "w"),
			AssignmentId: id(thread, "assignment", "", "", "", "x", "y"), Queue: some("queue", "", "sales", "service"),
			Parties:  []*eventv1.Party{{EndpointId: hashed(some("customer", "ada", "eve")).String(), Side: eventv1.Side_SIDE_CUSTOMER}},
			Origin:   eventv1.Origin(rapid.SampledFrom([]int{0, 0, 0, 7}).Draw(rt, "origin")),
			Backfill: rapid.IntRange(0, 9).Draw(rt, "imported at 9") == 9,
		}
		about := func() string {
			if name := some("about", "", "p", "q", "event", "event"); name != "event" {
				return id(thread, "about", name)
			}
			return hashed(fmt.Sprint("event", rapid.IntRange(0, n).Draw(rt, "about the event"))).String()
		}
		window := func() *durationpb.Duration {
			return durationpb.New(time.Duration(rapid.SampledFrom([]int{0, 2, 5}).Draw(rt, "window")) * time.Second)
		}
		at := func(label string) *timestamppb.Timestamp {
			return timestamppb.New(lawEpoch.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, label)) * time.Second))
		}
		content := &eventv1.Content{NativeThread: thread}
		switch e.GetType() {
		case event.TypeMessageReceived:
			content.Body = &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
				Text: "text", Subject: some("subject", "", "one", "two"), AutoReply: rapid.IntRange(0, 5).Draw(rt, "automatic at 0") == 0,
			}}
		case event.TypeInteractionEnded:
			content.Body = &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{ReopenWindow: window()}}
		case event.TypeInteractionResolved:
			content.Body = &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{ReopenWindow: window()}}
		case event.TypeInteractionStatusChanged:
			content.Body = &eventv1.Content_InteractionStatusChanged{InteractionStatusChanged: &eventv1.InteractionStatusChanged{
				Status: eventv1.InteractionStatus(rapid.IntRange(0, 3).Draw(rt, "status")), SnoozedUntil: at("until"),
			}}
		case event.TypeInteractionPolicySet:
			content.Body = &eventv1.Content_InteractionPolicySet{InteractionPolicySet: &eventv1.InteractionPolicySet{
				Policy: "p", IdleTimeout: window(), ReopenWindow: window(), WrapupTimeout: window(), InteractionId: about(), Clocks: []*eventv1.SlaClock{
					{Metric: eventv1.SlaMetric(rapid.IntRange(1, 3).Draw(rt, "metric")), Since: at("since"), DueAt: at("due")},
				},
			}}
		case event.TypeTimerFired:
			content.Body = &eventv1.Content_TimerFired{TimerFired: &eventv1.TimerFired{
				Timer:   some("timer", "idle", "idle", "snooze", "wrapup", "sla.first_response", "sla.resolution"),
				ArmedBy: hashed(fmt.Sprint("event", rapid.IntRange(0, n).Draw(rt, "armed by"))).String(), InteractionId: about(),
			}}
		case event.TypeInteractionAttributesUpdated:
			content.Body = &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{
				TagsAdded: []string{some("tag", "a", "b")}, TagsRemoved: []string{some("tag off", "a", "c")}, Attributes: map[string]string{"k": some("value", "", "v")},
			}}
		case event.TypeTransferCompleted:
			content.Body = &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Target: some("target", "anna", "bob")}}
		case event.TypeQueueLeft:
			content.Body = &eventv1.Content_QueueLeft{QueueLeft: &eventv1.QueueLeft{Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED}}
		}
		var err error
		if e.Content, err = proto.Marshal(content); err != nil {
			rt.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// checkReads holds all reads of a store to what its journal's facts make, derived at once.
func (j *journal) checkReads(store kv.Store) (everything string) {
	j.t.Helper()
	ctx := context.Background()
	v := viewOf(j.t, store)
	defer func() { _ = v.Close() }()
	var work, settled, timers []string
	wholes := map[event.ID][]*story.Interaction{}
	for _, name := range []string{"chat", "mail", "call"} {
		thread := hashed(name)
		whole := story.Whole(j.facts(thread))
		wholes[thread] = whole
		var want []*conversationv1.Interaction
		for n, i := range whole {
			j.checkInvariants(i)
			want = append(want, i.Proto())
			if i.SettledAt() == 0 {
				work = append(work, shown(i.Proto()))
			} else {
				settled = append(settled, shown(i.Proto()))
			}
			for _, timer := range i.Timers() {
				timers = append(timers, fmt.Sprintln(time.Unix(0, timer.Due).UTC(), timer.Name, timer.ArmedBy, i.ID()))
			}
			for _, id := range []event.ID{i.ID(), i.Opener} {
				got, found, err := v.Find(ctx, lawTenant, id)
				if err != nil || !found || shown(got) != shown(i.Proto()) && got.GetId() == i.ID().String() {
					j.t.Fatalf("find %s: %v %v %s; want %s", id, found, err, shown(got), shown(i.Proto()))
				}
			}
			span, found, err := v.Stretch(ctx, lawTenant, i.Opener)
			if err != nil || !found || span.ID != thread {
				j.t.Fatal(span, found, err)
			}
			if n > 0 && span.From != i.Start.Occurred || n+1 < len(whole) && span.Until != whole[n+1].Start.Occurred {
				j.t.Fatalf("stretch %d: %v", n, span)
			}
			if got, found, err := v.At(ctx, lawTenant, thread, i.Start.Occurred); err != nil || !found || got.GetStartedAt().AsTime().UnixNano() != i.StartedAt {
				j.t.Fatal(got, found, err)
			}
		}
		got, err := v.Thread(ctx, lawTenant, thread)
		if err != nil {
			j.t.Fatal(err)
		}
		if g, w := shown(got...), shown(want...); g != w {
			j.t.Fatalf("thread %s:\n%s\nwant\n%s", name, g, w)
		}
		everything += shown(got...)
	}
	collect := func(into *[]string) func(*conversationv1.Interaction) bool {
		return func(i *conversationv1.Interaction) bool { *into = append(*into, shown(i)); return true }
	}
	var gotWork, gotSettled, gotTimers []string
	if err := v.Work(ctx, lawTenant, "", "", collect(&gotWork)); err != nil {
		j.t.Fatal(err)
	}
	if err := v.Settled(ctx, lawTenant, collect(&gotSettled)); err != nil {
		j.t.Fatal(err)
	}
	next, err := v.Due(ctx, lawEpoch.AddDate(1, 0, 0), func(t conversation.Timer) bool {
		gotTimers = append(gotTimers, fmt.Sprintln(t.DueAt, t.Name, t.ArmedBy, t.Interaction))
		return true
	})
	if err != nil || !next.IsZero() {
		j.t.Fatal(next, err)
	}
	for _, same := range []struct{ got, want []string }{{gotWork, work}, {gotSettled, settled}, {gotTimers, timers}} {
		slices.Sort(same.got)
		slices.Sort(same.want)
		if !slices.Equal(same.got, same.want) {
			j.t.Fatalf("%q; want %q", same.got, same.want)
		}
	}
	for _, queue := range []string{"", "sales", "service"} {
		for _, agent := range []string{"", "anna", "bob"} {
			n, want := 0, 0
			if err := v.Work(ctx, lawTenant, queue, agent, func(*conversationv1.Interaction) bool { n++; return true }); err != nil {
				j.t.Fatal(err)
			}
			if err := v.Work(ctx, lawTenant, "", "", func(i *conversationv1.Interaction) bool {
				if (queue == "" || i.GetQueue() == queue) && (agent == "" || i.GetAgent() == agent) {
					want++
				}
				return true
			}); err != nil || n != want {
				j.t.Fatalf("work of %q and %q: %d, want %d, %v", queue, agent, n, want, err)
			}
		}
	}
	j.checkParts(v, wholes)
	return everything
}

func (j *journal) checkInvariants(i *story.Interaction) {
	j.t.Helper()
	if i.EndedAt != 0 && i.EndedAt < i.StartedAt || i.ResolvedAt != 0 && i.ResolvedAt < i.StartedAt {
		j.t.Fatalf("it ends before it begins: %+v", i)
	}
	open := map[event.ID]int{}
	for _, v := range i.Visits {
		if v.Left != 0 && v.Left < v.Entered {
			j.t.Fatalf("a visit ends before it begins: %+v", v)
		}
		if open[v.ID]++; open[v.ID] > 1 {
			j.t.Fatalf("a visit is there twice: %+v", i.Visits)
		}
		if i.EndedAt != 0 && v.Left == 0 {
			j.t.Fatalf("it is over, and somebody waits: %+v", v)
		}
	}
	for _, s := range i.Shares {
		if open[s.ID]++; open[s.ID] > 1 {
			j.t.Fatalf("an assignment is there twice: %+v", i.Shares)
		}
		if s.HoldTime < 0 || s.PauseTime < 0 || s.Ended != 0 && (s.HeldSince != 0 || s.PausedSince != 0) {
			j.t.Fatalf("an assignment is held behind its end: %+v", s)
		}
		j.checkStretches(s.Held, s.HoldTime)
		j.checkStretches(s.Paused, s.PauseTime)
		if i.EndedAt != 0 && s.Ended == 0 && s.Declined == 0 {
			j.t.Fatalf("it is over, and somebody works on it: %+v", s)
		}
	}
	if i.FirstResponse != 0 && i.FirstResponse < max(i.StartedAt, i.Bot.HandedOff) {
		j.t.Fatalf("a response before the begin: %+v", i)
	}
	row := i.Encode(nil)
	again, err := story.DecodeInteraction(row)
	if err != nil || !bytes.Equal(again.Encode(nil), row) || shown(again.Proto()) != shown(i.Proto()) {
		j.t.Fatalf("%v: written and read it is %+v instead of %+v", err, again, i)
	}
}

// checkStretches holds stretches to their total.
func (j *journal) checkStretches(all []story.Stretch, total time.Duration) {
	j.t.Helper()
	last, sum := int64(0), time.Duration(0)
	for _, s := range all {
		if s.From < last || s.Until <= s.From {
			j.t.Fatalf("stretches that are none: %v", all)
		}
		last, sum = s.Until, sum+time.Duration(s.Until-s.From)
	}
	if sum != total {
		j.t.Fatalf("%v take %v, not %v", all, sum, total)
	}
}

var errCable = errors.New("the cable was pulled")

// fragile is a store whose cable is pulled now and then: before a batch was written, or after that and before anybody heard.
type fragile struct {
	kv.Store
	when func() (before, after bool)
}

func (s fragile) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	before, after := s.when()
	if before {
		return errCable
	}
	if err := s.Store.Apply(ctx, ns, b); err != nil || !after {
		return err
	}
	return errCable
}

// Whatever order the events of a thread come in, and whatever the batches, restarts and memory: the reads are those of all facts, derived
// at once.
func TestAnyOrderOfArrivalGivesTheSameInteractions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := anyEvents(rt, rapid.IntRange(1, 60).Draw(rt, "events"))
		before := ""
		for range 2 {
			j := newJournal(rt)
			order := slices.Clone(events)
			switch rapid.IntRange(0, 2).Draw(rt, "order") {
			case 0:
				order = rapid.Permutation(events).Draw(rt, "permuted")
			case 1: // in order of time, but for a few
				slices.SortStableFunc(order, func(a, b *eventv1.Event) int { return a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime()) })
				for range rapid.IntRange(0, 4).Draw(rt, "late ones") {
					n := rapid.IntRange(0, len(order)-1).Draw(rt, "late")
					e := order[n]
					order = slices.Insert(slices.Delete(slices.Clone(order), n, n+1), rapid.IntRange(n, len(order)-1).Draw(rt, "comes at"), e)
				}
			}
			j.append(order...)
			if rapid.Bool().Draw(rt, "some twice") {
				j.append(order[:len(order)/2]...)
			}
			store := memkv.New()
			for done := false; !done; {
				done = j.fold(store, conversation.NewFold(lawPartitions, nil).WithMemory(rapid.SampledFrom([]int{0, 1, 3000, conversation.DefaultMemory}).Draw(rt, "memory")),
					rapid.IntRange(1, 30).Draw(rt, "batch"), rapid.IntRange(1, 5).Draw(rt, "batches until it ends"))
			}
			everything := j.checkReads(store)
			if before != "" && everything != before {
				rt.Fatalf("%s\nin another order:\n%s", before, everything)
			}
			before = everything
		}
	})
}

// clock is the process that fires the timers of a journal.
type clock struct {
	*journal
	store kv.Store
}

// fire fires what is due before a moment, in one thread or in all, until nothing is, folds it, and tells how much it was.
func (c *clock) fire(before time.Time, thread string) (n int) {
	c.t.Helper()
	for {
		c.fold(c.store, conversation.NewFold(lawPartitions, nil), 100, allBatches)
		v := viewOf(c.t, c.store)
		var due []*eventv1.Event
		_, err := v.Due(context.Background(), before.Add(-1), func(t conversation.Timer) bool {
			if thread != "" && t.Thread.String() != thread {
				return true
			}
			e := &eventv1.Event{
				Id: hashed(fmt.Sprint("timer", t)).String(), Tenant: lawTenant, Type: event.TypeTimerFired, OccurredAt: timestamppb.New(t.DueAt),
				ReceivedAt: timestamppb.New(lawEpoch.Add(time.Minute)), ThreadId: t.Thread.String(), Channel: eventv1.Channel_CHANNEL_WEB_CHAT,
				Provider: "skein", Inbox: "web", Actor: &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM},
			}
			content := &eventv1.Content{Body: &eventv1.Content_TimerFired{TimerFired: &eventv1.TimerFired{
				Timer: t.Name, ArmedBy: t.ArmedBy.String(), DueAt: timestamppb.New(t.DueAt), InteractionId: t.Interaction.String(),
			}}}
			var err error
			if e.Content, err = proto.Marshal(content); err != nil {
				c.t.Fatal(err)
			}
			due = append(due, e)
			return true
		})
		if err := errors.Join(err, v.Close()); err != nil {
			c.t.Fatal(err)
		}
		if len(due) == 0 {
			return n
		}
		if n += len(due); n > 1000 {
			c.t.Fatalf("they stay armed: %v", due)
		}
		c.append(due...)
	}
}

// last is the last interaction of each thread.
func (c *clock) last() (all string) {
	c.t.Helper()
	v := viewOf(c.t, c.store)
	defer func() { _ = v.Close() }()
	for _, name := range []string{"chat", "mail", "call"} {
		thread, err := v.Thread(context.Background(), lawTenant, hashed(name))
		if err != nil {
			c.t.Fatal(err)
		}
		all += shown(thread[max(len(thread)-1, 0):]...)
	}
	return all
}

// When the clock is looked at makes no difference: what it fires at once, a perfect one, is what it fires when everything has been
// told; and what something has happened behind needs no firing.
func TestWhenTimersFireMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := anyEvents(rt, rapid.IntRange(1, 40).Draw(rt, "events"))
		inTime := slices.Clone(events)
		slices.SortStableFunc(inTime, func(a, b *eventv1.Event) int { return a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime()) })
		perfect, fired := &clock{journal: newJournal(rt), store: memkv.New()}, 0
		for _, e := range inTime {
			if story.KindOf(e.GetType()) != story.Silent {
				fired += perfect.fire(e.GetOccurredAt().AsTime(), e.GetThreadId())
			}
			perfect.append(e)
		}
		perfect.fire(lawEpoch, "") // folds
		late := &clock{journal: newJournal(rt), store: memkv.New()}
		late.append(rapid.Permutation(events).Draw(rt, "order")...)
		late.fire(lawEpoch, "")
		if got, want := late.last(), perfect.last(); got != want {
			rt.Fatalf("without timers:\n%s\nwith %d of them:\n%s", got, fired, want)
		}
		end := lawEpoch.Add(time.Hour)
		perfect.fire(end, "")
		late.fire(end, "")
		if got, want := late.checkReads(late.store), perfect.checkReads(perfect.store); got != want {
			rt.Fatalf("with timers in the end:\n%s\nin time:\n%s", got, want)
		}
	})
}

// Whatever the batches, the restarts, the cables that are pulled, whatever the engine and whatever the fold remembers: the store is the
// same to the byte.
func TestEveryWayToFoldALogGivesTheSameInteractionsOnEveryEngine(t *testing.T) {
	n := 0
	engines := map[string]func(t *testing.T) kv.Store{
		"memory": func(*testing.T) kv.Store { return memkv.New() },
		"pebble": func(t *testing.T) kv.Store {
			t.Helper()
			n++
			store, err := pebblekv.Open(fmt.Sprint(t.TempDir(), "/", n), pebblekv.Options{NoSync: true, CacheBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			return store
		},
	}
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			checks := 0
			rapid.Check(t, func(rt *rapid.T) {
				if checks++; name != "memory" && checks > 15 {
					return // opening takes long
				}
				j := newJournal(rt)
				events := anyEvents(rt, rapid.IntRange(1, 80).Draw(rt, "events"))
				j.append(events...)
				j.append(rapid.Permutation(events).Draw(rt, "again")[:len(events)/4]...)
				plain := memkv.New()
				j.fold(plain, conversation.NewFold(lawPartitions, nil).WithMemory(0), 1000, allBatches)
				want := stateOf(rt, plain)

				store := open(t)
				defer func() {
					if err := store.Close(); err != nil {
						rt.Error(err)
					}
				}()
				for {
					cables := fragile{store, func() (bool, bool) {
						dice := rapid.IntRange(0, 9).Draw(rt, "cable")
						return dice == 0, dice == 1
					}}
					memory := rapid.SampledFrom([]int{0, 1, 3000, conversation.DefaultMemory}).Draw(rt, "memory")
					if j.fold(cables, conversation.NewFold(lawPartitions, nil).WithMemory(memory), rapid.IntRange(1, 20).Draw(rt, "batch"), rapid.IntRange(1, 5).Draw(rt, "batches until it ends")) {
						break
					}
				}
				if got := stateOf(rt, store); got != want {
					rt.Errorf("%s; want %s", got, want)
				}
			})
		})
	}
}

func stateOf(t rapid.TB, store kv.Store) kv.Digest {
	t.Helper()
	snap, err := store.Snapshot(context.Background(), lawNamespace)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
