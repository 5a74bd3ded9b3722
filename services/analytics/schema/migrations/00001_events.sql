-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "events"}}{{onCluster}} (
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
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant, toStartOfHour(occurred_at), thread, occurred_at)
SETTINGS {{dedupe}}
COMMENT 'Every event of the log, once.'
-- +goose StatementEnd

{{distributed "events" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "messages"}}{{onCluster}} (
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
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant, toStartOfHour(occurred_at), thread, occurred_at)
SETTINGS {{dedupe}}
COMMENT 'What people and bots wrote and said. Personal: it may have a shorter retention than the rest.'
-- +goose StatementEnd

{{distributed "messages" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS {{local "surveys"}}{{onCluster}} (
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
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant, toStartOfHour(occurred_at), thread, occurred_at)
SETTINGS {{dedupe}}
COMMENT 'Surveys that were sent, and answers to them.'
-- +goose StatementEnd

{{distributed "surveys" "thread"}}

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS progress{{onCluster}} (
    stream          LowCardinality(String)   COMMENT 'Which writer: events, or facts (interactions, visits, assignments, agents, dimensions).',
    topic           LowCardinality(String)   COMMENT 'Topic of the log.',
    partition       Int32                    COMMENT 'Partition of the topic.',
    next_offset     Int64                    COMMENT 'Everything below this offset is contained.',
    complete_until  DateTime64(6, 'UTC')     COMMENT 'Everything that Skein had received before this moment is contained, as far as this partition goes.',
    written_at      DateTime64(6, 'UTC')     COMMENT 'When this was written.'
) ENGINE = {{everywhere "ReplacingMergeTree" "written_at"}}
ORDER BY (stream, topic, partition)
COMMENT 'How far the log is contained. Read it through complete_up_to.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE VIEW complete_up_to{{onCluster}} (
    stream          LowCardinality(String)   COMMENT 'Which writer: events, or facts (interactions, visits, assignments, agents, dimensions).',
    complete_until  DateTime64(6, 'UTC')     COMMENT 'Everything that Skein had received before this moment is contained.',
    written_at      DateTime64(6, 'UTC')     COMMENT 'When this was written.'
) AS SELECT stream, min(p.complete_until) AS complete_until, max(p.written_at) AS written_at
FROM (SELECT * FROM progress FINAL) AS p
GROUP BY stream
COMMENT 'By stream, up to which moment of receipt everything is contained: numbers of a time before it do not change any more, but for events that come late.'
-- +goose StatementEnd
