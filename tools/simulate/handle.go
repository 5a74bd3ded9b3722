package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// load counts what an agent has in hand and not laid aside.
func (a *Agent) load() (calls, chats, mails int) {
	for _, share := range a.active {
		switch {
		case share.pausedNow():
		case share.Contact.Channel == eventv1.Channel_CHANNEL_VOICE:
			calls++
		case share.Contact.Channel == eventv1.Channel_CHANNEL_EMAIL:
			mails++
		default:
			chats++
		}
	}
	return calls, chats, mails
}

func (a *Assignment) pausedNow() bool {
	return len(a.Paused) > 0 && a.Paused[len(a.Paused)-1].Until == 0
}

// room tells whether an agent can take one more: one call, or a few chats, or several mails.
func (s *sim) room(a *Agent, channel eventv1.Channel) bool {
	const mostMails, mostInHand = 4, 6
	if !a.signedIn || a.presence.Meaning != routable || a.pending != nil || s.now < a.blocked {
		return false
	}
	calls, chats, mails := a.load()
	switch channel {
	case eventv1.Channel_CHANNEL_VOICE:
		return calls == 0 && chats == 0
	case eventv1.Channel_CHANNEL_EMAIL:
		return calls == 0 && chats == 0 && mails < mostMails && len(a.active) < mostInHand
	default:
		return calls == 0 && mails == 0 && chats < a.chats
	}
}

// longestIdle is who takes from a queue and has had nothing new for longest; nil where nobody has room.
func (s *sim) longestIdle(q *Queue) (best *Agent) {
	for _, a := range s.Agents {
		if (best == nil || a.idleSince < best.idleSince) && slices.Contains(a.queues, q) && s.room(a, q.Channel) {
			best = a
		}
	}
	return best
}

// dispatch offers who waits to somebody, or has them wait.
func (s *sim) dispatch(c *Contact) {
	q := c.visit.Queue
	if a := s.longestIdle(q); a != nil && len(s.waiting[q.Number]) == 0 {
		s.offer(c, a, c.visit, q, c.visit.origin)
		return
	}
	waiting := s.waiting[q.Number]
	n, _ := slices.BinarySearchFunc(waiting, c.visit.Entered, func(o *Contact, entered int64) int { return cmp.Compare(o.visit.Entered, entered) })
	s.waiting[q.Number] = slices.Insert(waiting, n, c)
}

func (s *sim) unqueue(c *Contact) {
	if c.visit == nil {
		return
	}
	q := c.visit.Queue.Number
	s.waiting[q] = slices.DeleteFunc(s.waiting[q], func(o *Contact) bool { return o == c })
}

// free has an agent do what comes next: go where the agent wanted to go, go on with mails, take who waits.
func (s *sim) free(a *Agent) {
	if a.pending != nil {
		if calls, chats, _ := a.load(); calls+chats > 0 {
			return
		}
		if a.pending.Meaning == offline {
			s.handBack(a)
		} else {
			s.layAside(a)
		}
		if a.pending != nil && (a.pending.Meaning != offline || len(a.active) == 0) {
			s.be(a, *a.pending)
		}
		return
	}
	for s.signedInAndReady(a) {
		var next *Contact
		for _, q := range a.queues {
			if waiting := s.waiting[q.Number]; len(waiting) > 0 && s.room(a, q.Channel) && (next == nil || waiting[0].visit.Entered < next.visit.Entered) {
				next = waiting[0]
			}
		}
		if next == nil {
			break
		}
		s.unqueue(next)
		s.offer(next, a, next.visit, next.visit.Queue, next.visit.origin)
	}
	if calls, _, _ := a.load(); calls == 0 && a.presence.Meaning == routable && a.signedIn {
		for _, share := range slices.Clone(a.active) {
			if share.pausedNow() {
				s.resume(share)
			}
		}
	}
}

func (s *sim) signedInAndReady(a *Agent) bool { return a.signedIn && a.presence.Meaning == routable }

// share makes an assignment.
func (s *sim) share(c *Contact, a *Agent, v *Visit, q *Queue, origin eventv1.Origin) *Assignment {
	share := &Assignment{
		Number: len(s.Assignments), Contact: c, Stretch: c.stretch(), Agent: a, Raw: a.raw(c.Provider, max(s.now+int64(s.Disorder.Clocks[c.Provider]), c.last)), Visit: v, Queue: q,
		Origin: origin,
	}
	share.name = fmt.Sprintf("s%d", share.Number)
	s.Assignments = append(s.Assignments, share)
	a.Assignments = append(a.Assignments, share)
	a.active = append(a.active, share)
	if v != nil {
		v.Assignments = append(v.Assignments, share)
	}
	return share
}

// offer asks an agent.
func (s *sim) offer(c *Contact, a *Agent, v *Visit, q *Queue, origin eventv1.Origin) {
	const timeout = 20 * time.Second
	share := s.share(c, a, v, q, origin)
	c.share, c.taken = share, false
	share.Offered = s.tell(c, share.of(event.TypeAssignmentOffered, &eventv1.Content{Body: &eventv1.Content_AssignmentOffered{
		AssignmentOffered: &eventv1.AssignmentOffered{Timeout: durationpb.New(timeout)},
	}}))
	a.idleSince, a.missed = s.now, false
	then := func(d time.Duration, do func()) {
		s.in(d, func() {
			if share.Declined == 0 && share.Ended == 0 {
				do()
			}
		})
	}
	gone := a.silent && c.Provider == Desk
	switch r := s.random.Float64(); {
	case gone, r < 0.02:
		then(timeout, func() { s.missed(share, gone) })
	case r < 0.035:
		then(s.between(time.Second, 6*time.Second), func() {
			s.decline(share, eventv1.DeclineReason_DECLINE_REASON_REJECTED)
			s.again(c)
		})
	default:
		then(s.between(500*time.Millisecond, 6*time.Second), func() { s.accept(share) })
	}
}

// missed is that an agent does not react. Some switches take such an agent out of the queues.
func (s *sim) missed(share *Assignment, gone bool) {
	a := share.Agent
	wait := s.between(20*time.Second, 60*time.Second)
	if gone {
		wait = s.part(0.1)
	}
	a.blocked = s.now + int64(wait)
	a.missed = true
	s.decline(share, eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT)
	s.report(a)
	if !gone && s.chance(0.4) && a.signedIn && a.pending == nil {
		before := a.presence
		out := presence("Away", custom, "missed")
		out.ChangedBy = "switch"
		s.be(a, out)
		s.back(a, before, wait)
	} else {
		s.in(wait, func() {
			a.missed = false
			s.report(a)
			s.free(a)
		})
	}
	s.again(share.Contact)
}

// decline ends an offer.
func (s *sim) decline(share *Assignment, why eventv1.DeclineReason) {
	share.Declined, share.Decline = s.tell(share.Contact, share.of(event.TypeAssignmentDeclined, &eventv1.Content{Body: &eventv1.Content_AssignmentDeclined{
		AssignmentDeclined: &eventv1.AssignmentDeclined{Reason: why},
	}})), why
	share.Contact.share = nil
	s.unload(share)
	if why == eventv1.DeclineReason_DECLINE_REASON_CANCELLED {
		s.free(share.Agent)
	} else {
		share.Agent.blocked = max(share.Agent.blocked, s.now+int64(3*time.Second))
		s.in(4*time.Second, func() { s.free(share.Agent) })
	}
}

// again has somebody else take what was declined.
func (s *sim) again(c *Contact) {
	switch {
	case c.visit != nil:
		s.dispatch(c)
	case c.origin == eventv1.Origin_ORIGIN_CALLBACK:
		s.offerBack(c)
	default: // it was handed over by hand
		s.enter(c, c.queue, eventv1.Origin_ORIGIN_TRANSFER)
	}
}

func (s *sim) accept(share *Assignment) {
	c, a := share.Contact, share.Agent
	c.taken = true
	if c.Channel == eventv1.Channel_CHANNEL_VOICE {
		s.layAside(a)
	}
	if c.maker.accepts || share.Origin == eventv1.Origin_ORIGIN_CALLBACK {
		share.Accepted = s.tell(c, share.of(event.TypeAssignmentAccepted, nil))
	}
	s.report(a)
	switch {
	case share.Origin == eventv1.Origin_ORIGIN_CALLBACK:
		s.ring(share)
	case c.Channel == eventv1.Channel_CHANNEL_VOICE && share.Accepted != 0:
		s.in(s.between(50*time.Millisecond, 1500*time.Millisecond), func() { s.connect(share) })
	default:
		s.connect(share)
	}
}

// connect is that agent and customer can talk.
func (s *sim) connect(share *Assignment) {
	c := share.Contact
	if share.Accepted != 0 && share.Accepted == c.last && c.Channel != eventv1.Channel_CHANNEL_VOICE {
		share.Connected = s.tellAlso(c, share.of(event.TypeAssignmentConnected, nil))
	} else {
		share.Connected = s.tell(c, share.of(event.TypeAssignmentConnected, nil))
	}
	if v := share.Visit; v != nil && v.Left == 0 {
		v.Left, v.Outcome, c.visit = share.Connected, eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED, nil
	}
	s.report(share.Agent)
	switch c.Channel {
	case eventv1.Channel_CHANNEL_VOICE:
		s.running = append(s.running, share)
		s.talk(share)
	case eventv1.Channel_CHANNEL_EMAIL:
		s.work(share, s.about(280*time.Second))
	default:
		s.chat(share)
	}
}

// then does something while a share goes on.
func (s *sim) then(share *Assignment, d time.Duration, do func()) {
	s.in(d, func() {
		if share.Ended == 0 {
			do()
		}
	})
}

// talk is a call, from when they can talk.
func (s *sim) talk(share *Assignment) {
	rest := s.about(200 * time.Second)
	part := rest / 3
	mayHandOver := share.Queue != nil && share.Origin != eventv1.Origin_ORIGIN_CALLBACK
	switch r := s.random.Float64(); {
	case r < 0.15:
		s.then(share, part, func() { s.hold(share, func() { s.then(share, rest-part, func() { s.hangUp(share) }) }) })
	case r < 0.20:
		s.then(share, part, func() {
			s.hold(share, func() {
				s.then(share, part, func() { s.hold(share, func() { s.then(share, part, func() { s.hangUp(share) }) }) })
			})
		})
	case r < 0.26 && mayHandOver:
		s.then(share, part, func() { s.consult(share, rest-part) })
	case r < 0.32 && mayHandOver:
		s.then(share, rest, func() {
			if to := s.another(share.Queue); to != nil {
				s.toQueue(share, to)
				return
			}
			s.hangUp(share)
		})
	case r < 0.35 && mayHandOver:
		s.then(share, rest, func() { s.toAgent(share) })
	default:
		s.then(share, rest, func() { s.hangUp(share) })
	}
}

// hold has the customer wait, and goes on with what comes after.
func (s *sim) hold(share *Assignment, after func()) {
	share.Held = append(share.Held, Stretch{From: s.tell(share.Contact, share.of(event.TypeAssignmentHeld, nil))})
	s.then(share, s.between(5*time.Second, 60*time.Second), func() {
		s.unhold(share)
		after()
	})
}

func (s *sim) unhold(share *Assignment) {
	share.Held[len(share.Held)-1].Until = s.tell(share.Contact, share.of(event.TypeAssignmentUnheld, nil))
}

// colleague is somebody who could take a call and speaks at the same switch; nil for nobody.
func (s *sim) colleague(of *Agent) *Agent {
	from := s.random.IntN(len(s.Agents))
	for n := range s.Agents {
		a := s.Agents[(from+n)%len(s.Agents)]
		if a != of && !a.Leads && a.telephone == of.telephone && len(a.active) == 0 && s.room(a, eventv1.Channel_CHANNEL_VOICE) {
			return a
		}
	}
	return nil
}

// consult asks a colleague while the customer waits; now and then the colleague takes over.
func (s *sim) consult(share *Assignment, rest time.Duration) {
	c, asked := share.Contact, s.colleague(share.Agent)
	if asked == nil {
		s.then(share, rest, func() { s.hangUp(share) })
		return
	}
	share.Held = append(share.Held, Stretch{From: s.tell(c, share.of(event.TypeAssignmentHeld, nil))})
	kind := eventv1.TransferKind_TRANSFER_KIND_CONSULT
	other := s.share(c, asked, nil, nil, eventv1.Origin_ORIGIN_CONSULT)
	s.tell(c, share.of(event.TypeTransferStarted, &eventv1.Content{Body: &eventv1.Content_TransferStarted{
		TransferStarted: &eventv1.TransferStarted{Kind: kind, Target: other.Raw},
	}}))
	other.Offered = s.tell(c, other.of(event.TypeAssignmentOffered, nil))
	asked.idleSince, asked.missed = s.now, false
	s.in(s.between(time.Second, 5*time.Second), func() {
		if c.maker.accepts {
			other.Accepted = s.tell(c, other.of(event.TypeAssignmentAccepted, nil))
		}
		other.Connected = s.tell(c, other.of(event.TypeAssignmentConnected, nil))
		s.report(asked)
	})
	s.in(s.between(15*time.Second, 60*time.Second), func() {
		if s.chance(0.4) {
			s.unsupervise(c)
			s.handOver(share, kind, other.Raw)
			c.share = other
			s.then(other, rest, func() { s.hangUp(other) })
			return
		}
		s.tell(c, share.of(event.TypeTransferFailed, &eventv1.Content{Body: &eventv1.Content_TransferFailed{
			TransferFailed: &eventv1.TransferFailed{Kind: kind, Target: other.Raw},
		}}))
		s.end(other, eventv1.EndReason_END_REASON_AGENT)
		s.done(other)
		s.unhold(share)
		s.then(share, rest, func() { s.hangUp(share) })
	})
}

// handOver ends a share by a transfer. A terse switch tells of the transfer only.
func (s *sim) handOver(share *Assignment, kind eventv1.TransferKind, target string) {
	completed := share.of(event.TypeTransferCompleted, &eventv1.Content{Body: &eventv1.Content_TransferCompleted{
		TransferCompleted: &eventv1.TransferCompleted{Kind: kind, Target: target},
	}})
	if share.Contact.maker.terse {
		s.close(share, s.tell(share.Contact, completed), eventv1.EndReason_END_REASON_TRANSFER)
	} else {
		s.end(share, eventv1.EndReason_END_REASON_TRANSFER)
		s.tell(share.Contact, completed)
	}
	s.wrapUp(share)
}

// toQueue hands a contact over to a queue.
func (s *sim) toQueue(share *Assignment, to *Queue) {
	c := share.Contact
	s.unsupervise(c)
	kind := eventv1.TransferKind_TRANSFER_KIND_QUEUE
	s.tell(c, share.of(event.TypeTransferStarted, &eventv1.Content{Body: &eventv1.Content_TransferStarted{
		TransferStarted: &eventv1.TransferStarted{Kind: kind, Target: to.Raw},
	}}))
	s.handOver(share, kind, to.Raw)
	c.share = nil
	s.enter(c, to, eventv1.Origin_ORIGIN_TRANSFER)
}

// toAgent hands a call over to a colleague, unannounced.
func (s *sim) toAgent(share *Assignment) {
	c, to := share.Contact, s.colleague(share.Agent)
	if to == nil {
		s.hangUp(share)
		return
	}
	s.unsupervise(c)
	kind, raw := eventv1.TransferKind_TRANSFER_KIND_BLIND, to.raw(c.Provider, s.now)
	s.tell(c, share.of(event.TypeTransferStarted, &eventv1.Content{Body: &eventv1.Content_TransferStarted{
		TransferStarted: &eventv1.TransferStarted{Kind: kind, Target: raw},
	}}))
	s.handOver(share, kind, raw)
	s.offer(c, to, nil, nil, eventv1.Origin_ORIGIN_TRANSFER)
}

// end tells the end of a share.
func (s *sim) end(share *Assignment, why eventv1.EndReason) {
	s.close(share, s.tell(share.Contact, share.of(event.TypeAssignmentEnded, reason(why))), why)
}

// close notes it.
func (s *sim) close(share *Assignment, at int64, why eventv1.EndReason) {
	share.Ended, share.Reason = at, why
	for _, stretches := range [][]Stretch{share.Held, share.Paused} {
		if n := len(stretches) - 1; n >= 0 && stretches[n].Until == 0 {
			stretches[n].Until = at
		}
	}
	s.running = slices.DeleteFunc(s.running, func(o *Assignment) bool { return o == share })
}

// hangUp ends a call.
func (s *sim) hangUp(share *Assignment) {
	c := share.Contact
	s.unsupervise(c)
	why := eventv1.EndReason_END_REASON_AGENT
	if s.chance(0.7) {
		why = eventv1.EndReason_END_REASON_CUSTOMER
	}
	c.share = nil
	if c.maker.terse {
		if why == eventv1.EndReason_END_REASON_CUSTOMER {
			s.close(share, s.tell(c, ended(why, 0)), why)
		} else {
			s.end(share, why)
			s.tell(c, ended(why, 0))
		}
		s.wrapUp(share)
		return
	}
	s.end(share, why)
	s.wrapUp(share)
	s.tell(c, ended(why, 0))
}

// wrapUp is after-call work, where there is any.
func (s *sim) wrapUp(share *Assignment) {
	c, a := share.Contact, share.Agent
	switch {
	case c.Channel == eventv1.Channel_CHANNEL_EMAIL, c.Channel != eventv1.Channel_CHANNEL_VOICE && s.chance(0.5):
		s.done(share)
		return
	case c.last == share.Ended && c.maker.namesAssignments:
		share.WrapupStarted = s.tellAlso(c, share.of(event.TypeWrapupStarted, nil))
	default:
		share.WrapupStarted = s.tell(c, share.of(event.TypeWrapupStarted, nil))
	}
	s.in(s.about(30*time.Second), func() {
		if c.maker.endsWrapup {
			share.Disposition = "done"
			share.WrapupEnded = s.tell(c, share.of(event.TypeWrapupEnded, &eventv1.Content{Body: &eventv1.Content_WrapupEnded{
				WrapupEnded: &eventv1.WrapupEnded{Disposition: share.Disposition},
			}}))
		} else if a.pending == nil && s.signedInAndReady(a) && s.chance(0.85) { // the agent says to be there again, and forgets to now and then
			again := a.presence
			again.Connector = a.telephone
			s.say(a, again)
		}
		s.done(share)
	})
}

// unload takes a share from what its agent has in hand.
func (s *sim) unload(share *Assignment) {
	a := share.Agent
	a.active = slices.DeleteFunc(a.active, func(o *Assignment) bool { return o == share })
}

// done is that an agent has nothing more to do with it.
func (s *sim) done(share *Assignment) {
	s.unload(share)
	share.Agent.idleSince = s.now
	s.report(share.Agent)
	s.free(share.Agent)
}

// work is a mail that is answered after some time, pauses not counted.
func (s *sim) work(share *Assignment, takes time.Duration) {
	share.turn++
	turn := share.turn
	share.finish = s.now + int64(takes)
	s.then(share, takes, func() {
		if share.turn == turn {
			s.reply(share)
		}
	})
}

// layAside pauses an agent's mails.
func (s *sim) layAside(a *Agent) {
	for _, share := range a.active {
		if share.Contact.Channel != eventv1.Channel_CHANNEL_EMAIL || share.Connected == 0 || share.Ended != 0 || share.pausedNow() {
			continue
		}
		share.turn++
		share.left = share.finish - s.now
		share.Paused = append(share.Paused, Stretch{From: s.tell(share.Contact, share.of(event.TypeAssignmentPaused, nil))})
	}
}

func (s *sim) resume(share *Assignment) {
	share.Paused[len(share.Paused)-1].Until = s.tell(share.Contact, share.of(event.TypeAssignmentResumed, nil))
	s.work(share, time.Duration(share.left))
}

// reply ends a mail. Some customers write again, in time or too late for it to be the same matter.
func (s *sim) reply(share *Assignment) {
	c := share.Contact
	s.answer(share)
	s.end(share, eventv1.EndReason_END_REASON_AGENT)
	window := s.part(1. / 20)
	s.tell(c, happening{
		typ: event.TypeInteractionResolved, agent: share.Agent, actor: share.Raw,
		content: &eventv1.Content{Body: &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{
			Resolution: "answered", ReopenWindow: durationpb.New(window),
		}}},
	})
	c.share = nil
	s.wrapUp(share)
	s.comeBack(c, window)
}

// comeBack has some customers write again.
func (s *sim) comeBack(c *Contact, window time.Duration) {
	switch r := s.random.Float64(); {
	case r < 0.04:
		s.in(s.between(window/10, window*8/10), func() {
			s.write(c, false)
			s.enter(c, c.queue, 0)
		})
	case r < 0.08:
		s.in(s.between(window*12/10, window*3), func() {
			s.write(c, true)
			s.enter(c, c.queue, 0)
		})
	}
}

// chat is a chat or an exchange of messages, from when they can talk.
func (s *sim) chat(share *Assignment) {
	c, rest := share.Contact, s.about(260*time.Second)
	turns := 1 + s.random.IntN(3)
	for n := range turns {
		s.then(share, rest*time.Duration(2*n+1)/time.Duration(2*turns+1), func() { s.answer(share) })
		if n > 0 {
			s.then(share, rest*time.Duration(2*n)/time.Duration(2*turns+1), func() { s.write(c, false) })
		}
	}
	s.then(share, rest, func() {
		to := s.another(share.Queue)
		if to != nil && s.chance(0.06) {
			s.toQueue(share, to)
			return
		}
		c.share = nil
		window := s.part(1. / 20)
		s.end(share, eventv1.EndReason_END_REASON_CUSTOMER)
		s.wrapUp(share)
		s.tell(c, ended(eventv1.EndReason_END_REASON_CUSTOMER, window))
		s.comeBack(c, window)
	})
}

// supervise has supervisors listen to calls of their teams.
func (s *sim) supervise() {
	for _, t := range s.Teams {
		for at := s.anywhere(0.05, 0.1); at < s.part(0.95); at += s.anywhere(0.01, 0.04) {
			s.in(at, func() { s.listen(t.Supervisor) })
		}
	}
}

func (s *sim) listen(by *Agent) {
	if !by.signedIn || by.telephone == "" {
		return
	}
	for _, share := range s.running {
		c := share.Contact
		if share.Agent.Team != by.Team || c.share != share || len(c.Supervisions) > 0 || c.Provider != by.telephone {
			continue
		}
		modes := []eventv1.SupervisorMode{
			eventv1.SupervisorMode_SUPERVISOR_MODE_MONITOR, eventv1.SupervisorMode_SUPERVISOR_MODE_WHISPER, eventv1.SupervisorMode_SUPERVISOR_MODE_BARGE,
		}
		sup := &Supervision{Agent: by, Mode: modes[s.random.IntN(len(modes))], Stretch: c.stretch(), party: &eventv1.SubmittedParty{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: fmt.Sprintf("sip:%s-lead%d@pbx.example", s.Name, by.Number)},
			Role:    eventv1.PartyRole_PARTY_ROLE_SUPERVISOR, Side: eventv1.Side_SIDE_COMPANY,
		}}
		c.Supervisions = append(c.Supervisions, sup)
		sup.From = s.tell(c, happening{
			typ: event.TypePartyJoined, agent: by, actor: by.raw(c.Provider, s.now), party: sup.party,
			content: &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{SupervisorMode: sup.Mode}}},
		})
		s.in(s.between(15*time.Second, 120*time.Second), func() { s.unsupervise(c) })
		return
	}
}

// unsupervise has a supervisor leave.
func (s *sim) unsupervise(c *Contact) {
	for _, sup := range c.Supervisions {
		if sup.Until == 0 {
			sup.Until = s.tell(c, happening{typ: event.TypePartyLeft, agent: sup.Agent, actor: sup.Agent.raw(c.Provider, s.now), party: sup.party})
		}
	}
}
