package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

func large() []spec {
	return []spec{
		{"a value of a megabyte is kept", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			value := string(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
			s.set(pair{"a", value}, pair{"b", "small"})
			s.holds(pair{"a", value}, pair{"b", "small"})
		}},
		{"a batch of 100,000 writes is applied whole", func(t *testing.T, store kv.Store) {
			const keys = 100_000
			s := spaceOf(t, store)
			s.setKeys("before")
			fill := func(b *kv.Batch) {
				for i := range keys {
					b.Set(fmt.Appendf(nil, "%06d", (i*7919)%keys), fmt.Append(nil, i))
				}
			}
			wantError(t, "apply", s.try(func(b *kv.Batch) {
				fill(b)
				b.Require([]byte("before"), nil)
			}), kv.ErrConflict)
			s.holds(bracketed("before")...)
			s.apply(fill)
			d, err := kv.Hash(context.Background(), s.snapshot())
			if err != nil {
				t.Fatal(err)
			}
			if d.Keys != keys+1 {
				t.Fatalf("the namespace holds %d keys; want %d", d.Keys, keys+1)
			}
			s.apply(func(b *kv.Batch) { b.DeleteRange([]byte("000001"), []byte("099999")) })
			s.holds(pair{"000000", "0"}, pair{"099999", fmt.Sprint(indexOf(99_999, keys))}, pair{"before", "<before>"})
		}},
		{"a batch that is too large is refused", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			value := make([]byte, 1<<20)
			wantError(t, "apply", s.try(func(b *kv.Batch) {
				for i := range kv.MaxBatch/len(value) + 1 {
					b.Set(fmt.Append(nil, i), value)
				}
			}), kv.ErrInvalid)
			s.holds()
		}},
	}
}

// indexOf is the i for which (i*7919)%n is key.
func indexOf(key, n int) int {
	for i := range n {
		if (i*7919)%n == key {
			return i
		}
	}
	return -1
}
