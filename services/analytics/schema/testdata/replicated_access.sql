-- Who may read and write the database skein. Every statement may be run again. Run it as a user who may manage access.

CREATE SETTINGS PROFILE IF NOT EXISTS skein_reader ON CLUSTER 'main' SETTINGS
    readonly = 2,
    max_execution_time = 300,
    max_memory_usage = 8589934592,
    max_bytes_before_external_group_by = 4294967296,
    max_bytes_before_external_sort = 4294967296,
    max_rows_to_read = 20000000000,
    max_result_rows = 10000000,
    result_overflow_mode = 'throw';

CREATE ROLE IF NOT EXISTS skein_reader ON CLUSTER 'main' SETTINGS PROFILE 'skein_reader';

GRANT ON CLUSTER 'main' SELECT, SHOW, dictGet ON `skein`.* TO skein_reader;

CREATE ROLE IF NOT EXISTS skein_writer ON CLUSTER 'main';

GRANT ON CLUSTER 'main' SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON `skein`.* TO skein_writer;

GRANT ON CLUSTER 'main' SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON `skein_build`.* TO skein_writer;

GRANT ON CLUSTER 'main' SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON `skein_build_facts`.* TO skein_writer;

GRANT ON CLUSTER 'main' SYSTEM RELOAD DICTIONARY, CLUSTER, REMOTE ON *.* TO skein_writer;

CREATE QUOTA IF NOT EXISTS skein_reader ON CLUSTER 'main' KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 10000, errors = 1000, execution_time = 7200
    TO skein_reader;

CREATE ROLE IF NOT EXISTS skein_reader_all ON CLUSTER 'main';

GRANT ON CLUSTER 'main' skein_reader TO skein_reader_all;

CREATE ROW POLICY IF NOT EXISTS skein_all ON CLUSTER 'main' ON `skein`.agent_activity_quarters, `skein`.agent_state_facts, `skein`.agent_state_quarters, `skein`.assignment_facts, `skein`.assignment_quarters, `skein`.conversation_interactions, `skein`.customer_endpoints, `skein`.directory_entries, `skein`.event_hours, `skein`.events, `skein`.interaction_customers, `skein`.interaction_facts, `skein`.interaction_quarters, `skein`.message_quarters, `skein`.messages, `skein`.native_ids, `skein`.rejected_events, `skein`.sla_facts, `skein`.surveys, `skein`.visit_facts, `skein`.visit_quarters USING 1 TO skein_reader_all, skein_writer;

CREATE ROLE IF NOT EXISTS `skein_reader_acme` ON CLUSTER 'main';

GRANT ON CLUSTER 'main' skein_reader TO `skein_reader_acme`;

CREATE ROW POLICY IF NOT EXISTS `skein_reader_acme` ON CLUSTER 'main' ON `skein`.agent_activity_quarters, `skein`.agent_state_facts, `skein`.agent_state_quarters, `skein`.assignment_facts, `skein`.assignment_quarters, `skein`.conversation_interactions, `skein`.customer_endpoints, `skein`.directory_entries, `skein`.event_hours, `skein`.events, `skein`.interaction_customers, `skein`.interaction_facts, `skein`.interaction_quarters, `skein`.message_quarters, `skein`.messages, `skein`.native_ids, `skein`.rejected_events, `skein`.sla_facts, `skein`.surveys, `skein`.visit_facts, `skein`.visit_quarters USING tenant = 'acme' TO `skein_reader_acme`;

CREATE ROLE IF NOT EXISTS `skein_reader_b-2` ON CLUSTER 'main';

GRANT ON CLUSTER 'main' skein_reader TO `skein_reader_b-2`;

CREATE ROW POLICY IF NOT EXISTS `skein_reader_b-2` ON CLUSTER 'main' ON `skein`.agent_activity_quarters, `skein`.agent_state_facts, `skein`.agent_state_quarters, `skein`.assignment_facts, `skein`.assignment_quarters, `skein`.conversation_interactions, `skein`.customer_endpoints, `skein`.directory_entries, `skein`.event_hours, `skein`.events, `skein`.interaction_customers, `skein`.interaction_facts, `skein`.interaction_quarters, `skein`.message_quarters, `skein`.messages, `skein`.native_ids, `skein`.rejected_events, `skein`.sla_facts, `skein`.surveys, `skein`.visit_facts, `skein`.visit_quarters USING tenant = 'b-2' TO `skein_reader_b-2`;
