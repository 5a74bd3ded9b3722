package app_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/app"
)

func TestAnAnswerInAWebChatIsAskedForAndSent(t *testing.T) {
	cfg := app.Default()
	cfg.Data, cfg.Log.Addr, cfg.GRPC.Addr, cfg.HTTP.Addr = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Log.Partitions, cfg.Disk.MinFreeBytes = 2, 0
	a, err := app.New(cfg, []string{"ingest", "projector", "timeline", "chat", "sender"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(serving, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	conn, err := rpc.Dial(a.GRPCAddr(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	published, err := ingestv1.NewIngestServiceClient(conn).Publish(ctx, &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "webchat", Inbox: "web", Thread: "t1", NativeId: "m1",
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: "v1"},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello?"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	received := published.GetAcknowledgements()[0]
	watch, err := timelinev1.NewTimelineServiceClient(conn).Watch(ctx, &timelinev1.WatchRequest{
		ThreadIds: []string{received.GetThreadId()}, Types: []string{event.TypeMessageSent},
	})
	if err == nil {
		_, err = watch.Recv() // the watch has begun
	}
	if err != nil {
		t.Fatal(err)
	}
	sent, err := channelv1.NewChannelServiceClient(conn).Send(ctx, &channelv1.SendRequest{
		ThreadId: received.GetThreadId(), RequestId: "a1", Message: &channelv1.OutgoingMessage{Text: "Hello, I am Ada."}, Author: "Ada",
		Actor:        &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "ada"},
		MinPositions: []*eventv1.Position{received.GetPosition()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		e := m.GetEntry()
		if e == nil {
			continue
		}
		if e.GetEvent().GetCausationId() != sent.GetEventId() || e.GetContent().GetMessageSent().GetText() != "Hello, I am Ada." ||
			e.GetEvent().GetActor().GetId() != "ada" || e.GetContent().GetParties()[0].GetAddress() != "v1" {
			t.Errorf("it is told as %v", e)
		}
		return
	}
}
