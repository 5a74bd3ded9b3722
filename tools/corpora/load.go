package corpora

import (
	"context"
	"fmt"
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

// Loader publishes dialogues.
type Loader struct {
	// Conn leads to a server.
	Conn *grpc.ClientConn
	Plan Plan
	// Patience is how long a call is tried again while the server is away or busy; 0 gives up at once.
	Patience time.Duration
	// Progress is told how many dialogues are acknowledged; may be nil. Its calls do not overlap.
	Progress func(dialogues int)
}

// Loaded is what was published.
type Loaded struct {
	Dialogues, Events int
	// Last are the last acknowledged positions, one of a partition.
	Last []*eventv1.Position
	Took time.Duration
}

func (l Loaded) String() string {
	return fmt.Sprintf("%d dialogues, %d events in %.1f s", l.Dialogues, l.Events, l.Took.Seconds())
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// Load returns when every event is acknowledged. What was loaded before is acknowledged again and changes nothing.
func (l *Loader) Load(ctx context.Context, dialogues []Dialogue) (Loaded, error) {
	const atOnce, together = 4, 40 // calls, dialogues in one
	began := time.Now()
	var (
		mu   sync.Mutex
		done Loaded
	)
	last := map[place]*eventv1.Position{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for some := range slices.Chunk(dialogues, together) {
		g.Go(func() error {
			request := &ingestv1.PublishRequest{}
			for n := range some {
				request.Submissions = append(request.Submissions, l.Plan.Submissions(&some[n])...)
			}
			answer, err := l.publish(ctx, request)
			if err != nil {
				return fmt.Errorf("corpora: publish from %s on: %w", some[0].ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, ack := range answer.GetAcknowledgements() {
				p := ack.GetPosition()
				at := place{p.GetTopic(), p.GetPartition()}
				if before := last[at]; before == nil || before.GetOffset() < p.GetOffset() {
					last[at] = p
				}
			}
			done.Dialogues += len(some)
			done.Events += len(request.GetSubmissions())
			if l.Progress != nil {
				l.Progress(done.Dialogues)
			}
			return nil
		})
	}
	err := g.Wait()
	done.Last, done.Took = slices.Collect(maps.Values(last)), time.Since(began)
	return done, err
}

func (l *Loader) publish(ctx context.Context, request *ingestv1.PublishRequest) (*ingestv1.PublishResponse, error) {
	service, deadline := ingestv1.NewIngestServiceClient(l.Conn), time.Now().Add(l.Patience)
	for {
		answer, err := service.Publish(ctx, request)
		wait, again := rpc.RetryAfter(err)
		if err == nil || !again || time.Now().Add(wait).After(deadline) {
			return answer, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
