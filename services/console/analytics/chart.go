package analytics

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// chart is what the page's script draws (assets/charts.js).
type chart struct {
	// Title says what it shows.
	Title string `json:"title"`
	// Kind is lines, bars or stacked.
	Kind string `json:"kind"`
	// Unit is that of all numbers.
	Unit unit `json:"unit"`
	// Zone and Step are those of the moments X, in seconds of Unix time; without moments, Labels name what stands side by side.
	Zone string  `json:"zone,omitempty"`
	Step string  `json:"step,omitempty"`
	X    []int64 `json:"x,omitempty"`
	// Labels are the moments, or what stands side by side, in words.
	Labels []string `json:"labels"`
	Series []series `json:"series"`
	// Left is how many series were left out.
	Left int `json:"-"`
}

type series struct {
	Label string `json:"label"`
	// Color is the name of a custom property of the page's styles.
	Color string `json:"color"`
	// Faint is drawn behind the others: the period before.
	Faint  bool       `json:"faint,omitempty"`
	Values []*float64 `json:"values"`
}

func color(n int) string { return "--c" + strconv.Itoa(n%mostSeries+1) }

// channelColor is that of a channel's mark.
func channelColor(value string, n int) string {
	switch value {
	case "voice", "social":
		return "--" + value
	case "web_chat":
		return "--chat"
	case "email":
		return "--mail"
	case "social_message":
		return "--social"
	}
	return color(n)
}

// blank tells that there is nothing to draw.
func (c chart) blank() bool {
	return !slices.ContainsFunc(c.Series, func(s series) bool { return slices.ContainsFunc(s.Values, func(v *float64) bool { return v != nil }) })
}

// axis are the moments of the intervals, and where each is.
func (t *table) axis(ctx context.Context, s *screen) (c chart, at map[int64]int) {
	c = chart{Zone: s.zone.String(), Step: t.step}
	moments := s.period.intervals(t.step, s.zone, mostPoints)
	at = map[int64]int{}
	for n, m := range moments {
		c.X, c.Labels, at[m.Unix()] = append(c.X, m.Unix()), append(c.Labels, intervalName(ctx, m, t.step)), n
	}
	return c, at
}

// unknown are the values of a series of which nothing is known yet: what is counted was 0 where nothing was, and what is divided is nothing.
func unknown(u unit, n int) []*float64 {
	values := make([]*float64, n)
	if u == asCount {
		for i := range values {
			values[i] = new(float64)
		}
	}
	return values
}

func drawnValue(v *analyticsv1.Value) *float64 {
	if v == nil || v.Value == nil {
		return nil
	}
	return new(v.GetValue())
}

// course draws metrics of one unit over time, without groups.
func (t *table) course(ctx context.Context, s *screen) chart {
	c, at := t.axis(ctx, s)
	c.Kind, c.Unit = "lines", unitOf(t.metrics[0])
	if len(t.metrics) == 1 && c.Unit == asCount {
		c.Kind = "bars"
	}
	for n, m := range t.metrics {
		now, then := unknown(c.Unit, len(c.X)), unknown(c.Unit, len(c.X))
		for _, row := range t.rows {
			if i, ok := at[row.GetFrom().GetSeconds()]; ok {
				now[i], then[i] = drawnValue(valueAt(row.GetValues(), n)), drawnValue(valueAt(row.GetBefore(), n))
			}
		}
		c.Series = append(c.Series, series{Label: s.know.title(ctx, m), Color: color(n), Values: now})
		if t.compared && len(t.metrics) == 1 {
			c.Series = append(c.Series, series{Label: lang.T(ctx, "Before"), Color: "--quiet", Faint: true, Values: then})
		}
	}
	return c
}

// drawn draws a metric of a table with groups: over time for the largest ones, or side by side.
func (t *table) drawn(ctx context.Context, s *screen, n int) chart {
	m := t.metrics[n]
	if !t.timed() {
		return t.sideBySide(ctx, s, n)
	}
	c, at := t.axis(ctx, s)
	c.Title, c.Unit, c.Kind = s.know.title(ctx, m), unitOf(m), "lines"
	if c.Unit == asCount && m.GetName() != "customers" {
		c.Kind = "stacked"
	}
	type line struct {
		series
		weight float64
	}
	lines, order := map[string]*line{}, []string{}
	for _, row := range t.rows {
		key := strings.Join(row.GetGroup(), "\x00")
		if lines[key] == nil {
			lines[key] = &line{series: series{Label: t.groupName(ctx, row), Values: unknown(c.Unit, len(c.X))}}
			order = append(order, key)
		}
		v := valueAt(row.GetValues(), n)
		lines[key].weight += max(v.GetDenominator(), v.GetNumerator())
		if i, ok := at[row.GetFrom().GetSeconds()]; ok && v != nil && v.Value != nil {
			lines[key].Values[i] = drawnValue(v)
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(lines[b].weight, lines[a].weight) })
	c.Left = max(0, len(order)-mostSeries)
	for i, key := range order[:min(len(order), mostSeries)] {
		l := lines[key].series
		if l.Color = color(i); len(t.by) == 1 && t.by[0] == "channel" {
			l.Color = channelColor(key, i)
		}
		c.Series = append(c.Series, l)
	}
	return c
}

// sideBySide draws a metric of each group as a bar.
func (t *table) sideBySide(ctx context.Context, s *screen, n int) chart {
	m := t.metrics[n]
	c := chart{Title: s.know.title(ctx, m), Kind: "bars", Unit: unitOf(m)}
	now := series{Label: c.Title, Color: color(0)}
	then := series{Label: lang.T(ctx, "Before"), Color: "--quiet", Faint: true}
	for _, row := range t.rows[:min(len(t.rows), mostBars)] {
		c.Labels = append(c.Labels, t.groupName(ctx, row))
		now.Values, then.Values = append(now.Values, drawnValue(valueAt(row.GetValues(), n))), append(then.Values, drawnValue(valueAt(row.GetBefore(), n)))
	}
	c.Left = len(t.rows) - len(c.Labels)
	if c.Series = []series{now}; t.compared {
		c.Series = append(c.Series, then)
	}
	return c
}

// groupName is the group of a row in words.
func (t *table) groupName(ctx context.Context, row *analyticsv1.Row) string {
	var all []string
	for n, d := range t.by {
		all = append(all, valueName(ctx, d, row.GetGroup()[n], nameOf(row, n)))
	}
	return strings.Join(all, " / ")
}
