package timeline //nolint:testpackage // a token's inside is nobody else's business

import (
	"testing"

	"github.com/skein-cx/skein/pkg/projection"
)

func FuzzPageToken(f *testing.F) {
	f.Add(pageToken{generation: 1, pinned: projection.Vector{0: 7, 3: 1 << 40}}.encode())
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := decodePageToken(s)
		if err != nil {
			return
		}
		again, err := decodePageToken(token.encode())
		if err != nil || again.generation != token.generation || again.query != token.query || again.after != token.after || len(again.pinned) != len(token.pinned) {
			t.Errorf("%q decodes to %+v, then %+v, %v", s, token, again, err)
		}
	})
}
