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
	key := []byte("keyring")
	snap, err := store.Snapshot(ctx, meta)
	if err != nil {
		return fmt.Errorf("check the keyring: %w", err)
	}
	defer snap.Close()
	have, found, err := snap.Get(ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("check the keyring: %w", err)
	case found && string(have) != fingerprint:
		return ErrForeignKeyring
	case found:
		return nil
	}
	b := &kv.Batch{}
	b.Require(key, nil)
	b.Set(key, []byte(fingerprint))
	if err := store.Apply(ctx, meta, b); err != nil {
		return fmt.Errorf("note the keyring: %w", err)
	}
	return nil
}
