package cursorkv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/cursorkv"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// onEach runs a test on each engine.
func onEach(t *testing.T, test func(t *testing.T, store kv.Store)) {
	t.Helper()
	t.Run("memkv", func(t *testing.T) { test(t, memkv.New()) })
	t.Run("pebblekv", func(t *testing.T) {
		store, err := pebblekv.Open(t.TempDir(), pebblekv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		test(t, store)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(t *testing.T, c *cursorkv.Cursors, name, want string) {
	t.Helper()
	got, err := c.Cursor(t.Context(), name)
	must(t, err)
	if got != want {
		t.Errorf("the cursor %s is at %q, want %q", name, got, want)
	}
}

func TestACursorMovesFromWhereItWasRead(t *testing.T) {
	onEach(t, func(t *testing.T, store kv.Store) {
		t.Helper()
		c := cursorkv.New(store)
		at(t, c, "imap/acme/desk", "")
		must(t, c.MoveCursor(t.Context(), "imap/acme/desk", "", "1:7"))
		must(t, c.MoveCursor(t.Context(), "imap/acme/desk", "1:7", "1:9"))
		at(t, c, "imap/acme/desk", "1:9")
		at(t, c, "imap/acme/other", "")
		at(t, cursorkv.New(store), "imap/acme/desk", "1:9") // another process
		must(t, c.MoveCursor(t.Context(), "imap/acme/desk", "1:9", ""))
		at(t, c, "imap/acme/desk", "")
		must(t, c.MoveCursor(t.Context(), "imap/acme/desk", "", "2:1"))
	})
}

func TestACursorThatSomebodyElseHasMovedStaysWhereItIs(t *testing.T) {
	onEach(t, func(t *testing.T, store kv.Store) {
		t.Helper()
		c := cursorkv.New(store)
		must(t, c.MoveCursor(t.Context(), "ami", "", "a"))
		for _, was := range []string{"", "b"} {
			if err := c.MoveCursor(t.Context(), "ami", was, "c"); !errors.Is(err, channel.ErrCursorMoved) || errors.Is(err, channel.ErrRetry) {
				t.Errorf("moved from %q: %v", was, err)
			}
		}
		if err := c.MoveCursor(t.Context(), "none", "a", "c"); !errors.Is(err, channel.ErrCursorMoved) {
			t.Errorf("moved from where there is none: %v", err)
		}
		at(t, c, "ami", "a")
	})
}

func TestOfManyWhoMoveACursorOneWinsEachStep(t *testing.T) {
	onEach(t, func(t *testing.T, store kv.Store) {
		t.Helper()
		const movers, steps = 8, 40
		var all sync.WaitGroup
		for range movers {
			c := cursorkv.New(store)
			all.Go(func() {
				for done := 0; done < steps; {
					was, err := c.Cursor(t.Context(), "shared")
					if err == nil {
						err = c.MoveCursor(t.Context(), "shared", was, was+"x")
					}
					if err == nil {
						done++
					} else if !errors.Is(err, channel.ErrCursorMoved) {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		at(t, cursorkv.New(store), "shared", strings.Repeat("x", movers*steps))
	})
}

// away is a store that does not answer.
type away struct {
	kv.Store
	err error
}

func (a away) Snapshot(context.Context, kv.Namespace) (kv.Snapshot, error) { return nil, a.err }

func (a away) Apply(context.Context, kv.Namespace, *kv.Batch) error { return a.err }

func TestWhatMayPassAsksForAnotherTry(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx   context.Context
		err   error
		retry bool
	}{
		{t.Context(), fmt.Errorf("pgkv: %w", kv.ErrUnavailable), true},
		{t.Context(), kv.ErrFull, true},
		{t.Context(), kv.ErrInvalid, false},
		{t.Context(), kv.ErrClosed, false},
		{ended, context.Canceled, false},
	} {
		cursors := cursorkv.New(away{err: c.err})
		_, readErr := cursors.Cursor(c.ctx, "a")
		for _, err := range []error{readErr, cursors.MoveCursor(c.ctx, "a", "", "b")} {
			if errors.Is(err, channel.ErrRetry) != c.retry || !errors.Is(err, c.err) {
				t.Errorf("%v gives %v", c.err, err)
			}
		}
	}
	long := strings.Repeat("n", kv.MaxKey+1)
	if err := cursorkv.New(memkv.New()).MoveCursor(t.Context(), long, "", "a"); !errors.Is(err, kv.ErrInvalid) || errors.Is(err, channel.ErrRetry) {
		t.Errorf("a name that is too long: %v", err)
	}
}
