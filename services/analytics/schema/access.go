package schema

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed access.sql
var access string

// Access writes the statements that make roles, row policies, quotas and a settings profile on a server, for an administrator to run once
// Migrate was run: skein_writer for Skein itself; skein_reader_all for readers of every tenant; and for those of one tenant
// skein_reader_<tenant>, which sees the rows of that tenant and no others. The engine that a process carries with it knows no access control.
//
// Dictionaries have no rows to keep from anybody: who may read views can ask them for names under ids of another tenant.
func Access(database string, cfg Config, tenants []string) (string, error) {
	t, err := newTarget(clickhouse.Options{Auth: clickhouse.Auth{Database: database}}, cfg)
	if err != nil {
		return "", err
	}
	for _, tenant := range tenants {
		if !regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`).MatchString(tenant) {
			return "", fmt.Errorf("schema: tenant %q: letters, digits, _, . and -, at most 64", tenant)
		}
	}
	functions := t.functions()
	maps.Copy(functions, template.FuncMap{
		"quote":  quote,
		"role":   func(tenant string) string { return identifier("skein_reader_" + tenant) },
		"name":   func(suffix ...string) string { return identifier(t.database + strings.Join(suffix, "")) },
		"builds": func() []string { return []string{"_build", "_build_facts"} }, // as the sink and the mirror name them
		"tables": t.tenantTables,
	})
	tmpl, err := template.New("access.sql").Funcs(functions).Parse(access)
	if err != nil {
		return "", fmt.Errorf("schema: access.sql: %w", err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, tenants); err != nil {
		return "", fmt.Errorf("schema: access.sql: %w", err)
	}
	return b.String(), nil
}

// tenantTables are the tables that have rows of tenants, local shares as well.
func (t *target) tenantTables() string {
	names := slices.Concat(RetentionTables(), rollups(), []string{"directory_entries", "native_ids", "rejected_events", "customer_endpoints", "conversation_interactions", "interaction_customers"})
	for _, name := range slices.Concat(RetentionTables(), rollups()) {
		if t.Sharded {
			names = append(names, t.local(name))
		}
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = identifier(t.database) + "." + name
	}
	return strings.Join(names, ", ")
}

func rollups() []string {
	return []string{
		"agent_activity_quarters", "agent_state_quarters", "assignment_quarters", "event_hours", "interaction_quarters", "message_quarters", "visit_quarters",
	}
}
