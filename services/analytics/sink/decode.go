package sink

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// maxTenant is what keys of the read models hold of a tenant's name, in bytes.
	maxTenant = 63
	// maxYear is the last one that the read models hold.
	maxYear = 2261
)

// row is an event as the tables hold it.
type row struct {
	tenant, typ                                 string
	id, thread, interaction, visit, assignment  uuid.UUID
	endpoint, causation                         uuid.UUID
	endpoints                                   []uuid.UUID
	occurred, received                          int64 // microseconds
	channel, direction, origin, provider, inbox string
	actorKind, actor, queue, language           string
	correlation                                 string
	attachments                                 uint16
	backfill, sealed                            bool
	version                                     uint8
	meaning

	topic     string
	partition int32
	offset    int64
}

// decoder reads the records of a topic. It is safe for concurrent use.
type decoder struct {
	topic      string
	partitions int
	kinds      map[string]*kind

	channels, directions, origins, actors []string
}

func newDecoder(topic string, partitions int, kinds map[string]*kind) *decoder {
	return &decoder{
		topic: topic, partitions: partitions, kinds: kinds,
		channels:   words(eventv1.Channel_name, "CHANNEL_"),
		directions: words(eventv1.Direction_name, "DIRECTION_"),
		origins:    words(eventv1.Origin_name, "ORIGIN_"),
		actors:     words(eventv1.ActorKind_name, "ACTOR_KIND_"),
	}
}

// words are the names of an enum by their numbers, in lower case; that of 0 says nothing.
func words(names map[int32]string, prefix string) []string {
	all := make([]string, len(names))
	for n, name := range names {
		if n > 0 && int(n) < len(all) {
			all[n] = strings.ToLower(strings.TrimPrefix(name, prefix))
		}
	}
	return all
}

func pick[E ~int32](words []string, value E) string {
	if value < 0 || int(value) >= len(words) {
		return ""
	}
	return words[value]
}

// decode reads a record. It is false for one that no read model takes: it is no event, or stands where its key does not belong.
func (d *decoder) decode(r eventlog.Record, out *row, in interner) bool {
	content, ok := d.quick(r.Value, r.Key, out, in)
	if !ok {
		content, ok = d.thorough(r.Value, r.Key, out)
	}
	if !ok || eventlog.Partition(r.Key, d.partitions) != r.Partition {
		return false
	}
	out.partition, out.offset = r.Partition, r.Offset
	if !out.sealed {
		d.readContent(content, out)
	}
	return true
}

// thorough reads the envelope of whatever Protobuf can read, and gives its content.
func (d *decoder) thorough(value, key []byte, out *row) (content []byte, ok bool) {
	e, err := event.Decode(value)
	if err != nil || len(e.GetTenant()) > maxTenant || tooLate(e.GetOccurredAt()) || tooLate(e.GetReceivedAt()) || !d.filed(e, string(key)) {
		return nil, false
	}
	*out = row{
		tenant: e.GetTenant(), typ: e.GetType(), id: id(e.GetId()), thread: id(e.GetThreadId()), interaction: id(e.GetInteractionId()),
		visit: id(e.GetVisitId()), assignment: id(e.GetAssignmentId()), causation: id(e.GetCausationId()),
		occurred: micros(e.GetOccurredAt()), received: micros(e.GetReceivedAt()),
		channel: pick(d.channels, e.GetChannel()), direction: pick(d.directions, e.GetDirection()), origin: pick(d.origins, e.GetOrigin()),
		provider: e.GetProvider(), inbox: e.GetInbox(),
		actorKind: pick(d.actors, e.GetActor().GetKind()), actor: e.GetActor().GetId(), queue: e.GetQueue(), language: e.GetLanguage(),
		correlation: e.GetCorrelationId(), backfill: e.GetBackfill(), sealed: e.GetSeal() != "", version: uint8(min(e.GetSchemaVersion(), 255)),
		topic: d.topic,
	}
	for _, p := range e.GetParties() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || p.GetEndpointId() == "" {
			continue
		}
		if endpoint := id(p.GetEndpointId()); !slices.Contains(out.endpoints, endpoint) {
			out.endpoints = append(out.endpoints, endpoint)
		}
	}
	if len(out.endpoints) > 0 {
		out.endpoint = out.endpoints[0]
	}
	return e.GetContent(), true
}

// filed tells whether a record bears the key that its event demands.
func (d *decoder) filed(e *eventv1.Event, key string) bool {
	switch d.topic {
	case event.TopicInteractions:
		return key == e.GetThreadId() && key == strings.ToLower(key)
	case event.TopicAgents:
		return key == e.GetActor().GetId()
	default:
		return key == e.GetTenant()
	}
}

func tooLate(t *timestamppb.Timestamp) bool { return t.AsTime().Year() > maxYear }

func micros(t *timestamppb.Timestamp) int64 { return t.GetSeconds()*1e6 + int64(t.GetNanos())/1e3 }

// id is one that event.Decode has checked, or none.
func id(s string) uuid.UUID {
	if s == "" {
		return uuid.UUID{}
	}
	parsed, err := event.ParseID(s)
	if err != nil {
		return uuid.UUID{}
	}
	return uuid.UUID(parsed)
}

// The fields of Content and Message that are read without decoding all of it; a test holds them to the proto.
const (
	fieldAttachments = 5
	fieldSubject     = 1
	fieldText        = 2
	fieldAutoReply   = 7
	fieldBulk        = 8
	fieldTemplate    = 13
	fieldEdited      = 2
)

// readContent fills what comes from the content. One that is broken says nothing.
func (d *decoder) readContent(content []byte, out *row) {
	k := d.kinds[out.typ]
	var attachments int
	var body []byte
	found := false
	whole := fields(content, func(num protowire.Number, typ protowire.Type, value []byte) {
		switch {
		case typ != protowire.BytesType:
		case num == fieldAttachments:
			attachments++
		case k != nil && num == k.body:
			body, found = value, true
		}
	})
	if !whole {
		return
	}
	out.attachments = uint16(min(attachments, 1<<16-1))
	if found {
		k.fill(body, &out.meaning)
		out.reason, out.detail = event.Clip(out.reason, longest), event.Clip(out.detail, longest)
	}
}

// readMessage reads a Message without its HTML and whatever else is large.
func readMessage(body []byte, m *meaning) { readText("message", body, m) }

func readText(kind string, body []byte, m *meaning) {
	msg := message{kind: kind}
	whole := fields(body, func(num protowire.Number, typ protowire.Type, value []byte) {
		switch {
		case num == fieldSubject && typ == protowire.BytesType:
			msg.subject = string(value)
		case num == fieldText && typ == protowire.BytesType:
			msg.text = string(value)
		case num == fieldTemplate && typ == protowire.BytesType:
			m.detail = string(value)
		case num == fieldAutoReply && typ == protowire.VarintType:
			msg.auto = truth(value)
		case num == fieldBulk && typ == protowire.VarintType:
			msg.bulk = truth(value)
		}
	})
	if !whole || !utf8.ValidString(msg.subject) || !utf8.ValidString(msg.text) || !utf8.ValidString(m.detail) {
		*m = meaning{}
		return
	}
	m.say(kind, msg.text)
	*m.message = msg
}

// requested reads a message that is yet to be sent: the row of messages comes with what was sent.
func requested(body []byte, m *meaning) {
	readMessage(body, m)
	m.message = nil
}

func readEdited(body []byte, m *meaning) {
	var edited []byte
	whole := fields(body, func(num protowire.Number, typ protowire.Type, value []byte) {
		if num == fieldEdited && typ == protowire.BytesType {
			edited = value
		}
	})
	if whole {
		readText("edit", edited, m)
	}
}

func truth(varint []byte) bool {
	v, _ := protowire.ConsumeVarint(varint)
	return v != 0
}

// fields yields the fields of a message, of bytes without their length. It is false where the message is broken.
func fields(b []byte, yield func(protowire.Number, protowire.Type, []byte)) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return false
		}
		value := b[:n]
		if typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		yield(num, typ, value)
		b = b[n:]
	}
	return true
}
