package conversation_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

const chatTopic = "chats"

// eventID is one as events have it.
func eventID(n int) event.ID {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return event.ID(sum[:])
}

// chatLog holds chats as they go on at the same time, 200 of them: a policy, messages to and fro with their receipts, an agent, an end. So
// many of a hundred events come so many places late.
func chatLog(b *testing.B, n, late int) eventlog.Log {
	b.Helper()
	const together, lines = 200, 20
	log := memlog.New(memlog.Config{}).Open()
	if err := log.EnsureTopics(b.Context(), eventlog.Topic{Name: chatTopic, Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var messages []eventlog.Message
	for i := range n {
		chat, line := i/(together*lines)*together+i%together, i/together%lines
		customer := eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Id: hashed(fmt.Sprint("v", chat)).String()}
		agent := eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("agent", chat%30)}
		e := &eventv1.Event{
			Id: eventID(i).String(), Tenant: "default", ThreadId: hashed(fmt.Sprint("chat", chat)).String(), Channel: eventv1.Channel_CHANNEL_WEB_CHAT,
			OccurredAt: timestamppb.New(at.Add(time.Duration(i) * time.Millisecond)), ReceivedAt: timestamppb.New(at.Add(time.Duration(i)*time.Millisecond + time.Second)),
			Provider: "chat", Inbox: "web", SchemaVersion: 1, Digest: make([]byte, event.DigestSize),
			Parties: []*eventv1.Party{
				{EndpointId: customer.GetId(), Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Side: eventv1.Side_SIDE_CUSTOMER},
				{EndpointId: hashed("support").String(), Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Side: eventv1.Side_SIDE_COMPANY},
			},
		}
		content := &eventv1.Content{NativeThread: fmt.Sprint("chat", chat), Parties: []*eventv1.PartyDetail{{Address: fmt.Sprint("v", chat)}, {Address: "support@example.com"}}}
		text := &eventv1.Message{Text: "Could you tell me when my order will leave the warehouse?"}
		switch {
		case line == 1:
			e.Type = event.TypeInteractionPolicySet
			content.Body = &eventv1.Content_InteractionPolicySet{InteractionPolicySet: &eventv1.InteractionPolicySet{
				Policy: "chat", IdleTimeout: durationpb.New(time.Hour), ReopenWindow: durationpb.New(time.Hour),
				Clocks: []*eventv1.SlaClock{{Metric: eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE, Since: e.GetOccurredAt(), DueAt: timestamppb.New(e.GetOccurredAt().AsTime().Add(time.Hour))}},
			}}
		case line == 2:
			e.Type, e.Queue = event.TypeQueueEntered, "support"
		case line == 3:
			e.Type, e.Actor = event.TypeAssignmentConnected, &agent
		case line == lines-1:
			e.Type = event.TypeInteractionEnded
		case line%4 == 0:
			e.Type, e.Actor, e.Direction = event.TypeMessageReceived, &customer, eventv1.Direction_DIRECTION_INBOUND
			content.Body = &eventv1.Content_MessageReceived{MessageReceived: text}
		case line%4 == 1:
			e.Type, e.Actor, e.Direction = event.TypeMessageSent, &agent, eventv1.Direction_DIRECTION_OUTBOUND
			content.Body = &eventv1.Content_MessageSent{MessageSent: text}
		case line%4 == 2:
			e.Type = event.TypeMessageDelivered
		default:
			e.Type = event.TypeMessageRead
		}
		var err error
		if e.Content, err = proto.Marshal(content); err != nil {
			b.Fatal(err)
		}
		value, err := event.Encode(e)
		if err != nil {
			b.Fatal(err)
		}
		messages = append(messages, eventlog.Message{Topic: chatTopic, Key: []byte(e.GetThreadId()), Value: value})
	}
	if late > 0 {
		for i := 0; i+3*together < n; i += 100 / late {
			m := messages[i]
			messages = slices.Insert(slices.Delete(messages, i, i+1), i+2*together+50, m)
		}
	}
	if _, err := eventlog.AppendAll(b.Context(), log, messages); err != nil {
		b.Fatal(err)
	}
	return log
}

func BenchmarkFoldChats(b *testing.B) {
	const n = 40_000
	for _, engine := range []string{"memory", "pebble"} {
		for _, late := range []int{0, 5} {
			for _, memory := range []int{conversation.DefaultMemory, 0} {
				b.Run(fmt.Sprintf("%s/late%d/memory%d", engine, late, memory), func(b *testing.B) {
					log := chatLog(b, n, late)
					var store kv.Store = memkv.New()
					if engine == "pebble" {
						var err error
						if store, err = pebblekv.Open(b.TempDir(), pebblekv.Options{NoSync: true}); err != nil {
							b.Fatal(err)
						}
					}
					defer func() { _ = store.Close() }()
					generation := uint32(0)
					b.ReportAllocs()
					for b.Loop() {
						generation++
						runner, err := projection.NewRunner(b.Context(), projection.Config{
							Log: log, Store: store, Namespace: kv.Namespace{Slice: conversation.Slice, Generation: generation}, Topic: chatTopic,
							Fold: conversation.NewFold(1, nil).WithMemory(memory),
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
				})
			}
		}
	}
}

// BenchmarkFoldReversed is a long thread that comes newest first, as an import may: each event is told again what follows it.
func BenchmarkFoldReversed(b *testing.B) {
	const n = 2000
	log := memlog.New(memlog.Config{}).Open()
	if err := log.EnsureTopics(b.Context(), eventlog.Topic{Name: chatTopic, Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i := range n {
		e := &eventv1.Event{
			Id: eventID(i).String(), Tenant: "default", ThreadId: hashed("long").String(), Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE,
			OccurredAt: timestamppb.New(at.Add(-time.Duration(i) * time.Minute)), ReceivedAt: timestamppb.New(at), Type: event.TypeMessageReceived,
			Parties: []*eventv1.Party{{EndpointId: hashed("v").String(), Side: eventv1.Side_SIDE_CUSTOMER}},
		}
		value, err := event.Encode(e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := eventlog.AppendAll(b.Context(), log, []eventlog.Message{{Topic: chatTopic, Key: []byte(e.GetThreadId()), Value: value}}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		store := memkv.New()
		runner, err := projection.NewRunner(b.Context(), projection.Config{
			Log: log, Store: store, Namespace: kv.Namespace{Slice: conversation.Slice, Generation: 1}, Topic: chatTopic, Fold: conversation.NewFold(1, nil),
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
