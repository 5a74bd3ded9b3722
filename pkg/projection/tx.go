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
	kept    arena             // keys and values of the batch
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
	tx.kept.reset()
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

// Set writes a key. Key and value are copied.
func (tx *Tx) Set(key, value []byte) {
	tx.check(key)
	value = tx.kept.copy(value)
	tx.batch.Set(tx.kept.copy(key), value)
	tx.pending[string(key)] = value
}

// SetUnread writes a key that the fold does not read again in this batch: Get and Scan do not see it until the batch is
// applied, which saves remembering it. Key and value are copied.
func (tx *Tx) SetUnread(key, value []byte) {
	tx.check(key)
	tx.batch.Set(tx.kept.copy(key), tx.kept.copy(value))
}

// Delete removes a key, which is copied.
func (tx *Tx) Delete(key []byte) {
	tx.check(key)
	tx.batch.Delete(tx.kept.copy(key))
	tx.pending[string(key)] = nil
}

// Trim removes the keys from start (included) to end (excluded) that were there before the batch began. Get and Scan do
// not see it until the batch is applied, so it is for keys that the fold only writes. Start and end are kept, not copied.
func (tx *Tx) Trim(start, end []byte) {
	tx.check(start)
	tx.batch.DeleteRange(start, end)
}

// outcome is what came of a record before which so much was written. What a fold says of one that is dead must come before it
// writes, or a part of it would stay.
func (tx *Tx) outcome(written int, err error) (*DeadError, error) {
	if err == nil || tx.err != nil {
		return nil, tx.err
	}
	var dead *DeadError
	if errors.As(err, &dead) && tx.batch.Len() == written {
		return dead, nil
	}
	return nil, err
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

// arena keeps copies until it is reset, and their room for the next ones, unless that is far too much.
type arena struct {
	room []byte // filled up to its length
	size int    // of all copies
}

const smallArena = 64 << 10

// copy is never nil.
func (a *arena) copy(b []byte) []byte {
	if a.room == nil || len(b) > cap(a.room)-len(a.room) {
		a.room = make([]byte, 0, max(smallArena, 2*cap(a.room), len(b))) // the copies so far stay where they are
	}
	from := len(a.room)
	a.room = append(a.room, b...)
	a.size += len(b)
	return a.room[from:len(a.room):len(a.room)]
}

func (a *arena) reset() {
	if cap(a.room) > smallArena && a.size < cap(a.room)/8 {
		a.room = nil
	}
	a.room, a.size = a.room[:0], 0
}
