package pgkv_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
)

// writer goes on with its part of a ledger whatever happens, as a projection does: what came of a batch whose fate is not
// known, it reads.
type writer struct {
	store  kv.Store
	number int

	mu           sync.Mutex
	acknowledged int
	outages      int
}

func (w *writer) run(ctx context.Context) error {
	round := 0
	for ctx.Err() == nil {
		err := kvtest.WriteRound(w.store, w.number, round+1)
		if err == nil {
			round++
			w.mu.Lock()
			w.acknowledged = round
			w.mu.Unlock()
			continue
		}
		if !errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		w.mu.Lock()
		w.outages++
		w.mu.Unlock()
		if round, err = w.reached(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reached reads the writer's last round, once the store answers.
func (w *writer) reached(ctx context.Context) (int, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		round, err := w.tryReached()
		if err == nil || !errors.Is(err, kv.ErrUnavailable) || ctx.Err() != nil {
			return round, err
		}
		<-tick.C
	}
}

func (w *writer) tryReached() (int, error) {
	snap, err := w.store.Snapshot(context.Background(), kvtest.LedgerNamespace())
	if err != nil {
		return 0, err
	}
	defer snap.Close()
	fence, found, err := snap.Get(context.Background(), kvtest.LedgerFence(w.number))
	if err != nil || !found {
		return 0, err
	}
	return strconv.Atoi(string(fence))
}

func (w *writer) rounds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acknowledged
}

// work runs writers until each crash has happened and everybody went on afterwards, then verifies the ledger.
func work(t *testing.T, stores []kv.Store, crashes int, crash func()) {
	t.Helper()
	const perStore = 4
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var writers []*writer
	var writing sync.WaitGroup
	for i := range perStore * len(stores) {
		w := &writer{store: stores[i%len(stores)], number: i}
		writers = append(writers, w)
		writing.Go(func() {
			if err := w.run(ctx); err != nil {
				t.Errorf("writer %d: %v", i, err)
				stop()
			}
		})
	}
	progress := func() {
		t.Helper()
		var from []int
		for _, w := range writers {
			from = append(from, w.rounds())
		}
		eventually(t, "every writer goes on", func() bool {
			for i, w := range writers {
				if w.rounds() < from[i]+5 {
					return ctx.Err() != nil
				}
			}
			return true
		})
	}
	for range crashes {
		progress()
		crash()
	}
	progress()
	stop()
	writing.Wait()
	acknowledged, outages := []int{}, 0
	for _, w := range writers {
		acknowledged = append(acknowledged, w.acknowledged)
		outages += w.outages
	}
	reached := kvtest.VerifyLedger(t, stores[0], acknowledged)
	t.Logf("%d crashes, %d calls failed, rounds in the end: %v", crashes, outages, reached)
	if outages == 0 {
		t.Error("nobody noticed a crash: the test shows nothing")
	}
}

func TestKilledServerLosesNoAcknowledgedBatchAndTearsNone(t *testing.T) {
	t.Parallel()
	own := pgtest.New(t, pgtest.Options{})
	schema := newSchema()
	one, two := open(t, own.DSN(), schema), open(t, own.DSN(), schema)
	defer one.Close()
	defer two.Close()
	work(t, []kv.Store{one, two}, 6, func() {
		own.Kill()
		if err := own.Up(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStoppedServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	own := pgtest.New(t, pgtest.Options{Fast: true})
	store := open(t, own.DSN(), newSchema())
	defer store.Close()
	work(t, []kv.Store{store}, 2, func() {
		if err := errors.Join(own.Stop(), own.Up()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestConnectionsThatAreEndedGiveUnavailableAndNothingElse(t *testing.T) {
	t.Parallel()
	dsn, schema := server.Need(t).DSN(), newSchema()
	store := open(t, dsn+" application_name="+schema, schema)
	defer store.Close()
	beside := connect(t, dsn)
	ctx, stop := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	var mu sync.Mutex
	scans, lost := 0, 0
	for range 3 {
		reading.Go(func() {
			for ctx.Err() == nil {
				err := scanAll(store)
				mu.Lock()
				scans++
				if errors.Is(err, kv.ErrUnavailable) {
					lost++
				} else if err != nil {
					t.Errorf("scan: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	work(t, []kv.Store{store}, 40, func() {
		if _, err := beside.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", schema); err != nil {
			t.Fatal(err)
		}
	})
	stop()
	reading.Wait()
	t.Logf("of %d scans %d were lost", scans, lost)
	if lost == 0 {
		t.Error("no scan was lost: the test shows nothing")
	}
}

func scanAll(store kv.Store) error {
	snap, err := store.Snapshot(context.Background(), kvtest.LedgerNamespace())
	if err != nil {
		return err
	}
	defer snap.Close()
	if _, err = kv.Hash(context.Background(), snap); err != nil {
		if _, _, again := snap.Get(context.Background(), []byte("a")); !errors.Is(again, kv.ErrUnavailable) {
			return errors.Join(errors.New("a lost snapshot answers"), again)
		}
	}
	return err
}

// A server that holds a call up does not hold its caller for ever, and who waits for another call is told at once.
func TestAServerThatStallsHoldsNobodyForLong(t *testing.T) {
	t.Parallel()
	dsn, schema := server.Need(t).DSN(), newSchema()
	store := open(t, dsn, schema)
	defer store.Close()
	ns := kv.Namespace{Slice: "timeline"}
	set(t, store, ns, "a", "1")
	beside := connect(t, dsn)
	run := func(sql string) {
		t.Helper()
		if _, err := beside.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run("BEGIN")
	run("LOCK TABLE " + schema + ".keys_1 IN ACCESS EXCLUSIVE MODE")
	call := func(do func(ctx context.Context) error) chan error {
		result := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		go func() {
			defer cancel()
			result <- do(ctx)
		}()
		return result
	}
	applied := call(func(ctx context.Context) error {
		b := &kv.Batch{}
		b.Set([]byte("a"), []byte("2"))
		return store.Apply(ctx, ns, b)
	})
	pinned := call(func(ctx context.Context) error {
		_, err := store.Snapshot(ctx, ns)
		return err
	})
	if err := <-applied; !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("what came of the batch is not known, and it says %v", err)
	}
	if err := <-pinned; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the snapshot: %v", err)
	}
	run("ROLLBACK")
	set(t, store, ns, "b", "3")
	if got := get(t, store, ns, "b"); got != "3" {
		t.Errorf("afterwards: %q", got)
	}
}
