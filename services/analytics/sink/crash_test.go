package sink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// fault makes the n-th call of a process fail, and with crash every later one. A call that fails may have been done.
type fault struct {
	at          int
	done, crash bool

	mu  sync.Mutex
	n   int
	hit chan struct{} // closed when the n-th call was made
}

func (f *fault) call(do func() error, failure error) error { return f.make(do, failure, f.done) }

// read makes a call that changes nothing, so that it is all the same whether it was done.
func (f *fault) read(do func() error, failure error) error { return f.make(do, failure, false) }

func (f *fault) make(do func() error, failure error, done bool) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	switch {
	case n == f.at:
		defer close(f.hit)
		if done {
			if err := do(); err != nil {
				return err
			}
		}
		return failure
	case n > f.at && f.crash:
		return failure
	}
	return do()
}

func (f *fault) struck() bool {
	select {
	case <-f.hit:
		return true
	default:
		return false
	}
}

var (
	errStore = fmt.Errorf("%w, says the test", kv.ErrUnavailable)
	errLog   = fmt.Errorf("%w, says the test", eventlog.ErrUnavailable)
	errHouse = fmt.Errorf("%w, says the test", warehouse.ErrUnavailable)
)

type faultyStore struct {
	kv.Store
	*fault
}

func (s faultyStore) Snapshot(ctx context.Context, ns kv.Namespace) (snap kv.Snapshot, err error) {
	err = s.read(func() error { snap, err = s.Store.Snapshot(ctx, ns); return err }, errStore)
	return snap, err
}

func (s faultyStore) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	return s.call(func() error { return s.Store.Apply(ctx, ns, b) }, errStore)
}

func (s faultyStore) Drop(ctx context.Context, ns kv.Namespace) error {
	return s.call(func() error { return s.Store.Drop(ctx, ns) }, errStore)
}

type faultyLog struct {
	eventlog.Log
	*fault
}

func (l faultyLog) Open(ctx context.Context, topic string, partition int32, offset int64) (r eventlog.Reader, err error) {
	err = l.read(func() error { r, err = l.Log.Open(ctx, topic, partition, offset); return err }, errLog)
	if err != nil {
		return nil, err
	}
	return faultyReader{r, l.fault}, nil
}

type faultyReader struct {
	eventlog.Reader
	*fault
}

func (r faultyReader) Read(ctx context.Context, limit int) (records []eventlog.Record, err error) {
	err = r.read(func() error { records, err = r.Reader.Read(ctx, limit); return err }, errLog)
	return records, err
}

type faultyHouse struct {
	sink.Warehouse
	*fault
}

func (h faultyHouse) Insert(ctx context.Context, token string, rows warehouse.Rows) error {
	return h.call(func() error { return h.Warehouse.Insert(ctx, token, rows) }, errHouse)
}

func (h faultyHouse) Build(ctx context.Context) (database string, err error) {
	err = h.call(func() error { database, err = h.Warehouse.Build(ctx); return err }, errHouse)
	return database, err
}

func (h faultyHouse) Switch(ctx context.Context, built map[string]string) error {
	return h.call(func() error { return h.Warehouse.Switch(ctx, built) }, errHouse)
}

func (h faultyHouse) Discard(ctx context.Context) error {
	return h.call(func() error { return h.Warehouse.Discard(ctx) }, errHouse)
}

// faults runs a sink whose n-th call of store, log or ClickHouse fails, for every n from first on, or some of them.
func faults(t *testing.T, first, step int, prepare func(w *world), drive func(ctx context.Context, s *sink.Sink) error, done, crash bool) {
	t.Helper()
	for n, last := first, false; !last && !t.Failed(); n += step {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			f := &fault{at: n, done: done, crash: crash, hit: make(chan struct{})}
			cfg := w.config()
			cfg.LookEvery = 100 * time.Millisecond
			cfg.Store, cfg.Log, cfg.Warehouse = faultyStore{w.store, f}, faultyLog{w.log, f}, faultyHouse{w.shelf, f}
			if !testing.Verbose() {
				cfg.Logger = nil
			}
			ctx, cancel := context.WithCancel(t.Context())
			s, stop := w.start(cfg)
			driven := make(chan struct{})
			go func() {
				defer close(driven)
				if drive != nil {
					_ = drive(ctx, s) // where it fails, it is driven again
				}
			}()
			over := func() bool {
				select {
				case <-driven:
					return w.contained()
				default:
					return false
				}
			}
			w.until("it dies, or all is contained", func() bool { return crash && f.struck() || over() })
			err := stop()
			cancel()
			<-driven
			if err != nil {
				t.Fatalf("call %d: %v", n, err)
			}
			s, stop = w.start(w.config())
			if drive != nil {
				if err := drive(t.Context(), s); err != nil {
					t.Error(err)
				}
			}
			w.until("all is contained", w.contained)
			if err := stop(); err != nil {
				t.Error(err)
			}
			w.check()
			if last = !f.struck(); last {
				t.Logf("a process makes less than %d calls", n)
			}
			if t.Failed() {
				t.Errorf("at call %d", n)
			}
		})
	}
}

func TestWhereverItFailsOrDiesEachEventIsWrittenOnce(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("crash=%v, done=%v", crash, done), func(t *testing.T) {
				t.Parallel()
				faults(t, 1, 1, func(w *world) { w.story(0, 20) }, nil, done, crash)
			})
		}
	}
}

func TestWhereverARebuildFailsOrDiesTheNewTablesHoldEachEventOnce(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("crash=%v, done=%v", crash, done), func(t *testing.T) {
				t.Parallel()
				faults(t, 1+rand.IntN(9), 9, func(w *world) {
					w.story(0, 20)
					w.run(w.config())
					w.story(15, 30)
				}, func(ctx context.Context, s *sink.Sink) error { return s.Rebuild(ctx, nil) }, done, crash)
			})
		}
	}
}
