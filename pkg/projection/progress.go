package projection

import "sync"

// Progress tells readers in the same process that something was applied, here or, as far as somebody looks, by another
// process. The zero value is ready; a nil Progress tells nothing. It is safe for concurrent use.
type Progress struct {
	mu   sync.Mutex
	wake chan struct{}
}

// Changed gives a channel that is closed when something is applied next; of a nil Progress, one that never is.
func (p *Progress) Changed() <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake == nil {
		p.wake = make(chan struct{})
	}
	return p.wake
}

// Notify tells that something was applied.
func (p *Progress) Notify() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}
