package sink

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestFieldsHaveTheNumbersOfTheProto(t *testing.T) {
	for m, fields := range map[proto.Message]map[string]protowire.Number{
		&eventv1.Event{}: {
			"id": fieldID, "tenant": fieldTenant, "type": fieldType, "occurred_at": fieldOccurredAt, "received_at": fieldReceivedAt,
			"thread_id": fieldThreadID, "parties": fieldParties, "channel": fieldChannel, "direction": fieldDirection, "actor": fieldActor,
			"provider": fieldProvider, "inbox": fieldInbox, "content": fieldContent, "digest": fieldDigest, "schema_version": fieldSchemaVersion,
			"origin": fieldOrigin, "interaction_id": fieldInteractionID, "queue": fieldQueue, "visit_id": fieldVisitID,
			"assignment_id": fieldAssignmentID, "language": fieldLanguage, "causation_id": fieldCausationID,
			"correlation_id": fieldCorrelationID, "backfill": fieldBackfill, "seal": fieldSeal,
		},
		&eventv1.Party{}:         {"endpoint_id": partyEndpoint, "side": partySide},
		&eventv1.Actor{}:         {"kind": actorKind, "id": actorID},
		&timestamppb.Timestamp{}: {"seconds": timeSeconds, "nanos": timeNanos},
		&eventv1.Content{}:       {"attachments": fieldAttachments},
		&eventv1.Message{}: {
			"subject": fieldSubject, "text": fieldText, "auto_reply": fieldAutoReply, "bulk": fieldBulk, "template": fieldTemplate,
		},
		&eventv1.MessageEdited{}: {"edited": fieldEdited},
	} {
		for name, number := range fields {
			if f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)); f == nil || f.Number() != number {
				t.Errorf("%T: %s is %v", m, name, f)
			}
		}
	}
}

func TestTheLastSecondIsThatOfTheLastYear(t *testing.T) {
	if last := time.Unix(lastSecond, 0).UTC(); last.Year() != maxYear || last.Add(time.Second).Year() != maxYear+1 {
		t.Error(last)
	}
}

const someID = "0192f0c1-2b3c-8d4e-9f50-61728394a5b6"

func someEvent() *eventv1.Event {
	return &eventv1.Event{
		Id: someID, Tenant: "acme", Type: "message.received", OccurredAt: &timestamppb.Timestamp{Seconds: 1e9, Nanos: 5000},
		ReceivedAt: &timestamppb.Timestamp{Seconds: 1e9}, ThreadId: someID,
		Parties: []*eventv1.Party{{EndpointId: someID, Kind: 1, Role: 1, Side: 1}, {Side: 2}}, Channel: 3, Direction: 1, Origin: 4,
		Actor: &eventv1.Actor{Kind: 2, Id: "ann"}, Provider: "smtp", Inbox: "help@acme.example", Content: []byte{0x12, 1, 'x'}, Digest: []byte("d"),
		SchemaVersion: 300, InteractionId: someID, Queue: "billing", VisitId: someID, AssignmentId: someID, Language: "de", CausationId: someID,
		CorrelationId: "c", Backfill: true, Seal: "k",
	}
}

func TestAPlainEventIsReadQuickly(t *testing.T) {
	value, err := event.Encode(someEvent())
	if err != nil {
		t.Fatal(err)
	}
	d := newDecoder(event.TopicInteractions, 1, kinds())
	var quick, thorough row
	a, ok := d.quick(value, []byte(someID), &quick, interner{})
	b, also := d.thorough(value, []byte(someID), &thorough)
	if !ok || !also || !reflect.DeepEqual(quick, thorough) || !bytes.Equal(a, b) {
		t.Errorf("%v, %v:\n%+v\n%+v", ok, also, quick, thorough)
	}
}

// FuzzQuick holds the quick way to the thorough one: what it reads, that reads alike.
func FuzzQuick(f *testing.F) {
	add := func(change func(*eventv1.Event)) {
		e := someEvent()
		change(e)
		value, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		for topic := range len(topics()) {
			f.Add(value, []byte(someID), uint8(topic))
			f.Add(value, []byte("ann"), uint8(topic))
			f.Add(value, []byte("acme"), uint8(topic))
		}
	}
	add(func(*eventv1.Event) {})
	add(func(e *eventv1.Event) { e.OccurredAt.Seconds = lastSecond + 1 })
	add(func(e *eventv1.Event) { e.OccurredAt.Nanos = -1 })
	add(func(e *eventv1.Event) { e.ReceivedAt.Seconds = -1 })
	add(func(e *eventv1.Event) { e.Tenant = strings.Repeat("a", maxTenant+1) })
	add(func(e *eventv1.Event) { e.ThreadId = strings.ToUpper(someID) })
	add(func(e *eventv1.Event) { e.Channel, e.Origin, e.Actor = -1, 1000, nil })
	add(func(e *eventv1.Event) { e.Parties = make([]*eventv1.Party, event.MaxParties+1) })
	var decoders []*decoder
	for _, topic := range topics() {
		decoders = append(decoders, newDecoder(topic, 1, nil))
	}
	f.Fuzz(func(t *testing.T, value, key []byte, topic uint8) {
		d := decoders[int(topic)%len(decoders)]
		var quick, thorough row
		a, ok := d.quick(value, key, &quick, interner{})
		if !ok {
			return
		}
		b, also := d.thorough(value, key, &thorough)
		if !also || !reflect.DeepEqual(quick, thorough) || !bytes.Equal(a, b) {
			t.Errorf("%v:\n%+v\n%+v", also, quick, thorough)
		}
	})
}
