package official

import "time"

// SetNow sets the clock.
func (c *Channel) SetNow(now func() time.Time) { c.now = now }

// SetPatience sets how long an answer may take: a test's machine may have more to do.
func (c *Channel) SetPatience(d time.Duration) { c.patience = d }
