package history

import (
	"context"
	"sync/atomic"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// counting is a host that counts what is taken in.
type counting struct {
	channel.Host
	events atomic.Int64
}

func (c *counting) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	acks, err := c.Host.Submit(ctx, tenant, submissions...)
	if err == nil {
		c.events.Add(int64(len(submissions)))
	}
	return acks, err
}
