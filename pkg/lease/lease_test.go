package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/lease"
)

func newLease(store kv.Store) *lease.Lease {
	return lease.New(store, kv.Namespace{Slice: "leases"}, "some-work", time.Now)
}

func take(t *testing.T, l *lease.Lease, want bool) {
	t.Helper()
	if mine, err := l.Take(t.Context()); err != nil || mine != want {
		t.Fatalf("taken: %v, %v; wanted %v", mine, err, want)
	}
}

func TestOneAtATimeHoldsALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memkv.New()
		one, other := newLease(store), newLease(store)
		take(t, one, true)
		take(t, one, true)
		take(t, other, false)
		if err := other.Drop(t.Context()); err != nil { // which it does not hold
			t.Fatal(err)
		}
		take(t, other, false)
		if err := one.Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		take(t, other, true)
		take(t, one, false)
	})
}

func TestALeaseOfWhichNobodySaysAnythingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memkv.New()
		one, other := newLease(store), newLease(store)
		take(t, one, true)
		<-time.After(lease.For - time.Millisecond)
		take(t, other, false)
		<-time.After(time.Millisecond)
		take(t, other, true)
		take(t, one, false)
	})
}

func TestWhoIsAloneNeedNotWait(t *testing.T) {
	store := memkv.New()
	take(t, newLease(store).Alone(), true)
	take(t, newLease(store).Alone(), true)
}

func TestALeaseIsHeldForAsLongAsTheWorkTakesAndEndsItWhenItIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memkv.New()
		one, other := newLease(store), newLease(store)
		take(t, one, true)
		err := one.Hold(t.Context(), func(ctx context.Context) error {
			<-time.After(time.Hour)
			take(t, other, false)
			b := &kv.Batch{} // somebody takes it away, such as by a clock that is ahead
			b.Set([]byte("some-work"), []byte("somebody 9999999999999"))
			if err := store.Apply(ctx, kv.Namespace{Slice: "leases"}, b); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, lease.ErrLost) {
			t.Fatal(err)
		}
	})
}
