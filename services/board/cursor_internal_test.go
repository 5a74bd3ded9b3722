package board

import "testing"

func FuzzDecodeCursor(f *testing.F) {
	f.Add(cursor{process: [8]byte{1}, query: [8]byte{2}, board: 3, version: 4}.encode())
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := decodeCursor(text)
		if err == nil && c.encode() != text {
			t.Errorf("%q is read as %+v, which is written as %q", text, c, c.encode())
		}
	})
}
