package app

import (
	"context"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/timers"
)

// interactions is the read model of interactions as other services see it: each call reads it as it is then.
type interactions struct {
	store    kv.Store
	progress *projection.Progress
	read     *conversation.Interactions
}

// Await returns once records were applied.
func (m interactions) Await(ctx context.Context, at ...eventlog.Position) error {
	return projection.Await(ctx, m.store, conversation.Slice, event.TopicInteractions, at, m.progress)
}

// Find gives an interaction by any id that it ever had; nil where there is none.
func (m interactions) Find(ctx context.Context, tenant string, id event.ID) (*conversationv1.Interaction, error) {
	return viewed(ctx, m.read, func(v *conversation.View) (*conversationv1.Interaction, error) {
		it, found, err := v.Find(ctx, tenant, id)
		if !found {
			it = nil
		}
		return it, err
	})
}

// at gives the interaction to which an event of a moment belongs; nil where there is none.
func (m interactions) at(ctx context.Context, tenant string, thread event.ID, nanos int64) (*conversationv1.Interaction, error) {
	return viewed(ctx, m.read, func(v *conversation.View) (*conversationv1.Interaction, error) {
		it, found, err := v.At(ctx, tenant, thread, nanos)
		if !found {
			it = nil
		}
		return it, err
	})
}

// Stretch implements scope.Interactions.
func (m interactions) Stretch(ctx context.Context, tenant string, id event.ID) (scope.Span, error) {
	return viewed(ctx, m.read, func(v *conversation.View) (scope.Span, error) {
		span, found, err := v.Stretch(ctx, tenant, id)
		if err == nil && !found {
			err = scope.ErrUnknown
		}
		return span, err
	})
}

// viewed reads the read model as it is now.
func viewed[T any](ctx context.Context, x *conversation.Interactions, read func(*conversation.View) (T, error)) (T, error) {
	v, err := x.View(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer func() { _ = v.Close() }() // nothing is written through a view
	return read(v)
}

// timed is the read model as the clock and the policies see it.
type timed struct{ interactions }

// Await implements timers.Interactions.
func (m timed) Await(ctx context.Context, at eventlog.Position) error {
	return m.interactions.Await(ctx, at)
}

// At implements timers.Interactions.
func (m timed) At(ctx context.Context, tenant string, thread event.ID, at time.Time) (*conversationv1.Interaction, error) {
	return m.at(ctx, tenant, thread, at.UnixNano())
}

// Due implements timers.Armed.
func (m timed) Due(ctx context.Context, by time.Time, yield func(timers.Timer) bool) (next time.Time, err error) {
	return viewed(ctx, m.read, func(v *conversation.View) (time.Time, error) {
		return v.Due(ctx, by, func(t conversation.Timer) bool {
			return yield(timers.Timer{Tenant: t.Tenant, Interaction: t.Interaction, Name: t.Name, DueAt: t.DueAt, ArmedBy: t.ArmedBy})
		})
	})
}

// linked is the read model as the linker sees it.
type linked struct{ interactions }

// At implements linker.Interactions.
func (m linked) At(ctx context.Context, tenant string, thread event.ID, nanos int64, at eventlog.Position) (event.ID, bool, error) {
	if err := m.Await(ctx, at); err != nil {
		return event.ID{}, false, err
	}
	it, err := m.at(ctx, tenant, thread, nanos)
	if err != nil || it == nil {
		return event.ID{}, false, err
	}
	id, err := event.ParseID(it.GetId())
	return id, err == nil, err
}
