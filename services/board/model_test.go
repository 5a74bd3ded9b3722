package board_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The plain model: every row from everything that there is, counted anew.

func measuredNot(i *conversationv1.Interaction, v *conversationv1.QueueVisit) bool {
	return i.GetBackfill() || i.GetLiveSince() != nil && v.GetEnteredAt().AsTime().Before(i.GetLiveSince().AsTime())
}

func handled(i *conversationv1.Interaction, v *conversationv1.QueueVisit) (n int, took time.Duration) {
	for _, a := range i.GetAssignments() {
		over := a.GetEndedAt() != nil && (a.GetWrapupStartedAt() == nil || a.GetWrapupEndedAt() != nil)
		if a.GetVisitId() == v.GetId() && a.GetConnectedAt() != nil && over {
			n++
			took += a.GetEndedAt().AsTime().Sub(a.GetConnectedAt().AsTime()) - a.GetPauseTime().AsDuration()
			took += a.GetWrapupEndedAt().AsTime().Sub(a.GetWrapupStartedAt().AsTime())
		}
	}
	return n, took
}

func (w *world) rows(now, since time.Time) *boardv1.Rows {
	at, rows := now.UnixNano(), &boardv1.Rows{}
	kept := now.Add(-board48).Truncate(board15)
	queues := map[string]*boardv1.QueueRow{}
	counted := map[string]bool{}
	queue := func(id string) *boardv1.QueueRow {
		if queues[id] == nil {
			day := now.In(w.book.Location(id, at))
			from := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, day.Location())
			if !since.IsZero() {
				from = since
			}
			queues[id] = &boardv1.QueueRow{Queue: id, Name: w.name(directory.Queue, id, at), Counts: &boardv1.QueueCounts{Since: stamp(from)}}
		}
		return queues[id]
	}
	for id := range w.book.All(directory.Queue, at) {
		queue(id)
	}
	waited, handleTimes, waiting := map[string]time.Duration{}, map[string]time.Duration{}, map[string]int32{}
	w.eachVisit(func(_ event.ID, i *conversationv1.Interaction, v *conversationv1.QueueVisit) {
		entered := v.GetEnteredAt().AsTime()
		waits, measured := v.GetLeftAt() == nil, !measuredNot(i, v) && !entered.Before(kept)
		if !waits && !measured {
			return
		}
		id := w.book.Owner(directory.Queue, i.GetProvider(), v.GetQueue(), entered.UnixNano())
		q := queue(id)
		if waits {
			q.Waiting++
			if q.GetOldestEnteredAt() == nil || entered.Before(q.GetOldestEnteredAt().AsTime()) ||
				entered.Equal(q.GetOldestEnteredAt().AsTime()) && i.GetId() < q.GetOldestInteractionId() {
				q.OldestEnteredAt, q.OldestInteractionId = v.GetEnteredAt(), i.GetId()
			}
			if slices.ContainsFunc(i.GetAssignments(), func(a *conversationv1.Assignment) bool {
				return a.GetVisitId() == v.GetId() && a.GetOfferedAt() != nil && a.GetAcceptedAt() == nil && a.GetConnectedAt() == nil &&
					a.GetDeclinedAt() == nil && a.GetEndedAt() == nil
			}) {
				q.Offered++
			}
		}
		if !measured {
			return
		}
		counted[id] = true
		c := q.GetCounts()
		if entered.Before(c.GetSince().AsTime()) {
			return
		}
		c.Entered++
		n, took := handled(i, v)
		c.Handled += int32(n)
		handleTimes[id] += took
		if waits {
			waiting[id]++
			return
		}
		wait, level := v.GetLeftAt().AsTime().Sub(entered), w.book.At(directory.Queue, id, at).GetQueue().GetServiceLevel()
		c.LongestWait = durationpb.New(max(c.GetLongestWait().AsDuration(), wait))
		switch v.GetOutcome() {
		case eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED:
			c.Answered++
			waited[id] += wait
			if wait <= cmp.Or(v.GetSlaTarget().AsDuration(), level.GetWithin().AsDuration(), 20*time.Second) {
				c.AnsweredWithin++
			}
		case eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED:
			c.Abandoned++
			if wait < level.GetShortAbandon().AsDuration() {
				c.ShortAbandoned++
			}
		case eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED, eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
			c.FlowedOut++
		case eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL, eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK:
			c.Deflected++
		case eventv1.QueueOutcome_QUEUE_OUTCOME_UNSPECIFIED:
		}
	})
	teams := map[string]*boardv1.TeamRow{}
	for id, e := range w.book.All(directory.Team, at) {
		teams[id] = &boardv1.TeamRow{Team: id, Name: e.GetTeam().GetName(), PresenceTypes: map[string]int32{}, RoutingStatuses: map[string]int32{}}
		rows.Teams = append(rows.Teams, teams[id])
	}
	ids := maps.Clone(w.states)
	for id := range w.book.All(directory.Agent, at) {
		ids[id] = w.states[id]
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		s, e := ids[id], w.book.At(directory.Agent, id, at).GetAgent()
		a := &boardv1.AgentRow{
			AgentId: id, Name: w.name(directory.Agent, id, at), Teams: e.GetTeams(), Presence: s.GetPresence().GetPresence(),
			PresenceType:  cmp.Or(s.GetPresence().GetType(), eventv1.PresenceType_PRESENCE_TYPE_OFFLINE),
			PresenceSince: s.GetPresence().GetSince(), Reason: s.GetPresence().GetReason(), Vanished: s.GetPresence().GetVanished(),
			RoutingStatus:      cmp.Or(s.GetRoutingStatus(), eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE),
			RoutingStatusSince: s.GetRoutingStatusSince(), Contacts: s.GetContacts(),
		}
		inHand, busy := int32(0), false
		for _, c := range s.GetContacts() {
			ended := c.GetState() == agentv1.ContactState_CONTACT_STATE_ENDED
			connected := slices.Contains([]string{"CONNECTED", "CONNECTED_ONHOLD", "PAUSED"}, strings.TrimPrefix(c.GetState().String(), "CONTACT_STATE_"))
			busy = busy || c.GetState() != agentv1.ContactState_CONTACT_STATE_MISSED
			if connected {
				inHand++
			}
			if c.GetQueue() != "" && connected {
				queue(c.GetQueue()).InContact++
			} else if c.GetQueue() != "" && ended {
				queue(c.GetQueue()).AfterCallWork++
			}
		}
		if e != nil || busy || !w.book.Removed(directory.Agent, id, at) {
			rows.Agents = append(rows.Agents, a)
		}
		for _, t := range e.GetTeams() {
			if row := teams[t]; row != nil {
				row.Agents++
				row.InContact += inHand
				row.PresenceTypes[strings.TrimPrefix(a.GetPresenceType().String(), "PRESENCE_TYPE_")]++
				row.RoutingStatuses[strings.TrimPrefix(a.GetRoutingStatus().String(), "ROUTING_STATUS_")]++
			}
		}
		for q, stated := range w.book.All(directory.Queue, at) {
			takes := slices.ContainsFunc(stated.GetQueue().GetTeams(), func(t string) bool { return slices.Contains(e.GetTeams(), t) })
			for _, skill := range stated.GetQueue().GetSkills() {
				_, has := e.GetSkills()[skill]
				takes = takes && has
			}
			if takes && a.GetRoutingStatus() == eventv1.RoutingStatus_ROUTING_STATUS_IDLE {
				queue(q).AvailableAgents++
			}
			if takes && a.GetPresenceType() != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE {
				queue(q).SignedInAgents++
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(queues)) {
		q, c := queues[id], queues[id].GetCounts()
		if over := c.GetEntered() - waiting[id] - c.GetShortAbandoned(); over > 0 {
			level := float64(c.GetAnsweredWithin()) / float64(over)
			c.ServiceLevel = &level
		}
		if c.GetAnswered() > 0 {
			c.AverageSpeedOfAnswer = durationpb.New(waited[id] / time.Duration(c.GetAnswered()))
		}
		if c.GetHandled() > 0 {
			c.AverageHandleTime = durationpb.New(handleTimes[id] / time.Duration(c.GetHandled()))
		}
		busy := q.GetWaiting() > 0 || q.GetInContact() > 0 || q.GetAfterCallWork() > 0
		if w.book.At(directory.Queue, id, at) != nil || busy || counted[id] && !w.book.Removed(directory.Queue, id, at) {
			rows.Queues = append(rows.Queues, q)
		}
	}
	return rows
}

// name is what an entry is called, or was before it was removed.
func (w *world) name(kind, id string, at int64) (name string) {
	for _, v := range w.book.Versions(kind, id) {
		if v.From <= at && !v.Stated.GetRemoved() {
			name = v.Stated.GetQueue().GetName() + v.Stated.GetAgent().GetName()
		}
	}
	return name
}

const (
	board48 = 48 * time.Hour
	board15 = 15 * time.Minute
)
