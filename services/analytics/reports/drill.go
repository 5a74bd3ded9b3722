package reports

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var (
	errBadToken     = errors.New("analytics: not a page token")
	errForeignToken = errors.New("analytics: the page token belongs to another query")
)

// pageToken says where a list goes on: behind a moment, and a key of what counts then.
type pageToken struct {
	query [8]byte
	until int64 // where the period ends, which is now where nothing else is asked for
	at    int64
	key   string
}

const tokenVersion = 1

func (t pageToken) encode() string {
	b := append([]byte{tokenVersion}, t.query[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.until))
	b = binary.BigEndian.AppendUint64(b, uint64(t.at))
	return base64.RawURLEncoding.EncodeToString(append(b, t.key...))
}

func decodePageToken(text string, query [8]byte) (pageToken, error) {
	const head = 1 + 8 + 8 + 8
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < head || b[0] != tokenVersion {
		return pageToken{}, errBadToken
	}
	t := pageToken{
		query: [8]byte(b[1:]), until: int64(binary.BigEndian.Uint64(b[9:])), at: int64(binary.BigEndian.Uint64(b[17:])), key: string(b[head:]),
	}
	if t.query != query {
		return pageToken{}, errForeignToken
	}
	if end := time.UnixMilli(t.until); end.Before(earliest()) || end.After(latest()) {
		return pageToken{}, errBadToken
	}
	return t, nil
}

// queryDigest tells one list from another, whatever its page.
func queryDigest(tenant, call string, query proto.Message) ([8]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(query)
	if err != nil {
		return [8]byte{}, fmt.Errorf("analytics: digest a query: %w", err)
	}
	sum := sha256.Sum256(append(fmt.Append(nil, tenant, "\x00", call, "\x00"), b...))
	return [8]byte(sum[:]), nil
}

// usualPage is how many are on a page where nothing is asked for.
const usualPage = 50

// Drill lists the interactions behind a number.
func (s *Server) Drill(ctx context.Context, req *analyticsv1.DrillRequest) (*analyticsv1.DrillResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := queryDigest(caller.Tenant, "drill", &analyticsv1.DrillRequest{Scope: req.GetScope(), Metric: req.GetMetric(), Part: req.GetPart()})
	if err != nil {
		return nil, err
	}
	var wrong wrongs
	q := s.ask(caller.Tenant, req.GetScope(), analyticsv1.Step_STEP_UNSPECIFIED, &wrong)
	m := s.metric("metric", req.GetMetric(), q, &wrong)
	if m != nil && m.numerator.of.found == nil {
		wrong.add("metric", "%s counts the time of agents, not interactions", m.name)
	}
	behind := pageToken{query: digest, until: q.until.UnixMilli(), at: latest().UnixMilli()}
	if req.GetPageToken() != "" {
		if behind, err = decodePageToken(req.GetPageToken(), digest); err != nil {
			wrong.add("page_token", "%v", err)
		}
	}
	if len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	if q, err = q.over(q.from, time.UnixMilli(behind.until).UTC()); err != nil {
		return nil, rpc.OutOfRange(err)
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	size := int(req.GetPageSize())
	if size == 0 {
		size = usualPage
	}
	found, keys, err := s.list(ctx, q, m, req.GetPart(), behind, size+1)
	if err != nil {
		return nil, err
	}
	resp := &analyticsv1.DrillResponse{Found: found}
	if len(found) > size {
		resp.Found = found[:size]
		behind.at, behind.key = found[size-1].GetAt().AsTime().UnixMilli(), keys[size-1]
		resp.NextPageToken = behind.encode()
	}
	return resp, nil
}

// listed is the measure whose rows are listed, and whether it is the numerator.
func (m *metric) listed(q *query, part analyticsv1.Part) (measure, bool) {
	switch {
	case part != analyticsv1.Part_PART_NUMERATOR && m.denominator != nil:
		return q.attributed(*m.denominator), false
	case m.standing: // what came and did not go before the end
		open := m.numerator
		open.fixed = true
		open.where = "ifNull(" + m.gone + " >= fromUnixTimestamp64Milli({until:Int64}, 'UTC'), 1)"
		return open, true
	case m.inRealTime != nil && q.attribution == analyticsv1.Attribution_ATTRIBUTION_REAL_TIME:
		return *m.inRealTime, true
	default:
		return q.attributed(m.numerator), true
	}
}

// listing is the statement whose rows are what counts in a measure: the latest first, behind a place.
func (q *query) listing(m measure, standing bool) string {
	h := m.how()
	f := h.of.found
	customer := h.of.dims[dimCustomer]
	if q.identity == analyticsv1.Identity_IDENTITY_THEN {
		customer = h.of.dims[asThen]
	}
	at, value, group := "assumeNotNull("+h.at+")", m.value(), ""
	if m.agg == distinct {
		value = "1"
	}
	if h.moving {
		at, value, group = "min("+at+")", "sum("+value+")", "\n    GROUP BY key, interaction_id, thread_id, customer_id, conversation_id, medium, queue, agent, part_id\n    HAVING value != 0"
	}
	columns := []string{
		"toUnixTimestamp64Milli(" + at + ") AS at_ms",
		"concat(toString(" + f.interaction + "), '/', " + f.part + ") AS key",
		text(f.interaction) + " AS interaction_id",
		text(f.thread) + " AS thread_id",
		customer + " AS customer_id",
		text(f.conversation) + " AS conversation_id",
		"toString(" + f.channel + ") AS medium",
		"toString(" + f.queue + ") AS queue",
		"toString(" + f.agent + ") AS agent",
		f.part + " AS part_id",
		"toFloat64(ifNull(" + value + ", 0)) AS value",
	}
	where := q.conditions(h)
	if standing { // whenever it came
		where = where[:0:0]
		for _, c := range q.conditions(h) {
			if !strings.Contains(c, "{from:Int64}") {
				where = append(where, c)
			}
		}
	}
	if m.where != always {
		where = append(where, enclosed(m.where))
	}
	if len(where) == 0 {
		where = []string{always}
	}
	return q.with(fmt.Sprintf(`SELECT at_ms, key, interaction_id, thread_id, customer_id, conversation_id, medium, queue, agent, part_id, value
FROM (
    SELECT
        %s
    FROM %s
    WHERE %s%s
)
WHERE at_ms < {behind_at:Int64} OR at_ms = {behind_at:Int64} AND key < {behind_key:String}
ORDER BY at_ms DESC, key DESC
LIMIT {size:UInt32}`, strings.Join(columns, ",\n        "), h.of.tables(append(columns, where...)...), strings.Join(where, "\n        AND "), group))
}

func (s *Server) list(ctx context.Context, q *query, m *metric, part analyticsv1.Part, behind pageToken, size int) (all []*analyticsv1.Found, keys []string, err error) {
	of, numerator := m.listed(q, part)
	sql := q.listing(of, m.standing)
	args, err := q.arguments(sql, of.how(), map[string]any{"behind_at": behind.at, "behind_key": behind.key, "size": size})
	if err != nil {
		return nil, nil, rpc.OutOfRange(err)
	}
	rows, err := s.rows(ctx, "list what a number counts", sql, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Err
	for rows.Next() {
		var (
			at          int64
			key, medium string
			found       analyticsv1.Found
		)
		if err := rows.Scan(&at, &key, &found.InteractionId, &found.ThreadId, &found.CustomerId, &found.ConversationId, &medium, &found.Queue, &found.Agent,
			&found.PartId, &found.Value); err != nil {
			return nil, nil, s.failed(ctx, "list what a number counts", err)
		}
		found.At, found.Channel = timestamppb.New(time.UnixMilli(at)), channelOf(medium)
		if numerator {
			found.Value = m.scaled(found.GetValue())
		} else {
			found.Value = m.divisor(found.GetValue())
		}
		all, keys = append(all, &found), append(keys, key)
	}
	return all, keys, s.failed(ctx, "list what a number counts", rows.Err())
}

// channelOf reads a medium as the tables write it.
func channelOf(medium string) eventv1.Channel {
	return eventv1.Channel(eventv1.Channel_value["CHANNEL_"+strings.ToUpper(medium)])
}
