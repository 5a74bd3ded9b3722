package event

import (
	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// plain tells at a glance that a submission breaks no rule of the proto. Where it is false, nothing is known: the rules
// themselves have to be asked, which takes three times as long as all the rest of compiling. It never says more than they do;
// a test holds the two together.
func (c *Compiler) plain(s *eventv1.Submission) bool {
	_, registered := byName[s.GetType()]
	return registered && // their names keep the pattern
		known(eventv1.Channel_name, s.GetChannel()) && known(eventv1.Direction_name, s.GetDirection()) && known(eventv1.Origin_name, s.GetOrigin()) &&
		isProvider(s.GetProvider()) && filled(s.GetInbox(), 128) && filled(s.GetThread(), 1024) && filled(s.GetNativeId(), 1024) &&
		len(s.GetDiscriminator()) <= 64 && len(s.GetParties()) <= 2000 && plainParties(s.GetParties()) &&
		known(eventv1.ActorKind_name, s.GetActor().GetKind()) && made(s.GetActor().GetId(), 128, "._:/@+-") &&
		len(s.GetQueue()) <= 128 && len(s.GetInteraction()) <= 1024 && len(s.GetVisit()) <= 1024 && len(s.GetAssignment()) <= 1024 &&
		isShortLanguage(s.GetLanguage()) && s.GetCausationId() == "" && len(s.GetCorrelationId()) <= 128 &&
		c.plainContent(s.GetContent())
}

func plainParties(parties []*eventv1.SubmittedParty) bool {
	for _, p := range parties {
		a := p.GetAddress()
		if a != nil && (a.GetKind() == 0 || !known(eventv1.EndpointKind_name, a.GetKind()) || len(a.GetValue()) > 512 ||
			!made(a.GetNamespace(), 256, "._:/-") || !isRegion(a.GetRegion())) {
			return false
		}
		if !known(eventv1.PartyRole_name, p.GetRole()) || !known(eventv1.Side_name, p.GetSide()) || len(p.GetDisplayName()) > 512 {
			return false
		}
	}
	return true
}

func (c *Compiler) plainContent(content *eventv1.Content) bool {
	if content == nil {
		return true
	}
	if len(content.GetParties()) > 0 || content.GetNativeThread() != "" || content.GetNativeId() != "" ||
		content.GetStatedAt() != nil || content.GetSpilled() != nil || content.GetAuthentication() != nil || len(content.GetAttachments()) > 1000 || !plainBlob(content.GetOriginal()) {
		return false
	}
	for _, a := range content.GetAttachments() {
		if len(a.GetName()) > 1024 || len(a.GetContentId()) > 1024 || len(a.GetSource()) > 4096 || len(a.GetMediaType()) > 255 || !plainBlob(a.GetBlob()) {
			return false
		}
	}
	body := content.ProtoReflect().WhichOneof(c.body)
	return body == nil || c.free[body.Number()]
}

func plainBlob(b *eventv1.Blob) bool {
	return len(b.GetKey()) <= 512 && b.GetSize() >= 0 && len(b.GetSha256()) <= 32 && len(b.GetMediaType()) <= 255
}

func known[E ~int32](names map[int32]string, value E) bool {
	_, ok := names[int32(value)]
	return ok
}

// filled tells that a string is there and not longer than so many bytes, and so characters.
func filled(s string, most int) bool { return s != "" && len(s) <= most }

// made tells that a string has letters, digits and some other characters only, or none.
func made(s string, most int, others string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && !holds(others, s[i]) {
			return false
		}
	}
	return len(s) <= most
}

func holds(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

func isProvider(s string) bool {
	for i := range len(s) {
		lower := 'a' <= s[i] && s[i] <= 'z' || '0' <= s[i] && s[i] <= '9'
		if !lower && (i == 0 || !holds("._-", s[i])) {
			return false
		}
	}
	return filled(s, 64)
}

func isRegion(s string) bool {
	return s == "" || len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// isShortLanguage knows tags without subtags, such as en.
func isShortLanguage(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s == "" || len(s) >= 2 && len(s) <= 8
}

// freeBodies are the fields of Content.body that no rule is about.
func freeBodies(body protoreflect.OneofDescriptor) map[protoreflect.FieldNumber]bool {
	free := map[protoreflect.FieldNumber]bool{}
	for i := range body.Fields().Len() {
		field := body.Fields().Get(i)
		if !proto.HasExtension(field.Options(), validate.E_Field) && !ruled(field.Message(), map[protoreflect.FullName]bool{}) {
			free[field.Number()] = true
		}
	}
	return free
}

// ruled tells whether a rule is about a message or anything in it.
func ruled(m protoreflect.MessageDescriptor, visited map[protoreflect.FullName]bool) bool {
	if m == nil || visited[m.FullName()] {
		return false
	}
	visited[m.FullName()] = true
	if proto.HasExtension(m.Options(), validate.E_Message) {
		return true
	}
	for i := range m.Oneofs().Len() {
		if proto.HasExtension(m.Oneofs().Get(i).Options(), validate.E_Oneof) {
			return true
		}
	}
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		if proto.HasExtension(field.Options(), validate.E_Field) || ruled(field.Message(), visited) {
			return true
		}
	}
	return false
}
