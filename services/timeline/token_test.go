package timeline //nolint:testpackage // a token's inside is nobody else's business

import (
	"reflect"
	"testing"

	"github.com/skein-cx/skein/pkg/projection"
)

func FuzzPageToken(f *testing.F) {
	f.Add(pageToken{generation: 1, pinned: projection.Vector{0: 7, 3: 1 << 40}}.encode())
	f.Add(pageToken{generation: 1, scope: "links/7", pinned: projection.Vector{0: 7}}.encode())
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := decodePageToken(s)
		if err != nil {
			return
		}
		if again, err := decodePageToken(token.encode()); err != nil || !reflect.DeepEqual(again, token) {
			t.Errorf("%q decodes to %+v, then %+v, %v", s, token, again, err)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{generation: 1, next: places{0: {offset: 7}, 3: {offset: 1 << 40, n: 2}}}.encode())
	f.Add(cursor{generation: 1, scope: "links/7", next: places{0: {offset: 7}}}.encode())
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := decodeCursor(s)
		if err != nil {
			return
		}
		if again, err := decodeCursor(c.encode()); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%q decodes to %+v, then %+v, %v", s, c, again, err)
		}
	})
}

func TestACursorWithoutLinksIsWrittenAsItAlwaysWas(t *testing.T) {
	const old = "AQAAAAEBAgMEBQYHCAAHAA" // from before there were customers
	c := cursor{generation: 1, query: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, next: places{0: {offset: 7}}}
	if got := c.encode(); got != old {
		t.Errorf("got %s", got)
	}
	if got, err := decodeCursor(old); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, %v", got, err)
	}
}
