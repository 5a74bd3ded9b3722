package alerts_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// pair is the alert of a number and its end, as events.
func (w *world) pair(t rapid.TB, n int) (raised, cleared *eventv1.Event) {
	t.Helper()
	compile := func(typ string, content *eventv1.Content) *eventv1.Event {
		c, err := w.compiler.Compile(tenant, &eventv1.Submission{
			Type: typ, Provider: "skein", Inbox: "skein", Thread: "alerts", NativeId: fmt.Sprint(typ, n), Content: content, OccurredAt: timestamppb.New(epoch.Add(time.Duration(n) * time.Second)),
		}, epoch.Add(time.Hour))
		must(t, err)
		return c.Event
	}
	queue := fmt.Sprint(n)
	raised = compile(event.TypeAlertRaised, &eventv1.Content{Body: &eventv1.Content_AlertRaised{AlertRaised: &eventv1.AlertRaised{Rule: "r", Queue: queue}}})
	cleared = compile(event.TypeAlertCleared, &eventv1.Content{Body: &eventv1.Content_AlertCleared{AlertCleared: &eventv1.AlertCleared{Rule: "r", Queue: queue, RaisedEventId: raised.GetId()}}})
	return raised, cleared
}

func (w *world) append(t rapid.TB, key string, value []byte) {
	t.Helper()
	_, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: event.TopicAlerts, Key: []byte(key), Value: value}})
	must(t, err)
}

func TestRaisedAndClearedInAnyOrderAndAnyNumberGivesTheSame(t *testing.T) {
	made, err := compiler()
	must(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		alerts := rapid.IntRange(1, 5).Draw(rt, "alerts")
		over := rapid.SliceOfN(rapid.Bool(), alerts, alerts).Draw(rt, "over")
		var events []*eventv1.Event
		open := map[string]bool{}
		one, other := newWorld(t), newWorld(t)
		one.compiler = made
		for n := range alerts {
			raised, cleared := one.pair(rt, n)
			events = append(events, raised)
			if over[n] {
				events = append(events, cleared)
			}
			open[raised.GetId()] = !over[n]
		}
		again := rapid.SliceOf(rapid.SampledFrom(events)).Draw(rt, "again")
		for _, e := range events {
			value, err := event.Encode(e)
			must(rt, err)
			one.append(rt, tenant, value)
		}
		for _, e := range append(rapid.Permutation(events).Draw(rt, "order"), again...) {
			value, err := event.Encode(e)
			must(rt, err)
			other.append(rt, tenant, value)
		}
		first, second := memkv.New(), memkv.New()
		one.fold(t, first, 100)
		other.fold(t, second, rapid.IntRange(1, 5).Draw(rt, "batch"))
		one.store, other.store = first, second
		for _, w := range []*world{one, other} {
			active, err := w.reads().Active(context.Background(), tenant)
			must(rt, err)
			for _, a := range active {
				if !open[a.GetEventId()] {
					rt.Fatalf("%v is raised", a)
				}
			}
			want := 0
			for _, so := range open {
				if so {
					want++
				}
			}
			if len(active) != want || len(w.letters) != 0 {
				rt.Fatalf("%d are raised, not %d; %v", len(active), want, w.letters)
			}
		}
		if again, rebuilt := other.fold(t, memkv.New(), 1), other.fold(t, memkv.New(), 7); again != rebuilt {
			rt.Fatal("a rebuild gives something else")
		}
	})
}

func TestWhatIsNoAlertStopsNothing(t *testing.T) {
	w := newWorld(t)
	raised, cleared := w.pair(t, 1)
	value, err := event.Encode(raised)
	must(t, err)
	w.append(t, "globex", value)
	w.append(t, tenant, []byte("nothing"))
	endless, err := w.compiler.Compile(tenant, &eventv1.Submission{
		Type: event.TypeAlertCleared, Provider: "skein", Inbox: "skein", Thread: "alerts", NativeId: "of nothing",
	}, epoch)
	must(t, err)
	for _, e := range []*eventv1.Event{endless.Event, raised, cleared} {
		value, err := event.Encode(e)
		must(t, err)
		w.append(t, tenant, value)
	}
	w.fold(t, w.store, 0)
	if len(w.letters) != 3 || w.active(t) != "" {
		t.Errorf("%v, and %s is raised", w.letters, w.active(t))
	}
}
