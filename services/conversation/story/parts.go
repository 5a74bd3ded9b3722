package story

import (
	"slices"
	"time"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// enterQueue begins a wait. Of one moment, an end of it or an answer that was told before is its own; by its id, at any moment.
func (i *Interaction) enterQueue(f *Fact, body *Body, at int64) {
	n := i.visitNamed(f.Visit)
	if f.Visit.IsZero() {
		n = slices.IndexFunc(i.Visits, func(v Visit) bool { return v.Name.IsZero() && v.Queue == f.Queue && !v.Begun && v.Left == at })
	}
	if n < 0 || i.Visits[n].Begun && i.Visits[n].Left != 0 {
		n = i.newVisit(f, at)
	}
	v := &i.Visits[n]
	v.Begun = true
	first(&v.Queue, f.Queue)
	v.SLATarget, v.Priority, v.Skills = body.Time, body.Priority, body.Added
	i.Queue = v.Queue
	if v.Left == 0 {
		for k := range i.Shares {
			s := &i.Shares[k]
			if s.Connected == at && (s.Visit == v.ID || s.Visit.IsZero() && (s.Queue == "" || s.Queue == v.Queue)) {
				i.answer(v, s, at)
				break
			}
		}
	}
	if i.EndedAt != 0 && v.Left == 0 {
		v.Left, v.Outcome, v.Inferred = at, eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED, true
	}
}

// newVisit gives its index. Where the provider gives an id once more, it goes by the event that begins it.
func (i *Interaction) newVisit(f *Fact, at int64) int {
	v := Visit{ID: f.Visit, Name: f.Visit, Queue: f.Queue, Entered: at}
	if f.Visit.IsZero() || i.visitNamed(f.Visit) >= 0 {
		v.ID = f.ID
	}
	i.Visits = append(roomFor(i.Visits, maxVisits, func(v Visit) bool { return v.Left != 0 }), v)
	return len(i.Visits) - 1
}

// leaveQueue ends a wait otherwise than by an answer.
func (i *Interaction) leaveQueue(f *Fact, body *Body, at int64) {
	n := i.waiting(f)
	if n < 0 {
		n = i.newVisit(f, at)
	}
	v := &i.Visits[n]
	switch {
	case v.Left == 0:
		v.Left = at
	case !v.Inferred:
		return
	}
	v.Outcome, v.Target, v.Inferred = body.Outcome, body.Target, false
}

// waiting is the visit that a fact is about: by its id, else the last one that goes on in its queue, or in any where it names none; or one
// that ended only because the interaction did; -1 for none.
func (i *Interaction) waiting(f *Fact) int {
	if !f.Visit.IsZero() {
		return i.visitNamed(f.Visit)
	}
	inferred := -1
	for n := len(i.Visits) - 1; n >= 0; n-- {
		switch v := &i.Visits[n]; {
		case f.Queue != "" && v.Queue != f.Queue:
		case v.Left == 0:
			return n
		case v.Inferred && inferred < 0:
			inferred = n
		}
	}
	return inferred
}

// answer is that an agent takes who waits.
func (i *Interaction) answer(v *Visit, s *Share, at int64) {
	v.Left, v.Outcome, v.Agent = at, eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED, s.Agent
	s.Visit = v.ID
	first(&s.Queue, v.Queue)
}

// share notes what happens with an agent's assignment.
func (i *Interaction) share(f *Fact, body *Body, at int64) {
	s := i.shareOf(f, at)
	if s == nil {
		return
	}
	if f.Actor.isPerson() {
		first(&s.Agent, f.Actor.ID)
	}
	first(&s.Visit, f.Visit)
	first(&s.Queue, f.Queue)
	first(&s.Origin, f.Origin)
	switch f.Kind {
	case Offered:
		first(&s.Offered, at)
		if v := i.open(f, s); v != nil {
			first(&s.Visit, v.ID)
			first(&s.Queue, v.Queue)
		}
	case Declined:
		if s.Declined == 0 || s.Inferred {
			s.Declined, s.Inferred = at, false
			s.Decline = body.Decline
		}
	case Accepted:
		first(&s.Accepted, at)
	case Connected:
		i.connect(f, s, at)
	case Held:
		s.hold(at)
	case Unheld:
		s.unhold(at)
	case Paused:
		s.pause(at)
	case Resumed:
		s.resume(at)
	case ShareEnded:
		if s.Ended == 0 || s.Inferred {
			transferred := s.Inferred && s.Reason == eventv1.EndReason_END_REASON_TRANSFER
			s.end(at, body.Reason)
			if s.Inferred = false; transferred && body.Reason == eventv1.EndReason_END_REASON_UNSPECIFIED {
				s.Reason = eventv1.EndReason_END_REASON_TRANSFER
			}
		}
	case WrapupStarted:
		if s.WrapupStarted == 0 {
			s.WrapupStarted, s.WrapupBy = at, f.ID
		}
	default:
		if s.WrapupEnded == 0 || s.WrapupInferred {
			s.WrapupEnded, s.WrapupInferred = at, body.Flag
		}
		if body.Text != "" {
			s.Disposition, i.Disposition = body.Text, body.Text
		}
	}
	if s.open() && i.EndedAt != 0 {
		s.end(at, i.EndReason)
		s.Inferred = true
	}
}

// connect is that agent and customer can talk.
func (i *Interaction) connect(f *Fact, s *Share, at int64) {
	if s.Connected != 0 {
		return
	}
	s.Connected = at
	if v := i.open(f, s); v != nil {
		i.answer(v, s, at)
	}
	if s.Queue != "" && s.Origin != eventv1.Origin_ORIGIN_CONSULT {
		i.Queue = s.Queue
	}
	i.Bot.Contained = false
	if i.isCall() && i.Direction != eventv1.Direction_DIRECTION_OUTBOUND && s.Origin != eventv1.Origin_ORIGIN_CONSULT {
		i.reply(at)
	}
}

// open is the visit that goes on and that an assignment comes from. A consultation answers nobody who waits.
func (i *Interaction) open(f *Fact, s *Share) *Visit {
	if s.Origin == eventv1.Origin_ORIGIN_CONSULT && s.Visit.IsZero() {
		return nil
	}
	for n := len(i.Visits) - 1; n >= 0; n-- {
		v := &i.Visits[n]
		switch {
		case v.Left != 0:
		case !s.Visit.IsZero():
			if v.ID == s.Visit {
				return v
			}
		case f.Queue == "" && s.Queue == "" || v.Queue == f.Queue || v.Queue == s.Queue:
			return v
		}
	}
	return nil
}

// shareOf is the assignment that a fact is about: by its id; else the agent's last one that goes on, or that only the interaction's end has
// ended; else, for who is not named, the last of anybody that goes on. What begins, or is told first, is a new one; so is what begins
// under an id that is over.
func (i *Interaction) shareOf(f *Fact, at int64) *Share {
	if !f.Assignment.IsZero() {
		if n := i.shareNamed(f.Assignment); n >= 0 {
			if s := &i.Shares[n]; !f.Kind.opens() || s.open() || s.lacks(f.Kind, at) {
				return s
			}
		}
		return i.newShare(f)
	}
	agent := ""
	if f.Actor.isPerson() {
		agent = f.Actor.ID
	}
	for n := len(i.Shares) - 1; n >= 0; n-- {
		s := &i.Shares[n]
		if agent != "" && s.Agent != agent {
			continue
		}
		switch {
		case s.open() && f.Kind == Offered && s.Accepted == 0 && s.Connected == 0 && s.Offered != 0: // offered anew
			s.Declined, s.Decline = at, eventv1.DeclineReason_DECLINE_REASON_CANCELLED
		case s.open(), s.lacks(f.Kind, at):
			return s
		}
	}
	if agent == "" {
		return nil
	}
	return i.newShare(f)
}

// lacks tells whether an assignment that is over can still be told something: its end, where that was only inferred; its wrap-up; and, of
// one moment, what came before its end.
func (s *Share) lacks(kind Kind, at int64) bool {
	switch kind {
	case ShareEnded, Declined:
		return s.Inferred
	case WrapupStarted:
		return s.Ended != 0 && s.WrapupStarted == 0
	case WrapupEnded:
		return s.Ended != 0 && (s.WrapupEnded == 0 || s.WrapupInferred)
	case Offered:
		return s.over() == at && s.Offered == 0 && (s.Accepted == 0 || s.Accepted == at) && (s.Connected == 0 || s.Connected == at)
	case Accepted:
		return s.Ended == at && s.Accepted == 0 && (s.Connected == 0 || s.Connected == at)
	case Connected:
		return s.Ended == at && s.Connected == 0
	case Held, Unheld, Paused, Resumed:
		return s.Ended == at
	default:
		return false
	}
}

func (s *Share) over() int64 { return max(s.Ended, s.Declined) }

// newShare adds one. Where the provider gives an id once more, it goes by the event that begins it.
func (i *Interaction) newShare(f *Fact) *Share {
	s := Share{ID: f.Assignment, Name: f.Assignment}
	if f.Assignment.IsZero() || i.shareNamed(f.Assignment) >= 0 {
		s.ID = f.ID
	}
	i.Shares = append(roomFor(i.Shares, maxShares, func(s Share) bool { return !s.open() }), s)
	return &i.Shares[len(i.Shares)-1]
}

func (s *Share) end(at int64, reason eventv1.EndReason) {
	s.unholdIf(at)
	s.resumeIf(at)
	s.Ended, s.Reason = at, reason
}

// hold, unhold: of one moment, an end that was told before its begin is its end.
func (s *Share) hold(at int64) {
	switch {
	case s.HeldSince != 0:
	case s.Unheld == at, s.Ended != 0:
		s.Holds, s.Unheld = s.Holds+1, 0
	default:
		s.Holds, s.HeldSince = s.Holds+1, at
	}
}

func (s *Share) unhold(at int64) {
	if s.HeldSince == 0 {
		s.Unheld = at
	}
	s.unholdIf(at)
}

func (s *Share) unholdIf(at int64) {
	if s.HeldSince != 0 {
		s.HoldTime += time.Duration(at - s.HeldSince)
		s.Held, s.HeldSince = stretched(s.Held, Stretch{s.HeldSince, at}), 0
	}
}

func (s *Share) pause(at int64) {
	switch {
	case s.PausedSince != 0, s.Ended != 0:
	case s.Resumed == at:
		s.Resumed = 0
	default:
		s.PausedSince = at
	}
}

func (s *Share) resume(at int64) {
	if s.PausedSince == 0 {
		s.Resumed = at
	}
	s.resumeIf(at)
}

func (s *Share) resumeIf(at int64) {
	if s.PausedSince != 0 {
		s.PauseTime += time.Duration(at - s.PausedSince)
		s.Paused, s.PausedSince = stretched(s.Paused, Stretch{s.PausedSince, at}), 0
	}
}

// stretched are stretches and one more, unless it is of no length: the last so many.
func stretched(all []Stretch, s Stretch) []Stretch {
	switch {
	case s.From == s.Until:
		return all
	case len(all) == maxStretches:
		all = slices.Delete(all, 0, 1)
	}
	return append(all, s)
}

// transfer is that the target has it: the share of who handed it over is done.
func (i *Interaction) transfer(f *Fact, body *Body, at int64) {
	for n := len(i.Shares) - 1; n >= 0; n-- {
		s := &i.Shares[n]
		switch {
		case !f.Assignment.IsZero():
			if s.Name != f.Assignment {
				continue
			}
		case f.Actor.isPerson():
			if s.Agent != f.Actor.ID {
				continue
			}
		case s.Agent == body.Target || !s.open() || s.Connected == 0 && s.Accepted == 0:
			continue
		}
		switch {
		case s.open():
			s.end(at, eventv1.EndReason_END_REASON_TRANSFER)
			s.Inferred = true
		case s.Ended != 0:
			first(&s.Reason, eventv1.EndReason_END_REASON_TRANSFER)
		}
		return
	}
}
