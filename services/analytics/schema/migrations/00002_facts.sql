-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "interaction_facts"}}{{onCluster}} (
    tenant            LowCardinality(String)        COMMENT 'Tenant that owns the interaction.',
    interaction       UUID                          COMMENT 'Its id.',
    thread            UUID                          COMMENT 'Its thread.',
    channel           LowCardinality(String)        COMMENT 'Medium; see events.',
    provider          LowCardinality(String)        COMMENT 'Provider that tells of it.',
    inbox             LowCardinality(String)        COMMENT 'The company''s account.',
    origin            LowCardinality(String)        COMMENT 'How it came about; see events.',
    direction         LowCardinality(String)        COMMENT 'Who reached out: inbound, outbound or internal.',
    language          LowCardinality(String)        COMMENT 'Language as BCP 47, where known.',
    backfill          Bool                          COMMENT 'Imported history, of which times are not measured.',
    endpoint          UUID                          COMMENT 'Endpoint of the first customer; zero where there is none.',
    endpoints         Array(UUID)                   COMMENT 'Endpoints of all customers who took part.',
    customer_then     UUID                          COMMENT 'Customer of endpoint as the links stood when the interaction began; the endpoint itself where it was linked to none. The customer as of now is looked up: see interactions.',
    continues         UUID                          COMMENT 'Thread that it continues by the word of its provider; zero for none.',
    state             LowCardinality(String)        COMMENT 'Media: active or ended.',
    status            LowCardinality(String)        COMMENT 'Work: open, pending, snoozed, resolved, closed.',
    started_at        DateTime64(3, 'UTC')          COMMENT 'When it began.',
    ended_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When its media were over.',
    end_reason        LowCardinality(String)        COMMENT 'Why.',
    resolved_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was resolved; nothing where it is not, or was reopened.',
    resolution        LowCardinality(String)        COMMENT 'How.',
    resolved_by       String                        COMMENT 'Agent or bot who resolved it, as its connector names it.',
    resolution_ms     Nullable(Int64)               COMMENT 'From the begin, or the last reopening, until it was resolved, in milliseconds.',
    reopened          UInt16                        COMMENT 'How often it was reopened.',
    reopened_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was reopened last.',
    last_activity_at  DateTime64(3, 'UTC')          COMMENT 'When anybody did anything last.',
    waiting_since     Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when the customer waits for a reply.',
    first_response_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person replied first.',
    first_response_ms Nullable(Int64)               COMMENT 'From the later of the begin and the bot''s hand-over to the first reply of a person, in milliseconds.',
    messages_in       UInt32                        COMMENT 'Messages of customers.',
    messages_out      UInt32                        COMMENT 'Messages of the company.',
    notes             UInt32                        COMMENT 'Notes of colleagues.',
    tags              Array(LowCardinality(String)) COMMENT 'Tags.',
    priority          Int32                         COMMENT '1 is the most urgent; 0 where none was set.',
    contact_reason    Array(LowCardinality(String)) COMMENT 'Contact reason, from the general to the particular.',
    disposition       LowCardinality(String)        COMMENT 'Outcome that an agent chose.',
    complaint         Bool                          COMMENT 'It is a complaint.',
    bot               LowCardinality(String)        COMMENT 'Bot or flow that was there last; empty where there was none.',
    bot_started_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When self-service began.',
    handed_off_at     Nullable(DateTime64(3, 'UTC')) COMMENT 'When it asked for a person.',
    bot_ended_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was done.',
    contained         Bool                          COMMENT 'Self-service settled it without a person.',
    visits            UInt16                        COMMENT 'Queue visits.',
    assignments       UInt16                        COMMENT 'Assignments, declined ones included.',
    connected         UInt16                        COMMENT 'Assignments in which an agent and the customer could talk or write.',
    transfers         UInt16                        COMMENT 'Assignments and visits behind the first that came about by a transfer, an escalation or an overflow.',
    queue             LowCardinality(String)        COMMENT 'Queue in which it waits or from which it was taken last, as its connector names it.',
    agent             String                        COMMENT 'Agent who has it, as its connector names it; empty where nobody has.',
    first_agent       String                        COMMENT 'Agent who was connected first, likewise.',
    attributes        Map(LowCardinality(String), String) COMMENT 'Attributes, as set last.',
    sign              Int8                          COMMENT '1 for a row that holds; -1 for one that took it back.'
) ENGINE = {{engine "CollapsingMergeTree" "sign"}}
PARTITION BY toYYYYMM(started_at)
ORDER BY (tenant, toStartOfHour(started_at), thread, interaction)
SETTINGS {{dedupe}}
COMMENT 'Interactions as signed rows: one that changes is taken back (-1) and stated anew (1). Read them through interactions, or multiply by sign.'
-- +goose StatementEnd

{{distributed "interaction_facts" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "visit_facts"}}{{onCluster}} (
    tenant               LowCardinality(String)        COMMENT 'Tenant that owns the visit.',
    visit                UUID                          COMMENT 'Its id.',
    interaction          UUID                          COMMENT 'Its interaction.',
    thread               UUID                          COMMENT 'Its thread.',
    channel              LowCardinality(String)        COMMENT 'Medium; see events.',
    provider             LowCardinality(String)        COMMENT 'Provider that tells of it.',
    inbox                LowCardinality(String)        COMMENT 'The company''s account.',
    origin               LowCardinality(String)        COMMENT 'How the interaction came about.',
    direction            LowCardinality(String)        COMMENT 'Who reached out.',
    language             LowCardinality(String)        COMMENT 'Language, where known.',
    backfill             Bool                          COMMENT 'Imported history.',
    endpoint             UUID                          COMMENT 'Endpoint of the first customer; zero where there is none.',
    queue                LowCardinality(String)        COMMENT 'Queue, as its connector names it.',
    agent                String                        COMMENT 'Agent who answered, as the connector names it.',
    ordinal              UInt16                        COMMENT 'Which visit of its interaction, from 1.',
    priority             Int32                         COMMENT 'Priority in the queue.',
    skills               Array(LowCardinality(String)) COMMENT 'Skills asked for.',
    entered_at           DateTime64(3, 'UTC')          COMMENT 'When the wait began.',
    left_at              Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended; nothing while it goes on.',
    outcome              LowCardinality(String)        COMMENT 'How it ended: answered, abandoned, overflowed, transferred, voicemail, callback, cancelled; empty while it goes on.',
    target               LowCardinality(String)        COMMENT 'Where it went, for an overflow or a transfer.',
    wait_ms              Int64                         COMMENT 'left_at minus entered_at, in milliseconds; 0 while the wait goes on.',
    sla_target_ms        Int64                         COMMENT 'Target in force: answered within this time; 0 for none.',
    interaction_ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its interaction ended (disconnect).',
    sign                 Int8                          COMMENT '1 for a row that holds; -1 for one that took it back.'
) ENGINE = {{engine "CollapsingMergeTree" "sign"}}
PARTITION BY toYYYYMM(entered_at)
ORDER BY (tenant, toStartOfHour(entered_at), queue, thread, visit)
SETTINGS {{dedupe}}
COMMENT 'Queue visits as signed rows. Read them through queue_visits, or multiply by sign.'
-- +goose StatementEnd

{{distributed "visit_facts" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "assignment_facts"}}{{onCluster}} (
    tenant               LowCardinality(String)        COMMENT 'Tenant that owns the assignment.',
    assignment           UUID                          COMMENT 'Its id.',
    visit                UUID                          COMMENT 'Queue visit that it comes from; zero where not known.',
    interaction          UUID                          COMMENT 'Its interaction.',
    thread               UUID                          COMMENT 'Its thread.',
    channel              LowCardinality(String)        COMMENT 'Medium; see events.',
    provider             LowCardinality(String)        COMMENT 'Provider that tells of it.',
    inbox                LowCardinality(String)        COMMENT 'The company''s account.',
    origin               LowCardinality(String)        COMMENT 'How the assignment came about; consult for one in which a colleague was asked.',
    direction            LowCardinality(String)        COMMENT 'Who reached out.',
    language             LowCardinality(String)        COMMENT 'Language, where known.',
    backfill             Bool                          COMMENT 'Imported history.',
    endpoint             UUID                          COMMENT 'Endpoint of the first customer; zero where there is none.',
    queue                LowCardinality(String)        COMMENT 'Queue, as its connector names it; empty where there is none.',
    agent                String                        COMMENT 'Agent, as the connector names it.',
    ordinal              UInt16                        COMMENT 'Which assignment of its interaction, from 1.',
    begun_at             DateTime64(3, 'UTC')          COMMENT 'The first of its moments: when it was offered, accepted or connected.',
    offered_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was offered.',
    declined_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was declined.',
    decline_reason       LowCardinality(String)        COMMENT 'How: rejected, timed_out, cancelled.',
    accepted_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was accepted.',
    connected_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'When agent and customer could talk.',
    ended_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'When the talk was over.',
    end_reason           LowCardinality(String)        COMMENT 'Why.',
    wrapup_started_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When after-call work began.',
    wrapup_ended_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended.',
    wrapup_inferred      Bool                          COMMENT 'Its end was concluded by a timer or the next presence.',
    disposition          LowCardinality(String)        COMMENT 'Outcome that the agent chose.',
    handled              Bool                          COMMENT 'Agent and customer talked, and what is measured of it is over: connected, ended, and after-call work ended where there was any.',
    talk_ms              Int64                         COMMENT 'Time connected without holds and pauses, in milliseconds; 0 until it ended.',
    hold_ms              Int64                         COMMENT 'Time on hold, in milliseconds; 0 until it ended.',
    holds                UInt16                        COMMENT 'How often it was held.',
    pause_ms             Int64                         COMMENT 'Time laid aside, in milliseconds; in no handle time; 0 until it ended.',
    wrapup_ms            Int64                         COMMENT 'After-call work (ACW), in milliseconds; 0 until it ended.',
    handle_ms            Int64                         COMMENT 'talk_ms + hold_ms + wrapup_ms.',
    paused               Array(Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC'))) COMMENT 'When it was laid aside: from, until; in order.',
    held                 Array(Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC'))) COMMENT 'When it was on hold: from, until; in order.',
    interaction_ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its interaction ended (disconnect).',
    sign                 Int8                          COMMENT '1 for a row that holds; -1 for one that took it back.'
) ENGINE = {{engine "CollapsingMergeTree" "sign"}}
PARTITION BY toYYYYMM(begun_at)
ORDER BY (tenant, toStartOfHour(begun_at), thread, assignment)
SETTINGS {{dedupe}}
COMMENT 'Assignments, one agent''s share each, as signed rows. Read them through assignments, or multiply by sign.'
-- +goose StatementEnd

{{distributed "assignment_facts" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "sla_facts"}}{{onCluster}} (
    tenant       LowCardinality(String)        COMMENT 'Tenant that owns the target.',
    interaction  UUID                          COMMENT 'Its interaction.',
    thread       UUID                          COMMENT 'Its thread.',
    channel      LowCardinality(String)        COMMENT 'Medium; see events.',
    provider     LowCardinality(String)        COMMENT 'Provider that tells of the interaction.',
    inbox        LowCardinality(String)        COMMENT 'The company''s account.',
    queue        LowCardinality(String)        COMMENT 'Queue of the interaction, as its connector names it.',
    backfill     Bool                          COMMENT 'Imported history.',
    ordinal      UInt16                        COMMENT 'Which target of its interaction, from 1.',
    metric       LowCardinality(String)        COMMENT 'first_response, next_response or resolution.',
    state        LowCardinality(String)        COMMENT 'active, hit, missed or cancelled.',
    target_ms    Int64                         COMMENT 'The target, in time that counts (business hours, where so configured), in milliseconds.',
    since        DateTime64(3, 'UTC')          COMMENT 'From when it counts.',
    due_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it is missed.',
    done_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When what it asks for was done, in time or not.',
    sign         Int8                          COMMENT '1 for a row that holds; -1 for one that took it back.'
) ENGINE = {{engine "CollapsingMergeTree" "sign"}}
PARTITION BY toYYYYMM(since)
ORDER BY (tenant, toStartOfHour(since), thread, interaction, ordinal)
SETTINGS {{dedupe}}
COMMENT 'Targets of service-level agreements and what became of them, as signed rows. Read them through slas.'
-- +goose StatementEnd

{{distributed "sla_facts" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "agent_state_facts"}}{{onCluster}} (
    tenant          LowCardinality(String) COMMENT 'Tenant of the agent.',
    agent           String                 COMMENT 'Agent by the directory, or as its connector names it where the directory does not know it.',
    day             Date                   COMMENT 'Day in UTC that the interval is part of: intervals are cut at midnight.',
    started_at      DateTime64(3, 'UTC')   COMMENT 'First moment of the interval.',
    ended_at        DateTime64(3, 'UTC')   COMMENT 'First moment after it. The interval that goes on ends with its day, in the future: cut it at now.',
    presence        LowCardinality(String) COMMENT 'What the agent chose to be, in the words of the connector.',
    presence_type   LowCardinality(String) COMMENT 'routable, custom or offline; empty where nothing is known.',
    presence_reason LowCardinality(String) COMMENT 'Secondary reason.',
    routing_status  LowCardinality(String) COMMENT 'off_queue, idle, interacting, not_responding, communicating; empty where nothing is known.',
    vanished        Bool                   COMMENT 'The connector fell silent though it had promised to say something.',
    contacts        UInt16                 COMMENT 'Contacts in hand.',
    on_contact      Bool                   COMMENT 'Time on contact: some contact counts as handled now, after-call work included.',
    sign            Int8                   COMMENT '1 for a row that holds; -1 for one that took it back.'
) ENGINE = {{engine "CollapsingMergeTree" "sign"}}
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, agent, started_at, ended_at)
SETTINGS {{dedupe}}
COMMENT 'What agents did, as signed rows: intervals of one state, one behind the other. Read them through agent_states.'
-- +goose StatementEnd

{{distributed "agent_state_facts" "agent"}}
