package generations_test

import (
	"reflect"
	"testing"

	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/services/analytics/generations"
)

func TestWhoIsLateChangesNothing(t *testing.T) {
	store, ctx := memkv.New(), t.Context()
	const slice = "sink"
	ask := func(want uint32) {
		t.Helper()
		if got, err := generations.Ask(ctx, store, slice); err != nil || got != want {
			t.Fatalf("generation %d is asked for instead of %d: %v", got, want, err)
		}
	}
	stands := func(err error, want generations.Note) {
		t.Helper()
		got, _, loadErr := generations.Load(ctx, store, slice)
		if err != nil || loadErr != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v instead of %+v: %v, %v", got, want, err, loadErr)
		}
	}
	tables := map[string]string{"events": "1"}

	stands(generations.Serve(ctx, store, slice, 2), generations.Note{Serving: 1})
	ask(2)
	ask(2)
	stands(generations.Again(ctx, store, slice, 2), generations.Note{Serving: 1, Building: 3})
	stands(generations.Built(ctx, store, slice, 2, tables), generations.Note{Serving: 1, Building: 3})
	stands(generations.Built(ctx, store, slice, 3, tables), generations.Note{Serving: 1, Building: 3, Built: tables})
	stands(generations.Serve(ctx, store, slice, 3), generations.Note{Serving: 3})
	stands(generations.Serve(ctx, store, slice, 3), generations.Note{Serving: 3})
	stands(generations.Again(ctx, store, slice, 3), generations.Note{Serving: 3})
	ask(4)
	stands(generations.Built(ctx, store, slice, 3, tables), generations.Note{Serving: 3, Building: 4})
	stands(generations.Serve(ctx, store, slice, 3), generations.Note{Serving: 3, Building: 4})
}
