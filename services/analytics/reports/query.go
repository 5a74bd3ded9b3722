package reports

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// query is what is asked about rows, checked: which count, in which of the intervals of a period, and how they are told apart.
type query struct {
	from, until time.Time // to a millisecond
	edges       []time.Time
	zone        *time.Location
	step        analyticsv1.Step
	attribution analyticsv1.Attribution
	identity    analyticsv1.Identity
	history     bool // imported history counts
	group       []dimension
	filters     []filter
	args        map[string]any // what the definitions ask for
}

type filter struct {
	dimension
	field   string
	values  []string
	exclude bool
}

// over is the query about another period.
func (q *query) over(from, until time.Time) (*query, error) {
	edges, err := begins(from, until, q.step, q.zone)
	if err != nil {
		return nil, err
	}
	out := *q
	out.from, out.until, out.edges = from, until, edges
	return &out, nil
}

// how is what measures have in common that one statement can compute.
type how struct {
	of     *source
	at     string
	moving bool
}

// how tells how a measure is computed.
func (m measure) how() how { return how{of: m.of, at: m.at, moving: m.moving} }

// attributed is a measure as it counts by the attribution that is asked for.
func (q *query) attributed(m measure) measure {
	if q.attribution == analyticsv1.Attribution_ATTRIBUTION_DISCONNECT && !m.fixed && !m.moving && m.of.disconnect != "" {
		occurred := m.at + " IS NOT NULL"
		if m.where != always {
			occurred += " AND " + enclosed(m.where)
		}
		m.at, m.where = m.of.disconnect, occurred
	}
	return m
}

// always is the condition of a measure that every row fulfils.
const always = "1"

// value is what a row adds to a measure.
func (m measure) value() string {
	if m.add == "" {
		return "1"
	}
	return m.add
}

// aggregate adds a measure up.
func (m measure) aggregate() string {
	switch {
	case m.add == "" && m.where == always:
		return "count()"
	case m.add == "":
		return "countIf(" + m.where + ")"
	case m.where == always:
		return string(m.agg) + "(" + m.add + ")"
	default:
		return string(m.agg) + "If(" + m.add + ", " + m.where + ")"
	}
}

// expression gives the SQL of a dimension's value.
func (q *query) expression(h how, d dimension) string {
	moment := "assumeNotNull(" + h.at + ")"
	switch {
	case d.name == dimWeekday:
		return "toString(toDayOfWeek(" + moment + ", 0, {zone:String}))"
	case d.name == dimHour:
		return "toString(toHour(" + moment + ", {zone:String}))"
	case d.name == dimCustomer && q.identity == analyticsv1.Identity_IDENTITY_THEN:
		return h.of.dims[asThen]
	case d.list:
		return "if(empty(" + h.of.dims[d.name] + "), [''], arrayMap(x -> toString(x), " + h.of.dims[d.name] + "))"
	default:
		return "toString(" + h.of.dims[d.name] + ")"
	}
}

// conditions tell which rows count at all: of the tenant, in the period, with what the filters ask for.
func (q *query) conditions(h how) []string {
	var all []string
	if !h.moving {
		all = append(all,
			h.of.alias+".tenant = {tenant:String}",
			h.at+" >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')",
			h.at+" < fromUnixTimestamp64Milli({until:Int64}, 'UTC')",
		)
	}
	if !q.history && h.of.backfill {
		all = append(all, "NOT "+h.of.alias+".backfill")
	}
	if h.of.where != "" {
		all = append(all, h.of.where)
	}
	for n, f := range q.filters {
		expr, values := q.expression(h, f.dimension), fmt.Sprintf("{filter%d:Array(String)}", n)
		if f.list {
			expr = "hasAny(" + expr + ", " + values + ")"
		} else {
			expr += " IN " + values
		}
		if f.exclude {
			expr = "NOT (" + expr + ")"
		}
		all = append(all, expr)
	}
	return all
}

// with puts in what depends on the identity.
func (q *query) with(sql string) string {
	customer := "customer"
	if q.identity == analyticsv1.Identity_IDENTITY_THEN {
		customer = "customer_then"
	}
	return strings.ReplaceAll(sql, "{{customer}}", customer)
}

var aliases = regexp.MustCompile(`\b[a-z]\.`)

// tables are what stands behind FROM, so that expressions find what they name.
func (s *source) tables(expressions ...string) string {
	needed := map[string]bool{}
	note := func(text string) {
		for _, alias := range aliases.FindAllString(text, -1) {
			needed[strings.TrimSuffix(alias, ".")] = true
		}
	}
	for _, e := range expressions {
		note(e)
	}
	var joins []string
	for _, l := range slices.Backward(s.links) {
		if needed[l.alias] {
			note(l.join)
			joins = append(joins, "\n"+l.join)
		}
	}
	slices.Reverse(joins)
	return s.from + strings.Join(joins, "")
}

// statement computes measures that count alike. Its columns are bucket (the begin of the interval in seconds of Unix time), g1, g2 and so on
// for the dimensions, and n1, n2 and so on for the measures. With a total, a row of everything comes besides, of which whole is 1.
func (q *query) statement(h how, measures []measure, group []dimension, intervals, total bool) string {
	columns, keys := []string{}, []string{}
	if intervals {
		columns = append(columns, "toInt64(roundDown(toUnixTimestamp(assumeNotNull("+h.at+")), {edges:Array(Int64)})) AS bucket")
		keys = append(keys, "bucket")
	}
	for n, d := range group {
		expr := q.expression(h, d)
		if d.list {
			expr = "arrayJoin(" + expr + ")"
		}
		columns = append(columns, fmt.Sprintf("%s AS g%d", expr, n+1))
		keys = append(keys, fmt.Sprintf("g%d", n+1))
	}
	if total && len(keys) > 0 {
		columns = append(columns, "grouping("+keys[0]+") AS whole")
	}
	conditions := make([]string, len(measures))
	for n, m := range measures {
		conditions[n] = m.where
	}
	slices.Sort(conditions)
	conditions = slices.Compact(conditions)
	for n, m := range measures {
		if len(conditions) == 1 {
			m.where = always
		}
		columns = append(columns, fmt.Sprintf("%s AS n%d", m.aggregate(), n+1))
	}
	where := q.conditions(h)
	switch {
	case slices.Contains(conditions, always):
	case len(conditions) == 1:
		where = append(where, enclosed(conditions[0]))
	default:
		where = append(where, "(("+strings.Join(conditions, ")\n        OR (")+"))")
	}
	if len(where) == 0 {
		where = []string{always}
	}
	sql := "SELECT\n    " + strings.Join(columns, ",\n    ") +
		"\nFROM " + h.of.tables(slices.Concat(columns, where)...) +
		"\nWHERE " + strings.Join(where, "\n    AND ")
	switch {
	case len(keys) > 0 && total:
		sql += "\nGROUP BY GROUPING SETS ((" + strings.Join(keys, ", ") + "), ())"
	case len(keys) > 0:
		sql += "\nGROUP BY " + strings.Join(keys, ", ")
	}
	return q.with(sql)
}

// enclosed is a condition that others can stand beside.
func enclosed(condition string) string {
	if strings.Contains(condition, " OR ") {
		return "(" + condition + ")"
	}
	return condition
}

// shape is how the rows of a statement are told apart.
type shape struct {
	group     []dimension
	intervals bool
	total     bool // with a row of everything
}

// keys is how many columns tell rows apart.
func (s shape) keys() int {
	if s.intervals {
		return len(s.group) + 1
	}
	return len(s.group)
}

// cells is a statement whose rows are (whole, bucket, group, values), whatever its dimensions and measures.
func (q *query) cells(h how, measures []measure, s shape, most int) string {
	whole, bucket, names, values := "1", "0", make([]string, len(s.group)), make([]string, len(measures))
	if s.intervals {
		bucket = "bucket"
	}
	switch {
	case s.keys() > 0 && s.total:
		whole = "whole"
	case s.keys() > 0:
		whole = "0"
	}
	for n := range names {
		names[n] = fmt.Sprintf("g%d", n+1)
	}
	for n := range values {
		values[n] = fmt.Sprintf("toFloat64(ifNull(n%d, 0))", n+1)
	}
	return fmt.Sprintf("SELECT toUInt8(%s), toInt64(%s), CAST([%s], 'Array(String)'), [%s] FROM (\n%s\n) LIMIT %d",
		whole, bucket, strings.Join(names, ", "), strings.Join(values, ", "), q.statement(h, measures, s.group, s.intervals, s.total), most)
}

var parameter = regexp.MustCompile(`\{([a-z_0-9]+):[A-Za-z0-9()]+\}`)

// arguments are the parameters that a statement names.
func (q *query) arguments(sql string, h how, more map[string]any) ([]any, error) {
	all := maps.Clone(q.args)
	maps.Copy(all, more)
	all["from"], all["until"], all["zone"], all["backfill"] = q.from.UnixMilli(), q.until.UnixMilli(), q.zone.String(), q.history
	all["edges"] = seconds(q.edges)
	all["since"] = int64(0) // what ends in the period may have begun at any time
	if repeat, ok := q.args["repeat"].(int64); ok && q.attribution != analyticsv1.Attribution_ATTRIBUTION_DISCONNECT {
		all["since"] = max(0, q.from.UnixMilli()-repeat)
	}
	if h.moving {
		cuts, err := q.cuts()
		if err != nil {
			return nil, err
		}
		all["cuts"] = cuts
	}
	for n, f := range q.filters {
		all[fmt.Sprintf("filter%d", n)] = f.values
	}
	var named []any
	seen := map[string]bool{}
	for _, p := range parameter.FindAllStringSubmatch(sql, -1) {
		if name := p[1]; !seen[name] {
			seen[name] = true
			named = append(named, clickhouse.Named(name, all[name]))
		}
	}
	return named, nil
}

// cuts are where stretches of time are split, and a last one behind the period.
func (q *query) cuts() ([]int64, error) {
	cuts := slices.Clone(q.edges)
	for _, of := range []struct {
		name string
		step analyticsv1.Step
	}{{dimWeekday, analyticsv1.Step_STEP_DAY}, {dimHour, analyticsv1.Step_STEP_HOUR}} {
		if q.asks(of.name) {
			more, err := begins(q.from, q.until, of.step, q.zone)
			if err != nil {
				return nil, err
			}
			cuts = append(cuts, more...)
		}
	}
	slices.SortFunc(cuts, time.Time.Compare)
	last := q.until.Add(time.Second - 1).Unix()
	out := slices.Compact(seconds(cuts))
	if out[len(out)-1] >= last {
		last = out[len(out)-1] + 1
	}
	return append(out, last), nil
}

func (q *query) asks(dim string) bool {
	return slices.ContainsFunc(q.group, func(d dimension) bool { return d.name == dim }) ||
		slices.ContainsFunc(q.filters, func(f filter) bool { return f.name == dim })
}

func seconds(of []time.Time) []int64 {
	out := make([]int64, len(of))
	for n, t := range of {
		out[n] = t.Unix()
	}
	return out
}

func join(conditions []string) string { return strings.Join(conditions, "\n    AND ") }
