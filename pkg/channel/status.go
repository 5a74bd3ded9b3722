package channel

import "time"

// Status tells how a channel does at one inbox, for those who operate it.
type Status struct {
	Tenant, Inbox string
	// Source is where it takes from, without anything secret: an address, a mailbox.
	Source string
	// Err is why it cannot work at present; nil where it can.
	Err error
	// Since is when it began or ceased to work.
	Since time.Time
}

// Reporter is what a channel also is that can be out of work although it runs: its switch or mail server does not answer. It is
// safe for concurrent use.
type Reporter interface {
	// Statuses are those of all inboxes.
	Statuses() []Status
}
