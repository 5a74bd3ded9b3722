package app

import (
	"context"
	"errors"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/analytics/mirror/threads"
	"github.com/skein-cx/skein/services/conversation"
)

// threadModel is the read model of interactions as the mirror of threads reads it.
type threadModel struct{ read *conversation.Interactions }

// View implements threads.Model.
func (m threadModel) View(ctx context.Context) (threads.View, error) {
	v, err := m.read.View(ctx)
	if err != nil {
		return nil, err
	}
	return threadView{v}, nil
}

// Changed implements threads.Model.
func (m threadModel) Changed() <-chan struct{} { return m.read.Changed() }

// threadView implements threads.View.
type threadView struct{ view *conversation.View }

// Generation implements threads.View.
func (v threadView) Generation() uint32 { return v.view.Namespace.Generation }

// Applied implements threads.View.
func (v threadView) Applied(ctx context.Context) (projection.Vector, error) {
	return v.view.Applied(ctx)
}

// Since implements threads.View.
func (v threadView) Since(ctx context.Context, from projection.Vector, most int) ([]threads.Thread, projection.Vector, error) {
	changed, until, err := v.view.Since(ctx, from, most)
	if errors.Is(err, conversation.ErrForgotten) {
		err = threads.ErrForgotten
	}
	return threadsOf(changed), until, err
}

// Threads implements threads.View.
func (v threadView) Threads(ctx context.Context, behind threads.Thread, most int) ([]threads.Thread, error) {
	all, err := v.view.Threads(ctx, conversation.Change{Tenant: behind.Tenant, Thread: behind.ID}, most)
	return threadsOf(all), err
}

// Thread implements threads.View.
func (v threadView) Thread(ctx context.Context, tenant string, thread event.ID) ([]*conversationv1.Interaction, error) {
	return v.view.Thread(ctx, tenant, thread)
}

// Close implements threads.View.
func (v threadView) Close() error { return v.view.Close() }

func threadsOf(all []conversation.Change) []threads.Thread {
	out := make([]threads.Thread, len(all))
	for n, c := range all {
		out[n] = threads.Thread{Tenant: c.Tenant, ID: c.Thread}
	}
	return out
}
