-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
CREATE OR REPLACE VIEW interactions{{onCluster}} (
    tenant            LowCardinality(String)         COMMENT 'Tenant that owns the interaction.',
    interaction       UUID                           COMMENT 'Its id.',
    thread            UUID                           COMMENT 'Its thread.',
    channel           LowCardinality(String)         COMMENT 'Medium; see events.',
    provider          LowCardinality(String)         COMMENT 'Provider that tells of it.',
    inbox             LowCardinality(String)         COMMENT 'The company''s account.',
    origin            LowCardinality(String)         COMMENT 'How it came about; see events.',
    direction         LowCardinality(String)         COMMENT 'Who reached out: inbound, outbound or internal.',
    language          LowCardinality(String)         COMMENT 'Language as BCP 47, where known.',
    backfill          Bool                           COMMENT 'Imported history, of which times are not measured.',
    endpoint          UUID                           COMMENT 'Endpoint of the first customer; zero where there is none.',
    endpoints         Array(UUID)                    COMMENT 'Endpoints of all customers who took part.',
    customer_then     UUID                           COMMENT 'Customer of endpoint as the links stood when the interaction began; the endpoint itself where it was linked to none. The customer as of now is looked up: see interactions.',
    continues         UUID                           COMMENT 'Thread that it continues by the word of its provider; zero for none.',
    state             LowCardinality(String)         COMMENT 'Media: active or ended.',
    status            LowCardinality(String)         COMMENT 'Work: open, pending, snoozed, resolved, closed.',
    started_at        DateTime64(3, 'UTC')           COMMENT 'When it began.',
    ended_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When its media were over.',
    end_reason        LowCardinality(String)         COMMENT 'Why.',
    resolved_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was resolved; nothing where it is not, or was reopened.',
    resolution        LowCardinality(String)         COMMENT 'How.',
    resolved_by       String                         COMMENT 'Agent or bot who resolved it, as its connector names it.',
    resolution_ms     Nullable(Int64)                COMMENT 'From the begin, or the last reopening, until it was resolved, in milliseconds.',
    reopened          UInt16                         COMMENT 'How often it was reopened.',
    reopened_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was reopened last.',
    last_activity_at  DateTime64(3, 'UTC')           COMMENT 'When anybody did anything last.',
    waiting_since     Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when the customer waits for a reply.',
    first_response_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person replied first.',
    first_response_ms Nullable(Int64)                COMMENT 'From the later of the begin and the bot''s hand-over to the first reply of a person, in milliseconds.',
    messages_in       UInt32                         COMMENT 'Messages of customers.',
    messages_out      UInt32                         COMMENT 'Messages of the company.',
    notes             UInt32                         COMMENT 'Notes of colleagues.',
    tags              Array(LowCardinality(String))  COMMENT 'Tags.',
    priority          Int32                          COMMENT '1 is the most urgent; 0 where none was set.',
    contact_reason    Array(LowCardinality(String))  COMMENT 'Contact reason, from the general to the particular.',
    disposition       LowCardinality(String)         COMMENT 'Outcome that an agent chose.',
    complaint         Bool                           COMMENT 'It is a complaint.',
    bot               LowCardinality(String)         COMMENT 'Bot or flow that was there last; empty where there was none.',
    bot_started_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When self-service began.',
    handed_off_at     Nullable(DateTime64(3, 'UTC')) COMMENT 'When it asked for a person.',
    bot_ended_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was done.',
    contained         Bool                           COMMENT 'Self-service settled it without a person.',
    visits            UInt16                         COMMENT 'Queue visits.',
    assignments       UInt16                         COMMENT 'Assignments, declined ones included.',
    connected         UInt16                         COMMENT 'Assignments in which an agent and the customer could talk or write.',
    transfers         UInt16                         COMMENT 'Assignments and visits behind the first that came about by a transfer, an escalation or an overflow.',
    queue             LowCardinality(String)         COMMENT 'Queue in which it waits or from which it was taken last, as its connector names it.',
    agent             String                         COMMENT 'Agent who has it, as its connector names it; empty where nobody has.',
    first_agent       String                         COMMENT 'Agent who was connected first, likewise.',
    attributes        Map(LowCardinality(String), String) COMMENT 'Attributes, as set last.',
    queue_id          LowCardinality(String)         COMMENT 'Queue by the directory, at the last activity; the connector''s word where the directory does not know it.',
    queue_name        String                         COMMENT 'Its name now.',
    agent_id          String                         COMMENT 'Agent by the directory, at the last activity; the connector''s word where the directory does not know it.',
    agent_name        String                         COMMENT 'The agent''s name now.',
    agent_teams       Array(String)                  COMMENT 'Teams of the agent, at the last activity.',
    first_agent_id    String                         COMMENT 'Agent who was connected first, by the directory, at the last activity; the connector''s word where the directory does not know it.',
    customer          UUID                           COMMENT 'Customer as the links stand now: the one to whom the interaction was attributed, else the one who has the endpoint, by the time when it began; the endpoint itself where it is linked to none.',
    conversation      UUID                           COMMENT 'Conversation as the links stand now; the interaction itself where it is joined with no other.'
) AS SELECT
    tenant, interaction, thread, channel, provider, inbox, origin, direction, language, backfill, endpoint, endpoints, customer_then,
    continues, state, status, started_at, ended_at, end_reason, resolved_at, resolution, resolved_by, resolution_ms, reopened,
    reopened_at, last_activity_at, waiting_since, first_response_at, first_response_ms, messages_in, messages_out, notes, tags,
    priority, contact_reason, disposition, complaint, bot, bot_started_at, handed_off_at, bot_ended_at, contained, visits,
    assignments, connected, transfers, queue, agent, first_agent, attributes,
    {{entryID "queue" "queue" "last_activity_at"}} AS queue_id,
    {{entryName "queue" "queue_id" "last_activity_at"}} AS queue_name,
    {{entryID "agent" "agent" "last_activity_at"}} AS agent_id,
    {{entryName "agent" "agent_id" "last_activity_at"}} AS agent_name,
    {{entryTeams "agent" "agent_id" "last_activity_at"}} AS agent_teams,
    {{entryID "agent" "first_agent" "last_activity_at"}} AS first_agent_id,
    {{customer "interaction" "endpoint" "started_at"}} AS customer,
    {{conversation "interaction"}} AS conversation
FROM interaction_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Interactions, one row each, with what is looked up: the directory''s queue and agents, customer and conversation as of now.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW queue_visits{{onCluster}} (
    tenant               LowCardinality(String)         COMMENT 'Tenant that owns the visit.',
    visit                UUID                           COMMENT 'Its id.',
    interaction          UUID                           COMMENT 'Its interaction.',
    thread               UUID                           COMMENT 'Its thread.',
    channel              LowCardinality(String)         COMMENT 'Medium; see events.',
    provider             LowCardinality(String)         COMMENT 'Provider that tells of it.',
    inbox                LowCardinality(String)         COMMENT 'The company''s account.',
    origin               LowCardinality(String)         COMMENT 'How the interaction came about.',
    direction            LowCardinality(String)         COMMENT 'Who reached out.',
    language             LowCardinality(String)         COMMENT 'Language, where known.',
    backfill             Bool                           COMMENT 'Imported history.',
    endpoint             UUID                           COMMENT 'Endpoint of the first customer; zero where there is none.',
    queue                LowCardinality(String)         COMMENT 'Queue, as its connector names it.',
    agent                String                         COMMENT 'Agent who answered, as the connector names it.',
    ordinal              UInt16                         COMMENT 'Which visit of its interaction, from 1.',
    priority             Int32                          COMMENT 'Priority in the queue.',
    skills               Array(LowCardinality(String))  COMMENT 'Skills asked for.',
    entered_at           DateTime64(3, 'UTC')           COMMENT 'When the wait began.',
    left_at              Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended; nothing while it goes on.',
    outcome              LowCardinality(String)         COMMENT 'How it ended: answered, abandoned, overflowed, transferred, voicemail, callback, cancelled; empty while it goes on.',
    target               LowCardinality(String)         COMMENT 'Where it went, for an overflow or a transfer.',
    wait_ms              Int64                          COMMENT 'left_at minus entered_at, in milliseconds; 0 while the wait goes on.',
    sla_target_ms        Int64                          COMMENT 'Target in force: answered within this time; 0 for none.',
    interaction_ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its interaction ended (disconnect).',
    queue_id             LowCardinality(String)         COMMENT 'Queue by the directory, when the wait began; the connector''s word where the directory does not know it.',
    queue_name           String                         COMMENT 'Its name now.',
    queue_teams          Array(String)                  COMMENT 'Teams that served the queue when the wait began.',
    target_ms            Int64                          COMMENT 'Answered within this time is in time: sla_target_ms, else the service level of the queue in the directory when the wait began, else 20 seconds.',
    agent_id             String                         COMMENT 'Agent who answered, by the directory, when the wait ended; the connector''s word where the directory does not know it.',
    agent_name           String                         COMMENT 'That agent''s name now.',
    agent_teams          Array(String)                  COMMENT 'Teams of that agent, when the wait ended.',
    customer             UUID                           COMMENT 'Customer as the links stand now: the one to whom the interaction was attributed, else the one who has the endpoint, by the time when the wait began; the endpoint itself where it is linked to none.',
    conversation         UUID                           COMMENT 'Conversation as the links stand now; the interaction itself where it is joined with no other.'
) AS SELECT
    tenant, visit, interaction, thread, channel, provider, inbox, origin, direction, language, backfill, endpoint, queue, agent,
    ordinal, priority, skills, entered_at, left_at, outcome, target, wait_ms, sla_target_ms, interaction_ended_at,
    {{entryID "queue" "queue" "entered_at"}} AS queue_id,
    {{entryName "queue" "queue_id" "entered_at"}} AS queue_name,
    {{entryTeams "queue" "queue_id" "entered_at"}} AS queue_teams,
    multiIf(sla_target_ms > 0, sla_target_ms, {{queueTarget "queue_id" "entered_at"}} > 0, {{queueTarget "queue_id" "entered_at"}}, 20000) AS target_ms,
    {{entryID "agent" "agent" "ifNull(left_at, entered_at)"}} AS agent_id,
    {{entryName "agent" "agent_id" "ifNull(left_at, entered_at)"}} AS agent_name,
    {{entryTeams "agent" "agent_id" "ifNull(left_at, entered_at)"}} AS agent_teams,
    {{customer "interaction" "endpoint" "entered_at"}} AS customer,
    {{conversation "interaction"}} AS conversation
FROM visit_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Queue visits, one wait in one queue each, one row each, with what is looked up.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW assignments{{onCluster}} (
    tenant               LowCardinality(String)         COMMENT 'Tenant that owns the assignment.',
    assignment           UUID                           COMMENT 'Its id.',
    visit                UUID                           COMMENT 'Queue visit that it comes from; zero where not known.',
    interaction          UUID                           COMMENT 'Its interaction.',
    thread               UUID                           COMMENT 'Its thread.',
    channel              LowCardinality(String)         COMMENT 'Medium; see events.',
    provider             LowCardinality(String)         COMMENT 'Provider that tells of it.',
    inbox                LowCardinality(String)         COMMENT 'The company''s account.',
    origin               LowCardinality(String)         COMMENT 'How the assignment came about; consult for one in which a colleague was asked.',
    direction            LowCardinality(String)         COMMENT 'Who reached out.',
    language             LowCardinality(String)         COMMENT 'Language, where known.',
    backfill             Bool                           COMMENT 'Imported history.',
    endpoint             UUID                           COMMENT 'Endpoint of the first customer; zero where there is none.',
    queue                LowCardinality(String)         COMMENT 'Queue, as its connector names it; empty where there is none.',
    agent                String                         COMMENT 'Agent, as the connector names it.',
    ordinal              UInt16                         COMMENT 'Which assignment of its interaction, from 1.',
    begun_at             DateTime64(3, 'UTC')           COMMENT 'The first of its moments: when it was offered, accepted or connected.',
    offered_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was offered.',
    declined_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was declined.',
    decline_reason       LowCardinality(String)         COMMENT 'How: rejected, timed_out, cancelled.',
    accepted_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was accepted.',
    connected_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'When agent and customer could talk.',
    ended_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'When the talk was over.',
    end_reason           LowCardinality(String)         COMMENT 'Why.',
    wrapup_started_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When after-call work began.',
    wrapup_ended_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended.',
    wrapup_inferred      Bool                           COMMENT 'Its end was concluded by a timer or the next presence.',
    disposition          LowCardinality(String)         COMMENT 'Outcome that the agent chose.',
    handled              Bool                           COMMENT 'Agent and customer talked, and what is measured of it is over: connected, ended, and after-call work ended where there was any.',
    talk_ms              Int64                          COMMENT 'Time connected without holds and pauses, in milliseconds; 0 until it ended.',
    hold_ms              Int64                          COMMENT 'Time on hold, in milliseconds; 0 until it ended.',
    holds                UInt16                         COMMENT 'How often it was held.',
    pause_ms             Int64                          COMMENT 'Time laid aside, in milliseconds; in no handle time; 0 until it ended.',
    wrapup_ms            Int64                          COMMENT 'After-call work (ACW), in milliseconds; 0 until it ended.',
    handle_ms            Int64                          COMMENT 'talk_ms + hold_ms + wrapup_ms.',
    paused               Array(Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC'))) COMMENT 'When it was laid aside: from, until; in order.',
    held                 Array(Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC'))) COMMENT 'When it was on hold: from, until; in order.',
    interaction_ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its interaction ended (disconnect).',
    queue_id             LowCardinality(String)         COMMENT 'Queue by the directory, when the assignment began; the connector''s word where the directory does not know it.',
    queue_name           String                         COMMENT 'Its name now.',
    agent_id             String                         COMMENT 'Agent by the directory, when the assignment began; the connector''s word where the directory does not know it.',
    agent_name           String                         COMMENT 'The agent''s name now.',
    agent_teams          Array(String)                  COMMENT 'Teams of the agent, when the assignment began.',
    customer             UUID                           COMMENT 'Customer as the links stand now: the one to whom the interaction was attributed, else the one who has the endpoint, by the time when the assignment began; the endpoint itself where it is linked to none.',
    conversation         UUID                           COMMENT 'Conversation as the links stand now; the interaction itself where it is joined with no other.'
) AS SELECT
    tenant, assignment, visit, interaction, thread, channel, provider, inbox, origin, direction, language, backfill, endpoint, queue,
    agent, ordinal, begun_at, offered_at, declined_at, decline_reason, accepted_at, connected_at, ended_at, end_reason,
    wrapup_started_at, wrapup_ended_at, wrapup_inferred, disposition, handled, talk_ms, hold_ms, holds, pause_ms, wrapup_ms,
    handle_ms, paused, held, interaction_ended_at,
    {{entryID "queue" "queue" "begun_at"}} AS queue_id,
    {{entryName "queue" "queue_id" "begun_at"}} AS queue_name,
    {{entryID "agent" "agent" "begun_at"}} AS agent_id,
    {{entryName "agent" "agent_id" "begun_at"}} AS agent_name,
    {{entryTeams "agent" "agent_id" "begun_at"}} AS agent_teams,
    {{customer "interaction" "endpoint" "begun_at"}} AS customer,
    {{conversation "interaction"}} AS conversation
FROM assignment_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Assignments, one agent''s share of an interaction each, one row each, with what is looked up.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW slas{{onCluster}} (
    tenant       LowCardinality(String)         COMMENT 'Tenant that owns the target.',
    interaction  UUID                           COMMENT 'Its interaction.',
    thread       UUID                           COMMENT 'Its thread.',
    channel      LowCardinality(String)         COMMENT 'Medium; see events.',
    provider     LowCardinality(String)         COMMENT 'Provider that tells of the interaction.',
    inbox        LowCardinality(String)         COMMENT 'The company''s account.',
    queue        LowCardinality(String)         COMMENT 'Queue of the interaction, as its connector names it.',
    backfill     Bool                           COMMENT 'Imported history.',
    ordinal      UInt16                         COMMENT 'Which target of its interaction, from 1.',
    metric       LowCardinality(String)         COMMENT 'first_response, next_response or resolution.',
    state        LowCardinality(String)         COMMENT 'active, hit, missed or cancelled.',
    target_ms    Int64                          COMMENT 'The target, in time that counts (business hours, where so configured), in milliseconds.',
    since        DateTime64(3, 'UTC')           COMMENT 'From when it counts.',
    due_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it is missed.',
    done_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When what it asks for was done, in time or not.',
    queue_id     LowCardinality(String)         COMMENT 'Queue by the directory, when it began to count; the connector''s word where the directory does not know it.',
    queue_name   String                         COMMENT 'Its name now.',
    conversation UUID                           COMMENT 'Conversation as the links stand now; the interaction itself where it is joined with no other.'
) AS SELECT
    tenant, interaction, thread, channel, provider, inbox, queue, backfill, ordinal, metric, state, target_ms, since, due_at,
    done_at,
    {{entryID "queue" "queue" "since"}} AS queue_id,
    {{entryName "queue" "queue_id" "since"}} AS queue_name,
    {{conversation "interaction"}} AS conversation
FROM sla_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Targets of service-level agreements and what became of them, one row each, with what is looked up.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW agent_states{{onCluster}} (
    tenant          LowCardinality(String)  COMMENT 'Tenant of the agent.',
    agent           String                  COMMENT 'Agent by the directory, or as its connector names it where the directory does not know it.',
    day             Date                    COMMENT 'Day in UTC that the interval is part of: intervals are cut at midnight.',
    started_at      DateTime64(3, 'UTC')    COMMENT 'First moment of the interval.',
    ended_at        DateTime64(3, 'UTC')    COMMENT 'First moment after it. The interval that goes on ends with its day, in the future: cut it at now.',
    presence        LowCardinality(String)  COMMENT 'What the agent chose to be, in the words of the connector.',
    presence_type   LowCardinality(String)  COMMENT 'routable, custom or offline; empty where nothing is known.',
    presence_reason LowCardinality(String)  COMMENT 'Secondary reason.',
    routing_status  LowCardinality(String)  COMMENT 'off_queue, idle, interacting, not_responding, communicating; empty where nothing is known.',
    vanished        Bool                    COMMENT 'The connector fell silent though it had promised to say something.',
    contacts        UInt16                  COMMENT 'Contacts in hand.',
    on_contact      Bool                    COMMENT 'Time on contact: some contact counts as handled now, after-call work included.',
    agent_name      String                  COMMENT 'The agent''s name now.',
    agent_teams     Array(String)           COMMENT 'Teams of the agent when the interval began.'
) AS SELECT
    tenant, agent, day, started_at, ended_at, presence, presence_type, presence_reason, routing_status, vanished, contacts,
    on_contact,
    {{entryName "agent" "agent" "started_at"}} AS agent_name,
    {{entryTeams "agent" "agent" "started_at"}} AS agent_teams
FROM agent_state_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'What agents did: intervals of one state, one behind the other, cut at midnight UTC, one row each. Add up ended_at minus started_at; cut the one that goes on at now.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW agents{{onCluster}} (
    tenant      LowCardinality(String)             COMMENT 'Tenant.',
    agent_id    String                             COMMENT 'Id in the directory.',
    agent_name  String                             COMMENT 'Name for people, as it was then.',
    teams       Array(LowCardinality(String))      COMMENT 'Teams.',
    skills      Map(LowCardinality(String), Int32) COMMENT 'Skills with their level.',
    valid_from  DateTime64(6, 'UTC')               COMMENT 'From when this holds.',
    valid_until DateTime64(6, 'UTC')               COMMENT 'Until when; far in the future for what holds last.',
    current     Bool                               COMMENT 'It holds now.'
) AS SELECT tenant, id AS agent_id, name AS agent_name, teams, skills, valid_from, valid_until, toBool(valid_from <= now64(6) AND now64(6) < valid_until) AS current
FROM directory_entries FINAL
WHERE kind = 'agent'
COMMENT 'Agents of the directory with their history. WHERE current gives one row an agent.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW teams{{onCluster}} (
    tenant      LowCardinality(String) COMMENT 'Tenant.',
    team_id     String                 COMMENT 'Id in the directory.',
    team_name   String                 COMMENT 'Name for people, as it was then.',
    valid_from  DateTime64(6, 'UTC')   COMMENT 'From when this holds.',
    valid_until DateTime64(6, 'UTC')   COMMENT 'Until when; far in the future for what holds last.',
    current     Bool                   COMMENT 'It holds now.'
) AS SELECT tenant, id AS team_id, name AS team_name, valid_from, valid_until, toBool(valid_from <= now64(6) AND now64(6) < valid_until) AS current
FROM directory_entries FINAL
WHERE kind = 'team'
COMMENT 'Teams of the directory with their history. WHERE current gives one row a team.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW queues{{onCluster}} (
    tenant           LowCardinality(String)             COMMENT 'Tenant.',
    queue_id         String                             COMMENT 'Id in the directory.',
    queue_name       String                             COMMENT 'Name for people, as it was then.',
    teams            Array(LowCardinality(String))      COMMENT 'Teams that serve it.',
    skills           Map(LowCardinality(String), Int32) COMMENT 'Skills that it asks for, with their level.',
    hours            LowCardinality(String)             COMMENT 'Its business hours.',
    time_zone        LowCardinality(String)             COMMENT 'Time zone of its hours; empty for UTC.',
    within_ms        Int64                              COMMENT 'Service level: answered within this time, in milliseconds; 0 for none.',
    goal             Float64                            COMMENT 'Share of visits for which that is the goal, 0 to 1.',
    short_abandon_ms Int64                              COMMENT 'An abandoned wait up to this long is a short abandon.',
    valid_from       DateTime64(6, 'UTC')               COMMENT 'From when this holds.',
    valid_until      DateTime64(6, 'UTC')               COMMENT 'Until when; far in the future for what holds last.',
    current          Bool                               COMMENT 'It holds now.'
) AS SELECT tenant, id AS queue_id, name AS queue_name, teams, skills, hours, time_zone, within_ms, goal, short_abandon_ms, valid_from, valid_until, toBool(valid_from <= now64(6) AND now64(6) < valid_until) AS current
FROM directory_entries FINAL
WHERE kind = 'queue'
COMMENT 'Queues of the directory with their history. WHERE current gives one row a queue.'
-- +goose StatementEnd
