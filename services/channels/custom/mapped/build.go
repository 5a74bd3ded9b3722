package mapped

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	foreignPrefix = "ext."
	// maxName is how many characters of a name are shown.
	maxName = 512
)

// rule is an Event, compiled.
type rule struct {
	field      string
	when       *expression
	fixedType  string // where it is a word
	typ        *expression
	thread     *expression
	nativeID   *expression
	occurredAt *expression
	texts      []textField
	parties    []party
	setters    []setter // of the submission: enums
	content    setter
}

// textField is a text of a submission.
type textField struct {
	*expression
	set func(s *eventv1.Submission, text string)
}

// party is a Party, compiled.
type party struct {
	when                          *expression
	kind                          eventv1.EndpointKind
	address, space, region, named *expression
	set                           setter
}

// rule compiles an event.
func (c *compiler) rule(field string, e Event) rule {
	r := rule{field: field, when: c.condition(field+".when", e.When)}
	required := func(name, source string) *expression {
		if strings.TrimSpace(source) == "" {
			c.fail(field+"."+name, "is missing")
			return nil
		}
		return c.text(field+"."+name, source)
	}
	body := ""
	switch topic, known := event.TopicOf(strings.TrimSpace(e.Type)); {
	case known:
		r.fixedType = strings.TrimSpace(e.Type)
		body = bodyOf(r.fixedType)
		if topic == event.TopicAgents && e.ActorID == "" {
			c.fail(field+".actor_id", "is missing: an agent's event needs the agent's id")
		}
	case looksLikeType(e.Type):
		c.fail(field+".type", fmt.Sprintf("%q is no type of the registry, and not of the form ext.<provider>.<name>", e.Type))
	default:
		r.typ = required("type", e.Type)
	}
	r.thread, r.nativeID = required("thread", e.Thread), required("native_id", e.NativeID)
	r.occurredAt = c.compile(field+".occurred_at", e.OccurredAt, "a timestamp, or a text as RFC 3339", cel.TimestampType, cel.StringType)
	for _, t := range []struct {
		name, source string
		set          func(s *eventv1.Submission, text string)
	}{
		{"language", e.Language, func(s *eventv1.Submission, text string) { s.Language = text }},
		{"queue", e.Queue, func(s *eventv1.Submission, text string) { s.Queue = text }},
		{"interaction", e.Interaction, func(s *eventv1.Submission, text string) { s.Interaction = text }},
		{"visit", e.Visit, func(s *eventv1.Submission, text string) { s.Visit = text }},
		{"assignment", e.Assignment, func(s *eventv1.Submission, text string) { s.Assignment = text }},
		{"correlation", e.Correlation, func(s *eventv1.Submission, text string) { s.CorrelationId = text }},
		{"actor_id", e.ActorID, func(s *eventv1.Submission, text string) {
			if s.GetActor() == nil {
				s.Actor = &eventv1.SubmittedActor{}
			}
			s.Actor.Id = text
		}},
	} {
		if x := c.text(field+"."+t.name, t.source); x != nil {
			r.texts = append(r.texts, textField{x, t.set})
		}
	}
	r.setters = c.words(field, (&eventv1.Submission{}).ProtoReflect().Descriptor(), map[string]string{"channel": e.Channel, "direction": e.Direction, "origin": e.Origin})
	if set := c.field(field+".actor", (&eventv1.SubmittedActor{}).ProtoReflect().Descriptor().Fields().ByName("kind"), orNil(e.Actor)); set != nil {
		r.setters = append(r.setters, func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
			return set(ctx, vars, m.Mutable(m.Descriptor().Fields().ByName("actor")).Message())
		})
	}
	for i, p := range e.Parties {
		r.parties = append(r.parties, c.party(fmt.Sprintf("%s.parties[%d]", field, i), p))
	}
	r.content = c.content(field, body, e)
	return r
}

// words compiles the enums of a message.
func (c *compiler) words(field string, m protoreflect.MessageDescriptor, sources map[string]string) []setter {
	var setters []setter
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		if set := c.field(field+"."+string(fd.Name()), fd, orNil(sources[string(fd.Name())])); set != nil {
			setters = append(setters, set)
		}
	}
	return setters
}

func orNil(source string) any {
	if strings.TrimSpace(source) == "" {
		return nil
	}
	return source
}

// looksLikeType tells a type that is none from an expression.
func looksLikeType(s string) bool {
	first, rest, ok := strings.Cut(strings.TrimSpace(s), ".")
	return ok && strings.Trim(first+rest, "abcdefghijklmnopqrstuvwxyz0123456789_-.") == "" && !slices.Contains([]string{varBody, varItem, varHeaders, varQuery}, first)
}

// bodyOf is the field of the content that holds a type's body.
func bodyOf(typ string) string {
	for _, t := range event.Types() {
		if t.Name == typ {
			return t.Body
		}
	}
	return "extension"
}

// content compiles what an event holds. The body is that of the type, where that is fixed.
func (c *compiler) content(field, body string, e Event) setter {
	node := e.Content
	if e.Text != "" {
		bodies := (&eventv1.Content{}).ProtoReflect().Descriptor().Fields()
		fd := bodies.ByName(protoreflect.Name(body))
		if fd == nil || fd.Message() == nil || fd.Message().Fields().ByName("text") == nil {
			c.fail(field+".text", "the type has no text: describe it by content")
			return nil
		}
		fields, _ := node[body].(map[string]any)
		if fields["text"] != nil || node[body] != nil && fields == nil {
			c.fail(field+".text", "content."+body+" says it as well")
			return nil
		}
		set := c.field(field+".text", fd.Message().Fields().ByName("text"), e.Text)
		rest := c.contentOf(field, body, node)
		return func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
			if rest != nil {
				if err := rest(ctx, vars, m); err != nil {
					return err
				}
			}
			message := m.Mutable(fd).Message()
			if set == nil {
				return nil
			}
			return set(ctx, vars, message)
		}
	}
	return c.contentOf(field, body, node)
}

func (c *compiler) contentOf(field, body string, node map[string]any) setter {
	if len(node) == 0 {
		return nil
	}
	d := (&eventv1.Content{}).ProtoReflect().Descriptor()
	for name := range node {
		fd := d.Fields().ByName(protoreflect.Name(name))
		isBody := fd != nil && fd.ContainingOneof() != nil
		switch {
		case name == "attachments", isBody && (body == "" || body == name):
		case body != "":
			c.fail(field+".content."+name, "it can hold "+body+", the body of its type, and attachments")
			return nil
		default:
			c.fail(field+".content."+name, "it can hold the body of a type, such as message_received, and attachments")
			return nil
		}
	}
	return c.message(field+".content", d, node)
}

// party compiles a party.
func (c *compiler) party(field string, p Party) party {
	compiled := party{when: c.condition(field+".when", p.When), named: c.text(field+".name", p.Name), space: c.text(field+".namespace", p.Namespace), region: c.text(field+".region", p.Region)}
	for _, a := range []struct {
		name, source string
		kind         eventv1.EndpointKind
	}{
		{"email", p.Email, eventv1.EndpointKind_ENDPOINT_KIND_EMAIL},
		{"phone", p.Phone, eventv1.EndpointKind_ENDPOINT_KIND_PHONE},
		{"visitor", p.Visitor, eventv1.EndpointKind_ENDPOINT_KIND_VISITOR},
		{"social", p.Social, eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL},
		{"sip", p.SIP, eventv1.EndpointKind_ENDPOINT_KIND_SIP},
		{"identifier", p.Identifier, eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER},
	} {
		if strings.TrimSpace(a.source) == "" {
			continue
		}
		if compiled.kind != 0 {
			c.fail(field+"."+a.name, "a party has one address: give the other one to a party of its own")
		}
		compiled.kind, compiled.address = a.kind, c.text(field+"."+a.name, a.source)
	}
	if compiled.kind == 0 && compiled.named == nil {
		c.fail(field, "an address or a name is needed")
	}
	if p.Side == "" {
		p.Side = "customer"
	}
	setters := c.words(field, (&eventv1.SubmittedParty{}).ProtoReflect().Descriptor(), map[string]string{"role": p.Role, "side": p.Side})
	compiled.set = func(ctx context.Context, vars map[string]any, m protoreflect.Message) error {
		return setAll(ctx, vars, setters, m)
	}
	return compiled
}

func setAll(ctx context.Context, vars map[string]any, setters []setter, m protoreflect.Message) error {
	for _, set := range setters {
		if err := set(ctx, vars, m); err != nil {
			return err
		}
	}
	return nil
}

// submission makes an event; nil where the rule's condition is not true.
func (r *rule) submission(ctx context.Context, in *inbox, vars map[string]any, it item) (*eventv1.Submission, error) {
	if holds, err := r.when.holds(ctx, vars); err != nil || !holds {
		return nil, err
	}
	s := &eventv1.Submission{Type: r.fixedType, Provider: in.Mapping.Provider, Inbox: in.Inbox.Inbox}
	var err error
	for _, f := range []struct {
		into *string
		from *expression
		name string
	}{{&s.Type, r.typ, "type"}, {&s.Thread, r.thread, "thread"}, {&s.NativeId, r.nativeID, "native_id"}} {
		if f.from == nil {
			continue
		}
		if *f.into, err = f.from.text(ctx, vars); err != nil {
			return nil, err
		}
		if *f.into == "" {
			return nil, f.from.wrong(errors.New("it gives nothing"))
		}
	}
	at, ok, err := r.occurredAt.eval(ctx, vars)
	if err != nil {
		return nil, err
	}
	if ok {
		when, err := timeOf(at)
		if err != nil {
			return nil, r.occurredAt.wrong(err)
		}
		s.OccurredAt = timestamppb.New(when)
	}
	if err := setAll(ctx, vars, r.setters, s.ProtoReflect()); err != nil {
		return nil, err
	}
	for _, t := range r.texts {
		text, err := t.text(ctx, vars)
		if err != nil {
			return nil, err
		}
		if text != "" {
			t.set(s, text)
		}
	}
	for i := range r.parties {
		p, err := r.parties[i].submitted(ctx, in, vars)
		if err != nil {
			return nil, err
		}
		if p != nil {
			s.Parties = append(s.Parties, p)
		}
	}
	s.Content = &eventv1.Content{}
	if r.content != nil {
		if err := r.content(ctx, vars, s.GetContent().ProtoReflect()); err != nil {
			return nil, err
		}
	}
	if s.GetContent().GetBody() == nil && strings.HasPrefix(s.GetType(), foreignPrefix) {
		s.Content.Body = &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: it.mediaType, Data: it.raw}}
	}
	return s, nil
}

// submitted makes a party; nil where there is none.
func (p *party) submitted(ctx context.Context, in *inbox, vars map[string]any) (*eventv1.SubmittedParty, error) {
	if holds, err := p.when.holds(ctx, vars); err != nil || !holds {
		return nil, err
	}
	values := make([]string, 0, 4)
	for _, x := range []*expression{p.address, p.named, p.space, p.region} {
		text, err := x.text(ctx, vars)
		if err != nil {
			return nil, err
		}
		values = append(values, strings.TrimSpace(text))
	}
	address := &eventv1.Address{Kind: p.kind, Value: values[0], Namespace: values[2], Region: strings.ToUpper(values[3])}
	if address.GetNamespace() == "" && (p.kind == eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL || p.kind == eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER) {
		address.Namespace = in.Mapping.Provider
	}
	s := &eventv1.SubmittedParty{DisplayName: cut(values[1])}
	if address.GetValue() != "" {
		s.Address = address
		// What a person typed into a field may be anything: it is shown, and does not cost the event.
		if _, err := event.Normalise(address); isValue(err) {
			s.Address = nil
			if s.GetDisplayName() == "" {
				s.DisplayName = cut(address.GetValue())
			}
		}
	}
	if s.GetAddress() == nil && s.GetDisplayName() == "" {
		return nil, nil //nolint:nilnil // nobody
	}
	return s, p.set(ctx, vars, s.ProtoReflect())
}

// isValue tells whether an address is wrong because of its value, and not by its configuration.
func isValue(err error) bool {
	wrong, ok := errors.AsType[*event.AddressError](err)
	return ok && wrong.Field == "value"
}

func cut(name string) string {
	if utf8.RuneCountInString(name) > maxName {
		return string([]rune(name)[:maxName])
	}
	return name
}

// item is what is read by itself: the body, or an item of it.
type item struct {
	value     ref.Val
	raw       []byte
	mediaType string
}

// rawOf is how a value came, or its JSON.
func rawOf(v ref.Val) ([]byte, error) {
	switch v := v.(type) {
	case *object:
		if v.raw != nil {
			return v.raw, nil
		}
	case *array:
		return v.raw, nil
	case types.String:
		return toJSON(v)
	}
	return toJSON(v)
}
