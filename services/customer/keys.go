package customer

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/skein-cx/skein/pkg/event"
)

// The spaces of the slice. Every key is written from one partition only: the one that holds its tenant.
//
//	tenant, 't'                              → the tenant's clock, and whether interactions were attributed of which no endpoint is known
//	tenant, 'n', node                        → endpoints ever linked to it, merges into it and out of it, its erasure
//	tenant, 'l', endpoint                    → what is known of the endpoint, its links
//	tenant, 'x', interaction                 → its attributions
//	tenant, 'b', node, interaction           → nothing: it was attributed to the node once
//	tenant, 'w', endpoint, interaction       → nothing: it was taken from the endpoint once; endpoint zero: from whichever has it
//	tenant, 'e', event                       → offset, digest, what was decided
//	tenant, 'h', node, offset                → event: the history of a node
//	tenant, 'q', offset                      → event: what rules asked for and did not get
//	tenant, 'a', endpoint, name              → moment, statement: an attribute, fact or consent as it was stated last
//	tenant, 'v', endpoint, name, moment      → statement: all that were stated
//	changes, partition, offset               → tenant, customers of whom something changed, the interaction that was attributed, for those who watch
//
// Whatever deciding takes is one key, so that a decision never scans: a batch would have to be searched for each record of it.
const (
	spaceTenant  = 0x01
	spaceChanges = 0x02

	subTenant      = 't'
	subNode        = 'n'
	subEndpoint    = 'l'
	subInteraction = 'x'
	subAttributed  = 'b'
	subTaken       = 'w'
	subEvent       = 'e'
	subHistory     = 'h'
	subConflicts   = 'q'
	subLatest      = 'a'
	subStated      = 'v'
)

// prefix is that of the keys of a tenant's space that begin with some ids.
func prefix(tenant string, sub byte, ids ...event.ID) []byte {
	b := make([]byte, 0, 3+len(tenant)+len(ids)*len(event.ID{})+nameSize+momentSize)
	b = append(b, spaceTenant, byte(len(tenant)))
	b = append(append(b, tenant...), sub)
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func historyKey(tenant string, node event.ID, offset int64) []byte {
	return binary.BigEndian.AppendUint64(prefix(tenant, subHistory, node), uint64(offset))
}

func conflictKey(tenant string, offset int64) []byte {
	return binary.BigEndian.AppendUint64(prefix(tenant, subConflicts), uint64(offset))
}

func changeKey(partition int32, offset int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{spaceChanges}, uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

// nameSize is the length of a name of what is stated.
const nameSize = 16

// nameOf names what is stated about an endpoint, such as an attribute of a source. Names are of any length, and keys are not.
func nameOf(parts ...string) []byte {
	h := sha256.New()
	var size []byte
	for _, p := range parts {
		size = binary.AppendUvarint(size[:0], uint64(len(p)))
		_, _ = h.Write(size) // a hash never fails
		_, _ = h.Write([]byte(p))
	}
	return h.Sum(nil)[:nameSize]
}

// momentSize is the length of an encoded moment.
const momentSize = 3 * 8

// moment is when something was stated: by when it happened, when it was received, and its position in the log.
type moment struct{ occurred, received, offset int64 }

func (m moment) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.occurred)^1<<63)
	b = binary.BigEndian.AppendUint64(b, uint64(m.received)^1<<63)
	return binary.BigEndian.AppendUint64(b, uint64(m.offset))
}

func decodeMoment(b []byte) moment {
	return moment{
		occurred: int64(binary.BigEndian.Uint64(b) ^ 1<<63),
		received: int64(binary.BigEndian.Uint64(b[8:]) ^ 1<<63),
		offset:   int64(binary.BigEndian.Uint64(b[16:])),
	}
}
