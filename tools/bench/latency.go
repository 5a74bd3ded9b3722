package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// tick is how often a paced job sends what is due.
const tick = time.Millisecond

// pace calls send for each event when it is due, until it has gone on for a while; it returns whether the
// pace was kept. An event's delay counts from when it was due, so that what waits for its turn counts, too.
func pace(ctx context.Context, perSecond int, each time.Duration, send func(from, to int, due time.Time) error) (kept bool, err error) {
	n := 0
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began := time.Now()
	for {
		elapsed := time.Since(began)
		if elapsed >= each {
			return time.Since(began) < each+each/20, nil
		}
		// What is late is due when it ought to have been sent.
		if due := int(elapsed.Seconds() * float64(perSecond)); due > n {
			at := began.Add(time.Duration(float64(n) / float64(perSecond) * float64(time.Second)))
			if err := send(n, due, at); err != nil {
				return false, err
			}
			n = due
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// collector collects delays from several goroutines.
type collector struct {
	mu     sync.Mutex
	all    delays
	failed error
}

func (c *collector) add(d time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = errors.Join(c.failed, err)
		return
	}
	c.all = append(c.all, d)
}

func (c *collector) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// sustained says whether a pace was kept and answered in time: of the last part there are not more late than a second's.
func sustained(kept bool, d delays) bool { return kept && d.at(0.99) < time.Second }

func measureLatency(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Latency: sent to acknowledged",
		Text: fmt.Sprintf(`Events at a steady pace over Stream on %d connections, what is due each millisecond; the time from when an event was due
to its acknowledgement. A pace that is not kept, or with which a hundredth waits for more than a second, is halved until it
is. Ceiling: kafka-go alone at the same pace, one request at a time to each partition with all that has come meanwhile.`, connections),
		Columns: []string{"log", "contender", "pace", "p50", "p99", "p99.9", "max", "p99 of ceiling"},
	}
	for _, e := range b.engines() {
		err := b.withBroker(ctx, e, func(log *broker) error {
			s, err := b.startSkein(ctx, log, "ingest")
			if err != nil {
				return err
			}
			ours, perSecond, err := b.halving(ctx, func(perSecond int) (bool, delays, error) { return b.pacedStream(ctx, s.grpc, perSecond) })
			if err := errors.Join(err, s.close(ctx), dropTopics(ctx, log, topics()...)); err != nil {
				return err
			}
			_, raw, err := b.pacedRaw(ctx, log, perSecond)
			if err != nil {
				return err
			}
			row := func(name string, d delays) {
				t.row(e.name, name, rate(perSecond).String(), show(d.at(0.5)), show(d.at(0.99)), show(d.at(0.999)), show(d.at(1)), times(d.at(0.99), raw.at(0.99)))
			}
			row("ceiling: kafka-go", raw)
			row("**Skein, Stream**", ours)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// halving measures at half the pace until it is sustained. The last pace counts whatever comes of it.
func (b *bench) halving(ctx context.Context, measure func(perSecond int) (kept bool, d delays, err error)) (delays, int, error) {
	for perSecond := b.Rate; ; perSecond /= 2 {
		kept, d, err := measure(perSecond)
		if err != nil || sustained(kept, d) || perSecond <= b.Rate/16 || ctx.Err() != nil {
			return d, perSecond, err
		}
		b.say("  %s is not sustained: p99 %s", rate(perSecond), show(d.at(0.99)))
	}
}

// pacedStream sends over Stream.
func (b *bench) pacedStream(ctx context.Context, addr string, perSecond int) (kept bool, d delays, err error) {
	var all collector
	var mu sync.Mutex
	kept = true
	err = dialled(ctx, addr, func(gctx context.Context, g *errgroup.Group, i int, conn *grpc.ClientConn) {
		g.Go(func() error {
			k, err := b.pacedStream1(gctx, conn, i, perSecond/connections, &all)
			mu.Lock()
			defer mu.Unlock()
			kept = kept && k
			return err
		})
	})
	return kept, all.all.sort(), err
}

func (b *bench) pacedStream1(ctx context.Context, conn *grpc.ClientConn, i, perSecond int, all *collector) (kept bool, err error) {
	stream, err := ingestv1.NewIngestServiceClient(conn).Stream(ctx)
	if err != nil {
		return false, err
	}
	due := make([]time.Time, int(float64(perSecond)*b.Each.Seconds())+perSecond)
	var mu sync.Mutex // of due
	answered := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				answered <- nil
				return
			}
			if err != nil {
				answered <- fmt.Errorf("stream: %s", rpc.Explain(err))
				return
			}
			now := time.Now()
			mu.Lock()
			for _, r := range m.GetResults() {
				if r.GetRefusal() != nil {
					all.add(0, fmt.Errorf("refused: %v", r.GetRefusal()))
				}
				all.add(now.Sub(due[r.GetId()]), nil)
			}
			mu.Unlock()
		}
	}()
	kept, err = pace(ctx, perSecond, b.Each, func(from, to int, at time.Time) error {
		for from < to {
			req := &ingestv1.StreamRequest{}
			mu.Lock()
			for ; from < to && len(req.GetItems()) < 1000; from++ {
				due[from] = at
				req.Items = append(req.Items, &ingestv1.StreamItem{Id: uint64(from), Submission: b.events.submission(from*connections + i)})
			}
			mu.Unlock()
			if err := stream.Send(req); err != nil {
				return errors.Join(err, <-answered)
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if err := stream.CloseSend(); err != nil {
		return false, err
	}
	err = <-answered
	return kept, errors.Join(err, all.err())
}

// pacedRaw appends by kafka-go alone.
func (b *bench) pacedRaw(ctx context.Context, log *broker, perSecond int) (kept bool, d delays, err error) {
	if err := createTopics(ctx, log, rawTopic); err != nil {
		return false, nil, err
	}
	client, release := newClient(log)
	defer release()
	const window = 1 << 20
	p := newRawPacer(client, window)
	messages := make([]eventlog.Message, distinct)
	for i := range messages {
		if messages[i], err = b.events.message(rawTopic, i); err != nil {
			return false, nil, err
		}
	}
	var ended sync.WaitGroup
	ended.Go(func() { p.run(ctx) })
	var all collector
	kept, err = pace(ctx, perSecond, b.Each, func(from, to int, at time.Time) error {
		for ; from < to; from++ {
			p.send(messages[from%len(messages)], func(err error) { all.add(time.Since(at), err) })
		}
		return nil
	})
	p.close()
	ended.Wait()
	return kept, all.all.sort(), errors.Join(err, all.err(), dropTopics(ctx, log, rawTopic))
}
