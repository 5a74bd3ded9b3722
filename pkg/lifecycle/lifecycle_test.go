package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/lifecycle"
)

// diary records what happens to parts.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) part(name string, needs ...string) lifecycle.Part {
	return lifecycle.Part{
		Name: name, Needs: needs,
		Start: func(context.Context) error { d.write("start " + name); return nil },
		Run:   func(ctx context.Context) error { <-ctx.Done(); d.write("end " + name); return nil },
		Stop:  func(context.Context) error { d.write("stop " + name); return nil },
	}
}

func options(ready func()) lifecycle.Options {
	return lifecycle.Options{Logger: slog.New(slog.DiscardHandler), StopTimeout: time.Minute, Ready: ready}
}

func TestPartsStartAfterWhatTheyNeedAndStopBeforeIt(t *testing.T) {
	d := &diary{}
	parts, err := lifecycle.Resolve([]lifecycle.Part{
		d.part("store"), d.part("log"), d.part("other"), d.part("api", "log", "store"),
	}, "api")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := lifecycle.Run(ctx, parts, options(cancel)); err != nil {
		t.Fatal(err)
	}
	want := "start store, start log, start api, end api, stop api, end log, stop log, end store, stop store"
	if got := strings.Join(d.lines, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAPartThatFailsToStartStopsThoseBeforeItOnly(t *testing.T) {
	d := &diary{}
	broken := d.part("broken", "store")
	broken.Start = func(context.Context) error { return errors.New("port in use") }
	parts, err := lifecycle.Resolve([]lifecycle.Part{d.part("store"), broken}, "broken")
	if err != nil {
		t.Fatal(err)
	}
	err = lifecycle.Run(t.Context(), parts, options(func() { t.Error("ready although a part failed") }))
	if err == nil || !strings.Contains(err.Error(), "start broken: port in use") {
		t.Errorf("got error %v", err)
	}
	if want := []string{"start store", "stop store"}; !slices.Equal(d.lines, want) {
		t.Errorf("got %v, want %v", d.lines, want)
	}
}

func TestAPartThatFailsWhileRunningStopsAll(t *testing.T) {
	for name, outcome := range map[string]error{"error": errors.New("lost the disk"), "early end": nil} {
		t.Run(name, func(t *testing.T) {
			d := &diary{}
			weak := d.part("weak", "store")
			weak.Run = func(context.Context) error { return outcome }
			parts, err := lifecycle.Resolve([]lifecycle.Part{d.part("store"), weak}, "weak")
			if err != nil {
				t.Fatal(err)
			}
			err = lifecycle.Run(t.Context(), parts, options(nil))
			if err == nil || !strings.Contains(err.Error(), "weak") || !errors.Is(err, outcome) && outcome != nil {
				t.Errorf("got error %v", err)
			}
			if last := d.lines[len(d.lines)-1]; last != "stop store" {
				t.Errorf("the last thing was %q", last)
			}
		})
	}
}

func TestAPartThatDoesNotEndIsNamed(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	stuck := lifecycle.Part{Name: "stuck", Run: func(context.Context) error { <-release; return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	o := options(cancel)
	o.StopTimeout = time.Nanosecond
	err := lifecycle.Run(ctx, []lifecycle.Part{stuck}, o)
	if err == nil || !strings.Contains(err.Error(), "stop stuck: it did not end in time") {
		t.Errorf("got error %v", err)
	}
}

func TestResolveRefusesUnknownPartsAndThoseBeforeWhatTheyNeed(t *testing.T) {
	parts := []lifecycle.Part{{Name: "a", Needs: []string{"b"}}, {Name: "b", Needs: []string{"a"}}}
	if _, err := lifecycle.Resolve(parts, "c"); err == nil || !strings.Contains(err.Error(), `no part "c"`) {
		t.Errorf("unknown part: %v", err)
	}
	if _, err := lifecycle.Resolve(parts, "a"); err == nil || !strings.Contains(err.Error(), `"a" needs "b"`) {
		t.Errorf("a part before one that it needs: %v", err)
	}
}
