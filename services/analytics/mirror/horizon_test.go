package mirror_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

func TestTheHorizonIsWhenTheLogEndedWhereTheReadModelIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := mirror.NewHorizon(func(_ context.Context, topic string) (projection.Vector, error) {
			require.Equal(t, "log", topic)
			return projection.Vector{0: int64(time.Since(began) / time.Second), 1: 5}, nil // one record a second
		}, 0, "log")
		require.Zero(t, h.Until("log", projection.Vector{0: 9, 1: 5}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = h.Run(ctx) }() // it returns nil
		passes(100*time.Second + time.Millisecond)
		require.Zero(t, h.Until("log", projection.Vector{0: 100}), "the other partition is behind")
		require.Equal(t, began.Add(39*time.Second), h.Until("log", projection.Vector{0: 40, 1: 5}))
		require.Equal(t, began.Add(99*time.Second), h.Until("log", projection.Vector{0: 1000, 1: 6}))
		passes(time.Hour)
		require.Zero(t, h.Until("log", projection.Vector{0: 600, 1: 5}), "that is too long ago")
		require.Equal(t, began.Add(2999*time.Second), h.Until("log", projection.Vector{0: 3000, 1: 5}))
		require.Equal(t, time.Now().Add(-time.Millisecond-time.Second), h.Until("log", projection.Vector{0: 5000, 1: 5}))
	})
}
