package event

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	protobufType = "application/protobuf"
	sealedType   = "application/octet-stream"
	typePrefix   = "skein."
	sourcePrefix = "/skein/"
)

// ToCloudEvent writes a valid event as a CloudEvent 1.0:
//
//   - id, time and data are the event's id, occurred_at and content; subject is the thread id;
//   - source is /skein/<tenant>/<inbox>, percent-encoded;
//   - type has "skein." before the registered types; foreign types (ext.*) stay as they are;
//   - datacontenttype is application/protobuf (a skein.event.v1.Content), or application/octet-stream where it is sealed;
//   - extension attributes hold the other fields, where they are set, under the field's name without "_"; enums are in
//     lower case without their prefix; actor is actorkind and actorid; digest is base64;
//   - parties is JSON: [{"id": …, "kind": "email", "role": "sender", "side": "customer"}, …];
//   - skeinunknown carries in base64 what this version does not know.
//
// FromCloudEvent gives the same event back.
func ToCloudEvent(e *eventv1.Event) (cloudevents.Event, error) {
	if err := check(e); err != nil {
		return cloudevents.Event{}, err
	}
	ce := cloudevents.New(cloudevents.CloudEventsVersionV1)
	ce.SetID(e.GetId())
	ce.SetSource(sourcePrefix + url.PathEscape(e.GetTenant()) + "/" + url.PathEscape(e.GetInbox()))
	ce.SetType(cloudType(e.GetType()))
	ce.SetTime(e.GetOccurredAt().AsTime())
	ce.SetSubject(e.GetThreadId())
	if len(e.GetContent()) > 0 {
		if err := ce.SetData(contentType(e), e.GetContent()); err != nil {
			return cloudevents.Event{}, fmt.Errorf("event: write a CloudEvent: %w", err)
		}
	}
	parties, err := partiesText(e.GetParties())
	if err != nil {
		return cloudevents.Event{}, err
	}
	unknown, err := unknownText(e)
	if err != nil {
		return cloudevents.Event{}, err
	}
	for _, x := range []struct{ name, value string }{
		{"receivedat", types.FormatTime(e.GetReceivedAt().AsTime())},
		{"parties", parties},
		{"channel", enumText(e.GetChannel())},
		{"direction", enumText(e.GetDirection())},
		{"actorkind", actorKindText(e.GetActor())},
		{"actorid", e.GetActor().GetId()},
		{"provider", e.GetProvider()},
		{"digest", base64.StdEncoding.EncodeToString(e.GetDigest())},
		{"schemaversion", numberText(e.GetSchemaVersion())},
		{"origin", enumText(e.GetOrigin())},
		{"interactionid", e.GetInteractionId()},
		{"queue", e.GetQueue()},
		{"visitid", e.GetVisitId()},
		{"assignmentid", e.GetAssignmentId()},
		{"language", e.GetLanguage()},
		{"causationid", e.GetCausationId()},
		{"correlationid", e.GetCorrelationId()},
		{"seal", e.GetSeal()},
		{"skeinunknown", unknown},
	} {
		if x.value != "" {
			ce.SetExtension(x.name, x.value)
		}
	}
	if e.GetBackfill() {
		ce.SetExtension("backfill", true)
	}
	if err := ce.Validate(); err != nil {
		return cloudevents.Event{}, fmt.Errorf("event: write a CloudEvent: %w", err)
	}
	return ce, nil
}

// FromCloudEvent reads what ToCloudEvent wrote, also after a journey as JSON or as headers. Extension attributes that it
// does not know are left out. An *InvalidError means that the event breaks a rule that Decode checks.
func FromCloudEvent(ce cloudevents.Event) (*eventv1.Event, error) {
	if err := ce.Validate(); err != nil {
		return nil, fmt.Errorf("event: read a CloudEvent: %w", err)
	}
	if ce.SpecVersion() != cloudevents.CloudEventsVersionV1 {
		return nil, fmt.Errorf("event: read a CloudEvent: specversion must be %s", cloudevents.CloudEventsVersionV1)
	}
	r := reader{extensions: ce.Extensions()}
	e := &eventv1.Event{
		Id:            ce.ID(),
		Type:          eventType(ce.Type()),
		OccurredAt:    timestamppb.New(ce.Time()),
		ReceivedAt:    r.time("receivedat"),
		ThreadId:      ce.Subject(),
		Parties:       r.parties("parties"),
		Channel:       readEnum[eventv1.Channel](&r, "channel"),
		Direction:     readEnum[eventv1.Direction](&r, "direction"),
		Provider:      r.text("provider"),
		Content:       ce.Data(),
		Digest:        r.bytes("digest"),
		SchemaVersion: r.number("schemaversion"),
		Origin:        readEnum[eventv1.Origin](&r, "origin"),
		InteractionId: r.text("interactionid"),
		Queue:         r.text("queue"),
		VisitId:       r.text("visitid"),
		AssignmentId:  r.text("assignmentid"),
		Language:      r.text("language"),
		CausationId:   r.text("causationid"),
		CorrelationId: r.text("correlationid"),
		Backfill:      r.bool("backfill"),
		Seal:          r.text("seal"),
	}
	if r.text("actorkind") != "" {
		e.Actor = &eventv1.Actor{Kind: readEnum[eventv1.ActorKind](&r, "actorkind"), Id: r.text("actorid")}
	}
	e.Tenant, e.Inbox = r.source(ce.Source())
	if len(ce.Data()) > 0 && ce.DataMediaType() != contentType(e) {
		r.fail("datacontenttype", errors.New("must be "+contentType(e)))
	}
	r.unknown("skeinunknown", e)
	if r.err != nil {
		return nil, r.err
	}
	if err := check(e); err != nil {
		return nil, err
	}
	return e, nil
}

func cloudType(typ string) string {
	if strings.HasPrefix(typ, "ext.") {
		return typ
	}
	return typePrefix + typ
}

func eventType(typ string) string { return strings.TrimPrefix(typ, typePrefix) }

func contentType(e *eventv1.Event) string {
	if e.GetSeal() != "" {
		return sealedType
	}
	return protobufType
}

// party is a party as JSON.
type party struct {
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind,omitempty"`
	Role string `json:"role,omitempty"`
	Side string `json:"side,omitempty"`
}

func partiesText(parties []*eventv1.Party) (string, error) {
	if len(parties) == 0 {
		return "", nil
	}
	list := make([]party, len(parties))
	for i, p := range parties {
		list[i] = party{p.GetEndpointId(), enumText(p.GetKind()), enumText(p.GetRole()), enumText(p.GetSide())}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("event: write parties as JSON: %w", err)
	}
	return string(text), nil
}

// unknownText serialises an event that holds the unknown fields and, whole, those messages inside the event that have
// some; empty where there are none.
func unknownText(e *eventv1.Event) (string, error) {
	rest := &eventv1.Event{}
	rest.ProtoReflect().SetUnknown(e.ProtoReflect().GetUnknown())
	if hasUnknown(e.GetOccurredAt()) {
		rest.OccurredAt = e.GetOccurredAt()
	}
	if hasUnknown(e.GetReceivedAt()) {
		rest.ReceivedAt = e.GetReceivedAt()
	}
	if hasUnknown(e.GetActor()) {
		rest.Actor = e.GetActor()
	}
	for _, p := range e.GetParties() {
		if hasUnknown(p) {
			rest.Parties = e.GetParties()
		}
	}
	data, err := deterministic.Marshal(rest)
	if err != nil {
		return "", fmt.Errorf("event: write unknown fields: %w", err)
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

func hasUnknown(m proto.Message) bool { return len(m.ProtoReflect().GetUnknown()) > 0 }

// enumText is a value's name in lower case without the enum's prefix, its number where it has no name, and empty for the
// value that means not stated.
func enumText(e protoreflect.Enum) string {
	if e.Number() == 0 {
		return ""
	}
	value := e.Descriptor().Values().ByNumber(e.Number())
	if value == nil {
		return strconv.Itoa(int(e.Number()))
	}
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), enumPrefix(e.Descriptor())))
}

// enumPrefix is what the names of an enum's values begin with, as the one for zero shows: CHANNEL_ of CHANNEL_UNSPECIFIED.
func enumPrefix(d protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
}

// actorKindText tells an actor of no kind from none.
func actorKindText(a *eventv1.Actor) string {
	switch {
	case a == nil:
		return ""
	case a.GetKind() == eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED:
		return "unspecified"
	}
	return enumText(a.GetKind())
}

func numberText(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

// reader reads extension attributes and keeps the first error.
type reader struct {
	extensions map[string]any
	err        error
}

func (r *reader) fail(name string, err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("event: read a CloudEvent: attribute %s: %w", name, err)
	}
}

func (r *reader) text(name string) string {
	value, ok := r.extensions[name]
	if !ok {
		return ""
	}
	text, err := types.Format(value)
	r.fail(name, err)
	return text
}

func (r *reader) time(name string) *timestamppb.Timestamp {
	text := r.text(name)
	if text == "" {
		return nil
	}
	t, err := types.ParseTime(text)
	r.fail(name, err)
	return timestamppb.New(t)
}

func (r *reader) bytes(name string) []byte {
	data, err := base64.StdEncoding.DecodeString(r.text(name))
	r.fail(name, err)
	return data
}

func (r *reader) number(name string) uint32 {
	text := r.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 32)
	r.fail(name, err)
	return uint32(n)
}

func (r *reader) bool(name string) bool {
	text := r.text(name)
	if text == "" {
		return false
	}
	b, err := types.ParseBool(text)
	r.fail(name, err)
	return b
}

func (r *reader) source(source string) (tenant, inbox string) {
	path, ok := strings.CutPrefix(source, sourcePrefix)
	tenant, inbox, both := strings.Cut(path, "/")
	if !ok || !both || strings.ContainsAny(inbox, "/?#") {
		r.fail("source", errors.New("must be "+sourcePrefix+"<tenant>/<inbox>"))
	}
	tenant, err := url.PathUnescape(tenant)
	r.fail("source", err)
	inbox, err = url.PathUnescape(inbox)
	r.fail("source", err)
	return tenant, inbox
}

func (r *reader) parties(name string) []*eventv1.Party {
	text := r.text(name)
	if text == "" {
		return nil
	}
	var list []party
	r.fail(name, json.Unmarshal([]byte(text), &list))
	parties := make([]*eventv1.Party, len(list))
	for i, p := range list {
		parties[i] = &eventv1.Party{
			EndpointId: p.ID,
			Kind:       parseEnum[eventv1.EndpointKind](r, name, p.Kind),
			Role:       parseEnum[eventv1.PartyRole](r, name, p.Role),
			Side:       parseEnum[eventv1.Side](r, name, p.Side),
		}
	}
	return parties
}

// unknown puts back what unknownText took.
func (r *reader) unknown(name string, e *eventv1.Event) {
	data := r.bytes(name)
	rest := &eventv1.Event{}
	r.fail(name, proto.Unmarshal(data, rest))
	if r.err != nil {
		return
	}
	e.ProtoReflect().SetUnknown(rest.ProtoReflect().GetUnknown())
	if rest.GetOccurredAt() != nil {
		e.OccurredAt = whole(r, name, rest.GetOccurredAt(), e.GetOccurredAt())
	}
	if rest.GetReceivedAt() != nil {
		e.ReceivedAt = whole(r, name, rest.GetReceivedAt(), e.GetReceivedAt())
	}
	if rest.GetActor() != nil {
		e.Actor = whole(r, name, rest.GetActor(), e.GetActor())
	}
	for i, p := range rest.GetParties() {
		if len(rest.GetParties()) != len(e.GetParties()) {
			r.fail(name, errContradiction)
			return
		}
		e.Parties[i] = whole(r, name, p, e.GetParties()[i])
	}
}

var errContradiction = errors.New("contradicts the other attributes")

// whole gives back a message that travelled whole because it has unknown fields. Its known fields must be those that
// were read from the attributes.
func whole[M proto.Message](r *reader, name string, m, read M) M {
	known := proto.CloneOf(m)
	known.ProtoReflect().SetUnknown(nil)
	if !proto.Equal(known, read) {
		r.fail(name, errContradiction)
	}
	return m
}

// enum is an enum of the protos.
type enum interface {
	~int32
	protoreflect.Enum
}

func readEnum[E enum](r *reader, name string) E { return parseEnum[E](r, name, r.text(name)) }

func parseEnum[E enum](r *reader, name, text string) E {
	if text == "" {
		return 0
	}
	d := E(0).Descriptor()
	if value := d.Values().ByName(protoreflect.Name(enumPrefix(d) + strings.ToUpper(text))); value != nil {
		return E(value.Number())
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		r.fail(name, fmt.Errorf("unknown value %q", text))
	}
	return E(n)
}
