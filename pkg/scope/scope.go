// Package scope says what belongs to a customer or to a conversation: parts of endpoints' timelines and parts of threads. Who knows
// links gives scopes; who holds events reads them. So neither knows the other.
package scope

import (
	"context"
	"math"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Scope is what belongs to a customer or conversation.
type Scope struct {
	// ID is the one under which it goes.
	ID event.ID
	// Endpoints whose events belong to it, each while it does. Spans of one endpoint do not overlap.
	Endpoints []Span
	// Threads whose events belong to it, each while it does. Spans of one thread do not overlap.
	Threads []Span
	// Without are parts of threads that do not belong to it although they are filed under one of its endpoints: what was attributed to
	// another customer.
	Without []Exception
	// Version names the state of the links that this was read from, for Source.At: what two readings of one version give is the same.
	Version string
}

// Span is a part of an endpoint's timeline or of a thread: what happened in a stretch of time.
type Span struct {
	ID event.ID
	Range
}

// Exception is a part of a thread, as far as it is filed under an endpoint; under any, where that is zero.
type Exception struct {
	Thread, Endpoint event.ID
	Range
}

// Range is a stretch of time in nanoseconds since 1970, From included and Until not.
type Range struct {
	From, Until int64
}

// Ever is all of time.
var Ever = Range{math.MinInt64, math.MaxInt64} //nolint:gochecknoglobals // a constant

// Contains tells whether a moment lies in it.
func (r Range) Contains(nanos int64) bool { return r.From <= nanos && nanos < r.Until }

// Empty tells whether no moment does.
func (r Range) Empty() bool { return r.From >= r.Until }

// Intersect is the stretch that lies in both.
func (r Range) Intersect(o Range) Range { return Range{max(r.From, o.From), min(r.Until, o.Until)} }

// At is a state of the links: that of a version, of a moment, or the present one.
type At struct {
	// Version of an earlier Scope; empty for none.
	Version string
	// Time by when links were received; zero for none.
	Time time.Time
}

// Source knows the links of customers or of conversations. It is safe for concurrent use.
type Source interface {
	// Scope reads what belongs to an id, or to what it goes under. ErrUnknown where the id names nothing, ErrExpired where the version is
	// one of a read model that is gone.
	Scope(ctx context.Context, tenant string, id event.ID, at At) (Scope, error)
	// Changed gives a channel that is closed when what belongs to an id may have changed since the scope was read, and a function that
	// ends the waiting. Read the scope again after calling it, so that no change is missed.
	Changed(s Scope, tenant string) (changed <-chan struct{}, done func())
}

// Interactions tells where interactions stand. It is safe for concurrent use.
type Interactions interface {
	// Stretch is the part of a thread that an interaction takes, as it is known now. ErrUnknown where there is no such interaction.
	Stretch(ctx context.Context, tenant string, interaction event.ID) (Span, error)
}

// Customers tells whose endpoints are. It is safe for concurrent use.
type Customers interface {
	// Owner is the customer, by its present id, whose an endpoint is at a moment (nanoseconds since 1970).
	Owner(ctx context.Context, tenant string, endpoint event.ID, at int64) (event.ID, error)
}

// Seen is what events tell of an endpoint.
type Seen struct {
	Kind eventv1.EndpointKind
	// Address in clear and its name space, as the newest event that can be read shows them.
	Address, Namespace string
	// DisplayName is the one that a channel showed last.
	DisplayName string
	// First and Last are when events named it.
	First, Last time.Time
}

// Endpoints tells what events show of endpoints. It is safe for concurrent use.
type Endpoints interface {
	// Seen is what is known of an endpoint; false where no event names it.
	Seen(ctx context.Context, tenant string, endpoint event.ID) (Seen, bool, error)
}
