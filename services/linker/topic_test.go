package linker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/linker"
)

// desk holds interactions and whose endpoints are.
type desk struct {
	mu           sync.Mutex
	interactions []*conversationv1.Interaction
	customers    map[string]event.ID // by endpoint
}

func (d *desk) Contact(_ context.Context, _ string, interaction event.ID, _ eventlog.Position) (*conversationv1.Interaction, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.interactions {
		if i.GetId() == interaction.String() {
			return i, true, nil
		}
	}
	return nil, false, nil
}

func (d *desk) Began(_ context.Context, _ string, customer event.ID, within scope.Range) (all []*conversationv1.Interaction, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.interactions {
		if d.customers[i.GetParticipants()[0].GetEndpointId()] == customer && within.Contains(i.GetStartedAt().AsTime().UnixNano()) {
			all = append(all, i)
		}
	}
	return all, nil
}

func (d *desk) Owner(_ context.Context, _ string, endpoint event.ID, _ int64) (event.ID, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.customers[endpoint.String()], nil
}

// categorize tells what a new interaction of an endpoint's is about, and keeps it.
func (d *desk) categorize(w *world, name string, endpoint, customer byte, ch eventv1.Channel, at time.Time, reason ...string) (id string) {
	w.t.Helper()
	s := said(name)
	s.Type = event.TypeInteractionCategorized
	s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionCategorized{InteractionCategorized: &eventv1.InteractionCategorized{ContactReason: reason}}}
	id = w.submit(s)[0].EventID
	d.add(id, endpoint, customer, &conversationv1.Interaction{Channel: ch, StartedAt: timestamppb.New(at), ContactReason: reason})
	return id
}

func (d *desk) add(id string, endpoint, customer byte, i *conversationv1.Interaction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := event.ID{endpoint}.String()
	i.Id, i.Participants = id, []*conversationv1.Participant{{EndpointId: at, Side: eventv1.Side_SIDE_CUSTOMER}}
	d.interactions = append(d.interactions, i)
	d.customers[at] = event.CustomerOf(event.ID{customer})
}

const (
	voice   = eventv1.Channel_CHANNEL_VOICE
	webChat = eventv1.Channel_CHANNEL_WEB_CHAT
)

func withTopics(t *testing.T, topics ...linker.Topic) (*world, *desk) {
	t.Helper()
	w, d := newWorld(t), &desk{customers: map[string]event.ID{}}
	w.cfg.Contacts, w.cfg.Customers = d, d
	w.cfg.Default.Topics = topics
	return w, d
}

func TestContactsOfOneCustomerAboutOneReasonWithinTheWindowAreJoined(t *testing.T) {
	w, d := withTopics(t, linker.Topic{Rule: "same reason", By: "contact_reason", Window: 72 * time.Hour, Channels: []string{"voice", "web_chat"}})
	call := d.categorize(w, "call", 1, 1, voice, noon, "Billing", "Refund")
	chat := d.categorize(w, "chat", 2, 1, webChat, noon.Add(72*time.Hour), "billing", "refund") // by another endpoint of the customer
	d.categorize(w, "too late", 1, 1, voice, noon.Add(-73*time.Hour), "Billing", "Refund")
	d.categorize(w, "another reason", 1, 1, voice, noon, "Billing")
	d.categorize(w, "no reason", 1, 1, voice, noon)
	d.categorize(w, "nor another", 1, 1, voice, noon)
	d.categorize(w, "another customer", 3, 3, voice, noon, "Billing", "Refund")
	d.categorize(w, "another channel", 1, 1, eventv1.Channel_CHANNEL_EMAIL, noon, "Billing", "Refund")
	w.run()
	got := w.conversations("same reason")
	if want := sorted(call, chat); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

func TestContactsUnderOneSubjectAreJoined(t *testing.T) {
	w, d := withTopics(t, linker.Topic{Rule: "same subject", By: "subject", Window: time.Hour})
	var ids []string
	for i, subject := range []string{"Order  17", "RE: AW: order 17", "回复：Order 17", "", "Re:", "order 18"} {
		ids = append(ids, w.submit(said(fmt.Sprint(i)))[0].EventID)
		d.add(ids[i], 1, 1, &conversationv1.Interaction{Channel: webChat, StartedAt: timestamppb.New(noon), Subject: subject})
	}
	w.run()
	got := components(w.conversations("same subject"))
	if len(got) != 1 || len(got[0]) != 3 {
		t.Errorf("joined %v of %v", got, ids)
	}
}

func TestNoTopicJoinsUnlessConfigured(t *testing.T) {
	w, d := withTopics(t)
	d.categorize(w, "call", 1, 1, voice, noon, "Billing")
	d.categorize(w, "chat", 1, 1, webChat, noon, "Billing")
	w.run()
	if links, _ := w.asked(); len(links) != 0 {
		t.Error(links)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	w := newWorld(t)
	d := &desk{}
	for want, s := range map[string]linker.Settings{
		"topics[0].rule: a name":                           {Topics: []linker.Topic{{By: "subject", Window: 1}}},
		`topics[1].rule: "a" is the name of another`:       {Topics: []linker.Topic{{Rule: "a", By: "subject", Window: 1}, {Rule: "a", By: "subject", Window: 1}}},
		`topics[0].rule: "mail.references" is`:             {Topics: []linker.Topic{{Rule: linker.RuleReferences, By: "subject", Window: 1}}},
		"topics[0].window":                                 {Topics: []linker.Topic{{Rule: "a", By: "subject"}}},
		`topics[0].by: "mood"`:                             {Topics: []linker.Topic{{Rule: "a", By: "mood", Window: 1}}},
		`topics[0].channels: "fax"`:                        {Topics: []linker.Topic{{Rule: "a", By: "subject", Window: 1, Channels: []string{"fax"}}}},
		`identity: types[0].kind: "fax"`:                   {Identity: linker.Policy{Types: []linker.Type{{Kind: "fax"}}}},
		"identity: types[0].priority: -1":                  {Identity: linker.Policy{Types: []linker.Type{{Kind: "phone", Priority: -1}}}},
		"identity: types[0].limit: -2":                     {Identity: linker.Policy{Types: []linker.Type{{Kind: "phone", Limit: -2}}}},
		`identity: types[1].namespace: "["`:                {Identity: linker.Policy{Types: []linker.Type{{Kind: "phone"}, {Kind: "identifier", Namespace: "["}}}},
		"identity: types[0].blocked: error parsing regexp": {Identity: linker.Policy{Types: []linker.Type{{Kind: "phone", Blocked: []string{"("}}}}},
		`identity: types[0].evidence: "guess"`:             {Identity: linker.Policy{Types: []linker.Type{{Kind: "phone", Evidence: []string{"guess"}}}}},
	} {
		cfg := linker.Config{Keyring: w.keyring, Contacts: d, Customers: d, Tenants: map[string]linker.Settings{"acme": s}}
		if _, err := linker.New(cfg); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `tenant "acme"`) {
			t.Errorf("%v, want %q", err, want)
		}
		cfg = linker.Config{Keyring: w.keyring, Contacts: d, Customers: d, Default: s}
		if _, err := linker.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	topic := []linker.Topic{{Rule: "a", By: "subject", Window: 1}}
	if _, err := linker.New(linker.Config{Keyring: w.keyring, Default: linker.Settings{Topics: topic}}); err == nil {
		t.Error("topics without interactions to read")
	}
}
