package mirror

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/projection"
)

const (
	// inFlight is how long an event may be on its way into the log after it was received.
	inFlight = time.Second
	// looksKept is how many looks at the log are remembered. A read model that is behind for longer than that is not told how much.
	looksKept = 1024
)

// Ends tells where the partitions of a topic end now: the next offsets.
type Ends func(ctx context.Context, topic string) (projection.Vector, error)

// Horizon knows when the log ended where, so that it can tell for whatever was applied up to some offsets up to which moment of receipt it
// contains everything. It is safe for concurrent use.
type Horizon struct {
	ends   Ends
	topics []string
	every  time.Duration

	mu    sync.Mutex
	looks map[string][]look // by topic, in order of time
}

// look is where a topic ended at a moment.
type look struct {
	at   time.Time
	ends projection.Vector
}

// NewHorizon watches topics; Run lets it look, every so often: a second, where that is zero.
func NewHorizon(ends Ends, every time.Duration, topics ...string) *Horizon {
	if every <= 0 {
		every = time.Second
	}
	return &Horizon{ends: ends, topics: topics, every: every, looks: map[string][]look{}}
}

// Run looks until ctx ends, and then returns nil. A look that fails is left out.
func (h *Horizon) Run(ctx context.Context) error {
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		for _, topic := range h.topics {
			at := time.Now()
			if ends, err := h.ends(ctx, topic); err == nil {
				h.note(topic, look{at: at, ends: ends})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *Horizon) note(topic string, l look) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks[topic] = append(h.looks[topic], l)
	if n := len(h.looks[topic]); n > looksKept {
		h.looks[topic] = slices.Delete(h.looks[topic], 0, n-looksKept)
	}
}

// Until gives the moment of receipt up to which everything is contained in what was applied of a topic; zero where that is not known.
func (h *Horizon) Until(topic string, applied projection.Vector) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range slices.Backward(h.looks[topic]) {
		if reached(applied, l.ends) {
			return l.at.Add(-inFlight)
		}
	}
	return time.Time{}
}

func reached(applied, ends projection.Vector) bool {
	for partition, end := range ends {
		if applied[partition] < end {
			return false
		}
	}
	return true
}
