package projection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

// passes follows a fixture, and keeps in words what it saw.
type passes struct {
	*projection.Follower
	t    *testing.T
	seen []string
	fail error
}

func (f *fixture) follow(t *testing.T) *passes {
	t.Helper()
	return &passes{Follower: &projection.Follower{Store: f.store, Slice: namespace.Slice, Topic: topic, Partitions: 1}, t: t}
}

func (p *passes) pass(ctx context.Context, pass projection.Pass) error {
	if p.fail != nil {
		return p.fail
	}
	applied, err := projection.Applied(ctx, pass, topic, 1)
	if err != nil {
		return err
	}
	if applied[0] != pass.Until[0] {
		p.t.Errorf("a pass until %v sees what was applied until %v", pass.Until, applied)
	}
	p.seen = append(p.seen, fmt.Sprintf("%s %d-%d reset %t", pass.Namespace, pass.From[0], pass.Until[0], pass.Reset))
	return nil
}

// once looks once, and checks what is seen of it.
func (p *passes) once(want ...string) {
	p.t.Helper()
	p.seen = nil
	if err := p.Once(p.t.Context(), p.pass); !errors.Is(err, p.fail) {
		p.t.Fatal(err)
	}
	if fmt.Sprint(p.seen) != fmt.Sprint(want) {
		p.t.Errorf("saw %q, want %q", p.seen, want)
	}
}

// apply appends records and folds them.
func (f *fixture) apply(t *testing.T, values ...string) {
	t.Helper()
	for _, v := range values {
		f.append(t, "a", v)
	}
	r := f.runner(t, nil)
	defer r.Close()
	if err := r.RunToEnd(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAFollowerSeesWhatIsAppliedOnceAndInOrder(t *testing.T) {
	f := newFixture(t, 1)
	p := f.follow(t)
	p.once("sums/1 0-0 reset true")
	p.once()
	f.apply(t, "1", "22")
	p.once("sums/1 0-2 reset false")
	p.once()
	f.apply(t, "333")
	p.once("sums/1 2-3 reset false")
}

func TestAPassThatFailsComesAgainWithWhatWasAppliedSince(t *testing.T) {
	f := newFixture(t, 1)
	p := f.follow(t)
	p.fail = errors.New("not now")
	p.once()
	p.fail = nil
	p.once("sums/1 0-0 reset true")
	f.apply(t, "1")
	p.fail = errors.New("not now")
	p.once()
	f.apply(t, "22")
	p.fail = nil
	p.once("sums/1 0-2 reset false")
}

func TestAFollowerBeginsAnewWhereLessWasAppliedThanItSaw(t *testing.T) {
	f := newFixture(t, 1)
	f.apply(t, "1", "22")
	p := f.follow(t)
	p.once("sums/1 2-2 reset true")
	if err := f.store.Drop(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	p.once("sums/1 0-0 reset true")
	f.apply(t)
	p.once("sums/1 0-2 reset false")
}

func TestAFollowerBeginsAnewWithAnotherGeneration(t *testing.T) {
	f := newFixture(t, 1)
	f.apply(t, "1", "22")
	p := f.follow(t)
	p.once("sums/1 2-2 reset true")
	m, err := projection.NewManager(t.Context(), projection.Config{
		Log: f.log, Store: f.store, Namespace: kv.Namespace{Slice: namespace.Slice}, Topic: topic, Fold: sums{},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	err = m.Rebuild(t.Context(), nil)
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	p.once("sums/2 2-2 reset true")
	p.once()
}

func TestAFollowerRunsUntilItIsStoppedAndIsToldOfWhatIsApplied(t *testing.T) {
	f := newFixture(t, 1)
	progress := &projection.Progress{}
	p := f.follow(t)
	p.Progress = progress
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	until := make(chan int64, 100)
	failed := false
	ended := make(chan error, 1)
	go func() {
		ended <- p.Run(ctx, func(_ context.Context, pass projection.Pass) error {
			if pass.Until[0] == 1 && !failed {
				failed = true
				return errors.New("not now")
			}
			until <- pass.Until[0]
			return nil
		})
	}()
	await := func(want int64) {
		t.Helper()
		for {
			select {
			case got := <-until:
				if got == want {
					return
				}
			case <-time.After(time.Minute):
				t.Fatalf("nothing of offset %d", want)
			}
		}
	}
	await(0)
	waits := progress.Changed() // one who waits for what another process applies
	f.apply(t, "1")
	await(1)
	select {
	case <-waits:
	case <-time.After(time.Minute):
		t.Fatal("who waits was not told")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !failed {
		t.Error("no pass failed")
	}
}
