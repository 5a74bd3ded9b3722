package ingest_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/services/ingest"
)

// full is a submission in which everything is set.
func full() *eventv1.Submission {
	return &eventv1.Submission{
		Type: "message.received", OccurredAt: &timestamppb.Timestamp{Seconds: -5, Nanos: 7}, Channel: 1, Direction: 2, Origin: -3, Provider: "p",
		Inbox: "in", Thread: "线", NativeId: "n", Ordinal: 1 << 31, Discriminator: []byte{0, 255}, Actor: &eventv1.SubmittedActor{Kind: 2, Id: "a"},
		Parties: []*eventv1.SubmittedParty{
			{Address: &eventv1.Address{Kind: 1, Value: "+49", Namespace: "x", Region: "DE"}, Role: 1, Side: 2, DisplayName: "Ana"}, {}, {Address: &eventv1.Address{}},
		},
		Queue: "q", Interaction: "i", Visit: "v", Assignment: "as", Language: "en", CausationId: "c", CorrelationId: "co", Backfill: true,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "hi"}}},
	}
}

// seeds are requests of all kinds.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	unknown := full()
	unknown.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	return [][]byte{
		encode(&ingestv1.PublishRequest{Submissions: []*eventv1.Submission{full(), {}, full()}}),
		encode(&ingestv1.PublishRequest{Submissions: []*eventv1.Submission{unknown}}),
		encode(&ingestv1.StreamRequest{Items: []*ingestv1.StreamItem{{Id: 1 << 60, Submission: full()}, {}, {Submission: full()}, {Id: 3}}}),
		[]byte("\x0a\x03\x0a\x01\xff"),             // text that is no UTF-8
		[]byte("\x0a\x04\x12\x00\x12\x00"),         // occurred_at twice
		[]byte("\x0a\x03\x08\x01\x00"),             // a text that is a number
		[]byte("\x0a\x05\xb2\x01\x02\x5a\x7f\x00"), // content that breaks off
	}
}

// FuzzDecode: what is decoded here is what Protobuf decodes.
func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, message := range []proto.Message{&ingestv1.PublishRequest{}, &ingestv1.StreamRequest{}} {
			want := message.ProtoReflect().New().Interface()
			err := proto.Unmarshal(data, want)
			decoded := ingest.Decode(message, func() []byte { return data })
			switch {
			case !decoded && proto.Size(message) > 0:
				t.Errorf("half of it stays: %v", message)
			case decoded && (err != nil || !proto.Equal(message, want)):
				t.Errorf("got %v\nwant %v, %v", message, want, err)
			}
		}
	})
}

func TestWhatClientsSendIsDecodedHere(t *testing.T) {
	s := full().ProtoReflect()
	for i := range s.Descriptor().Fields().Len() {
		if fd := s.Descriptor().Fields().Get(i); !s.Has(fd) {
			t.Errorf("the test's submission lacks %s", fd.Name())
		}
	}
	data := seeds(t)
	if !ingest.Decode(&ingestv1.PublishRequest{}, func() []byte { return data[0] }) || !ingest.Decode(&ingestv1.StreamRequest{}, func() []byte { return data[2] }) {
		t.Error("left to Protobuf")
	}
}

func TestARequestWithTooManySubmissionsIsRefusedBeforeItTakesMemory(t *testing.T) {
	empty := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), nil)
	var data []byte
	for range 1 << 20 {
		data = append(data, empty...)
	}
	publish, stream := &ingestv1.PublishRequest{}, &ingestv1.StreamRequest{}
	ingest.Decode(publish, func() []byte { return data })
	ingest.Decode(stream, func() []byte { return data })
	if len(publish.GetSubmissions()) != 5001 || len(stream.GetItems()) != 1001 {
		t.Errorf("%d submissions and %d items", len(publish.GetSubmissions()), len(stream.GetItems()))
	}
}
