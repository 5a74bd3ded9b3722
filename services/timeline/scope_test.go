package timeline_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/timeline"
)

// book is a world with links, and notes in the plainest way what is filed.
type book struct {
	*world
	links   *links
	openers map[string]event.ID
	told    []*told
	filings []filing
}

// told is an event.
type told struct {
	text     string
	thread   event.ID
	occurred int64
	received time.Time
	at       *eventv1.Position
	owners   []event.ID // under whom it is filed; none while it waits
}

// filing is that an event became visible.
type filing struct {
	partition  int32
	offset, n  int64
	event      *told
	endpoints  []event.ID
	afterwards bool // it stood in its thread before
}

func newBook(t rapid.TB) *book {
	t.Helper()
	b := &book{world: newWorld(t), links: newLinks(), openers: map[string]event.ID{}}
	b.serveLinks()
	return b
}

func (b *book) serveLinks() {
	b.serve()
	b.server = timeline.NewServer(b.store, b.keyring, nil, b.hub, timeline.Links{Customers: b.links, Conversations: b.links})
}

func (b *book) endpoint(address string) event.ID {
	return b.keyring.Tenant(tenant).Endpoint(event.Endpoint{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address})
}

func (b *book) threadID(native string) event.ID {
	return b.keyring.Tenant(tenant).Thread("web", native)
}

// say publishes a message of a thread, and notes it.
func (b *book) say(thread string, minute int, owners ...string) {
	b.t.Helper()
	text := fmt.Sprint(len(b.told))
	e := b.record(message(thread, text, text, minute, owners...))
	t := &told{
		text: text, thread: b.threadID(thread), occurred: e.GetOccurredAt().AsTime().UnixNano(), received: e.GetReceivedAt().AsTime(),
		at: b.append(e),
	}
	for _, o := range owners {
		t.owners = append(t.owners, b.endpoint(o))
	}
	opener, opened := b.openers[thread]
	var waited []*told
	switch {
	case len(owners) == 0 && opened:
		t.owners = []event.ID{opener}
	case len(owners) > 0 && !opened:
		b.openers[thread] = t.owners[0]
		for _, other := range b.told {
			if other.thread == t.thread {
				waited = append(waited, other)
			}
		}
	}
	b.told = append(b.told, t)
	file := func(of *told, n int) {
		b.filings = append(b.filings, filing{t.at.GetPartition(), t.at.GetOffset(), int64(n), of, of.owners, n > 0})
	}
	file(t, 0)
	slices.SortFunc(waited, inTime)
	for i, other := range waited {
		other.owners = t.owners[:1]
		file(other, 1+i)
	}
}

func inTime(a, b *told) int {
	return cmp.Or(cmp.Compare(a.occurred, b.occurred), a.received.Compare(b.received))
}

// listed are the texts of what belongs to a scope and was received by a moment, in order of time.
func (b *book) listed(s scope.Scope, keep func(*told) bool) []string {
	var kept []*told
	for _, t := range b.told {
		owned := slices.ContainsFunc(t.owners, func(e event.ID) bool {
			return covers(s.Endpoints, e, t.occurred) && !excepted(s, t.thread, e, t.occurred)
		})
		if (owned || covers(s.Threads, t.thread, t.occurred)) && keep(t) {
			kept = append(kept, t)
		}
	}
	slices.SortFunc(kept, inTime)
	texts := []string{}
	for _, t := range kept {
		texts = append(texts, t.text)
	}
	return texts
}

// news tells whether a filing is one for who watches a scope.
func (f filing) news(s scope.Scope) bool {
	if covers(s.Threads, f.event.thread, f.event.occurred) {
		return !f.afterwards
	}
	return slices.ContainsFunc(f.endpoints, func(e event.ID) bool {
		return covers(s.Endpoints, e, f.event.occurred) && !excepted(s, f.event.thread, e, f.event.occurred)
	})
}

// at is a minute of the day on which everything happens.
func at(minute int) int64 { return epoch.Add(time.Duration(minute) * time.Minute).UnixNano() }

func between(from, until int) scope.Range { return scope.Range{From: at(from), Until: at(until)} }

var (
	people  = []string{"a@x.org", "b@x.org", "c@x.org"}
	natives = []string{"t1", "t2", "t3", "t4"}
	anna    = event.ID{0x81, 1}
	li      = event.ID{0x81, 2}
)

func customer(id event.ID) *timelinev1.ListRequest {
	return &timelinev1.ListRequest{Order: timelinev1.Order_ORDER_OLDEST_FIRST, CustomerId: id.String()}
}

// spans draws some, of which those of one id do not overlap.
func spans(rt *rapid.T, what string, ids []event.ID) (drawn []scope.Span) {
	for _, id := range ids {
		cuts := rapid.SliceOfNDistinct(rapid.IntRange(0, 10), 4, 4, rapid.ID).Draw(rt, what)
		slices.Sort(cuts)
		switch rapid.IntRange(0, 4).Draw(rt, "how "+what) {
		case 0:
			drawn = append(drawn, scope.Span{ID: id, Range: scope.Ever})
		case 1:
			drawn = append(drawn, scope.Span{ID: id, Range: between(cuts[0], cuts[2])})
		case 2: // they may touch
			drawn = append(drawn, scope.Span{ID: id, Range: between(cuts[2], cuts[3])}, scope.Span{ID: id, Range: between(cuts[0], cuts[1+cuts[0]%2])})
		default:
		}
	}
	return drawn
}

func (b *book) scope(rt *rapid.T, id event.ID) scope.Scope {
	s := scope.Scope{ID: id}
	var endpoints, threads []event.ID
	for _, p := range people {
		endpoints = append(endpoints, b.endpoint(p))
	}
	for _, t := range natives {
		threads = append(threads, b.threadID(t))
	}
	s.Endpoints = spans(rt, "endpoint", endpoints)
	if rapid.Bool().Draw(rt, "threads too") {
		s.Threads = spans(rt, "thread", threads)
	}
	for range rapid.IntRange(0, 2).Draw(rt, "exceptions") {
		from := rapid.IntRange(0, 9).Draw(rt, "exception")
		s.Without = append(s.Without, scope.Exception{
			Thread: rapid.SampledFrom(threads).Draw(rt, "of thread"), Range: between(from, from+rapid.IntRange(1, 9).Draw(rt, "minutes")),
			Endpoint: rapid.SampledFrom(append([]event.ID{{}}, endpoints...)).Draw(rt, "under"),
		})
	}
	return s
}

// link changes what belongs to some of the customers. Sometimes one goes under the other.
func (b *book) link(rt *rapid.T) {
	b.clock = b.clock.Add(time.Second)
	changes := map[event.ID]scope.Scope{}
	which := rapid.IntRange(0, 3).Draw(rt, "changed")
	if which != 1 {
		changes[anna] = b.scope(rt, anna)
	}
	if which != 0 {
		changes[li] = b.scope(rt, li)
	}
	if which == 3 {
		changes[anna] = changes[li] // merged
	}
	b.links.set(b.clock, changes)
}

func (b *book) talk(rt *rapid.T, most int) {
	for range rapid.IntRange(0, most).Draw(rt, "events") {
		owners := rapid.SliceOfNDistinct(rapid.SampledFrom(people), 0, 2, rapid.ID).Draw(rt, "customers")
		b.say(rapid.SampledFrom(natives).Draw(rt, "thread"), rapid.IntRange(0, 9).Draw(rt, "minute"), owners...)
	}
	b.foldAndFollow()
}

func TestACustomersPagesAreWhatBelongedToItWhenTheFirstWasRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook(rt)
		b.link(rt)
		b.links.set(b.clock, map[event.ID]scope.Scope{anna: b.scope(rt, anna), li: b.scope(rt, li)})
		for range rapid.IntRange(1, 3).Draw(rt, "turns") {
			b.talk(rt, 12)
			b.link(rt)
		}
		req := customer(rapid.SampledFrom([]event.ID{anna, li}).Draw(rt, "customer"))
		id, _ := event.ParseID(req.GetCustomerId())
		want := b.links.of(id, "")
		asOf := b.clock
		if len(b.told) > 0 && rapid.Bool().Draw(rt, "as of") {
			asOf = rapid.SampledFrom(b.told).Draw(rt, "moment").received
			req.AsOf = timestamppb.New(asOf)
			if _, err := b.links.Scope(context.Background(), tenant, id, scope.At{Time: asOf}); err != nil {
				return
			}
			want, _ = b.links.Scope(context.Background(), tenant, id, scope.At{Time: asOf})
		}
		period := scope.Ever
		if rapid.Bool().Draw(rt, "a part of the day") {
			from := rapid.IntRange(0, 8).Draw(rt, "from")
			period = between(from, from+rapid.IntRange(1, 8).Draw(rt, "long"))
			req.From, req.Until = timestamppb.New(time.Unix(0, period.From)), timestamppb.New(time.Unix(0, period.Until))
		}
		texts := b.listed(want, func(t *told) bool { return !t.received.After(asOf) && period.Contains(t.occurred) })
		if rapid.Bool().Draw(rt, "newest first") {
			req.Order = timelinev1.Order_ORDER_NEWEST_FIRST
			slices.Reverse(texts)
		}
		req.PageSize = int32(rapid.IntRange(1, 5).Draw(rt, "page size"))
		got := []string{}
		for {
			resp := b.page(req)
			got = append(got, said(resp)...)
			if (resp.GetWatchCursor() == "") != (req.GetAsOf() != nil) {
				rt.Error("a list has a cursor for a watch, but where it is of a past moment")
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
			b.talk(rt, 5)
			b.link(rt)
		}
		expect(rt, "pages", got, texts...)
	})
}

func TestAsOfShowsOfAddressesWhatHadBeenReceivedByThen(t *testing.T) {
	b := newBook(t)
	b.say("t1", 3, people[0])
	seen := b.clock
	b.say("t1", 1, people[0])
	b.foldAndFollow()
	req := of(people[0])
	expect(t, "now", b.texts(req), "1", "0")
	req.AsOf = timestamppb.New(seen)
	expect(t, "then", b.texts(req), "0")
	req = b.thread("t1")
	req.AsOf = timestamppb.New(seen.Add(-1))
	expect(t, "before", b.texts(req))
}

// audit follows what a watch of a scope tells, and knows at every message whether it is what had to come.
type audit struct {
	*client
	b       *book
	id      event.ID
	next    map[int32][2]int64
	follows scope.Scope
}

func (b *book) audit(id event.ID, cursor string) *audit {
	b.t.Helper()
	req := watchOf(customer(id))
	req.CustomerId, req.Cursor = id.String(), cursor
	next, version, err := timeline.Stands(cursor)
	if err != nil {
		b.t.Fatal(err)
	}
	return &audit{client: b.watching(req), b: b, id: id, next: next, follows: b.links.of(id, version)}
}

// due are the filings of a partition that have to come, in their order.
func (a *audit) due(partition int32) (texts []string) {
	for _, f := range a.b.filings {
		if f.partition == partition && !before([2]int64{f.offset, f.n}, a.next[partition]) && f.news(a.follows) {
			texts = append(texts, f.event.text)
		}
	}
	return texts
}

func before(a, b [2]int64) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// same tells whether two scopes hold the same of everything.
func (b *book) same(s, o scope.Scope) bool {
	if s.ID != o.ID {
		return false
	}
	for minute := -1; minute < 12; minute++ {
		for _, native := range natives {
			thread := b.threadID(native)
			if covers(s.Threads, thread, at(minute)) != covers(o.Threads, thread, at(minute)) {
				return false
			}
			for _, p := range people {
				holds := func(s scope.Scope) bool {
					return covers(s.Endpoints, b.endpoint(p), at(minute)) && !excepted(s, thread, b.endpoint(p), at(minute))
				}
				if holds(s) != holds(o) {
					return false
				}
			}
		}
	}
	return true
}

// done tells whether everything was told.
func (a *audit) done() bool {
	for p := range int32(partitions) {
		if len(a.due(p)) > 0 {
			return false
		}
	}
	return a.b.same(a.follows, a.b.links.of(a.id, ""))
}

// hear takes one message.
func (a *audit) hear() {
	t := a.b.t
	t.Helper()
	m, ok := a.take()
	if !ok {
		t.Fatalf("the watch ended: %v", <-a.ended)
	}
	next, version, err := timeline.Stands(m.GetCursor())
	if err != nil {
		t.Fatal(err)
	}
	now := a.b.links.of(a.id, version)
	if c := m.GetScopeChanged(); c != nil {
		a.changed(c, now)
	} else if !a.b.same(now, a.follows) {
		t.Fatal("something else belongs to the customer, and nobody said so")
	}
	moved := map[int32][]string{}
	for p := range int32(partitions) {
		moved[p] = a.due(p)
	}
	a.next = next
	var passed []string
	for p := range int32(partitions) {
		passed = append(passed, moved[p][:len(moved[p])-len(a.due(p))]...)
	}
	if e := m.GetEntry(); e != nil {
		expect(t, "told", passed, e.GetContent().GetMessageReceived().GetText())
	} else {
		expect(t, "passed over", passed)
	}
	a.follows = now
}

// changed compares what is said of a change with what has changed.
func (a *audit) changed(c *timelinev1.ScopeChanged, now scope.Scope) {
	t := a.b.t
	t.Helper()
	if c.GetId() != now.ID.String() {
		t.Errorf("it goes under %s, not %s", now.ID, c.GetId())
	}
	var added, removed []string
	for _, p := range people {
		grew, shrank := false, false
		for minute := -1; minute < 12; minute++ {
			was, is := covers(a.follows.Endpoints, a.b.endpoint(p), at(minute)), covers(now.Endpoints, a.b.endpoint(p), at(minute))
			grew, shrank = grew || is && !was, shrank || was && !is
		}
		if grew {
			added = append(added, a.b.endpoint(p).String())
		}
		if shrank {
			removed = append(removed, a.b.endpoint(p).String())
		}
	}
	slices.Sort(added)
	slices.Sort(removed)
	expect(t, "endpoints added", c.GetEndpointsAdded(), added...)
	expect(t, "endpoints removed", c.GetEndpointsRemoved(), removed...)
}

// finish hears everything that has to come.
func (a *audit) finish() {
	a.b.t.Helper()
	for !a.done() {
		a.hear()
	}
	_ = a.disconnect() // it was asked to end
}

func TestWatchesOverChangingScopesTellExactlyWhatIsFiledUnderWhatBelongs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook(rt)
		b.links.set(b.clock, map[event.ID]scope.Scope{anna: b.scope(rt, anna), li: b.scope(rt, li)})
		b.talk(rt, 8)
		var audits []*audit
		for _, id := range []event.ID{anna, li} {
			audits = append(audits, b.audit(id, b.page(customer(id)).GetWatchCursor()))
		}
		for range rapid.IntRange(1, 6).Draw(rt, "turns") {
			switch rapid.IntRange(0, 2).Draw(rt, "what happens") {
			case 0:
				b.link(rt)
			case 1:
				b.talk(rt, 8)
			default:
				b.link(rt)
				b.talk(rt, 8)
			}
			for _, a := range audits {
				for range rapid.IntRange(0, 6).Draw(rt, "heard") {
					if a.done() {
						break
					}
					a.hear()
				}
				if rapid.IntRange(0, 3).Draw(rt, "cut off at 0") == 0 {
					_ = a.disconnect() // whatever it says
					if rapid.Bool().Draw(rt, "something happens meanwhile") {
						b.link(rt)
						b.talk(rt, 3)
					}
					a.connect()
				}
			}
		}
		for _, a := range audits {
			a.finish()
		}
		if n := b.links.waiters(); n != 0 {
			rt.Errorf("%d watches that ended wait for changes", n)
		}
	})
}

func TestAWatchSlowerThanItsQueueMissesNothingOfAnyScope(t *testing.T) {
	b := newBook(t)
	all := scope.Scope{ID: anna, Endpoints: []scope.Span{{ID: b.endpoint(people[0]), Range: scope.Ever}}}
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: all})
	a := b.audit(anna, b.page(customer(anna)).GetWatchCursor())
	for i := range 900 {
		b.say(natives[i%4], i%10, people[i%2])
		if i%300 == 0 {
			b.foldAndFollow()
		}
		if i == 400 {
			all.Endpoints = append(all.Endpoints, scope.Span{ID: b.endpoint(people[1]), Range: between(0, 5)})
			b.links.set(b.clock, map[event.ID]scope.Scope{anna: all})
		}
	}
	b.foldAndFollow()
	a.finish()
}

func TestAWatchGoesOnUnderTheIdThatACustomerIsMergedInto(t *testing.T) {
	b := newBook(t)
	own := func(id event.ID, people ...string) scope.Scope {
		s := scope.Scope{ID: id}
		for _, p := range people {
			s.Endpoints = append(s.Endpoints, scope.Span{ID: b.endpoint(p), Range: scope.Ever})
		}
		return s
	}
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: own(anna, people[0]), li: own(li, people[1])})
	c := b.watching(watchOf(customer(anna)))
	c.take() // the checkpoint
	both := own(li, people[:2]...)
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: both, li: both})
	m, _ := c.take()
	if got := m.GetScopeChanged(); got.GetId() != li.String() || !slices.Equal(got.GetEndpointsAdded(), []string{b.endpoint(people[1]).String()}) || len(got.GetEndpointsRemoved()) != 0 {
		t.Fatalf("got %v", m)
	}
	b.say("t1", 1, people[1])
	b.foldAndFollow()
	c.takeEntries(1)
	more := own(li, people...)
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: more, li: more})
	if m, _ := c.take(); !slices.Equal(m.GetScopeChanged().GetEndpointsAdded(), []string{b.endpoint(people[2]).String()}) {
		t.Fatalf("got %v", m)
	}
	_ = c.disconnect() // it was asked to end
}

func TestAThreadThatIsAttributedToAnotherCustomerIsToldAsLostAndGained(t *testing.T) {
	b := newBook(t)
	endpoint, thread := b.endpoint(people[0]), b.threadID("t1")
	whole := scope.Scope{ID: anna, Endpoints: []scope.Span{{ID: endpoint, Range: scope.Ever}}}
	without := whole
	without.Without = []scope.Exception{{Thread: thread, Endpoint: endpoint, Range: scope.Ever}}
	with := scope.Scope{ID: li, Threads: []scope.Span{{ID: thread, Range: scope.Ever}}}
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: whole, li: {ID: li}})
	loses, gains := b.watching(watchOf(customer(anna))), b.watching(watchOf(customer(li)))
	loses.take()
	gains.take()
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: without, li: with})
	m, _ := loses.take()
	expect(t, "lost", m.GetScopeChanged().GetThreadsRemoved(), thread.String())
	m, _ = gains.take()
	expect(t, "gained", m.GetScopeChanged().GetThreadsAdded(), thread.String())
	b.say("t1", 1, people[0])
	b.say("t2", 2, people[0])
	b.foldAndFollow()
	loses.takeEntries(1)
	gains.takeEntries(1)
	expect(t, "anna's", loses.got, "1")
	expect(t, "li's", gains.got, "0")
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: whole})
	m, _ = loses.take()
	expect(t, "regained", m.GetScopeChanged().GetThreadsAdded(), thread.String())
	_, _ = loses.disconnect(), gains.disconnect() // they were asked to end
}

func TestWatchesReadWhatBelongsOnlyWhereItMayHaveChanged(t *testing.T) {
	b := newBook(t)
	own := scope.Scope{ID: anna, Endpoints: []scope.Span{{ID: b.endpoint(people[0]), Range: scope.Ever}}}
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: own, li: {ID: li}})
	c := b.watching(watchOf(customer(anna)))
	c.take()
	before := b.links.read()
	for i := range 100 {
		b.say("t1", i%10, people[0])
		b.links.set(b.clock, map[event.ID]scope.Scope{li: {ID: li}}) // somebody else's
	}
	b.foldAndFollow()
	c.takeEntries(100)
	if n := b.links.read() - before; n != 0 {
		t.Errorf("it read %d times", n)
	}
	_ = c.disconnect() // it was asked to end
}

func TestAChangeThatChangesNothingIsNotTold(t *testing.T) {
	b := newBook(t)
	split := scope.Scope{ID: anna, Endpoints: []scope.Span{{ID: b.endpoint(people[0]), Range: between(0, 5)}, {ID: b.endpoint(people[0]), Range: between(5, 9)}}}
	joined := scope.Scope{ID: anna, Endpoints: []scope.Span{{ID: b.endpoint(people[0]), Range: between(0, 9)}}}
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: split})
	c := b.watching(watchOf(customer(anna)))
	c.take()
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: joined})
	b.say("t1", 1, people[0])
	b.foldAndFollow()
	if m, _ := c.take(); m.GetEntry() == nil {
		t.Errorf("got %v", m)
	}
	_ = c.disconnect() // it was asked to end
}

func TestWhatNoLongerHoldsIsRefusedWithWhatToDo(t *testing.T) {
	b := newBook(t)
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: {ID: anna, Endpoints: []scope.Span{{ID: b.endpoint(people[0]), Range: scope.Ever}}}, li: {ID: li}})
	b.say("t1", 1, people[0])
	b.say("t1", 2, people[0])
	b.foldAndFollow()
	first := customer(anna)
	first.PageSize = 1
	page := b.page(first)
	second := proto.CloneOf(first)
	second.PageToken = page.GetNextPageToken()
	expect(t, "second page", said(b.page(second)), "1")
	another := customer(li)
	another.PageToken = second.GetPageToken()
	refused := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := b.server.List(caller(), another)
	refused("another customer's token", err, "another query")
	conversation := &timelinev1.ListRequest{Order: first.GetOrder(), ConversationId: anna.String(), PageToken: second.GetPageToken()}
	_, err = b.server.List(caller(), conversation)
	refused("a conversation of the same id", err, "another query")
	_, err = b.server.List(caller(), customer(event.ID{9}))
	refused("an unknown customer", err, "there is no such customer")

	watch := watchOf(first)
	watch.CustomerId, watch.Cursor = anna.String(), page.GetWatchCursor()
	stale := func() error {
		return b.server.Watch(watch, &stream{t: t, ctx: caller(), messages: make(chan *timelinev1.WatchResponse, 10)})
	}
	b.links.set(b.clock, map[event.ID]scope.Scope{li: {ID: li}})
	b.links.rebuild()
	_, err = b.server.List(caller(), second)
	refused("a token from before a rebuild of the links", err, "built anew")
	refused("a cursor from before a rebuild of the links", stale(), "built anew")

	watch.Cursor = b.page(first).GetWatchCursor()
	rebuilt := &kv.Batch{} // what a rebuild of the timelines does at its end
	rebuilt.Set([]byte("timeline"), []byte{0, 0, 0, 2})
	if err := b.store.Apply(t.Context(), kv.Namespace{Slice: "serving"}, rebuilt); err != nil {
		t.Fatal(err)
	}
	c := b.watching(watch)
	if m, _ := c.take(); m.GetReset_() == nil {
		t.Errorf("a cursor from before a rebuild of the timelines: %v", m)
	}

	b.serve() // without links
	for _, req := range []*timelinev1.ListRequest{first, {ConversationId: anna.String()}} {
		_, err = b.server.List(caller(), req)
		refused("nobody knows links", err, "not served by this process")
	}
	watch.Cursor = ""
	refused("a watch where nobody knows links", stale(), "not served by this process")
}

func TestACustomerCanHaveAThousandEndpoints(t *testing.T) {
	b := newBook(t)
	s := scope.Scope{ID: anna}
	for i := range 1000 {
		s.Endpoints = append(s.Endpoints, scope.Span{ID: b.endpoint(fmt.Sprint(i, "@x.org")), Range: scope.Ever})
	}
	b.links.set(b.clock, map[event.ID]scope.Scope{anna: s})
	for i := range 50 {
		b.say(fmt.Sprint("t", i), i%10, fmt.Sprint(i*20, "@x.org"))
	}
	b.foldAndFollow()
	req := customer(anna)
	req.PageSize = 20
	expect(t, "everything", b.texts(req), b.listed(s, func(*told) bool { return true })...)
}

// joins are threads that were joined.
type joins map[event.ID][]event.ID

func (j joins) Children(_ context.Context, _ string, thread event.ID) ([]event.ID, error) {
	if thread.IsZero() {
		return nil, errors.New("nothing is known of it")
	}
	return j[thread], nil
}

func TestAThreadThatWasJoinedIsReadUnderItsParent(t *testing.T) {
	b := newBook(t)
	b.server = timeline.NewServer(b.store, b.keyring, nil, b.hub, timeline.Links{Joins: joins{b.threadID("t1"): {b.threadID("t2"), b.threadID("t3")}}})
	b.say("t1", 2)
	b.say("t2", 1)
	b.say("t4", 1)
	b.foldAndFollow()
	expect(t, "parent", b.texts(b.thread("t1")), "1", "0")
	expect(t, "child", b.texts(b.thread("t2")), "1")
	c := b.watching(watchOf(b.thread("t1")))
	c.take()
	b.say("t3", 0)
	b.foldAndFollow()
	c.takeEntries(1)
	expect(t, "watched", c.got, "3")
	_ = c.disconnect() // it was asked to end
	nothing := b.thread("t1")
	nothing.ThreadIds = []string{event.ID{}.String()}
	if _, err := b.server.List(caller(), nothing); err == nil || !strings.Contains(err.Error(), "nothing is known") {
		t.Errorf("joins that cannot be read: %v", err)
	}
}
