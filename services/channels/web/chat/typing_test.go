package chat_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/live"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

// wire is the log that processes share for signals, and a hub for each that asks.
type wire struct {
	t       *testing.T
	store   *memlog.Store
	keyring *event.Keyring
}

func newWire(t *testing.T) wire {
	t.Helper()
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	if err != nil {
		t.Fatal(err)
	}
	w := wire{t, memlog.New(memlog.Config{}), keyring}
	for _, topic := range []eventlog.Topic{{Name: live.Topic, Partitions: live.Partitions}, {Name: event.TopicInteractions, Partitions: 1}} {
		if err := w.store.Open().EnsureTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// hub is that of a process.
func (w wire) hub() *live.Hub {
	w.t.Helper()
	hub, err := live.NewHub(live.Config{Log: w.store.Open()})
	if err == nil {
		err = hub.Open(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	return hub
}

// wired gives a site the hub of a process.
func (w wire) wired(hub *live.Hub) option {
	return func(cfg *chat.Config, _ *channel.Host) { cfg.Live = live.NewVisitors(hub, w.keyring) }
}

// thread is the id of a visitor's.
func (w wire) thread(tenant, inbox, thread string) event.ID {
	return w.keyring.Tenant(tenant).Thread(inbox, thread)
}

// signal is what an agent signals in a thread.
func (w wire) signal(in session, name string, change ...func(*livev1.Signal)) *livev1.Signal {
	s := &livev1.Signal{
		Tenant: "acme", ThreadId: w.thread("acme", "shop", in.Thread).String(), ActorKind: eventv1.ActorKind_ACTOR_KIND_AGENT, ActorId: name, Author: name,
		Activity: livev1.Activity_ACTIVITY_TYPING,
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// signals are those that the wire has carried.
func (w wire) signals() (all []*livev1.Signal) {
	w.t.Helper()
	log := w.store.Open()
	_, next, err := log.Bounds(w.t.Context(), live.Topic, 0)
	if err != nil || next == 0 {
		return nil
	}
	r, err := log.Open(w.t.Context(), live.Topic, 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	records, err := r.Read(w.t.Context(), int(next))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, record := range records {
		s := &livev1.Signal{}
		if err := proto.Unmarshal(record.Value, s); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// follows opens a WebSocket of a visitor who follows the thread.
func (s *site) follows(visitor session) client {
	s.t.Helper()
	c := s.dial(visitor.Token)
	c.resume("")
	c.next("ready")
	return c
}

// typing reads the next frame and wants it to tell who begins or ends to type.
func (c client) typing(by, kind string, on bool) {
	c.t.Helper()
	if f := c.next("typing"); f.By != by || f.Kind != kind || f.On != on {
		c.t.Fatalf("instead of %s, %s, %t: %+v", by, kind, on, f)
	}
}

// long lets nobody's typing end by itself.
var long = limits(func(l *chat.Limits) { l.Typing = time.Hour })

func TestAnAgentsSignalAtOneProcessReachesItsVisitorAtAnother(t *testing.T) {
	w := newWire(t)
	host := channeltest.NewHost()
	follower := channeltest.NewFollower(host)
	desk := w.hub() // an agent's
	a, b := startOn(t, host, follower, long, w.wired(w.hub())), startOn(t, host, follower, long, w.wired(w.hub()))
	visitor, other := a.session(""), b.session("")
	here, there, stranger := a.follows(visitor), b.follows(visitor), b.follows(other)

	desk.Publish(w.signal(visitor, "Mei"))
	here.typing("Mei", "agent", true)
	there.typing("Mei", "agent", true)
	desk.Publish(w.signal(visitor, "Kettle 3000", func(s *livev1.Signal) { s.ActorKind = eventv1.ActorKind_ACTOR_KIND_BOT }))
	there.typing("Kettle 3000", "bot", true)
	desk.Publish(w.signal(visitor, "Mei", func(s *livev1.Signal) { s.Activity = livev1.Activity_ACTIVITY_STOPPED }))
	there.typing("Mei", "agent", false)

	// Nothing of it came to another visitor, nor what is signalled under that visitor's thread for another tenant.
	desk.Publish(w.signal(other, "Eve", func(s *livev1.Signal) { s.Tenant = "other" }))
	desk.Publish(w.signal(other, "Jo"))
	stranger.typing("Jo", "agent", true)
}

func TestATypistEndsWithAMessageOrByTime(t *testing.T) {
	w := newWire(t)
	desk := w.hub()
	s := start(t, long, w.wired(w.hub()))
	visitor := s.session("")
	c := s.follows(visitor)
	desk.Publish(w.signal(visitor, "Mei"))
	c.typing("Mei", "agent", true)
	desk.Publish(w.signal(visitor, "Bo", func(s *livev1.Signal) { s.ActorKind = eventv1.ActorKind_ACTOR_KIND_BOT }))
	c.typing("Bo", "bot", true)
	s.publish(visitor.Thread, "a1", "It is.")
	c.next("event")
	c.typing("Mei", "agent", false) // and the bot goes on

	soon := start(t, limits(func(l *chat.Limits) { l.Typing = 20 * time.Millisecond }), w.wired(w.hub()))
	visitor = soon.session("")
	c = soon.follows(visitor)
	desk.Publish(w.signal(visitor, "Mei"))
	c.typing("Mei", "agent", true)
	c.typing("Mei", "agent", false)
}

func TestAVisitorIsToldOfNobodyButTheCompanyAndNotTwice(t *testing.T) {
	w := newWire(t)
	desk := w.hub()
	s := start(t, long, w.wired(w.hub()))
	visitor := s.session("")
	c := s.follows(visitor)
	c.send(`{"type":"typing"}`) // the visitor's own
	desk.Publish(w.signal(visitor, "", func(s *livev1.Signal) { s.ActorKind = eventv1.ActorKind_ACTOR_KIND_SYSTEM }))
	desk.Publish(w.signal(visitor, "Mei"))
	desk.Publish(w.signal(visitor, "Mei", func(s *livev1.Signal) { s.ActorId = "another of this name" }))
	desk.Publish(w.signal(visitor, "Jo"))
	c.typing("Mei", "agent", true)
	c.typing("Jo", "agent", true)
	unfollowed := s.dial(visitor.Token) // without resume it hears of nobody
	desk.Publish(w.signal(visitor, "Ada"))
	c.typing("Ada", "agent", true)
	unfollowed.send(`{"type":"ping"}`)
	unfollowed.next("pong")
}

func TestWhatAVisitorTypesIsSignalledButNoEventAndAFloodOfItLimited(t *testing.T) {
	w := newWire(t)
	desk := w.hub()
	follower, err := desk.Follow(live.Selection{Tenant: "acme", Inbox: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	s := start(t, unhurried, w.wired(w.hub()))
	visitor := s.session("")
	c := s.dial(visitor.Token)
	began := time.Now()
	for range 500 {
		c.send(`{"type":"typing"}`)
		c.send(`{"type":"typing","on":false}`)
	}
	c.send(`{"type":"ping"}`)
	c.next("pong")
	most := int(time.Since(began)/live.Every) + 1
	for _, want := range []livev1.Activity{livev1.Activity_ACTIVITY_TYPING, livev1.Activity_ACTIVITY_STOPPED} {
		got := <-follower.Signals()
		if got.GetActivity() != want || got.GetThreadId() != w.thread("acme", "shop", visitor.Thread).String() || got.GetInbox() != "shop" ||
			got.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_CUSTOMER || got.GetActorId() != "" || got.GetAuthor() != "" {
			t.Errorf("%v", got)
		}
	}
	if n := len(w.signals()); n > 2*most {
		t.Errorf("%d signals", n)
	}
	if n := len(s.host.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
	var p frame
	if a := s.request("POST", s.url+"messages", visitor.Token, `{"type":"typing"}`, nil, &p); a.status != http.StatusBadRequest || p.Code != "bad_frame" {
		t.Errorf("%d %+v", a.status, p)
	}
	c.send(`{"type":"typing","on":"no"}`)
	if f := c.next("error"); f.Code != "bad_frame" {
		t.Errorf("%+v", f)
	}
}
