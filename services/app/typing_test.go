package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
	"github.com/skein-cx/skein/services/app"
)

func TestTypingGoesBothWaysIsNoEventAndHoldsUpNoEnd(t *testing.T) {
	cfg := app.Default()
	cfg.Data, cfg.Log.Addr, cfg.GRPC.Addr, cfg.HTTP.Addr = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Log.Partitions, cfg.Disk.MinFreeBytes = 2, 0
	a, err := app.New(cfg, []string{"projector", "timeline", "chat", "sender"}, slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(serving, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	conn, err := rpc.Dial(a.GRPCAddr(), "", nil)
	must(t, err)
	defer conn.Close()
	client := channelv1.NewChannelServiceClient(conn)
	stream, err := client.Signals(ctx, &channelv1.SignalsRequest{Inbox: "web"})
	must(t, err)
	_, err = stream.Recv() // it has begun
	must(t, err)
	token, err := a.VisitorToken("web", "v1", "t1")
	must(t, err)
	visitor, answer, err := websocket.Dial(ctx, "ws://"+a.HTTPAddr()+"/chat/v1/web/ws", &websocket.DialOptions{Subprotocols: []string{"skein.chat.v1", "bearer." + token}})
	must(t, err)
	defer func() { _ = visitor.CloseNow() }() // it is closed already
	if answer.Body != nil {
		_ = answer.Body.Close()
	}
	say := func(frame string) { must(t, visitor.Write(ctx, websocket.MessageText, []byte(frame))) }
	hear := func() (f struct {
		Type, By string
		On       bool
	},
	) {
		_, raw, err := visitor.Read(ctx)
		must(t, err)
		must(t, json.Unmarshal(raw, &f))
		return f
	}
	say(`{"type":"resume"}`)
	if f := hear(); f.Type != "ready" {
		t.Fatalf("%+v", f)
	}
	say(`{"type":"typing"}`)
	heard, err := stream.Recv()
	must(t, err)
	if heard.GetSignal().GetActivity() != livev1.Activity_ACTIVITY_TYPING {
		t.Errorf("%v", heard)
	}
	_, err = client.Signal(ctx, &channelv1.SignalRequest{
		ThreadId: heard.GetSignal().GetThreadId(), Activity: livev1.Activity_ACTIVITY_TYPING, Author: "Mei",
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "mei"},
	})
	must(t, err)
	if f := hear(); f.Type != "typing" || f.By != "Mei" || !f.On {
		t.Errorf("%+v", f)
	}

	logs := cfg.Log
	logs.Kafka = a.KafkaAddrs()
	log, err := app.OpenLog(ctx, logs)
	must(t, err)
	for _, topic := range app.Topics(cfg.Log.Partitions) {
		want := int64(0)
		if topic.Name == live.Topic {
			want = 2
		}
		if n := records(ctx, t, log, topic); n != want {
			t.Errorf("%s holds %d records, instead of %d", topic.Name, n, want)
		}
	}
	must(t, log.Close())

	stop() // while a stream and a WebSocket are open
	if _, _, err := visitor.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the visitor: %v", err)
	}
	must(t, <-ended)
	if _, err := stream.Recv(); err == nil {
		t.Error("it goes on")
	} else if _, again := rpc.RetryAfter(err); !again {
		t.Errorf("nobody is told to come again: %v", err)
	}
}

// records counts what a topic holds.
func records(ctx context.Context, t *testing.T, log eventlog.Log, topic eventlog.Topic) (n int64) {
	t.Helper()
	for p := range topic.Partitions {
		first, next, err := log.Bounds(ctx, topic.Name, int32(p))
		must(t, err)
		n += next - first
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
