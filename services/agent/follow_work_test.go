package agent_test

import (
	"context"

	"github.com/skein-cx/skein/services/agent"
)

// FollowWork tells what the test has told.
func (w *world) FollowWork(ctx context.Context, _ string, yield func(agent.WorkNews) error) error {
	for n := 0; ; {
		w.mu.Lock()
		news, more := w.news[n:], w.working
		n = len(w.news)
		w.mu.Unlock()
		for _, x := range news {
			if err := yield(x); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
