package event

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// MaxContent is how many bytes of content a record of the log may hold; Spill makes room.
	MaxContent = 256 << 10
	// MaxSubmittedContent is how many bytes of content a submission may have.
	MaxSubmittedContent = 32 << 20
	// MaxParties is how many parties an envelope holds.
	MaxParties = 16

	schemaVersion = 1
	clockSkew     = 5 * time.Minute // how far in the future a channel's clock may be
)

// earliest is when a stated time begins to be plausible: a clock that was never set shows 1970 or 1980.
var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // read only

var deterministic = proto.MarshalOptions{Deterministic: true} //nolint:gochecknoglobals // read only

// Compiled is an event ready for the log.
type Compiled struct {
	// Event holds the serialised content.
	Event *eventv1.Event
	// Content is the same content. It shares messages with the submission: do not change them.
	Content *eventv1.Content
}

// Topic is the topic of the log that the event belongs to.
func (c Compiled) Topic() string {
	topic, _ := TopicOf(c.Event.GetType())
	return topic
}

// Key is the key of the event's record: the thread id, for an agent's event the agent's id, for a link or an entry of the
// directory the tenant.
func (c Compiled) Key() []byte {
	switch c.Topic() {
	case TopicAgents:
		return []byte(c.Event.GetActor().GetId())
	case TopicLinks, TopicDirectory:
		return []byte(c.Event.GetTenant())
	}
	return []byte(c.Event.GetThreadId())
}

// Compiler makes events of submissions. It is safe for concurrent use.
type Compiler struct {
	keyring   *Keyring
	validator protovalidate.Validator
	phones    phoneCache
	body      protoreflect.OneofDescriptor // of Content
	timed     map[protoreflect.Name]bool
	free      map[protoreflect.FieldNumber]bool
}

// Option changes a Compiler.
type Option func(*Compiler)

// WithValidator shares a validator that was made for other messages, too.
func WithValidator(v protovalidate.Validator) Option { return func(c *Compiler) { c.validator = v } }

// NewCompiler makes a compiler that derives ids from the keyring's current key.
func NewCompiler(k *Keyring, opts ...Option) (*Compiler, error) {
	body := (&eventv1.Content{}).ProtoReflect().Descriptor().Oneofs().ByName("body")
	c := &Compiler{keyring: k, body: body, timed: timedBodies(body.Fields()), free: freeBodies(body)}
	for _, opt := range opts {
		opt(c)
	}
	if c.validator == nil {
		v, err := protovalidate.New(protovalidate.WithMessages(&eventv1.Submission{}))
		if err != nil {
			return nil, fmt.Errorf("event: prepare the rules of submissions: %w", err)
		}
		c.validator = v
	}
	return c, nil
}

// Compile makes the event that a submission tells of: it normalises addresses, derives ids, fills the content in and
// serialises it. The submission is not changed. An *InvalidError names all that is wrong with it.
//
// Beyond the rules that stand in the proto:
//   - The type must be registered or foreign (ext.<provider>.<name>), and a body must be the type's own. Messages and
//     notes need their body; every other type may come without one.
//   - An address that Normalise refuses is a violation; ErrNoEndpoint gives a party without endpoint. Parties of the same
//     endpoint and side become one, with the role of the first. The envelope shows the first MaxParties; the content
//     describes all.
//   - A customer who acts is the first customer party. An event of an agent needs that agent's id in actor.id, because it
//     is the record's key.
//   - Where occurred_at is absent, before 2000 or more than five minutes after receivedAt, the event occurred at
//     receivedAt, and the content keeps what was stated.
//   - Blobs must be the tenant's own, and the content must not be larger than MaxSubmittedContent. It is not spilled here.
//
// The event's digest covers what was submitted, and neither when it was received nor the way that it came (provider,
// original), so the same submission handed in again gives the same digest.
func (c *Compiler) Compile(tenant string, s *eventv1.Submission, receivedAt time.Time) (Compiled, error) {
	if tenant == "" || !receivedAt.After(earliest) {
		return Compiled{}, fmt.Errorf("event: compile for tenant %q at %v: both must be given", tenant, receivedAt)
	}
	d := draft{ids: c.keyring.Tenant(tenant), tenant: tenant, s: s}
	if err := c.check(&d); err != nil {
		return Compiled{}, err
	}
	c.parties(&d)
	if err := d.wrong.err(); err != nil {
		d.wrong.values("", s.ProtoReflect()) // rare, so that the good ones need not pay for it
		return Compiled{}, d.wrong.err()
	}
	compiled, err := d.compile(receivedAt)
	if err != nil { // wrong UTF-8, which only serialising shows
		d.wrong.values("", s.ProtoReflect())
		if wrong := d.wrong.err(); wrong != nil {
			return Compiled{}, wrong
		}
		return Compiled{}, fmt.Errorf("event: serialise: %w", err)
	}
	if len(compiled.Event.GetContent()) > MaxSubmittedContent {
		d.wrong.add("content", "is larger than 32 MiB: files belong into the blob store")
		return Compiled{}, d.wrong.err()
	}
	return compiled, nil
}

// draft is a submission on its way.
type draft struct {
	ids    *IDs
	tenant string
	s      *eventv1.Submission
	wrong  violations

	parties []*eventv1.Party // merged, all of them
	details []*eventv1.PartyDetail
	merged  []int // where each submitted party went; nil where each stayed in its place
}

// check collects violations. Its error is one of the rules themselves.
func (c *Compiler) check(d *draft) error {
	s := d.s
	if s == nil {
		d.wrong.add("", "no submission was given")
		return nil
	}
	if _, ok := TopicOf(s.GetType()); !ok {
		d.wrong.add("type", "is neither a registered type nor of the form ext.<provider>.<name>")
	}
	c.checkBody(d)
	checkBlob(d, "content.original", s.GetContent().GetOriginal())
	for i, a := range s.GetContent().GetAttachments() {
		if a.GetBlob() != nil {
			checkBlob(d, "content.attachments["+strconv.Itoa(i)+"].blob", a.GetBlob())
		}
	}
	if s.GetContent().GetSpilled() != nil {
		d.wrong.add("content.spilled", "is Skein's to set")
	}
	if at := s.GetOccurredAt(); at != nil && !at.IsValid() {
		d.wrong.add("occurred_at", "is no valid time")
	}
	actor := s.GetActor()
	if topic, _ := TopicOf(s.GetType()); topic == TopicAgents && actor.GetId() == "" {
		d.wrong.add("actor.id", "is missing: an agent's event needs the agent's id")
	}
	if actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_CUSTOMER && actor.GetId() != "" {
		if _, err := ParseID(actor.GetId()); err != nil {
			d.wrong.add("actor.id", "must be empty for a customer, or an endpoint id; never an address")
		}
	}
	// These three go into ids and nowhere else, so serialising does not notice.
	d.wrong.text("interaction", s.GetInteraction())
	d.wrong.text("visit", s.GetVisit())
	d.wrong.text("assignment", s.GetAssignment())

	if c.plain(s) {
		return nil
	}
	var invalid *protovalidate.ValidationError
	switch err := c.validator.Validate(s); {
	case errors.As(err, &invalid):
		for _, v := range invalid.Violations {
			field := protovalidate.FieldPathString(v.Proto.GetField())
			d.wrong.add(field, sentence(v))
		}
	case err != nil:
		return fmt.Errorf("event: check a submission: %w", err)
	}
	return nil
}

// sentence is what a rule of the proto says, in words for whoever wrote the submission.
func sentence(v *protovalidate.Violation) string {
	switch v.Proto.GetRuleId() {
	case "string.min_len":
		return "is missing"
	case "enum.not_in":
		return "is not stated"
	case "enum.defined_only":
		return "is none of the values that the contract defines"
	case "string.pattern":
		return patternInWords(v)
	}
	return v.Proto.GetMessage()
}

func patternInWords(v *protovalidate.Violation) string {
	switch v.FieldDescriptor.Name() {
	case "provider":
		return "must begin with a lower-case letter or digit and go on with those and any of . _ -"
	case "language":
		return "must be a language tag of BCP 47, such as en or zh-Hans"
	case "namespace":
		return "must be letters, digits and any of . _ : / -"
	case "region":
		return "must be two capital letters (ISO 3166-1)"
	case "id":
		return "must be letters, digits and any of . _ : / @ + -"
	}
	return v.Proto.GetMessage()
}

func (c *Compiler) checkBody(d *draft) {
	want := bodyOf(d.s.GetType())
	if want == "" {
		return
	}
	content := d.s.GetContent().ProtoReflect()
	field := content.WhichOneof(c.body)
	switch {
	case field == nil:
		if strings.HasPrefix(want, "message_") || d.s.GetType() == TypeNoteAdded {
			d.wrong.add("content."+want, "is missing: an event of type "+d.s.GetType()+" needs its body")
		}
		return
	case string(field.Name()) != want:
		d.wrong.add("content."+string(field.Name()), "is not the body of an event of type "+d.s.GetType())
		return
	}
	if c.timed[field.Name()] {
		d.wrong.values("content."+want, content.Get(field).Message())
	}
	for i, segment := range d.s.GetContent().GetTranscriptAvailable().GetSegments() {
		if p := int(segment.GetParty()); p < -1 || p >= len(d.s.GetParties()) {
			d.wrong.add("content."+want+".segments["+strconv.Itoa(i)+"].party", "must be the index of a party, or -1")
		}
	}
}

// checkBlob keeps a submission from pointing at what belongs to another tenant.
func checkBlob(d *draft, field string, b *eventv1.Blob) {
	if b == nil {
		return
	}
	if key := b.GetKey(); path.Clean(key) != key || !strings.HasPrefix(key, d.tenant+"/") {
		d.wrong.add(field+".key", "is no key of a blob of this tenant")
	}
}

// timedBodies are the bodies that hold a time or duration somewhere, which must be looked at.
func timedBodies(bodies protoreflect.FieldDescriptors) map[protoreflect.Name]bool {
	timed := map[protoreflect.Name]bool{}
	for i := range bodies.Len() {
		if holdsTime(bodies.Get(i).Message(), map[protoreflect.FullName]bool{}) {
			timed[bodies.Get(i).Name()] = true
		}
	}
	return timed
}

func holdsTime(m protoreflect.MessageDescriptor, visited map[protoreflect.FullName]bool) bool {
	if m == nil || visited[m.FullName()] {
		return false
	}
	visited[m.FullName()] = true
	switch m.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		return true
	}
	for i := range m.Fields().Len() {
		if holdsTime(m.Fields().Get(i).Message(), visited) {
			return true
		}
	}
	return false
}

// parties normalises and merges the parties.
func (c *Compiler) parties(d *draft) {
	submitted := d.s.GetParties()
	if len(submitted) == 0 {
		return
	}
	d.parties = make([]*eventv1.Party, 0, len(submitted))
	d.details = make([]*eventv1.PartyDetail, 0, len(submitted))
	parties, details := make([]eventv1.Party, len(submitted)), make([]eventv1.PartyDetail, len(submitted)) // each in one piece
	for i, p := range submitted {
		address := p.GetAddress()
		party, detail := &parties[i], &details[i]
		party.Kind, party.Role, party.Side = address.GetKind(), p.GetRole(), p.GetSide()
		detail.DisplayName = p.GetDisplayName()
		endpoint, err := c.phones.normalise(address)
		var wrong *AddressError
		switch {
		case err == nil:
			party.EndpointId = d.ids.Endpoint(endpoint).String()
			detail.Address, detail.Namespace = endpoint.Value, endpoint.Namespace
		case errors.As(err, &wrong):
			d.wrong.add("parties["+strconv.Itoa(i)+"].address."+wrong.Field, wrong.Reason)
		}
		if address.GetValue() != detail.GetAddress() {
			detail.StatedAddress = address.GetValue()
		}
		at := d.find(party)
		if at < 0 {
			at = len(d.parties)
			d.parties = append(d.parties, party)
			d.details = append(d.details, detail)
		} else {
			if d.merged == nil {
				d.merged = make([]int, 0, len(submitted))
				for before := range i {
					d.merged = append(d.merged, before)
				}
			}
			if first := d.details[at]; first.GetDisplayName() == "" {
				first.DisplayName = detail.GetDisplayName()
			}
		}
		if d.merged != nil {
			d.merged = append(d.merged, at)
		}
	}
}

// find gives the party that has the same endpoint and side; -1 where there is none.
func (d *draft) find(p *eventv1.Party) int {
	if p.GetEndpointId() == "" {
		return -1
	}
	for i, other := range d.parties {
		if other.GetEndpointId() == p.GetEndpointId() && other.GetSide() == p.GetSide() {
			return i
		}
	}
	return -1
}

// compile puts the event together. It fails only where something cannot be serialised.
func (d *draft) compile(receivedAt time.Time) (Compiled, error) {
	s := d.s
	thread := d.ids.Thread(s.GetInbox(), s.GetThread())
	e := &eventv1.Event{
		Id:            d.ids.Event(thread, s.GetNativeId(), s.GetType(), s.GetOrdinal(), s.GetDiscriminator()).String(),
		Tenant:        d.tenant,
		Type:          s.GetType(),
		OccurredAt:    s.GetOccurredAt(),
		ThreadId:      thread.String(),
		Parties:       d.parties[:min(len(d.parties), MaxParties)],
		Channel:       s.GetChannel(),
		Direction:     s.GetDirection(),
		Actor:         d.actor(),
		Provider:      s.GetProvider(),
		Inbox:         s.GetInbox(),
		SchemaVersion: schemaVersion,
		Origin:        s.GetOrigin(),
		Queue:         s.GetQueue(),
		Language:      s.GetLanguage(),
		CorrelationId: s.GetCorrelationId(),
		Backfill:      s.GetBackfill(),
	}
	if s.GetInteraction() != "" {
		e.InteractionId = d.ids.Interaction(thread, s.GetInteraction()).String()
	}
	if s.GetVisit() != "" {
		e.VisitId = d.ids.Visit(thread, s.GetVisit()).String()
	}
	if s.GetAssignment() != "" {
		e.AssignmentId = d.ids.Assignment(thread, s.GetAssignment()).String()
	}
	if id, err := ParseID(s.GetCausationId()); err == nil {
		e.CausationId = id.String()
	}
	content := d.content()
	err := d.digest(e, content)
	if err == nil && content.GetOriginal() != nil {
		e.Content, err = deterministic.Marshal(content)
	}
	if err != nil {
		return Compiled{}, err
	}
	e.ReceivedAt = timestamppb.New(receivedAt)
	stated := s.GetOccurredAt()
	switch {
	case stated == nil:
		e.OccurredAt = e.GetReceivedAt()
	case stated.AsTime().Before(earliest) || stated.AsTime().After(receivedAt.Add(clockSkew)):
		e.OccurredAt = e.GetReceivedAt()
		content.StatedAt = stated
		e.Content, err = deterministic.Marshal(content)
	}
	return Compiled{e, content}, err
}

// digest sets the event's digest and its content, but for the original. The digest is over the time that was stated and not the time of receipt, and over what was said and
// not the way that it came. A mail that two transports bring differs in who brought it and in its Received lines.
func (d *draft) digest(e *eventv1.Event, content *eventv1.Content) error {
	provider, original := e.GetProvider(), content.GetOriginal()
	defer func() { e.Provider, content.Original = provider, original }()
	e.Provider, content.Original = "", nil
	var err error
	if e.Content, err = deterministic.Marshal(content); err != nil {
		return err
	}
	e.Digest, err = d.ids.digestOf(e)
	return err
}

func (d *draft) actor() *eventv1.Actor {
	if d.s.GetActor() == nil {
		return nil
	}
	actor := &eventv1.Actor{Kind: d.s.GetActor().GetKind(), Id: d.s.GetActor().GetId()}
	if actor.GetKind() != eventv1.ActorKind_ACTOR_KIND_CUSTOMER || actor.GetId() != "" {
		return actor
	}
	for _, p := range d.parties {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER {
			actor.Id = p.GetEndpointId()
			break
		}
	}
	return actor
}

// content is what was submitted, with what Skein writes.
func (d *draft) content() *eventv1.Content {
	submitted := d.s.GetContent()
	content := &eventv1.Content{
		Parties:      d.details,
		NativeThread: d.s.GetThread(),
		NativeId:     d.s.GetNativeId(),
		Attachments:  submitted.GetAttachments(),
		Original:     submitted.GetOriginal(),
	}
	if submitted != nil {
		content.Body = submitted.GetBody()
		content.ProtoReflect().SetUnknown(submitted.ProtoReflect().GetUnknown())
	}
	if t := submitted.GetTranscriptAvailable(); t != nil && d.merged != nil {
		content.Body = &eventv1.Content_TranscriptAvailable{TranscriptAvailable: d.renumber(t)}
	}
	return content
}

// renumber makes a transcript point at the merged parties.
func (d *draft) renumber(t *eventv1.TranscriptAvailable) *eventv1.TranscriptAvailable {
	t = proto.CloneOf(t)
	for _, segment := range t.GetSegments() {
		if segment.GetParty() >= 0 {
			segment.Party = int32(d.merged[segment.GetParty()]) // at most 2,000
		}
	}
	return t
}
