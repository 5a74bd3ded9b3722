package app_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/cursorkv"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/services/app"
	"github.com/skein-cx/skein/services/outbound"
	"github.com/skein-cx/skein/services/timeline"
	"github.com/skein-cx/skein/services/webhooks"
)

func TestADroppedStoreKeepsThePlacesOfTheWebhooks(t *testing.T) {
	cfg := app.Default()
	cfg.Data = t.TempDir()
	open := func() *pebblekv.Store {
		t.Helper()
		store, err := pebblekv.Open(filepath.Join(cfg.Data, "store"), pebblekv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	folded := []kv.Namespace{{Slice: "meta"}, {Slice: "serving"}, {Slice: timeline.Slice, Generation: 1}, {Slice: timeline.Slice, Generation: 2}}
	noted := []kv.Namespace{{Slice: "analytics"}, {Slice: "analytics", Generation: 1}, {Slice: "mirror"}, {Slice: "mirror", Generation: 1}}
	store := open()
	kept := []kv.Namespace{cursorkv.Namespace, outbound.Namespace, webhooks.Namespace}
	for _, ns := range slices.Concat(folded, noted, kept) {
		b := &kv.Batch{}
		b.Set([]byte("key"), []byte("value"))
		if err := store.Apply(t.Context(), ns, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	hashes, err := app.StateHashes(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(hashes) != 2 || hashes[0].Namespace != folded[2] || hashes[1].Namespace != folded[3] {
		t.Errorf("hashed %v", hashes)
	}
	dropped, err := app.DropStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(dropped) != len(folded)+len(noted) {
		t.Errorf("dropped %v", dropped)
	}
	store = open()
	defer store.Close()
	left, err := store.Namespaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(left, kept) {
		t.Errorf("left are %v", left)
	}
}
