package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/rpc"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	// window is how many events are under way at most, and together how many go out in one message.
	window, together = 2000, 200
	// pause is how long to wait before another stream is opened.
	pause = 100 * time.Millisecond
	// entriesTogether is how many entries of the directory go out at once.
	entriesTogether = 500
)

// Player hands a day in, in order, over one stream at a time. It goes on where a stream breaks: what was not acknowledged is sent again.
type Player struct {
	Day  *Day
	Conn *grpc.ClientConn
	// Speed is how many times faster than the day it plays; 0 is as fast as it is acknowledged.
	Speed float64
	// Patience is how long nothing may be acknowledged while the server is away; 0 gives up at once.
	Patience time.Duration

	next      int // delivery that is to be played next
	began     time.Time
	described *eventv1.Position // the last of the directory's entries

	mu      sync.Mutex
	acked   []bool // deliveries
	count   int
	last    map[place]*eventv1.Position
	threads map[string]*Contact // by their ids
	ids     map[*Contact]string // of their threads
	openers map[opened]string   // events
	rest    time.Time           // until when the server wants to be left alone
	ackedAt time.Time
}

type place struct {
	topic     string
	partition int32
}

// opened is an interaction of a contact.
type opened struct {
	contact *Contact
	stretch int
}

// Describe states the day's entries of the directory, and returns when they hold.
func (p *Player) Describe(ctx context.Context) error {
	service := directoryv1.NewDirectoryServiceClient(p.Conn)
	entries := p.Day.Directory()
	for n := 0; n < len(entries); n += entriesTogether {
		some := entries[n:min(n+entriesTogether, len(entries))]
		answer, err := service.Put(ctx, &directoryv1.PutRequest{Entries: some, RequestId: fmt.Sprintf("%s-%d", p.Day.Name, n)})
		if err != nil {
			return fmt.Errorf("simulate: put %d entries of the directory: %w", len(some), err)
		}
		if at := answer.GetPosition(); at != nil {
			p.described = at
		}
	}
	return nil
}

// reached notes a position. The lock is held.
func (p *Player) reached(at *eventv1.Position) {
	if p.last == nil {
		p.last = map[place]*eventv1.Position{}
	}
	k := place{at.GetTopic(), at.GetPartition()}
	if before, ok := p.last[k]; !ok || before.GetOffset() < at.GetOffset() {
		p.last[k] = at
	}
}

// Positions are where the last of what was played stands: reads that wait for them know all of it.
func (p *Player) Positions() []*eventv1.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.last))
}

// Acknowledged is how many deliveries are. It may be called while Play runs.
func (p *Player) Acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Until is how many deliveries there are up to a moment (nanoseconds since 1970).
func (p *Player) Until(at int64) int {
	n, _ := slices.BinarySearchFunc(p.Day.deliveries, at+1, func(d Delivery, at int64) int {
		if d.At < at {
			return -1
		}
		return 1
	})
	return n
}

// Play hands in what comes before a delivery, and returns when all of it is acknowledged.
func (p *Player) Play(ctx context.Context, to int) error {
	p.mu.Lock()
	if p.acked == nil {
		p.acked, p.threads, p.ids, p.openers = make([]bool, len(p.Day.deliveries)), map[string]*Contact{}, map[*Contact]string{}, map[opened]string{}
		p.began = time.Now()
	}
	p.ackedAt = time.Now()
	p.mu.Unlock()
	for from := p.next; ; {
		todo := p.todo(from, to)
		if len(todo) == 0 {
			p.next = max(p.next, to)
			return nil
		}
		err := p.stream(ctx, todo)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !again(err):
			return fmt.Errorf("simulate: play: %w", err)
		case err != nil && p.silent() > p.Patience:
			return fmt.Errorf("simulate: play: nothing was acknowledged for %v: %w", p.Patience, err)
		case err == nil && p.silent() > max(p.Patience, time.Minute):
			return errors.New("simulate: play: the server refuses everything for a minute")
		}
		if err == nil && len(p.todo(from, to)) == 0 {
			continue
		}
		select { // before the next stream
		case <-time.After(max(pause, p.resting())):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// again tells whether another stream may fare better.
func again(err error) bool {
	_, may := rpc.RetryAfter(err)
	return may || errors.Is(err, io.EOF)
}

func (p *Player) silent() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.ackedAt)
}

func (p *Player) resting() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.rest)
}

// todo is what is not acknowledged.
func (p *Player) todo(from, to int) (all []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := from; n < to; n++ {
		if !p.acked[n] {
			all = append(all, n)
		}
	}
	return all
}

// stream sends deliveries over one stream, and returns when all are answered or it breaks.
func (p *Player) stream(ctx context.Context, todo []int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	calls, err := ingestv1.NewIngestServiceClient(p.Conn).Stream(ctx)
	if err != nil {
		return err
	}
	room := make(chan struct{}, window)
	received := make(chan error, 1)
	go func() {
		received <- p.receive(calls, room)
		cancel()
	}()
	err = p.send(ctx, calls, todo, room)
	if err == nil {
		err = calls.CloseSend()
	}
	if why := <-received; why != nil { // why a stream broke is told to its reader
		return why
	}
	return err
}

func (p *Player) send(
	ctx context.Context, calls grpc.BidiStreamingClient[ingestv1.StreamRequest, ingestv1.StreamResponse], todo []int, room chan<- struct{},
) error {
	for len(todo) > 0 {
		req := &ingestv1.StreamRequest{}
		for len(todo) > 0 && len(req.GetItems()) < together {
			if wait := p.due(todo[0]); wait > 0 {
				if len(req.GetItems()) > 0 {
					break
				}
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return io.EOF
				}
			}
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return io.EOF
			}
			req.Items = append(req.Items, &ingestv1.StreamItem{Id: uint64(todo[0]), Submission: p.Day.Submission(p.Day.deliveries[todo[0]].Event)})
			todo = todo[1:]
			if len(room) == cap(room) {
				break
			}
		}
		if err := calls.Send(req); err != nil {
			return err
		}
	}
	return nil
}

// due is how long it is until a delivery is to be played.
func (p *Player) due(n int) time.Duration {
	if p.Speed <= 0 {
		return 0
	}
	at := time.Duration(float64(p.Day.deliveries[n].At-p.Day.deliveries[0].At) / p.Speed)
	return at - time.Since(p.began)
}

// receive takes answers until there are no more.
func (p *Player) receive(calls grpc.BidiStreamingClient[ingestv1.StreamRequest, ingestv1.StreamResponse], room <-chan struct{}) error {
	for {
		m, err := calls.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		for _, r := range m.GetResults() {
			<-room
			if err := p.answered(int(r.GetId()), r); err != nil {
				return err
			}
		}
	}
}

func (p *Player) answered(n int, r *ingestv1.StreamResult) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if refusal := r.GetRefusal(); refusal != nil {
		if refusal.GetRetryAfter() == nil {
			return fmt.Errorf("event %d was refused for good: %s: %v", p.Day.deliveries[n].Event, refusal.GetReason(), refusal.GetViolations())
		}
		p.rest = time.Now().Add(refusal.GetRetryAfter().AsDuration())
		return nil
	}
	ack := r.GetAcknowledgement()
	if !p.acked[n] {
		p.acked[n] = true
		p.count++
	}
	p.ackedAt = time.Now()
	p.reached(ack.GetPosition())
	h := &p.Day.events[p.Day.deliveries[n].Event]
	if h.contact == nil {
		return nil
	}
	p.threads[ack.GetThreadId()], p.ids[h.contact] = h.contact, ack.GetThreadId()
	if h.opens {
		p.openers[opened{h.contact, h.stretch}] = ack.GetEventId()
	}
	return nil
}
