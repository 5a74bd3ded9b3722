// Package lifecycle starts the parts of a process in the order of what they need, runs them together, and stops them in
// the reverse order. It knows none of them.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Part is a piece of a process.
type Part struct {
	Name string
	// Needs names the parts that must have started before.
	Needs []string
	// Start claims what the part needs and returns when others can use it. Nil does nothing.
	Start func(ctx context.Context) error
	// Run works until ctx ends and then returns nil. It begins after every part has started. An error, or a return before
	// ctx ended, stops the process. Nil does nothing.
	Run func(ctx context.Context) error
	// Stop lets go of everything, after Run has returned, within the time that ctx gives. It is called only if Start has
	// succeeded. Nil does nothing.
	Stop func(ctx context.Context) error
}

// Resolve gives the targets and all that they need, in the order in which parts has them: what stands first starts first
// and stops last. Each part must stand behind those that it needs.
func Resolve(parts []Part, targets ...string) ([]Part, error) {
	place := make(map[string]int, len(parts))
	for i, p := range parts {
		place[p.Name] = i
	}
	needed := make([]bool, len(parts))
	var need func(name string) error
	need = func(name string) error {
		i, ok := place[name]
		if !ok {
			return fmt.Errorf("lifecycle: there is no part %q", name)
		}
		if needed[i] {
			return nil
		}
		needed[i] = true
		for _, n := range parts[i].Needs {
			if j, ok := place[n]; ok && j >= i {
				return fmt.Errorf("lifecycle: %q needs %q, which does not stand before it", name, n)
			}
			if err := need(n); err != nil {
				return err
			}
		}
		return nil
	}
	for _, t := range targets {
		if err := need(t); err != nil {
			return nil, err
		}
	}
	var order []Part
	for i, p := range parts {
		if needed[i] {
			order = append(order, p)
		}
	}
	return order, nil
}

// Options of Run.
type Options struct {
	Logger *slog.Logger
	// StopTimeout is how long the parts have to stop, all together.
	StopTimeout time.Duration
	// Ready is called once every part has started; may be nil.
	Ready func()
}

type running struct {
	Part
	cancel context.CancelFunc
	done   chan struct{}
}

// Run starts the parts in order, runs them until ctx ends or one of them fails, and stops them in the reverse order. It
// returns what failed first, joined with what failed on stopping.
func Run(ctx context.Context, parts []Part, o Options) error {
	failed := make(chan error, len(parts))
	var started []*running
	err := func() error {
		for _, p := range parts {
			if p.Start != nil {
				o.Logger.DebugContext(ctx, "starting", "part", p.Name)
				if err := p.Start(ctx); err != nil {
					return fmt.Errorf("start %s: %w", p.Name, err)
				}
			}
			started = append(started, &running{Part: p})
			if err := ctx.Err(); err != nil {
				return nil //nolint:nilerr // asked to stop while starting: that is no failure
			}
		}
		for _, r := range started {
			r.run(context.WithoutCancel(ctx), failed)
		}
		if o.Ready != nil {
			o.Ready()
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		}
	}()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.StopTimeout)
	defer cancel()
	for _, r := range slices.Backward(started) {
		err = errors.Join(err, r.stop(stopping, o.Logger))
	}
	return err
}

// run has a context of its own, so that parts end one after the other.
func (r *running) run(ctx context.Context, failed chan<- error) {
	if r.Run == nil {
		return
	}
	ctx, r.cancel = context.WithCancel(ctx)
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		err := r.Run(ctx)
		switch {
		case err != nil:
			failed <- fmt.Errorf("%s: %w", r.Name, err)
		case ctx.Err() == nil:
			failed <- fmt.Errorf("%s ended by itself", r.Name)
		}
	}()
}

func (r *running) stop(ctx context.Context, logger *slog.Logger) error {
	logger.DebugContext(ctx, "stopping", "part", r.Name)
	if r.cancel != nil {
		r.cancel()
		select {
		case <-r.done:
		case <-ctx.Done():
			return fmt.Errorf("stop %s: it did not end in time", r.Name)
		}
	}
	if r.Stop == nil {
		return nil
	}
	if err := r.Stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", r.Name, err)
	}
	return nil
}
