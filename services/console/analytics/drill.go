package analytics

import (
	"errors"
	"io"
	"mime"
	"slices"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/web"
)

// listed is what the page of the interactions behind a number shows.
type listed struct {
	metric *analyticsv1.Metric
	value  *analyticsv1.Value
	// divided tells that the number is a quotient, so that there are two lists.
	divided bool
	part    string
	found   []*analyticsv1.Found
	people  map[string]*customerv1.Customer
	named   map[string]string
	next    string
}

// counted is the part of a quotient that was divided: what address and page call it.
const counted = "counted"

// drill lists the interactions that a number counts.
func (p *Pages) drill(c *web.Call) error {
	s, err := p.begin(c, listPath(), nil)
	if s == nil {
		return err
	}
	l := &listed{part: s.part}
	if len(s.metrics) > 0 {
		l.metric = s.know.metric(s.metrics[0])
	}
	if l.metric == nil || !drillable(l.metric) {
		return web.Missing(c.R.URL.RequestURI())
	}
	scope := s.scope()
	req := &analyticsv1.DrillRequest{Scope: scope, Metric: l.metric.GetName(), PageToken: c.Form("token")}
	if l.part == counted {
		req.Part = analyticsv1.Part_PART_NUMERATOR
	}
	more := c.Form("token") != ""
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() error {
		answer, err := p.analytics.Drill(ctx, req)
		l.found, l.next = answer.GetFound(), answer.GetNextPageToken()
		return err
	})
	g.Go(func() error {
		answer, err := p.analytics.Report(ctx, &analyticsv1.ReportRequest{Scope: scope, Metrics: []string{l.metric.GetName()}})
		l.value = valueAt(answer.GetTotal().GetValues(), 0)
		return err
	})
	title := lang.T(c.Context(), "Behind the number: %s", s.know.title(c.Context(), l.metric))
	if err := g.Wait(); err != nil {
		return p.show(c, s, title, nil, err)
	}
	u := l.metric.GetUnit()
	l.divided = u == "ratio" || u == "score" || u == "seconds" && l.value.GetDenominator() != 1
	p.tellWho(c, l)
	if more {
		return c.Parts(templ.ComponentFunc(inZone(s.zone, foundRows(s, l))))
	}
	s.uncompared = true
	return p.show(c, s, title, found(s, l), nil)
}

// tellWho asks who the customers, agents and queues of a list are.
func (p *Pages) tellWho(c *web.Call, l *listed) {
	var customers []string
	entries := map[string][]string{}
	for _, f := range l.found {
		customers = append(customers, f.GetCustomerId())
		for kind, id := range map[string]string{"queue": f.GetQueue(), "agent": f.GetAgent()} {
			if id != "" && !slices.Contains(entries[kind], id) {
				entries[kind] = append(entries[kind], id)
			}
		}
	}
	var g errgroup.Group
	g.Go(func() error { l.people = p.site.People(c.Context(), customers); return nil })
	g.Go(func() error { l.named = p.names(c.Context(), entries); return nil })
	_ = g.Wait() // nothing in it fails
}

// ways are what the page of the journeys shows.
type ways struct {
	journeys []*analyticsv1.Journey
	most     int64
	within   int // hours
}

// withins are the hours within which customers come back, to choose from.
func withins() []int { return []int{1, 24, 72, 168, 720} }

const usualWithin = 72

func (p *Pages) journeys(c *web.Call) error {
	s, err := p.begin(c, listPath(), standardOf(journeys))
	if s == nil {
		return err
	}
	s.uncompared = true
	w := ways{within: usualWithin}
	for _, hours := range withins() {
		if lang.Count(c.Context(), hours) == s.gap {
			w.within = hours
		}
	}
	scope := s.scope()
	scope.Attribution = analyticsv1.Attribution_ATTRIBUTION_UNSPECIFIED
	title, _ := s.standard.words(c.Context())
	answer, err := p.analytics.Journeys(c.Context(), &analyticsv1.JourneysRequest{Scope: scope, Within: durationpb.New(time.Duration(w.within) * time.Hour)})
	if err != nil {
		return p.show(c, s, title, nil, err)
	}
	w.journeys = answer.GetJourneys()
	for _, j := range w.journeys {
		w.most = max(w.most, j.GetCount())
	}
	return p.show(c, s, title, journeysPage(s, w), nil)
}

// export is the page from which rows are downloaded.
func (p *Pages) export(c *web.Call) error {
	s, err := p.begin(c, exportPath(), nil)
	if s == nil {
		return err
	}
	s.unfiltered, s.uncompared = true, true
	table := c.Form("table")
	if !slices.Contains(s.know.tables, table) {
		table = "interactions"
	}
	return p.show(c, s, lang.T(c.Context(), "Download"), exportPage(s, table), nil)
}

// formats are those of the files, by the ending of their names.
func formats() map[string]analyticsv1.Format {
	return map[string]analyticsv1.Format{"parquet": analyticsv1.Format_FORMAT_PARQUET, "csv": analyticsv1.Format_FORMAT_CSV}
}

// rows streams the rows of a table as a file.
func (p *Pages) rows(c *web.Call) error {
	ch, wrong := asked(c.Context(), c.R.URL, nil, time.Now())
	if wrong != nil {
		return wrong
	}
	ending := c.Form("format")
	format, ok := formats()[ending]
	if !ok {
		return web.Bad(lang.T(c.Context(), "There is no format %s.", ending))
	}
	stream, err := p.analytics.Export(c.Context(), &analyticsv1.ExportRequest{Table: c.Form("table"), Period: ch.scope().GetPeriod(), Format: format})
	if err != nil {
		return err
	}
	name := c.Form("table") + "_" + ch.period.begin.In(ch.zone).Format(time.DateOnly) + "_" + ch.period.end.In(ch.zone).Add(-time.Second).Format(time.DateOnly) + "." + ending
	mediaType := mime.FormatMediaType("text/csv", map[string]string{"charset": "utf-8"})
	if ending == "parquet" {
		mediaType = "application/vnd.apache.parquet"
	}
	return c.Download(name, mediaType, func() ([]byte, error) {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return piece.GetData(), err
	})
}
