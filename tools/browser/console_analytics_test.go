package browser_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/freeport"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// analyst is a tab of the console at a site with analytics, and the API to compare with.
type analyst struct {
	consoleTab
	api analyticsv1.AnalyticsServiceClient
}

// hotline is three days of a small one; they lie in this period.
var hotline = filepath.Join("..", "..", "docs", "examples", "analytics", "hotline.jsonl")

const inApril = "from=2026-04-01&to=2026-04-30&zone=UTC"

// sitAtTheNumbers starts the demonstration with a ClickHouse, tells it of the hotline, and waits until the numbers contain all of it.
func sitAtTheNumbers(t *testing.T) analyst {
	t.Helper()
	site := skeintest.NewSite(t, binary).WithAnalytics()
	d, server := sitDownAt(t, site, "en-US", chromedp.WindowSize(1400, 1700))
	site.Run("publish", "--quiet", "--server", site.GRPC, hotline)
	told := time.Now()
	conn, err := rpc.Dial(site.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	a := analyst{d, analyticsv1.NewAnalyticsServiceClient(conn)}
	server.WaitFor("ClickHouse containing the hotline", func() bool {
		status, err := a.api.Status(t.Context(), &analyticsv1.StatusRequest{})
		return err == nil && len(status.GetStreams()) > 1 && !slices.ContainsFunc(status.GetStreams(), func(s *analyticsv1.StreamStatus) bool {
			return !s.GetCompleteUntil().AsTime().After(told)
		})
	})
	return a
}

// days are whole days of a time zone.
func days(t *testing.T, zone, from, to string) *analyticsv1.Scope {
	t.Helper()
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	begin, err := time.ParseInLocation(time.DateOnly, from, place)
	if err != nil {
		t.Fatal(err)
	}
	last, err := time.ParseInLocation(time.DateOnly, to, place)
	if err != nil {
		t.Fatal(err)
	}
	return &analyticsv1.Scope{
		Period: &analyticsv1.Period{From: timestamppb.New(begin), Until: timestamppb.New(last.AddDate(0, 0, 1))}, TimeZone: zone,
	}
}

// report asks the API.
func (a analyst) report(t *testing.T, req *analyticsv1.ReportRequest) *analyticsv1.ReportResponse {
	t.Helper()
	answer, err := a.api.Report(t.Context(), req)
	if err != nil {
		t.Fatal(rpc.Explain(err))
	}
	return answer
}

// digits are a value as the pages state it for programs.
func digits(v *analyticsv1.Value) string {
	if v == nil || v.Value == nil {
		return ""
	}
	return strconv.FormatFloat(v.GetValue(), 'f', -1, 64)
}

// read gives what an expression finds on the page.
func read[T any](d consoleTab, expression string) (v T) {
	d.t.Helper()
	text := evaluate[string](d.tab, `JSON.stringify(((root) => { const $ = (s) => document.querySelector(s), $$ = (s) => [...document.querySelectorAll(s)]; return `+expression+`; })())`)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		d.t.Fatalf("%s is %s: %v", expression, text, err)
	}
	return v
}

// cells are the numbers of the page's table, row by row.
const cells = `$$(".table.report tbody tr").map((r) => [...r.querySelectorAll("data")].map((d) => d.value))`

// fetch gets a file of the console.
func (a analyst) fetch(t *testing.T, path string) (code int, header http.Header, data []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.site.HTTP+"/console/analytics"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if data, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, data
}

// within gives a test of a part its own name for what fails in it.
func (a analyst) within(t *testing.T, name string, f func(analyst)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		part := a
		part.t = t
		f(part)
	})
}

func TestConsoleAnalytics(t *testing.T) {
	t.Parallel()
	a := sitAtTheNumbers(t)
	a.within(t, "the overview tells what the API tells, beside the period before", analyst.overview)
	a.within(t, "a report is that of the API, and its CSV the same", analyst.reports)
	a.within(t, "a number leads to its interactions, and they to their customers", analyst.drills)
	a.within(t, "filters and what is counted stand in the address", analyst.filters)
	a.within(t, "numbers are chosen by their definitions", analyst.numbers)
	a.within(t, "a chart is read by the keyboard and follows the light", analyst.charts)
	a.within(t, "rows come as CSV and as Parquet that ClickHouse reads", analyst.exports)
	a.within(t, "what cannot be answered is said", analyst.limits)
	a.within(t, "every page is accessible, in the light and the dark, and fits a phone", analyst.looks)
	a.within(t, "all of it in Chinese", analyst.speaksChinese)
}

func (a analyst) overview() {
	a.t.Helper()
	t := a.t
	for _, zone := range []string{"UTC", "Asia/Shanghai"} {
		a.visit("analytics?from=2026-04-08&to=2026-04-08&zone=" + url.QueryEscape(zone))
		a.shows(".fresh-mark", "Complete")
		a.shows(".about-period", zone)
		page := read[map[string]string](a.consoleTab, `Object.fromEntries($$("[data-metric]").map((t) => [t.dataset.metric, t.querySelector("data").value]))`)
		against := read[map[string]string](a.consoleTab, `Object.fromEntries($$("[data-metric]").map((t) => [t.dataset.metric, t.querySelector(".change-mark .unseen")?.textContent ?? ""]))`)
		var names []string
		for name := range page {
			names = append(names, name)
		}
		if len(names) != 20 {
			t.Fatalf("%d tiles", len(names))
		}
		known, err := a.api.Metrics(t.Context(), &analyticsv1.MetricsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		total := a.report(t, &analyticsv1.ReportRequest{Scope: days(t, zone, "2026-04-08", "2026-04-08"), Metrics: names, CompareBefore: true}).GetTotal()
		for n, name := range names {
			v, before := total.GetValues()[n], total.GetBefore()[n]
			if page[name] != digits(v) {
				t.Errorf("%s: %s is %s, and %s by the API", zone, name, page[name], digits(v))
			}
			m := known.GetMetrics()[slices.IndexFunc(known.GetMetrics(), func(m *analyticsv1.Metric) bool { return m.GetName() == name })]
			if want := verdict(m, v, before); !strings.Contains(against[name], want) || (want == "") != (against[name] == "") {
				t.Errorf("%s: %s, %s after %s, is said to be %q", zone, name, digits(v), digits(before), against[name])
			}
		}
	}
	a.screenshot("overview")
}

// verdict is what is said of the change of a number.
func verdict(m *analyticsv1.Metric, now, before *analyticsv1.Value) string {
	switch up := now.GetValue() > before.GetValue(); {
	case now.Value == nil || before.Value == nil:
		return ""
	case now.GetValue() == before.GetValue():
		return "as before"
	case m.GetBetter() == analyticsv1.Better_BETTER_UNSPECIFIED:
		return map[bool]string{true: " more than before: ", false: " less than before: "}[up]
	case up == (m.GetBetter() == analyticsv1.Better_BETTER_HIGHER):
		return "better by "
	}
	return "worse by "
}

func (a analyst) reports() {
	a.t.Helper()
	t := a.t
	scope := days(t, "UTC", "2026-04-01", "2026-04-30")
	metrics := []string{"offered", "answered", "abandoned", "service_level", "abandon_rate", "asa", "aht"}
	answer := a.report(t, &analyticsv1.ReportRequest{Scope: scope, Metrics: metrics, GroupBy: []string{"queue"}})
	rows := answer.GetRows()
	slices.SortStableFunc(rows, func(x, y *analyticsv1.Row) int { return int(y.GetValues()[0].GetValue() - x.GetValues()[0].GetValue()) })
	a.visit("analytics/reports/queues?" + inApril)
	a.shows(".table.report", "billing")
	var want [][]string
	for _, row := range append(rows, answer.GetTotal()) {
		var line []string
		for _, v := range row.GetValues() {
			line = append(line, digits(v))
		}
		want = append(want, line)
	}
	got := append(read[[][]string](a.consoleTab, cells), read[[][]string](a.consoleTab, strings.Replace(cells, "tbody", "tfoot", 1))...)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the page shows\n%v\nand the API tells\n%v", got, want)
	}
	a.screenshot("queues")

	_, header, data := a.fetch(t, "/reports/queues/table.csv?compare=off&"+inApril)
	if name := header.Get("Content-Disposition"); name != "attachment; filename=queues_2026-04-01_2026-04-30.csv" {
		t.Error(name)
	}
	table, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(data), "\uFEFF"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if head := strings.Join(table[0], ","); head != "queue,queue_name,"+strings.Join(metrics, ",") {
		t.Error(head)
	}
	var lines [][]string
	for _, line := range table[1:] {
		lines = append(lines, line[2:])
	}
	if fmt.Sprint(lines) != fmt.Sprint(want[:len(want)-1]) {
		t.Errorf("the file has\n%v\nand the page\n%v", lines, want)
	}

	if _, _, data := a.fetch(t, "/reports/queues/table.csv?"+inApril); !strings.Contains(string(data), "queue,queue_name,offered,offered_before,") {
		t.Errorf("the period before is missing: %s", data)
	}

	a.do(chromedp.Click(`.table.report th:nth-of-type(2) a`))
	a.until("the order of the first number", `$('th[aria-sort="descending"]')?.innerText.startsWith("Offered")`)
	a.visit("analytics/reports/journeys?gap=720&" + inApril)
	a.until("journeys, or that there are none", `$("table.journeys, .empty")`)
	a.screenshot("journeys")
}

func (a analyst) drills() {
	a.t.Helper()
	t := a.t
	scope := days(t, "UTC", "2026-04-01", "2026-04-30")
	scope.Filters = []*analyticsv1.Filter{{Dimension: "queue", Values: []string{"billing"}}}
	found, err := a.api.Drill(t.Context(), &analyticsv1.DrillRequest{Scope: scope, Metric: "offered"})
	if err != nil {
		t.Fatal(err)
	}
	a.visit("analytics/reports/queues?" + inApril)
	a.until("the number of the queue billing", `$$(".table.report tbody tr").find((r) => r.innerText.includes("billing"))?.querySelector("a.drills")`)
	evaluate[bool](a.tab, `[...document.querySelectorAll(".table.report tbody tr")].find((r) => r.innerText.includes("billing")).querySelector("a.drills").click(), true`)
	a.shows("h1", "Behind the number: Offered")
	a.shows(".filter-chips", "billing")
	var want []string
	for _, f := range found.GetFound() {
		want = append(want, "/console/work/"+f.GetConversationId()+" /console/customers/"+f.GetCustomerId())
	}
	got := read[[]string](a.consoleTab, `$$(".found-row").map((r) => [...r.querySelectorAll("a")].map((a) => a.getAttribute("href")).join(" "))`)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the page lists\n%v\nand the API\n%v", got, want)
	}
	a.screenshot("behind a number")
	a.hit(".found-row a.who")
	a.shows(".timeline", "Waits in the queue")

	a.visit("analytics/interactions?metric=service_level&part=counted&" + inApril)
	a.shows(".segments a[aria-current]", "Those that make the number")
}

func (a analyst) filters() {
	a.t.Helper()
	t := a.t
	a.visit("analytics?" + inApril)
	a.hit(`[data-opens="#filters"]`)
	a.until("the channels", `$('#filters input[name="channel"][value="voice"]')`)
	a.screenshot("filters")
	a.do(chromedp.Click(`#filters input[name="channel"][value="voice"]`))
	a.hit("#filters .button.primary")
	a.shows(".filter-chips", "Channel: Telephone")
	scope := days(t, "UTC", "2026-04-01", "2026-04-30")
	scope.Filters = []*analyticsv1.Filter{{Dimension: "channel", Values: []string{"voice"}}}
	want := a.report(t, &analyticsv1.ReportRequest{Scope: scope, Metrics: []string{"interactions"}}).GetTotal().GetValues()[0]
	if got := read[string](a.consoleTab, `$('[data-metric="interactions"] data').value`); got != digits(want) {
		t.Errorf("%s interactions by telephone, and %s by the API", got, digits(want))
	}
	query := read[string](a.consoleTab, `location.search`)
	if query != "?channel=voice&from=2026-04-01&to=2026-04-30&zone=UTC" {
		t.Errorf("the address says %s", query)
	}
	a.hit(".filter-chips a")
	a.until("no filter", `!$(".filter-chips") && !location.search.includes("voice")`)
	a.visit("analytics?weekday=2&weekday=3&" + inApril)
	a.shows(".filter-chips", "Weekday: Tuesday, Wednesday")
	a.shows(".aside-note", "Backlog")
	a.until("no backlog", `!$('[data-metric="backlog"]')`)
}

func (a analyst) numbers() {
	a.t.Helper()
	t := a.t
	known, err := a.api.Metrics(t.Context(), &analyticsv1.MetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	a.visit("analytics/reports/own?" + inApril)
	a.hit(`[data-opens="#metrics"]`)
	a.until("all definitions", `$$("#metrics .metric-choice").length === `+strconv.Itoa(len(known.GetMetrics())))
	a.shows("#metrics", known.GetMetrics()[0].GetDefinition())
	a.accessible()
	a.screenshot("numbers to choose")
	a.do(chromedp.Click(`#metrics input[value="aht"]`), chromedp.Click(`#metrics input[value="csat"]`))
	a.hit("#metrics .button.primary")
	a.until("three numbers", `$$(".table.report th.number").length === 3 && $$(".chart-card canvas").length === 3`)
	a.do(chromedp.SetValue(`select[name="by"]`, "agent"))
	a.until("by agents", `location.search.includes("by=agent") && $(".table.report th")`)
	a.until("no form's rests in the address", `!location.search.includes("set=") && !/[?&]\w+=(&|$)/.test(location.search)`)
}

func (a analyst) charts() {
	a.t.Helper()
	t := a.t
	a.visit("analytics/reports/service-level?" + inApril)
	a.until("a chart", `$(".stage-of-plot canvas")`)
	a.until("colours other than that of text", `$$(".of-series i").every((e) => getComputedStyle(e).color !== getComputedStyle($("main")).color)`)
	evaluate[bool](a.tab, `document.querySelector(".stage-of-plot").focus(), true`)
	a.press("End", false)
	a.until("the last day", `$(".stage-of-plot").getAttribute("aria-valuetext").startsWith("Thu, 30 Apr 2026")`)
	for range 22 { // to the 8th
		a.press("ArrowLeft", false)
	}
	a.shows(".chart-legend .chart-moment", "8 Apr 2026")
	value := a.report(t, &analyticsv1.ReportRequest{Scope: days(t, "UTC", "2026-04-08", "2026-04-08"), Metrics: []string{"service_level"}}).GetTotal().GetValues()[0]
	a.shows(".chart-legend", strconv.FormatFloat(100*value.GetValue(), 'f', 1, 64)+"%")
	a.hit(".of-series")
	a.until("a series that is hidden", `$('.of-series[aria-pressed="false"]')`)
	// The picture is drawn anew in the colours of the dark.
	a.screen(1400, 1700, "light")
	light := evaluate[string](a.tab, `document.querySelectorAll("canvas")[1].toDataURL()`)
	a.screen(1400, 1700, "dark")
	a.until("other colours", `$$("canvas")[1].toDataURL() !== `+quoted(light))
	a.screenshot("dark chart")
	a.screen(600, 1700, "dark")
	a.until("a narrow chart", `$("canvas").clientWidth < 600`)
	a.screen(1400, 1700, "light")
}

func (a analyst) exports() {
	a.t.Helper()
	t := a.t
	a.visit("analytics/download?" + inApril)
	a.shows(".download-form", "queue_visits")
	interactions := a.report(t, &analyticsv1.ReportRequest{Scope: days(t, "UTC", "2026-04-01", "2026-04-30"), Metrics: []string{"interactions"}}).GetTotal().GetValues()[0].GetValue()
	_, _, data := a.fetch(t, "/download/rows?table=interactions&format=csv&"+inApril)
	if rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll(); err != nil || len(rows) != int(interactions)+1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	_, header, data := a.fetch(t, "/download/rows?table=interactions&format=parquet&"+inApril)
	if name := header.Get("Content-Disposition"); name != "attachment; filename=interactions_2026-04-01_2026-04-30.parquet" || !strings.HasPrefix(string(data), "PAR1") {
		t.Errorf("%s begins with %q", name, data[:min(4, len(data))])
	}
	file := filepath.Join(t.TempDir(), "interactions.parquet")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.ask(t, "SELECT count() FROM file('"+file+"', Parquet)"); got != strconv.Itoa(int(interactions)) {
		t.Errorf("ClickHouse reads %q rows", got)
	}
	for _, wrong := range []string{"table=nothing&format=csv&" + inApril, "table=events&format=xls&" + inApril, "table=events&format=csv&from=yesterday"} {
		if code, _, data := a.fetch(t, "/download/rows?"+wrong); code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %.200s", wrong, code, data)
		}
	}
}

// ask asks ClickHouse itself.
func (a analyst) ask(t *testing.T, sql string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.site.ClickHouse+"/?database=skein", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (a analyst) limits() {
	a.t.Helper()
	t := a.t
	a.visit("analytics?from=2010-01-01&to=2010-01-31")
	a.shows(".empty", "Nothing happened in this period")
	a.accessible()
	a.screenshot("empty")
	a.visit("analytics?from=2016-01-01&to=2026-10-31&zone=UTC")
	want := a.report(t, &analyticsv1.ReportRequest{Scope: days(t, "UTC", "2016-01-01", "2026-10-31"), Metrics: []string{"interactions"}}).GetTotal().GetValues()[0]
	if got := read[string](a.consoleTab, `$('[data-metric="interactions"] data').value`); got != digits(want) {
		t.Errorf("%s interactions in ten years, and %s by the API", got, digits(want))
	}
	a.screenshot("ten years")
	a.visit("analytics/reports/service-level?step=15m&from=2016-01-01&to=2026-10-31")
	a.shows(".wrong", "more than 20000 intervals")
	a.until("the way back", `$(".segments a")`)
	a.accessible()
	if _, header, _ := a.fetch(t, "/waiting"); header.Get("HX-Refresh") != "true" {
		t.Error("a page that waits would wait for ever")
	}
	for address, words := range map[string]string{
		"analytics?from=2026-04-30&to=2026-04-01": "The period ends before it begins.", "analytics?from=April": "Write a day as 2026-03-12: April",
		"analytics?from=2126-04-01": "The period has not begun yet.", "analytics?zone=Nowhere": "There is no time zone Nowhere.",
		"analytics?weekday=8": "weekday", "analytics/reports/none": "none", "analytics/interactions?metric=occupancy": "occupancy",
	} {
		a.visit(address)
		a.shows("main", words)
	}
}

// pages are those of the section.
var pages = []string{
	"analytics?" + inApril, "analytics/reports", "analytics/reports/volume?" + inApril, "analytics/reports/agents?" + inApril, "analytics/reports/reasons?" + inApril,
	"analytics/reports/satisfaction?" + inApril, "analytics/reports/journeys?gap=720&" + inApril, "analytics/interactions?metric=aht&" + inApril, "analytics/download",
}

func (a analyst) looks() {
	a.t.Helper()
	t := a.t
	for n, page := range pages {
		for _, scheme := range []string{"light", "dark"} {
			a.screen(1400, 1200, scheme)
			a.visit(page)
			a.until("its charts", `$$("[data-chart]").every((c) => c.querySelector("canvas"))`)
			a.accessible()
			a.screenshot(fmt.Sprintf("page %d %s", n, scheme))
		}
		a.screen(390, 844, "light")
		a.visit(page)
		if wide := read[int](a.consoleTab, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s is %d pixels wide on a phone of 390", page, wide)
		}
		a.screenshot(fmt.Sprintf("page %d phone", n))
	}
}

func (a analyst) speaksChinese() {
	a.t.Helper()
	t := a.t
	known, err := a.api.Metrics(t.Context(), &analyticsv1.MetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	c := consoleTab{newBrowser(t, a.site, "zh-CN", chromedp.WindowSize(1400, 1700))}
	c.visit("analytics?" + inApril)
	c.shows("h1", "分析")
	c.shows(".fresh-mark", "完整")
	c.shows(".chart-cards", "服务水平")
	c.accessible()
	c.screenshot("chinese overview")
	c.visit("analytics/reports/queues?" + inApril)
	c.shows(".table.report th", "进线量")
	c.hit(`[data-opens="#metrics"]`)
	c.until("all definitions", `$$("#metrics .metric-choice").length === `+strconv.Itoa(len(known.GetMetrics())))
	for _, text := range read[[]string](c, `$$("#metrics strong, #metrics small, select[name=by] option").map((e) => e.textContent)`) {
		if !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%q is not Chinese", text)
		}
	}
	c.screenshot("chinese report")
}

func TestConsoleSaysInPlainWordsThatAnalyticsAreOff(t *testing.T) {
	t.Parallel()
	d, _ := sitDown(t, "en-US")
	for _, page := range []string{"analytics", "analytics/reports", "analytics/reports/queues", "analytics/download"} {
		d.visit(page)
		d.shows("main", "Analytics are switched off here")
		d.shows("main", "skein clickhouse fetch")
	}
	d.accessible()
	d.screenshot("off")
}

func TestConsoleWaitsForAClickHouseThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	site := skeintest.NewSite(t, binary)
	site.ClickHouse = freeport.Addr(t) // nobody listens there
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte("analytics: {clickhouse: 'http://"+site.ClickHouse+"/skein'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	site.Up("--config", config)
	d := consoleTab{newBrowser(t, site, "en-US", chromedp.WindowSize(1400, 900))}
	d.visit("analytics")
	d.shows("main", "ClickHouse does not answer yet")
	d.shows("main", "skein clickhouse fetch")
	d.accessible()
	d.screenshot("waiting")
}
