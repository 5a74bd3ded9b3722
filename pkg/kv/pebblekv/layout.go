package pebblekv

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/skein-cx/skein/pkg/kv"
)

// space is where the keys of a namespace stand.
type space struct {
	prefix []byte
	end    []byte // the lowest key behind it
}

func spaceOf(ns kv.Namespace) space {
	prefix := append([]byte{byte(len(ns.Slice))}, ns.Slice...)
	prefix = binary.BigEndian.AppendUint32(prefix, ns.Generation)
	return space{prefix: prefix, end: kv.Prefix(prefix).End}
}

// parseSpace tells whose key this is.
func parseSpace(key []byte) (kv.Namespace, space, error) {
	if len(key) > 0 && len(key) >= 1+int(key[0])+4 {
		name, rest := key[1:1+key[0]], key[1+key[0]:]
		ns := kv.Namespace{Slice: string(name), Generation: binary.BigEndian.Uint32(rest)}
		if ns.Validate() == nil {
			return ns, spaceOf(ns), nil
		}
	}
	return kv.Namespace{}, space{}, fmt.Errorf("pebblekv: the key %q belongs to no namespace: this directory is not a store of Skein", key)
}

// key appends a key of the namespace as it is stored.
func (s space) key(buf, key []byte) []byte {
	return append(append(buf, s.prefix...), key...)
}

// bounds are a range as it is stored. None says that it holds nothing.
func (s space) bounds(start, end []byte) (lower, upper []byte, none bool) {
	lower, upper = s.prefix, s.end
	if len(start) > 0 {
		lower = s.key(nil, start)
	}
	if len(end) > 0 {
		upper = s.key(nil, end)
	}
	return lower, upper, len(end) > 0 && string(start) >= string(end)
}

// encodedSize is about what encode will need.
func encodedSize(s space, b *kv.Batch) int {
	const header, perOp = 12, 8
	return header + b.Size() + b.Len()*(len(s.prefix)+perOp)
}

// encode copies the writes into a batch of Pebble. Between two ranges that go, the order of keys is free but for that of one
// key: they go in ascending order, since a memtable finds the place of a key from that of the key before.
func encode(batch *pebble.Batch, s space, b *kv.Batch) error {
	for ops := b.Ops(); len(ops) > 0; {
		single := slices.IndexFunc(ops, func(op kv.Op) bool { return op.Kind == kv.OpDeleteRange })
		if single < 0 {
			single = len(ops)
		}
		for _, i := range ascending(ops[:single]) {
			if err := encodeSingle(batch, s, &ops[i]); err != nil {
				return err
			}
		}
		if ops = ops[single:]; len(ops) == 0 {
			break
		}
		if lower, upper, none := s.bounds(ops[0].Key, ops[0].End); !none {
			if err := batch.DeleteRange(lower, upper, nil); err != nil {
				return err
			}
		}
		ops = ops[1:]
	}
	return nil
}

// ascending are the indices of the writes of single keys, by key, of each key only the last write.
func ascending(ops []kv.Op) []int32 {
	order := make([]int32, len(ops))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		return cmp.Or(bytes.Compare(ops[i].Key, ops[j].Key), cmp.Compare(i, j))
	})
	last := order[:0]
	for n, i := range order {
		if n+1 == len(order) || !bytes.Equal(ops[i].Key, ops[order[n+1]].Key) {
			last = append(last, i)
		}
	}
	return last
}

func encodeSingle(batch *pebble.Batch, s space, op *kv.Op) error {
	if op.Kind == kv.OpDelete {
		d := batch.DeleteDeferred(len(s.prefix) + len(op.Key))
		copy(d.Key[copy(d.Key, s.prefix):], op.Key)
		return d.Finish()
	}
	d := batch.SetDeferred(len(s.prefix)+len(op.Key), len(op.Value))
	copy(d.Key[copy(d.Key, s.prefix):], op.Key)
	copy(d.Value, op.Value)
	return d.Finish()
}
