package story

import (
	"math"
	"math/bits"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Begin is the earliest of offer, acceptance and connection; 0 where none of them was told.
func (s *Share) Begin() int64 {
	begin := int64(math.MaxInt64)
	for _, t := range [...]int64{s.Offered, s.Accepted, s.Connected} {
		if t != 0 {
			begin = min(begin, t)
		}
	}
	if begin == math.MaxInt64 {
		return 0
	}
	return begin
}

// Over is when nothing of it goes on any more: it was declined, or it ended and so did its after-call work, if there was any; 0 while
// it goes on.
func (s *Share) Over() int64 {
	switch {
	case s.Declined != 0:
		return s.Declined
	case s.Ended == 0, s.WrapupStarted != 0 && s.WrapupEnded == 0:
		return 0
	case s.WrapupStarted == 0:
		return s.Ended
	}
	return max(s.Ended, s.WrapupEnded)
}

// inHand tells whether it is an agent's, and goes on.
func (s *Share) inHand() bool { return s.Agent != "" && s.Begin() != 0 && s.Over() == 0 }

// InHand is the class of an assignment that goes on.
const InHand = 255

// MaxClass is the highest class of one that is over: there are no longer times.
const MaxClass = 34

// Class is how long it took, as a power of two: no longer than that many seconds.
func (s *Share) Class() byte {
	over := s.Over()
	if over == 0 {
		return InHand
	}
	took := max(over-s.Begin(), 1)
	return byte(bits.Len64(uint64((took - 1) / int64(time.Second))))
}

// handled is the time of an assignment that counts as handling; false where it is not over or agent and customer never talked.
func (s *Share) handled() (time.Duration, bool) {
	if s.Connected == 0 || s.Ended == 0 || s.Over() == 0 {
		return 0, false
	}
	t := time.Duration(s.Ended-s.Connected) - s.PauseTime
	if s.WrapupStarted != 0 {
		t += time.Duration(s.WrapupEnded - s.WrapupStarted)
	}
	return t, true
}

// Unfinished tells whether an assignment of it goes on.
func (i *Interaction) Unfinished() bool {
	for n := range i.Shares {
		if s := &i.Shares[n]; s.inHand() {
			return true
		}
	}
	return false
}

// ShareSum tells one state of an assignment of it from another, as far as it says what its agent did and when.
func (i *Interaction) ShareSum(s *Share) uint64 {
	sum := fnv(14695981039346656037)
	sum.text(i.Provider)
	sum.text(s.Agent)
	sum.text(s.Queue)
	for _, n := range [...]int64{
		s.Offered, s.Declined, int64(s.Decline), s.Accepted, s.Connected, s.HeldSince, s.PausedSince, s.Ended, int64(s.Reason), s.WrapupStarted,
		s.WrapupEnded, int64(s.Origin), int64(s.HoldTime), int64(s.PauseTime),
	} {
		sum.number(n)
	}
	for _, of := range [...][]Stretch{s.Held, s.Paused} {
		sum.number(int64(len(of)))
		for _, x := range of {
			sum.number(x.From)
			sum.number(x.Until)
		}
	}
	return uint64(sum)
}

// fnv is a hash of 64 bits: the one of Fowler, Noll and Vo (FNV-1a), of words instead of bytes where those are numbers.
type fnv uint64

func (h *fnv) number(n int64) { *h = (*h ^ fnv(n)) * 1099511628211 }

func (h *fnv) text(s string) {
	for n := range len(s) {
		h.number(int64(s[n]))
	}
	h.number(int64(len(s)))
}

// VisitBrief is what is counted of a visit.
type VisitBrief struct {
	Left       int64
	Outcome    eventv1.QueueOutcome
	SLATarget  time.Duration
	Agent      string
	Provider   string
	Channel    eventv1.Channel
	Backfill   bool
	HandleTime time.Duration // of the assignments that come from it and are over
	Handled    int64         // how many those are
}

// VisitBrief gives that of a visit of it.
func (i *Interaction) VisitBrief(v *Visit) VisitBrief {
	b := VisitBrief{
		Left: v.Left, Outcome: v.Outcome, SLATarget: v.SLATarget, Agent: v.Agent, Provider: i.Provider, Channel: i.Channel, Backfill: i.Backfill,
	}
	for n := range i.Shares {
		if s := &i.Shares[n]; s.Visit == v.ID {
			if t, ok := s.handled(); ok {
				b.HandleTime += t
				b.Handled++
			}
		}
	}
	return b
}

// Encode appends it; entered is when the visit began.
func (v *VisitBrief) Encode(b []byte, entered int64) []byte {
	c := &coder{b: b, base: entered}
	v.code(c)
	return c.b
}

// Decode reads what Encode wrote.
func (v *VisitBrief) Decode(b []byte, entered int64) error {
	return decode(b, func(c *coder) {
		c.base = entered
		v.code(c)
	})
}

func (v *VisitBrief) code(c *coder) {
	c.time(&v.Left)
	enum(c, &v.Outcome)
	c.duration(&v.SLATarget)
	c.text(&v.Agent)
	c.text(&v.Provider)
	enum(c, &v.Channel)
	c.bool(&v.Backfill)
	c.duration(&v.HandleTime)
	c.int(&v.Handled)
}

// Brief is what lists of work filter and order by.
type Brief struct {
	ID           event.ID
	Status       Status
	Queue, Agent string
	Inbox        string
	Channel      eventv1.Channel
	Tags         []string
	Priority     int32
	Started      int64
	LastActivity int64
	WaitingSince int64    // 0 where nobody waits
	Due          int64    // when the first target that is not done was or is missed; 0 where there is none
	Missed       bool     // some target is
	Customer     event.ID // endpoint of the customer who comes first; zero where nobody is known
}

// Brief gives that of it.
func (i *Interaction) Brief() Brief {
	b := Brief{
		ID: i.ID(), Status: i.Status(), Queue: i.Queue, Agent: i.Agent(), Inbox: i.Inbox, Channel: i.Channel, Tags: i.Tags, Priority: i.Priority,
		Started: i.StartedAt, LastActivity: i.LastActivity, WaitingSince: i.WaitingSince,
	}
	settled := i.SettledAt() != 0
	for n := range i.SLAs {
		s := &i.SLAs[n]
		b.Missed = b.Missed || s.State == SLAMissed
		if s.Due != 0 && (s.State == SLAActive || s.State == SLAMissed && s.Done == 0 && !settled) && (b.Due == 0 || s.Due < b.Due) {
			b.Due = s.Due
		}
	}
	for n := range i.Participants {
		if p := &i.Participants[n]; p.Side == eventv1.Side_SIDE_CUSTOMER && !p.Endpoint.IsZero() {
			b.Customer = p.Endpoint
			break
		}
	}
	return b
}

// Encode appends it.
func (b *Brief) Encode(to []byte) []byte {
	c := &coder{b: to, base: b.Started}
	b.code(c)
	return c.b
}

// Decode reads what Encode wrote.
func (b *Brief) Decode(from []byte) error { return decode(from, b.code) }

func (b *Brief) code(c *coder) {
	c.int(&b.Started)
	c.base = b.Started
	c.id(&b.ID)
	enum(c, &b.Status)
	c.text(&b.Queue)
	c.text(&b.Agent)
	c.text(&b.Inbox)
	enum(c, &b.Channel)
	texts(c, &b.Tags)
	enum(c, &b.Priority)
	c.time(&b.LastActivity)
	c.time(&b.WaitingSince)
	c.time(&b.Due)
	c.bool(&b.Missed)
	c.id(&b.Customer)
}
