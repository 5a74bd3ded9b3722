package alerts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/alerts"
)

const (
	tenant     = "acme"
	partitions = 2
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = 20 * time.Second
)

var namespace = kv.Namespace{Slice: alerts.Slice, Generation: 1}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a log, a store and a board.
type world struct {
	*floor
	log      *memlog.Log
	store    kv.Store
	compiler *event.Compiler
	host     alerts.Host
	progress *projection.Progress
	alerts   *alerts.Alerts
	letters  []*eventv1.DeadLetter
}

var keyring = sync.OnceValues(func() (*event.Keyring, error) { return event.NewKeyring(bytes.NewReader(make([]byte, 1<<10))) })

var compiler = sync.OnceValues(func() (*event.Compiler, error) {
	made, err := keyring()
	if err != nil {
		return nil, err
	}
	return event.NewCompiler(made)
})

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{floor: newFloor(), log: memlog.New(memlog.Config{}).Open(), store: memkv.New(), progress: &projection.Progress{}}
	must(t, w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicAlerts, Partitions: partitions}))
	made, err := keyring()
	must(t, err)
	w.compiler, err = compiler()
	must(t, err)
	blobs, err := blob.Open(t.Context(), "mem://")
	must(t, err)
	t.Cleanup(func() { _ = blobs.Close() })
	w.host = intake.New(intake.Config{Compiler: w.compiler, Keyring: made, Log: w.log, Blobs: blobs})
	w.alerts = alerts.NewAlerts(w.store, partitions, w.progress)
	return w
}

// Publish keeps dead letters.
func (w *world) Publish(_ context.Context, letters ...*eventv1.DeadLetter) error {
	w.letters = append(w.letters, letters...)
	return nil
}

func (w *world) runner(t testing.TB, store kv.Store, batch int) *projection.Runner {
	t.Helper()
	r, err := projection.NewRunner(t.Context(), projection.Config{
		Log: w.log, Store: store, Namespace: namespace, Topic: event.TopicAlerts, Fold: alerts.NewFold(partitions), MaxBatch: batch, DeadLetters: w, Progress: w.progress,
	})
	must(t, err)
	return r
}

// fold folds what there is.
func (w *world) fold(t testing.TB, store kv.Store, batch int) kv.Digest {
	t.Helper()
	r := w.runner(t, store, batch)
	defer r.Close()
	must(t, r.RunToEnd(t.Context()))
	snap, err := store.Snapshot(t.Context(), namespace)
	must(t, err)
	defer snap.Close()
	digest, err := kv.Hash(t.Context(), snap)
	must(t, err)
	return digest
}

// run runs something until it is stopped.
func run(t *testing.T, work func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// watch runs a worker.
func (w *world) watch(t *testing.T, change func(*alerts.Config), rules ...alerts.Rule) (stop func()) {
	t.Helper()
	for i := range rules {
		rules[i].Tenant = tenant
	}
	made, err := alerts.NewRules(alerts.Settings{Alerts: rules})
	must(t, err)
	cfg := alerts.Config{Rules: made, Alerts: w.alerts, Board: w, Host: w.host, Log: w.log, Settle: 30 * time.Millisecond, Retry: 5 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	return run(t, alerts.NewWorker(cfg).Run)
}

// until waits for something to be so.
func (w *world) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not come about; told: %v", what, w.told(t))
		case <-w.progress.Changed():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// active are the subjects of what is raised.
func (w *world) active(t *testing.T) string {
	t.Helper()
	all, err := w.alerts.Active(t.Context(), tenant)
	must(t, err)
	var list []string
	for _, a := range all {
		list = append(list, a.GetRaised().GetRule()+" "+a.GetRaised().GetQueue()+a.GetRaised().GetAgent())
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// events are those of the log, each id once.
func (w *world) events(t *testing.T) []*eventv1.Event {
	t.Helper()
	var all []*eventv1.Event
	seen := map[string]bool{}
	for p := range int32(partitions) {
		first, next, err := w.log.Bounds(t.Context(), event.TopicAlerts, p)
		must(t, err)
		if first == next {
			continue
		}
		reader, err := w.log.Open(t.Context(), event.TopicAlerts, p, first)
		must(t, err)
		for at := first; at < next; {
			records, err := reader.Read(t.Context(), 100)
			must(t, err)
			for _, r := range records {
				at = r.Offset + 1
				e, err := event.Decode(r.Value)
				must(t, err)
				if !seen[e.GetId()] {
					seen[e.GetId()] = true
					all = append(all, proto.CloneOf(e))
				}
			}
		}
		reader.Close()
	}
	return all
}

func (w *world) told(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, e := range w.events(t) {
		list = append(list, strings.TrimPrefix(e.GetType(), "alert.")+" "+e.GetQueue())
	}
	return list
}

// floor is a board of queues that a test moves.
type floor struct {
	mu      sync.Mutex
	queues  map[string]*boardv1.QueueRow
	changed chan struct{}
	broken  error
}

func newFloor() *floor {
	return &floor{queues: map[string]*boardv1.QueueRow{}, changed: make(chan struct{})}
}

func (f *floor) show(q *boardv1.QueueRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[q.GetQueue()] = q
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *floor) breaks(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = err
	close(f.changed)
	f.changed = make(chan struct{})
}

// Follow tells the board as it is, whenever it changes.
func (f *floor) Follow(ctx context.Context, of string, yield func(alerts.BoardNews) error) error {
	for first := true; ; first = false {
		f.mu.Lock()
		rows, changed, broken := &boardv1.Rows{}, f.changed, f.broken
		if of == tenant {
			for _, q := range f.queues {
				rows.Queues = append(rows.Queues, proto.CloneOf(q))
			}
		}
		f.mu.Unlock()
		if broken != nil {
			return broken
		}
		if err := yield(alerts.BoardNews{Reset: first, Complete: first, Rows: rows}); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// line is a host that can be cut off, and can break while it answers.
type line struct {
	alerts.Host
	mu     sync.Mutex
	err    error
	after  bool // the error comes when all is durable
	called int
}

var errCut = errors.New("cut off")

func (l *line) fail(err error, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.after = err, after
}

func (l *line) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.called
}

func (l *line) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	l.mu.Lock()
	err, after := l.err, l.after
	l.called++
	l.mu.Unlock()
	if err != nil && !after {
		return nil, err
	}
	acks, submitted := l.Host.Submit(ctx, tenant, submissions...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, submitted)
	}
	return acks, submitted
}

func (w *world) reads() *alerts.Alerts { return alerts.NewAlerts(w.store, partitions, nil) }
