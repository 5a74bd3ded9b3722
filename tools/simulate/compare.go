package simulate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// fields are what is compared, by names.
type fields map[string]string

func (f fields) set(name string, value any) { f[name] = fmt.Sprint(value) }

// differences are the fields that are not the same in two.
func differences(server, truth fields) (all []fieldDifference) {
	names := map[string]bool{}
	for name := range server {
		names[name] = true
	}
	for name := range truth {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s, inServer := server[name]
		t, inTruth := truth[name]
		if inServer == inTruth && (s == t || near(s, t)) {
			continue
		}
		if !inServer {
			s = "nothing"
		}
		if !inTruth {
			t = "nothing"
		}
		all = append(all, fieldDifference{name, s, t})
	}
	return all
}

// near tells whether two are means, shares or totals that differ by no more than rounding.
func near(a, b string) bool {
	const (
		mark  = "~"
		slack = 1e-6
	)
	a, approximately := strings.CutPrefix(a, mark)
	if !approximately {
		return false
	}
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(strings.TrimPrefix(b, mark), 64)
	return err == nil && err2 == nil && math.Abs(x-y) <= slack
}

// about writes a number that may be rounded; of times, seconds.
func about(x float64) string { return fmt.Sprintf("~%.7f", x) }

type fieldDifference struct{ field, server, truth string }

const clock = "15:04:05.000"

func at(nanos int64) string {
	switch nanos {
	case 0:
		return "-"
	case Everything:
		return "the end"
	}
	return time.Unix(0, nanos).UTC().Format(clock)
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Format(clock)
}

func word(value fmt.Stringer) string {
	_, name, found := strings.Cut(value.String(), "STATE_")
	if found {
		return name
	}
	for _, prefix := range []string{"PRESENCE_TYPE_", "ROUTING_STATUS_", "ORIGIN_", "DIRECTION_", "CHANNEL_", "QUEUE_OUTCOME_", "END_REASON_", "DECLINE_REASON_", "SUPERVISOR_MODE_"} {
		if name, found := strings.CutPrefix(value.String(), prefix); found {
			return name
		}
	}
	return value.String()
}

// contactName is how a contact is called in reports: by the provider's id of the thread.
func contactName(c *Contact) string { return c.Thread }

// shareName is how an assignment is called: by its contact and its begin, which no two of a contact have in common.
func shareName(contact, begin string) string { return contact + "@" + begin }

// name is how a thread is called by its id.
func (p *Player) name(thread string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.threads[thread]; c != nil {
		return contactName(c)
	}
	return "unknown thread " + thread
}

func teamIDs(a *Agent) []string { return []string{a.Team.ID} }

// ofPresence takes a presence apart.
func (f fields) ofPresence(prefix string, p Presence) {
	f.set(prefix+"presence", p.Text)
	f.set(prefix+"type", word(p.Type))
	f.set(prefix+"reason", p.Reason)
	f.set(prefix+"since", at(p.Since))
	f.set(prefix+"changed_by", p.ChangedBy)
	f.set(prefix+"vanished", p.Vanished)
}

func (f fields) ofPresenceProto(prefix string, p *agentv1.Presence) {
	f.set(prefix+"presence", p.GetPresence())
	f.set(prefix+"type", word(p.GetType()))
	f.set(prefix+"reason", p.GetReason())
	f.set(prefix+"since", when(p.GetSince()))
	f.set(prefix+"changed_by", p.GetChangedBy())
	f.set(prefix+"vanished", p.GetVanished())
}

// ofContact takes what is in hand apart; limit is up to when something is known.
func (f fields) ofContact(h InHand, limit int64) {
	c := h.Contact
	prefix := "contacts[" + shareName(contactName(c), at(h.Begin())) + "]."
	f.set(prefix+"state", word(h.State))
	f.set(prefix+"since", at(h.Since))
	f.set(prefix+"channel", word(c.Channel))
	f.set(prefix+"provider", c.Provider)
	f.set(prefix+"inbox", c.Inbox)
	f.set(prefix+"queue", queueID(h.Queue))
	f.set(prefix+"origin", word(h.Origin))
	f.set(prefix+"direction", word(c.Direction))
	f.set(prefix+"weight", h.Weight)
	connected := h.Connected
	if connected > limit {
		connected = 0
	}
	f.set(prefix+"connected_at", at(connected))
	if h.connected() {
		var all []string
		for _, s := range h.Supervisors {
			all = append(all, s.Agent.ID+" "+word(s.Mode)+" since "+at(s.From))
		}
		f.set(prefix+"supervisors", strings.Join(all, ", "))
	}
}

func queueID(q *Queue) string {
	if q == nil {
		return ""
	}
	return q.ID
}

func (f fields) ofContactProto(p *Player, c *agentv1.Contact) {
	prefix := "contacts[" + shareName(p.name(c.GetThreadId()), when(c.GetOfferedAt())) + "]."
	f.set(prefix+"state", word(c.GetState()))
	f.set(prefix+"since", when(c.GetSince()))
	f.set(prefix+"channel", word(c.GetChannel()))
	f.set(prefix+"provider", c.GetProvider())
	f.set(prefix+"inbox", c.GetInbox())
	f.set(prefix+"queue", c.GetQueue())
	f.set(prefix+"origin", word(c.GetOrigin()))
	f.set(prefix+"direction", word(c.GetDirection()))
	f.set(prefix+"weight", c.GetWeight())
	f.set(prefix+"connected_at", when(c.GetConnectedAt()))
	switch c.GetState() {
	case agentv1.ContactState_CONTACT_STATE_CONNECTED, agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_PAUSED:
		var all []string
		for _, s := range c.GetSupervisors() {
			all = append(all, s.GetAgentId()+" "+word(s.GetMode())+" since "+when(s.GetSince()))
		}
		f.set(prefix+"supervisors", strings.Join(all, ", "))
	default:
	}
}

// ofState takes the truth of an agent's state apart.
func ofState(s State, limit int64) fields {
	f := fields{}
	f.set("name", s.Agent.Name)
	f.set("teams", teamIDs(s.Agent))
	f.ofPresence("presence.", s.Presence)
	for _, c := range s.Connectors {
		f.ofPresence("connectors["+c.Connector+"].", c)
	}
	if !s.Presence.Shared {
		f.set("presence.connector", s.Presence.Connector)
	}
	f.set("routing_status", word(s.Routing))
	f.set("routing_status_since", at(s.RoutingSince))
	f.set("routing_status_reported", s.Reported)
	for _, h := range s.Contacts {
		f.ofContact(h, limit)
	}
	for channel, room := range s.Room {
		f.set("capacity["+channel+"]", fmt.Sprintf("%d of %d used, %d available", room.Used, room.Maximum, room.Available))
	}
	return f
}

func (p *Player) ofStateProto(s *agentv1.AgentState, truth State) fields {
	f := fields{}
	f.set("name", s.GetName())
	f.set("teams", s.GetTeams())
	if s.GetRemoved() {
		f.set("removed", true)
	}
	f.ofPresenceProto("presence.", s.GetPresence())
	for _, c := range s.GetConnectors() {
		f.ofPresenceProto("connectors["+c.GetConnector()+"].", c)
	}
	if !truth.Presence.Shared {
		f.set("presence.connector", s.GetPresence().GetConnector())
	}
	f.set("routing_status", word(s.GetRoutingStatus()))
	f.set("routing_status_since", when(s.GetRoutingStatusSince()))
	f.set("routing_status_reported", s.GetRoutingStatusReported())
	for _, c := range s.GetContacts() {
		f.ofContactProto(p, c)
	}
	for channel, room := range s.GetCapacity() {
		f.set("capacity["+channel+"]", fmt.Sprintf("%d of %d used, %d available", room.GetUsed(), room.GetMaximum(), room.GetAvailable()))
	}
	return f
}

// ofAgentRow takes the truth of a row apart.
func ofAgentRow(s State, limit int64) fields {
	f := fields{}
	f.set("name", s.Agent.Name)
	f.set("teams", teamIDs(s.Agent))
	f.set("presence", s.Presence.Text)
	f.set("presence_type", word(s.Presence.Type))
	f.set("presence_since", at(s.Presence.Since))
	f.set("reason", s.Presence.Reason)
	f.set("vanished", s.Presence.Vanished)
	f.set("routing_status", word(s.Routing))
	f.set("routing_status_since", at(s.RoutingSince))
	for _, h := range s.Contacts {
		f.ofContact(h, limit)
	}
	return f
}

func (p *Player) ofAgentRowProto(r *boardv1.AgentRow) fields {
	f := fields{}
	f.set("name", r.GetName())
	f.set("teams", r.GetTeams())
	f.set("presence", r.GetPresence())
	f.set("presence_type", word(r.GetPresenceType()))
	f.set("presence_since", when(r.GetPresenceSince()))
	f.set("reason", r.GetReason())
	f.set("vanished", r.GetVanished())
	f.set("routing_status", word(r.GetRoutingStatus()))
	f.set("routing_status_since", when(r.GetRoutingStatusSince()))
	for _, c := range r.GetContacts() {
		f.ofContactProto(p, c)
	}
	return f
}

// mean is of a sum, in seconds; nothing where there is nothing.
func mean(sum time.Duration, n int) string {
	if n == 0 {
		return about(0)
	}
	return about(sum.Seconds() / float64(n))
}

func seconds(d *durationpb.Duration) string { return about(d.AsDuration().Seconds()) }

func (p *Player) ofQueueRow(r QueueRow, since time.Time) fields {
	f := fields{}
	f.set("name", r.Queue.Name)
	f.set("waiting", r.Waiting)
	f.set("oldest_entered_at", "-")
	f.set("oldest_interaction_id", "")
	if r.Oldest != nil {
		f.set("oldest_entered_at", at(r.Oldest.Entered))
		if id, known := p.interaction(r.Oldest.Contact, r.Oldest.Stretch); known && !r.Tied {
			f.set("oldest_interaction_id", id)
		} else {
			delete(f, "oldest_interaction_id")
		}
	}
	f.set("offered", r.Offered)
	f.set("in_contact", r.InContact)
	f.set("after_call_work", r.AfterCallWork)
	f.set("available_agents", r.Available)
	f.set("signed_in_agents", r.SignedIn)
	c := r.Counts
	f.set("counts.since", at(since.UnixNano()))
	f.set("counts.entered", c.Entered)
	f.set("counts.answered", c.Answered)
	f.set("counts.answered_within", c.AnsweredWithin)
	f.set("counts.abandoned", c.Abandoned)
	f.set("counts.short_abandoned", c.ShortAbandoned)
	f.set("counts.flowed_out", c.FlowedOut)
	f.set("counts.deflected", c.Deflected)
	if level, ok := c.ServiceLevel(); ok {
		f.set("counts.service_level", about(level))
	}
	f.set("counts.average_speed_of_answer", mean(c.Waited, c.Answered))
	f.set("counts.longest_wait", about(c.Longest.Seconds()))
	f.set("counts.average_handle_time", mean(c.Handle, c.Handled))
	f.set("counts.handled", c.Handled)
	return f
}

func ofQueueRowProto(r *boardv1.QueueRow, truth fields) fields {
	f := fields{}
	f.set("name", r.GetName())
	f.set("waiting", r.GetWaiting())
	f.set("oldest_entered_at", when(r.GetOldestEnteredAt()))
	if _, known := truth["oldest_interaction_id"]; known {
		f.set("oldest_interaction_id", r.GetOldestInteractionId())
	}
	f.set("offered", r.GetOffered())
	f.set("in_contact", r.GetInContact())
	f.set("after_call_work", r.GetAfterCallWork())
	f.set("available_agents", r.GetAvailableAgents())
	f.set("signed_in_agents", r.GetSignedInAgents())
	c := r.GetCounts()
	f.set("counts.since", when(c.GetSince()))
	f.set("counts.entered", c.GetEntered())
	f.set("counts.answered", c.GetAnswered())
	f.set("counts.answered_within", c.GetAnsweredWithin())
	f.set("counts.abandoned", c.GetAbandoned())
	f.set("counts.short_abandoned", c.GetShortAbandoned())
	f.set("counts.flowed_out", c.GetFlowedOut())
	f.set("counts.deflected", c.GetDeflected())
	if c.ServiceLevel != nil {
		f.set("counts.service_level", about(c.GetServiceLevel()))
	}
	f.set("counts.average_speed_of_answer", seconds(c.GetAverageSpeedOfAnswer()))
	f.set("counts.longest_wait", seconds(c.GetLongestWait()))
	f.set("counts.average_handle_time", seconds(c.GetAverageHandleTime()))
	f.set("counts.handled", c.GetHandled())
	return f
}

func ofTeamRow(r TeamRow) fields {
	f := fields{}
	f.set("name", r.Team.Name)
	f.set("agents", r.Agents)
	for typ, n := range r.Types {
		f.set("presence_types["+typ+"]", n)
	}
	for status, n := range r.Routing {
		f.set("routing_statuses["+status+"]", n)
	}
	f.set("in_contact", r.InContact)
	return f
}

func ofTeamRowProto(r *boardv1.TeamRow) fields {
	f := fields{}
	f.set("name", r.GetName())
	f.set("agents", r.GetAgents())
	for typ, n := range r.GetPresenceTypes() {
		if n != 0 {
			f.set("presence_types["+typ+"]", n)
		}
	}
	for status, n := range r.GetRoutingStatuses() {
		if n != 0 {
			f.set("routing_statuses["+status+"]", n)
		}
	}
	f.set("in_contact", r.GetInContact())
	return f
}

// ofAssignment takes an assignment apart.
func (f fields) ofAssignment(prefix string, a *Assignment) {
	f.set(prefix+"agent", a.Raw)
	queue := ""
	if a.Queue != nil {
		queue = a.Queue.Raw
	}
	f.set(prefix+"queue", queue)
	f.set(prefix+"origin", word(a.Origin))
	f.set(prefix+"has a visit", a.Visit != nil)
	f.set(prefix+"offered_at", at(a.Offered))
	f.set(prefix+"declined_at", at(a.Declined))
	f.set(prefix+"decline_reason", word(a.Decline))
	f.set(prefix+"accepted_at", at(a.Accepted))
	f.set(prefix+"connected_at", at(a.Connected))
	f.set(prefix+"ended_at", at(a.Ended))
	f.set(prefix+"end_reason", word(a.Reason))
	f.set(prefix+"wrapup_started_at", at(a.WrapupStarted))
	f.set(prefix+"wrapup_ended_at", at(a.WrapupEnded))
	f.set(prefix+"disposition", a.Disposition)
	f.set(prefix+"holds", len(a.Held))
	held, heldSince := summed(a.Held)
	f.set(prefix+"hold_time", held)
	f.set(prefix+"held_since", heldSince)
	f.set(prefix+"held", stretches(a.Held))
	paused, pausedSince := summed(a.Paused)
	f.set(prefix+"pause_time", paused)
	f.set(prefix+"paused_since", pausedSince)
	f.set(prefix+"paused", stretches(a.Paused))
}

func summed(all []Stretch) (sum time.Duration, since string) {
	since = "-"
	for _, s := range all {
		if s.Until == 0 {
			since = at(s.From)
			continue
		}
		sum += time.Duration(s.Until - s.From)
	}
	return sum, since
}

func stretches(all []Stretch) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s to %s; ", at(s.From), at(s.Until))
	}
	return b.String()
}

func stretchesProto(all []*conversationv1.Stretch) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s to %s; ", when(s.GetFrom()), when(s.GetUntil()))
	}
	return b.String()
}

func (f fields) ofAssignmentProto(prefix string, a *conversationv1.Assignment) {
	f.set(prefix+"agent", a.GetAgent())
	f.set(prefix+"queue", a.GetQueue())
	f.set(prefix+"origin", word(a.GetOrigin()))
	f.set(prefix+"has a visit", a.GetVisitId() != "")
	f.set(prefix+"offered_at", when(a.GetOfferedAt()))
	f.set(prefix+"declined_at", when(a.GetDeclinedAt()))
	f.set(prefix+"decline_reason", word(a.GetDeclineReason()))
	f.set(prefix+"accepted_at", when(a.GetAcceptedAt()))
	f.set(prefix+"connected_at", when(a.GetConnectedAt()))
	f.set(prefix+"ended_at", when(a.GetEndedAt()))
	f.set(prefix+"end_reason", word(a.GetEndReason()))
	f.set(prefix+"wrapup_started_at", when(a.GetWrapupStartedAt()))
	f.set(prefix+"wrapup_ended_at", when(a.GetWrapupEndedAt()))
	f.set(prefix+"disposition", a.GetDisposition())
	f.set(prefix+"holds", a.GetHolds())
	f.set(prefix+"hold_time", a.GetHoldTime().AsDuration())
	f.set(prefix+"held_since", when(a.GetHeldSince()))
	f.set(prefix+"held", stretchesProto(a.GetHeld()))
	f.set(prefix+"pause_time", a.GetPauseTime().AsDuration())
	f.set(prefix+"paused_since", when(a.GetPausedSince()))
	f.set(prefix+"paused", stretchesProto(a.GetPaused()))
}

// beginOf is when an agent was first asked, or took it.
func beginOf(a *conversationv1.Assignment) *timestamppb.Timestamp {
	var first *timestamppb.Timestamp
	for _, t := range []*timestamppb.Timestamp{a.GetOfferedAt(), a.GetAcceptedAt(), a.GetConnectedAt()} {
		if t != nil && (first == nil || t.AsTime().Before(first.AsTime())) {
			first = t
		}
	}
	return first
}

// interaction gives the id of an interaction of a contact: that of the event that opened it, where the provider gives it no name.
func (p *Player) interaction(c *Contact, stretch int) (id string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id = p.openers[opened{c, stretch}]
	return id, id != "" && !c.maker.namesInteractions
}

// opener gives the event that opened an interaction.
func (p *Player) opener(c *Contact, stretch int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.openers[opened{c, stretch}]
}

// interval writes one in a line.
func ofInterval(i Interval) string {
	var contacts []string
	for _, h := range i.State.Contacts {
		contacts = append(contacts, contactName(h.Contact)+"@"+at(h.Begin())+" "+word(h.State)+" "+queueID(h.Queue)+" "+word(h.Contact.Channel))
	}
	p := i.State.Presence
	return intervalLine(p.Text, p.Type, p.Reason, p.Vanished, i.State.Routing, contacts)
}

func intervalLine(text string, typ eventv1.PresenceType, reason string, vanished bool, routing eventv1.RoutingStatus, contacts []string) string {
	slices.Sort(contacts)
	return fmt.Sprintf("%q %s reason %q vanished %t, %s, [%s]", text, word(typ), reason, vanished, word(routing), strings.Join(contacts, "; "))
}
