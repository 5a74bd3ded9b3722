package work

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

func parts(all ...templ.Component) []templ.Component { return all }

func rowID(interaction string) string { return "w-" + interaction }

func at(conversation string, part ...string) string {
	return view.At(view.Work, append([]string{conversation}, part...)...)
}

// choice is one of a menu.
type choice struct{ Value, Name string }

func statusChoices(ctx context.Context) []choice {
	return []choice{
		{"", lang.T(ctx, "Not settled")},
		{"open", view.StatusName(ctx, conversationv1.WorkStatus_WORK_STATUS_OPEN)},
		{"pending", view.StatusName(ctx, conversationv1.WorkStatus_WORK_STATUS_PENDING)},
		{"snoozed", view.StatusName(ctx, conversationv1.WorkStatus_WORK_STATUS_SNOOZED)},
		{"settled", lang.T(ctx, "Settled")},
		{"resolved", view.StatusName(ctx, conversationv1.WorkStatus_WORK_STATUS_RESOLVED)},
		{"closed", view.StatusName(ctx, conversationv1.WorkStatus_WORK_STATUS_CLOSED)},
	}
}

func orderChoices(ctx context.Context) []choice {
	return []choice{
		{"", lang.T(ctx, "Most urgent first")},
		{"due", lang.T(ctx, "Due first")},
		{"waiting", lang.T(ctx, "Longest waiting first")},
		{"oldest", lang.T(ctx, "Oldest first")},
		{"latest", lang.T(ctx, "Latest activity first")},
	}
}

func dueChoices(ctx context.Context, chosen string) []choice {
	all := []choice{
		{"", lang.T(ctx, "Due at any time")},
		{"missed", lang.T(ctx, "Target missed")},
		{"15m", lang.T(ctx, "Due within %s", "15 min")},
		{"1h", lang.T(ctx, "Due within %s", "1 h")},
		{"8h", lang.T(ctx, "Due within %s", "8 h")},
	}
	return withChosen(all, chosen)
}

func channelChoices(ctx context.Context) []choice {
	all := []choice{{"", lang.T(ctx, "Every channel")}}
	for _, c := range channels() {
		all = append(all, choice{view.ChannelKey(c), view.ChannelName(ctx, c)})
	}
	return all
}

func agentChoices(ctx context.Context, d desk) []choice {
	all := []choice{{"", lang.T(ctx, "Every agent")}, {me, lang.T(ctx, "Mine")}, {nobody, lang.T(ctx, "Unassigned")}}
	return withChosen(append(all, choices(d.Agents)...), d.Agent)
}

func queueChoices(ctx context.Context, d desk) []choice {
	return withChosen(append([]choice{{"", lang.T(ctx, "Every queue")}}, choices(d.Queues)...), d.Queue)
}

func choices(of view.Called) []choice {
	all := make([]choice, 0, len(of.All))
	for _, one := range of.All {
		all = append(all, choice{one.ID, one.Name})
	}
	return all
}

// withChosen adds what an address chose and the menu does not know.
func withChosen(all []choice, chosen string) []choice {
	for _, c := range all {
		if c.Value == chosen {
			return all
		}
	}
	return append(all, choice{chosen, chosen})
}

// number is a count, with a sign where there may be more.
func number(ctx context.Context, n int, more bool) string {
	if more {
		return lang.Count(ctx, n) + "+"
	}
	return lang.Count(ctx, n)
}

func title(ctx context.Context, subject string, c eventv1.Channel) string {
	if subject != "" {
		return subject
	}
	return view.ChannelName(ctx, c)
}

func metricName(ctx context.Context, m eventv1.SlaMetric) string {
	switch m {
	case eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE:
		return lang.T(ctx, "First reply")
	case eventv1.SlaMetric_SLA_METRIC_NEXT_RESPONSE:
		return lang.T(ctx, "Next reply")
	case eventv1.SlaMetric_SLA_METRIC_RESOLUTION:
		return lang.T(ctx, "Resolution")
	case eventv1.SlaMetric_SLA_METRIC_UNSPECIFIED:
	}
	return lang.T(ctx, "Target")
}

func slaOutcome(ctx context.Context, s *conversationv1.Sla) (kind, text string) {
	switch s.GetState() {
	case conversationv1.SlaState_SLA_STATE_HIT:
		return "good", lang.T(ctx, "in time")
	case conversationv1.SlaState_SLA_STATE_MISSED:
		return "bad", lang.T(ctx, "missed")
	case conversationv1.SlaState_SLA_STATE_CANCELLED:
		return "", lang.T(ctx, "no longer counts")
	case conversationv1.SlaState_SLA_STATE_ACTIVE, conversationv1.SlaState_SLA_STATE_UNSPECIFIED:
	}
	return "", ""
}

// running tells that a target still counts, or counts on beyond its end.
func running(i *conversationv1.Interaction, s *conversationv1.Sla) bool {
	return s.GetDueAt() != nil && (s.GetState() == conversationv1.SlaState_SLA_STATE_ACTIVE ||
		s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED && s.GetDoneAt() == nil && !settled(i.GetStatus()))
}

// visitOutcome is how a wait ended.
func visitOutcome(ctx context.Context, o eventv1.QueueOutcome) string {
	return cmp.Or(view.QueueOutcome(ctx, o), lang.T(ctx, "ended"))
}

// share tells what an agent's share of an interaction took, as far as it is over.
func share(ctx context.Context, a *conversationv1.Assignment) string {
	var known []string
	add := func(text string) { known = append(known, text) }
	if a.GetConnectedAt() != nil && a.GetEndedAt() != nil {
		add(lang.T(ctx, "dealt with it for %s", lang.Stopwatch(a.GetEndedAt().AsTime().Sub(a.GetConnectedAt().AsTime()))))
	}
	if a.GetHolds() > 0 {
		add(lang.T(ctx, "%d holds, %s", a.GetHolds(), lang.Stopwatch(a.GetHoldTime().AsDuration())))
	}
	if a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() != nil {
		add(lang.T(ctx, "wrap-up %s", lang.Stopwatch(a.GetWrapupEndedAt().AsTime().Sub(a.GetWrapupStartedAt().AsTime()))))
	}
	if a.GetDisposition() != "" {
		add(a.GetDisposition())
	}
	return strings.Join(known, " · ")
}

// shareSince is since when an agent does what the share is at; what is over has no such moment.
func shareSince(ctx context.Context, a *conversationv1.Assignment) (what string, since time.Time) {
	switch {
	case a.GetDeclinedAt() != nil:
		return lang.T(ctx, "declined"), time.Time{}
	case a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() == nil:
		return lang.T(ctx, "in wrap-up"), a.GetWrapupStartedAt().AsTime()
	case a.GetEndedAt() != nil:
		return "", time.Time{}
	case a.GetHeldSince() != nil:
		return lang.T(ctx, "on hold"), a.GetHeldSince().AsTime()
	case a.GetPausedSince() != nil:
		return lang.T(ctx, "laid aside"), a.GetPausedSince().AsTime()
	case a.GetConnectedAt() != nil:
		return lang.T(ctx, "deals with it"), a.GetConnectedAt().AsTime()
	case a.GetAcceptedAt() != nil:
		return lang.T(ctx, "accepted"), a.GetAcceptedAt().AsTime()
	}
	return lang.T(ctx, "offered"), a.GetOfferedAt().AsTime()
}

func priorityName(ctx context.Context, n int32) string {
	if n == 0 {
		return lang.T(ctx, "No priority")
	}
	return lang.T(ctx, "Priority %s", strconv.Itoa(int(n)))
}

// heading says which work is listed.
func heading(ctx context.Context, d desk) string {
	switch d.unordered() {
	case selection{}:
		return lang.T(ctx, "All open")
	case selection{Agent: me}:
		return lang.T(ctx, "Mine")
	case selection{Agent: nobody}:
		return lang.T(ctx, "Unassigned")
	case selection{Due: "missed"}:
		return lang.T(ctx, "Target missed")
	case selection{Status: "settled"}:
		return lang.T(ctx, "Settled")
	case selection{Queue: d.Queue}:
		return d.Queues.NameOf(d.Queue)
	case selection{Person: d.Person}:
		return d.person
	}
	return lang.T(ctx, "Chosen work")
}

// tone marks a count that should be none.
func tone(n int) string {
	if n > 0 {
		return "late"
	}
	return ""
}

func (t *talk) hasTargets() bool {
	for _, i := range t.GetInteractions() {
		if len(i.GetSlas()) > 0 {
			return true
		}
	}
	return false
}

func linkReason(ctx context.Context, t *talk, l *conversationv1.ConversationLink) string {
	var known []string
	for _, text := range []string{l.GetReason(), l.GetRule(), t.Agents.NameOf(l.GetActor().GetId())} {
		if text != "" {
			known = append(known, text)
		}
	}
	if len(known) == 0 {
		return lang.T(ctx, "Linked")
	}
	return strings.Join(known, " · ")
}

func workName(ctx context.Context, w *conversationv1.Work) string {
	i := w.GetInteraction()
	return title(ctx, i.GetSubject(), i.GetChannel()) + " · " + view.StatusName(ctx, i.GetStatus()) + " · " + lang.Moment(ctx, i.GetLastActivityAt().AsTime())
}

func sortedNames(attributes map[string]string) []string {
	return slices.Sorted(maps.Keys(attributes))
}
