package projection_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
)

// groups is a consumer group in memory. Like Kafka's, it may hand a partition to a new owner while the old one still believes
// in its claim.
type groups struct {
	partitions int

	mu      sync.Mutex
	members []*member
	told    map[int32]int64 // how far each partition is, as the group was told
}

type member struct {
	own    func(context.Context, eventlog.Claim)
	ctx    context.Context
	claims sync.WaitGroup
	end    context.CancelFunc // of the claims of this generation
}

func (g *groups) Join(ctx context.Context, _, _ string, own func(context.Context, eventlog.Claim)) error {
	m := &member{own: own, ctx: context.WithoutCancel(ctx)}
	g.mu.Lock()
	g.members = append(g.members, m)
	g.share()
	g.mu.Unlock()
	<-ctx.Done()
	g.mu.Lock()
	for i, other := range g.members {
		if other == m {
			g.members = append(g.members[:i], g.members[i+1:]...)
			break
		}
	}
	g.share()
	m.end()
	g.mu.Unlock()
	m.claims.Wait()
	return nil
}

// share hands all partitions out anew. Old claims end a moment later, which nobody waits for.
func (g *groups) share() {
	for i, m := range g.members {
		if m.end != nil {
			time.AfterFunc(2*time.Millisecond, m.end)
		}
		var ctx context.Context
		ctx, m.end = context.WithCancel(m.ctx)
		for p := i; p < g.partitions; p += len(g.members) {
			m.claims.Go(func() {
				m.own(ctx, eventlog.Claim{Partition: int32(p), Next: -1, Commit: func(next int64) error {
					g.mu.Lock()
					defer g.mu.Unlock()
					g.told[int32(p)] = next
					return nil
				}})
			})
		}
	}
}

func TestTheGroupIsToldOfTheLastRecordToo(t *testing.T) {
	f := newFixture(t, 1)
	g := &groups{partitions: 1, told: map[int32]int64{}}
	_, stop := f.managed(t, time.Hour, func(c *projection.Config) { c.Groups, c.Group = g, "fold" })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := range int64(3) {
		f.append(t, "k", fmt.Sprint(n))
		f.applied(t)
		for told := int64(0); told != n+1; {
			g.mu.Lock()
			told = g.told[0]
			g.mu.Unlock()
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("the group knows of %d records, and the partition is quiet", told)
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Processes come and go while records are appended and rebuilds are asked for; partitions have two owners for moments. The
// store is at last what one process without any trouble would have made of the log.
func TestProcessesThatShareAStoreMakeTheSameOfTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const partitions = 4
		f := newFixture(rt, partitions)
		g := &groups{partitions: partitions, told: map[int32]int64{}}
		share := func(c *projection.Config) { c.Groups, c.Group = g, "fold" }
		type process struct {
			manager *projection.Manager
			stop    func() error
		}
		var processes []process
		start := func() {
			m, stop := f.managed(rt, time.Hour, share)
			processes = append(processes, process{m, stop})
		}
		end := func(i int) {
			if err := processes[i].stop(); err != nil {
				rt.Fatal(err)
			}
			processes = append(processes[:i], processes[i+1:]...)
		}
		start()
		n, dead, rebuilds := 0, 0, 0
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				start()
			case 1:
				if len(processes) > 1 {
					end(rapid.IntRange(0, len(processes)-1).Draw(rt, "process"))
				}
			case 2:
				p := processes[rapid.IntRange(0, len(processes)-1).Draw(rt, "builder")]
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rapid.IntRange(0, 20).Draw(rt, "patience"))*time.Millisecond)
				if err := p.manager.Rebuild(ctx, nil); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					rt.Fatal(err)
				}
				cancel()
				rebuilds++
			default:
				for range rapid.IntRange(1, 20).Draw(rt, "records") {
					value := fmt.Sprint(n)
					if n%10 == 9 {
						value = "bad"
						dead++
					}
					f.append(rt, fmt.Sprint("k", n%7), value)
					n++
				}
			}
		}
		if rebuilds > 0 { // whatever was asked for is done
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := processes[0].manager.Rebuild(ctx, nil); err != nil {
				rt.Fatal(err)
			}
		}
		f.applied(rt)
		for len(processes) > 0 {
			end(0)
		}
		ns, err := projection.Serving(context.Background(), f.store, namespace.Slice)
		if err != nil {
			rt.Fatal(err)
		}
		straight := memkv.New()
		if err := f.runner(rt, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if got, want := f.generation(rt, ns.Generation), f.hash(rt, straight); got != want {
			rt.Errorf("%s is %v, a fold from the start is %v", ns, got, want)
		}
		sources := map[string]bool{}
		f.letters.mu.Lock()
		defer f.letters.mu.Unlock()
		for _, l := range f.letters.all {
			sources[l.GetSource().String()] = true
		}
		if len(sources) != dead {
			rt.Errorf("%d dead letters of %d", len(sources), dead)
		}
	})
}

// applied waits until the serving generation has folded all.
func (f *fixture) applied(t rapid.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := f.log.Partitions(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(n) {
		_, next, err := f.log.Bounds(ctx, topic, p)
		if err != nil {
			t.Fatal(err)
		}
		for next > 0 {
			ns, err := projection.Serving(ctx, f.store, namespace.Slice)
			if err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond) // another generation may serve meanwhile
			err = projection.Wait(short, f.store, ns, topic, []eventlog.Position{{Topic: topic, Partition: p, Offset: next - 1}}, nil)
			cancel()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
}

// A rebuild whose process ends is taken over by another one, and a generation that was sealed for it goes on.
func TestARebuildIsTakenOverFromAProcessThatEnded(t *testing.T) {
	f := newFixture(t, 2)
	for i := range 100 {
		f.append(t, fmt.Sprint("k", i%7), fmt.Sprint(i))
	}
	inner := f.store
	var left atomic.Int64 // writes until the store of the first process fails
	left.Store(math.MaxInt64)
	f.store = flaky{inner, func() (bool, bool) { return left.Add(-1) < 0, false }}
	g := &groups{partitions: 2, told: map[int32]int64{}}
	clock := time.Now()
	share := func(c *projection.Config) { c.Groups, c.Group, c.Now = g, "fold", func() time.Time { return clock } }
	first, stop := f.managed(t, time.Hour, share)
	f.applied(t)
	left.Store(10)
	if err := first.Rebuild(t.Context(), nil); !errors.Is(err, errFlaky) && !errors.Is(err, projection.ErrStopped) {
		t.Fatalf("the rebuild ended with %v", err)
	}
	_ = stop() // it may have failed for the same reason
	f.store = inner
	clock = clock.Add(time.Minute) // its lease is over
	second, stop := f.managed(t, time.Hour, share)
	for second.Status().Serving != 2 {
		if t.Context().Err() != nil {
			t.Fatal("nobody goes on with the rebuild")
		}
		<-time.After(time.Millisecond)
	}
	f.append(t, "k1", "after")
	f.applied(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	straight := memkv.New()
	if err := f.runner(t, func(c *projection.Config) { c.Store, c.DeadLetters = straight, nil }).RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := f.generation(t, 2), f.hash(t, straight); got != want {
		t.Errorf("the new generation is %v, a fold from the start is %v", got, want)
	}
}

var _ kv.Store = flaky{}
