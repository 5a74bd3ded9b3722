package eventload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// Sender streams a load.
type Sender struct {
	Load
	// Servers are addresses of gRPC servers. A stream that breaks goes on with the next one.
	Servers []string
	Token   string
	// Streams at once; 4 unless set. Each has a share of the events, whose threads keep their order.
	Streams int
	// Rate is how many events a second are sent in all; 0 means as many as the server takes.
	Rate int
	// Patience is how long nothing may be acknowledged while the servers are away. 2 minutes unless set.
	Patience time.Duration
	// RepeatOneIn sends one in so many events twice; 0 means none.
	RepeatOneIn int

	mu      sync.Mutex
	tally   Sent
	lastAck time.Time
}

// Sent is what became of a load.
type Sent struct {
	// Acknowledged events, how many were Sent for that, how many of those were Refused for a while, and the Streams that it took.
	Acknowledged, Sent, Refused, Streams int
	// Longest is the longest time between two acknowledgements.
	Longest time.Duration
	Took    time.Duration
	// Last is the last acknowledged position of each partition.
	Last map[int32]*eventv1.Position
}

func (s Sent) String() string {
	return fmt.Sprintf("acknowledged %d events in %.1f s (%.0f a second), sent %d, refused for a while %d, streams %d, longest stall %.2f s",
		s.Acknowledged, s.Took.Seconds(), float64(s.Acknowledged)/s.Took.Seconds(), s.Sent, s.Refused, s.Streams, s.Longest.Seconds())
}

const (
	// window is how many events of a stream are under way.
	window = 2000
	// together is how many events go out in one message.
	together = 200
	// pause is how long to wait before the next server is tried.
	pause = 50 * time.Millisecond
)

// Acknowledged is how many events are acknowledged so far. It may be called while Send runs.
func (s *Sender) Acknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tally.Acknowledged
}

// Send returns when every event is acknowledged.
func (s *Sender) Send(ctx context.Context) (Sent, error) {
	if s.Streams == 0 {
		s.Streams = 4
	}
	if s.Patience == 0 {
		s.Patience = 2 * time.Minute
	}
	began := time.Now()
	s.mu.Lock()
	s.tally, s.lastAck = Sent{Last: map[int32]*eventv1.Position{}}, began
	s.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	for i := range s.Streams {
		g.Go(func() error { return (&stream{Sender: s, number: i, began: began, waiting: map[int]bool{}}).run(ctx) })
	}
	err := g.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Took = time.Since(began)
	return s.tally, err
}

func (s *Sender) acknowledged(ack *ingestv1.Acknowledgement) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Acknowledged++
	s.tally.Longest = max(s.tally.Longest, now.Sub(s.lastAck))
	s.lastAck = now
	if p := ack.GetPosition(); s.tally.Last[p.GetPartition()].GetOffset() <= p.GetOffset() {
		s.tally.Last[p.GetPartition()] = p
	}
}

func (s *Sender) count(sent, refused, streams int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Sent += sent
	s.tally.Refused += refused
	s.tally.Streams += streams
}

// silent is how long nothing was acknowledged.
func (s *Sender) silent() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.lastAck)
}

// stream sends those events whose customer modulo the number of streams is its own number.
type stream struct {
	*Sender
	number int
	began  time.Time

	mu      sync.Mutex
	waiting map[int]bool // were sent and are not answered
	again   []int        // are to be sent again
	rest    time.Time    // until when the server wants to be left alone
	next    int          // of its share
	changed chan struct{}
}

// at is event i of the share; false behind its end.
func (s *stream) at(i int) (n int, ok bool) {
	customers := (s.Customers - s.number + s.Streams - 1) / s.Streams
	if customers <= 0 {
		return 0, false
	}
	n = i/customers*s.Customers + s.number + i%customers*s.Streams
	return n, n < s.Events
}

// run connects again and again until every event of the share is acknowledged.
func (s *stream) run(ctx context.Context) error {
	for turn := s.number; ; turn++ {
		err := s.connect(ctx, s.Servers[turn%len(s.Servers)])
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, again := rpc.RetryAfter(err); !again && !errors.Is(err, io.EOF) {
			return fmt.Errorf("eventload: %s", rpc.Explain(err))
		}
		if s.silent() > s.Patience {
			return fmt.Errorf("eventload: nothing was acknowledged for %s: %s", s.Patience, rpc.Explain(err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connect sends over one stream. Nil means that all is acknowledged.
func (s *stream) connect(ctx context.Context, server string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := rpc.Dial(server, s.Token, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // its stream has ended
	calls, err := ingestv1.NewIngestServiceClient(conn).Stream(ctx)
	if err != nil {
		return err
	}
	s.count(0, 0, 1)
	s.mu.Lock() // what the stream before has not answered goes first, in its order
	s.again = slices.Sorted(maps.Keys(s.waiting))
	clear(s.waiting)
	s.changed = make(chan struct{}, 1)
	s.mu.Unlock()
	received := make(chan error, 1)
	go func() { received <- s.receive(calls); cancel() }()
	err = s.send(ctx, calls)
	if err == nil {
		err = calls.CloseSend()
	}
	if reason := <-received; reason != nil && !errors.Is(reason, io.EOF) { // why a stream broke is told to its reader
		return reason
	}
	return err
}

func (s *stream) send(ctx context.Context, calls grpc.BidiStreamingClient[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	for {
		req, done := s.request()
		switch {
		case done:
			return nil
		case len(req.GetItems()) > 0:
			if err := calls.Send(req); err != nil {
				return err
			}
			s.count(len(req.GetItems()), 0, 0)
			continue
		}
		if s.silent() > s.Patience {
			return fmt.Errorf("nothing was acknowledged for %s", s.Patience)
		}
		select { // until there is room, or time for more
		case <-s.changed:
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return io.EOF
		}
	}
}

// request takes what may be sent now; done when all is acknowledged.
func (s *stream) request() (req *ingestv1.StreamRequest, done bool) {
	due := s.Events
	if s.Rate > 0 {
		due = int(time.Since(s.began).Seconds() * float64(s.Rate) / float64(s.Streams))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	req = &ingestv1.StreamRequest{}
	if time.Now().Before(s.rest) {
		return req, false
	}
	for len(req.GetItems()) < together && len(s.waiting) < window {
		n, ok := 0, false
		if len(s.again) > 0 {
			n, ok, s.again = s.again[0], true, s.again[1:]
		} else if s.next < due {
			if n, ok = s.at(s.next); ok {
				s.next++
			}
		}
		if !ok {
			break
		}
		s.waiting[n] = true
		item := &ingestv1.StreamItem{Id: uint64(n), Submission: s.submission(n)}
		req.Items = append(req.Items, item)
		if s.RepeatOneIn > 0 && n%s.RepeatOneIn == 0 {
			req.Items = append(req.Items, item)
		}
	}
	_, more := s.at(s.next)
	return req, len(req.GetItems()) == 0 && len(s.waiting) == 0 && len(s.again) == 0 && !more
}

func (s *stream) receive(calls grpc.BidiStreamingClient[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	for {
		m, err := calls.Recv()
		if err != nil {
			return err
		}
		for _, r := range m.GetResults() {
			if err := s.answered(int(r.GetId()), r); err != nil {
				return err
			}
		}
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

func (s *stream) answered(n int, r *ingestv1.StreamResult) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.waiting[n]
	delete(s.waiting, n)
	if refusal := r.GetRefusal(); refusal != nil {
		if refusal.GetRetryAfter() == nil {
			return fmt.Errorf("event %d was refused for good: %s", n, refusal.GetReason())
		}
		if first {
			s.again = append(s.again, n)
		}
		s.rest = time.Now().Add(refusal.GetRetryAfter().AsDuration())
		s.count(0, 1, 0)
		return nil
	}
	if first {
		s.acknowledged(r.GetAcknowledgement())
	}
	return nil
}
