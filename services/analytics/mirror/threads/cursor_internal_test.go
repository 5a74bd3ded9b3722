package threads

import (
	"reflect"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
)

func FuzzCursor(f *testing.F) {
	f.Add(cursor{generation: 3, at: projection.Vector{0: 9, 70: 1 << 40}}.encode())
	f.Add(cursor{generation: 1, at: projection.Vector{}, scanning: true, behind: Thread{"acme", event.ID{1, 2}}}.encode())
	f.Add([]byte{})
	f.Add([]byte{cursorForm, 1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCursor(b)
		if err != nil {
			return
		}
		if again, err := decodeCursor(c.encode()); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%v is read as %v (%v)", c, again, err)
		}
	})
}

func TestAnEntityNamesItsThread(t *testing.T) {
	for _, tenant := range []string{"acme", "a/b"} {
		is := Thread{tenant, event.ID{0: 1, 15: 9}}
		if got, err := threadOf(names([]Thread{is})[0]); err != nil || got != is {
			t.Error(got, err)
		}
	}
	for _, bad := range []string{"", "acme", "acme/", "acme/1"} {
		if _, err := threadOf(bad); err == nil {
			t.Errorf("%q is taken for a thread", bad)
		}
	}
}
