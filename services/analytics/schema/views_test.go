package schema_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/skein-cx/skein/services/analytics/schema"
)

var forEver = at("2262-04-11") // nearly the last day that the driver can write

func TestViews(t *testing.T) {
	t.Parallel()
	h := newWorld(t).migrated("views")
	for name, test := range map[string]func(h *house){
		"agents and queues are the directory's, at their moment":             lookedUpDirectory,
		"a merge, a split and a conversation show in facts that stand there": lookedUpLinks,
		"the directory has a history":                                        directoryHistory,
		"facts collapse within their partition":                              collapseInPartition,
		"a reader who may change no setting reads every view":                readOnly,
		"row policies cover every table that has tenants":                    policies,
		"everything has a comment":                                           comments,
		"views say of a column what its table says":                          sameComments,
		"the columns of views have the types that they declare":              declaredTypes,
		"the dictionary of data has every table, view and column":            dictionary,
	} {
		t.Run(name, func(t *testing.T) { test(h.in(t)) })
	}
}

// reload shows what was written to a table of dimensions.
func (h *house) reload(table string) {
	h.t.Helper()
	names := schema.Dictionaries(table)
	if len(names) == 0 {
		h.t.Fatal(table)
	}
	for _, name := range names {
		h.exec("SYSTEM RELOAD DICTIONARY " + name)
	}
}

func entry(tenant, kind, id, name, from string, until time.Time, teams ...string) row {
	return row{
		"tenant": tenant, "kind": kind, "id": id, "name": name, "teams": teams, "valid_from": at(from), "valid_until": until, "version": uint64(1), "removed": false,
	}
}

func native(kind, provider, word, id string, until time.Time) row {
	return row{
		"tenant": "dir", "kind": kind, "provider": provider, "native": word, "id": id, "valid_from": at("2020-01-01"), "valid_until": until, "version": uint64(1), "removed": false,
	}
}

func lookedUpDirectory(h *house) {
	h.insert(of("directory_entries",
		entry("dir", "agent", "ann", "Ann", "2020-01-01", at("2026-03-01"), "north"),
		entry("dir", "agent", "ann", "Ann Li", "2026-03-01", forEver, "south", "vip"),
		entry("dir", "agent", "bob", "Bob", "2020-01-01", at("2026-02-01"), "north"), // has left
		entry("dir", "queue", "sales", "Sales 销售", "2020-01-01", forEver, "north"),
		entry("other", "agent", "ann", "Somebody else", "2020-01-01", forEver)))
	h.insert(of("native_ids",
		native("agent", "", "1001", "ann", forEver),
		native("agent", "asterisk", "1001", "bob", at("2026-01-15")),
		native("queue", "", "700", "sales", forEver)))
	h.reload("directory_entries")
	h.reload("native_ids")
	a := func(n int, begun string) row {
		return assignment("dir", n, begun, begun).with("assignment", id(n))
	}
	h.insert(of("assignment_facts",
		a(1, "2026-01-14 23:59:59.999"), // Asterisk's 1001 was Bob
		a(2, "2026-01-15 00:00:00"),
		a(3, "2026-03-01 00:00:00"),
		a(4, "2026-03-01 00:00:00").with("agent", "1002").with("queue", ""), // of whom the directory knows nothing
		a(5, "2026-03-01 00:00:00").with("provider", "twilio")))
	h.is("SELECT ordinal, agent, agent_id, agent_name, agent_teams, queue_id, queue_name FROM assignments WHERE tenant = 'dir' ORDER BY assignment",
		`0 1001 bob Bob ["north"] sales Sales 销售`,
		`0 1001 ann Ann Li ["north"] sales Sales 销售`,
		`0 1001 ann Ann Li ["south","vip"] sales Sales 销售`,
		`0 1002 1002 1002 [] - -`,
		`0 1001 ann Ann Li ["south","vip"] sales Sales 销售`)
	h.is(`SELECT toString(start), queue_id, agent_id, agent_name, handled FROM assignment_intervals(step = 'month', tz = 'UTC', since = '2026-01-01', until = '2026-02-01')
		WHERE tenant = 'dir' AND attribution = 'ended' ORDER BY ALL`,
		"2026-01-01 00:00:00 sales ann Ann Li 1", "2026-01-01 00:00:00 sales bob Bob 1")

	// Another row of a higher version counts, and one that was taken back does not.
	later := native("agent", "asterisk", "1001", "carl", at("2026-01-15"))
	later["version"] = uint64(2)
	h.insert(of("native_ids", later))
	h.reload("native_ids")
	h.is("SELECT agent_id FROM assignments WHERE tenant = 'dir' AND assignment = '"+id(1).String()+"'", "carl")
	gone := later.with("version", uint64(3)).with("removed", true)
	h.insert(of("native_ids", gone))
	h.reload("native_ids")
	h.is("SELECT agent_id FROM assignments WHERE tenant = 'dir' AND assignment = '"+id(1).String()+"'", "ann")

	h.insert(of("visit_facts", visit("dir", 1, "2026-03-02 09:00:00", "2026-03-02 09:00:05", "answered").with("queue", "700")))
	h.is("SELECT queue_id, queue_name, queue_teams, agent_id FROM queue_visits WHERE tenant = 'dir'", `sales Sales 销售 ["north"] -`)
	h.insert(of("agent_state_facts", row{
		"tenant": "dir", "agent": "ann", "day": at("2026-02-28"), "started_at": at("2026-02-28"), "ended_at": at("2026-03-01"), "sign": int8(1),
	}))
	h.is("SELECT agent, agent_name, agent_teams FROM agent_states WHERE tenant = 'dir'", `ann Ann Li ["north"]`)
}

func lookedUpLinks(h *house) {
	customer, other := id(100), id(101)
	fact := func(n int, started string, endpoint uuid.UUID) row {
		return row{
			"tenant": "links", "interaction": id(n), "thread": thread, "started_at": at(started), "last_activity_at": at(started), "endpoint": endpoint,
			"customer_then": endpoint, "sign": int8(1),
		}
	}
	h.insert(of("interaction_facts", fact(1, "2026-03-01", id(50)), fact(2, "2026-03-02", id(50)), fact(3, "2026-03-03", id(51))))
	look := fmt.Sprintf(`SELECT multiIf(customer = endpoint, 'itself', customer = '%s', 'A', customer = '%s', 'B', '?'), conversation = interaction
		FROM interactions WHERE tenant = 'links' ORDER BY started_at`, customer, other)
	h.reload("customer_endpoints")
	h.reload("conversation_interactions")
	h.is(look, "itself 1", "itself 1", "itself 1")
	link := func(endpoint uuid.UUID, from string, until time.Time, customer uuid.UUID, version uint64, removed bool) row {
		return row{"tenant": "links", "endpoint": endpoint, "valid_from": at(from), "valid_until": until, "customer": customer, "version": version, "removed": removed}
	}
	// A number that changed hands at the second of March.
	h.insert(of("customer_endpoints", link(id(50), "2000-01-01", at("2026-03-02"), customer, 1, false), link(id(50), "2026-03-02", forEver, other, 1, false)))
	h.insert(of("conversation_interactions", row{"tenant": "links", "interaction": id(2), "conversation": id(1), "version": uint64(1), "removed": false}))
	h.reload("customer_endpoints")
	h.reload("conversation_interactions")
	h.is(look, "A 1", "B 0", "itself 1")
	h.insert(of("customer_endpoints", link(id(50), "2026-03-02", forEver, customer, 2, false), link(id(51), "2000-01-01", forEver, customer, 2, false)))
	h.reload("customer_endpoints")
	h.is(look, "A 1", "A 0", "A 1")
	h.insert(of("customer_endpoints", link(id(51), "2000-01-01", forEver, customer, 3, true)))
	h.insert(of("conversation_interactions", row{"tenant": "links", "interaction": id(2), "conversation": id(1), "version": uint64(2), "removed": true}))
	h.reload("customer_endpoints")
	h.reload("conversation_interactions")
	h.is(look, "A 1", "A 1", "itself 1")
	attribute := func(n int, endpoint uuid.UUID) row {
		return row{"tenant": "links", "interaction": id(n), "endpoint": endpoint, "customer": other, "version": uint64(1), "removed": false}
	}
	h.insert(of("interaction_customers", attribute(1, uuid.UUID{}), attribute(2, id(51)), attribute(3, id(51))))
	h.reload("interaction_customers")
	h.is(look, "B 1", "A 1", "B 1") // the second was attributed for another endpoint
}

func directoryHistory(h *house) {
	h.insert(of("directory_entries",
		entry("history", "queue", "q", "Old", "2020-01-01", at("2021-01-01")),
		entry("history", "queue", "q", "New", "2021-01-01", forEver),
		entry("history", "team", "t", "Team", "2020-01-01", forEver),
		entry("history", "agent", "a", "Agent", "2020-01-01", forEver, "t")))
	h.is("SELECT queue_id, queue_name, current FROM queues WHERE tenant = 'history' ORDER BY valid_from", "q Old false", "q New true")
	h.is("SELECT team_id, team_name FROM teams WHERE tenant = 'history' AND current", "t Team")
	h.is("SELECT agent_id, agent_name, teams FROM agents WHERE tenant = 'history' AND current", `a Agent ["t"]`)
}

// collapseInPartition: what takes a row back has its key, and so stands in its partition, whatever has changed.
func collapseInPartition(h *house) {
	was := visit("collapse", 1, "2026-01-31 23:59:59", "2026-02-01 00:00:05", "answered")
	h.insert(of("visit_facts", was))
	is := was.with("entered_at", at("2026-02-01")) // an earlier event was told late
	h.insert(of("visit_facts", was.back(), is))
	h.is("SELECT entered_at FROM queue_visits WHERE tenant = 'collapse'", "2026-02-01T00:00:00Z")
	h.is("SELECT count(), uniq(_partition_id) FROM visit_facts WHERE tenant = 'collapse'", "3 2")
	for _, table := range h.lines("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'CollapsingMergeTree'") {
		key := h.lines("SELECT partition_key, sorting_key FROM system.tables WHERE database = currentDatabase() AND name = '" + table + "'")[0]
		column := strings.TrimSuffix(strings.TrimPrefix(strings.Fields(key)[0], "toYYYYMM("), ")")
		if column != "day" && !strings.Contains(key, "toStartOfHour("+column+")") {
			h.t.Errorf("%s: the hour of %s, by which it is partitioned, is no part of its key: %s", table, column, key)
		}
	}
}

func readOnly(h *house) {
	for _, view := range h.lines("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' AND NOT create_table_query LIKE '%{step:String}%'") {
		ctx := clickhouse.Context(h.t.Context(), clickhouse.WithSettings(clickhouse.Settings{"readonly": 1}))
		if _, err := lines(ctx, h.Warehouse, "SELECT * FROM "+view+" LIMIT 1"); err != nil {
			h.t.Errorf("%s: %v", view, err)
		}
	}
}

func comments(h *house) {
	if got := h.lines("SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"); len(got) > 0 {
		h.t.Errorf("tables without a comment: %q", got)
	}
	got := h.lines(`SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' AND table NOT LIKE '%_mv'
		AND table NOT IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'Dictionary')`)
	if len(got) > 0 {
		h.t.Errorf("columns without a comment: %q", got)
	}
}

func sameComments(h *house) {
	for view, table := range map[string]string{
		"interactions": "interaction_facts", "queue_visits": "visit_facts", "assignments": "assignment_facts", "slas": "sla_facts", "agent_states": "agent_state_facts",
	} {
		columns := func(of string) []string {
			return h.lines("SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = ? ORDER BY position", of)
		}
		have := columns(view)
		for _, c := range columns(table) {
			if !strings.HasPrefix(c, "sign ") && !slices.Contains(have, c) {
				h.t.Errorf("%s lacks what %s has: %s", view, table, c)
			}
		}
	}
}

func declaredTypes(h *house) {
	for _, view := range h.lines("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' AND NOT create_table_query LIKE '%{step:String}%'") {
		types := func(what string) (out []string) {
			for _, line := range h.lines("DESCRIBE TABLE " + what) {
				name, rest, _ := strings.Cut(line, " ")
				typ, _, _ := strings.Cut(rest, " - ")
				out = append(out, name+" "+typ)
			}
			return out
		}
		declared, is := types(view), types("(SELECT * FROM "+view+")")
		for i, d := range declared {
			if d != is[i] {
				h.t.Errorf("%s declares %s and has %s", view, d, is[i])
			}
		}
	}
}

func policies(h *house) {
	statements, err := schema.Access("views", schema.Config{}, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, table := range h.lines(`SELECT table FROM system.columns WHERE database = currentDatabase() AND name = 'tenant'
		AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')`) {
		if !strings.Contains(statements, "`views`."+table+",") && !strings.Contains(statements, "`views`."+table+" ") {
			h.t.Errorf("%s: every reader sees the rows of every tenant", table)
		}
	}
	if _, err := lines(h.t.Context(), h.Warehouse, "SELECT tenant FROM progress"); err == nil {
		h.t.Error("progress has tenants")
	}
}
