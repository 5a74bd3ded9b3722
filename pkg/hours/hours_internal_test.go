package hours

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func calendarOf(t testing.TB, zone string, open, except []string) *Calendar {
	t.Helper()
	c, err := New(zone, open, except)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestATargetCountsInOpenHoursOnly(t *testing.T) {
	office := []string{"mon-fri 09:00-12:30 13:30-18:00", "sat 10:00-14:00"}
	for name, c := range map[string]struct {
		zone         string
		open, except []string
		from         string
		target       time.Duration
		due          string
	}{
		"within an opening": {
			"Europe/Berlin", office, nil, "2026-03-02T09:15:00+01:00", time.Hour, "2026-03-02T10:15:00+01:00",
		},
		"to the very end of an opening": {
			"Europe/Berlin", office, nil, "2026-03-02T10:30:00+01:00", 2 * time.Hour, "2026-03-02T12:30:00+01:00",
		},
		"over the lunch break": {
			"Europe/Berlin", office, nil, "2026-03-02T12:00:00+01:00", time.Hour, "2026-03-02T14:00:00+01:00",
		},
		"from the night": {
			"Europe/Berlin", office, nil, "2026-03-02T03:00:00+01:00", time.Hour, "2026-03-02T10:00:00+01:00",
		},
		"over the weekend": {
			"Europe/Berlin", office, nil, "2026-03-06T17:30:00+01:00", 5 * time.Hour, "2026-03-09T09:30:00+01:00",
		},
		"over a holiday of every year": {
			"Europe/Berlin", office,
			[]string{"12-25/12-26 closed", "12-24 09:00-12:00"},
			"2026-12-24T11:00:00+01:00", 2 * time.Hour, "2026-12-28T10:00:00+01:00",
		},
		"over a stretch around the turn of the year": {
			"Europe/Berlin", office, []string{"12-24/01-06 closed"}, "2026-12-23T17:00:00+01:00", 2 * time.Hour, "2027-01-07T10:00:00+01:00",
		},
		"the year's own word counts more than that of every year": {
			"Europe/Berlin", office, []string{"2026-12-25 10:00-11:00", "12-25 closed"}, "2026-12-25T09:00:00+01:00", time.Hour, "2026-12-25T11:00:00+01:00",
		},
		"golden week, and the Saturday that is worked for it": {
			"Asia/Shanghai",
			[]string{"mon-fri 09:00-18:00"},
			[]string{"2026-10-01/2026-10-07 closed", "2026-10-10 09:00-18:00"},
			"2026-09-30T17:00:00+08:00", 3*9*time.Hour + time.Hour, "2026-10-10T18:00:00+08:00",
		},
		"a night without the hour that is left out": {
			"Europe/Berlin", []string{"daily 00:00-06:00"}, nil, "2026-03-29T01:00:00+01:00", 3 * time.Hour, "2026-03-29T05:00:00+02:00",
		},
		"a night with the hour that comes twice": {
			"Europe/Berlin", []string{"daily 00:00-06:00"}, nil, "2026-10-25T01:00:00+02:00", 4 * time.Hour, "2026-10-25T04:00:00+01:00",
		},
		"office hours over a change of the clock": {
			"Europe/Berlin", []string{"sat,mon 09:00-17:00"}, nil, "2026-03-28T16:00:00+01:00", 2 * time.Hour, "2026-03-30T10:00:00+02:00",
		},
		"round the clock": {
			"Europe/Berlin", []string{"daily 00:00-24:00"}, nil, "2026-03-28T16:00:00+01:00", 48 * time.Hour, "2026-03-30T17:00:00+02:00",
		},
		"due far away": {
			"Europe/Berlin", []string{"mon 09:00-10:00"}, nil, "2026-03-02T00:00:00+01:00", 520 * time.Hour, "2036-02-11T10:00:00+01:00",
		},
		"a part of a second": {
			"UTC", office, nil, "2026-03-02T12:29:59.5Z", time.Second, "2026-03-02T13:30:00.5Z",
		},
	} {
		t.Run(name, func(t *testing.T) {
			due, ok := calendarOf(t, c.zone, c.open, c.except).Add(parse(t, c.from), c.target)
			if !ok || !due.Equal(parse(t, c.due)) {
				t.Errorf("due at %v, not %v", due, parse(t, c.due).UTC())
			}
		})
	}
}

func parse(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWithoutHoursEveryMomentCounts(t *testing.T) {
	var always *Calendar
	from := parse(t, "2026-03-28T16:00:00+01:00")
	if due, ok := always.Add(from, 48*time.Hour); !ok || !due.Equal(from.Add(48*time.Hour)) {
		t.Error(due)
	}
}

// The naive count looks at each minute: it counts where the clock on the wall shows an opening of its day.
func TestBusinessHoursAreTheMinutesAtWhichTheDoorIsOpen(t *testing.T) {
	begins := []time.Time{ // days before something happens to the clock or the calendar
		parse(t, "2026-03-27T00:00:00Z"), parse(t, "2026-10-23T00:00:00Z"), parse(t, "2026-12-23T00:00:00Z"), parse(t, "2028-02-27T00:00:00Z"),
		parse(t, "2026-04-03T00:00:00Z"), parse(t, "2011-12-28T00:00:00Z"),
	}
	rapid.Check(t, func(t *rapid.T) {
		clock := func(from int, label string) int { return rapid.IntRange(from, 24*4).Draw(t, label) }
		hours := func(label string) string {
			var parts []string
			for range rapid.IntRange(1, 3).Draw(t, label) {
				from := rapid.IntRange(0, 24*4-1).Draw(t, "from")
				to := clock(from+1, "to")
				parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", from/4, from%4*15, to/4, to%4*15))
			}
			return strings.Join(parts, " ")
		}
		zone := rapid.SampledFrom([]string{
			"Europe/Berlin", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC",
		}).Draw(t, "zone")
		var open, except []string
		days := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
		for range rapid.IntRange(1, 4).Draw(t, "weekly") {
			open = append(open, rapid.SampledFrom(days).Draw(t, "first")+"-"+rapid.SampledFrom(days).Draw(t, "last")+" "+hours("openings"))
		}
		for range rapid.IntRange(0, 3).Draw(t, "exceptions") {
			what := "closed"
			if rapid.Bool().Draw(t, "other hours") {
				what = hours("instead")
			}
			except = append(except, rapid.SampledFrom([]string{"2026-03-29", "10-25", "12-25/12-27", "12-31/01-02", "02-29", "2028-02-28/2028-03-01"}).Draw(t, "date")+" "+what)
		}
		c, err := New(zone, open, except)
		if err != nil {
			t.Fatal(err)
		}
		from := rapid.SampledFrom(begins).Draw(t, "begin").Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(t, "minute")) * time.Minute)
		target := rapid.IntRange(1, 40*60).Draw(t, "target")
		due, ok := c.Add(from, time.Duration(target)*time.Minute)
		if !ok {
			t.Fatal("never")
		}
		at := from
		for left := target; left > 0; at = at.Add(time.Minute) {
			if openAt(c, at) {
				left--
			}
		}
		if !at.Equal(due) {
			t.Fatalf("%d minutes from %v: due at %v, counted to %v", target, from, due, at)
		}
	})
}

// openAt tells whether the door is open, by the rules as they stand.
func openAt(c *Calendar, at time.Time) bool {
	local := at.In(c.zone)
	for _, o := range c.of(dayOf(local), local.Weekday()) {
		if second := int64(local.Hour()*3600 + local.Minute()*60); second >= o.from && second < o.to {
			return true
		}
	}
	return false
}

func FuzzOpen(f *testing.F) {
	for _, text := range []string{"mon-fri 09:00-17:30", "sat,sun 10:00-12:00 13:00-24:00", "daily 00:00-24:00", "fri-mon 09:00-08:00", "", " ", "mon -", "mon 9:00-10:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &Calendar{}
		if c.addWeekly(text) != nil {
			return
		}
		for _, openings := range c.weekly {
			wellFormed(t, openings)
		}
	})
}

func FuzzExcept(f *testing.F) {
	for _, text := range []string{"2026-12-25 closed", "12-25 closed", "2026-10-01/2026-10-07 closed", "12-24/01-02 closed", "2026-10-10 09:00-18:00", "02-29 closed", "02-30 closed", "2026-10-07/2026-10-01 closed"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &Calendar{yearly: map[day][]opening{}, dated: map[day][]opening{}}
		if c.addDays(text) != nil {
			return
		}
		if n := len(c.yearly) + len(c.dated); n == 0 || n > 367 {
			t.Errorf("%q gives %d days", text, n)
		}
		for _, days := range []map[day][]opening{c.yearly, c.dated} {
			for _, openings := range days {
				wellFormed(t, openings)
			}
		}
	})
}

func wellFormed(t *testing.T, openings []opening) {
	t.Helper()
	end := int64(-1)
	for _, o := range openings {
		if o.from <= end || o.to <= o.from || o.to > secondsOfDay {
			t.Fatalf("openings %v", openings)
		}
		end = o.to
	}
}

func TestOpenWithinTellsWhetherAnyOfAStretchIsOpen(t *testing.T) {
	c, err := New("Europe/Berlin", []string{"mon-fri 09:00-12:00 13:00-17:00"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for _, s := range []struct {
		from, until string
		open        bool
	}{
		{"2026-03-02T08:30:00+01:00", "2026-03-02T09:00:00+01:00", false}, // a Monday
		{"2026-03-02T08:30:00+01:00", "2026-03-02T09:00:01+01:00", true},
		{"2026-03-02T12:00:00+01:00", "2026-03-02T13:00:00+01:00", false},
		{"2026-03-02T11:59:59+01:00", "2026-03-02T13:00:00+01:00", true},
		{"2026-03-07T00:00:00+01:00", "2026-03-09T09:00:00+01:00", false},
	} {
		if c.OpenWithin(at(s.from), at(s.until)) != s.open {
			t.Error(s)
		}
	}
	if !(*Calendar)(nil).OpenWithin(at("2026-03-07T00:00:00Z"), at("2026-03-07T00:15:00Z")) {
		t.Error("without business hours it is always open")
	}
}
