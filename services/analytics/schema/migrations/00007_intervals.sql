-- +goose NO TRANSACTION
-- +goose Up

-- Intervals of any step and time zone are sums of quarters of an hour, as the offset of every time zone is a whole number of them.

-- +goose StatementBegin
CREATE OR REPLACE VIEW message_intervals{{onCluster}} AS SELECT
    {{interval}} AS start,
    tenant,
    kind,
    channel,
    provider,
    inbox,
    direction,
    actor_kind,
    sum(f.messages) AS messages,
    sum(f.characters) AS characters,
    sum(f.auto_replies) AS auto_replies,
    sum(f.bulk_messages) AS bulk_messages
FROM message_quarters AS f
WHERE {{within}}
GROUP BY start, tenant, kind, channel, provider, inbox, direction, actor_kind
COMMENT 'Messages by interval. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW interaction_intervals{{onCluster}} AS SELECT
    {{interval}} AS start,
    tenant,
    channel,
    provider,
    inbox,
    direction,
    backfill,
    sum(f.started) AS started,
    sum(f.ended) AS ended,
    sum(f.resolved) AS resolved,
    sum(f.resolution_ms) AS resolution_ms,
    sum(f.reopened) AS reopened,
    sum(f.first_responses) AS first_responses,
    sum(f.first_response_ms) AS first_response_ms,
    sum(f.self_service) AS self_service,
    sum(f.contained) AS contained,
    sum(f.handed_off) AS handed_off
FROM interaction_quarters AS f
WHERE {{within}}
GROUP BY start, tenant, channel, provider, inbox, direction, backfill
COMMENT 'Interactions by interval. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW visit_intervals{{onCluster}} AS SELECT
    {{interval}} AS start,
    tenant,
    attribution,
    channel,
    provider,
    inbox,
    {{entryID "queue" "queue" "toDateTime64(quarter, 3)"}} AS queue_id,
    {{entryName "queue" "queue_id" "toDateTime64(quarter, 3)"}} AS queue_name,
    backfill,
    sum(f.offered) AS offered,
    sum(f.offered_with_target) AS offered_with_target,
    sum(f.answered) AS answered,
    sum(f.abandoned) AS abandoned,
    sum(f.short_abandoned) AS short_abandoned,
    sum(f.overflowed) AS overflowed,
    sum(f.transferred) AS transferred,
    sum(f.voicemail) AS voicemail,
    sum(f.callback) AS callback,
    sum(f.cancelled) AS cancelled,
    sum(f.within_target) AS within_target,
    sum(f.abandoned_within_target) AS abandoned_within_target,
    sum(f.wait_ms) AS wait_ms,
    sum(f.abandon_wait_ms) AS abandon_wait_ms
FROM visit_quarters AS f
WHERE {{within}}
GROUP BY start, tenant, attribution, channel, provider, inbox, queue_id, queue_name, backfill
COMMENT 'Queue visits by interval, with the directory''s queue. Choose an attribution: entered or disconnect. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW assignment_intervals{{onCluster}} AS SELECT
    {{interval}} AS start,
    tenant,
    attribution,
    channel,
    provider,
    inbox,
    {{entryID "queue" "queue" "toDateTime64(quarter, 3)"}} AS queue_id,
    {{entryName "queue" "queue_id" "toDateTime64(quarter, 3)"}} AS queue_name,
    {{entryID "agent" "agent" "toDateTime64(quarter, 3)"}} AS agent_id,
    {{entryName "agent" "agent_id" "toDateTime64(quarter, 3)"}} AS agent_name,
    origin,
    backfill,
    sum(f.offered) AS offered,
    sum(f.rejected) AS rejected,
    sum(f.timed_out) AS timed_out,
    sum(f.cancelled) AS cancelled,
    sum(f.handled) AS handled,
    sum(f.talk_ms) AS talk_ms,
    sum(f.hold_ms) AS hold_ms,
    sum(f.wrapup_ms) AS wrapup_ms,
    sum(f.handle_ms) AS handle_ms,
    sum(f.pause_ms) AS pause_ms,
    sum(f.holds) AS holds
FROM assignment_quarters AS f
WHERE {{within}}
GROUP BY start, tenant, attribution, channel, provider, inbox, queue_id, queue_name, agent_id, agent_name, origin, backfill
COMMENT 'Assignments by interval, with the directory''s queue and agent. Choose an attribution: ended or disconnect. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW agent_activity_intervals{{onCluster}} AS SELECT
    {{interval}} AS start,
    tenant,
    channel,
    provider,
    {{entryID "queue" "queue" "toDateTime64(quarter, 3)"}} AS queue_id,
    {{entryName "queue" "queue_id" "toDateTime64(quarter, 3)"}} AS queue_name,
    {{entryID "agent" "agent" "toDateTime64(quarter, 3)"}} AS agent_id,
    {{entryName "agent" "agent_id" "toDateTime64(quarter, 3)"}} AS agent_name,
    backfill,
    sum(f.talk_ms) AS talk_ms,
    sum(f.hold_ms) AS hold_ms,
    sum(f.wrapup_ms) AS wrapup_ms
FROM agent_activity_quarters AS f
WHERE {{within}}
GROUP BY start, tenant, channel, provider, queue_id, queue_name, agent_id, agent_name, backfill
COMMENT 'What agents did in handled assignments, split by real time into intervals, with the directory''s queue and agent. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW agent_state_intervals{{onCluster}} AS SELECT
    {{interval}} AS start,
    tenant,
    agent,
    {{entryName "agent" "agent" "toDateTime64(quarter, 3)"}} AS agent_name,
    presence_type,
    presence,
    routing_status,
    on_contact,
    sum(f.ms) AS ms
FROM agent_state_quarters AS f
WHERE {{within}}
GROUP BY start, tenant, agent, agent_name, presence_type, presence, routing_status, on_contact
COMMENT 'How long agents were in which state, split by real time into intervals. Choose an until that is over: what goes on is counted until the end of its day in UTC. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).'
-- +goose StatementEnd
