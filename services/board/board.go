// Package board is the live board of a contact centre: its queues, teams and agents as they are at this moment.
//
// The board of a tenant is made when it is first asked for, kept in memory, and dropped some minutes after the last who looked. It is fed by
// three streams: the states of the agents, the threads with work, and the directory. What changes moves the rows that it concerns, and
// nothing is counted again. The rows stand in one list, in the order in which they changed last; whoever watches remembers how far it has
// got, and so costs no more than what it is sent. See docs/board.md.
package board

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// Kept is how far back visits are counted.
	Kept = 48 * time.Hour
	// Quarter is how exactly.
	Quarter = 15 * time.Minute
	// DefaultWithin is within which time a visit is answered in time, where neither it nor its queue says so.
	DefaultWithin = 20 * time.Second
)

var (
	// ErrTooManyWatches means that this process watches enough already.
	ErrTooManyWatches = errors.New("board: too many watches on this process: try another one, or later")
	// ErrStopping means that this process is about to end.
	ErrStopping = errors.New("board: stopping: go on from the cursor elsewhere")
	// ErrReading means that the board is being read for the first time.
	ErrReading = errors.New("board: it is being read for the first time: try again")
)

// Agents tell the present states of a tenant's agents.
type Agents interface {
	// Follow yields the states of all agents, and then those that change, until ctx ends or yield fails. Where nothing of the tenant changes
	// it yields the vectors alone, within a moment of their moving: somebody may wait for them.
	Follow(ctx context.Context, tenant string, yield func(AgentNews) error) error
}

// AgentNews are states of agents.
type AgentNews struct {
	// Reset: what was told before does not count, as soon as all states are told.
	Reset bool
	// Complete: all states are told.
	Complete bool
	// States as they are now. They are shared: nobody changes them.
	States []*agentv1.AgentState
	// Gone are the agents who have no state any more.
	Gone []string
	// Agents and Work are which offsets of skein.agents.v1 and skein.interactions.v1 are contained.
	Agents, Work projection.Vector
}

// Work tells what is done about a tenant's contacts.
type Work interface {
	// FollowWork yields all threads with open work, and then each that changes, until ctx ends or yield fails. Where nothing of the tenant
	// changes it yields the vector alone, within a moment of its moving: somebody may wait for it.
	FollowWork(ctx context.Context, tenant string, yield func(WorkNews) error) error
	// Queues yields every name of a queue in which a visit is stored, as events carry it, until yield reports false.
	Queues(ctx context.Context, tenant string, yield func(queue string) bool) error
	// Visits yields the visits of a queue that began in [from, until), whatever their order, until yield reports false.
	Visits(ctx context.Context, tenant, queue string, from, until time.Time, yield func(Visit) bool) error
}

// WorkNews are threads.
type WorkNews struct {
	// Reset: what was told before does not count.
	Reset bool
	// Complete: all threads with open work are told.
	Complete bool
	// Threads as they are now.
	Threads []ThreadWork
	// At is which offsets of skein.interactions.v1 are contained.
	At projection.Vector
}

// ThreadWork is a thread as it is now.
type ThreadWork struct {
	Thread event.ID
	// Interactions that are open, that have an assignment that goes on, or that were active within 72 hours. They are shared: nobody changes
	// them.
	Interactions []*conversationv1.Interaction
}

// Visit is a wait in a queue, as it is stored.
type Visit struct {
	ID, Thread, Interaction event.ID
	// Provider of the interaction: it tells whose the queue's name is.
	Provider string
	// Backfill: nothing of it is measured; it is imported, or it began before imported history went on live.
	Backfill bool
	// Entered and Left are in nanoseconds since 1970; Left is 0 while it goes on.
	Entered, Left int64
	Outcome       eventv1.QueueOutcome
	// SLATarget is the target that it carries; 0 for none.
	SLATarget time.Duration
	// Handled is how many of its assignments were connected and are over, HandleTime how long they took in all: talk, hold and after-call
	// work, without pauses.
	Handled    int
	HandleTime time.Duration
}

// Config says what a Server works with.
type Config struct {
	Books  directory.Books
	Agents Agents
	Work   Work
	// InteractionPartitions and AgentPartitions are how many partitions skein.interactions.v1 and skein.agents.v1 have.
	InteractionPartitions, AgentPartitions int
	// MaxWatches of the process; 10,000 where it is 0.
	MaxWatches int
	// Linger is how long a board is kept that nobody looks at; five minutes where it is 0.
	Linger time.Duration
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
	// Logger may be nil.
	Logger *slog.Logger
}

const (
	defaultMaxWatches = 10_000
	defaultLinger     = 5 * time.Minute
)

func (c *Config) complete() error {
	if c.Books == nil || c.Agents == nil || c.Work == nil || c.InteractionPartitions <= 0 || c.AgentPartitions <= 0 {
		return errors.New("board: books, agents, work and the numbers of partitions are needed")
	}
	if c.MaxWatches < 0 || c.Linger < 0 {
		return fmt.Errorf("board: neither the limit of watches (%d) nor the time that a board lingers (%s) is below 0", c.MaxWatches, c.Linger)
	}
	if c.MaxWatches == 0 {
		c.MaxWatches = defaultMaxWatches
	}
	if c.Linger == 0 {
		c.Linger = defaultLinger
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
