package board

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
)

var (
	// ErrForeignCursor means that a cursor belongs to another watch.
	ErrForeignCursor = errors.New("board: the cursor belongs to a watch of something else")

	errBadCursor = errors.New("board: not a cursor")
)

// cursor says where a watch goes on: behind a version of a board that is kept in memory.
type cursor struct {
	process [8]byte // which process keeps it
	query   [8]byte // what is watched
	board   uint64  // epoch of the board
	version uint64
}

const (
	cursorVersion = 1
	cursorSize    = 1 + 4*8
)

func (c cursor) encode() string {
	b := append(make([]byte, 0, cursorSize), cursorVersion)
	b = append(append(b, c.process[:]...), c.query[:]...)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, c.board), c.version)
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(text string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorSize || b[0] != cursorVersion {
		return cursor{}, errBadCursor
	}
	copy(c.process[:], b[1:])
	copy(c.query[:], b[9:])
	c.board, c.version = binary.BigEndian.Uint64(b[17:]), binary.BigEndian.Uint64(b[25:])
	return c, nil
}

// queryDigest tells one watch from another, in whatever order it names what it is of.
func queryDigest(tenant string, f *boardv1.BoardFilter, since time.Time) (digest [8]byte, err error) {
	ordered := &boardv1.BoardFilter{
		Queues: slices.Sorted(slices.Values(f.GetQueues())), Teams: slices.Sorted(slices.Values(f.GetTeams())),
		AgentIds:      slices.Sorted(slices.Values(f.GetAgentIds())),
		WithoutQueues: f.GetWithoutQueues(), WithoutTeams: f.GetWithoutTeams(), WithoutAgents: f.GetWithoutAgents(),
	}
	req := &boardv1.WatchRequest{Filter: ordered}
	if !since.IsZero() {
		req.Since = timestamppb.New(since)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(append([]byte(tenant), 0), req)
	if err != nil {
		return digest, fmt.Errorf("board: encode: %w", err)
	}
	sum := sha256.Sum256(b)
	copy(digest[:], sum[:])
	return digest, nil
}
