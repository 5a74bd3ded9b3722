package alerts

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// condition is what a row shows of what a rule looks at.
type condition struct {
	so bool // it is so, for long enough or not
	// since is when it began; zero where the row does not tell: then, when it was first seen.
	since time.Time
	value float64 // of kinds that look at no time
}

// watches tells whether a rule looks at a queue, or at an agent.
func (r *rule) watchesQueue(id string) bool {
	return !r.agents && (len(r.queues) == 0 || slices.Contains(r.queues, id))
}

func (r *rule) watchesAgent(a *boardv1.AgentRow) bool {
	return r.agents && (len(r.teams) == 0 || slices.ContainsFunc(a.GetTeams(), func(t string) bool { return slices.Contains(r.teams, t) }))
}

// ofQueue reads a queue's row.
func (r *rule) ofQueue(q *boardv1.QueueRow) condition {
	switch r.kind {
	case eventv1.AlertKind_ALERT_KIND_OLDEST_WAITING:
		return began(q.GetWaiting() > 0, q.GetOldestEnteredAt())
	case eventv1.AlertKind_ALERT_KIND_WAITING:
		return condition{so: float64(q.GetWaiting()) > r.threshold, value: float64(q.GetWaiting())}
	case eventv1.AlertKind_ALERT_KIND_SERVICE_LEVEL:
		level := q.GetCounts().GetServiceLevel()
		return condition{so: q.GetCounts() != nil && q.GetCounts().ServiceLevel != nil && level < r.threshold, value: level}
	default:
		return condition{so: q.GetWaiting() > 0 && q.GetAvailableAgents() == 0}
	}
}

// ofAgent reads an agent's row.
func (r *rule) ofAgent(a *boardv1.AgentRow) condition {
	switch r.kind {
	default:
	case eventv1.AlertKind_ALERT_KIND_NOT_RESPONDING:
		return began(a.GetRoutingStatus() == eventv1.RoutingStatus_ROUTING_STATUS_NOT_RESPONDING, a.GetRoutingStatusSince())
	case eventv1.AlertKind_ALERT_KIND_VANISHED:
		return began(a.GetVanished(), a.GetPresenceSince())
	}
	// Of several states, the one that began first.
	c := began(slices.Contains(r.presences, a.GetPresence()), a.GetPresenceSince())
	c = c.or(began(slices.Contains(r.statuses, a.GetRoutingStatus()), a.GetRoutingStatusSince()))
	for _, contact := range a.GetContacts() {
		c = c.or(began(slices.Contains(r.contacts, contact.GetState()), contact.GetSince()))
	}
	return c
}

func began(so bool, since *timestamppb.Timestamp) condition {
	if !so || since == nil {
		return condition{}
	}
	return condition{so: true, since: since.AsTime()}
}

func (c condition) or(other condition) condition {
	if !c.so || other.so && other.since.Before(c.since) {
		return other
	}
	return c
}

// timed tells whether a rule looks at how long something is so.
func (r *rule) timed() bool { return r.limit == limitTime || r.limit == limitTimeOrThere }

// words say what was seen.
func (r *rule) words(s subject, name string, value float64) string {
	of := s.queue + s.agent
	if name != "" && name != of {
		of = fmt.Sprintf("%s (%s)", name, of)
	}
	const most = 512
	if len(of) > most {
		of = s.queue + s.agent
	}
	length := time.Duration(value * float64(time.Second)).Round(time.Second)
	switch r.kind {
	case eventv1.AlertKind_ALERT_KIND_OLDEST_WAITING:
		return fmt.Sprintf("Queue %s: a contact has waited for %v; %v are allowed.", of, length, r.above)
	case eventv1.AlertKind_ALERT_KIND_WAITING:
		return fmt.Sprintf("Queue %s: %.0f contacts wait; %.0f are allowed.", of, value, r.threshold)
	case eventv1.AlertKind_ALERT_KIND_SERVICE_LEVEL:
		return fmt.Sprintf("Queue %s: %.1f %% were answered in time; %.1f %% are expected.", of, 100*value, 100*r.threshold)
	case eventv1.AlertKind_ALERT_KIND_NOBODY_AVAILABLE:
		return fmt.Sprintf("Queue %s: somebody waits, and for %v nobody has been available.", of, length)
	case eventv1.AlertKind_ALERT_KIND_NOT_RESPONDING:
		return fmt.Sprintf("Agent %s: has not responded for %v.", of, length)
	case eventv1.AlertKind_ALERT_KIND_VANISHED:
		return fmt.Sprintf("Agent %s: nothing has been heard for %v.", of, length)
	default:
		return fmt.Sprintf("Agent %s: in one state for %v; %v are allowed.", of, length, r.above)
	}
}
