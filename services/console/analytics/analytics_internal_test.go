package analytics

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

const clock = "2006-01-02 15:04"

func at(t *testing.T, text string, zone *time.Location) time.Time {
	t.Helper()
	moment, err := time.ParseInLocation(clock, text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestAPeriodIsThatOfTheZoneAndStandsBesideAsManyDaysOrMonthsBefore(t *testing.T) {
	t.Parallel()
	zone := berlin(t)
	now := at(t, "2026-03-30 15:20", zone) // the day after the clocks were put forward
	for _, c := range []struct{ name, from, to, begin, end, beforeBegin, beforeEnd, step string }{
		{"today", "", "", "2026-03-30 00:00", "2026-03-30 15:20", "2026-03-29 00:00", "2026-03-29 15:20", "hour"},
		{"yesterday", "", "", "2026-03-29 00:00", "2026-03-30 00:00", "2026-03-28 00:00", "2026-03-29 00:00", "hour"},
		{"7d", "", "", "2026-03-24 00:00", "2026-03-30 15:20", "2026-03-17 00:00", "2026-03-23 15:20", "day"},
		{"30d", "", "", "2026-03-01 00:00", "2026-03-30 15:20", "2026-01-30 00:00", "2026-02-28 15:20", "day"},
		{"month", "", "", "2026-03-01 00:00", "2026-03-30 15:20", "2026-02-01 00:00", "2026-03-01 00:00", "day"}, // February is shorter
		{"12m", "", "", "2025-04-01 00:00", "2026-03-30 15:20", "2024-04-01 00:00", "2025-03-30 15:20", "month"},
		{"custom", "2026-02-01", "2026-02-28", "2026-02-01 00:00", "2026-03-01 00:00", "2026-01-01 00:00", "2026-02-01 00:00", "day"},
		{"custom", "2026-01-01", "2026-03-31", "2026-01-01 00:00", "2026-03-30 15:20", "2025-10-04 00:00", "2025-12-31 15:20", "week"},
		{"custom", "2026-03-28", "2026-03-29", "2026-03-28 00:00", "2026-03-30 00:00", "2026-03-26 00:00", "2026-03-28 00:00", "hour"},
		{"custom", "2026-03-28T09:00", "2026-03-28T10:30", "2026-03-28 09:00", "2026-03-28 10:30", "2026-03-27 09:00", "2026-03-27 10:30", "15m"},
		{"custom", "2016-01-01", "", "2016-01-01 00:00", "2026-03-30 15:20", "2005-10-03 00:00", "2015-12-31 15:20", "month"},
		{"whenever", "", "", "2026-03-24 00:00", "2026-03-30 15:20", "2026-03-17 00:00", "2026-03-23 15:20", "day"},
	} {
		p, err := periodOf(t.Context(), c.name, c.from, c.to, now, zone)
		if err != nil {
			t.Errorf("%s %s: %v", c.name, c.from, err)
			continue
		}
		begin, end := p.before(zone)
		for what, got := range map[string][2]string{
			"begin": {p.begin.In(zone).Format(clock), c.begin}, "end": {p.end.In(zone).Format(clock), c.end}, "step": {p.fitting(), c.step},
			"begin before": {begin.In(zone).Format(clock), c.beforeBegin}, "end before": {end.In(zone).Format(clock), c.beforeEnd},
		} {
			if got[0] != got[1] {
				t.Errorf("%s %s: %s is %s instead of %s", c.name, c.from, what, got[0], got[1])
			}
		}
	}
}

func TestAPeriodThatIsWrittenWronglyIsToldAndTheUsualOneShown(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-30 15:20", time.UTC)
	for _, c := range []struct{ from, to string }{
		{"", ""}, {"March", ""}, {"2026-03-02", "2026-03-01"}, {"2026-04-01", ""}, {"2026-03-01", "31st"}, {"2026-02-30", ""},
	} {
		p, err := periodOf(t.Context(), fromTo, c.from, c.to, now, time.UTC)
		if err == nil || p.name != usual {
			t.Errorf("%q to %q: %v, %s", c.from, c.to, err, p.name)
		}
	}
}

func TestIntervalsBeginWhereTheZonesClockAndCalendarSaySo(t *testing.T) {
	t.Parallel()
	zone := berlin(t)
	for _, c := range []struct {
		step, from, until string
		want              []string
	}{
		{"hour", "2026-03-29 00:20", "2026-03-29 04:00", []string{"2026-03-29 00:15", "2026-03-29 01:00", "2026-03-29 03:00"}},
		{"day", "2026-03-28 12:00", "2026-03-31 00:00", []string{"2026-03-28 12:00", "2026-03-29 00:00", "2026-03-30 00:00"}},
		{"week", "2026-03-25 00:00", "2026-04-07 00:00", []string{"2026-03-25 00:00", "2026-03-30 00:00", "2026-04-06 00:00"}},
		{"month", "2026-01-31 00:00", "2026-03-02 00:00", []string{"2026-01-31 00:00", "2026-02-01 00:00", "2026-03-01 00:00"}},
		{"30m", "2026-03-28 10:00", "2026-03-28 11:00", []string{"2026-03-28 10:00", "2026-03-28 10:30"}},
	} {
		p := period{begin: at(t, c.from, zone), end: at(t, c.until, zone)}
		var got []string
		for _, moment := range p.intervals(c.step, zone, 100) {
			got = append(got, moment.In(zone).Format(clock))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v instead of %v", c.step, got, c.want)
		}
	}
}

// choose reads an address.
func choose(t *testing.T, address string, of *standard) choice {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := asked(t.Context(), u, of, at(t, "2026-03-30 15:20", time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestAnAddressSaysAllThatIsChosenAndNothingThatIsAsUsual(t *testing.T) {
	t.Parallel()
	queues := standardOf("queues")
	for _, c := range []struct {
		address, want string
		of            *standard
	}{
		{"/a?period=7d&compare=on&identity=&attribution=&within=&from=&to=", "/a", nil},
		{"/a?zone=Asia/Shanghai&period=today&queue=billing&queue=&queue=billing&compare=off", "/a?compare=off&period=today&queue=billing&queue=&zone=Asia%2FShanghai", nil},
		{"/a?from=2026-03-01&to=2026-03-02&also.agent=a1,+a2,a1&agent=a1", "/a?agent=a1&agent=a2&from=2026-03-01&to=2026-03-02", nil},
		{"/a?metric=offered&by=&by=&step=day&page=2&sort=-offered", "/a?by=&metric=offered&page=2&sort=-offered&step=day", queues},
		{"/a?by=queue&by=&step=none&identity=then&history=on&attribution=real_time&within=30", "/a?attribution=real_time&history=on&identity=then&within=30", queues},
	} {
		ch := choose(t, c.address, c.of)
		got := ch.at("/a")
		if got != c.want {
			t.Errorf("%s becomes\n%s instead of\n%s", c.address, got, c.want)
		}
		if again := choose(t, got, c.of); again.at("/a") != got {
			t.Errorf("%s becomes %s when it is read again", got, again.at("/a"))
		}
	}
}

func TestAFormCarriesWhatItDoesNotChoose(t *testing.T) {
	t.Parallel()
	ch := choose(t, "/a?period=today&queue=b&queue=c&step=day", standardOf("queues"))
	q := url.Values{}
	for _, p := range ch.rest("step") {
		q.Add(p.name, p.value)
	}
	if got := q.Encode(); got != "period=today&queue=b&queue=c" {
		t.Error(got)
	}
}

func TestAChangeIsGoodOrBadAsTheMetricSays(t *testing.T) {
	t.Parallel()
	value := func(v float64) *analyticsv1.Value { return &analyticsv1.Value{Value: &v} }
	const higher, lower, neither = analyticsv1.Better_BETTER_HIGHER, analyticsv1.Better_BETTER_LOWER, analyticsv1.Better_BETTER_UNSPECIFIED
	for _, c := range []struct {
		unit              string
		better            analyticsv1.Better
		now, before       float64
		text, tone, words string
	}{
		{"ratio", higher, 0.812, 0.77, "4.2 points", "good", "better by 4.2 points: it was 77.0%"},
		{"ratio", lower, 0.2, 0.1, "10.0 points", "bad", "worse by 10.0 points: it was 10.0%"},
		{"seconds", lower, 90, 120, "25%", "good", "better by 25%: it was 2:00"},
		{"count", neither, 15, 10, "50%", "", "50% more than before: it was 10"},
		{"count", neither, 5, 10, "50%", "", "50% less than before: it was 10"},
		{"count", lower, 3, 0, "3", "bad", "worse by 3: it was 0"},
		{"ratio", higher, 0.80001, 0.8, "=", "", "as before"},
	} {
		m := &analyticsv1.Metric{Name: "m", Unit: c.unit, Better: c.better}
		got := changeOf(context.Background(), m, value(c.now), value(c.before))
		if got == nil || got.text != c.text || got.tone != c.tone || got.words != c.words {
			t.Errorf("%s %v after %v: %+v", c.unit, c.now, c.before, got)
		}
	}
	if got := changeOf(context.Background(), &analyticsv1.Metric{}, value(1), &analyticsv1.Value{}); got != nil {
		t.Errorf("compared with nothing: %+v", got)
	}
}

func TestAFileHasNothingThatASpreadsheetWouldCompute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "billing": "billing", "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "@SUM(1)": "'@SUM(1)", "+49 30 901820": "+49 30 901820", "+1+cmd": "'+1+cmd", "-2": "'-2",
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestEveryStandardReportIsFoundByItsID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range standards() {
		if standardOf(s.id) == nil || seen[s.id] || s.title(t.Context()) == "" || s.about(t.Context()) == "" {
			t.Errorf("%+v", s)
		}
		seen[s.id] = true
	}
	if standardOf("nothing") != nil {
		t.Error("there is a report nothing")
	}
}
