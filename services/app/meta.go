package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/skein-cx/skein/pkg/kv"
)

// meta holds what is true of the whole store.
var meta = kv.Namespace{Slice: "meta"} //nolint:gochecknoglobals // read only

// ErrForeignKeyring means that the store was built under another keyring.
var ErrForeignKeyring = errors.New("the store was built under another keyring: put back the keyring.json that belongs to it, or drop the store (skein store drop) and let it be built again")

// ErrNewerStore means that a newer version of this program has written into the store.
var ErrNewerStore = errors.New("a newer version of Skein has written into the store: go back to that version, or drop the store (skein store drop) and let it be built again")

// storeFormat is the version of what the read models hold. It goes up where an older program would read them wrongly.
const storeFormat = 1

// checkStore writes into a new store under which keyring it is built, and in which format, and compares that with an old
// one's.
func checkStore(ctx context.Context, store kv.Store, fingerprint string) error {
	err := note(ctx, store, "keyring", fingerprint, func(have string) error {
		if have != fingerprint {
			return ErrForeignKeyring
		}
		return nil
	})
	if err != nil {
		return err
	}
	return note(ctx, store, "format", strconv.Itoa(storeFormat), func(have string) error {
		if n, err := strconv.Atoi(have); err != nil || n > storeFormat {
			return fmt.Errorf("%w (its format is %s, this version knows %d)", ErrNewerStore, have, storeFormat)
		}
		return nil
	})
}

// note writes a value where there is none, and checks the one that is there.
func note(ctx context.Context, store kv.Store, name, value string, check func(have string) error) error {
	for {
		have, err := noted(ctx, store, []byte(name), []byte(value))
		switch {
		case errors.Is(err, kv.ErrConflict): // another process was faster
		case err != nil:
			return fmt.Errorf("check the store's %s: %w", name, err)
		default:
			return check(string(have))
		}
	}
}

func noted(ctx context.Context, store kv.Store, key, value []byte) (have []byte, err error) {
	snap, err := store.Snapshot(ctx, meta)
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	have, found, err := snap.Get(ctx, key)
	if err != nil || found {
		return have, err
	}
	b := &kv.Batch{}
	b.Require(key, nil)
	b.Set(key, value)
	return value, store.Apply(ctx, meta, b)
}
