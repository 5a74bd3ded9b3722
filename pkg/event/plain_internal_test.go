package event

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Every field of a submission is set to many values, each alone: what is taken at a glance keeps the rules of the proto.
func TestWhatIsTakenAtAGlanceKeepsTheRulesOfTheProto(t *testing.T) {
	rules, err := protovalidate.New(protovalidate.WithMessages(&eventv1.Submission{}))
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeyring(strings.NewReader(strings.Repeat("k", 1024)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCompiler(k, WithValidator(rules))
	if err != nil {
		t.Fatal(err)
	}
	good := &eventv1.Submission{
		Type: TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_EMAIL, Provider: "smtp", Inbox: "support", Thread: "t", NativeId: "1", Language: "en",
		Parties: []*eventv1.SubmittedParty{
			{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "030 901820", Region: "DE"}, Side: eventv1.Side_SIDE_CUSTOMER},
			{DisplayName: "Anonymous"},
		},
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "tom@acme"},
		Content: &eventv1.Content{
			Original: &eventv1.Blob{Key: "acme/x", Sha256: make([]byte, 32)}, Attachments: []*eventv1.Attachment{{Blob: &eventv1.Blob{Key: "acme/y"}, Name: "a.pdf"}},
			Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello"}},
		},
	}
	if !c.plain(good) {
		t.Fatal("a good submission is not taken")
	}
	taken, left := 0, 0
	compare := func(s *eventv1.Submission, field protoreflect.FullName) {
		if !c.plain(s) {
			left++
			return
		}
		taken++
		if err := rules.Validate(s); err != nil {
			t.Errorf("%s: taken, but: %v", field, err)
		}
	}
	each(good.ProtoReflect(), func(field protoreflect.FullName) { compare(good, field) })
	body := c.body.Fields()
	for i := range body.Len() {
		s := proto.CloneOf(good)
		content := s.GetContent().ProtoReflect()
		content.Set(body.Get(i), content.NewField(body.Get(i)))
		each(content.Mutable(body.Get(i)).Message(), func(field protoreflect.FullName) { compare(s, field) })
	}
	if taken < 1000 || left < 200 {
		t.Errorf("%d were taken and %d not: the test shows little", taken, left)
	}
}

// each sets each field of a message, and of those in it, to many values, calls check, and puts the field back.
func each(m protoreflect.Message, check func(field protoreflect.FullName)) {
	var texts []protoreflect.Value
	for _, text := range []string{
		"", "a", "A", "en", "zh-Hans", "x-", "deutschland", "DE", "D", "de", "D1", "acme", "a.b_c-d", ".a", "-a", "a b", "é", "a/b:c@d+e", "a\n", "ext.a.b", "call.answered",
		"019a0000-0000-7000-8000-000000000000",
	} {
		texts = append(texts, protoreflect.ValueOfString(text))
	}
	for _, n := range []int{35, 36, 64, 65, 128, 129, 255, 256, 257, 512, 513, 1024, 1025, 5000} {
		texts = append(texts, protoreflect.ValueOfString(strings.Repeat("x", n)))
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.ContainingOneof() != nil && field.ContainingOneof().Name() == "body" {
			continue
		}
		if field.IsMap() {
			continue
		}
		if field.IsList() {
			list, had := m.Mutable(field).List(), m.NewField(field).List()
			for j := range list.Len() {
				had.Append(list.Get(j))
				if field.Message() != nil {
					each(list.Get(j).Message(), check)
				}
			}
			for _, n := range []int{1000, 1001, 2000, 2001} {
				long := m.NewField(field).List()
				for range n {
					long.Append(long.NewElement())
				}
				m.Set(field, protoreflect.ValueOfList(long))
				check(field.FullName())
			}
			m.Set(field, protoreflect.ValueOfList(had))
			continue
		}
		if field.Message() != nil && m.Has(field) {
			each(m.Mutable(field).Message(), check)
		}
		had, old := m.Has(field), m.Get(field)
		for _, v := range values(m, field, texts) {
			m.Set(field, v)
			check(field.FullName())
		}
		m.Clear(field)
		check(field.FullName())
		if had {
			m.Set(field, old)
		}
	}
}

// values are what a field of its kind is set to.
func values(m protoreflect.Message, field protoreflect.FieldDescriptor, texts []protoreflect.Value) []protoreflect.Value {
	var list []protoreflect.Value
	switch field.Kind() { //nolint:exhaustive // numbers without sign and truth values break no rule
	case protoreflect.StringKind:
		return texts
	case protoreflect.MessageKind:
		return append(list, m.NewField(field))
	case protoreflect.BytesKind:
		for _, n := range []int{0, 31, 32, 33, 64, 65} {
			list = append(list, protoreflect.ValueOfBytes(make([]byte, n)))
		}
	case protoreflect.EnumKind:
		for n := -1; n < 30; n++ {
			list = append(list, protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)))
		}
	case protoreflect.Int64Kind:
		return append(list, protoreflect.ValueOfInt64(-1), protoreflect.ValueOfInt64(1<<40))
	case protoreflect.Int32Kind:
		return append(list, protoreflect.ValueOfInt32(-2), protoreflect.ValueOfInt32(1000), protoreflect.ValueOfInt32(1<<30))
	case protoreflect.DoubleKind:
		return append(list, protoreflect.ValueOfFloat64(-2), protoreflect.ValueOfFloat64(1000))
	}
	return list
}
