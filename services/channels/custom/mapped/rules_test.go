package mapped_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
)

// one is a mapping of one event, whose body is read as it comes.
func one(e mapped.Event) mapped.Mapping {
	if e.Thread == "" {
		e.Thread, e.NativeID = `"t"`, `"n"`
	}
	return mapped.Mapping{Provider: "shop", Verify: mapped.Verify{Bearer: mapped.Secrets{Secrets: []string{secret}}}, Events: []mapped.Event{e}}
}

// read gives what a mapping makes of a body, and why it was rejected.
func read(t *testing.T, m mapped.Mapping, body string) (submissions []*eventv1.Submission, reason string) {
	t.Helper()
	host := channeltest.NewHost()
	_, c := open(t, host, m)
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "shop", Raw: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	for _, e := range host.Events() {
		submissions = append(submissions, e.Submission)
	}
	for _, r := range host.Rejections() {
		reason = r.Reason
	}
	return submissions, reason
}

func TestEveryMistakeInAMappingNamesItsFieldAndColumn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *mapped.Mapping)
		want   string // field: reason begins
	}{
		"a tenant's name":           {nil, ": tenant and inbox"},
		"no provider":               {func(m *mapped.Mapping) { m.Provider = "" }, "provider: is needed"},
		"a wrong provider":          {func(m *mapped.Mapping) { m.Provider = "Shop.de" }, "provider: is needed"},
		"a wrong format":            {func(m *mapped.Mapping) { m.Format = "xml" }, "format: must be"},
		"a wrong word":              {func(m *mapped.Mapping) { m.Unmatched = "drop" }, "unmatched: must be"},
		"no events":                 {func(m *mapped.Mapping) { m.Events = nil }, "events: one"},
		"no verification":           {func(m *mapped.Mapping) { m.Verify = mapped.Verify{} }, "verify: exactly one"},
		"two verifications":         {func(m *mapped.Mapping) { m.Verify.Bearer.Secrets = []string{"x"} }, "verify: exactly one"},
		"split gives no list":       {func(m *mapped.Mapping) { m.Split = `"a,b"` }, "split: it gives string and must give a list"},
		"item without split":        {func(m *mapped.Mapping) { m.Split, m.Events = "", m.Events[1:] }, "events[0].when: column 1: undeclared reference to 'item'"},
		"no thread":                 {func(m *mapped.Mapping) { m.Events[0].Thread = " " }, "events[0].thread: is missing"},
		"no native id":              {func(m *mapped.Mapping) { m.Events[1].NativeID = "" }, "events[1].native_id: is missing"},
		"no type":                   {func(m *mapped.Mapping) { m.Events[1].Type = "" }, "events[1].type: is missing"},
		"a type that is none":       {func(m *mapped.Mapping) { m.Events[0].Type = "message.arrived" }, `events[0].type: "message.arrived" is no type`},
		"a text without quotes":     {func(m *mapped.Mapping) { m.Events[0].Thread = `item.chat + suffix` }, "events[0].thread: column 13: undeclared reference to 'suffix': a text itself stands in quotes"},
		"a syntax error":            {func(m *mapped.Mapping) { m.Events[0].Text = "item.text +" }, "events[0].text: column 12: Syntax error"},
		"in the second line":        {func(m *mapped.Mapping) { m.Events[0].Text = "item.text\n  + nothing" }, "events[0].text: line 2, column 5: undeclared reference"},
		"a condition that is none":  {func(m *mapped.Mapping) { m.Events[0].When = `"yes"` }, "events[0].when: it gives string and must give true or false"},
		"a text that is a list":     {func(m *mapped.Mapping) { m.Events[0].Thread = `[item.chat]` }, "events[0].thread: it gives list(dyn) and must give a text"},
		"a time that is a number":   {func(m *mapped.Mapping) { m.Events[0].OccurredAt = `17` }, "events[0].occurred_at: it gives int and must give a timestamp"},
		"a clock":                   {func(m *mapped.Mapping) { m.Events[0].OccurredAt = `now()` }, "events[0].occurred_at: column 4: undeclared reference to 'now'"},
		"an operator without types": {func(m *mapped.Mapping) { m.Events[0].Thread = `"a" + 1` }, "events[0].thread: column 5: found no matching overload"},
		"a wrong channel":           {func(m *mapped.Mapping) { m.Events[0].Channel = "fax" }, "events[0].channel: column 1: undeclared reference to 'fax'"},
		"a number as direction":     {func(m *mapped.Mapping) { m.Events[0].Direction = "1" }, "events[0].direction: it gives int and must give one of inbound, outbound, internal"},
		"a wrong actor":             {func(m *mapped.Mapping) { m.Events[0].Actor = "nobody" }, "events[0].actor: column 1: undeclared"},
		"an agent's event":          {func(m *mapped.Mapping) { m.Events[1].Type = "agent.heartbeat" }, "events[1].actor_id: is missing"},
		"a party of two addresses":  {func(m *mapped.Mapping) { m.Events[0].Parties[0].Email = "item.email" }, "events[0].parties[0].visitor: a party has one address"},
		"a party of none":           {func(m *mapped.Mapping) { m.Events[0].Parties[1].Email = "" }, "events[0].parties[1]: an address or a name"},
		"a wrong role":              {func(m *mapped.Mapping) { m.Events[0].Parties[1].Role = `"bystander" + 1` }, "events[0].parties[1].role: column 13: found no matching overload"},
		"a text of no text":         {func(m *mapped.Mapping) { m.Events[1].Text, m.Events[1].Type = `"x"`, "call.dialed" }, "events[1].text: the type has no text"},
		"a text twice": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"text": `"x"`}}
		}, "events[0].text: content.message_received says it as well"},
		"another type's body": {func(m *mapped.Mapping) { m.Events[0].Content = map[string]any{"note_added": map[string]any{}} }, "events[0].content.note_added: it can hold message_received"},
		"what Skein sets":     {func(m *mapped.Mapping) { m.Events[0].Content = map[string]any{"native_id": `"x"`} }, "events[0].content.native_id: it can hold message_received"},
		"a field that is none": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"subjcet": `"x"`}}
		}, "events[0].content.message_received.subjcet: there is no such field to set; there are subject, text"},
		"a blob": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"attachments": []any{map[string]any{"blob": `"x"`}}}
		}, "events[0].content.attachments[0].blob: there is no such field"},
		"a list for a text": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"subject": []any{`"x"`}}}
		}, "events[0].content.message_received.subject: it is no list"},
		"fields for a text": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"subject": map[string]any{"x": "1"}}}
		}, "events[0].content.message_received.subject: it must be an expression"},
		"a text for a list": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"references": `"x"`}}
		}, "events[0].content.message_received.references: it gives string and must give a list"},
		"true for a list": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"references": true}}
		}, "events[0].content.message_received.references: it must be an expression"},
		"a text for a flag": {func(m *mapped.Mapping) {
			m.Events[0].Content = map[string]any{"message_received": map[string]any{"bulk": `"x"`}}
		}, "events[0].content.message_received.bulk: it gives string and must give true or false"},
		"a header by chance":        {func(m *mapped.Mapping) { m.Events[0].Text = `headers[item.name]` }, "events[0].text: of headers it may only read what it names"},
		"all headers":               {func(m *mapped.Mapping) { m.Events[0].Text = `headers.map(h, h).join()` }, "events[0].text: of headers it may only read what it names"},
		"the query":                 {func(m *mapped.Mapping) { m.Events[0].Text = `to_json(query)` }, "events[0].text: of query it may only read what it names"},
		"a header in capitals":      {func(m *mapped.Mapping) { m.Events[0].Text = `headers["X-Topic"]` }, `events[0].text: headers have names in lower case: headers["x-topic"]`},
		"a secret header":           {func(m *mapped.Mapping) { m.Events[0].Text = `headers["authorization"]` }, "events[0].text: the header authorization may hold a secret"},
		"cookies":                   {func(m *mapped.Mapping) { m.Events[0].When = `has(headers.cookie)` }, "events[0].when: the header cookie may hold a secret"},
		"the signature":             {func(m *mapped.Mapping) { m.Events[0].When = `"x-shop-signature" in headers` }, "events[0].when: the header x-shop-signature may hold a secret"},
		"the token of the query":    {func(m *mapped.Mapping) { m.Events[0].When = `query[?"token"].hasValue()` }, "events[0].when: the parameter token holds a secret"},
		"a question by halves":      {func(m *mapped.Mapping) { m.Handshake.Answer = "" }, "handshake.answer: when and answer"},
		"a token without a secret":  {func(m *mapped.Mapping) { m.Handshake.Get.Secrets = nil }, "handshake.get.secrets: one"},
		"a token without a name":    {func(m *mapped.Mapping) { m.Handshake.Get.Token = "" }, "handshake.get.token: is missing"},
		"a token for no answer":     {func(m *mapped.Mapping) { m.Handshake.Get.Answer = "" }, "handshake.get.answer: is missing"},
		"no secret":                 {func(m *mapped.Mapping) { m.Verify.HMAC.Secrets = nil }, "verify.hmac.secrets: one"},
		"an empty secret":           {func(m *mapped.Mapping) { m.Verify.HMAC.Secrets[1] = "" }, "verify.hmac.secrets[1]: is empty"},
		"no header":                 {func(m *mapped.Mapping) { m.Verify.HMAC.Header = "" }, "verify.hmac.header: is missing"},
		"an algorithm":              {func(m *mapped.Mapping) { m.Verify.HMAC.Algorithm = "md5" }, "verify.hmac.algorithm: must be"},
		"an encoding":               {func(m *mapped.Mapping) { m.Verify.HMAC.Encoding = "base32" }, "verify.hmac.encoding: must be"},
		"a body that is not signed": {func(m *mapped.Mapping) { m.Verify.HMAC.Signed = "{timestamp}" }, "verify.hmac.signed: {body} must"},
		"a time that is not signed": {func(m *mapped.Mapping) { m.Verify.HMAC.Signed = "{body}" }, "verify.hmac.signed: {timestamp} is not signed"},
		"a time from nowhere":       {func(m *mapped.Mapping) { m.Verify.HMAC.TimestampPart = "" }, "verify.hmac.signed: {timestamp} needs"},
		"a time in two places":      {func(m *mapped.Mapping) { m.Verify.HMAC.TimestampHeader = "X-Time" }, "verify.hmac.timestamp_part: the time stands in one"},
		"a time beside no part":     {func(m *mapped.Mapping) { m.Verify.HMAC.Part = "" }, "verify.hmac.part: is missing"},
		"a URL that is not known":   {func(m *mapped.Mapping) { m.Verify.HMAC.Signed += "{url}" }, "verify.hmac.url: is missing"},
		"what is not known":         {func(m *mapped.Mapping) { m.Verify.HMAC.Signed += "{nonce}" }, "verify.hmac.signed: {nonce} is none"},
		"a negative tolerance":      {func(m *mapped.Mapping) { m.Verify.HMAC.Tolerance = -time.Second }, "verify.hmac.tolerance: must not"},
		"a Standard Webhooks secret": {func(m *mapped.Mapping) {
			m.Verify = mapped.Verify{StandardWebhooks: mapped.StandardWebhooks{Secrets: []string{"whsec_%"}}}
		}, "verify.standard_webhooks.secrets[0]: must be"},
		"a header without a name": {func(m *mapped.Mapping) { m.Verify = mapped.Verify{Header: mapped.Token{Secrets: []string{"x"}}} }, "verify.header.name: is missing"},
		"a query without secrets": {func(m *mapped.Mapping) { m.Verify = mapped.Verify{Query: mapped.Token{Name: "token"}} }, "verify.query.secrets: one"},
		"a user without a name":   {func(m *mapped.Mapping) { m.Verify = mapped.Verify{Basic: mapped.Basic{Passwords: []string{"x"}}} }, "verify.basic.username: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			in := mapped.Inbox{Tenant: "lumen", Inbox: "shop", Mapping: shop()}
			if problems := in.Verify(); len(problems) > 0 {
				t.Fatal(problems)
			}
			if c.change == nil {
				in.Tenant = "a/b"
			} else {
				c.change(&in.Mapping)
			}
			var told []string
			for _, p := range in.Verify() {
				told = append(told, p.Field+": "+p.Reason)
			}
			if !strings.HasPrefix(strings.Join(told, "\n"), c.want) && !strings.Contains(strings.Join(told, "\n"), "\n"+c.want) {
				t.Errorf("got %q, want %q", told, c.want)
			}
			if _, err := mapped.New(mapped.Config{Mux: http.NewServeMux(), Inboxes: []mapped.Inbox{in}}); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("New: %v", err)
			}
		})
	}
	twice := mapped.Inbox{Tenant: "lumen", Inbox: "shop", Mapping: shop()}
	if _, err := mapped.New(mapped.Config{Inboxes: []mapped.Inbox{twice, twice}}); err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), "mux") {
		t.Error(err)
	}
}

// What an expression gives is always the same: numbers are whole, maps have an order, and there is no clock.
func TestExpressionsGiveTheSameEachTime(t *testing.T) {
	const body = `{"id": 820982911946154508, "large": 18446744073709551615, "price": 59.90, "tags": {"z": 1, "a": {"n": [true, null]}, "m": 3}, "list": ["b", "a"], "text": "Grüße <b>", "at": 1772182800, "inner": "{\"x\":1}"}`
	for expression, want := range map[string]string{
		`body.id`:                       "820982911946154508",
		`string(body.id)`:               "820982911946154508",
		`body.large`:                    "18446744073709551615",
		`body.price`:                    "59.9",
		`body.tags.map(k, k).join(",")`: "a,m,z",
		`{"y": 1, "x": 2, "w": 3}.map(k, k).join()`:                   "wxy",
		`{"y": body.id, "x": body.id, "w": body.at}.map(k, k).join()`: "wxy",
		`to_json(body.tags)`: `{"z":1,"a":{"n":[true,null]},"m":3}`,
		`to_json({"b": body.text, "a": [1u, 2.5, null, optional.of(1)], "c": timestamp(body.at)})`: `{"a":[1,2.5,null,1],"b":"Grüße <b>","c":"2026-02-27T09:00:00Z"}`,
		`string(timestamp(body.at))`:            "2026-02-27T09:00:00Z",
		`body.?missing.?deeper.orValue("none")`: "none",
		`body.list.sort().join("+")`:            "a+b",
		`parse_json(body.inner).x`:              "1",
		`body.text.lowerAscii().split(" ")[0]`:  "grüße",
		`base64.encode(b"x")`:                   "eA==",
		`cel.bind(x, body.price, x * 2.0)`:      "119.8",
		`body.price > 59 ? "dear" : "cheap"`:    "dear",
		`body.list.exists(x, x == "a")`:         "true",
		`body.tags.a.n[?7].orValue("no")`:       "no",
	} {
		for range 20 {
			got, reason := read(t, one(mapped.Event{Type: "note.added", Text: expression}), body)
			if len(got) != 1 || got[0].GetContent().GetNoteAdded().GetText() != want {
				t.Errorf("%s: %v %s, want %s", expression, got, reason, want)
				break
			}
		}
	}
}

func TestAMappingThatFailsSaysWhereAndWhy(t *testing.T) {
	numbers := strings.TrimSuffix(strings.Repeat("1,", 3000), ",")
	for name, c := range map[string]struct {
		event mapped.Event
		body  string
		want  string
	}{
		"a field that is missing":    {mapped.Event{Type: "ext.shop.x", Thread: `"t/" + body.id`, NativeID: "body.id"}, `{}`, "events[0].thread: column 12: no such key: id"},
		"in the second line":         {mapped.Event{Type: "ext.shop.x", Thread: "\"t/\" +\n body.id", NativeID: "body.id"}, `{}`, "events[0].thread: line 2, column 6: no such key: id"},
		"no text":                    {mapped.Event{Type: "ext.shop.x", Thread: "body.id", NativeID: "body.id"}, `{"id":[1]}`, "events[0].thread: it gives a list and must give a text"},
		"nothing":                    {mapped.Event{Type: "ext.shop.x", Thread: "body.id", NativeID: "body.id"}, `{"id":null}`, "events[0].thread: it gives nothing"},
		"no condition":               {mapped.Event{When: "body.id", Type: "ext.shop.x"}, `{"id":1}`, "events[0].when: it gives a int and must give true or false"},
		"a type that is none":        {mapped.Event{Type: "body.type"}, `{"type":"order"}`, "type is neither a registered type nor of the form"},
		"a time that is none":        {mapped.Event{Type: "ext.shop.x", OccurredAt: "body.at"}, `{"at":17}`, `events[0].occurred_at: it gives "17" and must give a timestamp`},
		"a word that is none":        {mapped.Event{Type: "ext.shop.x", Channel: "body.by"}, `{"by":"fax"}`, `events[0].channel: it gives "fax" and must give one of voice, web_chat`},
		"too much work":              {mapped.Event{Type: "ext.shop.x", Thread: `string(body.list.all(a, body.list.all(b, a == b)))`, NativeID: `"n"`}, `{"list":[` + numbers + `]}`, "events[0].thread: it takes too much work"},
		"a body too deep":            {mapped.Event{Type: "ext.shop.x"}, strings.Repeat("[", 2000) + strings.Repeat("]", 2000), "the body is more than 1000 levels deep"},
		"a body far too deep":        {mapped.Event{Type: "ext.shop.x"}, strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "the body is no JSON: "},
		"a number that is too large": {mapped.Event{Type: "ext.shop.x"}, `{"n":1e999}`, "the body holds the number 1e999, which does not fit"},
		"a text that is no text":     {mapped.Event{Type: "ext.shop.x"}, "\"\xff\"", "the body is not valid UTF-8"},
		"an id of 10 kB":             {mapped.Event{Type: "ext.shop.x", Thread: "body.id", NativeID: `"n"`}, `{"id":"` + strings.Repeat("x", 10_000) + `"}`, "thread"},
		"a whole number that is none": {
			mapped.Event{Type: "queue.entered", Content: map[string]any{"queue_entered": map[string]any{"priority": "body.p"}}},
			`{"p":1.5}`, `events[0].content.queue_entered.priority: it gives "1.5" and must give a whole number`,
		},
		"a map with a field that is none": {
			mapped.Event{Type: "message.received", Text: `"x"`, Content: map[string]any{"attachments": "body.files"}},
			`{"files":[{"title":"x"}]}`, `events[0].content.attachments: attachments[0]: there is no field "title" to set; there are name, inline`,
		},
		"a map that sets a blob": {
			mapped.Event{Type: "message.received", Text: `"x"`, Content: map[string]any{"attachments": "body.files"}},
			`{"files":[{"blob":{"key":"lumen/x"}}]}`, `there is no field "blob" to set`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := read(t, one(c.event), c.body)
			if len(got) > 0 || !strings.Contains(reason, c.want) {
				t.Errorf("%d events, %q; want %q", len(got), reason, c.want)
			}
		})
	}
}

func TestContentIsDescribedFieldByField(t *testing.T) {
	for name, c := range map[string]struct {
		event mapped.Event
		want  string // JSON of the submission's content
	}{
		"a message": {mapped.Event{Type: "message.received", Content: map[string]any{
			"message_received": map[string]any{"subject": "body.subject", "bulk": true, "references": []any{"body.id", `"x"`, "body.?no"}, "location": map[string]any{"latitude": "body.lat", "longitude": 13, "label": `"Berlin"`}, "template_parameters": map[string]any{"1": "body.id", "2": "body.?no"}},
			"attachments":      []any{map[string]any{"name": "body.file", "source": `"https://shop.example/" + body.file`, "inline": "body.?no"}},
		}}, `{"messageReceived":{"subject":"Hi","references":["17","x"],"bulk":true,"location":{"latitude":52.5,"longitude":13,"label":"Berlin"},"templateParameters":{"1":"17"}},"attachments":[{"name":"a.pdf","source":"https://shop.example/a.pdf"}]}`},
		"a form of any fields": {
			mapped.Event{Type: "form.submitted", Content: map[string]any{"form_submitted": map[string]any{"form": `"order"`, "fields": "body.fields"}}},
			`{"formSubmitted":{"form":"order","fields":{"size":"7","gift":"true","note":"x"}}}`,
		},
		"durations and times": {
			mapped.Event{Type: "recording.available", Content: map[string]any{"recording_available": map[string]any{"started_at": "body.at", "duration": "body.seconds", "sound_channels": 2}}},
			`{"recordingAvailable":{"startedAt":"2026-02-27T09:00:00.500Z","duration":"90.500s","soundChannels":2}}`,
		},
		"a duration of CEL": {
			mapped.Event{Type: "voicemail.left", Content: map[string]any{"voicemail_left": map[string]any{"duration": `duration("90s")`}}},
			`{"voicemailLeft":{"duration":"90s"}}`,
		},
		"a list of messages": {
			mapped.Event{Type: "transcript.available", Parties: []mapped.Party{{Email: `"a@example.com"`}}, Content: map[string]any{"transcript_available": map[string]any{"segments": `body.said.map(s, {"text": s, "party": 0, "start": duration("1s")})`}}},
			`{"transcriptAvailable":{"segments":[{"start":"1s","text":"Hello"},{"start":"1s","text":"Bye"}]}}`,
		},
		"a message of a map": {
			mapped.Event{Type: "message.edited", Content: map[string]any{"message_edited": map[string]any{"message": "body.id", "edited": `{"text": "new"}`}}},
			`{"messageEdited":{"message":"17","edited":{"text":"new"}}}`,
		},
		"an extension": {
			mapped.Event{Type: "ext.shop.x", Content: map[string]any{"extension": map[string]any{"media_type": `"text/plain"`, "data": `"x"`}}},
			`{"extension":{"mediaType":"text/plain","data":"eA=="}}`,
		},
		"an enum by a word and by an expression": {
			mapped.Event{Type: "call.failed", Content: map[string]any{"call_failed": map[string]any{"failure": `body.busy ? "busy" : "error"`, "provider_reason": "body.lat"}}},
			`{"callFailed":{"failure":"CALL_FAILURE_BUSY","providerReason":"52.5"}}`,
		},
		"a text beside content": {
			mapped.Event{Type: "message.received", Text: "body.subject", Content: map[string]any{"message_received": map[string]any{"payload": "body.id"}}},
			`{"messageReceived":{"text":"Hi","payload":"17"}}`,
		},
		"no body": {mapped.Event{Type: "interaction.ended"}, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			const body = `{"id": 17, "subject": "Hi", "lat": 52.5, "file": "a.pdf", "fields": {"size": 7, "gift": true, "note": "x", "none": null}, "at": "2026-02-27T10:00:00.5+01:00", "seconds": 90.5, "said": ["Hello", "Bye"], "busy": true}`
			got, reason := read(t, one(c.event), body)
			if len(got) != 1 {
				t.Fatal(reason)
			}
			want := &eventv1.Content{}
			if err := protojson.Unmarshal([]byte(c.want), want); err != nil {
				t.Fatal(err)
			}
			if protojson.Format(got[0].GetContent()) != protojson.Format(want) {
				t.Errorf("got %s", protojson.Format(got[0].GetContent()))
			}
		})
	}
}

// What a person typed is shown, and does not cost the event; nobody is left out.
func TestPartiesAreWhoTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		party mapped.Party
		want  string
	}{
		"a mail address":       {mapped.Party{Email: "body.email", Name: "body.name", Role: "sender"}, "customer sender: Anna@Example.com Anna"},
		"a number of a region": {mapped.Party{Phone: "body.phone", Region: "body.country"}, "customer unspecified: 030 901820 "},
		"no number":            {mapped.Party{Phone: "body.junk"}, "customer unspecified:  call me"},
		"no number, a name":    {mapped.Party{Phone: "body.junk", Name: "body.name"}, "customer unspecified:  Anna"},
		"none at all":          {mapped.Party{Phone: "body.?no"}, ""},
		"a name alone":         {mapped.Party{Name: "body.name", Side: "company", Role: "to"}, "company to:  Anna"},
		"only under condition": {mapped.Party{When: "body.id > 17", Name: "body.name"}, ""},
		"an identifier":        {mapped.Party{Identifier: "body.id"}, "customer unspecified: 17 "},
		"a user":               {mapped.Party{Social: "body.id", Namespace: `"shop/" + body.name`, Side: `body.id == 17 ? "customer" : "company"`}, "customer unspecified: 17 "},
	} {
		const body = `{"id": 17, "email": " Anna@Example.com ", "name": "Anna", "phone": "030 901820", "country": "de", "junk": "call me"}`
		got, reason := read(t, one(mapped.Event{Type: "ext.shop.x", Parties: []mapped.Party{c.party}}), body)
		if len(got) != 1 {
			t.Errorf("%s: %s", name, reason)
			continue
		}
		text := channeltest.Transcript([]channeltest.Event{{Submission: &eventv1.Submission{Parties: got[0].GetParties()}}})
		_, text, _ = strings.Cut(text, "\n")
		if strings.Trim(text, " \n") != strings.Trim(c.want, " ") {
			t.Errorf("%s: got %q", name, text)
		}
	}
	long := `{"name": "` + strings.Repeat("长", 600) + `"}`
	if got, reason := read(t, one(mapped.Event{Type: "ext.shop.x", Parties: []mapped.Party{{Name: "body.name"}}}), long); len(got) != 1 || len([]rune(got[0].GetParties()[0].GetDisplayName())) != 512 {
		t.Error(got, reason)
	}
}

func TestTwoRulesMayNotGiveOneEvent(t *testing.T) {
	m := one(mapped.Event{Type: "note.added", Text: "body.a"})
	m.Events = append(m.Events, m.Events[0])
	if got, reason := read(t, m, `{"a":"x"}`); len(got) != 1 || reason != "" { // the same twice is once
		t.Error(got, reason)
	}
	m.Events[1].Text = "body.b"
	if got, reason := read(t, m, `{"a":"x","b":"y"}`); len(got) != 1 || !strings.Contains(reason, "events[1] gives another event than events[0]") {
		t.Error(got, reason)
	}
}

func TestEveryWayToVerify(t *testing.T) {
	at := fmt.Sprint(noon.Unix())
	set := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	hmacOf := func(h mapped.HMAC) mapped.Verify {
		h.Secrets = []string{secret}
		return mapped.Verify{HMAC: h}
	}
	// Signatures of {"a":1} with the key s3cret, computed by openssl dgst.
	const body = `{"a":1}`
	for name, c := range map[string]struct {
		verify    mapped.Verify
		good, bad func(r *http.Request)
	}{
		"bearer": {mapped.Verify{Bearer: mapped.Secrets{Secrets: []string{"x", secret}}}, set("Authorization", "bearer "+secret), set("Authorization", "Basic "+secret)},
		"basic": {
			mapped.Verify{Basic: mapped.Basic{Username: "shop", Passwords: []string{secret}}},
			func(r *http.Request) { r.SetBasicAuth("shop", secret) }, func(r *http.Request) { r.SetBasicAuth("other", secret) },
		},
		"header": {mapped.Verify{Header: mapped.Token{Name: "X-Gitlab-Token", Secrets: []string{secret}}}, set("X-Gitlab-Token", secret), set("X-Gitlab-Token", "")},
		"query": {
			mapped.Verify{Query: mapped.Token{Name: "token", Secrets: []string{secret}}},
			func(r *http.Request) { r.URL.RawQuery = "token=" + secret }, func(r *http.Request) { r.URL.RawQuery = "token=" },
		},
		"hex":    {hmacOf(mapped.HMAC{Header: "X-S"}), set("X-S", "@sha256:hex"), set("X-S", "@sha1:hex")},
		"sha1":   {hmacOf(mapped.HMAC{Header: "X-S", Algorithm: "sha1", Prefix: "sha1="}), set("X-S", "sha1=@sha1:hex"), set("X-S", "@sha1:hex")},
		"sha512": {hmacOf(mapped.HMAC{Header: "X-S", Algorithm: "sha512", Encoding: "base64"}), set("X-S", "@sha512:base64"), set("X-S", "@sha512:hex")},
		"with method and URL": {
			hmacOf(mapped.HMAC{Header: "X-S", Signed: "{method}{url}{body}", URL: "https://skein.example/"}),
			set("X-S", "@sha256:hex:POSThttps://skein.example"+path+body), set("X-S", "@sha256:hex"),
		},
		"with a time": {
			hmacOf(mapped.HMAC{Header: "X-S", Signed: "{timestamp}.{body}", TimestampHeader: "X-T"}),
			func(r *http.Request) {
				r.Header.Set("X-T", at)
				r.Header.Set("X-S", "@sha256:hex:"+at+"."+body)
			},
			func(r *http.Request) {
				old := fmt.Sprint(noon.Add(-6 * time.Minute).Unix())
				r.Header.Set("X-T", old)
				r.Header.Set("X-S", "@sha256:hex:"+old+"."+body)
			},
		},
		"with a time in words": {
			hmacOf(mapped.HMAC{Header: "X-S", Signed: "{timestamp}{body}", TimestampHeader: "X-T", Encoding: "base64", Tolerance: time.Hour}),
			func(r *http.Request) {
				r.Header.Set("X-T", "2026-02-27T12:59:00Z")
				r.Header.Set("X-S", "@sha256:base64:2026-02-27T12:59:00Z"+body)
			},
			func(r *http.Request) {
				r.Header.Set("X-T", "soon")
				r.Header.Set("X-S", "@sha256:base64:soon"+body)
			},
		},
		"with milliseconds": {
			hmacOf(mapped.HMAC{Header: "X-S", Signed: "{timestamp}{body}", TimestampHeader: "X-T"}),
			func(r *http.Request) {
				r.Header.Set("X-T", at+"123")
				r.Header.Set("X-S", "@sha256:hex:"+at+"123"+body)
			},
			set("X-S", "@sha256:hex:"+body),
		},
		"Standard Webhooks": {
			mapped.Verify{StandardWebhooks: mapped.StandardWebhooks{Secrets: []string{"whsec_AAAA", "whsec_" + base64.StdEncoding.EncodeToString([]byte(secret))}}},
			func(r *http.Request) {
				r.Header.Set("Webhook-Id", "m-1")
				r.Header.Set("Webhook-Timestamp", at)
				r.Header.Set("Webhook-Signature", "v1,AAAA v1,@sha256:base64:m-1."+at+"."+body)
			},
			func(r *http.Request) {
				r.Header.Set("Webhook-Id", "m-2")
				r.Header.Set("Webhook-Timestamp", at)
				r.Header.Set("Webhook-Signature", "v1,@sha256:base64:m-1."+at+"."+body)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := one(mapped.Event{Type: "ext.shop.x"})
			m.Verify = c.verify
			h, _ := open(t, channeltest.NewHost(), m)
			for want, change := range map[int]func(r *http.Request){http.StatusOK: c.good, http.StatusUnauthorized: c.bad} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
				change(r)
				signHeaders(r, body)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != want {
					t.Errorf("%d, want %d: %v", w.Code, want, r.Header)
				}
			}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))); w.Code != http.StatusUnauthorized {
				t.Error("unsigned:", w.Code)
			}
		})
	}
}
