package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
)

// Explain tells what happened with an agent shortly before a moment, as connectors told it.
func (d *Day) Explain(a *Agent, by int64) string {
	const most = 14
	type line struct {
		at   int64
		text string
	}
	var lines []line
	for _, st := range a.Statements {
		if st.At <= by && (st.Type != event.TypeAgentHeartbeat || st.At > by-int64(2*st.Timeout)) {
			lines = append(lines, line{st.At, st.String()})
		}
	}
	for _, share := range a.Assignments {
		for _, what := range share.history() {
			if what.at != 0 && what.at <= by {
				lines = append(lines, line{what.at, fmt.Sprintf("%s %s %s (%s, queue %q)", shareName(contactName(share.Contact), at(share.Begin())), word(share.Contact.Channel),
					what.text, share.Contact.Provider, queueID(share.Queue))})
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "        %s %s\n", at(l.at), l.text)
	}
	return b.String()
}

// String tells it in words.
func (st *Statement) String() string {
	switch st.Type {
	case event.TypeAgentPresenceChanged:
		text := fmt.Sprintf("%s: presence %q %s %q", st.Connector, st.Presence, word(st.Meaning), st.Reason)
		if st.Everywhere {
			text += ", everywhere, by " + st.ChangedBy
		}
		return text
	case event.TypeAgentRoutingStatusChanged:
		return st.Connector + ": reports " + word(st.Status)
	case event.TypeAgentCapacityChanged:
		return fmt.Sprintf("%s: capacity %v", st.Connector, st.Maximum)
	}
	return fmt.Sprintf("%s: lives, and again within %v", st.Connector, st.Timeout)
}

type told struct {
	at   int64
	text string
}

// history is what happened with an assignment.
func (a *Assignment) history() []told {
	all := []told{
		{a.Offered, "offered"}, {a.Declined, "declined " + word(a.Decline)}, {a.Accepted, "accepted"}, {a.Connected, "connected"},
	}
	for _, h := range a.Held {
		all = append(all, told{h.From, "held"}, told{h.Until, "unheld"})
	}
	for _, p := range a.Paused {
		all = append(all, told{p.From, "paused"}, told{p.Until, "resumed"})
	}
	return append(all, told{a.Ended, "ended " + word(a.Reason)}, told{a.WrapupStarted, "wrap-up started"}, told{a.WrapupEnded, "wrap-up ended"})
}

// explainContact tells the events of a contact.
func (d *Day) explainContact(c *Contact) string {
	var b strings.Builder
	for n := range d.events {
		if h := &d.events[n]; h.contact == c {
			fmt.Fprintf(&b, "        %s %s", at(h.at), h.typ)
			for _, s := range []string{h.queue, h.actor, h.visit, h.assignment} {
				if s != "" {
					b.WriteString(" " + s)
				}
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// explainQueue tells who waits in a queue by a moment.
func (d *Day) explainQueue(q *Queue, by int64) string {
	const most = 20
	var b strings.Builder
	n := 0
	for _, v := range d.Visits {
		if v.Queue != q || v.Entered > by || v.Left != 0 && v.Left <= by {
			continue
		}
		if n++; n > most {
			b.WriteString("        and more\n")
			break
		}
		fmt.Fprintf(&b, "        %s waits since %s\n", contactName(v.Contact), at(v.Entered))
		if n == 1 {
			b.WriteString(d.explainContact(v.Contact))
		}
	}
	return b.String()
}
