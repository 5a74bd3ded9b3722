package app

import (
	"errors"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
)

func TestAStoreOfAnotherKeyringOrANewerVersionIsRefused(t *testing.T) {
	store := memkv.New()
	for range 2 {
		if err := checkStore(t.Context(), store, "mine"); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkStore(t.Context(), store, "foreign"); !errors.Is(err, ErrForeignKeyring) {
		t.Errorf("another keyring: %v", err)
	}
	var b kv.Batch
	b.Set([]byte("format"), []byte("2"))
	if err := store.Apply(t.Context(), meta, &b); err != nil {
		t.Fatal(err)
	}
	if err := checkStore(t.Context(), store, "mine"); !errors.Is(err, ErrNewerStore) {
		t.Errorf("a newer format: %v", err)
	}
}
