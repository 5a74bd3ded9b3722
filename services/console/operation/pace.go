package operation

import (
	"sync"
	"time"
)

// paceOver is the time over which a pace is measured.
const paceOver = 30 * time.Second

// pace is how fast something is being built; zero while that is not known.
type pace struct {
	// PerSecond is in what the build counts.
	PerSecond float64
	// Left is how long it takes, going on like that.
	Left time.Duration
}

// paces remember how far builds were. It is safe for concurrent use.
type paces struct {
	mu   sync.Mutex
	seen map[string][]sample
}

type sample struct {
	generation uint32
	at         time.Time
	done       int64
}

func newPaces() *paces { return &paces{seen: map[string][]sample{}} }

// note notes how far builds are at a moment, and gives their paces. What is not being built is forgotten.
func (p *paces) note(at time.Time, builds []build) map[string]pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, now := map[string][]sample{}, map[string]pace{}
	for _, b := range builds {
		if b.building == 0 {
			continue
		}
		samples := p.seen[b.name]
		if len(samples) > 0 && (samples[0].generation != b.building || samples[len(samples)-1].done > b.done) {
			samples = nil // it begins again
		}
		samples = append(samples, sample{b.building, at, b.done})
		for len(samples) > 2 && at.Sub(samples[0].at) > paceOver {
			samples = samples[1:]
		}
		seen[b.name] = samples
		first := samples[0]
		if took := at.Sub(first.at); took > 0 && b.done > first.done {
			rate := float64(b.done-first.done) / took.Seconds()
			now[b.name] = pace{rate, time.Duration(float64(max(b.total-b.done, 0)) / rate * float64(time.Second))}
		}
	}
	p.seen = seen
	return now
}
