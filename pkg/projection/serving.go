package projection

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

// firstGeneration serves a slice until a rebuild has switched.
const firstGeneration = 1

// pointersSlice is the namespace in which the generations of every slice are pointed at.
const pointersSlice = "serving"

func pointers() kv.Namespace { return kv.Namespace{Slice: pointersSlice} }

func servingKey(slice string) []byte  { return []byte(slice) }
func buildingKey(slice string) []byte { return []byte(slice + "/building") }

// Serving tells which generation of a slice answers reads.
func Serving(ctx context.Context, store kv.Store, slice string) (kv.Namespace, error) {
	g, err := generations(ctx, store, slice)
	return kv.Namespace{Slice: slice, Generation: g.Serving}, err
}

// Generations are those of a slice that are in use; Building is 0 while there is no rebuild.
type Generations struct {
	Serving, Building uint32
}

func generations(ctx context.Context, store kv.Store, slice string) (Generations, error) {
	snap, err := store.Snapshot(ctx, pointers())
	if err != nil {
		return Generations{}, fmt.Errorf("projection: find the generations of %s: %w", slice, err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	g := Generations{Serving: firstGeneration}
	keys := [][]byte{servingKey(slice), buildingKey(slice)}
	values, err := snap.GetMany(ctx, keys)
	if err != nil {
		return Generations{}, fmt.Errorf("projection: find the generations of %s: %w", slice, err)
	}
	for i, into := range []*uint32{&g.Serving, &g.Building} {
		switch raw := values[i]; {
		case raw == nil:
		case len(raw) != 4:
			return Generations{}, fmt.Errorf("projection: the pointer %s has %d bytes instead of 4: the store is damaged", keys[i], len(raw))
		default:
			*into = binary.BigEndian.Uint32(raw)
		}
	}
	return g, nil
}

func pointer(generation uint32) []byte { return binary.BigEndian.AppendUint32(nil, generation) }

// begin notes that a generation is being built, so that a restart goes on with it. It wants that nothing has changed meanwhile.
func begin(ctx context.Context, store kv.Store, slice string, g Generations) error {
	b := &kv.Batch{}
	if g.Serving == firstGeneration {
		b.Require(servingKey(slice), nil) // nobody has switched yet
	} else {
		b.Require(servingKey(slice), pointer(g.Serving))
	}
	b.Require(buildingKey(slice), nil)
	b.Set(buildingKey(slice), pointer(g.Building))
	if err := store.Apply(ctx, pointers(), b); err != nil {
		return fmt.Errorf("projection: begin to build %s/%d: %w", slice, g.Building, err)
	}
	return nil
}

// flip makes the generation that was built the one that serves, at once.
func flip(ctx context.Context, store kv.Store, slice string, g Generations) error {
	b := &kv.Batch{}
	b.Require(buildingKey(slice), pointer(g.Building))
	b.Set(servingKey(slice), pointer(g.Building))
	b.Delete(buildingKey(slice))
	if err := store.Apply(ctx, pointers(), b); err != nil {
		return fmt.Errorf("projection: switch %s from %d to %d: %w", slice, g.Serving, g.Building, err)
	}
	return nil
}

// sweep drops the generations of a slice that served before one.
func sweep(ctx context.Context, store kv.Store, slice string, before uint32) (dropped []kv.Namespace, err error) {
	namespaces, err := store.Namespaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("projection: find old generations of %s: %w", slice, err)
	}
	for _, ns := range namespaces {
		if ns.Slice != slice || ns.Generation >= before {
			continue
		}
		if err := store.Drop(ctx, ns); err != nil {
			return dropped, fmt.Errorf("projection: drop %s/%d: %w", slice, ns.Generation, err)
		}
		dropped = append(dropped, ns)
	}
	return dropped, nil
}
