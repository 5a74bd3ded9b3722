package simulate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/tools/simulate"
)

// reports are told by an oracle from the ledger of its day.
type reports struct {
	analyticsv1.UnimplementedAnalyticsServiceServer
	*oracle
	lies, none bool
	ledgers    map[simulate.Parameters]*simulate.Ledger
}

// ledger counts the day by the definitions' parameters, once.
func (r *reports) ledger(p simulate.Parameters) *simulate.Ledger {
	if r.ledgers == nil {
		r.ledgers = map[simulate.Parameters]*simulate.Ledger{}
	}
	if r.ledgers[p] == nil {
		r.ledgers[p] = r.day.Ledger(p)
	}
	return r.ledgers[p]
}

var allDimensions = []string{"channel", "provider", "inbox", "direction", "queue", "agent", "team", "presence", "presence_type"}

func (r *reports) Metrics(ctx context.Context, req *analyticsv1.MetricsRequest) (*analyticsv1.MetricsResponse, error) {
	if r.none {
		return r.UnimplementedAnalyticsServiceServer.Metrics(ctx, req)
	}
	answer := &analyticsv1.MetricsResponse{}
	ledger := r.ledger(simulate.Parameters{})
	for _, name := range ledger.Metrics() {
		m := &analyticsv1.Metric{Name: name}
		for _, d := range allDimensions {
			if ledger.Known(name, d) {
				m.Dimensions = append(m.Dimensions, d)
			}
		}
		answer.Metrics = append(answer.Metrics, m)
	}
	return answer, nil
}

// question reads a scope, as the proto says.
func (r *reports) question(s *analyticsv1.Scope, step analyticsv1.Step) (simulate.Question, *simulate.Ledger, error) {
	zone, err := time.LoadLocation(s.GetTimeZone())
	q := simulate.Question{
		From: s.GetPeriod().GetFrom().AsTime(), Until: s.GetPeriod().GetUntil().AsTime(), Zone: zone, Step: step, Attribution: s.GetAttribution(),
	}
	if step != 0 {
		q.From = q.From.Truncate(15 * time.Minute)
	}
	for _, f := range s.GetFilters() {
		q.Filters = append(q.Filters, simulate.Filter{Dimension: f.GetDimension(), Values: f.GetValues(), Exclude: f.GetExclude()})
	}
	p := s.GetParameters()
	return q, r.ledger(simulate.Parameters{
		Within: p.GetServiceLevelWithin().AsDuration(), ShortAbandon: p.GetShortAbandon().AsDuration(), CountShort: p.GetCountShortAbandons(),
		WithoutFlowOuts: p.GetWithoutFlowOuts(), WithoutDeflections: p.GetWithoutDeflections(),
		OfQueued: p.GetAbandonedOf() == analyticsv1.Denominator_DENOMINATOR_QUEUED, RepeatWithin: p.GetRepeatWithin().AsDuration(),
	}), err
}

func (r *reports) Report(_ context.Context, req *analyticsv1.ReportRequest) (*analyticsv1.ReportResponse, error) {
	q, ledger, err := r.question(req.GetScope(), req.GetStep())
	if err != nil {
		return nil, err
	}
	q.GroupBy = req.GetGroupBy()
	var before *simulate.Question
	if c := req.GetCompare(); c != nil || req.GetCompareBefore() {
		other := q
		other.From, other.Until = c.GetFrom().AsTime(), c.GetUntil().AsTime()
		if c == nil {
			other.From, other.Until = q.From.Add(-q.Until.Sub(q.From)), q.From
		}
		before = &other
	}
	nothing := func(metric string) *analyticsv1.Value {
		never := simulate.Question{From: time.Unix(0, 0), Until: time.Unix(1, 0), Zone: time.UTC}
		return &analyticsv1.Value{Denominator: ledger.Report(metric, never)[simulate.Whole].Denominator}
	}
	rows := map[simulate.Cell]*analyticsv1.Row{}
	answer := &analyticsv1.ReportResponse{}
	for n, metric := range req.GetMetrics() {
		put := func(of simulate.Question, then bool) {
			for cell, number := range ledger.Report(metric, of) {
				row := rows[cell]
				if row == nil {
					row = &analyticsv1.Row{Group: strings.Split(strings.TrimSuffix(cell.Group, "\x00"), "\x00")}
					if cell != simulate.Whole && req.GetStep() != 0 {
						row.From = timestamppb.New(q.Intervals()[cell.Interval])
					}
					for _, m := range req.GetMetrics() {
						row.Values = append(row.Values, nothing(m))
						if before != nil {
							row.Before = append(row.Before, nothing(m))
						}
					}
					rows[cell] = row
				}
				v := &analyticsv1.Value{Numerator: number.Numerator, Denominator: number.Denominator}
				if value, there := number.Value(); there {
					v.Value = &value
				}
				if r.lies && metric == "handled" {
					v.Numerator++
				}
				if then {
					row.Before[n] = v
				} else {
					row.Values[n] = v
				}
			}
		}
		put(q, false)
		if before != nil {
			put(*before, true)
		}
	}
	for cell, row := range rows {
		if cell == simulate.Whole {
			answer.Total = row
		} else {
			answer.Rows = append(answer.Rows, row)
		}
	}
	return answer, nil
}

func (r *reports) Drill(_ context.Context, req *analyticsv1.DrillRequest) (*analyticsv1.DrillResponse, error) {
	q, ledger, err := r.question(req.GetScope(), 0)
	answer := &analyticsv1.DrillResponse{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for thing, adds := range ledger.Things(req.GetMetric(), req.GetPart(), q) {
		began := time.Unix(0, thing.Contact.Began[thing.Stretch]).UTC().String()
		answer.Found = append(answer.Found, &analyticsv1.Found{
			InteractionId: r.told[thing.Contact.Thread+began], ThreadId: "thread " + thing.Contact.Thread, Channel: thing.Contact.Channel, Queue: thing.Queue,
			Agent: thing.Agent, At: timestamppb.New(time.Unix(0, thing.At)), Value: adds,
		})
	}
	slices.SortFunc(answer.Found, func(a, b *analyticsv1.Found) int { return b.GetAt().AsTime().Compare(a.GetAt().AsTime()) })
	if r.lies && len(answer.Found) > 0 {
		answer.Found = answer.GetFound()[1:]
	}
	return answer, err
}

func (r *reports) Journeys(context.Context, *analyticsv1.JourneysRequest) (*analyticsv1.JourneysResponse, error) {
	answer := &analyticsv1.JourneysResponse{}
	for _, j := range r.day.Journeys(72 * time.Hour) {
		told := &analyticsv1.Journey{From: j.From, To: j.To, Count: int64(len(j.Gaps)), Customers: int64(j.Customers)}
		told.MedianGap, told.P90Gap = durationpb.New(j.Gaps[len(j.Gaps)/2]), durationpb.New(j.Gaps[len(j.Gaps)*9/10])
		if r.lies {
			told.Customers++
		}
		answer.Journeys = append(answer.Journeys, told)
	}
	return answer, nil
}

func TestReportsThatAreTrueDifferInNothingAndLiesAreFound(t *testing.T) {
	c := small(5)
	c.Contacts, c.Agents, c.Length = 120, 12, 2*time.Hour
	day := simulated(t, c)
	o, checker := serve(t, day)
	if err := checker.Play(t.Context(), len(day.Deliveries())); err != nil {
		t.Fatal(err)
	}
	if err := checker.Reports(t.Context(), 5, 1); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	checker.Report(&said, 10)
	if len(checker.Differences()) > 0 {
		t.Fatalf("the truth differs from itself:\n%s", said.String())
	}
	t.Log(said.String())
	o.reports.lies = true
	checker.Settled = time.Nanosecond
	if err := checker.Reports(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, d := range checker.Differences() {
		reading, _, _ := strings.Cut(d.Reading, ",")
		found[reading+": "+d.Of] = true
	}
	for _, lie := range []string{"report all together: handled", "report by queue: handled", "drill: interactions part_unspecified", "journeys: journeys"} {
		if !found[lie] {
			t.Errorf("%s was not found among %v", lie, found)
		}
	}
	if found["report all together: offered"] {
		t.Error("what is true differs")
	}
}

func TestAServerWithoutAnalyticsSaysSo(t *testing.T) {
	c := small(5)
	c.Contacts, c.Agents, c.Length = 0, 4, time.Hour
	o, checker := serve(t, simulated(t, c))
	o.reports.none = true
	if err := checker.Reports(t.Context(), 0, 1); !errors.Is(err, simulate.ErrNoAnalytics) {
		t.Errorf("error %v", err)
	}
}
