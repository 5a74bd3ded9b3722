// Package analytics are the pages that tell what the numbers say: the overview of a period, the reports with their charts, the interactions behind a
// number, and the downloads. What a number is, and which way of it is the good one, the API says itself.
package analytics

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// Pages are the pages of the analytics. They are safe for concurrent use.
type Pages struct {
	site       *web.Site
	analytics  analyticsv1.AnalyticsServiceClient
	directory  directoryv1.DirectoryServiceClient
	vocabulary vocabulary
}

// New makes them.
func New(site *web.Site) (*Pages, error) {
	words, err := newVocabulary()
	if err != nil {
		return nil, err
	}
	return &Pages{
		site: site, analytics: analyticsv1.NewAnalyticsServiceClient(site.API()), directory: directoryv1.NewDirectoryServiceClient(site.API()), vocabulary: words,
	}, nil
}

// The paths of the pages.
func overviewPath() string { return view.Analytics.Path() }
func listPath() string     { return view.At(view.Analytics, "reports") }
func drillPath() string    { return view.At(view.Analytics, "interactions") }
func exportPath() string   { return view.At(view.Analytics, "download") }

func reportPath(id string) string { return view.At(view.Analytics, "reports", id) }

// Mount serves them.
func (p *Pages) Mount(mux *http.ServeMux) {
	mux.Handle("GET "+overviewPath(), p.site.Handle(p.overview))
	mux.Handle("GET "+listPath(), p.site.Handle(p.list))
	mux.Handle("GET "+reportPath(journeys), p.site.Handle(p.journeys))
	mux.Handle("GET "+listPath()+"/{report}", p.site.Handle(p.report))
	mux.Handle("GET "+listPath()+"/{report}/table.csv", p.site.Handle(p.csv))
	mux.Handle("GET "+listPath()+"/{report}/metrics", p.site.Handle(p.metrics))
	mux.Handle("GET "+view.At(view.Analytics, "filters"), p.site.Handle(p.filters))
	mux.Handle("GET "+drillPath(), p.site.Handle(p.drill))
	mux.Handle("GET "+exportPath(), p.site.Handle(p.export))
	mux.Handle("GET "+exportPath()+"/rows", p.site.Handle(p.rows))
	mux.Handle("GET "+view.At(view.Analytics, "waiting"), p.site.Handle(p.waiting))
}

// screen is what every page of the section shows.
type screen struct {
	*choice
	know  *catalogue
	fresh freshness
	// tab is the path of the part that the page is in.
	tab string
	// without has no filters, or no comparison.
	unfiltered, uncompared bool
	// named are names of the values of the filters, where they have any.
	named map[string]string
	// wrong is what is wrong with the address.
	wrong string
}

// freshness is how much of the log the numbers contain.
type freshness struct {
	until   time.Time // zero where nothing is known
	streams []*analyticsv1.StreamStatus
}

// begin reads the address and asks for what every page shows. A page that is answered already is nil.
func (p *Pages) begin(c *web.Call, tab string, of *standard) (*screen, error) {
	now := time.Now()
	ch, wrong := asked(c.Context(), c.R.URL, of, now)
	if c.R.URL.Query().Has("set") { // a form, whose empty fields make no good address
		return nil, c.GoTo(ch.at(ch.path))
	}
	s := &screen{choice: &ch, tab: tab, know: &catalogue{vocabulary: p.vocabulary}, named: map[string]string{}}
	if wrong != nil {
		s.wrong = web.Explain(c.Context(), wrong)
	}
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() error {
		answer, err := p.analytics.Metrics(ctx, &analyticsv1.MetricsRequest{})
		s.know.metrics, s.know.dimensions, s.know.tables = answer.GetMetrics(), answer.GetDimensions(), answer.GetTables()
		return err
	})
	g.Go(func() (err error) {
		s.fresh, err = p.freshness(ctx)
		return err
	})
	g.Go(func() error {
		s.named = p.names(ctx, ch.filters)
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, p.instead(c, err)
	}
	if s.fresh.streams == nil {
		return nil, c.Show(view.Page{Title: lang.T(c.Context(), "Analytics"), Section: view.Analytics}, away())
	}
	return s, nil
}

// freshness asks how much is contained; of a ClickHouse that does not answer it knows no streams.
func (p *Pages) freshness(ctx context.Context) (freshness, error) {
	status, err := p.analytics.Status(ctx, &analyticsv1.StatusRequest{})
	if err != nil || !status.GetAvailable() {
		return freshness{}, err
	}
	f := freshness{streams: append([]*analyticsv1.StreamStatus{}, status.GetStreams()...)}
	for n, stream := range f.streams {
		until := stream.GetCompleteUntil()
		if until == nil {
			f.until = time.Time{}
			break
		}
		if t := until.AsTime(); n == 0 || t.Before(f.until) {
			f.until = t
		}
	}
	return f, nil
}

// names are what the values of filters are called in the directory, by kind and id.
func (p *Pages) names(ctx context.Context, filters map[string][]string) map[string]string {
	type found struct{ key, name string }
	const most, atOnce = 32, 8
	answers := make(chan found, most)
	var g errgroup.Group
	g.SetLimit(atOnce)
	asked := 0
	for _, kind := range []string{"queue", "team", "agent"} {
		for _, id := range filters[kind] {
			if asked++; id == "" || asked > most {
				continue
			}
			g.Go(func() error {
				answer, err := p.directory.Get(ctx, &directoryv1.GetRequest{Kind: kind, Id: id})
				if err != nil {
					return nil //nolint:nilerr // it goes by its id then
				}
				e := answer.GetEntry().GetStated()
				for _, name := range []string{e.GetQueue().GetName(), e.GetTeam().GetName(), e.GetAgent().GetName()} {
					if name != "" {
						answers <- found{kind + "/" + id, name}
						break
					}
				}
				return nil
			})
		}
	}
	_ = g.Wait() // nothing in it fails
	close(answers)
	all := map[string]string{}
	for a := range answers {
		all[a.key] = a.name
	}
	return all
}

// instead answers where there are no numbers at all.
func (p *Pages) instead(c *web.Call, err error) error {
	page := view.Page{Title: lang.T(c.Context(), "Analytics"), Section: view.Analytics}
	switch {
	case web.Unserved(err):
		return c.Show(page, off())
	case web.Away(err):
		return c.Show(page, away())
	}
	return err
}

// show answers with a page, or with what the API has against what was asked for.
func (p *Pages) show(c *web.Call, s *screen, title string, body templ.Component, err error) error {
	switch {
	case err == nil:
	case web.Unanswerable(err):
		s.wrong, body = web.Explain(c.Context(), err), templ.NopComponent
	default:
		return p.instead(c, err)
	}
	page := view.Page{Title: title, Section: view.Analytics, Charts: true}
	return c.Show(page, templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return inZone(s.zone, frame(s, title, body))(ctx, w)
	}))
}

// waiting answers a page that waits for ClickHouse: once it is there, the page is loaded anew.
func (p *Pages) waiting(c *web.Call) error {
	if f, err := p.freshness(c.Context()); err == nil && f.streams != nil {
		c.W.Header().Set("HX-Refresh", "true")
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// list shows the reports to begin with.
func (p *Pages) list(c *web.Call) error {
	s, err := p.begin(c, listPath(), nil)
	if s == nil {
		return err
	}
	s.unfiltered, s.uncompared = true, true
	return p.show(c, s, lang.T(c.Context(), "Reports"), reportList(s), nil)
}

// group is a few numbers of the overview that belong together.
type group struct {
	title string
	tiles []tile
}

type tile struct {
	metric *analyticsv1.Metric
	value  *analyticsv1.Value
	before *analyticsv1.Value
}

func groups(ctx context.Context) []struct {
	title   string
	metrics []string
} {
	return []struct {
		title   string
		metrics []string
	}{
		{lang.T(ctx, "Volume"), []string{"interactions", "customers", "messages_in", "backlog"}},
		{lang.T(ctx, "Waiting"), []string{"service_level", "abandon_rate", "asa", "first_response_time"}},
		{lang.T(ctx, "Handling"), []string{"handled", "aht", "occupancy", "transfer_rate"}},
		{lang.T(ctx, "Outcome"), []string{"resolved", "fcr", "containment", "complaint_rate"}},
		{lang.T(ctx, "Satisfaction"), []string{"csat", "nps", "ces", "response_rate"}},
	}
}

// sights are what the overview shows.
type sights struct {
	groups []group
	charts []figure
	// lacking are metrics that the filters leave out.
	lacking string
	empty   bool
}

// figure is a chart with its table.
type figure struct {
	chart
	table *table
	more  string // the report behind it
}

func (p *Pages) overview(c *web.Call) error {
	s, err := p.begin(c, overviewPath(), nil)
	if s == nil {
		return err
	}
	var all []string
	for _, g := range groups(c.Context()) {
		all = append(all, g.metrics...)
	}
	step := s.period.fitting()
	have, lack := s.know.applicable(all, *s.choice, nil)
	trend, _ := s.know.applicable([]string{"service_level", "abandon_rate", "aht", "asa", "backlog", "csat", "nps"}, *s.choice, nil)
	volume, _ := s.know.applicable([]string{"interactions"}, *s.choice, []string{"channel"})
	var numbers, course, channels *table
	g, ctx := errgroup.WithContext(lang.In(c.Context(), s.zone))
	for _, one := range []struct {
		into    **table
		metrics []*analyticsv1.Metric
		by      []string
		step    string
		compare *analyticsv1.Period
	}{{&numbers, have, nil, "none", s.compared()}, {&course, trend, nil, step, nil}, {&channels, volume, []string{"channel"}, step, nil}} {
		g.Go(func() (err error) {
			*one.into, err = p.table(ctx, s, one.metrics, one.by, one.step, one.compare)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return p.show(c, s, lang.T(c.Context(), "Analytics"), nil, err)
	}
	ctx = lang.In(c.Context(), s.zone)
	seen := sights{lacking: s.know.titles(ctx, lack), empty: true}
	for _, g := range groups(ctx) {
		shown := group{title: g.title}
		for _, name := range g.metrics {
			if n := slices.IndexFunc(numbers.metrics, func(m *analyticsv1.Metric) bool { return m.GetName() == name }); n >= 0 {
				shown.tiles = append(shown.tiles, numbers.tile(n))
				v := numbers.total.GetValues()[n]
				seen.empty = seen.empty && v.GetNumerator() == 0 && (v.Value == nil || v.GetValue() == 0)
			}
		}
		if len(shown.tiles) > 0 {
			seen.groups = append(seen.groups, shown)
		}
	}
	seen.charts = s.figures(ctx, course, channels)
	return p.show(c, s, lang.T(ctx, "Analytics"), overview(s, seen), nil)
}

// figures are the charts of the overview.
func (s *screen) figures(ctx context.Context, course, channels *table) (all []figure) {
	if len(channels.metrics) > 0 {
		ch := channels.drawn(ctx, s, 0)
		if ch.Title = lang.T(ctx, "Volume by channel"); !ch.blank() {
			all = append(all, figure{ch, channels, s.elsewhere(reportPath("volume"), standardOf("volume"))})
		}
	}
	for _, one := range []struct {
		title, report string
		metrics       []string
	}{
		{lang.T(ctx, "Service level and abandon rate"), "service-level", []string{"service_level", "abandon_rate"}},
		{lang.T(ctx, "Handle time and speed of answer"), "queues", []string{"aht", "asa"}},
		{lang.T(ctx, "Backlog"), "backlog", []string{"backlog"}},
		{lang.T(ctx, "Customer satisfaction"), "satisfaction", []string{"csat"}},
		{lang.T(ctx, "Net promoter score"), "satisfaction", []string{"nps"}},
	} {
		part := course.only(one.metrics)
		if len(part.metrics) == 0 {
			continue
		}
		ch := part.course(ctx, s)
		if ch.Title = one.title; ch.blank() {
			continue
		}
		all = append(all, figure{ch, part, s.elsewhere(reportPath(one.report), standardOf(one.report))})
	}
	return all
}

// choices are the values of a dimension to choose from.
type choices struct {
	dimension string
	values    []option
	// more tells that there are others.
	more bool
}

type option struct {
	value, name string
	chosen      bool
}

// offered are the dimensions that the filters offer. Others come into an address by a link of a table.
func offered() []string {
	return []string{"channel", "queue", "team", "agent", "inbox", "contact_reason", "tag", "direction", "weekday", "hour"}
}

// mostValues are shown of a dimension, those with the most interactions.
const mostValues = 100

// filters are what the page can be narrowed to: what there was in the period.
func (p *Pages) filters(c *web.Call) error {
	s, err := p.begin(c, "", standardOf(c.Form("report")))
	if s == nil {
		return err
	}
	ctx := lang.In(c.Context(), s.zone)
	s.path = reportPath(c.Form("report"))
	if page := c.Form("page_of"); strings.HasPrefix(page, overviewPath()) {
		s.path = page
	}
	all := make([]choices, len(offered()))
	g, inner := errgroup.WithContext(ctx)
	const atOnce = 3
	g.SetLimit(atOnce)
	for n, d := range offered() {
		all[n].dimension = d
		if d == "weekday" || d == "hour" {
			all[n].values = everyValue(ctx, d, s.filters[d])
			continue
		}
		g.Go(func() error {
			scope := s.scope()
			scope.Filters = nil
			answer, err := p.analytics.Report(inner, &analyticsv1.ReportRequest{Scope: scope, Metrics: []string{"interactions"}, GroupBy: []string{d}, Top: mostValues + 1})
			if err != nil {
				return err
			}
			all[n].values, all[n].more = s.options(ctx, d, answer.GetRows())
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return c.Parts(templ.ComponentFunc(func(_ context.Context, w io.Writer) error { return filterForm(s, all).Render(ctx, w) }))
}

// options are the values that rows have, with those that are chosen.
func (s *screen) options(ctx context.Context, d string, rows []*analyticsv1.Row) (all []option, more bool) {
	chosen := s.filters[d]
	for _, row := range rows {
		if len(all) == mostValues {
			more = true
			break
		}
		all = append(all, option{row.GetGroup()[0], valueName(ctx, d, row.GetGroup()[0], nameOf(row, 0)), slices.Contains(chosen, row.GetGroup()[0])})
	}
	for _, v := range chosen {
		if !slices.ContainsFunc(all, func(o option) bool { return o.value == v }) {
			all = append(all, option{v, valueName(ctx, d, v, s.named[d+"/"+v]), true})
		}
	}
	return all, more
}

// everyValue are the values of a dimension that has few.
func everyValue(ctx context.Context, d string, chosen []string) (all []option) {
	first, last := 1, 7
	if d == "hour" {
		first, last = 0, 23
	}
	for n := first; n <= last; n++ {
		v := lang.Count(context.Background(), n) // digits only
		all = append(all, option{v, valueName(ctx, d, v, ""), slices.Contains(chosen, v)})
	}
	return all
}

// inZone draws with times of a zone.
func inZone(zone *time.Location, part templ.Component) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error { return part.Render(lang.In(ctx, zone), w) }
}
