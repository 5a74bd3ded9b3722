package analytics

import (
	"cmp"
	"context"
	"slices"
	"strings"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// table is a report as the API answers it.
type table struct {
	metrics []*analyticsv1.Metric
	by      []string
	step    string
	// compared tells that it is compared with another period, in which there was something.
	compared bool
	rows     []*analyticsv1.Row
	total    *analyticsv1.Row
}

// table asks for a report. Of no metrics it is empty.
func (p *Pages) table(ctx context.Context, s *screen, metrics []*analyticsv1.Metric, by []string, step string, compare *analyticsv1.Period) (*table, error) {
	t := &table{metrics: metrics, by: by, step: step, total: &analyticsv1.Row{}}
	if len(metrics) == 0 {
		return t, nil
	}
	answer, err := p.analytics.Report(ctx, &analyticsv1.ReportRequest{
		Scope: s.scope(), Metrics: names(metrics), GroupBy: by, Step: stepOf(step), Compare: compare,
	})
	if err != nil {
		return nil, err
	}
	t.rows, t.total = answer.GetRows(), answer.GetTotal()
	t.compared = slices.ContainsFunc(t.total.GetBefore(), func(v *analyticsv1.Value) bool { return v.GetNumerator() != 0 || v.GetValue() != 0 })
	if step == "none" && len(by) == 0 {
		t.rows = nil // the total says it
	}
	return t, nil
}

func (t *table) timed() bool { return t.step != "none" }

// tile is a metric of the whole period.
func (t *table) tile(n int) tile {
	one := tile{metric: t.metrics[n], value: valueAt(t.total.GetValues(), n)}
	if t.compared {
		one.before = valueAt(t.total.GetBefore(), n)
	}
	return one
}

func valueAt(values []*analyticsv1.Value, n int) *analyticsv1.Value {
	if n < len(values) {
		return values[n]
	}
	return nil
}

// only is the table of some of the metrics.
func (t *table) only(names []string) *table {
	part := &table{by: t.by, step: t.step, compared: t.compared, total: &analyticsv1.Row{}}
	var places []int
	for n, m := range t.metrics {
		if slices.Contains(names, m.GetName()) {
			part.metrics, places = append(part.metrics, m), append(places, n)
		}
	}
	pick := func(row *analyticsv1.Row) *analyticsv1.Row {
		out := &analyticsv1.Row{Group: row.GetGroup(), Names: row.GetNames(), From: row.GetFrom()}
		for _, n := range places {
			if v := valueAt(row.GetValues(), n); v != nil {
				out.Values = append(out.Values, v)
			}
			if v := valueAt(row.GetBefore(), n); v != nil {
				out.Before = append(out.Before, v)
			}
		}
		return out
	}
	for _, row := range t.rows {
		part.rows = append(part.rows, pick(row))
	}
	part.total = pick(t.total)
	return part
}

// sorted puts the rows in order of a metric: from the highest down, or from the lowest up where its name follows a minus. What has no number comes last.
func (t *table) sorted(by string) {
	name, up := strings.CutPrefix(by, "-")
	n := slices.IndexFunc(t.metrics, func(m *analyticsv1.Metric) bool { return m.GetName() == name })
	if n < 0 {
		return
	}
	slices.SortStableFunc(t.rows, func(a, b *analyticsv1.Row) int {
		x, y := valueAt(a.GetValues(), n), valueAt(b.GetValues(), n)
		switch {
		case x == nil || y == nil || x.Value == nil || y.Value == nil:
			return cmp.Compare(absent(x), absent(y))
		case up:
			return cmp.Compare(x.GetValue(), y.GetValue())
		}
		return cmp.Compare(y.GetValue(), x.GetValue())
	})
}

func absent(v *analyticsv1.Value) int {
	if v == nil || v.Value == nil {
		return 1
	}
	return 0
}

const (
	// mostPoints are drawn; longer periods want a coarser step.
	mostPoints = 5000
	// mostSeries are told apart by their colours.
	mostSeries = 8
	// mostBars stand side by side.
	mostBars = 24
)

// byUnit parts metrics so that each part has one unit.
func (t *table) byUnit() (all []*table) {
	var units []unit
	for _, m := range t.metrics {
		if u := unitOf(m); !slices.Contains(units, u) {
			units = append(units, u)
		}
	}
	for _, u := range units {
		var part []string
		for _, m := range t.metrics {
			if unitOf(m) == u {
				part = append(part, m.GetName())
			}
		}
		all = append(all, t.only(part))
	}
	return all
}

// rowsOnPage are shown at once.
const rowsOnPage = 100

// mark says that a file is UTF-8: without it spreadsheets garble what is no ASCII.
const mark = "\uFEFF"
