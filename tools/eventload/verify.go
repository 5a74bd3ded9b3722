package eventload

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Report is what the timelines hold of a load.
type Report struct {
	Events, Lost, Doubled, Foreign int
	// Wrong tells of the first few that are wrong.
	Wrong []string
}

func (r Report) String() string {
	return fmt.Sprintf("events in the timelines %d, lost %d, doubled %d, foreign %d", r.Events, r.Lost, r.Doubled, r.Foreign)
}

// Good tells whether each event stands there once, and nothing else.
func (r Report) Good() bool { return r.Lost+r.Doubled+r.Foreign == 0 }

const (
	maxWrong = 10
	readers  = 4
	// caughtUp is how long a timeline may take to catch up with what was sent: as long as a busy machine needs, since what is late is not wrong.
	caughtUp = 5 * time.Minute
)

// Verify lists every customer's timeline on a server, after what was sent.
func Verify(ctx context.Context, l Load, server, token string, sent Sent) (Report, error) {
	conn, err := rpc.Dial(server, token, nil)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = conn.Close() }() // every call has ended
	service := timelinev1.NewTimelineServiceClient(conn)
	after := slices.Collect(maps.Values(sent.Last))
	var (
		mu    sync.Mutex
		total Report
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for c := range l.Customers {
		g.Go(func() error {
			r, err := l.customer(ctx, service, c, after)
			if err != nil {
				return fmt.Errorf("eventload: list customer %d: %s", c, rpc.Explain(err))
			}
			mu.Lock()
			defer mu.Unlock()
			total.Events += r.Events
			total.Lost += r.Lost
			total.Doubled += r.Doubled
			total.Foreign += r.Foreign
			total.Wrong = append(total.Wrong, r.Wrong[:min(len(r.Wrong), maxWrong-min(maxWrong, len(total.Wrong)))]...)
			return nil
		})
	}
	return total, g.Wait()
}

func (l Load) customer(ctx context.Context, service timelinev1.TimelineServiceClient, c int, after []*eventv1.Position) (Report, error) {
	var r Report
	wrong := func(format string, args ...any) {
		if len(r.Wrong) < maxWrong {
			r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
		}
	}
	seen := map[int]bool{}
	req := &timelinev1.ListRequest{Addresses: []*eventv1.Address{l.Address(c)}, PageSize: 1000, MinPositions: after}
	for {
		page, err := list(ctx, service, req)
		if err != nil {
			return r, err
		}
		for _, e := range page.GetEntries() {
			n, err := strconv.Atoi(e.GetContent().GetNativeId())
			switch {
			case err != nil || n < 0 || n >= l.Events || n%l.Customers != c:
				r.Foreign++
				wrong("customer %d has the event %q", c, e.GetContent().GetNativeId())
			case seen[n]:
				r.Doubled++
				wrong("event %d stands twice, once as %s", n, e.GetEvent().GetId())
			default:
				seen[n] = true
				r.Events++
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	for n := c; n < l.Events; n += l.Customers {
		if !seen[n] {
			r.Lost++
			wrong("event %d of customer %d is missing", n, c)
		}
	}
	return r, nil
}

func list(ctx context.Context, service timelinev1.TimelineServiceClient, req *timelinev1.ListRequest) (*timelinev1.ListResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, caughtUp)
	defer cancel()
	return service.List(ctx, req)
}
