package board

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// quarter is which quarter of an hour since 1970 a moment lies in.
func quarter(nanos int64) int64 {
	q := nanos / int64(Quarter)
	if nanos%int64(Quarter) < 0 {
		q--
	}
	return q
}

// oldest is the first quarter of an hour that is kept at a moment.
func oldest(nanos int64) int64 { return quarter(nanos - int64(Kept)) }

func quarterStart(q int64) time.Time { return time.Unix(0, q*int64(Quarter)).UTC() }

// visit is a wait in a queue, and where it is counted.
type visit struct {
	wait
	queue   *queue
	counted bool
}

// wait is what is known of a visit. Two that are equal count alike.
type wait struct {
	id, thread, interaction event.ID
	source                  *source
	entered, left           int64
	outcome                 eventv1.QueueOutcome
	target, handleTime      time.Duration
	handled                 int
	backfill, offered       bool
}

// source is what a connector calls a queue.
type source struct{ provider, native string }

func (w *wait) took() time.Duration { return max(0, time.Duration(w.left-w.entered)) }

// sooner orders visits by when they came.
func sooner(x, y *visit) bool {
	if x.entered != y.entered {
		return x.entered < y.entered
	}
	return bytes.Compare(x.id[:], y.id[:]) < 0
}

// counts are what came of visits.
type counts struct {
	entered, waiting, answered, within, abandoned, short, flowedOut, deflected, handled int

	waited, handleTime, longest time.Duration
}

func (c *counts) plus(d *counts) {
	c.entered += d.entered
	c.waiting += d.waiting
	c.answered += d.answered
	c.within += d.within
	c.abandoned += d.abandoned
	c.short += d.short
	c.flowedOut += d.flowedOut
	c.deflected += d.deflected
	c.handled += d.handled
	c.waited += d.waited
	c.handleTime += d.handleTime
	c.longest = max(c.longest, d.longest)
}

// of counts a visit, n times: once, or -1 times. The longest wait only grows by it.
func (c *counts) of(w *wait, aim aim, n int) {
	c.entered += n
	c.handled += n * w.handled
	c.handleTime += time.Duration(n) * w.handleTime
	if w.left == 0 {
		c.waiting += n
		return
	}
	took := w.took()
	c.longest = max(c.longest, took)
	switch w.outcome {
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED:
		c.answered += n
		c.waited += time.Duration(n) * took
		if took <= cmp.Or(w.target, aim.within, DefaultWithin) {
			c.within += n
		}
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED:
		c.abandoned += n
		if took < aim.short {
			c.short += n
		}
	case eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
		c.flowedOut += n
	case eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL, eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK:
		c.deflected += n
	default: // it is over, and nobody said how
	}
}

func (c *counts) message(since time.Time) *boardv1.QueueCounts {
	m := &boardv1.QueueCounts{
		Since: timestamppb.New(since), Entered: int32(c.entered), Answered: int32(c.answered), AnsweredWithin: int32(c.within),
		Abandoned: int32(c.abandoned), ShortAbandoned: int32(c.short), FlowedOut: int32(c.flowedOut), Deflected: int32(c.deflected),
		Handled: int32(c.handled),
	}
	if over := c.entered - c.waiting - c.short; over > 0 {
		level := float64(c.within) / float64(over)
		m.ServiceLevel = &level
	}
	if c.answered > 0 {
		m.AverageSpeedOfAnswer = durationpb.New(c.waited / time.Duration(c.answered))
	}
	if c.entered > c.waiting {
		m.LongestWait = durationpb.New(c.longest)
	}
	if c.handled > 0 {
		m.AverageHandleTime = durationpb.New(c.handleTime / time.Duration(c.handled))
	}
	return m
}

// aim is what a queue's service level says.
type aim struct{ within, short time.Duration }

// tally counts the visits that began in a quarter of an hour.
type tally struct {
	counts
	quarter int64
	visits  map[*visit]struct{}
}

// tallies are those of a queue, in order; those that count nothing are missing.
type tallies []*tally

func (ts *tallies) add(v *visit, aim aim) {
	at := quarter(v.entered)
	n, found := ts.find(at)
	if !found {
		*ts = slices.Insert(*ts, n, &tally{quarter: at, visits: map[*visit]struct{}{}})
	}
	t := (*ts)[n]
	t.visits[v] = struct{}{}
	t.of(&v.wait, aim, 1)
}

func (ts *tallies) remove(v *visit, aim aim) {
	n, found := ts.find(quarter(v.entered))
	if !found {
		return
	}
	t := (*ts)[n]
	if delete(t.visits, v); len(t.visits) == 0 {
		*ts = slices.Delete(*ts, n, n+1)
		return
	}
	longest := v.left != 0 && v.took() == t.longest
	if t.of(&v.wait, aim, -1); longest {
		t.longest = 0
		for other := range t.visits {
			if other.left != 0 {
				t.longest = max(t.longest, other.took())
			}
		}
	}
}

// recount counts everything again, by another aim.
func (ts *tallies) recount(aim aim) {
	for _, t := range *ts {
		t.counts = counts{}
		for v := range t.visits {
			t.of(&v.wait, aim, 1)
		}
	}
}

// since sums up from a quarter of an hour on.
func (ts *tallies) since(at int64) (sum counts) {
	n, _ := ts.find(at)
	for _, t := range (*ts)[n:] {
		sum.plus(&t.counts)
	}
	return sum
}

func (ts *tallies) find(at int64) (n int, found bool) {
	return slices.BinarySearchFunc(*ts, at, func(t *tally, at int64) int { return cmp.Compare(t.quarter, at) })
}
