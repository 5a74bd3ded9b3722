package timeline_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/timeline"
)

const (
	partitions = 3
	tenant     = "acme"
)

var (
	namespace = kv.Namespace{Slice: timeline.Slice, Generation: 1}
	epoch     = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

// world is a log, a store and a server over them.
type world struct {
	t        rapid.TB
	keyring  *event.Keyring
	compiler *event.Compiler
	log      *memlog.Log
	store    kv.Store
	server   *timeline.Server
	hub      *timeline.Hub
	letters  []*eventv1.DeadLetter
	clock    time.Time
}

// zeros is randomness that gives every test the same keyring, so that ids are the same at every run.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func newWorld(t rapid.TB) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), clock: epoch.Add(time.Hour)}
	var err error
	if w.keyring, err = event.NewKeyring(zeros{}); err != nil {
		t.Fatal(err)
	}
	if w.compiler, err = event.NewCompiler(w.keyring); err != nil {
		t.Fatal(err)
	}
	if err := w.log.EnsureTopics(context.Background(), eventlog.Topic{Name: event.TopicInteractions, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	w.serve()
	return w
}

// serve puts a new server and hub over the store.
func (w *world) serve() {
	w.hub = timeline.NewHub(w.store, event.TopicInteractions, partitions, nil, slog.New(slog.DiscardHandler))
	w.server = timeline.NewServer(w.store, w.keyring, nil, w.hub, timeline.Links{})
}

func (w *world) Publish(_ context.Context, letters ...*eventv1.DeadLetter) error {
	w.letters = append(w.letters, letters...)
	return nil
}

func email(address string) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address},
		Side:    eventv1.Side_SIDE_CUSTOMER,
	}
}

// message is a chat line of a thread, said at a minute by customers.
func message(thread, id, text string, minute int, customers ...string) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, OccurredAt: timestamppb.New(epoch.Add(time.Duration(minute) * time.Minute)),
		Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Provider: "test", Inbox: "web", Thread: thread, NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}},
	}
	for _, c := range customers {
		s.Parties = append(s.Parties, email(c))
	}
	return s
}

// record compiles a submission; each is received a second after the one before.
func (w *world) record(s *eventv1.Submission) *eventv1.Event {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	c, err := w.compiler.Compile(tenant, s, w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Event
}

func (w *world) append(e *eventv1.Event) *eventv1.Position {
	w.t.Helper()
	value, err := event.Encode(e)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.appendRaw(e.GetThreadId(), value)
}

func (w *world) appendRaw(key string, value []byte) *eventv1.Position {
	w.t.Helper()
	at, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{{Topic: event.TopicInteractions, Key: []byte(key), Value: value}})
	if err != nil {
		w.t.Fatal(err)
	}
	return &eventv1.Position{Topic: at[0].Topic, Partition: at[0].Partition, Offset: at[0].Offset}
}

func (w *world) publish(submissions ...*eventv1.Submission) {
	w.t.Helper()
	for _, s := range submissions {
		w.append(w.record(s))
	}
}

func (w *world) fold(store kv.Store, maxBatch int) {
	w.t.Helper()
	w.foldBy(timeline.NewFold(partitions), store, maxBatch)
}

func (w *world) foldBy(fold projection.Fold, store kv.Store, maxBatch int) {
	w.t.Helper()
	r, err := projection.NewRunner(context.Background(), projection.Config{
		Log: w.log, Store: store, Namespace: namespace, Topic: event.TopicInteractions,
		Fold: fold, MaxBatch: maxBatch, DeadLetters: w,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	if err := r.RunToEnd(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hash(store kv.Store) kv.Digest {
	w.t.Helper()
	snap, err := store.Snapshot(context.Background(), namespace)
	if err != nil {
		w.t.Fatal(err)
	}
	defer snap.Close()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func caller() context.Context {
	return auth.With(context.Background(), auth.Identity{Tenant: tenant})
}

func (w *world) page(req *timelinev1.ListRequest) *timelinev1.ListResponse {
	w.t.Helper()
	resp, err := w.list(caller(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// list calls the server, and reads the answer as a client does.
func (w *world) list(ctx context.Context, req *timelinev1.ListRequest) (*timelinev1.ListResponse, error) {
	resp, err := w.server.List(ctx, req)
	if err != nil {
		return nil, err
	}
	return received(w.t, resp), nil
}

// received is what a client makes of a message.
func received[M proto.Message](t rapid.TB, sent M) M {
	t.Helper()
	b, err := proto.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := sent.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatalf("the client cannot read the answer: %v", err)
	}
	return got
}

// texts lists all pages and returns what was said.
func (w *world) texts(req *timelinev1.ListRequest) []string {
	w.t.Helper()
	req = proto.CloneOf(req)
	texts := []string{}
	for {
		resp := w.page(req)
		texts = append(texts, said(resp)...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return texts
		}
	}
}

func said(resp *timelinev1.ListResponse) []string {
	var texts []string
	for _, e := range resp.GetEntries() {
		texts = append(texts, e.GetContent().GetMessageReceived().GetText())
	}
	return texts
}

func of(addresses ...string) *timelinev1.ListRequest {
	req := &timelinev1.ListRequest{Order: timelinev1.Order_ORDER_OLDEST_FIRST}
	for _, a := range addresses {
		req.Addresses = append(req.Addresses, email(a).GetAddress())
	}
	return req
}

func (w *world) thread(native string) *timelinev1.ListRequest {
	id := w.keyring.Tenant(tenant).Thread("web", native)
	return &timelinev1.ListRequest{Order: timelinev1.Order_ORDER_OLDEST_FIRST, ThreadIds: []string{id.String()}}
}

func expect(t rapid.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestTimelinesOfSeveralAddressesAreMergedByTime(t *testing.T) {
	w := newWorld(t)
	w.publish(
		message("t1", "1", "anna early", 10, "anna@example.com"),
		message("t2", "1", "li", 20, "li@example.cn"),
		message("t3", "1", "anna late", 30, "anna@example.com"),
		message("t1", "2", "both, told last", 15, "Anna@Example.com", "li@example.cn"),
	)
	w.fold(w.store, 10)
	expect(t, "anna", w.texts(of("anna@example.com")), "anna early", "both, told last", "anna late")
	expect(t, "li", w.texts(of("li@example.cn")), "both, told last", "li")
	expect(t, "both", w.texts(of("anna@example.com", "li@example.cn")), "anna early", "both, told last", "li", "anna late")
	expect(t, "thread", w.texts(w.thread("t1")), "anna early", "both, told last")
	newest := of("anna@example.com", "li@example.cn")
	newest.Order = timelinev1.Order_ORDER_NEWEST_FIRST
	newest.PageSize = 1
	expect(t, "newest first, page by page", w.texts(newest), "anna late", "li", "both, told last", "anna early")
	expect(t, "nobody", w.texts(of("nobody@example.com")))
}

func TestEventsOfOneTickAreOrderedByReceiptThenPosition(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t1", "1", "first", 10, "a@b.c"), message("t2", "1", "second", 10, "a@b.c"), message("t1", "2", "third", 10, "a@b.c"))
	w.fold(w.store, 10)
	expect(t, "order", w.texts(of("a@b.c")), "first", "second", "third")
}

func TestAnEventWithoutACustomerIsFiledUnderWhoOpenedItsThread(t *testing.T) {
	w := newWorld(t)
	w.publish(message("call", "1", "ringing", 1), message("call", "2", "queued", 2))
	w.fold(w.store, 10)
	expect(t, "in the thread before anybody is known", w.texts(w.thread("call")), "ringing", "queued")

	w.publish(message("call", "3", "who it is", 3, "anna@example.com"), message("call", "4", "talking", 4), message("call", "5", "transferred", 5, "li@example.cn"))
	w.fold(w.store, 10)
	expect(t, "who opened", w.texts(of("anna@example.com")), "ringing", "queued", "who it is", "talking")
	expect(t, "who came later", w.texts(of("li@example.cn")), "transferred")
	expect(t, "thread", w.texts(w.thread("call")), "ringing", "queued", "who it is", "talking", "transferred")
}

func TestCompanyPartiesAndWithheldNumbersGetNoTimeline(t *testing.T) {
	w := newWorld(t)
	s := message("t", "1", "hidden", 1, "anna@example.com")
	s.Parties[0].Side = eventv1.Side_SIDE_COMPANY
	s.Parties = append(s.Parties, &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "anonymous"}, Side: eventv1.Side_SIDE_CUSTOMER,
	})
	w.publish(s)
	w.fold(w.store, 10)
	expect(t, "company", w.texts(of("anna@example.com")))
	expect(t, "thread", w.texts(w.thread("t")), "hidden")
}

func TestAnEventHandedInTwiceStandsOnce(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t", "1", "once", 1, "a@b.c"), message("t", "1", "once", 1, "a@b.c"))
	w.fold(w.store, 1)
	w.publish(message("t", "1", "once", 1, "a@b.c"))
	w.fold(w.store, 10)
	expect(t, "timeline", w.texts(of("a@b.c")), "once")
	if len(w.letters) != 0 {
		t.Errorf("dead letters: %v", w.letters)
	}
}

func TestOneIdWithOtherContentIsADeadLetterThatNamesTheWinner(t *testing.T) {
	w := newWorld(t)
	first := w.append(w.record(message("t", "1", "true", 1, "a@b.c")))
	second := w.append(w.record(message("t", "1", "forged", 1, "a@b.c")))
	w.fold(w.store, 10)
	expect(t, "timeline", w.texts(of("a@b.c")), "true")
	if len(w.letters) != 1 {
		t.Fatalf("%d dead letters", len(w.letters))
	}
	l := w.letters[0]
	if l.GetReason() != eventv1.DeadReason_DEAD_REASON_CONFLICT || !proto.Equal(l.GetWinner(), first) || !proto.Equal(l.GetSource(), second) || l.GetTenant() != tenant {
		t.Errorf("letter: %v", l)
	}
}

func TestWhatIsNoEventIsADeadLetterAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t)
	good := w.record(message("t", "1", "good", 1, "a@b.c"))
	bytes, err := event.Encode(good)
	if err != nil {
		t.Fatal(err)
	}
	w.appendRaw(good.GetThreadId(), bytes[:len(bytes)-3])
	w.appendRaw(good.GetThreadId(), nil)
	w.appendRaw(good.GetThreadId(), []byte("\xff\xff\xff"))
	w.appendRaw("another key", bytes)
	far := proto.CloneOf(good)
	far.OccurredAt = timestamppb.New(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC))
	w.append(far)
	long := proto.CloneOf(good)
	long.Tenant = strings.Repeat("x", 300)
	w.append(long)
	shouted := proto.CloneOf(good) // the same thread, with the key of another partition
	shouted.ThreadId = strings.ToUpper(good.GetThreadId())
	w.append(shouted)
	w.append(good)
	w.fold(w.store, 10)
	expect(t, "timeline", w.texts(of("a@b.c")), "good")
	reasons := map[eventv1.DeadReason]int{}
	for _, l := range w.letters {
		reasons[l.GetReason()]++
	}
	if reasons[eventv1.DeadReason_DEAD_REASON_UNDECODABLE] != 2 || reasons[eventv1.DeadReason_DEAD_REASON_INVALID] != 5 {
		t.Errorf("reasons: %v in %v", reasons, w.letters)
	}
}

func TestFieldsAndTypesFromTheFutureAreServedAsTheyCame(t *testing.T) {
	w := newWorld(t)
	e := w.record(message("t", "1", "x", 1, "a@b.c"))
	e.Type = "ext.acme.teleported"
	e.ProtoReflect().SetUnknown([]byte{0xf8, 0x3f, 0x2a}) // field 1023 = 42
	w.append(e)
	w.fold(w.store, 10)
	got := w.page(of("a@b.c")).GetEntries()[0].GetEvent()
	if got.GetType() != "ext.acme.teleported" || string(got.ProtoReflect().GetUnknown()) != "\xf8\x3f\x2a" {
		t.Errorf("got %v with unknown %x", got, got.ProtoReflect().GetUnknown())
	}
}

func TestFiltersByTimeChannelAndType(t *testing.T) {
	w := newWorld(t)
	answered := message("call", "1", "", 25, "a@b.c")
	answered.Type, answered.Channel = event.TypeCallAnswered, eventv1.Channel_CHANNEL_VOICE
	answered.Content = nil
	w.publish(message("t", "1", "ten", 10, "a@b.c"), message("t", "2", "twenty", 20, "a@b.c"), answered, message("t", "3", "thirty", 30, "a@b.c"))
	w.fold(w.store, 10)
	between := of("a@b.c")
	between.From, between.Until = timestamppb.New(epoch.Add(20*time.Minute)), timestamppb.New(epoch.Add(30*time.Minute))
	expect(t, "from is included and until is not", w.texts(between), "twenty", "")
	for _, order := range []timelinev1.Order{timelinev1.Order_ORDER_OLDEST_FIRST, timelinev1.Order_ORDER_NEWEST_FIRST} {
		between.Order, between.PageSize = order, 1
		if got := len(w.texts(between)); got != 2 {
			t.Errorf("page by page, %v: %d entries", order, got)
		}
	}
	voice := of("a@b.c")
	voice.Channels = []eventv1.Channel{eventv1.Channel_CHANNEL_VOICE}
	expect(t, "voice only", w.texts(voice), "")
	messages := of("a@b.c")
	messages.Types = []string{"message.*"}
	expect(t, "messages only", w.texts(messages), "ten", "twenty", "thirty")
	calls := of("a@b.c")
	calls.Types = []string{event.TypeCallAnswered}
	expect(t, "one type", w.texts(calls), "")
	bare := of("a@b.c")
	bare.OmitContent = true
	for _, e := range w.page(bare).GetEntries() {
		if e.GetContent() != nil || len(e.GetEvent().GetContent()) != 0 {
			t.Errorf("content although it was to be left out: %v", e)
		}
	}
}

func TestAnotherTenantSeesNothing(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t", "1", "secret", 1, "a@b.c"))
	w.fold(w.store, 10)
	endpoint := w.keyring.Tenant(tenant).Endpoint(event.Endpoint{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "a@b.c"})
	req := of("a@b.c")
	req.EndpointIds = []string{endpoint.String()}
	req.ThreadIds = w.thread("t").GetThreadIds()
	resp, err := w.list(auth.With(context.Background(), auth.Identity{Tenant: "acm"}), req)
	if err != nil || len(resp.GetEntries()) != 0 {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestPageTokensAreOfTheirQueryOnly(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t", "1", "one", 1, "a@b.c"), message("t", "2", "two", 2, "a@b.c"))
	w.fold(w.store, 10)
	req := of("a@b.c")
	req.PageSize = 1
	token := w.page(req).GetNextPageToken()
	other := of("x@y.z")
	other.PageToken = token
	if _, err := w.server.List(caller(), other); err == nil || !strings.Contains(err.Error(), "another query") {
		t.Errorf("another query's token: %v", err)
	}
	req.PageToken = token
	if _, err := w.server.List(auth.With(context.Background(), auth.Identity{Tenant: "other"}), req); err == nil {
		t.Error("another tenant's token passed")
	}
	for _, broken := range []string{"x", token[:8], token + "AAAA", "!!!"} {
		req.PageToken = broken
		if _, err := w.server.List(caller(), req); err == nil {
			t.Errorf("token %q passed", broken)
		}
	}
	req.PageToken = token
	req.PageSize = 7 // may change from page to page
	expect(t, "second page", said(w.page(req)), "two")
	w.store = memkv.New() // dropped
	w.serve()
	if _, err := w.server.List(caller(), req); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("token of a store that is gone: %v", err)
	}
}

// model is what the timeline must be, in the plainest way: a list in log order.
type model struct {
	entries []entry
	openers map[string]string
}

type entry struct {
	text, thread string
	minute       int
	order        int
	owners       []string
}

func (m *model) add(e entry) {
	for _, have := range m.entries {
		if have.thread == e.thread && have.text == e.text {
			return // seen
		}
	}
	e.order = len(m.entries)
	if len(e.owners) == 0 && m.openers[e.thread] != "" {
		e.owners = []string{m.openers[e.thread]}
	}
	if len(e.owners) > 0 && m.openers[e.thread] == "" {
		m.openers[e.thread] = e.owners[0]
		for i := range m.entries {
			if m.entries[i].thread == e.thread {
				m.entries[i].owners = e.owners[:1]
			}
		}
	}
	m.entries = append(m.entries, e)
}

func (m *model) texts(keep func(entry) bool) []string {
	var kept []entry
	for _, e := range m.entries {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	slices.SortFunc(kept, func(a, b entry) int {
		if a.minute != b.minute {
			return a.minute - b.minute
		}
		return a.order - b.order
	})
	texts := []string{}
	for _, e := range kept {
		texts = append(texts, e.text)
	}
	return texts
}

func TestAnyEventsInAnyBatchesGiveThePlainModelsTimelines(t *testing.T) {
	people := []string{"a@x.org", "b@x.org", "c@x.org"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		m := &model{openers: map[string]string{}}
		n := rapid.IntRange(1, 40).Draw(rt, "events")
		for range n {
			thread := rapid.SampledFrom([]string{"t1", "t2", "t3", "t4"}).Draw(rt, "thread")
			id := rapid.IntRange(0, 15).Draw(rt, "id")
			// What an id says is always the same: resends are resends.
			minute, text := id%5, fmt.Sprintf("%s/%d", thread, id)
			var owners []string
			for i, p := range people {
				if (id+len(thread)+int(thread[1]))>>i&1 == 1 {
					owners = append(owners, p)
				}
			}
			w.publish(message(thread, fmt.Sprint(id), text, minute, owners...))
			m.add(entry{text: text, thread: thread, minute: minute, owners: owners})
		}
		w.fold(w.store, rapid.IntRange(1, 9).Draw(rt, "batch"))
		straight := memkv.New()
		w.fold(straight, 1000)
		if w.hash(w.store) != w.hash(straight) {
			rt.Fatal("the batch size changed the store")
		}
		if len(w.letters) != 0 {
			rt.Fatalf("dead letters: %v", w.letters)
		}
		wanted := rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 3, rapid.ID).Draw(rt, "addresses")
		req := of(wanted...)
		req.PageSize = int32(rapid.IntRange(1, 6).Draw(rt, "page size"))
		expect(rt, "timeline", w.texts(req), m.texts(func(e entry) bool {
			return slices.ContainsFunc(e.owners, func(o string) bool { return slices.Contains(wanted, o) })
		})...)
		for _, thread := range []string{"t1", "t2"} {
			expect(rt, "thread", w.texts(w.thread(thread)), m.texts(func(e entry) bool { return e.thread == thread })...)
		}
	})
}

func TestPagesAreThoseOfTheMomentOfTheFirst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		next := 0
		publish := func(label string) {
			for range rapid.IntRange(0, 8).Draw(rt, label) {
				next++
				var owners []string // some wait for their customer, who is known later
				if rapid.Bool().Draw(rt, "names a customer") {
					owners = []string{"a@b.c"}
				}
				w.publish(message(rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(rt, "thread"), fmt.Sprint(next), fmt.Sprint(next),
					rapid.IntRange(0, 9).Draw(rt, "minute"), owners...))
			}
			w.fold(w.store, 5)
		}
		publish("before")
		req := of("a@b.c")
		if rapid.Bool().Draw(rt, "newest first") {
			req.Order = timelinev1.Order_ORDER_NEWEST_FIRST
		}
		if rapid.Bool().Draw(rt, "a thread too") {
			req.ThreadIds = w.thread("t1").GetThreadIds()
		}
		want := w.texts(req)
		req.PageSize = int32(rapid.IntRange(1, 3).Draw(rt, "page size"))
		got := []string{}
		for {
			resp := w.page(req)
			got = append(got, said(resp)...)
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
			publish("between pages")
		}
		expect(rt, "pages", got, want...)
	})
}

func TestMinPositionWaitsUntilItIsApplied(t *testing.T) {
	w := newWorld(t)
	at := w.append(w.record(message("t", "1", "written", 1, "a@b.c")))
	req := of("a@b.c")
	req.MinPositions = []*eventv1.Position{at}
	ctx, cancel := context.WithCancel(caller())
	cancel()
	if _, err := w.server.List(ctx, req); err == nil {
		t.Fatal("answered before it was applied")
	}
	answered := make(chan []string)
	go func() { answered <- w.texts(req) }()
	w.fold(w.store, 10)
	expect(t, "read what was written", <-answered, "written")
}

func TestContentThatNobodyCanReadIsLeftOutAndSpoilsNoAnswer(t *testing.T) {
	w := newWorld(t)
	for i, content := range []string{"\xff\xff", "\x12\x01\xff", "", "sealed"} { // broken, text that is no UTF-8, none, ciphertext
		e := w.record(message("t", fmt.Sprint(i), "x", i, "a@b.c"))
		e.Content = []byte(content)
		if content == "sealed" {
			e.Seal = "key-7"
		}
		w.append(e)
	}
	w.publish(message("t", "9", "fine", 9, "a@b.c"))
	w.fold(w.store, 10)
	entries := w.page(of("a@b.c")).GetEntries()
	if len(entries) != 5 {
		t.Fatalf("%d entries", len(entries))
	}
	for i, readable := range []bool{false, false, true, false, true} {
		e := entries[i]
		if got := e.GetContent() != nil; got != readable || e.GetEvent().GetThreadId() == "" || len(e.GetEvent().GetContent()) != 0 {
			t.Errorf("entry %d: content %v, event %v", i, e.GetContent(), e.GetEvent())
		}
	}
}
