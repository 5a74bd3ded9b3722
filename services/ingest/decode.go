package ingest

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// The fields that Decode looks at; a test holds them to the proto.
const (
	fieldSubmissions = 1 // of PublishRequest
	fieldItems       = 1 // of StreamRequest
	fieldItemID      = 1 // of StreamItem
	fieldItem        = 2
)

// What a request may hold, as the proto says.
const (
	maxSubmissions = 5000
	maxItems       = 1000
)

// Decode is an rpc.Decoder for requests with many submissions: it decodes them as Protobuf does, with a fraction of the
// allocations, or leaves them to Protobuf. Of a request with more than it may hold it decodes one too many, so that it is
// refused without having taken memory for all.
func Decode(message any, data func() []byte) bool {
	switch m := message.(type) {
	case *ingestv1.PublishRequest:
		return decodePublish(m, data())
	case *ingestv1.StreamRequest:
		return decodeStream(m, data())
	}
	return false
}

// pieces finds where each of the messages begins and ends that are all that a message holds, under one number: as many as
// there may be, and one more.
func pieces(data []byte, field protowire.Number, base, most int) (found [][2]int, ok bool) {
	for at := 0; at < len(data) && len(found) <= most; {
		num, typ, n := protowire.ConsumeTag(data[at:])
		if n < 0 || num != field || typ != protowire.BytesType {
			return nil, false
		}
		at += n
		value, n := protowire.ConsumeBytes(data[at:])
		if n < 0 {
			return nil, false
		}
		at += n
		found = append(found, [2]int{base + at - len(value), base + at})
	}
	return found, true
}

func decodePublish(m *ingestv1.PublishRequest, data []byte) bool {
	found, ok := pieces(data, fieldSubmissions, 0, maxSubmissions)
	if !ok {
		return false
	}
	decoder, all := event.NewSubmissionDecoder(data, len(found)), make([]eventv1.Submission, len(found))
	submissions := make([]*eventv1.Submission, len(found))
	for i, at := range found {
		submissions[i] = &all[i]
		if !decoder.Decode(&all[i], at[0], at[1]) {
			return false
		}
	}
	m.Submissions = submissions
	return true
}

func decodeStream(m *ingestv1.StreamRequest, data []byte) bool {
	found, ok := pieces(data, fieldItems, 0, maxItems)
	if !ok {
		return false
	}
	decoder := event.NewSubmissionDecoder(data, len(found))
	all, room := make([]ingestv1.StreamItem, len(found)), make([]eventv1.Submission, len(found))
	items := make([]*ingestv1.StreamItem, len(found))
	for i, at := range found {
		items[i] = &all[i]
		if !decodeItem(decoder, data, &all[i], &room[i], at[0], at[1]) {
			return false
		}
	}
	m.Items = items
	return true
}

func decodeItem(decoder *event.SubmissionDecoder, data []byte, item *ingestv1.StreamItem, s *eventv1.Submission, at, to int) bool {
	if num, typ, n := protowire.ConsumeTag(data[at:to]); num == fieldItemID && typ == protowire.VarintType {
		at += n
		if item.Id, n = protowire.ConsumeVarint(data[at:to]); n < 0 {
			return false
		}
		at += n
	}
	if at == to {
		return true
	}
	found, ok := pieces(data[at:to], fieldItem, at, 1)
	if !ok || len(found) != 1 {
		return false
	}
	item.Submission = s
	return decoder.Decode(s, found[0][0], found[0][1])
}
