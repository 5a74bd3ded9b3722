package conversation

import "context"

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
