package agent

import (
	"bytes"
	"testing"

	"github.com/skein-cx/skein/services/agent/state"
)

// Whatever stands in a row: it is read as what was written, or refused.
func FuzzRowsAreReadAsTheyWereWrittenOrRefused(f *testing.F) {
	standing := state.Standing{
		Last: state.Moment{Occurred: 3, Received: 4, Offset: 5}, Chosen: state.Chosen{Presence: "Meal", Type: 2}, ChosenAt: state.Moment{Occurred: 3},
		Rooms: []state.Room{{Channel: "voice", Maximum: 2}},
	}
	row := stated{Statement: state.Statement{Kind: state.Capacity, Maximum: map[string]int32{"voice": 2}}, behind: standing}
	day := beats{alive: []state.Stretch{{From: 1, Until: 5}, {From: 7, Until: 9}}, signs: []int64{3, 8}}
	for _, b := range [][]byte{appendStanding(nil, &standing), row.encode(), day.encode(), head{{"desk", 7}}.encode(), Changed{"mei", "acme", 7}.encode(), nil} {
		f.Add(b)
	}
	key := make([]byte, momentSize)
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(what string, err error, again func() []byte) {
			if err == nil && !bytes.Equal(again(), b) && len(again()) > len(b) {
				t.Errorf("%s: %x was read as %x", what, b, again())
			}
		}
		s, err := decodeStanding(b)
		check("standing", err, func() []byte { return appendStanding(nil, &s) })
		r, err := decodeStated(key, b, "desk")
		check("statement", err, r.encode)
		d, err := decodeBeats(b)
		check("beats", err, d.encode)
		h, err := decodeHead(b)
		check("head", err, func() []byte { return h.encode() })
		c, err := decodeChanged(b)
		check("change", err, c.encode)
		_, _ = decodeSeen(b)
	})
}

// Whatever a caller shows: it is a token or cursor of that query, or refused.
func FuzzTokensAndCursorsAreThoseThatWereGivenOrRefused(f *testing.F) {
	query := [8]byte{1, 2, 3}
	f.Add(pageToken{query: query, at: 7, id: "mei"}.encode())
	f.Add(cursor{query: query, epoch: 7, version: 9}.encode())
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := decodePageToken(text, query); err == nil && p.encode() != text {
			t.Errorf("%q was read as %q", text, p.encode())
		}
		if c, err := decodeCursor(text, query); err == nil && c.encode() != text {
			t.Errorf("%q was read as %q", text, c.encode())
		}
	})
}
