package pgkv

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/skein-cx/skein/pkg/kv"
)

// writes are what a batch does, in an order that does not matter within each kind: ranges go first, then keys, then what
// is set. No key is in two of the lists, and each list ascends: so two batches never wait for one another.
type writes struct {
	lows, highs [][]byte // ranges that have an end
	from        []byte   // the keys from here on; nil where no range is open
	deletes     [][]byte
	keys        [][]byte
	values      [][]byte
}

// arrange finds out what the writes of a batch come to: the last write of a key counts, and a range takes what was written
// within it before.
func arrange(ops []kv.Op) *writes {
	w := &writes{}
	single := make([]int, 0, len(ops)) // the ops on one key, by key and then by time
	for i, op := range ops {
		switch {
		case op.Kind != kv.OpDeleteRange:
			single = append(single, i)
		case len(op.End) > 0:
			if bytes.Compare(op.Key, op.End) < 0 {
				w.lows, w.highs = append(w.lows, filled(op.Key)), append(w.highs, op.End)
			}
		case w.from == nil || bytes.Compare(op.Key, w.from) < 0:
			w.from = filled(op.Key)
		}
	}
	slices.SortFunc(single, func(a, b int) int {
		return cmp.Or(bytes.Compare(ops[a].Key, ops[b].Key), cmp.Compare(a, b))
	})
	last := single[:0]
	for i, op := range single {
		if i+1 == len(single) || !bytes.Equal(ops[op].Key, ops[single[i+1]].Key) {
			last = append(last, op)
		}
	}
	taken := takenByRanges(ops, last)
	for i, n := range last {
		switch op := ops[n]; {
		case taken[i]:
		case op.Kind == kv.OpDelete:
			w.deletes = append(w.deletes, filled(op.Key))
		default:
			w.keys, w.values = append(w.keys, filled(op.Key)), append(w.values, filled(op.Value))
		}
	}
	return w
}

// takenByRanges tells which of the ops, which ascend by key, lie in a range that was deleted after them.
func takenByRanges(ops []kv.Op, last []int) []bool {
	taken := make([]bool, len(last))
	place := func(key []byte) int {
		i, _ := slices.BinarySearchFunc(last, key, func(op int, key []byte) int { return bytes.Compare(ops[op].Key, key) })
		return i
	}
	for n, op := range ops {
		if op.Kind != kv.OpDeleteRange {
			continue
		}
		end := len(last)
		if len(op.End) > 0 {
			end = place(op.End)
		}
		for i := place(op.Key); i < end; i++ {
			taken[i] = taken[i] || last[i] < n
		}
	}
	return taken
}

// deletesAny reports whether anything goes.
func (w *writes) deletesAny() bool { return len(w.lows) > 0 || w.from != nil || len(w.deletes) > 0 }

// filled is never nil, which would be no key or value at all to PostgreSQL.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
