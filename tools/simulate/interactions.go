package simulate

import (
	"cmp"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Interaction is one of a contact. Times are nanoseconds since 1970; 0 is none.
type Interaction struct {
	Contact *Contact
	Stretch int
	Began   int64
	// Ended is when its media were over, Resolved when it was settled; neither while it goes on again.
	Ended, Resolved int64
	// Reopenings are how often it went on after it was over, Reopened when it did last.
	Reopenings int
	Reopened   int64
	// BotStarted, HandedOff and BotEnded are what its bot did. Contained says that the bot settled it.
	BotStarted, HandedOff, BotEnded int64
	Contained                       bool
	// FirstReply is the first message of a person.
	FirstReply int64
	// Received and Sent are its messages.
	Received, Sent []int64
}

// Over is when it was settled: resolved, or closed; 0 while it is open.
func (i *Interaction) Over() int64 {
	if i.Resolved != 0 {
		return i.Resolved
	}
	return i.Ended
}

// note keeps what became of the interaction in which something happens.
func (c *Contact) note(h happening) {
	if h.opens {
		c.Interactions = append(c.Interactions, &Interaction{Contact: c, Stretch: h.stretch, Began: h.at})
	}
	i := c.Interactions[h.stretch]
	switch h.typ {
	case event.TypeMessageReceived:
		i.Received = append(i.Received, h.at)
		if i.Over() != 0 {
			i.Ended, i.Resolved, i.Reopened = 0, 0, h.at
			i.Reopenings++
		}
	case event.TypeMessageSent:
		i.Sent = append(i.Sent, h.at)
		if i.FirstReply == 0 {
			i.FirstReply = h.at
		}
	case event.TypeBotStarted:
		i.BotStarted = h.at
	case event.TypeBotHandedOff:
		i.HandedOff = h.at
	case event.TypeBotEnded:
		i.BotEnded, i.Contained = h.at, h.content.GetBotEnded().GetContained()
	case event.TypeInteractionResolved: // a thread of messages ends by that
		i.Resolved, i.Ended = h.at, h.at
	case event.TypeInteractionEnded:
		if i.Ended == 0 {
			i.Ended = h.at
		}
	}
}

// firstResponse is when a person replied first: wrote, or on the telephone answered; 0 where nobody did, or the company called.
func (d *Day) firstResponse(i *Interaction) int64 {
	if i.Contact.Channel != eventv1.Channel_CHANNEL_VOICE || i.Contact.Direction == eventv1.Direction_DIRECTION_OUTBOUND {
		return i.FirstReply
	}
	first := int64(0)
	for _, a := range d.sharesOf(i) {
		if a.Connected != 0 && a.Origin != eventv1.Origin_ORIGIN_CONSULT && (first == 0 || a.Connected < first) {
			first = a.Connected
		}
	}
	return first
}

// queueOf is the one in which an interaction waits, or from which it was taken last; nil for none.
func (d *Day) queueOf(i *Interaction) (queue *Queue) {
	last := int64(0)
	took := func(at int64, q *Queue) {
		if at >= last && at != 0 && q != nil {
			last, queue = at, q
		}
	}
	for _, v := range d.visitsOf(i) {
		took(v.Entered, v.Queue)
	}
	for _, a := range d.sharesOf(i) {
		took(max(a.Accepted, a.Connected), a.Queue)
		if queue == nil {
			queue = a.Queue
		}
	}
	return queue
}

type ofContact struct {
	visits []*Visit
	shares []*Assignment
}

// visitsOf and sharesOf are the waits and the shares of an interaction, in order of their begin.
func (d *Day) visitsOf(i *Interaction) (all []*Visit) {
	for _, v := range d.contacts[i.Contact.Number].visits {
		if v.Stretch == i.Stretch {
			all = append(all, v)
		}
	}
	return all
}

func (d *Day) sharesOf(i *Interaction) (all []*Assignment) {
	for _, a := range d.contacts[i.Contact.Number].shares {
		if a.Stretch == i.Stretch {
			all = append(all, a)
		}
	}
	return all
}

// indexContacts finds what belongs to each contact.
func (d *Day) indexContacts() {
	d.contacts = make([]ofContact, len(d.Contacts))
	for _, v := range d.Visits {
		of := &d.contacts[v.Contact.Number]
		of.visits = append(of.visits, v)
	}
	for _, a := range d.Assignments {
		of := &d.contacts[a.Contact.Number]
		of.shares = append(of.shares, a)
	}
}

// Journey is from interactions on a channel to their customers' next ones.
type Journey struct {
	From, To eventv1.Channel
	// Gaps are the times between.
	Gaps []time.Duration
	// Customers are how many took it.
	Customers int
}

// Journeys are those of the day: to what began within some time after the one before ended.
func (d *Day) Journeys(within time.Duration) (all []*Journey) {
	customers := map[string][]*Interaction{}
	for _, c := range d.Contacts {
		customers[c.customer.GetValue()] = append(customers[c.customer.GetValue()], c.Interactions...)
	}
	type way struct{ from, to eventv1.Channel }
	known := map[way]*Journey{}
	for _, steps := range customers {
		slices.SortFunc(steps, func(a, b *Interaction) int { return cmp.Compare(a.Began, b.Began) })
		counted := map[way]bool{}
		for n := 1; n < len(steps); n++ {
			before, next := steps[n-1], steps[n]
			gap := time.Duration(0)
			if before.Ended != 0 {
				gap = max(0, time.Duration(next.Began-before.Ended))
			}
			if gap > within {
				continue
			}
			w := way{before.Contact.Channel, next.Contact.Channel}
			if known[w] == nil {
				known[w] = &Journey{From: w.from, To: w.to}
				all = append(all, known[w])
			}
			known[w].Gaps = append(known[w].Gaps, gap)
			if !counted[w] {
				counted[w] = true
				known[w].Customers++
			}
		}
	}
	for _, j := range all {
		slices.Sort(j.Gaps)
	}
	return all
}
