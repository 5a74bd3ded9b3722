package story

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// Moment is where an event stands in its thread: by when it happened, when it was received, and its offset in the log. No two have the
// same one.
type Moment struct {
	Occurred, Received int64 // nanoseconds since 1970
	Offset             int64
}

// MomentSize is the length of an encoded moment.
const MomentSize = 8 + 8 + 8

// Compare orders moments.
func (m Moment) Compare(o Moment) int {
	return cmp.Or(cmp.Compare(m.Occurred, o.Occurred), cmp.Compare(m.Received, o.Received), cmp.Compare(m.Offset, o.Offset))
}

// Before tells whether it comes before another.
func (m Moment) Before(o Moment) bool { return m.Compare(o) < 0 }

// IsZero tells whether there is none.
func (m Moment) IsZero() bool { return m == Moment{} }

// Append encodes it so that bytes are in the order of moments.
func (m Moment) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.Occurred)^1<<63)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Received)^1<<63)
	return binary.BigEndian.AppendUint64(b, uint64(m.Offset))
}

// DecodeMoment reads what Append wrote.
func DecodeMoment(b []byte) (Moment, error) {
	if len(b) != MomentSize {
		return Moment{}, fmt.Errorf("story: moment of %d bytes instead of %d", len(b), MomentSize)
	}
	return Moment{
		Occurred: int64(binary.BigEndian.Uint64(b) ^ 1<<63),
		Received: int64(binary.BigEndian.Uint64(b[8:]) ^ 1<<63),
		Offset:   int64(binary.BigEndian.Uint64(b[16:])),
	}, nil
}
