package dashboards

import "fmt"

// What most panels are narrowed by: the tenant, the interval and the time zone of the company.
func common() []variable {
	return []variable{
		{name: "tenant", label: "Tenant", sql: "SELECT DISTINCT tenant FROM interaction_quarters ORDER BY tenant"},
		{name: "step", label: "Interval", values: []string{"hour", "quarter", "half_hour", "day", "week", "month"}},
		{name: "tz", label: "Time zone", values: []string{"UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "Asia/Shanghai", "Asia/Kolkata"}},
	}
}

func channels() variable {
	return variable{
		name: "channel", label: "Channel", several: true,
		sql: "SELECT DISTINCT channel FROM interaction_quarters WHERE tenant = '${tenant}' ORDER BY channel",
	}
}

// intervals is a view of rollups over the period that is shown.
func intervals(view string) string {
	return view + "(step = '${step}', tz = '${tz}', since = formatDateTime($__fromTime, '%F %T', '${tz}'), until = formatDateTime($__toTime, '%F %T', '${tz}'))"
}

// interval is the first moment of the interval in which something was, for facts: what the views of rollups do for quarters.
func interval(at string) string {
	return fmt.Sprintf("multiIf("+
		"'${step}' = 'quarter', toStartOfFifteenMinutes(%[1]s), "+
		"'${step}' = 'half_hour', toStartOfMinute(%[1]s) - toIntervalMinute(toMinute(%[1]s, '${tz}') %% 30), "+
		"'${step}' = 'hour', toStartOfMinute(%[1]s) - toIntervalMinute(toMinute(%[1]s, '${tz}')), "+
		"'${step}' = 'day', toStartOfDay(%[1]s, '${tz}'), "+
		"'${step}' = 'week', toDateTime(toMonday(%[1]s, '${tz}'), '${tz}'), "+
		"toDateTime(toStartOfMonth(%[1]s, '${tz}'), '${tz}'))", "toDateTime(assumeNotNull("+at+"))")
}

const (
	ofQueues    = "WHERE tenant = '${tenant}' AND attribution = 'entered' AND NOT backfill AND channel IN (${channel:sqlstring}) AND queue_name IN (${queue:sqlstring})"
	ofVisits    = "FROM queue_visits WHERE tenant = '${tenant}' AND NOT backfill AND channel IN (${channel:sqlstring}) AND queue_name IN (${queue:sqlstring}) AND left_at IS NOT NULL AND $__timeFilter(left_at)"
	ofHandled   = "WHERE tenant = '${tenant}' AND attribution = 'ended' AND NOT backfill AND channel IN (${channel:sqlstring}) AND (queue_name = '' OR queue_name IN (${queue:sqlstring}))"
	ofContacts  = "WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring})"
	serviceFrom = "countIf(outcome = 'answered' AND wait_ms <= if(sla_target_ms > 0, sla_target_ms, 20000)) / nullIf(countIf(NOT (outcome = 'abandoned' AND wait_ms <= 5000)), 0)"
	definition  = " Definitions: docs/metrics.md."
)

func overview() dashboard {
	visits, handled, contacts := intervals("visit_intervals"), intervals("assignment_intervals"), intervals("interaction_intervals")
	return dashboard{
		name: "overview", title: "contact centre", from: "now-24h", refresh: "1m",
		description: "Volumes, service level, abandon rate, speed of answer, handle time and backlog by channel and queue." + definition,
		variables: append(common(), channels(), variable{
			name: "queue", label: "Queue", several: true,
			sql: "SELECT DISTINCT queue_name FROM queue_visits WHERE tenant = '${tenant}' AND $__timeFilter(entered_at) ORDER BY queue_name",
		}),
		rows: []row{
			{height: 4, panels: []panel{
				{title: "Interactions", kind: stat, width: 3, sql: "SELECT sum(started) AS interactions FROM " + contacts + " " + ofContacts},
				{title: "Offered", description: "Entries into queues.", kind: stat, width: 3, sql: "SELECT sum(offered) AS offered FROM " + visits + " " + ofQueues},
				{title: "Answered", kind: stat, width: 3, sql: "SELECT sum(answered) AS answered FROM " + visits + " " + ofQueues},
				{title: "Service level", description: "Answered within the visit's target, else 20 s, of those that left the queue; short abandons do not count.", kind: stat, unit: "percentunit", width: 3, sql: "SELECT " + serviceFrom + " AS service_level " + ofVisits},
				{title: "Abandon rate", description: "Abandoned of offered.", kind: stat, unit: "percentunit", width: 3, sql: "SELECT sum(abandoned) / nullIf(sum(offered), 0) AS abandon_rate FROM " + visits + " " + ofQueues},
				{title: "Speed of answer", description: "ASA: mean wait of the answered.", kind: stat, unit: "s", width: 3, sql: "SELECT sum(wait_ms) / nullIf(sum(answered), 0) / 1000 AS asa FROM " + visits + " " + ofQueues},
				{title: "Handle time", description: "AHT: talk, hold and after-call work of the handled.", kind: stat, unit: "s", width: 3, sql: "SELECT sum(handle_ms) / nullIf(sum(handled), 0) / 1000 AS aht FROM " + handled + " " + ofHandled},
				{title: "Backlog now", description: "Open or pending at this moment.", kind: stat, width: 3, sql: "SELECT count() AS open FROM interactions WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring}) AND status IN ('open', 'pending', 'snoozed')"},
			}},
			{title: "Volumes", height: 8, panels: []panel{
				{title: "Interactions by channel", kind: bars, stacked: true, width: 12, sql: "SELECT start AS time, channel, sum(started) AS interactions FROM " + contacts + " " + ofContacts + " GROUP BY time, channel ORDER BY time"},
				{title: "Queues: offered, answered, abandoned", kind: lines, width: 12, sql: "SELECT start AS time, sum(offered) AS offered, sum(answered) AS answered, sum(abandoned) AS abandoned FROM " + visits + " " + ofQueues + " GROUP BY time ORDER BY time"},
			}},
			{title: "Queues", height: 8, panels: []panel{
				{title: "Service level", kind: lines, unit: "percentunit", width: 8, sql: "SELECT " + interval("left_at") + " AS time, queue_name, " + serviceFrom + " AS service_level " + ofVisits + " GROUP BY time, queue_name ORDER BY time"},
				{title: "Abandon rate", kind: lines, unit: "percentunit", width: 8, sql: "SELECT start AS time, queue_name, sum(abandoned) / nullIf(sum(offered), 0) AS abandon_rate FROM " + visits + " " + ofQueues + " GROUP BY time, queue_name ORDER BY time"},
				{title: "Speed of answer", kind: lines, unit: "s", width: 8, sql: "SELECT start AS time, queue_name, sum(wait_ms) / nullIf(sum(answered), 0) / 1000 AS asa FROM " + visits + " " + ofQueues + " GROUP BY time, queue_name ORDER BY time"},
			}},
			{height: 8, panels: []panel{
				{title: "Handle time", kind: lines, unit: "s", width: 8, sql: "SELECT start AS time, queue_name, sum(handle_ms) / nullIf(sum(handled), 0) / 1000 AS aht FROM " + handled + " " + ofHandled + " GROUP BY time, queue_name ORDER BY time"},
				{title: "By queue", kind: table, width: 16, sql: `SELECT v.queue_name AS queue, offered, answered, abandoned, round(abandoned / nullIf(offered, 0), 3) AS abandon_rate, asa, handled, aht
FROM (SELECT queue_name, sum(offered) AS offered, sum(answered) AS answered, sum(abandoned) AS abandoned, round(sum(wait_ms) / nullIf(answered, 0) / 1000, 1) AS asa
    FROM (SELECT * FROM ` + visits + " " + ofQueues + `) GROUP BY queue_name) AS v
LEFT JOIN (SELECT queue_name, sum(handled) AS handled, round(sum(handle_ms) / nullIf(handled, 0) / 1000, 1) AS aht
    FROM (SELECT * FROM ` + handled + " " + ofHandled + `) GROUP BY queue_name) AS a ON a.queue_name = v.queue_name
ORDER BY offered DESC, queue`},
			}},
			{title: "Backlog", height: 8, panels: []panel{
				{title: "Open interactions", description: "Begun, and neither resolved nor closed, at the end of each interval.", kind: lines, width: 12, sql: `SELECT time, channel, open FROM (
    SELECT greatest(` + interval("at") + `, $__fromTime) AS time, channel, sum(sum(change)) OVER (PARTITION BY channel ORDER BY time) AS open
    FROM interactions
    ARRAY JOIN [toNullable(started_at), if(status IN ('resolved', 'closed'), greatest(started_at, coalesce(resolved_at, ended_at, last_activity_at)), NULL)] AS at, [1, -1] AS change
    ` + ofContacts + ` AND at <= $__toTime
    GROUP BY time, channel
) ORDER BY time`},
				{title: "Waiting for a reply of a person", kind: table, width: 12, sql: "SELECT channel, queue_name AS queue, count() AS waiting, min(waiting_since) AS oldest FROM interactions " + ofContacts + " AND status IN ('open', 'pending') AND waiting_since IS NOT NULL GROUP BY channel, queue ORDER BY oldest"},
			}},
		},
	}
}

func agents() dashboard {
	states, handled, activity := intervals("agent_state_intervals"), intervals("assignment_intervals"), intervals("agent_activity_intervals")
	const (
		ofStates  = "WHERE tenant = '${tenant}' AND agent_name IN (${agent:sqlstring})"
		ofHandled = ofStates + " AND attribution = 'ended' AND NOT backfill"
		busy      = "sumIf(ms, on_contact AND presence_type != 'offline')"
		idle      = "sumIf(ms, NOT (on_contact AND presence_type != 'offline') AND routing_status = 'idle')"
		signedIn  = "sumIf(ms, presence_type IN ('routable', 'custom'))"
	)
	return dashboard{
		name: "agents", title: "agents", from: "now-24h", refresh: "1m",
		description: "Occupancy, states and handle times of agents. Times of states are split by real time; what goes on counts until the end of its day in UTC, so look at periods that are over." + definition,
		variables: append(common(), variable{
			name: "agent", label: "Agent", several: true,
			sql: "SELECT DISTINCT agent_name FROM agent_states WHERE tenant = '${tenant}' AND day >= toDate($__fromTime) AND day <= toDate($__toTime) ORDER BY agent_name",
		}),
		rows: []row{
			{height: 4, panels: []panel{
				{title: "Occupancy", description: "Time on contact of time on contact and idle, by the wall clock.", kind: stat, unit: "percentunit", width: 6, sql: "SELECT " + busy + " / nullIf(" + busy + " + " + idle + ", 0) AS occupancy FROM " + states + " " + ofStates},
				{title: "Utilisation", description: "Time on contact of time signed in.", kind: stat, unit: "percentunit", width: 6, sql: "SELECT sumIf(ms, on_contact AND presence_type IN ('routable', 'custom')) / nullIf(" + signedIn + ", 0) AS utilisation FROM " + states + " " + ofStates},
				{title: "Handled", kind: stat, width: 6, sql: "SELECT sum(handled) AS handled FROM " + handled + " " + ofHandled},
				{title: "Handle time", kind: stat, unit: "s", width: 6, sql: "SELECT sum(handle_ms) / nullIf(sum(handled), 0) / 1000 AS aht FROM " + handled + " " + ofHandled},
			}},
			{height: 9, panels: []panel{
				{title: "Hours by presence", kind: bars, stacked: true, unit: "h", width: 12, sql: "SELECT start AS time, presence, sum(ms) / 3.6e6 AS hours FROM " + states + " " + ofStates + " AND presence_type IN ('routable', 'custom') GROUP BY time, presence ORDER BY time"},
				{title: "Hours by routing status", kind: bars, stacked: true, unit: "h", width: 12, sql: "SELECT start AS time, routing_status, sum(ms) / 3.6e6 AS hours FROM " + states + " " + ofStates + " AND presence_type IN ('routable', 'custom') GROUP BY time, routing_status ORDER BY time"},
			}},
			{height: 9, panels: []panel{
				{title: "Occupancy by agent", kind: lines, unit: "percentunit", width: 12, sql: "SELECT start AS time, agent_name, " + busy + " / nullIf(" + busy + " + " + idle + ", 0) AS occupancy FROM " + states + " " + ofStates + " GROUP BY time, agent_name ORDER BY time"},
				{title: "Talk, hold and after-call work", description: "Of handled assignments, split by real time.", kind: bars, stacked: true, unit: "h", width: 12, sql: "SELECT start AS time, sum(talk_ms) / 3.6e6 AS talk, sum(hold_ms) / 3.6e6 AS hold, sum(wrapup_ms) / 3.6e6 AS after_call_work FROM " + activity + " " + ofStates + " AND NOT backfill GROUP BY time ORDER BY time"},
			}},
			{height: 10, panels: []panel{
				{title: "By agent", kind: table, width: 14, sql: `SELECT s.agent_name AS agent, round(signed_in / 3.6e6, 2) AS signed_in_hours, round(busy / 3.6e6, 2) AS on_contact_hours, round(idle / 3.6e6, 2) AS idle_hours,
    round(busy / nullIf(busy + idle, 0), 3) AS occupancy, a.contacts AS handled, a.aht AS aht, a.not_accepted AS not_accepted
FROM (SELECT agent_name, ` + signedIn + " AS signed_in, " + busy + " AS busy, " + idle + " AS idle FROM " + states + " " + ofStates + ` GROUP BY agent_name) AS s
LEFT JOIN (SELECT agent_name, sum(handled) AS contacts, round(sum(handle_ms) / nullIf(contacts, 0) / 1000) AS aht, sum(rejected) + sum(timed_out) AS not_accepted
    FROM ` + handled + " " + ofHandled + ` GROUP BY agent_name) AS a ON a.agent_name = s.agent_name
ORDER BY agent`},
				{title: "At this moment", description: "As far as ClickHouse is complete; the board has it live.", kind: table, width: 10, sql: "SELECT agent_name AS agent, presence, presence_reason AS reason, routing_status, contacts, started_at AS since FROM agent_states " + ofStates + " AND day = today() AND started_at <= now64(3) AND ended_at > now64(3) AND presence_type != 'offline' ORDER BY agent"},
			}},
		},
	}
}

func voice() dashboard {
	const (
		of       = "FROM surveys WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring}) AND $__timeFilter(occurred_at)"
		scaled   = "(score - scale_min) / (scale_max - scale_min)"
		rated    = "answered AND scale_max > scale_min AND metric = "
		csat     = "countIf(" + rated + "'csat' AND " + scaled + " >= 0.75) / nullIf(countIf(" + rated + "'csat'), 0)"
		nps      = "100 * (countIf(" + rated + "'nps' AND " + scaled + " >= 0.9) - countIf(" + rated + "'nps' AND " + scaled + " < 0.7)) / nullIf(countIf(" + rated + "'nps'), 0)"
		ces      = "avgOrNullIf(" + scaled + ", " + rated + "'ces')"
		contacts = "FROM interactions WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring}) AND $__timeFilter(started_at)"
	)
	return dashboard{
		name: "voice", title: "voice of the customer", from: "now-30d", refresh: "5m",
		description: "Satisfaction and what drives it, complaints, contact reasons, what people write in surveys. Texts are personal." + definition,
		variables:   append(common(), channels()),
		rows: []row{
			{height: 4, panels: []panel{
				{title: "CSAT", description: "4 and 5 of 5 of all answers; other scales alike.", kind: stat, unit: "percentunit", width: 5, sql: "SELECT " + csat + " AS csat " + of},
				{title: "NPS", kind: stat, width: 5, sql: "SELECT " + nps + " AS nps " + of},
				{title: "Effort (CES)", description: "Mean share of the scale.", kind: stat, unit: "percentunit", width: 5, sql: "SELECT " + ces + " AS ces " + of},
				{title: "Response rate", kind: stat, unit: "percentunit", width: 5, sql: "SELECT countIf(answered) / nullIf(countIf(NOT answered), 0) AS response_rate " + of},
				{title: "Complaints", kind: stat, width: 4, sql: "SELECT countIf(complaint) AS complaints " + contacts},
			}},
			{height: 8, panels: []panel{
				{title: "CSAT", kind: lines, unit: "percentunit", width: 8, sql: "SELECT " + interval("occurred_at") + " AS time, " + csat + " AS csat " + of + " GROUP BY time ORDER BY time"},
				{title: "NPS", kind: lines, width: 8, sql: "SELECT " + interval("occurred_at") + " AS time, " + nps + " AS nps " + of + " GROUP BY time ORDER BY time"},
				{title: "Complaints by first reason", kind: bars, stacked: true, width: 8, sql: "SELECT " + interval("started_at") + " AS time, if(contact_reason[1] = '', 'no reason', contact_reason[1]) AS reason, countIf(complaint) AS complaints " + contacts + " GROUP BY time, reason ORDER BY time"},
			}},
			{height: 9, panels: []panel{
				{title: "CSAT by driver", description: "An answer with two drivers counts for each.", kind: table, width: 8, sql: "SELECT arrayJoin(drivers) AS driver, count() AS answers, round(avg(" + scaled + " >= 0.75), 3) AS csat " + of + " AND " + rated + "'csat' GROUP BY driver ORDER BY answers DESC, driver"},
				{title: "CSAT by agent", description: "By the assignment that was rated.", kind: table, width: 8, sql: `SELECT a.agent_name AS agent, count() AS answers, round(avg(s.scaled >= 0.75), 3) AS csat
FROM (SELECT assignment, ` + scaled + " AS scaled " + of + " AND " + rated + `'csat') AS s
JOIN (SELECT assignment, agent_name FROM assignments WHERE tenant = '${tenant}') AS a ON a.assignment = s.assignment
GROUP BY agent ORDER BY answers DESC, agent`},
				{title: "Contact reasons", kind: table, width: 8, sql: "SELECT arrayStringConcat(contact_reason, ' / ') AS reason, count() AS interactions, countIf(complaint) AS complaints, round(complaints / interactions, 3) AS complaint_rate " + contacts + " AND notEmpty(contact_reason) GROUP BY reason ORDER BY interactions DESC, reason LIMIT 50"},
			}},
			{height: 10, panels: []panel{
				{title: "Latest comments", kind: table, width: 24, sql: "SELECT occurred_at AS at, channel, language, text FROM messages WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring}) AND kind = 'comment' AND $__timeFilter(occurred_at) ORDER BY at DESC LIMIT 100"},
			}},
		},
	}
}

func journeys() dashboard {
	contacts := intervals("interaction_intervals")
	const of = "FROM interactions WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring}) AND $__timeFilter(started_at)"
	const customers = " AND endpoint != toUUID('00000000-0000-0000-0000-000000000000')"
	return dashboard{
		name: "journeys", title: "journeys and self-service", from: "now-7d", refresh: "5m",
		description: "What bots and menus settle, where customers leave them, and from which channel to which they go." + definition,
		variables:   append(common(), channels()),
		rows: []row{
			{height: 4, panels: []panel{
				{title: "Containment", description: "Settled by self-service without a person, of those that began there.", kind: stat, unit: "percentunit", width: 6, sql: "SELECT sum(contained) / nullIf(sum(self_service), 0) AS containment FROM " + contacts + " " + ofContacts},
				{title: "Began in self-service", kind: stat, width: 6, sql: "SELECT sum(self_service) AS began FROM " + contacts + " " + ofContacts},
				{title: "Asked for a person", kind: stat, width: 6, sql: "SELECT sum(handed_off) AS handed_off FROM " + contacts + " " + ofContacts},
				{title: "Repeat rate", description: "Contacts within 7 days of one before of the same customer and first reason.", kind: stat, unit: "percentunit", width: 6, sql: `SELECT countIf(previous >= started_at - INTERVAL 7 DAY) / nullIf(count(), 0) AS repeat_rate FROM (
    SELECT channel, started_at, lagInFrame(toNullable(started_at)) OVER (PARTITION BY customer, contact_reason[1] ORDER BY started_at, interaction ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS previous
    FROM interactions WHERE tenant = '${tenant}' AND direction = 'inbound' AND NOT backfill` + customers + `
) WHERE channel IN (${channel:sqlstring}) AND $__timeFilter(started_at)`},
			}},
			{height: 8, panels: []panel{
				{title: "Containment by channel", kind: lines, unit: "percentunit", width: 12, sql: "SELECT start AS time, channel, sum(contained) / nullIf(sum(self_service), 0) AS containment FROM " + contacts + " " + ofContacts + " GROUP BY time, channel HAVING sum(self_service) > 0 ORDER BY time"},
				{title: "Self-service: settled, handed over, left", kind: bars, stacked: true, width: 12, sql: "SELECT start AS time, sum(contained) AS settled, sum(handed_off) AS handed_over, sum(self_service) - sum(contained) - sum(handed_off) AS left_it FROM " + contacts + " " + ofContacts + " GROUP BY time ORDER BY time"},
			}},
			{height: 9, panels: []panel{
				{title: "By bot and last step", kind: table, width: 12, sql: `SELECT bot, last_step, count() AS ended_there, round(avg(contained), 3) AS containment FROM (
    SELECT i.bot AS bot, i.contained AS contained, argMax(e.detail, (e.occurred_at, e.offset)) AS last_step
    FROM (SELECT thread, detail, occurred_at, offset FROM events WHERE tenant = '${tenant}' AND type = 'flow.step_entered' AND $__timeFilter(occurred_at)) AS e
    ASOF JOIN (SELECT thread, interaction, started_at, bot, contained ` + of + ` AND bot != '') AS i ON i.thread = e.thread AND i.started_at <= e.occurred_at
    GROUP BY i.interaction, bot, contained
) GROUP BY bot, last_step ORDER BY ended_there DESC, last_step`},
				{title: "Funnel", kind: table, width: 12, sql: `SELECT channel, count() AS began, countIf(contained) AS settled_there, countIf(handed_off_at IS NOT NULL) AS asked_for_a_person,
    countIf(handed_off_at IS NOT NULL AND connected > 0) AS connected_to_an_agent, countIf(handed_off_at IS NOT NULL AND connected > 0 AND resolved_at IS NOT NULL) AS resolved_by_an_agent
` + of + " AND bot_started_at IS NOT NULL GROUP BY channel ORDER BY channel"},
			}},
			{height: 9, panels: []panel{
				{title: "From channel to channel", description: "The next interaction of the same customer within 7 days.", kind: table, width: 12, sql: `SELECT channel AS from_channel, next_channel AS to_channel, count() AS journeys, round(median(seconds) / 3600, 1) AS median_hours FROM (
    SELECT channel, leadInFrame(channel) OVER contacts AS next_channel, dateDiff('second', started_at, leadInFrame(started_at) OVER contacts) AS seconds
    FROM interactions WHERE tenant = '${tenant}' AND $__timeFilter(started_at)` + customers + `
    WINDOW contacts AS (PARTITION BY customer ORDER BY started_at, interaction ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) WHERE next_channel != '' AND seconds <= 7 * 86400 GROUP BY from_channel, to_channel ORDER BY journeys DESC, from_channel, to_channel`},
				{title: "From queue to queue", kind: table, width: 12, sql: `SELECT queue_name AS from_queue, next_queue AS to_queue, count() AS transfers FROM (
    SELECT queue_name, leadInFrame(queue_name) OVER (PARTITION BY interaction ORDER BY ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next_queue
    FROM queue_visits WHERE tenant = '${tenant}' AND channel IN (${channel:sqlstring}) AND $__timeFilter(entered_at)
) WHERE next_queue != '' GROUP BY from_queue, to_queue ORDER BY transfers DESC, from_queue, to_queue`},
			}},
		},
	}
}

func pipeline() dashboard {
	const (
		fresh  = "time() - min(max by (topic, partition) (skein_analytics_sink_complete_until_timestamp_seconds))"
		mirror = "time() - min(max by (source) (skein_mirror_complete_until_timestamp_seconds))"
	)
	one := func(expression, legend string) []series { return []series{{expression, legend}} }
	return dashboard{
		name: "pipeline", title: "pipeline", from: "now-6h", refresh: "30s",
		description: "From the log into ClickHouse: how fresh, how far behind, what fails. What to do: docs/operate.md.",
		variables:   common()[:1],
		rows: []row{
			{height: 4, panels: []panel{
				{title: "Events are behind by", description: "Everything received before that is contained.", kind: stat, unit: "s", width: 4, promQL: one(fresh, "events")},
				{title: "Facts are behind by", kind: stat, unit: "s", width: 4, promQL: one(mirror, "facts")},
				{title: "Records not in ClickHouse", kind: stat, width: 4, promQL: one("sum(max by (topic, partition) (skein_analytics_sink_lag_records))", "records")},
				{title: "ClickHouse takes nothing", description: "1 while events wait in the log.", kind: stat, width: 4, promQL: one("max(skein_analytics_sink_blocked)", "blocked")},
				{title: "Rejected events", description: "rejected_events tells which and why.", kind: stat, width: 4, sql: "SELECT count() AS rejected FROM rejected_events WHERE tenant = '${tenant}'"},
				{title: "Dead letters, 24 h", kind: stat, width: 4, promQL: one("sum(increase(skein_projection_dead_total[24h]))", "dead")},
			}},
			{height: 8, panels: []panel{
				{title: "Behind by", kind: lines, unit: "s", width: 8, promQL: []series{{fresh, "events"}, {"time() - max by (source) (skein_mirror_complete_until_timestamp_seconds)", "{{source}}"}}},
				{title: "Records not in ClickHouse", kind: lines, width: 8, promQL: one("sum by (topic) (max by (topic, partition) (skein_analytics_sink_lag_records))", "{{topic}}")},
				{title: "Rows per second", kind: lines, unit: "rowsps", width: 8, promQL: []series{
					{"sum by (table) (rate(skein_analytics_sink_rows_total[5m]))", "{{table}}"}, {"sum by (table) (rate(skein_mirror_rows_total[5m]))", "{{table}}"},
				}},
			}},
			{height: 8, panels: []panel{
				{title: "Inserts, p99", kind: lines, unit: "s", width: 8, promQL: one("histogram_quantile(0.99, sum by (le, table) (rate(skein_analytics_sink_insert_seconds_bucket[5m])))", "{{table}}")},
				{title: "Attempts made again, per second", kind: lines, width: 8, promQL: []series{
					{"sum by (table) (rate(skein_analytics_sink_retries_total[5m]))", "{{table}}"}, {"sum by (source) (rate(skein_mirror_retries_total[5m]))", "{{source}}"},
				}},
				{title: "Refused for good", kind: lines, width: 8, promQL: []series{
					{"sum by (table) (increase(skein_analytics_sink_rejected_total[1h]))", "{{table}}"}, {"sum by (source) (increase(skein_mirror_refused_total[1h]))", "{{source}}"},
				}},
			}},
			{title: "Into the log and the read models", height: 8, panels: []panel{
				{title: "Events handed in, per second", kind: lines, width: 8, promQL: one("sum by (outcome) (rate(skein_intake_events_total[5m]))", "{{outcome}}")},
				{title: "Read models: last record folded, ago", description: "Grows while nothing comes in, too.", kind: lines, unit: "s", width: 8, promQL: one("time() - max by (slice) (skein_projection_last_record_timestamp_seconds)", "{{slice}}")},
				{title: "Batches folded, p99", kind: lines, unit: "s", width: 8, promQL: one("histogram_quantile(0.99, sum by (le, slice) (rate(skein_projection_batch_seconds_bucket[5m])))", "{{slice}}")},
			}},
			{title: "What ClickHouse says", height: 8, panels: []panel{
				{title: "Complete up to", kind: table, width: 8, sql: "SELECT stream, complete_until, written_at FROM complete_up_to ORDER BY stream"},
				{title: "Events by the hour in which they happened", kind: bars, stacked: true, width: 8, sql: "SELECT hour AS time, topic, sum(events) AS events FROM event_hours WHERE tenant = '${tenant}' AND $__timeFilter(hour) GROUP BY time, topic ORDER BY time"},
				{title: "Late events", description: "Seconds from when it happened until it was received.", kind: table, width: 8, sql: `SELECT provider, count() AS events, arrayMap(q -> round(q, 1), quantiles(0.5, 0.99)(dateDiff('millisecond', occurred_at, received_at) / 1000)) AS p50_p99, countIf(received_at > occurred_at + INTERVAL 5 MINUTE) AS later_than_5_minutes
FROM events WHERE tenant = '${tenant}' AND NOT backfill AND $__timeFilter(occurred_at) GROUP BY provider ORDER BY later_than_5_minutes DESC, provider`},
			}},
			{height: 8, panels: []panel{
				{title: "Tables", kind: table, width: 12, sql: "SELECT table, sum(rows) AS rows, formatReadableSize(sum(bytes_on_disk)) AS on_disk, count() AS parts FROM system.parts WHERE database = currentDatabase() AND active GROUP BY table ORDER BY sum(bytes_on_disk) DESC"},
				{title: "Latest rejected events", kind: table, width: 12, sql: "SELECT rejected_at, type, table, reason, topic, partition, offset FROM rejected_events WHERE tenant = '${tenant}' ORDER BY rejected_at DESC LIMIT 50"},
			}},
		},
	}
}
