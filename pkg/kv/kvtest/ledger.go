package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

// A ledger is a load of which it can be told afterwards whether batches got lost, were torn or applied twice. Each writer
// applies one batch per round: it moves the writer's fence from the round before, writes the round's keys and removes
// those of an old round.
const (
	ledgerKeys = 10 // per round
	ledgerKept = 20 // rounds
)

// LedgerNamespace is where a ledger stands.
func LedgerNamespace() kv.Namespace { return kv.Namespace{Slice: "ledger", Generation: 7} }

// WriteRound applies a writer's next batch; rounds count from 1.
func WriteRound(store kv.Store, writer, round int) error {
	var b kv.Batch
	var before []byte
	if round > 1 {
		before = strconv.AppendInt(nil, int64(round-1), 10)
	}
	b.Require(LedgerFence(writer), before)
	b.Set(LedgerFence(writer), strconv.AppendInt(nil, int64(round), 10))
	for k := range ledgerKeys {
		b.Set(roundKey(writer, round, k), roundValue(writer, round, k))
	}
	if round > ledgerKept {
		old := kv.Prefix(roundKey(writer, round-ledgerKept, -1))
		b.DeleteRange(old.Start, old.End)
	}
	return store.Apply(context.Background(), LedgerNamespace(), &b)
}

// LedgerFence is the key that holds a writer's last round.
func LedgerFence(writer int) []byte { return fmt.Appendf(nil, "fence/%03d", writer) }

// roundKey is the k-th key of a round, or what all of them begin with where k is -1.
func roundKey(writer, round, k int) []byte {
	prefix := fmt.Appendf(nil, "keys/%03d/%08d/", writer, round)
	if k < 0 {
		return prefix
	}
	return fmt.Appendf(prefix, "%02d", k)
}

func roundValue(writer, round, k int) []byte {
	return fmt.Appendf(nil, "%0*d", 40+(round+k)%200, writer*1_000_000+round*100+k)
}

// VerifyLedger reads what the store holds of the writers and returns the last round of each. A writer's round must not be
// below the one in acknowledged.
func VerifyLedger(t testing.TB, store kv.Store, acknowledged []int) []int {
	t.Helper()
	ctx := context.Background()
	snap, err := store.Snapshot(ctx, LedgerNamespace())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	reached := make([]int, len(acknowledged))
	for w := range acknowledged {
		fence, found, err := snap.Get(ctx, LedgerFence(w))
		if err != nil {
			t.Fatal(err)
		}
		if found {
			if reached[w], err = strconv.Atoi(string(fence)); err != nil {
				t.Fatal(err)
			}
		}
		if reached[w] < acknowledged[w] {
			t.Fatalf("writer %d: round %d is there; %d was acknowledged", w, reached[w], acknowledged[w])
		}
		it, err := snap.Scan(ctx, kv.Prefix(fmt.Appendf(nil, "keys/%03d/", w)))
		if err != nil {
			t.Fatal(err)
		}
		for round := max(1, reached[w]-ledgerKept+1); round <= reached[w]; round++ {
			for k := range ledgerKeys {
				key, value := roundKey(w, round, k), roundValue(w, round, k)
				if !it.Next() || !bytes.Equal(it.Key(), key) || !bytes.Equal(it.Value(), value) {
					t.Fatalf("writer %d at round %d: got %q %q, error %v; want %q %q", w, reached[w], it.Key(), it.Value(), it.Err(), key, value)
				}
			}
		}
		if it.Next() {
			t.Fatalf("writer %d at round %d: %q was not whole", w, reached[w], it.Key())
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return reached
}
