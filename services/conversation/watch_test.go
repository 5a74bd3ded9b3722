package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

// patience is how long a watch may say nothing.
const patience = time.Minute

// stream is the caller's end of a watch.
type stream struct {
	grpc.ServerStream
	ctx      context.Context
	messages chan *conversationv1.WatchResponse
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(m *conversationv1.WatchResponse) error {
	select {
	case s.messages <- proto.CloneOf(m):
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// client watches, keeps what it is told, and can be cut off and go on.
type client struct {
	w      *world
	req    *conversationv1.WatchRequest
	cut    context.CancelFunc
	stream *stream
	ended  chan struct{}
	err    error                           // why it has ended
	shows  map[string]*conversationv1.Work // what matches, as far as it was told
	told   int                             // messages that tell something
	once   map[string]*conversationv1.Work // told in this connection
	last   *conversationv1.Conversation
}

func (w *world) watching(req *conversationv1.WatchRequest) *client {
	c := &client{w: w, req: proto.CloneOf(req), shows: map[string]*conversationv1.Work{}}
	c.connect()
	return c
}

func (c *client) connect() {
	ctx, cancel := context.WithCancel(caller())
	c.cut, c.ended, c.once = cancel, make(chan struct{}), map[string]*conversationv1.Work{}
	c.stream = &stream{ctx: ctx, messages: make(chan *conversationv1.WatchResponse)}
	go func(s *stream, req *conversationv1.WatchRequest, ended chan struct{}) {
		c.err = c.w.server.Watch(req, s)
		close(ended)
	}(c.stream, proto.CloneOf(c.req), c.ended)
}

func (c *client) disconnect() error {
	c.cut()
	return c.end()
}

// end waits for it.
func (c *client) end() error {
	<-c.ended
	return c.err
}

// take receives one message; false means that the watch has ended.
func (c *client) take() (*conversationv1.WatchResponse, bool) {
	c.w.t.Helper()
	select {
	case m := <-c.stream.messages:
		c.req.Cursor = m.GetCursor()
		c.note(m)
		return m, true
	case <-c.ended:
		return nil, false
	case <-time.After(patience):
		c.w.t.Fatalf("the watch says nothing; it shows %v", c.shows)
		return nil, false
	}
}

func (c *client) note(m *conversationv1.WatchResponse) {
	c.w.t.Helper()
	if m.GetNews() != nil {
		c.told++
	}
	switch news := m.GetNews().(type) {
	case *conversationv1.WatchResponse_Work:
		id := news.Work.GetInteraction().GetId()
		bare := proto.CloneOf(news.Work)
		bare.Interaction.Position = nil
		if proto.Equal(c.once[id], bare) {
			c.w.t.Errorf("told twice: %v", news.Work)
		}
		c.shows[id], c.once[id] = news.Work, bare
	case *conversationv1.WatchResponse_Gone:
		delete(c.shows, news.Gone)
		c.once[news.Gone] = nil
	case *conversationv1.WatchResponse_Conversation:
		c.last = news.Conversation
	}
}

// takeUntil receives until something is so.
func (c *client) takeUntil(is func() bool) {
	c.w.t.Helper()
	for !is() {
		if _, ok := c.take(); !ok {
			c.w.t.Fatalf("the watch ended: %v", c.err)
		}
	}
}

// settle receives what there is by now: up to a checkpoint behind it.
func (c *client) showsAll(want map[string]string) bool {
	got := map[string]string{}
	for id, work := range c.shows {
		got[id] = shape(work)
	}
	return fmt.Sprint(got) == fmt.Sprint(want)
}

// shape is what matters of work in these tests.
func shape(work *conversationv1.Work) string {
	i := work.GetInteraction()
	return fmt.Sprint(work.GetConversationId(), i.GetStatus(), i.GetMessagesIn(), i.GetQueue(), i.GetTags())
}

// matching is what a list gives.
func (w *world) matching(f *conversationv1.Filter) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, work := range w.listed(w.t, &conversationv1.ListRequest{Filter: f, PageSize: 500}) {
		all[work.GetInteraction().GetId()] = shape(work)
	}
	return all
}

func (w *world) foldAndFollow() {
	w.t.Helper()
	w.fold(5)
	if err := w.conversations.Follow(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// The list, and a watch from its cursor or from nothing, through any disconnects: what the caller shows in the end is what matches.
func TestAWatchShowsWhatMatchesThroughAnyChangesAndDisconnects(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, memory())
		m := &model{w: w}
		n := 0
		happen := func() {
			for range rapid.IntRange(1, 4).Draw(rt, "events") {
				n++
				thread := rapid.SampledFrom(threads).Draw(rt, "in")
				name := fmt.Sprint("n", n)
				switch rapid.IntRange(0, 5).Draw(rt, "what") {
				case 0, 1:
					w.publish(message(thread, name, 20+n, ""))
				case 2:
					w.publish(resolved(thread, name, 20+n))
				case 3:
					s := submission(thread, name, event.TypeQueueEntered, 20+n)
					s.Queue, s.Content = fmt.Sprint("q", n%2), &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}}
					w.publish(s)
				case 4: // out of order: another interaction begins, or another event opens one
					w.publish(message(thread, name, rapid.IntRange(1, 20+n).Draw(rt, "late"), ""))
				default:
					m.step(rt)
				}
			}
			w.foldAndFollow()
		}
		happen()
		f := rapid.SampledFrom([]*conversationv1.Filter{
			nil, {Queues: []string{"q1"}}, {Statuses: []conversationv1.WorkStatus{conversationv1.WorkStatus_WORK_STATUS_RESOLVED}},
		}).Draw(rt, "filter")
		req := &conversationv1.WatchRequest{Filter: f}
		listed := map[string]*conversationv1.Work{}
		if rapid.Bool().Draw(rt, "from a list") {
			resp, err := w.server.List(caller(), &conversationv1.ListRequest{Filter: f})
			if err != nil {
				rt.Fatal(err)
			}
			req.Cursor = resp.GetWatchCursor()
			for _, work := range resp.GetWork() {
				listed[work.GetInteraction().GetId()] = work
			}
			happen()
		}
		c := w.watching(req)
		defer func() { _ = c.disconnect() }() // it was asked to end
		c.shows = listed
		for range rapid.IntRange(1, 6).Draw(rt, "turns") {
			want := w.matching(f)
			if rapid.Bool().Draw(rt, "wait") {
				rt.Logf("%v wanted", want)
				c.takeUntil(func() bool { return c.showsAll(want) })
			}
			if rapid.Bool().Draw(rt, "cut off") {
				_ = c.disconnect() // whatever it says
				if c.req.GetCursor() == "" {
					c.shows = map[string]*conversationv1.Work{} // it begins anew
				}
				happen()
				c.connect()
			} else {
				happen()
			}
		}
		want := w.matching(f)
		rt.Logf("%v wanted", want)
		c.takeUntil(func() bool { return c.showsAll(want) })
	})
}

func TestASlowWatchGetsWhatItMissed(t *testing.T) {
	w := newWorld(t, memory())
	c := w.watching(&conversationv1.WatchRequest{})
	c.take() // the checkpoint: it waits now, and takes nothing
	for n := range 400 {
		w.publish(message(fmt.Sprint("t", n%5), fmt.Sprint(n), n, ""))
		w.foldAndFollow()
	}
	want := w.matching(nil)
	c.takeUntil(func() bool { return c.showsAll(want) })
	if err := c.disconnect(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAWatchHoldsNothingWhileItsCallerTakesNothing(t *testing.T) {
	store := &kvtest.Counted{Store: memory()}
	w := newWorld(t, store)
	var c *client
	for _, turn := range []string{"from the beginning", "behind a cursor"} {
		for n := range 5 {
			w.publish(message(fmt.Sprint("t", n), turn, n, ""))
		}
		w.foldAndFollow()
		if c == nil {
			c = w.watching(&conversationv1.WatchRequest{})
		} else {
			c.connect()
		}
		c.take() // the next one is on its way
		store.AwaitNone(t)
		want := w.matching(nil)
		c.takeUntil(func() bool { return c.showsAll(want) && c.req.GetCursor() != "" })
		_ = c.disconnect() // it was asked to end
	}
}

func TestAConversationIsWatched(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	a, b := begun(t, w, "a"), begun(t, w, "b")
	first, second := a, b // both began at once
	if b < a {
		first, second = b, a
	}
	c := w.watching(&conversationv1.WatchRequest{ConversationId: second})
	c.takeUntil(func() bool { return c.last != nil })
	expect(t, "interactions", idsOf(c.last), []string{second})

	link, err := w.server.Link(caller(), &conversationv1.LinkRequest{Members: []string{first, second}, RequestId: "1"})
	if err != nil {
		t.Fatal(err)
	}
	c.takeUntil(func() bool { return len(idsOf(c.last)) == 2 })
	if _, err := w.server.Note(caller(), &conversationv1.NoteRequest{Command: command(first, "2"), Text: "x"}); err != nil {
		t.Fatal(err)
	}
	c.takeUntil(func() bool { return c.last.GetInteractions()[0].GetNotes() == 1 })
	_ = c.disconnect() // it was asked to end

	told := c.told
	if _, err := w.server.Unlink(caller(), &conversationv1.UnlinkRequest{EventId: link.GetEventId(), RequestId: "3"}); err != nil {
		t.Fatal(err)
	}
	c.connect()
	c.takeUntil(func() bool { return len(idsOf(c.last)) == 1 })
	expect(t, "told since", c.told-told, 1)
	_ = c.disconnect() // it was asked to end

	told = c.told
	c.connect() // nothing has changed
	if _, err := w.server.Note(caller(), &conversationv1.NoteRequest{Command: command(second, "4"), Text: "x"}); err != nil {
		t.Fatal(err)
	}
	c.takeUntil(func() bool { return c.last.GetInteractions()[0].GetNotes() == 1 })
	expect(t, "told since", c.told-told, 1)
	_ = c.disconnect() // it was asked to end
}

func TestARebuildResetsWatches(t *testing.T) {
	w := newWorld(t, memory())
	w.live(t)
	a := begun(t, w, "a")
	for n := range w.managers {
		work, one := w.watching(&conversationv1.WatchRequest{}), w.watching(&conversationv1.WatchRequest{ConversationId: a})
		work.takeUntil(func() bool { return len(work.shows) == 1 && work.req.GetCursor() != "" })
		one.takeUntil(func() bool { return one.last != nil })
		if err := w.managers[n].Rebuild(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*client{work, one} {
			for {
				m, ok := c.take()
				if !ok {
					t.Fatal("the watch ended without a reset")
				}
				if m.GetReset_() {
					break
				}
			}
			if err := c.end(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestACursorThatNothingCanGoOnFromIsRefused(t *testing.T) {
	w := newWorld(t, memory())
	w.work(t, 5)
	w.fold(100)
	resp, err := w.server.List(caller(), &conversationv1.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ahead := newWorld(t, memory()) // which holds less
	for name, c := range map[string]struct {
		w    *world
		req  *conversationv1.WatchRequest
		want error
	}{
		"seen more than there is": {ahead, &conversationv1.WatchRequest{Cursor: resp.GetWatchCursor()}, conversation.ErrExpiredCursor},
		"of another filter": {w, &conversationv1.WatchRequest{
			Filter: &conversationv1.Filter{Unassigned: true}, Cursor: resp.GetWatchCursor(),
		}, conversation.ErrForeignCursor},
		"no cursor":    {w, &conversationv1.WatchRequest{Cursor: "x"}, nil},
		"two subjects": {w, &conversationv1.WatchRequest{ConversationId: hashed("x").String(), Filter: &conversationv1.Filter{}}, nil},
		"unknown":      {w, &conversationv1.WatchRequest{ConversationId: hashed("x").String()}, nil},
	} {
		err := c.w.server.Watch(c.req, &stream{ctx: caller(), messages: make(chan *conversationv1.WatchResponse)})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
}

func TestWatchesEndWhenTheProcessDoesAndLeaveNothingBehind(t *testing.T) {
	w := newWorld(t, memory())
	w.work(t, 5)
	w.fold(100)
	id := w.messageID("t1", "1").String()
	c := w.watching(&conversationv1.WatchRequest{ConversationId: id})
	c.takeUntil(func() bool { return c.last != nil })
	work := w.watching(&conversationv1.WatchRequest{})
	work.takeUntil(func() bool { return work.req.GetCursor() != "" })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.conversations.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{c, work} {
		if err := c.end(); !errors.Is(err, conversation.ErrStopping) {
			t.Error(err)
		}
	}
	expect(t, "who wait", w.conversations.Awaited(), 0)
}

func FuzzCursorsAndTokens(f *testing.F) {
	w := newWorld(f, memory())
	w.work(f, 5)
	w.fold(100)
	resp, err := w.server.List(caller(), &conversationv1.ListRequest{PageSize: 1})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "x", resp.GetWatchCursor(), resp.GetNextPageToken(), "1.2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if again, ok := conversation.CursorAgain(text); ok && again != text {
			t.Errorf("the cursor %q is read as %q", text, again)
		}
		if again, ok := conversation.TokenAgain(text); ok && again != text {
			t.Errorf("the page token %q is read as %q", text, again)
		}
	})
}

func FuzzRowsOfLinks(f *testing.F) {
	f.Add([]byte{})
	f.Add(slices.Repeat([]byte{1}, 60))
	f.Fuzz(func(_ *testing.T, row []byte) { conversation.ReadRows(row) })
}
