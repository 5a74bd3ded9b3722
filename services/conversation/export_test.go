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
