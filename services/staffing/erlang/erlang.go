// Package erlang is the models of queues by which agents are counted: Erlang B and C (A. K. Erlang, Solution of some problems in the theory
// of probabilities of significance in automatic telephone exchanges, 1917) and Erlang A (C. Palm, Research on telephone traffic carried by
// full availability groups, 1957; O. Garnett, A. Mandelbaum, M. Reiman, Designing a call center with impatient customers, 2002).
//
// Contacts come at random (Poisson), handling takes an exponential time, and so does the patience of whoever waits. The functions are pure,
// and do not overflow: they are made for up to 100,000 agents and Erlang.
package erlang

import (
	"errors"
	"math"
	"sort"
)

// Load is what comes. The unit of its times is any, as long as it is the same for all.
type Load struct {
	// Arrivals are contacts in a unit of time.
	Arrivals float64
	// Handle is the mean handle time, above 0.
	Handle float64
	// Patience is the mean time after which whoever waits gives up; 0 for never, which is Erlang C.
	Patience float64
}

// Erlangs is the offered load: how many agents would be busy if there were as many as anybody wants.
func (l Load) Erlangs() float64 { return l.Arrivals * l.Handle }

// Expected is what to expect in the long run.
type Expected struct {
	// Wait is the share that has to wait at all.
	Wait float64
	// ServiceLevel is the share, of all contacts, that is answered within the time that was asked for.
	ServiceLevel float64
	// MeanWait is that of all contacts, whether they are answered or given up; infinite where the queue grows without end.
	MeanWait float64
	// Occupancy is the share of agents' time on contacts.
	Occupancy float64
	// Abandon is the share that gives up.
	Abandon float64
}

// B is the share of contacts that find all of n agents busy where nobody can wait (Erlang B), by the recurrence
// 1/B(n) = 1 + n / (a B(n-1)).
func B(n int, erlangs float64) float64 {
	if erlangs <= 0 {
		if n == 0 {
			return 1
		}
		return 0
	}
	inverse := 1.0
	for k := 1; k <= n; k++ {
		inverse = 1 + inverse*float64(k)/erlangs
	}
	return 1 / inverse
}

// C is the share of contacts that have to wait for one of n agents, where all wait until they are answered (Erlang C).
func C(n int, erlangs float64) float64 {
	if erlangs <= 0 {
		return 0
	}
	if float64(n) <= erlangs {
		return 1
	}
	b, idle := B(n, erlangs), 1-erlangs/float64(n)
	return b / (idle + b*(1-idle))
}

// Expect tells what n agents give, with service level within a time.
func Expect(l Load, n int, within float64) Expected {
	switch {
	case l.Arrivals <= 0:
		return Expected{ServiceLevel: 1}
	case l.Patience > 0:
		return expectA(l, n, within)
	}
	return expectC(l, n, within)
}

// expectC is Erlang C: whoever waits, waits an exponential time of mean handle / (n - a).
func expectC(l Load, n int, within float64) Expected {
	free := float64(n) - l.Erlangs()
	if free <= 0 {
		return Expected{Wait: 1, MeanWait: math.Inf(1), Occupancy: 1}
	}
	wait := C(n, l.Erlangs())
	return Expected{
		Wait: wait, ServiceLevel: 1 - wait*math.Exp(-free*within/l.Handle), MeanWait: wait * l.Handle / free, Occupancy: l.Erlangs() / float64(n),
	}
}

// expectA is Erlang A, from the building blocks of S. Zeltyn and A. Mandelbaum (Call centers with impatient customers: many-server
// asymptotics of the M/M/n+G queue, 2005). The time that somebody of endless patience would have to wait has the density
//
//	v(t) = λ / (E + λ J) · exp φ(t),  φ(t) = (λ/θ) (1 - exp(-θt)) - nµt,  E = 1 / B(n-1),  J = ∫ exp φ
//
// from which each share is an integral of something positive: nothing cancels out. J is the incomplete gamma function of Palm's form,
// J = exp(λ/θ) (λ/θ)^(-nµ/θ) γ(nµ/θ, λ/θ) / θ, which overflows where this does not: everything is taken relative to exp of φ's maximum.
func expectA(l Load, n int, within float64) Expected {
	if n == 0 {
		return Expected{Wait: 1, MeanWait: l.Patience, Abandon: 1}
	}
	p := potential{arrivals: l.Arrivals, service: float64(n) / l.Handle, leave: 1 / l.Patience}
	p.prepare()
	all := p.integral(math.Inf(1), func(float64) float64 { return 1 })
	abandoned := p.integral(math.Inf(1), func(t float64) float64 { return -math.Expm1(-p.leave * t) })
	answered := p.integral(within, func(t float64) float64 { return math.Exp(-p.leave * t) })

	free := math.Exp(-p.top) / B(n-1, l.Erlangs()) // E, and 0 or infinite at the extremes
	busy := l.Arrivals * all
	scale := l.Arrivals / (free + busy)
	e := Expected{Wait: busy / (free + busy), Abandon: scale * abandoned}
	e.ServiceLevel = min(1, 1/(1+busy/free)+scale*answered)
	e.MeanWait = e.Abandon * l.Patience
	e.Occupancy = min(1, l.Erlangs()*(1-e.Abandon)/float64(n))
	return e
}

// potential is φ, which is concave.
type potential struct {
	arrivals, service, leave float64
	mode, top                float64 // where φ is greatest, and how great
	from, until              float64 // outside, exp φ is too small to count
}

// below is φ - top, from the distance to the maximum: so large numbers do not cancel out.
func (p *potential) below(t float64) float64 {
	distance := t - p.mode
	return -min(p.arrivals, p.service)/p.leave*math.Expm1(-p.leave*distance) - p.service*distance
}

// negligible is how far below its maximum an exponent does not count any more.
const negligible = 45

func (p *potential) prepare() {
	if over := p.arrivals/p.service - 1; over > 0 {
		p.mode = math.Log1p(over) / p.leave
		p.top = p.service / p.leave * (over - math.Log1p(over))
	}
	counts := func(t float64) bool { return p.below(t) > -negligible }
	if !counts(0) {
		p.from = bisect(0, p.mode, counts)
	}
	step := 1 / p.service
	for counts(p.mode + step) {
		step *= 2
	}
	p.until = bisect(p.mode+step, p.mode, counts)
}

// bisect narrows the stretch between a place where something is not so and one where it is, and gives the former end.
func bisect(not, so float64, is func(float64) bool) float64 {
	for range 40 {
		if middle := (not + so) / 2; is(middle) {
			so = middle
		} else {
			not = middle
		}
	}
	return not
}

// integral is that of f exp(φ - top) from 0 to a time, by Gauss and Legendre, in parts that are halved until that changes nothing. They
// begin and end where the maximum is, and so many mean patiences from 0: nothing changes much within them.
func (p *potential) integral(until float64, f func(float64) float64) float64 {
	until = min(until, p.until)
	ends := []float64{p.mode, 1 / p.leave, 8 / p.leave, negligible / p.leave, until}
	sort.Float64s(ends)
	var parts []part
	about, from := 0.0, p.from
	for _, end := range ends {
		if end <= from || end > until {
			continue
		}
		const count = 16
		width := (end - from) / count
		for i := range count {
			next := part{from: from + width*float64(i), until: from + width*float64(i+1)}
			next.coarse = p.rule(next.from, next.until, f)
			about += next.coarse
			parts = append(parts, next)
		}
		from = end
	}
	sum := 0.0
	for _, next := range parts {
		sum += p.halve(next, f, about, 0)
	}
	return sum
}

// part is a stretch of time, and what the rule says of it.
type part struct{ from, until, coarse float64 }

// halve is the integral over a part of a whole that is about so much.
func (p *potential) halve(whole part, f func(float64) float64, about float64, depth int) float64 {
	const enough, deepest = 1e-12, 30
	middle := (whole.from + whole.until) / 2
	left, right := p.rule(whole.from, middle, f), p.rule(middle, whole.until, f)
	fine := left + right
	if depth == deepest || math.Abs(fine-whole.coarse) <= enough*max(about, fine) {
		return fine
	}
	return p.halve(part{whole.from, middle, left}, f, about, depth+1) + p.halve(part{middle, whole.until, right}, f, about, depth+1)
}

// rule is that of Gauss and Legendre with eight points.
func (p *potential) rule(from, until float64, f func(float64) float64) (sum float64) {
	middle, half := (from+until)/2, (until-from)/2
	for _, g := range gauss {
		for _, t := range [2]float64{middle - half*g.node, middle + half*g.node} {
			sum += g.weight * f(t) * math.Exp(p.below(t))
		}
	}
	return sum * half
}

// gauss are the positive nodes of that rule, and their weights.
var gauss = [4]struct{ node, weight float64 }{ //nolint:gochecknoglobals // a constant
	{0.1834346424956498, 0.3626837833783620},
	{0.5255324099163290, 0.3137066458778873},
	{0.7966664774136267, 0.2223810344533745},
	{0.9602898564975363, 0.1012285362903763},
}

// Goal is what is aimed at.
type Goal struct {
	// Within is the time to answer, ServiceLevel the share that is answered by then, below 1.
	Within, ServiceLevel float64
	// MaxOccupancy is not exceeded; 0 for no bound.
	MaxOccupancy float64
}

// ErrTooMany means that more agents than were allowed would be needed.
var ErrTooMany = errors.New("erlang: more agents are needed than can be counted with")

// Agents is the fewest agents that reach a goal, up to most, and what they give.
func Agents(l Load, g Goal, most int) (int, Expected, error) {
	reaches := func(n int) bool {
		e := Expect(l, n, g.Within)
		return e.ServiceLevel >= g.ServiceLevel && (g.MaxOccupancy == 0 || e.Occupancy <= g.MaxOccupancy+1e-12) && !math.IsInf(e.MeanWait, 1)
	}
	// From the load itself, where the answer is near, in steps that double.
	low, high := -1, min(most, int(min(math.Ceil(l.Erlangs()), math.MaxInt32)))
	if reaches(high) {
		for step := 1; high-step > low; step *= 2 {
			if !reaches(high - step) {
				low = high - step
				break
			}
			high -= step
		}
	} else {
		for step := 1; ; step *= 2 {
			if high == most {
				return 0, Expected{}, ErrTooMany
			}
			low, high = high, min(most, high+step)
			if reaches(high) {
				break
			}
		}
	}
	n := low + 1 + sort.Search(high-low-1, func(i int) bool { return reaches(low + 1 + i) })
	return n, Expect(l, n, g.Within), nil
}

// Scheduled is how many agents are to be scheduled so that so many take contacts, where a share (below 1) of their time goes elsewhere.
func Scheduled(agents int, shrinkage float64) int {
	const rounding = 1e-9 // 14 / 0.7 is 20
	return int(math.Ceil(float64(agents)/(1-shrinkage) - rounding))
}
