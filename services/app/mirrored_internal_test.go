package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/mirror/agents"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/customer"
)

// These tests hold what the mirror of the read models sends to the read models: several slices over one log.

const (
	mirroredTenant     = "acme"
	mirroredPartitions = 2
)

// mirrored is a log and all read models that the mirror follows, which are folded when the test says so.
type mirrored struct {
	t             rapid.TB
	keyring       *event.Keyring
	log           *memlog.Log
	store         kv.Store
	interactions  *conversation.Interactions
	conversations *conversation.Conversations
	customers     *customer.Customers
	agents        *agent.Agents
	clock         time.Time
	received      int

	mu    sync.Mutex
	book  *directory.Book
	other chan struct{}
}

var mirroredKeyring = sync.OnceValues(func() (*event.Keyring, error) { return event.NewKeyring(bytes.NewReader(make([]byte, 1<<10))) })

func newMirrored(t rapid.TB) *mirrored {
	t.Helper()
	w := &mirrored{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), clock: nine, other: make(chan struct{})}
	var err error
	w.keyring, err = mirroredKeyring()
	w.must(err)
	for _, topic := range []string{event.TopicAgents, event.TopicInteractions, event.TopicLinks} {
		w.must(w.log.EnsureTopics(context.Background(), eventlog.Topic{Name: topic, Partitions: mirroredPartitions}))
	}
	progress := &projection.Progress{}
	w.interactions = conversation.NewInteractions(w.store, mirroredPartitions, progress)
	model := interactions{w.store, progress, w.interactions}
	w.customers = customer.NewCustomers(w.store, mirroredPartitions, progress, model, nil)
	w.conversations = conversation.NewConversations(conversation.Config{
		Store: w.store, Partitions: mirroredPartitions, Interactions: w.interactions, Customers: w.customers, CustomerScopes: w.customers,
	})
	l := &links{interactions: model, customers: w.customers, conversations: w.conversations}
	w.agents = agent.NewAgents(w.store, mirroredPartitions, progress, w, workOfAgents{work{l}})
	return w
}

func (w *mirrored) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Book implements directory.Books.
func (w *mirrored) Book(context.Context, string) (*directory.Book, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.book, nil
}

// Changed implements directory.Books.
func (w *mirrored) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.other
}

func (w *mirrored) setBook(b *directory.Book) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.book = b
	close(w.other)
	w.other = make(chan struct{})
}

// fold applies what there is, in batches of at most so many records.
func (w *mirrored) fold(batch int) {
	w.t.Helper()
	folds := map[string]struct {
		topic string
		fold  projection.Fold
	}{
		agent.Slice:             {event.TopicAgents, agent.NewFold(mirroredPartitions)},
		conversation.Slice:      {event.TopicInteractions, conversation.NewFold(mirroredPartitions, w.keyring)},
		conversation.LinksSlice: {event.TopicLinks, conversation.NewLinksFold(mirroredPartitions, w.keyring)},
		customer.Slice:          {event.TopicLinks, customer.NewFold(mirroredPartitions)},
	}
	for slice, f := range folds {
		r, err := projection.NewRunner(context.Background(), projection.Config{
			Log: w.log, Store: w.store, Namespace: kv.Namespace{Slice: slice, Generation: 1}, Topic: f.topic, Fold: f.fold, MaxBatch: batch,
		})
		w.must(err)
		err = r.RunToEnd(context.Background())
		r.Close()
		w.must(err)
	}
}

func (w *mirrored) append(topic, key string, e *eventv1.Event) {
	w.t.Helper()
	value, err := event.Encode(e)
	w.must(err)
	_, err = eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: topic, Key: []byte(key), Value: value}})
	w.must(err)
}

func hashedID(name string) event.ID {
	sum := sha256.Sum256([]byte(name))
	id := event.ID(sum[:16])
	return event.EndpointOf(id)
}

// happening is an event of an id that is made of its name.
func (w *mirrored) happening(name, typ string, at time.Time, content *eventv1.Content) *eventv1.Event {
	w.t.Helper()
	id := hashedID(name)
	w.received++
	e := &eventv1.Event{
		Id: id.String(), Tenant: mirroredTenant, Type: typ, Provider: "desk", OccurredAt: timestamppb.New(at),
		ReceivedAt: timestamppb.New(nine.AddDate(0, 1, 0).Add(time.Duration(w.received) * time.Millisecond)), Digest: id[:],
	}
	if content != nil {
		var err error
		e.Content, err = proto.Marshal(content)
		w.must(err)
	}
	return e
}

// rows are those that a mirror has sent, by entity and key.
type rows map[string]map[string]sentRow

type sentRow struct {
	table string
	data  string
}

// copied follows a source as the mirror does.
type copied struct {
	t      rapid.TB
	source mirror.Source
	cursor []byte
	rows   rows
	unseen map[string]bool // of a scan
	// named counts the entities that were looked at.
	named int
}

func newCopied(t rapid.TB, source mirror.Source) *copied {
	return &copied{t: t, source: source, rows: rows{}}
}

// follow takes what has changed until there is nothing more.
func (c *copied) follow() {
	c.t.Helper()
	for quiet := false; !quiet; {
		quiet = c.step()
	}
}

// step takes what comes next, and tells whether there was nothing and all is contained.
func (c *copied) step() (quiet bool) {
	c.t.Helper()
	n, err := c.source.Next(context.Background(), c.cursor)
	if err != nil {
		c.t.Fatal(err)
	}
	if n.Reset {
		c.unseen = map[string]bool{}
		for entity := range c.rows {
			c.unseen[entity] = true
		}
	}
	for _, entity := range n.Entities {
		c.look(entity)
	}
	if n.Done {
		for entity := range c.unseen {
			c.look(entity)
		}
		c.unseen = nil
	}
	c.cursor = n.Cursor
	return len(n.Entities) == 0 && n.At != nil
}

func (c *copied) look(entity string) {
	c.t.Helper()
	c.named++
	delete(c.unseen, entity)
	all, err := c.source.Rows(context.Background(), entity)
	if err != nil {
		c.t.Fatal(err)
	}
	delete(c.rows, entity)
	for _, r := range all {
		if c.rows[entity] == nil {
			c.rows[entity] = map[string]sentRow{}
		}
		key := r.Table.Name + " " + r.Key
		if _, twice := c.rows[entity][key]; twice {
			c.t.Fatalf("two rows of %q have the key %q", entity, key)
		}
		c.rows[entity][key] = sentRow{r.Table.Name, string(r.Data)}
	}
}

// all are the rows, in any order of entities: as tables hold them.
func (r rows) all() (all []string) {
	for _, of := range r {
		for _, row := range of {
			all = append(all, row.table+" "+row.data)
		}
	}
	slices.Sort(all)
	return all
}

// shown is rows as text.
func (r rows) shown(t rapid.TB) string {
	var b strings.Builder
	for _, entity := range slices.Sorted(maps.Keys(r)) {
		for _, key := range slices.Sorted(maps.Keys(r[entity])) {
			fmt.Fprintf(&b, "%q %q %v\n", entity, key, valuesOf(t, r[entity][key].data))
		}
	}
	return b.String()
}

type valuesBatch struct {
	driver.Batch
	values []any
}

func (b *valuesBatch) Append(values ...any) error {
	b.values = values
	return nil
}

func valuesOf(t rapid.TB, data string) []any {
	t.Helper()
	b := &valuesBatch{}
	if err := mirror.AppendValues(b, []byte(data)); err != nil {
		t.Fatal(err)
	}
	return b.values
}

func (w *mirrored) agentsSource() *agents.Source {
	return agents.New(agents.Config{
		Agents: w.agents, Statements: mirroredStatements{w.agents}, Work: mirroredShares{w.interactions}, Books: w,
		Now: func() time.Time { return w.clock }, Wait: time.Nanosecond, Page: 5,
	})
}

var connectorIDs = []string{"mei", "mei", "bo", "101", "m1"}

// drawStatement thinks of something that a connector states of an agent.
func (w *mirrored) drawStatement(rt *rapid.T, name string) *eventv1.Event {
	presence := func(text string, typ eventv1.PresenceType) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: &eventv1.AgentPresenceChanged{Presence: text, Type: typ}}}
	}
	type stated struct {
		typ     string
		content *eventv1.Content
	}
	beat := func(d time.Duration) stated {
		return stated{event.TypeAgentHeartbeat, &eventv1.Content{Body: &eventv1.Content_AgentHeartbeat{AgentHeartbeat: &eventv1.AgentHeartbeat{Timeout: durationpb.New(d)}}}}
	}
	everywhere := presence("Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE)
	everywhere.GetAgentPresenceChanged().Everywhere = true
	s := rapid.SampledFrom([]stated{
		{event.TypeAgentPresenceChanged, presence("Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE)},
		{event.TypeAgentPresenceChanged, presence("Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE)},
		{event.TypeAgentPresenceChanged, presence("Meal", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM)},
		{event.TypeAgentPresenceChanged, presence("Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE)},
		{event.TypeAgentPresenceChanged, everywhere},
		{event.TypeAgentRoutingStatusChanged, &eventv1.Content{Body: &eventv1.Content_AgentRoutingStatusChanged{
			AgentRoutingStatusChanged: &eventv1.AgentRoutingStatusChanged{Status: eventv1.RoutingStatus_ROUTING_STATUS_IDLE},
		}}},
		beat(time.Minute), beat(20 * time.Minute), beat(20 * time.Hour), beat(0),
	}).Draw(rt, "statement")
	e := w.happening(name, s.typ, w.drawTime(rt), s.content)
	e.Provider = rapid.SampledFrom([]string{"asterisk", "desk"}).Draw(rt, "connector")
	e.ThreadId = hashedID("agents").String()
	e.Actor = &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: rapid.SampledFrom(connectorIDs).Draw(rt, "agent")}
	return e
}

// drawTime thinks of a moment, most of them of late, some in the future, as clocks differ.
func (w *mirrored) drawTime(rt *rapid.T) time.Time {
	ago := rapid.IntRange(-5, 90).Draw(rt, "minutes ago")
	if rapid.IntRange(0, 4).Draw(rt, "days ago at 0") == 0 {
		ago += 24 * 60 * rapid.IntRange(1, 4).Draw(rt, "days")
	}
	return w.clock.Add(-time.Duration(ago) * time.Minute)
}

// drawWork thinks of something that happens with an assignment.
func (w *mirrored) drawWork(rt *rapid.T, name string) *eventv1.Event {
	typ := rapid.SampledFrom([]string{
		event.TypeMessageReceived, event.TypeAssignmentOffered, event.TypeAssignmentDeclined, event.TypeAssignmentConnected,
		event.TypeAssignmentConnected, event.TypeAssignmentHeld, event.TypeAssignmentEnded, event.TypeWrapupStarted, event.TypeWrapupEnded,
		event.TypeInteractionEnded, event.TypeQueueEntered, event.TypeTransferCompleted,
	}).Draw(rt, "type")
	content := &eventv1.Content{}
	switch typ {
	case event.TypeAssignmentDeclined:
		content.Body = &eventv1.Content_AssignmentDeclined{AssignmentDeclined: &eventv1.AssignmentDeclined{Reason: eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT}}
	case event.TypeTransferCompleted:
		content.Body = &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Target: "bo"}}
	}
	thread := rapid.SampledFrom([]string{"call", "chat"}).Draw(rt, "thread")
	e := w.happening(name, typ, w.drawTime(rt), content)
	e.Provider, e.ThreadId, e.Channel, e.Inbox = "asterisk", hashedID(thread).String(), eventv1.Channel_CHANNEL_VOICE, "line"
	e.Actor = &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: rapid.SampledFrom(connectorIDs).Draw(rt, "agent")}
	e.Queue = rapid.SampledFrom([]string{"", "sales"}).Draw(rt, "queue")
	if a := rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "assignment"); a != "" {
		e.AssignmentId = hashedID(thread + a).String()
	}
	return e
}

// drawBook thinks of who has which id when.
func (w *mirrored) drawBook(rt *rapid.T) *directory.Book {
	of := map[string][]directory.Version{}
	for _, who := range []string{"mei", "bo"} {
		for n := range rapid.IntRange(0, 2).Draw(rt, who+"'s versions") {
			from := int64(0)
			if n > 0 {
				from = w.drawTime(rt).UnixNano()
			}
			ids := rapid.SliceOfN(rapid.SampledFrom([]*eventv1.NativeId{
				{Provider: "asterisk", Id: "101"}, {Provider: "desk", Id: "m1"}, {Id: "m1"}, {Id: "101"},
			}), 0, 3).Draw(rt, "ids")
			of[who] = append(of[who], directory.Version{From: from, Stated: &eventv1.DirectoryUpdated{
				Removed: rapid.IntRange(0, 5).Draw(rt, "removed at 0") == 0,
				Entry:   &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{Ids: ids}},
			}})
		}
	}
	return directory.NewBook(map[string]map[string][]directory.Version{directory.Agent: of})
}

// Whatever is told, in whatever order, late and twice, however the directory changes and the clock goes on, and wherever the mirror is restarted
// or sent back: the rows are those that a scan of the read models gives then.
func TestTheDaysOfAgentsAreMirroredWhateverChanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newMirrored(rt)
		c := newCopied(rt, w.agentsSource())
		old := [][]byte{nil}
		var sent []func()
		for n := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			step := rapid.SampledFrom([]string{"statements", "statements", "work", "work", "again", "book", "clock", "clock", "night", "restart", "back"}).Draw(rt, "step")
			switch step {
			case "statements":
				for k := range rapid.IntRange(1, 4).Draw(rt, "events") {
					e := w.drawStatement(rt, fmt.Sprint("statement", n, k))
					sent = append(sent, func() { w.append(event.TopicAgents, e.GetActor().GetId(), e) })
					sent[len(sent)-1]()
				}
			case "work":
				for k := range rapid.IntRange(1, 4).Draw(rt, "events") {
					e := w.drawWork(rt, fmt.Sprint("work", n, k))
					sent = append(sent, func() { w.append(event.TopicInteractions, e.GetThreadId(), e) })
					sent[len(sent)-1]()
				}
			case "again":
				if len(sent) > 0 {
					rapid.SampledFrom(sent).Draw(rt, "which")()
				}
			case "book":
				w.setBook(w.drawBook(rt))
			case "clock":
				w.clock = w.clock.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
			case "night":
				w.clock = w.clock.Add(time.Duration(rapid.IntRange(10, 60).Draw(rt, "hours")) * time.Hour)
			case "restart":
				c.source = w.agentsSource()
			case "back": // what was not recorded comes again
				c.cursor = rapid.SampledFrom(old).Draw(rt, "cursor")
			}
			w.fold(rapid.IntRange(1, 5).Draw(rt, "batch"))
			if rapid.Bool().Draw(rt, "one step only") {
				c.step()
				old = append(old, c.cursor)
				continue
			}
			c.follow()
			old = append(old, c.cursor)
			fresh := newCopied(rt, w.agentsSource())
			fresh.follow()
			if got, want := c.rows.shown(rt), fresh.rows.shown(rt); got != want {
				rt.Fatalf("behind %s at %v:\n%swant\n%s", step, w.clock, got, want)
			}
			w.checkTotals(c)
		}
	})
}

// checkTotals holds the sums over the rows of each day that is over to the totals that the agents' read model gives.
func (w *mirrored) checkTotals(c *copied) {
	w.t.Helper()
	const day = 24 * time.Hour
	for begin := w.clock.Truncate(day).Add(-6 * day); begin.Before(w.clock.Truncate(day)); begin = begin.Add(day) {
		for _, who := range []string{"mei", "bo"} {
			if now, err := w.agents.Resolve(context.Background(), mirroredTenant, who); err != nil || now != who {
				continue // the id means another one now
			}
			_, totals, err := w.agents.Intervals(context.Background(), mirroredTenant, who, begin, begin.Add(day))
			if errors.Is(err, agent.ErrUnknown) {
				continue
			}
			w.must(err)
			types, routing, onContact, there := map[string]time.Duration{}, map[string]time.Duration{}, time.Duration(0), false
			for _, of := range c.rows {
				for _, row := range of {
					v := valuesOf(w.t, row.data)
					if v[1] != who || !as[time.Time](v[2]).Equal(begin) {
						continue
					}
					took := as[time.Time](v[4]).Sub(as[time.Time](v[3]))
					types[strings.ToUpper(as[string](v[6]))] += took
					routing[strings.ToUpper(as[string](v[8]))] += took
					there = true
					if as[bool](v[11]) {
						onContact += took
					}
				}
			}
			if !there { // offline throughout
				types["OFFLINE"], routing = day, nil
			}
			w.same("on contact", onContact, totals.GetOnContact().AsDuration())
			for name, d := range totals.GetPresenceType() {
				w.same(name, types[name], d.AsDuration())
			}
			for name, d := range totals.GetRoutingStatus() {
				if there {
					w.same(name, routing[name], d.AsDuration())
				}
			}
		}
	}
}

func (w *mirrored) same(what string, got, want time.Duration) {
	w.t.Helper()
	if got != want {
		w.t.Fatalf("%s took %v instead of %v", what, got, want)
	}
}

// A day's work of a thousand agents: what heartbeats cost.
func BenchmarkHeartbeatsOfAThousandAgents(b *testing.B) {
	w := newMirrored(b)
	beat := func(round int) {
		for n := range 1000 {
			e := w.happening(fmt.Sprint("beat", round, " ", n), event.TypeAgentHeartbeat, w.clock, &eventv1.Content{Body: &eventv1.Content_AgentHeartbeat{
				AgentHeartbeat: &eventv1.AgentHeartbeat{Timeout: durationpb.New(90 * time.Second)},
			}})
			e.ThreadId, e.Actor = hashedID("agents").String(), &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("agent", n)}
			w.append(event.TopicAgents, e.GetActor().GetId(), e)
		}
		w.fold(0)
	}
	for n := range 1000 {
		e := w.happening(fmt.Sprint("presence", n), event.TypeAgentPresenceChanged, w.clock, &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{
			AgentPresenceChanged: &eventv1.AgentPresenceChanged{Presence: "Available", Type: eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE},
		}})
		e.ThreadId, e.Actor = hashedID("agents").String(), &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("agent", n)}
		w.append(event.TopicAgents, e.GetActor().GetId(), e)
	}
	source := agents.New(agents.Config{
		Agents: w.agents, Statements: mirroredStatements{w.agents}, Work: mirroredShares{w.interactions}, Books: w,
		Now: func() time.Time { return w.clock }, Wait: time.Nanosecond,
	})
	c := newCopied(b, source)
	beat(-1)
	c.follow()
	round := 0
	for b.Loop() {
		b.StopTimer()
		round++
		w.clock = w.clock.Add(30 * time.Second)
		beat(round)
		c.named = 0
		b.StartTimer()
		c.follow()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "us/heartbeat")
	b.ReportMetric(float64(c.named), "days/round")
}

// as is a value of a row, as what its column holds.
func as[T any](v any) T {
	of, _ := v.(T)
	return of
}
