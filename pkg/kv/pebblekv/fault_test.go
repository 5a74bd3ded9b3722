package pebblekv_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// faults is a disk that can begin to fail.
type faults struct {
	disk   *vfs.MemFS
	strike atomic.Pointer[func(errorfs.Op) error]
}

func newFaults() *faults { return &faults{disk: vfs.NewCrashableMem()} }

func (f *faults) fs() vfs.FS {
	return errorfs.Wrap(f.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strike := f.strike.Load(); strike != nil {
			return (*strike)(op)
		}
		return nil
	}))
}

// begin makes operations fail.
func (f *faults) begin(strike func(errorfs.Op) error) { f.strike.Store(&strike) }

// restart is the disk as the next process finds it.
func (f *faults) restart() vfs.FS { return f.disk.CrashClone(vfs.CrashCloneCfg{}) }

// full is what a full disk answers.
func full(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate, errorfs.OpMkdirAll:
		return syscall.ENOSPC
	default:
		return nil
	}
}

func TestFullDiskEndsEveryCallAndLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	const writers = 6
	f := newFaults()
	fatal := make(chan error, 10)
	var log logBuffer
	store, err := pebblekv.OpenFS("store", pebblekv.Options{
		OnFatal: func(err error) { fatal <- err },
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	}, f.fs())
	if err != nil {
		t.Fatal(err)
	}
	snap, err := store.Snapshot(context.Background(), kvtest.LedgerNamespace())
	if err != nil {
		t.Fatal(err)
	}
	it, err := snap.Scan(context.Background(), kv.Range{})
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := make([]int, writers)
	var total atomic.Int64
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for {
				err := kvtest.WriteRound(store, w, acknowledged[w]+1)
				if err != nil {
					if !errors.Is(err, kv.ErrFull) {
						t.Errorf("writer %d: %v; want ErrFull", w, err)
					}
					return
				}
				acknowledged[w]++
				if total.Add(1) == 200 {
					f.begin(full)
				}
			}
		})
	}
	writing.Wait()

	told := <-fatal
	if !errors.Is(told, kv.ErrFull) {
		t.Errorf("OnFatal got %v; want ErrFull", told)
	}
	ctx := context.Background()
	_, _, getErr := snap.Get(ctx, []byte("a"))
	_, snapErr := store.Snapshot(ctx, kvtest.LedgerNamespace())
	_, listErr := store.Namespaces(ctx)
	for call, err := range map[string]error{
		"get": getErr, "snapshot": snapErr, "namespaces": listErr, "drop": store.Drop(ctx, kvtest.LedgerNamespace()),
		"close an iterator": it.Close(), "close a snapshot": snap.Close(), "close": store.Close(),
	} {
		if !errors.Is(err, kv.ErrFull) {
			t.Errorf("%s after the failure: %v; want ErrFull", call, err)
		}
	}
	if store.Metrics() != (pebblekv.Metrics{}) {
		t.Error("metrics of a failed store")
	}
	if len(fatal) > 0 {
		t.Errorf("OnFatal was called again: %v", <-fatal)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log holds no error: %s", log.String())
	}

	again, err := pebblekv.OpenFS("store", pebblekv.Options{}, f.restart())
	if err != nil {
		t.Fatal(err)
	}
	kvtest.VerifyLedger(t, again, acknowledged)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDiskThatFillsUpInTheBackgroundIsFatal(t *testing.T) {
	t.Parallel()
	f := newFaults()
	fatal := make(chan error, 1)
	store, err := pebblekv.OpenFS("store", pebblekv.Options{OnFatal: func(err error) { fatal <- err }}, f.fs())
	if err != nil {
		t.Fatal(err)
	}
	if err := kvtest.WriteRound(store, 0, 1); err != nil {
		t.Fatal(err)
	}
	f.begin(func(op errorfs.Op) error { // the log fits, a table does not
		if strings.HasSuffix(op.Path, ".sst") {
			return full(op)
		}
		return nil
	})
	pebblekv.Flush(store)
	acknowledged := 1
	for err == nil {
		if err = kvtest.WriteRound(store, 0, acknowledged+1); err == nil {
			acknowledged++
		}
	}
	if !errors.Is(err, kv.ErrFull) || !errors.Is(<-fatal, kv.ErrFull) || !errors.Is(store.Close(), kv.ErrFull) {
		t.Fatalf("got %v; want ErrFull", err)
	}
	again, err := pebblekv.OpenFS("store", pebblekv.Options{}, f.restart())
	if err != nil {
		t.Fatal(err)
	}
	kvtest.VerifyLedger(t, again, []int{acknowledged})
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenDiskEndsTheCallsThatWait(t *testing.T) {
	t.Parallel()
	for _, file := range []string{".log", "MANIFEST"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f := newFaults()
			fatal := make(chan error, 1)
			store, err := pebblekv.OpenFS("store", pebblekv.Options{OnFatal: func(err error) { fatal <- err }}, f.fs())
			if err != nil {
				t.Fatal(err)
			}
			acknowledged := 0
			f.begin(func(op errorfs.Op) error {
				if strings.Contains(op.Path, file) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return syscall.EIO
				}
				return nil
			})
			pebblekv.Flush(store)
			for err == nil {
				if err = kvtest.WriteRound(store, 0, acknowledged+1); err == nil {
					acknowledged++
				}
			}
			if errors.Is(err, kv.ErrFull) || !strings.Contains(err.Error(), "can no longer be written") {
				t.Errorf("the write gave %v", err)
			}
			if told := <-fatal; told.Error() != err.Error() {
				t.Errorf("OnFatal got %v; want %v", told, err)
			}
			if closed := store.Close(); closed == nil || closed.Error() != err.Error() {
				t.Errorf("Close gave %v; want %v", closed, err)
			}
			again, err := pebblekv.OpenFS("store", pebblekv.Options{}, f.restart())
			if err != nil {
				t.Fatal(err)
			}
			kvtest.VerifyLedger(t, again, []int{acknowledged})
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestOpeningOnAFullDiskSaysSoWhereverItHappens(t *testing.T) {
	t.Parallel()
	for allowed := int64(0); ; allowed++ {
		f := newFaults()
		var done atomic.Int64
		f.begin(func(op errorfs.Op) error {
			if err := full(op); err != nil && done.Add(1) > allowed {
				return err
			}
			return nil
		})
		store, err := pebblekv.OpenFS("store", pebblekv.Options{}, f.fs())
		if err == nil {
			t.Logf("it opens with %d writes", allowed)
			_ = store.Close() // the disk is about to be full
			return
		}
		if !errors.Is(err, kv.ErrFull) {
			t.Fatalf("with %d writes allowed: %v; want ErrFull", allowed, err)
		}
	}
}

func TestUnreadableTableIsAnErrorNotACrash(t *testing.T) {
	t.Parallel()
	f := newFaults()
	store, err := pebblekv.OpenFS("store", pebblekv.Options{}, f.fs())
	if err != nil {
		t.Fatal(err)
	}
	for round := range 100 {
		if err := kvtest.WriteRound(store, 0, round+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := pebblekv.Compact(store); err != nil {
		t.Fatal(err)
	}
	snap, err := store.Snapshot(context.Background(), kvtest.LedgerNamespace())
	if err != nil {
		t.Fatal(err)
	}
	f.begin(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".sst") && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return syscall.EIO
		}
		return nil
	})
	_, _, getErr := snap.Get(context.Background(), kvtest.LedgerFence(0))
	_, hashErr := kv.Hash(context.Background(), snap)
	applyErr := kvtest.WriteRound(store, 0, 101)
	for call, err := range map[string]error{"get": getErr, "hash": hashErr, "apply": applyErr} {
		if err == nil || !strings.Contains(err.Error(), "pebblekv: ") {
			t.Errorf("%s gave %v", call, err)
		}
	}
	f.begin(func(errorfs.Op) error { return nil })
	if err := errors.Join(snap.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestBatchesThatRequireDifferentKeysAreWrittenSideBySide(t *testing.T) {
	t.Parallel()
	f := newFaults()
	store, err := pebblekv.OpenFS("store", pebblekv.Options{}, f.fs())
	if err != nil {
		t.Fatal(err)
	}
	syncing, release := make(chan struct{}, 100), make(chan struct{})
	f.begin(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			syncing <- struct{}{}
			<-release
		default:
		}
		return nil
	})
	const writers = 5
	results := make(chan error, writers+1)
	for w := range writers {
		go func() { results <- kvtest.WriteRound(store, w, 1) }()
	}
	<-syncing
	go func() { results <- kvtest.WriteRound(store, 0, 1) }() // waits for the one that requires the same key
	for w := 0; w < writers; {                                // all are in memory while the disk has not answered
		snap, err := store.Snapshot(context.Background(), kvtest.LedgerNamespace())
		if err != nil {
			t.Fatal(err)
		}
		_, found, err := snap.Get(context.Background(), kvtest.LedgerFence(w))
		if err := errors.Join(err, snap.Close()); err != nil {
			t.Fatal(err)
		}
		if found {
			w++
		}
	}
	if len(results) > 0 {
		t.Errorf("a batch was acknowledged before it was on the disk: %v", <-results)
	}
	close(release)
	var errs []error
	for range writers + 1 {
		if err := <-results; err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) != 1 || !errors.Is(errs[0], kv.ErrConflict) {
		t.Errorf("got %v; want one conflict", errs)
	}
	kvtest.VerifyLedger(t, store, slices.Repeat([]int{1}, writers))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// logBuffer is a log that many goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
