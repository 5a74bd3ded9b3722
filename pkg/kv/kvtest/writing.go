package kvtest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
)

func writing() []spec {
	return []spec{
		{"a key that was set is read back", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.set(pair{"key", "value"})
			s.holds(pair{"key", "value"})
			misses(t, s.snapshot(), "ke")
			misses(t, s.snapshot(), "key\x00")
		}},
		{"setting a key again overwrites it", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.set(pair{"key", "a longer value"})
			s.set(pair{"key", "value"})
			s.holds(pair{"key", "value"})
		}},
		{"a deleted key is gone", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "c")
			s.apply(func(b *kv.Batch) { b.Delete([]byte("b")) })
			s.holds(bracketed("a", "c")...)
			misses(t, s.snapshot(), "b")
		}},
		{"deleting a missing key does nothing", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a")
			s.apply(func(b *kv.Batch) { b.Delete([]byte("b")) })
			s.holds(bracketed("a")...)
		}},
		{"the writes of a batch take effect in their order", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "c", "d")
			s.apply(func(b *kv.Batch) {
				b.Set([]byte("a"), []byte("1"))
				b.Set([]byte("a"), []byte("2"))
				b.Delete([]byte("b"))
				b.Set([]byte("b"), []byte("3"))
				b.Set([]byte("c"), []byte("4"))
				b.Delete([]byte("c"))
				b.DeleteRange([]byte("d"), []byte("f"))
				b.Set([]byte("e"), []byte("5"))
				b.Set([]byte("f"), []byte("6"))
				b.DeleteRange([]byte("f"), []byte("g"))
			})
			s.holds(pair{"a", "2"}, pair{"b", "3"}, pair{"e", "5"})
		}},
		{"a range delete takes its start and leaves its end", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "bb", "c", "d")
			s.apply(func(b *kv.Batch) { b.DeleteRange([]byte("b"), []byte("c")) })
			s.holds(bracketed("a", "c", "d")...)
		}},
		{"a range delete with an open bound goes to that end of the namespace", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("", "a", "b", "c", "\xff\xff")
			s.apply(func(b *kv.Batch) { b.DeleteRange([]byte("c"), nil) })
			s.holds(bracketed("", "a", "b")...)
			s.apply(func(b *kv.Batch) { b.DeleteRange(nil, []byte("b")) })
			s.holds(bracketed("b")...)
			s.apply(func(b *kv.Batch) { b.DeleteRange([]byte{}, []byte{}) })
			s.holds()
		}},
		{"a range delete whose end is not above its start does nothing", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.setKeys("a", "b", "c")
			s.apply(func(b *kv.Batch) {
				b.DeleteRange([]byte("c"), []byte("a"))
				b.DeleteRange([]byte("b"), []byte("b"))
				b.DeleteRange([]byte("d"), nil)
			})
			s.holds(bracketed("a", "b", "c")...)
		}},
		{"the empty key and the empty value are a key and a value", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			misses(t, s.snapshot(), "")
			s.set(pair{"", "value"}, pair{"key", ""})
			s.holds(pair{"", "value"}, pair{"key", ""})
			s.apply(func(b *kv.Batch) {
				b.Set(nil, nil)
				b.Delete([]byte("key"))
			})
			s.holds(pair{"", ""})
			s.apply(func(b *kv.Batch) { b.Delete(nil) })
			s.holds()
		}},
		{"keys of any bytes are kept in byte order", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			ascending := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\xff", "\x7f", "\x80", "\xff", "\xff\x00", "\xff\xff"}
			for i := range ascending {
				s.setKeys(ascending[(i*5)%len(ascending)]) // 5 and 14 have no common factor: another order
			}
			s.holds(bracketed(ascending...)...)
		}},
		{"many keys are read at once, in their order", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			many := func() string {
				values, err := s.snapshot().GetMany(context.Background(),
					[][]byte{[]byte("b"), nil, []byte("missing"), []byte("a"), []byte("b"), []byte("empty"), []byte("\x00\xff")})
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Sprintf("%q %v", values, len(values) == 7 && values[5] != nil)
			}
			if got := many(); got != `["" "" "" "" "" "" ""] false` {
				t.Errorf("of an empty namespace: %s", got)
			}
			s.set(pair{"a", "1"}, pair{"b", "2"}, pair{"", "3"}, pair{"empty", ""}, pair{"\x00\xff", "\x00"})
			if got := many(); got != `["2" "3" "" "1" "2" "" "\x00"] true` {
				t.Errorf("got %s", got)
			}
			none, err := s.snapshot().GetMany(context.Background(), nil)
			if err != nil || len(none) != 0 {
				t.Errorf("no keys: %q, %v", none, err)
			}
		}},
		{"the store shares no memory with its callers", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			key, value := []byte("key"), []byte("value")
			s.apply(func(b *kv.Batch) { b.Set(key, value) })
			key[0], value[0] = 'X', 'X'
			got, _, err := s.snapshot().Get(context.Background(), []byte("key"))
			if err != nil {
				t.Fatal(err)
			}
			got[0] = 'X'
			s.holds(pair{"key", "value"})
		}},
		{"a batch can be applied again, and reset", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			var b kv.Batch
			b.Set([]byte("a"), []byte("1"))
			for range 2 {
				if err := store.Apply(context.Background(), s.ns, &b); err != nil {
					t.Fatal(err)
				}
			}
			s.holds(pair{"a", "1"})
			b.Require([]byte("none"), []byte("held"))
			b.Reset()
			b.Set([]byte("b"), []byte("2"))
			if err := store.Apply(context.Background(), s.ns, &b); err != nil {
				t.Fatal(err)
			}
			s.holds(pair{"a", "1"}, pair{"b", "2"})
		}},
		{"an empty batch does nothing", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			s.apply(func(*kv.Batch) {})
			s.holds()
		}},
		{"a key of the greatest length is kept, and a longer one refused", func(t *testing.T, store kv.Store) {
			s := spaceOf(t, store)
			longest := strings.Repeat("\xff", kv.MaxKey)
			s.set(pair{longest, "value"})
			s.holds(pair{longest, "value"})
			tooLong := []byte(longest + "x")
			for name, build := range map[string]func(b *kv.Batch){
				"set":          func(b *kv.Batch) { b.Set(tooLong, nil) },
				"delete":       func(b *kv.Batch) { b.Delete(tooLong) },
				"range delete": func(b *kv.Batch) { b.DeleteRange([]byte("a"), tooLong) },
				"require":      func(b *kv.Batch) { b.Require(tooLong, nil) },
			} {
				wantError(t, name, s.try(build), kv.ErrInvalid)
			}
			misses(t, s.snapshot(), string(tooLong))
		}},
	}
}
