-- Who may read and write the database {{database}}. Every statement may be run again. Run it as a user who may manage access.

CREATE SETTINGS PROFILE IF NOT EXISTS skein_reader{{onCluster}} SETTINGS
    readonly = 2,
    max_execution_time = 300,
    max_memory_usage = 8589934592,
    max_bytes_before_external_group_by = 4294967296,
    max_bytes_before_external_sort = 4294967296,
    max_rows_to_read = 20000000000,
    max_result_rows = 10000000,
    result_overflow_mode = 'throw';

CREATE ROLE IF NOT EXISTS skein_reader{{onCluster}} SETTINGS PROFILE 'skein_reader';

GRANT{{onCluster}} SELECT, SHOW, dictGet ON {{name}}.* TO skein_reader;

CREATE ROLE IF NOT EXISTS skein_writer{{onCluster}};

GRANT{{onCluster}} SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON {{name}}.* TO skein_writer;

{{- /* Tables are rebuilt in databases of their own. */}}
{{range $suffix := builds}}
GRANT{{onCluster}} SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, dictGet ON {{name $suffix}}.* TO skein_writer;
{{end}}
GRANT{{onCluster}} SYSTEM RELOAD DICTIONARY, CLUSTER, REMOTE ON *.* TO skein_writer;

CREATE QUOTA IF NOT EXISTS skein_reader{{onCluster}} KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 10000, errors = 1000, execution_time = 7200
    TO skein_reader;

{{- /* Rows of a table that has policies are for those only whom a policy names. */}}

CREATE ROLE IF NOT EXISTS skein_reader_all{{onCluster}};

GRANT{{onCluster}} skein_reader TO skein_reader_all;

CREATE ROW POLICY IF NOT EXISTS skein_all{{onCluster}} ON {{tables}} USING 1 TO skein_reader_all, skein_writer;
{{- range $tenant := .}}

CREATE ROLE IF NOT EXISTS {{role $tenant}}{{onCluster}};

GRANT{{onCluster}} skein_reader TO {{role $tenant}};

CREATE ROW POLICY IF NOT EXISTS {{role $tenant}}{{onCluster}} ON {{tables}} USING tenant = {{quote $tenant}} TO {{role $tenant}};
{{- end}}
