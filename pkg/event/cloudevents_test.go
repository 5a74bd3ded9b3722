package event_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func toCloud(t testing.TB, e *eventv1.Event) cloudevents.Event {
	t.Helper()
	ce, err := event.ToCloudEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	return ce
}

func TestAnEventAsACloudEventInJSON(t *testing.T) {
	got, err := json.MarshalIndent(toCloud(t, compile(t, mail()).Event), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/cloudevent.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) { // see what changed before you take it over: others read this
		t.Errorf("got %s", got)
	}
}

// viaJSON sends a CloudEvent on a journey in structured mode.
func viaJSON(t interface{ Fatalf(string, ...any) }, ce cloudevents.Event) cloudevents.Event {
	data, err := json.Marshal(ce)
	if err != nil {
		t.Fatalf("write JSON: %v", err)
	}
	var read cloudevents.Event
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatalf("read JSON: %v\n%s", err, data)
	}
	return read
}

// viaText sends the extension attributes on a journey as text, as headers do.
func viaText(ce cloudevents.Event) cloudevents.Event {
	ce = ce.Clone()
	if ce.Extensions()["backfill"] == true {
		ce.SetExtension("backfill", "true")
	}
	return ce
}

func TestAnEventComesBackFromItsCloudEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := someEvent().Draw(t, "event")
		ce, err := event.ToCloudEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		for name, journey := range map[string]cloudevents.Event{"direct": ce, "JSON": viaJSON(t, ce), "text": viaText(ce)} {
			got, err := event.FromCloudEvent(journey)
			if err != nil || !proto.Equal(got, e) {
				t.Fatalf("%s: got %v, %v\nwant %v\nvia %v", name, got, err, e, journey)
			}
		}
	})
}

func TestAttributeNamesAreLowerCaseAndShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ce, err := event.ToCloudEvent(someEvent().Draw(t, "event"))
		if err != nil {
			t.Fatal(err)
		}
		for name := range ce.Extensions() {
			if name != strings.ToLower(name) || len(name) > 20 {
				t.Errorf("attribute %s", name)
			}
		}
	})
}

func TestAWrongEventBecomesNoCloudEvent(t *testing.T) {
	if _, err := event.ToCloudEvent(&eventv1.Event{}); err == nil {
		t.Error("an empty event became a CloudEvent")
	}
}

func TestACloudEventThatIsNoEventIsRefusedByAttribute(t *testing.T) {
	extension := func(name string, value any) func(*cloudevents.Event) {
		return func(ce *cloudevents.Event) { ce.SetExtension(name, value) }
	}
	for name, tt := range map[string]struct {
		change func(*cloudevents.Event)
		want   string
	}{
		"not valid":          {func(ce *cloudevents.Event) { ce.SetID("") }, "id"},
		"a foreign id":       {func(ce *cloudevents.Event) { ce.SetID("1") }, "id"},
		"a foreign source":   {func(ce *cloudevents.Event) { ce.SetSource("https://example.com/x") }, "source"},
		"source too deep":    {func(ce *cloudevents.Event) { ce.SetSource("/skein/acme/support/x") }, "source"},
		"no tenant":          {func(ce *cloudevents.Event) { ce.SetSource("/skein//support") }, "tenant"},
		"no thread":          {func(ce *cloudevents.Event) { ce.SetSubject("x") }, "thread_id"},
		"no time of receipt": {extension("receivedat", nil), "received_at"},
		"time of receipt":    {extension("receivedat", "yesterday"), "receivedat"},
		"channel":            {extension("channel", "smoke"), "channel"},
		"digest":             {extension("digest", "%"), "digest"},
		"version":            {extension("schemaversion", -1), "schemaversion"},
		"backfill":           {extension("backfill", "perhaps"), "backfill"},
		"parties":            {extension("parties", "{"), "parties"},
		"a party's side":     {extension("parties", `[{"side":"both"}]`), "parties"},
		"a party's id":       {extension("parties", `[{"id":"anna@example.com"}]`), "parties[0].endpoint_id"},
		"unknown":            {extension("skeinunknown", "AAAA"), "skeinunknown"},
		"JSON as content":    {func(ce *cloudevents.Event) { ce.SetDataContentType("application/json") }, "datacontenttype"},
		"the old version":    {func(ce *cloudevents.Event) { ce.SetSpecVersion(cloudevents.CloudEventsVersionV03) }, "specversion"},
	} {
		t.Run(name, func(t *testing.T) {
			ce := toCloud(t, compile(t, mail()).Event)
			tt.change(&ce)
			if e, err := event.FromCloudEvent(ce); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want an error about %s", e, err, tt.want)
			}
		})
	}
}

func TestAMessageThatTravelsWholeMayNotContradictItsAttributes(t *testing.T) {
	for name, change := range map[string]func(*cloudevents.Event){
		"time":          func(ce *cloudevents.Event) { ce.SetTime(received.AddDate(0, 0, 1)) },
		"actor":         func(ce *cloudevents.Event) { ce.SetExtension("actorid", "someone else") },
		"no actor":      func(ce *cloudevents.Event) { ce.SetExtension("actorkind", nil) },
		"party":         func(ce *cloudevents.Event) { ce.SetExtension("parties", `[{"side":"customer"},{}]`) },
		"fewer parties": func(ce *cloudevents.Event) { ce.SetExtension("parties", `[{}]`) },
		"no parties":    func(ce *cloudevents.Event) { ce.SetExtension("parties", nil) },
	} {
		e := compile(t, mail()).Event
		for _, m := range []proto.Message{e.GetOccurredAt(), e.GetActor(), e.GetParties()[0]} {
			m.ProtoReflect().SetUnknown(fromTheFuture(100))
		}
		ce := toCloud(t, e)
		if got, err := event.FromCloudEvent(ce); err != nil || !proto.Equal(got, e) {
			t.Fatalf("unchanged: %v, %v", got, err)
		}
		change(&ce)
		if _, err := event.FromCloudEvent(ce); err == nil || !strings.Contains(err.Error(), "contradicts") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzFromCloudEvent(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var ce cloudevents.Event
		if err := readJSON(data, &ce); err != nil {
			return
		}
		e, err := event.FromCloudEvent(ce)
		if err != nil {
			return
		}
		again, err := event.ToCloudEvent(e)
		if err != nil {
			t.Fatalf("%v: %v", e, err)
		}
		back, err := event.FromCloudEvent(viaJSON(t, again))
		if err != nil || !proto.Equal(back, e) {
			t.Fatalf("got %v, %v; want %v", back, err, e)
		}
	})
}

// readJSON takes the CloudEvents library's panics on malformed data_base64 for what they are, not for ours.
func readJSON(data []byte, ce *cloudevents.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = os.ErrInvalid
		}
	}()
	return json.Unmarshal(data, ce)
}
