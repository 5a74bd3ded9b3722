package event

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
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
func (c Compiled) Key() []byte { return []byte(c.key()) }

func (c Compiled) key() string {
	switch c.Topic() {
	case TopicAgents:
		return c.Event.GetActor().GetId()
	case TopicLinks, TopicDirectory, TopicAlerts:
		return c.Event.GetTenant()
	}
	return c.Event.GetThreadId()
}

// Record is what the log gets of an event, and whoever handed it in.
type Record struct {
	Topic             string
	Key, Value        []byte
	EventID, ThreadID string
}

// ErrLarge means that a content is larger than MaxContent: Compile and Spill it.
var ErrLarge = errors.New("event: the content is larger than a record may hold")

// AppendRecord appends the event's record to b, which it gives back: its key and its value stand there.
func (c Compiled) AppendRecord(b []byte) (Record, []byte, error) {
	if len(c.Event.GetContent()) > MaxContent {
		return Record{}, b, ErrLarge
	}
	r := Record{Topic: c.Topic(), EventID: c.Event.GetId(), ThreadID: c.Event.GetThreadId()}
	begin := len(b)
	b = append(b, c.key()...)
	middle := len(b)
	b, err := AppendEncoded(b, c.Event)
	if err != nil {
		return Record{}, b[:begin], err
	}
	r.Key, r.Value = b[begin:middle:middle], b[middle:len(b):len(b)]
	return r, b, nil
}

// Compiler makes events of submissions. It is safe for concurrent use.
type Compiler struct {
	keyring   *Keyring
	validator protovalidate.Validator
	drafts    sync.Pool // of *draft
	endpoints endpointCache
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
// backfill, original, authentication), so the same submission handed in again gives the same digest.
func (c *Compiler) Compile(tenant string, s *eventv1.Submission, receivedAt time.Time) (Compiled, error) {
	return c.compile(&draft{}, tenant, s, receivedAt)
}

// AppendRecord compiles a submission and appends the record of its event to b, which it gives back: what Compile and then
// Compiled.AppendRecord do, without leaving anything behind for the garbage collector. ErrLarge means that the content has
// to be spilled first.
func (c *Compiler) AppendRecord(b []byte, tenant string, s *eventv1.Submission, receivedAt time.Time) (Record, []byte, error) {
	d, _ := c.drafts.Get().(*draft)
	if d == nil {
		d = &draft{}
	}
	defer func() {
		d.reset()
		c.drafts.Put(d)
	}()
	compiled, err := c.compile(d, tenant, s, receivedAt)
	if err != nil {
		return Record{}, b, err
	}
	return compiled.AppendRecord(b)
}

func (c *Compiler) compile(d *draft, tenant string, s *eventv1.Submission, receivedAt time.Time) (Compiled, error) {
	if tenant == "" || !receivedAt.After(earliest) {
		return Compiled{}, fmt.Errorf("event: compile for tenant %q at %v: both must be given", tenant, receivedAt)
	}
	d.ids, d.tenant, d.s = c.keyring.Tenant(tenant), tenant, s
	if err := c.check(d); err != nil {
		return Compiled{}, err
	}
	c.parties(d)
	if err := d.wrong.err(); err != nil {
		d.wrong.values("", s.ProtoReflect()) // rare, so that the good ones need not pay for it
		return Compiled{}, d.wrong.err()
	}
	if err := d.compile(receivedAt); err != nil { // wrong UTF-8, which only serialising shows
		d.wrong.values("", s.ProtoReflect())
		if wrong := d.wrong.err(); wrong != nil {
			return Compiled{}, wrong
		}
		return Compiled{}, fmt.Errorf("event: serialise: %w", err)
	}
	if len(d.event.GetContent()) > MaxSubmittedContent {
		d.wrong.add("content", "is larger than 32 MiB: files belong into the blob store")
		return Compiled{}, d.wrong.err()
	}
	return Compiled{&d.event, &d.content}, nil
}

// draft is a submission on its way, with room for what it becomes.
type draft struct {
	ids    *IDs
	tenant string
	s      *eventv1.Submission
	wrong  violations

	parties []*eventv1.Party // merged, all of them
	details []*eventv1.PartyDetail
	merged  []int // where each submitted party went; nil where each stayed in its place

	event         eventv1.Event
	content, rest eventv1.Content
	actor         eventv1.Actor
	received      timestamppb.Timestamp
	partyRoom     []eventv1.Party
	detailRoom    []eventv1.PartyDetail
	encoded       []byte // the content
}

// maxKeptParties and maxKeptContent are what a draft keeps room for.
const (
	maxKeptParties = 64
	maxKeptContent = 64 << 10
)

// reset makes a draft ready for another submission.
func (d *draft) reset() {
	if len(d.partyRoom) > maxKeptParties || cap(d.encoded) > maxKeptContent {
		*d = draft{} // nobody else has it
		return
	}
	d.ids, d.tenant, d.s, d.wrong, d.merged = nil, "", nil, violations{}, nil
	d.parties, d.details = d.parties[:0], d.details[:0]
	d.event.Reset()
	d.content.Reset()
	d.rest.Reset()
	d.actor.Reset()
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
	d.parties, d.details = slices.Grow(d.parties, len(submitted)), slices.Grow(d.details, len(submitted))
	if len(d.partyRoom) < len(submitted) {
		d.partyRoom, d.detailRoom = make([]eventv1.Party, len(submitted)), make([]eventv1.PartyDetail, len(submitted))
	}
	for i, p := range submitted {
		address := p.GetAddress()
		party, detail := &d.partyRoom[i], &d.detailRoom[i]
		party.Reset()
		detail.Reset()
		party.Kind, party.Role, party.Side = address.GetKind(), p.GetRole(), p.GetSide()
		detail.DisplayName = p.GetDisplayName()
		endpoint, err := c.endpoints.endpoint(d.ids, address)
		var wrong *AddressError
		switch {
		case err == nil:
			party.EndpointId = endpoint.id
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
func (d *draft) compile(receivedAt time.Time) error {
	s, e := d.s, &d.event
	thread := d.ids.Thread(s.GetInbox(), s.GetThread())
	e.Id = d.ids.Event(thread, s.GetNativeId(), s.GetType(), s.GetOrdinal(), s.GetDiscriminator()).String()
	e.Tenant = d.tenant
	e.Type = s.GetType()
	e.OccurredAt = s.GetOccurredAt()
	e.ThreadId = thread.String()
	e.Parties = d.parties[:min(len(d.parties), MaxParties)]
	e.Channel = s.GetChannel()
	e.Direction = s.GetDirection()
	e.Actor = d.actedBy()
	e.Inbox = s.GetInbox()
	e.SchemaVersion = schemaVersion
	e.Origin = s.GetOrigin()
	e.Queue = s.GetQueue()
	e.Language = s.GetLanguage()
	e.CorrelationId = s.GetCorrelationId()
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
	d.fill()
	// The digest is over the time that was stated and not the time of receipt, and over what was said and not the way that it
	// came: a mail that two transports bring differs in who brought it, in its Received lines and in what a server added to them.
	err := d.encodeContent()
	if err != nil {
		return err
	}
	if e.Digest, err = d.ids.digestOf(e); err != nil {
		return err
	}
	e.Provider, e.Backfill = s.GetProvider(), s.GetBackfill()
	d.received.Seconds, d.received.Nanos = receivedAt.Unix(), int32(receivedAt.Nanosecond())
	e.ReceivedAt = &d.received
	stated := s.GetOccurredAt()
	switch {
	case stated == nil:
		e.OccurredAt = e.GetReceivedAt()
	case stated.AsTime().Before(earliest) || stated.AsTime().After(receivedAt.Add(clockSkew)):
		e.OccurredAt = e.GetReceivedAt()
		d.content.StatedAt = stated
	}
	d.content.Original, d.content.Authentication = s.GetContent().GetOriginal(), s.GetContent().GetAuthentication()
	if d.content.GetStatedAt() == nil && d.content.GetOriginal() == nil && d.content.GetAuthentication() == nil {
		return nil
	}
	return d.encodeContent()
}

// encodeContent encodes the content as it is by now into the event.
func (d *draft) encodeContent() (err error) {
	d.encoded, err = appendContent(d.encoded[:0], &d.content, &d.rest)
	d.event.Content = d.encoded
	return err
}

func (d *draft) actedBy() *eventv1.Actor {
	if d.s.GetActor() == nil {
		return nil
	}
	actor := &d.actor
	actor.Kind, actor.Id = d.s.GetActor().GetKind(), d.s.GetActor().GetId()
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

// fill makes the content of what was submitted, but for its original and authentication, and of what Skein writes.
func (d *draft) fill() {
	submitted, content := d.s.GetContent(), &d.content
	content.Parties = d.details
	content.NativeThread = d.s.GetThread()
	content.NativeId = d.s.GetNativeId()
	content.Attachments = submitted.GetAttachments()
	if submitted != nil {
		content.Body = submitted.GetBody()
		if unknown := submitted.ProtoReflect().GetUnknown(); len(unknown) > 0 {
			content.ProtoReflect().SetUnknown(unknown)
		}
	}
	if t := submitted.GetTranscriptAvailable(); t != nil && d.merged != nil {
		content.Body = &eventv1.Content_TranscriptAvailable{TranscriptAvailable: d.renumber(t)}
	}
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
