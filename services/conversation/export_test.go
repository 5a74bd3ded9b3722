package conversation

import (
	"context"
	"errors"

	"github.com/skein-cx/skein/services/conversation/story"
)

// Follow hands out what was applied since the last call, for tests that run nothing beside themselves.
func (c *Conversations) Follow(ctx context.Context) error { return c.hub.follow(ctx) }

// Awaited is how many alarms and feeds there are.
func (c *Conversations) Awaited() int {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	n := 0
	for _, feeds := range c.hub.feeds {
		n += len(feeds)
	}
	for _, alarms := range c.hub.alarmed {
		n += alarms
	}
	return n
}

// LinksWindow is how many records of a partition can be gone on from.
const LinksWindow = linksWindow

// CursorAgain and TokenAgain read a text and write it again.
func CursorAgain(text string) (string, bool) {
	c, err := decodeCursor(text)
	return c.encode(), err == nil
}

// TokenAgain is CursorAgain of page tokens.
func TokenAgain(text string) (string, bool) {
	t, err := decodePageToken(text)
	return t.encode(), err == nil
}

// ReadRows reads bytes as every row of the links.
func ReadRows(row []byte) {
	_, _ = decodeDecision(row) // whatever they say
	_, _ = decodeEdges(row)
	_, _ = decodeLinkChange(row)
}

// LimitPending bounds how many threads may wait for one who follows work.
func (c *Conversations) LimitPending(n int) { c.hub.maxPending = n }

// Followers is how many follow work.
func (c *Conversations) Followers() (n int) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	for _, all := range c.hub.workers {
		n += len(all)
	}
	return n
}

// Briefs yields the rows of work under a queue or agent, or all: what each holds, and what its interaction read in full comes to.
func (v *View) Briefs(ctx context.Context, tenant, queue, agent string, yield func(row, full story.Brief)) error {
	var failed error
	err := v.work(ctx, tenant, queue, agent, func(s spot, b *story.Brief) bool {
		whole, err := v.whole(ctx, tenant, []spot{s})
		if err != nil {
			failed = err
			return false
		}
		p, err := partOf(whole[0])
		if err != nil {
			failed = err
			return false
		}
		full, err := briefOf(p)
		if failed = err; err == nil {
			yield(*b, full)
		}
		return err == nil
	})
	return errors.Join(failed, err)
}
