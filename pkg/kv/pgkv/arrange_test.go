package pgkv_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
)

func TestArrangedWritesComeToWhatTheyDoInTheirOrder(t *testing.T) {
	t.Parallel()
	key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		before := map[string]string{}
		for _, k := range rapid.SliceOfN(key, 0, 20).Draw(t, "before") {
			before[string(k)] = "before"
		}
		b := &kv.Batch{}
		want := maps.Clone(before)
		for range rapid.IntRange(0, 30).Draw(t, "writes") {
			k := key.Draw(t, "key")
			switch rapid.SampledFrom([]string{"set", "set", "delete", "range"}).Draw(t, "write") {
			case "set":
				v := rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "value")
				b.Set(k, v)
				want[string(k)] = string(v)
			case "delete":
				b.Delete(k)
				delete(want, string(k))
			default:
				end := key.Draw(t, "end")
				b.DeleteRange(k, end)
				deleteWithin(want, k, end)
			}
		}
		w := pgkv.Arrange(b)
		got := maps.Clone(before)
		for i := range w.Lows {
			deleteWithin(got, w.Lows[i], w.Highs[i])
		}
		if w.From != nil {
			deleteWithin(got, w.From, nil)
		}
		for _, k := range w.Deletes {
			delete(got, string(k))
		}
		for i, k := range w.Keys {
			got[string(k)] = string(w.Values[i])
		}
		if !maps.Equal(got, want) {
			t.Fatalf("got %q; want %q; arranged %q", got, want, w)
		}
		both := slices.Concat(w.Keys, w.Deletes)
		slices.SortFunc(both, bytes.Compare)
		if len(slices.CompactFunc(both, bytes.Equal)) != len(w.Keys)+len(w.Deletes) ||
			!slices.IsSortedFunc(w.Keys, bytes.Compare) || !slices.IsSortedFunc(w.Deletes, bytes.Compare) {
			t.Fatalf("a key is twice in %q, or they are out of order", w)
		}
	})
}

func deleteWithin(m map[string]string, start, end []byte) {
	maps.DeleteFunc(m, func(k, _ string) bool { return k >= string(start) && (len(end) == 0 || k < string(end)) })
}
