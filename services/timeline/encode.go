package timeline

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Answers are put together from the bytes that the log holds: an event is decoded once, by whoever reads the answer. A
// message of the API gets its entries as bytes that Protobuf has not looked at (its unknown fields), which are written as they
// are; so in this process its getters do not show them.

// The fields that are written by hand; a test holds them to the proto.
const (
	fieldEvent        = 1 // of Entry
	fieldContent      = 2
	fieldPosition     = 3
	fieldTopic        = 1 // of Position
	fieldPartition    = 2
	fieldOffset       = 3
	fieldListEntry    = 1 // of ListResponse
	fieldWatchedEntry = 1 // of WatchResponse
)

// contents is what the content of an event must fit to be shown.
var contents = event.ShapeOf(&eventv1.Content{}) //nolint:gochecknoglobals // read only

// appendEntry appends the encoded Entry of a row. Content that is sealed or cannot be decoded is left out.
func appendEntry(b []byte, r *row, omitContent bool) []byte {
	b = appendBytes(b, fieldEvent, r.Envelope)
	if !omitContent && !r.Sealed && contents.Fits(r.Content) {
		b = appendBytes(b, fieldContent, r.Content)
	}
	return appendBytes(b, fieldPosition, appendPosition(make([]byte, 0, positionSize), r))
}

const positionSize = 64 // more than any takes

func appendPosition(b []byte, r *row) []byte {
	b = appendBytes(b, fieldTopic, []byte(event.TopicInteractions))
	b = appendNumber(b, fieldPartition, uint64(r.partition))
	return appendNumber(b, fieldOffset, uint64(r.offset))
}

// listed puts entries into an answer.
func listed(resp *timelinev1.ListResponse, rows []*row, omitContent bool) {
	size := 0
	for _, r := range rows {
		size += len(r.Envelope) + len(r.Content) + 2*positionSize
	}
	entries, entry := make([]byte, 0, size), []byte(nil)
	for _, r := range rows {
		entry = appendEntry(entry[:0], r, omitContent)
		entries = appendBytes(entries, fieldListEntry, entry)
	}
	resp.ProtoReflect().SetUnknown(entries)
}

// watched puts an entry into a message of a watch.
func watched(resp *timelinev1.WatchResponse, entry []byte) {
	resp.ProtoReflect().SetUnknown(appendBytes(make([]byte, 0, len(entry)+8), fieldWatchedEntry, entry))
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}
