package timeline

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/projection"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

var (
	// ErrForeignCursor means that a cursor belongs to another watch.
	ErrForeignCursor = errors.New("timeline: the cursor belongs to a watch of something else")
	// ErrExpiredCursor means that the read model cannot go on from a cursor.
	ErrExpiredCursor = errors.New("timeline: the read model cannot go on from this cursor: list again, and watch from there")

	errBadCursor = errors.New("timeline: not a cursor")
)

// place is a row among the changes of a partition: the next one to be read.
type place struct {
	offset int64
	n      uint32 // several rows have one offset where an event files those that waited for it
}

func (p place) before(q place) bool {
	return p.offset < q.offset || p.offset == q.offset && p.n < q.n
}

// places are where a watch stands in each partition. Partitions that are missing stand at their beginning.
type places map[int32]place

func placesOf(v projection.Vector) places {
	ps := make(places, len(v))
	for p, next := range v {
		ps[p] = place{offset: next}
	}
	return ps
}

// A cursor says where a watch goes on.
type cursor struct {
	generation uint32
	query      [8]byte
	scope      string // version of the links by which it read; empty where none matter
	next       places
}

func (c cursor) encode() string {
	b := appendHead(nil, c.generation, c.query, c.scope)
	for _, p := range slices.Sorted(maps.Keys(c.next)) {
		b = binary.AppendUvarint(b, uint64(p))
		b = binary.AppendUvarint(b, uint64(c.next[p].offset))
		b = binary.AppendUvarint(b, uint64(c.next[p].n))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(s string) (cursor, error) {
	c := cursor{next: places{}}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return cursor{}, errBadCursor
	}
	var ok bool
	if c.generation, c.query, c.scope, b, ok = cutHead(b); !ok {
		return cursor{}, errBadCursor
	}
	for len(b) > 0 {
		var fields [3]uint64
		for i, limit := range [3]uint64{1<<31 - 1, 1<<63 - 1, 1<<32 - 1} {
			v, n := binary.Uvarint(b)
			if n <= 0 || v > limit {
				return cursor{}, errBadCursor
			}
			fields[i], b = v, b[n:]
		}
		c.next[int32(fields[0])] = place{offset: int64(fields[1]), n: uint32(fields[2])}
	}
	return c, nil
}

// watchDigest tells one watch from another, and is the same for a list and a watch of the same things.
func watchDigest(tenant string, req *timelinev1.WatchRequest) ([8]byte, error) {
	return digest(tenant, &timelinev1.WatchRequest{
		Addresses: req.GetAddresses(), EndpointIds: req.GetEndpointIds(), ThreadIds: req.GetThreadIds(),
		Channels: req.GetChannels(), Types: req.GetTypes(), CustomerId: req.GetCustomerId(), ConversationId: req.GetConversationId(),
		CustomerAddress: req.GetCustomerAddress(),
	})
}

// listDigest tells one list from another, whatever its page.
func listDigest(tenant string, req *timelinev1.ListRequest) ([8]byte, error) {
	q := proto.CloneOf(req)
	q.PageToken, q.PageSize, q.MinPositions = "", 0, nil
	return digest(tenant, q)
}

func digest(tenant string, m proto.Message) ([8]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return [8]byte{}, err
	}
	sum := sha256.Sum256(append(append([]byte(tenant), 0), b...))
	return [8]byte(sum[:8]), nil
}
