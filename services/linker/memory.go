package linker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
)

// The rows of Namespace.
//
//	'n', partition                           → offset of the next record to be looked at (pubsub.Places)
//	'm', hash of tenant and message id       → the thread in which that id was seen first
//	'p', hash of tenant, rule and pair       → nothing; it was asked for
//	'r'                                      → nothing; all that was asked for before this namespace was made is there
const (
	spaceMessage  = 'm'
	spacePair     = 'p'
	spaceRecalled = 'r'
)

// memory is what the linker has seen and done.
type memory struct{ store kv.Store }

// hashed is a key over texts, of any length.
func hashed(space byte, texts ...string) []byte {
	h := sha256.New()
	for _, t := range texts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(t)))
		h.Write(length[:])
		h.Write([]byte(t))
	}
	return h.Sum([]byte{space})
}

func (m *memory) get(ctx context.Context, keys [][]byte) ([][]byte, error) {
	snap, err := m.store.Snapshot(ctx, Namespace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	return snap.GetMany(ctx, keys)
}

// unasked gives those requests that were not asked for yet, each once.
func (m *memory) unasked(ctx context.Context, tenant string, all []request) ([]request, error) {
	if len(all) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(all))
	for i, q := range all {
		keys[i] = hashed(spacePair, tenant, q.rule, q.pair)
	}
	known, err := m.get(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("linker: read what was asked for: %w", err)
	}
	var fresh []request
	seen := map[string]bool{}
	for i, q := range all {
		if known[i] == nil && !seen[string(keys[i])] {
			seen[string(keys[i])] = true
			fresh = append(fresh, q)
		}
	}
	return fresh, nil
}

// asked notes requests.
func (m *memory) asked(ctx context.Context, tenant string, requests []request) error {
	var b kv.Batch
	for _, q := range requests {
		b.Set(hashed(spacePair, tenant, q.rule, q.pair), nil)
	}
	return m.store.Apply(ctx, Namespace, &b)
}

// threads gives for each message id the thread in which it was seen first: this one, where it was not seen before.
func (m *memory) threads(ctx context.Context, tenant string, messages []string, here event.ID) ([]event.ID, error) {
	keys := make([][]byte, len(messages))
	for i, id := range messages {
		keys[i] = hashed(spaceMessage, tenant, id)
	}
	for {
		rows, err := m.get(ctx, keys)
		if err != nil {
			return nil, err
		}
		var b kv.Batch
		threads := make([]event.ID, len(rows))
		for i, row := range rows {
			switch {
			case row == nil:
				threads[i] = here
				b.Require(keys[i], nil)
				b.Set(keys[i], here[:])
			case len(row) != len(here):
				return nil, fmt.Errorf("linker: a thread's id of %d bytes: the store is damaged", len(row))
			default:
				threads[i] = event.ID(row)
			}
		}
		if b.Len() == 0 {
			return threads, nil
		}
		if err := m.store.Apply(ctx, Namespace, &b); !errors.Is(err, kv.ErrConflict) {
			return threads, err
		}
	}
}

// complete tells whether everything is known that was ever asked for.
func (m *memory) complete(ctx context.Context) (bool, error) {
	values, err := m.get(ctx, [][]byte{{spaceRecalled}})
	return err == nil && values[0] != nil, err
}

func (m *memory) completed(ctx context.Context) error {
	var b kv.Batch
	b.Set([]byte{spaceRecalled}, nil)
	return m.store.Apply(ctx, Namespace, &b)
}
