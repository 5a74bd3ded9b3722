package reports_test

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// manyFacts fills the tables with so many interactions of 90 days, a visit and an assignment each, in the engine.
func (w *world) manyFacts(n int) {
	w.t.Helper()
	const begin = "toDateTime64('2026-06-18 00:00:00', 3, 'UTC')"
	const own = "'acme', generateUUIDv4(), reinterpretAsUUID(toUInt128(number + 1)), reinterpretAsUUID(toUInt128(number + 1)), ['voice', 'web_chat', 'email'][number % 3 + 1], concat('q', toString(number % 20)), concat('a', toString(number % 300)), reinterpretAsUUID(toUInt128(number % 100000 + 1)), 1"
	for _, sql := range []string{
		"INSERT INTO interaction_facts (tenant, interaction, thread, channel, queue, agent, endpoint, direction, status, started_at, ended_at, last_activity_at, connected, contact_reason, tags, sign) SELECT 'acme', reinterpretAsUUID(toUInt128(number + 1)), reinterpretAsUUID(toUInt128(number + 1)), ['voice', 'web_chat', 'email'][number % 3 + 1], concat('q', toString(number % 20)), concat('a', toString(number % 300)), reinterpretAsUUID(toUInt128(number % 100000 + 1)), 'inbound', 'closed', " + begin + " + toIntervalSecond(number * 7) AS at, at + toIntervalMinute(5), at, 1, [concat('r', toString(number % 9))], ['t'], 1 FROM numbers({first:UInt64}, {n:UInt64})",
		"INSERT INTO visit_facts (tenant, visit, interaction, thread, channel, queue, agent, endpoint, sign, entered_at, left_at, outcome, wait_ms, interaction_ended_at) SELECT " + own + ", " + begin + " + toIntervalSecond(number * 7) AS at, at + toIntervalSecond(number % 60), if(number % 9 = 0, 'abandoned', 'answered'), 1000 * (number % 60), at + toIntervalMinute(5) FROM numbers({first:UInt64}, {n:UInt64})",
		"INSERT INTO assignment_facts (tenant, assignment, interaction, thread, channel, queue, agent, endpoint, sign, begun_at, connected_at, ended_at, wrapup_started_at, wrapup_ended_at, handled, talk_ms, wrapup_ms, handle_ms, interaction_ended_at) SELECT " + own + ", " + begin + " + toIntervalSecond(number * 7) AS begun, begun + toIntervalSecond(0), begun + toIntervalMinute(4), begun + toIntervalMinute(4), begun + toIntervalMinute(5), 1, 240000, 60000, 300000, begun + toIntervalMinute(5) FROM numbers({first:UInt64}, {n:UInt64})",
	} {
		const chunk = 50_000
		for first := 0; first < n; first += chunk {
			must(w.t, w.house.Exec(context.Background(), sql, clickhouse.Named("first", first), clickhouse.Named("n", min(chunk, n-first))))
		}
	}
}

// BenchmarkReports computes typical reports over a million interactions of 81 days.
func BenchmarkReports(b *testing.B) {
	w := newWorld(b)
	w.now = time.Date(2026, 9, 16, 12, 0, 0, 0, time.UTC)
	begun := time.Now()
	w.manyFacts(1_000_000)
	b.Logf("a million interactions, visits and assignments in %v", time.Since(begun))
	ctx := auth.With(context.Background(), auth.Identity{Tenant: w.tenant})
	scope := func(days int) *analyticsv1.Scope {
		until := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
		return &analyticsv1.Scope{Period: &analyticsv1.Period{From: timestamppb.New(until.AddDate(0, 0, -days)), Until: timestamppb.New(until)}, TimeZone: "Europe/Berlin"}
	}
	realTime := scope(1)
	realTime.Attribution = analyticsv1.Attribution_ATTRIBUTION_REAL_TIME
	for _, c := range []struct {
		name string
		req  *analyticsv1.ReportRequest
	}{
		{"a day by half hours and queues", &analyticsv1.ReportRequest{
			Scope: scope(1), Metrics: []string{"offered", "answered", "abandoned", "service_level", "asa", "aht"}, Step: analyticsv1.Step_STEP_HALF_HOUR, GroupBy: []string{"queue"},
		}},
		{"handle time of a day split by real time", &analyticsv1.ReportRequest{Scope: realTime, Metrics: []string{"aht"}, Step: analyticsv1.Step_STEP_HALF_HOUR, GroupBy: []string{"agent"}}},
		{"a month by days beside the month before", &analyticsv1.ReportRequest{
			Scope: scope(31), Metrics: []string{"interactions", "service_level", "aht"}, Step: analyticsv1.Step_STEP_DAY, CompareBefore: true,
		}},
		{"two months by agents", &analyticsv1.ReportRequest{Scope: scope(62), Metrics: []string{"handled", "aht", "decline_rate"}, GroupBy: []string{"agent"}}},
		{"first contact resolution of a month by reasons", &analyticsv1.ReportRequest{Scope: scope(31), Metrics: []string{"fcr"}, GroupBy: []string{"contact_reason"}}},
		{"the backlog of a month by days", &analyticsv1.ReportRequest{Scope: scope(31), Metrics: []string{"backlog"}, Step: analyticsv1.Step_STEP_DAY}},
		{"visits by contact reason, which are joined", &analyticsv1.ReportRequest{Scope: scope(7), Metrics: []string{"offered"}, GroupBy: []string{"contact_reason"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := w.server.Report(ctx, c.req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
