package event_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// fromTheFuture are fields that no version knows.
func fromTheFuture(number protowire.Number) []byte {
	b := protowire.AppendTag(nil, number, protowire.BytesType)
	b = protowire.AppendString(b, "from the future")
	b = protowire.AppendTag(b, number+1, protowire.VarintType)
	b = protowire.AppendVarint(b, 1<<40)
	b = protowire.AppendTag(b, number, protowire.Fixed32Type) // the same number again, of another type
	return protowire.AppendFixed32(b, 7)
}

func TestUnknownFieldsAndTypesSurviveByteForByte(t *testing.T) {
	e := compile(t, mail()).Event
	e.Type = "thing.not_yet_invented"
	e.Channel, e.Origin = 77, -1
	e.ProtoReflect().SetUnknown(fromTheFuture(500))
	e.GetActor().ProtoReflect().SetUnknown(fromTheFuture(600))
	e.GetParties()[1].ProtoReflect().SetUnknown(fromTheFuture(700))
	e.GetParties()[1].Kind = 99
	e.GetOccurredAt().ProtoReflect().SetUnknown(fromTheFuture(800))
	record, err := event.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(record, []byte("from the future")); n != 4 {
		t.Fatalf("%d unknown fields were written", n)
	}
	decoded, err := event.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	again, err := event.Encode(decoded)
	if err != nil || !bytes.Equal(again, record) {
		t.Errorf("got %x, %v\nwant %x", again, err, record)
	}
}

func TestARecordThatBreaksARuleIsRefusedByField(t *testing.T) {
	for field, change := range map[string]func(*eventv1.Event){
		"tenant":                 func(e *eventv1.Event) { e.Tenant = "" },
		"type":                   func(e *eventv1.Event) { e.Type = "" },
		"type ":                  func(e *eventv1.Event) { e.Type = "message.received " },
		"id":                     func(e *eventv1.Event) { e.Id = "" },
		"thread_id":              func(e *eventv1.Event) { e.ThreadId = "x" },
		"occurred_at":            func(e *eventv1.Event) { e.OccurredAt = nil },
		"received_at":            func(e *eventv1.Event) { e.ReceivedAt = &timestamppb.Timestamp{Seconds: -1} },
		"parties":                func(e *eventv1.Event) { e.Parties = slices.Repeat(e.GetParties(), 9) },
		"parties[1].endpoint_id": func(e *eventv1.Event) { e.Parties[1].EndpointId = "support@skein.example" },
		"interaction_id":         func(e *eventv1.Event) { e.InteractionId = "x" },
		"visit_id":               func(e *eventv1.Event) { e.VisitId = "x" },
		"assignment_id":          func(e *eventv1.Event) { e.AssignmentId = "x" },
		"causation_id":           func(e *eventv1.Event) { e.CausationId = "x" },
	} {
		e := compile(t, mail()).Event
		change(e)
		record, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		_, err = event.Decode(record)
		var invalid *event.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Violations) != 1 || invalid.Violations[0].Field != strings.TrimSpace(field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	late := compile(t, mail()).Event
	for _, at := range []*timestamppb.Timestamp{{Seconds: 253402300800}, {Nanos: 1e9}, {Nanos: -1}} {
		late.OccurredAt = at
		record, err := event.Encode(late)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := event.Decode(record); !errors.As(err, new(*event.InvalidError)) {
			t.Errorf("%v: %v", at, err)
		}
	}
}

func TestWhatIsNoEventIsToldFromAnEventThatIsWrong(t *testing.T) {
	record, err := event.Encode(compile(t, mail()).Event)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string][]byte{
		"cut":   record[:len(record)-1],
		"text":  []byte("hello"),
		"UTF-8": append(slices.Clone(record), 0x12, 1, 0xff),
	} {
		if _, err := event.Decode(value); err == nil || errors.As(err, new(*event.InvalidError)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := event.Decode(nil); !errors.As(err, new(*event.InvalidError)) {
		t.Errorf("an empty record: %v", err)
	}
	if _, err := event.Encode(&eventv1.Event{Tenant: "\xff"}); err == nil || !strings.HasPrefix(err.Error(), "event: ") {
		t.Errorf("wrong UTF-8 encoded: %v", err)
	}
}

func TestASealedContentIsNotRead(t *testing.T) {
	e := compile(t, mail()).Event
	e.Seal = "key-1"
	if _, err := event.DecodeContent(e); err == nil || !strings.Contains(err.Error(), "key-1") {
		t.Errorf("got %v", err)
	}
	if _, err := event.DecodeContent(&eventv1.Event{Content: []byte{0xff}}); err == nil {
		t.Error("garbage was read as content")
	}
}

// someEvent draws events that Decode takes, with values and fields that no version knows.
func someEvent() *rapid.Generator[*eventv1.Event] {
	id := rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) string { return event.ID(b).String() })
	optionalID := rapid.OneOf(rapid.Just(""), id)
	at := rapid.Custom(func(t *rapid.T) *timestamppb.Timestamp {
		return &timestamppb.Timestamp{
			Seconds: rapid.Int64Range(0, 253402300799).Draw(t, "seconds"),
			Nanos:   rapid.Int32Range(0, 999_999_999).Draw(t, "nanos"),
		}
	})
	number := rapid.OneOf(rapid.Int32Range(0, 12), rapid.Int32())
	return rapid.Custom(func(t *rapid.T) *eventv1.Event {
		future := func(m proto.Message) {
			if rapid.IntRange(0, 4).Draw(t, "future") == 0 {
				m.ProtoReflect().SetUnknown(fromTheFuture(protowire.Number(rapid.Int32Range(100, 1000).Draw(t, "number"))))
			}
		}
		e := &eventv1.Event{
			Id:            id.Draw(t, "id"),
			Tenant:        rapid.StringN(1, 63, -1).Draw(t, "tenant"),
			Type:          rapid.OneOf(rapid.Just("message.received"), rapid.Just("ext.acme.x"), rapid.Just("skein.ext.x"), rapid.StringMatching(`[A-Za-z0-9._-]{1,20}`)).Draw(t, "type"),
			OccurredAt:    at.Draw(t, "occurred"),
			ReceivedAt:    at.Draw(t, "received"),
			ThreadId:      id.Draw(t, "thread"),
			Channel:       eventv1.Channel(number.Draw(t, "channel")),
			Direction:     eventv1.Direction(number.Draw(t, "direction")),
			Provider:      rapid.String().Draw(t, "provider"),
			Inbox:         rapid.String().Draw(t, "inbox"),
			Content:       rapid.SliceOf(rapid.Byte()).Draw(t, "content"),
			Digest:        rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "digest"),
			SchemaVersion: rapid.Uint32().Draw(t, "version"),
			Origin:        eventv1.Origin(number.Draw(t, "origin")),
			InteractionId: optionalID.Draw(t, "interaction"),
			Queue:         rapid.String().Draw(t, "queue"),
			VisitId:       optionalID.Draw(t, "visit"),
			AssignmentId:  optionalID.Draw(t, "assignment"),
			Language:      rapid.String().Draw(t, "language"),
			CausationId:   optionalID.Draw(t, "causation"),
			CorrelationId: rapid.String().Draw(t, "correlation"),
			Backfill:      rapid.Bool().Draw(t, "backfill"),
			Seal:          rapid.String().Draw(t, "seal"),
		}
		for range rapid.IntRange(0, 16).Draw(t, "parties") {
			p := &eventv1.Party{
				EndpointId: optionalID.Draw(t, "endpoint"),
				Kind:       eventv1.EndpointKind(number.Draw(t, "kind")),
				Role:       eventv1.PartyRole(number.Draw(t, "role")),
				Side:       eventv1.Side(number.Draw(t, "side")),
			}
			future(p)
			e.Parties = append(e.Parties, p)
		}
		if rapid.Bool().Draw(t, "has actor") {
			e.Actor = &eventv1.Actor{Kind: eventv1.ActorKind(number.Draw(t, "actor")), Id: rapid.String().Draw(t, "actor id")}
			future(e.Actor)
		}
		future(e)
		future(e.GetOccurredAt())
		future(e.GetReceivedAt())
		return e
	})
}

func TestARecordDecodesToTheEventThatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := someEvent().Draw(t, "event")
		record, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Decode(record)
		if err != nil || !proto.Equal(got, e) {
			t.Fatalf("got %v, %v", got, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := event.Decode(value)
		if err != nil {
			return
		}
		record, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := event.Decode(record)
		if err != nil || !proto.Equal(again, e) {
			t.Fatalf("got %v, %v; want %v", again, err, e)
		}
		if content, err := event.DecodeContent(e); err == nil && content == nil {
			t.Fatal("neither content nor error")
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	e := compile(b, mail()).Event
	record, err := event.Encode(e)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Encode", func(b *testing.B) {
		b.SetBytes(int64(len(record)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Encode(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.SetBytes(int64(len(record)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Decode(record); err != nil {
				b.Fatal(err)
			}
		}
	})
}
