package asterisk

import (
	"crypto/sha256"
	"maps"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// gap is what a session finds out about the time before it.
type gap struct {
	from   time.Time       // until when everything was known; zero where nothing was
	until  time.Time       // the switch's time as this session began
	open   map[string]bool // calls that were under way at from
	listed map[string]bool // calls that are under way, as the switch says
}

func (g *gap) begin(l *line) {
	from := l.last
	if from.IsZero() {
		from = l.first // a session before this one broke before the switch told its time; zero where there was none
	}
	if l.first.IsZero() {
		l.first = l.cfg.Now()
	}
	*g = gap{from: from, open: maps.Clone(l.open), listed: map[string]bool{}}
}

// began tells of the gap and asks for what stands.
func (s *session) began(b *block, at time.Time) error {
	s.gap.until = at
	if s.gap.from.After(at) { // its clock was set back
		s.gap.from, s.last = at, at
	}
	if !s.gap.from.IsZero() {
		s.metrics.gaps.Inc()
		from, until := s.gap.from.UTC().Format(time.RFC3339Nano), at.UTC().Format(time.RFC3339Nano)
		s.log.Warn("events of the switch may be missing", "from", from, "until", until)
		s.found(b, &eventv1.Submission{
			Type: event.TypeSourceGapDetected, OccurredAt: timestamppb.New(at), Thread: "switch/" + s.Addr, NativeId: from + "/" + until,
			Actor: systemActor(),
			Content: &eventv1.Content{Body: &eventv1.Content_SourceGapDetected{SourceGapDetected: &eventv1.SourceGapDetected{
				Source: s.Addr, From: timestamppb.New(s.gap.from), Until: timestamppb.New(at), Reason: "no connection to the switch",
			}}},
		})
		if err := s.ask("CoreShowChannels", idChannels); err != nil {
			return err
		}
	}
	return s.ask("QueueStatus", idQueues)
}

// found adds an event that no event of the switch tells.
func (s *session) found(b *block, sub *eventv1.Submission) {
	sub.Channel, sub.Provider, sub.Inbox = eventv1.Channel_CHANNEL_VOICE, Provider, s.Inbox
	s.pending = append(s.pending, item{block: b, submissions: []*eventv1.Submission{sub}})
}

// listed takes a line of one of the lists.
func (s *session) listed(b *block) error {
	switch b.get("Event") {
	case "CoreShowChannel":
		s.standingChannel(b)
	case "CoreShowChannelsComplete":
		return s.ask("Ping", idSettled) // whatever ended until now is told before its answer
	case "QueueEntry":
		s.standingCaller(b)
	case "QueueMember":
		s.standingMember(b)
	}
	return nil
}

// standingChannel tells the begin of a call that began in the gap. It is told under an id of its own, since it does not
// hold what the lost event held.
func (s *session) standingChannel(b *block) {
	r := &reading{block: b, sw: s.line, name: "CoreShowChannel"}
	l := r.leg("")
	if len(r.missing) > 0 || b.get("Linkedid") == "" || !l.root || isInternal(l.channel) {
		return
	}
	s.gap.listed[l.id] = true
	seconds, _, ok := madeAt(l.id)
	if !ok || s.open[l.id] || seconds < s.gap.from.Unix() || seconds > s.gap.until.Unix() {
		return
	}
	r.digest = digestOf(l.number, l.name, r.get("Exten"))
	r.started(l)
	s.stands(r)
}

// standingCaller tells of a caller who came into a queue in the gap. The list tells no Linkedid; a caller in a queue is nearly
// always a call's first channel, and where not, a thread.joined says so later.
func (s *session) standingCaller(b *block) {
	r := &reading{block: b, sw: s.line, name: "QueueEntry"}
	waited, err := strconv.ParseInt(b.get("Wait"), 10, 32)
	if s.gap.from.IsZero() || err != nil || waited < 0 {
		return
	}
	r.at = s.gap.until.Add(-time.Duration(waited) * time.Second)
	if r.at.Before(s.gap.from) {
		return
	}
	r.digest = digestOf(b.get("Queue"), r.at.String())
	r.queueJoin()
	s.stands(r)
}

// standingMember tells what a queue's member is at present.
func (s *session) standingMember(b *block) {
	r := &reading{block: b, sw: s.line, name: "QueueMember", at: s.gap.until}
	r.digest = digestOf(r.at.String(), b.get("Status"), b.get("Paused"), b.get("PausedReason"))
	agent := r.member()
	r.need("Queue")
	r.pause(agent)
	if status := r.routingStatus(); status != 0 {
		r.routing(agent, status)
	}
	s.stands(r)
}

func (s *session) stands(r *reading) {
	if len(r.missing) > 0 {
		return // a list says what it likes
	}
	s.took(r.out)
	s.pending = append(s.pending, item{block: r.block, submissions: r.out})
}

// settled tells that calls which were under way before the gap ended in it. When and why, nobody knows.
func (s *session) settled(b *block) {
	for id := range s.gap.open {
		if s.gap.listed[id] || !s.open[id] {
			continue
		}
		sub := &eventv1.Submission{
			Type: event.TypeInteractionEnded, Thread: id, NativeId: id + "/CoreShowChannelsComplete", Actor: systemActor(),
			Content: &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
				ProviderReason: "ended while there was no connection to the switch",
			}}},
		}
		s.found(b, sub)
		s.took([]*eventv1.Submission{sub})
	}
	s.gap.open = nil
}

func digestOf(values ...string) []byte {
	h := sha256.New()
	for _, v := range values {
		_, _ = h.Write([]byte(v)) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	return h.Sum(nil)[:16]
}
