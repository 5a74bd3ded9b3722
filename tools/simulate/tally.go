package simulate

import (
	"maps"
	"slices"
	"strings"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// Question is what is asked of a ledger.
type Question struct {
	From, Until time.Time
	Zone        *time.Location
	Step        analyticsv1.Step
	Attribution analyticsv1.Attribution
	GroupBy     []string
	Filters     []Filter
}

// Filter has count what has one of the values in a dimension, or none of them.
type Filter struct {
	Dimension string
	Values    []string
	Exclude   bool
}

// Number is a metric's value: what is divided, and by what.
type Number struct{ Numerator, Denominator float64 }

// Value is the number; false where there is nothing to divide by.
func (n Number) Value() (float64, bool) {
	if n.Denominator == 0 {
		return 0, false
	}
	return n.Numerator / n.Denominator, true
}

// Cell is where a number stands: values of the dimensions, with a zero byte behind each, and the place of the interval.
type Cell struct {
	Group    string
	Interval int
}

// Whole is the cell of all together.
var Whole = Cell{"", -1} //nolint:gochecknoglobals // read only

// Intervals are when those of a question begin.
func (q *Question) Intervals() (all []time.Time) {
	for t := q.From; t.Before(q.Until); t = q.after(t) {
		all = append(all, t)
	}
	return all
}

// after is when the interval of a moment is over: when the clock of the zone shows a multiple of the step next, or another day.
func (q *Question) after(t time.Time) time.Time {
	steps := map[analyticsv1.Step]time.Duration{
		analyticsv1.Step_STEP_QUARTER: 15 * time.Minute, analyticsv1.Step_STEP_HALF_HOUR: 30 * time.Minute, analyticsv1.Step_STEP_HOUR: time.Hour,
		analyticsv1.Step_STEP_DAY: 24 * time.Hour,
	}
	width := steps[q.Step]
	if width == 0 {
		return q.Until
	}
	local := t.In(q.Zone)
	if q.Step == analyticsv1.Step_STEP_DAY {
		y, m, d := local.Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, q.Zone)
	}
	_, offset := local.Zone()
	ahead := time.Duration(offset) * time.Second
	return t.Add(ahead).Truncate(width).Add(width - ahead)
}

// Known tells whether the day has a truth for a metric by a dimension. Where nothing counts, it has.
func (l *Ledger) Known(metric, dimension string) bool {
	a := l.accounts[metric]
	if a == nil {
		return false
	}
	for _, some := range [][]entry{a.numerator, a.denominator} {
		for _, e := range some {
			_, ok := e.traits[dimension]
			return ok
		}
	}
	return true
}

// Metrics are the names of those that the ledger has.
func (l *Ledger) Metrics() []string { return slices.Sorted(maps.Keys(l.accounts)) }

// Report answers a question about a metric: a number for each cell in which something counts, and the Whole.
func (l *Ledger) Report(metric string, q Question) map[Cell]Number {
	a := l.accounts[metric]
	numerator := a.numerator
	if q.Attribution == analyticsv1.Attribution_ATTRIBUTION_REAL_TIME && a.split != nil {
		numerator = a.split
	}
	t := tally{q: q, begins: q.Intervals(), way: a.way}
	above, below := t.add(numerator), map[Cell]float64{}
	if a.ratio {
		t.way = sums
		below = t.add(a.denominator)
	}
	all := map[Cell]Number{Whole: {above[Whole], below[Whole]}}
	for cell, n := range above {
		all[cell] = Number{n, below[cell]}
	}
	for cell, n := range below {
		all[cell] = Number{above[cell], n}
	}
	if !a.ratio {
		for cell, n := range all {
			all[cell] = Number{n.Numerator, 1}
		}
	}
	if _, there := above[Whole]; a.way == highest && !there {
		all[Whole] = Number{}
	}
	return all
}

// Things are what counts in a part of a metric, with what they add; what counts in stretches of time has none.
func (l *Ledger) Things(metric string, part analyticsv1.Part, q Question) map[Thing]float64 {
	a := l.accounts[metric]
	entries := a.numerator
	if part != analyticsv1.Part_PART_NUMERATOR && a.ratio {
		entries = a.denominator
	}
	all, t := map[Thing]float64{}, tally{q: q, begins: q.Intervals()}
	for n := range entries {
		e := &entries[n]
		at := e.at
		if q.Attribution == analyticsv1.Attribution_ATTRIBUTION_DISCONNECT {
			at = e.ended
		}
		if _, in := t.place(at); in && t.passes(e) {
			thing := e.thing
			thing.At = at
			all[thing] += e.adds
		}
	}
	return all
}

// tally adds entries up.
type tally struct {
	q      Question
	begins []time.Time
	way    way
}

func (t *tally) add(entries []entry) map[Cell]float64 {
	sum, seen := map[Cell]float64{}, map[string]bool{}
	put := func(e *entry, place int, adds float64) {
		for _, cell := range []Cell{{t.group(e), place}, Whole} {
			if cell != Whole && len(t.q.GroupBy) == 0 && t.q.Step == analyticsv1.Step_STEP_UNSPECIFIED {
				continue
			}
			switch t.way {
			case highest:
				sum[cell] = max(sum[cell], adds)
			case distinct:
				if once := cell.Group + "\x01" + string(rune(cell.Interval+1)) + e.name; !seen[once] {
					seen[once] = true
					sum[cell]++
				}
			default:
				sum[cell] += adds
			}
		}
	}
	for n := range entries {
		e := &entries[n]
		if !t.passes(e) {
			continue
		}
		switch {
		case t.way == standing:
			t.stand(e, sum)
		case e.until != 0:
			for place, begin := range t.begins {
				from, until := max(e.at, begin.UnixNano()), min(e.until, t.end(place).UnixNano())
				if from < until {
					put(e, place, e.adds*seconds64(until-from))
				}
			}
		default:
			at := e.at
			if t.q.Attribution == analyticsv1.Attribution_ATTRIBUTION_DISCONNECT {
				at = e.ended
			}
			if place, in := t.place(at); in {
				put(e, place, e.adds)
			}
		}
	}
	return sum
}

// stand counts what is open at the ends of intervals; of the whole, at the end of the period.
func (t *tally) stand(e *entry, sum map[Cell]float64) {
	for place := range t.begins {
		end := t.end(place).UnixNano()
		if e.at >= end || e.until < end {
			continue
		}
		if len(t.q.GroupBy) > 0 || t.q.Step != analyticsv1.Step_STEP_UNSPECIFIED {
			sum[Cell{t.group(e), place}]++
		}
		if place == len(t.begins)-1 {
			sum[Whole]++
		}
	}
}

func (t *tally) end(place int) time.Time {
	if place+1 < len(t.begins) {
		return t.begins[place+1]
	}
	return t.q.Until
}

// place is the interval of a moment.
func (t *tally) place(at int64) (place int, in bool) {
	if at == 0 || at < t.q.From.UnixNano() || at >= t.q.Until.UnixNano() {
		return 0, false
	}
	n, exact := slices.BinarySearchFunc(t.begins, at, func(begin time.Time, at int64) int { return int(begin.UnixNano() - at) })
	if !exact {
		n--
	}
	return n, true
}

func (t *tally) group(e *entry) string {
	var b strings.Builder
	for _, dimension := range t.q.GroupBy {
		b.WriteString(e.traits[dimension] + "\x00")
	}
	return b.String()
}

func (t *tally) passes(e *entry) bool {
	for _, f := range t.q.Filters {
		if slices.Contains(f.Values, e.traits[f.Dimension]) == f.Exclude {
			return false
		}
	}
	return true
}
