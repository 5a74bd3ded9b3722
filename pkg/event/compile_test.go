package event_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	customer = eventv1.Side_SIDE_CUSTOMER
	company  = eventv1.Side_SIDE_COMPANY
	sender   = eventv1.PartyRole_PARTY_ROLE_SENDER
	to       = eventv1.PartyRole_PARTY_ROLE_TO
)

var (
	occurred = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	received = occurred.Add(700 * time.Millisecond)
)

func compiler(t testing.TB) *event.Compiler {
	t.Helper()
	c, err := event.NewCompiler(fixedKeyring(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func someone(kind eventv1.EndpointKind, value string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{Address: &eventv1.Address{Kind: kind, Value: value}, Role: role, Side: side}
}

// mail is a mail from Anna to the support.
func mail() *eventv1.Submission {
	return &eventv1.Submission{
		Type:          event.TypeMessageReceived,
		OccurredAt:    timestamppb.New(occurred),
		Channel:       eventv1.Channel_CHANNEL_EMAIL,
		Direction:     eventv1.Direction_DIRECTION_INBOUND,
		Origin:        eventv1.Origin_ORIGIN_INBOUND,
		Provider:      "smtp",
		Inbox:         "support",
		Thread:        "<1@example.com>",
		NativeId:      "<1@example.com>",
		Discriminator: []byte{0xde, 0xad},
		Parties: []*eventv1.SubmittedParty{
			{Address: &eventv1.Address{Kind: email, Value: "Anna@Example.com"}, Role: sender, Side: customer, DisplayName: "Anna Berg"},
			someone(email, "support@skein.example", to, company),
		},
		Actor:    &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
		Language: "en",
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Subject: "My order", Text: "Where is it? 我的订单在哪里？",
		}}},
	}
}

func compile(t testing.TB, s *eventv1.Submission) event.Compiled {
	t.Helper()
	c, err := compiler(t).Compile("acme", s, received)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// with changes the mail.
func with(change func(*eventv1.Submission)) *eventv1.Submission {
	s := mail()
	change(s)
	return s
}

func TestASubmissionBecomesAnEvent(t *testing.T) {
	s := mail()
	s.Interaction, s.Visit, s.Assignment = "i1", "v1", "a1"
	s.CausationId = "016D633D-C69A-821F-BC9D-9F47F9B4696E"
	before := proto.CloneOf(s)
	got := compile(t, s)
	if !proto.Equal(s, before) {
		t.Error("the submission was changed")
	}
	ids := fixedKeyring(t).Tenant("acme")
	thread := ids.Thread("support", "<1@example.com>")
	anna := ids.Endpoint(event.Endpoint{Kind: email, Value: "anna@example.com"}).String()
	want := &eventv1.Event{
		Id:         ids.Event(thread, "<1@example.com>", event.TypeMessageReceived, 0, []byte{0xde, 0xad}).String(),
		Tenant:     "acme",
		Type:       event.TypeMessageReceived,
		OccurredAt: timestamppb.New(occurred),
		ReceivedAt: timestamppb.New(received),
		ThreadId:   thread.String(),
		Parties: []*eventv1.Party{
			{EndpointId: anna, Kind: email, Role: sender, Side: customer},
			{EndpointId: ids.Endpoint(event.Endpoint{Kind: email, Value: "support@skein.example"}).String(), Kind: email, Role: to, Side: company},
		},
		Channel:       eventv1.Channel_CHANNEL_EMAIL,
		Direction:     eventv1.Direction_DIRECTION_INBOUND,
		Actor:         &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Id: anna},
		Provider:      "smtp",
		Inbox:         "support",
		SchemaVersion: 1,
		Origin:        eventv1.Origin_ORIGIN_INBOUND,
		InteractionId: ids.Interaction(thread, "i1").String(),
		VisitId:       ids.Visit(thread, "v1").String(),
		AssignmentId:  ids.Assignment(thread, "a1").String(),
		Language:      "en",
		CausationId:   "016d633d-c69a-821f-bc9d-9f47f9b4696e",
	}
	want.Content, want.Digest = got.Event.GetContent(), got.Event.GetDigest()
	if !proto.Equal(got.Event, want) {
		t.Errorf("got  %v\nwant %v", got.Event, want)
	}
	wantContent := &eventv1.Content{
		Parties: []*eventv1.PartyDetail{
			{Address: "anna@example.com", StatedAddress: "Anna@Example.com", DisplayName: "Anna Berg"},
			{Address: "support@skein.example"},
		},
		NativeThread: "<1@example.com>",
		NativeId:     "<1@example.com>",
		Body:         mail().Content.Body,
	}
	content, err := event.DecodeContent(got.Event)
	if err != nil || !proto.Equal(content, wantContent) || !proto.Equal(got.Content, wantContent) {
		t.Errorf("got %v, %v\nwant %v", content, err, wantContent)
	}
	if got.Topic() != event.TopicInteractions || string(got.Key()) != thread.String() {
		t.Errorf("filed in %s under %s", got.Topic(), got.Key())
	}
}

// A record that is written in another way makes every event that is handed in again a conflict with itself.
func TestTheRecordOfASubmissionNeverChanges(t *testing.T) {
	c := compile(t, mail())
	if got, want := hex.EncodeToString(c.Event.GetDigest()), "509a318815cba090e7fc536184b0f439"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	record, err := event.Encode(c.Event)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(record)), "e1b91bf5c0b8edf9d2beca6cadf72096f2dcf3cdc015c8881ed6e49b1fbf182e"; got != want {
		t.Errorf("SHA-256 of the record %s, want %s", got, want)
	}
}

func TestTheSameSubmissionLaterGivesTheSameIdAndDigest(t *testing.T) {
	c := compiler(t)
	for name, s := range map[string]*eventv1.Submission{
		"stated":    mail(),
		"unstated":  with(func(s *eventv1.Submission) { s.OccurredAt = nil }),
		"from 1970": with(func(s *eventv1.Submission) { s.OccurredAt = &timestamppb.Timestamp{Seconds: 1} }),
		"an hour ahead, so plausible the second time": with(func(s *eventv1.Submission) { s.OccurredAt = timestamppb.New(occurred.Add(time.Hour)) }),
	} {
		first, err := c.Compile("acme", s, received)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Compile("acme", s, received.Add(48*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if first.Event.GetId() != again.Event.GetId() || !bytes.Equal(first.Event.GetDigest(), again.Event.GetDigest()) {
			t.Errorf("%s: the second is another event", name)
		}
	}
}

func TestAnotherContentUnderTheSameIdGivesAnotherDigest(t *testing.T) {
	first := compile(t, mail())
	for name, change := range map[string]func(*eventv1.Submission){
		"text":       func(s *eventv1.Submission) { s.GetContent().GetMessageReceived().Text += "!" },
		"time":       func(s *eventv1.Submission) { s.OccurredAt.Nanos++ },
		"no time":    func(s *eventv1.Submission) { s.OccurredAt = nil },
		"name":       func(s *eventv1.Submission) { s.Parties[0].DisplayName = "Berta" },
		"party":      func(s *eventv1.Submission) { s.Parties = s.Parties[:1] },
		"language":   func(s *eventv1.Submission) { s.Language = "zh" },
		"attachment": func(s *eventv1.Submission) { s.Content.Attachments = []*eventv1.Attachment{{Name: "a"}} },
	} {
		other := compile(t, with(change))
		if other.Event.GetId() != first.Event.GetId() || bytes.Equal(other.Event.GetDigest(), first.Event.GetDigest()) {
			t.Errorf("%s: id %s, digest %x", name, other.Event.GetId(), other.Event.GetDigest())
		}
	}
}

func TestTheWayThatAnEventCameGivesNoOtherDigest(t *testing.T) {
	first := compile(t, mail())
	for name, change := range map[string]func(*eventv1.Submission){
		"provider": func(s *eventv1.Submission) { s.Provider = "imap" },
		"original": func(s *eventv1.Submission) { s.Content.Original = &eventv1.Blob{Key: "acme/t/0", Size: 7} },
		"authentication": func(s *eventv1.Submission) {
			s.Content.Authentication = &eventv1.Authentication{Server: "mx.acme.example", Results: []*eventv1.AuthenticationResult{{Method: "dmarc", Result: "pass"}}}
		},
	} {
		other := compile(t, with(change))
		if other.Event.GetId() != first.Event.GetId() || !bytes.Equal(other.Event.GetDigest(), first.Event.GetDigest()) {
			t.Errorf("%s: id %s, digest %x", name, other.Event.GetId(), other.Event.GetDigest())
		}
		if bytes.Equal(must(event.Encode(other.Event)), must(event.Encode(first.Event))) {
			t.Errorf("%s: it is not in the record", name)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestAnImplausibleTimeIsKeptInTheContent(t *testing.T) {
	for name, tt := range map[string]struct {
		stated *timestamppb.Timestamp
		kept   bool // as when it occurred
	}{
		"none":               {nil, false},
		"1999":               {timestamppb.New(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)), false},
		"2000":               {timestamppb.New(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), true},
		"five minutes ahead": {timestamppb.New(received.Add(5 * time.Minute)), true},
		"more than that":     {timestamppb.New(received.Add(5*time.Minute + 1)), false},
		"year 9999":          {timestamppb.New(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), false},
	} {
		t.Run(name, func(t *testing.T) {
			got := compile(t, with(func(s *eventv1.Submission) { s.OccurredAt = tt.stated }))
			want, wantStated := timestamppb.New(received), tt.stated
			if tt.kept {
				want, wantStated = tt.stated, nil
			}
			content, err := event.DecodeContent(got.Event)
			if err != nil || !proto.Equal(got.Event.GetOccurredAt(), want) || !proto.Equal(content.GetStatedAt(), wantStated) {
				t.Errorf("occurred %v, stated %v, %v", got.Event.GetOccurredAt(), content.GetStatedAt(), err)
			}
		})
	}
}

func TestPartiesOfOneEndpointAndSideBecomeOne(t *testing.T) {
	got := compile(t, with(func(s *eventv1.Submission) {
		s.Type = event.TypeTranscriptAvailable
		s.Parties = []*eventv1.SubmittedParty{
			someone(phone, "+49 30 901820", eventv1.PartyRole_PARTY_ROLE_INITIATOR, customer),
			{Role: eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, Side: customer},
			{Address: &eventv1.Address{Kind: phone, Value: "030 901820", Region: "DE"}, Role: to, Side: customer, DisplayName: "Anna"},
			someone(phone, "anonymous", eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, customer),
			someone(phone, "+4930901820", to, company),
			someone(phone, "+4930901821", to, company),
		}
		s.Content = &eventv1.Content{Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{
			Segments: []*eventv1.TranscriptSegment{{Party: 0}, {Party: 1}, {Party: 2}, {Party: 3}, {Party: 4}, {Party: 5}, {Party: -1}},
		}}}
	}))
	var parties []string
	for i, p := range got.Event.GetParties() {
		d := got.Content.GetParties()[i]
		parties = append(parties, fmt.Sprintf("%s %s %s/%s/%s", p.GetRole(), p.GetSide(), d.GetAddress(), d.GetStatedAddress(), d.GetDisplayName()))
		if (p.GetEndpointId() == "") != (d.GetAddress() == "") {
			t.Errorf("party %d: id %q of %q", i, p.GetEndpointId(), d.GetAddress())
		}
	}
	want := []string{
		"PARTY_ROLE_INITIATOR SIDE_CUSTOMER +4930901820/+49 30 901820/Anna",
		"PARTY_ROLE_PARTICIPANT SIDE_CUSTOMER //",
		"PARTY_ROLE_PARTICIPANT SIDE_CUSTOMER /anonymous/",
		"PARTY_ROLE_TO SIDE_COMPANY +4930901820//",
		"PARTY_ROLE_TO SIDE_COMPANY +4930901821//",
	}
	if !slices.Equal(parties, want) {
		t.Errorf("got  %q\nwant %q", parties, want)
	}
	var speakers []int32
	for _, segment := range got.Content.GetTranscriptAvailable().GetSegments() {
		speakers = append(speakers, segment.GetParty())
	}
	if !slices.Equal(speakers, []int32{0, 1, 0, 2, 3, 4, -1}) {
		t.Errorf("the speakers are %v", speakers)
	}
}

func TestATelephoneNumberReadsTheSameHoweverManyWereSeenSince(t *testing.T) {
	c := compiler(t)
	ids := fixedKeyring(t).Tenant("acme")
	for _, region := range []string{"DE", "US", "DE"} {
		s := with(func(s *eventv1.Submission) {
			s.Parties = nil
			for i := range 2000 {
				s.Parties = append(s.Parties, someone(phone, fmt.Sprintf("212 736 %d", 5000+i), to, customer))
				s.Parties[i].Address.Region = region
			}
		})
		for round := range 3 {
			got, err := c.Compile("acme", s, received)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range got.Event.GetParties() {
				e, err := event.Normalise(s.Parties[i].Address)
				if err != nil || p.GetEndpointId() != ids.Endpoint(e).String() || got.Content.GetParties()[i].GetAddress() != e.Value {
					t.Fatalf("round %d: %v reads %v, %v", round, s.Parties[i].Address, got.Content.GetParties()[i], err)
				}
			}
		}
	}
}

func TestTheEnvelopeShowsSixteenPartiesAndTheContentAll(t *testing.T) {
	got := compile(t, with(func(s *eventv1.Submission) {
		s.Parties = nil
		for i := range 312 {
			s.Parties = append(s.Parties, someone(email, fmt.Sprintf("person%d@example.com", i), to, customer))
		}
	}))
	if len(got.Event.GetParties()) != 16 || len(got.Content.GetParties()) != 312 || got.Content.GetParties()[311].GetAddress() != "person311@example.com" {
		t.Errorf("%d parties, %d details", len(got.Event.GetParties()), len(got.Content.GetParties()))
	}
}

func TestAWithheldCustomerActsWithoutAnId(t *testing.T) {
	got := compile(t, with(func(s *eventv1.Submission) {
		s.Parties[0].Address = nil
		s.Parties = append(s.Parties, someone(email, "other@example.com", to, customer))
	}))
	if got.Event.GetActor().GetId() != "" || got.Event.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_CUSTOMER {
		t.Errorf("got %v", got.Event.GetActor())
	}
}

func TestTheTopicDecidesTheKey(t *testing.T) {
	for typ, want := range map[string]string{
		event.TypeCallDialed:           compile(t, mail()).Event.GetThreadId(),
		"ext.acme.thing":               compile(t, mail()).Event.GetThreadId(),
		event.TypeAgentPresenceChanged: "agent-7",
		event.TypeConsentChanged:       "acme",
		event.TypeDirectoryUpdated:     "acme",
	} {
		got := compile(t, with(func(s *eventv1.Submission) {
			s.Type, s.Content = typ, nil
			s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "agent-7"}
		}))
		if string(got.Key()) != want {
			t.Errorf("%s: key %q, want %q", typ, got.Key(), want)
		}
	}
}

func TestEverythingThatIsWrongIsNamed(t *testing.T) {
	blob := func(key string) *eventv1.Blob { return &eventv1.Blob{Key: key} }
	for name, tt := range map[string]struct {
		change func(*eventv1.Submission)
		fields string
	}{
		"type":      {func(s *eventv1.Submission) { s.Type = "message.invented" }, "type"},
		"no type":   {func(s *eventv1.Submission) { s.Type = "" }, "type"},
		"inbox":     {func(s *eventv1.Submission) { s.Inbox = "" }, "inbox"},
		"provider":  {func(s *eventv1.Submission) { s.Provider = "S M T P" }, "provider"},
		"thread":    {func(s *eventv1.Submission) { s.Thread = strings.Repeat("x", 1025) }, "thread"},
		"native id": {func(s *eventv1.Submission) { s.NativeId = "" }, "native_id"},
		"time":      {func(s *eventv1.Submission) { s.OccurredAt = &timestamppb.Timestamp{Nanos: -1} }, "occurred_at"},
		"address":   {func(s *eventv1.Submission) { s.Parties[1].Address.Value = "support" }, "parties[1].address.value"},
		"kind":      {func(s *eventv1.Submission) { s.Parties[0].Address.Kind = 0 }, "parties[0].address.kind"},
		"region": {func(s *eventv1.Submission) {
			s.Parties[0] = someone(phone, "110", to, customer)
			s.Parties[0].Address.Region = "XX"
		}, "parties[0].address.region"},
		"an address as actor": {func(s *eventv1.Submission) { s.Actor.Id = "anna@example.com" }, "actor.id"},
		"no agent": {func(s *eventv1.Submission) {
			s.Type, s.Content, s.Actor = event.TypeAgentHeartbeat, nil, nil
		}, "actor.id"},
		"no body":          {func(s *eventv1.Submission) { s.Content = nil }, "content.message_received"},
		"a note without":   {func(s *eventv1.Submission) { s.Type, s.Content = event.TypeNoteAdded, nil }, "content.note_added"},
		"another type's":   {func(s *eventv1.Submission) { s.Type = event.TypeMessageSent }, "content.message_received"},
		"a foreign type's": {func(s *eventv1.Submission) { s.Type = "ext.acme.x" }, "content.message_received"},
		"spilled":          {func(s *eventv1.Submission) { s.Content.Spilled = blob("acme/x") }, "content.spilled"},
		"another's blob":   {func(s *eventv1.Submission) { s.Content.Original = blob("other/x") }, "content.original.key"},
		"a way out":        {func(s *eventv1.Submission) { s.Content.Original = blob("acme/../other/x") }, "content.original.key"},
		"no key":           {func(s *eventv1.Submission) { s.Content.Attachments = []*eventv1.Attachment{{Blob: blob("")}} }, "content.attachments[0].blob.key"},
		"a speaker too far": {func(s *eventv1.Submission) {
			s.Type = event.TypeTranscriptAvailable
			s.Content.Body = &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{Segments: []*eventv1.TranscriptSegment{{Party: 2}}}}
		}, "content.transcript_available.segments[0].party"},
		"an impossible duration": {func(s *eventv1.Submission) {
			s.Type = event.TypeInteractionEnded
			s.Content.Body = &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{ReopenWindow: &durationpb.Duration{Seconds: 1, Nanos: -1}}}
		}, "content.interaction_ended.reopen_window"},
		"too large": {func(s *eventv1.Submission) {
			s.GetContent().GetMessageReceived().Html = strings.Repeat("x", event.MaxSubmittedContent)
		}, "content"},
		"all at once": {func(s *eventv1.Submission) {
			s.Type, s.Inbox, s.Language = "x", "", "not a language"
			s.Parties[0].Address.Value, s.Parties[1].Address.Value = "anna", "\xff"
			s.GetContent().GetMessageReceived().Text = "\xff"
		}, "content.message_received.text inbox language parties[0].address.value parties[1].address.value type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compiler(t).Compile("acme", with(tt.change), received)
			var invalid *event.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v", err)
			}
			var fields []string
			for _, v := range invalid.Violations {
				fields = append(fields, v.Field)
				if v.Reason == "" || strings.Contains(v.Reason, "regex") || !strings.Contains(err.Error(), v.Field+" "+v.Reason) && len(invalid.Violations) < 5 {
					t.Errorf("%s: %q in %v", v.Field, v.Reason, err)
				}
			}
			slices.Sort(fields)
			if got := strings.Join(fields, " "); got != tt.fields {
				t.Errorf("got %s, want %s", got, tt.fields)
			}
		})
	}
	if _, err := compiler(t).Compile("acme", nil, received); !errors.As(err, new(*event.InvalidError)) {
		t.Errorf("no submission: %v", err)
	}
	if _, err := compiler(t).Compile("", mail(), received); err == nil || errors.As(err, new(*event.InvalidError)) {
		t.Errorf("no tenant: %v", err)
	}
}

func TestWrongUTF8IsNamedWhereverItStands(t *testing.T) {
	const wrong = "a\xffb"
	for field, change := range map[string]func(*eventv1.Submission){
		"inbox":                            func(s *eventv1.Submission) { s.Inbox = wrong },
		"thread":                           func(s *eventv1.Submission) { s.Thread = wrong },
		"native_id":                        func(s *eventv1.Submission) { s.NativeId = wrong },
		"queue":                            func(s *eventv1.Submission) { s.Queue = wrong },
		"interaction":                      func(s *eventv1.Submission) { s.Interaction = wrong },
		"visit":                            func(s *eventv1.Submission) { s.Visit = wrong },
		"assignment":                       func(s *eventv1.Submission) { s.Assignment = wrong },
		"correlation_id":                   func(s *eventv1.Submission) { s.CorrelationId = wrong },
		"parties[0].display_name":          func(s *eventv1.Submission) { s.Parties[0].DisplayName = wrong },
		"parties[0].address.value":         func(s *eventv1.Submission) { s.Parties[0].Address.Value = wrong },
		"content.message_received.subject": func(s *eventv1.Submission) { s.GetContent().GetMessageReceived().Subject = wrong },
		"content.message_received.defects[1]": func(s *eventv1.Submission) {
			s.GetContent().GetMessageReceived().Defects = []string{"fine", wrong}
		},
		"content.attachments[0].name": func(s *eventv1.Submission) { s.Content.Attachments = []*eventv1.Attachment{{Name: wrong}} },
		`content.form_submitted.fields["a"]`: func(s *eventv1.Submission) {
			s.Type = event.TypeFormSubmitted
			s.Content.Body = &eventv1.Content_FormSubmitted{FormSubmitted: &eventv1.FormSubmitted{Fields: map[string]string{"a": wrong}}}
		},
		`content.form_submitted.fields["a\xffb"]`: func(s *eventv1.Submission) {
			s.Type = event.TypeFormSubmitted
			s.Content.Body = &eventv1.Content_FormSubmitted{FormSubmitted: &eventv1.FormSubmitted{Fields: map[string]string{wrong: "a"}}}
		},
	} {
		_, err := compiler(t).Compile("acme", with(change), received)
		var invalid *event.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Violations) != 1 || invalid.Violations[0] != (event.Violation{Field: field, Reason: "is not valid UTF-8"}) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestHalfBuiltSubmissionsAreNoProblem(t *testing.T) {
	for name, change := range map[string]func(*eventv1.Submission){
		"nil party":      func(s *eventv1.Submission) { s.Parties = append(s.Parties, nil) },
		"nil attachment": func(s *eventv1.Submission) { s.Content.Attachments = []*eventv1.Attachment{nil} },
		"nil message":    func(s *eventv1.Submission) { s.Content.Body = &eventv1.Content_MessageReceived{} },
		"nil body":       func(s *eventv1.Submission) { s.Content.Body = (*eventv1.Content_MessageReceived)(nil) },
		"nil segment": func(s *eventv1.Submission) {
			s.Type = event.TypeTranscriptAvailable
			s.Parties = append(s.Parties, s.Parties...)
			s.Content.Body = &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{Segments: []*eventv1.TranscriptSegment{nil}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := compiler(t).Compile("acme", with(change), received)
			if err != nil && !errors.As(err, new(*event.InvalidError)) {
				t.Error(err)
			}
			if err == nil {
				checkCompiled(t, c)
			}
		})
	}
}

func TestFieldsOfLaterVersionsPassThroughTheContent(t *testing.T) {
	unknown := protowire.AppendString(protowire.AppendTag(nil, 9999, protowire.BytesType), "from the future")
	got := compile(t, with(func(s *eventv1.Submission) {
		s.Content.ProtoReflect().SetUnknown(unknown)
		s.GetContent().GetMessageReceived().ProtoReflect().SetUnknown(unknown)
	}))
	content, err := event.DecodeContent(got.Event)
	if err != nil || !bytes.Equal(content.ProtoReflect().GetUnknown(), unknown) || !bytes.Equal(content.GetMessageReceived().ProtoReflect().GetUnknown(), unknown) {
		t.Errorf("got %v, %v", content, err)
	}
}

// checkCompiled checks what holds for every compiled event.
func checkCompiled(t interface{ Fatalf(string, ...any) }, c event.Compiled) {
	record, err := event.Encode(c.Event)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	decoded, err := event.Decode(record)
	if err != nil || !proto.Equal(decoded, c.Event) {
		t.Fatalf("decoded: %v, %v", decoded, err)
	}
	content, err := event.DecodeContent(decoded)
	if err != nil || !proto.Equal(content, c.Content) {
		t.Fatalf("content: %v, %v", content, err)
	}
	if len(c.Event.GetDigest()) != event.DigestSize || c.Topic() == "" || len(c.Key()) == 0 {
		t.Fatalf("digest %x, topic %q, key %q", c.Event.GetDigest(), c.Topic(), c.Key())
	}
	if len(c.Event.GetContent()) > event.MaxContent {
		return // the rules of the proto hold after spilling
	}
	if err := protovalidate.Validate(c.Event); err != nil {
		t.Fatalf("the event breaks a rule of its proto: %v", err)
	}
	if err := protovalidate.Validate(c.Content); err != nil {
		t.Fatalf("the content breaks a rule of its proto: %v", err)
	}
}

// someSubmission draws submissions that are mostly valid.
func someSubmission() *rapid.Generator[*eventv1.Submission] {
	types := append([]event.Type{{Name: "ext.acme.x", Body: "extension"}}, event.Types()...)
	return rapid.Custom(func(t *rapid.T) *eventv1.Submission {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		s := &eventv1.Submission{
			Type:        typ.Name,
			Channel:     eventv1.Channel(rapid.Int32Range(0, 9).Draw(t, "channel")),
			Direction:   eventv1.Direction(rapid.Int32Range(0, 3).Draw(t, "direction")),
			Provider:    rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,10}`).Draw(t, "provider"),
			Inbox:       rapid.StringN(1, 20, -1).Draw(t, "inbox"),
			Thread:      rapid.StringN(1, 20, -1).Draw(t, "thread"),
			NativeId:    rapid.StringN(1, 20, -1).Draw(t, "native id"),
			Ordinal:     rapid.Uint32().Draw(t, "ordinal"),
			Interaction: rapid.StringN(0, 5, -1).Draw(t, "interaction"),
			Actor:       &eventv1.SubmittedActor{Kind: eventv1.ActorKind(rapid.Int32Range(2, 4).Draw(t, "actor")), Id: "a1"},
			Content:     &eventv1.Content{},
		}
		if rapid.Bool().Draw(t, "stated") {
			s.OccurredAt = &timestamppb.Timestamp{Seconds: rapid.Int64Range(-1e9, 4e9).Draw(t, "seconds")}
		}
		body := s.Content.ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
		for i := range body.Len() {
			if string(body.Get(i).Name()) == typ.Body {
				s.Content.ProtoReflect().Mutable(body.Get(i))
			}
		}
		if m := s.GetContent().GetMessageReceived(); m != nil {
			m.Subject, m.Text = rapid.String().Draw(t, "subject"), rapid.String().Draw(t, "text")
		}
		if b := s.GetContent().GetCustomerAttributesUpdated(); b != nil {
			b.Source = "crm"
		}
		if b := s.GetContent().GetCustomerFactRecorded(); b != nil {
			b.Source, b.Kind, b.Id = "shop", "order", "1"
		}
		for range rapid.IntRange(0, 20).Draw(t, "parties") {
			s.Parties = append(s.Parties, &eventv1.SubmittedParty{
				Address:     someAddress().Draw(t, "address"),
				Role:        eventv1.PartyRole(rapid.Int32Range(0, 11).Draw(t, "role")),
				Side:        eventv1.Side(rapid.Int32Range(0, 2).Draw(t, "side")),
				DisplayName: rapid.StringN(0, 5, -1).Draw(t, "name"),
			})
		}
		return s
	})
}

// dropInvalidParties leaves those parties out that a compiler refuses.
func dropInvalidParties(c *event.Compiler, s *eventv1.Submission) {
	s.Parties = slices.DeleteFunc(s.Parties, func(p *eventv1.SubmittedParty) bool {
		alone := proto.CloneOf(s)
		alone.Parties = []*eventv1.SubmittedParty{p}
		_, err := c.Compile("acme", alone, received)
		return err != nil
	})
}

func TestWhatCompilesIsAValidRecordAndStaysTheSameEvent(t *testing.T) {
	c := compiler(t)
	rapid.Check(t, func(t *rapid.T) {
		s := someSubmission().Draw(t, "submission")
		dropInvalidParties(c, s)
		before := proto.CloneOf(s)
		first, err := c.Compile("acme", s, received)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(s, before) {
			t.Fatal("the submission was changed")
		}
		checkCompiled(t, first)
		again, err := c.Compile("acme", s, received.Add(time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "later"))))
		if err != nil || again.Event.GetId() != first.Event.GetId() || !bytes.Equal(again.Event.GetDigest(), first.Event.GetDigest()) {
			t.Fatalf("again: %v, %v", again.Event, err)
		}
	})
}

func FuzzCompile(f *testing.F) {
	c := compiler(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &eventv1.Submission{}
		if proto.Unmarshal(data, s) != nil {
			return
		}
		compiled, err := c.Compile("acme", s, received)
		if err != nil {
			var invalid *event.InvalidError
			if !errors.As(err, &invalid) || len(invalid.Violations) == 0 {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		checkCompiled(t, compiled)
		if err := event.Spill(&compiled, &eventv1.Blob{Key: "acme/x"}); err != nil {
			t.Fatal(err)
		}
		if len(compiled.Event.GetContent()) > event.MaxContent {
			t.Fatalf("%d bytes after spilling", len(compiled.Event.GetContent()))
		}
		checkCompiled(t, compiled)
	})
}

func BenchmarkCompile(b *testing.B) {
	c := compiler(b)
	call := with(func(s *eventv1.Submission) {
		s.Type, s.Content = event.TypeCallAnswered, nil
		s.Parties = []*eventv1.SubmittedParty{
			someone(phone, "+49 30 901820", eventv1.PartyRole_PARTY_ROLE_INITIATOR, customer),
			someone(phone, "+49 30 901821", eventv1.PartyRole_PARTY_ROLE_RECIPIENT, company),
		}
	})
	for name, s := range map[string]*eventv1.Submission{"mail": mail(), "call": call} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Compile("acme", s, received); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("protovalidate alone", func(b *testing.B) {
		v, err := protovalidate.New(protovalidate.WithMessages(&eventv1.Submission{}))
		if err != nil {
			b.Fatal(err)
		}
		s := mail()
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Validate(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
