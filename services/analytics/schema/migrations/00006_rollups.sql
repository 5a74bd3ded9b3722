-- +goose NO TRANSACTION
-- +goose Up

-- Rollups add up what is inserted into the tables: each block once, a repeated one not again. A row that is taken back is subtracted, and
-- rows of which nothing is left vanish in a merge.

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "event_hours"}}{{onCluster}} (
    tenant   LowCardinality(String)  COMMENT 'Tenant.',
    hour     DateTime('UTC')         COMMENT 'First moment of the hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    topic    LowCardinality(String)  COMMENT 'Topic of the log.',
    type     LowCardinality(String)  COMMENT 'Type of the event.',
    channel  LowCardinality(String)  COMMENT 'Medium; see events.',
    provider LowCardinality(String)  COMMENT 'Provider that tells of it.',
    events   Int64                   COMMENT 'Events.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant, hour, topic, type, channel, provider)
SETTINGS {{dedupe}}
COMMENT 'Events by hour in which they happened. Use sum(events): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "event_hours" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "event_hours_mv"}}{{onCluster}} TO {{local "event_hours"}} AS
SELECT
    tenant, toStartOfHour(occurred_at) AS hour, topic, type, channel, provider,
    count() AS events
FROM {{local "events"}} AS f
GROUP BY tenant, hour, topic, type, channel, provider
COMMENT 'Fills event_hours from events.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "message_quarters"}}{{onCluster}} (
    tenant        LowCardinality(String)  COMMENT 'Tenant.',
    quarter       DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    kind          LowCardinality(String)  COMMENT 'message, edit, note, transcript or comment (of a survey).',
    channel       LowCardinality(String)  COMMENT 'Medium; see events.',
    provider      LowCardinality(String)  COMMENT 'Provider that tells of it.',
    inbox         LowCardinality(String)  COMMENT 'The company''s account.',
    direction     LowCardinality(String)  COMMENT 'Who reached out: inbound, outbound or internal.',
    actor_kind    LowCardinality(String)  COMMENT 'Who wrote or said it.',
    messages      Int64                   COMMENT 'Messages.' CODEC(T64, ZSTD(1)),
    characters    Int64                   COMMENT 'Characters of their texts.' CODEC(T64, ZSTD(1)),
    auto_replies  Int64                   COMMENT 'Those that a machine answered.' CODEC(T64, ZSTD(1)),
    bulk_messages Int64                   COMMENT 'Those that are mailings.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, kind, channel, provider, inbox, direction, actor_kind)
SETTINGS {{dedupe}}
COMMENT 'Messages by quarter of an hour. Use sum(): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "message_quarters" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "message_quarters_mv"}}{{onCluster}} TO {{local "message_quarters"}} AS
SELECT
    tenant, toStartOfFifteenMinutes(occurred_at) AS quarter, kind, channel, provider, inbox, direction, actor_kind,
    count() AS messages,
    sum(lengthUTF8(text)) AS characters,
    sum(auto_reply) AS auto_replies,
    sum(bulk) AS bulk_messages
FROM {{local "messages"}} AS f
GROUP BY tenant, quarter, kind, channel, provider, inbox, direction, actor_kind
COMMENT 'Fills message_quarters from messages.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "interaction_quarters"}}{{onCluster}} (
    tenant            LowCardinality(String)  COMMENT 'Tenant.',
    quarter           DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    channel           LowCardinality(String)  COMMENT 'Medium; see events.',
    provider          LowCardinality(String)  COMMENT 'Provider that tells of it.',
    inbox             LowCardinality(String)  COMMENT 'The company''s account.',
    direction         LowCardinality(String)  COMMENT 'Who reached out: inbound, outbound or internal.',
    backfill          Bool                    COMMENT 'Imported history.',
    started           Int64                   COMMENT 'Interactions that began.' CODEC(T64, ZSTD(1)),
    ended             Int64                   COMMENT 'Interactions of which the media were over.' CODEC(T64, ZSTD(1)),
    resolved          Int64                   COMMENT 'Interactions that were resolved, and not reopened since.' CODEC(T64, ZSTD(1)),
    resolution_ms     Int64                   COMMENT 'Their resolution time, in milliseconds.' CODEC(T64, ZSTD(1)),
    reopened          Int64                   COMMENT 'Interactions that were reopened, where they were last.' CODEC(T64, ZSTD(1)),
    first_responses   Int64                   COMMENT 'Interactions to which a person replied first.' CODEC(T64, ZSTD(1)),
    first_response_ms Int64                   COMMENT 'Their first response time, in milliseconds.' CODEC(T64, ZSTD(1)),
    self_service      Int64                   COMMENT 'Interactions in which self-service began.' CODEC(T64, ZSTD(1)),
    contained         Int64                   COMMENT 'Those of them that self-service settled without a person: over self_service it is the containment.' CODEC(T64, ZSTD(1)),
    handed_off        Int64                   COMMENT 'Those of them in which it asked for a person.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, channel, provider, inbox, direction, backfill)
SETTINGS {{dedupe}}
COMMENT 'Interactions by quarter of an hour, each thing in the one in which it happened. Use sum(): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "interaction_quarters" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "interaction_quarters_mv"}}{{onCluster}} TO {{local "interaction_quarters"}} AS
SELECT
    tenant, toStartOfFifteenMinutes(assumeNotNull(p.2)) AS quarter, channel, provider, inbox, direction, backfill,
    sum(sign * (p.1 = 'started')) AS started,
    sum(sign * (p.1 = 'ended')) AS ended,
    sum(sign * (p.1 = 'resolved')) AS resolved,
    sum(sign * (p.1 = 'resolved') * ifNull(f.resolution_ms, 0)) AS resolution_ms,
    sum(sign * (p.1 = 'reopened')) AS reopened,
    sum(sign * (p.1 = 'responded')) AS first_responses,
    sum(sign * (p.1 = 'responded') * ifNull(f.first_response_ms, 0)) AS first_response_ms,
    sum(sign * (p.1 = 'bot')) AS self_service,
    sum(sign * (p.1 = 'bot') * f.contained) AS contained,
    sum(sign * (p.1 = 'bot') * isNotNull(f.handed_off_at)) AS handed_off
FROM {{local "interaction_facts"}} AS f
ARRAY JOIN [('started', toNullable(started_at)), ('ended', ended_at), ('resolved', resolved_at), ('reopened', reopened_at),
    ('responded', first_response_at), ('bot', bot_started_at)] AS p
WHERE isNotNull(p.2)
GROUP BY tenant, quarter, channel, provider, inbox, direction, backfill
COMMENT 'Fills interaction_quarters from interaction_facts.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "visit_quarters"}}{{onCluster}} (
    tenant                  LowCardinality(String)  COMMENT 'Tenant.',
    attribution             LowCardinality(String)  COMMENT 'entered: offered in the interval in which the wait began, what became of it in the one in which it ended (Genesys); disconnect: everything in the interval in which the interaction ended (Amazon Connect).',
    quarter                 DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    channel                 LowCardinality(String)  COMMENT 'Medium; see events.',
    provider                LowCardinality(String)  COMMENT 'Provider that tells of it.',
    inbox                   LowCardinality(String)  COMMENT 'The company''s account.',
    queue                   LowCardinality(String)  COMMENT 'Queue, as its connector names it; empty where there is none.',
    backfill                Bool                    COMMENT 'Imported history.',
    offered                 Int64                   COMMENT 'Visits: entries into the queue.' CODEC(T64, ZSTD(1)),
    offered_with_target     Int64                   COMMENT 'Those of them for which a target was in force.' CODEC(T64, ZSTD(1)),
    answered                Int64                   COMMENT 'Answered by an agent.' CODEC(T64, ZSTD(1)),
    abandoned               Int64                   COMMENT 'Given up by the customer.' CODEC(T64, ZSTD(1)),
    short_abandoned         Int64                   COMMENT 'Given up within 5 seconds; part of abandoned. For another limit ask queue_visits.' CODEC(T64, ZSTD(1)),
    overflowed              Int64                   COMMENT 'Flowed over to another place.' CODEC(T64, ZSTD(1)),
    transferred             Int64                   COMMENT 'Transferred to another place out of the queue.' CODEC(T64, ZSTD(1)),
    voicemail               Int64                   COMMENT 'Left a voicemail.' CODEC(T64, ZSTD(1)),
    callback                Int64                   COMMENT 'Asked to be called back.' CODEC(T64, ZSTD(1)),
    cancelled               Int64                   COMMENT 'Cancelled.' CODEC(T64, ZSTD(1)),
    within_target           Int64                   COMMENT 'Answered within the target that was in force.' CODEC(T64, ZSTD(1)),
    abandoned_within_target Int64                   COMMENT 'Given up within the target that was in force; part of abandoned.' CODEC(T64, ZSTD(1)),
    wait_ms                 Int64                   COMMENT 'Wait of the answered ones, in milliseconds: over answered it is the ASA.' CODEC(T64, ZSTD(1)),
    abandon_wait_ms         Int64                   COMMENT 'Wait of those that were given up, in milliseconds.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, attribution, quarter, channel, provider, inbox, queue, backfill)
SETTINGS {{dedupe}}
COMMENT 'Queue visits by quarter of an hour, in two attributions: choose one. Use sum(): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "visit_quarters" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "visit_quarters_mv"}}{{onCluster}} TO {{local "visit_quarters"}} AS
SELECT
    tenant, p.1 AS attribution, toStartOfFifteenMinutes(assumeNotNull(p.2)) AS quarter, channel, provider, inbox, queue, backfill,
    sum(sign * p.3) AS offered,
    sum(sign * p.3 * (sla_target_ms > 0)) AS offered_with_target,
    sum(sign * p.4 * (outcome = 'answered')) AS answered,
    sum(sign * p.4 * (outcome = 'abandoned')) AS abandoned,
    sum(sign * p.4 * (outcome = 'abandoned' AND f.wait_ms <= 5000)) AS short_abandoned,
    sum(sign * p.4 * (outcome = 'overflowed')) AS overflowed,
    sum(sign * p.4 * (outcome = 'transferred')) AS transferred,
    sum(sign * p.4 * (outcome = 'voicemail')) AS voicemail,
    sum(sign * p.4 * (outcome = 'callback')) AS callback,
    sum(sign * p.4 * (outcome = 'cancelled')) AS cancelled,
    sum(sign * p.4 * (outcome = 'answered' AND sla_target_ms > 0 AND f.wait_ms <= sla_target_ms)) AS within_target,
    sum(sign * p.4 * (outcome = 'abandoned' AND sla_target_ms > 0 AND f.wait_ms <= sla_target_ms)) AS abandoned_within_target,
    sum(sign * p.4 * (outcome = 'answered') * f.wait_ms) AS wait_ms,
    sum(sign * p.4 * (outcome = 'abandoned') * f.wait_ms) AS abandon_wait_ms
FROM {{local "visit_facts"}} AS f
ARRAY JOIN [('entered', toNullable(entered_at), 1, 0), ('entered', left_at, 0, 1), ('disconnect', interaction_ended_at, 1, 1)] AS p
WHERE isNotNull(p.2)
GROUP BY tenant, attribution, quarter, channel, provider, inbox, queue, backfill
COMMENT 'Fills visit_quarters from visit_facts.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "assignment_quarters"}}{{onCluster}} (
    tenant      LowCardinality(String)  COMMENT 'Tenant.',
    attribution LowCardinality(String)  COMMENT 'ended: offered, declined and handled each in the interval in which it happened, handled in the one in which the talk ended; disconnect: everything in the interval in which the interaction ended (Amazon Connect).',
    quarter     DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    channel     LowCardinality(String)  COMMENT 'Medium; see events.',
    provider    LowCardinality(String)  COMMENT 'Provider that tells of it.',
    inbox       LowCardinality(String)  COMMENT 'The company''s account.',
    queue       LowCardinality(String)  COMMENT 'Queue, as its connector names it; empty where there is none.',
    agent       String                  COMMENT 'Agent, as the connector names it.',
    origin      LowCardinality(String)  COMMENT 'How it came about; consult for an assignment in which a colleague was asked.',
    backfill    Bool                    COMMENT 'Imported history.',
    offered     Int64                   COMMENT 'Assignments that were offered.' CODEC(T64, ZSTD(1)),
    rejected    Int64                   COMMENT 'Declined by the agent.' CODEC(T64, ZSTD(1)),
    timed_out   Int64                   COMMENT 'Declined by silence: no answer in time.' CODEC(T64, ZSTD(1)),
    cancelled   Int64                   COMMENT 'Taken back before the agent answered.' CODEC(T64, ZSTD(1)),
    handled     Int64                   COMMENT 'Assignments in which agent and customer talked, and that are over, after-call work included.' CODEC(T64, ZSTD(1)),
    talk_ms     Int64                   COMMENT 'Talk of the handled ones, in milliseconds.' CODEC(T64, ZSTD(1)),
    hold_ms     Int64                   COMMENT 'Hold of the handled ones, in milliseconds.' CODEC(T64, ZSTD(1)),
    wrapup_ms   Int64                   COMMENT 'After-call work (ACW) of the handled ones, in milliseconds.' CODEC(T64, ZSTD(1)),
    handle_ms   Int64                   COMMENT 'talk_ms + hold_ms + wrapup_ms: over handled it is the AHT.' CODEC(T64, ZSTD(1)),
    pause_ms    Int64                   COMMENT 'Time for which handled ones were laid aside, in milliseconds; in no handle time.' CODEC(T64, ZSTD(1)),
    holds       Int64                   COMMENT 'How often handled ones were held.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, attribution, quarter, channel, provider, inbox, queue, agent, origin, backfill)
SETTINGS {{dedupe}}
COMMENT 'Assignments by quarter of an hour, in two attributions: choose one. Use sum(): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "assignment_quarters" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "assignment_quarters_mv"}}{{onCluster}} TO {{local "assignment_quarters"}} AS
SELECT
    tenant, p.1 AS attribution, toStartOfFifteenMinutes(assumeNotNull(p.2)) AS quarter, channel, provider, inbox, queue, agent, origin, backfill,
    sum(sign * p.3 * isNotNull(offered_at)) AS offered,
    sum(sign * p.4 * (decline_reason = 'rejected')) AS rejected,
    sum(sign * p.4 * (decline_reason = 'timed_out')) AS timed_out,
    sum(sign * p.4 * (decline_reason = 'cancelled')) AS cancelled,
    sum(sign * p.5 * f.handled) AS handled,
    sum(sign * p.5 * f.handled * f.talk_ms) AS talk_ms,
    sum(sign * p.5 * f.handled * f.hold_ms) AS hold_ms,
    sum(sign * p.5 * f.handled * f.wrapup_ms) AS wrapup_ms,
    sum(sign * p.5 * f.handled * f.handle_ms) AS handle_ms,
    sum(sign * p.5 * f.handled * f.pause_ms) AS pause_ms,
    sum(sign * p.5 * f.handled * f.holds) AS holds
FROM {{local "assignment_facts"}} AS f
ARRAY JOIN [('ended', offered_at, 1, 0, 0), ('ended', declined_at, 0, 1, 0), ('ended', ended_at, 0, 0, 1),
    ('disconnect', interaction_ended_at, 1, 1, 1)] AS p
WHERE isNotNull(p.2)
GROUP BY tenant, attribution, quarter, channel, provider, inbox, queue, agent, origin, backfill
COMMENT 'Fills assignment_quarters from assignment_facts.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "agent_activity_quarters"}}{{onCluster}} (
    tenant    LowCardinality(String)  COMMENT 'Tenant.',
    quarter   DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    channel   LowCardinality(String)  COMMENT 'Medium; see events.',
    provider  LowCardinality(String)  COMMENT 'Provider that tells of it.',
    queue     LowCardinality(String)  COMMENT 'Queue, as its connector names it; empty where there is none.',
    agent     String                  COMMENT 'Agent, as the connector names it.',
    backfill  Bool                    COMMENT 'Imported history.',
    talk_ms   Int64                   COMMENT 'Talk, in milliseconds.' CODEC(T64, ZSTD(1)),
    hold_ms   Int64                   COMMENT 'Hold, in milliseconds.' CODEC(T64, ZSTD(1)),
    wrapup_ms Int64                   COMMENT 'After-call work (ACW), in milliseconds.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, channel, provider, queue, agent, backfill)
SETTINGS {{dedupe}}
COMMENT 'What agents did in handled assignments, split by real time into quarters of an hour. Over all quarters it is exactly what the assignments say. Use sum(): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "agent_activity_quarters" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "agent_activity_quarters_mv"}}{{onCluster}} TO {{local "agent_activity_quarters"}} AS
WITH
    toUnixTimestamp64Milli(ifNull(connected_at, begun_at)) AS connected,
    toUnixTimestamp64Milli(ifNull(ended_at, begun_at)) AS ended,
    toUnixTimestamp64Milli(ifNull(wrapup_started_at, begun_at)) AS wrapup,
    toUnixTimestamp64Milli(ifNull(wrapup_ended_at, begun_at)) AS wrapped,
    arrayMap(x -> (toUnixTimestamp64Milli(x.1), toUnixTimestamp64Milli(x.2)), held) AS on_hold,
    arrayMap(x -> (toUnixTimestamp64Milli(x.1), toUnixTimestamp64Milli(x.2)), paused) AS on_pause,
    arraySum(x -> greatest(x.2 - x.1, 0), on_hold) AS known_hold,
    greatest(ended - connected, 0) - known_hold - arraySum(x -> greatest(x.2 - x.1, 0), on_pause) AS known_talk,
    arrayFilter(x -> x.2 < x.3, arrayConcat(
        [('talk', connected, ended, 1), ('wrapup', wrapup, wrapped, 1)],
        arrayMap(x -> ('hold', x.1, x.2, 1), on_hold),
        arrayMap(x -> ('talk', x.1, x.2, -1), arrayConcat(on_hold, on_pause)))) AS stretches,
    arrayConcat(
        arrayFlatten(arrayMap(x -> arrayMap(y -> (x.1, y.1, x.4 * y.2), {{quarters "x.2" "x.3"}}), stretches)),
        [('talk', intDiv(ended - 1, 900000), f.talk_ms - known_talk),
         ('hold', intDiv(ended - 1, 900000), f.hold_ms - known_hold),
         ('wrapup', intDiv(wrapped - 1, 900000), f.wrapup_ms - greatest(wrapped - wrapup, 0))]) AS pieces
SELECT
    tenant, toDateTime(p.2 * 900, 'UTC') AS quarter, channel, provider, queue, agent, backfill,
    sum(sign * p.3 * (p.1 = 'talk')) AS talk_ms,
    sum(sign * p.3 * (p.1 = 'hold')) AS hold_ms,
    sum(sign * p.3 * (p.1 = 'wrapup')) AS wrapup_ms
FROM {{local "assignment_facts"}} AS f
ARRAY JOIN pieces AS p
WHERE f.handled AND p.3 != 0
GROUP BY tenant, quarter, channel, provider, queue, agent, backfill
COMMENT 'Fills agent_activity_quarters from assignment_facts.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "agent_state_quarters"}}{{onCluster}} (
    tenant         LowCardinality(String)  COMMENT 'Tenant.',
    quarter        DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    agent          String                  COMMENT 'Agent by the directory, or as its connector names it where the directory does not know it.',
    presence_type  LowCardinality(String)  COMMENT 'routable, custom or offline; empty where nothing is known.',
    presence       LowCardinality(String)  COMMENT 'What the agent chose to be, in the words of the connector.',
    routing_status LowCardinality(String)  COMMENT 'off_queue, idle, interacting, not_responding, communicating; empty where nothing is known.',
    on_contact     Bool                    COMMENT 'Time on contact: some contact counts as handled now, after-call work included.',
    ms             Int64                   COMMENT 'Time, in milliseconds.' CODEC(T64, ZSTD(1))
) ENGINE = {{engine "SummingMergeTree"}}
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, agent, presence_type, presence, routing_status, on_contact)
SETTINGS {{dedupe}}
COMMENT 'How long agents were in which state, split by real time into quarters of an hour. What goes on is counted until the end of its day in UTC: look only at quarters that are over. Use sum(): rows of one key are added up in time.'
-- +goose StatementEnd

{{distributed "agent_state_quarters" "tenant"}}

-- +goose StatementBegin
CREATE MATERIALIZED VIEW IF NOT EXISTS {{local "agent_state_quarters_mv"}}{{onCluster}} TO {{local "agent_state_quarters"}} AS
SELECT
    tenant, toDateTime(p.1 * 900, 'UTC') AS quarter, agent, presence_type, presence, routing_status, on_contact,
    sum(sign * p.2) AS ms
FROM {{local "agent_state_facts"}} AS f
ARRAY JOIN {{quarters "toUnixTimestamp64Milli(started_at)" "toUnixTimestamp64Milli(ended_at)"}} AS p
WHERE started_at < ended_at
GROUP BY tenant, quarter, agent, presence_type, presence, routing_status, on_contact
COMMENT 'Fills agent_state_quarters from agent_state_facts.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW inboxes{{onCluster}} (
    tenant   LowCardinality(String) COMMENT 'Tenant.',
    provider LowCardinality(String) COMMENT 'Provider that tells of it.',
    channel  LowCardinality(String) COMMENT 'Medium; see events.',
    inbox    LowCardinality(String) COMMENT 'The company''s account.',
    first    DateTime('UTC')        COMMENT 'Quarter of an hour in which it was first used.',
    last     DateTime('UTC')        COMMENT 'Quarter of an hour in which it was last used.',
    started  Int64                  COMMENT 'Interactions that began there.'
) AS SELECT tenant, provider, channel, inbox, min(quarter) AS first, max(quarter) AS last, sum(f.started) AS started
FROM interaction_quarters AS f
GROUP BY tenant, provider, channel, inbox
HAVING sum(f.started) > 0
COMMENT 'Accounts of the company on which interactions took place.'
-- +goose StatementEnd
