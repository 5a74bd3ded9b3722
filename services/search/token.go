package search

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"

	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
)

var (
	// ErrForeignToken means that a page token belongs to another query.
	ErrForeignToken = errors.New("search: the page token belongs to another query")

	errBadToken = errors.New("search: not a page token")
)

const (
	tokenVersion = 1
	momentSize   = 8 + 4 + 8
	tokenSize    = 1 + 8 + 4 + 8 + momentSize
)

// A pageToken says behind which hit a search goes on.
type pageToken struct {
	query  [8]byte
	seen   uint32 // hits on the pages so far
	score  float64
	moment [momentSize]byte
	links  string // version of the links by which the customer's events are told
}

func (t pageToken) encode() string {
	b := append([]byte{tokenVersion}, t.query[:]...)
	b = binary.BigEndian.AppendUint32(b, t.seen)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(t.score))
	return base64.RawURLEncoding.EncodeToString(append(append(b, t.moment[:]...), t.links...))
}

func decodePageToken(s string) (t pageToken, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < tokenSize || b[0] != tokenVersion {
		return pageToken{}, errBadToken
	}
	b = b[1:]
	b = b[copy(t.query[:], b):]
	t.seen = binary.BigEndian.Uint32(b)
	t.score = math.Float64frombits(binary.BigEndian.Uint64(b[4:]))
	b = b[12:]
	t.links = string(b[copy(t.moment[:], b):])
	return t, nil
}

// after is where a search goes on, as its order has it.
func (t pageToken) after(order searchv1.SearchOrder) []string {
	if order == searchv1.SearchOrder_SEARCH_ORDER_NEWEST_FIRST {
		return []string{string(t.moment[:])}
	}
	return []string{strconv.FormatFloat(t.score, 'g', -1, 64), string(t.moment[:])}
}

// queryDigest tells one query from another, whatever its page.
func queryDigest(tenant string, req *searchv1.SearchRequest) (digest [8]byte, err error) {
	plain := proto.CloneOf(req)
	plain.PageToken, plain.PageSize, plain.MinPositions = "", 0, nil
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(plain)
	if err != nil {
		return digest, fmt.Errorf("search: %w", err)
	}
	sum := sha256.Sum256(append(append([]byte(tenant), 0), b...))
	return [8]byte(sum[:8]), nil
}
