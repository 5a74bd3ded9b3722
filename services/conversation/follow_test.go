package conversation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/conversation/story"
)

// desk is one who follows the work of the tenant.
type desk struct {
	t      rapid.TB
	cancel context.CancelFunc
	done   chan error

	mu       sync.Mutex
	gate     sync.Mutex // held to make it slow
	changed  chan struct{}
	threads  map[event.ID][]*conversationv1.Interaction
	at       projection.Vector
	complete bool
	resets   int
}

func (w *world) follow() *desk {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &desk{t: w.t, cancel: cancel, done: make(chan error, 1), changed: make(chan struct{}, 1)}
	go func() { d.done <- w.conversations.FollowWork(ctx, tenant, d.note) }()
	return d
}

func (d *desk) note(n conversation.WorkNews) error {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.Reset {
		d.threads, d.complete, d.at = map[event.ID][]*conversationv1.Interaction{}, false, nil
		d.resets++
	}
	d.complete = d.complete || n.Complete
	switch {
	case d.resets == 0:
		return errors.New("it begins without a reset")
	case d.complete != (n.At != nil):
		return fmt.Errorf("complete %v and at %v", d.complete, n.At)
	}
	for p, next := range d.at {
		if n.At[p] < next {
			return fmt.Errorf("it goes back from %v to %v", d.at, n.At)
		}
	}
	d.at = n.At
	for _, t := range n.Threads {
		if d.threads[t.Thread] = t.Interactions; len(t.Interactions) == 0 {
			delete(d.threads, t.Thread)
		}
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
	return nil
}

// until waits until something is so.
func (d *desk) until(what string, is func() bool) {
	d.t.Helper()
	late := time.After(patience)
	for {
		d.mu.Lock()
		ok := is()
		d.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-d.changed:
		case err := <-d.done:
			d.t.Fatalf("%s: it ended: %v", what, err)
		case <-late:
			d.t.Fatalf("%s: it is not so after 10 s, at %v", what, d.at)
		}
	}
}

// has waits until what was told contains the log.
func (d *desk) has(w *world) {
	d.t.Helper()
	d.until("the log is contained", func() bool {
		for p := range int32(partitions) {
			_, end, err := w.log.Bounds(context.Background(), event.TopicInteractions, p)
			if err != nil {
				d.t.Fatal(err)
			}
			if d.at[p] < end {
				return false
			}
		}
		return true
	})
}

func (d *desk) end() {
	d.t.Helper()
	d.cancel()
	if err := <-d.done; err != nil {
		d.t.Errorf("it ended with %v", err)
	}
}

// owed is what is to be told of a thread: what is not settled, has an assignment that goes on, or had activity in the last 72 hours.
func owed(whole []*conversationv1.Interaction, latest time.Time) (all []*conversationv1.Interaction) {
	for n, i := range whole {
		goesOn := i.GetStatus() != conversationv1.WorkStatus_WORK_STATUS_RESOLVED && i.GetStatus() != conversationv1.WorkStatus_WORK_STATUS_CLOSED
		goesOn = goesOn || slices.ContainsFunc(i.GetAssignments(), func(a *conversationv1.Assignment) bool {
			return a.GetAgent() != "" && !beginOf(a).IsZero() && overOf(a).IsZero()
		})
		if goesOn || n >= len(whole)-64 && !i.GetLastActivityAt().AsTime().Before(latest.Add(-72*time.Hour)) {
			all = append(all, i)
		}
	}
	return all
}

// check holds what was told to the threads themselves. Of threads that were not told since the snapshot, those of which nothing goes on
// are missing. A thread is not told again for an event that changes nothing in it, though some of it lies too far before that one then.
func (d *desk) check(w *world, events []*eventv1.Event) {
	d.t.Helper()
	latest := map[event.ID]time.Time{}
	for _, e := range events {
		thread, err := event.ParseID(e.GetThreadId())
		if err != nil {
			d.t.Fatal(err)
		}
		if at := e.GetOccurredAt().AsTime(); story.KindOf(e.GetType()) != story.Silent && at.After(latest[thread]) {
			latest[thread] = at
		}
	}
	view, err := w.interactions.View(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = view.Close() }()
	d.mu.Lock()
	defer d.mu.Unlock()
	for thread := range d.threads {
		if _, known := latest[thread]; !known {
			d.t.Fatalf("a thread of nobody: %v", thread)
		}
	}
	for thread, at := range latest {
		whole, err := view.Thread(context.Background(), tenant, thread)
		if err != nil {
			d.t.Fatal(err)
		}
		want := owed(whole, at)
		got, told := d.threads[thread]
		if !told && !slices.ContainsFunc(want, isWork) {
			continue
		}
		lacks := func(all []*conversationv1.Interaction) func(*conversationv1.Interaction) bool {
			return func(i *conversationv1.Interaction) bool {
				return !slices.ContainsFunc(all, func(o *conversationv1.Interaction) bool { return shown(o) == shown(i) })
			}
		}
		owing := slices.DeleteFunc(slices.Clone(got), lacks(want))
		if shown(owing...) != shown(want...) || slices.ContainsFunc(got, lacks(whole)) {
			d.t.Fatalf("of %v it knows\n%s\nnot\n%s", thread, shown(got...), shown(want...))
		}
	}
}

// isWork tells whether something of an interaction goes on.
func isWork(i *conversationv1.Interaction) bool {
	return i.GetStatus() != conversationv1.WorkStatus_WORK_STATUS_RESOLVED && i.GetStatus() != conversationv1.WorkStatus_WORK_STATUS_CLOSED ||
		slices.ContainsFunc(i.GetAssignments(), func(a *conversationv1.Assignment) bool {
			return a.GetAgent() != "" && !beginOf(a).IsZero() && overOf(a).IsZero()
		})
}

func TestWhoFollowsWorkKnowsTheThreadsHoweverSlow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, memory())
		if rapid.Bool().Draw(rt, "little may wait") {
			w.conversations.LimitPending(rapid.IntRange(0, 2).Draw(rt, "threads"))
		}
		events := anyEvents(rt, rapid.IntRange(1, 60).Draw(rt, "events"))
		for _, e := range events { // over a week
			e.OccurredAt = timestamppb.New(lawEpoch.Add(12 * e.GetOccurredAt().AsTime().Sub(lawEpoch) * 3600))
		}
		var told []*eventv1.Event
		desks := []*desk{}
		for len(told) < len(events) || len(desks) == 0 {
			for n := rapid.IntRange(0, 12).Draw(rt, "published"); n > 0 && len(told) < len(events); n-- {
				w.append(events[len(told)])
				told = append(told, events[len(told)])
			}
			w.fold(rapid.IntRange(1, 20).Draw(rt, "batch"))
			slow := len(desks) > 0 && rapid.Bool().Draw(rt, "slow")
			if slow {
				desks[0].gate.Lock()
			}
			if err := w.conversations.Follow(context.Background()); err != nil {
				rt.Fatal(err)
			}
			if slow {
				desks[0].gate.Unlock()
			}
			if len(desks) < 3 && rapid.Bool().Draw(rt, "somebody comes") {
				desks = append(desks, w.follow())
			}
			if len(desks) > 0 && rapid.IntRange(0, 3).Draw(rt, "looks at 0") == 0 {
				d := rapid.SampledFrom(desks).Draw(rt, "who looks")
				w.fold(100)
				if err := w.conversations.Follow(context.Background()); err != nil {
					rt.Fatal(err)
				}
				d.has(w)
				d.check(w, told)
			}
		}
		w.fold(100)
		if err := w.conversations.Follow(context.Background()); err != nil {
			rt.Fatal(err)
		}
		for _, d := range desks {
			d.has(w)
			d.check(w, told)
			d.end()
		}
		expect(rt, "who follow", w.conversations.Followers(), 0)
	})
}

func TestWhoIsTooSlowToFollowWorkBeginsAgain(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	w.conversations.LimitPending(2)
	w.publish(message("a", "1", 0, "a@x.org"))
	slow, fast := w.follow(), w.follow()
	slow.has(w)
	fast.has(w)
	slow.gate.Lock()
	for n := range 20 {
		w.publish(message(fmt.Sprint("t", n), "1", n, "a@x.org"))
		fast.has(w)
	}
	slow.gate.Unlock()
	slow.until("all threads are known", func() bool { return len(slow.threads) == 21 })
	fast.until("all threads are known", func() bool { return len(fast.threads) == 21 })
	if slow.resets < 2 || fast.resets != 1 {
		t.Errorf("%d and %d resets", slow.resets, fast.resets)
	}
	slow.end()
	fast.end()
}

func TestWhoFollowsWorkLearnsHowFarTheLogIsContainedWhereNothingOfItsOwnChanges(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	d := w.follow()
	d.has(w)
	for n := range 5 {
		if _, err := w.intake.Submit(t.Context(), "globex", message(fmt.Sprint("t", n), "1", n, "a@x.org")); err != nil {
			t.Fatal(err)
		}
	}
	d.has(w)
	if len(d.threads) != 0 || d.resets != 1 {
		t.Errorf("%v, %d resets", d.threads, d.resets)
	}
	d.end()
}

func TestARebuildResetsWhoFollowsWork(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	for n := range 30 {
		w.publish(message(fmt.Sprint("t", n), "1", n, "a@x.org"))
	}
	d := w.follow()
	d.has(w)
	before := slices.SortedFunc(maps.Keys(d.threads), func(a, b event.ID) int { return bytes.Compare(a[:], b[:]) })
	if err := w.managers[0].Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d.until("it begins again", func() bool { return d.resets == 2 && d.complete })
	expect(t, "threads", slices.SortedFunc(maps.Keys(d.threads), func(a, b event.ID) int { return bytes.Compare(a[:], b[:]) }), before)
	d.end()
}

func TestTheErrorOfWhoFollowsWorkComesBackAsItIs(t *testing.T) {
	w := newWorld(t, memory())
	w.fold(100)
	enough := errors.New("enough")
	err := w.conversations.FollowWork(t.Context(), tenant, func(conversation.WorkNews) error { return enough })
	if err != enough { //nolint:errorlint // as it is
		t.Error(err)
	}
	expect(t, "who follow", w.conversations.Followers(), 0)
}

func TestFollowingWorkEndsWithTheProcess(t *testing.T) {
	w := newWorld(t, memory())
	w.fold(100)
	d := w.follow()
	d.has(w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.conversations.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-d.done; !errors.Is(err, conversation.ErrStopping) {
		t.Error(err)
	}
	if err := w.conversations.FollowWork(t.Context(), tenant, d.note); !errors.Is(err, conversation.ErrStopping) {
		t.Error(err)
	}
}

// A thread that never ends is told with its last interactions and whatever of the others goes on.
func TestOfALongThreadTheLastInteractionsAreToldAndWhatGoesOn(t *testing.T) {
	w := newWorld(t, memory())
	var told []*eventv1.Event
	say := func(e *eventv1.Event, minute int) {
		e.OccurredAt, e.Tenant = timestamppb.New(lawEpoch.Add(time.Duration(minute)*time.Minute)), tenant
		told = append(told, e)
		w.append(e)
	}
	for n := range 100 {
		in := said(t, "long", fmt.Sprint("in", n), event.TypeMessageReceived, 0, nil)
		in.InteractionId = hashed(fmt.Sprint("i", n)).String()
		say(in, 10*n)
		if n == 3 { // nobody ends it
			continue
		}
		if n == 5 { // its after-call work goes on
			for k, typ := range []string{event.TypeAssignmentConnected, event.TypeAssignmentEnded, event.TypeWrapupStarted} {
				e := said(t, "long", typ, typ, 0, nil)
				e.AssignmentId, e.Actor = hashed("share").String(), &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "anna"}
				say(e, 10*n+1+k)
			}
		}
		end := said(t, "long", fmt.Sprint("end", n), event.TypeInteractionResolved, 0, nil)
		end.InteractionId = in.GetInteractionId()
		say(end, 10*n+5)
	}
	w.fold(100)
	d := w.follow()
	d.has(w)
	d.check(w, told)
	expect(t, "interactions", len(d.threads[hashed("long")]), 66)
	d.end()
}
