package reports

import (
	"errors"
	"fmt"
	"slices"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// mostIntervals are in a report: what is sent to ClickHouse with every query of it.
const mostIntervals = 20_000

var errIntervals = fmt.Errorf("more than %d intervals: ask for a coarser step or a shorter period", mostIntervals)

// steps are the lengths of intervals that go by the clock; longer ones go by the calendar.
func clockStep(step analyticsv1.Step) time.Duration {
	switch step {
	case analyticsv1.Step_STEP_QUARTER:
		return 15 * time.Minute
	case analyticsv1.Step_STEP_HALF_HOUR:
		return 30 * time.Minute
	case analyticsv1.Step_STEP_HOUR:
		return time.Hour
	default:
		return 0
	}
}

// begins gives when the intervals of a period begin: from its first moment on, wherever the clock of the zone shows a multiple of the step, or
// its calendar another day, week or month.
func begins(from, until time.Time, step analyticsv1.Step, zone *time.Location) ([]time.Time, error) {
	all := []time.Time{from}
	if step == analyticsv1.Step_STEP_UNSPECIFIED {
		return all, nil
	}
	for t := next(from, step, zone); t.Before(until); t = next(t, step, zone) {
		if len(all) == mostIntervals {
			return nil, errIntervals
		}
		all = append(all, t)
	}
	return all, nil
}

// next is when the interval in which a moment lies is over.
func next(t time.Time, step analyticsv1.Step, zone *time.Location) time.Time {
	if length := clockStep(step); length > 0 {
		return floor(t, length, zone).Add(length)
	}
	local := t.In(zone)
	for ahead := 1; ; ahead++ {
		var end time.Time
		switch y, m, d := local.Date(); step {
		case analyticsv1.Step_STEP_MONTH:
			end = midnight(y, m+time.Month(ahead), 1, zone)
		case analyticsv1.Step_STEP_WEEK:
			end = midnight(y, m, d-(int(local.Weekday())+6)%7+7*ahead, zone)
		default:
			end = midnight(y, m, d+ahead, zone)
		}
		if end.After(t) { // a day that a zone left out has no length
			return end
		}
	}
}

// floor is when the clock of the zone showed a multiple of a length of time last.
func floor(t time.Time, length time.Duration, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	seconds := int64(length / time.Second)
	return time.Unix(t.Unix()-mod(t.Unix()+int64(offset), seconds), 0)
}

func mod(a, b int64) int64 { return (a%b + b) % b }

// midnight is the first moment of a day, which is not at 0:00 where the clock was put forward then.
func midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	utc := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	var found []time.Time
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := utc.Add(near).In(zone).Zone()
		t := utc.Add(-time.Duration(offset) * time.Second)
		if _, there := t.In(zone).Zone(); there == offset {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		_, end := utc.Add(-24 * time.Hour).In(zone).ZoneBounds()
		return end
	}
	return slices.MinFunc(found, time.Time.Compare)
}

// before gives the period of the same length that ends where one begins: as many months where it is whole months, else as many days, and what
// is left by the clock.
func before(from, until time.Time, zone *time.Location) time.Time {
	first, last := from.In(zone), until.In(zone)
	if monthly(from, zone) && monthly(until, zone) {
		months := 12*(last.Year()-first.Year()) + int(last.Month()-first.Month())
		return midnight(first.Year(), first.Month()-time.Month(months), 1, zone)
	}
	y, m, d := first.Date()
	ly, lm, ld := last.Date()
	days := int(time.Date(ly, lm, ld, 0, 0, 0, 0, time.UTC).Sub(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
	for days > 0 && first.AddDate(0, 0, days).After(until) {
		days--
	}
	rest := until.Sub(first.AddDate(0, 0, days))
	start := from.Add(-rest).In(zone)
	if start.Equal(midnight(start.Year(), start.Month(), start.Day(), zone)) {
		return midnight(start.Year(), start.Month(), start.Day()-days, zone)
	}
	return start.AddDate(0, 0, -days)
}

func monthly(t time.Time, zone *time.Location) bool {
	local := t.In(zone)
	return t.Equal(midnight(local.Year(), local.Month(), 1, zone))
}

// zoneOf finds a time zone.
func zoneOf(name string) (*time.Location, error) {
	switch name {
	case "":
		return time.UTC, nil
	case "Local":
		return nil, errors.New("not a time zone: give a name such as Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("not a time zone: %q: give a name such as Europe/Berlin", name)
	}
	return zone, nil
}
