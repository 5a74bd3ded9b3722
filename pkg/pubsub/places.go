package pubsub

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

// Places are Offsets in the store, beside what a handler itself keeps in its namespace: under 'n' and the number of the partition, so
// that the handler's own keys must begin otherwise. A partition that was never read begins at the first record that the log has,
// whatever the group has committed: the store is what counts. They are of one topic.
type Places struct {
	Store     kv.Store
	Namespace kv.Namespace
}

var _ Offsets = Places{}

// Load implements Offsets.
func (p Places) Load(ctx context.Context, _ string, partition int32) (next int64, found bool, err error) {
	snap, err := p.Store.Snapshot(ctx, p.Namespace)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	raw, found, err := snap.Get(ctx, placeKey(partition))
	switch {
	case err != nil:
		return 0, false, err
	case !found:
		return -1, true, nil
	case len(raw) != 8:
		return 0, false, fmt.Errorf("pubsub: an offset of %d bytes", len(raw))
	}
	return int64(binary.BigEndian.Uint64(raw)), true, nil
}

// Save implements Offsets.
func (p Places) Save(ctx context.Context, _ string, partition int32, next int64) error {
	var b kv.Batch
	b.Set(placeKey(partition), binary.BigEndian.AppendUint64(nil, uint64(next)))
	return p.Store.Apply(ctx, p.Namespace, &b)
}

func placeKey(partition int32) []byte {
	return binary.BigEndian.AppendUint32([]byte{'n'}, uint32(partition))
}
