package supervision

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestAThousandChangesASecondAreToldAFewTimesAndTheLastOneAlways(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changes, ended := make(chan int), make(chan error, 1)
		begin, latest := time.Now(), 0
		type telling struct {
			at    time.Duration
			value int
		}
		var told []telling
		go func() {
			ended <- paced(ctx, changes, 500*time.Millisecond, func(n int) { latest = n }, func() error {
				told = append(told, telling{time.Since(begin), latest})
				return nil
			})
		}()
		for n := 1; n <= 2000; n++ { // two seconds
			changes <- n
			<-time.After(time.Millisecond)
		}
		<-time.After(10 * time.Second) // quiet
		changes <- 2001
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(told) < 3 || len(told) > 6 {
			t.Fatalf("told %d times: %v", len(told), told)
		}
		if told[0].at > time.Millisecond {
			t.Errorf("the first change waited %s", told[0].at)
		}
		for i := 1; i < len(told); i++ {
			if pause := told[i].at - told[i-1].at; pause < 500*time.Millisecond {
				t.Errorf("told again after %s", pause)
			}
		}
		if last := told[len(told)-1]; last.value != 2001 || last.at != 12*time.Second {
			t.Errorf("after a quiet time: %v", last)
		}
		if before := told[len(told)-2]; before.value != 2000 {
			t.Errorf("the last change of the rush: %v", before)
		}
	})
}

func TestWhoCannotBeToldEndsIt(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	changes := make(chan int, 1)
	changes <- 1
	if err := paced(t.Context(), changes, time.Hour, func(int) {}, func() error { return gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// example is a floor with two teams, one queue with a skill, and somebody who waits.
func example(now time.Time) *floor {
	f := newFloor()
	f.known.queues["sales"] = &eventv1.DirectoryQueue{Name: "Sales", Teams: []string{"red"}, Skills: []string{"german"}}
	f.known.teams["red"], f.known.teams["blue"] = &eventv1.DirectoryTeam{Name: "Red"}, &eventv1.DirectoryTeam{Name: "Blue"}
	f.known.skills["anna"] = map[string]int32{"german": 9}
	f.known.rooms["anna"] = map[string]*agentv1.ChannelRoom{"voice": {Maximum: 1}, "web_chat": {Maximum: 3}}
	agent := func(id, name string, presence eventv1.PresenceType, routing eventv1.RoutingStatus, teams ...string) *boardv1.AgentRow {
		since := timestamppb.New(now.Add(-time.Minute))
		return &boardv1.AgentRow{AgentId: id, Name: name, Teams: teams, PresenceType: presence, PresenceSince: since, RoutingStatus: routing, RoutingStatusSince: since}
	}
	f.take(&boardv1.WatchResponse{Reset_: true, Complete: true, Rows: &boardv1.Rows{
		Queues: []*boardv1.QueueRow{{Queue: "sales", Name: "Sales", Waiting: 1, OldestEnteredAt: timestamppb.New(now.Add(-10 * time.Second)), Counts: &boardv1.QueueCounts{}}},
		Agents: []*boardv1.AgentRow{
			agent("anna", "Anna", routable, idle, "red", "blue"), agent("tom", "Tom", custom, offQueue, "red"), agent("mia", "Mia", loggedOff, offQueue),
		},
	}})
	return f
}

func shownAgents(s *sight) string {
	var all []string
	for _, g := range s.groups {
		for _, a := range g.agents {
			all = append(all, g.title+":"+a.title)
		}
	}
	return strings.Join(all, " ")
}

func TestAPageShowsWhatWasChosen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := example(now)
	for _, c := range []struct {
		choice choice
		want   string
	}{
		{choice{}, "Blue:Anna Red:Anna Red:Tom"},
		{choice{states: everybody}, "Blue:Anna Red:Anna Red:Tom :Mia"},
		{choice{team: "red"}, "Red:Anna Red:Tom"},
		{choice{queue: "sales"}, "Blue:Anna Red:Anna"},
		{choice{by: byQueue}, "Sales:Anna :Tom"},
		{choice{states: notThere}, "Red:Tom"},
		{choice{words: "TO"}, "Red:Tom"},
		{choice{words: "sale"}, "Blue:Anna Red:Anna"},
		{choice{words: "nobody"}, ""},
	} {
		if got := shownAgents(f.seen(c.choice, now)); got != c.want {
			t.Errorf("%+v: %q instead of %q", c.choice, got, c.want)
		}
	}
}

func TestOnlyWhatIsOtherwiseByNowIsTold(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := example(now)
	before := f.seen(choice{}, now)
	parts := func(when time.Time) int {
		after := f.seen(choice{}, when)
		defer func() { before = after }()
		return len(changed(before, after))
	}
	if n := parts(now.Add(time.Second)); n != 0 {
		t.Errorf("nothing has changed, and %d parts are told", n)
	}
	if n := parts(now.Add(20 * time.Second)); n != 3 { // the sums twice, the queue: whoever waits has waited too long
		t.Errorf("by the clock: %d parts", n)
	}
	f.take(&boardv1.WatchResponse{Rows: &boardv1.Rows{Agents: []*boardv1.AgentRow{f.agents["tom"]}}})
	if n := parts(now.Add(21 * time.Second)); n != 0 {
		t.Errorf("told again what was so: %d parts", n)
	}
	f.take(&boardv1.WatchResponse{Removed: &boardv1.Rows{Agents: []*boardv1.AgentRow{{AgentId: "tom"}}}})
	if n := parts(now.Add(22 * time.Second)); n != 3 { // the sums twice, and the red team
		t.Errorf("Tom has left: %d parts", n)
	}
	f.alerts = []*boardv1.Alert{{EventId: "1", Raised: &eventv1.AlertRaised{Rule: "long wait", Queue: "sales"}}}
	if n := parts(now.Add(23 * time.Second)); n != 2 { // the alert, and the mark of the queue
		t.Errorf("an alert: %d parts", n)
	}
}

func TestAQueueThatNeedsAPersonIsMarked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := example(now)
	q := f.seen(choice{}, now).queues[0]
	if q.late || !q.deserted || q.below || q.shorthanded {
		t.Errorf("%+v", q)
	}
	level := 0.5
	f.queues["sales"].Counts.ServiceLevel = &level
	f.needs["sales"] = need{known: true, agents: 2}
	if q = f.seen(choice{}, now.Add(time.Minute)).queues[0]; !q.late || !q.below || !q.shorthanded {
		t.Errorf("%+v", q)
	}
}

func TestWhoIsOnAContactIsNotOnlyIdleOrAway(t *testing.T) {
	t.Parallel()
	const hold, ring, missed = agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_INCOMING, agentv1.ContactState_CONTACT_STATE_MISSED
	for _, c := range []struct {
		presence eventv1.PresenceType
		lost     bool
		routing  eventv1.RoutingStatus
		contacts []agentv1.ContactState
		want     state
	}{
		{routable, false, idle, nil, available},
		{routable, false, idle, []agentv1.ContactState{ring}, ringing},
		{routable, false, interacting, []agentv1.ContactState{connected, hold}, onContact},
		{routable, false, interacting, []agentv1.ContactState{hold, ended}, onHold},
		{routable, false, interacting, []agentv1.ContactState{ended}, wrapUp},
		{routable, false, eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING, []agentv1.ContactState{missed}, notResponding},
		{routable, false, eventv1.RoutingStatus_ROUTING_STATUS_COMMUNICATING, []agentv1.ContactState{connected}, otherCall},
		{custom, false, interacting, []agentv1.ContactState{connected}, onContact},
		{custom, false, offQueue, nil, away},
		{loggedOff, false, interacting, []agentv1.ContactState{ended}, offline},
		{loggedOff, true, offQueue, nil, vanished},
		{loggedOff, false, offQueue, nil, offline},
	} {
		if got := stateOf(c.presence, c.lost, c.routing, c.contacts); got != c.want {
			t.Errorf("%v %v %v: %s instead of %s", c.presence, c.routing, c.contacts, got, c.want)
		}
	}
}

func TestMoreAgentsThanAPageCanShowAreCounted(t *testing.T) {
	t.Parallel()
	f := newFloor()
	for i := range most + 5 {
		id := time.Duration(i).String()
		f.agents[id] = &boardv1.AgentRow{AgentId: id, PresenceType: routable, RoutingStatus: idle}
	}
	s := f.seen(choice{}, time.Now())
	if s.left != 5 || len(s.groups[0].agents) != most || s.groups[0].available != most+5 {
		t.Errorf("%d left out", s.left)
	}
}

func TestQueuesAreSortedAsIsAsked(t *testing.T) {
	t.Parallel()
	now, good, poor := time.Now(), 0.9, 0.4
	f := newFloor()
	f.queues["a"] = &boardv1.QueueRow{Queue: "a", Waiting: 1, OldestEnteredAt: timestamppb.New(now.Add(-time.Minute)), Counts: &boardv1.QueueCounts{ServiceLevel: &good}}
	f.queues["b"] = &boardv1.QueueRow{Queue: "b", Waiting: 5, OldestEnteredAt: timestamppb.New(now.Add(-time.Second)), Counts: &boardv1.QueueCounts{ServiceLevel: &poor}}
	f.queues["c"] = &boardv1.QueueRow{Queue: "c", Counts: &boardv1.QueueCounts{}}
	for sort, want := range map[string]string{"": "abc", byName: "abc", byWaiting: "bac", byOldest: "abc", byLevel: "bac"} {
		var got []string
		for _, q := range f.seen(choice{sort: sort}, now).queues {
			got = append(got, q.GetQueue())
		}
		if !slices.Equal(got, strings.Split(want, "")) {
			t.Errorf("%s: %v", sort, got)
		}
	}
}
