package official

import "time"

// SetNow sets the clock.
func (c *Channel) SetNow(now func() time.Time) { c.now = now }
