package directory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
)

// The spaces of the slice. Every key is written from one partition only: the one that holds its tenant.
//
//	tenant, 'e', event                         → moment, offset, digest, correlation: what was seen
//	tenant, 's', kind, id, moment, offset      → the statement, as skein.directory.v1.Entry without its position
//	changes, partition, offset                 → tenant, kind, id: what is another one
//
// Kinds and ids end with a zero byte, which they cannot have. Of the statements of one moment, the last key counts.
const (
	spaceTenant  = 0x01
	spaceChanges = 0x02

	subEvent     = 'e'
	subStatement = 's'
)

var errDamaged = errors.New("directory: a row of the read model is damaged: rebuild it")

func prefix(tenant string, sub byte) []byte {
	b := make([]byte, 0, 3+len(tenant)+64)
	b = append(b, spaceTenant, byte(len(tenant)))
	return append(append(b, tenant...), sub)
}

func eventKey(tenant string, id event.ID) []byte { return append(prefix(tenant, subEvent), id[:]...) }

// kindKey begins the statements of a kind; of all kinds where it is empty.
func kindKey(tenant, kind string) []byte {
	b := prefix(tenant, subStatement)
	if kind == "" {
		return b
	}
	return append(append(b, kind...), 0)
}

// entryKey begins the statements of an entry.
func entryKey(tenant, kind, id string) []byte {
	return append(append(kindKey(tenant, kind), id...), 0)
}

func statementKey(tenant, kind, id string, from, offset int64) []byte {
	b := binary.BigEndian.AppendUint64(entryKey(tenant, kind, id), uint64(from)^1<<63)
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

func changeKey(partition int32, offset int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{spaceChanges}, uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

// change is an entry of which something was stated.
type change struct{ tenant, kind, id string }

func (c change) encode() []byte {
	return append(append(append(append([]byte(c.tenant), 0), c.kind...), 0), c.id...)
}

func decodeChange(b []byte) (change, error) {
	tenant, rest, _ := bytes.Cut(b, []byte{0})
	kind, id, found := bytes.Cut(rest, []byte{0})
	if !found {
		return change{}, errDamaged
	}
	return change{string(tenant), string(kind), string(id)}, nil
}

// statement is what was stated of an entry.
type statement struct {
	kind, id     string
	from, offset int64
	entry        *directoryv1.Entry
}

// parseStatement reads a row; the key without the tenant's prefix.
func parseStatement(key, value []byte) (statement, error) {
	kind, rest, _ := bytes.Cut(key, []byte{0})
	id, rest, _ := bytes.Cut(rest, []byte{0})
	if len(rest) != 16 {
		return statement{}, errDamaged
	}
	s := statement{
		kind: string(kind), id: string(id),
		from: int64(binary.BigEndian.Uint64(rest) ^ 1<<63), offset: int64(binary.BigEndian.Uint64(rest[8:])), entry: &directoryv1.Entry{},
	}
	if err := proto.Unmarshal(value, s.entry); err != nil {
		return statement{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return s, nil
}

// seen is an event that was folded.
type seen struct {
	from, offset int64
	digest       []byte
	correlation  string
}

func (s seen) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.from)^1<<63)
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	b = append(append(b, byte(len(s.digest))), s.digest...)
	return append(b, s.correlation...)
}

func decodeSeen(b []byte) (seen, error) {
	if len(b) < 17 || len(b) < 17+int(b[16]) {
		return seen{}, errDamaged
	}
	end := 17 + int(b[16])
	return seen{
		from: int64(binary.BigEndian.Uint64(b) ^ 1<<63), offset: int64(binary.BigEndian.Uint64(b[8:])), digest: b[17:end], correlation: string(b[end:]),
	}, nil
}
