package simulate

import (
	"slices"
	"strings"
	"time"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Board is the live board.
type Board struct {
	Queues []QueueRow
	Teams  []TeamRow
	Agents []State
}

// QueueRow is a queue.
type QueueRow struct {
	Queue                                                  *Queue
	Waiting                                                int
	Oldest                                                 *Visit
	Tied                                                   bool // another one came at the same moment as the oldest
	Offered, InContact, AfterCallWork, Available, SignedIn int
	Counts                                                 Counts
}

// Counts are visits that began in a stretch of time, by what came of them.
type Counts struct {
	Entered, Waiting, Answered, AnsweredWithin, Abandoned, ShortAbandoned, FlowedOut, Deflected int
	// Waited is by the answered in all, Longest by who waited longest of those that are over.
	Waited, Longest time.Duration
	// Handled assignments, and how long that took in all.
	Handled int
	Handle  time.Duration
}

// ServiceLevel is answered within ÷ (entered − waiting − short abandoned); false where nothing is to be divided by.
func (c *Counts) ServiceLevel() (float64, bool) {
	of := c.Entered - c.Waiting - c.ShortAbandoned
	if of <= 0 {
		return 0, false
	}
	return float64(c.AnsweredWithin) / float64(of), true
}

// TeamRow is a team.
type TeamRow struct {
	Team           *Team
	Agents         int
	Types, Routing map[string]int
	InContact      int
}

// Board is the board for who has seen the day up to a moment and whose clock shows a later one: only deadlines of heartbeats go by that.
func (d *Day) Board(known, clock int64) Board {
	var b Board
	for _, a := range d.Agents {
		b.Agents = append(b.Agents, d.Present(a, known, clock))
	}
	for _, q := range d.Queues {
		b.Queues = append(b.Queues, QueueRow{Queue: q})
	}
	for _, t := range d.Teams {
		b.Teams = append(b.Teams, b.team(t))
	}
	b.agents()
	for _, v := range d.Visits {
		if v.Entered <= known {
			b.Queues[v.Queue.Number].count(v, known)
		}
	}
	return b
}

// connected tells whether an agent is connected with a contact, in the terms of the board.
func (h InHand) connected() bool {
	return h.State == agentv1.ContactState_CONTACT_STATE_CONNECTED || h.State == agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD ||
		h.State == agentv1.ContactState_CONTACT_STATE_PAUSED
}

func (b *Board) team(t *Team) TeamRow {
	row := TeamRow{Team: t, Types: map[string]int{}, Routing: map[string]int{}}
	for _, s := range b.Agents {
		if s.Agent.Team != t {
			continue
		}
		row.Agents++
		row.Types[strings.TrimPrefix(s.Presence.Type.String(), "PRESENCE_TYPE_")]++
		row.Routing[strings.TrimPrefix(s.Routing.String(), "ROUTING_STATUS_")]++
		for _, h := range s.Contacts {
			if h.connected() {
				row.InContact++
			}
		}
	}
	return row
}

// agents counts agents and their contacts in the rows of queues.
func (b *Board) agents() {
	for n := range b.Queues {
		row := &b.Queues[n]
		for _, s := range b.Agents {
			for _, h := range s.Contacts {
				switch {
				case h.Queue != row.Queue:
				case h.connected():
					row.InContact++
				case h.State == agentv1.ContactState_CONTACT_STATE_ENDED:
					row.AfterCallWork++
				}
			}
			if !s.Agent.has(row.Queue) {
				continue
			}
			if s.Presence.Type != offline {
				row.SignedIn++
			}
			if s.Routing == eventv1.RoutingStatus_ROUTING_STATUS_IDLE {
				row.Available++
			}
		}
	}
}

// count counts a visit, as it is by a moment.
func (r *QueueRow) count(v *Visit, known int64) {
	r.Counts.add(v, known)
	if v.Left != 0 && v.Left <= known {
		return
	}
	r.Waiting++
	switch {
	case r.Oldest == nil || v.Entered < r.Oldest.Entered:
		r.Oldest, r.Tied = v, false
	case v.Entered == r.Oldest.Entered:
		r.Tied = true
	}
	if slices.ContainsFunc(v.Assignments, func(a *Assignment) bool {
		has := func(t int64) bool { return t != 0 && t <= known }
		return has(a.Offered) && !has(a.Accepted) && !has(a.Connected) && !has(a.Declined) && !has(a.Ended)
	}) {
		r.Offered++
	}
}

func (c *Counts) add(v *Visit, known int64) {
	c.Entered++
	if v.Left == 0 || v.Left > known {
		c.Waiting++
	} else {
		c.left(v)
	}
	for _, a := range v.Assignments {
		if d, over := a.handled(known); over {
			c.Handled++
			c.Handle += d
		}
	}
}

func (c *Counts) left(v *Visit) {
	waited := time.Duration(v.Left - v.Entered)
	c.Longest = max(c.Longest, waited)
	within := 20 * time.Second
	switch {
	case v.Target > 0:
		within = v.Target
	case v.Queue.Within > 0:
		within = v.Queue.Within
	}
	switch v.Outcome {
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED:
		c.Answered++
		c.Waited += waited
		if waited <= within {
			c.AnsweredWithin++
		}
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED:
		c.Abandoned++
		if waited < v.Queue.ShortAbandon {
			c.ShortAbandoned++
		}
	case eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
		c.FlowedOut++
	case eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL, eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK:
		c.Deflected++
	case eventv1.QueueOutcome_QUEUE_OUTCOME_UNSPECIFIED:
	}
}

// Spell is what was counted of a queue in a quarter of an hour, or another width.
type Spell struct {
	Queue *Queue
	From  int64
	Counts
}

// Spells are the counts of every interval of a width, such as 15, 30 or 60 minutes, in which visits of a queue began, by queue and time.
func (d *Day) Spells(width time.Duration) (all []Spell) {
	type key struct {
		queue int
		from  int64
	}
	counts := map[key]*Counts{}
	for _, v := range d.Visits {
		k := key{v.Queue.Number, v.Entered - v.Entered%int64(width)}
		if counts[k] == nil {
			counts[k] = &Counts{}
		}
		counts[k].add(v, Everything)
	}
	for k, c := range counts {
		all = append(all, Spell{d.Queues[k.queue], k.from, *c})
	}
	slices.SortFunc(all, func(a, b Spell) int {
		if a.Queue != b.Queue {
			return a.Queue.Number - b.Queue.Number
		}
		return int((a.From - b.From) / int64(time.Second))
	})
	return all
}
