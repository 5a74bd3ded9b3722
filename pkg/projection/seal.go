package projection

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

// seal makes a partition take no further record in a namespace, whoever owns it, and returns the offset of the record to
// apply next. An owner who is in the middle of a batch is fenced out, and finds the seal when it looks again.
func seal(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, partition int32) (next int64, err error) {
	err = changeRow(ctx, store, ns, topic, partition, func(row offsetRow, found bool) (offsetRow, bool) {
		if !found {
			row.next = nothing
		}
		next, row.sealed = max(row.next, 0), true
		return row, true
	})
	return next, err
}

// unseal lets a partition be folded on.
func unseal(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, partition int32) error {
	return changeRow(ctx, store, ns, topic, partition, func(row offsetRow, found bool) (offsetRow, bool) {
		row.sealed = false
		return row, found && row.next != nothing
	})
}

// changeRow writes an offset row anew, or deletes it, however often an owner moves it meanwhile.
func changeRow(ctx context.Context, store kv.Store, ns kv.Namespace, topic string, partition int32, change func(row offsetRow, found bool) (offsetRow, bool)) error {
	key := offsetKey(topic, partition)
	for {
		old, row, err := readRow(ctx, store, ns, key)
		if err != nil {
			return fmt.Errorf("projection: read how far %s/%d is in %s: %w", topic, partition, ns, err)
		}
		b := &kv.Batch{}
		b.Require(key, old)
		row, keep := change(row, old != nil)
		switch {
		case keep && bytes.Equal(row.encode(), old), !keep && old == nil:
			return nil
		case keep:
			b.Set(key, row.encode())
		default:
			b.Delete(key)
		}
		err = store.Apply(ctx, ns, b)
		if err == nil || !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

// readRow reads an offset row; its bytes are nil where there is none.
func readRow(ctx context.Context, store kv.Store, ns kv.Namespace, key []byte) (raw []byte, row offsetRow, err error) {
	snap, err := store.Snapshot(ctx, ns)
	if err != nil {
		return nil, offsetRow{}, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	raw, found, err := snap.Get(ctx, key)
	if err != nil || !found {
		return nil, offsetRow{}, err
	}
	row, err = decodeOffsetRow(raw)
	return raw, row, err
}
