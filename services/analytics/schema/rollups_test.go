package schema_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var thread = uuid.MustParse("00000000-0000-8000-8000-000000000001")

func id(n int) uuid.UUID {
	u := thread
	u[15], u[14] = byte(n), byte(n>>8)
	return u
}

// visit is a queue visit that holds.
func visit(tenant string, n int, entered, left, outcome string) row {
	r := row{
		"tenant": tenant, "visit": id(n), "thread": thread, "channel": "voice", "provider": "asterisk", "inbox": "hotline", "queue": "700",
		"entered_at": at(entered), "left_at": (*time.Time)(nil), "outcome": outcome, "wait_ms": int64(0), "sla_target_ms": int64(5000),
		"interaction_ended_at": (*time.Time)(nil), "sign": int8(1),
	}
	if left != "" {
		l := at(left)
		r["left_at"], r["wait_ms"] = &l, l.Sub(at(entered)).Milliseconds()
	}
	return r
}

func (r row) with(column string, value any) row {
	c := maps.Clone(r)
	c[column] = value
	return c
}

func (r row) back() row { return r.with("sign", int8(-1)) }

func moment(s string) *time.Time {
	t := at(s)
	return &t
}

func TestRollups(t *testing.T) {
	t.Parallel()
	h := newWorld(t).migrated("rollups")
	for name, test := range map[string]func(h *house){
		"a visit is offered in its own quarter and answered in that of its end": visitInItsQuarters,
		"activity is split by real time":                                        activityByRealTime,
		"times that cannot be keep nothing out":                                 impossibleTimes,
		"every view with parameters takes every step":                           everyStep,
		"states are split by real time":                                         statesByRealTime,
		"days follow their time zone when clocks change":                        daysOfTimeZones,
		"whatever is corrected, rollups say what the facts say":                 rollupsFollowFacts,
		"an insert that is repeated under its token counts once":                repeatedInserts,
	} {
		t.Run(name, func(t *testing.T) { test(h.in(t)) })
	}
}

func visitInItsQuarters(h *house) {
	open := visit("visits", 1, "2026-03-02 09:14:59", "", "")
	h.insert(of("visit_facts", open))
	h.is("SELECT attribution, quarter, offered, answered FROM visit_quarters FINAL WHERE tenant = 'visits'", "entered 2026-03-02T09:00:00Z 1 0")
	answered := visit("visits", 1, "2026-03-02 09:14:59", "2026-03-02 09:15:02", "answered")
	h.insert(of("visit_facts", open.back(), answered))
	ended := answered.with("interaction_ended_at", moment("2026-03-02 10:00:00"))
	h.insert(of("visit_facts", answered.back(), ended))
	columns := "attribution, quarter, offered, offered_with_target, answered, within_target, wait_ms, abandoned"
	h.is("SELECT "+columns+" FROM visit_quarters FINAL WHERE tenant = 'visits' ORDER BY ALL",
		"disconnect 2026-03-02T10:00:00Z 1 1 1 1 3000 0",
		"entered 2026-03-02T09:00:00Z 1 1 0 0 0 0",
		"entered 2026-03-02T09:15:00Z 0 0 1 1 3000 0")
	h.insert(of("visit_facts", ended.back()))
	h.exec("OPTIMIZE TABLE visit_quarters FINAL")
	h.is("SELECT " + columns + " FROM visit_quarters WHERE tenant = 'visits'")

	short := visit("visits", 2, "2026-03-02 09:00:00", "2026-03-02 09:00:05", "abandoned")
	long := visit("visits", 3, "2026-03-02 09:00:00", "2026-03-02 09:00:05.001", "abandoned")
	h.insert(of("visit_facts", short, long))
	h.is("SELECT abandoned, short_abandoned, abandoned_within_target, abandon_wait_ms, answered FROM visit_quarters FINAL WHERE tenant = 'visits'", "2 1 1 10001 0")
}

// assignment is one that is handled.
func assignment(tenant string, n int, connected, ended string) row {
	c, e := at(connected), at(ended)
	talk := e.Sub(c).Milliseconds()
	return row{
		"tenant": tenant, "assignment": id(n), "thread": thread, "channel": "voice", "provider": "asterisk", "inbox": "hotline", "queue": "700",
		"agent": "1001", "origin": "inbound", "begun_at": c, "offered_at": &c, "declined_at": (*time.Time)(nil), "decline_reason": "",
		"connected_at": &c, "ended_at": &e, "wrapup_started_at": (*time.Time)(nil), "wrapup_ended_at": (*time.Time)(nil), "handled": true,
		"talk_ms": talk, "hold_ms": int64(0), "pause_ms": int64(0), "wrapup_ms": int64(0), "handle_ms": talk, "holds": uint16(0),
		"held": [][]any{}, "paused": [][]any{}, "interaction_ended_at": (*time.Time)(nil), "sign": int8(1),
	}
}

func activityByRealTime(h *house) {
	h.insert(of("assignment_facts", assignment("acme", 1, "2026-03-02 05:23:00", "2026-03-02 06:15:00")))
	halfHours := `SELECT formatDateTime(start, '%H:%i'), talk_ms / 60000, hold_ms / 60000, wrapup_ms / 1000
		FROM agent_activity_intervals(step = 'half_hour', tz = 'UTC', since = '2026-03-02', until = '2026-03-03') WHERE tenant = ? ORDER BY start`
	if got := h.lines(halfHours, "acme"); !equal(got, []string{"05:00 7 0 0", "05:30 30 0 0", "06:00 15 0 0"}) {
		h.t.Error(got)
	}

	// Held 05:40-05:50, laid aside 05:55-06:05, with after-call work until 06:16:01.5; and the fold says 7 ms more than the times do.
	a := assignment("other", 2, "2026-03-02 05:23:00", "2026-03-02 06:15:00")
	a["held"] = [][]any{{at("2026-03-02 05:40:00"), at("2026-03-02 05:50:00")}}
	a["paused"] = [][]any{{at("2026-03-02 05:55:00"), at("2026-03-02 06:05:00")}}
	a["wrapup_started_at"], a["wrapup_ended_at"] = moment("2026-03-02 06:15:00"), moment("2026-03-02 06:16:01.5")
	a["talk_ms"], a["hold_ms"], a["wrapup_ms"] = int64(32*60_000+7), int64(600_000), int64(61_500)
	h.insert(of("assignment_facts", a))
	if got := h.lines(halfHours, "other"); !equal(got, []string{"05:00 7 0 0", "05:30 15 10 0", fmt.Sprintf("06:00 %v 0 61.5", 10+7/60000.)}) {
		h.t.Error(got)
	}

	// A talk that lasts for years counts whole, and is no million of rows.
	h.insert(of("assignment_facts", assignment("old", 3, "2001-03-02 05:23:00", "2026-03-02 06:15:00")))
	h.is("SELECT count(), toBool(sum(talk_ms) = (SELECT any(talk_ms) FROM assignment_facts WHERE tenant = 'old')) FROM agent_activity_quarters FINAL WHERE tenant = 'old'",
		"2976 true")
}

// impossibleTimes: a row that cannot be must not keep the others out, and its sums are what it says.
func impossibleTimes(h *house) {
	reversed := assignment("impossible", 1, "2026-03-02 09:00:00", "2026-03-02 06:00:00")
	reversed["held"] = [][]any{{at("2026-03-03"), at("2026-03-01")}, {at("1969-12-31"), at("2199-01-01")}}
	ancient := assignment("impossible", 2, "1901-03-02 09:00:00", "1969-03-02 06:00:00")
	unconnected := assignment("impossible", 3, "2026-03-02 09:00:00", "2026-03-02 09:20:00")
	unconnected["connected_at"], unconnected["ended_at"] = (*time.Time)(nil), (*time.Time)(nil)
	h.insert(of("assignment_facts", reversed, ancient, unconnected))
	h.is(`SELECT sum(talk_ms) = (SELECT sum(talk_ms) FROM assignments WHERE tenant = 'impossible'),
		sum(hold_ms) = (SELECT sum(hold_ms) FROM assignments WHERE tenant = 'impossible') FROM agent_activity_quarters WHERE tenant = 'impossible'`, "1 1")
	state := row{
		"tenant": "impossible", "agent": "ann", "day": at("2026-03-02"), "started_at": at("2026-03-02 09:00:00"), "ended_at": at("2026-03-02 08:00:00"), "sign": int8(1),
	}
	h.insert(of("agent_state_facts", state, state.with("ended_at", at("2199-03-02"))))
	h.is("SELECT count() FROM agent_states WHERE tenant = 'impossible'", "2")
}

func everyStep(h *house) {
	for _, view := range h.lines("SELECT name FROM system.tables WHERE database = currentDatabase() AND create_table_query LIKE '%{step:String}%'") {
		for _, step := range []string{"quarter", "half_hour", "hour", "day", "week", "month"} {
			h.lines(fmt.Sprintf("SELECT * FROM %s(step = '%s', tz = 'Asia/Shanghai', since = '2000-01-01', until = '2100-01-01 00:00:00') LIMIT 3", view, step))
		}
	}
}

func statesByRealTime(h *house) {
	state := func(from, until string, contact bool) row {
		return row{
			"tenant": "states", "agent": "ann", "day": at(from).Truncate(24 * time.Hour), "started_at": at(from), "ended_at": at(until), "presence": "Available",
			"presence_type": "routable", "routing_status": "idle", "contacts": uint16(0), "on_contact": contact, "sign": int8(1),
		}
	}
	goesOn := state("2026-03-02 09:07:00", "2026-03-03 00:00:00", false)
	h.insert(of("agent_state_facts", goesOn))
	h.insert(of("agent_state_facts", goesOn.back(), state("2026-03-02 09:07:00", "2026-03-02 09:40:00.5", false), state("2026-03-02 09:40:00.5", "2026-03-02 09:45:00", true)))
	h.is("SELECT quarter, on_contact, ms FROM agent_state_quarters FINAL WHERE tenant = 'states' ORDER BY ALL",
		"2026-03-02T09:00:00Z false 480000", "2026-03-02T09:15:00Z false 900000", "2026-03-02T09:30:00Z false 600500", "2026-03-02T09:30:00Z true 299500")
	h.is("SELECT started_at, on_contact FROM agent_states WHERE tenant = 'states' ORDER BY ALL", "2026-03-02T09:07:00Z false", "2026-03-02T09:40:00.5Z true")
}

func daysOfTimeZones(h *house) {
	var all []row
	for q := at("2026-03-27"); q.Before(at("2026-04-01")); q = q.Add(15 * time.Minute) {
		all = append(all, row{"tenant": "zones", "visit": id(len(all)), "thread": thread, "entered_at": q, "sign": int8(1)})
	}
	for q := at("2026-10-23"); q.Before(at("2026-10-28")); q = q.Add(15 * time.Minute) {
		all = append(all, row{"tenant": "zones", "visit": id(len(all)), "thread": thread, "entered_at": q, "sign": int8(1)})
	}
	h.insert(of("visit_facts", all...))
	count := func(step, tz, since, until string, want ...string) {
		h.t.Helper()
		h.is(fmt.Sprintf("SELECT toString(start), offered FROM visit_intervals(step = '%s', tz = '%s', since = '%s', until = '%s') WHERE tenant = 'zones' AND attribution = 'entered' ORDER BY start",
			step, tz, since, until), want...)
	}
	count("day", "Europe/Berlin", "2026-03-28", "2026-03-31",
		"2026-03-28 00:00:00 96", "2026-03-29 00:00:00 92", "2026-03-30 00:00:00 96")
	count("day", "Europe/Berlin", "2026-10-24", "2026-10-27",
		"2026-10-24 00:00:00 96", "2026-10-25 00:00:00 100", "2026-10-26 00:00:00 96")
	count("hour", "Europe/Berlin", "2026-10-25 01:00:00", "2026-10-25 04:00:00",
		"2026-10-25 01:00:00 4", "2026-10-25 02:00:00 4", "2026-10-25 02:00:00 4", "2026-10-25 03:00:00 4")
	count("day", "Asia/Shanghai", "2026-03-28", "2026-03-30", "2026-03-28 00:00:00 96", "2026-03-29 00:00:00 96")
	count("day", "Asia/Kathmandu", "2026-03-28", "2026-03-29", "2026-03-28 00:00:00 96")
	count("half_hour", "Asia/Kathmandu", "2026-03-28", "2026-03-28 01:00:00", "2026-03-28 00:00:00 2", "2026-03-28 00:30:00 2")
	count("quarter", "Asia/Kathmandu", "2026-03-28", "2026-03-28 00:30:00", "2026-03-28 00:00:00 1", "2026-03-28 00:15:00 1")
	count("week", "Europe/Berlin", "2026-03-23", "2026-04-06", "2026-03-23 00:00:00 280", "2026-03-30 00:00:00 200")
	count("month", "Europe/Berlin", "2026-10-01", "2026-11-01", "2026-10-01 00:00:00 480")
	if _, err := lines(h.t.Context(), h.Warehouse, "SELECT * FROM visit_intervals(step = 'fortnight', tz = 'UTC', since = '2026-03-01', until = '2026-04-01')"); err == nil ||
		!strings.Contains(err.Error(), "step is one of quarter, half_hour, hour, day, week, month") {
		h.t.Error(err)
	}
}

// law is a rollup, and what it must be by what the views say.
type law struct{ rollup, facts string }

var laws = map[string]law{
	"interactions": {
		`SELECT quarter, channel, inbox, direction, sum(started), sum(ended), sum(resolved), sum(resolution_ms), sum(reopened), sum(first_responses),
			sum(first_response_ms), sum(self_service), sum(contained), sum(handed_off)
		FROM interaction_quarters WHERE tenant = ? GROUP BY ALL`,
		`SELECT toStartOfFifteenMinutes(at), channel, inbox, direction, countIf(what = 1), countIf(what = 2), countIf(what = 3), sumIf(resolution_ms, what = 3),
			countIf(what = 4), countIf(what = 5), sumIf(first_response_ms, what = 5), countIf(what = 6), countIf(what = 6 AND contained), countIf(what = 6 AND handed_off_at IS NOT NULL)
		FROM interactions ARRAY JOIN [1, 2, 3, 4, 5, 6] AS what, [toNullable(started_at), ended_at, resolved_at, reopened_at, first_response_at, bot_started_at] AS at
		WHERE tenant = ? AND at IS NOT NULL GROUP BY ALL`,
	},
	"visits as entered": {
		`SELECT quarter, queue, sum(offered), sum(answered), sum(abandoned), sum(short_abandoned), sum(overflowed), sum(within_target), sum(wait_ms), sum(abandon_wait_ms)
		FROM visit_quarters WHERE tenant = ? AND attribution = 'entered' GROUP BY ALL`,
		`SELECT toStartOfFifteenMinutes(at), queue, countIf(what = 1), countIf(what = 2 AND outcome = 'answered'), countIf(what = 2 AND outcome = 'abandoned'),
			countIf(what = 2 AND outcome = 'abandoned' AND wait_ms <= 5000), countIf(what = 2 AND outcome = 'overflowed'),
			countIf(what = 2 AND outcome = 'answered' AND wait_ms <= sla_target_ms AND sla_target_ms > 0),
			sumIf(wait_ms, what = 2 AND outcome = 'answered'), sumIf(wait_ms, what = 2 AND outcome = 'abandoned')
		FROM queue_visits ARRAY JOIN [1, 2] AS what, [toNullable(entered_at), left_at] AS at
		WHERE tenant = ? AND at IS NOT NULL GROUP BY ALL`,
	},
	"visits as disconnected": {
		`SELECT quarter, queue, sum(offered), sum(offered_with_target), sum(answered), sum(abandoned), sum(transferred), sum(voicemail), sum(callback), sum(cancelled), sum(wait_ms)
		FROM visit_quarters WHERE tenant = ? AND attribution = 'disconnect' GROUP BY ALL`,
		`SELECT toStartOfFifteenMinutes(assumeNotNull(interaction_ended_at)), queue, count(), countIf(sla_target_ms > 0), countIf(outcome = 'answered'), countIf(outcome = 'abandoned'),
			countIf(outcome = 'transferred'), countIf(outcome = 'voicemail'), countIf(outcome = 'callback'), countIf(outcome = 'cancelled'), sumIf(wait_ms, outcome = 'answered')
		FROM queue_visits WHERE tenant = ? AND interaction_ended_at IS NOT NULL GROUP BY ALL`,
	},
	"assignments as ended": {
		`SELECT quarter, queue, agent, sum(offered), sum(rejected), sum(timed_out), sum(cancelled), sum(handled), sum(talk_ms), sum(hold_ms), sum(wrapup_ms), sum(handle_ms), sum(pause_ms), sum(holds)
		FROM assignment_quarters WHERE tenant = ? AND attribution = 'ended' GROUP BY ALL`,
		`SELECT toStartOfFifteenMinutes(at), queue, agent, countIf(what = 1), countIf(what = 2 AND decline_reason = 'rejected'), countIf(what = 2 AND decline_reason = 'timed_out'),
			countIf(what = 2 AND decline_reason = 'cancelled'), countIf(what = 3 AND handled), sumIf(talk_ms, what = 3 AND handled), sumIf(hold_ms, what = 3 AND handled),
			sumIf(wrapup_ms, what = 3 AND handled), sumIf(handle_ms, what = 3 AND handled), sumIf(pause_ms, what = 3 AND handled), sumIf(holds, what = 3 AND handled)
		FROM assignments ARRAY JOIN [1, 2, 3] AS what, [offered_at, declined_at, ended_at] AS at
		WHERE tenant = ? AND at IS NOT NULL GROUP BY ALL`,
	},
	"assignments as disconnected": {
		`SELECT quarter, queue, agent, sum(offered), sum(rejected), sum(handled), sum(talk_ms), sum(hold_ms), sum(wrapup_ms), sum(handle_ms)
		FROM assignment_quarters WHERE tenant = ? AND attribution = 'disconnect' GROUP BY ALL`,
		`SELECT toStartOfFifteenMinutes(assumeNotNull(interaction_ended_at)), queue, agent, countIf(offered_at IS NOT NULL), countIf(decline_reason = 'rejected'), countIf(handled),
			sumIf(talk_ms, handled), sumIf(hold_ms, handled), sumIf(wrapup_ms, handled), sumIf(handle_ms, handled)
		FROM assignments WHERE tenant = ? AND interaction_ended_at IS NOT NULL GROUP BY ALL`,
	},
	"activity": {
		`SELECT queue, agent, sum(talk_ms), sum(hold_ms), sum(wrapup_ms) FROM agent_activity_quarters WHERE tenant = ? GROUP BY ALL`,
		`SELECT queue, agent, sum(talk_ms), sum(hold_ms), sum(wrapup_ms) FROM assignments WHERE tenant = ? AND handled GROUP BY ALL`,
	},
	"states": {
		`SELECT agent, presence_type, routing_status, on_contact, sum(ms) FROM agent_state_quarters WHERE tenant = ? GROUP BY ALL`,
		`SELECT agent, presence_type, routing_status, on_contact, sum(toUnixTimestamp64Milli(ended_at) - toUnixTimestamp64Milli(started_at)) FROM agent_states WHERE tenant = ? GROUP BY ALL`,
	},
	"no state is longer than its quarter": {
		`SELECT quarter, agent, sum(ms) FROM agent_state_quarters WHERE tenant = ? GROUP BY ALL HAVING sum(ms) NOT BETWEEN 0 AND 900000`,
		`SELECT tenant FROM agent_states WHERE tenant = ? AND false`,
	},
}
