package timeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/timeline"
)

// stream is the caller's end of a watch.
type stream struct {
	grpc.ServerStream
	t        rapid.TB
	ctx      context.Context
	messages chan *timelinev1.WatchResponse
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(m *timelinev1.WatchResponse) error {
	select {
	case s.messages <- received(s.t, m):
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// client watches, and can be cut off and go on.
type client struct {
	w      *world
	req    *timelinev1.WatchRequest
	cut    context.CancelFunc
	stream *stream
	ended  chan error
	got    []string
}

func (w *world) watching(req *timelinev1.WatchRequest) *client {
	c := &client{w: w, req: proto.CloneOf(req)}
	c.connect()
	return c
}

func (c *client) connect() {
	ctx, cancel := context.WithCancel(caller())
	c.cut, c.ended = cancel, make(chan error, 1)
	c.stream = &stream{t: c.w.t, ctx: ctx, messages: make(chan *timelinev1.WatchResponse)}
	go func(s *stream, req *timelinev1.WatchRequest) {
		c.ended <- c.w.server.Watch(req, s)
	}(c.stream, proto.CloneOf(c.req))
}

func (c *client) disconnect() error {
	c.cut()
	return <-c.ended
}

// take receives one message; false means that the watch has ended.
func (c *client) take() (*timelinev1.WatchResponse, bool) {
	c.w.t.Helper()
	select {
	case m := <-c.stream.messages:
		if m.GetCursor() != "" {
			c.req.Cursor = m.GetCursor()
		}
		if e := m.GetEntry(); e != nil {
			c.got = append(c.got, e.GetContent().GetMessageReceived().GetText())
		}
		return m, true
	case err := <-c.ended:
		c.ended <- err
		return nil, false
	case <-time.After(time.Minute):
		c.w.t.Fatal("the watch says nothing")
		return nil, false
	}
}

// takeEntries receives until it has so many entries in all.
func (c *client) takeEntries(n int) {
	c.w.t.Helper()
	for len(c.got) < n {
		if _, ok := c.take(); !ok {
			c.w.t.Fatalf("the watch ended with %q: %v", c.got, <-c.ended)
		}
	}
}

func watchOf(req *timelinev1.ListRequest) *timelinev1.WatchRequest {
	return &timelinev1.WatchRequest{
		Addresses: req.GetAddresses(), EndpointIds: req.GetEndpointIds(), ThreadIds: req.GetThreadIds(),
		Channels: req.GetChannels(), Types: req.GetTypes(), CustomerId: req.GetCustomerId(), ConversationId: req.GetConversationId(),
	}
}

func (w *world) foldAndFollow() {
	w.t.Helper()
	w.fold(w.store, 5)
	if err := w.hub.Follow(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func TestAWatchWithoutACursorBeginsNow(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t", "1", "before", 1, "a@b.c"))
	w.foldAndFollow()
	c := w.watching(watchOf(of("a@b.c")))
	if m, ok := c.take(); !ok || m.GetCursor() == "" || m.GetNews() != nil {
		t.Fatalf("the first message is no checkpoint: %v", m)
	}
	w.publish(message("t", "2", "after", 1, "a@b.c"), message("t", "3", "of somebody else", 1, "x@y.z"))
	w.foldAndFollow()
	c.takeEntries(1)
	expect(t, "watched", c.got, "after")
	if err := c.disconnect(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAListAndAWatchFromItsCursorGiveTheWholeLogThroughAnyDisconnects(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		next := 0
		publish := func() {
			for range rapid.IntRange(0, 6).Draw(rt, "events") {
				next++
				var owners []string // some wait for their customer
				switch rapid.IntRange(0, 3).Draw(rt, "names") {
				case 0, 1:
					owners = []string{"a@b.c"}
				case 2:
					owners = []string{"x@y.z", "a@b.c"}
				}
				w.publish(message(rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(rt, "thread"), fmt.Sprint(next), fmt.Sprint(next),
					rapid.IntRange(0, 9).Draw(rt, "minute"), owners...))
			}
			w.foldAndFollow()
		}
		publish()
		req := of("a@b.c")
		if rapid.Bool().Draw(rt, "a second address") {
			req.Addresses = append(req.Addresses, email("x@y.z").GetAddress())
		}
		if rapid.Bool().Draw(rt, "a thread too") {
			req.ThreadIds = w.thread("t1").GetThreadIds()
		}
		req.PageSize = int32(rapid.IntRange(1, 4).Draw(rt, "page size"))
		first := w.page(req)
		got := said(first)
		paging := proto.CloneOf(req)
		for paging.PageToken = first.GetNextPageToken(); paging.GetPageToken() != ""; {
			publish()
			page := w.page(paging)
			got = append(got, said(page)...)
			paging.PageToken = page.GetNextPageToken()
		}
		start := watchOf(req)
		start.Cursor = first.GetWatchCursor()
		c := w.watching(start)
		for range rapid.IntRange(1, 5).Draw(rt, "turns") {
			publish()
			have := len(got) + len(c.got)
			all := len(w.texts(req))
			c.takeEntries(len(c.got) + rapid.IntRange(0, all-have).Draw(rt, "taken"))
			if rapid.Bool().Draw(rt, "cut off") {
				_ = c.disconnect() // whatever it says
				c.connect()
			}
		}
		want := w.texts(req)
		c.takeEntries(len(want) - len(got))
		got = append(got, c.got...)
		_ = c.disconnect() // it was asked to end
		slices.Sort(got)
		slices.Sort(want)
		expect(rt, "listed and watched", got, want...)
	})
}

func TestASlowWatcherGetsAllThatItMissed(t *testing.T) {
	w := newWorld(t)
	c := w.watching(watchOf(of("a@b.c")))
	c.take() // the checkpoint: it waits now, and takes nothing
	const n = 1000
	for i := range n {
		w.publish(message("t", fmt.Sprint(i), fmt.Sprint(i), 1, "a@b.c"))
		if i%100 == 0 {
			w.foldAndFollow()
		}
	}
	w.foldAndFollow()
	c.takeEntries(n)
	for i, text := range c.got {
		if text != fmt.Sprint(i) {
			t.Fatalf("entry %d is %s", i, text)
		}
	}
	_ = c.disconnect() // it was asked to end
}

func TestAWatchThatGoesOnHoldsNothingWhileItsCallerTakesNothing(t *testing.T) {
	w := newWorld(t)
	store := &kvtest.Counted{Store: w.store}
	w.store = store
	w.serve()
	w.foldAndFollow()
	c := w.watching(watchOf(of("a@b.c")))
	c.take()
	_ = c.disconnect() // it was asked to end
	const n = 1000
	for i := range n {
		w.publish(message(fmt.Sprint("t", i%7), fmt.Sprint(i), fmt.Sprint(i), 1, "a@b.c"))
	}
	w.foldAndFollow()
	c.connect()
	for got := 1; got < n; got += 111 {
		c.takeEntries(got)
		store.AwaitNone(t)
	}
	_ = c.disconnect()
	c.connect()
	c.takeEntries(n)
	slices.Sort(c.got)
	if all := slices.Compact(c.got); len(all) != n {
		t.Errorf("%d entries came of %d", len(all), n)
	}
	_ = c.disconnect()
}

func TestAFilterLeavesOutOfTheWatchWhatItLeavesOutOfTheList(t *testing.T) {
	w := newWorld(t)
	req := watchOf(of("a@b.c"))
	req.Types = []string{"note.*"}
	c := w.watching(req)
	c.take()
	note := message("t", "2", "", 1, "a@b.c")
	note.Type, note.Content = "note.added", nil
	w.publish(message("t", "1", "chat", 1, "a@b.c"))
	e := w.record(message("t", "3", "note", 1, "a@b.c"))
	e.Type = "note.added"
	w.append(e)
	w.foldAndFollow()
	c.takeEntries(1)
	expect(t, "watched", c.got, "note")
	_ = c.disconnect() // it was asked to end
}

func TestCursorsThatCannotBeUsedAreRefusedWithWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t", "1", "x", 1, "a@b.c"))
	w.foldAndFollow()
	good := watchOf(of("a@b.c"))
	good.Cursor = w.page(of("a@b.c")).GetWatchCursor()
	other := watchOf(of("x@y.z"))
	other.Cursor = good.GetCursor()
	broken := proto.CloneOf(good)
	broken.Cursor = "%%%"
	empty := newWorld(t)
	for name, c := range map[string]struct {
		world *world
		ctx   context.Context
		req   *timelinev1.WatchRequest
		want  string
	}{
		"another query's":         {w, caller(), other, "something else"},
		"another tenant's":        {w, auth.With(context.Background(), auth.Identity{Tenant: "other"}), good, "something else"},
		"no cursor":               {w, caller(), broken, "not a cursor"},
		"of a store that is gone": {empty, caller(), good, "list again"},
	} {
		s := &stream{t: t, ctx: c.ctx, messages: make(chan *timelinev1.WatchResponse, 10)}
		if err := c.world.server.Watch(c.req, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARebuiltReadModelSendsReset(t *testing.T) {
	w := newWorld(t)
	w.publish(message("t", "1", "x", 1, "a@b.c"))
	w.foldAndFollow()
	c := w.watching(watchOf(of("a@b.c")))
	c.take()
	b := &kv.Batch{} // what a rebuild does at its end
	b.Set([]byte("timeline"), []byte{0, 0, 0, 2})
	if err := w.store.Apply(t.Context(), kv.Namespace{Slice: "serving"}, b); err != nil {
		t.Fatal(err)
	}
	if err := w.hub.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, ok := c.take(); !ok || m.GetReset_() == nil {
		t.Fatalf("got %v", m)
	}
	if err := <-c.ended; err != nil {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestWatchesEndWhenTheHubStops(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- w.hub.Run(ctx) }()
	c := w.watching(watchOf(of("a@b.c")))
	c.take()
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := <-c.ended; err == nil || !strings.Contains(err.Error(), "last cursor") {
		t.Errorf("got %v", err)
	}
}

func TestManyWatchersCostOneReadOfTheChanges(t *testing.T) {
	w := newWorld(t)
	counting := &countingStore{Store: memkv.New()}
	w.store = counting
	w.serve()
	clients := make([]*client, 50)
	for i := range clients {
		clients[i] = w.watching(watchOf(of("a@b.c")))
		clients[i].take()
	}
	w.publish(message("t", "1", "one", 1, "a@b.c"))
	w.foldAndFollow()
	for _, c := range clients {
		c.takeEntries(1) // it no longer reads for itself
	}
	w.publish(message("t", "2", "two", 1, "a@b.c"))
	w.fold(w.store, 5)
	before := counting.snapshots.Load()
	if err := w.hub.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := counting.snapshots.Load() - before; n > 2 {
		t.Errorf("one pass for 50 watchers took %d snapshots", n)
	}
	for _, c := range clients {
		c.takeEntries(2)
		_ = c.disconnect() // it was asked to end
	}
}

// countingStore counts snapshots: each read of the store takes one.
type countingStore struct {
	kv.Store
	snapshots atomic.Int64
}

func (s *countingStore) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	s.snapshots.Add(1)
	return s.Store.Snapshot(ctx, ns)
}

func TestAChannelFollowsAThreadFromItsBeginningAndFromACursor(t *testing.T) {
	w := newWorld(t)
	follower := timeline.NewFollower(w.hub, w.keyring)
	thread := channel.Thread{Tenant: tenant, Inbox: "web", Thread: "t"}
	follow := func(cursor string, n int, publish func()) (texts []string, last string) {
		t.Helper()
		enough := errors.New("enough")
		filed := make(chan channel.Filed)
		ended := make(chan error, 1)
		go func() {
			seen := 0
			ended <- follower.Follow(t.Context(), thread, cursor, func(f channel.Filed) error {
				if f.Event == nil {
					return nil
				}
				filed <- f
				if seen++; seen == n {
					return enough
				}
				return nil
			})
		}()
		for i := range n {
			if i == n-1 && publish != nil {
				publish()
			}
			f := <-filed
			texts, last = append(texts, f.Content.GetMessageReceived().GetText()), f.Cursor
		}
		if err := <-ended; !errors.Is(err, enough) {
			t.Fatal(err)
		}
		return texts, last
	}
	w.publish(message("t", "1", "one", 1), message("other", "1", "not here", 1), message("t", "2", "two", 2))
	w.foldAndFollow()
	texts, cursor := follow("", 3, func() {
		w.publish(message("t", "3", "three", 3))
		w.foldAndFollow()
	})
	expect(t, "from the beginning, then live", texts, "one", "two", "three")
	w.publish(message("t", "4", "four, told late", 0))
	w.foldAndFollow()
	texts, _ = follow(cursor, 1, nil)
	expect(t, "from the cursor", texts, "four, told late")
	_, end := follow("", 4, nil)
	if end == "" {
		t.Error("the last event of the history has no cursor")
	}
	for name, thread := range map[string]channel.Thread{"the end of a history": thread, "an empty one": {Tenant: tenant, Inbox: "web", Thread: "nothing"}} {
		enough := errors.New("enough")
		var mark channel.Filed
		err := follower.Follow(t.Context(), thread, "", func(f channel.Filed) error {
			if mark = f; f.Event == nil {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || mark.Cursor == "" {
			t.Errorf("%s is marked by %+v: %v", name, mark, err)
		}
	}
	for _, stale := range []string{"%%%", w.page(of("a@b.c")).GetWatchCursor()} {
		if err := follower.Follow(t.Context(), thread, stale, nil); !errors.Is(err, channel.ErrStaleCursor) {
			t.Errorf("cursor %q: %v", stale, err)
		}
	}
}
