package timeline_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/timeline"
)

// benchTopic is the log that benchmarks fold.
const benchTopic = "fold"

// filledLog holds n events of customers who have 60 each.
func filledLog(b *testing.B, n int) (*event.Keyring, eventlog.Log) {
	b.Helper()
	keyring, err := event.NewKeyring(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		b.Fatal(err)
	}
	log := memlog.New(memlog.Config{}).Open()
	if err := log.EnsureTopics(b.Context(), eventlog.Topic{Name: benchTopic, Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var messages []eventlog.Message
	for i := range n {
		c, err := compiler.Compile("default", &eventv1.Submission{
			Type: event.TypeMessageReceived, OccurredAt: timestamppb.New(at.Add(time.Duration(i) * time.Millisecond)), Provider: "bench", Inbox: "service",
			Thread: fmt.Sprint("t", i/5), NativeId: fmt.Sprint("m", i),
			Parties: []*eventv1.SubmittedParty{
				{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprint("v", i/60)}, Side: eventv1.Side_SIDE_CUSTOMER},
				{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "support@example.com"}, Side: eventv1.Side_SIDE_COMPANY},
			},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
				Text: "Could you tell me when my order will leave the warehouse?",
			}}},
		}, at.Add(time.Hour))
		if err != nil {
			b.Fatal(err)
		}
		value, err := event.Encode(c.Event)
		if err != nil {
			b.Fatal(err)
		}
		messages = append(messages, eventlog.Message{Topic: benchTopic, Key: c.Key(), Value: value})
	}
	if _, err := eventlog.AppendAll(b.Context(), log, messages); err != nil {
		b.Fatal(err)
	}
	return keyring, log
}

// BenchmarkList is all that the server does of a call but the network: the newest 50 events of addresses, and of a customer with so
// many endpoints.
func BenchmarkList(b *testing.B) {
	keyring, log := filledLog(b, 60_000)
	store, err := pebblekv.Open(b.TempDir(), pebblekv.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	runner, err := projection.NewRunner(b.Context(), projection.Config{
		Log: log, Store: store, Namespace: kv.Namespace{Slice: timeline.Slice, Generation: 1}, Topic: benchTopic, Fold: timeline.NewFold(1),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := runner.RunToEnd(b.Context()); err != nil {
		b.Fatal(err)
	}
	runner.Close()
	hub := timeline.NewHub(store, benchTopic, 1, nil, slog.New(slog.DiscardHandler))
	visitor := func(i int) *eventv1.Address {
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprint("v", i%1000)}
	}
	run := func(name string, links timeline.Links, req func(i int) *timelinev1.ListRequest) {
		server := timeline.NewServer(store, keyring, nil, hub, links)
		ctx := auth.With(b.Context(), auth.Identity{Tenant: "default"})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				resp, err := server.List(ctx, req(i))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := proto.Marshal(resp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("5 addresses", timeline.Links{}, func(i int) *timelinev1.ListRequest {
		req := &timelinev1.ListRequest{}
		for e := range 5 {
			req.Addresses = append(req.Addresses, visitor(i+e))
		}
		return req
	})
	for _, endpoints := range []int{5, 1000} {
		owned := newLinks()
		scopes := map[event.ID]scope.Scope{}
		for first := range 1000 / endpoints {
			s := scope.Scope{ID: event.ID{0x80, byte(first)}}
			for e := range endpoints {
				endpoint, err := event.Normalise(visitor(first*endpoints + e))
				if err != nil {
					b.Fatal(err)
				}
				s.Endpoints = append(s.Endpoints, scope.Span{ID: keyring.Tenant("default").Endpoint(endpoint), Range: scope.Ever})
			}
			scopes[s.ID] = s
		}
		owned.tenant = "default"
		owned.set(time.Time{}, scopes)
		run(fmt.Sprint("a customer of ", endpoints), timeline.Links{Customers: owned}, func(i int) *timelinev1.ListRequest {
			return &timelinev1.ListRequest{CustomerId: event.ID{0x80, byte(i % (1000 / endpoints))}.String()}
		})
	}
}

// BenchmarkFoldIntoPebble folds from memory into Pebble, per event.
func BenchmarkFoldIntoPebble(b *testing.B) {
	const n = 20_000
	_, log := filledLog(b, n)
	store, err := pebblekv.Open(b.TempDir(), pebblekv.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	generation := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		generation++
		runner, err := projection.NewRunner(b.Context(), projection.Config{
			Log: log, Store: store, Namespace: kv.Namespace{Slice: timeline.Slice, Generation: generation}, Topic: benchTopic, Fold: timeline.NewFold(1),
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := runner.RunToEnd(b.Context()); err != nil {
			b.Fatal(err)
		}
		runner.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
}
