// Package staffing tells how many agents a queue needs: it forecasts what comes from what came, and counts agents by models of queues.
package staffing

import (
	"context"
	"time"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Visit is one wait in a queue.
type Visit struct {
	// Provider told of it.
	Provider string
	// Entered and Left are its begin and end; Left is zero while it goes on.
	Entered, Left time.Time
	// Outcome says how it ended.
	Outcome eventv1.QueueOutcome
	// Handled is how many agents' shares came of it that are over, HandleTime how long they took in all: talk, hold and after-call work.
	Handled    int
	HandleTime time.Duration
}

// Visits reads what waited in queues, imported history included. It is safe for concurrent use.
type Visits interface {
	// Visits yields the visits of a queue, by the name that events carry, that began from a moment to before another, in any order, until
	// yield returns false.
	Visits(ctx context.Context, tenant, queue string, from, until time.Time, yield func(Visit) bool) error
}

// Agents tells who is there. It is safe for concurrent use.
type Agents interface {
	// SignedIn is how many agents who can take from a queue of the directory are signed in at present.
	SignedIn(ctx context.Context, tenant, queue string) (int, error)
}

// Hours reads business hours: the result tells whether it is open at some time from a moment to before another. An error says that there
// is something wrong with them.
type Hours func(*eventv1.DirectoryHours) (open func(from, until time.Time) bool, err error)

// Config is what a Server works with. Books, Visits, Agents and Hours must be set.
type Config struct {
	Books  directory.Books
	Visits Visits
	Agents Agents
	Hours  Hours
	// Concurrent is how many forecasts read history at once; others wait. 4 unless set.
	Concurrent int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
