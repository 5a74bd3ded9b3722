// Command watchload measures a running server: many watches, a steady stream of events, and the delay from an event's
// acknowledgement to its delivery.
//
//	watchload -grpc 127.0.0.1:7070 -watchers 1000 -rate 5000 -for 20s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

func main() { os.Exit(run()) }

func run() int {
	l := &load{acknowledged: map[string]time.Time{}, delivered: map[string]time.Time{}}
	flag.StringVar(&l.addr, "grpc", "127.0.0.1:7070", "address of the gRPC server")
	flag.StringVar(&l.token, "token", "", "API token")
	flag.IntVar(&l.watchers, "watchers", 1000, "watches at once, each of a customer of its own")
	flag.IntVar(&l.rate, "rate", 5000, "events per second")
	flag.DurationVar(&l.duration, "for", 20*time.Second, "how long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := l.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "watchload:", err)
		return 1
	}
	return 0
}

type load struct {
	addr, token    string
	watchers, rate int
	duration       time.Duration

	mu                      sync.Mutex
	acknowledged, delivered map[string]time.Time // by event id
	doubled                 int
}

func (l *load) run(ctx context.Context) error {
	began := time.Now()
	nonce := began.UnixNano()
	g, wctx := errgroup.WithContext(ctx)
	wctx, end := context.WithCancel(wctx)
	defer end()
	var ready sync.WaitGroup
	// One connection carries a hundred streams well.
	var (
		conn  *grpc.ClientConn
		conns []*grpc.ClientConn
	)
	defer func() {
		for _, c := range conns {
			_ = c.Close() // its streams have ended
		}
	}()
	for i := range l.watchers {
		if i%100 == 0 {
			var err error
			if conn, err = rpc.Dial(l.addr, l.token, nil); err != nil {
				return err
			}
			conns = append(conns, conn)
		}
		stream, err := timelinev1.NewTimelineServiceClient(conn).Watch(wctx, &timelinev1.WatchRequest{Addresses: []*eventv1.Address{customer(i)}})
		if err != nil {
			return err
		}
		ready.Add(1)
		g.Go(func() error { return l.watch(wctx, stream, sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	fmt.Printf("%d watches ready after %.1f s\n", l.watchers, time.Since(began).Seconds())
	n, took, err := l.publish(ctx, nonce)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); l.missing() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // until the condition holds, or not
	}
	end()
	if err := g.Wait(); err != nil {
		return err
	}
	l.report(n, took)
	return nil
}

func customer(i int) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprint("watchload-", i)}
}

func (l *load) watch(ctx context.Context, stream grpc.ServerStreamingClient[timelinev1.WatchResponse], ready func()) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			ready()
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was asked to end
			}
			return fmt.Errorf("watch: %s", rpc.Explain(err))
		}
		ready()
		if e := m.GetEntry(); e != nil {
			now := time.Now()
			l.mu.Lock()
			if _, ok := l.delivered[e.GetEvent().GetId()]; ok {
				l.doubled++
			}
			l.delivered[e.GetEvent().GetId()] = now
			l.mu.Unlock()
		}
	}
}

// publish streams events at the rate, a slice of them every ten milliseconds.
func (l *load) publish(ctx context.Context, nonce int64) (n int, took time.Duration, err error) {
	conn, err := rpc.Dial(l.addr, l.token, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close() }() // every call has ended
	stream, err := ingestv1.NewIngestServiceClient(conn).Stream(ctx)
	if err != nil {
		return 0, 0, err
	}
	answered := make(chan error, 1)
	go func() { answered <- l.answers(stream) }()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < l.duration {
		due := int(time.Since(began).Seconds() * float64(l.rate))
		req := &ingestv1.StreamRequest{}
		for ; n < due && len(req.GetItems()) < 1000; n++ {
			req.Items = append(req.Items, &ingestv1.StreamItem{Id: uint64(n), Submission: l.submission(n, nonce)})
		}
		if len(req.GetItems()) > 0 {
			if err := stream.Send(req); err != nil {
				return n, 0, errors.Join(err, <-answered)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n, 0, ctx.Err()
		}
	}
	if err := stream.CloseSend(); err != nil {
		return n, 0, err
	}
	return n, time.Since(began), <-answered
}

func (l *load) submission(n int, nonce int64) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "watchload", Inbox: "web", Thread: fmt.Sprint(nonce, "/", n%l.watchers), NativeId: fmt.Sprint(n),
		Parties: []*eventv1.SubmittedParty{{Address: customer(n % l.watchers), Side: eventv1.Side_SIDE_CUSTOMER}},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Text: "A line of a chat, about as long as people write them when they ask for something.",
		}}},
	}
}

func (l *load) answers(stream grpc.BidiStreamingClient[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("stream: %s", rpc.Explain(err))
		}
		now := time.Now()
		l.mu.Lock()
		for _, r := range m.GetResults() {
			if r.GetRefusal() != nil {
				l.mu.Unlock()
				return fmt.Errorf("refused: %v", r.GetRefusal())
			}
			l.acknowledged[r.GetAcknowledgement().GetEventId()] = now
		}
		l.mu.Unlock()
	}
}

func (l *load) missing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged) - len(l.delivered)
}

func (l *load) report(n int, took time.Duration) {
	var delays []time.Duration
	missing := 0
	for id, acknowledged := range l.acknowledged {
		delivered, ok := l.delivered[id]
		if !ok {
			missing++
			continue
		}
		delays = append(delays, delivered.Sub(acknowledged))
	}
	slices.Sort(delays)
	at := func(q float64) time.Duration {
		if len(delays) == 0 {
			return 0
		}
		return delays[int(q*float64(len(delays)-1))].Round(100 * time.Microsecond)
	}
	fmt.Printf("%d events in %.1f s (%.0f a second), acknowledged %d, delivered %d, missing %d, doubled %d\n",
		n, took.Seconds(), float64(n)/took.Seconds(), len(l.acknowledged), len(l.delivered), missing, l.doubled)
	fmt.Printf("from acknowledgement to delivery: p50 %v, p90 %v, p99 %v, max %v\n", at(0.5), at(0.9), at(0.99), at(1))
}
