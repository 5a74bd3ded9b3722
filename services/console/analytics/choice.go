package analytics

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/web"
)

// choice is what a page of numbers is about. All of it stands in the page's address, so that an address is the page.
type choice struct {
	path   string
	period period
	// zone is that in which days begin and times are told; shared tells that the address names it.
	zone   *time.Location
	shared bool
	// filters are values by dimension.
	filters map[string][]string
	compare bool
	then    bool // customers as they stood then
	history bool // with imported history
	// attribution is in which interval something counts: disconnect, real_time, or empty for when it happened.
	attribution string
	within      string // seconds of the service level's target; empty for that of each visit

	// Of a report: its numbers, what they are grouped by, the length of the intervals, and which number is drawn.
	metrics, by []string
	step, drawn string
	sort        string
	page        int
	// Of a list: which things of the number.
	part string
	gap  string // hours between the contacts of a journey

	standard *standard // what the address leaves out
}

// filterable are the dimensions by which a page can be narrowed.
func filterable() []string {
	return []string{
		"channel", "queue", "team", "agent", "inbox", "contact_reason", "contact_reason_2", "contact_reason_3", "tag", "language", "direction", "origin",
		"provider", "disposition", "end_reason", "bot", "customer", "survey", "driver", "presence", "presence_type", "weekday", "hour",
	}
}

// asked reads an address. of is what it leaves out; what is wrong in it is told beside the page that is shown instead.
func asked(ctx context.Context, address *url.URL, of *standard, now time.Time) (choice, error) {
	q := address.Query()
	ch := choice{
		path: address.Path, zone: lang.Zone(ctx), filters: map[string][]string{}, standard: of,
		compare: q.Get("compare") != "off", then: q.Get("identity") == "then", history: q.Get("history") == "on",
		attribution: q.Get("attribution"), within: strings.TrimSpace(q.Get("within")),
		metrics: known(q["metric"]), by: known(q["by"]), step: q.Get("step"), drawn: q.Get("drawn"), sort: q.Get("sort"), part: q.Get("part"), gap: q.Get("gap"),
	}
	ch.page, _ = strconv.Atoi(q.Get("page")) // the first one, where it is none
	ch.page = max(ch.page, 0)
	var wrong error
	if name := q.Get("zone"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			wrong = web.Bad(lang.T(ctx, "There is no time zone %s.", name))
		} else {
			ch.zone, ch.shared = zone, true
		}
	}
	if of != nil {
		if len(ch.metrics) == 0 {
			ch.metrics = of.metrics
		}
		if !q.Has("by") {
			ch.by = of.by
		}
		if ch.step == "" {
			ch.step = of.step
		}
	}
	if ch.attribution != "disconnect" && ch.attribution != "real_time" {
		ch.attribution = ""
	}
	for _, d := range filterable() {
		values := q[d]
		for _, more := range strings.FieldsFunc(q.Get("also."+d), func(r rune) bool { return r == ',' || r == '，' }) {
			values = append(values, strings.TrimSpace(more))
		}
		if values = unique(values); len(values) > 0 {
			ch.filters[d] = values
		}
	}
	if seconds, err := strconv.Atoi(ch.within); ch.within != "" && (err != nil || seconds < 0) {
		ch.within, wrong = "", web.Bad(lang.T(ctx, "Write the target as whole seconds."))
	}
	name := q.Get("period")
	if name == "" && q.Get("from") != "" {
		name = fromTo
	}
	p, err := periodOf(ctx, name, q.Get("from"), q.Get("to"), now, ch.zone)
	ch.period = p
	if wrong == nil {
		wrong = err
	}
	return ch, wrong
}

// known leaves empty values out, and what was said before.
func known(values []string) []string {
	return unique(slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" }))
}

func unique(values []string) (all []string) {
	for _, v := range values {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// values are what stands in the address: what is as usual is left out.
func (c choice) values() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	switch {
	case c.period.name == fromTo:
		set("from", c.period.from)
		set("to", c.period.to)
	case c.period.name != usual:
		set("period", c.period.name)
	}
	if c.shared {
		set("zone", c.zone.String())
	}
	maps.Copy(q, c.filters)
	if !c.compare {
		set("compare", "off")
	}
	if c.then {
		set("identity", "then")
	}
	if c.history {
		set("history", "on")
	}
	set("attribution", c.attribution)
	set("within", c.within)
	set("drawn", c.drawn)
	set("sort", c.sort)
	set("part", c.part)
	set("gap", c.gap)
	if c.page > 0 {
		set("page", strconv.Itoa(c.page))
	}
	of := c.standard
	if of == nil {
		of = &standard{}
	}
	if !slices.Equal(c.metrics, of.metrics) {
		q["metric"] = c.metrics
	}
	if !slices.Equal(c.by, of.by) {
		if q["by"] = c.by; len(c.by) == 0 {
			q["by"] = []string{""}
		}
	}
	if c.step != of.step {
		set("step", c.step)
	}
	return q
}

// at is the address of the choice on a page.
func (c choice) at(path string) string {
	q := c.values()
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// address is that of the same page with something else chosen.
func (c choice) address(change func(*choice)) string {
	other := c
	other.filters = maps.Clone(c.filters)
	other.page = 0
	change(&other)
	return other.at(other.path)
}

// elsewhere is the address of another page about the same period and filters.
func (c choice) elsewhere(path string, of *standard) string {
	other := c
	other.path, other.standard, other.drawn, other.sort, other.part, other.page, other.gap = path, of, "", "", "", 0, ""
	other.metrics, other.by, other.step = nil, nil, ""
	if of != nil {
		other.metrics, other.by, other.step = of.metrics, of.by, of.step
	}
	return other.at(path)
}

// in is the address of the same page about a period that has a name.
func (c choice) in(name string) string {
	return c.address(func(o *choice) { o.period = period{name: name} })
}

// stepName is the length of the intervals: the fitting one where none is named.
func (c choice) stepName() string {
	if c.step == "" || c.step == "auto" {
		return c.period.fitting()
	}
	return c.step
}

// scope is what the API is asked about.
func (c choice) scope() *analyticsv1.Scope {
	s := &analyticsv1.Scope{
		Period:   &analyticsv1.Period{From: timestamppb.New(c.period.begin), Until: timestamppb.New(c.period.end)},
		TimeZone: c.zone.String(), WithBackfill: c.history,
	}
	for _, d := range filterable() {
		if values := c.filters[d]; len(values) > 0 {
			s.Filters = append(s.Filters, &analyticsv1.Filter{Dimension: d, Values: values})
		}
	}
	if c.then {
		s.Identity = analyticsv1.Identity_IDENTITY_THEN
	}
	switch c.attribution {
	case "disconnect":
		s.Attribution = analyticsv1.Attribution_ATTRIBUTION_DISCONNECT
	case "real_time":
		s.Attribution = analyticsv1.Attribution_ATTRIBUTION_REAL_TIME
	}
	if seconds, err := strconv.Atoi(c.within); err == nil {
		s.Parameters = &analyticsv1.Parameters{ServiceLevelWithin: durationpb.New(time.Duration(seconds) * time.Second)}
	}
	return s
}

// compared is the period to compare with; nil where it is not asked for.
func (c choice) compared() *analyticsv1.Period {
	if !c.compare {
		return nil
	}
	begin, end := c.period.before(c.zone)
	return &analyticsv1.Period{From: timestamppb.New(begin), Until: timestamppb.New(end)}
}

// comparedWith says with which period it is compared.
func (c choice) comparedWith(ctx context.Context) string {
	begin, end := c.period.before(c.zone)
	return stretch(ctx, begin, end)
}

// pair is a parameter of an address.
type pair struct{ name, value string }

// rest are the parameters of the address but some: what a form carries along.
func (c choice) rest(without ...string) (all []pair) {
	q := c.values()
	q.Del("page")
	for _, name := range without {
		delete(q, name)
	}
	for name, values := range q {
		for _, v := range values {
			all = append(all, pair{name, v})
		}
	}
	slices.SortStableFunc(all, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return all
}
