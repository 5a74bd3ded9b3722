package conversation

import (
	"context"
	"errors"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
)

// Slice is the name of the read model of interactions.
const Slice = "interactions"

// Interactions reads the read model of interactions. It is safe for concurrent use.
type Interactions struct {
	store      kv.Store
	partitions int
	progress   *projection.Progress
}

// NewInteractions reads from a store that is folded from a topic with so many partitions; progress, which may be nil, tells of what is
// applied.
func NewInteractions(store kv.Store, partitions int, progress *projection.Progress) *Interactions {
	return &Interactions{store: store, partitions: partitions, progress: progress}
}

// View is the read model at one moment. Close it.
type View struct {
	snap      kv.Snapshot
	Namespace kv.Namespace
}

// Change is that a record changed interactions of a thread.
type Change struct {
	Tenant string
	Thread event.ID
}

// Timer is what the clock has to do for an interaction.
type Timer struct {
	Tenant      string
	Thread      event.ID
	Interaction event.ID
	// Name is snooze, idle, sla.first_response, sla.next_response or sla.resolution.
	Name    string
	DueAt   time.Time
	ArmedBy event.ID
}

var errNotYet = errors.New("conversation: not there yet")

// View gives the read model that serves as it is now.
func (x *Interactions) View(ctx context.Context) (*View, error) { return nil, errNotYet }

// Of reads a view of a snapshot, such as that of a projection.Pass.
func (x *Interactions) Of(snap kv.Snapshot, ns kv.Namespace) *View { return &View{snap: snap, Namespace: ns} }

// Close lets go of it.
func (v *View) Close() error { return v.snap.Close() }

// Find gives an interaction by any id that it ever had.
func (v *View) Find(ctx context.Context, tenant string, id event.ID) (*conversationv1.Interaction, bool, error) {
	return nil, false, errNotYet
}

// Thread gives the interactions of a thread in order of their begin.
func (v *View) Thread(ctx context.Context, tenant string, thread event.ID) ([]*conversationv1.Interaction, error) {
	return nil, errNotYet
}

// At gives the interaction of a thread to which an event of a moment belongs (nanoseconds since 1970); of several, the last that began
// by then.
func (v *View) At(ctx context.Context, tenant string, thread event.ID, nanos int64) (*conversationv1.Interaction, bool, error) {
	return nil, false, errNotYet
}

// Stretch is the part of its thread that an interaction takes: until the next one begins.
func (v *View) Stretch(ctx context.Context, tenant string, id event.ID) (scope.Span, bool, error) {
	return scope.Span{}, false, errNotYet
}

// Work yields the interactions that are not settled: of one queue or one agent, where those are named, else all.
func (v *View) Work(ctx context.Context, tenant, queue, agent string, yield func(*conversationv1.Interaction) bool) error {
	return errNotYet
}

// Settled yields the interactions that are resolved or closed, the latest first.
func (v *View) Settled(ctx context.Context, tenant string, yield func(*conversationv1.Interaction) bool) error {
	return errNotYet
}

// Changes yields what the records of a partition from one offset to before another have changed.
func (v *View) Changes(ctx context.Context, partition int32, from, until int64, yield func(offset int64, c Change) error) error {
	return errNotYet
}

// Due yields the timers that are due by a moment, the longest due first, of all tenants, until it returns false; next is when the first
// of the others is due, zero where there is none.
func (v *View) Due(ctx context.Context, by time.Time, yield func(Timer) bool) (next time.Time, err error) {
	return time.Time{}, errNotYet
}
