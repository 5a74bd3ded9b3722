package reports_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/reports"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// clock is a time of the day that the tests tell of, in UTC.
func clock(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-09-15 "+text)
	if err != nil {
		panic(err)
	}
	return t
}

func clockPtr(text string) *time.Time { return new(clock(text)) }

// day is a day at a small centre.
func day() *facts {
	f := &facts{
		interactions: []interaction{
			{
				Interaction: id("i1"), Thread: id("t1"), Channel: "voice", Direction: "inbound", Endpoint: id("e1"), Status: "resolved", StartedAt: clock("05:20:00"),
				EndedAt: clockPtr("06:14:00"), ResolvedAt: clockPtr("06:14:00"), ResolutionMs: new(int64(54 * 60_000)), FirstResponseAt: clockPtr("05:23:00"),
				FirstResponseMs: new(int64(180_000)), ContactReason: []string{"billing"}, Complaint: true, Connected: 1, Transfers: 1, Tags: []string{"vip", "new"},
			},
			{
				Interaction: id("i2"), Thread: id("t2"), Channel: "web_chat", Direction: "inbound", Endpoint: id("e1"), Status: "closed", StartedAt: clock("09:00:00"),
				EndedAt: clockPtr("09:30:00"), ContactReason: []string{"billing"}, Bot: "faq", BotStartedAt: clockPtr("09:00:00"), BotEndedAt: clockPtr("09:10:00"), Contained: true,
			},
			{
				Interaction: id("i3"), Thread: id("t3"), Channel: "email", Direction: "inbound", Endpoint: id("e2"), Status: "open", StartedAt: clock("10:00:00"),
				Reopened: 1, ReopenedAt: clockPtr("11:00:00"), FirstResponseAt: clockPtr("10:30:00"), FirstResponseMs: new(int64(1_800_000)), Connected: 1, Tags: []string{"vip"},
			},
			{
				Interaction: id("i4"), Thread: id("t4"), Channel: "voice", Direction: "outbound", Endpoint: id("e3"), Status: "closed", StartedAt: clock("11:00:00"),
				EndedAt: clockPtr("11:05:00"), Bot: "ivr", BotStartedAt: clockPtr("11:00:00"), BotEndedAt: clockPtr("11:01:00"),
			},
			{
				Interaction: id("i5"), Thread: id("t5"), Channel: "voice", Direction: "inbound", Endpoint: id("e4"), Status: "resolved", StartedAt: clock("12:00:00"),
				EndedAt: clockPtr("12:10:00"), ResolvedAt: clockPtr("12:10:00"), ResolutionMs: new(int64(600_000)),
			},
		},
		states: []agentState{
			{"alice", clock("00:00:00"), clock("08:00:00"), clock("09:00:00"), "Available", "routable", "idle", false},
			{"alice", clock("00:00:00"), clock("09:00:00"), clock("10:30:00"), "Available", "routable", "interacting", true},
			{"alice", clock("00:00:00"), clock("10:30:00"), clock("11:00:00"), "Meal", "custom", "off_queue", false},
			{"alice", clock("00:00:00"), clock("11:00:00"), clock("12:00:00"), "Offline", "offline", "", true},
		},
		entries: []entry{
			{"agent", "alice", clock("00:00:00"), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), "Alice", []string{"red", "blue"}},
			{"queue", "sales", clock("00:00:00"), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), "Sales 销售", nil},
		},
		joined: []joined{{id("i1"), id("matter")}, {id("i2"), id("matter")}},
	}
	for n := range f.interactions {
		f.interactions[n].LastActivityAt = f.interactions[n].StartedAt
	}
	of := func(n int) interaction { return f.interactions[n-1] }
	wait := func(n, of1 int, entered, left, outcome string, target int64) {
		i := of(of1)
		v := visit{
			Visit: id("v", n), Interaction: i.Interaction, Thread: i.Thread, Channel: i.Channel, Direction: i.Direction, Endpoint: i.Endpoint, Queue: "sales",
			EnteredAt: clock(entered), Outcome: outcome, SLATargetMs: target, InteractionEndedAt: i.EndedAt,
		}
		if left != "" {
			v.LeftAt = clockPtr(left)
			v.WaitMs = v.LeftAt.Sub(v.EnteredAt).Milliseconds()
		}
		f.visits = append(f.visits, v)
	}
	wait(1, 1, "05:20:00", "05:20:15", "answered", 0)
	wait(2, 1, "05:30:00", "05:30:30", "answered", 20_000)
	wait(3, 3, "10:00:00", "10:00:04", "abandoned", 0)
	wait(4, 3, "10:05:00", "10:05:50", "abandoned", 0)
	wait(5, 4, "11:00:00", "11:01:00", "overflowed", 0)
	wait(6, 4, "11:02:00", "11:02:40", "callback", 0)
	wait(7, 5, "11:30:00", "", "", 0)
	take := func(n, of1 int, a assignment) {
		i := of(of1)
		a.Assignment, a.Interaction, a.Thread, a.Channel, a.Direction, a.Endpoint, a.InteractionEndedAt = id("a", n), i.Interaction, i.Thread, i.Channel, i.Direction, i.Endpoint, i.EndedAt
		a.Agent, a.Queue = "alice", "sales"
		f.assignments = append(f.assignments, a.finished())
	}
	take(1, 1, assignment{
		BegunAt: clock("05:22:50"), OfferedAt: clockPtr("05:22:50"), ConnectedAt: clockPtr("05:23:00"), held: [][2]time.Time{{clock("05:40:00"), clock("05:50:00")}},
		EndedAt: clockPtr("06:10:00"), WrapupStartedAt: clockPtr("06:10:00"), WrapupEndedAt: clockPtr("06:15:00"),
	})
	take(2, 3, assignment{
		BegunAt: clock("10:10:00"), OfferedAt: clockPtr("10:10:00"), ConnectedAt: clockPtr("10:10:00"), paused: [][2]time.Time{{clock("10:12:00"), clock("10:20:00")}},
		EndedAt: clockPtr("10:30:00"),
	})
	take(3, 4, assignment{BegunAt: clock("11:00:00"), OfferedAt: clockPtr("11:00:00"), DeclinedAt: clockPtr("11:00:20"), DeclineReason: "timed_out"})
	take(4, 4, assignment{BegunAt: clock("11:01:00"), OfferedAt: clockPtr("11:01:00"), DeclinedAt: clockPtr("11:01:05"), DeclineReason: "rejected"})
	take(5, 5, assignment{BegunAt: clock("11:30:00"), ConnectedAt: clockPtr("11:30:00")})
	for n, s := range []struct{ metric, state string }{
		{"first_response", "hit"},
		{"first_response", "hit"},
		{"first_response", "hit"},
		{"first_response", "missed"},
		{"first_response", "active"},
		{"next_response", "hit"},
		{"next_response", "missed"},
		{"resolution", "missed"},
		{"resolution", "cancelled"},
	} {
		f.targets = append(f.targets, target{
			Interaction: id("i1"), Thread: id("t1"), Ordinal: uint16(n + 1), Metric: s.metric, State: s.state, Since: clock("05:20:00"), DueAt: clockPtr("06:00:00"), DoneAt: clockPtr("05:30:00"),
		})
	}
	ask := func(n int, metric string, score, low, high float64, drivers ...string) {
		f.surveys = append(f.surveys, survey{
			EventID: id("s", n), OccurredAt: clock("13:00:00"), Answered: metric != "", Thread: id("t1"), Interaction: id("i1"), Assignment: id("a", 1), Survey: "after call",
			Metric: metric, Score: score, ScaleMin: low, ScaleMax: high, Drivers: drivers,
		})
	}
	for n := range 12 {
		ask(100+n, "", 0, 0, 0)
	}
	for n, score := range []float64{5, 4, 2} {
		ask(n, "csat", score, 1, 5, "speed", "attitude")
	}
	for n, score := range []float64{10, 6, 9, 8} {
		ask(10+n, "nps", score, 0, 10)
	}
	ask(20, "ces", 7, 1, 7)
	ask(21, "ces", 4, 1, 7)
	for n, kind := range []string{"received", "received", "received", "sent", "sent", "read"} {
		f.messages = append(f.messages, message{EventID: id("m", n), Type: "message." + kind, OccurredAt: clock("10:20:00"), Channel: "email", Thread: id("t3")})
	}
	return f
}

// theDay is what reports of the day are about.
func theDay() *analyticsv1.Scope {
	return &analyticsv1.Scope{Period: &analyticsv1.Period{From: timestamppb.New(clock("00:00:00")), Until: timestamppb.New(clock("00:00:00").AddDate(0, 0, 1))}}
}

func (w *world) report(req *analyticsv1.ReportRequest) *analyticsv1.ReportResponse {
	w.t.Helper()
	got, err := w.Report(patient(w.t), req)
	must(w.t, err)
	return got
}

func values(row *analyticsv1.Row) []float64 {
	var all []float64
	for _, v := range row.GetValues() {
		if v.Value == nil {
			all = append(all, math.NaN())
			continue
		}
		all = append(all, v.GetValue())
	}
	return all
}

func alike(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9
}

func TestOverADay(t *testing.T) {
	w := newWorld(t)
	w.put(day())
	t.Run("every metric is what its definition gives by hand", w.everyMetric)
	t.Run("parameters change definitions", w.parameters)
	t.Run("attributions place the same handling differently", w.attributions)
	t.Run("groups have names, the total counts once, the top is the highest", w.groups)
	t.Run("a period is compared with another by place", w.compared)
	t.Run("a number can be drilled into, page by page", w.drilled)
	t.Run("journeys go from a channel to the next", w.journeys)
	t.Run("tables are exported in every format", w.exported)
	t.Run("what is wrong is told by its field", w.wrong)
	t.Run("positions are waited for", w.positions)
	t.Run("a deadline stops a query", w.deadline)
	t.Run("another tenant sees nothing", w.otherTenant)
}

func (w *world) everyMetric(t *testing.T) {
	want := map[string]float64{
		"interactions": 5, "messages_in": 3, "messages_out": 2, "customers": 4, "backlog": 1, "complaints": 1, "complaint_rate": 1.0 / 5,
		"offered": 7, "answered": 2, "abandoned": 2, "short_abandoned": 1, "abandon_rate": 2.0 / 7, "service_level": 1.0 / 5, "asa": 22.5,
		"average_abandon_time": 27, "longest_wait": 60,
		"handled": 2, "aht": 1920, "handle_time": 3840, "average_talk_time": 1470, "talk_time": 2940, "average_hold_time": 300, "hold_time": 600,
		"average_acw_time": 150, "acw_time": 300, "average_holds": 0.5, "agent_offers": 4, "declined": 2, "decline_rate": 0.5, "not_answered": 1,
		"not_answered_rate": 0.25, "transfers": 1, "transfer_rate": 0.5,
		"occupancy": 0.6, "utilisation": 0.5, "on_contact_time": 5400, "idle_time": 3600, "signed_in_time": 10_800, "available_time": 9000, "break_time": 1800,
		"first_response_time": 990, "resolution_time": 1920, "resolved": 2, "reopened": 1, "reopened_rate": 1.0 / 3,
		"sla_first_response": 0.75, "sla_next_response": 0.5, "sla_resolution": 0,
		"fcr": 1.0 / 3, "repeat_contacts": 1, "repeat_rate": 0.25, "containment": 0.5,
		"surveys_sent": 12, "surveys_answered": 9, "response_rate": 0.75, "csat": 2.0 / 3, "csat_score": 2.0 / 3, "nps": 25, "ces": 0.75,
	}
	all, err := w.Metrics(patient(t), &analyticsv1.MetricsRequest{})
	must(t, err)
	var names []string
	for _, m := range all.GetMetrics() {
		names = append(names, m.GetName())
	}
	if len(names) != len(want) {
		t.Errorf("%d metrics, and %d computed by hand", len(names), len(want))
	}
	got := w.report(&analyticsv1.ReportRequest{Scope: theDay(), Metrics: names})
	for n, v := range values(got.GetTotal()) {
		if expected, ok := want[names[n]]; !ok || !alike(v, expected) {
			t.Errorf("%s: got %v, want %v", names[n], v, expected)
		}
	}
	if len(got.GetRows()) != 1 || got.GetRows()[0].GetFrom() != nil {
		t.Errorf("without steps and groups: %v", got.GetRows())
	}
	empty := theDay()
	empty.Period = &analyticsv1.Period{From: timestamppb.New(clock("00:00:00").AddDate(-1, 0, 0)), Until: timestamppb.New(clock("00:00:00").AddDate(-1, 0, 1))}
	for n, v := range w.report(&analyticsv1.ReportRequest{Scope: empty, Metrics: names}).GetTotal().GetValues() {
		if v.GetNumerator() != 0 || (v.Value == nil) != (v.GetDenominator() == 0) {
			t.Errorf("%s of nothing: %v", names[n], v)
		}
	}
}

func (w *world) parameters(t *testing.T) {
	for _, c := range []struct {
		name, metric string
		p            *analyticsv1.Parameters
		want         float64
	}{
		{"answered within 30 s", "service_level", &analyticsv1.Parameters{ServiceLevelWithin: durationpb.New(30 * time.Second)}, 2.0 / 5},
		{"short abandons count", "service_level", &analyticsv1.Parameters{CountShortAbandons: true}, 1.0 / 6},
		{"no flow-outs, no deflections", "service_level", &analyticsv1.Parameters{WithoutFlowOuts: true, WithoutDeflections: true}, 1.0 / 3},
		{"abandoned of queued", "abandon_rate", &analyticsv1.Parameters{AbandonedOf: analyticsv1.Denominator_DENOMINATOR_QUEUED}, 2.0 / 6},
		{"a minute is a short abandon", "short_abandoned", &analyticsv1.Parameters{ShortAbandon: durationpb.New(time.Minute)}, 2},
		{"nothing repeats after an hour", "fcr", &analyticsv1.Parameters{RepeatWithin: durationpb.New(time.Hour)}, 2.0 / 4},
		{"only the best satisfy", "csat", &analyticsv1.Parameters{SatisfiedFrom: 1}, 1.0 / 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			of := theDay()
			of.Parameters = c.p
			if got := values(w.report(&analyticsv1.ReportRequest{Scope: of, Metrics: []string{c.metric}}).GetTotal()); !alike(got[0], c.want) {
				t.Errorf("got %v, want %v", got[0], c.want)
			}
		})
	}
}

func (w *world) attributions(t *testing.T) {
	for _, c := range []struct {
		name string
		by   analyticsv1.Attribution
		want map[string]float64
	}{
		{"when the handling was over", analyticsv1.Attribution_ATTRIBUTION_OCCURRENCE, map[string]float64{"06:00": 3120, "10:30": 720}},
		{"when the interaction ended", analyticsv1.Attribution_ATTRIBUTION_DISCONNECT, map[string]float64{"06:00": 3120}},
		{"by real time", analyticsv1.Attribution_ATTRIBUTION_REAL_TIME, map[string]float64{"05:00": 7 * 60, "05:30": 30 * 60, "06:00": 15 * 60, "10:00": 720}},
	} {
		t.Run(c.name, func(t *testing.T) {
			of := theDay()
			of.Attribution = c.by
			got := map[string]float64{}
			for _, row := range w.report(&analyticsv1.ReportRequest{Scope: of, Metrics: []string{"handle_time"}, Step: analyticsv1.Step_STEP_HALF_HOUR}).GetRows() {
				got[row.GetFrom().AsTime().Format("15:04")] = row.GetValues()[0].GetValue()
			}
			if len(got) != len(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			for at, v := range c.want {
				if got[at] != v {
					t.Errorf("%s: got %v, want %v", at, got[at], v)
				}
			}
		})
	}
}

func (w *world) groups(t *testing.T) {
	got := w.report(&analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"offered"}, GroupBy: []string{"channel", "queue"}})
	if len(got.GetRows()) != 2 || got.GetRows()[1].GetNames()[1] != "Sales 销售" || got.GetRows()[1].GetGroup()[0] != "voice" || got.GetRows()[1].GetValues()[0].GetValue() != 5 {
		t.Errorf("by queue: %v", got.GetRows())
	}
	got = w.report(&analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"interactions"}, GroupBy: []string{"tag"}})
	if len(got.GetRows()) != 3 || got.GetTotal().GetValues()[0].GetValue() != 5 {
		t.Errorf("by tag: %v", got)
	}
	got = w.report(&analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"offered", "service_level"}, GroupBy: []string{"channel"}, Top: 1})
	if len(got.GetRows()) != 1 || got.GetRows()[0].GetGroup()[0] != "voice" {
		t.Errorf("the top: %v", got.GetRows())
	}
}

func (w *world) compared(t *testing.T) {
	of := theDay()
	of.Period = &analyticsv1.Period{From: timestamppb.New(clock("10:00:00")), Until: timestamppb.New(clock("12:00:00"))}
	got := w.report(&analyticsv1.ReportRequest{Scope: of, Metrics: []string{"interactions"}, Step: analyticsv1.Step_STEP_HOUR, CompareBefore: true})
	if len(got.GetRows()) != 2 || got.GetTotal().GetValues()[0].GetValue() != 2 || got.GetTotal().GetBefore()[0].GetValue() != 1 ||
		got.GetRows()[0].GetBefore()[0].GetValue() != 0 || got.GetRows()[1].GetBefore()[0].GetValue() != 1 {
		t.Errorf("beside the two hours before: %v", got)
	}
	got = w.report(&analyticsv1.ReportRequest{Scope: of, Metrics: []string{"interactions"}, Compare: theDay().GetPeriod()})
	if got.GetTotal().GetBefore()[0].GetValue() != 5 {
		t.Errorf("beside the day: %v", got)
	}
}

func (w *world) drilled(t *testing.T) {
	var ids []string
	token := ""
	for {
		resp, err := w.Drill(patient(t), &analyticsv1.DrillRequest{Scope: theDay(), Metric: "service_level", PageSize: 2, PageToken: token})
		must(t, err)
		for _, f := range resp.GetFound() {
			ids = append(ids, f.GetPartId())
			if f.GetQueue() != "sales" || f.GetInteractionId() == "" || f.GetCustomerId() == "" || f.GetChannel() == eventv1.Channel_CHANNEL_UNSPECIFIED {
				t.Errorf("found %v", f)
			}
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		if _, err := w.Drill(patient(t), &analyticsv1.DrillRequest{Scope: theDay(), Metric: "offered", PageToken: token}); rpc.Violations(err)["page_token"] == "" {
			t.Errorf("a token of another query: %v", err)
		}
	}
	want := []string{id("v", 6).String(), id("v", 5).String(), id("v", 4).String(), id("v", 2).String(), id("v", 1).String()}
	if strings.Join(ids, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", ids, want)
	}
	all, err := w.Metrics(patient(t), &analyticsv1.MetricsRequest{})
	must(t, err)
	var names []string
	for _, m := range all.GetMetrics() {
		names = append(names, m.GetName())
	}
	of := theDay()
	of.Attribution = analyticsv1.Attribution_ATTRIBUTION_REAL_TIME
	numbers := w.report(&analyticsv1.ReportRequest{Scope: of, Metrics: names}).GetTotal().GetValues()
	for n, m := range all.GetMetrics() { // what is listed adds up to the number
		resp, err := w.Drill(patient(t), &analyticsv1.DrillRequest{Scope: of, Metric: m.GetName(), Part: analyticsv1.Part_PART_NUMERATOR})
		if m.GetSubject() == "agents" {
			if rpc.Violations(err)["metric"] == "" {
				t.Errorf("%s: %v", m.GetName(), err)
			}
			continue
		}
		must(t, err)
		sum, most := 0.0, 0.0
		for _, f := range resp.GetFound() {
			sum, most = sum+f.GetValue(), max(most, f.GetValue())
		}
		switch m.GetName() {
		case "customers": // who comes twice counts once
			sum--
		case "longest_wait":
			sum = most
		}
		if number := numbers[n].GetNumerator(); !alike(sum, number) {
			t.Errorf("%s: what is listed adds up to %v, not to %v", m.GetName(), sum, number)
		}
	}
}

func (w *world) journeys(t *testing.T) {
	got, err := w.Journeys(patient(t), &analyticsv1.JourneysRequest{Scope: theDay()})
	must(t, err)
	if len(got.GetJourneys()) != 1 {
		t.Fatalf("got %v", got)
	}
	j := got.GetJourneys()[0]
	if j.GetFrom() != eventv1.Channel_CHANNEL_VOICE || j.GetTo() != eventv1.Channel_CHANNEL_WEB_CHAT || j.GetCount() != 1 || j.GetCustomers() != 1 ||
		j.GetSameConversation() != 1 || j.GetMedianGap().AsDuration() != clock("09:00:00").Sub(clock("06:14:00")) {
		t.Errorf("got %v", j)
	}
	got, err = w.Journeys(patient(t), &analyticsv1.JourneysRequest{Scope: theDay(), Within: durationpb.New(time.Hour)})
	must(t, err)
	if len(got.GetJourneys()) != 0 {
		t.Errorf("within an hour: %v", got)
	}
}

func (w *world) export(t *testing.T, req *analyticsv1.ExportRequest) ([]byte, error) {
	t.Helper()
	stream, err := w.Export(patient(t), req)
	must(t, err)
	var all []byte
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, resp.GetData()...)
	}
}

func (w *world) exported(t *testing.T) {
	of := theDay().GetPeriod()
	for _, table := range []string{"interactions", "queue_visits", "assignments", "slas", "agent_states", "surveys", "messages", "events"} {
		if _, err := w.export(t, &analyticsv1.ExportRequest{Table: table, Period: of, Format: analyticsv1.Format_FORMAT_JSON_LINES}); err != nil {
			t.Errorf("%s: %v", table, err)
		}
	}
	lines, err := w.export(t, &analyticsv1.ExportRequest{Table: "queue_visits", Period: of, Columns: []string{"visit", "wait_ms"}, Format: analyticsv1.Format_FORMAT_JSON_LINES})
	must(t, err)
	var visit struct {
		Visit string
		Wait  any `json:"wait_ms"`
	}
	if rows := bytes.Split(bytes.TrimSpace(lines), []byte("\n")); len(rows) != 7 || json.Unmarshal(rows[0], &visit) != nil || visit.Visit == "" {
		t.Errorf("got %s", lines)
	}
	csv, err := w.export(t, &analyticsv1.ExportRequest{Table: "queue_visits", Period: of, Columns: []string{"visit", "wait_ms"}, Format: analyticsv1.Format_FORMAT_CSV})
	must(t, err)
	if rows := strings.Split(strings.TrimSpace(string(csv)), "\n"); len(rows) != 8 || rows[0] != `"visit","wait_ms"` {
		t.Errorf("got %s", csv)
	}
	parquet, err := w.export(t, &analyticsv1.ExportRequest{Table: "interactions", Period: of})
	must(t, err)
	if !bytes.HasPrefix(parquet, []byte("PAR1")) || !bytes.HasSuffix(parquet, []byte("PAR1")) {
		t.Errorf("no Parquet: %d bytes", len(parquet))
	}
	arrow, err := w.export(t, &analyticsv1.ExportRequest{Table: "interactions", Period: of, Format: analyticsv1.Format_FORMAT_ARROW})
	must(t, err)
	if !bytes.HasPrefix(arrow, []byte{0xff, 0xff, 0xff, 0xff}) {
		t.Errorf("no Arrow stream: %d bytes", len(arrow))
	}
	for field, req := range map[string]*analyticsv1.ExportRequest{
		"table":        {Table: "system.users", Period: of},
		"columns[1]":   {Table: "events", Period: of, Columns: []string{"type", "type` FROM system.tables --"}},
		"period.until": {Table: "events", Period: &analyticsv1.Period{From: of.GetUntil(), Until: of.GetFrom()}},
	} {
		if _, err := w.export(t, req); rpc.Violations(err)[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	native, err := warehouse.Open("clickhouse://127.0.0.1:9/skein")
	must(t, err)
	stream, err := w.serve(native).Export(patient(t), &analyticsv1.ExportRequest{Table: "events", Period: of})
	must(t, err)
	if _, err := stream.Recv(); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "http") {
		t.Errorf("over the native protocol: %v", err)
	}
}

func (w *world) wrong(t *testing.T) {
	with := func(change func(*analyticsv1.ReportRequest)) *analyticsv1.ReportRequest {
		req := &analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"offered"}}
		change(req)
		return req
	}
	filtered := func(dimension string, values ...string) *analyticsv1.ReportRequest {
		return with(func(r *analyticsv1.ReportRequest) {
			r.Scope.Filters = []*analyticsv1.Filter{{Dimension: dimension, Values: values}}
		})
	}
	long := theDay()
	long.Period.From = timestamppb.New(clock("00:00:00").AddDate(-10, 0, 0))
	for _, c := range []struct {
		name, field string
		req         *analyticsv1.ReportRequest
	}{
		{"an unknown metric", "metrics[0]", with(func(r *analyticsv1.ReportRequest) { r.Metrics[0] = "count() FROM system.tables --" })},
		{"an unknown dimension", "group_by[0]", with(func(r *analyticsv1.ReportRequest) { r.GroupBy = []string{"1; DROP TABLE events"} })},
		{"a dimension that the metric lacks", "group_by[0]", with(func(r *analyticsv1.ReportRequest) { r.GroupBy = []string{"presence"} })},
		{"a filter that the metric lacks", "scope.filters[0].dimension", filtered("survey", "x")},
		{"an hour that is none", "scope.filters[0].values[0]", filtered("hour", "25")},
		{"a customer that is none", "scope.filters[0].values[0]", filtered("customer", "'; --")},
		{"a time zone that is none", "scope.time_zone", with(func(r *analyticsv1.ReportRequest) { r.Scope.TimeZone = "UTC') --" })},
		{"a time zone by path", "scope.time_zone", with(func(r *analyticsv1.ReportRequest) { r.Scope.TimeZone = "../../etc/passwd" })},
		{"the local time zone", "scope.time_zone", with(func(r *analyticsv1.ReportRequest) { r.Scope.TimeZone = "Local" })},
		{"an end before the begin", "scope.period.until", with(func(r *analyticsv1.ReportRequest) { r.Scope.Period.From = timestamppb.New(noon().AddDate(1, 0, 0)) })},
		{"a begin before all", "scope.period.from", with(func(r *analyticsv1.ReportRequest) {
			r.Scope.Period.From = timestamppb.New(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC))
		})},
		{"a time below 0", "scope.parameters.short_abandon", with(func(r *analyticsv1.ReportRequest) {
			r.Scope.Parameters = &analyticsv1.Parameters{ShortAbandon: durationpb.New(-1)}
		})},
		{"two periods to compare with", "compare", with(func(r *analyticsv1.ReportRequest) { r.CompareBefore, r.Compare = true, theDay().GetPeriod() })},
		{"an unknown topic", "min_positions[0].topic", with(func(r *analyticsv1.ReportRequest) { r.MinPositions = []*eventv1.Position{{Topic: "skein.dead.v1"}} })},
	} {
		if _, err := w.Report(patient(t), c.req); status.Code(err) != codes.InvalidArgument || rpc.Violations(err)[c.field] == "" {
			t.Errorf("%s: %v", c.name, rpc.Explain(err))
		}
	}
	if _, err := w.Report(patient(t), &analyticsv1.ReportRequest{Scope: long, Metrics: []string{"offered"}, Step: analyticsv1.Step_STEP_QUARTER}); status.Code(err) != codes.OutOfRange {
		t.Errorf("ten years of quarters: %v", err)
	}
	if got := w.report(&analyticsv1.ReportRequest{Scope: long, Metrics: []string{"offered"}, Step: analyticsv1.Step_STEP_MONTH}); len(got.GetRows()) != 1 {
		t.Errorf("ten years of months: %v", got.GetRows())
	}
	for _, value := range []string{"sales' OR 1=1 --", `sales\' OR 1=1 --`, "']) OR ('1'='1", "{tenant:String}", "\x01\t\n\\", "销售"} {
		got := w.report(filtered("queue", value))
		if got.GetTotal().GetValues()[0].GetValue() != 0 {
			t.Errorf("%q filters nothing: %v", value, got)
		}
	}
}

func (w *world) positions(t *testing.T) {
	type row struct {
		stream string
		next   int64
	}
	put := func(rows ...row) {
		b, err := w.house.PrepareBatch(t.Context(), "INSERT INTO progress (stream, topic, partition, next_offset, complete_until, written_at)")
		must(t, err)
		for _, r := range rows {
			must(t, b.Append(r.stream, event.TopicInteractions, int32(0), r.next, clock("20:00:00").Add(time.Duration(r.next)*time.Second), time.Now().UTC()))
		}
		must(t, b.Send())
	}
	put(row{"events", 10}, row{"facts", 5})
	at := func(offset int64) *analyticsv1.ReportRequest {
		return &analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"offered"}, MinPositions: []*eventv1.Position{{Topic: event.TopicInteractions, Offset: offset}}}
	}
	if got := w.report(at(4)); !got.GetFreshness().GetCompleteUntil().AsTime().Equal(clock("20:00:05")) {
		t.Errorf("got %v", got.GetFreshness())
	}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := w.Report(short, at(5)); status.Code(err) != codes.Unavailable && status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("facts are behind: %v", err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := w.Report(patient(t), at(7))
		answered <- err
	}()
	put(row{"facts", 8})
	must(t, <-answered)
	got, err := w.Status(patient(t), &analyticsv1.StatusRequest{})
	must(t, err)
	if !got.GetAvailable() || len(got.GetStreams()) != 2 || got.GetStreams()[1].GetStream() != "facts" || got.GetStreams()[1].GetNext()[0].GetOffset() != 8 {
		t.Errorf("got %v", got)
	}
}

func (w *world) deadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.Report(ctx, &analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"offered"}}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	gone, err := warehouse.Open("http://" + addr + "/skein")
	must(t, err)
	client := w.serve(gone)
	if _, err := client.Report(patient(t), &analyticsv1.ReportRequest{Scope: theDay(), Metrics: []string{"offered"}}); status.Code(err) != codes.Unavailable {
		t.Errorf("without ClickHouse: %v", err)
	}
	got, err := client.Status(patient(t), &analyticsv1.StatusRequest{})
	must(t, err)
	if got.GetAvailable() || got.GetProblem() == "" || strings.Contains(got.GetProblem(), addr) {
		t.Errorf("got %v", got)
	}
}

func (w *world) otherTenant(t *testing.T) {
	of := w.tenant
	w.tenant = "other"
	client := w.serve(w.house)
	w.tenant = of
	all, err := client.Metrics(patient(t), &analyticsv1.MetricsRequest{})
	must(t, err)
	var names []string
	for _, m := range all.GetMetrics() {
		names = append(names, m.GetName())
	}
	got, err := client.Report(patient(t), &analyticsv1.ReportRequest{Scope: theDay(), Metrics: names})
	must(t, err)
	for n, v := range got.GetTotal().GetValues() {
		if v.GetNumerator() != 0 {
			t.Errorf("%s: %v", names[n], v)
		}
	}
}

func TestDefinitionsAreWrittenBesideTheirSQL(t *testing.T) {
	text := reports.Definitions()
	for _, want := range []string{"### Service level\n", "`service_level` (ratio)", "FROM queue_visits AS v", "divided by"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, never := range []string{"{{", " AS n1"} {
		if strings.Contains(text, never) {
			t.Errorf("it has %q", never)
		}
	}
}
