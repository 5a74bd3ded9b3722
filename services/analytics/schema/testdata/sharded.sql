-- 00001_events.sql

CREATE TABLE IF NOT EXISTS events_local ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String)   COMMENT 'Tenant that owns the event.',
    event_id        UUID                     COMMENT 'Id of the event; each stands here once.' CODEC(NONE),
    type            LowCardinality(String)   COMMENT 'Type, such as message.received; see docs/events.md.',
    occurred_at     DateTime64(6, 'UTC')     COMMENT 'When it happened, as the channel says.' CODEC(Delta, ZSTD(1)),
    received_at     DateTime64(6, 'UTC')     COMMENT 'When Skein took it in.' CODEC(Delta, ZSTD(1)),
    channel         LowCardinality(String)   COMMENT 'Medium: voice, web_chat, email, sms, social_message, social_post, in_app, video, task; empty where there is none.',
    direction       LowCardinality(String)   COMMENT 'inbound, outbound or internal; empty where it has no meaning.',
    origin          LowCardinality(String)   COMMENT 'How the interaction came about: inbound, outbound, transfer, callback, campaign, escalation, consult, internal; empty where not stated.',
    provider        LowCardinality(String)   COMMENT 'Provider that told of it, such as twilio.',
    inbox           LowCardinality(String)   COMMENT 'The company''s account that it came in on.',
    thread          UUID                     COMMENT 'Thread that holds it.' CODEC(ZSTD(1)),
    interaction     UUID                     COMMENT 'Interaction, where the provider itself names it; else zero. The interaction of any event is found by thread and time in interactions.' CODEC(ZSTD(1)),
    endpoint        UUID                     COMMENT 'Endpoint of the first customer among the parties; zero where there is none.' CODEC(ZSTD(1)),
    endpoints       Array(UUID)              COMMENT 'Endpoints of all customers among the parties.' CODEC(ZSTD(1)),
    actor_kind      LowCardinality(String)   COMMENT 'Who did it: customer, agent, bot, system; empty where not stated.',
    actor           String                   COMMENT 'Id of the agent or bot as its connector names it, or the customer''s endpoint.' CODEC(ZSTD(1)),
    queue           LowCardinality(String)   COMMENT 'Queue, as its connector names it.',
    visit           UUID                     COMMENT 'Queue visit, where the provider names it; else zero.' CODEC(ZSTD(1)),
    assignment      UUID                     COMMENT 'Assignment, where the provider names it; else zero.' CODEC(ZSTD(1)),
    language        LowCardinality(String)   COMMENT 'Language as BCP 47, where known.',
    reason          LowCardinality(String)   COMMENT 'What the type is a variant of: the reason of an end, the outcome of a queue visit, a status, a presence, a failure, a kind of transfer, the kind of an insight.',
    detail          String                   COMMENT 'What it is about, in the provider''s or the company''s words: a bot, a flow and step, a target, a survey, an insight''s value, a disposition. Nothing that a customer wrote.' CODEC(ZSTD(1)),
    value           Nullable(Float64)        COMMENT 'Number of the event: a score, a duration in seconds, a count.' CODEC(ZSTD(1)),
    text_length     UInt32                   COMMENT 'Characters of the text of a message; 0 for none.' CODEC(T64, ZSTD(1)),
    attachments     UInt16                   COMMENT 'Attachments and recordings that it refers to.' CODEC(T64, ZSTD(1)),
    causation       UUID                     COMMENT 'Event that caused it; zero for none.' CODEC(ZSTD(1)),
    correlation     String                   COMMENT 'What a chain of events has in common.' CODEC(ZSTD(1)),
    backfill        Bool                     COMMENT 'Imported history.',
    sealed          Bool                     COMMENT 'Its content is sealed, so that nothing of it stands here.',
    schema_version  UInt8                    COMMENT 'Version of the rules by which the envelope was written.',
    topic           LowCardinality(String)   COMMENT 'Topic of the log.',
    partition       Int32                    COMMENT 'Partition of the topic.' CODEC(T64, ZSTD(1)),
    offset          Int64                    COMMENT 'Offset in the partition: with topic and partition, where the event stands in the log.' CODEC(Delta, ZSTD(1)),
    INDEX by_thread thread TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_endpoint endpoints TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 2
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant, toStartOfHour(occurred_at), thread, occurred_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Every event of the log, once.';

CREATE TABLE IF NOT EXISTS events ON CLUSTER '{cluster}' AS events_local
ENGINE = Distributed('{cluster}', 'skein', 'events_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS messages_local ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String)   COMMENT 'Tenant that owns the message.',
    event_id        UUID                     COMMENT 'Event that brought it.' CODEC(NONE),
    occurred_at     DateTime64(6, 'UTC')     COMMENT 'When it was sent, as the channel says.' CODEC(Delta, ZSTD(1)),
    kind            LowCardinality(String)   COMMENT 'message, edit, note, transcript or comment (of a survey).',
    channel         LowCardinality(String)   COMMENT 'Medium; see events.',
    direction       LowCardinality(String)   COMMENT 'inbound or outbound.',
    provider        LowCardinality(String)   COMMENT 'Provider that told of it.',
    inbox           LowCardinality(String)   COMMENT 'The company''s account.',
    thread          UUID                     COMMENT 'Thread that holds it.' CODEC(ZSTD(1)),
    endpoint        UUID                     COMMENT 'Endpoint of the first customer among the parties; zero where there is none.' CODEC(ZSTD(1)),
    actor_kind      LowCardinality(String)   COMMENT 'Who wrote or said it.',
    actor           String                   COMMENT 'Id of the agent or bot as its connector names it.' CODEC(ZSTD(1)),
    language        LowCardinality(String)   COMMENT 'Language as BCP 47, where known.',
    subject         String                   COMMENT 'Subject.' CODEC(ZSTD(3)),
    text            String                   COMMENT 'Its text, without what it quotes.' CODEC(ZSTD(3)),
    auto_reply      Bool                     COMMENT 'A machine answered.',
    bulk            Bool                     COMMENT 'A mailing.',
    INDEX by_text (text) TYPE ngrambf_v1(2, 32768, 3, 0) GRANULARITY 1,
    INDEX by_thread thread TYPE bloom_filter(0.01) GRANULARITY 2
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant, toStartOfHour(occurred_at), thread, occurred_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'What people and bots wrote and said. Personal: it may have a shorter retention than the rest.';

CREATE TABLE IF NOT EXISTS messages ON CLUSTER '{cluster}' AS messages_local
ENGINE = Distributed('{cluster}', 'skein', 'messages_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS surveys_local ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String)   COMMENT 'Tenant that owns the answer.',
    event_id        UUID                     COMMENT 'Event that brought it.' CODEC(NONE),
    occurred_at     DateTime64(6, 'UTC')     COMMENT 'When it was sent or answered.' CODEC(Delta, ZSTD(1)),
    answered        Bool                     COMMENT 'An answer; else the survey was sent to the customer, and score and what belongs to it are empty.',
    channel         LowCardinality(String)   COMMENT 'Medium of the thread.',
    provider        LowCardinality(String)   COMMENT 'Provider that told of it.',
    inbox           LowCardinality(String)   COMMENT 'The company''s account.',
    thread          UUID                     COMMENT 'Thread that the survey is about.' CODEC(ZSTD(1)),
    interaction     UUID                     COMMENT 'Interaction, where the provider names it; else zero.' CODEC(ZSTD(1)),
    endpoint        UUID                     COMMENT 'Endpoint of the customer; zero where there is none.' CODEC(ZSTD(1)),
    assignment      UUID                     COMMENT 'Assignment that is rated; zero where not stated.' CODEC(ZSTD(1)),
    queue           LowCardinality(String)   COMMENT 'Queue, as its connector names it.',
    survey          LowCardinality(String)   COMMENT 'Survey.',
    metric          LowCardinality(String)   COMMENT 'csat, nps or ces; empty where not stated.',
    score           Float64                  COMMENT 'Score that was given, on the scale from scale_min to scale_max.',
    scale_min       Float64                  COMMENT 'Lowest score of the scale.',
    scale_max       Float64                  COMMENT 'Highest score of the scale.',
    drivers         Array(LowCardinality(String)) COMMENT 'Why: speed, resolution, attitude, convenience, or words of the company''s own.',
    backfill        Bool                     COMMENT 'Imported history: leave it out of what is measured live.'
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant, toStartOfHour(occurred_at), thread, occurred_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Surveys that were sent, and answers to them.';

CREATE TABLE IF NOT EXISTS surveys ON CLUSTER '{cluster}' AS surveys_local
ENGINE = Distributed('{cluster}', 'skein', 'surveys_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS progress ON CLUSTER '{cluster}' (
    stream          LowCardinality(String)   COMMENT 'Which writer: events, or facts (interactions, visits, assignments, agents, dimensions).',
    topic           LowCardinality(String)   COMMENT 'Topic of the log.',
    partition       Int32                    COMMENT 'Partition of the topic.',
    next_offset     Int64                    COMMENT 'Everything below this offset is contained.',
    complete_until  DateTime64(6, 'UTC')     COMMENT 'Everything that Skein had received before this moment is contained, as far as this partition goes.',
    written_at      DateTime64(6, 'UTC')     COMMENT 'When this was written.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', written_at)
ORDER BY (stream, topic, partition)
COMMENT 'How far the log is contained. Read it through complete_up_to.';

CREATE OR REPLACE VIEW complete_up_to ON CLUSTER '{cluster}' (
    stream          LowCardinality(String)   COMMENT 'Which writer: events, or facts (interactions, visits, assignments, agents, dimensions).',
    complete_until  DateTime64(6, 'UTC')     COMMENT 'Everything that Skein had received before this moment is contained.',
    written_at      DateTime64(6, 'UTC')     COMMENT 'When this was written.'
) AS SELECT stream, min(p.complete_until) AS complete_until, max(p.written_at) AS written_at
FROM (SELECT * FROM progress FINAL) AS p
GROUP BY stream
COMMENT 'By stream, up to which moment of receipt everything is contained: numbers of a time before it do not change any more, but for events that come late.';

-- 00002_facts.sql

CREATE TABLE IF NOT EXISTS interaction_facts_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedCollapsingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}', sign)
PARTITION BY toYYYYMM(started_at)
ORDER BY (tenant, toStartOfHour(started_at), thread, interaction)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Interactions as signed rows: one that changes is taken back (-1) and stated anew (1). Read them through interactions, or multiply by sign.';

CREATE TABLE IF NOT EXISTS interaction_facts ON CLUSTER '{cluster}' AS interaction_facts_local
ENGINE = Distributed('{cluster}', 'skein', 'interaction_facts_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS visit_facts_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedCollapsingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}', sign)
PARTITION BY toYYYYMM(entered_at)
ORDER BY (tenant, toStartOfHour(entered_at), queue, thread, visit)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Queue visits as signed rows. Read them through queue_visits, or multiply by sign.';

CREATE TABLE IF NOT EXISTS visit_facts ON CLUSTER '{cluster}' AS visit_facts_local
ENGINE = Distributed('{cluster}', 'skein', 'visit_facts_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS assignment_facts_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedCollapsingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}', sign)
PARTITION BY toYYYYMM(begun_at)
ORDER BY (tenant, toStartOfHour(begun_at), thread, assignment)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Assignments, one agent''s share each, as signed rows. Read them through assignments, or multiply by sign.';

CREATE TABLE IF NOT EXISTS assignment_facts ON CLUSTER '{cluster}' AS assignment_facts_local
ENGINE = Distributed('{cluster}', 'skein', 'assignment_facts_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS sla_facts_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedCollapsingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}', sign)
PARTITION BY toYYYYMM(since)
ORDER BY (tenant, toStartOfHour(since), thread, interaction, ordinal)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Targets of service-level agreements and what became of them, as signed rows. Read them through slas.';

CREATE TABLE IF NOT EXISTS sla_facts ON CLUSTER '{cluster}' AS sla_facts_local
ENGINE = Distributed('{cluster}', 'skein', 'sla_facts_local', cityHash64(thread));

CREATE TABLE IF NOT EXISTS agent_state_facts_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedCollapsingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}', sign)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, agent, started_at, ended_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'What agents did, as signed rows: intervals of one state, one behind the other. Read them through agent_states.';

CREATE TABLE IF NOT EXISTS agent_state_facts ON CLUSTER '{cluster}' AS agent_state_facts_local
ENGINE = Distributed('{cluster}', 'skein', 'agent_state_facts_local', cityHash64(agent));

-- 00003_dimensions.sql

CREATE TABLE IF NOT EXISTS directory_entries ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String)        COMMENT 'Tenant of the entry.',
    kind            LowCardinality(String)        COMMENT 'agent, team, queue, hours or setting.',
    id              String                        COMMENT 'Id of the entry.',
    valid_from      DateTime64(6, 'UTC')          COMMENT 'From when it holds.',
    valid_until     DateTime64(6, 'UTC')          COMMENT 'Until when; far in the future for the version that holds last.',
    name            String                        COMMENT 'Name for people.',
    teams           Array(LowCardinality(String)) COMMENT 'Teams of an agent, or that serve a queue.',
    skills          Map(LowCardinality(String), Int32) COMMENT 'Skills of an agent with their level, or that a queue asks for.',
    hours           LowCardinality(String)        COMMENT 'Business hours of a queue.',
    time_zone       LowCardinality(String)        COMMENT 'Time zone of business hours, or of the hours of a queue; empty for UTC.',
    open            Array(String)                 COMMENT 'When business hours are open.',
    closed          Array(String)                 COMMENT 'Exceptions of business hours.',
    within_ms       Int64                         COMMENT 'Service level of a queue: answered within this time, in milliseconds; 0 for none.',
    goal            Float64                       COMMENT 'Share of visits for which that is the goal, 0 to 1.',
    short_abandon_ms Int64                        COMMENT 'An abandoned wait up to this long is a short abandon.',
    version         UInt64                        COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                          COMMENT 'This row was taken back.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', version, removed)
ORDER BY (tenant, kind, id, valid_from)
COMMENT 'The directory with its history. Read it through agents, teams, queues.';

CREATE TABLE IF NOT EXISTS native_ids ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    kind            LowCardinality(String) COMMENT 'agent or queue.',
    provider        LowCardinality(String) COMMENT 'Connector that says so; empty for every connector of which nothing else is known.',
    native          String                 COMMENT 'What the connector calls it.',
    valid_from      DateTime64(6, 'UTC')   COMMENT 'From when.',
    valid_until     DateTime64(6, 'UTC')   COMMENT 'Until when; far in the future where it goes on.',
    id              String                 COMMENT 'Entry of the directory that it is.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', version, removed)
ORDER BY (tenant, kind, provider, native, valid_from)
COMMENT 'Which agent or queue of the directory a connector means, and when. Events and facts hold the connector''s word; this is looked up when they are read.';

CREATE TABLE IF NOT EXISTS customer_endpoints ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    endpoint        UUID                   COMMENT 'Endpoint or identifier. One that is linked to nobody has no row: it is its own customer.',
    valid_from      DateTime64(6, 'UTC')   COMMENT 'Events from this moment on count.',
    valid_until     DateTime64(6, 'UTC')   COMMENT 'Until this moment; far in the future for ever.',
    customer        UUID                   COMMENT 'Customer whose it is, as the links stand now.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', version, removed)
ORDER BY (tenant, endpoint, valid_from)
COMMENT 'Whose the endpoints are, as the links stand now. A merge, a split or an undo rewrites these rows and no fact.';

CREATE TABLE IF NOT EXISTS conversation_interactions ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    interaction     UUID                   COMMENT 'Interaction. One that is joined with no other has no row: it is a conversation of its own.',
    conversation    UUID                   COMMENT 'Conversation that it belongs to, as the links stand now.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', version, removed)
ORDER BY (tenant, interaction)
COMMENT 'Which interactions are one conversation, as the links stand now.';

CREATE TABLE IF NOT EXISTS interaction_customers ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    interaction     UUID                   COMMENT 'Interaction that was attributed to a customer, whoever has its endpoint, by the id that the attribution names.',
    endpoint        UUID                   COMMENT 'Endpoint from which it is taken: the attribution counts for what is filed under this one. Zero: under whichever.',
    customer        UUID                   COMMENT 'Customer whose it is, as the links stand now.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', version, removed)
ORDER BY (tenant, interaction)
COMMENT 'Interactions that were attributed to another customer than the one who has their endpoint. They go over customer_endpoints.';

CREATE TABLE IF NOT EXISTS mirrored_batches ON CLUSTER '{cluster}' (
    source          LowCardinality(String) COMMENT 'What the rows come from.',
    life            String                 COMMENT 'Under which name they were sent: what begins anew has another one.',
    batch           UInt64                 COMMENT 'Number of the last batch that is contained.'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}', batch)
ORDER BY (source, life)
COMMENT 'Which batches of facts and dimensions the tables hold. Skein compares it with what it has sent, and rebuilds the tables where they differ.';

-- 00004_dictionaries.sql

CREATE OR REPLACE DICTIONARY dict_entries ON CLUSTER '{cluster}' (
    tenant      String,
    kind        String,
    id          String,
    valid_from  Int64,
    valid_until Int64,
    name        String DEFAULT '',
    teams       Array(String),
    within_ms   Int64 DEFAULT 0
)
PRIMARY KEY tenant, kind, id
SOURCE(CLICKHOUSE(QUERY 'SELECT tenant, kind, id, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_until) - 1, name, teams, within_ms FROM `skein`.directory_entries FINAL' INVALIDATE_QUERY 'SELECT count(), max(version) FROM `skein`.directory_entries'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_until)
LIFETIME(MIN 60 MAX 120)
COMMENT 'Entries of the directory by tenant, kind and id, at a moment in microseconds.';

CREATE OR REPLACE DICTIONARY dict_native_ids ON CLUSTER '{cluster}' (
    tenant      String,
    kind        String,
    provider    String,
    native      String,
    valid_from  Int64,
    valid_until Int64,
    id          String DEFAULT ''
)
PRIMARY KEY tenant, kind, provider, native
SOURCE(CLICKHOUSE(QUERY 'SELECT tenant, kind, provider, native, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_until) - 1, id FROM `skein`.native_ids FINAL' INVALIDATE_QUERY 'SELECT count(), max(version) FROM `skein`.native_ids'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_until)
LIFETIME(MIN 60 MAX 120)
COMMENT 'Which agent or queue of the directory a connector means, by tenant, kind, provider and the connector''s word, at a moment in microseconds.';

CREATE OR REPLACE DICTIONARY dict_customers ON CLUSTER '{cluster}' (
    tenant      String,
    endpoint    UUID,
    valid_from  Int64,
    valid_until Int64,
    customer    UUID
)
PRIMARY KEY tenant, endpoint
SOURCE(CLICKHOUSE(QUERY 'SELECT tenant, endpoint, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_until) - 1, customer FROM `skein`.customer_endpoints FINAL' INVALIDATE_QUERY 'SELECT count(), max(version) FROM `skein`.customer_endpoints'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_until)
LIFETIME(MIN 60 MAX 120)
COMMENT 'Whose an endpoint is as the links stand now, by tenant and endpoint, at a moment in microseconds.';

CREATE OR REPLACE DICTIONARY dict_conversations ON CLUSTER '{cluster}' (
    tenant       String,
    interaction  UUID,
    conversation UUID
)
PRIMARY KEY tenant, interaction
SOURCE(CLICKHOUSE(QUERY 'SELECT tenant, interaction, conversation FROM `skein`.conversation_interactions FINAL' INVALIDATE_QUERY 'SELECT count(), max(version) FROM `skein`.conversation_interactions'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 60 MAX 120)
COMMENT 'Conversation of an interaction as the links stand now, by tenant and interaction.';

CREATE OR REPLACE DICTIONARY dict_attributions ON CLUSTER '{cluster}' (
    tenant       String,
    interaction  UUID,
    endpoint     UUID,
    customer     UUID
)
PRIMARY KEY tenant, interaction
SOURCE(CLICKHOUSE(QUERY 'SELECT tenant, interaction, endpoint, customer FROM `skein`.interaction_customers FINAL' INVALIDATE_QUERY 'SELECT count(), max(version) FROM `skein`.interaction_customers'))
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 60 MAX 120)
COMMENT 'Customer to whom an interaction was attributed, whoever has its endpoint, by tenant and interaction.';

-- 00005_views.sql

CREATE OR REPLACE VIEW interactions ON CLUSTER '{cluster}' (
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
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(last_activity_at)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(last_activity_at)), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(last_activity_at)), ''), queue_id) AS queue_name,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', provider, agent), toUnixTimestamp64Micro(last_activity_at)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', '', agent), toUnixTimestamp64Micro(last_activity_at)), ''), agent) AS agent_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(last_activity_at)), ''), agent_id) AS agent_name,
    dictGet('skein.dict_entries', 'teams', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(last_activity_at)) AS agent_teams,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', provider, first_agent), toUnixTimestamp64Micro(last_activity_at)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', '', first_agent), toUnixTimestamp64Micro(last_activity_at)), ''), first_agent) AS first_agent_id,
    coalesce(if(dictGet('skein.dict_attributions', 'endpoint', (tenant, interaction)) IN (toUUID('00000000-0000-0000-0000-000000000000'), endpoint), nullIf(dictGet('skein.dict_attributions', 'customer', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), NULL), nullIf(dictGet('skein.dict_customers', 'customer', (tenant, endpoint), toUnixTimestamp64Micro(started_at)), toUUID('00000000-0000-0000-0000-000000000000')), endpoint) AS customer,
    ifNull(nullIf(dictGet('skein.dict_conversations', 'conversation', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), interaction) AS conversation
FROM interaction_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Interactions, one row each, with what is looked up: the directory''s queue and agents, customer and conversation as of now.';

CREATE OR REPLACE VIEW queue_visits ON CLUSTER '{cluster}' (
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
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(entered_at)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(entered_at)), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(entered_at)), ''), queue_id) AS queue_name,
    dictGet('skein.dict_entries', 'teams', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(entered_at)) AS queue_teams,
    multiIf(sla_target_ms > 0, sla_target_ms, dictGet('skein.dict_entries', 'within_ms', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(entered_at)) > 0, dictGet('skein.dict_entries', 'within_ms', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(entered_at)), 20000) AS target_ms,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', provider, agent), toUnixTimestamp64Micro(ifNull(left_at, entered_at))), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', '', agent), toUnixTimestamp64Micro(ifNull(left_at, entered_at))), ''), agent) AS agent_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(ifNull(left_at, entered_at))), ''), agent_id) AS agent_name,
    dictGet('skein.dict_entries', 'teams', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(ifNull(left_at, entered_at))) AS agent_teams,
    coalesce(if(dictGet('skein.dict_attributions', 'endpoint', (tenant, interaction)) IN (toUUID('00000000-0000-0000-0000-000000000000'), endpoint), nullIf(dictGet('skein.dict_attributions', 'customer', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), NULL), nullIf(dictGet('skein.dict_customers', 'customer', (tenant, endpoint), toUnixTimestamp64Micro(entered_at)), toUUID('00000000-0000-0000-0000-000000000000')), endpoint) AS customer,
    ifNull(nullIf(dictGet('skein.dict_conversations', 'conversation', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), interaction) AS conversation
FROM visit_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Queue visits, one wait in one queue each, one row each, with what is looked up.';

CREATE OR REPLACE VIEW assignments ON CLUSTER '{cluster}' (
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
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(begun_at)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(begun_at)), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(begun_at)), ''), queue_id) AS queue_name,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', provider, agent), toUnixTimestamp64Micro(begun_at)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', '', agent), toUnixTimestamp64Micro(begun_at)), ''), agent) AS agent_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(begun_at)), ''), agent_id) AS agent_name,
    dictGet('skein.dict_entries', 'teams', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(begun_at)) AS agent_teams,
    coalesce(if(dictGet('skein.dict_attributions', 'endpoint', (tenant, interaction)) IN (toUUID('00000000-0000-0000-0000-000000000000'), endpoint), nullIf(dictGet('skein.dict_attributions', 'customer', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), NULL), nullIf(dictGet('skein.dict_customers', 'customer', (tenant, endpoint), toUnixTimestamp64Micro(begun_at)), toUUID('00000000-0000-0000-0000-000000000000')), endpoint) AS customer,
    ifNull(nullIf(dictGet('skein.dict_conversations', 'conversation', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), interaction) AS conversation
FROM assignment_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Assignments, one agent''s share of an interaction each, one row each, with what is looked up.';

CREATE OR REPLACE VIEW slas ON CLUSTER '{cluster}' (
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
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(since)), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(since)), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(since)), ''), queue_id) AS queue_name,
    ifNull(nullIf(dictGet('skein.dict_conversations', 'conversation', (tenant, interaction)), toUUID('00000000-0000-0000-0000-000000000000')), interaction) AS conversation
FROM sla_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Targets of service-level agreements and what became of them, one row each, with what is looked up.';

CREATE OR REPLACE VIEW agent_states ON CLUSTER '{cluster}' (
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
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent), toUnixTimestamp64Micro(started_at)), ''), agent) AS agent_name,
    dictGet('skein.dict_entries', 'teams', (tenant, 'agent', agent), toUnixTimestamp64Micro(started_at)) AS agent_teams
FROM agent_state_facts FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'What agents did: intervals of one state, one behind the other, cut at midnight UTC, one row each. Add up ended_at minus started_at; cut the one that goes on at now.';

CREATE OR REPLACE VIEW agents ON CLUSTER '{cluster}' (
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
COMMENT 'Agents of the directory with their history. WHERE current gives one row an agent.';

CREATE OR REPLACE VIEW teams ON CLUSTER '{cluster}' (
    tenant      LowCardinality(String) COMMENT 'Tenant.',
    team_id     String                 COMMENT 'Id in the directory.',
    team_name   String                 COMMENT 'Name for people, as it was then.',
    valid_from  DateTime64(6, 'UTC')   COMMENT 'From when this holds.',
    valid_until DateTime64(6, 'UTC')   COMMENT 'Until when; far in the future for what holds last.',
    current     Bool                   COMMENT 'It holds now.'
) AS SELECT tenant, id AS team_id, name AS team_name, valid_from, valid_until, toBool(valid_from <= now64(6) AND now64(6) < valid_until) AS current
FROM directory_entries FINAL
WHERE kind = 'team'
COMMENT 'Teams of the directory with their history. WHERE current gives one row a team.';

CREATE OR REPLACE VIEW queues ON CLUSTER '{cluster}' (
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
COMMENT 'Queues of the directory with their history. WHERE current gives one row a queue.';

-- 00006_rollups.sql

CREATE TABLE IF NOT EXISTS event_hours_local ON CLUSTER '{cluster}' (
    tenant   LowCardinality(String)  COMMENT 'Tenant.',
    hour     DateTime('UTC')         COMMENT 'First moment of the hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    topic    LowCardinality(String)  COMMENT 'Topic of the log.',
    type     LowCardinality(String)  COMMENT 'Type of the event.',
    channel  LowCardinality(String)  COMMENT 'Medium; see events.',
    provider LowCardinality(String)  COMMENT 'Provider that tells of it.',
    events   Int64                   COMMENT 'Events.' CODEC(T64, ZSTD(1))
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant, hour, topic, type, channel, provider)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Events by hour in which they happened. Use sum(events): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS event_hours ON CLUSTER '{cluster}' AS event_hours_local
ENGINE = Distributed('{cluster}', 'skein', 'event_hours_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS event_hours_mv_local ON CLUSTER '{cluster}' TO event_hours_local AS
SELECT
    tenant, toStartOfHour(occurred_at) AS hour, topic, type, channel, provider,
    count() AS events
FROM events_local AS f
GROUP BY tenant, hour, topic, type, channel, provider
COMMENT 'Fills event_hours from events.';

CREATE TABLE IF NOT EXISTS message_quarters_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, kind, channel, provider, inbox, direction, actor_kind)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Messages by quarter of an hour. Use sum(): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS message_quarters ON CLUSTER '{cluster}' AS message_quarters_local
ENGINE = Distributed('{cluster}', 'skein', 'message_quarters_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS message_quarters_mv_local ON CLUSTER '{cluster}' TO message_quarters_local AS
SELECT
    tenant, toStartOfFifteenMinutes(occurred_at) AS quarter, kind, channel, provider, inbox, direction, actor_kind,
    count() AS messages,
    sum(lengthUTF8(text)) AS characters,
    sum(auto_reply) AS auto_replies,
    sum(bulk) AS bulk_messages
FROM messages_local AS f
GROUP BY tenant, quarter, kind, channel, provider, inbox, direction, actor_kind
COMMENT 'Fills message_quarters from messages.';

CREATE TABLE IF NOT EXISTS interaction_quarters_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, channel, provider, inbox, direction, backfill)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Interactions by quarter of an hour, each thing in the one in which it happened. Use sum(): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS interaction_quarters ON CLUSTER '{cluster}' AS interaction_quarters_local
ENGINE = Distributed('{cluster}', 'skein', 'interaction_quarters_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS interaction_quarters_mv_local ON CLUSTER '{cluster}' TO interaction_quarters_local AS
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
FROM interaction_facts_local AS f
ARRAY JOIN [('started', toNullable(started_at)), ('ended', ended_at), ('resolved', resolved_at), ('reopened', reopened_at),
    ('responded', first_response_at), ('bot', bot_started_at)] AS p
WHERE isNotNull(p.2)
GROUP BY tenant, quarter, channel, provider, inbox, direction, backfill
COMMENT 'Fills interaction_quarters from interaction_facts.';

CREATE TABLE IF NOT EXISTS visit_quarters_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, attribution, quarter, channel, provider, inbox, queue, backfill)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Queue visits by quarter of an hour, in two attributions: choose one. Use sum(): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS visit_quarters ON CLUSTER '{cluster}' AS visit_quarters_local
ENGINE = Distributed('{cluster}', 'skein', 'visit_quarters_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS visit_quarters_mv_local ON CLUSTER '{cluster}' TO visit_quarters_local AS
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
FROM visit_facts_local AS f
ARRAY JOIN [('entered', toNullable(entered_at), 1, 0), ('entered', left_at, 0, 1), ('disconnect', interaction_ended_at, 1, 1)] AS p
WHERE isNotNull(p.2)
GROUP BY tenant, attribution, quarter, channel, provider, inbox, queue, backfill
COMMENT 'Fills visit_quarters from visit_facts.';

CREATE TABLE IF NOT EXISTS assignment_quarters_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, attribution, quarter, channel, provider, inbox, queue, agent, origin, backfill)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Assignments by quarter of an hour, in two attributions: choose one. Use sum(): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS assignment_quarters ON CLUSTER '{cluster}' AS assignment_quarters_local
ENGINE = Distributed('{cluster}', 'skein', 'assignment_quarters_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS assignment_quarters_mv_local ON CLUSTER '{cluster}' TO assignment_quarters_local AS
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
FROM assignment_facts_local AS f
ARRAY JOIN [('ended', offered_at, 1, 0, 0), ('ended', declined_at, 0, 1, 0), ('ended', ended_at, 0, 0, 1),
    ('disconnect', interaction_ended_at, 1, 1, 1)] AS p
WHERE isNotNull(p.2)
GROUP BY tenant, attribution, quarter, channel, provider, inbox, queue, agent, origin, backfill
COMMENT 'Fills assignment_quarters from assignment_facts.';

CREATE TABLE IF NOT EXISTS agent_activity_quarters_local ON CLUSTER '{cluster}' (
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
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, channel, provider, queue, agent, backfill)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'What agents did in handled assignments, split by real time into quarters of an hour. Over all quarters it is exactly what the assignments say. Use sum(): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS agent_activity_quarters ON CLUSTER '{cluster}' AS agent_activity_quarters_local
ENGINE = Distributed('{cluster}', 'skein', 'agent_activity_quarters_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS agent_activity_quarters_mv_local ON CLUSTER '{cluster}' TO agent_activity_quarters_local AS
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
        arrayFlatten(arrayMap(x -> arrayMap(y -> (x.1, y.1, x.4 * y.2), arrayMap(q -> (q, least(x.3, (q + 1) * 900000) - if(q = greatest(intDiv(x.2, 900000), intDiv(x.3 - 1, 900000) - 31 * 96 + 1), x.2, q * 900000)), range(greatest(intDiv(x.2, 900000), intDiv(x.3 - 1, 900000) - 31 * 96 + 1), intDiv(x.3 - 1, 900000) + 1))), stretches)),
        [('talk', intDiv(ended - 1, 900000), f.talk_ms - known_talk),
         ('hold', intDiv(ended - 1, 900000), f.hold_ms - known_hold),
         ('wrapup', intDiv(wrapped - 1, 900000), f.wrapup_ms - greatest(wrapped - wrapup, 0))]) AS pieces
SELECT
    tenant, toDateTime(p.2 * 900, 'UTC') AS quarter, channel, provider, queue, agent, backfill,
    sum(sign * p.3 * (p.1 = 'talk')) AS talk_ms,
    sum(sign * p.3 * (p.1 = 'hold')) AS hold_ms,
    sum(sign * p.3 * (p.1 = 'wrapup')) AS wrapup_ms
FROM assignment_facts_local AS f
ARRAY JOIN pieces AS p
WHERE f.handled AND p.3 != 0
GROUP BY tenant, quarter, channel, provider, queue, agent, backfill
COMMENT 'Fills agent_activity_quarters from assignment_facts.';

CREATE TABLE IF NOT EXISTS agent_state_quarters_local ON CLUSTER '{cluster}' (
    tenant         LowCardinality(String)  COMMENT 'Tenant.',
    quarter        DateTime('UTC')         COMMENT 'First moment of the quarter of an hour, in UTC.' CODEC(DoubleDelta, ZSTD(1)),
    agent          String                  COMMENT 'Agent by the directory, or as its connector names it where the directory does not know it.',
    presence_type  LowCardinality(String)  COMMENT 'routable, custom or offline; empty where nothing is known.',
    presence       LowCardinality(String)  COMMENT 'What the agent chose to be, in the words of the connector.',
    routing_status LowCardinality(String)  COMMENT 'off_queue, idle, interacting, not_responding, communicating; empty where nothing is known.',
    on_contact     Bool                    COMMENT 'Time on contact: some contact counts as handled now, after-call work included.',
    ms             Int64                   COMMENT 'Time, in milliseconds.' CODEC(T64, ZSTD(1))
) ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toYYYYMM(quarter)
ORDER BY (tenant, quarter, agent, presence_type, presence, routing_status, on_contact)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'How long agents were in which state, split by real time into quarters of an hour. What goes on is counted until the end of its day in UTC: look only at quarters that are over. Use sum(): rows of one key are added up in time.';

CREATE TABLE IF NOT EXISTS agent_state_quarters ON CLUSTER '{cluster}' AS agent_state_quarters_local
ENGINE = Distributed('{cluster}', 'skein', 'agent_state_quarters_local', cityHash64(tenant));

CREATE MATERIALIZED VIEW IF NOT EXISTS agent_state_quarters_mv_local ON CLUSTER '{cluster}' TO agent_state_quarters_local AS
SELECT
    tenant, toDateTime(p.1 * 900, 'UTC') AS quarter, agent, presence_type, presence, routing_status, on_contact,
    sum(sign * p.2) AS ms
FROM agent_state_facts_local AS f
ARRAY JOIN arrayMap(q -> (q, least(toUnixTimestamp64Milli(ended_at), (q + 1) * 900000) - if(q = greatest(intDiv(toUnixTimestamp64Milli(started_at), 900000), intDiv(toUnixTimestamp64Milli(ended_at) - 1, 900000) - 31 * 96 + 1), toUnixTimestamp64Milli(started_at), q * 900000)), range(greatest(intDiv(toUnixTimestamp64Milli(started_at), 900000), intDiv(toUnixTimestamp64Milli(ended_at) - 1, 900000) - 31 * 96 + 1), intDiv(toUnixTimestamp64Milli(ended_at) - 1, 900000) + 1)) AS p
WHERE started_at < ended_at
GROUP BY tenant, quarter, agent, presence_type, presence, routing_status, on_contact
COMMENT 'Fills agent_state_quarters from agent_state_facts.';

CREATE OR REPLACE VIEW inboxes ON CLUSTER '{cluster}' (
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
COMMENT 'Accounts of the company on which interactions took place.';

-- 00007_intervals.sql

CREATE OR REPLACE VIEW message_intervals ON CLUSTER '{cluster}' AS SELECT
    toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String}) AS start,
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
WHERE quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})
GROUP BY start, tenant, kind, channel, provider, inbox, direction, actor_kind
COMMENT 'Messages by interval. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).';

CREATE OR REPLACE VIEW interaction_intervals ON CLUSTER '{cluster}' AS SELECT
    toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String}) AS start,
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
WHERE quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})
GROUP BY start, tenant, channel, provider, inbox, direction, backfill
COMMENT 'Interactions by interval. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).';

CREATE OR REPLACE VIEW visit_intervals ON CLUSTER '{cluster}' AS SELECT
    toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String}) AS start,
    tenant,
    attribution,
    channel,
    provider,
    inbox,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), queue_id) AS queue_name,
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
WHERE quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})
GROUP BY start, tenant, attribution, channel, provider, inbox, queue_id, queue_name, backfill
COMMENT 'Queue visits by interval, with the directory''s queue. Choose an attribution: entered or disconnect. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).';

CREATE OR REPLACE VIEW assignment_intervals ON CLUSTER '{cluster}' AS SELECT
    toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String}) AS start,
    tenant,
    attribution,
    channel,
    provider,
    inbox,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), queue_id) AS queue_name,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', provider, agent), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', '', agent), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), agent) AS agent_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), agent_id) AS agent_name,
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
WHERE quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})
GROUP BY start, tenant, attribution, channel, provider, inbox, queue_id, queue_name, agent_id, agent_name, origin, backfill
COMMENT 'Assignments by interval, with the directory''s queue and agent. Choose an attribution: ended or disconnect. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).';

CREATE OR REPLACE VIEW agent_activity_intervals ON CLUSTER '{cluster}' AS SELECT
    toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String}) AS start,
    tenant,
    channel,
    provider,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', provider, queue), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'queue', '', queue), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), queue) AS queue_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'queue', queue_id), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), queue_id) AS queue_name,
    coalesce(nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', provider, agent), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), nullIf(dictGet('skein.dict_native_ids', 'id', (tenant, 'agent', '', agent), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), agent) AS agent_id,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent_id), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), agent_id) AS agent_name,
    backfill,
    sum(f.talk_ms) AS talk_ms,
    sum(f.hold_ms) AS hold_ms,
    sum(f.wrapup_ms) AS wrapup_ms
FROM agent_activity_quarters AS f
WHERE quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})
GROUP BY start, tenant, channel, provider, queue_id, queue_name, agent_id, agent_name, backfill
COMMENT 'What agents did in handled assignments, split by real time into intervals, with the directory''s queue and agent. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).';

CREATE OR REPLACE VIEW agent_state_intervals ON CLUSTER '{cluster}' AS SELECT
    toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String}) AS start,
    tenant,
    agent,
    coalesce(nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent), toUnixTimestamp64Micro(now64(6))), ''), nullIf(dictGet('skein.dict_entries', 'name', (tenant, 'agent', agent), toUnixTimestamp64Micro(toDateTime64(quarter, 3))), ''), agent) AS agent_name,
    presence_type,
    presence,
    routing_status,
    on_contact,
    sum(f.ms) AS ms
FROM agent_state_quarters AS f
WHERE quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})
GROUP BY start, tenant, agent, agent_name, presence_type, presence, routing_status, on_contact
COMMENT 'How long agents were in which state, split by real time into intervals. Choose an until that is over: what goes on is counted until the end of its day in UTC. Its parameters are step (quarter, half_hour, hour, day, week, month), tz, since and until (local times of tz, such as 2026-01-31 or 2026-01-31 12:00:00).';

-- 00008_rejected.sql

CREATE TABLE IF NOT EXISTS rejected_events ON CLUSTER '{cluster}' (
    tenant          LowCardinality(String)   COMMENT 'Tenant that owns the event.',
    event_id        UUID                     COMMENT 'Id of the event.',
    type            LowCardinality(String)   COMMENT 'Type of the event.',
    occurred_at     DateTime64(6, 'UTC')     COMMENT 'When it happened, as the channel says.',
    table           LowCardinality(String)   COMMENT 'Table that did not take its row: events, messages or surveys.',
    reason          String                   COMMENT 'What ClickHouse said.',
    topic           LowCardinality(String)   COMMENT 'Topic of the log.',
    partition       Int32                    COMMENT 'Partition of the topic.',
    offset          Int64                    COMMENT 'Offset in the partition: with topic and partition, where the event stands in the log.',
    rejected_at     DateTime64(6, 'UTC')     COMMENT 'When it was put aside.'
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/all', '{shard}-{replica}')
ORDER BY (tenant, rejected_at)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Events whose row ClickHouse refused for good, such as by a constraint that somebody has added. Once the table takes them, a rebuild brings them in.';

SELECT 1;

