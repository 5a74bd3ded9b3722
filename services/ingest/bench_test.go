package ingest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/intake"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/services/ingest"
)

// swallow is a log that takes everything at once and keeps nothing.
type swallow struct{}

func (swallow) Append(_ context.Context, m eventlog.Message, done func(eventlog.Position, error)) error {
	done(eventlog.Position{Topic: m.Topic}, nil)
	return nil
}

// BenchmarkPublish is all that the server does of a call but the network and the log, per event.
func BenchmarkPublish(b *testing.B) {
	keyring, err := event.NewKeyring(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		b.Fatal(err)
	}
	server := ingest.NewServer(intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: swallow{}}))
	const batch = 1000
	req := &ingestv1.PublishRequest{}
	for i := range batch {
		req.Submissions = append(req.Submissions, &eventv1.Submission{
			Type: event.TypeMessageReceived, OccurredAt: timestamppb.Now(), Provider: "bench", Inbox: "service",
			Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND,
			Thread: fmt.Sprint("t", i/5), NativeId: fmt.Sprint("m", i),
			Parties: []*eventv1.SubmittedParty{
				{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat", Value: fmt.Sprint("oLVPpjqs9BhvzwPj5A-", i/5)}, Side: eventv1.Side_SIDE_CUSTOMER},
				{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "support@example.com"}, Side: eventv1.Side_SIDE_COMPANY},
			},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
				Text: "Could you tell me when my order will leave the warehouse?",
			}}},
		})
	}
	encoded, err := proto.Marshal(req)
	if err != nil {
		b.Fatal(err)
	}
	ctx := auth.With(b.Context(), auth.Identity{Tenant: "default"})
	b.ReportAllocs()
	for b.Loop() {
		in := &ingestv1.PublishRequest{}
		if !ingest.Decode(in, func() []byte { return encoded }) {
			b.Fatal("left to Protobuf")
		}
		out, err := server.Publish(ctx, in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := proto.Marshal(out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/event")
}
