package messenger

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func fuzzed(tb testing.TB, p Product, id string) *Channel {
	tb.Helper()
	c, err := New(Config{Product: p, Mux: http.NewServeMux(), Accounts: []Account{
		{Tenant: "lumen", Inbox: "social", ID: id, AppSecret: "s", VerifyToken: "v", AccessToken: "t"},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// fuzz reads whatever comes: a delivery is taken, or kept, in pieces or as a whole, and twice the same; nothing is lost.
func fuzz(f *testing.F, p Product, id, story string) {
	f.Helper()
	for _, body := range deliveries(f, story) {
		f.Add(body)
	}
	c := fuzzed(f, p, id)
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body string) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		a := *c.byID[id]
		a.Inbox = strconv.Itoa(n) // so that deliveries of different executions never meet
		c.byID[id] = &a
		events, rejections := len(host.Events()), len(host.Rejections())
		for range 2 {
			outcome, err := webhook.Deliver(t.Context(), host, c.endpoint(&a), []byte(body))
			if outcome != "accepted" && outcome != "rejected" {
				t.Fatal(outcome, err)
			}
		}
		items, err := p.open([]byte(body))
		if err != nil && len(host.Events()) > events {
			t.Fatal("events of a body that was not understood")
		}
		kept := len(host.Rejections()) - rejections
		for i := range items {
			c.read(&a, &items[i])
			if items[i].err != nil && kept == 0 {
				t.Fatal("an item was lost: ", items[i].err)
			}
		}
		if len(host.Conflicts()) > 0 {
			conflicts := host.Conflicts()
			host = channeltest.NewHost()
			if !alike(items) {
				t.Fatal(conflicts)
			}
		}
	})
}

// alike tells that a body holds two items that claim to be one, which Meta's do not.
func alike(items []item) bool {
	ids := map[string]bool{}
	for _, it := range items {
		for _, s := range it.submissions {
			key := strings.Join([]string{s.GetThread(), s.GetType(), s.GetNativeId(), string(s.GetDiscriminator())}, "\x00")
			if ids[key] {
				return true
			}
			ids[key] = true
		}
	}
	return false
}

// Whatever an item says, it is understood or not, twice the same, and gives events that differ from one another.
func FuzzItem(f *testing.F) {
	for _, p := range []Product{Facebook, Instagram} {
		for _, body := range deliveries(f, map[Product]string{Facebook: "page", Instagram: "instagram"}[p]) {
			items, err := p.open([]byte(body))
			if err != nil {
				f.Fatal(err)
			}
			for _, it := range items {
				f.Add(p == Instagram, it.change, []byte(it.raw))
			}
		}
	}
	channels := map[Product]*Channel{Facebook: fuzzed(f, Facebook, "1029384756"), Instagram: fuzzed(f, Instagram, "1029384756")}
	f.Fuzz(func(t *testing.T, isInstagram, isChange bool, raw []byte) {
		c := channels[Facebook]
		if isInstagram {
			c = channels[Instagram]
		}
		a := c.byID["1029384756"]
		once := item{account: word(a.ID), raw: raw, change: isChange}
		twice := once
		c.read(a, &once)
		c.read(a, &twice)
		if (once.err == nil) != (twice.err == nil) || len(once.submissions) != len(twice.submissions) || once.err != nil && len(once.submissions) > 0 {
			t.Fatal(once, twice)
		}
		for i, s := range once.submissions {
			if !proto.Equal(s, twice.submissions[i]) {
				t.Fatalf("%v is not %v", s, twice.submissions[i])
			}
			if s.GetThread() == "" || s.GetNativeId() == "" || s.GetInbox() == "" {
				t.Fatalf("it has no thread, id or inbox: %v", s)
			}
		}
		if alike([]item{once}) {
			t.Fatalf("two events are one: %v", once.submissions)
		}
	})
}

// deliveries are the bodies of a story.
func deliveries(tb testing.TB, story string) []string {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", story+".story"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n")
		all = append(all, strings.TrimSpace(body))
	}
	return all
}

func FuzzPage(f *testing.F)      { fuzz(f, Facebook, "1029384756", "page") }
func FuzzInstagram(f *testing.F) { fuzz(f, Instagram, "17841400000000001", "instagram") }

// Whatever a time is written like, it is none or one that can be stored.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{"", "0", "1772442003", "1772442003100", "99999999999999999999", "-1", "1e12", "253402300800", "253402300800000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at := stamp(word(s)); at != nil && (!at.IsValid() || at.AsTime().Before(time.Unix(0, 0))) {
			t.Error(at)
		}
	})
}

// Whatever the thread and the text are, a message is refused, or its echo is an event that Skein takes.
func FuzzEcho(f *testing.F) {
	f.Add("6100000000000001", "mid", "hello")
	f.Add("1029384756_700/700_801", "700_900", "800 lumens")
	c := fuzzed(f, Facebook, "1029384756")
	a := c.byID["1029384756"]
	host := channeltest.NewHost()
	f.Fuzz(func(t *testing.T, thread, mid, text string) {
		var body outgoing
		body.Message.Text, body.Message.Metadata = text, ownMetadata+"0193d0a4-7e5c-7abc-8def-0123456789ab"
		s := a.echo(thread, mid, &body)
		s.Provider, s.Inbox = string(a.product), a.Inbox
		var invalid *event.InvalidError
		if _, err := host.Submit(t.Context(), "lumen", []*eventv1.Submission{s}...); err != nil && !errors.As(err, &invalid) {
			t.Fatal(err)
		}
		_, _, _ = a.public(thread)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing goes out
		sent, err := c.NewSender(Key{"lumen", "social"}).Send(ctx, channel.Outgoing{
			Thread: thread, Message: &eventv1.Message{Text: text}, LastReceived: time.Now(), Attempt: 1,
		})
		var refused *channel.RefusedError
		if err == nil || !errors.As(err, &refused) && !errors.Is(err, channel.ErrRetry) && !errors.Is(err, channel.ErrUnknown) {
			t.Fatal(sent, err)
		}
	})
}
