package pebblekv_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	kvtest.Run(t, func(t *testing.T) kv.Store {
		t.Helper()
		return open(t, t.TempDir())
	})
}

// open opens a store; the test closes it.
func open(t *testing.T, dir string) *pebblekv.Store {
	t.Helper()
	store, err := pebblekv.Open(dir, pebblekv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func closeStore(t *testing.T, store kv.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func digest(t *testing.T, store kv.Store, ns kv.Namespace) kv.Digest {
	t.Helper()
	snap, err := store.Snapshot(context.Background(), ns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReopenedStoreHoldsWhatItHeld(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	rounds := []int{0, 0}
	dropped := kv.Namespace{Slice: "dropped"}
	before := digest(t, memkv.New(), kvtest.LedgerNamespace())
	for range 4 {
		store := open(t, dir)
		if now := digest(t, store, kvtest.LedgerNamespace()); now != before {
			t.Fatalf("the store holds %s; held %s", now, before)
		}
		for range 25 {
			for w := range rounds {
				rounds[w]++
				if err := kvtest.WriteRound(store, w, rounds[w]); err != nil {
					t.Fatal(err)
				}
			}
		}
		var b kv.Batch
		b.Set([]byte("key"), []byte("value"))
		if err := errors.Join(store.Apply(context.Background(), dropped, &b), store.Drop(context.Background(), dropped)); err != nil {
			t.Fatal(err)
		}
		kvtest.VerifyLedger(t, store, rounds)
		before = digest(t, store, kvtest.LedgerNamespace())
		closeStore(t, store)
	}
	store := open(t, dir)
	defer closeStore(t, store)
	list, err := store.Namespaces(context.Background())
	if err != nil || len(list) != 1 || list[0] != kvtest.LedgerNamespace() {
		t.Fatalf("the store lists %v, error %v", list, err)
	}
}

func TestEnginesAgreeOnTheStateHash(t *testing.T) {
	t.Parallel()
	disk, memory := open(t, t.TempDir()), memkv.New()
	defer closeStore(t, disk)
	defer closeStore(t, memory)
	for round := range 50 {
		if err := errors.Join(kvtest.WriteRound(disk, 0, round+1), kvtest.WriteRound(memory, 0, round+1)); err != nil {
			t.Fatal(err)
		}
	}
	if d, m := digest(t, disk, kvtest.LedgerNamespace()), digest(t, memory, kvtest.LedgerNamespace()); d != m || d.Keys == 0 {
		t.Fatalf("on disk %s, in memory %s", d, m)
	}
}

func TestStoreThatIsOpenCannotBeOpenedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(dir, alias); err != nil {
		t.Fatal(err)
	}
	refused := func() {
		t.Helper()
		for _, name := range []string{dir, dir + "/.", alias} {
			_, err := pebblekv.Open(name, pebblekv.Options{})
			if !errors.Is(err, kv.ErrLocked) || !strings.Contains(err.Error(), dir) {
				t.Errorf("open %s: %v; want ErrLocked and the directory's name", name, err)
			}
		}
	}
	store := open(t, alias)
	refused()
	closeStore(t, store)

	child := start(t, "hold", dir)
	if line, _ := child.line(); line != "open" {
		t.Fatalf("the child printed %q", line)
	}
	refused()
	if err := errors.Join(child.stdin.Close(), child.cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	closeStore(t, open(t, dir))
}

func TestDirectoryThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pebblekv.Open(file, pebblekv.Options{})
	if err == nil || errors.Is(err, kv.ErrLocked) || !strings.Contains(err.Error(), file) {
		t.Fatalf("open a file as a directory: %v", err)
	}
}

func TestStoreOfSomebodyElseIsNotMistakenForOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := pebble.Open(dir, pebblekv.Tuned())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("key"), nil, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	store := open(t, dir)
	defer closeStore(t, store)
	if list, err := store.Namespaces(context.Background()); err == nil {
		t.Fatalf("the store lists %v", list)
	}
}

func TestErrorsOfPebbleStayInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	closeStore(t, open(t, dir))
	if err := os.WriteFile(filepath.Join(dir, "CURRENT"), []byte("MANIFEST-000001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		if err := os.WriteFile(m, []byte("no manifest"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = pebblekv.Open(dir, pebblekv.Options{})
	if err == nil || errors.Is(err, pebble.ErrCorruption) || !strings.HasPrefix(err.Error(), "pebblekv: open "+dir) {
		t.Fatalf("open a damaged store: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	closeStore(t, open(t, dir)) // the lock was given back
}

func TestMetricsShowWhatTheStoreTakes(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	for round := range 10 {
		if err := kvtest.WriteRound(store, 0, round+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := pebblekv.Compact(store); err != nil {
		t.Fatal(err)
	}
	m := store.Metrics()
	if m.DiskBytes == 0 || m.WALBytes == 0 || m.DiskBytes < m.WALBytes || m.ReadAmplification != 1 {
		t.Errorf("got %+v", m)
	}
	closeStore(t, store)
	if m := store.Metrics(); m != (pebblekv.Metrics{}) {
		t.Errorf("got %+v of a closed store", m)
	}
}

func TestReportsOfPebbleAreForDebugging(t *testing.T) {
	t.Parallel()
	var log logBuffer
	store, err := pebblekv.Open(t.TempDir(), pebblekv.Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := kvtest.WriteRound(store, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := pebblekv.Compact(store); err != nil {
		t.Fatal(err)
	}
	closeStore(t, store)
	for line := range strings.Lines(log.String()) {
		ofTheMachine := strings.Contains(line, "the disk is filling up") || strings.Contains(line, "the disk is slow")
		if !strings.Contains(line, "level=DEBUG") && !ofTheMachine {
			t.Errorf("at another level: %s", line)
		}
	}
	if !strings.Contains(log.String(), "flush") {
		t.Error("no flush was reported")
	}
}
