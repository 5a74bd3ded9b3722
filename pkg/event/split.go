package event

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The fields of Event that Split looks at; a test holds them to the proto.
const (
	fieldType    = 3
	fieldThread  = 6
	fieldChannel = 8
	fieldContent = 13
	fieldSeal    = 25
)

// Parts are an event taken apart without decoding it, for those who hand it on. They share the record's memory, except for
// the envelope of an event that has fields behind its content.
type Parts struct {
	Envelope []byte // the encoded event without its content
	Content  []byte // the encoded content; nil where there is none, ciphertext where it is sealed
	Thread   []byte // the id of its thread, as it is written
	Type     string
	Channel  eventv1.Channel
	Sealed   bool
}

var errMalformed = errors.New("event: malformed record")

// Split takes a record's value apart. What it is given passed Decode before: of malformed bytes it finds only what is in
// its way.
func Split(value []byte) (Parts, error) {
	var p Parts
	kept := 0 // where the part of the envelope begins that was not copied yet
	var joined []byte
	for at := 0; at < len(value); {
		num, typ, n := protowire.ConsumeTag(value[at:])
		if n < 0 {
			return Parts{}, fmt.Errorf("%w: %w", errMalformed, protowire.ParseError(n))
		}
		begin := at
		at += n
		n = protowire.ConsumeFieldValue(num, typ, value[at:])
		if n < 0 {
			return Parts{}, fmt.Errorf("%w: %w", errMalformed, protowire.ParseError(n))
		}
		field := value[at : at+n]
		at += n
		switch {
		case num == fieldType && typ == protowire.BytesType:
			name, _ := protowire.ConsumeBytes(field)
			p.Type = string(name)
		case num == fieldThread && typ == protowire.BytesType:
			p.Thread, _ = protowire.ConsumeBytes(field)
		case num == fieldChannel && typ == protowire.VarintType:
			channel, _ := protowire.ConsumeVarint(field)
			p.Channel = eventv1.Channel(int32(channel)) // what Protobuf does with an enum
		case num == fieldSeal && typ == protowire.BytesType:
			p.Sealed = len(field) > 1 // a length of none is one byte
		case num == fieldContent && typ == protowire.BytesType:
			p.Content, _ = protowire.ConsumeBytes(field)
			if joined == nil {
				joined = make([]byte, 0, len(value)-len(field))
			}
			joined = append(joined, value[kept:begin]...)
			kept = at
		}
	}
	p.Envelope = value
	if joined != nil {
		joined = append(joined, value[kept:]...)
		p.Envelope = joined
	}
	return p, nil
}
