package pebblekv

import (
	"encoding/binary"
	"fmt"

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

// encode copies the writes into a batch of Pebble.
func encode(batch *pebble.Batch, s space, b *kv.Batch) error {
	for _, op := range b.Ops() {
		switch op.Kind {
		case kv.OpSet:
			d := batch.SetDeferred(len(s.prefix)+len(op.Key), len(op.Value))
			copy(d.Key[copy(d.Key, s.prefix):], op.Key)
			copy(d.Value, op.Value)
			if err := d.Finish(); err != nil {
				return err
			}
		case kv.OpDelete:
			d := batch.DeleteDeferred(len(s.prefix) + len(op.Key))
			copy(d.Key[copy(d.Key, s.prefix):], op.Key)
			if err := d.Finish(); err != nil {
				return err
			}
		case kv.OpDeleteRange:
			lower, upper, none := s.bounds(op.Key, op.End)
			if none {
				continue
			}
			if err := batch.DeleteRange(lower, upper, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
