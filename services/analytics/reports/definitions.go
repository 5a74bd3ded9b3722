package reports

import (
	"fmt"
	"strings"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// Definitions writes, as Markdown, what each metric is beside the SQL that computes it: the statements that the server runs for one period
// without filters and groups. In them stand {tenant:String} for the tenant, {from:Int64} and {until:Int64} for the period in milliseconds of
// Unix time, and the parameters of the definitions.
func Definitions() string {
	q := &query{edges: []time.Time{{}}, zone: time.UTC}
	var b strings.Builder
	for _, m := range newCatalogue().metrics {
		fmt.Fprintf(&b, "### %s\n\n`%s` (%s), of %s. %s\n\n%sDimensions: %s.\n\n", m.title, m.name, m.unit, m.numerator.of.subject, m.definition,
			way(m.better), strings.Join(m.dims, ", "))
		m.explain(&b, q)
		if m.inRealTime != nil {
			split := *q
			split.attribution = analyticsv1.Attribution_ATTRIBUTION_REAL_TIME
			b.WriteString("By real time, what is divided is\n\n")
			fence(&b, split.statement(m.inRealTime.how(), []measure{*m.inRealTime}, nil, false, false), "numerator")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// way says which way is the good one.
func way(b analyticsv1.Better) string {
	switch b {
	case analyticsv1.Better_BETTER_HIGHER:
		return "More is better. "
	case analyticsv1.Better_BETTER_LOWER:
		return "Less is better. "
	case analyticsv1.Better_BETTER_UNSPECIFIED:
	}
	return ""
}

// explain writes the statements of a metric.
func (m *metric) explain(b *strings.Builder, q *query) {
	parts := m.halves(q)
	if len(parts) == 2 && parts[0].measure.how() == parts[1].measure.how() {
		fence(b, q.statement(parts[0].measure.how(), []measure{parts[0].measure, parts[1].measure}, nil, false, false), "numerator", "denominator")
		return
	}
	for n, part := range parts {
		name := "numerator"
		switch {
		case part.as.denominator:
			name = "denominator"
		case part.as.sign < 0:
			name = "gone"
		}
		if n > 0 {
			b.WriteString(map[bool]string{true: "divided by\n\n", false: "less\n\n"}[part.as.denominator])
		}
		fence(b, q.statement(part.measure.how(), []measure{part.measure}, nil, false, false), name)
	}
}

// fence writes a statement, its columns by name.
func fence(b *strings.Builder, sql string, names ...string) {
	for n, name := range names {
		sql = strings.Replace(sql, fmt.Sprintf(" AS n%d", n+1), " AS "+name, 1)
	}
	fmt.Fprintf(b, "```sql\n%s\n```\n\n", sql)
}
