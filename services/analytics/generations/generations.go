// Package generations notes, in the store, which generation of the tables of ClickHouse serves and which one is being built beside it.
package generations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

const key = "serving"

// Note tells which generation serves, and which one is being built.
type Note struct {
	Serving uint32 `json:"serving"`
	// Building is 0 where none is.
	Building uint32 `json:"building,omitempty"`
	// Built are the ids of the tables that were built, by their names, once they are being switched.
	Built map[string]string `json:"built,omitempty"`
}

// anew makes what was built so far worthless: another generation is built from the begin. Its number was never one of this store.
func (n *Note) anew() {
	n.Building, n.Built = max(n.Serving, n.Building)+1, nil
}

// Namespace is where the note of a slice stands. Generations have namespaces of their own, by their number, which begins with 1.
func Namespace(slice string) kv.Namespace { return kv.Namespace{Slice: slice} }

// Load reads the note of a slice; raw is nil where nothing was written yet.
func Load(ctx context.Context, store kv.Store, slice string) (n Note, raw []byte, err error) {
	snap, err := store.Snapshot(ctx, Namespace(slice))
	if err != nil {
		return n, nil, fmt.Errorf("analytics: find the generation that serves: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	raw, found, err := snap.Get(ctx, []byte(key))
	switch {
	case err != nil:
		return n, nil, fmt.Errorf("analytics: find the generation that serves: %w", err)
	case !found:
		return Note{Serving: 1}, nil, nil
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return n, nil, fmt.Errorf("analytics: the note of the generation that serves is damaged: %w", err)
	}
	return n, raw, nil
}

// change makes of the note what change makes of it, if it reports that it does, however often others change it meanwhile.
func change(ctx context.Context, store kv.Store, slice string, change func(*Note) bool) error {
	for {
		n, raw, err := Load(ctx, store, slice)
		if err != nil || !change(&n) {
			return err
		}
		value, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("analytics: note the generation of the tables: %w", err)
		}
		b := &kv.Batch{}
		b.Require([]byte(key), raw)
		b.Set([]byte(key), value)
		switch err := store.Apply(ctx, Namespace(slice), b); {
		case err == nil:
			return nil
		case !errors.Is(err, kv.ErrConflict):
			return fmt.Errorf("analytics: note the generation of the tables: %w", err)
		}
	}
}

// Ask asks for a new generation, or joins the one that is being built, and gives its number.
func Ask(ctx context.Context, store kv.Store, slice string) (building uint32, err error) {
	err = change(ctx, store, slice, func(n *Note) bool {
		asked := n.Building == 0
		if asked {
			n.anew()
		}
		building = n.Building
		return asked
	})
	return building, err
}

// Again builds another generation from the begin in the place of one of which a part was lost. Like what follows, it does nothing where that
// is not being built any more: another process was faster.
func Again(ctx context.Context, store kv.Store, slice string, building uint32) error {
	return change(ctx, store, slice, func(n *Note) bool {
		still := n.Building == building
		if still {
			n.anew()
		}
		return still
	})
}

// Built notes the tables of a generation that was built: it is about to serve.
func Built(ctx context.Context, store kv.Store, slice string, building uint32, tables map[string]string) error {
	return change(ctx, store, slice, func(n *Note) bool {
		n.Built = tables
		return n.Building == building
	})
}

// Serve notes that the generation that was built serves.
func Serve(ctx context.Context, store kv.Store, slice string, building uint32) error {
	return change(ctx, store, slice, func(n *Note) bool {
		still := n.Building == building
		*n = Note{Serving: building}
		return still
	})
}
