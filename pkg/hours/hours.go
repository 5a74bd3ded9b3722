// Package hours reads business hours as people write them, and counts time in them: "mon-fri 09:00-17:30", "12-25 closed".
package hours

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// horizon is how far ahead a moment in business hours is looked for.
const horizon = 100 * 365 * 24 * time.Hour

const secondsOfDay = 24 * 60 * 60

// Calendar is when a company is open. It goes by the clock on the wall: a moment counts where the local time of day lies in an opening,
// so that of a day on which the clock is put forward or back exactly that counts for which the door is open. A nil Calendar is open always.
// It does not change, and is safe for concurrent use.
type Calendar struct {
	zone   *time.Location
	weekly [7][]opening // from Sunday
	yearly map[day][]opening
	dated  map[day][]opening
}

// opening is a part of a day: from a second, to before another.
type opening struct{ from, to int64 }

// day is a date; one of every year has the year 0.
type day struct {
	year  int
	month time.Month
	day   int
}

// Add gives the moment by which so much time that counts has gone by. It is false where that is more than 100 years ahead.
func (c *Calendar) Add(from time.Time, d time.Duration) (due time.Time, ok bool) {
	last := from.Add(horizon)
	if c == nil || d <= 0 {
		due = from.Add(d)
		return due, due.Before(last)
	}
	for at := from; at.Before(last); {
		local := at.In(c.zone)
		midnight, end := stretch(local)
		for _, o := range c.of(dayOf(local), local.Weekday()) {
			open, closed := time.Unix(midnight+o.from, 0), time.Unix(midnight+o.to, 0)
			if open.Before(at) {
				open = at
			}
			if closed.After(end) {
				closed = end
			}
			length := closed.Sub(open)
			if length >= d {
				return open.Add(d).UTC(), true
			}
			d -= max(length, 0)
		}
		at = end
	}
	return last, false
}

// OpenWithin tells whether it is open at some time from a moment to before another.
func (c *Calendar) OpenWithin(from, until time.Time) bool {
	first, ok := c.Add(from, 1) // behind the first nanosecond that counts
	return ok && !first.After(until)
}

// stretch gives the midnight from which a moment's local time of day counts, and until when it does: the end of the day, or before that
// the moment at which the clock is changed.
func stretch(local time.Time) (midnight int64, end time.Time) {
	hour, minute, second := local.Clock()
	midnight = local.Unix() - int64(hour*3600+minute*60+second)
	end = time.Unix(midnight+secondsOfDay, 0)
	if _, change := local.ZoneBounds(); !change.IsZero() && change.Before(end) {
		end = change
	}
	return midnight, end
}

// of gives the openings of a day, in their order.
func (c *Calendar) of(d day, weekday time.Weekday) []opening {
	if openings, ok := c.dated[d]; ok {
		return openings
	}
	d.year = 0
	if openings, ok := c.yearly[d]; ok {
		return openings
	}
	return c.weekly[weekday]
}

// Opens tells whether there is an opening that comes again and again.
func (c *Calendar) Opens() bool {
	if c == nil {
		return true
	}
	const cycle = 28 * 366 // by then every date was on every weekday
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	for range cycle {
		d := dayOf(at)
		d.year = 0
		if len(c.of(d, at.Weekday())) > 0 {
			return true
		}
		at = at.AddDate(0, 0, 1)
	}
	return false
}

func dayOf(t time.Time) day {
	year, month, d := t.Date()
	return day{year, month, d}
}

// New reads a calendar: the name of a time zone, UTC where it is empty; weekly openings; days that are otherwise. The error joins one for
// each thing that is wrong, which begins with what it is in: time_zone, open[0] or except[0], then a colon.
func New(timeZone string, open, except []string) (*Calendar, error) {
	c := &Calendar{zone: time.UTC, yearly: map[day][]opening{}, dated: map[day][]opening{}}
	var errs []error
	if zone, err := time.LoadLocation(timeZone); err != nil || timeZone == "Local" {
		errs = append(errs, fmt.Errorf("time_zone: %q is no time zone, such as Europe/Berlin or Asia/Shanghai", timeZone))
	} else {
		c.zone = zone
	}
	for i, text := range open {
		if err := c.addWeekly(text); err != nil {
			errs = append(errs, fmt.Errorf("open[%d]: %w", i, err))
		}
	}
	for i, text := range except {
		if err := c.addDays(text); err != nil {
			errs = append(errs, fmt.Errorf("except[%d]: %w", i, err))
		}
	}
	if len(errs) == 0 && !c.Opens() {
		errs = append(errs, errors.New("open: there is no opening at all"))
	}
	return c, errors.Join(errs...)
}

// addWeekly adds weekly openings: "mon-fri 09:00-12:30 13:30-18:00".
func (c *Calendar) addWeekly(text string) error {
	days, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	openings, err := parseOpenings(rest)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	for part := range strings.SplitSeq(days, ",") {
		from, to, stretch := strings.Cut(part, "-")
		switch {
		case part == "daily":
			from, to = "mon", "sun"
		case !stretch:
			to = from
		}
		first, ok1 := parseWeekday(from)
		last, ok2 := parseWeekday(to)
		if !ok1 || !ok2 {
			return fmt.Errorf("%q: %q is no day of the week, such as mon, nor days, such as mon-fri or daily", text, part)
		}
		for d := first; ; d = (d + 1) % 7 {
			c.weekly[d] = merge(c.weekly[d], openings)
			if d == last {
				break
			}
		}
	}
	return nil
}

// addDays adds days that are otherwise: "2026-12-25 closed", "12-25 closed", "2026-10-01/2026-10-07 closed", "2026-10-10 09:00-18:00".
func (c *Calendar) addDays(text string) error {
	date, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	var openings []opening
	if rest = strings.TrimSpace(rest); rest != "closed" {
		var err error
		if openings, err = parseOpenings(rest); err != nil {
			return fmt.Errorf("%q: %w, or closed", text, err)
		}
	}
	from, to, stretch := strings.Cut(date, "/")
	if !stretch {
		to = from
	}
	first, yearly, err := parseDate(from)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	last, same, err := parseDate(to)
	switch {
	case err != nil:
		return fmt.Errorf("%q: %w", text, err)
	case yearly != same:
		return fmt.Errorf("%q: the year stands with one of the two dates only", text)
	case !yearly && last.Before(first):
		return fmt.Errorf("%q: it ends before it begins", text)
	case last.Sub(first) > 366*24*time.Hour:
		return fmt.Errorf("%q: it is longer than a year", text)
	}
	for at := first; ; at = at.AddDate(0, 0, 1) {
		d := dayOf(at)
		if yearly { // over the turn of the year, too
			at = time.Date(leapYear, d.month, d.day, 0, 0, 0, 0, time.UTC)
			c.yearly[day{0, d.month, d.day}] = openings
		} else {
			c.dated[d] = openings
		}
		if at.Equal(last) {
			return nil
		}
	}
}

// leapYear stands in for every year: it has all dates.
const leapYear = 2000

// parseDate reads 2026-12-25, or 12-25 for every year, which is one of leapYear then.
func parseDate(text string) (date time.Time, yearly bool, err error) {
	if date, err = time.Parse(time.DateOnly, text); err == nil {
		return date, false, nil
	}
	if date, err = time.Parse(time.DateOnly, strconv.Itoa(leapYear)+"-"+text); err == nil {
		return date, true, nil
	}
	return date, false, fmt.Errorf("%q is no date, such as 2026-12-25, or 12-25 for every year", text)
}

func parseWeekday(text string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

// parseOpenings reads "09:00-12:30 13:30-18:00".
func parseOpenings(text string) ([]opening, error) {
	var openings []opening
	for part := range strings.FieldsSeq(text) {
		from, to, _ := strings.Cut(part, "-")
		o := opening{}
		var ok1, ok2 bool
		o.from, ok1 = parseTime(from)
		o.to, ok2 = parseTime(to)
		switch {
		case !ok1 || !ok2:
			return nil, fmt.Errorf("%q is no opening, such as 09:00-17:30", part)
		case o.to <= o.from:
			return nil, fmt.Errorf("%q ends before it begins; what goes on after midnight is two openings, of two days", part)
		}
		openings = merge(openings, []opening{o})
	}
	if len(openings) == 0 {
		return nil, errors.New("it has no opening, such as 09:00-17:30")
	}
	return openings, nil
}

// parseTime reads 09:00, up to 24:00, as seconds of the day.
func parseTime(text string) (seconds int64, ok bool) {
	if text == "24:00" {
		return secondsOfDay, true
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return int64(at.Hour()*3600 + at.Minute()*60), true
}

// merge gives the openings of both, in their order; those that touch are one.
func merge(a, b []opening) []opening {
	all := slices.SortedFunc(slices.Values(slices.Concat(a, b)), func(x, y opening) int { return cmp.Compare(x.from, y.from) })
	merged := all[:0]
	for _, o := range all {
		if n := len(merged); n > 0 && o.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, o.to)
		} else {
			merged = append(merged, o)
		}
	}
	return merged
}
