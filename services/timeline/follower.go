package timeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Follower follows threads in this process, for channels that also send.
type Follower struct {
	hub     *Hub
	keyring *event.Keyring
}

var _ channel.Follower = (*Follower)(nil)

// NewFollower follows through a hub, which must be running.
func NewFollower(hub *Hub, keyring *event.Keyring) *Follower {
	return &Follower{hub: hub, keyring: keyring}
}

// Follow implements channel.Follower.
func (f *Follower) Follow(ctx context.Context, thread channel.Thread, from string, yield func(channel.Filed) error) error {
	id := f.keyring.Tenant(thread.Tenant).Thread(thread.Inbox, thread.Thread)
	sel := Selection{Tenant: thread.Tenant, Threads: always(id)}
	query, err := watchDigest(thread.Tenant, &timelinev1.WatchRequest{ThreadIds: []string{id.String()}})
	if err != nil {
		return fmt.Errorf("timeline: follow: %w", err)
	}
	c := cursor{query: query}
	if from == "" {
		if c, err = f.history(ctx, sel, c, yield); err == nil {
			err = yield(channel.Filed{Cursor: c.encode()}) // that was all, even if it was nothing
		}
	} else if c, err = decodeCursor(from); err == nil && c.query != query {
		err = channel.ErrStaleCursor
	}
	if err != nil {
		if errors.Is(err, errBadCursor) {
			return channel.ErrStaleCursor
		}
		return err
	}
	w := &watch{hub: f.hub, Selection: sel, cursor: c, send: func(r *row, cursor string) error {
		if r == nil {
			return yield(channel.Filed{Cursor: cursor})
		}
		e, err := r.entry()
		if err != nil {
			return err
		}
		return yield(channel.Filed{Event: e.GetEvent(), Content: e.GetContent(), Cursor: cursor})
	}}
	err = w.run(ctx)
	switch {
	case errors.Is(err, errReset):
		return channel.ErrStaleCursor
	case errors.Is(err, ErrExpiredCursor):
		return fmt.Errorf("%w: %w", channel.ErrStaleCursor, err)
	case errors.Is(err, ErrStopping), errors.Is(err, ErrTooManyWatchers):
		return fmt.Errorf("%w: %w", channel.ErrRetry, err)
	}
	return err
}

// history yields what the thread holds, and returns the cursor behind it. Until the last event, the cursor is the one
// before all of them: whoever goes on from there sees them again rather than none.
func (f *Follower) history(ctx context.Context, sel Selection, c cursor, yield func(channel.Filed) error) (cursor, error) {
	q := Query{Selection: sel, PageSize: MaxPageSize, Topic: f.hub.slice.Topic}
	for {
		p, err := list(ctx, f.hub.slice.Store, q)
		if err != nil {
			return c, err
		}
		if c.next == nil {
			c.generation, c.next = p.generation, placesOf(p.pinned)
		}
		for i := range p.rows {
			e, err := p.rows[i].entry()
			if err != nil {
				return c, err
			}
			filed := channel.Filed{Event: e.GetEvent(), Content: e.GetContent()}
			if p.next == "" && i == len(p.rows)-1 {
				filed.Cursor = c.encode()
			}
			if err := yield(filed); err != nil {
				return c, err
			}
		}
		if q.Token = p.next; q.Token == "" {
			return c, nil
		}
	}
}
