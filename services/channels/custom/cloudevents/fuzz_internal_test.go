package cloudevents

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
)

// Whatever comes, it is told what is wrong, or gives events: twice the same, which are taken or refused by Skein's own rules.
func FuzzEvents(f *testing.F) {
	for _, file := range []string{"testdata/orders.synthetic.json", "testdata/message.synthetic.json"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add(`{"specversion":"1.0","id":"1","source":"/skein/acme/web","type":"skein.message.received","subject":"018a396e-ea8f-842c-9c3f-dd38b17532c5","provider":"smtp",
		"parties":"[{\"kind\":\"email\",\"side\":\"customer\"}]","datacontenttype":"application/json","data":{"nativeThread":"1","nativeId":"2","parties":[{"address":"a@example.com"}],"messageReceived":{"text":"Hi"}}}`)
	f.Add(`{"specversion":"1.0","id":"1","source":"x","type":"a","data_base64":"\u0041A==","datacontenttype":"application/protobuf"}`)
	check := whatever()
	f.Fuzz(func(t *testing.T, body string) { check(t, []byte(body)) })
}

// Whatever the headers and the body are in binary mode, the same holds.
func FuzzBinary(f *testing.F) {
	f.Add("1", "/shop", "a.b", "2026-03-02T09:00:00Z", "Skeinemail", "anna@example.com", "application/json", `{"a":1}`)
	f.Add("1", "%41", "note.added", "", "X", `"a\"%C3%BC"`, "text/plain", "\xff")
	check := whatever()
	f.Fuzz(func(t *testing.T, id, source, typ, at, name, value, contentType, body string) {
		h := http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Source": {source}, "Ce-Type": {typ}, "Ce-" + name: {value}, "Content-Type": {contentType}}
		if at != "" {
			h["Ce-Time"] = []string{at}
		}
		payload, err := unwrap((&http.Request{Header: h}).WithContext(t.Context()), []byte(body))
		if err != nil {
			return
		}
		check(t, payload)
	})
}

// whatever checks what is made of a payload.
func whatever() func(t *testing.T, payload []byte) {
	host, n := channeltest.NewHost(), 0
	return func(t *testing.T, payload []byte) {
		t.Helper()
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		in := Inbox{Tenant: "lumen", Inbox: strconv.Itoa(n), Provider: "shop", TypePrefix: "com.", Region: "DE"}
		for range 2 {
			submissions, of, err := in.read(t.Context(), payload)
			var invalid *invalidError
			if err != nil && (!errors.As(err, &invalid) || len(invalid.list) == 0 || invalid.Error() == "") {
				t.Fatal(err)
			}
			if len(submissions) != len(of) {
				t.Fatal(submissions, of)
			}
			for _, s := range submissions {
				var refused *event.InvalidError
				if _, err := host.Submit(t.Context(), "lumen", s); err != nil && !errors.As(err, &refused) {
					t.Fatal(err)
				}
			}
			if len(submissions) == 1 && len(host.Conflicts()) > 0 {
				t.Fatal(host.Conflicts())
			}
		}
	}
}
