package reports

import (
	"maps"
	"slices"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// unit is that of a metric's value.
const (
	unitCount   = "count"
	unitRatio   = "ratio"
	unitSeconds = "seconds"
	unitScore   = "score"
)

// aggregate is how a measure adds up.
type aggregate string

const (
	sum      aggregate = "sum"
	highest  aggregate = "max"
	distinct aggregate = "uniqExact"
)

// measure is one half of a metric: what of which rows is added up, and when it counts.
type measure struct {
	of *source
	// at is when a row counts by occurrence; a row without that moment does not count.
	at string
	// where tells which rows count.
	where string
	// add is what they add: empty for 1 each.
	add string
	agg aggregate
	// fixed tells that the attribution changes nothing.
	fixed bool
	// moving tells that rows count by the pieces of time that they are cut into, whatever the attribution.
	moving bool
}

// metric is a number that reports compute.
type metric struct {
	name, title, definition, unit string
	// numerator over denominator; nothing is divided where there is no denominator.
	numerator measure
	// inRealTime is the numerator where times of agents are split by real time; nil where that changes nothing.
	inRealTime  *measure
	denominator *measure
	// scale is by what the numerator is multiplied; milliseconds become seconds besides.
	scale float64
	// ofTime says that a time is divided by a time: milliseconds become seconds in both.
	ofTime bool
	// standing tells that it is how many there are at the end of an interval: the numerator counts in what began, and out what ended at gone.
	standing bool
	gone     string
	better   analyticsv1.Better
	without  []string // dimensions of its source that it lacks
	dims     []string // those that it has, in order
}

// dimension is what reports are filtered and grouped by.
type dimension struct {
	name, description string
	// kind is that of directory entries whose names its values have.
	kind string
	// list: a thing has several values and counts in each.
	list bool
	// values are all there are; nil for any.
	values []string
}

func dimensions() []dimension {
	return []dimension{
		{name: dimChannel, description: "Medium: voice, web_chat, email, sms, social_message, social_post, in_app, video, task."},
		{name: dimProvider, description: "Provider that tells of it."},
		{name: dimInbox, description: "The company's account that it came in on."},
		{name: dimDirection, description: "Who reached out: inbound, outbound, internal."},
		{name: dimOrigin, description: "How it came about: inbound, outbound, transfer, callback, campaign, escalation, consult, internal. Of an assignment its own, else the interaction's."},
		{name: dimLanguage, description: "Language as BCP 47."},
		{name: dimQueue, description: "Queue by the directory, or as its connector names it where the directory does not know it.", kind: "queue"},
		{name: dimAgent, description: "Agent by the directory, likewise: who handled, who answered, who was rated; of an interaction who has it.", kind: "agent"},
		{name: dimTeam, description: "Team of that agent at the time. One who is in several teams counts in each; the total counts once.", kind: "team", list: true},
		{name: dimReason, description: "Contact reason, the first level."},
		{name: dimReason2, description: "Contact reason, the second level."},
		{name: dimReason3, description: "Contact reason, the third level."},
		{name: dimTag, description: "Tag of the interaction. It counts in each of its tags; the total counts once.", list: true},
		{name: dimDisposition, description: "Outcome that the agent chose: of an assignment its own, else the interaction's."},
		{name: dimEndReason, description: "Why it ended: of an assignment its own, else the interaction's."},
		{name: dimBot, description: "Bot or flow that was there last."},
		{name: dimCustomer, description: "Customer, as the links stand now or stood then; see Identity. Where none was linked, the endpoint."},
		{name: dimSurvey, description: "Survey."},
		{name: dimDriver, description: "Why the customer gave a score. An answer counts in each of its drivers; the total counts once.", list: true},
		{name: dimPresence, description: "Presence, in the words of the connector."},
		{name: dimPresenceType, description: "Type of the presence.", values: []string{"", "routable", "custom", "offline"}},
		{name: dimWeekday, description: "Day of the week in the time zone, from 1 for Monday to 7.", values: numbers(1, 7)},
		{name: dimHour, description: "Hour of the day in the time zone, from 0 to 23.", values: numbers(0, 23)},
	}
}

// catalogue is what reports know. It does not change.
type catalogue struct {
	sources
	metrics    []*metric
	dimensions []dimension
	byName     map[string]*metric
	dimByName  map[string]dimension
}

func newCatalogue() *catalogue {
	c := &catalogue{sources: newSources(), dimensions: dimensions(), byName: map[string]*metric{}, dimByName: map[string]dimension{}}
	c.metrics = slices.Concat(c.volumes(), c.queueing(), c.handling(), c.agents(), c.resolving(), c.feedback())
	for _, d := range c.dimensions {
		c.dimByName[d.name] = d
	}
	for _, m := range c.metrics {
		c.byName[m.name] = m
		m.better = betters()[m.name]
		for _, d := range c.dimensions {
			if slices.Contains(m.without, d.name) {
				continue
			}
			own := d.name == dimWeekday || d.name == dimHour
			if _, ok := m.numerator.of.dims[d.name]; ok || own && !m.standing {
				m.dims = append(m.dims, d.name)
			}
		}
	}
	return c
}

// betters tells which way of a metric is the good one. Those that are missing have none: what customers want is no merit or fault, and how long a talk
// should be depends on what it is about.
func betters() map[string]analyticsv1.Better {
	all := map[string]analyticsv1.Better{}
	for _, name := range []string{
		"service_level", "resolved", "sla_first_response", "sla_next_response", "sla_resolution", "fcr", "containment", "response_rate", "csat", "csat_score", "nps",
	} {
		all[name] = analyticsv1.Better_BETTER_HIGHER
	}
	for _, name := range []string{
		"backlog", "complaints", "complaint_rate", "abandoned", "abandon_rate", "asa", "average_abandon_time", "longest_wait", "aht", "average_hold_time",
		"average_acw_time", "average_holds", "declined", "decline_rate", "not_answered", "not_answered_rate", "transfers", "transfer_rate", "first_response_time",
		"resolution_time", "reopened", "reopened_rate", "repeat_contacts", "repeat_rate",
	} {
		all[name] = analyticsv1.Better_BETTER_LOWER
	}
	return all
}

// rows counts rows.
func rows(of *source, at, where string) measure {
	return measure{of: of, at: at, where: where, agg: sum}
}

// total adds something of rows up.
func total(of *source, at, where, add string) measure {
	return measure{of: of, at: at, where: where, add: add, agg: sum}
}

func count(name, title, definition string, numerator measure) *metric {
	return &metric{name: name, title: title, definition: definition, unit: unitCount, numerator: numerator, scale: 1}
}

func ratio(name, title, definition string, numerator, denominator measure) *metric {
	return &metric{name: name, title: title, definition: definition, unit: unitRatio, numerator: numerator, denominator: &denominator, scale: 1}
}

// average divides milliseconds and gives seconds.
func average(name, title, definition string, numerator, denominator measure) *metric {
	m := ratio(name, title, definition, numerator, denominator)
	m.unit = unitSeconds
	return m
}

// shareOfTime divides milliseconds by milliseconds.
func shareOfTime(name, title, definition string, numerator, denominator measure) *metric {
	m := ratio(name, title, definition, numerator, denominator)
	m.ofTime = true
	return m
}

// duration adds up milliseconds and gives seconds.
func duration(name, title, definition string, numerator measure) *metric {
	m := count(name, title, definition, numerator)
	m.unit = unitSeconds
	return m
}

// scaled is a number as the metric shows it.
func (m *metric) scaled(numerator float64) float64 {
	if m.unit == unitSeconds || m.ofTime {
		return numerator / 1000 // exact for whole milliseconds
	}
	return numerator * m.scale
}

// divisor is what is divided by, as the metric shows it.
func (m *metric) divisor(denominator float64) float64 {
	if m.ofTime {
		return denominator / 1000
	}
	return denominator
}

func (m *metric) split(by measure) *metric {
	m.inRealTime = &by
	return m
}

func (c *catalogue) volumes() []*metric {
	const started = "i.started_at"
	backlog := count("backlog", "Backlog",
		"Interactions that are open at the end of the interval: begun, and neither resolved nor closed. It is how it stood at one moment: its "+
			"total is that at the end of the period, and the attribution changes nothing. One that was reopened counts as open since it began.",
		rows(c.interactions, started, always))
	backlog.standing = true
	backlog.gone = "if(i.status IN ('resolved', 'closed'), greatest(i.started_at, coalesce(i.resolved_at, i.ended_at, i.last_activity_at)), NULL)"
	customers := count("customers", "Customers",
		"Different customers of the interactions that began. The total counts each once, so rows do not add up to it.",
		measure{of: c.interactions, at: started, where: "i.endpoint != " + zeroID, add: "i.{{customer}}", agg: distinct})
	return []*metric{
		count("interactions", "Interactions", "Interactions that began.", rows(c.interactions, started, always)),
		count("messages_in", "Messages in", "Messages of customers (message.received).", rows(c.messages, "m.at", "m.type = 'message.received'")),
		count("messages_out", "Messages out", "Messages that the company sent (message.sent), by people, bots and automations.",
			rows(c.messages, "m.at", "m.type = 'message.sent'")),
		customers,
		backlog,
		count("complaints", "Complaints", "Interactions that are complaints, by when they began.", rows(c.interactions, started, "i.complaint")),
		ratio("complaint_rate", "Complaint rate", "Complaints divided by interactions, both by when they began.",
			rows(c.interactions, started, "i.complaint"), rows(c.interactions, started, always)),
	}
}

const (
	// queued tells which visits count as queued for the service level.
	queued = "v.left_at IS NOT NULL AND ({short_abandons:Bool} OR NOT (v.outcome = 'abandoned' AND v.wait_ms <= {short:Int64}))" +
		" AND ({flow_outs:Bool} OR v.outcome NOT IN ('overflowed', 'transferred'))" +
		" AND ({deflections:Bool} OR v.outcome NOT IN ('voicemail', 'callback'))"
	inTime = "v.outcome = 'answered' AND v.wait_ms <= if({within:Int64} >= 0, {within:Int64}, v.target_ms)"
)

func (c *catalogue) queueing() []*metric {
	const entered, left = "v.entered_at", "v.left_at"
	answered, abandoned := "v.outcome = 'answered'", "v.outcome = 'abandoned'"
	longest := duration("longest_wait", "Longest wait", "The longest of the waits that ended, whatever their outcome.",
		measure{of: c.visits, at: left, where: "v.left_at IS NOT NULL", add: "v.wait_ms", agg: highest})
	return []*metric{
		count("offered", "Offered", "Queue visits: every entry into a queue, a transfer into another queue included.", rows(c.visits, entered, always)),
		count("answered", "Answered", "Queue visits that ended with an agent connected.", rows(c.visits, left, answered)),
		count("abandoned", "Abandoned", "Queue visits that ended because the customer gave up.", rows(c.visits, left, abandoned)),
		count("short_abandoned", "Short abandons", "Abandoned queue visits that were no longer than short_abandon.",
			rows(c.visits, left, abandoned+" AND v.wait_ms <= {short:Int64}")),
		ratio("abandon_rate", "Abandon rate",
			"Abandoned divided by offered: by every visit (Genesys), or with abandoned_of = DENOMINATOR_QUEUED by those that did not leave the queue for a callback (Connect). "+
				"What was offered counts when it entered the queue, what was abandoned when it left.",
			rows(c.visits, left, abandoned), rows(c.visits, entered, "{callbacks:Bool} OR v.outcome != 'callback'")),
		ratio("service_level", "Service level",
			"Queue visits that were answered within the target, divided by the visits that left the queue. The target is service_level_within; "+
				"where that is not given, the one in force for the visit, else that of the queue in the directory, else 20 s. Short abandons do not count unless count_short_abandons says so; flow-outs (overflowed, transferred) and deflections (voicemail, callback) count unless without_flow_outs and without_deflections say otherwise.",
			rows(c.visits, left, inTime+" AND "+queued), rows(c.visits, left, queued)),
		average("asa", "Average speed of answer", "Time in queue of the answered visits, divided by their number.",
			total(c.visits, left, answered, "v.wait_ms"), rows(c.visits, left, answered)),
		average("average_abandon_time", "Average abandon time", "Time in queue of the abandoned visits, divided by their number.",
			total(c.visits, left, abandoned, "v.wait_ms"), rows(c.visits, left, abandoned)),
		longest,
	}
}

func (c *catalogue) handling() []*metric {
	const (
		done    = "greatest(a.ended_at, ifNull(a.wrapup_ended_at, a.ended_at))"
		handled = "a.handled"
		over    = " Of assignments that are over: agent and customer talked, and after-call work has ended. Pauses do not count; a consult is an assignment of its own."
	)
	of := func(column string) measure { return total(c.assignments, done, handled, column) }
	pieces := func(factor string) measure {
		return measure{of: c.shares, at: "a.piece_at", where: handled, add: "a.piece_ms * " + factor, agg: sum, moving: true}
	}
	all := rows(c.assignments, done, handled)
	timed := func(name, title, averaged, word, column, factor string) []*metric {
		return []*metric{
			average("average_"+name, averaged, word+", divided by the number of assignments that were handled."+over, of(column), all).split(pieces(factor)),
			duration(name, title, word+"."+over, of(column)).split(pieces(factor)),
		}
	}
	metrics := []*metric{
		count("handled", "Handled", "Contacts handled: assignments that are over, by when the handling was over: the end of after-call work, else of the talk."+over, all),
		average("aht", "Average handle time", "Talk, hold and after-call work (ACW), divided by the number of assignments that were handled."+over, of("a.handle_ms"), all).
			split(pieces("(a.talks + a.holds_on + a.wraps_up)")),
		duration("handle_time", "Handle time", "Talk, hold and after-call work (ACW)."+over, of("a.handle_ms")).split(pieces("(a.talks + a.holds_on + a.wraps_up)")),
	}
	metrics = append(metrics, timed("talk_time", "Talk time", "Average talk time", "Time connected without holds and pauses", "a.talk_ms", "a.talks")...)
	metrics = append(metrics, timed("hold_time", "Hold time", "Average hold time", "Time on hold", "a.hold_ms", "a.holds_on")...)
	metrics = append(metrics, timed("acw_time", "After-call work", "Average after-call work", "After-call work: from wrapup.started to wrapup.ended, which a timer or the next presence may give", "a.wrapup_ms", "a.wraps_up")...)
	return append(metrics,
		ratio("average_holds", "Holds a contact", "How often customers were put on hold, divided by the number of assignments that were handled.", of("a.holds"), all),
		count("agent_offers", "Offered to agents", "Assignments that were offered to an agent.", rows(c.assignments, "a.offered_at", always)),
		count("declined", "Declined", "Assignments that an agent rejected or let time out, or that were taken back before.", rows(c.assignments, "a.declined_at", always)),
		ratio("decline_rate", "Decline rate", "Declined divided by offered to agents, each when it was.",
			rows(c.assignments, "a.declined_at", always), rows(c.assignments, "a.offered_at", always)),
		count("not_answered", "Not answered", "Assignments that timed out, as the agent did not respond.", rows(c.assignments, "a.declined_at", "a.decline_reason = 'timed_out'")),
		ratio("not_answered_rate", "Not answered rate", "Not answered divided by offered to agents, each when it was.",
			rows(c.assignments, "a.declined_at", "a.decline_reason = 'timed_out'"), rows(c.assignments, "a.offered_at", always)),
		count("transfers", "Transfers", "Assignments and queue visits behind the first that came about by a transfer, an escalation or an overflow, by when the interaction began.",
			total(c.interactions, "i.started_at", always, "i.transfers")),
		ratio("transfer_rate", "Transfer rate", "Interactions with a transfer divided by those in which an agent was connected, by when they began.",
			rows(c.interactions, "i.started_at", "i.connected > 0 AND i.transfers > 0"), rows(c.interactions, "i.started_at", "i.connected > 0")),
	)
}

func (c *catalogue) agents() []*metric {
	const signedIn, idle = "s.presence_type IN ('routable', 'custom')", "s.routing_status = 'idle' AND NOT s.busy"
	spent := func(where string) measure {
		return measure{of: c.states, at: "s.piece_at", where: where, add: "s.piece_ms", agg: sum, moving: true}
	}
	const wall = " By the wall clock: contacts at the same time count once. Whatever the attribution, it is split by real time."
	return []*metric{
		shareOfTime("occupancy", "Occupancy", "Time on contact, after-call work included, divided by time on contact and idle."+wall, spent("s.busy"), spent("s.busy OR "+idle)),
		shareOfTime("utilisation", "Utilisation", "Time on contact divided by time signed in."+wall, spent("s.busy AND "+signedIn), spent(signedIn)),
		duration("on_contact_time", "Time on contact", "Time in which some contact was handled, after-call work included."+wall, spent("s.busy")),
		duration("idle_time", "Idle time", "Time in which an agent could be given a contact and had none."+wall, spent(idle)),
		duration("signed_in_time", "Time signed in", "Time in a presence that is routable or custom."+wall, spent(signedIn)),
		duration("available_time", "Time available", "Time in a routable presence."+wall, spent("s.presence_type = 'routable'")),
		duration("break_time", "Time away", "Time in a custom presence: signed in, and taken out for a break, a meal, a meeting, training."+wall, spent("s.presence_type = 'custom'")),
	}
}

func (c *catalogue) resolving() []*metric {
	const ever = "coalesce(i.resolved_at, i.reopened_at)"
	const first = "(i.previous_at IS NULL OR dateDiff('millisecond', i.previous_at, i.started_at) > {repeat:Int64})"
	const last = "(i.next_at IS NULL OR dateDiff('millisecond', i.started_at, i.next_at) > {repeat:Int64})"
	const contact = " Contacts are inbound interactions of a customer; a contact repeats the one before it of the same customer and first contact reason if it began within repeat_within after that one began."
	fcr := ratio("fcr", "First contact resolution",
		"First contacts that settled it: resolved, never reopened and not repeated, divided by all first contacts, by when they began."+contact+
			" It is computed when it is read, by the identity that is asked for; while repeat_within has not passed, it may still go down.",
		rows(c.issues, "i.started_at", first+" AND i.resolved_at IS NOT NULL AND i.reopened = 0 AND "+last), rows(c.issues, "i.started_at", first))
	return []*metric{
		average("first_response_time", "First response time", "From the later of the begin and the bot's hand-over to the first reply of a person, divided by the number of interactions that got one, by when they got it.",
			total(c.interactions, "i.first_response_at", "i.first_response_ms IS NOT NULL", "i.first_response_ms"),
			rows(c.interactions, "i.first_response_at", "i.first_response_ms IS NOT NULL")),
		average("resolution_time", "Resolution time", "From the begin, or after a reopening from that, until the interaction was resolved, divided by the number of interactions that are resolved, by when they were.",
			total(c.interactions, "i.resolved_at", "i.resolution_ms IS NOT NULL", "i.resolution_ms"),
			rows(c.interactions, "i.resolved_at", "i.resolution_ms IS NOT NULL")),
		count("resolved", "Resolved", "Interactions that are resolved, by when they were.", rows(c.interactions, "i.resolved_at", always)),
		count("reopened", "Reopened", "Interactions that were reopened, by when they were last.", rows(c.interactions, "i.reopened_at", "i.reopened > 0")),
		ratio("reopened_rate", "Reopened rate", "Interactions that were reopened divided by those that were ever resolved, by when they were resolved last, or reopened where they are open again.",
			rows(c.interactions, ever, "i.reopened > 0"), rows(c.interactions, ever, always)),
		target(c.targets, "sla_first_response", "First response within target", "first_response", "a first response"),
		target(c.targets, "sla_next_response", "Next response within target", "next_response", "a next response"),
		target(c.targets, "sla_resolution", "Resolution within target", "resolution", "a resolution"),
		fcr,
		count("repeat_contacts", "Repeat contacts", "Contacts that repeat another one."+contact, rows(c.issues, "i.started_at", "NOT "+first)),
		ratio("repeat_rate", "Repeat rate", "Contacts that repeat another one, divided by all contacts."+contact, rows(c.issues, "i.started_at", "NOT "+first), rows(c.issues, "i.started_at", always)),
		ratio("containment", "Containment", "Interactions that self-service settled without a person, by when it was done, divided by those in which it began, by when it did.",
			rows(c.interactions, "i.bot_ended_at", "i.contained"), rows(c.interactions, "i.bot_started_at", always)),
	}
}

func target(of *source, name, title, metric, what string) *metric {
	const at = "multiIf(t.state = 'hit', t.done_at, t.state = 'missed', t.due_at, NULL)"
	asked := "t.metric = '" + metric + "'"
	return ratio(name, title, "Service-level targets for "+what+" that were hit, divided by those that were hit or missed; a hit counts when it was done, a miss when it was due. Those that go on or were cancelled do not count.",
		rows(of, at, asked+" AND t.state = 'hit'"), rows(of, at, asked))
}

func (c *catalogue) feedback() []*metric {
	const at = "q.at"
	of := func(metric string) string { return "q.answered AND q.scaled >= 0 AND q.metric = '" + metric + "'" }
	nps := ratio("nps", "Net promoter score", "Share of promoters (9 and 10 of 10) minus share of detractors (0 to 6), times 100. Other scales are stretched to 10.",
		total(c.surveys, at, of("nps"), "multiIf(q.scaled >= 0.9, 1, q.scaled < 0.7, -1, 0)"), rows(c.surveys, at, of("nps")))
	nps.unit, nps.scale = unitScore, 100
	score := func(name, title, definition, metric string) *metric {
		m := ratio(name, title, definition, total(c.surveys, at, of(metric), "q.scaled"), rows(c.surveys, at, of(metric)))
		m.unit = unitScore
		return m
	}
	sent := count("surveys_sent", "Surveys sent", "Surveys that were sent to customers.", rows(c.surveys, at, "NOT q.answered"))
	response := ratio("response_rate", "Response rate", "Surveys that were answered divided by surveys that were sent, each when it was.",
		rows(c.surveys, at, "q.answered"), rows(c.surveys, at, "NOT q.answered"))
	sent.without, response.without = []string{dimDriver}, []string{dimDriver}
	return []*metric{
		sent,
		count("surveys_answered", "Surveys answered", "Answers to surveys.", rows(c.surveys, at, "q.answered")),
		response,
		ratio("csat", "Customer satisfaction", "Answers with a score of satisfied_from or more, as a share of the scale, divided by all answers. With 0.75 these are 4 and 5 of 5.",
			rows(c.surveys, at, of("csat")+" AND q.scaled >= {satisfied:Float64}"), rows(c.surveys, at, of("csat"))),
		score("csat_score", "Average satisfaction", "Scores of satisfaction as a share of their scale, from 0 to 1, divided by their number.", "csat"),
		nps,
		score("ces", "Customer effort score", "Scores of effort as a share of their scale, from 0 to 1, divided by their number.", "ces"),
	}
}

// tables are those that can be exported, with the time that a period is about.
func tables() map[string]string {
	return map[string]string{
		"events": "occurred_at", "messages": "occurred_at", "surveys": "occurred_at", "interactions": "started_at", "queue_visits": "entered_at",
		"assignments": "begun_at", "slas": "since", "agent_states": "started_at",
	}
}

func tableNames() []string { return slices.Sorted(maps.Keys(tables())) }
