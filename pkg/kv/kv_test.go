package kv_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
)

func TestPrefixRangeHoldsExactlyTheKeysThatBeginWithIt(t *testing.T) {
	t.Parallel()
	key := rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 0xfe, 0xff}), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		prefix, k := key.Draw(t, "prefix"), key.Draw(t, "key")
		r := kv.Prefix(prefix)
		inside := bytes.Compare(k, r.Start) >= 0 && (len(r.End) == 0 || bytes.Compare(k, r.End) < 0)
		if inside != bytes.HasPrefix(k, prefix) {
			t.Fatalf("prefix %q, key %q: inside %v", prefix, k, inside)
		}
	})
}

func TestDigestIsTheSameEverywhereAndEver(t *testing.T) {
	t.Parallel()
	store := memkv.New()
	defer func() { _ = store.Close() }()
	ns := kv.Namespace{Slice: "timeline"}
	var b kv.Batch
	b.Set([]byte("a"), []byte("1"))
	b.Set([]byte("bc"), nil)
	if err := store.Apply(context.Background(), ns, &b); err != nil {
		t.Fatal(err)
	}
	snap, err := store.Snapshot(context.Background(), ns)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	// printf '\0\0\0\0\0\0\0\001a\0\0\0\0\0\0\0\0011\0\0\0\0\0\0\0\002bc\0\0\0\0\0\0\0\0' | sha256sum
	const want = "sha256:77b8430865f5a10949e87e246f0e0b05a1d4ab263c415369eda4588dfd43c7a4 (2 keys, 4 bytes)"
	if d.String() != want {
		t.Fatalf("got %s; want %s", d, want)
	}
}

func TestBatchCountsWhatItHolds(t *testing.T) {
	t.Parallel()
	var b kv.Batch
	b.Set([]byte("key"), []byte("value"))
	b.Delete([]byte("key"))
	b.DeleteRange([]byte("a"), []byte("z"))
	b.Require([]byte("fence"), nil)
	if b.Len() != 3 || b.Size() != 13 || len(b.Ops()) != 3 || len(b.Requirements()) != 1 {
		t.Fatalf("%d writes of %d bytes, %d, %d", b.Len(), b.Size(), len(b.Ops()), len(b.Requirements()))
	}
	b.Set(make([]byte, kv.MaxKey+1), nil)
	if err := b.Validate(); !errors.Is(err, kv.ErrInvalid) {
		t.Fatalf("got %v; want ErrInvalid", err)
	}
	b.Reset()
	if b.Len() != 0 || b.Size() != 0 || len(b.Requirements()) != 0 || b.Validate() != nil {
		t.Fatal("Reset left something")
	}
}

func TestNamespacesAreOrderedBySliceThenGeneration(t *testing.T) {
	t.Parallel()
	ascending := []kv.Namespace{{Slice: "a", Generation: 2}, {Slice: "a", Generation: 10}, {Slice: "aa"}, {Slice: "b"}}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := a.Compare(b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s compared with %s gives %d", a, b, got)
			}
		}
	}
}
