package pgkv

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
)

// patience is how long a snapshot waits for a slot. Whoever has waited for so long finds somebody who does not let go.
const patience = 30 * time.Second

// slots are the connections that snapshots may hold. All but the last few go to whoever asks first. The last ones are for one job at a
// time, which holds some already: it comes to its end with them, and lets go of all that it has. So those who hold a snapshot and wait for
// another never wait for one another for ever.
type slots struct {
	mu       sync.Mutex
	size     int
	free     int
	last     int // how many of them are for the one who finishes
	held     map[any]int
	finisher any // the job that takes of the last ones; nil where none does
	queue    []*waiter
}

type waiter struct {
	job   any
	ready chan struct{} // closed when the slot is there
}

func newSlots(size int) *slots {
	return &slots{size: size, free: size, last: min(kv.Deepest, size) - 1, held: map[any]int{}}
}

// take waits for a slot until ctx ends, closing is closed, or it has been too long.
func (s *slots) take(ctx context.Context, closing <-chan struct{}) error {
	w := &waiter{job: kv.JobOf(ctx), ready: make(chan struct{})}
	s.mu.Lock()
	if s.grant(w) {
		s.mu.Unlock()
		return nil
	}
	s.queue = append(s.queue, w)
	s.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = s.errNone(ctx.Err())
	case <-closing:
		err = kv.ErrClosed
	case <-timer.C:
		err = s.errNone(fmt.Errorf("%w: none was free for %s", kv.ErrUnavailable, patience))
	}
	s.mu.Lock()
	waits := slices.Index(s.queue, w)
	if waits >= 0 {
		s.queue = slices.Delete(s.queue, waits, waits+1)
	}
	s.mu.Unlock()
	if waits < 0 { // it came just now
		s.giveBack(w.job)
	}
	return err
}

// grant gives a slot if there is one for it. It wants the lock.
func (s *slots) grant(w *waiter) bool {
	switch {
	case s.free > s.last:
	case s.free > 0 && w.job != nil && s.held[w.job] > 0 && (s.finisher == nil || s.finisher == w.job):
		s.finisher = w.job
	default:
		return false
	}
	s.free--
	if w.job != nil {
		s.held[w.job]++
	}
	close(w.ready)
	return true
}

// giveBack returns a slot of a job, nil for none, and hands it on: to a job that has begun before one that has not.
func (s *slots) giveBack(job any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if job != nil {
		if s.held[job]--; s.held[job] == 0 {
			delete(s.held, job)
			if s.finisher == job {
				s.finisher = nil
			}
		}
	}
	for _, begun := range []bool{true, false} {
		s.queue = slices.DeleteFunc(s.queue, func(w *waiter) bool {
			return (w.job != nil && s.held[w.job] > 0) == begun && s.grant(w)
		})
	}
}

// inUse tells how many are taken.
func (s *slots) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free
}

// errNone tells why a snapshot was not to be had.
func (s *slots) errNone(why error) error {
	return fmt.Errorf("pgkv: take a snapshot: %d of %d connections for snapshots are in use, and the last %d are for reads that have begun: raise pool_max_conns in the connection string, or look for snapshots that are not closed: %w",
		s.inUse(), s.size, s.last, why)
}
