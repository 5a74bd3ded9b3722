package app

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror/owners"
)

func (w *mirrored) customersSource() *owners.Customers {
	return owners.NewCustomers(owners.Timing{Wait: time.Nanosecond, Page: 3}, mirroredCustomers(w.customers))
}

func (w *mirrored) conversationsSource() *owners.Conversations {
	return owners.NewConversations(owners.Timing{Wait: time.Nanosecond, Page: 3}, mirroredJoins(w.conversations))
}

func (w *mirrored) link(name, typ string, content *eventv1.Content) *eventv1.Event {
	w.t.Helper()
	e := w.happening(name, typ, nine, content)
	e.ThreadId = hashedID("links").String()
	w.append(event.TopicLinks, mirroredTenant, e)
	return e
}

var customerNames = []string{"a", "b", "c", "d", "e"}

// drawLink puts a change of customers, or of what is joined, into the log.
func (w *mirrored) drawLink(rt *rapid.T, name string, earlier []string) *eventv1.Event {
	some := func(label string) event.ID { return hashedID(rapid.SampledFrom(customerNames).Draw(rt, label)) }
	interaction := func(label string) string {
		return hashedID(rapid.SampledFrom([]string{"chat 0", "chat 1", "mail 0", "unknown"}).Draw(rt, label)).String()
	}
	switch kind := rapid.SampledFrom([]string{"link", "link", "merge", "merge", "split", "attribute", "undo", "undo", "join", "join"}).Draw(rt, "link"); kind {
	case "link":
		b := &eventv1.EndpointLinked{EndpointId: some("endpoint").String(), CustomerId: event.CustomerOf(some("customer")).String()}
		if rapid.IntRange(0, 2).Draw(rt, "for a while at 0") == 0 {
			b.ValidFrom, b.ValidUntil = timestamppb.New(nine), timestamppb.New(nine.Add(time.Hour))
		}
		return w.link(name, event.TypeEndpointLinked, &eventv1.Content{Body: &eventv1.Content_EndpointLinked{EndpointLinked: b}})
	case "merge":
		return w.link(name, event.TypeCustomerMerged, &eventv1.Content{Body: &eventv1.Content_CustomerMerged{CustomerMerged: &eventv1.CustomerMerged{
			Into: event.CustomerOf(some("into")).String(), Merged: event.CustomerOf(some("merged")).String(),
		}}})
	case "split":
		return w.link(name, event.TypeCustomerSplit, &eventv1.Content{Body: &eventv1.Content_CustomerSplit{CustomerSplit: &eventv1.CustomerSplit{
			CustomerId: event.CustomerOf(some("customer")).String(), EndpointIds: []string{some("leaves").String()},
		}}})
	case "attribute":
		b := &eventv1.InteractionAttributed{InteractionId: interaction("interaction"), CustomerId: event.CustomerOf(some("customer")).String()}
		if rapid.Bool().Draw(rt, "of an endpoint") {
			b.EndpointId = some("endpoint").String()
		}
		return w.link(name, event.TypeInteractionAttributed, &eventv1.Content{Body: &eventv1.Content_InteractionAttributed{InteractionAttributed: b}})
	case "undo":
		target := "nothing"
		if len(earlier) > 0 {
			target = rapid.SampledFrom(earlier).Draw(rt, "undone")
		}
		return w.link(name, event.TypeLinkUndone, &eventv1.Content{Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: hashedID(target).String()}}})
	default:
		b := &eventv1.ConversationLinked{Members: []string{interaction("one")}, ThreadIds: []string{hashedID("chat").String(), hashedID("mail").String()}}
		if rapid.Bool().Draw(rt, "a thread") {
			b.Members = append(b.GetMembers(), hashedID(rapid.SampledFrom([]string{"chat", "mail", "call"}).Draw(rt, "thread")).String())
		} else {
			b.Members = append(b.GetMembers(), interaction("other"))
		}
		return w.link(name, event.TypeConversationLinked, &eventv1.Content{Body: &eventv1.Content_ConversationLinked{ConversationLinked: b}})
	}
}

// drawTalk puts an event of an interaction into the log.
func (w *mirrored) drawTalk(rt *rapid.T) *eventv1.Event {
	thread := rapid.SampledFrom([]string{"chat", "mail", "call"}).Draw(rt, "thread")
	k := rapid.IntRange(0, 3).Draw(rt, "event")
	typ := rapid.SampledFrom([]string{event.TypeMessageReceived, event.TypeMessageReceived, event.TypeInteractionEnded}).Draw(rt, "type")
	e := w.happening(fmt.Sprint(thread, " ", k), typ, nine.Add(time.Duration(rapid.IntRange(0, 99).Draw(rt, "minutes"))*time.Minute), &eventv1.Content{})
	e.ThreadId, e.Channel, e.Inbox = hashedID(thread).String(), eventv1.Channel_CHANNEL_WEB_CHAT, "web"
	e.Parties = []*eventv1.Party{{EndpointId: hashedID(rapid.SampledFrom(customerNames).Draw(rt, "customer")).String(), Side: eventv1.Side_SIDE_CUSTOMER}}
	w.append(event.TopicInteractions, e.GetThreadId(), e)
	return e
}

// Whatever is linked, merged, split, attributed, joined and undone, and whatever happens in the threads meanwhile: the tables say what the read
// models say, and what a scan of them would.
func TestWhoseIsWhatIsMirroredWhateverChanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newMirrored(rt)
		customers, conversations := newCopied(rt, w.customersSource()), newCopied(rt, w.conversationsSource())
		var names []string
		for n := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch step := rapid.SampledFrom([]string{"link", "link", "link", "talk", "again", "restart", "back"}).Draw(rt, "step"); step {
			case "link":
				name := fmt.Sprint("link ", n)
				w.drawLink(rt, name, names)
				names = append(names, name)
			case "again":
				if len(names) > 0 {
					w.link(rapid.SampledFrom(names).Draw(rt, "name"), event.TypeLinkUndone, nil)
				}
			case "talk":
				w.drawTalk(rt)
			case "restart":
				customers.source, conversations.source = w.customersSource(), w.conversationsSource()
			case "back":
				customers.cursor, conversations.cursor = nil, nil
			}
			w.fold(rapid.IntRange(1, 5).Draw(rt, "batch"))
			for _, c := range []*copied{customers, conversations} {
				if rapid.IntRange(0, 3).Draw(rt, "one step only at 0") == 0 {
					c.step()
					continue
				}
				c.follow()
			}
		}
		customers.follow()
		conversations.follow()
		for _, pair := range [][2]*copied{{customers, newCopied(rt, w.customersSource())}, {conversations, newCopied(rt, w.conversationsSource())}} {
			pair[1].follow()
			if got, want := pair[0].rows.shown(rt), pair[1].rows.shown(rt); got != want {
				rt.Fatalf("%swant\n%s", got, want)
			}
		}
		w.checkOwners(customers)
		w.checkConversations(conversations)
	})
}

// checkOwners holds the rows of endpoints to what customers are asked.
func (w *mirrored) checkOwners(c *copied) {
	w.t.Helper()
	for _, n := range customerNames {
		for _, at := range []time.Time{nine.Add(-time.Second), nine, nine.Add(30 * time.Minute), nine.Add(time.Hour), nine.AddDate(1, 0, 0)} {
			endpoint := hashedID(n)
			owner, err := w.customers.Owner(context.Background(), mirroredTenant, endpoint, at.UnixNano())
			w.must(err)
			got := endpoint
			for _, of := range c.rows {
				for _, row := range of {
					v := valuesOf(w.t, row.data)
					if row.table != "customer_endpoints" || event.ID(as[uuid.UUID](v[1])) != endpoint || at.Before(as[time.Time](v[2])) || !at.Before(as[time.Time](v[3])) {
						continue
					}
					got = event.ID(as[uuid.UUID](v[4]))
				}
			}
			if got != owner && got != event.EndpointOf(owner) {
				w.t.Fatalf("%s at %v is %s's instead of %s's", n, at, got, owner)
			}
			if s, err := w.customers.Scope(context.Background(), mirroredTenant, owner, scope.At{}); got != owner && (err != nil || slices.ContainsFunc(s.Endpoints, func(s scope.Span) bool { return s.ID != endpoint })) {
				w.t.Fatalf("%s is not alone, and has no row: %v, %v", n, s, err)
			}
		}
	}
}

// checkConversations holds the rows of interactions to what conversations are asked.
func (w *mirrored) checkConversations(c *copied) {
	w.t.Helper()
	joined := map[string]string{}
	for _, of := range c.rows {
		for _, row := range of {
			v := valuesOf(w.t, row.data)
			joined[event.ID(as[uuid.UUID](v[1])).String()] = event.ID(as[uuid.UUID](v[2])).String()
		}
	}
	v, err := w.interactions.View(context.Background())
	w.must(err)
	defer v.Close()
	for _, thread := range []string{"chat", "mail", "call"} {
		all, err := v.Thread(context.Background(), mirroredTenant, hashedID(thread))
		w.must(err)
		for _, i := range all {
			talk, _, err := w.conversations.Matter(context.Background(), mirroredTenant, i)
			w.must(err)
			got, known := joined[i.GetId()]
			if !known {
				got = i.GetId()
			}
			if got != talk {
				w.t.Fatalf("%s is of conversation %s instead of %s", i.GetId(), got, talk)
			}
			delete(joined, i.GetId())
		}
	}
	if len(joined) > 0 {
		w.t.Fatalf("there are rows of %v", joined)
	}
}

// A merge, a split and an attribution that are undone leave the tables as they were, to the byte, and an unrelated link names what it links only.
func TestAnUndoBringsTheRowsBack(t *testing.T) {
	w := newMirrored(t)
	c := newCopied(t, owners.NewCustomers(owners.Timing{Wait: time.Nanosecond}, mirroredCustomers(w.customers)))
	linked := func(name, endpoint, customer string) {
		w.link(name, event.TypeEndpointLinked, &eventv1.Content{Body: &eventv1.Content_EndpointLinked{EndpointLinked: &eventv1.EndpointLinked{
			EndpointId: hashedID(endpoint).String(), CustomerId: event.CustomerOf(hashedID(customer)).String(),
		}}})
	}
	for _, customer := range []string{"a", "b"} {
		for n := range 400 {
			linked(fmt.Sprint(customer, n), fmt.Sprint(customer, n), customer)
		}
	}
	w.fold(0)
	c.follow()
	before := c.rows.all()
	if len(before) != 802 {
		t.Fatalf("%d rows", len(before))
	}
	changes := map[string]*eventv1.Content{
		event.TypeCustomerMerged: {Body: &eventv1.Content_CustomerMerged{CustomerMerged: &eventv1.CustomerMerged{
			Into: event.CustomerOf(hashedID("a")).String(), Merged: event.CustomerOf(hashedID("b")).String(),
		}}},
		event.TypeCustomerSplit: {Body: &eventv1.Content_CustomerSplit{CustomerSplit: &eventv1.CustomerSplit{
			CustomerId: event.CustomerOf(hashedID("a")).String(), EndpointIds: []string{hashedID("a7").String()},
		}}},
		event.TypeInteractionAttributed: {Body: &eventv1.Content_InteractionAttributed{InteractionAttributed: &eventv1.InteractionAttributed{
			InteractionId: hashedID("chat 0").String(), CustomerId: event.CustomerOf(hashedID("b")).String(),
		}}},
	}
	for typ, content := range changes {
		w.link(typ, typ, content)
		w.fold(0)
		c.follow()
		if slices.Equal(c.rows.all(), before) {
			t.Errorf("%s changes nothing", typ)
		}
		w.link("undo of "+typ, event.TypeLinkUndone, &eventv1.Content{Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: hashedID(typ).String()}}})
		w.fold(0)
		c.follow()
		if !slices.Equal(c.rows.all(), before) {
			t.Errorf("the undo of %s leaves other rows", typ)
		}
	}
	named := c.named
	linked("unrelated", "x", "y")
	w.fold(0)
	c.follow()
	if c.named-named > 4 {
		t.Errorf("a link of two endpoints names %d", c.named-named)
	}
}
