package event

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// SubmissionDecoder decodes the submissions of one request. Decoding is half of what garbage a request leaves: here the
// messages of all submissions lie side by side, and their texts are parts of one string. Whoever keeps one of those keeps
// all of the request; clone it. Not for concurrent use.
type SubmissionDecoder struct {
	data []byte
	all  string // the same
	bad  bool   // a text is no UTF-8

	contents  slab[eventv1.Content]
	times     slab[timestamppb.Timestamp]
	parties   slab[eventv1.SubmittedParty]
	addresses slab[eventv1.Address]
	actors    slab[eventv1.SubmittedActor]
	pointers  []*eventv1.SubmittedParty
}

// NewSubmissionDecoder makes a decoder of an encoded request that holds about n submissions. The bytes must not be changed
// afterwards.
func NewSubmissionDecoder(data []byte, n int) *SubmissionDecoder {
	const parties = 2
	d := &SubmissionDecoder{data: data, all: string(data), pointers: make([]*eventv1.SubmittedParty, 0, parties*n)}
	d.contents.size, d.times.size, d.actors.size = n, n, n
	d.parties.size, d.addresses.size = parties*n, parties*n
	return d
}

// Decode decodes the submission that stands from one byte of the request to another. It does what Protobuf does, or gives
// up: where it reports false, the request is malformed or simply unusual, and Protobuf has to look at it.
func (d *SubmissionDecoder) Decode(s *eventv1.Submission, from, to int) bool {
	first := len(d.pointers)
	ok := d.fields(from, to, func(num int, v uint64, begin, end int) bool {
		switch num {
		case 1:
			s.Type = d.text(begin, end)
		case 2:
			return s.GetOccurredAt() == nil && d.time(&s.OccurredAt, begin, end)
		case 3:
			s.Channel = eventv1.Channel(v)
		case 4:
			s.Direction = eventv1.Direction(v)
		case 5:
			s.Origin = eventv1.Origin(v)
		case 6:
			s.Provider = d.text(begin, end)
		case 7:
			s.Inbox = d.text(begin, end)
		case 8:
			s.Thread = d.text(begin, end)
		case 9:
			s.NativeId = d.text(begin, end)
		case 10:
			s.Ordinal = uint32(v)
		case 11:
			s.Discriminator = d.data[begin:end:end]
		case 12:
			return d.party(begin, end)
		case 13:
			return s.GetActor() == nil && d.actor(&s.Actor, begin, end)
		case 14:
			s.Queue = d.text(begin, end)
		case 15:
			s.Interaction = d.text(begin, end)
		case 16:
			s.Visit = d.text(begin, end)
		case 17:
			s.Assignment = d.text(begin, end)
		case 18:
			s.Language = d.text(begin, end)
		case 19:
			s.CausationId = d.text(begin, end)
		case 20:
			s.CorrelationId = d.text(begin, end)
		case 21:
			s.Backfill = v != 0
		case 22:
			if s.GetContent() != nil {
				return false
			}
			s.Content = d.contents.next()
			return proto.Unmarshal(d.data[begin:end], s.GetContent()) == nil
		}
		return true
	}, submissionFields)
	if n := len(d.pointers); n > first {
		s.Parties = d.pointers[first:n:n]
	}
	return ok && !d.bad
}

// The wire types of the fields of each message, by number.
const (
	none    = -1
	varint  = protowire.VarintType
	lengthy = protowire.BytesType
)

//nolint:gochecknoglobals // read only
var (
	submissionFields = []protowire.Type{none, lengthy, lengthy, varint, varint, varint, lengthy, lengthy, lengthy, lengthy, varint, lengthy, lengthy, lengthy, lengthy, lengthy, lengthy, lengthy, lengthy, lengthy, lengthy, varint, lengthy}
	partyFields      = []protowire.Type{none, lengthy, varint, varint, lengthy}
	addressFields    = []protowire.Type{none, varint, lengthy, lengthy, lengthy}
	actorFields      = []protowire.Type{none, varint, lengthy}
	timeFields       = []protowire.Type{none, varint, varint}
)

// fields calls set for each field between two bytes: with the number of a varint, or with where what has a length begins
// and ends. It gives up at fields of another type, or that this version does not know.
func (d *SubmissionDecoder) fields(at, to int, set func(num int, v uint64, begin, end int) bool, types []protowire.Type) bool {
	for at < to {
		num, typ, n := protowire.ConsumeTag(d.data[at:to])
		if n < 0 || int(num) >= len(types) || types[num] != typ {
			return false
		}
		at += n
		v, n := protowire.ConsumeVarint(d.data[at:to])
		if n < 0 {
			return false
		}
		at += n
		end := at
		if typ == lengthy {
			if v > uint64(to-at) {
				return false
			}
			end = at + int(v)
		}
		if !set(int(num), v, at, end) {
			return false
		}
		at = end
	}
	return true
}

func (d *SubmissionDecoder) text(begin, end int) string {
	s := d.all[begin:end]
	d.bad = d.bad || !utf8.ValidString(s)
	return s
}

func (d *SubmissionDecoder) time(to **timestamppb.Timestamp, begin, end int) bool {
	t := d.times.next()
	*to = t
	return d.fields(begin, end, func(num int, v uint64, _, _ int) bool {
		if num == 1 {
			t.Seconds = int64(v)
		} else {
			t.Nanos = int32(v)
		}
		return true
	}, timeFields)
}

func (d *SubmissionDecoder) actor(to **eventv1.SubmittedActor, begin, end int) bool {
	a := d.actors.next()
	*to = a
	return d.fields(begin, end, func(num int, v uint64, begin, end int) bool {
		if num == 1 {
			a.Kind = eventv1.ActorKind(v)
		} else {
			a.Id = d.text(begin, end)
		}
		return true
	}, actorFields)
}

func (d *SubmissionDecoder) party(begin, end int) bool {
	p := d.parties.next()
	d.pointers = append(d.pointers, p)
	return d.fields(begin, end, func(num int, v uint64, begin, end int) bool {
		switch num {
		case 1:
			return p.GetAddress() == nil && d.address(&p.Address, begin, end)
		case 2:
			p.Role = eventv1.PartyRole(v)
		case 3:
			p.Side = eventv1.Side(v)
		default:
			p.DisplayName = d.text(begin, end)
		}
		return true
	}, partyFields)
}

func (d *SubmissionDecoder) address(to **eventv1.Address, begin, end int) bool {
	a := d.addresses.next()
	*to = a
	return d.fields(begin, end, func(num int, v uint64, begin, end int) bool {
		switch num {
		case 1:
			a.Kind = eventv1.EndpointKind(v)
		case 2:
			a.Value = d.text(begin, end)
		case 3:
			a.Namespace = d.text(begin, end)
		default:
			a.Region = d.text(begin, end)
		}
		return true
	}, addressFields)
}

// slab makes values side by side.
type slab[T any] struct {
	free []T
	size int // of the next piece
}

func (s *slab[T]) next() *T {
	if len(s.free) == 0 {
		s.free = make([]T, max(s.size, 1))
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}
