package chdb

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Process keeps a child process with the engine running: it starts it again when it dies, after a wait that grows while that fails. The
// address stays the same. Its methods may be called at any time and from everywhere.
type Process struct {
	// Command makes the command of the child, which must call Child.
	Command func() *exec.Cmd
	// Config goes to the child.
	Config Config
	// Wait is the first wait before a restart; 100 ms if 0. It doubles up to MaxWait; 10 seconds if 0. A child that was ready makes it begin anew.
	Wait, MaxWait time.Duration

	mu      sync.Mutex
	status  Status
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// Status is how a Process is.
type Status struct {
	// Ready means that the address is served.
	Ready bool
	// Addr is the address, once a child has been ready.
	Addr string
	// PID is the child's, while it is ready.
	PID int
	// Deaths counts the children that ended though nobody asked them to.
	Deaths int
	// LastDeath tells why the last of them did.
	LastDeath error
}

// Status tells how the process is now.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// WaitReady returns the address when it is served. Once ctx ends, the error tells why no child was ready, too.
func (p *Process) WaitReady(ctx context.Context) (addr string, err error) {
	for {
		p.mu.Lock()
		status := p.status
		if status.Ready {
			p.mu.Unlock()
			return status.Addr, nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return "", errors.Join(ctx.Err(), status.LastDeath)
		}
	}
}

func (p *Process) set(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Run starts the child and keeps it running until ctx ends, then stops it in good order. It is called once.
func (p *Process) Run(ctx context.Context) error {
	c := p.Config
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = 100*time.Millisecond, 10*time.Second, 2
	if p.Wait > 0 {
		wait.InitialInterval = p.Wait
	}
	if p.MaxWait > 0 {
		wait.MaxInterval = p.MaxWait
	}
	wait.Reset()
	for {
		r, err := Start(ctx, p.Command(), c)
		if err == nil {
			wait.Reset()
			c.Listen = r.Addr
			p.set(func(s *Status) { s.Ready, s.Addr, s.PID = true, r.Addr, r.PID() })
			select {
			case <-r.Done():
				err = r.Err()
			case <-ctx.Done():
				p.set(func(s *Status) { s.Ready, s.PID = false, 0 })
				return r.Stop()
			}
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		pause := wait.NextBackOff()
		p.set(func(s *Status) { s.Ready, s.PID, s.Deaths, s.LastDeath = false, 0, s.Deaths+1, err })
		c.Logger.ErrorContext(ctx, "clickhouse: the process ended and starts again", "error", err, "wait", pause.String())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}
