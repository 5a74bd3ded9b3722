package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// reports measures what is asked of a site whose ClickHouse is filled.
func (b *bench) reports(ctx context.Context, log *broker, c *clickHouse, s *site) (*Table, error) {
	t := &Table{
		Title: "Analytics: reports",
		Text: fmt.Sprintf(`Calls of AnalyticsService right behind, on a year of %s contacts in %d queues with %d agents, by one caller. Bare SQL: the statements that such a call sends, as they
were seen on their way, sent to the engine over HTTP one after the other, and read to their ends; the call sends some of them at a time. What people wrote is searched by SQL alone: the number of an order
that two messages name, through the n-gram index.`, count(b.Rows/perContact), lines, newContacts(b.events, b.Rows).staff),
		Columns: []string{"asked", "rows", "statements", "p50", "p99", "bare SQL p50", "p99", "p50 of bare SQL"},
	}
	calls, err := b.reportCalls(ctx, s)
	if err != nil {
		return nil, err
	}
	one, err := b.bare(ctx, []*seen{{query: c.selecting("SELECT 1")}})
	if err != nil {
		return nil, err
	}
	t.row("SELECT 1", "1", "1", none, none, show(one.at(0.5)), show(one.at(0.99)), none)
	statements, err := b.statements(ctx, log, c, calls)
	if err != nil {
		return nil, err
	}
	w := &work{conns: s.conns}
	for i, call := range calls {
		b.say("  %s ...", call.name)
		d, _, err := b.repeat(ctx, 1, func(ctx context.Context, i int) error { return call.ask(ctx, w.conn(i), call.request(i), &frame{}) })
		if err != nil {
			return nil, err
		}
		bare, err := b.bare(ctx, statements[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", call.name, err)
		}
		t.row("**"+call.name+"**", count(call.rows), count(len(statements[i])), show(d.at(0.5)), show(d.at(0.99)), show(bare.at(0.5)), show(bare.at(0.99)),
			times(d.at(0.5), bare.at(0.5)))
	}
	wanted := order(1 + b.Rows/perContact/4*2) // a contact that wrote
	search := "SELECT occurred_at, thread, text FROM messages WHERE tenant = '" + tenant + "' AND text LIKE '%" + wanted + "%' ORDER BY occurred_at DESC LIMIT 50"
	var found uint64
	if err := c.ask(ctx, "SELECT count() FROM messages WHERE tenant = '"+tenant+"' AND text LIKE '%"+wanted+"%'", &found); err != nil {
		return nil, err
	}
	bare, err := b.bare(ctx, []*seen{{query: c.selecting(search)}})
	if err != nil {
		return nil, err
	}
	t.row("text search in messages", count(int(found)), "1", none, none, show(bare.at(0.5)), show(bare.at(0.99)), none)
	return t, nil
}

// reportCall is a report, with how many rows it gives.
type reportCall struct {
	*call
	rows int
}

// reportCalls are the reports to measure. Each is asked for once, to see that it tells something.
func (b *bench) reportCalls(ctx context.Context, s *site) ([]*reportCall, error) {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	scope := func(days int) *analyticsv1.Scope { // up to some weeks ago
		until := today.AddDate(0, 0, -21)
		if days > 300 {
			until = today
		}
		return &analyticsv1.Scope{Period: &analyticsv1.Period{From: timestamppb.New(until.AddDate(0, 0, -days)), Until: timestamppb.New(until)}}
	}
	report := func(days int, step analyticsv1.Step, by string, metrics ...string) proto.Message {
		return &analyticsv1.ReportRequest{Scope: scope(days), Metrics: metrics, GroupBy: []string{by}, Step: step}
	}
	const ask = analyticsv1.AnalyticsService_Report_FullMethodName
	whole := analyticsv1.Step_STEP_UNSPECIFIED
	var calls []*reportCall
	for _, r := range []struct {
		name, method string
		request      proto.Message
	}{
		{"service level by half hour and queue, a day", ask, report(1, analyticsv1.Step_STEP_HALF_HOUR, "queue", "service_level", "offered", "answered", "abandon_rate", "asa")},
		{"service level by half hour and queue, a month", ask, report(30, analyticsv1.Step_STEP_HALF_HOUR, "queue", "service_level")},
		{"average handle time by agent, a month", ask, report(30, whole, "agent", "handled", "aht")},
		{"interactions by day and channel, a year", ask, report(365, analyticsv1.Step_STEP_DAY, "channel", "interactions")},
		{"first contact resolution by reason, a month", ask, report(30, whole, "contact_reason", "fcr")},
		{"journeys, a month", analyticsv1.AnalyticsService_Journeys_FullMethodName, &analyticsv1.JourneysRequest{Scope: scope(30)}},
	} {
		c := &reportCall{call: &call{name: r.name, method: r.method, request: func(int) proto.Message { return r.request }}}
		var answer frame
		if err := c.ask(ctx, s.conns[0], r.request, &answer); err != nil {
			return nil, err
		}
		var err error
		if r.method == ask {
			err = answered(func(m *analyticsv1.ReportResponse) error {
				c.rows = len(m.GetRows())
				return nil
			})(answer.encoded)
		} else {
			err = answered(func(m *analyticsv1.JourneysResponse) error {
				c.rows = len(m.GetJourneys())
				return nil
			})(answer.encoded)
		}
		if err == nil && c.rows == 0 {
			err = errors.New("nothing")
		}
		if err != nil {
			return nil, fmt.Errorf("%s gives %w", r.name, err)
		}
		calls = append(calls, c)
	}
	return calls, nil
}

// seen is a request on its way to ClickHouse.
type seen struct {
	query  string // the address
	header http.Header
	body   []byte
}

// selecting is the address of a statement.
func (c *clickHouse) selecting(query string) string {
	return "http://" + c.Addr + "/?" + url.Values{"query": {query + " FORMAT Native"}, "database": {c.Database()}}.Encode()
}

// bare sends requests one after the other, again and again.
func (b *bench) bare(ctx context.Context, all []*seen) (delays, error) {
	d, _, err := b.repeat(ctx, 1, func(ctx context.Context, _ int) error {
		for _, s := range all {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.query, bytes.NewReader(s.body))
			if err != nil {
				return err
			}
			if s.header != nil {
				request.Header = s.header
			}
			if _, err := answerOf(request); err != nil {
				return err
			}
		}
		return nil
	})
	return d, err
}

// statements are what the program sends to ClickHouse for each call. A process with only the role of reports sends it through here.
func (b *bench) statements(ctx context.Context, log *broker, c *clickHouse, calls []*reportCall) (all [][]*seen, err error) {
	var mu sync.Mutex
	var some []*seen
	engine := &url.URL{Scheme: "http", Host: c.Addr}
	forward := httputil.NewSingleHostReverseProxy(engine)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	between := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		some = append(some, &seen{engine.ResolveReference(&url.URL{Path: "/", RawQuery: r.URL.RawQuery}).String(), r.Header.Clone(), body})
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- between.Serve(listener) }()
	defer func() {
		err = errors.Join(err, between.Close())
		if closed := <-served; !errors.Is(closed, http.ErrServerClosed) {
			err = errors.Join(err, closed)
		}
	}()
	s := &server{dir: b.newDir()}
	if err := b.launchSkein(ctx, s, log, []string{"reports"}, "SKEIN_ANALYTICS_CLICKHOUSE="+dsnOf(listener.Addr().String())); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	conns, hangUp, err := dial(s.grpc)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	for _, call := range calls {
		for range 2 { // the first also makes a connection
			mu.Lock()
			some = nil
			mu.Unlock()
			if err := call.ask(ctx, conns[0], call.request(0), &frame{}); err != nil {
				return nil, err
			}
		}
		mu.Lock()
		all = append(all, some)
		mu.Unlock()
	}
	return all, nil
}
