package freeswitch

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

// occurrence is an event of the switch with what every one has.
type occurrence struct {
	esl.Event
	at time.Time
	id string
}

// occurrenceOf reads what every event has. The pair of the core's run and the number of the event in it names one event of one
// switch, and is the same on each connection.
func occurrenceOf(e esl.Event) (occurrence, error) {
	o := occurrence{Event: e, id: e.Get("Core-UUID") + "/" + e.Get("Event-Sequence")}
	at, ok := micros(e.Get("Event-Date-Timestamp"))
	switch {
	case e.Get("Event-Name") == "":
		return o, errors.New("the event has no name")
	case !ok:
		return o, errors.New("the event has no Event-Date-Timestamp")
	case e.Get("Core-UUID") == "" || e.Get("Event-Sequence") == "":
		return o, errors.New("the event has no Core-UUID and Event-Sequence")
	}
	o.at = at
	return o, nil
}

// micros reads a time in microseconds since 1970.
func micros(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(n).UTC(), true
}

// seconds reads a time in seconds since 1970.
func seconds(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// leg is the channel's own id.
func (o occurrence) leg() string { return o.First("Unique-ID", "Caller-Unique-ID") }

// call is the id of the call that the channel belongs to: that of its first leg. mod_callcenter makes an agent's leg as a call
// of its own and marks it with the caller's; only an agent who stays on the line (uuid-standby) has a call that outlasts those.
func (o occurrence) call() string {
	if o.Get("variable_cc_side") == "agent" && !o.standby() {
		if member := o.Get("variable_cc_member_session_uuid"); member != "" {
			return member
		}
	}
	if call := o.Get("Channel-Call-UUID"); call != "" {
		return call
	}
	if o.Get("Other-Type") == "originator" && o.Get("Other-Leg-Unique-ID") != "" {
		return o.Get("Other-Leg-Unique-ID")
	}
	return o.leg()
}

// standby tells the leg of an agent who stays on the line.
func (o occurrence) standby() bool { return o.Get("variable_cc_agent_type") == "uuid-standby" }

// first tells the first leg of a call, which makes and ends the interaction.
func (o occurrence) first() bool { return o.call() == o.leg() }

// alone tells the first leg of a call that the switch itself makes.
func (o occurrence) alone() bool { return o.first() && o.Get("Call-Direction") == "outbound" }

// happened tells whether a time of the channel is set.
func (o occurrence) happened(name string) bool {
	at, ok := micros(o.Get(name))
	return ok && at.After(time.Unix(0, 0))
}

// peer is the leg that this one is or was connected with; empty where there was none.
func (o occurrence) peer() string {
	a, b := o.Get("Bridge-A-Unique-ID"), o.Get("Bridge-B-Unique-ID")
	switch o.leg() {
	case a:
		return b
	case b:
		return a
	}
	return o.First("Other-Leg-Unique-ID", "variable_signal_bond", "variable_last_bridge_to")
}

// join tells that the peer is another call, and which of the two began first: the other one is joined to it.
func (o occurrence) join() (child, parent string, ok bool) {
	call, peer := o.call(), o.peer()
	if peer == "" || call == "" || peer == call || peer == o.leg() {
		return "", "", false
	}
	if o.first() && slices.ContainsFunc(esl.List(o.Get("variable_originated_legs")), func(leg string) bool {
		return strings.HasPrefix(leg, peer)
	}) {
		return "", "", false // a leg that this one made
	}
	mine, known := micros(o.Get("Caller-Channel-Created-Time"))
	theirs, theirsKnown := micros(o.Get("Other-Leg-Channel-Created-Time"))
	older := o.Get("Other-Leg-Unique-ID") == peer && known && theirsKnown && theirs.Before(mine)
	if !older {
		return peer, call, true
	}
	return call, peer, true
}

// submission begins a submission of a thread.
func (o occurrence) submission(typ, thread string, direction eventv1.Direction) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Thread: thread, NativeId: o.id, Direction: direction, OccurredAt: timestamppb.New(o.at),
		Channel: eventv1.Channel_CHANNEL_VOICE, Provider: Provider,
	}
}
