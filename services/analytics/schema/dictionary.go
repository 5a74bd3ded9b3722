package schema

import (
	"context"
	"fmt"
	"strings"

	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// Dictionary writes the data dictionary of a migrated warehouse as Markdown: every table and view with its columns, types and comments.
// What only serves others is left out: local shares, materialised views, the version table.
func Dictionary(ctx context.Context, w *warehouse.Warehouse) (string, error) {
	tables, err := describe(ctx, w)
	if err != nil {
		return "", fmt.Errorf("schema: describe the database: %w", err)
	}
	var b strings.Builder
	kind := ""
	for _, t := range tables {
		if t.kind != kind {
			kind = t.kind
			fmt.Fprintf(&b, "## %s\n\n", kind)
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n", t.name, cell(t.comment))
		for _, c := range t.columns {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, cell(c.typ), cell(c.comment))
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// cell is a text as it may stand in a table of Markdown.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

// described is a table or a view.
type described struct {
	kind, name, comment string
	columns             []column
}

type column struct{ name, typ, comment string }

// parameters are some that every parameterised view takes.
const parameters = "(step = 'day', tz = 'UTC', since = '2000-01-01', until = '2000-01-02')"

func describe(ctx context.Context, w *warehouse.Warehouse) ([]described, error) {
	rows, err := w.Query(ctx, `SELECT multiIf(t.create_table_query LIKE '%{step:String}%', 'Views with parameters', t.engine = 'View', 'Views',
			t.engine = 'Dictionary', 'Dictionaries', 'Tables') AS kind, t.name, if(t.comment = '', l.comment, t.comment)
		FROM system.tables AS t LEFT JOIN system.tables AS l ON l.database = t.database AND l.name = concat(t.name, '_local')
		WHERE t.database = currentDatabase() AND t.engine != 'MaterializedView' AND NOT endsWith(t.name, '_local') AND t.name != '`+versionTable+`'
		ORDER BY indexOf(['Views', 'Views with parameters', 'Tables', 'Dictionaries'], kind), t.name`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []described
	for rows.Next() {
		var t described
		if err := rows.Scan(&t.kind, &t.name, &t.comment); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i, t := range out {
		from := t.name
		if t.kind == "Views with parameters" {
			from = "(SELECT * FROM " + from + parameters + ")"
		}
		if out[i].columns, err = columns(ctx, w, from); err != nil {
			return nil, err
		}
	}
	explain(out)
	return out, nil
}

func columns(ctx context.Context, w *warehouse.Warehouse, from string) ([]column, error) {
	rows, err := w.Query(ctx, "DESCRIBE TABLE "+from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []column
	for rows.Next() {
		var c column
		var other string
		if err := rows.Scan(&c.name, &c.typ, &other, &other, &c.comment, &other, &other); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// explain adds comments where ClickHouse takes none: a column of a parameterised view means what it means in its rollup.
func explain(tables []described) {
	known := map[string]string{
		"start":      "First moment of the interval, in the time zone tz.",
		"queue_id":   "Queue by the directory, when it happened; the connector's word where the directory does not know it.",
		"queue_name": "The queue's name now.",
		"agent_id":   "Agent by the directory, when it happened; the connector's word where the directory does not know it.",
		"agent_name": "The agent's name now.",
	}
	for _, t := range tables {
		if rollup, is := strings.CutSuffix(t.name, "_quarters"); is {
			for _, c := range t.columns {
				known[rollup+"_intervals."+c.name] = c.comment
			}
		}
	}
	for _, t := range tables {
		for i, c := range t.columns {
			if c.comment == "" && t.kind == "Views with parameters" {
				t.columns[i].comment = known[t.name+"."+c.name]
				if t.columns[i].comment == "" {
					t.columns[i].comment = known[c.name]
				}
			}
		}
	}
}
