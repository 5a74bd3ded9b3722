package threads

import (
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// tables are the tables, and the words of which they are made.
type tables struct {
	interactions, visits, assignments, slas *mirror.Table

	channels, directions, origins, ends, outcomes, declines, metrics, slaStates, states, statuses words
}

func newTables() tables {
	return tables{
		interactions: table("interaction_facts", `tenant, interaction, thread, channel, provider, inbox, origin, direction, language, backfill,
			endpoint, endpoints, customer_then, continues, state, status, started_at, ended_at, end_reason, resolved_at, resolution, resolved_by,
			resolution_ms, reopened, reopened_at, last_activity_at, waiting_since, first_response_at, first_response_ms, messages_in,
			messages_out, notes, tags, priority, contact_reason, disposition, complaint, bot, bot_started_at, handed_off_at, bot_ended_at,
			contained, visits, assignments, connected, transfers, queue, agent, first_agent, attributes`),
		visits: table("visit_facts", `tenant, visit, interaction, thread, channel, provider, inbox, origin, direction, language, backfill,
			endpoint, queue, agent, ordinal, priority, skills, entered_at, left_at, outcome, target, wait_ms, sla_target_ms,
			interaction_ended_at`),
		assignments: table("assignment_facts", `tenant, assignment, visit, interaction, thread, channel, provider, inbox, origin, direction,
			language, backfill, endpoint, queue, agent, ordinal, begun_at, offered_at, declined_at, decline_reason, accepted_at, connected_at,
			ended_at, end_reason, wrapup_started_at, wrapup_ended_at, wrapup_inferred, disposition, handled, talk_ms, hold_ms, holds,
			pause_ms, wrapup_ms, handle_ms, paused, held, interaction_ended_at`),
		slas: table("sla_facts", `tenant, interaction, thread, channel, provider, inbox, queue, backfill, ordinal, metric, state, target_ms,
			since, due_at, done_at`),

		channels:   newWords(eventv1.Channel_name, "CHANNEL_"),
		directions: newWords(eventv1.Direction_name, "DIRECTION_"),
		origins:    newWords(eventv1.Origin_name, "ORIGIN_"),
		ends:       newWords(eventv1.EndReason_name, "END_REASON_"),
		outcomes:   newWords(eventv1.QueueOutcome_name, "QUEUE_OUTCOME_"),
		declines:   newWords(eventv1.DeclineReason_name, "DECLINE_REASON_"),
		metrics:    newWords(eventv1.SlaMetric_name, "SLA_METRIC_"),
		slaStates:  newWords(conversationv1.SlaState_name, "SLA_STATE_"),
		states:     newWords(conversationv1.InteractionState_name, "INTERACTION_STATE_"),
		statuses:   newWords(conversationv1.WorkStatus_name, "WORK_STATUS_"),
	}
}

func table(name, columns string) *mirror.Table {
	names := strings.FieldsFunc(columns, func(r rune) bool { return strings.ContainsRune(", \n\t", r) })
	return &mirror.Table{Name: name, Columns: names, Signed: true, Append: mirror.AppendValues}
}

// words are those of an enum: in lower case, without what all of its names begin with; none for what is not stated.
type words map[int32]string

func newWords(names map[int32]string, prefix string) words {
	w := words{0: ""}
	for n, name := range names {
		if n != 0 {
			w[n] = strings.ToLower(strings.TrimPrefix(name, prefix))
		}
	}
	return w
}

// of gives the number of what a newer program has written.
func word[E ~int32](w words, e E) string {
	if s, known := w[int32(e)]; known {
		return s
	}
	return strconv.Itoa(int(e))
}

// rows appends those of an interaction.
func (t *tables) rows(rows []mirror.Row, f *facts) []mirror.Row {
	var v mirror.Values
	t.interaction(&v, f)
	id := f.i.GetId()
	rows = append(rows, mirror.Row{Table: t.interactions, Key: id, Data: v.Encoded()})
	for n, visit := range f.i.GetVisits() {
		t.visit(&v, f, n, visit)
		rows = append(rows, mirror.Row{Table: t.visits, Key: part(id, visit.GetId(), n), Data: v.Encoded()})
	}
	for n, a := range f.i.GetAssignments() {
		t.assignment(&v, f, n, a)
		rows = append(rows, mirror.Row{Table: t.assignments, Key: part(id, a.GetId(), n), Data: v.Encoded()})
	}
	for n, s := range f.i.GetSlas() {
		t.sla(&v, f, n, s)
		rows = append(rows, mirror.Row{Table: t.slas, Key: id + "/" + strconv.Itoa(n), Data: v.Encoded()})
	}
	return rows
}

// part is the key of a visit or assignment. Its place is in it, because a provider may give an id twice.
func part(interaction, id string, n int) string {
	return interaction + "/" + id + "/" + strconv.Itoa(n)
}

// common are the columns that interactions, visits and assignments have between thread and endpoint.
func (t *tables) common(v *mirror.Values, f *facts, origin eventv1.Origin, backfill bool) {
	v.Text(word(t.channels, f.i.GetChannel()))
	v.Text(f.i.GetProvider())
	v.Text(f.i.GetInbox())
	v.Text(word(t.origins, origin))
	v.Text(word(t.directions, f.i.GetDirection()))
	v.Text(f.i.GetLanguage())
	v.Bool(backfill)
	v.ID(f.endpoint)
}

func (t *tables) interaction(v *mirror.Values, f *facts) {
	i := f.i
	v.Text(f.thread.Tenant)
	v.ID(f.id)
	v.ID(f.thread.ID)
	t.common(v, f, i.GetOrigin(), i.GetBackfill())
	v.IDs(f.endpoints)
	v.ID(f.customer)
	v.ID(idOf(i.GetContinues()))
	v.Text(word(t.states, i.GetState()))
	v.Text(word(t.statuses, i.GetStatus()))
	v.Millis(f.started)
	moment(v, i.GetEndedAt())
	v.Text(word(t.ends, i.GetEndReason()))
	moment(v, i.GetResolvedAt())
	v.Text(i.GetResolution())
	v.Text(i.GetResolvedBy().GetId())
	span(v, f.resolution)
	v.Uint16(int(i.GetReopened()))
	moment(v, i.GetReopenedAt())
	v.Millis(f.lastActivity())
	moment(v, i.GetWaitingSince())
	moment(v, i.GetFirstResponseAt())
	span(v, f.firstResponse)
	v.Uint32(int(i.GetMessagesIn()))
	v.Uint32(int(i.GetMessagesOut()))
	v.Uint32(int(i.GetNotes()))
	v.Texts(i.GetTags())
	v.Int32(i.GetPriority())
	v.Texts(i.GetContactReason())
	v.Text(i.GetDisposition())
	v.Bool(i.GetComplaint())
	v.Text(i.GetBot().GetBot())
	moment(v, i.GetBot().GetStartedAt())
	moment(v, i.GetBot().GetHandedOffAt())
	moment(v, i.GetBot().GetEndedAt())
	v.Bool(i.GetBot().GetContained())
	v.Uint16(len(i.GetVisits()))
	v.Uint16(len(i.GetAssignments()))
	v.Uint16(f.connected)
	v.Uint16(f.transfers)
	v.Text(i.GetQueue())
	v.Text(i.GetAgent())
	v.Text(f.firstAgent)
	v.TextMap(i.GetAttributes())
}

func (t *tables) visit(v *mirror.Values, f *facts, n int, visit *conversationv1.QueueVisit) {
	entered, left := millis(visit.GetEnteredAt()), int64(0)
	if visit.GetLeftAt() != nil {
		left = max(millis(visit.GetLeftAt())-entered, 0)
	}
	v.Text(f.thread.Tenant)
	v.ID(idOf(visit.GetId()))
	v.ID(f.id)
	v.ID(f.thread.ID)
	t.common(v, f, f.i.GetOrigin(), f.history(visit.GetEnteredAt()))
	v.Text(visit.GetQueue())
	v.Text(visit.GetAgent())
	v.Uint16(n + 1)
	v.Int32(visit.GetPriority())
	v.Texts(visit.GetSkills())
	v.Millis(entered)
	moment(v, visit.GetLeftAt())
	v.Text(word(t.outcomes, visit.GetOutcome()))
	v.Text(visit.GetTarget())
	v.Int64(left)
	v.Int64(visit.GetSlaTarget().AsDuration().Milliseconds())
	moment(v, f.i.GetEndedAt())
}

func (t *tables) assignment(v *mirror.Values, f *facts, n int, a *conversationv1.Assignment) {
	begun := begin(a, f.i.GetStartedAt())
	times := measure(a)
	v.Text(f.thread.Tenant)
	v.ID(idOf(a.GetId()))
	v.ID(idOf(a.GetVisitId()))
	v.ID(f.id)
	v.ID(f.thread.ID)
	t.common(v, f, a.GetOrigin(), f.history(begun))
	v.Text(a.GetQueue())
	v.Text(a.GetAgent())
	v.Uint16(n + 1)
	v.Millis(millis(begun))
	moment(v, a.GetOfferedAt())
	moment(v, a.GetDeclinedAt())
	v.Text(word(t.declines, a.GetDeclineReason()))
	moment(v, a.GetAcceptedAt())
	moment(v, a.GetConnectedAt())
	moment(v, a.GetEndedAt())
	v.Text(word(t.ends, a.GetEndReason()))
	moment(v, a.GetWrapupStartedAt())
	moment(v, a.GetWrapupEndedAt())
	v.Bool(a.GetWrapupInferred())
	v.Text(a.GetDisposition())
	v.Bool(times.handled)
	v.Int64(times.talk)
	v.Int64(times.hold)
	v.Uint16(int(a.GetHolds()))
	v.Int64(times.pause)
	v.Int64(times.wrapup)
	v.Int64(times.talk + times.hold + times.wrapup)
	v.Spans(stretches(a.GetPaused()))
	v.Spans(stretches(a.GetHeld()))
	moment(v, f.i.GetEndedAt())
}

func (t *tables) sla(v *mirror.Values, f *facts, n int, s *conversationv1.Sla) {
	since := s.GetSince()
	if since == nil {
		since = f.i.GetStartedAt()
	}
	v.Text(f.thread.Tenant)
	v.ID(f.id)
	v.ID(f.thread.ID)
	v.Text(word(t.channels, f.i.GetChannel()))
	v.Text(f.i.GetProvider())
	v.Text(f.i.GetInbox())
	v.Text(f.i.GetQueue())
	v.Bool(f.history(since))
	v.Uint16(n + 1)
	v.Text(word(t.metrics, s.GetMetric()))
	v.Text(word(t.slaStates, s.GetState()))
	v.Int64(s.GetTarget().AsDuration().Milliseconds())
	v.Millis(millis(since))
	moment(v, s.GetDueAt())
	moment(v, s.GetDoneAt())
}

// idOf is an id of the read model; zero for none.
func idOf(text string) event.ID {
	id, err := event.ParseID(text)
	if err != nil {
		return event.ID{}
	}
	return id
}
