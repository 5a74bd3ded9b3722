package reports

import (
	"slices"
	"testing"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

func in(t *testing.T, zone, text string) time.Time {
	t.Helper()
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", text, z)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestIntervalsGoByTheClockAndTheCalendarOfTheZone(t *testing.T) {
	for _, c := range []struct {
		name, zone, from, until string
		step                    analyticsv1.Step
		want                    []time.Duration // lengths
	}{
		{"the day on which the clock is put forward has 23 hours", "Europe/Berlin", "2026-03-28 00:00", "2026-03-31 00:00", analyticsv1.Step_STEP_DAY, []time.Duration{24 * time.Hour, 23 * time.Hour, 24 * time.Hour}},
		{"the day on which it is put back has 25 hours", "Europe/Berlin", "2026-10-24 00:00", "2026-10-27 00:00", analyticsv1.Step_STEP_DAY, []time.Duration{24 * time.Hour, 25 * time.Hour, 24 * time.Hour}},
		{"a week begins on Monday", "Europe/Berlin", "2026-03-25 00:00", "2026-04-06 00:00", analyticsv1.Step_STEP_WEEK, []time.Duration{(5*24 - 1) * time.Hour, 7 * 24 * time.Hour}},
		{"a month is as long as it is", "Asia/Shanghai", "2026-01-31 12:00", "2026-03-02 00:00", analyticsv1.Step_STEP_MONTH, []time.Duration{12 * time.Hour, 28 * 24 * time.Hour, 24 * time.Hour}},
		{"hours of Nepal begin 15 minutes off those of UTC", "Asia/Kathmandu", "2026-01-01 09:45", "2026-01-01 11:30", analyticsv1.Step_STEP_HOUR, []time.Duration{15 * time.Minute, time.Hour, 30 * time.Minute}},
		{"half hours of Nepal, too", "Asia/Kathmandu", "2026-01-01 09:45", "2026-01-01 10:30", analyticsv1.Step_STEP_HALF_HOUR, []time.Duration{15 * time.Minute, 30 * time.Minute}},
		{"on Lord Howe half an hour is missing in spring", "Australia/Lord_Howe", "2026-10-04 01:00", "2026-10-04 04:00", analyticsv1.Step_STEP_HOUR, []time.Duration{time.Hour, 30 * time.Minute, time.Hour}},
		{"in Beirut a day begins at one o'clock once", "Asia/Beirut", "2026-03-28 00:00", "2026-03-30 00:00", analyticsv1.Step_STEP_DAY, []time.Duration{24 * time.Hour, 23 * time.Hour}},
		{"in Havana midnight comes twice", "America/Havana", "2026-10-31 00:00", "2026-11-02 00:00", analyticsv1.Step_STEP_DAY, []time.Duration{24 * time.Hour, 25 * time.Hour}},
		{"Samoa left a day out", "Pacific/Apia", "2011-12-29 00:00", "2012-01-01 00:00", analyticsv1.Step_STEP_DAY, []time.Duration{24 * time.Hour, 24 * time.Hour}},
		{"without steps there is one", "Europe/Berlin", "2026-01-01 00:00", "2026-02-01 00:00", analyticsv1.Step_STEP_UNSPECIFIED, []time.Duration{31 * 24 * time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, until := in(t, c.zone, c.from), in(t, c.zone, c.until)
			all, err := begins(from, until, c.step, from.Location())
			if err != nil {
				t.Fatal(err)
			}
			var got []time.Duration
			for n, end := range append(slices.Clone(all[1:]), until) {
				got = append(got, end.Sub(all[n]))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestThePeriodBeforeGoesByTheCalendar(t *testing.T) {
	for _, c := range []struct{ name, from, until, want string }{
		{"a month: the month before", "2026-03-01 00:00", "2026-04-01 00:00", "2026-02-01 00:00"},
		{"a quarter: the three months before", "2026-04-01 00:00", "2026-07-01 00:00", "2026-01-01 00:00"},
		{"a day of 23 hours: the day before", "2026-03-29 00:00", "2026-03-30 00:00", "2026-03-28 00:00"},
		{"a week: the week before, an hour shorter", "2026-03-30 00:00", "2026-04-06 00:00", "2026-03-23 00:00"},
		{"two hours: the two before", "2026-05-05 10:00", "2026-05-05 12:00", "2026-05-05 08:00"},
		{"days and hours", "2026-05-05 00:00", "2026-05-08 06:00", "2026-05-01 18:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, until := in(t, "Europe/Berlin", c.from), in(t, "Europe/Berlin", c.until)
			if got, want := before(from, until, from.Location()), in(t, "Europe/Berlin", c.want); !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestIntervalsThatAreTooManyAreRefused(t *testing.T) {
	from := in(t, "Europe/Berlin", "2016-01-01 00:00")
	if _, err := begins(from, from.AddDate(10, 0, 0), analyticsv1.Step_STEP_QUARTER, from.Location()); err == nil {
		t.Error("ten years of quarters of an hour")
	}
}
