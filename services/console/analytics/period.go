package analytics

import (
	"context"
	"strings"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/web"
)

// The periods that have a name.
const (
	today     = "today"
	yesterday = "yesterday"
	sevenDays = "7d"
	month     = "30d"
	thisMonth = "month"
	year      = "12m"
	fromTo    = "custom"
)

// named are the periods to choose from, in their order; the usual one is what a page begins with.
func named() []string { return []string{today, yesterday, sevenDays, month, thisMonth, year} }

const usual = sevenDays

// period is a stretch of time by the calendar of a zone.
type period struct {
	name string
	// from and to are what a person wrote, where the period has no name: a day, the last one included, or a moment.
	from, to string
	// begin is the first moment, and end the first one behind it.
	begin, end time.Time
	// goesOn tells that the period reaches up to now.
	goesOn bool
}

// periodOf reads a period. What a person wrote wrongly is told in the language of the context, and the usual period stands for it.
func periodOf(ctx context.Context, name, from, to string, now time.Time, zone *time.Location) (period, error) {
	day := midnight(now, 0, zone)
	p := period{name: name, begin: day, end: now, goesOn: true}
	switch name {
	case today:
	case yesterday:
		p.begin, p.end, p.goesOn = midnight(now, -1, zone), day, false
	case sevenDays:
		p.begin = midnight(now, -6, zone)
	case month:
		p.begin = midnight(now, -29, zone)
	case thisMonth:
		p.begin = firstOfMonth(now, 0, zone)
	case year:
		p.begin = firstOfMonth(now, -11, zone)
	case fromTo:
		written, err := writtenPeriod(ctx, from, to, now, zone)
		if err != nil {
			written, _ = periodOf(ctx, usual, "", "", now, zone) // a named one is never wrong
		}
		return written, err
	default:
		return periodOf(ctx, usual, "", "", now, zone)
	}
	return p, nil
}

// writtenPeriod reads what a person wrote. A period that ends in the future ends now.
func writtenPeriod(ctx context.Context, from, to string, now time.Time, zone *time.Location) (period, error) {
	p := period{name: fromTo, from: from, to: to, end: now}
	var wholeDay bool
	var err error
	if p.begin, _, err = moment(ctx, from, zone); err != nil {
		return p, err
	}
	if to != "" {
		if p.end, wholeDay, err = moment(ctx, to, zone); err != nil {
			return p, err
		}
	}
	if wholeDay {
		p.end = midnight(p.end, 1, zone)
	}
	if p.goesOn = to == "" || p.end.After(now); p.goesOn {
		p.end = now
	}
	switch {
	case !p.begin.Before(now):
		return p, web.Bad(lang.T(ctx, "The period has not begun yet."))
	case !p.begin.Before(p.end):
		return p, web.Bad(lang.T(ctx, "The period ends before it begins."))
	}
	return p, nil
}

// moment reads a day, or a moment with or without its offset.
func moment(ctx context.Context, text string, zone *time.Location) (t time.Time, wholeDay bool, err error) {
	if t, err = time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return midnight(t.Add(12*time.Hour), 0, zone), true, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err = time.ParseInLocation(layout, text, zone); err == nil {
			return t.In(zone), false, nil
		}
	}
	return t, false, web.Bad(lang.T(ctx, "Write a day as 2026-03-12: %s", text))
}

// midnight is the first moment of the day so many days from that of a moment.
func midnight(t time.Time, days int, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return dayBegins(y, m, d+days, zone)
}

func firstOfMonth(t time.Time, months int, zone *time.Location) time.Time {
	y, m, _ := t.In(zone).Date()
	return dayBegins(y, m+time.Month(months), 1, zone)
}

// dayBegins is the first moment of a day, which is an hour later than 0:00 where the clock was put forward then.
func dayBegins(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if t.Day() != time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Day() {
		t = t.Add(time.Hour)
	}
	return t
}

// before is the period that one is compared with: as many whole months before where it is whole months, or the month up to now; else as many
// days before, so that days stand beside days and hours beside hours.
func (p period) before(zone *time.Location) (begin, end time.Time) {
	first, last := p.begin.In(zone), p.end.In(zone)
	if months := p.months(zone); months > 0 {
		begin = dayBegins(first.Year(), first.Month()-time.Month(months), first.Day(), zone)
		if p.goesOn {
			end = last.AddDate(0, -months, 0)
		} else {
			end = dayBegins(last.Year(), last.Month()-time.Month(months), last.Day(), zone)
		}
		if end.After(p.begin) {
			end = p.begin // a shorter month
		}
		return begin, end
	}
	days := 1
	for first.AddDate(0, 0, days).Before(last) {
		days++
	}
	return first.AddDate(0, 0, -days), last.AddDate(0, 0, -days)
}

// months are as many as a period has where it begins with one, and ends with one or goes on.
func (p period) months(zone *time.Location) int {
	first, last := p.begin.In(zone), p.end.In(zone)
	begins := p.begin.Equal(firstOfMonth(p.begin, 0, zone))
	switch ends := p.end.Equal(firstOfMonth(p.end, 0, zone)); {
	case !begins, !ends && p.name != thisMonth && p.name != year:
		return 0
	case ends:
		return 12*(last.Year()-first.Year()) + int(last.Month()-first.Month())
	}
	return 12*(last.Year()-first.Year()) + int(last.Month()-first.Month()) + 1
}

// steps are the lengths of intervals to choose from, as addresses name them.
func steps() []string { return []string{"none", "15m", "30m", "hour", "day", "week", "month"} }

func stepOf(name string) analyticsv1.Step {
	return map[string]analyticsv1.Step{
		"15m": analyticsv1.Step_STEP_QUARTER, "30m": analyticsv1.Step_STEP_HALF_HOUR, "hour": analyticsv1.Step_STEP_HOUR,
		"day": analyticsv1.Step_STEP_DAY, "week": analyticsv1.Step_STEP_WEEK, "month": analyticsv1.Step_STEP_MONTH,
	}[name]
}

// fitting is a step in which a period has neither too few intervals to see anything nor too many.
func (p period) fitting() string {
	const day = 24 * time.Hour
	switch length := p.end.Sub(p.begin); {
	case length <= 3*time.Hour:
		return "15m"
	case length <= 2*day+time.Hour:
		return "hour"
	case length <= 62*day:
		return "day"
	case length <= 190*day:
		return "week"
	}
	return "month"
}

// intervals are when those of a period begin, at most so many.
func (p period) intervals(step string, zone *time.Location, most int) []time.Time {
	t := p.begin.Truncate(15 * time.Minute)
	all := []time.Time{t}
	for t = after(t, step, zone); t.Before(p.end) && len(all) < most; t = after(t, step, zone) {
		all = append(all, t)
	}
	return all
}

// after is when the interval in which a moment lies is over.
func after(t time.Time, step string, zone *time.Location) time.Time {
	switch step {
	case "day":
		return midnight(t, 1, zone)
	case "week":
		return midnight(t, 7-(int(t.In(zone).Weekday())+6)%7, zone)
	case "month":
		return firstOfMonth(t, 1, zone)
	}
	length := map[string]time.Duration{"15m": 15 * time.Minute, "30m": 30 * time.Minute}[step]
	if length == 0 {
		length = time.Hour
	}
	_, offset := t.In(zone).Zone()
	local := t.Add(time.Duration(offset) * time.Second)
	return local.Truncate(length).Add(length).Add(-time.Duration(offset) * time.Second)
}

// intervalName is an interval in words.
func intervalName(ctx context.Context, t time.Time, step string) string {
	t = t.In(lang.Zone(ctx))
	chinese := lang.Tag(ctx) == "zh"
	switch {
	case step == "month" && chinese:
		return t.Format("2006年1月")
	case step == "month":
		return t.Format("January 2006")
	case step == "week":
		return lang.T(ctx, "Week of %s", lang.Date(ctx, t))
	case step == "day" && chinese:
		return t.Format("2006年1月2日 ") + strings.TrimPrefix(weekday(ctx, t.Weekday()), "星期")
	case step == "day":
		return t.Format("Mon, 2 Jan 2006")
	}
	return lang.Moment(ctx, t)
}

func weekday(ctx context.Context, d time.Weekday) string {
	switch d {
	case time.Monday:
		return lang.T(ctx, "Monday")
	case time.Tuesday:
		return lang.T(ctx, "Tuesday")
	case time.Wednesday:
		return lang.T(ctx, "Wednesday")
	case time.Thursday:
		return lang.T(ctx, "Thursday")
	case time.Friday:
		return lang.T(ctx, "Friday")
	case time.Saturday:
		return lang.T(ctx, "Saturday")
	case time.Sunday:
		return lang.T(ctx, "Sunday")
	}
	return ""
}

// words are a period in words.
func (p period) words(ctx context.Context) string {
	switch p.name {
	case today:
		return lang.T(ctx, "Today")
	case yesterday:
		return lang.T(ctx, "Yesterday")
	case sevenDays:
		return lang.T(ctx, "7 days")
	case month:
		return lang.T(ctx, "30 days")
	case thisMonth:
		return lang.T(ctx, "This month")
	case year:
		return lang.T(ctx, "12 months")
	}
	return stretch(ctx, p.begin, p.end)
}

// stretch is a period in dates, its last day included, or in moments where it is no whole days.
func stretch(ctx context.Context, begin, end time.Time) string {
	zone := lang.Zone(ctx)
	if !begin.Equal(midnight(begin, 0, zone)) || !end.Equal(midnight(end, 0, zone)) {
		return lang.Moment(ctx, begin) + " – " + lang.Moment(ctx, end)
	}
	last := midnight(end, -1, zone)
	if last.Equal(begin) {
		return lang.Date(ctx, begin)
	}
	return lang.Date(ctx, begin) + " – " + lang.Date(ctx, last)
}
