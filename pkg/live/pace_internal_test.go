package live

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// Whatever comes, whenever: of each actor in each thread the same is let through once in Every, and the first and what comes later always.
func TestTheSameIsLetThroughOnceInAWhile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		now := time.Now()
		last := map[string]time.Time{}
		for range rapid.IntRange(1, 200).Draw(t, "signals") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*Every)).Draw(t, "later")))
			if rapid.Bool().Draw(t, "burst") {
				now = now.Add(-time.Duration(rapid.Int64Range(0, int64(Every/10)).Draw(t, "sooner"))) // as with concurrent callers
			}
			thread, actor := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "thread"), rapid.SampledFrom([]string{"mei", ""}).Draw(t, "actor")
			activity := rapid.SampledFrom([]livev1.Activity{livev1.Activity_ACTIVITY_TYPING, livev1.Activity_ACTIVITY_STOPPED}).Draw(t, "activity")
			s := &livev1.Signal{Tenant: "acme", ThreadId: thread, ActorKind: eventv1.ActorKind_ACTOR_KIND_BOT, ActorId: actor, Activity: activity}
			key := thread + actor + activity.String()
			before, known := last[key]
			want := !known || now.Sub(before) >= Every
			if got := p.allow(s, now); got != want {
				t.Fatalf("%s, %s after the last: %t", key, now.Sub(before), got)
			}
			if want {
				last[key] = now
			}
			if len(p.newer)+len(p.older) > 16 {
				t.Fatalf("%d are remembered", len(p.newer)+len(p.older))
			}
		}
	})
}

func TestWhatWasLetThroughIsForgotten(t *testing.T) {
	var p pace
	now := time.Now()
	for n := range 10_000 {
		p.allow(&livev1.Signal{ThreadId: time.Duration(n).String()}, now.Add(time.Duration(n)*Every/1000))
	}
	if n := len(p.newer) + len(p.older); n > 2001 {
		t.Errorf("%d are remembered", n)
	}
}
