package mirror_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/skein-cx/skein/services/analytics/mirror"
)

func TestWhatIsStoredIsReadAsItWasWritten(t *testing.T) {
	all := mirror.Encoded()
	state, _, _, _ := mirror.Decoded(all[0])
	_, entity, _, _ := mirror.Decoded(all[1])
	_, _, parcel, _ := mirror.Decoded(all[2])
	require.Equal(t, all[:3], [][]byte{state, entity, parcel})
}

func TestValuesArriveAsTheDriverTakesThem(t *testing.T) {
	b := &memoryBatch{}
	require.NoError(t, mirror.AppendValues(b, mirror.Encoded()[3], int8(-1)))
	require.Equal(t, [][]any{{
		nil, "text",
		uuid.UUID{1},
		time.UnixMilli(-5).UTC(), time.UnixMicro(7).UTC(), int64(-1), int32(-2), uint16(65_535), uint32(0), 0.5, true, false,
		[]string{"a", ""},
		[]uuid.UUID{{2}},
		[][]any{{time.UnixMilli(1).UTC(), time.UnixMilli(2).UTC()}},
		map[string]string{"a": "1", "b": "2"},
		map[string]int32{"x": -1},
		int8(-1),
	}}, b.rows)
	require.Error(t, mirror.AppendValues(b, []byte{200}))
	require.Error(t, mirror.AppendValues(b, []byte{1, 9}))
}

func FuzzStored(f *testing.F) {
	for _, b := range mirror.Encoded() {
		f.Add(b)
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		state, entity, parcel, _ := mirror.Decoded(b)
		for n, once := range [][]byte{state, entity, parcel} {
			if once == nil {
				continue
			}
			var again [3][]byte
			again[0], again[1], again[2], _ = mirror.Decoded(once)
			if !bytes.Equal(once, again[n]) {
				t.Fatalf("%d: %x is written %x and then %x", n, b, once, again[n])
			}
		}
	})
}
