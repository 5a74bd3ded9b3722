package mapped

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
)

// fuzz reads whatever comes by a mapping: it gives errors, or events that differ from one another, twice the same, and each is
// accepted or refused for good by Skein's own rules.
func fuzz(f *testing.F, m Mapping) {
	f.Helper()
	files, err := filepath.Glob(filepath.FromSlash("../../../../docs/examples/mapped/*.json"))
	if err != nil || len(files) == 0 {
		f.Fatal(err, "no examples")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	m.Provider, m.Verify = "shop", Verify{Bearer: Secrets{Secrets: []string{"x"}}}
	compiled, problems := compile(Inbox{Tenant: "lumen", Inbox: "shop", Mapping: m})
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, payload []byte) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		compiled.Inbox.Inbox = strconv.Itoa(n) // so that bodies of different executions never meet
		for range 2 {
			made, errs := compiled.made(t.Context(), payload)
			for _, err := range errs {
				if err.Error() == "" || errors.Is(err, channel.ErrRetry) {
					t.Fatal(err)
				}
			}
			ids := map[string]bool{}
			for _, m := range made {
				id := m.GetThread() + "\x00" + m.GetType() + "\x00" + m.GetNativeId()
				if ids[id] {
					t.Fatalf("two events are one: %v", made)
				}
				ids[id] = true
				var invalid *event.InvalidError
				if _, err := host.Submit(t.Context(), "lumen", m.Submission); err != nil && !errors.As(err, &invalid) {
					t.Fatal(err)
				}
			}
		}
		if len(host.Conflicts()) > 0 {
			t.Fatal(host.Conflicts())
		}
	})
}

// A mapping that takes nearly everything that it finds, and loops.
func FuzzGeneric(f *testing.F) {
	f.Add([]byte(`{"b":{"z":[1,2.5,-3,1e3,true,null,"x"]},"a":18446744073709551615,"id":9007199254740993,"at":"2026-02-27T09:00:00Z","phone":"+4930901820"}`))
	f.Add([]byte(`{"skein":"mapped/1","headers":{"x-topic":"a"},"query":{"q":"1"},"body":{"id":1}}`))
	fuzz(f, Mapping{Events: []Event{
		{
			Type: "ext.shop.any", Thread: `to_json(body)`, NativeID: `type(body) == map ? body.map(k, k).join(",") + "!" : "?"`, OccurredAt: "body.?at",
			Queue: `headers[?"x-topic"]`, Correlation: `query[?"q"]`, Language: "body.?lang", Channel: "body.?channel",
			Parties: []Party{{Phone: "body.?phone", Name: "body.?name"}, {Email: "body.?email"}, {Identifier: "body.?id", Namespace: "body.?space"}},
		},
		{
			When: "has(body.text)", Type: "message.received", Thread: "body.id", NativeID: "body.id", Text: "body.text",
			Content: map[string]any{"attachments": "body.?files", "message_received": map[string]any{"template_parameters": "body.?map", "location": "body.?location", "references": "body.?list"}},
		},
		{
			When: "has(body.type)", Type: "body.type", Thread: "body.id", NativeID: "body.id",
			Content: map[string]any{"recording_available": map[string]any{"started_at": "body.?at", "duration": "body.?seconds", "sound_channels": "body.?channels"}},
		},
	}})
}

// A mapping that goes item by item.
func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"events":[{"id":1,"kind":"a"},{"id":1,"kind":"a"},{"id":1,"kind":"b"},[],"x",null,17]}`))
	f.Add([]byte(`{"events":{"id":1}}`))
	fuzz(f, Mapping{Split: "body.?events", Unmatched: "keep", Events: []Event{
		{When: `type(item) == map`, Type: `"ext.shop." + item.kind`, Thread: "item.id", NativeID: "item.id"},
		{When: `type(item) != map`, Type: "ext.shop.other", Thread: `"t"`, NativeID: "to_json(item)"},
	}})
}

// A form.
func FuzzForm(f *testing.F) {
	f.Add([]byte("a=1&a=2&id=x&payload=%7B%22a%22%3A1%7D"))
	f.Add([]byte(`{"skein":"mapped/1","form":"id=1"}`))
	fuzz(f, Mapping{Format: "form", Events: []Event{
		{Type: "form.submitted", Thread: "body.id", NativeID: "body.id", Content: map[string]any{"form_submitted": map[string]any{"fields": "body"}}},
		{When: "has(body.payload)", Type: "ext.shop.x", Thread: `"t"`, NativeID: "string(parse_json(body.payload).a)"},
	}})
}
