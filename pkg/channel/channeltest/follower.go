package channeltest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/skein-cx/skein/pkg/channel"
)

// Follower is a channel.Follower over what a Host has taken in. Its cursors are good for every Follower of the same host.
// It is safe for concurrent use.
type Follower struct {
	host *Host

	mu      sync.Mutex
	failure error
	failed  chan struct{} // closed when failure is set
	age     int           // cursors of another age are stale
}

var _ channel.Follower = (*Follower)(nil)

// NewFollower follows the threads of a host.
func NewFollower(host *Host) *Follower { return &Follower{host: host, failed: make(chan struct{})} }

// Fail ends every Follow with an error, now and until it is called with nil.
func (f *Follower) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil && err != nil {
		close(f.failed)
	}
	if f.failure != nil && err == nil {
		f.failed = make(chan struct{})
	}
	f.failure = err
}

// Expire makes every cursor that was given so far a stale one. Who follows already goes on.
func (f *Follower) Expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.age++
}

// Follow implements channel.Follower. It yields a mark whenever it has yielded all there is.
func (f *Follower) Follow(ctx context.Context, thread channel.Thread, from string, yield func(channel.Filed) error) error {
	if f.host.broken != nil {
		return f.host.broken
	}
	id := f.host.keyring.Tenant(thread.Tenant).Thread(thread.Inbox, thread.Thread).String()
	next, err := f.read(id, from)
	if err != nil {
		return err
	}
	for history := from == ""; ; history = false {
		failed, failure := f.state()
		if failure != nil {
			return fmt.Errorf("channeltest: follow: %w", failure)
		}
		all, changed := f.host.now()
		events := slices.Clone(all[next:])
		next += len(events)
		events = slices.DeleteFunc(events, func(e Event) bool { return e.Tenant != thread.Tenant || e.Event.GetThreadId() != id })
		if history {
			slices.SortStableFunc(events, func(a, b Event) int {
				return a.Event.GetOccurredAt().AsTime().Compare(b.Event.GetOccurredAt().AsTime())
			})
		}
		for i, e := range events {
			filed := channel.Filed{Event: e.Event, Content: e.Content}
			if last := i == len(events)-1; last {
				filed.Cursor = f.cursor(id, next)
			} else if !history {
				filed.Cursor = f.cursor(id, f.host.index(e)+1)
			}
			if err := yield(filed); err != nil {
				return err
			}
		}
		if err := yield(channel.Filed{Cursor: f.cursor(id, next)}); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-failed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read gives the number of events that a cursor has seen.
func (f *Follower) read(thread, cursor string) (int, error) {
	if cursor == "" {
		return 0, nil
	}
	number, _, _ := strings.Cut(cursor, ".")
	next, err := strconv.Atoi(number)
	if err != nil || cursor != f.cursor(thread, next) || next > len(f.host.Events()) {
		return 0, channel.ErrStaleCursor
	}
	return next, nil
}

// cursor names the thread by a hash only: whoever has one learns nothing.
func (f *Follower) cursor(thread string, next int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := sha256.Sum256([]byte(thread))
	return fmt.Sprintf("%d.%d.%s", next, f.age, hex.EncodeToString(sum[:8]))
}

func (f *Follower) state() (failed <-chan struct{}, failure error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed, f.failure
}
