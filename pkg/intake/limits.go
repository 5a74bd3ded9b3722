package intake

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/skein-cx/skein/pkg/channel"
)

// Limits bound what one tenant may hand in, so that no tenant takes the room of the others.
type Limits struct {
	// EventsPerSecond of each tenant; 0 means no limit.
	EventsPerSecond float64
	// Burst is how many events may come at once. It must not be smaller than the greatest batch, or that never passes.
	Burst int
}

// LimitedError says that a tenant's rate is used up. It is an ErrRetry.
type LimitedError struct {
	tenant string
	after  time.Duration
}

// Error says when to come again.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("intake: the rate of tenant %q is used up: try again in %s", e.tenant, e.after.Round(time.Millisecond))
}

// Unwrap makes it a channel.ErrRetry.
func (e *LimitedError) Unwrap() error { return channel.ErrRetry }

// RetryAfter is how long to wait.
func (e *LimitedError) RetryAfter() time.Duration { return e.after }

type limiter struct {
	limits  Limits
	mu      sync.Mutex
	tenants map[string]*rate.Limiter
}

func newLimiter(limits Limits) *limiter {
	return &limiter{limits: limits, tenants: make(map[string]*rate.Limiter)}
}

func (l *limiter) allow(tenant string, n int, now time.Time) error {
	if l.limits.EventsPerSecond <= 0 {
		return nil
	}
	l.mu.Lock()
	r, ok := l.tenants[tenant]
	if !ok {
		r = rate.NewLimiter(rate.Limit(l.limits.EventsPerSecond), l.limits.Burst)
		l.tenants[tenant] = r
	}
	l.mu.Unlock()
	reservation := r.ReserveN(now, n)
	if !reservation.OK() {
		return &LimitedError{tenant: tenant, after: time.Second}
	}
	if wait := reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return &LimitedError{tenant: tenant, after: wait}
	}
	return nil
}
