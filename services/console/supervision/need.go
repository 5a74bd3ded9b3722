package supervision

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
)

// need is how many agents a queue needs at this moment.
type need struct {
	known  bool
	agents int32
}

const (
	// needHolds is how long a need holds at most, and needUnknown how long it is not asked again where it could not be told.
	needHolds, needUnknown = 15 * time.Minute, time.Minute
	// forecastPatience is how long a forecast may take.
	forecastPatience = 30 * time.Second
)

// needs are those of the queues that anybody looks at: a forecast reads weeks, so that all boards of a tenant share it. It is safe for concurrent use.
type needs struct {
	staffing staffingv1.StaffingServiceClient
	asked    singleflight.Group
	mu       sync.Mutex
	kept     map[string]keptNeed // by tenant and queue
}

type keptNeed struct {
	need
	until time.Time
}

// of is how many agents a queue of a tenant needs; unknown where there is no history, or nobody here who forecasts: a board is of use without.
func (n *needs) of(ctx context.Context, tenant, queue string) need {
	key := tenant + "\x00" + queue
	if kept, ok := n.known(key); ok {
		return kept
	}
	answer := n.asked.DoChan(key, func() (any, error) {
		// Others wait for it as well: whoever asked first may go.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forecastPatience)
		defer cancel()
		found := keptNeed{until: time.Now().Add(needUnknown)}
		f, err := n.staffing.Forecast(ctx, &staffingv1.ForecastRequest{Queue: queue})
		if i := f.GetIntervals(); err == nil && len(i) > 0 && i[0].GetNeeded() != nil {
			found = keptNeed{need{true, i[0].GetNeeded().GetAgents()}, earlier(i[0].GetUntil().AsTime(), time.Now().Add(needHolds))}
		}
		n.keep(key, found)
		return found.need, nil
	})
	select {
	case a := <-answer:
		found, _ := a.Val.(need)
		return found
	case <-ctx.Done():
		return need{}
	}
}

func (n *needs) known(key string) (need, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kept, ok := n.kept[key]
	return kept.need, ok && time.Now().Before(kept.until)
}

// keep notes a need, and forgets those that hold no more.
func (n *needs) keep(key string, found keptNeed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for old, kept := range n.kept {
		if time.Now().After(kept.until) {
			delete(n.kept, old)
		}
	}
	n.kept[key] = found
}
