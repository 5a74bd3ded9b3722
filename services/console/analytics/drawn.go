package analytics

import (
	"context"
	"strings"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

// What the pages draw.
type (
	row   = analyticsv1.Row
	value = analyticsv1.Value
)

// title is what a report is called.
func (of *standard) title(ctx context.Context) string {
	title, _ := of.words(ctx)
	return title
}

// about is what a report answers.
func (of *standard) about(ctx context.Context) string {
	_, about := of.words(ctx)
	return about
}

// heads are how many columns stand before the numbers.
func (t *table) heads() int {
	if t.timed() {
		return len(t.by) + 1
	}
	return len(t.by)
}

// whole is the total as a row.
func (t *table) whole() *row { return &row{Values: t.total.GetValues(), Before: t.total.GetBefore()} }

// sorting says how a column is sorted, as ARIA does.
func (s *screen) sorting(name string) string {
	switch s.sort {
	case name:
		return "descending"
	case "-" + name:
		return "ascending"
	}
	return "none"
}

// valueNames are the values of a filter in words.
func (s *screen) valueNames(ctx context.Context, d string, values []string) string {
	var all []string
	for _, v := range values {
		all = append(all, valueName(ctx, d, v, s.named[d+"/"+v]))
	}
	return strings.Join(all, ", ")
}

// filterAddress is where the filters of the page come from.
func (s *screen) filterAddress() string {
	q := s.values()
	q.Set("page_of", s.path)
	if s.standard != nil {
		q.Set("report", s.standard.id)
	}
	return view.At(view.Analytics, "filters") + "?" + q.Encode()
}

// about is the report of one number of the overview.
func (s *screen) about(metric string) string {
	of := standardOf(own)
	c := *s.choice
	return (&screen{choice: &c}).address(func(o *choice) {
		o.path, o.standard, o.metrics, o.step = reportPath(own), of, []string{metric}, of.step
	})
}

// tells whether there is anything to choose from.
func (c choices) tells() bool {
	return len(c.values) > 1 || len(c.values) == 1 && (c.values[0].value != "" || c.values[0].chosen)
}

func (s *screen) onPage(page int) string {
	return s.address(func(o *choice) { o.page = page })
}

// further is where the next things of a list come from.
func (s *screen) further(token string) string {
	q := s.values()
	q.Set("token", token)
	return s.path + "?" + q.Encode()
}

// subjects are what metrics count, in the order in which they are offered.
func subjects() []string {
	return []string{"interactions", "visits", "assignments", "agents", "targets", "surveys", "messages"}
}

func (l *listed) name(kind, id string) string {
	if name := l.named[kind+"/"+id]; name != "" {
		return name
	}
	return id
}

// adds is what a thing adds to a number, in words. Things that are counted add 1 each, which says nothing.
func (l *listed) adds(ctx context.Context, v float64) string {
	switch u := unitOf(l.metric); {
	case u == asTime && l.part != counted && l.divided:
		return ""
	case u == asTime, u == asDecimal && l.part == counted:
		return written(ctx, u, v)
	case u == asPoints && l.part == counted:
		return written(ctx, asCount, v)
	}
	return ""
}

func hoursWords(ctx context.Context, hours int) string {
	const day = 24
	if hours < day {
		return lang.T(ctx, "Within %d hours", hours)
	}
	return lang.T(ctx, "Within %d days", hours/day)
}

func share(of, all int64) float64 {
	if all == 0 {
		return 0
	}
	return float64(of) / float64(all)
}
