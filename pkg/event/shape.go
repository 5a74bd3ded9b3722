package event

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Shape tells of encoded messages of one type whether Protobuf can decode them, without doing so. What was appended to the
// log by others may be anything; one content that cannot be decoded would take a whole answer with it. It is safe for
// concurrent use.
type Shape struct{ fields []shapeField } // by number; the rest is unknown

type shapeField struct {
	kind    shapeKind
	packed  protowire.Type // of the elements, where they are
	message *Shape
}

type shapeKind uint8

const (
	shapeOther   shapeKind = iota // well-formed as soon as it is there
	shapeText                     // UTF-8
	shapeMessage                  // has a shape of its own
	shapePacked                   // several numbers in a row
)

// ShapeOf gives the shape of a message's type.
func ShapeOf(m proto.Message) *Shape {
	return shapeOf(m.ProtoReflect().Descriptor(), map[protoreflect.FullName]*Shape{})
}

func shapeOf(m protoreflect.MessageDescriptor, made map[protoreflect.FullName]*Shape) *Shape {
	if s := made[m.FullName()]; s != nil {
		return s
	}
	s := &Shape{}
	made[m.FullName()] = s
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		var f shapeField
		switch fd.Kind() {
		case protoreflect.StringKind:
			f.kind = shapeText
		case protoreflect.MessageKind:
			f = shapeField{kind: shapeMessage, message: shapeOf(fd.Message(), made)}
		case protoreflect.BytesKind, protoreflect.GroupKind:
		case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
			f.packed = protowire.Fixed32Type
		case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
			f.packed = protowire.Fixed64Type
		default:
			f.packed = protowire.VarintType
		}
		if fd.IsList() && f.kind == shapeOther && fd.Kind() != protoreflect.BytesKind {
			f.kind = shapePacked
		}
		for len(s.fields) <= int(fd.Number()) {
			s.fields = append(s.fields, shapeField{})
		}
		s.fields[fd.Number()] = f
	}
	return s
}

// Fits tells whether bytes can be decoded as a message of this type.
func (s *Shape) Fits(b []byte) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || num > protowire.MaxValidNumber {
			return false
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return false
		}
		if typ == protowire.BytesType && int(num) < len(s.fields) {
			value, _ := protowire.ConsumeBytes(b[:n])
			if !s.fields[num].fits(value) {
				return false
			}
		}
		b = b[n:]
	}
	return true
}

func (f *shapeField) fits(b []byte) bool {
	switch f.kind {
	case shapeText:
		return utf8.Valid(b)
	case shapeMessage:
		return f.message.Fits(b)
	case shapePacked:
		for len(b) > 0 {
			n := protowire.ConsumeFieldValue(1, f.packed, b)
			if n < 0 {
				return false
			}
			b = b[n:]
		}
	case shapeOther:
	}
	return true
}
