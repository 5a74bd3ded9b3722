package eventload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Watcher watches one customer's timeline from the beginning, and goes on from cursor to cursor on whatever server answers.
type Watcher struct {
	Load
	Customer int
	Servers  []string
	Token    string
	// Longest is the longest time between two events, once Watch has returned.
	Longest time.Duration

	last   time.Time
	cursor string
	seen   map[int]bool
	left   int // events that were not seen
}

// Watch returns when every event of the customer was seen, once. An error tells of one that came twice, or of ctx.
func (w *Watcher) Watch(ctx context.Context) error {
	w.forget()
	for turn := 0; ; turn++ {
		err := w.connect(ctx, w.Servers[turn%len(w.Servers)])
		if err == nil {
			return nil
		}
		var stale staleError
		switch _, again := rpc.RetryAfter(err); {
		case ctx.Err() != nil:
			return fmt.Errorf("eventload: %d events of customer %d were seen: %w", len(w.seen), w.Customer, ctx.Err())
		case errors.As(err, &stale):
			w.forget() // the timelines were built anew: list again
		case !again:
			return fmt.Errorf("eventload: watch: %s", rpc.Explain(err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

type staleError struct{}

func (staleError) Error() string { return "the cursor is of another generation" }

// forget begins anew.
func (w *Watcher) forget() {
	w.cursor, w.seen, w.left = "", map[int]bool{}, (w.Events-w.Customer+w.Customers-1)/w.Customers
}

func (w *Watcher) see(e *timelinev1.Entry) error {
	n, err := strconv.Atoi(e.GetContent().GetNativeId())
	if err != nil || w.seen[n] {
		return fmt.Errorf("event %q came twice, or is foreign", e.GetContent().GetNativeId())
	}
	now := time.Now()
	if !w.last.IsZero() {
		w.Longest = max(w.Longest, now.Sub(w.last))
	}
	w.last = now
	w.seen[n] = true
	w.left--
	return nil
}

func (w *Watcher) connect(ctx context.Context, server string) error {
	conn, err := rpc.Dial(server, w.Token, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // its calls have ended
	service := timelinev1.NewTimelineServiceClient(conn)
	if w.cursor == "" {
		if err := w.list(ctx, service); err != nil {
			w.forget()
			return err
		}
	}
	if w.left == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := service.Watch(ctx, &timelinev1.WatchRequest{Addresses: w.addresses(), Cursor: w.cursor})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetReset_() != nil {
			return staleError{}
		}
		w.cursor = m.GetCursor()
		if e := m.GetEntry(); e != nil {
			if err := w.see(e); err != nil {
				return err
			}
			if w.left == 0 {
				return nil
			}
		}
	}
}

func (w *Watcher) addresses() []*eventv1.Address { return []*eventv1.Address{w.Address(w.Customer)} }

func (w *Watcher) list(ctx context.Context, service timelinev1.TimelineServiceClient) error {
	req := &timelinev1.ListRequest{Addresses: w.addresses(), PageSize: 1000}
	for cursor := ""; ; {
		page, err := service.List(ctx, req)
		if err != nil {
			return err
		}
		if cursor == "" {
			cursor = page.GetWatchCursor()
		}
		for _, e := range page.GetEntries() {
			if err := w.see(e); err != nil {
				return err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			w.cursor = cursor
			return nil
		}
	}
}
