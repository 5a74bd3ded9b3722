package pebblekv_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

func TestKilledProcessLosesNoAcknowledgedBatchAndTearsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rounds := make([]int, 8)
	for _, acknowledgements := range []int{1, 300, 50, 1000, 120, 700} {
		child := start(t, "write", append([]string{dir}, words(rounds)...)...)
		for n := 0; ; n++ {
			line, more := child.line()
			if !more {
				break
			}
			var writer, round int
			if _, err := fmt.Sscan(line, &writer, &round); err != nil {
				t.Fatalf("the child printed %q: %v", line, err)
			}
			rounds[writer] = round
			if n == acknowledgements {
				if err := child.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.cmd.Wait(); err == nil || child.cmd.ProcessState.Exited() {
			t.Fatalf("the child ended by itself: %v", err)
		}
		store, err := pebblekv.Open(dir, pebblekv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rounds = kvtest.VerifyLedger(t, store, rounds)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("rounds in the end: %v", rounds)
}

func TestPowerLossLosesNoAcknowledgedBatchAndTearsNone(t *testing.T) {
	t.Parallel()
	const crashes, writers, roundsBetween = 10, 6, 40
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	disk := vfs.NewCrashableMem()
	rounds := make([]int, writers)
	for range crashes {
		store, err := pebblekv.OpenFS("store", pebblekv.Options{}, disk)
		if err != nil {
			t.Fatal(err)
		}
		rounds = kvtest.VerifyLedger(t, store, rounds)

		var mu sync.Mutex
		acknowledged := slices.Clone(rounds)
		crash := 1 + random.IntN(writers*roundsBetween) // after so many acknowledgements
		reached := make(chan struct{})
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for r := range roundsBetween {
					if err := kvtest.WriteRound(store, w, rounds[w]+r+1); err != nil {
						t.Errorf("writer %d: %v", w, err)
						return
					}
					mu.Lock()
					acknowledged[w]++
					if crash--; crash == 0 {
						close(reached)
					}
					mu.Unlock()
				}
			})
		}
		<-reached
		mu.Lock()
		before := slices.Clone(acknowledged)
		mu.Unlock()
		lost := disk.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: random.IntN(101),
			RNG:                 rand.New(rand.NewPCG(seed, random.Uint64())),
		})
		writing.Wait()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		disk, rounds = lost, before
	}
}
