package simulate

import (
	"container/heap"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// task is what is to be done at a moment.
type task struct {
	at  int64
	seq int
	do  func()
}

// agenda is a heap of tasks; of one moment, in the order in which they were put in.
type agenda struct {
	tasks []task
	seq   int
}

// Len implements heap.Interface.
func (a *agenda) Len() int { return len(a.tasks) }

// Less implements heap.Interface.
func (a *agenda) Less(i, j int) bool {
	if a.tasks[i].at != a.tasks[j].at {
		return a.tasks[i].at < a.tasks[j].at
	}
	return a.tasks[i].seq < a.tasks[j].seq
}

// Swap implements heap.Interface.
func (a *agenda) Swap(i, j int) { a.tasks[i], a.tasks[j] = a.tasks[j], a.tasks[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	if t, ok := x.(task); ok {
		a.tasks = append(a.tasks, t)
	}
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := a.tasks[len(a.tasks)-1]
	a.tasks[len(a.tasks)-1] = task{}
	a.tasks = a.tasks[:len(a.tasks)-1]
	return last
}

// in does something later. What is later than the end of the day is not done.
func (s *sim) in(d time.Duration, do func()) {
	s.on(s.now+int64(max(d, 0)), do)
}

// on does something at a moment, to the millisecond.
func (s *sim) on(at int64, do func()) {
	at -= at % int64(time.Millisecond)
	if at >= s.over {
		return
	}
	s.agenda.seq++
	heap.Push(&s.agenda, task{at, s.agenda.seq, do})
}

// next does what is due next; false when the day is over.
func (s *sim) next() bool {
	if s.agenda.Len() == 0 {
		return false
	}
	if t, ok := heap.Pop(&s.agenda).(task); ok {
		s.now = t.at
		t.do()
	}
	return true
}

// chance is true in a share of cases.
func (s *sim) chance(share float64) bool { return s.random.Float64() < share }

// between is any time of a span.
func (s *sim) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.random.Int64N(int64(to-from)+1))
}

// about is a time of handling, of a long-tailed distribution around a mean that is scaled to the day.
func (s *sim) about(mean time.Duration) time.Duration {
	const spread = 0.6
	factor := math.Exp(s.random.NormFloat64()*spread - spread*spread/2)
	return max(time.Second, time.Duration(float64(mean)*s.scale*min(factor, 6)))
}

// patience is how long somebody waits: exponential, as Palm has it.
func (s *sim) patience(mean time.Duration) time.Duration {
	return time.Second + time.Duration(float64(mean)*s.random.ExpFloat64())
}

func stamp(nanos int64) *timestamppb.Timestamp {
	if nanos == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, nanos))
}
