package supervision

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// stretch is a part of time: what a strip shows from its left to its right.
type stretch struct{ from, until time.Time }

func (s stretch) length() time.Duration { return s.until.Sub(s.from) }

// place is where a part of time lies on the strip of a stretch, in percent of its width; shown is false where it lies outside.
func (s stretch) place(p stretch) (x, width float64, shown bool) {
	from, until := later(p.from, s.from), earlier(p.until, s.until)
	if s.length() <= 0 || !from.Before(until) {
		return 0, 0, false
	}
	const whole = 100
	return whole * float64(from.Sub(s.from)) / float64(s.length()), whole * float64(until.Sub(from)) / float64(s.length()), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// percent is a length as SVG writes it.
func percent(x float64) string { return strconv.FormatFloat(x, 'f', -1, 32) + "%" }

// span is a part of an agent's day in which the state stayed as it was.
type span struct {
	stretch
	state            state
	presence, reason string
}

// spansOf joins the intervals of a day that differ in nothing a strip shows.
func spansOf(intervals []*agentv1.Interval) (spans []span) {
	for _, i := range intervals {
		states := make([]agentv1.ContactState, len(i.GetContacts()))
		for n, c := range i.GetContacts() {
			states[n] = c.GetState()
		}
		s := span{
			stretch:  stretch{i.GetFrom().AsTime(), i.GetUntil().AsTime()},
			state:    stateOf(i.GetPresenceType(), i.GetVanished(), i.GetRoutingStatus(), states),
			presence: i.GetPresence(), reason: i.GetReason(),
		}
		if n := len(spans); n > 0 && spans[n-1].state == s.state && spans[n-1].presence == s.presence && spans[n-1].reason == s.reason {
			spans[n-1].until = s.until
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

// told is how long a state was in all.
type told struct {
	state state
	long  time.Duration
}

// totals are how long each state that was so was so, in the order of states.
func totals(spans []span) (all []told) {
	for _, s := range everyState() {
		if long := longIn(spans, s); long >= time.Second {
			all = append(all, told{s, long})
		}
	}
	return all
}

// longIn is how long a state was in all.
func longIn(spans []span, s state) (long time.Duration) {
	for _, p := range spans {
		if p.state == s {
			long += p.length()
		}
	}
	return long
}

// shortest is how much of a day a strip shows at least.
const shortest = 6 * time.Hour

// worked is the part of a day that its strip shows: the hours in which the agent was there, and where that is little, some around it.
func worked(day stretch, spans []span, zone *time.Location) stretch {
	var s stretch
	for _, p := range spans {
		if p.state == offline {
			continue
		}
		if s.from.IsZero() {
			s.from = p.from
		}
		s.until = p.until
	}
	if s.from.IsZero() {
		return day
	}
	wider := time.Duration(0)
	for {
		wide := stretch{later(hour(s.from, zone).Add(-wider), day.from), earlier(hour(s.until.Add(time.Hour-1), zone).Add(wider), day.until)}
		if wide.length() >= min(shortest, day.length()) {
			return wide
		}
		wider += time.Hour
	}
}

// hour is the begin of the hour of a moment, by the clock of a zone: not every zone is whole hours from UTC.
func hour(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
}

// tick is an hour on a strip.
type tick struct {
	x     float64
	text  string
	minor bool // has no room for its text on a small screen
}

// ticks are the hours of a stretch, but those at its ends.
func (s stretch) ticks(zone *time.Location) (all []tick) {
	const usual, few = 2, 8
	step := 1
	if s.length() > few*time.Hour {
		step = usual
	}
	for t := hour(s.from, zone).Add(time.Hour); t.Before(s.until); t = t.Add(time.Hour) {
		if t.In(zone).Hour()%step == 0 {
			x, _, _ := s.place(stretch{t, s.until})
			all = append(all, tick{x: x, text: t.In(zone).Format("15:04"), minor: t.In(zone).Hour()%(2*step) != 0})
		}
	}
	return all
}

// dayOf is the day in which a moment lies, in the person's time zone: 23 or 25 hours where the clock is changed.
func dayOf(ctx context.Context, t time.Time) stretch {
	year, month, day := t.In(lang.Zone(ctx)).Date()
	return stretch{time.Date(year, month, day, 0, 0, 0, 0, lang.Zone(ctx)), time.Date(year, month, day+1, 0, 0, 0, 0, lang.Zone(ctx))}
}

// part is an agent's part of a contact, as the strip shows it.
type part struct {
	stretch
	lane    int
	inHand  bool
	contact *agentv1.HandledContact
}

// lanes puts contacts under one another where they were in hand at the same time, each as high up as there is room; and tells how many lanes that takes.
// What is in hand still goes on until now.
func lanes(contacts []*agentv1.HandledContact, inHand map[string]bool, now time.Time) (parts []part, deep int) {
	for _, c := range contacts {
		p := part{stretch: handled(c.GetAssignment(), now), inHand: inHand[c.GetAssignment().GetId()], contact: c}
		if p.inHand {
			p.until = now
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b part) int { return a.from.Compare(b.from) })
	var free []time.Time // from when on there is room on each lane
	for i, p := range parts {
		lane := slices.IndexFunc(free, func(t time.Time) bool { return !t.After(p.from) })
		if lane < 0 {
			lane = len(free)
			free = append(free, time.Time{})
		}
		free[lane], parts[i].lane = p.until, lane
	}
	return parts, len(free)
}

// handled is from when until when an agent had a share of a contact, after-call work included; until now where no end is known.
func handled(a *conversationv1.Assignment, now time.Time) stretch {
	s := stretch{until: now}
	for _, t := range []*timestamppb.Timestamp{a.GetConnectedAt(), a.GetAcceptedAt(), a.GetOfferedAt()} {
		if t != nil {
			s.from = t.AsTime()
		}
	}
	for _, t := range []*timestamppb.Timestamp{a.GetDeclinedAt(), a.GetEndedAt(), a.GetWrapupEndedAt()} {
		if t != nil {
			s.until = t.AsTime()
		}
	}
	return s
}
