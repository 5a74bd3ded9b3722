package freeswitch

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

// maxLive is how many calls and visits are remembered, and maxQueues how many queues are asked about.
const (
	maxLive   = 100_000
	maxQueues = 500
)

// remember keeps in mind which calls and visits are under way, for the next gap.
func (s *source) remember(e esl.Event) {
	o := occurrence{Event: e}
	switch name, action := e.Get("Event-Name"), e.Get("CC-Action"); {
	case name == "CHANNEL_CREATE" && o.first():
		if len(s.live) < maxLive {
			s.live[o.leg()] = true
		}
	case name == "CHANNEL_HANGUP_COMPLETE":
		delete(s.live, o.leg())
	case name != "CUSTOM":
	case action == "member-queue-start", action == "member-queue-resume":
		if len(s.waiting) < maxLive {
			s.waiting[e.Get("CC-Member-UUID")] = true
		}
	case action == "member-queue-end":
		delete(s.waiting, e.Get("CC-Member-UUID"))
	}
}

// reconcile tells of the gap, if there was one, and compares what was under way with what the switch says is. Certain is only
// that a call is over which the switch does not know any more, and that a call or a wait began which it has, which is younger than
// the first connection and which nobody told of. How a wait ended meanwhile, or who was connected with whom, the lists do not say.
func (n *session) reconcile() error {
	gap := !n.gapFrom.IsZero()
	if gap {
		n.add(item{subs: n.stamp([]*eventv1.Submission{n.gap()}), at: n.since, after: func() {
			n.gapFrom = time.Time{}
			n.keepCursor(n.work)
			n.channel.metrics.gaps.WithLabelValues(n.sw.Addr).Inc()
			n.log.Warn("events may have been lost", "until", n.since)
		}})
	}
	if n.began.IsZero() {
		n.began = n.since
		n.add(item{at: n.since})
	}
	if !gap {
		return nil
	}
	if err := n.send("api show channels as json", func(f esl.Frame) error { return n.channels(f.Body) }); err != nil {
		return err
	}
	return n.send("api callcenter_config queue list", func(f esl.Frame) error { return n.queues(f.Body) })
}

// gap is the event of it. Its id and its times are the switch's.
func (n *session) gap() *eventv1.Submission {
	from, until := n.gapFrom, n.since
	if until.Before(from) { // the switch's clock was set back
		from = until
	}
	s := occurrence{
		at: until, id: "gap/" + strconv.FormatInt(from.UnixMicro(), 10) + "/" + strconv.FormatInt(until.UnixMicro(), 10),
	}.submission(event.TypeSourceGapDetected, "switch/"+n.sw.Addr, eventv1.Direction_DIRECTION_UNSPECIFIED)
	s.Content = &eventv1.Content{Body: &eventv1.Content_SourceGapDetected{SourceGapDetected: &eventv1.SourceGapDetected{
		Source: n.sw.Addr, From: timestamppb.New(from), Until: timestamppb.New(until),
		Reason: "the connection to the event socket was interrupted",
	}}}
	return s
}

// row is a row of "show channels as json". What is initial does not change with a transfer.
type row struct {
	UUID           string `json:"uuid"`
	Direction      string `json:"direction"`
	CreatedEpoch   string `json:"created_epoch"`
	CallUUID       string `json:"call_uuid"`
	CIDName        string `json:"cid_name"`
	CIDNumber      string `json:"cid_num"`
	Dest           string `json:"dest"`
	InitialCIDName string `json:"initial_cid_name"`
	InitialCIDNum  string `json:"initial_cid_num"`
	InitialDest    string `json:"initial_dest"`
}

// rowsOf reads the list; false where it is none.
func rowsOf(body []byte) ([]row, bool) {
	var list struct {
		Count *int  `json:"row_count"` // there even without rows
		Rows  []row `json:"rows"`
	}
	err := json.Unmarshal(body, &list)
	return list.Rows, err == nil && list.Count != nil
}

// channels compares the calls. A leg that the switch made itself is left out: the list does not say whether it is an agent's leg
// of mod_callcenter.
func (n *session) channels(body []byte) error {
	rows, ok := rowsOf(body)
	if !ok {
		n.log.Warn("the switch does not tell its channels: calls that ended in the gap stay open")
		return nil
	}
	there := map[string]bool{}
	for _, r := range rows {
		there[r.UUID] = true
		began, ok := seconds(r.CreatedEpoch)
		if n.live[r.UUID] || len(n.live) >= maxLive || r.UUID == "" || (r.CallUUID != "" && r.CallUUID != r.UUID) || r.Direction != "inbound" || !ok ||
			!began.After(n.began) || !began.Add(time.Second).Before(n.before) { // else an event of it has come, or may come
			continue
		}
		n.live[r.UUID] = true
		n.add(item{subs: n.stamp(n.book.found(r, began)), raw: []byte(r.UUID)})
	}
	n.suspects = nil
	for leg := range n.older {
		if n.live[leg] && !there[leg] {
			n.suspects = append(n.suspects, leg)
		}
	}
	if len(n.suspects) == 0 {
		return nil
	}
	slices.Sort(n.suspects)
	return n.send("api strmicroepoch", n.clock(&n.listed))
}

// settle tells of the calls that are over. The end of one may have been on its way to us while the list was made: it has come by
// the time that something comes which happened later.
func (n *session) settle(at time.Time) {
	if len(n.suspects) == 0 || n.listed.IsZero() || !at.After(n.listed.Add(time.Second)) {
		return
	}
	for _, leg := range n.suspects {
		if !n.live[leg] {
			continue
		}
		delete(n.live, leg)
		s := occurrence{at: n.since, id: leg + "/gone"}.submission(event.TypeInteractionEnded, leg, eventv1.Direction_DIRECTION_UNSPECIFIED)
		s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
			ProviderReason: "ended while the event socket was not connected",
		}}}
		n.add(item{subs: n.stamp([]*eventv1.Submission{s}), raw: []byte(leg)})
	}
	n.suspects = nil
}

// found is the beginning of a call that nobody told of, as the list of channels has it.
func (b *book) found(r row, began time.Time) []*eventv1.Submission {
	o := occurrence{Event: esl.Event{Headers: esl.Headers{
		"unique-id": r.UUID, "channel-call-uuid": r.UUID, "call-direction": r.Direction,
		"caller-caller-id-number": first(r.InitialCIDNum, r.CIDNumber), "caller-caller-id-name": first(r.InitialCIDName, r.CIDName),
		"caller-destination-number": first(r.InitialDest, r.Dest),
	}}, at: began, id: r.UUID + "/list"}
	return b.created(o)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// queues asks each queue who waits in it.
func (n *session) queues(body []byte) error {
	for i, queue := range table(body) {
		name := queue["name"]
		if i == maxQueues || name == "" || strings.ContainsAny(name, " \r\n") {
			continue
		}
		if err := n.send("api callcenter_config queue list members "+name, func(f esl.Frame) error {
			n.members(name, f.Body)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// members tells of those who wait and of whom nobody told.
func (n *session) members(queue string, body []byte) {
	for _, m := range table(body) {
		joined, ok := seconds(m["joined_epoch"])
		state, uuid, session := m["state"], m["uuid"], m["session_uuid"]
		if !ok || uuid == "" || session == "" || n.waiting[uuid] || (state != "Waiting" && state != "Trying") ||
			!joined.After(n.began) || !joined.Add(time.Second).Before(n.before) || len(n.waiting) >= maxLive {
			continue
		}
		n.waiting[uuid] = true
		s := occurrence{at: joined, id: uuid + "/list"}.submission(event.TypeQueueEntered, session, inbound)
		s.Queue, s.Visit = queue, uuid
		s.Parties = n.book.member(m["cid_number"], m["cid_name"])
		s.Content = &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}}
		n.add(item{subs: n.stamp([]*eventv1.Submission{s}), raw: []byte(uuid)})
	}
}

// table reads what callcenter_config lists: a line of names, then lines of values, between "|".
func table(body []byte) []map[string]string {
	lines := strings.Split(strings.ToValidUTF8(string(body), "\uFFFD"), "\n")
	names := strings.Split(strings.TrimSpace(lines[0]), "|")
	if len(names) < 2 {
		return nil
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		values := strings.Split(strings.TrimRight(line, "\r"), "|")
		if len(values) != len(names) {
			continue // "+OK", or a value that holds the separator
		}
		r := map[string]string{}
		for i, name := range names {
			r[name] = values[i]
		}
		rows = append(rows, r)
	}
	return rows
}
