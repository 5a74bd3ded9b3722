package pebblekv

import (
	"math"
	"sync"
	"sync/atomic"
)

// gate counts the calls under way, lets none in after it was shut, and tells when the last has left.
type gate struct {
	inside atomic.Int64 // negative once it is shut: math.MinInt64 and the number of calls
	idle   chan struct{}
	once   sync.Once
}

// enter reports whether a call may go on; then leave must follow.
func (g *gate) enter() bool {
	if g.inside.Add(1) < 0 {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.inside.Add(-1) == math.MinInt64 {
		g.once.Do(func() { close(g.idle) })
	}
}

// shut lets nobody in any more. The channel idle is closed when everybody has left.
func (g *gate) shut() {
	if g.inside.Or(math.MinInt64) == 0 {
		g.once.Do(func() { close(g.idle) })
	}
}
