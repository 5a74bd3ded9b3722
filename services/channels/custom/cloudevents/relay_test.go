package cloudevents_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// handedOut is what Skein's webhooks make of an event (docs/webhooks.md). That they do is tested with them, by the relay test of services/app.
func handedOut(t *testing.T, e *eventv1.Event, includeContent bool) string {
	t.Helper()
	ce, err := event.ToCloudEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	ce.DataEncoded, ce.DataBase64 = nil, false
	ce.SetDataContentType("")
	if includeContent {
		content, err := event.DecodeContent(e)
		if err != nil {
			t.Fatal(err)
		}
		data, err := protojson.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := ce.SetData("application/json", json.RawMessage(data)); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(ce)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// there are events of another Skein.
func there(t *testing.T, submissions ...string) []channeltest.Event {
	t.Helper()
	host := channeltest.NewHost()
	for _, text := range submissions {
		s := &eventv1.Submission{}
		if err := protojson.Unmarshal([]byte(text), s); err != nil {
			t.Fatal(err)
		}
		if _, err := host.Submit(t.Context(), "acme", s); err != nil {
			t.Fatal(err)
		}
	}
	return host.Events()
}

const (
	mail = `{"type":"message.received","occurredAt":"2026-02-27T09:00:00Z","channel":"CHANNEL_EMAIL","direction":"DIRECTION_INBOUND","origin":"ORIGIN_INBOUND","provider":"smtp","inbox":"support",
		"thread":"<1@example.com>","nativeId":"<2@example.com>","discriminator":"AQI=","language":"de","queue":"mail","correlationId":"c-1","interaction":"i-1","backfill":true,
		"causationId":"334b6b31-12a2-5bfc-bf4f-870c0954b343","actor":{"kind":"ACTOR_KIND_CUSTOMER"},
		"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"Anna@Example.com"},"role":"PARTY_ROLE_SENDER","side":"SIDE_CUSTOMER","displayName":"Anna Weiss"},
		           {"address":{"kind":"ENDPOINT_KIND_PHONE","value":"110","region":"DE"},"role":"PARTY_ROLE_CC","side":"SIDE_CUSTOMER"},
		           {"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"support@acme.example"},"role":"PARTY_ROLE_TO","side":"SIDE_COMPANY"}],
		"content":{"attachments":[{"name":"bill.pdf","blob":{"key":"acme/x/y","size":"3","mediaType":"application/pdf"}}],
			"messageReceived":{"subject":"Bill","text":"Which one?","inReplyTo":"<1@example.com>"}}}`
	joined = `{"type":"thread.joined","provider":"smtp","inbox":"support","thread":"<3@example.com>","nativeId":"<3@example.com>","content":{"threadJoined":{"parentThread":"<1@example.com>"}}}`
	parcel = `{"type":"ext.shop.parcel","occurredAt":"2026-02-27T09:00:00Z","provider":"shop","inbox":"support","thread":"17","nativeId":"1","actor":{"kind":"ACTOR_KIND_AGENT","id":"ada"},
		"content":{"extension":{"mediaType":"text/plain","data":"aGVyZQ=="}}}`
	agent = `{"type":"agent.presence_changed","occurredAt":"2026-02-27T09:00:00Z","provider":"asterisk","inbox":"pbx","thread":"ada","nativeId":"1","actor":{"kind":"ACTOR_KIND_AGENT","id":"ada"},
		"content":{"agentPresenceChanged":{"presence":"Lunch"}}}`
)

func TestWhatOneSkeinHandsOutAnotherTakesIn(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	for _, e := range there(t, mail, joined, parcel, agent) {
		if status, answer := post(t, h, structured, handedOut(t, e.Event, true)); status != http.StatusOK {
			t.Fatal(e.Event.GetType(), status, answer)
		}
	}
	channeltest.Golden(t, "testdata/relayed.transcript", transcript(host.Events()))
	first, got := there(t, mail)[0], host.Events()[0]
	if g, w := got.Event, first.Event; g.GetParties()[0].GetEndpointId() == "" || g.GetLanguage() != w.GetLanguage() || g.GetQueue() != w.GetQueue() || g.GetCorrelationId() != w.GetCorrelationId() ||
		g.GetChannel() != w.GetChannel() || g.GetOrigin() != w.GetOrigin() || !g.GetBackfill() || g.GetInteractionId() == "" || g.GetCausationId() != "" || !proto.Equal(g.GetOccurredAt(), w.GetOccurredAt()) {
		t.Errorf("got %v, want %v", g, w)
	}
	for i, p := range got.Content.GetParties() {
		if w := first.Content.GetParties()[i]; p.GetAddress() != w.GetAddress() || p.GetNamespace() != w.GetNamespace() || p.GetDisplayName() != w.GetDisplayName() {
			t.Errorf("party %d: %v, want %v", i, p, w)
		}
	}
}

func TestWithoutContentTheEnvelopeIsKeptAsAForeignEvent(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	for _, e := range there(t, mail, parcel) {
		if status, answer := post(t, h, structured, handedOut(t, e.Event, false)); status != http.StatusOK {
			t.Fatal(e.Event.GetType(), status, answer)
		}
	}
	if e := host.Events(); len(e) != 2 || e[0].Event.GetType() != "ext.skein.message.received" || e[1].Event.GetType() != "ext.shop.parcel" || e[0].Event.GetProvider() != "skein" {
		t.Error(channeltest.Transcript(e))
	}
}

// Two that tell each other everything end in no circle.
func TestAnEventGoesOneStep(t *testing.T) {
	for _, includeContent := range []bool{true, false} {
		one, other := channeltest.NewHost(), channeltest.NewHost()
		h := open(t, other)
		for _, e := range there(t, mail, parcel, agent) {
			if status, answer := post(t, h, structured, handedOut(t, e.Event, includeContent)); status != http.StatusOK {
				t.Fatal(e.Event.GetType(), status, answer)
			}
		}
		if len(other.Events()) != 3 {
			t.Fatal(channeltest.Transcript(other.Events()))
		}
		h = open(t, one)
		for _, e := range other.Events() {
			if status, answer := post(t, h, structured, handedOut(t, e.Event, true)); status != http.StatusOK {
				t.Fatal(e.Event.GetType(), status, answer)
			}
		}
		if n := len(one.Events()); n > 0 {
			t.Error(channeltest.Transcript(one.Events()))
		}
	}
}

func TestWhatHasAMeaningThereOnlyIsPassedOver(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	for _, e := range there(
		t,
		`{"type":"customer.merged","provider":"crm","inbox":"crm","thread":"1","nativeId":"1","content":{"customerMerged":{"into":"a","merged":"b"}}}`,
		`{"type":"directory.updated","provider":"crm","inbox":"crm","thread":"1","nativeId":"1","content":{"directoryUpdated":{"kind":"agent"}}}`,
		`{"type":"timer.fired","provider":"crm","inbox":"crm","thread":"1","nativeId":"1","content":{"timerFired":{"timer":"idle"}}}`,
		`{"type":"message.send_requested","provider":"crm","inbox":"crm","thread":"1","nativeId":"1","content":{"messageSendRequested":{"text":"Hi"}}}`,
		`{"type":"attachment.stored","provider":"crm","inbox":"crm","thread":"1","nativeId":"1","content":{"attachmentStored":{"index":1}}}`,
	) {
		if status, answer := post(t, h, structured, handedOut(t, e.Event, true)); status != http.StatusOK {
			t.Fatal(e.Event.GetType(), status, answer)
		}
	}
	if len(host.Events()) > 0 {
		t.Error(channeltest.Transcript(host.Events()))
	}
}

func TestAnEventOfAnotherSkeinThatIsBrokenIsToldByField(t *testing.T) {
	good := handedOut(t, there(t, mail)[0].Event, true)
	for from, want := range map[string]string{
		`"messageReceived"`: `"messageRecieved"`,
		`"nativeId"`:        `"nativeThread"`,
		`"inbound"`:         `"upward"`,
		`[{\"id\":`:         `[{\"id\"`,
		`\"sender\"`:        `\"bystander\"`,
	} {
		host := channeltest.NewHost()
		bad := strings.Replace(good, from, want, 1)
		if bad == good {
			t.Fatal(from, good)
		}
		if status, answer := post(t, open(t, host), structured, bad); status != http.StatusBadRequest || len(host.Events())+len(host.Rejections()) > 0 {
			t.Errorf("%s: %d %s", want, status, answer)
		}
	}
}
