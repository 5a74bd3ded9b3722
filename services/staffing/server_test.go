package staffing_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/staffing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func seconds(n float64) *durationpb.Duration {
	return durationpb.New(time.Duration(n * float64(time.Second)))
}

func TestStaffTellsTheFewestAgentsAndWhatTheyGive(t *testing.T) {
	w := newWorld(t)
	load := &staffingv1.Load{Arrivals: 100, Interval: seconds(1800), AverageHandleTime: seconds(180)}
	goal := &staffingv1.Goal{Within: seconds(20), ServiceLevel: 0.8, MaxOccupancy: 0.85, Shrinkage: 0.3}
	resp, err := w.Staff(patient(t), &staffingv1.StaffRequest{Load: load, Goal: goal})
	must(t, err)
	s := resp.GetStaffing()
	if s.GetAgents() != 14 || s.GetScheduled() != 20 || resp.GetModel() != staffingv1.Model_MODEL_ERLANG_C {
		t.Errorf("%v", resp)
	}
	near(t, "service level", s.GetServiceLevel(), 0.8883500191794669)
	near(t, "average speed of answer", s.GetAverageSpeedOfAnswer().AsDuration().Seconds(), 7.83593701177724)
	near(t, "erlangs", s.GetErlangs(), 10)

	resp, err = w.Staff(patient(t), &staffingv1.StaffRequest{Load: load, Goal: goal, Agents: 9})
	must(t, err)
	if s := resp.GetStaffing(); s.GetAgents() != 9 || s.GetServiceLevel() != 0 || s.AverageSpeedOfAnswer != nil || s.GetOccupancy() != 1 {
		t.Errorf("a queue that grows without end: %v", s)
	}
	load.Patience = seconds(60)
	resp, err = w.Staff(patient(t), &staffingv1.StaffRequest{Load: load, Agents: 9})
	must(t, err)
	if s := resp.GetStaffing(); resp.GetModel() != staffingv1.Model_MODEL_ERLANG_A || s.GetAbandonRate() < 0.1 || s.AverageSpeedOfAnswer == nil {
		t.Errorf("where people give up, no queue grows without end: %v", resp)
	}
	resp, err = w.Staff(patient(t), &staffingv1.StaffRequest{Load: load, Model: staffingv1.Model_MODEL_ERLANG_C})
	must(t, err)
	if resp.GetModel() != staffingv1.Model_MODEL_ERLANG_C || resp.GetStaffing().GetAgents() != 14 {
		t.Errorf("whoever asks for it gets Erlang C: %v", resp)
	}
	resp, err = w.Staff(patient(t), &staffingv1.StaffRequest{Load: &staffingv1.Load{Interval: seconds(1800), AverageHandleTime: seconds(180)}})
	must(t, err)
	if resp.GetStaffing().GetAgents() != 0 || resp.GetStaffing().GetServiceLevel() != 1 {
		t.Errorf("nobody comes: %v", resp)
	}
}

func TestAWrongLoadOrGoalIsNamed(t *testing.T) {
	w := newWorld(t)
	for want, req := range map[string]*staffingv1.StaffRequest{
		"load.interval: must be from 1 ms to 366 days": {Load: &staffingv1.Load{Interval: seconds(0), AverageHandleTime: seconds(1)}},
		"load.average_handle_time: must be from 1 ms to 366 days": {
			Load: &staffingv1.Load{Interval: seconds(1), AverageHandleTime: seconds(-1)},
		},
		"load.patience: Erlang A needs it": {Load: &staffingv1.Load{Interval: seconds(1), AverageHandleTime: seconds(1)}, Model: staffingv1.Model_MODEL_ERLANG_A},
		"load.arrivals: they are 10000000 Erlang; at most 100000 are counted with": {
			Load: &staffingv1.Load{Arrivals: 1e7, Interval: seconds(1), AverageHandleTime: seconds(1)},
		},
		"goal.within: must be from 0 s to 366 days": {
			Load: &staffingv1.Load{Interval: seconds(1), AverageHandleTime: seconds(1)}, Goal: &staffingv1.Goal{Within: seconds(-1)},
		},
		"goal: it takes more than 1000000 agents": {
			Load: &staffingv1.Load{Arrivals: 10, Interval: seconds(1), AverageHandleTime: seconds(1)}, Goal: &staffingv1.Goal{MaxOccupancy: 1e-9},
		},
		"goal.service_level: must be 0.9999 at most": {
			Load: &staffingv1.Load{Interval: seconds(1), AverageHandleTime: seconds(1)}, Goal: &staffingv1.Goal{ServiceLevel: 0.99999},
		},
	} {
		_, err := w.Staff(patient(t), req)
		var got []string
		for field, reason := range fields(t, err) {
			got = append(got, field+": "+reason)
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("got %q, not %q", got, want)
		}
	}
}

// usualMondays are six weeks in which 30 contacts come on Mondays at 10:05, and 6 at 15:05.
func usualMondays(w *world) {
	for week := range 6 {
		monday := w.at("2026-09-07 00:00").AddDate(0, 0, -7*week)
		w.answered(monday.Add(10*time.Hour+5*time.Minute), 30)
		w.answered(monday.Add(15*time.Hour+5*time.Minute), 6)
	}
}

func TestNeededTwelveHaveNine(t *testing.T) {
	w := newWorld(t)
	for week := range 6 {
		monday := w.at("2026-09-07 00:00").AddDate(0, 0, -7*week)
		w.answered(monday.Add(10*time.Hour+5*time.Minute), 80)
	}
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"})
	must(t, err)
	first := resp.GetIntervals()[0]
	if resp.GetHave() != 9 || first.GetNeeded().GetAgents() != 12 || !first.GetFrom().AsTime().Equal(w.at("2026-09-14 10:00")) {
		t.Errorf("needed %d, have %d: %v", first.GetNeeded().GetAgents(), resp.GetHave(), first)
	}
}

func TestAForecastIsWhatUsuallyCameInTheSameIntervalsOfTheWeek(t *testing.T) {
	w := newWorld(t)
	usualMondays(w)
	w.answered(w.at("2026-09-14 09:40"), 5) // today: what came, and no history
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales", From: timestamppb.New(w.at("2026-09-14 00:00"))})
	must(t, err)
	if len(resp.GetIntervals()) != 48 || resp.GetWeeks() != 6 || resp.GetModel() != staffingv1.Model_MODEL_ERLANG_C {
		t.Fatalf("%d intervals of %d weeks by %v", len(resp.GetIntervals()), resp.GetWeeks(), resp.GetModel())
	}
	for n, i := range resp.GetIntervals() {
		from := w.at("2026-09-14 00:00").Add(time.Duration(n) * 30 * time.Minute)
		want := map[int]float64{20: 30, 30: 6}[n]
		near(t, "arrivals", i.GetArrivals(), want)
		if !i.GetFrom().AsTime().Equal(from) || i.GetOpen() != (n >= 18 && n < 34) || i.GetAverageHandleTime().AsDuration() != 3*time.Minute || i.Patience != nil {
			t.Errorf("interval %d: %v", n, i)
		}
		if over := n < 20; (i.Came != nil) != over || over && i.GetCame() != map[int]int32{19: 5}[n] {
			t.Errorf("interval %d: came %v", n, i.Came)
		}
	}
	near(t, "error of weeks that are all alike", resp.GetError(), 0)
	if needed := resp.GetIntervals()[20].GetNeeded(); needed.GetServiceLevel() < 0.9 || needed.GetAgents() != 6 {
		t.Errorf("the queue's own goal is 90 %% in 30 s: %v", needed)
	}
	if len(w.read) != 4 || !w.read[0].Equal(w.at("2026-08-03 00:00")) || w.read[1].After(w.now) {
		t.Errorf("the queue has two names, and history of six weeks is read: %v", w.read)
	}
}

func TestTheRecentLevelScalesTheUsualShape(t *testing.T) {
	w := newWorld(t)
	for week := range 6 {
		monday, n := w.at("2026-09-07 00:00").AddDate(0, 0, -7*week), 20
		if week == 0 {
			n = 40
		}
		w.answered(monday.Add(10*time.Hour), n)
	}
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"})
	must(t, err)
	// Usual is Σ 0.8^k n / Σ 0.8^k, and the level Σ 0.5^k (n / usual) / Σ 0.5^k: in all, what n is with the weights of the level.
	want := (40 + 20*(0.5+0.25+0.125+0.0625+0.03125)) / (1 + 0.5 + 0.25 + 0.125 + 0.0625 + 0.03125)
	near(t, "arrivals", resp.GetIntervals()[0].GetArrivals(), want)
	near(t, "a forecast of 20 for 40 is wrong by half", resp.GetError(), 0.5)
}

func TestPatienceIsAllWaitingDividedByThoseWhoGaveUp(t *testing.T) {
	w := newWorld(t)
	for week := range 6 {
		at := w.at("2026-09-07 10:00").AddDate(0, 0, -7*week)
		w.answered(at, 30)
		w.abandoned(at, 5)
	}
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"})
	must(t, err)
	i := resp.GetIntervals()[0]
	near(t, "patience", i.GetPatience().AsDuration().Seconds(), (30*10+5*20)/5.)
	if resp.GetModel() != staffingv1.Model_MODEL_ERLANG_A || i.GetNeeded().GetAbandonRate() == 0 {
		t.Errorf("%v", resp.GetModel())
	}
	resp, err = w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales", Model: staffingv1.Model_MODEL_ERLANG_C})
	must(t, err)
	if resp.GetModel() != staffingv1.Model_MODEL_ERLANG_C || resp.GetIntervals()[0].GetNeeded().GetAbandonRate() != 0 {
		t.Errorf("%v", resp.GetModel())
	}
}

func TestTheClockOnTheWallCountsWhereItIsChanged(t *testing.T) {
	w := newWorld(t)
	w.now = w.at("2026-10-26 00:10") // a Monday; the night before, the clock was put back
	for week := range 6 {
		sunday := w.at("2026-10-25 00:00").AddDate(0, 0, -7*week)
		w.answered(time.Date(sunday.Year(), sunday.Month(), sunday.Day(), 12, 0, 0, 0, w.zone), 12)
		w.answered(time.Date(sunday.Year(), sunday.Month(), sunday.Day(), 2, 15, 0, 0, w.zone), 4)
	}
	w.answered(w.at("2026-10-25 01:45").Add(90*time.Minute), 4) // 02:15 again
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{
		Queue: "sales", From: timestamppb.New(w.at("2026-11-01 00:00")), Until: timestamppb.New(w.at("2026-11-02 00:00")), Interval: seconds(3600),
	})
	must(t, err)
	for n, i := range resp.GetIntervals() {
		near(t, "arrivals", i.GetArrivals(), map[int]float64{2: 4, 12: 12}[n])
	}
	// On the day itself there are 25 hours, two of them at two o'clock; when it is put forward, 23, none of them.
	w.now = w.at("2026-10-24 00:10")
	resp, err = w.Forecast(patient(t), &staffingv1.ForecastRequest{
		Queue: "sales", From: timestamppb.New(w.at("2026-10-25 00:00")), Until: timestamppb.New(w.at("2026-10-26 00:00")), Interval: seconds(3600),
	})
	must(t, err)
	if len(resp.GetIntervals()) != 25 {
		t.Fatalf("%d hours", len(resp.GetIntervals()))
	}
	for n, i := range resp.GetIntervals() {
		near(t, "arrivals", i.GetArrivals(), map[int]float64{2: 4, 3: 4, 13: 12}[n])
	}
	w.now = w.at("2027-03-27 10:00")
	w.visits = map[string][]staffing.Visit{}
	w.answered(w.at("2027-03-21 12:00"), 7)
	resp, err = w.Forecast(patient(t), &staffingv1.ForecastRequest{
		Queue: "sales", From: timestamppb.New(w.at("2027-03-28 00:00")), Until: timestamppb.New(w.at("2027-03-29 00:00")), Interval: seconds(3600),
	})
	must(t, err)
	if len(resp.GetIntervals()) != 23 || resp.GetIntervals()[11].GetArrivals() != 7 {
		t.Errorf("%d hours, %v", len(resp.GetIntervals()), resp.GetIntervals()[11])
	}
}

func TestADayBeginsAtOneWhereTheClockIsPutForwardAtMidnight(t *testing.T) {
	w := newWorld(t)
	beirut, err := time.LoadLocation("Asia/Beirut")
	must(t, err)
	w.now = time.Date(2026, 3, 29, 12, 0, 0, 0, beirut) // a Sunday, of 23 hours
	for day := range 7 {
		w.answered(time.Date(2026, 3, 28-day, 0, 15, 0, 0, beirut), 3)
	}
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{
		Queue: "sales", TimeZone: "Asia/Beirut", From: timestamppb.New(time.Date(2026, 3, 29, 9, 0, 0, 0, beirut)),
		Until: timestamppb.New(time.Date(2026, 3, 31, 0, 0, 0, 0, beirut)), Interval: seconds(3600),
	})
	must(t, err)
	if len(resp.GetIntervals()) != 15+24 || resp.GetWeeks() != 1 {
		t.Errorf("%d hours of %d weeks", len(resp.GetIntervals()), resp.GetWeeks())
	}
	for n, i := range resp.GetIntervals() {
		near(t, "arrivals", i.GetArrivals(), map[int]float64{15: 3}[n])
	}
}

func TestAForecastOfThePastKnowsNothingOfWhatCame(t *testing.T) {
	w := newWorld(t)
	usualMondays(w)
	w.now = w.at("2026-09-08 12:00")
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{
		Queue: "sales", From: timestamppb.New(w.at("2026-09-07 00:00")), Until: timestamppb.New(w.at("2026-09-08 00:00")), Weeks: 2,
	})
	must(t, err)
	i := resp.GetIntervals()[20]
	near(t, "arrivals", i.GetArrivals(), 30)
	if i.GetCame() != 30 || resp.GetWeeks() != 2 {
		t.Errorf("%v of %d weeks", i, resp.GetWeeks())
	}
}

func TestWhatBelongsToAnotherQueueDoesNotCount(t *testing.T) {
	w := newWorld(t)
	usualMondays(w)
	for i := range w.visits["q1"] {
		if i%2 == 0 {
			w.visits["q1"][i].Provider = "freeswitch" // whose q1 is another one
		}
	}
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"})
	must(t, err)
	near(t, "arrivals", resp.GetIntervals()[0].GetArrivals(), 15)
	resp, err = w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "q1"})
	must(t, err)
	if first := resp.GetIntervals()[0]; !first.GetOpen() {
		t.Errorf("a queue that the directory does not know is always open: %v", first)
	}
}

func TestAQueueOfFewDaysIsForecastFromThose(t *testing.T) {
	w := newWorld(t)
	w.answered(w.at("2026-09-12 10:05"), 10) // Saturday
	w.answered(w.at("2026-09-13 10:05"), 20)
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"})
	must(t, err)
	near(t, "arrivals", resp.GetIntervals()[0].GetArrivals(), 15)
	if resp.Error != nil || resp.GetWeeks() != 1 {
		t.Errorf("an error of %v from %d weeks", resp.GetError(), resp.GetWeeks())
	}
}

func TestWithoutHistoryNothingIsForecast(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
	if _, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "nowhere"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
	w.visits["q1"] = []staffing.Visit{{Provider: "asterisk", Entered: w.at("2026-09-07 10:05"), Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED, Left: w.at("2026-09-07 10:06")}}
	resp, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales"})
	must(t, err)
	if i := resp.GetIntervals()[0]; i.GetArrivals() != 1 || i.Needed != nil || i.AverageHandleTime != nil {
		t.Errorf("nothing was ever handled: %v", i)
	}
}

func TestEveryWrongFieldOfAForecastIsNamed(t *testing.T) {
	w := newWorld(t)
	_, err := w.Forecast(patient(t), &staffingv1.ForecastRequest{
		Queue: "sales", TimeZone: "Berlin", Interval: seconds(600), From: timestamppb.New(w.now.AddDate(2, 0, 0)), Until: timestamppb.New(w.now.AddDate(0, 0, 15)),
		Goal: &staffingv1.Goal{Shrinkage: 0.999},
	})
	got := slices.Sorted(maps.Keys(fields(t, err)))
	if strings.Join(got, " ") != "from goal.shrinkage interval time_zone until" {
		t.Errorf("got %v", got)
	}
	_, err = w.Forecast(patient(t), &staffingv1.ForecastRequest{Queue: "sales", Until: timestamppb.New(w.at("2026-09-14 09:00"))})
	if got := fields(t, err); got["until"] != "must be behind from" {
		t.Errorf("got %v", got)
	}
}
