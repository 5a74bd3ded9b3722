package event_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// sampleRecords are records as they stand in the log, and some that others may have written.
func sampleRecords(t testing.TB) [][]byte {
	t.Helper()
	var records [][]byte
	add := func(change func(*eventv1.Event)) {
		e := compile(t, mail()).Event
		change(e)
		record, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	add(func(*eventv1.Event) {})
	add(func(e *eventv1.Event) { e.Content = nil })
	add(func(e *eventv1.Event) { e.Seal, e.Content = "key-1", []byte("ciphertext") })
	add(func(e *eventv1.Event) { e.Channel = -3; e.ProtoReflect().SetUnknown(fromTheFuture(500)) })
	twice := append(bytes.Clone(records[0]), protowire.AppendBytes(protowire.AppendTag(nil, 13, protowire.BytesType), []byte("later"))...)
	return append(records, twice, protowire.AppendVarint(protowire.AppendTag(nil, 13, protowire.VarintType), 5))
}

// FuzzSplit: what is taken apart is what decoding finds.
func FuzzSplit(f *testing.F) {
	for _, record := range sampleRecords(f) {
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		want := &eventv1.Event{}
		decodeErr := proto.Unmarshal(record, want)
		parts, err := event.Split(record)
		if decodeErr != nil {
			return // it may be malformed where Split does not look
		}
		if err != nil {
			t.Fatalf("%v, although it can be decoded", err)
		}
		encoded, err := event.Encode(want)
		expected, _ := proto.MarshalOptions{Deterministic: true}.Marshal(want)
		if err != nil || !bytes.Equal(encoded, expected) {
			t.Errorf("encoded %x, %v; Protobuf gives %x", encoded, err, expected)
		}
		if parts.Type != want.GetType() || string(parts.Thread) != want.GetThreadId() || parts.Channel != want.GetChannel() || parts.Sealed != (want.GetSeal() != "") || !bytes.Equal(parts.Content, want.GetContent()) {
			t.Errorf("got %+v of %v", parts, want)
		}
		got := &eventv1.Event{}
		if err := proto.Unmarshal(parts.Envelope, got); err != nil {
			t.Fatal(err)
		}
		want.Content = nil
		if !proto.Equal(got, want) {
			t.Errorf("the envelope is %v, and must be %v", got, want)
		}
	})
}

// FuzzShape: what fits can be decoded, and what can be decoded fits.
func FuzzShape(f *testing.F) {
	shape := event.ShapeOf(&eventv1.Content{})
	for _, record := range sampleRecords(f) {
		parts, err := event.Split(record)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(parts.Content)
	}
	for _, content := range []*eventv1.Content{
		{Body: &eventv1.Content_FormSubmitted{FormSubmitted: &eventv1.FormSubmitted{Fields: map[string]string{"a": "b"}}}},
		{Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{Segments: []*eventv1.TranscriptSegment{{Text: "x", Confidence: 0.5}}}}},
	} {
		b, err := proto.Marshal(content)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x12\x01\xff"))                                                                    // text that is no UTF-8
	f.Add([]byte("\x0a\x05\x22\x01\xffab"))                                                          // the same, one level down
	f.Add([]byte("\x92\x0d\x03\x0a\x01\x0b"))                                                        // a group's end
	f.Add(protowire.AppendBytes(protowire.AppendTag(nil, 300, protowire.BytesType), []byte("\x80"))) // a tag that breaks off
	f.Add(protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1))              // a text that is a number
	f.Add(append(protowire.AppendTag(nil, 900, protowire.StartGroupType), 0xa4, 0x38))               // a group, unknown
	f.Fuzz(func(t *testing.T, content []byte) {
		err := proto.Unmarshal(content, &eventv1.Content{})
		if got := shape.Fits(content); got != (err == nil) {
			t.Errorf("fits: %t; decoding: %v", got, err)
		}
	})
}

func TestAnAnswerIsMadeOfRecordsWithoutDecodingThem(t *testing.T) {
	for _, record := range sampleRecords(t)[:4] {
		parts, err := event.Split(record)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(record, parts.Content); n == 0 && len(parts.Content) > 0 {
			t.Error("the content is not the record's")
		}
		if len(parts.Envelope) >= len(record) && len(parts.Content) > 0 {
			t.Errorf("an envelope of %d bytes of a record of %d", len(parts.Envelope), len(record))
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	record := sampleRecords(b)[0]
	shape := event.ShapeOf(&eventv1.Content{})
	b.ReportAllocs()
	for b.Loop() {
		parts, err := event.Split(record)
		if err != nil || !shape.Fits(parts.Content) {
			b.Fatal(err)
		}
	}
}
