// Package watchload measures how soon a running server delivers to those who watch: many watches, a steady stream of events,
// and the delay from an event's acknowledgement to its delivery.
package watchload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// patience is how long after the last acknowledgement something may be missing.
const patience = 10 * time.Second

// Config says which server, and how much.
type Config struct {
	// Addr is the gRPC server's address, Token an API token where it wants one.
	Addr, Token string
	// Watchers is how many watches there are at once, each of a customer of its own.
	Watchers int
	// Rate is events per second, in all.
	Rate int
	// Customers watches each by the id of the customer behind its address, instead of by the address.
	Customers bool
	// For is how long events are sent.
	For time.Duration
	// Ready, which may be nil, is called when every watch is under way.
	Ready func(after time.Duration)
}

// Result is what was seen.
type Result struct {
	// Sent, Acknowledged and Delivered count events.
	Sent, Acknowledged, Delivered int
	// Missing were acknowledged and not delivered; Doubled were delivered more than once.
	Missing, Doubled int
	// Took is how long sending took.
	Took time.Duration
	// Delays are the times from acknowledgement to delivery, in ascending order.
	Delays []time.Duration
}

// Delay is the delay that a fraction of all deliveries did not exceed; 0 where there was none.
func (r *Result) Delay(fraction float64) time.Duration {
	if len(r.Delays) == 0 {
		return 0
	}
	return r.Delays[int(fraction*float64(len(r.Delays)-1))]
}

// Run watches, sends, and waits until everything is delivered, or for some seconds at most.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	l := &load{
		Config: cfg, nonce: time.Now().UnixNano(), acknowledged: map[string]time.Time{}, delivered: map[string]time.Time{},
		changed: make(chan struct{}, 1),
	}
	r, err := l.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("watchload: %w", err)
	}
	return r, nil
}

type load struct {
	Config
	nonce int64 // tells this run's threads from those of others

	mu                      sync.Mutex
	acknowledged, delivered map[string]time.Time // by event id
	doubled                 int
	changed                 chan struct{} // holds a token when something was delivered
}

func (l *load) run(ctx context.Context) (*Result, error) {
	began := time.Now()
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
	for i := range l.Watchers {
		if i%100 == 0 {
			var err error
			if conn, err = rpc.Dial(l.Addr, l.Token, nil); err != nil {
				return nil, err
			}
			conns = append(conns, conn)
		}
		what, err := l.what(ctx, conn, i)
		if err != nil {
			return nil, err
		}
		stream, err := timelinev1.NewTimelineServiceClient(conn).Watch(wctx, what)
		if err != nil {
			return nil, err
		}
		ready.Add(1)
		g.Go(func() error { return l.watch(wctx, stream, sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	if l.Ready != nil {
		l.Ready(time.Since(began))
	}
	sent, took, err := l.publish(ctx)
	if err != nil {
		return nil, err
	}
	l.await(ctx)
	end()
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return l.result(sent, took), nil
}

// await waits until nothing is missing, or patience is over.
func (l *load) await(ctx context.Context) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for l.missing() > 0 {
		select {
		case <-l.changed:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func customer(i int) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: fmt.Sprint("watchload-", i)}
}

// what a watch sees.
func (l *load) what(ctx context.Context, conn *grpc.ClientConn, i int) (*timelinev1.WatchRequest, error) {
	if !l.Customers {
		return &timelinev1.WatchRequest{Addresses: []*eventv1.Address{customer(i)}}, nil
	}
	found, err := customerv1.NewCustomerServiceClient(conn).Resolve(ctx, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{customer(i)}})
	if err != nil {
		return nil, fmt.Errorf("resolve: %s", rpc.Explain(err))
	}
	return &timelinev1.WatchRequest{CustomerId: found.GetCustomers()[0].GetId()}, nil
}

func (l *load) watch(ctx context.Context, stream grpc.ServerStreamingClient[timelinev1.WatchResponse], ready func()) error {
	for {
		m, err := stream.Recv()
		ready()
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was asked to end
			}
			return fmt.Errorf("watch: %s", rpc.Explain(err))
		}
		if e := m.GetEntry(); e != nil {
			l.deliver(e.GetEvent().GetId(), time.Now())
		}
	}
}

func (l *load) deliver(id string, at time.Time) {
	l.mu.Lock()
	if _, ok := l.delivered[id]; ok {
		l.doubled++
	} else {
		l.delivered[id] = at
	}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// publish streams events at the rate, a slice of them every ten milliseconds.
func (l *load) publish(ctx context.Context) (n int, took time.Duration, err error) {
	conn, err := rpc.Dial(l.Addr, l.Token, nil)
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
	for time.Since(began) < l.For {
		due := int(time.Since(began).Seconds() * float64(l.Rate))
		req := &ingestv1.StreamRequest{}
		for ; n < due && len(req.GetItems()) < 1000; n++ {
			req.Items = append(req.Items, &ingestv1.StreamItem{Id: uint64(n), Submission: l.submission(n)})
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

func (l *load) submission(n int) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "watchload", Inbox: "web", Thread: fmt.Sprint(l.nonce, "/", n%l.Watchers), NativeId: fmt.Sprint(n),
		Parties: []*eventv1.SubmittedParty{{Address: customer(n % l.Watchers), Side: eventv1.Side_SIDE_CUSTOMER}},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Text: "A line of a chat, about as long as people write them when they ask for something.",
		}}},
	}
}

func (l *load) answers(stream grpc.BidiStreamingClient[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
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

func (l *load) result(sent int, took time.Duration) *Result {
	r := &Result{Sent: sent, Acknowledged: len(l.acknowledged), Delivered: len(l.delivered), Doubled: l.doubled, Took: took}
	for id, acknowledged := range l.acknowledged {
		delivered, ok := l.delivered[id]
		if !ok {
			r.Missing++
			continue
		}
		r.Delays = append(r.Delays, delivered.Sub(acknowledged))
	}
	slices.Sort(r.Delays)
	return r
}
