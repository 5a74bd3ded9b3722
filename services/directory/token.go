package directory

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"
)

var (
	errBadToken     = errors.New("is not a page token")
	errForeignToken = errors.New("belongs to another query")
)

// pageToken says where a list goes on, and what its first page saw.
type pageToken struct {
	query    [8]byte
	at       int64
	before   int64 // offset
	kind, id string
}

const (
	tokenVersion = 1
	tokenSize    = 1 + 8 + 8 + 8 // and kind, zero, id
)

func (t pageToken) encode() string {
	b := append([]byte{tokenVersion}, t.query[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.at))
	b = binary.BigEndian.AppendUint64(b, uint64(t.before))
	return base64.RawURLEncoding.EncodeToString(append(b, t.kind+"\x00"+t.id...))
}

func decodePageToken(text string) (pageToken, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < tokenSize || b[0] != tokenVersion {
		return pageToken{}, errBadToken
	}
	kind, id, found := strings.Cut(string(b[tokenSize:]), "\x00")
	if !found || !slices.Contains(Kinds(), kind) || strings.Contains(id, "\x00") {
		return pageToken{}, errBadToken
	}
	return pageToken{
		query: [8]byte(b[1:]), at: int64(binary.BigEndian.Uint64(b[9:])), before: int64(binary.BigEndian.Uint64(b[17:])), kind: kind, id: id,
	}, nil
}

// queryOf tells one list from another, whatever its page.
func queryOf(tenant, kind string, at *timestamppb.Timestamp) [8]byte {
	moment := "now"
	if at != nil {
		moment = fmt.Sprint(at.GetSeconds(), ".", at.GetNanos())
	}
	sum := sha256.Sum256([]byte(tenant + "\x00" + kind + "\x00" + moment))
	return [8]byte(sum[:])
}
