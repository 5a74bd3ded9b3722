package agent

import (
	"context"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
)

// Work knows the interactions of a tenant and the shares that agents have in them. Agents are named as events do. What it yields is read only.
type Work interface {
	// Shares yields the assignments of an agent that overlap the moments from one (included) to another (excluded), in any order, until yield
	// returns false. An assignment goes on from its begin to the last thing that is known of it, to no end where it has none; others may be
	// yielded, too.
	Shares(ctx context.Context, tenant, agent string, from, until time.Time,
		yield func(*conversationv1.Interaction, *conversationv1.Assignment) bool) error
	// FollowWork tells what is open, and then what changes, until ctx ends or yield fails.
	FollowWork(ctx context.Context, tenant string, yield func(WorkNews) error) error
	// Await returns once positions are applied to what Shares reads, or when ctx ends. Those of other topics count as applied.
	Await(ctx context.Context, positions ...eventlog.Position) error
}

// WorkNews is open work, or what changed.
type WorkNews struct {
	// Reset says that all that was told before does not count: what is open follows.
	Reset bool
	// Complete says that all that was open has been told.
	Complete bool
	Threads  []ThreadWork
	// At is how far skein.interactions.v1 is applied in what was told so far.
	At projection.Vector
}

// ThreadWork is a thread with those of its interactions, as they are now, that are open, have an assignment going on, or were active within
// 72 hours.
type ThreadWork struct {
	Thread       event.ID
	Interactions []*conversationv1.Interaction
}

// Matters knows whose interactions are, and of which conversations.
type Matters interface {
	// Matter gives the conversation of an interaction and its customer, as they are now; an empty customer where none took part.
	Matter(ctx context.Context, tenant string, i *conversationv1.Interaction) (conversation, customer string, err error)
	// Customer gives the id that a customer has now, by any id.
	Customer(ctx context.Context, tenant string, id event.ID) (string, error)
}
