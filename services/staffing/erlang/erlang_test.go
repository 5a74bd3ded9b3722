package erlang_test

import (
	"container/heap"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/services/staffing/erlang"
)

func near(t rapid.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s: %.9g, not %.9g", what, got, want)
	}
}

// The documentation of the R package ErlangC and of pyworkforce both work this example: 100 calls in 30 minutes of 180 s, 80 % in 20 s.
func TestTheExampleOf100CallsInHalfAnHourTakes14Agents(t *testing.T) {
	load := erlang.Load{Arrivals: 100. / 1800, Handle: 180}
	n, e, err := erlang.Agents(load, erlang.Goal{Within: 20, ServiceLevel: 0.8, MaxOccupancy: 0.85}, 1000)
	if err != nil || n != 14 || erlang.Scheduled(n, 0.3) != 20 {
		t.Errorf("%d agents, %d scheduled: %v", n, erlang.Scheduled(n, 0.3), err)
	}
	near(t, "erlangs", load.Erlangs(), 10, 1e-12)
	near(t, "wait probability", e.Wait, 0.1741319335950498, 1e-12)
	near(t, "service level", e.ServiceLevel, 0.8883500191794669, 1e-12)
	near(t, "average speed of answer", e.MeanWait, 7.83593701177724, 1e-10)
	near(t, "occupancy", e.Occupancy, 0.7142857142857143, 1e-12)
	eleven := erlang.Expect(load, 11, 20)
	near(t, "wait probability of 11 agents", eleven.Wait, 0.6821182, 1e-7)
	near(t, "service level of 11 agents", eleven.ServiceLevel, 0.3896138, 1e-7)
}

// Examples of reference.wolfram.com (ErlangB, ErlangC) and of the reference of Abstract Micro Systems' Erlang library.
func TestPublishedValuesOfErlangBAndC(t *testing.T) {
	near(t, "B(30, 25)", erlang.B(30, 25), 0.0526, 0.0001)
	for _, c := range []struct {
		blocking, erlangs float64
		trunks            int
	}{{0.01, 15.7, 25}, {0.01, 10, 18}, {0.05, 10, 15}} {
		if erlang.B(c.trunks, c.erlangs) > c.blocking || erlang.B(c.trunks-1, c.erlangs) <= c.blocking {
			t.Errorf("%v Erlang at %v do not take %d trunks", c.erlangs, c.blocking, c.trunks)
		}
	}
	// The usual table of Erlang B: so many Erlang may be offered to so many trunks at 1 %.
	for trunks, erlangs := range map[int]float64{1: 0.0101, 5: 1.36, 10: 4.46, 20: 12.0, 50: 37.9, 100: 84.1} {
		near(t, "B of the table", erlang.B(trunks, erlangs), 0.01, 0.0003)
	}
	// 30 calls an hour of five minutes: how many agents so that 90 % need not wait.
	if erlang.C(5, 2.5) <= 0.1 || erlang.C(6, 2.5) > 0.1 {
		t.Errorf("C(5) = %v, C(6) = %v", erlang.C(5, 2.5), erlang.C(6, 2.5))
	}
}

// Table 1 of Garnett, Mandelbaum and Reiman: 50 agents, 48 calls a minute of one minute, patience of two minutes.
func TestTheTableOfGarnettMandelbaumAndReiman(t *testing.T) {
	c := erlang.Expect(erlang.Load{Arrivals: 48. / 60, Handle: 60}, 50, 20)
	near(t, "Erlang C: average wait", c.MeanWait, 20.8, 0.05)
	near(t, "Erlang C: utilisation", c.Occupancy, 0.96, 0.005)
	near(t, "Erlang C: queue", c.MeanWait*48/60, 17, 0.5)
	a := erlang.Expect(erlang.Load{Arrivals: 48. / 60, Handle: 60, Patience: 120}, 50, 20)
	near(t, "Erlang A: abandoned", a.Abandon, 0.031, 0.0005)
	near(t, "Erlang A: average wait", a.MeanWait, 3.7, 0.05)
	near(t, "Erlang A: utilisation", a.Occupancy, 0.93, 0.005)
	near(t, "Erlang A: queue", a.MeanWait*48/60, 3, 0.5)
}

// factorial is Erlang B by its definition.
func factorial(n int, erlangs float64) float64 {
	a, term, sum := new(big.Float).SetPrec(300).SetFloat64(erlangs), big.NewFloat(1).SetPrec(300), big.NewFloat(1).SetPrec(300)
	for k := 1; k <= n; k++ {
		term.Mul(term, a).Quo(term, new(big.Float).SetInt64(int64(k)))
		sum.Add(sum, term)
	}
	b, _ := term.Quo(term, sum).Float64()
	return b
}

func TestTheRecurrenceIsTheFactorialForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, a := rapid.IntRange(0, 300).Draw(t, "n"), rapid.Float64Range(0.01, 400).Draw(t, "erlangs")
		want := factorial(n, a)
		near(t, "B", erlang.B(n, a), want, 1e-12*want+1e-300)
	})
}

// palm is Erlang A by the probabilities of its states, as a birth-and-death process, in high precision.
func palm(l erlang.Load, n int) (wait, abandon float64) {
	float := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	term, all, waits, queue := float(1), float(1), float(0), float(0)
	for k := 1; k < 400_000; k++ {
		rate := float64(min(k, n))/l.Handle + float64(max(0, k-n))/l.Patience
		term.Mul(term, float(l.Arrivals)).Quo(term, float(rate))
		all.Add(all, term)
		if k >= n {
			waits.Add(waits, term)
			queue.Add(queue, new(big.Float).Mul(term, float(float64(k-n))))
		}
		if k <= n+1 || rate < 2*l.Arrivals {
			continue
		}
		if share, _ := new(big.Float).Quo(term, queue).Float64(); share < 1e-20 {
			break
		}
	}
	if n == 0 {
		waits.Set(all)
	}
	wait, _ = waits.Quo(waits, all).Float64()
	waiting, _ := queue.Quo(queue, all).Float64()
	return wait, waiting / l.Patience / l.Arrivals
}

func TestErlangAIsTheBirthAndDeathProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := erlang.Load{
			Arrivals: rapid.Float64Range(0.001, 3).Draw(t, "arrivals"), Handle: rapid.Float64Range(1, 60).Draw(t, "handle"), Patience: rapid.Float64Range(1, 300).Draw(t, "patience"),
		}
		n := rapid.IntRange(0, 200).Draw(t, "n")
		got := erlang.Expect(l, n, 20)
		wait, abandon := palm(l, n)
		near(t, "wait", got.Wait, wait, 1e-9*wait+1e-300)
		near(t, "abandon", got.Abandon, abandon, 1e-9*abandon+1e-300)
		near(t, "the share that gives up is the rate of those who wait", got.MeanWait, abandon*l.Patience, 1e-9*got.MeanWait+1e-300)
		if got.ServiceLevel < 1-got.Wait-1e-9 || got.ServiceLevel > 1-got.Abandon+1e-9 && got.Abandon*l.Patience > 0 && math.IsNaN(got.ServiceLevel) {
			t.Errorf("service level %v", got.ServiceLevel)
		}
	})
}

func TestWithEndlessPatienceErlangAIsErlangC(t *testing.T) {
	for _, c := range []struct {
		erlangs float64
		n       int
	}{{10, 14}, {10, 11}, {0.5, 1}, {95, 100}, {950, 1000}, {9900, 10_000}} {
		patient := erlang.Expect(erlang.Load{Arrivals: c.erlangs / 180, Handle: 180, Patience: 1e12}, c.n, 20)
		endless := erlang.Expect(erlang.Load{Arrivals: c.erlangs / 180, Handle: 180}, c.n, 20)
		near(t, "wait", patient.Wait, endless.Wait, 1e-6)
		near(t, "service level", patient.ServiceLevel, endless.ServiceLevel, 1e-6)
		near(t, "mean wait", patient.MeanWait, endless.MeanWait, 1e-4*endless.MeanWait)
		near(t, "occupancy", patient.Occupancy, endless.Occupancy, 1e-6)
	}
}

func TestTenThousandAgentsAndErlangGiveSoundShares(t *testing.T) {
	for _, erlangs := range []float64{0.001, 1, 100, 5000, 9000, 9990, 10_000, 11_000, 30_000, 100_000} {
		for _, n := range []int{0, 1, 10, 100, 9000, 10_000, 10_100, 100_000} {
			for _, patience := range []float64{0, 0.01, 1, 60, 1e4, 1e9} {
				e := erlang.Expect(erlang.Load{Arrivals: erlangs / 300, Handle: 300, Patience: patience}, n, 20)
				for what, share := range map[string]float64{
					"wait": e.Wait, "service level": e.ServiceLevel, "occupancy": e.Occupancy, "abandon": e.Abandon, "served and abandoned": e.ServiceLevel + e.Abandon,
				} {
					if !(share >= 0 && share <= 1+1e-9) {
						t.Errorf("%v Erlang, %d agents, patience %v: %s %v", erlangs, n, patience, what, share)
					}
				}
				// Who is not lost is handled, and an agent handles so much: where far too much comes, exactly the rest gives up.
				if patience > 0 && n > 0 && erlangs > 2*float64(n) && n >= 100 {
					near(t, "abandon under overload", e.Abandon, 1-float64(n)/erlangs, 1e-3)
				}
			}
		}
	}
	near(t, "Halfin and Whitt: wait probability", erlang.C(10_100, 10_000), 0.2236, 0.003)
}

func TestTheFewestAgentsReachTheGoalAndOneLessDoesNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := erlang.Load{Arrivals: rapid.Float64Range(0, 2).Draw(t, "arrivals"), Handle: rapid.Float64Range(1, 600).Draw(t, "handle"), Patience: rapid.SampledFrom([]float64{0, 5, 60, 600}).Draw(t, "patience")}
		g := erlang.Goal{
			Within: rapid.Float64Range(0, 120).Draw(t, "within"), ServiceLevel: rapid.Float64Range(0, 0.999).Draw(t, "level"), MaxOccupancy: rapid.SampledFrom([]float64{0, 0.5, 0.85, 1}).Draw(t, "occupancy"),
		}
		n, e, err := erlang.Agents(l, g, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		reaches := func(e erlang.Expected) bool {
			return e.ServiceLevel >= g.ServiceLevel && (g.MaxOccupancy == 0 || e.Occupancy <= g.MaxOccupancy+1e-9) && !math.IsInf(e.MeanWait, 1)
		}
		if !reaches(e) || n > 0 && reaches(erlang.Expect(l, n-1, g.Within)) && g.MaxOccupancy != 1 {
			t.Errorf("%d agents give %+v", n, e)
		}
	})
	if _, _, err := erlang.Agents(erlang.Load{Arrivals: 1, Handle: 1000}, erlang.Goal{ServiceLevel: 0.8}, 900); err == nil {
		t.Error("900 agents are taken to be enough for 1000 Erlang")
	}
}

// caller is a contact of the simulation, leaving one of the states at a moment.
type caller struct {
	at      float64
	arrived float64
	begun   bool // it is being served, and at is its end; else it waits, and at is when it gives up
	gone    bool
}

type calendar []*caller

func (c *calendar) Len() int           { return len(*c) }
func (c *calendar) Less(i, j int) bool { return (*c)[i].at < (*c)[j].at }
func (c *calendar) Swap(i, j int)      { (*c)[i], (*c)[j] = (*c)[j], (*c)[i] }
func (c *calendar) Push(x any)         { *c = append(*c, x.(*caller)) } //nolint:errcheck,forcetypeassert // it holds nothing else
func (c *calendar) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// simulate lets contacts come and be handled one by one.
func simulate(l erlang.Load, n, contacts int, within float64) erlang.Expected {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var (
		events                            calendar
		queue                             []*caller
		busy                              int
		now, busyTime, waits              float64
		waited, answered, abandoned, left int
	)
	serve := func(c *caller) {
		busy++
		wait := now - c.arrived
		waits += wait
		if wait <= within {
			answered++
		}
		heap.Push(&events, &caller{at: now + random.ExpFloat64()*l.Handle, begun: true})
	}
	next := random.ExpFloat64() / l.Arrivals
	for left < contacts {
		at := next
		if len(events) > 0 && events[0].at < next {
			at = events[0].at
		}
		busyTime += float64(busy) * (at - now)
		now = at
		if at == next {
			left++
			next = now + random.ExpFloat64()/l.Arrivals
			c := &caller{arrived: now}
			if busy < n {
				serve(c)
				continue
			}
			waited++
			queue = append(queue, c)
			if l.Patience > 0 {
				c.at = now + random.ExpFloat64()*l.Patience
				heap.Push(&events, c)
			}
			continue
		}
		switch c := heap.Pop(&events).(*caller); { //nolint:errcheck,forcetypeassert // it holds nothing else
		case c.begun:
			busy--
			for len(queue) > 0 && busy < n {
				first := queue[0]
				queue = queue[1:]
				if !first.gone {
					first.gone = true
					serve(first)
				}
			}
		case !c.gone:
			c.gone = true
			abandoned++
			waits += now - c.arrived
		}
	}
	all := float64(contacts)
	return erlang.Expected{
		Wait: float64(waited) / all, ServiceLevel: float64(answered) / all, MeanWait: waits / all, Occupancy: busyTime / now / float64(n), Abandon: float64(abandoned) / all,
	}
}

func TestASimulationOfContactsOneByOneAgrees(t *testing.T) {
	for _, c := range []struct {
		name string
		load erlang.Load
		n    int
	}{
		{"Erlang C", erlang.Load{Arrivals: 100. / 1800, Handle: 180}, 14},
		{"Erlang A", erlang.Load{Arrivals: 48. / 60, Handle: 60, Patience: 120}, 50},
		{"one agent, impatient", erlang.Load{Arrivals: 1. / 60, Handle: 60, Patience: 30}, 1},
		{"overload", erlang.Load{Arrivals: 30. / 60, Handle: 60, Patience: 90}, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := simulate(c.load, c.n, 400_000, 20), erlang.Expect(c.load, c.n, 20)
			near(t, "wait", got.Wait, want.Wait, 0.02)
			near(t, "service level", got.ServiceLevel, want.ServiceLevel, 0.02)
			near(t, "mean wait", got.MeanWait, want.MeanWait, 0.05*want.MeanWait+0.2)
			near(t, "occupancy", got.Occupancy, want.Occupancy, 0.01)
			near(t, "abandon", got.Abandon, want.Abandon, 0.01)
		})
	}
}

func BenchmarkTheFewestOfTenThousandAgents(b *testing.B) {
	for b.Loop() {
		if _, _, err := erlang.Agents(erlang.Load{Arrivals: 10_000. / 300, Handle: 300, Patience: 120}, erlang.Goal{Within: 20, ServiceLevel: 0.8}, 100_000); err != nil {
			b.Fatal(err)
		}
	}
}
