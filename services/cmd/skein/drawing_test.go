package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

func drawn(t *testing.T, entries ...*timelinev1.Entry) string {
	t.Helper()
	var b bytes.Buffer
	d := newDrawing(&b, 60, false)
	d.zone = time.UTC
	for _, e := range entries {
		if err := d.entry(e); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func entry(minute int, e *eventv1.Event, c *eventv1.Content) *timelinev1.Entry {
	e.OccurredAt = timestamppb.New(time.Date(2026, 3, 2, 23, 58, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute))
	return &timelinev1.Entry{Event: e, Content: c}
}

func parties(names ...string) []*eventv1.PartyDetail {
	var details []*eventv1.PartyDetail
	for _, n := range names {
		details = append(details, &eventv1.PartyDetail{DisplayName: n})
	}
	return details
}

func TestATimelineIsDrawn(t *testing.T) {
	received := &eventv1.Event{Type: "message.received", Channel: eventv1.Channel_CHANNEL_EMAIL, Direction: eventv1.Direction_DIRECTION_INBOUND}
	sent := &eventv1.Event{Type: "message.sent", Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_OUTBOUND}
	call := &eventv1.Event{Type: "call.failed", Channel: eventv1.Channel_CHANNEL_VOICE, Parties: []*eventv1.Party{{}}}
	sealed := &eventv1.Event{Type: "note.added", Channel: eventv1.Channel_CHANNEL_TASK, Seal: "key-1", Inbox: "desk"}
	got := drawn(t,
		entry(0, received, &eventv1.Content{
			Parties: parties("Anna Weber", "Support", "Sales", "Tom"),
			Attachments: []*eventv1.Attachment{
				{Name: "photo.jpg", Blob: &eventv1.Blob{Size: 2_500_000}}, {Blob: &eventv1.Blob{MediaType: "text/calendar", Size: 2048}},
			},
			Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
				Subject: "A subject that is much too long for one line of a terminal of sixty columns",
				Text:    "A line that has to be wrapped because the terminal has sixty columns only.\n\n" + strings.Repeat("More.\n", 20), QuotedText: "> x", Bulk: true,
			}},
		}),
		entry(1, sent, &eventv1.Content{
			Parties: parties("小林", "李娜"),
			Body:    &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "我们联系了快递公司,包裹放在了小区东门的驿站,取件码 5-2-0917。给您添麻烦了,非常抱歉。"}},
		}),
		entry(3, call, &eventv1.Content{Parties: []*eventv1.PartyDetail{{}}, Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{
			Failure: eventv1.CallFailure_CALL_FAILURE_BUSY, ProviderReason: "486",
		}}}),
		entry(4, sealed, nil),
	)
	golden := filepath.Join("testdata", "timeline.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAChangeOfWhatBelongsIsDrawn(t *testing.T) {
	var b bytes.Buffer
	d := newDrawing(&b, 60, false)
	if err := d.scopeChanged(&timelinev1.ScopeChanged{Id: "81aa", EndpointsAdded: []string{"01bb"}, ThreadsRemoved: []string{"01cc"}}); err != nil {
		t.Fatal(err)
	}
	want := "\nWhat belongs to 81aa has changed. What comes now is of that; what came before is not shown again.\n       + endpoint 01bb\n       - thread 01cc\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

func TestACustomerAConversationAndAddressesAreAskedForOneAtATime(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"anna@example.com", "--customer", "81aa"},
		{"--customer", "anna@example.com", "--conversation", "01bb"},
		{"--thread", "01cc", "--conversation", "01bb"},
		{"--customer", "anna@example.com", "--as-of", "2026-03-01", "--follow"},
	} {
		cmd := timelineCommand()
		cmd.SetArgs(args)
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "name a") && !strings.Contains(err.Error(), "--follow") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestNothingThatACustomerWritesSteersTheTerminal(t *testing.T) {
	hostile := "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2066\r\x9b31m\x00"
	e := &eventv1.Event{Type: "message.received", Parties: []*eventv1.Party{{}, {}}}
	got := drawn(t, entry(0, e, &eventv1.Content{
		Parties:     parties(hostile, hostile),
		Attachments: []*eventv1.Attachment{{Name: hostile, Blob: &eventv1.Blob{}}},
		Body:        &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Subject: hostile, Text: hostile}},
	}))
	if i := strings.IndexFunc(got, func(r rune) bool {
		return r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069)
	}); i >= 0 {
		t.Errorf("%q at %d", got, i)
	}
}
