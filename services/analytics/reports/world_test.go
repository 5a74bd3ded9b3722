package reports_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/analytics/reports"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// Facts, as the tables have them.
type (
	interaction struct {
		Interaction     uuid.UUID  `ch:"interaction"`
		Thread          uuid.UUID  `ch:"thread"`
		Channel         string     `ch:"channel"`
		Provider        string     `ch:"provider"`
		Inbox           string     `ch:"inbox"`
		Origin          string     `ch:"origin"`
		Direction       string     `ch:"direction"`
		Language        string     `ch:"language"`
		Backfill        bool       `ch:"backfill"`
		Endpoint        uuid.UUID  `ch:"endpoint"`
		CustomerThen    uuid.UUID  `ch:"customer_then"`
		Status          string     `ch:"status"`
		StartedAt       time.Time  `ch:"started_at"`
		EndedAt         *time.Time `ch:"ended_at"`
		EndReason       string     `ch:"end_reason"`
		ResolvedAt      *time.Time `ch:"resolved_at"`
		ResolutionMs    *int64     `ch:"resolution_ms"`
		Reopened        uint16     `ch:"reopened"`
		ReopenedAt      *time.Time `ch:"reopened_at"`
		LastActivityAt  time.Time  `ch:"last_activity_at"`
		FirstResponseAt *time.Time `ch:"first_response_at"`
		FirstResponseMs *int64     `ch:"first_response_ms"`
		Tags            []string   `ch:"tags"`
		ContactReason   []string   `ch:"contact_reason"`
		Disposition     string     `ch:"disposition"`
		Complaint       bool       `ch:"complaint"`
		Bot             string     `ch:"bot"`
		BotStartedAt    *time.Time `ch:"bot_started_at"`
		BotEndedAt      *time.Time `ch:"bot_ended_at"`
		Contained       bool       `ch:"contained"`
		Connected       uint16     `ch:"connected"`
		Transfers       uint16     `ch:"transfers"`
		Queue           string     `ch:"queue"`
		Agent           string     `ch:"agent"`
	}
	visit struct {
		Visit              uuid.UUID  `ch:"visit"`
		Interaction        uuid.UUID  `ch:"interaction"`
		Thread             uuid.UUID  `ch:"thread"`
		Channel            string     `ch:"channel"`
		Provider           string     `ch:"provider"`
		Inbox              string     `ch:"inbox"`
		Origin             string     `ch:"origin"`
		Direction          string     `ch:"direction"`
		Language           string     `ch:"language"`
		Backfill           bool       `ch:"backfill"`
		Endpoint           uuid.UUID  `ch:"endpoint"`
		Queue              string     `ch:"queue"`
		Agent              string     `ch:"agent"`
		EnteredAt          time.Time  `ch:"entered_at"`
		LeftAt             *time.Time `ch:"left_at"`
		Outcome            string     `ch:"outcome"`
		WaitMs             int64      `ch:"wait_ms"`
		SLATargetMs        int64      `ch:"sla_target_ms"`
		InteractionEndedAt *time.Time `ch:"interaction_ended_at"`
	}
	assignment struct {
		Assignment         uuid.UUID  `ch:"assignment"`
		Interaction        uuid.UUID  `ch:"interaction"`
		Thread             uuid.UUID  `ch:"thread"`
		Channel            string     `ch:"channel"`
		Provider           string     `ch:"provider"`
		Inbox              string     `ch:"inbox"`
		Origin             string     `ch:"origin"`
		Direction          string     `ch:"direction"`
		Language           string     `ch:"language"`
		Backfill           bool       `ch:"backfill"`
		Endpoint           uuid.UUID  `ch:"endpoint"`
		Queue              string     `ch:"queue"`
		Agent              string     `ch:"agent"`
		BegunAt            time.Time  `ch:"begun_at"`
		OfferedAt          *time.Time `ch:"offered_at"`
		DeclinedAt         *time.Time `ch:"declined_at"`
		DeclineReason      string     `ch:"decline_reason"`
		ConnectedAt        *time.Time `ch:"connected_at"`
		EndedAt            *time.Time `ch:"ended_at"`
		EndReason          string     `ch:"end_reason"`
		WrapupStartedAt    *time.Time `ch:"wrapup_started_at"`
		WrapupEndedAt      *time.Time `ch:"wrapup_ended_at"`
		Disposition        string     `ch:"disposition"`
		Handled            bool       `ch:"handled"`
		TalkMs             int64      `ch:"talk_ms"`
		HoldMs             int64      `ch:"hold_ms"`
		Holds              uint16     `ch:"holds"`
		PauseMs            int64      `ch:"pause_ms"`
		WrapupMs           int64      `ch:"wrapup_ms"`
		HandleMs           int64      `ch:"handle_ms"`
		Paused             [][]any    `ch:"paused"`
		Held               [][]any    `ch:"held"`
		InteractionEndedAt *time.Time `ch:"interaction_ended_at"`
		held, paused       [][2]time.Time
	}
	target struct {
		Interaction uuid.UUID  `ch:"interaction"`
		Thread      uuid.UUID  `ch:"thread"`
		Channel     string     `ch:"channel"`
		Provider    string     `ch:"provider"`
		Inbox       string     `ch:"inbox"`
		Queue       string     `ch:"queue"`
		Backfill    bool       `ch:"backfill"`
		Ordinal     uint16     `ch:"ordinal"`
		Metric      string     `ch:"metric"`
		State       string     `ch:"state"`
		Since       time.Time  `ch:"since"`
		DueAt       *time.Time `ch:"due_at"`
		DoneAt      *time.Time `ch:"done_at"`
	}
	agentState struct {
		Agent         string    `ch:"agent"`
		Day           time.Time `ch:"day"`
		StartedAt     time.Time `ch:"started_at"`
		EndedAt       time.Time `ch:"ended_at"`
		Presence      string    `ch:"presence"`
		PresenceType  string    `ch:"presence_type"`
		RoutingStatus string    `ch:"routing_status"`
		OnContact     bool      `ch:"on_contact"`
	}
	survey struct {
		EventID     uuid.UUID `ch:"event_id"`
		OccurredAt  time.Time `ch:"occurred_at"`
		Answered    bool      `ch:"answered"`
		Channel     string    `ch:"channel"`
		Provider    string    `ch:"provider"`
		Inbox       string    `ch:"inbox"`
		Thread      uuid.UUID `ch:"thread"`
		Interaction uuid.UUID `ch:"interaction"`
		Assignment  uuid.UUID `ch:"assignment"`
		Survey      string    `ch:"survey"`
		Metric      string    `ch:"metric"`
		Score       float64   `ch:"score"`
		ScaleMin    float64   `ch:"scale_min"`
		ScaleMax    float64   `ch:"scale_max"`
		Drivers     []string  `ch:"drivers"`
		Backfill    bool      `ch:"backfill"`
	}
	message struct {
		EventID    uuid.UUID `ch:"event_id"`
		Type       string    `ch:"type"`
		OccurredAt time.Time `ch:"occurred_at"`
		Channel    string    `ch:"channel"`
		Provider   string    `ch:"provider"`
		Inbox      string    `ch:"inbox"`
		Thread     uuid.UUID `ch:"thread"`
		Backfill   bool      `ch:"backfill"`
	}
	entry struct {
		Kind       string    `ch:"kind"`
		ID         string    `ch:"id"`
		ValidFrom  time.Time `ch:"valid_from"`
		ValidUntil time.Time `ch:"valid_until"`
		Name       string    `ch:"name"`
		Teams      []string  `ch:"teams"`
	}
	native struct {
		Kind       string    `ch:"kind"`
		Provider   string    `ch:"provider"`
		Native     string    `ch:"native"`
		ValidFrom  time.Time `ch:"valid_from"`
		ValidUntil time.Time `ch:"valid_until"`
		ID         string    `ch:"id"`
	}
	link struct {
		Endpoint   uuid.UUID `ch:"endpoint"`
		ValidFrom  time.Time `ch:"valid_from"`
		ValidUntil time.Time `ch:"valid_until"`
		Customer   uuid.UUID `ch:"customer"`
	}
	joined struct {
		Interaction  uuid.UUID `ch:"interaction"`
		Conversation uuid.UUID `ch:"conversation"`
	}
)

// facts are all that a tenant has.
type facts struct {
	interactions []interaction
	visits       []visit
	assignments  []assignment
	targets      []target
	states       []agentState
	surveys      []survey
	messages     []message
	entries      []entry
	natives      []native
	links        []link
	joined       []joined
}

// tester is a test, or a try of a property.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a ClickHouse with the tables, and a server of reports in front of it, whose clock stands.
type world struct {
	analyticsv1.AnalyticsServiceClient
	t      testing.TB
	server *reports.Server
	house  *warehouse.Warehouse
	now    time.Time
	tenant string
	rand   *rand.Rand
}

// noon is when it is.
func noon() time.Time { return time.Date(2026, 9, 16, 12, 0, 0, 0, time.UTC) }

func newWorld(t testing.TB) *world {
	t.Helper()
	house, err := warehouse.Open(chdbtest.Start(t).DSN())
	must(t, err)
	must(t, schema.Migrate(context.Background(), house, schema.Config{}, slog.New(slog.DiscardHandler)))
	w := &world{t: t, house: house, now: noon(), tenant: "acme", rand: rand.New(rand.NewPCG(1, 2))}
	w.AnalyticsServiceClient = w.serve(house)
	return w
}

// serve starts a server; its callers are of the world's tenant.
func (w *world) serve(house *warehouse.Warehouse) analyticsv1.AnalyticsServiceClient {
	t := w.t
	t.Helper()
	authenticator, err := auth.New(nil, auth.Identity{Tenant: w.tenant, Name: "board"})
	must(t, err)
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	must(t, err)
	w.server = reports.NewServer(reports.Config{Warehouse: house, Now: func() time.Time { return w.now }, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Poll: 10 * time.Millisecond})
	w.server.Register(server)
	port, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(port) }()
	conn, err := rpc.Dial(port.Addr().String(), "", nil)
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return analyticsv1.NewAnalyticsServiceClient(conn)
}

// version is the state of a row, or that a state was taken back.
type version struct {
	row  any
	sign int8
}

// put writes facts: signed ones with what was corrected before, in batches.
func (w *world) put(f *facts) {
	w.t.Helper()
	signed(w, "interaction_facts", f.interactions, func(i *interaction) { i.Status, i.Tags, i.Channel = "open", nil, "before" })
	signed(w, "visit_facts", f.visits, func(v *visit) { v.LeftAt, v.Outcome, v.WaitMs = nil, "", 0 })
	signed(w, "assignment_facts", f.assignments, func(a *assignment) { a.Handled, a.Held, a.Paused, a.TalkMs = false, nil, nil, 7 })
	signed(w, "sla_facts", f.targets, func(s *target) { s.State, s.DoneAt = "active", nil })
	signed(w, "agent_state_facts", f.states, func(s *agentState) { s.OnContact, s.Presence = !s.OnContact, "before" })
	plain(w, "surveys", f.surveys)
	plain(w, "events", f.messages)
	plain(w, "directory_entries", f.entries)
	plain(w, "native_ids", f.natives)
	plain(w, "customer_endpoints", f.links)
	plain(w, "conversation_interactions", f.joined)
	for _, table := range []string{"directory_entries", "native_ids", "customer_endpoints", "conversation_interactions"} {
		for _, name := range schema.Dictionaries(table) {
			must(w.t, w.house.Exec(context.Background(), "SYSTEM RELOAD DICTIONARY "+name))
		}
	}
}

// signed writes rows, some of which said something else before.
func signed[T any](w *world, table string, rows []T, before func(*T)) {
	w.t.Helper()
	var batches [3][]version
	for _, row := range rows {
		at := 0
		if w.rand.IntN(2) == 0 {
			old := row
			before(&old)
			batches[0] = append(batches[0], version{old, 1})
			at = w.rand.IntN(3)
			batches[at] = append(batches[at], version{old, -1})
		}
		at += w.rand.IntN(3 - at)
		batches[at] = append(batches[at], version{row, 1})
	}
	for _, batch := range batches {
		w.insert(table, batch, true)
	}
}

func plain[T any](w *world, table string, rows []T) {
	w.t.Helper()
	var batch []version
	for _, row := range rows {
		batch = append(batch, version{row: row})
	}
	w.insert(table, batch, false)
}

func (w *world) insert(table string, rows []version, signed bool) {
	w.t.Helper()
	if len(rows) == 0 {
		return
	}
	columns, fields := []string{"tenant"}, []int{}
	of := reflect.TypeOf(rows[0].row)
	for n := range of.NumField() {
		if name := of.Field(n).Tag.Get("ch"); name != "" {
			columns, fields = append(columns, name), append(fields, n)
		}
	}
	if signed {
		columns = append(columns, "sign")
	}
	b, err := w.house.PrepareBatch(context.Background(), "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+")")
	must(w.t, err)
	for _, row := range rows {
		values := []any{w.tenant}
		for _, n := range fields {
			values = append(values, reflect.ValueOf(row.row).Field(n).Interface())
		}
		if signed {
			values = append(values, row.sign)
		}
		if err := b.Append(values...); err != nil {
			w.t.Fatal(table, err)
		}
	}
	must(w.t, b.Send())
}

// id is an id that is told by a word.
func id(word string, n ...int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(fmt.Sprint(word, n)))
}

func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// stretches are times as the driver takes tuples.
func stretches(of [][2]time.Time) [][]any {
	var all [][]any
	for _, s := range of {
		all = append(all, []any{s[0], s[1]})
	}
	return all
}

// finished sets what an assignment's times give.
func (a assignment) finished() assignment {
	a.Held, a.Paused = stretches(a.held), stretches(a.paused)
	a.Holds = uint16(len(a.held))
	a.Handled = a.ConnectedAt != nil && a.EndedAt != nil && (a.WrapupStartedAt == nil || a.WrapupEndedAt != nil)
	if !a.Handled {
		return a
	}
	length := func(of [][2]time.Time) (ms int64) {
		for _, s := range of {
			ms += s[1].Sub(s[0]).Milliseconds()
		}
		return ms
	}
	a.HoldMs, a.PauseMs = length(a.held), length(a.paused)
	a.TalkMs = a.EndedAt.Sub(*a.ConnectedAt).Milliseconds() - a.HoldMs - a.PauseMs
	if a.WrapupStartedAt != nil {
		a.WrapupMs = a.WrapupEndedAt.Sub(*a.WrapupStartedAt).Milliseconds()
	}
	a.HandleMs = a.TalkMs + a.HoldMs + a.WrapupMs
	return a
}
