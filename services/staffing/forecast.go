package staffing

import (
	"math"
	"time"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The weights of a week against the one after it: what is usual at an hour of the week is learnt slowly, how much comes at all quickly.
const (
	keepShape = 0.8
	keepLevel = 0.5
)

// enough is how many handled contacts, or how many that gave up, an interval or a day needs so that its own mean counts.
const enough = 10

const week = 7

// cell is what came in one interval of one week.
type cell struct {
	exposure  float64 // how long it was, in intervals: 0 where the clock was put forward over it, 2 where it was there twice
	count     float64
	handled   float64
	handle    time.Duration
	waited    time.Duration
	abandoned float64
}

// slots divide the week of a time zone into intervals by the clock on the wall.
type slots struct {
	zone     *time.Location
	interval time.Duration
}

func (s slots) perDay() int { return int(24 * time.Hour / s.interval) }

// of is the slot of a moment, from Sunday's midnight on.
func (s slots) of(t time.Time) int {
	local := t.In(s.zone)
	return int(local.Weekday())*s.perDay() + int(sinceMidnight(local)/s.interval)
}

// begin is the first moment of the interval in which a moment lies, and end the first one behind it. Where the clock is changed within
// an interval, that is two.
func (s slots) begin(t time.Time) time.Time {
	local := t.In(s.zone)
	begin := t.Add(-(sinceMidnight(local) % s.interval))
	if from, _ := local.ZoneBounds(); !from.IsZero() && from.After(begin) {
		return from.UTC()
	}
	return begin
}

func (s slots) end(t time.Time) time.Time {
	local := t.In(s.zone)
	end := t.Add(s.interval - sinceMidnight(local)%s.interval)
	if _, until := local.ZoneBounds(); !until.IsZero() && until.Before(end) {
		return until.UTC()
	}
	return end
}

// share is how long an interval is, in whole ones.
func (s slots) share(from, until time.Time) float64 {
	return float64(until.Sub(from)) / float64(s.interval)
}

// midnight is the first moment of the day that is so many days behind a moment's. Where the clock is put forward over midnight, it is one o'clock.
func (s slots) midnight(t time.Time, days int) time.Time {
	y, m, d := t.In(s.zone).Date()
	midnight := time.Date(y, m, d+days, 0, 0, 0, 0, s.zone)
	if _, change := midnight.ZoneBounds(); midnight.Hour() > 12 { // it would be on the day before
		midnight = change
	}
	return midnight
}

func sinceMidnight(local time.Time) time.Duration {
	h, m, sec := local.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second + time.Duration(local.Nanosecond())
}

// history is what came before a day, week by week: the first is the seven days before it.
type history struct {
	slots
	day   time.Time // midnight of the day before which it ends
	weeks [][]cell
	first int // days before day of the first visit; 0 where there is none
	today cell
}

func newHistory(s slots, asOf time.Time, weeks int) *history {
	h := &history{slots: s, day: s.midnight(asOf, 0), weeks: make([][]cell, weeks)}
	for i := range h.weeks {
		h.weeks[i] = make([]cell, week*s.perDay())
	}
	return h
}

// from is the first moment of it.
func (h *history) from() time.Time { return h.midnight(h.day, -week*len(h.weeks)) }

// before is how many days before its end a moment lies, by the calendar.
func (h *history) before(t time.Time) int {
	return int(date(h.day).Sub(date(t.In(h.zone))) / (24 * time.Hour))
}

// date is a day without a time zone.
func date(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// add adds a visit. What came on the day itself tells how long contacts take and wait, and no more.
func (h *history) add(v Visit, now time.Time) {
	c := &h.today
	if days := h.before(v.Entered); days > 0 {
		if days > week*len(h.weeks) {
			return
		}
		c = &h.weeks[(days-1)/week][h.of(v.Entered)]
		h.first = max(h.first, days)
	}
	c.count++
	c.handled += float64(v.Handled)
	c.handle += v.HandleTime
	left := v.Left
	if left.IsZero() {
		left = now
	}
	c.waited += max(0, left.Sub(v.Entered))
	if v.Outcome == eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED {
		c.abandoned++
	}
}

// expose counts which intervals there were since the day of the first visit.
func (h *history) expose() {
	for t := h.midnight(h.day, -h.first); t.Before(h.day); {
		end := h.end(t)
		h.weeks[(h.before(t)-1)/week][h.of(t)].exposure += h.share(t, end)
		t = end
	}
}

// busy is in how many weeks anything came.
func (h *history) busy() (n int) {
	for _, cells := range h.weeks {
		for _, c := range cells {
			if c.count > 0 {
				n++
				break
			}
		}
	}
	return n
}

// outlook is what is expected in each interval of a week.
type outlook struct {
	slots
	arrivals []float64
	handle   []time.Duration // 0 where nothing is known
	patience []time.Duration // 0 where nobody gave up
}

// forecast makes the outlook from all weeks but the latest ones.
//
// It is exponential smoothing with a multiplicative season of one week (Winters, 1960), without a trend: each interval of the week has its
// usual rate, smoothed over the weeks, and all of them are scaled by the level: what came in a week ÷ what is usual, smoothed likewise and
// faster.
func (h *history) forecast(without int) outlook {
	weeks := h.weeks[without:]
	o := outlook{slots: h.slots, arrivals: h.usual(weeks)}
	level := h.level(weeks, o.arrivals)
	for slot := range o.arrivals {
		o.arrivals[slot] *= level
	}
	handle := func(c cell) (sum, n float64) { return float64(c.handle), c.handled }
	wait := func(c cell) (sum, n float64) { return float64(c.waited), c.abandoned }
	o.handle, o.patience = h.means(weeks, handle), h.means(weeks, wait)
	return o
}

// usual is the smoothed rate of each interval. One that never was has that of the same time on other days.
func (h *history) usual(weeks [][]cell) []float64 {
	perDay := h.perDay()
	usual, known := make([]float64, week*perDay), make([]bool, week*perDay)
	for slot := range usual {
		var count, exposure float64
		for k, cells := range weeks {
			weight := math.Pow(keepShape, float64(k))
			count += weight * cells[slot].count
			exposure += weight * cells[slot].exposure
		}
		if known[slot] = exposure > 0; known[slot] {
			usual[slot] = count / exposure
		}
	}
	for slot := range usual {
		if known[slot] {
			continue
		}
		var sum, n float64
		for other := slot % perDay; other < len(usual); other += perDay {
			if known[other] {
				sum += usual[other]
				n++
			}
		}
		if n > 0 {
			usual[slot] = sum / n
		}
	}
	return usual
}

// level is what came in a week ÷ what is usual in the intervals that it had.
func (h *history) level(weeks [][]cell, usual []float64) float64 {
	var sum, weights float64
	for k, cells := range weeks {
		var came, expected float64
		for slot, c := range cells {
			came += c.count
			expected += usual[slot] * c.exposure
		}
		if expected > 0 {
			weight := math.Pow(keepLevel, float64(k))
			sum += weight * came / expected
			weights += weight
		}
	}
	if weights == 0 {
		return 0
	}
	return sum / weights
}

// means is a mean for each interval: its own, weighted by how recent it is, where enough contacts tell of it; else that of its day of the
// week; else that of all. It is 0 where none tells of it.
func (h *history) means(weeks [][]cell, of func(cell) (sum, n float64)) []time.Duration {
	type mean struct{ sum, n, plain float64 }
	add := func(m *mean, c cell, weight float64) {
		sum, n := of(c)
		m.sum += weight * sum
		m.n += weight * n
		m.plain += n
	}
	perDay := h.perDay()
	own, days, all := make([]mean, week*perDay), [week]mean{}, mean{}
	for k, cells := range weeks {
		weight := math.Pow(keepShape, float64(k))
		for slot, c := range cells {
			for _, m := range []*mean{&own[slot], &days[slot/perDay], &all} {
				add(m, c, weight)
			}
		}
	}
	add(&all, h.today, 1)
	means := make([]time.Duration, len(own))
	for slot := range means {
		m := own[slot]
		if m.plain < enough {
			m = days[slot/perDay]
		}
		if m.plain < enough {
			m = all
		}
		if m.n > 0 {
			means[slot] = time.Duration(m.sum / m.n).Round(time.Millisecond)
		}
	}
	return means
}

// wrong is by which share of what came the forecast of the latest week, made of those before it, was wrong: the sum of the differences of
// all intervals ÷ the sum of what came. It is false where there is too little.
func (h *history) wrong() (share float64, ok bool) {
	if h.first <= week {
		return 0, false
	}
	made := h.forecast(1)
	var differences, came float64
	for slot, c := range h.weeks[0] {
		differences += math.Abs(made.arrivals[slot]*c.exposure - c.count)
		came += c.count
	}
	if came == 0 {
		return 0, false
	}
	return differences / came, true
}
