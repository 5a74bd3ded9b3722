-- +goose NO TRANSACTION
-- +goose Up

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS directory_entries{{onCluster}} (
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
) ENGINE = {{everywhere "ReplacingMergeTree" "version" "removed"}}
ORDER BY (tenant, kind, id, valid_from)
COMMENT 'The directory with its history. Read it through agents, teams, queues.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS native_ids{{onCluster}} (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    kind            LowCardinality(String) COMMENT 'agent or queue.',
    provider        LowCardinality(String) COMMENT 'Connector that says so; empty for every connector of which nothing else is known.',
    native          String                 COMMENT 'What the connector calls it.',
    valid_from      DateTime64(6, 'UTC')   COMMENT 'From when.',
    valid_until     DateTime64(6, 'UTC')   COMMENT 'Until when; far in the future where it goes on.',
    id              String                 COMMENT 'Entry of the directory that it is.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = {{everywhere "ReplacingMergeTree" "version" "removed"}}
ORDER BY (tenant, kind, provider, native, valid_from)
COMMENT 'Which agent or queue of the directory a connector means, and when. Events and facts hold the connector''s word; this is looked up when they are read.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS customer_endpoints{{onCluster}} (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    endpoint        UUID                   COMMENT 'Endpoint or identifier. One that is linked to nobody has no row: it is its own customer.',
    valid_from      DateTime64(6, 'UTC')   COMMENT 'Events from this moment on count.',
    valid_until     DateTime64(6, 'UTC')   COMMENT 'Until this moment; far in the future for ever.',
    customer        UUID                   COMMENT 'Customer whose it is, as the links stand now.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = {{everywhere "ReplacingMergeTree" "version" "removed"}}
ORDER BY (tenant, endpoint, valid_from)
COMMENT 'Whose the endpoints are, as the links stand now. A merge, a split or an undo rewrites these rows and no fact.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS conversation_interactions{{onCluster}} (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    interaction     UUID                   COMMENT 'Interaction. One that is joined with no other has no row: it is a conversation of its own.',
    conversation    UUID                   COMMENT 'Conversation that it belongs to, as the links stand now.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = {{everywhere "ReplacingMergeTree" "version" "removed"}}
ORDER BY (tenant, interaction)
COMMENT 'Which interactions are one conversation, as the links stand now.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS interaction_customers{{onCluster}} (
    tenant          LowCardinality(String) COMMENT 'Tenant.',
    interaction     UUID                   COMMENT 'Interaction that was attributed to a customer, whoever has its endpoint, by the id that the attribution names.',
    endpoint        UUID                   COMMENT 'Endpoint from which it is taken: the attribution counts for what is filed under this one. Zero: under whichever.',
    customer        UUID                   COMMENT 'Customer whose it is, as the links stand now.',
    version         UInt64                 COMMENT 'Of two rows of one key the higher one counts.',
    removed         Bool                   COMMENT 'This row was taken back.'
) ENGINE = {{everywhere "ReplacingMergeTree" "version" "removed"}}
ORDER BY (tenant, interaction)
COMMENT 'Interactions that were attributed to another customer than the one who has their endpoint. They go over customer_endpoints.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS mirrored_batches{{onCluster}} (
    source          LowCardinality(String) COMMENT 'What the rows come from.',
    life            String                 COMMENT 'Under which name they were sent: what begins anew has another one.',
    batch           UInt64                 COMMENT 'Number of the last batch that is contained.'
) ENGINE = {{everywhere "ReplacingMergeTree" "batch"}}
ORDER BY (source, life)
COMMENT 'Which batches of facts and dimensions the tables hold. Skein compares it with what it has sent, and rebuilds the tables where they differ.'
-- +goose StatementEnd
