package timeline

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/skein-cx/skein/pkg/projection"
)

// A pageToken says where a list goes on, and what had been applied when it began.
type pageToken struct {
	generation uint32
	query      [8]byte
	after      [momentSize]byte
	pinned     projection.Vector
}

const tokenVersion = 1

var errBadToken = errors.New("timeline: not a page token")

func (t pageToken) encode() string {
	b := []byte{tokenVersion}
	b = binary.BigEndian.AppendUint32(b, t.generation)
	b = append(b, t.query[:]...)
	b = append(b, t.after[:]...)
	partitions := make([]int32, 0, len(t.pinned))
	for p := range t.pinned {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	for _, p := range partitions {
		b = binary.AppendUvarint(b, uint64(p))
		b = binary.AppendUvarint(b, uint64(t.pinned[p]))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodePageToken(s string) (pageToken, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 1+4+8+momentSize || b[0] != tokenVersion {
		return pageToken{}, errBadToken
	}
	t := pageToken{generation: binary.BigEndian.Uint32(b[1:]), pinned: projection.Vector{}}
	b = b[5:]
	b = b[copy(t.query[:], b):]
	b = b[copy(t.after[:], b):]
	for len(b) > 0 {
		p, n := binary.Uvarint(b)
		if n <= 0 || p > 1<<31-1 {
			return pageToken{}, errBadToken
		}
		b = b[n:]
		next, n := binary.Uvarint(b)
		if n <= 0 || next > 1<<63-1 {
			return pageToken{}, errBadToken
		}
		b = b[n:]
		t.pinned[int32(p)] = int64(next)
	}
	return t, nil
}
