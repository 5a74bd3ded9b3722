package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/mirror/threads"
	"github.com/skein-cx/skein/services/conversation"
)

const foldedPartitions = 3

// folded is a log of interactions, folded, as the mirror sees it.
type folded struct {
	t        rapid.TB
	log      eventlog.Log
	store    kv.Store
	progress *projection.Progress
	runner   *projection.Runner
	source   *threads.Source
	read     *conversation.Interactions
	events   int
}

// threads is a source over what is folded.
func (m *folded) threads() *threads.Source {
	return threads.New(threads.Config{Model: threadModel{m.read}})
}

func newFolded(t rapid.TB) *folded {
	t.Helper()
	m := &folded{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), progress: &projection.Progress{}}
	m.must(m.log.EnsureTopics(context.Background(), eventlog.Topic{Name: event.TopicInteractions, Partitions: foldedPartitions}))
	var err error
	m.runner, err = projection.NewRunner(context.Background(), projection.Config{
		Log: m.log, Store: m.store, Namespace: kv.Namespace{Slice: conversation.Slice, Generation: 1}, Topic: event.TopicInteractions,
		Fold: conversation.NewFold(foldedPartitions, nil), MaxBatch: 1000, Progress: m.progress,
	})
	m.must(err)
	m.read = conversation.NewInteractions(m.store, foldedPartitions, m.progress)
	m.source = m.threads()
	return m
}

func (m *folded) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

var foldedEpoch = time.Date(2026, 3, 1, 9, 0, 0, 123_456_789, time.UTC)

func foldedID(name string) event.ID {
	h := sha256.Sum256([]byte(name))
	id := event.ID(h[:16])
	id[0], id[6], id[8] = 1, 0x80|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

// on is an event of a thread at so many milliseconds.
func (m *folded) on(thread, typ string, ms int, changes ...func(*eventv1.Event)) *eventv1.Event {
	m.events++
	e := &eventv1.Event{
		Id: foldedID(fmt.Sprint("event", m.events)).String(), Tenant: "acme", Type: typ, ThreadId: foldedID(thread).String(), Inbox: "+4930", Provider: "twilio",
		Channel: eventv1.Channel_CHANNEL_VOICE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		OccurredAt: timestamppb.New(foldedEpoch.Add(time.Duration(ms) * time.Millisecond)), ReceivedAt: timestamppb.New(foldedEpoch.Add(time.Hour)),
		Parties: []*eventv1.Party{{EndpointId: foldedID("caller").String(), Side: eventv1.Side_SIDE_CUSTOMER, Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR}},
	}
	for _, change := range changes {
		change(e)
	}
	return e
}

func by(agent string) func(*eventv1.Event) {
	return func(e *eventv1.Event) { e.Actor = &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agent} }
}

func queued(queue string) func(*eventv1.Event) { return func(e *eventv1.Event) { e.Queue = queue } }

func share(name string) func(*eventv1.Event) {
	return func(e *eventv1.Event) { e.AssignmentId = foldedID(name).String() }
}

func from(origin eventv1.Origin) func(*eventv1.Event) {
	return func(e *eventv1.Event) { e.Origin = origin }
}

func (m *folded) saying(c *eventv1.Content) func(*eventv1.Event) {
	return func(e *eventv1.Event) {
		var err error
		e.Content, err = proto.Marshal(c)
		m.must(err)
	}
}

// happens appends events and folds them.
func (m *folded) happens(events ...*eventv1.Event) {
	m.t.Helper()
	var messages []eventlog.Message
	for _, e := range events {
		value, err := event.Encode(e)
		m.must(err)
		messages = append(messages, eventlog.Message{Topic: event.TopicInteractions, Key: []byte(e.GetThreadId()), Value: value})
	}
	_, err := eventlog.AppendAll(context.Background(), m.log, messages)
	m.must(err)
	m.must(m.runner.RunToEnd(context.Background()))
}

// cells are a row, by column.
type cells map[string]any

type lines struct {
	driver.Batch
	columns []string
	all     []cells
}

func (l *lines) Append(values ...any) error {
	if len(values) != len(l.columns) {
		return fmt.Errorf("%d values for %d columns", len(values), len(l.columns))
	}
	row := cells{}
	for n, v := range values {
		row[l.columns[n]] = v
	}
	l.all = append(l.all, row)
	return nil
}

// rows are those of a thread, by table.
func (m *folded) rows(thread string) map[string][]cells {
	m.t.Helper()
	rows, err := threads.New(threads.Config{Model: threadModel{m.read}}).Rows(context.Background(), "acme/"+foldedID(thread).String())
	m.must(err)
	out := map[string][]cells{}
	keys := map[string]bool{}
	for _, r := range rows {
		if key := r.Table.Name + "/" + r.Key; keys[key] {
			m.t.Fatal("the key is there twice", key)
		} else {
			keys[key] = true
		}
		l := &lines{columns: r.Table.Columns}
		m.must(r.Table.Append(l, r.Data))
		out[r.Table.Name] = append(out[r.Table.Name], l.all...)
	}
	return out
}

// has compares columns of a row.
func (m *folded) has(row, want cells) {
	m.t.Helper()
	for column, v := range want {
		if got := row[column]; fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", v, v) {
			m.t.Errorf("%s is %T %v, not %T %v", column, got, got, v, v)
		}
	}
}

func TestATransferredCallHasTwoWaitsAndTwoHandles(t *testing.T) {
	m := newFolded(t)
	transfer := &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{Reason: eventv1.EndReason_END_REASON_TRANSFER}}}
	m.happens(
		m.on("call", event.TypeInteractionStarted, 0),
		m.on("call", event.TypeQueueEntered, 1000, queued("sales")),
		m.on("call", event.TypeAssignmentConnected, 21_000, queued("sales"), by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentHeld, 31_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentUnheld, 36_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentEnded, 61_000, by("amy"), share("a1"), m.saying(transfer)),
		m.on("call", event.TypeQueueEntered, 61_500, queued("support")),
		m.on("call", event.TypeWrapupStarted, 61_000, by("amy"), share("a1")),
		m.on("call", event.TypeWrapupEnded, 70_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentConnected, 100_000, queued("support"), by("bob"), share("a2"), from(eventv1.Origin_ORIGIN_TRANSFER)),
		m.on("call", event.TypeAssignmentEnded, 160_000, by("bob"), share("a2")),
		m.on("call", event.TypeInteractionEnded, 160_000),
	)
	rows := m.rows("call")
	if len(rows["visit_facts"]) != 2 || len(rows["assignment_facts"]) != 2 || len(rows["interaction_facts"]) != 1 {
		t.Fatal(rows)
	}
	m.has(rows["visit_facts"][0], cells{"queue": "sales", "agent": "amy", "wait_ms": int64(20_000), "outcome": "answered", "ordinal": uint16(1)})
	m.has(rows["visit_facts"][1], cells{"queue": "support", "agent": "bob", "wait_ms": int64(38_500), "outcome": "answered", "ordinal": uint16(2)})
	m.has(rows["assignment_facts"][0], cells{
		"agent": "amy", "talk_ms": int64(35_000), "hold_ms": int64(5000), "holds": uint16(1), "wrapup_ms": int64(9000), "handle_ms": int64(49_000),
		"handled": true, "end_reason": "transfer", "pause_ms": int64(0),
	})
	m.has(rows["assignment_facts"][1], cells{
		"agent": "bob", "talk_ms": int64(60_000), "handle_ms": int64(60_000), "handled": true, "origin": "transfer", "wrapup_ended_at": nil,
	})
	m.has(rows["interaction_facts"][0], cells{
		"visits": uint16(2), "assignments": uint16(2), "connected": uint16(2), "transfers": uint16(1), "first_agent": "amy", "state": "ended",
		"first_response_ms": int64(21_000), "endpoint": uuid.UUID(foldedID("caller")), "customer_then": uuid.UUID(foldedID("caller")),
		"started_at": foldedEpoch.Truncate(time.Millisecond), "channel": "voice", "direction": "inbound",
	})
}

func TestAConsultationIsAnAssignmentOfItsOwnAndAnswersNobody(t *testing.T) {
	m := newFolded(t)
	m.happens(
		m.on("call", event.TypeInteractionStarted, 0),
		m.on("call", event.TypeQueueEntered, 0, queued("sales")),
		m.on("call", event.TypeAssignmentConnected, 10_000, queued("sales"), by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentConnected, 20_000, by("bob"), share("c1"), from(eventv1.Origin_ORIGIN_CONSULT)),
		m.on("call", event.TypeAssignmentEnded, 25_000, by("bob"), share("c1"), from(eventv1.Origin_ORIGIN_CONSULT)),
		m.on("call", event.TypeAssignmentEnded, 50_000, by("amy"), share("a1")),
		m.on("call", event.TypeInteractionEnded, 50_000),
	)
	rows := m.rows("call")
	consult := rows["assignment_facts"][slices.IndexFunc(rows["assignment_facts"], func(l cells) bool { return l["agent"] == "bob" })]
	m.has(consult, cells{"origin": "consult", "talk_ms": int64(5000), "handled": true, "visit": uuid.UUID{}})
	m.has(rows["interaction_facts"][0], cells{"assignments": uint16(2), "connected": uint16(1), "transfers": uint16(0), "first_agent": "amy"})
	if len(rows["visit_facts"]) != 1 {
		t.Error(rows["visit_facts"])
	}
}

func TestPausesAreInNoHandleTimeAlsoWhileOnHold(t *testing.T) {
	m := newFolded(t)
	m.happens(
		m.on("call", event.TypeInteractionStarted, 0),
		m.on("call", event.TypeAssignmentConnected, 0, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentPaused, 10_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentResumed, 40_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentHeld, 50_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentPaused, 55_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentUnheld, 60_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentResumed, 65_000, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentEnded, 100_000, by("amy"), share("a1")),
	)
	a := m.rows("call")["assignment_facts"][0]
	m.has(a, cells{"pause_ms": int64(40_000), "hold_ms": int64(5000), "talk_ms": int64(55_000), "handle_ms": int64(60_000)})
	if spans := fmt.Sprint(a["paused"]); strings.Count(spans, "UTC") != 4 {
		t.Error(spans)
	}
}

func TestWhatIsResolvedAgainIsMeasuredFromTheReopening(t *testing.T) {
	m := newFolded(t)
	chat := func(e *eventv1.Event) { e.Channel = eventv1.Channel_CHANNEL_WEB_CHAT }
	m.happens(
		m.on("chat", event.TypeMessageReceived, 0, chat),
		m.on("chat", event.TypeMessageSent, 4000, chat, by("amy")),
		m.on("chat", event.TypeInteractionResolved, 10_000, chat, by("amy")),
	)
	m.has(m.rows("chat")["interaction_facts"][0], cells{
		"resolution_ms": int64(10_000), "first_response_ms": int64(4000), "resolved_by": "amy", "status": "resolved", "reopened": uint16(0), "reopened_at": nil,
	})
	m.happens(m.on("chat", event.TypeInteractionReopened, 20_000, chat))
	m.has(m.rows("chat")["interaction_facts"][0], cells{"resolution_ms": nil, "resolved_at": nil, "reopened": uint16(1), "status": "open"})
	m.happens(m.on("chat", event.TypeInteractionResolved, 23_000, chat, by("bob")))
	m.has(m.rows("chat")["interaction_facts"][0], cells{"resolution_ms": int64(3000), "resolved_by": "bob", "first_response_ms": int64(4000)})
}

func TestALateWrapUpCorrects(t *testing.T) {
	m := newFolded(t)
	m.happens(
		m.on("call", event.TypeInteractionStarted, 0),
		m.on("call", event.TypeAssignmentConnected, 0, by("amy"), share("a1")),
		m.on("call", event.TypeAssignmentEnded, 10_000, by("amy"), share("a1")),
		m.on("call", event.TypeInteractionEnded, 10_000),
	)
	m.has(m.rows("call")["assignment_facts"][0], cells{"handled": true, "handle_ms": int64(10_000)})
	m.happens(m.on("call", event.TypeWrapupStarted, 10_000, by("amy"), share("a1")))
	m.has(m.rows("call")["assignment_facts"][0], cells{"handled": false, "handle_ms": int64(10_000), "wrapup_ms": int64(0)})
	m.happens(m.on("call", event.TypeWrapupEnded, 17_000, by("amy"), share("a1")))
	m.has(m.rows("call")["assignment_facts"][0], cells{"handled": true, "handle_ms": int64(17_000), "wrapup_ms": int64(7000)})
}

func TestOfImportedHistoryNothingIsMeasured(t *testing.T) {
	m := newFolded(t)
	imported := func(e *eventv1.Event) { e.Backfill = true }
	m.happens(
		m.on("chat", event.TypeMessageReceived, 0, imported), m.on("chat", event.TypeMessageSent, 4000, by("amy"), imported),
		m.on("chat", event.TypeInteractionResolved, 10_000, by("amy"), imported),
	)
	m.has(m.rows("chat")["interaction_facts"][0], cells{"backfill": true, "first_response_ms": nil, "resolution_ms": nil})
}

// anyStream are events that fit together more or less.
func anyStream(rt *rapid.T, m *folded, n int) (events []*eventv1.Event) {
	types := []string{
		event.TypeInteractionStarted, event.TypeMessageReceived, event.TypeMessageSent, event.TypeInteractionEnded, event.TypeInteractionResolved,
		event.TypeInteractionReopened, event.TypeQueueEntered, event.TypeQueueEntered, event.TypeQueueLeft, event.TypeAssignmentOffered,
		event.TypeAssignmentDeclined, event.TypeAssignmentAccepted, event.TypeAssignmentConnected, event.TypeAssignmentConnected,
		event.TypeAssignmentHeld, event.TypeAssignmentUnheld, event.TypeAssignmentPaused, event.TypeAssignmentResumed, event.TypeAssignmentEnded,
		event.TypeWrapupStarted, event.TypeWrapupEnded, event.TypeBotStarted, event.TypeBotHandedOff, event.TypeBotEnded, event.TypeNoteAdded,
		event.TypeTransferCompleted,
	}
	some := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, label) }
	for range n {
		e := m.on(some("thread", "one", "two", "three"), some("type", types...), rapid.IntRange(0, 60_000).Draw(rt, "ms"))
		e.OccurredAt.Nanos = rapid.Int32Range(0, 999_999_999).Draw(rt, "ns")
		if agent := some("agent", "", "amy", "bob"); agent != "" {
			by(agent)(e)
		}
		e.Queue = some("queue", "", "sales", "support")
		if name := some("share", "", "a1", "a2"); name != "" {
			share(e.GetThreadId() + name)(e)
		}
		if rapid.IntRange(0, 4).Draw(rt, "origin") == 0 {
			e.Origin = rapid.SampledFrom([]eventv1.Origin{eventv1.Origin_ORIGIN_CONSULT, eventv1.Origin_ORIGIN_TRANSFER}).Draw(rt, "of")
		}
		e.Backfill = rapid.IntRange(0, 20).Draw(rt, "imported") == 0
		events = append(events, e)
	}
	return events
}

// floored is a moment as the tables hold it; nil for none.
func floored(at *timestamppb.Timestamp) any {
	if at == nil {
		return nil
	}
	return at.AsTime().Truncate(time.Millisecond)
}

// sameNames are the columns that have a field of the same name, and are it.
func (m *folded) sameNames(row cells, of proto.Message) (n int) {
	m.t.Helper()
	r := of.ProtoReflect()
	fields := r.Descriptor().Fields()
	for k := range fields.Len() {
		f := fields.Get(k)
		got, there := row[string(f.Name())]
		if !there || f.IsMap() || f.IsList() {
			continue
		}
		value := r.Get(f)
		var want any
		switch {
		case f.Enum() != nil:
			prefix := strings.TrimSuffix(string(f.Enum().Values().Get(0).Name()), "UNSPECIFIED")
			want = strings.ToLower(strings.TrimPrefix(string(f.Enum().Values().ByNumber(value.Enum()).Name()), prefix))
			if value.Enum() == 0 {
				want = ""
			}
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			if r.Has(f) {
				at, _ := value.Message().Interface().(*timestamppb.Timestamp)
				want = floored(at)
			}
		case f.Message() != nil, strings.HasSuffix(string(f.Name()), "continues"):
			continue
		default:
			want = value.Interface()
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			m.t.Fatalf("%s is %v, not %v", f.Name(), got, want)
		}
		n++
	}
	return n
}

func TestTheRowsOfAnyStreamSayWhatTheInteractionsSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newFolded(rt)
		m.happens(anyStream(rt, m, rapid.IntRange(1, 60).Draw(rt, "events"))...)
		for _, thread := range []string{"one", "two", "three"} {
			view, err := m.read.View(context.Background())
			m.must(err)
			all, err := view.Thread(context.Background(), "acme", foldedID(thread))
			m.must(err)
			m.must(view.Close())
			rows := m.rows(thread)
			visits, shares := 0, 0
			for n, i := range all {
				m.interaction(rows["interaction_facts"][n], i)
				for _, v := range i.GetVisits() {
					m.visit(rows["visit_facts"][visits], i, v)
					visits++
				}
				for _, a := range i.GetAssignments() {
					m.assignment(rows["assignment_facts"][shares], a)
					shares++
				}
			}
			if len(rows["interaction_facts"]) != len(all) || len(rows["visit_facts"]) != visits || len(rows["assignment_facts"]) != shares {
				rt.Fatal("rows that nobody asked for")
			}
		}
	})
}

func (m *folded) interaction(row cells, i *conversationv1.Interaction) {
	m.t.Helper()
	if n := m.sameNames(row, i); n < 25 {
		m.t.Fatal("compared only", n)
	}
	measured := !i.GetBackfill() && i.GetLiveSince() == nil
	if at := i.GetResolvedAt(); at != nil && measured {
		from := i.GetStartedAt().AsTime()
		if r := i.GetReopenedAt(); r != nil && r.AsTime().After(from) {
			from = r.AsTime()
		}
		m.has(row, cells{"resolution_ms": at.AsTime().Truncate(time.Millisecond).Sub(from.Truncate(time.Millisecond)).Milliseconds()})
	}
	if at := i.GetFirstResponseAt(); at != nil && measured {
		from := at.AsTime().Add(-i.GetFirstResponseTime().AsDuration())
		m.has(row, cells{"first_response_ms": at.AsTime().Truncate(time.Millisecond).Sub(from.Truncate(time.Millisecond)).Milliseconds()})
	}
	if i.GetBackfill() {
		m.has(row, cells{"resolution_ms": nil, "first_response_ms": nil})
	}
	m.has(row, cells{"visits": uint16(len(i.GetVisits())), "assignments": uint16(len(i.GetAssignments()))})
}

func (m *folded) visit(row cells, i *conversationv1.Interaction, v *conversationv1.QueueVisit) {
	m.t.Helper()
	m.sameNames(row, v)
	wait := int64(0)
	if v.GetLeftAt() != nil {
		wait = v.GetLeftAt().AsTime().Truncate(time.Millisecond).Sub(v.GetEnteredAt().AsTime().Truncate(time.Millisecond)).Milliseconds()
	}
	m.has(row, cells{"wait_ms": wait, "interaction_ended_at": floored(i.GetEndedAt())})
	if wait < 0 {
		m.t.Fatal("a wait of less than nothing", v)
	}
}

func (m *folded) assignment(row cells, a *conversationv1.Assignment) {
	m.t.Helper()
	m.sameNames(row, a)
	number := func(column string) int64 {
		n, ok := row[column].(int64)
		if !ok {
			m.t.Fatal("no number", column, row[column])
		}
		return n
	}
	talk, hold, pause, wrapup := number("talk_ms"), number("hold_ms"), number("pause_ms"), number("wrapup_ms")
	if talk < 0 || hold < 0 || pause < 0 || wrapup < 0 || number("handle_ms") != talk+hold+wrapup {
		m.t.Fatal("times that cannot be", row)
	}
	if a.GetConnectedAt() == nil || a.GetEndedAt() == nil {
		m.has(row, cells{"talk_ms": int64(0), "hold_ms": int64(0), "pause_ms": int64(0), "handled": false})
		return
	}
	all := a.GetEndedAt().AsTime().Truncate(time.Millisecond).Sub(a.GetConnectedAt().AsTime().Truncate(time.Millisecond)).Milliseconds()
	if talk+hold+pause != all {
		m.t.Fatal("talk, hold and pause are", talk, hold, pause, "of", all)
	}
	// To within the milliseconds that were cut off, pauses before the connection aside, which belong to nothing.
	if within := stretchesIn(a.GetPaused(), a.GetConnectedAt(), a.GetEndedAt()); (within - time.Duration(pause)*time.Millisecond).Abs() > 64*time.Millisecond {
		m.t.Fatal("paused for", within, "not", pause)
	}
}

func stretchesIn(all []*conversationv1.Stretch, from, until *timestamppb.Timestamp) (d time.Duration) {
	for _, s := range all {
		begin, end := s.GetFrom().AsTime(), s.GetUntil().AsTime()
		if begin.Before(from.AsTime()) {
			begin = from.AsTime()
		}
		if end.After(until.AsTime()) {
			end = until.AsTime()
		}
		if end.After(begin) {
			d += end.Sub(begin)
		}
	}
	return d
}

func TestTheSourceTellsOfEachThreadThatChanges(t *testing.T) {
	m := newFolded(t)
	m.happens(m.on("a", event.TypeMessageReceived, 0), m.on("b", event.TypeMessageReceived, 0))
	entity := func(thread string) string { return "acme/" + foldedID(thread).String() }
	news, err := m.source.Next(t.Context(), nil)
	m.must(err)
	if !news.Reset || !news.Done || len(news.Entities) != 2 {
		t.Fatal(news)
	}
	m.happens(m.on("b", event.TypeMessageReceived, 10), m.on("c", event.TypeMessageReceived, 0))
	news, err = m.source.Next(t.Context(), news.Cursor)
	m.must(err)
	slices.Sort(news.Entities)
	want := []string{entity("b"), entity("c")}
	slices.Sort(want)
	if news.Reset || !slices.Equal(news.Entities, want) || news.At[event.TopicInteractions] == nil {
		t.Fatal(news)
	}
	quiet, err := m.source.Next(t.Context(), news.Cursor)
	m.must(err)
	if len(quiet.Entities) != 0 || quiet.Reset {
		t.Fatal(quiet)
	}
	var _ mirror.Source = m.source
	m.runner.Close()
	m.store = memkv.New() // the read model is built anew
	again := newFolded(t)
	again.happens(again.on("a", event.TypeMessageReceived, 0))
	news, err = again.source.Next(t.Context(), quiet.Cursor)
	m.must(err)
	if !news.Reset {
		t.Fatal(news)
	}
}
