package analytics

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// inChinese is what the metrics and dimensions are called in Chinese: in English the API names and defines them itself.
//
//go:embed chinese.json
var inChinese []byte

// called is what something is called, and what it is.
type called struct{ Title, Definition string }

// vocabulary is what metrics and dimensions are called, by name.
type vocabulary struct{ Metrics, Dimensions map[string]called }

func newVocabulary() (vocabulary, error) {
	var v vocabulary
	if err := json.Unmarshal(inChinese, &v); err != nil {
		return v, fmt.Errorf("console: read the Chinese of the metrics: %w", err)
	}
	return v, nil
}

// catalogue is what the API's reports know.
type catalogue struct {
	vocabulary
	metrics    []*analyticsv1.Metric
	dimensions []*analyticsv1.Dimension
	tables     []string
}

func (k *catalogue) metric(name string) *analyticsv1.Metric {
	for _, m := range k.metrics {
		if m.GetName() == name {
			return m
		}
	}
	return nil
}

// title is what a metric is called.
func (k *catalogue) title(ctx context.Context, m *analyticsv1.Metric) string {
	if said := k.Metrics[m.GetName()]; lang.Tag(ctx) == "zh" && said.Title != "" {
		return said.Title
	}
	return m.GetTitle()
}

// definition is what a metric is.
func (k *catalogue) definition(ctx context.Context, m *analyticsv1.Metric) string {
	text := m.GetDefinition()
	if said := k.Metrics[m.GetName()]; lang.Tag(ctx) == "zh" && said.Definition != "" {
		text = said.Definition
	}
	switch m.GetBetter() {
	case analyticsv1.Better_BETTER_HIGHER:
		text += " " + lang.T(ctx, "More is better.")
	case analyticsv1.Better_BETTER_LOWER:
		text += " " + lang.T(ctx, "Less is better.")
	case analyticsv1.Better_BETTER_UNSPECIFIED:
	}
	return text
}

// dimension is what a dimension is called.
func (k *catalogue) dimension(ctx context.Context, name string) string {
	if said := k.Dimensions[name]; lang.Tag(ctx) == "zh" && said.Title != "" {
		return said.Title
	}
	text := strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// applicable parts metrics into those that have all dimensions that are asked for, and those that lack one.
func (k *catalogue) applicable(names []string, c choice, by []string) (have, lack []*analyticsv1.Metric) {
	for _, name := range names {
		m := k.metric(name)
		if m == nil {
			continue
		}
		if c.lacks(m) || slices.ContainsFunc(by, func(d string) bool { return !slices.Contains(m.GetDimensions(), d) }) {
			lack = append(lack, m)
			continue
		}
		have = append(have, m)
	}
	return have, lack
}

// lacks tells that a metric cannot be narrowed as the choice says.
func (c choice) lacks(m *analyticsv1.Metric) bool {
	for d := range c.filters {
		if !slices.Contains(m.GetDimensions(), d) {
			return true
		}
	}
	return false
}

func names(metrics []*analyticsv1.Metric) (all []string) {
	for _, m := range metrics {
		all = append(all, m.GetName())
	}
	return all
}

// titles are what metrics are called, for a sentence.
func (k *catalogue) titles(ctx context.Context, metrics []*analyticsv1.Metric) string {
	var all []string
	for _, m := range metrics {
		all = append(all, k.title(ctx, m))
	}
	if lang.Tag(ctx) == "zh" {
		return strings.Join(all, "、")
	}
	return strings.Join(all, ", ")
}

// drillable tells that there are interactions behind a metric.
func drillable(m *analyticsv1.Metric) bool { return m.GetSubject() != "agents" }
