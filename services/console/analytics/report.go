package analytics

import (
	"slices"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// study is what the page of a report shows.
type study struct {
	*table
	of      *standard
	lacking string
	figures []figure
	// onPage are the rows of the page that is shown, of so many pages.
	onPage []*analyticsv1.Row
	pages  int
}

// computed asks for what a report is about.
func (p *Pages) computed(c *web.Call) (*screen, *study, error) {
	of := standardOf(c.R.PathValue("report"))
	if of == nil {
		return nil, nil, web.Missing(c.R.URL.Path)
	}
	s, err := p.begin(c, listPath(), of)
	if s == nil {
		return nil, nil, err
	}
	have, lack := s.know.applicable(s.metrics, *s.choice, s.by)
	st := &study{of: of, table: &table{}, lacking: s.know.titles(c.Context(), lack)}
	var t *table
	if t, err = p.table(lang.In(c.Context(), s.zone), s, have, s.by, s.stepName(), s.compared()); err == nil {
		st.table = t
		if by := s.sort; by != "" {
			t.sorted(by)
		} else if !t.timed() && len(have) > 0 && !slices.Contains(s.by, "hour") && !slices.Contains(s.by, "weekday") {
			t.sorted(have[0].GetName())
		}
	}
	return s, st, err
}

func (p *Pages) report(c *web.Call) error {
	s, st, err := p.computed(c)
	if s == nil {
		return err
	}
	ctx := lang.In(c.Context(), s.zone)
	title, _ := st.of.words(ctx)
	if err != nil {
		return p.show(c, s, title, nil, err)
	}
	switch t := st.table; {
	case len(t.metrics) == 0:
	case len(t.by) > 0:
		n := max(0, slices.IndexFunc(t.metrics, func(m *analyticsv1.Metric) bool { return m.GetName() == s.drawn }))
		if len(t.rows) > 0 {
			st.figures = []figure{{t.drawn(ctx, s, n), nil, ""}}
		}
	case t.timed():
		for _, part := range t.byUnit() {
			ch := part.course(ctx, s)
			ch.Title = s.know.titles(ctx, part.metrics)
			st.figures = append(st.figures, figure{ch, nil, ""})
		}
	}
	st.pages = (len(st.rows) + rowsOnPage - 1) / rowsOnPage
	first := min(s.page*rowsOnPage, len(st.rows))
	st.onPage = st.rows[first:min(first+rowsOnPage, len(st.rows))]
	return p.show(c, s, title, reportPage(s, st), nil)
}

// metrics are what a report can be made of, for its form.
func (p *Pages) metrics(c *web.Call) error {
	of := standardOf(c.R.PathValue("report"))
	if of == nil {
		return web.Missing(c.R.URL.Path)
	}
	s, err := p.begin(c, listPath(), of)
	if s == nil {
		return err
	}
	s.path = reportPath(of.id)
	return c.Parts(metricForm(s))
}

// dimensionsOf are the dimensions that one of some metrics has at least, in their order.
func (k *catalogue) dimensionsOf(metrics []string) (all []string) {
	for _, d := range k.dimensions {
		if slices.ContainsFunc(metrics, func(name string) bool {
			m := k.metric(name)
			return m != nil && slices.Contains(m.GetDimensions(), d.GetName())
		}) {
			all = append(all, d.GetName())
		}
	}
	return all
}

// cell is where the interactions behind a number are listed; empty where there are none.
func (s *screen) cell(t *table, row *analyticsv1.Row, n int) string {
	m := t.metrics[n]
	v := valueAt(row.GetValues(), n)
	if !drillable(m) || v == nil || v.GetNumerator() == 0 && v.GetDenominator() == 0 || v.Value != nil && unitOf(m) == asCount && v.GetValue() == 0 {
		return ""
	}
	return s.address(func(o *choice) {
		o.path, o.standard, o.metrics, o.by, o.step, o.drawn, o.sort = drillPath(), nil, []string{m.GetName()}, nil, "", "", ""
		for i, d := range t.by {
			if i < len(row.GetGroup()) {
				o.filters[d] = []string{row.GetGroup()[i]}
			}
		}
		if from := row.GetFrom(); from != nil && t.timed() {
			begin := from.AsTime()
			end := after(begin, t.step, s.zone)
			if begin.Before(s.period.begin) {
				begin = s.period.begin
			}
			if end.After(s.period.end) {
				end = s.period.end
			}
			o.period = period{name: fromTo, from: begin.In(s.zone).Format(time.RFC3339Nano), to: end.In(s.zone).Format(time.RFC3339Nano)}
		}
	})
}

// sortedBy is the address of the table in order of a metric, the other way round where it is already.
func (s *screen) sortedBy(name string) string {
	return s.address(func(o *choice) {
		if o.sort = name; s.sort == name {
			o.sort = "-" + name
		}
	})
}

// lasting is the address of these very numbers, for whoever looks later or elsewhere.
func (s *screen) lasting() string {
	return s.address(func(o *choice) {
		o.shared = true
		o.period = period{name: fromTo, from: o.period.begin.In(o.zone).Format(time.RFC3339), to: o.period.end.In(o.zone).Format(time.RFC3339)}
		if p := s.period; p.name == fromTo {
			o.period = p
		}
	})
}

// downloaded is where the rows that a report counts are downloaded.
func (s *screen) downloaded(m *analyticsv1.Metric) string {
	return view.With(s.elsewhere(exportPath(), nil), "table", tableOf(m))
}
