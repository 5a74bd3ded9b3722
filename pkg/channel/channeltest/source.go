package channeltest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
)

// Source is an adapter that keeps a connection to its source and takes from it what it has, as the kit wants it.
type Source struct {
	// New makes the source's side, with nothing to tell yet, and an adapter of it over a host. It is called for each test; the
	// source's side ends with the test.
	New func(t *testing.T, host channel.Host, cursors channel.Cursors) SourceUnderTest
	// Story is how many parts the source's story has, and Events how many events they give in all.
	Story, Events int
	// Repeats tells that the source has what was before a cut or a restart: a mailbox. Else it tells only what happens while
	// somebody listens: a switch.
	Repeats bool
	// Gap is the type of the event that tells of what may have been missed; empty where nothing can be.
	Gap string
}

// SourceUnderTest is one of them.
type SourceUnderTest interface {
	// Channel gives an adapter that was not opened yet. The one before has stopped.
	Channel() channel.Channel
	// Tell makes the source tell the i-th part of its story. It waits until a connection is there where the source does not keep
	// what it tells.
	Tell(t *testing.T, i int)
	// Cut cuts the connections that there are, in the middle of whatever is sent.
	Cut(t *testing.T)
}

// patience is how long anything may take.
const patience = time.Minute

// TestSource is the kit for adapters that keep a connection.
func TestSource(t *testing.T, s Source) {
	t.Helper()
	told := s.told(t, func(t *testing.T, r *running) {
		for i := range s.Story {
			r.source.Tell(t, i)
		}
	})
	if len(told) != s.Events {
		t.Fatalf("the story gives %d events instead of %d", len(told), s.Events)
	}
	check := func(t *testing.T, happens func(t *testing.T, r *running)) {
		t.Helper()
		same(t, told, s.told(t, happens))
	}
	if !s.Repeats {
		t.Run("after a cut it goes on, and tells of the gap", func(t *testing.T) {
			check(t, func(t *testing.T, r *running) {
				for i := range s.Story {
					r.source.Tell(t, i)
				}
				r.await(t, s.Events)
				r.source.Cut(t)
				r.source.Tell(t, 0)
				r.awaitType(t, s.Gap)
			})
		})
		t.Run("while the log does not answer, what it tells waits", func(t *testing.T) {
			check(t, func(t *testing.T, r *running) {
				r.host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
				for i := range s.Story {
					r.source.Tell(t, i)
				}
				r.host.Fail(nil)
			})
		})
		return
	}
	t.Run("cuts lose nothing and double nothing", func(t *testing.T) {
		check(t, func(t *testing.T, r *running) {
			for i := range s.Story {
				r.source.Tell(t, i)
				r.source.Cut(t)
			}
		})
	})
	t.Run("restarts lose nothing and double nothing", func(t *testing.T) {
		check(t, func(t *testing.T, r *running) {
			for i := range s.Story {
				r.source.Tell(t, i)
				r.stop(t)
				r.start(t)
			}
		})
	})
	t.Run("a lost cursor doubles nothing", func(t *testing.T) {
		check(t, func(t *testing.T, r *running) {
			for i := range s.Story {
				r.source.Tell(t, i)
			}
			r.await(t, s.Events)
			r.stop(t)
			r.cursors.lose()
			r.start(t)
		})
	})
	t.Run("while the log does not answer, nothing is passed over", func(t *testing.T) {
		check(t, func(t *testing.T, r *running) {
			r.host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
			for i := range s.Story {
				r.source.Tell(t, i)
			}
			r.stop(t)
			r.start(t)
			r.host.Fail(nil)
		})
	})
	t.Run("what happens while it is stopped is told afterwards", func(t *testing.T) {
		check(t, func(t *testing.T, r *running) {
			r.stop(t)
			for i := range s.Story {
				r.source.Tell(t, i)
			}
			r.start(t)
		})
	})
}

// running is an adapter at work.
type running struct {
	host    *Host
	cursors *Cursors
	source  SourceUnderTest
	cancel  context.CancelFunc
	ended   chan error
}

func (r *running) start(t *testing.T) {
	t.Helper()
	c := r.source.Channel()
	ctx, cancel := context.WithCancel(context.Background())
	if err := c.Open(ctx, r.host); err != nil {
		cancel()
		t.Fatalf("open %s: %v", c.Name(), err)
	}
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- c.Run(ctx) }()
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not stop")
	}
}

func (r *running) await(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := r.host.WaitEvents(ctx, n); err != nil {
		t.Fatal(err)
	}
}

// awaitType waits for an event of a type.
func (r *running) awaitType(t *testing.T, typ string) {
	t.Helper()
	for n := 1; typ != ""; n++ {
		r.await(t, n)
		if r.host.Events()[n-1].Event.GetType() == typ {
			return
		}
	}
}

// told lets an adapter run while something happens to its source, waits for all events of the story, and gives them.
func (s Source) told(t *testing.T, happens func(t *testing.T, r *running)) []string {
	t.Helper()
	r := &running{host: NewHost(), cursors: &Cursors{}}
	r.source = s.New(t, r.host, r.cursors)
	r.start(t)
	happens(t, r)
	r.await(t, s.Events)
	r.stop(t)
	for _, rejected := range r.host.Rejections() {
		t.Errorf("rejected: %s: %.200q", rejected.Reason, rejected.Raw)
	}
	var got []string
	for _, f := range Fingerprint(t, r.host) {
		if s.Gap == "" || !strings.HasPrefix(f, s.Gap+" ") {
			got = append(got, f)
		}
	}
	return got
}
