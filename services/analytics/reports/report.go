package reports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// Report computes metrics.
func (s *Server) Report(ctx context.Context, req *analyticsv1.ReportRequest) (*analyticsv1.ReportResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	q, other, metrics, err := s.plan(caller.Tenant, req)
	if err != nil {
		return nil, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.contained(ctx, req.GetMinPositions()); err != nil {
		return nil, err
	}
	fresh, err := s.freshness(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.compute(ctx, q, metrics)
	if err != nil {
		return nil, err
	}
	var then *table
	if other != nil {
		if then, err = s.compute(ctx, other, metrics); err != nil {
			return nil, err
		}
	}
	resp := &analyticsv1.ReportResponse{Total: &analyticsv1.Row{Values: now.total(metrics)}, Freshness: fresh}
	if then != nil {
		resp.Total.Before = then.total(metrics)
	}
	if resp.Rows, err = show(q, metrics, now, then, int(req.GetTop())); err != nil {
		return nil, err
	}
	return resp, s.name(ctx, caller.Tenant, q.group, resp.GetRows())
}

// plan checks a request. other is the query about the period that is compared with; nil where none is.
func (s *Server) plan(tenant string, req *analyticsv1.ReportRequest) (q, other *query, metrics []*metric, err error) {
	var wrong wrongs
	q = s.ask(tenant, req.GetScope(), req.GetStep(), &wrong)
	for n, name := range req.GetGroupBy() {
		d, err := s.dimension(name)
		if err != nil {
			wrong.add(fmt.Sprintf("group_by[%d]", n), "%v", err)
			continue
		}
		q.group = append(q.group, d)
	}
	for n, name := range req.GetMetrics() {
		metrics = append(metrics, s.metric(fmt.Sprintf("metrics[%d]", n), name, q, &wrong))
	}
	start, end := q.from, q.from
	switch {
	case req.GetCompare() != nil && req.GetCompareBefore():
		wrong.add("compare", "compare_before asks for another period")
	case req.GetCompare() != nil:
		start, end = q.period("compare", req.GetCompare(), s.cfg.Now(), &wrong)
	case req.GetCompareBefore() && len(wrong) == 0:
		if start = before(q.from, q.until, q.zone); start.Before(earliest()) {
			wrong.add("compare_before", "that is before the year 2000")
		}
	}
	if len(wrong) > 0 {
		return nil, nil, nil, rpc.Invalid(wrong...)
	}
	if q, err = q.over(q.from, q.until); err == nil && start.Before(end) {
		other, err = q.over(start, end)
	}
	if err == nil && len(q.edges)*len(metrics) > mostCells {
		err = errTooMuch
	}
	if err != nil {
		return nil, nil, nil, rpc.OutOfRange(err)
	}
	return q, other, metrics, nil
}

// place is where a value stands: in which interval, and of which group.
type place struct {
	interval int
	group    string // values of dimensions, each behind its length
}

func groupOf(values []string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%d:%s", len(v), v)
	}
	return b.String()
}

// pair is numerator and denominator.
type pair struct{ numerator, denominator float64 }

// table is what was computed of metrics.
type table struct {
	groups map[string][]string
	cells  []map[place]pair // by metric
	totals []pair
}

// half is a numerator or denominator of a metric, by its place in the metrics.
type half struct {
	metric      int
	denominator bool
	sign        float64
}

// compute runs the statements of a query.
func (s *Server) compute(ctx context.Context, q *query, metrics []*metric) (*table, error) {
	t := &table{groups: map[string][]string{}, cells: make([]map[place]pair, len(metrics)), totals: make([]pair, len(metrics))}
	var order []how
	measures, wanted := map[how][]measure{}, map[how][][]half{}
	want := func(m measure, as half) {
		h := m.how()
		if _, ok := measures[h]; !ok {
			order = append(order, h)
		}
		n := slices.Index(measures[h], m)
		if n < 0 {
			n = len(measures[h])
			measures[h], wanted[h] = append(measures[h], m), append(wanted[h], nil)
		}
		wanted[h][n] = append(wanted[h][n], as)
	}
	for n, m := range metrics {
		t.cells[n] = map[place]pair{}
		for _, half := range m.halves(q) {
			half.as.metric = n
			want(half.measure, half.as)
		}
	}
	interval := make(map[int64]int, len(q.edges))
	for n, e := range q.edges {
		interval[e.Unix()] = n
	}
	type answer struct {
		shape
		h     how
		cells []cell
	}
	var answers []*answer
	for _, h := range order {
		rows := shape{group: q.group, intervals: len(q.edges) > 1, total: true}
		if slices.ContainsFunc(q.group, func(d dimension) bool { return d.list }) { // what counts in several rows counts once in all
			rows.total = false
			answers = append(answers, &answer{h: h, shape: shape{total: true}})
		}
		answers = append(answers, &answer{h: h, shape: rows})
	}
	run, inner := errgroup.WithContext(ctx)
	run.SetLimit(atOnce)
	for _, a := range answers {
		run.Go(func() (err error) {
			a.cells, err = s.run(inner, q, a.h, measures[a.h], a.shape)
			return err
		})
	}
	if err := run.Wait(); err != nil {
		return nil, err
	}
	for _, a := range answers {
		for _, c := range a.cells {
			at := place{group: groupOf(c.group)}
			if a.intervals && !c.whole {
				at.interval = interval[c.bucket]
			}
			for n, halves := range wanted[a.h] {
				for _, half := range halves {
					t.add(half, at, c.whole, c.values[n])
				}
			}
			if !c.whole {
				t.groups[at.group] = c.group
			}
		}
	}
	if err := t.stand(q, metrics, s.cfg.Now()); err != nil {
		return nil, err
	}
	return t, nil
}

// halves are what a metric is computed of.
func (m *metric) halves(q *query) []struct {
	measure measure
	as      half
} {
	type part = struct {
		measure measure
		as      half
	}
	numerator := m.numerator
	if m.inRealTime != nil && q.attribution == analyticsv1.Attribution_ATTRIBUTION_REAL_TIME {
		numerator = *m.inRealTime
	}
	if m.standing {
		came, went := numerator, numerator
		const open = "i.started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')"
		came.at = "greatest(i.started_at, fromUnixTimestamp64Milli({from:Int64}, 'UTC'))"
		came.where = "ifNull(" + m.gone + " >= fromUnixTimestamp64Milli({from:Int64}, 'UTC'), 1)"
		came.fixed, went.fixed = true, true
		went.at, went.where = m.gone, open
		return []part{{came, half{sign: 1}}, {went, half{sign: -1}}}
	}
	parts := []part{{q.attributed(numerator), half{sign: 1}}}
	switch {
	case m.denominator != nil:
		parts = append(parts, part{q.attributed(*m.denominator), half{denominator: true, sign: 1}})
	case numerator.agg == highest:
		there := parts[0].measure
		there.agg, there.add = sum, ""
		parts = append(parts, part{there, half{denominator: true, sign: 1}})
	}
	return parts
}

func (t *table) add(h half, at place, total bool, value float64) {
	if value == 0 {
		return
	}
	value *= h.sign
	p := t.totals[h.metric]
	if !total {
		p = t.cells[h.metric][at]
	}
	if h.denominator {
		p.denominator += value
	} else {
		p.numerator += value
	}
	if total {
		t.totals[h.metric] = p
	} else {
		t.cells[h.metric][at] = p
	}
}

// stand makes of what came and went how many stood at the end of each interval that has begun.
func (t *table) stand(q *query, metrics []*metric, now time.Time) error {
	for n, m := range metrics {
		if !m.standing || len(q.edges) == 1 {
			continue
		}
		changes, groups := t.cells[n], map[string]bool{}
		for at := range changes {
			groups[at.group] = true
		}
		if len(groups)*len(q.edges) > mostRows {
			return rpc.OutOfRange(errTooMuch)
		}
		t.cells[n] = map[place]pair{}
		for group := range groups {
			stands := 0.0
			for i, begin := range q.edges {
				if stands += changes[place{i, group}].numerator; stands != 0 && begin.Before(now) {
					t.cells[n][place{i, group}] = pair{numerator: stands}
				}
			}
		}
	}
	return nil
}

func (t *table) total(metrics []*metric) []*analyticsv1.Value {
	var values []*analyticsv1.Value
	for n, m := range metrics {
		values = append(values, m.show(t.totals[n]))
	}
	return values
}

// show is a value of the metric.
func (m *metric) show(p pair) *analyticsv1.Value {
	v := &analyticsv1.Value{Numerator: m.scaled(p.numerator), Denominator: m.divisor(p.denominator)}
	switch {
	case m.numerator.agg == highest:
		v.Denominator = min(p.denominator, 1)
	case m.denominator == nil:
		v.Denominator = 1
	}
	if v.GetDenominator() != 0 {
		quotient := v.GetNumerator() / v.GetDenominator()
		v.Value = &quotient
	}
	return v
}

// show makes rows: one for each interval and group in which anything counts, in the period or in the one that is compared with.
func show(q *query, metrics []*metric, now, then *table, top int) ([]*analyticsv1.Row, error) {
	type line struct {
		place
		values []string
		row    *analyticsv1.Row
	}
	var lines []*line
	if len(q.edges) == 1 && len(q.group) == 0 {
		row := &analyticsv1.Row{Values: now.total(metrics)}
		if q.step != analyticsv1.Step_STEP_UNSPECIFIED {
			row.From = timestamppb.New(q.edges[0])
		}
		if then != nil {
			row.Before = then.total(metrics)
		}
		return []*analyticsv1.Row{row}, nil
	}
	byPlace := map[place]*line{}
	for _, t := range []*table{now, then} {
		if t == nil {
			continue
		}
		for _, cells := range t.cells {
			for at := range cells {
				if byPlace[at] == nil && at.interval < len(q.edges) {
					byPlace[at] = &line{place: at, values: t.groups[at.group]}
					lines = append(lines, byPlace[at])
				}
			}
		}
	}
	factor := 1
	if then != nil {
		factor = 2
	}
	if len(lines) > mostRows || len(lines)*len(metrics)*factor > mostCells {
		return nil, rpc.OutOfRange(errTooMuch)
	}
	slices.SortFunc(lines, func(a, b *line) int {
		return cmp.Or(slices.Compare(a.values, b.values), cmp.Compare(a.interval, b.interval))
	})
	for _, l := range lines {
		l.row = &analyticsv1.Row{Group: l.values}
		if q.step != analyticsv1.Step_STEP_UNSPECIFIED {
			l.row.From = timestamppb.New(q.edges[l.interval])
		}
		for n, m := range metrics {
			l.row.Values = append(l.row.Values, m.show(now.cells[n][l.place]))
			if then != nil {
				l.row.Before = append(l.row.Before, m.show(then.cells[n][l.place]))
			}
		}
	}
	if top > 0 {
		slices.SortStableFunc(lines, func(a, b *line) int {
			x, y := a.row.GetValues()[0], b.row.GetValues()[0]
			switch {
			case x.Value == nil || y.Value == nil:
				return cmp.Compare(missing(x), missing(y))
			default:
				return cmp.Compare(y.GetValue(), x.GetValue())
			}
		})
		lines = lines[:min(top, len(lines))]
	}
	rows := make([]*analyticsv1.Row, len(lines))
	for n, l := range lines {
		rows[n] = l.row
	}
	return rows, nil
}

func missing(v *analyticsv1.Value) int {
	if v.Value == nil {
		return 1
	}
	return 0
}

// cell is a row of a statement: of everything, or of an interval and a group.
type cell struct {
	whole  bool
	bucket int64
	group  []string
	values []float64
}

// run runs a statement.
func (s *Server) run(ctx context.Context, q *query, h how, measures []measure, as shape) (all []cell, err error) {
	sql := q.cells(h, measures, as, mostRows+2)
	args, err := q.arguments(sql, h, nil)
	if err != nil {
		return nil, rpc.OutOfRange(err)
	}
	rows, err := s.rows(ctx, "compute a report", sql, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Err
	for rows.Next() {
		var (
			c     cell
			whole uint8
		)
		if err := rows.Scan(&whole, &c.bucket, &c.group, &c.values); err != nil {
			return nil, s.failed(ctx, "read a report", err)
		}
		c.whole = whole == 1
		if all = append(all, c); len(all) > mostRows+1 {
			return nil, rpc.OutOfRange(errTooMuch)
		}
	}
	return all, s.failed(ctx, "read a report", rows.Err())
}

// mostNames are looked up at once.
const mostNames = 2_000

// name looks up names for people.
func (s *Server) name(ctx context.Context, tenant string, group []dimension, rows []*analyticsv1.Row) error {
	kinds := map[string][]string{}
	for n, d := range group {
		if d.kind == "" {
			continue
		}
		for _, row := range rows {
			if id := row.GetGroup()[n]; id != "" {
				kinds[d.kind] = append(kinds[d.kind], id)
			}
		}
	}
	names := map[[2]string]string{}
	for kind, ids := range kinds {
		slices.Sort(ids)
		for chunk := range slices.Chunk(slices.Compact(ids), mostNames) {
			if err := s.names(ctx, tenant, kind, chunk, names); err != nil {
				return err
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	for _, row := range rows {
		shown, named := make([]string, len(group)), false
		for n, d := range group {
			shown[n] = names[[2]string{d.kind, row.GetGroup()[n]}]
			named = named || shown[n] != ""
		}
		if named {
			row.Names = shown
		}
	}
	return nil
}

func (s *Server) names(ctx context.Context, tenant, kind string, ids []string, into map[[2]string]string) error {
	rows, err := s.rows(ctx, "look up names", `SELECT id, argMax(name, valid_from) FROM directory_entries FINAL
WHERE tenant = {tenant:String} AND kind = {kind:String} AND id IN {ids:Array(String)} AND toUnixTimestamp64Milli(valid_from) <= {now:Int64}
GROUP BY id`,
		clickhouse.Named("tenant", tenant), clickhouse.Named("kind", kind), clickhouse.Named("ids", ids), clickhouse.Named("now", s.cfg.Now().UnixMilli()))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Err
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return s.failed(ctx, "look up names", err)
		}
		into[[2]string{kind, id}] = name
	}
	return s.failed(ctx, "look up names", rows.Err())
}
