package projection

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

// pointers is where the serving generation of each slice is kept.
var pointers = kv.Namespace{Slice: "serving"}

// Serving tells which generation of a slice answers reads: 1 until a rebuild has switched.
func Serving(ctx context.Context, store kv.Store, slice string) (kv.Namespace, error) {
	snap, err := store.Snapshot(ctx, pointers)
	if err != nil {
		return kv.Namespace{}, fmt.Errorf("projection: find the serving generation of %s: %w", slice, err)
	}
	defer snap.Close()
	raw, found, err := snap.Get(ctx, []byte(slice))
	switch {
	case err != nil:
		return kv.Namespace{}, fmt.Errorf("projection: find the serving generation of %s: %w", slice, err)
	case !found:
		return kv.Namespace{Slice: slice, Generation: 1}, nil
	case len(raw) != 4:
		return kv.Namespace{}, fmt.Errorf("projection: the serving generation of %s has %d bytes instead of 4: the store is damaged", slice, len(raw))
	}
	return kv.Namespace{Slice: slice, Generation: binary.BigEndian.Uint32(raw)}, nil
}
