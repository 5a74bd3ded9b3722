package chdb

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// user tells who asks: by Authorization: Basic, X-ClickHouse-User and X-ClickHouse-Key, or the parameters user and password.
func (b *bridge) user(r *http.Request) (User, error) {
	if len(b.c.Users) == 0 {
		return User{Name: "default"}, ownMachine(r)
	}
	name, password, given := r.BasicAuth()
	if key := r.Header.Get("X-ClickHouse-User"); key != "" {
		name, password, given = key, r.Header.Get("X-ClickHouse-Key"), true
	}
	if query := r.URL.Query(); !given && query.Has("user") {
		name, password, given = query.Get("user"), query.Get("password"), true
	}
	if !given {
		return User{}, &exceptionError{194, "Code: 194. DB::Exception: a user and a password are needed. (REQUIRED_PASSWORD)"}
	}
	for _, u := range b.c.Users {
		if u.Name == name && same(u.Password, password) {
			return u, nil
		}
	}
	return User{}, refuse(codeAuthenticationFails, "%s: Authentication failed: password is incorrect, or there is no user with such name", strconv.Quote(name))
}

func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// ownMachine refuses what a page in a browser of this machine may have sent, where no password guards the data: a browser names the page in
// Origin, and another host in Host.
func ownMachine(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if r.Header.Get("Origin") != "" || !isLoopback(strings.Trim(host, "[]")) {
		return refuse(codeAccessDenied, "without users, only programs of this machine may ask, not web pages")
	}
	return nil
}

// readerSettings are those that a read-only user may set: how rows are shown and joined, and tighter limits.
var readerSettings = []string{ //nolint:gochecknoglobals // read only
	"max_threads", "max_block_size", "max_result_rows", "max_result_bytes", "result_overflow_mode", "max_rows_to_read", "max_bytes_to_read", "read_overflow_mode",
	"timeout_overflow_mode", "join_use_nulls", "joined_subquery_requires_alias", "any_join_distinct_right_table_keys", "group_by_use_nulls", "aggregate_functions_null_for_empty",
	"session_timezone", "date_time_output_format", "date_time_input_format", "enable_http_compression", "http_zlib_compression_level", "http_write_exception_in_output_format",
	"send_progress_in_http_headers", "http_headers_progress_interval_ms", "network_compression_method", "network_zstd_compression_level", "extremes", "log_comment",
	"max_bytes_before_external_group_by", "max_bytes_before_external_sort", "prefer_column_name_to_alias", "union_default_mode", "transform_null_in", "final",
	"do_not_merge_across_partitions_select_final", "use_skip_indexes", "force_primary_key", "optimize_read_in_order", "limit", "offset", "cancel_http_readonly_queries_on_client_close",
	"input_format_with_names_use_header", "input_format_null_as_default", "low_cardinality_allow_in_native_format", "asterisk_include_alias_columns", "asterisk_include_materialized_columns",
	"allow_experimental_analyzer", "enable_analyzer", "count_distinct_implementation", "decimal_check_overflow", "cast_keep_nullable", "max_execution_time", "max_memory_usage",
}

// readerPrefixes begin the names of settings about the look of an answer.
var readerPrefixes = []string{ //nolint:gochecknoglobals // read only
	"output_format_json_", "output_format_csv_", "output_format_tsv_", "output_format_pretty_", "output_format_parquet_", "output_format_arrow_", "output_format_orc_",
	"output_format_native_", "output_format_decimal_", "output_format_sql_insert_", "output_format_values_", "output_format_write_statistics", "output_format_parallel_formatting",
	"output_format_compression_", "output_format_enable_streaming", "output_format_markdown_", "output_format_xml_", "format_csv_", "format_tsv_", "format_custom_",
}

// readerMayName is false for all that names a file, among them format_template_row, format_schema and output_format_schema.
func readerMayName(name string) bool {
	return slices.Contains(readerSettings, name) || slices.ContainsFunc(readerPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// readerMaySet tells whether a read-only user may set this. Limits may only become tighter.
func (b *bridge) readerMaySet(s setting) error {
	if !readerMayName(s.name) {
		return refuse(codeReadonly, "Cannot modify '%s' setting in readonly mode", s.name)
	}
	most := map[string]float64{"max_execution_time": b.c.QueryTime.Seconds(), "max_memory_usage": float64(b.c.QueryMemory)}[s.name]
	if n, err := strconv.ParseFloat(s.value, 64); most > 0 && (err != nil || n <= 0 || n > most) {
		return refuse(codeReadonly, "Cannot set '%s' to %s in readonly mode: %s is the most", s.name, s.value, strconv.FormatFloat(most, 'f', -1, 64))
	}
	return nil
}

// readerMayRun tells whether a read-only user may run a text, on the connection that would run it. The engine's own readonly setting
// refuses writes and most sources, but not all: a query within a query can unset it, and file() as a plain function reads any file. So
// the engine's parser shows the tree of the statement, in which no function may be one of those and no settings may be set.
// The same is looked for in the text, since the engine does not show the whole tree of every statement.
func (b *bridge) readerMayRun(c *conn, sql string, params []setting) error {
	class, _ := c.classify(sql)
	switch firstWord(sql) {
	case "SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN":
	default:
		if class == classUnknown {
			break // the engine tells what is wrong with it
		}
		return refuse(codeReadonly, "Cannot execute query in readonly mode")
	}
	if class != classRead && class != classUnknown {
		return refuse(codeReadonly, "Cannot execute query in readonly mode")
	}
	names, settings := calls(sql)
	if settings {
		return refuse(codeReadonly, "Cannot modify settings in readonly mode by a SETTINGS clause; give them as parameters of the request")
	}
	for _, name := range names {
		if b.denied[name] {
			return refuse(codeReadonly, "function '%s' is forbidden in readonly mode", name)
		}
	}
	if firstWord(sql) == "SHOW" && strings.Contains(sql, "(") {
		// SHOW ... WHERE may hold whole queries, which its tree does not show.
		return refuse(codeReadonly, "SHOW with parentheses is forbidden in readonly mode")
	}
	r, err := c.query("EXPLAIN AST "+sql, "TabSeparatedRaw", params)
	if err != nil {
		return err
	}
	defer r.free()
	for line := range strings.Lines(string(r.bytes())) {
		line = strings.TrimSpace(line)
		if line == "Set" || strings.HasPrefix(line, "Set ") {
			return refuse(codeReadonly, "Cannot modify settings in readonly mode by a SETTINGS clause; give them as parameters of the request")
		}
		name, isFunction := strings.CutPrefix(line, "Function ")
		name, _, _ = strings.Cut(name, " (")
		if isFunction && b.denied[strings.ToLower(name)] {
			return refuse(codeReadonly, "function '%s' is forbidden in readonly mode", name)
		}
	}
	return nil
}
