package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ErrNoAnalytics says that a server has no analytics to ask.
var ErrNoAnalytics = errors.New("the server has no analytics")

// contained is how long the server may take until it contains everything.
const contained = 5 * time.Minute

// Reports compares the standard reports with what the day's ledger counts: by every grouping and attribution, by every step and time zone, with
// the parameters of the definitions, with filters, beside another period, and so many other questions at random; what numbers count, and
// journeys. It returns ErrNoAnalytics where the server has none.
func (c *Checker) Reports(ctx context.Context, random int, seed uint64) error {
	service := analyticsv1.NewAnalyticsServiceClient(c.Conn)
	known, err := service.Metrics(ctx, &analyticsv1.MetricsRequest{})
	if _, again := rpc.RetryAfter(err); err != nil && !again && strings.HasPrefix(rpc.Explain(err), "Unimplemented") {
		return ErrNoAnalytics
	}
	if err != nil {
		return fmt.Errorf("simulate: ask for the metrics: %w", err)
	}
	const settled = 30 * time.Second
	r := &reporting{
		Checker: c, service: service, dimensions: map[string][]string{}, ledgers: map[Parameters]*Ledger{}, until: time.Now().Add(cmp.Or(c.Settled, settled)),
		positions: c.Positions(), random: rand.New(rand.NewPCG(seed, 0x2e9)), //nolint:gosec // random, not secret
	}
	if c.described != nil {
		r.positions = append(r.positions, c.described)
	}
	for _, m := range known.GetMetrics() {
		r.dimensions[m.GetName()] = m.GetDimensions()
	}
	for _, metric := range r.ledger(Parameters{}).Metrics() {
		if r.dimensions[metric] == nil {
			c.compare("metrics", "metric "+metric, fields{}, fields{"is known": "true"}, nil)
		}
	}
	for _, ask := range r.questions(random) {
		if err := r.report(ctx, ask); err != nil {
			return err
		}
	}
	return errors.Join(r.drills(ctx), r.journeys(ctx))
}

// reporting is a comparison of reports.
type reporting struct {
	*Checker
	service    analyticsv1.AnalyticsServiceClient
	dimensions map[string][]string // by metric
	ledgers    map[Parameters]*Ledger
	positions  []*eventv1.Position
	until      time.Time // until when something may be behind
	random     *rand.Rand
}

func (r *reporting) ledger(p Parameters) *Ledger {
	if r.ledgers[p] == nil {
		r.ledgers[p] = r.Day.Ledger(p)
	}
	return r.ledgers[p]
}

// asked is a question with all that belongs to it.
type asked struct {
	Question
	Parameters
	// before is the period that is compared with; nil for none. told has the server find it itself.
	before *Question
	told   bool
	// only are the metrics; all where there are none.
	only []string
}

func (a asked) String() string {
	by := "all together"
	if len(a.GroupBy) > 0 {
		by = "by " + strings.Join(a.GroupBy, " and ")
	}
	words := []string{"report " + by, strings.ToLower(strings.TrimPrefix(a.Step.String(), "STEP_")), a.Zone.String(), strings.ToLower(strings.TrimPrefix(a.Attribution.String(), "ATTRIBUTION_"))}
	if a.From.Nanosecond() != 0 || a.before != nil || a.From.Second() != 0 {
		words = append(words, "from "+at(a.From.UnixNano())+" until "+at(a.Until.UnixNano()))
	}
	for _, f := range a.Filters {
		not := ""
		if f.Exclude {
			not = "not "
		}
		words = append(words, f.Dimension+" "+not+"in "+strings.Join(f.Values, ","))
	}
	if a.Parameters != (Parameters{}) {
		words = append(words, fmt.Sprintf("%+v", a.Parameters))
	}
	if a.before != nil {
		words = append(words, "beside the one from "+at(a.before.From.UnixNano()))
	}
	return strings.Join(words, ", ")
}

// zone finds a time zone, which every system has.
func zone(name string) *time.Location {
	found, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return found
}

// questions are those that are always asked, and some at random.
func (r *reporting) questions(random int) (all []asked) {
	all = append(all, r.groupings()...)
	all = append(all, r.steps()...)
	all = append(all, r.parameters()...)
	all = append(all, r.filtered()...)
	all = append(all, r.besides()...)
	for range random {
		all = append(all, r.any())
	}
	return all
}

// day is the question about all of it.
func (r *reporting) day() asked {
	return asked{Question: Question{From: r.Day.Since(), Until: r.Day.End(), Zone: time.UTC}}
}

var groupings = [][]string{nil, {byQueue}, {byAgent}, {byTeam}, {byChannel}, {byQueue, byAgent}, {byPresence}} //nolint:gochecknoglobals // read only

func (r *reporting) groupings() (all []asked) {
	for _, group := range groupings {
		for attribution := range analyticsv1.Attribution(4) {
			a := r.day()
			a.GroupBy, a.Attribution = group, attribution
			all = append(all, a)
		}
	}
	return all
}

var zones = []string{"UTC", "Europe/Berlin", "Asia/Kolkata"} //nolint:gochecknoglobals // read only

func (r *reporting) steps() (all []asked) {
	for step := analyticsv1.Step_STEP_QUARTER; step <= analyticsv1.Step_STEP_DAY; step++ {
		for _, name := range zones {
			a := r.any()
			a.GroupBy, a.Step, a.Zone = nil, step, zone(name)
			all = append(all, a)
		}
	}
	return all
}

// any is a question at random.
func (r *reporting) any() asked {
	a := r.day()
	a.GroupBy, a.Zone = groupings[r.random.IntN(len(groupings))], zone(zones[r.random.IntN(len(zones))])
	a.Step, a.Attribution = analyticsv1.Step(r.random.IntN(5)), analyticsv1.Attribution(r.random.IntN(4))
	return a
}

// parameters asks for what the definitions leave open.
func (r *reporting) parameters() (all []asked) {
	for _, p := range []Parameters{
		{Within: 20 * time.Second},
		{Within: time.Minute},
		{CountShort: true},
		{WithoutFlowOuts: true},
		{WithoutDeflections: true},
		{Within: 20 * time.Second, CountShort: true, WithoutFlowOuts: true, WithoutDeflections: true},
		{ShortAbandon: 3 * time.Second, OfQueued: true},
		{RepeatWithin: 30 * time.Minute},
	} {
		for _, group := range [][]string{nil, {byQueue}} {
			a := r.any()
			a.GroupBy, a.Parameters, a.only = group, p, []string{"service_level", "abandon_rate", "short_abandoned", "fcr", "repeat_rate", "repeat_contacts"}
			all = append(all, a)
		}
	}
	return all
}

// filtered asks for a part of the day's things.
func (r *reporting) filtered() (all []asked) {
	queues, agents := r.Day.Queues, r.Day.Agents
	for _, filters := range [][]Filter{
		{{Dimension: byQueue, Values: []string{queues[0].ID, queues[len(queues)-1].ID}}},
		{{Dimension: byQueue, Values: []string{queues[0].ID, ""}, Exclude: true}},
		{{Dimension: byChannel, Values: []string{"voice"}, Exclude: true}},
		{{Dimension: byTeam, Values: []string{r.Day.Teams[0].ID}}, {Dimension: byChannel, Values: []string{"voice", "email"}}},
		{{Dimension: byTeam, Values: []string{r.Day.Teams[0].ID}}},
		{{Dimension: byAgent, Values: []string{agents[0].ID, agents[len(agents)/2].ID, "nobody"}}},
	} {
		a := r.any()
		a.Filters = filters
		all = append(all, a)
	}
	return all
}

// besides asks for one half of the day beside the other, and from a moment that is no quarter of an hour.
func (r *reporting) besides() (all []asked) {
	half := (r.Day.End().Sub(r.Day.Since()) / 2).Truncate(30 * time.Minute)
	for _, told := range []bool{true, false} {
		for _, step := range []analyticsv1.Step{0, analyticsv1.Step_STEP_QUARTER} {
			a := r.any()
			a.Step, a.Zone = step, time.UTC
			a.From, a.Until = r.Day.Since().Add(half), r.Day.Since().Add(2*half)
			before := a.Question
			before.From, before.Until, a.told = r.Day.Since(), a.From, told
			a.before = &before
			all = append(all, a)
		}
	}
	odd := r.day()
	odd.Step, odd.From = analyticsv1.Step_STEP_HALF_HOUR, odd.From.Add(67*time.Minute+time.Second)
	exact := r.day()
	exact.From, exact.Until = odd.From, odd.From.Add(time.Hour+time.Millisecond)
	return append(all, odd, exact)
}

// own are filters that keep to the day, where others are in the log.
func (r *reporting) own(metric string) Filter {
	if slices.Contains(r.dimensions[metric], byInbox) {
		inboxes := map[string]bool{}
		f := Filter{Dimension: byInbox}
		for _, c := range r.Day.Contacts {
			if !inboxes[c.Inbox] {
				inboxes[c.Inbox] = true
				f.Values = append(f.Values, c.Inbox)
			}
		}
		slices.Sort(f.Values)
		return f
	}
	f := Filter{Dimension: byAgent}
	for _, a := range r.Day.Agents {
		f.Values = append(f.Values, a.ID)
	}
	return f
}

// metrics are those to which a question can be put, by the dimension that keeps them to the day.
func (r *reporting) metrics(a asked) map[string][]string {
	all := map[string][]string{}
	for _, metric := range r.ledger(a.Parameters).Metrics() {
		needs := slices.Clone(a.GroupBy)
		for _, f := range a.Filters {
			needs = append(needs, f.Dimension)
		}
		lacks := func(d string) bool {
			return !slices.Contains(r.dimensions[metric], d) || !r.ledger(a.Parameters).Known(metric, d)
		}
		if r.dimensions[metric] == nil || slices.ContainsFunc(needs, lacks) || len(a.only) > 0 && !slices.Contains(a.only, metric) {
			continue
		}
		own := r.own(metric).Dimension
		all[own] = append(all[own], metric)
	}
	return all
}

// report asks a question, and compares the answer; for a while, until it agrees.
func (r *reporting) report(ctx context.Context, a asked) error {
	const mostMetrics = 64
	for _, metrics := range r.metrics(a) {
		for some := range slices.Chunk(metrics, mostMetrics) {
			question := a
			question.Filters = append(slices.Clone(a.Filters), r.own(some[0]))
			truth := r.truth(question, some)
			err := r.settle(ctx, func(c *Checker) error {
				server, err := r.ask(ctx, question, some)
				if err != nil {
					return err
				}
				for _, metric := range some {
					c.compare(a.String(), metric, server[metric], truth[metric], nil)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("simulate: %v: %w", a, err)
			}
		}
	}
	r.compared("reports", 1)
	return nil
}

// settle compares until nothing differs, or for long enough.
func (r *reporting) settle(ctx context.Context, compare func(*Checker) error) error {
	const pause = 500 * time.Millisecond
	for {
		try := &Checker{Player: r.Player, Ignore: r.Ignore}
		if err := compare(try); err != nil {
			return err
		}
		if len(try.found) == 0 || time.Now().After(r.until) {
			r.compared("fields", try.tally["fields"])
			r.mu.Lock()
			r.found = append(r.found, try.found...)
			r.mu.Unlock()
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f fields) number(cell string, numerator, denominator, value float64, there bool, usual float64) {
	if numerator == 0 && denominator == usual {
		return
	}
	f.set(cell+".divided", about(numerator))
	f.set(cell+".by", about(denominator))
	f.set(cell+".value", "nothing")
	if there {
		f.set(cell+".value", about(value))
	}
}

// usual is the denominator where nothing counts.
func (r *reporting) usual(metric string) float64 {
	if a := r.ledger(Parameters{}).accounts[metric]; a.ratio || a.way == highest {
		return 0
	}
	return 1
}

// truth is what the ledger says, by metrics.
func (r *reporting) truth(a asked, metrics []string) map[string]fields {
	l, all := r.ledger(a.Parameters), map[string]fields{}
	q := a.Question
	if q.Step != analyticsv1.Step_STEP_UNSPECIFIED {
		_, offset := q.From.In(q.Zone).Zone()
		ahead := time.Duration(offset) * time.Second
		q.From = q.From.Add(ahead).Truncate(15 * time.Minute).Add(-ahead)
	}
	for _, metric := range metrics {
		f := fields{}
		put := func(prefix string, q Question) {
			for cell, n := range l.Report(metric, q) {
				value, there := n.Value()
				f.number(prefix+r.cell(cell.Group, cell.Interval), n.Numerator, n.Denominator, value, there, r.usual(metric))
			}
		}
		put("", q)
		if a.before != nil {
			put("before, ", *a.before)
		}
		all[metric] = f
	}
	return all
}

func (r *reporting) cell(group string, interval int) string {
	if interval < 0 {
		return "in all"
	}
	return fmt.Sprintf("interval %d of %q", interval, strings.Split(strings.TrimSuffix(group, "\x00"), "\x00"))
}

// scope is a question as the server is asked.
func scope(q Question, p Parameters) *analyticsv1.Scope {
	s := &analyticsv1.Scope{
		Period: &analyticsv1.Period{From: timestamppb.New(q.From), Until: timestamppb.New(q.Until)}, TimeZone: q.Zone.String(), Attribution: q.Attribution,
		Parameters: &analyticsv1.Parameters{
			CountShortAbandons: p.CountShort, WithoutFlowOuts: p.WithoutFlowOuts, WithoutDeflections: p.WithoutDeflections,
		},
	}
	if p.Within > 0 {
		s.Parameters.ServiceLevelWithin = durationpb.New(p.Within)
	}
	if p.ShortAbandon > 0 {
		s.Parameters.ShortAbandon = durationpb.New(p.ShortAbandon)
	}
	if p.RepeatWithin > 0 {
		s.Parameters.RepeatWithin = durationpb.New(p.RepeatWithin)
	}
	if p.OfQueued {
		s.Parameters.AbandonedOf = analyticsv1.Denominator_DENOMINATOR_QUEUED
	}
	for _, f := range q.Filters {
		s.Filters = append(s.Filters, &analyticsv1.Filter{Dimension: f.Dimension, Values: f.Values, Exclude: f.Exclude})
	}
	return s
}

// ask has the server answer, once it contains everything.
func (r *reporting) ask(ctx context.Context, a asked, metrics []string) (map[string]fields, error) {
	ctx, cancel := context.WithTimeout(ctx, contained)
	defer cancel()
	request := &analyticsv1.ReportRequest{
		Scope: scope(a.Question, a.Parameters), Metrics: metrics, GroupBy: a.GroupBy, Step: a.Step, MinPositions: r.positions, CompareBefore: a.before != nil && a.told,
	}
	if a.before != nil && !a.told {
		request.Compare = &analyticsv1.Period{From: timestamppb.New(a.before.From), Until: timestamppb.New(a.before.Until)}
	}
	answer, err := r.service.Report(ctx, request)
	if err != nil {
		return nil, err
	}
	all := map[string]fields{}
	for _, metric := range metrics {
		all[metric] = fields{}
	}
	put := func(cell string, values []*analyticsv1.Value) {
		for n, v := range values {
			all[metrics[n]].number(cell, v.GetNumerator(), v.GetDenominator(), v.GetValue(), v.Value != nil, r.usual(metrics[n]))
		}
	}
	begins := a.Intervals()
	for _, row := range answer.GetRows() {
		if len(a.GroupBy) == 0 && a.Step == analyticsv1.Step_STEP_UNSPECIFIED {
			continue // it is the total
		}
		cell := r.cell(strings.Join(row.GetGroup(), "\x00")+"\x00", r.interval(begins, row))
		put(cell, row.GetValues())
		put("before, "+cell, row.GetBefore())
	}
	put(r.cell("", -1), answer.GetTotal().GetValues())
	put("before, "+r.cell("", -1), answer.GetTotal().GetBefore())
	return all, nil
}

// interval is the place of a row's interval. Of one that none begins with, it is behind all.
func (r *reporting) interval(begins []time.Time, row *analyticsv1.Row) int {
	if row.GetFrom() == nil {
		return 0
	}
	for n, begin := range begins {
		next := row.GetFrom().AsTime().Equal(begin)
		if n == 0 { // a period that begins in the middle of a quarter of an hour begins with that
			next = !row.GetFrom().AsTime().After(begin)
		}
		if next {
			return n
		}
	}
	return len(begins)
}

// drilled are numbers of which it is asked what they count.
func (r *reporting) drilled() []struct {
	metric string
	part   analyticsv1.Part
	asked  asked
} {
	const numerator, denominator = analyticsv1.Part_PART_NUMERATOR, analyticsv1.Part_PART_DENOMINATOR
	type drilled = struct {
		metric string
		part   analyticsv1.Part
		asked  asked
	}
	all := []drilled{
		{"service_level", numerator, r.day()},
		{"service_level", denominator, r.day()},
		{"abandon_rate", numerator, r.day()},
		{"handled", 0, r.day()},
		{"aht", numerator, r.day()},
		{"asa", numerator, r.day()},
		{"interactions", 0, r.day()},
		{"first_response_time", numerator, r.day()},
		{"containment", numerator, r.day()},
		{"declined", 0, r.day()},
		{"fcr", denominator, r.day()},
		{"messages_out", 0, r.day()},
	}
	of := r.day()
	of.Filters = []Filter{{Dimension: byQueue, Values: []string{r.Day.Queues[0].ID}}}
	of.From = of.From.Add(2 * time.Hour)
	of.Until = of.From.Add(time.Hour)
	of.Attribution = analyticsv1.Attribution_ATTRIBUTION_DISCONNECT
	return append(all, drilled{"offered", 0, of}, drilled{"handle_time", 0, of})
}

// drills compares what some numbers count.
func (r *reporting) drills(ctx context.Context) error {
	for _, of := range r.drilled() {
		if r.dimensions[of.metric] == nil {
			continue
		}
		q := of.asked.Question
		q.Filters = append(slices.Clone(q.Filters), r.own(of.metric))
		agents := r.ledger(Parameters{}).Known(of.metric, byAgent)
		truth := fields{}
		for thing, adds := range r.ledger(of.asked.Parameters).Things(of.metric, of.part, q) {
			if adds != 0 {
				truth.set(r.named(thing, agents), about(adds))
			}
		}
		err := r.settle(ctx, func(c *Checker) error {
			server, err := r.drill(ctx, of.metric, of.part, scope(q, of.asked.Parameters), agents)
			if err == nil {
				c.compare("drill, "+of.asked.String(), of.metric+" "+strings.ToLower(of.part.String()), server, truth, nil)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("simulate: drill into %s: %w", of.metric, err)
		}
		r.compared("lists of what counts", 1)
	}
	return nil
}

// named names what counts.
func (r *reporting) named(l Thing, agents bool) string {
	name := fmt.Sprintf("%s at %s, %s, queue %q", contactName(l.Contact), at(l.At), channelName(l.Contact.Channel), l.Queue)
	if agents {
		name += fmt.Sprintf(", agent %q", l.Agent)
	}
	if id, known := r.interaction(l.Contact, l.Stretch); known {
		name += ", interaction " + id
	}
	return name
}

// drill lists what a number counts.
func (r *reporting) drill(ctx context.Context, metric string, part analyticsv1.Part, of *analyticsv1.Scope, agents bool) (fields, error) {
	const page = 500
	request := &analyticsv1.DrillRequest{Scope: of, Metric: metric, Part: part, PageSize: page}
	all, sums := fields{}, map[string]float64{}
	last := int64(Everything)
	for {
		answer, err := r.service.Drill(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, found := range answer.GetFound() {
			when := found.GetAt().AsTime().UnixNano()
			if when > last {
				all.set("order", fmt.Sprintf("%s stands behind %s", at(when), at(last)))
			}
			last = when
			c := r.contact(found.GetThreadId())
			if c == nil {
				all.set("thread "+found.GetThreadId(), "is unknown")
				continue
			}
			l := Thing{Contact: c, Queue: found.GetQueue(), Agent: found.GetAgent(), Stretch: r.stretch(c, found.GetInteractionId()), At: when}
			if found.GetChannel() != c.Channel {
				all.set("channel of "+contactName(c), found.GetChannel())
			}
			if found.GetValue() != 0 {
				sums[r.named(l, agents)] += found.GetValue()
			}
		}
		if request.PageToken = answer.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
	}
	for name, sum := range sums {
		all.set(name, about(sum))
	}
	return all, nil
}

// contact is the one of a thread; nil where there is none.
func (p *Player) contact(thread string) *Contact {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.threads[thread]
}

// stretch is the place of an interaction in its thread, by its id; -1 where nothing is known of that.
func (p *Player) stretch(c *Contact, id string) int {
	for n := range c.Interactions {
		if known, ok := p.interaction(c, n); ok && known == id {
			return n
		}
	}
	return -1
}

// journeys compares how customers go from channel to channel.
func (r *reporting) journeys(ctx context.Context) error {
	const within = 3 * 24 * time.Hour
	all := r.Day.Journeys(within)
	truth := fields{}
	gaps := map[string][]time.Duration{}
	for _, j := range all {
		name := channelName(j.From) + " to " + channelName(j.To)
		gaps[name] = j.Gaps
		truth.set(name+", count", len(j.Gaps))
		truth.set(name+", customers", j.Customers)
		truth.set(name+", half of the gaps are less", true)
		truth.set(name+", nine of ten are less", true)
	}
	q := r.day().Question
	q.Filters = []Filter{r.own("interactions")}
	err := r.settle(ctx, func(c *Checker) error {
		answer, err := r.service.Journeys(ctx, &analyticsv1.JourneysRequest{Scope: scope(q, Parameters{})})
		if err != nil {
			return err
		}
		server := fields{}
		for _, told := range answer.GetJourneys() {
			name := channelName(told.GetFrom()) + " to " + channelName(told.GetTo())
			server.set(name+", count", told.GetCount())
			server.set(name+", customers", told.GetCustomers())
			server.set(name+", half of the gaps are less", parts(gaps[name], told.GetMedianGap().AsDuration(), 0.5))
			server.set(name+", nine of ten are less", parts(gaps[name], told.GetP90Gap().AsDuration(), 0.9))
		}
		c.compare("journeys", "journeys", server, truth, nil)
		return nil
	})
	if err != nil {
		return fmt.Errorf("simulate: ask for the journeys: %w", err)
	}
	r.compared("journeys", len(all))
	return nil
}

// parts tells whether a length of time parts others so that a share of them, but for one, is not longer, and the rest not shorter.
func parts(all []time.Duration, at time.Duration, share float64) bool {
	less, more := 0, 0
	for _, d := range all {
		if d <= at+time.Millisecond {
			less++
		}
		if d >= at-time.Millisecond {
			more++
		}
	}
	n := float64(len(all))
	return float64(less) >= share*n-1 && float64(more) >= (1-share)*n-1
}
