package messenger

import (
	"testing"
	"time"
)

// SetNow sets the clock by which windows are measured.
func SetNow(tb testing.TB, c *Channel, now time.Time) {
	tb.Helper()
	c.now = func() time.Time { return now }
}
