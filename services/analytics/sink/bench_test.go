package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// day is a day of contacts: each thread is queued, assigned, talks, and ends.
func (w *world) day(events int) {
	w.t.Helper()
	types := []string{
		event.TypeInteractionStarted, event.TypeQueueEntered, event.TypeAssignmentOffered, event.TypeAssignmentAccepted, event.TypeAssignmentConnected,
		event.TypeMessageReceived, event.TypeMessageSent, event.TypeMessageReceived, event.TypeMessageSent, event.TypeInteractionEnded,
	}
	const open = 500 // threads at a time
	messages := make([]eventlog.Message, 0, events)
	for i := range events {
		thread := i/(open*len(types))*open + i%open
		step := i / open % len(types)
		at := epoch.Add(time.Duration(i) * 20 * time.Millisecond)
		content := &eventv1.Content{
			NativeThread: fmt.Sprint(thread), NativeId: fmt.Sprint(i),
			Parties: []*eventv1.PartyDetail{{Address: fmt.Sprintf("visitor-%d", thread), DisplayName: "Ada Lovelace"}, {Address: "site"}},
		}
		switch types[step] {
		case event.TypeQueueEntered:
			content.Body = &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{SlaTarget: durationpb.New(20 * time.Second)}}
		case event.TypeAssignmentOffered:
			content.Body = &eventv1.Content_AssignmentOffered{AssignmentOffered: &eventv1.AssignmentOffered{Timeout: durationpb.New(15 * time.Second)}}
		case event.TypeMessageReceived:
			content.Body = &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: fmt.Sprintf("Where is my order number %d, please?", i)}}
		case event.TypeMessageSent:
			content.Body = &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "Let me look, one moment. It is on its way."}}
		case event.TypeInteractionEnded:
			content.Body = &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: eventv1.EndReason_END_REASON_CUSTOMER}}
		}
		raw, err := proto.Marshal(content)
		if err != nil {
			w.t.Fatal(err)
		}
		e := &eventv1.Event{
			Id: name(fmt.Sprint("e", i)), Tenant: "acme", Type: types[step], ThreadId: name(fmt.Sprint("t", thread)),
			OccurredAt: timestamppb.New(at), ReceivedAt: timestamppb.New(at.Add(3 * time.Millisecond)),
			Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND, Provider: "chat", Inbox: fmt.Sprint("site-", thread%5),
			Parties: []*eventv1.Party{
				{EndpointId: name(fmt.Sprint("c", thread)), Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Side: eventv1.Side_SIDE_CUSTOMER},
				{EndpointId: name("site"), Side: eventv1.Side_SIDE_COMPANY},
			},
			Actor: &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("agent-", thread%200)}, Queue: fmt.Sprint("queue-", thread%20),
			InteractionId: name(fmt.Sprint("i", thread)), Language: "en", Content: raw, Digest: []byte("0123456789abcdef"), SchemaVersion: 1,
		}
		value, err := event.Encode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		messages = append(messages, eventlog.Message{Topic: event.TopicInteractions, Key: []byte(e.GetThreadId()), Value: value})
	}
	if _, err := eventlog.AppendAll(context.Background(), w.log, messages); err != nil {
		w.t.Fatal(err)
	}
}

// press keeps what is inserted as encoded blocks.
type press struct {
	*shelf
	mu     sync.Mutex
	blocks []block
}

type block struct {
	table, query string
	rows         int
	bytes        []byte
}

func (p *press) Insert(ctx context.Context, token string, rows warehouse.Rows) error {
	if rows.Table() == "progress" {
		return p.shelf.Insert(ctx, token, rows)
	}
	if rows.Len() == 0 {
		return nil
	}
	raw, err := fold(rows)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocks = append(p.blocks, block{
		table: rows.Table(), rows: rows.Len(), bytes: raw,
		query: "INSERT INTO " + rows.Table() + " (" + strings.Join(rows.Columns(), ", ") + ") FORMAT Native",
	})
	return err
}

// BenchmarkSink measures the sink from the log to ClickHouse beside the same rows sent as blocks that were encoded before.
func BenchmarkSink(b *testing.B) {
	const events = 225_000
	e, w := newEngine(b), newWorld(b)
	w.day(events)
	quiet := w.config()
	quiet.Logger, quiet.MaxRows, quiet.MaxAge, quiet.LookEvery = nil, 0, time.Second, time.Second // as it is in production

	p := &press{shelf: w.shelf}
	cfg := quiet
	cfg.Warehouse = p
	began := time.Now()
	w.run(cfg)
	b.Logf("%d inserts, encoded in %s", len(p.blocks), time.Since(began))

	empty := func() {
		for _, table := range []string{"events", "messages", "surveys", "event_hours", "message_quarters", "progress"} {
			if err := e.w.Exec(b.Context(), "TRUNCATE TABLE "+table); err != nil {
				b.Fatal(err)
			}
		}
	}
	ceiling := func() time.Duration {
		began := time.Now()
		for i, block := range p.blocks {
			e.post(block, fmt.Sprint(began.UnixNano(), i))
		}
		return time.Since(began)
	}
	measure := func() (full time.Duration) { // for each event, of the batches that are full: the last one waits for more events

		store, err := pebblekv.Open(b.TempDir(), pebblekv.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		cfg := quiet
		cfg.Store, cfg.Warehouse = store, e
		began := time.Now()
		seen := int64(0)
		s, stop := w.start(cfg)
		w.until("everything is contained", func() bool {
			n := int64(0)
			for _, p := range s.Status().Partitions {
				n += p.Next
			}
			if n > seen && n < events {
				seen, full = n, time.Since(began)
			}
			return n == events
		})
		if err := stop(); err != nil {
			b.Fatal(err)
		}
		return full * events / time.Duration(seen)
	}
	ceiling() // warms up
	var most, least, engineMost, engineLeast, own time.Duration
	n := 0
	for b.Loop() {
		empty()
		before := e.spent(e.PID())
		most += ceiling()
		engineMost += e.spent(e.PID()) - before
		empty()
		before, mine := e.spent(e.PID()), e.spent(os.Getpid())
		least += measure()
		engineLeast += e.spent(e.PID()) - before
		own += e.spent(os.Getpid()) - mine
		n++
	}
	if got := e.number("(SELECT count() FROM events)"); got != events {
		b.Fatalf("%d events", got)
	}
	b.ReportMetric(float64(n*events)/least.Seconds(), "events/s")
	b.ReportMetric(float64(n*events)/most.Seconds(), "encoded/s")
	micros := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n*events) }
	b.ReportMetric(micros(own), "own-µs/event")
	b.ReportMetric(micros(engineLeast), "engine-µs/event")
	b.ReportMetric(micros(engineMost), "encoded-engine-µs/event")
	b.ReportMetric(100*most.Seconds()/least.Seconds(), "%")
}

// spent is the processor time of a process, in ticks of 10 ms; 0 where the system does not tell.
func (e *engine) spent(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			e.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (10 * time.Millisecond)
}

// post sends a block as it is.
func (e *engine) post(p block, token string) {
	e.t.Helper()
	q := url.Values{
		"database": {"skein"}, "query": {p.query}, "insert_deduplication_token": {token}, "insert_deduplicate": {"1"},
		"deduplicate_blocks_in_dependent_materialized_views": {"1"}, "async_insert": {"0"}, "max_insert_block_size": {"1048576"},
	}
	resp, err := http.Post(e.URL()+"?"+q.Encode(), "application/octet-stream", bytes.NewReader(p.bytes))
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || len(said) > 0 {
		e.t.Fatalf("%s: %v: %s", resp.Status, err, said)
	}
}

var _ sink.Warehouse = (*press)(nil)
