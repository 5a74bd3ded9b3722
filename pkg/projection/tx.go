package projection

import (
	"context"
	"errors"
	"slices"

	"github.com/skein-cx/skein/pkg/kv"
)

var errReservedKey = errors.New("projection: keys that begin with 0x00 are reserved")

// Tx is what a fold sees of the store while a batch is being folded: the keys as they were when the batch began, and
// over them what the batch has written so far. Not for concurrent use.
type Tx struct {
	base    kv.Snapshot
	batch   kv.Batch
	pending map[string][]byte // nil: deleted
	ahead   map[string][]byte // keys of the base that were read together; nil: missing
	err     error
}

// begin makes the Tx one of a batch.
func (tx *Tx) begin(base kv.Snapshot) {
	tx.base = base
	if tx.pending == nil {
		tx.pending = make(map[string][]byte)
	}
}

// end forgets the batch. What the Tx has grown to stays for the next one.
func (tx *Tx) end() {
	clear(tx.pending)
	tx.batch.Reset()
	tx.base, tx.ahead, tx.err = nil, nil, nil
}

// Get returns a key's value, which must not be changed.
func (tx *Tx) Get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	if v, ok := tx.pending[string(key)]; ok {
		return v, v != nil, nil
	}
	if v, ok := tx.ahead[string(key)]; ok {
		return v, v != nil, nil
	}
	return tx.base.Get(ctx, key)
}

// prefetch reads keys for the calls of Get to come. A key may be there more than once.
func (tx *Tx) prefetch(ctx context.Context, keys [][]byte) error {
	tx.ahead = make(map[string][]byte, len(keys))
	distinct := keys[:0]
	for _, k := range keys {
		if _, twice := tx.ahead[string(k)]; !twice {
			tx.ahead[string(k)] = nil
			distinct = append(distinct, k)
		}
	}
	values, err := tx.base.GetMany(ctx, distinct)
	if err != nil {
		return err
	}
	for i, v := range values {
		if v != nil {
			tx.ahead[string(distinct[i])] = v
		}
	}
	return nil
}

// Set writes a key. Key and value are kept, not copied.
func (tx *Tx) Set(key, value []byte) {
	tx.check(key)
	if value == nil {
		value = []byte{}
	}
	tx.batch.Set(key, value)
	tx.pending[string(key)] = value
}

// SetUnread writes a key that the fold only writes: Get and Scan do not see it until the batch is applied, which saves
// remembering it. Key and value are kept, not copied.
func (tx *Tx) SetUnread(key, value []byte) {
	tx.check(key)
	tx.batch.Set(key, value)
}

// Delete removes a key.
func (tx *Tx) Delete(key []byte) {
	tx.check(key)
	tx.batch.Delete(key)
	tx.pending[string(key)] = nil
}

// Trim removes the keys from start (included) to end (excluded) that were there before the batch began. Get and Scan do
// not see it until the batch is applied, so it is for keys that the fold only writes.
func (tx *Tx) Trim(start, end []byte) {
	tx.check(start)
	tx.batch.DeleteRange(start, end)
}

func (tx *Tx) check(key []byte) {
	if len(key) == 0 || key[0] == reserved {
		tx.err = errReservedKey
	}
}

// Scan calls yield for each key of the range in ascending order until it returns false. Keys and values are valid until
// yield returns. It costs a pass over what the batch has written, so it is for rare cases.
func (tx *Tx) Scan(ctx context.Context, r kv.Range, yield func(key, value []byte) bool) error {
	var written []string
	for k := range tx.pending {
		if k >= string(r.Start) && (len(r.End) == 0 || k < string(r.End)) {
			written = append(written, k)
		}
	}
	slices.Sort(written)
	it, err := tx.base.Scan(ctx, kv.Range{Start: r.Start, End: r.End})
	if err != nil {
		return err
	}
	defer it.Close()
	emit := func(k string) bool {
		v := tx.pending[k]
		return v == nil || yield([]byte(k), v)
	}
	for it.Next() {
		for len(written) > 0 && written[0] < string(it.Key()) {
			if !emit(written[0]) {
				return nil
			}
			written = written[1:]
		}
		if len(written) > 0 && written[0] == string(it.Key()) {
			continue // written again: emitted from pending
		}
		if !yield(it.Key(), it.Value()) {
			return nil
		}
	}
	for _, k := range written {
		if !emit(k) {
			return nil
		}
	}
	return it.Err()
}
