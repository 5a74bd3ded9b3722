-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS rejected_events{{onCluster}} (
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
) ENGINE = {{everywhere "MergeTree"}}
ORDER BY (tenant, rejected_at)
SETTINGS {{dedupe}}
COMMENT 'Events whose row ClickHouse refused for good, such as by a constraint that somebody has added. Once the table takes them, a rebuild brings them in.'
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
SELECT 1
-- +goose StatementEnd
