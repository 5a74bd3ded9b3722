package reports

import (
	"maps"
	"strings"
)

// source is what metrics count: a view, and how what is asked about its rows is said in SQL. Its own rows have a short alias, which every
// expression names; rows that are joined where an expression needs them have another one.
type source struct {
	// subject is the word for its rows.
	subject string
	// alias is that of its rows, from what stands behind FROM.
	alias, from string
	// links are joins, by the alias of what they join.
	links []link
	// where holds for every row that counts.
	where string
	// disconnect is when the row's interaction ended.
	disconnect string
	// dims are the values of dimensions; of one that is a list, an array.
	dims map[string]string
	// found are the columns of a Found; nil where rows belong to no interaction.
	found *found
	// backfill tells that rows say whether they are imported history.
	backfill bool
}

type link struct{ alias, join string }

// found says in SQL what is told of a row in a list.
type found struct{ interaction, thread, conversation, channel, queue, agent, part string }

const (
	zeroID = "toUUID('00000000-0000-0000-0000-000000000000')"
	// asThen is the dimension customer as the links stood then.
	asThen = "customer then"

	dimChannel      = "channel"
	dimProvider     = "provider"
	dimInbox        = "inbox"
	dimDirection    = "direction"
	dimOrigin       = "origin"
	dimLanguage     = "language"
	dimQueue        = "queue"
	dimAgent        = "agent"
	dimTeam         = "team"
	dimReason       = "contact_reason"
	dimReason2      = "contact_reason_2"
	dimReason3      = "contact_reason_3"
	dimTag          = "tag"
	dimDisposition  = "disposition"
	dimEndReason    = "end_reason"
	dimBot          = "bot"
	dimCustomer     = "customer"
	dimSurvey       = "survey"
	dimDriver       = "driver"
	dimPresence     = "presence"
	dimPresenceType = "presence_type"
	dimWeekday      = "weekday"
	dimHour         = "hour"
)

func text(id string) string { return "if(" + id + " = " + zeroID + ", '', toString(" + id + "))" }

// ofInteraction are the dimensions that an interaction has, and all that belongs to one, with those that it says itself.
func ofInteraction(own map[string]string) map[string]string {
	dims := map[string]string{
		dimChannel: "i.channel", dimProvider: "i.provider", dimInbox: "i.inbox", dimDirection: "i.direction", dimOrigin: "i.origin",
		dimLanguage: "i.language", dimQueue: "i.queue_id", dimAgent: "i.agent_id", dimTeam: "i.agent_teams",
		dimReason: "i.contact_reason[1]", dimReason2: "i.contact_reason[2]", dimReason3: "i.contact_reason[3]", dimTag: "i.tags",
		dimDisposition: "i.disposition", dimEndReason: "i.end_reason", dimBot: "i.bot",
		dimCustomer: text("i.customer"), asThen: text("i.customer_then"),
	}
	maps.Copy(dims, own)
	return dims
}

// theInteraction joins the interaction of a row.
func theInteraction(of string) link {
	return link{"i", "LEFT JOIN (SELECT * FROM interactions WHERE tenant = {tenant:String}) AS i ON i.interaction = " + of}
}

// byTime finds the interaction of something that happened in a thread, and joins it.
func byTime(alias, of string) []link {
	return []link{
		{"f", "ASOF LEFT JOIN (SELECT thread, interaction, started_at FROM interactions WHERE tenant = {tenant:String}) AS f" +
			" ON f.thread = " + alias + ".thread AND f.started_at <= " + alias + ".at"},
		theInteraction(of),
	}
}

// sources are what is counted.
type sources struct {
	interactions, issues, visits, assignments, shares, targets, states, surveys, messages *source
}

func newSources() sources {
	interaction := &found{"i.interaction", "i.thread", "i.conversation", "i.channel", "i.queue_id", "i.agent_id", "''"}
	own := func(alias string, more map[string]string, names ...string) map[string]string {
		dims := map[string]string{}
		for _, name := range names {
			dims[name] = alias + "." + name
		}
		maps.Copy(dims, more)
		return ofInteraction(dims)
	}
	s := sources{
		interactions: &source{
			subject: "interactions", alias: "i", from: "interactions AS i", disconnect: "i.ended_at", dims: ofInteraction(nil), found: interaction,
			backfill: true,
		},
		issues: &source{
			subject: "interactions", alias: "i", from: issues, disconnect: "i.ended_at", dims: ofInteraction(nil), found: interaction, backfill: true,
		},
		visits: &source{
			subject: "visits", alias: "v", from: "queue_visits AS v", links: []link{theInteraction("v.interaction")},
			disconnect: "v.interaction_ended_at", backfill: true,
			dims: own("v", map[string]string{
				dimQueue: "v.queue_id", dimAgent: "v.agent_id", dimTeam: "v.agent_teams", dimCustomer: text("v.customer"),
			}, dimChannel, dimProvider, dimInbox, dimDirection, dimOrigin, dimLanguage),
			found: &found{"v.interaction", "v.thread", "v.conversation", "v.channel", "v.queue_id", "v.agent_id", "toString(v.visit)"},
		},
		targets: &source{
			subject: "targets", alias: "t", from: "slas AS t", links: []link{theInteraction("t.interaction")}, disconnect: "i.ended_at", backfill: true,
			dims:  own("t", map[string]string{dimQueue: "t.queue_id"}, dimChannel, dimProvider, dimInbox),
			found: &found{"t.interaction", "t.thread", "t.conversation", "t.channel", "t.queue_id", "i.agent_id", "toString(t.ordinal)"},
		},
		states: &source{
			subject: "agents", alias: "s", from: cut(states),
			dims: map[string]string{
				dimAgent: "s.agent", dimTeam: "s.agent_teams", dimPresence: "s.presence", dimPresenceType: "s.presence_type",
			},
		},
		messages: &source{
			subject: "messages", alias: "m", from: "(SELECT *, toDateTime64(occurred_at, 3, 'UTC') AS at FROM events) AS m", links: byTime("m", "f.interaction"),
			disconnect: "i.ended_at", backfill: true,
			dims:  own("m", nil, dimChannel, dimProvider, dimInbox),
			found: &found{"i.interaction", "m.thread", "i.conversation", "m.channel", "i.queue_id", "i.agent_id", "toString(m.event_id)"},
		},
	}
	assignments := source{
		subject: "assignments", alias: "a", from: "assignments AS a", links: []link{theInteraction("a.interaction")},
		disconnect: "a.interaction_ended_at", backfill: true,
		dims: own("a", map[string]string{
			dimQueue: "a.queue_id", dimAgent: "a.agent_id", dimTeam: "a.agent_teams", dimCustomer: text("a.customer"),
		}, dimChannel, dimProvider, dimInbox, dimDirection, dimOrigin, dimLanguage, dimDisposition, dimEndReason),
		found: &found{"a.interaction", "a.thread", "a.conversation", "a.channel", "a.queue_id", "a.agent_id", "toString(a.assignment)"},
	}
	shares := assignments
	shares.from = cut(shared)
	s.assignments, s.shares = &assignments, &shares
	const rated = "if(a.assignment != " + zeroID + ", a."
	s.surveys = &source{
		subject: "surveys", alias: "q", from: "(SELECT *, toDateTime64(occurred_at, 3, 'UTC') AS at, " + scaled + " AS scaled FROM surveys) AS q",
		links: append(byTime("q", "if(q.interaction != "+zeroID+", q.interaction, f.interaction)"),
			link{"a", "LEFT JOIN (SELECT * FROM assignments WHERE tenant = {tenant:String}) AS a ON a.assignment = q.assignment"}),
		disconnect: "i.ended_at", backfill: true,
		dims: own("q", map[string]string{
			dimQueue: rated + "queue_id, i.queue_id)", dimAgent: rated + "agent_id, i.agent_id)", dimTeam: rated + "agent_teams, i.agent_teams)",
			dimSurvey: "q.survey", dimDriver: "q.drivers",
		}, dimChannel, dimProvider, dimInbox),
		found: &found{"i.interaction", "q.thread", "i.conversation", "q.channel", rated + "queue_id, i.queue_id)", rated + "agent_id, i.agent_id)", "toString(q.event_id)"},
	}
	return s
}

// scaled is a score as a share of its scale; -1 where the scale has no length.
const scaled = "if(scale_max > scale_min, (score - scale_min) / (scale_max - scale_min), -1)"

// issues are the contacts of customers beside the one before and the one behind, of the same customer and first contact reason. They begin
// with what a contact of the period may repeat.
const issues = `(
    SELECT *,
        lagInFrame(toNullable(started_at)) OVER w AS previous_at,
        leadInFrame(toNullable(started_at)) OVER w AS next_at
    FROM interactions
    WHERE tenant = {tenant:String} AND direction = 'inbound' AND endpoint != ` + zeroID + ` AND ({backfill:Bool} OR NOT backfill)
        AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND started_at <= fromUnixTimestamp64Milli({until:Int64} + {repeat:Int64}, 'UTC')
    WINDOW w AS (
        PARTITION BY {{customer}}, contact_reason[1] ORDER BY started_at, interaction
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) AS i`

// The stretches of time that are split: rows with begin and end in milliseconds of Unix time.
const (
	states = `
        SELECT *, toUnixTimestamp64Milli(started_at) AS begin_ms, least(toUnixTimestamp64Milli(ended_at), {now:Int64}) AS end_ms,
            on_contact AND presence_type != 'offline' AS busy
        FROM agent_states
        WHERE tenant = {tenant:String} AND day >= toDate(fromUnixTimestamp64Milli({from:Int64}, 'UTC'))
            AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')`
	shared = `
        SELECT *, toUnixTimestamp64Milli(stretch.1) AS begin_ms, toUnixTimestamp64Milli(stretch.2) AS end_ms,
            stretch.3 AS talks, stretch.4 AS holds_on, stretch.5 AS wraps_up
        FROM (
            SELECT *, arrayJoin(arrayConcat(
                [(assumeNotNull(connected_at), assumeNotNull(ended_at), 1, 0, 0)],
                arrayMap(x -> (x.1, x.2, -1, 1, 0), held),
                arrayMap(x -> (x.1, x.2, -1, 0, 0), paused),
                [(ifNull(wrapup_started_at, assumeNotNull(ended_at)),
                    if(wrapup_started_at IS NULL, assumeNotNull(ended_at), ifNull(wrapup_ended_at, assumeNotNull(ended_at))), 0, 0, 1)]
            )) AS stretch
            FROM assignments
            WHERE tenant = {tenant:String} AND handled AND begun_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
                AND greatest(ended_at, ifNull(wrapup_ended_at, ended_at)) > fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        )`
)

// cut splits stretches of time where intervals begin: piece_at is when a piece begins, piece_ms how long it is.
func cut(stretches string) string {
	alias := "s"
	if strings.Contains(stretches, "FROM assignments") {
		alias = "a"
	}
	return `(
    SELECT *,
        greatest(first_ms, {cuts:Array(Int64)}[place] * 1000) AS piece_begin,
        fromUnixTimestamp64Milli(piece_begin, 'UTC') AS piece_at,
        least(last_ms, {cuts:Array(Int64)}[place + 1] * 1000) - piece_begin AS piece_ms
    FROM (
        SELECT *, greatest(begin_ms, {from:Int64}) AS first_ms, least(end_ms, {until:Int64}) AS last_ms
        FROM (` + stretches + `
        )
        WHERE first_ms < last_ms
    )
    ARRAY JOIN range(
        indexOfAssumeSorted({cuts:Array(Int64)}, roundDown(intDiv(first_ms, 1000), {cuts:Array(Int64)})),
        indexOfAssumeSorted({cuts:Array(Int64)}, roundDown(intDiv(last_ms - 1, 1000), {cuts:Array(Int64)})) + 1) AS place
) AS ` + alias
}
