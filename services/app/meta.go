package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/kv"
)

// meta holds what is true of the whole store.
var meta = kv.Namespace{Slice: "meta"} //nolint:gochecknoglobals // read only

// ErrForeignKeyring means that the store was built under another keyring.
var ErrForeignKeyring = errors.New("the store was built under another keyring: put back the keyring.json that belongs to it, or drop the store (skein store drop) and let it be built again")

// checkKeyring writes the keyring's fingerprint into a new store and compares it with an old one's.
func checkKeyring(ctx context.Context, store kv.Store, fingerprint string) error {
	for {
		err := noteKeyring(ctx, store, fingerprint)
		switch {
		case errors.Is(err, kv.ErrConflict): // another process was faster
		case err == nil || errors.Is(err, ErrForeignKeyring):
			return err
		default:
			return fmt.Errorf("check the keyring: %w", err)
		}
	}
}

func noteKeyring(ctx context.Context, store kv.Store, fingerprint string) error {
	key := []byte("keyring")
	snap, err := store.Snapshot(ctx, meta)
	if err != nil {
		return err
	}
	defer snap.Close()
	have, found, err := snap.Get(ctx, key)
	switch {
	case err != nil:
		return err
	case found && string(have) != fingerprint:
		return ErrForeignKeyring
	case found:
		return nil
	}
	b := &kv.Batch{}
	b.Require(key, nil)
	b.Set(key, []byte(fingerprint))
	return store.Apply(ctx, meta, b)
}
