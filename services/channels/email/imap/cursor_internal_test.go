package imap

import "testing"

// Whatever stands in the store, it is a place or none, and a place comes back as it was.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{"", "7:1", "4294967295:4294967295", "4294967296:1", "1", ":", "-1:2", "1:2:3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		p := parsePlace(cursor)
		if again := parsePlace(p.String()); again != p {
			t.Errorf("%q is %v, and comes back as %v", cursor, p, again)
		}
	})
}
