package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"github.com/skein-cx/skein/tools/simulate"
)

// written is what is written about analytics, beside a site that it is about.
type written struct {
	*house
	root       string
	from, ends time.Time // when something happens there
}

// read reads a file of the project.
func (w *written) read(path ...string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{w.root}, path...)...))
	must(w.t, err)
	return string(text)
}

// TestWhatIsWrittenAboutAnalyticsHolds runs everything that the guide for data teams, the definitions of metrics, the dashboards and the
// alerts ask, against a site with the story of the demonstration, the example of the guide and a simulated day.
func TestWhatIsWrittenAboutAnalyticsHolds(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	must(t, err)
	s := newSite(t).WithAnalytics()
	playDemo(s)
	w := &written{house: &house{t: t, site: s, addr: s.ClickHouse}, root: root, from: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), ends: time.Now().Add(time.Hour)}
	w.contains(nil) // which tells that there are tables

	guide := &guide{t: t, root: root, site: s}
	for _, b := range append(blocks(w.read("docs", "analytics.md")), blocks(w.read("README.md"))...) {
		if b.language == "python" || b.language == "sh" && (strings.Contains(b.code, ":7123") || strings.Contains(b.code, "/analytics/")) {
			guide.run(b)
		}
	}
	day, err := simulate.Simulate(simulate.Config{
		Name: "day", Seed: 1, Start: time.Now().Add(-11 * time.Hour).Truncate(time.Second), Length: 10 * time.Hour, Agents: 16, Queues: 4, Contacts: 200,
	})
	must(t, err)
	c := dayAt(s, day)
	must(t, c.Play(t.Context(), len(day.Deliveries())))
	w.contains(c.Positions())

	for name, holds := range map[string]func(*written){
		"queries of the guide": (*written).queries, "definitions of metrics": (*written).definitions, "dashboards": (*written).dashboards, "alerts": (*written).alerts,
	} {
		t.Run(name, func(t *testing.T) {
			in := *w
			in.house = &house{t: t, site: s, addr: w.addr}
			holds(&in)
		})
	}
}

// section is a heading with the statements below it.
type section struct {
	heading string
	sql     []string
}

func sections(document string) (all []section) {
	document, fenced := "\n"+document, regexp.MustCompile("(?s)\n```sql\n(.*?)\n```")
	for _, part := range regexp.MustCompile("(?m)^##+ ").Split(document, -1) {
		heading, _, _ := strings.Cut(part, "\n")
		s := section{heading: heading}
		for _, m := range fenced.FindAllStringSubmatch(part, -1) {
			s.sql = append(s.sql, m[1])
		}
		if len(s.sql) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// Queries whose answers are of this very moment or site.
var changing = []string{"When a number is final", "What waits, and for how long", "Late events", "Is everything there?"}

var anID = regexp.MustCompile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

// queries answer, of the story and the example, what is in testdata.
func (w *written) queries() {
	customer := strings.Fields(w.site.Run("customer", "anna.weber@example.com", "--server", w.site.GRPC))[1]
	parameters := map[string]string{
		"tenant": "default", "tz": "Europe/Berlin", "since": "2026-03-01", "until": "2026-06-01", "survey": "relationship",
		"words": "['发票','invoice','Invoice']", "customer": customer,
	}
	always := maps.Clone(parameters)
	always["until"] = w.ends.Format("2006-01-02 15:04:05")
	all := sections(w.read("docs", "analytics.md"))
	if len(all) < 20 {
		w.t.Errorf("%d queries are fewer than twenty", len(all))
	}
	var answers strings.Builder
	for _, s := range all {
		for _, sql := range s.sql {
			rows, err := w.ask(http.MethodPost, sql, always)
			if err != nil || rows == "" {
				w.t.Errorf("%s: with the simulated day it answers %q, %v", s.heading, rows, err)
			}
			if slices.Contains(changing, s.heading) {
				continue
			}
			rows, err = w.ask(http.MethodPost, sql+"\nFORMAT TSVWithNames", parameters)
			if err != nil {
				w.t.Errorf("%s: %v", s.heading, err)
			}
			fmt.Fprintf(&answers, "## %s\n%s\n\n", s.heading, anID.ReplaceAllString(rows, "(id)"))
		}
	}
	path := filepath.Join(w.root, "tools", "e2e", "testdata", "analytics_answers.txt")
	if *update {
		must(w.t, os.WriteFile(path, []byte(answers.String()), 0o600))
	}
	if want := w.read("tools", "e2e", "testdata", "analytics_answers.txt"); want != answers.String() {
		w.t.Errorf("the queries answer\n%s\nand not\n%s\nif that is right, run the test with -update", answers.String(), want)
	}
	w.agrees(answers.String(), "Handle time by queue, with its distribution", 0, 2, "aht", "queue")
	w.agrees(answers.String(), "First contact resolution by reason", 0, 3, "fcr", "contact_reason")
	w.agrees(answers.String(), "Occupancy by agent and day", 1, 6, "occupancy", "agent")
	for row := range strings.Lines(w.must(all[len(all)-1].sql[0], nil)) {
		if f := strings.Fields(row); len(f) != 7 || f[3] != f[4] || f[6] != "0" {
			w.t.Errorf("topic, partition, next_offset, rows, ids, last_offset, rejected: %s", row)
		}
	}
	if got := w.must("SELECT sum(next_offset) - (SELECT count() FROM events) FROM progress FINAL WHERE stream = 'events'", nil); got != w.metric("skein_analytics_sink_skipped_total") {
		w.t.Errorf("%s records have no row, and %s are told as skipped", got, w.metric("skein_analytics_sink_skipped_total"))
	}
}

// agrees holds a column of an answer to what the reports say of a metric by a dimension, the values of which are another column.
func (w *written) agrees(answers, heading string, dimension, value int, metric, by string) {
	w.t.Helper()
	_, answer, _ := strings.Cut(answers, "## "+heading+"\n")
	answer, _, _ = strings.Cut(answer, "\n\n")
	said := map[string]string{}
	for row := range strings.Lines(w.site.Run("report", metric, "--by", by, "--zone", "Europe/Berlin", "--from", "2026-03-01", "--until", "2026-06-01", "--server", w.site.GRPC)) {
		if f := strings.Fields(row); len(f) == 2 {
			said[f[0]] = f[1]
		}
	}
	rows := strings.Split(answer, "\n")[1:]
	for _, row := range rows {
		if f := strings.Split(row, "\t"); f[dimension] != "" && said[f[dimension]] != f[value] {
			w.t.Errorf("%s: %s is %s, and the reports say %v", heading, f[dimension], f[value], said)
		}
	}
	if len(rows) < 2 {
		w.t.Errorf("%s has %d rows", heading, len(rows))
	}
}

// must asks, and ends the test where that fails.
func (w *written) must(sql string, parameters map[string]string) string {
	w.t.Helper()
	answer, err := w.ask(http.MethodPost, sql, parameters)
	must(w.t, err)
	return answer
}

// definitions run as they are written.
func (w *written) definitions() {
	parameters := map[string]string{
		"tenant": "default", "from": fmt.Sprint(w.from.UnixMilli()), "until": fmt.Sprint(w.ends.UnixMilli()), "now": fmt.Sprint(time.Now().UnixMilli()),
		"cuts": fmt.Sprintf("[%d,%d]", w.from.Unix(), w.ends.Unix()), "within": "-1", "short": "5000", "short_abandons": "false", "flow_outs": "true",
		"deflections": "true", "callbacks": "true", "repeat": "604800000", "since": "0", "satisfied": "0.75", "backfill": "false",
	}
	all := sections(w.read("docs", "metrics.md"))
	if len(all) < 50 {
		w.t.Errorf("there are only %d metrics", len(all))
	}
	for _, s := range all {
		for _, sql := range s.sql {
			if rows, err := w.ask(http.MethodPost, sql, parameters); err != nil || strings.Contains(rows, "\n") || rows == "" {
				w.t.Errorf("%s: %q, %v\n%s", s.heading, rows, err, sql)
			}
		}
	}
}

// dashboard is what is asked by one of Grafana's.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type, Query string
			Multi             bool
			Options           []struct{ Value string }
		}
	}
	Panels []struct {
		Title   string
		Targets []struct{ RawSQL, Expr string }
	}
}

// Panels that may have nothing to show.
var mayBeEmpty = []string{"Latest rejected events"}

func (w *written) dashboards() {
	paths, err := filepath.Glob(filepath.Join(w.root, "deploy", "grafana", "dashboards", "*.json"))
	must(w.t, err)
	if len(paths) != 5 {
		w.t.Errorf("there are %d dashboards", len(paths))
	}
	known := w.metrics()
	for _, path := range paths {
		var d dashboard
		must(w.t, json.Unmarshal([]byte(w.read("deploy", "grafana", "dashboards", filepath.Base(path))), &d))
		values := map[string][]string{}
		for _, v := range d.Templating.List {
			switch v.Type {
			case "query":
				values[v.Name] = strings.Split(w.must(w.expanded(v.Query, values), nil), "\n")
				if !v.Multi {
					values[v.Name] = values[v.Name][:1]
				}
			case "custom":
				values[v.Name] = []string{v.Options[0].Value}
			}
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.Expr != "" {
					w.known(known, filepath.Base(path)+", "+p.Title, target.Expr)
					continue
				}
				for _, step := range []string{"quarter", "half_hour", "hour", "week", "month", "day"} {
					if !strings.Contains(target.RawSQL, "${step}") && step != "day" {
						continue
					}
					values["step"] = []string{step}
					sql := w.expanded(target.RawSQL, values)
					if rows, err := w.ask(http.MethodPost, sql, nil); err != nil || rows == "" && !slices.Contains(mayBeEmpty, p.Title) {
						w.t.Errorf("%s, %s, by %s: %q, %v\n%s", filepath.Base(path), p.Title, step, rows, err, sql)
					}
				}
			}
		}
	}
}

var (
	timeFilter = regexp.MustCompile(`\$__timeFilter\((\w+)\)`)
	ofGrafana  = regexp.MustCompile(`\$\{(\w+)(:sqlstring)?\}`)
)

// expanded is what Grafana and its data source make of a query.
func (w *written) expanded(sql string, values map[string][]string) string {
	w.t.Helper()
	from, until := fmt.Sprintf("toDateTime(%d)", w.from.Unix()), fmt.Sprintf("toDateTime(%d)", w.ends.Unix())
	sql = timeFilter.ReplaceAllString(sql, "$1 >= "+from+" AND $1 <= "+until)
	sql = strings.NewReplacer("$__fromTime", from, "$__toTime", until).Replace(sql)
	sql = ofGrafana.ReplaceAllStringFunc(sql, func(match string) string {
		m := ofGrafana.FindStringSubmatch(match)
		if m[2] == "" {
			return strings.Join(values[m[1]], ",")
		}
		quoted := make([]string, len(values[m[1]]))
		for n, value := range values[m[1]] {
			quoted[n] = "'" + strings.ReplaceAll(value, "'", "''") + "'"
		}
		return strings.Join(quoted, ",")
	})
	if strings.Contains(sql, "$") {
		w.t.Errorf("nobody replaces a variable in\n%s", sql)
	}
	return sql
}

// exposition is what Prometheus reads.
func (w *written) exposition() string {
	w.t.Helper()
	at := url.URL{Scheme: "http", Host: w.site.HTTP, Path: "/metrics"}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, at.String(), http.NoBody)
	must(w.t, err)
	answer, err := http.DefaultClient.Do(request)
	must(w.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(w.t, err)
	return string(text)
}

// metrics are the names of those that the process has, with their labels.
func (w *written) metrics() map[string]map[string]bool {
	w.t.Helper()
	names := map[string]map[string]bool{}
	label := regexp.MustCompile(`(\w+)="`)
	for line := range strings.Lines(w.exposition()) {
		end := strings.IndexAny(line, "{ ")
		if strings.HasPrefix(line, "#") || end < 0 {
			continue
		}
		if names[line[:end]] == nil {
			names[line[:end]] = map[string]bool{}
		}
		for _, m := range label.FindAllStringSubmatch(line[:strings.LastIndex(line, " ")], -1) {
			names[line[:end]][m[1]] = true
		}
	}
	return names
}

// metric adds a metric up over its labels.
func (w *written) metric(name string) string {
	w.t.Helper()
	sum := 0.0
	for line := range strings.Lines(w.exposition()) {
		var value float64
		if strings.HasPrefix(line, name) {
			_, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &value)
			must(w.t, err)
		}
		sum += value
	}
	return fmt.Sprint(sum)
}

// known fails where an expression cannot be read, or names a metric or a label that the process does not have.
func (w *written) known(names map[string]map[string]bool, where, expression string) {
	w.t.Helper()
	e, err := metricsql.Parse(expression)
	if err != nil {
		w.t.Errorf("%s: %s: %v", where, expression, err)
		return
	}
	labels, has, said := map[string]bool{}, map[string]bool{}, 0
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			for _, alternative := range e.LabelFilterss {
				for _, f := range alternative {
					if f.Label != "__name__" {
						labels[f.Label] = true
						continue
					}
					said++
					if names[f.Value] == nil {
						w.t.Errorf("%s: %s: the process has no %s", where, expression, f.Value)
					}
					for label := range names[f.Value] {
						has[label] = true
					}
				}
			}
		case *metricsql.AggrFuncExpr:
			for _, label := range e.Modifier.Args {
				labels[label] = true
			}
		}
	})
	if said == 0 {
		w.t.Errorf("%s: %s names no metric", where, expression)
	}
	for label := range labels {
		if !has[label] {
			w.t.Errorf("%s: %s: no metric in it has the label %s", where, expression, label)
		}
	}
}

func (w *written) alerts() {
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(w.read("deploy", "alerts", "skein.yaml")))
	decoder.KnownFields(true)
	must(w.t, decoder.Decode(&rules))
	known, runbook, count := w.metrics(), w.read("docs", "operate.md"), 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			count++
			w.known(known, r.Alert, r.Expr)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				w.t.Errorf("%s lacks a severity or a summary", r.Alert)
			}
			if !strings.Contains(runbook, "`"+r.Alert+"`") {
				w.t.Errorf("docs/operate.md does not say what to do about %s", r.Alert)
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				w.t.Errorf("%s: %v", r.Alert, err)
			}
		}
	}
	if count < 10 {
		w.t.Errorf("there are only %d alerts", count)
	}
}
