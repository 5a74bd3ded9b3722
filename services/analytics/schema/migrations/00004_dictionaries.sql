-- +goose NO TRANSACTION
-- +goose Up

-- Bounds of a range are whole microseconds, and both belong to it.

-- +goose StatementBegin
CREATE OR REPLACE DICTIONARY dict_entries{{onCluster}} (
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
{{source "directory_entries" "tenant, kind, id, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_until) - 1, name, teams, within_ms"}}
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_until)
LIFETIME(MIN 60 MAX 120)
COMMENT 'Entries of the directory by tenant, kind and id, at a moment in microseconds.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE DICTIONARY dict_native_ids{{onCluster}} (
    tenant      String,
    kind        String,
    provider    String,
    native      String,
    valid_from  Int64,
    valid_until Int64,
    id          String DEFAULT ''
)
PRIMARY KEY tenant, kind, provider, native
{{source "native_ids" "tenant, kind, provider, native, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_until) - 1, id"}}
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_until)
LIFETIME(MIN 60 MAX 120)
COMMENT 'Which agent or queue of the directory a connector means, by tenant, kind, provider and the connector''s word, at a moment in microseconds.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE DICTIONARY dict_customers{{onCluster}} (
    tenant      String,
    endpoint    UUID,
    valid_from  Int64,
    valid_until Int64,
    customer    UUID
)
PRIMARY KEY tenant, endpoint
{{source "customer_endpoints" "tenant, endpoint, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_until) - 1, customer"}}
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN valid_from MAX valid_until)
LIFETIME(MIN 60 MAX 120)
COMMENT 'Whose an endpoint is as the links stand now, by tenant and endpoint, at a moment in microseconds.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE DICTIONARY dict_conversations{{onCluster}} (
    tenant       String,
    interaction  UUID,
    conversation UUID
)
PRIMARY KEY tenant, interaction
{{source "conversation_interactions" "tenant, interaction, conversation"}}
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 60 MAX 120)
COMMENT 'Conversation of an interaction as the links stand now, by tenant and interaction.'
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE DICTIONARY dict_attributions{{onCluster}} (
    tenant       String,
    interaction  UUID,
    endpoint     UUID,
    customer     UUID
)
PRIMARY KEY tenant, interaction
{{source "interaction_customers" "tenant, interaction, endpoint, customer"}}
LAYOUT(COMPLEX_KEY_HASHED())
LIFETIME(MIN 60 MAX 120)
COMMENT 'Customer to whom an interaction was attributed, whoever has its endpoint, by tenant and interaction.'
-- +goose StatementEnd
