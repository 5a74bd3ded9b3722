package projection_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
)

func TestEveryTenantOfASpaceIsFoundOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringOfN(rapid.RuneFrom([]rune("a\x00\xffz")), 0, 3, 6), rapid.ID[string]).Draw(rt, "tenants")
		ns := kv.Namespace{Slice: "some", Generation: 1}
		b := &kv.Batch{}
		for _, name := range names {
			for _, behind := range []string{"", "k", "\xff\xff"} {
				b.Set(append(append([]byte{7, byte(len(name))}, name...), behind...), nil)
			}
		}
		b.Set([]byte{6, 1, 'x'}, nil)
		b.Set([]byte{8, 1, 'y'}, nil)
		store := memkv.New()
		if err := store.Apply(context.Background(), ns, b); err != nil {
			rt.Fatal(err)
		}
		snap, err := store.Snapshot(context.Background(), ns)
		if err != nil {
			rt.Fatal(err)
		}
		defer snap.Close()
		got, err := projection.Tenants(context.Background(), snap, 7)
		slices.Sort(got)
		slices.Sort(names)
		if err != nil || !slices.Equal(got, names) {
			rt.Fatalf("%q, %v; want %q", got, err, names)
		}
	})
}
