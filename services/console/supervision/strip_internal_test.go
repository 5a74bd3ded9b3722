package supervision

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
)

func at(hour, minute int) time.Time { return time.Date(2026, 3, 12, hour, minute, 0, 0, time.UTC) }

func TestAPartOfTheDayLiesWhereItsTimeIs(t *testing.T) {
	t.Parallel()
	shown := stretch{at(8, 0), at(18, 0)}
	for _, c := range []struct {
		name     string
		p        stretch
		x, width float64
		shown    bool
	}{
		{"in the middle", stretch{at(9, 0), at(10, 30)}, 10, 15, true},
		{"from the begin to the end", shown, 0, 100, true},
		{"began before", stretch{at(6, 0), at(9, 0)}, 0, 10, true},
		{"ends later", stretch{at(17, 0), at(23, 0)}, 90, 10, true},
		{"all of it and more", stretch{at(0, 0), at(23, 0)}, 0, 100, true},
		{"before", stretch{at(6, 0), at(8, 0)}, 0, 0, false},
		{"behind", stretch{at(18, 0), at(19, 0)}, 0, 0, false},
		{"a moment", stretch{at(9, 0), at(9, 0)}, 0, 0, false},
	} {
		x, width, visible := shown.place(c.p)
		if math.Abs(x-c.x) > 1e-9 || math.Abs(width-c.width) > 1e-9 || visible != c.shown {
			t.Errorf("%s: at %v, %v wide, %v", c.name, x, width, visible)
		}
	}
}

// interval is how an agent was from one time of the day until another.
func interval(from, until time.Time, p eventv1.PresenceType, presence string, r eventv1.RoutingStatus, contacts ...agentv1.ContactState) *agentv1.Interval {
	i := &agentv1.Interval{From: timestamppb.New(from), Until: timestamppb.New(until), PresenceType: p, Presence: presence, RoutingStatus: r}
	for _, s := range contacts {
		i.Contacts = append(i.Contacts, &agentv1.IntervalContact{State: s})
	}
	return i
}

const (
	routable    = eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE
	custom      = eventv1.PresenceType_PRESENCE_TYPE_CUSTOM
	loggedOff   = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	idle        = eventv1.RoutingStatus_ROUTING_STATUS_IDLE
	interacting = eventv1.RoutingStatus_ROUTING_STATUS_INTERACTING
	offQueue    = eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	connected   = agentv1.ContactState_CONTACT_STATE_CONNECTED
	ended       = agentv1.ContactState_CONTACT_STATE_ENDED
)

func workday() []*agentv1.Interval {
	return []*agentv1.Interval{
		interval(at(0, 0), at(8, 10), loggedOff, "Offline", offQueue),
		interval(at(8, 10), at(9, 0), routable, "Available", idle),
		interval(at(9, 0), at(9, 20), routable, "Available", interacting, connected),
		interval(at(9, 20), at(9, 30), routable, "Available", interacting, connected, connected),
		interval(at(9, 30), at(9, 35), routable, "Available", interacting, ended),
		interval(at(9, 35), at(12, 0), routable, "Available", idle),
		interval(at(12, 0), at(12, 45), custom, "Meal", offQueue),
		interval(at(12, 45), at(16, 30), routable, "Available", idle),
		interval(at(16, 30), at(24, 0), loggedOff, "Offline", offQueue),
	}
}

func TestTheStripJoinsWhatLooksTheSameAndLosesNoMoment(t *testing.T) {
	t.Parallel()
	spans := spansOf(workday())
	want := []state{offline, available, onContact, wrapUp, available, away, available, offline}
	var whole time.Duration
	for i, s := range spans {
		if i >= len(want) || s.state != want[i] {
			t.Fatalf("%v instead of %v", spans, want)
		}
		if i > 0 && !s.from.Equal(spans[i-1].until) {
			t.Errorf("a gap before %v", s.from)
		}
		whole += s.length()
	}
	if whole != 24*time.Hour {
		t.Errorf("%s in all", whole)
	}
	got := map[state]time.Duration{}
	for _, s := range totals(spans) {
		got[s.state] = s.long
	}
	if got[onContact] != 30*time.Minute || got[wrapUp] != 5*time.Minute || got[away] != 45*time.Minute || got[available] != 50*time.Minute+145*time.Minute+225*time.Minute {
		t.Errorf("sums: %v", got)
	}
}

func TestTheStripShowsTheHoursInWhichTheAgentWasThere(t *testing.T) {
	t.Parallel()
	day := stretch{at(0, 0), at(24, 0)}
	for _, c := range []struct {
		name string
		of   []*agentv1.Interval
		want stretch
	}{
		{"a working day, in whole hours", workday(), stretch{at(8, 0), at(17, 0)}},
		{"nothing: the whole day", []*agentv1.Interval{interval(at(0, 0), at(24, 0), loggedOff, "", offQueue)}, day},
		{"a moment at night, with what is around it", []*agentv1.Interval{interval(at(1, 10), at(1, 20), routable, "Available", idle)}, stretch{at(0, 0), at(6, 0)}},
		{"a moment at noon", []*agentv1.Interval{interval(at(12, 10), at(12, 20), routable, "Available", idle)}, stretch{at(9, 0), at(16, 0)}},
	} {
		if got := worked(day, spansOf(c.of), time.UTC); !got.from.Equal(c.want.from) || !got.until.Equal(c.want.until) {
			t.Errorf("%s: %v to %v", c.name, got.from, got.until)
		}
	}
}

func TestHoursStandWhereTheClockShowsThem(t *testing.T) {
	t.Parallel()
	india, err := time.LoadLocation("Asia/Kolkata") // five and a half hours before UTC
	if err != nil {
		t.Fatal(err)
	}
	s := stretch{time.Date(2026, 3, 12, 9, 0, 0, 0, india), time.Date(2026, 3, 12, 13, 0, 0, 0, india)}
	got := s.ticks(india)
	if len(got) != 3 || got[0].text != "10:00" || got[0].x != 25 || got[2].text != "12:00" || got[2].x != 75 {
		t.Errorf("%v", got)
	}
	if h := hour(time.Date(2026, 3, 12, 9, 59, 59, 999, india), india); h.Minute() != 0 || h.Hour() != 9 {
		t.Errorf("the hour begins at %v", h)
	}
}

func TestContactsAtTheSameTimeStandUnderOneAnother(t *testing.T) {
	t.Parallel()
	contact := func(id string, from, until time.Time) *agentv1.HandledContact {
		a := &conversationv1.Assignment{Id: id, ConnectedAt: timestamppb.New(from)}
		if !until.IsZero() {
			a.EndedAt = timestamppb.New(until)
		}
		return &agentv1.HandledContact{Assignment: a}
	}
	parts, deep := lanes([]*agentv1.HandledContact{ // the latest first, as the API tells them
		contact("goes on", at(11, 0), time.Time{}), contact("after both", at(10, 40), at(11, 0)), contact("beside", at(10, 10), at(10, 30)), contact("long", at(10, 0), at(10, 40)),
		contact("after-call work", at(9, 0), at(9, 5)),
	}, map[string]bool{"goes on": true, "after-call work": true}, at(12, 0))
	got := map[string]int{}
	for _, p := range parts {
		got[p.contact.GetAssignment().GetId()] = p.lane
	}
	if deep != 3 || got["after-call work"] != 0 || got["long"] != 1 || got["beside"] != 2 || got["after both"] != 1 || len(parts) != 5 {
		t.Errorf("%d lanes, %v", deep, got)
	}
	if ended := parts[0]; !ended.until.Equal(at(12, 0)) {
		t.Errorf("what is in after-call work is drawn until %v", ended.until)
	}
	if last := parts[4]; !last.until.Equal(at(12, 0)) {
		t.Errorf("what goes on is drawn until %v", last.until)
	}
}

func TestAChartShowsTheHoursInWhichAnythingComes(t *testing.T) {
	t.Parallel()
	var day []*staffingv1.ForecastInterval
	for h := range 24 {
		i := &staffingv1.ForecastInterval{From: timestamppb.New(at(h, 0)), Until: timestamppb.New(at(h+1, 0)), Open: h >= 9 && h < 17}
		if i.GetOpen() {
			i.Arrivals, i.Needed = 40, &staffingv1.Staffing{Agents: 7}
		}
		day = append(day, i)
	}
	day[7].Arrivals = 3 // before it opens
	c := chartOf(day, 5, at(12, 30))
	if !c.from.Equal(at(7, 0)) || !c.until.Equal(at(17, 0)) || len(c.bars) != 10 || c.bars[2].x != 20 || c.bars[2].width != 10 || !c.bars[5].now || c.bars[4].now {
		t.Errorf("%v to %v, %d bars", c.from, c.until, len(c.bars))
	}
	if c.staff != 10 || c.contacts != 60 {
		t.Errorf("scales up to %v agents and %v contacts", c.staff, c.contacts)
	}
	if empty := chartOf(nil, 0, at(12, 0)); len(empty.bars) != 0 || empty.staff != 1 {
		t.Errorf("%+v", empty)
	}
	for n, want := range map[float64]float64{0: 1, 1: 1, 1.1: 2, 3: 4, 5: 6, 7: 10, 10: 10, 11: 20, 99: 100, 101: 200} {
		if got := roof(n); got != want {
			t.Errorf("the top of a scale for %v is %v", n, got)
		}
	}
}
