package timeline

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/skein-cx/skein/pkg/projection"
)

// A pageToken says where a list goes on, and what had been applied and linked when it began.
type pageToken struct {
	generation uint32
	query      [8]byte
	scope      string // version of the links; empty where none matter
	after      [momentSize]byte
	pinned     projection.Vector
}

// Tokens and cursors of customers and conversations are of another version: they hold one of the links.
const (
	plainVersion  = 1
	scopedVersion = 2
)

var errBadToken = errors.New("timeline: not a page token")

func (t pageToken) encode() string {
	b := appendHead(nil, t.generation, t.query, t.scope)
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
	t := pageToken{pinned: projection.Vector{}}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return pageToken{}, errBadToken
	}
	var ok bool
	if t.generation, t.query, t.scope, b, ok = cutHead(b); !ok || len(b) < momentSize {
		return pageToken{}, errBadToken
	}
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

// appendHead appends what tokens and cursors have in common: of which generation, of which query, by which links.
func appendHead(b []byte, generation uint32, query [8]byte, scope string) []byte {
	version := byte(plainVersion)
	if scope != "" {
		version = scopedVersion
	}
	b = binary.BigEndian.AppendUint32(append(b, version), generation)
	b = append(b, query[:]...)
	if scope != "" {
		b = append(binary.AppendUvarint(b, uint64(len(scope))), scope...)
	}
	return b
}

// cutHead reads it, and gives what is behind it.
func cutHead(b []byte) (generation uint32, query [8]byte, scope string, rest []byte, ok bool) {
	if len(b) < 1+4+len(query) || b[0] != plainVersion && b[0] != scopedVersion {
		return 0, query, "", nil, false
	}
	scoped := b[0] == scopedVersion
	generation, b = binary.BigEndian.Uint32(b[1:]), b[1+4:]
	b = b[copy(query[:], b):]
	if scoped {
		length, n := binary.Uvarint(b)
		if n <= 0 || length == 0 || length > uint64(len(b)-n) {
			return 0, query, "", nil, false
		}
		scope, b = string(b[n:n+int(length)]), b[n+int(length):]
	}
	return generation, query, scope, b, true
}
