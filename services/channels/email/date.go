package email

import (
	"strconv"
	"strings"
	"time"
)

// parseDate reads a Date field: RFC 5322 with its obsolete forms (two-digit years, zones by name, no seconds, comments),
// and what senders write instead: a month before the day, ctime, ISO 8601, dashes. The standard library reads fewer, and
// takes a zone by name for UTC. Without a zone the time counts as UTC.
func parseDate(s string) (time.Time, bool) {
	s, _ = cutComments(s)
	if t, err := time.Parse(time.RFC3339, strings.TrimSpace(s)); err == nil {
		return t.UTC(), true
	}
	day, month, year, offset := 0, time.Month(0), -1, 0
	clock, hasClock := time.Duration(0), false
	words := strings.FieldsFunc(strings.ReplaceAll(s, "/", "-"), func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
	for i, word := range words {
		zone, isZone := parseZone(word)
		switch {
		case strings.Contains(word, ":") && !hasClock:
			if clock, offset, hasClock = parseClock(word); !hasClock {
				return time.Time{}, false
			}
			if i+1 < len(words) && strings.EqualFold(words[i+1], "pm") && clock < 12*time.Hour {
				clock += 12 * time.Hour
			}
		case parseMonth(word) != 0 && month == 0:
			month = parseMonth(word)
		case isZone && hasClock:
			offset = zone
		case strings.Count(word, "-") == 2 && month == 0: // 22-Aug-2002 or 2002-08-22; 08-09-2002 is anybody's guess
			parts := strings.Split(word, "-")
			month = parseMonth(parts[1])
			if len(parts[0]) == 4 {
				parts[0], parts[2] = parts[2], parts[0]
				month = max(month, time.Month(number(parts[1])))
			}
			day, year = number(parts[0]), fullYear(parts[2])
		case number(word) < 0:
		case day == 0 && len(word) <= 2:
			day = number(word)
		case year < 0:
			year = fullYear(word)
		}
	}
	if !hasClock || month < 1 || month > 12 || day < 1 || day > 31 || year < 1 || year > 9999 {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day { // such as 31 June
		return time.Time{}, false
	}
	t = t.Add(clock - time.Duration(offset)*time.Second)
	return t, t.Year() >= 1 && t.Year() <= 9999
}

// parseClock reads 13:05, 13:05:07, 13:05:07.25 and 13:05:07+0200.
func parseClock(s string) (clock time.Duration, offset int, ok bool) {
	if i := strings.IndexAny(s, "+-"); i > 0 {
		if offset, ok = parseZone(s[i:]); !ok {
			return 0, 0, false
		}
		s = s[:i]
	}
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, 0, false
	}
	limits, units := []int{24, 60, 61}, []time.Duration{time.Hour, time.Minute, time.Second}
	for i, part := range parts {
		part, _, _ = strings.Cut(part, ".")
		n := number(part)
		if n < 0 || n >= limits[i] {
			return 0, 0, false
		}
		clock += time.Duration(n) * units[i]
	}
	return clock, offset, true
}

// zones are those of RFC 5322, section 4.3, and others that mails name, in hours east.
//
//nolint:gochecknoglobals // a table
var zones = map[string]float64{
	"ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "bst": 1, "west": 1, "cet": 1, "met": 1, "mez": 1, "cest": 2, "mest": 2, "mesz": 2,
	"eet": 2, "sast": 2, "eest": 3, "msk": 3, "msd": 4, "ist": 5.5, "hkt": 8, "sgt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10,
	"aedt": 11, "nzst": 12, "nzdt": 13, "ast": -4, "adt": -3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
	"pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10,
}

// parseZone reads a zone as seconds east of UTC.
func parseZone(s string) (seconds int, ok bool) {
	if hours, known := zones[strings.ToLower(s)]; known {
		return int(hours * 3600), true
	}
	if len(s) < 5 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	digits := strings.ReplaceAll(s[1:], ":", "")
	n := number(digits)
	if len(digits) != 4 || n < 0 || n%100 >= 60 || n >= 2400 {
		return 0, false
	}
	seconds = n/100*3600 + n%100*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func parseMonth(s string) time.Month {
	if len(s) < 3 {
		return 0
	}
	at := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(s[:3]))
	if at < 0 || at%3 != 0 {
		return 0
	}
	return time.Month(at/3 + 1)
}

// fullYear reads a year; one of two or three digits as RFC 5322, section 4.3 says.
func fullYear(s string) int {
	n := number(s)
	switch {
	case n < 0:
		return -1
	case len(s) <= 2 && n < 50:
		return n + 2000
	case len(s) <= 3:
		return n + 1900
	}
	return n
}

// number reads decimal digits; -1 where there is anything else.
func number(s string) int {
	if s == "" || len(s) > 6 {
		return -1
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
	}
	n, _ := strconv.Atoi(s) // digits only
	return n
}

func itoa(n int) string { return strconv.Itoa(n) }
