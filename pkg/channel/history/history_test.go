package history_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// diary is an archive of n remarks.
type diary struct {
	n       int
	yielded atomic.Int64
	deliver func(ctx context.Context, host channel.Host, i int) error // nil for a plain one
	wrong   map[int]bool
}

func (d *diary) Size() int64 { return int64(d.n) }

func (d *diary) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	from := 0
	if cursor != "" {
		var err error
		if from, err = strconv.Atoi(cursor); err != nil {
			return err
		}
	}
	for i := from; i < d.n; i++ {
		d.yielded.Add(1)
		item := history.Item{Cursor: strconv.Itoa(i + 1), Size: 1, Deliver: func(ctx context.Context, host channel.Host) ([]history.Fault, error) {
			if d.deliver != nil {
				if err := d.deliver(ctx, host, i); err != nil {
					return nil, err
				}
			}
			s := remark(i)
			if d.wrong[i] {
				s.Thread = ""
			}
			return history.Submit(ctx, host, "acme", []history.Named{{Name: fmt.Sprint("remark ", i), Submission: s}, {Name: "its echo", Submission: remark(i)}})
		}}
		if err := yield(item); err != nil {
			return err
		}
	}
	return nil
}

func remark(i int) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Provider: "diary", Inbox: "old", Thread: "d", NativeId: strconv.Itoa(i), Backfill: true,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "on day " + strconv.Itoa(i)}}},
	}
}

// held tells which remarks a host has.
func held(host *channeltest.Host) []int {
	var all []int
	for _, e := range host.Events() {
		i, err := strconv.Atoi(e.Content.GetNativeId())
		if err != nil {
			i = -1
		}
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

func TestEverythingIsTakenInOnceAndProgressTold(t *testing.T) {
	host, d := channeltest.NewHost(), &diary{n: 1000}
	var last history.Progress
	for range 2 { // again is the same
		got, err := history.Import(t.Context(), host, d, history.Options{Progress: func(p history.Progress) { last = p }})
		if err != nil || got.Done != 1000 || got.Size != 1000 || got.Events != 2000 || got.Faults != 0 || last != got {
			t.Fatalf("%+v, told %+v, %v", got, last, err)
		}
	}
	if got := held(host); len(got) != 1000 || len(host.Conflicts()) > 0 {
		t.Errorf("%d remarks, %d conflicts", len(got), len(host.Conflicts()))
	}
}

func TestWhatIsWrongIsToldAndTheRestTaken(t *testing.T) {
	host, d := channeltest.NewHost(), &diary{n: 50, wrong: map[int]bool{7: true, 30: true}}
	var faults []string
	got, err := history.Import(t.Context(), host, d, history.Options{Fault: func(f history.Fault) { faults = append(faults, f.Name+": "+f.Err.Error()) }})
	slices.Sort(faults)
	if err != nil || got.Faults != 2 || len(faults) != 2 || !strings.HasPrefix(faults[0], "remark 30: ") || !strings.Contains(faults[0], "thread") {
		t.Errorf("%+v %v %v", got, faults, err)
	}
	if len(held(host)) != 50 { // the echoes were right
		t.Error(held(host))
	}
}

// Whenever an import ends, all that is behind its cursor is durable, and the next one brings the rest.
func TestAnInterruptedImportGoesOn(t *testing.T) {
	for _, at := range []int{0, 1, 137, 499} {
		t.Run(fmt.Sprint("at ", at), func(t *testing.T) {
			host, cursors := channeltest.NewHost(), history.NewFile(filepath.Join(t.TempDir(), "imports", "state.json"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			d := &diary{n: 500, deliver: func(_ context.Context, _ channel.Host, i int) error {
				if i == at {
					cancel()
				}
				return nil
			}}
			o := history.Options{Cursors: cursors, Name: "diary"}
			got, err := history.Import(ctx, host, d, o)
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%+v, %v", got, err)
			}
			kept, err := cursors.Cursor(t.Context(), "diary")
			if err != nil {
				t.Fatal(err)
			}
			if kept != "" {
				_, n, _ := strings.Cut(kept, " ")
				if behind, err := strconv.Atoi(n); err != nil || int64(behind) != got.Done || !slices.Equal(held(host)[:behind], held(host)) && len(held(host)) < behind {
					t.Errorf("the cursor is %q, %d are held", kept, len(held(host)))
				}
			}
			rest := &diary{n: 500}
			if got, err = history.Import(t.Context(), host, rest, o); err != nil || got.Done != 500 {
				t.Fatalf("%+v, %v", got, err)
			}
			if len(held(host)) != 500 || rest.yielded.Load() > 500 {
				t.Errorf("%d are held", len(held(host)))
			}
			if kept, err = cursors.Cursor(t.Context(), "diary"); err != nil || kept != "" {
				t.Errorf("it is over, but %q is kept, %v", kept, err)
			}
		})
	}
}

func TestAHostThatIsAwayIsWaitedFor(t *testing.T) {
	host := channeltest.NewHost()
	var once sync.Once
	d := &diary{n: 20, deliver: func(context.Context, channel.Host, int) (err error) {
		once.Do(func() { err = fmt.Errorf("no broker: %w", channel.ErrRetry) })
		return err
	}}
	got, err := history.Import(t.Context(), host, d, history.Options{FirstRetry: time.Millisecond})
	if err != nil || len(held(host)) != 20 || got.Done != 20 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnArchiveThatCannotBeReadEndsTheImport(t *testing.T) {
	host, broken := channeltest.NewHost(), errors.New("the disk is broken")
	d := &diary{n: 20, deliver: func(_ context.Context, _ channel.Host, i int) error {
		if i == 10 {
			return broken
		}
		return nil
	}}
	if _, err := history.Import(t.Context(), host, d, history.Options{Workers: 1}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestCursorsInAFileAreMovedByOneOnly(t *testing.T) {
	f := history.NewFile(filepath.Join(t.TempDir(), "state.json"))
	for _, step := range []struct {
		was, is string
		err     error
	}{{"", "1", nil}, {"", "2", channel.ErrCursorMoved}, {"1", "2", nil}, {"2", "", nil}, {"", "1", nil}} {
		if err := f.MoveCursor(t.Context(), "a", step.was, step.is); !errors.Is(err, step.err) {
			t.Errorf("%q to %q: %v", step.was, step.is, err)
		}
	}
	if is, err := history.NewFile(filepath.Join(t.TempDir(), "none")).Cursor(t.Context(), "a"); is != "" || err != nil {
		t.Error(is, err)
	}
}
