package pubsub

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/skein-cx/skein/pkg/eventlog"
)

const (
	// KeyMetadata is the name in a message's metadata under which the record's key stands. Messages of one key keep their
	// order. Without it, a published message gets its UUID as key.
	KeyMetadata = "skein_key"
	// UUIDHeader is the record's header that holds the message's UUID, as in Watermill's own Kafka Pub/Sub. The other
	// headers are the metadata.
	UUIDHeader = "_watermill_message_uuid"
)

// FromRecord makes a message of a record: the value is the payload, headers are metadata (the last one of a name counts),
// and so is the key. Where no header holds the UUID, because the record was not written by Watermill, the UUID is the
// record's position. The payload is the record's value, not a copy.
func FromRecord(r eventlog.Record) *message.Message {
	m := message.NewMessage("", r.Value)
	for _, h := range r.Headers {
		if h.Key == UUIDHeader {
			m.UUID = string(h.Value)
		} else {
			m.Metadata.Set(h.Key, string(h.Value))
		}
	}
	if m.UUID == "" {
		m.UUID = r.String()
	}
	if len(r.Key) > 0 {
		m.Metadata.Set(KeyMetadata, string(r.Key))
	}
	return m
}

// ToMessage makes of a message what is appended to a topic.
func ToMessage(topic string, m *message.Message) eventlog.Message {
	out := eventlog.Message{Topic: topic, Value: m.Payload, Headers: []eventlog.Header{{Key: UUIDHeader, Value: []byte(m.UUID)}}}
	for name, value := range m.Metadata {
		if name == KeyMetadata {
			out.Key = []byte(value)
		} else {
			out.Headers = append(out.Headers, eventlog.Header{Key: name, Value: []byte(value)})
		}
	}
	if len(out.Key) == 0 {
		out.Key = []byte(m.UUID)
	}
	return out
}

type recordKey struct{}

// RecordOf is the record that a message was made of, by the message's context. It is false for a message that does not
// come from a Subscriber. The record must not be changed.
func RecordOf(ctx context.Context) (eventlog.Record, bool) {
	r, ok := ctx.Value(recordKey{}).(eventlog.Record)
	return r, ok
}
