package story_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

const second = int64(time.Second)

func TestAnAssignmentKeepsWhenItWasOnHoldAndLaidAside(t *testing.T) {
	s := only(t, at(0, story.Called), at(1, story.Connected, byAnna), at(2, story.Held, byAnna), at(5, story.Unheld, byAnna), at(6, story.Paused, byAnna),
		at(8, story.Resumed, byAnna), at(9, story.Held, byAnna), at(12, story.ShareEnded, byAnna)).Shares[0]
	if !slices.Equal(s.Held, []story.Stretch{{2 * second, 5 * second}, {9 * second, 12 * second}}) || !slices.Equal(s.Paused, []story.Stretch{{6 * second, 8 * second}}) {
		t.Errorf("%+v", s)
	}
}

func TestAStretchThatGoesOnHasNoEndAndOneOfNoLengthIsNone(t *testing.T) {
	a := only(t, at(0, story.Called), at(1, story.Connected, byAnna), at(2, story.Held, byAnna), at(2, story.Unheld, byAnna), at(3, story.Held, byAnna)).Proto().GetAssignments()[0]
	if len(a.GetHeld()) != 1 || a.GetHolds() != 2 || a.GetHeld()[0].GetUntil() != nil || a.GetHeld()[0].GetFrom().GetSeconds() != 3 || len(a.GetPaused()) != 0 {
		t.Error(a)
	}
}

func TestTheLastStretchesStayAndTheTotalsAreOfAll(t *testing.T) {
	facts := []story.Fact{at(0, story.Called), at(1, story.Connected, byAnna)}
	for n := range 100 {
		facts = append(facts, at(10*n+2, story.Held, byAnna), at(10*n+5, story.Unheld, byAnna), at(10*n+6, story.Paused, byAnna), at(10*n+8, story.Resumed, byAnna))
	}
	i := only(t, append(facts, at(2000, story.Held, byAnna))...)
	s, a := i.Shares[0], i.Proto().GetAssignments()[0]
	if s.HoldTime != 300*time.Second || s.Holds != 101 || s.PauseTime != 200*time.Second {
		t.Errorf("%v %d %v", s.HoldTime, s.Holds, s.PauseTime)
	}
	if len(a.GetHeld()) != 64 || len(a.GetPaused()) != 64 || a.GetHeld()[63].GetFrom().GetSeconds() != 2000 || a.GetHeld()[0].GetFrom().GetSeconds() != 372 {
		t.Error(len(a.GetHeld()), len(a.GetPaused()), a.GetHeld()[0])
	}
}

// wrapping is a call of Anna's whose after-call work may take a minute from second 20.
func wrapping(more ...story.Fact) []story.Fact {
	return append([]story.Fact{
		at(0, story.Called, voice), at(1, story.PolicySet, says(story.Body{Wrapup: time.Minute})), at(2, story.Connected, byAnna), at(19, story.ShareEnded, byAnna),
		at(20, story.WrapupStarted, byAnna),
	}, more...)
}

func voice(f *story.Fact) { f.Channel = eventv1.Channel_CHANNEL_VOICE }

func TestAfterCallWorkEndsByTheClockWhereNobodyTellsItsEnd(t *testing.T) {
	started := at(20, story.WrapupStarted, byAnna)
	timer := story.Timer{Name: story.TimerWrapup, Due: 80 * second, ArmedBy: started.ID}
	fired := at(80, story.TimerFired, says(story.Body{Text: "wrapup", ArmedBy: started.ID}))
	for name, c := range map[string]struct {
		facts    []story.Fact
		armed    bool
		ended    int64
		inferred bool
	}{
		"it goes on":                             {wrapping(), true, 0, false},
		"while the call is over and closed":      {wrapping(at(21, story.Ended)), true, 0, false},
		"the clock":                              {wrapping(at(21, story.Ended), fired), false, 80, true},
		"whatever happens behind it":             {wrapping(at(81, story.NoteAdded)), false, 80, true},
		"not what happens in the moment":         {wrapping(at(80, story.NoteAdded)), true, 0, false},
		"the agent":                              {wrapping(at(70, story.WrapupEnded, byAnna)), false, 70, false},
		"the agent in the moment":                {wrapping(at(80, story.WrapupEnded, byAnna), fired), false, 80, false},
		"the agent, who tells it later":          {wrapping(fired, at(95, story.WrapupEnded, byAnna)), false, 95, false},
		"another clock":                          {wrapping(at(79, story.TimerFired)), true, 0, false},
		"a policy without a time-out":            {wrapping(at(30, story.PolicySet, says(story.Body{}))), false, 0, false},
		"a policy that comes too late for it":    {wrapping(at(30, story.PolicySet, says(story.Body{Wrapup: 5 * time.Second}))), false, 25, true},
		"a policy that gives it as long":         {wrapping(at(30, story.PolicySet, says(story.Body{Wrapup: time.Minute}))), true, 0, false},
		"behind a second begin, as of the first": {wrapping(at(30, story.WrapupStarted, byAnna), at(85, story.NoteAdded)), false, 80, true},
	} {
		i := only(t, c.facts...)
		s := i.Shares[0]
		if s.WrapupEnded != c.ended*second || s.WrapupInferred != c.inferred || slices.Contains(i.Timers(), timer) != c.armed || len(i.Timers()) > 1 {
			t.Errorf("%s: %+v, timers %v", name, s, i.Timers())
		}
	}
}

func TestTheAfterCallWorkOfAHistoryThatGoesOnIsOverWhenItWasDue(t *testing.T) {
	imported := wrapping(at(21, story.Ended))
	for n := range imported {
		imported[n].Backfill = true
	}
	if i := only(t, imported...); len(i.Timers()) != 0 || i.Shares[0].WrapupEnded != 0 {
		t.Errorf("%+v", i.Shares)
	}
	if i := only(t, append(imported, at(1000, story.NoteAdded, byAnna))...); len(i.Timers()) != 0 || i.Shares[0].WrapupEnded != 80*second || !i.Shares[0].WrapupInferred {
		t.Errorf("%+v", i.Shares)
	}
}

func TestEachAgentsAfterCallWorkHasItsOwnClock(t *testing.T) {
	byBob := func(f *story.Fact) { f.Actor = story.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, ID: "bob"} }
	i := only(t, wrapping(at(30, story.Connected, byBob), at(40, story.ShareEnded, byBob), at(50, story.WrapupStarted, byBob), at(90, story.NoteAdded))...)
	if i.Shares[0].WrapupEnded != 80*second || i.Shares[1].WrapupEnded != 0 || len(i.Timers()) != 1 || i.Timers()[0].Due != 110*second {
		t.Errorf("%+v, timers %v", i.Shares, i.Timers())
	}
}

func TestAClassHoldsWhatTakesNoLongerThanItsPowerOfTwo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		begin := rapid.Int64Range(1, 1<<61).Draw(rt, "begin")
		power := rapid.IntRange(0, 61).Draw(rt, "power")
		took := max(int64(1)<<power+rapid.Int64Range(-2, 2).Draw(rt, "and"), 0)
		if rapid.Bool().Draw(rt, "whole seconds") {
			took = int64(1) << (power / 2) * second
		}
		s := story.Share{Offered: begin, Accepted: begin + 1, Declined: begin + took}
		class := s.Class()
		longest := time.Duration(1) << class * time.Second
		if class > story.MaxClass || class < story.MaxClass-1 && (time.Duration(took) > longest || class > 0 && time.Duration(took) <= longest/2) {
			rt.Errorf("%v is of class %d", time.Duration(took), class)
		}
	})
	if s := (&story.Share{Offered: 1, Connected: 5, Ended: 9, WrapupStarted: 9}); s.Class() != story.InHand {
		t.Error(s.Class())
	}
}

func TestOnlyWhatIsOverAndWasConnectedIsHandled(t *testing.T) {
	i := only(t, at(0, story.Called, voice), at(1, story.QueueEntered, inQueue("sales")), at(4, story.Connected, byAnna), at(5, story.Paused, byAnna), at(7, story.Resumed, byAnna),
		at(20, story.ShareEnded, byAnna), at(22, story.WrapupStarted, byAnna))
	if b := i.VisitBrief(&i.Visits[0]); b.Handled != 0 || b.Outcome != eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED || b.Agent != "anna" || b.Left != 4*second {
		t.Errorf("%+v", b)
	}
	i.Shares[0].WrapupEnded = 30 * second
	if b := i.VisitBrief(&i.Visits[0]); b.Handled != 1 || b.HandleTime != (16-2+8)*time.Second {
		t.Errorf("%+v", b)
	}
}

func inQueue(name string) func(*story.Fact) { return func(f *story.Fact) { f.Queue = name } }
