package reports

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// usualJourney is within which time the next interaction belongs to a journey.
const usualJourney = 3 * 24 * time.Hour

// walked are interactions beside the customer's next one. Its filters and period are those of the first.
const walked = `(
    SELECT *,
        leadInFrame(channel) OVER w AS next_channel,
        leadInFrame(toNullable(started_at)) OVER w AS next_at,
        leadInFrame(conversation) OVER w AS next_conversation,
        greatest(0, dateDiff('millisecond', ifNull(ended_at, next_at), next_at)) AS gap_ms
    FROM interactions
    WHERE tenant = {tenant:String} AND endpoint != ` + zeroID + ` AND ({backfill:Bool} OR NOT backfill)
    WINDOW w AS (
        PARTITION BY {{customer}} ORDER BY started_at, interaction
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) AS i`

// Journeys tells from which channel customers go to which.
func (s *Server) Journeys(ctx context.Context, req *analyticsv1.JourneysRequest) (*analyticsv1.JourneysResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	var wrong wrongs
	q := s.ask(caller.Tenant, req.GetScope(), analyticsv1.Step_STEP_UNSPECIFIED, &wrong)
	q.args["gap"] = milliseconds("within", req.GetWithin(), usualJourney.Milliseconds(), &wrong)
	q.attribution = analyticsv1.Attribution_ATTRIBUTION_OCCURRENCE
	if req.GetScope().GetAttribution() > q.attribution {
		wrong.add("scope.attribution", "journeys go by when an interaction began")
	}
	for _, f := range q.filters {
		if _, ok := s.catalogue.interactions.dims[f.name]; !ok && f.name != dimWeekday && f.name != dimHour {
			wrong.add(f.field, "interactions have no dimension %s", f.name)
		}
	}
	if len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	resp := &analyticsv1.JourneysResponse{}
	if resp.Freshness, err = s.freshness(ctx); err != nil {
		return nil, err
	}
	of := *s.catalogue.interactions
	of.from = walked
	h := how{of: &of, at: "i.started_at"}
	where := append(q.conditions(h), "i.next_at IS NOT NULL", "i.gap_ms <= {gap:Int64}")
	sql := q.with(`SELECT toString(i.channel) AS medium, toString(i.next_channel) AS next_medium, count() AS steps, uniqExact(i.{{customer}}),
    toInt64(quantileExact(0.5)(assumeNotNull(i.gap_ms))), toInt64(quantileExact(0.9)(assumeNotNull(i.gap_ms))), countIf(i.conversation = i.next_conversation)
FROM ` + of.tables(where...) + `
WHERE ` + join(where) + `
GROUP BY medium, next_medium
ORDER BY steps DESC, medium, next_medium`)
	args, err := q.arguments(sql, h, nil)
	if err != nil {
		return nil, rpc.OutOfRange(err)
	}
	rows, err := s.rows(ctx, "follow journeys", sql, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Err
	for rows.Next() {
		var (
			from, to                 string
			count, customers, joined uint64
			median, nineOfTen        int64
		)
		if err := rows.Scan(&from, &to, &count, &customers, &median, &nineOfTen, &joined); err != nil {
			return nil, s.failed(ctx, "follow journeys", err)
		}
		resp.Journeys = append(resp.Journeys, &analyticsv1.Journey{
			From: channelOf(from), To: channelOf(to), Count: int64(count), Customers: int64(customers), SameConversation: int64(joined),
			MedianGap: durationpb.New(time.Duration(median) * time.Millisecond), P90Gap: durationpb.New(time.Duration(nineOfTen) * time.Millisecond),
		})
	}
	return resp, s.failed(ctx, "follow journeys", rows.Err())
}
