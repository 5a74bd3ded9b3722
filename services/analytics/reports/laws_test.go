package reports_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// vocabulary are values of dimensions.
var vocabulary = map[string][]string{
	"channel": {"voice", "web_chat", "email"}, "provider": {"pbx", "desk"}, "inbox": {"main", "", "it's \\ a\tbox"},
	"direction": {"inbound", "inbound", "inbound", "outbound", "internal"}, "origin": {"inbound", "transfer", "consult"}, "language": {"de", "zh-Hans", ""},
	"queue": {"q1", "q2", "q9", ""}, "agent": {"a1", "a2", "a9", ""}, "contact_reason": {"billing", "账单", ""}, "tag": {"vip", "new", "x y"},
	"disposition": {"sold", ""}, "end_reason": {"customer", "agent", "transfer"}, "bot": {"faq", ""}, "survey": {"after call", "yearly"},
	"driver": {"speed", "attitude", "resolution"}, "presence": {"Available", "Break", "Meeting"}, "presence_type": {"routable", "custom", "offline", ""},
}

// around is where random times lie: a fortnight in which clocks are put back in Europe.
func around() time.Time { return time.Date(2025, 10, 20, 3, 20, 0, 0, time.UTC) }

type draw struct{ *rapid.T }

func (d draw) of(name string) string { return rapid.SampledFrom(vocabulary[name]).Draw(d.T, name) }

func (d draw) some(name string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(vocabulary[name]), 0, 3, rapid.ID[string]).Draw(d.T, name)
}

func (d draw) bool(name string) bool { return rapid.Bool().Draw(d.T, name) }

func (d draw) time(name string) time.Time {
	return around().Add(time.Duration(rapid.Int64Range(0, 14*24*3600).Draw(d.T, name))*time.Second + time.Duration(rapid.Int64Range(0, 999).Draw(d.T, name+" ms"))*time.Millisecond)
}

// after is a moment some time behind another; absent now and then.
func (d draw) after(name string, t time.Time, most time.Duration, sometimes bool) *time.Time {
	if sometimes && rapid.IntRange(0, 4).Draw(d.T, "no "+name) == 0 {
		return nil
	}
	return new(t.Add(time.Duration(rapid.Int64Range(0, most.Milliseconds()).Draw(d.T, name)) * time.Millisecond))
}

// endpoints and customers are few, so that they meet.
func someone(kind string, n int) uuid.UUID {
	if n == 0 {
		return uuid.Nil
	}
	return id(kind, n)
}

func drawFacts(t *rapid.T) *facts {
	d, f := draw{t}, &facts{}
	forever := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	turn := around().AddDate(0, 0, 6)
	f.natives = []native{
		{"agent", "pbx", "a1", around().AddDate(-1, 0, 0), turn, "alice"},
		{"agent", "pbx", "a1", turn, forever, "bob"},
		{"agent", "", "a2", around().AddDate(-1, 0, 0), forever, "carol"},
		{"queue", "", "q1", around().AddDate(-1, 0, 0), forever, "sales"},
	}
	f.entries = []entry{
		{"agent", "alice", around().AddDate(-1, 0, 0), turn, "Alice", []string{"red"}},
		{"agent", "alice", turn, forever, "Alice B.", []string{"red", "blue"}},
		{"agent", "carol", around().AddDate(-1, 0, 0), forever, "Carol", nil},
		{"queue", "sales", around().AddDate(-1, 0, 0), forever, "Sales", nil},
	}
	for e := 1; e <= 4; e++ {
		if d.bool("linked") {
			until := forever
			if d.bool("for a time") {
				until = turn
			}
			f.links = append(f.links, link{id("endpoint", e), around().AddDate(-1, 0, 0), until, id("customer", rapid.IntRange(1, 2).Draw(t, "customer"))})
		}
	}
	starts := map[time.Time]bool{}
	for n := range rapid.IntRange(3, 14).Draw(t, "interactions") {
		f.draw(d, n, starts)
	}
	for n := range rapid.IntRange(0, 12).Draw(t, "states") {
		begin := d.time("state")
		day := begin.Truncate(24 * time.Hour)
		end := d.after("state ends", begin, 5*time.Hour, false)
		if next := day.AddDate(0, 0, 1); end.After(next) || n == 0 {
			end = &next
		}
		f.states = append(f.states, agentState{
			Agent: rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(t, "agent"), Day: day, StartedAt: begin, EndedAt: *end, Presence: d.of("presence"),
			PresenceType: d.of("presence_type"), RoutingStatus: rapid.SampledFrom([]string{"idle", "interacting", ""}).Draw(t, "routing"), OnContact: d.bool("on contact"),
		})
	}
	return f
}

// draw adds an interaction and what belongs to it.
func (f *facts) draw(d draw, n int, starts map[time.Time]bool) {
	t := d.T
	started := d.time("started")
	for starts[started] { // no two at once, so that the order is clear
		started = started.Add(time.Millisecond)
	}
	starts[started] = true
	i := interaction{
		Interaction: id("interaction", n), Thread: id("thread", rapid.IntRange(1, 3).Draw(t, "thread")), Channel: d.of("channel"), Provider: d.of("provider"),
		Inbox: d.of("inbox"), Origin: d.of("origin"), Direction: d.of("direction"), Language: d.of("language"), Backfill: rapid.IntRange(0, 5).Draw(t, "backfill") == 0,
		Endpoint: someone("endpoint", rapid.IntRange(0, 4).Draw(t, "endpoint")), CustomerThen: someone("customer", rapid.IntRange(0, 3).Draw(t, "then")),
		Status: rapid.SampledFrom([]string{"open", "resolved", "closed"}).Draw(t, "status"), StartedAt: started, EndReason: d.of("end_reason"),
		Tags: d.some("tag"), Disposition: d.of("disposition"), Complaint: d.bool("complaint"), Bot: d.of("bot"), Contained: d.bool("contained"),
		Connected: uint16(rapid.IntRange(0, 2).Draw(t, "connected")), Transfers: uint16(rapid.IntRange(0, 2).Draw(t, "transfers")), Queue: d.of("queue"), Agent: d.of("agent"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "levels") {
		i.ContactReason = append(i.ContactReason, d.of("contact_reason"))
	}
	i.EndedAt = d.after("ended", started, 30*time.Hour, true)
	if i.LastActivityAt = started; i.EndedAt != nil {
		i.LastActivityAt = *i.EndedAt
	}
	if i.Status == "resolved" {
		i.ResolvedAt = d.after("resolved", started, 50*time.Hour, false)
		i.ResolutionMs = new(i.ResolvedAt.Sub(started).Milliseconds())
	}
	if d.bool("reopened") {
		i.Reopened, i.ReopenedAt = 1, d.after("reopened at", started, 50*time.Hour, false)
	}
	if i.FirstResponseAt = d.after("response", started, 3*time.Hour, true); i.FirstResponseAt != nil {
		i.FirstResponseMs = new(i.FirstResponseAt.Sub(started).Milliseconds())
	}
	if i.Bot != "" {
		i.BotStartedAt, i.BotEndedAt = &started, d.after("bot ended", started, time.Hour, true)
	}
	f.interactions = append(f.interactions, i)
	for k := range rapid.IntRange(0, 2).Draw(t, "visits") {
		entered := *d.after("entered", started, 10*time.Hour, false)
		v := visit{
			Visit: id("visit", n, k), Interaction: i.Interaction, Thread: i.Thread, Channel: i.Channel, Provider: i.Provider, Inbox: i.Inbox, Origin: d.of("origin"),
			Direction: i.Direction, Language: i.Language, Backfill: i.Backfill, Endpoint: i.Endpoint, Queue: d.of("queue"), EnteredAt: entered,
			LeftAt: d.after("left", entered, 40*time.Second, true), SLATargetMs: rapid.SampledFrom([]int64{0, 10_000, 30_000}).Draw(t, "target"), InteractionEndedAt: i.EndedAt,
		}
		if v.LeftAt != nil {
			v.WaitMs = v.LeftAt.Sub(entered).Milliseconds()
			v.Outcome = rapid.SampledFrom([]string{"answered", "answered", "answered", "abandoned", "abandoned", "overflowed", "transferred", "voicemail", "callback", "cancelled"}).Draw(t, "outcome")
		}
		if v.Outcome == "answered" {
			v.Agent = d.of("agent")
		}
		f.visits = append(f.visits, v)
	}
	for k := range rapid.IntRange(0, 2).Draw(t, "assignments") {
		f.assign(d, i, n, k)
	}
	for k := range rapid.IntRange(0, 2).Draw(t, "targets") {
		s := target{
			Interaction: i.Interaction, Thread: i.Thread, Channel: i.Channel, Provider: i.Provider, Inbox: i.Inbox, Queue: d.of("queue"), Backfill: i.Backfill,
			Ordinal: uint16(k + 1), Metric: rapid.SampledFrom([]string{"first_response", "next_response", "resolution"}).Draw(t, "metric"),
			State: rapid.SampledFrom([]string{"active", "hit", "missed", "cancelled"}).Draw(t, "state"), Since: started,
		}
		s.DueAt, s.DoneAt = d.after("due", started, 3*time.Hour, false), d.after("done", started, 3*time.Hour, s.State != "hit")
		f.targets = append(f.targets, s)
	}
	for k := range rapid.IntRange(0, 2).Draw(t, "surveys") {
		s := survey{
			EventID: id("survey", n, k), OccurredAt: *d.after("survey", started, 60*time.Hour, false), Answered: d.bool("answered"), Channel: i.Channel, Provider: i.Provider,
			Inbox: i.Inbox, Thread: i.Thread, Backfill: i.Backfill, Survey: d.of("survey"), Metric: rapid.SampledFrom([]string{"csat", "nps", "ces"}).Draw(t, "survey metric"),
		}
		if d.bool("named") {
			s.Interaction = i.Interaction
		}
		if len(f.assignments) > 0 && d.bool("rated") {
			s.Assignment = f.assignments[len(f.assignments)-1].Assignment
		}
		if s.Answered {
			scale := rapid.SampledFrom([][2]int{{1, 5}, {0, 10}, {1, 7}, {3, 3}}).Draw(t, "scale")
			s.ScaleMin, s.ScaleMax, s.Score = float64(scale[0]), float64(scale[1]), float64(rapid.IntRange(scale[0], scale[1]).Draw(t, "score"))
			s.Drivers = d.some("driver")
		}
		f.surveys = append(f.surveys, s)
	}
	for k := range rapid.IntRange(0, 2).Draw(t, "messages") {
		f.messages = append(f.messages, message{
			EventID: id("message", n, k), Type: rapid.SampledFrom([]string{"message.received", "message.sent", "message.read"}).Draw(t, "type"),
			OccurredAt: *d.after("message", started, 10*time.Hour, false), Channel: i.Channel, Provider: i.Provider, Inbox: i.Inbox, Thread: i.Thread, Backfill: i.Backfill,
		})
	}
}

func (f *facts) assign(d draw, i interaction, n, k int) {
	t := d.T
	begun := *d.after("begun", i.StartedAt, 20*time.Hour, false)
	a := assignment{
		Assignment: id("assignment", n, k), Interaction: i.Interaction, Thread: i.Thread, Channel: i.Channel, Provider: i.Provider, Inbox: i.Inbox, Origin: d.of("origin"),
		Direction: i.Direction, Language: i.Language, Backfill: i.Backfill, Endpoint: i.Endpoint, Queue: d.of("queue"), Agent: d.of("agent"), BegunAt: begun,
		EndReason: d.of("end_reason"), Disposition: d.of("disposition"), InteractionEndedAt: i.EndedAt,
	}
	if d.bool("offered") {
		a.OfferedAt = &begun
	}
	if d.bool("declined") {
		a.DeclinedAt, a.DeclineReason = d.after("declined at", begun, time.Minute, false), rapid.SampledFrom([]string{"rejected", "timed_out", "cancelled"}).Draw(t, "decline")
		f.assignments = append(f.assignments, a)
		return
	}
	a.ConnectedAt = d.after("connected", begun, time.Minute, true)
	if a.ConnectedAt != nil {
		at := *a.ConnectedAt
		for range rapid.IntRange(0, 2).Draw(t, "stretches") {
			from := *d.after("from", at, 20*time.Minute, false)
			at = *d.after("until", from, 20*time.Minute, false)
			if d.bool("held") {
				a.held = append(a.held, [2]time.Time{from, at})
			} else {
				a.paused = append(a.paused, [2]time.Time{from, at})
			}
		}
		a.EndedAt = d.after("share ended", at, 20*time.Hour, true)
	}
	if a.EndedAt != nil && d.bool("wraps up") {
		a.WrapupStartedAt = a.EndedAt
		a.WrapupEndedAt = d.after("wrapped up", *a.EndedAt, time.Hour, true)
	}
	f.assignments = append(f.assignments, a.finished())
}

// drawAsked draws a report about metrics that have certain dimensions.
func drawAsked(t *rapid.T, all *analyticsv1.MetricsResponse) asked {
	d := draw{t}
	dims := map[string][]string{}
	for _, m := range all.GetMetrics() {
		dims[m.GetName()] = m.GetDimensions()
	}
	zone, err := time.LoadLocation(rapid.SampledFrom([]string{"", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Chatham"}).Draw(t, "zone"))
	must(t, err)
	a := asked{
		zone: zone, step: analyticsv1.Step(rapid.IntRange(0, 6).Draw(t, "step")), attribution: analyticsv1.Attribution(rapid.IntRange(0, 3).Draw(t, "attribution")),
		then: d.bool("then"), history: d.bool("history"), from: d.time("from"), short: 5 * time.Second, repeat: 7 * 24 * time.Hour, satisfied: 0.75,
		countShort: d.bool("short abandons"), withoutFlows: d.bool("without flows"), withoutDeflections: d.bool("without deflections"), queuedOnly: d.bool("queued only"),
	}
	a.until = *d.after("until", a.from.Add(time.Minute), 16*24*time.Hour, false)
	if a.step != 0 {
		a.from = a.from.Truncate(15 * time.Minute)
	}
	if a.step == analyticsv1.Step_STEP_QUARTER && a.until.Sub(a.from) > 4*24*time.Hour {
		a.until = a.from.Add(4 * 24 * time.Hour)
	}
	a.now = *d.after("now", a.from, 20*24*time.Hour, false)
	if d.bool("parameters") {
		a.within, a.short, a.repeat, a.satisfied = new(15*time.Second), 20*time.Second, 36*time.Hour, 0.5
	}
	first := rapid.SampledFrom(all.GetMetrics()).Draw(t, "first metric")
	a.group = rapid.SliceOfNDistinct(rapid.SampledFrom(first.GetDimensions()), 0, 2, rapid.ID[string]).Draw(t, "group")
	asks := slices.Clone(a.group)
	for range rapid.IntRange(0, 2).Draw(t, "filters") {
		name := rapid.SampledFrom(first.GetDimensions()).Draw(t, "filter")
		asks = append(asks, name)
		a.filters = append(a.filters, &analyticsv1.Filter{Dimension: name, Values: d.values(name), Exclude: d.bool("exclude")})
	}
	a.metrics = []string{first.GetName()}
	var fit []string
	for _, m := range all.GetMetrics() {
		if m != first && !slices.ContainsFunc(asks, func(name string) bool { return !slices.Contains(m.GetDimensions(), name) }) {
			fit = append(fit, m.GetName())
		}
	}
	if len(fit) > 0 {
		a.metrics = append(a.metrics, rapid.SliceOfNDistinct(rapid.SampledFrom(fit), 0, 3, rapid.ID[string]).Draw(t, "metrics")...)
	}
	return a
}

// values are some that a dimension may have.
func (d draw) values(name string) []string {
	var from []string
	switch name {
	case "weekday":
		from = []string{"1", "3", "5", "7"}
	case "hour":
		from = []string{"0", "2", "9", "14", "23"}
	case "customer":
		from = []string{"", id("customer", 1).String(), id("endpoint", 1).String()}
	case "agent":
		from = []string{"alice", "bob", "carol", "a9", ""}
	case "team":
		from = []string{"red", "blue", ""}
	case "queue":
		from = []string{"sales", "q2", ""}
	case "contact_reason_2", "contact_reason_3":
		from = vocabulary["contact_reason"]
	default:
		from = vocabulary[name]
	}
	return rapid.SliceOfN(rapid.SampledFrom(from), 1, 2).Draw(d.T, "values")
}

func (a asked) request() *analyticsv1.ReportRequest {
	p := &analyticsv1.Parameters{
		ShortAbandon: durationpb.New(a.short), RepeatWithin: durationpb.New(a.repeat), SatisfiedFrom: a.satisfied, CountShortAbandons: a.countShort,
		WithoutFlowOuts: a.withoutFlows, WithoutDeflections: a.withoutDeflections,
	}
	if a.within != nil {
		p.ServiceLevelWithin = durationpb.New(*a.within)
	}
	if a.queuedOnly {
		p.AbandonedOf = analyticsv1.Denominator_DENOMINATOR_QUEUED
	}
	identity := analyticsv1.Identity_IDENTITY_NOW
	if a.then {
		identity = analyticsv1.Identity_IDENTITY_THEN
	}
	return &analyticsv1.ReportRequest{
		Metrics: a.metrics, GroupBy: a.group, Step: a.step,
		Scope: &analyticsv1.Scope{
			Period: &analyticsv1.Period{From: timestamppb.New(a.from), Until: timestamppb.New(a.until)}, TimeZone: a.zone.String(), Attribution: a.attribution,
			Identity: identity, WithBackfill: a.history, Filters: a.filters, Parameters: p,
		},
	}
}

// check holds a report and the model together.
func (a asked) check(t tester, f *facts, got *analyticsv1.ReportResponse) {
	shown := make([]map[string]result, len(a.metrics))
	for n := range shown {
		shown[n] = map[string]result{}
	}
	note := func(key string, values []*analyticsv1.Value) {
		if len(values) != len(a.metrics) {
			t.Fatalf("%d values of %d metrics", len(values), len(a.metrics))
		}
		for n, v := range values {
			if v.Value != nil && v.GetValue() != v.GetNumerator()/v.GetDenominator() || (v.Value == nil) != (v.GetDenominator() == 0) {
				t.Fatalf("%s: the value of %v", a.metrics[n], v)
			}
			if _, twice := shown[n][key]; twice {
				t.Fatalf("a row stands there twice: %q", key)
			}
			shown[n][key] = result{v.GetNumerator(), v.GetDenominator()}
		}
	}
	note(totalKey, got.GetTotal().GetValues())
	for _, row := range got.GetRows() {
		at := row.GetFrom().AsTime()
		if (row.GetFrom() != nil) != (a.step != 0) {
			t.Fatalf("a row from %v", row.GetFrom())
		}
		if a.step != 0 && !at.Equal(a.from) && a.label(at.Add(-time.Millisecond)) == a.label(at) {
			t.Fatalf("%v is in the middle of an interval", at.In(a.zone))
		}
		key := a.label(at)
		for _, v := range row.GetGroup() {
			key += sep + v
		}
		note(key, row.GetValues())
	}
	for n, metric := range a.metrics {
		want := a.compute(f, metric)
		for key := range maps.Keys(merged(want, shown[n])) {
			w, g := want[key], shown[n][key]
			if unit := units[metric]; unit == "seconds" {
				w.numerator /= 1000
			}
			if metric == "occupancy" || metric == "utilisation" {
				w.numerator, w.denominator = w.numerator/1000, w.denominator/1000
			}
			if w.denominator == 0 && g.denominator == 1 && !ratios[metric] {
				w.denominator = 1 // a count
			}
			if math.Abs(w.numerator-g.numerator) > 1e-9*max(1, math.Abs(w.numerator)) || w.denominator != g.denominator {
				t.Fatalf("%s at %q: got %v, want %v\nasked %+v", metric, strings.ReplaceAll(key, sep, " / "), g, w, a)
			}
		}
	}
}

func merged(a, b map[string]result) map[string]result {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// units and ratios are what the metrics say of themselves; set by the first test that asks.
var (
	units  = map[string]string{}
	ratios = map[string]bool{}
)

func learn(all *analyticsv1.MetricsResponse) {
	for _, m := range all.GetMetrics() {
		units[m.GetName()] = m.GetUnit()
	}
	for name := range strings.FieldsSeq(`complaint_rate abandon_rate service_level asa average_abandon_time aht average_talk_time average_hold_time average_acw_time
		average_holds decline_rate not_answered_rate transfer_rate occupancy utilisation first_response_time resolution_time reopened_rate sla_first_response
		sla_next_response sla_resolution fcr repeat_rate containment response_rate csat csat_score nps ces longest_wait`) {
		ratios[name] = true
	}
}

// lasts is for how long random reports are held against the model.
const lasts = 8 * time.Second

func TestRandomReportsAreWhatTheDefinitionsSay(t *testing.T) {
	w := newWorld(t)
	all, err := w.Metrics(patient(t), &analyticsv1.MetricsRequest{})
	must(t, err)
	learn(all)
	tenants, begun := 0, time.Now()
	rapid.Check(t, func(t *rapid.T) {
		if time.Since(begun) > lasts {
			return
		}
		f := drawFacts(t)
		tenants++
		w.tenant = fmt.Sprint("tenant", tenants)
		w.put(f)
		for range 3 {
			w.hold(t, f, drawAsked(t, all))
		}
	})
	t.Logf("%d reports in %v", 3*tenants, time.Since(begun))
}

// hold holds the report that is asked for against the model.
func (w *world) hold(t tester, f *facts, a asked) {
	t.Helper()
	w.now = a.now
	ctx, cancel := context.WithTimeout(auth.With(context.Background(), auth.Identity{Tenant: w.tenant}), time.Minute)
	defer cancel()
	got, err := w.server.Report(ctx, a.request())
	must(t, err)
	a.check(t, f, got)
}

func TestEveryMetricIsWhatItsDefinitionSaysByEachOfItsDimensions(t *testing.T) {
	w := newWorld(t)
	all, err := w.Metrics(patient(t), &analyticsv1.MetricsRequest{})
	must(t, err)
	learn(all)
	f := rapid.Custom(drawFacts).Example(20)
	for n := 21; n < 24; n++ { // of several centres, so that much meets
		f.add(rapid.Custom(drawFacts).Example(n), n)
	}
	w.put(f)
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	reached, counted := map[string]bool{}, map[string]bool{}
	for n, group := range [][]string{
		{"channel", "provider"},
		{"inbox", "direction"},
		{"origin", "language"},
		{"queue", "bot"},
		{"agent", "team"},
		{"presence", "presence_type"},
		{"contact_reason", "contact_reason_2"},
		{"contact_reason_3", "tag"},
		{"disposition", "end_reason"},
		{"customer"},
		{"survey", "driver"},
		{"survey"},
		{"weekday", "hour"},
	} {
		a := asked{
			group: group, zone: zone, attribution: analyticsv1.Attribution(n%3 + 1), then: n%2 == 0, history: true, from: around(), until: around().AddDate(0, 0, 17),
			now: around().AddDate(0, 0, 12), short: 5 * time.Second, repeat: 7 * 24 * time.Hour, satisfied: 0.75,
		}
		for _, m := range all.GetMetrics() {
			if !slices.ContainsFunc(group, func(name string) bool { return !slices.Contains(m.GetDimensions(), name) }) {
				a.metrics = append(a.metrics, m.GetName())
				for _, name := range group {
					reached[m.GetName()+" by "+name] = true
				}
				if len(a.compute(f, m.GetName())) > 1 {
					counted[m.GetName()] = true
				}
			}
		}
		w.hold(t, f, a)
	}
	for _, m := range all.GetMetrics() {
		if !counted[m.GetName()] {
			t.Errorf("%s counted nothing", m.GetName())
		}
		for _, name := range m.GetDimensions() {
			if !reached[m.GetName()+" by "+name] {
				t.Errorf("%s by %s was not reached", m.GetName(), name)
			}
		}
	}
}

// add adds the interactions of other facts, and what belongs to them, under ids of their own.
func (f *facts) add(o *facts, n int) {
	of := func(was uuid.UUID) uuid.UUID {
		if was == uuid.Nil {
			return was
		}
		return id(was.String(), n)
	}
	for _, i := range o.interactions {
		i.Interaction, i.Thread = of(i.Interaction), of(i.Thread)
		f.interactions = append(f.interactions, i)
	}
	for _, v := range o.visits {
		v.Visit, v.Interaction, v.Thread = of(v.Visit), of(v.Interaction), of(v.Thread)
		f.visits = append(f.visits, v)
	}
	for _, a := range o.assignments {
		a.Assignment, a.Interaction, a.Thread = of(a.Assignment), of(a.Interaction), of(a.Thread)
		f.assignments = append(f.assignments, a)
	}
	for _, s := range o.targets {
		s.Interaction, s.Thread = of(s.Interaction), of(s.Thread)
		f.targets = append(f.targets, s)
	}
	for _, s := range o.surveys {
		s.EventID, s.Interaction, s.Thread, s.Assignment = of(s.EventID), of(s.Interaction), of(s.Thread), of(s.Assignment)
		f.surveys = append(f.surveys, s)
	}
	for _, m := range o.messages {
		m.EventID, m.Thread = of(m.EventID), of(m.Thread)
		f.messages = append(f.messages, m)
	}
	f.states = append(f.states, o.states...)
}
